//! Three heads, one network: a conditional density over 50 bins, learned from samples.

use burn::prelude::*;

use super::{Contest, ContestConfig, DIVERGENCE, HeadKind, PAGE, PAPER, bin_line};
use crate::chart::{Axis, Chart, Ink, Mark, number};
use crate::lab::{
    BatchSpec, Body, Bound, Card, Experiment, Frame, Host, Lab, LabError, Measure, Outcome, Panel, Preset, Readout,
    Row, State, Status, Values, history_chart, tensor,
};
use crate::mech::density_metrics::{Roughness, kl_divergence, mean_bin, mode_bin, squared_error};
use crate::mech::toy_densities::{ConditionalDensity, Example};
use crate::mech::value_bins::{bin_center, bin_of};
use crate::seed::Stream;
use crate::{choices, params};

choices! {
    pub enum DataSet {
        Gaussian = "gaussian", "one bump";
        TwoGaussians = "gmm2", "two bumps";
        Beta = "beta", "beta";
    }
}

params! {
    pub struct HeadsParams {
        /// How w depends on u and v: a bump at v, a bump at each, or a beta density mirrored about zero.
        data: DataSet = choice("Data", DataSet::TwoGaussians.value(), DataSet::OPTIONS),
        /// Samples of (u, v, w); four fifths are trained on.
        samples: usize = int("Samples", 1250, 250..=5000).symbol("n"),
        /// Waves that the Fourier head may add up.
        frequencies: usize = int("Frequencies", 8, 1..=24).symbol("N"),
        /// Renames the bins at random, for samples and truth alike: neighbors are no longer alike.
        shuffle: bool = toggle("Shuffle the bins", false),
        /// The point (u, v) whose density is shown.
        point: Vec<[f32; 2]> = points("Shown at (u, v)", 1, -0.8..=0.8).view(),
        /// The head with one number for each bin.
        linear: bool = toggle("Linear head", true).view().swatch(Ink::Baseline),
        /// Bell curves whose centers depend on (u, v): one for one bump, two otherwise.
        gaussians: bool = toggle("Gaussian head", false).view().swatch(Ink::Baseline2),
        /// Predicts one number and no distribution.
        regression: bool = toggle("Regression", false).view().swatch(Ink::Muted),
        /// The density that the samples come from.
        truth: bool = toggle("Show the truth", true).view().swatch(Ink::Truth),
        /// Size of an optimizer step at the start; it falls along a cosine to a twentieth.
        learning_rate: f64 = real("Learning rate", 0.003, 1e-4..=0.1).symbol("η").step_size(),
        /// Steps of the whole run.
        steps: usize = int("Steps", 3000, 100..=20000).more(),
        /// Samples in a step.
        batch: usize = int("Batch", 128, 8..=4096).more(),
        /// The paper's penalty on wiggles. A net can dodge it by shrinking all its numbers.
        gamma: f64 = real("Wiggle penalty", 0.0, 0.0..=1.0).symbol("γ").more(),
        /// The same penalty on the ratios of the coefficients, which cannot be dodged; ours.
        gamma_normalized: f64 = real("Penalty on ratios", 0.0, 0.0..=0.1).symbol("γ′").more(),
        /// Half of the number of bins, which must be even for the beta data.
        half_bins: usize = int("Half the bins", 25, 8..=64).more(),
        /// Neurons in the wider hidden layer; the paper's toy has 64, a GPU wants more.
        width: usize = int("Width", 64, 16..=2048).more(),
        /// What every bin gets at least, before the logarithm.
        epsilon: f64 = real("Floor", 1e-5, 1e-7..=1e-2).symbol("ε").more(),
        /// Starts from a flat density instead of a random one; ours.
        uniform_start: bool = toggle("Uniform start", false).more(),
    }
}

/// Evaluations on the held-out samples in a run.
const EVALUATIONS: u64 = 60;
/// Steps between two looks at the shown point.
const LOOK_EVERY: u64 = 5;
const KINDS: [fn(DataSet) -> HeadKind; 4] = [
    |_| HeadKind::Fourier,
    |_| HeadKind::Linear,
    |data| HeadKind::Gaussians(if data == DataSet::Gaussian { 1 } else { 2 }),
    |_| HeadKind::Regression,
];

