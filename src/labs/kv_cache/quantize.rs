//! How few bits a number of the cache needs, and what outliers have to do with it.

use super::ask::{Prompts, Tally};
use super::passage::Passage;
use super::quantizers::{Bits, Grain, Group, Memory, Model, Quantizer, Stored};
use super::rounding::{
    BINS, EMPTY, SHOWN, STAGES, Slide, WIDTH, channel_of, channels, dots, edges, histogram, joined, key_errors, levels,
    mean_range, mean_square, most, pairs, reach_of_strongest, score_errors, side_by_side, stages_of,
};
use super::{PAGE, ROTATE_KV, relative, rotate_kv_claims};
use crate::chart::{Axis, Chart, Ink, Mark, number, round_up};
use crate::lab::{
    BatchSpec, Body, Card, Frame, Host, Lab, LabError, Panel, Preset, Readout, Row, State, Status, Token, Tokens,
    Values,
};
use crate::labs::house_figures::{Said, answer_panel, questions_panel, things};
use crate::labs::house_model::ModelChoice;
use crate::mech::house_transformer::LayerReading;
use crate::mech::quantizer::{Bytes, HeadRows, Layer, Method, PerToken, Recipe, Tile, Trace, effective_bits, keys};
use crate::mech::recall_language::{Kind, word};
use crate::params;

/// Seeds that the ladder is drawn over, which are as many as there are models.
const SEEDS: [u64; 3] = [0, 1, 2];
/// Whose answers are compared.
const CACHES: [&str; 2] = ["whole cache", "stored"];

params! {
    pub struct QuantizeParams {
        /// How keys and values are stored. From “before rotary positions” on, each adds a part of RotateKV to the one above it.
        method: Quantizer = choice("Stored by", Quantizer::RtnToken.value(), Quantizer::OPTIONS).live(),
        /// Bits of a stored number.
        bits: Bits = choice("Bits", Bits::Two.value(), Bits::OPTIONS).symbol("b").live(),
        /// Channels of a key that share levels, from “small groups” on. Each group costs 4 bytes more.
        group: Group = choice("Group", Group::Sixteen.value(), Group::OPTIONS).symbol("g").live(),
        /// Share of a group’s range that the levels span, from “clipped” on: they stand closer, and the ends are cut off.
        clip: f64 = real("Clip", 0.8, 0.5..=1.0).symbol("ρ").live(),
        /// How much larger a pair of channels of each head’s keys is made. The model stays the same function. At 1 it is as trained; 4 makes it look like Llama-2-7B.
        severity: f64 = real("Severity", 4.0, 1.0..=12.0).symbol("σ").live(),
        /// The pair of channels that is made larger: the same in every head, or drawn for each.
        pair: usize = int("Outlier pair", 0, 0..=8).word("drawn", 0).live(),
        /// The tokens of so many of the largest numbers that come into a layer stay in 16 bits, in the last method. The paper takes 20.
        spared: usize = int("Sinks from", 5, 0..=20).live(),
        /// Which of the stated names is asked for.
        question: usize = int("Question", 1, 1..=8).live(),
        /// The layer that is looked at, from below.
        layer: usize = int("Layer", 2, 1..=2).view(),
        /// The token whose key is looked at closely; that of the value asked for, if none is chosen.
        token: Option<usize> = pick("Token", 120).view(),
        /// Steps of the rotation that are done in the small picture.
        stage: usize = int("Butterflies", 6, 0..=6).view(),
        /// A channel of that key, from 0, and the value that you give it: an outlier of your own.
        moved: Vec<[f32; 2]> = points("Your outlier", 1, -64.0..=64.0).view(),
        /// A key of your own, 64 numbers, in place of the token’s. What is missing is 0.
        vector: Vec<f32> = numbers("Your key", 64, -64.0..=64.0).view(),
        /// Shows channels as they are stored, and not as the model has them.
        as_stored: bool = toggle("As stored", true).view(),
        /// Which model reads: one that comes with the page, of which the seed chooses one of three, or yours.
        model: ModelChoice = choice("Model", ModelChoice::Shipped.value(), ModelChoice::OPTIONS).more(),
        /// Contexts that all methods are tested on, eight questions each.
        contexts: usize = int("Contexts tested", 32, 1..=128).live().more(),
    }
}

impl QuantizeParams {
    fn grain(&self) -> Grain {
        Grain { bits: self.bits.count(), group: self.group.channels(), clip: self.clip as f32 }
    }

    fn pair(&self) -> Option<usize> {
        self.pair.checked_sub(1)
    }

    /// Without what the tests of the methods do not depend on.
    fn tested(&self) -> Self {
        let looked = self.looked();
        Self { method: Quantizer::Full, question: 1, layer: 0, contexts: 1, ..looked }
    }

    /// Without what is drawn anew from what is known.
    fn looked(&self) -> Self {
        let (moved, vector) = (vec![], vec![]);
        Self { token: None, stage: 0, moved, vector, as_stored: false, contexts: 1, ..self.clone() }
    }
}

