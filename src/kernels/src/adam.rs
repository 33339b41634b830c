//! The Adam optimizer's update of one parameter.

use crate::four::Four;

/// The numbers of one step that every parameter shares.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    /// How much of the mean of gradients is kept (β₁ in the paper).
    pub beta_1: f32,
    /// How much of the mean of squared gradients is kept (β₂).
    pub beta_2: f32,
    /// One minus β₁, given apart because it is rounded better before than after.
    pub rest_1: f32,
    /// One minus β₂.
    pub rest_2: f32,
    /// Learning rate over 1 - β₁ᵗ.
    pub rate: f32,
    /// Square root of 1 - β₂ᵗ.
    pub root: f32,
    /// Keeps the divisor from zero (ε).
    pub epsilon: f32,
    /// What each number is multiplied by beforehand: one, unless weights decay.
    pub keep: f32,
    /// What each gradient is multiplied by beforehand: one, unless gradients are clipped.
    pub scale: f32,
}

/// Updates a parameter and its two moments in place.
///
/// # Shapes
///
/// - all alike
pub fn adam(step: &AdamStep, numbers: &mut [f32], gradient: &[f32], moments: [&mut [f32]; 2]) {
    let [first, second] = moments;
    let lengths = [gradient.len(), first.len(), second.len()];
    assert_eq!(lengths, [numbers.len(); 3], "gradient and moments of a parameter of {}", numbers.len());
    let splat = |number: f32| Four::splat(number);
    let (beta_1, beta_2, rest_1, rest_2) =
        (splat(step.beta_1), splat(step.beta_2), splat(step.rest_1), splat(step.rest_2));
    let (rate, root, epsilon) = (splat(step.rate), splat(1.0 / step.root), splat(step.epsilon));
    let (keep, scale) = (splat(step.keep), splat(step.scale));
    let update = |number: &mut [f32; 4], gradient: &[f32; 4], first: &mut [f32; 4], second: &mut [f32; 4]| {
        let gradient = Four::load(gradient) * scale;
        let mean = beta_1 * Four::load(first) + rest_1 * gradient;
        let square = beta_2 * Four::load(second) + rest_2 * (gradient * gradient);
        let moved = Four::load(number) * keep - rate * mean / (square.sqrt() * root + epsilon);
        (*number, *first, *second) = (moved.to_array(), mean.to_array(), square.to_array());
    };
    let (numbers, numbers_rest) = numbers.as_chunks_mut::<4>();
    let (gradients, gradient_rest) = gradient.as_chunks::<4>();
    let (firsts, first_rest) = first.as_chunks_mut::<4>();
    let (seconds, second_rest) = second.as_chunks_mut::<4>();
    for (((number, gradient), first), second) in numbers.iter_mut().zip(gradients).zip(firsts).zip(seconds) {
        update(number, gradient, first, second);
    }
    let rest = numbers_rest.len();
    let padded = |numbers: &[f32]| {
        let mut last = [0.0; 4];
        last[..rest].copy_from_slice(numbers);
        last
    };
    let (mut number, mut first, mut second) = (padded(numbers_rest), padded(first_rest), padded(second_rest));
    update(&mut number, &padded(gradient_rest), &mut first, &mut second);
    numbers_rest.copy_from_slice(&number[..rest]);
    first_rest.copy_from_slice(&first[..rest]);
    second_rest.copy_from_slice(&second[..rest]);
}
