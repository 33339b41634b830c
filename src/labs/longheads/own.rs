//! Bring your own heads: which chunks a real model's heads would pick, and how much of what they look at lies in them.

use super::ways::{LEAST_CHUNKS, Sizes, Way};
use super::{PAGE, PAPER};
use crate::chart::{Axis, Chart, Ink, Mark};
use crate::lab::params::FileName;
use crate::lab::{Body, Card, Frame, Host, Lab, LabError, Panel, Preset, Readout, State, Status};
use crate::labs::cache_source::CacheSource;
use crate::labs::house_figures::{counted, head_name, things};
use crate::mech::cache_file::MOST_BYTES;
use crate::mech::kv_cache::LayerShape;
use crate::mech::long_context::{HeadShape, Layer, Look, Phase};
use crate::mech::ops::Rotation;
use crate::{choices, params};

/// Tokens between two chances for the world to speak.
const STRIDE: usize = 32;
/// Cells of a map, either way.
const MOST_CELLS: usize = 128;

choices! {
    pub enum Picks {
        LongHeads = "longheads", "LongHeads";
        MeanKey = "mean-key", "mean key (ours)";
        Random = "random", "random chunks";
        Window = "window", "window";
        Sinks = "sinks", "sinks + window";
    }
}

impl Picks {
    fn way(self) -> Way {
        match self {
            Self::LongHeads => Way::LongHeads,
            Self::MeanKey => Way::MeanKey,
            Self::Random => Way::Random,
            Self::Window => Way::Window,
            Self::Sinks => Way::Sinks,
        }
    }

    fn ink(self) -> Ink {
        match self {
            Self::LongHeads => Ink::Method,
            Self::MeanKey => Ink::Baseline2,
            Self::Window => Ink::Baseline,
            Self::Random | Self::Sinks => Ink::Muted,
        }
    }

    fn key(self) -> String {
        self.way().key()
    }
}

params! {
    pub struct OwnHeadsParams {
        /// A safetensors file with “k”, “v” and “q”, and how they are turned; it stays in this tab. The link holds its name alone.
        file: FileName = file("Your cache", MOST_BYTES, ".safetensors"),
        /// Tokens of a chunk.
        width: usize = int("Chunk", 8, 2..=64).symbol("w").live(),
        /// Chunks that each head looks at.
        chunks: usize = int("Chunks kept", 6, LEAST_CHUNKS as i64..=64).symbol("k").live(),
        /// Whose picks are shown head by head.
        method: Picks = choice("Shown", Picks::LongHeads.value(), Picks::OPTIONS).view(),
        /// The layer that is looked into, from below.
        layer: usize = int("Layer", 1, 1..=128).view(),
        /// The head of queries that is looked into.
        head: usize = int("Head", 1, 1..=128).view(),
        /// Last tokens whose attention is measured.
        tokens: usize = int("Tokens measured", 32, 4..=128).live().more(),
    }
}

/// What one layer's heads look at, and what each way to pick would leave of it.
#[derive(Clone, Debug, Default)]
struct LayerPicks {
    /// Share of the attention that lies in what is seen, `[ways][heads]`: the mean of the tokens measured. Last of all,
    /// that of the chunks that hold most of it.
    shares: Vec<Vec<f32>>,
}

/// One head, token by token.
#[derive(Clone, Debug, Default)]
struct Looked {
    layer: usize,
    head: usize,
    /// Share of attention on each chunk, `[tokens measured][chunks]`.
    masses: Vec<Vec<f32>>,
    /// Whether each way sees each chunk, `[ways][tokens measured][chunks]`.
    seen: Vec<Vec<Vec<f32>>>,
}

pub struct LongHeadsOwn {
    params: OwnHeadsParams,
    source: CacheSource,
    /// What the file lacks, if nothing can be told.
    lacks: Option<String>,
    layers: Vec<LayerPicks>,
    looked: Looked,
}

/// Queries, keys and values of a layer, token by token and none of them turned: what a [`Layer`] reads.
struct Told {
    shape: HeadShape,
    base: f64,
    /// `[tokens][heads * d_head]`, and twice `[tokens][key_heads * d_head]`.
    rows: [Vec<f32>; 3],
}

impl LongHeadsOwn {
    /// Layers that were measured since the first, which is there from the start.
    fn steps(&self) -> u64 {
        self.layers.len().saturating_sub(1) as u64
    }

