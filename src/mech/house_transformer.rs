//! A small decoder of language models' usual parts, trained from nothing in the page: what a cache of keys and values is
//! studied in.
//!
//! Root-mean-square norm before each part, rotary positions, a feed-forward layer with SiLU, and a *token smear* before
//! queries, keys and values, by which a token knows the one before it. Nothing here counts on how many layers, heads or
//! tokens there are, nor on as many heads of keys as of queries.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;

pub use super::kv_cache::Cache;
use super::kv_cache::{Layer, LayerShape};
use super::ops::{self, Activation, Heads, Rotation};
use super::quantizer::exaggerate;
use kernels::{AttentionShape, Matrix, MatrixMut, Norm};

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
    /// The share of the token before that each token begins with.
    #[config(default = 0.5)]
    pub smear: f64,
    /// Whether that share is learned.
    #[config(default = true)]
    pub learns_smear: bool,
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
    /// its output; biases are uniform within 1 / √inputs, smears as the configuration says, gains 1.
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
            smear: constant(self.smear).set_require_grad(self.learns_smear),
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

    /// # Shapes
    ///
    /// - x, output `[rows, width]`, gain `[width]`
    fn norm(&self, x: &[f32], gain: &[f32]) -> Vec<f32> {
        kernels::norm(Norm::RootMeanSquare, x, gain, &[], self.epsilon).0
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
        self.run(tokens, |_, _| ())
    }

    /// The same, and how much each token looks at each in every layer.
    ///
    /// # Shapes
    ///
    /// - tokens `[batch, tokens]`
    /// - output `[batch * tokens, vocabulary]`, and for each layer `[batch, heads, tokens, tokens]`
    pub fn look(&self, tokens: Tensor<2, Int>) -> (Tensor<2>, Vec<Tensor<4>>) {
        let HouseTransformerConfig { heads, key_heads, .. } = self.config;
        let mut looks = Vec::with_capacity(self.blocks.len());
        let logits = self.run(tokens, |query, key| {
            let heads = Heads { queries: heads, keys: key_heads };
            looks.push(ops::attention_weights(query.clone(), key.clone(), heads, self.config.scale()));
        });
        (logits, looks)
    }

    /// [`forward`](Self::forward), with a glance at the queries and keys of each layer.
    fn run(&self, tokens: Tensor<2, Int>, mut glance: impl FnMut(&Tensor<3>, &Tensor<3>)) -> Tensor<2> {
        let [_, length] = tokens.dims();
        let HouseTransformerConfig { width, d_head, rotary_base, epsilon, .. } = self.config;
        let rotation = Rotation::new(0..length, d_head, rotary_base);
        let embedded = ops::embedding(self.embedding.val(), tokens, None);
        let step = |x, block: &Block| block.forward(x, &rotation, &self.config, &mut glance);
        let seen = self.blocks.iter().fold(embedded, step);
        let normal = ops::rms_norm(rows(seen, width), self.norm.val(), epsilon);
        ops::linear_layer(&self.output, normal, Activation::None)
    }
}

