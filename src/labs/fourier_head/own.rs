//! Your numbers: a table of the reader's, and what each head makes of it.

use burn::prelude::*;

use super::{Contest, ContestConfig, HeadKind, PAGE, PAPER, Yardstick, bin_line};
use crate::chart::{Axis, Chart, Ink, Mark, number, round_up};
use crate::lab::columns::{Column, read_columns};
use crate::lab::params::FileName;
use crate::lab::{
    Body, Card, Frame, History, Host, Lab, LabError, Offer, Panel, Preset, Readout, State, Status, history_chart,
    tensor,
};
use crate::mech::density_metrics::Roughness;
use crate::mech::value_bins::{bin_center, bin_of};
use crate::seed::Stream;
use crate::{choices, params};

choices! {
    /// A table that comes with the site.
    pub enum Example {
        OldFaithful = "old-faithful", "Old Faithful";
        Wind = "wind", "wind direction";
    }
}

choices! {
    /// After how much a column starts over.
    pub enum Period {
        Known = "known", "the example’s";
        Never = "never", "never";
        Week = "7", "7 days";
        Year = "12", "12 months";
        Day = "24", "24 hours";
        Circle = "360", "360 degrees";
        Turn = "tau", "2π radians";
    }
}

params! {
    pub struct OwnParams {
        /// What is learned while no file is dropped and nothing is pasted.
        data: Example = choice("Data", Example::OldFaithful.value(), Example::OPTIONS),
        /// A table of your own; it stays in this tab. The link holds its name alone.
        file: FileName = file("Your file", 5 << 20, ".csv,.tsv,.txt,text/csv"),
        /// Numbers to learn, one a line, or a small table.
        pasted: String = text("Or paste numbers", "", 4000),
        /// The column whose density is learned, by its name.
        predicted: String = text("Column to predict", "waiting_minutes", 80),
        /// The column that is known; empty for none.
        given: String = text("Given column", "eruption_minutes", 80),
        /// After how much the predicted column starts over, as hours and directions do; its ends then meet.
        period: Period = choice("Repeats after", Period::Known.value(), Period::OPTIONS),
        /// Waves that the Fourier head may add up.
        frequencies: usize = int("Frequencies", 6, 1..=31).symbol("N"),
        /// Where on the given column the density is shown.
        place: Vec<[f32; 2]> = points("Shown at", 1, -1.0..=1.0).view(),
        /// The head with one number for each bin.
        linear: bool = toggle("Linear head", true).view().swatch(Ink::Baseline),
        /// Two bell curves whose centers depend on the given column.
        gaussians: bool = toggle("Two Gaussians", true).view().swatch(Ink::Baseline2),
        /// Size of an optimizer step at the start; it falls along a cosine to a twentieth.
        learning_rate: f64 = real("Learning rate", 0.003, 1e-4..=0.1).symbol("η").step_size(),
        /// Steps of the whole run.
        steps: usize = int("Steps", 1500, 100..=10000).more(),
        /// Rows in a step.
        batch: usize = int("Batch", 64, 8..=4096).more(),
        /// Equal parts that the range of the column is cut into.
        bins: usize = int("Bins", 48, 16..=256).symbol("m").more(),
        /// Neurons in the wider hidden layer.
        width: usize = int("Width", 64, 16..=2048).more(),
        /// The paper's penalty on wiggles.
        gamma: f64 = real("Wiggle penalty", 0.0, 0.0..=1.0).symbol("γ").more(),
        /// The same penalty on the ratios of the coefficients; ours.
        gamma_normalized: f64 = real("Penalty on ratios", 0.0, 0.0..=0.1).symbol("γ′").more(),
        /// What every bin gets at least, before the logarithm.
        epsilon: f64 = real("Floor", 1e-5, 1e-7..=1e-2).symbol("ε").more(),
    }
}

