//! Tiny forecaster: the next value of a noisy wave, as a distribution over 64 bins.

use burn::prelude::*;

use super::{Contest, ContestConfig, HeadKind, PAGE, PAPER, Yardstick, bin_line};
use crate::chart::{Axis, Chart, Ink, Mark};
use crate::lab::{
    Body, Bound, Card, Experiment, Frame, History, Host, Lab, LabError, Measure, Panel, Preset, Readout, State, Status,
    history_chart, tensor,
};
use crate::mech::density_metrics::Roughness;
use crate::mech::toy_densities::normalized;
use crate::mech::value_bins::{MixedRange, ValueBins, bin_center};
use crate::seed::Stream;
use crate::{choices, params};

choices! {
    pub enum Spacing {
        Uniform = "uniform", "all equal";
        Mixed = "mixed", "wide outside";
    }
}

choices! {
    pub enum Shown {
        Fourier = "fourier", "Fourier";
        Linear = "linear", "linear";
    }
}

const BINS: usize = 64;
const CONTEXT: usize = 24;
const LENGTH: usize = 120;
const TEST_SERIES: usize = 40;
/// Evaluations on the test series in a run.
const EVALUATIONS: u64 = 40;
/// Where the mixed bins are narrow, with the paper's share of wide ones.
const RANGE: MixedRange = MixedRange { low: -1.0, middle_low: -0.6, middle_high: 0.6, high: 1.0, sparse: 0.2 };
const SURPRISE: Yardstick = ["nll", "test loss", "nats"];

