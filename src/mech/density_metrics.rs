//! How good a predicted distribution is: divergences from the truth, errors of its mean and mode, roughness.
//!
//! On the host and on plain numbers, because these are readouts and nothing is learned through them.

use super::value_bins::bin_center;

/// Widths of the blur, in bins, that [`Roughness`] compares a distribution with.
const WIDTHS: usize = 100;

/// How far a distribution over `bins` bins is from its own blurred copies; lower is smoother.
///
/// It is the sum over widths s = 1..=100 of 6 / (pi s)^2 times the Euclidean norm of y - G_s * y, where G_s blurs
/// with a Gaussian of s bins, cut off `bins - 1` bins from its center, around the circle of bins.
/// Such a blur only scales each circular Fourier component Y_k, so by Parseval the squared norm is
/// the sum of |Y_k|^2 (1 - g_sk)^2 over k, divided by the number of bins: one transform serves all widths, exactly.
#[derive(Clone, Debug)]
pub struct Roughness {
    bins: usize,
    /// Of 2 pi k / bins, as is `sin`.
    cos: Vec<f64>,
    sin: Vec<f64>,
    /// (1 - g_sk)^2 times how often frequency k occurs, over bins. \[width, frequency from 1 to bins / 2\]
    lost: Vec<f64>,
}

impl Roughness {
    pub fn new(bins: usize) -> Self {
        assert!(bins > 0, "no bins to measure");
        let angle = |step: usize| std::f64::consts::TAU * step as f64 / bins as f64;
        let cos: Vec<f64> = (0..bins).map(|step| libm::cos(angle(step))).collect();
        let sin: Vec<f64> = (0..bins).map(|step| libm::sin(angle(step))).collect();
        let mut lost = vec![];
        for width in 1..=WIDTHS {
            let taps: Vec<f64> =
                (0..bins).map(|tap| libm::exp(-0.5 * (tap * tap) as f64 / (width * width) as f64)).collect();
            let sum: f64 = 2.0 * taps.iter().sum::<f64>() - taps[0];
            for frequency in 1..=bins / 2 {
                // One minus the gain, summed as differences: the gain itself is so near to one that they would cancel.
                let kept_out: f64 =
                    taps.iter().enumerate().map(|(tap, weight)| weight * (1.0 - cos[tap * frequency % bins])).sum();
                let kept_out = 2.0 * kept_out / sum;
                let times = if 2 * frequency == bins { 1.0 } else { 2.0 };
                lost.push(times * kept_out * kept_out / bins as f64);
            }
        }
        Self { bins, cos, sin, lost }
    }

    /// Roughness of one distribution.
    pub fn of(&self, pmf: &[f64]) -> f64 {
        self.discrepancies(pmf)
            .into_iter()
            .zip(1..)
            .map(|(discrepancy, width)| discrepancy * 6.0 / libm::pow(std::f64::consts::PI * f64::from(width), 2.0))
            .sum()
    }

    /// Distance from the copy blurred by 1, 2, ..., 100 bins.
    pub fn discrepancies(&self, pmf: &[f64]) -> Vec<f64> {
        assert_eq!(pmf.len(), self.bins, "a distribution over other bins");
        let power: Vec<f64> = (1..=self.bins / 2)
            .map(|frequency| {
                let (mut re, mut im, mut step) = (0.0, 0.0, 0);
                for probability in pmf {
                    re += probability * self.cos[step];
                    im += probability * self.sin[step];
                    step += frequency;
                    if step >= self.bins {
                        step -= self.bins;
                    }
                }
                re * re + im * im
            })
            .collect();
        if power.is_empty() {
            return vec![0.0; WIDTHS];
        }
        self.lost
            .chunks(power.len())
            .map(|lost| libm::sqrt(lost.iter().zip(&power).map(|(lost, power)| lost * power).sum()))
            .collect()
    }
}

