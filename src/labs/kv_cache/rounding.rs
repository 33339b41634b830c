//! What rounding does to keys, in numbers and in marks.

use std::collections::BTreeSet;

use crate::chart::{Axis, Chart, Ink, Mark};
use crate::mech::house_transformer::LayerReading;
use crate::mech::kv_cache::LayerShape;
use crate::mech::ops::Rotation;
use crate::mech::quantizer::{HeadRows, Layer, Recipe, Tile, Trace, butterflies, distances, keys, quantize};
use kernels::Matrix;

/// Channels of all heads of the shipped models.
pub const WIDTH: usize = 64;
/// Steps of the transform of so many.
pub const STAGES: usize = 6;
/// Tokens on a map of keys: more would be too fine to be read.
pub const SHOWN: usize = 32;
/// Empty channels between maps that stand side by side.
const GAP: usize = 4;
/// What stands where nothing is drawn: unlike NaN it is equal to itself, so that frames can be compared.
pub const EMPTY: f32 = f32::INFINITY;
/// Bins of a histogram.
pub const BINS: usize = 61;
/// Levels of a group that can still be told apart.
const MOST_LEVELS: usize = 16;

/// One key on its way through a quantizer.
pub struct Slide {
    pub basis: Vec<f32>, // [WIDTH]
    pub codes: Vec<u8>,
    pub tiles: Vec<Tile>,
    /// What the codes stand for.
    pub rounded: Vec<f32>,
    /// What is read, before rotary positions.
    pub read: Vec<f32>,
}

impl Slide {
    /// The key takes the place of a row's.
    pub fn new(layer: &Layer, row: usize, key: &[f32], recipe: &Recipe) -> Self {
        let mut layer = layer.clone();
        for (head, part) in layer.heads.iter_mut().zip(key.chunks_exact(layer.d_head)) {
            head.keys[row * part.len()..][..part.len()].copy_from_slice(part);
        }
        let Trace { sorted, codes, tiles, stored, .. } = keys(&layer, recipe);
        let heads = quantize(&layer, recipe).heads;
        let read = |head: &HeadRows| {
            let mut part = head.keys[row * layer.d_head..][..layer.d_head].to_vec();
            Rotation::new([head.positions[row]], layer.d_head, layer.rotary_base).back().turn(&mut part, 1);
            part
        };
        let of_row = |numbers: &[f32]| numbers[row * WIDTH..][..WIDTH].to_vec();
        Self {
            basis: of_row(&sorted),
            codes: codes[row * WIDTH..][..WIDTH].to_vec(),
            tiles: tiles.into_iter().filter(|tile| tile.rows.contains(&row)).collect(),
            rounded: of_row(&stored),
            read: heads.iter().flat_map(read).collect(),
        }
    }
}

/// How far keys are off as attention sees them.
///
/// # Shapes
///
/// - output `[key_heads, tokens, d_head]`
pub fn key_errors(reading: &LayerReading, heads: &[HeadRows]) -> Vec<f32> {
    let read = heads.iter().flat_map(|head| &head.keys);
    read.zip(&reading.keys).map(|(read, key)| read - key).collect()
}

/// How far the scores of all that a query can see are off, before the softmax.
pub fn score_errors(reading: &LayerReading, heads: &[HeadRows]) -> Vec<f32> {
    let LayerShape { query_heads, key_heads, tokens, d_head } = reading.shape;
    let errors = key_errors(reading, heads);
    let scale = 1.0 / (d_head as f32).sqrt();
    let rows = |head: usize| head * tokens * d_head..(head + 1) * tokens * d_head;
    let of_head = |head: usize| {
        let queries = Matrix::new(&reading.queries[rows(head)], tokens, d_head);
        let errors = Matrix::new(&errors[rows(head / (query_heads / key_heads))], tokens, d_head);
        let scores = kernels::product(queries, errors.transposed());
        let seen = |(query, row): (usize, &[f32])| row[..=query].iter().map(|score| scale * score).collect::<Vec<_>>();
        scores.chunks_exact(tokens).enumerate().flat_map(seen).collect::<Vec<_>>()
    };
    (0..query_heads).flat_map(of_head).collect()
}

/// The largest size of any.
pub fn most(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |most, number| most.max(number.abs()))
}

pub fn mean_square(numbers: &[f32]) -> f32 {
    (kernels::sum_of_squares(numbers) / numbers.len() as f64) as f32
}

/// The mean range of the groups of what is rounded.
pub fn mean_range(trace: &Trace) -> f32 {
    let range = |tile: &Tile| {
        let numbers = tile.rows.clone().flat_map(|row| &trace.sorted[row * trace.width..][tile.columns.clone()]);
        let (low, high) =
            numbers.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
        high - low
    };
    trace.tiles.iter().map(range).sum::<f32>() / trace.tiles.len() as f32
}

/// Rows of each head side by side.
///
/// # Shapes
///
/// - numbers `[key_heads, tokens, d_head]`, output `[tokens, WIDTH]`
pub fn joined(numbers: &[f32], LayerShape { key_heads, tokens, d_head, .. }: LayerShape) -> Vec<f32> {
    let row = |at: usize| (0..key_heads).flat_map(move |head| &numbers[(head * tokens + at) * d_head..][..d_head]);
    (0..tokens).flat_map(row).copied().collect()
}

/// The channel under a place on the axis.
pub fn channel_of(place: f32) -> usize {
    (place.max(0.0) as usize).min(WIDTH - 1)
}

