//! Where a chart's numbers stand in its picture.
//!
//! Apart from the drawing, because a pointer, a dragged handle and a cursor need the same mapping and draw nothing.

use super::pen::width;
use super::table::{number, signed};
use super::{Axis, Chart, Mark};

/// The size of a picture in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

impl Size {
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height }
    }
}

/// A range of values along one axis, as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub min: f64,
    pub max: f64,
    pub log: bool,
}

impl Scale {
    fn new(axis: &Axis) -> Self {
        Self { min: axis.min, max: axis.max, log: axis.log }
    }

    /// How far along the axis a value stands: 0 at its start, 1 at its end.
    fn share(self, value: f64) -> f64 {
        let (min, max, value) =
            if self.log { (self.min.ln(), self.max.ln(), value.ln()) } else { (self.min, self.max, value) };
        if max == min { 0.5 } else { (value - min) / (max - min) }
    }

    fn value(self, share: f64) -> f64 {
        if self.log {
            (self.min.ln() + share * (self.max.ln() - self.min.ln())).exp()
        } else {
            self.min + share * (self.max - self.min)
        }
    }

    pub fn holds(self, value: f64) -> bool {
        (-1e-9..=1.0 + 1e-9).contains(&self.share(value))
    }
}

/// The rectangle that the data fill, in pixels of the picture, and the mapping into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plot {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Plot {
    pub fn to_pixel(&self, x: f64, y: f64) -> (f64, f64) {
        (
            self.left + self.x.share(x) * (self.right - self.left),
            self.bottom - self.y.share(y) * (self.bottom - self.top),
        )
    }

    pub fn from_pixel(&self, px: f64, py: f64) -> (f64, f64) {
        (
            self.x.value((px - self.left) / (self.right - self.left)),
            self.y.value((self.bottom - py) / (self.bottom - self.top)),
        )
    }

    pub(super) fn contains(&self, (px, py): (f64, f64)) -> bool {
        const SLACK: f64 = 0.05;
        px >= self.left - SLACK && px <= self.right + SLACK && py >= self.top - SLACK && py <= self.bottom + SLACK
    }
}

/// Finds the place of a chart's data in a picture of this size.
pub fn place(chart: &Chart, size: Size) -> Plot {
    let (mut x, mut y) = (Scale::new(&chart.x), Scale::new(&chart.y));
    if chart.plane {
        let (left, top, right, bottom) = edges(6.0, 6.0, size.width - 6.0, size.height - 6.0);
        // The narrower axis keeps its ends and the other shows more, so that a circle is round.
        let (across, along) = ((right - left) / (x.max - x.min).abs(), (bottom - top) / (y.max - y.min).abs());
        if across < along {
            widen(&mut y, along / across);
        } else if along < across {
            widen(&mut x, across / along);
        }
        return Plot { left, top, right, bottom, x, y };
    }
    let top = if chart.y.name.is_empty() && !chart.marks.iter().any(|mark| matches!(mark, Mark::Heat { .. })) {
        8.0
    } else {
        20.0
    };
    let bottom = size.height - if chart.x.name.is_empty() { 20.0 } else { 34.0 };
    let widest = ticks(&chart.y, 5).iter().map(|(_, text)| width(text, false)).fold(0.0, f64::max);
    let left = (widest + 8.0).clamp(10.0, (size.width * 0.4).max(10.0)).ceil();
    let reach = ticks(&chart.x, 5)
        .into_iter()
        .map(|(at, text)| left + x.share(at) * (size.width - left - 6.0) + width(&text, false) / 2.0);
    let over = (reach.fold(0.0, f64::max) - size.width).clamp(0.0, 40.0).ceil();
    let (left, top, right, bottom) = edges(left, top, size.width - 6.0 - over, bottom);
    Plot { left, top, right, bottom, x, y }
}

/// A picture may be asked for before its panel has a size.
fn edges(left: f64, top: f64, right: f64, bottom: f64) -> (f64, f64, f64, f64) {
    (left, top, right.max(left + 1.0), bottom.max(top + 1.0))
}

fn widen(scale: &mut Scale, factor: f64) {
    if factor.is_finite() {
        let (middle, half) = ((scale.min + scale.max) / 2.0, (scale.max - scale.min) / 2.0 * factor);
        (scale.min, scale.max) = (middle - half, middle + half);
    }
}

