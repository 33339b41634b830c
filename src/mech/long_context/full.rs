//! Everything, where it stands: what a model is trained with.

use super::{Look, Method, Seeker};

/// Each token sees itself and all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Method for Full {
    fn look(&self, seeker: &Seeker) -> Look {
        Look::full(seeker.token)
    }
}
