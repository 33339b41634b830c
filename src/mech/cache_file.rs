//! A cache of keys and values as a file: what a model remembered of a text, brought from outside.
//!
//! The file is safetensors. It holds `k` and `v`, `[layers, heads, tokens, d_head]`, and may hold `q` with as many heads
//! or a multiple of them, or the attention `attn`, `[layers, heads, tokens, tokens]`; a single layer may lack the first
//! dimension. Its header says in `__metadata__` whether keys and queries stand `before` or `after` rotary positions
//! (`rope`), and by which base (`rope_base`) and pairs (`rope_layout`) they are turned. The format is a reconstruction of
//! ours: there is no common one.
//!
//! The file comes from anywhere. Whatever is wrong with it is said by name and place, and no more is read into memory at a
//! time than one layer.

use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

use safetensors::Dtype;

use super::kv_cache::LayerShape;
use super::ops::Rotation;
use super::tensor_file::{FormatError, READ, TensorFile, clipped, floats};

/// Bytes of a file that are taken.
pub const MOST_BYTES: usize = 64 << 20;

/// What a file may have of each; a layer of the most is still compressed while somebody waits.
const LAYERS: RangeInclusive<usize> = 1..=128;
const HEADS: RangeInclusive<usize> = 1..=128;
const TOKENS: RangeInclusive<usize> = 8..=2048;
const CHANNELS: RangeInclusive<usize> = 2..=512;

/// Products of such numbers are still numbers.
const LARGEST: f32 = 1e15;
/// How far from one a row of attention may add up, as halves do.
const SUM_TOLERANCE: f64 = 0.02;
/// How much a token may look at later ones by rounding.
const AHEAD_TOLERANCE: f32 = 1e-4;

/// Which numbers of a head make the pairs that rotary positions turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairLayout {
    /// One from each half, as Hugging Face has Llama.
    HalfSplit,
    /// Neighbors, as Meta and GGUF have it.
    Interleaved,
}

/// Rotary positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotary {
    pub base: f64,
    pub layout: PairLayout,
}

/// Where keys and queries stand in a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rope {
    Before(Rotary),
    /// As attention reads them; they can be turned back if it is known how they were turned.
    After(Option<Rotary>),
}

impl Rope {
    pub fn rotary(self) -> Option<Rotary> {
        match self {
            Self::Before(rotary) => Some(rotary),
            Self::After(rotary) => rotary,
        }
    }
}

/// One layer of a cache.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheLayer {
    pub shape: LayerShape,
    /// `[key_heads, tokens, d_head]`, turned by their positions.
    pub keys: Vec<f32>,
    /// The same before they are turned; none where that is not known.
    pub plain_keys: Option<Vec<f32>>,
    /// `[key_heads, tokens, d_head]`.
    pub values: Vec<f32>,
    /// `[query_heads, tokens, d_head]`, turned by their positions.
    pub queries: Option<Vec<f32>>,
    /// `[query_heads, tokens, tokens]`: a row for each query, zero after itself.
    pub attention: Option<Vec<f32>>,
}

/// A file whose header was read and found good. Its numbers are read layer by layer.
#[derive(Clone, Debug)]
pub struct CacheFile {
    bytes: Rc<[u8]>,
    pub layers: usize,
    /// Of each layer. Without queries and attention there are as many heads of the one as of the other.
    pub shape: LayerShape,
    pub rope: Rope,
    rotation: Option<Rotation>,
    keys: Part,
    values: Part,
    queries: Option<Part>,
    attention: Option<Part>,
}

/// A tensor of the file, and where it lies.
#[derive(Clone, Debug)]
struct Part {
    name: &'static str,
    dtype: Dtype,
    shape: Vec<usize>,
    place: Range<usize>,
}

