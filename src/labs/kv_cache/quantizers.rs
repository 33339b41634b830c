//! The quantizers side by side, and what of a prompt they store.

use super::passage::Reader;
use crate::chart::Ink;
use crate::choices;
use crate::lab::{Host, LabError};
use crate::labs::house_model::ModelChoice;
use crate::mech::house_transformer::{LayerReading, PromptReading};
use crate::mech::kv_cache::{Cache, Compressed, Head, LayerShape};
use crate::mech::ops::Rotation;
use crate::mech::quantizer::{
    Bytes, HeadRows, Kivi, Layer, Method, PerToken, Quantized, Recipe, Rung, add_channel_sums, outlier_pairs, quantize,
    sinks,
};
use crate::mech::recall_language::{Mixture, RecallLanguage};
use crate::seed::Stream;

/// Texts that the order of channels is calibrated on, and their tokens. They are drawn apart from all that is tested.
const CALIBRATION_TEXTS: u64 = 32;
const CALIBRATION_TOKENS: usize = 120;
/// KIVI's tokens that share levels, and those that wait in 16 bits; the paper has 32 and 128.
const KIVI_TOKENS: usize = 32;
const KIVI_WINDOW: usize = 16;

/// The largest numbers that come into a layer, whose tokens are taken for sinks; the paper has 20.
pub const SPARED: usize = 5;

choices! {
    /// In the order of their tables: the rivals, then RotateKV's parts, each with all that stand before it.
    pub enum Quantizer {
        Full = "full", "16 bits";
        RtnToken = "rtn", "RTN, a token in one group";
        RtnHead = "rtn-head", "RTN, a group for each head";
        Kivi = "kivi", "KIVI";
        QuaRot = "quarot", "QuaRot";
        Plain = "plain", "before rotary positions";
        Rotated = "rotated", "+ all heads rotated together";
        SmallGroups = "groups", "+ small groups";
        Sorted = "sorted", "+ channels sorted";
        Clipped = "clipped", "+ clipped";
        RotateKv = "rotatekv", "+ sinks spared: RotateKV";
    }
}

choices! {
    pub enum Bits {
        Two = "2", "2";
        Three = "3", "3";
        Four = "4", "4";
        Eight = "8", "8";
    }
}

choices! {
    pub enum Group {
        Sixteen = "16", "16";
        ThirtyTwo = "32", "32";
        SixtyFour = "64", "64";
    }
}

impl Bits {
    pub const fn count(self) -> u32 {
        match self {
            Self::Two => 2,
            Self::Three => 3,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
}

impl Group {
    pub const fn channels(self) -> usize {
        match self {
            Self::Sixteen => 16,
            Self::ThirtyTwo => 32,
            Self::SixtyFour => 64,
        }
    }
}

/// What a reader sets for all quantizers at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grain {
    pub bits: u32,
    /// Channels of a group of keys, from small groups on.
    pub group: usize,
    /// Share of a group's range that its levels span, from clipping on.
    pub clip: f32,
}

impl Quantizer {
    pub fn recipe(self, Grain { bits, group, clip }: Grain, shape: LayerShape) -> Recipe {
        let LayerShape { key_heads, d_head, .. } = shape;
        let width = key_heads * d_head;
        let rotate_kv = PerToken { clip, ..PerToken::rotate_kv(key_heads, group, bits) };
        let method = match self {
            Self::Full | Self::RtnToken => PerToken::round_to_nearest(width),
            Self::RtnHead => PerToken::round_to_nearest(d_head),
            Self::Kivi => {
                let kivi = Kivi { tokens: KIVI_TOKENS, channels: d_head, window: KIVI_WINDOW };
                return Recipe { bits, method: Method::Kivi(kivi) };
            }
            Self::QuaRot => PerToken::quarot(width),
            Self::Plain => rotate_kv.up_to(Rung::Plain, width),
            Self::Rotated => rotate_kv.up_to(Rung::Rotated, width),
            Self::SmallGroups => rotate_kv.up_to(Rung::SmallGroups, width),
            Self::Sorted => rotate_kv.up_to(Rung::Sorted, width),
            Self::Clipped => rotate_kv.up_to(Rung::Clipped, width),
            Self::RotateKv => rotate_kv,
        };
        Recipe { bits: if self == Self::Full { 16 } else { bits }, method: Method::PerToken(method) }
    }

