//! The operations that training spends its time in, fused: one step of the tape each, with a backward pass of its own.
//!
//! Burn's own are scalar and unfused on the CPU, and cost two to four times as much. A tensor on the CPU goes to the
//! `kernels` crate through an extension of Burn's backend; one on a GPU goes to [`plain`], the same operation made
//! of Burn's primitives, which fuses there by itself or is not worth fusing.

use std::cell::Cell;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{
    Autodiff, Backend, Dispatch, DispatchTensor, DispatchTensorKind, Flex, TensorMetadata, backend_extension,
};
use burn::nn::Linear;
use burn::tensor::{DType, Int, Tensor, TensorData};
pub use kernels::Activation;
use kernels::{AttentionShape, Matrix};

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

/// Mean over the batch of -Σ target · ln softmax(logits). The target is a constant: no gradient reaches it.
///
/// # Shapes
///
/// - logits, target `[batch, classes]`; a row of the target need not sum to one
/// - output `[1]`
pub fn softmax_cross_entropy(logits: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    assert_eq!(logits.dims(), target.dims(), "logits and target differ in shape");
    assert!(!target.is_tracked(), "a target gets no gradient: detach it");
    let logits = logits.into_dispatch();
    if !on_flex(&logits) {
        return plain::softmax_cross_entropy(Tensor::from_dispatch(logits), target);
    }
    Tensor::from_dispatch(Dispatch::fused_cross_entropy(logits, target.into_dispatch()))
}

/// Mean over the batch of -ln softmax(logits) at the class of each row.
///
/// # Shapes
///
/// - logits `[batch, classes]`
/// - index `[batch]`, each below `classes`
/// - output `[1]`
pub fn cross_entropy_with_indices(logits: Tensor<2>, index: Tensor<1, Int>) -> Tensor<1> {
    let ([batch, classes], [length]) = (logits.dims(), index.dims());
    assert_eq!(batch, length, "{length} indices for logits of [{batch}, {classes}]");
    let logits = logits.into_dispatch();
    if !on_flex(&logits) {
        return plain::cross_entropy_with_indices(Tensor::from_dispatch(logits), index);
    }
    Tensor::from_dispatch(Dispatch::fused_cross_entropy_with_indices(logits, index.into_dispatch()))
}

/// Mean of the squared differences.
///
/// # Shapes
///
/// - a, b `[batch, d]`
/// - output `[1]`
pub fn mean_squared_error(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    assert_eq!(a.dims(), b.dims(), "what is compared differs in shape");
    let a = a.into_dispatch();
    if !on_flex(&a) {
        return plain::mean_squared_error(Tensor::from_dispatch(a), b);
    }
    Tensor::from_dispatch(Dispatch::fused_mean_squared_error(a, b.into_dispatch()))
}

/// Probabilities of each row.
///
/// # Shapes
///
/// - logits, output `[batch, classes]`
pub fn softmax(logits: Tensor<2>) -> Tensor<2> {
    let logits = logits.into_dispatch();
    if !on_flex(&logits) {
        return plain::softmax(Tensor::from_dispatch(logits));
    }
    Tensor::from_dispatch(Dispatch::fused_softmax(logits))
}

/// The mean of the values as each query weighs them, by the softmax of its products with the keys, times `scale`. A
/// query sees no key after it: the last query stands at the last key, the one before at the last but one.
///
/// # Shapes
///
/// - query `[batch, queries, d_key]`, with at most as many queries as keys
/// - key `[batch, keys, d_key]`
/// - value `[batch, keys, d_value]`
/// - output `[batch, queries, d_value]`
pub fn causal_attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, scale: f32) -> Tensor<3> {
    let [batch, keys, _] = value.dims();
    let [_, queries, d_key] = query.dims();
    assert_eq!(query.dims(), [batch, queries, d_key], "queries for values of [{batch}, {keys}]");
    assert_eq!(key.dims(), [batch, keys, d_key], "keys for values of [{batch}, {keys}] and queries of {d_key}");
    assert!(queries <= keys, "{queries} queries at the last of {keys} keys");
    let query = query.into_dispatch();
    if !on_flex(&query) {
        return plain::causal_attention(Tensor::from_dispatch(query), key, value, scale);
    }
    Tensor::from_dispatch(Dispatch::fused_attention(query, key.into_dispatch(), value.into_dispatch(), scale))
}

/// What [`causal_attention`] weighs the values by, for a look at it: no gradient reaches it.
///
/// # Shapes
///
/// - query `[batch, queries, d_key]`
/// - key `[batch, keys, d_key]`
/// - output `[batch, queries, keys]`; each row sums to one
pub fn attention_weights(query: Tensor<3>, key: Tensor<3>, scale: f32) -> Tensor<3> {
    let [batch, keys, _] = key.dims();
    // The weights are the means of unit vectors.
    let unit = Tensor::<2>::eye(keys, &key.device()).unsqueeze::<3>().repeat_dim(0, batch);
    causal_attention(query, key, unit, scale)
}

