//! What is seen: a frame is data.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Readouts;
use crate::chart::{Chart, Ink};

/// Everything seen at one step. Whole, so that the page needs no history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    pub step: u64,
    /// The last step of a bounded run.
    pub of: Option<u64>,
    pub panels: Vec<Panel>,
    pub offers: Vec<Offer>,
}

impl Frame {
    /// The named numbers of all panels.
    pub fn readouts(&self) -> Readouts {
        self.panels.iter().flat_map(Panel::readouts).collect()
    }
}

/// A figure with its name and the sentence under it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// What an embed asks for; unique in its lab.
    pub id: String,
    /// At most 24 characters.
    pub title: String,
    /// What is to be seen, with live numbers between `**`; a role's name between braces, as `{method|Fourier head}`,
    /// gets its color. It is the caption, and what a screen reader hears.
    pub summary: String,
    /// Columns of the six that it takes on a wide page.
    pub span: u8,
    /// The parameter that a touch of this panel edits.
    pub edits: Option<String>,
    pub body: Body,
}

impl Panel {
    /// Its named numbers; none, if it shows something else.
    pub fn readouts(&self) -> Readouts {
        let list = match &self.body {
            Body::Readouts(list) => list.as_slice(),
            _ => &[],
        };
        list.iter().map(|readout| (readout.key.clone(), readout.value)).collect()
    }

    pub fn new(id: &str, title: impl Into<String>, summary: impl Into<String>, span: u8, body: Body) -> Self {
        Self { id: id.to_owned(), title: title.into(), summary: summary.into(), span, edits: None, body }
    }

    pub fn edits(mut self, key: &str) -> Self {
        self.edits = Some(key.to_owned());
        self
    }

    /// The summary without its marks, as it is spoken.
    pub fn spoken(&self) -> String {
        summary_parts(&self.summary).into_iter().map(|part| part.text).collect()
    }
}

/// A stretch of a summary and how it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryPart {
    pub text: String,
    pub bold: bool,
    pub role: Option<Ink>,
}

/// Splits a summary at its marks.
pub fn summary_parts(summary: &str) -> Vec<SummaryPart> {
    let mut parts = Vec::new();
    for (index, stretch) in summary.split("**").enumerate() {
        let mut rest = stretch;
        while let Some((before, (role, text, after))) = rest.split_once('{').and_then(|(before, tail)| {
            let (inside, after) = tail.split_once('}')?;
            let (role, text) = inside.split_once('|')?;
            Some((before, (role, text, after)))
        }) {
            parts.push(SummaryPart { text: before.to_owned(), bold: index % 2 == 1, role: None });
            parts.push(SummaryPart { text: text.to_owned(), bold: index % 2 == 1, role: role_named(role) });
            rest = after;
        }
        parts.push(SummaryPart { text: rest.to_owned(), bold: index % 2 == 1, role: None });
    }
    parts.retain(|part| !part.text.is_empty());
    parts
}

fn role_named(name: &str) -> Option<Ink> {
    match name {
        "method" => Some(Ink::Method),
        "baseline" => Some(Ink::Baseline),
        "baseline2" => Some(Ink::Baseline2),
        "muted" => Some(Ink::Muted),
        "truth" => Some(Ink::Truth),
        "data" => Some(Ink::Data),
        "guess" => Some(Ink::Guess),
        _ => None,
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    Chart(Chart),
    Tokens(Tokens),
    Table(Table),
    Tree(Tree),
    Readouts(Vec<Readout>),
}

/// A sequence of tokens, and arcs from one to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    pub tokens: Vec<Token>,
    pub arcs: Vec<Arc>,
    /// Where tokens may be moved; nothing where their order is fixed.
    pub moves: Option<Moves>,
    /// They are set as a text, line below line, with the arcs over it.
    pub wraps: bool,
    /// A press chooses a token beside those that are chosen.
    pub many: bool,
}

/// Tokens that the reader moves are words of a text, which is a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moves {
    /// The parameter.
    pub key: String,
    /// Its words, as they stand now.
    pub words: Vec<String>,
    /// Which word each token belongs to; those of one word move together.
    pub word_of: Vec<usize>,
}

