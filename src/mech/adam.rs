//! The Adam optimizer over the parameters of any module, and the way of parameters and moments to plain numbers.
//!
//! Apart from Burn's own because that one makes a dozen temporaries a parameter, and names its moments by random
//! ids, so that a saved run could not be resumed by a module built anew. Here the order in which a module shows its
//! parameters is their only name.

use burn::backend::flex::FlexTensor;
use burn::backend::{ExecutionError, Flex};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use kernels::AdamStep;

use super::ops::{numbers, on_flex, whole};

/// What stays the same in every step.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamConfig {
    /// How much of the mean of gradients is kept (β₁ in the paper).
    pub beta_1: f64,
    /// How much of the mean of squared gradients is kept (β₂).
    pub beta_2: f64,
    /// Keeps the divisor from zero (ε).
    pub epsilon: f64,
    /// How much of each parameter a step takes away, times the rate (AdamW).
    pub decay: f64,
    /// The greatest length of all gradients together; longer ones are scaled down to it.
    pub clip: Option<f64>,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, decay: 0.0, clip: None }
    }
}

/// An optimizer for one module. Its moments are those of the module's parameters in visiting order.
#[derive(Clone, Debug)]
pub struct Adam {
    config: AdamConfig,
    step: u64,
    moments: Vec<Moments>,
}

/// Means of the gradients and of their squares.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each parameter, next to which both are small")]
enum Moments {
    /// Those of a parameter on the CPU; of one that has had no gradient yet, empty.
    Numbers([Vec<f32>; 2]),
    /// Those of a parameter on another device.
    Tensors([Tensor<1>; 2]),
}

/// An optimizer as plain numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdamState {
    /// Steps taken.
    pub step: u64,
    /// The two moments of each parameter, in visiting order; empty where none had a gradient yet.
    pub moments: Vec<[Vec<f32>; 2]>,
}

impl Adam {
    pub fn new(config: AdamConfig) -> Self {
        Self { config, step: 0, moments: vec![] }
    }

    /// Moves the parameters of `module` by one step. Those without a gradient stay.
    ///
    /// The module is taken and given back, because a parameter that has no second owner is updated in place.
    pub fn step<M: Module>(&mut self, rate: f64, module: M, gradients: GradientsParams) -> M {
        self.step += 1;
        let (scale, scale_tensor) = clip(&module, &gradients, self.config.clip);
        let AdamConfig { beta_1, beta_2, epsilon, decay, .. } = self.config;
        // Not `powf`, whose last bit differs between machines.
        let left = |beta: f64| 1.0 - libm::pow(beta, self.step as f64);
        let numbers = AdamStep {
            beta_1: beta_1 as f32,
            beta_2: beta_2 as f32,
            rest_1: (1.0 - beta_1) as f32,
            rest_2: (1.0 - beta_2) as f32,
            rate: (rate / left(beta_1)) as f32,
            root: left(beta_2).sqrt() as f32,
            epsilon: epsilon as f32,
            keep: (1.0 - rate * decay) as f32,
            scale: scale as f32,
        };
        let mut update = Update { numbers, scale: scale_tensor, gradients, moments: &mut self.moments, next: 0 };
        module.map(&mut update)
    }

    /// [`Adam::step`] for a module that cannot be taken: its parameters are copied once.
    pub fn step_on<M: Module>(&mut self, rate: f64, module: &mut M, gradients: GradientsParams) {
        *module = self.step(rate, module.clone(), gradients);
    }

    /// The optimizer as plain numbers.
    ///
    /// # Errors
    ///
    /// When the device is lost.
    pub async fn state(&self) -> Result<AdamState, ExecutionError> {
        let mut moments = Vec::with_capacity(self.moments.len());
        for pair in &self.moments {
            moments.push(match pair {
                Moments::Numbers(pair) => pair.clone(),
                Moments::Tensors(pair) => {
                    let [first, second]: [Vec<f32>; 2] =
                        read_all(pair.to_vec()).await?.try_into().expect("two tensors are read as two lists");
                    [first, second]
                }
            });
        }
        Ok(AdamState { step: self.step, moments })
    }

