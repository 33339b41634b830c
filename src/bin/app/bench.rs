//! The figures of a page: the lab's own, then those of its batches; in pairs while two settings are compared.

use heads_and_tails::lab::guess::Guess;
use heads_and_tails::lab::{Body, Panel};
use leptos::prelude::*;

use crate::figures::{Figure, Pen, Picture};
use crate::icons::{self, icon};
use crate::lab_page::poster;
use crate::pair::Pair;
use crate::session::Session;

#[component]
pub fn Bench(
    pair: Pair,
    /// The figures that are shown; all, if it names none.
    only: Vec<String>,
) -> impl IntoView {
    let session = pair.first;
    let panels = panels_of(session, session.entry.card.batches.len());
    let second = Memo::new(move |_| pair.second.get().map(|second| panels_of(second, 0)));
    let named = !only.is_empty();
    let names = Memo::new(move |_| {
        let mut names = panels.with(|panels| numbered(panels));
        names.retain(|(id, _)| (only.is_empty() || only.contains(id)) && !session.hides(id));
        names
    });
    let unknown = {
        let missing = move || named && names.with(Vec::is_empty) && session.frame.with(Option::is_some);
        let embed = session.asked.with_value(|at| at.embed);
        move || {
            missing().then(|| {
                // A frame is too narrow for a whole lab.
                let target = embed.then_some("_blank");
                view! { <p class="notice" role="status"><span>"This lab has no figure of that name. "<a href=move || session.whole() target=target rel="noopener">"Open the whole lab"</a></span></p> }
            })
        }
    };
    // Remembered, or every word of progress would draw all figures again.
    let flowing = Memo::new(move |_| session.flows());
    let paired = move || second.with(Option::is_some);
    view! {
        <div class="bench" class:is-paired=paired class:is-stale=move || session.stopped() class:is-earlier=move || session.shows_earlier()>
            {move || session.waiting.get().then(|| view! { <Cover pair/> })}
            {unknown}
            <For each=move || names.get() key=|name| name.clone() let:name>
                {
                    let (id, label) = name;
                    let panel = panel_of(panels, id.clone());
                    let pen = pen(session, panel, id.clone());
                    let shown = Memo::new(move |_| with_guess(panel.get(), session.guess.get(), session.guessing.get()));
                    let shown = session.turns.follow(shown, flowing);
                    let on_edit = Callback::new(move |(key, text): (String, String)| session.set(&key, &text));
                    let on_hold = Callback::new(move |on| session.hold(on));
                    let sides = [format!("{label} A"), format!("{label} B")];
                    let first = {
                        let plain = label.clone();
                        let lettered = sides[0].clone();
                        Memo::new(move |_| if paired() { lettered.clone() } else { plain.clone() })
                    };
                    // Only once it has a panel to show: a figure is built for the kind of its first.
                    let has_other = {
                        let id = id.clone();
                        Memo::new(move |_| second.get().is_some_and(|panels| panels.with(|all| all.iter().any(|panel| panel.id == id))))
                    };
                    let other = move || second.get().filter(|_| has_other.get()).map(|panels| {
                        let panel = panel_of(panels, id.clone());
                        // One page has each name once.
                        let panel = Memo::new(move |_| { let mut panel = panel.get(); panel.id = format!("second-{}", panel.id); panel });
                        let panel = session.turns.follow(panel, flowing);
                        let on_edit = Callback::new(move |(key, text): (String, String)| pair.set_second(&key, &text));
                        view! { <Figure label=Signal::stored(sides[1].clone()) panel on_edit on_hold/> }
                    });
                    view! {
                        <Figure label=first panel=shown on_edit on_hold pen/>
                        {other}
                    }
                }
            </For>
        </div>
    }
}

/// The ids of panels, and what each is called on a page that has them all.
pub fn numbered(panels: &[Panel]) -> Vec<(String, String)> {
    let (mut figures, mut tables) = (0, 0);
    let named = |panel: &Panel| {
        let label = match panel.body {
            Body::Table(_) | Body::Readouts(_) => {
                tables += 1;
                format!("Table {tables}")
            }
            _ => {
                figures += 1;
                format!("Fig. {figures}")
            }
        };
        (panel.id.clone(), label)
    };
    panels.iter().map(named).collect()
}

/// The panels of a run and of its batches. A parameter that the address locks is not edited in a figure either.
fn panels_of(session: Session, batches: usize) -> Memo<Vec<Panel>> {
    let of_others = session.entry.card.batches.iter().map(|batch| {
        Memo::new(move |_| {
            session.rows.with(|rows| rows.get(batch.id).is_some_and(|rows| session.is_of_others(batch, rows)))
        })
    });
    let of_others: Vec<Memo<bool>> = of_others.collect();
    Memo::new(move |_| {
        let mut panels =
            session.frame.with(|frame| frame.as_ref().map(|frame| frame.panels.clone()).unwrap_or_default());
        session.rows.with(|rows| {
            for (batch, of_others) in session.entry.card.batches.iter().zip(&of_others).take(batches) {
                let Some(rows) = rows.get(batch.id).filter(|rows| !rows.is_empty()) else { continue };
                let mut drawn = (batch.draw)(rows);
                if of_others.get() {
                    let earlier = format!("Of an earlier setting; “{}” runs it with this one.", batch.label);
                    drawn.iter_mut().for_each(|panel| panel.summary = format!("{earlier} {}", panel.summary));
                }
                panels.extend(drawn);
            }
        });
        for panel in &mut panels {
            panel.edits = panel.edits.take().filter(|key| !session.locks(key));
        }
        panels
    })
}

/// One of them, which keeps its last state in the moment in which it goes.
fn panel_of(panels: Memo<Vec<Panel>>, id: String) -> Memo<Panel> {
    let nothing = || Panel::new("nothing", "", "", 2, Body::Readouts(Vec::new()));
    Memo::new(move |before: Option<&Panel>| {
        let found = panels.with(|panels| panels.iter().find(|panel| panel.id == id).cloned());
        found.or_else(|| before.cloned()).unwrap_or_else(nothing)
    })
}

fn with_guess(mut panel: Panel, guess: Option<Guess>, guessing: bool) -> Panel {
    if let Some(guess) = guess.filter(|guess| guess.panel == panel.id) {
        guess.on(&mut panel, !guessing);
        // A stroke is either a guess or an edit.
        panel.edits = panel.edits.filter(|_| !guessing);
    }
    panel
}

fn pen(session: Session, panel: Memo<Panel>, id: String) -> Pen {
    let guess = Signal::derive(move || session.guess.get().filter(|guess| guess.panel == id));
    Pen {
        guess,
        down: Signal::derive(move || session.guessing.get() && guess.with(Option::is_some)),
        on_stroke: Callback::new(move |(from, to, anew)| session.draw_guess(from, to, anew)),
        on_toggle: Callback::new(move |()| session.guess_on(&panel.get_untracked())),
    }
}

/// What stands before the engine is asked for: the recorded picture, and the button that asks.
#[component]
fn Cover(pair: Pair) -> impl IntoView {
    let slug = pair.first.entry.card.slug;
    let recorded = LocalResource::new(move || poster(slug));
    view! {
        <div class="poster-cover">
            <button type="button" class="btn btn--primary press" on:click=move |_| pair.each(|session| session.play(true))>
                {icon(icons::PLAY)}<span>"Run it here"</span>
            </button>
            {move || recorded.get().flatten().map(|panel| view! { <span class="recorded">"recorded"</span><div class="dim"><Picture panel/></div> })}
        </div>
    }
}
