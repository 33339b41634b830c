//! The small models of a world: who proposes, who criticizes, who scores; what each is trained on, and how it is asked.

use std::collections::{BTreeMap, BTreeSet};

use super::knowledge_base::KnowledgeBase;
use super::rule::{Order, Rule};
use super::search::Search;
use super::texts::{Lesson, Lines, NO, STOP, Texts, YES};
use crate::mech::rates::Rates;
use crate::mech::word_transformer::TextTree;
use crate::seed::Stream;

/// Lines in a training step.
const BATCH: usize = 64;
/// A name is not longer than this, in words.
const LONGEST_NAME: usize = 8;
/// At which temperature a critic's own mistakes are collected, and how many samples of each gap.
const MISTAKES_TEMPERATURE: f64 = 0.9;
pub const MISTAKES_SAMPLES: usize = 48;

/// A model's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Proposes values, and scores partial statements.
    Proposer,
    /// Scores what the search found; never used inside it.
    Evaluator,
    /// Says yes or no.
    Critic,
    /// The critic, taught on what the proposer proposes.
    TaughtCritic,
    /// A critic that saw facts as often as they are popular, and so knows the head best.
    HeadCritic,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Proposer, Self::Evaluator, Self::Critic, Self::TaughtCritic, Self::HeadCritic];

    /// In names of files and streams.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Proposer => "proposer",
            Self::Evaluator => "evaluator",
            Self::Critic => "critic",
            Self::TaughtCritic => "taught-critic",
            Self::HeadCritic => "head-critic",
        }
    }

    pub fn lines(self) -> Lines {
        match self {
            Self::Proposer => Lines { facts: 1.0, questions: 3.0, statements: 3.0, ..Lines::default() },
            Self::Evaluator => Lines { facts: 1.0, statements: 3.0, ..Lines::default() },
            Self::Critic | Self::TaughtCritic | Self::HeadCritic => {
                Lines { checked_facts: 1.0, checked_types: 1.0, ..Lines::default() }
            }
        }
    }

    /// To which power the popularity of a fact says how often it is read (α).
    pub fn exponent(self) -> f64 {
        match self {
            Self::Critic | Self::TaughtCritic => 0.5,
            Self::Proposer | Self::Evaluator | Self::HeadCritic => 1.0,
        }
    }

    pub fn rates(self) -> Rates {
        let steps = |steps| Rates { steps, rate: 3e-3, warm_up: 100, last: 0.05 };
        match self {
            Self::Proposer | Self::HeadCritic => steps(1200),
            Self::Evaluator => steps(1000),
            Self::Critic => steps(2400),
            Self::TaughtCritic => Rates { steps: 800, rate: 1e-3, warm_up: 0, last: 0.0 },
        }
    }

    /// What one step learns from. `mistakes` are for the [taught critic](Self::TaughtCritic) alone.
    pub fn lessons(self, texts: &Texts, mistakes: &Mistakes, seed: u64, step: u64) -> Vec<Lesson> {
        let mut stream = Stream::at(seed, self.slug(), step);
        let taught = self == Self::TaughtCritic && !mistakes.is_empty();
        let usual = if taught { BATCH / 2 } else { BATCH };
        let mut lessons: Vec<Lesson> = (0..usual).map(|_| texts.lesson(self.lines(), &mut stream)).collect();
        if taught {
            for list in [&mistakes.right, &mistakes.wrong] {
                lessons.extend((0..BATCH / 4).map(|_| list[stream.below(list.len())].clone()));
            }
        }
        lessons
    }
}

/// What a proposer proposes, marked by the world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mistakes {
    pub right: Vec<Lesson>,
    pub wrong: Vec<Lesson>,
}

impl Mistakes {
    /// None, if either list is.
    pub fn is_empty(&self) -> bool {
        self.right.is_empty() || self.wrong.is_empty()
    }