    /// Goes on from a saved state. The moments reach the parameters' device with the next step.
    pub fn load(&mut self, state: &AdamState) {
        self.step = state.step;
        self.moments = state.moments.iter().cloned().map(Moments::Numbers).collect();
    }
}

/// The module's parameters as plain numbers, in visiting order.
///
/// # Errors
///
/// When the device is lost.
pub async fn parameters<M: Module>(module: &M) -> Result<Vec<Vec<f32>>, ExecutionError> {
    read_all(flattened(module)).await
}

/// The module's parameters as lists of numbers on their device, in visiting order.
pub(super) fn flattened<M: Module>(module: &M) -> Vec<Tensor<1>> {
    let mut tensors = Flatten(vec![]);
    module.visit(&mut tensors);
    tensors.0
}

/// The module with these numbers for its parameters, in visiting order.
pub fn load_parameters<M: Module>(module: M, parameters: &[Vec<f32>]) -> M {
    let mut load = Load { parameters, next: 0 };
    let module = module.map(&mut load);
    assert_eq!(load.next, parameters.len(), "a module of {} parameters got {}", load.next, parameters.len());
    module
}

/// Numbers of many tensors by one reading, for each costs a round trip to the device.
///
/// # Errors
///
/// When the device is lost.
pub async fn read_all(tensors: Vec<Tensor<1>>) -> Result<Vec<Vec<f32>>, ExecutionError> {
    let lengths: Vec<usize> = tensors.iter().map(|tensor| tensor.dims()[0]).collect();
    if tensors.is_empty() {
        return Ok(vec![]);
    }
    let data = Tensor::cat(tensors, 0).into_data_async().await?;
    let all = data.try_to_vec::<f32>().map_err(|error| ExecutionError::WithContext { reason: format!("{error:?}") })?;
    let mut rest = &all[..];
    let mut take = |length: usize| {
        let (first, others) = rest.split_at(length);
        rest = others;
        first.to_vec()
    };
    Ok(lengths.into_iter().map(&mut take).collect())
}

/// Collects every parameter as a list of numbers on its device.
struct Flatten(Vec<Tensor<1>>);

impl ModuleVisitor for Flatten {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().without_autodiff().reshape([-1]));
    }
}

struct Load<'a> {
    parameters: &'a [Vec<f32>],
    next: usize,
}

impl ModuleMapper for Load<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let index = self.next;
        self.next += 1;
        let Some(numbers) = self.parameters.get(index) else {
            return param;
        };
        param.map(|old| {
            let shape = old.dims();
            let (got, want) = (numbers.len(), shape.iter().product::<usize>());
            assert_eq!(got, want, "parameter {index} of shape {shape:?} got {got} numbers");
            let data = TensorData::new(numbers.clone(), shape);
            replace(old, |old| Tensor::from_data(data, &old.device()))
        })
    }
}

/// Applies `f` below the tape, and lets the tape see the result as it saw `old`.
pub(super) fn replace<const D: usize>(old: Tensor<D>, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    let (tracked, strategy) = (old.is_require_grad(), old.gradient_checkpointing_strategy());
    let new = f(old.without_autodiff());
    let Some(strategy) = strategy else {
        return new;
    };
    new.autodiff().with_gradient_checkpointing_strategy(strategy).set_require_grad(tracked)
}

/// What brings all gradients together to a length of at most `limit`: for those on the CPU, and for those elsewhere.
pub(super) fn clip<M: Module>(module: &M, gradients: &GradientsParams, limit: Option<f64>) -> (f64, Option<Tensor<1>>) {
    let Some(limit) = limit else { return (1.0, None) };
    let mut length = Length { gradients, numbers: 0.0, tensors: None };
    module.visit(&mut length);
    // A square on another device stays there: to read it would stop the device.
    let tensor = length.tensors.map(|squares| (squares.sqrt() + 1e-6).recip().mul_scalar(limit).clamp_max(1.0));
    ((limit / (length.numbers.sqrt() + 1e-6)).min(1.0), tensor)
}

