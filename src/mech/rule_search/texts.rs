//! What the small models read: lines about a world, word by word.
//!
//! A line begins with a mark for its kind: `<f>` a fact, `<q>` a fact with a gap and what fills it, `<s>` a whole chain from
//! premise to conclusion, `<v>` a fact or a type with yes or no.

use std::collections::{BTreeMap, BTreeSet};

use super::knowledge_base::{Chain, KnowledgeBase, Link, Relation};
use crate::seed::Stream;

/// Names of types, as in "laksa is a dish".
const IS_A: &str = "is a";

/// The share of questions that are about the premise of a chain.
const PREMISE_QUESTIONS: f64 = 0.15;

/// The share of questions that are about a type, which is what the first variable of a rule of one's own is asked by. [R]
const TYPE_QUESTIONS: f64 = 0.1;

/// The share of facts that come in pairs, which is how a rule of one's own is scored. [R]
const PAIRS: f64 = 0.3;

/// Tokens of a line: one more than a model reads, for the last is only answered. Longer ones end there.
const LONGEST: usize = 49;

/// Every word and mark that a model of this world knows, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    list: Vec<String>,
    numbers: BTreeMap<String, usize>,
}

/// Marks, in the order of their numbers.
const MARKS: [&str; 10] = ["<pad>", "<f>", "<q>", "<s>", "<v>", ".", "?", "_", "yes", "no"];
pub const PAD: usize = 0;
pub const STOP: usize = 5;
pub const YES: usize = 8;
pub const NO: usize = 9;

impl Words {
    pub fn new(base: &KnowledgeBase) -> Self {
        let names = base.types.values().flatten().chain(base.types.keys());
        let sentences = base.relations.values().map(|relation| &relation.template);
        let hypothetical = base.hypothetical.values().map(|hypothetical| &hypothetical.template);
        let texts = names.chain(sentences).chain(hypothetical).map(String::as_str).chain([IS_A, "and"]);
        let words: BTreeSet<&str> = texts.flat_map(str::split_whitespace).filter(|word| !word.contains('{')).collect();
        let list: Vec<String> = MARKS.into_iter().chain(words).map(str::to_owned).collect();
        let numbers = list.iter().enumerate().map(|(number, word)| (word.clone(), number)).collect();
        Self { list, numbers }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    pub fn word(&self, number: usize) -> &str {
        &self.list[number]
    }

    /// The numbers of a text's words; nothing if it has one that is unknown.
    pub fn numbers(&self, text: &str) -> Option<Vec<usize>> {
        text.split_whitespace().map(|word| self.numbers.get(&word.to_lowercase()).copied()).collect()
    }

    /// The words of these numbers.
    pub fn text(&self, numbers: &[usize]) -> String {
        numbers.iter().map(|&number| self.word(number)).collect::<Vec<_>>().join(" ")
    }
}

/// Something drawn by its weight.
#[derive(Clone, Debug)]
struct Drawn<T> {
    list: Vec<T>,
    /// Sums of the weights up to each.
    sums: Vec<f64>,
}

impl<T> Drawn<T> {
    fn new(weighted: impl IntoIterator<Item = (T, f64)>) -> Self {
        let (mut list, mut sums, mut sum) = (vec![], vec![], 0.0);
        for (item, weight) in weighted {
            sum += weight;
            list.push(item);
            sums.push(sum);
        }
        Self { list, sums }
    }

    fn draw(&self, stream: &mut Stream) -> Option<&T> {
        let at = stream.unit() * self.sums.last()?;
        self.list.get(self.sums.partition_point(|&sum| sum <= at).min(self.list.len() - 1))
    }
}

/// Values of A, Z and B that make both facts of a chain true.
pub type Filling = [String; 3];

/// Lines about a world.
#[derive(Clone, Debug)]
pub struct Texts {
    pub base: KnowledgeBase,
    pub words: Words,
    /// True pairs of each relation.
    facts: Vec<(String, Drawn<[String; 2]>)>,
    fillings: Vec<(Chain, Drawn<Filling>)>,
    /// Names of each type, by popularity.
    names: BTreeMap<String, Drawn<String>>,
}

/// A line, and from which of its tokens on it is learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    pub tokens: Vec<usize>,
    pub from: usize,
}

/// How often each kind of line comes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lines {
    pub facts: f64,
    pub questions: f64,
    pub statements: f64,
    pub checked_facts: f64,
    pub checked_types: f64,
}

