//! Compressing the cache of keys and values that a decoder keeps of what it has read.
//!
//! Every method answers three questions, and each answer goes with each other: what a token is worth ([`Score`]), how
//! many each head keeps ([`Budget`], [`pyramid_budgets`] for the layers, [`Split`] for the heads), and what becomes of the
//! rest ([`Rest`]). Plain numbers; knows no model, but only what a [`Layer`] holds.
//!
//! Heads of queries that share a head of keys are averaged before anything else. Tokens that are kept keep their true
//! positions, except where [`Layer::renumber`] is called.

mod budgets;
mod ems;
mod layer;
mod merging;
mod online;
mod scores;

pub use budgets::{Budget, Split, pyramid_budgets};
pub use ems::{Combine, Ems, GlobalLocal, global_local};
pub use layer::{Cache, Head, Layer, LayerShape, row_bytes};
pub use online::{Fates, Online};
pub use scores::{HeadScores, Score};

/// A method: what is kept of a layer, and what becomes of the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compression {
    pub score: Score,
    pub split: Split,
    pub rest: Rest,
}

/// What becomes of the tokens that are not kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rest {
    Drop,
    /// Merged into the kept tokens before the window, where a head has look-alikes.
    Ems(Ems),
    /// Their values join that of the kept token whose key is most like theirs, if the cosine is at least `threshold`
    /// (kvpress's MergingPress with all pairs, for any score).
    MergingPress {
        threshold: f64,
    },
    /// Their values are spread, by chance, over the next `window` kept tokens (CaM; 32 in kvpress).
    Cam {
        window: usize,
        seed: u64,
    },
    /// Merged if they are as alike as a threshold says, which becomes `alpha` times itself and `beta` times what is found
    /// (D2O; both .5 by default in its code, which mentions .3 and .7).
    D2o {
        alpha: f64,
        beta: f64,
    },
    /// Merged halfway into the kept token most like them (LOOK-M).
    Pivot,
}

/// A layer after a compression.
#[derive(Clone, Debug, PartialEq)]
pub struct Compressed {
    /// What is kept: another layer, which can be read on from, and compressed again.
    pub layer: Layer,
    /// What became of each head's tokens.
    pub traces: Vec<Trace>,
}

/// What became of one head's tokens, which are named by their rows in the cache before: after a prompt these are their
/// positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The tokens that are kept, ascending, `[kept]`.
    pub kept: Vec<usize>,
    /// `[cached]`.
    pub fates: Vec<Fate>,
    /// How like a token that was to be merged is to what it is most like, `[cached]`: its best redundancy in EMS, the
    /// greatest cosine of its key elsewhere.
    pub similarity: Vec<Option<f64>>,
    pub scores: HeadScores,
}

/// What became of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is kept, perhaps as the center of others.
    Kept,
    /// It is dropped for its score.
    Evicted,
    /// It is merged into this token, which is kept.
    Merged(usize),
    /// It was to be merged, and is too unlike all that it could be merged into: it is dropped (EMS's zero class).
    ZeroClass,
    /// Its value is spread over the kept tokens after it (CaM).
    Spread,
}

impl Compression {
    /// Keeps `kept` tokens of each head on average: exactly so many, unless the head has fewer, or its window needs
    /// more ([`Score::least`]).
    pub fn apply(&self, layer: &Layer, kept: usize) -> Compressed {
        let least = layer.heads.iter().map(|head| self.score.least(head.tokens())).max().unwrap_or(0);
        let kept = kept.max(least);
        let scores = self.score.of(layer, kept);
        let chosen = self.split.kept(&scores, kept);
        let mut compressed = Compressed::dropping(layer, scores, chosen);
        match self.rest {
            Rest::Drop => {}
            Rest::Ems(ems) => ems.merge(layer, &mut compressed),
            Rest::MergingPress { threshold } => merging::press(threshold, layer, &mut compressed),
            Rest::Cam { window, seed } => merging::cam(window, seed, layer, &mut compressed),
            Rest::D2o { alpha, beta } => merging::d2o(alpha, beta, layer, &mut compressed),
            Rest::Pivot => merging::pivot(layer, &mut compressed),
        }
        compressed
    }
}

impl Compressed {
    /// Keeps these tokens, and drops the others.
    fn dropping(layer: &Layer, scores: Vec<HeadScores>, kept: Vec<Vec<usize>>) -> Self {
        let heads = layer.heads.iter().zip(&kept).map(|(head, kept)| head.pick(kept, layer.d_head)).collect();
        let trace = |(scores, kept): (HeadScores, Vec<usize>)| {
            let mut fates = vec![Fate::Evicted; scores.scores.len()];
            kept.iter().for_each(|&token| fates[token] = Fate::Kept);
            Trace { similarity: vec![None; fates.len()], kept, fates, scores }
        };
        let traces = scores.into_iter().zip(kept).map(trace).collect();
        Self { layer: layer.with(heads), traces }
    }
}

impl Trace {
    /// The tokens that were dropped for their score, ascending.
    fn evicted(&self) -> Vec<usize> {
        (0..self.fates.len()).filter(|&token| self.fates[token] == Fate::Evicted).collect()
    }
}
