// ONNX Runtime Web: one thread, SIMD, graphs of `python/graphs.py` with its own fused operators.

import * as ort from './ort.js';
import { serve } from './work.js';

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm: '../npm/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm' };

const session = (name) => ort.InferenceSession.create(`../graphs/${name}.onnx`, {
  executionProviders: ['wasm'],
  graphOptimizationLevel: 'all',
});

// Greedily from token 0. What a run gives for the cache is handed to the next as it is.
async function writing() {
  const net = await session('w5');
  const caches = net.inputNames
    .filter((name) => name.startsWith('past'))
    .map((name) => [name, name.replace('past_key_values', 'present').replace('past_conv', 'present_conv')]);
  const empty = Object.fromEntries(caches.map(([past]) => [
    past,
    past.startsWith('past_conv')
      ? new ort.Tensor('float32', new Float32Array(64), [1, 1, 64])
      : new ort.Tensor('float32', new Float32Array(0), [1, 4, 0, 16]),
  ]));
  const count = (number, shape) => new ort.Tensor('int32', Int32Array.of(number), shape);
  let written;
  return {
    step: async () => {
      written = [];
      let input_ids = new ort.Tensor('int64', BigInt64Array.of(0n), [1, 1]);
      let past = empty;
      for (let at = 0; at < 120; at++) {
        const found = await net.run({ input_ids, last: count(at, [1]), total: count(at + 1, []), ...past });
        past = Object.fromEntries(caches.map(([past, present]) => [past, found[present]]));
        input_ids = found.token;
        written.push(Number(input_ids.data[0]));
      }
    },
    figures: () => written,
  };
}

async function product({ arrays }) {
  const net = await session('w6');
  const feeds = Object.fromEntries(['a', 'b'].map((name) => [name, new ort.Tensor('float32', arrays[name].numbers, arrays[name].shape)]));
  let last;
  return {
    step: async () => {
      last = (await net.run(feeds)).c.data;
    },
    figures: () => [last.reduce((sum, number) => sum + number, 0) / last.length],
  };
}

serve((work, given) => (work === 'w5' ? writing() : product(given)));