const KINDS: [HeadKind; 3] = [HeadKind::Fourier, HeadKind::Linear, HeadKind::Gaussians(2)];
const EVALUATIONS: u64 = 60;
/// Columns of the map of the conditional density.
const MAP_COLUMNS: usize = 48;
/// The series has period 2, so data that fill [-1, 1] would leak over the edge; the card asks for a margin. A column
/// with a period fills it all.
const REACH: f64 = 0.9;
const SURPRISE: Yardstick = ["nll", "held-out loss", "nats"];
/// Rows that are enough to hold a fifth out and still learn.
const FEWEST_ROWS: usize = 20;

impl Example {
    /// Below the site's root.
    const fn path(self) -> &'static str {
        match self {
            Self::OldFaithful => "data/old-faithful.csv",
            Self::Wind => "data/wind.csv",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::OldFaithful => "Old Faithful, R’s “faithful”",
            Self::Wind => "Wind at Col de la Roa, R’s “circular::wind”",
        }
    }

    const fn period(self) -> Option<f64> {
        match self {
            Self::OldFaithful => None,
            Self::Wind => Some(360.0),
        }
    }
}

impl Period {
    /// In the unit of the column; `known` is that of the example, if one is learned.
    fn length(self, known: Option<f64>) -> Option<f64> {
        match self {
            Self::Known => known,
            Self::Never => None,
            Self::Week => Some(7.0),
            Self::Year => Some(12.0),
            Self::Day => Some(24.0),
            Self::Circle => Some(360.0),
            Self::Turn => Some(std::f64::consts::TAU),
        }
    }
}

/// A column scaled so that its values lie within ±[`REACH`], or its period is [-1, 1].
#[derive(Clone, Debug)]
struct Scale {
    name: String,
    middle: f64,
    /// Scaled units in one unit of the column.
    factor: f64,
    period: Option<f64>,
}

impl Scale {
    fn of(column: &Column, period: Option<f64>) -> Result<Self, LabError> {
        let finite = || column.values.iter().copied().filter(|value| value.is_finite());
        let (low, high) =
            finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low >= high || !low.is_finite() {
            return Err(LabError::data(format!(
                "Every value of “{}” is {low}; there is nothing to learn. Choose another column.",
                column.name
            )));
        }
        let (middle, factor) = match period {
            Some(period) => (period / 2.0, 2.0 / period),
            None => (f64::midpoint(low, high), 2.0 * REACH / (high - low)),
        };
        Ok(Self { name: column.name.clone(), middle, factor, period })
    }

    /// Where a value of the table lies; on a ring that is the rest after whole periods.
    fn place(&self, value: f64) -> f64 {
        self.to_scaled(self.period.map_or(value, |period| value.rem_euclid(period)))
    }

    fn to_scaled(&self, value: f64) -> f64 {
        (value - self.middle) * self.factor
    }

    fn to_units(&self, scaled: f64) -> f64 {
        scaled / self.factor + self.middle
    }

    /// An axis in scaled numbers whose ticks are round numbers of the column.
    fn axis(&self) -> Axis {
        let mut axis = Axis::new(self.name.clone(), -1.0..1.0);
        let (low, high) = (self.to_units(-1.0), self.to_units(1.0));
        let step = match self.period {
            Some(period) if period % 4.0 == 0.0 => period / 4.0,
            _ => round_up((high - low) / 5.0),
        };
        let first = (low / step).ceil() as i64;
        let last = (high / step).floor() as i64;
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        axis.ticks = (first..=last)
            .map(|count| count as f64 * step)
            .map(|value| (self.to_scaled(value), format!("{value:.decimals$}").replace('-', "−")))
            .collect();
        axis
    }
}

