//! EMS (Li et al. 2024): a score of both early and late attention, and merging where a head has look-alikes.
//!
//! The paper has no public code. What its abstract and its reviewers state is taken from there; the exact operators,
//! thresholds and weights are our reconstruction, marked (R).

use super::layer::{Head, Layer, cosines, directions, length, picked};
use super::merging::{blend, most_alike};
use super::{Compressed, Fate, Trace};

/// How the two scores become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Combine {
    /// The higher of the two (R).
    #[default]
    Max,
    Sum,
}

/// The attention to each token before the window, `[cached - window]`.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalLocal {
    /// By all queries: high for early tokens, which more queries see.
    pub global: Vec<f64>,
    /// By the queries of the window: high for whatever the end looks at.
    pub local: Vec<f64>,
    /// The global score, scaled to the mean of the local one.
    pub aligned: Vec<f64>,
}

/// Steps 1 and 2: both scores of a head, on one scale.
pub fn global_local(head: &Head, window: usize) -> GlobalLocal {
    let candidates = head.tokens() - window;
    let global = head.sums[..candidates].to_vec();
    let mut local = vec![0.0; candidates];
    for row in head.last_rows(window) {
        local.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight);
    }
    let [all, last] = [&global, &local].map(|scores| scores.iter().sum::<f64>());
    let scale = if all > 0.0 { last / all } else { 0.0 };
    let aligned = global.iter().map(|score| score * scale).collect();
    GlobalLocal { global, local, aligned }
}

impl GlobalLocal {
    pub fn combined(&self, combine: Combine) -> Vec<f64> {
        let join = match combine {
            Combine::Max => f64::max,
            Combine::Sum => |a: f64, b: f64| a + b,
        };
        self.aligned.iter().zip(&self.local).map(|(&aligned, &local)| join(aligned, local)).collect()
    }
}

/// Steps 4 to 7: which of the tokens that are not kept join a kept one, and how. Step 3 is [`Split::kept`](super::Split::kept)
/// by [`Score::GlobalLocal`](super::Score::GlobalLocal); step 8 holds of every compression.
///
/// Serves any score whose numbers are importances; below zero they count as zero. Tokens of the window take no part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ems {
    /// Tokens beyond this share of a head's score are irrelevant, and not merged (p) (R).
    pub mass: f64,
    /// Tokens less redundant than this are dropped as well (τ) (R).
    pub threshold: f64,
    /// Whether the key of a center turns towards those of its members.
    pub merge_keys: bool,
    /// Whether a center's score in the softmax grows by the logarithm of its class's mass over its own: a center then
    /// draws the attention of all its members. Not a part of EMS (R).
    pub log_mass: bool,
}

impl Default for Ems {
    fn default() -> Self {
        Self { mass: 0.95, threshold: 0.0, merge_keys: true, log_mass: false }
    }
}

impl Ems {
    /// Nothing is merged: eviction by score.
    pub const SCORE_ONLY: Self = Self { mass: 0.0, threshold: 0.0, merge_keys: true, log_mass: false };
    /// Every token that has a center somewhat like it is merged.
    pub const MERGE_EVERYTHING: Self = Self { mass: 1.0, ..Self::SCORE_ONLY };
    /// Keys of centers stay as they were.
    pub const VALUES_ONLY: Self = Self { mass: 0.95, merge_keys: false, ..Self::SCORE_ONLY };

    pub(super) fn merge(&self, layer: &Layer, into: &mut Compressed) {
        for ((from, to), trace) in layer.heads.iter().zip(&mut into.layer.heads).zip(&mut into.traces) {
            let from = Members::of(from, trace, layer.d_head);
            self.merge_head(&from, to, trace);
        }
    }

    fn merge_head(&self, from: &Members, to: &mut Head, trace: &mut Trace) {
        let centers = &trace.kept[..trace.kept.partition_point(|&token| token < from.weights.len())];
        let tokens = self.worth_merging(&from.weights, trace);
        let found = most_alike(&from.redundancies(&tokens, centers), tokens.len());
        let mut classes: Vec<Vec<usize>> = vec![vec![]; centers.len()];
        for (&token, found) in tokens.iter().zip(found) {
            trace.similarity[token] = found.map(|(_, redundancy)| redundancy);
            trace.fates[token] = match found {
                Some((class, redundancy)) if redundancy >= self.threshold => {
                    classes[class].push(token);
                    Fate::Merged(centers[class])
                }
                _ => Fate::ZeroClass,
            };
        }
        for (row, members) in classes.iter().enumerate().filter(|(_, members)| !members.is_empty()) {
            self.join(from, centers[row], members, to, row);
        }
    }