/// Why a file is not taken. Each is a sentence.
#[derive(Clone, Debug, PartialEq)]
pub enum CacheFileError {
    Large {
        bytes: usize,
    },
    Format(FormatError),
    Missing {
        name: &'static str,
        holds: Vec<String>,
    },
    Type {
        name: &'static str,
        got: String,
    },
    Shape {
        name: &'static str,
        got: Vec<usize>,
        want: String,
    },
    Count {
        name: &'static str,
        what: &'static str,
        got: usize,
        allowed: RangeInclusive<usize>,
    },
    /// Not a number, infinite, or too large.
    Number {
        name: &'static str,
        at: Vec<usize>,
        got: f32,
    },
    Attention {
        at: Vec<usize>,
        problem: String,
    },
    Metadata {
        key: &'static str,
        got: Option<String>,
        want: &'static str,
    },
}

impl std::fmt::Display for CacheFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Large { bytes } => write!(f, "The file has {bytes} bytes; {MOST_BYTES} (64 MB) are the most."),
            Self::Format(error) => error.fmt(f),
            Self::Missing { name, holds } if holds.is_empty() => write!(f, "The file has no “{name}”; it is empty."),
            Self::Missing { name, holds } => {
                let shown: Vec<String> = holds.iter().take(6).map(|name| format!("“{}”", clipped(name))).collect();
                let more = if holds.len() > shown.len() { " …" } else { "" };
                write!(f, "The file has no “{name}”; it holds {}{more}.", shown.join(", "))
            }
            Self::Type { name, got } => write!(f, "“{name}” is of type {got}; {READ} can be read."),
            Self::Shape { name, got, want } => write!(f, "“{name}” has the shape {got:?}; it should be {want}."),
            Self::Count { name, what, got, allowed } if got > allowed.end() => {
                write!(f, "“{name}” has {got} {what}; {} are the most. Save fewer {what}.", allowed.end())
            }
            Self::Count { name, what, got, allowed } => {
                write!(f, "“{name}” has {got} {what}; {} is the least. Save more {what}.", allowed.start())
            }
            Self::Number { name, at, got } if got.is_finite() => {
                write!(f, "“{name}” holds {got:e} at {at:?}; {LARGEST:e} is the most.")
            }
            Self::Number { name, at, got } => write!(f, "“{name}” holds {got} at {at:?}."),
            Self::Attention { at, problem } => write!(f, "The row {at:?} of “attn” {problem}."),
            Self::Metadata { key, got: None, want } => {
                write!(f, "“__metadata__” says “rope” and lacks “{key}”, which is {want}.")
            }
            Self::Metadata { key, got: Some(got), want } => {
                write!(f, "“{key}” in “__metadata__” is “{}”; it should be {want}.", clipped(got))
            }
        }
    }
}

impl std::error::Error for CacheFileError {}

impl CacheFile {
    /// Reads the header and holds every part against the others.
    ///
    /// # Errors
    ///
    /// With the first thing that is wrong.
    pub fn open(bytes: Rc<[u8]>) -> Result<Self, CacheFileError> {
        if bytes.len() > MOST_BYTES {
            return Err(CacheFileError::Large { bytes: bytes.len() });
        }
        let file = TensorFile::open(&bytes).map_err(CacheFileError::Format)?;
        let missing = |name| CacheFileError::Missing { name, holds: file.names() };
        let keys = Part::find(&file, "k")?.ok_or_else(|| missing("k"))?;
        let values = Part::find(&file, "v")?.ok_or_else(|| missing("v"))?;
        let (queries, attention) = (Part::find(&file, "q")?, Part::find(&file, "attn")?);

        let (layers, [key_heads, tokens, d_head]) = keys.layers_and_shape()?;
        for (what, got, allowed) in [
            ("layers", layers, LAYERS),
            ("heads", key_heads, HEADS),
            ("tokens", tokens, TOKENS),
            ("numbers in a head", d_head, CHANNELS),
        ] {
            if !allowed.contains(&got) {
                return Err(CacheFileError::Count { name: "k", what, got, allowed });
            }
        }
        if !d_head.is_multiple_of(2) {
            return Err(keys.wrong("of heads that have halves: an even number of numbers".to_owned()));
        }
        values.expect_shape(&keys.shape, "that of “k”")?;
        let mut query_heads = key_heads;
        for (part, last) in [(&queries, d_head), (&attention, tokens)] {
            let Some(part) = part else { continue };
            query_heads = part.query_heads(&keys, last)?;
        }
        if let (Some(queries), Some(attention)) = (&queries, &attention) {
            let of_queries = queries.query_heads(&keys, d_head)?;
            if of_queries != query_heads {
                let want = format!("of {of_queries} heads, as “q” is");
                return Err(CacheFileError::Shape { name: "attn", got: attention.shape.clone(), want });
            }
        }
        let shape = LayerShape { query_heads, key_heads, tokens, d_head };
        let rope = rope(&file)?;
        let rotation = rope.rotary().map(|rotary| Rotation::new(0..tokens, d_head, rotary.base));
        Ok(Self { layers, shape, rope, rotation, keys, values, queries, attention, bytes: bytes.clone() })
    }