pub struct FourierOwn {
    params: OwnParams,
    contest: Contest,
    columns: Vec<Column>,
    source: String,
    y: Scale,
    x: Option<Scale>,
    /// `[x, y]`, scaled; x is 0 when nothing is given.
    trained: Vec<[f32; 2]>,
    held_out: Vec<[f32; 2]>,
    roughness: Roughness,
    /// What each head says at the shown point.
    shown: Vec<Vec<f64>>,
    /// What the Fourier head says from the lowest x to the highest.
    map: Vec<Vec<f64>>,
    rough: Vec<f32>,
}

impl FourierOwn {
    fn at(params: &OwnParams) -> f32 {
        params.place.first().map_or(0.0, |point| point[0])
    }

    fn bin(&self, y: f32) -> usize {
        bin_of(f64::from(y), self.contest.config.bins)
    }

    async fn look(&mut self, params: &OwnParams, host: &Host) -> Result<(), LabError> {
        let mut inputs = vec![if self.x.is_some() { Self::at(params) } else { 0.0 }];
        if self.x.is_some() {
            inputs.extend((0..MAP_COLUMNS).map(|column| bin_center(column, MAP_COLUMNS) as f32));
        }
        let rows = inputs.len();
        let mut said = self.contest.predict(tensor(inputs, [rows, 1], &host.device)).await?;
        self.map = said[0].split_off(1);
        self.shown = said.into_iter().filter_map(|rows| rows.into_iter().next()).collect();
        Ok(())
    }

    async fn evaluate(&mut self, host: &Host) -> Result<(), LabError> {
        let inputs: Vec<f32> = self.held_out.iter().map(|row| row[0]).collect();
        let rows = inputs.len();
        let said = self.contest.predict(tensor(inputs, [rows, 1], &host.device)).await?;
        self.rough.clear();
        for (index, pmfs) in said.iter().enumerate() {
            let surprise: f64 =
                pmfs.iter().zip(&self.held_out).map(|(pmf, row)| -(pmf[self.bin(row[1])] + 1e-10).ln()).sum();
            let step = self.contest.step;
            self.contest.contenders[index].distance.push(step, surprise / rows as f64);
            let rough: Vec<f64> = pmfs.iter().step_by(rows.div_ceil(64)).map(|pmf| self.roughness.of(pmf)).collect();
            self.rough.push((rough.iter().sum::<f64>() / rough.len() as f64) as f32);
        }
        Ok(())
    }

    /// Nats by which a loss over bins differs from minus the log-likelihood of the number itself, in its own unit.
    fn density_nats(&self) -> f64 {
        (self.contest.config.bins as f64 / 2.0 * self.y.factor).ln()
    }

