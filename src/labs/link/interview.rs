//! A search whose values, verdicts and likelihoods come from the reader's own server, one question at a time.
//!
//! It sends nothing: it says what is to be asked next and is told the answer, so that a run goes on from its answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::asked::fact_sentence;
use crate::mech::rule_search::chat::{
    ChatReply, likelihood_body, likelihood_of_value, proposal_body, proposal_question, read_likelihood, read_reply,
    read_values, tells_likelihoods, type_sentence, verdict, verdict_body, verdict_question, yes_by_likelihood,
};
use crate::mech::rule_search::{Call, Need, Search};

/// Answers that are drawn for a verdict where the server tells no likelihoods, and how evenly.
const DRAWN: usize = 3;
const VERDICT_TEMPERATURE: f64 = 0.7;
/// Letters of an answer that are kept.
const MOST_KEPT: usize = 1200;

/// What is asked of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    Values { text: String, values: usize },
    Verdict { sentence: String },
    Likelihood { text: String },
}

impl Question {
    /// Its words.
    pub fn text(&self) -> String {
        match self {
            Self::Values { text, .. } | Self::Likelihood { text } => text.clone(),
            Self::Verdict { sentence } => verdict_question(sentence),
        }
    }

    /// What it is for.
    pub fn part(&self) -> &'static str {
        match self {
            Self::Values { .. } => "propose",
            Self::Verdict { .. } => "verify",
            Self::Likelihood { .. } => "score",
        }
    }
}

/// What the server answered, as it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Each with its own log-likelihood, where the server tells it.
    Values(Vec<(String, Option<f64>)>),
    /// P(yes) by the likelihoods of the answer.
    Belief(f64),
    /// One answer of several: yes, no, or neither.
    Drawn(Option<bool>),
    Likelihood(f64),
    /// The server cannot do what was asked; it is asked in the other way.
    Without,
}

impl Answer {
    /// In words.
    pub fn said(&self) -> String {
        match self {
            Self::Values(values) if values.is_empty() => "no list".to_owned(),
            Self::Values(values) => values.iter().map(|(value, _)| value.as_str()).collect::<Vec<_>>().join(", "),
            Self::Belief(yes) => format!("P(yes) {yes:.3}"),
            Self::Drawn(Some(true)) => "yes".to_owned(),
            Self::Drawn(Some(false)) => "no".to_owned(),
            Self::Drawn(None) => "neither yes nor no, counts half".to_owned(),
            Self::Likelihood(number) => format!("{number:.3} nats a token"),
            Self::Without => "not offered, asked in another way".to_owned(),
        }
    }
}

/// A question, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    pub question: Question,
    pub answer: Answer,
    /// The server's words, cut.
    pub raw: String,
    pub milliseconds: f64,
    /// Tokens of question and answer, where the server tells them.
    pub used: Option<u64>,
    /// Nothing was sent: an earlier run had asked the same.
    pub known: bool,
}

/// On what values are ranked. One run has one: numbers of two would not compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The whole partial statement, by the server.
    Whole,
    /// The value's own words in the answer that proposed it.
    Proposal,
    /// The whole partial statement, by the small proposer of the site.
    Small,
    /// Nothing: values stay in their order.
    Off,
    /// Nothing, for nobody tells likelihoods of these words.
    Unknown,
}

impl Scale {
    pub fn said(self) -> &'static str {
        match self {
            Self::Whole => "likelihood of the whole statement",
            Self::Proposal => "likelihood of the proposal",
            Self::Small => "likelihood by the site's small model",
            Self::Off => "none: the reranker is off",
            Self::Unknown => {
                "none: the server tells no likelihoods, and the site's small model does not know all of the words"
            }
        }
    }

    pub fn ranks(self) -> bool {
        !matches!(self, Self::Off | Self::Unknown)
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    Ask(Question),
    /// The small proposer scores these nodes, if it knows all their words: [`Interview::scored`].
    Score(Vec<usize>),
    Over,
}

/// What is believed of a sentence so far.
#[derive(Clone, Debug)]
enum Belief {
    Known(f64),
    Drawn(Vec<Option<bool>>),
}

impl Belief {
    fn known(&self) -> Option<f64> {
        match self {
            Self::Known(yes) => Some(*yes),
            Self::Drawn(answers) if answers.len() < DRAWN => None,
            Self::Drawn(answers) => {
                let half = |answer: &Option<bool>| answer.map_or(0.5, |yes| f64::from(u8::from(yes)));
                Some(answers.iter().map(half).sum::<f64>() / answers.len() as f64)
            }
        }
    }
}

/// A search under way, and what its server has shown that it can do.
#[derive(Clone, Debug)]
pub struct Interview {
    pub search: Search,
    /// Whether likelihoods are asked for with each answer.
    likelihoods: bool,
    scale: Option<Scale>,
    /// Answers to the questions for values of this turn, by their words: head and tail ask the same at first.
    proposals: BTreeMap<String, Proposal>,
    beliefs: BTreeMap<String, Belief>,
    scores: BTreeMap<String, f64>,
    /// For each node, which question it is an answer to, and its log-likelihood there.
    proposed: Vec<(usize, Option<f64>)>,
}