    /// A name that fits under a column.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Full => "16 bits",
            Self::RtnToken => "RTN",
            Self::RtnHead => "by head",
            Self::Kivi => "KIVI",
            Self::QuaRot => "QuaRot",
            Self::Plain => "plain",
            Self::Rotated => "rotate",
            Self::SmallGroups => "group",
            Self::Sorted => "sort",
            Self::Clipped => "clip",
            Self::RotateKv => "spare",
        }
    }

    pub const fn ink(self) -> Ink {
        match self {
            Self::Full => Ink::Truth,
            Self::RtnToken => Ink::Baseline,
            Self::Kivi => Ink::Baseline2,
            Self::RotateKv => Ink::Method,
            _ => Ink::Muted,
        }
    }
}

/// Outliers on purpose: a pair of channels in each layer and head of keys, and how much larger it is made.
#[derive(Clone, Debug, PartialEq)]
struct Outliers {
    pairs: Vec<Vec<usize>>,
    severity: f32,
}

impl Outliers {
    /// In this pair of every head; without one, in pairs that the seed draws.
    fn new(seed: u64, pair: Option<usize>, severity: f64, reader: &Reader) -> Self {
        let config = reader.config();
        let drawn = |layer| match pair {
            Some(pair) => vec![pair; config.key_heads],
            None => outlier_pairs(seed, layer, config.key_heads, config.d_head),
        };
        Self { pairs: (0..config.layers).map(drawn).collect(), severity: severity as f32 }
    }
}

/// A shipped model whose keys have outliers, and what quantizers know of it beforehand.
pub struct Model {
    seed: u64,
    /// As it was trained.
    pub original: Reader,
    /// Of the original: sums of the channels of calibration keys, `[layers][width]`.
    sums: Vec<Vec<f64>>,
    pub reader: Reader,
    outliers: Outliers,
}

impl Model {
    /// # Errors
    ///
    /// When the file of the model cannot be read.
    pub async fn open(
        choice: ModelChoice,
        seed: u64,
        pair: Option<usize>,
        severity: f64,
        host: &Host,
    ) -> Result<Self, LabError> {
        let mut original = Reader::open(choice, seed, host).await?;
        let sums = calibrate(&mut original, seed, host).await;
        let outliers = Outliers::new(seed, pair, severity, &original);
        let reader = original.exaggerated(&outliers.pairs, outliers.severity);
        Ok(Self { seed, original, sums, reader, outliers })
    }

    /// Gives the keys other outliers. Says whether they are others.
    pub fn exaggerate(&mut self, pair: Option<usize>, severity: f64) -> bool {
        let outliers = Outliers::new(self.seed, pair, severity, &self.original);
        let other = outliers != self.outliers;
        if other {
            self.reader = self.original.exaggerated(&outliers.pairs, outliers.severity);
            self.outliers = outliers;
        }
        other
    }

    /// All that was read, to be stored. The tokens of the `spared` largest numbers that come into a layer are its sinks.
    pub fn remember(&self, reading: &PromptReading, spared: usize) -> Memory {
        let heads = |reading: &LayerReading| {
            let LayerShape { key_heads, tokens, d_head, .. } = reading.shape;
            let own = |numbers: &[f32], head: usize| numbers[head * tokens * d_head..][..tokens * d_head].to_vec();
            let rows = |head: usize| HeadRows {
                keys: own(&reading.plain_keys, head),
                values: own(&reading.values, head),
                positions: (0..tokens).collect(),
            };
            (0..key_heads).map(|head| (rows(head), vec![])).collect()
        };
        self.memory(reading, reading.layers.iter().map(heads), spared)
    }

    /// What a compression has left of it. Keys are turned back by where they stand.
    pub fn remember_rest(&self, reading: &PromptReading, compressed: &[Compressed], spared: usize) -> Memory {
        let base = self.reader.config().rotary_base;
        let heads = |Compressed { layer, .. }: &Compressed| {
            let rows = |head: &Head| {
                let mut keys = head.cache.keys.clone();
                Rotation::new(head.positions.iter().copied(), layer.d_head, base).back().turn(&mut keys, 1);
                let rows = HeadRows { keys, values: head.cache.values.clone(), positions: head.positions.clone() };
                (rows, head.cache.log_mass.clone())
            };
            layer.heads.iter().map(rows).collect()
        };
        self.memory(reading, compressed.iter().map(heads), spared)
    }

