//! Which tokens are worth keeping: a number for each token of each head.
//!
//! The formulas are those of kvpress (NVIDIA, commit 8bb29b9) where it has the method, and else of the paper's own code.

use super::ems::{Combine, global_local};
use super::layer::{Head, Layer, directions, length};

/// A score of tokens. The windows are shortened where a text is shorter than they are, see [`Score::window`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// Chance; a token keeps its number for as long as it is there.
    Random { seed: u64 },
    /// Only the last tokens.
    Window,
    /// The first `sinks` tokens and the last ones (Xiao et al. 2023).
    StreamingLlm { sinks: usize },
    /// The attention of all queries (Zhang et al. 2023, as in their code: no mean). The later half of what is kept are the
    /// last tokens; of an odd number, the better half has one more, which is our choice.
    H2o,
    /// The mean attention of the queries that can see the token: H2O as kvpress has it, without a window.
    ObservedAttention,
    /// The mean attention of the last `window` queries, smoothed over `kernel` tokens (Li et al. 2024). At the ends the
    /// smoothing counts missing tokens as zero.
    SnapKv { window: usize, kernel: usize },
    /// The attention of the last query, the same for every head (Oren et al. 2024).
    Tova,
    /// Short keys first (Devoto et al. 2024).
    Knorm,
    /// Keys unlike the mean direction of all first (Park et al. 2025).
    KeyDiff,
    /// The attention of all queries and that of the last ones, brought to one scale: EMS, steps 1 and 2.
    GlobalLocal { window: usize, combine: Combine },
}

/// The scores of one head's tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadScores {
    /// `[cached]`. Tokens of the window stand one above the highest of all the layer's others.
    pub scores: Vec<f64>,
    /// How many tokens at the end are kept, whatever they are worth.
    pub window: usize,
}

impl HeadScores {
    /// The scores of the tokens before the window.
    pub fn candidates(&self) -> &[f64] {
        &self.scores[..self.scores.len() - self.window]
    }

    /// The tokens from the best to the worst; of equal ones the first comes first.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|&a, &b| self.scores[b].total_cmp(&self.scores[a]));
        order
    }

    /// The best tokens, or all if they are fewer, in the order in which they stand.
    pub fn best(&self, count: usize) -> Vec<usize> {
        let mut best = self.order();
        best.truncate(count);
        best.sort_unstable();
        best
    }
}

impl Score {
    /// How many of the last `tokens` are kept, whatever they are worth, when a head keeps `kept`. Never all of them: a
    /// window as long as the text would leave nothing to choose from.
    pub fn window(&self, tokens: usize, kept: usize) -> usize {
        let window = match *self {
            Self::SnapKv { window, .. } | Self::GlobalLocal { window, .. } => window,
            Self::H2o => kept / 2,
            Self::Tova => 1,
            _ => 0,
        };
        window.min(tokens.saturating_sub(1))
    }

    /// The fewest tokens that a head of so many can keep: its window, and one more to be chosen.
    pub fn least(&self, tokens: usize) -> usize {
        match self {
            Self::SnapKv { .. } | Self::GlobalLocal { .. } => self.window(tokens, 0) + 1,
            _ => 1,
        }
        .min(tokens)
    }

    /// The scores of a layer's tokens, if each head keeps `kept` of them.
    pub fn of(&self, layer: &Layer, kept: usize) -> Vec<HeadScores> {
        let window = |head: &Head| self.window(head.tokens(), kept);
        let scores = self.before_windows(layer, kept);
        let highest = scores.iter().flatten().copied().fold(0.0, f64::max);
        let guarded = |(mut scores, head): (Vec<f64>, &Head)| {
            scores.resize(head.tokens(), highest + 1.0);
            HeadScores { scores, window: window(head) }
        };
        scores.into_iter().zip(&layer.heads).map(guarded).collect()
    }

