//! What a reader drew on a figure before the run, and how the run compares.

use super::panel::{Body, Panel};
use crate::chart::{Chart, Ink, Mark, height_at, number};

/// More points than a hand draws; a link has to stay a link.
const MOST_POINTS: usize = 256;

/// A curve on one panel: points in the units of its axes, from left to right.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    pub panel: String,
    points: Vec<[f32; 2]>,
}

impl Guess {
    /// A curve through the points that are finite, in the order of their x; nothing if none is.
    pub fn new(panel: &str, points: impl IntoIterator<Item = [f32; 2]>) -> Option<Self> {
        let finite = |point: &[f32; 2]| point.iter().all(|number| number.is_finite());
        let mut points: Vec<[f32; 2]> = points.into_iter().filter(finite).take(MOST_POINTS).collect();
        points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        points.dedup_by_key(|point| point[0]);
        (!points.is_empty()).then(|| Self { panel: panel.to_owned(), points })
    }

    /// From `panel:x,y;x,y`, as it stands in a link. What cannot be read is left out.
    pub fn read(text: &str) -> Option<Self> {
        let (panel, points) = text.split_once(':')?;
        let point = |text: &str| {
            let (x, y) = text.split_once(',')?;
            Some([x.trim().parse().ok()?, y.trim().parse().ok()?])
        };
        Self::new(panel, points.split(';').filter_map(point))
    }

    /// The inverse of [`read`](Self::read), to the three digits that a drawing hand has.
    pub fn text(&self) -> String {
        let short = |number: f32| format!("{number:.2e}").parse().unwrap_or(number);
        let points: Vec<String> = self.points.iter().map(|[x, y]| format!("{},{}", short(*x), short(*y))).collect();
        format!("{}:{}", self.panel, points.join(";"))
    }

    pub fn points(&self) -> &[[f32; 2]] {
        &self.points
    }

    /// The height at an x between the first point and the last.
    pub fn at(&self, x: f32) -> Option<f32> {
        height_at(&self.points, x)
    }

    /// Whether nobody has drawn yet.
    pub fn is_flat(&self) -> bool {
        self.points.iter().all(|point| point[1] == self.points[0][1])
    }

    /// Draws from one point to another: what stood between them goes.
    pub fn draw(&mut self, from: [f32; 2], to: [f32; 2]) {
        let (low, high) = (from[0].min(to[0]), from[0].max(to[0]));
        self.points.retain(|[x, _]| !(low..=high).contains(x));
        self.points.push(to);
        if from[0] != to[0] {
            self.points.push(from);
        }
        self.points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        if self.points.len() > MOST_POINTS {
            self.points = crate::chart::thin(&self.points, MOST_POINTS);
        }
    }

    /// The panel with the curve on it. Before the reveal the run's own lines are left out, or nothing would be left to
    /// guess; afterwards the caption says the difference.
    pub fn on(&self, panel: &mut Panel, revealed: bool) {
        let Body::Chart(chart) = &mut panel.body else { return };
        if revealed {
            if let Some(sentence) = self.compare(chart) {
                panel.summary = sentence;
            }
        } else {
            panel.summary = format!(
                "Draw where you think **{}** will go, with the pointer or the arrow keys; then press Play.",
                guessed(chart).map(Mark::name).filter(|name| !name.is_empty()).unwrap_or("the run")
            );
            chart.marks.retain(|mark| !matches!(mark, Mark::Line { .. }) || is_reference(mark));
        }
        chart.marks.push(Mark::line("your guess", Ink::Guess, self.points.iter().copied()));
    }

    /// How far the curve is from the method's line, where both are; the summary of a panel that shows both.
    pub fn compare(&self, chart: &Chart) -> Option<String> {
        let run = guessed(chart)?;
        let Mark::Line { name, points, .. } = run else { return None };
        let pairs: Vec<[f32; 3]> =
            points.iter().filter_map(|&[x, y]| Some([x, y, self.at(x)?])).filter(|[_, y, _]| y.is_finite()).collect();
        let &[last, came, drew] = pairs.last()?;
        let mean = pairs.iter().map(|[_, y, guess]| f64::from(guess - y)).sum::<f64>() / pairs.len() as f64;
        let away = pairs.iter().map(|[_, y, guess]| f64::from((guess - y).abs())).sum::<f64>() / pairs.len() as f64;
        // Unless the curve keeps to one side, "too high" would be said of a mean that hides both.
        let side = match mean {
            mean if mean > 0.8 * away => "too high",
            mean if mean < -0.8 * away => "too low",
            _ => "off",
        };
        let of = if name.is_empty() { "the run" } else { name.as_str() };
        Some(format!(
            "At {} {} {{guess|you drew}} **{}**; {of} came to **{}**. On average you were **{}** {side}.",
            if chart.x.name.is_empty() { "x" } else { chart.x.name.as_str() },
            number(f64::from(last), 3),
            number(f64::from(drew), 2),
            number(f64::from(came), 2),
            number(away, 2),
        ))
    }
}

/// Whether something of a panel can be guessed: it has a line along x.
pub fn can_be_guessed(panel: &Panel) -> bool {
    matches!(&panel.body, Body::Chart(chart) if !chart.plane && guessed(chart).is_some())
}

/// What is guessed: the method's line, or the first there is.
fn guessed(chart: &Chart) -> Option<&Mark> {
    let lines = || chart.marks.iter().filter(|mark| matches!(mark, Mark::Line { .. }) && !is_reference(mark));
    lines().find(|mark| matches!(mark, Mark::Line { ink: Ink::Method, .. })).or_else(|| lines().next())
}

/// What is known before the run and helps to guess.
fn is_reference(mark: &Mark) -> bool {
    matches!(mark, Mark::Line { ink: Ink::Truth | Ink::Data | Ink::Muted | Ink::Guess, .. })
}