/// The number of each channel, over its middle.
pub fn dots(numbers: &[f32]) -> Vec<[f32; 2]> {
    numbers.iter().enumerate().map(|(channel, &number)| [channel as f32 + 0.5, number]).collect()
}

/// The least and the largest number of each channel, `[x, low, high]`.
pub fn channels(matrix: &[f32]) -> Vec<[f32; 3]> {
    let mut band: Vec<[f32; 3]> =
        (0..WIDTH).map(|channel| [channel as f32 + 0.5, f32::INFINITY, f32::NEG_INFINITY]).collect();
    for row in matrix.chunks_exact(WIDTH) {
        for ([_, low, high], number) in band.iter_mut().zip(row) {
            (*low, *high) = (low.min(*number), high.max(*number));
        }
    }
    band
}

/// How much farther the numbers of the strongest channel reach than those of the median one.
pub fn reach_of_strongest(matrix: &[f32]) -> f32 {
    let mut reach: Vec<f32> = channels(matrix).iter().map(|[_, low, high]| high.max(-low)).collect();
    reach.sort_by(f32::total_cmp);
    reach[WIDTH - 1] / reach[WIDTH / 2].max(f32::MIN_POSITIVE)
}

/// A line for each level, which steps where another group begins.
pub fn levels(tiles: &[&Tile]) -> Vec<Mark> {
    let codes = tiles.iter().map(|tile| tile.levels.top).max().filter(|&top| usize::from(top) < MOST_LEVELS);
    let line = |code: u8| {
        let steps = tiles.iter().filter(|tile| code <= tile.levels.top).flat_map(|tile| {
            let level = tile.levels.value(code);
            [tile.columns.start, tile.columns.end].map(|column| [column as f32, level])
        });
        Mark::line(if code == 0 { "levels" } else { "" }, Ink::Method, steps)
    };
    codes.into_iter().flat_map(|top| (0..=top).map(line)).collect()
}

/// Where groups begin and end, if there are few.
pub fn edges(tiles: &[&Tile]) -> Vec<(f64, String)> {
    let ends = tiles.iter().map(|tile| tile.columns.end).filter(|_| tiles.len() <= WIDTH / 8);
    let edges: BTreeSet<usize> = ends.chain([0, WIDTH]).collect();
    edges.into_iter().map(|column| (column as f64, column.to_string())).collect()
}

/// A key after each step of its rotation, scaled so that its length stays.
pub fn stages_of(key: &[f32]) -> Vec<Vec<f32>> {
    let mut steps = vec![key.to_vec()];
    for distance in distances(WIDTH) {
        let mut next = steps[steps.len() - 1].clone();
        butterflies(&mut next, distance);
        next.iter_mut().for_each(|number| *number *= std::f32::consts::FRAC_1_SQRT_2);
        steps.push(next);
    }
    steps
}

/// Lines between the numbers that a step takes sums and differences of: a bow for each pair.
pub fn pairs(stage: usize) -> Vec<Mark> {
    let y = |number: usize| (WIDTH - number) as f32 - 0.5;
    let [from, to] = [stage as f32 - 0.5, stage as f32 + 0.5];
    let Some(distance) = distances(WIDTH).nth(stage.wrapping_sub(1)) else { return vec![] };
    let bow = |low: usize| {
        let (low, high) = (y(low), y(low + distance));
        Mark::line("", Ink::Muted, [[from, low], [to, low], [from, high], [to, high], [from, low]])
    };
    (0..WIDTH).filter(|number| number & distance == 0).map(bow).collect()
}

/// Shares of some numbers in bins over `-reach..reach`.
pub fn histogram(numbers: &[f32], reach: f32) -> Vec<f32> {
    let mut bins = vec![0.0; BINS];
    for number in numbers {
        let bin = (number / reach + 1.0) / 2.0 * BINS as f32;
        bins[(bin as usize).min(BINS - 1)] += 1.0 / numbers.len() as f32;
    }
    bins
}

/// Maps of the first tokens and all channels on one scale, each `[tokens, WIDTH]`, the first token on top.
pub fn side_by_side(name: &str, signed: bool, maps: &[(&str, &[f32])]) -> Chart {
    let rows = SHOWN.min(maps[0].1.len() / WIDTH);
    let columns = maps.len() * (WIDTH + GAP) - GAP;
    let scale = maps.iter().map(|(_, map)| most(&map[..rows * WIDTH])).fold(f32::MIN_POSITIVE, f32::max);
    let mut values = Vec::with_capacity(rows * columns);
    for row in (0..rows).rev() {
        for (index, (_, map)) in maps.iter().enumerate() {
            let gap = if index == 0 { 0 } else { GAP };
            values.extend([EMPTY; GAP].iter().take(gap));
            values.extend(map[row * WIDTH..][..WIDTH].iter().map(|number| number / scale));
        }
    }
    let heat = Mark::Heat {
        name: name.to_owned(),
        signed,
        rows,
        columns,
        x: [0.0, columns as f32],
        y: [0.0, rows as f32],
        values,
    };
    let mut x = Axis::new("", 0.0..columns as f64);
    let middle =
        |(index, (name, _)): (usize, &(&str, &[f32]))| ((index * (WIDTH + GAP) + WIDTH / 2) as f64, (*name).to_owned());
    x.ticks = maps.iter().enumerate().map(middle).collect();
    let mut y = Axis::new("token", 0.0..rows as f64);
    y.ticks = (0..rows).step_by(10).map(|row| ((rows - row) as f64 - 0.5, row.to_string())).collect();
    Chart::new(x, y, vec![heat])
}
