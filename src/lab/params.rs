//! Parameters: one declaration for the lab, its controls, its link and its documentation.
//!
//! [`params!`](crate::params) makes a typed struct for the lab and a list of [`ParamSpec`]s for everybody
//! else. Over that list there is one codec, [`Values`]: the query string is the address, the preset, the
//! embed's attributes and the message to the engine. Reading cannot fail: what is out of range or unknown
//! is mended, and every mend is told.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::chart::Ink;

/// Keys of the address that belong to the page and that no lab may declare.
pub const RESERVED: &[&str] = &[
    "lab", "page", "embed", "panel", "hide", "lock", "theme", "lang", "start", "preset", "compare", "engine", "at",
    "speed", "guess", "fault", "v",
];

/// Characters of a file's name in a link.
const MOST_NAME: usize = 200;

/// One parameter, declared once.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Name in the link: snake_case, spelled out.
    pub key: &'static str,
    /// Name beside the control.
    pub name: &'static str,
    /// Symbol in the paper, or nothing.
    pub symbol: &'static str,
    /// One sentence: what it does for the reader.
    pub help: &'static str,
    pub kind: Kind,
    pub default: Value,
    pub scope: Scope,
    /// A number that is written as a word, such as 0 draws as "all".
    pub word: Option<(&'static str, i64)>,
    /// Older keys, which old links still carry.
    pub aliases: &'static [&'static str],
    /// The series that this parameter shows or hides.
    pub swatch: Option<Ink>,
    /// Rarely touched: stands under "More".
    pub more: bool,
    /// The size of an optimizer step: what is lowered when a run runs away.
    pub step_size: bool,
    /// The parameter that takes the place of this one, and is emptied when the reader sets this one; or nothing.
    pub clears: &'static str,
    /// What a text may be made of, offered while it is typed.
    pub words: &'static [&'static str],
}

/// What a change of the parameter asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The run starts again.
    Run,
    /// The running model takes it.
    Live,
    /// Only the look changes.
    View,
}

/// What values a parameter takes, and so which control it gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Int {
        min: i64,
        max: i64,
    },
    Real {
        min: f64,
        max: f64,
    },
    Toggle,
    /// `(value in the link, label)`.
    Choice {
        options: &'static [(&'static str, &'static str)],
    },
    /// A list of numbers, such as a painted target.
    Numbers {
        most: usize,
        min: f32,
        max: f32,
    },
    /// A list of points, such as dragged handles; empty until something is dragged.
    Points {
        most: usize,
        min: f32,
        max: f32,
    },
    Text {
        most: usize,
    },
    /// One thing out of many in a panel, by its index; empty means none.
    Pick {
        most: usize,
    },
    /// Several of as many things in a panel, by their indices.
    Picks {
        most: usize,
    },
    /// A file of the reader's. The link holds its name; its bytes travel beside.
    File {
        most_bytes: usize,
        accept: &'static str,
    },
    /// What stays in the page's memory: in no link, storage, export or log, and in no message to an engine.
    Secret {
        most: usize,
        part: Part,
    },
}

/// What a secret is of a request to the reader's own server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Where it goes, which may be seen while it is typed.
    Address,
    /// Who asks, which may not.
    Key,
}

