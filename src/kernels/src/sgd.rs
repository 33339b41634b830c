//! Stochastic gradient descent's update of one parameter.

use crate::elementary::update;
use crate::four::Four;

/// The numbers of one step that every parameter shares.
#[derive(Clone, Copy, Debug)]
pub struct SgdStep {
    /// Learning rate, times what gradients are multiplied by beforehand where they are clipped.
    pub rate: f32,
    /// What each number is multiplied by beforehand: one, unless weights decay.
    pub keep: f32,
}

/// Updates a parameter in place.
///
/// # Shapes
///
/// - both alike
pub fn sgd(step: &SgdStep, numbers: &mut [f32], gradient: &[f32]) {
    let (rate, keep) = (Four::splat(step.rate), Four::splat(step.keep));
    update(numbers, gradient, |x, g| x * keep - g * rate);
}
