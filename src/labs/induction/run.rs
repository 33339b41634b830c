//! The run: a plateau, a cliff, and the two heads that make it.

use burn::optim::GradientsParams;
use burn::prelude::*;

use super::{PAGE, PAPER};
use crate::chart::{Axis, Chart, Ink, Mark, number, thin};
use crate::lab::panel::{Arc, Moves};
use crate::lab::{
    BatchSpec, Body, Card, Frame, History, Host, Lab, LabError, Offer, Panel, ParamSet, Preset, Readout, Readouts, Row,
    State, Status, Token, Tokens, Values, read, read_each, seeded, tensor,
};
use crate::mech::adam::{Adam, AdamConfig};
use crate::mech::induction_head::{FirstHead, InductionNet, InductionNetConfig, Progress};
use crate::mech::item_sequences::{Draw, ItemConfig, Items, Sequence, Source};
use crate::mech::nested_logits::NestedLogits;
use crate::mech::ops;
use crate::mech::replicas::side_by_side;
use crate::mech::sgd::Sgd;
use crate::seed::Stream;
use crate::{choices, params};

/// Steps between two losses on record, and between two looks at the shown sequence. Each costs a way back from the device.
const RECORDED: u64 = 10;
/// Steps between two evaluations on the test sequences.
const EVALUATED: u64 = 50;
/// What is called the cliff: in-context accuracy from the first of these to the last.
const CLIFF: [f64; 3] = [0.35, 0.5, 0.9];
/// Shares of attention that are too small to be drawn.
const FAINT: f32 = 0.03;

choices! {
    pub enum First {
        Learned = "learned", "learns";
        Uniform = "uniform", "looks everywhere alike";
        Labels = "labels", "planted at the labels";
        Everywhere = "everywhere", "planted everywhere";
        Off = "off", "off: one layer";
    }
}

choices! {
    pub enum Optimizer {
        Adam = "adam", "Adam";
        Sgd = "sgd", "SGD";
    }
}

choices! {
    pub enum ShownDraw {
        InContext = "in-context", "new classes";
        Swapped = "swapped", "labels swapped";
        InWeights = "in-weights", "target not in it";
        Training = "training", "as in training";
    }
}

choices! {
    pub enum Maps {
        Shown = "shown", "the sequence";
        Mean = "mean", "mean of the test";
    }
}

choices! {
    pub enum Along {
        Classes = "classes", "classes K";
        Burst = "burst", "burst B";
        Noise = "noise", "noise ε";
        Zipf = "zipf", "Zipf exponent α";
        Pairs = "pairs", "pairs N";
    }
}

params! {
    pub struct InductionParams {
        /// Classes that there are. If there are few, they can be learned by heart.
        classes: usize = int("Classes", 4096, 8..=16384).symbol("K"),
        /// How often a class comes in a context. 0: the context says nothing about the target.
        burst: usize = int("Burst", 1, 0..=32).symbol("B"),
        /// Labels that there are; each class has one of them.
        labels: usize = int("Labels", 32, 2..=64).symbol("L"),
        /// Pairs of item and label in a context.
        pairs: usize = int("Pairs", 8, 2..=32).symbol("N"),
        /// How much an item differs from the mean of its class.
        noise: f64 = real("Noise", 0.1, 0.0..=2.0).symbol("ε"),
        /// How unlike the frequencies of the classes are: the k-th comes with k to the power −α.
        zipf: f64 = real("Zipf exponent", 0.0, 0.0..=2.0).symbol("α"),
        /// Share of the contexts that hold the target's class.
        bursty: f64 = real("Contexts that help", 1.0, 0.0..=1.0).symbol("p_B").more(),
        /// Share of the sequences with classes that were never seen and never come again.
        fresh: f64 = real("New classes", 0.0, 0.0..=1.0).symbol("p_C").more(),
        /// What the first head does. It can be changed while it trains.
        first_head: First = choice("First head", First::Learned.value(), First::OPTIONS).live(),
        /// Without it the target has only what the first head finds.
        second_head: bool = toggle("Second head", true).live(),
        /// Which of the sequences is shown.
        example: usize = int("Sequence", 0, 0..=999).view(),
        /// How the shown sequence is drawn.
        drawn: ShownDraw = choice("Drawn with", ShownDraw::InContext.value(), ShownDraw::OPTIONS).view().clears("sequence"),
        /// A sequence of your own: classes by number, new ones as n1, n2; a label after a colon; the target comes last. Empty for a drawn one.
        sequence: String = text("Your sequence", "", 400).view(),
        /// The token whose attention the arcs show; the target, if none is chosen.
        query: Option<usize> = pick("Token that looks", 65).view(),
        /// What the attention maps show.
        maps: Maps = choice("Maps of", Maps::Shown.value(), Maps::OPTIONS).view(),
        /// What steps the weights. The paper uses SGD, which takes tens of thousands of steps.
        optimizer: Optimizer = choice("Optimizer", Optimizer::Adam.value(), Optimizer::OPTIONS).more(),
        /// Size of an optimizer step.
        learning_rate: f64 = real("Learning rate", 0.003, 1e-4..=0.3).symbol("η").step_size(),
        /// How much of each weight a step takes away, times the rate.
        decay: f64 = real("Weight decay", 0.0, 0.0..=0.1).more(),
        /// Steps of the whole run.
        steps: usize = int("Steps", 2000, 50..=100000),
        /// Sequences in a step.
        batch: usize = int("Batch", 64, 8..=1024).more(),
        /// Numbers of an item or a label.
        item_width: usize = int("Item width", 31, 4..=255).symbol("D").more(),
        /// Positions that there are. A sequence starts at any from which it fits.
        slots: usize = int("Position slots", 33, 5..=257).symbol("P").more(),
        /// Neurons in each hidden layer of the classifier.
        width: usize = int("Classifier width", 64, 8..=512).more(),
        /// Sequences of each test.
        tested: usize = int("Test sequences", 128, 32..=1000).more(),
        /// What the map of many runs changes from left to right.
        across: Along = choice("Map, across", Along::Classes.value(), Along::OPTIONS).view().more(),
        /// What it changes from bottom to top.
        upward: Along = choice("Map, upward", Along::Burst.value(), Along::OPTIONS).view().more(),
    }
}

