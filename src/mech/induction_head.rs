//! Two attention heads, one above the other, and a classifier: the smallest network in which an induction head forms.
//!
//! The network of Reddy (2023): no layer norm, no biases in the attention, one head a layer. The first head can be replaced
//! by a fixed pattern, for the question what the second does with it. Several such networks, each with sequences of its
//! own, stand [side by side](super::replicas::side_by_side).

use burn::module::{Module, Param};
use burn::nn::LinearConfig;
use burn::prelude::*;
use burn::tensor::TensorData;

use super::ops::{self, Activation, Heads};
use super::replicas::{LinearEach, alone};

/// One attention head: X ← X + softmax(X Wq (X Wk)ᵀ / √width) X Wv.
#[derive(Module, Debug)]
pub struct Head {
    pub query: Param<Tensor<3>>, // [replicas, width, width], as is
    pub key: Param<Tensor<3>>,
    pub value: Param<Tensor<3>>,
}

/// See [`InductionNetConfig::init`].
#[derive(Module, Debug)]
pub struct InductionNet {
    pub first: Head,
    pub second: Head,
    pub hidden: Vec<LinearEach>,
    pub output: LinearEach,
}

#[derive(Config, Debug)]
pub struct InductionNetConfig {
    /// Numbers of a token (P + D in the paper).
    pub width: usize,
    /// Neurons in each of the three hidden layers of the classifier.
    pub d_hidden: usize,
    pub labels: usize,
}

/// What the first head does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstHead {
    /// What it has learned.
    Learned,
    /// Looks at all tokens alike, up to its own.
    Uniform,
    /// A label looks at the item before it, every other token at itself.
    LabelsLookBack,
    /// Every token looks at the one before it.
    AllLookBack,
    /// Nothing: the network has one layer.
    Off,
}

/// What the net makes of some sequences, those of each replica after those of the one before.
#[derive(Clone, Debug)]
pub struct Look {
    pub logits: Tensor<2>, // [replicas * batch, labels]
    pub first: Tensor<3>,  // [replicas * batch, tokens, tokens]
    pub second: Tensor<3>, // [replicas * batch, tokens or 1, tokens]
}

impl InductionNetConfig {
    /// A network alone. Attention weights are normal with variance 1 / width; the classifier starts as Burn's linear layers do, which is
    /// how PyTorch's do.
    pub fn init(&self, device: &Device) -> InductionNet {
        let InductionNetConfig { width, d_hidden, labels } = *self;
        let deviation = 1.0 / (width as f64).sqrt();
        let normal = burn::nn::Initializer::Normal { mean: 0.0, std: deviation };
        let weight = || alone(normal.init::<2, _>([width, width], device));
        let head = || Head { query: weight(), key: weight(), value: weight() };
        let layer = |d_input, d_output| LinearEach::new(LinearConfig::new(d_input, d_output).init(device));
        InductionNet {
            first: head(),
            second: head(),
            hidden: [width, d_hidden, d_hidden].map(|d_input| layer(d_input, d_hidden)).into(),
            output: layer(d_hidden, labels),
        }
    }
}

impl Head {
    /// What a key is multiplied by for a score, before scaling: Wq Wkᵀ in one. Queries and keys of this width cost more.
    fn scores(&self) -> Tensor<3> {
        ops::product_each(self.query.val(), self.key.val().transpose())
    }

    fn scale(&self) -> f32 {
        1.0 / (self.query.val().dims()[2] as f32).sqrt()
    }

    /// How much each token looks at each.
    ///
    /// # Shapes
    ///
    /// - input `[replicas * batch, tokens, width]`
    /// - output `[replicas * batch, tokens, tokens]`
    fn weights(&self, input: Tensor<3>) -> Tensor<3> {
        let query = times(input.clone(), self.scores());
        ops::attention_weights(query, input, Heads::ONE, self.scale()).squeeze_dim(1)
    }
}

impl InductionNet {
    /// Logits of the label of the last token.
    ///
    /// # Shapes
    ///
    /// - input `[replicas * batch, tokens, width]`, the sequences of each replica after those of the one before
    /// - output `[replicas * batch, labels]`
    pub fn forward(&self, input: Tensor<3>, first: FirstHead, second: bool) -> Tensor<2> {
        let seen = self.after_first(input, first);
        let last = last_token(&seen);
        let [batch, _, width] = last.dims();
        let last = if second {
            // Only the last token asks, so keys and values need not be computed: its query goes back through the keys'
            // weights, and the mean of what it looks at goes through the values'.
            let query = times(last.clone(), self.second.scores());
            let found = ops::causal_attention(query, seen.clone(), seen, Heads::ONE, self.second.scale());
            last + times(found, self.second.value.val())
        } else {
            last
        };
        let last = last.reshape([self.replicas() as i32, -1, width as i32]);
        let hidden = self.hidden.iter().fold(last, |hidden, layer| layer.forward(hidden, Activation::Relu));
        self.output.forward(hidden, Activation::None).reshape([batch as i32, -1])
    }

    /// Networks side by side.
    pub fn replicas(&self) -> usize {
        self.output.weight.val().dims()[0]
    }

