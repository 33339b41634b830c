//! Where the name of a series may stand: beside its line, over nothing that is drawn.
//!
//! A picture is divided into small squares; each knows which series pass through it. So a place is tried by counting
//! squares, and neither the number of points nor of series matters. Knows pixels and texts, no chart.

use super::pen::width;

/// The side of a square, in pixels.
const SIDE: f64 = 2.0;
/// Bits of what may be written over in need: bars and washes.
pub const FILL: u32 = 1 << 31;
/// Bits of what is written already.
pub const TEXT: u32 = 1 << 30;

/// Bits of moments: thin lines that a text's halo may interrupt in need.
pub const THREAD: u32 = 1 << 29;

/// The bit of a series; beyond 24 they share one.
pub fn bit(series: usize) -> u32 {
    1 << series.min(24)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A text and the point of its base line that it hangs on.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    pub text: String,
    pub x: f64,
    pub y: f64,
    pub anchor: Anchor,
    /// From the text to its series, where it stands apart.
    pub guide: Option<[(f64, f64); 2]>,
}

/// A rectangle: left, top, right, bottom.
type Frame = [f64; 4];

pub struct Room {
    columns: usize,
    rows: usize,
    squares: Vec<u32>,
    /// Where texts may stand at all.
    pub bounds: Frame,
}

impl Room {
    pub fn new(width: f64, height: f64, bounds: Frame) -> Self {
        let (columns, rows) = ((width / SIDE).ceil().max(1.0) as usize, (height / SIDE).ceil().max(1.0) as usize);
        Self { columns, rows, squares: vec![0; columns * rows], bounds }
    }

    fn set(&mut self, x: f64, y: f64, bits: u32) {
        if x < 0.0 || y < 0.0 {
            return;
        }
        let (column, row) = ((x / SIDE) as usize, (y / SIDE) as usize);
        if column < self.columns && row < self.rows {
            self.squares[row * self.columns + column] |= bits;
        }
    }

    pub fn line(&mut self, points: &[(f64, f64)], bits: u32) {
        for pair in points.windows(2) {
            let [(x, y), (to_x, to_y)] = [pair[0], pair[1]];
            let steps = ((to_x - x).abs().max((to_y - y).abs()) / (SIDE / 2.0)).ceil().clamp(1.0, 4000.0);
            for step in 0..=steps as usize {
                let share = step as f64 / steps;
                self.set(x + (to_x - x) * share, y + (to_y - y) * share, bits);
            }
        }
    }

    pub fn fill(&mut self, frame: Frame, bits: u32) {
        for index in self.inside(frame) {
            self.squares[index] |= bits;
        }
    }

    fn inside(&self, [left, top, right, bottom]: Frame) -> impl Iterator<Item = usize> + use<> {
        let (columns, all) = (self.columns, self.rows);
        let rows = (top.max(0.0) / SIDE) as usize..((bottom / SIDE).ceil().max(0.0) as usize).min(all);
        let across = (left.max(0.0) / SIDE) as usize..((right / SIDE).ceil().max(0.0) as usize).min(columns);
        rows.flat_map(move |row| across.clone().map(move |column| row * columns + column))
    }

    fn count(&self, frame: Frame, bits: u32) -> usize {
        self.inside(frame).filter(|&index| self.squares[index] & bits != 0).count()
    }

    fn touches(&self, frame: Frame, bits: u32) -> bool {
        self.inside(frame).any(|index| self.squares[index] & bits != 0)
    }