    fn visible<'a>(&'a self, params: &'a OwnParams) -> impl Iterator<Item = (usize, &'a super::Contender)> {
        let all = self.contest.contenders.iter().enumerate().rev();
        all.filter(|(_, contender)| match contender.kind {
            HeadKind::Linear => params.linear,
            HeadKind::Gaussians(_) => params.gaussians,
            HeadKind::Fourier | HeadKind::Regression => true,
        })
    }

    fn density_panel(&self, params: &OwnParams) -> Panel {
        let bins = self.contest.config.bins;
        let at = Self::at(params);
        // Rows near the shown place, so that there is something to hold the curves against.
        let near =
            self.trained.iter().chain(&self.held_out).filter(|row| self.x.is_none() || (row[0] - at).abs() < 0.15);
        let mut counts = vec![0.0_f32; bins];
        near.for_each(|row| counts[self.bin(row[1])] += 1.0);
        let total: f32 = counts.iter().sum::<f32>().max(1.0);
        let heights: Vec<f32> = counts.iter().map(|count| count / total).collect();
        let tallest = self.shown.iter().flatten().copied().chain(heights.iter().map(|&height| f64::from(height)));
        let y = Axis::from_zero("probability of a bin", tallest.fold(0.0, f64::max));
        let name = if self.x.is_some() { format!("{total:.0} rows near by") } else { format!("{total:.0} rows") };
        let mut marks = vec![Mark::Bars { name, ink: Ink::Data, from: -1.0, to: 1.0, heights }];
        for (index, contender) in self.visible(params) {
            marks.push(bin_line(contender.kind.label(), contender.kind.ink(), &self.shown[index]));
        }
        let chart = Chart::new(self.y.axis(), y, marks);
        let peak = self.shown[0].iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(bin, _)| bin);
        let peak = number(self.y.to_units(bin_center(peak, bins)), 3);
        let said = match &self.x {
            Some(x) => format!(
                "Where {} falls when {} is **{}**. The {{method|Fourier head}} expects most near **{peak}**.",
                self.y.name,
                x.name,
                number(x.to_units(f64::from(at)), 3)
            ),
            None => {
                format!("Where {} falls. The {{method|Fourier head}} expects most near **{peak}**.", self.y.name)
            }
        };
        Panel::new("density", "What each head says", said, 4, Body::Chart(chart))
    }

    fn map_panel(&self, params: &OwnParams) -> Option<Panel> {
        let x = self.x.as_ref()?;
        let bins = self.contest.config.bins;
        let top = self.map.iter().flatten().copied().fold(1e-9, f64::max);
        let values = (0..bins).flat_map(|bin| self.map.iter().map(move |pmf| (pmf[bin] / top) as f32)).collect();
        let heat = Mark::Heat {
            name: "share of the likeliest".to_owned(),
            signed: false,
            rows: bins,
            columns: MAP_COLUMNS,
            x: [-1.0, 1.0],
            y: [-1.0, 1.0],
            values,
        };
        let rows = self.trained.iter().chain(&self.held_out).take(1000).copied().collect();
        let marks = vec![
            heat,
            Mark::Dots { name: "rows".to_owned(), ink: Ink::Truth, points: rows },
            Mark::Handles {
                name: "shown".to_owned(),
                ink: Ink::Method,
                first: 0,
                points: vec![[Self::at(params), -0.95]],
            },
        ];
        let chart = Chart::new(x.axis(), self.y.axis(), marks);
        let said = "The rows, and what the {method|Fourier head} expects at every place; the stronger the color, the likelier. Drag the ring to ask elsewhere.";
        Some(Panel::new("map", "The whole picture", said, 2, Body::Chart(chart)).edits("place"))
    }

    fn curves(&self, params: &OwnParams) -> [Panel; 2] {
        let line = |history: &History, kind: HeadKind| history.line(kind.label(), kind.ink());
        let test = self.visible(params).map(|(_, contender)| line(&contender.distance, contender.kind)).collect();
        let loss = self.visible(params).map(|(_, contender)| line(&contender.loss, contender.kind)).collect();
        let steps = params.steps as u64;
        let linear = &self.contest.contenders[1].distance;
        let said = match linear.past_its_best(|least| least + 0.05) {
            Some([at, _]) => {
                format!("{{baseline|Linear}} was best at step **{at}**; since then it learns the rows by heart.")
            }
            None => format!("On **{}** rows that no head was trained on.", self.held_out.len()),
        };
        [
            Panel::new(
                "distance",
                "Loss on held-out rows",
                said,
                3,
                Body::Chart(history_chart("held-out loss, nats", steps, test)),
            ),
            Panel::new(
                "loss",
                "Loss in training",
                "What the heads are trained on.",
                3,
                Body::Chart(history_chart("loss on the batch, nats", steps, loss)),
            ),
        ]
    }

    fn readouts_panel(&self) -> Panel {
        let mut list = Vec::new();
        for (contender, &rough) in self.contest.contenders.iter().zip(&self.rough) {
            let row = contender.row(SURPRISE, f64::from(rough));
            let mut readouts = row.readouts();
            let likelihood = self.density_nats() - contender.distance.last();
            readouts.insert(1, row.read("log_likelihood", "held-out log-likelihood", "nats a number", likelihood));
            list.extend(readouts);
        }
        let guess = (self.contest.config.bins as f64).ln();
        list.push(Readout::new("nll_guess", "Knowing nothing", Ink::Truth, SURPRISE[1], SURPRISE[2], guess));
        let said = format!(
            "{}: **{}** rows, a fifth held out; **{}** is predicted{}.{} Log-likelihood: higher is better; it counts the column's own unit.",
            self.source,
            self.trained.len() + self.held_out.len(),
            self.y.name,
            self.x.as_ref().map_or(String::new(), |x| format!(", given **{}**", x.name)),
            self.unknown()
        );
        Panel::new("readouts", "The heads in numbers", said, 6, Body::Readouts(list))
    }

    /// What is said of names that no column has.
    fn unknown(&self) -> String {
        let asked = [&self.params.predicted, &self.params.given].into_iter();
        let missing = asked.filter(|name| !name.is_empty() && self.columns.iter().all(|column| column.name != **name));
        missing.map(|name| format!(" There is no column “{name}”.")).collect()
    }

    /// One link for each pair of columns worth a look.
    fn offers(&self) -> Vec<Offer> {
        let names: Vec<&str> = self.columns.iter().take(6).map(|column| column.name.as_str()).collect();
        let link = |predicted: &str, given: &str| {
            let encode = crate::lab::params::encode;
            format!("predicted={}&given={}&place=", encode(predicted), encode(given))
        };
        let alone = names.iter().map(|name| Offer { label: format!("{name} alone"), query: link(name, "") });
        let pairs = names.iter().flat_map(|predicted| {
            let others = names.iter().filter(move |given| *given != predicted);
            others
                .map(move |given| Offer { label: format!("{predicted} given {given}"), query: link(predicted, given) })
        });
        alone.chain(pairs).take(12).collect()
    }
}

