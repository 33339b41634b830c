//! The model whose cache the page compresses, trained from nothing.

use burn::module::Module;
use burn::tensor::Device;

use super::{EMS, PAGE, ROTATE_KV};
use crate::chart::{Axis, Chart, Ink, Mark, number};
use crate::lab::{
    Body, Bound, Card, Experiment, Frame, History, Host, Lab, LabError, Measure, Outcome, Panel, Preset, Readings,
    Readout, State, Status, Token, Tokens, read, seeded,
};
use crate::labs::house_model::keep_trained;
use crate::mech::house_transformer::{HouseTransformer, HouseTransformerConfig};
use crate::mech::ops;
use crate::mech::recall_language::{
    Context, ContextConfig, Mixture, Needle, RecallLanguage, VALUES, VOCABULARY, value, word,
};
use crate::mech::recall_training::{Exam, Recipe, Training, likeliest, tokens};
use crate::seed::Stream;
use crate::{choices, params};

/// Steps between two tests.
const TESTED: u64 = 20;
/// The step at which the card measures.
const EARLY: u64 = 300;
/// Contexts over which looks at BOS are averaged.
const SINK_CONTEXTS: usize = 8;
/// Heads whose looks at BOS are drawn.
const MOST_LINES: usize = 8;
/// Shares of attention that are too small to be drawn.
const FAINT: f32 = 0.03;
/// How tokens are colored.
const LOOKED_AT: u8 = 0;
const STATED: u8 = 2;
/// Numbers of a head.
const D_HEAD: usize = 16;
/// Statements in a context.
const NEEDLES: usize = 8;
/// Tokens of a context and its question.
const SHOWN: usize = 122;
/// What one filler leaves to be guessed, in nats: the logarithm of the language's bigram perplexity.
const FILLER_NATS: f64 = 2.27;

choices! {
    pub enum Smear {
        Half = "half", "starts at ½";
        Zero = "zero", "starts at 0";
        Off = "off", "none";
    }
}

params! {
    pub struct TrainParams {
        /// Steps of the whole run. The card has 700; 300 are enough to see it remember.
        steps: usize = int("Steps", 700, 50..=5000),
        /// Size of an optimizer step after the first 50. It falls to a twentieth.
        learning_rate: f64 = real("Learning rate", 0.003, 1e-4..=0.03).symbol("η").step_size(),
        /// How much of the token before is added to each token before it is looked for.
        smear: Smear = choice("Smear", Smear::Half.value(), Smear::OPTIONS).symbol("σ"),
        /// Which of the contexts is shown.
        context: usize = int("Context", 0, 0..=999).view(),
        /// Which of its eight statements is asked about.
        asked: usize = int("Question", 1, 1..=8).view(),
        /// The token whose attention the arcs show; the last, if none is chosen.
        token: Option<usize> = pick("Token that looks", SHOWN).view(),
        /// The layer whose attention is shown.
        shown_layer: usize = int("Layer shown", 2, 1..=6).view(),
        /// The head whose attention is shown.
        shown_head: usize = int("Head shown", 4, 1..=16).view(),
        /// Steps for which rate, texts and mixture are laid out. A run may end before.
        schedule: usize = int("Schedule", 700, 50..=5000).more(),
        /// Texts of 64 tokens in a step; later half as many of 128.
        batch: usize = int("Batch", 32, 4..=512).more(),
        /// Probability of a statement at first.
        statements_first: f64 = real("Statements, first", 0.3, 0.0..=1.0).symbol("p_s").more(),
        /// Probability of a statement in the second half of the run.
        statements_last: f64 = real("Statements, later", 0.08, 0.0..=1.0).symbol("p_s").more(),
        /// Probability of a question at first.
        questions_first: f64 = real("Questions, first", 0.5, 0.0..=1.0).symbol("p_q").more(),
        /// Probability of a question in the second half of the run.
        questions_last: f64 = real("Questions, later", 0.12, 0.0..=1.0).symbol("p_q").more(),
        /// Layers of the model.
        layers: usize = int("Layers", 2, 1..=6).more(),
        /// Heads of a layer, of 16 numbers each.
        heads: usize = int("Heads", 4, 1..=16).more(),
        /// Numbers by which the model represents a token.
        width: usize = int("Width", 64, 16..=512).more(),
        /// Contexts in a test, and half as many texts.
        tested: usize = int("Test contexts", 64, 16..=512).more(),
    }
}

