//! Fewer tokens, and fewer bits for each: what a byte of cache is best spent on.

use super::ask::{Prompts, Tally};
use super::methods::{Knobs, METHODS, Method, place, share_of};
use super::passage::{Passage, Reader};
use super::quantizers::{Bits, Grain, Group, Memory, Model, Quantizer, SPARED, Stored};
use super::{EMS, PAGE, ROTATE_KV, rotate_kv_claims};
use crate::chart::{Axis, Chart, Ink, Mark, number};
use crate::lab::{Body, Card, Cell, Frame, Host, Lab, LabError, Offer, Panel, Preset, Readout, State, Status, Table};
use crate::labs::house_figures::{Said, answer_panel, questions_panel, things};
use crate::labs::house_model::ModelChoice;
use crate::mech::house_transformer::PromptReading;
use crate::mech::kv_cache::{Combine, Ems, LayerShape};
use crate::mech::quantizer::{Bytes, Recipe};
use crate::{choices, params};

/// What the first tab begins with.
const WINDOW: usize = 8;
const KERNEL: usize = 5;
/// Share of a group's range that the levels span, where a method clips.
const CLIP: f32 = 0.8;
/// Shares of the tokens that are kept on the map, whose first is all.
const KEEP: [f64; 5] = [1.0, 0.5, 0.25, 0.15, 0.1];
/// Bits on the map. Eight are not worth their bytes anywhere.
const BITS: [u32; 4] = [16, 4, 3, 2];
/// A recipe that is named answers so much less than the whole cache at most.
const NEARLY: f64 = 0.02;
/// Whose answers are compared.
const WHOLE_AND_CHOSEN: [&str; 2] = ["whole cache", "as chosen"];
/// The smallest share of bytes that is drawn.
const LEAST_SHARE: f64 = 0.01;
/// A share of bytes that is few, as the ways to keep are compared.
const FEW: f64 = 0.05;

choices! {
    /// One way of each kind, and chance.
    pub enum KeptBy {
        Ems = "ems", "EMS: merge the rest";
        GlobalLocal = "global-local", "Global-Local: drop the rest";
        SnapKv = "snapkv", "SnapKV";
        KeyDiff = "keydiff", "KeyDiff";
        Random = "random", "chance";
    }
}

impl KeptBy {
    fn method(self) -> &'static Method {
        let key = match self {
            Self::Ems => "ems",
            Self::GlobalLocal => "global_local",
            Self::SnapKv => "snap",
            Self::KeyDiff => "key_diff",
            Self::Random => "random",
        };
        &METHODS[place(key)]
    }
}

params! {
    pub struct BothParams {
        /// How tokens are chosen, and what becomes of the rest.
        score: KeptBy = choice("Kept by", KeptBy::Ems.value(), KeptBy::OPTIONS).live(),
        /// Share of the context's tokens that each head keeps.
        keep: f64 = real("Share kept", 0.15, 0.05..=1.0).live(),
        /// How what is kept is stored; the map stores all its caches this way.
        method: Quantizer = choice("Stored by", Quantizer::Sorted.value(), Quantizer::OPTIONS).live(),
        /// Bits of a stored number.
        bits: Bits = choice("Bits", Bits::Four.value(), Bits::OPTIONS).symbol("b").live(),
        /// Channels of a key that share levels, from “small groups” on.
        group: Group = choice("Group", Group::Sixteen.value(), Group::OPTIONS).symbol("g").live(),
        /// How much larger a pair of channels of each head's keys is made. The model stays the same function; at 1 it is as trained.
        severity: f64 = real("Severity", 1.0, 1.0..=12.0).symbol("σ").live(),
        /// Whether the question stands at the end of what is compressed, or comes afterwards.
        seen: bool = toggle("Question seen", true).live(),
        /// Which of the stated names is asked for.
        question: usize = int("Question", 1, 1..=8).live(),
        /// Contexts that every recipe of the map is tested on, eight questions each.
        map: usize = int("Contexts of the map", 4, 0..=32).live().more(),
        /// Which model reads: one that comes with the page, of which the seed chooses one of three, or yours.
        model: ModelChoice = choice("Model", ModelChoice::Shipped.value(), ModelChoice::OPTIONS).more(),
        /// Contexts that the chosen recipe is tested on.
        contexts: usize = int("Contexts tested", 32, 1..=128).live().more(),
    }
}

