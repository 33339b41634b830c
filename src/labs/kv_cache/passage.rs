//! A context that a model of the project's own has read, and what is asked about it: what the labs of caches share.

use std::ops::Range;

use burn::tensor::Device;

use super::relative_error;
use crate::choices;
use crate::lab::{Host, LabError, Panel, lost};
use crate::mech::adam::parameters;
use crate::mech::checkpoint::{self, About};
use crate::mech::house_transformer::{Decoder, HouseTransformer, HouseTransformerConfig, LayerReading, PromptReading};
use crate::mech::kv_cache::{Cache, Compressed, LayerShape};
use crate::mech::recall_language::{
    ASK, BOS, Context, ContextConfig, FILLERS, Kind, NAMES, Needle, RecallLanguage, VALUES, VOCABULARY, filler, rank,
    token,
};
use crate::seed::Stream;

/// Seeds of the models that the site ships. Of those from 0 to 5 all but 0 have a head that looks at BOS.
const SHIPPED: [u64; 3] = [3, 1, 2];
/// Tokens that come after the context, which a cache is measured on.
const CONTINUED: usize = 24;

/// The most tokens of a context in the reader's words, BOS among them.
const MOST_TOKENS: usize = 120;

/// Under which a model that the reader trained is kept for the other tabs.
const TRAINED: &str = "kv-cache/house-transformer";

choices! {
    pub enum ModelChoice {
        Shipped = "shipped", "as shipped";
        Trained = "trained", "the one you trained";
    }
}

/// A model, and the language that it speaks.
#[derive(Clone)]
pub struct Reader {
    decoder: Decoder,
    language: RecallLanguage,
    /// Why it is not the model that was asked for.
    refused: Option<String>,
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
    /// The model of this seed, of which there are three in turns; or the one that the reader trained.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn open(model: ModelChoice, seed: u64, host: &Host) -> Result<Self, LabError> {
        let trained = match model {
            ModelChoice::Shipped => None,
            ModelChoice::Trained => Some(trained(host).await?),
        };
        let (parameters, refused) = match trained {
            Some(Ok(parameters)) => (parameters, None),
            Some(Err(why)) => (shipped(seed, host).await?, Some(format!("{why} A shipped model is shown."))),
            None => (shipped(seed, host).await?, None),
        };
        let decoder = Decoder::new(HouseTransformerConfig::new(VOCABULARY), parameters);
        Ok(Self { decoder, language: RecallLanguage::default(), refused })
    }

    pub fn config(&self) -> &HouseTransformerConfig {
        self.decoder.config()
    }

    /// The same model with outliers in its keys; see [`Decoder::exaggerate`].
    pub fn exaggerated(&self, pairs: &[Vec<usize>], severity: f32) -> Self {
        let mut reader = self.clone();
        reader.decoder.exaggerate(pairs, severity);
        reader
    }

    /// Panels, of which the first says so if another model was asked for.
    pub fn noted(&self, mut panels: Vec<Panel>) -> Vec<Panel> {
        if let (Some(refused), Some(first)) = (&self.refused, panels.first_mut()) {
            first.summary = format!("{refused} {}", first.summary);
        }
        panels
    }

    /// The model, as it reads on from whatever it reads.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The context of a run with this number, which nobody has read yet.
    pub fn context(&self, config: &ContextConfig, seed: u64, index: u64) -> Context {
        self.language.context(config, &mut Stream::at(seed, "contexts", index))
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
        let mut before = context.tokens.iter().rev().find_map(|&token| rank(token));
        let next = |_| {
            let next = stream.weighted(&self.language.after(before));
            before = Some(next);
            filler(next)
        };
        let continuation: Vec<usize> = (0..CONTINUED).map(next).collect();
        let onward = self.decoder.prefill(&[&context.tokens[..], &continuation].concat());
        let reading = self.decoder.prefill(&context.tokens);
        let layers = onward.layers.iter().zip(reading.caches());
        let outputs = layers.map(|(onward, caches)| {
            let head = |head| outputs(onward, context.tokens.len(), head, &caches);
            (0..onward.shape.query_heads).map(head).collect()
        });
        Passage { outputs: outputs.collect(), context, reading, continuation, onward }
    }

    /// A context in the reader's words.
    ///
    /// # Errors
    ///
    /// In a sentence, when the model does not know a word, or nothing is stated that could be asked for.
    pub fn parse(text: &str) -> Result<Context, String> {
        let mut tokens = vec![BOS];
        for said in text.split_whitespace() {
            tokens.push(token(said).ok_or_else(|| unknown(said))?);
        }
        if tokens.len() > MOST_TOKENS {
            return Err(format!("{} words are too many; it reads {}.", tokens.len() - 1, MOST_TOKENS - 1));
        }
        let stated = |(at, pair): (usize, &[usize])| {
            let is = [Kind::of(pair[0]), Kind::of(pair[1])] == [Kind::Name, Kind::Value];
            is.then_some(Needle { at, name: pair[0], value: pair[1] })
        };
        let needles: Vec<Needle> = tokens.windows(2).enumerate().filter_map(stated).collect();
        if needles.is_empty() {
            return Err("Nothing is stated: a name and then a value, such as “Ada owl”, could be asked for.".to_owned());
        }
        Ok(Context { tokens, needles })
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
        self.decoder.resume(reading, position, caches);
        tokens.iter().fold(vec![], |_, &token| self.decoder.read(token))
    }

    /// Reads a prompt of any tokens.
    pub fn prefill(&mut self, tokens: &[usize]) -> PromptReading {
        self.decoder.prefill(tokens)
    }

    /// How surprising what comes after a context is, in nats a token, to whoever remembers these caches of it.
    pub fn surprise(&mut self, passage: &Passage, caches: Vec<Vec<Cache>>) -> f64 {
        let position = passage.context.tokens.len();
        let mut logits = passage.reading.logits[(position - 1) * VOCABULARY..].to_vec();
        self.decoder.resume(&passage.reading, position, caches);
        let mut sum = 0.0;
        for &token in &passage.continuation {
            sum -= f64::from(log_probability(&logits, token));
            logits = self.decoder.read(token);
        }
        sum / CONTINUED as f64
    }
}

