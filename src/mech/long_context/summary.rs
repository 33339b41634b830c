//! What a head knows of a chunk before it looks into it.

use super::Counts;
use super::layer::Turns;

/// How chunks are summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Tokens of a chunk.
    pub width: usize,
    pub representation: Representation,
}

/// One vector for a chunk, which is compared with queries that are not turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    /// The chunk's own tokens look at each other; the mean of what they find looks at the chunk's keys, and finds keys
    /// (LongHeads, eqs. 3 and 4).
    Attended,
    /// The mean of the chunk's keys. Ours, to compare with.
    MeanKey,
}

impl Summary {
    /// Sums up one chunk for a head of queries. Positions are those inside the chunk.
    ///
    /// # Shapes
    ///
    /// - queries, keys, values `[width, d_head]`, none of them turned
    /// - output `[d_head]`
    pub(super) fn of(
        &self,
        [queries, keys, values]: [&[f32]; 3],
        d_head: usize,
        scale: f32,
        turns: &Turns,
    ) -> Vec<f32> {
        let turned = |rows: &[f32]| {
            let mut rows = rows.to_vec();
            turns.turn(&mut rows, 0);
            rows
        };
        let keys = turned(keys);
        match self.representation {
            Representation::Attended => {
                let mut weights = vec![0.0; self.width];
                let (mut found, mut chunk_query) = (vec![0.0; d_head], vec![0.0; d_head]);
                // Every token of the chunk sees every other, those after it too.
                for query in turned(queries).chunks_exact(d_head) {
                    kernels::attend(query, [&keys, values, &[]], scale, &mut weights, &mut found);
                    kernels::add(&mut chunk_query, &found);
                }
                kernels::scale(&mut chunk_query, 1.0 / self.width as f32);
                kernels::attend(&chunk_query, [&keys, &keys, &[]], scale, &mut weights, &mut found);
                found
            }
            Representation::MeanKey => {
                let mut mean = vec![0.0; d_head];
                keys.chunks_exact(d_head).for_each(|key| kernels::add(&mut mean, key));
                kernels::scale(&mut mean, 1.0 / self.width as f32);
                mean
            }
        }
    }

    /// What the summary of its chunk takes of a token, for a head of queries: what a look does not count. It is made once,
    /// from what is read once.
    pub fn counts(&self, d_head: usize) -> Counts {
        let (multiplied, read) = match self.representation {
            // Each token is multiplied with the keys and the values of its chunk, and so is their mean with the keys.
            Representation::Attended => (2 * (self.width + 1), 3),
            Representation::MeanKey => (1, 1),
        };
        Counts { keys: 0, compared: 0, multiply_adds: multiplied * d_head, bytes: 2 * read * d_head }
    }
}