    /// The type of the keys' numbers, as safetensors calls it.
    pub fn dtype(&self) -> String {
        self.keys.dtype.to_string()
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn has_queries(&self) -> bool {
        self.queries.is_some()
    }

    pub fn has_attention(&self) -> bool {
        self.attention.is_some()
    }

    /// A layer's numbers, with the halves of a head apart, as everything here has rotary pairs.
    ///
    /// # Errors
    ///
    /// When one of them cannot be computed with, or the attention is none.
    pub fn layer(&self, index: usize) -> Result<CacheLayer, CacheFileError> {
        let read = |part: &Part| part.layer(&self.bytes, self.layers, index);
        let (mut keys, values) = (read(&self.keys)?, read(&self.values)?);
        let mut queries = self.queries.as_ref().map(read).transpose()?;
        let attention = self.attention.as_ref().map(read).transpose()?;
        if let (Some(part), Some(attention)) = (&self.attention, &attention) {
            check_attention(part, attention, self.shape.tokens, index)?;
        }
        if let Some(Rotary { layout: PairLayout::Interleaved, .. }) = self.rope.rotary() {
            for rows in [Some(&mut keys), queries.as_mut()].into_iter().flatten() {
                rows.chunks_exact_mut(self.shape.d_head).for_each(split_pairs);
            }
        }
        let mut plain_keys = None;
        if let Some(rotation) = &self.rotation {
            let mut other = keys.clone();
            if let Rope::Before(_) = self.rope {
                rotation.turn(&mut keys, 1);
                queries.iter_mut().for_each(|queries| rotation.turn(queries, 1));
            } else {
                rotation.back().turn(&mut other, 1);
            }
            plain_keys = Some(other);
        }
        Ok(CacheLayer { shape: self.shape, keys, plain_keys, values, queries, attention })
    }
}

impl Part {
    fn find(file: &TensorFile, name: &'static str) -> Result<Option<Self>, CacheFileError> {
        let Some(info) = file.info(name) else { return Ok(None) };
        if floats(info.dtype, &[]).is_none() {
            return Err(CacheFileError::Type { name, got: info.dtype.to_string() });
        }
        Ok(Some(Self { name, dtype: info.dtype, shape: info.shape.clone(), place: file.place(info) }))
    }

    fn layers_and_shape(&self) -> Result<(usize, [usize; 3]), CacheFileError> {
        match self.shape[..] {
            [heads, tokens, last] => Ok((1, [heads, tokens, last])),
            [layers, heads, tokens, last] => Ok((layers, [heads, tokens, last])),
            _ => Err(self.wrong("[layers, heads, tokens, numbers] or [heads, tokens, numbers]".to_owned())),
        }
    }

    fn wrong(&self, want: String) -> CacheFileError {
        CacheFileError::Shape { name: self.name, got: self.shape.clone(), want }
    }

    fn expect_shape(&self, shape: &[usize], whose: &str) -> Result<(), CacheFileError> {
        if self.shape == shape { Ok(()) } else { Err(self.wrong(format!("{whose}, {shape:?}"))) }
    }

