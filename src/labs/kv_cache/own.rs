//! Bring your own cache: what every method of the page costs on keys and values from outside.

use super::held_out::{HeldOut, MOST_WINDOW};
use super::measured::{Measured, Needs, Refusal, SHARES, evict, mean, recipe, remembered, store, sweep};
use super::methods::{Knobs, METHODS, Method, kept, place};
use super::quantizers::{Bits, Grain, Group, Quantizer};
use super::{EMS, PAGE, ROTATE_KV};
use crate::chart::{Axis, Chart, Ink, Mark, number};
use crate::lab::params::FileName;
use crate::lab::{Body, Card, Frame, Host, Lab, LabError, Panel, Preset, Readout, State, Status};
use crate::labs::cache_source::CacheSource;
use crate::labs::house_figures::{counted, head_name, things};
use crate::mech::cache_file::MOST_BYTES;
use crate::mech::kv_cache::{Combine, Compression, Ems, LayerShape, Rest, Score, Split};
use crate::mech::quantizer::Recipe;
use crate::{choices, params};

choices! {
    /// The methods of the page, by their keys.
    pub enum Shown {
        Ems = "ems", "EMS";
        GlobalLocal = "global_local", "Global-Local";
        Ada = "ada", "Global-Local + AdaKV";
        Press = "press", "Global-Local + merging of kvpress";
        Snap = "snap", "SnapKV";
        Tova = "tova", "TOVA";
        Observed = "observed", "observed attention";
        H2o = "h2o", "H2O";
        KeyDiff = "key_diff", "KeyDiff";
        Knorm = "knorm", "Knorm";
        Streaming = "streaming", "StreamingLLM";
        Window = "window", "window only";
        Random = "random", "random";
    }
}

params! {
    pub struct OwnCacheParams {
        /// A safetensors file with “k” and “v”, and “q” or “attn” if it has them; it stays in this tab. The link holds its name alone.
        file: FileName = file("Your cache", MOST_BYTES, ".safetensors"),
        /// Share of the context's tokens that each head keeps.
        keep: f64 = real("Share kept", 0.25, 0.05..=1.0).live(),
        /// The same in tokens; while it is “share”, the share decides.
        budget: usize = int("Tokens kept", 0, 0..=2048).word("share", 0).live(),
        /// The method whose errors are shown head by head.
        method: Shown = choice("Head by head", Shown::Ems.value(), Shown::OPTIONS).view(),
        /// The layer that is looked into, from below.
        layer: usize = int("Layer", 1, 1..=128).view(),
        /// The head of keys that is looked into.
        head: usize = int("Head", 1, 1..=128).view(),
        /// Bits of a number, for all quantizers.
        bits: Bits = choice("Bits", Bits::Two.value(), Bits::OPTIONS).symbol("b").live(),
        /// Channels of a key that share their levels, where groups are small.
        group: Group = choice("Group", Group::ThirtyTwo.value(), Group::OPTIONS).symbol("g").live(),
        /// Share of a group's range that its levels span, where it is clipped.
        clip: f64 = real("Clip", 0.8, 0.5..=1.0).symbol("ρ").live(),
        /// First tokens that stay in 16 bits. Ours: RotateKV finds its sinks in hidden states, which no such file holds.
        spared: usize = int("First tokens spared", 1, 0..=8).live(),
        /// Last tokens that SnapKV and EMS always keep, and whose queries they ask.
        window: usize = int("Window", 8, 1..=MOST_WINDOW as i64).symbol("w").live().more(),
        /// Tokens that SnapKV smooths its scores over.
        kernel: usize = int("SnapKV’s pooling", 5, 1..=9).live().more(),
        /// Share of a head's score that is worth merging: tokens beyond it are dropped. Ours; the paper does not say.
        mass: f64 = real("Relevant mass", 0.95, 0.0..=1.0).symbol("p").live().more(),
        /// Tokens less redundant than this are dropped instead of merged. Ours; the paper does not say.
        threshold: f64 = real("Redundancy needed", 0.0, 0.0..=0.9).symbol("τ").live().more(),
        /// Last tokens that are no part of the context: their queries measure what is lost.
        held_out: usize = int("Held out", 24, 4..=128).more(),
    }
}

/// Cells of a map, either way.
const MOST_CELLS: usize = 128;
/// What maps of errors show.
const CAPPED: &str = "error, up to 1";