/// A value of some [`Kind`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int(i64),
    Real(f64),
    Toggle(bool),
    Choice(&'static str),
    Numbers(Cow<'static, [f32]>),
    Points(Cow<'static, [[f32; 2]]>),
    Text(Cow<'static, str>),
    Pick(Option<usize>),
    Picks(Cow<'static, [usize]>),
    File(Cow<'static, str>),
    Secret(Secret),
}

/// A text that is not printed by accident.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Cow<'static, str>);

impl Secret {
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for its field and for the request that it is part of.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(typed)" })
    }
}

/// Something in a link that could not be taken as it stood, and what is used instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamProblem {
    pub key: String,
    /// A sentence for the reader, who sees it beside the control.
    pub message: String,
}

impl ParamProblem {
    /// The sentence as it is said away from the control: with the parameter's name before it.
    pub fn named(&self, specs: &[ParamSpec]) -> String {
        match specs.iter().find(|spec| spec.key == self.key) {
            Some(spec) => format!("{}: {}", spec.name, self.message),
            None => self.message.clone(),
        }
    }
}

/// More would not be read.
const MOST_COMPLETIONS: usize = 6;

// Constructors of specs, used on the right-hand side in `params!`.

const fn spec(name: &'static str, kind: Kind, default: Value) -> ParamSpec {
    ParamSpec {
        key: "",
        name,
        symbol: "",
        help: "",
        kind,
        default,
        scope: Scope::Run,
        word: None,
        aliases: &[],
        swatch: None,
        more: false,
        step_size: false,
        clears: "",
        words: &[],
    }
}

pub const fn int(name: &'static str, default: i64, range: RangeInclusive<i64>) -> ParamSpec {
    spec(name, Kind::Int { min: *range.start(), max: *range.end() }, Value::Int(default))
}

pub const fn real(name: &'static str, default: f64, range: RangeInclusive<f64>) -> ParamSpec {
    spec(name, Kind::Real { min: *range.start(), max: *range.end() }, Value::Real(default))
}

pub const fn toggle(name: &'static str, default: bool) -> ParamSpec {
    spec(name, Kind::Toggle, Value::Toggle(default))
}

/// `options` and `default` come from an enum made by [`choices!`](crate::choices).
pub const fn choice(
    name: &'static str,
    default: &'static str,
    options: &'static [(&'static str, &'static str)],
) -> ParamSpec {
    spec(name, Kind::Choice { options }, Value::Choice(default))
}

pub const fn numbers(name: &'static str, most: usize, range: RangeInclusive<f32>) -> ParamSpec {
    let kind = Kind::Numbers { most, min: *range.start(), max: *range.end() };
    spec(name, kind, Value::Numbers(Cow::Borrowed(&[])))
}

pub const fn points(name: &'static str, most: usize, range: RangeInclusive<f32>) -> ParamSpec {
    let kind = Kind::Points { most, min: *range.start(), max: *range.end() };
    spec(name, kind, Value::Points(Cow::Borrowed(&[])))
}

pub const fn text(name: &'static str, default: &'static str, most: usize) -> ParamSpec {
    spec(name, Kind::Text { most }, Value::Text(Cow::Borrowed(default)))
}

pub const fn pick(name: &'static str, most: usize) -> ParamSpec {
    spec(name, Kind::Pick { most }, Value::Pick(None))
}

/// Several of so many things in a panel.
pub const fn picks(name: &'static str, most: usize) -> ParamSpec {
    spec(name, Kind::Picks { most }, Value::Picks(Cow::Borrowed(&[])))
}

/// The address of the reader's own server.
pub const fn address(name: &'static str, most: usize) -> ParamSpec {
    private(name, most, Part::Address)
}

/// The key that goes with requests to the reader's own server.
pub const fn secret(name: &'static str, most: usize) -> ParamSpec {
    private(name, most, Part::Key)
}

const fn private(name: &'static str, most: usize, part: Part) -> ParamSpec {
    // A run is not told of it, so that none need start again.
    spec(name, Kind::Secret { most, part }, Value::Secret(Secret(Cow::Borrowed("")))).view()
}

pub const fn file(name: &'static str, most_bytes: usize, accept: &'static str) -> ParamSpec {
    spec(name, Kind::File { most_bytes, accept }, Value::File(Cow::Borrowed("")))
}

impl ParamSpec {
    pub const fn live(mut self) -> Self {
        self.scope = Scope::Live;
        self
    }

    pub const fn view(mut self) -> Self {
        self.scope = Scope::View;
        self
    }

    pub const fn more(mut self) -> Self {
        self.more = true;
        self
    }

    pub const fn clears(mut self, key: &'static str) -> Self {
        self.clears = key;
        self
    }

    pub const fn words(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    /// The word of a text that ends at a place, counted in letters, and those of the spec's words that complete it.
    pub fn completions(&self, text: &str, place: usize) -> (String, Vec<&'static str>) {
        let before: Vec<char> = text.chars().take(place).collect();
        let is_part = |letter: &&char| letter.is_alphanumeric() || **letter == '_';
        let begun: String = before.iter().rev().take_while(is_part).collect::<Vec<_>>().into_iter().rev().collect();
        let completes = |word: &&&'static str| !begun.is_empty() && word.starts_with(&begun) && **word != begun;
        let found = self.words.iter().filter(completes).copied().take(MOST_COMPLETIONS).collect();
        (begun, found)
    }

    pub const fn step_size(mut self) -> Self {
        self.step_size = true;
        self
    }

    pub const fn symbol(mut self, symbol: &'static str) -> Self {
        self.symbol = symbol;
        self
    }

    /// Writes this number as a word.
    pub const fn word(mut self, word: &'static str, number: i64) -> Self {
        self.word = Some((word, number));
        self
    }

    pub const fn swatch(mut self, ink: Ink) -> Self {
        self.swatch = Some(ink);
        self
    }

    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    #[doc(hidden)]
    pub const fn named(mut self, key: &'static str, help: &'static str) -> Self {
        self.key = key;
        self.help = help;
        self
    }

    /// A value of this parameter from what a link or a field says, and the sentence about the mend, if any.
    pub fn read(&self, text: &str) -> (Value, Option<String>) {
        let default = || self.default.clone();
        match &self.kind {
            Kind::Int { .. } if self.word.is_some_and(|(word, _)| word == text.trim()) => {
                (Value::Int(self.word.map_or(0, |(_, number)| number)), None)
            }
            &Kind::Int { min, max } => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    let (held, said) = hold(number.round(), min as f64, max as f64);
                    (Value::Int(held as i64), said)
                }
                _ => (default(), Some(self.not_understood(text, "a number"))),
            },
            &Kind::Real { min, max } => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    let (held, said) = hold(number, min, max);
                    (Value::Real(held), said)
                }
                _ => (default(), Some(self.not_understood(text, "a number"))),
            },
            Kind::Toggle => match text {
                "true" | "1" | "yes" | "on" => (Value::Toggle(true), None),
                "false" | "0" | "no" | "off" => (Value::Toggle(false), None),
                _ => (default(), Some(self.not_understood(text, "true or false"))),
            },
            Kind::Choice { options } => match options.iter().find(|(value, _)| *value == text) {
                Some((value, _)) => (Value::Choice(value), None),
                None => (default(), Some(self.not_understood(text, "one of the choices"))),
            },
            &Kind::Numbers { most, min, max } => {
                let beyond = Cell::new(false);
                let separators = [',', ' ', ';', '\n', '\t'].as_slice();
                let (list, said) = read_list(text, separators, most, |item| coordinate(item, min, max, &beyond));
                (Value::Numbers(list.into()), all_of([said, held_within(min, max, &beyond)]))
            }
            &Kind::Points { most, min, max } => {
                let beyond = Cell::new(false);
                let (list, said) = read_list(text, [';', '\n'].as_slice(), most, |item| {
                    let (x, y) = item.split_once(',')?;
                    Some([coordinate(x, min, max, &beyond)?, coordinate(y, min, max, &beyond)?])
                });
                (Value::Points(list.into()), all_of([said, held_within(min, max, &beyond)]))
            }
            &Kind::Text { most } => {
                let (kept, said) = read_text(text, most);
                (Value::Text(kept.into()), said)
            }
            &Kind::Pick { most } => match text.trim() {
                "" => (Value::Pick(None), None),
                number => match number.parse::<usize>() {
                    Ok(index) if index < most => (Value::Pick(Some(index)), None),
                    _ => (default(), Some(self.not_understood(text, &format!("a whole number below {most}")))),
                },
            },
            &Kind::Picks { most } => {
                let number = |item: &str| item.parse::<usize>().ok().filter(|index| *index < most);
                let (list, said) = read_list(text, [',', ' '].as_slice(), most, number);
                (Value::Picks(list.into()), said)
            }
            Kind::File { .. } => {
                let (kept, said) = read_text(text, MOST_NAME);
                (Value::File(kept.into()), said)
            }
            &Kind::Secret { most, .. } => {
                let (kept, said) = read_text(text, most);
                (Value::Secret(Secret::new(kept)), said)
            }
        }
    }

    fn not_understood(&self, text: &str, wanted: &str) -> String {
        let shown: String = text.chars().take(24).collect();
        match self.text(&self.default) {
            empty if empty.is_empty() => format!("“{shown}” is not {wanted}; nothing is used."),
            default => format!("“{shown}” is not {wanted}; {default} is used."),
        }
    }

    /// Whether its value stays in the page's memory.
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret { .. })
    }

    /// Whether it says where requests go.
    pub const fn is_address(&self) -> bool {
        matches!(self.kind, Kind::Secret { part: Part::Address, .. })
    }

    /// A value as it stands in a link, before percent-encoding, and in its field.
    pub fn text(&self, value: &Value) -> String {
        match (self.word, value) {
            (Some((word, number)), Value::Int(value)) if *value == number => word.to_owned(),
            _ => value.text(),
        }
    }

    /// The step of its slider.
    pub fn step(&self) -> f64 {
        match self.kind {
            Kind::Int { .. } => 1.0,
            Kind::Real { min, max } => 10f64.powf((max - min).log10().floor() - 3.0),
            _ => 1.0,
        }
    }
}

