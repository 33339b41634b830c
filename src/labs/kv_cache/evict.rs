//! Which tokens a cache keeps, which it merges, and what it then forgets.

use super::ask::{Prompts, Tally};
use super::figures::{members, shade, threads, told};
use super::methods::{ADA, Knobs, METHODS, Method, kept, method, place};
use super::passage::{Passage, Reader};
use super::{EMS, PAGE};
use crate::chart::{Axis, Chart, Ink, Mark, number};
use crate::lab::{
    BatchSpec, Body, Card, Frame, Host, Lab, LabError, Panel, Preset, Readout, Row, State, Status, Token, Tokens,
    Values,
};
use crate::labs::house_figures::{Said, answer_panel, head_name, heads_map, questions_panel};
use crate::labs::house_model::{HEADS, LAYERS, ModelChoice};
use crate::mech::house_transformer::PromptReading;
use crate::mech::kv_cache::{
    Combine, Compressed, Compression, Ems, Fate, Layer, Rest, Split, Trace, global_local, row_bytes,
};
use crate::mech::recall_language::{Context, word};
use crate::seed::Stream;
use crate::{choices, params};

choices! {
    pub enum KeptBy {
        GlobalLocal = "global-local", "Global-Local (EMS)";
        SnapKv = "snapkv", "SnapKV";
        Tova = "tova", "TOVA";
        Observed = "observed", "observed attention";
        H2o = "h2o", "H2O";
        KeyDiff = "keydiff", "KeyDiff";
        Knorm = "knorm", "Knorm";
        Streaming = "streaming", "StreamingLLM";
        Window = "window", "the last ones";
        Random = "random", "chance";
    }
}

impl KeptBy {
    /// The method of the page that drops the rest.
    fn key(self) -> &'static str {
        match self {
            Self::GlobalLocal => "global_local",
            Self::SnapKv => "snap",
            Self::Tova => "tova",
            Self::Observed => "observed",
            Self::H2o => "h2o",
            Self::KeyDiff => "key_diff",
            Self::Knorm => "knorm",
            Self::Streaming => "streaming",
            Self::Window => "window",
            Self::Random => "random",
        }
    }
}

choices! {
    pub enum RestIs {
        Ems = "ems", "merged as in EMS";
        Drop = "dropped", "dropped";
        EmsAll = "ems-all", "all merged (EMS, p = 1)";
        EmsValues = "ems-values", "merged, keys left (EMS)";
        EmsMass = "ems-mass", "merged, with mass (ours)";
        Press = "mergingpress", "merged by MergingPress";
        D2o = "d2o", "merged as in D2O";
        Pivot = "pivot", "merged as in LOOK-M";
        Cam = "cam", "spread as in CaM";
    }
}

choices! {
    pub enum Combined {
        Max = "max", "the higher";
        Sum = "sum", "their sum";
    }
}

choices! {
    pub enum ScoreMap {
        Combined = "score", "what decides";
        Global = "global", "all queries";
        Aligned = "aligned", "all queries, aligned";
        Local = "local", "last queries";
    }
}

/// Whose answers are compared.
const CACHES: [&str; 2] = ["whole cache", "compressed"];
/// Shares of the tokens that the curves are drawn at.
const SWEEP: [f64; 7] = [1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1];
/// Contexts that each of them is tested on.
const SWEPT: usize = 8;

