//! Random numbers from 256 examples: what a head says when it is asked for random numbers.

use burn::prelude::*;

use super::{Contest, ContestConfig, HeadKind, PAGE, PAPER, Yardstick, bin_line};
use crate::chart::{Axis, Chart, Ink, Mark};
use crate::lab::{
    Body, Bound, Card, Experiment, Frame, History, Host, Lab, LabError, Measure, Panel, Preset, Readout, State, Status,
    history_chart, tensor,
};
use crate::mech::density_metrics::{Roughness, total_variation};
use crate::mech::toy_densities::gaussian;
use crate::mech::value_bins::bin_of;
use crate::seed::Stream;
use crate::{choices, params};

choices! {
    pub enum Prompt {
        First = "first", "−0.55 ± 0.10";
        Second = "second", "−0.03 ± 0.24";
        Third = "third", "0.42 ± 0.16";
        Fourth = "fourth", "0.55 ± 0.10";
    }
}

choices! {
    pub enum Speaker {
        Fourier = "fourier", "Fourier";
        Linear = "linear", "linear";
    }
}

/// Mean and standard deviation that each prompt names.
const PROMPTS: [[f64; 2]; 4] = [[-0.55, 0.10], [-0.03, 0.24], [0.42, 0.16], [0.55, 0.10]];
const BINS: usize = 200;
/// Bins of the coarser histogram of draws.
const COARSE: usize = 20;
const DRAWS: usize = 1024;
/// Numbers that a prompt is embedded in.
const EMBEDDED: usize = 16;
const EVALUATE_EVERY: u64 = 10;
const VARIATION: Yardstick = ["tvd", "off by (total variation)", ""];

params! {
    pub struct RandomParams {
        /// The mean and deviation that the prompt asks for.
        prompt: Prompt = choice("Prompt", Prompt::Second.value(), Prompt::OPTIONS).view(),
        /// Whose 1,024 draws are shown.
        speaker: Speaker = choice("Draws of", Speaker::Fourier.value(), Speaker::OPTIONS).view(),
        /// Waves that the Fourier head may add up.
        frequencies: usize = int("Frequencies", 8, 1..=99).symbol("N"),
        /// Example numbers for each prompt.
        examples: usize = int("Examples a prompt", 64, 8..=2000).symbol("n"),
        /// The density that the examples come from.
        truth: bool = toggle("Show the truth", true).view().swatch(Ink::Truth),
        /// Size of an optimizer step at the start; it falls along a cosine to a twentieth.
        learning_rate: f64 = real("Learning rate", 0.003, 1e-4..=0.1).symbol("η").step_size(),
        /// Steps of the whole run.
        steps: usize = int("Steps", 600, 100..=10000).more(),
        /// Examples in a step.
        batch: usize = int("Batch", 64, 8..=4096).more(),
        /// Neurons before the head.
        width: usize = int("Width", 32, 8..=2048).more(),
        /// The paper's penalty on wiggles.
        gamma: f64 = real("Wiggle penalty", 0.0, 0.0..=1.0).symbol("γ").more(),
        /// The same penalty on the ratios of the coefficients; ours.
        gamma_normalized: f64 = real("Penalty on ratios", 0.0, 0.0..=0.1).symbol("γ′").more(),
        /// What every bin gets at least, before the logarithm.
        epsilon: f64 = real("Floor", 1e-5, 1e-7..=1e-2).symbol("ε").more(),
    }
}

pub struct FourierRandom {
    params: RandomParams,
    contest: Contest,
    /// Bins of the examples, prompt by prompt.
    examples: Vec<Vec<usize>>,
    truths: Vec<Vec<f64>>,
    roughness: Roughness,
    /// What each head says, prompt by prompt.
    said: Vec<Vec<Vec<f64>>>,
}

impl FourierRandom {
    async fn evaluate(&mut self, host: &Host) -> Result<(), LabError> {
        let prompts: Vec<f32> = (0..PROMPTS.len()).flat_map(one_hot).collect();
        self.said = self.contest.predict(tensor(prompts, [PROMPTS.len(), PROMPTS.len()], &host.device)).await?;
        for (contender, pmfs) in self.contest.contenders.iter_mut().zip(&self.said) {
            contender.distance.push(self.contest.step, mean_of(pmfs, &self.truths, total_variation));
        }
        Ok(())
    }

    /// 1,024 draws of one head for one prompt, as counts of bins.
    fn draws(&self, head: usize, prompt: usize) -> Vec<f64> {
        let mut stream = Stream::at(self.params.seed, "sample", prompt as u64);
        let mut counts = vec![0.0; BINS];
        for _ in 0..DRAWS {
            counts[stream.weighted(&self.said[head][prompt])] += 1.0;
        }
        counts
    }

