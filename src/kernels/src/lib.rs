//! Fused operations on f32 slices.
