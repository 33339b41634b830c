//! A long text, read step by step: where each head looks, and what is answered at the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ways::{LEAST_CHUNKS, QUESTION, Sizes, Way, answer, chunks_of, tell};
use super::{PAGE, PAPER};
use crate::chart::{Axis, Chart, Ink, Mark, number};
use crate::lab::{
    Body, Card, Cell, Frame, Host, Lab, LabError, Panel, Preset, Readout, State, Status, Table, Token, Tokens,
};
use crate::labs::house_figures::{Said, answer_panel, head_name, heads_map, questions_panel};
use crate::labs::house_model::{HEADS, HouseModel, LAYERS, ModelChoice};
use crate::mech::house_transformer::{Decoder, HouseTransformerConfig};
use crate::mech::long_context::{Chosen, Counts, Look, Method, Rotary, Why};
use crate::mech::long_decoder::{LongDecoder, Sight};
use crate::mech::recall_language::{ASK, Context, ContextConfig, Kind, Needle, word};
use crate::mech::recall_training::{LONG, likeliest};
use crate::seed::Stream;
use crate::{choices, params};

/// Tokens of the text that a step reads.
const STRIDE: usize = 8;
/// The longest text.
const LONGEST: usize = 1024;
/// Statements at most.
const STATEMENTS: usize = 16;
/// Tokens that are laid out one by one.
const LAID_OUT: usize = 128;
/// Tokens over which a time is measured, for a browser's clock is coarse.
const TIMED: usize = 64;
/// Whose answers are compared.
const READERS: [&str; 2] = ["full attention", "as chosen"];
/// How strongly the map shows why a head looks at a chunk: because it must, because it is told to, or by its own
/// choice.
const MUST: f32 = 0.4;
const TOLD: f32 = 0.7;
const PICKED: f32 = 1.0;

choices! {
    pub enum Press {
        Shown = "shown", "only shown";
        On = "on", "looked at by the head";
        Off = "off", "hidden from the head";
    }
}

params! {
    pub struct ReadParams {
        /// How the model reads what is longer than it was trained on.
        method: Way = choice("Reads by", Way::LongHeads.value(), Way::OPTIONS).live(),
        /// Tokens of the text. The model was trained on 128.
        length: usize = int("Length", 512, 64..=LONGEST as i64),
        /// Which of the stated names is asked for: the number at its place in the first figure.
        question: usize = int("Question", 6, 1..=STATEMENTS as i64).live(),
        /// Statements in a drawn text. One more leaves those that are there.
        statements: usize = int("Statements", 8, 1..=STATEMENTS as i64),
        /// Tokens of a chunk.
        width: usize = int("Chunk", 8, 2..=32).symbol("w").live(),
        /// Chunks that each head looks at. All together are at most the 128 tokens that the model knows.
        chunks: usize = int("Chunks kept", 12, LEAST_CHUNKS as i64..=64).symbol("k").live(),
        /// The layer that is looked at, from below.
        layer: usize = int("Layer", 2, 1..=LAYERS as i64).view(),
        /// The head that is looked at.
        head: usize = int("Head", 4, 1..=HEADS as i64).view(),
        /// The chunks that are pressed.
        chunk: Vec<usize> = picks("Pressed chunks", LONGEST / 2).live(),
        /// What the press means for the head that is looked at, from the question on.
        press: Press = choice("Pressed chunks are", Press::Shown.value(), Press::OPTIONS).live(),
        /// Where the statements stand, if they were dragged: pairs “x,y; x,y”, of which x is the token and y means nothing.
        places: Vec<[f32; 2]> = points("Places", STATEMENTS, 0.0..=LONGEST as f32).live(),
        /// Which heads are on, from the first of the lower layer on: 1 is on, 0 is off. Empty while all are on.
        loudness: Vec<f32> = numbers("Heads switched on", LAYERS * HEADS, 0.0..=1.0).live(),
        /// A text of your own, in the model’s words, all of which are listed in the text below. Empty for a drawn one.
        words: String = text("Your text", "", 6000),
        /// Tokens that it writes on: the first is the answer.
        written: usize = int("Tokens written on", 0, 0..=64).more(),
        /// Whether a token of the text sees itself. In the official code it does not, but while writing.
        own_token: bool = toggle("Sees itself", true).live().more(),
        /// Which model reads: one that comes with the page, of which the seed chooses one of three, or yours.
        model: ModelChoice = choice("Model", ModelChoice::Shipped.value(), ModelChoice::OPTIONS).more(),
    }
}

impl ReadParams {
    fn sizes(&self) -> Sizes {
        Sizes { width: self.width, chunks: self.chunks, own_token: self.own_token, seed: self.seed }
    }

    /// Of what the reading of the text itself depends on.
    fn of_text(&self) -> impl PartialEq {
        let Self { method, width, chunks, own_token, places, loudness, .. } = self.clone();
        (method, width, chunks, own_token, places, loudness)
    }

    /// Decides by hand, from the question about a statement on.
    fn take_in_hand(&self, decoder: &mut LongDecoder, needle: &Needle) {
        if self.method == Way::Oracle {
            tell(decoder, needle, self.width);
        }
        let hand = decoder.hand(self.layer - 1, self.head - 1);
        match self.press {
            Press::Shown => {}
            Press::On => hand.on = [&self.chunk[..], &hand.on].concat(),
            Press::Off => hand.off.extend(&self.chunk),
        }
    }

    fn is_silent(&self, layer: usize, head: usize) -> bool {
        self.loudness.get(layer * HEADS + head).is_some_and(|loudness| *loudness < 0.5)
    }
}