impl Block {
    /// # Shapes
    ///
    /// - input, output `[batch, tokens, width]`
    fn forward(
        &self,
        input: Tensor<3>,
        rotation: &Rotation,
        config: &HouseTransformerConfig,
        glance: &mut impl FnMut(&Tensor<3>, &Tensor<3>),
    ) -> Tensor<3> {
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
        glance(&query, &key);
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

/// A [`HouseTransformer`] that remembers what it read: a prompt at once, then a token at a time. It computes on the CPU, for
/// a token alone is too little work for any other device.
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
    /// Where the next token stands.
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

    pub fn config(&self) -> &HouseTransformerConfig {
        &self.config
    }

    /// Enlarges a pair of channels of each head's keys and shrinks those of its queries: the same function, with outliers.
    /// See [`exaggerate`](super::quantizer::exaggerate).
    ///
    /// # Shapes
    ///
    /// - pairs `[layers][key_heads]`
    pub fn exaggerate(&mut self, pairs: &[Vec<usize>], severity: f32) {
        let heads = Heads { queries: self.config.heads, keys: self.config.key_heads };
        for (block, pairs) in self.blocks.iter_mut().zip(pairs) {
            let [query, key, _] = &mut block.parts;
            let [query, key] = [query, key].map(|[weight, bias]| [&mut weight[..], &mut bias[..]]);
            exaggerate(query, key, heads, pairs, severity);
        }
    }

    /// Where the next token stands: behind all that were read, whether they are still remembered or not, unless it was
    /// told otherwise.
    pub fn position(&self) -> usize {
        self.position
    }

    /// By how much a step of one position turns each pair of numbers of a key, `[d_head / 2]`.
    pub fn frequencies(&self) -> Vec<f64> {
        Rotation::frequencies(self.config.d_head, self.config.rotary_base)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.caches.iter_mut().flatten().for_each(|cache| *cache = Cache::default());
        self.before.iter_mut().for_each(|before| before.fill(0.0));
        self.position = 0;
    }

    /// Reads a token; gives the logits of the next, `[vocabulary]`.
    pub fn read(&mut self, token: usize) -> Vec<f32> {
        self.read_observed(token, |_, _, _| {})
    }

    /// The same, and tells how much the token looked at each that is remembered: `observe` is called with each layer, each
    /// head of queries in it, and its weights, `[cached]`, of which the last is the token's own.
    pub fn read_observed(&mut self, token: usize, mut observe: impl FnMut(usize, usize, &[f32])) -> Vec<f32> {
        let HouseTransformerConfig { width, heads, key_heads, d_head, rotary_base, .. } = self.config;
        let rotation = Rotation::new([self.position], d_head, rotary_base);
        let mut x = self.embedding[token * width..][..width].to_vec();
        let layers = self.blocks.iter().zip(&mut self.caches).zip(&mut self.before);
        for (layer, ((block, caches), before)) in layers.enumerate() {
            let now = self.config.norm(&x, &block.attention_norm);
            let [mut query, mut key, value] = block.project(&now, before);
            *before = now;
            rotation.turn(&mut query, heads);
            rotation.turn(&mut key, key_heads);
            let parts = key.chunks_exact(d_head).zip(value.chunks_exact(d_head));
            for (cache, (key, value)) in caches.iter_mut().zip(parts) {
                cache.push(key, value);
            }
            let mut found = vec![0.0; heads * d_head];
            for (head, (query, found)) in query.chunks_exact(d_head).zip(found.chunks_exact_mut(d_head)).enumerate() {
                let Cache { keys, values, log_mass } = &caches[head / (heads / key_heads)];
                let mut weights = vec![0.0; keys.len() / d_head];
                kernels::attend(query, [keys, values, log_mass], self.config.scale(), &mut weights, found);
                observe(layer, head, &weights);
            }
            block.finish(&mut x, &found, &self.config);
        }
        self.position += 1;
        self.logits(&x)
    }

    /// Forgets everything, and reads a prompt at once: the same as token by token, and faster by far.
    ///
    /// What it gives holds all that the prompt's tokens are to each layer, so that one reading serves any number of
    /// compressions, each of which [`Self::resume`] goes on from. The decoder itself remembers the whole prompt.
    pub fn prefill(&mut self, tokens: &[usize]) -> PromptReading {
        assert!(!tokens.is_empty(), "a prompt has at least one token");
        let HouseTransformerConfig { width, heads, key_heads, d_head, rotary_base, .. } = self.config;
        let shape = LayerShape { query_heads: heads, key_heads, tokens: tokens.len(), d_head };
        let rotation = Rotation::new(0..tokens.len(), d_head, rotary_base);
        let mut x = kernels::embedding(&self.embedding, &[], tokens, width);
        let read = |block: &PlainBlock| {
            let hidden = x.clone();
            let inputs = self.config.norm(&x, &block.attention_norm);
            let [mut query, plain_key, value] = block.project(&inputs, &vec![0.0; width]);
            let mut key = plain_key.clone();
            rotation.turn(&mut query, heads);
            rotation.turn(&mut key, key_heads);
            let every = AttentionShape {
                batch: 1,
                queries: tokens.len(),
                keys: tokens.len(),
                heads,
                key_heads,
                d_key: d_head,
                d_value: d_head,
            };
            let [found, attention] = kernels::attention(&query, &key, &value, every, self.config.scale());
            block.finish(&mut x, &found, &self.config);
            let [plain_keys, keys, values] = [plain_key, key, value].map(|rows| by_head(&rows, key_heads, d_head));
            let queries = by_head(&query, heads, d_head);
            LayerReading { shape, hidden, attention, queries, plain_keys, keys, values, inputs }
        };
        let layers = self.blocks.iter().map(read).collect();
        let reading = PromptReading { logits: self.logits(&x), layers };
        self.resume(&reading, tokens.len(), reading.caches());
        reading
    }

    /// Goes on as if the first `position` tokens of a prompt had been read, and these caches were what is remembered.
    ///
    /// One less than all its tokens serves to read the last once more, over caches that are not to hold it
    /// ([`Layer::caches`]).
    pub fn resume(&mut self, reading: &PromptReading, position: usize, caches: Vec<Vec<Cache>>) {
        let HouseTransformerConfig { width, layers, key_heads, .. } = self.config;
        assert!(
            caches.len() == layers && caches.iter().all(|caches| caches.len() == key_heads),
            "a cache for each head"
        );
        let before = |layer: &LayerReading| match position {
            0 => vec![0.0; width],
            _ => layer.inputs[(position - 1) * width..][..width].to_vec(),
        };
        self.before = reading.layers.iter().map(before).collect();
        (self.caches, self.position) = (caches, position);
    }

    /// Lets the next token stand at another position than behind all that was read: after the last key of caches that
    /// were renumbered.
    pub fn stand_at(&mut self, position: usize) {
        self.position = position;
    }

    /// What comes into the first layer.
    ///
    /// # Shapes
    ///
    /// - output `[tokens, width]`
    pub(super) fn embed(&self, tokens: &[usize]) -> Vec<f32> {
        kernels::embedding(&self.embedding, &[], tokens, self.config.width)
    }

    /// Queries, keys and values of a layer, none of them turned, and the last token as it smears the next.
    ///
    /// # Shapes
    ///
    /// - x `[rows, width]`, before `[width]`
    /// - output `[rows, heads * d_head]`, twice `[rows, key_heads * d_head]`, and `[width]`
    pub(super) fn project(&self, layer: usize, x: &[f32], before: &[f32]) -> ([Vec<f32>; 3], Vec<f32>) {
        let inputs = self.config.norm(x, &self.blocks[layer].attention_norm);
        let parts = self.blocks[layer].project(&inputs, before);
        (parts, inputs[inputs.len() - self.config.width..].to_vec())
    }

    /// Adds what the attention of a layer found, then what its feed-forward layer makes of both.
    ///
    /// # Shapes
    ///
    /// - x `[rows, width]`, found `[rows, heads * d_head]`
    pub(super) fn finish(&self, layer: usize, x: &mut [f32], found: &[f32]) {
        self.blocks[layer].finish(x, found, &self.config);
    }

    /// # Shapes
    ///
    /// - x `[rows, width]`, output `[rows, vocabulary]`
    pub(super) fn logits(&self, x: &[f32]) -> Vec<f32> {
        let mut logits = vec![0.0; x.len() / self.config.width * self.config.vocabulary];
        add_times(&mut logits, &self.config.norm(x, &self.norm), &self.output, self.config.width);
        logits
    }
}

impl PlainBlock {
    /// Queries, keys and values of rows that follow the row `before`, none of them turned.
    ///
    /// # Shapes
    ///
    /// - normal `[rows, width]`, before `[width]`
    /// - output `[rows, heads * d_head]`, and twice `[rows, key_heads * d_head]`
    fn project(&self, normal: &[f32], before: &[f32]) -> [Vec<f32>; 3] {
        let width = before.len();
        let mut smeared = [before, &normal[..normal.len() - width]].concat();
        smeared.chunks_exact_mut(width).for_each(|row| kernels::multiply(row, &self.smear));
        kernels::add(&mut smeared, normal);
        self.parts.each_ref().map(|[weight, bias]| {
            let weight = Matrix::new(weight, width, bias.len());
            kernels::linear(Matrix::new(&smeared, smeared.len() / width, width), weight, bias, Activation::None).0
        })
    }

