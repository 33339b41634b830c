//! Outliers on purpose: a small model's keys lack the few large channels of a large one's.

use crate::mech::ops::Heads;
use crate::seed::Stream;

/// A pair of channels that rotary positions turn together, for each head of keys of a layer.
pub fn outlier_pairs(seed: u64, layer: usize, key_heads: usize, d_head: usize) -> Vec<usize> {
    let mut stream = Stream::at(seed, "outliers", layer as u64);
    (0..key_heads).map(|_| stream.below(d_head / 2)).collect()
}

/// Multiplies a pair of channels of each head of keys by `severity`, and those of its queries by the inverse.
///
/// Scores stay what they were, because a pair is turned as a whole: the model is the same function and only harder to
/// quantize. The inverse of what smoothing does. A reconstruction, as is the choice of the pairs.
///
/// # Shapes
///
/// - query `[inputs, heads.queries * d_head]` and `[heads.queries * d_head]`: weight and bias, as are those of key
/// - pairs `[heads.keys]`, each below `d_head / 2`
pub fn exaggerate(
    [query_weight, query_bias]: [&mut [f32]; 2],
    [key_weight, key_bias]: [&mut [f32]; 2],
    heads: Heads,
    pairs: &[usize],
    severity: f32,
) {
    assert_eq!(pairs.len(), heads.keys, "a pair for each head of keys");
    let shared = heads.queries / heads.keys;
    let of_queries: Vec<usize> = pairs.iter().flat_map(|&pair| vec![pair; shared]).collect();
    let d_head = key_bias.len() / heads.keys;
    for rows in [query_weight, query_bias] {
        scale_pairs(rows, d_head, &of_queries, 1.0 / severity);
    }
    for rows in [key_weight, key_bias] {
        scale_pairs(rows, d_head, pairs, severity);
    }
}

/// # Shapes
///
/// - rows `[rows, pairs.len() * d_head]`
fn scale_pairs(rows: &mut [f32], d_head: usize, pairs: &[usize], factor: f32) {
    assert!(rows.len().is_multiple_of(pairs.len() * d_head), "{} numbers in rows of {} heads", rows.len(), pairs.len());
    for (head, &pair) in rows.chunks_exact_mut(d_head).zip(pairs.iter().cycle()) {
        head[pair] *= factor;
        head[pair + d_head / 2] *= factor;
    }
}
