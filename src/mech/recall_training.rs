//! How the house transformer is trained on the recall language, and how well it remembers.
//!
//! The recipe is that of the method card of EMS: first short texts full of statements and questions, later longer ones in
//! which both are rare. A step comes in parts, for it computes longer than a page may wait.

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::prelude::*;

use super::adam::{Adam, AdamConfig};
use super::house_transformer::HouseTransformer;
use super::ops;
use super::rates::Rates;
use super::recall_language::{ASK, Context, ContextConfig, Kind, Mixture, RecallLanguage, VOCABULARY};
use crate::seed::Stream;

/// Steps in which the rate rises.
const WARM_UP: u64 = 50;
/// What is left of the rate at the end, as a share.
const LAST_RATE: f64 = 0.05;
/// Tokens of a text, first and later, and until which share of the steps is first.
const SHORT: usize = 64;
pub const LONG: usize = 128;
const SHORT_UNTIL: f64 = 0.35;
/// The share of the steps in which the mixture changes.
const CURRICULUM: f64 = 0.5;
/// Tokens that are worked through at once.
const PART: usize = 512;

/// How it is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub steps: u64,
    /// Size of an optimizer step after the warm-up; from there it falls as a cosine does.
    pub rate: f64,
    /// Texts in a step while they are short. Of the long ones there are half as many, so that the tokens are the same.
    pub batch: usize,
    /// The mixture of the first step.
    pub first: Mixture,
    /// The mixture of the second half of the steps.
    pub last: Mixture,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            steps: 700,
            rate: 3e-3,
            batch: 32,
            first: Mixture { statement: 0.3, question: 0.5 },
            last: Mixture::default(),
        }
    }
}

impl Recipe {
    /// Size of the optimizer step after so many.
    pub fn rate_at(&self, step: u64) -> f64 {
        let &Self { steps, rate, .. } = self;
        Rates { steps, rate, warm_up: WARM_UP, last: LAST_RATE }.at(step)
    }

    pub fn mixture_at(&self, step: u64) -> Mixture {
        let done = (step as f64 / (CURRICULUM * self.steps as f64)).min(1.0);
        let between = |first: f64, last: f64| first + done * (last - first);
        Mixture {
            statement: between(self.first.statement, self.last.statement),
            question: between(self.first.question, self.last.question),
        }
    }

    /// Texts in a step, and tokens that are predicted in each.
    pub fn shape_at(&self, step: u64) -> [usize; 2] {
        if (step as f64) < SHORT_UNTIL * self.steps as f64 {
            [self.batch, SHORT]
        } else {
            [(self.batch * SHORT / LONG).max(1), LONG]
        }
    }
}

/// What one step learns from.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Each has one token more than are predicted.
    pub texts: Vec<Vec<usize>>,
    /// The mean loss of whoever knows the language and forgets nothing, in nats.
    pub floor: f64,
}

impl Batch {
    /// What is worked through at once.
    pub fn parts(&self) -> impl Iterator<Item = &[Vec<usize>]> {
        self.texts.chunks((PART / self.texts[0].len()).max(1))
    }
}

/// A training under way.
pub struct Training {
    pub net: HouseTransformer,
    pub adam: Adam,
    /// Steps taken.
    pub step: u64,
    recipe: Recipe,
    seed: u64,
    language: RecallLanguage,
    device: Device,
    gradients: GradientsAccumulator<HouseTransformer>,
    loss: Option<Tensor<1>>,
}

impl Training {
    /// The device must have a tape, and the network lie there.
    pub fn new(net: HouseTransformer, recipe: Recipe, seed: u64, device: &Device) -> Self {
        Self {
            net,
            adam: Adam::new(AdamConfig { beta_2: 0.98, clip: Some(1.0), ..AdamConfig::default() }),
            step: 0,
            recipe,
            seed,
            language: RecallLanguage::default(),
            device: device.clone(),
            gradients: GradientsAccumulator::new(),
            loss: None,
        }
    }

    /// What the next step learns from: each of the parts, then [`update`](Self::update).
    pub fn batch(&self) -> Batch {
        let [count, tokens] = self.recipe.shape_at(self.step);
        let mixture = self.recipe.mixture_at(self.step);
        let mut stream = Stream::at(self.seed, "batch", self.step);
        let texts: Vec<Vec<usize>> = (0..count).map(|_| self.language.text(tokens + 1, mixture, &mut stream)).collect();
        let surprise: f64 = texts.iter().flat_map(|text| self.language.surprise(text, mixture)).sum();
        Batch { floor: surprise / (count * tokens) as f64, texts }
    }

    /// Adds the gradients of some texts out of `count`.
    pub fn learn(&mut self, texts: &[Vec<usize>], count: usize) {
        let length = texts[0].len() - 1;
        let next: Vec<i32> = texts.iter().flat_map(|text| &text[1..]).map(|&token| token as i32).collect();
        let next = Tensor::<1, Int>::from_data(TensorData::new(next, [texts.len() * length]), &self.device);
        let logits = self.net.forward(tokens(texts.iter().map(|text| &text[..length]), &self.device));
        let loss = ops::cross_entropy_with_indices(logits, next) * (texts.len() as f64 / count as f64);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.net);
        self.gradients.accumulate(&self.net, gradients);
        let loss = loss.inner();
        self.loss = Some(match self.loss.take() {
            Some(sum) => sum + loss,
            None => loss,
        });
    }

    /// Ends the step; gives the mean loss of its texts in nats.
    pub fn update(&mut self) -> Tensor<1> {
        let rate = self.recipe.rate_at(self.step);
        self.adam.step_on(rate, &mut self.net, self.gradients.grads());
        self.step += 1;
        self.loss.take().expect("a step learns from some text")
    }
}

