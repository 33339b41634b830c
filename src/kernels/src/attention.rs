//! Causal attention: a query weighs the keys that do not come after it, and takes the mean of their values.

use std::ops::Range;

use crate::elementary::{add, fold};
use crate::gemm::{Matrix, MatrixMut, add_product};
use crate::loss::{softmax_backward, softmax_row};

/// How many of what. The queries stand at the last keys: the last query sees every key, the one before all but the last.
/// Heads lie side by side in a row; a head of keys and values serves several heads of queries where there are fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    pub batch: usize,
    pub queries: usize,
    pub keys: usize,
    pub heads: usize,
    /// Heads of keys and values: a divisor of `heads`.
    pub key_heads: usize,
    pub d_key: usize,
    pub d_value: usize,
}

/// One head of one sequence: a block of columns in rows of all heads.
#[derive(Clone, Copy)]
struct Head {
    /// Where its first number stands.
    start: usize,
    rows: usize,
    columns: usize,
    stride: usize,
}

impl Head {
    fn of<'a>(&self, numbers: &'a [f32]) -> Matrix<'a> {
        Matrix::block(&numbers[self.start..], self.rows, self.columns, self.stride)
    }

    fn of_mut<'a>(&self, numbers: &'a mut [f32]) -> MatrixMut<'a> {
        MatrixMut::block(&mut numbers[self.start..], self.rows, self.columns, self.stride)
    }
}

impl AttentionShape {
    /// The keys that a query sees.
    fn seen(&self, query: usize) -> usize {
        self.keys - self.queries + query + 1
    }

    /// Queries, keys, values and outputs of a head, in this order.
    fn head(&self, sequence: usize, head: usize) -> [Head; 4] {
        let key_head = head / (self.heads / self.key_heads);
        let block = |rows: usize, columns: usize, heads: usize, head: usize| {
            let stride = heads * columns;
            Head { start: sequence * rows * stride + head * columns, rows, columns, stride }
        };
        [
            block(self.queries, self.d_key, self.heads, head),
            block(self.keys, self.d_key, self.key_heads, key_head),
            block(self.keys, self.d_value, self.key_heads, key_head),
            block(self.queries, self.d_value, self.heads, head),
        ]
    }

    /// Every sequence and head of queries, in the order of the weights.
    fn parts(&self) -> impl Iterator<Item = [Head; 4]> + use<> {
        let shape = *self;
        (0..self.batch * self.heads).map(move |part| shape.head(part / shape.heads, part % shape.heads))
    }

    fn check(&self, query: &[f32], key: &[f32]) {
        let AttentionShape { batch, queries, keys, heads, key_heads, d_key, .. } = *self;
        assert!(0 < queries && queries <= keys, "{queries} queries at the last of {keys} keys");
        assert!(0 < key_heads && heads.is_multiple_of(key_heads), "{heads} heads share {key_heads} heads of keys");
        assert_eq!(query.len(), batch * queries * heads * d_key, "queries of {self:?}");
        assert_eq!(key.len(), batch * keys * key_heads * d_key, "keys of {self:?}");
    }
}