impl Texts {
    /// Names are popular by 1 / rank^s, and facts come as often as the popularity of their names says, to the power of
    /// `exponent`.
    pub fn new(base: KnowledgeBase, s: f64, exponent: f64) -> Self {
        let weights: BTreeMap<(&str, &str), f64> = base
            .types
            .iter()
            .flat_map(|(datatype, names)| {
                let weights = base.popularity(datatype, s);
                names.iter().zip(weights).map(move |(name, weight)| ((datatype.as_str(), name.as_str()), weight))
            })
            .collect();
        let weight = |datatype: &str, name: &str| weights.get(&(datatype, name)).copied().unwrap_or_default();
        let raised = |weight: f64| libm::pow(weight, exponent);
        let pairs = |relation: &Relation| {
            let [first, second] = &relation.signature;
            let weighted =
                |pair: &[String; 2]| (pair.clone(), raised(weight(first, &pair[0]) * weight(second, &pair[1])));
            Drawn::new(relation.pairs.iter().map(weighted))
        };
        let facts = base.relations.iter().map(|(name, relation)| (name.clone(), pairs(relation))).collect();
        let filled = |chain: &Chain| {
            let datatype = |variable: &str| chain.variable_types[variable].as_str();
            let weighted = |filling: Filling| {
                let [a, z, b] = &filling;
                let product = weight(datatype("A"), a) * weight(datatype("Z"), z).sqrt() * weight(datatype("B"), b);
                (filling, raised(product))
            };
            (chain.clone(), Drawn::new(fillings(&base, chain).into_iter().map(weighted)))
        };
        let fillings = base.chains.iter().map(filled).collect();
        let by_popularity = |(datatype, names): (&String, &Vec<String>)| {
            let weighted = names.iter().map(|name| (name.clone(), weight(datatype, name)));
            (datatype.clone(), Drawn::new(weighted))
        };
        let names = base.types.iter().map(by_popularity).collect();
        let words = Words::new(&base);
        drop(weights);
        Self { facts, fillings, names, words, base }
    }

    /// The numbers of a text that is made of the world's own words.
    fn numbers(&self, text: &str) -> Vec<usize> {
        self.words.numbers(text).unwrap_or_else(|| panic!("“{text}” has a word that the world does not"))
    }

    /// A line of one of the kinds.
    pub fn lesson(&self, lines: Lines, stream: &mut Stream) -> Lesson {
        let kinds: [(f64, fn(&Self, &mut Stream) -> String); 5] = [
            (lines.facts, Self::fact_line),
            (lines.questions, Self::question),
            (lines.statements, Self::statement_line),
            (lines.checked_facts, Self::checked_fact),
            (lines.checked_types, Self::checked_type),
        ];
        let kind = stream.weighted(&kinds.map(|(weight, _)| weight));
        let mut tokens = self.numbers(&kinds[kind].1(self, stream));
        tokens.truncate(LONGEST);
        // A critic learns its answer alone.
        let from = if kind < 3 { 1 } else { tokens.len() - 1 };
        Lesson { tokens, from }
    }

    /// A relation and a true pair.
    fn fact(&self, stream: &mut Stream) -> (&str, &[String; 2]) {
        loop {
            let (relation, pairs) = &self.facts[stream.below(self.facts.len())];
            if let Some(pair) = pairs.draw(stream) {
                return (relation, pair);
            }
        }
    }

    fn sentence(&self, relation: &str, [first, second]: [&str; 2]) -> String {
        KnowledgeBase::sentence(&self.base.relations[relation], first, second)
    }

    fn filling(&self, stream: &mut Stream) -> (&Chain, &Filling) {
        loop {
            let (chain, fillings) = &self.fillings[stream.below(self.fillings.len())];
            if let Some(filling) = fillings.draw(stream) {
                return (chain, filling);
            }
        }
    }

    fn fact_line(&self, stream: &mut Stream) -> String {
        if stream.unit() < PAIRS {
            let (chain, filling) = self.filling(stream);
            let [first, second] = self.facts_of(chain, filling);
            let turned = stream.unit() < 0.5;
            return if turned { format!("<f> {second} and {first} .") } else { format!("<f> {first} and {second} .") };
        }
        let (relation, [first, second]) = self.fact(stream);
        format!("<f> {} .", self.sentence(relation, [first, second]))
    }

    fn question(&self, stream: &mut Stream) -> String {
        let kind = stream.unit();
        if kind < PREMISE_QUESTIONS {
            let (chain, [a, ..]) = self.filling(stream);
            let premise = &self.base.hypothetical[&chain.generic_premise].template;
            return format!("<q> {} ? {a} .", premise.replace("{0}", "_"));
        }
        if kind < PREMISE_QUESTIONS + TYPE_QUESTIONS {
            let (datatype, names) = self.some_type(stream);
            let name = names.draw(stream).map_or("_", String::as_str);
            return format!("<q> _ {IS_A} {datatype} ? {name} .");
        }
        let (relation, [first, second]) = self.fact(stream);
        if stream.unit() < 0.5 {
            format!("<q> {} ? {first} .", self.sentence(relation, ["_", second]))
        } else {
            format!("<q> {} ? {second} .", self.sentence(relation, [first, "_"]))
        }
    }

