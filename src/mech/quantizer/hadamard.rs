//! Walsh-Hadamard matrices, which spread each number of a row over all of them, by additions alone.

use std::iter::successors;

/// An orthogonal matrix M that has a fast product. Rows are multiplied from the left: y = x M.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orthogonal {
    /// W_n in Sylvester's order, of n = `size`, a power of two. Its own inverse.
    Walsh { size: usize },
    /// H_12 ⊗ W_n of n = `inner`, with Paley's matrix of order 12: where three heads, no power of two, turn together.
    /// Its inverse is its transpose. A reconstruction: the paper has powers of two only.
    Paley { inner: usize },
}

impl Orthogonal {
    /// The matrix for rows of this length; nothing if none of the forms fits.
    pub fn of(size: usize) -> Option<Self> {
        let inner = size / PALEY.len();
        if size.is_power_of_two() {
            Some(Self::Walsh { size })
        } else if size.is_multiple_of(PALEY.len()) && inner.is_power_of_two() {
            Some(Self::Paley { inner })
        } else {
            None
        }
    }

    /// Rows and columns.
    pub fn size(self) -> usize {
        match self {
            Self::Walsh { size } => size,
            Self::Paley { inner } => PALEY.len() * inner,
        }
    }

    /// Multiplies rows, one after the other, in place.
    pub fn apply(self, rows: &mut [f32]) {
        self.each(rows, |from, to| PALEY[from][to]);
    }

    /// Takes [`Self::apply`] back.
    pub fn undo(self, rows: &mut [f32]) {
        self.each(rows, |from, to| PALEY[to][from]);
    }

    fn each(self, rows: &mut [f32], sign: impl Fn(usize, usize) -> f32) {
        let size = self.size();
        assert!(rows.len().is_multiple_of(size), "{} numbers in rows of {size}", rows.len());
        for row in rows.chunks_exact_mut(size) {
            match self {
                Self::Walsh { .. } => walsh_hadamard(row),
                Self::Paley { inner } => {
                    row.chunks_exact_mut(inner).for_each(walsh_hadamard);
                    across(row, inner, &sign);
                }
            }
        }
    }
}

/// Multiplies a row by W_n: n log n additions, and a scale that keeps its norm.
pub fn walsh_hadamard(row: &mut [f32]) {
    for distance in distances(row.len()) {
        butterflies(row, distance);
    }
    let scale = 1.0 / (row.len() as f32).sqrt();
    row.iter_mut().for_each(|number| *number *= scale);
}

/// How far apart the pairs are in each step of [`walsh_hadamard`].
pub fn distances(size: usize) -> impl Iterator<Item = usize> {
    assert!(size.is_power_of_two(), "no Walsh-Hadamard matrix has {size} rows");
    successors(Some(1), |distance| Some(2 * distance)).take_while(move |distance| *distance < size)
}

/// One step of [`walsh_hadamard`], unscaled: each pair becomes its sum and its difference.
pub fn butterflies(row: &mut [f32], distance: usize) {
    for block in row.chunks_exact_mut(2 * distance) {
        let (low, high) = block.split_at_mut(distance);
        for (a, b) in low.iter_mut().zip(high) {
            (*a, *b) = (*a + *b, *a - *b);
        }
    }
}

/// Multiplies what stands at the same place of each part by a matrix of signs, scaled to keep the norm.
fn across(row: &mut [f32], inner: usize, sign: &impl Fn(usize, usize) -> f32) {
    let scale = 1.0 / (PALEY.len() as f32).sqrt();
    for place in 0..inner {
        let column: [f32; PALEY.len()] = std::array::from_fn(|part| row[part * inner + place] * scale);
        for to in 0..PALEY.len() {
            row[to * inner + place] = column.iter().enumerate().map(|(from, number)| number * sign(from, to)).sum();
        }
    }
}

/// Paley's first construction over the field of 11: I + S, with the quadratic characters of differences in S.
const PALEY: [[f32; 12]; 12] = {
    let mut matrix = [[1.0; 12]; 12];
    let mut row = 1;
    while row < 12 {
        matrix[row][0] = -1.0;
        let mut column = 1;
        while column < 12 {
            if row != column && !is_square((11 + row - column) % 11) {
                matrix[row][column] = -1.0;
            }
            column += 1;
        }
        row += 1;
    }
    matrix
};

/// Whether it is the square of something in the field of 11.
const fn is_square(number: usize) -> bool {
    let mut root = 0;
    while root < 11 {
        if root * root % 11 == number {
            return true;
        }
        root += 1;
    }
    false
}