    /// Tokens that are measured: never more than half.
    fn measured(&self) -> usize {
        self.params.tokens.min(self.source.shape().tokens / 2)
    }

    fn sizes(&self) -> Sizes {
        let OwnHeadsParams { width, chunks, seed, .. } = self.params;
        Sizes { width, chunks, own_token: true, seed }
    }

    /// What to do about a file that tells too little.
    fn lacking(&self) -> String {
        let has_queries = match &self.source {
            CacheSource::File(file) => file.has_queries(),
            CacheSource::House { .. } => true,
        };
        let queries = (!has_queries).then_some("has no “q”, and attention alone (“attn”) does not help here");
        let turned = self.source.rope().rotary().is_none().then_some(
            "does not say how its rows are turned (“rope”, “rope_base” and “rope_layout” in its “__metadata__”)",
        );
        let lacks: Vec<&str> = [queries, turned].into_iter().flatten().collect();
        format!(
            "Chunks are chosen by queries, before rotary positions. This file {}. The script that saves all of it stands on the KV-cache page, to which the text below leads.",
            lacks.join(", and it ")
        )
    }

    fn told(&self, layer: usize) -> Result<Option<Told>, LabError> {
        let from = self.source.layer(layer)?;
        let LayerShape { query_heads, key_heads, tokens, d_head } = from.shape;
        let (Some(rotary), Some(keys), Some(mut queries)) =
            (self.source.rope().rotary(), from.plain_keys, from.queries)
        else {
            return Ok(None);
        };
        Rotation::new(0..tokens, d_head, rotary.base).back().turn(&mut queries, 1);
        let by_token = |rows: &[f32], heads: usize| -> Vec<f32> {
            let of =
                |token: usize| (0..heads).flat_map(move |head| &rows[(head * tokens + token) * d_head..][..d_head]);
            (0..tokens).flat_map(of).copied().collect()
        };
        let rows = [by_token(&queries, query_heads), by_token(&keys, key_heads), by_token(&from.values, key_heads)];
        Ok(Some(Told { shape: HeadShape { heads: query_heads, key_heads, d_head }, base: rotary.base, rows }))
    }

    /// Reads a layer in every way at once; `tell` gets each measured token and head, its full attention chunk by chunk,
    /// and whether each way sees each chunk.
    async fn read(
        &self,
        index: usize,
        told: &Told,
        host: &Host,
        mut tell: impl FnMut(usize, usize, &[f32], &[Vec<bool>], &[f32]),
    ) {
        let (tokens, width) = (self.source.shape().tokens, self.params.width);
        let &Told { shape, base, .. } = told;
        let ways = [Way::Full].into_iter().chain(Picks::ALL.iter().map(|picks| picks.way()));
        let begin = |way: Way| Layer::new(way.unbounded(&self.sizes()), index, shape, base, tokens);
        let mut layers: Vec<Layer> = ways.map(begin).collect();
        let first = tokens - self.measured();
        let chunks = tokens.div_ceil(width);
        for token in 0..tokens {
            let sizes = [shape.heads, shape.key_heads, shape.key_heads].map(|heads| heads * shape.d_head);
            let row: [&[f32]; 3] = std::array::from_fn(|part| &told.rows[part][token * sizes[part]..][..sizes[part]]);
            let mut full: Vec<Vec<f32>> = vec![vec![]; shape.heads];
            let mut looks: Vec<Vec<Look>> = vec![vec![]; shape.heads];
            for (way, layer) in layers.iter_mut().enumerate() {
                layer.read(Phase::Encode, row, |head, look, weights| {
                    if token >= first && way == 0 {
                        full[head] = weights.to_vec();
                    } else if token >= first {
                        looks[head].push(look.clone());
                    }
                });
            }
            for head in 0..if token >= first { shape.heads } else { 0 } {
                let mut masses = vec![0.0; chunks];
                full[head].iter().enumerate().for_each(|(at, weight)| masses[at / width] += weight);
                let seen = |look: &Look| {
                    let mut seen = vec![false; chunks];
                    look.tokens().for_each(|at| seen[at / width] = true);
                    seen
                };
                let shares: Vec<f32> =
                    looks[head].iter().map(|look| look.tokens().map(|at| full[head][at]).sum()).collect();
                let seen: Vec<Vec<bool>> = looks[head].iter().map(seen).collect();
                tell(token - first, head, &masses, &seen, &shares);
            }
            if token % STRIDE == 0 {
                host.breathe().await;
            }
        }
    }