    /// Heads of a part that has one for each query, all else being as the keys have it.
    fn query_heads(&self, keys: &Self, last: usize) -> Result<usize, CacheFileError> {
        let heads_at = keys.shape.len() - 3;
        let mut want = keys.shape.clone();
        want[heads_at + 2] = last;
        let heads = self.shape.get(heads_at).copied().unwrap_or_default();
        if heads == 0 || !heads.is_multiple_of(want[heads_at]) {
            return Err(self.wrong(format!("{want:?}, or with a multiple of the {} heads", want[heads_at])));
        }
        want[heads_at] = heads;
        self.expect_shape(&want, "of the tokens of “k”")?;
        if !HEADS.contains(&heads) {
            return Err(CacheFileError::Count { name: self.name, what: "heads", got: heads, allowed: HEADS });
        }
        Ok(heads)
    }

    fn layer(&self, bytes: &[u8], layers: usize, index: usize) -> Result<Vec<f32>, CacheFileError> {
        let size = self.place.len() / layers;
        let numbers = floats(self.dtype, &bytes[self.place.start + index * size..][..size]).unwrap_or_default();
        match numbers.iter().position(|number| !number.is_finite() || number.abs() > LARGEST) {
            None => Ok(numbers),
            Some(place) => {
                let at = self.indices(index * numbers.len() + place);
                Err(CacheFileError::Number { name: self.name, at, got: numbers[place] })
            }
        }
    }

    /// Where a number stands, dimension by dimension.
    fn indices(&self, mut place: usize) -> Vec<usize> {
        let mut at = vec![0; self.shape.len()];
        for (index, size) in at.iter_mut().zip(&self.shape).rev() {
            *index = place % size;
            place /= size;
        }
        at
    }
}

fn check_attention(part: &Part, attention: &[f32], tokens: usize, layer: usize) -> Result<(), CacheFileError> {
    for (row, weights) in attention.chunks_exact(tokens).enumerate() {
        let wrong = |problem: String| {
            let mut at = part.indices(layer * attention.len() + row * tokens);
            at.pop();
            CacheFileError::Attention { at, problem }
        };
        let (seen, ahead) = weights.split_at(row % tokens + 1);
        let sum: f64 = seen.iter().map(|&weight| f64::from(weight)).sum();
        if seen.iter().any(|weight| *weight < 0.0) {
            return Err(wrong("holds a number below zero".to_owned()));
        }
        if ahead.iter().any(|weight| weight.abs() > AHEAD_TOLERANCE) {
            return Err(wrong("looks at tokens that come after its own".to_owned()));
        }
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(wrong(format!("adds up to {sum:.3}, and not to one")));
        }
    }
    Ok(())
}

/// Moves neighbors apart: the first of each pair into the first half, the second into the second.
fn split_pairs(head: &mut [f32]) {
    let pairs: Vec<f32> = head.to_vec();
    let (low, high) = head.split_at_mut(pairs.len() / 2);
    for ((low, high), pair) in low.iter_mut().zip(high).zip(pairs.as_chunks::<2>().0) {
        [*low, *high] = *pair;
    }
}

/// What the header says of rotary positions.
fn rope(file: &TensorFile) -> Result<Rope, CacheFileError> {
    let refuse = |key, got: Option<&str>, want| CacheFileError::Metadata { key, got: got.map(str::to_owned), want };
    let before = match file.entry("rope") {
        None => return Ok(Rope::After(None)),
        Some("before") => true,
        Some("after") => false,
        other => return Err(refuse("rope", other, "“before” or “after”")),
    };
    let (base, layout) = (file.entry("rope_base"), file.entry("rope_layout"));
    if !before && base.is_none() && layout.is_none() {
        return Ok(Rope::After(None));
    }
    let number = base.and_then(|base| base.trim().parse::<f64>().ok()).filter(|base| base.is_finite() && *base > 1.0);
    let base = number.ok_or_else(|| refuse("rope_base", base, "a number above one, such as “10000”"))?;
    let layout = match layout {
        Some("half-split") => PairLayout::HalfSplit,
        Some("interleaved") => PairLayout::Interleaved,
        other => return Err(refuse("rope_layout", other, "“half-split” or “interleaved”")),
    };
    let rotary = Rotary { base, layout };
    Ok(if before { Rope::Before(rotary) } else { Rope::After(Some(rotary)) })
}
