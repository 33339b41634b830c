//! Sequences of items, each followed by its label, and a target item whose label is asked for.
//!
//! The task of Reddy (2023), after Chan et al. (2022): whoever looks for the item in the context and copies its label is
//! right, and so is whoever has learned the label of every class by heart. Which of the two a network learns is
//! decided by how the sequences are drawn.

use crate::seed::Stream;

/// How sequences are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemConfig {
    /// Classes that there are (K in the paper).
    pub classes: usize,
    /// Labels that there are (L): class k has label k mod L.
    pub labels: usize,
    /// Pairs of an item and its label in a context (N).
    pub pairs: usize,
    /// How often a class comes in a context (B); 0 for contexts that are drawn without regard to the target.
    pub burst: usize,
    /// Numbers of an item or label (D).
    pub d_item: usize,
    /// Slots for positions (P), at least as many as tokens: a sequence starts at any slot from which it fits.
    pub d_position: usize,
    /// How much an item differs from the mean of its class (ε).
    pub noise: f64,
    /// How unlike the frequencies of the classes are (α): the k-th has k^-α.
    pub zipf: f64,
    /// Share of the sequences that are bursty (p_B); in the others nothing in the context depends on the target.
    pub bursty: f64,
    /// Share of the sequences whose classes are new and their labels random (p_C).
    pub fresh: f64,
}

impl ItemConfig {
    pub fn tokens(&self) -> usize {
        2 * self.pairs + 1
    }

    pub fn width(&self) -> usize {
        self.d_position + self.d_item
    }
}

/// Draws in vain after which the classes of a sequence are no longer left to chance.
const PATIENCE: usize = 256;

/// The classes of one run: their means, their frequencies, and the vectors of the labels.
#[derive(Clone, Debug)]
pub struct Items {
    config: ItemConfig,
    means: Vec<f32>,  // [classes, d_item]
    labels: Vec<f32>, // [labels, d_item]
    /// Sum of the frequencies up to each class.
    cumulative: Vec<f64>,
}

/// What a sequence tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// As in training.
    Training,
    /// New classes: only the context can tell.
    InContext,
    /// Known classes whose labels are swapped in the context, which is to be believed.
    Swapped,
    /// The context is drawn without regard to the target: only memory can tell.
    InWeights,
}

/// Where an item comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A class of the run.
    Class(usize),
    /// A class that exists in this sequence alone, by its number there.
    Fresh(usize),
}

/// A sequence before it is written as vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// Item and label of each pair.
    pub pairs: Vec<(Source, usize)>,
    pub target: Source,
    /// The label that is right.
    pub answer: usize,
}

impl Items {
    pub fn new(config: ItemConfig, stream: &mut Stream) -> Self {
        assert!(config.d_position >= config.tokens(), "{} slots for {} tokens", config.d_position, config.tokens());
        let deviation = 1.0 / (config.d_item as f64).sqrt();
        let mut vectors = |count: usize| -> Vec<f32> {
            (0..count * config.d_item).map(|_| stream.normal(0.0, deviation) as f32).collect()
        };
        let (means, labels) = (vectors(config.classes), vectors(config.labels));
        let mut total = 0.0;
        let cumulative = (1..=config.classes).map(|rank| {
            total += libm::pow(rank as f64, -config.zipf);
            total
        });
        let cumulative = cumulative.collect();
        Self { config, means, labels, cumulative }
    }

    pub fn config(&self) -> &ItemConfig {
        &self.config
    }

    pub fn label_of(&self, class: usize) -> usize {
        class % self.config.labels
    }