impl BothParams {
    fn chosen(&self) -> Plan {
        let bits = if self.method == Quantizer::Full { 16 } else { self.bits.count() };
        Plan { kept: Kept { score: self.score, share: self.keep }, bits }
    }

    fn recipe(&self, bits: u32, shape: LayerShape) -> Recipe {
        let method = if bits == 16 { Quantizer::Full } else { self.method };
        method.recipe(Grain { bits, group: self.group.channels(), clip: CLIP }, shape)
    }

    /// Without what the map does not depend on.
    fn mapped(&self) -> Self {
        Self { score: KeptBy::Ems, keep: 1.0, bits: Bits::Two, question: 1, map: 0, contexts: 1, ..self.clone() }
    }

    /// Without what the chosen recipe's figures do not depend on.
    fn tested(&self) -> Self {
        Self { question: 1, map: 0, contexts: 1, ..self.clone() }
    }
}

/// Which tokens are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Kept {
    score: KeptBy,
    share: f64,
}

/// Which tokens are kept, and in how many bits.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    kept: Kept,
    bits: u32,
}

impl Kept {
    /// Those of the map, in the order in which they are tested. To keep all is one way, whatever chooses.
    fn all() -> impl Iterator<Item = Self> {
        KeptBy::ALL.iter().flat_map(|&score| {
            let all = KEEP.into_iter().skip(usize::from(score != KeptBy::Ems));
            all.map(move |share| Self { score, share })
        })
    }

    fn remember(self, model: &Model, reading: &PromptReading, seed: u64) -> Memory {
        let kept = share_of(self.share, reading.layers[0].shape.tokens);
        let (combine, ems) = (Combine::Max, Ems::default());
        let knobs = Knobs { window: WINDOW, kernel: KERNEL, combine, ems, pyramid: false, seed };
        let compressed = knobs.compress((self.score.method().make)(&knobs), &reading.kv_layers(WINDOW), kept);
        model.remember_rest(reading, &compressed, SPARED)
    }
}

impl Plan {
    /// Those of the map.
    fn all() -> Vec<Self> {
        Kept::all().flat_map(|kept| BITS.map(|bits| Self { kept, bits })).collect()
    }

    fn name(&self) -> String {
        let Kept { score, share } = self.kept;
        let kept = match share {
            1.0 => "all tokens".to_owned(),
            share => format!("{}, {} % of the tokens", score.method().name, number(100.0 * share, 3)),
        };
        format!("{kept}, {} bits", self.bits)
    }
}

/// A context with all that is read before it is compressed.
struct Read {
    passage: Passage,
    prompts: Prompts,
}

impl Read {
    async fn new(model: &mut Model, params: &BothParams, index: u64, host: &Host) -> Self {
        let passage = model.reader.draw(params.seed, index);
        let prompts = Prompts::new(&mut model.reader, &passage, params.seen, host).await;
        Self { passage, prompts }
    }

    fn remember(&self, model: &Model, kept: Kept, seed: u64) -> Vec<Memory> {
        self.prompts.readings(&self.passage).iter().map(|reading| kept.remember(model, reading, seed)).collect()
    }

    /// The answers to all questions from stored memories, and what one of these weighs.
    fn ask(&self, reader: &mut Reader, memories: &[Memory], recipe: &Recipe) -> (Vec<Vec<f32>>, Bytes) {
        let stored: Vec<Stored> = memories.iter().map(|memory| memory.store(recipe)).collect();
        let answers = self.prompts.ask(reader, &self.passage, |index, position| stored[index].caches(position));
        (answers, stored[0].bytes())
    }
}

/// How a plan fares in the contexts that were tested so far.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    tally: Tally,
    bytes: Bytes,
}

impl Measured {
    fn add(&mut self, read: &Read, answers: &[Vec<f32>], bytes: Bytes) {
        self.tally.add(&read.passage, answers, 0.0);
        self.bytes = bytes;
    }

    fn save(&self) -> Vec<f32> {
        let Bytes { payload, metadata, full, positions } = self.bytes;
        let bytes = [payload, metadata, full, positions].map(|bytes| bytes as f32);
        [self.tally.save(), bytes].concat()
    }