impl InductionParams {
    fn items(&self) -> ItemConfig {
        ItemConfig {
            classes: self.classes,
            labels: self.labels,
            pairs: self.pairs,
            burst: self.burst,
            d_item: self.item_width,
            d_position: self.slots.max(2 * self.pairs + 1),
            noise: self.noise,
            zipf: self.zipf,
            bursty: self.bursty,
            fresh: self.fresh,
        }
    }

    fn first(&self) -> FirstHead {
        match self.first_head {
            First::Learned => FirstHead::Learned,
            First::Uniform => FirstHead::Uniform,
            First::Labels => FirstHead::LabelsLookBack,
            First::Everywhere => FirstHead::AllLookBack,
            First::Off => FirstHead::Off,
        }
    }
}

impl ShownDraw {
    fn draw(self) -> Draw {
        match self {
            Self::InContext => Draw::InContext,
            Self::Swapped => Draw::Swapped,
            Self::InWeights => Draw::InWeights,
            Self::Training => Draw::Training,
        }
    }
}

/// What is asked in a test, and how well it went so far.
struct Test {
    key: &'static str,
    name: &'static str,
    ink: Ink,
    context: Vec<Vec<usize>>,
    answers: Vec<usize>,
    accuracy: History,
}

const TESTS: [(&str, &str, Draw, Ink); 3] = [
    ("ic", "new classes", Draw::InContext, Ink::Method),
    ("ic2", "labels swapped", Draw::Swapped, Ink::Baseline2),
    ("iwl", "by memory", Draw::InWeights, Ink::Baseline),
];

/// The measures of progress, in the order of [`measures`].
const MEASURES: [(&str, &str, Ink); 5] = [
    ("item_label_1", "label → its item", Ink::Baseline2),
    ("target_label_2", "target → right label", Ink::Method),
    ("target_item_2", "target → right item", Ink::Baseline),
    ("all_labels_2", "target → labels", Ink::Muted),
    ("context_label_mass", "said: a label of the context", Ink::Truth),
];

fn measures(progress: &Progress) -> [f64; 5] {
    [
        progress.item_label_1,
        progress.target_label_2,
        progress.target_item_2,
        progress.all_labels_2,
        progress.context_label_mass,
    ]
}

/// The sequence that the reader looks at.
struct Shown {
    sequence: Sequence,
    /// Why it is not the one that the reader wrote.
    refused: Option<String>,
    input: Tensor<3>, // [1, tokens, width]
    /// Who looks at whom, in each head.
    looks: [Vec<f32>; 2],
    probabilities: Vec<f32>,
}

/// Networks, each with data of its own, that are trained in the same tensors: one, but for the runs of a batch.
pub struct Induction {
    net: InductionNet,
    adam: Adam,
    /// What each test asks of each network. `[runs * tested, tokens, width]`
    asked: Vec<Tensor<3>>,
    runs: Vec<Run>,
}

/// The data of one network, and how it fares.
struct Run {
    params: InductionParams,
    items: Items,
    step: u64,
    loss: History,
    tests: Vec<Test>,
    progress: [History; 5],
    /// Mean looks over the test of new classes, in each head.
    mean_looks: [Vec<f32>; 2],
    shown: Shown,
}

impl Induction {
    /// What decides how the networks are trained, which is the same for all.
    fn params(&self) -> &InductionParams {
        &self.runs[0].params
    }

    async fn evaluate(&mut self) -> Result<(), LabError> {
        let (first, second) = (self.params().first(), self.params().second_head);
        for (index, asked) in self.asked.iter().enumerate() {
            let asked = asked.clone();
            let [logits, looks_1, looks_2] = if TESTS[index].0 == "ic" {
                let look = self.net.look(asked, first, second, true);
                read_each([look.logits.flatten::<1>(0, 1), look.first.flatten(0, 2), look.second.flatten(0, 2)]).await?
            } else {
                [read(self.net.forward(asked, first, second).inner()).await?, vec![], vec![]]
            };
            let count = self.runs.len();
            for (at, run) in self.runs.iter_mut().enumerate() {
                let [logits, looks_1, looks_2] = [&logits, &looks_1, &looks_2].map(|numbers| {
                    let length = numbers.len() / count;
                    &numbers[at * length..][..length]
                });
                run.judge(index, logits, [looks_1, looks_2]);
            }
        }
        Ok(())
    }

    /// Looks at the shown sequence, which is the first run's.
    async fn look(&mut self) -> Result<(), LabError> {
        let [run] = self.runs.as_mut_slice() else { return Ok(()) };
        let look = self.net.look(run.shown.input.clone(), run.params.first(), run.params.second_head, true);
        let numbers =
            [ops::softmax(look.logits).flatten::<1>(0, 1), look.first.flatten(0, 2), look.second.flatten(0, 2)];
        let [probabilities, first, second] = read_each(numbers).await?;
        (run.shown.looks, run.shown.probabilities) = ([first, second], probabilities);
        Ok(())
    }
}

