//! What each method costs in one layer of a cache that was brought along.

use super::held_out::HeldOut;
use super::methods::{Knobs, METHODS, Method, share_of};
use super::quantizers::{Grain, Quantizer};
use crate::lab::Host;
use crate::mech::cache_file::CacheLayer;
use crate::mech::kv_cache::{Compression, Layer, Rest, Score, row_bytes};
use crate::mech::quantizer::{
    self, HeadRows, Method as Stores, Orthogonal, PerToken, Place, Recipe, add_channel_sums, quantize,
};

/// Shares of the context that every method is measured at.
pub const SHARES: [f64; 6] = [0.75, 0.5, 0.35, 0.25, 0.15, 0.1];

/// What a method costs in one layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Rows of all heads of keys.
    pub rows: usize,
    pub bytes: usize,
    /// Of keys in few bits: how far they are off, relative to their size.
    pub key_error: Option<f32>,
    /// By how much scores move, before the softmax.
    pub score_change: Option<f32>,
    /// How far each head's output is off, relative to its size, `[query_heads]`; empty where that cannot be known.
    pub errors: Vec<f32>,
}

impl Measured {
    pub fn error(&self) -> Option<f64> {
        mean(self.errors.iter().map(|&error| f64::from(error)))
    }

    pub fn numbers(&self) -> Vec<f32> {
        // In words, which an f32 counts exactly as far as a file goes.
        let counts = [self.rows, self.bytes / 4].map(|count| count as f32);
        let known = [self.key_error, self.score_change].map(|figure| figure.unwrap_or(f32::NAN));
        [&counts[..], &known, &self.errors].concat()
    }

    pub fn load(numbers: &[f32]) -> Option<Self> {
        let (&[rows, words, key_error, score_change], errors) = numbers.split_first_chunk()?;
        let known = |figure: f32| Some(figure).filter(|figure| !figure.is_nan());
        Some(Self {
            rows: rows as usize,
            bytes: 4 * words as usize,
            key_error: known(key_error),
            score_change: known(score_change),
            errors: errors.to_vec(),
        })
    }
}

/// None of nothing.
pub fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = numbers.fold((0.0, 0_usize), |(sum, count), number| (sum + number, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// What a method asks of a file, beyond keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    Nothing,
    /// What was looked at: queries or attention.
    Looks,
    /// What would be looked at if keys were others: queries.
    Queries,
}

impl Needs {
    /// To choose what stays.
    pub fn of_choice(method: &Compression) -> Self {
        let by_attention = match method.score {
            Score::H2o | Score::ObservedAttention | Score::SnapKv { .. } | Score::Tova | Score::GlobalLocal { .. } => {
                true
            }
            Score::Random { .. } | Score::Window | Score::StreamingLlm { .. } | Score::Knorm | Score::KeyDiff => false,
        };
        if by_attention || matches!(method.rest, Rest::Cam { .. }) { Self::Looks } else { Self::Nothing }
    }

    /// To say what it costs.
    pub fn of_error(method: &Compression) -> Self {
        let turns_keys = match method.rest {
            Rest::Ems(ems) => ems.merge_keys,
            Rest::D2o { .. } | Rest::Pivot => true,
            Rest::Drop | Rest::MergingPress { .. } | Rest::Cam { .. } => false,
        };
        if turns_keys { Self::Queries } else { Self::Looks }
    }

    pub fn met(self, held_out: &HeldOut) -> bool {
        match self {
            Self::Nothing => true,
            Self::Looks => held_out.knows_looks(),
            Self::Queries => held_out.knows_queries(),
        }
    }
}

/// The layer under a method, if what it needs is there.
fn compressed(method: &Method, knobs: &Knobs, held_out: &HeldOut, kept: usize) -> Option<(Layer, Compression)> {
    let method = (method.make)(knobs);
    Needs::of_choice(&method).met(held_out).then(|| (method.apply(&held_out.layer, kept).layer, method))
}

/// Every method at one budget, in the order of their table, and last of all the loss of the first token alone; none where
/// the file lacks what it needs.
pub async fn evict(held_out: &HeldOut, knobs: &Knobs, kept: usize, host: &Host) -> Vec<Option<Measured>> {
    let measured = |layer: &Layer, known: bool| Measured {
        rows: layer.tokens(),
        bytes: layer.tokens() * row_bytes(layer.d_head).iter().sum::<usize>(),
        errors: if known { held_out.errors(layer).into_iter().map(|error| error as f32).collect() } else { vec![] },
        ..Measured::default()
    };
    let mut all = Vec::with_capacity(METHODS.len() + 1);
    for method in &METHODS {
        let compressed = compressed(method, knobs, held_out, kept);
        all.push(compressed.map(|(layer, method)| measured(&layer, Needs::of_error(&method).met(held_out))));
        host.breathe().await;
    }
    all.push(Some(measured(&without_first(&held_out.layer), true)));
    all
}

fn without_first(layer: &Layer) -> Layer {
    let mut layer = layer.clone();
    for head in &mut layer.heads {
        head.cache.keys.drain(..layer.d_head);
        head.cache.values.drain(..layer.d_head);
        head.positions.remove(0);
    }
    layer
}

/// The mean error of each method at each of [`SHARES`], `[methods][shares]`; what cannot be known is no number.
pub async fn sweep(held_out: &HeldOut, knobs: &Knobs, host: &Host) -> Vec<f32> {
    let tokens = held_out.tokens();
    let mut all = Vec::with_capacity(METHODS.len() * SHARES.len());
    for method in &METHODS {
        for share in SHARES {
            let known = compressed(method, knobs, held_out, share_of(share, tokens))
                .filter(|(_, method)| Needs::of_error(method).met(held_out))
                .and_then(|(layer, _)| mean(held_out.errors(&layer).into_iter()));
            all.push(known.map_or(f32::NAN, |error| error as f32));
            host.breathe().await;
        }
    }
    all
}

/// Why a quantizer cannot run on a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It stores keys before rotary positions, and nobody knows how these were turned.
    NotTurnedBack,
    /// It rotates heads, and there is no matrix of their size.
    NoRotation,
}

