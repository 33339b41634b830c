//! The ways to keep a panel: numbers as CSV, a lab's own table as JSON Lines too, the picture as SVG and PNG.

use std::time::Duration;

use heads_and_tails::chart::svg::{Size, standalone};
use heads_and_tails::chart::table;
use heads_and_tails::lab::{Body, Cell, Panel, Readout, Table, Tokens, Tree};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

use super::chart_of;
use super::tables::listed;
use crate::icons::{self, icon};

/// Pixels of a PNG for each of the picture.
const SHARP: u32 = 2;

/// What a panel is kept as.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Csv,
    JsonLines,
    Svg,
    Png,
}

impl Form {
    fn short(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::JsonLines => "JSONL",
            Self::Svg => "SVG",
            Self::Png => "PNG",
        }
    }

    fn long(self) -> &'static str {
        match self {
            Self::Csv => "Numbers, CSV",
            Self::JsonLines => "Rows, JSON Lines",
            Self::Svg => "Figure, SVG",
            Self::Png => "Figure, PNG",
        }
    }
}

/// Buttons where there is room, a menu where there is not, which then holds the full screen too; the style sheet shows
/// one of both.
#[component]
pub fn Saving(panel: Signal<Panel>, full_screen: Option<Callback<()>>) -> impl IntoView {
    let title = Memo::new(move |_| panel.with(|panel| panel.title.clone()));
    let forms = Memo::new(move |_| {
        panel.with(|panel| match &panel.body {
            Body::Table(_) => [Form::Csv, Form::JsonLines].as_slice(),
            _ if chart_of(panel).is_some() => &[Form::Csv, Form::Svg, Form::Png],
            _ => &[Form::Csv],
        })
    });
    let menu = NodeRef::<html::Details>::new();
    let buttons = move || {
        forms.get().iter().map(move |form| view! {
        <button type="button" class="btn btn--quiet btn--s" aria-label=move || format!("{}: save as {}", title.get(), form.short())
            on:click=move |_| keep(panel, *form)>{form.short()}</button>
    }).collect_view()
    };
    let close = move || {
        if let Some(menu) = menu.get_untracked() {
            menu.set_open(false);
        }
    };
    let items = move || {
        forms
            .get()
            .iter()
            .map(move |form| {
                view! {
                    <button type="button" class="btn btn--quiet btn--s" on:click=move |_| {
                        close();
                        keep(panel, *form);
                    }>{form.long()}</button>
                }
            })
            .collect_view()
    };
    let leave = move |event: web_sys::KeyboardEvent| {
        if event.key() == "Escape" && menu.get_untracked().is_some_and(|menu| menu.open()) {
            event.stop_propagation();
            close();
        }
    };
    view! {
        <span class="roomy">{buttons}</span>
        <details class="pop tight" node_ref=menu on:keydown=leave>
            <summary class="btn btn--quiet btn--s btn--icon" title="Save" aria-label=move || format!("{}: save", title.get())>{icon(icons::SAVE)}</summary>
            <div class="pop-body menu">
                {items}
                {full_screen.map(|toggle| view! {
                    <button type="button" class="btn btn--quiet btn--s" on:click=move |_| { close(); toggle.run(()); }>"Full screen"</button>
                })}
            </div>
        </details>
    }
}

fn keep(panel: Signal<Panel>, form: Form) {
    let kept = panel.with_untracked(|panel| match form {
        Form::Csv => save_text(&format!("{}.csv", panel.id), "text/csv", &csv(panel)),
        Form::JsonLines => save_text(&format!("{}.jsonl", panel.id), "application/x-ndjson", &json_lines(panel)),
        Form::Svg => save_text(&format!("{}.svg", panel.id), "image/svg+xml", &picture(panel)),
        Form::Png => save_png(format!("{}.png", panel.id), &picture(panel)),
    });
    if let Err(error) = kept {
        leptos::logging::error!("the figure could not be saved: {error:?}");
    }
}

fn picture(panel: &Panel) -> String {
    let Some(chart) = chart_of(panel) else { return String::new() };
    let size = if chart.plane { Size::new(480.0, 480.0) } else { Size::new(720.0, 400.0) };
    standalone(chart, &panel.title, size)
}

/// The rows of a lab's own table.
fn json_lines(panel: &Panel) -> String {
    match &panel.body {
        Body::Table(table) => table.json_lines(),
        _ => String::new(),
    }
}