impl Run {
    /// Takes data and tests from the streams of its seed; gives what each test asks, `[tested, tokens, width]`.
    fn new(params: &InductionParams, host: &Host) -> (Self, Vec<Vec<f32>>) {
        let items = Items::new(params.items(), &mut Stream::new(params.seed, "data"));
        let mut stream = Stream::new(params.seed, "eval");
        let test = |(key, name, draw, ink)| {
            let sequences: Vec<Sequence> = (0..params.tested).map(|_| items.draw(draw, &mut stream)).collect();
            let asked = items.write(&sequences, &mut stream);
            let context = sequences.iter().map(|sequence| sequence.pairs.iter().map(|pair| pair.1).collect()).collect();
            let answers = sequences.iter().map(|sequence| sequence.answer).collect();
            (Test { key, name, ink, context, answers, accuracy: History::default() }, asked)
        };
        let (tests, asked) = TESTS.into_iter().map(test).unzip();
        let run = Self {
            shown: shown(params, &items, host),
            params: params.clone(),
            items,
            step: 0,
            loss: History::default(),
            tests,
            progress: Default::default(),
            mean_looks: Default::default(),
        };
        (run, asked)
    }

    fn tokens(&self) -> usize {
        self.items.config().tokens()
    }

    /// The sequences of the next step, `[batch, tokens, width]`, and their answers.
    fn batch(&self) -> (Vec<f32>, Vec<i32>) {
        let mut stream = Stream::at(self.params.seed, "batch", self.step);
        let sequences: Vec<Sequence> =
            (0..self.params.batch).map(|_| self.items.draw(Draw::Training, &mut stream)).collect();
        let numbers = self.items.write(&sequences, &mut stream);
        (numbers, sequences.iter().map(|sequence| sequence.answer as i32).collect())
    }

    /// Takes the answers of a test, and who looked at whom where that was asked.
    fn judge(&mut self, test: usize, logits: &[f32], looks: [&[f32]; 2]) {
        let tokens = self.tokens();
        let test = &mut self.tests[test];
        if test.key == "ic" {
            let cells = tokens * tokens;
            self.mean_looks = looks.map(|maps| mean_map(maps, cells));
            let [looks_1, looks_2] = looks;
            let last: Vec<f32> = looks_2.chunks(cells).flat_map(|map| &map[cells - tokens..]).copied().collect();
            let context: Vec<&[usize]> = test.context.iter().map(Vec::as_slice).collect();
            let progress = Progress::of(&context, &test.answers, logits, looks_1, &last);
            for (history, value) in self.progress.iter_mut().zip(measures(&progress)) {
                history.push(self.step, value);
            }
        }
        let said = logits.chunks_exact(self.params.labels).map(likeliest);
        let right = said.zip(&test.answers).filter(|(said, answer)| said == *answer).count();
        test.accuracy.push(self.step, right as f64 / test.answers.len() as f64);
    }

    /// The step at which the test of new classes first reached a share.
    fn reached(&self, share: f64) -> Option<u64> {
        self.tests[0].accuracy.first_at_least(share)
    }

    fn steps(&self) -> f64 {
        self.params.steps as f64
    }

    /// Different labels in a context.
    fn labels_seen(&self) -> usize {
        self.params.pairs.div_ceil(self.params.burst.max(1))
    }

    fn cliff(&self) -> Option<Mark> {
        self.reached(CLIFF[1]).map(|step| Mark::Moment { name: format!("step {step}"), x: step as f32 })
    }

    fn loss_panel(&self) -> Panel {
        let levels =
            [(self.params.labels, "ln L: knows nothing"), (self.labels_seen(), "guesses among the labels seen")];
        let level = |(count, name): (usize, &str)| Mark::Level { name: name.to_owned(), y: (count as f32).ln() };
        let mut marks: Vec<Mark> = levels.map(level).into();
        marks.push(self.loss.line("loss", Ink::Method));
        marks.extend(self.cliff());
        let top =
            self.loss.points().iter().fold((self.params.labels as f64).ln(), |top, point| top.max(f64::from(point[1])));
        let chart =
            Chart::new(Axis::new("step", 0.0..self.steps()), Axis::from_zero("loss on the batch, nats", top), marks);
        let [context, memory] = [0, 2].map(|test: usize| self.tests[test].accuracy.last());
        let said = match (self.reached(CLIFF[2]), self.reached(CLIFF[0])) {
            (Some(end), Some(begin)) => format!(
                "From 35 % right by context at step **{begin}** to 90 % it took **{}** steps. Dotted: where half were right.",
                (end - begin).max(EVALUATED)
            ),
            (None, Some(begin)) => format!("Since step **{begin}** the context is right in 35 % and more."),
            _ if memory > 0.3 => {
                format!(
                    "It falls, but by {{baseline|memory}}: by context, **{} %** are right.",
                    number(100.0 * context, 2)
                )
            }
            _ if self.step >= self.params.steps as u64 => "No cliff in this run.".to_owned(),
            _ => "Nothing yet. Fig. 6 shows what is under way.".to_owned(),
        };
        Panel::new("loss", "Loss", said, 3, Body::Chart(chart))
    }

