//! A search for statements that are true and improbable: a rule's variables are filled one after the other, each by
//! *propose, verify, rerank* (Li et al., EMNLP 2024, arXiv 2311.07237).
//!
//! Nothing here asks a model anything. [`Search`] says what it waits for and is told the answers, so that the same loop runs
//! on a small model of ours, on a server, and on a script. A [`Rule`] is what it fills, a [`KnowledgeBase`] the world in
//! which a fact is true or not, [`Critic`] the thresholds by which a value stays.

pub mod chat;
mod critic;
mod knowledge_base;
mod language;
mod proposals;
mod rule;
mod search;
mod small_models;
mod texts;

pub use critic::{Candidate, Critic, Dynamics, Judgement, Reason};
pub use knowledge_base::{KnowledgeBase, KnowledgeBaseError, Relation};
pub use language::{Code, RuleError, parse, parse_open};
pub use proposals::{lenient, strict};
pub use rule::{Atom, Kind, Order, Polarity, Rule, Step, Variable};
pub use search::{Call, Fate, Need, Node, Search, SearchConfig, Side};
pub use small_models::{Gap, MISTAKES_SAMPLES, Mistakes, Phrasing, Role, Sampling, likelihood, read_statement, yes};
pub use texts::{Filling, Lesson, Lines, NO, PAD, STOP, Texts, Words, YES, fillings};