/// Keeps a model for the other tabs, if it is of the shape that they read.
///
/// # Errors
///
/// When the device is lost.
pub async fn keep_trained(net: &HouseTransformer, about: &About, host: &Host) -> Result<(), LabError> {
    let bytes = checkpoint::write(net, about).await.map_err(lost)?;
    host.keep(TRAINED, &bytes).await
}

/// Parameters of the model that the reader trained, or what to do about it.
async fn trained(host: &Host) -> Result<Result<Vec<Vec<f32>>, String>, LabError> {
    let Some(bytes) = host.kept(TRAINED).await? else {
        return Ok(Err("You have trained no model yet: let one train to its end in “Train the model”.".to_owned()));
    };
    Ok(read(&bytes).await.map_err(|why| format!("The model that you trained cannot be read. {why}")))
}

async fn shipped(seed: u64, host: &Host) -> Result<Vec<Vec<f32>>, LabError> {
    let model = SHIPPED[(seed % SHIPPED.len() as u64) as usize];
    let path = format!("models/house-{model}.safetensors");
    let bytes = host.asset(&path).await?;
    read(&bytes).await.map_err(|message| LabError::Asset { path, message })
}

async fn read(bytes: &[u8]) -> Result<Vec<Vec<f32>>, String> {
    let net = HouseTransformerConfig::new(VOCABULARY).init(&Device::flex());
    let (net, _) = checkpoint::read(bytes, net).map_err(|error| error.to_string())?;
    parameters(&net).await.map_err(|error| format!("{error:?}"))
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

/// What to do about a word that the model has not.
fn unknown(said: &str) -> String {
    let words = |words: &[&str]| words[..3].join(", ");
    format!(
        "The model does not know the word “{said}”. It has {} names ({} …), {} animals ({} …) and {} fillers ({} …).",
        NAMES.len(),
        words(&NAMES),
        VALUES.len(),
        words(&VALUES),
        FILLERS.len(),
        words(&FILLERS)
    )
}

/// The probability of each token.
pub fn probabilities(logits: &[f32]) -> Vec<f32> {
    kernels::softmax(logits, logits.len())
}

fn log_probability(logits: &[f32], token: usize) -> f32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| libm::expf(logit - top)).sum();
    logits[token] - top - libm::logf(sum)
}
