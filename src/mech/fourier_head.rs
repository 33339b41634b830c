//! The Fourier head: the probabilities of ordered bins, read off a density that is a truncated Fourier series.
//!
//! A linear layer yields complex amplitudes a_0..a_N; the density on [-1, 1] is |A(z)|^2 / (2 sum |a_l|^2) with
//! A(z) = sum of a_l e^(i l pi z). That square is the paper's autocorrelated series itself, and unlike the
//! autocorrelation it cannot become negative by rounding.
//! [`FourierHead`] and [`FourierDensity`] are what is trained; [`FourierSeries`] is the same density in plain numbers,
//! for what is shown and tested. Neither knows a loss or a data set.

use std::f64::consts::{PI, TAU};

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

use super::ops::{self, Activation};
use super::value_bins::bin_centers;
use crate::seed::Stream;

/// Keeps a density whose amplitudes are all zero from dividing by zero. Far below any that training meets, so that
/// the output does not depend on the amplitudes' scale.
const GUARD: f64 = 1e-18;

/// How much smaller than a linear layer's the paper draws its first weights and amplitudes.
const SHRINKAGE: f64 = 0.01;

/// How the amplitudes of a new head are drawn.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum FourierStart {
    /// A linear layer's usual weights and biases, a hundredth of them. The first density is not flat: it does not
    /// depend on the scale.
    Paper,
    /// The same weights, and biases that make the density nearly flat: one for the constant wave, zero for the others.
    Uniform,
}

/// Configuration of a [`FourierHead`].
#[derive(Config, Debug)]
pub struct FourierHeadConfig {
    pub d_input: usize,
    pub bins: usize,
    /// Highest frequency kept in the series (N in the paper).
    pub frequencies: usize,
    /// Added to each probability before the logarithm, so that no logit is minus infinity.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    #[config(default = "FourierStart::Paper")]
    pub start: FourierStart,
}

/// A classification head over even bins of [-1, 1]; see [`FourierHeadConfig::init`].
#[derive(Module, Debug)]
pub struct FourierHead {
    /// To real parts, then imaginary parts. `[d_input, 2 (frequencies + 1)]`
    pub amplitudes: Linear,
    pub basis: FourierBasis,
}

impl FourierHeadConfig {
    /// Initializes a new [`FourierHead`].
    pub fn init(&self, device: &Device) -> FourierHead {
        let waves = self.frequencies + 1;
        // PyTorch's bounds, shrunk: the same numbers as shrinking what was drawn.
        let initializer = Initializer::KaimingUniform { gain: SHRINKAGE / libm::sqrt(3.0), fan_out_only: false };
        let mut amplitudes = LinearConfig::new(self.d_input, 2 * waves).with_initializer(initializer).init(device);
        if self.start == FourierStart::Uniform {
            let mut bias = vec![0.0_f32; 2 * waves];
            bias[0] = 1.0;
            amplitudes.bias = Some(Param::from_data(TensorData::new(bias, [2 * waves]), device));
        }
        FourierHead { amplitudes, basis: FourierBasis::new(self.bins, self.frequencies, self.epsilon, device) }
    }
}

impl FourierHead {
    /// Log-probability of each bin, up to a constant: logits for a softmax cross-entropy.
    ///
    /// # Shapes
    ///
    /// - input `[batch, d_input]`
    /// - output `[batch, bins]`; its softmax is the density at the bin centers
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.basis.logits(self.amplitudes(input))
    }

    /// The amplitudes of each density: what [`FourierBasis`] turns into logits and penalties, for whoever needs both.
    ///
    /// # Shapes
    ///
    /// - input `[batch, d_input]`
    /// - output `[batch, 2 (frequencies + 1)]`, real parts and then imaginary parts
    pub fn amplitudes(&self, input: Tensor<2>) -> Tensor<2> {
        ops::linear_layer(&self.amplitudes, input, Activation::None)
    }

    /// The paper's regularizer without its factor gamma; see [`FourierBasis::penalty`].
    ///
    /// # Shapes
    ///
    /// - input `[batch, d_input]`
    /// - output `[1]`
    pub fn penalty(&self, input: Tensor<2>) -> Tensor<1> {
        self.basis.penalty(self.amplitudes(input))
    }

    /// The regularizer on the normalized coefficients; see [`FourierBasis::normalized_penalty`].
    ///
    /// # Shapes
    ///
    /// - input `[batch, d_input]`
    /// - output `[1]`
    pub fn normalized_penalty(&self, input: Tensor<2>) -> Tensor<1> {
        self.basis.normalized_penalty(self.amplitudes(input))
    }
}

