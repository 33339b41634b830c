//! Links, tables and messages that nobody meant: whatever arrives is taken or refused in a sentence, and nothing panics.
//!
//! An input is made from its number alone. 100,000 of each kind are tried, or as many as `HT_FUZZ` says, and a loop for
//! every twenty of them. A failure names its number, and `HT_FUZZ_ONLY=number` tries that one again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Formatter};
use std::time::{Duration, Instant};

use heads_and_tails::chart::{Axis, Chart, Ink, Mark};
use heads_and_tails::drive::{Command, Event, Fault, FaultKind, Phase, Progress, Speed, find};
use heads_and_tails::lab::columns::{Column, MOST_BYTES, MOST_ROWS, read_columns};
use heads_and_tails::lab::guess::Guess;
use heads_and_tails::lab::params::{
    Kind, RESERVED, Value, encode, overrides_from_link, overrides_to_link, pairs, points,
};
use heads_and_tails::lab::{
    Body, Cell, Frame, HttpRequest, HttpResponse, LabError, Offer, Panel, ParamProblem, ParamSet, ParamSpec, Row,
    State, Status, Table, Values,
};
use heads_and_tails::labs::{CATALOGUE, RUNNERS, entry};
use heads_and_tails::mech::cache_file::CacheFile;
use heads_and_tails::seed::Stream;
use pollster::block_on;

use crate::drive::{Bench, straight};
use crate::made_up::MadeUpParams;
use crate::params::allowed;
use crate::site::host_with;

/// Inputs of each kind in a normal run.
const COUNT: u64 = 100_000;
/// Longer than any input takes, even where the machine has other things to do.
const LIMIT: Duration = Duration::from_secs(10);

/// Pieces that readers stumble over, wherever they stand.
const PIECES: &[&str] = &[
    "", " ", "0", "-0", "+1", ".5", "-1", "0x10", "1_000", "1,5", "NaN", "inf", "1e400", "-1e400", "1e-400", "5e-324",
    "1e39", "٣", "true", "null", "é", "🙂", "\0", "\n", "\r\n", "\r", "\t", "\"", "'", "\"\"", ",", ";", "|", "&", "=",
    "&&", "?", "#", "+", "%", "%2", "%zz", "%00", "%FF", "%E2%80", "%26", "%3D", "\\", "\\ud800", "{", "}", "[", "]",
    ":", "/", "<b>", "NA",
];
/// More of them.
const LONG_PIECES: &[&str] = &[
    "-infinity",
    "4294967296",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
    "日本語",
    "e\u{301}",
    "\u{feff}",
    "\u{202e}",
    "\u{fffd}",
    "\\u0000",
];

fn from_environment(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a whole number, and not {text}")))
}

/// Names the input when its check panics.
struct Named<'a, I: Debug> {
    test: &'a str,
    number: u64,
    input: &'a I,
}

impl<I: Debug> Drop for Named<'_, I> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("Input {} of the {}: {:?}", self.number, self.test, self.input);
        }
    }
}

/// Makes and checks the inputs, or one in `rarity` of them where each takes long. A check says whether its input was
/// taken: a mix of which nothing is refused, or nothing taken, would try half of what it should.
fn each<I: Debug>(test: &str, rarity: u64, make: impl Fn(&mut Stream) -> I, check: impl Fn(&I) -> bool) {
    let only = from_environment("HT_FUZZ_ONLY");
    let numbers = only.map_or(0..from_environment("HT_FUZZ").unwrap_or(COUNT) / rarity, |only| only..only + 1);
    let (mut tried, mut taken) = (0, 0);
    for number in numbers {
        let input = make(&mut Stream::at(1, test, number));
        let _named = Named { test, number, input: &input };
        let begin = Instant::now();
        taken += u64::from(check(&input));
        tried += 1;
        assert!(begin.elapsed() < LIMIT, "it took {:?}", begin.elapsed());
    }
    let mixed = tried / 20 < taken && taken < tried - tried / 20;
    assert!(mixed || tried < 100, "{taken} of {tried} {test} were taken");
}

fn pick<'a, T>(stream: &mut Stream, from: &'a [T]) -> &'a T {
    &from[stream.below(from.len())]
}

fn one_in(stream: &mut Stream, count: usize) -> bool {
    stream.below(count) == 0
}

fn noise(stream: &mut Stream) -> Vec<u8> {
    let most = *pick(stream, &[4, 16, 64, 256]);
    (0..stream.below(most)).map(|_| stream.below(256) as u8).collect()
}

/// Spoils what was valid in up to four places: cuts it off, cuts something out, says something twice, goes on as
/// another does, or puts something odd into it.
fn spoil(stream: &mut Stream, bytes: &mut Vec<u8>, other: &[u8], odd: impl Fn(&mut Stream) -> Vec<u8>) {
    for _ in 0..stream.below(5) {
        let from = stream.below(bytes.len() + 1);
        let to = from + stream.below((bytes.len() - from).min(16) + 1);
        match stream.below(8) {
            0 => bytes.truncate(from),
            1 => {
                bytes.drain(from..to);
            }
            2 => {
                let again = bytes[from..to].to_vec();
                bytes.splice(to..to, again);
            }
            3 => {
                bytes.truncate(from);
                bytes.extend_from_slice(&other[stream.below(other.len() + 1)..]);
            }
            4 if from < bytes.len() => bytes[from] = stream.below(256) as u8,
            5 => {
                bytes.splice(from..to, odd(stream));
            }
            _ => {
                bytes.splice(from..from, odd(stream));
            }
        }
    }
}

