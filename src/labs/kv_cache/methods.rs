//! The methods side by side, each with the name and the role that it has in every figure.

use crate::chart::Ink;
use crate::mech::kv_cache::{Combine, Compressed, Compression, Ems, Layer, Rest, Score, Split, pyramid_budgets};

/// Share of an even budget that AdaKV leaves to each head in any case, and how steep PyramidKV's slope is, both as in
/// kvpress.
const SAFEGUARD: f64 = 0.2;
const STEEPNESS: f64 = 20.0;

/// What a reader sets for all methods at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knobs {
    pub window: usize,
    pub kernel: usize,
    pub combine: Combine,
    /// Of EMS's share of the score that is merged, and of the redundancy that is asked for.
    pub ems: Ems,
    /// Layers keep many below and few above.
    pub pyramid: bool,
    pub seed: u64,
}

impl Knobs {
    pub fn global_local(&self) -> Score {
        Score::GlobalLocal { window: self.window, combine: self.combine }
    }

    /// Compresses each layer, so that a head keeps `kept` tokens on average.
    pub fn compress(&self, method: Compression, layers: &[Layer], kept: usize) -> Vec<Compressed> {
        let tokens = layers[0].heads[0].tokens();
        let budgets = match self.pyramid {
            true => pyramid_budgets(kept as f64, tokens, layers.len(), self.window, STEEPNESS),
            false => vec![kept; layers.len()],
        };
        layers.iter().zip(budgets).map(|(layer, kept)| method.apply(layer, kept)).collect()
    }
}

/// The heads of a layer compete for its budget.
pub const ADA: Split = Split::Ada { safeguard: SAFEGUARD };

/// A method that is measured beside the others.
pub struct Method {
    pub key: &'static str,
    pub name: &'static str,
    pub ink: Ink,
    pub make: fn(&Knobs) -> Compression,
}

const fn dropping(score: Score) -> Compression {
    Compression { score, split: Split::Uniform, rest: Rest::Drop }
}

/// Where the method with this key stands among [`METHODS`].
pub fn place(key: &str) -> usize {
    let found = METHODS.iter().position(|method| method.key == key);
    found.unwrap_or_else(|| panic!("no method is called {key}"))
}

/// The method with this key, at these settings.
pub fn method(key: &str, knobs: &Knobs) -> Compression {
    (METHODS[place(key)].make)(knobs)
}

/// Tokens that are a share of so many; never none.
pub fn share_of(share: f64, tokens: usize) -> usize {
    ((share * tokens as f64).round() as usize).max(1)
}

/// Tokens that each head keeps on average of so many: a budget of tokens, or a share where that is zero.
pub fn kept(budget: usize, share: f64, tokens: usize) -> usize {
    match budget {
        0 => share_of(share, tokens),
        budget => budget.min(tokens),
    }
}

/// In the order of their tables.
pub const METHODS: [Method; 13] = [
    Method {
        key: "ems",
        name: "EMS",
        ink: Ink::Method,
        make: |knobs| Compression { rest: Rest::Ems(knobs.ems), ..dropping(knobs.global_local()) },
    },
    Method {
        key: "global_local",
        name: "Global-Local",
        ink: Ink::Baseline,
        make: |knobs| dropping(knobs.global_local()),
    },
    Method {
        key: "ada",
        name: "Global-Local + AdaKV",
        ink: Ink::Muted,
        make: |knobs| Compression { split: ADA, ..dropping(knobs.global_local()) },
    },
    Method {
        key: "press",
        name: "Global-Local + merging of kvpress",
        ink: Ink::Muted,
        make: |knobs| Compression { rest: Rest::MergingPress { threshold: 0.0 }, ..dropping(knobs.global_local()) },
    },
    Method {
        key: "snap",
        name: "SnapKV",
        ink: Ink::Baseline2,
        make: |knobs| dropping(Score::SnapKv { window: knobs.window, kernel: knobs.kernel }),
    },
    Method { key: "tova", name: "TOVA", ink: Ink::Muted, make: |_| dropping(Score::Tova) },
    Method {
        key: "observed",
        name: "observed attention",
        ink: Ink::Muted,
        make: |_| dropping(Score::ObservedAttention),
    },
    Method { key: "h2o", name: "H2O", ink: Ink::Muted, make: |_| dropping(Score::H2o) },
    Method { key: "key_diff", name: "KeyDiff", ink: Ink::Muted, make: |_| dropping(Score::KeyDiff) },
    Method { key: "knorm", name: "Knorm", ink: Ink::Muted, make: |_| dropping(Score::Knorm) },
    Method {
        key: "streaming",
        name: "StreamingLLM",
        ink: Ink::Muted,
        make: |_| dropping(Score::StreamingLlm { sinks: 4 }),
    },
    Method { key: "window", name: "window only", ink: Ink::Muted, make: |_| dropping(Score::Window) },
    Method {
        key: "random",
        name: "random",
        ink: Ink::Muted,
        make: |knobs| dropping(Score::Random { seed: knobs.seed }),
    },
];