params! {
    pub struct EvictParams {
        /// Share of the context's tokens that each head keeps.
        keep: f64 = real("Share kept", 0.25, 0.05..=1.0).live(),
        /// The same in tokens; while it is “share”, the share decides.
        budget: usize = int("Tokens kept", 0, 0..=122).word("share", 0).live(),
        /// What a token is worth: the highest are kept.
        score: KeptBy = choice("Kept by", KeptBy::GlobalLocal.value(), KeptBy::OPTIONS).live(),
        /// What becomes of the tokens that are not kept.
        rest: RestIs = choice("The rest is", RestIs::Ems.value(), RestIs::OPTIONS).live(),
        /// Whether the question stands at the end of what is compressed, or comes afterwards.
        seen: bool = toggle("Question seen", false).live(),
        /// Which of the stated names is asked for.
        question: usize = int("Question", 1, 1..=8).live(),
        /// A token of the context that is taken out of every head's cache, whatever it was worth.
        struck: Option<usize> = pick("Token struck out", 121).live(),
        /// How deep in a drawn context the first of its statements lies, in percent.
        depth: usize = int("Depth of a fact", 0, 0..=100).word("any", 0).live(),
        /// A context of your own, in the model's words: names and values from the table, fillers from the text. Empty for a drawn one.
        words: String = text("Your context", "", 2000).live(),
        /// The layer that is looked at, from below.
        layer: usize = int("Layer", 1, 1..=LAYERS as i64).view(),
        /// The head that is looked at.
        head: usize = int("Head", 3, 1..=HEADS as i64).view(),
        /// What the map of scores shows.
        map: ScoreMap = choice("Scores of", ScoreMap::Combined.value(), ScoreMap::OPTIONS).view(),
        /// Share of a head's score that is worth merging: tokens beyond it are dropped. Ours; the paper does not say.
        mass: f64 = real("Relevant mass", 0.95, 0.0..=1.0).symbol("p").live(),
        /// Tokens less redundant than this are dropped instead of merged. Ours; the paper does not say.
        threshold: f64 = real("Redundancy needed", 0.0, 0.0..=0.9).symbol("τ").live(),
        /// Last tokens that SnapKV and EMS always keep, and whose queries they ask.
        window: usize = int("Window", 8, 1..=32).symbol("w").live().more(),
        /// Tokens that SnapKV smooths its scores over.
        kernel: usize = int("SnapKV’s pooling", 5, 1..=9).live().more(),
        /// How EMS makes one score of the two. Ours; the paper does not say.
        combine: Combined = choice("Both scores", Combined::Max.value(), Combined::OPTIONS).live().more(),
        /// Lets the heads of a layer compete for its budget.
        ada: bool = toggle("AdaKV", false).live().more(),
        /// Gives the lower layer more and the upper less.
        pyramid: bool = toggle("PyramidKV", false).live().more(),
        /// Which model reads: one that comes with the page, of which the seed chooses one of three, or yours.
        model: ModelChoice = choice("Model", ModelChoice::Shipped.value(), ModelChoice::OPTIONS).more(),
        /// Contexts that all methods are tested on, eight questions each.
        contexts: usize = int("Contexts tested", 32, 1..=64).live().more(),
    }
}

impl EvictParams {
    /// Which of a passage's statements is asked about, from 0.
    fn asked(&self, passage: &Passage) -> usize {
        self.question.min(passage.context.needles.len()) - 1
    }

    /// Tokens that each head keeps on average of a context of so many.
    fn kept(&self, tokens: usize) -> usize {
        kept(self.budget, self.keep, tokens)
    }

    fn knobs(&self) -> Knobs {
        Knobs {
            window: self.window,
            kernel: self.kernel,
            combine: match self.combine {
                Combined::Max => Combine::Max,
                Combined::Sum => Combine::Sum,
            },
            ems: Ems { mass: self.mass, threshold: self.threshold, ..Ems::default() },
            pyramid: self.pyramid,
            seed: self.seed,
        }
    }

    /// The method that is chosen.
    fn method(&self) -> Compression {
        let ems = self.knobs().ems;
        Compression {
            score: method(self.score.key(), &self.knobs()).score,
            split: if self.ada { ADA } else { Split::Uniform },
            rest: match self.rest {
                RestIs::Ems => Rest::Ems(ems),
                RestIs::Drop => Rest::Drop,
                RestIs::EmsAll => Rest::Ems(Ems { mass: 1.0, ..ems }),
                RestIs::EmsValues => Rest::Ems(Ems { merge_keys: false, ..ems }),
                RestIs::EmsMass => Rest::Ems(Ems { merge_keys: false, log_mass: true, ..ems }),
                RestIs::Press => Rest::MergingPress { threshold: self.threshold },
                RestIs::D2o => Rest::D2o { alpha: 0.5, beta: 0.5 },
                RestIs::Pivot => Rest::Pivot,
                RestIs::Cam => Rest::Cam { window: 32, seed: self.seed },
            },
        }
    }
}

/// How a method fares in the contexts that were tested so far. In f32, as a saved run keeps it.
#[derive(Clone, Debug, Default)]
struct Fared {
    tally: Tally,
    /// Summed errors of each layer's heads.
    errors: [[f32; HEADS]; LAYERS],
}

impl Fared {
    fn add(&mut self, passage: &Passage, answers: &[Vec<f32>], surprise: f64, errors: Vec<Vec<f64>>) {
        self.tally.add(passage, answers, surprise);
        for (sum, error) in self.errors.as_flattened_mut().iter_mut().zip(errors.into_iter().flatten()) {
            *sum += error as f32;
        }
    }

    fn error_of(&self, layer: usize) -> f64 {
        f64::from(self.errors[layer].iter().sum::<f32>()) / (HEADS * self.tally.contexts()) as f64
    }

    fn error(&self) -> f64 {
        (0..LAYERS).map(|layer| self.error_of(layer)).sum::<f64>() / LAYERS as f64
    }

    fn save(&self) -> Vec<f32> {
        [&self.tally.save(), self.errors.as_flattened()].concat()
    }

