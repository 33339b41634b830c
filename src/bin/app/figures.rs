//! One panel on the page: its name, its tools, its picture, its caption. Every lab gets the same.

use heads_and_tails::chart::svg::{Size, cell, css_class, handle_at, place, readout, standalone, stops, svg};
use heads_and_tails::chart::{Chart, Ink, Mark, number, table};
use heads_and_tails::lab::panel::{Arc, summary_parts};
use heads_and_tails::lab::{Body, Cell, Node, Panel, Readout, Table, Tokens, Tree};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

/// Rows that are shown when a chart is read as a table; the CSV has them all.
const TABLE_ROWS: usize = 200;
/// How near a pointer must come to a handle, in pixels.
const REACH: f64 = 24.0;
/// Size of a downloaded picture.
const SAVED: Size = Size { width: 720.0, height: 400.0 };

#[component]
pub fn Figure(
    /// Its number in its kind: "Fig. 1", "Table 1".
    label: String,
    #[prop(into)] panel: Signal<Panel>,
    /// Sets a parameter: key, and text as it stands in a link.
    on_edit: Callback<(String, String)>,
) -> impl IntoView {
    let whole = NodeRef::<html::Section>::new();
    let as_table = RwSignal::new(false);
    let id = panel.with_untracked(|panel| panel.id.clone());
    let title_id = format!("{id}-title");
    let labelled = title_id.clone();
    let span = panel.with_untracked(|panel| format!("panel span-{}", panel.span));
    let title = Memo::new(move |_| panel.with(|panel| panel.title.clone()));
    let is_chart = panel.with_untracked(|panel| matches!(panel.body, Body::Chart(_)));
    let body = move || match panel.with_untracked(|panel| panel.body.clone()) {
        Body::Chart(_) => view! { <Plot panel as_table on_edit/> }.into_any(),
        Body::Tokens(_) => view! { <TokenStrip panel/> }.into_any(),
        Body::Table(_) => view! { <Tabulated panel/> }.into_any(),
        Body::Tree(_) => view! { <TreeList panel/> }.into_any(),
        Body::Readouts(_) => view! { <ReadoutTable panel/> }.into_any(),
    };
    view! {
        <section class=span id=id aria-labelledby=labelled node_ref=whole>
            <div class="panel-head">
                <h2 id=title_id><span class="fig">{label}</span>" "{title}</h2>
                <div class="panel-tools">
                    {is_chart.then(|| view! {
                        <button type="button" class="btn btn--quiet btn--s btn--icon" title="Show the numbers" aria-pressed=move || as_table.get().to_string()
                            aria-label=move || format!("{}: show the numbers as a table", title.get())
                            on:click=move |_| as_table.update(|shown| *shown = !*shown)><span aria-hidden="true">"▦"</span></button>
                    })}
                    <Saving panel/>
                    <button type="button" class="btn btn--quiet btn--s btn--icon" title="Full screen"
                        aria-label=move || format!("{}: full screen", title.get())
                        on:click=move |_| {
                            if let Some(section) = whole.get_untracked() && section.request_fullscreen().is_err() {
                                leptos::logging::log!("this browser shows no full screen");
                            }
                        }><span aria-hidden="true">"⤢"</span></button>
                </div>
            </div>
            {body()}
            <Caption panel/>
        </section>
    }
}

/// The sentence under a figure, which is also what a screen reader hears.
#[component]
fn Caption(panel: Signal<Panel>) -> impl IntoView {
    let summary = Memo::new(move |_| panel.with(|panel| panel.summary.clone()));
    let parts = move || {
        let parts = summary_parts(&summary.get()).into_iter().map(|part| match (part.role, part.bold) {
            (Some(ink), _) => view! { <span class=key_class(ink)>{part.text}</span> }.into_any(),
            (None, true) => view! { <b>{part.text}</b> }.into_any(),
            (None, false) => part.text.into_any(),
        });
        parts.collect_view()
    };
    view! { <p class="panel-cap">{parts}</p> }
}

/// The underline that a role has in prose.
fn key_class(ink: Ink) -> &'static str {
    match ink {
        Ink::Method => "key-m",
        Ink::Baseline => "key-b",
        Ink::Baseline2 => "key-b2",
        Ink::Truth | Ink::Data => "key-t",
        Ink::Guess | Ink::Muted => "key-g",
    }
}