/// Densities without a condition, side by side: the amplitudes are the only parameters.
#[derive(Module, Debug)]
pub struct FourierDensity {
    /// Real parts, then imaginary parts. `[densities, 2 (frequencies + 1)]`
    pub amplitudes: Param<Tensor<2>>,
    pub basis: FourierBasis,
}

impl FourierDensity {
    /// A density over `bins` bins for each row of amplitudes that it starts from: real parts, then imaginary parts.
    pub fn new(bins: usize, epsilon: f64, amplitudes: &[Vec<f32>], device: &Device) -> Self {
        let count = amplitudes.first().map_or(0, Vec::len);
        assert!(count >= 2 && count.is_multiple_of(2), "{count} numbers are no real and imaginary parts");
        Self {
            amplitudes: Param::from_data(TensorData::new(amplitudes.concat(), [amplitudes.len(), count]), device),
            basis: FourierBasis::new(bins, count / 2 - 1, epsilon, device),
        }
    }

    /// Amplitudes to start from: a hundredth of normal draws.
    pub fn start(frequencies: usize, stream: &mut Stream) -> Vec<f32> {
        (0..2 * (frequencies + 1)).map(|_| stream.normal(0.0, SHRINKAGE) as f32).collect()
    }

    /// Log-probability of each bin, up to a constant.
    ///
    /// # Shapes
    ///
    /// - output `[densities, bins]`
    pub fn forward(&self) -> Tensor<2> {
        self.basis.logits(self.amplitudes.val())
    }

    /// See [`FourierBasis::penalty`].
    ///
    /// # Shapes
    ///
    /// - output `[1]`
    pub fn penalty(&self) -> Tensor<1> {
        self.basis.penalty(self.amplitudes.val())
    }

    /// See [`FourierBasis::normalized_penalty`].
    ///
    /// # Shapes
    ///
    /// - output `[1]`
    pub fn normalized_penalty(&self) -> Tensor<1> {
        self.basis.normalized_penalty(self.amplitudes.val())
    }
}

/// The waves that amplitudes are multiplied with: constants, shared by whatever yields the amplitudes.
#[derive(Module, Debug)]
pub struct FourierBasis {
    /// From amplitudes to Re A and then Im A at the bin centers. `[2 (frequencies + 1), 2 bins]`
    waves: Tensor<2>,
    /// The same at the quadrature points. `[2 (frequencies + 1), 2 points]`
    quadrature: Tensor<2>,
    /// From amplitudes to the derivatives of Re A and Im A at the quadrature points. `[2 (frequencies + 1), 2 points]`
    slopes: Tensor<2>,
    pub bins: usize,
    pub frequencies: usize,
    pub epsilon: f64,
}

impl FourierBasis {
    pub fn new(bins: usize, frequencies: usize, epsilon: f64, device: &Device) -> Self {
        assert!(bins > 0, "a density over no bins");
        // The squared slope of |A|^2 has waves up to 2N, and the mean of 2N + 1 even points integrates those exactly;
        // the bins are too few for that when there are no more than 2N, and more than are needed otherwise.
        let points = 2 * frequencies + 1;
        Self {
            waves: wave_matrix(frequencies, &bin_centers(bins), device),
            quadrature: wave_matrix(frequencies, &bin_centers(points), device),
            slopes: slope_matrix(frequencies, &bin_centers(points), device),
            bins,
            frequencies,
            epsilon,
        }
    }

    /// Log-probability of each bin, up to a constant.
    ///
    /// # Shapes
    ///
    /// - amplitudes `[batch, 2 (frequencies + 1)]`
    /// - output `[batch, bins]`
    pub fn logits(&self, amplitudes: Tensor<2>) -> Tensor<2> {
        let values = amplitudes.matmul(self.waves.clone()); // [batch, 2 bins]
        let power = sum_of_halves(values.clone() * values); // [batch, bins]
        let total = power.clone().sum_dim(1) + GUARD;
        ops::ln(power / total + self.epsilon)
    }

