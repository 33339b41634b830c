//! A linear layer with its activation, and the parts of its backward pass that are no plain product.

use crate::elementary::{add, multiply, silu_four, split, tanh_four, update};
use crate::four::Four;
use crate::gemm::{Matrix, MatrixMut, add_product};

/// What follows the sum of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The sum itself.
    None,
    /// max(0, x).
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// x Φ(x), by its approximation with tanh.
    Gelu,
    /// x / (1 + e^-x).
    Silu,
}

/// The layer's output, and what [`through_activation`] needs besides it: the slope of gelu or silu, else nothing.
///
/// # Shapes
///
/// - input `[batch, d_input]`
/// - weight `[d_input, d_output]`
/// - bias `[d_output]`
/// - output `[batch, d_output]`
pub fn linear(input: Matrix, weight: Matrix, bias: &[f32], activation: Activation) -> (Vec<f32>, Vec<f32>) {
    let ([batch, _], [_, d_output]) = (input.shape(), weight.shape());
    assert_eq!(bias.len(), d_output, "a bias of {} for a weight of {:?}", bias.len(), weight.shape());
    let mut output = Vec::with_capacity(batch * d_output);
    for _ in 0..batch {
        output.extend_from_slice(bias);
    }
    add_product(input, weight, MatrixMut::new(&mut output, batch, d_output));
    let mut slope = vec![];
    match activation {
        Activation::None => {}
        Activation::Relu => update(&mut output, &[], |x, _| x.max(Four::splat(0.0))),
        Activation::Tanh => update(&mut output, &[], |x, _| tanh_four(x)),
        Activation::Gelu => slope = split(&mut output, gelu),
        Activation::Silu => slope = split(&mut output, silu_four),
    }
    (output, slope)
}

/// Turns the gradient after an activation into the gradient before it. `saved` is the slope that [`linear`]
/// returned for gelu and silu, and the output for the others.
///
/// # Shapes
///
/// - saved, gradient: the output's
pub fn through_activation(activation: Activation, saved: &[f32], gradient: &mut [f32]) {
    let zero = Four::splat(0.0);
    match activation {
        Activation::None => {}
        Activation::Relu => update(gradient, saved, |g, y| zero.where_below(y, g, zero)),
        Activation::Tanh => update(gradient, saved, |g, y| g * (Four::splat(1.0) - y * y)),
        Activation::Gelu | Activation::Silu => multiply(gradient, saved),
    }
}

/// The gradient of a bias.
///
/// # Shapes
///
/// - gradient `[batch, d_output]`
/// - output `[d_output]`
pub fn column_sums(gradient: Matrix) -> Vec<f32> {
    let [_, columns] = gradient.shape();
    let mut sums = vec![0.0; columns];
    for row in gradient.numbers().chunks_exact(columns.max(1)) {
        add(&mut sums, row);
    }
    sums
}

/// Value and slope.
#[inline(always)]
fn gelu(x: Four) -> [Four; 2] {
    let (half, one) = (Four::splat(0.5), Four::splat(1.0));
    // The square root of 2 / π, and the weight of the cube.
    let (scale, cube) = (Four::splat(0.797_884_6), Four::splat(0.044_715));
    let square = cube * (x * x);
    let tanh = tanh_four(scale * x * (one + square));
    let value = half * x * (one + tanh);
    let inner = scale * (one + Four::splat(3.0) * square);
    [value, half * (one + tanh) + half * x * (one - tanh * tanh) * inner]
}
