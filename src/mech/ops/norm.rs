//! Normalization of rows, with gain and bias.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use kernels::{Norm, Normalized};

use super::{count_call, numbers, on_flex, record, tensor, whole};

/// Rows of mean zero and variance one, times the gain, plus the bias (Ba et al. 2016, eq. 4).
///
/// # Shapes
///
/// - input, output `[rows, width]`
/// - gain, bias `[width]`
pub fn layer_norm(input: Tensor<2>, gain: Tensor<1>, bias: Tensor<1>, epsilon: f32) -> Tensor<2> {
    check(&input, &gain);
    assert_eq!(gain.dims(), bias.dims(), "gain and bias differ in width");
    let input = input.into_dispatch();
    if !on_flex(&input) {
        return plain::layer_norm(Tensor::from_dispatch(input), gain, bias, epsilon);
    }
    let (gain, bias) = (gain.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_layer_norm(input, gain, bias, epsilon))
}

/// Rows with a mean square of one, times the gain (Zhang & Sennrich 2019, eq. 4).
///
/// # Shapes
///
/// - input, output `[rows, width]`
/// - gain `[width]`
pub fn rms_norm(input: Tensor<2>, gain: Tensor<1>, epsilon: f32) -> Tensor<2> {
    check(&input, &gain);
    let input = input.into_dispatch();
    if !on_flex(&input) {
        return plain::rms_norm(Tensor::from_dispatch(input), gain, epsilon);
    }
    Tensor::from_dispatch(Dispatch::fused_rms_norm(input, gain.into_dispatch(), epsilon))
}

fn check(input: &Tensor<2>, gain: &Tensor<1>) {
    let ([_, width], [length]) = (input.dims(), gain.dims());
    assert_eq!(length, width, "a gain of {length} for rows of {width}");
}

pub mod plain {
    use burn::tensor::Tensor;

    /// # Shapes
    ///
    /// - those of [`super::layer_norm`]
    pub fn layer_norm(input: Tensor<2>, gain: Tensor<1>, bias: Tensor<1>, epsilon: f32) -> Tensor<2> {
        let shifted = input.clone() - input.mean_dim(1);
        rms_norm(shifted, gain, epsilon) + bias.unsqueeze()
    }

    /// # Shapes
    ///
    /// - those of [`super::rms_norm`]
    pub fn rms_norm(input: Tensor<2>, gain: Tensor<1>, epsilon: f32) -> Tensor<2> {
        let square = (input.clone() * input.clone()).mean_dim(1);
        input / (square + epsilon).sqrt() * gain.unsqueeze()
    }
}

#[backend_extension(Autodiff, Flex)]
trait FusedNorm: Backend {
    fn fused_layer_norm(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
    fn fused_rms_norm(input: FloatTensor<Self>, gain: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self>;
}

impl FusedNorm for Flex {
    fn fused_layer_norm(input: FlexTensor, gain: FlexTensor, bias: FlexTensor, epsilon: f32) -> FlexTensor {
        forward(Norm::Layer, input, gain, Some(bias), epsilon).0
    }

    fn fused_rms_norm(input: FlexTensor, gain: FlexTensor, epsilon: f32) -> FlexTensor {
        forward(Norm::RootMeanSquare, input, gain, None, epsilon).0
    }
}

impl<C: CheckpointStrategy> FusedNorm for Autodiff<Flex, C> {
    fn fused_layer_norm(
        input: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let ((input, a), (gain, b), (bias, c)) = (input.into_parts(), gain.into_parts(), bias.into_parts());
        let (output, state) = forward(Norm::Layer, input, gain, Some(bias), epsilon);
        record::<C, _, 3>(NormBackward, [a, b, c], state, output)
    }

    fn fused_rms_norm(input: FloatTensor<Self>, gain: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self> {
        let ((input, a), (gain, b)) = (input.into_parts(), gain.into_parts());
        let (output, state) = forward(Norm::RootMeanSquare, input, gain, None, epsilon);
        record::<C, _, 2>(NormBackward, [a, b], state, output)
    }
}

#[derive(Clone, Debug)]
struct NormState {
    norm: Norm,
    gain: FlexTensor,
    normalized: Normalized,
}

fn forward(
    norm: Norm,
    input: FlexTensor,
    gain: FlexTensor,
    bias: Option<FlexTensor>,
    epsilon: f32,
) -> (FlexTensor, NormState) {
    count_call();
    let (input, gain, bias) = (whole(input), whole(gain), bias.map(whole));
    let bias = bias.as_ref().map_or(&[][..], numbers);
    let (output, normalized) = kernels::norm(norm, numbers(&input), numbers(&gain), bias, epsilon);
    (tensor(output, input.shape()), NormState { norm, gain, normalized })
}

/// The way back, to the bias too where there is a third parent.
#[derive(Debug)]
struct NormBackward;

impl<const N: usize> Backward<Flex, N> for NormBackward {
    type State = NormState;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        count_call();
        let NormState { norm, gain, normalized } = ops.state;
        let gradient = whole(gradients.consume::<Flex>(&ops.node));
        let found = kernels::norm_backward(norm, &normalized, numbers(&gain), numbers(&gradient));
        let shapes = [gradient.shape(), gain.shape(), gain.shape()];
        for ((node, found), shape) in ops.parents.into_iter().zip(found).zip(shapes) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, tensor(found, shape));
            }
        }
    }
}