    /// The paper's regularizer without its factor gamma: the mean over the batch of the sum of 4 pi^2 n^2 |c_n|^2,
    /// on coefficients that are *not* normalized, so that a network evades it by shrinking its amplitudes.
    ///
    /// It equals the integral over [-1, 1] of the squared slope of |A|^2, and is computed as such.
    ///
    /// # Shapes
    ///
    /// - amplitudes `[batch, 2 (frequencies + 1)]`
    /// - output `[1]`
    pub fn penalty(&self, amplitudes: Tensor<2>) -> Tensor<1> {
        let slopes = self.half_slopes(amplitudes);
        // Eight: slopes are halves, squared, and the integral over a length of two is twice the mean.
        (slopes.clone() * slopes).mean() * 8.0
    }

    /// The same of c_n / c_0, which the scale of the amplitudes does not change. Ours, not the paper's.
    ///
    /// # Shapes
    ///
    /// - amplitudes `[batch, 2 (frequencies + 1)]`
    /// - output `[1]`
    pub fn normalized_penalty(&self, amplitudes: Tensor<2>) -> Tensor<1> {
        let zeroth = (amplitudes.clone() * amplitudes.clone()).sum_dim(1) + GUARD; // [batch, 1]
        let slopes = self.half_slopes(amplitudes) / zeroth;
        (slopes.clone() * slopes).mean() * 8.0
    }

    /// Half the slope of |A|^2 at the quadrature points. `[batch, points]`
    fn half_slopes(&self, amplitudes: Tensor<2>) -> Tensor<2> {
        let values = amplitudes.clone().matmul(self.quadrature.clone());
        let slopes = amplitudes.matmul(self.slopes.clone());
        sum_of_halves(values * slopes)
    }
}

/// Adds the left half of each row to its right half. `[batch, 2 n]` to `[batch, n]`
fn sum_of_halves(pairs: Tensor<2>) -> Tensor<2> {
    let [batch, columns] = pairs.dims();
    pairs.reshape([batch, 2, columns / 2]).sum_dim(1).reshape([batch, columns / 2])
}

/// Rows: the real parts, then the imaginary parts of the amplitudes; columns: Re A, then Im A at the points.
fn wave_matrix(frequencies: usize, points: &[f64], device: &Device) -> Tensor<2> {
    matrix(frequencies, points, device, |_, cos, sin| [cos, sin, -sin, cos])
}

/// The derivative of [`wave_matrix`] in the points.
fn slope_matrix(frequencies: usize, points: &[f64], device: &Device) -> Tensor<2> {
    matrix(frequencies, points, device, |rate, cos, sin| [-sin, cos, -cos, -sin].map(|value| rate * value))
}

/// `entries` gives, for a wave's angular rate, cosine and sine: what a real amplitude adds to Re A and to Im A, and
/// what an imaginary one does.
fn matrix(
    frequencies: usize,
    points: &[f64],
    device: &Device,
    entries: impl Fn(f64, f64, f64) -> [f64; 4],
) -> Tensor<2> {
    let columns = 2 * points.len();
    let mut numbers = vec![0.0_f32; 2 * (frequencies + 1) * columns];
    for wave in 0..=frequencies {
        let rate = PI * wave as f64;
        for (column, point) in points.iter().enumerate() {
            let entries = entries(rate, libm::cos(rate * point), libm::sin(rate * point));
            let real = wave * columns + column;
            let imaginary = (frequencies + 1 + wave) * columns + column;
            for (at, entry) in [real, real + points.len(), imaginary, imaginary + points.len()].into_iter().zip(entries)
            {
                numbers[at] = entry as f32;
            }
        }
    }
    Tensor::from_data(TensorData::new(numbers, [2 * (frequencies + 1), columns]), device)
}

/// How often an interval of [-1, 1] is halved to invert a cumulative distribution, as in the paper's code.
const BISECTIONS: usize = 25;

/// A density of the head in plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct FourierSeries {
    re: Vec<f64>,
    im: Vec<f64>,
    coefficients: Vec<[f64; 2]>,
}

impl FourierSeries {
    /// From the real and imaginary parts of the amplitudes.
    pub fn new(re: &[f64], im: &[f64]) -> Self {
        assert!(!re.is_empty() && re.len() == im.len(), "{} real and {} imaginary parts", re.len(), im.len());
        Self { re: re.to_vec(), im: im.to_vec(), coefficients: autocorrelation(re, im) }
    }

    /// From one row of what [`FourierHead::amplitudes`] yields.
    pub fn from_row(row: &[f32]) -> Self {
        let numbers: Vec<f64> = row.iter().map(|&number| f64::from(number)).collect();
        let (re, im) = numbers.split_at(numbers.len() / 2);
        Self::new(re, im)
    }