/// What is known of the context that is looked at, under the chosen method.
struct Looked {
    memory: Memory,
    /// Keys of the chosen layer, as they are read when a token is one group, and by the chosen method; and what is stored of
    /// them.
    plain: Vec<HeadRows>,
    chosen: Vec<HeadRows>,
    trace: Trace,
    /// Keys as they are, rotated head by head, rotated together, and sorted after that.
    stages: [Vec<f32>; 4], // [tokens, WIDTH]
    /// Of all methods, over all layers.
    bytes: Vec<Bytes>,
    /// With the whole cache, and with the stored one.
    said: [Said; 2],
}

/// How a method fares in the contexts that were tested so far.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    tally: Tally,
    /// Sum over the contexts of how far keys are off, as a share of their size.
    key_error: f32,
    /// Sum over the contexts of the mean square by which scores are off.
    score_square: f32,
}

/// What is followed beside.
#[derive(Clone, Copy, Debug, Default)]
struct Insights {
    /// The most that a logit changed because of outliers.
    shift: f32,
    /// Sums over the contexts of the mean range of small groups of keys in the last layer, unsorted and sorted.
    ranges: [f32; 2],
    /// The most bits a number by which what is stored differs from the formula.
    bits_off: f32,
}

pub struct KvCacheQuantize {
    params: QuantizeParams,
    model: Model,
    passage: Passage,
    looked: Looked,
    step: u64,
    /// One for each method.
    measured: Vec<Measured>,
    insights: Insights,
}

impl Looked {
    fn new(model: &mut Model, passage: &Passage, params: &QuantizeParams) -> Self {
        let (layer, shape) = (params.layer - 1, passage.reading.layers[0].shape);
        let recipe = |method: Quantizer| method.recipe(params.grain(), shape);
        let memory = model.remember(&passage.reading, params.spared);
        let store = |method| memory.store(&recipe(method));
        let mut said = |stored: &Stored| {
            let answers = Prompts::UNSEEN.ask(&mut model.reader, passage, |_, position| stored.caches(position));
            Said::new(&answers, params.question - 1)
        };
        let (whole, chosen) = (store(Quantizer::Full), store(params.method));
        let read = |mut stored: Stored| stored.layers.swap_remove(layer).heads;
        let said = [&whole, &chosen].map(&mut said);
        let of_layer = &memory.layers[layer];
        let basis = |rotated_heads, sorted| {
            let method = PerToken { sorted, ..PerToken::rotate_kv(rotated_heads, shape.d_head, 2) };
            keys(of_layer, &Recipe { bits: 16, method: Method::PerToken(method) })
        };
        let (by_head, together) = (basis(1, false), basis(shape.key_heads, true));
        Self {
            plain: read(store(Quantizer::RtnToken)),
            trace: keys(of_layer, &recipe(params.method)),
            stages: [together.raw, by_head.rotated, together.rotated, together.sorted],
            bytes: Quantizer::ALL.iter().map(|&method| store(method).bytes()).collect(),
            chosen: read(chosen),
            said,
            memory,
        }
    }
}

impl KvCacheQuantize {
    fn tested(&self) -> usize {
        self.measured[0].tally.contexts()
    }

    /// Forgets what was tested under another setting.
    fn reset(&mut self) {
        self.measured = vec![Measured::default(); Quantizer::ALL.len()];
        self.insights = Insights::default();
    }

    /// Tests every method on one more context.
    async fn test(&mut self, host: &Host) {
        let (params, index) = (&self.params, self.tested() as u64);
        let passage = self.model.reader.draw(params.seed, index);
        let shape = passage.reading.layers[0].shape;
        let memory = self.model.remember(&passage.reading, params.spared);
        let reader = &mut self.model.reader;
        for (&method, measured) in Quantizer::ALL.iter().zip(&mut self.measured) {
            let recipe = method.recipe(params.grain(), shape);
            let stored = memory.store(&recipe);
            let answers = Prompts::UNSEEN.ask(reader, &passage, |_, position| stored.caches(position));
            let surprise = reader.surprise(&passage, stored.caches(passage.context.tokens.len()));
            measured.tally.add(&passage, &answers, surprise);
            measured.add_errors(&passage.reading.layers, &stored);
            self.insights.add_bytes(&memory, &recipe, &stored.bytes());
            host.breathe().await;
        }
        let last = memory.layers.last().expect("a model has layers");
        for (sum, method) in self.insights.ranges.iter_mut().zip([Quantizer::SmallGroups, Quantizer::Sorted]) {
            *sum += mean_range(&keys(last, &method.recipe(params.grain(), shape)));
        }
        let original = self.model.original.prefill(&passage.context.tokens).logits;
        let apart = original.iter().zip(&passage.reading.logits).map(|(was, is)| (was - is).abs());
        self.insights.shift = apart.fold(self.insights.shift, f32::max);
    }

    fn chosen(&self) -> usize {
        Quantizer::ALL.iter().position(|&method| method == self.params.method).expect("it is one of all")
    }

