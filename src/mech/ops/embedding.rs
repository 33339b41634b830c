//! Rows of a table, picked by index.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Int, Tensor};

use super::{count_call, indices, numbers, on_flex, record, tensor, whole};

/// The row of the table that each index names, plus, if there are positions, the row of the token's place.
///
/// # Shapes
///
/// - table `[vocabulary, width]`
/// - index `[batch, tokens]`, each below `vocabulary`
/// - positions `[tokens, width]`
/// - output `[batch, tokens, width]`
pub fn embedding(table: Tensor<2>, index: Tensor<2, Int>, positions: Option<Tensor<2>>) -> Tensor<3> {
    let ([_, tokens], [_, width]) = (index.dims(), table.dims());
    if let Some(positions) = &positions {
        assert_eq!(positions.dims(), [tokens, width], "positions of {tokens} tokens of width {width}");
    }
    let table = table.into_dispatch();
    if !on_flex(&table) {
        return plain::embedding(Tensor::from_dispatch(table), index, positions);
    }
    let index = index.into_dispatch();
    Tensor::from_dispatch(match positions {
        Some(positions) => Dispatch::fused_embedding_with_positions(table, index, positions.into_dispatch()),
        None => Dispatch::fused_embedding(table, index),
    })
}

pub mod plain {
    use burn::tensor::{Int, Tensor};

    /// # Shapes
    ///
    /// - those of [`super::embedding`]
    pub fn embedding(table: Tensor<2>, index: Tensor<2, Int>, positions: Option<Tensor<2>>) -> Tensor<3> {
        let ([batch, tokens], [_, width]) = (index.dims(), table.dims());
        let rows = table.select(0, index.reshape([batch * tokens])).reshape([batch, tokens, width]);
        match positions {
            Some(positions) => rows + positions.unsqueeze(),
            None => rows,
        }
    }
}

#[backend_extension(Autodiff, Flex)]
trait FusedEmbedding: Backend {
    fn fused_embedding(table: FloatTensor<Self>, index: IntTensor<Self>) -> FloatTensor<Self>;
    fn fused_embedding_with_positions(
        table: FloatTensor<Self>,
        index: IntTensor<Self>,
        positions: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl FusedEmbedding for Flex {
    fn fused_embedding(table: FlexTensor, index: FlexTensor) -> FlexTensor {
        forward(table, index, None).0
    }

    fn fused_embedding_with_positions(table: FlexTensor, index: FlexTensor, positions: FlexTensor) -> FlexTensor {
        forward(table, index, Some(positions)).0
    }
}

impl<C: CheckpointStrategy> FusedEmbedding for Autodiff<Flex, C> {
    fn fused_embedding(table: FloatTensor<Self>, index: IntTensor<Self>) -> FloatTensor<Self> {
        let (table, node) = table.into_parts();
        let (output, state) = forward(table, index, None);
        record::<C, _, 1>(EmbeddingBackward, [node], state, output)
    }

    fn fused_embedding_with_positions(
        table: FloatTensor<Self>,
        index: IntTensor<Self>,
        positions: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let ((table, a), (positions, b)) = (table.into_parts(), positions.into_parts());
        let (output, state) = forward(table, index, Some(positions));
        record::<C, _, 2>(EmbeddingBackward, [a, b], state, output)
    }
}

#[derive(Clone, Debug)]
struct EmbeddingState {
    index: Vec<usize>,
    vocabulary: usize,
    /// None, where there are no positions.
    tokens: usize,
    width: usize,
}

fn forward(table: FlexTensor, index: FlexTensor, positions: Option<FlexTensor>) -> (FlexTensor, EmbeddingState) {
    count_call();
    let (table, index, positions) = (whole(table), whole(index), positions.map(whole));
    let ([vocabulary, width], [batch, tokens]) = (table.shape().dims(), index.shape().dims());
    let index = indices(&index);
    let added = positions.as_ref().map_or(&[][..], numbers);
    let output = kernels::embedding(numbers(&table), added, &index, width);
    let state = EmbeddingState { index, vocabulary, tokens: positions.map_or(0, |_| tokens), width };
    (tensor(output, [batch, tokens, width]), state)
}

/// The way back, to the positions too where there is a second parent.
#[derive(Debug)]
struct EmbeddingBackward;

impl<const N: usize> Backward<Flex, N> for EmbeddingBackward {
    type State = EmbeddingState;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        count_call();
        let EmbeddingState { index, vocabulary, tokens, width } = ops.state;
        let gradient = whole(gradients.consume::<Flex>(&ops.node));
        let found = kernels::embedding_backward(numbers(&gradient), &index, [vocabulary, tokens, width]);
        for ((node, found), rows) in ops.parents.into_iter().zip(found).zip([vocabulary, tokens]) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, tensor(found, [rows, width]));
            }
        }
    }
}