    /// Adds what attention found, then what the feed-forward layer makes of both.
    ///
    /// # Shapes
    ///
    /// - x `[rows, width]`, found `[rows, heads * d_head]`
    fn finish(&self, x: &mut [f32], found: &[f32], config: &HouseTransformerConfig) {
        let HouseTransformerConfig { width, heads, d_head, d_hidden, .. } = *config;
        add_times(x, found, &self.output, heads * d_head);
        let mut hidden = vec![0.0; x.len() / width * d_hidden];
        add_times(&mut hidden, &config.norm(x, &self.feed_norm), &self.up, width);
        add_times(x, &kernels::silu(&hidden), &self.down, d_hidden);
    }
}

/// What a [`Decoder`] found in a prompt that it read at once.
#[derive(Clone, Debug)]
pub struct PromptReading {
    /// Of the token after each, `[tokens, vocabulary]`.
    pub logits: Vec<f32>,
    pub layers: Vec<LayerReading>,
}

/// What the tokens of a prompt are to one layer.
#[derive(Clone, Debug)]
pub struct LayerReading {
    pub shape: LayerShape,
    /// What comes in, before it is normalized, `[tokens, width]`.
    pub hidden: Vec<f32>,
    /// How much each token looks at each, `[heads, tokens, tokens]`: a row for each query, zero after itself.
    pub attention: Vec<f32>,
    /// `[heads, tokens, d_head]`, turned by their positions.
    pub queries: Vec<f32>,
    /// `[key_heads, tokens, d_head]`, as the layer computes them, before they are turned.
    pub plain_keys: Vec<f32>,
    /// `[key_heads, tokens, d_head]`, turned by their positions: what a cache holds.
    pub keys: Vec<f32>,
    /// `[key_heads, tokens, d_head]`.
    pub values: Vec<f32>,
    /// The normalized inputs, `[tokens, width]`: the next token is smeared with the last of them.
    inputs: Vec<f32>,
}

impl PromptReading {
    /// What a compression of this layer works on. It may look at the last `rows` queries by themselves.
    pub fn layer(&self, index: usize, rows: usize) -> Layer {
        let LayerReading { shape, attention, keys, values, .. } = &self.layers[index];
        Layer::after_prompt(index, *shape, attention, [keys, values], rows)
    }