/// e^x.
///
/// # Shapes
///
/// - the output's is the input's
pub fn exp<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    elementary(x, Elementary::Exp)
}

/// Natural logarithm.
///
/// # Shapes
///
/// - the output's is the input's
pub fn ln<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    elementary(x, Elementary::Ln)
}

/// Hyperbolic tangent.
///
/// # Shapes
///
/// - the output's is the input's
pub fn tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    elementary(x, Elementary::Tanh)
}

/// ln(1 + e^x), without overflow.
///
/// # Shapes
///
/// - the output's is the input's
pub fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    elementary(x, Elementary::Softplus)
}

fn elementary<const D: usize>(x: Tensor<D>, function: Elementary) -> Tensor<D> {
    let x = x.into_dispatch();
    if !on_flex(&x) {
        return plain::elementary(Tensor::from_dispatch(x), function);
    }
    Tensor::from_dispatch(Dispatch::fused_elementary(x, function))
}

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elementary {
    /// e^x.
    Exp,
    /// Natural logarithm.
    Ln,
    /// Hyperbolic tangent.
    Tanh,
    /// ln(1 + e^x).
    Softplus,
}

/// The same operations made of Burn's primitives: what runs on a GPU, and what the fused ones are tested against.
pub mod plain {
    use burn::tensor::{Int, Tensor, TensorData, activation, module};

    use super::{Activation, Elementary};

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
        }
    }

    /// # Shapes
    ///
    /// - those of [`super::softmax_cross_entropy`]
    pub fn softmax_cross_entropy(logits: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        -(activation::log_softmax(logits, 1) * target).sum_dim(1).mean()
    }

    /// # Shapes
    ///
    /// - those of [`super::cross_entropy_with_indices`]
    pub fn cross_entropy_with_indices(logits: Tensor<2>, index: Tensor<1, Int>) -> Tensor<1> {
        -activation::log_softmax(logits, 1).gather(1, index.unsqueeze_dim(1)).mean()
    }

    /// # Shapes
    ///
    /// - those of [`super::mean_squared_error`]
    pub fn mean_squared_error(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
        let difference = a - b;
        (difference.clone() * difference).mean()
    }

    /// # Shapes
    ///
    /// - those of [`super::softmax`]
    pub fn softmax(logits: Tensor<2>) -> Tensor<2> {
        activation::softmax(logits, 1)
    }

    /// # Shapes
    ///
    /// - those of [`super::causal_attention`]
    pub fn causal_attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, scale: f32) -> Tensor<3> {
        let ([_, queries, _], [_, keys, _]) = (query.dims(), key.dims());
        let hidden = |cell: usize| if cell % keys > keys - queries + cell / keys { -1e9 } else { 0.0 };
        let mask: Vec<f32> = (0..queries * keys).map(hidden).collect();
        let mask = Tensor::from_data(TensorData::new(mask, [1, queries, keys]), &query.device());
        let scores = query.matmul(key.swap_dims(1, 2)) * scale + mask;
        activation::softmax(scores, 2).matmul(value)
    }

    /// # Shapes
    ///
    /// - the output's is the input's
    pub fn elementary<const D: usize>(x: Tensor<D>, function: Elementary) -> Tensor<D> {
        match function {
            Elementary::Exp => x.exp(),
            Elementary::Ln => x.log(),
            Elementary::Tanh => x.tanh(),
            // Burn's own softplus is the identity above a threshold, where its gradient jumps.
            Elementary::Softplus => -activation::log_sigmoid(-x),
        }
    }
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

