//! A frame or a panel taken apart: what is there, and the numbers in it.
//!
//! The two age differently. A structure is compared letter by letter and reviewed as text; a number may differ in its
//! last bits from machine to machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// Lists of numbers by their places.
#[derive(Debug, Default, PartialEq)]
pub struct Numbers(BTreeMap<String, Vec<Option<f64>>>);

/// The structure as an indented text, in which texts keep their words and lists of numbers their lengths; and the
/// numbers.
pub fn taken_apart(value: &Value) -> (String, Numbers) {
    let (mut structure, mut numbers) = (String::new(), Numbers::default());
    take(value, "", 0, &mut structure, &mut numbers);
    (structure, numbers)
}

fn take(value: &Value, place: &str, depth: usize, structure: &mut String, numbers: &mut Numbers) {
    let below = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                write!(structure, "\n{}{key}:", "  ".repeat(depth)).expect("writing to a String cannot fail");
                take(field, &below(key), depth + 1, structure, numbers);
            }
        }
        Value::Array(_) if flat(value).is_some_and(|list| !list.is_empty()) => {
            let list = flat(value).expect("it was just matched");
            write!(structure, " {} numbers", list.len()).expect("writing to a String cannot fail");
            numbers.0.insert(place.to_owned(), list);
        }
        Value::Array(items) if items.is_empty() => structure.push_str(" none"),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                write!(structure, "\n{}-", "  ".repeat(depth)).expect("writing to a String cannot fail");
                take(item, &below(&index.to_string()), depth + 1, structure, numbers);
            }
        }
        Value::String(text) => {
            write!(structure, " “{}”", without_digits(text)).expect("writing to a String cannot fail");
        }
        Value::Number(_) => {
            structure.push_str(" a number");
            numbers.0.insert(place.to_owned(), vec![value.as_f64()]);
        }
        Value::Bool(_) | Value::Null => write!(structure, " {value}").expect("writing to a String cannot fail"),
    }
}

/// All numbers of a list of numbers, or of lists of them; a gap in a line, which JSON has no number for, among them.
fn flat(value: &Value) -> Option<Vec<Option<f64>>> {
    let Value::Array(items) = value else { return None };
    let mut list = Vec::new();
    for item in items {
        match item {
            Value::Number(number) => list.push(number.as_f64()),
            Value::Null => list.push(None),
            Value::Array(_) => list.extend(flat(item)?),
            _ => return None,
        }
    }
    Some(list)
}

/// The text with each number, sign and fraction included, as one mark.
fn without_digits(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let sign = matches!(character, '-' | '−') && rest.peek().is_some_and(char::is_ascii_digit);
        if !character.is_ascii_digit() && !sign {
            plain.push(character);
            continue;
        }
        plain.push('#');
        while let Some(&next) = rest.peek() {
            let mut after = rest.clone();
            let inside = matches!(next, '.' | ',') && after.nth(1).is_some_and(|c| c.is_ascii_digit());
            if !next.is_ascii_digit() && !inside {
                break;
            }
            rest.next();
        }
    }
    plain
}

impl Numbers {
    /// Says where they are farther apart than this share; what is tiny beside the largest number of its list is held
    /// to that one's measure, or rounding would decide.
    pub fn near(&self, want: &Self, share: f64) -> Result<(), String> {
        if !self.0.keys().eq(want.0.keys()) {
            return Err("numbers stand in other places".to_owned());
        }
        for (place, want) in &want.0 {
            let got = &self.0[place];
            if got.len() != want.len() {
                return Err(format!("{place}: {} numbers, on file {}", got.len(), want.len()));
            }
            let largest = want.iter().flatten().fold(0.0, |largest: f64, number| largest.max(number.abs()));
            for (index, (got, want)) in got.iter().zip(want).enumerate() {
                let near = match (got, want) {
                    (Some(got), Some(want)) => (got - want).abs() <= share * want.abs().max(1e-2 * largest).max(1e-6),
                    (got, want) => got == want,
                };
                if !near {
                    return Err(format!("{place}, number {index}: {got:?}, on file {want:?}"));
                }
            }
        }
        Ok(())
    }

    /// A place a line, six digits a number.
    pub fn to_json(&self) -> String {
        let short = |number: &Option<f64>| number.and_then(|number| format!("{number:.5e}").parse::<f64>().ok());
        let line = |(place, list): (&String, &Vec<Option<f64>>)| {
            let list: Vec<Option<f64>> = list.iter().map(short).collect();
            format!("{}: {}", Value::from(place.as_str()), serde_json::json!(list))
        };
        format!("{{\n{}\n}}\n", self.0.iter().map(line).collect::<Vec<_>>().join(",\n"))
    }

    pub fn from_json(text: &str) -> Self {
        Self(serde_json::from_str(text).expect("the file is as it was written"))
    }
}

#[test]
fn a_panel_comes_apart() {
    let value = serde_json::json!({
        "title": "1,024 draws of −0.5 to 2.",
        "points": [[1.0, 2.0], [3.0, null]],
        "marks": [{ "y": 7, "log": false }],
        "offers": [],
    });
    let (structure, numbers) = taken_apart(&value);
    assert!(structure.contains("title: “# draws of # to #.”"), "{structure}");
    assert!(structure.contains("points: 4 numbers") && structure.contains("offers: none"), "{structure}");
    assert_eq!(numbers.0["points"], [Some(1.0), Some(2.0), Some(3.0), None]);
    assert_eq!(numbers.0["marks.0.y"], [Some(7.0)]);
    assert_eq!(Numbers::from_json(&numbers.to_json()), numbers);
    let moved = |by: f64| taken_apart(&serde_json::json!({ "points": [100.0 + by, 1e-9] })).1;
    assert_eq!(moved(0.05).near(&moved(0.0), 1e-3), Ok(()));
    assert!(moved(0.2).near(&moved(0.0), 1e-3).is_err_and(|apart| apart.starts_with("points, number 0")));
    assert!(numbers.near(&moved(0.0), 1e-3).is_err());
}
