//! What a search has found, beside what asking at one go gives.

use std::collections::BTreeMap;

use super::asked::{Asked, Truth};
use super::figures::signed;
use super::models::POPULARITY;
use crate::lab::{Host, LabError};
use crate::mech::rule_search::{KnowledgeBase, Order, Role, Rule, Search, Side, Texts, read_statement};
use crate::seed::Stream;

/// Statements that are asked for at one go, in each of the two lists.
const DIRECT: usize = 24;
/// Temperatures of "ask for what is usual, then for what is rarer".
const HEATED: [f64; 2] = [0.7, 1.3];

/// A statement, and what the world and the evaluator say of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// By variable.
    pub values: Vec<Option<String>>,
    /// Every type is right and every fact true.
    pub holds: bool,
    /// Mean log-likelihood of a token, in nats, by the evaluator; not a number, if it says nothing of the rule.
    pub likelihood: f64,
    /// What was written, where it does not say what the rule says.
    pub text: String,
}

/// Statements that should be usual, and those that should be rare.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lists(pub [Vec<Statement>; 2]);

/// A mean with half of its 95 % interval; not a number, where there are too few.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub mean: f64,
    pub half: f64,
}

impl Lists {
    /// The share of a list that is true.
    pub fn correct(&self, list: usize) -> f64 {
        let list = &self.0[list];
        list.iter().filter(|statement| statement.holds).count() as f64 / list.len() as f64
    }

    fn likelihoods(&self, list: usize, true_alone: bool) -> Vec<f64> {
        let counted = self.0[list].iter().filter(|statement| statement.holds || !true_alone);
        counted.map(|statement| statement.likelihood).filter(|likelihood| likelihood.is_finite()).collect()
    }

    /// Which list has no statement that counts, by its name; nothing, if each has one. Such a list has no share and no δ.
    pub fn lacking(&self, names: [&str; 2], true_alone: bool) -> Option<String> {
        let kind = if true_alone { "true statement" } else { "statement" };
        let is_empty = |list: &usize| !self.0[*list].iter().any(|statement| statement.holds || !true_alone);
        match [0, 1].into_iter().filter(is_empty).collect::<Vec<_>>()[..] {
            [] => None,
            [list] => Some(format!("the {} has no {kind}", names[list])),
            _ => Some(format!("neither list has a {kind}")),
        }
    }

    /// δ in words, or why there is none.
    pub fn said_delta(&self, names: [&str; 2], true_alone: bool) -> String {
        let Estimate { mean, half } = self.delta(true_alone);
        let mean = signed(mean, 2);
        match self.lacking(names, true_alone) {
            Some(lacking) => format!("unknown, for {lacking}"),
            // One statement has no spread.
            None if half.is_nan() => format!("**{mean}** nats a token, of too few for an interval"),
            None => format!("**{mean} ± {half:.2}** nats a token (95 %)"),
        }
    }

    /// By how much usual statements are likelier than rare ones (δ), in nats a token.
    pub fn delta(&self, true_alone: bool) -> Estimate {
        let [head, tail] = [0, 1].map(|list| moments(&self.likelihoods(list, true_alone)));
        Estimate { mean: head.0 - tail.0, half: 1.96 * (head.1 + tail.1).sqrt() }
    }
}

/// The mean, and the square of its error; not a number, where there are too few.
fn moments(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let square = numbers.iter().map(|number| (number - mean) * (number - mean)).sum::<f64>();
    (mean, square / (count - 1.0) / count)
}

/// Everything that is told when a search is over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub found: Lists,
    /// Asked at one go, where the proposer knows the rule: as it is, heated, and split by likelihood afterwards.
    pub direct: Option<[Lists; 3]>,
    /// For each critic, the share of the true statements of both lists all of whose facts it believes.
    pub believed: Vec<(Role, [f64; 2])>,
    /// For each critic, the share that it believes of the facts of the rule's last relation: the most popular third, the
    /// middle, the least popular, and as many false ones.
    pub known: Vec<(Role, [f64; 4])>,
}

/// The names of what is asked at one go.
pub const DIRECT_WAYS: [(&str, &str); 3] =
    [("direct", "asked at one go"), ("heated", "asked for rarer"), ("posthoc", "asked, then ranked")];

