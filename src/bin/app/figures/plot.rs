//! A chart in its panel: drawn for the width it has, read and touched through [`Touch`].

use heads_and_tails::chart::svg::{Size, css_class, svg};
use heads_and_tails::chart::{Chart, Ink, Mark, pen};
use heads_and_tails::lab::Panel;
use leptos::html;
use leptos::prelude::*;

use super::touch::{Said, Shown, Touch};
use super::{Pen, chart_of, swatch_class};
use crate::watch::resized;

/// In the context of a page whose one figure is as tall as its frame allows.
#[derive(Clone, Copy)]
pub struct FitsFrame;

/// What the name, the caption and the bar of an embed take of its height.
const AROUND_FIGURE: f64 = 150.0;

#[component]
pub fn Plot(
    #[prop(into)] panel: Signal<Panel>,
    full: RwSignal<bool>,
    on_edit: Callback<(String, String)>,
    on_hold: Callback<bool>,
    pen: Option<Pen>,
) -> impl IntoView {
    let chart = Memo::new(move |_| panel.with(|panel| chart_of(panel).cloned()));
    let title = Memo::new(move |_| panel.with(|panel| panel.title.clone()));
    let edits = Memo::new(move |_| panel.with(|panel| panel.edits.clone()));
    let wrap = NodeRef::<html::Div>::new();
    let width = RwSignal::new(0.0);
    let fits = use_context::<FitsFrame>().is_some();
    watch_width(wrap, width);
    let size = Memo::new(move |_| {
        let width = width.get();
        let height = chart.with(|chart| chart.as_ref().map_or(0.0, |chart| height(chart, width, full.get())));
        let height = if fits { height.min((window_height() - AROUND_FIGURE).max(120.0)) } else { height };
        Size::new(width, height)
    });
    // A memo, so that the picture is set again only when the chart or its size has changed.
    let picture = Memo::new(move |_| {
        let size = size.get();
        chart
            .with(|chart| chart.as_ref().filter(|_| size.width > 0.0).map(|chart| svg(chart, size)).unwrap_or_default())
    });
    let touch = Touch::new(chart, size, edits, on_edit, on_hold, pen);
    let said = Memo::new(move |_| touch.said());
    let name = move || {
        let how = if touch.guesses() {
            "left and right choose a place, up and down draw your guess there"
        } else if touch.has_handles() {
            "N and P choose a point, arrow keys move it"
        } else {
            "arrow keys read values"
        };
        format!("{}: {how}", title.get())
    };
    view! {
        <div class="plot-wrap" class:is-editable=move || touch.is_editable() tabindex="0" role="group" aria-label=name node_ref=wrap
            on:pointerdown=move |event| touch.down(&event)
            on:pointermove=move |event| touch.moved(&event)
            on:pointerup=move |_| touch.release()
            on:pointercancel=move |_| touch.release()
            on:lostpointercapture=move |_| touch.release()
            on:pointerleave=move |_| touch.left()
            // A drag selects no text, and the page does not scroll under a handle that a finger drags.
            on:selectstart=move |event| if touch.holds() { event.prevent_default() }
            on:touchstart=move |event| if touch.holds_handle() { event.prevent_default() }
            on:focus=move |_| touch.focused()
            on:blur=move |_| touch.escape()
            on:keydown=move |event| touch.key(&event)>
            <div inner_html=picture></div>
            {move || said.get().map(|said| overlay(size.get(), said.shown))}
            {move || said.get().map(|said| read(size.get(), said))}
            <div class="sr" role="status">{move || touch.spoken.get()}</div>
        </div>
    }
}

/// A wide plot is flat, a plane and a large heat map are square, and in full screen the height is the window's.
fn height(chart: &Chart, width: f64, full: bool) -> f64 {
    let many_rows = chart.marks.iter().any(|mark| matches!(mark, Mark::Heat { rows, .. } if *rows >= 12));
    if full {
        (window_height() - 160.0).max(240.0)
    } else if many_rows {
        width.clamp(180.0, 340.0)
    } else if chart.plane {
        width.clamp(160.0, 240.0)
    } else if width >= 700.0 {
        (0.24 * width).clamp(220.0, 320.0)
    } else {
        (0.6 * width).clamp(150.0, 240.0)
    }
}

