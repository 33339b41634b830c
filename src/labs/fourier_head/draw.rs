//! Draw a distribution: one density, learned from draws, by three heads without a network before them.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::{CURVE_POINTS, DIVERGENCE, HeadRow, PAGE, PAPER, bin_line, softmax};
use crate::chart::{Axis, Chart, Ink, Mark};
use crate::lab::{
    BatchSpec, Body, Bound, Card, Experiment, Frame, History, Host, Lab, LabError, Measure, Panel, Preset, Readings,
    Readout, Readouts, Row, State, Status, Values, history_chart, read, tensor,
};
use crate::mech::adam::{Adam, AdamConfig};
use crate::mech::density_metrics::{Roughness, kl_divergence};
use crate::mech::fourier_head::{FourierDensity, FourierSeries};
use crate::mech::gaussian_head::GaussianDensity;
use crate::mech::ops;
use crate::mech::toy_densities::{TargetDensity, normalized};
use crate::mech::value_bins::bin_center;
use crate::seed::Stream;
use crate::{choices, params};

choices! {
    pub enum Target {
        TenGaussians = "ten-gaussians", "ten Gaussians";
        SquareWave = "square-wave", "square wave";
        OneGaussian = "one-gaussian", "one Gaussian";
        Spike = "spike", "spike";
        WrapAround = "wrap-around", "bump on the edge";
    }
}

params! {
    pub struct DrawParams {
        /// The density that the draws come from.
        target: Target = choice("Target", Target::TenGaussians.value(), Target::OPTIONS).clears("painted"),
        /// Heights of a density of your own, from −1 to 1; takes the place of the target while it is not empty.
        painted: Vec<f32> = numbers("Your own target", 256, 0.0..=1.0),
        /// Waves that the Fourier head may add up; more allow sharper peaks.
        frequencies: usize = int("Frequencies", 12, 1..=63).symbol("N"),
        /// Numbers drawn from the target for the heads to learn from; "all" shows them the target itself.
        draws: usize = int("Draws", 400, 0..=5000).symbol("n").word("all", 0),
        /// The head with one number for each bin.
        linear: bool = toggle("Linear head", true).view().swatch(Ink::Baseline),
        /// Two bell curves: four numbers.
        gaussians: bool = toggle("Two Gaussians", true).view().swatch(Ink::Baseline2),
        /// The density that the draws come from, which no head is shown.
        truth: bool = toggle("Show the truth", true).view().swatch(Ink::Truth),
        /// Size of an optimizer step at the start; it falls to zero in a straight line.
        learning_rate: f64 = real("Learning rate", 0.01, 1e-4..=0.3).symbol("η").step_size(),
        /// The complex numbers of the Fourier head, when they are moved by hand.
        handles: Vec<[f32; 2]> = points("Its complex numbers", 64, -2.0..=2.0).live().more(),
        /// Keeps the Fourier head's numbers as they are.
        freeze: bool = toggle("Freeze the Fourier head", false).live(),
        /// Steps of the whole run.
        steps: usize = int("Steps", 600, 50..=5000).more(),
        /// The paper's penalty on wiggles. A net can dodge it by shrinking all its numbers.
        gamma: f64 = real("Wiggle penalty", 0.0, 0.0..=1.0).symbol("γ").more(),
        /// The same penalty on the ratios of the coefficients, which cannot be dodged; ours.
        gamma_normalized: f64 = real("Penalty on ratios", 0.0, 0.0..=0.1).symbol("γ′").more(),
        /// Equal parts that the interval from −1 to 1 is cut into.
        bins: usize = int("Bins", 128, 16..=256).symbol("m").more(),
        /// What every bin gets at least, before the logarithm.
        epsilon: f64 = real("Floor", 1e-5, 1e-7..=1e-2).symbol("ε").more(),
        /// Starts from a flat density instead of a random one; ours.
        uniform_start: bool = toggle("Uniform start", false).more(),
        /// How many samples of draws are learned at once, each by heads of its own. The figures show the first; shaded is where nine in ten of them lie.
        samples: usize = int("Samples at once", 1, 1..=1024).more(),
    }
}

/// Deviation of the linear head's first logits, as small as the Fourier head's numbers.
const START_SCALE: f64 = 0.01;

/// The three densities of each sample, each with its own numbers: a row of every tensor is a sample.
#[derive(Module, Debug)]
struct Densities {
    fourier: FourierDensity,
    linear: Param<Tensor<2>>, // [samples, bins]
    gaussians: GaussianDensity,
}

