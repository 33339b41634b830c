//! Figures of caches that more than one lab may draw.

use crate::chart::{Axis, Chart, Ink, Mark};
use crate::lab::panel::Arc;
use crate::mech::kv_cache::Fate;
use crate::mech::recall_language::{VOCABULARY, word};

/// Words of [`next_word`].
const LIKELIEST: usize = 6;

/// How strongly a map of tokens shows one: kept, merged into a kept one, or gone.
pub fn shade(fate: Fate) -> f32 {
    match fate {
        Fate::Kept => 1.0,
        Fate::Merged(_) | Fate::Spread => 0.4,
        Fate::Evicted | Fate::ZeroClass => 0.0,
    }
}

/// How many tokens each token has taken in.
pub fn members(fates: &[Fate]) -> Vec<usize> {
    let mut members = vec![0; fates.len()];
    for fate in fates {
        if let Fate::Merged(center) = fate {
            members[*center] += 1;
        }
    }
    members
}

/// What became of a token of a text, in a word, and its class.
pub fn told(fate: Fate, members: usize, text: &[usize]) -> (String, Option<u8>) {
    match fate {
        Fate::Kept if members > 0 => (format!("kept, with {members}"), Some(1)),
        Fate::Kept => ("kept".to_owned(), Some(0)),
        Fate::Merged(center) => (format!("in {}, {center}", word(text[center])), Some(3)),
        Fate::Spread => ("spread".to_owned(), Some(3)),
        Fate::ZeroClass => ("unlike all".to_owned(), None),
        Fate::Evicted => ("dropped".to_owned(), None),
    }
}

/// An arc from each merged token to the one that took it in, of the share that `alike` says of it.
pub fn threads(fates: &[Fate], alike: impl Fn(usize) -> f32) -> Vec<Arc> {
    let thread = |(from, fate): (usize, &Fate)| match *fate {
        Fate::Merged(to) => Some(Arc { from, to, share: alike(from), above: true }),
        _ => None,
    };
    fates.iter().enumerate().filter_map(thread).collect()
}

/// A head as a page names it: layer and head, counted from 1.
pub fn head_name(layer: usize, head: usize) -> String {
    format!("{}.{}", layer + 1, head + 1)
}

/// A map of tokens: a row for each head of each layer, the first on top.
///
/// # Shapes
///
/// - layers `[layers][heads][tokens]`
pub fn heads_map(name: &str, layers: &[Vec<Vec<f32>>], tokens: usize, more: Vec<Mark>) -> Chart {
    let rows: Vec<&Vec<f32>> = layers.iter().flatten().collect();
    let count = rows.len();
    let names =
        layers.iter().enumerate().flat_map(|(layer, heads)| (0..heads.len()).map(move |head| head_name(layer, head)));
    let mut y = Axis::new("layer.head", 0.0..count as f64);
    y.ticks = names.enumerate().map(|(at, name)| ((count - at) as f64 - 0.5, name)).collect();
    let heat = Mark::Heat {
        name: name.to_owned(),
        signed: false,
        rows: count,
        columns: tokens,
        x: [0.0, tokens as f32],
        y: [0.0, count as f32],
        values: rows.iter().rev().copied().flatten().copied().collect(),
    };
    let marks = [heat].into_iter().chain(more).collect();
    Chart::new(Axis::new("token", 0.0..tokens as f64), y, marks)
}

/// How likely the whole cache and another hold the words that either holds likeliest: `[vocabulary]` each.
pub fn next_word(whole: &[f32], compressed: &[f32], other: &str) -> Chart {
    let mut order: Vec<usize> = (0..VOCABULARY).collect();
    let either = |token: usize| whole[token].max(compressed[token]);
    order.sort_by(|&a, &b| either(b).total_cmp(&either(a)));
    order.truncate(LIKELIEST);
    let middle = |at: usize| at as f32 + 0.5;
    let mut x = Axis::new("next word", 0.0..order.len() as f64);
    x.ticks = order.iter().enumerate().map(|(at, &token)| (f64::from(middle(at)), word(token).to_owned())).collect();
    let bars = Mark::Bars {
        name: "whole cache".to_owned(),
        ink: Ink::Data,
        from: 0.0,
        to: order.len() as f32,
        heights: order.iter().map(|&token| whole[token]).collect(),
    };
    let points = order.iter().enumerate().map(|(at, &token)| [middle(at), compressed[token]]).collect();
    let stems = Mark::Stems { name: other.to_owned(), ink: Ink::Method, points };
    Chart::new(x, Axis::new("probability", 0.0..1.0), vec![bars, stems])
}
