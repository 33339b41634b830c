//! What a layer knows of the text that was read: keys, values, and how much each token was looked at.
//!
//! A layer after a prompt, one that was compressed and one that goes on reading are the same thing, so whatever scores
//! or merges tokens does so at any time.

use std::collections::VecDeque;

use crate::seed::Stream;
use kernels::Matrix;

/// Bytes of a row of a head's cache: key and value in 16 bits a number, and a position in 32.
pub const fn row_bytes(d_head: usize) -> [usize; 2] {
    [2 * 2 * d_head, 4]
}

/// Keys and values of the tokens that one head of one layer remembers, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cache {
    /// `[cached, d_head]`, turned by the position of their token.
    pub keys: Vec<f32>,
    /// `[cached, d_head]`.
    pub values: Vec<f32>,
    /// What is added to each token's score before the softmax, `[cached]`, or empty for nothing: the logarithm of how
    /// many tokens' attention it stands for, see [`Ems::log_mass`](super::Ems::log_mass).
    pub log_mass: Vec<f32>,
}

impl Cache {
    /// Remembers one more token.
    ///
    /// # Shapes
    ///
    /// - key, value `[d_head]`
    pub fn push(&mut self, key: &[f32], value: &[f32]) {
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
        if !self.log_mass.is_empty() {
            self.log_mass.push(0.0);
        }
    }

    /// These tokens of it.
    fn pick(&self, rows: &[usize], d_head: usize) -> Self {
        let [keys, values] = [&self.keys, &self.values].map(|numbers| picked(numbers, rows, d_head));
        let log_mass = if self.log_mass.is_empty() { vec![] } else { picked(&self.log_mass, rows, 1) };
        Self { keys, values, log_mass }
    }
}

/// What one head of keys knows. Attention is the mean over the heads of queries that read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    pub cache: Cache,
    /// Where each key was turned to, ascending, `[cached]`.
    pub positions: Vec<usize>,
    /// How much all queries together looked at each token, `[cached]` (g in EMS, S in H2O).
    pub sums: Vec<f64>,
    /// How much each of the last queries looked at each token, the newest last: rows of `[cached]`.
    pub recent: VecDeque<Vec<f64>>,
}

impl Head {
    /// Tokens that it remembers.
    pub fn tokens(&self) -> usize {
        self.positions.len()
    }

    /// The rows of attention of the last queries.
    pub(super) fn last_rows(&self, count: usize) -> impl Iterator<Item = &Vec<f64>> {
        let known = self.recent.len();
        assert!(count <= known, "the attention of the last {count} queries is asked for, and {known} are known");
        self.recent.range(known - count..)
    }

    /// These tokens of it.
    pub(super) fn pick(&self, rows: &[usize], d_head: usize) -> Self {
        let of = |numbers: &Vec<f64>| rows.iter().map(|&row| numbers[row]).collect();
        Self {
            cache: self.cache.pick(rows, d_head),
            positions: rows.iter().map(|&row| self.positions[row]).collect(),
            sums: of(&self.sums),
            recent: self.recent.iter().map(of).collect(),
        }
    }

    /// Turns each key from where it stands to a new position.
    ///
    /// # Shapes
    ///
    /// - to `[cached]`
    /// - frequencies `[d_head / 2]`: by how much a step of one position turns each pair of numbers
    pub fn turn_to(&mut self, to: Vec<usize>, frequencies: &[f64]) {
        assert_eq!(to.len(), self.tokens(), "a new position for each token");
        let steps = to.iter().zip(&self.positions).map(|(&to, &from)| to as f64 - from as f64);
        let angles: Vec<f64> = steps.flat_map(|step| frequencies.iter().map(move |turn| step * turn)).collect();
        let [cosines, sines] =
            [libm::cos, libm::sin].map(|f| angles.iter().map(|&angle| f(angle) as f32).collect::<Vec<_>>());
        kernels::rotate(&mut self.cache.keys, &cosines, &sines, [to.len(), 1, 2 * frequencies.len()]);
        self.positions = to;
    }

