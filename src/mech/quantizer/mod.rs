//! Keys and values of a cache in few bits: round to nearest, KIVI, QuaRot, RotateKV and every rung between.
//!
//! [`quantize`] takes what a layer remembers and gives what attention will see in its place, and what that weighs.
//! [`keys`] and [`values`] show the way there, for drawing. Numbers are quantized and restored at once, in f32: only
//! the weight is that of packed storage. Knows nothing of which rows a cache keeps.
//!
//! # Heads that remember different tokens
//!
//! Heads are laid side by side by rank: row r holds the r-th oldest token of each head, which is one and the same
//! token unless an eviction chose head by head. A rotation over several heads, an order over all channels and
//! a group wider than a head mix what stands in such a row. A head that has fewer rows than another then stores zeros for
//! those that it lacks, and their codes are weighed. That is a reconstruction, for the paper evicts nothing. Where
//! nothing is mixed, each head stores its own rows alone.

mod affine;
mod bytes;
mod hadamard;
mod kivi;
mod per_token;
mod rotate_kv;
mod severity;

use std::ops::Range;

use super::ops::Rotation;

pub use affine::{Affine, Fit, Origin};
pub use bytes::{Bytes, effective_bits, pack, unpack, words};
pub use hadamard::{Orthogonal, butterflies, distances, walsh_hadamard};
pub use kivi::Kivi;
pub use per_token::{PerToken, Place, Rung};
pub use rotate_kv::{Transform, add_channel_sums, ascending, fuse_output, largest_tokens, sinks};
pub use severity::{exaggerate, outlier_pairs};

/// What a layer remembers, and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub d_head: usize,
    /// That of the model's rotary positions.
    pub rotary_base: f64,
    /// One for each head of keys; keys before rotary positions.
    pub heads: Vec<HeadRows>,
    /// Sums of the channels of calibration keys, where the recipe stores them, `[heads * d_head]`. Only recipes that sort
    /// look at it.
    pub channel_sums: Vec<f64>,
    /// Positions of attention sinks. Only recipes that spare them look at it.
    pub sinks: Vec<usize>,
}

/// The rows that one head of one layer remembers, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadRows {
    /// `[rows, d_head]`. Those that attention has read are turned back by [`Rotation::back`] before they are stored.
    pub keys: Vec<f32>,
    /// `[rows, d_head]`.
    pub values: Vec<f32>,
    /// `[rows]`; a merged row has that of the token it was merged into.
    pub positions: Vec<usize>,
}

/// How a cache is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Bits of a code, up to 8; 16 for no codes at all.
    pub bits: u32,
    pub method: Method,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    PerToken(PerToken),
    Kivi(Kivi),
}

/// A layer after quantization.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    /// As attention sees them: keys turned by their positions.
    pub heads: Vec<HeadRows>,
    pub bytes: Bytes,
}

/// Rows and columns of a group.
type Area = [Range<usize>; 2];

/// A group of numbers that share their levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub levels: Affine,
}

/// The way of the keys, or of the values, through the quantizer: a matrix for each stage, `[rows, width]`. A head that has
/// fewer rows than another has zeros in its last ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Channels of all heads.
    pub width: usize,
    /// Keys are before or after rotary positions, as the recipe stores them.
    pub raw: Vec<f32>,
    pub rotated: Vec<f32>,
    /// What is rounded.
    pub sorted: Vec<f32>,
    /// Zero where `sorted` is kept in 16 bits.
    pub codes: Vec<u8>,
    /// None of them where `sorted` is kept in 16 bits.
    pub tiles: Vec<Tile>,
    /// What the codes stand for, in place of `sorted`.
    pub stored: Vec<f32>,
    /// What is read, in place of `raw`.
    pub restored: Vec<f32>,
    /// Without positions.
    pub bytes: Bytes,
}

/// What a method makes of keys or of values.
struct Plan {
    transform: Transform,
    areas: Vec<Area>,
    fit: Fit,
    /// Positions that are kept in 16 bits beside their codes.
    spared: Vec<usize>,
}

impl Layer {
    /// Channels of all heads.
    pub fn width(&self) -> usize {
        self.heads.len() * self.d_head
    }

    /// Rows of the head that has most.
    pub fn rows(&self) -> usize {
        self.counts().max().unwrap_or_default()
    }

    /// Rows of each head.
    fn counts(&self) -> impl Iterator<Item = usize> {
        self.heads.iter().map(|head| head.positions.len())
    }

    fn columns(&self, head: usize) -> Range<usize> {
        head * self.d_head..(head + 1) * self.d_head
    }

    /// Each row of each head: its position, and where it stands in a matrix of all heads.
    fn places(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.heads.iter().enumerate().flat_map(move |(head, rows)| {
            rows.positions.iter().enumerate().map(move |(row, &position)| {
                let start = row * self.width() + head * self.d_head;
                (position, start..start + self.d_head)
            })
        })
    }

    /// Side by side, `[rows, width]`, with zeros where a head has no such row.
    fn join(&self, parts: &[Vec<f32>]) -> Vec<f32> {
        let mut matrix = vec![0.0; self.rows() * self.width()];
        for (head, part) in parts.iter().enumerate() {
            assert_eq!(part.len(), self.heads[head].positions.len() * self.d_head, "numbers of head {head}");
            for (row, numbers) in part.chunks_exact(self.d_head).enumerate() {
                matrix[row * self.width()..][self.columns(head)].copy_from_slice(numbers);
            }
        }
        matrix
    }

    /// Takes [`Self::join`] back.
    fn split(&self, matrix: &[f32]) -> Vec<Vec<f32>> {
        let part = |(head, rows)| {
            let rows = matrix.chunks_exact(self.width()).take(rows);
            rows.flat_map(|row| &row[self.columns(head)]).copied().collect()
        };
        self.counts().enumerate().map(part).collect()
    }

