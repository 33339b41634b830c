//! Linear layers.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::nn::Linear;
use burn::tensor::Tensor;
use kernels::Activation;

use super::{count_call, matrix, numbers, on_flex, record, tensor, whole};

/// A linear layer and what follows it.
///
/// # Shapes
///
/// - input `[batch, d_input]`
/// - weight `[d_input, d_output]`
/// - bias `[d_output]`
/// - output `[batch, d_output]`
pub fn linear(input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
    let ([_, d_input], [rows, d_output], [length]) = (input.dims(), weight.dims(), bias.dims());
    assert_eq!(d_input, rows, "an input of {d_input} for a weight of [{rows}, {d_output}]");
    assert_eq!(length, d_output, "a bias of {length} for a weight of [{rows}, {d_output}]");
    let input = input.into_dispatch();
    if !on_flex(&input) {
        return plain::linear(Tensor::from_dispatch(input), weight, bias, activation);
    }
    Tensor::from_dispatch(Dispatch::fused_linear(input, weight.into_dispatch(), bias.into_dispatch(), activation))
}

/// [`linear`] with the parameters of a layer, whose bias may be missing.
///
/// # Shapes
///
/// - input `[batch, d_input]`
/// - output `[batch, d_output]`
pub fn linear_layer(layer: &Linear, input: Tensor<2>, activation: Activation) -> Tensor<2> {
    let weight = layer.weight.val();
    let bias = match &layer.bias {
        Some(bias) => bias.val(),
        None => Tensor::zeros([weight.dims()[1]], &input.device()),
    };
    linear(input, weight, bias, activation)
}

/// A product of matrices: [`linear`] alone, whose kernel is faster than Burn's.
///
/// # Shapes
///
/// - a `[m, k]`
/// - b `[k, n]`
/// - output `[m, n]`
pub fn product(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let bias = Tensor::zeros([b.dims()[1]], &b.device());
    linear(a, b, bias, Activation::None)
}

pub mod plain {
    use burn::tensor::{Tensor, activation, module};

    use super::Activation;

    /// # Shapes
    ///
    /// - those of [`super::linear`]
    pub fn linear(input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
        let sum = module::linear(input, weight, Some(bias));
        match activation {
            Activation::None => sum,
            Activation::Relu => activation::relu(sum),
            Activation::Tanh => sum.tanh(),
            Activation::Gelu => {
                let cube = sum.clone() * sum.clone() * sum.clone();
                let inner = (sum.clone() + cube * 0.044_715) * (2.0 / std::f64::consts::PI).sqrt();
                sum * (inner.tanh() + 1.0) * 0.5
            }
            Activation::Silu => activation::silu(sum),
        }
    }
}

#[backend_extension(Autodiff, Flex)]
trait FusedLinear: Backend {
    fn fused_linear(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
}

impl FusedLinear for Flex {
    fn fused_linear(input: FlexTensor, weight: FlexTensor, bias: FlexTensor, activation: Activation) -> FlexTensor {
        forward(input, weight, bias, activation).0
    }
}

impl<C: CheckpointStrategy> FusedLinear for Autodiff<Flex, C> {
    fn fused_linear(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let ((input, a), (weight, b), (bias, c)) = (input.into_parts(), weight.into_parts(), bias.into_parts());
        let (output, state) = forward(input, weight, bias, activation);
        record::<C, _, 3>(LinearBackward, [a, b, c], state, output)
    }
}

#[derive(Clone, Debug)]
struct LinearState {
    input: FlexTensor,
    weight: FlexTensor,
    activation: Activation,
    /// What the way back through the activation needs.
    saved: FlexTensor,
}

fn forward(
    input: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    activation: Activation,
) -> (FlexTensor, LinearState) {
    count_call();
    let (input, weight, bias) = (whole(input), whole(weight), whole(bias));
    let ([batch, _], [_, d_output]) = (input.shape().dims(), weight.shape().dims());
    let (output, slope) = kernels::linear(matrix(&input), matrix(&weight), numbers(&bias), activation);
    let output = tensor(output, [batch, d_output]);
    let saved = match activation {
        // A second owner of the output would keep the next operation from working in place.
        Activation::None => tensor(vec![], [0]),
        Activation::Relu | Activation::Tanh => output.clone(),
        Activation::Gelu | Activation::Silu => tensor(slope, [batch, d_output]),
    };
    (output, LinearState { input, weight, activation, saved })
}

#[derive(Debug)]
struct LinearBackward;

impl Backward<Flex, 3> for LinearBackward {
    type State = LinearState;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        count_call();
        let LinearState { input, weight, activation, saved } = ops.state;
        let mut gradient = whole(gradients.consume::<Flex>(&ops.node));
        if activation != Activation::None {
            kernels::through_activation(activation, numbers(&saved), gradient.storage_mut());
        }
        let gradient = matrix(&gradient);
        let [for_input, for_weight, for_bias] = ops.parents;
        if let Some(node) = for_input {
            let product = kernels::product(gradient, matrix(&weight).transposed());
            gradients.register::<Flex>(node.id, tensor(product, input.shape()));
        }
        if let Some(node) = for_weight {
            let product = kernels::product(matrix(&input).transposed(), gradient);
            gradients.register::<Flex>(node.id, tensor(product, weight.shape()));
        }
        if let Some(node) = for_bias {
            let sums = kernels::column_sums(gradient);
            let length = sums.len();
            gradients.register::<Flex>(node.id, tensor(sums, [length]));
        }
    }
}
