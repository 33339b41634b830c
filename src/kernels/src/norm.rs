//! Normalization of rows: layer norm (Ba et al. 2016, eq. 4) and root-mean-square norm (Zhang & Sennrich 2019, eq. 4).

use crate::elementary::{add, fold, multiply, scale, update};
use crate::four::Four;

/// What each row is brought to before gain and bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Mean zero and variance one.
    Layer,
    /// A mean square of one.
    RootMeanSquare,
}

/// What the backward pass needs of a forward pass.
#[derive(Clone, Debug)]
pub struct Normalized {
    /// The rows before gain and bias, `[rows, width]`.
    rows: Vec<f32>,
    /// What each row was multiplied by, `[rows]`.
    factors: Vec<f32>,
}

/// Each row normalized, times the gain, plus the bias.
///
/// # Shapes
///
/// - input, output `[rows, width]`
/// - gain `[width]`
/// - bias `[width]`, or empty for none
pub fn norm(norm: Norm, input: &[f32], gain: &[f32], bias: &[f32], epsilon: f32) -> (Vec<f32>, Normalized) {
    let width = gain.len();
    check(input, gain);
    assert!(bias.is_empty() || bias.len() == width, "a bias of {} beside a gain of {width}", bias.len());
    let (mut rows, mut factors) = (input.to_vec(), Vec::with_capacity(input.len() / width.max(1)));
    let mut output = vec![0.0; input.len()];
    for (row, output) in rows.chunks_exact_mut(width.max(1)).zip(output.chunks_exact_mut(width.max(1))) {
        if norm == Norm::Layer {
            let mean = Four::splat(fold(row, &[], |sum, x, _| sum + x) / width as f32);
            update(row, &[], |x, _| x - mean);
        }
        let square = fold(row, &[], |sum, x, _| sum + x * x) / width as f32;
        let factor = 1.0 / (square + epsilon).sqrt();
        factors.push(factor);
        scale(row, factor);
        output.copy_from_slice(row);
        multiply(output, gain);
        if !bias.is_empty() {
            add(output, bias);
        }
    }
    (output, Normalized { rows, factors })
}

/// The gradients of input, gain and bias from that of the output.
///
/// # Shapes
///
/// - gradient `[rows, width]`, gain `[width]`
/// - output `[rows, width]`, `[width]`, `[width]`
pub fn norm_backward(norm: Norm, saved: &Normalized, gain: &[f32], gradient: &[f32]) -> [Vec<f32>; 3] {
    let width = gain.len();
    check(gradient, gain);
    assert_eq!(saved.rows.len(), gradient.len(), "a gradient of another shape than what was normalized");
    let (mut to_gain, mut to_bias) = (vec![0.0; width], vec![0.0; width]);
    let mut to_input = vec![0.0; gradient.len()];
    let width = width.max(1);
    let rows = saved.rows.chunks_exact(width).zip(&saved.factors);
    for (((row, factor), gradient), to) in rows.zip(gradient.chunks_exact(width)).zip(to_input.chunks_exact_mut(width))
    {
        add(&mut to_bias, gradient);
        to.copy_from_slice(row);
        multiply(to, gradient);
        add(&mut to_gain, to);
        to.copy_from_slice(gradient);
        multiply(to, gain);
        // What moves all of a row alike, or along itself, is taken out again by the normalization.
        let mean = match norm {
            Norm::Layer => fold(to, &[], |sum, g, _| sum + g) / width as f32,
            Norm::RootMeanSquare => 0.0,
        };
        let along = fold(to, row, |sum, g, x| sum + g * x) / width as f32;
        let (mean, along, factor) = (Four::splat(mean), Four::splat(along), Four::splat(*factor));
        update(to, row, |g, x| factor * (g - mean - x * along));
    }
    [to_input, to_gain, to_bias]
}

fn check(rows: &[f32], gain: &[f32]) {
    assert!(rows.len().is_multiple_of(gain.len().max(1)), "{} numbers in rows of {}", rows.len(), gain.len());
}
