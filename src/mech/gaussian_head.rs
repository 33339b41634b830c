//! A mixture of Gaussians as a classification head over bins: the paper's baseline that knows the data's family.
//!
//! Means depend on the input, widths are free parameters that do not, weights are equal. [`GaussianHead`] and
//! [`GaussianDensity`] are what is trained; neither knows a loss or a data set.

use std::f64::consts::TAU;

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

use super::ops::{self, Activation};
use super::value_bins::bin_centers;

/// Configuration of a [`GaussianHead`].
#[derive(Config, Debug)]
pub struct GaussianHeadConfig {
    pub d_input: usize,
    pub bins: usize,
    /// Gaussians in the mixture (K in the paper).
    pub components: usize,
    /// Added to the density before the logarithm, so that no logit is minus infinity.
    #[config(default = 1e-5)]
    pub epsilon: f64,
}

/// A classification head over even bins of [-1, 1]; see [`GaussianHeadConfig::init`].
#[derive(Module, Debug)]
pub struct GaussianHead {
    /// To the means, before they are squeezed into [-1, 1]. `[d_input, components]`
    pub means: Linear,
    pub mixture: GaussianMixture,
}

impl GaussianHeadConfig {
    /// Initializes a new [`GaussianHead`].
    pub fn init(&self, device: &Device) -> GaussianHead {
        GaussianHead {
            means: LinearConfig::new(self.d_input, self.components).init(device),
            mixture: GaussianMixture::new(1, self.bins, self.components, self.epsilon, device),
        }
    }
}

impl GaussianHead {
    /// Logarithm of the density at each bin center: logits for a softmax cross-entropy.
    ///
    /// # Shapes
    ///
    /// - input `[batch, d_input]`
    /// - output `[batch, bins]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.mixture.logits(self.means(input))
    }

    /// The mean of each Gaussian.
    ///
    /// # Shapes
    ///
    /// - input `[batch, d_input]`
    /// - output `[batch, components]`
    pub fn means(&self, input: Tensor<2>) -> Tensor<2> {
        ops::linear_layer(&self.means, input, Activation::Tanh)
    }
}

/// Mixtures without a condition, side by side.
#[derive(Module, Debug)]
pub struct GaussianDensity {
    /// The means, before they are squeezed into [-1, 1]. `[mixtures, components]`
    pub raw_means: Param<Tensor<2>>,
    pub mixture: GaussianMixture,
}

impl GaussianDensity {
    /// A mixture over `bins` bins for each row of means that it starts from, each within (-1, 1). Those of a mixture must
    /// differ, or their Gaussians never part.
    pub fn new<const K: usize>(bins: usize, epsilon: f64, means: &[[f64; K]], device: &Device) -> Self {
        let raw: Vec<f32> = means.as_flattened().iter().map(|&mean| libm::atanh(mean) as f32).collect();
        Self {
            raw_means: Param::from_data(TensorData::new(raw, [means.len(), K]), device),
            mixture: GaussianMixture::new(means.len(), bins, K, epsilon, device),
        }
    }

    /// Logarithm of the density at each bin center.
    ///
    /// # Shapes
    ///
    /// - output `[mixtures, bins]`
    pub fn forward(&self) -> Tensor<2> {
        self.mixture.logits(self.means())
    }

    /// The mean of each Gaussian.
    ///
    /// # Shapes
    ///
    /// - output `[mixtures, components]`
    pub fn means(&self) -> Tensor<2> {
        ops::tanh(self.raw_means.val())
    }
}

/// The widths of mixtures, and the bins that they are read at.
#[derive(Module, Debug)]
pub struct GaussianMixture {
    /// Whose softplus is the standard deviation. `[mixtures, components]`
    pub raw_deviations: Param<Tensor<2>>,
    /// `[1, 1, bins]`
    centers: Tensor<3>,
    pub components: usize,
    pub epsilon: f64,
}

impl GaussianMixture {
    pub fn new(mixtures: usize, bins: usize, components: usize, epsilon: f64, device: &Device) -> Self {
        assert!(bins > 0 && components > 0, "{components} Gaussians over {bins} bins");
        let raw = vec![Self::first_raw_deviation(bins) as f32; mixtures * components];
        let centers: Vec<f32> = bin_centers(bins).into_iter().map(|center| center as f32).collect();
        Self {
            raw_deviations: Param::from_data(TensorData::new(raw, [mixtures, components]), device),
            centers: Tensor::from_data(TensorData::new(centers, [1, 1, bins]), device),
            components,
            epsilon,
        }
    }

    /// The raw deviation whose standard deviation is the width of a bin: where every Gaussian starts.
    pub fn first_raw_deviation(bins: usize) -> f64 {
        libm::log(libm::expm1(2.0 / bins as f64))
    }

    /// The standard deviation of each Gaussian.
    ///
    /// # Shapes
    ///
    /// - output `[mixtures, components]`
    pub fn deviations(&self) -> Tensor<2> {
        ops::softplus(self.raw_deviations.val())
    }

    /// Logarithm of the density at each bin center.
    ///
    /// # Shapes
    ///
    /// - means `[batch, components]`: of one mixture under many conditions, or a row for each mixture
    /// - output `[batch, bins]`
    pub fn logits(&self, means: Tensor<2>) -> Tensor<2> {
        let ([batch, components], [_, _, bins]) = (means.dims(), self.centers.dims());
        assert_eq!(components, self.components, "means of {components} Gaussians for {}", self.components);
        let precision = self.deviations().recip().unsqueeze_dim::<3>(2); // [mixtures, components, 1]
        let distance = (self.centers.clone() - means.reshape([batch, components, 1])) * precision.clone();
        let gaussians = ops::exp(distance.clone() * distance * -0.5) * (precision * (1.0 / libm::sqrt(TAU)));
        let density = gaussians.mean_dim(1).reshape([batch, bins]);
        ops::ln(density + self.epsilon)
    }
}

/// The density at a point of a mixture in plain numbers, of equal weights.
pub fn mixture_density(point: f64, means: &[f64], deviations: &[f64]) -> f64 {
    assert_eq!(means.len(), deviations.len(), "means and deviations of different Gaussians");
    let sum: f64 = means
        .iter()
        .zip(deviations)
        .map(|(mean, deviation)| {
            let distance = (point - mean) / deviation;
            libm::exp(-0.5 * distance * distance) / (deviation * libm::sqrt(TAU))
        })
        .sum();
    sum / means.len() as f64
}
