//! A small decoder of language models' usual parts, trained from nothing in the page: what a cache of keys and values is
//! studied in.
//!
//! Root-mean-square norm before each part, rotary positions, a feed-forward layer with SiLU, and a *token smear* before
//! queries, keys and values, by which a token knows the one before it. Nothing here counts on how many layers, heads or
//! tokens there are, nor on as many heads of keys as of queries.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;

use super::ops::{self, Activation, Heads, Rotation};
use kernels::{Matrix, MatrixMut, Norm};

#[derive(Config, Debug)]
pub struct HouseTransformerConfig {
    pub vocabulary: usize,
    #[config(default = 64)]
    pub width: usize,
    #[config(default = 2)]
    pub layers: usize,
    /// Heads of queries.
    #[config(default = 4)]
    pub heads: usize,
    /// Heads of keys and values: a divisor of `heads`.
    #[config(default = 4)]
    pub key_heads: usize,
    /// Numbers of a head; even, for its halves are turned against each other.
    #[config(default = 16)]
    pub d_head: usize,
    #[config(default = 256)]
    pub d_hidden: usize,
    /// What the slowest pair of a head turns by, inverted.
    #[config(default = 10_000.0)]
    pub rotary_base: f64,
    #[config(default = 1e-6)]
    pub epsilon: f32,
}

/// See [`HouseTransformerConfig::init`].
#[derive(Module, Debug)]
pub struct HouseTransformer {
    embedding: Param<Tensor<2>>, // [vocabulary, width]
    blocks: Vec<Block>,
    norm: Param<Tensor<1>>, // [width]
    output: Linear,
    #[module(skip)]
    config: HouseTransformerConfig,
}

#[derive(Module, Debug)]
struct Block {
    attention_norm: Param<Tensor<1>>, // [width]
    smear: Param<Tensor<1>>,          // [width]
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    feed_norm: Param<Tensor<1>>, // [width]
    up: Linear,
    down: Linear,
}

impl HouseTransformerConfig {
    /// Embeddings are normal with deviation 1/2, weights with variance 1 / inputs, half that deviation where a part adds
    /// its output; biases are uniform within 1 / √inputs, smears 1/2, gains 1.
    pub fn init(&self, device: &Device) -> HouseTransformer {
        let &Self { vocabulary, width, layers, heads, key_heads, d_head, d_hidden, .. } = self;
        assert!(heads.is_multiple_of(key_heads), "{heads} heads cannot share {key_heads} heads of keys");
        let normal = |std: f64| Initializer::Normal { mean: 0.0, std };
        let layer = |inputs: usize, outputs: usize, scale: f64| {
            let initializer = normal(scale / (inputs as f64).sqrt());
            LinearConfig::new(inputs, outputs).with_bias(false).with_initializer(initializer).init(device)
        };
        let with_bias = |outputs: usize| {
            let most = 1.0 / (width as f64).sqrt();
            let bias = Initializer::Uniform { min: -most, max: most }.init([outputs], device);
            Linear { bias: Some(bias), ..layer(width, outputs, 1.0) }
        };
        let constant = |value: f64| Initializer::Constant { value }.init([width], device);
        let block = |_| Block {
            attention_norm: constant(1.0),
            smear: constant(0.5),
            query: with_bias(heads * d_head),
            key: with_bias(key_heads * d_head),
            value: with_bias(key_heads * d_head),
            output: layer(heads * d_head, width, 0.5),
            feed_norm: constant(1.0),
            up: layer(width, d_hidden, 1.0),
            down: layer(d_hidden, width, 0.5),
        };
        HouseTransformer {
            embedding: normal(0.5).init([vocabulary, width], device),
            blocks: (0..layers).map(block).collect(),
            norm: constant(1.0),
            output: layer(width, vocabulary, 1.0),
            config: self.clone(),
        }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
    }
}

