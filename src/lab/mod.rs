//! The vocabulary: what a lab is, what it shows, and what it may ask.
//!
//! A lab turns parameters into frames. It knows its mechanism and its data; it does not know the page, the
//! engine that it runs in, or the clock. A [`Card`] is what it says of itself without running, which is all
//! that the page links: no tensor library comes with it.

pub mod columns;
pub mod error;
pub mod guess;
pub mod history;
pub mod host;
pub mod judge;
pub mod panel;
pub mod params;
pub mod read;
pub mod sending;
pub mod state;

use std::future::Future;

pub use error::LabError;
pub use history::{History, history_chart};
pub use host::{Host, HttpRequest, HttpResponse, Task, World};
pub use judge::{Bound, Experiment, Measure, Outcome};
pub use panel::{Body, Cell, Frame, Node, Offer, Panel, Placed, Readout, Table, Token, Tokens, Tree};
pub use params::{ParamProblem, ParamSet, ParamSpec, Scope, Values};
pub(crate) use read::lost;
pub use read::{Readings, read, read_each, seeded, tensor};
pub use state::State;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A small model that is trained or executed live.
pub trait Lab: Sized + 'static {
    const CARD: Card;
    type Params: ParamSet;

    /// Builds the run. Cheap enough to repeat.
    fn start(params: &Self::Params, host: &Host) -> impl Future<Output = Result<Self, LabError>>;

    /// One unit worth showing. Computes at most 50 ms without awaiting.
    fn step(&mut self, host: &Host) -> impl Future<Output = Result<Status, LabError>>;

    /// Reads back what steps have left on the device, before anything is shown or saved: on a GPU each reading waits
    /// for all that was asked of it, so many steps share one. See [`Readings`].
    fn settle(&mut self) -> impl Future<Output = Result<(), LabError>> {
        async { Ok(()) }
    }

    /// A [`Scope::Live`] or [`Scope::View`] parameter changed: what must be computed anew for the next frame.
    fn change(&mut self, _params: &Self::Params, _host: &Host) -> impl Future<Output = Result<(), LabError>> {
        async { Ok(()) }
    }

    /// What is seen now, after [`settle`](Self::settle). Pure: never touches the device.
    fn frame(&self, params: &Self::Params) -> Frame;

    /// Weights, optimizer and histories as plain numbers.
    fn save(&self) -> impl Future<Output = Result<State, LabError>>;

    /// The inverse of [`save`](Self::save), on a run started with the same parameters.
    fn restore(&mut self, state: &State, host: &Host) -> impl Future<Output = Result<(), LabError>>;

    /// What settings must agree in for their runs to share tensors, with a leading replica dimension: the setting itself,
    /// with whatever may differ made the same. None where each runs alone.
    fn alike(_params: &Self::Params) -> Option<Self::Params> {
        None
    }

    /// Builds the runs of settings that are [`alike`](Self::alike) as one, on shared tensors.
    fn start_together(settings: &[Self::Params], host: &Host) -> impl Future<Output = Result<Self, LabError>> {
        assert_eq!(settings.len(), 1, "runs of a lab that says of no two that they are alike");
        Self::start(&settings[0], host)
    }

    /// The readouts of one of the runs that [started together](Self::start_together), after
    /// [`settle`](Self::settle).
    fn readouts(&self, _run: usize, params: &Self::Params) -> Readouts {
        self.frame(params).readouts()
    }

    /// What a run that ended in a batch has found, if that is more than its readouts.
    fn found(&self) -> Table {
        Table::default()
    }
}

/// What a run leaves when it is over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Left {
    pub readouts: Readouts,
    /// Lines that a batch gathers; none, where numbers say all.
    pub found: Table,
}

/// What many settings run to their ends have left, each told when it is done: on the CPU one after another, on a GPU
/// as many together as are [`alike`](Lab::alike).
///
/// # Errors
///
/// The first run that fails ends the batch.
pub async fn batch<L: Lab>(
    settings: &[L::Params],
    host: &Host,
    done: &mut dyn FnMut(usize, Left),
) -> Result<(), LabError> {
    let mut left: Vec<usize> = (0..settings.len()).collect();
    while let Some(&first) = left.first() {
        let shared = L::alike(&settings[first]);
        let alike = |run: &usize| *run == first || shared.is_some() && L::alike(&settings[*run]) == shared;
        let together: Vec<usize> = left.iter().copied().filter(alike).take(host.together).collect();
        left.retain(|run| !together.contains(run));
        let runs: Vec<L::Params> = together.iter().map(|&run| settings[run].clone()).collect();
        let mut lab = L::start_together(&runs, host).await?;
        while lab.step(host).await? == Status::Running {
            host.breathe().await;
        }
        lab.settle().await?;
        for (index, run) in together.into_iter().enumerate() {
            done(run, Left { readouts: lab.readouts(index, &settings[run]), found: lab.found() });
        }
    }
    Ok(())
}

/// What a step leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Running,
    /// Nothing to do until a parameter changes.
    Idle,
    Done,
}

/// Named numbers of a frame.
pub type Readouts = BTreeMap<String, f64>;

/// What a lab says of itself without running.
#[derive(Clone, Copy)]
pub struct Card {
    /// In the address; kebab-case.
    pub slug: &'static str,
    /// On its tab.
    pub title: &'static str,
    /// A question that its figures answer.
    pub hook: &'static str,
    pub page: Page,
    /// What it shows the mechanism of; the first is the one whose card lists its claims.
    pub papers: &'static [Paper],
    /// Whether anything is drawn at random, so that another seed is another run.
    pub chance: bool,
    pub presets: &'static [Preset],
    pub experiments: &'static [Experiment],
    pub batches: &'static [BatchSpec],
}

/// The page that a lab stands on, beside others, a tab each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Of the folder of its labs; kebab-case.
    pub slug: &'static str,
    /// What it is called.
    pub name: &'static str,
}

/// A paper, as the page cites it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paper {
    pub slug: &'static str,
    /// What its mechanism is called.
    pub name: &'static str,
    pub title: &'static str,
    /// "Gillman et al., ICLR 2025".
    pub cite: &'static str,
    pub authors: &'static str,
    pub arxiv: &'static str,
    pub repository: &'static str,
    /// What the paper claims, in one sentence.
    pub claim: &'static str,
}

/// A setting with a name. Where its query begins with `&`, it changes what it names and leaves the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    pub label: &'static str,
    pub query: &'static str,
}

/// Many runs that one figure gathers: a sweep, a map.
#[derive(Clone, Copy)]
pub struct BatchSpec {
    pub id: &'static str,
    /// On the button that starts it.
    pub label: &'static str,
    /// The settings, as changes of the lab's present ones: `(label, query)`.
    pub rows: fn(&Values) -> Vec<(String, String)>,
    /// The figures of the rows that are done.
    pub draw: fn(&[Row]) -> Vec<Panel>,
}

/// One finished run of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub label: String,
    /// The whole setting, so that the row opens as its own run.
    pub query: String,
    pub readouts: Readouts,
    /// As in [`Left`].
    pub found: Table,
}