/// Where one head looked for the last token.
#[derive(Clone, Debug, Default)]
struct Seen {
    look: Look,
    weights: Vec<f32>,
}

/// One way to read, as far as it has come.
#[derive(Clone)]
struct Reading {
    decoder: LongDecoder,
    /// `[layers][heads]`.
    seen: Vec<Vec<Seen>>,
    /// After the last token, `[vocabulary]`.
    logits: Vec<f32>,
    written: Vec<usize>,
    /// Milliseconds, and for how many tokens, stretch by stretch.
    spent: Vec<(f64, usize)>,
}

impl Reading {
    fn new(decoder: &Arc<Decoder>, way: Way, params: &ReadParams, length: usize) -> Self {
        let mut decoder = LongDecoder::new(decoder.clone(), way.method(&params.sizes()), length);
        for layer in 0..LAYERS {
            for head in 0..HEADS {
                decoder.hand(layer, head).silent = params.is_silent(layer, head);
            }
        }
        let seen = vec![vec![Seen::default(); HEADS]; LAYERS];
        Self { decoder, seen, logits: vec![], written: vec![], spent: vec![] }
    }

    /// Reads on up to a place: what was told, and from there on what it writes itself.
    fn follow(&mut self, told: &[usize], place: usize, host: &Host) {
        let (from, before) = (self.decoder.tokens(), host.now());
        let seen = &mut self.seen;
        let mut see = |sight: Sight| {
            seen[sight.layer][sight.head] = Seen { look: sight.look.clone(), weights: sight.weights.to_vec() };
        };
        let next = &told[from.min(told.len())..place.min(told.len())];
        if let Some((last, others)) = next.split_last() {
            if !others.is_empty() {
                self.decoder.prompt(others);
            }
            self.logits = self.decoder.prompt_observed(&[*last], &mut see);
        }
        while self.decoder.tokens() < place {
            let next = likeliest(&self.logits);
            self.written.push(next);
            self.logits = self.decoder.read_observed(next, &mut see);
        }
        self.spent.push((host.now() - before, self.decoder.tokens() - from));
    }

    fn heads(&self) -> impl Iterator<Item = ([usize; 2], &Seen)> {
        self.seen
            .iter()
            .enumerate()
            .flat_map(|(layer, heads)| heads.iter().enumerate().map(move |(head, seen)| ([layer, head], seen)))
    }

    /// Milliseconds a token, in the mean of the last ones.
    fn time(&self) -> f64 {
        let (mut time, mut tokens) = (0.0, 0);
        for (spent, read) in self.spent.iter().rev() {
            if tokens < TIMED {
                (time, tokens) = (time + spent, tokens + read);
            }
        }
        time / tokens.max(1) as f64
    }

    /// What the last token cost, all heads together, and its share in what chunks are summed up by.
    fn counts(&self, method: &dyn Method) -> Counts {
        let d_head = self.decoder.config().d_head;
        let made = method.summary().map(|summary| summary.counts(d_head)).unwrap_or_default();
        self.heads().map(|(_, seen)| seen.look.counts(d_head) + made).sum()
    }
}

/// A share of attention that is too little to point to.
const LITTLE: f32 = 0.05;

/// A statement as a page quotes it.
fn stated(needle: Needle) -> String {
    format!("“{} {}”", word(needle.name), word(needle.value))
}

/// How much a head looks at the words of a statement.
fn on(needle: &Needle, seen: &Seen) -> f32 {
    let looked = seen.look.tokens().zip(&seen.weights);
    looked.filter(|(token, _)| (needle.at..needle.at + 2).contains(token)).map(|(_, weight)| weight).sum()
}

/// What both readings answer to each question about what was stated so far.
struct Answered {
    stated: Vec<Needle>,
    /// Which of them is asked for.
    asked: usize,
    said: [Said; 2],
}

pub struct LongHeadsRead {
    params: ReadParams,
    model: HouseModel,
    decoder: Arc<Decoder>,
    context: Context,
    /// Why it is not the text that the reader wrote, or not all of it.
    note: Option<String>,
    /// Whether it was drawn, so that its statements can be moved.
    is_drawn: bool,
    /// With full attention, and as chosen.
    readings: [Reading; 2],
    /// Both when the text is read and nothing is asked yet.
    at_question: Option<[Reading; 2]>,
    /// Nothing before the first statement.
    answered: Option<Answered>,
    step: u64,
}

/// The text, why it is not the reader's or not all of it, and whether it was drawn.
fn context_of(model: &HouseModel, params: &ReadParams) -> (Context, Option<String>, bool) {
    let note = match params.words.trim() {
        "" => None,
        words => match Context::parse(words, LONGEST) {
            Ok((context, note)) => return (context, note, false),
            Err(problem) => Some(format!("{problem} A drawn text is shown.")),
        },
    };
    let places: Vec<usize> = params.places.iter().map(|[x, _]| *x as usize).collect();
    (drawn(model, params).with_needles_at(&places), note, true)
}

/// A drawn text. It has room for the most statements that there may be: where fewer are wanted, fillers stand in place
/// of the last, so that one more changes nothing else.
fn drawn(model: &HouseModel, params: &ReadParams) -> Context {
    let config = ContextConfig { tokens: params.length, needles: STATEMENTS, depth: None };
    let Context { mut tokens, needles } = model.language.context(&config, &mut Stream::at(params.seed, "contexts", 0));
    // Every second first, so that a few do not crowd at the beginning.
    let order = (0..STATEMENTS).step_by(2).chain((1..STATEMENTS).step_by(2));
    let mut needles: Vec<Needle> = order.map(|at| needles[at]).collect();
    for Needle { at, .. } in needles.split_off(params.statements) {
        let mut stream = Stream::at(params.seed, "fillers", at as u64);
        let fillers = model.language.onward(&tokens[..at], 2, &mut stream);
        tokens[at..at + 2].copy_from_slice(&fillers);
    }
    Context { tokens, needles }
}

