//! Between tensors and plain numbers: the only way back from a device, and the only way to new weights.

use std::fmt::Debug;
use std::sync::Mutex;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use super::error::LabError;
use crate::mech::adam::read_all;

/// The numbers of a tensor, row by row. Awaited, because a browser cannot block.
///
/// # Errors
///
/// When the device is lost.
pub async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, LabError> {
    let data = tensor.into_data_async().await.map_err(lost)?;
    data.try_to_vec::<f32>().map_err(lost)
}

/// The numbers of several tensors, by one reading.
///
/// # Errors
///
/// When the device is lost.
pub async fn read_each<const N: usize>(tensors: [Tensor<1>; N]) -> Result<[Vec<f32>; N], LabError> {
    let lists = read_all(tensors.map(Tensor::inner).to_vec()).await.map_err(lost)?;
    Ok(lists.try_into().expect("as many lists are read as tensors were given"))
}

/// What the device says of its failure, for the reader.
pub(crate) fn lost(error: impl Debug) -> LabError {
    LabError::Device { message: format!("{error:?}") }
}

/// Numbers of past steps that are still on the device, until somebody wants to see them.
#[derive(Debug, Default)]
pub struct Readings {
    waiting: Vec<(u64, Tensor<1>)>,
}

impl Readings {
    /// So many may wait: each holds memory, and a run that diverged should not go on for long.
    const MOST: usize = 64;

    /// Keeps the numbers of a step. Whoever is told that they are many should take them.
    pub fn push(&mut self, step: u64, numbers: Tensor<1>) -> bool {
        self.waiting.push((step, numbers));
        self.waiting.len() >= Self::MOST
    }

    /// The numbers of each step that waited, oldest first, by one reading.
    ///
    /// # Errors
    ///
    /// When the device is lost, or a number is not finite.
    pub async fn take(&mut self) -> Result<Vec<(u64, Vec<f32>)>, LabError> {
        let (steps, tensors): (Vec<u64>, Vec<Tensor<1>>) = self.waiting.drain(..).unzip();
        let numbers = read_all(tensors).await.map_err(lost)?;
        let taken: Vec<(u64, Vec<f32>)> = steps.into_iter().zip(numbers).collect();
        match taken.iter().find(|(_, numbers)| numbers.iter().any(|number| !number.is_finite())) {
            Some(&(step, _)) => Err(LabError::Diverged { step }),
            None => Ok(taken),
        }
    }
}

/// A tensor from plain numbers, row by row.
pub fn tensor<const D: usize>(numbers: impl Into<Vec<f32>>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(burn::tensor::TensorData::new(numbers.into(), shape), device)
}

/// Builds a model whose initial weights depend on the seed alone.
///
/// Burn draws a weight when it is first used, from one generator for the whole process, and each device has
/// a stream of its own. So the model is built on the CPU, under a lock, every weight drawn at once, and then
/// moved to `device`: the same seed gives the same weights everywhere. A device with a tape is prepared on one
/// with a tape, for only there does Burn note which parameters are trained.
pub fn seeded<M: Module>(seed: u64, device: &Device, build: impl FnOnce(&Device) -> M) -> M {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let cpu = if device.is_autodiff() { Device::flex().autodiff() } else { Device::flex() };
    cpu.seed(seed);
    let module = build(&cpu);
    module.visit(&mut Draw);
    module.fork(device)
}

/// Draws every parameter it visits. Counting them would not: a shape is known before its numbers are.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let _drawn = param.val();
    }
}