pub struct FourierHeads {
    params: HeadsParams,
    contest: Contest,
    inputs: Vec<[f32; 2]>,
    targets: Vec<usize>,
    /// Held-out inputs, their truths and their bins.
    held_out: Vec<[f32; 2]>,
    truths: Vec<Vec<f64>>,
    labels: Vec<usize>,
    /// New name of each bin, when they are shuffled.
    order: Option<Vec<usize>>,
    roughness: Roughness,
    shown: Vec<Vec<f64>>,
    /// Roughness and the two squared errors of each head, as of the last evaluation.
    metrics: Vec<[f32; 3]>,
}

impl FourierHeads {
    fn at(params: &HeadsParams) -> [f32; 2] {
        params.point.first().copied().unwrap_or([-0.4, 0.35])
    }

    fn truth_at(&self, [u, v]: [f32; 2]) -> Vec<f64> {
        let truth = conditional(self.params.data).truth([f64::from(u), f64::from(v)], self.contest.config.bins);
        rename(&truth, &self.order)
    }

    async fn look(&mut self, params: &HeadsParams, host: &Host) -> Result<(), LabError> {
        let [u, v] = Self::at(params);
        let said = self.contest.predict(tensor([u, v], [1, 2], &host.device)).await?;
        self.shown = said.into_iter().flatten().collect();
        Ok(())
    }

    async fn evaluate(&mut self, host: &Host) -> Result<(), LabError> {
        let input = tensor(self.held_out.as_flattened(), [self.held_out.len(), 2], &host.device);
        let said = self.contest.predict(input).await?;
        let rows = self.held_out.len() as f64;
        self.metrics.clear();
        for (contender, pmfs) in self.contest.contenders.iter_mut().zip(&said) {
            let distance =
                pmfs.iter().zip(&self.truths).map(|(pmf, truth)| kl_divergence(truth, pmf)).sum::<f64>() / rows;
            contender.distance.push(self.contest.step, distance);
            let roughness = pmfs.iter().map(|pmf| self.roughness.of(pmf)).sum::<f64>() / rows;
            let bins = self.contest.config.bins;
            let squared = |bin: fn(&[f64]) -> usize| -> f64 {
                pmfs.iter().zip(&self.labels).map(|(pmf, &label)| squared_error(bin(pmf), label, bins)).sum::<f64>()
                    / rows
            };
            let (mean, mode) = (squared(mean_bin), squared(mode_bin));
            self.metrics.push([roughness, mean, mode].map(|metric| metric as f32));
        }
        Ok(())
    }

    fn shows(params: &HeadsParams, kind: HeadKind) -> bool {
        match kind {
            HeadKind::Fourier => true,
            HeadKind::Linear => params.linear,
            HeadKind::Gaussians(_) => params.gaussians,
            HeadKind::Regression => params.regression,
        }
    }

