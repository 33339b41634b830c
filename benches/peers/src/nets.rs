//! The networks that are trained, as a lab would write them.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};
use heads_and_tails::mech::ops::{self, Activation, Heads};

use crate::given::w3::{HEADS, LAYERS, TOKENS, VOCABULARY, WIDTH};

/// What PyTorch adds to a variance.
const EPSILON: f32 = 1e-5;

/// Linear layers with one function between them.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    pub fn new(widths: &[usize], device: &Device) -> Self {
        Self { layers: widths.windows(2).map(|pair| LinearConfig::new(pair[0], pair[1]).init(device)).collect() }
    }

    /// # Shapes
    ///
    /// - x `[batch, d_input]`
    /// - output `[batch, d_output]`
    pub fn forward(&self, x: Tensor<2>, between: Activation) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let each = self.layers.iter().enumerate();
        each.fold(x, |x, (number, layer)| {
            ops::linear_layer(layer, x, if number < last { between } else { Activation::None })
        })
    }
}

/// A decoder with learned positions and layer norm before each part.
#[derive(Module, Debug)]
pub struct Transformer {
    embedding: Param<Tensor<2>>, // [vocabulary, width]
    position: Param<Tensor<2>>,  // [tokens, width]
    blocks: Vec<Block>,
    norm: Norm,
    head: Linear,
}

#[derive(Module, Debug)]
struct Block {
    norm: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    feed_norm: Norm,
    up: Linear,
    down: Linear,
}

#[derive(Module, Debug)]
struct Norm {
    gain: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl Transformer {
    pub fn new(device: &Device) -> Self {
        let table = |rows: usize| Initializer::Zeros.init([rows, WIDTH], device);
        let layer = |inputs: usize, outputs: usize| LinearConfig::new(inputs, outputs).init(device);
        let norm =
            || Norm { gain: Initializer::Ones.init([WIDTH], device), bias: Initializer::Zeros.init([WIDTH], device) };
        let block = |_| Block {
            norm: norm(),
            query: layer(WIDTH, WIDTH),
            key: layer(WIDTH, WIDTH),
            value: layer(WIDTH, WIDTH),
            output: layer(WIDTH, WIDTH),
            feed_norm: norm(),
            up: layer(WIDTH, 4 * WIDTH),
            down: layer(4 * WIDTH, WIDTH),
        };
        Self {
            embedding: table(VOCABULARY),
            position: table(TOKENS),
            blocks: (0..LAYERS).map(block).collect(),
            norm: norm(),
            head: layer(WIDTH, VOCABULARY),
        }
    }

    /// Logits of the token after each.
    ///
    /// # Shapes
    ///
    /// - tokens `[batch, tokens]`
    /// - output `[batch * tokens, vocabulary]`
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let [batch, length] = tokens.dims();
        let embedded = ops::embedding(self.embedding.val(), tokens, Some(self.position.val()));
        let rows = embedded.reshape([batch * length, WIDTH]);
        let seen = self.blocks.iter().fold(rows, |rows, block| block.forward(rows, batch));
        ops::linear_layer(&self.head, self.norm.forward(seen), Activation::None)
    }
}

impl Block {
    /// # Shapes
    ///
    /// - rows, output `[batch * tokens, width]`
    fn forward(&self, rows: Tensor<2>, batch: usize) -> Tensor<2> {
        let shape @ [count, width] = rows.dims();
        let normal = self.norm.forward(rows.clone());
        let [query, key, value] = [&self.query, &self.key, &self.value].map(|layer| {
            ops::linear_layer(layer, normal.clone(), Activation::None).reshape([batch, count / batch, width])
        });
        let scale = 1.0 / ((WIDTH / HEADS) as f32).sqrt();
        let found = ops::causal_attention(query, key, value, Heads::each(HEADS), scale).reshape(shape);
        let rows = ops::add(rows, ops::linear_layer(&self.output, found, Activation::None));
        let up = ops::linear_layer(&self.up, self.feed_norm.forward(rows.clone()), Activation::Gelu);
        ops::add(rows, ops::linear_layer(&self.down, up, Activation::None))
    }
}

impl Norm {
    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        ops::layer_norm(rows, self.gain.val(), self.bias.val(), EPSILON)
    }
}