#[derive(Clone, Debug, Default)]
struct Proposal {
    /// The question's number.
    number: usize,
    values: Vec<(String, Option<f64>)>,
}

impl Interview {
    pub fn new(search: Search, rerank: bool) -> Self {
        Self {
            search,
            likelihoods: true,
            scale: (!rerank).then_some(Scale::Off),
            proposals: BTreeMap::new(),
            beliefs: BTreeMap::new(),
            scores: BTreeMap::new(),
            proposed: vec![],
        }
    }

    /// On what values are ranked, once it is known.
    pub fn scale(&self) -> Option<Scale> {
        self.scale
    }

    /// Whether the server tells likelihoods, as far as it is known.
    pub fn likelihoods(&self) -> bool {
        self.likelihoods
    }

    fn question(&self, call: &Call) -> String {
        let rule = self.search.rule();
        let step = &self.search.steps()[self.search.turn()];
        let values = self.search.values(call.node);
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let variable = &rule.variables[step.variable];
        let said = step.prompt.iter().map(|&atom| rule.say(atom, &values));
        let sentence = said.collect::<Vec<_>>().join(" and ").replace(['[', ']'], "");
        proposal_question(&variable.name, &variable.datatype, &sentence, call.values, &call.known)
    }

    /// What is asked of a node's type.
    pub fn type_sentence(&self, node: usize) -> String {
        let of = &self.search.nodes()[node];
        let variable = self.search.steps()[of.turn].variable;
        type_sentence(&of.value, &self.search.rule().variables[variable].datatype)
    }

    fn belief(&self, sentence: &str) -> Option<f64> {
        self.beliefs.get(sentence)?.known()
    }

    /// Goes on with what is known, until something must be asked.
    pub fn next(&mut self) -> Next {
        loop {
            match self.search.needs() {
                Need::Values(calls) => {
                    let questions: Vec<String> = calls.iter().map(|call| self.question(call)).collect();
                    let open = questions.iter().position(|text| !self.proposals.contains_key(text));
                    if let Some(open) = open {
                        return Next::Ask(Question::Values {
                            text: questions[open].clone(),
                            values: calls[open].values,
                        });
                    }
                    self.propose(&questions);
                }
                Need::Verdicts(nodes) => {
                    let sentences = nodes.iter().flat_map(|&node| {
                        std::iter::once(self.type_sentence(node)).chain(fact_sentence(&self.search, node))
                    });
                    let open = sentences.into_iter().find(|sentence| self.belief(sentence).is_none());
                    if let Some(sentence) = open {
                        return Next::Ask(Question::Verdict { sentence });
                    }
                    let known = |sentence: String| self.belief(&sentence).unwrap_or(0.5);
                    let answer =
                        |&node: &usize| (known(self.type_sentence(node)), fact_sentence(&self.search, node).map(known));
                    let answers: Vec<(f64, Option<f64>)> = nodes.iter().map(answer).collect();
                    self.search.verify(&answers);
                }
                Need::Scores(nodes) => {
                    let texts: Vec<String> = nodes.iter().map(|&node| self.search.partial_statement(node)).collect();
                    match self.scale {
                        None | Some(Scale::Whole) => {
                            if let Some(text) = texts.iter().find(|text| !self.scores.contains_key(*text)) {
                                return Next::Ask(Question::Likelihood { text: text.clone() });
                            }
                            let scores: Vec<f64> = texts.iter().map(|text| self.scores[text]).collect();
                            self.search.rank(&scores);
                        }
                        Some(Scale::Proposal) => {
                            let scores = self.proposal_scores(&nodes);
                            self.search.rank(&scores);
                        }
                        Some(Scale::Small) => return Next::Score(nodes),
                        Some(Scale::Off | Scale::Unknown) => self.search.rank(&vec![f64::NAN; nodes.len()]),
                    }
                }
                Need::Nothing => return Next::Over,
            }
        }
    }

    fn propose(&mut self, questions: &[String]) {
        let answers: Vec<Proposal> = questions.iter().map(|text| self.proposals[text].clone()).collect();
        self.proposals.clear();
        let names = |answer: &Proposal| answer.values.iter().map(|(value, _)| value.clone()).collect();
        let origins = self.search.propose(answers.iter().map(names).collect());
        for (node, call) in self.search.nodes()[self.proposed.len()..].iter().zip(origins) {
            let answer = &answers[call];
            let said = answer.values.iter().find(|(value, _)| *value == node.value);
            self.proposed.push((answer.number, said.and_then(|(_, likelihood)| *likelihood)));
        }
    }

    /// The number of the question that a node is an answer to.
    pub fn question_of(&self, node: usize) -> usize {
        self.proposed[node].0
    }

