//! Four numbers at once: a vector register in a browser, an array that the compiler vectorizes elsewhere.

use std::ops::{Add, Div, Mul, Neg, Sub};

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use wasm as machine;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use portable as machine;

/// Four numbers. Where two of them are compared, NaN behaves alike on every machine.
#[derive(Clone, Copy)]
pub(crate) struct Four(machine::Lanes);

impl Four {
    #[inline(always)]
    pub fn splat(number: f32) -> Self {
        Self(machine::splat(number))
    }

    #[inline(always)]
    pub fn load(numbers: &[f32; 4]) -> Self {
        Self(machine::load(numbers))
    }

    /// The first four of `numbers`.
    #[inline(always)]
    pub fn first(numbers: &[f32]) -> Self {
        Self::load(numbers.first_chunk().expect("a lane has four numbers"))
    }

    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        machine::to_array(self.0)
    }

    #[inline(always)]
    pub fn store(self, numbers: &mut [f32]) {
        *numbers.first_chunk_mut().expect("a lane has four numbers") = self.to_array();
    }

    /// The lesser of both, or `self` when either is NaN.
    #[inline(always)]
    pub fn min(self, other: Self) -> Self {
        Self(machine::min(self.0, other.0))
    }

    /// The greater of both, or `self` when either is NaN.
    #[inline(always)]
    pub fn max(self, other: Self) -> Self {
        Self(machine::max(self.0, other.0))
    }

    #[inline(always)]
    pub fn sqrt(self) -> Self {
        Self(machine::sqrt(self.0))
    }

    #[inline(always)]
    pub fn abs(self) -> Self {
        self.and(0x7fff_ffff)
    }

    /// `yes` where `self` is below `bound`, `no` elsewhere (also for NaN).
    #[inline(always)]
    pub fn where_below(self, bound: Self, yes: Self, no: Self) -> Self {
        Self(machine::where_below(self.0, bound.0, yes.0, no.0))
    }

    /// The bits of each number, cut by a mask.
    #[inline(always)]
    pub fn and(self, mask: u32) -> Self {
        Self(machine::and(self.0, mask))
    }

    /// The bits of each number, joined with others.
    #[inline(always)]
    pub fn or(self, bits: u32) -> Self {
        Self(machine::or(self.0, bits))
    }

    /// The bits of each number, read as integers, plus the bits of another.
    #[inline(always)]
    pub fn add_bits(self, other: Self) -> Self {
        Self(machine::add_bits(self.0, other.0))
    }

    /// The bits of each number, read as integers, minus the bits of another.
    #[inline(always)]
    pub fn sub_bits(self, other: Self) -> Self {
        Self(machine::sub_bits(self.0, other.0))
    }

    #[inline(always)]
    pub fn shift_left<const BY: u32>(self) -> Self {
        Self(machine::shift_left::<BY>(self.0))
    }

    /// Keeps the sign of the bits read as an integer.
    #[inline(always)]
    pub fn shift_right<const BY: u32>(self) -> Self {
        Self(machine::shift_right::<BY>(self.0))
    }

    /// The number that the bits are when they are read as an integer.
    #[inline(always)]
    pub fn integer(self) -> Self {
        Self(machine::integer(self.0))
    }

    /// A fixed order, so that the sum is the same everywhere.
    #[inline(always)]
    pub fn sum(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        (a + b) + (c + d)
    }

    /// The greatest of the four.
    #[inline(always)]
    pub fn greatest(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        a.max(b).max(c.max(d))
    }
}

/// `a b + c`: rounded twice and alike on every machine; with the feature `relaxed` as the machine likes it, which is
/// faster where it has one instruction for both.
#[cfg(not(all(feature = "relaxed", target_arch = "wasm32")))]
#[inline(always)]
pub(crate) fn multiply_add(a: Four, b: Four, c: Four) -> Four {
    c + a * b
}

/// `a b + c`: rounded once or twice, as the machine likes it.
#[cfg(all(feature = "relaxed", target_arch = "wasm32"))]
#[target_feature(enable = "relaxed-simd")]
#[inline]
pub(crate) fn multiply_add(a: Four, b: Four, c: Four) -> Four {
    Four(std::arch::wasm32::f32x4_relaxed_madd(a.0, b.0, c.0))
}

impl Add for Four {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(machine::add(self.0, other.0))
    }
}

impl Sub for Four {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(machine::sub(self.0, other.0))
    }
}

impl Mul for Four {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(machine::mul(self.0, other.0))
    }
}

impl Div for Four {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Self(machine::div(self.0, other.0))
    }
}