    /// A column for each method, with the chosen one marked.
    fn columns(&self, axis: Axis, heights: Vec<f32>) -> Chart {
        let (chosen, count) = (self.chosen(), heights.len() as f32);
        let marks = vec![
            Mark::Stems {
                name: self.params.method.short().to_owned(),
                ink: Ink::Method,
                points: vec![[chosen as f32 + 0.5, heights[chosen]]],
            },
            Mark::Bars { name: "each".to_owned(), ink: Ink::Data, from: 0.0, to: count, heights },
        ];
        Chart::new(methods_axis(), axis, marks)
    }

    fn ladder_panel(&self) -> Panel {
        let recalls: Vec<f64> = self.measured.iter().map(|measured| measured.tally.recall()).collect();
        let heights = recalls.iter().map(|&recall| recall as f32).collect();
        let mut chart = self.columns(Axis::new("share of right answers", 0.0..1.0), heights);
        let QuantizeParams { method, bits, severity, .. } = &self.params;
        let said = match self.tested() {
            0 => "How many questions each method still answers.".to_owned(),
            tested => {
                chart.marks.push(Mark::Level { name: "16 bits".to_owned(), y: recalls[0] as f32 });
                format!(
                    "In {} bits and with outliers of {}, “{}” answers **{{method|{:.0} %}}** of the questions, 16 bits **{:.0} %**. The severity does not change what the model says in 16 bits. **{tested}** of {} contexts.",
                    bits.count(),
                    number(*severity, 2),
                    method.label(),
                    100.0 * recalls[self.chosen()],
                    100.0 * recalls[0],
                    self.params.contexts,
                )
            }
        };
        Panel::new("ladder", "What it still knows", said, 4, Body::Chart(chart))
    }

    fn perplexity_panel(&self) -> Panel {
        let all: Vec<f64> = self.measured.iter().map(|measured| measured.tally.perplexity()).collect();
        let top = all.iter().copied().filter(|perplexity| perplexity.is_finite()).fold(0.0, f64::max);
        let chart = self.columns(
            Axis::from_zero("perplexity of what comes next", top),
            all.iter().map(|&perplexity| perplexity as f32).collect(),
        );
        let said = match self.tested() {
            0 => "How uncertain each method leaves the model about the next fillers.".to_owned(),
            _ => format!(
                "As if it guessed among so many words: **{{method|{:.1}}}** as chosen, **{:.1}** in 16 bits. Fillers hardly need the cache.",
                all[self.chosen()],
                all[0]
            ),
        };
        Panel::new("perplexity", "How sure it goes on", said, 2, Body::Chart(chart))
    }

    fn context_panel(&self) -> Panel {
        let reading = &self.passage.reading.layers[self.params.layer - 1];
        let errors = joined(&key_errors(reading, &self.looked.chosen), reading.shape);
        let keys = joined(&reading.keys, reading.shape);
        let off = |at: usize| {
            let row = |numbers: &[f32]| numbers[at * WIDTH..][..WIDTH].to_vec();
            relative(&row(&errors), &row(&keys)) as f32
        };
        let sinks = &self.looked.memory.layers[self.params.layer - 1].sinks;
        let row = self.row();
        let token = |(at, &token): (usize, &usize)| {
            let class = match Kind::of(token) {
                _ if sinks.contains(&at) => Some(2),
                Kind::Name | Kind::Value => Some(0),
                _ => None,
            };
            Token { text: word(token).to_owned(), note: format!("{:.0} %", 100.0 * off(at)), class, chosen: at == row }
        };
        let tokens: Vec<Token> = self.passage.context.tokens.iter().enumerate().map(token).collect();
        let mean = |wanted: &dyn Fn(usize) -> bool| {
            let wanted: Vec<f32> = (0..tokens.len()).filter(|&at| wanted(at)).map(off).collect();
            100.0 * wanted.iter().sum::<f32>() / wanted.len() as f32
        };
        let said = match sinks.is_empty() {
            true => format!(
                "How far each key is off, of its size: **{:.0} %** in the mean. Press a token to look at its key in “One key” above.",
                mean(&|_| true)
            ),
            false => format!(
                "How far each key is off, of its size: **{:.0} %** in the mean, **{:.0} %** at the {} that count as sinks in this layer. Press a token to look at its key in “One key” above.",
                mean(&|_| true),
                mean(&|at| sinks.contains(&at)),
                sinks.len()
            ),
        };
        let tokens = Tokens { tokens, wraps: true, ..Tokens::default() };
        Panel::new("context", "The context", said, 6, Body::Tokens(tokens)).edits("token")
    }