fn swatch_class(ink: Ink) -> &'static str {
    match ink {
        Ink::Method => "swatch",
        Ink::Baseline => "swatch b",
        Ink::Baseline2 => "swatch b2",
        Ink::Truth => "swatch t",
        Ink::Data | Ink::Guess | Ink::Muted => "swatch g",
    }
}

/// The chart of a panel; an empty one where there is none.
fn chart_of(panel: &Panel) -> Option<&Chart> {
    match &panel.body {
        Body::Chart(chart) => Some(chart),
        _ => None,
    }
}

/// Height of a chart for its width: a plane is square, a wide plot is flat.
fn height(chart: &Chart, width: f64) -> f64 {
    match (chart.plane, width > 480.0) {
        (true, _) => width.clamp(160.0, 236.0),
        (false, true) => (width * 0.4).clamp(200.0, 236.0),
        (false, false) => (width * 0.62).clamp(150.0, 200.0),
    }
}

#[component]
fn Plot(panel: Signal<Panel>, as_table: RwSignal<bool>, on_edit: Callback<(String, String)>) -> impl IntoView {
    let chart = Memo::new(move |_| panel.with(|panel| chart_of(panel).cloned()));
    let title = Memo::new(move |_| panel.with(|panel| panel.title.clone()));
    let edits = Memo::new(move |_| panel.with(|panel| panel.edits.clone()));
    let wrap = NodeRef::<html::Div>::new();
    let width = RwSignal::new(0.0_f64);
    watch_width(wrap, width);
    let size = Memo::new(move |_| {
        let width = width.get();
        chart.with(|chart| chart.as_ref().map(|chart| Size::new(width, height(chart, width))))
    });
    let picture = Memo::new(move |_| match (size.get(), chart.get()) {
        (Some(size), Some(chart)) if size.width > 0.0 => svg(&chart, size),
        _ => String::new(),
    });
    let touch = Touch {
        chart: chart.into(),
        size: size.into(),
        edits: edits.into(),
        on_edit,
        cursor: RwSignal::new(None),
        chosen: RwSignal::new(0),
        held: RwSignal::new(None),
        pending: RwSignal::new(None),
    };
    let name = move || {
        let how = if touch.has_handles() {
            "arrow keys move the chosen handle, N and P choose"
        } else {
            "arrow keys read values"
        };
        format!("{}: {how}", title.get())
    };
    view! {
        {move || as_table.get().then(|| view! { <ChartTable panel/> })}
        <div class="plot-wrap" class:is-editable=move || edits.get().is_some() tabindex="0" role="group" aria-label=name node_ref=wrap
            on:pointerdown=move |event| touch.down(&event)
            on:pointermove=move |event| touch.moved(&event)
            on:pointerup=move |_| touch.release()
            on:pointercancel=move |_| touch.release()
            on:pointerleave=move |_| if touch.held.get_untracked().is_none() { touch.cursor.set(None) }
            on:keydown=move |event| touch.key(&event)>
            <div inner_html=picture></div>
            <Cursor touch/>
        </div>
    }
}

/// Follows the width of a plot, so that charts are drawn for their place and text keeps its size.
fn watch_width(wrap: NodeRef<html::Div>, width: RwSignal<f64>) {
    Effect::new(move |_| {
        let Some(element) = wrap.get() else { return };
        width.set(f64::from(element.client_width()));
        let measured = element.clone();
        let resized = Closure::<dyn Fn()>::new(move || {
            let now = f64::from(measured.client_width());
            if (now - width.get_untracked()).abs() >= 1.0 {
                width.set(now);
            }
        });
        if let Ok(observer) = web_sys::ResizeObserver::new(resized.as_ref().unchecked_ref()) {
            observer.observe(&element);
            let kept = StoredValue::new_local((observer, resized));
            on_cleanup(move || kept.with_value(|(observer, _)| observer.disconnect()));
        }
    });
}

/// What the reader holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Handle(usize),
    Brush,
}

