//! The search, step by step: values proposed, struck out, ranked; and what it found beside what asking at one go gives.

use super::asked::{Asked, CriticChoice, Judge, Reply, Truth, fact_sentence, type_sentence};
use super::figures::{capitalized, lists, recalls, rounded, signed, text, told, variable};
use super::menu::{MenuRule, WORDS};
use super::models::{MOST_BYTES, ModelsChoice, POPULARITY, Recipe, TRAINING, address, world};
use super::outcome::{CLASSIFIERS, DIRECT_WAYS, Lists, Outcome, Statement, way};
use super::{PAGE, PAPER, claims};
use crate::chart::{Axis, Chart, Ink, Mark};
use crate::lab::params::FileName;
use crate::lab::{
    BatchSpec, Body, Card, Cell, Frame, Host, Lab, LabError, Node as TreeNode, Offer, Panel, ParamSet, Preset, Readout,
    Row, State, Status, Table, Tree, Values,
};
use crate::labs::house_figures::things;
use crate::mech::rule_search::{
    Critic, Dynamics, Fate, KnowledgeBase, Need, Order, Phrasing, Reason, Role, Rule, Search, SearchConfig, Side, Step,
    Texts, Words, parse,
};
use crate::seed::Stream;
use crate::{choices, params};

/// Nodes of a search: enough for the widest beam at every variable.
const MOST_NODES: usize = 100_000;
/// Values that are drawn: of those that were struck out, the first.
const MOST_DRAWN: usize = 6000;
/// What is told of a statement; the last ones in saved files alone.
const STATEMENT_HEAD: [&str; 11] = [
    "list",
    "statement",
    "by",
    "world",
    "types, P(yes)",
    "facts, P(yes)",
    "nats a token, by the evaluator",
    "values",
    "critic",
    "rule",
    "asked with",
];
const STATEMENT_ASIDE: usize = 4;
/// Bins of a histogram.
const BINS: usize = 16;

choices! {
    pub enum Thresholds {
        Lab = "lab", "the paper's, and no late mistake (ours)";
        Paper = "paper", "the paper's";
        Code = "code", "those of the paper's code";
    }
}

choices! {
    pub enum OrderChoice {
        Usual = "usual", "as the paper";
        Premise = "premise", "premise first";
        Conclusion = "conclusion", "conclusion first";
    }
}

impl Thresholds {
    pub fn critic(self, threshold: f64, floor: f64) -> Critic {
        let dynamics = if self == Self::Code { Dynamics::Code } else { Dynamics::Paper };
        let least = if self == Self::Lab { 0.5 } else { 0.0 };
        Critic { threshold, floor: floor.min(threshold), dynamics, least, ..Critic::default() }
    }
}

impl OrderChoice {
    pub fn of(self, rule: &Rule) -> Order {
        match self {
            Self::Usual => rule.usual_order(),
            Self::Premise => Order::PremiseFirst,
            Self::Conclusion => Order::ConclusionFirst,
        }
    }
}

params! {
    pub struct SearchParams {
        /// The rule whose variables are filled.
        rule: MenuRule = choice("Rule", MenuRule::Eat.value(), MenuRule::OPTIONS),
        /// Rules of your own, in the language that the text describes. They take the place of the one above.
        own: String = text("Your rules", "", 20_000).words(WORDS),
        /// Which of your rules is searched; “Search all rules” searches them all.
        number: usize = int("Number of your rule", 1, 1..=200).more(),
        /// Who says whether a value is right.
        critic: CriticChoice = choice("Critic", CriticChoice::Taught.value(), CriticChoice::OPTIONS),
        /// How often the world is right as a critic; what it errs about stays the same for a seed.
        accuracy: f64 = real("Accuracy of the world", 1.0, 0.5..=1.0).more(),
        /// Whether values are ordered by likelihood: the likely ones into the head, the others into the tail. Without it both lists keep the first that pass.
        rerank: bool = toggle("Reranker", true),
        /// How evenly values are drawn when they are proposed.
        temperature: f64 = real("Temperature", 0.9, 0.1..=2.0).symbol("T"),
        /// Values asked for in one call; twice as many for the first variable.
        values: usize = int("Values a call", 12, 1..=24).symbol("n"),
        /// Calls for each partial statement.
        calls: usize = int("Calls", 4, 1..=8),
        /// Partial statements kept at each variable.
        beam: usize = int("Beam", 24, 4..=64),
        /// A value that was proposed; its number in the tree.
        node: Option<usize> = pick("Looked at", MOST_NODES).view(),
        /// Whether values that the critic struck out are drawn.
        struck: bool = toggle("Show what was struck out", true).view(),
        /// The share of a beam that the reranker keeps.
        keep: f64 = real("Kept by the reranker", 0.75, 0.1..=1.0).more(),
        /// How sure the critic must be.
        threshold: f64 = real("Threshold", 0.85, 0.5..=1.0).more(),
        /// Below this the threshold does not go while nothing passes.
        floor: f64 = real("Lowest threshold", 0.65, 0.0..=1.0).more(),
        /// How thresholds move.
        thresholds: Thresholds = choice("Thresholds", Thresholds::Lab.value(), Thresholds::OPTIONS).more(),
        /// What a head value loses for words that earlier values have, times their overlap (ROUGE-L); 3 in the paper.
        repetition: f64 = real("Cost of repeats", 0.0, 0.0..=5.0).more(),
        /// Which variable comes first.
        order: OrderChoice = choice("Order", OrderChoice::Usual.value(), OrderChoice::OPTIONS).more(),
        /// Changes of the world, one in a line, as in “+ ingredient_in: tofu, laksa”. The shipped models do not learn of them.
        facts: String = text("Changed facts", "", 2000).more(),
        /// A world of your own, as JSON; the text of “A world of your own” says how. It takes the place of the default one.
        file: FileName = file("World file", MOST_BYTES, ".json").more(),
        /// Which models propose, criticize and score: yours are those that were trained on this world from this seed.
        models: ModelsChoice = choice("Models", ModelsChoice::Shipped.value(), ModelsChoice::OPTIONS).more(),
        /// How long yours were trained, in percent of the steps of the shipped ones.
        training: usize = int("Training of yours, %", TRAINING, 1..=100).more(),
    }
}