    async fn measure(&mut self, layer: usize, host: &Host) -> Result<(), LabError> {
        let Some(told) = self.told(layer)? else {
            self.lacks = Some(self.lacking());
            return Ok(());
        };
        let measured = self.measured() as f32;
        let mut shares = vec![vec![0.0; told.shape.heads]; Picks::ALL.len() + 1];
        let kept = self.sizes().chunks;
        self.read(layer, &told, host, |_, head, masses, _, of_ways| {
            let mut sorted = masses.to_vec();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let best: f32 = sorted.iter().take(kept).sum();
            for (sum, share) in shares.iter_mut().zip(of_ways.iter().chain([&best])) {
                sum[head] += share / measured;
            }
        })
        .await;
        self.layers.push(LayerPicks { shares });
        Ok(())
    }

    /// The head that the parameters ask for, or the last that there is.
    async fn look(&mut self, host: &Host) -> Result<(), LabError> {
        let layer = self.params.layer.min(self.source.layers()) - 1;
        let head = self.params.head.min(self.source.shape().query_heads) - 1;
        let Some(told) = self.told(layer)? else { return Ok(()) };
        // One head of queries with its keys is enough.
        let group = told.shape.heads / told.shape.key_heads;
        let told = told.only(head, head / group);
        let mut looked = Looked { layer, head, masses: vec![], seen: vec![vec![]; Picks::ALL.len()] };
        self.read(layer, &told, host, |_, _, masses, seen, _| {
            looked.masses.push(masses.to_vec());
            for (rows, seen) in looked.seen.iter_mut().zip(seen) {
                rows.push(seen.iter().map(|&seen| f32::from(seen)).collect());
            }
        })
        .await;
        self.looked = looked;
        Ok(())
    }

