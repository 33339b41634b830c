//! Toy densities on [-1, 1] whose truth is known: the paper's three conditional data sets, and targets for a single
//! density.
//!
//! Drawn on the host from our own streams, with logarithms that are the same on every machine, so that a seed means
//! the same data everywhere.

use crate::seed::Stream;

use super::value_bins::bin_centers;

/// Standard deviation of every Gaussian in the conditional data sets (their variance is .01).
pub const DEVIATION: f64 = 0.1;
/// Conditions are drawn from between minus and plus this.
pub const CONDITION_LIMIT: f64 = 0.8;

/// Smallest shape of a Beta density: at zero it has none.
const SMALLEST_SHAPE: f64 = 1e-3;

/// One row of a data set: a condition of two numbers and the value that was drawn under it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Example {
    pub condition: [f64; 2],
    pub value: f64,
}

/// The paper's conditional data sets, each a density of one number given two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionalDensity {
    /// A Gaussian about the second number, which itself is Gaussian about the first.
    Gaussian,
    /// A Gaussian about either number.
    TwoGaussians,
    /// Plus or minus a Beta draw, whose shapes are a hundred times the two numbers' absolute values.
    SignedBeta,
}

impl ConditionalDensity {
    pub const ALL: [Self; 3] = [Self::Gaussian, Self::TwoGaussians, Self::SignedBeta];

    /// A condition as the data set draws them.
    pub fn condition(self, stream: &mut Stream) -> [f64; 2] {
        let first = stream.uniform(-CONDITION_LIMIT, CONDITION_LIMIT);
        let second = match self {
            Self::Gaussian | Self::SignedBeta => stream.normal(first, DEVIATION),
            Self::TwoGaussians => stream.uniform(-CONDITION_LIMIT, CONDITION_LIMIT),
        };
        [first, second]
    }

    /// A value under this condition. Some lie outside [-1, 1]; quantizing moves them into the end bins.
    pub fn value(self, condition: [f64; 2], stream: &mut Stream) -> f64 {
        match self {
            Self::Gaussian => stream.normal(condition[1], DEVIATION),
            Self::TwoGaussians => {
                let mean = condition[usize::from(stream.unit() >= 0.5)];
                stream.normal(mean, DEVIATION)
            }
            Self::SignedBeta => {
                let sign = if stream.unit() < 0.5 { 1.0 } else { -1.0 };
                let [alpha, beta] = shapes(condition);
                sign * stream.beta(alpha, beta)
            }
        }
    }

    /// `count` rows; a longer data set begins with the rows of a shorter one.
    pub fn examples(self, count: usize, stream: &mut Stream) -> Vec<Example> {
        (0..count)
            .map(|_| {
                let condition = self.condition(stream);
                Example { condition, value: self.value(condition, stream) }
            })
            .collect()
    }

    /// The true distribution under this condition: the density at the centers of `bins` even bins, made to sum to one.
    pub fn truth(self, condition: [f64; 2], bins: usize) -> Vec<f64> {
        match self {
            Self::Gaussian => gaussian(condition[1], DEVIATION, bins),
            Self::TwoGaussians => {
                let [first, second] = condition.map(|mean| gaussian(mean, DEVIATION, bins));
                first.into_iter().zip(second).map(|(first, second)| (first + second) / 2.0).collect()
            }
            Self::SignedBeta => {
                let [alpha, beta] = shapes(condition);
                let logs = bin_centers(bins).into_iter().map(|center| {
                    // The center of an odd count is zero, where the density may be infinite: a hair beside it is not.
                    let distance = center.abs().max(f64::EPSILON);
                    (alpha - 1.0) * libm::log(distance) + (beta - 1.0) * libm::log1p(-distance)
                });
                normalized_from_logs(logs.collect())
            }
        }
    }
}

fn shapes(condition: [f64; 2]) -> [f64; 2] {
    condition.map(|number| (100.0 * number.abs()).max(SMALLEST_SHAPE))
}

/// Targets for a single density without a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetDensity {
    /// Even between -.5 and .5.
    SquareWave,
    /// Ten Gaussians of one weight, the paper's demonstration.
    TenGaussians,
    OneGaussian,
    /// Everything in one bin.
    Spike,
    /// A Gaussian across the seam: for a Fourier series -1 and 1 are the same place.
    WrapAround,
}

/// Means and deviations of [`TargetDensity::TenGaussians`].
const TEN_GAUSSIANS: [(f64, f64); 10] = [
    (-0.7, 0.1),
    (-0.55, 0.07),
    (-0.45, 0.2),
    (-0.4, 0.15),
    (-0.37, 0.05),
    (-0.4, 0.2),
    (0.1, 0.05),
    (0.45, 0.04),
    (0.5, 0.1),
    (0.6, 0.06),
];