/// What the CPU's backend does beyond Burn's own operations.
#[backend_extension(Autodiff, Flex)]
trait Fused: Backend {
    fn fused_linear(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
    fn fused_cross_entropy(logits: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self>;
    fn fused_cross_entropy_with_indices(logits: FloatTensor<Self>, index: IntTensor<Self>) -> FloatTensor<Self>;
    fn fused_mean_squared_error(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
    fn fused_softmax(logits: FloatTensor<Self>) -> FloatTensor<Self>;
    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self>;
    fn fused_elementary(x: FloatTensor<Self>, function: Elementary) -> FloatTensor<Self>;
}

impl Fused for Flex {
    fn fused_linear(input: FlexTensor, weight: FlexTensor, bias: FlexTensor, activation: Activation) -> FlexTensor {
        linear_forward(input, weight, bias, activation).0
    }

    fn fused_cross_entropy(logits: FlexTensor, target: FlexTensor) -> FlexTensor {
        cross_entropy_forward(logits, target).0
    }

    fn fused_cross_entropy_with_indices(logits: FlexTensor, index: FlexTensor) -> FlexTensor {
        cross_entropy_with_indices_forward(logits, index).0
    }

    fn fused_mean_squared_error(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        mean_squared_error_forward(a, b).0
    }

    fn fused_softmax(logits: FlexTensor) -> FlexTensor {
        softmax_forward(logits)
    }

    fn fused_attention(query: FlexTensor, key: FlexTensor, value: FlexTensor, scale: f32) -> FlexTensor {
        attention_forward(query, key, value, scale).0
    }

    fn fused_elementary(x: FlexTensor, function: Elementary) -> FlexTensor {
        elementary_forward(&whole(x), function)
    }
}

impl<C: CheckpointStrategy> Fused for Autodiff<Flex, C> {
    fn fused_linear(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let ((input, a), (weight, b), (bias, c)) = (input.into_parts(), weight.into_parts(), bias.into_parts());
        let (output, state) = linear_forward(input, weight, bias, activation);
        match LinearBackward.prepare::<C>([a, b, c]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(state, output),
            OpsKind::UnTracked(step) => step.finish(output),
        }
    }

    fn fused_cross_entropy(logits: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self> {
        let (logits, node) = logits.into_parts();
        let (loss, gradient) = cross_entropy_forward(logits, target.into_primitive());
        match LossBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(gradient, loss),
            OpsKind::UnTracked(step) => step.finish(loss),
        }
    }

    fn fused_cross_entropy_with_indices(logits: FloatTensor<Self>, index: IntTensor<Self>) -> FloatTensor<Self> {
        let (logits, node) = logits.into_parts();
        let (loss, gradient) = cross_entropy_with_indices_forward(logits, index);
        match LossBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(gradient, loss),
            OpsKind::UnTracked(step) => step.finish(loss),
        }
    }

    fn fused_mean_squared_error(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((a, node_a), (b, node_b)) = (a.into_parts(), b.into_parts());
        let (loss, gradient) = mean_squared_error_forward(a, b);
        match LossBackward.prepare::<C>([node_a, node_b]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(gradient, loss),
            OpsKind::UnTracked(step) => step.finish(loss),
        }
    }

    fn fused_softmax(logits: FloatTensor<Self>) -> FloatTensor<Self> {
        let (logits, node) = logits.into_parts();
        let output = softmax_forward(logits);
        match SoftmaxBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(output.clone(), output),
            OpsKind::UnTracked(step) => step.finish(output),
        }
    }

    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let ((query, a), (key, b), (value, c)) = (query.into_parts(), key.into_parts(), value.into_parts());
        let (output, state) = attention_forward(query, key, value, scale);
        match AttentionBackward.prepare::<C>([a, b, c]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(state, output),
            OpsKind::UnTracked(step) => step.finish(output),
        }
    }

    fn fused_elementary(x: FloatTensor<Self>, function: Elementary) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let x = whole(x);
        let output = elementary_forward(&x, function);
        match ElementaryBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let saved = match function {
                    Elementary::Exp | Elementary::Tanh => output.clone(),
                    Elementary::Ln | Elementary::Softplus => x,
                };
                step.finish((function, saved), output)
            }
            OpsKind::UnTracked(step) => step.finish(output),
        }
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

fn matrix(tensor: &FlexTensor) -> Matrix<'_> {
    let [rows, columns] = tensor.shape().dims();
    Matrix::new(numbers(tensor), rows, columns)
}

fn classes(logits: &FlexTensor) -> usize {
    let [_, classes] = logits.shape().dims();
    classes
}

#[derive(Clone, Debug)]
struct LinearState {
    input: FlexTensor,
    weight: FlexTensor,
    activation: Activation,
    /// What the way back through the activation needs.
    saved: FlexTensor,
}