params! {
    pub struct SeriesParams {
        /// Series that the heads learn from.
        series: usize = int("Training series", 8, 1..=64).symbol("n"),
        /// Waves that the Fourier head may add up.
        frequencies: usize = int("Frequencies", 8, 1..=31).symbol("N"),
        /// The test series that is shown.
        shown: usize = int("Test series shown", 0, 0..=39).view(),
        /// Whose forecast is drawn over time.
        forecaster: Shown = choice("Forecast of", Shown::Fourier.value(), Shown::OPTIONS).view(),
        /// The moment whose forecast is drawn bin by bin.
        moment: usize = int("Moment", 60, 24..=119).view(),
        /// Lets one value in twenty jump far out.
        heavy_tails: bool = toggle("Heavy tails", false),
        /// How the values are cut into bins: all equal, or wide ones outside and narrow ones inside, as in Chronos.
        spacing: Spacing = choice("Bins", Spacing::Uniform.value(), Spacing::OPTIONS),
        /// Size of an optimizer step at the start; it falls along a cosine to a twentieth.
        learning_rate: f64 = real("Learning rate", 0.003, 1e-4..=0.1).symbol("η").step_size(),
        /// Steps of the whole run.
        steps: usize = int("Steps", 1200, 100..=10000).more(),
        /// Moments in a step.
        batch: usize = int("Batch", 128, 8..=4096).more(),
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

pub struct FourierSeries {
    params: SeriesParams,
    contest: Contest,
    bins: ValueBins,
    training: Vec<Wave>,
    test: Vec<Wave>,
    roughness: Roughness,
    /// Forecasts of each head for the shown series, moment by moment from the end of the first context.
    forecasts: Vec<Vec<Vec<f64>>>,
    /// Mean roughness of the forecasts for all test series.
    rough: Vec<f32>,
}

impl FourierSeries {
    /// Contexts of a series and the bins of the values that follow them.
    fn windows(&self, series: &[f32]) -> (Vec<f32>, Vec<usize>) {
        let contexts = series.windows(CONTEXT).take(series.len() - CONTEXT).flatten().copied().collect();
        (contexts, series[CONTEXT..].iter().map(|&value| self.bins.bin(f64::from(value))).collect())
    }

    async fn forecast(&mut self, params: &SeriesParams, host: &Host) -> Result<(), LabError> {
        let (contexts, targets) = self.windows(&self.test[params.shown].values);
        self.forecasts = self.contest.predict(tensor(contexts, [targets.len(), CONTEXT], &host.device)).await?;
        Ok(())
    }

    async fn evaluate(&mut self, host: &Host) -> Result<(), LabError> {
        let (mut contexts, mut targets) = (Vec::new(), Vec::new());
        for series in &self.test {
            let (context, target) = self.windows(&series.values);
            contexts.extend(context);
            targets.extend(target);
        }
        let said = self.contest.predict(tensor(contexts, [targets.len(), CONTEXT], &host.device)).await?;
        self.rough.clear();
        for (contender, pmfs) in self.contest.contenders.iter_mut().zip(&said) {
            let surprise: f64 = pmfs.iter().zip(&targets).map(|(pmf, &target)| -(pmf[target] + 1e-10).ln()).sum();
            contender.distance.push(self.contest.step, surprise / targets.len() as f64);
            // Every eighth moment is plenty for a mean.
            let rough: Vec<f64> = pmfs.iter().step_by(8).map(|pmf| self.roughness.of(pmf)).collect();
            self.rough.push((rough.iter().sum::<f64>() / rough.len() as f64) as f32);
        }
        Ok(())
    }

    fn fan_panel(&self, params: &SeriesParams) -> Panel {
        let head = params.forecaster as usize;
        let kind = self.contest.contenders[head].kind;
        let curve = |share: f64| -> Vec<[f32; 2]> {
            let values = self.forecasts[head].iter().map(|pmf| quantile(&self.bins, pmf, share) as f32);
            values.enumerate().map(|(index, value)| [(CONTEXT + index) as f32, value]).collect()
        };
        let band = |name: &str, low: f64, high: f64| {
            let points = curve(low).into_iter().zip(curve(high)).map(|(low, high)| [low[0], low[1], high[1]]);
            Mark::Band { name: name.to_owned(), ink: kind.ink(), points: points.collect() }
        };
        let series = &self.test[params.shown].values;
        let points = series.iter().enumerate().map(|(moment, &value)| [moment as f32, value]);
        let marks = vec![
            band("80 % of its belief", 0.1, 0.9),
            band("half of its belief", 0.25, 0.75),
            Mark::line("the series", Ink::Truth, points),
            Mark::line("median", kind.ink(), curve(0.5)),
            Mark::Moment { name: format!("moment {}", params.moment), x: params.moment as f32 },
        ];
        let chart = Chart::new(Axis::new("moment", 0.0..LENGTH as f64), Axis::new("value", -1.0..1.0), marks);
        let inside = self.forecasts[head].iter().zip(&series[CONTEXT..]).filter(|(pmf, value)| {
            let value = f64::from(**value);
            (quantile(&self.bins, pmf, 0.1)..=quantile(&self.bins, pmf, 0.9)).contains(&value)
        });
        let said = format!(
            "What the {} expects next, from the {CONTEXT} values before. Its 80 % band holds **{:.0} %** of this series.",
            kind.name(),
            100.0 * inside.count() as f64 / self.forecasts[head].len() as f64
        );
        Panel::new("fan", "A forecast over time", said, 4, Body::Chart(chart))
    }

    fn moment_panel(&self, params: &SeriesParams) -> Panel {
        let index = params.moment - CONTEXT;
        let heads = self.contest.contenders.iter().zip(&self.forecasts).rev();
        let mut marks: Vec<Mark> = heads
            .map(|(contender, pmfs)| bin_line(contender.kind.label(), contender.kind.ink(), &pmfs[index]))
            .collect();
        let wave = &self.test[params.shown];
        let truth = wave.truth(params.moment, &self.bins);
        let came = wave.values[params.moment];
        let bin = self.bins.bin(f64::from(came));
        marks.insert(0, bin_line("truth", Ink::Truth, &truth));
        marks.push(Mark::Moment { name: "what came".to_owned(), x: bin_center(bin, BINS) as f32 });
        let tallest = truth.iter().chain(&self.forecasts[0][index]).copied().fold(0.0, f64::max);
        let mut x = Axis::new("value", -1.0..1.0);
        x.ticks = [0, BINS / 4, BINS / 2, 3 * BINS / 4, BINS - 1]
            .map(|bin| (bin_center(bin, BINS), format!("{:.2}", self.bins.center(bin)).replace('-', "−")))
            .to_vec();
        let chart = Chart::new(x, Axis::from_zero("probability of a bin", tallest), marks);
        let said = format!(
            "The forecasts for moment **{}**. The wave goes up or down by a fixed amount at random, so the {{truth|truth}} has two bumps.",
            params.moment
        );
        Panel::new("moment", "One moment", said, 2, Body::Chart(chart))
    }

    fn heat_panel(&self, params: &SeriesParams) -> Panel {
        let head = params.forecaster as usize;
        let kind = self.contest.contenders[head].kind;
        let pmfs = &self.forecasts[head];
        let top = pmfs.iter().flatten().copied().fold(1e-9, f64::max);
        let values = (0..BINS).flat_map(|bin| pmfs.iter().map(move |pmf| (pmf[bin] / top) as f32)).collect();
        let heat = Mark::Heat {
            name: "share of the likeliest".to_owned(),
            signed: false,
            rows: BINS,
            columns: pmfs.len(),
            x: [CONTEXT as f32, LENGTH as f32],
            y: [0.0, BINS as f32],
            values,
        };
        let x = Axis::new("moment", CONTEXT as f64..LENGTH as f64);
        let chart = Chart::new(x, Axis::new("bin", 0.0..BINS as f64), vec![heat]);
        let said =
            format!("All forecasts of the {}, one column a moment: the stronger the color, the likelier.", kind.name());
        Panel::new("heat", "Every forecast", said, 2, Body::Chart(chart))
    }

    fn curves(&self, params: &SeriesParams) -> [Panel; 2] {
        let contenders = || self.contest.contenders.iter().rev();
        let line = |history: &History, kind: HeadKind| history.line(kind.label(), kind.ink());
        let test = contenders().map(|contender| line(&contender.distance, contender.kind)).collect();
        let loss = contenders().map(|contender| line(&contender.loss, contender.kind)).collect();
        let steps = params.steps as u64;
        let past = |head: usize| self.contest.contenders[head].distance.past_its_best(|least| least + 0.3);
        let said = match (past(1), past(0)) {
            (Some([at, least]), fourier) => {
                let both = if fourier.is_some() { " So does the {method|Fourier head}, less." } else { "" };
                format!(
                    "{{baseline|Linear}} was best at step **{at}**, at {least:.2}; since then it learns the {} series by heart.{both}",
                    params.series
                )
            }
            _ => "How surprised each head is by series that it never saw.".to_owned(),
        };
        [
            Panel::new(
                "distance",
                "Loss on new series",
                said,
                2,
                Body::Chart(history_chart("test loss, nats", steps, test)),
            ),
            Panel::new(
                "loss",
                "Loss in training",
                "What the heads are trained on.",
                2,
                Body::Chart(history_chart("loss on the batch, nats", steps, loss)),
            ),
        ]
    }

    fn readouts_panel(&self) -> Panel {
        let mut list = Vec::new();
        for (contender, &rough) in self.contest.contenders.iter().zip(&self.rough) {
            let row = contender.row(SURPRISE, f64::from(rough));
            let mut readouts = row.readouts();
            let least = contender.distance.least().map_or(f64::NAN, |[_, least]| f64::from(least));
            readouts.insert(1, row.read("best_nll", "at its best", "nats", least));
            list.extend(readouts);
        }
        let guess = (BINS as f64).ln();
        list.push(Readout::new("nll_guess", "Knowing nothing", Ink::Truth, SURPRISE[1], SURPRISE[2], guess));
        let lost = self.contest.contenders.iter().filter(|contender| contender.distance.last() > guess);
        let lost: String =
            lost.map(|contender| format!(" The {} is worse than knowing nothing.", contender.kind.name())).collect();
        let said = format!("On {TEST_SERIES} series that no head was trained on. Roughness: lower is smoother.{lost}");
        Panel::new("readouts", "The heads in numbers", said, 6, Body::Readouts(list))
    }
}

impl Lab for FourierSeries {
    const CARD: Card = Card {
        slug: "fourier-head-series",
        title: "Tiny forecaster",
        hook: "Can a forecaster see two futures?",
        page: PAGE,
        papers: &[PAPER],
        chance: true,
        presets: &[
            Preset { label: "8 series", query: "" },
            Preset { label: "32 series", query: "series=32" },
            Preset { label: "One series", query: "series=1" },
            Preset { label: "Heavy tails", query: "heavy_tails=true" },
            Preset { label: "Heavy tails, mixed bins", query: "heavy_tails=true&spacing=mixed" },
            Preset { label: "Sized for a GPU", query: "width=2048&batch=4096&series=64" },
        ],
        experiments: &[Experiment {
            id: "new-series",
            claim: "Trained on 8 series, the Fourier head forecasts new ones better than the linear head at its best",
            paper: "fourier-head",
            point: 9,
            how: "8 training series, 1,200 steps, N = 8; the loss on 40 new series, where it was least.",
            quick: true,
            runs: &[("8", "")],
            seeds: &[1, 2, 3],
            measures: &[Measure {
                name: "best test loss, Fourier − linear",
                figure: |runs| runs.get("8", "best_nll_fourier") - runs.get("8", "best_nll_linear"),
                needed: Bound::AtMost(-0.05),
                card: Bound::AtMost(-0.05),
                card_measured: "3.197 − 3.363 (seeds 1, 2, 3)",
            }],
        }],
        batches: &[],
    };
    type Params = SeriesParams;

    async fn start(params: &SeriesParams, host: &Host) -> Result<Self, LabError> {
        let draw = |stream: &mut Stream| Wave::draw(stream, params.heavy_tails);
        let mut data = Stream::new(params.seed, "data");
        let training = (0..params.series).map(|_| draw(&mut data)).collect();
        let mut unseen = Stream::new(params.seed, "eval");
        let test = (0..TEST_SERIES).map(|_| draw(&mut unseen)).collect();
        let config = ContestConfig {
            widths: vec![CONTEXT, params.width, params.width * 3 / 4],
            embeds: false,
            bins: BINS,
            frequencies: params.frequencies,
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
            contest: Contest::new(config, &[HeadKind::Fourier, HeadKind::Linear], &host.device),
            bins: match params.spacing {
                Spacing::Uniform => ValueBins::uniform(-1.0, 1.0, BINS),
                Spacing::Mixed => ValueBins::mixed(RANGE, BINS),
            },
            training,
            test,
            roughness: Roughness::new(BINS),
            forecasts: Vec::new(),
            rough: Vec::new(),
        };
        lab.forecast(params, host).await?;
        lab.evaluate(host).await?;
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        let device = host.device.clone().autodiff();
        let mut stream = Stream::at(self.params.seed, "batch", self.contest.step);
        let (mut input, mut target) = (Vec::new(), Vec::new());
        for _ in 0..self.params.batch {
            let series = &self.training[stream.below(self.training.len())].values;
            let start = stream.below(LENGTH - CONTEXT);
            input.extend_from_slice(&series[start..start + CONTEXT]);
            target.push(self.bins.bin(f64::from(series[start + CONTEXT])) as i32);
        }
        let input = tensor(input, [self.params.batch, CONTEXT], &device);
        let target = Tensor::<1, Int>::from_data(TensorData::new(target, [self.params.batch]), &device);
        self.contest.step(input, target).await?;
        let (step, steps) = (self.contest.step, self.params.steps as u64);
        if step.is_multiple_of(steps.div_ceil(EVALUATIONS)) || step >= steps {
            self.evaluate(host).await?;
            let params = self.params.clone();
            self.forecast(&params, host).await?;
        }
        Ok(if step >= steps { Status::Done } else { Status::Running })
    }

    async fn settle(&mut self) -> Result<(), LabError> {
        self.contest.settle().await
    }

    async fn change(&mut self, params: &SeriesParams, host: &Host) -> Result<(), LabError> {
        self.params = params.clone();
        self.forecast(params, host).await
    }

    fn frame(&self, params: &SeriesParams) -> Frame {
        let [test, loss] = self.curves(params);
        let panels = vec![
            self.fan_panel(params),
            self.moment_panel(params),
            self.heat_panel(params),
            test,
            loss,
            self.readouts_panel(),
        ];
        Frame { step: self.contest.step, of: Some(params.steps as u64), panels, offers: vec![] }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.contest.step);
        self.contest.save(&mut state).await?;
        state.put("rough", vec![self.rough.clone()]);
        for (contender, pmfs) in self.contest.contenders.iter().zip(&self.forecasts) {
            let rounded = pmfs.iter().map(|pmf| pmf.iter().map(|&share| share as f32).collect());
            state.put(&format!("{}, forecasts", contender.kind.key()), rounded.collect());
        }
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        self.contest.restore(state)?;
        self.rough = state.get("rough")?.first().cloned().unwrap_or_default();
        for (contender, pmfs) in self.contest.contenders.iter().zip(&mut self.forecasts) {
            let forecasts = state.get(&format!("{}, forecasts", contender.kind.key()))?;
            *pmfs = forecasts.iter().map(|pmf| pmf.iter().map(|&share| f64::from(share)).collect()).collect();
        }
        Ok(())
    }
}

/// Half of the jump up or down, and the deviation of the shaking, as they are after the values are halved.
const SIDE: f64 = 0.125;
const SHAKE: f64 = 0.025;

/// A noisy wave, and the middle of what it could have been at each moment.
struct Wave {
    values: Vec<f32>,
    middles: Vec<f64>,
}

impl Wave {
    /// A sine of random period, size and phase; each value goes up or down by a fixed amount, and shakes a little.
    fn draw(stream: &mut Stream, heavy_tails: bool) -> Self {
        let period = stream.uniform(8.0, 20.0);
        let size = stream.uniform(0.5, 1.0);
        let phase = stream.uniform(0.0, std::f64::consts::TAU);
        let middle = |moment: usize| size * libm::sin(std::f64::consts::TAU * moment as f64 / period + phase) / 2.0;
        let middles: Vec<f64> = (0..LENGTH).map(middle).collect();
        let values = middles.iter().map(|middle| {
            let side = if stream.unit() < 0.5 { -SIDE } else { SIDE };
            let jump = if heavy_tails && stream.unit() < 0.05 { stream.normal(0.0, 0.8) } else { 0.0 };
            (middle + side + stream.normal(0.0, SHAKE) + jump).clamp(-0.999, 0.999) as f32
        });
        Self { values: values.collect(), middles }
    }

    /// How likely each bin is at a moment, for whoever knows the wave.
    fn truth(&self, moment: usize, bins: &ValueBins) -> Vec<f64> {
        let bump = |value: f64, middle: f64| libm::exp(-0.5 * ((value - middle) / SHAKE) * ((value - middle) / SHAKE));
        let middle = self.middles[moment];
        let share = |bin: usize| {
            let center = bins.center(bin);
            bins.width(bin) * (bump(center, middle - SIDE) + bump(center, middle + SIDE))
        };
        normalized((0..bins.count()).map(share).collect())
    }
}

/// The value below which this share of a distribution lies.
fn quantile(bins: &ValueBins, pmf: &[f64], share: f64) -> f64 {
    let mut below = 0.0;
    for (bin, &inside) in pmf.iter().enumerate() {
        if below + inside >= share {
            let part = if inside > 0.0 { (share - below) / inside } else { 0.5 };
            return bins.edges()[bin] + part * bins.width(bin);
        }
        below += inside;
    }
    bins.edges()[bins.count()]
}
