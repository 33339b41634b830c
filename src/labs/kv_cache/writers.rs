//! Two copies of one model that write side by side, one with the whole cache and one with a compressed one.

use crate::mech::compressing_decoder::{CompressingDecoder, Regime};
use crate::mech::house_transformer::Decoder;
use crate::mech::kv_cache::{Fates, row_bytes};
use crate::mech::recall_language::{ASK, Context, Kind, VOCABULARY};
use crate::mech::recall_training::{likeliest, probabilities};
use crate::seed::Stream;

/// How both write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Manner {
    /// What logits are divided by before a token is drawn; at zero the likeliest is taken.
    pub temperature: f64,
    /// Tokens from one question to the next; zero for none.
    pub ask: usize,
    /// The compressed one reads what the whole one says, and not what it says itself.
    pub teacher: bool,
    pub seed: u64,
}

/// What was said at one place after the context.
#[derive(Clone, Debug)]
pub struct Place {
    /// By the whole cache and by the compressed one.
    pub said: [usize; 2],
    /// Both were made to say it.
    pub forced: bool,
    /// What each was asked for, if the name was stated in the context.
    pub due: [Option<usize>; 2],
    /// Both have read the same until here.
    pub alike: bool,
    /// How far the compressed one was from expecting what the whole one did, in nats.
    pub divergence: f64,
    /// Tokens in the compressed cache afterwards, a head.
    pub rows: f64,
}

/// Both copies, as far as they have come.
#[derive(Clone)]
pub struct Writers {
    pub context: Context,
    manner: Manner,
    whole: Decoder,
    compressed: CompressingDecoder,
    /// The context and what each has read since.
    pub texts: [Vec<usize>; 2],
    /// Of the next token, `[vocabulary]`.
    logits: [Vec<f32>; 2],
    pub places: Vec<Place>,
    /// Questions that were begun.
    asked: usize,
    /// The words of a question that are still to be said, the next one last.
    question: Vec<usize>,
}

impl Writers {
    /// Both have read the context whole; then one of them compresses it, with the attention of the last `rows` queries.
    pub fn new(mut decoder: Decoder, context: Context, manner: Manner, regime: &Regime, rows: usize) -> Self {
        let reading = decoder.prefill(&context.tokens);
        let compressed = CompressingDecoder::after_prompt(decoder.clone(), &reading, regime, rows);
        let last = reading.logits[(context.tokens.len() - 1) * VOCABULARY..].to_vec();
        Self {
            texts: [context.tokens.clone(), context.tokens.clone()],
            context,
            manner,
            whole: decoder,
            compressed,
            logits: [last.clone(), last],
            places: vec![],
            asked: 0,
            question: vec![],
        }
    }

    /// Both say one token, and read it.
    pub fn write(&mut self) {
        let Manner { temperature, teacher, seed, .. } = self.manner;
        let step = self.places.len() as u64;
        let forced = self.asking();
        let own = |logits: &Vec<f32>| match forced {
            Some(token) => token,
            // Both draw with the same chance, so that they differ by nothing but their caches.
            None => choose(logits, temperature, &mut Stream::at(seed, "sample", step)),
        };
        let said = self.logits.each_ref().map(own);
        let due = self.texts.each_ref().map(|text| self.asked_for(text));
        let alike = self.texts[0] == self.texts[1];
        let divergence = divergence(&self.next());
        let read = if teacher { [said[0]; 2] } else { said };
        self.logits = [self.whole.read(read[0]), self.compressed.read(read[1])];
        self.texts.iter_mut().zip(read).for_each(|(text, token)| text.push(token));
        let rows = self.rows();
        self.places.push(Place { said, forced: forced.is_some(), due, alike, divergence, rows });
    }