fn window_height() -> f64 {
    window().inner_height().ok().and_then(|height| height.as_f64()).unwrap_or(600.0)
}

/// Follows the width of a plot, so that charts are drawn for their place and text keeps its size.
fn watch_width(wrap: NodeRef<html::Div>, width: RwSignal<f64>) {
    Effect::new(move |_| {
        let Some(element) = wrap.get() else { return };
        width.set(f64::from(element.client_width()));
        let measured = element.clone();
        resized(&element, move || {
            let now = f64::from(measured.client_width());
            // A hidden panel has no width and keeps its last picture.
            if now > 0.0 && width.try_get_untracked().is_some_and(|before| before != now) {
                width.set(now);
            }
        });
    });
}

/// What is drawn over the picture: the cursor, the cell that is read, the handle that is chosen.
fn overlay(size: Size, shown: Vec<Shown>) -> impl IntoView {
    let shapes = shown.into_iter().map(|shape| match shape {
        Shown::Line { x, top, bottom } => {
            view! { <line class="cursor-line" x1=x.round() x2=x.round() y1=top y2=bottom/> }.into_any()
        }
        Shown::Dot { ink, x, y } => {
            view! { <circle class=format!("cursor-dot {}", css_class(ink)) cx=x cy=y r="3.5"/> }.into_any()
        }
        // Framed twice, so that it is seen on dark cells and on light ones.
        Shown::Cell { x, y, width, height } => view! {
            <rect class="hm-sel2" x=x y=y width=width height=height/>
            <rect class="hm-sel" x=x y=y width=width height=height/>
        }
        .into_any(),
        Shown::Handle { ink, x, y } => {
            view! { <circle class=format!("handle is-now {}", css_class(ink)) cx=x cy=y r="6.5"/> }.into_any()
        }
    });
    view! {
        <svg class="plot plot-over" viewBox=format!("0 0 {} {}", size.width, size.height) aria-hidden="true">
            {shapes.collect_view()}
        </svg>
    }
}

/// The values at the cursor. It changes with every frame, so it keeps silent; what the keys reach is spoken beside it.
fn read(size: Size, said: Said) -> Option<AnyView> {
    let (name, value) = said.place;
    if name.is_empty() && value.is_empty() {
        return None;
    }
    let texts = said.items.iter().map(|item| pen::width(&item.name, false) + pen::width(&item.text, true) + 32.0);
    let needed = texts.sum::<f64>() + pen::width(&name, false) + pen::width(&value, true);
    // In one line where y's name was, covering no data, if they fit; otherwise in a box.
    let view = if needed <= size.width {
        let items = said.items.into_iter().map(|item| {
            view! { <span>{item.ink.map(swatch)}{item.name}" "<b>{item.text}</b></span> }
        });
        view! { <div class="read read--line" role="status" aria-live="off"><span>{name}" "<b>{value}</b></span>{items.collect_view()}</div> }
            .into_any()
    } else {
        // The box stands at the side that the cursor leaves free.
        let (left, right) = if said.at > size.width / 2.0 { ("0", "auto") } else { ("auto", "0") };
        let rows = said.items.into_iter().map(|item| {
            view! { <tr><td>{item.ink.map(swatch)}{item.name}</td><td>{item.text}</td></tr> }
        });
        view! {
            <div class="read" role="status" aria-live="off" style:left=left style:right=right style:top="1.5rem">
                <table><tbody><tr class="head"><td>{name}</td><td>{value}</td></tr>{rows.collect_view()}</tbody></table>
            </div>
        }
        .into_any()
    };
    Some(view)
}

fn swatch(ink: Ink) -> impl IntoView {
    view! { <i class=swatch_class(ink)></i> }
}