fn hold(number: f64, min: f64, max: f64) -> (f64, Option<String>) {
    let held = number.clamp(min, max);
    let said = if held > number {
        Some(format!("Least is {min}; {min} is used."))
    } else if held < number {
        Some(format!("Most is {max}; {max} is used."))
    } else {
        None
    };
    (held, said)
}

/// A number of a list, held within its limits; notes in `beyond` that it had to be.
fn coordinate(item: &str, min: f32, max: f32, beyond: &Cell<bool>) -> Option<f32> {
    let number = item.trim().parse::<f32>().ok().filter(|number| number.is_finite())?;
    let held = number.clamp(min, max);
    beyond.set(beyond.get() || held != number);
    Some(held)
}

fn held_within(min: f32, max: f32, beyond: &Cell<bool>) -> Option<String> {
    beyond.get().then(|| format!("Numbers are between {min} and {max}; those beyond are held there."))
}

fn read_text(text: &str, most: usize) -> (String, Option<String>) {
    let kept: String = text.chars().take(most).collect();
    let said = (kept.len() < text.len()).then(|| format!("Only the first {most} characters are used."));
    (kept, said)
}

fn read_list<T>(
    text: &str,
    separators: &[char],
    most: usize,
    read: impl Fn(&str) -> Option<T>,
) -> (Vec<T>, Option<String>) {
    let items = text.split(separators).map(str::trim).filter(|item| !item.is_empty());
    let (mut list, mut skipped, mut over) = (Vec::new(), 0, false);
    for item in items {
        match read(item) {
            _ if list.len() == most => {
                over = true;
                break;
            }
            Some(value) => list.push(value),
            None => skipped += 1,
        }
    }
    let skipped = match skipped {
        0 => None,
        1 => Some("One entry is not a number and is left out.".to_owned()),
        n => Some(format!("{n} entries are not numbers and are left out.")),
    };
    let over = over.then(|| format!("Only the first {most} are used."));
    (list, all_of([skipped, over]))
}

