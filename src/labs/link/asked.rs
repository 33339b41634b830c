//! What a search needs, answered by the small models of a world.

use super::models::{self, Recipe, read};
use crate::choices;
use crate::lab::{Host, LabError};
use crate::mech::rule_search::{Call, Phrasing, Role, Sampling, Search, Texts, likelihood};
use crate::mech::word_transformer::TextTree;
use crate::seed::Stream;

/// A name is not longer than this, in words.
const LONGEST_NAME: usize = 8;

choices! {
    pub enum CriticChoice {
        Taught = "taught", "learned, and taught on proposals";
        Learned = "learned", "learned";
        Head = "head", "learned from the head alone";
        World = "world", "the world itself (oracle)";
        None = "none", "none";
    }
}

impl CriticChoice {
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Taught => Some(Role::TaughtCritic),
            Self::Learned => Some(Role::Critic),
            Self::Head => Some(Role::HeadCritic),
            Self::World | Self::None => None,
        }
    }
}

/// Who judges, and how well where it is the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    pub critic: CriticChoice,
    /// How often the world is right.
    pub accuracy: f64,
    pub seed: u64,
}

impl Judge {
    /// What the world says of a sentence, or whoever believes everything. The world errs about the same sentences each time.
    fn says(&self, sentence: &str, truth: bool) -> f64 {
        let errs = Stream::new(self.seed, &format!("critic: {sentence}")).unit() >= self.accuracy;
        if self.critic == CriticChoice::None || truth != errs { 1.0 } else { 0.0 }
    }
}

/// What a call was answered.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub prompt: String,
    pub values: Vec<String>,
}

/// The models of a world, each read when it is first asked.
pub struct Asked {
    pub texts: Texts,
    pub phrasing: Phrasing,
    /// What made the models; nothing, for those that are shipped.
    recipe: Option<Recipe>,
    trees: Vec<(Role, TextTree)>,
}

impl Asked {
    pub fn new(texts: Texts, phrasing: Phrasing, recipe: Option<Recipe>) -> Self {
        Self { texts, phrasing, recipe, trees: vec![] }
    }

    /// Opens the model with this part, if it is not open; gives its place.
    ///
    /// # Errors
    ///
    /// When its file cannot be read, or the reader has trained none.
    pub async fn open(&mut self, role: Role, host: &Host) -> Result<usize, LabError> {
        if let Some(at) = self.trees.iter().position(|(mine, _)| *mine == role) {
            return Ok(at);
        }
        let words = self.texts.words.count();
        let tree = match &self.recipe {
            None => models::shipped(role, words, host).await?,
            Some(recipe) => models::kept(role, recipe, words, host).await?,
        };
        self.trees.push((role, tree));
        Ok(self.trees.len() - 1)
    }

    /// Values for each call.
    ///
    /// # Errors
    ///
    /// When the proposer cannot be read.
    pub async fn propose(
        &mut self,
        search: &Search,
        calls: &[Call],
        temperature: f64,
        stream: &mut Stream,
        host: &Host,
    ) -> Result<Vec<Reply>, LabError> {
        let prompt = |call: &Call| (self.phrasing.prompt(search, call.node, &self.texts.base), call.values);
        let prompts: Vec<(String, usize)> = calls.iter().map(prompt).collect();
        let drawn = self.sample(prompts.clone(), temperature, LONGEST_NAME, stream, host).await?;
        Ok(prompts.into_iter().zip(drawn).map(|((prompt, _), values)| Reply { prompt, values }).collect())
    }

    /// So many texts behind each prompt.
    ///
    /// # Errors
    ///
    /// When the proposer cannot be read.
    pub async fn sample(
        &mut self,
        prompts: Vec<(String, usize)>,
        temperature: f64,
        longest: usize,
        stream: &mut Stream,
        host: &Host,
    ) -> Result<Vec<Vec<String>>, LabError> {
        let at = self.open(Role::Proposer, host).await?;
        let (texts, tree) = (&self.texts, &mut self.trees[at].1);
        let mut sampling = Sampling::new(prompts, texts, tree, temperature, longest);
        models::draw(&mut sampling, tree, stream, host).await;
        Ok(sampling.texts(texts))
    }