    fn stages_panel(&self) -> Panel {
        let [raw, by_head, together, sorted] = &self.looked.stages;
        let maps = [
            ("as they are", raw.as_slice()),
            ("rotated by head", by_head),
            ("rotated together", together),
            ("and sorted", sorted),
        ];
        let chart = side_by_side("share of the largest", true, &maps);
        let said = format!(
            "Keys of layer {}, a row for each of the first {SHOWN} tokens, a column for each of 64 channels, before rotary positions; one scale. As they are, the strongest channel reaches **{:.1}** times as far as the median one. The largest number is **{:.1}**; rotated head by head it is **{:.1}**, together **{{method|{:.1}}}**.",
            self.params.layer,
            reach_of_strongest(raw),
            most(raw),
            most(by_head),
            most(together)
        );
        Panel::new("stages", "Keys in four bases", said, 6, Body::Chart(chart))
    }

    fn envelope_panel(&self, params: &QuantizeParams) -> Panel {
        let trace = &self.looked.trace;
        let matrix = if params.as_stored { &trace.sorted } else { &trace.raw };
        let band = channels(matrix);
        let row = self.row();
        let top = round_up(band.iter().fold(0.0_f32, |most, [_, low, high]| most.max(-low).max(*high)).into());
        let mut marks = vec![
            Mark::Band { name: "all tokens".to_owned(), ink: Ink::Data, points: band },
            Mark::Dots {
                name: format!("“{}”", word(self.passage.context.tokens[row])),
                ink: Ink::Truth,
                points: dots(&matrix[row * WIDTH..][..WIDTH]),
            },
        ];
        let tiles: Vec<&Tile> = trace.tiles.iter().filter(|tile| tile.rows.contains(&row)).collect();
        if params.as_stored {
            marks.extend(levels(&tiles));
        }
        let mut x = Axis::new("channel", 0.0..WIDTH as f64);
        x.ticks = edges(&tiles);
        let said = match (params.as_stored, tiles.is_empty()) {
            (false, _) => {
                "Least and largest number of each channel as the model has it: the outliers that a group must span."
                    .to_owned()
            }
            (true, true) => "This token is not coded: its numbers are in 16 bits.".to_owned(),
            (true, false) => format!(
                "Least and largest number of each channel, in the basis that is rounded. The token has {}, each with {} {{method|levels}} over its own range.",
                things(tiles.len(), "group"),
                1_u32 << self.params.bits.count()
            ),
        };
        let chart = Chart::new(x, Axis::new("key", -top..top), marks);
        Panel::new("envelope", "Channels and levels", said, 3, Body::Chart(chart))
    }

    fn errors_panel(&self) -> Panel {
        let reading = &self.passage.reading.layers[self.params.layer - 1];
        let off = |heads: &[HeadRows]| key_errors(reading, heads);
        let (plain, chosen) = (off(&self.looked.plain), off(&self.looked.chosen));
        let map = |errors: &[f32]| joined(&errors.iter().map(|error| error.abs()).collect::<Vec<_>>(), reading.shape);
        let maps = [map(&plain), map(&chosen)];
        let maps = [("a token in one group", maps[0].as_slice()), ("as chosen", &maps[1])];
        let chart = side_by_side("share of the largest", false, &maps);
        let said = format!(
            "How far keys are off as attention sees them. All together, of the keys’ size: **{{baseline|{:.0} %}}** where a token is one group, **{{method|{:.0} %}}** as chosen. With outliers this share says little, for they make up most of the size.",
            100.0 * relative(&plain, &reading.keys),
            100.0 * relative(&chosen, &reading.keys)
        );
        Panel::new("errors", "What rounding does", said, 3, Body::Chart(chart))
    }

    fn scores_panel(&self) -> Panel {
        let reading = &self.passage.reading.layers[self.params.layer - 1];
        let [plain, chosen] = [&self.looked.plain, &self.looked.chosen].map(|heads| score_errors(reading, heads));
        let reach = round_up(most(&plain).max(most(&chosen)).into()) as f32;
        let (plain_shares, chosen_shares) = (histogram(&plain, reach), histogram(&chosen, reach));
        let top = most(&plain_shares).max(most(&chosen_shares));
        let wide = 2.0 * reach / BINS as f32;
        let points = plain_shares.iter().enumerate().map(|(bin, &share)| [(bin as f32 + 0.5) * wide - reach, share]);
        let mut marks = vec![Mark::Bars {
            name: self.params.method.short().to_owned(),
            ink: Ink::Method,
            from: -reach,
            to: reach,
            heights: chosen_shares,
        }];
        if self.params.method != Quantizer::RtnToken {
            marks.push(Mark::line(Quantizer::RtnToken.short(), Ink::Baseline, points));
        }
        let said = format!(
            "By how much the score of a token in attention is off, before the softmax: in the mean by **{{baseline|{:.2}}}** where a token is one group, by **{{method|{:.2}}}** as chosen.",
            mean_square(&plain).sqrt(),
            mean_square(&chosen).sqrt()
        );
        let x = Axis::new("error of a score", f64::from(-reach)..f64::from(reach));
        let chart = Chart::new(x, Axis::from_zero("share of all pairs", top.into()), marks);
        Panel::new("scores", "What attention notices", said, 3, Body::Chart(chart))
    }

