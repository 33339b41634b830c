//! Causal attention of one or several heads.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use kernels::AttentionShape;

use super::{count_call, numbers, on_flex, record, tensor, whole};

/// How many heads lie side by side in a row of queries, and in one of keys or values. Where there are fewer of the
/// latter, each serves as many heads of queries as come on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    pub queries: usize,
    pub keys: usize,
}

impl Heads {
    pub const ONE: Self = Self::each(1);

    /// Every head has keys and values of its own.
    pub const fn each(heads: usize) -> Self {
        Self { queries: heads, keys: heads }
    }
}

/// The mean of the values as each query weighs them, by the softmax of its products with the keys, times `scale`. A
/// query sees no key after it: the last query stands at the last key, the one before at the last but one.
///
/// # Shapes
///
/// - query `[batch, queries, heads.queries * d_key]`, with at most as many queries as keys
/// - key `[batch, keys, heads.keys * d_key]`
/// - value `[batch, keys, heads.keys * d_value]`
/// - output `[batch, queries, heads.queries * d_value]`
pub fn causal_attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: Heads, scale: f32) -> Tensor<3> {
    check(&query, &key, heads);
    let ([batch, keys, _], [value_batch, value_keys, width]) = (key.dims(), value.dims());
    assert_eq!([value_batch, value_keys], [batch, keys], "values for keys of [{batch}, {keys}]");
    assert!(width.is_multiple_of(heads.keys), "{} heads in a value of {width}", heads.keys);
    let query = query.into_dispatch();
    if !on_flex(&query) {
        return plain::causal_attention(Tensor::from_dispatch(query), key, value, heads, scale);
    }
    let (key, value) = (key.into_dispatch(), value.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_attention(query, key, value, heads, scale))
}

/// What [`causal_attention`] weighs the values by, for a look at it.
///
/// # Shapes
///
/// - query `[batch, queries, heads.queries * d_key]`
/// - key `[batch, keys, heads.keys * d_key]`
/// - output `[batch, heads.queries, queries, keys]`; each row sums to one
pub fn attention_weights(query: Tensor<3>, key: Tensor<3>, heads: Heads, scale: f32) -> Tensor<4> {
    let ([batch, queries, _], [_, keys, _]) = (query.dims(), key.dims());
    // The weights are the means of unit vectors.
    let unit = Tensor::<2>::eye(keys, &key.device()).repeat_dim(1, heads.keys).unsqueeze::<3>().repeat_dim(0, batch);
    let means = causal_attention(query, key, unit, heads, scale);
    means.reshape([batch, queries, heads.queries, keys]).swap_dims(1, 2)
}

fn check(query: &Tensor<3>, key: &Tensor<3>, heads: Heads) {
    let ([batch, queries, q_width], [key_batch, keys, k_width]) = (query.dims(), key.dims());
    let Heads { queries: q_heads, keys: k_heads } = heads;
    assert_eq!(batch, key_batch, "queries of {batch} sequences for keys of {key_batch}");
    assert!(0 < queries && queries <= keys, "{queries} queries at the last of {keys} keys");
    assert!(0 < k_heads && q_heads.is_multiple_of(k_heads), "{q_heads} heads share {k_heads} heads of keys");
    assert!(q_width.is_multiple_of(q_heads) && k_width.is_multiple_of(k_heads), "{heads:?} in {q_width} and {k_width}");
    assert_eq!(q_width / q_heads, k_width / k_heads, "a query and a key of a head differ in width");
}

pub mod plain {
    use burn::tensor::{Tensor, TensorData, activation};

    use super::Heads;

