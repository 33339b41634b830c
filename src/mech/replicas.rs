//! Several networks of one shape in one tensor, a replica each: many seeds or settings trained for the dispatches of one.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::adam::{flattened, replace};
use super::ops::{self, Activation};

/// A linear layer in each of several networks.
#[derive(Module, Debug)]
pub struct LinearEach {
    pub weight: Param<Tensor<3>>, // [replicas, d_input, d_output]
    pub bias: Param<Tensor<2>>,   // [replicas, d_output]
}

impl LinearEach {
    /// A layer of one network, which has a bias.
    pub fn new(layer: Linear) -> Self {
        let bias = layer.bias.expect("the layers of a classifier have biases");
        Self { weight: alone(layer.weight), bias: alone(bias) }
    }

    /// # Shapes
    ///
    /// - input `[replicas, batch, d_input]`
    /// - output `[replicas, batch, d_output]`
    pub fn forward(&self, input: Tensor<3>, activation: Activation) -> Tensor<3> {
        ops::linear_each(input, self.weight.val(), self.bias.val(), activation)
    }
}

/// A parameter of one network, as that of the first replica. It is drawn here, if it was not yet.
///
/// # Shapes
///
/// - output `[1, ...]`
pub fn alone<const D: usize, const E: usize>(param: Param<Tensor<D>>) -> Param<Tensor<E>> {
    Param::from_tensor(param.val().unsqueeze_dim(0).detach())
}

/// Networks of one shape side by side, in this order: every parameter's first dimension counts their replicas.
pub fn side_by_side<M: Module>(networks: Vec<M>) -> M {
    let mut networks = networks.into_iter();
    let first = networks.next().expect("there is a network");
    let others = networks.map(|network| flattened(&network)).collect();
    first.map(&mut Join { others, next: 0 })
}

struct Join {
    others: Vec<Vec<Tensor<1>>>,
    next: usize,
}

impl ModuleMapper for Join {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let others = self.others.iter().map(|numbers| numbers[self.next].clone());
        let param = param.map(|old| {
            replace(old, |old| {
                let mut shape = old.dims();
                shape[0] *= 1 + others.len();
                let parts = std::iter::once(old.reshape([-1])).chain(others).collect();
                Tensor::cat(parts, 0).reshape(shape)
            })
        });
        self.next += 1;
        param
    }
}