    fn accuracy_panel(&self) -> Panel {
        let level = |count: usize, name: &str| Mark::Level { name: name.to_owned(), y: 1.0 / count as f32 };
        let mut marks =
            vec![level(self.params.labels, "chance"), level(self.labels_seen(), "a guess among the labels seen")];
        marks.extend(self.tests.iter().rev().map(|test| test.accuracy.line(test.name, test.ink)));
        marks.extend(self.cliff());
        let chart =
            Chart::new(Axis::new("step", 0.0..self.steps()), Axis::new("share of right labels", 0.0..1.0), marks);
        let share = |index: usize| number(100.0 * self.tests[index].accuracy.last(), 2);
        let said = format!(
            "Right by {{method|context}}: **{} %**, with the labels {{baseline2|swapped}} **{} %**. Right by {{baseline|memory}}: **{} %**.",
            share(0),
            share(1),
            share(2)
        );
        Panel::new("accuracy", "Context or memory?", said, 3, Body::Chart(chart))
    }

    fn progress_panel(&self) -> Panel {
        let lines = self.progress.iter().zip(MEASURES).rev();
        let mut marks: Vec<Mark> = lines.map(|(history, (_, name, ink))| history.line(name, ink)).collect();
        marks.extend(self.cliff());
        let chart = Chart::new(Axis::new("step", 0.0..self.steps()), Axis::new("share", 0.0..1.0), marks);
        let [look_back, copy, ..] = &self.progress;
        let said = format!(
            "A label gives **{} %** of its attention to the {{baseline2|item before it}}, the target **{} %** to {{method|right labels}}.",
            number(100.0 * look_back.last(), 2),
            number(100.0 * copy.last(), 2)
        );
        Panel::new("progress", "Two heads form", said, 3, Body::Chart(chart))
    }

    /// The reduced model's loss on the steps of the run: its time is stretched so that both fall by half at once.
    fn reduced_panel(&self) -> Panel {
        let model = NestedLogits { pairs: self.params.pairs, labels: self.params.labels.max(self.params.pairs) };
        let (curve, half) = reduced_loss(model);
        let found = self.reached(CLIFF[1]);
        let stretch = found.map(|step| step as f64).unwrap_or(0.7 * self.steps()) / half;
        let points: Vec<[f32; 2]> = curve
            .iter()
            .map(|&[time, loss]| [(time * stretch) as f32, loss as f32])
            .filter(|point| f64::from(point[0]) <= self.steps())
            .collect();
        let mut marks = vec![
            Mark::line("three numbers", Ink::Baseline2, thin(&points, 256)),
            self.loss.line("the network", Ink::Method),
        ];
        marks.extend(self.cliff());
        let top = (self.params.labels as f64).ln();
        let chart = Chart::new(Axis::new("step", 0.0..self.steps()), Axis::from_zero("loss, nats", top), marks);
        let said = match found {
            Some(_) => format!(
                "The {{baseline2|reduced model}} beside the {{method|network}}: one step counts as **{}** of its time, so that its fall and the dotted line meet. It knows no bursts and no noise.",
                number(1.0 / stretch, 2)
            ),
            None => "A {baseline2|model of three numbers}. Its time is set when the cliff has come; until then it is drawn to fall at 70 % of the run.".to_owned(),
        };
        Panel::new("reduced", "Three numbers alike", said, 3, Body::Chart(chart))
    }

    fn map_panel(&self, head: usize, params: &InductionParams) -> Panel {
        let (looks, of) = match params.maps {
            Maps::Shown => (&self.shown.looks[head], "of the sequence above"),
            Maps::Mean => (&self.mean_looks[head], "on average over the test of new classes"),
        };
        let tokens = looks.len().isqrt();
        let edge = tokens as f32;
        // Rows are drawn from the bottom, and the first token is to stand on top.
        let values =
            (0..tokens).rev().flat_map(|row| looks[row * tokens..(row + 1) * tokens].iter().copied()).collect();
        let heat = Mark::Heat {
            name: "share".to_owned(),
            signed: false,
            rows: tokens,
            columns: tokens,
            x: [0.0, edge],
            y: [0.0, edge],
            values,
        };
        let name = |token: usize| token_name(token, tokens);
        let mut x = Axis::new("looks at", 0.0..f64::from(edge));
        x.ticks = (0..tokens).map(|token| (token as f64 + 0.5, name(token))).collect();
        let mut y = Axis::new("token", 0.0..f64::from(edge));
        y.ticks = (0..tokens).map(|token| ((tokens - token) as f64 - 0.5, name(token))).collect();
        let chart = Chart::new(x, y, vec![heat]);
        let (id, title, what) = match head {
            0 => ("first-head", "First head", "Who looks at whom"),
            _ => ("second-head", "Second head", "The same, one layer up; only the lowest row, the target’s, is used"),
        };
        Panel::new(id, title, format!("{what}, {of}: the stronger the color, the more."), 3, Body::Chart(chart))
    }

