//! Home: a lab that runs, and a card for each.

use heads_and_tails::lab::Panel;
use heads_and_tails::labs::{self, CATALOGUE, Entry, HERO};
use leptos::prelude::*;

use crate::Navigator;
use crate::address::Address;
use crate::controls::FewControls;
use crate::figures::{Caption, Picture, Plot};
use crate::head::SiteHead;
use crate::icons::{self, icon};
use crate::lab_page::{Notices, poster};
use crate::pair::Pair;
use crate::session::Session;
use crate::transport::{PlayButton, RunProgress, WholeLab};

#[component]
pub fn Home() -> impl IntoView {
    document().set_title("Heads & Tails");
    view! {
        <SiteHead/>
        <main id="main">
            {labs::entry(HERO.lab).map(|entry| view! { <HeroLab entry/> })}
            <Shelf/>
        </main>
        <footer class="foot">
            <p>"Nothing you do here is sent anywhere, but to a server whose address you type."</p>
            <p>"Code under MIT or Apache-2.0."</p>
        </footer>
    }
}

/// One figure of a lab, running, with a few of its controls.
#[component]
fn HeroLab(entry: &'static Entry) -> impl IntoView {
    let at = Address::read(&format!("?lab={}", entry.card.slug), "");
    let session = Session::aside(entry, at);
    let pair = Pair::new(session);
    let panel = Memo::new(move |before: Option<&Option<Panel>>| {
        let found = session.frame.with(|frame| {
            frame.as_ref().and_then(|frame| frame.panels.iter().find(|panel| panel.id == HERO.panel).cloned())
        });
        found.or_else(|| before.cloned().flatten())
    });
    let shown = Memo::new(move |_| panel.with(Option::is_some));
    let on_edit = Callback::new(move |(key, text): (String, String)| session.set(&key, &text));
    let figure = move || {
        shown.get().then(|| {
            let panel = Memo::new(move |_| panel.get().expect("it is shown, and what was shown stays"));
            view! { <Plot panel full=RwSignal::new(false) on_edit on_hold=Callback::new(move |on| session.hold(on)) pen=None/> }
        })
    };
    let caption = move || panel.get().map(|panel| view! { <Caption panel/> });
    view! {
        <section class="hero" aria-labelledby="hero-title">
            <h1 id="hero-title">{HERO.title}</h1>
            <p class="lead">{HERO.lead}</p>
            <div class="hero-lab">
                <div class="hero-bar">
                    <PlayButton pair/>
                    <button type="button" class="btn" on:click=move |_| session.next_seed()>{icon(icons::DICE)}"New draws"</button>
                    <button type="button" class="btn btn--icon" title="Undo" aria-label="Undo" disabled=move || session.past.with(Vec::is_empty)
                        on:click=move |_| session.undo()>{icon(icons::UNDO)}</button>
                    <div class="params hero-controls">
                        <FewControls specs=entry.specs keys=HERO.parameters values=session.values problems=session.problems on_set=on_edit/>
                    </div>
                </div>
                <Notices pair/>
                <div class="hero-plot panel">{figure}</div>
                <RunProgress session/>
                <div class="hero-foot">{caption}<p class="cap">{HERO.hint}" "<WholeLab session/></p></div>
            </div>
        </section>
    }
}

/// A card for each lab.
#[component]
pub fn Shelf() -> impl IntoView {
    view! {
        <section class="shelf" aria-labelledby="labs">
            <div class="shelf-head"><h2 id="labs">"Labs"</h2><p>"Each picture is recorded; the lab behind it runs."</p></div>
            <div class="cards cards--wide">{CATALOGUE.iter().map(|entry| view! { <LabCard entry/> }).collect_view()}</div>
        </section>
    }
}

#[component]
fn LabCard(entry: &'static Entry) -> impl IntoView {
    let navigator = expect_context::<Navigator>();
    let card = entry.card;
    let link = format!("?lab={}", card.slug);
    let poster = LocalResource::new(move || poster(card.slug));
    let go = link.clone();
    let paper = card.papers.first();
    view! {
        <article class="card">
            <p class="name"><span>{paper.map(|paper| paper.name)}</span><span class="when">{paper.map(|paper| paper.cite)}</span></p>
            {move || poster.get().flatten().map(|panel| view! { <Picture panel/> })}
            <h3><a href=link on:click=move |event| navigator.follow(&event, &go)>{card.title}</a></h3>
            <p>{card.hook}</p>
        </article>
    }
}