impl LongHeadsRead {
    /// What is told: the text, and the question.
    fn told(&self) -> Vec<usize> {
        self.context.asked(&self.asked())
    }

    /// Tokens of all, with what is written on.
    fn length(&self) -> usize {
        self.context.tokens.len() + QUESTION + self.params.written
    }

    fn steps(&self) -> u64 {
        (self.context.tokens.len().div_ceil(STRIDE) + QUESTION + self.params.written) as u64
    }

    /// Tokens that were read after a step.
    fn place(&self, step: u64) -> usize {
        let (step, text) = (step as usize, self.context.tokens.len());
        let strides = text.div_ceil(STRIDE);
        if step <= strides { (step * STRIDE).min(text) } else { text + step - strides }
    }

    fn begin(&mut self) {
        let length = self.length();
        self.readings =
            [Way::Full, self.params.method].map(|way| Reading::new(&self.decoder, way, &self.params, length));
        (self.at_question, self.answered) = (None, None);
    }

    /// The statement that is asked about.
    fn asked(&self) -> Needle {
        self.context.needles[self.params.question.min(self.context.needles.len()) - 1]
    }

    /// The statement that the figures are about, and its part here: the one that is asked for, but before that is read the
    /// last that was. Nothing before the first.
    fn about(&self) -> Option<(Needle, &'static str)> {
        let Answered { stated, asked, .. } = self.answered.as_ref()?;
        let (needle, question) = (stated[*asked], self.context.tokens.len() + QUESTION);
        let part = match self.chosen().decoder.tokens() {
            _ if needle != self.asked() => "the last fact so far",
            read if read < question => "which will be asked for",
            read if read == question => "which is asked for",
            _ => "which was asked for",
        };
        Some((needle, part))
    }

    /// Where the map and the curves show it.
    fn moment(&self, x: impl Fn(Needle) -> f32) -> Option<Mark> {
        let (needle, _) = self.about()?;
        let name = if needle == self.asked() { "asked for" } else { "last fact" };
        Some(Mark::Moment { name: name.to_owned(), x: x(needle) })
    }

    /// The middle of the chunks of a statement, on an axis of chunks.
    fn middle(&self, needle: Needle) -> f32 {
        let chunks = chunks_of(&needle, self.params.width);
        (chunks.start() + chunks.end()) as f32 / 2.0
    }

    fn chunk_axis(&self) -> Axis {
        Axis::new("chunk", -0.5..self.chunks() as f64 - 0.5)
    }

    /// What these chunks are called.
    fn its_chunks(&self, needle: Needle) -> String {
        let fact = stated(needle);
        match chunks_of(&needle, self.params.width).count() {
            1 => format!("the chunk of {fact}"),
            _ => format!("the two chunks of {fact}, which their border cuts,"),
        }
    }

    /// Reads up to where a step ends, and asks there.
    async fn read_to(&mut self, step: u64, host: &Host) {
        let (told, text, end) = (self.told(), self.context.tokens.len(), self.place(step));
        while self.readings[0].decoder.tokens() < end {
            let from = self.readings[0].decoder.tokens();
            let to = if from < text { (from + STRIDE).min(text) } else { from + 1 };
            self.readings.iter_mut().for_each(|reading| reading.follow(&told, to, host));
            if to == text {
                self.ask();
                self.at_question = Some(self.readings.clone());
                let asked = self.asked();
                self.params.take_in_hand(&mut self.readings[1].decoder, &asked);
            }
            host.breathe().await;
        }
        if end < text {
            self.ask();
        }
    }

    /// Asks about every statement that was read.
    fn ask(&mut self) {
        let read = self.readings[0].decoder.tokens();
        let stated: Vec<Needle> = self.context.needles.iter().copied().filter(|needle| needle.at + 1 < read).collect();
        let wanted = self.asked();
        self.answered = stated.len().checked_sub(1).map(|last| {
            let latest = (0..=last).max_by_key(|&at| stated[at].at).expect("something is stated");
            let asked = stated.iter().position(|needle| *needle == wanted).unwrap_or(latest);
            let said = [0, 1].map(|which| {
                let said_to = |needle: &Needle| {
                    let mut decoder = self.readings[which].decoder.clone();
                    if which == 1 {
                        self.params.take_in_hand(&mut decoder, needle);
                    }
                    answer(&mut decoder, needle)
                };
                let answers: Vec<Vec<f32>> = stated.iter().map(said_to).collect();
                Said::new(&answers, asked)
            });
            Answered { stated, asked, said }
        });
    }

    fn chosen(&self) -> &Reading {
        &self.readings[1]
    }

    /// The last token that was read; the first, if none was.
    fn last(&self) -> usize {
        self.chosen().decoder.tokens().saturating_sub(1)
    }

    /// What stands at a place that was read: in the text, in the question, or in what is written on.
    fn token(&self, place: usize) -> usize {
        let question = [ASK, self.asked().name];
        let all = self.context.tokens.iter().chain(&question).chain(&self.chosen().written);
        all.copied().nth(place).unwrap_or(ASK)
    }

    /// Words of a chunk as far as they are read.
    fn words_of(&self, chunk: usize) -> String {
        let width = self.params.width;
        let end = ((chunk + 1) * width).min(self.last() + 1);
        let words: Vec<&str> = (chunk * width..end).map(|place| word(self.token(place))).collect();
        words.join(" ")
    }

    /// Chunks of the whole text with the question and what is written.
    fn chunks(&self) -> usize {
        self.length().div_ceil(self.params.width)
    }