/// How much each query looks at each key; zero at the keys after it.
///
/// # Shapes
///
/// - query `[batch, queries, heads * d_key]`
/// - key `[batch, keys, key_heads * d_key]`
/// - output `[batch, heads, queries, keys]`; each row sums to one
pub fn attention_weights(query: &[f32], key: &[f32], shape: AttentionShape, scale: f32) -> Vec<f32> {
    shape.check(query, key);
    let AttentionShape { batch, queries, keys, heads, .. } = shape;
    let mut weights = vec![0.0; batch * heads * queries * keys];
    for ([of_query, of_key, ..], weights) in shape.parts().zip(weights.chunks_exact_mut(queries * keys)) {
        let scores = MatrixMut::new(weights, queries, keys);
        add_product(of_query.of(query), of_key.of(key).transposed(), scores);
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
/// - query `[batch, queries, heads * d_key]`
/// - key `[batch, keys, key_heads * d_key]`
/// - value `[batch, keys, key_heads * d_value]`
/// - output `[batch, queries, heads * d_value]` and the weights `[batch, heads, queries, keys]`
pub fn attention(query: &[f32], key: &[f32], value: &[f32], shape: AttentionShape, scale: f32) -> [Vec<f32>; 2] {
    let AttentionShape { batch, queries, keys, heads, key_heads, d_value, .. } = shape;
    assert_eq!(value.len(), batch * keys * key_heads * d_value, "values of {shape:?}");
    let weights = attention_weights(query, key, shape, scale);
    let mut output = vec![0.0; batch * queries * heads * d_value];
    for ([_, _, of_value, of_output], weights) in shape.parts().zip(weights.chunks_exact(queries * keys)) {
        add_product(Matrix::new(weights, queries, keys), of_value.of(value), of_output.of_mut(&mut output));
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
    let AttentionShape { batch, queries, keys, heads, d_value, .. } = shape;
    assert_eq!(gradient.len(), batch * queries * heads * d_value, "a gradient of {shape:?}");
    let [mut to_query, mut to_key, mut to_value] = [query, key, value].map(|operand| vec![0.0; operand.len()]);
    let mut scores = vec![0.0; queries * keys];
    for ([of_query, of_key, of_value, of_output], weights) in shape.parts().zip(weights.chunks_exact(queries * keys)) {
        let (gradient, looked) = (of_output.of(gradient), Matrix::new(weights, queries, keys));
        scores.fill(0.0);
        add_product(gradient, of_value.of(value).transposed(), MatrixMut::new(&mut scores, queries, keys));
        softmax_backward(weights, &mut scores, keys);
        crate::elementary::scale(&mut scores, scale);
        let scores = Matrix::new(&scores, queries, keys);
        add_product(scores, of_key.of(key), of_query.of_mut(&mut to_query));
        add_product(scores.transposed(), of_query.of(query), of_key.of_mut(&mut to_key));
        add_product(looked.transposed(), gradient, of_value.of_mut(&mut to_value));
    }
    [to_query, to_key, to_value]
}

/// One query of one head over a cache of keys and values: its weights and the mean of the values. Nothing here knows
/// where a key once stood, so a cache may have lost or joined tokens.
///
/// # Shapes
///
/// - query `[d_key]`
/// - keys `[cached, d_key]`, values `[cached, d_value]`, at least one
/// - bias `[cached]`, added to the scaled scores, or empty for none
/// - weights `[cached]`, output `[d_value]`: both are overwritten
pub fn attend(query: &[f32], [keys, values, bias]: [&[f32]; 3], scale: f32, weights: &mut [f32], output: &mut [f32]) {
    let (d_key, d_value, cached) = (query.len(), output.len(), weights.len());
    assert!(cached > 0, "a query needs a key to look at");
    assert_eq!([keys.len(), values.len()], [cached * d_key, cached * d_value], "a cache of {cached} tokens");
    scores(query, keys, scale, weights);
    if !bias.is_empty() {
        add(weights, bias);
    }
    softmax_row(weights);
    output.fill(0.0);
    add_mean(weights, values, output);
}

/// The same over spans of a cache, each of which meets a query of its own: one that is turned as far from the span's keys
/// as it is to see them. Nothing is gathered, for keys and values stay where they are.
///
/// # Shapes
///
/// - queries `[spans, d_key]`
/// - spans: rows of the cache, at least one in all
/// - keys `[cached, d_key]`, values `[cached, d_value]`
/// - weights: one for each row of the spans, in their order; output `[d_value]`: both are overwritten
pub fn attend_spans(
    queries: &[f32],
    spans: &[Range<usize>],
    [keys, values]: [&[f32]; 2],
    scale: f32,
    weights: &mut [f32],
    output: &mut [f32],
) {
    let (d_key, d_value) = (queries.len() / spans.len().max(1), output.len());
    assert_eq!(queries.len(), spans.len() * d_key, "a query for each of {} spans", spans.len());
    assert_eq!(weights.len(), spans.iter().map(Range::len).sum::<usize>(), "a weight for each row of {spans:?}");
    assert!(!weights.is_empty(), "a query needs a key to look at");
    let mut rest = &mut *weights;
    for (query, span) in queries.chunks_exact(d_key).zip(spans) {
        let (own, after) = rest.split_at_mut(span.len());
        scores(query, &keys[span.start * d_key..span.end * d_key], scale, own);
        rest = after;
    }
    softmax_row(weights);
    output.fill(0.0);
    let mut rest = &*weights;
    for span in spans {
        let (own, after) = rest.split_at(span.len());
        add_mean(own, &values[span.start * d_value..span.end * d_value], output);
        rest = after;
    }
}

/// How well each key matches a query: their products, times `scale`.
///
/// # Shapes
///
/// - query `[d_key]`, keys `[cached, d_key]`
/// - output `[cached]`, which is overwritten
pub fn scores(query: &[f32], keys: &[f32], scale: f32, output: &mut [f32]) {
    assert_eq!(keys.len(), output.len() * query.len(), "{} keys of {} numbers", output.len(), query.len());
    for (score, key) in output.iter_mut().zip(keys.chunks_exact(query.len())) {
        *score = scale * fold(query, key, |sum, q, k| sum + q * k);
    }
}

fn add_mean(weights: &[f32], values: &[f32], output: &mut [f32]) {
    let (rows, columns) = (weights.len(), output.len());
    add_product(Matrix::new(weights, 1, rows), Matrix::new(values, rows, columns), MatrixMut::new(output, 1, columns));
}