/// Adds up the squares of all gradients.
struct Length<'a> {
    gradients: &'a GradientsParams,
    numbers: f64,
    tensors: Option<Tensor<1>>,
}

impl ModuleVisitor for Length<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else {
            return;
        };
        match flex(gradient) {
            Ok(gradient) => self.numbers += kernels::sum_of_squares(numbers(&gradient)),
            Err(gradient) => {
                let squares = (gradient.clone() * gradient).sum();
                self.tensors = Some(match self.tensors.take() {
                    Some(sum) => sum + squares,
                    None => squares,
                });
            }
        }
    }
}

/// The tensor as the CPU's own, whole; or itself, where it lies elsewhere.
#[expect(clippy::result_large_err, reason = "the tensor itself is handed back, and moving it costs nothing that shows")]
pub(super) fn flex<const D: usize>(tensor: Tensor<D>) -> Result<FlexTensor, Tensor<D>> {
    let tensor = tensor.into_dispatch();
    if !on_flex(&tensor) {
        return Err(Tensor::from_dispatch(tensor));
    }
    let tensor = Tensor::<D>::from_dispatch(tensor).try_into_primitive::<Flex>();
    Ok(whole(tensor.expect("a tensor on the CPU, without a tape, is the CPU's own")))
}

struct Update<'a> {
    numbers: AdamStep,
    scale: Option<Tensor<1>>,
    gradients: GradientsParams,
    moments: &'a mut Vec<Moments>,
    next: usize,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let index = self.next;
        self.next += 1;
        if self.moments.len() <= index {
            self.moments.push(Moments::Numbers([vec![], vec![]]));
        }
        let Some(gradient) = self.gradients.remove::<D>(param.id) else {
            return param;
        };
        let moments = &mut self.moments[index];
        if let Moments::Numbers(pair) = moments {
            let count = param.val().shape().num_elements();
            for moment in pair {
                if moment.is_empty() {
                    moment.resize(count, 0.0);
                }
                assert_eq!(moment.len(), count, "parameter {index} of {count} numbers met moments of {}", moment.len());
            }
        }
        let (numbers, scale) = (&self.numbers, self.scale.as_ref());
        param.map(|old| replace(old, |old| update(numbers, scale, old, gradient, moments)))
    }
}

/// One parameter's step.
fn update<const D: usize>(
    step: &AdamStep,
    scale: Option<&Tensor<1>>,
    old: Tensor<D>,
    gradient: Tensor<D>,
    moments: &mut Moments,
) -> Tensor<D> {
    let old = match (flex(old), &mut *moments) {
        (Ok(mut old), Moments::Numbers([first, second])) => {
            let gradient = flex(gradient).expect("a gradient lies where its parameter lies");
            kernels::adam(step, old.storage_mut(), numbers(&gradient), [first, second]);
            return Tensor::from_primitive::<Flex>(old);
        }
        (Ok(_), Moments::Tensors(_)) => panic!("a module moved to the CPU while its optimizer stayed elsewhere"),
        (Err(old), _) => old,
    };
    let (shape, device) = (old.shape(), old.device());
    let [first, second] = match moments {
        Moments::Numbers(pair) => pair.each_ref().map(|moment| Tensor::from_data(moment.as_slice(), &device)),
        Moments::Tensors(pair) => pair.clone(),
    };
    let gradient = gradient.reshape([-1]);
    let gradient = match scale {
        Some(scale) => gradient * scale.clone(),
        None => gradient,
    };
    let first = first * step.beta_1 + gradient.clone() * step.rest_1;
    let second = second * step.beta_2 + gradient.clone() * gradient * step.rest_2;
    let divisor = second.clone().sqrt() / step.root + step.epsilon;
    let moved = old.reshape([-1]) * step.keep - first.clone() / divisor * step.rate;
    *moments = Moments::Tensors([first, second]);
    moved.reshape(shape)
}
