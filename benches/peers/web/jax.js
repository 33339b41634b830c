// jax-js: the whole step under `jit`, on its WebAssembly backend, waited for after every step. Unless it is waited for,
// its list of pending work grows and it slows down.

import { blockUntilReady, defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from '../npm/node_modules/@jax-js/jax/dist/index.js';
import { serve } from './work.js';

await init('wasm');
defaultDevice('wasm');

// An array is used up by what it is passed to, unless as `.ref`.

const linear = (w, name, x) => np.dot(x, w[`${name}.weight`]).add(w[`${name}.bias`]);

const norm = (w, name, x) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(w[`${name}.scale`]).add(w[`${name}.shift`]);

const squares = (a, b) => np.square(a.sub(b)).mean();

const crossEntropy = (logits, classes) => {
  const [rows, columns] = logits.shape;
  return nn.logSoftmax(logits, -1).mul(nn.oneHot(classes, columns)).sum().mul(-1 / rows);
};

function mlp(w, x, layers, between) {
  for (let layer = 0; layer < layers; layer++) {
    x = linear(w, layer, x);
    if (layer < layers - 1) x = between(x);
  }
  return x;
}

// The rows of all sequences lie one below the other, so that each layer is one product of matrices.
function transformer(w, tokens) {
  const [batch, length] = tokens.shape;
  const [vocabulary, width] = w.embedding.shape;
  const heads = (x) => x.reshape([batch, length, 4, width / 4]);
  // Faster than to take rows of the table, which have to be scattered on the way back.
  const chosen = nn.oneHot(tokens.reshape([-1]), vocabulary);
  let x = np.dot(chosen, w.embedding).reshape([batch, length, width]).add(w.position).reshape([batch * length, width]);
  for (let layer = 0; layer < 2; layer++) {
    const normed = norm(w, `${layer}.norm1`, x.ref);
    const query = heads(linear(w, `${layer}.query`, normed.ref));
    const key = heads(linear(w, `${layer}.key`, normed.ref));
    const value = heads(linear(w, `${layer}.value`, normed));
    const seen = nn.dotProductAttention(query, key, value, { isCausal: true }).reshape([batch * length, width]);
    x = x.add(linear(w, `${layer}.output`, seen));
    const up = nn.gelu(linear(w, `${layer}.up`, norm(w, `${layer}.norm2`, x.ref)), { approximate: true });
    x = x.add(linear(w, `${layer}.down`, up));
  }
  return linear(w, 'head', norm(w, 'norm', x));
}

// One head, without biases; the second asks for the last token alone.
function induction(w, x) {
  const [batch, tokens, width] = x.shape;
  const times = (a, weight) => np.dot(a.reshape([-1, width]), weight).reshape(a.shape);
  const head = (name, queries, seen) => {
    const query = times(queries, w[`${name}.query`]);
    const key = times(seen.ref, w[`${name}.key`]);
    const value = times(seen, w[`${name}.value`]);
    const one = (a) => a.reshape([batch, -1, 1, width]);
    const isCausal = query.shape[1] > 1;
    return nn.dotProductAttention(one(query), one(key), one(value), { isCausal }).reshape([batch, -1, width]);
  };
  x = x.ref.add(head('first', x.ref, x));
  const last = x.ref.slice([], [tokens - 1, tokens], []);
  const found = head('second', last.ref, x);
  return mlp(w, last.add(found).reshape([batch, width]), 4, nn.relu);
}

const LOSSES = {
  w1: (w, x, y) => squares(mlp(w, x, 3, np.tanh), y),
  w2: (w, x, y) => crossEntropy(mlp(w, x, 3, nn.relu), y),
  w3: (w, tokens, next) => crossEntropy(transformer(w, tokens), next),
  w4: (w, x, y) => crossEntropy(induction(w, x), y),
};

const INPUTS = { w3: ['tokens', 'next'] };

function training(work, { rate, arrays }) {
  const inputs = INPUTS[work] ?? ['x', 'y'];
  const array = ({ shape, numbers }) => np.array(numbers, { shape, dtype: numbers instanceof Int32Array ? np.int32 : np.float32 });
  const batch = inputs.map((name) => array(arrays[name]));
  const weights = Object.entries(arrays).filter(([name]) => !inputs.includes(name));
  let w = Object.fromEntries(weights.map(([name, values]) => [name, array(values)]));
  const descend = jit((w, ...batch) => {
    const [loss, gradients] = valueAndGrad(LOSSES[work])(tree.ref(w), ...batch);
    return [loss, tree.map((weight, gradient) => weight.sub(gradient.mul(rate)), w, gradients)];
  });
  let loss;
  return {
    step: async () => {
      loss?.dispose();
      [loss, w] = descend(w, ...batch.map((input) => input.ref));
      await blockUntilReady([loss, w]);
    },
    figures: async () => [(await loss.ref.data())[0]],
  };
}

function product({ arrays }) {
  const [a, b] = ['a', 'b'].map((name) => np.array(arrays[name].numbers, { shape: arrays[name].shape }));
  const multiply = jit(np.matmul);
  let last;
  return {
    step: async () => {
      last?.dispose();
      last = multiply(a.ref, b.ref);
      await blockUntilReady(last);
    },
    figures: async () => {
      const numbers = await last.ref.data();
      return [numbers.reduce((sum, number) => sum + number, 0) / numbers.length];
    },
  };
}

serve((work, given) => (work in LOSSES ? training(work, given) : product(given)));