    fn bytes_panel(&self) -> Panel {
        let parts: [(&str, Ink, fn(&Bytes) -> usize); 4] = [
            ("codes", Ink::Method, |bytes| bytes.payload),
            ("scales and zeros", Ink::Baseline, |bytes| bytes.metadata),
            ("in 16 bits", Ink::Data, |bytes| bytes.full),
            ("positions", Ink::Muted, |bytes| bytes.positions),
        ];
        let all = &self.looked.bytes;
        let mut below = vec![0; all.len()];
        let mut marks = vec![];
        for (name, ink, part) in parts {
            let mut points = vec![];
            for ((at, bytes), below) in all.iter().enumerate().zip(&mut below) {
                let [low, high] = [*below, *below + part(bytes)].map(|bytes| bytes as f32 / 1024.0);
                let at = at as f32;
                points.extend([[at + 0.15, low, high], [at + 0.85, low, high], [EMPTY; 3]]);
                *below += part(bytes);
            }
            marks.push(Mark::Band { name: name.to_owned(), ink, points });
        }
        let top = all.iter().map(Bytes::total).max().unwrap_or_default() as f64 / 1024.0;
        let chart = Chart::new(methods_axis(), Axis::from_zero("KiB of a context", top), marks);
        let (whole, chosen) = (all[0], all[self.chosen()]);
        let numbers = whole.full / 2;
        let said = format!(
            "As packed: {{method|codes}}, {{baseline|scales and zeros}}, what stays in 16 bits, positions. “{}” has **{}** bytes, **{:.1} %** of 16 bits: **{:.2}** bits a number with all that belongs to it. Heads of 16 numbers make scales dear.",
            self.params.method.label(),
            chosen.total(),
            100.0 * chosen.total() as f64 / whole.total() as f64,
            chosen.bits_per_number(numbers)
        );
        Panel::new("bytes", "Bytes", said, 3, Body::Chart(chart))
    }

    /// The token that is looked at closely.
    fn row(&self) -> usize {
        let tokens = self.passage.context.tokens.len();
        let asked = self.passage.context.needles[self.params.question].at + 1;
        self.params.token.filter(|&token| token < tokens).unwrap_or(asked)
    }

    /// The key that is looked at closely: the token's, or one of the reader's.
    fn key(&self) -> Vec<f32> {
        let mut key = match self.params.vector.is_empty() {
            true => self.looked.stages[0][self.row() * WIDTH..][..WIDTH].to_vec(),
            false => self.params.vector.clone(),
        };
        key.resize(WIDTH, 0.0);
        key
    }

    fn microscope_panels(&self) -> [Panel; 3] {
        let (layer, row, own) = (&self.looked.memory.layers[self.params.layer - 1], self.row(), self.key());
        let mut key = own.clone();
        if let [[channel, value]] = self.params.moved[..] {
            key[channel_of(channel)] = value;
        }
        let [plain, chosen] = [Quantizer::RtnToken, self.params.method].map(|method| {
            let shape = self.passage.reading.layers[0].shape;
            Slide::new(layer, row, &key, &method.recipe(self.params.grain(), shape))
        });
        [self.key_panel(&own, &key), self.butterflies_panel(&key), self.rounded_panel(&key, &plain, &chosen)]
    }

    fn key_panel(&self, own: &[f32], key: &[f32]) -> Panel {
        let largest = (0..WIDTH).max_by(|&a, &b| key[a].abs().total_cmp(&key[b].abs())).unwrap_or_default();
        let at = self.params.moved.first().map_or(largest, |point| channel_of(point[0]));
        // Room to drag, which does not grow while one drags.
        let top = round_up(key[largest].abs().max(2.0 * most(own)).into());
        let handle = vec![[at as f32 + 0.5, key[at]]];
        let marks = vec![
            Mark::Bars { name: "key".to_owned(), ink: Ink::Data, from: 0.0, to: WIDTH as f32, heights: key.to_vec() },
            Mark::Handles { name: "your outlier".to_owned(), ink: Ink::Guess, first: 0, points: handle },
        ];
        let said = format!(
            "The key of “{}” before rotary positions. Its largest number is **{:.1}**, at channel {largest}. Drag the handle: to another channel, or up and down to make an outlier.",
            word(self.passage.context.tokens[self.row()]),
            key[largest]
        );
        let chart = Chart::new(Axis::new("channel", 0.0..WIDTH as f64), Axis::new("value", -top..top), marks);
        Panel::new("key", "One key", said, 4, Body::Chart(chart)).edits("moved")
    }

