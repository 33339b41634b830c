//! Stochastic gradient descent, as it is: what the papers before Adam's reign were trained by.

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::adam::replace;

/// Moves the parameters of `module` by `rate` times their gradients, and takes `decay` times the rate of each away.
/// Those without a gradient stay.
pub fn step<M: Module>(rate: f64, decay: f64, module: M, gradients: GradientsParams) -> M {
    module.map(&mut Descend { rate, keep: 1.0 - rate * decay, gradients })
}

struct Descend {
    rate: f64,
    keep: f64,
    gradients: GradientsParams,
}

impl ModuleMapper for Descend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let (rate, keep) = (self.rate, self.keep);
        param.map(|old| replace(old, |old| old * keep - gradient * rate))
    }
}