    fn load(numbers: &[f32]) -> Option<Self> {
        let (&tally, errors) = numbers.split_first_chunk()?;
        let mut fared = Self { tally: Tally::load(tally), ..Self::default() };
        (errors.len() == LAYERS * HEADS).then(|| fared.errors.as_flattened_mut().copy_from_slice(errors))?;
        Some(fared)
    }
}

/// What is known of the context that is looked at, under the chosen method.
struct Looked {
    /// The tokens that were compressed: the context, and the question if it is seen.
    tokens: Vec<usize>,
    layers: Vec<Layer>,
    compressed: Vec<Compressed>,
    /// With the whole cache, and with the compressed one.
    said: [Said; 2],
    /// By layer and head: what is not kept is dropped; the chosen method.
    errors: [Vec<Vec<f64>>; 2],
}

pub struct KvCacheEvict {
    params: EvictParams,
    reader: Reader,
    passage: Passage,
    /// Why it is not the context that the reader wrote, or not all of it.
    note: Option<String>,
    looked: Looked,
    step: u64,
    /// Since the method was last changed: the whole cache, all methods, and the chosen one.
    fared: Vec<Fared>,
    /// Shares of what is kept before the window that lie in the first third: by all queries, by both, by the last ones.
    early: [f32; 3],
    /// Tokens that EMS merges, in each layer's heads.
    merged: [[f32; HEADS]; LAYERS],
}

fn passage_of(reader: &mut Reader, params: &EvictParams) -> (Passage, Option<String>) {
    let note = match params.words.trim() {
        "" => None,
        words => match Reader::parse(words) {
            Ok((context, cut)) => {
                return (reader.read(context, &mut Stream::at(params.seed, "continuation", 0)), cut);
            }
            Err(problem) => Some(format!("{problem} A drawn context is shown.")),
        },
    };
    let depth = (params.depth > 0).then(|| (params.depth - 1) as f64 / 99.0);
    (reader.draw_at(params.seed, 0, depth), note)
}

impl Looked {
    async fn new(reader: &mut Reader, passage: &Passage, params: &EvictParams, host: &Host) -> Self {
        let (knobs, method) = (params.knobs(), params.method());
        let Context { tokens, needles } = &passage.context;
        let (kept, asked) = (params.kept(tokens.len()), params.asked(passage));
        let prompts = Prompts::new(reader, passage, params.seen, host).await;
        let compress = |reading: &PromptReading| {
            let layers = reading.kv_layers(knobs.window);
            let compressed = knobs.compress(method, &layers, kept);
            (layers, compressed)
        };
        let mut read: Vec<(Vec<Layer>, Vec<Compressed>)> = prompts.readings(passage).iter().map(compress).collect();
        let whole = Prompts::UNSEEN.ask(reader, passage, |_, _| passage.reading.caches());
        let remember = |index: usize, position| Passage::caches(&read[index].1, position, params.struck);
        let squeezed = prompts.ask(reader, passage, remember);

        if params.seen {
            read.push(compress(&passage.reading));
        }
        // The context alone comes last, in any case.
        let (context, as_chosen) = read.last().expect("something is read");
        let dropped = knobs.compress(Compression { rest: Rest::Drop, ..method }, context, kept);
        let errors = [&dropped, as_chosen]
            .map(|compressed| passage.errors(&Passage::caches(compressed, tokens.len(), params.struck)));
        let (layers, compressed) = read.swap_remove(if params.seen { asked } else { 0 });
        Self {
            tokens: if params.seen { passage.context.asked(&needles[asked]) } else { tokens.clone() },
            layers,
            compressed,
            said: [&whole, &squeezed].map(|answers| Said::new(answers, asked)),
            errors,
        }
    }
}

impl KvCacheEvict {
    /// Forgets what was tested under another method.
    fn reset(&mut self) {
        self.fared = vec![Fared::default(); METHODS.len() + 2];
        (self.early, self.merged) = ([0.0; 3], [[0.0; HEADS]; LAYERS]);
    }

    /// Contexts that were tested.
    fn tested(&self) -> usize {
        self.fared[0].tally.contexts()
    }

