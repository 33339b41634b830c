//! Products of matrices.

use crate::four::{Four, multiply_add};

/// Rows and columns of a tile: its sums fill eight vector registers of sixteen, which leaves room for its factors.
const ROWS: usize = 4;
const COLUMNS: usize = 8;
/// Terms of each sum taken at a time: a packed panel of so many rows stays in the first-level cache.
const DEPTH: usize = 256;

/// A matrix in row-major numbers, a block of its columns, or the transpose of either.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    numbers: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// # Shapes
    ///
    /// - numbers `[rows, columns]`, row by row
    pub fn new(numbers: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(numbers.len(), rows * columns, "{} numbers cannot be a [{rows}, {columns}] matrix", numbers.len());
        Self { numbers, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// Some columns of a matrix whose rows are `stride` apart: one head of several, say.
    ///
    /// # Shapes
    ///
    /// - numbers: from the block's first to at least its last
    pub fn block(numbers: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check_block(numbers.len(), rows, columns, stride);
        Self { numbers, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The same numbers, read column by column.
    pub fn transposed(self) -> Self {
        Self {
            numbers: self.numbers,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// All numbers, row by row.
    pub(crate) fn numbers(&self) -> &'a [f32] {
        assert_eq!((self.row_stride, self.column_stride), (self.columns, 1), "a block's rows lie apart");
        self.numbers
    }

    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }
}

/// Where a product is added: a matrix in row-major numbers, or a block of its columns.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    numbers: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// # Shapes
    ///
    /// - numbers `[rows, columns]`, row by row
    pub fn new(numbers: &'a mut [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(numbers.len(), rows * columns, "{} numbers cannot hold [{rows}, {columns}]", numbers.len());
        Self { numbers, rows, columns, row_stride: columns }
    }

    /// Some columns of a matrix whose rows are `stride` apart.
    ///
    /// # Shapes
    ///
    /// - numbers: from the block's first to at least its last
    pub fn block(numbers: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check_block(numbers.len(), rows, columns, stride);
        Self { numbers, rows, columns, row_stride: stride }
    }
}

fn check_block(length: usize, rows: usize, columns: usize, stride: usize) {
    assert!(columns <= stride, "a block of {columns} columns in rows of {stride}");
    let end = rows.checked_sub(1).map_or(0, |last| last * stride + columns);
    assert!(end <= length, "a block of [{rows}, {columns}] in rows of {stride} ends after {length} numbers");
}

/// # Shapes
///
/// - a `[m, k]`
/// - b `[k, n]`
/// - output `[m, n]`, row by row
pub fn product(a: Matrix, b: Matrix) -> Vec<f32> {
    let mut c = vec![0.0; a.rows * b.columns];
    add_product(a, b, MatrixMut::new(&mut c, a.rows, b.columns));
    c
}

/// Adds the product to `c`.
///
/// # Shapes
///
/// - a `[m, k]`
/// - b `[k, n]`
/// - c `[m, n]`
pub fn add_product(a: Matrix, b: Matrix, mut c: MatrixMut) {
    assert_eq!(a.columns, b.rows, "cannot multiply {:?} by {:?}", a.shape(), b.shape());
    assert_eq!([c.rows, c.columns], [a.rows, b.columns], "a product of {:?} by {:?}", a.shape(), b.shape());
    if a.rows == 1 && b.column_stride == 1 {
        return add_row_product(a, b, c.numbers);
    }
    let mut panel = vec![0.0; DEPTH.min(b.rows) * COLUMNS];
    for top in (0..b.rows).step_by(DEPTH) {
        let depth = DEPTH.min(b.rows - top);
        for left in (0..b.columns).step_by(COLUMNS) {
            let width = COLUMNS.min(b.columns - left);
            let panel = &mut panel[..depth * COLUMNS];
            pack(b, top, left, width, panel);
            let mut row = 0;
            while row + ROWS <= a.rows {
                tile::<ROWS>(a, row, top, panel, &mut c, left, width);
                row += ROWS;
            }
            match a.rows - row {
                3 => tile::<3>(a, row, top, panel, &mut c, left, width),
                2 => tile::<2>(a, row, top, panel, &mut c, left, width),
                1 => tile::<1>(a, row, top, panel, &mut c, left, width),
                _ => {}
            }
        }
    }
}

/// One row times a matrix. Each number of the matrix is used once, so laying it out anew would cost more than it saves.
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
fn add_row_product(a: Matrix, b: Matrix, c: &mut [f32]) {
    let whole = b.columns / 4 * 4;
    for row in 0..b.rows {
        let factor = a.numbers[row * a.column_stride];
        let numbers = &b.numbers[row * b.row_stride..][..b.columns];
        let (c_chunks, c_rest) = c[..b.columns].split_at_mut(whole);
        for (sum, number) in c_chunks.as_chunks_mut::<4>().0.iter_mut().zip(numbers.as_chunks::<4>().0) {
            *sum = multiply_add(Four::splat(factor), Four::load(number), Four::load(sum)).to_array();
        }
        for (sum, number) in c_rest.iter_mut().zip(&numbers[whole..]) {
            *sum += factor * number;
        }
    }
}

/// Lays `width` columns of `b` side by side in rows of eight; the columns that are missing stay zero.
fn pack(b: Matrix, top: usize, left: usize, width: usize, panel: &mut [f32]) {
    if width < COLUMNS {
        panel.fill(0.0);
    }
    for (depth, row) in panel.chunks_exact_mut(COLUMNS).enumerate() {
        let from = (top + depth) * b.row_stride + left * b.column_stride;
        if b.column_stride == 1 && width == COLUMNS {
            row.copy_from_slice(&b.numbers[from..from + COLUMNS]);
        } else {
            for (column, number) in row[..width].iter_mut().enumerate() {
                *number = b.numbers[from + column * b.column_stride];
            }
        }
    }
}

/// Adds to `height` rows of eight columns of `c` what one packed panel contributes.
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
fn tile<const HEIGHT: usize>(
    a: Matrix,
    row: usize,
    top: usize,
    panel: &[f32],
    c: &mut MatrixMut,
    left: usize,
    width: usize,
) {
    let depth = panel.len() / COLUMNS;
    let last = (row + HEIGHT - 1) * a.row_stride + (top + depth - 1) * a.column_stride;
    assert!(last < a.numbers.len(), "a tile lies inside its matrix");
    let mut sums = [[Four::splat(0.0); 2]; HEIGHT];
    let mut at = row * a.row_stride + top * a.column_stride;
    for b in panel.chunks_exact(COLUMNS) {
        let (b0, b1) = (Four::first(b), Four::first(&b[4..]));
        for (height, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the greatest index of the tile, `last`, was checked above.
            let factor = Four::splat(unsafe { *a.numbers.get_unchecked(at + height * a.row_stride) });
            *sum = [multiply_add(factor, b0, sum[0]), multiply_add(factor, b1, sum[1])];
        }
        at += a.column_stride;
    }
    for (height, sum) in sums.into_iter().enumerate() {
        let from = (row + height) * c.row_stride + left;
        let out = &mut c.numbers[from..from + width];
        if width == COLUMNS {
            (Four::first(out) + sum[0]).store(out);
            (Four::first(&out[4..]) + sum[1]).store(&mut out[4..]);
        } else {
            let sum = [sum[0].to_array(), sum[1].to_array()];
            for (number, sum) in out.iter_mut().zip(sum.as_flattened()) {
                *number += sum;
            }
        }
    }
}