/// Several sentences as one.
fn all_of(sentences: [Option<String>; 2]) -> Option<String> {
    sentences.into_iter().flatten().reduce(|first, second| format!("{first} {second}"))
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Int(number) => number.to_string(),
            Self::Real(number) => number.to_string(),
            Self::Toggle(on) => on.to_string(),
            Self::Choice(value) => (*value).to_owned(),
            Self::Numbers(list) => join(list.iter(), ",", |number| number.to_string()),
            Self::Points(list) => join(list.iter(), ";", |[x, y]| format!("{x},{y}")),
            Self::Text(text) | Self::File(text) => text.clone().into_owned(),
            Self::Picks(list) => join(list.iter(), ",", |index| index.to_string()),
            Self::Pick(index) => index.map(|index| index.to_string()).unwrap_or_default(),
            Self::Secret(secret) => secret.reveal().to_owned(),
        }
    }
}

fn join<T>(items: impl Iterator<Item = T>, separator: &str, text: impl Fn(T) -> String) -> String {
    items.map(text).collect::<Vec<_>>().join(separator)
}

/// A value of every parameter of one lab.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    specs: &'static [ParamSpec],
    values: Vec<Value>,
}

impl Values {
    pub fn defaults(specs: &'static [ParamSpec]) -> Self {
        Self { specs, values: specs.iter().map(|spec| spec.default.clone()).collect() }
    }

