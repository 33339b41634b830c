//! A context that a model of the project's own has read, and what is asked about it: what the labs of caches share.

use std::ops::Range;

use super::relative_error;
use crate::lab::{Host, LabError, Panel};
use crate::labs::house_model::{HouseModel, ModelChoice};
use crate::mech::house_transformer::{Decoder, HouseTransformerConfig, LayerReading, PromptReading};
use crate::mech::kv_cache::{Cache, Compressed, LayerShape};
use crate::mech::recall_language::{ASK, Context, ContextConfig, VOCABULARY};
use crate::mech::recall_training::log_probability;
use crate::seed::Stream;

/// The most tokens of a context in the reader's words, BOS among them.
const MOST_TOKENS: usize = 120;
/// Tokens that come after the context, which a cache is measured on.
const CONTINUED: usize = 24;

/// A model that reads contexts.
#[derive(Clone)]
pub struct Reader {
    model: HouseModel,
}

/// A context that was read whole, and what comes after it.
pub struct Passage {
    pub context: Context,
    pub reading: PromptReading,
    /// Fillers that go on from the context.
    continuation: Vec<usize>,
    /// The reading of both together.
    onward: PromptReading,
    /// What each head finds over the continuation with the whole cache, `[layers][heads]`.
    outputs: Vec<Vec<Vec<f32>>>,
}

impl Reader {
    /// See [`HouseModel::open`].
    ///
    /// # Errors
    ///
    /// When the model's file cannot be read.
    pub async fn open(model: ModelChoice, seed: u64, host: &Host) -> Result<Self, LabError> {
        Ok(Self { model: HouseModel::open(model, seed, host).await? })
    }

    pub fn config(&self) -> &HouseTransformerConfig {
        self.model.decoder.config()
    }

    /// The same model with outliers in its keys; see [`Decoder::exaggerate`].
    pub fn exaggerated(&self, pairs: &[Vec<usize>], severity: f32) -> Self {
        let mut reader = self.clone();
        reader.model.decoder.exaggerate(pairs, severity);
        reader
    }

    /// See [`HouseModel::noted`].
    pub fn noted(&self, panels: Vec<Panel>) -> Vec<Panel> {
        self.model.noted(panels)
    }

    /// The model, as it reads on from whatever it reads.
    pub fn decoder(&self) -> &Decoder {
        &self.model.decoder
    }

    /// The context of a run with this number, which nobody has read yet.
    pub fn context(&self, config: &ContextConfig, seed: u64, index: u64) -> Context {
        self.model.language.context(config, &mut Stream::at(seed, "contexts", index))
    }

    /// The context of a run with this number.
    pub fn draw(&mut self, seed: u64, index: u64) -> Passage {
        self.draw_at(seed, index, None)
    }

    /// The same with its first statement at this depth, if there is one.
    pub fn draw_at(&mut self, seed: u64, index: u64, depth: Option<f64>) -> Passage {
        let context = self.context(&ContextConfig { depth, ..ContextConfig::default() }, seed, index);
        self.read(context, &mut Stream::at(seed, "continuation", index))
    }

    /// Reads a context and what comes after it, which is drawn.
    pub fn read(&mut self, context: Context, stream: &mut Stream) -> Passage {
        let continuation = self.model.language.onward(&context.tokens, CONTINUED, stream);
        let onward = self.model.decoder.prefill(&[&context.tokens[..], &continuation].concat());
        let reading = self.model.decoder.prefill(&context.tokens);
        let layers = onward.layers.iter().zip(reading.caches());
        let outputs = layers.map(|(onward, caches)| {
            let head = |head| outputs(onward, context.tokens.len(), head, &caches);
            (0..onward.shape.query_heads).map(head).collect()
        });
        Passage { outputs: outputs.collect(), context, reading, continuation, onward }
    }

    /// A context in the reader's words; see [`Context::parse`].
    ///
    /// # Errors
    ///
    /// In a sentence for the reader.
    pub fn parse(text: &str) -> Result<(Context, Option<String>), String> {
        Context::parse(text, MOST_TOKENS)
    }

