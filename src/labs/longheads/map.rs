//! A fact somewhere in a text, at every depth and length: who finds it, and what looking for it costs.

use std::sync::Arc;

use super::ways::{LEAST_CHUNKS, QUESTION, Sizes, Way, answer, tell};
use super::{PAGE, PAPER, claims};
use crate::chart::{Axis, Chart, Ink, Mark, number};
use crate::lab::{Body, Card, Frame, Host, Lab, LabError, Panel, Preset, Readout, State, Status};
use crate::labs::house_figures::head_name;
use crate::labs::house_model::{HEADS, HouseModel, LAYERS, ModelChoice};
use crate::mech::house_transformer::Decoder;
use crate::mech::long_context::{Counts, Look};
use crate::mech::long_decoder::LongDecoder;
use crate::mech::recall_language::{ASK, Context, ContextConfig, Needle, VOCABULARY};
use crate::mech::recall_training::{LONG, likeliest, log_probability};
use crate::params;
use crate::seed::Stream;

/// Rows and columns of the map.
const DEPTHS: usize = 8;
const LENGTHS: usize = 8;
/// Statements in a text; the first stands at the depth of its cell.
const STATEMENTS: usize = 8;
/// Tokens that come after a text.
const CONTINUED: usize = 24;
/// Tokens that are read before somebody may speak.
const STRIDE: usize = 64;

/// The ways that curves show, each in an ink of its own.
const DRAWN: [Way; 5] = [Way::Window, Way::Oracle, Way::Interpolation, Way::Full, Way::LongHeads];
/// A perplexity that has risen.
const RISEN: f32 = 1.1;
/// Where the others are.
const OTHERS: &str = "The other ways are in “In numbers”.";
/// With whom the ways that a count does not show share it.
const SAME: &str = "Interpolation and NTK cost what full attention does, mean key and told the chunk what LongHeads does, sinks + window and random chunks what a window does.";

/// Panels of what is counted: id, title, axis, and what they say.
const COST: [&str; 4] = [
    "cost",
    "Attention, counted",
    "thousand multiply-adds a token",
    "Counted: what attention multiplies for one token that is written. {method|LongHeads} compares one vector for each chunk, {baseline|full attention} every key. The making of that vector is counted too, a chunk’s tokens sharing it.",
];
const BYTES: [&str; 4] = [
    "bytes",
    "Memory read, counted",
    "kilobytes a token",
    "Counted: keys, values and chunks’ vectors that are read for one token, and what a vector is made of, in 16 bits a number. The cache itself stays whole, but most of it may lie elsewhere.",
];

params! {
    pub struct MapParams {
        /// Tokens of a chunk.
        width: usize = int("Chunk", 8, 2..=32).symbol("w").live(),
        /// Chunks that each head looks at. All together are at most the 128 tokens that the model knows.
        chunks: usize = int("Chunks kept", 12, LEAST_CHUNKS as i64..=64).symbol("k").live(),
        /// The longest text; the others are an eighth of it, two eighths and so on.
        longest: usize = int("Longest text", 1024, 256..=1024),
        /// Texts of each cell. Eight questions are asked about each.
        contexts: usize = int("Texts a cell", 1, 1..=8).live(),
        /// Whether a token of the text sees itself. In the official code it does not, but while writing.
        own_token: bool = toggle("Sees itself", true).live().more(),
        /// Which model reads: one that comes with the page, of which the seed chooses one of three, or yours.
        model: ModelChoice = choice("Model", ModelChoice::Shipped.value(), ModelChoice::OPTIONS).more(),
    }
}

impl MapParams {
    fn sizes(&self) -> Sizes {
        Sizes { width: self.width, chunks: self.chunks, own_token: self.own_token, seed: self.seed }
    }

    fn length(&self, column: usize) -> usize {
        self.longest * (column + 1) / LENGTHS
    }

    /// Works in all.
    fn works(&self) -> usize {
        self.contexts * LENGTHS * DEPTHS * Way::ALL.len()
    }
}

/// One way to read one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Work {
    pass: usize,
    column: usize,
    row: usize,
    way: Way,
}