impl TrainParams {
    fn recipe(&self) -> Recipe {
        Recipe {
            steps: self.schedule as u64,
            rate: self.learning_rate,
            batch: self.batch,
            first: Mixture { statement: self.statements_first, question: self.questions_first },
            last: Mixture { statement: self.statements_last, question: self.questions_last },
        }
    }

    fn net(&self) -> HouseTransformerConfig {
        let (smear, learned) = match self.smear {
            Smear::Half => (0.5, true),
            Smear::Zero => (0.0, true),
            Smear::Off => (0.0, false),
        };
        HouseTransformerConfig::new(VOCABULARY)
            .with_width(self.width)
            .with_layers(self.layers)
            .with_heads(self.heads)
            .with_key_heads(self.heads)
            .with_d_head(D_HEAD)
            .with_d_hidden(4 * self.width)
            .with_smear(smear)
            .with_learns_smear(learned)
    }

    /// Layer and head that are shown, from 0.
    fn looked_into(&self) -> [usize; 2] {
        [self.shown_layer.min(self.layers) - 1, self.shown_head.min(self.heads) - 1]
    }
}

/// The context that the reader looks at, with a question behind it.
struct Shown {
    context: Context,
    needle: Needle,
    text: Vec<usize>, // [SHOWN]
    /// How much each token looks at each, in the head that is shown.
    looks: Vec<f32>, // [SHOWN, SHOWN]
    /// What is said after the question.
    answer: Vec<f32>, // [vocabulary]
    /// The step at which that was so.
    step: Option<u64>,
}

pub struct KvCacheTrain {
    params: TrainParams,
    device: Device,
    training: Training,
    unread: Readings,
    loss: History,
    floor: History,
    texts: Exam,
    contexts: Exam,
    few_contexts: Exam,
    recall: History,
    needles: History,
    /// How much each head looks at BOS, layer by layer.
    sinks: Vec<History>,
    shown: Shown,
    /// Whether the trained model outlives this engine, once it was kept.
    outlives: Option<bool>,
}

impl KvCacheTrain {
    fn steps(&self) -> f64 {
        self.params.steps as f64
    }

    async fn read_losses(&mut self) -> Result<(), LabError> {
        for (step, loss) in self.unread.take().await? {
            self.loss.push(step, f64::from(loss[0]));
        }
        Ok(())
    }

    async fn test(&mut self, host: &Host) -> Result<(), LabError> {
        let (net, step) = (self.training.net.valid(), self.training.step);
        self.recall.push(step, share_right(&self.texts, &net, host).await?);
        self.needles.push(step, share_right(&self.contexts, &net, host).await?);
        let shares = read(self.few_contexts.sinks(&net, &host.device)).await?;
        for (history, share) in self.sinks.iter_mut().zip(shares) {
            history.push(step, f64::from(share));
        }
        host.breathe().await;
        Ok(())
    }

    async fn look(&mut self) -> Result<(), LabError> {
        let text = self.shown.text.as_slice();
        let (logits, looks) = self.training.net.valid().look(tokens([text], &self.device));
        let [layer, head] = self.params.looked_into();
        let cells = text.len() * text.len();
        let looks = looks[layer].clone().narrow(1, head, 1).reshape([cells]);
        let answer = ops::softmax(logits.narrow(0, text.len() - 1, 1)).reshape([VOCABULARY]);
        let mut numbers = read(burn::tensor::Tensor::cat(vec![looks, answer], 0)).await?;
        self.shown.answer = numbers.split_off(cells);
        self.shown.looks = numbers;
        self.shown.step = Some(self.training.step);
        Ok(())
    }

    /// Where the texts grow longer.
    fn longer_texts(&self) -> Option<Mark> {
        let recipe = self.params.recipe();
        let first = recipe.shape_at(0);
        let step = (0..self.params.steps as u64).find(|&step| recipe.shape_at(step) != first)?;
        Some(Mark::Moment { name: "texts of 128".to_owned(), x: step as f32 })
    }

    /// Whether the other tabs can read the model.
    fn fits_the_others(&self) -> bool {
        let shape = |net: HouseTransformerConfig| [net.layers, net.heads, net.width];
        shape(self.params.net()) == shape(HouseTransformerConfig::new(VOCABULARY))
    }