    /// Contenders whose switch is on, the method last, so that it is drawn on top.
    fn visible<'a>(&'a self, params: &'a HeadsParams) -> impl Iterator<Item = (usize, &'a super::Contender)> {
        let all = self.contest.contenders.iter().enumerate().rev();
        all.filter(|(_, contender)| Self::shows(params, contender.kind))
    }

    fn density_panel(&self, params: &HeadsParams) -> Panel {
        let [u, v] = Self::at(params);
        let truth = self.truth_at([u, v]);
        let mut marks = Vec::new();
        if params.truth {
            marks.push(bin_line("truth", Ink::Truth, &truth));
        }
        for (index, contender) in self.visible(params) {
            let pmf = &self.shown[index];
            marks.push(match contender.kind {
                // One number, not a distribution: a place on the axis.
                HeadKind::Regression => {
                    let bin = pmf.iter().position(|&share| share > 0.5).unwrap_or(0);
                    Mark::Moment { name: "regression".to_owned(), x: bin_center(bin, pmf.len()) as f32 }
                }
                kind => bin_line(kind.label(), kind.ink(), pmf),
            });
        }
        let seen = self.visible(params).filter(|(_, contender)| contender.kind != HeadKind::Regression);
        let seen = seen.flat_map(|(index, _)| &self.shown[index]);
        // A spike of certainty would flatten everything else.
        let most = 2.5 * truth.iter().copied().fold(0.0, f64::max);
        let tallest = truth.iter().chain(seen).copied().fold(0.0, f64::max).min(most);
        let y = Axis::from_zero("probability of a bin", tallest);
        let chart = Chart::new(Axis::new("value w", -1.0..1.0), y, marks);
        let [fourier, linear] = [0, 1].map(|index| kl_divergence(&truth, &self.shown[index]));
        let [u, v] = [u, v].map(|place| number(f64::from(place), 2));
        let said = format!(
            "What each head says about w at u = **{u}**, v = **{v}**. Off by: {{method|Fourier}} **{fourier:.3}**, {{baseline|linear}} **{linear:.3}** nats."
        );
        Panel::new("density", "What each head says", said, 4, Body::Chart(chart))
    }

    fn pad_panel(&self, params: &HeadsParams) -> Panel {
        let samples = self.inputs.iter().take(400).copied().collect();
        let marks = vec![
            Mark::Dots { name: "samples".to_owned(), ink: Ink::Data, points: samples },
            Mark::Handles { name: "shown".to_owned(), ink: Ink::Method, first: 0, points: vec![Self::at(params)] },
        ];
        let pad = Chart::new(Axis::new("u", -1.0..1.0), Axis::new("v", -1.0..1.0), marks);
        let said = "Where the question is asked. Drag the ring, or move it with the arrow keys; Fig. 1 answers.";
        Panel::new("pad", "Ask at (u, v)", said, 2, Body::Chart(pad)).edits("point")
    }

    fn distance_panel(&self, params: &HeadsParams) -> Panel {
        // One bin for sure is infinitely far from any density, which would only stretch the axis.
        let rivals = self.visible(params).filter(|(_, contender)| contender.kind != HeadKind::Regression);
        let lines = rivals.map(|(_, contender)| contender.distance.line(contender.kind.label(), contender.kind.ink()));
        let chart = history_chart("nats from the truth", params.steps as u64, lines.collect());
        let distance = |index: usize| self.contest.contenders[index].distance.last();
        let times = distance(1) / distance(0);
        let said = if times > 1.15 {
            format!(
                "On held-out points the {{baseline|linear head}} is **{times:.1} times** as far from the truth as the {{method|Fourier head}}."
            )
        } else if times < 0.87 {
            format!(
                "Here the prior does not pay: the {{method|Fourier head}} is **{:.1} times** as far from the truth as the {{baseline|linear head}}.",
                1.0 / times
            )
        } else {
            "On held-out points the two heads are about as far from the truth.".to_owned()
        };
        Panel::new("distance", "Distance from the truth", said, 3, Body::Chart(chart))
    }

    fn loss_panel(&self, params: &HeadsParams) -> Panel {
        let rivals = self.visible(params).filter(|(_, contender)| contender.kind != HeadKind::Regression);
        let lines = rivals.map(|(_, contender)| contender.loss.line(contender.kind.label(), contender.kind.ink()));
        let chart = history_chart("loss on the batch, nats", params.steps as u64, lines.collect());
        let said = "What the heads are trained on. A head that memorizes samples goes on falling here.";
        Panel::new("loss", "Loss on the samples", said, 3, Body::Chart(chart))
    }

    fn readouts_panel(&self) -> Panel {
        let mut list = Vec::new();
        for (contender, metrics) in self.contest.contenders.iter().zip(&self.metrics) {
            let [roughness, mean, mode] = metrics.map(f64::from);
            let row = contender.row(DIVERGENCE, roughness);
            let mut readouts = row.readouts();
            readouts.insert(2, row.read("mse_mean", "squared error, mean", "", mean));
            readouts.insert(3, row.read("mse_mode", "squared error, peak", "", mode));
            list.extend(readouts);
        }
        let waves = self.contest.config.frequencies as f64;
        list.push(Readout::new("frequencies", "Fourier head", Ink::Method, "waves", "", waves));
        let rows = self.truths.len() as f64;
        let truth = self.truths.iter().map(|truth| self.roughness.of(truth)).sum::<f64>() / rows;
        list.push(Readout::new("roughness_truth", "The truth", Ink::Truth, "roughness", "", truth));
        let said = format!(
            "On **{}** held-out points. Roughness: lower is smoother; the right value is that of the {{truth|truth}}.",
            self.held_out.len()
        );
        Panel::new("readouts", "The heads in numbers", said, 6, Body::Readouts(list))
    }
}