impl Work {
    /// Lengths from the shortest, depths from the first, all ways in turn.
    fn numbered(number: usize) -> Self {
        let (cell, way) = (number / Way::ALL.len(), number % Way::ALL.len());
        let (column, row) = (cell / DEPTHS % LENGTHS, cell % DEPTHS);
        Self { pass: cell / DEPTHS / LENGTHS, column, row, way: Way::ALL[way] }
    }
}

/// How a way fares at one length. In f32, as a saved run keeps it.
#[derive(Clone, Copy, Debug, Default)]
struct Fared {
    /// Statements at a depth that were found, and texts, by depth.
    found: [f32; DEPTHS],
    texts: [f32; DEPTHS],
    /// Of all statements: right answers, and questions.
    right: f32,
    asked: f32,
    /// Of what comes after, in nats a token.
    surprise: f32,
    /// Milliseconds a token that is written, and seconds of all that was read and asked.
    time: f32,
    spent: f32,
    /// Of one such token, all heads together.
    keys: f32,
    multiply_adds: f32,
    bytes: f32,
    /// Over all questions: those whose statement any head of the upper layer sees, and those that each sees.
    any: f32,
    each: [f32; HEADS],
    /// Chunks that the heads of the upper layer see together, and chunks that there are.
    covered: f32,
    chunks: f32,
}

impl Fared {
    fn texts(&self) -> f32 {
        self.texts.iter().sum()
    }

    fn recall(&self) -> f64 {
        f64::from(self.right) / f64::from(self.asked)
    }

    fn perplexity(&self) -> f64 {
        libm::exp(f64::from(self.surprise / self.texts()))
    }

    fn mean(&self, sum: f32) -> f64 {
        f64::from(sum) / f64::from(self.texts())
    }

    /// All that are one number, in the order in which they are kept.
    fn sums(&mut self) -> [&mut f32; 11] {
        let Self { right, asked, surprise, time, spent, keys, multiply_adds, bytes, any, covered, chunks, .. } = self;
        [right, asked, surprise, time, spent, keys, multiply_adds, bytes, any, covered, chunks]
    }

    fn save(mut self) -> Vec<f32> {
        let sums = self.sums().map(|sum| *sum);
        [&self.found[..], &self.texts, &self.each, &sums].concat()
    }

    fn load(numbers: &[f32]) -> Option<Self> {
        let (&found, rest) = numbers.split_first_chunk()?;
        let (&texts, rest) = rest.split_first_chunk()?;
        let (&each, rest) = rest.split_first_chunk()?;
        let sums: &[f32; 11] = rest.try_into().ok()?;
        let mut fared = Self { found, texts, each, ..Self::default() };
        fared.sums().into_iter().zip(sums).for_each(|(sum, saved)| *sum = *saved);
        Some(fared)
    }
}

pub struct LongHeadsMap {
    params: MapParams,
    model: HouseModel,
    decoder: Arc<Decoder>,
    done: usize,
    /// `[ways][lengths]`.
    fared: Vec<[Fared; LENGTHS]>,
}

impl LongHeadsMap {
    /// The text of a cell, and what comes after it.
    fn text(&self, work: Work) -> (Context, Vec<usize>) {
        let depth = Some(work.row as f64 / (DEPTHS - 1) as f64);
        let config = ContextConfig { tokens: self.params.length(work.column), needles: STATEMENTS, depth };
        let index = ((work.pass * LENGTHS + work.column) * DEPTHS + work.row) as u64;
        let language = &self.model.language;
        let context = language.context(&config, &mut Stream::at(self.params.seed, "contexts", index));
        let onward =
            language.onward(&context.tokens, CONTINUED, &mut Stream::at(self.params.seed, "continuation", index));
        (context, onward)
    }