    /// A column for the key after each step of its rotation, and the sums and differences of one of them.
    fn butterflies_panel(&self, key: &[f32]) -> Panel {
        let stage = self.params.stage;
        let steps = stages_of(key);
        let scale = most(&steps.concat()).max(f32::MIN_POSITIVE);
        let cell = |row: usize, column: usize| match column <= stage {
            true => steps[column][row] / scale,
            false => EMPTY,
        };
        let columns = STAGES + 1;
        let heat = Mark::Heat {
            name: "share of the largest".to_owned(),
            signed: true,
            rows: WIDTH,
            columns,
            x: [0.0, columns as f32],
            y: [0.0, WIDTH as f32],
            values: (0..WIDTH * columns).map(|at| cell(WIDTH - 1 - at / columns, at % columns)).collect(),
        };
        let mut x = Axis::new("steps done", 0.0..columns as f64);
        x.ticks = (0..columns).map(|step| (step as f64 + 0.5, step.to_string())).collect();
        let mut y = Axis::new("number", 0.0..WIDTH as f64);
        y.ticks = [0, 16, 32, 48].map(|at| ((WIDTH - at) as f64 - 0.5, at.to_string())).to_vec();
        let chart = Chart::new(x, y, [heat].into_iter().chain(pairs(stage)).collect());
        let said = format!(
            "Each step takes sums and differences of pairs, 1, 2, 4 … apart. After **{stage}** of {STAGES} the largest number is **{:.1}**: an outlier is spread over {}.",
            most(&steps[stage]),
            things(1 << stage, "number")
        );
        Panel::new("butterflies", "Butterflies", said, 2, Body::Chart(chart))
    }

    fn rounded_panel(&self, key: &[f32], plain: &Slide, chosen: &Slide) -> Panel {
        let off = |slide: &Slide| {
            let errors: Vec<f32> = slide.read.iter().zip(key).map(|(read, key)| read - key).collect();
            100.0 * relative(&errors, key)
        };
        let top = round_up(most(&chosen.basis).max(most(&chosen.rounded)).into());
        let tiles: Vec<&Tile> = chosen.tiles.iter().collect();
        let mut x = Axis::new("channel as stored", 0.0..WIDTH as f64);
        x.ticks = edges(&tiles);
        let mut marks = vec![
            Mark::Bars {
                name: "key".to_owned(),
                ink: Ink::Data,
                from: 0.0,
                to: WIDTH as f32,
                heights: chosen.basis.clone(),
            },
            Mark::Dots { name: "rounded".to_owned(), ink: Ink::Method, points: dots(&chosen.rounded) },
        ];
        marks.extend(levels(&tiles));
        let codes: Vec<String> = chosen.codes.iter().take(16).map(u8::to_string).collect();
        let codes = match tiles.is_empty() {
            true => "It is kept in 16 bits.".to_owned(),
            false => format!("The first codes: **{}**.", codes.join(" ")),
        };
        let said = format!(
            "The same key in the basis that is rounded, its levels, and what is stored. {codes} Read again, it is off by **{{method|{:.0} %}}** of its size; where a token is one group, by **{{baseline|{:.0} %}}**.",
            off(chosen),
            off(plain)
        );
        let chart = Chart::new(x, Axis::new("value", -top..top), marks);
        Panel::new("rounded", "Its levels and codes", said, 6, Body::Chart(chart))
    }

    fn methods_panel(&self) -> Panel {
        let mut list = vec![];
        let numbers = self.looked.bytes[0].full / 2;
        for ((method, measured), bytes) in Quantizer::ALL.iter().zip(&self.measured).zip(&self.looked.bytes) {
            let contexts = f64::from(measured.tally.contexts() as u32);
            let mean = |sum: f32| f64::from(sum) / contexts;
            let figures = [
                ("recall", "recall", measured.tally.recall()),
                ("perplexity", "perplexity of what comes next", measured.tally.perplexity()),
                ("key_error", "error of keys", mean(measured.key_error)),
                ("score_error", "error of scores", libm::sqrt(mean(measured.score_square))),
                ("bits", "bits a number", bytes.bits_per_number(numbers)),
            ];
            for (key, name, value) in figures.into_iter().filter(|_| contexts > 0.0) {
                list.push(Readout::new(
                    format!("{key}_{}", method.value()),
                    method.label(),
                    method.ink(),
                    name,
                    "",
                    value,
                ));
            }
        }
        let said = format!(
            "**{}** of {} contexts, eight questions each, in **{}** bits. Who compares methods should look at the last column: bits a number, with scales and windows.",
            self.tested(),
            self.params.contexts,
            self.params.bits.count()
        );
        Panel::new("methods", "All methods, tested", said, 6, Body::Readouts(list))
    }
}

impl Measured {
    fn add_errors(&mut self, readings: &[LayerReading], stored: &Stored) {
        let share = 1.0 / readings.len() as f32;
        for (reading, layer) in readings.iter().zip(&stored.layers) {
            self.key_error += share * relative(&key_errors(reading, &layer.heads), &reading.keys) as f32;
            self.score_square += share * mean_square(&score_errors(reading, &layer.heads));
        }
    }

    fn save(&self) -> Vec<f32> {
        [&self.tally.save()[..], &[self.key_error, self.score_square]].concat()
    }

    fn load(numbers: &[f32]) -> Option<Self> {
        let (&tally, &[key_error, score_square]) = numbers.split_first_chunk()? else { return None };
        Some(Self { tally: Tally::load(tally), key_error, score_square })
    }
}

