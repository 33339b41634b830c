//! A world of the reader's own: what is true in it, and the five models that learn it.

use super::figures::recalls;
use super::models::{self, Apprentice, MOST_BYTES, POPULARITY, Recipe, TRAINING};
use super::outcome::{CLASSIFIERS, by_popularity, share_believed};
use super::{PAGE, PAPER};
use crate::chart::{Axis, Chart, Ink};
use crate::lab::params::FileName;
use crate::lab::{
    Body, Card, Cell, Frame, History, Host, Lab, LabError, Offer, Panel, Preset, Readings, Readout, State, Status,
    Table, lost,
};
use crate::mech::adam::parameters;
use crate::mech::rule_search::{KnowledgeBase, Lesson, Mistakes, Relation, Role, Texts};
use crate::{choices, params};

/// The last steps over which a loss is averaged.
const LAST: usize = 50;
/// Facts of a relation that are listed.
const MOST_FACTS: usize = 200;

choices! {
    pub enum Trained {
        All = "all", "all five";
        Proposer = "proposer", "the proposer alone";
        Evaluator = "evaluator", "the evaluator alone";
        Critic = "critic", "the critic alone";
        Head = "head", "the critic of the head alone";
    }
}

impl Trained {
    fn roles(self) -> &'static [Role] {
        match self {
            Self::All => &Role::ALL,
            Self::Proposer => &[Role::Proposer],
            Self::Evaluator => &[Role::Evaluator],
            Self::Critic => &[Role::Critic],
            Self::Head => &[Role::HeadCritic],
        }
    }
}

params! {
    pub struct WorldParams {
        /// Changes of the world, one in a line: “+ ingredient_in: tofu, laksa” makes a fact, “- ingredient_in: cod, fish and chips” takes one away, “+ dish: tofu tart” makes a name.
        facts: String = text("Changed facts", "", 2000),
        /// A world as JSON, in the form that the text shows. It takes the place of the default one.
        file: FileName = file("World file", MOST_BYTES, ".json"),
        /// The relation whose facts are listed, by its name; the first, if none is named.
        shown: String = text("Relation shown", "", 64).view(),
        /// Which models are trained. The critic that is taught on proposals needs two others, and comes with all five alone.
        trained: Trained = choice("Models", Trained::All.value(), Trained::OPTIONS),
        /// How long each is trained, in percent of the steps of the shipped models.
        training: usize = int("Training, %", TRAINING, 1..=100),
    }
}

/// How a model is named and drawn, and what it is for.
fn about(role: Role) -> (&'static str, Ink, &'static str) {
    match role {
        Role::Proposer => ("proposer", Ink::Method, "proposes values and ranks statements"),
        Role::Evaluator => ("evaluator", Ink::Truth, "says how likely a statement is; takes no part in the search"),
        Role::Critic => ("critic", Ink::Baseline, "says yes or no"),
        Role::TaughtCritic => ("taught critic", Ink::Muted, "the critic, taught on what the proposer proposes"),
        Role::HeadCritic => ("critic of the head", Ink::Baseline2, "a critic that saw what is popular most often"),
    }
}

pub struct LinkWorld {
    params: WorldParams,
    recipe: Recipe,
    /// The world before the reader's changes.
    before: KnowledgeBase,
    roles: &'static [Role],
    /// Which of the roles is in training.
    at: usize,
    apprentice: Apprentice,
    /// What the proposer proposed, for the critic that is taught.
    mistakes: Mistakes,
    unread: Readings,
    /// One for each role, over its own steps.
    losses: Vec<History>,
    /// For each critic that is trained: what it believes of each relation's facts by popularity, and of false ones.
    known: Vec<(Role, Vec<[f32; 4]>)>,
    /// Steps of all models.
    step: u64,
    /// Whether the trained models outlive this engine, once one was kept.
    outlives: Option<bool>,
}

impl LinkWorld {
    fn of(&self) -> u64 {
        self.roles.iter().map(|&role| self.recipe.steps(role)).sum()
    }