    async fn test(&mut self, work: Work, host: &Host) {
        let (context, onward) = self.text(work);
        let sizes = self.params.sizes();
        let length = context.tokens.len() + CONTINUED;
        let method = work.way.method(&sizes);
        let d_head = self.decoder.config().d_head;
        let made = method.summary().map(|summary| summary.counts(d_head)).unwrap_or_default();
        let mut decoder = LongDecoder::new(self.decoder.clone(), method, length);
        let begun = host.now();
        let mut logits = vec![];
        for stretch in context.tokens.chunks(STRIDE) {
            logits = decoder.prompt(stretch);
            host.breathe().await;
        }
        logits.drain(..logits.len() - VOCABULARY);

        let fared = &mut self.fared[work.way as usize][work.column];
        fared.texts[work.row] += 1.0;
        for (index, needle) in context.needles.iter().enumerate() {
            let asked = Asked::new(&decoder, work.way, needle, &sizes);
            fared.right += f32::from(asked.right);
            fared.asked += 1.0;
            fared.any += f32::from(asked.seen.contains(&true));
            fared.each.iter_mut().zip(asked.seen).for_each(|(sum, seen)| *sum += f32::from(seen));
            if index == 0 {
                fared.found[work.row] += f32::from(asked.right);
                fared.covered += asked.covered as f32;
                fared.chunks += (context.tokens.len() + QUESTION).div_ceil(sizes.width) as f32;
            }
            host.breathe().await;
        }
        let before = host.now();
        let mut counts = Counts::default();
        for (index, &token) in onward.iter().enumerate() {
            fared.surprise -= log_probability(&logits, token) / CONTINUED as f32;
            logits = decoder.read_observed(token, |sight| {
                if index + 1 == CONTINUED {
                    counts = counts + sight.look.counts(d_head) + made;
                }
            });
        }
        fared.time += (host.now() - before) as f32 / CONTINUED as f32;
        fared.spent += (host.now() - begun) as f32 / 1000.0;
        fared.keys += counts.keys as f32 / (LAYERS * HEADS) as f32;
        fared.multiply_adds += counts.multiply_adds as f32;
        fared.bytes += counts.bytes as f32;
    }

    /// Of a way, at every length that it was tested at.
    fn points(&self, way: usize, figure: impl Fn(&Fared) -> f64) -> Vec<[f32; 2]> {
        let tested = self.fared[way].iter().enumerate().filter(|(_, fared)| fared.texts() > 0.0);
        tested.map(|(column, fared)| [self.params.length(column) as f32, figure(fared) as f32]).collect()
    }

    /// A line for each of some ways, and the greatest figure.
    fn lines(&self, ways: impl Iterator<Item = Way>, figure: impl Fn(&Fared) -> f64 + Copy) -> (Vec<Mark>, f64) {
        let lines: Vec<(Way, Vec<[f32; 2]>)> = ways.map(|way| (way, self.points(way as usize, figure))).collect();
        let most = lines.iter().flat_map(|(_, points)| points).fold(0.0, |most: f32, point| most.max(point[1]));
        (lines.into_iter().map(|(way, points)| Mark::line(way.label(), way.ink(), points)).collect(), f64::from(most))
    }

    /// Tokens of the texts of a column, as they are read.
    fn length(&self, column: usize) -> String {
        number(self.params.length(column) as f64, 3)
    }

    fn x(&self) -> Axis {
        Axis::new("tokens of the text", 0.0..self.params.longest as f64)
    }

    fn map_panel(&self, index: usize, way: Way) -> Panel {
        let fared = &self.fared[index];
        let share = |column: usize, row: usize| {
            let Fared { found, texts, .. } = &fared[column];
            (texts[row] > 0.0).then(|| found[row] / texts[row])
        };
        let whole = (0..LENGTHS).take_while(|&column| (0..DEPTHS).all(|row| share(column, row).is_some())).count();
        let begun = if whole < LENGTHS { (0..DEPTHS).map_while(|row| share(whole, row)).collect() } else { vec![] };
        let heat = |x: [f32; 2], columns: usize, values: Vec<f32>| Mark::Heat {
            name: "found".to_owned(),
            signed: false,
            rows: values.len() / columns,
            columns,
            x,
            y: [0.0, (values.len() / columns) as f32],
            values,
        };
        let mut marks = vec![];
        if whole > 0 {
            let rows = (0..DEPTHS).flat_map(|row| (0..whole).filter_map(move |column| share(column, row)));
            marks.push(heat([0.0, whole as f32], whole, rows.collect()));
        }
        if !begun.is_empty() {
            marks.push(heat([whole as f32, whole as f32 + 1.0], 1, begun));
        }
        let mut x = Axis::new("tokens of the text", 0.0..LENGTHS as f64);
        let ticks = [0, LENGTHS / 2 - 1, LENGTHS - 1];
        x.ticks = ticks.map(|column| (column as f64 + 0.5, self.length(column))).to_vec();
        let mut y = Axis::new("depth of the fact", 0.0..DEPTHS as f64);
        y.ticks = vec![(0.5, "first".to_owned()), (DEPTHS as f64 - 0.5, "last".to_owned())];
        let beyond = (0..LENGTHS).filter(|&column| self.params.length(column) > LONG);
        let (found, texts) = beyond.fold((0.0, 0.0), |(found, texts), column| {
            (found + fared[column].found.iter().sum::<f32>(), texts + fared[column].texts())
        });
        let said = match texts {
            0.0 => "Filled in as texts are read, from the shortest; what is blank is not read yet.".to_owned(),
            _ => format!("Beyond the trained length it finds **{found:.0} of {texts:.0}**."),
        };
        let said = match self.params.sizes().capped().filter(|_| index == 0) {
            Some(capped) => format!("{capped} {said}"),
            None => said,
        };
        Panel::new(
            &format!("map-{}", way.value()),
            capitalized(way.label()),
            said,
            2,
            Body::Chart(Chart::new(x, y, marks)),
        )
    }

