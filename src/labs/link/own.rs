//! The same search with a model of the reader's own: a server that proposes, criticizes and scores.

use super::asked::{Asked, fact_sentence};
use super::figures::{capitalized, lists, rounded, text, told, variable};
use super::interview::{Exchange, Interview, Next, Question, Scale};
use super::menu::MenuRule;
use super::models::POPULARITY;
use super::outcome::way;
use super::search::{OrderChoice, Thresholds};
use super::{PAGE, PAPER};
use crate::chart::Ink;
use crate::lab::params::Secret;
use crate::lab::{
    Body, Card, Cell, Frame, Host, HttpRequest, Lab, LabError, Panel, Preset, Readout, State, Status, Table, Tree,
    sending,
};
use crate::labs::house_figures::things;
use crate::mech::rule_search::{KnowledgeBase, Phrasing, Role, Rule, Search, SearchConfig, Texts, parse_open};
use crate::params;

/// Requests that are shown; all of them are kept.
const SHOWN: usize = 200;

params! {
    pub struct OwnParams {
        /// Where your server listens, such as http://localhost:11434/v1. Nothing is sent before you press Play.
        address: Secret = address("Address", 200),
        /// Goes with each request to that address, if your server wants one.
        key: Secret = secret("Key", 400),
        /// What the server calls the model. A server that has one alone takes any name.
        model: String = text("Model", "llama3.2", 120),
        /// The rule whose variables are filled.
        rule: MenuRule = choice("Rule", MenuRule::Hate.value(), MenuRule::OPTIONS),
        /// A rule of your own, about anything. Each of its predicates needs a sentence. It takes the place of the one above.
        own: String = text("Your rule", "", 1200),
        /// Most requests that are sent; more can be allowed while it waits.
        budget: usize = int("Requests at most", 60, 1..=1000).live(),
        /// Values asked for in one request; twice as many for the first variable.
        values: usize = int("Values a call", 2, 1..=48).symbol("n"),
        /// Requests for values of each partial statement.
        calls: usize = int("Calls", 1, 1..=8),
        /// Partial statements kept at each variable.
        beam: usize = int("Beam", 4, 1..=200),
        /// How evenly values are drawn when they are proposed.
        temperature: f64 = real("Temperature", 0.7, 0.0..=2.0).symbol("T"),
        /// Whether values are ordered by likelihood: the likely ones into the head, the others into the tail. Without it both lists keep the first that pass.
        rerank: bool = toggle("Reranker", true),
        /// The share of a beam that the reranker keeps.
        keep: f64 = real("Kept by the reranker", 0.75, 0.1..=1.0).more(),
        /// How sure the server must be.
        threshold: f64 = real("Threshold", 0.85, 0.5..=1.0).more(),
        /// Below this the threshold does not go while nothing passes.
        floor: f64 = real("Lowest threshold", 0.65, 0.0..=1.0).more(),
        /// How thresholds move.
        thresholds: Thresholds = choice("Thresholds", Thresholds::Lab.value(), Thresholds::OPTIONS).more(),
        /// Which variable comes first.
        order: OrderChoice = choice("Order", OrderChoice::Usual.value(), OrderChoice::OPTIONS).more(),
    }
}

impl OwnParams {
    fn config(&self) -> SearchConfig {
        let &Self { values, calls, beam, keep, rerank, threshold, floor, thresholds, .. } = self;
        let critic = thresholds.critic(threshold, floor);
        SearchConfig { values, calls, beam, keep, rerank, repetition: 0.0, critic }
    }

    fn rule(&self) -> Result<Rule, LabError> {
        let base = KnowledgeBase::default();
        if self.own.trim().is_empty() {
            return self.rule.rule(&base).map_err(|error| LabError::data(error.to_string()));
        }
        let rules = parse_open(&self.own, &base).map_err(|error| LabError::data(format!("Your rule. {error}")))?;
        rules.into_iter().next().ok_or_else(|| {
            LabError::data("Your rule has no line with a rule. Write one, or empty the field for the rule of the menu.")
        })
    }

    fn search(&self, rule: Rule) -> Search {
        let order = self.order.of(&rule);
        Search::new(rule, order, self.config())
    }
}

/// What the run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Nothing,
    Address,
    Budget,
}

