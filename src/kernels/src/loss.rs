//! Softmax and the losses, each with its gradient: what a backward pass needs is cheapest where the loss is known.

use crate::elementary::exp_four;
use crate::four::Four;

/// Probabilities of each row.
///
/// # Shapes
///
/// - logits `[batch, classes]`, row by row
/// - output `[batch, classes]`
pub fn softmax(logits: &[f32], classes: usize) -> Vec<f32> {
    let mut output = logits.to_vec();
    for row in output.chunks_exact_mut(classes.max(1)) {
        softmax_row(row);
    }
    output
}

/// Turns the gradient after a softmax into the gradient before it.
///
/// # Shapes
///
/// - probabilities, gradient `[batch, classes]`, row by row
pub fn softmax_backward(probabilities: &[f32], gradient: &mut [f32], classes: usize) {
    assert_eq!(probabilities.len(), gradient.len(), "probabilities and their gradient differ in length");
    let classes = classes.max(1);
    for (row, gradient) in probabilities.chunks_exact(classes).zip(gradient.chunks_exact_mut(classes)) {
        let mean: f32 = row.iter().zip(&*gradient).map(|(p, g)| p * g).sum();
        for (gradient, p) in gradient.iter_mut().zip(row) {
            *gradient = p * (*gradient - mean);
        }
    }
}

/// Mean over the batch of -Σ target · ln softmax(logits), and its gradient with respect to the logits.
///
/// # Shapes
///
/// - logits, target `[batch, classes]`, row by row; a row of the target need not sum to one
/// - gradient `[batch, classes]`
pub fn softmax_cross_entropy(logits: &[f32], target: &[f32], classes: usize) -> (f32, Vec<f32>) {
    assert_eq!(logits.len(), target.len(), "{} logits for a target of {}", logits.len(), target.len());
    let classes = classes.max(1);
    let (mut loss, mut gradient) = (0.0_f64, logits.to_vec());
    let share = 1.0 / (logits.len() / classes) as f32;
    for ((row, logits), target) in
        gradient.chunks_exact_mut(classes).zip(logits.chunks_exact(classes)).zip(target.chunks_exact(classes))
    {
        let log_total = softmax_row(row);
        let (mut mass, mut cost) = (0.0, 0.0);
        for (t, z) in target.iter().zip(logits) {
            // A class that cannot be may have a logit of -infinity.
            if *t != 0.0 {
                mass += t;
                cost += t * (log_total - z);
            }
        }
        for (p, t) in row.iter_mut().zip(target) {
            *p = (*p * mass - t) * share;
        }
        loss += f64::from(cost);
    }
    ((loss * f64::from(share)) as f32, gradient)
}

/// Mean over the batch of -ln softmax(logits) at the class of each row, and its gradient.
///
/// # Shapes
///
/// - logits `[batch, classes]`, row by row
/// - index `[batch]`, each below `classes`
/// - gradient `[batch, classes]`
pub fn softmax_cross_entropy_with_indices(logits: &[f32], index: &[usize], classes: usize) -> (f32, Vec<f32>) {
    assert_eq!(logits.len(), index.len() * classes, "{} logits for {} indices", logits.len(), index.len());
    let (mut loss, mut gradient) = (0.0_f64, logits.to_vec());
    let share = 1.0 / index.len() as f32;
    for ((row, logits), &index) in
        gradient.chunks_exact_mut(classes.max(1)).zip(logits.chunks_exact(classes.max(1))).zip(index)
    {
        assert!(index < classes, "class {index} of {classes}");
        loss += f64::from(softmax_row(row) - logits[index]);
        row[index] -= 1.0;
        for p in row {
            *p *= share;
        }
    }
    ((loss * f64::from(share)) as f32, gradient)
}

/// Mean of the squared differences, and its gradient with respect to `a`; that of `b` is its opposite.
///
/// # Shapes
///
/// - a, b, gradient: alike
pub fn mean_squared_error(a: &[f32], b: &[f32]) -> (f32, Vec<f32>) {
    assert_eq!(a.len(), b.len(), "cannot compare {} numbers with {}", a.len(), b.len());
    let scale = 2.0 / a.len() as f32;
    let mut total = 0.0_f64;
    let gradient = a.iter().zip(b).map(|(a, b)| {
        let difference = a - b;
        total += f64::from(difference) * f64::from(difference);
        scale * difference
    });
    let gradient = gradient.collect();
    ((total / a.len() as f64) as f32, gradient)
}

/// Turns logits into probabilities; gives the logarithm of the sum of their exponentials.
#[inline(always)]
pub(crate) fn softmax_row(row: &mut [f32]) -> f32 {
    let mut greatest = Four::splat(f32::NEG_INFINITY);
    let (chunks, rest) = row.as_chunks_mut::<4>();
    for chunk in chunks.iter() {
        greatest = Four::load(chunk).max(greatest);
    }
    let mut last = [f32::NEG_INFINITY; 4];
    last[..rest.len()].copy_from_slice(rest);
    let greatest = Four::load(&last).max(greatest).greatest();
    let shift = Four::splat(greatest);
    let mut total = Four::splat(0.0);
    for chunk in chunks.iter_mut() {
        let powers = exp_four(Four::load(chunk) - shift);
        total = total + powers;
        *chunk = powers.to_array();
    }
    // The padding is -infinity, of which the exponential is zero.
    let powers = exp_four(Four::load(&last) - shift);
    let total = (total + powers).sum();
    rest.copy_from_slice(&powers.to_array()[..rest.len()]);
    let factor = 1.0 / total;
    for p in row {
        *p *= factor;
    }
    let [log, ..] = crate::elementary::ln_four(Four::splat(total)).to_array();
    greatest + log
}