    /// Of each head, the scores of the tokens before its window.
    fn before_windows(&self, layer: &Layer, kept: usize) -> Vec<Vec<f64>> {
        let d_head = layer.d_head;
        let each = |score: &dyn Fn(&Head, usize) -> Vec<f64>| -> Vec<Vec<f64>> {
            layer.heads.iter().map(|head| score(head, self.window(head.tokens(), kept))).collect()
        };
        let before = |head: &Head, window: usize| head.tokens() - window;
        match *self {
            Self::Random { seed } => {
                (0..layer.heads.len()).map(|head| layer.chances(seed, "random scores", head)).collect()
            }
            Self::Window => each(&|head, _| head.positions.iter().map(|&position| position as f64).collect()),
            Self::StreamingLlm { sinks } => each(&|head, _| first_and_last(head.tokens(), sinks, kept)),
            Self::H2o => each(&|head, window| head.sums[..before(head, window)].to_vec()),
            Self::ObservedAttention => each(&|head, _| mean_by_those_who_see(head)),
            Self::SnapKv { kernel, .. } => {
                each(&|head, window| smoothed(&mean_of_last(head, window, before(head, window)), kernel))
            }
            Self::Tova => tova(layer),
            Self::Knorm => each(&|head, _| head.cache.keys.chunks_exact(d_head).map(|key| -length(key)).collect()),
            Self::KeyDiff => each(&|head, _| key_diff(&head.cache.keys, d_head)),
            Self::GlobalLocal { combine, .. } => each(&|head, window| global_local(head, window).combined(combine)),
        }
    }
}

/// One for each of the first `sinks` tokens and for so many of the last that `kept` have it; else zero.
fn first_and_last(tokens: usize, sinks: usize, kept: usize) -> Vec<f64> {
    let last = tokens.saturating_sub(kept.saturating_sub(sinks));
    (0..tokens).map(|token| f64::from(u8::from(token < sinks || token >= last))).collect()
}

fn mean_by_those_who_see(head: &Head) -> Vec<f64> {
    let end = head.positions.last().map_or(0, |last| last + 1);
    head.sums.iter().zip(&head.positions).map(|(sum, position)| sum / (end - position) as f64).collect()
}

/// The mean attention of the last queries to the first tokens.
fn mean_of_last(head: &Head, queries: usize, tokens: usize) -> Vec<f64> {
    let mut mean = vec![0.0; tokens];
    for row in head.last_rows(queries) {
        mean.iter_mut().zip(row).for_each(|(mean, weight)| *mean += weight / queries as f64);
    }
    mean
}

/// The mean over `kernel` numbers about each, those beyond the ends being zero.
fn smoothed(numbers: &[f64], kernel: usize) -> Vec<f64> {
    assert!(kernel > 0, "a mean over no tokens");
    let about = |at: usize| {
        let (first, end) = (at.saturating_sub(kernel / 2), (at + kernel).saturating_sub(kernel / 2).min(numbers.len()));
        numbers[first..end].iter().sum::<f64>() / kernel as f64
    };
    (0..numbers.len()).map(about).collect()
}

fn tova(layer: &Layer) -> Vec<Vec<f64>> {
    let tokens = layer.heads.first().map_or(0, Head::tokens);
    assert!(layer.heads.iter().all(|head| head.tokens() == tokens), "TOVA keeps the same tokens in every head");
    let mut mean = vec![0.0; tokens.saturating_sub(1)];
    for row in layer.heads.iter().flat_map(|head| head.last_rows(1.min(tokens))) {
        mean.iter_mut().zip(row).for_each(|(mean, weight)| *mean += weight / layer.heads.len() as f64);
    }
    vec![mean; layer.heads.len()]
}

fn key_diff(keys: &[f32], d_head: usize) -> Vec<f64> {
    let directions = directions(keys, d_head);
    let mut anchor = vec![0.0; d_head];
    for direction in directions.chunks_exact(d_head) {
        anchor.iter_mut().zip(direction).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let length = libm::sqrt(anchor.iter().map(|x| x * x).sum());
    let cosine = |direction: &[f32]| -> f64 {
        let along: f64 = direction.iter().zip(&anchor).map(|(x, a)| f64::from(*x) * a).sum();
        if length > 0.0 { along / length } else { 0.0 }
    };
    directions.chunks_exact(d_head).map(|direction| -cosine(direction)).collect()
}
