//! One panel on the page: its name, its tools, its picture, its caption. Every lab gets the same.

mod plot;
mod save;
mod tables;
mod tokens;
mod touch;
mod tree;

use heads_and_tails::chart::svg::{Size, svg};
use heads_and_tails::chart::{Chart, Ink};
use heads_and_tails::lab::guess::{Guess, can_be_guessed};
use heads_and_tails::lab::panel::{SummaryPart, summary_parts};
use heads_and_tails::lab::{Body, Panel};
use leptos::prelude::*;
use leptos::{ev, html};
pub use plot::{FitsFrame, Plot};

use crate::icons::{self, icon};

/// How the reader draws on a panel what they expect of the run.
#[derive(Clone, Copy)]
pub struct Pen {
    /// The curve on this panel.
    pub guess: Signal<Option<Guess>>,
    /// Whether strokes draw now.
    pub down: Signal<bool>,
    /// A stroke, from and to, in the chart's own numbers, and whether it begins the curve anew.
    pub on_stroke: Callback<([f32; 2], [f32; 2], bool)>,
    /// Takes the pen up for this panel, or the curve away.
    pub on_toggle: Callback<()>,
}

/// One panel: name, tools, picture, caption.
#[component]
pub fn Figure(
    /// Its number in its kind: "Fig. 1", "Table 1".
    #[prop(into)]
    label: Signal<String>,
    #[prop(into)] panel: Signal<Panel>,
    /// Sets a parameter: key, and text as it stands in a link.
    on_edit: Callback<(String, String)>,
    /// Whether the reader is holding something, told at both ends of a drag.
    #[prop(default = Callback::new(|_| ()))]
    on_hold: Callback<bool>,
    #[prop(optional)] pen: Option<Pen>,
) -> impl IntoView {
    let section = NodeRef::<html::Section>::new();
    let (as_table, full) = (RwSignal::new(false), RwSignal::new(false));
    let left = window_event_listener(ev::fullscreenchange, move |_| {
        let shown = document().fullscreen_element();
        full.set(shown.is_some_and(|shown| section.get_untracked().is_some_and(|mine| *mine == shown)));
    });
    on_cleanup(move || left.remove());
    let (id, span) = panel.with_untracked(|panel| (panel.id.clone(), panel.span));
    let (title_id, labelled) = (format!("{id}-t"), format!("{id}-t"));
    let title = Memo::new(move |_| panel.with(|panel| panel.title.clone()));
    // The picture is built once for each kind; what is in it changes with every frame.
    let kind = Memo::new(move |_| panel.with(|panel| std::mem::discriminant(&panel.body)));
    let body = move || {
        let _kind = kind.get();
        panel.with_untracked(|panel| match panel.body {
            Body::Chart(_) => BodyKind::Chart,
            Body::Tokens(_) => BodyKind::Tokens,
            Body::Table(_) => BodyKind::Table,
            Body::Tree(_) => BodyKind::Tree,
            Body::Readouts(_) => BodyKind::Readouts,
        })
    };
    let content = move || match body() {
        BodyKind::Chart => view! { <Plot panel full on_edit on_hold pen/> }.into_any(),
        BodyKind::Tokens => view! { <tokens::TokenStrip panel on_edit/> }.into_any(),
        BodyKind::Table => view! { <tables::Tabulated panel/> }.into_any(),
        BodyKind::Tree => view! { <tree::TreeView panel on_edit/> }.into_any(),
        BodyKind::Readouts => view! { <tables::ReadoutTable panel/> }.into_any(),
    };
    let toggle = Callback::new(move |()| {
        if full.get_untracked() {
            document().exit_fullscreen();
        } else if section.get_untracked().is_some_and(|section| section.request_fullscreen().is_err()) {
            leptos::logging::log!("the browser refuses the full screen");
        }
    });
    // Not where the browser cannot, as on an iPhone or in a frame that may not.
    let full_screen = document().fullscreen_enabled().then_some(toggle);
    let has_numbers = move || matches!(body(), BodyKind::Chart | BodyKind::Tokens);
    view! {
        <section class=format!("panel span-{span}") id=id aria-labelledby=labelled node_ref=section>
            <div class="panel-head">
                <h2 id=title_id><span class="fig">{label}</span>{title}</h2>
                <div class="panel-tools">
                    {pen.map(|pen| view! { <GuessToggle title panel pen/> })}
                    {move || has_numbers().then(|| view! { <TableToggle title as_table/> })}
                    <save::Saving panel full_screen/>
                    {full_screen.map(|toggle| view! { <FullScreen title full toggle/> })}
                </div>
            </div>
            {content}
            {move || (as_table.get() && has_numbers()).then(|| view! { <tables::Numbers panel/> })}
            <Caption panel/>
        </section>
    }
}