    fn recall_panel(&self) -> Panel {
        let mut marks = vec![
            Mark::Level { name: "a guess among the values".to_owned(), y: 1.0 / VALUES.len() as f32 },
            self.recall.line("questions in texts", Ink::Baseline),
            self.needles.line("needles in contexts", Ink::Method),
        ];
        marks.extend(self.longer_texts());
        let chart =
            Chart::new(Axis::new("step", 0.0..self.steps()), Axis::new("share of right answers", 0.0..1.0), marks);
        let percent = |history: &History| number(100.0 * history.last(), 2);
        let mut said = match self.recall.last().is_nan() {
            true => format!(
                "Asked for a value that it was told before, it has answered nothing yet: it is tested every **{TESTED}** steps."
            ),
            false => format!(
                "Asked for what it was told, it is right in **{} %** of the {{baseline|questions}} of its kind of text, and about one of eight {{method|needles}} in 120 tokens in **{} %**.",
                percent(&self.recall),
                percent(&self.needles)
            ),
        };
        if self.training.step >= self.params.steps as u64 {
            said.push_str(match (self.fits_the_others(), self.outlives) {
                (true, None | Some(true)) => {
                    " It is kept for the other tabs: choose “the one you trained” under “Model”."
                }
                (true, Some(false)) => {
                    " The other tabs can have it while this page stays open; your browser keeps nothing here."
                }
                (false, _) => " The other tabs cannot read it: they need 2 layers of 4 heads and a width of 64.",
            });
        }
        Panel::new("recall", "What it remembers", said, 6, Body::Chart(chart))
    }

    fn sinks_panel(&self) -> Panel {
        let order = self.by_sink();
        let mut drawn = order[..order.len().min(MOST_LINES)].to_vec();
        drawn.sort_unstable();
        let line = |index: usize| {
            let ink = match index / self.params.heads {
                layer if layer + 1 == self.params.layers => Ink::Method,
                0 => Ink::Baseline,
                _ => Ink::Muted,
            };
            self.sinks[index].line(&self.head_name(index), ink)
        };
        let marks = drawn.into_iter().map(line).collect();
        let chart =
            Chart::new(Axis::new("step", 0.0..self.steps()), Axis::new("share of the attention", 0.0..1.0), marks);
        let most = order[0];
        let said = match self.sinks[most].last() {
            share if share.is_nan() => {
                "How much each head looks at the first token, BOS, when there is nothing to look for.".to_owned()
            }
            share => format!(
                "What each head gives to the first token, BOS, from fillers, where there is nothing to look for. Head **{}** gives it **{} %**. {{method|Last layer}}, {{baseline|first layer}}.",
                self.head_name(most),
                number(100.0 * share, 2)
            ),
        };
        Panel::new("sinks", "Looking at nothing", said, 3, Body::Chart(chart))
    }