/// Pointing at a chart, dragging its handles, painting its bars; by pointer and by keys.
#[derive(Clone, Copy)]
struct Touch {
    chart: Signal<Option<Chart>>,
    size: Signal<Option<Size>>,
    edits: Signal<Option<String>>,
    on_edit: Callback<(String, String)>,
    /// Where the reader reads, in the chart's own numbers.
    cursor: RwSignal<Option<[f64; 2]>>,
    chosen: RwSignal<usize>,
    held: RwSignal<Option<Held>>,
    /// An edit that waits for the next picture of the screen.
    pending: RwSignal<Option<String>>,
}

impl Touch {
    fn handles(self) -> Vec<[f32; 2]> {
        self.chart.with_untracked(|chart| {
            let marks = chart.iter().flat_map(|chart| &chart.marks);
            marks
                .filter_map(|mark| if let Mark::Handles { points, .. } = mark { Some(points.clone()) } else { None })
                .flatten()
                .collect()
        })
    }

    fn has_handles(self) -> bool {
        self.edits.with(Option::is_some)
            && self.chart.with(|chart| {
                chart.iter().flat_map(|chart| &chart.marks).any(|mark| matches!(mark, Mark::Handles { .. }))
            })
    }

    /// Heights of the bars that can be painted, as they stand.
    fn bars(self) -> Option<(Vec<f32>, [f32; 2])> {
        self.chart.with_untracked(|chart| {
            chart.iter().flat_map(|chart| &chart.marks).find_map(|mark| match mark {
                Mark::Bars { heights, from, to, .. } => Some((heights.clone(), [*from, *to])),
                _ => None,
            })
        })
    }

    /// A pointer's place in pixels of the picture and in the chart's numbers.
    fn at(self, event: &web_sys::PointerEvent) -> Option<([f64; 2], [f64; 2])> {
        let element = event.current_target()?.dyn_into::<web_sys::Element>().ok()?;
        let area = element.get_bounding_client_rect();
        let pixel = [f64::from(event.client_x()) - area.left(), f64::from(event.client_y()) - area.top()];
        let size = self.size.get_untracked()?;
        let (x, y) = self
            .chart
            .with_untracked(|chart| chart.as_ref().map(|chart| place(chart, size).from_pixel(pixel[0], pixel[1])))?;
        Some((pixel, [x, y]))
    }

