//! From numbers to bins and back: even bins of [-1, 1], uneven bins over any range, and the two tokenizers that
//! Chronos and the Fourier head's forecaster use.
//!
//! Plain numbers in and out; knows no head and no series.

/// Centers of `bins` even bins of [-1, 1].
pub fn bin_centers(bins: usize) -> Vec<f64> {
    (0..bins).map(|bin| bin_center(bin, bins)).collect()
}

/// Center of one of `bins` even bins of [-1, 1].
pub fn bin_center(bin: usize, bins: usize) -> f64 {
    (2 * bin + 1) as f64 / bins as f64 - 1.0
}

/// Which of `bins` even bins of [-1, 1] holds the value; values outside fall into the end bins.
///
/// An edge belongs to the bin on its right.
pub fn bin_of(value: f64, bins: usize) -> usize {
    assert!(bins > 0, "no bins to choose from");
    // A negative number turns into 0, as a cast saturates.
    (((value + 1.0) * bins as f64 / 2.0) as usize).min(bins - 1)
}

/// Bins with edges of their own: a value's bin is the number of inner edges that it has reached.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueBins {
    edges: Vec<f64>,
}

/// Where the bins of a mixed-precision scale are dense: in `[middle_low, middle_high]`, within `[low, high]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixedRange {
    pub low: f64,
    pub middle_low: f64,
    pub middle_high: f64,
    pub high: f64,
    /// Share of all bins that lie outside the middle.
    pub sparse: f64,
}

impl MixedRange {
    /// What the paper's forecaster uses, on series divided by their mean absolute value.
    pub const PAPER: Self = Self { low: -15.0, middle_low: -1.0, middle_high: 10.0, high: 15.0, sparse: 0.2 };

    /// How many of `bins` lie below, in and above the middle.
    pub fn split(&self, bins: usize) -> [usize; 3] {
        let below = self.middle_low - self.low;
        let above = self.high - self.middle_high;
        let share = |width: f64| (self.sparse * bins as f64 * width / (below + above)) as usize;
        let (below, above) = (share(below), share(above));
        [below, bins - below - above, above]
    }
}

impl ValueBins {
    /// `bins` bins of one width.
    pub fn uniform(low: f64, high: f64, bins: usize) -> Self {
        assert!(low < high && bins > 0, "{bins} bins between {low} and {high}");
        Self { edges: (0..=bins).map(|edge| between(low, high, edge, bins)).collect() }
    }

    /// Narrow bins in the middle and wide ones outside, so that rare large values cost few bins.
    ///
    /// The splits are the paper's; the edges are not: its reference code decodes to a table with a few entries too
    /// few, and here a bin's center is its own.
    pub fn mixed(range: MixedRange, bins: usize) -> Self {
        let zones =
            [(range.low, range.middle_low), (range.middle_low, range.middle_high), (range.middle_high, range.high)];
        let mut edges = vec![];
        for ((low, high), count) in zones.into_iter().zip(range.split(bins)) {
            assert!(low < high && count > 0, "{count} of {bins} bins between {low} and {high}");
            edges.extend((0..count).map(|edge| between(low, high, edge, count)));
        }
        edges.push(range.high);
        Self { edges }
    }

    pub fn count(&self) -> usize {
        self.edges.len() - 1
    }

    /// Every edge, both ends included.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// The bin that holds the value; values outside fall into the end bins.
    pub fn bin(&self, value: f64) -> usize {
        self.edges[1..self.count()].partition_point(|&edge| edge <= value)
    }

    pub fn center(&self, bin: usize) -> f64 {
        (self.edges[bin] + self.edges[bin + 1]) / 2.0
    }

    pub fn width(&self, bin: usize) -> f64 {
        self.edges[bin + 1] - self.edges[bin]
    }

    pub fn centers(&self) -> Vec<f64> {
        (0..self.count()).map(|bin| self.center(bin)).collect()
    }
}

fn between(low: f64, high: f64, step: usize, steps: usize) -> f64 {
    low + (high - low) * step as f64 / steps as f64
}

/// Mean absolute value of what is present (not NaN), or 1 if that is zero or nothing is present: what Chronos
/// divides a series by.
pub fn mean_scale(series: &[f32]) -> f32 {
    let present = series.iter().filter(|value| !value.is_nan());
    let scale = present.clone().map(|value| value.abs()).sum::<f32>() / present.count() as f32;
    if scale > 0.0 { scale } else { 1.0 }
}

/// Token ids with room for special ones, as Chronos gives them to a series divided by its [`mean_scale`].
///
/// In f32 throughout, as the reference is, because values near a boundary must fall on the same side.
#[derive(Clone, Debug, PartialEq)]
pub struct UniformTokens {
    special: usize,
    centers: Vec<f32>,
    boundaries: Vec<f32>,
}

impl UniformTokens {
    /// `tokens` counts the `special` ones too.
    pub fn new(low: f32, high: f32, tokens: usize, special: usize) -> Self {
        let centers = evenly(low, high, tokens.saturating_sub(special + 1));
        let boundaries = centers.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect();
        Self { special, centers, boundaries }
    }