    /// Tests every method on one more context.
    async fn test(&mut self, host: &Host) {
        let passage = self.reader.draw(self.params.seed, self.tested() as u64);
        let (knobs, kept) = (self.params.knobs(), self.params.kept(passage.context.tokens.len()));
        let prompts = Prompts::new(&mut self.reader, &passage, self.params.seen, host).await;
        let mut read: Vec<Vec<Layer>> =
            prompts.readings(&passage).iter().map(|reading| reading.kv_layers(knobs.window)).collect();
        if self.params.seen {
            read.push(passage.reading.kv_layers(knobs.window));
        }
        // The context alone comes last, in any case.
        let context = read.len() - 1;
        let early = early_shares(&read[context], &knobs, kept);
        self.early.iter_mut().zip(early).for_each(|(sum, share)| *sum += share);

        let caches = passage.reading.caches();
        let answers = Prompts::UNSEEN.ask(&mut self.reader, &passage, |_, _| caches.clone());
        let surprise = self.reader.surprise(&passage, caches.clone());
        self.fared[0].add(&passage, &answers, surprise, passage.errors(&caches));
        let chosen = METHODS.iter().map(|method| (method.make)(&knobs)).chain([self.params.method()]);
        for (index, (fared, method)) in self.fared[1..].iter_mut().zip(chosen).enumerate() {
            let compressed: Vec<_> = read.iter().map(|layers| knobs.compress(method, layers, kept)).collect();
            let remember = |index: usize, position| Passage::caches(&compressed[index], position, None);
            let answers = prompts.ask(&mut self.reader, &passage, remember);
            let caches = remember(context, passage.context.tokens.len());
            let surprise = self.reader.surprise(&passage, caches.clone());
            fared.add(&passage, &answers, surprise, passage.errors(&caches));
            if index == place("ems") {
                let traces = compressed[context].iter().flat_map(|compressed| &compressed.traces);
                for (sum, trace) in self.merged.as_flattened_mut().iter_mut().zip(traces) {
                    *sum += worth_merging(trace) as f32;
                }
            }
            host.breathe().await;
        }
    }

    fn context_panel(&self, params: &EvictParams) -> Panel {
        let trace = &self.looked.compressed[params.layer - 1].traces[params.head - 1];
        let members = members(&trace.fates);
        let window = self.looked.tokens.len() - trace.scores.window;
        let token = |(at, &token): (usize, &usize)| {
            let struck = params.struck == Some(at);
            let (note, class) = match trace.fates[at] {
                _ if struck => ("struck out".to_owned(), None),
                Fate::Kept if members[at] == 0 && at >= window => ("window".to_owned(), Some(2)),
                fate => told(fate, members[at], &self.looked.tokens),
            };
            Token { text: word(token).to_owned(), note, class, chosen: struck }
        };
        let tokens = self.looked.tokens.iter().enumerate().map(token).collect();
        let arcs = threads(&trace.fates, |at| trace.similarity[at].unwrap_or_default() as f32);
        let count = |wanted: fn(&Fate) -> bool| trace.fates.iter().filter(|fate| wanted(fate)).count();
        let mut said = format!(
            "Head {}.{}: of **{}** tokens **{}** are kept, **{}** merged into them and **{}** dropped. Press a token to strike it out of every head, and again to put it back{}.",
            params.layer,
            params.head,
            self.looked.tokens.len(),
            count(|fate| *fate == Fate::Kept),
            count(|fate| matches!(fate, Fate::Merged(_) | Fate::Spread)),
            count(|fate| matches!(fate, Fate::Evicted | Fate::ZeroClass)),
            if arcs.is_empty() {
                ""
            } else {
                "; lines lead to the centers, and those of the token that you point at stand out"
            },
        );
        let asked = params.kept(self.passage.context.tokens.len());
        if !params.ada && !params.pyramid && trace.kept.len() > asked {
            said = format!("{said} It cannot keep {asked}: its window and one more are the least.");
        }
        if let Some(at) = params.struck.filter(|&at| at < self.looked.tokens.len()) {
            said = format!("{said} {}", self.struck_out(trace, at));
        }
        if let Some(note) = &self.note {
            said = format!("{note} {said}");
        }
        let tokens = Tokens { tokens, arcs, wraps: true, ..Tokens::default() };
        Panel::new("context", "The context in one head", said, 6, Body::Tokens(tokens)).edits("struck")
    }

    /// What a head thought of the token that is struck out.
    fn struck_out(&self, trace: &Trace, at: usize) -> String {
        let name = |at: usize| format!("“{}” at {at}", word(self.looked.tokens[at]));
        let scores = trace.scores.candidates();
        let Some(score) = scores.get(at) else { return format!("{} is in the window, which has no scores.", name(at)) };
        let place = 1 + scores.iter().filter(|other| *other > score).count();
        let mut said =
            format!("{} had a score of **{}**, place {place} of {}", name(at), number(*score, 3), scores.len());
        if let Fate::Merged(center) = trace.fates[at] {
            said.push_str(&format!(", and was most like {}", name(center)));
        }
        if let Some(similarity) = trace.similarity[at] {
            said.push_str(&format!(", by {}", number(similarity, 2)));
        }
        said + "."
    }