impl HouseTransformer {
    /// Logits of the token after each.
    ///
    /// # Shapes
    ///
    /// - tokens `[batch, tokens]`
    /// - output `[batch * tokens, vocabulary]`
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let [_, length] = tokens.dims();
        let HouseTransformerConfig { width, d_head, rotary_base, epsilon, .. } = self.config;
        let rotation = Rotation::new(0..length, d_head, rotary_base);
        let embedded = ops::embedding(self.embedding.val(), tokens, None);
        let seen = self.blocks.iter().fold(embedded, |x, block| block.forward(x, &rotation, &self.config));
        let normal = ops::rms_norm(rows(seen, width), self.norm.val(), epsilon);
        ops::linear_layer(&self.output, normal, Activation::None)
    }
}

impl Block {
    /// # Shapes
    ///
    /// - input, output `[batch, tokens, width]`
    fn forward(&self, input: Tensor<3>, rotation: &Rotation, config: &HouseTransformerConfig) -> Tensor<3> {
        let shape @ [batch, tokens, width] = input.dims();
        let &HouseTransformerConfig { heads, key_heads, epsilon, .. } = config;
        let normal = ops::rms_norm(rows(input.clone(), width), self.attention_norm.val(), epsilon);
        let smeared = rows(smear(normal.reshape(shape), self.smear.val()), width);
        let part = |layer: &Linear| {
            let part = ops::linear_layer(layer, smeared.clone(), Activation::None);
            let columns = part.dims()[1];
            part.reshape([batch, tokens, columns])
        };
        let (query, key) = (ops::rotate(part(&self.query), rotation), ops::rotate(part(&self.key), rotation));
        let found = ops::causal_attention(
            query,
            key,
            part(&self.value),
            Heads { queries: heads, keys: key_heads },
            config.scale(),
        );
        let columns = found.dims()[2];
        let found = ops::linear_layer(&self.output, rows(found, columns), Activation::None);
        let middle = ops::add(rows(input, width), found);
        let normal = ops::rms_norm(middle.clone(), self.feed_norm.val(), epsilon);
        let hidden = ops::linear_layer(&self.up, normal, Activation::Silu);
        ops::add(middle, ops::linear_layer(&self.down, hidden, Activation::None)).reshape(shape)
    }
}

/// Each token plus a share of the one before it; the first has none before it.
///
/// # Shapes
///
/// - input, output `[batch, tokens, width]`
/// - share `[width]`
fn smear(input: Tensor<3>, share: Tensor<1>) -> Tensor<3> {
    let [batch, tokens, width] = input.dims();
    let none = Tensor::zeros([batch, 1, width], &input.device());
    let before = Tensor::cat(vec![none, input.clone().narrow(1, 0, tokens - 1)], 1);
    input + before * share.unsqueeze()
}

fn rows(input: Tensor<3>, width: usize) -> Tensor<2> {
    input.reshape([-1, width as i32])
}

/// Keys and values of the tokens that one head of one layer remembers, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cache {
    /// `[cached, d_head]`, turned by the position of their token.
    pub keys: Vec<f32>,
    /// `[cached, d_head]`.
    pub values: Vec<f32>,
}

/// A [`HouseTransformer`] that reads one token at a time and remembers what it read. It computes on the CPU, for a token
/// alone is too little work for any other device.
#[derive(Clone, Debug)]
pub struct Decoder {
    config: HouseTransformerConfig,
    embedding: Vec<f32>,
    blocks: Vec<PlainBlock>,
    norm: Vec<f32>,
    output: Vec<f32>,
    /// What is remembered: a cache for each layer and head of keys. Whoever compresses it works on it in place.
    pub caches: Vec<Vec<Cache>>,
    /// The last token as each layer smears it, `[layers][width]`.
    before: Vec<Vec<f32>>,
    /// Tokens read.
    position: usize,
}

#[derive(Clone, Debug)]
struct PlainBlock {
    attention_norm: Vec<f32>,
    smear: Vec<f32>,
    /// Weight and bias of queries, of keys and of values.
    parts: [[Vec<f32>; 2]; 3],
    output: Vec<f32>,
    feed_norm: Vec<f32>,
    up: Vec<f32>,
    down: Vec<f32>,
}