    /// Highest frequency of the series.
    pub fn frequencies(&self) -> usize {
        self.re.len() - 1
    }

    /// Real and imaginary part of each amplitude a_l.
    pub fn amplitudes(&self) -> impl DoubleEndedIterator<Item = [f64; 2]> {
        self.re.iter().zip(&self.im).map(|(&re, &im)| [re, im])
    }

    /// Real and imaginary part of each Fourier coefficient c_0, ..., c_N of |A|^2.
    pub fn coefficients(&self) -> &[[f64; 2]] {
        &self.coefficients
    }

    /// c_1 / c_0, ..., c_N / c_0; zero if all amplitudes are.
    pub fn normalized_coefficients(&self) -> impl Iterator<Item = [f64; 2]> {
        let zeroth = self.coefficients[0][0];
        let scale = if zeroth > 0.0 { 1.0 / zeroth } else { 0.0 };
        self.coefficients[1..].iter().map(move |coefficient| coefficient.map(|part| part * scale))
    }

    /// The density at a point of [-1, 1].
    pub fn density(&self, point: f64) -> f64 {
        let zeroth = self.coefficients[0][0];
        if zeroth > 0.0 { self.power(point) / (2.0 * zeroth) } else { 0.5 }
    }

    /// The probability of what lies below a point of [-1, 1].
    pub fn cdf(&self, point: f64) -> f64 {
        let (cos, sin) = (libm::cos(PI * point), libm::sin(PI * point));
        let mut wave = [1.0, 0.0];
        let mut sign = 1.0;
        let mut sum = point / 2.0 + 0.5;
        for (n, [re, im]) in (1..).zip(self.normalized_coefficients()) {
            wave = [wave[0] * cos - wave[1] * sin, wave[0] * sin + wave[1] * cos];
            sign = -sign;
            sum += (re * wave[1] + im * (wave[0] - sign)) / (PI * f64::from(n));
        }
        sum
    }

    /// The point below which this probability lies.
    pub fn inverse_cdf(&self, probability: f64) -> f64 {
        let (mut low, mut high) = (-1.0, 1.0);
        for _ in 0..BISECTIONS {
            let middle = (low + high) / 2.0;
            if self.cdf(middle) < probability { low = middle } else { high = middle }
        }
        (low + high) / 2.0
    }

    /// The density at the centers of `bins` even bins, made to sum to one.
    pub fn pmf(&self, bins: usize) -> Vec<f64> {
        super::toy_densities::normalized(bin_centers(bins).into_iter().map(|center| self.power(center)).collect())
    }

    /// The paper's regularizer without its factor gamma: the sum of 4 pi^2 n^2 |c_n|^2.
    pub fn penalty(&self) -> f64 {
        wiggle(self.coefficients[1..].iter().copied())
    }

    /// The same of c_n / c_0.
    pub fn normalized_penalty(&self) -> f64 {
        wiggle(self.normalized_coefficients())
    }

    /// |A|^2 at a point, by Horner's rule: one sine and one cosine whatever the number of waves.
    fn power(&self, point: f64) -> f64 {
        let (cos, sin) = (libm::cos(PI * point), libm::sin(PI * point));
        let (mut re, mut im) = (0.0, 0.0);
        for [amplitude_re, amplitude_im] in self.amplitudes().rev() {
            (re, im) = (re * cos - im * sin + amplitude_re, re * sin + im * cos + amplitude_im);
        }
        re * re + im * im
    }
}

/// From c_1 on.
fn wiggle(coefficients: impl Iterator<Item = [f64; 2]>) -> f64 {
    (1..).zip(coefficients).map(|(n, [re, im])| TAU * TAU * f64::from(n * n) * (re * re + im * im)).sum()
}

/// c_n = sum over l of a_(l + n) conj(a_l). The paper writes the conjugate, a mirror image; its code does this.
fn autocorrelation(re: &[f64], im: &[f64]) -> Vec<[f64; 2]> {
    (0..re.len())
        .map(|lag| {
            let pairs = (0..re.len() - lag)
                .map(|l| [re[l + lag] * re[l] + im[l + lag] * im[l], im[l + lag] * re[l] - re[l + lag] * im[l]]);
            pairs.fold([0.0, 0.0], |sum, pair| [sum[0] + pair[0], sum[1] + pair[1]])
        })
        .collect()
}
