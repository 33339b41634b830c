//! The open run, and the second one that it may be compared with.

use heads_and_tails::lab::Values;
use leptos::prelude::*;

use crate::address::{Address, Start};
use crate::session::Session;

#[derive(Clone, Copy)]
pub struct Pair {
    pub first: Session,
    /// There while two settings are compared: the first with what `compare` changes.
    pub second: RwSignal<Option<Session>>,
    /// Whether the controls set the second.
    pub on_second: RwSignal<bool>,
}

impl Pair {
    pub fn new(first: Session) -> Self {
        Self { first, second: RwSignal::new(None), on_second: RwSignal::new(false) }
    }

    /// Does the same with both.
    pub fn each(self, act: impl Fn(Session)) {
        act(self.first);
        if let Some(second) = self.second.get_untracked() {
            act(second);
        }
    }

    pub fn play_or_pause(self) {
        // What has nothing left to do can only begin anew.
        let on = !untrack(|| self.first.runs());
        self.each(|session| session.play(on));
    }

    /// The setting that the controls show. Tracked.
    pub fn values(self) -> Values {
        match self.second.get().filter(|_| self.on_second.get()) {
            Some(second) => second.values.get(),
            None => self.first.values.get(),
        }
    }

    /// Sets a parameter of the run that the controls are turned to.
    pub fn set(self, key: &str, text: &str) {
        if self.on_second.get_untracked() && self.second.get_untracked().is_some() {
            self.set_second(key, text);
        } else {
            self.first.set(key, text);
        }
    }

    /// Sets a parameter of the second run alone: what it differs in is what the link says.
    pub fn set_second(self, key: &str, text: &str) {
        if self.first.locks(key) {
            return;
        }
        let Some(mut values) = self.wanted() else { return };
        let problem = values.choose(key, text);
        if let Some(second) = self.second.get_untracked() {
            second.problems.set(problem.into_iter().collect());
        }
        self.first.compare.set(Some(self.first.values.with_untracked(|first| first.changes(&values))));
        self.first.mirror();
    }

    /// The setting of the second run.
    fn wanted(self) -> Option<Values> {
        let mut values = self.first.values.get_untracked();
        let _known = values.apply(&self.first.compare.get_untracked()?);
        Some(values)
    }

    /// Begins a comparison with an equal run, or ends it.
    pub fn compare(self, on: bool) {
        // Two runs would ask one server, and the one that asks already would lose its answers.
        if self.first.asks() {
            return;
        }
        self.first.compare.set(on.then(String::new));
        self.on_second.set(on);
        if on {
            // From the same start, or nothing could be compared.
            self.first.restart();
        }
        self.first.mirror();
    }
}

/// Keeps the second run for as long as this stands.
#[component]
pub fn Second(pair: Pair) -> impl IntoView {
    let first = pair.first;
    let wanted = move || {
        let mut values = first.values.get();
        let _known = values.apply(&first.compare.get().unwrap_or_default());
        values
    };
    let start = match (first.waiting.get_untracked(), first.playing.get_untracked()) {
        (true, _) => Start::Click,
        (false, true) => Start::AtOnce,
        (false, false) => Start::Paused,
    };
    let at = first.asked.with_value(|at| Address {
        params: untrack(wanted).to_query(),
        engine: first.engine.get_untracked(),
        speed: first.speed.get_untracked(),
        start,
        compare: None,
        guess: None,
        fault: None,
        mends: Vec::new(),
        ..at.clone()
    });
    let unknown = untrack(|| first.values.get().apply(&first.compare.get().unwrap_or_default()));
    first.problems.update(|problems| problems.extend(unknown));
    let second = Session::aside(first.entry, at);
    pair.second.set(Some(second));
    on_cleanup(move || pair.second.set(None));
    Effect::new(move |_| second.follow(wanted()));
}