    fn memory(
        &self,
        reading: &PromptReading,
        heads: impl Iterator<Item = Vec<(HeadRows, Vec<f32>)>>,
        spared: usize,
    ) -> Memory {
        let config = self.reader.config();
        let mut memory = Memory { layers: vec![], log_mass: vec![] };
        for (index, (heads, reading)) in heads.zip(&reading.layers).enumerate() {
            let (heads, log_mass) = heads.into_iter().unzip();
            memory.layers.push(Layer {
                d_head: config.d_head,
                rotary_base: config.rotary_base,
                heads,
                channel_sums: self.channel_sums(index),
                sinks: sinks(&reading.hidden, config.width, spared),
            });
            memory.log_mass.push(log_mass);
        }
        memory
    }

    /// Keys with outliers have sums with outliers.
    fn channel_sums(&self, layer: usize) -> Vec<f64> {
        let (mut sums, d_head) = (self.sums[layer].clone(), self.reader.config().d_head);
        for (sums, &pair) in sums.chunks_exact_mut(d_head).zip(&self.outliers.pairs[layer]) {
            for channel in [pair, pair + d_head / 2] {
                sums[channel] *= f64::from(self.outliers.severity);
            }
        }
        sums
    }
}

async fn calibrate(reader: &mut Reader, seed: u64, host: &Host) -> Vec<Vec<f64>> {
    let language = RecallLanguage::default();
    let mut sums = vec![vec![0.0; reader.config().key_heads * reader.config().d_head]; reader.config().layers];
    for text in 0..CALIBRATION_TEXTS {
        let mut stream = Stream::at(seed, "calibration", text);
        let text = language.text(CALIBRATION_TOKENS, Mixture::default(), &mut stream);
        for (sums, LayerReading { shape, plain_keys, .. }) in sums.iter_mut().zip(reader.prefill(&text).layers) {
            let heads = plain_keys.chunks_exact(shape.tokens * shape.d_head);
            sums.chunks_exact_mut(shape.d_head).zip(heads).for_each(|(sums, rows)| add_channel_sums(sums, rows));
        }
        host.breathe().await;
    }
    sums
}

/// What is remembered of a prompt, before it is stored.
pub struct Memory {
    pub layers: Vec<Layer>,
    /// What is added to the scores of each head's rows, `[layers][heads]`, or empty for nothing.
    log_mass: Vec<Vec<Vec<f32>>>,
}

/// The same as it is read from few bits.
pub struct Stored {
    pub layers: Vec<Quantized>,
    log_mass: Vec<Vec<Vec<f32>>>,
}

impl Memory {
    pub fn store(&self, recipe: &Recipe) -> Stored {
        let layers = self.layers.iter().map(|layer| quantize(layer, recipe)).collect();
        Stored { layers, log_mass: self.log_mass.clone() }
    }
}

impl Stored {
    pub fn bytes(&self) -> Bytes {
        self.layers.iter().map(|layer| layer.bytes).sum()
    }

    /// What a decoder goes on from, with the tokens that stand before `position`.
    pub fn caches(&self, position: usize) -> Vec<Vec<Cache>> {
        let cache = |(rows, log_mass): (&HeadRows, &Vec<f32>)| {
            let before = rows.positions.partition_point(|&at| at < position);
            let numbers = before * (rows.keys.len() / rows.positions.len().max(1));
            Cache {
                keys: rows.keys[..numbers].to_vec(),
                values: rows.values[..numbers].to_vec(),
                log_mass: log_mass[..before.min(log_mass.len())].to_vec(),
            }
        };
        let layer =
            |(layer, log_mass): (&Quantized, &Vec<Vec<f32>>)| layer.heads.iter().zip(log_mass).map(cache).collect();
        self.layers.iter().zip(&self.log_mass).map(layer).collect()
    }
}
