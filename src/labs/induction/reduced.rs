//! The reduced model: three nested logits under gradient flow.

use super::{PAGE, PAPER};
use crate::chart::{Axis, Chart, Ink, Mark, number};
use crate::lab::{
    Body, Bound, Card, Experiment, Frame, History, Host, Lab, LabError, Measure, Panel, Preset, Readout, State, Status,
};
use crate::mech::nested_logits::{Logits, NestedLogits};
use crate::params;

/// Time of one Euler step, and how many make a step of the run: one unit of time.
const DT: f64 = 0.05;
const EULER_STEPS: usize = 20;

params! {
    pub struct ReducedParams {
        /// Pairs of item and label in a context.
        pairs: usize = int("Pairs", 8, 2..=64).symbol("N"),
        /// Labels that there are; at least as many as pairs.
        labels: usize = int("Labels", 32, 2..=256).symbol("L"),
        /// Where it starts: how strongly a label looks at the item before it.
        beta: f64 = real("Looking back", 0.0, -2.0..=6.0).symbol("β₁"),
        /// Where it starts: how strongly the target looks for its own class.
        alpha: f64 = real("Matching", 0.0, -2.0..=8.0).symbol("α"),
        /// Where it starts: how strongly the classifier trusts what the target finds.
        xi: f64 = real("Trust", 0.0, -2.0..=10.0).symbol("ξ"),
        /// Time of the whole run. A step of the run is one unit, followed in twenty small ones.
        time: usize = int("Time", 80, 10..=600),
    }
}

/// What is followed: its name, its ink.
const LOGITS: [(&str, &str, Ink); 3] = [
    ("beta", "β₁, looking back", Ink::Baseline2),
    ("alpha", "α, matching", Ink::Method),
    ("xi", "ξ, trust", Ink::Baseline),
];

pub struct InductionReduced {
    params: ReducedParams,
    model: NestedLogits,
    time: u64,
    logits: Logits,
    loss: History,
    numbers: [History; 3],
    layers: [History; 3],
    /// Length of the gradient.
    slope: History,
    /// When the loss was first within 0.1 of ln N, half of ln N, and 0.1; NaN if not yet.
    times: [f64; 3],
}

impl InductionReduced {
    fn bounds(&self) -> [f64; 3] {
        let guess = (self.model.pairs as f64).ln();
        [guess + 0.1, 0.5 * guess, 0.1]
    }

    fn watch(&mut self, time: f64) {
        let loss = self.model.read(self.logits).loss;
        let bounds = self.bounds();
        for (first, bound) in self.times.iter_mut().zip(bounds) {
            if first.is_nan() && loss <= bound {
                *first = time;
            }
        }
    }

    fn remember(&mut self) {
        let read = self.model.read(self.logits);
        self.loss.push(self.time, read.loss);
        for (history, value) in self.numbers.iter_mut().zip(self.logits) {
            history.push(self.time, value);
        }
        for (history, value) in self.layers.iter_mut().zip([read.layer_1, read.layer_2, read.context_label_mass]) {
            history.push(self.time, value);
        }
        let slope = read.gradient.iter().map(|part| part * part).sum::<f64>().sqrt();
        // A logarithmic axis has no zero.
        self.slope.push(self.time, slope.max(1e-9));
    }

    fn x(&self) -> Axis {
        Axis::new("time", 0.0..self.params.time as f64)
    }

    fn loss_panel(&self) -> Panel {
        let (labels, pairs) = (self.model.labels as f64, self.model.pairs as f64);
        let marks = vec![
            Mark::Level { name: "ln L: knows nothing".to_owned(), y: labels.ln() as f32 },
            Mark::Level { name: "ln N: guesses among the labels seen".to_owned(), y: pairs.ln() as f32 },
            self.loss.line("loss", Ink::Method),
        ];
        let chart = Chart::new(self.x(), Axis::from_zero("loss, nats", labels.ln()), marks);
        let said = match self.times {
            [_, half, _] if half.is_finite() => format!("The cliff is at time **{}**.", number(half, 3)),
            _ if self.model.labels == self.model.pairs && self.slope.last() < 1e-6 => {
                "All labels stand in the context, so nothing is gained by preferring them: it rests here for ever."
                    .to_owned()
            }
            _ => format!(
                "First it comes to prefer the labels of the context: by now with **{} %**.",
                number(100.0 * self.layers[2].last(), 2)
            ),
        };
        Panel::new("loss", "Loss", said, 3, Body::Chart(chart))
    }