    /// Every head's tokens: dark where they are kept, half where they are merged.
    fn fates_panel(&self) -> Panel {
        let of_layer = |compressed: &Compressed| -> Vec<Vec<f32>> {
            compressed.traces.iter().map(|trace| trace.fates.iter().map(|&fate| shade(fate)).collect()).collect()
        };
        let layers: Vec<Vec<Vec<f32>>> = self.looked.compressed.iter().map(of_layer).collect();
        let rows: Vec<&Vec<f32>> = layers.iter().flatten().collect();
        let same = rows.windows(2).all(|pair| pair[0] == pair[1]);
        let said = match same {
            true => "Strong: kept. Every head keeps the same tokens: this score is one for all.".to_owned(),
            false => {
                "Strong: kept; pale: merged into a kept one; empty: dropped. Each head makes its own choice.".to_owned()
            }
        };
        let chart = heads_map("kept", &layers, (self.looked.tokens.len(), 1), vec![]);
        Panel::new("fates", "What each head keeps", said, 3, Body::Chart(chart))
    }

    fn scores_panel(&self, params: &EvictParams) -> Panel {
        let count = self.looked.tokens.len();
        let knobs = params.knobs();
        let mut layers = vec![];
        let (mut sum, mut kept) = (0, 0);
        for (layer, compressed) in self.looked.layers.iter().zip(&self.looked.compressed) {
            let mut rows: Vec<Vec<f32>> = vec![];
            for (head, trace) in layer.heads.iter().zip(&compressed.traces) {
                let window = knobs.window.min(head.tokens() - 1);
                let mut scores = match params.map {
                    ScoreMap::Combined => trace.scores.candidates().to_vec(),
                    ScoreMap::Global => global_local(head, window).global,
                    ScoreMap::Aligned => global_local(head, window).aligned,
                    ScoreMap::Local => global_local(head, window).local,
                };
                let least = scores.iter().copied().fold(0.0, f64::min);
                let span = scores.iter().map(|score| score - least).fold(1e-30, f64::max);
                scores.iter_mut().for_each(|score| *score = libm::sqrt((*score - least) / span));
                rows.push(scores.into_iter().map(|score| score as f32).collect());
                let chosen = trace.kept.iter().filter(|&&token| token < head.tokens() - window);
                sum += chosen.clone().sum::<usize>();
                kept += chosen.count();
            }
            layers.push(rows);
        }
        let candidates = layers[0][0].len();
        let mean = (kept > 0).then(|| sum as f32 / kept as f32);
        let moment = mean.map(|mean| Mark::Moment { name: "mean of what is kept".to_owned(), x: mean });
        let said = match mean {
            Some(mean) => format!(
                "Of its head’s highest. What is kept before the window lies at **{:.0}** in the mean; {} would be the middle.",
                mean,
                (count - knobs.window.min(count - 1)) / 2
            ),
            None => "Of its head’s highest. Nothing before the window is kept.".to_owned(),
        };
        let chart = heads_map("square root of the score", &layers, (candidates, 1), moment.into_iter().collect());
        Panel::new("scores", "Scores", said, 3, Body::Chart(chart))
    }

    fn errors_panel(&self) -> Panel {
        let [dropped, chosen] = &self.looked.errors;
        let flat = |errors: &[Vec<f64>]| -> Vec<f32> { errors.iter().flatten().map(|&error| error as f32).collect() };
        let (dropped, chosen) = (flat(dropped), flat(chosen));
        let count = dropped.len();
        let top = dropped.iter().chain(&chosen).fold(0.0_f32, |top, error| top.max(*error));
        let mut x = Axis::new("layer.head", 0.0..count as f64);
        x.ticks = (0..count).map(|at| (at as f64 + 0.5, head_name(at / HEADS, at % HEADS))).collect();
        let dots = chosen.iter().enumerate().map(|(at, error)| [at as f32 + 0.5, *error]).collect();
        let marks = vec![
            Mark::Bars {
                name: "the rest dropped".to_owned(),
                ink: Ink::Data,
                from: 0.0,
                to: count as f32,
                heights: dropped.clone(),
            },
            Mark::Stems { name: "as chosen".to_owned(), ink: Ink::Method, points: dots },
        ];
        let mean = |errors: &[f32]| errors.iter().sum::<f32>() / count as f32;
        let said = format!(
            "How far a head’s output over the next 24 tokens is from that with the whole cache, as a share of it: **{:.3}** in the mean if the rest is dropped, {{method|as chosen}} **{:.3}**.",
            mean(&dropped),
            mean(&chosen)
        );
        let chart = Chart::new(x, Axis::from_zero("relative error of the output", f64::from(top)), marks);
        Panel::new("errors", "What it costs a head", said, 3, Body::Chart(chart))
    }