    /// How much a head looks at each chunk, `[chunks]`.
    fn masses(&self, seen: &Seen) -> Vec<f32> {
        let mut masses = vec![0.0; self.chunks()];
        for (token, weight) in seen.look.tokens().zip(&seen.weights) {
            masses[token / self.params.width] += weight;
        }
        masses
    }

    /// Chunks that a look sees.
    fn seen_chunks(&self, look: &Look) -> BTreeSet<usize> {
        look.tokens().map(|token| token / self.params.width).collect()
    }

    fn strip_panel(&self) -> Panel {
        let (chunks, width) = (self.chunks(), self.params.width);
        let strength = |seen: &Seen| -> Vec<f32> {
            let mut row = vec![0.0; chunks];
            match &seen.look.choice {
                Some(choice) => {
                    for Chosen { chunk, why } in &choice.chunks {
                        row[*chunk] = match why {
                            Why::Always => MUST,
                            Why::Hand | Why::Oracle => TOLD,
                            Why::Ranked => PICKED,
                        };
                    }
                }
                None => self.seen_chunks(&seen.look).into_iter().for_each(|chunk| row[chunk] = MUST),
            }
            row
        };
        let rows: Vec<Vec<Vec<f32>>> =
            self.chosen().seen.iter().map(|heads| heads.iter().map(strength).collect()).collect();
        let count = (LAYERS * HEADS) as f32;
        let places = self.context.needles.iter().map(|needle| [needle.at as f32, count + 0.6]).collect();
        let must = if self.params.method.chooses() { "always seen" } else { "seen" };
        let chance = if self.params.method == Way::Random { "drawn by chance" } else { "picked" };
        let means = [(must, MUST), ("told", TOLD), (chance, PICKED)];
        let shown = means.into_iter().filter(|(_, value)| rows.iter().flatten().flatten().any(|cell| cell == value));
        let keys = shown.map(|(name, value)| Mark::Key { name: name.to_owned(), value });
        let handles = Mark::Handles { name: "statement".to_owned(), ink: Ink::Guess, first: 1, points: places };
        let moment = self.moment(|needle| needle.at as f32 + 1.0);
        let mut chart = heads_map("looked at", &rows, (chunks, width), keys.chain(moment).chain([handles]).collect());
        // Above the handles there is room for their numbers and for what the dotted line means.
        chart.y.max = f64::from(count) + 2.4;
        let how = match self.is_drawn {
            true => "Drag a number to move its statement.",
            false => {
                "The text is yours: “Length” and “Statements” are about drawn ones, and “Question” says which of its facts is asked for."
            }
        };
        let axes = "Rows are heads, 2.4 the fourth of the upper layer; columns are chunks of the text.";
        let said = [self.note.clone(), self.capped(), Some(self.seen_by()), self.asks_last(), Some(axes.to_owned())];
        let said: Vec<String> = said.into_iter().flatten().collect();
        let said = format!("{} {how}", said.join(" "));
        let panel = Panel::new("strip", "Where each head looks", said, 6, Body::Chart(chart));
        if self.is_drawn { panel.edits("places") } else { panel }
    }

    /// Which heads see what the figures are about, and which looks at it most.
    fn seen_by(&self) -> String {
        if self.chosen().decoder.tokens() == 0 {
            return "Nothing is read yet.".to_owned();
        }
        let here = format!("“{}”, token **{}**.", word(self.token(self.last())), number(self.last() as f64, 3));
        let Some((needle, part)) = self.about() else { return format!("{here} Nothing is stated yet.") };
        let found: Vec<String> = self
            .chosen()
            .heads()
            .filter(|(_, seen)| seen.look.tokens().any(|token| token == needle.at + 1))
            .map(|([layer, head], _)| head_name(layer, head))
            .collect();
        let who = match found.len() {
            0 => "No head sees".to_owned(),
            8 => "All heads see".to_owned(),
            1 => format!("**{}** sees", found[0]),
            _ => format!("**{}** see", found.join(", ")),
        };
        let heard = self.chosen().heads().filter(|([layer, head], _)| !self.params.is_silent(*layer, *head));
        let most = heard.map(|(head, seen)| (head, on(&needle, seen)));
        let most = most.max_by(|(_, a), (_, b)| a.total_cmp(b)).filter(|(_, share)| *share >= LITTLE);
        let most = most.map(|([layer, head], share)| {
            format!(
                ", and **{}** looks at it most, with **{:.0} %** of its attention",
                head_name(layer, head),
                100.0 * share
            )
        });
        let cut = if chunks_of(&needle, self.params.width).count() > 1 { ", cut by a border of chunks" } else { "" };
        format!("{here} {who} {}, {part}{cut}{}.", stated(needle), most.unwrap_or_default())
    }

    fn capped(&self) -> Option<String> {
        self.params.sizes().capped().filter(|_| self.params.method.is_bounded())
    }

    /// A sentence, where fewer names are stated than the number of the question.
    fn asks_last(&self) -> Option<String> {
        let count = self.context.needles.len();
        (self.params.question > count)
            .then(|| format!("There is no question {}: of {count} the last is asked.", self.params.question))
    }