impl OwnCacheParams {
    /// Tokens that each head keeps on average of a context of so many.
    fn kept(&self, tokens: usize) -> usize {
        kept(self.budget, self.keep, tokens)
    }

    fn knobs(&self) -> Knobs {
        Knobs {
            window: self.window,
            kernel: self.kernel,
            combine: Combine::Max,
            ems: Ems { mass: self.mass, threshold: self.threshold, ..Ems::default() },
            pyramid: false,
            seed: self.seed,
        }
    }

    fn grain(&self) -> Grain {
        Grain { bits: self.bits.count(), group: self.group.channels(), clip: self.clip as f32 }
    }
}

/// What is seen of one head of keys.
#[derive(Default)]
struct Looked {
    layer: usize,
    head: usize,
    /// Tokens by channels, divided by the largest, and the tokens of its rows.
    keys: Vec<Vec<f32>>,
    /// The largest key, of whatever channel.
    largest: f32,
    /// How strong the strongest channel is, in those of the median.
    outlier: f64,
    /// What each token is worth by each score, as a share of the highest.
    scores: Vec<(&'static str, Vec<f32>)>,
}

pub struct KvCacheOwn {
    params: OwnCacheParams,
    source: CacheSource,
    /// Layers that were read so far.
    held_out: Vec<Option<HeldOut>>,
    looked: Looked,
    step: u64,
    /// Of each layer that is done: every method at the chosen budget, every quantizer, and the errors of every method at each share.
    evicted: Vec<Vec<Option<Measured>>>,
    stored: Vec<Vec<Option<Measured>>>,
    swept: Vec<Vec<f32>>,
    /// How much each layer's heads look at the first token.
    sinks: Vec<Vec<f32>>,
    /// Of each quantizer, why it is left out.
    refusals: Vec<Option<Refusal>>,
}

/// What is still to be measured, by layers.
#[derive(Clone, Copy)]
enum Work {
    Evict(usize),
    Store(usize),
    Sweep(usize),
}

impl KvCacheOwn {
    /// Tokens that are held out: never more than half.
    fn held(&self) -> usize {
        self.params.held_out.min(self.source.shape().tokens / 2)
    }

    /// Tokens of the context.
    fn context(&self) -> usize {
        self.source.shape().tokens - self.held()
    }

    /// The table first, layer by layer; then what each share costs.
    fn next(&self) -> Option<Work> {
        let layers = self.source.layers();
        let (evicted, stored, swept) = (self.evicted.len(), self.stored.len(), self.swept.len());
        if evicted < layers && evicted <= stored {
            Some(Work::Evict(evicted))
        } else if stored < layers {
            Some(Work::Store(stored))
        } else {
            (swept < layers).then_some(Work::Sweep(swept))
        }
    }

    async fn read(&mut self, layer: usize, host: &Host) -> Result<(), LabError> {
        if self.held_out[layer].is_none() {
            let from = self.source.layer(layer)?;
            self.held_out[layer] = Some(HeldOut::new(layer, &from, self.held(), host).await);
        }
        Ok(())
    }

    /// A layer that was read.
    fn known(&self, layer: usize) -> &HeldOut {
        self.held_out[layer].as_ref().expect("a layer is read before anything is asked of it")
    }

    async fn work(&mut self, work: Work, host: &Host) -> Result<(), LabError> {
        let (Work::Evict(layer) | Work::Store(layer) | Work::Sweep(layer)) = work;
        self.read(layer, host).await?;
        let (held_out, knobs) = (self.known(layer), self.params.knobs());
        match work {
            Work::Evict(_) => {
                let all = evict(held_out, &knobs, self.params.kept(self.context()), host).await;
                let sink = held_out.sink.clone();
                if self.sinks.len() == layer {
                    self.sinks.push(sink);
                }
                self.evicted.push(all);
            }
            Work::Store(_) => {
                let from = self.source.layer(layer)?;
                let recipe = |quantizer: &Quantizer| recipe(*quantizer, self.params.grain(), &from);
                let recipes: Vec<Result<Recipe, Refusal>> = Quantizer::ALL.iter().map(recipe).collect();
                let base = self.source.rope().rotary().map(|rotary| rotary.base);
                let remembered = remembered(&from, self.context(), base, self.params.spared);
                let all = store(held_out, &remembered, &recipes, host).await;
                self.stored.push(all);
                self.refusals = recipes.into_iter().map(Result::err).collect();
            }
            Work::Sweep(_) => {
                let all = sweep(held_out, &knobs, host).await;
                self.swept.push(all);
            }
        }
        Ok(())
    }

