//! A larger rotary base, so that the slow pairs are squeezed and the fast ones are not ("NTK-aware" scaling, as in
//! section 3.1 of Peng et al. 2023, YaRN).

use super::{Look, Method, Rotary, Seeker};

/// Each token sees all before it, and the base is multiplied by `s^(d / (d - 2))`, where s is the length of the text
/// over the trained one, if that is more than one: the slowest pair then turns as if positions were divided by s, and
/// the fastest as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ntk {
    /// Tokens that the model was trained on.
    pub trained: usize,
}

impl Method for Ntk {
    fn rotary(&self, model: Rotary, d_head: usize, length: usize) -> Rotary {
        let stretch = length.max(self.trained) as f64 / self.trained as f64;
        // A head of one pair has only the fastest.
        let power = if d_head > 2 { d_head as f64 / (d_head - 2) as f64 } else { 0.0 };
        Rotary { base: model.base * libm::pow(stretch, power), ..model }
    }

    fn look(&self, seeker: &Seeker) -> Look {
        Look::full(seeker.token)
    }
}
