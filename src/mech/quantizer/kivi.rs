//! KIVI (Liu et al. 2024): a key's channel keeps its size from token to token, so keys share levels along a channel and
//! values along a token, and what is recent waits in 16 bits.

use super::affine::Fit;
use super::rotate_kv::Transform;
use super::{Area, Layer, Plan, groups};

/// How the keys and values of a head are stored, keys after rotary positions. The paper has groups of 32 and a window of 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kivi {
    /// Tokens of a group of keys.
    pub tokens: usize,
    /// Channels of a group of values, within a head.
    pub channels: usize,
    /// Tokens that wait in 16 bits (R in the paper): keys until a block of so many is whole, values until so many are
    /// newer. At least 1.
    pub window: usize,
}

impl Kivi {
    /// A group of tokens for each channel of each head. The last group is shorter if the window is no multiple of a
    /// group, which is a reconstruction.
    pub(super) fn key_plan(&self, layer: &Layer) -> Plan {
        let mut areas = vec![];
        for (head, rows) in layer.counts().enumerate() {
            let coded = rows - rows % self.window;
            for start in (0..coded).step_by(self.tokens) {
                let tokens = start..coded.min(start + self.tokens);
                areas.extend(layer.columns(head).map(|column| [tokens.clone(), column..column + 1]));
            }
        }
        plan(areas)
    }

    pub(super) fn value_plan(&self, layer: &Layer) -> Plan {
        let mut areas = vec![];
        for (head, rows) in layer.counts().enumerate() {
            for row in 0..rows.saturating_sub(self.window) {
                areas.extend(groups(row, layer.columns(head), self.channels));
            }
        }
        plan(areas)
    }
}

fn plan(areas: Vec<Area>) -> Plan {
    Plan { transform: Transform::default(), areas, fit: Fit::Least, spared: vec![] }
}