    fn down(self, event: &web_sys::PointerEvent) {
        let (Some((pixel, _)), true) = (self.at(event), self.edits.with_untracked(Option::is_some)) else { return };
        let size = self.size.get_untracked();
        let hit = self.chart.with_untracked(|chart| {
            let (chart, size) = (chart.as_ref()?, size?);
            handle_at(chart, &place(chart, size), (pixel[0], pixel[1]), REACH).map(|(_, index)| index)
        });
        let held = match hit {
            Some(index) => Held::Handle(index),
            None if self.handles().is_empty() && self.bars().is_some() && event.pointer_type() != "touch" => {
                Held::Brush
            }
            None => return,
        };
        if let Some(element) = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) {
            // Without the capture a quick drag would leave the picture and be lost.
            let captured = element.set_pointer_capture(event.pointer_id());
            debug_assert!(captured.is_ok());
        }
        if let Held::Handle(index) = held {
            self.chosen.set(index);
        }
        self.held.set(Some(held));
        self.moved(event);
    }

    fn moved(self, event: &web_sys::PointerEvent) {
        let Some((_, at)) = self.at(event) else { return };
        match self.held.get_untracked() {
            Some(Held::Handle(index)) => self.move_handle(index, at),
            Some(Held::Brush) => self.paint(at),
            None => self.cursor.set(Some(at)),
        }
    }

    fn release(self) {
        self.held.set(None);
    }

    fn move_handle(self, index: usize, [x, y]: [f64; 2]) {
        let mut points = self.handles();
        let Some(point) = points.get_mut(index) else { return };
        *point = [x as f32, y as f32];
        let text: Vec<String> = points.iter().map(|[x, y]| format!("{x:.3},{y:.3}")).collect();
        self.send(text.join(";"));
    }

    fn paint(self, [x, y]: [f64; 2]) {
        let Some((mut heights, [from, to])) = self.bars() else { return };
        let share = (x - f64::from(from)) / f64::from(to - from);
        let last = heights.len() - 1;
        let bar = ((share * heights.len() as f64).max(0.0) as usize).min(last);
        // A brush as wide as a fingertip: one bar of many would be a spike.
        let reach = heights.len() / 40;
        for near in &mut heights[bar.saturating_sub(reach)..=(bar + reach).min(last)] {
            *near = (y as f32).max(0.0);
        }
        let tallest = heights.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let text: Vec<String> = heights.iter().map(|height| format!("{:.3}", height / tallest)).collect();
        self.send(text.join(","));
    }

    /// At most one edit a picture of the screen.
    fn send(self, text: String) {
        let waits = self.pending.with_untracked(Option::is_some);
        self.pending.set(Some(text));
        if !waits {
            request_animation_frame(move || {
                let text = self.pending.try_update(Option::take).flatten();
                if let (Some(key), Some(text)) = (self.edits.get_untracked(), text) {
                    self.on_edit.run((key, text));
                }
            });
        }
    }

    fn key(self, event: &web_sys::KeyboardEvent) {
        let handled =
            if untrack(|| self.has_handles()) { self.handle_key(event) } else { self.reading_key(&event.key()) };
        if handled {
            event.prevent_default();
            event.stop_propagation();
        }
    }

    fn handle_key(self, event: &web_sys::KeyboardEvent) -> bool {
        let points = self.handles();
        let chosen = self.chosen.get_untracked().min(points.len().saturating_sub(1));
        let Some(&[x, y]) = points.get(chosen) else { return false };
        let share = if event.shift_key() { 0.1 } else { 0.02 };
        let Some([wide, high]) = self.chart.with_untracked(|chart| {
            chart
                .as_ref()
                .map(|chart| [chart.x.max - chart.x.min, chart.y.max - chart.y.min].map(|range| range * share))
        }) else {
            return false;
        };
        let (x, y) = (f64::from(x), f64::from(y));
        let to = match event.key().as_str() {
            "ArrowLeft" => [x - wide, y],
            "ArrowRight" => [x + wide, y],
            "ArrowUp" => [x, y + high],
            "ArrowDown" => [x, y - high],
            "n" | "N" => {
                self.chosen.set((chosen + 1) % points.len());
                return true;
            }
            "p" | "P" => {
                self.chosen.set((chosen + points.len() - 1) % points.len());
                return true;
            }
            _ => return false,
        };
        self.move_handle(chosen, to);
        true
    }

    fn reading_key(self, key: &str) -> bool {
        let stops = self.chart.with_untracked(|chart| chart.as_ref().map(stops).unwrap_or_default());
        let Some(last) = stops.len().checked_sub(1) else { return false };
        let now = self.cursor.get_untracked();
        let index = now.map_or(0, |[x, _]| stops.partition_point(|stop| *stop < x - 1e-9).min(last));
        let index = match key {
            "ArrowLeft" => index.saturating_sub(1),
            "ArrowRight" => {
                if now.is_some() {
                    (index + 1).min(last)
                } else {
                    0
                }
            }
            "Home" => 0,
            "End" => last,
            "Escape" => {
                self.cursor.set(None);
                return true;
            }
            _ => return false,
        };
        let y = now.map_or(0.0, |[_, y]| y);
        self.cursor.set(Some([stops[index], y]));
        true
    }

    /// What is read at the cursor: the place, and each series there.
    fn said(self) -> Option<(String, Vec<(Ink, String, String)>)> {
        let chosen = self.chosen.get();
        let handles = self.has_handles().then(|| self.handles());
        let at = self.cursor.get();
        self.chart.with(|chart| {
            let chart = chart.as_ref()?;
            if let Some([x, y]) = handles.as_ref().and_then(|points| points.get(chosen).copied()) {
                let place = format!(
                    "{}: {} = {}, {} = {}",
                    chosen,
                    chart.x.name,
                    number(f64::from(x), 2),
                    chart.y.name,
                    number(f64::from(y), 2)
                );
                return Some((place, Vec::new()));
            }
            let [x, y] = at?;
            if let Some((column, row, value)) = cell(chart, x, y) {
                return Some((format!("{column}, {row}: {value}"), Vec::new()));
            }
            let nearest = stops(chart).into_iter().min_by(|a, b| (a - x).abs().total_cmp(&(b - x).abs()))?;
            let read = readout(chart, nearest).into_iter().map(|reading| (reading.ink, reading.name, reading.text));
            Some((format!("{} {}", chart.x.name, number(nearest, 3)), read.collect()))
        })
    }
}

