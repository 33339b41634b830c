//! Questions about a context, answered from whatever is remembered of it: one by one, and counted over many.

use super::passage::{Passage, Reader};
use crate::lab::Host;
use crate::mech::house_transformer::PromptReading;
use crate::mech::kv_cache::Cache;
use crate::mech::recall_training::likeliest;

/// What is read before it is remembered: a context alone, or, where the question is seen, one prompt for each question.
pub struct Prompts {
    seen: Vec<PromptReading>,
}

impl Prompts {
    /// The questions come afterwards.
    pub const UNSEEN: Self = Self { seen: Vec::new() };

    pub async fn new(reader: &mut Reader, passage: &Passage, seen: bool, host: &Host) -> Self {
        let mut prompts = Self::UNSEEN;
        for needle in passage.context.needles.iter().filter(|_| seen) {
            prompts.seen.push(reader.prefill(&passage.context.asked(needle)));
            host.breathe().await;
        }
        prompts
    }

    /// All that is read.
    pub fn readings<'a>(&'a self, passage: &'a Passage) -> &'a [PromptReading] {
        if self.seen.is_empty() { std::slice::from_ref(&passage.reading) } else { &self.seen }
    }

    /// The logits of the answer to each question. `remember` makes the caches of a [reading](Self::readings) by its number,
    /// with the tokens that stand before a position: where the question is seen, its last token is read once more.
    pub fn ask(
        &self,
        reader: &mut Reader,
        passage: &Passage,
        remember: impl Fn(usize, usize) -> Vec<Vec<Cache>>,
    ) -> Vec<Vec<f32>> {
        let position = passage.context.tokens.len();
        let needles = 0..passage.context.needles.len();
        if self.seen.is_empty() {
            let caches = remember(0, position);
            let answer = |needle| reader.answer(&passage.reading, position, caches.clone(), &passage.question(needle));
            return needles.map(answer).collect();
        }
        let position = position + 1;
        let answer = |needle| {
            let last = &passage.question(needle)[1..];
            reader.answer(&self.seen[needle], position, remember(needle, position), last)
        };
        needles.map(answer).collect()
    }
}

/// How a way to remember fares in the contexts that were tested so far.
///
/// In f32, as a saved run keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    right: f32,
    asked: f32,
    /// Of what comes after each context, in nats a token.
    surprise: f32,
    contexts: f32,
}

impl Tally {
    pub fn add(&mut self, passage: &Passage, answers: &[Vec<f32>], surprise: f64) {
        let needles = passage.context.needles.iter();
        let right = answers.iter().zip(needles).filter(|(logits, needle)| likeliest(logits) == needle.value);
        self.right += right.count() as f32;
        self.asked += answers.len() as f32;
        self.surprise += surprise as f32;
        self.contexts += 1.0;
    }

    pub fn contexts(&self) -> usize {
        self.contexts as usize
    }

    /// The share of right answers.
    pub fn recall(&self) -> f64 {
        f64::from(self.right) / f64::from(self.asked)
    }

    pub fn perplexity(&self) -> f64 {
        libm::exp(f64::from(self.surprise) / f64::from(self.contexts))
    }

    pub fn save(&self) -> [f32; 4] {
        [self.right, self.asked, self.surprise, self.contexts]
    }

    pub fn load([right, asked, surprise, contexts]: [f32; 4]) -> Self {
        Self { right, asked, surprise, contexts }
    }
}