    fn load(numbers: &[f32]) -> Option<Self> {
        let (&tally, bytes) = numbers.split_first_chunk()?;
        let &[payload, metadata, full, positions] = bytes else { return None };
        let [payload, metadata, full, positions] = [payload, metadata, full, positions].map(|bytes| bytes as usize);
        Some(Self { tally: Tally::load(tally), bytes: Bytes { payload, metadata, full, positions } })
    }
}

/// What is known of the context that is looked at.
struct Looked {
    /// With the whole cache, and with the chosen plan.
    said: [Said; 2],
    /// Of the whole cache, in 16 bits.
    whole: Bytes,
    chosen: Bytes,
}

pub struct KvCacheBoth {
    params: BothParams,
    model: Model,
    /// The context that is looked at.
    shown: Read,
    looked: Looked,
    /// The context that the map is tested on.
    under_test: Option<(usize, Read)>,
    step: u64,
    /// How often the map's ways to keep were tested, context by context.
    mapped: usize,
    /// One for each plan of the map.
    map: Vec<Measured>,
    chosen: Measured,
}

impl Looked {
    fn new(model: &mut Model, shown: &Read, params: &BothParams) -> Self {
        let shape = shown.passage.reading.layers[0].shape;
        let whole = Plan { kept: Kept { score: KeptBy::Ems, share: 1.0 }, bits: 16 };
        let [whole, chosen] = [whole, params.chosen()].map(|plan| {
            let memories = shown.remember(model, plan.kept, params.seed);
            let (answers, bytes) = shown.ask(&mut model.reader, &memories, &params.recipe(plan.bits, shape));
            (Said::new(&answers, params.question - 1), bytes)
        });
        Self { said: [whole.0, chosen.0], whole: whole.1, chosen: chosen.1 }
    }
}

impl KvCacheBoth {
    fn ways() -> usize {
        Kept::all().count()
    }

    /// Tests one way to keep tokens, in all bits, on one context.
    async fn test_map(&mut self, host: &Host) {
        let (context, way) = (self.mapped / Self::ways(), self.mapped % Self::ways());
        if self.under_test.as_ref().is_none_or(|(index, _)| *index != context) {
            self.under_test = Some((context, Read::new(&mut self.model, &self.params, context as u64, host).await));
        }
        let Some((_, read)) = &self.under_test else { return };
        let kept = Kept::all().nth(way).expect("a way of the map");
        let memories = read.remember(&self.model, kept, self.params.seed);
        for (bits, measured) in BITS.into_iter().zip(&mut self.map[way * BITS.len()..]) {
            let recipe = self.params.recipe(bits, read.passage.reading.layers[0].shape);
            let (answers, bytes) = read.ask(&mut self.model.reader, &memories, &recipe);
            measured.add(read, &answers, bytes);
            host.breathe().await;
        }
        self.mapped += 1;
    }

    /// Tests the chosen plan on one more context.
    async fn test_chosen(&mut self, host: &Host) {
        let context = self.chosen.tally.contexts() as u64;
        let read = Read::new(&mut self.model, &self.params, context, host).await;
        let Plan { kept, bits } = self.params.chosen();
        let memories = read.remember(&self.model, kept, self.params.seed);
        let recipe = self.params.recipe(bits, read.passage.reading.layers[0].shape);
        let (answers, bytes) = read.ask(&mut self.model.reader, &memories, &recipe);
        self.chosen.add(&read, &answers, bytes);
    }

    fn is_mapped(&self) -> bool {
        self.mapped >= self.params.map * Self::ways()
    }

    fn is_tested(&self) -> bool {
        self.chosen.tally.contexts() >= self.params.contexts
    }

    fn share(&self, bytes: &Bytes) -> f64 {
        bytes.total() as f64 / self.looked.whole.total() as f64
    }

    /// Plans that were tested, with their share of the bytes and of right answers.
    fn points(&self) -> Vec<(Plan, [f64; 2])> {
        let point = |(plan, measured): (Plan, &Measured)| {
            (measured.tally.contexts() > 0).then(|| (plan, [self.share(&measured.bytes), measured.tally.recall()]))
        };
        Plan::all().into_iter().zip(&self.map).filter_map(point).collect()
    }