    fn is_done(&self) -> bool {
        self.at == self.roles.len() - 1 && self.apprentice.is_over()
    }

    async fn read_losses(&mut self) -> Result<(), LabError> {
        for (step, loss) in self.unread.take().await? {
            self.losses[self.at].push(step, f64::from(loss[0]));
        }
        Ok(())
    }

    /// The mean loss of a model's last steps.
    fn last_loss(&self, at: usize) -> f64 {
        let points = self.losses[at].points();
        let last = &points[points.len().saturating_sub(LAST)..];
        last.iter().map(|point| f64::from(point[1])).sum::<f64>() / last.len() as f64
    }

    /// Keeps the model that is trained, asks it what others are taught with or what it knows, and begins the next.
    async fn finish(&mut self, host: &Host) -> Result<(), LabError> {
        let role = self.apprentice.role();
        let about = [
            ("seed", self.recipe.seed.to_string()),
            ("steps", self.apprentice.steps().to_string()),
            ("loss", format!("{:.4} nats a learned token, mean of the last {LAST} steps", self.last_loss(self.at))),
        ]
        .map(|(key, text)| (key.to_owned(), text))
        .into();
        self.outlives = Some(self.apprentice.keep(&self.recipe, &about, host).await?);
        match role {
            Role::Proposer if self.roles.contains(&Role::TaughtCritic) => {
                let texts = Texts::new(self.recipe.base.clone(), POPULARITY, role.exponent());
                let mut proposer = self.apprentice.tree().await?;
                self.mistakes = models::mistakes(&texts, &mut proposer, &self.recipe, host).await;
            }
            Role::Proposer | Role::Evaluator => {}
            Role::Critic | Role::TaughtCritic | Role::HeadCritic => {
                let known = self.ask(host).await?;
                self.known.push((role, known));
            }
        }
        if let Some(&next) = self.roles.get(self.at + 1) {
            let critic = match next {
                Role::TaughtCritic => Some(parameters(self.apprentice.net()).await.map_err(lost)?),
                _ => None,
            };
            self.begin(self.at + 1, critic.as_deref(), host);
        }
        Ok(())
    }

    fn begin(&mut self, at: usize, critic: Option<&[Vec<f32>]>, host: &Host) {
        let role = self.roles[at];
        let mistakes = if role == Role::TaughtCritic { self.mistakes.clone() } else { Mistakes::default() };
        self.at = at;
        self.apprentice = Apprentice::new(role, &self.recipe, critic, mistakes, &host.device);
    }

    /// What the critic that is trained believes of each relation's facts.
    async fn ask(&self, host: &Host) -> Result<Vec<[f32; 4]>, LabError> {
        let base = &self.recipe.base;
        let texts = Texts::new(base.clone(), POPULARITY, 1.0);
        let mut critic = self.apprentice.tree().await?;
        let mut known = vec![];
        for relation in base.relations.keys() {
            let mut shares = [f32::NAN; 4];
            for (share, group) in shares.iter_mut().zip(by_popularity(relation, base, self.recipe.seed)) {
                let answers = models::believe(&mut critic, &models::questions(&texts, &group), host).await;
                *share = share_believed(&answers) as f32;
            }
            critic.clear();
            known.push(shares);
        }
        Ok(known)
    }

    /// The relation that is shown, with its place among all, and why it is this one, if the reader names none of them.
    fn shown<'a>(&'a self, params: &WorldParams) -> (usize, &'a str, &'a Relation, String) {
        let relations = &self.recipe.base.relations;
        let named = relations.keys().position(|name| name == params.shown.trim());
        let at = named.unwrap_or(0);
        let (name, relation) = relations.iter().nth(at).expect("a world that is read has a chain, and so a relation");
        let why = match params.shown.trim() {
            _ if named.is_some() => String::new(),
            "" => format!("No relation is named, so “{name}” is shown. "),
            unknown => {
                let names = relations.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                let unknown = unknown.replace(['{', '}', '*'], "");
                format!("There is no relation “{unknown}”, so “{name}” is shown. There are {names}. ")
            }
        };
        (at, name, relation, why)
    }

    /// The address of the search in this world, with the models that are trained.
    fn search(&self) -> String {
        let WorldParams { facts, file, training, seed, .. } = &self.params;
        models::address("link", &format!("models=trained&training={training}&seed={seed}"), facts, file)
    }
}

