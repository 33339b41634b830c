//! Rows of a table, picked by index.

use crate::elementary::add;

/// Row `index[i]` of the table, plus row `i` modulo their number of the positions.
///
/// # Shapes
///
/// - table `[vocabulary, width]`
/// - positions `[tokens, width]`, or empty for none
/// - index `[batch * tokens]`, each below `vocabulary`
/// - output `[batch * tokens, width]`
pub fn embedding(table: &[f32], positions: &[f32], index: &[usize], width: usize) -> Vec<f32> {
    let mut output = Vec::with_capacity(index.len() * width);
    for &index in index {
        output.extend_from_slice(&table[index * width..][..width]);
    }
    if !positions.is_empty() {
        for sequence in output.chunks_exact_mut(positions.len()) {
            add(sequence, positions);
        }
    }
    output
}

/// The gradients of table and positions from that of the output.
///
/// # Shapes
///
/// - gradient `[batch * tokens, width]`
/// - output `[vocabulary, width]`, `[tokens, width]`
pub fn embedding_backward(gradient: &[f32], index: &[usize], [vocabulary, tokens, width]: [usize; 3]) -> [Vec<f32>; 2] {
    assert_eq!(gradient.len(), index.len() * width, "a gradient for {} indices of width {width}", index.len());
    let (mut to_table, mut to_positions) = (vec![0.0; vocabulary * width], vec![0.0; tokens * width]);
    for (row, &index) in gradient.chunks_exact(width.max(1)).zip(index) {
        add(&mut to_table[index * width..][..width], row);
    }
    if tokens > 0 {
        for sequence in gradient.chunks_exact((tokens * width).max(1)) {
            add(&mut to_positions, sequence);
        }
    }
    [to_table, to_positions]
}