    /// Reads on from caches that stand for the first `position` tokens of a prompt; gives the logits after the last.
    ///
    /// # Shapes
    ///
    /// - output `[vocabulary]`
    pub fn answer(
        &mut self,
        reading: &PromptReading,
        position: usize,
        caches: Vec<Vec<Cache>>,
        tokens: &[usize],
    ) -> Vec<f32> {
        self.model.decoder.resume(reading, position, caches);
        tokens.iter().fold(vec![], |_, &token| self.model.decoder.read(token))
    }

    /// Reads a prompt of any tokens.
    pub fn prefill(&mut self, tokens: &[usize]) -> PromptReading {
        self.model.decoder.prefill(tokens)
    }

    /// How surprising what comes after a context is, in nats a token, to whoever remembers these caches of it.
    pub fn surprise(&mut self, passage: &Passage, caches: Vec<Vec<Cache>>) -> f64 {
        let position = passage.context.tokens.len();
        let mut logits = passage.reading.logits[(position - 1) * VOCABULARY..].to_vec();
        self.model.decoder.resume(&passage.reading, position, caches);
        let mut sum = 0.0;
        for &token in &passage.continuation {
            sum -= f64::from(log_probability(&logits, token));
            logits = self.model.decoder.read(token);
        }
        sum / CONTINUED as f64
    }
}

impl Passage {
    /// The caches after a compression of each layer, without the token at `struck` and what comes from `position` on.
    pub fn caches(compressed: &[Compressed], position: usize, struck: Option<usize>) -> Vec<Vec<Cache>> {
        compressed.iter().map(|compressed| compressed.layer.caches_without(position, struck)).collect()
    }

    /// The question about a statement.
    pub fn question(&self, needle: usize) -> [usize; 2] {
        [ASK, self.context.needles[needle].name]
    }

    /// How far each head's output over the continuation is from what it is with the whole cache, relative to its size:
    /// `[layers][heads]`. Queries, and keys and values of the continuation itself, are those of the whole cache.
    pub fn errors(&self, caches: &[Vec<Cache>]) -> Vec<Vec<f64>> {
        let layer = |(layer, whole): (usize, &Vec<Vec<f32>>)| {
            let onward = &self.onward.layers[layer];
            let head = |(head, whole): (usize, &Vec<f32>)| {
                let found = outputs(onward, self.context.tokens.len(), head, &caches[layer]);
                relative_error(&found, whole)
            };
            whole.iter().enumerate().map(head).collect()
        };
        self.outputs.iter().enumerate().map(layer).collect()
    }
}

/// What a head finds for each token of the continuation, in caches that stand for the context and in the continuation so
/// far: `[continued, d_head]`.
fn outputs(onward: &LayerReading, context: usize, head: usize, caches: &[Cache]) -> Vec<f32> {
    let LayerShape { query_heads, key_heads, tokens, d_head } = onward.shape;
    let key_head = head / (query_heads / key_heads);
    let cache = &caches[key_head];
    let rows = |numbers: &'_ [f32], head: usize, rows: Range<usize>| -> Vec<f32> {
        numbers[(head * tokens + rows.start) * d_head..(head * tokens + rows.end) * d_head].to_vec()
    };
    let found = |at: usize| {
        let parts = [(&cache.keys, &onward.keys), (&cache.values, &onward.values)];
        let [keys, values] = parts.map(|(cached, own)| [&cached[..], &rows(own, key_head, context..at + 1)].concat());
        let mut log_mass = cache.log_mass.clone();
        if !log_mass.is_empty() {
            log_mass.resize(keys.len() / d_head, 0.0);
        }
        let (mut weights, mut found) = (vec![0.0; keys.len() / d_head], vec![0.0; d_head]);
        let scale = 1.0 / (d_head as f32).sqrt();
        let query = rows(&onward.queries, head, at..at + 1);
        kernels::attend(&query, [&keys, &values, &log_mass], scale, &mut weights, &mut found);
        found
    };
    (context..tokens).flat_map(found).collect()
}