    fn answer_panels(&self) -> [Panel; 2] {
        let Some(Answered { stated, asked, said }) = &self.answered else {
            let said = "Nothing is stated yet; each statement is asked for once it was read.";
            let answer = Chart::new(Axis::new("next word", 0.0..1.0), Axis::new("probability", 0.0..1.0), vec![]);
            let head = ["? name", "at", "stated", READERS[0], READERS[1]].map(str::to_owned).to_vec();
            return [
                Panel::new("answer", "One answer", said, 3, Body::Chart(answer)),
                Panel::new("questions", "Ask it", said, 3, Body::Table(Table::new(head, vec![]))),
            ];
        };
        let read = self.context.tokens.len().min(self.last() + 1);
        let when = format!("each asked after **{}** tokens", number(read as f64, 3));
        let said = said.each_ref();
        let mut panels =
            [answer_panel(&stated[*asked], READERS, said), questions_panel(stated, READERS, said, *asked, &when)];
        if stated[*asked] != self.asked() {
            panels[0].summary += " What you ask for is not read yet; until then it is the last fact.";
        }
        if let Some(note) = &self.note {
            panels[1].summary = format!("{note} {}", panels[1].summary);
        }
        panels
    }

    fn chunks_panel(&self, params: &ReadParams) -> Panel {
        let seen = &self.chosen().seen[params.layer - 1][params.head - 1];
        let chosen: Vec<Chosen> = match &seen.look.choice {
            Some(choice) => choice.chunks.clone(),
            None => {
                let always = |chunk| Chosen { chunk, why: Why::Always };
                self.seen_chunks(&seen.look).into_iter().map(always).collect()
            }
        };
        let masses = self.masses(seen);
        let asked = self.asked();
        let token = |chunk: usize| {
            let range = chunk * params.width..(chunk + 1) * params.width;
            let note = |needle: &Needle| {
                let words = [(needle.at, needle.name), (needle.at + 1, needle.value)];
                let (_, said) = words.into_iter().find(|(at, _)| range.contains(at))?;
                Some(format!("{}{}", if *needle == asked { "? " } else { "" }, word(said)))
            };
            // What is asked for comes first, where a chunk holds more.
            let note = note(&asked).or_else(|| self.context.needles.iter().find_map(note));
            let why = chosen.iter().find(|chosen| chosen.chunk == chunk).map(|chosen| chosen.why);
            let class = why.map(|why| match why {
                Why::Always => 2,
                Why::Hand | Why::Oracle => 3,
                Why::Ranked => 0,
            });
            Token {
                text: chunk.to_string(),
                note: note.unwrap_or_default(),
                class,
                chosen: params.chunk.contains(&chunk),
            }
        };
        let tokens = (0..self.chunks()).map(token).collect();
        let head = head_name(params.layer - 1, params.head - 1);
        let said = match params.chunk[..] {
            [chunk] if chunk * params.width <= self.last() => {
                let scored = seen.look.choice.as_ref().and_then(|choice| {
                    let score = *choice.scores.get(chunk)?;
                    let place = 1 + choice.scores.iter().filter(|other| **other > score).count();
                    Some(format!(
                        "query · representation is **{}**, place {place} of {}",
                        number(f64::from(score), 3),
                        choice.scores.len()
                    ))
                });
                let why = match chosen.iter().find(|chosen| chosen.chunk == chunk).map(|chosen| chosen.why) {
                    Some(Why::Always) => "always seen",
                    Some(Why::Hand | Why::Oracle) => "seen because it is told to",
                    Some(Why::Ranked) => "chosen",
                    None => "not seen",
                };
                format!(
                    "Chunk {chunk}, “{}”: {} by head {head}, which spends **{:.0} %** of its attention there{}.",
                    self.words_of(chunk),
                    why,
                    100.0 * masses[chunk],
                    scored.map_or_else(String::new, |scored| format!("; its {scored}"))
                )
            }
            [chunk] => format!(
                "Chunk {chunk} {}; the last that is read is **{}**.",
                if chunk < self.chunks() { "is not read yet" } else { "does not exist" },
                self.last() / params.width
            ),
            [_, _, ..] => {
                let pressed: Vec<String> = params.chunk.iter().map(usize::to_string).collect();
                let seen = params.chunk.iter().filter(|&&chunk| chosen.iter().any(|chosen| chosen.chunk == chunk));
                let there: f32 = params.chunk.iter().filter_map(|&chunk| masses.get(chunk)).sum();
                format!(
                    "Of the chunks {}{} head {head} sees **{}**, and spends **{:.0} %** of its attention there.",
                    pressed.join(", "),
                    match params.press {
                        Press::Shown => "",
                        Press::On => ", which are shown to it by hand,",
                        Press::Off => ", which are hidden from it by hand,",
                    },
                    seen.count(),
                    100.0 * there
                )
            }
            [] => {
                let always = chosen.iter().filter(|chosen| chosen.why == Why::Always);
                let always: Vec<String> = always.map(|chosen| chosen.chunk.to_string()).collect();
                let picked = chosen.len() - always.len();
                let why = match &seen.look.choice {
                    Some(_) if params.method == Way::Random => {
                        format!(": {}, as always, and in another color **{picked}** drawn by chance", always.join(", "))
                    }
                    Some(_) => {
                        format!(": {}, as always, and in another color **{picked}** of its choice", always.join(", "))
                    }
                    None => String::new(),
                };
                format!(
                    "Head {head} sees **{}** of the {} chunks so far{why}. Names stand where they are stated; one with a “?” is asked for. Press chunks; “Pressed chunks are” shows them to the head or hides them.",
                    chosen.len(),
                    self.last() / params.width + 1
                )
            }
        };
        let tokens = Tokens { tokens, wraps: true, many: true, ..Tokens::default() };
        Panel::new("chunks", "The text in chunks", said, 6, Body::Tokens(tokens)).edits("chunk")
    }

