//! What a compressed cache weighs, and how codes lie in words.

use std::iter::Sum;
use std::ops::Add;

/// Bytes of scales and zeros, or least values, of a group: 16 bits each, as the papers store them. What is computed here
/// keeps them in 32 bits, for the scale of a narrow group would vanish in 16.
pub(super) const GROUP_BYTES: usize = 4;

/// Bytes of a cache by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Codes, packed. The keys of a layer make one run of whole words, its values another.
    pub payload: usize,
    /// Scales and zeros. What a model has once, such as the order of its channels, is no part of its cache.
    pub metadata: usize,
    /// Numbers in 16 bits: windows of recent tokens, attention sinks, or all.
    pub full: usize,
    /// Positions of the rows, 4 bytes each.
    pub positions: usize,
}

impl Bytes {
    pub fn total(&self) -> usize {
        self.payload + self.metadata + self.full + self.positions
    }

    /// Bits of each of so many numbers, positions apart: what [`effective_bits`] foretells.
    pub fn bits_per_number(&self, numbers: usize) -> f64 {
        8.0 * (self.total() - self.positions) as f64 / numbers as f64
    }
}

impl Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            payload: self.payload + other.payload,
            metadata: self.metadata + other.metadata,
            full: self.full + other.full,
            positions: self.positions + other.positions,
        }
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::add)
    }
}

/// Bits of a number on average: a share `coded` of all numbers in groups of codes, a share `full` in 16 bits.
///
/// The shares of KIVI add up to one. Attention sinks have codes too, for the packed rows stay even that way, so there
/// `coded` is one: b + 32 / g + 16 n / T for n sinks among T tokens.
pub fn effective_bits(bits: u32, group: usize, coded: f64, full: f64) -> f64 {
    let overhead = 8.0 * GROUP_BYTES as f64 / group as f64;
    coded * (f64::from(bits) + overhead) + 16.0 * full
}

/// Words of 32 bits that so many codes fill.
pub fn words(codes: usize, bits: u32) -> usize {
    (codes * bits as usize).div_ceil(32)
}

/// Packs codes into words, lowest bits first, as KIVI does. Codes of 3 bits go on in the next word where one is full, which
/// is a reconstruction: KIVI packs 2 and 4 bits only.
pub fn pack(codes: &[u8], bits: u32) -> Vec<u32> {
    let mut packed = vec![0; words(codes.len(), bits)];
    for (index, &code) in codes.iter().enumerate() {
        let (word, shift) = place(index, bits);
        let spread = u64::from(code) << shift;
        packed[word] |= spread as u32;
        if spread >> 32 != 0 {
            packed[word + 1] |= (spread >> 32) as u32;
        }
    }
    packed
}

/// The first `count` codes of packed words.
pub fn unpack(packed: &[u32], bits: u32, count: usize) -> Vec<u8> {
    let mask = (1 << bits) - 1;
    let code = |index| {
        let (word, shift) = place(index, bits);
        let next = packed.get(word + 1).copied().unwrap_or_default();
        ((u64::from(next) << 32 | u64::from(packed[word])) >> shift & mask) as u8
    };
    (0..count).map(code).collect()
}

/// Word and first bit of a code.
fn place(index: usize, bits: u32) -> (usize, usize) {
    let bit = index * bits as usize;
    (bit / 32, bit % 32)
}
