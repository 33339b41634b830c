//! Softmax and the losses.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Int, Tensor};

use super::{count_call, indices, numbers, on_flex, record, tensor, whole};

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

pub mod plain {
    use burn::tensor::{Int, Tensor, activation};

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
}

#[backend_extension(Autodiff, Flex)]
trait FusedLoss: Backend {
    fn fused_cross_entropy(logits: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self>;
    fn fused_cross_entropy_with_indices(logits: FloatTensor<Self>, index: IntTensor<Self>) -> FloatTensor<Self>;
    fn fused_mean_squared_error(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
    fn fused_softmax(logits: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FusedLoss for Flex {
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
}

impl<C: CheckpointStrategy> FusedLoss for Autodiff<Flex, C> {
    fn fused_cross_entropy(logits: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self> {
        let (logits, node) = logits.into_parts();
        let (loss, gradient) = cross_entropy_forward(logits, target.into_primitive());
        record::<C, _, 1>(LossBackward, [node], gradient, loss)
    }

    fn fused_cross_entropy_with_indices(logits: FloatTensor<Self>, index: IntTensor<Self>) -> FloatTensor<Self> {
        let (logits, node) = logits.into_parts();
        let (loss, gradient) = cross_entropy_with_indices_forward(logits, index);
        record::<C, _, 1>(LossBackward, [node], gradient, loss)
    }

    fn fused_mean_squared_error(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((a, node_a), (b, node_b)) = (a.into_parts(), b.into_parts());
        let (loss, gradient) = mean_squared_error_forward(a, b);
        record::<C, _, 2>(LossBackward, [node_a, node_b], gradient, loss)
    }

    fn fused_softmax(logits: FloatTensor<Self>) -> FloatTensor<Self> {
        let (logits, node) = logits.into_parts();
        let output = softmax_forward(logits);
        record::<C, _, 1>(SoftmaxBackward, [node], output.clone(), output)
    }
}

fn classes(logits: &FlexTensor) -> usize {
    let [_, classes] = logits.shape().dims();
    classes
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
    let (loss, gradient) =
        kernels::softmax_cross_entropy_with_indices(numbers(&logits), &indices(&index), classes(&logits));
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