pub struct FourierHeadDraw {
    params: DrawParams,
    densities: Densities,
    adam: Adam,
    step: u64,
    target: Tensor<2>, // [samples, bins]
    roughness: Roughness,
    samples: Vec<Sample>,
    /// So many samples, from the first, are followed at every step; the others are looked at when somebody looks.
    followed: usize,
    /// What the densities of the followed samples are after the steps that nobody has looked at yet.
    unread: Readings,
}

/// Some draws, and what the three heads make of them.
struct Sample {
    truth: Vec<f64>,
    shown: Vec<f64>,
    learned: Learned,
    histories: [History; 3],
    losses: [History; 3],
}

/// What was read of the densities last.
#[derive(Default)]
struct Learned {
    /// Real parts of the Fourier head's numbers, then imaginary parts.
    amplitudes: Vec<f32>,
    fourier: Vec<f64>,
    linear: Vec<f64>,
    gaussians: Vec<f64>,
}

impl Densities {
    /// The Fourier head's numbers, then the logits of all three, `[samples, numbers + 3 * bins]`.
    fn numbers(&self) -> Tensor<2> {
        let Self { fourier, linear, gaussians } = self;
        let parts = vec![fourier.amplitudes.val(), fourier.forward(), linear.val(), gaussians.forward()];
        Tensor::cat(parts, 1).inner()
    }
}

impl Learned {
    /// From a row of what [`Densities::numbers`] gives.
    fn of(numbers: &[f32], bins: usize) -> Self {
        let (amplitudes, rest) = numbers.split_at(numbers.len() - 3 * bins);
        let (fourier, rest) = rest.split_at(bins);
        let (linear, gaussians) = rest.split_at(bins);
        Self {
            amplitudes: amplitudes.to_vec(),
            fourier: softmax(fourier),
            linear: softmax(linear),
            gaussians: softmax(gaussians),
        }
    }
}

impl Sample {
    fn new(params: &DrawParams) -> Self {
        let truth = target_pmf(params);
        let shown = match params.draws {
            0 => truth.clone(),
            draws => {
                let mut stream = Stream::new(params.seed, "data");
                let mut counts = vec![0.0; params.bins];
                for _ in 0..draws {
                    counts[stream.weighted(&truth)] += 1.0 / draws as f64;
                }
                counts
            }
        };
        let (histories, losses) = Default::default();
        Self { truth, shown, learned: Learned::default(), histories, losses }
    }

    /// Writes the histories.
    fn remember(&mut self, step: u64) {
        let pmfs = [&self.learned.fourier, &self.learned.linear, &self.learned.gaussians];
        for (index, pmf) in pmfs.into_iter().enumerate() {
            self.histories[index].push(step, kl_divergence(&self.truth, pmf));
            let loss: f64 = self.shown.iter().zip(pmf).map(|(seen, share)| -seen * (share + 1e-10).ln()).sum();
            self.losses[index].push(step, loss);
        }
    }
}

impl FourierHeadDraw {
    /// Learns a sample for each setting, all in one tensor: they may differ in what is drawn, but not in the shape of the
    /// heads or the way they are trained.
    async fn begin(settings: &[DrawParams], followed: usize, host: &Host) -> Result<Self, LabError> {
        let device = host.device.clone().autodiff();
        let params = &settings[0];
        let (bins, count) = (params.bins, settings.len());
        let (mut amplitudes, mut linear) = (vec![], vec![]);
        for DrawParams { seed, frequencies, uniform_start, .. } in settings {
            let mut init = Stream::new(*seed, "init");
            let mut start = FourierDensity::start(*frequencies, &mut init);
            if *uniform_start {
                start.fill(0.0);
                start[0] = 1.0;
            }
            amplitudes.push(start);
            linear.extend((0..bins).map(|_| init.normal(0.0, START_SCALE) as f32));
        }
        let densities = Densities {
            fourier: FourierDensity::new(bins, params.epsilon, &amplitudes, &device),
            linear: Param::from_tensor(tensor(linear, [count, bins], &device)),
            gaussians: GaussianDensity::new(bins, params.epsilon, &vec![[-0.5, 0.5]; count], &device),
        };
        let samples: Vec<Sample> = settings.iter().map(Sample::new).collect();
        let shown: Vec<f32> = samples.iter().flat_map(|sample| &sample.shown).map(|&share| share as f32).collect();
        let mut lab = Self {
            params: params.clone(),
            densities,
            adam: Adam::new(AdamConfig::default()),
            step: 0,
            target: tensor(shown, [count, bins], &device),
            roughness: Roughness::new(bins),
            samples,
            followed,
            unread: Readings::default(),
        };
        lab.read_back().await?;
        lab.place_handles(params, host);
        lab.read_back().await?;
        lab.samples[..followed].iter_mut().for_each(|sample| sample.remember(0));
        Ok(lab)
    }

