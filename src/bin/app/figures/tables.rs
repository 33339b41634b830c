//! Numbers as tables: those of a chart, named read-outs, and a lab's own.

use std::time::Duration;

use heads_and_tails::chart::svg::css_class;
use heads_and_tails::chart::{Ink, number, table};
use heads_and_tails::lab::{Body, Cell, Panel, Readout, Table, Token, Tokens};
use leptos::prelude::*;

use super::swatch_class;

/// Rows that are shown when a chart is read as a table; the CSV has them all.
const ROWS: usize = 200;
/// A table with more rows scrolls in a box of its own.
const LONG: usize = 24;
/// Nobody reads a table that changes with every frame.
const PACE: Duration = Duration::from_millis(500);

/// The numbers of a picture: a chart's, or the arcs between tokens, or where there are none the tokens.
pub fn numbers(panel: &Panel) -> Option<table::Table> {
    match &panel.body {
        Body::Chart(chart) => Some(table::table(chart)),
        Body::Tokens(tokens) => Some(arcs(tokens)),
        _ => None,
    }
}

fn arcs(Tokens { tokens, arcs, .. }: &Tokens) -> table::Table {
    if arcs.is_empty() {
        return listed(tokens);
    }
    let named = |index: usize| tokens.get(index).map(|token| format!("{index} {}", token.text)).unwrap_or_default();
    let rows = arcs.iter().map(|arc| vec![named(arc.from), named(arc.to), number(f64::from(arc.share), 3)]);
    table::Table { head: ["from", "to", "share"].map(str::to_owned).to_vec(), rows: rows.collect() }
}

/// The tokens themselves.
pub fn listed(tokens: &[Token]) -> table::Table {
    let row = |(index, token): (usize, &Token)| vec![index.to_string(), token.text.clone(), token.note.clone()];
    let head = ["place", "text", "note"].map(str::to_owned).to_vec();
    table::Table { head, rows: tokens.iter().enumerate().map(row).collect() }
}

/// A value that follows another at a slower pace.
fn paced<T: Clone + Send + Sync + 'static>(
    of: impl Fn() -> T + Copy + Send + Sync + 'static,
    track: impl Fn() + 'static,
) -> RwSignal<T> {
    let shown = RwSignal::new(untrack(of));
    let waits = StoredValue::new(false);
    Effect::new(move |_| {
        track();
        if waits.get_value() {
            return;
        }
        waits.set_value(true);
        set_timeout(
            move || {
                // The table may have gone in the meantime.
                if waits.try_set_value(false).is_none() {
                    shown.set(untrack(of));
                }
            },
            PACE,
        );
    });
    shown
}

/// The picture's numbers as text.
#[component]
pub fn Numbers(panel: Signal<Panel>) -> impl IntoView {
    let name = move || panel.with(|panel| format!("{}: the numbers", panel.title));
    let shown = paced(move || panel.with(numbers), move || panel.track());
    let content = move || {
        let table::Table { head, rows } = shown.get()?;
        let all = rows.len();
        let head = head.into_iter().map(|head| view! { <th scope="col">{head}</th> }).collect_view();
        let rows = rows.into_iter().take(ROWS).map(|row| {
            let cells = row.into_iter().map(|cell| view! { <td>{cell}</td> });
            view! { <tr>{cells.collect_view()}</tr> }
        });
        let rows = rows.collect_view();
        Some(view! { <table class="tbl"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more(all)} })
    };
    view! { <div class="tbl-wrap tbl-wrap--tall" tabindex="0" role="group" aria-label=name>{content}</div> }
}

/// What is said below a table of so many rows, if not all are shown.
fn more(all: usize) -> Option<impl IntoView> {
    (all > ROWS).then(|| {
        view! { <p class="field-help">{format!("The first {ROWS} of {all} rows. The CSV has them all.")}</p> }
    })
}

/// Different values of a list, in the order in which they first appear.
fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

/// Named numbers: a row for each thing that they are of, a column for each name.
#[component]
pub fn ReadoutTable(panel: Signal<Panel>) -> impl IntoView {
    let title = move || panel.with(|panel| panel.title.clone());
    let content = move || {
        panel.with(|panel| match &panel.body {
            Body::Readouts(readouts) => Some(readout_table(readouts)),
            _ => None,
        })
    };
    view! { <div class="tbl-wrap" tabindex="0" role="group" aria-label=title>{content}</div> }
}

