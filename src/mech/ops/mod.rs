//! The operations that training spends its time in, fused: one step of the tape each, with a backward pass of its own.
//!
//! Burn's own are scalar and unfused on the CPU, and cost two to four times as much. A tensor on the CPU goes to the
//! `kernels` crate through an extension of Burn's backend; one on a GPU goes to the operation of the same name in
//! [`plain`], made of Burn's primitives. Each file declares its operations, registers them once, and gives the way back.

mod attention;
mod elementary;
mod embedding;
mod linear;
mod loss;
mod norm;
mod rotary;

use std::cell::Cell;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::ops::{Backward, NodeGuard, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, DispatchTensor, DispatchTensorKind, Flex};
use burn::tensor::{DType, TensorData};

pub use attention::{Heads, attention_weights, causal_attention};
pub use elementary::{Elementary, add, exp, ln, silu, softplus, tanh};
pub use embedding::embedding;
pub use kernels::Activation;
pub use linear::{linear, linear_each, linear_layer, product, product_each};
pub use loss::{cross_entropy_with_indices, mean_squared_error, softmax, softmax_cross_entropy};
pub use norm::{layer_norm, rms_norm};
pub use rotary::{Rotation, rotate};

/// The same operations made of Burn's primitives: what runs on a GPU, and what the fused ones are tested against.
pub mod plain {
    pub use super::attention::plain::causal_attention;
    pub use super::elementary::plain::elementary;
    pub use super::embedding::plain::embedding;
    pub use super::linear::plain::{linear, linear_each};
    pub use super::loss::plain::{cross_entropy_with_indices, mean_squared_error, softmax, softmax_cross_entropy};
    pub use super::norm::plain::{layer_norm, rms_norm};
    pub use super::rotary::plain::rotate;
}

thread_local! {
    static FLEX_CALLS: Cell<u64> = const { Cell::new(0) };
}

/// How many passes, forward and backward, the CPU's kernels have made in this thread. A test that means to compare a
/// GPU with the CPU sees by it that the GPU's side did not run on the CPU as well.
pub fn flex_calls() -> u64 {
    FLEX_CALLS.get()
}

fn count_call() {
    FLEX_CALLS.set(FLEX_CALLS.get() + 1);
}

/// Whether the numbers lie in the CPU's memory, tracked by the tape or not.
pub(super) fn on_flex(tensor: &DispatchTensor) -> bool {
    let kind = match &tensor.kind {
        DispatchTensorKind::Autodiff(inner) => inner,
        kind => kind,
    };
    matches!(kind, DispatchTensorKind::Flex(_))
}

/// Puts an operation on the tape, if any of its operands is there.
fn record<C, B, const N: usize>(
    backward: B,
    nodes: [NodeGuard; N],
    state: B::State,
    output: FlexTensor,
) -> FloatTensor<Autodiff<Flex, C>>
where
    C: CheckpointStrategy,
    B: Backward<Flex, N>,
{
    match backward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(state, output),
        OpsKind::UnTracked(step) => step.finish(output),
    }
}

/// The tensor with its numbers row by row and nothing else in its buffer; copied only if it is a view.
pub(super) fn whole(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// The numbers of a whole tensor.
pub(super) fn numbers(tensor: &FlexTensor) -> &[f32] {
    assert_eq!(tensor.dtype(), DType::F32, "the kernels compute in f32");
    tensor.storage::<f32>()
}

/// A tensor that owns these numbers.
pub(super) fn tensor(numbers: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape))
}

/// The numbers of a whole tensor of integers, none of which is negative.
fn indices(tensor: &FlexTensor) -> Vec<usize> {
    let index = |index: i64| usize::try_from(index).unwrap_or_else(|_| panic!("index {index} is negative"));
    match tensor.dtype() {
        DType::I32 => tensor.storage::<i32>().iter().map(|number| index(i64::from(*number))).collect(),
        DType::I64 => tensor.storage::<i64>().iter().map(|number| index(*number)).collect(),
        other => panic!("indices are i32 or i64, not {other:?}"),
    }
}