/// A panel's numbers in full, whatever it is.
fn csv(panel: &Panel) -> String {
    match &panel.body {
        Body::Chart(chart) => table::csv(chart),
        Body::Readouts(readouts) => {
            let row = |readout: &Readout| {
                let Readout { key, of, name, unit, value, .. } = readout.clone();
                vec![key, of, name, unit, value.to_string()]
            };
            written(&["key", "of", "name", "unit", "value"], readouts.iter().map(row))
        }
        Body::Table(Table { head, rows, .. }) => {
            written(head, rows.iter().map(|row| row.iter().map(cell_text).collect()))
        }
        Body::Tokens(tokens) => tokens_csv(tokens),
        Body::Tree(Tree { nodes, .. }) => {
            let rows = nodes.iter().enumerate().map(|(index, node)| {
                let parent = node.parent.map(|parent| parent.to_string()).unwrap_or_default();
                vec![index.to_string(), parent, node.text.clone(), node.note.clone()]
            });
            written(&["node", "parent", "text", "note"], rows)
        }
    }
}

/// The tokens, each with where its arcs lead, if there are arcs; a token without one has a row too.
fn tokens_csv(Tokens { tokens, arcs, .. }: &Tokens) -> String {
    if arcs.is_empty() {
        let table::Table { head, rows } = listed(tokens);
        return written(&head, rows.into_iter());
    }
    let rows = tokens.iter().enumerate().flat_map(|(index, token)| {
        let row =
            move |to: String, share: String| vec![index.to_string(), token.text.clone(), token.note.clone(), to, share];
        let mut mine: Vec<_> = arcs
            .iter()
            .filter(|arc| arc.from == index)
            .map(|arc| row(arc.to.to_string(), arc.share.to_string()))
            .collect();
        if mine.is_empty() {
            mine.push(row(String::new(), String::new()));
        }
        mine
    });
    written(&["place", "text", "note", "to", "share"], rows)
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Number(value) => value.to_string(),
        Cell::Line { values, .. } => values.iter().map(f32::to_string).collect::<Vec<_>>().join(" "),
    }
}

fn written(head: &[impl AsRef<str>], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|name| name.as_ref().to_owned()).collect();
    // A lab may leave the end of a row out.
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for record in std::iter::once(head).chain(rows) {
        writer.write_record(&record).expect("a vector takes every record");
    }
    let bytes = writer.into_inner().expect("a vector can be flushed");
    String::from_utf8(bytes).expect("only texts were written")
}

fn save_text(name: &str, kind: &str, text: &str) -> Result<(), JsValue> {
    let options = web_sys::BlobPropertyBag::new();
    options.set_type(kind);
    let parts = js_sys::Array::of1(&text.into());
    save_blob(name, &web_sys::Blob::new_with_str_sequence_and_options(&parts, &options)?)
}

/// Lets the browser save a file under a name.
fn save_blob(name: &str, blob: &web_sys::Blob) -> Result<(), JsValue> {
    let address = web_sys::Url::create_object_url_with_blob(blob)?;
    let anchor: web_sys::HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    anchor.set_href(&address);
    anchor.set_download(name);
    anchor.click();
    // The browser reads the file after the click; how long after is not told.
    set_timeout(
        move || {
            if web_sys::Url::revoke_object_url(&address).is_err() {
                leptos::logging::log!("{address} stays until the page is left");
            }
        },
        Duration::from_secs(60),
    );
    Ok(())
}

/// Draws the picture on a canvas and saves that.
fn save_png(name: String, picture: &str) -> Result<(), JsValue> {
    let image = web_sys::HtmlImageElement::new()?;
    let source = image.clone();
    let loaded = Closure::once_into_js(move || {
        if let Err(error) = draw_png(name, &source) {
            leptos::logging::error!("the picture could not be drawn: {error:?}");
        }
    });
    image.set_onload(Some(loaded.unchecked_ref()));
    image.set_src(&format!("data:image/svg+xml,{}", js_sys::encode_uri_component(picture)));
    Ok(())
}

fn draw_png(name: String, image: &web_sys::HtmlImageElement) -> Result<(), JsValue> {
    let canvas: web_sys::HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    let (width, height) = (image.natural_width() * SHARP, image.natural_height() * SHARP);
    canvas.set_width(width);
    canvas.set_height(height);
    let context: web_sys::CanvasRenderingContext2d =
        canvas.get_context("2d")?.ok_or("the browser gives no canvas")?.unchecked_into();
    // A picture without a ground would be unreadable on a dark page.
    context.set_fill_style_str("white");
    context.fill_rect(0.0, 0.0, f64::from(width), f64::from(height));
    context.draw_image_with_html_image_element_and_dw_and_dh(image, 0.0, 0.0, f64::from(width), f64::from(height))?;
    let saved = Closure::once_into_js(move |blob: Option<web_sys::Blob>| {
        let saved = blob.ok_or_else(|| "the canvas is empty".into()).and_then(|blob| save_blob(&name, &blob));
        if let Err(error) = saved {
            leptos::logging::error!("the picture could not be saved: {error:?}");
        }
    });
    canvas.to_blob(saved.unchecked_ref())
}
