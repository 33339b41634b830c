//! How the size of an optimizer step changes while a model is trained.

/// How the size of a step changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    pub steps: u64,
    /// Size of a step after the warm-up.
    pub rate: f64,
    /// Steps in which it rises.
    pub warm_up: u64,
    /// What is left of it at the end, as a share.
    pub last: f64,
}

impl Rates {
    /// The same in so many percent of the steps, of which there is at least one.
    pub fn shortened(self, percent: usize) -> Self {
        let part = |steps: u64| (steps * percent as u64).div_ceil(100);
        Self { steps: part(self.steps).max(1), warm_up: part(self.warm_up), ..self }
    }

    /// The size of the step after so many: it rises evenly and falls as a cosine does.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return self.rate * (step + 1) as f64 / self.warm_up as f64;
        }
        let done = ((step - self.warm_up) as f64 / self.steps.saturating_sub(self.warm_up).max(1) as f64).min(1.0);
        let cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done));
        self.rate * (self.last + (1.0 - self.last) * cosine)
    }
}