impl SearchParams {
    fn config(&self) -> SearchConfig {
        let &Self { values, calls, beam, keep, rerank, repetition, threshold, floor, thresholds, .. } = self;
        let critic = thresholds.critic(threshold, floor);
        SearchConfig { values, calls, beam, keep, rerank, repetition, critic }
    }

    fn judge(&self) -> Judge {
        Judge { critic: self.critic, accuracy: self.accuracy, seed: self.seed }
    }

    /// The world as the reader has it.
    fn world(&self, host: &Host) -> Result<KnowledgeBase, LabError> {
        let [_, edited] = world(&self.facts, &self.file, host)?;
        let known = KnowledgeBase::default();
        let is_known = edited.types == known.types && Words::new(&edited) == Words::new(&known);
        if self.models == ModelsChoice::Shipped && !is_known {
            return Err(LabError::data(
                "This world has names or words that the shipped models do not know. Train models for it in “A world of your own” and choose them under “Models”, or take the new names out.",
            ));
        }
        Ok(edited)
    }

    /// What made the models, if the reader trained them.
    fn recipe(&self, base: &KnowledgeBase) -> Option<Recipe> {
        let recipe = Recipe { base: base.clone(), seed: self.seed, training: self.training };
        (self.models == ModelsChoice::Trained).then_some(recipe)
    }

    fn rule(&self, base: &KnowledgeBase) -> Result<Rule, LabError> {
        if self.own.trim().is_empty() {
            let sentence = |error| LabError::data(format!("The rule does not fit the changed world. {error}"));
            return self.rule.rule(base).map_err(sentence);
        }
        let mut rules = parse(&self.own, base).map_err(|error| LabError::data(format!("Your rules. {error}")))?;
        match rules.len() {
            0 => Err(LabError::data(
                "Your rules have no line with a rule. Write one, or empty the field for the rule of the menu.",
            )),
            count if self.number > count => {
                let rules = if count == 1 { "is one" } else { "are" };
                let few = if count == 1 { String::new() } else { format!(" {count}") };
                Err(LabError::data(format!(
                    "There {rules}{few} of your rules, and “Number of your rule” asks for the {}th. Take a smaller number.",
                    self.number
                )))
            }
            _ => Ok(rules.swap_remove(self.number - 1)),
        }
    }
}

pub struct LinkSearch {
    params: SearchParams,
    asked: Asked,
    /// Whether the models learned another world than this.
    is_edited: bool,
    search: Search,
    order: Order,
    /// Steps taken; a search is told again by taking as many.
    step: u64,
    /// For each node, which of the replies it came from.
    from: Vec<usize>,
    replies: Vec<Reply>,
    /// What the world says of each node.
    truths: Vec<Truth>,
    outcome: Option<Outcome>,
}

impl LinkSearch {
    fn begin(&mut self) {
        self.asked.clear();
        self.search = Search::new(self.search.rule().clone(), self.order, self.params.config());
        self.step = 0;
        (self.from, self.replies, self.truths, self.outcome) = (vec![], vec![], vec![], None);
    }

    async fn advance(&mut self, host: &Host) -> Result<(), LabError> {
        match self.search.needs() {
            Need::Values(calls) => {
                let mut stream = Stream::at(self.params.seed, "proposals", self.step);
                let temperature = self.params.temperature;
                let replies = self.asked.propose(&self.search, &calls, temperature, &mut stream, host).await?;
                let (first, known) = (self.replies.len(), self.from.len());
                let origins = self.search.propose(replies.iter().map(|reply| reply.values.clone()).collect());
                self.replies.extend(replies);
                self.from.extend(origins.into_iter().map(|call| first + call));
                let truths = (known..self.from.len()).map(|node| Truth::of(&self.search, node, &self.asked.texts));
                self.truths.extend(truths);
            }
            Need::Verdicts(nodes) => {
                let answers = self.asked.verify(&self.search, &nodes, &self.params.judge(), host).await?;
                self.search.verify(&answers);
            }
            Need::Scores(nodes) => {
                let said: Vec<String> =
                    nodes.iter().map(|&node| self.asked.phrasing.scored(&self.search, node)).collect();
                let scores = self.asked.score(Role::Proposer, &said, host).await?;
                self.search.rank(&scores);
            }
            Need::Nothing => {
                self.outcome = Some(Outcome::of(&self.search, &mut self.asked, self.params.seed, host).await?);
            }
        }
        self.step += 1;
        Ok(())
    }