/// The line and the dots at the cursor, the ring about the chosen handle, and what they say.
#[component]
fn Cursor(touch: Touch) -> impl IntoView {
    let overlay = move || {
        let size = touch.size.get()?;
        let chosen = touch.chosen.get();
        let editable = touch.has_handles();
        let at = touch.cursor.get();
        touch.chart.with(|chart| {
            let chart = chart.as_ref()?;
            let plot = place(chart, size);
            let view_box = format!("0 0 {} {}", size.width, size.height);
            if editable {
                let [x, y] = touch.handles().get(chosen).copied()?;
                let (px, py) = plot.to_pixel(f64::from(x), f64::from(y));
                return Some(view! { <svg class="plot plot-over" viewBox=view_box aria-hidden="true"><circle class="handle-ring" cx=px cy=py r="8"/></svg> }.into_any());
            }
            let [x, _] = at?;
            let nearest = stops(chart).into_iter().min_by(|a, b| (a - x).abs().total_cmp(&(b - x).abs()))?;
            let (px, _) = plot.to_pixel(nearest, chart.y.min);
            let dots = readout(chart, nearest).into_iter().map(|reading| {
                let (cx, cy) = plot.to_pixel(reading.x, reading.y);
                let class = format!("cursor-dot {}", css_class(reading.ink));
                view! { <circle class=class cx=cx cy=cy r="3.5"/> }
            });
            let dots = dots.collect_view();
            Some(view! {
                <svg class="plot plot-over" viewBox=view_box aria-hidden="true">
                    <line class="cursor-line" x1=px x2=px y1=plot.top y2=plot.bottom/>{dots}
                </svg>
            }.into_any())
        })
    };
    let words = move || {
        let (place, series) = touch.said()?;
        let series = series.into_iter().map(|(ink, name, text)| {
            view! { <span class="read-item"><i class=swatch_class(ink)></i>{name}" "<b>{text}</b></span> }
        });
        Some(view! { <span class="read-item"><b>{place}</b></span>{series.collect_view()} })
    };
    view! {
        {overlay}
        <div class="read-strip" role="status">{words}</div>
    }
}

#[component]
fn ChartTable(panel: Signal<Panel>) -> impl IntoView {
    let name = move || panel.with(|panel| format!("{}: the numbers", panel.title));
    let content = move || {
        let table = panel.with(|panel| chart_of(panel).map(table::table))?;
        let all = table.rows.len();
        let head = table.head.into_iter().map(|head| view! { <th scope="col">{head}</th> }).collect_view();
        let rows = table.rows.into_iter().take(TABLE_ROWS).map(|row| {
            let cells = row.into_iter().map(|cell| view! { <td>{cell}</td> }).collect_view();
            view! { <tr>{cells}</tr> }
        });
        let more = (all > TABLE_ROWS).then(|| view! { <p class="field-help">{format!("The first {TABLE_ROWS} of {all} rows; the CSV has them all.")}</p> });
        Some(
            view! { <table class="tbl"><thead><tr>{head}</tr></thead><tbody>{rows.collect_view()}</tbody></table>{more} },
        )
    };
    view! { <div class="tbl-wrap tbl-wrap--tall" tabindex="0" role="group" aria-label=name>{content}</div> }
}

/// Columns of a readout table, in the order in which they first appear: name and unit.
fn columns(readouts: &[Readout]) -> Vec<(String, String)> {
    let mut columns: Vec<(String, String)> = Vec::new();
    for readout in readouts {
        if !columns.iter().any(|(name, _)| *name == readout.name) {
            columns.push((readout.name.clone(), readout.unit.clone()));
        }
    }
    columns
}