    /// P(yes) for each sentence, as one of the critics has it.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn believe(&mut self, role: Role, sentences: &[String], host: &Host) -> Result<Vec<f64>, LabError> {
        let questions = models::questions(&self.texts, sentences);
        let at = self.open(role, host).await?;
        Ok(models::believe(&mut self.trees[at].1, &questions, host).await)
    }

    /// The mean log-likelihood of a token of each text, in nats.
    ///
    /// # Errors
    ///
    /// When the model cannot be read.
    pub async fn score(&mut self, role: Role, said: &[String], host: &Host) -> Result<Vec<f64>, LabError> {
        let numbers: Vec<Option<Vec<usize>>> = said.iter().map(|said| self.texts.words.numbers(said)).collect();
        let at = self.open(role, host).await?;
        let tree = &mut self.trees[at].1;
        // Names that were made up of many words can be longer than the model reads.
        let room = tree.context();
        let node = |numbers: &Option<Vec<usize>>| {
            numbers.as_ref().map(|numbers| tree.text(None, &numbers[..numbers.len().min(room)]))
        };
        let nodes: Vec<Option<usize>> = numbers.iter().map(node).collect();
        read(tree, host).await;
        Ok(nodes.into_iter().map(|node| node.map_or(f64::NAN, |node| likelihood(tree, node))).collect())
    }

    /// Forgets what was read, so that a run that begins again reads the same in the same order.
    pub fn clear(&mut self) {
        self.trees.iter_mut().for_each(|(_, tree)| tree.clear());
    }

    /// P(yes) for the type and the fact of each node: asked of a critic, of the world, or of nobody.
    ///
    /// # Errors
    ///
    /// When the critic cannot be read.
    pub async fn verify(
        &mut self,
        search: &Search,
        nodes: &[usize],
        judge: &Judge,
        host: &Host,
    ) -> Result<Vec<(f64, Option<f64>)>, LabError> {
        let Some(role) = judge.critic.role() else {
            let answer = |&node: &usize| {
                let truth = Truth::of(search, node, &self.texts);
                let fact = fact_sentence(search, node).zip(truth.fact);
                let datatype = judge.says(&type_sentence(search, node), truth.is_type);
                (datatype, fact.map(|(sentence, truth)| judge.says(&sentence, truth)))
            };
            return Ok(nodes.iter().map(answer).collect());
        };
        let types: Vec<String> = nodes.iter().map(|&node| type_sentence(search, node)).collect();
        let facts: Vec<Option<String>> = nodes.iter().map(|&node| fact_sentence(search, node)).collect();
        let types = self.believe(role, &types, host).await?;
        let said: Vec<String> = facts.iter().flatten().cloned().collect();
        let mut answers = self.believe(role, &said, host).await?.into_iter();
        Ok(types.into_iter().zip(facts).map(|(datatype, fact)| (datatype, fact.and_then(|_| answers.next()))).collect())
    }
}

/// What a critic is asked of a node's value.
pub fn type_sentence(search: &Search, node: usize) -> String {
    let value = &search.nodes()[node];
    let variable = search.steps()[value.turn].variable;
    Texts::type_sentence(&value.value, &search.rule().variables[variable].datatype)
}

/// What a critic is asked of the fact that a node makes, if it makes one that can be checked.
pub fn fact_sentence(search: &Search, node: usize) -> Option<String> {
    let values = search.values(Some(node));
    let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
    Some(search.rule().say(search.fact(node)?, &values))
}

/// What the world says of a node's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    pub is_type: bool,
    pub fact: Option<bool>,
}

impl Truth {
    pub fn of(search: &Search, node: usize, texts: &Texts) -> Self {
        let value = &search.nodes()[node];
        let rule = search.rule();
        let variable = search.steps()[value.turn].variable;
        let is_type = texts.base.is_a(&value.value, &rule.variables[variable].datatype);
        let values = search.values(Some(node));
        let fact = search.fact(node).map(|atom| {
            let atom = rule.atom(atom);
            let [first, second] = atom.arguments.map(|argument| values[argument].as_deref().unwrap_or_default());
            texts.base.is_true(&atom.predicate, first, second)
        });
        Self { is_type, fact }
    }

    pub fn holds(self) -> bool {
        self.is_type && self.fact.unwrap_or(true)
    }
}