    /// Models that learn of the reader's changes, where these do not.
    fn offers(&self) -> Vec<Offer> {
        let SearchParams { facts, file, seed, .. } = &self.params;
        let query = address("link-world", &format!("training=100&seed={seed}"), facts, file);
        let train = Offer { label: "Train models on this world".to_owned(), query };
        if self.is_edited { vec![train] } else { vec![] }
    }

    fn status(&self) -> Status {
        if self.outcome.is_some() { Status::Done } else { Status::Running }
    }

    fn rule(&self) -> &Rule {
        self.search.rule()
    }

    fn sentence(&self, values: &[Option<String>]) -> String {
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        capitalized(&self.rule().statement(&values))
    }
}

impl Lab for LinkSearch {
    const CARD: Card = Card {
        slug: "link",
        title: "The search",
        hook: "How do you find what is true and rare?",
        page: PAGE,
        papers: &[PAPER],
        chance: true,
        presets: &[
            Preset { label: "The search, with a learned critic", query: "" },
            Preset { label: "No critic", query: "critic=none" },
            Preset { label: "The world as critic", query: "critic=world" },
            Preset { label: "No reranker", query: "critic=world&rerank=false" },
            Preset { label: "A critic that knows the head", query: "critic=head" },
            Preset { label: "A rule that is new", query: "rule=film" },
        ],
        experiments: claims::SEARCH,
        batches: &[BatchSpec { id: "menu", label: "Search all rules", rows: menu_rows, draw: menu_panels }],
    };
    type Params = SearchParams;

    async fn start(params: &SearchParams, host: &Host) -> Result<Self, LabError> {
        let base = params.world(host)?;
        let recipe = params.recipe(&base);
        // What a reader has not trained is missed at once, and not after the search.
        let needed = if recipe.is_some() { Role::ALL.as_slice() } else { &[] };
        let is_edited = recipe.is_none() && base != KnowledgeBase::default();
        let texts = Texts::new(base, POPULARITY, 1.0);
        let rule = params.rule(&texts.base)?;
        let order = params.order.of(&rule);
        let phrasing = Phrasing::new(&rule, &texts);
        let mut asked = Asked::new(texts, phrasing, recipe);
        for &role in needed {
            asked.open(role, host).await?;
        }
        Ok(Self {
            params: params.clone(),
            asked,
            is_edited,
            search: Search::new(rule, order, params.config()),
            order,
            step: 0,
            from: vec![],
            replies: vec![],
            truths: vec![],
            outcome: None,
        })
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        if self.outcome.is_none() {
            self.advance(host).await?;
        }
        Ok(self.status())
    }

    async fn change(&mut self, params: &SearchParams, _host: &Host) -> Result<(), LabError> {
        self.params = params.clone();
        Ok(())
    }

    fn found(&self) -> Table {
        self.statements()
    }

    fn frame(&self, params: &SearchParams) -> Frame {
        let panels = vec![
            self.tree_panel(params),
            self.node_panel(params),
            self.reply_panel(params),
            self.likelihood_panel(),
            self.found_panel(),
            self.ways_panel(),
            self.critic_panel(),
            self.believed_panel(),
            self.known_panel(),
            self.statements_panel(),
            self.rule_panel(),
        ];
        Frame { step: self.step, of: None, panels, offers: self.offers() }
    }

    async fn save(&self) -> Result<State, LabError> {
        Ok(State::new(self.step))
    }

    async fn restore(&mut self, state: &State, host: &Host) -> Result<(), LabError> {
        self.begin();
        while self.step < state.step && self.outcome.is_none() {
            self.advance(host).await?;
        }
        Ok(())
    }
}

// What is seen.