    /// Step 4: the tokens that are not kept, from the best on, as long as the better ones hold less than the mass.
    ///
    /// Each has a score above zero, and so has every center, whose score is no lower.
    fn worth_merging(&self, weights: &[f64], trace: &Trace) -> Vec<usize> {
        let order: Vec<usize> = trace.scores.order().into_iter().filter(|&token| token < weights.len()).collect();
        // In the order of the walk, so that the last of them finds less than the whole before it.
        let total: f64 = order.iter().map(|&token| weights[token]).sum();
        let mut before = 0.0;
        let relevant = order.into_iter().take_while(|&token| {
            let relevant = before < self.mass * total;
            before += weights[token];
            relevant
        });
        relevant.filter(|&token| trace.fates[token] == Fate::Evicted).collect()
    }

    /// Step 7: a center takes in its members, each weighted by its score (R). A key is merged as a direction and keeps
    /// its length.
    fn join(&self, from: &Members, center: usize, members: &[usize], to: &mut Head, row: usize) {
        let (head, weights, d_head) = (from.head, &from.weights, from.d_head);
        let weighted = || members.iter().map(|&member| (weights[member], member));
        let total = weights[center] + weighted().map(|(weight, _)| weight).sum::<f64>();
        let own = row * d_head..(row + 1) * d_head;
        blend(&mut to.cache.values[own.clone()], weights[center], weighted(), &head.cache.values, total);
        if self.merge_keys {
            from.turn(&mut to.cache.keys[own], weighted().chain([(weights[center], center)]));
        }
        if self.log_mass {
            let log_mass = &mut to.cache.log_mass;
            log_mass.resize(to.positions.len(), 0.0);
            log_mass[row] += libm::log(total / weights[center]) as f32;
        }
        // What the last queries alone looked at stays the center's own (R).
        to.sums[row] += members.iter().map(|&member| head.sums[member]).sum::<f64>();
    }
}

/// A head before it is compressed, and what its tokens are merged by.
struct Members<'a> {
    head: &'a Head,
    d_head: usize,
    /// The scores of the tokens before the window.
    weights: Vec<f64>,
    /// Directions of the keys, `[cached, d_head]`.
    directions: Vec<f32>,
}

impl<'a> Members<'a> {
    fn of(head: &'a Head, trace: &Trace, d_head: usize) -> Self {
        let weights = trace.scores.candidates().iter().map(|score| score.max(0.0)).collect();
        Self { head, d_head, weights, directions: directions(&head.cache.keys, d_head) }
    }

    /// Step 5: the product of the cosine of two tokens' keys and that of their values, or −1 if either is not above zero,
    /// for two negative ones would make a positive number.
    ///
    /// # Shapes
    ///
    /// - output `[tokens, centers]`
    fn redundancies(&self, tokens: &[usize], centers: &[usize]) -> Vec<f64> {
        let d_head = self.d_head;
        let [keys_of, values_of] = [&self.directions, &self.head.cache.values]
            .map(|numbers| [tokens, centers].map(|rows| picked(numbers, rows, d_head)));
        let keys = cosines(&keys_of[0], &keys_of[1], d_head);
        let [of_tokens, of_centers] = values_of.map(|values| directions(&values, d_head));
        let values = cosines(&of_tokens, &of_centers, d_head);
        let product = |(&key, &value): (&f32, &f32)| {
            if key > 0.0 && value > 0.0 { f64::from(key) * f64::from(value) } else { -1.0 }
        };
        keys.iter().zip(&values).map(product).collect()
    }

    /// Turns a key to the weighted sum of these tokens' directions.
    fn turn(&self, key: &mut [f32], tokens: impl Iterator<Item = (f64, usize)>) {
        let mut sum = vec![0.0; key.len()];
        for (weight, token) in tokens {
            let direction = &self.directions[token * key.len()..][..key.len()];
            sum.iter_mut().zip(direction).for_each(|(sum, x)| *sum += weight * f64::from(*x));
        }
        let (before, now) = (length(key), libm::sqrt(sum.iter().map(|x| x * x).sum()));
        if now > 0.0 {
            key.iter_mut().zip(sum).for_each(|(x, sum)| *x = (before * sum / now) as f32);
        }
    }
}
