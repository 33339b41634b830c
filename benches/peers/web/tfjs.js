// TensorFlow.js: variables and its own optimizer, on the backend that the address names. On WebAssembly it has one thread,
// for want of shared memory, and takes the module with SIMD by itself.

const folder = '../npm/node_modules/@tensorflow';
importScripts(`${folder}/tfjs/dist/tf.min.js`, `${folder}/tfjs-backend-wasm/dist/tf-backend-wasm.min.js`);
importScripts(`${folder}/tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js`);

const linear = (w, name, x) => tf.add(tf.matMul(x, w[`${name}.weight`]), w[`${name}.bias`]);

const norm = (w, name, x) => {
  const { mean, variance } = tf.moments(x, -1, true);
  return x.sub(mean).div(variance.add(1e-5).sqrt()).mul(w[`${name}.scale`]).add(w[`${name}.shift`]);
};

// It has no gelu of its own.
const gelu = (x) => {
  const inner = x.add(x.mul(x).mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
  return x.mul(0.5).mul(inner.tanh().add(1));
};

function mlp(w, x, layers, between) {
  for (let layer = 0; layer < layers; layer++) {
    x = linear(w, layer, x);
    if (layer < layers - 1) x = between(x);
  }
  return x;
}

// A query sees no key after it: what is added to the scores of all heads.
const hidden = (length) => tf.tensor(
  Float32Array.from({ length: length * length }, (_, cell) => (cell % length > Math.floor(cell / length) ? -1e9 : 0)),
  [length, length],
);

function attention(query, key, value, scale, mask) {
  let scores = tf.matMul(query, key, false, true).mul(scale);
  if (mask) scores = scores.add(mask);
  return tf.matMul(tf.softmax(scores), value);
}

function transformer(w, tokens, mask) {
  const [rows, vocabulary] = tokens.shape;
  const [length, width] = w.position.shape;
  const batch = rows / length;
  const heads = (x) => x.reshape([batch, length, 4, width / 4]).transpose([0, 2, 1, 3]);
  let x = tf.matMul(tokens, w.embedding).reshape([batch, length, width]).add(w.position).reshape([rows, width]);
  for (let layer = 0; layer < 2; layer++) {
    const normed = norm(w, `${layer}.norm1`, x);
    const [query, key, value] = ['query', 'key', 'value'].map((name) => heads(linear(w, `${layer}.${name}`, normed)));
    const seen = attention(query, key, value, 1 / Math.sqrt(width / 4), mask);
    x = x.add(linear(w, `${layer}.output`, seen.transpose([0, 2, 1, 3]).reshape([rows, width])));
    x = x.add(linear(w, `${layer}.down`, gelu(linear(w, `${layer}.up`, norm(w, `${layer}.norm2`, x)))));
  }
  return linear(w, 'head', norm(w, 'norm', x));
}

function induction(w, x, mask) {
  const [batch, tokens, width] = x.shape;
  const times = (a, weight) => tf.matMul(a.reshape([-1, width]), weight).reshape(a.shape);
  const head = (name, queries, seen, mask) => {
    const [query, key, value] = [queries, seen, seen].map((a, at) => times(a, w[`${name}.${['query', 'key', 'value'][at]}`]));
    return attention(query, key, value, 1 / Math.sqrt(width), mask);
  };
  x = x.add(head('first', x, x, mask));
  const last = x.slice([0, tokens - 1, 0], [batch, 1, width]);
  return mlp(w, last.add(head('second', last, x)).reshape([batch, width]), 4, tf.relu);
}

// Its loss has no gradient for class numbers, nor its embedding on this backend: both get one-hot rows, made once.
const rows = (arrays, name, classes) => tf.oneHot(tf.tensor1d(arrays[name].numbers, 'int32'), classes).toFloat();
const input = (arrays, name) => tf.tensor(arrays[name].numbers, arrays[name].shape);

const LOSSES = {
  w1: (arrays) => {
    const [x, y] = [input(arrays, 'x'), input(arrays, 'y')];
    return (w) => tf.losses.meanSquaredError(y, mlp(w, x, 3, tf.tanh));
  },
  w2: (arrays) => {
    const [x, y] = [input(arrays, 'x'), rows(arrays, 'y', 10)];
    return (w) => tf.losses.softmaxCrossEntropy(y, mlp(w, x, 3, tf.relu));
  },
  w3: (arrays) => {
    const [tokens, next, mask] = [rows(arrays, 'tokens', 16), rows(arrays, 'next', 16), hidden(32)];
    return (w) => tf.losses.softmaxCrossEntropy(next, transformer(w, tokens, mask));
  },
  w4: (arrays) => {
    const [x, y, mask] = [input(arrays, 'x'), rows(arrays, 'y', 32), hidden(17)];
    return (w) => tf.losses.softmaxCrossEntropy(y, induction(w, x, mask));
  },
};

function training(work, { rate, arrays }) {
  const loss = LOSSES[work](arrays);
  const weights = Object.entries(arrays).filter(([name]) => !['x', 'y', 'tokens', 'next'].includes(name));
  const w = Object.fromEntries(weights.map(([name, { shape, numbers }]) => [name, tf.variable(tf.tensor(numbers, shape))]));
  const optimizer = tf.train.sgd(rate);
  let last;
  return {
    step: () => {
      last?.dispose();
      last = optimizer.minimize(() => loss(w), true);
    },
    figures: async () => [...(await last.data())],
  };
}

function product({ arrays }) {
  const [a, b] = [input(arrays, 'a'), input(arrays, 'b')];
  let last;
  return {
    step: () => {
      last?.dispose();
      last = tf.matMul(a, b);
    },
    figures: async () => {
      const numbers = await last.data();
      return [numbers.reduce((sum, number) => sum + number, 0) / numbers.length];
    },
  };
}

async function begin() {
  const backend = location.search.slice(1);
  tf.wasm.setWasmPaths(new URL(`${folder}/tfjs-backend-wasm/dist/`, location).href);
  tf.wasm.setThreadsCount(1);
  if (!(await tf.setBackend(backend))) throw new Error(`no backend ${backend} here`);
  await tf.ready();
  const { serve } = await import('./work.js');
  serve((work, given) => (work in LOSSES ? training(work, given) : product(given)));
}

begin().catch((error) => postMessage({ problem: String(error) }));