impl LinkSearch {
    /// The two lists, as they are called and drawn.
    fn lists(&self) -> [(Side, &'static str, Ink); 2] {
        lists(self.params.rerank)
    }

    fn names(&self) -> [&'static str; 2] {
        self.lists().map(|(_, name, _)| name)
    }

    fn has_critic(&self) -> bool {
        self.params.critic != CriticChoice::None
    }

    /// What a value's own P(yes) must reach.
    fn least(&self) -> f64 {
        self.params.config().critic.least
    }

    /// How a node is drawn, and a few words on what became of it.
    fn told(&self, index: usize) -> (Ink, String) {
        let (ink, said) = told(&self.search.nodes()[index], self.least(), self.params.rerank);
        let errs = match self.errs(index) {
            false => "",
            true if self.has_critic() => " · critic errs",
            true => " · wrong",
        };
        (ink, format!("{said}{errs}"))
    }

    /// Whether a wrong value passed, or a right one was struck out.
    fn errs(&self, index: usize) -> bool {
        let right = self.truths[index].holds();
        match self.search.nodes()[index].fate {
            Fate::Waiting => false,
            Fate::Struck(_) => right,
            Fate::Cut | Fate::Alive => !right,
        }
    }

    fn tree_panel(&self, params: &SearchParams) -> Panel {
        let nodes = self.search.nodes();
        let mut tree = Tree { columns: vec![], nodes: vec![] };
        // Where each node stands in the tree, if it is drawn.
        let mut drawn: Vec<Option<usize>> = vec![None; nodes.len()];
        let mut left_out = 0;
        for (index, node) in nodes.iter().enumerate() {
            let struck = matches!(node.fate, Fate::Struck(_));
            if struck && params.node != Some(index) && (!params.struck || tree.nodes.len() >= MOST_DRAWN) {
                left_out += 1;
                continue;
            }
            drawn[index] = Some(tree.nodes.len());
            let (ink, note) = self.told(index);
            tree.nodes.push(TreeNode {
                parent: node.parent.and_then(|parent| drawn[parent]),
                value: index.to_string(),
                text: node.value.clone(),
                note,
                ink,
                chosen: params.node == Some(index),
            });
        }
        let variables: Vec<String> =
            self.search.steps().iter().map(|step| variable(self.rule(), step.variable)).collect();
        tree.columns.clone_from(&variables);
        let now = match self.search.needs() {
            Need::Values(calls) => {
                format!("Next: {} for values of **{}**.", things(calls.len(), "call"), variables[self.search.turn()])
            }
            Need::Verdicts(nodes) if self.has_critic() => {
                format!("Next: the critic is asked about {}.", things(nodes.len(), "value"))
            }
            Need::Verdicts(nodes) => {
                format!("Next: nobody is asked about {}; all pass.", things(nodes.len(), "value"))
            }
            Need::Scores(nodes) if self.params.rerank => {
                format!("Next: the ranking of {} by likelihood.", things(nodes.len(), "partial statement"))
            }
            Need::Scores(nodes) => {
                format!("Next: each list keeps the first of {}.", things(nodes.len(), "partial statement"))
            }
            Need::Nothing => {
                let [head, tail] = self.lists().map(|(list, ..)| self.search.beam(list).len());
                let [first, second] = self.names();
                format!(
                    "Done: {} in the {{baseline|{first}}}, **{tail}** in the {{method|{second}}}.",
                    things(head, "statement")
                )
            }
        };
        let mut summary = format!(
            "Each column is a variable, from left to right {}; a value hangs on the values before it. {now} Proposed so far: {}{}. The number behind one is the proposer’s log-likelihood, in nats a token. Press one to see how it came about.",
            variables.join(", "),
            things(nodes.len(), "value"),
            if left_out > 0 { format!(", **{left_out}** of them struck out and not drawn") } else { String::new() }
        );
        if !self.params.rerank {
            summary.push_str(
                " The reranker is off: each list keeps the first values that pass, and the two differ only in what was drawn.",
            );
        }
        if self.is_edited {
            summary.push_str(
                " The shipped models did not learn of your changes; those that you train in “A world of your own” do.",
            );
        }
        Panel::new("tree", "Partial statements", summary, 6, Body::Tree(tree)).edits("node")
    }

    /// The node that is looked at: the reader's, or the last of the tail, or the last that was proposed.
    fn looked_at(&self, params: &SearchParams) -> Option<usize> {
        let count = self.search.nodes().len();
        let tail = self.search.beam(Side::Tail).first().copied();
        params.node.filter(|&node| node < count).or(tail).or(count.checked_sub(1))
    }

    fn node_panel(&self, params: &SearchParams) -> Panel {
        let title = "One value";
        let Some(index) = self.looked_at(params) else {
            let table = Table::new(vec!["what".to_owned(), "answer".to_owned()], vec![]);
            return Panel::new("value", title, "No value is proposed yet. Take a step.", 3, Body::Table(table));
        };
        let node = &self.search.nodes()[index];
        let said = |text: String| Cell::Text(text);
        let mut rows = vec![];
        let mut row = |what: &str, answer: String| rows.push(vec![said(what.to_owned()), said(answer)]);
        let way: Vec<usize> = way(&self.search, index).collect();
        let values = way.iter().rev().map(|&node| self.search.nodes()[node].value.clone());
        row("values up to here", values.collect::<Vec<_>>().join(" → "));
        if self.has_critic() {
            let checks = [
                ("type", Some(type_sentence(&self.search, index)), node.confidence.datatype.len() > node.turn),
                ("fact", fact_sentence(&self.search, index), node.confidence.has_fact),
            ];
            let ways = [&node.confidence.datatype, &node.confidence.factual];
            for (check, ((of, sentence, is_asked), way)) in checks.into_iter().zip(ways).enumerate() {
                let Some(sentence) = sentence else {
                    row("asked of its fact", "nothing: it is about the generic one, and cannot be checked".to_owned());
                    continue;
                };
                row(&format!("asked of its {of}"), sentence);
                let Some(own) = way.last().filter(|_| is_asked) else {
                    row(&format!("P(yes) for the {of}"), "not asked so far".to_owned());
                    continue;
                };
                row(&format!("P(yes) for the {of} / least"), format!("{own:.3} / {:.2}", self.least()));
                row("mean so far / threshold", format!("{:.3} / {:.2}", node.counted[check], node.thresholds[check]));
            }
        } else {
            row("asked of it", "nothing: there is no critic, and every value passes".to_owned());
        }
        let truth = self.truths[index];
        let world = match (truth.is_type, truth.fact) {
            (false, _) => "not of its type",
            (true, Some(false)) => "of its type, and the fact is false",
            (true, Some(true)) => "of its type, and the fact is true",
            (true, None) => "of its type",
        };
        row("the world says", world.to_owned());
        row("scored text", self.asked.phrasing.scored(&self.search, index));
        row(
            "log-likelihood by the proposer, nats a token",
            node.score.map_or_else(|| "not scored".to_owned(), |score| signed(score, 3)),
        );
        row("what became of it", self.told(index).1);
        let chosen = if params.node.is_some_and(|node| node < self.search.nodes().len()) {
            "The value you pressed"
        } else {
            "A value"
        };
        let summary = format!("{chosen}: **{}**, and all that was asked and answered about it.", node.value);
        let head = vec!["what".to_owned(), "answer".to_owned()];
        Panel::new("value", title, summary, 3, Body::Table(Table::new(head, rows)))
    }

    /// The reply in which the value came, by how often each value was drawn.
    fn reply_panel(&self, params: &SearchParams) -> Panel {
        let title = "Its call";
        let head = ["value", "drawn", "became"].map(str::to_owned).to_vec();
        let Some(index) = self.looked_at(params) else {
            let body = Body::Table(Table::new(head, vec![]));
            return Panel::new("reply", title, "No value is proposed yet.", 3, body);
        };
        let reply = &self.replies[self.from[index]];
        let mut counts: Vec<(&String, usize)> = vec![];
        for value in &reply.values {
            match counts.iter_mut().find(|(known, _)| *known == value) {
                Some((_, count)) => *count += 1,
                None => counts.push((value, 1)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let came = |value: &String| {
            (0..self.from.len())
                .find(|&node| self.from[node] == self.from[index] && self.search.nodes()[node].value == *value)
        };
        let row = |(value, count): &(&String, usize)| {
            let became = came(value).map_or_else(|| "known from an earlier call".to_owned(), |node| self.told(node).1);
            vec![Cell::Text((*value).clone()), Cell::Number(*count as f64), Cell::Text(became)]
        };
        let summary = format!(
            "The proposer read “{}” and drew {}, **{}** of them different.",
            reply.prompt,
            things(reply.values.len(), "answer"),
            counts.len()
        );
        let rows = counts.iter().map(row).collect();
        Panel::new("reply", title, summary, 3, Body::Table(Table::new(head, rows)))
    }

    fn likelihood_panel(&self) -> Panel {
        let found = self.outcome.as_ref().map(|outcome| &outcome.found);
        let direct = self.outcome.as_ref().and_then(|outcome| outcome.direct.as_ref());
        let list = |lists: Option<&Lists>, list: usize| -> Vec<f64> {
            let statements = lists.map(|lists| lists.0[list].as_slice()).unwrap_or_default();
            statements.iter().map(|statement| statement.likelihood).filter(|number| number.is_finite()).collect()
        };
        let direct_all = || direct.map(|direct| [list(Some(&direct[0]), 0), list(Some(&direct[0]), 1)].concat());
        let [(_, head, head_ink), (_, tail, tail_ink)] = self.lists();
        let series = [
            ("asked at one go", Ink::Muted, direct_all().unwrap_or_default()),
            (head, head_ink, list(found, 0)),
            (tail, tail_ink, list(found, 1)),
        ];
        let all = || series.iter().flat_map(|(_, _, numbers)| numbers.iter().copied());
        // What was asked at one go may be far below all others: it falls into the lowest bin.
        let found_alone = || series[1..].iter().flat_map(|(_, _, numbers)| numbers.iter().copied());
        let (low, high) = (found_alone().fold(-0.5, f64::min), all().fold(-0.25, f64::max));
        let (low, high) = ((low * 4.0 - 1.0).floor() / 4.0, (high * 4.0).ceil() / 4.0);
        let width = (high - low) / BINS as f64;
        let shares = |numbers: &[f64]| -> Vec<f32> {
            let mut shares = vec![0.0; BINS];
            for number in numbers {
                let bin = ((number - low).max(0.0) / width) as usize;
                shares[bin.min(BINS - 1)] += 1.0 / numbers.len() as f32;
            }
            shares
        };
        let marks: Vec<Mark> = series
            .iter()
            .filter(|(_, _, numbers)| !numbers.is_empty())
            .map(|(name, ink, numbers)| {
                let shares = shares(numbers);
                // Steps, for bars of three lists would hide each other; from the first bin that is not empty to the last, for
                // a name at the end of its line is to stand beside its own list.
                let is_full = |bin: &usize| shares[*bin] > 0.0;
                let (first, last) = ((0..BINS).find(is_full).unwrap_or(0), (0..BINS).rfind(is_full).unwrap_or(0));
                let edge = |bin: usize| (low + bin as f64 * width) as f32;
                let corner = |bin: usize| [[edge(bin), shares[bin]], [edge(bin + 1), shares[bin]]];
                let steps = (first..=last).flat_map(corner);
                let points = std::iter::once([edge(first), 0.0]).chain(steps).chain([[edge(last + 1), 0.0]]);
                Mark::line(*name, *ink, points)
            })
            .collect();
        let most = marks.iter().flat_map(|mark| match mark {
            Mark::Line { points, .. } => points.iter().map(|point| f64::from(point[1])).collect::<Vec<_>>(),
            _ => vec![],
        });
        let y = Axis::from_zero("share of the list", most.fold(0.1, f64::max));
        let summary = match found {
            None => "When the search is over, the evaluator, a model that took no part in it, says how likely each statement is."
                .to_owned(),
            Some(found) => {
                let [all, right] = [false, true].map(|true_alone| found.said_delta([head, tail], true_alone));
                let right = match found.lacking([head, tail], false) {
                    Some(_) => String::new(),
                    None => format!("; among true statements alone it is {right}"),
                };
                format!(
                    "How likely each statement is to the evaluator, a model that took no part. δ, by which the {{baseline|{head}}} is likelier than the {{method|{tail}}}, is {all}{right}."
                )
            }
        };
        let chart = Chart::new(Axis::new("log-likelihood, nats a token", low..high), y, marks);
        let title = if self.params.rerank { "Head against tail" } else { "The two lists" };
        Panel::new("likelihood", title, summary, 3, Body::Chart(chart))
    }

    fn found_panel(&self) -> Panel {
        let mut readouts = vec![];
        if let Some(outcome) = &self.outcome {
            let found = &outcome.found;
            for (list, ((_, of, ink), key)) in self.lists().into_iter().zip(["head", "tail"]).enumerate() {
                let count = found.0[list].len() as f64;
                readouts.push(Readout::new(format!("{key}_correct"), of, ink, "true", "", found.correct(list)));
                readouts.push(Readout::new(format!("{key}_count"), of, ink, "statements", "", count));
            }
            let (all, right) = (found.delta(false), found.delta(true));
            readouts.push(Readout::new("delta", "both", Ink::Data, "δ", "nats", all.mean));
            readouts.push(Readout::new("delta_true", "both", Ink::Data, "δ, true", "nats", right.mean));
        }
        readouts.retain(|readout| readout.value.is_finite());
        let summary = match &self.outcome {
            None => "What the search found is counted when it is over.".to_owned(),
            Some(outcome) => {
                let [head, tail] = [0, 1].map(|list| match outcome.found.correct(list) {
                    share if share.is_finite() => format!("**{:.0} %**", 100.0 * share),
                    _ => "none, for it is empty".to_owned(),
                });
                let [first, second] = self.names();
                format!(
                    "True statements in the {{baseline|{first}}}: {head}; in the {{method|{second}}}: {tail}. A statement is true, if each of its types and facts is. False statements are improbable too, so look at δ of the true ones."
                )
            }
        };
        Panel::new("found", "What it found", summary, 3, Body::Readouts(readouts))
    }

    fn ways_panel(&self) -> Panel {
        let mut readouts = vec![];
        let direct = self.outcome.as_ref().and_then(|outcome| outcome.direct.as_ref());
        for (lists, (key, name)) in direct.into_iter().flatten().zip(DIRECT_WAYS) {
            let mut put = |what: &str, said: &str, value: f64| {
                readouts.push(Readout::new(format!("{key}_{what}"), name, Ink::Muted, said, "", value));
            };
            put("head", "head true", lists.correct(0));
            put("tail", "tail true", lists.correct(1));
            put("delta", "δ", lists.delta(false).mean);
            put("delta_true", "δ, true", lists.delta(true).mean);
        }
        readouts.retain(|readout| readout.value.is_finite());
        let summary = match (&self.outcome, direct) {
            (None, _) => "When the search is over, the proposer is asked for whole statements at one go.",
            (_, None) => {
                "The proposer does not know the sentences of this rule, so it cannot be asked for whole statements at one go."
            }
            (_, Some(_)) => {
                "The proposer asked for whole statements at one go: as it is, first half against second; at temperature 0.7 against 1.3, “ask for rarer”; and as it is, but split by its own likelihood afterwards. δ is in nats a token; “δ, true” is that of true statements alone."
            }
        };
        Panel::new("direct", "Asked at one go", summary, 6, Body::Readouts(readouts))
    }

    /// What the critic and the world say of all that was judged.
    fn critic_panel(&self) -> Panel {
        let mut counts = [[0_usize; 2]; 2];
        let (mut struck, mut cut) = ([0_usize; 2], 0);
        for (index, node) in self.search.nodes().iter().enumerate() {
            let passed = match node.fate {
                Fate::Waiting => continue,
                Fate::Struck(reason) => {
                    struck[usize::from(reason == Reason::Fact)] += 1;
                    false
                }
                Fate::Cut => {
                    cut += 1;
                    true
                }
                Fate::Alive => true,
            };
            counts[usize::from(!passed)][usize::from(!self.truths[index].holds())] += 1;
        }
        let mut readouts = vec![];
        let judged: &[(&str, &str)] = match self.has_critic() {
            true => &[("passed", "let pass"), ("struck", "struck out")],
            false => &[("passed", "not judged")],
        };
        for (&(key, of), counts) in judged.iter().zip(counts) {
            for (name, count) in ["right", "wrong"].into_iter().zip(counts) {
                readouts.push(Readout::new(format!("{key}_{name}"), of, Ink::Data, name, "", count as f64));
            }
        }
        let rest = match self.params.rerank {
            true => format!("cut by the reranker: **{cut}**"),
            false => format!("left out by the beam, which keeps the first: **{cut}**"),
        };
        let summary = match self.has_critic() {
            true => format!(
                "Rows are what the critic said, columns what the world says. It let {} pass and struck out {}. Struck out for their type: **{}**; for their fact: **{}**; {rest}.",
                things(counts[0][1], "wrong value"),
                things(counts[1][0], "right one"),
                struck[0],
                struck[1]
            ),
            false => format!(
                "There is no critic: nobody was asked, and every value passed, {} among them. Columns are what the world says. Of all that passed, {rest}.",
                things(counts[0][1], "wrong one")
            ),
        };
        Panel::new("critic", "Critic and world", summary, 3, Body::Readouts(readouts))
    }

    fn believed_panel(&self) -> Panel {
        let names @ [first, second] = self.names();
        let mut readouts = vec![];
        for (role, [head, tail]) in self.outcome.iter().flat_map(|outcome| &outcome.believed) {
            let named = CLASSIFIERS.iter().find(|(mine, ..)| mine == role);
            let Some((_, key, name)) = named else { continue };
            let ink = if *key == "head" { Ink::Baseline2 } else { Ink::Muted };
            readouts.push(Readout::new(format!("believed_head_{key}"), name, ink, first, "", *head));
            readouts.push(Readout::new(format!("believed_tail_{key}"), name, ink, second, "", *tail));
            readouts.push(Readout::new(format!("drop_{key}"), name, ink, "drop", "", head - tail));
        }
        readouts.retain(|readout| readout.value.is_finite());
        let mut summary = if self.params.rerank { "Does a model reason worse on the tail? " } else { "" }.to_owned();
        summary += "Each critic is asked about every fact of the true statements; a statement counts if all are believed. This stands for the paper's 13 questions about each statement, which so small a model cannot read (ours).";
        if let Some(lacking) = self.outcome.as_ref().and_then(|outcome| outcome.found.lacking(names, true)) {
            summary += &format!(" Here {lacking} to ask about.");
        }
        if self.params.critic.role().is_some() {
            summary += " The critic of this search was asked about these facts before, and let them pass: to compare critics, search with the world as critic.";
        }
        Panel::new("believed", "Believed or not", summary, 3, Body::Readouts(readouts))
    }

    fn known_panel(&self) -> Panel {
        let mut readouts = vec![];
        for (role, shares) in self.outcome.iter().flat_map(|outcome| &outcome.known) {
            let named = CLASSIFIERS.iter().find(|(mine, ..)| mine == role);
            let Some((_, key, name)) = named else { continue };
            let ink = if *key == "head" { Ink::Baseline2 } else { Ink::Muted };
            readouts.extend(recalls(key, name, ink, shares.iter().copied()));
        }
        readouts.retain(|readout| readout.value.is_finite());
        let relation = self.rule().checkable().last().map(|atom| self.rule().atom(atom).predicate.clone());
        let summary = format!(
            "The share that each critic believes of the facts of “{}”: of the most popular third, the middle and the rarest; and of as many false ones.{}",
            relation.unwrap_or_default(),
            self.wrong_where_least_known().unwrap_or_default()
        );
        Panel::new("known", "What critics know", summary, 6, Body::Readouts(readouts))
    }

    /// That the search's own critic knows the rare least, and errs in the tail most: where both are so.
    fn wrong_where_least_known(&self) -> Option<String> {
        let outcome = self.outcome.as_ref().filter(|_| self.params.rerank)?;
        let role = self.params.critic.role()?;
        let [popular, middle, rare, _] = outcome.known.iter().find(|(known, _)| *known == role)?.1;
        let [head, tail] = [0, 1].map(|list| 1.0 - outcome.found.correct(list));
        (rare < popular.min(middle) && tail > head).then(|| {
            format!(
                " The critic of this search knows the rare ones least, and errs most in the tail: **{:.0} %** of it are false, and **{:.0} %** of the head.",
                100.0 * tail,
                100.0 * head
            )
        })
    }

    /// Every statement, rarest list first, with all that is known of where it comes from.
    fn statements(&self) -> Table {
        let rule = self.rule();
        let facts: Vec<usize> = rule.checkable().collect();
        let mut rows = vec![];
        for (list, (side, name, _)) in self.lists().into_iter().enumerate().rev() {
            let found = self.outcome.iter().flat_map(|outcome| &outcome.found.0[list]);
            for (Statement { values, holds, likelihood, .. }, &node) in found.zip(self.search.beam(side)) {
                let lent: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
                let given = self.search.steps().iter().map(|step| {
                    format!("{} = {}", rule.variables[step.variable].name, lent[step.variable].unwrap_or_default())
                });
                let given = given.collect::<Vec<_>>().join("; ");
                let mut prompts: Vec<&str> =
                    way(&self.search, node).map(|node| self.replies[self.from[node]].prompt.as_str()).collect();
                prompts.reverse();
                let confidence = &self.search.nodes()[node].confidence;
                let mut row = vec![
                    text(name),
                    text(self.sentence(values)),
                    text(rule.say_all(&facts, &lent)),
                    text(if *holds { "true" } else { "false" }),
                ];
                row.extend([&confidence.datatype, &confidence.factual].map(|list| {
                    let least = list.iter().copied().reduce(f64::min);
                    rounded(least.filter(|_| self.has_critic()))
                }));
                row.extend([
                    rounded(Some(*likelihood)),
                    text(given),
                    text(self.params.critic.label()),
                    text(rule.to_string()),
                    text(prompts.join(" / ")),
                ]);
                rows.push(row);
            }
        }
        statement_table(rows)
    }

    fn statements_panel(&self) -> Panel {
        let order = match self.params.rerank {
            true => {
                "The statements, rarest list first, each list as the proposer ranked it; the evaluator may order them otherwise."
            }
            false => "The statements of both lists, in the order in which they were drawn.",
        };
        let asked = match self.has_critic() {
            true => "P(yes) is the least that the critic said on the way.",
            false => "P(yes) is empty, for nobody was asked.",
        };
        let summary = format!(
            "{order} A reader must know the facts of the third column, which the statement leaves out. {asked} CSV and JSON Lines also hold values, rule and prompts."
        );
        Panel::new("statements", "Statements", summary, 6, Body::Table(self.statements()))
    }

    fn rule_panel(&self) -> Panel {
        let rule = self.rule();
        let head = ["turn", "variable", "asked with", "checked", "scored"].map(str::to_owned).to_vec();
        let say = |atoms: &[usize]| {
            let blank: Vec<Option<&str>> = vec![None; rule.variables.len()];
            atoms.iter().map(|&atom| rule.say(atom, &blank)).collect::<Vec<_>>().join(" and ")
        };
        let row = |(turn, step): (usize, &Step)| {
            let facts = |atoms: &[usize]| -> Vec<usize> {
                atoms.iter().copied().filter(|&atom| !rule.is_hypothetical(atom)).collect()
            };
            let checked = facts(&step.prompt);
            let (prompt, ranking) = match self.asked.phrasing.knows_rule {
                true => (say(&step.prompt), say(&step.ranking)),
                false => (say(&checked), say(&facts(&step.ranking))),
            };
            // The first variable of a rule that is not known makes no fact.
            let or_name = |said: String| if said.is_empty() { "a name of its type".to_owned() } else { said };
            let texts = [variable(rule, step.variable), or_name(prompt), say(&checked), or_name(ranking)];
            let cells = texts.into_iter().map(|text| Cell::Text(if text.is_empty() { "—".to_owned() } else { text }));
            std::iter::once(Cell::Number(turn as f64 + 1.0)).chain(cells).collect()
        };
        let rows = self.search.steps().iter().enumerate().map(row).collect();
        let known = if self.asked.phrasing.knows_rule {
            ""
        } else {
            " The proposer does not know this rule's own sentences, so it is asked with its facts alone and scores them alone; before the first of them, names of a type (ours)."
        };
        let summary = format!(
            "**{}**. A premise about {}, whom the rule speaks of, cannot be checked.{known}",
            rule.to_string().replace('*', ""),
            variable(rule, rule.generic())
        );
        Panel::new("rule", "The rule, turn by turn", summary, 6, Body::Table(Table::new(head, rows)))
    }
}

fn statement_table(rows: Vec<Vec<Cell>>) -> Table {
    Table { head: STATEMENT_HEAD.map(str::to_owned).to_vec(), rows, aside: STATEMENT_ASIDE }
}

// All rules at once.

/// The reader's rules, or those of the menu.
fn menu_rows(values: &Values) -> Vec<(String, String)> {
    let own = SearchParams::from_values(values).own;
    // The world is read only for whoever has rules: this runs at every change of a setting.
    let mine = match own.trim() {
        "" => vec![],
        own => parse(own, &KnowledgeBase::default()).unwrap_or_default(),
    };
    let row = |label: &str, change: String| {
        let mut values = values.clone();
        let _mended = values.apply(&format!("{change}&node="));
        (label.to_owned(), values.to_query())
    };
    if mine.is_empty() {
        return MenuRule::ALL.iter().map(|rule| row(rule.label(), format!("rule={}&own=", rule.value()))).collect();
    }
    mine.iter().enumerate().map(|(index, rule)| row(&rule.label, format!("number={}", index + 1))).collect()
}

fn menu_panels(rows: &[Row]) -> Vec<Panel> {
    let ranked = |row: &Row| SearchParams::from_values(&Values::from_query(SearchParams::SPECS, &row.query).0).rerank;
    let [first, second] = lists(rows.first().is_none_or(ranked)).map(|(_, name, _)| name);
    let trues = [first, second].map(|list| format!("{list} true"));
    let head = ["rule", first, &trues[0], second, &trues[1], "δ", "δ of true ones"].map(str::to_owned).to_vec();
    let keys = ["head_count", "head_correct", "tail_count", "tail_correct", "delta", "delta_true"];
    let line = |row: &Row| {
        let cells = keys.iter().map(|key| rounded(row.readouts.get(*key).copied()));
        std::iter::once(text(row.label.clone())).chain(cells).collect()
    };
    let done = rows.iter().filter_map(|row| row.readouts.get("delta")).filter(|&&delta| delta > 0.0).count();
    let mut summary =
        format!("Searched: {}. In **{done}** the {first} is likelier than the {second}.", things(rows.len(), "rule"));
    if (1..rows.len()).any(|at| rows[..at].iter().any(|other| other.readouts == rows[at].readouts)) {
        summary += " Some have the very same numbers: where no model knows a rule’s own sentences, only its facts are asked and scored, and rules with the same facts are one search.";
    }
    let lines = Table::new(head, rows.iter().map(line).collect());
    let mut found = statement_table(vec![]);
    found.rows.extend(rows.iter().flat_map(|row| row.found.rows.iter().cloned()));
    let all = format!(
        "What the rules found that are done: {}. CSV and JSON Lines hold them all with values, rule and prompts, also before the last rule is done.",
        things(found.rows.len(), "statement")
    );
    vec![
        Panel::new("menu", "All rules", summary, 6, Body::Table(lines)),
        Panel::new("menu-statements", "Statements of all rules", all, 6, Body::Table(found)),
    ]
}
