// Ours, as the site's engine on the CPU is built; with `?relaxed`, its kernels with relaxed SIMD.

import { serve } from './work.js';

const folder = location.search === '?relaxed' ? 'ours-relaxed' : 'ours';
const { default: init, Doing } = await import(`../${folder}/ours.js`);
await init();

serve((work) => {
  const doing = Doing.start(work);
  if (!doing) throw new Error('not done');
  return { step: () => doing.step(), figures: () => doing.figures() };
});