    /// Those that no other beats with as few bytes, cheapest first.
    fn front(&self) -> Vec<(Plan, [f64; 2])> {
        Self::front_of(self.points())
    }

    fn front_of(mut points: Vec<(Plan, [f64; 2])>) -> Vec<(Plan, [f64; 2])> {
        points.sort_by(|(_, a), (_, b)| a[0].total_cmp(&b[0]).then(b[1].total_cmp(&a[1])));
        let mut best = f64::NEG_INFINITY;
        points.retain(|(_, [_, recall])| {
            let better = *recall > best;
            best = best.max(*recall);
            better
        });
        points
    }

    fn map_panel(&self) -> Panel {
        let points = self.points();
        let inks = [Ink::Data, Ink::Baseline, Ink::Baseline2, Ink::Muted];
        let mut marks: Vec<Mark> = BITS
            .into_iter()
            .zip(inks)
            .map(|(bits, ink)| {
                let of = points.iter().filter(|(plan, _)| plan.bits == bits).map(|(_, point)| percent(*point));
                Mark::Dots { name: format!("{bits} bits"), ink, points: of.collect() }
            })
            .collect();
        marks.push(Mark::line("best so far", Ink::Truth, stairs(&self.front()).map(percent)));
        let chosen = [self.share(&self.looked.chosen), self.chosen.tally.recall()];
        let mut said = format!(
            "Each dot is a way to keep and a number of bits: **{}** caches of {} tested.",
            self.mapped * BITS.len(),
            self.params.map * Self::ways() * BITS.len()
        );
        if chosen[1].is_finite() {
            marks.push(Mark::Stems { name: "as chosen".to_owned(), ink: Ink::Method, points: vec![percent(chosen)] });
            said = format!(
                "{said} As chosen, **{:.1} %** of the bytes answer **{{method|{:.0} %}}** of the questions, in {}.",
                100.0 * chosen[0],
                100.0 * chosen[1],
                things(self.chosen.tally.contexts(), "context")
            );
        }
        let chart = Chart::new(bytes_axis(), Axis::new("share of right answers", 0.0..1.0), marks);
        Panel::new("map", "Recall against bytes", said, 4, Body::Chart(chart))
    }

    /// A line for each way to keep: the map tells bits apart, and not these.
    fn ways_panel(&self) -> Panel {
        let inks = [Ink::Method, Ink::Baseline, Ink::Baseline2, Ink::Truth, Ink::Muted];
        let front = |score: KeptBy| {
            // To keep all is each way's own.
            let of = |plan: &Plan| plan.kept.score == score || plan.kept.share == 1.0;
            Self::front_of(self.points().into_iter().filter(|(plan, _)| of(plan)).collect())
        };
        let line =
            |(&score, ink): (&KeptBy, Ink)| Mark::line(score.method().name, ink, stairs(&front(score)).map(percent));
        let marks: Vec<Mark> = KeptBy::ALL.iter().zip(inks).map(line).collect();
        let few = |(plan, [share, _]): &(Plan, [f64; 2])| plan.kept.share < 1.0 && *share <= FEW;
        let best = self.points().into_iter().filter(few).max_by(|(_, a), (_, b)| a[1].total_cmp(&b[1]));
        let said = match best {
            Some((plan, [_, recall])) => format!(
                "The best that each way to keep does for its bytes, in whatever bits. With at most {:.0} % of the bytes **{}** answers most: **{:.0} %**.",
                100.0 * FEW,
                plan.kept.score.method().name,
                100.0 * recall
            ),
            None => "The best that each way to keep does for its bytes; none is tested yet.".to_owned(),
        };
        let chart = Chart::new(bytes_axis(), Axis::new("share of right answers", 0.0..1.0), marks);
        Panel::new("ways", "Each way by itself", said, 6, Body::Chart(chart))
    }

