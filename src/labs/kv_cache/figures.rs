//! Figures of caches that more than one lab may draw.

use crate::lab::panel::Arc;
use crate::mech::kv_cache::Fate;
use crate::mech::recall_language::word;

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
