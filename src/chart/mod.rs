//! Charts as data: what is drawn, with which meaning.
//!
//! A lab says that a line is the method's and runs through these points; [`svg`](svg::svg) decides
//! color, width and where the labels go, and [`table`](table::table) gives the same numbers as a table.
//! A series with an empty name adorns another (dots on its line): it has no label and no read-out.
//! Apart from everything else, so that a chart can be tested without a browser, a lab or a pixel:
//! it uses nothing of ours.

mod label;
pub mod pen;
mod place;
mod read;
pub mod svg;
pub mod table;

pub use read::height_at;
pub use table::number;

use serde::{Deserialize, Serialize};

/// A figure with two axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    pub x: Axis,
    pub y: Axis,
    pub marks: Vec<Mark>,
    /// Both axes have one scale and the origin is drawn: a plane rather than a plot.
    pub plane: bool,
}

impl Chart {
    pub fn new(x: Axis, y: Axis, marks: Vec<Mark>) -> Self {
        Self { x, y, marks, plane: false }
    }
}

/// One axis: its name with its unit, what it shows, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    pub name: String,
    pub min: f64,
    pub max: f64,
    pub log: bool,
    /// Ticks with words of their own, such as the names of directions; empty for the usual round numbers.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    pub fn new(name: impl Into<String>, range: std::ops::Range<f64>) -> Self {
        Self { name: name.into(), min: range.start, max: range.end, log: false, ticks: Vec::new() }
    }

    /// A logarithmic axis; both ends must be positive. Its name should say "log".
    pub fn log(name: impl Into<String>, range: std::ops::Range<f64>) -> Self {
        assert!(range.start > 0.0, "a logarithmic axis starts above zero, not at {}", range.start);
        Self { log: true, ..Self::new(name, range) }
    }

    /// From zero to the next round number above `largest`, so that limits grow in steps and do not jump with
    /// every frame.
    pub fn from_zero(name: impl Into<String>, largest: f64) -> Self {
        Self::new(name, 0.0..round_up(largest))
    }
}

/// The least round number that is not below `value`.
pub fn round_up(value: f64) -> f64 {
    if !(value > 0.0 && value.is_finite()) {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|&top| top >= value * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// What a mark stands for. A role keeps its color on every panel, in prose, and beside its switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ink {
    /// What the paper proposes.
    Method,
    /// The first rival.
    Baseline,
    /// The second rival.
    Baseline2,
    /// The third rival, and whatever else stands aside.
    Muted,
    /// What is so: a known density, an oracle, an optimum.
    Truth,
    /// What was observed.
    Data,
    /// What the reader drew.
    Guess,
}

/// One thing drawn. Points are `[x, y]`; a point that is not finite interrupts its line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Mark {
    Line {
        name: String,
        ink: Ink,
        points: Vec<[f32; 2]>,
    },
    /// Bars side by side over `from..to`, one a height.
    Bars {
        name: String,
        ink: Ink,
        from: f32,
        to: f32,
        heights: Vec<f32>,
    },
    /// Thin columns with a dot on top.
    Stems {
        name: String,
        ink: Ink,
        points: Vec<[f32; 2]>,
    },
    Dots {
        name: String,
        ink: Ink,
        points: Vec<[f32; 2]>,
    },
    /// The area between two curves over the same x: `[x, low, high]`.
    Band {
        name: String,
        ink: Ink,
        points: Vec<[f32; 3]>,
    },
    /// Shares in [0, 1] (or signed values in [-1, 1]) over a grid, row by row from the bottom.
    Heat {
        name: String,
        signed: bool,
        rows: usize,
        columns: usize,
        x: [f32; 2],
        y: [f32; 2],
        values: Vec<f32>,
    },
    /// A reference value, dashed across the plot, with a name that says what it means.
    Level {
        name: String,
        y: f32,
    },
    /// A moment on the x axis. One named `now` is where the run stands and needs no words; any other is an event and
    /// carries its name.
    Moment {
        name: String,
        x: f32,
    },
    /// Points that the reader moves; each is drawn with its number, from `first` on, and joined to the origin on a plane.
    Handles {
        name: String,
        ink: Ink,
        first: usize,
        points: Vec<[f32; 2]>,
    },
    /// What one value of a heat map means. Not drawn: where there is one, these words stand in place of the map's scale.
    Key {
        name: String,
        value: f32,
    },
}

impl Mark {
    pub fn line(name: impl Into<String>, ink: Ink, points: impl IntoIterator<Item = [f32; 2]>) -> Self {
        Self::Line { name: name.into(), ink, points: points.into_iter().collect() }
    }

    /// The name a reader sees and hears.
    pub fn name(&self) -> &str {
        match self {
            Self::Line { name, .. }
            | Self::Bars { name, .. }
            | Self::Stems { name, .. }
            | Self::Dots { name, .. }
            | Self::Band { name, .. }
            | Self::Heat { name, .. }
            | Self::Level { name, .. }
            | Self::Moment { name, .. }
            | Self::Handles { name, .. }
            | Self::Key { name, .. } => name,
        }
    }
}

/// At most `most` of the points, evenly chosen, first and last always among them.
pub fn thin(points: &[[f32; 2]], most: usize) -> Vec<[f32; 2]> {
    if points.len() <= most {
        return points.to_vec();
    }
    (0..most).map(|i| points[i * (points.len() - 1) / (most - 1)]).collect()
}