    fn numbers_panel(&self) -> Panel {
        let lines = self.numbers.iter().zip(LOGITS).map(|(history, (_, name, ink))| history.line(name, ink)).collect();
        let all = self.numbers.iter().flat_map(History::points).map(|point| f64::from(point[1]));
        let (low, high) = all.fold((0.0_f64, 1.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let chart = Chart::new(self.x(), Axis::new("value", low.floor()..high.ceil()), lines);
        let said = "{method|Matching} waits for {baseline|trust}, {baseline2|looking back} for matching; then each speeds up the others.";
        Panel::new("numbers", "Three numbers", said, 3, Body::Chart(chart))
    }

    fn layers_panel(&self) -> Panel {
        let [back, copy, mass] = &self.layers;
        let marks = vec![
            mass.line("said: a label of the context", Ink::Truth),
            back.line("label → its item", Ink::Baseline2),
            copy.line("target → right label", Ink::Method),
        ];
        let chart = Chart::new(self.x(), Axis::new("share", 0.0..1.0), marks);
        let said = format!(
            "A label gives **{} %** of its attention to the {{baseline2|item before it}}, the target **{} %** to the {{method|right label}}.",
            number(100.0 * back.last(), 2),
            number(100.0 * copy.last(), 2)
        );
        Panel::new("layers", "What they amount to", said, 3, Body::Chart(chart))
    }

    fn slope_panel(&self) -> Panel {
        let slopes = self.slope.points().iter().map(|point| f64::from(point[1]));
        let (low, high) =
            slopes.fold((f64::INFINITY, 1e-9_f64), |(low, high), value| (low.min(value), high.max(value)));
        let decade = |value: f64, up: bool| 10f64.powf(if up { value.log10().ceil() } else { value.log10().floor() });
        let y = Axis::log(
            "length of the gradient, log",
            decade(low, false)..decade(high, true).max(10.0 * decade(low, false)),
        );
        let chart = Chart::new(self.x(), y, vec![self.slope.line("gradient", Ink::Muted)]);
        let said = format!(
            "How steep it is where the three numbers stand: **{}** at its least so far, **{}** at its most.",
            number(low, 2),
            number(high, 2)
        );
        Panel::new("slope", "The way down", said, 3, Body::Chart(chart))
    }

    fn terms_panel(&self) -> Panel {
        let read = self.model.read(self.logits);
        let mut list = Vec::new();
        for ((value, slope), (key, name, ink)) in self.logits.into_iter().zip(read.gradient).zip(LOGITS) {
            list.push(Readout::new(key, name, ink, "value", "", value));
            list.push(Readout::new(format!("{key}_slope"), name, ink, "pushed by", "", -slope));
        }
        for (key, name, value) in [
            ("layer_1", "label → its item", read.layer_1),
            ("layer_2", "target → right label", read.layer_2),
            ("correct", "said: the right label", read.correct),
            ("mass", "said: a label of the context", read.context_label_mass),
            ("loss", "loss, nats", read.loss),
        ] {
            list.push(Readout::new(key, name, Ink::Truth, "value", "", value));
        }
        let names = ["loss ≤ ln N + 0.1", "loss ≤ half of ln N", "loss ≤ 0.1"];
        for ((key, name), time) in ["time_plateau", "time_half", "time_end"].into_iter().zip(names).zip(self.times) {
            // One that has not come is left out.
            if time.is_finite() {
                list.push(Readout::new(key, name, Ink::Muted, "at time", "", time));
            }
        }
        let said = "What each number is, and what pushes it: the slope of the loss along it, downhill.";
        Panel::new("readouts", "Term by term", said, 6, Body::Readouts(list))
    }
}

impl Lab for InductionReduced {
    const CARD: Card = Card {
        slug: "induction-reduced",
        title: "Three numbers",
        hook: "Why flat, and then a cliff?",
        page: PAGE,
        papers: &[PAPER],
        chance: false,
        presets: &[
            Preset { label: "8 pairs, 32 labels", query: "" },
            Preset { label: "4 pairs, 32 labels", query: "pairs=4&time=40" },
            Preset { label: "16 pairs, 64 labels", query: "pairs=16&labels=64&time=160" },
            Preset { label: "Stuck: 8 pairs, 8 labels", query: "labels=8&time=100" },
            Preset { label: "A push: 8 labels, from 0.1", query: "labels=8&beta=0.1&alpha=0.1&xi=0.1&time=240" },
        ],
        experiments: &[
            Experiment {
                id: "times",
                claim: "Three nested numbers have a plateau and a cliff, later the more pairs there are",
                paper: "induction",
                point: 13,
                how: "Gradient flow from zero, Euler steps of 0.05: when the loss is first below ln N + 0.1, half of ln N, and 0.1.",
                quick: true,
                runs: &[("8", "time=80"), ("4", "pairs=4&time=80"), ("16", "pairs=16&labels=64&time=160")],
                seeds: &[1],
                measures: &[
                    apart("N 8: ln N + 0.1, share off 47.8", |runs| off(runs.get("8", "time_plateau"), 47.8), "47.8"),
                    apart("N 8: half, share off 49.1", |runs| off(runs.get("8", "time_half"), 49.1), "49.1"),
                    apart("N 8: 0.1, share off 56.8", |runs| off(runs.get("8", "time_end"), 56.8), "56.8"),
                    apart("N 4: ln N + 0.1, share off 18.7", |runs| off(runs.get("4", "time_plateau"), 18.7), "18.7"),
                    apart("N 4: half, share off 20.2", |runs| off(runs.get("4", "time_half"), 20.2), "20.2"),
                    apart("N 4: 0.1, share off 28.6", |runs| off(runs.get("4", "time_end"), 28.6), "28.6"),
                    apart(
                        "N 16: ln N + 0.1, share off 125.5",
                        |runs| off(runs.get("16", "time_plateau"), 125.5),
                        "125.5",
                    ),
                    apart("N 16: half, share off 126.5", |runs| off(runs.get("16", "time_half"), 126.5), "126.5"),
                    apart("N 16: 0.1, share off 132.3", |runs| off(runs.get("16", "time_end"), 132.3), "132.3"),
                ],
            },
            Experiment {
                id: "stuck",
                claim: "With as many labels as pairs, zero is a place that it never leaves; a push frees it late",
                paper: "induction",
                point: 13,
                how: "L = N = 8, from zero and from 0.1 in each number.",
                quick: true,
                runs: &[("zero", "labels=8&time=400"), ("push", "labels=8&beta=0.1&alpha=0.1&xi=0.1&time=240")],
                seeds: &[1],
                measures: &[
                    Measure {
                        name: "from zero: loss at the end, off ln 8",
                        figure: |runs| (runs.get("zero", "loss") - 8f64.ln()).abs(),
                        needed: Bound::AtMost(1e-6),
                        card: Bound::AtMost(0.02),
                        card_measured: "stays ln 8",
                    },
                    apart("from 0.1: half, share off 183", |runs| off(runs.get("push", "time_half"), 183.0), "183"),
                ],
            },
        ],
        batches: &[],
    };
    type Params = ReducedParams;

    async fn start(params: &ReducedParams, _host: &Host) -> Result<Self, LabError> {
        let mut lab = Self {
            params: params.clone(),
            model: NestedLogits { pairs: params.pairs, labels: params.labels.max(params.pairs) },
            time: 0,
            logits: [params.beta, params.alpha, params.xi],
            loss: History::default(),
            numbers: Default::default(),
            layers: Default::default(),
            slope: History::default(),
            times: [f64::NAN; 3],
        };
        lab.watch(0.0);
        lab.remember();
        Ok(lab)
    }

    async fn step(&mut self, _host: &Host) -> Result<Status, LabError> {
        for step in 1..=EULER_STEPS {
            self.logits = self.model.flow(self.logits, DT);
            self.watch(self.time as f64 + DT * step as f64);
        }
        self.time += 1;
        self.remember();
        Ok(if self.time >= self.params.time as u64 { Status::Done } else { Status::Running })
    }

    fn frame(&self, _params: &ReducedParams) -> Frame {
        let panels =
            vec![self.loss_panel(), self.numbers_panel(), self.layers_panel(), self.slope_panel(), self.terms_panel()];
        Frame { step: self.time, of: Some(self.params.time as u64), panels, offers: Vec::new() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.time);
        let exact: Vec<f32> = self.logits.iter().chain(&self.times).flat_map(|&number| split(number)).collect();
        state.put("logits and times", vec![exact]);
        let histories = [&self.loss, &self.slope].into_iter().chain(&self.numbers).chain(&self.layers);
        state.put("histories", histories.map(History::save).collect());
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        let other = || LabError::data("The saved run was made by another version. Start it again.");
        let exact = state.get("logits and times")?.first().ok_or_else(other)?;
        let exact: Vec<f64> = exact.as_chunks::<4>().0.iter().map(join).collect();
        let &[beta, alpha, xi, plateau, half, end] = exact.as_slice() else { return Err(other()) };
        (self.time, self.logits, self.times) = (state.step, [beta, alpha, xi], [plateau, half, end]);
        let histories: Vec<History> = state.get("histories")?.iter().map(|numbers| History::load(numbers)).collect();
        let histories: [History; 8] = histories.try_into().map_err(|_| other())?;
        let [loss, slope, first, second, third, back, copy, mass] = histories;
        (self.loss, self.slope) = (loss, slope);
        (self.numbers, self.layers) = ([first, second, third], [back, copy, mass]);
        Ok(())
    }
}

/// How far a time is from the card's, as a share.
fn off(time: f64, card: f64) -> f64 {
    (time / card - 1.0).abs()
}

const fn apart(name: &'static str, figure: fn(&crate::lab::Outcome) -> f64, card_measured: &'static str) -> Measure {
    Measure { name, figure, needed: Bound::AtMost(0.02), card: Bound::AtMost(0.02), card_measured }
}

/// A number as four parts of sixteen bits, each of which a state of singles holds exactly.
fn split(number: f64) -> [f32; 4] {
    let bits = number.to_bits();
    std::array::from_fn(|part| f32::from((bits >> (16 * part)) as u16))
}

fn join(parts: &[f32; 4]) -> f64 {
    f64::from_bits(parts.iter().rev().fold(0, |bits, &part| (bits << 16) | part as u64))
}