    /// The head that the parameters ask for, or the last that there is.
    async fn look(&mut self, host: &Host) -> Result<(), LabError> {
        let layer = self.params.layer.min(self.source.layers()) - 1;
        let head = self.params.head.min(self.source.shape().key_heads) - 1;
        self.read(layer, host).await?;
        let from = self.source.layer(layer)?;
        let LayerShape { tokens, d_head, .. } = from.shape;
        let keys = &from.plain_keys.as_ref().unwrap_or(&from.keys)[head * tokens * d_head..][..tokens * d_head];
        let largest = keys.iter().fold(f32::MIN_POSITIVE, |most, key| most.max(key.abs()));
        let shown = |row: &[f32]| spread(d_head).map(|channel| row[channel] / largest).collect();
        let rows: Vec<&[f32]> = keys.chunks_exact(d_head).collect();
        self.looked = Looked {
            layer,
            head,
            keys: spread(tokens).map(|token| shown(rows[token])).collect(),
            largest,
            outlier: outlier(keys, d_head),
            scores: self.scores(layer, head),
        };
        Ok(())
    }

    fn scores(&self, layer: usize, head: usize) -> Vec<(&'static str, Vec<f32>)> {
        let (held_out, knobs) = (self.known(layer), self.params.knobs());
        let kept = self.params.kept(self.context());
        let row = |method: &Method| {
            let compression @ Compression { score, split, rest } = (method.make)(&knobs);
            let tells = !matches!(score, Score::Random { .. } | Score::Window | Score::StreamingLlm { .. });
            // One row for each score, whatever becomes of the rest.
            let plain = split == Split::Uniform && rest == Rest::Drop;
            (tells && plain && Needs::of_choice(&compression).met(held_out)).then(|| {
                let scores = score.of(&held_out.layer, kept).swap_remove(head);
                (method.name, shares(scores.candidates(), self.context()))
            })
        };
        METHODS.iter().filter_map(row).collect()
    }

    /// A row for each method, as lines of so many would lie on each other; a column for each share.
    fn shares_panel(&self) -> Panel {
        let context = self.context() as f64;
        let error = |index: usize, at: usize| {
            let errors = self.swept.iter().map(|layer| f64::from(layer[index * SHARES.len() + at]));
            mean(errors).filter(|error| error.is_finite())
        };
        // The smallest share comes first.
        let columns: Vec<usize> = (0..SHARES.len()).rev().collect();
        let row = |(index, method): (usize, &Method)| {
            let errors: Vec<f64> = columns.iter().filter_map(|&at| error(index, at)).collect();
            (errors.len() == columns.len()).then_some((method.name, errors))
        };
        let rows: Vec<(&str, Vec<f64>)> = METHODS.iter().enumerate().filter_map(row).collect();
        let mut x = Axis::new("share kept, and tokens", 0.0..columns.len() as f64);
        let tick = |(at, &column): (usize, &usize)| {
            let share = SHARES[column];
            (at as f64 + 0.5, format!("{} %, {:.0}", number(100.0 * share, 3), share * context))
        };
        x.ticks = columns.iter().enumerate().map(tick).collect();
        let mut y = Axis::new("", 0.0..rows.len().max(1) as f64);
        y.ticks = rows.iter().rev().enumerate().map(|(at, (name, _))| (at as f64 + 0.5, (*name).to_owned())).collect();
        let heat = Mark::Heat {
            name: CAPPED.to_owned(),
            signed: false,
            rows: rows.len(),
            columns: columns.len(),
            x: [0.0, columns.len() as f32],
            y: [0.0, rows.len() as f32],
            values: rows.iter().rev().flat_map(|(_, errors)| errors).map(|&error| error.min(1.0) as f32).collect(),
        };
        let least = rows.iter().min_by(|(_, a), (_, b)| a[0].total_cmp(&b[0]));
        let said = match (self.swept.len(), least) {
            (0, _) => "A row for each method, once the tables are done.".to_owned(),
            (_, None) => "What methods cost is not known: it needs queries.".to_owned(),
            (done, Some((name, errors))) => format!(
                "How far heads’ outputs over the last {} tokens are off: the mean of **{done}** of {} layers. The fainter, the better. With the fewest tokens **{name}** loses least, **{}**.",
                self.held(),
                self.source.layers(),
                number(errors[0], 2)
            ),
        };
        let marks = if rows.is_empty() { vec![] } else { vec![heat] };
        Panel::new("curves", "Keep more or less", said, 4, Body::Chart(Chart::new(x, y, marks)))
    }

