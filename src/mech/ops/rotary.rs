//! Rotary positions.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use super::{count_call, on_flex, record, whole};

/// By how much each pair of numbers of a head is turned, token by token.
#[derive(Clone, Debug)]
pub struct Rotation {
    cosines: Arc<[f32]>, // [tokens, d_head / 2], row by row
    sines: Arc<[f32]>,
    tokens: usize,
    d_head: usize,
}

impl Rotation {
    /// Angles `position / base^(2 i / d_head)` of the pair i (Su et al. 2021, eq. 15).
    pub fn new(positions: impl IntoIterator<Item = usize>, d_head: usize, base: f64) -> Self {
        assert!(d_head.is_multiple_of(2), "a head of {d_head} numbers has no halves");
        let positions: Vec<usize> = positions.into_iter().collect();
        let half = d_head / 2;
        let frequencies = Self::frequencies(d_head, base);
        let angle = |at: usize| positions[at / half] as f64 * frequencies[at % half];
        // Not the functions of the standard library, whose last bits differ between machines.
        let [cosines, sines] =
            [libm::cos, libm::sin].map(|f| (0..positions.len() * half).map(|at| f(angle(at)) as f32).collect());
        Self { cosines, sines, tokens: positions.len(), d_head }
    }

    /// The angle by which a step of one position turns each pair, `[d_head / 2]`.
    pub fn frequencies(d_head: usize, base: f64) -> Vec<f64> {
        let half = d_head / 2;
        (0..half).map(|pair| libm::pow(base, -(pair as f64) / half as f64)).collect()
    }

    /// Turns the heads of some rows, `[batch, tokens, heads, d_head]`, in place.
    pub fn turn(&self, rows: &mut [f32], heads: usize) {
        kernels::rotate(rows, &self.cosines, &self.sines, [self.tokens, heads, self.d_head]);
    }

    /// The rotation that undoes this one.
    pub fn back(&self) -> Self {
        Self { sines: self.sines.iter().map(|sine| -sine).collect(), ..self.clone() }
    }
}

/// Turns each pair of numbers of each head, one from its first half and one from its second.
///
/// # Shapes
///
/// - rows, output `[batch, tokens, heads * d_head]`, with as many tokens and as wide a head as the rotation
pub fn rotate(rows: Tensor<3>, rotation: &Rotation) -> Tensor<3> {
    let [_, tokens, width] = rows.dims();
    assert_eq!(tokens, rotation.tokens, "tokens and their rotations");
    assert!(width.is_multiple_of(rotation.d_head), "heads of {} numbers in rows of {width}", rotation.d_head);
    let rows = rows.into_dispatch();
    if !on_flex(&rows) {
        return plain::rotate(Tensor::from_dispatch(rows), rotation);
    }
    Tensor::from_dispatch(Dispatch::fused_rotate(rows, rotation.clone()))
}

pub mod plain {
    use burn::tensor::{Tensor, TensorData};

    use super::Rotation;

    /// # Shapes
    ///
    /// - those of [`super::rotate`]
    pub fn rotate(rows: Tensor<3>, rotation: &Rotation) -> Tensor<3> {
        let ([batch, tokens, width], half) = (rows.dims(), rotation.d_head / 2);
        let [cosines, sines] = [&rotation.cosines, &rotation.sines]
            .map(|table| Tensor::from_data(TensorData::new(table.to_vec(), [1, tokens, 1, half]), &rows.device()));
        let rows = rows.reshape([batch, tokens, width / rotation.d_head, rotation.d_head]);
        let [low, high] = [0, half].map(|from| rows.clone().narrow(3, from, half));
        let turned_low = low.clone() * cosines.clone() - high.clone() * sines.clone();
        let turned_high = high * cosines + low * sines;
        Tensor::cat(vec![turned_low, turned_high], 3).reshape([batch, tokens, width])
    }
}

#[backend_extension(Autodiff, Flex)]
trait FusedRotary: Backend {
    fn fused_rotate(rows: FloatTensor<Self>, rotation: Rotation) -> FloatTensor<Self>;
}

impl FusedRotary for Flex {
    fn fused_rotate(rows: FlexTensor, rotation: Rotation) -> FlexTensor {
        turned(rows, &rotation)
    }
}

impl<C: CheckpointStrategy> FusedRotary for Autodiff<Flex, C> {
    fn fused_rotate(rows: FloatTensor<Self>, rotation: Rotation) -> FloatTensor<Self> {
        let (rows, node) = rows.into_parts();
        let output = turned(rows, &rotation);
        record::<C, _, 1>(RotaryBackward, [node], rotation, output)
    }
}

fn turned(rows: FlexTensor, rotation: &Rotation) -> FlexTensor {
    count_call();
    let mut rows = whole(rows);
    let [_, _, width] = rows.shape().dims();
    rotation.turn(rows.storage_mut(), width / rotation.d_head);
    rows
}

#[derive(Debug)]
struct RotaryBackward;

impl Backward<Flex, 1> for RotaryBackward {
    type State = Rotation;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = turned(gradients.consume::<Flex>(&ops.node), &ops.state.back());
        if let [Some(node)] = ops.parents {
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}