    /// How concentrated each head's score is, against how alike its tokens are.
    fn redundancy_panel(&self, params: &EvictParams) -> Panel {
        let mut dots: [Vec<[f32; 2]>; LAYERS] = Default::default();
        let knobs = params.knobs();
        let everything = Compression {
            score: params.method().score,
            split: Split::Uniform,
            rest: Rest::Ems(Ems { mass: 1.0, threshold: 0.0, ..knobs.ems }),
        };
        let kept = params.kept(self.looked.tokens.len());
        for (at, layer) in knobs.compress(everything, &self.looked.layers, kept).iter().enumerate() {
            for trace in &layer.traces {
                let scores: Vec<f64> = trace.scores.candidates().iter().map(|score| score.max(0.0)).collect();
                let mut found: Vec<f64> = trace.similarity.iter().flatten().copied().collect();
                found.sort_by(f64::total_cmp);
                if let Some(&middle) = found.get(found.len() / 2) {
                    dots[at].push([needed(&scores, params.mass) as f32, middle.max(0.0) as f32]);
                }
            }
        }
        let [below, above] = dots;
        let marks = vec![
            Mark::Dots { name: "lower layer".to_owned(), ink: Ink::Baseline, points: below },
            Mark::Dots { name: "upper layer".to_owned(), ink: Ink::Method, points: above },
            Mark::Level { name: "τ".to_owned(), y: params.threshold as f32 },
        ];
        let x = Axis::new(
            format!("tokens for {} % of a head’s score", number(100.0 * params.mass, 3)),
            0.0..self.looked.tokens.len() as f64,
        );
        let chart = Chart::new(x, Axis::new("median redundancy", 0.0..1.0), marks);
        let said = "A head on the right looks at much, one on the left at little: it has nothing worth merging, however alike its tokens are. Higher: tokens are more alike.";
        Panel::new("redundancy", "Sparse or redundant", said, 3, Body::Chart(chart))
    }

    fn bytes_panel(&self) -> Panel {
        let whole = bytes(self.looked.layers.iter());
        let compressed = bytes(self.looked.compressed.iter().map(|compressed| &compressed.layer));
        let [before, after] = [whole, compressed].map(|parts| parts.iter().sum::<usize>());
        let bars = |name: &str, ink, heights: [usize; 2]| Mark::Bars {
            name: name.to_owned(),
            ink,
            from: 0.0,
            to: 2.0,
            heights: heights.map(|bytes| bytes as f32).to_vec(),
        };
        // The sum stands behind, so that its top is the positions'.
        let marks = vec![
            bars("with positions", Ink::Data, [before, after]),
            bars("keys and values", Ink::Method, [whole[0], compressed[0]]),
        ];
        let mut x = Axis::new("", 0.0..2.0);
        x.ticks = vec![(0.5, "whole cache".to_owned()), (1.5, "compressed".to_owned())];
        let said = format!(
            "**{after}** of {before} bytes, **{:.1} %**: {} for {{method|keys and values}} in 16 bits and {} for positions in 32, by the rows that are there.",
            100.0 * after as f64 / before as f64,
            compressed[0],
            compressed[1],
        );
        let chart = Chart::new(x, Axis::from_zero("bytes", before as f64), marks);
        Panel::new("bytes", "Bytes", said, 3, Body::Chart(chart))
    }

    fn methods_panel(&self, params: &EvictParams) -> Panel {
        let mut list = Vec::new();
        let names = METHODS.iter().map(|method| (method.key, method.name, method.ink));
        let all = [("full", "the whole cache", Ink::Truth)].into_iter().chain(names).chain([(
            "chosen",
            "as chosen",
            Ink::Data,
        )]);
        for ((key, name, ink), fared) in all.zip(&self.fared).filter(|_| self.tested() > 0) {
            let mut push = |what: &str, column, value| {
                list.push(Readout::new(format!("{what}_{key}"), name, ink, column, "", value));
            };
            push("recall", "recall", fared.tally.recall());
            push("error", "output error", fared.error());
            push("perplexity", "perplexity of what comes next", fared.tally.perplexity());
        }
        let said = format!(
            "**{}** of {} contexts, eight questions each, {}. Output error and perplexity are measured on what comes next, without a question.",
            self.tested(),
            params.contexts,
            if params.seen { "each seen while compressing" } else { "none seen while compressing" }
        );
        Panel::new("methods", "All methods, tested", said, 6, Body::Readouts(list))
    }