fn piece(stream: &mut Stream) -> &'static str {
    let list = if one_in(stream, 7) { LONG_PIECES } else { PIECES };
    list[stream.below(list.len())]
}

fn odd_text(stream: &mut Stream) -> Vec<u8> {
    piece(stream).as_bytes().to_vec()
}

fn spoiled(stream: &mut Stream, text: &str, other: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    spoil(stream, &mut bytes, other.as_bytes(), odd_text);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A number within these limits, at one of them or a little beyond, in one of the ways to write it.
fn numeral(stream: &mut Stream, min: f64, max: f64) -> String {
    let beyond = 0.1 * (max - min);
    let number = match stream.below(6) {
        0 => *pick(stream, &[min, max]),
        1 => stream.uniform(min - beyond, max + beyond),
        _ => stream.uniform(min, max),
    };
    match stream.below(4) {
        0 => format!("{number:e}"),
        1 => format!("{number:.2}"),
        2 => format!(" {}", number.round()),
        _ => number.to_string(),
    }
}

/// What a link might say of a parameter.
fn wording(stream: &mut Stream, spec: &ParamSpec) -> String {
    let few = stream.below(6);
    let count = |stream: &mut Stream, most: usize| if one_in(stream, 40) { most + stream.below(3) } else { few };
    let item = |stream: &mut Stream, min: f32, max: f32| match stream.below(16) {
        0 => piece(stream).to_owned(),
        _ => numeral(stream, f64::from(min), f64::from(max)),
    };
    if one_in(stream, 16) {
        return piece(stream).to_owned();
    }
    match spec.kind {
        Kind::Int { .. } if spec.word.is_some() && one_in(stream, 4) => spec.word.unwrap().0.to_owned(),
        Kind::Int { min, max } => numeral(stream, min as f64, max as f64),
        Kind::Real { min, max } => numeral(stream, min, max),
        Kind::Toggle => (*pick(stream, &["true", "false", "1", "0", "yes", "off", "True"])).to_owned(),
        Kind::Choice { options } => pick(stream, options).0.to_owned(),
        Kind::Numbers { most, min, max } => {
            let separator = *pick(stream, &[",", " ", ";", "\n", ", "]);
            let items: Vec<String> = (0..count(stream, most)).map(|_| item(stream, min, max)).collect();
            items.join(separator)
        }
        Kind::Points { most, min, max } => {
            let point = |stream: &mut Stream| format!("{},{}", item(stream, min, max), item(stream, min, max));
            let items: Vec<String> = (0..count(stream, most)).map(|_| point(stream)).collect();
            items.join(";")
        }
        Kind::Text { most } | Kind::Secret { most, .. } if one_in(stream, 40) => "é".repeat(most + stream.below(3) - 1),
        Kind::File { .. } if one_in(stream, 40) => "n".repeat(199 + stream.below(3)),
        Kind::Text { .. } | Kind::File { .. } | Kind::Secret { .. } => (0..few).map(|_| piece(stream)).collect(),
        Kind::Pick { most } => stream.below(most + 2).to_string(),
        Kind::Picks { most } => (0..few).map(|_| format!("{},", stream.below(most + 2))).collect(),
    }
}

/// The points of a guess, as if they were a parameter.
const DRAWN: ParamSpec = points("Points", 300, -2.0..=2.0);

/// A link that somebody might have written by hand, with keys said twice and keys of the page; then spoiled.
fn link(stream: &mut Stream, specs: &'static [ParamSpec]) -> String {
    if one_in(stream, 12) {
        return String::from_utf8_lossy(&noise(stream)).into_owned();
    }
    let mut said: Vec<String> = Vec::new();
    for _ in 0..stream.below(8) {
        let spec = pick(stream, specs);
        let aliases: Vec<&str> = std::iter::once(spec.key).chain(spec.aliases.iter().copied()).collect();
        let key = *pick(stream, &aliases);
        let text = wording(stream, spec);
        said.push(format!("{key}={}", if one_in(stream, 4) { text } else { encode(&text) }));
    }
    if one_in(stream, 4) {
        let text = match *pick(stream, RESERVED) {
            "guess" => format!("guess=panel:{}", wording(stream, &DRAWN)),
            "compare" => format!("compare={},{}", said.join(",").replace('=', ":"), piece(stream)),
            "fault" => format!("fault={}:{}", pick(stream, FaultKind::ALL).1, numeral(stream, 0.0, 100.0)),
            key => format!("{key}={}", piece(stream)),
        };
        said.push(text);
    }
    let valid = said.join("&");
    let whole = if one_in(stream, 8) { Values::defaults(specs).to_query() } else { String::new() };
    match stream.below(3) {
        0 => [whole, valid].join("&"),
        _ => spoiled(stream, &valid, &whole),
    }
}

#[derive(Debug)]
struct Link {
    /// A lab of the catalogue, or the made-up one.
    lab: Option<&'static str>,
    first: String,
    then: String,
    /// What is typed into the field of this parameter.
    typed: (&'static str, String),
}

impl Link {
    fn make(stream: &mut Stream) -> Self {
        let lab = CATALOGUE.get(stream.below(CATALOGUE.len() + 1)).map(|entry| entry.card.slug);
        let specs = Self::specs(lab);
        let first = link(stream, specs);
        // In the midst of a link neither sign would be passed over.
        let then = link(stream, specs).trim_start_matches(['?', '#']).to_owned();
        let spec = pick(stream, specs);
        Self { lab, first, then, typed: (spec.key, wording(stream, spec)) }
    }

    fn specs(lab: Option<&str>) -> &'static [ParamSpec] {
        lab.map_or(MadeUpParams::SPECS, |slug| entry(slug).expect("it stands in the catalogue").specs)
    }
}

/// Whether the text says this very value, so that there is nothing to tell.
fn says(spec: &ParamSpec, text: &str, value: &Value) -> bool {
    let list = |separators: &[char]| -> Vec<String> {
        text.split(separators).map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    };
    let number = || text.trim().parse::<f64>().ok();
    match value {
        Value::Int(value) => {
            spec.word == Some((text.trim(), *value)) || number().is_some_and(|number| number.round() == *value as f64)
        }
        Value::Real(value) => number() == Some(*value),
        Value::Toggle(true) => ["true", "1", "yes", "on"].contains(&text),
        Value::Toggle(false) => ["false", "0", "no", "off"].contains(&text),
        Value::Choice(value) => *value == text,
        Value::Text(value) | Value::File(value) => value == text,
        Value::Secret(value) => value.reveal() == text,
        Value::Picks(list) => {
            let read = |item: &str| item.trim().parse::<usize>().ok();
            list.iter().all(|index| text.split([',', ' ']).any(|item| read(item) == Some(*index)))
        }
        Value::Pick(None) => text.trim().is_empty(),
        Value::Pick(value) => text.trim().parse().ok() == *value,
        Value::Numbers(values) => {
            let said = list(&[',', ' ', ';', '\n', '\t']);
            said.len() == values.len() && said.iter().zip(&**values).all(|(item, value)| item.parse() == Ok(*value))
        }
        Value::Points(values) => {
            let said = list(&[';', '\n']);
            let same = |item: &String, &[x, y]: &[f32; 2]| {
                item.split_once(',').is_some_and(|(a, b)| a.trim().parse() == Ok(x) && b.trim().parse() == Ok(y))
            };
            said.len() == values.len() && said.iter().zip(&**values).all(|(item, value)| same(item, value))
        }
    }
}

/// Reads one value and holds it to its declaration: within its limits, and what is not as it was said is told.
fn read_held(spec: &ParamSpec, text: &str) -> (Value, Option<ParamProblem>) {
    let (value, told) = spec.read(text);
    assert!(allowed(&spec.kind, &value), "{}={text:?} gives {value:?}", spec.key);
    match &told {
        None => assert!(says(spec, text, &value), "{}={text:?} becomes {value:?}, and nobody is told", spec.key),
        Some(message) => assert!(!message.trim().is_empty(), "{}={text:?} is mended without a word", spec.key),
    }
    (value, told.map(|message| ParamProblem { key: spec.key.to_owned(), message }))
}

/// Applies a query and holds the outcome to that of reading its pairs one by one.
fn apply_held(values: &mut Values, query: &str) -> Vec<ParamProblem> {
    let mut expected: BTreeMap<&str, Value> = BTreeMap::new();
    let mut mends = Vec::new();
    let before = values.clone();
    for (key, text) in pairs(query).into_iter().filter(|(key, _)| !RESERVED.contains(&key.as_str())) {
        match values.specs().iter().find(|spec| spec.key == key || spec.aliases.contains(&key.as_str())) {
            Some(spec) if spec.is_secret() => {
                let message = "An address or key is never taken from a link; it is left out. Type it here.".to_owned();
                mends.push(ParamProblem { key: spec.key.to_owned(), message });
            }
            Some(spec) => {
                let (value, mend) = read_held(spec, &text);
                expected.insert(spec.key, value);
                mends.extend(mend);
            }
            None => {
                let shown: String = key.chars().take(24).collect();
                mends.push(ParamProblem { key, message: format!("This lab has no “{shown}”; it is left out.") });
            }
        }
    }
    let problems = values.apply(query);
    assert_eq!(problems, mends);
    for spec in before.specs() {
        assert_eq!(values.get(spec.key), expected.get(spec.key).or(before.get(spec.key)), "{}", spec.key);
    }
    problems
}

/// A link that was written by us reads back, and needs no mend.
fn assert_reads_back(values: &Values) {
    let (again, problems) = Values::from_query(values.specs(), &values.to_query());
    assert_eq!((&again, problems), (values, vec![]));
}

/// What the page itself reads of a link.
fn read_as_the_page_does(query: &str, values: &Values) {
    for (key, text) in pairs(query) {
        match key.as_str() {
            "guess" => {
                let Some(guess) = Guess::read(&text) else { continue };
                assert!(guess.points().as_flattened().iter().all(|number| number.is_finite()));
                assert!(guess.points().windows(2).all(|pair| pair[0][0] < pair[1][0]), "points stand in order");
                let rounded = Guess::read(&guess.text()).expect("a guess has points");
                assert_eq!(Guess::read(&rounded.text()), Some(rounded));
            }
            "compare" => {
                apply_held(&mut values.clone(), &overrides_from_link(&text));
            }
            "fault" => {
                let _fault = Fault::named(&text);
            }
            "speed" => {
                let _speed = Speed::named(&text);
            }
            _ => {}
        }
    }
}

#[test]
fn any_link_is_read() {
    each("links", 1, Link::make, |Link { lab, first, then, typed: (key, text) }| {
        let specs = Link::specs(*lab);
        let mut values = Values::defaults(specs);
        let mut problems = apply_held(&mut values, first);
        let taken = problems.is_empty();
        assert_eq!(Values::from_query(specs, first), (values.clone(), problems.clone()));
        assert_reads_back(&values);
        read_as_the_page_does(first, &values);

        let before = values.clone();
        problems.extend(apply_held(&mut values, then));
        assert_eq!(Values::from_query(specs, &format!("{first}&{then}")), (values.clone(), problems.clone()));
        assert_reads_back(&values);
        assert_eq!(before.differs(&values).is_none(), before == values);
        let changes = before.changes(&values);
        assert_eq!(pairs(&overrides_from_link(&overrides_to_link(&changes))), pairs(&changes));
        let mut changed = before;
        assert_eq!((changed.apply(&changes), &changed), (vec![], &values));

        let spec = specs.iter().find(|spec| spec.key == *key).expect("the key is of the list");
        let (value, mend) = read_held(spec, text);
        assert_eq!((values.set(key, text), values.get(key)), (mend, Some(&value)));
        // A link holds no secret, so that what is read of one has none.
        values.keep_secrets(&Values::defaults(specs));
        assert_reads_back(&values);
        taken
    });
}

#[test]
fn a_file_name_that_is_cut_is_said() {
    let mut values = Values::defaults(MadeUpParams::SPECS);
    assert_eq!(values.set("table", &"é".repeat(200)), None);
    let mend = values.set("table", &"é".repeat(201)).expect("one letter is left out");
    assert_eq!(mend.message, "Only the first 200 characters are used.");
    assert_eq!(values.get("table"), Some(&Value::File("é".repeat(200).into())));
}

/// Bytes that are printed as a literal.
struct Bytes(Vec<u8>);

impl Debug for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// A table as bytes, and what it means if a program wrote it.
#[derive(Debug)]
struct Sheet {
    bytes: Bytes,
    meant: Option<Vec<Column>>,
}

impl Sheet {
    fn make(stream: &mut Stream) -> Self {
        match stream.below(10) {
            0 => Self { bytes: Bytes(noise(stream)), meant: None },
            1..4 => {
                let (text, columns) = table(stream);
                Self { bytes: Bytes(text.into_bytes()), meant: Some(columns) }
            }
            _ => {
                let mut bytes = table(stream).0.into_bytes();
                let other = table(stream).0;
                spoil(stream, &mut bytes, other.as_bytes(), |stream| match stream.below(12) {
                    0 => b"1,".repeat(stream.below(300)),
                    1 => b"2\n".repeat(stream.below(300)),
                    _ => odd_text(stream),
                });
                Self { bytes: Bytes(bytes), meant: None }
            }
        }
    }
}

/// A table in one of the many ways to write it, and its columns of numbers.
fn table(stream: &mut Stream) -> (String, Vec<Column>) {
    let delimiter = *pick(stream, &[",", ";", "\t", "|", " "]);
    let (width, height) = (1 + stream.below(5), 1 + stream.below(8));
    let (named, spaces) = (one_in(stream, 2), delimiter == " ");
    let quoted = one_in(stream, 4);
    let padded = !quoted && !spaces && one_in(stream, 4);
    let decimal_comma = !spaces && (quoted || delimiter != "," && width > 1) && one_in(stream, 3);
    let names: Vec<&str> = (0..width)
        .map(|index| match index {
            0 => "first",
            _ if spaces => *pick(stream, &["a", "Größe", "№"]),
            _ => *pick(stream, &["a", "waiting minutes", "Größe", "x1", ""]),
        })
        .collect();
    let mut rows: Vec<Vec<String>> =
        if named { vec![names.iter().map(|&name| name.to_owned()).collect()] } else { vec![] };
    let mut values = vec![Vec::new(); width];
    for row in 0..height {
        let mut cells = Vec::new();
        for (index, column) in values.iter_mut().enumerate() {
            // Words in the first row would be names, and names over nothing would be words.
            let missing = index > 0 && !spaces && !(named && row == 0) && one_in(stream, 4);
            if missing {
                cells.push((*pick(stream, if row == 0 { &[""] } else { &["", "NA", "-", "inf", "1e400"] })).to_owned());
                column.push(f64::NAN);
                continue;
            }
            let number = match stream.below(4) {
                0 => stream.below(100) as f64,
                1 => stream.normal(0.0, 1e12).round(),
                2 => stream.normal(0.0, 1.0) * 10f64.powi(stream.below(80) as i32 - 40),
                _ => (stream.normal(20.0, 5.0) * 100.0).round() / 100.0,
            };
            let text = if one_in(stream, 6) { format!("{number:e}") } else { number.to_string() };
            cells.push(if decimal_comma { text.replace('.', ",") } else { text });
            column.push(number);
        }
        rows.push(cells);
    }
    let ending = *pick(stream, &["\n", "\r\n", "\r\n\r\n", "\n  \n"]);
    let mut text = if one_in(stream, 6) { "\u{feff}".to_owned() } else { String::new() };
    for row in rows {
        let cells = row.into_iter().map(|cell| match (quoted, padded) {
            (true, _) => format!("\"{cell}\""),
            (_, true) => format!(" {cell}  "),
            _ => cell,
        });
        text += &cells.collect::<Vec<_>>().join(if spaces { *pick(stream, &[" ", "   "]) } else { delimiter });
        text += ending;
    }
    let columns = values.into_iter().zip(names).enumerate().map(|(index, (values, name))| {
        let name = if named && !name.is_empty() { name.to_owned() } else { format!("column {}", index + 1) };
        Column { name, values }
    });
    (text, columns.filter(|column| mostly_numbers(&column.values)).collect())
}

fn mostly_numbers(values: &[f64]) -> bool {
    2 * values.iter().filter(|value| value.is_finite()).count() > values.len()
}

#[test]
fn any_table_is_read() {
    each("tables", 1, Sheet::make, |Sheet { bytes, meant }| match (read_columns(&bytes.0), meant) {
        (Ok(columns), _) => {
            let rows = columns.first().expect("a table that is taken has a column").values.len();
            for Column { name, values } in &columns {
                assert!(!name.is_empty() && values.len() == rows && rows <= MOST_ROWS, "{name:?}: {values:?}");
                assert!(values.iter().all(|value| value.is_finite() || value.is_nan()), "{name:?}: {values:?}");
                assert!(mostly_numbers(values), "{name:?}: {values:?}");
            }
            // As texts, for a missing number equals nothing.
            let told = |columns: &[Column]| format!("{columns:?}");
            assert!(meant.as_ref().is_none_or(|meant| told(meant) == told(&columns)), "not {columns:?}");
            true
        }
        (Err(error), None) => {
            assert!(!error.to_string().trim().is_empty());
            false
        }
        (Err(error), Some(_)) => panic!("{error}"),
    });
}

/// The one column of such a table, by its name.
fn column(text: &str) -> (String, Vec<f64>) {
    let mut columns = read_columns(text.as_bytes()).expect("it has numbers");
    let Column { name, values } = columns.remove(0);
    (name, values)
}

#[test]
fn a_missing_cell_in_the_first_row_names_nothing() {
    assert_eq!(column("1,\n2,3\n4,5\n"), ("column 1".to_owned(), vec![1.0, 2.0, 4.0]));
    assert_eq!(column(",first\n1,2\n3,4\n").1, [1.0, 3.0], "an index without a name has numbers all the same");
}

#[test]
fn a_decimal_comma_is_not_taken_for_a_delimiter() {
    for delimiter in [";", "\t", "|"] {
        let columns = read_columns(format!("1,5{delimiter}2,5\n3,5{delimiter}4,5\n").as_bytes()).unwrap();
        let values: Vec<_> = columns.into_iter().map(|column| column.values).collect();
        assert_eq!(values, [[1.5, 3.5], [2.5, 4.5]], "between {delimiter:?}");
    }
}

#[test]
fn no_more_rows_are_kept_than_are_promised() {
    let rows = "1\n".repeat(MOST_ROWS + 5);
    assert_eq!(column(&rows).1.len(), MOST_ROWS);
    let (name, values) = column(&format!("name\n{rows}"));
    assert_eq!((name.as_str(), values.len()), ("name", MOST_ROWS));
}

/// As many columns as its longest row has, times all rows, would be more than any machine holds.
#[test]
fn a_table_with_one_long_row_is_read_at_once() {
    let begin = Instant::now();
    let text = format!("{}\n{}", "1,".repeat(MOST_BYTES / 4), "2\n".repeat(MOST_ROWS));
    assert_eq!(column(&text).1.len(), MOST_ROWS);
    assert!(begin.elapsed() < LIMIT, "it took {:?}", begin.elapsed());
}

#[test]
fn a_file_of_the_largest_size_is_read_and_a_larger_one_is_not() {
    let mut bytes = b"1.5,2.5\n".repeat(MOST_BYTES / 8);
    bytes.resize(MOST_BYTES, b'1');
    assert_eq!(read_columns(&bytes).unwrap().len(), 2);
    bytes.push(b'1');
    assert!(read_columns(&bytes).unwrap_err().to_string().contains("5 MB is the most"));
}

/// A cache as bytes: one of the small ones that come with the tests, whose header or numbers were spoiled. A header that was
/// changed gets its length anew, or nothing else would ever be looked at.
fn cache(stream: &mut Stream) -> Bytes {
    const FILES: [&[u8]; 3] = [
        include_bytes!("../data/own-cache.safetensors"),
        include_bytes!("../data/own-cache-interleaved.safetensors"),
        include_bytes!("../data/own-cache-after.safetensors"),
    ];
    const SAID: [(&str, &str); 12] = [
        ("F16", "F32"),
        ("F16", "BF16"),
        ("F32", "U8"),
        ("F32", "I32"),
        ("24", "42"),
        ("[2,", "[1,"),
        ("[2,", "[18446744073709551615,"),
        ("2,", "0,"),
        ("before", "after"),
        ("half-split", "interleaved"),
        ("500.0", "1e309"),
        ("\"k\"", "\"v\""),
    ];
    let file = pick(stream, &FILES);
    let length = u64::from_le_bytes(*file.first_chunk().expect("it has a header")) as usize;
    let (mut header, mut numbers) = (file[8..8 + length].to_vec(), file[8 + length..].to_vec());
    match stream.below(5) {
        0 => return Bytes(noise(stream)),
        1 => spoil(stream, &mut header, FILES[0], odd_text),
        2 => {
            let (from, to) = *pick(stream, &SAID);
            header = String::from_utf8_lossy(&header).replacen(from, to, 1 + stream.below(3)).into_bytes();
        }
        3 => spoil(stream, &mut numbers, FILES[2], |stream| vec![*pick(stream, &[0, 0x7c, 0x7f, 0xff]); 2]),
        // Bits of numbers that stay in their places.
        _ => {
            for _ in 0..stream.below(4) {
                let at = stream.below(numbers.len());
                numbers[at] ^= 1 << stream.below(8);
            }
        }
    }
    let length =
        if one_in(stream, 20) { *pick(stream, &[0, 1, 1 << 20, 1 << 40, u64::MAX]) } else { header.len() as u64 };
    Bytes([&length.to_le_bytes()[..], &header, &numbers].concat())
}

#[test]
fn any_cache_is_read_or_refused() {
    each("caches", 10, cache, |Bytes(bytes)| {
        let read = CacheFile::open(bytes.as_slice().into()).and_then(|file| {
            assert!(file.layers * file.shape.key_heads * file.shape.tokens * file.shape.d_head <= bytes.len());
            (0..file.layers).map(|layer| file.layer(layer)).collect::<Result<Vec<_>, _>>()
        });
        match &read {
            Ok(layers) => {
                let numbers = || layers.iter().flat_map(|layer| layer.keys.iter().chain(&layer.values));
                assert!(numbers().all(|number| number.is_finite()));
            }
            Err(error) => assert!(!error.to_string().contains('\0') && error.to_string().len() < 1500, "{error}"),
        }
        read.is_ok()
    });
}

/// What is taken is measured, however odd its numbers are.
#[test]
fn any_cache_that_is_read_is_measured() {
    each("measured caches", 1000, cache, |Bytes(bytes)| {
        let host = host_with(bytes);
        let runner = find(RUNNERS, "kv-cache-own").expect("it is registered");
        let (values, _) = Values::from_query(runner.specs, "file=odd");
        let Ok(mut lab) = block_on((runner.start)(&values, &host)) else { return false };
        while block_on(lab.step(&host)).expect("it was read whole") == Status::Running {}
        let readouts = lab.frame().readouts();
        assert!(readouts.values().all(|value| value.is_finite()), "{readouts:?}");
        true
    });
}

/// A well-formed command, whose content is as odd as may be.
fn command(stream: &mut Stream) -> Command {
    const RUNS: &[u32] = &[0, 1, 2, 3, u32::MAX];
    let specs = MadeUpParams::SPECS;
    let run = *pick(stream, RUNS);
    let lab = (*pick(stream, &["made-up", "made-up", "made-up", "still", "still", "", "no-such-lab", "\0"])).to_owned();
    match stream.below(18) {
        0..4 => {
            // The other two kinds do what they are asked for: they end the engine.
            let kinds = [FaultKind::Device, FaultKind::Diverge, FaultKind::Load, FaultKind::Version];
            let (kind, step) = (*pick(stream, &kinds), stream.below(30) as u64);
            Command::Start {
                run,
                lab,
                query: link(stream, specs),
                speed: *pick(stream, Speed::ALL),
                paused: one_in(stream, 3),
                fault: one_in(stream, 8).then_some(Fault { kind, step }),
                state: one_in(stream, 2).then(|| saved(stream)),
            }
        }
        4 | 5 => Command::Set { query: link(stream, specs) },
        6 => Command::Speed { speed: *pick(stream, Speed::ALL) },
        7 => Command::Pause,
        8 => Command::Resume,
        9 | 10 => Command::Step,
        11 => (*pick(stream, &[Command::Stop, Command::Seen])).clone(),
        12 | 13 => Command::Look { at: *pick(stream, &[None, Some(0), Some(3), Some(20), Some(u64::MAX)]) },
        14 => Command::Hold { on: one_in(stream, 2) },
        15 => {
            let rows = (0..stream.below(4)).map(|row| (format!("{row}"), link(stream, specs))).collect();
            Command::Batch { run, lab, rows }
        }
        16 => {
            let steps = *pick(stream, &[0, 1, 20, u32::MAX - 1, u32::MAX]);
            Command::Time { run, lab, query: link(stream, specs), steps }
        }
        _ if one_in(stream, 2) => {
            let key = (*pick(stream, &["table", "table", "file", "", "\0"])).to_owned();
            Command::File { key, bytes: Sheet::make(stream).bytes.0 }
        }
        _ => {
            let response = HttpResponse {
                status: *pick(stream, &[0, 200, 204, u16::MAX]),
                headers: vec![(String::new(), "\0".to_owned())],
                body: noise(stream),
            };
            let response = if one_in(stream, 3) { Err(LabError::NoAddress) } else { Ok(response) };
            Command::Response { id: *pick(stream, RUNS), response, sent: 1 }
        }
    }
}

/// Bytes of a state: of none, of one that no run was in, or of one that was cut. Empty ones stand for what the loop
/// itself sent last.
fn saved(stream: &mut Stream) -> Vec<u8> {
    let mut state = State::new(*pick(stream, &[0, 3, 20, 21, 1000, 1 << 53, u64::MAX >> 1]));
    for name in ["walk", "start", "doubled", ""] {
        if !one_in(stream, 8) {
            let number = |stream: &mut Stream| *pick(stream, &[0.0, -1.5, f32::MAX, f32::NAN, f32::INFINITY]);
            let arrays = (0..1 + stream.below(2)).map(|_| (0..stream.below(4)).map(|_| number(stream)).collect());
            state.put(name, arrays.collect());
        }
    }
    let mut bytes = postcard::to_allocvec(&state).expect("plain data");
    match stream.below(6) {
        0 => noise(stream),
        1 => Vec::new(),
        2 => {
            spoil(stream, &mut bytes, &[], odd_length);
            bytes
        }
        _ => bytes,
    }
}

/// A length, a number or the kind of a thing, as postcard writes it, that is too large for whatever follows.
fn odd_length(stream: &mut Stream) -> Vec<u8> {
    match stream.below(4) {
        // One that never ends.
        0 => vec![0xff; 1 + stream.below(12)],
        _ => postcard::to_allocvec(&(u64::MAX >> stream.below(64))).expect("a number"),
    }
}

#[test]
fn any_text_is_a_command_or_none() {
    let make = |stream: &mut Stream| {
        if one_in(stream, 12) {
            let nested = pick(stream, &["[", "{\"a\":", "{\"Start\":"]).repeat(stream.below(400));
            return format!("{}{nested}", String::from_utf8_lossy(&noise(stream)));
        }
        let [text, other] =
            [command(stream), command(stream)].map(|command| serde_json::to_string(&command).expect("plain data"));
        spoiled(stream, &text, &other)
    };
    each("commands", 1, make, |text| {
        let Ok(command) = serde_json::from_str::<Command>(text) else { return false };
        let again = serde_json::to_string(&command).expect("plain data");
        assert_eq!(serde_json::from_str::<Command>(&again).expect("it was just written"), command);
        true
    });
}

/// One event of each kind, with every kind of panel and of mark.
fn events() -> Vec<Event> {
    let (name, ink) = (String::new(), Ink::Method);
    let points = vec![[0.0, 1.0], [f32::NAN, f32::INFINITY]];
    let marks = vec![
        Mark::line("line", ink, points.clone()),
        Mark::Bars { name: name.clone(), ink, from: -1.0, to: 1.0, heights: vec![0.5; 3] },
        Mark::Stems { name: name.clone(), ink, points: points.clone() },
        Mark::Dots { name: name.clone(), ink, points: points.clone() },
        Mark::Band { name: name.clone(), ink, points: vec![[0.0, 1.0, 2.0]] },
        Mark::Heat {
            name: name.clone(),
            signed: true,
            rows: 2,
            columns: 1,
            x: [0.0, 1.0],
            y: [0.0, 1.0],
            values: vec![0.0; 2],
        },
        Mark::Level { name: name.clone(), y: 0.5 },
        Mark::Moment { name: name.clone(), x: 0.5 },
        Mark::Key { name: name.clone(), value: 0.5 },
        Mark::Handles { name, ink: Ink::Guess, first: 0, points },
    ];
    let chart = Chart::new(Axis::new("x", 0.0..1.0), Axis::log("y", 0.1..f64::INFINITY), marks);
    let panel = Panel::new("marks", "Marks", "A {method|mark} of **each** kind.", 3, Body::Chart(chart)).edits("a");
    let offers = vec![Offer { label: "lower".to_owned(), query: "rate=0.1".to_owned() }];
    let progress = Progress { step: 3, of: Some(20), phase: Phase::Running, rate: f64::NAN, ..Progress::default() };
    let readouts = BTreeMap::from([("value".to_owned(), f64::NEG_INFINITY)]);
    let row =
        vec![Cell::Text("é".to_owned()), Cell::Number(f64::NAN), Cell::Line { ink: Ink::Data, values: vec![1.0] }];
    let found = Table::new(vec!["a".to_owned(); 3], vec![row]);
    let mut state = State::new(3);
    state.put("walk", vec![vec![0.5; 7], vec![]]);
    let errors = [
        LabError::Diverged { step: 3 },
        LabError::Device { message: "lost".to_owned() },
        LabError::data("No."),
        LabError::Asset { path: "a".to_owned(), message: "b".to_owned() },
        LabError::Http { message: String::new() },
        LabError::NoAddress,
        LabError::Unknown { slug: "é".to_owned() },
    ];
    let mut events = vec![
        Event::Hello { version: u64::MAX, device: "a device".to_owned() },
        Event::Started { run: 1 },
        Event::Frame { run: 1, live: true, frame: Frame { step: 3, of: None, panels: vec![panel], offers } },
        Event::Progress { run: 1, progress },
        Event::State { run: 1, step: 3, bytes: postcard::to_allocvec(&state).expect("plain data") },
        Event::Row { run: 1, row: Row { label: "row".to_owned(), query: "seed=1".to_owned(), readouts, found } },
        Event::Timed { run: 1, steps: 20, milliseconds: 1.5 },
        Event::Request {
            id: 1,
            request: HttpRequest { method: "POST".to_owned(), path: "/a".to_owned(), body: b"?".to_vec() },
        },
        Event::Finished { run: u32::MAX },
    ];
    events.extend(straight("steps=3&token=1").into_iter().map(|frame| Event::Frame { run: 2, live: false, frame }));
    events.extend(errors.map(|error| Event::Failed { run: 1, error }));
    events
}

/// A reader that believed a length would ask for more memory than there is, and be ended: among the lengths are those of
/// many terabytes.
#[test]
fn any_bytes_are_an_event_or_none() {
    let written: Vec<Vec<u8>> =
        events().iter().map(|event| postcard::to_allocvec(event).expect("plain data")).collect();
    let make = |stream: &mut Stream| {
        if one_in(stream, 8) {
            return Bytes(noise(stream));
        }
        let (mut bytes, other) = (pick(stream, &written).clone(), pick(stream, &written));
        spoil(stream, &mut bytes, other, odd_length);
        Bytes(bytes)
    };
    each("events", 1, make, |Bytes(bytes)| {
        let _state = postcard::from_bytes::<State>(bytes);
        let Ok(event) = postcard::from_bytes::<Event>(bytes) else { return false };
        assert_same_event(&event);
        true
    });
}

/// What was read is written and read once more, as bytes: a number that is none equals nothing.
fn assert_same_event(event: &Event) {
    let bytes = postcard::to_allocvec(event).expect("plain data");
    let again = postcard::from_bytes::<Event>(&bytes).expect("it was just written");
    assert!(postcard::to_allocvec(&again).expect("plain data") == bytes, "{again:?}");
}

#[test]
fn a_length_that_is_a_lie_asks_for_no_memory() {
    let begin = Instant::now();
    for written in events().iter().map(|event| postcard::to_allocvec(event).expect("plain data")) {
        for at in 0..written.len().min(600) {
            for power in [20, 30, 33, 40, 63] {
                let mut bytes = written.clone();
                bytes.splice(at..=at, postcard::to_allocvec(&(1_u64 << power)).expect("a number"));
                let _refused = postcard::from_bytes::<Event>(&bytes);
            }
        }
    }
    assert!(begin.elapsed() < LIMIT, "it took {:?}", begin.elapsed());
}

/// The run that an event is of.
fn run_of(event: &Event) -> Option<u32> {
    match event {
        Event::Started { run }
        | Event::Frame { run, .. }
        | Event::Progress { run, .. }
        | Event::State { run, .. }
        | Event::Row { run, .. }
        | Event::Timed { run, .. }
        | Event::Finished { run }
        | Event::Failed { run, .. } => Some(*run),
        Event::Hello { .. } | Event::Request { .. } => None,
    }
}

/// A loop that is told anything, and what it may answer to it.
struct Pestered {
    bench: Bench,
    told: BTreeSet<u32>,
    /// The newest state that it sent.
    state: Vec<u8>,
    /// The step that the run began with.
    first: Option<u64>,
    started: bool,
}

impl Pestered {
    fn tell(&mut self, mut command: Command) {
        match &mut command {
            Command::Start { run, state, .. } => {
                self.told.insert(*run);
                if let Some(state) = state.as_mut().filter(|state| state.is_empty()) {
                    state.clone_from(&self.state);
                }
            }
            Command::Batch { run, .. } | Command::Time { run, .. } => {
                self.told.insert(*run);
            }
            _ => {}
        }
        // The way of the page and of the engine: JSON, and bytes beside.
        let bytes = command.take_bytes();
        let text = serde_json::to_string(&command).expect("plain data");
        let mut arrived: Command = serde_json::from_str(&text).expect("it was just written");
        if let Some(bytes) = bytes {
            arrived.put_bytes(bytes);
        }
        self.bench.tell(arrived);
    }

    /// Lets the loop work once; whether it has more to do.
    fn poll(&mut self) -> bool {
        let Some(events) = self.bench.poll() else { return false };
        for event in &events {
            assert_same_event(event);
            assert!(run_of(event).is_none_or(|run| self.told.contains(&run)), "nobody asked for {event:?}");
            match event {
                Event::Started { .. } => (self.first, self.started) = (None, true),
                Event::State { bytes, .. } => self.state.clone_from(bytes),
                Event::Frame { live: true, frame: Frame { step, of: Some(of), .. }, .. } => {
                    let first = *self.first.get_or_insert(*step);
                    assert!(*step <= first.max(*of), "step {step} of {of}");
                }
                Event::Failed { error, .. } => assert!(!error.to_string().is_empty()),
                _ => {}
            }
        }
        true
    }
}

#[test]
fn a_loop_that_is_told_anything_goes_on() {
    let make = |stream: &mut Stream| {
        let draws = !one_in(stream, 4);
        let told: Vec<(Command, usize)> =
            (0..2 + stream.below(30)).map(|_| (command(stream), stream.below(6))).collect();
        (draws, told)
    };
    each("loops", 20, make, |(draws, told)| {
        let mut pestered =
            Pestered { bench: Bench::new(), told: BTreeSet::new(), state: Vec::new(), first: None, started: false };
        pestered.bench.draws = *draws;
        for (command, polls) in told {
            pestered.tell(command.clone());
            for _ in 0..*polls {
                pestered.poll();
            }
        }
        let started = pestered.started;
        pestered.tell(Command::Stop);
        assert!((0..20).any(|_| !pestered.poll()), "a stop ends whatever it does");
        // And a good run works as if nothing had been.
        pestered.bench.draws = true;
        pestered.tell(Command::Hold { on: false });
        let (lab, query, speed) = ("still".to_owned(), "number=2".to_owned(), Speed::Max);
        pestered.tell(Command::Start { run: 7, lab, query, speed, paused: false, fault: None, state: None });
        let events = pestered.bench.rest();
        let last = events.iter().rev().find_map(|event| match event {
            Event::Frame { frame, .. } => Some(frame.readouts()["doubled"]),
            _ => None,
        });
        assert_eq!(last, Some(4.0), "{events:?}");
        started
    });
}

#[test]
fn a_run_that_resumes_at_its_end_takes_no_step() {
    let mut state = State::new(20);
    state.put("walk", vec![vec![0.5; 20]]);
    state.put("start", vec![vec![7.0, 0.0]]);
    let state = Some(postcard::to_allocvec(&state).expect("plain data"));
    for paused in [false, true] {
        let mut bench = Bench::new();
        let (lab, query, speed) = ("made-up".to_owned(), "steps=20".to_owned(), Speed::Max);
        bench.tell(Command::Start { run: 1, lab, query, speed, paused, fault: None, state: state.clone() });
        bench.tell(Command::Step);
        let events = bench.rest();
        let Some(Event::Progress { progress, .. }) = events.last() else { panic!("{events:?}") };
        assert_eq!((progress.step, progress.phase), (20, Phase::Done));
    }
}

#[test]
fn a_timing_of_more_steps_than_can_be_counted_is_stopped() {
    let mut bench = Bench::new();
    let (lab, query) = ("made-up".to_owned(), String::new());
    bench.tell(Command::Time { run: 1, lab, query, steps: u32::MAX });
    for _ in 0..20 {
        assert_eq!(bench.poll(), Some(vec![]), "it has long not ended");
    }
    bench.tell(Command::Stop);
    assert_eq!(bench.rest(), []);
}