fn linear_forward(
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
        Activation::Gelu => tensor(slope, [batch, d_output]),
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

/// Loss and gradient.
fn cross_entropy_forward(logits: FlexTensor, target: FlexTensor) -> (FlexTensor, FlexTensor) {
    count_call();
    let (logits, target) = (whole(logits), whole(target));
    let (loss, gradient) = kernels::softmax_cross_entropy(numbers(&logits), numbers(&target), classes(&logits));
    (tensor(vec![loss], [1]), tensor(gradient, logits.shape()))
}

/// Loss and gradient.
fn cross_entropy_with_indices_forward(logits: FlexTensor, index: FlexTensor) -> (FlexTensor, FlexTensor) {
    count_call();
    let (logits, index) = (whole(logits), whole(index));
    let class = |index: i64| usize::try_from(index).unwrap_or_else(|_| panic!("class {index} is negative"));
    let index: Vec<usize> = match index.dtype() {
        DType::I32 => index.storage::<i32>().iter().map(|index| class(i64::from(*index))).collect(),
        DType::I64 => index.storage::<i64>().iter().map(|index| class(*index)).collect(),
        other => panic!("classes are counted in i32 or i64, not in {other:?}"),
    };
    let (loss, gradient) = kernels::softmax_cross_entropy_with_indices(numbers(&logits), &index, classes(&logits));
    (tensor(vec![loss], [1]), tensor(gradient, logits.shape()))
}

/// Loss and gradient with respect to `a`.
fn mean_squared_error_forward(a: FlexTensor, b: FlexTensor) -> (FlexTensor, FlexTensor) {
    count_call();
    let (a, b) = (whole(a), whole(b));
    let (loss, gradient) = kernels::mean_squared_error(numbers(&a), numbers(&b));
    (tensor(vec![loss], [1]), tensor(gradient, a.shape()))
}

/// The way back through a loss, whose gradient was computed with it.
#[derive(Debug)]
struct LossBackward;

impl<const N: usize> Backward<Flex, N> for LossBackward {
    type State = FlexTensor;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        count_call();
        let [upstream] = *numbers(&whole(gradients.consume::<Flex>(&ops.node))) else {
            panic!("a loss is one number");
        };
        // The second parent, where there is one, is subtracted from the first.
        for (node, sign) in ops.parents.into_iter().zip([1.0, -1.0]) {
            if let Some(node) = node {
                let mut gradient = ops.state.clone();
                if sign * upstream != 1.0 {
                    kernels::scale(gradient.storage_mut(), sign * upstream);
                }
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

fn softmax_forward(logits: FlexTensor) -> FlexTensor {
    count_call();
    let logits = whole(logits);
    tensor(kernels::softmax(numbers(&logits), classes(&logits)), logits.shape())
}

#[derive(Debug)]
struct SoftmaxBackward;

impl Backward<Flex, 1> for SoftmaxBackward {
    type State = FlexTensor;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        count_call();
        let mut gradient = whole(gradients.consume::<Flex>(&ops.node));
        kernels::softmax_backward(numbers(&ops.state), gradient.storage_mut(), classes(&ops.state));
        if let [Some(node)] = ops.parents {
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}

#[derive(Clone, Debug)]
struct AttentionState {
    operands: [FlexTensor; 3],
    weights: Vec<f32>,
    shape: AttentionShape,
    scale: f32,
}

fn attention_forward(
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    scale: f32,
) -> (FlexTensor, AttentionState) {
    count_call();
    let ([batch, queries, d_key], [_, keys, d_value]) = (query.shape().dims(), value.shape().dims());
    let shape = AttentionShape { batch, queries, keys, d_key, d_value };
    let operands = [query, key, value].map(whole);
    let [query, key, value] = operands.each_ref().map(numbers);
    let [output, weights] = kernels::attention(query, key, value, shape, scale);
    (tensor(output, [batch, queries, d_value]), AttentionState { operands, weights, shape, scale })
}

#[derive(Debug)]
struct AttentionBackward;

impl Backward<Flex, 3> for AttentionBackward {
    type State = AttentionState;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        count_call();
        let AttentionState { operands, weights, shape, scale } = ops.state;
        let gradient = whole(gradients.consume::<Flex>(&ops.node));
        let found =
            kernels::attention_backward(operands.each_ref().map(numbers), &weights, numbers(&gradient), shape, scale);
        for ((node, found), operand) in ops.parents.into_iter().zip(found).zip(&operands) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, tensor(found, operand.shape()));
            }
        }
    }
}

fn elementary_forward(x: &FlexTensor, function: Elementary) -> FlexTensor {
    count_call();
    let kernel = match function {
        Elementary::Exp => kernels::exp,
        Elementary::Ln => kernels::ln,
        Elementary::Tanh => kernels::tanh,
        Elementary::Softplus => kernels::softplus,
    };
    tensor(kernel(numbers(x)), x.shape())
}

#[derive(Debug)]
struct ElementaryBackward;

impl Backward<Flex, 1> for ElementaryBackward {
    /// With the output of exp and tanh, and the input of ln and softplus.
    type State = (Elementary, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        count_call();
        let (function, saved) = ops.state;
        let mut gradient = whole(gradients.consume::<Flex>(&ops.node));
        let (numbers, saved) = (gradient.storage_mut(), numbers(&saved));
        match function {
            Elementary::Exp => kernels::multiply(numbers, saved),
            Elementary::Ln => kernels::divide(numbers, saved),
            Elementary::Tanh => kernels::through_activation(Activation::Tanh, saved, numbers),
            Elementary::Softplus => kernels::multiply(numbers, &kernels::sigmoid(saved)),
        }
        if let [Some(node)] = ops.parents {
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}