impl Insights {
    /// Compares what is stored with the card's formula, b + 32 / g + 16 n / T: for keys and for values, whose groups are heads.
    fn add_bytes(&mut self, memory: &Memory, recipe: &Recipe, stored: &Bytes) {
        // KIVI has a window besides, and a last group that is shorter.
        let (2..=8, Method::PerToken(method)) = (recipe.bits, recipe.method) else { return };
        let foretold = |layer: &Layer| {
            let sinks = if method.sinks { layer.sinks.len() as f64 / layer.rows() as f64 } else { 0.0 };
            let of = |group: usize| effective_bits(recipe.bits, group, 1.0, sinks);
            (of(method.group) + of(layer.d_head)) / 2.0
        };
        let foretold = memory.layers.iter().map(foretold).sum::<f64>() / memory.layers.len() as f64;
        let numbers: usize = memory.layers.iter().map(|layer| 2 * layer.rows() * layer.width()).sum();
        self.bits_off = self.bits_off.max((stored.bits_per_number(numbers) - foretold).abs() as f32);
    }

    fn panel(&self, contexts: usize) -> Panel {
        let [unsorted, sorted] = self.ranges.map(|sum| sum / contexts.max(1) as f32);
        let rows = [
            ("shift", "a logit in 16 bits, changed by outliers, at most", self.shift),
            ("range_unsorted", "range of a small group of keys in the upper layer", unsorted),
            ("range_sorted", "the same with sorted channels", sorted),
            ("bits_off", "bits a number, beside the formula b + 32/g + 16 n/T, at most", self.bits_off),
        ];
        let row = |(key, of, value): (&str, &str, f32)| Readout::new(key, of, Ink::Muted, "figure", "", value.into());
        let said = format!("What some of the claims are judged by, over {}.", things(contexts, "context"));
        Panel::new("beside", "Besides", said, 6, Body::Readouts(rows.map(row).to_vec()))
    }
}

/// A column for each method.
fn methods_axis() -> Axis {
    let mut axis = Axis::new("stored by", 0.0..Quantizer::ALL.len() as f64);
    let tick = |(at, method): (usize, &Quantizer)| (at as f64 + 0.5, method.short().to_owned());
    axis.ticks = Quantizer::ALL.iter().enumerate().map(tick).collect();
    axis
}

impl Lab for KvCacheQuantize {
    const CARD: Card = Card {
        slug: "kv-cache-quantize",
        title: "Two bits a number",
        hook: "How few bits hold a key?",
        page: PAGE,
        papers: &[ROTATE_KV],
        chance: true,
        presets: &[
            Preset { label: "A token in one group", query: "" },
            Preset { label: "Rotate", query: "method=rotated" },
            Preset { label: "RotateKV", query: "method=rotatekv" },
            Preset { label: "KIVI", query: "method=kivi" },
            // They are about the model, and keep the method.
            Preset { label: "As trained: no outliers", query: "&severity=1" },
            Preset { label: "Outliers too large", query: "&severity=12" },
        ],
        experiments: rotate_kv_claims::QUANTIZE,
        batches: &[
            BatchSpec { id: "seeds", label: "Three models", rows: seed_rows, draw: draw_seeds },
            BatchSpec { id: "bits", label: "More bits", rows: bit_rows, draw: draw_bits },
        ],
    };
    type Params = QuantizeParams;

    async fn start(params: &QuantizeParams, host: &Host) -> Result<Self, LabError> {
        let mut model = Model::open(params.model, params.seed, params.pair(), params.severity, host).await?;
        let passage = model.reader.draw(params.seed, 0);
        let looked = Looked::new(&mut model, &passage, params);
        let mut lab = Self {
            params: params.clone(),
            model,
            passage,
            looked,
            step: 0,
            measured: vec![],
            insights: Insights::default(),
        };
        lab.reset();
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        self.step += 1;
        if self.tested() < self.params.contexts {
            self.test(host).await;
        }
        Ok(if self.tested() < self.params.contexts { Status::Running } else { Status::Idle })
    }

    async fn change(&mut self, params: &QuantizeParams, _host: &Host) -> Result<(), LabError> {
        if self.model.exaggerate(params.pair(), params.severity) {
            self.passage = self.model.reader.draw(params.seed, 0);
        }
        let before = std::mem::replace(&mut self.params, params.clone());
        if params.looked() != before.looked() {
            self.looked = Looked::new(&mut self.model, &self.passage, params);
        }
        if params.tested() != before.tested() {
            self.reset();
        }
        Ok(())
    }