    /// Heads, layer by layer, those that look at BOS most coming first.
    fn by_sink(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.sinks.len()).collect();
        order.sort_by(|&a, &b| self.sinks[b].last().total_cmp(&self.sinks[a].last()));
        order
    }

    fn head_name(&self, index: usize) -> String {
        let heads = self.params.heads;
        format!("{}.{}", index / heads + 1, index % heads + 1)
    }

    fn loss_panel(&self) -> Panel {
        let mut marks = vec![
            Mark::Level { name: "ln 97: knows nothing".to_owned(), y: (VOCABULARY as f32).ln() },
            self.floor.line("least possible", Ink::Truth),
            self.loss.line("loss", Ink::Method),
        ];
        marks.extend(self.longer_texts());
        let most = self.loss.points().iter().map(|point| f64::from(point[1]));
        let top = most.fold((VOCABULARY as f64).ln(), f64::max);
        let chart =
            Chart::new(Axis::new("step", 0.0..self.steps()), Axis::from_zero("loss on the batch, nats", top), marks);
        let said = match self.loss.last() - self.floor.last() {
            above if above.is_nan() => "How surprised the model is by the next token.".to_owned(),
            above => format!(
                "The model is **{}** nats above the {{truth|least possible}}: the loss of whoever knows the language and forgets nothing. A filler alone leaves **{FILLER_NATS}** nats to be guessed.",
                number(above, 2)
            ),
        };
        Panel::new("loss", "Loss", said, 3, Body::Chart(chart))
    }

    fn context_panel(&self, params: &TrainParams) -> Panel {
        let Shown { context, needle, text, looks, .. } = &self.shown;
        let query = params.token.filter(|&token| token < text.len()).unwrap_or(text.len() - 1);
        let row = &looks[query * text.len()..(query + 1) * text.len()];
        let stated = |at: usize| context.needles.iter().any(|needle| (needle.at..=needle.at + 1).contains(&at));
        let token = |(at, &token): (usize, &usize)| Token {
            text: word(token).to_owned(),
            note: if row[at] > FAINT { format!("{:.0} %", 100.0 * row[at]) } else { "–".to_owned() },
            class: if row[at] > FAINT { Some(LOOKED_AT) } else { stated(at).then_some(STATED) },
            chosen: at == query,
        };
        let strip = Tokens { tokens: text.iter().enumerate().map(token).collect(), wraps: true, ..Tokens::default() };
        let most = likeliest(row);
        let [layer, head] = self.params.looked_into();
        let said = format!(
            "Eight statements, a name and its animal, lie among fillers; at the end **{}** is asked for. In head **{}.{}** the chosen token, “{}” at {}, looks most at “{}” at {}, with **{} %**. Press another.",
            word(needle.name),
            layer + 1,
            head + 1,
            word(text[query]),
            query + 1,
            word(text[most]),
            most + 1,
            number(f64::from(100.0 * row[most]), 2),
        );
        Panel::new("context", "A context", said, 6, Body::Tokens(strip)).edits("token")
    }

    fn answer_panel(&self) -> Panel {
        let Shown { needle, answer, .. } = &self.shown;
        let values = &answer[value(0)..][..VALUES.len()];
        let right = needle.value - value(0);
        let certain = values[right];
        let marks = vec![
            Mark::Bars {
                name: "said".to_owned(),
                ink: Ink::Method,
                from: 0.0,
                to: VALUES.len() as f32,
                heights: values.to_vec(),
            },
            Mark::Stems { name: "told".to_owned(), ink: Ink::Truth, points: vec![[right as f32 + 0.5, certain]] },
        ];
        let mut x = Axis::new("", 0.0..VALUES.len() as f64);
        x.ticks = VALUES.iter().enumerate().map(|(at, word)| (at as f64 + 0.5, (*word).to_owned())).collect();
        let chart = Chart::new(x, Axis::new("probability", 0.0..1.0), marks);
        let said = likeliest(answer);
        let verdict = if said == needle.value { "right" } else { "wrong" };
        let said = format!(
            "“? {}”: it says **{}** with **{} %**, which is {verdict}. {{truth|Told}} was **{}**, which gets **{} %**; tokens that are no animal get {} %.",
            word(needle.name),
            word(said),
            number(f64::from(100.0 * answer[said]), 2),
            word(needle.value),
            number(f64::from(100.0 * certain), 2),
            number(f64::from(100.0 * (1.0 - values.iter().sum::<f32>()).max(0.0)), 2),
        );
        Panel::new("answer", "Its answer", said, 3, Body::Chart(chart))
    }

    fn map_panel(&self) -> Panel {
        let Shown { context, text, looks, .. } = &self.shown;
        let (count, edge) = (text.len(), text.len() as f64);
        // Rows are drawn from the bottom, and the first token is to stand on top.
        let values = looks.chunks_exact(count).rev().flatten().copied().collect();
        let heat = Mark::Heat {
            name: "share".to_owned(),
            signed: false,
            rows: count,
            columns: count,
            x: [0.0, count as f32],
            y: [0.0, count as f32],
            values,
        };
        let named = || context.needles.iter().map(|needle| (needle.at, word(needle.name).to_owned()));
        let ends = || [(0, word(text[0]).to_owned()), (count - 1, word(text[count - 1]).to_owned())];
        let (mut x, mut y) = (Axis::new("looks at", 0.0..edge), Axis::new("token", 0.0..edge));
        x.ticks = named().chain(ends()).map(|(at, name)| (at as f64 + 0.5, name)).collect();
        y.ticks = named().chain(ends()).map(|(at, name)| (edge - at as f64 - 0.5, name)).collect();
        let chart = Chart::new(x, y, vec![heat]);
        let [layer, head] = self.params.looked_into();
        let said = format!(
            "Who looks at whom in head **{}.{}**: a row is a token that looks, and the lowest row is the question’s. A dark column at the left is BOS.",
            layer + 1,
            head + 1
        );
        Panel::new("map", "Who looks at whom", said, 3, Body::Chart(chart))
    }

    fn readouts_panel(&self) -> Panel {
        let followed = |key: &str, of: &str, ink: Ink, history: &History| {
            let mut readout = Readout::new(key, of, ink, "now", "", history.last());
            readout.trend = history.trend();
            readout
        };
        let when = |key: &str, ink: Ink, history: &History| {
            let step = history.first_at_least(0.9)?;
            let of = if ink == Ink::Method { "right, needles" } else { "right, questions" };
            Some(Readout::new(key, of, ink, "90 % at step", "", step as f64))
        };
        let early = self.recall.points().iter().find(|point| point[0] as u64 == EARLY);
        let early = early.map(|point| {
            Readout::new("recall_300", "right, questions", Ink::Baseline, "at step 300", "", f64::from(point[1]))
        });
        let most = &self.sinks[self.by_sink()[0]];
        let right = self.shown.answer[self.shown.needle.value];
        let mut list = vec![
            followed("loss", "loss, nats", Ink::Method, &self.loss),
            followed("floor", "least possible loss, nats", Ink::Truth, &self.floor),
            followed("recall", "right, questions", Ink::Baseline, &self.recall),
            followed("needles", "right, needles", Ink::Method, &self.needles),
            followed("sink", "looks at BOS, most of a head", Ink::Muted, most),
            Readout::new("answer", "the shown question, right", Ink::Method, "now", "", f64::from(right)),
        ];
        list.extend(early);
        list.extend(when("step_90", Ink::Baseline, &self.recall));
        list.extend(when("needles_step_90", Ink::Method, &self.needles));
        list.retain(|readout| readout.value.is_finite());
        let said = format!(
            "Tested on **{}** questions in texts and **{}** in contexts that it was never trained on.",
            self.texts.questions(),
            self.contexts.questions()
        );
        Panel::new("readouts", "In numbers", said, 6, Body::Readouts(list))
    }
}