    fn methods_panel(&self) -> Panel {
        let mut list = Vec::new();
        for (index, method) in METHODS.iter().enumerate() {
            let rows = column(&self.evicted, index);
            let heads = rows.clone().count() * self.source.shape().key_heads;
            if heads == 0 {
                continue;
            }
            let mut add = |key: &str, name: &str, value: f64| {
                list.push(Readout::new(format!("{key}_{}", method.key), method.name, method.ink, name, "", value));
            };
            if let Some(error) = mean(rows.clone().filter_map(Measured::error)) {
                add("error", "output error", error);
            }
            add("rows", "rows a head", rows.clone().map(|row| row.rows).sum::<usize>() as f64 / heads as f64);
            add("bytes", "bytes", rows.map(|row| row.bytes).sum::<usize>() as f64);
        }
        let (done, layers) = (self.evicted.len(), self.source.layers());
        let mut said = format!(
            "**{}** of {} tokens kept. **{done}** of {layers} layers. 16 bits a number, 4 bytes a position.",
            self.params.kept(self.context()),
            self.context()
        );
        said += &self.lacking();
        Panel::new("methods", "Fewer tokens", said, 6, Body::Readouts(list))
    }

    /// Which methods a file is too poor for.
    fn lacking(&self) -> String {
        let Some(held_out) = self.held_out.iter().flatten().next() else { return String::new() };
        let knobs = self.params.knobs();
        let names = |unmet: &dyn Fn(&crate::mech::kv_cache::Compression) -> bool| -> Vec<&str> {
            METHODS.iter().filter(|method| unmet(&(method.make)(&knobs))).map(|method| method.name).collect()
        };
        let choice = names(&|method| !Needs::of_choice(method).met(held_out));
        let mut said = String::new();
        if !choice.is_empty() {
            said += &format!(" {} go by attention and need “q” or “attn”, which the file lacks.", choice.join(", "));
        }
        if !held_out.knows_looks() {
            return said + " No error can be told without “q” or “attn”.";
        }
        let error = names(&|method| !Needs::of_error(method).met(held_out));
        if !error.is_empty() {
            said += &format!(" {} change keys: what that costs needs “q”.", error.join(", "));
        }
        said
    }

    fn quantizers_panel(&self) -> Panel {
        let LayerShape { key_heads, d_head, .. } = self.source.shape();
        let mut list = Vec::new();
        for (index, quantizer) in Quantizer::ALL.iter().enumerate() {
            let rows = column(&self.stored, index);
            let numbers = 2 * rows.clone().count() * key_heads * self.context() * d_head;
            if numbers == 0 {
                continue;
            }
            let key = quantizer.value().replace('-', "_");
            let mut add = |figure: &str, name: &str, value: Option<f64>| {
                let Some(value) = value else { return };
                let key = format!("{figure}_{key}");
                list.push(Readout::new(key, quantizer.label(), quantizer.ink(), name, "", value));
            };
            let bytes: usize = rows.clone().map(|row| row.bytes).sum();
            let positions: usize = rows.clone().map(|row| 4 * row.rows).sum();
            add("bits", "bits a number", Some(8.0 * (bytes - positions) as f64 / numbers as f64));
            add("key_error", "key error", mean(rows.clone().filter_map(|row| row.key_error).map(f64::from)));
            let squares = rows.clone().filter_map(|row| row.score_change).map(|change| f64::from(change * change));
            add("score_error", "score error", mean(squares).map(libm::sqrt));
            add("error", "output error", mean(rows.filter_map(Measured::error)));
            add("bytes", "bytes", Some(bytes as f64));
        }
        let mut said = format!(
            "{} bits. **{}** of {} layers. Bits with scales, zeros and what stays in 16; errors relative, of scores the root of the mean square before the softmax.",
            self.params.bits.label(),
            self.stored.len(),
            self.source.layers()
        );
        for (refusal, why) in [
            (
                Refusal::NotTurnedBack,
                "store keys before rotary positions, and the file does not say how its keys were turned: “rope”, “rope_base” and “rope_layout” in its “__metadata__” would.",
            ),
            (Refusal::NoRotation, "rotate heads, and no Walsh–Hadamard matrix is of their size."),
        ] {
            let left_out = Quantizer::ALL.iter().zip(&self.refusals).filter(|(_, why)| **why == Some(refusal));
            let names: Vec<&str> = left_out.map(|(quantizer, _)| quantizer.label()).collect();
            if !names.is_empty() {
                said += &format!(" Left out: {}. They {why}", names.join("; "));
            }
        }
        Panel::new("quantizers", "Fewer bits", said, 6, Body::Readouts(list))
    }

