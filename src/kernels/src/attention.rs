//! Causal attention: a query weighs the keys that do not come after it, and takes the mean of their values.

use crate::gemm::{Matrix, add_product, product};
use crate::loss::{softmax_backward, softmax_row};

/// How many of what. The queries stand at the last keys: the last query sees every key, the one before all but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    pub batch: usize,
    pub queries: usize,
    pub keys: usize,
    pub d_key: usize,
    pub d_value: usize,
}

impl AttentionShape {
    /// The keys that a query sees.
    fn seen(&self, query: usize) -> usize {
        self.keys - self.queries + query + 1
    }

    fn query<'a>(&self, numbers: &'a [f32], sequence: usize) -> Matrix<'a> {
        part(numbers, sequence, self.queries, self.d_key)
    }

    fn key<'a>(&self, numbers: &'a [f32], sequence: usize) -> Matrix<'a> {
        part(numbers, sequence, self.keys, self.d_key)
    }

    fn value<'a>(&self, numbers: &'a [f32], sequence: usize) -> Matrix<'a> {
        part(numbers, sequence, self.keys, self.d_value)
    }

    fn weights<'a>(&self, numbers: &'a [f32], sequence: usize) -> Matrix<'a> {
        part(numbers, sequence, self.queries, self.keys)
    }

    fn output<'a>(&self, numbers: &'a [f32], sequence: usize) -> Matrix<'a> {
        part(numbers, sequence, self.queries, self.d_value)
    }
}

/// The matrix of one sequence of the batch.
fn part(numbers: &[f32], sequence: usize, rows: usize, columns: usize) -> Matrix<'_> {
    Matrix::new(&numbers[sequence * rows * columns..][..rows * columns], rows, columns)
}

/// How much each query looks at each key; zero at the keys after it.
///
/// # Shapes
///
/// - query `[batch, queries, d_key]`
/// - key `[batch, keys, d_key]`
/// - output `[batch, queries, keys]`; each row sums to one
pub fn attention_weights(query: &[f32], key: &[f32], shape: AttentionShape, scale: f32) -> Vec<f32> {
    let AttentionShape { batch, queries, keys, d_key, .. } = shape;
    assert!(0 < queries && queries <= keys, "{queries} queries at the last of {keys} keys");
    assert_eq!(query.len(), batch * queries * d_key, "queries of {shape:?}");
    assert_eq!(key.len(), batch * keys * d_key, "keys of {shape:?}");
    let mut weights = vec![0.0; batch * queries * keys];
    for (sequence, weights) in weights.chunks_exact_mut(queries * keys).enumerate() {
        add_product(shape.query(query, sequence), shape.key(key, sequence).transposed(), weights);
        for (query, row) in weights.chunks_exact_mut(keys).enumerate() {
            let (seen, unseen) = row.split_at_mut(shape.seen(query));
            crate::elementary::scale(seen, scale);
            softmax_row(seen);
            unseen.fill(0.0);
        }
    }
    weights
}

/// The mean of the values, as each query weighs them, and the weights, which the backward pass needs.
///
/// # Shapes
///
/// - query `[batch, queries, d_key]`
/// - key `[batch, keys, d_key]`
/// - value `[batch, keys, d_value]`
/// - output `[batch, queries, d_value]` and the weights `[batch, queries, keys]`
pub fn attention(query: &[f32], key: &[f32], value: &[f32], shape: AttentionShape, scale: f32) -> [Vec<f32>; 2] {
    let AttentionShape { batch, queries, keys, d_value, .. } = shape;
    assert_eq!(value.len(), batch * keys * d_value, "values of {shape:?}");
    let weights = attention_weights(query, key, shape, scale);
    let mut output = vec![0.0; batch * queries * d_value];
    for (sequence, output) in output.chunks_exact_mut(queries * d_value).enumerate() {
        add_product(shape.weights(&weights, sequence), shape.value(value, sequence), output);
    }
    [output, weights]
}

/// The gradients of queries, keys and values from that of the output.
///
/// # Shapes
///
/// - those of [`attention`]; gradient: the output's
pub fn attention_backward(
    [query, key, value]: [&[f32]; 3],
    weights: &[f32],
    gradient: &[f32],
    shape: AttentionShape,
    scale: f32,
) -> [Vec<f32>; 3] {
    let AttentionShape { batch, queries, keys, d_key, d_value } = shape;
    assert_eq!(gradient.len(), batch * queries * d_value, "a gradient of {shape:?}");
    let mut gradients = [queries * d_key, keys * d_key, keys * d_value].map(|length| vec![0.0; batch * length]);
    let [to_query, to_key, to_value] = &mut gradients;
    for sequence in 0..batch {
        let (gradient, looked) = (shape.output(gradient, sequence), shape.weights(weights, sequence));
        let mut scores = product(gradient, shape.value(value, sequence).transposed());
        softmax_backward(looked.numbers(), &mut scores, keys);
        crate::elementary::scale(&mut scores, scale);
        let scores = Matrix::new(&scores, queries, keys);
        let of = |length: usize| sequence * length..(sequence + 1) * length;
        add_product(scores, shape.key(key, sequence), &mut to_query[of(queries * d_key)]);
        add_product(scores.transposed(), shape.query(query, sequence), &mut to_key[of(keys * d_key)]);
        add_product(looked.transposed(), gradient, &mut to_value[of(keys * d_value)]);
    }
    gradients
}
