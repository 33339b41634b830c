//! Two labs of plain numbers, for what must hold whatever a lab computes: every kind of parameter, every kind of
//! panel, and everything that a lab may ask of the world.

use heads_and_tails::chart::{Axis, Chart, Ink, Mark};
use heads_and_tails::drive::Runner;
use heads_and_tails::lab::panel::{Arc, Moves};
use heads_and_tails::lab::params::{FileName, Secret};
use heads_and_tails::lab::{
    BatchSpec, Body, Bound, Card, Cell, Experiment, Frame, Host, HttpRequest, Lab, LabError, Measure, Node, Page,
    Panel, Readout, Row, State, Status, Table, Token, Tokens, Tree, Values,
};
use heads_and_tails::seed::Stream;
use heads_and_tails::{choices, params};

/// How both are run.
pub static RUNNERS: &[Runner] = &[Runner::of::<MadeUp>(), Runner::of::<Still>()];

/// Where the walk starts, in the site's files.
pub const ASSET: &str = "made-up/start.txt";

choices! {
    pub enum Shape {
        Round = "round", "round";
        Flat = "flat-top", "flat on top";
    }
}

params! {
    pub struct MadeUpParams {
        /// Steps of the whole run.
        steps: u64 = int("Steps", 20, 1..=100000),
        /// Numbers added in each step.
        draws: usize = int("Draws", 2, 0..=64).word("none", 0).symbol("n"),
        /// Size of a step of the walk.
        rate: f64 = real("Rate", 0.5, 1e-3..=2.0).live().aliases(&["learning_rate", "lr"]).symbol("η"),
        /// Draws the start as a level.
        level: bool = toggle("Show the start", true).view().swatch(Ink::Truth),
        /// How the walk is drawn.
        shape: Shape = choice("Shape", Shape::Round.value(), Shape::OPTIONS).view(),
        /// Where the walk is drawn to, one number after another.
        target: Vec<f32> = numbers("Target", 8, -1.0..=1.0).live(),
        /// Points that may be dragged.
        handles: Vec<[f32; 2]> = points("Handles", 4, -2.0..=2.0).view(),
        /// A sentence whose words are the tokens.
        sentence: String = text("Sentence", "one two three", 40).view(),
        /// The token that is looked at.
        token: Option<usize> = pick("Token", 5).view(),
        /// A file whose length the walk starts from.
        table: FileName = file("Table", 1 << 20, ".csv").more(),
        /// Asks the reader's endpoint in the third step.
        ask: bool = toggle("Ask", false).more(),
        /// Where the endpoint is.
        endpoint: Secret = address("Address", 60).more(),
        /// The key for the endpoint.
        password: Secret = secret("Key", 40).more(),
    }
}

/// A random walk.
pub struct MadeUp {
    params: MadeUpParams,
    step: u64,
    start: f32,
    walk: Vec<f32>,
    answered: f32,
}

/// A sweep over the seeds, with the setting otherwise as it is.
pub const SEEDS: BatchSpec = BatchSpec { id: "seeds", label: "Try six seeds", rows: seed_rows, draw: draw_seeds };

fn seed_rows(values: &Values) -> Vec<(String, String)> {
    let row = |seed: u64| (format!("seed {seed}"), format!("{}&seed={seed}", values.to_query()));
    (1..=6).map(row).collect()
}

fn draw_seeds(rows: &[Row]) -> Vec<Panel> {
    let ends = rows.iter().enumerate().map(|(index, row)| [index as f32, row.readouts["value"] as f32]);
    let marks = vec![Mark::Dots { name: "end".to_owned(), ink: Ink::Method, points: ends.collect() }];
    let chart = Chart::new(Axis::new("row", 0.0..6.0), Axis::new("value", -50.0..50.0), marks);
    vec![Panel::new("seeds", "Where walks end", "The end of each walk.", 6, Body::Chart(chart))]
}