    fn recipes_panel(&self) -> Panel {
        let row = |(plan, [share, recall]): &(Plan, [f64; 2])| {
            let Kept { score, share: kept } = plan.kept;
            let by = if kept == 1.0 { "all" } else { score.method().name };
            vec![
                Cell::Text(by.to_owned()),
                Cell::Number(100.0 * kept),
                Cell::Number(plan.bits.into()),
                Cell::Number((1000.0 * share).round() / 10.0),
                Cell::Number((1000.0 * recall).round() / 10.0),
            ]
        };
        let front = self.front();
        let table = Table::new(
            ["kept by", "tokens, %", "bits", "bytes, %", "right, %"].map(str::to_owned).to_vec(),
            front.iter().map(row).collect(),
        );
        let said = match self.nearly() {
            Some((plan, [share, _])) => format!(
                "Plans that no other beats with fewer bytes. The cheapest within {:.0} % of the whole cache is “{}”, in **{:.1} %** of the bytes.",
                100.0 * NEARLY,
                plan.name(),
                100.0 * share
            ),
            None => "Plans that no other beats with fewer bytes; none is tested yet.".to_owned(),
        };
        Panel::new("recipes", "The best for each size", said, 2, Body::Table(table))
    }

    /// The cheapest plan that answers nearly as much as the whole cache.
    fn nearly(&self) -> Option<(Plan, [f64; 2])> {
        let whole = self.points().first()?.1[1];
        self.front().into_iter().find(|(_, [_, recall])| *recall >= whole - NEARLY)
    }

    fn bytes_panel(&self) -> Panel {
        let row = |name: &str, bytes: &Bytes| {
            let parts = [bytes.payload, bytes.metadata, bytes.full, bytes.positions, bytes.total()];
            [Cell::Text(name.to_owned())].into_iter().chain(parts.map(|bytes| Cell::Number(bytes as f64))).collect()
        };
        let table = Table::new(
            ["cache", "codes", "scales, zeros", "in 16 bits", "positions", "bytes"].map(str::to_owned).to_vec(),
            vec![row("whole", &self.looked.whole), row("as chosen", &self.looked.chosen)],
        );
        let Plan { kept, bits } = self.params.chosen();
        let said = format!(
            "{} % of the tokens times {bits} of 16 bits would be **{:.1} %**. With scales, zeros, positions and a window that always stays it is **{:.1} %**.",
            number(100.0 * kept.share, 3),
            100.0 * kept.share * f64::from(bits) / 16.0,
            100.0 * self.share(&self.looked.chosen)
        );
        Panel::new("bytes", "Bytes", said, 6, Body::Table(table))
    }

    fn readouts_panel(&self) -> Panel {
        let mut list = vec![];
        let mut row = |name: &str, ink: Ink, keys: [&str; 2], share: f64, recall: f64| {
            list.push(Readout::new(keys[0], name, ink, "bytes", "%", 100.0 * share));
            list.push(Readout::new(keys[1], name, ink, "recall", "", recall));
        };
        if self.chosen.tally.contexts() > 0 {
            let (share, recall) = (self.share(&self.looked.chosen), self.chosen.tally.recall());
            row("as chosen", Ink::Method, ["share", "recall"], share, recall);
        }
        if let Some((plan, [share, recall])) = self.nearly() {
            row(&plan.name(), Ink::Truth, ["nearly_share", "nearly_recall"], share, recall);
        }
        let said = format!(
            "As chosen, in **{}** of {} contexts of eight questions, {}; and the cheapest of the map that answers nearly as much as the whole cache, which was tested in {} only. So figures that are near each other do not rank the two.",
            self.chosen.tally.contexts(),
            self.params.contexts,
            self.when(),
            things(self.mapped / Self::ways(), "context")
        );
        Panel::new("readouts", "In numbers", said, 6, Body::Readouts(list))
    }

    fn when(&self) -> &'static str {
        if self.params.seen {
            "each question at the end of what is compressed"
        } else {
            "all from one compressed cache"
        }
    }

    fn offers(&self) -> Vec<Offer> {
        let offer = |(plan, _): (Plan, [f64; 2])| Offer {
            label: format!("Open “{}”", plan.name()),
            query: match plan.bits {
                16 => format!("score={}&keep={}&method=full", plan.kept.score.value(), plan.kept.share),
                bits => format!("score={}&keep={}&bits={bits}", plan.kept.score.value(), plan.kept.share),
            },
        };
        self.nearly().filter(|_| self.is_mapped()).map(offer).into_iter().collect()
    }
}

fn bytes_axis() -> Axis {
    Axis::log("% of the bytes of the whole cache, log", 100.0 * LEAST_SHARE..100.0)
}

