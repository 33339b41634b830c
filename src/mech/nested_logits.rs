//! Three numbers that learn as an induction head does: each is of use only when the one before it works.
//!
//! A reconstruction with the properties that the paper (Reddy, 2023) states of its reduced models; its equations could
//! not be had. A label finds the item before it with weight `layer_1`, which grows with β₁; the target finds the right label
//! with weight `layer_2`, which grows with α times that; and the classifier turns that weight into a probability by ξ.
//! In f64, for plateaus are long and flat.

/// How many pairs stand in the context, and how many labels there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NestedLogits {
    /// N in the paper.
    pub pairs: usize,
    /// L in the paper, at least N.
    pub labels: usize,
}

/// β₁, α and ξ.
pub type Logits = [f64; 3];

/// What three numbers amount to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// How much a label of the context looks at its item.
    pub layer_1: f64,
    /// How much the target looks at the right label.
    pub layer_2: f64,
    /// Probability of the right label.
    pub correct: f64,
    /// Probability of all labels of the context.
    pub context_label_mass: f64,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Of the loss, by β₁, α and ξ.
    pub gradient: Logits,
}

impl NestedLogits {
    pub fn read(&self, [beta, alpha, xi]: Logits) -> Reading {
        let (pairs, others) = (self.pairs as f64, self.pairs as f64 - 1.0);
        // Written with a negative power, which underflows where the positive one would overflow.
        let layer_1 = 1.0 / (1.0 + pairs * libm::exp(-beta));
        let layer_2 = 1.0 / (1.0 + others * libm::exp(-alpha * layer_1));
        let rest = (1.0 - layer_2) / others.max(1.0);
        // Relative to the logit of a label that the context does not hold, which is zero.
        let top = (xi * layer_2).max(xi * rest).max(0.0);
        let right = libm::exp(xi * layer_2 - top);
        let wrong = libm::exp(xi * rest - top);
        let absent = (self.labels as f64 - pairs) * libm::exp(-top);
        let total = right + others * wrong + absent;
        let to_xi = -layer_2 + (right * layer_2 + wrong * (1.0 - layer_2)) / total;
        let to_layer_2 = -xi + xi * (right - wrong) / total;
        let slope_2 = layer_2 * (1.0 - layer_2);
        Reading {
            layer_1,
            layer_2,
            correct: right / total,
            context_label_mass: (right + others * wrong) / total,
            loss: libm::log(total) + top - xi * layer_2,
            gradient: [to_layer_2 * slope_2 * alpha * layer_1 * (1.0 - layer_1), to_layer_2 * slope_2 * layer_1, to_xi],
        }
    }

    /// One step of gradient flow, by Euler's method.
    pub fn flow(&self, logits: Logits, dt: f64) -> Logits {
        let gradient = self.read(logits).gradient;
        std::array::from_fn(|index| logits[index] - dt * gradient[index])
    }
}
