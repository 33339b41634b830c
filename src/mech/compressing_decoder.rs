//! A decoder that holds its memory small: it compresses its prompt, and from then on itself.
//!
//! Joins a [`Decoder`] with the [`Online`] compression of each of its layers. What is written, and by whom, is not its
//! affair.

use super::house_transformer::{Decoder, PromptReading};
use super::kv_cache::{Compression, Online};

/// How caches are held small while a model writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regime {
    /// What compresses the prompt.
    pub prompt: Compression,
    /// What compresses the caches whenever they are full.
    pub onward: Compression,
    /// Tokens of each head that a compression leaves.
    pub budget: usize,
    /// Tokens beyond the budget at which the next compression comes, see [`Online::slack`].
    pub slack: usize,
    /// Every key is turned to its place in the cache when it was compressed, and the next token stands after the last:
    /// StreamingLLM as published. Heads must keep equally many.
    pub renumbers: bool,
}

/// See [`CompressingDecoder::after_prompt`].
#[derive(Clone, Debug)]
pub struct CompressingDecoder {
    decoder: Decoder,
    layers: Vec<Online>,
    renumbers: bool,
}

impl CompressingDecoder {
    /// Goes on from a prompt that a decoder has read, once it is compressed. Of its attention the last `rows` queries are
    /// remembered by themselves: no window may be longer.
    pub fn after_prompt(mut decoder: Decoder, reading: &PromptReading, regime: &Regime, rows: usize) -> Self {
        let &Regime { prompt, onward, budget, slack, renumbers } = regime;
        let online = |layer| Online::new(onward, budget, slack, layer).compressed_by(&prompt);
        let layers: Vec<Online> = reading.kv_layers(rows).into_iter().map(online).collect();
        let tokens = reading.layers.first().map_or(0, |layer| layer.shape.tokens);
        decoder.resume(reading, tokens, layers.iter().map(|online| online.layer().caches(tokens)).collect());
        let mut decoder = Self { decoder, layers, renumbers };
        decoder.renumber();
        decoder
    }

    /// What each layer remembers, and what became of the rest.
    pub fn layers(&self) -> &[Online] {
        &self.layers
    }

    /// Where the next token stands.
    pub fn position(&self) -> usize {
        self.decoder.position()
    }

    /// Reads a token; gives the logits of the next, `[vocabulary]`. They are of the caches as they were before this token
    /// filled them.
    pub fn read(&mut self, token: usize) -> Vec<f32> {
        let position = self.decoder.position();
        let mut attention = vec![vec![]; self.layers.len()];
        let logits = self.decoder.read_observed(token, |layer, _, weights| attention[layer].push(weights.to_vec()));
        let mut compressed = false;
        for ((online, caches), rows) in self.layers.iter_mut().zip(&mut self.decoder.caches).zip(&attention) {
            compressed |= online.read(position, rows, caches).is_some();
        }
        if compressed {
            self.renumber();
        }
        logits
    }

    fn renumber(&mut self) {
        if !self.renumbers {
            return;
        }
        let frequencies = self.decoder.frequencies();
        for (online, caches) in self.layers.iter_mut().zip(&mut self.decoder.caches) {
            online.renumber(&frequencies, caches);
        }
        let cached = self.layers.iter().flat_map(|online| online.fates()).map(|fates| fates.cached().len());
        self.decoder.stand_at(cached.max().unwrap_or(0));
    }
}
