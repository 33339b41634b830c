//! The last tokens, and perhaps the first ones too (StreamingLLM: Xiao et al. 2023, section 3.2).

use super::{Look, Method, Seeker};

/// Each token sees the last `attended` tokens, itself included; with sinks, the first tokens of the text in place of as
/// many of them. Positions are those inside this cache. Without sinks they are as good as the true ones, for attention
/// knows only distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub attended: usize,
    /// Fewer than `attended`.
    pub sinks: usize,
}

impl Method for Window {
    fn look(&self, seeker: &Seeker) -> Look {
        let &Self { attended, sinks } = self;
        assert!(sinks < attended, "{sinks} sinks leave no token of {attended}");
        let end = seeker.token + 1;
        if end <= attended {
            return Look::full(seeker.token);
        }
        let mut look = Look { query: attended - 1, ..Look::default() };
        look.lay(0..sinks);
        look.lay(end - (attended - sinks)..end);
        look
    }
}