    fn recall_panel(&self) -> Panel {
        let (mut marks, _) = self.lines(DRAWN.into_iter(), Fared::recall);
        marks.push(Mark::Moment { name: "trained".to_owned(), x: LONG as f32 });
        let asked = self.fared[0].iter().map(|fared| fared.asked).fold(0.0, f32::max);
        let said = format!(
            "Of all statements, wherever they stand, up to **{asked:.0}** questions a point. The texts at the left are as long as those of the training; to the right they are longer. {OTHERS}"
        );
        let chart = Chart::new(self.x(), Axis::new("share of right answers", 0.0..1.0), marks);
        Panel::new("recall", "Recall against length", said, 3, Body::Chart(chart))
    }

    fn perplexity_panel(&self) -> Panel {
        let (marks, most) = self.lines(DRAWN.into_iter(), Fared::perplexity);
        let chart = Chart::new(self.x(), Axis::from_zero("perplexity of 24 tokens", most), marks);
        let moves = Way::ALL.iter().filter_map(|&way| {
            let points = self.points(way as usize, Fared::perplexity);
            let (first, last) = (points.first()?, points.last()?);
            (points.len() > 1).then_some((way, last[1] / first[1]))
        });
        let most_moved = moves.max_by(|(_, a), (_, b)| a.total_cmp(b)).filter(|(_, rise)| *rise > RISEN);
        let rise = match most_moved {
            Some((way, rise)) => {
                format!("Most of all rises that of **{}**, to **{rise:.2}** times its first.", way.label())
            }
            None => "So far none has risen by a tenth.".to_owned(),
        };
        let said =
            format!("Fillers follow from fillers, so that a way may lose the facts unseen here. {rise} {OTHERS}");
        Panel::new("perplexity", "What comes next", said, 3, Body::Chart(chart))
    }

    /// A thousandth of what is counted for a token, of the ways that differ in it.
    fn counted_panel(&self, [id, title, axis, said]: [&str; 4], count: impl Fn(&Fared) -> f32 + Copy) -> Panel {
        let ways = Way::ALL.iter().copied().filter(|way| costs_its_own(*way));
        let (marks, most) = self.lines(ways, |fared| fared.mean(count(fared)) / 1000.0);
        let said = format!("{said} {SAME}");
        Panel::new(id, title, said, 3, Body::Chart(Chart::new(self.x(), Axis::from_zero(axis, most), marks)))
    }

    /// What a token that is written takes, with the whole model.
    fn times_panel(&self) -> Panel {
        let mut list = vec![];
        for (index, way) in Way::ALL.iter().enumerate().filter(|(_, way)| costs_its_own(**way)) {
            for (column, fared) in self.fared[index].iter().enumerate().filter(|(_, fared)| fared.texts() > 0.0) {
                let (key, name) = (format!("ms_{}_{}", way.key(), column + 1), self.length(column));
                let mut time = Readout::new(key, way.label(), way.ink(), &name, "ms", fared.mean(fared.time));
                time.measured = true;
                list.push(time);
            }
            let spent = self.fared[index].iter().map(|fared| f64::from(fared.spent)).sum();
            let key = format!("map_{}", way.key());
            let mut whole = Readout::new(key, way.label(), way.ink(), "all texts so far", "s", spent);
            whole.measured = true;
            list.push(whole);
        }
        let said = format!(
            "Measured on this machine: a token that is written after so many, with the whole model, whose feed-forward layers cost the same for all, in the mean of {CONTINUED} tokens of each text; and all texts of the map with their questions. A browser’s clock is coarse and other programs take their share, so that rows need not rise. {SAME}"
        );
        Panel::new("times", "Time a token", said, 6, Body::Readouts(list))
    }