    /// Reads the densities of all samples as they are now.
    async fn read_back(&mut self) -> Result<(), LabError> {
        let numbers = read(self.densities.numbers()).await?;
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(LabError::Diverged { step: self.step });
        }
        let length = numbers.len() / self.samples.len();
        for (sample, numbers) in self.samples.iter_mut().zip(numbers.chunks_exact(length)) {
            sample.learned = Learned::of(numbers, self.params.bins);
        }
        Ok(())
    }

    /// Puts the numbers that the reader moved into the Fourier heads that are followed.
    fn place_handles(&mut self, params: &DrawParams, host: &Host) {
        if params.handles.is_empty() {
            return;
        }
        let mut rows: Vec<Vec<f32>> = self.samples.iter().map(|sample| sample.learned.amplitudes.clone()).collect();
        for amplitudes in &mut rows[..self.followed] {
            let (real, imaginary) = amplitudes.split_at_mut(params.frequencies + 1);
            for ((re, im), handle) in real.iter_mut().zip(imaginary).zip(&params.handles) {
                [*re, *im] = *handle;
            }
        }
        let device = host.device.clone().autodiff();
        self.densities.fourier = FourierDensity::new(self.params.bins, self.params.epsilon, &rows, &device);
    }

    /// Where nine in ten of the samples lie; nothing for a sample alone.
    fn band(&self, ink: Ink, learned: fn(&Learned) -> &Vec<f64>) -> Option<Mark> {
        let bins = self.params.bins;
        let last = self.samples.len() - 1;
        let points = (0..bins).map(|bin| {
            let mut shares: Vec<f64> = self.samples.iter().map(|sample| learned(&sample.learned)[bin]).collect();
            let mut nth = |at: usize| *shares.select_nth_unstable_by(at, f64::total_cmp).1 as f32;
            [bin_center(bin, bins) as f32, nth(last * 5 / 100), nth(last - last * 5 / 100)]
        });
        (last > 0).then(|| Mark::Band { name: String::new(), ink, points: points.collect() })
    }

    /// The mean over the samples of how far a head is from the truth.
    fn mean_distance(&self, learned: fn(&Learned) -> &Vec<f64>) -> f64 {
        let distances = self.samples.iter().map(|sample| kl_divergence(&sample.truth, learned(&sample.learned)));
        distances.sum::<f64>() / self.samples.len() as f64
    }

    fn density_panel(&self, params: &DrawParams) -> Panel {
        let bins = params.bins;
        let sample = &self.samples[0];
        let mut marks = vec![Mark::Bars {
            name: if params.draws == 0 { "the target".to_owned() } else { format!("{} draws", params.draws) },
            ink: Ink::Data,
            from: -1.0,
            to: 1.0,
            heights: sample.shown.iter().map(|&share| share as f32).collect(),
        }];
        if params.linear {
            marks.extend(self.band(Ink::Baseline, |learned| &learned.linear));
            marks.push(bin_line("linear", Ink::Baseline, &sample.learned.linear));
        }
        if params.gaussians {
            marks.push(bin_line("2 Gaussians", Ink::Baseline2, &sample.learned.gaussians));
        }
        if params.truth {
            marks.push(bin_line("truth", Ink::Truth, &sample.truth));
        }
        marks.extend(self.band(Ink::Method, |learned| &learned.fourier));
        let series = FourierSeries::from_row(&sample.learned.amplitudes);
        let curve = (0..CURVE_POINTS).map(|index| {
            let z = -1.0 + 2.0 * index as f32 / (CURVE_POINTS - 1) as f32;
            [z, (series.density(f64::from(z)) * 2.0 / bins as f64) as f32]
        });
        marks.push(Mark::line("Fourier", Ink::Method, curve));
        let tallest = sample.shown.iter().chain(&sample.truth).copied().fold(0.0, f64::max);
        let chart =
            Chart::new(Axis::new("value z", -1.0..1.0), Axis::from_zero("probability of a bin", tallest), marks);
        let [fourier, linear] = [0, 1].map(|head: usize| sample.histories[head].last());
        let so_far = format!(
            "After **{} of {}** steps the {{method|Fourier head}} is off by **{fourier:.3}** nats",
            self.step, params.steps
        );
        let said = match sample.histories[1].past_its_best(|least| 1.05 * least) {
            _ if self.samples.len() > 1 => format!(
                "After **{} of {}** steps, the mean of **{} samples**: the {{method|Fourier head}} is off by **{:.3}** nats, the {{baseline|linear head}} by **{:.3}**. Shaded: nine in ten.",
                self.step,
                params.steps,
                self.samples.len(),
                self.mean_distance(|learned| &learned.fourier),
                self.mean_distance(|learned| &learned.linear)
            ),
            _ if !params.linear => format!("{so_far}."),
            Some(_) if params.draws > 0 && linear > 1.5 * fourier => format!(
                "{so_far}; the {{baseline|linear head}}, off by **{linear:.3}**, learns the comb of the {} draws by heart.",
                params.draws
            ),
            _ => format!("{so_far}, the {{baseline|linear head}} by **{linear:.3}**."),
        };
        Panel::new("density", "What each head believes", said, 4, Body::Chart(chart)).edits("painted")
    }

    fn plane_panel(&self) -> Panel {
        let amplitudes = &self.samples[0].learned.amplitudes;
        let (real, imaginary) = amplitudes.split_at(amplitudes.len() / 2);
        let points: Vec<[f32; 2]> = real.iter().zip(imaginary).map(|(&re, &im)| [re, im]).collect();
        let reach = points.iter().flatten().fold(0.0_f64, |reach, part| reach.max(f64::from(part.abs())));
        let reach = crate::chart::round_up(reach);
        let handles = Mark::Handles { name: "its numbers".to_owned(), ink: Ink::Method, first: 0, points };
        let plane = Chart {
            x: Axis::new("Re", -reach..reach),
            y: Axis::new("Im", -reach..reach),
            marks: vec![handles],
            plane: true,
        };
        let title = format!("{} complex numbers", real.len());
        let said = "All that the {method|Fourier head} knows. Drag one, or choose it with N and P and move it with the arrow keys; Fig. 1 answers.";
        Panel::new("plane", title, said, 2, Body::Chart(plane)).edits("handles")
    }

    fn distance_panel(&self, params: &DrawParams) -> Panel {
        let histories = &self.samples[0].histories;
        let mut lines = Vec::new();
        if params.linear {
            lines.push(histories[1].line("linear", Ink::Baseline));
        }
        if params.gaussians {
            lines.push(histories[2].line("2 Gaussians", Ink::Baseline2));
        }
        lines.push(histories[0].line("Fourier", Ink::Method));
        let chart = history_chart("nats from the truth", params.steps as u64, lines);
        let said = match histories[1].past_its_best(|least| 1.2 * least) {
            Some([at, _]) => {
                format!("{{baseline|Linear}} was best at step **{at}** and is **getting worse**: it fits the noise.")
            }
            None => "How far each head is from the {truth|truth}, which none is shown.".to_owned(),
        };
        Panel::new("distance", "Distance from truth", said, 2, Body::Chart(chart))
    }

    fn loss_panel(&self, params: &DrawParams) -> Panel {
        let losses = &self.samples[0].losses;
        let mut lines = Vec::new();
        if params.linear {
            lines.push(losses[1].line("linear", Ink::Baseline));
        }
        if params.gaussians {
            lines.push(losses[2].line("2 Gaussians", Ink::Baseline2));
        }
        lines.push(losses[0].line("Fourier", Ink::Method));
        let values: Vec<f64> = losses.iter().map(History::last).collect();
        let chart = history_chart("loss on the draws, nats", params.steps as u64, lines);
        let said = format!(
            "What each head is trained on. Linear: **{:.2}**, Fourier: **{:.2}**. Lower here is not better: see the figure before.",
            values[1], values[0]
        );
        Panel::new("loss", "Loss on the draws", said, 2, Body::Chart(chart))
    }

    fn coefficients_panel(&self) -> Panel {
        let series = FourierSeries::from_row(&self.samples[0].learned.amplitudes);
        let last = series.frequencies();
        let floor = 1e-3;
        let sizes: Vec<[f32; 2]> = series
            .normalized_coefficients()
            .enumerate()
            .map(|(index, [re, im])| [(index + 1) as f32, f64::hypot(re, im).max(floor) as f32])
            .collect();
        let guide = Mark::line(
            "1/n²",
            Ink::Muted,
            (1..=last).map(|n| [n as f32, ((n * n) as f32).recip()]).filter(|point| f64::from(point[1]) >= floor),
        );
        let strongest = sizes.iter().max_by(|a, b| a[1].total_cmp(&b[1])).map_or(1.0, |point| point[0]);
        let marks = vec![guide, Mark::Stems { name: "cₙ / c₀".to_owned(), ink: Ink::Method, points: sizes }];
        let x = Axis::new("frequency n", 0.0..(last + 1) as f64);
        let chart = Chart::new(x, Axis::log("size of cₙ / c₀, log", floor..1.0), marks);
        let said = format!("Wave **{strongest}** carries most. A smooth target needs ever less of the faster ones.");
        Panel::new("coefficients", "Which waves it uses", said, 2, Body::Chart(chart))
    }

    fn readouts_panel(&self, sample: &Sample, params: &DrawParams) -> Panel {
        let (bins, waves) = (params.bins, params.frequencies + 1);
        let heads = [
            HeadRow {
                yardstick: DIVERGENCE,
                key: "fourier",
                name: "Fourier head",
                ink: Ink::Method,
                distance: &sample.histories[0],
                roughness: self.roughness.of(&sample.learned.fourier),
                numbers: 2 * waves,
            },
            HeadRow {
                yardstick: DIVERGENCE,
                key: "linear",
                name: "Linear head",
                ink: Ink::Baseline,
                distance: &sample.histories[1],
                roughness: self.roughness.of(&sample.learned.linear),
                numbers: bins,
            },
            HeadRow {
                yardstick: DIVERGENCE,
                key: "gaussians",
                name: "Two Gaussians",
                ink: Ink::Baseline2,
                distance: &sample.histories[2],
                roughness: self.roughness.of(&sample.learned.gaussians),
                numbers: 4,
            },
        ];
        let mut list: Vec<_> = heads.iter().flat_map(HeadRow::readouts).collect();
        list.push(Readout::new("frequencies", "Fourier head", Ink::Method, "waves", "", params.frequencies as f64));
        list.push(Readout::new(
            "roughness_truth",
            "The truth",
            Ink::Truth,
            "roughness",
            "",
            self.roughness.of(&sample.truth),
        ));
        let said = "Roughness: lower is smoother. The right value is that of the {truth|truth}, not the lowest.";
        Panel::new("readouts", "The heads in numbers", said, 6, Body::Readouts(list))
    }
}

