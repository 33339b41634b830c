// Transformers.js: its own `generate` over the same graph as ONNX Runtime Web's, which tells how many tokens it has seen
// from a mask and answers with logits. It goes by the name of a model with short convolutions, whose cache has room for
// the last input of a layer.

import { AutoModelForCausalLM, Tensor, env } from '../npm/node_modules/@huggingface/transformers/dist/transformers.min.js';
import { serve } from './work.js';

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = new URL('../graphs/', location).href;
env.useBrowserCache = false;
env.backends.onnx.wasm.numThreads = 1;
const folder = '../npm/node_modules/@huggingface/transformers/node_modules/onnxruntime-web/dist';
env.backends.onnx.wasm.wasmPaths = { wasm: new URL(`${folder}/ort-wasm-simd-threaded.asyncify.wasm`, location).href };

serve(async () => {
  const net = await AutoModelForCausalLM.from_pretrained('transformers', { device: 'wasm', dtype: 'fp32' });
  const inputs = new Tensor('int64', BigInt64Array.of(0n), [1, 1]);
  let written;
  return {
    step: async () => {
      written = await net.generate({ inputs, max_new_tokens: 120, do_sample: false });
    },
    figures: () => Array.from(written.data, Number).slice(1),
  };
});
