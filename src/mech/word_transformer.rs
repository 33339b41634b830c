//! A small language model over whole words, and a reader of it for many texts that share their beginnings.
//!
//! Layer norm before each part, learned positions, a feed-forward layer with GELU, and the embedding again as output layer
//! (Radford et al. 2019, with tied weights).

use std::collections::BTreeMap;

use burn::module::{Initializer, Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use kernels::{Matrix, Norm};

use super::ops::{self, Activation, Heads};

#[derive(Config, Debug)]
pub struct WordTransformerConfig {
    pub vocabulary: usize,
    #[config(default = 64)]
    pub width: usize,
    #[config(default = 2)]
    pub layers: usize,
    #[config(default = 4)]
    pub heads: usize,
    /// The longest text, in tokens.
    #[config(default = 48)]
    pub context: usize,
    #[config(default = 1e-5)]
    pub epsilon: f32,
}

/// See [`WordTransformerConfig::init`].
#[derive(Module, Debug)]
pub struct WordTransformer {
    embedding: Param<Tensor<2>>, // [vocabulary, width]
    positions: Param<Tensor<2>>, // [context, width]
    blocks: Vec<Block>,
    norm: Gains,
    #[module(skip)]
    config: WordTransformerConfig,
}

#[derive(Module, Debug)]
struct Block {
    attention_norm: Gains,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    feed_norm: Gains,
    up: Linear,
    down: Linear,
}

/// What a layer norm learns.
#[derive(Module, Debug)]
struct Gains {
    gain: Param<Tensor<1>>, // [width]
    bias: Param<Tensor<1>>, // [width]
}

impl WordTransformerConfig {
    /// Embeddings and positions are normal with deviation 1/50, weights with variance 1 / inputs, less by the square root of
    /// all additions where a part adds its output; biases are zero, gains one.
    pub fn init(&self, device: &Device) -> WordTransformer {
        let &Self { vocabulary, width, layers, heads, context, .. } = self;
        assert!(width.is_multiple_of(heads), "{heads} heads in a width of {width}");
        let table = |rows: usize| Initializer::Normal { mean: 0.0, std: 0.02 }.init([rows, width], device);
        let layer = |inputs: usize, outputs: usize, scale: f64| {
            let initializer = Initializer::Normal { mean: 0.0, std: scale / (inputs as f64).sqrt() };
            let zero = Initializer::Zeros.init([outputs], device);
            let linear = LinearConfig::new(inputs, outputs).with_bias(false).with_initializer(initializer).init(device);
            Linear { bias: Some(zero), ..linear }
        };
        let gains =
            || Gains { gain: Initializer::Ones.init([width], device), bias: Initializer::Zeros.init([width], device) };
        let added = 1.0 / (2.0 * layers as f64).sqrt();
        let block = |_| Block {
            attention_norm: gains(),
            query: layer(width, width, 1.0),
            key: layer(width, width, 1.0),
            value: layer(width, width, 1.0),
            output: layer(width, width, added),
            feed_norm: gains(),
            up: layer(width, 4 * width, 1.0),
            down: layer(4 * width, width, added),
        };
        WordTransformer {
            embedding: table(vocabulary),
            positions: table(context),
            blocks: (0..layers).map(block).collect(),
            norm: gains(),
            config: self.clone(),
        }
    }

    fn scale(&self) -> f32 {
        1.0 / ((self.width / self.heads) as f32).sqrt()
    }
}

impl WordTransformer {
    /// Logits of the token after each of some.
    ///
    /// # Shapes
    ///
    /// - tokens `[batch, tokens]`
    /// - at `[asked]`: places among `batch * tokens`
    /// - output `[asked, vocabulary]`
    pub fn forward(&self, tokens: Tensor<2, Int>, at: Tensor<1, Int>) -> Tensor<2> {
        let [_, length] = tokens.dims();
        let WordTransformerConfig { width, context, .. } = self.config;
        assert!(length <= context, "{length} tokens for a model of {context}");
        let positions = self.positions.val().narrow(0, 0, length);
        let embedded = ops::embedding(self.embedding.val(), tokens, Some(positions));
        let seen = self.blocks.iter().fold(embedded, |x, block| block.forward(x, &self.config));
        // Most texts end before the longest, and some models answer at their last token alone.
        let asked = seen.reshape([-1, width as i32]).select(0, at);
        ops::product(self.norm.forward(asked, self.config.epsilon), self.embedding.val().transpose())
    }
}

impl Gains {
    fn forward(&self, input: Tensor<2>, epsilon: f32) -> Tensor<2> {
        ops::layer_norm(input, self.gain.val(), self.bias.val(), epsilon)
    }
}

impl Block {
    /// # Shapes
    ///
    /// - input, output `[batch, tokens, width]`
    fn forward(&self, input: Tensor<3>, config: &WordTransformerConfig) -> Tensor<3> {
        let shape @ [_, _, width] = input.dims();
        let rows = input.reshape([-1, width as i32]);
        let normal = self.attention_norm.forward(rows.clone(), config.epsilon);
        let part = |layer: &Linear| ops::linear_layer(layer, normal.clone(), Activation::None).reshape(shape);
        let heads = Heads::each(config.heads);
        let found = ops::causal_attention(part(&self.query), part(&self.key), part(&self.value), heads, config.scale());
        let found = ops::linear_layer(&self.output, found.reshape([-1, width as i32]), Activation::None);
        let middle = ops::add(rows, found);
        let normal = self.feed_norm.forward(middle.clone(), config.epsilon);
        let hidden = ops::linear_layer(&self.up, normal, Activation::Gelu);
        ops::add(middle, ops::linear_layer(&self.down, hidden, Activation::None)).reshape(shape)
    }
}

/// Texts read by a [`WordTransformer`], as a tree: what many begin with is read once. It computes on the CPU.
///
/// A node is a token behind the tokens of its ancestors. Nodes are asked for first and read together, for one product of many
/// rows is faster by far than many of one.
#[derive(Clone, Debug)]
pub struct TextTree {
    config: WordTransformerConfig,
    embedding: Vec<f32>,
    positions: Vec<f32>,
    blocks: Vec<PlainBlock>,
    norm: [Vec<f32>; 2],
    nodes: Vec<TextNode>,
    children: BTreeMap<(Option<usize>, usize), usize>,
    /// How many nodes have been read: those behind are waiting.
    read: usize,
    /// Keys and values of each layer, `[nodes][heads][d_head]`.
    caches: Vec<[Vec<f32>; 2]>,
    /// What the output layer meets, `[nodes, width]`.
    last: Vec<f32>,
    /// The logarithm of the sum of all exponentials of a node's logits.
    log_sums: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
struct TextNode {
    parent: Option<usize>,
    token: usize,
    depth: usize,
}

#[derive(Clone, Debug)]
struct PlainBlock {
    attention_norm: [Vec<f32>; 2],
    /// Weight and bias of queries, keys, values and output.
    parts: [[Vec<f32>; 2]; 4],
    feed_norm: [Vec<f32>; 2],
    up: [Vec<f32>; 2],
    down: [Vec<f32>; 2],
}

impl TextTree {
    /// From the parameters of a [`WordTransformer`] in visiting order, as [`super::adam::parameters`] reads them.
    pub fn new(config: WordTransformerConfig, parameters: Vec<Vec<f32>>) -> Self {
        let mut parameters = parameters.into_iter();
        let mut next = || parameters.next().expect("a parameter for each part of each layer");
        let pair = |next: &mut dyn FnMut() -> Vec<f32>| [next(), next()];
        let (embedding, positions) = (next(), next());
        let blocks = (0..config.layers)
            .map(|_| PlainBlock {
                attention_norm: pair(&mut next),
                parts: std::array::from_fn(|_| pair(&mut next)),
                feed_norm: pair(&mut next),
                up: pair(&mut next),
                down: pair(&mut next),
            })
            .collect();
        let norm = pair(&mut next);
        assert!(parameters.next().is_none(), "parameters of more layers than {}", config.layers);
        let caches = vec![[vec![], vec![]]; config.layers];
        Self {
            config,
            embedding,
            positions,
            blocks,
            norm,
            nodes: vec![],
            children: BTreeMap::new(),
            read: 0,
            caches,
            last: vec![],
            log_sums: vec![],
        }
    }

    /// Forgets all texts.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.children.clear();
        self.read = 0;
        self.caches.iter_mut().flatten().for_each(Vec::clear);
        self.last.clear();
        self.log_sums.clear();
    }

    /// The longest text, in tokens.
    pub fn context(&self) -> usize {
        self.config.context
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether a token may follow: texts end with the model's context.
    pub fn has_room(&self, node: usize) -> bool {
        self.nodes[node].depth + 1 < self.config.context
    }

    /// The token behind a node, or at the beginning. It is read with the next [`read`](Self::read).
    pub fn after(&mut self, parent: Option<usize>, token: usize) -> usize {
        let depth = parent.map_or(0, |parent| self.nodes[parent].depth + 1);
        assert!(depth < self.config.context, "a text of more than {} tokens", self.config.context);
        let count = self.nodes.len();
        let node = *self.children.entry((parent, token)).or_insert(count);
        if node == count {
            self.nodes.push(TextNode { parent, token, depth });
        }
        node
    }

    /// The last of these tokens behind a node, or at the beginning.
    ///
    /// # Panics
    ///
    /// When there are none.
    pub fn text(&mut self, parent: Option<usize>, tokens: &[usize]) -> usize {
        let last = tokens.iter().fold(parent, |parent, &token| Some(self.after(parent, token)));
        last.expect("a text has tokens")
    }

    /// Reads all nodes that wait, at most so many of them; whether none is left.
    pub fn read(&mut self, most: usize) -> bool {
        // A parent stands before its children, so that any first part can be read alone.
        let fresh = self.read..self.nodes.len().min(self.read + most);
        if fresh.is_empty() {
            return true;
        }
        let WordTransformerConfig { width, epsilon, .. } = self.config;
        let mut x = Vec::with_capacity(fresh.len() * width);
        for node in &self.nodes[fresh.clone()] {
            let row = &self.embedding[node.token * width..][..width];
            let place = &self.positions[node.depth * width..][..width];
            x.extend(row.iter().zip(place).map(|(word, place)| word + place));
        }
        let ways: Vec<Vec<usize>> = fresh.clone().map(|node| self.way(node)).collect();
        for (block, cache) in self.blocks.iter().zip(&mut self.caches) {
            let normal = normalized(&x, &block.attention_norm, epsilon);
            let [query, key, value] = std::array::from_fn(|part| linear(&normal, &block.parts[part], Activation::None));
            cache[0].extend(key);
            cache[1].extend(value);
            let found = attended(&self.config, &query, cache, &ways);
            kernels::add(&mut x, &linear(&found, &block.parts[3], Activation::None));
            let normal = normalized(&x, &block.feed_norm, epsilon);
            let hidden = linear(&normal, &block.up, Activation::Gelu);
            kernels::add(&mut x, &linear(&hidden, &block.down, Activation::None));
        }
        let last = normalized(&x, &self.norm, epsilon);
        let logits = self.logits_of(&last);
        for row in logits.chunks_exact(self.config.vocabulary) {
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let shifted: Vec<f32> = row.iter().map(|logit| logit - top).collect();
            self.log_sums.push(top + libm::logf(kernels::exp(&shifted).iter().sum()));
        }
        self.last.extend(last);
        self.read = fresh.end;
        self.read == self.nodes.len()
    }

    /// Places of the tokens up to a node, its own last.
    fn way(&self, node: usize) -> Vec<usize> {
        let mut way = vec![node];
        while let Some(parent) = self.nodes[way[way.len() - 1]].parent {
            way.push(parent);
        }
        way.reverse();
        way
    }

    fn logits_of(&self, last: &[f32]) -> Vec<f32> {
        let WordTransformerConfig { width, vocabulary, .. } = self.config;
        let table = Matrix::new(&self.embedding, vocabulary, width).transposed();
        kernels::product(Matrix::new(last, last.len() / width, width), table)
    }

    /// Logits of the token after a node that has been read, `[vocabulary]`.
    pub fn logits(&self, node: usize) -> Vec<f32> {
        let width = self.config.width;
        self.logits_of(&self.last[node * width..][..width])
    }

    /// The logarithm of the probability of a token after a node that has been read.
    pub fn log_probability(&self, node: usize, token: usize) -> f32 {
        let width = self.config.width;
        let (last, word) = (&self.last[node * width..][..width], &self.embedding[token * width..][..width]);
        last.iter().zip(word).map(|(a, b)| a * b).sum::<f32>() - self.log_sums[node]
    }

    /// The logarithm of the probability of each token of a text after its first, given those before it. All its nodes have
    /// been read.
    pub fn log_probabilities(&self, node: usize) -> Vec<f32> {
        let way = self.way(node);
        way.windows(2).map(|pair| self.log_probability(pair[0], self.nodes[pair[1]].token)).collect()
    }
}

fn normalized(x: &[f32], [gain, bias]: &[Vec<f32>; 2], epsilon: f32) -> Vec<f32> {
    kernels::norm(Norm::Layer, x, gain, bias, epsilon).0
}

fn linear(x: &[f32], [weight, bias]: &[Vec<f32>; 2], activation: Activation) -> Vec<f32> {
    let (outputs, inputs) = (bias.len(), weight.len() / bias.len());
    let x = Matrix::new(x, x.len() / inputs, inputs);
    kernels::linear(x, Matrix::new(weight, inputs, outputs), bias, activation).0
}

/// What each node finds at the nodes of its way.
///
/// # Shapes
///
/// - query, output `[fresh, width]`
/// - cache `[nodes, width]` each
/// - ways `[fresh]`
fn attended(config: &WordTransformerConfig, query: &[f32], cache: &[Vec<f32>; 2], ways: &[Vec<usize>]) -> Vec<f32> {
    let (width, d_head) = (config.width, config.width / config.heads);
    let mut found = vec![0.0; query.len()];
    let mut weights = vec![0.0; config.context];
    let mut gathered = [Vec::new(), Vec::new()];
    for ((query, found), way) in query.chunks_exact(width).zip(found.chunks_exact_mut(width)).zip(ways) {
        let parts = query.chunks_exact(d_head).zip(found.chunks_exact_mut(d_head));
        for (head, (query, found)) in parts.enumerate() {
            for (gathered, cache) in gathered.iter_mut().zip(cache) {
                gathered.clear();
                way.iter()
                    .for_each(|node| gathered.extend_from_slice(&cache[node * width + head * d_head..][..d_head]));
            }
            let [keys, values] = &gathered;
            kernels::attend(query, [keys, values, &[]], config.scale(), &mut weights[..way.len()], found);
        }
    }
    found
}