    /// The logits, and who looks at whom: the second head for its last token alone, or for all.
    ///
    /// # Shapes
    ///
    /// - input `[replicas * batch, tokens, width]`
    pub fn look(&self, input: Tensor<3>, first: FirstHead, second: bool, all: bool) -> Look {
        let [batch, tokens, _] = input.dims();
        let device = input.device();
        let looks = match pattern(first, tokens) {
            Some(pattern) => {
                Tensor::from_data(TensorData::new(pattern, [1, tokens, tokens]), &device).repeat_dim(0, batch)
            }
            None => self.first.weights(input.clone()),
        };
        let seen = self.after_first(input.clone(), first);
        let queries = if all { seen.clone() } else { last_token(&seen) };
        let looks_then =
            ops::attention_weights(times(queries, self.second.scores()), seen, Heads::ONE, self.second.scale());
        let looks_then = looks_then.squeeze_dim(1);
        Look { logits: self.forward(input, first, second), first: looks, second: looks_then }
    }

    fn after_first(&self, input: Tensor<3>, first: FirstHead) -> Tensor<3> {
        if first == FirstHead::Off {
            return input;
        }
        let value = times(input.clone(), self.first.value.val());
        let [batch, tokens, width] = input.dims();
        let found = match pattern(first, tokens) {
            None => {
                let query = times(input.clone(), self.first.scores());
                ops::causal_attention(query, input.clone(), value, Heads::ONE, self.first.scale())
            }
            Some(pattern) => {
                // A fixed pattern is a product with a constant: tokens to the right, so that it is one for all sequences.
                let pattern = Tensor::from_data(TensorData::new(pattern, [tokens, tokens]), &input.device());
                let turned = value.swap_dims(1, 2).reshape([batch * width, tokens]);
                ops::product(turned, pattern.transpose()).reshape([batch, width, tokens]).swap_dims(1, 2)
            }
        };
        input + found
    }
}

/// A fixed pattern, row by row; nothing for one that is learned.
fn pattern(first: FirstHead, tokens: usize) -> Option<Vec<f32>> {
    let weight = |from: usize, to: usize| {
        let shares = match first {
            FirstHead::Learned => return None,
            FirstHead::Uniform if to <= from => 1.0 / (from + 1) as f32,
            FirstHead::LabelsLookBack => f32::from(u8::from(to == from - from % 2)),
            FirstHead::AllLookBack => f32::from(u8::from(to == from.saturating_sub(1))),
            FirstHead::Uniform | FirstHead::Off => 0.0,
        };
        Some(shares)
    };
    (0..tokens * tokens).map(|cell| weight(cell / tokens, cell % tokens)).collect()
}

/// Each token times the matrix of its replica.
///
/// # Shapes
///
/// - input `[replicas * batch, tokens, width]`
/// - weight `[replicas, width, width]`
/// - output `[replicas * batch, tokens, width]`
fn times(input: Tensor<3>, weight: Tensor<3>) -> Tensor<3> {
    let (shape, [replicas, _, width]) = (input.dims(), weight.dims());
    ops::product_each(input.reshape([replicas as i32, -1, width as i32]), weight).reshape(shape)
}

fn last_token(input: &Tensor<3>) -> Tensor<3> {
    let tokens = input.dims()[1];
    input.clone().narrow(1, tokens - 1, 1)
}

/// How far the heads are, from who looks at whom: means over some sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// First head: how much a label looks at the item before it (ILA1 in the paper).
    pub item_label_1: f64,
    /// Second head: how much the target looks at labels that are right (TLA2).
    pub target_label_2: f64,
    /// Second head: how much the target looks at items whose label is right (TILA2).
    pub target_item_2: f64,
    /// Second head: how much the target looks at labels at all.
    pub all_labels_2: f64,
    /// Probability of all labels that the context holds (CLA).
    pub context_label_mass: f64,
}

impl Progress {
    /// # Shapes
    ///
    /// - context `[batch][pairs]`: labels; answers `[batch]`
    /// - logits `[batch, labels]`, first `[batch, tokens, tokens]`, second `[batch, tokens]`: row by row
    pub fn of(context: &[&[usize]], answers: &[usize], logits: &[f32], first: &[f32], second: &[f32]) -> Self {
        let (batch, pairs) = (context.len(), context.first().map_or(0, |labels| labels.len()));
        let tokens = 2 * pairs + 1;
        let classes = logits.len() / batch.max(1);
        let mut sum = Self::default();
        for (index, (labels, &answer)) in context.iter().zip(answers).enumerate() {
            let first = &first[index * tokens * tokens..][..tokens * tokens];
            let second = &second[index * tokens..][..tokens];
            for (pair, &label) in labels.iter().enumerate() {
                let (item, its_label) = (2 * pair, 2 * pair + 1);
                sum.item_label_1 += f64::from(first[its_label * tokens + item]) / pairs as f64;
                sum.all_labels_2 += f64::from(second[its_label]);
                if label == answer {
                    sum.target_label_2 += f64::from(second[its_label]);
                    sum.target_item_2 += f64::from(second[item]);
                }
            }
            let logits = &logits[index * classes..][..classes];
            let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mass = |label: usize| libm::exp(f64::from(logits[label] - top));
            let total: f64 = (0..classes).map(mass).sum();
            let held = (0..classes).filter(|label| labels.contains(label));
            sum.context_label_mass += held.map(mass).sum::<f64>() / total;
        }
        let mean = |sum: f64| sum / batch.max(1) as f64;
        Self {
            item_label_1: mean(sum.item_label_1),
            target_label_2: mean(sum.target_label_2),
            target_item_2: mean(sum.target_item_2),
            all_labels_2: mean(sum.all_labels_2),
            context_label_mass: mean(sum.context_label_mass),
        }
    }
}