    fn sequence_panel(&self, params: &InductionParams) -> Panel {
        let shown = &self.shown;
        let count = 2 * shown.sequence.pairs.len() + 1;
        let query = params.query.filter(|&query| query < count).unwrap_or(count - 1);
        let mut seen: Vec<usize> = Vec::new();
        for (_, label) in &shown.sequence.pairs {
            if !seen.contains(label) {
                seen.push(*label);
            }
        }
        let class_of = |label: usize| seen.iter().position(|other| *other == label).map(|at| (at % 8) as u8);
        let mut tokens = Vec::with_capacity(count);
        for (source, label) in &shown.sequence.pairs {
            tokens.push(Token {
                text: source_name(*source),
                note: "item".to_owned(),
                class: class_of(*label),
                chosen: false,
            });
            tokens.push(Token {
                text: label.to_string(),
                note: "label".to_owned(),
                class: class_of(*label),
                chosen: false,
            });
        }
        tokens.push(Token {
            text: source_name(shown.sequence.target),
            note: "target".to_owned(),
            class: None,
            chosen: false,
        });
        tokens[query].chosen = true;
        let arcs = shown.looks.iter().enumerate().flat_map(|(head, looks)| {
            let row = looks.get(query * count..(query + 1) * count).unwrap_or_default();
            row.iter().enumerate().filter(|(_, share)| **share > FAINT).map(move |(to, &share)| Arc {
                from: query,
                to,
                share,
                above: head == 0,
            })
        });
        let words = words(&shown.sequence);
        let word_of = (0..count).map(|token| token / 2).collect();
        let tokens = Tokens {
            arcs: arcs.collect(),
            tokens,
            moves: Some(Moves { key: "sequence".to_owned(), words, word_of }),
            wraps: false,
            many: false,
        };
        let likeliest = likeliest(&shown.probabilities);
        let certain = shown.probabilities.get(likeliest).copied().unwrap_or(f32::NAN);
        let verdict = if likeliest == shown.sequence.answer { "right" } else { "wrong" };
        let answer = shown.sequence.answer;
        let mut said = format!(
            "Asked for the label of **{}**, it says **{likeliest}** with **{} %**: {verdict}, it is {answer}. Arcs: where the chosen token looks, in the first head above, in the second below. n1, n2 … are new classes.",
            source_name(shown.sequence.target),
            number(f64::from(100.0 * certain), 2)
        );
        if let Some(refused) = &shown.refused {
            said = format!("{refused} A drawn sequence is shown. {said}");
        }
        Panel::new("sequence", "A sequence", said, 6, Body::Tokens(tokens)).edits("query")
    }

    fn readouts_panel(&self) -> Panel {
        let mut list = Vec::new();
        // A step that has not come is left out.
        let when = |key: &str, of: &str, ink: Ink, name: &str, step: Option<u64>| {
            step.map(|step| Readout::new(key, of, ink, name, "", step as f64))
        };
        let now = |key: &str, of: &str, ink: Ink, history: &History| {
            let mut readout = Readout::new(key, of, ink, "now", "", history.last());
            readout.trend = history.trend();
            readout.value.is_finite().then_some(readout)
        };
        list.extend(now("loss", "loss, nats", Ink::Method, &self.loss));
        for test in &self.tests {
            let of = format!("right, {}", test.name);
            list.extend(now(test.key, &of, test.ink, &test.accuracy));
            if test.key == "ic" {
                for (key, share) in ["step_35", "step_50", "step_90"].into_iter().zip(CLIFF) {
                    let name = format!("{} % at step", 100.0 * share);
                    list.extend(when(key, &of, test.ink, &name, self.reached(share)));
                }
            }
        }
        let halves = ["step_back", "step_copy"];
        for (index, (history, (key, name, ink))) in self.progress.iter().zip(MEASURES).enumerate() {
            list.extend(now(key, name, ink, history));
            if let Some(half) = halves.get(index) {
                list.extend(when(half, name, ink, "first at half of it", history.first_at_least(0.5 * history.last())));
            }
        }
        if let (Some(begin), Some(end)) = (self.reached(CLIFF[0]), self.reached(CLIFF[2])) {
            // What was so on the plateau, its first 60 %, and just before the cliff.
            let (plateau, before) = (0.6 * end as f64, 0.64 * end as f64);
            let until = |history: &History, step: f64| {
                history
                    .points()
                    .iter()
                    .take_while(|point| f64::from(point[0]) <= step)
                    .map(|point| f64::from(point[1]))
                    .collect()
            };
            let flat: Vec<f64> = until(&self.loss, plateau);
            let [labels, right]: [Vec<f64>; 2] =
                [&self.progress[3], &self.tests[0].accuracy].map(|history| until(history, before));
            let values = [
                ("abruptness", "cliff / all steps to its end", Some((end - begin) as f64 / end as f64)),
                ("plateau", "plateau: least loss, nats", flat.into_iter().reduce(f64::min)),
                ("early_labels", "just before: target → labels", labels.last().copied()),
                ("early_ic", "just before: right, new classes", right.last().copied()),
            ];
            list.extend(
                values
                    .into_iter()
                    .filter_map(|(key, of, value)| Some(Readout::new(key, of, Ink::Muted, "now", "", value?))),
            );
        }
        let said = format!(
            "Each test has **{}** sequences; chance is 1 in **{}**. “Just before” is at 64 % of the steps to 90 %.",
            self.params.tested, self.params.labels
        );
        Panel::new("readouts", "In numbers", said, 6, Body::Readouts(list))
    }

    /// Sequences worth a look: those of the shown one with two labels exchanged.
    fn offers(&self) -> Vec<Offer> {
        let sequence = &self.shown.sequence;
        let other = sequence.pairs.iter().map(|pair| pair.1).find(|label| *label != sequence.answer);
        let Some(other) = other else { return Vec::new() };
        let swapped = |label: usize| match label {
            label if label == sequence.answer => other,
            label if label == other => sequence.answer,
            label => label,
        };
        let pairs = sequence.pairs.iter().map(|(source, label)| (*source, swapped(*label))).collect();
        let swapped = Sequence { pairs, ..sequence.clone() };
        vec![Offer {
            label: format!("Swap the labels {} and {other}", sequence.answer),
            query: format!("sequence={}", crate::lab::params::encode(&words(&swapped).join(" "))),
        }]
    }
}