impl TargetDensity {
    pub const ALL: [Self; 5] = [Self::SquareWave, Self::TenGaussians, Self::OneGaussian, Self::Spike, Self::WrapAround];

    /// The density at the centers of `bins` even bins of [-1, 1], made to sum to one.
    pub fn pmf(self, bins: usize) -> Vec<f64> {
        let centers = bin_centers(bins);
        match self {
            Self::SquareWave => {
                normalized(centers.into_iter().map(|center| if center.abs() <= 0.5 { 1.0 } else { 0.0 }).collect())
            }
            Self::TenGaussians => {
                let density = |center: f64| -> f64 {
                    TEN_GAUSSIANS.iter().map(|&(mean, deviation)| gaussian_density(center, mean, deviation)).sum()
                };
                normalized(centers.into_iter().map(density).collect())
            }
            Self::OneGaussian => gaussian(0.2, 0.15, bins),
            Self::Spike => {
                let spike = super::value_bins::bin_of(0.25, bins);
                (0..bins).map(|bin| if bin == spike { 1.0 } else { 0.0 }).collect()
            }
            Self::WrapAround => {
                let density = |center: f64| gaussian_density(1.0 - center.abs(), 0.0, 0.2);
                normalized(centers.into_iter().map(density).collect())
            }
        }
    }
}

/// A Gaussian at the centers of `bins` even bins of [-1, 1], made to sum to one, wherever its mean lies.
pub fn gaussian(mean: f64, deviation: f64, bins: usize) -> Vec<f64> {
    let log = |center: f64| {
        let distance = (center - mean) / deviation;
        -0.5 * distance * distance
    };
    normalized_from_logs(bin_centers(bins).into_iter().map(log).collect())
}

fn gaussian_density(value: f64, mean: f64, deviation: f64) -> f64 {
    let distance = (value - mean) / deviation;
    libm::exp(-0.5 * distance * distance) / deviation
}

/// Subtracting the largest first keeps one bin at least from underflowing.
fn normalized_from_logs(logs: Vec<f64>) -> Vec<f64> {
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    normalized(logs.into_iter().map(|log| libm::exp(log - largest)).collect())
}

/// Weights made to sum to one; even weights if there is nothing in any.
pub fn normalized(weights: Vec<f64>) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    if sum > 0.0 {
        weights.into_iter().map(|weight| weight / sum).collect()
    } else {
        vec![1.0 / weights.len() as f64; weights.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::super::value_bins::bin_of;
    use super::*;

    #[test]
    fn every_truth_is_a_distribution_even_at_the_ends() {
        for bins in [2, 17, 50] {
            for condition in [[0.0, 0.0], [0.004, -0.003], [0.8, 0.9], [-0.3, 1.4], [0.005, 0.8]] {
                for data in ConditionalDensity::ALL {
                    let truth = data.truth(condition, bins);
                    assert_eq!(truth.len(), bins);
                    assert!(
                        truth.iter().all(|probability| (0.0..=1.0).contains(probability)),
                        "{data:?} {condition:?}"
                    );
                    assert!((truth.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{data:?} {condition:?}");
                }
            }
            for target in TargetDensity::ALL {
                assert!((target.pmf(bins).iter().sum::<f64>() - 1.0).abs() < 1e-12, "{target:?}");
            }
        }
    }

    /// Draws and truths come from different formulas; many draws must agree with the truth.
    #[test]
    fn draws_follow_the_truth() {
        let draws = 100_000;
        for (data, condition) in [
            (ConditionalDensity::Gaussian, [0.1, 0.3]),
            (ConditionalDensity::TwoGaussians, [-0.5, 0.2]),
            (ConditionalDensity::SignedBeta, [0.3, -0.35]),
        ] {
            let mut stream = Stream::new(1, "data");
            let mut counts = vec![0.0; 20];
            for _ in 0..draws {
                counts[bin_of(data.value(condition, &mut stream), 20)] += 1.0 / f64::from(draws);
            }
            // Integrated over many narrow bins, for a wide bin's center is not its mean.
            let truth: Vec<f64> = data.truth(condition, 2000).chunks(100).map(|chunk| chunk.iter().sum()).collect();
            let apart = super::super::density_metrics::total_variation(&counts, &truth);
            assert!(apart < 0.01, "{data:?}: {apart}");
        }
    }

    #[test]
    fn a_longer_data_set_begins_with_the_shorter_one() {
        let draw = |count| ConditionalDensity::TwoGaussians.examples(count, &mut Stream::new(3, "data"));
        assert_eq!(draw(10), draw(40)[..10]);
    }
}
