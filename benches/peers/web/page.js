// The page that the driver speaks to: a worker for each engine, all on one work, one at a time.

const SCRIPTS = {
  'ours': 'ours.js',
  'ours-relaxed': 'ours.js?relaxed',
  'jax-js': 'jax.js',
  'tfjs-wasm': 'tfjs.js?wasm',
  'tfjs-webgpu': 'tfjs.js?webgpu',
  'onnxruntime-web': 'onnx.js',
  'transformers.js': 'transformers.js',
};

const workers = new Map();

function answer(worker) {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => resolve({ problem: event.message || 'its script did not load' });
  });
}

// What all engines must agree on after the first step of a work, and after fifty more.
window.load = async (engine, work) => {
  const script = SCRIPTS[engine];
  // Those made for pages come as classic scripts.
  const worker = new Worker(script, { type: script.startsWith('tfjs') ? 'classic' : 'module' });
  workers.set(engine, worker);
  const ready = await answer(worker);
  if (ready.problem) return ready;
  worker.postMessage({ load: work });
  return answer(worker);
};

// How many steps it takes, and the milliseconds.
window.run = (engine, time) => {
  const worker = workers.get(engine);
  worker.postMessage({ run: time });
  return answer(worker);
};

window.there = true;