#[derive(Clone, Copy)]
enum BodyKind {
    Chart,
    Tokens,
    Table,
    Tree,
    Readouts,
}

#[component]
fn TableToggle(title: Memo<String>, as_table: RwSignal<bool>) -> impl IntoView {
    view! {
        <button type="button" class="btn btn--quiet btn--s btn--icon" title="Show the numbers"
            aria-label=move || format!("{}: show the numbers as a table", title.get())
            aria-pressed=move || as_table.get().to_string()
            on:click=move |_| as_table.update(|shown| *shown = !*shown)>{icon(icons::TABLE)}</button>
    }
}

/// Only where there is a line to guess.
#[component]
fn GuessToggle(title: Memo<String>, panel: Signal<Panel>, pen: Pen) -> impl IntoView {
    let drawn = Memo::new(move |_| pen.guess.with(Option::is_some));
    let offered = Memo::new(move |_| drawn.get() || panel.with(can_be_guessed));
    let label = move || {
        let name = title.get();
        if drawn.get() { format!("{name}: take your guess away") } else { format!("{name}: draw your guess first") }
    };
    move || {
        offered.get().then(|| {
            view! {
                <button type="button" class="btn btn--quiet btn--s btn--icon" title="Draw your guess, then play"
                    aria-label=label aria-pressed=move || drawn.get().to_string()
                    on:click=move |_| pen.on_toggle.run(())>{icon(icons::PENCIL)}</button>
            }
        })
    }
}

#[component]
fn FullScreen(title: Memo<String>, full: RwSignal<bool>, toggle: Callback<()>) -> impl IntoView {
    view! {
        <button type="button" class="btn btn--quiet btn--s btn--icon roomy" title="Full screen"
            aria-label=move || format!("{}: full screen", title.get())
            aria-pressed=move || full.get().to_string() on:click=move |_| toggle.run(())>{icon(icons::FULL)}</button>
    }
}

/// The sentence under a figure, which is also what a screen reader hears.
#[component]
pub fn Caption(#[prop(into)] panel: Signal<Panel>) -> impl IntoView {
    let summary = Memo::new(move |_| panel.with(|panel| panel.summary.clone()));
    let parts = move || summary_parts(&summary.get()).into_iter().map(caption_part).collect_view();
    view! { <p class="panel-cap">{parts}</p> }
}

fn caption_part(SummaryPart { text, bold, role }: SummaryPart) -> AnyView {
    let inner = match role.and_then(key_class) {
        Some(class) => view! { <span class=class>{text}</span> }.into_any(),
        None => text.into_any(),
    };
    if bold { view! { <b>{inner}</b> }.into_any() } else { inner }
}

/// The underline that a role has in prose. Data and what stands aside have none.
fn key_class(ink: Ink) -> Option<&'static str> {
    match ink {
        Ink::Method => Some("key-m"),
        Ink::Baseline => Some("key-b"),
        Ink::Baseline2 => Some("key-b2"),
        Ink::Truth => Some("key-t"),
        Ink::Guess => Some("key-g"),
        Ink::Data | Ink::Muted => None,
    }
}

/// The short piece of line that stands for a role in tables and read-outs.
fn swatch_class(ink: Ink) -> &'static str {
    match ink {
        Ink::Method => "swatch",
        Ink::Baseline => "swatch b",
        Ink::Baseline2 => "swatch b2",
        Ink::Truth => "swatch t",
        Ink::Guess => "swatch g",
        Ink::Data | Ink::Muted => "swatch muted",
    }
}

pub fn chart_of(panel: &Panel) -> Option<&Chart> {
    match &panel.body {
        Body::Chart(chart) => Some(chart),
        _ => None,
    }
}

/// The static picture of a panel, for cards on the home page. A panel that has none is told in words.
#[component]
pub fn Picture(panel: Panel) -> impl IntoView {
    let spoken = panel.spoken();
    match panel.body {
        Body::Chart(chart) => {
            let picture = svg(&chart, Size::new(360.0, 170.0));
            view! { <div class="poster-picture" role="img" aria-label=spoken inner_html=picture></div> }.into_any()
        }
        Body::Tokens(tokens) => {
            let tokens = tokens::still(&tokens);
            view! { <div class="poster-picture is-words" role="img" aria-label=spoken>{tokens}</div> }.into_any()
        }
        Body::Tree(tree) => {
            let tree = tree::still(&tree);
            view! { <div class="poster-picture" role="img" aria-label=spoken>{tree}</div> }.into_any()
        }
        Body::Table(_) | Body::Readouts(_) => {
            view! { <div class="poster-picture"><p class="panel-cap">{spoken}</p></div> }.into_any()
        }
    }
}
