//! What the figures of a search have in common, whoever answers it.

use crate::chart::Ink;
use crate::lab::{Cell, Readout};
use crate::mech::rule_search::{Fate, Node, Reason, Rule, Side};

/// The two lists, how they are called and drawn; in the order of [`Side`]. Where nothing is ranked, both keep the first
/// values that pass, so that neither is a head or a tail.
pub fn lists(ranked: bool) -> [(Side, &'static str, Ink); 2] {
    let [head, tail] = if ranked { ["head", "tail"] } else { ["first list", "second list"] };
    [(Side::Head, head, Ink::Baseline), (Side::Tail, tail, Ink::Method)]
}

/// A variable with what its values are.
pub fn variable(rule: &Rule, variable: usize) -> String {
    let about = &rule.variables[variable];
    format!("{} ({})", about.name, about.datatype)
}

/// How a node is drawn, and a few words on what became of it. `least` is what a value's own P(yes) must reach.
pub fn told(node: &Node, least: f64, ranked: bool) -> (Ink, String) {
    let score = node.score.filter(|score| score.is_finite());
    let scored = score.map_or_else(String::new, |score| format!(", {}", signed(score, 2)));
    let confidence = &node.confidence;
    let below = |check: usize, way: &[f64]| {
        let (mean, threshold) = (node.counted[check], node.thresholds[check]);
        match way.last() {
            // A mean that is high enough hides a late mistake.
            Some(own) if mean >= threshold => format!("own P(yes) {own:.3} < {least:.2}"),
            _ => format!("mean P(yes) {mean:.3} < {threshold:.2}"),
        }
    };
    match node.fate {
        Fate::Waiting if confidence.datatype.len() > node.turn => (Ink::Data, "passed, to be ranked".to_owned()),
        Fate::Waiting => (Ink::Data, "proposed".to_owned()),
        Fate::Struck(Reason::Datatype) => {
            (Ink::Muted, format!("struck out: not of its type, {}", below(0, &confidence.datatype)))
        }
        Fate::Struck(Reason::Fact) if confidence.has_fact => {
            (Ink::Muted, format!("struck out: fact false, {}", below(1, &confidence.factual)))
        }
        Fate::Struck(Reason::Fact) => (Ink::Muted, "struck out: two answers differ".to_owned()),
        Fate::Cut if ranked => (Ink::Baseline2, format!("cut by the reranker{scored}")),
        Fate::Cut => (Ink::Baseline2, format!("left out by the beam{scored}")),
        Fate::Alive => match node.side.map(|side| lists(ranked)[side as usize]) {
            Some((_, name, ink)) => (ink, format!("{name}{scored}")),
            None => (Ink::Truth, format!("both lists{scored}")),
        },
    }
}

pub fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

/// A number as a table shows it, or a dash where there is none.
pub fn rounded(number: Option<f64>) -> Cell {
    let number = number.filter(|number| number.is_finite());
    number.map_or_else(|| text("—"), |number| Cell::Number((1000.0 * number).round() / 1000.0))
}

/// With the sign that belongs to numbers.
pub fn signed(number: f64, decimals: usize) -> String {
    format!("{number:.decimals$}").replace('-', "−")
}

/// What a critic believes of the facts of a relation: the most popular third, the middle, the rarest, and false ones.
pub fn recalls(key: &str, of: &str, ink: Ink, shares: impl IntoIterator<Item = f64>) -> Vec<Readout> {
    let names = [("top", "popular"), ("middle", "middle"), ("bottom", "rare"), ("false", "false")];
    let readout = |((part, said), share): ((&str, &str), f64)| {
        Readout::new(format!("recall_{part}_{key}"), of, ink, said, "", share)
    };
    names.into_iter().zip(shares).map(readout).collect()
}

/// PersonX as people write it.
pub fn capitalized(sentence: &str) -> String {
    let word = |word: &str| match word.strip_suffix('X') {
        Some(name) if !name.is_empty() => {
            let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
            format!("{}{rest}X", first.to_uppercase())
        }
        _ => word.to_owned(),
    };
    sentence.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