impl Lab for FourierOwn {
    const CARD: Card = Card {
        slug: "fourier-head-own",
        title: "Your numbers",
        hook: "What shape do your own numbers have?",
        page: PAGE,
        papers: &[PAPER],
        chance: true,
        presets: &[
            Preset { label: "Old Faithful", query: "" },
            Preset { label: "Waiting time alone", query: "given=" },
            Preset {
                label: "Wind direction",
                query: "data=wind&predicted=wind_degrees&given=wind_before_degrees&place=-0.85,0",
            },
            Preset { label: "Wind alone", query: "data=wind&predicted=wind_degrees&given=" },
            Preset { label: "Two waves", query: "frequencies=2" },
            Preset { label: "Too many waves", query: "frequencies=23" },
            Preset { label: "Sized for a GPU", query: "width=2048&batch=4096" },
        ],
        experiments: &[],
        batches: &[],
    };
    type Params = OwnParams;

    async fn start(params: &OwnParams, host: &Host) -> Result<Self, LabError> {
        let example = params.data;
        let (bytes, source, known) = match host.given("file", &params.file)? {
            Some(bytes) => (bytes, params.file.0.clone(), None),
            None if !params.pasted.trim().is_empty() => {
                (params.pasted.as_bytes().into(), "Pasted numbers".to_owned(), None)
            }
            None => (host.asset(example.path()).await?.into(), example.source().to_owned(), example.period()),
        };
        let columns = read_columns(&bytes)?;
        let named = |name: &str| columns.iter().position(|column| column.name == name);
        let predicted = named(&params.predicted).unwrap_or(columns.len() - 1);
        let given = match params.given.as_str() {
            "" => None,
            name => named(name).or_else(|| (0..columns.len()).find(|&index| index != predicted)),
        };
        let given = given.filter(|&given| given != predicted);
        let y = Scale::of(&columns[predicted], params.period.length(known))?;
        // The network takes a number and has ends of its own, so the given column keeps its margin.
        let x = given.map(|given| Scale::of(&columns[given], None)).transpose()?;
        let rows: Vec<[f32; 2]> = (0..columns[predicted].values.len())
            .map(|row| {
                let given = given.zip(x.as_ref()).map_or(0.0, |(given, x)| x.place(columns[given].values[row]));
                [given as f32, y.place(columns[predicted].values[row]) as f32]
            })
            .filter(|row| row.iter().all(|value| value.is_finite()))
            .collect();
        if rows.len() < FEWEST_ROWS {
            return Err(LabError::data(format!(
                "Only {} rows have a number in every chosen column; {FEWEST_ROWS} are the least.",
                rows.len()
            )));
        }
        let order = Stream::new(params.seed, "data").permutation(rows.len());
        let mut shuffled: Vec<[f32; 2]> = order.into_iter().map(|index| rows[index]).collect();
        let held_out = shuffled.split_off(rows.len() - rows.len() / 5);
        let config = ContestConfig {
            widths: vec![1, params.width, params.width / 2],
            embeds: false,
            bins: params.bins,
            frequencies: params.frequencies.min((params.bins - 1) / 2),
            epsilon: params.epsilon,
            uniform_start: false,
            learning_rate: params.learning_rate,
            steps: params.steps as u64,
            gamma: params.gamma,
            gamma_normalized: params.gamma_normalized,
            seed: params.seed,
        };
        let mut lab = Self {
            params: params.clone(),
            contest: Contest::new(config, &KINDS, &host.device),
            columns,
            source,
            y,
            x,
            trained: shuffled,
            held_out,
            roughness: Roughness::new(params.bins),
            shown: Vec::new(),
            map: Vec::new(),
            rough: Vec::new(),
        };
        lab.look(params, host).await?;
        lab.evaluate(host).await?;
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        let device = host.device.clone().autodiff();
        let mut stream = Stream::at(self.params.seed, "batch", self.contest.step);
        let rows: Vec<[f32; 2]> =
            (0..self.params.batch).map(|_| self.trained[stream.below(self.trained.len())]).collect();
        let target: Vec<i32> = rows.iter().map(|row| self.bin(row[1]) as i32).collect();
        let input = tensor(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), [rows.len(), 1], &device);
        let target = Tensor::<1, Int>::from_data(TensorData::new(target, [rows.len()]), &device);
        self.contest.step(input, target).await?;
        let (step, steps) = (self.contest.step, self.params.steps as u64);
        if step.is_multiple_of(steps.div_ceil(EVALUATIONS)) || step >= steps {
            self.evaluate(host).await?;
            let params = self.params.clone();
            self.look(&params, host).await?;
        }
        Ok(if step >= steps { Status::Done } else { Status::Running })
    }

    async fn settle(&mut self) -> Result<(), LabError> {
        self.contest.settle().await
    }

    async fn change(&mut self, params: &OwnParams, host: &Host) -> Result<(), LabError> {
        self.params = params.clone();
        self.look(params, host).await
    }

    fn frame(&self, params: &OwnParams) -> Frame {
        let [test, loss] = self.curves(params);
        let mut panels = vec![self.density_panel(params)];
        panels.extend(self.map_panel(params));
        panels.extend([test, loss, self.readouts_panel()]);
        Frame { step: self.contest.step, of: Some(params.steps as u64), panels, offers: self.offers() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.contest.step);
        self.contest.save(&mut state).await?;
        let rounded =
            |pmfs: &[Vec<f64>]| pmfs.iter().map(|pmf| pmf.iter().map(|&share| share as f32).collect()).collect();
        state.put("shown", rounded(&self.shown));
        state.put("map", rounded(&self.map));
        state.put("rough", vec![self.rough.clone()]);
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        self.contest.restore(state)?;
        let exact =
            |pmfs: &[Vec<f32>]| pmfs.iter().map(|pmf| pmf.iter().map(|&share| f64::from(share)).collect()).collect();
        self.shown = exact(state.get("shown")?);
        self.map = exact(state.get("map")?);
        self.rough = state.get("rough")?.first().cloned().unwrap_or_default();
        Ok(())
    }
}
