//! Elementary functions, four numbers at a time, with the greatest error that the tests allow them.
//!
//! The polynomials for `exp` and `ln` are those of the Cephes library, the fraction for `tanh` is Eigen's.

use crate::four::Four;

/// Applies `f` to four numbers at a time. The last ones are padded with ones, which every function here takes.
#[inline(always)]
pub(crate) fn map(input: &[f32], f: impl Fn(Four) -> Four) -> Vec<f32> {
    let mut output = vec![0.0; input.len()];
    let (chunks, rest) = input.as_chunks::<4>();
    let (outputs, output_rest) = output.as_chunks_mut::<4>();
    for (input, output) in chunks.iter().zip(outputs) {
        *output = f(Four::load(input)).to_array();
    }
    if !rest.is_empty() {
        let mut last = [1.0; 4];
        last[..rest.len()].copy_from_slice(rest);
        output_rest.copy_from_slice(&f(Four::load(&last)).to_array()[..rest.len()]);
    }
    output
}

/// Replaces each number by `f` of it and of the one beside it in `other`, which may be empty.
#[inline(always)]
pub(crate) fn update(numbers: &mut [f32], other: &[f32], f: impl Fn(Four, Four) -> Four) {
    assert!(other.is_empty() || other.len() == numbers.len(), "{} numbers beside {}", other.len(), numbers.len());
    let (chunks, rest) = numbers.as_chunks_mut::<4>();
    let (others, other_rest) = other.as_chunks::<4>();
    if other.is_empty() {
        for chunk in chunks {
            *chunk = f(Four::load(chunk), Four::splat(0.0)).to_array();
        }
    } else {
        for (chunk, other) in chunks.iter_mut().zip(others) {
            *chunk = f(Four::load(chunk), Four::load(other)).to_array();
        }
    }
    if !rest.is_empty() {
        let (mut last, mut last_other) = ([0.0; 4], [0.0; 4]);
        last[..rest.len()].copy_from_slice(rest);
        last_other[..other_rest.len()].copy_from_slice(other_rest);
        let last = f(Four::load(&last), Four::load(&last_other)).to_array();
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// Replaces each number by the first of what `f` makes of it; gives the second.
#[inline(always)]
pub(crate) fn split(numbers: &mut [f32], f: impl Fn(Four) -> [Four; 2]) -> Vec<f32> {
    let mut seconds = vec![0.0; numbers.len()];
    let (chunks, rest) = numbers.as_chunks_mut::<4>();
    let (outputs, output_rest) = seconds.as_chunks_mut::<4>();
    for (chunk, output) in chunks.iter_mut().zip(outputs) {
        [*chunk, *output] = f(Four::load(chunk)).map(Four::to_array);
    }
    if !rest.is_empty() {
        let mut last = [0.0; 4];
        last[..rest.len()].copy_from_slice(rest);
        let [first, second] = f(Four::load(&last)).map(Four::to_array);
        rest.copy_from_slice(&first[..rest.len()]);
        output_rest.copy_from_slice(&second[..rest.len()]);
    }
    seconds
}

/// Joins each number, and the one beside it in `other`, to four sums, and adds these up. What is missing of the last
/// four counts as zero.
#[inline(always)]
pub(crate) fn fold(numbers: &[f32], other: &[f32], f: impl Fn(Four, Four, Four) -> Four) -> f32 {
    assert!(other.is_empty() || other.len() == numbers.len(), "{} numbers beside {}", other.len(), numbers.len());
    let (chunks, rest) = numbers.as_chunks::<4>();
    let (others, other_rest) = other.as_chunks::<4>();
    let zero = Four::splat(0.0);
    let mut sums = zero;
    if other.is_empty() {
        for chunk in chunks {
            sums = f(sums, Four::load(chunk), zero);
        }
    } else {
        for (chunk, other) in chunks.iter().zip(others) {
            sums = f(sums, Four::load(chunk), Four::load(other));
        }
    }
    if !rest.is_empty() {
        let (mut last, mut last_other) = ([0.0; 4], [0.0; 4]);
        last[..rest.len()].copy_from_slice(rest);
        last_other[..other_rest.len()].copy_from_slice(other_rest);
        sums = f(sums, Four::load(&last), Four::load(&last_other));
    }
    sums.sum()
}

/// e^x. Relative error at most 1e-7 where the result is a normal number; infinite and zero where it must be.
pub fn exp(input: &[f32]) -> Vec<f32> {
    map(input, exp_four)
}

/// Natural logarithm. Relative error at most 1e-7; -infinity at zero, NaN below.
pub fn ln(input: &[f32]) -> Vec<f32> {
    map(input, ln_four)
}

/// Hyperbolic tangent. Relative error at most 5e-7.
pub fn tanh(input: &[f32]) -> Vec<f32> {
    map(input, tanh_four)
}

/// ln(1 + e^x). Relative error at most 3e-7 where the result is a normal number.
pub fn softplus(input: &[f32]) -> Vec<f32> {
    map(input, softplus_four)
}

/// 1 / (1 + e^-x), the derivative of softplus. Relative error at most 2e-7 where the result is a normal number.
pub fn sigmoid(input: &[f32]) -> Vec<f32> {
    map(input, |x| Four::splat(1.0) / (Four::splat(1.0) + exp_four(-x)))
}

/// x / (1 + e^-x). Relative error at most 3e-7 where e^-x is a normal number.
pub fn silu(input: &[f32]) -> Vec<f32> {
    map(input, |x| silu_four(x)[0])
}

/// The derivative of [`silu`].
pub fn silu_slope(input: &[f32]) -> Vec<f32> {
    map(input, |x| silu_four(x)[1])
}

/// Adds to each number the one beside it.
pub fn add(numbers: &mut [f32], other: &[f32]) {
    update(numbers, other, |x, y| x + y);
}

/// Multiplies each number by the one beside it: the way back through `exp` (by the output) or softplus (by the sigmoid).
pub fn multiply(numbers: &mut [f32], by: &[f32]) {
    update(numbers, by, |x, by| x * by);
}

/// Divides each number by the one beside it: the way back through `ln` (by the input).
pub fn divide(numbers: &mut [f32], by: &[f32]) {
    update(numbers, by, |x, by| x / by);
}

/// Multiplies every number by the same one.
pub fn scale(numbers: &mut [f32], by: f32) {
    let by = Four::splat(by);
    update(numbers, &[], |x, _| x * by);
}

/// Sum of the squares.
pub fn sum_of_squares(numbers: &[f32]) -> f64 {
    numbers.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()
}

/// The value at `x` of the polynomial with these coefficients, the highest power first.
#[inline(always)]
fn polynomial<const N: usize>(x: Four, coefficients: [f32; N]) -> Four {
    let mut value = Four::splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        value = value * x + Four::splat(*coefficient);
    }
    value
}

#[inline(always)]
pub(crate) fn exp_four(x: Four) -> Four {
    // Adding a large number leaves the nearest integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let x = x.min(Four::splat(89.0)).max(Four::splat(-104.0));
    let rounded = x * Four::splat(std::f32::consts::LOG2_E) + Four::splat(ROUND);
    let power = rounded - Four::splat(ROUND);
    // ln 2 in two parts, the first of which multiplies exactly.
    let rest = x - power * Four::splat(0.693_359_4) - power * Four::splat(-2.121_944_4e-4);
    let tail = polynomial(rest, [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5]);
    let value = tail * (rest * rest) + rest + Four::splat(1.0);
    // Two factors, because the greatest and the least powers of two do not fit one.
    let power = rounded.sub_bits(Four::splat(ROUND));
    let half = power.shift_right::<1>();
    let bias = Four::splat(f32::from_bits(127));
    let first = half.add_bits(bias).shift_left::<23>();
    let second = power.sub_bits(half).add_bits(bias).shift_left::<23>();
    value * first * second
}

/// Value and slope of silu.
#[inline(always)]
pub(crate) fn silu_four(x: Four) -> [Four; 2] {
    let one = Four::splat(1.0);
    let sigmoid = one / (one + exp_four(-x));
    let value = x * sigmoid;
    [value, sigmoid + value * (one - sigmoid)]
}

#[inline(always)]
pub(crate) fn ln_four(x: Four) -> Four {
    let one = Four::splat(1.0);
    // A subnormal number has no exponent to read until it is scaled up.
    let scaled = x.where_below(Four::splat(f32::MIN_POSITIVE), x * Four::splat(8_388_608.0), x);
    let shift = x.where_below(Four::splat(f32::MIN_POSITIVE), Four::splat(-149.0), Four::splat(-126.0));
    let exponent = scaled.shift_right::<23>().integer() + shift;
    let mantissa = scaled.and(0x007f_ffff).or(0x3f00_0000);
    // The mantissa is brought near one, where the logarithm is near zero and its error must be too.
    let root = Four::splat(std::f32::consts::FRAC_1_SQRT_2);
    let exponent = mantissa.where_below(root, exponent - one, exponent);
    let m = mantissa.where_below(root, mantissa + mantissa, mantissa) - one;
    let square = m * m;
    let tail = polynomial(
        m,
        [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            0.333_333_3,
        ],
    );
    let low = tail * m * square + exponent * Four::splat(-2.121_944_4e-4) - square * Four::splat(0.5);
    let value = m + low + exponent * Four::splat(0.693_359_4);
    let infinity = Four::splat(f32::INFINITY);
    // Infinity and NaN are not below infinity, and stay what they are.
    let value = x.where_below(infinity, value, x);
    let negative = x.where_below(Four::splat(0.0), Four::splat(f32::NAN), -infinity);
    Four::splat(0.0).where_below(x, value, x.where_below(infinity, negative, x))
}

#[inline(always)]
pub(crate) fn tanh_four(x: Four) -> Four {
    // Beyond this the fraction would pass one.
    let bound = Four::splat(7.905_311);
    let clamped = x.min(bound).max(-bound);
    let square = clamped * clamped;
    let odd = polynomial(
        square,
        [-2.760_768_5e-16, 2.000_188e-13, -8.604_672e-11, 5.122_297e-8, 1.485_722_4e-5, 6.372_619_3e-4, 4.893_524_6e-3],
    );
    let even = polynomial(square, [1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3]);
    // Near zero the fraction loses a bit that the number itself has.
    x.abs().where_below(Four::splat(4e-4), x, clamped * odd / even)
}

#[inline(always)]
fn softplus_four(x: Four) -> Four {
    let one = Four::splat(1.0);
    let small = exp_four(-x.abs());
    let sum = one + small;
    // What rounding took from the sum is put back by the factor (Kahan); where the sum is one, all was taken.
    let log = one.where_below(sum, ln_four(sum) * small / (sum - one), small);
    x.max(Four::splat(0.0)) + log
}