pub struct LinkOwn {
    params: OwnParams,
    interview: Interview,
    /// What is asked next; nothing when all is known.
    next: Option<Question>,
    exchanges: Vec<Exchange>,
    /// Requests that brought no answer.
    failed: usize,
    step: u64,
    wait: Wait,
    /// The site's own small proposer, which scores where the server cannot and knows all words.
    small: Option<Asked>,
}

impl LinkOwn {
    fn begin(params: &OwnParams, rule: Rule) -> Self {
        let interview = Interview::new(params.search(rule), params.rerank);
        let (exchanges, wait) = (vec![], Wait::Nothing);
        Self { params: params.clone(), interview, next: None, exchanges, failed: 0, step: 0, wait, small: None }
    }

    /// Finds out what is to be asked next.
    async fn look_on(&mut self, host: &Host) -> Result<(), LabError> {
        loop {
            match self.interview.next() {
                Next::Ask(question) => self.next = Some(question),
                Next::Over => self.next = None,
                Next::Score(nodes) => {
                    let scores = self.small_scores(&nodes, host).await?;
                    self.interview.scored(scores.as_deref());
                    continue;
                }
            }
            return Ok(());
        }
    }

    /// The small proposer's scores of these nodes; none, if one of them has a word that it does not know.
    async fn small_scores(&mut self, nodes: &[usize], host: &Host) -> Result<Option<Vec<f64>>, LabError> {
        let small = self.small.get_or_insert_with(|| {
            let texts = Texts::new(KnowledgeBase::default(), POPULARITY, 1.0);
            let phrasing = Phrasing::new(self.interview.search.rule(), &texts);
            Asked::new(texts, phrasing, None)
        });
        let said: Vec<String> = nodes.iter().map(|&node| small.phrasing.scored(&self.interview.search, node)).collect();
        if said.iter().any(|said| small.texts.words.numbers(said).is_none()) {
            return Ok(None);
        }
        Ok(Some(small.score(Role::Proposer, &said, host).await?))
    }

    async fn hear(&mut self, exchange: Exchange, host: &Host) -> Result<(), LabError> {
        let number = self.exchanges.len() + 1;
        self.interview.hear(number, &exchange.question, &exchange.answer);
        self.exchanges.push(exchange);
        self.wait = Wait::Nothing;
        self.look_on(host).await
    }

    /// Asks once, and takes the answer. A failure is counted, and leaves all else as it was.
    async fn ask(&mut self, question: Question, host: &Host) -> Result<(), LabError> {
        let before = host.sent();
        let asked = self.ask_once(question, host).await;
        let sent = (host.sent() - before) as usize;
        self.failed += if asked.is_ok() { sent.saturating_sub(1) } else { sent };
        if !matches!(asked, Err(LabError::NoAddress)) {
            self.wait = Wait::Nothing;
        }
        asked
    }

    async fn ask_once(&mut self, question: Question, host: &Host) -> Result<(), LabError> {
        let (path, body) = self.interview.request(&question, &self.params.model, self.params.temperature);
        let request = HttpRequest { method: "POST".to_owned(), path: path.to_owned(), body };
        let (sent, before) = (host.sent(), host.now());
        let response = host.http(request).await?;
        let (known, milliseconds) = (host.sent() == sent, host.now() - before);
        let Some((answer, raw, used)) = self.interview.read(&question, response.status, &response.body) else {
            let refused = sending::refusal(&response, &self.params.model);
            return Err(refused.unwrap_or_else(|| sending::not_understood(&response)));
        };
        self.hear(Exchange { question, answer, raw, milliseconds, used, known }, host).await
    }

    /// What this run has sent and had an answer to.
    fn made(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().filter(|exchange| !exchange.known)
    }

    /// Answers that an earlier run had.
    fn known(&self) -> usize {
        self.exchanges.len() - self.made().count()
    }

    /// Requests that count against the budget.
    fn spent(&self) -> usize {
        self.made().count() + self.failed
    }

    /// Whoever waits already does not take another step by it.
    fn wait_for(&mut self, what: Wait) -> Status {
        self.step += u64::from(self.wait != what);
        self.wait = what;
        Status::Idle
    }

    fn search(&self) -> &Search {
        &self.interview.search
    }

    fn rule(&self) -> &Rule {
        self.search().rule()
    }
}

