// What every worker does alike: reads what all start from, takes steps and counts them.

// The numbers of a work: `rate` and, by name, arrays of `shape` and `numbers`.
async function given(work) {
  const [manifest, buffer] = await Promise.all([
    fetch(`../data/${work}.json`).then((answer) => answer.json()),
    fetch(`../data/${work}.bin`).then((answer) => answer.arrayBuffer()),
  ]);
  const arrays = {};
  for (const [name, { type, shape, start }] of Object.entries(manifest.arrays)) {
    const length = shape.reduce((product, size) => product * size, 1);
    const numbers = new (type === 'f32' ? Float32Array : Int32Array)(buffer, 4 * start, length);
    arrays[name] = { shape, numbers };
  }
  return { rate: manifest.rate, arrays };
}

// `start(work, given)` gives `{ step, figures }`; a step or figures may be promises.
export function serve(start) {
  let doing;

  async function load(work) {
    // An operation alone starts from numbers of its own.
    doing = await start(work, work.startsWith('operation ') ? {} : await given(work));
    await doing.step();
    const first = await doing.figures();
    for (let step = 0; step < 50; step++) await doing.step();
    return { figures: [...first, ...(await doing.figures())] };
  }

  async function run(time) {
    const start = performance.now();
    let steps = 0;
    let gone;
    do {
      const pending = doing.step();
      // To wait for what is done would cost a small step dearly.
      if (pending) await pending;
      steps += 1;
      gone = performance.now() - start;
    } while (gone < time);
    return { steps, time: gone };
  }

  onmessage = async ({ data }) => {
    try {
      postMessage(await (data.load ? load(data.load) : run(data.run)));
    } catch (error) {
      postMessage({ problem: String(error) });
    }
  };
  postMessage({});
}