impl Lab for FourierHeadDraw {
    const CARD: Card = Card {
        slug: "fourier-head-draw",
        title: "Draw a distribution",
        hook: "Can 26 numbers know more than 128?",
        page: PAGE,
        papers: &[PAPER],
        chance: true,
        presets: &[
            Preset { label: "400 draws", query: "" },
            Preset { label: "All the data", query: "draws=all" },
            Preset { label: "One spike", query: "target=spike" },
            Preset { label: "Square wave", query: "target=square-wave&draws=all&frequencies=16" },
            Preset { label: "Too many waves", query: "frequencies=63" },
            Preset { label: "A high rate", query: "learning_rate=0.3&frequencies=63" },
            Preset { label: "64 samples at once", query: "samples=64&truth=true&gaussians=false" },
            Preset { label: "Sized for a GPU", query: "samples=1024&frequencies=63" },
        ],
        experiments: EXPERIMENTS,
        batches: &[BatchSpec { id: "sweep", label: "Try every number of waves", rows: sweep_rows, draw: draw_sweep }],
    };
    type Params = DrawParams;

    async fn start(params: &DrawParams, host: &Host) -> Result<Self, LabError> {
        let seeds = (0..params.samples as u64).map(|further| params.seed.wrapping_add(further));
        let settings: Vec<DrawParams> = seeds.map(|seed| DrawParams { seed, ..params.clone() }).collect();
        Self::begin(&settings, 1, host).await
    }