    pub fn centers(&self) -> &[f32] {
        &self.centers
    }

    /// Values between which the id changes.
    pub fn boundaries(&self) -> &[f32] {
        &self.boundaries
    }

    /// The id of a value that was divided by the scale.
    pub fn id(&self, scaled: f32) -> usize {
        // The reference has one more boundary, at minus infinity, so its first id is not `special` but the next.
        self.special + 1 + self.boundaries.partition_point(|&boundary| boundary <= scaled)
    }

    /// The value of an id, before it is multiplied by the scale. Special ids give the lowest center.
    pub fn value(&self, id: usize) -> f32 {
        self.centers[id.saturating_sub(self.special + 1).min(self.centers.len() - 1)]
    }
}

/// The token ids of the paper's forecaster: three uniform zones, see [`MixedRange`].
///
/// Reproduces the reference to the id, off by a few at the joints as it is there; [`ValueBins::mixed`] is the
/// plain form.
#[derive(Clone, Debug, PartialEq)]
pub struct MixedTokens {
    range: MixedRange,
    zones: [UniformTokens; 3],
    /// Ids before each zone's own; the lowest zone's are its own already.
    before: [usize; 3],
    centers: Vec<f32>,
}

impl MixedTokens {
    /// `tokens` counts the `special` ones too.
    pub fn new(range: MixedRange, tokens: usize, special: usize) -> Self {
        let [below, middle, above] = range.split(tokens);
        let [low, middle_low, middle_high, high] =
            [range.low, range.middle_low, range.middle_high, range.high].map(|limit| limit as f32);
        let mut centers = evenly(low, middle_low, below.saturating_sub(special + 1));
        centers.extend(evenly(middle_low, middle_high, middle.saturating_sub(1)).into_iter().skip(1));
        centers.extend(evenly(middle_high, high, above.saturating_sub(1)).into_iter().skip(1));
        Self {
            range,
            zones: [
                UniformTokens::new(low, middle_low, below, special),
                UniformTokens::new(middle_low, middle_high, middle + special, special),
                UniformTokens::new(middle_high, high, above + special, special),
            ],
            before: [special, below, below + middle],
            centers,
        }
    }

    /// The reference's table of values, shorter than its ids.
    pub fn centers(&self) -> &[f32] {
        &self.centers
    }

    /// The id of a value that was divided by the scale.
    pub fn id(&self, scaled: f32) -> usize {
        let zone = self.zone(scaled);
        self.before[zone] + self.zones[zone].id(scaled) - self.zones[zone].special
    }

    /// Values between which the id changes.
    pub fn boundaries(&self) -> Vec<f32> {
        let limits = [self.range.middle_low as f32, self.range.middle_high as f32];
        self.zones.iter().flat_map(|zone| zone.boundaries.iter().copied()).chain(limits).collect()
    }

    fn zone(&self, scaled: f32) -> usize {
        usize::from(scaled >= self.range.middle_low as f32) + usize::from(scaled >= self.range.middle_high as f32)
    }
}

/// `count` numbers from `low` to `high`, rounded as the reference's library rounds them: from the nearer end, with
/// one rounding for the product and the sum.
fn evenly(low: f32, high: f32, count: usize) -> Vec<f32> {
    let step = if count > 1 { (high - low) / (count - 1) as f32 } else { 0.0 };
    let at = |end: f32, steps: f64| (f64::from(end) + f64::from(step) * steps) as f32;
    (0..count)
        .map(|index| {
            if index < count / 2 || count == 1 {
                at(low, index as f64)
            } else {
                at(high, -((count - 1 - index) as f64))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_center_lies_in_its_own_bin() {
        for bins in [ValueBins::uniform(-1.0, 1.0, 7), ValueBins::mixed(MixedRange::PAPER, 64)] {
            for bin in 0..bins.count() {
                assert_eq!(bins.bin(bins.center(bin)), bin);
                assert_eq!(bins.bin(bins.edges()[bin]), bin, "an edge belongs to the bin on its right");
            }
            assert_eq!(bins.bin(f64::NEG_INFINITY), 0);
            assert_eq!(bins.bin(f64::INFINITY), bins.count() - 1);
        }
    }

    #[test]
    fn even_bins_agree_with_bins_that_have_edges() {
        for count in [2, 17, 50] {
            let bins = ValueBins::uniform(-1.0, 1.0, count);
            for bin in 0..count {
                assert!((bins.center(bin) - bin_center(bin, count)).abs() < 1e-12);
                assert_eq!(bin_of(bin_center(bin, count), count), bin);
            }
            assert_eq!((bin_of(-7.0, count), bin_of(7.0, count)), (0, count - 1));
        }
    }

    #[test]
    fn mixed_bins_are_as_many_as_asked_for_and_narrow_in_the_middle() {
        let bins = ValueBins::mixed(MixedRange::PAPER, 64);
        assert_eq!(bins.count(), 64);
        assert!(bins.width(bins.bin(0.0)) < bins.width(0) / 5.0);
    }
}