impl Lab for FourierHeads {
    const CARD: Card = Card {
        slug: "fourier-head",
        title: "Three heads, one network",
        hook: "What does it help to know that neighbors are alike?",
        page: PAGE,
        papers: &[PAPER],
        chance: true,
        presets: &[
            Preset { label: "Few samples", query: "" },
            Preset { label: "Many samples", query: "samples=5000" },
            Preset { label: "Shuffled bins", query: "samples=2500&steps=1500&shuffle=true" },
            Preset { label: "The right family", query: "samples=5000&gaussians=true" },
            Preset { label: "The wrong family", query: "data=beta&frequencies=12&samples=5000&gaussians=true" },
            Preset { label: "Sized for a GPU", query: "width=2048&batch=4096&samples=5000&steps=1000" },
        ],
        experiments: EXPERIMENTS,
        batches: &[BatchSpec { id: "sweep", label: "Try every number of waves", rows: sweep_rows, draw: draw_sweep }],
    };
    type Params = HeadsParams;

    async fn start(params: &HeadsParams, host: &Host) -> Result<Self, LabError> {
        let bins = 2 * params.half_bins;
        let density = conditional(params.data);
        let order = params.shuffle.then(|| Stream::new(params.seed, "shuffle").permutation(bins));
        let mut stream = Stream::new(params.seed, "data");
        let examples = density.examples(params.samples, &mut stream);
        let (held_out, trained) = examples.split_at(params.samples / 5);
        let inputs = |examples: &[Example]| -> Vec<[f32; 2]> {
            examples.iter().map(|example| example.condition.map(|number| number as f32)).collect()
        };
        let labels = |examples: &[Example]| -> Vec<usize> {
            let bins = examples.iter().map(|example| bin_of(example.value, bins));
            bins.map(|bin| order.as_ref().map_or(bin, |order| order[bin])).collect()
        };
        let config = ContestConfig {
            widths: vec![2, params.width, params.width / 2],
            embeds: false,
            bins,
            frequencies: params.frequencies.min((bins - 1) / 2),
            epsilon: params.epsilon,
            uniform_start: params.uniform_start,
            learning_rate: params.learning_rate,
            steps: params.steps as u64,
            gamma: params.gamma,
            gamma_normalized: params.gamma_normalized,
            seed: params.seed,
        };
        let kinds = KINDS.map(|kind| kind(params.data));
        let mut lab = Self {
            params: params.clone(),
            contest: Contest::new(config, &kinds, &host.device),
            inputs: inputs(trained),
            targets: labels(trained),
            held_out: inputs(held_out),
            truths: held_out.iter().map(|example| rename(&density.truth(example.condition, bins), &order)).collect(),
            labels: labels(held_out),
            order,
            roughness: Roughness::new(bins),
            shown: Vec::new(),
            metrics: Vec::new(),
        };
        lab.look(params, host).await?;
        lab.evaluate(host).await?;
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        let device = host.device.clone().autodiff();
        let mut stream = Stream::at(self.params.seed, "batch", self.contest.step);
        let chosen: Vec<usize> = (0..self.params.batch).map(|_| stream.below(self.inputs.len())).collect();
        let input: Vec<f32> = chosen.iter().flat_map(|&index| self.inputs[index]).collect();
        let target: Vec<i32> = chosen.iter().map(|&index| self.targets[index] as i32).collect();
        let input = tensor(input, [chosen.len(), 2], &device);
        let target = Tensor::<1, Int>::from_data(TensorData::new(target, [chosen.len()]), &device);
        self.contest.step(input, target).await?;
        let (step, steps) = (self.contest.step, self.params.steps as u64);
        let done = step >= steps;
        if step.is_multiple_of(LOOK_EVERY) || done {
            let params = self.params.clone();
            self.look(&params, host).await?;
        }
        if step.is_multiple_of(steps.div_ceil(EVALUATIONS)) || done {
            self.evaluate(host).await?;
        }
        Ok(if done { Status::Done } else { Status::Running })
    }

