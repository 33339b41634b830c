//! What a chart says at a point: read-outs under the pointer and the arrow keys.

use super::place::Plot;
use super::table::{bar_centers, cell_name, number};
use super::{Chart, Ink, Mark};

/// The value of one series near an x, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub name: String,
    pub ink: Ink,
    pub x: f64,
    pub y: f64,
    pub text: String,
}

fn points(mark: &Mark) -> Vec<[f32; 2]> {
    match mark {
        Mark::Line { points, .. }
        | Mark::Stems { points, .. }
        | Mark::Dots { points, .. }
        | Mark::Handles { points, .. } => points.clone(),
        Mark::Bars { .. } => bar_centers(mark),
        _ => Vec::new(),
    }
}

fn ink_of(mark: &Mark) -> Option<Ink> {
    match mark {
        Mark::Line { ink, .. }
        | Mark::Bars { ink, .. }
        | Mark::Stems { ink, .. }
        | Mark::Dots { ink, .. }
        | Mark::Band { ink, .. }
        | Mark::Handles { ink, .. } => Some(*ink),
        Mark::Heat { .. } | Mark::Level { .. } | Mark::Moment { .. } | Mark::Key { .. } => None,
    }
}

/// The nearest value of each series at an x. A series that is over, or has not begun, says nothing.
pub fn readout(chart: &Chart, x: f64) -> Vec<Reading> {
    let mut readings = Vec::new();
    for mark in &chart.marks {
        let Some(ink) = ink_of(mark) else { continue };
        let reading = |at: f32, y: f32, text: String| Reading {
            name: mark.name().to_owned(),
            ink,
            x: f64::from(at),
            y: f64::from(y),
            text,
        };
        if let Mark::Band { points, .. } = mark {
            let whole = points.iter().filter(|point| point.iter().all(|value| value.is_finite()));
            if let Some(&[at, low, high]) = nearest(chart, x, whole, |point| point[0]) {
                let text = format!("{} to {}", number(f64::from(low), 3), number(f64::from(high), 3));
                readings.push(reading(at, (low + high) / 2.0, text));
            }
        } else {
            let all = points(mark);
            let whole = all.iter().filter(|point| point.iter().all(|value| value.is_finite()));
            if let Some(&[at, y]) = nearest(chart, x, whole, |point| point[0]) {
                readings.push(reading(at, y, number(f64::from(y), 3)));
            }
        }
    }
    // A mark without a name only adorns one that has it.
    if readings.iter().any(|reading| !reading.name.is_empty()) {
        readings.retain(|reading| !reading.name.is_empty());
    }
    readings
}

fn nearest<'a, T>(chart: &Chart, x: f64, points: impl Iterator<Item = &'a T>, of: impl Fn(&T) -> f32) -> Option<&'a T> {
    let (mut best, mut low, mut high) = (None, f64::INFINITY, f64::NEG_INFINITY);
    let mut least = f64::INFINITY;
    for point in points {
        let at = f64::from(of(point));
        (low, high) = (low.min(at), high.max(at));
        if (at - x).abs() < least {
            (best, least) = (Some(point), (at - x).abs());
        }
    }
    let near = (chart.x.max - chart.x.min).abs() * 0.02;
    best.filter(|_| x >= low - near && x <= high + near)
}

/// The x that the arrow keys step through.
pub fn stops(chart: &Chart) -> Vec<f64> {
    let mut stops: Vec<f64> = Vec::new();
    for mark in &chart.marks {
        match mark {
            Mark::Band { points, .. } => stops.extend(points.iter().map(|point| f64::from(point[0]))),
            Mark::Heat { columns, x: [from, to], .. } => {
                let step = f64::from(to - from) / (*columns).max(1) as f64;
                stops.extend((0..*columns).map(|column| f64::from(*from) + (column as f64 + 0.5) * step));
            }
            _ => {
                stops.extend(points(mark).iter().filter(|point| point[1].is_finite()).map(|point| f64::from(point[0])))
            }
        }
    }
    stops.retain(|stop| {
        stop.is_finite() && chart.x.min.min(chart.x.max) <= *stop && *stop <= chart.x.min.max(chart.x.max)
    });
    stops.sort_by(f64::total_cmp);
    stops.dedup();
    stops
}

/// What the topmost heat map says at a point: the names of the cell's column and row, and its value or what that
/// means.
pub fn cell(chart: &Chart, x: f64, y: f64) -> Option<(String, String, String)> {
    chart.marks.iter().rev().find_map(|mark| {
        let Mark::Heat { rows, columns, x: across, y: along, values, .. } = mark else { return None };
        let index = |[from, to]: [f32; 2], value: f64, count: usize| {
            let share = (value - f64::from(from)) / f64::from(to - from);
            (0.0..1.0).contains(&share).then_some((share * count as f64) as usize)
        };
        let (column, row) = (index(*across, x, *columns)?, index(*along, y, *rows)?);
        let value = values.get(row * columns + column).filter(|value| value.is_finite())?;
        let names = (cell_name(&chart.x, *across, column, *columns), cell_name(&chart.y, *along, row, *rows));
        let word = chart.marks.iter().find_map(|mark| match mark {
            Mark::Key { name, value: named } if named == value => Some(name.clone()),
            _ => None,
        });
        Some((names.0, names.1, word.unwrap_or_else(|| number(f64::from(*value), 3))))
    })
}

/// The handle nearest to a pixel, not farther than `reach` pixels: the number of its mark and its own.
pub fn handle_at(chart: &Chart, plot: &Plot, (px, py): (f64, f64), reach: f64) -> Option<(usize, usize)> {
    let mut best = None;
    let mut least = reach;
    for (mark, content) in chart.marks.iter().enumerate() {
        let Mark::Handles { points, .. } = content else { continue };
        for (index, &[x, y]) in points.iter().enumerate() {
            let (to_x, to_y) = plot.to_pixel(f64::from(x), f64::from(y));
            // One beyond the axes is drawn at their edge.
            let (to_x, to_y) = (to_x.clamp(plot.left, plot.right), to_y.clamp(plot.top, plot.bottom));
            let far = (to_x - px).hypot(to_y - py);
            if far <= least {
                (best, least) = (Some((mark, index)), far);
            }
        }
    }
    best
}

/// The height of a line of points at an x, straight between two of them.
pub fn height_at(points: &[[f32; 2]], x: f32) -> Option<f32> {
    let after = points.iter().position(|point| point[0] >= x)?;
    let [to, end] = points[after];
    if to == x {
        return Some(end);
    }
    let [from, start] = points[after.checked_sub(1)?];
    Some(start + (end - start) * (x - from) / (to - from))
}