    /// The rectangle of a text, if it is within bounds.
    fn frame(&self, x: f64, y: f64, anchor: Anchor, wide: f64) -> Option<Frame> {
        let left = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - wide / 2.0,
            Anchor::End => x - wide,
        };
        let frame = [left - 1.0, y - 9.5, left + wide + 1.0, y + 3.0];
        let [left, top, right, bottom] = self.bounds;
        let within = frame[0] >= left && frame[1] >= top && frame[2] <= right && frame[3] <= bottom;
        within.then_some(frame)
    }

    /// The rectangle of a text, if it is over nothing that must be seen.
    fn free(&self, x: f64, y: f64, anchor: Anchor, wide: f64) -> Option<Frame> {
        self.frame(x, y, anchor, wide).filter(|frame| !self.touches(*frame, !FILL))
    }

    /// Takes the first free of these places.
    pub fn first(&mut self, text: &str, bold: bool, places: &[(f64, f64, Anchor)]) -> Option<Spot> {
        let wide = width(text, bold);
        let &(x, y, anchor) = places.iter().find(|&&(x, y, anchor)| self.free(x, y, anchor, wide).is_some())?;
        self.take(text, wide, x, y, anchor)
    }

    /// Takes the first free of these places, else the one that covers least: for a line that means nothing without
    /// its name. Never over another text.
    pub fn least(&mut self, text: &str, bold: bool, places: &[(f64, f64, Anchor)]) -> Option<Spot> {
        let wide = width(text, bold);
        let cost = |&&(x, y, anchor): &&(f64, f64, Anchor)| {
            let frame = self.frame(x, y, anchor, wide).filter(|frame| !self.touches(*frame, TEXT));
            frame.map_or(usize::MAX, |frame| 8 * self.count(frame, !(FILL | THREAD)) + self.count(frame, THREAD))
        };
        let best = places.iter().min_by_key(cost)?;
        let &(x, y, anchor) = Some(best).filter(|best| cost(best) < usize::MAX)?;
        self.take(text, wide, x, y, anchor)
    }

    fn take(&mut self, text: &str, wide: f64, x: f64, y: f64, anchor: Anchor) -> Option<Spot> {
        let frame = self.frame(x, y, anchor, wide)?;
        self.fill(frame, TEXT);
        Some(Spot { text: text.to_owned(), x, y, anchor, guide: None })
    }

    /// Names a series: at its end, else at its highest free point, else apart with a guide, else with a shorter text.
    pub fn name(&mut self, text: &str, bold: bool, series: &Series) -> Option<Spot> {
        let short = text.split([',', '(']).next().unwrap_or(text).trim_end();
        let texts = if short == text || short.is_empty() { vec![text] } else { vec![text, short] };
        let on = texts.iter().find_map(|text| self.on(text, bold, series));
        let (spot, frame) = on.or_else(|| texts.iter().rev().find_map(|text| self.apart(text, bold, series)))?;
        self.fill(frame, TEXT);
        Some(spot)
    }

    fn on(&self, text: &str, bold: bool, series: &Series) -> Option<(Spot, Frame)> {
        let wide = width(text, bold);
        let [_, top, right, _] = self.bounds;
        let mut best: Option<(f64, (Spot, Frame))> = None;
        let mut attempt = |cost: f64, x: f64, y: f64, anchor: Anchor| {
            if best.as_ref().is_some_and(|(least, _)| *least <= cost) {
                return;
            }
            let Some(frame) = self.free(x, y, anchor, wide) else { return };
            // Beside a rival's line a name could be read as the rival's.
            let [left, top, right, bottom] = frame;
            let near = self.count([left - 6.0, top - 6.0, right + 6.0, bottom + 6.0], !(FILL | TEXT | series.bit));
            let covered = self.count(frame, FILL);
            let cost = cost + (near as f64 * 0.7).min(40.0) + covered as f64 * 0.2;
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                let spot = Spot { text: text.to_owned(), x, y, anchor, guide: None };
                best = Some((cost, (spot, frame)));
            }
        };
        if let (Form::Line, Some(&(x, y))) = (series.form, series.path.last()) {
            for aside in [0.0, 7.0, -7.0, 14.0, -14.0] {
                attempt(f64::abs(aside), x + 7.0, y + 4.0 + aside, Anchor::Start);
            }
            if let Some((highest, lowest)) = series.reach(right.min(x) - wide, right) {
                attempt(12.0, right.min(x), highest - 6.0, Anchor::End);
                attempt(14.0, right.min(x), lowest + 14.0, Anchor::End);
            }
        }
        let stride = series.path.len().div_ceil(48).max(1);
        for &(x, y) in series.path.iter().step_by(stride) {
            let cost = 24.0 + (y - top) * 0.12;
            if let Some((highest, lowest)) = series.reach(x - wide / 2.0, x + wide / 2.0) {
                attempt(cost + (y - highest) * 0.5, x, highest - 6.0, Anchor::Middle);
                attempt(cost + 10.0 + (lowest - y) * 0.5, x, lowest + 14.0, Anchor::Middle);
            }
            for raise in [2.0, -6.0] {
                attempt(cost + 2.0, x + 8.0, y + raise, Anchor::Start);
                attempt(cost + 2.0, x - 8.0, y + raise, Anchor::End);
            }
        }
        best.map(|(_, found)| found)
    }

    fn apart(&self, text: &str, bold: bool, series: &Series) -> Option<(Spot, Frame)> {
        const FARTHEST: f64 = 90.0;
        let wide = width(text, bold);
        let [left, top, right, bottom] = self.bounds;
        let stride = series.path.len().div_ceil(48).max(1);
        let mut best: Option<(f64, (Spot, Frame))> = None;
        for row in 0..((bottom - top) / 10.0).max(0.0) as usize {
            for column in 0..((right - left) / 16.0).max(0.0) as usize {
                let (x, y) = (left + wide / 2.0 + 2.0 + column as f64 * 16.0, top + 10.0 + row as f64 * 10.0);
                let Some(frame) = self.free(x, y, Anchor::Middle, wide) else { continue };
                let nearest = series.path.iter().step_by(stride).map(|&(to_x, to_y)| {
                    let from = (to_x.clamp(frame[0], frame[2]), to_y.clamp(frame[1], frame[3]));
                    ((to_x - from.0).hypot(to_y - from.1), from, (to_x, to_y))
                });
                let Some((far, from, to)) = nearest.min_by(|(a, ..), (b, ..)| a.total_cmp(b)) else { continue };
                let cost = far + self.count(frame, FILL) as f64 * 0.25;
                if far < FARTHEST && best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    let guide = (far > 12.0).then(|| {
                        let back = 3.0 / far;
                        [from, (to.0 + (from.0 - to.0) * back, to.1 + (from.1 - to.1) * back)]
                    });
                    best = Some((cost, (Spot { text: text.to_owned(), x, y, anchor: Anchor::Middle, guide }, frame)));
                }
            }
        }
        best.map(|(_, found)| found)
    }
}

/// The picture of a series, as far as its name is concerned.
pub struct Series {
    pub bit: u32,
    /// Its points in pixels; a few hundred are enough.
    pub path: Vec<(f64, f64)>,
    pub form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It has an end that a name can stand at.
    Line,
    Points,
    Wash,
}

impl Series {
    /// The highest and the lowest place of the series between two x.
    fn reach(&self, from: f64, to: f64) -> Option<(f64, f64)> {
        let mut reach: Option<(f64, f64)> = None;
        for &(x, y) in &self.path {
            if x >= from - 2.0 && x <= to + 2.0 {
                let (highest, lowest) = reach.unwrap_or((y, y));
                reach = Some((highest.min(y), lowest.max(y)));
            }
        }
        reach
    }
}