    fn frame(&self, params: &QuantizeParams) -> Frame {
        let stated = &self.passage.context.needles[params.question - 1];
        let said = self.looked.said.each_ref();
        let [key, steps, rounded] = self.microscope_panels();
        let panels = vec![
            self.ladder_panel(),
            self.perplexity_panel(),
            self.stages_panel(),
            self.envelope_panel(params),
            self.scores_panel(),
            questions_panel(&self.passage.context.needles, CACHES, said, params.question - 1, "from the stored cache"),
            answer_panel(stated, CACHES, said),
            key,
            steps,
            rounded,
            self.errors_panel(),
            self.bytes_panel(),
            self.context_panel(),
            self.methods_panel(),
            self.insights.panel(self.tested()),
        ];
        Frame { step: self.step, of: None, panels: self.model.original.noted(panels), offers: Vec::new() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.step);
        state.put("measured", self.measured.iter().map(Measured::save).collect());
        let Insights { shift, ranges: [unsorted, sorted], bits_off } = self.insights;
        state.put("insights", vec![vec![shift, unsorted, sorted, bits_off]]);
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        let other = || LabError::data("The saved run was made by another version. Start it again.");
        let measured: Option<Vec<Measured>> = state.get("measured")?.iter().map(|row| Measured::load(row)).collect();
        self.measured = measured.filter(|measured| measured.len() == Quantizer::ALL.len()).ok_or_else(other)?;
        let Some(&[shift, unsorted, sorted, bits_off]) = state.get("insights")?.first().map(Vec::as_slice) else {
            return Err(other());
        };
        self.insights = Insights { shift, ranges: [unsorted, sorted], bits_off };
        self.step = state.step;
        Ok(())
    }
}

/// The same setting with other values of some parameters.
fn rows(values: &Values, changes: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let row = |(label, change): (String, String)| {
        let mut values = values.clone();
        let _mended = values.apply(&change);
        (label, values.to_query())
    };
    changes.into_iter().map(row).collect()
}

fn seed_rows(values: &Values) -> Vec<(String, String)> {
    rows(values, SEEDS.map(|seed| (format!("seed {seed}"), format!("seed={seed}"))))
}

/// The ladder over the models that are done: their mean, and from the least to the most.
fn draw_seeds(done: &[Row]) -> Vec<Panel> {
    let panel = |id: &str, title: &str, key: &str, axis: fn(f64) -> Axis| {
        let of = |method: &Quantizer| -> Vec<f32> {
            let key = format!("{key}_{}", method.value());
            done.iter().filter_map(|row| row.readouts.get(&key)).map(|&value| value as f32).collect()
        };
        let all: Vec<Vec<f32>> = Quantizer::ALL.iter().map(of).collect();
        let means = all.iter().map(|values| values.iter().sum::<f32>() / values.len() as f32).collect();
        let whisker = |(at, values): (usize, &Vec<f32>)| {
            let ends = [f32::min, f32::max].map(|pick| values.iter().copied().reduce(pick).unwrap_or(f32::NAN));
            let name = if at == 0 { "least to most" } else { "" };
            Mark::line(name, Ink::Truth, ends.map(|end| [at as f32 + 0.5, end]))
        };
        let top = all.iter().flatten().fold(0.0_f32, |top, value| top.max(*value));
        let count = Quantizer::ALL.len() as f32;
        let mut marks =
            vec![Mark::Bars { name: "mean".to_owned(), ink: Ink::Data, from: 0.0, to: count, heights: means }];
        marks.extend(all.iter().enumerate().map(whisker));
        let chart = Chart::new(methods_axis(), axis(top.into()), marks);
        let said = format!(
            "Mean of {}, each with texts of its own, and from the least to the most.",
            things(done.len(), "model")
        );
        Panel::new(id, title, said, 3, Body::Chart(chart))
    };
    vec![
        panel("seeds-recall", "What they still know", "recall", |_| Axis::new("share of right answers", 0.0..1.0)),
        panel("seeds-perplexity", "How sure they go on", "perplexity", |top| Axis::from_zero("perplexity", top)),
    ]
}

fn bit_rows(values: &Values) -> Vec<(String, String)> {
    rows(values, Bits::ALL.iter().map(|bits| (format!("{} bits", bits.value()), format!("bits={}", bits.value()))))
}

/// A line for each method, over all that a number costs.
fn draw_bits(done: &[Row]) -> Vec<Panel> {
    let line = |method: &Quantizer| {
        let of = |row: &Row, key: &str| row.readouts.get(&format!("{key}_{}", method.value())).copied();
        let point = |row: &Row| Some([of(row, "bits")? as f32, of(row, "recall")? as f32]);
        let mut points: Vec<[f32; 2]> = done.iter().filter_map(point).collect();
        points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        Mark::line(method.short(), method.ink(), points)
    };
    let marks = Quantizer::ALL.iter().filter(|method| **method != Quantizer::Full).map(line).collect();
    let x = Axis::new("bits a number, with all that belongs to it", 2.0..12.0);
    let chart = Chart::new(x, Axis::new("share of right answers", 0.0..1.0), marks);
    let said = "Recall against the bits that a number really takes, scales, zeros and windows included. KIVI’s window of 16 tokens is dear in a context of 120.";
    vec![Panel::new("bits-recall", "At equal bits", said, 6, Body::Chart(chart))]
}