/// A claim whose first inequality holds and whose second fails for one of two seeds.
pub const STAYS: Experiment = Experiment {
    id: "stays",
    claim: "Who draws nothing stays",
    paper: "made-up",
    point: 1,
    how: "Thirty steps with and without draws.",
    quick: true,
    runs: &[("still", "steps=30&draws=none"), ("moving", "steps=30&draws=64")],
    seeds: &[1, 2],
    measures: &[
        Measure {
            name: "still, from where it started",
            figure: |runs| (runs.get("still", "value") - 7.0).abs(),
            needed: Bound::AtMost(0.0),
            card: Bound::AtMost(0.1),
            card_measured: "0",
        },
        Measure {
            name: "moving, above where it started",
            figure: |runs| runs.get("moving", "value") - 7.0,
            needed: Bound::AtLeast(0.0),
            card: Bound::AtLeast(0.0),
            card_measured: "a coin toss",
        },
    ],
};

impl MadeUp {
    fn value(&self) -> f32 {
        self.walk.last().copied().unwrap_or(self.start)
    }
}

impl Lab for MadeUp {
    const CARD: Card = Card {
        slug: "made-up",
        title: "Made up",
        hook: "Where does a walk go?",
        page: Page { slug: "made-up", name: "Made up" },
        papers: &[],
        chance: true,
        presets: &[],
        experiments: &[STAYS],
        batches: &[SEEDS],
    };
    type Params = MadeUpParams;

    async fn start(params: &MadeUpParams, host: &Host) -> Result<Self, LabError> {
        let key = format!("made-up start {}", params.seed);
        let start = match host.kept(&key).await? {
            Some(bytes) => bytes.first().copied().map_or(0.0, f32::from),
            None => {
                let text = String::from_utf8_lossy(&host.asset(ASSET).await?).into_owned();
                let number: u8 = text.trim().parse().map_err(|_| LabError::data("The start is not a number."))?;
                host.keep(&key, &[number]).await?;
                f32::from(number)
            }
        };
        let start = host.file("table").map_or(start, |bytes| bytes.len() as f32);
        Ok(Self { params: params.clone(), step: 0, start, walk: Vec::new(), answered: 0.0 })
    }

    async fn step(&mut self, host: &Host) -> Result<Status, LabError> {
        if self.params.ask && self.step == 2 {
            let request = HttpRequest { method: "POST".to_owned(), path: "/answer".to_owned(), body: b"?".to_vec() };
            self.answered = f32::from(host.http(request).await?.status);
        }
        let mut stream = Stream::at(self.params.seed, "walk", self.step);
        let drawn: f64 = (0..self.params.draws).map(|_| stream.normal(0.0, 1.0)).sum();
        let pull = self.params.target.get(self.step as usize % 8).copied().unwrap_or(0.0);
        self.walk.push(self.value() + (self.params.rate * drawn) as f32 + pull);
        self.step += 1;
        Ok(if self.step >= self.params.steps { Status::Done } else { Status::Running })
    }

    async fn change(&mut self, params: &MadeUpParams, _host: &Host) -> Result<(), LabError> {
        self.params = params.clone();
        Ok(())
    }