/// The reduced model's loss from zero, `[time, loss]`, and when it has fallen by half of ln N below it.
fn reduced_loss(model: NestedLogits) -> (Vec<[f64; 2]>, f64) {
    let dt = 0.05;
    let low = 0.5 * (model.pairs as f64).ln();
    let (mut logits, mut half, mut curve) = ([0.0; 3], None, Vec::new());
    for step in 0_u32..20_000 {
        let time = f64::from(step) * dt;
        let loss = model.read(logits).loss;
        curve.push([time, loss]);
        if half.is_none() && loss < low {
            half = Some(time);
        }
        if half.is_some_and(|half| time > 2.0 * half + 5.0) {
            break;
        }
        logits = model.flow(logits, dt);
    }
    let end = curve.last().map_or(1.0, |point| point[0]);
    (curve, half.unwrap_or(end))
}

fn likeliest(numbers: &[f32]) -> usize {
    let greatest = numbers.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    greatest.map_or(0, |(index, _)| index)
}

fn mean_map(maps: &[f32], cells: usize) -> Vec<f32> {
    let mut mean = vec![0.0; cells];
    let share = cells as f32 / maps.len() as f32;
    for map in maps.chunks_exact(cells) {
        for (mean, look) in mean.iter_mut().zip(map) {
            *mean += share * look;
        }
    }
    mean
}

fn token_name(token: usize, tokens: usize) -> String {
    match token {
        last if last + 1 == tokens => "target".to_owned(),
        item if item % 2 == 0 => format!("item {}", item / 2 + 1),
        label => format!("label {}", label / 2 + 1),
    }
}

fn source_name(source: Source) -> String {
    match source {
        Source::Class(class) => class.to_string(),
        Source::Fresh(index) => format!("n{}", index + 1),
    }
}

/// A sequence as the reader may write it.
fn words(sequence: &Sequence) -> Vec<String> {
    let pairs = sequence.pairs.iter().map(|(source, label)| format!("{}:{label}", source_name(*source)));
    pairs.chain([source_name(sequence.target)]).collect()
}

/// The inverse of [`words`]; a class without a label has its own.
fn read_words(text: &str, items: &Items) -> Result<Sequence, String> {
    let ItemConfig { classes, labels, d_position, .. } = *items.config();
    let source = |word: &str| -> Result<Source, String> {
        let number = |text: &str| {
            text.parse::<usize>().map_err(|_| format!("“{word}” is neither a class nor a new one, as n1."))
        };
        match word.strip_prefix('n') {
            Some(new) => match number(new)? {
                new @ 1..=64 => Ok(Source::Fresh(new - 1)),
                _ => Err(format!("“{word}” is none of the new classes n1 to n64.")),
            },
            None => match number(word)? {
                class if class < classes => Ok(Source::Class(class)),
                class => Err(format!("There is no class {class}; the last is {}.", classes - 1)),
            },
        }
    };
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let target = source(words.pop().unwrap_or_default())?;
    if words.is_empty() {
        return Err("A sequence has at least one item before its target.".to_owned());
    }
    if 2 * words.len() + 1 > d_position {
        return Err(format!("{} items are too many for {d_position} slots.", words.len()));
    }
    let mut pairs = Vec::with_capacity(words.len());
    for word in words {
        let (item, label) = word.split_once(':').unwrap_or((word, ""));
        let item = source(item)?;
        let label = match (label, item) {
            ("", Source::Class(class)) => items.label_of(class),
            ("", Source::Fresh(_)) => return Err(format!("“{word}” is new and needs a label, as {word}:3.")),
            (label, _) => match label.parse() {
                Ok(label) if label < labels => label,
                _ => return Err(format!("There is no label “{label}”; the last is {}.", labels - 1)),
            },
        };
        pairs.push((item, label));
    }
    let in_context = pairs.iter().find(|(source, _)| *source == target).map(|(_, label)| *label);
    let own = match target {
        Source::Class(class) => Some(items.label_of(class)),
        Source::Fresh(_) => None,
    };
    let answer = in_context.or(own).ok_or_else(|| {
        format!("“{}” is new and not in the context, so nobody can know its label.", source_name(target))
    })?;
    Ok(Sequence { pairs, target, answer })
}

/// The sequence that these parameters ask for.
fn shown(params: &InductionParams, items: &Items, host: &Host) -> Shown {
    let drawn = || {
        let mut stream = Stream::at(params.seed, "shown", params.example as u64);
        items.draw(params.drawn.draw(), &mut stream)
    };
    let (sequence, refused) = match params.sequence.trim() {
        "" => (drawn(), None),
        text => match read_words(text, items) {
            Ok(sequence) => (sequence, None),
            Err(problem) => (drawn(), Some(problem)),
        },
    };
    let mut noise = Stream::at(params.seed, "shown noise", params.example as u64);
    let numbers = items.write(std::slice::from_ref(&sequence), &mut noise);
    let shape = [1, 2 * sequence.pairs.len() + 1, items.config().width()];
    let input = tensor(numbers, shape, &host.device.clone().autodiff());
    Shown { sequence, refused, input, looks: [Vec::new(), Vec::new()], probabilities: Vec::new() }
}

impl Along {
    /// What the map tries.
    fn tried(self) -> &'static [f64] {
        match self {
            Self::Classes => &[64.0, 256.0, 512.0, 1024.0, 4096.0],
            Self::Burst => &[0.0, 1.0, 2.0, 4.0],
            Self::Noise => &[0.0, 0.1, 0.4, 0.75],
            Self::Zipf => &[0.0, 0.5, 1.0, 1.5],
            Self::Pairs => &[4.0, 8.0, 12.0, 16.0],
        }
    }

    fn of(self, params: &InductionParams) -> f64 {
        match self {
            Self::Classes => params.classes as f64,
            Self::Burst => params.burst as f64,
            Self::Noise => params.noise,
            Self::Zipf => params.zipf,
            Self::Pairs => params.pairs as f64,
        }
    }
}

