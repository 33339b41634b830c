//! A layer of a cache that was brought along: its first tokens are the context that is compressed, and the queries of its
//! last ones say what a compression costs.

use super::relative_error;
use crate::lab::Host;
use crate::mech::cache_file::CacheLayer;
use crate::mech::kv_cache::{Cache, Head, Layer, LayerShape};
use kernels::{AttentionShape, Matrix, attention_weights, product};

/// Rows of attention that are kept of the context's last queries: the longest window.
pub const MOST_WINDOW: usize = 32;
/// Queries whose attention is computed at a time.
const BLOCK: usize = 64;

pub struct HeldOut {
    /// What a compression works on. Nobody has looked at anything where neither queries nor attention are known.
    pub layer: Layer,
    /// How much the last queries look at the first token, `[query_heads]`; empty where that is not known.
    pub sink: Vec<f32>,
    shape: LayerShape,
    /// Tokens of the context.
    context: usize,
    looks: Looks,
    /// Keys and values of the last tokens, `[key_heads][held out, d_head]`.
    own: Vec<[Vec<f32>; 2]>,
    /// What each head of queries finds with the whole cache, `[query_heads][held out, d_head]`.
    whole: Vec<Vec<f32>>,
}

/// How the last tokens look at what was before.
enum Looks {
    Unknown,
    /// By their queries, `[query_heads][held out, d_head]`.
    Queries(Vec<Vec<f32>>),
    /// By what they looked at when the whole cache was there, `[query_heads][held out, tokens]`. Whoever loses a token
    /// looks at the others in its stead, but another key would draw other looks.
    Attention(Vec<Vec<f32>>),
}

impl HeldOut {
    /// Holds the last `held` tokens of a layer out.
    pub async fn new(index: usize, from: &CacheLayer, held: usize, host: &Host) -> Self {
        let shape @ LayerShape { query_heads, key_heads, tokens, d_head } = from.shape;
        let context = tokens - held;
        let last = |numbers: &[f32], head: usize, width: usize| {
            numbers[(head * tokens + context) * width..(head + 1) * tokens * width].to_vec()
        };
        let of_queries = |numbers: &[f32], width| (0..query_heads).map(|head| last(numbers, head, width)).collect();
        let looks = match (&from.queries, &from.attention) {
            (Some(queries), _) => Looks::Queries(of_queries(queries, d_head)),
            (None, Some(attention)) => Looks::Attention(of_queries(attention, tokens)),
            (None, None) => Looks::Unknown,
        };
        let mut heads = Vec::with_capacity(key_heads);
        for head in 0..key_heads {
            heads.push(context_of(from, head, context, host).await);
        }
        let own = |head| [&from.keys, &from.values].map(|numbers| last(numbers, head, d_head));
        let mut layer = Layer::new(index, d_head, key_heads, MOST_WINDOW);
        layer.heads = heads;
        let mut held_out =
            Self { layer, sink: vec![], shape, context, looks, own: (0..key_heads).map(own).collect(), whole: vec![] };
        for head in 0..query_heads {
            let Some(weights) = held_out.weights(head, &held_out.layer.heads[held_out.key_head(head)]) else { break };
            let first = weights.iter().step_by(tokens).sum::<f32>() / held as f32;
            held_out.sink.push(first);
            held_out.whole.push(held_out.found(head, &weights, &held_out.layer.heads[held_out.key_head(head)]));
            host.breathe().await;
        }
        held_out
    }

    /// Tokens of the context.
    pub fn tokens(&self) -> usize {
        self.context
    }

    /// Whether it is known what was looked at, by queries or by attention.
    pub fn knows_looks(&self) -> bool {
        !matches!(self.looks, Looks::Unknown)
    }

    /// Whether it is known what would be looked at if keys were others.
    pub fn knows_queries(&self) -> bool {
        matches!(self.looks, Looks::Queries(_))
    }

    /// How far each head's output over the last tokens is from what it is with the whole cache, relative to its size,
    /// `[query_heads]`; empty where the looks are not known. What the last tokens themselves are to each other stays whole.
    pub fn errors(&self, compressed: &Layer) -> Vec<f64> {
        let error = |(head, whole): (usize, &Vec<f32>)| {
            let kept = &compressed.heads[self.key_head(head)];
            let found = self.found(head, &self.weights(head, kept)?, kept);
            Some(relative_error(&found, whole))
        };
        self.whole.iter().enumerate().map_while(error).collect()
    }

    /// By how much other keys of the whole context move the last tokens' scores, before the softmax: the root of the mean
    /// square. None without queries.
    ///
    /// # Shapes
    ///
    /// - keys `[key_heads][context, d_head]`
    pub fn score_change(&self, keys: &[Vec<f32>]) -> Option<f64> {
        let Looks::Queries(queries) = &self.looks else { return None };
        let d_head = self.shape.d_head;
        let (mut sum, mut count) = (0.0, 0);
        for (head, queries) in queries.iter().enumerate() {
            let key_head = self.key_head(head);
            let moved: Vec<f32> =
                keys[key_head].iter().zip(&self.layer.heads[key_head].cache.keys).map(|(new, old)| new - old).collect();
            let queries = Matrix::new(queries, queries.len() / d_head, d_head);
            let changes = product(queries, Matrix::new(&moved, self.context, d_head).transposed());
            sum += kernels::sum_of_squares(&changes);
            count += changes.len();
        }
        Some(f64::from(scale(d_head)) * libm::sqrt(sum / count as f64))
    }