    /// Every fact with a gap, in either place, that a search can ask for.
    pub fn gaps(base: &KnowledgeBase) -> Vec<Gap> {
        let mut gaps = vec![];
        for (name, relation) in &base.relations {
            for slot in [0, 1] {
                let given: BTreeSet<&String> = relation.pairs.iter().map(|pair| &pair[1 - slot]).collect();
                gaps.extend(given.into_iter().map(|given| Gap { relation: name.clone(), slot, given: given.clone() }));
            }
        }
        gaps
    }

    /// So many samples of each gap.
    pub fn sampling(gaps: &[Gap], texts: &Texts, tree: &mut TextTree, samples: usize) -> Sampling {
        let prompts = gaps.iter().map(|gap| (Texts::gap(&gap.sentence(&texts.base, "_")), samples));
        Sampling::new(prompts.collect(), texts, tree, MISTAKES_TEMPERATURE, LONGEST_NAME)
    }

    /// Marks what was sampled, and adds it.
    pub fn mark(&mut self, gaps: &[Gap], sampled: &[Vec<String>], texts: &Texts) {
        for (gap, values) in gaps.iter().zip(sampled) {
            for value in values.iter().collect::<BTreeSet<_>>() {
                let right = gap.is_true(&texts.base, value);
                let answer = if right { "yes" } else { "no" };
                let line = format!("{} {answer}", Texts::check(&gap.sentence(&texts.base, value)));
                let Some(tokens) = texts.words.numbers(&line) else { continue };
                let lesson = Lesson { from: tokens.len() - 1, tokens };
                if right { self.right.push(lesson) } else { self.wrong.push(lesson) }
            }
        }
    }
}

/// A fact one of whose names is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    relation: String,
    /// The place of the name that is left out.
    slot: usize,
    given: String,
}

impl Gap {
    fn pair<'a>(&'a self, value: &'a str) -> [&'a str; 2] {
        if self.slot == 0 { [value, &self.given] } else { [&self.given, value] }
    }

    fn sentence(&self, base: &KnowledgeBase, value: &str) -> String {
        let [first, second] = self.pair(value);
        KnowledgeBase::sentence(&base.relations[&self.relation], first, second)
    }

    fn is_true(&self, base: &KnowledgeBase, value: &str) -> bool {
        let [first, second] = self.pair(value);
        base.is_true(&self.relation, first, second)
    }
}

/// Texts that are drawn word by word, all together.
#[derive(Clone, Debug)]
pub struct Sampling {
    /// Where each text begins, and how it goes on.
    walks: Vec<Walk>,
    /// How many texts each prompt gets.
    counts: Vec<usize>,
    temperature: f64,
    longest: usize,
    /// Sums of the probabilities after a node.
    sums: BTreeMap<usize, Vec<f64>>,
    /// Which text gets its next word first.
    next: usize,
}

#[derive(Clone, Debug)]
struct Walk {
    node: usize,
    tokens: Vec<usize>,
    over: bool,
}

impl Sampling {
    /// So many texts behind each prompt, until their full stop, or their `longest` word.
    ///
    /// # Panics
    ///
    /// When a prompt has a word that the world does not.
    pub fn new(
        prompts: Vec<(String, usize)>,
        texts: &Texts,
        tree: &mut TextTree,
        temperature: f64,
        longest: usize,
    ) -> Self {
        let (mut walks, mut counts) = (vec![], vec![]);
        for (prompt, count) in prompts {
            let numbers = texts.words.numbers(&prompt);
            let numbers = numbers.unwrap_or_else(|| panic!("“{prompt}” has a word that the world does not"));
            let node = tree.text(None, &numbers);
            walks.extend(std::iter::repeat_n(Walk { node, tokens: vec![], over: false }, count));
            counts.push(count);
        }
        Self { walks, counts, temperature, longest, sums: BTreeMap::new(), next: 0 }
    }