    /// Values from a query string such as `frequencies=8&seed=3`, and what had to be mended.
    /// Keys in [`RESERVED`] are the page's and are passed over.
    pub fn from_query(specs: &'static [ParamSpec], query: &str) -> (Self, Vec<ParamProblem>) {
        let mut values = Self::defaults(specs);
        let problems = values.apply(query);
        (values, problems)
    }

    /// Takes what the query says and leaves the rest as it is. A secret is never taken from a query: whoever made a link
    /// would choose whom the page asks.
    pub fn apply(&mut self, query: &str) -> Vec<ParamProblem> {
        let mut problems = Vec::new();
        for (key, text) in pairs(query) {
            if RESERVED.contains(&key.as_str()) {
                continue;
            }
            match self.specs.iter().position(|spec| spec.key == key || spec.aliases.contains(&key.as_str())) {
                Some(index) if self.specs[index].is_secret() => {
                    let message =
                        "An address or key is never taken from a link; it is left out. Type it here.".to_owned();
                    problems.push(ParamProblem { key: self.specs[index].key.to_owned(), message });
                }
                Some(index) => problems.extend(self.put(index, &text)),
                None => {
                    let shown: String = key.chars().take(24).collect();
                    let message = format!("This lab has no “{shown}”; it is left out.");
                    problems.push(ParamProblem { key, message });
                }
            }
        }
        problems
    }

    fn put(&mut self, index: usize, text: &str) -> Option<ParamProblem> {
        let spec = &self.specs[index];
        let (value, said) = spec.read(text);
        self.values[index] = value;
        said.map(|message| ParamProblem { key: spec.key.to_owned(), message })
    }

    /// Every parameter, seed included, so that a link keeps its meaning when a default changes; no secret.
    /// What is empty is left out: it means nothing was painted, dragged, typed or dropped.
    pub fn to_query(&self) -> String {
        let mut query = String::new();
        for (spec, value) in self.specs.iter().zip(&self.values).filter(|(spec, _)| !spec.is_secret()) {
            let text = spec.text(value);
            if text.is_empty() && spec.default.text().is_empty() {
                continue;
            }
            let separator = if query.is_empty() { "" } else { "&" };
            write!(query, "{separator}{}={}", spec.key, encode(&text)).expect("writing to a String cannot fail");
        }
        query
    }

    /// The same for whoever knows the values before: what has become empty since is named, too.
    pub fn to_query_after(&self, before: &Self) -> String {
        let mut query = self.to_query();
        for (spec, (value, old)) in self.specs.iter().zip(self.values.iter().zip(&before.values)) {
            if value != old && !spec.is_secret() && spec.text(value).is_empty() {
                write!(query, "&{}=", spec.key).expect("writing to a String cannot fail");
            }
        }
        query
    }

