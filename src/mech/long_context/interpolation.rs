//! Positions squeezed into the trained length (Chen et al. 2023, eq. 4).

use super::{Look, Method, Rotary, Seeker};

/// Each token sees all before it, and positions are multiplied by the trained length over that of the text, if that is
/// less than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interpolation {
    /// Tokens that the model was trained on (L in the paper).
    pub trained: usize,
}

impl Method for Interpolation {
    fn rotary(&self, model: Rotary, _d_head: usize, length: usize) -> Rotary {
        let step = self.trained as f64 / length.max(self.trained) as f64;
        Rotary { step: model.step * step, ..model }
    }

    fn look(&self, seeker: &Seeker) -> Look {
        Look::full(seeker.token)
    }
}