    fn scores_panel(&self, params: &ReadParams) -> Panel {
        let seen = &self.chosen().seen[params.layer - 1][params.head - 1];
        let head = head_name(params.layer - 1, params.head - 1);
        let x = self.chunk_axis();
        let moment = self.moment(|needle| self.middle(needle));
        let Some(choice) = seen.look.choice.as_ref().filter(|choice| !choice.scores.is_empty()) else {
            let said = match (&seen.look.choice, params.method.chooses()) {
                (Some(_), _) => "Chance decides: no chunk is compared with the query.",
                (None, true) => "So far the text is no longer than what a head sees of it: nothing must be chosen.",
                (None, false) => "This way of reading compares no chunks.",
            };
            let chart = Chart::new(x, Axis::new("query · representation", 0.0..1.0), moment.into_iter().collect());
            return Panel::new("scores", "Scores of the chunks", said, 3, Body::Chart(chart));
        };
        let dots = |wanted: &dyn Fn(usize) -> bool| -> Vec<[f32; 2]> {
            let all = choice.scores.iter().enumerate().filter(|(chunk, _)| wanted(*chunk));
            all.map(|(chunk, score)| [chunk as f32, *score]).collect()
        };
        let picked = |chunk: usize| choice.chunks.iter().any(|chosen| chosen.chunk == chunk);
        let span = choice
            .scores
            .iter()
            .fold((0.0_f64, 0.0_f64), |(low, high), score| (low.min(f64::from(*score)), high.max(f64::from(*score))));
        let mut marks = vec![
            Mark::Dots { name: "not seen".to_owned(), ink: Ink::Muted, points: dots(&|chunk| !picked(chunk)) },
            Mark::Dots { name: "seen".to_owned(), ink: Ink::Method, points: dots(&picked) },
        ];
        marks.extend(moment);
        let compared = choice.scores.len();
        let place = |chunk: usize| {
            let score = choice.scores.get(chunk)?;
            Some((1 + choice.scores.iter().filter(|other| *other > score).count()).to_string())
        };
        let ranked = self.about().map(|(needle, _)| {
            let places: Vec<String> = chunks_of(&needle, params.width).filter_map(place).collect();
            let (have, places) = match places.len() {
                0 => return format!("{} is not full yet", self.its_chunks(needle)),
                1 => ("has place", places.concat()),
                _ => ("have the places", places.join(" and ")),
            };
            format!("{} {have} **{places}** of {compared}", self.its_chunks(needle))
        });
        let said = match ranked {
            Some(ranked) => {
                let hand = match (params.press, params.chunk.is_empty()) {
                    (_, true) | (Press::Shown, _) => "",
                    (Press::On, _) => " But pressed chunks are shown to it first.",
                    (Press::Off, _) => " But pressed chunks are hidden from it.",
                };
                format!("By the scores of head {head}, {ranked}. The highest are seen, and three always.{hand}")
            }
            None => format!("Head {head} compares **{compared}** chunks. Nothing is stated yet."),
        };
        let chart = Chart::new(x, Axis::new("query · representation", span.0..span.1.max(span.0 + 1e-3)), marks);
        Panel::new("scores", "Scores of the chunks", said, 3, Body::Chart(chart))
    }

    fn mass_panel(&self, params: &ReadParams) -> Panel {
        let chunks = self.chunks() as f32;
        let [full, chosen] =
            [0, 1].map(|which: usize| self.masses(&self.readings[which].seen[params.layer - 1][params.head - 1]));
        let head = head_name(params.layer - 1, params.head - 1);
        let said = self.about().map(|(needle, _)| {
            let there = |masses: &[f32]| 100.0 * chunks_of(&needle, params.width).map(|at| masses[at]).sum::<f32>();
            format!(
                "Head {head} spends **{{method|{:.0} %}}** of its attention on {}; with full attention it would be **{:.0} %**.",
                there(&chosen),
                self.its_chunks(needle),
                there(&full)
            )
        });
        let mut said = said.unwrap_or_else(|| format!("What head {head} looks at. Nothing is stated yet."));
        if params.is_silent(params.layer - 1, params.head - 1) {
            said.push_str(" It is switched off: what it finds is thrown away.");
        }
        let stems = chosen.iter().enumerate().filter(|(_, mass)| **mass > 0.0);
        let mut marks = vec![
            Mark::Bars { name: READERS[0].to_owned(), ink: Ink::Data, from: -0.5, to: chunks - 0.5, heights: full },
            Mark::Stems {
                name: READERS[1].to_owned(),
                ink: Ink::Method,
                points: stems.map(|(chunk, mass)| [chunk as f32, *mass]).collect(),
            },
        ];
        marks.extend(self.moment(|needle| self.middle(needle)));
        let chart = Chart::new(self.chunk_axis(), Axis::new("share of attention", 0.0..1.0), marks);
        Panel::new("mass", "What it finds there", said, 3, Body::Chart(chart))
    }

    /// Positions from one place to the next.
    fn position_step(&self, params: &ReadParams) -> f64 {
        let HouseTransformerConfig { rotary_base, d_head, .. } = *self.chosen().decoder.config();
        params.method.method(&params.sizes()).rotary(Rotary::plain(rotary_base), d_head, self.length()).step
    }