    /// Both facts of a chain.
    fn facts_of(&self, chain: &Chain, [a, z, b]: &Filling) -> [String; 2] {
        [&chain.link1, &chain.link2].map(|Link { relation, args }| {
            let value = |variable: &String| match variable.as_str() {
                "A" => a.as_str(),
                "Z" => z,
                _ => b,
            };
            self.sentence(relation, [value(&args[0]), value(&args[1])])
        })
    }

    fn statement_line(&self, stream: &mut Stream) -> String {
        let (chain, filling) = self.filling(stream);
        let [first, second] = self.facts_of(chain, filling);
        let said = |predicate: &String, value: &str| self.base.hypothetical[predicate].template.replace("{0}", value);
        let premise = said(&chain.generic_premise, &filling[0]);
        format!("<s> {premise} and {first} and {second} and {} .", said(&chain.conclusion, &filling[2]))
    }

    fn checked_fact(&self, stream: &mut Stream) -> String {
        let (relation, pair) = self.fact(stream);
        let mut pair = pair.clone();
        let mut truth = "yes";
        if stream.unit() < 0.5 {
            let slot = stream.below(2);
            let datatype = &self.base.relations[relation].signature[slot];
            // A pair that is true with every name has no false sister; it stays.
            for _ in 0..64 {
                let other = self.some_name(datatype, stream);
                let kept = std::mem::replace(&mut pair[slot], other);
                if !self.base.is_true(relation, &pair[0], &pair[1]) {
                    truth = "no";
                    break;
                }
                pair[slot] = kept;
            }
        }
        let [first, second] = &pair;
        format!("<v> {} ? {truth}", self.sentence(relation, [first, second]))
    }

    /// A name of the type, half of the time by popularity.
    fn some_name(&self, datatype: &str, stream: &mut Stream) -> String {
        let names = &self.names[datatype];
        let popular = stream.unit() < 0.5;
        let uniform = names.list.get(stream.below(names.list.len().max(1)));
        let name = if popular { names.draw(stream) } else { uniform };
        name.cloned().unwrap_or_default()
    }

    fn some_type(&self, stream: &mut Stream) -> (&String, &Drawn<String>) {
        let at = stream.below(self.names.len());
        self.names.iter().nth(at).expect("a type below their number")
    }

    fn checked_type(&self, stream: &mut Stream) -> String {
        let (datatype, _) = self.some_type(stream);
        if stream.unit() < 0.5 {
            return format!("<v> {} {IS_A} {datatype} ? yes", self.some_name(datatype, stream));
        }
        let any = |stream: &mut Stream| {
            let (datatype, _) = self.some_type(stream);
            self.some_name(datatype, stream)
        };
        let name = if stream.unit() < 0.6 {
            let (first, last) = (any(stream), any(stream));
            let ends = (first.split(' ').next(), last.rsplit(' ').next());
            format!("{} {}", ends.0.unwrap_or_default(), ends.1.unwrap_or_default())
        } else {
            any(stream)
        };
        let truth = if self.base.is_a(&name, datatype) { "yes" } else { "no" };
        format!("<v> {name} {IS_A} {datatype} ? {truth}")
    }

    /// How a value is asked for: a fact with a gap.
    pub fn gap(sentence: &str) -> String {
        format!("<q> {sentence} ?")
    }

    /// How a value of a type is asked for, where no fact says more.
    pub fn type_gap(datatype: &str) -> String {
        Self::gap(&format!("_ {IS_A} {datatype}"))
    }

    /// How a critic is asked.
    pub fn check(sentence: &str) -> String {
        format!("<v> {sentence} ?")
    }

    /// What a critic is asked of a value's type.
    pub fn type_sentence(name: &str, datatype: &str) -> String {
        format!("{name} {IS_A} {datatype}")
    }
}

/// All values that make both facts of a chain true.
pub fn fillings(base: &KnowledgeBase, chain: &Chain) -> Vec<Filling> {
    let pairs = |link: &Link| {
        // Values of Z and of the other variable.
        let z_first = link.args[0] == "Z";
        let turned = move |[first, second]: &[String; 2]| {
            if z_first { [first.clone(), second.clone()] } else { [second.clone(), first.clone()] }
        };
        base.relations[&link.relation].pairs.iter().map(turned).collect::<Vec<_>>()
    };
    let mut second: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for [z, b] in pairs(&chain.link2) {
        second.entry(z).or_default().push(b);
    }
    let mut all = vec![];
    for [z, a] in pairs(&chain.link1) {
        for b in second.get(&z).into_iter().flatten() {
            all.push([a.clone(), z.clone(), b.clone()]);
        }
    }
    all
}
