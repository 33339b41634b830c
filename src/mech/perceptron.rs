//! A plain multilayer perceptron: what stands before a head.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;

use super::ops::{self, Activation};

/// Linear layers with a rectifier after each; see [`PerceptronConfig::init`].
#[derive(Module, Debug)]
pub struct Perceptron {
    layers: Vec<Linear>,
}

#[derive(Config, Debug)]
pub struct PerceptronConfig {
    /// Widths from the input to the features that the head sees.
    pub widths: Vec<usize>,
}

impl PerceptronConfig {
    /// Weights as Burn's linear layers start, which is how PyTorch's do.
    pub fn init(&self, device: &Device) -> Perceptron {
        let layer = |pair: &[usize]| LinearConfig::new(pair[0], pair[1]).init(device);
        Perceptron { layers: self.widths.windows(2).map(layer).collect() }
    }
}

impl Perceptron {
    /// # Shapes
    ///
    /// - input `[batch, widths[0]]`
    /// - output `[batch, widths[last]]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.layers.iter().fold(input, |hidden, layer| ops::linear_layer(layer, hidden, Activation::Relu))
    }
}
