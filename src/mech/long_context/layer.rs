//! What one layer remembers of a text of any length, and its attention.

use std::ops::Range;
use std::sync::Arc;

use super::{Look, Method, Phase, Rotary, Seeker, Summary};
use crate::mech::ops::Rotation;

/// The heads of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadShape {
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values: a divisor of `heads`. Head `h` of queries reads head `h / (heads / key_heads)`.
    pub key_heads: usize,
    pub d_head: usize,
}

/// What the reader of a page decides for one head of queries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hand {
    /// Whether the head is switched off: it looks, and gives zeros.
    pub silent: bool,
    /// Chunks that it shall see, as far as there is room beside those that are always seen.
    pub on: Vec<usize>,
    /// Chunks that it shall not see; its own it sees all the same.
    pub off: Vec<usize>,
}

/// One layer that reads, a token after another, each head of it where a [`Method`] says.
#[derive(Clone, Debug)]
pub struct Layer {
    method: Arc<dyn Method>,
    /// Which layer of the model it is, from below: what is drawn at random is drawn anew for each.
    index: usize,
    shape: HeadShape,
    turns: Turns,
    summary: Option<Summary>,
    tokens: usize,
    /// One for each head of keys.
    memories: Vec<Memory>,
    /// One for each head of queries.
    seekers: Vec<Chunks>,
    /// One for each head of queries.
    pub hands: Vec<Hand>,
}

/// What a head of keys remembers.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// `[tokens, d_head]`, turned by their true places. To see them elsewhere, the query is turned instead: attention
    /// knows only distances, and there are fewer spans than keys.
    keys: Vec<f32>,
    /// `[tokens, d_head]`.
    values: Vec<f32>,
    /// Keys of the chunk that is not full yet, not turned, `[tokens % width, d_head]`.
    chunk_keys: Vec<f32>,
}

/// What a head of queries knows of chunks.
#[derive(Clone, Debug, Default)]
struct Chunks {
    /// Of the full ones, `[chunks, d_head]`.
    summaries: Vec<f32>,
    /// Queries of the chunk that is not full yet, not turned, `[tokens % width, d_head]`.
    queries: Vec<f32>,
}

impl Layer {
    /// A layer that has read nothing yet of a text that will have `length` tokens.
    pub fn new(method: Arc<dyn Method>, index: usize, shape: HeadShape, rotary_base: f64, length: usize) -> Self {
        let HeadShape { heads, key_heads, d_head } = shape;
        assert!(0 < key_heads && heads.is_multiple_of(key_heads), "heads of {shape:?}");
        let rotary = method.rotary(Rotary::plain(rotary_base), d_head, length);
        Self {
            summary: method.summary(),
            method,
            index,
            shape,
            turns: Turns::new(rotary, d_head),
            tokens: 0,
            memories: vec![Memory::default(); key_heads],
            seekers: vec![Chunks::default(); heads],
            hands: vec![Hand::default(); heads],
        }
    }

    pub fn shape(&self) -> HeadShape {
        self.shape
    }

    /// How positions turn its queries and keys.
    pub fn rotary(&self) -> Rotary {
        self.turns.rotary
    }

    /// Tokens that it has read.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// What a head of queries compares its queries with, `[chunks, d_head]`.
    pub fn summaries(&self, head: usize) -> &[f32] {
        &self.seekers[head].summaries
    }

    /// Reads one more token; gives what each head finds. `observe` is called with each head of queries, where it
    /// looked, and its weights, `[keys]`.
    ///
    /// # Shapes
    ///
    /// - query, output `[heads * d_head]`
    /// - key, value `[key_heads * d_head]`; neither query nor key is turned
    pub fn read(
        &mut self,
        phase: Phase,
        [query, key, value]: [&[f32]; 3],
        mut observe: impl FnMut(usize, &Look, &[f32]),
    ) -> Vec<f32> {
        let HeadShape { heads, key_heads, d_head } = self.shape;
        assert_eq!(query.len(), heads * d_head, "queries of {:?}", self.shape);
        assert_eq!([key.len(), value.len()], [key_heads * d_head; 2], "keys and values of {:?}", self.shape);
        let token = self.tokens;
        self.turns.reach(token + 1);
        self.remember(key, value);
        let mut found = vec![0.0; heads * d_head];
        for (head, (query, found)) in query.chunks_exact(d_head).zip(found.chunks_exact_mut(d_head)).enumerate() {
            let (layer, hand, summaries) = (self.index, &self.hands[head], &self.seekers[head].summaries);
            let look = self.method.look(&Seeker { layer, head, token, phase, query, summaries, hand });
            let weights = self.attend(head, query, &look, found);
            observe(head, &look, &weights);
            if hand.silent {
                found.fill(0.0);
            }
        }
        // Only now, for no summary may be used before its chunk is full: it knows all of it.
        self.sum_up(query);
        found
    }