/// How a quantizer stores such a cache: it rotates as many heads together as there is a matrix for.
///
/// # Errors
///
/// When the cache lacks what it needs.
pub fn recipe(quantizer: Quantizer, grain: Grain, layer: &CacheLayer) -> Result<Recipe, Refusal> {
    let mut recipe = quantizer.recipe(grain, layer.shape);
    if let Stores::PerToken(PerToken { place, rotated_heads, .. }) = &mut recipe.method {
        if *place == Place::BeforeRotary && layer.plain_keys.is_none() {
            return Err(Refusal::NotTurnedBack);
        }
        if let Some(together) = rotated_heads {
            let d_head = layer.shape.d_head;
            let fits = |heads: &usize| {
                layer.shape.key_heads.is_multiple_of(*heads) && Orthogonal::of(heads * d_head).is_some()
            };
            // Values are rotated head by head.
            let most = (1..=*together).rev().find(fits).filter(|_| Orthogonal::of(d_head).is_some());
            *together = most.ok_or(Refusal::NoRotation)?;
        }
    }
    Ok(recipe)
}

/// What quantizers know of a layer's context. The order of channels is calibrated on its first half. The first `spared`
/// tokens stand for the attention sinks, which RotateKV finds in hidden states.
pub fn remembered(from: &CacheLayer, context: usize, rotary_base: Option<f64>, spared: usize) -> quantizer::Layer {
    let (tokens, d_head) = (from.shape.tokens, from.shape.d_head);
    let known = from.plain_keys.as_ref().zip(rotary_base);
    // At position zero nothing is turned, so keys whose rotation is not known stay as they are.
    let position = |at: usize| if known.is_some() { at } else { 0 };
    let own = |numbers: &[f32], head: usize| numbers[head * tokens * d_head..][..context * d_head].to_vec();
    let rows = |head: usize| HeadRows {
        keys: own(known.map_or(&from.keys, |(plain, _)| plain), head),
        values: own(&from.values, head),
        positions: (0..context).map(position).collect(),
    };
    let heads: Vec<HeadRows> = (0..from.shape.key_heads).map(rows).collect();
    let mut channel_sums = vec![0.0; heads.len() * d_head];
    for (sums, head) in channel_sums.chunks_exact_mut(d_head).zip(&heads) {
        add_channel_sums(sums, &head.keys[..context / 2 * d_head]);
    }
    let rotary_base = known.map_or(1.0, |(_, base)| base);
    quantizer::Layer { d_head, rotary_base, heads, channel_sums, sinks: (0..spared).collect() }
}

/// Every quantizer, in the order of their table; none where the file lacks what it needs.
pub async fn store(
    held_out: &HeldOut,
    remembered: &quantizer::Layer,
    recipes: &[Result<Recipe, Refusal>],
    host: &Host,
) -> Vec<Option<Measured>> {
    let mut all = Vec::with_capacity(recipes.len());
    for recipe in recipes {
        all.push(recipe.as_ref().ok().map(|recipe| stored(held_out, remembered, recipe)));
        host.breathe().await;
    }
    all
}

fn stored(held_out: &HeldOut, remembered: &quantizer::Layer, recipe: &Recipe) -> Measured {
    let quantized = quantize(remembered, recipe);
    let mut layer = held_out.layer.clone();
    let (mut lost, mut size) = (0.0, 0.0);
    let mut keys = Vec::with_capacity(layer.heads.len());
    for (head, read) in layer.heads.iter_mut().zip(quantized.heads) {
        let moved: Vec<f32> = read.keys.iter().zip(&head.cache.keys).map(|(new, old)| new - old).collect();
        lost += kernels::sum_of_squares(&moved);
        size += kernels::sum_of_squares(&head.cache.keys);
        keys.push(read.keys.clone());
        (head.cache.keys, head.cache.values) = (read.keys, read.values);
    }
    Measured {
        rows: layer.tokens(),
        bytes: quantized.bytes.total(),
        key_error: Some(if size > 0.0 { libm::sqrt(lost / size) as f32 } else { 0.0 }),
        score_change: held_out.score_change(&keys).map(|change| change as f32),
        errors: match Needs::Queries.met(held_out) {
            true => held_out.errors(&layer).into_iter().map(|error| error as f32).collect(),
            false => vec![],
        },
    }
}