    /// Where the chosen method hurts.
    fn places_panel(&self, params: &OwnCacheParams) -> Panel {
        let index = place(params.method.value());
        let (layers, heads) = (self.source.layers(), self.source.shape().query_heads);
        let errors = |layer: usize| -> Vec<f32> {
            let known = self.evicted.get(layer).and_then(|all| all[index].as_ref()).map(|row| &row.errors);
            known.filter(|errors| !errors.is_empty()).cloned().unwrap_or_else(|| vec![0.0; heads])
        };
        let rows: Vec<Vec<f32>> = (0..layers).map(errors).collect();
        let flat = || rows.iter().flatten().copied();
        let known: Vec<f32> = flat().filter(|error| *error > 0.0).collect();
        let top = flat().fold(0.0_f32, f32::max);
        let mut y = Axis::new("layer", 0.0..layers as f64);
        y.ticks = counted(layers, 10, 0.5);
        let mut x = Axis::new("head of queries", 0.0..heads as f64);
        x.ticks = counted(heads, 12, 0.5);
        let heat = Mark::Heat {
            name: CAPPED.to_owned(),
            signed: false,
            rows: layers,
            columns: heads,
            x: [0.0, heads as f32],
            y: [0.0, layers as f32],
            values: flat().map(|error| error.min(1.0)).collect(),
        };
        let median = |mut errors: Vec<f32>| {
            errors.sort_by(f32::total_cmp);
            errors.get(errors.len() / 2).copied().unwrap_or_default()
        };
        let said = match known.is_empty() {
            true => format!("What **{}** costs each head is not known: it needs queries.", params.method.label()),
            false => format!(
                "**{}**: the median head is off by **{}**, the worst by **{}**.",
                params.method.label(),
                number(f64::from(median(known)), 2),
                number(f64::from(top), 2)
            ),
        };
        let chart = Chart::new(x, y, vec![heat]);
        Panel::new("places", "Where it hurts", said, 3, Body::Chart(chart)).edits("method")
    }

    fn sink_panel(&self) -> Panel {
        let layers = || self.sinks.iter().enumerate().map(|(layer, sink)| (layer as f32, sink));
        let dots = layers().flat_map(|(layer, sink)| sink.iter().map(move |share| [layer, *share]));
        let means = layers().filter_map(|(layer, sink)| Some([layer, mean(wide(sink.iter()))? as f32]));
        let marks = vec![
            Mark::Dots { name: "a head".to_owned(), ink: Ink::Data, points: dots.collect() },
            Mark::line("mean", Ink::Method, means),
        ];
        let mut said = match mean(wide(self.sinks.iter().flatten())) {
            None => "How much heads look at the first token is not known without “q” or “attn”.".to_owned(),
            Some(share) => format!(
                "The last tokens give the first one **{} %** of their attention, in the mean of {}.",
                number(100.0 * share, 3),
                things(self.sinks.len(), "layer")
            ),
        };
        if let Some(error) = self.headless() {
            said += &format!(" If it alone is lost, outputs are off by **{}**.", number(error, 3));
        }
        let layers = self.source.layers();
        let mut x = Axis::new("layer", -0.5..layers as f64 - 0.5);
        x.ticks = counted(layers, 10, 0.0);
        let chart = Chart::new(x, Axis::new("share of attention", 0.0..1.0), marks);
        Panel::new("sink", "The first token", said, 3, Body::Chart(chart))
    }

    /// What the loss of the first token alone costs.
    fn headless(&self) -> Option<f64> {
        mean(column(&self.evicted, METHODS.len()).filter_map(Measured::error))
    }

