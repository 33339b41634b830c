//! Whose turn it is to be drawn. While a run flows, the figures of a page share the pictures of the screen, as many to
//! each as keep it on time: a page that draws six at once would stop answering while it does.

use std::collections::VecDeque;

use heads_and_tails::lab::Panel;
use leptos::prelude::*;

/// Milliseconds between two pictures of a screen that shows sixty a second, with what its clock rounds.
const ON_TIME: f64 = 17.5;
/// After so many, a picture was missed.
const LATE: f64 = 21.0;
/// More than any page has.
const ALL: f64 = 64.0;

#[derive(Clone, Copy)]
pub struct Turns(StoredValue<Queue, LocalStorage>);

/// A figure: what it shows, and the newest that it could.
type Figure = (RwSignal<Panel>, Memo<Panel>);

/// What is to be told when all were drawn.
type Then = Vec<Box<dyn FnOnce()>>;

struct Queue {
    /// Figures that have something new to show, each once.
    waiting: VecDeque<Figure>,
    then: Then,
    /// How many figures one picture takes.
    share: f64,
    /// The most that ever waited.
    most: usize,
    /// When the picture before was begun, if it drew something.
    last: Option<f64>,
    drawing: bool,
}

impl Turns {
    pub fn new() -> Self {
        Self(StoredValue::new_local(Queue {
            waiting: VecDeque::new(),
            then: Vec::new(),
            share: ALL,
            most: 0,
            last: None,
            drawing: false,
        }))
    }

    /// What of `panel` is to be shown: its newest at once, or, while `flowing`, when its turn comes.
    pub fn follow(self, panel: Memo<Panel>, flowing: Memo<bool>) -> Signal<Panel> {
        let shown = RwSignal::new(panel.get_untracked());
        Effect::new(move |_| {
            panel.track();
            if flowing.get() {
                self.0.update_value(|queue| {
                    if !queue.waiting.iter().any(|(waits, _)| *waits == shown) {
                        queue.waiting.push_back((shown, panel));
                    }
                });
                self.draw();
            } else {
                show(shown, panel);
            }
        });
        shown.into()
    }

    /// Calls when everything that waits is drawn, and not before the next picture of the screen.
    pub fn then(self, call: impl FnOnce() + 'static) {
        self.0.update_value(|queue| queue.then.push(Box::new(call)));
        self.draw();
    }

    /// Begins to draw, if that has not begun.
    fn draw(self) {
        let begun = self.0.try_update_value(|queue| std::mem::replace(&mut queue.drawing, true));
        if begun == Some(false) {
            request_animation_frame(move || self.picture());
        }
    }

    fn picture(self) {
        // The page may be gone by now.
        let Some((figures, then)) = self.0.try_update_value(Queue::next) else { return };
        let idle = figures.is_empty() && then.is_empty();
        for (shown, panel) in figures {
            show(shown, panel);
        }
        then.into_iter().for_each(|call| call());
        // One more at the end, which tells what the last one took.
        if !idle {
            request_animation_frame(move || self.picture());
        }
    }
}

impl Queue {
    /// The figures of this picture; and, if they are the last, what is to be told then.
    fn next(&mut self) -> (Vec<Figure>, Then) {
        let now = window().performance().map_or(0.0, |clock| clock.now());
        self.most = self.most.max(self.waiting.len());
        match self.last.map(|last| now - last) {
            Some(gap) if gap > LATE => self.share = (self.share.min(self.most as f64) / 2.0).max(self.least()),
            Some(gap) if gap < ON_TIME => self.share = (self.share + 0.25).min(ALL),
            _ => {}
        }
        let figures: Vec<_> = self.waiting.drain(..self.waiting.len().min(self.share as usize)).collect();
        let then = if self.waiting.is_empty() { std::mem::take(&mut self.then) } else { Vec::new() };
        self.drawing = !(figures.is_empty() && then.is_empty());
        self.last = self.drawing.then_some(now);
        (figures, then)
    }

    /// A page is drawn in three pictures at most: on a slow machine it should not fall behind its own run as well.
    fn least(&self) -> f64 {
        (self.most as f64 / 3.0).ceil().max(1.0)
    }
}

fn show(shown: RwSignal<Panel>, panel: Memo<Panel>) {
    if let Some(panel) = panel.try_get_untracked() {
        let _gone = shown.try_set(panel);
    }
}
