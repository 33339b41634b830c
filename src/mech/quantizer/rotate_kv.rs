//! The parts of RotateKV (Su et al. 2025): a basis in which keys are easy to quantize, how weights are fused with it, how
//! the order of its channels is calibrated, and which tokens are attention sinks.
//!
//! After the paper's code, for its equations could not be had.

use super::hadamard::Orthogonal;

/// A rotation within groups of channels, then an order of all channels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transform {
    rotation: Option<Orthogonal>,
    /// Channel c of the transformed row is channel `order[c]` of the rotated one; empty if all stay in place.
    order: Vec<usize>,
}

impl Transform {
    pub fn new(rotation: Option<Orthogonal>, order: Vec<usize>) -> Self {
        Self { rotation, order }
    }

    /// # Shapes
    ///
    /// - rows, output `[rows, width]`, with a width that the rotation's size divides
    pub fn rotate(&self, rows: &[f32]) -> Vec<f32> {
        let mut rows = rows.to_vec();
        if let Some(rotation) = self.rotation {
            rotation.apply(&mut rows);
        }
        rows
    }

    /// # Shapes
    ///
    /// - rows, output `[rows, width]`, with as many channels as the order has
    pub fn sort(&self, rows: &[f32]) -> Vec<f32> {
        if self.order.is_empty() {
            return rows.to_vec();
        }
        let row = |row: &[f32]| self.order.iter().map(|&from| row[from]).collect::<Vec<_>>();
        rows.chunks_exact(self.order.len()).flat_map(row).collect()
    }

    /// Rotated and sorted. The weight of a projection, `[inputs, width]`, and its bias are such rows as well: fused this
    /// way, the projection emits transformed keys at once.
    pub fn forward(&self, rows: &[f32]) -> Vec<f32> {
        self.sort(&self.rotate(rows))
    }

    /// Takes [`Self::forward`] back, up to rounding.
    pub fn back(&self, rows: &[f32]) -> Vec<f32> {
        let mut back = rows.to_vec();
        if !self.order.is_empty() {
            let width = self.order.len();
            for (to, from) in back.chunks_exact_mut(width).zip(rows.chunks_exact(width)) {
                for (&channel, &number) in self.order.iter().zip(from) {
                    to[channel] = number;
                }
            }
        }
        if let Some(rotation) = self.rotation {
            rotation.undo(&mut back);
        }
        back
    }
}

/// Turns the inputs of an output projection, head by head, so that it takes rotated values.
///
/// # Shapes
///
/// - weight `[heads * d_head, width]`, for a rotation of `d_head` rows
pub fn fuse_output(weight: &mut [f32], width: usize, rotation: Orthogonal) {
    let inputs = weight.len() / width;
    for column in 0..width {
        let mut numbers: Vec<f32> = (0..inputs).map(|input| weight[input * width + column]).collect();
        rotation.apply(&mut numbers);
        for (input, number) in numbers.into_iter().enumerate() {
            weight[input * width + column] = number;
        }
    }
}

/// Adds the keys of some calibration tokens to the sums of their channels.
///
/// The sums are signed, for neighbors in their order have means alike, and a group's zero takes a common mean away.
///
/// # Shapes
///
/// - sums `[width]`, rows `[rows, width]`
pub fn add_channel_sums(sums: &mut [f64], rows: &[f32]) {
    for row in rows.chunks_exact(sums.len()) {
        for (sum, &number) in sums.iter_mut().zip(row) {
            *sum += f64::from(number);
        }
    }
}

/// Channels by their sums, lowest first; equal ones stay in order.
pub fn ascending(sums: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sums.len()).collect();
    order.sort_by(|&a, &b| sums[a].total_cmp(&sums[b]));
    order
}

/// The tokens of the `count` largest numbers of some hidden states, largest first: RotateKV's attention sinks, which
/// repeat where a token has several. The paper takes 20.
///
/// # Shapes
///
/// - hidden `[tokens, width]`, at the input of a block
pub fn largest_tokens(hidden: &[f32], width: usize, count: usize) -> Vec<usize> {
    let mut entries: Vec<usize> = (0..hidden.len()).collect();
    let larger = |&a: &usize, &b: &usize| hidden[b].abs().total_cmp(&hidden[a].abs()).then(a.cmp(&b));
    if count < entries.len() {
        entries.select_nth_unstable_by(count, larger);
        entries.truncate(count);
    }
    entries.sort_unstable_by(larger);
    entries.into_iter().map(|entry| entry / width).collect()
}

/// [`largest_tokens`], each once, in the order of the text.
pub fn sinks(hidden: &[f32], width: usize, count: usize) -> Vec<usize> {
    let mut tokens = largest_tokens(hidden, width, count);
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}