    fn observe(&mut self, position: usize, row: Vec<f64>, most: usize) {
        assert_eq!(row.len(), self.tokens() + 1, "attention to what is cached and to the new token");
        self.positions.push(position);
        self.sums.push(0.0);
        self.sums.iter_mut().zip(&row).for_each(|(sum, weight)| *sum += weight);
        self.recent.iter_mut().for_each(|row| row.push(0.0));
        self.recent.push_back(row);
        while self.recent.len() > most {
            self.recent.pop_front();
        }
    }
}

/// How many of what a layer holds after a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    pub query_heads: usize,
    /// Heads of keys and values: a divisor of `query_heads`. Head `h` of queries reads head `h / (query_heads / key_heads)`.
    pub key_heads: usize,
    pub tokens: usize,
    pub d_head: usize,
}

/// What one layer knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Which layer of the model it is, from below: what is drawn at random is drawn anew for each.
    pub index: usize,
    pub d_head: usize,
    /// One for each head of keys.
    pub heads: Vec<Head>,
    /// How similar a token must be to be merged, as past compressions have left it; see [`Rest::D2o`](super::Rest::D2o).
    pub merge_threshold: Option<f64>,
    /// Rows of attention that are kept of the last queries.
    rows: usize,
}

impl Layer {
    /// A layer that has read nothing, and will remember the attention of the last `rows` queries.
    pub fn new(index: usize, d_head: usize, key_heads: usize, rows: usize) -> Self {
        Self { index, d_head, heads: vec![Head::default(); key_heads], merge_threshold: None, rows }
    }

    /// A layer that has read a prompt whole. Of its attention remain the sum over all queries and the last `rows`
    /// queries: no window may be longer.
    ///
    /// # Shapes
    ///
    /// - attention `[query_heads, tokens, tokens]`: a row for each query, zero after itself
    /// - keys (turned by their positions), values `[key_heads, tokens, d_head]`
    pub fn after_prompt(
        index: usize,
        shape: LayerShape,
        attention: &[f32],
        [keys, values]: [&[f32]; 2],
        rows: usize,
    ) -> Self {
        let LayerShape { query_heads, key_heads, tokens, d_head } = shape;
        assert!(0 < key_heads && query_heads.is_multiple_of(key_heads), "heads of {shape:?}");
        assert_eq!(attention.len(), query_heads * tokens * tokens, "attention of {shape:?}");
        assert_eq!([keys.len(), values.len()], [key_heads * tokens * d_head; 2], "keys and values of {shape:?}");
        let share = query_heads / key_heads;
        let head = |head: usize| {
            let of = |numbers: &[f32]| numbers[head * tokens * d_head..][..tokens * d_head].to_vec();
            let row = |query: usize| {
                let maps = (head * share..(head + 1) * share).map(|map| map * tokens * tokens);
                mean_row(maps.map(|map| &attention[map + query * tokens..][..tokens]))
            };
            let mut sums = vec![0.0; tokens];
            for query in 0..tokens {
                sums.iter_mut().zip(row(query)).for_each(|(sum, weight)| *sum += weight);
            }
            Head {
                cache: Cache { keys: of(keys), values: of(values), log_mass: vec![] },
                positions: (0..tokens).collect(),
                sums,
                recent: (tokens.saturating_sub(rows)..tokens).map(row).collect(),
            }
        };
        let heads = (0..key_heads).map(head).collect();
        Self { heads, ..Self::new(index, d_head, key_heads, rows) }
    }

    /// The same layer with other heads.
    pub(super) fn with(&self, heads: Vec<Head>) -> Self {
        Self { heads, ..*self }
    }

    /// Tokens that all its heads remember together: what its bytes are counted by.
    pub fn tokens(&self) -> usize {
        self.heads.iter().map(Head::tokens).sum()
    }