#[component]
fn ReadoutTable(panel: Signal<Panel>) -> impl IntoView {
    let title = move || panel.with(|panel| panel.title.clone());
    let content = move || {
        let Body::Readouts(readouts) = panel.with(|panel| panel.body.clone()) else { return None };
        let columns = columns(&readouts);
        let trends = readouts.iter().any(|readout| !readout.trend.is_empty());
        let mut rows: Vec<(String, Ink)> = Vec::new();
        for readout in &readouts {
            if !rows.iter().any(|(of, _)| *of == readout.of) {
                rows.push((readout.of.clone(), readout.ink));
            }
        }
        let head = columns.iter().map(|(name, unit)| {
            let text = if unit.is_empty() { name.clone() } else { format!("{name}, {unit}") };
            view! { <th scope="col">{text}</th> }
        });
        let head = head.collect_view();
        let body = rows.into_iter().map(|(of, ink)| {
            let mine = |name: &str| readouts.iter().find(|readout| readout.of == of && readout.name == name);
            let cells = columns
                .iter()
                .map(|(name, _)| view! { <td>{mine(name).map(|readout| number(readout.value, 3))}</td> })
                .collect_view();
            let trend = readouts.iter().find(|readout| readout.of == of && !readout.trend.is_empty());
            let trend = trends.then(|| view! { <td>{trend.map(|readout| small_line(ink, &readout.trend))}</td> });
            view! { <tr><th scope="row" class="l"><i class=swatch_class(ink)></i>{of.clone()}</th>{cells}{trend}</tr> }
        });
        let body = body.collect_view();
        let so_far = trends.then(|| view! { <th scope="col">"so far"</th> });
        Some(
            view! { <table class="tbl tbl--readouts"><thead><tr><th scope="col" class="l">"head"</th>{head}{so_far}</tr></thead><tbody>{body}</tbody></table> },
        )
    };
    view! { <div class="tbl-wrap" tabindex="0" role="group" aria-label=title>{content}</div> }
}

/// A line without axes; the numbers stand beside it.
fn small_line(ink: Ink, values: &[f32]) -> impl IntoView + use<> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) =
        finite().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let range = if high > low { high - low } else { 1.0 };
    let last = values.len().max(2) - 1;
    let points = values.iter().enumerate().filter(|(_, value)| value.is_finite());
    let points: Vec<String> = points
        .map(|(index, value)| {
            format!("{:.1},{:.1}", 72.0 * index as f32 / last as f32, 16.0 - 14.0 * (value - low) / range)
        })
        .collect();
    let class = format!("ln thin {}", css_class(ink));
    view! { <svg class="small-line" viewBox="0 0 72 18" aria-hidden="true"><polyline class=class points=points.join(" ")/></svg> }
}

#[component]
fn Tabulated(panel: Signal<Panel>) -> impl IntoView {
    let title = move || panel.with(|panel| panel.title.clone());
    let content = move || {
        let Body::Table(Table { head, rows }) = panel.with(|panel| panel.body.clone()) else { return None };
        let head = head.into_iter().map(|head| view! { <th scope="col">{head}</th> }).collect_view();
        let rows = rows.into_iter().map(|row| {
            let cells = row.into_iter().map(|cell| match cell {
                Cell::Text(text) => view! { <td class="l">{text}</td> }.into_any(),
                Cell::Number(value) => view! { <td>{number(value, 3)}</td> }.into_any(),
                Cell::Line { ink, values } => view! { <td>{small_line(ink, &values)}</td> }.into_any(),
            });
            view! { <tr>{cells.collect_view()}</tr> }
        });
        Some(view! { <table class="tbl"><thead><tr>{head}</tr></thead><tbody>{rows.collect_view()}</tbody></table> })
    };
    view! { <div class="tbl-wrap" tabindex="0" role="group" aria-label=title>{content}</div> }
}