/// Kullback-Leibler divergence of the prediction from the truth, in nats.
///
/// The prediction is raised by 1e-10, as the paper's code does, so that no single empty bin makes it infinite.
pub fn kl_divergence(truth: &[f64], predicted: &[f64]) -> f64 {
    same_bins(truth, predicted);
    truth
        .iter()
        .zip(predicted)
        .filter(|(truth, _)| **truth > 0.0)
        .map(|(truth, predicted)| truth * (libm::log(*truth) - libm::log(predicted + 1e-10)))
        .sum()
}

/// The largest difference of probability that the two give to any event.
pub fn total_variation(one: &[f64], other: &[f64]) -> f64 {
    same_bins(one, other);
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).sum::<f64>() / 2.0
}

/// The most probable bin, the first of equals.
pub fn mode_bin(pmf: &[f64]) -> usize {
    let mut mode = 0;
    for (bin, probability) in pmf.iter().enumerate() {
        if *probability > pmf[mode] {
            mode = bin;
        }
    }
    mode
}

/// The bin of the mean. A mean half-way between two bins goes to the even one, as in the paper's code.
pub fn mean_bin(pmf: &[f64]) -> usize {
    let mean: f64 = pmf.iter().enumerate().map(|(bin, probability)| bin as f64 * probability).sum();
    (mean.round_ties_even() as usize).min(pmf.len().saturating_sub(1))
}

/// Squared distance between the centers of two of `bins` even bins of [-1, 1].
pub fn squared_error(bin: usize, other: usize, bins: usize) -> f64 {
    let distance = bin_center(bin, bins) - bin_center(other, bins);
    distance * distance
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation of a sample (one degree of freedom less than values); zero for fewer than two values.
pub fn sample_deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let center = mean(values);
    let squares: f64 = values.iter().map(|value| (value - center) * (value - center)).sum();
    libm::sqrt(squares / (values.len() - 1) as f64)
}

fn same_bins(one: &[f64], other: &[f64]) {
    assert_eq!(one.len(), other.len(), "distributions over different bins");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The metric as the paper states it, without the transform.
    fn by_convolution(pmf: &[f64], width: f64) -> f64 {
        let bins = pmf.len() as i64;
        let tap = |lag: i64| (-0.5 * (lag * lag) as f64 / (width * width)).exp();
        let sum: f64 = (1 - bins..bins).map(tap).sum();
        let blurred = |bin: i64| {
            (1 - bins..bins).map(|lag| tap(lag) / sum * pmf[(bin + lag).rem_euclid(bins) as usize]).sum::<f64>()
        };
        (0..bins).map(|bin| (pmf[bin as usize] - blurred(bin)).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn roughness_in_frequencies_equals_roughness_by_convolution() {
        for bins in [1, 2, 7, 18] {
            let weights: Vec<f64> = (0..bins).map(|bin| 1.0 + ((bin * bin * 7 + 3) % 11) as f64).collect();
            let sum: f64 = weights.iter().sum();
            let pmf: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
            for (discrepancy, width) in Roughness::new(bins).discrepancies(&pmf).into_iter().zip(1..) {
                assert!((discrepancy - by_convolution(&pmf, f64::from(width))).abs() < 1e-14, "{bins} bins, {width}");
            }
        }
    }

    #[test]
    fn a_mean_between_two_bins_goes_to_the_even_one() {
        assert_eq!(mean_bin(&[0.5, 0.5, 0.0, 0.0]), 0);
        assert_eq!(mean_bin(&[0.0, 0.5, 0.5, 0.0]), 2);
        assert_eq!(mode_bin(&[0.1, 0.4, 0.4, 0.1]), 1);
    }

    #[test]
    fn divergences_of_equals_vanish() {
        let pmf = [0.0, 0.25, 0.75];
        assert!(kl_divergence(&pmf, &pmf).abs() < 1e-9);
        assert_eq!(total_variation(&pmf, &pmf), 0.0);
        assert_eq!(total_variation(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
    }
}