    /// Turns the keys of each head by their positions.
    fn turn(&self, keys: &mut [Vec<f32>]) {
        let mut keys = keys.iter_mut();
        // Angles take longer than all else here, and most often all heads have the same.
        for alike in self.heads.chunk_by(|head, next| head.positions == next.positions) {
            let rotation = Rotation::new(alike[0].positions.iter().copied(), self.d_head, self.rotary_base);
            keys.by_ref().take(alike.len()).for_each(|keys| rotation.turn(keys, 1));
        }
    }
}

impl Recipe {
    /// Where keys are stored. KIVI stores what attention reads.
    fn place(&self) -> Place {
        match self.method {
            Method::PerToken(method) => method.place,
            Method::Kivi(_) => Place::AfterRotary,
        }
    }

    fn key_plan(&self, layer: &Layer) -> Plan {
        match self.method {
            Method::PerToken(method) => method.key_plan(layer),
            Method::Kivi(method) => method.key_plan(layer),
        }
    }

    fn value_plan(&self, layer: &Layer) -> Plan {
        match self.method {
            Method::PerToken(method) => method.value_plan(layer),
            Method::Kivi(method) => method.value_plan(layer),
        }
    }
}

/// Stores a layer by a recipe and reads it again.
pub fn quantize(layer: &Layer, recipe: &Recipe) -> Quantized {
    let (keys, values) = (keys(layer, recipe), values(layer, recipe));
    let mut read = layer.split(&keys.restored);
    if recipe.place() == Place::BeforeRotary {
        layer.turn(&mut read);
    }
    let parts = read.into_iter().zip(layer.split(&values.restored)).zip(&layer.heads);
    let heads = parts.map(|((keys, values), head)| HeadRows { keys, values, positions: head.positions.clone() });
    let positions = Bytes { positions: 4 * layer.counts().sum::<usize>(), ..Bytes::default() };
    Quantized { heads: heads.collect(), bytes: keys.bytes + values.bytes + positions }
}

/// What a recipe does to the keys of a layer.
pub fn keys(layer: &Layer, recipe: &Recipe) -> Trace {
    let mut parts: Vec<Vec<f32>> = layer.heads.iter().map(|head| head.keys.clone()).collect();
    if recipe.place() == Place::AfterRotary {
        layer.turn(&mut parts);
    }
    Trace::new(layer, layer.join(&parts), recipe.key_plan(layer), recipe.bits)
}

/// What a recipe does to the values of a layer.
pub fn values(layer: &Layer, recipe: &Recipe) -> Trace {
    let parts: Vec<Vec<f32>> = layer.heads.iter().map(|head| head.values.clone()).collect();
    Trace::new(layer, layer.join(&parts), recipe.value_plan(layer), recipe.bits)
}

impl Trace {
    fn new(layer: &Layer, raw: Vec<f32>, plan: Plan, bits: u32) -> Self {
        let width = layer.width();
        let rotated = plan.transform.rotate(&raw);
        let sorted = plan.transform.sort(&rotated);
        let (mut stored, mut codes) = (sorted.clone(), vec![0; sorted.len()]);
        // Which numbers have codes. A row in which heads are mixed has them throughout, so this holds in either basis.
        let mut coded = vec![false; sorted.len()];
        let areas = if bits == 16 { vec![] } else { plan.areas };
        let mut group = vec![];
        let tile = |[rows, columns]: Area| {
            let runs = || rows.clone().map(|row| row * width + columns.start..row * width + columns.end);
            group.clear();
            runs().for_each(|run| group.extend_from_slice(&sorted[run]));
            let levels = plan.fit.levels(&group, bits);
            for cell in runs().flatten() {
                codes[cell] = levels.code(sorted[cell]);
                stored[cell] = levels.value(codes[cell]);
                coded[cell] = true;
            }
            Tile { rows, columns, levels }
        };
        let tiles: Vec<Tile> = areas.into_iter().map(tile).collect();

        let mut restored = plan.transform.back(&stored);
        let mut full = 0;
        for (position, place) in layer.places() {
            let spared = coded[place.start] && plan.spared.contains(&position);
            if spared {
                restored[place.clone()].copy_from_slice(&raw[place.clone()]);
            }
            if spared || !coded[place.start] {
                full += 2 * place.len();
            }
        }
        let codes_stored = coded.iter().filter(|coded| **coded).count();
        let bytes = Bytes {
            payload: 4 * words(codes_stored, bits),
            metadata: bytes::GROUP_BYTES * tiles.len(),
            full,
            positions: 0,
        };
        Self { width, raw, rotated, sorted, codes, tiles, stored, restored, bytes }
    }

    /// How far what is read is from what was there, number by number.
    pub fn errors(&self) -> Vec<f32> {
        self.restored.iter().zip(&self.raw).map(|(restored, raw)| restored - raw).collect()
    }

    /// The codes in the order in which they are packed, group by group.
    pub fn code_stream(&self) -> Vec<u8> {
        let row = |tile: &Tile, row: usize| self.codes[row * self.width..][tile.columns.clone()].to_vec();
        self.tiles.iter().flat_map(|tile| tile.rows.clone().flat_map(|at| row(tile, at))).collect()
    }
}

/// A row cut into groups; the last is shorter where they do not come out even.
fn groups(row: usize, columns: Range<usize>, group: usize) -> impl Iterator<Item = Area> {
    let end = columns.end;
    columns.step_by(group).map(move |start| [row..row + 1, start..end.min(start.saturating_add(group))])
}