#[component]
fn TokenStrip(panel: Signal<Panel>) -> impl IntoView {
    let title = move || panel.with(|panel| panel.title.clone());
    let content = move || {
        let Body::Tokens(Tokens { tokens, arcs }) = panel.with(|panel| panel.body.clone()) else { return None };
        let count = tokens.len().max(1);
        let half = |above: bool| {
            arcs.iter().filter(move |arc| arc.above == above).map(|arc| arc_path(arc, count)).collect_view()
        };
        let (above, below) = (half(true), half(false));
        let strip = tokens.into_iter().map(|token| {
            let class = token.class.map_or("token".to_owned(), |class| format!("token cat-{}", class % 8 + 1));
            view! { <li class=class aria-current=token.chosen.then_some("true")><b>{token.text}</b><small>{token.note}</small></li> }
        });
        Some(view! {
            <svg class="arcs" viewBox="0 0 1000 80" preserveAspectRatio="none" aria-hidden="true">{above}</svg>
            <ol class="tokens">{strip.collect_view()}</ol>
            <svg class="arcs" viewBox="0 0 1000 80" preserveAspectRatio="none" aria-hidden="true">{below}</svg>
        })
    };
    view! { <div class="strip-wrap" tabindex="0" role="group" aria-label=title>{content}</div> }
}

/// From one token to another, thicker the more it looks.
fn arc_path(arc: &Arc, count: usize) -> impl IntoView + use<> {
    let x = |index: usize| 1000.0 * (index as f64 + 0.5) / count as f64;
    let (from, to) = (x(arc.from), x(arc.to));
    let (foot, top, class) = if arc.above { (80.0, 4.0, "arc-2") } else { (0.0, 76.0, "arc-1") };
    let path = format!("M{from:.1} {foot} C{from:.1} {top} {to:.1} {top} {to:.1} {foot}");
    view! { <path class=class d=path stroke-width=f64::from(arc.share) * 8.0 + 0.5/> }
}

#[component]
fn TreeList(panel: Signal<Panel>) -> impl IntoView {
    let title = move || panel.with(|panel| panel.title.clone());
    let content = move || {
        let Body::Tree(Tree { nodes }) = panel.with(|panel| panel.body.clone()) else { return None };
        Some(children(&nodes, None))
    };
    view! { <div class="tbl-wrap" tabindex="0" role="group" aria-label=title>{content}</div> }
}

fn children(nodes: &[Node], parent: Option<usize>) -> AnyView {
    let mine = nodes.iter().enumerate().filter(|(_, node)| node.parent == parent);
    let items = mine.map(|(index, node)| {
        view! {
            <li aria-current=node.chosen.then_some("true")>
                <i class=swatch_class(node.ink)></i>" "{node.text.clone()}" "<small>{node.note.clone()}</small>
                {nodes.iter().any(|child| child.parent == Some(index)).then(|| children(nodes, Some(index)))}
            </li>
        }
    });
    view! { <ul class="tree">{items.collect_view()}</ul> }.into_any()
}

/// The ways to keep a panel: numbers as CSV, the picture as SVG and PNG.
#[component]
fn Saving(panel: Signal<Panel>) -> impl IntoView {
    let csv = move |_| {
        let (id, text) = panel.with_untracked(|panel| (panel.id.clone(), panel_csv(panel)));
        save(&format!("{id}.csv"), "text/csv", &text);
    };
    let picture = move || {
        panel.with_untracked(|panel| {
            chart_of(panel).map(|chart| (panel.id.clone(), standalone(chart, &panel.title, SAVED)))
        })
    };
    let is_chart = panel.with_untracked(|panel| chart_of(panel).is_some());
    view! {
        <details class="pop">
            <summary class="btn btn--quiet btn--s btn--icon" aria-label=move || panel.with(|panel| format!("{}: save", panel.title)) title="Save"><span aria-hidden="true">"⤓"</span></summary>
            <div class="pop-body menu">
                <button type="button" class="btn btn--quiet btn--s" on:click=csv>"Numbers, CSV"</button>
                {is_chart.then(|| view! {
                    <button type="button" class="btn btn--quiet btn--s" on:click=move |_| {
                        if let Some((id, text)) = picture() {
                            save(&format!("{id}.svg"), "image/svg+xml", &text);
                        }
                    }>"Figure, SVG"</button>
                    <button type="button" class="btn btn--quiet btn--s" on:click=move |_| {
                        if let Some((id, text)) = picture() {
                            save_png(&id, &text);
                        }
                    }>"Figure, PNG"</button>
                })}
            </div>
        </details>
    }
}