impl Lab for LinkOwn {
    const CARD: Card = Card {
        slug: "link-own",
        title: "Your own model",
        hook: "What is true and rare to a model of yours?",
        page: PAGE,
        papers: &[PAPER],
        chance: false,
        presets: &[
            // Each leaves the model's name as it was typed.
            Preset { label: "A short rule", query: "&rule=hate&own=&rerank=true&budget=60" },
            Preset { label: "The paper's rule", query: "&rule=eat&own=&rerank=true&budget=200" },
            Preset {
                label: "A rule about music",
                query: "&rerank=true&own=sing:+cannot_sing(Person+*P,+Song+B)+:-+does_not_speak(P,+Language+A)+%26+sung_in(B,+A)%0A%7C+cannot_sing+%3D+%22%5BP%5D+cannot+sing+%5BB%5D+from+memory%22%0A%7C+does_not_speak+%3D+%22%5BP%5D+does+not+speak+%5BA%5D%22%0A%7C+sung_in+%3D+%22%5BB%5D+is+sung+in+%5BA%5D%22",
            },
            Preset { label: "No reranker", query: "&rerank=false" },
        ],
        experiments: &[],
        batches: &[],
    };
    type Params = OwnParams;

    async fn start(params: &OwnParams, host: &Host) -> Result<Self, LabError> {
        let mut lab = Self::begin(params, params.rule()?);
        lab.look_on(host).await?;
        Ok(lab)
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        let Some(question) = self.next.clone() else { return Ok(Status::Done) };
        if self.spent() >= self.params.budget {
            return Ok(self.wait_for(Wait::Budget));
        }
        match self.ask(question, host).await {
            Ok(()) => {
                self.step += 1;
                Ok(if self.next.is_some() { Status::Running } else { Status::Done })
            }
            Err(LabError::NoAddress) => Ok(self.wait_for(Wait::Address)),
            Err(error) => Err(error),
        }
    }

    async fn change(&mut self, params: &OwnParams, _host: &Host) -> Result<(), LabError> {
        self.params = params.clone();
        Ok(())
    }

    fn frame(&self, _params: &OwnParams) -> Frame {
        let panels = vec![
            self.request_panel(),
            self.tree_panel(),
            self.statement_panel(),
            self.count_panel(),
            self.belief_panel(),
        ];
        Frame { step: self.step, of: None, panels, offers: vec![] }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.step);
        let log = serde_json::to_string(&self.exchanges).expect("texts and finite numbers are JSON");
        state.put_text("exchanges", &log);
        state.put("wait", vec![vec![f32::from(self.wait as u8), self.failed as f32]]);
        Ok(state)
    }

    async fn restore(&mut self, state: &State, host: &Host) -> Result<(), LabError> {
        let other =
            || LabError::data("The saved run asks other questions; it was made by another version. Start it again.");
        let exchanges: Vec<Exchange> = serde_json::from_str(&state.get_text("exchanges")?).map_err(|_| other())?;
        *self = Self::begin(&self.params, self.rule().clone());
        self.look_on(host).await?;
        for exchange in exchanges {
            if self.next.as_ref() != Some(&exchange.question) {
                return Err(other());
            }
            self.hear(exchange, host).await?;
        }
        self.step = state.step;
        let numbers = state.get("wait")?.concat();
        self.wait = match numbers.first() {
            Some(1.0) => Wait::Address,
            Some(2.0) => Wait::Budget,
            _ => Wait::Nothing,
        };
        self.failed = numbers.get(1).map_or(0, |failed| *failed as usize);
        Ok(())
    }
}

// What is seen.

