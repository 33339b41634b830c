//! One panel on the page: its name, its tools, its picture, its caption. Every lab gets the same.

mod plot;
mod save;
mod tables;
mod tokens;
mod touch;

use heads_and_tails::chart::svg::{Size, svg};
use heads_and_tails::chart::{Chart, Ink};
use heads_and_tails::lab::panel::{SummaryPart, summary_parts};
use heads_and_tails::lab::{Body, Panel};
use leptos::prelude::*;
use leptos::{ev, html};

/// What the tools of a panel show, as paths on 16 by 16.
const TABLE_ICON: &str = "M2.5 3.5h11v9h-11zM2.5 6.5h11M2.5 9.5h11M6.5 6.5v6";
const SAVE_ICON: &str = "M8 2.5v7M5 7l3 3 3-3M3 12.5h10";
const FULL_ICON: &str = "M9.5 3H13v3.5M6.5 13H3V9.5M13 3 9 7M3 13l4-4";

/// One panel: name, tools, picture, caption.
#[component]
pub fn Figure(
    /// Its number in its kind: "Fig. 1", "Table 1".
    label: String,
    #[prop(into)] panel: Signal<Panel>,
    /// Sets a parameter: key, and text as it stands in a link.
    on_edit: Callback<(String, String)>,
    /// Whether the reader is holding something, told at both ends of a drag.
    #[prop(default = Callback::new(|_| ()))]
    on_hold: Callback<bool>,
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
        kind.track();
        panel.with_untracked(|panel| match panel.body {
            Body::Chart(_) => BodyKind::Chart,
            Body::Tokens(_) => BodyKind::Tokens,
            Body::Table(_) => BodyKind::Table,
            Body::Tree(_) => BodyKind::Tree,
            Body::Readouts(_) => BodyKind::Readouts,
        })
    };
    let content = move || match body() {
        BodyKind::Chart => view! { <plot::Plot panel full on_edit on_hold/> }.into_any(),
        BodyKind::Tokens => view! { <tokens::TokenStrip panel on_edit/> }.into_any(),
        BodyKind::Table => view! { <tables::Tabulated panel/> }.into_any(),
        BodyKind::Tree => view! { <tokens::TreeList panel/> }.into_any(),
        BodyKind::Readouts => view! { <tables::ReadoutTable panel/> }.into_any(),
    };
    let has_numbers = move || matches!(body(), BodyKind::Chart | BodyKind::Tokens);
    view! {
        <section class=format!("panel span-{span}") id=id aria-labelledby=labelled node_ref=section>
            <div class="panel-head">
                <h2 id=title_id><span class="fig">{label}</span>{title}</h2>
                <div class="panel-tools">
                    {move || has_numbers().then(|| view! { <TableToggle title as_table/> })}
                    <save::Saving panel/>
                    <FullScreen title section full/>
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

/// A sign on a button that has its name elsewhere.
fn icon(path: &'static str) -> impl IntoView {
    view! { <svg class="ico" viewBox="0 0 16 16" aria-hidden="true"><path d=path/></svg> }
}

#[component]
fn TableToggle(title: Memo<String>, as_table: RwSignal<bool>) -> impl IntoView {
    view! {
        <button type="button" class="btn btn--quiet btn--s btn--icon" title="Show the numbers"
            aria-label=move || format!("{}: show the numbers as a table", title.get())
            aria-pressed=move || as_table.get().to_string()
            on:click=move |_| as_table.update(|shown| *shown = !*shown)>{icon(TABLE_ICON)}</button>
    }
}

/// Absent where the browser cannot, as on an iPhone or in a frame that may not.
#[component]
fn FullScreen(title: Memo<String>, section: NodeRef<html::Section>, full: RwSignal<bool>) -> impl IntoView {
    let toggle = move |_| {
        if full.get_untracked() {
            document().exit_fullscreen();
        } else if section.get_untracked().is_some_and(|section| section.request_fullscreen().is_err()) {
            leptos::logging::log!("the browser refuses the full screen");
        }
    };
    document().fullscreen_enabled().then(|| {
        view! {
            <button type="button" class="btn btn--quiet btn--s btn--icon" title="Full screen"
                aria-label=move || format!("{}: full screen", title.get())
                aria-pressed=move || full.get().to_string() on:click=toggle>{icon(FULL_ICON)}</button>
        }
    })
}

/// The sentence under a figure, which is also what a screen reader hears.
#[component]
fn Caption(panel: Signal<Panel>) -> impl IntoView {
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

fn chart_of(panel: &Panel) -> Option<&Chart> {
    match &panel.body {
        Body::Chart(chart) => Some(chart),
        _ => None,
    }
}

/// The static picture of a panel, for cards on the home page. A panel that is no chart is told in words.
#[component]
pub fn Picture(panel: Panel) -> impl IntoView {
    let spoken = panel.spoken();
    match chart_of(&panel) {
        Some(chart) => {
            let picture = svg(chart, Size::new(360.0, 170.0));
            view! { <div class="poster-picture" role="img" aria-label=spoken inner_html=picture></div> }.into_any()
        }
        None => view! { <div class="poster-picture"><p class="panel-cap">{spoken}</p></div> }.into_any(),
    }
}