    async fn step(&mut self, _host: &Host) -> Result<Status, LabError> {
        let params = &self.params;
        let rate = params.learning_rate * (1.0 - self.step as f64 / params.steps as f64);
        let mut loss = ops::softmax_cross_entropy(self.densities.linear.val(), self.target.clone())
            + ops::softmax_cross_entropy(self.densities.gaussians.forward(), self.target.clone());
        if !params.freeze {
            loss = loss + ops::softmax_cross_entropy(self.densities.fourier.forward(), self.target.clone());
            if params.gamma > 0.0 {
                loss = loss + self.densities.fourier.penalty() * params.gamma;
            }
            if params.gamma_normalized > 0.0 {
                loss = loss + self.densities.fourier.normalized_penalty() * params.gamma_normalized;
            }
        }
        // The loss is a mean over the samples: times their number, each is trained as it would be alone.
        let loss = loss * self.samples.len() as f64;
        let gradients = GradientsParams::from_grads(loss.backward(), &self.densities);
        self.adam.step_on(rate, &mut self.densities, gradients);
        self.step += 1;
        let followed = self.densities.numbers().narrow(0, 0, self.followed).reshape([-1]);
        if self.unread.push(self.step, followed) {
            self.settle().await?;
        }
        Ok(if self.step >= self.params.steps as u64 { Status::Done } else { Status::Running })
    }

