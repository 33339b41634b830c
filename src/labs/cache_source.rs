//! A cache of keys and values that the reader brings along, and what stands in for it.

use crate::lab::params::FileName;
use crate::lab::{Body, Cell, Host, LabError, Panel, Table};
use crate::labs::house_figures::things;
use crate::labs::house_model::{HouseModel, ModelChoice};
use crate::mech::cache_file::{CacheFile, CacheFileError, CacheLayer, PairLayout, Rope, Rotary};
use crate::mech::house_transformer::{HouseTransformerConfig, LayerReading};
use crate::mech::kv_cache::LayerShape;
use crate::mech::recall_language::{ContextConfig, VOCABULARY};
use crate::mech::tensor_file::FormatError;
use crate::seed::Stream;

/// Where a cache comes from.
pub enum CacheSource {
    File(Box<CacheFile>),
    /// The shipped model's, of one context.
    House {
        layers: Vec<CacheLayer>,
        rotary: Rotary,
    },
}

impl CacheSource {
    /// The file that was given under “file”, if one is named; else what the shipped model of this seed remembers of a
    /// drawn context.
    ///
    /// # Errors
    ///
    /// In a sentence, when the file is not one, or was not given.
    pub async fn open(file: &FileName, seed: u64, host: &Host) -> Result<Self, LabError> {
        if let Some(bytes) = host.given("file", file)? {
            let file = CacheFile::open(bytes).map_err(refused)?;
            // A number that is none is told of before anything is shown.
            for layer in 0..file.layers {
                file.layer(layer).map_err(refused)?;
                host.breathe().await;
            }
            return Ok(Self::File(Box::new(file)));
        }
        let mut model = HouseModel::open(ModelChoice::Shipped, seed, host).await?;
        let context = model.language.context(&ContextConfig::default(), &mut Stream::at(seed, "contexts", 0));
        let reading = model.decoder.prefill(&context.tokens);
        let layer = |LayerReading { shape, keys, plain_keys, values, queries, .. }: LayerReading| CacheLayer {
            shape,
            keys,
            plain_keys: Some(plain_keys),
            values,
            queries: Some(queries),
            attention: None,
        };
        let base = HouseTransformerConfig::new(VOCABULARY).rotary_base;
        let rotary = Rotary { base, layout: PairLayout::HalfSplit };
        Ok(Self::House { layers: reading.layers.into_iter().map(layer).collect(), rotary })
    }

    pub fn layers(&self) -> usize {
        match self {
            Self::File(file) => file.layers,
            Self::House { layers, .. } => layers.len(),
        }
    }

    pub fn shape(&self) -> LayerShape {
        match self {
            Self::File(file) => file.shape,
            Self::House { layers, .. } => layers[0].shape,
        }
    }

    pub fn rope(&self) -> Rope {
        match self {
            Self::File(file) => file.rope,
            Self::House { rotary, .. } => Rope::Before(*rotary),
        }
    }

    /// # Errors
    ///
    /// When a number of the file is none.
    pub fn layer(&self, index: usize) -> Result<CacheLayer, LabError> {
        match self {
            Self::File(file) => file.layer(index).map_err(refused),
            Self::House { layers, .. } => Ok(layers[index].clone()),
        }
    }

    /// What is there, of which the last tokens are held out.
    pub fn panel(&self, held: usize) -> Panel {
        let LayerShape { query_heads, key_heads, tokens, d_head } = self.shape();
        let row = |name: &str, text: String| vec![Cell::Text(name.to_owned()), Cell::Text(text)];
        let rope = match self.rope() {
            Rope::Before(_) => "before".to_owned(),
            Rope::After(Some(_)) => "after, and can be turned back".to_owned(),
            Rope::After(None) => "after; how is not said".to_owned(),
        };
        let mut rows = vec![
            row("layers", self.layers().to_string()),
            row("heads of keys", key_heads.to_string()),
            row("heads of queries", query_heads.to_string()),
            row("tokens", format!("{tokens}, the last {} held out", held)),
            row("numbers a head", d_head.to_string()),
            row("rotary positions", rope),
        ];
        if let Some(Rotary { base, layout }) = self.rope().rotary() {
            let pairs = match layout {
                PairLayout::HalfSplit => "half-split",
                PairLayout::Interleaved => "interleaved",
            };
            rows.push(row("base, pairs", format!("{base}, {pairs}")));
        }
        let said = match self {
            Self::File(file) => {
                let looks = match (file.has_queries(), file.has_attention()) {
                    (true, true) => "q, attn",
                    (true, false) => "q",
                    (false, true) => "attn",
                    (false, false) => "neither q nor attn",
                };
                rows.push(row("queries or attention", looks.to_owned()));
                rows.push(row("type", file.dtype()));
                rows.push(row("bytes", file.bytes().to_string()));
                format!("Your file: {}, {}.", things(file.layers, "layer"), things(tokens, "token"))
            }
            Self::House { .. } => "No file yet. This is the cache of **the page’s own small model** for one context, so that there is something to see. Drop yours.".to_owned(),
        };
        let table = Table::new(vec!["the cache".to_owned(), "has".to_owned()], rows);
        Panel::new("file", "What is there", said, 2, Body::Table(table))
    }
}

fn refused(error: CacheFileError) -> LabError {
    match error {
        // Whoever has something else must know where such a file comes from.
        CacheFileError::Format(FormatError::Foreign | FormatError::Header) | CacheFileError::Missing { .. } => {
            LabError::data(format!("{error} Save a cache with the script of the text below, and drop that."))
        }
        error => LabError::data(error.to_string()),
    }
}
