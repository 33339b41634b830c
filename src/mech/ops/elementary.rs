//! Functions of one number at a time, and the sum of two.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use kernels::Activation;

use super::{count_call, numbers, on_flex, record, tensor, whole};

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

/// x / (1 + e^-x).
///
/// # Shapes
///
/// - the output's is the input's
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    elementary(x, Elementary::Silu)
}

/// The sum of two tensors of one shape: a residual connection.
///
/// # Shapes
///
/// - all alike
pub fn add<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    assert_eq!(a.dims(), b.dims(), "what is added differs in shape");
    let a = a.into_dispatch();
    if !on_flex(&a) {
        return Tensor::<D>::from_dispatch(a) + b;
    }
    Tensor::from_dispatch(Dispatch::fused_add(a, b.into_dispatch()))
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
    /// x / (1 + e^-x).
    Silu,
}

pub mod plain {
    use burn::tensor::{Tensor, activation};

    use super::Elementary;

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
            Elementary::Silu => activation::silu(x),
        }
    }
}

#[backend_extension(Autodiff, Flex)]
trait FusedElementary: Backend {
    fn fused_elementary(x: FloatTensor<Self>, function: Elementary) -> FloatTensor<Self>;
    fn fused_add(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FusedElementary for Flex {
    fn fused_elementary(x: FlexTensor, function: Elementary) -> FlexTensor {
        elementary_forward(&whole(x), function)
    }

    fn fused_add(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        add_forward(a, b)
    }
}

impl<C: CheckpointStrategy> FusedElementary for Autodiff<Flex, C> {
    fn fused_elementary(x: FloatTensor<Self>, function: Elementary) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let x = whole(x);
        let output = elementary_forward(&x, function);
        let saved = match function {
            Elementary::Exp | Elementary::Tanh => output.clone(),
            Elementary::Ln | Elementary::Softplus | Elementary::Silu => x,
        };
        record::<C, _, 1>(ElementaryBackward, [node], (function, saved), output)
    }

    fn fused_add(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((a, node_a), (b, node_b)) = (a.into_parts(), b.into_parts());
        record::<C, _, 2>(AddBackward, [node_a, node_b], (), add_forward(a, b))
    }
}

fn add_forward(a: FlexTensor, b: FlexTensor) -> FlexTensor {
    count_call();
    let (mut a, b) = (whole(a), whole(b));
    // Copied first if somebody else owns it too.
    kernels::add(a.storage_mut(), numbers(&b));
    a
}

#[derive(Debug)]
struct AddBackward;

impl Backward<Flex, 2> for AddBackward {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        count_call();
        let gradient = gradients.consume::<Flex>(&ops.node);
        for node in ops.parents.into_iter().flatten() {
            gradients.register::<Flex>(node.id, gradient.clone());
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
        Elementary::Silu => kernels::silu,
    };
    tensor(kernel(numbers(x)), x.shape())
}

#[derive(Debug)]
struct ElementaryBackward;

impl Backward<Flex, 1> for ElementaryBackward {
    /// With the output of exp and tanh, and the input of the others.
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
            Elementary::Silu => kernels::multiply(numbers, &kernels::silu_slope(saved)),
        }
        if let [Some(node)] = ops.parents {
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}