    fn remember(&mut self, key: &[f32], value: &[f32]) {
        let d_head = self.shape.d_head;
        let parts = key.chunks_exact(d_head).zip(value.chunks_exact(d_head));
        for (memory, (key, value)) in self.memories.iter_mut().zip(parts) {
            if self.summary.is_some() {
                memory.chunk_keys.extend_from_slice(key);
            }
            memory.keys.extend_from_slice(key);
            self.turns.turn(&mut memory.keys[self.tokens * d_head..], self.tokens);
            memory.values.extend_from_slice(value);
        }
        self.tokens += 1;
    }

    /// The weights of what a head of queries looks at.
    ///
    /// # Shapes
    ///
    /// - query, found `[d_head]`: the query is not turned
    /// - output `[keys]`
    fn attend(&self, head: usize, query: &[f32], look: &Look, found: &mut [f32]) -> Vec<f32> {
        let HeadShape { heads, key_heads, d_head } = self.shape;
        let Memory { keys, values, .. } = &self.memories[head / (heads / key_heads)];
        let spans: Vec<Range<usize>> = look.spans.iter().map(|span| span.tokens.clone()).collect();
        let mut queries = query.repeat(spans.len());
        for (query, span) in queries.chunks_exact_mut(d_head).zip(&look.spans) {
            // As far from the span's keys, which are turned by their true places, as it is from where they are laid.
            let place = (look.query + span.tokens.start).checked_sub(span.place);
            self.turns.turn(query, place.expect("a span is laid no farther than it stands"));
        }
        let mut weights = vec![0.0; look.keys()];
        kernels::attend_spans(&queries, &spans, [keys, values], self.scale(), &mut weights, found);
        weights
    }

    fn sum_up(&mut self, query: &[f32]) {
        let Some(summary) = self.summary else { return };
        let HeadShape { heads, key_heads, d_head } = self.shape;
        let (scale, share) = (self.scale(), heads / key_heads);
        for (seeker, query) in self.seekers.iter_mut().zip(query.chunks_exact(d_head)) {
            seeker.queries.extend_from_slice(query);
        }
        if !self.tokens.is_multiple_of(summary.width) {
            return;
        }
        for (head, seeker) in self.seekers.iter_mut().enumerate() {
            let Memory { chunk_keys, values, .. } = &self.memories[head / share];
            let values = &values[(self.tokens - summary.width) * d_head..];
            let own = [&seeker.queries, chunk_keys, values];
            seeker.summaries.extend(summary.of(own, d_head, scale, &self.turns));
            seeker.queries.clear();
        }
        self.memories.iter_mut().for_each(|memory| memory.chunk_keys.clear());
    }

    fn scale(&self) -> f32 {
        1.0 / (self.shape.d_head as f32).sqrt()
    }
}

/// By how much each place turns each pair of numbers of a head.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    rotary: Rotary,
    d_head: usize,
    cosines: Vec<f32>, // [places, d_head / 2], row by row
    sines: Vec<f32>,
}

impl Turns {
    fn new(rotary: Rotary, d_head: usize) -> Self {
        Self { rotary, d_head, cosines: vec![], sines: vec![] }
    }

    /// Knows at least so many places from now on.
    fn reach(&mut self, places: usize) {
        let half = self.d_head / 2;
        let known = self.cosines.len() / half;
        if places <= known {
            return;
        }
        let frequencies = Rotation::frequencies(self.d_head, self.rotary.base);
        // Twice as many, or one more with each token would be as slow as it is many.
        for place in known..places.max(2 * known) {
            let position = place as f64 * self.rotary.step;
            self.cosines.extend(frequencies.iter().map(|frequency| libm::cos(position * frequency) as f32));
            self.sines.extend(frequencies.iter().map(|frequency| libm::sin(position * frequency) as f32));
        }
    }

    /// Turns rows that stand in the places from `first` on.
    ///
    /// # Shapes
    ///
    /// - rows `[rows, d_head]`
    pub(super) fn turn(&self, rows: &mut [f32], first: usize) {
        let (half, count) = (self.d_head / 2, rows.len() / self.d_head);
        let [cosines, sines] = [&self.cosines, &self.sines].map(|table| &table[first * half..][..count * half]);
        kernels::rotate(rows, cosines, sines, [count, 1, self.d_head]);
    }
}
