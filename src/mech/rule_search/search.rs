//! The loop: a beam of partial statements that grows variable by variable, once toward the probable and once toward the
//! improbable.

use std::collections::BTreeSet;
use std::mem::take;

use super::critic::{Candidate, Critic, Dynamics, Reason};
use super::rule::{Kind, Order, Rule, Step};

#[derive(Clone, Debug, PartialEq)]
pub struct SearchConfig {
    /// Values asked for in one call; twice as many for the first variable.
    pub values: usize,
    /// Calls for each partial statement.
    pub calls: usize,
    /// Partial statements kept at each variable.
    pub beam: usize,
    /// The share of them that the reranker keeps.
    pub keep: f64,
    /// Whether values are ordered by likelihood; if not, the first are kept.
    pub rerank: bool,
    /// What the likelihood of a head value loses for words that it shares with earlier values, times their mean ROUGE-L.
    pub repetition: f64,
    pub critic: Critic,
}

impl Default for SearchConfig {
    /// As the lab runs it; the paper asks four times for 50 values and keeps 200.
    fn default() -> Self {
        Self { values: 12, calls: 4, beam: 24, keep: 0.75, rerank: true, repetition: 0.0, critic: Critic::default() }
    }
}

/// Which statements are sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The probable ones.
    Head,
    /// The improbable ones: the long tail.
    Tail,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was proposed and not yet judged, or accepted and not yet ranked.
    Waiting,
    Struck(Reason),
    /// Accepted, and left out by the reranker.
    Cut,
    Alive,
}

/// A value of a variable, behind those of the variables before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub parent: Option<usize>,
    /// Which variable's turn it was, counted from 0.
    pub turn: usize,
    pub value: String,
    /// Which list it is for; the values of the first variable are for both.
    pub side: Option<Side>,
    /// The call that proposed it, counted from 0.
    pub call: usize,
    pub fate: Fate,
    /// The critic's answers on the way here.
    pub confidence: Candidate,
    /// What was compared with the thresholds: the datatype's, and that of facts.
    pub counted: [f64; 2],
    pub thresholds: [f64; 2],
    /// Mean log-likelihood of a token in the partial statement, in nats, less what repetition costs.
    pub score: Option<f64>,
}

/// What the search waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Need {
    /// Values, for each of these calls: [`Search::propose`].
    Values(Vec<Call>),
    /// What the critic thinks of these nodes: [`Search::verify`].
    Verdicts(Vec<usize>),
    /// The likelihood of these nodes' partial statements: [`Search::rank`].
    Scores(Vec<usize>),
    Nothing,
}

/// A request for values.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The node that the values follow; none for the first variable.
    pub node: Option<usize>,
    pub side: Option<Side>,
    /// How many times this was asked before.
    pub call: usize,
    pub values: usize,
    /// Values that are known here already: accepted ones and others.
    pub known: Vec<String>,
}

/// A partial statement whose next variable is being filled.
#[derive(Clone, Debug)]
struct Context {
    node: Option<usize>,
    side: Option<Side>,
    calls: usize,
    /// Calls in a row of which nothing was accepted.
    empty: usize,
    ended: bool,
    /// Where the threshold of facts stands.
    threshold: f64,
    /// It rose after values were accepted.
    rose: bool,
    known: BTreeSet<String>,
    accepted: Vec<usize>,
    /// The first answer for a factual variable.
    answer: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    Proposing,
    /// Nodes, and the context of each.
    Verifying(Vec<(usize, usize)>),
    Ranking,
    Done,
}

/// A search under way. It asks nobody: [`needs`](Self::needs) says what it waits for.
#[derive(Clone, Debug)]
pub struct Search {
    rule: Rule,
    steps: Vec<Step>,
    config: SearchConfig,
    nodes: Vec<Node>,
    contexts: Vec<Context>,
    turn: usize,
    stage: Stage,
    beams: [Vec<usize>; 2],
}

impl Search {
    pub fn new(rule: Rule, order: Order, config: SearchConfig) -> Self {
        let steps = rule.steps(order);
        let mut search = Self {
            rule,
            steps,
            config,
            nodes: vec![],
            contexts: vec![],
            turn: 0,
            stage: Stage::Proposing,
            beams: [vec![], vec![]],
        };
        search.contexts = vec![search.context(None, None)];
        search
    }