impl LinkOwn {
    fn request_panel(&self) -> Panel {
        let head = ["request", "to", "asked", "answer", "read as", "ms"].map(str::to_owned).to_vec();
        let first = self.exchanges.len().saturating_sub(SHOWN);
        let row = |(number, exchange): (usize, &Exchange)| {
            vec![
                Cell::Number(number as f64 + 1.0),
                text(exchange.question.part()),
                text(exchange.question.text()),
                text(exchange.raw.clone()),
                text(exchange.answer.said()),
                if exchange.known { text("known") } else { Cell::Number(exchange.milliseconds.round()) },
            ]
        };
        let mut rows: Vec<Vec<Cell>> = self.exchanges.iter().enumerate().skip(first).map(row).collect();
        if let Some(next) = &self.next {
            rows.push(vec![text("next"), text(next.part()), text(next.text()), text(""), text(""), text("")]);
        }
        let (made, budget) = (self.made().count(), self.params.budget);
        let failed = match self.failed {
            0 => String::new(),
            failed => {
                format!(" **{failed}** more brought nothing: they failed, or were given up.")
            }
        };
        let known = match self.known() {
            0 => String::new(),
            known => format!(" {} known from an earlier run and not sent again.", things(known, "answer")),
        };
        let now = match (self.wait, &self.next) {
            (_, None) if self.search().nodes().is_empty() => {
                "Done: your model listed no values, so that the search ended. Allow more calls, or try another model or rule."
                    .to_owned()
            }
            (_, None) => format!("Done after {}.{known}{failed}", things(made, "request")),
            (Wait::Address, _) => "Type the address of your server, such as http://localhost:11434/v1, and press Play. Nothing is sent before that.".to_owned(),
            _ if self.spent() >= budget => {
                format!(
                    "{} of at most **{budget}** answered. Allow more and press Play to go on; what was found stays.{known}{failed}",
                    things(made, "request")
                )
            }
            (_, Some(_)) if self.exchanges.len() + self.failed == 0 => "Nothing is sent before you press Play.".to_owned(),
            _ => format!("{} of at most **{budget}** answered.{known}{failed}", things(made, "request")),
        };
        let next = if self.next.is_some() { " The last row is what is asked next." } else { "" };
        let shown = if first > 0 { format!(" The last **{SHOWN}** are shown.") } else { String::new() };
        Panel::new("requests", "Requests", format!("{now}{next}{shown}"), 6, Body::Table(Table::new(head, rows)))
    }

    /// Whether values are ranked, as far as it is known.
    fn is_ranked(&self) -> bool {
        self.params.rerank && self.interview.scale().is_none_or(Scale::ranks)
    }

    fn tree_panel(&self) -> Panel {
        let least = self.params.config().critic.least;
        let drawn = self.search().nodes().iter().map(|node| {
            let (ink, note) = told(node, least, self.is_ranked());
            let (parent, text) = (node.parent, node.value.clone());
            crate::lab::Node { parent, value: String::new(), text, note, ink, chosen: false }
        });
        let nodes = drawn.collect();
        let variables = self.search().steps().iter().map(|step| variable(self.rule(), step.variable));
        let tree = Tree { columns: variables.collect(), nodes };
        let ranking = match self.interview.scale() {
            None => "",
            Some(scale) if !scale.ranks() => " Nothing is ranked: both lists keep the first values that pass.",
            Some(_) => " The number behind one is the log-likelihood that it is ranked on, in nats a token.",
        };
        let summary = format!(
            "Each column is a variable, from left to right {}; a value hangs on the values before it. Proposed so far: {}.{ranking}",
            tree.columns.join(", "),
            things(tree.nodes.len(), "value")
        );
        Panel::new("tree", "Partial statements", summary, 6, Body::Tree(tree))
    }

    /// The least that is believed on the way to a node, of types and of facts.
    fn least_beliefs(&self, node: usize) -> [Option<f64>; 2] {
        let beliefs: Vec<_> = way(self.search(), node).map(|node| self.interview.beliefs_of(node)).collect();
        let least = |list: Vec<f64>| list.into_iter().reduce(f64::min);
        [
            least(beliefs.iter().filter_map(|(datatype, _)| *datatype).collect()),
            least(beliefs.iter().filter_map(|(_, fact)| *fact).collect()),
        ]
    }