    /// The next word of a question, if one is to be said. A question waits until both have said what they were about to.
    fn asking(&mut self) -> Option<usize> {
        let Manner { ask, seed, .. } = self.manner;
        let needles = &self.context.needles;
        let due = ask > 0 && !needles.is_empty() && self.places.len() >= (self.asked + 1) * ask;
        if due && self.question.is_empty() && self.texts.iter().all(|text| at_rest(text)) {
            let (round, turn) = (self.asked / needles.len(), self.asked % needles.len());
            let order = Stream::at(seed, "questions", round as u64).permutation(needles.len());
            self.question = vec![needles[order[turn]].name, ASK];
            self.asked += 1;
        }
        self.question.pop()
    }

    /// The value that a text has just asked for, whoever asked.
    fn asked_for(&self, text: &[usize]) -> Option<usize> {
        let &[.., ASK, name] = text else { return None };
        self.context.needles.iter().rfind(|needle| needle.name == name).map(|needle| needle.value)
    }

    /// What each expects next: `[vocabulary]`.
    pub fn next(&self) -> [Vec<f32>; 2] {
        self.logits.each_ref().map(|logits| probabilities(logits))
    }

    /// What became of each token in each head of the compressed one: `[layers][heads]`.
    pub fn fates(&self) -> impl Iterator<Item = &[Fates]> {
        self.compressed.layers().iter().map(|online| online.fates())
    }

    /// Tokens in the compressed cache, a head.
    pub fn rows(&self) -> f64 {
        let (mut rows, mut heads) = (0, 0);
        for fates in self.fates().flatten() {
            rows += fates.cached().len();
            heads += 1;
        }
        rows as f64 / f64::from(heads)
    }

    /// Bytes of a token in all heads: key and value in 16 bits a number, and a position in 32.
    pub fn row_bytes(&self) -> f64 {
        let layers = self.compressed.layers().iter().map(|online| online.layer());
        layers.map(|layer| layer.heads.len() * row_bytes(layer.d_head).iter().sum::<usize>()).sum::<usize>() as f64
    }

    /// The first place where they say different things.
    pub fn first_difference(&self) -> Option<usize> {
        self.places.iter().position(|place| place.said[0] != place.said[1])
    }

    /// Right answers and all that were asked for, of the whole cache and of the compressed one.
    pub fn answers(&self) -> [[usize; 2]; 2] {
        std::array::from_fn(|writer| {
            let asked = self.places.iter().filter_map(|place| Some(place.due[writer]? == place.said[writer]));
            [asked.clone().filter(|right| *right).count(), asked.count()]
        })
    }

    /// How far both were apart in the mean, where they had read the same.
    pub fn mean_divergence(&self) -> Option<f64> {
        let known = self.places.iter().filter(|place| place.alike);
        let (count, sum) = known.fold((0, 0.0), |(count, sum), place| (count + 1, sum + place.divergence));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// Words that both chose, and those of them that are the same.
    pub fn agreement(&self) -> [usize; 2] {
        let free = self.places.iter().filter(|place| !place.forced);
        [free.clone().count(), free.filter(|place| place.said[0] == place.said[1]).count()]
    }
}

/// Nothing must come next: a name calls for its value, and a question for its name.
fn at_rest(text: &[usize]) -> bool {
    text.last().is_none_or(|&token| !matches!(Kind::of(token), Kind::Name | Kind::Ask))
}

fn choose(logits: &[f32], temperature: f64, chance: &mut Stream) -> usize {
    let best = likeliest(logits);
    if temperature == 0.0 {
        return best;
    }
    let weight = |logit: &f32| libm::exp(f64::from(logit - logits[best]) / temperature);
    chance.weighted(&logits.iter().map(weight).collect::<Vec<_>>())
}

/// Of the second from the first (Kullback and Leibler), in nats.
fn divergence([whole, compressed]: &[Vec<f32>; 2]) -> f64 {
    let part = |(&p, &q): (&f32, &f32)| {
        let [p, q] = [p, q].map(|share| f64::from(share).max(1e-30));
        p * libm::log(p / q)
    };
    // Rounding may leave less than nothing of two that are nearly the same.
    whole.iter().zip(compressed).map(part).sum::<f64>().max(0.0)
}