    async fn settle(&mut self) -> Result<(), LabError> {
        self.contest.settle().await
    }

    async fn change(&mut self, params: &HeadsParams, host: &Host) -> Result<(), LabError> {
        self.params = params.clone();
        self.look(params, host).await
    }

    fn frame(&self, params: &HeadsParams) -> Frame {
        let panels = vec![
            self.density_panel(params),
            self.pad_panel(params),
            self.distance_panel(params),
            self.loss_panel(params),
            self.readouts_panel(),
        ];
        Frame { step: self.contest.step, of: Some(params.steps as u64), panels, offers: vec![] }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.contest.step);
        self.contest.save(&mut state).await?;
        state.put("shown", self.shown.iter().map(|pmf| pmf.iter().map(|&share| share as f32).collect()).collect());
        state.put("metrics", self.metrics.iter().map(|metrics| metrics.to_vec()).collect());
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        self.contest.restore(state)?;
        self.shown =
            state.get("shown")?.iter().map(|pmf| pmf.iter().map(|&share| f64::from(share)).collect()).collect();
        self.metrics = state.get("metrics")?.iter().filter_map(|metrics| metrics.first_chunk().copied()).collect();
        Ok(())
    }
}

fn conditional(data: DataSet) -> ConditionalDensity {
    match data {
        DataSet::Gaussian => ConditionalDensity::Gaussian,
        DataSet::TwoGaussians => ConditionalDensity::TwoGaussians,
        DataSet::Beta => ConditionalDensity::SignedBeta,
    }
}

/// The distribution with its bins renamed.
fn rename(pmf: &[f64], order: &Option<Vec<usize>>) -> Vec<f64> {
    let Some(order) = order else { return pmf.to_vec() };
    let mut renamed = vec![0.0; pmf.len()];
    for (bin, &share) in pmf.iter().enumerate() {
        renamed[order[bin]] = share;
    }
    renamed
}

/// Numbers of waves that the sweep tries.
const SWEEP: &[usize] = &[2, 4, 6, 8, 10, 12, 16, 20];

fn sweep_rows(values: &Values) -> Vec<(String, String)> {
    super::wave_rows(values, SWEEP)
}

fn draw_sweep(rows: &[Row]) -> Vec<Panel> {
    super::wave_panels(rows, SWEEP)
}

/// Whether the figures grow from each to the next: the least step.
fn least_growth(figures: &[f64]) -> f64 {
    figures.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min)
}

fn times_closer(runs: &Outcome, run: &str) -> f64 {
    runs.get(run, "kl_linear") / runs.get(run, "kl_fourier")
}

/// The numbers of waves that the card compares, with plenty of samples.
const WAVES: &[(&str, &str)] = &[
    ("4", "samples=5000&frequencies=4"),
    ("8", "samples=5000&frequencies=8"),
    ("12", "samples=5000&frequencies=12"),
    ("20", "samples=5000&frequencies=20"),
];