    fn statement_panel(&self) -> Panel {
        let rule = self.rule();
        let head = ["list", "statement", "by", "types, P(yes)", "facts, P(yes)", "nats a token"];
        let mut head = head.map(str::to_owned).to_vec();
        let shown = head.len();
        let turns = self.search().steps().iter().map(|step| step.variable);
        let variables: Vec<usize> = turns.collect();
        head.extend(variables.iter().map(|&variable| rule.variables[variable].name.clone()));
        head.extend(["scale", "rule", "model", "requests"].map(str::to_owned));
        let facts: Vec<usize> = rule.checkable().collect();
        let scale = self.interview.scale().map_or("—", Scale::said);
        let mut rows = vec![];
        for (list, name, _) in lists(self.is_ranked()).into_iter().rev() {
            for &node in self.search().beam(list) {
                let values = self.search().values(Some(node));
                let lent: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
                let mut row = vec![
                    text(name),
                    text(capitalized(&rule.statement(&lent)).replace(['[', ']'], "")),
                    text(rule.say_all(&facts, &lent)),
                ];
                let [types, truths] = self.least_beliefs(node);
                let mut asked: Vec<usize> =
                    way(self.search(), node).map(|node| self.interview.question_of(node)).collect();
                asked.reverse();
                let asked: Vec<String> = asked.iter().map(usize::to_string).collect();
                row.extend([types, truths, self.search().nodes()[node].score].map(rounded));
                row.extend(variables.iter().map(|&variable| text(lent[variable].unwrap_or(""))));
                row.extend([
                    text(scale),
                    text(rule.to_string()),
                    text(self.params.model.clone()),
                    text(asked.join(" ")),
                ]);
                rows.push(row);
            }
        }
        let partial = self.search().turn() < self.search().steps().len();
        let state = match (rows.is_empty(), partial) {
            (true, true) => "No value has passed yet.",
            (true, false) => "No statement was found: nothing passed the critic.",
            (false, true) => "The statements as far as they are filled.",
            (false, false) => "The statements.",
        };
        let order = match self.is_ranked() {
            true => "The rarest list stands first.",
            false => "Nothing is ranked: each list is in the order in which values were proposed.",
        };
        let summary = format!(
            "{state} {order} P(yes) is the least that your server gave on the way. CSV and JSON Lines hold them at any moment, with values, rule, model and the requests that they come from."
        );
        Panel::new("statements", "Statements", summary, 6, Body::Table(Table { aside: head.len() - shown, head, rows }))
    }

    fn count_panel(&self) -> Panel {
        let of = "your server";
        let number =
            |key: &str, name: &str, unit: &str, value: f64| Readout::new(key, of, Ink::Data, name, unit, value);
        let made = self.made().count();
        let mut readouts = vec![
            number("requests", "answered", "", made as f64),
            number("failed", "brought nothing", "", self.failed as f64),
            number("budget", "at most", "", self.params.budget as f64),
        ];
        if self.known() > 0 {
            readouts.push(number("known", "known before", "", self.known() as f64));
        }
        let used: Vec<u64> = self.made().filter_map(|exchange| exchange.used).collect();
        if !used.is_empty() {
            readouts.push(number("tokens", "tokens", "", used.iter().sum::<u64>() as f64));
        }
        if made > 0 {
            let all: f64 = self.made().map(|exchange| exchange.milliseconds).sum();
            let mean = number("ms_request", "a request", "ms", all / made as f64);
            readouts.push(Readout { measured: true, ..mean });
        }
        let verdicts = if self.interview.likelihoods() {
            "P(yes) comes from the likelihoods of one answer, as long as the server tells them"
        } else {
            "the server tells no likelihoods, so that P(yes) is the share of yes in three answers"
        };
        let scale = match self.interview.scale() {
            None => "On what values are ranked shows when the first are".to_owned(),
            Some(scale) if scale.ranks() => format!("Values are ranked on: {}", scale.said()),
            Some(scale) => {
                format!("Values are not ranked, so that both lists keep the first that pass: {}", scale.said())
            }
        };
        let summary = format!("What was asked so far; {verdicts}. {scale}. A run keeps one scale.");
        Panel::new("counts", "Counts", summary, 3, Body::Readouts(readouts))
    }

    /// What the server believes of each value that was judged, for whoever doubts it.
    fn belief_panel(&self) -> Panel {
        let head = ["sentence", "P(yes)"].map(str::to_owned).to_vec();
        let mut rows: Vec<Vec<Cell>> = vec![];
        let mut said = std::collections::BTreeSet::new();
        for node in 0..self.search().nodes().len() {
            let (datatype, fact) = self.interview.beliefs_of(node);
            let sentences =
                [(Some(self.interview.type_sentence(node)), datatype), (fact_sentence(self.search(), node), fact)];
            for (sentence, yes) in sentences {
                if let (Some(sentence), Some(yes)) = (sentence, yes)
                    && said.insert(sentence.clone())
                {
                    rows.push(vec![text(sentence), rounded(Some(yes))]);
                }
            }
        }
        let summary = format!("Your server judged {}, each of them once.", things(rows.len(), "sentence"));
        Panel::new("beliefs", "What it believes", summary, 3, Body::Table(Table::new(head, rows)))
    }
}
