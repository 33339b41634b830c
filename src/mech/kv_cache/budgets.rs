//! How many tokens are kept, in the whole layer and in each head.

use super::scores::HeadScores;

/// How many of a text's tokens each head of a layer keeps on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    Tokens(usize),
    /// All but this share, which is kvpress's compression ratio.
    ///
    /// The number is rounded down in f64, as there: of 120 tokens, .9 leaves 11 and not 12. Where a share is meant to be
    /// *kept*, its tokens should be counted and given as such.
    Removed(f64),
}

impl Budget {
    pub fn of(&self, tokens: usize) -> usize {
        match *self {
            Self::Tokens(kept) => kept.min(tokens),
            Self::Removed(share) => (tokens as f64 * (1.0 - share)) as usize,
        }
    }
}

/// Tokens that each layer keeps: many below and few above, `mean` on average (PyramidKV, Cai et al. 2024, as kvpress
/// computes it). Where the slope would leave a layer less than its window, all keep the same.
///
/// `mean` need not be whole: it is the tokens times the share that is kept. `steepness` is β there, at least one. A single
/// layer, for which there is no slope, keeps the mean, which is our choice.
pub fn pyramid_budgets(mean: f64, tokens: usize, layers: usize, window: usize, steepness: f64) -> Vec<usize> {
    let (tokens, window) = (tokens as f64, window as f64);
    // A number of tokens that lies halfway is rounded as there only if the window is added and taken away again.
    let half = (window + mean) - window;
    let (mut most, mut least) = (half * 2.0 - half / steepness, half / steepness);
    if most >= tokens - window {
        most = tokens - window;
        least = half * 2.0 - most;
    }
    let slopes = layers > 1 && tokens >= most && most >= least && least >= window;
    let step = if slopes { (most - least) / (layers - 1) as f64 } else { 0.0 };
    let below = if slopes { most } else { mean };
    (0..layers).map(|layer| (below - layer as f64 * step).round_ties_even() as usize).collect()
}

/// How the heads of a layer share its budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Split {
    /// Each keeps as many as any other.
    Uniform,
    /// The best of all heads together are kept (AdaKV, Feng et al. 2024), and this share of an even budget in each head
    /// in any case (α_safeguard in kvpress, .2).
    Ada { safeguard: f64 },
}

impl Split {
    /// The tokens that each head keeps, ascending, if they are `kept` on average. A head that has fewer keeps all; what
    /// it leaves over goes to others only if they compete.
    pub fn kept(&self, scores: &[HeadScores], kept: usize) -> Vec<Vec<usize>> {
        match *self {
            Self::Uniform => scores.iter().map(|head| head.best(kept)).collect(),
            Self::Ada { safeguard } => best_of_all(scores, kept, (kept as f64 * safeguard) as usize),
        }
    }
}

fn best_of_all(scores: &[HeadScores], kept: usize, safe: usize) -> Vec<Vec<usize>> {
    let mut chosen: Vec<Vec<usize>> = vec![vec![]; scores.len()];
    let mut rivals: Vec<(usize, usize)> = vec![];
    for (head, (chosen, scores)) in chosen.iter_mut().zip(scores).enumerate() {
        *chosen = scores.order();
        let rest = chosen.split_off(safe.min(chosen.len()));
        rivals.extend(rest.into_iter().map(|token| (head, token)));
    }
    let of = |&(head, token): &(usize, usize)| scores[head].scores[token];
    // Of equal ones the lower head comes first, and in it the earlier token, as they stand here already.
    rivals.sort_by(|a, b| of(b).total_cmp(&of(a)));
    let free = (kept * scores.len()).saturating_sub(chosen.iter().map(Vec::len).sum());
    for &(head, token) in rivals.iter().take(free) {
        chosen[head].push(token);
    }
    chosen.iter_mut().for_each(|chosen| chosen.sort_unstable());
    chosen
}