    fn keys_panel(&self) -> Panel {
        let Looked { layer, head, keys, largest, outlier, .. } = &self.looked;
        let LayerShape { tokens, d_head, .. } = self.source.shape();
        let heat = Mark::Heat {
            name: format!("of the largest, {}", number(f64::from(*largest), 3)),
            signed: true,
            rows: keys.len(),
            columns: keys.first().map_or(0, Vec::len),
            x: [0.0, d_head as f32],
            y: [0.0, tokens as f32],
            values: keys.iter().rev().flatten().copied().collect(),
        };
        let mut y = Axis::new("token", 0.0..tokens as f64);
        y.ticks = [0, tokens / 2, tokens - 1].map(|at| (tokens as f64 - at as f64 - 0.5, at.to_string())).to_vec();
        let state =
            if self.source.rope().rotary().is_some() { "before rotary positions" } else { "as attention reads them" };
        let said = format!(
            "Keys of head {}, {state}. The strongest channel is **{}** times the median one. Stripes are what quantizers stumble over.",
            head_name(*layer, *head),
            number(*outlier, 2)
        );
        let chart = Chart::new(Axis::new("channel", 0.0..d_head as f64), y, vec![heat]);
        Panel::new("keys", "Keys", said, 3, Body::Chart(chart))
    }

    fn scores_panel(&self) -> Panel {
        let Looked { layer, head, scores, .. } = &self.looked;
        let context = self.context();
        let rows = scores.len();
        let mut y = Axis::new("", 0.0..rows.max(1) as f64);
        y.ticks =
            scores.iter().rev().enumerate().map(|(at, (name, _))| (at as f64 + 0.5, (*name).to_owned())).collect();
        let heat = Mark::Heat {
            name: "lowest to highest, square root".to_owned(),
            signed: false,
            rows,
            columns: scores.first().map_or(0, |(_, row)| row.len()),
            x: [0.0, context as f32],
            y: [0.0, rows as f32],
            values: scores.iter().rev().flat_map(|(_, row)| row).copied().collect(),
        };
        let said = format!(
            "What each score thinks of the context’s tokens, in head {}, from its lowest to its highest. A token that is kept whatever it is worth counts as the highest.",
            head_name(*layer, *head)
        );
        let chart = Chart::new(Axis::new("token", 0.0..context as f64), y, vec![heat]);
        Panel::new("scores", "What a token is worth", said, 3, Body::Chart(chart))
    }

    fn numbers_panel(&self) -> Panel {
        let mut list = Vec::new();
        let mut add = |key: &str, of: &str, name: &str, value: Option<f64>| {
            list.extend(value.map(|value| Readout::new(key, of, Ink::Data, name, "", value)));
        };
        add("layers_done", "layers", "in the tables", Some(self.evicted.len() as f64));
        let sinks = || wide(self.sinks.iter().flatten());
        add("sink", "attention to the first token", "mean", mean(sinks()));
        let strong = mean(sinks().map(|share| f64::from(u8::from(share > 0.5))));
        add("sink_heads", "heads that give it more than half", "share", strong);
        add("error_first", "the first token alone lost", "output error", self.headless());
        add("outlier", "strongest channel of the shown keys", "in the median’s", Some(self.looked.outlier));
        let said = "The rest in numbers, as far as the layers are read.";
        Panel::new("numbers", "In numbers", said, 6, Body::Readouts(list))
    }
}

/// What one method costs in each layer that is done.
fn column(all: &[Vec<Option<Measured>>], index: usize) -> impl Iterator<Item = &Measured> + Clone {
    all.iter().filter_map(move |layer| layer[index].as_ref())
}

/// At most [`MOST_CELLS`] of so many, evenly chosen.
fn spread(count: usize) -> impl Iterator<Item = usize> {
    let shown = count.min(MOST_CELLS);
    (0..shown).map(move |at| at * count / shown)
}

/// How large the strongest channel of some rows is on average, in those of the median channel.
fn outlier(rows: &[f32], d_head: usize) -> f64 {
    let mut means = vec![0.0; d_head];
    for row in rows.chunks_exact(d_head) {
        means.iter_mut().zip(row).for_each(|(sum, number)| *sum += f64::from(number.abs()));
    }
    means.sort_by(f64::total_cmp);
    let median = means[d_head / 2];
    if median > 0.0 { means[d_head - 1] / median } else { 1.0 }
}

/// Square roots of how far scores are on the way from the lowest to the highest, the highest of each cell; what is kept
/// whatever it is worth counts as one.
fn shares(scores: &[f64], tokens: usize) -> Vec<f32> {
    let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let span = scores.iter().map(|score| score - least).fold(f64::MIN_POSITIVE, f64::max);
    let share = |token: usize| scores.get(token).map_or(1.0, |score| libm::sqrt((score - least) / span) as f32);
    let starts: Vec<usize> = spread(tokens).chain([tokens]).collect();
    starts.windows(2).map(|cell| (cell[0]..cell[1]).map(share).fold(0.0, f32::max)).collect()
}

fn wide<'a>(numbers: impl Iterator<Item = &'a f32>) -> impl Iterator<Item = f64> {
    numbers.map(|&number| f64::from(number))
}