    /// Where the tokens stand, and where the head believes them to stand.
    fn layout_panel(&self, params: &ReadParams) -> Panel {
        let seen = &self.chosen().seen[params.layer - 1][params.head - 1];
        let step = self.position_step(params);
        let position = |place: usize| (place as f64 * step) as f32;
        let points: Vec<[f32; 2]> =
            seen.look.tokens().zip(seen.look.places()).map(|(token, place)| [token as f32, position(place)]).collect();
        let farthest = position(seen.look.query);
        let length = self.length() as f64;
        let marks = vec![
            Mark::line("true position", Ink::Baseline, [[0.0, 0.0], [self.last() as f32, self.last() as f32]]),
            Mark::Level { name: format!("last trained: {}", LONG - 1), y: (LONG - 1) as f32 },
            Mark::Dots { name: "as the head sees it".to_owned(), ink: Ink::Method, points },
        ];
        let said = format!(
            "The head sees **{}** tokens in positions up to **{{method|{}}}**; {{baseline|where they truly stand}} goes up to {}. It was trained on {LONG} positions, 0 to {}{}.",
            number(seen.look.keys() as f64, 3),
            number(f64::from(farthest), 4),
            number(self.last() as f64, 3),
            LONG - 1,
            if params.method == Way::Ntk { ", and here slow pairs turn more slowly instead" } else { "" }
        );
        let chart = Chart::new(
            Axis::new("token of the text", 0.0..length),
            Axis::from_zero("position", length.max(LONG as f64)),
            marks,
        );
        Panel::new("layout", "Laid out anew", said, 3, Body::Chart(chart))
    }

    /// The text as the head reads it.
    fn laid_out_panel(&self, params: &ReadParams) -> Panel {
        let seen = &self.chosen().seen[params.layer - 1][params.head - 1];
        let all: Vec<(usize, usize, f32)> = seen
            .look
            .tokens()
            .zip(seen.look.places())
            .zip(&seen.weights)
            .map(|((token, place), weight)| (token, place, *weight))
            .collect();
        let mut shown = all.clone();
        shown.sort_by(|a, b| b.2.total_cmp(&a.2));
        shown.truncate(LAID_OUT);
        shown.sort_by_key(|(token, ..)| *token);
        let step = self.position_step(params);
        let mut before = None;
        let token = |&(token, place, weight): &(usize, usize, f32)| {
            let chunk = token / params.width;
            let begins = before.replace(chunk) != Some(chunk);
            let stated = matches!(Kind::of(self.token(token)), Kind::Name | Kind::Value);
            Token {
                text: word(self.token(token)).to_owned(),
                note: if weight >= LITTLE {
                    format!("{:.0} %", 100.0 * weight)
                } else if begins {
                    format!("@{}", number(place as f64 * step, 4))
                } else {
                    String::new()
                },
                class: stated.then_some(2),
                chosen: weight >= LITTLE,
            }
        };
        let tokens = shown.iter().map(token).collect();
        let said = match all.len() > shown.len() {
            true => format!("Of **{}** tokens the {} that the head looks at most, in their order; @ is the position of the one above it.", number(all.len() as f64, 3), shown.len()),
            false => "What the head sees, in the order in which it is laid out; @ is the position where a chunk begins, % what it looks at.".to_owned(),
        };
        let tokens = Tokens { tokens, wraps: true, ..Tokens::default() };
        Panel::new("laid-out", "What this head reads", said, 6, Body::Tokens(tokens))
    }

    /// How many heads see each chunk.
    fn coverage_panel(&self) -> Panel {
        let chunks = self.chunks();
        let mut heads = [vec![0.0_f32; chunks], vec![0.0_f32; chunks]];
        for ([layer, _], seen) in self.chosen().heads() {
            self.seen_chunks(&seen.look).into_iter().for_each(|chunk| heads[layer][chunk] += 1.0);
        }
        let so_far = self.last() / self.params.width + 1;
        let covered = heads.each_ref().map(|counts| counts.iter().filter(|count| **count > 0.0).count());
        let said = format!(
            "For this one token the four heads of the upper layer together see **{{method|{} of {so_far}}}** chunks, those of the lower **{}**; one alone sees {}.",
            covered[1],
            covered[0],
            self.chosen().seen[1].iter().map(|seen| self.seen_chunks(&seen.look).len()).max().unwrap_or(0)
        );
        let [lower, upper] = heads;
        let stems = upper.iter().enumerate().filter(|(_, count)| **count > 0.0);
        let marks = vec![
            Mark::Bars {
                name: "lower layer".to_owned(),
                ink: Ink::Data,
                from: -0.5,
                to: chunks as f32 - 0.5,
                heights: lower,
            },
            Mark::Stems {
                name: "upper layer".to_owned(),
                ink: Ink::Method,
                points: stems.map(|(chunk, count)| [chunk as f32, *count]).collect(),
            },
        ];
        let chart = Chart::new(self.chunk_axis(), Axis::new("heads that see it", 0.0..HEADS as f64), marks);
        Panel::new("coverage", "Together they cover", said, 3, Body::Chart(chart))
    }

    fn loudness_panel(&self, params: &ReadParams) -> Panel {
        let count = LAYERS * HEADS;
        let heights = (0..count).map(|at| params.loudness.get(at).map_or(1.0, |loudness| f32::from(*loudness >= 0.5)));
        let heights: Vec<f32> = heights.collect();
        let mut x = Axis::new("layer.head", 0.0..count as f64);
        x.ticks = (0..count).map(|at| (at as f64 + 0.5, head_name(at / HEADS, at % HEADS))).collect();
        let off = heights.iter().filter(|height| **height == 0.0).count();
        let said = match off {
            0 => "Paint a bar down to switch a head off while the whole text is read: it looks, and what it finds is thrown away."
                .to_owned(),
            _ => format!(
                "Switched off, in both readings: **{off}** of {count} heads. Paint a bar up to switch it on again."
            ),
        };
        let bars = Mark::Bars { name: "on".to_owned(), ink: Ink::Data, from: 0.0, to: count as f32, heights };
        let chart = Chart::new(x, Axis::new("on", 0.0..1.0), vec![bars]);
        Panel::new("loudness", "Heads switched on", said, 3, Body::Chart(chart)).edits("loudness")
    }