    /// What the claims are judged by, beside the methods' own figures.
    fn insights_panel(&self) -> Panel {
        let contexts = self.tested() as f64;
        let mut list = Vec::new();
        let mut push = |key: String, of: &str, value: f64| {
            list.push(Readout::new(key, of, Ink::Muted, "mean", "", value));
        };
        let early = [("global", "all queries"), ("combined", "both, aligned"), ("local", "the last queries")];
        for ((key, by), share) in early.into_iter().zip(self.early) {
            push(
                format!("early_{key}"),
                &format!("kept by {by}: share in the first third"),
                f64::from(share) / contexts,
            );
        }
        for (layer, name) in ["lower", "upper"].into_iter().enumerate() {
            let [ems, dropped] = ["ems", "global_local"].map(|key| self.fared[1 + place(key)].error_of(layer));
            push(format!("gain_{layer}"), &format!("error saved by merging, {name} layer"), 1.0 - ems / dropped);
        }
        let merged = self.merged.as_flattened().iter().map(|&sum| f64::from(sum) / contexts);
        let (least, most) =
            merged.fold((f64::INFINITY, 0.0_f64), |(least, most), mean| (least.min(mean), most.max(mean)));
        push("merged_most".to_owned(), "tokens worth merging, most of a head", most);
        push("merged_least".to_owned(), "tokens worth merging, least of a head", least);
        list.retain(|readout| readout.value.is_finite());
        let said = "Of the same contexts, by EMS’s scores: where in the context the kept lie (a third would be even), and what merging saves of the error.";
        Panel::new("insights", "Where and what", said, 6, Body::Readouts(list))
    }
}

/// Tokens that were merged, or were to be.
fn worth_merging(trace: &Trace) -> usize {
    trace.fates.iter().filter(|fate| matches!(fate, Fate::Merged(_) | Fate::ZeroClass)).count()
}

/// How many of the highest scores make up a share of all.
fn needed(scores: &[f64], share: f64) -> usize {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = sorted.iter().sum();
    let mut sum = 0.0;
    sorted
        .iter()
        .take_while(|score| {
            let before = sum;
            sum += **score;
            before < share * total
        })
        .count()
}

/// Of what is kept before the window by the attention of all queries, by both scores and by the last queries: the share
/// that lies in the first third of the context.
fn early_shares(layers: &[Layer], knobs: &Knobs, kept: usize) -> [f32; 3] {
    let (mut early, mut all) = ([0.0; 3], 0.0);
    for head in layers.iter().flat_map(|layer| &layer.heads) {
        let window = knobs.window.min(head.tokens() - 1);
        let scores = global_local(head, window);
        let chosen = kept.saturating_sub(window).max(1);
        all += chosen as f32;
        for (early, scores) in early.iter_mut().zip([&scores.global, &scores.combined(knobs.combine), &scores.local]) {
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            *early += order.iter().take(chosen).filter(|&&token| 3 * token < head.tokens()).count() as f32;
        }
    }
    early.map(|early| early / all)
}

/// Of keys and values in 16 bits, and of positions in 32, as the rows of each head are.
fn bytes<'a>(layers: impl Iterator<Item = &'a Layer>) -> [usize; 2] {
    layers.fold([0, 0], |[payload, positions], layer| {
        let rows = layer.tokens();
        let [of_row, position] = row_bytes(layer.d_head);
        [payload + rows * of_row, positions + rows * position]
    })
}

impl Lab for KvCacheEvict {
    const CARD: Card = Card {
        slug: "kv-cache-evict",
        title: "Keep, merge, forget",
        hook: "Which tokens would you keep?",
        page: PAGE,
        papers: &[EMS],
        chance: true,
        presets: &[
            Preset { label: "EMS, a quarter kept", query: "" },
            Preset { label: "SnapKV forgets", query: "score=snapkv&rest=dropped" },
            Preset { label: "SnapKV, question seen", query: "score=snapkv&rest=dropped&seen=true" },
            Preset { label: "KeyDiff remembers", query: "score=keydiff&rest=dropped" },
            Preset { label: "A tenth, question seen", query: "keep=0.1&seen=true" },
            Preset { label: "Without the first token", query: "score=window&rest=dropped&keep=0.5" },
            Preset { label: "With its sink", query: "score=streaming&rest=dropped&keep=0.5" },
        ],
        experiments: super::claims::EVICT,
        batches: &[BatchSpec { id: "sweep", label: "Keep more or less", rows: sweep_rows, draw: draw_sweep }],
    };
    type Params = EvictParams;

    async fn start(params: &EvictParams, host: &Host) -> Result<Self, LabError> {
        let mut reader = Reader::open(params.model, params.seed, host).await?;
        let (passage, note) = passage_of(&mut reader, params);
        let looked = Looked::new(&mut reader, &passage, params, host).await;
        let mut lab = Self {
            params: params.clone(),
            reader,
            passage,
            note,
            looked,
            step: 0,
            fared: vec![],
            early: [0.0; 3],
            merged: [[0.0; HEADS]; LAYERS],
        };
        lab.reset();
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        if self.tested() < self.params.contexts {
            self.step += 1;
            self.test(host).await;
        }
        Ok(if self.tested() < self.params.contexts { Status::Running } else { Status::Idle })
    }