    /// Copies of the caches, with the tokens that stand before `position`. A last token that is to be read once more
    /// must not be there yet, or it sees itself twice.
    pub fn caches(&self, position: usize) -> Vec<Cache> {
        self.caches_without(position, None)
    }

    /// The same without the token at `struck`, if there is one.
    pub fn caches_without(&self, position: usize, struck: Option<usize>) -> Vec<Cache> {
        let before = |head: &Head| {
            let stays = |&row: &usize| head.positions[row] < position && Some(head.positions[row]) != struck;
            let rows: Vec<usize> = (0..head.tokens()).filter(stays).collect();
            head.cache.pick(&rows, self.d_head)
        };
        self.heads.iter().map(before).collect()
    }

    /// Turns every key to its place in the cache: 0, 1, 2 … Whoever reads on must stand after the last.
    ///
    /// This is how StreamingLLM is published (Xiao et al. 2023, section 3.2): positions are those inside the cache.
    ///
    /// # Shapes
    ///
    /// - frequencies `[d_head / 2]`
    pub fn renumber(&mut self, frequencies: &[f64]) {
        for head in &mut self.heads {
            head.turn_to((0..head.tokens()).collect(), frequencies);
        }
    }

    /// Takes notice of one more token, whose keys and values its caches already hold.
    ///
    /// # Shapes
    ///
    /// - attention: a row for each head of queries, `[cached]`, the new token included
    pub(super) fn observe(&mut self, position: usize, attention: &[Vec<f32>]) {
        let (heads, queries) = (self.heads.len(), attention.len());
        assert!(queries.is_multiple_of(heads), "{queries} heads of queries share {heads} heads of keys");
        for (head, rows) in self.heads.iter_mut().zip(attention.chunks(queries / heads)) {
            head.observe(position, mean_row(rows.iter().map(Vec::as_slice)), self.rows);
        }
    }

    /// A number in [0, 1) for each token of a head, by its position: it stays the same as long as the token is there.
    pub(super) fn chances(&self, seed: u64, name: &str, head: usize) -> Vec<f64> {
        let mut stream = Stream::at(seed, name, (self.index << 16 | head) as u64);
        let positions = &self.heads[head].positions;
        let drawn: Vec<f64> = (0..positions.last().map_or(0, |last| last + 1)).map(|_| stream.unit()).collect();
        positions.iter().map(|&position| drawn[position]).collect()
    }
}

/// The mean of rows of one length.
fn mean_row<'a>(rows: impl ExactSizeIterator<Item = &'a [f32]>) -> Vec<f64> {
    let count = rows.len() as f64;
    let mut mean: Vec<f64> = vec![];
    for row in rows {
        mean.resize(row.len(), 0.0);
        mean.iter_mut().zip(row).for_each(|(mean, weight)| *mean += f64::from(*weight) / count);
    }
    mean
}

pub(super) fn length(row: &[f32]) -> f64 {
    libm::sqrt(kernels::sum_of_squares(row))
}

/// Each row divided by its length; a row of zeros has no direction and stays.
pub(super) fn directions(rows: &[f32], d_head: usize) -> Vec<f32> {
    let mut rows = rows.to_vec();
    for row in rows.chunks_exact_mut(d_head) {
        let length = length(row);
        if length > 0.0 {
            row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
        }
    }
    rows
}

/// The cosine of each pair of rows, zero where one of them is zero.
///
/// # Shapes
///
/// - from `[m, d_head]`, to `[n, d_head]`: directions
/// - output `[m, n]`
pub(super) fn cosines(from: &[f32], to: &[f32], d_head: usize) -> Vec<f32> {
    let matrix = |rows| Matrix::new(rows, rows.len() / d_head, d_head);
    kernels::product(matrix(from), matrix(to).transposed())
}

/// These rows of a matrix.
pub(super) fn picked(numbers: &[f32], rows: &[usize], d_head: usize) -> Vec<f32> {
    rows.iter().map(|row| &numbers[row * d_head..][..d_head]).collect::<Vec<_>>().concat()
}