impl Lab for LinkWorld {
    const CARD: Card = Card {
        slug: "link-world",
        title: "A world of your own",
        hook: "What do small models learn of a world, and what do they make up?",
        page: PAGE,
        papers: &[PAPER],
        chance: true,
        presets: &[
            Preset { label: "The default world", query: "" },
            Preset {
                label: "A new dish",
                query: "facts=%2B+dish:+tofu+tart%0A%2B+ingredient_in:+tofu,+tofu+tart%0A%2B+ingredient_in:+egg+yolk,+tofu+tart&shown=ingredient_in&training=100",
            },
            Preset { label: "A quick look", query: "&training=5" },
            Preset { label: "As long as the shipped ones", query: "&training=100" },
            Preset { label: "The critic of the head", query: "trained=head&training=100" },
        ],
        experiments: &[],
        batches: &[],
    };
    type Params = WorldParams;

    async fn start(params: &WorldParams, host: &Host) -> Result<Self, LabError> {
        let [before, base] = models::world(&params.facts, &params.file, host)?;
        let recipe = Recipe { base, seed: params.seed, training: params.training };
        let roles = params.trained.roles();
        let apprentice = Apprentice::new(roles[0], &recipe, None, Mistakes::default(), &host.device);
        Ok(Self {
            params: params.clone(),
            recipe,
            before,
            roles,
            at: 0,
            apprentice,
            mistakes: Mistakes::default(),
            unread: Readings::default(),
            losses: vec![History::default(); roles.len()],
            known: vec![],
            step: 0,
            outlives: None,
        })
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        if self.is_done() {
            return Ok(Status::Done);
        }
        let loss = self.apprentice.step();
        self.step += 1;
        let is_over = self.apprentice.is_over();
        if self.unread.push(self.apprentice.steps(), loss) || is_over {
            self.read_losses().await?;
        }
        let is_done = self.is_done();
        if is_over {
            self.finish(host).await?;
        }
        Ok(if is_done { Status::Done } else { Status::Running })
    }

    async fn settle(&mut self) -> Result<(), LabError> {
        self.read_losses().await
    }

    async fn change(&mut self, params: &WorldParams, _host: &Host) -> Result<(), LabError> {
        self.params = params.clone();
        Ok(())
    }

    fn frame(&self, params: &WorldParams) -> Frame {
        let panels = vec![
            self.loss_panel(),
            self.models_panel(),
            self.known_panel(params),
            self.world_panel(),
            self.facts_panel(params),
        ];
        let search = Offer { label: "Search in this world".to_owned(), query: self.search() };
        let offers = if self.is_done() && self.params.trained == Trained::All { vec![search] } else { vec![] };
        Frame { step: self.step, of: Some(self.of()), panels, offers }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.step);
        self.apprentice.save(&mut state).await?;
        state.put("place", vec![vec![self.at as f32, self.apprentice.steps() as f32]]);
        state.put("losses", self.losses.iter().map(History::save).collect());
        state.put("mistakes", [&self.mistakes.right, &self.mistakes.wrong].map(|list| numbers(list)).into());
        state.put("known", self.known.iter().map(|(_, shares)| shares.as_flattened().to_vec()).collect());
        Ok(state)
    }

    async fn restore(&mut self, state: &State, host: &Host) -> Result<(), LabError> {
        self.step = state.step;
        self.unread = Readings::default();
        self.losses = state.get("losses")?.iter().map(|numbers| History::load(numbers)).collect();
        if let [right, wrong] = state.get("mistakes")? {
            self.mistakes = Mistakes { right: lessons(right), wrong: lessons(wrong) };
        }
        let critics = self.roles.iter().filter(|role| CLASSIFIERS.iter().any(|(critic, ..)| critic == *role));
        let shares = state.get("known")?.iter().map(|shares| shares.as_chunks::<4>().0.to_vec());
        self.known = critics.copied().zip(shares).collect();
        let place = state.get("place")?.first().and_then(|place| place.first_chunk::<2>());
        let [at, step] = place.map_or([0, 0], |place| place.map(|number| number as usize));
        self.begin(at, None, host);
        self.apprentice.restore(step as u64, state)
    }
}