/// The share of an exam's questions that a network answers right.
async fn share_right(exam: &Exam, net: &HouseTransformer, host: &Host) -> Result<f64, LabError> {
    let mut right = 0;
    for part in exam.parts() {
        right += part.right(&read(part.answers(net, &host.device)).await?);
        host.breathe().await;
    }
    Ok(right as f64 / exam.questions() as f64)
}

/// The context and question that these parameters ask for.
fn shown(params: &TrainParams) -> Shown {
    let config = ContextConfig { tokens: SHOWN - 2, needles: NEEDLES, depth: None };
    let mut stream = Stream::at(params.seed, "shown", params.context as u64);
    let context = RecallLanguage::default().context(&config, &mut stream);
    let needle = context.needles[params.asked - 1];
    let text = context.asked(&needle);
    Shown { context, needle, text, looks: Vec::new(), answer: Vec::new(), step: None }
}

const fn least(name: &'static str, figure: fn(&Outcome) -> f64, needed: f64, card_measured: &'static str) -> Measure {
    Measure { name, figure, needed: Bound::AtLeast(needed), card: Bound::AtLeast(needed), card_measured }
}

const RUNS: &[(&str, &str)] = &[("card", "tested=256")];

const EXPERIMENTS: &[Experiment] = &[
    Experiment {
        id: "recall",
        claim: "The model learns to remember: at step 300 it answers nine questions of ten, at step 700 nearly all",
        paper: "ems",
        point: 2,
        how: "The card's recipe, 700 steps; 256 contexts and 128 texts a test, one question for each context.",
        quick: false,
        runs: RUNS,
        seeds: &[0, 1, 2],
        measures: &[
            least("questions right at step 300", |runs| runs.get("card", "recall_300"), 0.9, ".98 to 1.00"),
            least("questions right at step 700", |runs| runs.get("card", "recall"), 0.97, "1.00"),
            least("needles right at step 700", |runs| runs.get("card", "needles"), 0.94, "1.00, .98, .97"),
        ],
    },
    Experiment {
        id: "sink",
        claim: "A head with nothing to look for looks at BOS, without being told",
        paper: "ems",
        point: 3,
        how: "The same runs. The mean look at BOS from fillers, in the head that looks there most.",
        quick: false,
        runs: RUNS,
        seeds: &[0, 1, 2],
        measures: &[least("share of the attention", |runs| runs.get("card", "sink"), 0.7, "at least .92")],
    },
];