    fn context(&self, node: Option<usize>, side: Option<Side>) -> Context {
        Context {
            node,
            side,
            calls: 0,
            empty: 0,
            ended: false,
            threshold: self.config.critic.start(),
            rose: false,
            known: BTreeSet::new(),
            accepted: vec![],
            answer: None,
        }
    }

    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The turns of the variables, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Everything that was proposed, a parent before its children.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Which variable is being filled, counted from 0; their number, when all are.
    pub fn turn(&self) -> usize {
        self.turn
    }

    /// What was kept at the last variable that is done, best first.
    pub fn beam(&self, side: Side) -> &[usize] {
        &self.beams[side as usize]
    }

    /// Whether the variable of this turn has one right value, of which no critic is asked.
    fn is_factual(&self) -> bool {
        self.rule.variables[self.steps[self.turn].variable].kind == Kind::Factual
    }

    pub fn needs(&self) -> Need {
        match &self.stage {
            Stage::Proposing => {
                let values = if self.is_factual() { 1 } else { self.config.values * (1 + usize::from(self.turn == 0)) };
                let call = |context: &Context| Call {
                    node: context.node,
                    side: context.side,
                    call: context.calls,
                    values,
                    known: context.known.iter().cloned().collect(),
                };
                Need::Values(self.open().map(|index| call(&self.contexts[index])).collect())
            }
            Stage::Verifying(pending) => Need::Verdicts(pending.iter().map(|(node, _)| *node).collect()),
            Stage::Ranking => Need::Scores(self.accepted()),
            Stage::Done => Need::Nothing,
        }
    }

    fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.contexts.len()).filter(|&index| !self.contexts[index].ended)
    }

    fn accepted(&self) -> Vec<usize> {
        self.contexts.iter().flat_map(|context| context.accepted.iter().copied()).collect()
    }

    /// Takes the values that each of the calls brought; gives for each new node which of the calls it came from.
    ///
    /// # Panics
    ///
    /// When the search does not wait for values, or for another number of calls.
    pub fn propose(&mut self, replies: Vec<Vec<String>>) -> Vec<usize> {
        assert_eq!(self.stage, Stage::Proposing, "no values are needed");
        let open: Vec<usize> = self.open().collect();
        assert_eq!(replies.len(), open.len(), "replies to other calls");
        let factual = self.is_factual();
        let (mut pending, mut origins) = (vec![], vec![]);
        for (call, (index, reply)) in open.into_iter().zip(replies).enumerate() {
            let before = self.nodes.len();
            if factual {
                self.answer(index, reply);
                origins.resize(origins.len() + self.nodes.len() - before, call);
                continue;
            }
            let mut fresh = vec![];
            for value in reply {
                if self.contexts[index].known.insert(value.clone()) {
                    fresh.push((self.add(index, value), index));
                }
            }
            let context = &mut self.contexts[index];
            context.calls += 1;
            if fresh.is_empty() {
                context.empty += 1;
                // The paper's code has asked ten times by then.
                context.ended = self.config.critic.dynamics == Dynamics::Code || context.is_over(&self.config);
            }
            origins.resize(origins.len() + fresh.len(), call);
            pending.extend(fresh);
        }
        if pending.is_empty() {
            self.go_on();
        } else {
            self.stage = Stage::Verifying(pending);
        }
        origins
    }

    /// A factual variable's value stays if two answers agree.
    fn answer(&mut self, index: usize, reply: Vec<String>) {
        let Some(value) = reply.into_iter().next() else {
            self.contexts[index].ended = true;
            return;
        };
        let context = &mut self.contexts[index];
        context.calls += 1;
        match context.answer.take() {
            None => context.answer = Some(value),
            Some(first) => {
                context.ended = true;
                let agree = first == value;
                let node = self.add(index, value);
                if agree {
                    self.contexts[index].accepted.push(node);
                } else {
                    self.nodes[node].fate = Fate::Struck(Reason::Fact);
                }
            }
        }
    }

    fn add(&mut self, index: usize, value: String) -> usize {
        let context = &self.contexts[index];
        let confidence = context.node.map_or_else(Candidate::default, |parent| self.nodes[parent].confidence.clone());
        self.nodes.push(Node {
            parent: context.node,
            turn: self.turn,
            value,
            side: context.side,
            call: context.calls,
            fate: Fate::Waiting,
            confidence: Candidate { has_fact: false, ..confidence },
            counted: [1.0; 2],
            thresholds: [self.config.critic.threshold; 2],
            score: None,
        });
        self.nodes.len() - 1
    }

    /// P(yes) for each waiting node: of its datatype, and of its fact, if it makes one that can be checked.
    ///
    /// # Panics
    ///
    /// When the search does not wait for verdicts, or for another number of them.
    pub fn verify(&mut self, answers: &[(f64, Option<f64>)]) {
        let Stage::Verifying(pending) = std::mem::replace(&mut self.stage, Stage::Proposing) else {
            panic!("no verdicts are needed");
        };
        assert_eq!(answers.len(), pending.len(), "answers about other nodes");
        for (&(node, _), (datatype, factual)) in pending.iter().zip(answers) {
            let confidence = &mut self.nodes[node].confidence;
            confidence.datatype.push(*datatype);
            confidence.factual.extend(factual);
            confidence.has_fact = factual.is_some();
        }
        let mut rest = &pending[..];
        while let Some(&(_, index)) = rest.first() {
            let (mine, others) = rest.split_at(rest.partition_point(|(_, context)| *context <= index));
            let nodes: Vec<usize> = mine.iter().map(|(node, _)| *node).collect();
            self.judge(index, &nodes);
            rest = others;
        }
        self.go_on();
    }

    fn judge(&mut self, index: usize, nodes: &[usize]) {
        let candidates: Vec<Candidate> = nodes.iter().map(|&node| self.nodes[node].confidence.clone()).collect();
        let context = &mut self.contexts[index];
        let judged = self.config.critic.judge(&candidates, context.threshold);
        context.rose |= judged.rose && context.calls > 1;
        context.threshold = judged.factual_threshold;
        let accepted = judged.verdicts.iter().filter(|verdict| verdict.is_none()).count();
        let empty = match self.config.critic.dynamics {
            Dynamics::Paper => accepted == 0,
            // Either check alone, so that a first variable, which makes no fact, ends after two calls.
            Dynamics::Code => judged.passed != [true; 2],
        };
        context.empty = if empty { context.empty + 1 } else { 0 };
        context.ended = context.is_over(&self.config);
        for (at, &node) in nodes.iter().enumerate() {
            let verdict = judged.verdicts[at];
            if verdict.is_none() {
                context.accepted.push(node);
            }
            let node = &mut self.nodes[node];
            node.counted = [judged.datatype[at], judged.factual[at]];
            node.thresholds = [judged.datatype_threshold, judged.factual_threshold];
            node.fate = verdict.map_or(Fate::Waiting, Fate::Struck);
        }
    }

    /// Asks again, or ranks what there is.
    fn go_on(&mut self) {
        if self.open().next().is_some() {
            self.stage = Stage::Proposing;
            return;
        }
        if self.config.critic.dynamics == Dynamics::Code {
            self.check_again();
        }
        self.stage = Stage::Ranking;
        if self.accepted().is_empty() {
            self.rank(&[]);
        }
    }

    /// Values accepted before the threshold of facts rose must reach it too (the paper's code).
    fn check_again(&mut self) {
        for context in self.contexts.iter_mut().filter(|context| context.rose) {
            let nodes = &mut self.nodes;
            context.accepted.retain(|&node| {
                let node = &mut nodes[node];
                node.thresholds[1] = context.threshold;
                let passes = node.counted[1] >= context.threshold - 1e-9;
                if !passes {
                    node.fate = Fate::Struck(Reason::Fact);
                }
                passes
            });
        }
    }

    /// The mean log-likelihood of a token in each accepted node's partial statement, in nats.
    ///
    /// # Panics
    ///
    /// When the search does not wait for scores, or for another number of them.
    pub fn rank(&mut self, scores: &[f64]) {
        assert_eq!(self.stage, Stage::Ranking, "no scores are needed");
        let accepted = self.accepted();
        assert_eq!(scores.len(), accepted.len(), "scores of other nodes");
        for (&node, &score) in accepted.iter().zip(scores) {
            let repeats = self.config.repetition != 0.0 && self.nodes[node].side != Some(Side::Tail);
            let cost = if repeats { self.config.repetition * self.repetition(node) } else { 0.0 };
            self.nodes[node].score = Some(score - cost);
        }
        for side in [Side::Head, Side::Tail] {
            let is_mine = |node: &usize| self.nodes[*node].side.is_none_or(|mine| mine == side);
            let mut order: Vec<usize> = accepted.iter().copied().filter(is_mine).collect();
            if self.config.rerank {
                let score = |node: usize| self.nodes[node].score.unwrap_or_default();
                // The first variable's values are one list, which is not cut.
                match side {
                    Side::Tail if self.turn > 0 => order.sort_by(|&a, &b| score(a).total_cmp(&score(b))),
                    _ => order.sort_by(|&a, &b| score(b).total_cmp(&score(a))),
                }
            }
            if self.turn > 0 {
                let kept = (self.config.keep * order.len() as f64).ceil() as usize;
                for cut in order.split_off(kept.min(self.config.beam).min(order.len())) {
                    self.nodes[cut].fate = Fate::Cut;
                }
            }
            order.iter().for_each(|&node| self.nodes[node].fate = Fate::Alive);
            self.beams[side as usize] = order;
        }
        self.turn += 1;
        self.contexts = vec![];
        if self.turn < self.steps.len() {
            for side in [Side::Head, Side::Tail] {
                let beam = take(&mut self.beams[side as usize]);
                let contexts: Vec<Context> = beam.iter().map(|&node| self.context(Some(node), Some(side))).collect();
                self.contexts.extend(contexts);
                self.beams[side as usize] = beam;
            }
        }
        self.stage = if self.contexts.is_empty() { Stage::Done } else { Stage::Proposing };
        if self.stage == Stage::Done {
            self.turn = self.steps.len();
        }
    }

    /// The mean ROUGE-L between the node's value and those before it.
    fn repetition(&self, node: usize) -> f64 {
        let generic = self.rule.generic_value();
        let mut earlier = vec![generic.as_str()];
        let mut at = self.nodes[node].parent;
        while let Some(parent) = at {
            earlier.push(&self.nodes[parent].value);
            at = self.nodes[parent].parent;
        }
        let value = &self.nodes[node].value;
        earlier.iter().map(|other| rouge_l(value, other)).sum::<f64>() / earlier.len() as f64
    }

    /// The values on the way to a node, its own among them.
    ///
    /// # Shapes
    ///
    /// - output `[variables]`
    pub fn values(&self, node: Option<usize>) -> Vec<Option<String>> {
        let mut values = vec![None; self.rule.variables.len()];
        values[self.rule.generic()] = Some(self.rule.generic_value());
        let mut at = node;
        while let Some(index) = at {
            let node = &self.nodes[index];
            values[self.steps[node.turn].variable] = Some(node.value.clone());
            at = node.parent;
        }
        values
    }

    /// The fact that a node makes, an atom of the rule, if it makes one that can be checked.
    pub fn fact(&self, node: usize) -> Option<usize> {
        let prompt = &self.steps[self.nodes[node].turn].prompt;
        prompt.iter().copied().find(|&atom| !self.rule.is_hypothetical(atom))
    }

    /// What is scored when a node is ranked.
    pub fn partial_statement(&self, node: usize) -> String {
        let values = self.values(Some(node));
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        self.rule.say_all(&self.steps[self.nodes[node].turn].ranking, &values)
    }
}

impl Context {
    fn is_over(&self, config: &SearchConfig) -> bool {
        self.calls >= config.calls || self.empty >= 2
    }
}

/// The longest common subsequence of two texts' words, as an F-measure.
fn rouge_l(one: &str, other: &str) -> f64 {
    let words = |text: &str| text.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (one, other) = (words(one), words(other));
    let mut row = vec![0; other.len() + 1];
    for word in &one {
        let mut diagonal = 0;
        for (at, against) in other.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if word == against { diagonal + 1 } else { above.max(row[at]) };
            diagonal = above;
        }
    }
    let common = f64::from(row[other.len()]);
    if common == 0.0 { 0.0 } else { 2.0 * common / (one.len() + other.len()) as f64 }
}
