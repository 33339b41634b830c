//! A plain multilayer perceptron: what stands before a head.

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::prelude::*;

use super::ops::{self, Activation};

/// Linear layers with a rectifier after each; see [`PerceptronConfig::init`].
#[derive(Module, Debug)]
pub struct Perceptron {
    embedding: Option<Linear>,
    layers: Vec<Linear>,
}

#[derive(Config, Debug)]
pub struct PerceptronConfig {
    /// Widths from the input to the features that the head sees.
    pub widths: Vec<usize>,
    /// The first layer embeds a one-hot input: normal weights, no bias and no rectifier.
    #[config(default = false)]
    pub embeds: bool,
}

impl PerceptronConfig {
    /// Weights as Burn's linear layers start, which is how PyTorch's do; an embedding's are standard normal, likewise.
    pub fn init(&self, device: &Device) -> Perceptron {
        let layer = |pair: &[usize]| LinearConfig::new(pair[0], pair[1]).init(device);
        let embedding = self.embeds.then(|| {
            let config = LinearConfig::new(self.widths[0], self.widths[1]).with_bias(false);
            config.with_initializer(Initializer::Normal { mean: 0.0, std: 1.0 }).init(device)
        });
        let first = usize::from(self.embeds);
        Perceptron { embedding, layers: self.widths[first..].windows(2).map(layer).collect() }
    }
}

impl Perceptron {
    /// # Shapes
    ///
    /// - input `[batch, widths[0]]`
    /// - output `[batch, widths[last]]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let input = match &self.embedding {
            Some(embedding) => ops::linear_layer(embedding, input, Activation::None),
            None => input,
        };
        self.layers.iter().fold(input, |hidden, layer| ops::linear_layer(layer, hidden, Activation::Relu))
    }
}
