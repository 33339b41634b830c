//! A small world of typed names and facts. What is not listed is false.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// More would not be a small world: the models are trained on it in a page.
const MOST_ENTITIES: usize = 2000;
const MOST_PAIRS: usize = 20_000;
const MOST_WORDS: usize = 6;
/// A sentence with two names of six words and what stands around it is a line that the models read to its end.
const MOST_SENTENCE_WORDS: usize = 16;
/// Ways to make both facts of a chain true: all are listed, to be drawn from.
const MOST_FILLINGS: usize = 200_000;

/// The default world: twelve types, 388 entities, 1361 facts of eight relations.
const DEFAULT: &str = include_str!("../../../public/data/link-world.json");

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnowledgeBase {
    /// The entities of each type, most popular first.
    pub types: BTreeMap<String, Vec<String>>,
    /// What can be checked.
    pub relations: BTreeMap<String, Relation>,
    /// What is said of a generic person or object, and so cannot be checked.
    pub hypothetical: BTreeMap<String, Hypothetical>,
    /// The rules that its texts are made of.
    pub chains: Vec<Chain>,
}

/// Facts of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// The types of its two arguments.
    pub signature: [String; 2],
    /// A sentence with `{0}` and `{1}`.
    pub template: String,
    pub pairs: BTreeSet<[String; 2]>,
}

/// A sentence with `{0}` for a value of some type, about "personx" or "objectx".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hypothetical {
    pub template: String,
    #[serde(rename = "type")]
    pub datatype: String,
}

/// A premise about the generic variable, two facts, and a conclusion about it: variables A, Z and B.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    pub name: String,
    pub generic_premise: String,
    pub link1: Link,
    pub link2: Link,
    pub conclusion: String,
    pub variable_types: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub relation: String,
    pub args: [String; 2],
}

/// Why a world cannot be used, or a line of edits not be made. A sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnowledgeBaseError(pub String);

impl fmt::Display for KnowledgeBaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KnowledgeBaseError {}

fn refuse<T>(sentence: String) -> Result<T, KnowledgeBaseError> {
    Err(KnowledgeBaseError(sentence))
}

/// The named entries of a part of a world.
fn entries<T: DeserializeOwned>(
    part: &str,
    value: Value,
    what: &str,
) -> Result<BTreeMap<String, T>, KnowledgeBaseError> {
    let Value::Object(entries) = value else { return refuse(format!("“{part}” is not an object with names.")) };
    let entry = |(name, entry): (String, Value)| {
        let entry = serde_json::from_value(entry);
        entry.or_else(|_| refuse(format!("“{name}” in “{part}” is not {what}."))).map(|entry| (name, entry))
    };
    entries.into_iter().map(entry).collect()
}

impl Default for KnowledgeBase {
    fn default() -> Self {
        Self::from_json(DEFAULT).expect("a test reads the world that comes with the library")
    }
}