    /// # Shapes
    ///
    /// - those of [`super::causal_attention`]
    pub fn causal_attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: Heads, scale: f32) -> Tensor<3> {
        let ([batch, queries, _], [_, keys, _]) = (query.dims(), key.dims());
        let hidden = |cell: usize| if cell % keys > keys - queries + cell / keys { -1e9 } else { 0.0 };
        let mask: Vec<f32> = (0..queries * keys).map(hidden).collect();
        let mask = Tensor::from_data(TensorData::new(mask, [1, queries, keys]), &query.device());
        let (query, [key, value]) = (apart(query, heads.queries), [key, value].map(|rows| shared(rows, heads)));
        let scores = query.matmul(key.swap_dims(1, 2)) * scale + mask;
        let found: Tensor<3> = activation::softmax(scores, 2).matmul(value);
        let d_value = found.dims()[2];
        let found = found.reshape([batch, heads.queries, queries, d_value]);
        found.swap_dims(1, 2).reshape([batch, queries, heads.queries * d_value])
    }

    /// Each head as a sequence of its own.
    ///
    /// # Shapes
    ///
    /// - rows `[batch, tokens, heads * d]`
    /// - output `[batch * heads, tokens, d]`
    fn apart(rows: Tensor<3>, heads: usize) -> Tensor<3> {
        let [batch, tokens, width] = rows.dims();
        let d = width / heads;
        rows.reshape([batch, tokens, heads, d]).swap_dims(1, 2).reshape([batch * heads, tokens, d])
    }

    /// Each head of keys or values as often as there are heads of queries that it serves.
    ///
    /// # Shapes
    ///
    /// - rows `[batch, tokens, heads.keys * d]`
    /// - output `[batch * heads.queries, tokens, d]`
    fn shared(rows: Tensor<3>, heads: Heads) -> Tensor<3> {
        // Not only for speed: the way back through a repetition of one is wrong on WebGPU in Burn 0.22, where the gradient
        // of keys arrives transposed.
        if heads.queries == heads.keys {
            return apart(rows, heads.keys);
        }
        let [batch, tokens, width] = rows.dims();
        let d = width / heads.keys;
        let rows = apart(rows, heads.keys).reshape([batch * heads.keys, 1, tokens, d]);
        rows.repeat_dim(1, heads.queries / heads.keys).reshape([batch * heads.queries, tokens, d])
    }
}

#[backend_extension(Autodiff, Flex)]
trait FusedAttention: Backend {
    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: Heads,
        scale: f32,
    ) -> FloatTensor<Self>;
}

impl FusedAttention for Flex {
    fn fused_attention(query: FlexTensor, key: FlexTensor, value: FlexTensor, heads: Heads, scale: f32) -> FlexTensor {
        forward(query, key, value, heads, scale).0
    }
}

impl<C: CheckpointStrategy> FusedAttention for Autodiff<Flex, C> {
    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: Heads,
        scale: f32,
    ) -> FloatTensor<Self> {
        let ((query, a), (key, b), (value, c)) = (query.into_parts(), key.into_parts(), value.into_parts());
        let (output, state) = forward(query, key, value, heads, scale);
        record::<C, _, 3>(AttentionBackward, [a, b, c], state, output)
    }
}

#[derive(Clone, Debug)]
struct AttentionState {
    operands: [FlexTensor; 3],
    weights: Vec<f32>,
    shape: AttentionShape,
    scale: f32,
}

fn forward(
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    heads: Heads,
    scale: f32,
) -> (FlexTensor, AttentionState) {
    count_call();
    let ([batch, queries, q_width], [_, keys, v_width]) = (query.shape().dims(), value.shape().dims());
    let Heads { queries: q_heads, keys: key_heads } = heads;
    let (d_key, d_value) = (q_width / q_heads, v_width / key_heads);
    let shape = AttentionShape { batch, queries, keys, heads: q_heads, key_heads, d_key, d_value };
    let operands = [query, key, value].map(whole);
    let [query, key, value] = operands.each_ref().map(numbers);
    let [output, weights] = kernels::attention(query, key, value, shape, scale);
    (tensor(output, [batch, queries, q_heads * d_value]), AttentionState { operands, weights, shape, scale })
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
