//! A layer that is compressed while the model writes.

use super::layer::{Cache, Head, Layer};
use super::{Compression, Fate, Trace};

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
    fates: Vec<Fates>,
}

impl Online {
    /// Goes on from a layer that has read nothing, a prompt, or a prompt that was compressed.
    pub fn new(compression: Compression, budget: usize, slack: usize, layer: Layer) -> Self {
        let fates = layer.heads.iter().map(Fates::of_all).collect();
        Self { compression, budget, slack: slack.max(1), layer, fates }
    }

    /// Compresses what it goes on from, by a method that need not be the one from then on. The caches are those in
    /// [`layer`](Self::layer), for nobody has borrowed them yet.
    pub fn compressed_by(mut self, prompt: &Compression) -> Self {
        self.compress(prompt);
        self
    }

    /// What is remembered of the attention, and where each token stands. Its caches are out of date: they are lent to
    /// whoever reads.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// What became of all that each head has read.
    pub fn fates(&self) -> &[Fates] {
        &self.fates
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
        self.fates.iter_mut().for_each(Fates::read);
        let full = self.layer.tokens() >= self.layer.heads.len() * (self.budget + self.slack);
        let compression = self.compression;
        let traces = full.then(|| self.compress(&compression));
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

    fn compress(&mut self, compression: &Compression) -> Vec<Trace> {
        let compressed = compression.apply(&self.layer, self.budget);
        self.layer = compressed.layer;
        self.fates.iter_mut().zip(&compressed.traces).for_each(|(fates, trace)| fates.compress(trace));
        compressed.traces
    }

    fn swap(&mut self, caches: &mut [Cache]) {
        assert_eq!(caches.len(), self.layer.heads.len(), "a cache for each head");
        for (head, cache) in self.layer.heads.iter_mut().zip(caches) {
            std::mem::swap(&mut head.cache, cache);
        }
    }
}

/// What became of each token that a head has read, however often its cache was compressed. Tokens are numbered as they
/// were read, and those that were there from the start by their rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Fates {
    /// Which token each row of the cache holds, ascending.
    cached: Vec<usize>,
    /// Of each token, at the last compression that it took part in.
    last: Vec<Fate>,
}

impl Fates {
    fn of_all(head: &Head) -> Self {
        Self { cached: (0..head.tokens()).collect(), last: vec![Fate::Kept; head.tokens()] }
    }

    /// How many tokens were read.
    pub fn tokens(&self) -> usize {
        self.last.len()
    }

    /// The tokens that the cache holds, ascending.
    pub fn cached(&self) -> &[usize] {
        &self.cached
    }

    /// What became of a token. One that was merged shares the fate of its center from then on.
    pub fn of(&self, token: usize) -> Fate {
        let mut holder = token;
        while let Fate::Merged(center) = self.last[holder] {
            holder = center;
        }
        match self.last[holder] {
            Fate::Kept if holder != token => Fate::Merged(holder),
            fate => fate,
        }
    }

    fn read(&mut self) {
        self.cached.push(self.last.len());
        self.last.push(Fate::Kept);
    }

    fn compress(&mut self, trace: &Trace) {
        for (&token, &fate) in self.cached.iter().zip(&trace.fates) {
            self.last[token] = match fate {
                Fate::Merged(center) => Fate::Merged(self.cached[center]),
                fate => fate,
            };
        }
        self.cached = trace.kept.iter().map(|&row| self.cached[row]).collect();
    }
}