    fn readouts_panel(&self) -> Panel {
        let mut list = vec![];
        for (index, way) in Way::ALL.iter().enumerate() {
            for (column, fared) in self.fared[index].iter().enumerate().filter(|(_, fared)| fared.texts() > 0.0) {
                if !(column + 1).is_power_of_two() {
                    continue;
                }
                let mut push = |key: &str, name: String, value: f64| {
                    let key = format!("{key}_{}_{}", way.key(), column + 1);
                    list.push(Readout::new(key, way.label(), way.ink(), &name, "", value));
                };
                push("recall", format!("{} tokens", self.length(column)), fared.recall());
                if column + 1 == LENGTHS {
                    push("perplexity", format!("perplexity, {}", self.length(column)), fared.perplexity());
                }
            }
        }
        let said = format!(
            "Share of right answers, and the perplexity of what comes after the longest text. **{}** of {} readings are done.",
            self.done.min(self.params.works()),
            self.params.works()
        );
        Panel::new("readouts", "In numbers", said, 6, Body::Readouts(list))
    }

    /// How heads share the work, by LongHeads itself.
    fn heads_panel(&self) -> Panel {
        let mut list = vec![];
        for (column, fared) in self.fared[0].iter().enumerate() {
            if fared.texts() == 0.0 || !(column + 1).is_power_of_two() {
                continue;
            }
            let of = format!("{} tokens", self.length(column));
            let mut push = |key: &str, name: &str, value: f64| {
                list.push(Readout::new(format!("{key}_{}", column + 1), &of, Ink::Method, name, "", value));
            };
            let share = |sum: f32| f64::from(sum) / f64::from(fared.asked);
            let best = fared.each.iter().copied().fold(0.0, f32::max);
            push("any", "fact seen by some head", share(fared.any));
            push("best", "by the best head", share(best));
            push("covered", "chunks seen together", fared.mean(fared.covered));
            push("chunks", "of all chunks", fared.mean(fared.chunks));
            push("keys", "keys a head looks at", fared.mean(fared.keys));
        }
        let best = (0..HEADS).fold(0, |best, head| if self.sum_of(head) > self.sum_of(best) { head } else { best });
        let any: f32 = self.fared[0].iter().map(|fared| fared.any).sum();
        let least = (0..HEADS).map(|head| self.sum_of(head)).fold(f32::INFINITY, f32::min);
        let who = match (any > self.sum_of(best), self.sum_of(best) > least) {
            (true, _) => format!(
                "Of its heads **{}** sees the fact most often; together they miss it more seldom than any alone.",
                head_name(LAYERS - 1, best)
            ),
            (false, true) => format!(
                "Of its heads **{}** sees the fact most often, and the others add nothing to it.",
                head_name(LAYERS - 1, best)
            ),
            (false, false) => "All its heads see the fact equally often.".to_owned(),
        };
        let said = format!(
            "LongHeads, upper layer, while the question’s last token is read; keys are those of the last of {CONTINUED} tokens that follow the text. {who}"
        );
        Panel::new("heads", "How heads share it", said, 6, Body::Readouts(list))
    }

    fn sum_of(&self, head: usize) -> f32 {
        self.fared[0].iter().map(|fared| fared.each[head]).sum()
    }

    fn reset(&mut self) {
        self.done = 0;
        self.fared = vec![[Fared::default(); LENGTHS]; Way::ALL.len()];
    }
}

/// Whether no other way costs the same.
fn costs_its_own(way: Way) -> bool {
    matches!(way, Way::LongHeads | Way::Full | Way::Window)
}