impl Moves {
    /// The text after the word of one token has taken the place of another's; nothing if both are one.
    pub fn moved(&self, from: usize, to: usize) -> Option<String> {
        let (&from, &to) = (self.word_of.get(from)?, self.word_of.get(to)?);
        if from == to || from.max(to) >= self.words.len() {
            return None;
        }
        let mut words = self.words.clone();
        let word = words.remove(from);
        words.insert(to, word);
        Some(words.join(" "))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Token {
    pub text: String,
    /// What kind of token it is, in small under its text.
    pub note: String,
    /// Its class, 0 to 7, for the color of its edge.
    pub class: Option<u8>,
    pub chosen: bool,
}

/// Token `from` looks at token `to`, or has gone into it, with this share; above the strip or below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arc {
    pub from: usize,
    pub to: usize,
    pub share: f32,
    pub above: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    /// So many of the last columns stand in saved files alone.
    pub aside: usize,
}

impl Table {
    pub fn new(head: Vec<String>, rows: Vec<Vec<Cell>>) -> Self {
        Self { head, rows, aside: 0 }
    }

    /// An object of JSON for each row, by the names of the head; a name that stands there twice gets a number.
    pub fn json_lines(&self) -> String {
        let mut names: Vec<String> = vec![];
        for name in &self.head {
            let same = |number: usize| if number == 1 { name.clone() } else { format!("{name} {number}") };
            let free = (1..).map(same).find(|name| !names.contains(name));
            names.extend(free);
        }
        let cell = |cell: &Cell| match cell {
            Cell::Text(text) => Value::from(text.as_str()),
            // JSON has no number that is none.
            Cell::Number(number) => Value::from(*number),
            Cell::Line { values, .. } => Value::from(values.clone()),
        };
        let row = |row: &Vec<Cell>| {
            let fields =
                names.iter().zip(row).map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), cell(value)));
            format!("{{{}}}\n", fields.collect::<Vec<_>>().join(","))
        };
        self.rows.iter().map(row).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    Text(String),
    Number(f64),
    /// A small line without axes.
    Line {
        ink: Ink,
        values: Vec<f32>,
    },
}

/// Nodes in an order in which a parent comes before its children.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// What stands over each depth; empty for nothing.
    pub columns: Vec<String>,
    pub nodes: Vec<Node>,
}

/// Where a node stands: a column for each depth, a row for each leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    pub depth: usize,
    /// The rows of its leaves.
    pub rows: Range<usize>,
}

impl Tree {
    /// Where each node stands; siblings stand in their order. A node that does not come after its parent is taken for a root.
    pub fn places(&self) -> Vec<Placed> {
        let parent = |index: usize| self.nodes[index].parent.filter(|parent| *parent < index);
        let mut leaves = vec![0; self.nodes.len()];
        for index in (0..self.nodes.len()).rev() {
            leaves[index] = leaves[index].max(1);
            if let Some(parent) = parent(index) {
                leaves[parent] += leaves[index];
            }
        }
        // The first row that is free below each node, and below no node.
        let (mut free, mut free_of_roots) = (vec![0; self.nodes.len()], 0);
        let mut places: Vec<Placed> = Vec::with_capacity(self.nodes.len());
        for index in 0..self.nodes.len() {
            let (depth, row) = match parent(index) {
                Some(parent) => (places[parent].depth + 1, &mut free[parent]),
                None => (0, &mut free_of_roots),
            };
            let rows = *row..*row + leaves[index];
            *row = rows.end;
            free[index] = rows.start;
            places.push(Placed { depth, rows });
        }
        places
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub parent: Option<usize>,
    /// What the parameter that the panel edits is set to when the node is pressed.
    pub value: String,
    pub text: String,
    pub note: String,
    pub ink: Ink,
    pub chosen: bool,
}

/// A named number with its unit. Readouts of one panel make a table: a row for each `of`, a column for each `name`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Readout {
    /// What experiments, sweeps and exports call it; unique in its frame.
    pub key: String,
    /// What the number is of: "Fourier head".
    pub of: String,
    /// What it says: "off by".
    pub name: String,
    pub unit: String,
    pub value: f64,
    pub ink: Ink,
    /// What it was so far, for a small line beside it; empty for none.
    pub trend: Vec<f32>,
    /// Measured with a clock, and so left out of comparisons.
    pub measured: bool,
}

impl Readout {
    pub fn new(key: impl Into<String>, of: &str, ink: Ink, name: &str, unit: &str, value: f64) -> Self {
        Self {
            key: key.into(),
            of: of.to_owned(),
            name: name.to_owned(),
            unit: unit.to_owned(),
            value,
            ink,
            trend: Vec::new(),
            measured: false,
        }
    }
}

/// A link that the lab proposes: "lower the rate".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub label: String,
    /// What it changes; or the address of another lab, `?lab=…#…`.
    pub query: String,
}
