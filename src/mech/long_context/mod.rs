//! Reading beyond the length that a model was trained on: where a head looks for a token, and at which positions it
//! finds what it sees.
//!
//! Every [`Method`] answers that for one head and one token, with a [`Look`]: spans of the tokens so far, each laid at
//! a place of its own. A place is a position in steps of [`Rotary::step`], so that places are counts even where
//! positions are squeezed. A [`Layer`] remembers what was read and attends as the looks say. Plain numbers; knows no
//! model, and counts neither on how many heads there are, nor on as many heads of keys as of queries.

mod full;
mod interpolation;
mod layer;
mod long_heads;
mod ntk;
mod summary;
mod window;

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, Range};

pub use full::Full;
pub use interpolation::Interpolation;
pub use layer::{Hand, HeadShape, Layer};
pub use long_heads::{Choice, Chosen, LongHeads, Ranking, Why};
pub use ntk::Ntk;
pub use summary::{Representation, Summary};
pub use window::Window;

/// Where heads look.
pub trait Method: Debug + Send + Sync {
    /// How positions turn queries and keys while a text of `length` tokens is read, where the model turns them as
    /// `model` says. It holds for the whole text: no key is turned anew as the text grows.
    fn rotary(&self, model: Rotary, _d_head: usize, _length: usize) -> Rotary {
        model
    }

    /// What it needs to know of each chunk of the text.
    fn summary(&self) -> Option<Summary> {
        None
    }

    /// Where a head looks for a token.
    fn look(&self, seeker: &Seeker) -> Look;
}

/// One head that is about to look, for one token.
#[derive(Clone, Copy, Debug)]
pub struct Seeker<'a> {
    pub layer: usize,
    /// Head of queries.
    pub head: usize,
    /// How many tokens stand before it.
    pub token: usize,
    pub phase: Phase,
    /// `[d_head]`, not turned.
    pub query: &'a [f32],
    /// Of the chunks that were full before this token, as [`Method::summary`] asks for, `[chunks, d_head]`.
    pub summaries: &'a [f32],
    pub hand: &'a Hand,
}

/// In which phase a token is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// As part of a prompt.
    Encode,
    /// By itself, after a prompt.
    Generate,
}

/// What positions are to queries and keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotary {
    /// What the slowest pair of a head turns by, inverted.
    pub base: f64,
    /// Position of the second token; the first stands at zero.
    pub step: f64,
}

impl Rotary {
    /// Positions as models are trained with them.
    pub fn plain(base: f64) -> Self {
        Self { base, step: 1.0 }
    }
}

/// Where a head looks for one token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Ascending, and none of them empty.
    pub spans: Vec<Span>,
    /// The place of the query.
    pub query: usize,
    /// How these spans were chosen, if there was a choice.
    pub choice: Option<Choice>,
}

/// Tokens that follow each other, and where they are laid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub tokens: Range<usize>,
    /// The place of the first of them; the others stand in the places after it.
    pub place: usize,
}

impl Look {
    /// At everything up to a token, where it stands.
    pub fn full(token: usize) -> Self {
        let mut look = Self { query: token, ..Self::default() };
        look.lay(0..token + 1);
        look
    }

    /// Lays more tokens right behind those that are laid.
    pub fn lay(&mut self, tokens: Range<usize>) {
        let place = self.keys();
        match self.spans.last_mut() {
            Some(last) if last.tokens.end == tokens.start => last.tokens.end = tokens.end,
            _ if tokens.is_empty() => {}
            _ => self.spans.push(Span { tokens, place }),
        }
    }

    /// How many keys it sees.
    pub fn keys(&self) -> usize {
        self.spans.iter().map(|span| span.tokens.len()).sum()
    }

    /// The tokens that it sees, ascending, `[keys]`.
    pub fn tokens(&self) -> impl Iterator<Item = usize> {
        self.spans.iter().flat_map(|span| span.tokens.clone())
    }

    /// Where it sees each of them, `[keys]`.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.spans.iter().flat_map(|span| span.place..span.place + span.tokens.len())
    }

    pub fn counts(&self, d_head: usize) -> Counts {
        let compared = self.choice.as_ref().map_or(0, |choice| choice.scores.len());
        Counts::new(self.keys(), compared, d_head)
    }
}

/// What looks cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys attended.
    pub keys: usize,
    /// Summaries of chunks that a query was compared with.
    pub compared: usize,
    /// Of numbers: the products with summaries, with keys, and of weights with values.
    pub multiply_adds: usize,
    /// Read from summaries, keys and values, at 16 bits a number as in [`row_bytes`](super::kv_cache::row_bytes).
    pub bytes: usize,
}

impl Counts {
    fn new(keys: usize, compared: usize, d_head: usize) -> Self {
        let numbers = (compared + 2 * keys) * d_head;
        Self { keys, compared, multiply_adds: numbers, bytes: 2 * numbers }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            compared: self.compared + other.compared,
            multiply_adds: self.multiply_adds + other.multiply_adds,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Self::add)
    }
}