    async fn settle(&mut self) -> Result<(), LabError> {
        let taken = self.unread.take().await?;
        for (step, numbers) in &taken {
            for (sample, row) in self.samples.iter_mut().zip(numbers.chunks_exact(numbers.len() / self.followed)) {
                sample.learned = Learned::of(row, self.params.bins);
                sample.remember(*step);
            }
        }
        if taken.is_empty() || self.followed == self.samples.len() { Ok(()) } else { self.read_back().await }
    }

    async fn change(&mut self, params: &DrawParams, host: &Host) -> Result<(), LabError> {
        if params.handles != self.params.handles {
            self.settle().await?;
            self.place_handles(params, host);
            self.read_back().await?;
            self.samples[0].remember(self.step);
        }
        self.params = params.clone();
        Ok(())
    }

    fn frame(&self, params: &DrawParams) -> Frame {
        let panels = vec![
            self.density_panel(params),
            self.plane_panel(),
            self.distance_panel(params),
            self.loss_panel(params),
            self.coefficients_panel(),
            self.readouts_panel(&self.samples[0], params),
        ];
        Frame { step: self.step, of: Some(params.steps as u64), panels, offers: Vec::new() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.step);
        state.put_model("densities", &self.densities, &self.adam).await?;
        let Sample { histories, losses, .. } = &self.samples[0];
        state.put("distances", histories.iter().map(History::save).collect());
        state.put("losses", losses.iter().map(History::save).collect());
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        self.step = state.step;
        self.densities = state.get_model("densities", self.densities.clone(), &mut self.adam)?;
        let Sample { histories, losses, .. } = &mut self.samples[0];
        for (name, histories) in [("distances", histories), ("losses", losses)] {
            for (history, numbers) in histories.iter_mut().zip(state.get(name)?) {
                *history = History::load(numbers);
            }
        }
        self.unread = Readings::default();
        self.read_back().await
    }

    fn alike(params: &DrawParams) -> Option<DrawParams> {
        let drawn = DrawParams { target: Target::TenGaussians, painted: vec![], draws: 0, seed: 0, ..params.clone() };
        Some(DrawParams { samples: 1, ..drawn })
    }

    async fn start_together(settings: &[DrawParams], host: &Host) -> Result<Self, LabError> {
        Self::begin(settings, settings.len(), host).await
    }

    fn readouts(&self, run: usize, params: &DrawParams) -> Readouts {
        self.readouts_panel(&self.samples[run], params).readouts()
    }
}

fn target_pmf(params: &DrawParams) -> Vec<f64> {
    let bins = params.bins;
    if params.painted.iter().any(|&height| height > 0.0) {
        // Fewer heights than bins are stretched over them.
        let painted = |bin: usize| f64::from(params.painted[bin * params.painted.len() / bins]);
        return normalized((0..bins).map(painted).collect());
    }
    let density = match params.target {
        Target::TenGaussians => TargetDensity::TenGaussians,
        Target::SquareWave => TargetDensity::SquareWave,
        Target::OneGaussian => TargetDensity::OneGaussian,
        Target::Spike => TargetDensity::Spike,
        Target::WrapAround => TargetDensity::WrapAround,
    };
    density.pmf(bins)
}