    pub fn specs(&self) -> &'static [ParamSpec] {
        self.specs
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.specs.iter().position(|spec| spec.key == key).map(|index| &self.values[index])
    }

    /// Sets a parameter from text, as a field would; the sentence about the mend, if any.
    pub fn set(&mut self, key: &str, text: &str) -> Option<ParamProblem> {
        match self.specs.iter().position(|spec| spec.key == key && spec.is_secret()) {
            Some(index) => self.put(index, text),
            None => self.apply(&format!("{key}={}", encode(text))).pop(),
        }
    }

    /// What was typed as this part of a request to the reader's own server; nothing if nothing was.
    pub fn secret(&self, part: Part) -> Option<&str> {
        let mut all = self.specs.iter().zip(&self.values);
        all.find_map(|(spec, value)| match (&spec.kind, value) {
            (Kind::Secret { part: mine, .. }, Value::Secret(secret)) if *mine == part => Some(secret.reveal().trim()),
            _ => None,
        })
        .filter(|text| !text.is_empty())
    }

    /// The other's secrets: a setting that comes from a link has none of its own.
    pub fn keep_secrets(&mut self, other: &Self) {
        for (spec, (mine, theirs)) in self.specs.iter().zip(self.values.iter_mut().zip(&other.values)) {
            if spec.is_secret() {
                *mine = theirs.clone();
            }
        }
    }

    /// Whether any secret differs.
    pub fn differs_in_secrets(&self, other: &Self) -> bool {
        let mut all = self.specs.iter().zip(self.values.iter().zip(&other.values));
        all.any(|(spec, (mine, theirs))| spec.is_secret() && mine != theirs)
    }

    /// Sets a parameter as a reader does by hand: what took its place is emptied, or the change would not be seen.
    pub fn choose(&mut self, key: &str, text: &str) -> Option<ParamProblem> {
        let problem = self.set(key, text);
        if let Some(spec) = self.specs.iter().find(|spec| spec.key == key && !spec.clears.is_empty()) {
            let _empty = self.set(spec.clears, "");
        }
        problem
    }

    /// The strongest scope among the parameters that differ, or `None` when nothing does.
    pub fn differs(&self, other: &Self) -> Option<Scope> {
        let rank = |scope: Scope| match scope {
            Scope::View => 0,
            Scope::Live => 1,
            Scope::Run => 2,
        };
        let changed = self.specs.iter().zip(self.values.iter().zip(&other.values));
        changed
            .filter(|(_, (mine, theirs))| mine != theirs)
            .map(|(spec, _)| spec.scope)
            .max_by_key(|&scope| rank(scope))
    }

    /// What of `other` differs from these, as a query: [`apply`](Self::apply) takes it.
    pub fn changes(&self, other: &Self) -> String {
        let changed = self.specs.iter().zip(self.values.iter().zip(&other.values));
        let changed = changed.filter(|(spec, (mine, theirs))| mine != theirs && !spec.is_secret());
        changed
            .map(|(spec, (_, theirs))| format!("{}={}", spec.key, encode(&spec.text(theirs))))
            .collect::<Vec<_>>()
            .join("&")
    }

    #[doc(hidden)]
    pub fn at(&self, index: usize) -> &Value {
        &self.values[index]
    }
}

/// The pairs of a query string, decoded; a leading `?` or `#` is passed over.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let query = query.trim_start_matches(['?', '#']);
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, text) = part.split_once('=').unwrap_or((part, ""));
            (decode(key), decode(text))
        })
        .collect()
}

/// `key:value,key:value`, as a comparison stands in a link, as a query. A value is percent-encoded once more, for it
/// may hold commas.
pub fn overrides_from_link(text: &str) -> String {
    let pairs = text.split(',').filter_map(|pair| pair.split_once(':'));
    pairs.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}

/// The inverse of [`overrides_from_link`].
pub fn overrides_to_link(query: &str) -> String {
    let escaped = |value: &str| encode(value).replace(',', "%2C");
    pairs(query).iter().map(|(key, value)| format!("{key}:{}", escaped(value))).collect::<Vec<_>>().join(",")
}

/// Percent-encodes what would end a value in a query or a fragment; commas and semicolons stay readable.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b',' | b';' | b':' => {
                encoded.push(byte as char)
            }
            b' ' => encoded.push('+'),
            _ => write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail"),
        }
    }
    encoded
}