/// A share of bytes and of right answers, as they are drawn.
fn percent([share, recall]: [f64; 2]) -> [f32; 2] {
    [100.0 * share as f32, recall as f32]
}

/// Points joined by steps: a share of the bytes buys what any smaller one does.
fn stairs(front: &[(Plan, [f64; 2])]) -> impl Iterator<Item = [f64; 2]> {
    let points: Vec<[f64; 2]> = front.iter().map(|(_, point)| *point).collect();
    let corners = points.windows(2).map(|pair| [pair[1][0], pair[0][1]]).collect::<Vec<_>>();
    let mut all: Vec<[f64; 2]> = points.into_iter().chain(corners).collect();
    all.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    all.into_iter()
}

impl Lab for KvCacheBoth {
    const CARD: Card = Card {
        slug: "kv-cache-both",
        title: "Fewer, and smaller",
        hook: "Forget more, or round more?",
        page: PAGE,
        papers: &[ROTATE_KV, EMS],
        chance: true,
        presets: &[
            Preset { label: "15 % of tokens × 4 bits", query: "" },
            Preset { label: "25 % × 2 bits", query: "keep=0.25&bits=2" },
            Preset { label: "Question unseen", query: "seen=false&score=keydiff&keep=0.25" },
            Preset { label: "With outliers", query: "severity=4&keep=0.25&bits=2" },
        ],
        experiments: rotate_kv_claims::BOTH,
        batches: &[],
    };
    type Params = BothParams;

    async fn start(params: &BothParams, host: &Host) -> Result<Self, LabError> {
        let mut model = Model::open(params.model, params.seed, None, params.severity, host).await?;
        let shown = Read::new(&mut model, params, 0, host).await;
        let looked = Looked::new(&mut model, &shown, params);
        Ok(Self {
            params: params.clone(),
            model,
            shown,
            looked,
            under_test: None,
            step: 0,
            mapped: 0,
            map: vec![Measured::default(); Plan::all().len()],
            chosen: Measured::default(),
        })
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        self.step += 1;
        if !self.is_tested() {
            self.test_chosen(host).await;
        }
        if !self.is_mapped() {
            self.test_map(host).await;
        }
        Ok(if self.is_tested() && self.is_mapped() { Status::Idle } else { Status::Running })
    }

    async fn change(&mut self, params: &BothParams, host: &Host) -> Result<(), LabError> {
        let before = std::mem::replace(&mut self.params, params.clone());
        if self.model.exaggerate(None, params.severity) || params.seen != before.seen {
            self.shown = Read::new(&mut self.model, params, 0, host).await;
        }
        self.looked = Looked::new(&mut self.model, &self.shown, params);
        if params.mapped() != before.mapped() {
            (self.under_test, self.mapped) = (None, 0);
            self.map.fill(Measured::default());
        }
        if params.tested() != before.tested() {
            self.chosen = Measured::default();
        }
        Ok(())
    }

    fn frame(&self, params: &BothParams) -> Frame {
        let needles = &self.shown.passage.context.needles;
        let said = self.looked.said.each_ref();
        let panels = vec![
            self.map_panel(),
            self.recipes_panel(),
            self.ways_panel(),
            questions_panel(needles, WHOLE_AND_CHOSEN, said, params.question - 1, self.when()),
            answer_panel(&needles[params.question - 1], WHOLE_AND_CHOSEN, said),
            self.bytes_panel(),
            self.readouts_panel(),
        ];
        Frame { step: self.step, of: None, panels: self.model.original.noted(panels), offers: self.offers() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.step);
        state.put("mapped", vec![vec![self.mapped as f32]]);
        state.put("measured", self.map.iter().chain([&self.chosen]).map(Measured::save).collect());
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        let other = || LabError::data("The saved run was made by another version. Start it again.");
        let [mapped] = state.get("mapped")?.concat()[..] else { return Err(other()) };
        let measured: Option<Vec<Measured>> = state.get("measured")?.iter().map(|row| Measured::load(row)).collect();
        let mut measured = measured.filter(|measured| measured.len() == self.map.len() + 1).ok_or_else(other)?;
        self.chosen = measured.pop().ok_or_else(other)?;
        (self.map, self.mapped, self.under_test) = (measured, mapped as usize, None);
        self.step = state.step;
        Ok(())
    }
}
