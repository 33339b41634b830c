//! Figures of what the small model's heads do and what it says, for every lab that reads with it.

use crate::chart::{Axis, Chart, Ink, Mark};
use crate::lab::{Body, Cell, Panel, Table};
use crate::mech::recall_language::{Needle, VOCABULARY, word};
use crate::mech::recall_training::{likeliest, probabilities};

/// Words of [`next_word`].
const LIKELIEST: usize = 6;

/// A head as a page names it: layer and head, counted from 1.
pub fn head_name(layer: usize, head: usize) -> String {
    format!("{}.{}", layer + 1, head + 1)
}

/// A map of tokens, or of chunks of so many: a row for each head of each layer, the first on top.
///
/// # Shapes
///
/// - layers `[layers][heads][cells]`
pub fn heads_map(name: &str, layers: &[Vec<Vec<f32>>], (cells, tokens): (usize, usize), more: Vec<Mark>) -> Chart {
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
        columns: cells,
        x: [0.0, (cells * tokens) as f32],
        y: [0.0, count as f32],
        values: rows.iter().rev().copied().flatten().copied().collect(),
    };
    let marks = [heat].into_iter().chain(more).collect();
    Chart::new(Axis::new("token", 0.0..(cells * tokens) as f64), y, marks)
}

/// What is said to each question, and the probabilities of each answer to one of them.
pub struct Said {
    words: Vec<usize>,
    shares: Vec<f32>, // [vocabulary]
}

impl Said {
    pub fn new(answers: &[Vec<f32>], asked: usize) -> Self {
        let words = answers.iter().map(|logits| likeliest(logits)).collect();
        Self { words, shares: probabilities(&answers[asked]) }
    }

    pub fn right(&self, needles: &[Needle]) -> usize {
        self.words.iter().zip(needles).filter(|(said, needle)| **said == needle.value).count()
    }
}

/// A table of all questions and of what two readers say, who are `names`; the second is the one that is looked at.
pub fn questions_panel(
    needles: &[Needle],
    names: [&str; 2],
    [first, second]: [&Said; 2],
    asked: usize,
    when: &str,
) -> Panel {
    let verdict = |said: usize, stated: &Needle| {
        Cell::Text(format!("{}, {}", word(said), if said == stated.value { "right" } else { "wrong" }))
    };
    let row = |(index, stated): (usize, &Needle)| {
        let name = word(stated.name);
        vec![
            Cell::Text(if index == asked { format!("{name} (asked)") } else { name.to_owned() }),
            Cell::Number(stated.at as f64),
            Cell::Text(word(stated.value).to_owned()),
            verdict(first.words[index], stated),
            verdict(second.words[index], stated),
        ]
    };
    let table = Table::new(
        ["? name", "at", "stated", names[0], names[1]].map(str::to_owned).to_vec(),
        needles.iter().enumerate().map(row).collect(),
    );
    let said = format!("Still right: **{} of {}**, {when}.", second.right(needles), needles.len());
    Panel::new("questions", "Ask it", said, 3, Body::Table(table))
}

/// What two readers, who are `names`, answer to one question.
pub fn answer_panel(stated: &Needle, names: [&str; 2], [first, second]: [&Said; 2]) -> Panel {
    let (first, second) = (&first.shares, &second.shares);
    let said = format!(
        "“? {}”: **{}** was stated. It is given **{:.0} %** ({}) and **{{method|{:.0} %}}** ({}).",
        word(stated.name),
        word(stated.value),
        100.0 * first[stated.value],
        names[0],
        100.0 * second[stated.value],
        names[1]
    );
    Panel::new("answer", "One answer", said, 3, Body::Chart(next_word(names, [first, second])))
}

/// How likely two readers, who are `names`, hold the words that either holds likeliest: `[vocabulary]` each.
pub fn next_word(names: [&str; 2], [first, second]: [&[f32]; 2]) -> Chart {
    let mut order: Vec<usize> = (0..VOCABULARY).collect();
    let either = |token: usize| first[token].max(second[token]);
    order.sort_by(|&a, &b| either(b).total_cmp(&either(a)));
    order.truncate(LIKELIEST);
    let middle = |at: usize| at as f32 + 0.5;
    let mut x = Axis::new("next word", 0.0..order.len() as f64);
    x.ticks = order.iter().enumerate().map(|(at, &token)| (f64::from(middle(at)), word(token).to_owned())).collect();
    let bars = Mark::Bars {
        name: names[0].to_owned(),
        ink: Ink::Data,
        from: 0.0,
        to: order.len() as f32,
        heights: order.iter().map(|&token| first[token]).collect(),
    };
    let points = order.iter().enumerate().map(|(at, &token)| [middle(at), second[token]]).collect();
    let stems = Mark::Stems { name: names[1].to_owned(), ink: Ink::Method, points };
    Chart::new(x, Axis::new("probability", 0.0..1.0), vec![bars, stems])
}

/// So many things, the number in bold: one group, two groups.
pub fn things(count: usize, one: &str) -> String {
    format!("**{count}** {one}{}", if count == 1 { "" } else { "s" })
}

/// Ticks at so many cells, or at a few of them.
pub fn counted(count: usize, most: usize, middle: f64) -> Vec<(f64, String)> {
    (0..count).step_by(count.div_ceil(most)).map(|at| (at as f64 + middle, (at + 1).to_string())).collect()
}
