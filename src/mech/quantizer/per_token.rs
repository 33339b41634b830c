//! Quantizers that take a token at a time: round to nearest, QuaRot, and every rung from plain rounding up to RotateKV.

use super::affine::Fit;
use super::hadamard::Orthogonal;
use super::rotate_kv::{Transform, ascending};
use super::{Area, Layer, Plan, groups};

/// Where keys are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// As the projection gives them; they are turned by their positions whenever they are read.
    BeforeRotary,
    /// Turned by their positions. A row that is one group has levels through zero, as QuaRot's code has it.
    AfterRotary,
}

/// How each token's keys are stored. Its values lie head by head in a group each, in a rotated basis if the keys do, as in
/// RotateKV; that the other methods do so here is a reconstruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerToken {
    pub place: Place,
    /// Heads that a rotation spans; none for no rotation.
    pub rotated_heads: Option<usize>,
    /// Whether channels are ordered by their sums in calibration, across all heads.
    pub sorted: bool,
    /// Channels of a group of keys. Groups go on from head to head, and one as wide as a row is the whole token.
    pub group: usize,
    /// Share of a group's range that its levels span.
    pub clip: f32,
    /// Whether attention sinks are kept in 16 bits.
    pub sinks: bool,
}

/// RotateKV's parts, added one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Keys before rotary positions, a token in one group.
    Plain,
    Rotated,
    SmallGroups,
    Sorted,
    Clipped,
    Sinks,
}

impl PerToken {
    /// Round to nearest: with a group as wide as all heads per token, as wide as a head per head.
    pub const fn round_to_nearest(group: usize) -> Self {
        Self { place: Place::AfterRotary, rotated_heads: None, sorted: false, group, clip: 1.0, sinks: false }
    }

    /// QuaRot (Ashkboos et al. 2024), the part of it that stores keys and values. It turns queries as well and leaves keys
    /// as they are stored; here keys are turned back, which gives the same scores.
    pub const fn quarot(group: usize) -> Self {
        Self { rotated_heads: Some(1), ..Self::round_to_nearest(group) }
    }

    /// RotateKV with all its parts; the paper clips at 2 bits only.
    pub const fn rotate_kv(rotated_heads: usize, group: usize, bits: u32) -> Self {
        let clip = if bits == 2 { 0.8 } else { 1.0 };
        let (place, rotated_heads) = (Place::BeforeRotary, Some(rotated_heads));
        Self { place, rotated_heads, sorted: true, group, clip, sinks: true }
    }

    /// What is left of these settings up to a rung, for rows of `width` channels.
    pub fn up_to(self, rung: Rung, width: usize) -> Self {
        Self {
            place: self.place,
            rotated_heads: self.rotated_heads.filter(|_| rung >= Rung::Rotated),
            group: if rung >= Rung::SmallGroups { self.group } else { width },
            sorted: self.sorted && rung >= Rung::Sorted,
            clip: if rung >= Rung::Clipped { self.clip } else { 1.0 },
            sinks: self.sinks && rung >= Rung::Sinks,
        }
    }

    pub(super) fn key_plan(&self, layer: &Layer) -> Plan {
        let areas = if self.joins_heads(layer.d_head) {
            (0..layer.rows()).flat_map(|row| groups(row, 0..layer.width(), self.group)).collect()
        } else {
            by_head(layer, self.group)
        };
        let through_zero = self.place == Place::AfterRotary && self.group >= layer.width();
        let fit = Fit::ZeroPoint { clip: self.clip, through_zero };
        Plan { transform: self.key_transform(layer), areas, fit, spared: self.spared(layer) }
    }

    pub(super) fn value_plan(&self, layer: &Layer) -> Plan {
        let rotation = self.rotated_heads.map(|_| rotation(layer.d_head));
        Plan {
            transform: Transform::new(rotation, vec![]),
            areas: by_head(layer, layer.d_head),
            fit: Fit::ZeroPoint { clip: self.clip, through_zero: false },
            spared: self.spared(layer),
        }
    }

    fn key_transform(&self, layer: &Layer) -> Transform {
        let rotation = self.rotated_heads.map(|heads| {
            assert!(layer.heads.len().is_multiple_of(heads), "{} heads in groups of {heads}", layer.heads.len());
            rotation(heads * layer.d_head)
        });
        if !self.sorted {
            return Transform::new(rotation, vec![]);
        }
        assert_eq!(layer.channel_sums.len(), layer.width(), "a sum for each channel");
        let sums: Vec<f32> = layer.channel_sums.iter().map(|&sum| sum as f32).collect();
        // The rotated sums are the sums of the rotated keys: one calibration serves every rotation.
        let order = ascending(&Transform::new(rotation, vec![]).rotate(&sums));
        Transform::new(rotation, order)
    }

    fn spared(&self, layer: &Layer) -> Vec<usize> {
        if self.sinks { layer.sinks.clone() } else { vec![] }
    }

    /// Whether a head's keys cannot be stored without those of the others.
    fn joins_heads(&self, d_head: usize) -> bool {
        self.sorted || self.rotated_heads.is_some_and(|heads| heads > 1) || !d_head.is_multiple_of(self.group)
    }
}

impl Rung {
    pub const ALL: [Self; 6] =
        [Self::Plain, Self::Rotated, Self::SmallGroups, Self::Sorted, Self::Clipped, Self::Sinks];
}

/// Groups within the heads, of the rows that each head has.
fn by_head(layer: &Layer, group: usize) -> Vec<Area> {
    let mut areas = vec![];
    for (head, rows) in layer.counts().enumerate() {
        areas.extend((0..rows).flat_map(|row| groups(row, layer.columns(head), group)));
    }
    areas
}

fn rotation(size: usize) -> Orthogonal {
    Orthogonal::of(size).unwrap_or_else(|| panic!("no rotation of {size} channels"))
}