    /// Draws a word for each text, but for at most so many in one call; whether each has got one. Before a text gets another,
    /// the nodes of the tree must have been read.
    pub fn step(&mut self, tree: &mut TextTree, most: usize, stream: &mut Stream) -> bool {
        let end = self.walks.len().min(self.next + most);
        for walk in self.walks[self.next..end].iter_mut().filter(|walk| !walk.over) {
            let temperature = self.temperature;
            let sums = self.sums.entry(walk.node).or_insert_with(|| summed(&tree.logits(walk.node), temperature));
            let at = stream.unit() * sums.last().copied().unwrap_or_default();
            let token = sums.partition_point(|&sum| sum <= at).min(sums.len() - 1);
            walk.over = token == STOP;
            if !walk.over {
                walk.tokens.push(token);
                walk.over = walk.tokens.len() == self.longest || !tree.has_room(walk.node);
            }
            if !walk.over {
                walk.node = tree.after(Some(walk.node), token);
            }
        }
        self.next = if end == self.walks.len() { 0 } else { end };
        self.next == 0
    }

    /// Whether all texts have come to their ends.
    pub fn is_over(&self) -> bool {
        self.walks.iter().all(|walk| walk.over)
    }

    /// The texts, prompt by prompt.
    pub fn texts(&self, texts: &Texts) -> Vec<Vec<String>> {
        let mut walks = self.walks.iter();
        let mut of = |&count: &usize| walks.by_ref().take(count).map(|walk| texts.words.text(&walk.tokens)).collect();
        self.counts.iter().map(&mut of).collect()
    }
}

fn summed(logits: &[f32], temperature: f64) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    let add = |&logit: &f32| {
        sum += libm::exp(f64::from(logit - top) / temperature);
        sum
    };
    logits.iter().map(add).collect()
}

/// How the models of a world are asked what a search needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Phrasing {
    /// Whether the proposer knows the words of the rule's own sentences, so that it scores the whole chain; else its facts
    /// alone are scored.
    pub knows_rule: bool,
}

impl Phrasing {
    pub fn new(rule: &Rule, texts: &Texts) -> Self {
        let said = |atom: usize| {
            let sentence = rule.say(atom, &Self::values(rule, |_| "_".to_owned()).each_as_deref());
            texts.words.numbers(&sentence).is_some()
        };
        let knows_rule = rule.hypothetical().chain([rule.conclusion_index()]).all(said);
        Self { knows_rule }
    }

    fn values(rule: &Rule, value: impl Fn(usize) -> String) -> Values {
        let of = |variable: usize| if variable == rule.generic() { rule.generic_value() } else { value(variable) };
        Values((0..rule.variables.len()).map(|variable| Some(of(variable))).collect())
    }

    /// What is asked for values that follow a node.
    pub fn prompt(&self, search: &Search, node: Option<usize>, base: &KnowledgeBase) -> String {
        let (rule, step) = (search.rule(), &search.steps()[search.turn()]);
        let mut values = Values(search.values(node));
        values.0[step.variable] = Some("_".to_owned());
        let fact = step.prompt.iter().copied().find(|&atom| !rule.is_hypothetical(atom));
        let is_premise =
            |atom: usize| base.chains.iter().any(|chain| chain.generic_premise == rule.atom(atom).predicate);
        let known = |atom: &usize| self.knows_rule && is_premise(*atom);
        match fact.or_else(|| step.prompt.iter().copied().find(known)) {
            Some(atom) => Texts::gap(&rule.say(atom, &values.each_as_deref())),
            None => Texts::type_gap(&rule.variables[step.variable].datatype),
        }
    }

    /// What a node's likelihood is the likelihood of.
    pub fn scored(&self, search: &Search, node: usize) -> String {
        let ranking = &search.steps()[search.nodes()[node].turn].ranking;
        let values = Values(search.values(Some(node)));
        self.said(search.rule(), ranking, &values.each_as_deref())
    }

    /// A whole statement, its facts among it.
    pub fn whole(&self, rule: &Rule, values: &[Option<&str>]) -> String {
        let steps = rule.steps(Order::PremiseFirst);
        let all = steps.last().map(|step| step.ranking.clone()).unwrap_or_default();
        self.said(rule, &all, values)
    }

