//! Stochastic gradient descent, as it is: what the papers before Adam's reign were trained by.

use burn::backend::Flex;
use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use kernels::SgdStep;

use super::adam::{clip, flex, replace};
use super::ops::numbers;

/// What stays the same in every step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    /// How much of each parameter a step takes away, times the rate.
    pub decay: f64,
    /// The greatest length of all gradients together; longer ones are scaled down to it.
    pub clip: Option<f64>,
}

impl Sgd {
    /// Moves the parameters of `module` by `rate` times their gradients. Those without a gradient stay.
    ///
    /// The module is taken and given back, because a parameter that has no second owner is updated in place.
    pub fn step<M: Module>(&self, rate: f64, module: M, gradients: GradientsParams) -> M {
        let (scale, scale_tensor) = clip(&module, &gradients, self.clip);
        let numbers = SgdStep { rate: (rate * scale) as f32, keep: (1.0 - rate * self.decay) as f32 };
        module.map(&mut Descend { numbers, scale: scale_tensor, gradients })
    }
}

struct Descend {
    numbers: SgdStep,
    scale: Option<Tensor<1>>,
    gradients: GradientsParams,
}

impl ModuleMapper for Descend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let (step, scale) = (self.numbers, self.scale.clone());
        param.map(|old| {
            replace(old, |old| match flex(old) {
                Ok(mut old) => {
                    let gradient = flex(gradient).expect("a gradient lies where its parameter lies");
                    kernels::sgd(&step, old.storage_mut(), numbers(&gradient));
                    Tensor::from_primitive::<Flex>(old)
                }
                Err(old) => {
                    let gradient = match scale {
                        Some(scale) => gradient * scale.reshape([1; D]),
                        None => gradient,
                    };
                    old * step.keep - gradient * step.rate
                }
            })
        })
    }
}