/// The settings of the map; where both axes are of one kind it has a single row.
fn map_rows(values: &Values) -> Vec<(String, String)> {
    let InductionParams { across, upward, .. } = InductionParams::from_values(values);
    let at = |along: Along, value: f64| format!("{} {}", along.label(), number(value, 4));
    let row = |changes: &[(Along, f64)]| {
        let mut values = values.clone();
        for (along, value) in changes {
            let _mended = values.apply(&format!("{}={value}", along.value()));
        }
        let label = changes.iter().map(|&(along, value)| at(along, value)).collect::<Vec<_>>().join(", ");
        (label, values.to_query())
    };
    if across == upward {
        return across.tried().iter().map(|&x| row(&[(across, x)])).collect();
    }
    let cells = upward.tried().iter().flat_map(|&y| across.tried().iter().map(move |&x| [(across, x), (upward, y)]));
    cells.map(|changes| row(&changes)).collect()
}

/// Two maps: how much is right by context, and how much by memory.
fn draw_map(rows: &[Row]) -> Vec<Panel> {
    let read = |row: &Row| InductionParams::from_values(&Values::from_query(InductionParams::SPECS, &row.query).0);
    let settings: Vec<InductionParams> = rows.iter().map(read).collect();
    let Some(InductionParams { across, upward, .. }) = settings.first() else { return Vec::new() };
    let single = across == upward;
    let (columns, lines) = (across.tried(), if single { &[0.0][..] } else { upward.tried() });
    let place = |along: &Along, params: &InductionParams, tried: &[f64]| {
        let got = along.of(params);
        tried.iter().position(|tried| (got - tried).abs() < 1e-9)
    };
    let grid = |key: &str| {
        let mut cells = vec![f32::NAN; columns.len() * lines.len()];
        for (row, params) in rows.iter().zip(&settings) {
            let y = if single { Some(0) } else { place(upward, params, lines) };
            if let (Some(x), Some(y), Some(value)) = (place(across, params, columns), y, row.readouts.get(key)) {
                cells[y * columns.len() + x] = *value as f32;
            }
        }
        cells
    };
    let axis = |name: &str, tried: &[f64]| {
        let mut axis = Axis::new(name, 0.0..tried.len() as f64);
        axis.ticks = tried.iter().enumerate().map(|(at, value)| (at as f64 + 0.5, number(*value, 4))).collect();
        axis
    };
    let map = |id: &str, title: &str, key: &str, said: &str| {
        let heat = Mark::Heat {
            name: "share of right labels".to_owned(),
            signed: false,
            rows: lines.len(),
            columns: columns.len(),
            x: [0.0, columns.len() as f32],
            y: [0.0, lines.len() as f32],
            values: grid(key),
        };
        let upward = if single { "" } else { upward.label() };
        let chart = Chart::new(axis(across.label(), columns), axis(upward, lines), vec![heat]);
        Panel::new(id, title, said, 3, Body::Chart(chart))
    };
    vec![
        map(
            "map-context",
            "Right by context",
            "ic",
            "Each cell is a run to its end: the stronger the color, the more of the new classes are right.",
        ),
        map("map-memory", "Right by memory", "iwl", "The same runs, asked for what the context does not hold."),
    ]
}

impl Lab for Induction {
    const CARD: Card = Card {
        slug: "induction",
        title: "A head forms",
        hook: "Why does a network learn to copy all at once?",
        page: PAGE,
        papers: &[PAPER],
        chance: true,
        presets: &[
            Preset { label: "Quick", query: "" },
            Preset {
                label: "In seconds",
                query: "item_width=15&slots=17&pairs=4&labels=16&burst=2&batch=128&steps=800",
            },
            Preset { label: "In bursts of four", query: "burst=4&steps=1500" },
            Preset { label: "Memory wins", query: "classes=64&burst=2&steps=2500" },
            Preset { label: "Zipf: both", query: "classes=1024&burst=2&zipf=1&steps=2500" },
            Preset { label: "Never: contexts do not help", query: "bursty=0&steps=1500" },
            Preset { label: "Never: as many labels as pairs", query: "labels=8&steps=3000" },
            Preset { label: "Planted at the labels", query: "first_head=labels" },
            Preset { label: "Planted everywhere", query: "first_head=everywhere&steps=2500" },
            Preset {
                label: "As in the paper, sized for a GPU",
                query: "item_width=63&slots=65&width=128&classes=2048&batch=128&optimizer=sgd&learning_rate=0.01&steps=50000",
            },
        ],
        experiments: super::claims::EXPERIMENTS,
        batches: &[BatchSpec { id: "map", label: "Fill the map", rows: map_rows, draw: draw_map }],
    };
    type Params = InductionParams;

    async fn start(params: &InductionParams, host: &Host) -> Result<Self, LabError> {
        Self::start_together(std::slice::from_ref(params), host).await
    }

    fn alike(params: &InductionParams) -> Option<InductionParams> {
        // Whatever shapes neither the network nor a sequence, and does not say how they are trained.
        Some(InductionParams {
            classes: 0,
            burst: 0,
            noise: 0.0,
            zipf: 0.0,
            bursty: 0.0,
            fresh: 0.0,
            example: 0,
            drawn: ShownDraw::InContext,
            sequence: String::new(),
            query: None,
            maps: Maps::Shown,
            across: Along::Classes,
            upward: Along::Burst,
            seed: 0,
            ..params.clone()
        })
    }