/// The marked values of an axis with their texts, in order of place; at most `most` unless the axis names its own.
pub(super) fn ticks(axis: &Axis, most: usize) -> Vec<(f64, String)> {
    let scale = Scale::new(axis);
    if !axis.ticks.is_empty() {
        return axis.ticks.iter().filter(|(at, _)| scale.holds(*at)).cloned().collect();
    }
    let (low, high) = (axis.min.min(axis.max), axis.min.max(axis.max));
    if !(low.is_finite() && high > low && (high - low).is_finite()) {
        return Vec::new();
    }
    let values = if axis.log { powers(low, high, most) } else { multiples(low, high, most) };
    values.into_iter().map(|value| (value, tick_text(value, axis.log))).collect()
}

/// Multiples of a round step. A step on which both ends lie comes before the one with most ticks, because the name of
/// the axis stands above its last tick.
fn multiples(low: f64, high: f64, most: usize) -> Vec<f64> {
    let power = 10f64.powf((high - low).log10().floor());
    let steps = |digits: &'static [f64]| digits.iter().flat_map(move |digit| [digit * power / 10.0, digit * power]);
    let count = |step: f64| ((high / step + 1e-6).floor() - (low / step - 1e-6).ceil()) as usize + 1;
    let even = |value: f64, step: f64| (value / step - (value / step).round()).abs() < 1e-6;
    let fits = |step: &f64| (3..=most).contains(&count(*step));
    let ends = |step: &f64| fits(step) && even(low, *step) && even(high, *step);
    let finest = |least: f64, step: f64| least.min(step);
    let step = [
        steps(&[1.0, 2.0, 5.0]).filter(ends).fold(f64::INFINITY, finest),
        steps(&[2.5]).filter(ends).fold(f64::INFINITY, finest),
    ]
    .into_iter()
    .chain([
        steps(&[4.0, 3.0]).filter(ends).fold(f64::INFINITY, finest),
        steps(&[1.0, 2.0, 5.0]).filter(fits).fold(f64::INFINITY, finest),
    ])
    .chain([steps(&[1.0, 2.0, 5.0]).filter(|step| count(*step) <= most + 1).fold(f64::INFINITY, finest)])
    .find(|step| step.is_finite())
    .unwrap_or((high - low) / 2.0);
    let first = (low / step - 1e-6).ceil();
    (0..count(step)).map(|index| (first + index as f64) * step).collect()
}

/// Powers of ten; between them also 2 and 5 times one if there is room for no other.
fn powers(low: f64, high: f64, most: usize) -> Vec<f64> {
    let (first, last) = ((low.log10() - 1e-9).ceil() as i32, (high.log10() + 1e-9).floor() as i32);
    let within = |digits: &[f64]| -> Vec<f64> {
        let all = (first - 1..=last).flat_map(|power| digits.iter().map(move |digit| digit * 10f64.powi(power)));
        all.filter(|value| *value >= low * (1.0 - 1e-9) && *value <= high * (1.0 + 1e-9)).collect()
    };
    let decades = within(&[1.0]);
    if decades.len() >= 3 {
        let stride = decades.len().div_ceil(most);
        return decades.into_iter().step_by(stride).collect();
    }
    let mut values = [within(&[1.0, 2.0, 5.0]), within(&[1.0, 3.0]), decades]
        .into_iter()
        .filter(|values| (2..=most).contains(&values.len()));
    values.next().unwrap_or_else(|| multiples(low, high, most))
}

/// A round number as short as it can be said.
pub(super) fn tick_text(value: f64, log: bool) -> String {
    let size = value.abs();
    if size >= 1e5 || (size > 0.0 && size < 1e-4 * (1.0 - 1e-9)) {
        let text = number(value, 4);
        let (mantissa, power) = text.split_once(" × ").unwrap_or((&text, ""));
        let mantissa =
            if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
        return if log && mantissa == "1" { power.to_owned() } else { format!("{mantissa} × {power}") };
    }
    let text = format!("{size:.6}");
    signed(value, text.trim_end_matches('0').trim_end_matches('.'))
}

/// The radii of the circles of a plane: two, or three if two are not round.
pub(super) fn radii(plot: &Plot) -> Vec<f64> {
    let reach = [plot.x.max, -plot.x.min, plot.y.max, -plot.y.min].into_iter().fold(f64::INFINITY, f64::min);
    if !(reach > 0.0 && reach.is_finite()) {
        return Vec::new();
    }
    let power = 10f64.powf(reach.log10().floor());
    let steps: Vec<f64> = [0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0].into_iter().map(|digit| digit * power).collect();
    let with = |circles: f64| steps.iter().copied().find(|step| (reach / step + 1e-9).floor() == circles);
    let step = with(2.0).or_else(|| with(3.0)).unwrap_or(reach);
    (1..=3).map(|index| f64::from(index) * step).filter(|radius| *radius <= reach * (1.0 + 1e-9)).collect()
}
