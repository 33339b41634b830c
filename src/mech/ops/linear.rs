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
use kernels::{Activation, Matrix};

use super::{count_call, numbers, on_flex, record, tensor, whole};

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

/// [`linear`] of several networks of one shape, each with an input, a weight and a bias of its own.
///
/// # Shapes
///
/// - input `[replicas, batch, d_input]`
/// - weight `[replicas, d_input, d_output]`
/// - bias `[replicas, d_output]`
/// - output `[replicas, batch, d_output]`
pub fn linear_each(input: Tensor<3>, weight: Tensor<3>, bias: Tensor<2>, activation: Activation) -> Tensor<3> {
    let ([replicas, _, d_input], [weights, rows, d_output]) = (input.dims(), weight.dims());
    assert_eq!([weights, rows], [replicas, d_input], "inputs of {:?} for weights of {:?}", input.dims(), weight.dims());
    assert_eq!(bias.dims(), [replicas, d_output], "biases for weights of {:?}", weight.dims());
    let input = input.into_dispatch();
    if !on_flex(&input) {
        return plain::linear_each(Tensor::from_dispatch(input), weight, bias, activation);
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

/// [`product`] of several pairs of matrices.
///
/// # Shapes
///
/// - a `[replicas, m, k]`
/// - b `[replicas, k, n]`
/// - output `[replicas, m, n]`
pub fn product_each(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    let [replicas, _, d_output] = b.dims();
    let bias = Tensor::zeros([replicas, d_output], &b.device());
    linear_each(a, b, bias, Activation::None)
}

pub mod plain {
    use burn::tensor::{Tensor, activation, module};

    use super::Activation;

    /// # Shapes
    ///
    /// - those of [`super::linear`]
    pub fn linear(input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
        activate(module::linear(input, weight, Some(bias)), activation)
    }

    /// # Shapes
    ///
    /// - those of [`super::linear_each`]
    pub fn linear_each(input: Tensor<3>, weight: Tensor<3>, bias: Tensor<2>, activation: Activation) -> Tensor<3> {
        activate(input.matmul(weight) + bias.unsqueeze_dim(1), activation)
    }

    fn activate<const D: usize>(sum: Tensor<D>, activation: Activation) -> Tensor<D> {
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
    let (mut shape, d_output) = (input.shape(), last(&weight));
    if let Some(columns) = shape.last_mut() {
        *columns = d_output;
    }
    let (mut output, mut slope) = (vec![], vec![]);
    for ((input, weight), bias) in matrices(&input).zip(matrices(&weight)).zip(numbers(&bias).chunks(d_output.max(1))) {
        let (part, part_slope) = kernels::linear(input, weight, bias, activation);
        append(&mut output, part);
        append(&mut slope, part_slope);
    }
    let output = tensor(output, shape.clone());
    let saved = match activation {
        // A second owner of the output would keep the next operation from working in place.
        Activation::None => tensor(vec![], [0]),
        Activation::Relu | Activation::Tanh => output.clone(),
        Activation::Gelu | Activation::Silu => tensor(slope, shape),
    };
    (output, LinearState { input, weight, activation, saved })
}

/// Length of the last dimension.
fn last(tensor: &FlexTensor) -> usize {
    tensor.shape().last().copied().unwrap_or(1)
}

/// The matrix of each replica: one, where the tensor is a matrix itself.
fn matrices(tensor: &FlexTensor) -> impl Iterator<Item = Matrix<'_>> {
    let (shape, numbers) = (tensor.shape(), numbers(tensor));
    let (replicas, rows, columns) = match shape[..] {
        [replicas, rows, columns] => (replicas, rows, columns),
        [rows, columns] => (1, rows, columns),
        _ => panic!("a tensor of {shape:?} is no matrix for each replica"),
    };
    let size = rows * columns;
    (0..replicas).map(move |replica| Matrix::new(&numbers[replica * size..][..size], rows, columns))
}

/// The first part is taken as it is: mostly there is no other.
fn append(whole: &mut Vec<f32>, part: Vec<f32>) {
    if whole.is_empty() {
        *whole = part;
    } else {
        whole.extend(part);
    }
}

/// What `f` makes of the matrices of each replica, one after another.
fn each<'a>(a: &'a FlexTensor, b: &'a FlexTensor, f: impl Fn(Matrix<'a>, Matrix<'a>) -> Vec<f32>) -> Vec<f32> {
    let mut output = vec![];
    matrices(a).zip(matrices(b)).for_each(|(a, b)| append(&mut output, f(a, b)));
    output
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
        let [for_input, for_weight, for_bias] = ops.parents;
        if let Some(node) = for_input {
            let product = each(&gradient, &weight, |gradient, weight| kernels::product(gradient, weight.transposed()));
            gradients.register::<Flex>(node.id, tensor(product, input.shape()));
        }
        if let Some(node) = for_weight {
            let product = each(&input, &gradient, |input, gradient| kernels::product(input.transposed(), gradient));
            gradients.register::<Flex>(node.id, tensor(product, weight.shape()));
        }
        if let Some(node) = for_bias {
            let mut sums = vec![];
            matrices(&gradient).for_each(|gradient| append(&mut sums, kernels::column_sums(gradient)));
            let mut shape = weight.shape();
            shape.remove(shape.rank() - 2);
            gradients.register::<Flex>(node.id, tensor(sums, shape));
        }
    }
}