fn capitalized(name: &str) -> String {
    let mut rest = name.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// A question about a statement, answered.
struct Asked {
    right: bool,
    /// Whether each head of the upper layer sees the value.
    seen: [bool; HEADS],
    /// Chunks that these heads see together.
    covered: usize,
}

impl Asked {
    fn new(decoder: &LongDecoder, way: Way, needle: &Needle, sizes: &Sizes) -> Self {
        let mut decoder = decoder.clone();
        if way == Way::Oracle {
            tell(&mut decoder, needle, sizes.width);
        }
        if way != Way::LongHeads {
            let right = likeliest(&answer(&mut decoder, needle)) == needle.value;
            return Self { right, seen: [false; HEADS], covered: 0 };
        }
        decoder.prompt(&[ASK]);
        let mut looks = vec![Look::default(); HEADS];
        let logits = decoder.prompt_observed(&[needle.name], |sight| {
            if sight.layer + 1 == LAYERS {
                looks[sight.head] = sight.look.clone();
            }
        });
        let sees = |look: &Look| look.spans.iter().any(|span| span.tokens.contains(&(needle.at + 1)));
        let mut chunks: Vec<usize> = looks.iter().flat_map(Look::tokens).map(|token| token / sizes.width).collect();
        chunks.sort_unstable();
        chunks.dedup();
        Self {
            right: likeliest(&logits) == needle.value,
            seen: std::array::from_fn(|head| sees(&looks[head])),
            covered: chunks.len(),
        }
    }
}

impl Lab for LongHeadsMap {
    const CARD: Card = Card {
        slug: "longheads-map",
        title: "Depth and length",
        hook: "Who still finds it in a long text?",
        page: PAGE,
        papers: &[PAPER],
        chance: true,
        presets: &[
            Preset { label: "Chunks of 8", query: "" },
            Preset { label: "Chunks of 4", query: "width=4&chunks=24" },
            Preset { label: "Chunks of 16", query: "width=16&chunks=6" },
            Preset { label: "A third of the sight", query: "chunks=4" },
        ],
        experiments: claims::MAP,
        batches: &[],
    };
    type Params = MapParams;

    async fn start(params: &MapParams, host: &Host) -> Result<Self, LabError> {
        let model = HouseModel::open(params.model, params.seed, host).await?;
        let decoder = Arc::new(model.decoder.clone());
        let mut lab = Self { params: params.clone(), model, decoder, done: 0, fared: vec![] };
        lab.reset();
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        if self.done < self.params.works() {
            self.test(Work::numbered(self.done), host).await;
            self.done += 1;
        }
        Ok(if self.done < self.params.works() { Status::Running } else { Status::Idle })
    }

    async fn change(&mut self, params: &MapParams, _host: &Host) -> Result<(), LabError> {
        let before = std::mem::replace(&mut self.params, params.clone());
        if (MapParams { contexts: 1, ..before }) != (MapParams { contexts: 1, ..params.clone() }) {
            self.reset();
        }
        Ok(())
    }

    fn frame(&self, _params: &MapParams) -> Frame {
        let mut panels: Vec<Panel> =
            Way::ALL.iter().enumerate().map(|(index, way)| self.map_panel(index, *way)).collect();
        panels.extend([
            self.recall_panel(),
            self.perplexity_panel(),
            self.counted_panel(COST, |fared| fared.multiply_adds),
            self.counted_panel(BYTES, |fared| fared.bytes),
            self.readouts_panel(),
            self.times_panel(),
            self.heads_panel(),
        ]);
        Frame { step: self.done as u64, of: None, panels: self.model.noted(panels), offers: Vec::new() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.done as u64);
        state.put("fared", self.fared.iter().flatten().copied().map(Fared::save).collect());
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        let other = || LabError::data("The saved run was made by another version. Start it again.");
        let fared: Option<Vec<Fared>> = state.get("fared")?.iter().map(|numbers| Fared::load(numbers)).collect();
        let fared = fared.filter(|fared| fared.len() == LENGTHS * Way::ALL.len()).ok_or_else(other)?;
        for (of_way, saved) in self.fared.iter_mut().zip(fared.chunks_exact(LENGTHS)) {
            of_way.copy_from_slice(saved);
        }
        self.done = state.step as usize;
        Ok(())
    }
}