    /// The same of every layer.
    pub fn kv_layers(&self, rows: usize) -> Vec<Layer> {
        (0..self.layers.len()).map(|index| self.layer(index, rows)).collect()
    }

    /// The whole prompt, as a decoder remembers it.
    pub fn caches(&self) -> Vec<Vec<Cache>> {
        let of = |layer: &LayerReading| {
            let size = layer.shape.tokens * layer.shape.d_head;
            let own = |numbers: &[f32], head: usize| numbers[head * size..][..size].to_vec();
            let cache = |head: usize| Cache {
                keys: own(&layer.keys, head),
                values: own(&layer.values, head),
                log_mass: vec![],
            };
            (0..layer.shape.key_heads).map(cache).collect()
        };
        self.layers.iter().map(of).collect()
    }
}

/// Lays the rows of each head together.
///
/// # Shapes
///
/// - rows `[tokens, heads * d_head]`, output `[heads, tokens, d_head]`
fn by_head(rows: &[f32], heads: usize, d_head: usize) -> Vec<f32> {
    let of = |head: usize| rows.chunks_exact(d_head).skip(head).step_by(heads);
    (0..heads).flat_map(of).collect::<Vec<_>>().concat()
}

/// Adds some rows times a matrix.
///
/// # Shapes
///
/// - sum `[m, n]`, rows `[m, k]`, weight `[k, n]`
fn add_times(sum: &mut [f32], rows: &[f32], weight: &[f32], k: usize) {
    let (m, n) = (rows.len() / k, weight.len() / k);
    kernels::add_product(Matrix::new(rows, m, k), Matrix::new(weight, k, n), MatrixMut::new(sum, m, n));
}