/// A panel's numbers, whatever it is.
fn panel_csv(panel: &Panel) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    match &panel.body {
        Body::Chart(chart) => table::csv(chart),
        Body::Readouts(readouts) => {
            let head = "key,of,name,unit,value\n".to_owned();
            readouts.iter().fold(head, |text, readout| {
                text + &line(vec![
                    readout.key.clone(),
                    quoted(&readout.of),
                    quoted(&readout.name),
                    quoted(&readout.unit),
                    readout.value.to_string(),
                ])
            })
        }
        Body::Table(Table { head, rows }) => {
            let head = line(head.iter().map(|head| quoted(head)).collect());
            rows.iter().fold(head, |text, row| {
                let cells = row.iter().map(|cell| match cell {
                    Cell::Text(text) => quoted(text),
                    Cell::Number(value) => value.to_string(),
                    Cell::Line { values, .. } => {
                        quoted(&values.iter().map(f32::to_string).collect::<Vec<_>>().join(" "))
                    }
                });
                text + &line(cells.collect())
            })
        }
        Body::Tokens(Tokens { tokens, .. }) => tokens
            .iter()
            .fold("text,note\n".to_owned(), |text, token| text + &line(vec![quoted(&token.text), quoted(&token.note)])),
        Body::Tree(Tree { nodes }) => nodes.iter().fold("parent,text,note\n".to_owned(), |text, node| {
            let parent = node.parent.map(|parent| parent.to_string()).unwrap_or_default();
            text + &line(vec![parent, quoted(&node.text), quoted(&node.note)])
        }),
    }
}

/// Lets the browser save a text under a name.
fn save(name: &str, kind: &str, text: &str) {
    let saved = || -> Result<(), JsValue> {
        let options = web_sys::BlobPropertyBag::new();
        options.set_type(kind);
        let blob = web_sys::Blob::new_with_str_sequence_and_options(&js_sys::Array::of1(&text.into()), &options)?;
        let address = web_sys::Url::create_object_url_with_blob(&blob)?;
        click_download(name, &address)?;
        web_sys::Url::revoke_object_url(&address)
    };
    if let Err(error) = saved() {
        leptos::logging::error!("{name} could not be saved: {}", crate::engine::words(&error));
    }
}

fn click_download(name: &str, address: &str) -> Result<(), JsValue> {
    let anchor: web_sys::HtmlAnchorElement = document().create_element("a")?.dyn_into()?;
    anchor.set_href(address);
    anchor.set_download(name);
    anchor.click();
    Ok(())
}

/// Draws the picture on a canvas at twice its size, and saves that.
fn save_png(id: &str, text: &str) {
    let id = id.to_owned();
    let address = format!("data:image/svg+xml,{}", js_sys::encode_uri_component(text));
    let drawn = move || -> Result<(), JsValue> {
        let image = web_sys::HtmlImageElement::new()?;
        let source = image.clone();
        let loaded = Closure::once_into_js(move || {
            let saved = || -> Result<(), JsValue> {
                let canvas: web_sys::HtmlCanvasElement = document().create_element("canvas")?.dyn_into()?;
                let (width, height) = (source.natural_width().max(1) * 2, source.natural_height().max(1) * 2);
                canvas.set_width(width);
                canvas.set_height(height);
                let context = canvas.get_context("2d")?.ok_or("no canvas here")?;
                let context: web_sys::CanvasRenderingContext2d = context.dyn_into()?;
                context.draw_image_with_html_image_element_and_dw_and_dh(
                    &source,
                    0.0,
                    0.0,
                    f64::from(width),
                    f64::from(height),
                )?;
                click_download(&format!("{id}.png"), &canvas.to_data_url()?)
            };
            if let Err(error) = saved() {
                leptos::logging::error!("the picture could not be saved: {}", crate::engine::words(&error));
            }
        });
        image.set_onload(Some(loaded.unchecked_ref()));
        image.set_src(&address);
        Ok(())
    };
    if let Err(error) = drawn() {
        leptos::logging::error!("the picture could not be drawn: {}", crate::engine::words(&error));
    }
}

/// The still picture of a panel, on a card.
#[component]
pub fn Picture(panel: Panel) -> impl IntoView {
    let picture = chart_of(&panel).map(|chart| svg(chart, Size::new(360.0, 170.0))).unwrap_or_default();
    view! { <div class="poster-picture" role="img" aria-label=panel.spoken() inner_html=picture></div> }
}
