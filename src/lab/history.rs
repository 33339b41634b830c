//! Numbers followed over a run, and the chart that they make.

use crate::chart::{Axis, Chart, Ink, Mark, thin};

/// Points of a history on a chart.
const MOST_POINTS: usize = 512;

/// A number followed over the steps of a run.
#[derive(Clone, Debug, Default)]
pub struct History(Vec<[f32; 2]>);

impl History {
    /// What is measured anew at a step takes the place of what was.
    pub fn push(&mut self, step: u64, value: f64) {
        self.0.pop_if(|last| last[0] == step as f32);
        self.0.push([step as f32, value as f32]);
    }

    pub fn last(&self) -> f64 {
        self.0.last().map_or(f64::NAN, |[_, value]| f64::from(*value))
    }

    /// The points, `[step, value]`.
    pub fn points(&self) -> &[[f32; 2]] {
        &self.0
    }

    /// The first step at which it was at least so much.
    pub fn first_at_least(&self, value: f64) -> Option<u64> {
        self.0.iter().find(|point| f64::from(point[1]) >= value).map(|point| point[0] as u64)
    }

    /// Where it was least, and how little that was.
    pub fn least(&self) -> Option<[f32; 2]> {
        self.0.iter().copied().min_by(|a, b| a[1].total_cmp(&b[1]))
    }

    /// Where it was least, if it has risen since above what `bound` makes of that.
    pub fn past_its_best(&self, bound: impl Fn(f64) -> f64) -> Option<[f32; 2]> {
        self.least().filter(|[_, least]| self.last() > bound(f64::from(*least)))
    }

    pub fn line(&self, name: &str, ink: Ink) -> Mark {
        Mark::line(name, ink, thin(&self.0, MOST_POINTS))
    }

    pub fn trend(&self) -> Vec<f32> {
        thin(&self.0, 48).into_iter().map(|[_, value]| value).collect()
    }

    pub fn save(&self) -> Vec<f32> {
        self.0.as_flattened().to_vec()
    }

    pub fn load(numbers: &[f32]) -> Self {
        Self(numbers.as_chunks::<2>().0.to_vec())
    }
}

/// Histories over the steps of a bounded run, on a logarithmic axis that holds them all.
pub fn history_chart(unit: &str, of: u64, lines: Vec<Mark>) -> Chart {
    let values = lines.iter().flat_map(|line| match line {
        Mark::Line { points, .. } => points.as_slice(),
        _ => &[],
    });
    let values = values.map(|point| f64::from(point[1])).filter(|&value| value > 0.0);
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = if high > 0.0 { (low.max(1e-6), high) } else { (0.1, 1.0) };
    // Whole decades and their thirds, so that limits grow in steps.
    let low = 10f64.powf((low.log10() * 2.0).floor() / 2.0);
    let high = 10f64.powf((high.log10() * 2.0).ceil() / 2.0).max(low * 3.0);
    Chart::new(Axis::new("step", 0.0..of as f64), Axis::log(format!("{unit}, log"), low..high), lines)
}