impl Decoder {
    /// From the parameters of a [`HouseTransformer`] in visiting order, as [`super::adam::parameters`] reads them.
    pub fn new(config: HouseTransformerConfig, parameters: Vec<Vec<f32>>) -> Self {
        let mut parameters = parameters.into_iter();
        let mut next = || parameters.next().expect("a parameter for each part of each layer");
        let embedding = next();
        let block = |next: &mut dyn FnMut() -> Vec<f32>| PlainBlock {
            attention_norm: next(),
            smear: next(),
            parts: std::array::from_fn(|_| [next(), next()]),
            output: next(),
            feed_norm: next(),
            up: next(),
            down: next(),
        };
        let blocks = (0..config.layers).map(|_| block(&mut next)).collect();
        let (norm, output) = (next(), next());
        assert!(parameters.next().is_none(), "parameters of more layers than {}", config.layers);
        let caches = vec![vec![Cache::default(); config.key_heads]; config.layers];
        let before = vec![vec![0.0; config.width]; config.layers];
        Self { config, embedding, blocks, norm, output, caches, before, position: 0 }
    }

    /// Tokens read so far, whether they are still remembered or not.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.caches.iter_mut().flatten().for_each(|cache| *cache = Cache::default());
        self.before.iter_mut().for_each(|before| before.fill(0.0));
        self.position = 0;
    }

    /// Reads a token; gives the logits of the next, `[vocabulary]`.
    pub fn read(&mut self, token: usize) -> Vec<f32> {
        let HouseTransformerConfig {
            vocabulary, width, heads, key_heads, d_head, d_hidden, rotary_base, epsilon, ..
        } = self.config;
        let rotation = Rotation::new([self.position], d_head, rotary_base);
        let normal = |x: &[f32], gain: &[f32]| kernels::norm(Norm::RootMeanSquare, x, gain, &[], epsilon).0;
        let mut x = self.embedding[token * width..][..width].to_vec();
        for ((block, caches), before) in self.blocks.iter().zip(&mut self.caches).zip(&mut self.before) {
            let now = normal(&x, &block.attention_norm);
            let mut smeared = before.clone();
            kernels::multiply(&mut smeared, &block.smear);
            kernels::add(&mut smeared, &now);
            *before = now;
            let [mut query, mut key, value] = block.parts.each_ref().map(|[weight, bias]| {
                let mut part = bias.clone();
                add_times(&mut part, &smeared, weight);
                part
            });
            rotation.turn(&mut query, heads);
            rotation.turn(&mut key, key_heads);
            let parts = key.chunks_exact(d_head).zip(value.chunks_exact(d_head));
            for (cache, (key, value)) in caches.iter_mut().zip(parts) {
                cache.keys.extend_from_slice(key);
                cache.values.extend_from_slice(value);
            }
            let mut found = vec![0.0; heads * d_head];
            for (head, (query, found)) in query.chunks_exact(d_head).zip(found.chunks_exact_mut(d_head)).enumerate() {
                let Cache { keys, values } = &caches[head / (heads / key_heads)];
                let mut weights = vec![0.0; keys.len() / d_head];
                kernels::attend(query, [keys, values, &[]], self.config.scale(), &mut weights, found);
            }
            add_times(&mut x, &found, &block.output);
            let mut hidden = vec![0.0; d_hidden];
            add_times(&mut hidden, &normal(&x, &block.feed_norm), &block.up);
            add_times(&mut x, &kernels::silu(&hidden), &block.down);
        }
        self.position += 1;
        let mut logits = vec![0.0; vocabulary];
        add_times(&mut logits, &normal(&x, &self.norm), &self.output);
        logits
    }
}

/// Adds a row times a matrix.
///
/// # Shapes
///
/// - sum `[n]`, row `[k]`, weight `[k, n]`
fn add_times(sum: &mut [f32], row: &[f32], weight: &[f32]) {
    let (k, n) = (row.len(), sum.len());
    kernels::add_product(Matrix::new(row, 1, k), Matrix::new(weight, k, n), MatrixMut::new(sum, 1, n));
}