    fn frame(&self, params: &MadeUpParams) -> Frame {
        let points = self.walk.iter().enumerate().map(|(index, &value)| [index as f32 + 1.0, value]);
        let mut marks = vec![match params.shape {
            Shape::Round => Mark::line("walk", Ink::Method, points),
            Shape::Flat => Mark::Stems { name: "walk".to_owned(), ink: Ink::Method, points: points.collect() },
        }];
        if params.level {
            marks.push(Mark::Level { name: "start".to_owned(), y: self.start });
        }
        marks.push(Mark::Handles {
            name: "handles".to_owned(),
            ink: Ink::Guess,
            first: 0,
            points: params.handles.clone(),
        });
        let chart = Chart::new(Axis::new("step", 0.0..params.steps as f64), Axis::new("value", -50.0..50.0), marks);
        let words: Vec<&str> = params.sentence.split_whitespace().collect();
        let token = |(index, word): (usize, &&str)| Token {
            text: (*word).to_owned(),
            note: "word".to_owned(),
            class: Some((index % 8) as u8),
            chosen: params.token == Some(index),
        };
        let tokens = Tokens {
            tokens: words.iter().enumerate().map(token).collect(),
            arcs: (1..words.len()).map(|from| Arc { from, to: from - 1, share: 0.5, above: true }).collect(),
            moves: Some(Moves {
                key: "sentence".to_owned(),
                words: words.iter().map(|word| (*word).to_owned()).collect(),
                word_of: (0..words.len()).collect(),
            }),
            wraps: false,
            many: false,
        };
        let line = Cell::Line { ink: Ink::Method, values: self.walk.clone() };
        let table = Table::new(
            vec!["what".to_owned(), "value".to_owned(), "so far".to_owned()],
            vec![vec![Cell::Text("walk".to_owned()), Cell::Number(f64::from(self.value())), line]],
        );
        let node = |parent, text: &str| Node {
            parent,
            value: String::new(),
            text: text.to_owned(),
            note: String::new(),
            ink: Ink::Method,
            chosen: false,
        };
        let nodes = vec![node(None, "start"), node(Some(0), "walk"), node(Some(0), "stay")];
        let tree = Tree { columns: vec![], nodes };
        let readouts = vec![
            Readout::new("value", "walk", Ink::Method, "value", "", f64::from(self.value())),
            Readout::new("answered", "endpoint", Ink::Data, "status", "", f64::from(self.answered)),
        ];
        let said = format!("The {{method|walk}} stands at **{:.2}**.", self.value());
        Frame {
            step: self.step,
            of: Some(params.steps),
            panels: vec![
                Panel::new("walk", "The walk", said, 4, Body::Chart(chart)).edits("handles"),
                Panel::new("words", "The words", "Each looks at the one before.", 2, Body::Tokens(tokens)),
                Panel::new("table", "A table", "The walk as a row.", 2, Body::Table(table)),
                Panel::new("tree", "A tree", "Where it may go.", 2, Body::Tree(tree)),
                Panel::new("numbers", "Numbers", "Where it is.", 2, Body::Readouts(readouts)),
            ],
            offers: Vec::new(),
        }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.step);
        state.put("walk", vec![self.walk.clone()]);
        state.put("start", vec![vec![self.start, self.answered]]);
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        self.walk = state.get("walk")?.concat();
        let numbers = state.get("start")?.concat();
        let &[start, answered] = numbers.as_slice() else { return Err(LabError::data("The start is missing.")) };
        (self.start, self.answered, self.step) = (start, answered, state.step);
        Ok(())
    }
}

params! {
    pub struct StillParams {
        /// What is doubled.
        number: f64 = real("Number", 1.0, -10.0..=10.0).live(),
        /// Shows the number with its sign turned.
        turned: bool = toggle("Turned", false).view(),
    }
}

/// Doubles a number, and then has nothing to do until it changes.
pub struct Still {
    number: f64,
    doubled: f64,
    changes: u64,
}

impl Lab for Still {
    const CARD: Card = Card { slug: "still", title: "Still", hook: "What is twice the number?", ..MadeUp::CARD };
    type Params = StillParams;

    async fn start(params: &StillParams, _host: &Host) -> Result<Self, LabError> {
        Ok(Self { number: params.number, doubled: f64::NAN, changes: 0 })
    }

    async fn step(&mut self, _host: &Host) -> Result<Status, LabError> {
        self.doubled = 2.0 * self.number;
        Ok(Status::Idle)
    }

    async fn change(&mut self, params: &StillParams, host: &Host) -> Result<(), LabError> {
        // What changes may have to be computed, and so awaited.
        host.asset(ASSET).await?;
        self.number = params.number;
        self.changes += 1;
        Ok(())
    }

    fn frame(&self, params: &StillParams) -> Frame {
        let sign = if params.turned { -1.0 } else { 1.0 };
        let readouts = vec![
            Readout::new("doubled", "number", Ink::Method, "doubled", "", sign * self.doubled),
            Readout::new("changes", "number", Ink::Data, "changes", "", self.changes as f64),
        ];
        let panel = Panel::new("numbers", "Numbers", "Twice the number.", 2, Body::Readouts(readouts));
        Frame { step: self.changes, of: None, panels: vec![panel], offers: Vec::new() }
    }

    async fn save(&self) -> Result<State, LabError> {
        let mut state = State::new(self.changes);
        state.put("doubled", vec![vec![self.doubled as f32, self.number as f32]]);
        Ok(state)
    }

    async fn restore(&mut self, state: &State, _host: &Host) -> Result<(), LabError> {
        if let &[doubled, number] = state.get("doubled")?.concat().as_slice() {
            (self.doubled, self.number) = (f64::from(doubled), f64::from(number));
        }
        self.changes = state.step;
        Ok(())
    }
}
