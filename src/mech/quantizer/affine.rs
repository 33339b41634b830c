//! Numbers to a few even levels and back. A group of numbers shares its levels.

/// How the levels of a group are laid over its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fit {
    /// Whole multiples of the scale, from `clip` times the least number to `clip` times the largest: RTN, QuaRot
    /// (`ActQuantizer`) and RotateKV (`find_params_per_token_groupwise`).
    ///
    /// Through zero, the range is stretched until it holds zero, and a row of zeros is given one around it. QuaRot does so
    /// where a row is one group.
    ZeroPoint { clip: f32, through_zero: bool },
    /// From the least number to the largest: KIVI.
    Least,
}

/// Where the levels stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Origin {
    /// The code of the value zero; between or outside the codes that there are.
    Zero(f32),
    /// The value of the code zero.
    Least(f32),
}

/// The levels of one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// From a level to the next, unless there is one level only.
    pub scale: f32,
    pub origin: Origin,
    /// The highest code: one less than the levels.
    pub top: u8,
}

impl Fit {
    /// The levels of a group in codes of `bits` bits, at most 8.
    pub fn levels(self, group: &[f32], bits: u32) -> Affine {
        let low = group.iter().copied().fold(f32::INFINITY, f32::min);
        let high = group.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (least, most) = match self {
            Self::Least => (low, high),
            Self::ZeroPoint { through_zero: true, .. } if low == 0.0 && high == 0.0 => (-1.0, 1.0),
            Self::ZeroPoint { clip, through_zero: true } => (low.min(0.0) * clip, high.max(0.0) * clip),
            Self::ZeroPoint { clip, through_zero: false } => (low * clip, high * clip),
        };
        let scale = (most - least) / f32::from(top(bits));
        match self {
            // The papers' code divides by zero here. A range too small for its scale is as good as none.
            _ if scale == 0.0 => Affine::constant(low),
            Self::Least => Affine { scale, origin: Origin::Least(least), top: top(bits) },
            Self::ZeroPoint { .. } => Affine::zero_point(least, scale, bits),
        }
    }
}

impl Affine {
    /// Levels at whole multiples of the scale, the lowest near `low`.
    pub fn zero_point(low: f32, scale: f32, bits: u32) -> Self {
        Self { scale, origin: Origin::Zero((-low / scale).round_ties_even()), top: top(bits) }
    }

    /// One level, which stands in the place of the scale: the value of a code is `scale * (code - zero)` here too.
    pub fn constant(value: f32) -> Self {
        Self { scale: value, origin: Origin::Zero(-1.0), top: 0 }
    }

    /// Rounded half to even, as the papers' code does.
    pub fn code(&self, value: f32) -> u8 {
        if self.top == 0 {
            return 0;
        }
        let top = f32::from(self.top);
        let code = match self.origin {
            Origin::Zero(zero) => ((value / self.scale).round_ties_even() + zero).clamp(0.0, top),
            Origin::Least(least) => ((value - least) / self.scale).clamp(0.0, top).round_ties_even(),
        };
        code as u8
    }

    pub fn value(&self, code: u8) -> f32 {
        match self.origin {
            Origin::Zero(zero) => self.scale * (f32::from(code) - zero),
            Origin::Least(least) => f32::from(code) * self.scale + least,
        }
    }

    /// Every value that a code can have, in the order of the codes.
    pub fn values(&self) -> impl Iterator<Item = f32> {
        (0..=self.top).map(|code| self.value(code))
    }
}

/// The highest code of so many bits.
fn top(bits: u32) -> u8 {
    assert!((1..=8).contains(&bits), "codes of {bits} bits");
    u8::MAX >> (8 - bits)
}