    fn said(&self, rule: &Rule, atoms: &[usize], values: &[Option<&str>]) -> String {
        if self.knows_rule {
            return format!("<s> {}", rule.say_all(atoms, values));
        }
        let facts: Vec<usize> = atoms.iter().copied().filter(|&atom| !rule.is_hypothetical(atom)).collect();
        match facts[..] {
            // A first variable makes no fact yet: how common a name is serves.
            [] => {
                let named = rule.variables.iter().zip(values).rev();
                let last = named.filter_map(|(variable, value)| Some((variable, (*value)?)));
                let mut last = last.filter(|(variable, _)| variable.name != rule.variables[rule.generic()].name);
                last.next().map_or_else(String::new, |(variable, value)| {
                    format!("{} {value}", Texts::type_gap(&variable.datatype))
                })
            }
            _ => format!("<f> {}", rule.say_all(&facts, values)),
        }
    }
}

/// Values of a rule's variables that can be lent.
struct Values(Vec<Option<String>>);

impl Values {
    fn each_as_deref(&self) -> Vec<Option<&str>> {
        self.0.iter().map(Option::as_deref).collect()
    }
}

/// P(yes), of the two answers alone, after a question that has been read.
pub fn yes(tree: &TextTree, node: usize) -> f64 {
    let [yes, no] = [YES, NO].map(|answer| f64::from(tree.log_probability(node, answer)));
    1.0 / (1.0 + libm::exp(no - yes))
}

/// The mean log-likelihood of a token after the first of a text that has been read, in nats.
pub fn likelihood(tree: &TextTree, node: usize) -> f64 {
    let tokens = tree.log_probabilities(node);
    tokens.iter().map(|&token| f64::from(token)).sum::<f64>() / tokens.len().max(1) as f64
}

/// A statement that was written at one go, if it says what the rule says: its values by variable.
///
/// # Shapes
///
/// - output `[variables]`
pub fn read_statement(rule: &Rule, statement: &str) -> Option<Vec<Option<String>>> {
    let order: Vec<usize> = rule.steps(Order::PremiseFirst).last()?.ranking.clone();
    let generic = rule.generic();
    let pattern: Vec<String> = order.iter().map(|&atom| rule.atom(atom).template.clone()).collect();
    let pattern = pattern.join(" and ");
    let mut parts: Vec<Part> = vec![];
    let mut rest = pattern.as_str();
    while let Some((before, (name, after))) =
        rest.split_once('[').and_then(|(b, tail)| Some((b, tail.split_once(']')?)))
    {
        let variable = rule.variables.iter().position(|variable| variable.name == name)?;
        parts.push(Part::Text(before.to_owned()));
        parts.push(if variable == generic {
            Part::Text(rule.generic_value().to_lowercase())
        } else {
            Part::Gap(variable)
        });
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    let mut values = vec![None; rule.variables.len()];
    values[generic] = Some(rule.generic_value());
    matched(&parts, statement, &mut values).then_some(values)
}

enum Part {
    Text(String),
    Gap(usize),
}

/// Fills the gaps from left to right; a name may hold what stands between two gaps, so that each end is tried.
fn matched(parts: &[Part], text: &str, values: &mut Vec<Option<String>>) -> bool {
    match parts {
        [] => text.is_empty(),
        [Part::Text(wanted), rest @ ..] => {
            text.strip_prefix(wanted.as_str()).is_some_and(|text| matched(rest, text, values))
        }
        [Part::Gap(variable), rest @ ..] => {
            if let Some(known) = values[*variable].clone() {
                return text.strip_prefix(known.as_str()).is_some_and(|text| matched(rest, text, values));
            }
            let ends = text.match_indices(' ').map(|(at, _)| at).chain([text.len()]);
            for end in ends.filter(|&end| end > 0) {
                values[*variable] = Some(text[..end].to_owned());
                if matched(rest, &text[end..], values) {
                    return true;
                }
            }
            values[*variable] = None;
            false
        }
    }
}