    fn key_head(&self, query_head: usize) -> usize {
        query_head / (self.shape.query_heads / self.shape.key_heads)
    }

    /// How much each of the last tokens looks at what is kept, and at the last tokens up to itself: `[held out, kept + held
    /// out]`.
    fn weights(&self, head: usize, kept: &Head) -> Option<Vec<f32>> {
        let (held, d_head) = (self.shape.tokens - self.context, self.shape.d_head);
        let columns = kept.tokens() + held;
        let mut weights = match &self.looks {
            Looks::Unknown => return None,
            Looks::Queries(queries) => {
                let keys = [&kept.cache.keys[..], &self.own[self.key_head(head)][0]].concat();
                let shape = one_head(held, columns, d_head);
                attention_weights(&queries[head], &keys, shape, scale(d_head))
            }
            Looks::Attention(rows) => {
                let rows = rows[head].chunks_exact(self.shape.tokens);
                let still = |row: &[f32]| -> Vec<f32> {
                    let stays = kept.positions.iter().map(|&position| row[position]);
                    stays.chain(row[self.context..].iter().copied()).collect()
                };
                rows.flat_map(still).collect()
            }
        };
        let log_mass = &kept.cache.log_mass;
        if !log_mass.is_empty() || matches!(self.looks, Looks::Attention(_)) {
            for row in weights.chunks_exact_mut(columns) {
                row.iter_mut().zip(log_mass).for_each(|(weight, mass)| *weight *= libm::expf(*mass));
                let sum: f32 = row.iter().sum();
                row.iter_mut().for_each(|weight| *weight /= sum.max(f32::MIN_POSITIVE));
            }
        }
        Some(weights)
    }

    /// What the last tokens find, `[held out, d_head]`.
    fn found(&self, head: usize, weights: &[f32], kept: &Head) -> Vec<f32> {
        let values = [&kept.cache.values[..], &self.own[self.key_head(head)][1]].concat();
        let columns = values.len() / self.shape.d_head;
        product(
            Matrix::new(weights, weights.len() / columns, columns),
            Matrix::new(&values, columns, self.shape.d_head),
        )
    }
}

/// What one head of keys knows of the context, with the mean attention of the heads of queries that read it. Rows are
/// computed a few at a time: those of a long text would not fit into memory together.
async fn context_of(from: &CacheLayer, key_head: usize, context: usize, host: &Host) -> Head {
    let LayerShape { query_heads, key_heads, tokens, d_head } = from.shape;
    let own = |numbers: &[f32]| numbers[key_head * tokens * d_head..][..context * d_head].to_vec();
    let cache = Cache { keys: own(&from.keys), values: own(&from.values), log_mass: vec![] };
    let known = from.queries.is_some() || from.attention.is_some();
    let rows = if known { MOST_WINDOW.min(context) } else { 0 };
    let (mut sums, mut recent) = (vec![0.0; context], vec![vec![0.0; context]; rows]);
    let share = query_heads / key_heads;
    for head in (key_head * share..(key_head + 1) * share).filter(|_| known) {
        for first in (0..context).step_by(BLOCK) {
            let end = context.min(first + BLOCK);
            let weights = match (&from.attention, &from.queries) {
                (Some(attention), _) => {
                    let rows = attention[(head * tokens + first) * tokens..].chunks_exact(tokens).take(end - first);
                    rows.flat_map(|row| &row[..end]).copied().collect()
                }
                (None, Some(queries)) => {
                    let queries = &queries[(head * tokens + first) * d_head..(head * tokens + end) * d_head];
                    let shape = one_head(end - first, end, d_head);
                    attention_weights(queries, &cache.keys[..end * d_head], shape, scale(d_head))
                }
                (None, None) => vec![],
            };
            for (query, row) in (first..end).zip(weights.chunks_exact(end)) {
                let add = |sums: &mut Vec<f64>| {
                    sums.iter_mut().zip(row).for_each(|(sum, &weight)| *sum += f64::from(weight) / share as f64);
                };
                add(&mut sums);
                if let Some(recent) = (query + rows).checked_sub(context).and_then(|at| recent.get_mut(at)) {
                    add(recent);
                }
            }
            host.breathe().await;
        }
    }
    Head { cache, positions: (0..context).collect(), sums, recent: recent.into() }
}

fn one_head(queries: usize, keys: usize, d_head: usize) -> AttentionShape {
    AttentionShape { batch: 1, queries, keys, heads: 1, key_heads: 1, d_key: d_head, d_value: d_head }
}

fn scale(d_head: usize) -> f32 {
    1.0 / (d_head as f32).sqrt()
}