fn readout_table(readouts: &[Readout]) -> impl IntoView + use<> {
    let columns = distinct(readouts.iter().map(|readout| (readout.name.as_str(), readout.unit.as_str())));
    let things = distinct(readouts.iter().map(|readout| readout.of.as_str()));
    let trends = readouts.iter().any(|readout| !readout.trend.is_empty());
    let head = columns.iter().map(|(name, unit)| {
        let text = if unit.is_empty() { (*name).to_owned() } else { format!("{name}, {unit}") };
        view! { <th scope="col">{text}</th> }
    });
    let head = head.collect_view();
    let rows = things.into_iter().map(|of| {
        let mine: Vec<&Readout> = readouts.iter().filter(|readout| readout.of == of).collect();
        let ink = mine.first().map_or(Ink::Muted, |readout| readout.ink);
        let cells = columns.iter().map(|column| {
            let here = mine.iter().find(|readout| (readout.name.as_str(), readout.unit.as_str()) == *column);
            // The cell shows three digits; the whole number is there for who looks closer.
            let exact = here.map(|readout| readout.value.to_string());
            view! { <td data-key=here.map(|readout| readout.key.clone()) data-value=exact>{here.map(|readout| number(readout.value, 3))}</td> }
        });
        let cells = cells.collect_view();
        let trend = trends.then(|| {
            let trend = mine.iter().find(|readout| !readout.trend.is_empty());
            view! { <td>{trend.map(|readout| small_line(readout.ink, &readout.trend))}</td> }
        });
        view! { <tr><th scope="row" class="l"><i class=swatch_class(ink)></i>{of.to_owned()}</th>{cells}{trend}</tr> }
    });
    let rows = rows.collect_view();
    let so_far = trends.then(|| view! { <th scope="col">"so far"</th> });
    view! {
        <table class="tbl tbl--readouts">
            <thead><tr><th scope="col" class="l"><span class="sr">"of"</span></th>{head}{so_far}</tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
}

/// A line without axes; the numbers stand beside it.
fn small_line(ink: Ink, values: &[f32]) -> impl IntoView + use<> {
    const WIDE: f32 = 72.0;
    const HIGH: f32 = 18.0;
    let finite = values.iter().copied().filter(|value| value.is_finite());
    let (low, high) =
        finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let range = if high > low { high - low } else { 1.0 };
    let last = values.len().max(2) - 1;
    let points = values.iter().enumerate().filter(|(_, value)| value.is_finite()).map(|(index, value)| {
        let (x, y) = (WIDE * index as f32 / last as f32, HIGH - 2.0 - (HIGH - 4.0) * (value - low) / range);
        format!("{x:.1},{y:.1}")
    });
    let points: Vec<String> = points.collect();
    view! {
        <svg class="small-line" viewBox=format!("0 0 {WIDE} {HIGH}") aria-hidden="true">
            <polyline class=format!("ln thin {}", css_class(ink)) points=points.join(" ")/>
        </svg>
    }
}

/// A table of the lab's own.
#[component]
pub fn Tabulated(panel: Signal<Panel>) -> impl IntoView {
    let title = move || panel.with(|panel| panel.title.clone());
    let content = move || {
        panel.with(|panel| match &panel.body {
            Body::Table(table) => Some(lab_table(table)),
            _ => None,
        })
    };
    let long = move || panel.with(|panel| matches!(&panel.body, Body::Table(table) if table.rows.len() > LONG));
    view! { <div class="tbl-wrap" class:tbl-wrap--long=long tabindex="0" role="group" aria-label=title>{content}</div> }
}

fn lab_table(Table { head, rows, aside }: &Table) -> impl IntoView + use<> {
    let shown = head.len().saturating_sub(*aside);
    let words =
        |column: usize| rows.first().and_then(|row| row.get(column)).is_some_and(|cell| matches!(cell, Cell::Text(_)));
    let head = head.iter().take(shown).enumerate().map(|(column, name)| {
        view! { <th scope="col" class=words(column).then_some("l")>{name.clone()}</th> }
    });
    let head = head.collect_view();
    let all = rows.len();
    let rows = rows.iter().take(ROWS).map(|row| {
        let cells = row.iter().take(shown).map(|cell| match cell {
            Cell::Text(text) => view! { <td class="l">{text.clone()}</td> }.into_any(),
            Cell::Number(value) => view! { <td>{number(*value, 3)}</td> }.into_any(),
            Cell::Line { ink, values } => view! { <td>{small_line(*ink, values)}</td> }.into_any(),
        });
        view! { <tr>{cells.collect_view()}</tr> }
    });
    let rows = rows.collect_view();
    view! { <table class="tbl"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more(all)} }
}