const EXPERIMENTS: &[Experiment] = &[
    Experiment {
        id: "closer-and-smoother",
        claim: "On two bumps the Fourier head is closer to the truth than the linear head, and smoother",
        paper: "fourier-head",
        point: 2,
        how: "5,000 samples, N = 8, 3,000 steps.",
        quick: true,
        runs: &[("gmm2", "samples=5000")],
        seeds: &[1, 2, 3],
        measures: &[
            Measure {
                name: "Fourier, nats from the truth",
                figure: |runs| runs.get("gmm2", "kl_fourier"),
                needed: Bound::AtMost(0.1),
                card: Bound::AtMost(0.1),
                card_measured: ".067 (seeds 1, 2, 3)",
            },
            Measure {
                name: "linear / Fourier, nats",
                figure: |runs| times_closer(runs, "gmm2"),
                needed: Bound::AtLeast(1.6),
                card: Bound::AtLeast(1.6),
                card_measured: ".179 / .067 (seeds 1, 2, 3)",
            },
            Measure {
                name: "Gaussian head, nats from the truth",
                figure: |runs| runs.get("gmm2", "kl_gaussians"),
                needed: Bound::AtMost(0.05),
                card: Bound::AtMost(0.05),
                card_measured: ".018 (seeds 1, 2, 3)",
            },
            Measure {
                name: "roughness, Fourier − linear",
                figure: |runs| runs.get("gmm2", "roughness_fourier") - runs.get("gmm2", "roughness_linear"),
                needed: Bound::AtMost(0.0),
                card: Bound::AtMost(0.0),
                card_measured: ".042 − .066 (seeds 1, 2, 3)",
            },
        ],
    },
    Experiment {
        id: "enough-waves",
        claim: "On two bumps 8 waves are closer to the truth than 4, and roughness grows with every wave",
        paper: "fourier-head",
        point: 3,
        how: "5,000 samples, 3,000 steps, N = 4, 8, 12, 20.",
        quick: false,
        runs: WAVES,
        seeds: &[1, 2],
        measures: &[
            Measure {
                name: "N = 4 − N = 8, nats",
                figure: |runs| runs.get("4", "kl_fourier") - runs.get("8", "kl_fourier"),
                needed: Bound::AtLeast(0.0),
                card: Bound::AtLeast(0.0),
                card_measured: ".149 − .066 (2 seeds)",
            },
            Measure {
                name: "least growth of roughness from one N to the next",
                figure: |runs| least_growth(&["4", "8", "12", "20"].map(|waves| runs.get(waves, "roughness_fourier"))),
                needed: Bound::AtLeast(0.0),
                card: Bound::AtLeast(0.0),
                card_measured: ".027, .0415, .045, .050 (2 seeds)",
            },
        ],
    },
    Experiment {
        id: "too-many-waves",
        claim: "Beyond 8 waves the Fourier head learns noise: 12 are farther from the truth, 20 farther still",
        paper: "fourier-head",
        point: 3,
        how: "5,000 samples, 3,000 steps, N = 8, 12, 20.",
        quick: false,
        runs: WAVES,
        seeds: &[1, 2],
        measures: &[Measure {
            name: "least growth from N = 8 to 12 to 20, nats",
            figure: |runs| least_growth(&["8", "12", "20"].map(|waves| runs.get(waves, "kl_fourier"))),
            needed: Bound::AtLeast(0.0),
            card: Bound::AtLeast(0.0),
            card_measured: ".066, .083, .097 (means of 2 seeds)",
        }],
    },
    Experiment {
        id: "little-data",
        claim: "With little data the Fourier head is far closer to the truth than the linear head, on two bumps and on beta",
        paper: "fourier-head",
        point: 4,
        how: "1,250 samples; two bumps: 2,000 steps, N = 8; beta: 1,500 steps, N = 12.",
        quick: true,
        runs: &[("gmm2", "steps=2000"), ("beta", "data=beta&steps=1500&frequencies=12")],
        seeds: &[1, 2, 3],
        measures: &[
            Measure {
                name: "two bumps, linear / Fourier",
                figure: |runs| times_closer(runs, "gmm2"),
                needed: Bound::AtLeast(2.0),
                card: Bound::AtLeast(2.0),
                card_measured: ".521 / .167 (seeds 1, 2, 3)",
            },
            Measure {
                name: "beta, linear / Fourier",
                figure: |runs| times_closer(runs, "beta"),
                needed: Bound::AtLeast(1.15),
                card: Bound::AtLeast(1.15),
                card_measured: ".356 / .244 (seeds 1, 2, 3)",
            },
        ],
    },
    Experiment {
        id: "little-data-one-bump",
        claim: "With little data the Fourier head is far closer to the truth than the linear head, on one bump",
        paper: "fourier-head",
        point: 4,
        how: "1,250 samples, 1,500 steps, N = 8.",
        quick: true,
        runs: &[("gaussian", "data=gaussian&steps=1500")],
        seeds: &[1, 2, 3],
        measures: &[Measure {
            name: "one bump, linear / Fourier",
            figure: |runs| times_closer(runs, "gaussian"),
            needed: Bound::AtLeast(1.7),
            card: Bound::AtLeast(1.7),
            card_measured: ".156 / .059 (means of seeds 1, 2, 3)",
        }],
    },
    Experiment {
        id: "enough-data",
        claim: "With enough data the prior stops paying: the linear head is level on one bump and ahead on beta",
        paper: "fourier-head",
        point: 5,
        how: "The honest cases. 5,000 samples, 2,500 steps, N = 8 on one bump and 12 on beta.",
        quick: false,
        runs: &[
            ("gaussian", "data=gaussian&samples=5000&steps=2500"),
            ("beta", "data=beta&samples=5000&steps=2500&frequencies=12"),
        ],
        seeds: &[1, 2],
        measures: &[
            Measure {
                name: "one bump, linear / Fourier",
                figure: |runs| times_closer(runs, "gaussian"),
                needed: Bound::AtMost(1.25),
                card: Bound::AtMost(1.25),
                card_measured: ".031 / .035 (2 seeds); the card sets no bound",
            },
            Measure {
                name: "beta, linear / Fourier",
                figure: |runs| times_closer(runs, "beta"),
                needed: Bound::AtMost(1.0),
                card: Bound::AtMost(1.0),
                card_measured: ".119 / .173 (2 seeds); the card sets no bound",
            },
        ],
    },
    Experiment {
        id: "shuffled-bins",
        claim: "The whole advantage is that neighbors are alike: shuffled bins ruin the Fourier head and leave the linear head as it was",
        paper: "fourier-head",
        point: 6,
        how: "Two bumps, 2,500 samples, 1,500 steps, N = 8, with the bins in order and renamed at random.",
        quick: true,
        runs: &[("in order", "samples=2500&steps=1500"), ("shuffled", "samples=2500&steps=1500&shuffle=true")],
        seeds: &[1, 2, 3],
        measures: &[
            Measure {
                name: "Fourier, shuffled / in order",
                figure: |runs| runs.get("shuffled", "kl_fourier") / runs.get("in order", "kl_fourier"),
                needed: Bound::AtLeast(4.0),
                card: Bound::AtLeast(4.0),
                card_measured: ".807 / .100 (seeds 1, 2, 3)",
            },
            Measure {
                name: "linear, change by shuffling, up or down",
                figure: |runs| (runs.get("shuffled", "kl_linear") / runs.get("in order", "kl_linear") - 1.0).abs(),
                needed: Bound::AtMost(0.3),
                card: Bound::AtMost(0.3),
                card_measured: "from .313 to .330 (seeds 1, 2, 3)",
            },
        ],
    },
    Experiment {
        id: "dodged-penalty",
        claim: "The paper's penalty hardly smooths, since it can be dodged; charged on the ratios it does",
        paper: "fourier-head",
        point: 10,
        how: "Two bumps, 2,500 samples, 1,500 steps, N = 16; the paper's γ from 10⁻⁶ to 0.1, ours from 10⁻⁵ to 10⁻³.",
        quick: false,
        runs: &[
            ("paper low", "samples=2500&steps=1500&frequencies=16&gamma=0.000001"),
            ("paper high", "samples=2500&steps=1500&frequencies=16&gamma=0.1"),
            ("ratios low", "samples=2500&steps=1500&frequencies=16&gamma_normalized=0.00001"),
            ("ratios high", "samples=2500&steps=1500&frequencies=16&gamma_normalized=0.001"),
        ],
        seeds: &[1, 2],
        measures: &[
            Measure {
                name: "the paper's: roughness, high / low",
                figure: |runs| runs.get("paper high", "roughness_fourier") / runs.get("paper low", "roughness_fourier"),
                needed: Bound::AtLeast(0.8),
                card: Bound::AtLeast(0.8),
                card_measured: ".0440 / .0474 (2 seeds); the card sets no bound",
            },
            Measure {
                name: "on ratios: roughness, high / low",
                figure: |runs| {
                    runs.get("ratios high", "roughness_fourier") / runs.get("ratios low", "roughness_fourier")
                },
                needed: Bound::AtMost(0.7),
                card: Bound::AtMost(0.7),
                card_measured: ".0275 / .0493 (2 seeds); the card sets no bound",
            },
        ],
    },
];