impl Neg for Four {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self::splat(0.0) - self
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm {
    use std::arch::wasm32::*;

    pub type Lanes = v128;
    pub use std::arch::wasm32::{
        f32x4_add as add, f32x4_convert_i32x4 as integer, f32x4_div as div, f32x4_mul as mul, f32x4_pmax as max,
        f32x4_pmin as min, f32x4_splat as splat, f32x4_sqrt as sqrt, f32x4_sub as sub, i32x4_add as add_bits,
        i32x4_sub as sub_bits,
    };

    #[inline(always)]
    pub fn load(numbers: &[f32; 4]) -> Lanes {
        // SAFETY: the array has the sixteen bytes that are read, and the instruction asks for no alignment.
        unsafe { v128_load(numbers.as_ptr().cast()) }
    }

    #[inline(always)]
    pub fn to_array(lanes: Lanes) -> [f32; 4] {
        let mut numbers = [0.0; 4];
        // SAFETY: the array has the sixteen bytes that are written, and the instruction asks for no alignment.
        unsafe { v128_store(numbers.as_mut_ptr().cast(), lanes) };
        numbers
    }

    #[inline(always)]
    pub fn where_below(a: Lanes, bound: Lanes, yes: Lanes, no: Lanes) -> Lanes {
        v128_bitselect(yes, no, f32x4_lt(a, bound))
    }

    #[inline(always)]
    pub fn and(a: Lanes, mask: u32) -> Lanes {
        v128_and(a, u32x4_splat(mask))
    }

    #[inline(always)]
    pub fn or(a: Lanes, bits: u32) -> Lanes {
        v128_or(a, u32x4_splat(bits))
    }

    #[inline(always)]
    pub fn shift_left<const BY: u32>(a: Lanes) -> Lanes {
        i32x4_shl(a, BY)
    }

    #[inline(always)]
    pub fn shift_right<const BY: u32>(a: Lanes) -> Lanes {
        i32x4_shr(a, BY)
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod portable {
    pub type Lanes = [f32; 4];

    #[inline(always)]
    fn both(a: Lanes, b: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
        [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
    }

    #[inline(always)]
    fn bits(a: Lanes, f: impl Fn(u32) -> u32) -> Lanes {
        a.map(|number| f32::from_bits(f(number.to_bits())))
    }

    #[inline(always)]
    pub fn splat(number: f32) -> Lanes {
        [number; 4]
    }

    #[inline(always)]
    pub fn load(numbers: &[f32; 4]) -> Lanes {
        *numbers
    }

    #[inline(always)]
    pub fn to_array(lanes: Lanes) -> [f32; 4] {
        lanes
    }

    #[inline(always)]
    pub fn add(a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| a + b)
    }

    #[inline(always)]
    pub fn sub(a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| a - b)
    }

    #[inline(always)]
    pub fn mul(a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| a * b)
    }

    #[inline(always)]
    pub fn div(a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| a / b)
    }

    #[inline(always)]
    pub fn min(a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| if b < a { b } else { a })
    }

    #[inline(always)]
    pub fn max(a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| if a < b { b } else { a })
    }

    #[inline(always)]
    pub fn sqrt(a: Lanes) -> Lanes {
        a.map(f32::sqrt)
    }

    #[inline(always)]
    pub fn where_below(a: Lanes, bound: Lanes, yes: Lanes, no: Lanes) -> Lanes {
        let pick = |lane: usize| if a[lane] < bound[lane] { yes[lane] } else { no[lane] };
        [pick(0), pick(1), pick(2), pick(3)]
    }

    #[inline(always)]
    pub fn and(a: Lanes, mask: u32) -> Lanes {
        bits(a, |bits| bits & mask)
    }

    #[inline(always)]
    pub fn or(a: Lanes, more: u32) -> Lanes {
        bits(a, |bits| bits | more)
    }

    #[inline(always)]
    pub fn add_bits(a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| f32::from_bits(a.to_bits().wrapping_add(b.to_bits())))
    }

    #[inline(always)]
    pub fn sub_bits(a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| f32::from_bits(a.to_bits().wrapping_sub(b.to_bits())))
    }

    #[inline(always)]
    pub fn shift_left<const BY: u32>(a: Lanes) -> Lanes {
        bits(a, |bits| bits << BY)
    }

    #[inline(always)]
    pub fn shift_right<const BY: u32>(a: Lanes) -> Lanes {
        bits(a, |bits| (bits.cast_signed() >> BY).cast_unsigned())
    }

    #[inline(always)]
    pub fn integer(a: Lanes) -> Lanes {
        a.map(|number| number.to_bits().cast_signed() as f32)
    }
}