    fn mean(&self, way: usize) -> Option<f64> {
        let shares = self.layers.iter().flat_map(|layer| &layer.shares[way]).map(|&share| f64::from(share));
        let (sum, count) = shares.fold((0.0, 0), |(sum, count), share| (sum + share, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// Its attention is spread over so many tokens, of which a head sees so many.
    fn sight(&self) -> String {
        let (sizes, tokens) = (self.sizes(), self.source.shape().tokens);
        format!("{} of {tokens} tokens", (sizes.chunks * sizes.width).min(tokens))
    }

    fn shares_panel(&self) -> Panel {
        let layers = self.source.layers();
        let line = |way: usize, name: &str, ink: Ink| {
            let point = |(layer, picks): (usize, &LayerPicks)| {
                let shares = &picks.shares[way];
                [layer as f32, shares.iter().sum::<f32>() / shares.len() as f32]
            };
            Mark::line(name, ink, self.layers.iter().enumerate().map(point))
        };
        let mut marks = vec![line(Picks::ALL.len(), "the chunks with most", Ink::Truth)];
        marks.extend(Picks::ALL.iter().enumerate().rev().map(|(way, picks)| line(way, picks.label(), picks.ink())));
        let mut x = Axis::new("layer", -0.5..layers as f64 - 0.5);
        x.ticks = counted(layers, 10, 0.0);
        let said = match (&self.lacks, self.mean(0), self.mean(Picks::ALL.len())) {
            (Some(lacks), ..) => lacks.clone(),
            (None, Some(share), Some(best)) => format!(
                "Share of full attention that lies in what a head would see, {}: **{{method|{:.0} %}}** in the mean of {} of {layers}, where **{{truth|{:.0} %}}** would be the most for so many chunks.",
                self.sight(),
                100.0 * share,
                things(self.layers.len(), "layer"),
                100.0 * best
            ),
            _ => "A line for each way to pick, layer by layer.".to_owned(),
        };
        let chart = Chart::new(x, Axis::new("share of attention seen", 0.0..1.0), marks);
        Panel::new("shares", "How much is seen", said, 4, Body::Chart(chart))
    }

    /// Where the shown way sees little.
    fn places_panel(&self, params: &OwnHeadsParams) -> Panel {
        let (layers, heads) = (self.source.layers(), self.source.shape().query_heads);
        let way = params.method as usize;
        let values: Vec<f32> = self.layers.iter().flat_map(|layer| layer.shares[way].clone()).collect();
        let done = self.layers.len();
        let mut y = Axis::new("layer", 0.5..layers as f64 + 0.5);
        y.ticks = counted(layers, 10, 1.0);
        let mut x = Axis::new("head of queries", 0.5..heads as f64 + 0.5);
        x.ticks = counted(heads, 12, 1.0);
        let least = values.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        let said = match least {
            Some((_, share)) if *share > 0.995 => {
                format!("**{}**: every head would see all that it looks at.", params.method.label())
            }
            Some((at, share)) => format!(
                "**{}**: the head that loses most is **{}**, which would see **{:.0} %** of what it looks at.",
                params.method.label(),
                head_name(at / heads, at % heads),
                100.0 * share
            ),
            None => self.nothing(),
        };
        let heat = Mark::Heat {
            name: "share of attention seen".to_owned(),
            signed: false,
            rows: done,
            columns: heads,
            x: [0.5, heads as f32 + 0.5],
            y: [0.5, done as f32 + 0.5],
            values,
        };
        let marks = if done > 0 { vec![heat] } else { vec![] };
        Panel::new("places", "Head by head", said, 2, Body::Chart(Chart::new(x, y, marks)))
    }

    /// Of a figure that has nothing to show.
    fn nothing(&self) -> String {
        match self.lacks {
            Some(_) => "Nothing can be shown: Fig. 1 says what the file lacks.".to_owned(),
            None => "Filled in layer by layer.".to_owned(),
        }
    }

    /// A map of one head: tokens by chunks.
    fn head_map(&self, id: &str, title: &str, said: String, name: &str, rows: &[Vec<f32>]) -> Panel {
        let chunks = rows.first().map_or(0, Vec::len);
        // Where there are more than can be drawn, the strongest of neighbors stands for them.
        let cells = chunks.clamp(1, MOST_CELLS);
        let shown = |row: &Vec<f32>| -> Vec<f32> {
            let cell = |cell: usize| {
                row[cell * chunks / cells..((cell + 1) * chunks / cells).max(cell * chunks / cells + 1)].iter()
            };
            (0..cells).map(|at| cell(at).copied().fold(0.0, f32::max)).collect()
        };
        let first = self.source.shape().tokens - self.measured();
        let heat = Mark::Heat {
            name: name.to_owned(),
            signed: false,
            rows: rows.len(),
            columns: cells,
            x: [-0.5, chunks as f32 - 0.5],
            y: [first as f32 - 0.5, (first + rows.len()) as f32 - 0.5],
            values: rows.iter().flat_map(shown).collect(),
        };
        let tokens = self.source.shape().tokens;
        let y = Axis::new("token that looks", first as f64 - 0.5..tokens as f64 - 0.5);
        let x = Axis::new("chunk", -0.5..tokens.div_ceil(self.params.width) as f64 - 0.5);
        let marks = if rows.is_empty() { vec![] } else { vec![heat] };
        let said = if rows.is_empty() { self.nothing() } else { said };
        Panel::new(id, title, said, 3, Body::Chart(Chart::new(x, y, marks)))
    }

    fn mass_panel(&self) -> Panel {
        let Looked { layer, head, masses, .. } = &self.looked;
        let rooted: Vec<Vec<f32>> = masses.iter().map(|row| row.iter().map(|mass| mass.sqrt()).collect()).collect();
        let name = head_name(*layer, *head);
        let mut said = format!("Head {name}, with full attention: the square root of what lies on each chunk.");
        if (layer + 1, head + 1) != (self.params.layer, self.params.head) {
            let (layers, heads) = (self.source.layers(), self.source.shape().query_heads);
            said = format!(
                "There is no head {}.{}: of **{layers}** layers with **{heads}** heads each, {name} is shown. {said}",
                self.params.layer, self.params.head
            );
        }
        self.head_map("mass", "What it looks at", said, "square root of the share", &rooted)
    }

    fn picks_panel(&self, params: &OwnHeadsParams) -> Panel {
        let Looked { layer, head, masses, seen } = &self.looked;
        let way = params.method as usize;
        let rows = seen.get(way).map_or(&[][..], Vec::as_slice);
        let share = masses
            .iter()
            .zip(rows)
            .map(|(masses, seen)| masses.iter().zip(seen).map(|(mass, seen)| mass * seen).sum::<f32>());
        let share = share.sum::<f32>() / rows.len().max(1) as f32;
        let said = format!(
            "Head {}: the chunks that it would see by **{}**. They hold **{{method|{:.0} %}}** of its attention.",
            head_name(*layer, *head),
            params.method.label(),
            100.0 * share
        );
        self.head_map("picks", "What it would see", said, "seen", rows)
    }

    fn readouts_panel(&self) -> Panel {
        let mut list = vec![];
        let ways = Picks::ALL.iter().map(|picks| (picks.key(), picks.label(), picks.ink()));
        let all = ways.chain([("best".to_owned(), "the chunks with most", Ink::Truth)]);
        for (way, (key, name, ink)) in all.enumerate() {
            let Some(mean) = self.mean(way) else { continue };
            let shares = self.layers.iter().flat_map(|layer| &layer.shares[way]);
            let least = shares.fold(f32::INFINITY, |least, share| least.min(*share));
            list.push(Readout::new(format!("share_{key}"), name, ink, "attention seen, mean", "", mean));
            list.push(Readout::new(format!("least_{key}"), name, ink, "least of a head", "", f64::from(least)));
        }
        let said = format!(
            "{} of {}, the last **{}** tokens{}. Every way sees {}.",
            things(self.layers.len(), "layer"),
            self.source.layers(),
            self.measured(),
            if self.measured() < self.params.tokens { ", no more than half of them" } else { "" },
            self.sight()
        );
        let said = if self.lacks.is_some() { self.nothing() } else { said };
        Panel::new("readouts", "In numbers", said, 6, Body::Readouts(list))
    }
}

impl Told {
    /// One head of queries with its head of keys.
    fn only(&self, head: usize, key_head: usize) -> Self {
        let HeadShape { heads, key_heads, d_head } = self.shape;
        let part = |rows: &[f32], heads: usize, head: usize| -> Vec<f32> {
            rows.chunks_exact(d_head).skip(head).step_by(heads).flatten().copied().collect()
        };
        let [queries, keys, values] = &self.rows;
        let rows = [part(queries, heads, head), part(keys, key_heads, key_head), part(values, key_heads, key_head)];
        Self { shape: HeadShape { heads: 1, key_heads: 1, d_head }, base: self.base, rows }
    }
}

impl Lab for LongHeadsOwn {
    const CARD: Card = Card {
        slug: "longheads-own",
        title: "Your own heads",
        hook: "Which chunks would the heads of your model pick?",
        page: PAGE,
        papers: &[PAPER],
        chance: true,
        presets: &[
            // None of them lets go of the reader's file.
            Preset { label: "6 chunks of 8", query: "&width=8&chunks=6" },
            Preset { label: "12 of 4", query: "&width=4&chunks=12" },
            Preset { label: "3 of 16: none chosen", query: "&width=16&chunks=3" },
        ],
        experiments: &[],
        batches: &[],
    };
    type Params = OwnHeadsParams;

    async fn start(params: &OwnHeadsParams, host: &Host) -> Result<Self, LabError> {
        let source = CacheSource::open(&params.file, params.seed, host).await?;
        let mut lab = Self { params: params.clone(), source, lacks: None, layers: vec![], looked: Looked::default() };
        lab.measure(0, host).await?;
        lab.look(host).await?;
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        if self.lacks.is_none() && self.layers.len() < self.source.layers() {
            self.measure(self.layers.len(), host).await?;
        }
        let done = self.lacks.is_some() || self.layers.len() == self.source.layers();
        Ok(if done { Status::Idle } else { Status::Running })
    }

    async fn change(&mut self, params: &OwnHeadsParams, host: &Host) -> Result<(), LabError> {
        let was = std::mem::replace(&mut self.params, params.clone());
        let of = |params: &OwnHeadsParams| (params.width, params.chunks, params.tokens);
        if of(&was) != of(params) {
            self.layers.clear();
            self.measure(0, host).await?;
        }
        self.look(host).await
    }

    fn frame(&self, params: &OwnHeadsParams) -> Frame {
        let panels = vec![
            self.shares_panel(),
            self.source.panel(self.measured()),
            self.mass_panel(),
            self.picks_panel(params),
            self.places_panel(params),
            self.readouts_panel(),
        ];
        Frame { step: self.steps(), of: None, panels, offers: Vec::new() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.steps());
        state.put("shares", self.layers.iter().flat_map(|layer| layer.shares.clone()).collect());
        Ok(state)
    }

    async fn restore(&mut self, state: &State, host: &Host) -> Result<(), LabError> {
        let picks = |shares: &[Vec<f32>]| LayerPicks { shares: shares.to_vec() };
        self.layers = state.get("shares")?.chunks_exact(Picks::ALL.len() + 1).map(picks).collect();
        self.look(host).await
    }
}
