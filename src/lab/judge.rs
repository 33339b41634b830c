//! The paper's claim, judged: settings run to their ends for each seed, and inequalities over what they read out.

use super::{Readouts, Row};

/// A claim with what it needs.
#[derive(Clone, Copy)]
pub struct Experiment {
    /// Unique in its lab.
    pub id: &'static str,
    pub claim: &'static str,
    /// The paper whose method card it judges, by its slug.
    pub paper: &'static str,
    /// Numbered point of that card's "It works when".
    pub point: u32,
    /// What is run, in a sentence for the reader.
    pub how: &'static str,
    /// Runs in every test; at most 20 s on one core.
    pub quick: bool,
    /// `(label, changes of the defaults)`.
    pub runs: &'static [(&'static str, &'static str)],
    pub seeds: &'static [u64],
    pub measures: &'static [Measure],
}

/// One inequality.
#[derive(Clone, Copy)]
pub struct Measure {
    pub name: &'static str,
    /// The figure, from the runs of one seed.
    pub figure: fn(&Outcome) -> f64,
    pub needed: Bound,
    /// What the card asks for, and what it measured with which seeds.
    pub card: Bound,
    pub card_measured: &'static str,
}

impl Measure {
    /// As the card asks for it.
    pub const fn at_least(
        name: &'static str,
        figure: fn(&Outcome) -> f64,
        least: f64,
        card_measured: &'static str,
    ) -> Self {
        Self { name, figure, needed: Bound::AtLeast(least), card: Bound::AtLeast(least), card_measured }
    }

    /// As the card asks for it, of the mean.
    pub const fn mean_at_least(
        name: &'static str,
        figure: fn(&Outcome) -> f64,
        least: f64,
        card_measured: &'static str,
    ) -> Self {
        Self { name, figure, needed: Bound::MeanAtLeast(least), card: Bound::MeanAtLeast(least), card_measured }
    }

    /// As the card asks for it.
    pub const fn at_most(
        name: &'static str,
        figure: fn(&Outcome) -> f64,
        most: f64,
        card_measured: &'static str,
    ) -> Self {
        Self { name, figure, needed: Bound::AtMost(most), card: Bound::AtMost(most), card_measured }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// On the mean of the seeds, where single runs scatter and a card asks for no more.
    MeanAtLeast(f64),
}

impl Bound {
    pub fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtMost(most) => figure <= most,
            Self::AtLeast(least) | Self::MeanAtLeast(least) => figure >= least,
        }
    }

    /// Whether whatever meets this bound meets the other.
    pub fn implies(self, other: Self) -> bool {
        match (self, other) {
            (Self::AtMost(mine), Self::AtMost(theirs)) => mine <= theirs,
            (Self::AtLeast(mine), Self::AtLeast(theirs) | Self::MeanAtLeast(theirs))
            | (Self::MeanAtLeast(mine), Self::MeanAtLeast(theirs)) => mine >= theirs,
            _ => false,
        }
    }

    pub fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::MeanAtLeast(least) => format!("mean ≥ {least}"),
        }
    }
}

/// The runs of one seed.
pub struct Outcome<'a> {
    rows: Vec<(&'a str, &'a Readouts)>,
}

impl Outcome<'_> {
    /// A readout of the run with this label; NaN, which no bound accepts, when it is missing.
    pub fn get(&self, label: &str, key: &str) -> f64 {
        let run = self.rows.iter().find(|(name, _)| *name == label);
        run.and_then(|(_, readouts)| readouts.get(key)).copied().unwrap_or(f64::NAN)
    }
}

/// The figures of one measure, seed by seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub name: &'static str,
    pub needed: Bound,
    /// `(seed, figure)`, for the seeds whose runs are all done.
    pub figures: Vec<(u64, f64)>,
}

impl Judged {
    pub fn held(&self) -> usize {
        self.figures.iter().filter(|(_, figure)| self.needed.holds(*figure)).count()
    }

    /// Whether every seed meets the bound, or their mean, where it is one of that.
    pub fn holds(&self) -> bool {
        match self.needed {
            Bound::MeanAtLeast(_) => self.needed.holds(self.mean()),
            Bound::AtMost(_) | Bound::AtLeast(_) => self.held() == self.figures.len(),
        }
    }

    /// The figure farthest on the wrong side, or nearest to it.
    pub fn worst(&self) -> f64 {
        let figures = self.figures.iter().map(|(_, figure)| *figure);
        match self.needed {
            Bound::AtMost(_) => figures.fold(f64::NEG_INFINITY, f64::max),
            Bound::AtLeast(_) | Bound::MeanAtLeast(_) => figures.fold(f64::INFINITY, f64::min),
        }
    }

    pub fn mean(&self) -> f64 {
        self.figures.iter().map(|(_, figure)| figure).sum::<f64>() / self.figures.len() as f64
    }
}

impl Experiment {
    /// Everything to be run: `(label, query)`, the label naming run and seed.
    pub fn settings(&self) -> Vec<(String, String)> {
        let seeds = self.seeds.iter();
        seeds
            .flat_map(|seed| {
                self.runs.iter().map(move |(label, query)| {
                    let separator = if query.is_empty() { "" } else { "&" };
                    (format!("{label}@{seed}"), format!("{query}{separator}seed={seed}"))
                })
            })
            .collect()
    }

    /// The claim's inequalities over the rows that are done.
    pub fn judge(&self, rows: &[Row]) -> Vec<Judged> {
        let outcomes: Vec<(u64, Outcome)> = self
            .seeds
            .iter()
            .filter_map(|&seed| {
                let of_run = |label: &&'static str| {
                    let full = format!("{label}@{seed}");
                    rows.iter().find(|row| row.label == full).map(|row| (*label, &row.readouts))
                };
                let labels = self.runs.iter().map(|(label, _)| label);
                Some((seed, Outcome { rows: labels.map(of_run).collect::<Option<Vec<_>>>()? }))
            })
            .collect();
        let measure = |measure: &Measure| Judged {
            name: measure.name,
            needed: measure.needed,
            figures: outcomes.iter().map(|(seed, outcome)| (*seed, (measure.figure)(outcome))).collect(),
        };
        self.measures.iter().map(measure).collect()
    }

    /// `Some(true)` when every inequality holds, `None` while runs are missing.
    pub fn verdict(&self, rows: &[Row]) -> Option<bool> {
        let judged = self.judge(rows);
        let complete = judged.iter().all(|measure| measure.figures.len() == self.seeds.len());
        complete.then(|| judged.iter().all(Judged::holds))
    }
}