impl Lab for KvCacheTrain {
    const CARD: Card = Card {
        slug: "kv-cache-train",
        title: "Train the model",
        hook: "How does a small model learn to remember what it was told once?",
        page: PAGE,
        papers: &[EMS, ROTATE_KV],
        chance: true,
        presets: &[
            Preset { label: "The card’s recipe", query: "" },
            Preset { label: "300 steps", query: "steps=300" },
            Preset { label: "No smear", query: "smear=off" },
            Preset { label: "Smear learned from zero", query: "smear=zero" },
            Preset { label: "No curriculum", query: "statements_first=0.08&questions_first=0.12" },
            Preset {
                label: "Larger, sized for a GPU",
                query: "width=256&heads=16&batch=256&learning_rate=0.001&steps=2000&schedule=2000",
            },
        ],
        experiments: EXPERIMENTS,
        batches: &[],
    };
    type Params = TrainParams;

    async fn start(params: &TrainParams, host: &Host) -> Result<Self, LabError> {
        let device = host.device.clone().autodiff();
        let config = params.net();
        let net = seeded(params.seed, &device, |device| config.init(device));
        let (language, mut stream) = (RecallLanguage::default(), Stream::new(params.seed, "eval"));
        let texts = Exam::of_texts(&language, params.tested / 2, &mut stream);
        let contexts = Exam::contexts(&language, params.tested, &mut stream);
        let mut lab = Self {
            params: params.clone(),
            device: host.device.clone(),
            training: Training::new(net, params.recipe(), params.seed, &device),
            unread: Readings::default(),
            loss: History::default(),
            floor: History::default(),
            texts,
            contexts: Exam::of_contexts(&contexts),
            few_contexts: Exam::of_contexts(&contexts[..SINK_CONTEXTS.min(contexts.len())]),
            recall: History::default(),
            needles: History::default(),
            sinks: vec![History::default(); params.layers * params.heads],
            shown: shown(params),
            outlives: None,
        };
        lab.look().await?;
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        let batch = self.training.batch();
        for part in batch.parts() {
            self.training.learn(part, batch.texts.len());
            host.breathe().await;
        }
        let loss = self.training.update();
        let step = self.training.step;
        self.floor.push(step, batch.floor);
        let done = step >= self.params.steps as u64;
        if self.unread.push(step, loss) || done {
            self.read_losses().await?;
        }
        if step.is_multiple_of(TESTED) || done {
            self.test(host).await?;
        }
        if done && self.fits_the_others() {
            let about = [("seed".to_owned(), self.params.seed.to_string())].into();
            self.outlives = Some(keep_trained(&self.training.net, &about, host).await?);
        }
        Ok(if done { Status::Done } else { Status::Running })
    }

    async fn settle(&mut self) -> Result<(), LabError> {
        self.read_losses().await?;
        if self.shown.step == Some(self.training.step) { Ok(()) } else { self.look().await }
    }

    async fn change(&mut self, params: &TrainParams, _host: &Host) -> Result<(), LabError> {
        self.params = params.clone();
        self.shown = shown(params);
        self.look().await
    }

    fn frame(&self, params: &TrainParams) -> Frame {
        let panels = vec![
            self.recall_panel(),
            self.sinks_panel(),
            self.loss_panel(),
            self.context_panel(params),
            self.answer_panel(),
            self.map_panel(),
            self.readouts_panel(),
        ];
        Frame { step: self.training.step, of: Some(self.params.steps as u64), panels, offers: Vec::new() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.training.step);
        state.put_model("net", &self.training.net, &self.training.adam).await?;
        let histories = [&self.loss, &self.floor, &self.recall, &self.needles].into_iter().chain(&self.sinks);
        state.put("histories", histories.map(History::save).collect());
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        self.training.step = state.step;
        self.training.net = state.get_model("net", self.training.net.clone(), &mut self.training.adam)?;
        self.unread = Readings::default();
        let followed = [&mut self.loss, &mut self.floor, &mut self.recall, &mut self.needles];
        let followed = followed.into_iter().chain(&mut self.sinks);
        for (history, numbers) in followed.zip(state.get("histories")?) {
            *history = History::load(numbers);
        }
        self.look().await
    }
}