    fn class(&self, stream: &mut Stream) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let at = stream.unit() * total;
        self.cumulative.partition_point(|&sum| sum <= at).min(self.config.classes - 1)
    }

    pub fn draw(&self, draw: Draw, stream: &mut Stream) -> Sequence {
        let ItemConfig { burst, bursty, fresh, .. } = self.config;
        match draw {
            Draw::InContext => self.related(true, 0, stream),
            Draw::Swapped => self.related(false, 1, stream),
            Draw::InWeights => self.unrelated(stream),
            Draw::Training => {
                // Drawn in every case, so that a setting that changes a share changes nothing else.
                let (new, related) = (stream.unit() < fresh, stream.unit() < bursty);
                if new {
                    self.related(true, 0, stream)
                } else if related && burst > 0 {
                    self.related(false, 0, stream)
                } else {
                    self.unrelated(stream)
                }
            }
        }
    }

    /// Context and target drawn one by one.
    fn unrelated(&self, stream: &mut Stream) -> Sequence {
        let classes: Vec<usize> = (0..=self.config.pairs).map(|_| self.class(stream)).collect();
        let (target, context) = classes.split_last().expect("there is a target");
        Sequence {
            pairs: context.iter().map(|&class| (Source::Class(class), self.label_of(class))).collect(),
            target: Source::Class(*target),
            answer: self.label_of(*target),
        }
    }

    /// A few classes of distinct labels, each as often as the burst says, and a target that is one of them. With `roll`
    /// each takes the label of the one so many places on.
    fn related(&self, new: bool, roll: usize, stream: &mut Stream) -> Sequence {
        let ItemConfig { pairs, burst, labels, .. } = self.config;
        // More classes than labels cannot have distinct ones.
        let there = if new { labels } else { labels.min(self.config.classes) };
        let count = pairs.div_ceil(burst.max(1)).min(there);
        let mut chosen: Vec<(Source, usize)> = Vec::with_capacity(count);
        if new {
            let order = stream.permutation(labels);
            chosen
                .extend(order.into_iter().take(count).enumerate().map(|(index, label)| (Source::Fresh(index), label)));
        }
        let mut refused = 0;
        while chosen.len() < count {
            // Where all that is frequent is chosen, chance would take too long: the most frequent that is left.
            let class = if refused < PATIENCE { self.class(stream) } else { refused - PATIENCE };
            let label = self.label_of(class);
            if chosen.iter().all(|(_, taken)| *taken != label) {
                chosen.push((Source::Class(class), label));
            } else {
                refused += 1;
            }
        }
        let label = |index: usize| chosen[(index + roll) % count].1;
        let order = stream.permutation(pairs);
        let target = stream.below(count);
        Sequence {
            pairs: order.into_iter().map(|slot| (chosen[slot % count].0, label(slot % count))).collect(),
            target: chosen[target].0,
            answer: label(target),
        }
    }

    /// Writes sequences as vectors: the slot of each token, then what stands there. Noise and slots come from `stream`.
    ///
    /// # Shapes
    ///
    /// - output `[sequences, 2 pairs + 1, d_position + d_item]`, row by row
    pub fn write(&self, sequences: &[Sequence], stream: &mut Stream) -> Vec<f32> {
        let ItemConfig { d_item, d_position, noise, .. } = self.config;
        let deviation = 1.0 / (d_item as f64).sqrt();
        let scale = 1.0 / (1.0 + noise * noise).sqrt();
        let (own, shaken) = (scale as f32, (noise * scale * deviation) as f32);
        let mut output = Vec::new();
        for sequence in sequences {
            let tokens = 2 * sequence.pairs.len() + 1;
            assert!(tokens <= d_position, "{tokens} tokens for {d_position} slots");
            let shift = stream.below(d_position - tokens + 1);
            let sources = || sequence.pairs.iter().map(|pair| pair.0).chain([sequence.target]);
            let fresh =
                sources().filter_map(|source| if let Source::Fresh(index) = source { Some(index + 1) } else { None });
            let fresh: Vec<f32> =
                (0..fresh.max().unwrap_or(0) * d_item).map(|_| stream.normal(0.0, deviation) as f32).collect();
            for (pair, source) in sources().enumerate() {
                let mean = match source {
                    Source::Class(class) => &self.means[class * d_item..][..d_item],
                    Source::Fresh(index) => &fresh[index * d_item..][..d_item],
                };
                self.position(shift + 2 * pair, &mut output);
                if noise > 0.0 {
                    output.extend(mean.iter().map(|mean| own * mean + shaken * stream.normal(0.0, 1.0) as f32));
                } else {
                    output.extend_from_slice(mean);
                }
                if let Some((_, label)) = sequence.pairs.get(pair) {
                    self.position(shift + 2 * pair + 1, &mut output);
                    output.extend_from_slice(&self.labels[label * d_item..][..d_item]);
                }
            }
        }
        output
    }

    fn position(&self, slot: usize, output: &mut Vec<f32>) {
        let begin = output.len();
        output.resize(begin + self.config.d_position, 0.0);
        output[begin + slot] = 1.0;
    }
}