/// Critics that are asked whether they believe what is true.
pub const CLASSIFIERS: [(Role, &str, &str); 3] = [
    (Role::HeadCritic, "head", "learned from the head"),
    (Role::Critic, "learned", "learned"),
    (Role::TaughtCritic, "taught", "taught on proposals"),
];

impl Outcome {
    /// # Errors
    ///
    /// When a model cannot be read.
    pub async fn of(search: &Search, asked: &mut Asked, seed: u64, host: &Host) -> Result<Self, LabError> {
        let rule = search.rule().clone();
        let mut found = Lists::default();
        for (list, side) in [Side::Head, Side::Tail].into_iter().enumerate() {
            for &node in search.beam(side) {
                let holds = way(search, node).all(|node| Truth::of(search, node, &asked.texts).holds());
                found.0[list].push(Statement {
                    values: search.values(Some(node)),
                    holds,
                    likelihood: f64::NAN,
                    text: String::new(),
                });
            }
        }
        score(&mut found, &rule, asked, Role::Evaluator, host).await?;
        let direct = if asked.phrasing.knows_rule { Some(ask_at_once(&rule, asked, seed, host).await?) } else { None };
        let mut believed = vec![];
        for (role, ..) in CLASSIFIERS {
            believed.push((
                role,
                [
                    believe(&found.0[0], &rule, role, asked, host).await?,
                    believe(&found.0[1], &rule, role, asked, host).await?,
                ],
            ));
        }
        let known = knowledge(&rule, asked, seed, host).await?;
        Ok(Self { found, direct, believed, known })
    }
}

/// A node and those before it.
pub fn way(search: &Search, node: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(node), |&node| search.nodes()[node].parent)
}

async fn score(lists: &mut Lists, rule: &Rule, asked: &mut Asked, role: Role, host: &Host) -> Result<(), LabError> {
    for list in &mut lists.0 {
        let said = |statement: &Statement| {
            if !statement.text.is_empty() {
                return statement.text.clone();
            }
            let values: Vec<Option<&str>> = statement.values.iter().map(Option::as_deref).collect();
            asked.phrasing.whole(rule, &values)
        };
        let said: Vec<String> = list.iter().map(said).collect();
        let likelihoods = asked.score(role, &said, host).await?;
        list.iter_mut().zip(likelihoods).for_each(|(statement, likelihood)| statement.likelihood = likelihood);
    }
    Ok(())
}

/// The share of true statements all of whose facts a critic believes; not a number, if none is true.
async fn believe(list: &[Statement], rule: &Rule, role: Role, asked: &mut Asked, host: &Host) -> Result<f64, LabError> {
    let facts: Vec<usize> = rule.checkable().collect();
    let mut sentences = vec![];
    for statement in list.iter().filter(|statement| statement.holds) {
        let values: Vec<Option<&str>> = statement.values.iter().map(Option::as_deref).collect();
        sentences.extend(facts.iter().map(|&fact| rule.say(fact, &values)));
    }
    let answers = asked.believe(role, &sentences, host).await?;
    let all: Vec<bool> = answers.chunks(facts.len()).map(|facts| facts.iter().all(|&yes| yes > 0.5)).collect();
    Ok(all.iter().filter(|&&all| all).count() as f64 / all.len() as f64)
}

/// What each critic believes of the rule's last relation.
async fn knowledge(rule: &Rule, asked: &mut Asked, seed: u64, host: &Host) -> Result<Vec<(Role, [f64; 4])>, LabError> {
    let Some(last) = rule.checkable().last() else { return Ok(vec![]) };
    let groups = by_popularity(&rule.atom(last).predicate, &asked.texts.base, seed);
    let mut known = vec![];
    for (role, ..) in CLASSIFIERS {
        let mut shares = [f64::NAN; 4];
        for (share, group) in shares.iter_mut().zip(&groups) {
            *share = share_believed(&asked.believe(role, group, host).await?);
        }
        known.push((role, shares));
    }
    Ok(known)
}

/// The share of answers that are yes.
pub fn share_believed(answers: &[f64]) -> f64 {
    answers.iter().filter(|&&yes| yes > 0.5).count() as f64 / answers.len() as f64
}

