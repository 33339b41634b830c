//! What other methods than EMS do with a token that is not kept, instead of dropping it.

use super::layer::{Head, Layer, cosines, directions, length, picked};
use super::{Compressed, Fate, Trace};

/// A token that is not kept, and the kept token whose key is most like its own.
#[derive(Clone, Copy)]
struct Pair {
    token: usize,
    /// Which of the kept it is.
    target: usize,
    cosine: f64,
}

/// The column of the greatest number of each row, the first of equal ones, and that number; nothing for empty rows.
///
/// # Shapes
///
/// - numbers `[rows, columns]`
pub(super) fn most_alike(numbers: &[f64], rows: usize) -> Vec<Option<(usize, f64)>> {
    let columns = numbers.len() / rows.max(1);
    let best = |row: &[f64]| {
        row.iter().copied().enumerate().fold(None, |best: Option<(usize, f64)>, (column, number)| match best {
            Some((_, highest)) if highest >= number => best,
            _ => Some((column, number)),
        })
    };
    (0..rows).map(|row| best(&numbers[row * columns..][..columns])).collect()
}

/// Makes of a row its own weighted sum with rows of `numbers`, divided by `total`.
///
/// # Shapes
///
/// - row `[d_head]`, numbers `[cached, d_head]`
pub(super) fn blend(
    row: &mut [f32],
    own: f64,
    others: impl Iterator<Item = (f64, usize)>,
    numbers: &[f32],
    total: f64,
) {
    let mut sum: Vec<f64> = row.iter().map(|x| own * f64::from(*x)).collect();
    for (weight, other) in others {
        let other = &numbers[other * row.len()..][..row.len()];
        sum.iter_mut().zip(other).for_each(|(sum, x)| *sum += weight * f64::from(*x));
    }
    row.iter_mut().zip(sum).for_each(|(x, sum)| *x = (sum / total) as f32);
}

/// The pairs of each head's evicted tokens, in the order in which they stand.
fn pairs(layer: &Layer, into: &Compressed) -> Vec<Vec<Pair>> {
    let of = |(head, trace): (&Head, &Trace)| {
        let evicted = trace.evicted();
        let of = |rows: &[usize]| directions(&picked(&head.cache.keys, rows, layer.d_head), layer.d_head);
        let cosines = cosines(&of(&evicted), &of(&trace.kept), layer.d_head);
        let cosines: Vec<f64> = cosines.into_iter().map(f64::from).collect();
        let found = most_alike(&cosines, evicted.len());
        let pair = |(token, found): (usize, Option<(usize, f64)>)| {
            found.map(|(target, cosine)| Pair { token, target, cosine })
        };
        evicted.into_iter().zip(found).filter_map(pair).collect()
    };
    layer.heads.iter().zip(&into.traces).map(of).collect()
}

/// Which evicted tokens each kept one takes in, with their cosines.
type Classes = Vec<Vec<(f64, usize)>>;

/// Sorts the pairs of a head by their targets; those that are not `alike` are dropped.
fn classes(head: usize, pairs: &[Pair], into: &mut Compressed, alike: impl Fn(usize, &Pair) -> bool) -> Classes {
    let trace = &mut into.traces[head];
    let mut classes = vec![vec![]; trace.kept.len()];
    for (place, pair) in pairs.iter().enumerate() {
        trace.similarity[pair.token] = Some(pair.cosine);
        trace.fates[pair.token] = if alike(place, pair) {
            classes[pair.target].push((pair.cosine, pair.token));
            Fate::Merged(trace.kept[pair.target])
        } else {
            Fate::ZeroClass
        };
    }
    classes
}

/// Each kept token that takes others in, by its place among the kept.
fn taking(classes: &Classes) -> impl Iterator<Item = (usize, &Vec<(f64, usize)>)> {
    classes.iter().enumerate().filter(|(_, members)| !members.is_empty())
}

/// kvpress's MergingPress: an evicted value joins that of the kept token whose key is most like its own, weighted by
/// that likeness and by how long it is beside the other. Keys stay.
pub(super) fn press(threshold: f64, layer: &Layer, into: &mut Compressed) {
    let d_head = layer.d_head;
    for (head, pairs) in pairs(layer, into).iter().enumerate() {
        let classes = classes(head, pairs, into, |_, pair| pair.cosine >= threshold);
        let from = &layer.heads[head].cache.values;
        for (target, members) in taking(&classes) {
            let value = &mut into.layer.heads[head].cache.values[target * d_head..][..d_head];
            let long = length(value);
            let weight = |&(cosine, token): &(f64, usize)| {
                let other = length(&from[token * d_head..][..d_head]);
                (cosine.max(0.0) * other / (other + long + 1e-6), token)
            };
            let members: Vec<(f64, usize)> = members.iter().map(weight).collect();
            let total = 1.0 + members.iter().map(|(weight, _)| weight).sum::<f64>();
            blend(value, 1.0, members.into_iter(), from, total);
        }
    }
}