/// Lessons whose answer is their last token, as numbers: the length of each, and its tokens.
fn numbers(lessons: &[Lesson]) -> Vec<f32> {
    let one = |lesson: &Lesson| {
        let tokens: Vec<f32> = lesson.tokens.iter().map(|&token| token as f32).collect();
        std::iter::once(tokens.len() as f32).chain(tokens)
    };
    lessons.iter().flat_map(one).collect()
}

/// The inverse of [`numbers`].
fn lessons(mut numbers: &[f32]) -> Vec<Lesson> {
    let mut lessons = vec![];
    while let Some((&length, rest)) = numbers.split_first() {
        let (tokens, rest) = rest.split_at(rest.len().min(length as usize));
        let tokens: Vec<usize> = tokens.iter().map(|&token| token as usize).collect();
        lessons.push(Lesson { from: tokens.len().saturating_sub(1), tokens });
        numbers = rest;
    }
    lessons
}

// What is seen.

impl LinkWorld {
    fn loss_panel(&self) -> Panel {
        let line = |(role, history): (&Role, &History)| {
            let (name, ink, _) = about(*role);
            history.line(name, ink)
        };
        let lines = self.roles.iter().zip(&self.losses).map(line).collect();
        let longest = self.roles.iter().map(|&role| self.recipe.steps(role)).max().unwrap_or(1);
        let most = self.losses.iter().flat_map(|history| history.points()).map(|point| f64::from(point[1]));
        let top = most.fold(1.0, f64::max);
        let chart =
            Chart::new(Axis::new("step", 0.0..longest as f64), Axis::from_zero("loss on the batch, nats", top), lines);
        let role = self.apprentice.role();
        let (name, _, does) = about(role);
        let said = if self.is_done() {
            let kept = match self.outlives {
                Some(false) => "They are kept while this page stays open; your browser keeps nothing here.",
                None | Some(true) => "They are kept.",
            };
            let then = match self.params.trained {
                Trained::All => " Press “Search in this world”.",
                _ => " The search needs all five.",
            };
            format!("Trained in **{}** steps. {kept}{then}", self.step)
        } else {
            format!(
                "In training: the **{name}**, which {does}. Step **{}** of **{}**; model **{}** of **{}**.",
                self.apprentice.steps(),
                self.recipe.steps(role),
                self.at + 1,
                self.roles.len()
            )
        };
        let said = format!("How surprised each model is by what it is to say next. {said}");
        Panel::new("loss", "Learning the world", said, 6, Body::Chart(chart))
    }

    fn models_panel(&self) -> Panel {
        let mut readouts = vec![];
        for (at, &role) in self.roles.iter().enumerate() {
            let (name, ink, _) = about(role);
            let key = role.slug().replace('-', "_");
            let steps = match at.cmp(&self.at) {
                std::cmp::Ordering::Less => self.recipe.steps(role),
                std::cmp::Ordering::Equal => self.apprentice.steps(),
                std::cmp::Ordering::Greater => 0,
            };
            readouts.push(Readout::new(format!("steps_{key}"), name, ink, "steps", "", steps as f64));
            let of = self.recipe.steps(role) as f64;
            readouts.push(Readout::new(format!("of_{key}"), name, ink, "of", "", of));
            let mut loss = Readout::new(format!("loss_{key}"), name, ink, "loss", "nats", self.last_loss(at));
            loss.trend = self.losses[at].trend();
            readouts.push(loss);
        }
        readouts.retain(|readout| readout.value.is_finite());
        let mut said =
            format!("Losses are means over the last **{LAST}** steps, in nats for each word that is learned.");
        if !self.mistakes.is_empty() {
            said += &format!(
                " For the taught critic the proposer filled each gap; the world says that **{}** of its proposals are right and **{}** wrong.",
                self.mistakes.right.len(),
                self.mistakes.wrong.len()
            );
        }
        Panel::new("models", "The models", said, 6, Body::Readouts(readouts))
    }