/// Facts of a relation as sentences: the most popular third, the middle, the least popular, and as many false ones.
pub fn by_popularity(relation: &str, base: &KnowledgeBase, seed: u64) -> [Vec<String>; 4] {
    let relation = &base.relations[relation];
    let names = relation.signature.each_ref().map(|datatype| base.types[datatype].as_slice());
    let weights = relation.signature.each_ref().map(|datatype| {
        let popularity = base.popularity(datatype, POPULARITY);
        base.types[datatype].iter().zip(popularity).collect::<BTreeMap<_, _>>()
    });
    let weight = |pair: &[String; 2]| weights[0][&pair[0]] * weights[1][&pair[1]];
    let mut facts: Vec<(f64, &[String; 2])> = relation.pairs.iter().map(|pair| (weight(pair), pair)).collect();
    facts.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut stream = Stream::new(seed, "false facts");
    let said = |pair: &[String; 2]| KnowledgeBase::sentence(relation, &pair[0], &pair[1]);
    let mut groups: [Vec<String>; 4] = Default::default();
    let third = facts.len().div_ceil(3).max(1);
    for (group, facts) in groups.iter_mut().zip(facts.chunks(third)) {
        group.extend(facts.iter().map(|(_, pair)| said(pair)));
    }
    // A relation that holds of nearly all pairs may not have as many that are false.
    for _ in 0..50 * facts.len() {
        let pair = names.map(|names| names[stream.below(names.len())].clone());
        if groups[3].len() < facts.len() && !relation.pairs.contains(&pair) {
            groups[3].push(said(&pair));
        }
    }
    groups
}

/// Whole statements at one go, from the premise on.
async fn ask_at_once(rule: &Rule, asked: &mut Asked, seed: u64, host: &Host) -> Result<[Lists; 3], LabError> {
    let premise = rule.steps(Order::PremiseFirst)[0].ranking[0];
    let mut values = vec![None; rule.variables.len()];
    let generic = rule.generic_value();
    values[rule.generic()] = Some(generic.as_str());
    let said = rule.say(premise, &values);
    let begin = said.split('[').next().unwrap_or_default().trim().to_lowercase();
    let prompt = format!("<s> {begin}");
    let mut stream = Stream::new(seed, "direct");
    let mut plain: Vec<Vec<Statement>> = vec![];
    // Two lists as they are, and two of other temperatures.
    for temperature in [1.0, 1.0, HEATED[0], HEATED[1]] {
        let room = 48 - prompt.split(' ').count();
        let sampled = asked.sample(vec![(prompt.clone(), DIRECT)], temperature, room, &mut stream, host).await?;
        let statement = |rest: &String| written(rule, &format!("{begin} {rest}"), &asked.texts);
        plain.push(sampled.iter().flatten().map(statement).collect());
    }
    let mut lists = plain.into_iter();
    let mut next = || lists.next().unwrap_or_default();
    let mut direct = Lists([next(), next()]);
    let mut heated = Lists([next(), next()]);
    let mut both = Lists([direct.0.concat(), vec![]]);
    // Ranked by the proposer, of which the better half are called usual.
    score(&mut both, rule, asked, Role::Proposer, host).await?;
    both.0[0].retain(|statement| statement.text.is_empty());
    both.0[0].sort_by(|a, b| b.likelihood.total_cmp(&a.likelihood));
    let half = both.0[0].len() / 2;
    let rare = both.0[0].split_off(both.0[0].len() - half);
    both.0[0].truncate(half);
    both.0[1] = rare;
    for lists in [&mut direct, &mut heated, &mut both] {
        score(lists, rule, asked, Role::Evaluator, host).await?;
    }
    Ok([direct, heated, both])
}

/// A statement that was written at one go.
fn written(rule: &Rule, text: &str, texts: &Texts) -> Statement {
    let Some(values) = read_statement(rule, text) else {
        return Statement { values: vec![], holds: false, likelihood: f64::NAN, text: format!("<s> {text}") };
    };
    let holds = holds(rule, &values, &texts.base);
    Statement { values, holds, likelihood: f64::NAN, text: String::new() }
}

/// Whether every type is right and every fact true.
fn holds(rule: &Rule, values: &[Option<String>], base: &KnowledgeBase) -> bool {
    let value = |variable: usize| values[variable].as_deref().unwrap_or_default();
    let types = rule.variables.iter().enumerate().filter(|(variable, _)| *variable != rule.generic());
    let is_type = types.into_iter().all(|(variable, about)| base.is_a(value(variable), &about.datatype));
    is_type
        && rule.checkable().all(|atom| {
            let atom = rule.atom(atom);
            base.is_true(&atom.predicate, value(atom.arguments[0]), value(atom.arguments[1]))
        })
}