    async fn start_together(settings: &[InductionParams], host: &Host) -> Result<Self, LabError> {
        let device = host.device.clone().autodiff();
        let (runs, asked): (Vec<Run>, Vec<Vec<Vec<f32>>>) =
            settings.iter().map(|params| Run::new(params, host)).unzip();
        let (params, config) = (&settings[0], settings[0].items());
        let shape = [settings.len() * params.tested, config.tokens(), config.width()];
        let asked = (0..TESTS.len()).map(|test| {
            let numbers: Vec<f32> = asked.iter().flat_map(|asked| &asked[test]).copied().collect();
            tensor(numbers, shape, &device)
        });
        let net = InductionNetConfig::new(config.width(), params.width, params.labels);
        let nets = settings.iter().map(|params| seeded(params.seed, &device, |device| net.init(device)));
        let mut lab = Self {
            net: side_by_side(nets.collect()),
            adam: Adam::new(AdamConfig { decay: params.decay, ..AdamConfig::default() }),
            asked: asked.collect(),
            runs,
        };
        lab.evaluate().await?;
        lab.look().await?;
        Ok(lab)
    }

    fn readouts(&self, run: usize, _params: &InductionParams) -> Readouts {
        self.runs[run].readouts_panel().readouts()
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        let device = host.device.clone().autodiff();
        let (numbers, answers): (Vec<Vec<f32>>, Vec<Vec<i32>>) = self.runs.iter().map(Run::batch).unzip();
        let (params, run) = (self.params(), &self.runs[0]);
        let (count, batch) = (self.runs.len(), params.batch);
        let input = tensor(numbers.concat(), [count * batch, run.tokens(), run.items.config().width()], &device);
        let answers = Tensor::<1, Int>::from_data(TensorData::new(answers.concat(), [count * batch]), &device);
        let step = run.step + 1;
        let done = step >= params.steps as u64;
        let recorded = step.is_multiple_of(RECORDED) || step == 1 || done;
        let logits = self.net.forward(input, params.first(), params.second_head);
        // The loss is a mean over all runs, and each is to be trained as it would be alone.
        let loss = ops::cross_entropy_with_indices(logits.clone(), answers.clone()) * count as f64;
        let gradients = GradientsParams::from_grads(loss.backward(), &self.net);
        let rate = params.learning_rate;
        match params.optimizer {
            Optimizer::Adam => self.adam.step_on(rate, &mut self.net, gradients),
            Optimizer::Sgd => {
                let sgd = Sgd { decay: params.decay, clip: None };
                self.net = sgd.step(rate, self.net.clone(), gradients);
            }
        }
        self.runs.iter_mut().for_each(|run| run.step = step);
        if recorded {
            let logits = logits.inner();
            let loss = |run| {
                let (logits, answers) = (logits.clone(), answers.clone().inner());
                let (logits, answers) = (logits.narrow(0, run * batch, batch), answers.narrow(0, run * batch, batch));
                ops::cross_entropy_with_indices(logits, answers)
            };
            let losses = read(Tensor::cat((0..count).map(loss).collect(), 0)).await?;
            if losses.iter().any(|loss| !loss.is_finite()) {
                return Err(LabError::Diverged { step });
            }
            for (run, loss) in self.runs.iter_mut().zip(losses) {
                run.loss.push(step, f64::from(loss));
            }
            self.look().await?;
        }
        if step.is_multiple_of(EVALUATED) || done {
            self.evaluate().await?;
        }
        Ok(if done { Status::Done } else { Status::Running })
    }

    async fn change(&mut self, params: &InductionParams, host: &Host) -> Result<(), LabError> {
        let asked = |params: &InductionParams| (params.example, params.drawn, params.sequence.clone());
        let run = &mut self.runs[0];
        if asked(params) != asked(&run.params) {
            run.shown = shown(params, &run.items, host);
        }
        run.params = params.clone();
        self.look().await
    }

    fn frame(&self, params: &InductionParams) -> Frame {
        let run = &self.runs[0];
        let panels = vec![
            run.loss_panel(),
            run.accuracy_panel(),
            run.sequence_panel(params),
            run.map_panel(0, params),
            run.map_panel(1, params),
            run.progress_panel(),
            run.reduced_panel(),
            run.readouts_panel(),
        ];
        Frame { step: run.step, of: Some(params.steps as u64), panels, offers: run.offers() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let run = &self.runs[0];
        let mut state = State::new(run.step);
        state.put_model("net", &self.net, &self.adam).await?;
        state.put("loss", vec![run.loss.save()]);
        state.put("accuracies", run.tests.iter().map(|test| test.accuracy.save()).collect());
        state.put("progress", run.progress.iter().map(History::save).collect());
        state.put("mean looks", run.mean_looks.to_vec());
        let [first, second] = run.shown.looks.clone();
        state.put("looks", vec![first, second, run.shown.probabilities.clone()]);
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        let histories = |name: &str| -> Result<Vec<History>, LabError> {
            Ok(state.get(name)?.iter().map(|numbers| History::load(numbers)).collect())
        };
        let other = || LabError::data("The saved run was made by another version. Start it again.");
        self.net = state.get_model("net", self.net.clone(), &mut self.adam)?;
        let run = &mut self.runs[0];
        run.step = state.step;
        [run.loss] = histories("loss")?.try_into().map_err(|_| other())?;
        for (test, accuracy) in run.tests.iter_mut().zip(histories("accuracies")?) {
            test.accuracy = accuracy;
        }
        run.progress = histories("progress")?.try_into().map_err(|_| other())?;
        run.mean_looks = state.get("mean looks")?.to_vec().try_into().map_err(|_| other())?;
        let [first, second, probabilities] = state.get("looks")?.to_vec().try_into().map_err(|_| other())?;
        (run.shown.looks, run.shown.probabilities) = ([first, second], probabilities);
        Ok(())
    }
}