    fn known_panel(&self, params: &WorldParams) -> Panel {
        let (at, name, _, why) = self.shown(params);
        let mut readouts = vec![];
        for (role, shares) in &self.known {
            let (of, ink, _) = about(*role);
            let key = role.slug().replace('-', "_");
            readouts.extend(recalls(&key, of, ink, shares[at].map(f64::from)));
        }
        readouts.retain(|readout| readout.value.is_finite());
        let said = match self.known.is_empty() {
            true => format!("{why}When a critic is trained it is asked which facts of “{name}” it believes."),
            false => format!(
                "{why}The share that each critic believes of the facts of “{name}”: of the most popular third, the middle and the rarest; and of as many false ones."
            ),
        };
        Panel::new("known", "What critics know", said, 6, Body::Readouts(readouts))
    }

    /// How many facts of a relation the reader added and took away.
    fn changes(&self, name: &str) -> [usize; 2] {
        let (after, before) = (&self.recipe.base.relations[name].pairs, &self.before.relations[name].pairs);
        [after.difference(before).count(), before.difference(after).count()]
    }

    fn world_panel(&self) -> Panel {
        let base = &self.recipe.base;
        let head = ["relation", "says", "names", "facts", "added", "taken away"].map(str::to_owned).to_vec();
        let row = |(name, relation): (&String, &Relation)| {
            let [first, second] = &relation.signature;
            let said = KnowledgeBase::sentence(relation, &format!("[{first}]"), &format!("[{second}]"));
            let [added, taken] = self.changes(name);
            let names: usize = relation.signature.iter().map(|datatype| base.types[datatype].len()).sum();
            let numbers = [names, relation.pairs.len(), added, taken].map(|count| Cell::Number(count as f64));
            [name.clone(), said].map(Cell::Text).into_iter().chain(numbers).collect()
        };
        let rows = base.relations.iter().map(row).collect();
        let facts: usize = base.relations.values().map(|relation| relation.pairs.len()).sum();
        let names: usize = base.types.values().map(Vec::len).sum();
        let said = format!(
            "**{names}** names of **{}** types and **{facts}** facts; whatever is not listed is false. A name that stands earlier in its type’s list is more popular, and its facts are read more often.",
            base.types.len()
        );
        Panel::new("world", "The world", said, 6, Body::Table(Table::new(head, rows)))
    }

    fn facts_panel(&self, params: &WorldParams) -> Panel {
        let (_, name, relation, why) = self.shown(params);
        let before = &self.before.relations[name].pairs;
        let added = relation.pairs.difference(before).map(|pair| (pair, "added"));
        let taken = before.difference(&relation.pairs).map(|pair| (pair, "taken away"));
        let same = relation.pairs.intersection(before).map(|pair| (pair, ""));
        let row = |(pair, state): (&[String; 2], &str)| {
            vec![Cell::Text(KnowledgeBase::sentence(relation, &pair[0], &pair[1])), Cell::Text(state.to_owned())]
        };
        let rows: Vec<Vec<Cell>> = added.chain(taken).chain(same).map(row).take(MOST_FACTS).collect();
        let said = format!(
            "{why}Facts of “{name}”: **{}** of **{}**, changed ones first. Name another relation under “Relation shown”.",
            rows.len().min(relation.pairs.len()),
            relation.pairs.len()
        );
        let head = ["fact", "changed"].map(str::to_owned).to_vec();
        Panel::new("facts", "Its facts", said, 6, Body::Table(Table::new(head, rows)))
    }
}
