//! A layer that is compressed while the model writes.

use super::layer::{Cache, Layer};
use super::{Compression, Trace};

/// Compresses the caches of one layer whenever they are full. What it needs of past attention it sums up as tokens are
/// read, for no row of a compressed cache is what it was.
#[derive(Clone, Debug)]
pub struct Online {
    pub compression: Compression,
    /// Tokens of each head that a compression leaves.
    pub budget: usize,
    /// Tokens beyond the budget at which the next comes, at least one. One evicts at each step, as H2O, TOVA and
    /// StreamingLLM are published; EMS waits for some (Δ), so that a window's queries have looked at what is there.
    pub slack: usize,
    layer: Layer,
}

impl Online {
    /// Goes on from a layer that has read nothing, a prompt, or a prompt that was compressed.
    pub fn new(compression: Compression, budget: usize, slack: usize, layer: Layer) -> Self {
        Self { compression, budget, slack: slack.max(1), layer }
    }

    /// What is remembered of the attention, and where each token stands. Its caches are out of date: they are lent to
    /// whoever reads.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// Takes notice of a token that was read, and compresses the caches if they are full; then gives what became of
    /// each head's tokens.
    ///
    /// # Shapes
    ///
    /// - position: where the token stands
    /// - attention: a row for each head of queries, `[cached]`, the new token included
    /// - caches: one for each head of keys, the new token included
    pub fn read(&mut self, position: usize, attention: &[Vec<f32>], caches: &mut [Cache]) -> Option<Vec<Trace>> {
        self.swap(caches);
        self.layer.observe(position, attention);
        let full = self.layer.tokens() >= self.layer.heads.len() * (self.budget + self.slack);
        let traces = full.then(|| {
            let compressed = self.compression.apply(&self.layer, self.budget);
            self.layer = compressed.layer;
            compressed.traces
        });
        self.swap(caches);
        traces
    }

    /// Turns every key to its place in the cache, as [`Layer::renumber`] does; the next token is to stand after the last.
    ///
    /// # Shapes
    ///
    /// - frequencies `[d_head / 2]`
    pub fn renumber(&mut self, frequencies: &[f64], caches: &mut [Cache]) {
        self.swap(caches);
        self.layer.renumber(frequencies);
        self.swap(caches);
    }

    fn swap(&mut self, caches: &mut [Cache]) {
        assert_eq!(caches.len(), self.layer.heads.len(), "a cache for each head");
        for (head, cache) in self.layer.heads.iter_mut().zip(caches) {
            std::mem::swap(&mut head.cache, cache);
        }
    }
}