/// Numbers of waves that the sweep tries.
const SWEEP: &[usize] = &[1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 63];

fn sweep_rows(values: &Values) -> Vec<(String, String)> {
    super::wave_rows(values, SWEEP)
}

fn draw_sweep(rows: &[Row]) -> Vec<Panel> {
    super::wave_panels(rows, SWEEP)
}

const EXPERIMENTS: &[Experiment] = &[
    Experiment {
        id: "half-the-distance",
        claim: "With 400 draws the Fourier head is at most half as far from the truth as the linear head",
        paper: "fourier-head",
        point: 4,
        how: "Ten Gaussians, N = 12, 600 steps. Each seed draws new data and new weights. Ours: the card's little-data point, without a network.",
        quick: true,
        runs: &[("400 draws", "")],
        seeds: &[1, 2, 3, 4, 5],
        measures: &[Measure {
            name: "Fourier / linear, nats",
            figure: |runs| runs.get("400 draws", "kl_fourier") / runs.get("400 draws", "kl_linear"),
            needed: Bound::AtMost(0.5),
            card: Bound::AtMost(0.5),
            card_measured: "with a network: .167 / .521 (gmm2, 1,250 samples)",
        }],
    },
    Experiment {
        id: "more-waves-fit",
        claim: "Shown the whole target, more waves come ever closer, and get rougher until they are as rough as the truth",
        paper: "fourier-head",
        point: 7,
        how: "Ten Gaussians, every bin's probability shown, 600 steps, rate 0.01 falling to 0.",
        quick: true,
        runs: &[
            ("1", "draws=all&frequencies=1"),
            ("2", "draws=all&frequencies=2"),
            ("4", "draws=all&frequencies=4"),
            ("8", "draws=all&frequencies=8"),
            ("12", "draws=all&frequencies=12"),
            ("16", "draws=all&frequencies=16"),
            ("24", "draws=all&frequencies=24"),
        ],
        seeds: &[1, 2, 3],
        measures: &[
            Measure {
                name: "N = 16, nats from the truth",
                figure: |runs| runs.get("16", "kl_fourier"),
                needed: Bound::AtMost(0.005),
                card: Bound::AtMost(0.005),
                card_measured: ".00095 (seeds 1, 2, 3)",
            },
            Measure {
                name: "N = 1, nats from the truth",
                figure: |runs| runs.get("1", "kl_fourier"),
                needed: Bound::AtLeast(0.3),
                card: Bound::AtLeast(0.3),
                card_measured: ".395 (seeds 1, 2, 3)",
            },
            Measure {
                name: "least growth of roughness from one N to the next, up to 24",
                figure: |runs| {
                    let rough =
                        ["1", "2", "4", "8", "12", "16", "24"].map(|waves| runs.get(waves, "roughness_fourier"));
                    rough.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min)
                },
                needed: Bound::AtLeast(0.0),
                card: Bound::AtLeast(0.0),
                card_measured: ".0011, .0033, .0061, .0073, .0092, .0101, .0108",
            },
        ],
    },
    Experiment {
        id: "square-wave",
        claim: "A square wave needs every wave it can get: closer and rougher from 4 to 16 to 63",
        paper: "fourier-head",
        point: 7,
        how: "The square wave, every bin's probability shown, 600 steps.",
        quick: true,
        runs: &[
            ("4", "target=square-wave&draws=all&frequencies=4"),
            ("16", "target=square-wave&draws=all&frequencies=16"),
            ("63", "target=square-wave&draws=all&frequencies=63"),
        ],
        seeds: &[1, 2, 3],
        measures: &[
            Measure {
                name: "least gain from one N to the next, nats",
                figure: |runs| {
                    let off_by = ["4", "16", "63"].map(|waves| runs.get(waves, "kl_fourier"));
                    off_by.windows(2).map(|pair| pair[0] - pair[1]).fold(f64::INFINITY, f64::min)
                },
                needed: Bound::AtLeast(0.0),
                card: Bound::AtLeast(0.0),
                card_measured: ".086, .029, .006",
            },
            Measure {
                name: "least growth of roughness from one N to the next",
                figure: |runs| {
                    let rough = ["4", "16", "63"].map(|waves| runs.get(waves, "roughness_fourier"));
                    rough.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min)
                },
                needed: Bound::AtLeast(0.0),
                card: Bound::AtLeast(0.0),
                card_measured: ".0043, .0079, .0142",
            },
        ],
    },
];