    /// Each node's log-likelihood in its answer; one that has none is ranked in their middle.
    fn proposal_scores(&self, nodes: &[usize]) -> Vec<f64> {
        let known: Vec<f64> = nodes.iter().filter_map(|&node| self.proposed[node].1).collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        nodes.iter().map(|&node| self.proposed[node].1.unwrap_or(mean)).collect()
    }

    /// The small proposer's scores of the nodes that [`next`](Self::next) named; none, if it does not know all their words.
    pub fn scored(&mut self, scores: Option<&[f64]>) {
        match scores {
            Some(scores) => self.search.rank(scores),
            None => self.scale = Some(Scale::Unknown),
        }
    }

    /// Where a question goes, below the server's address, and what is sent.
    pub fn request(&self, question: &Question, model: &str, temperature: f64) -> (&'static str, Vec<u8>) {
        let chat = "/chat/completions";
        match question {
            Question::Values { text, values } => {
                (chat, proposal_body(model, text, *values, temperature, self.likelihoods))
            }
            Question::Verdict { .. } => {
                (chat, verdict_body(model, &question.text(), VERDICT_TEMPERATURE, self.likelihoods))
            }
            Question::Likelihood { text } => ("/completions", likelihood_body(model, text)),
        }
    }

    /// Reads what the server answered to a question, by status and body; nothing if it is to be told as a failure.
    pub fn read(&self, question: &Question, status: u16, body: &[u8]) -> Option<(Answer, String, Option<u64>)> {
        let good = (200..300).contains(&status);
        let cut = |text: &str| text.chars().take(MOST_KEPT).collect::<String>();
        let plain = || cut(&String::from_utf8_lossy(body));
        if let Question::Likelihood { text } = question {
            let likelihood = good.then(|| read_likelihood(body, text)).flatten();
            // At first it is only tried whether the server can; later a failure is one.
            return match likelihood {
                Some(number) => Some((Answer::Likelihood(number), String::new(), None)),
                None if self.scale.is_none() && status != 401 && status != 429 => {
                    Some((Answer::Without, if good { String::new() } else { plain() }, None))
                }
                None => None,
            };
        }
        if status == 400 && self.likelihoods {
            return Some((Answer::Without, plain(), None));
        }
        let reply = read_reply(body).filter(|_| good)?;
        let raw = cut(&reply.text);
        Some((self.read_chat(question, &reply), raw, reply.used))
    }

    fn read_chat(&self, question: &Question, reply: &ChatReply) -> Answer {
        match question {
            Question::Values { values, .. } => {
                let listed = read_values(&reply.text).into_iter().take(*values);
                Answer::Values(
                    listed
                        .map(|value| {
                            let number = likelihood_of_value(reply, &value);
                            (value, number)
                        })
                        .collect(),
                )
            }
            _ if !self.likelihoods => Answer::Drawn(verdict(&reply.text)),
            // An answer that begins with neither says nothing.
            _ if tells_likelihoods(reply) => Answer::Belief(yes_by_likelihood(reply).unwrap_or(0.5)),
            _ => Answer::Without,
        }
    }

    /// Takes an answer to what [`next`](Self::next) asked; `number` counts the questions.
    pub fn hear(&mut self, number: usize, question: &Question, answer: &Answer) {
        match (question, answer) {
            (Question::Values { text, .. }, Answer::Values(values)) => {
                if values.iter().any(|(_, likelihood)| likelihood.is_none()) {
                    self.likelihoods = false;
                }
                self.proposals.insert(text.clone(), Proposal { number, values: values.clone() });
            }
            (Question::Verdict { sentence }, Answer::Belief(yes)) => {
                self.beliefs.insert(sentence.clone(), Belief::Known(*yes));
            }
            (Question::Verdict { sentence }, Answer::Drawn(answer)) => {
                match self.beliefs.entry(sentence.clone()).or_insert_with(|| Belief::Drawn(vec![])) {
                    Belief::Drawn(answers) => answers.push(*answer),
                    Belief::Known(_) => {}
                }
            }
            (Question::Likelihood { text }, Answer::Likelihood(likelihood)) => {
                self.scale = Some(Scale::Whole);
                self.scores.insert(text.clone(), *likelihood);
            }
            (Question::Likelihood { .. }, _) => {
                // Only where every value so far came with its own is it one scale.
                let all = self.likelihoods && self.proposed.iter().all(|(_, likelihood)| likelihood.is_some());
                self.scale = Some(if all { Scale::Proposal } else { Scale::Small });
            }
            _ => self.likelihoods = false,
        }
    }

    /// What the server believes of a node: of its type, and of its fact.
    pub fn beliefs_of(&self, node: usize) -> (Option<f64>, Option<f64>) {
        let fact = fact_sentence(&self.search, node);
        (self.belief(&self.type_sentence(node)), fact.and_then(|fact| self.belief(&fact)))
    }
}