/// Pivot merge (LOOK-M, Wan et al. 2024, as KVCache-Factory has it): the middle between an evicted token and the kept one
/// most like it is what joins the kept one, by the mean over all that do and itself.
pub(super) fn pivot(layer: &Layer, into: &mut Compressed) {
    for (head, pairs) in pairs(layer, into).iter().enumerate() {
        let classes = classes(head, pairs, into, |_, _| true);
        for (target, members) in taking(&classes) {
            let halves: Vec<(f64, usize)> = members.iter().map(|&(_, token)| (0.5, token)).collect();
            blend_both(layer, into, head, target, 1.0 + 0.5 * members.len() as f64, &halves);
        }
    }
}

/// D2O (Wan et al. 2024): evicted tokens that are alike enough join the kept token most like them, weighted by the
/// cosine, in a mean that counts each of them whole.
///
/// How much is enough is learned: the mean of the greatest cosines at the first compression, later a mean of what it was
/// and what is found. All heads decide together on their first evicted token, on their second and so on; where a head has
/// none left, the others decide, which is our choice.
pub(super) fn d2o(alpha: f64, beta: f64, layer: &Layer, into: &mut Compressed) {
    let pairs = pairs(layer, into);
    let found: Vec<f64> = pairs.iter().flatten().map(|pair| pair.cosine).collect();
    if found.is_empty() {
        return;
    }
    let mean = |cosines: &[f64]| cosines.iter().sum::<f64>() / cosines.len() as f64;
    let threshold = match layer.merge_threshold {
        None => mean(&found),
        Some(before) => alpha * before + beta * mean(&found),
    };
    into.layer.merge_threshold = Some(threshold);
    let most = pairs.iter().map(Vec::len).max().unwrap_or(0);
    let together = |place: usize| -> Vec<f64> {
        pairs.iter().filter_map(|pairs| pairs.get(place)).map(|pair| pair.cosine).collect()
    };
    let alike: Vec<bool> = (0..most).map(|place| mean(&together(place)) >= threshold).collect();
    for (head, pairs) in pairs.iter().enumerate() {
        let classes = classes(head, pairs, into, |place, _| alike[place]);
        for (target, members) in taking(&classes) {
            blend_both(layer, into, head, target, 1.0, members);
        }
    }
}

/// Makes of the key and of the value of a kept token a mean that counts it and each of its members once.
fn blend_both(layer: &Layer, into: &mut Compressed, head: usize, target: usize, own: f64, members: &[(f64, usize)]) {
    let (from, to, d_head) = (&layer.heads[head].cache, &mut into.layer.heads[head].cache, layer.d_head);
    let total = 1.0 + members.len() as f64;
    for (to, from) in [(&mut to.keys, &from.keys), (&mut to.values, &from.values)] {
        blend(&mut to[target * d_head..][..d_head], own, members.iter().copied(), from, total);
    }
}

/// CaM (Zhang et al. 2024, as kvpress has it): the value of an evicted token is spread over the kept ones that follow it,
/// with a probability that grows with the attention it had beside them. Made for evicting one token at a time; of several
/// each is spread by itself.
pub(super) fn cam(window: usize, seed: u64, layer: &Layer, into: &mut Compressed) {
    let d_head = layer.d_head;
    for (head, from) in layer.heads.iter().enumerate() {
        let (to, trace) = (&mut into.layer.heads[head], &mut into.traces[head]);
        let chances = layer.chances(seed, "cam", head);
        for token in trace.evicted() {
            let first = trace.kept.partition_point(|&kept| kept < token);
            let targets = first..trace.kept.len().min(first + window);
            let count = targets.len() as f64;
            let mean = trace.kept[targets.clone()].iter().map(|&kept| from.sums[kept]).sum::<f64>() / count;
            // Written so that a token without followers, whose mean is no number, is dropped.
            if chances[token] * mean < from.sums[token] {
                trace.fates[token] = Fate::Spread;
                for target in targets {
                    let value = &mut to.cache.values[target * d_head..][..d_head];
                    blend(value, 1.0, [(1.0 / count, token)].into_iter(), &from.cache.values, 1.0);
                }
            }
        }
    }
}