/// The inverse of [`encode`]; a broken escape stands for itself.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let hex = |byte: u8| (byte as char).to_digit(16);
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'+' => decoded.push(b' '),
            b'%' => match (bytes.get(at + 1).copied().and_then(hex), bytes.get(at + 2).copied().and_then(hex)) {
                (Some(high), Some(low)) => {
                    decoded.push((high * 16 + low) as u8);
                    at += 2;
                }
                _ => decoded.push(b'%'),
            },
            byte => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// A type that a parameter's value is given to the lab as.
pub trait Field: Sized {
    /// `None` means that the declaration's kind and the field's type do not belong together.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! field {
    ($($kind:ident($value:ident) => $type:ty: $made:expr;)*) => {
        $(impl Field for $type {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$kind($value) => Some($made),
                    _ => None,
                }
            }
        })*
    };
}

field! {
    Int(value) => usize: *value as usize;
    Int(value) => u64: *value as u64;
    Int(value) => i64: *value;
    Real(value) => f64: *value;
    Real(value) => f32: *value as f32;
    Toggle(value) => bool: *value;
    Numbers(value) => Vec<f32>: value.to_vec();
    Points(value) => Vec<[f32; 2]>: value.to_vec();
    Text(value) => String: value.to_string();
    Pick(value) => Option<usize>: *value;
    Picks(value) => Vec<usize>: value.to_vec();
    File(value) => FileName: FileName(value.to_string());
    Secret(value) => Secret: value.clone();
}

/// The name of a file that the reader gave; its bytes come through the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileName(pub String);

/// The parameters of one lab, typed.
pub trait ParamSet: Clone + PartialEq + 'static {
    const SPECS: &'static [ParamSpec];
    fn from_values(values: &Values) -> Self;
}

/// Declares the parameters of a lab: a struct with a field each, and the list that everything else reads.
/// `seed` is added to every lab. The doc comment is the help that the reader sees.
#[macro_export]
macro_rules! params {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[doc = $help:literal])+ $key:ident: $type:ty = $spec:expr,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $help])+ pub $key: $type,)*
            /// Starts every random stream: other data, other weights.
            pub seed: u64,
        }

        impl $crate::lab::params::ParamSet for $name {
            const SPECS: &'static [$crate::lab::params::ParamSpec] = {
                #[allow(unused_imports, reason = "a lab uses the constructors it needs")]
                use $crate::lab::params::*;
                &[
                    $({ let spec: ParamSpec = $spec; spec.named(stringify!($key), concat!($($help),+).trim_ascii()) },)*
                    int("Seed", 1, 0..=9999).named("seed", "Starts every random stream: other data, other weights."),
                ]
            };

            fn from_values(values: &$crate::lab::params::Values) -> Self {
                use $crate::lab::params::Field;
                let mut index = 0..;
                let mut next = || values.at(index.next().expect("the range has no end"));
                Self {
                    $($key: <$type>::from_value(next()).expect(concat!("kind and type differ: ", stringify!($key))),)*
                    seed: u64::from_value(next()).expect("a seed is a whole number"),
                }
            }
        }
    };
}

/// Declares the options of a choice: `TenGaussians = "ten-gaussians", "ten Gaussians";`.
#[macro_export]
macro_rules! choices {
    ($(#[$meta:meta])* pub enum $name:ident { $($option:ident = $value:literal, $label:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($option,)* }

        impl $name {
            /// `(value in the link, label)`, in the order of the control.
            pub const OPTIONS: &'static [(&'static str, &'static str)] = &[$(($value, $label),)*];
            pub const ALL: &'static [Self] = &[$(Self::$option,)*];

            pub const fn value(self) -> &'static str {
                match self { $(Self::$option => $value,)* }
            }

            pub const fn label(self) -> &'static str {
                match self { $(Self::$option => $label,)* }
            }
        }

        impl $crate::lab::params::Field for $name {
            fn from_value(value: &$crate::lab::params::Value) -> Option<Self> {
                let $crate::lab::params::Value::Choice(value) = value else { return None };
                match *value { $($value => Some(Self::$option),)* _ => None }
            }
        }
    };
}