/// Token numbers as a network reads them.
///
/// # Shapes
///
/// - texts `[batch][tokens]`, output `[batch, tokens]`
pub fn tokens<'a>(texts: impl IntoIterator<Item = &'a [usize]>, device: &Device) -> Tensor<2, Int> {
    let (mut numbers, mut count) = (Vec::new(), 0);
    for text in texts {
        numbers.extend(text.iter().map(|&token| token as i32));
        count += 1;
    }
    let length = numbers.len() / count;
    Tensor::from_data(TensorData::new(numbers, [count, length]), device)
}

/// Texts that are not trained on, and what is asked in them.
#[derive(Clone, Debug)]
pub struct Exam {
    texts: Vec<Vec<usize>>, // [texts][tokens]
    /// Text, place of the token after which the answer is due, and the answer.
    questions: Vec<(usize, usize, usize)>,
}

impl Exam {
    /// Questions as they come in training texts after the curriculum.
    pub fn of_texts(language: &RecallLanguage, count: usize, stream: &mut Stream) -> Self {
        let draw = |_| language.text(LONG, Mixture::default(), stream);
        let texts: Vec<Vec<usize>> = (0..count).map(draw).collect();
        let asked = |(index, text): (usize, &Vec<usize>)| {
            let answers = text.windows(3).enumerate().filter(|(_, window)| window[0] == ASK);
            answers.map(|(at, window)| (index, at + 1, window[2])).collect::<Vec<_>>()
        };
        let questions = texts.iter().enumerate().flat_map(asked).collect();
        Self { texts, questions }
    }

    /// One question about each of these contexts, about one needle after the other.
    pub fn of_contexts(contexts: &[Context]) -> Self {
        let asked = |(index, context): (usize, &Context)| {
            let needle = &context.needles[index % context.needles.len()];
            let text = context.asked(needle);
            ((index, text.len() - 1, needle.value), text)
        };
        let (questions, texts) = contexts.iter().enumerate().map(asked).unzip();
        Self { texts, questions }
    }

    /// Contexts of the card.
    pub fn contexts(language: &RecallLanguage, count: usize, stream: &mut Stream) -> Vec<Context> {
        (0..count).map(|_| language.context(&ContextConfig::default(), stream)).collect()
    }

    /// What is worked through at once.
    pub fn parts(&self) -> impl Iterator<Item = Self> {
        let size = (PART / self.texts[0].len()).max(1);
        self.texts.chunks(size).enumerate().map(move |(part, texts)| {
            let first = part * size;
            let held = first..first + texts.len();
            let questions = self.questions.iter().filter(|question| held.contains(&question.0));
            Self {
                texts: texts.to_vec(),
                questions: questions.map(|&(text, at, answer)| (text - first, at, answer)).collect(),
            }
        })
    }

    /// How many questions there are.
    pub fn questions(&self) -> usize {
        self.questions.len()
    }

    /// Logits where the answers are due.
    ///
    /// # Shapes
    ///
    /// - output `[questions, vocabulary]`
    pub fn answers(&self, net: &HouseTransformer, device: &Device) -> Tensor<2> {
        let length = self.texts[0].len();
        let rows: Vec<i32> = self.questions.iter().map(|&(text, at, _)| (text * length + at) as i32).collect();
        let count = rows.len();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), device);
        net.forward(tokens(self.texts.iter().map(Vec::as_slice), device)).select(0, rows)
    }

    /// How many of these answers, `[questions, vocabulary]`, are right.
    pub fn right(&self, answers: &[f32]) -> usize {
        let said = answers.chunks_exact(VOCABULARY).map(likeliest);
        said.zip(&self.questions).filter(|(said, question)| *said == question.2).count()
    }

    /// How much each head looks at BOS from fillers, on average over the texts.
    ///
    /// # Shapes
    ///
    /// - output `[layers * heads]`
    pub fn sinks(&self, net: &HouseTransformer, device: &Device) -> Tensor<1> {
        let (count, length) = (self.texts.len(), self.texts[0].len());
        let is_filler = |&token: &usize| f32::from(u8::from(Kind::of(token) == Kind::Filler));
        let mask: Vec<f32> = self.texts.iter().flatten().map(is_filler).collect();
        let share = 1.0 / mask.iter().sum::<f32>();
        let mask = Tensor::<3>::from_data(TensorData::new(mask, [count, 1, length]), device) * share;
        let (_, looks) = net.look(tokens(self.texts.iter().map(Vec::as_slice), device));
        let mean = |looks: Tensor<4>| {
            let heads = looks.dims()[1];
            let bos = looks.narrow(3, 0, 1).reshape([count, heads, length]) * mask.clone();
            bos.swap_dims(0, 1).reshape([heads, count * length]).sum_dim(1).reshape([heads])
        };
        Tensor::cat(looks.into_iter().map(mean).collect(), 0)
    }
}

/// The place of the greatest number.
pub fn likeliest(numbers: &[f32]) -> usize {
    let greatest = numbers.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    greatest.map_or(0, |(index, _)| index)
}

/// The probability of each token.
pub fn probabilities(logits: &[f32]) -> Vec<f32> {
    kernels::softmax(logits, logits.len())
}

/// The logarithm of the probability of one token.
pub fn log_probability(logits: &[f32], token: usize) -> f32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| libm::expf(logit - top)).sum();
    logits[token] - top - libm::logf(sum)
}