    fn written_panel(&self) -> Panel {
        let row = |(name, reading): (&str, &Reading)| {
            let words: Vec<&str> = reading.written.iter().map(|&token| word(token)).collect();
            vec![
                Cell::Text(name.to_owned()),
                Cell::Text(if words.is_empty() { "…".to_owned() } else { words.join(" ") }),
            ]
        };
        let table = Table::new(
            ["reader", "what it writes"].map(str::to_owned).to_vec(),
            READERS.into_iter().zip(&self.readings).map(row).collect(),
        );
        let said = match self.chosen().written.first() {
            Some(&first) => format!("The first token is the answer: **{}**. Each goes on from its own.", word(first)),
            None => "Nothing yet: the text comes first, then the question, then what follows.".to_owned(),
        };
        Panel::new("written", "What follows", said, 3, Body::Table(table))
    }

    fn costs_panel(&self) -> Panel {
        let mut list = vec![];
        let readers =
            [(READERS[0], "full", Ink::Baseline, Way::Full), (READERS[1], "chosen", Ink::Method, self.params.method)];
        for ((name, key, ink, way), reading) in readers.into_iter().zip(&self.readings) {
            let counts = reading.counts(&*way.method(&self.params.sizes()));
            let mut push = |what: &str, column: &str, unit: &str, value: f64| {
                list.push(Readout::new(format!("{what}_{key}"), name, ink, column, unit, value));
            };
            push("keys", "keys a head looks at", "", counts.keys as f64 / (LAYERS * HEADS) as f64);
            push("compared", "chunks it compares", "", counts.compared as f64 / (LAYERS * HEADS) as f64);
            push("kilo_multiply_adds", "thousand multiply-adds", "", counts.multiply_adds as f64 / 1000.0);
            push("kilobytes", "kilobytes read", "", counts.bytes as f64 / 1000.0);
            let mut time = Readout::new(format!("ms_{key}"), name, ink, "measured", "ms", reading.time());
            time.measured = true;
            list.push(time);
        }
        let made = match self.params.method {
            Way::LongHeads | Way::MeanKey | Way::Oracle => {
                " The making of a chunk’s vector is counted too, its tokens sharing it."
            }
            _ => "",
        };
        let said = format!(
            "What attention asks for the last token, keys and chunks in the mean of all heads and the rest for all of them, in 16 bits a number.{made} Measured on this machine: a token with the whole model, the mean of the last {TIMED}; a browser's clock is coarse, and small differences are noise. The cache itself stays whole."
        );
        Panel::new("costs", "What a token costs", said, 6, Body::Readouts(list))
    }
}

impl Lab for LongHeadsRead {
    const CARD: Card = Card {
        slug: "longheads",
        title: "Each head picks",
        hook: "How can a model read more than it knows?",
        page: PAGE,
        papers: &[PAPER],
        chance: true,
        presets: &[
            Preset { label: "LongHeads, 512 tokens", query: "" },
            Preset { label: "As long as trained", query: "length=126" },
            Preset { label: "Full attention, 1,024", query: "method=full&length=1024" },
            Preset { label: "LongHeads, 1,024", query: "length=1024" },
            Preset { label: "Random chunks", query: "method=random&length=1024" },
            Preset { label: "A window", query: "method=window" },
        ],
        experiments: &[],
        batches: &[],
    };
    type Params = ReadParams;

    async fn start(params: &ReadParams, host: &Host) -> Result<Self, LabError> {
        let model = HouseModel::open(params.model, params.seed, host).await?;
        let decoder = Arc::new(model.decoder.clone());
        let (context, note, is_drawn) = context_of(&model, params);
        let readings = [Way::Full, params.method].map(|way| Reading::new(&decoder, way, params, LONGEST));
        let mut lab = Self {
            params: params.clone(),
            model,
            decoder,
            context,
            note,
            is_drawn,
            readings,
            at_question: None,
            answered: None,
            step: 0,
        };
        lab.begin();
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        if self.step < self.steps() {
            self.step += 1;
            self.read_to(self.step, host).await;
        }
        Ok(if self.step < self.steps() { Status::Running } else { Status::Done })
    }

    async fn change(&mut self, params: &ReadParams, host: &Host) -> Result<(), LabError> {
        let before = std::mem::replace(&mut self.params, params.clone());
        let again = params.of_text() != before.of_text();
        if again {
            (self.context, self.note, self.is_drawn) = context_of(&self.model, params);
            self.begin();
        } else if let Some(readings) = self.at_question.clone() {
            self.readings = readings;
            self.ask();
            let asked = self.asked();
            self.params.take_in_hand(&mut self.readings[1].decoder, &asked);
        } else {
            self.ask();
        }
        self.read_to(self.step, host).await;
        Ok(())
    }

    fn frame(&self, params: &ReadParams) -> Frame {
        let mut panels = vec![self.strip_panel()];
        panels.extend(self.answer_panels());
        panels.extend([
            self.chunks_panel(params),
            self.scores_panel(params),
            self.mass_panel(params),
            self.layout_panel(params),
            self.coverage_panel(),
            self.laid_out_panel(params),
            self.loudness_panel(params),
            self.costs_panel(),
        ]);
        if params.written > 0 {
            panels.push(self.written_panel());
        }
        Frame { step: self.step, of: Some(self.steps()), panels: self.model.noted(panels), offers: Vec::new() }
    }

    async fn save(&self) -> Result<State, LabError> {
        Ok(State::new(self.step))
    }

    async fn restore(&mut self, state: &State, host: &Host) -> Result<(), LabError> {
        self.step = state.step.min(self.steps());
        // What was read cannot be unread.
        self.begin();
        self.read_to(self.step, host).await;
        Ok(())
    }
}