    async fn change(&mut self, params: &EvictParams, host: &Host) -> Result<(), LabError> {
        let tested = |params: &EvictParams| EvictParams {
            question: 1,
            struck: None,
            words: String::new(),
            depth: 0,
            contexts: 1,
            layer: 1,
            head: 1,
            map: ScoreMap::Combined,
            ..params.clone()
        };
        let other = tested(params) != tested(&self.params);
        if (&params.words, params.depth) != (&self.params.words, self.params.depth) {
            (self.passage, self.note) = passage_of(&mut self.reader, params);
        }
        self.params = params.clone();
        self.looked = Looked::new(&mut self.reader, &self.passage, params, host).await;
        if other {
            self.reset();
        }
        Ok(())
    }

    fn frame(&self, params: &EvictParams) -> Frame {
        let (needles, asked) = (&self.passage.context.needles, params.asked(&self.passage));
        let said = self.looked.said.each_ref();
        let when = match params.seen {
            true => "each question at the end of what is compressed",
            false => "all from one compressed cache",
        };
        let panels = vec![
            self.context_panel(params),
            questions_panel(needles, CACHES, said, asked, when),
            answer_panel(&needles[asked], CACHES, said),
            self.fates_panel(),
            self.scores_panel(params),
            self.errors_panel(),
            self.redundancy_panel(params),
            self.bytes_panel(),
            self.methods_panel(params),
            self.insights_panel(),
        ];
        Frame { step: self.step, of: None, panels: self.reader.noted(panels), offers: Vec::new() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.step);
        state.put("fared", self.fared.iter().map(Fared::save).collect());
        let sums = self.early.iter().chain(self.merged.as_flattened()).copied().collect();
        state.put("sums", vec![sums]);
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        let other = || LabError::data("The saved run was made by another version. Start it again.");
        self.step = state.step;
        let fared: Option<Vec<Fared>> = state.get("fared")?.iter().map(|numbers| Fared::load(numbers)).collect();
        self.fared = fared.ok_or_else(other)?;
        let [sums] = state.get("sums")? else { return Err(other()) };
        for (sum, &saved) in self.early.iter_mut().chain(self.merged.as_flattened_mut()).zip(sums) {
            *sum = saved;
        }
        Ok(())
    }
}

fn sweep_rows(values: &Values) -> Vec<(String, String)> {
    let row = |keep: &f64| {
        let mut values = values.clone();
        let _mended = values.apply(&format!("keep={keep}&budget=0&contexts={SWEPT}"));
        (format!("keep {keep}"), values.to_query())
    };
    SWEEP.iter().map(row).collect()
}

/// A line for each method, over the share that is kept.
fn draw_sweep(rows: &[Row]) -> Vec<Panel> {
    let keep = |row: &Row| -> Option<f64> { row.label.strip_prefix("keep ")?.parse().ok() };
    let mut rows: Vec<(f64, &Row)> = rows.iter().filter_map(|row| Some((keep(row)?, row))).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let panel = |id: &str, title: &str, key: &str, axis: Axis, said: &str| {
        let line = |method: &Method| {
            let key = format!("{key}_{}", method.key);
            let points = rows.iter().filter_map(|(keep, row)| Some([*keep as f32, *row.readouts.get(&key)? as f32]));
            Mark::line(method.name, method.ink, points)
        };
        let marks = METHODS.iter().rev().map(line).collect();
        Panel::new(id, title, said, 3, Body::Chart(Chart::new(Axis::new("share kept", 0.0..1.0), axis, marks)))
    };
    let all = rows.iter().flat_map(|(_, row)| {
        METHODS.iter().map(|method| format!("perplexity_{}", method.key)).filter_map(|key| row.readouts.get(&key))
    });
    let perplexity = all.fold(0.0_f64, |most, perplexity| most.max(*perplexity));
    vec![
        panel(
            "sweep-recall",
            "What it still knows",
            "recall",
            Axis::new("share of right answers", 0.0..1.0),
            "A line for each method, as its runs are done. No score is best: each wins where its assumption holds.",
        ),
        panel(
            "sweep-perplexity",
            "What comes next",
            "perplexity",
            Axis::from_zero("perplexity of 24 tokens", perplexity),
            "Fillers hardly need what was said long before: their perplexity says little of what is forgotten.",
        ),
        panel(
            "sweep-error",
            "What heads still find",
            "error",
            Axis::new("relative error of the output", 0.0..1.0),
            "Lower is better. On what comes next, without a question.",
        ),
    ]
}