fn saved(all: &[Vec<Option<Measured>>]) -> Vec<Vec<f32>> {
    all.iter().flatten().map(|row| row.as_ref().map(Measured::numbers).unwrap_or_default()).collect()
}

fn loaded(numbers: &[Vec<f32>], each: usize) -> Vec<Vec<Option<Measured>>> {
    numbers.chunks_exact(each).map(|layer| layer.iter().map(|row| Measured::load(row)).collect()).collect()
}

impl Lab for KvCacheOwn {
    const CARD: Card = Card {
        slug: "kv-cache-own",
        title: "Your own cache",
        hook: "What would all this do to the cache of your model?",
        page: PAGE,
        papers: &[EMS, ROTATE_KV],
        chance: true,
        presets: &[
            // None of them lets go of the reader's file.
            Preset { label: "A quarter, two bits", query: "&keep=0.25&bits=2&clip=0.8" },
            Preset { label: "Half, four bits", query: "&keep=0.5&bits=4&clip=1" },
            Preset { label: "A tenth", query: "&keep=0.1" },
            Preset { label: "Without the first tokens", query: "&method=window" },
        ],
        experiments: &[],
        batches: &[],
    };
    type Params = OwnCacheParams;

    async fn start(params: &OwnCacheParams, host: &Host) -> Result<Self, LabError> {
        let source = CacheSource::open(&params.file, params.seed, host).await?;
        let mut lab = Self {
            params: params.clone(),
            held_out: (0..source.layers()).map(|_| None).collect(),
            source,
            looked: Looked::default(),
            step: 0,
            evicted: vec![],
            stored: vec![],
            swept: vec![],
            sinks: vec![],
            refusals: vec![],
        };
        lab.work(Work::Evict(0), host).await?;
        lab.work(Work::Store(0), host).await?;
        lab.look(host).await?;
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        if let Some(work) = self.next() {
            self.work(work, host).await?;
            self.step += 1;
        }
        Ok(if self.next().is_some() { Status::Running } else { Status::Idle })
    }

    async fn change(&mut self, params: &OwnCacheParams, host: &Host) -> Result<(), LabError> {
        let was = std::mem::replace(&mut self.params, params.clone());
        let [kept_before, kept] = [&was, params].map(|params| params.kept(self.context()));
        let evicts_alike = was.knobs() == params.knobs();
        if !evicts_alike {
            self.swept.clear();
        }
        if !evicts_alike || kept_before != kept {
            self.evicted.clear();
            self.work(Work::Evict(0), host).await?;
        }
        if was.grain() != params.grain() || was.spared != params.spared {
            self.stored.clear();
            self.work(Work::Store(0), host).await?;
        }
        self.look(host).await
    }

    fn frame(&self, params: &OwnCacheParams) -> Frame {
        let panels = vec![
            self.shares_panel(),
            self.source.panel(self.held()),
            self.methods_panel(),
            self.quantizers_panel(),
            self.places_panel(params),
            self.sink_panel(),
            self.keys_panel(),
            self.scores_panel(),
            self.numbers_panel(),
        ];
        Frame { step: self.step, of: None, panels, offers: Vec::new() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.step);
        state.put("evicted", saved(&self.evicted));
        state.put("stored", saved(&self.stored));
        state.put("swept", self.swept.clone());
        state.put("sinks", self.sinks.clone());
        Ok(state)
    }

    async fn restore(&mut self, state: &State, host: &Host) -> Result<(), LabError> {
        self.step = state.step;
        self.evicted = loaded(state.get("evicted")?, METHODS.len() + 1);
        self.stored = loaded(state.get("stored")?, Quantizer::ALL.len());
        self.swept = state.get("swept")?.to_vec();
        self.sinks = state.get("sinks")?.to_vec();
        self.look(host).await
    }
}