    fn density_panel(&self, params: &RandomParams) -> Panel {
        let prompt = params.prompt as usize;
        let mut seen = vec![0.0_f32; BINS];
        for &bin in &self.examples[prompt] {
            seen[bin] += 1.0 / self.examples[prompt].len() as f32;
        }
        let tallest = self.truths[prompt].iter().copied().fold(0.0, f64::max) * 2.5;
        let ink = Ink::Data;
        let mut marks =
            vec![Mark::Bars { name: format!("{} examples", params.examples), ink, from: -1.0, to: 1.0, heights: seen }];
        for (contender, pmfs) in self.contest.contenders.iter().zip(&self.said).rev() {
            marks.push(bin_line(contender.kind.label(), contender.kind.ink(), &pmfs[prompt]));
        }
        if params.truth {
            marks.push(bin_line("truth", Ink::Truth, &self.truths[prompt]));
        }
        let chart =
            Chart::new(Axis::new("number", -1.0..1.0), Axis::from_zero("probability of a number", tallest), marks);
        let [fourier, linear] = [0, 1].map(|head| total_variation(&self.truths[prompt], &self.said[head][prompt]));
        let said = format!(
            "For this prompt the {{baseline|linear head}} puts **{:.0} %** of its belief in the wrong place, the {{method|Fourier head}} **{:.0} %**.",
            100.0 * linear,
            100.0 * fourier
        );
        Panel::new("density", "What each head says", said, 4, Body::Chart(chart))
    }

    fn draws_panel(&self, params: &RandomParams) -> Panel {
        let head = params.speaker as usize;
        let counts = self.draws(head, params.prompt as usize);
        let distinct = distinct(&counts);
        let kind = self.contest.contenders[head].kind;
        let highest = counts.iter().copied().fold(0.0, f64::max);
        let heights = counts.iter().map(|&count| count as f32).collect();
        let bars = Mark::Bars { name: String::new(), ink: kind.ink(), from: -1.0, to: 1.0, heights };
        let chart = Chart::new(Axis::new("number", -1.0..1.0), Axis::from_zero("times drawn", highest), vec![bars]);
        let said = format!(
            "1,024 draws of the {} are **{distinct}** different numbers. It saw {} examples.",
            kind.name(),
            params.examples
        );
        Panel::new("draws", "1,024 draws", said, 2, Body::Chart(chart))
    }

    fn curves(&self, params: &RandomParams) -> [Panel; 2] {
        let contenders = || self.contest.contenders.iter().rev();
        let line = |history: &History, kind: HeadKind| history.line(kind.label(), kind.ink());
        let distance = contenders().map(|contender| line(&contender.distance, contender.kind)).collect();
        let loss = contenders().map(|contender| line(&contender.loss, contender.kind)).collect();
        let steps = params.steps as u64;
        [
            Panel::new(
                "distance",
                "Distance from the truth",
                "Share of belief in the wrong place (total variation), averaged over the four prompts.",
                3,
                Body::Chart(history_chart("total variation", steps, distance)),
            ),
            Panel::new(
                "loss",
                "Loss on the examples",
                "What the heads are trained on. A head that learns the examples by heart goes on falling here.",
                3,
                Body::Chart(history_chart("loss on the batch, nats", steps, loss)),
            ),
        ]
    }

    fn readouts_panel(&self) -> Panel {
        let mut list = Vec::new();
        let prompts = 0..PROMPTS.len();
        for (head, contender) in self.contest.contenders.iter().enumerate() {
            let pmfs = &self.said[head];
            let roughness = pmfs.iter().map(|pmf| self.roughness.of(pmf)).sum::<f64>() / pmfs.len() as f64;
            let draws: Vec<Vec<f64>> = prompts.clone().map(|prompt| self.draws(head, prompt)).collect();
            let different = draws.iter().map(|counts| distinct(counts) as f64).sum::<f64>() / draws.len() as f64;
            let coarse_draws: Vec<Vec<f64>> = draws.iter().map(|counts| coarse(counts, DRAWS as f64)).collect();
            let coarse_truths: Vec<Vec<f64>> = self.truths.iter().map(|truth| coarse(truth, 1.0)).collect();
            let row = contender.row(VARIATION, roughness);
            let mut readouts = row.readouts();
            readouts.insert(
                1,
                row.read(
                    "tvd_draws",
                    "of its draws, 20 bins",
                    "",
                    mean_of(&coarse_draws, &coarse_truths, total_variation),
                ),
            );
            readouts.insert(2, row.read("distinct", "different numbers", "of 1,024", different));
            list.extend(readouts);
        }
        let truth = self.truths.iter().map(|truth| self.roughness.of(truth)).sum::<f64>() / self.truths.len() as f64;
        list.push(Readout::new("roughness_truth", "The truth", Ink::Truth, "roughness", "", truth));
        let said =
            "Averages over the four prompts. A head that can only repeat what it saw draws few different numbers.";
        Panel::new("readouts", "The heads in numbers", said, 6, Body::Readouts(list))
    }
}