impl KnowledgeBase {
    /// # Errors
    ///
    /// When the text is no such world, or one with unknown names, wrong types, facts said twice, or too many of either.
    pub fn from_json(text: &str) -> Result<Self, KnowledgeBaseError> {
        // Sets of pairs drop what is said twice, so that is looked for before they are made.
        let listed = |value: &Value| -> Option<(String, usize)> {
            let relations = value.get("relations")?.as_object()?;
            let repeated = |pairs: &Value| {
                let pairs = pairs.get("pairs")?.as_array()?;
                let distinct: BTreeSet<String> = pairs.iter().map(ToString::to_string).collect();
                (distinct.len() < pairs.len()).then(|| pairs.len() - distinct.len())
            };
            relations.iter().find_map(|(name, pairs)| Some((name.clone(), repeated(pairs)?)))
        };
        // Some editors begin a file with a mark.
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return refuse("It is empty.".to_owned());
        }
        let value: Value = serde_json::from_str(text).map_err(|error| {
            KnowledgeBaseError(format!(
                "This is not JSON: something is wrong at line {}, column {}.",
                error.line(),
                error.column()
            ))
        })?;
        if let Some((relation, count)) = listed(&value) {
            return refuse(format!("“{relation}” lists {count} of its pairs twice. Leave one of each."));
        }
        let base = Self::from_parts(value)?;
        base.check()?;
        Ok(base)
    }

    /// Reads each entry by itself, so that a sentence can name the one that is wrong.
    fn from_parts(value: Value) -> Result<Self, KnowledgeBaseError> {
        let mut parts = match value {
            Value::Object(parts) => parts,
            _ => Map::new(),
        };
        let mut part = |name: &str| match parts.remove(name) {
            Some(part) => Ok(part),
            None => refuse(format!(
                "This JSON is not a world: it has no “{name}”. A world has “types”, “relations”, “hypothetical” and “chains”."
            )),
        };
        let Value::Array(chains) = part("chains")? else { return refuse("“chains” is not a list.".to_owned()) };
        let chain = |(index, chain): (usize, Value)| {
            let chain = serde_json::from_value(chain);
            chain.or_else(|_| {
                let number = index + 1;
                refuse(format!("Number {number} of “chains” is not one: see the example for what a chain has."))
            })
        };
        Ok(Self {
            types: entries("types", part("types")?, "a list of names")?,
            relations: entries(
                "relations",
                part("relations")?,
                "a relation, with “signature” (two types), “template” and “pairs” (of two names each)",
            )?,
            hypothetical: entries("hypothetical", part("hypothetical")?, "a sentence, with “template” and “type”")?,
            chains: chains.into_iter().enumerate().map(chain).collect::<Result<_, _>>()?,
        })
    }

    /// The world as [`from_json`](Self::from_json) reads it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and pairs of names are JSON")
    }

    fn check(&self) -> Result<(), KnowledgeBaseError> {
        let entities: usize = self.types.values().map(Vec::len).sum();
        let pairs: usize = self.relations.values().map(|relation| relation.pairs.len()).sum();
        if entities > MOST_ENTITIES || pairs > MOST_PAIRS {
            return refuse(format!(
                "This world has {entities} names and {pairs} facts; at most {MOST_ENTITIES} and {MOST_PAIRS} can be learned here."
            ));
        }
        for (datatype, names) in &self.types {
            named(datatype)?;
            let mut seen = BTreeSet::new();
            for name in names {
                named(name)?;
                if !seen.insert(name) {
                    return refuse(format!("“{name}” is listed twice as {datatype}."));
                }
            }
        }
        for (name, relation) in &self.relations {
            for datatype in &relation.signature {
                self.entities(datatype)?;
            }
            said(name, &relation.template, &["{0}", "{1}"])?;
            for pair in &relation.pairs {
                self.typed(name, relation, pair)?;
            }
        }
        for (name, hypothetical) in &self.hypothetical {
            said(name, &hypothetical.template, &["{0}"])?;
        }
        for chain in &self.chains {
            for link in [&chain.link1, &chain.link2] {
                if !self.relations.contains_key(&link.relation) {
                    return refuse(format!(
                        "The chain “{}” uses “{}”, which is no relation here.",
                        chain.name, link.relation
                    ));
                }
            }
            for predicate in [&chain.generic_premise, &chain.conclusion] {
                if !self.hypothetical.contains_key(predicate) {
                    return refuse(format!(
                        "The chain “{}” uses “{predicate}”, which is not among “hypothetical”.",
                        chain.name
                    ));
                }
            }
            for variable in ["A", "Z", "B"] {
                let Some(datatype) = chain.variable_types.get(variable) else {
                    return refuse(format!("The chain “{}” gives no type for {variable}.", chain.name));
                };
                self.entities(datatype)?;
            }
        }
        if self.chains.is_empty() {
            return refuse("This world has no chain, so it makes no statement. Add one to “chains”.".to_owned());
        }
        let ways: Vec<usize> = self.chains.iter().map(|chain| self.count_fillings(chain)).collect();
        if ways.iter().all(|&ways| ways == 0) {
            return refuse(
                "This world makes no statement: no values make both facts of any of its chains true.".to_owned(),
            );
        }
        if let Some((chain, ways)) = self.chains.iter().zip(ways).find(|(_, ways)| *ways > MOST_FILLINGS) {
            return refuse(format!(
                "The chain “{}” can be filled in {ways} ways; at most {MOST_FILLINGS} can be listed here.",
                chain.name
            ));
        }
        Ok(())
    }

    /// How many values make both facts of a chain true.
    fn count_fillings(&self, chain: &Chain) -> usize {
        let counts = |link: &Link| {
            let slot = usize::from(link.args[0] != "Z");
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for pair in &self.relations[&link.relation].pairs {
                *counts.entry(&pair[slot]).or_default() += 1;
            }
            counts
        };
        let second = counts(&chain.link2);
        counts(&chain.link1).iter().map(|(z, count)| count * second.get(z).copied().unwrap_or_default()).sum()
    }

    fn typed(&self, name: &str, relation: &Relation, pair: &[String; 2]) -> Result<(), KnowledgeBaseError> {
        for (entity, datatype) in pair.iter().zip(&relation.signature) {
            if !self.entities(datatype)?.contains(entity) {
                return refuse(format!(
                    "“{name}” says something of “{entity}”, which is no known {datatype}. Add the name first."
                ));
            }
        }
        Ok(())
    }

    /// The names of a type, most popular first.
    ///
    /// # Errors
    ///
    /// When there is no such type.
    pub fn entities(&self, datatype: &str) -> Result<&[String], KnowledgeBaseError> {
        let known = || self.types.keys().cloned().collect::<Vec<_>>().join(", ");
        let unknown = || KnowledgeBaseError(format!("There is no type “{datatype}” here. Types are {}.", known()));
        self.types.get(datatype).map(Vec::as_slice).ok_or_else(unknown)
    }

    /// Whether the name is of the type.
    pub fn is_a(&self, name: &str, datatype: &str) -> bool {
        self.types.get(datatype).is_some_and(|names| names.iter().any(|known| known == name))
    }

    /// Whether the fact is true; one of an unknown relation is not.
    pub fn is_true(&self, relation: &str, first: &str, second: &str) -> bool {
        let pair = [first.to_owned(), second.to_owned()];
        self.relations.get(relation).is_some_and(|relation| relation.pairs.contains(&pair))
    }

    /// How popular a name is within its type: 1 / (rank + 1)^s, normalized.
    ///
    /// # Shapes
    ///
    /// - output `[entities of the type]`
    pub fn popularity(&self, datatype: &str, s: f64) -> Vec<f64> {
        let count = self.types.get(datatype).map_or(0, Vec::len);
        let weights: Vec<f64> = (1..=count).map(|rank| libm::pow(rank as f64, -s)).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }

    /// The sentence of a fact.
    pub fn sentence(relation: &Relation, first: &str, second: &str) -> String {
        relation.template.replace("{0}", first).replace("{1}", second)
    }

    /// The world after a list of edits, one in a line: `+ relation: name, name` adds a fact and `- relation: name, name` takes
    /// it away; `+ type: name` adds a name, the least popular of its type.
    ///
    /// # Errors
    ///
    /// The first line that cannot be done, by its number.
    pub fn edited(&self, edits: &str) -> Result<Self, KnowledgeBaseError> {
        let mut base = self.clone();
        for (number, line) in edits.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = |KnowledgeBaseError(sentence)| KnowledgeBaseError(format!("Line {}: {sentence}", number + 1));
            base.edit(line).map_err(at)?;
        }
        base.check()?;
        Ok(base)
    }

    fn edit(&mut self, line: &str) -> Result<(), KnowledgeBaseError> {
        let form = || {
            KnowledgeBaseError("write “+ relation: name, name”, “- relation: name, name” or “+ type: name”.".to_owned())
        };
        let adds = line.starts_with('+');
        let (what, names) = line.trim_start_matches(['+', '-', '−']).split_once(':').ok_or_else(form)?;
        if !line.starts_with(['+', '-', '−']) {
            return Err(form());
        }
        let (what, names) = (what.trim(), names.trim());
        if let Some(list) = self.types.get_mut(what) {
            if !adds {
                return refuse("a name cannot be taken away while facts may use it; take away its facts.".to_owned());
            }
            let name = names.to_owned();
            named(&name)?;
            if list.contains(&name) {
                return refuse(format!("“{name}” is a known {what} already."));
            }
            list.push(name);
            return Ok(());
        }
        let Some(relation) = self.relations.get(what) else {
            let known: Vec<&str> = self.relations.keys().chain(self.types.keys()).map(String::as_str).collect();
            return refuse(format!("“{what}” is neither a relation nor a type. There are {}.", known.join(", ")));
        };
        let (first, second) = names.split_once(',').ok_or_else(form)?;
        let pair = [first.trim().to_owned(), second.trim().to_owned()];
        self.typed(what, relation, &pair)?;
        let relation = self.relations.get_mut(what).expect("it was found above");
        let known = relation.pairs.contains(&pair);
        if known == adds {
            let state = if known { "true already" } else { "not true anyway" };
            return refuse(format!("“{}” is {state}.", Self::sentence(relation, &pair[0], &pair[1])));
        }
        if adds {
            relation.pairs.insert(pair);
        } else {
            relation.pairs.remove(&pair);
        }
        Ok(())
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_lowercase() || c.is_ascii_digit())
}

/// Whether a sentence has these gaps and can be read word by word.
fn said(name: &str, template: &str, gaps: &[&str]) -> Result<(), KnowledgeBaseError> {
    let words: Vec<&str> = template.split(' ').collect();
    let lacks = gaps.iter().any(|gap| words.iter().filter(|word| *word == gap).count() != 1);
    if lacks || words.len() > MOST_SENTENCE_WORDS || !words.iter().all(|word| gaps.contains(word) || is_word(word)) {
        return refuse(format!(
            "The sentence of “{name}” must have {} once, apart from other words, and be at most {MOST_SENTENCE_WORDS} words of lower-case letters and digits.",
            gaps.join(" and ")
        ));
    }
    Ok(())
}

fn named(name: &str) -> Result<(), KnowledgeBaseError> {
    let words = name.split(' ').count();
    if words > MOST_WORDS || !name.split(' ').all(is_word) {
        return refuse(format!(
            "“{name}” is no name: a name is one to {MOST_WORDS} words of lower-case letters and digits."
        ));
    }
    Ok(())
}
