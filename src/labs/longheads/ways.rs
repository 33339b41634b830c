//! The ways to read a long text that the page compares.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::chart::Ink;
use crate::choices;
use crate::mech::long_context::{Full, Interpolation, LongHeads, Method, Ntk, Ranking, Representation, Window};
use crate::mech::long_decoder::LongDecoder;
use crate::mech::recall_language::{ASK, Needle};
use crate::mech::recall_training::LONG;

/// First tokens that StreamingLLM and LM-Infinite always keep in sight.
const SINKS: usize = 4;
/// Tokens of a question.
pub const QUESTION: usize = 2;
/// Chunks that LongHeads always looks at.
pub const LEAST_CHUNKS: usize = 3;

choices! {
    pub enum Way {
        LongHeads = "longheads", "LongHeads";
        Full = "full", "full attention";
        Window = "window", "window";
        Sinks = "sinks", "sinks + window";
        Interpolation = "interpolation", "interpolation";
        Ntk = "ntk", "NTK";
        Random = "random", "random chunks";
        MeanKey = "mean-key", "mean key (ours)";
        Oracle = "oracle", "told the chunk (ours)";
    }
}

/// How much of a text a head looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Tokens of a chunk.
    pub width: usize,
    /// Chunks that the reader of the page wants each head to look at.
    pub chunks: usize,
    /// Whether a token of a prompt sees itself.
    pub own_token: bool,
    /// Of the random chunks.
    pub seed: u64,
}

impl Sizes {
    /// Chunks that a head looks at: no more than make up the trained length.
    pub fn kept(&self) -> usize {
        self.chunks.min(LONG / self.width).max(LEAST_CHUNKS)
    }

    /// A sentence, if these are fewer than the reader of the page wants.
    pub fn capped(&self) -> Option<String> {
        let kept = self.kept();
        (kept < self.chunks).then(|| {
            format!(
                "Of the {} chunks wanted a head sees **{kept}**: {kept} × {} tokens are what fits into the {LONG} that the model knows.",
                self.chunks, self.width
            )
        })
    }

    /// Tokens that a head looks at.
    pub fn attended(&self) -> usize {
        self.kept() * self.width
    }
}

impl Way {
    /// For the page's model, which knows no more than its trained length.
    pub fn method(self, sizes: &Sizes) -> Arc<dyn Method> {
        self.seeing(sizes.attended(), sizes)
    }

    /// For a model that knows more than all the chunks hold.
    pub fn unbounded(self, sizes: &Sizes) -> Arc<dyn Method> {
        self.seeing(sizes.chunks * sizes.width, sizes)
    }

    fn seeing(self, attended: usize, sizes: &Sizes) -> Arc<dyn Method> {
        let chunks = |ranking| {
            let mut method = LongHeads::new(sizes.width, attended);
            (method.ranking, method.own_token) = (ranking, sizes.own_token);
            Arc::new(method)
        };
        match self {
            Self::LongHeads | Self::Oracle => chunks(Ranking::Scores(Representation::Attended)),
            Self::MeanKey => chunks(Ranking::Scores(Representation::MeanKey)),
            Self::Random => chunks(Ranking::Random { seed: sizes.seed }),
            Self::Full => Arc::new(Full),
            Self::Window => Arc::new(Window { attended, sinks: 0 }),
            Self::Sinks => Arc::new(Window { attended, sinks: SINKS }),
            Self::Interpolation => Arc::new(Interpolation { trained: LONG }),
            Self::Ntk => Arc::new(Ntk { trained: LONG }),
        }
    }

    /// What its figures are called in experiments and exports.
    pub fn key(self) -> String {
        self.value().replace('-', "_")
    }

    pub fn ink(self) -> Ink {
        match self {
            Self::LongHeads => Ink::Method,
            Self::Full => Ink::Baseline,
            Self::Interpolation | Self::Ntk => Ink::Baseline2,
            Self::Oracle => Ink::Truth,
            Self::Window | Self::Sinks | Self::Random | Self::MeanKey => Ink::Muted,
        }
    }

    /// Whether the number of chunks says how much it sees.
    pub fn is_bounded(self) -> bool {
        !matches!(self, Self::Full | Self::Interpolation | Self::Ntk)
    }

    /// Whether it looks at chunks of its choice.
    pub fn chooses(self) -> bool {
        matches!(self, Self::LongHeads | Self::Random | Self::MeanKey | Self::Oracle)
    }
}

/// Chunks that hold a word of a statement: two, where a border cuts it.
pub fn chunks_of(&Needle { at, .. }: &Needle, width: usize) -> RangeInclusive<usize> {
    at / width..=(at + 1) / width
}

/// Lets every head look at the chunks of a statement from now on.
pub fn tell(decoder: &mut LongDecoder, needle: &Needle, width: usize) {
    let (layers, heads) = (decoder.config().layers, decoder.config().heads);
    for layer in 0..layers {
        for head in 0..heads {
            decoder.hand(layer, head).on = chunks_of(needle, width).collect();
        }
    }
}

/// The logits of the answer to the question about a statement, whoever asks.
///
/// # Shapes
///
/// - output `[vocabulary]`
pub fn answer(decoder: &mut LongDecoder, needle: &Needle) -> Vec<f32> {
    let logits = decoder.prompt(&[ASK, needle.name]);
    logits[logits.len() / QUESTION..].to_vec()
}