impl Lab for FourierRandom {
    const CARD: Card = Card {
        slug: "fourier-head-random",
        title: "Random numbers",
        hook: "Can 64 examples teach a model to draw at random?",
        page: PAGE,
        papers: &[PAPER],
        chance: true,
        presets: &[
            Preset { label: "64 examples", query: "" },
            Preset { label: "8 examples", query: "examples=8" },
            Preset { label: "2,000 examples", query: "examples=2000" },
            Preset { label: "Too many waves", query: "frequencies=99" },
            Preset { label: "Sized for a GPU", query: "width=2048&batch=4096&examples=2000" },
        ],
        experiments: &[Experiment {
            id: "more-than-repeats",
            claim: "From 64 examples a prompt the Fourier head draws more than it saw, and is nearer to the density asked for",
            paper: "fourier-head",
            point: 8,
            how: "Four prompts, 64 examples each, 200 bins, N = 8, 600 steps; 1,024 draws a prompt.",
            quick: true,
            runs: &[("64", "")],
            seeds: &[42, 43, 44],
            measures: &[
                Measure {
                    name: "Fourier, total variation",
                    figure: |runs| runs.get("64", "tvd_fourier"),
                    needed: Bound::AtMost(0.18),
                    card: Bound::AtMost(0.18),
                    card_measured: ".11 (linear .42; seeds 42, 43, 44)",
                },
                Measure {
                    name: "different numbers, Fourier / linear",
                    figure: |runs| runs.get("64", "distinct_fourier") / runs.get("64", "distinct_linear"),
                    needed: Bound::AtLeast(1.5),
                    card: Bound::AtLeast(1.5),
                    card_measured: "86 / 41 (seeds 42, 43, 44)",
                },
            ],
        }],
        batches: &[],
    };
    type Params = RandomParams;

    async fn start(params: &RandomParams, host: &Host) -> Result<Self, LabError> {
        let mut stream = Stream::new(params.seed, "data");
        let examples = PROMPTS.map(|[mean, deviation]| {
            let numbers = (0..params.examples).map(|_| stream.normal(mean, deviation));
            numbers.map(|number| bin_of(number, BINS)).collect()
        });
        let config = ContestConfig {
            widths: vec![PROMPTS.len(), EMBEDDED, params.width],
            embeds: true,
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
            examples: examples.to_vec(),
            truths: PROMPTS.iter().map(|&[mean, deviation]| gaussian(mean, deviation, BINS)).collect(),
            roughness: Roughness::new(BINS),
            said: Vec::new(),
        };
        lab.evaluate(host).await?;
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        let device = host.device.clone().autodiff();
        let mut stream = Stream::at(self.params.seed, "batch", self.contest.step);
        let (mut input, mut target) = (Vec::new(), Vec::new());
        for _ in 0..self.params.batch {
            let prompt = stream.below(PROMPTS.len());
            input.extend(one_hot(prompt));
            target.push(self.examples[prompt][stream.below(self.params.examples)] as i32);
        }
        let input = tensor(input, [self.params.batch, PROMPTS.len()], &device);
        let target = Tensor::<1, Int>::from_data(TensorData::new(target, [self.params.batch]), &device);
        self.contest.step(input, target).await?;
        let done = self.contest.step >= self.params.steps as u64;
        if self.contest.step.is_multiple_of(EVALUATE_EVERY) || done {
            self.evaluate(host).await?;
        }
        Ok(if done { Status::Done } else { Status::Running })
    }

    async fn settle(&mut self) -> Result<(), LabError> {
        self.contest.settle().await
    }

    fn frame(&self, params: &RandomParams) -> Frame {
        let [distance, loss] = self.curves(params);
        let panels = vec![self.density_panel(params), self.draws_panel(params), distance, loss, self.readouts_panel()];
        Frame { step: self.contest.step, of: Some(params.steps as u64), panels, offers: vec![] }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.contest.step);
        self.contest.save(&mut state).await?;
        for (contender, pmfs) in self.contest.contenders.iter().zip(&self.said) {
            let rounded = pmfs.iter().map(|pmf| pmf.iter().map(|&share| share as f32).collect());
            state.put(&format!("{}, said", contender.kind.key()), rounded.collect());
        }
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        self.contest.restore(state)?;
        for (contender, pmfs) in self.contest.contenders.iter().zip(&mut self.said) {
            let said = state.get(&format!("{}, said", contender.kind.key()))?;
            *pmfs = said.iter().map(|pmf| pmf.iter().map(|&share| f64::from(share)).collect()).collect();
        }
        Ok(())
    }
}

fn one_hot(prompt: usize) -> [f32; PROMPTS.len()] {
    std::array::from_fn(|index| f32::from(u8::from(index == prompt)))
}

fn distinct(counts: &[f64]) -> usize {
    counts.iter().filter(|&&count| count > 0.0).count()
}

/// Shares in the coarser bins.
fn coarse(counts: &[f64], total: f64) -> Vec<f64> {
    counts.chunks_exact(BINS / COARSE).map(|group| group.iter().sum::<f64>() / total).collect()
}

fn mean_of(pmfs: &[Vec<f64>], truths: &[Vec<f64>], distance: fn(&[f64], &[f64]) -> f64) -> f64 {
    pmfs.iter().zip(truths).map(|(pmf, truth)| distance(truth, pmf)).sum::<f64>() / pmfs.len() as f64
}
