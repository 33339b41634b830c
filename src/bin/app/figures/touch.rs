//! Pointing at a chart, moving its handles, painting its bars; by pointer and by keys.

use heads_and_tails::chart::svg::{Plot, Size, cell, handle_at, place, readout, stops};
use heads_and_tails::chart::{Chart, Ink, Mark, height_at, number};
use heads_and_tails::lab::guess::Guess;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::Pen;

/// How near a pointer must come to a handle, in pixels: a finger is less exact.
const REACH: f64 = 14.0;
const TOUCH_REACH: f64 = 24.0;
/// How far a finger must go sideways before it paints; before that it may want to scroll.
const SIDEWAYS: f64 = 8.0;
/// Places along x at which the keys draw a guess.
const GUESS_PLACES: f64 = 20.0;
/// How long after an edit the page's own handles count, in milliseconds: the engine has not answered yet.
const ECHO: f64 = 300.0;

/// Where the reader reads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cursor {
    /// A place in the chart's own numbers.
    At([f64; 2]),
    Handle(usize),
}

/// What the reader holds.
#[derive(Clone, Debug)]
enum Held {
    /// A handle, and how far beside its middle it was taken.
    Handle {
        index: usize,
        grab: [f64; 2],
    },
    Brush(Stroke),
    /// The pen that draws a guess, and where it was, in the chart's own numbers.
    Pen([f32; 2]),
}

/// One stroke over the bars.
#[derive(Clone, Debug)]
struct Stroke {
    /// The place of the chart when the stroke began: its axis may change under the stroke.
    plot: Plot,
    range: [f32; 2],
    /// Of the tallest bar when the stroke began, which has height 1.
    tallest: f64,
    heights: Vec<f64>,
    from: [f64; 2],
    begun: bool,
}

/// What is read: a place, the values there, and what marks them in the picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub place: (String, String),
    pub items: Vec<Item>,
    pub shown: Vec<Shown>,
    /// How far from the left it is, in pixels.
    pub at: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub ink: Option<Ink>,
    pub name: String,
    pub text: String,
}

/// A mark over the picture, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    Line { x: f64, top: f64, bottom: f64 },
    Dot { ink: Ink, x: f64, y: f64 },
    Cell { x: f64, y: f64, width: f64, height: f64 },
    Handle { ink: Ink, x: f64, y: f64 },
}

#[derive(Clone, Copy)]
pub struct Touch {
    chart: Memo<Option<Chart>>,
    size: Memo<Size>,
    edits: Memo<Option<String>>,
    on_edit: Callback<(String, String)>,
    on_hold: Callback<bool>,
    pen: Option<Pen>,
    cursor: RwSignal<Option<Cursor>>,
    chosen: RwSignal<usize>,
    /// What the keys have reached, for a screen reader.
    pub spoken: RwSignal<String>,
    held: StoredValue<Option<Held>>,
    /// The handles as the reader set them, and when: the chart shows them only after the engine has answered.
    draft: RwSignal<Option<(Vec<[f32; 2]>, f64)>>,
    /// An edit that waits for the next picture of the screen.
    pending: StoredValue<Option<String>>,
}

impl Touch {
    pub fn new(
        chart: Memo<Option<Chart>>,
        size: Memo<Size>,
        edits: Memo<Option<String>>,
        on_edit: Callback<(String, String)>,
        on_hold: Callback<bool>,
        pen: Option<Pen>,
    ) -> Self {
        let touch = Self {
            chart,
            size,
            edits,
            on_edit,
            on_hold,
            pen,
            cursor: RwSignal::new(None),
            chosen: RwSignal::new(0),
            spoken: RwSignal::new(String::new()),
            held: StoredValue::new(None),
            draft: RwSignal::new(None),
            pending: StoredValue::new(None),
        };
        // A panel may go while it is held, and the run must not wait for ever.
        on_cleanup(move || {
            if touch.held.try_update_value(Option::take).flatten().is_some_and(|held| held.counts()) {
                touch.on_hold.run(false);
            }
        });
        touch
    }

    /// Whether strokes draw a guess now. Tracked.
    pub fn guesses(self) -> bool {
        self.pen.is_some_and(|pen| pen.down.get())
    }

    /// Whether a touch edits anything. Tracked.
    pub fn is_editable(self) -> bool {
        self.guesses()
            || self.has_handles()
            || (self.edits.with(Option::is_some) && self.chart.with(|chart| bars(chart).is_some()))
    }

    /// Whether there are handles that can be moved. Tracked.
    pub fn has_handles(self) -> bool {
        self.edits.with(Option::is_some) && self.chart.with(|chart| !handles(chart).is_empty())
    }

    pub fn holds(self) -> bool {
        self.held.with_value(Option::is_some)
    }

    pub fn holds_handle(self) -> bool {
        self.held.with_value(|held| matches!(held, Some(Held::Handle { .. })))
    }

    fn handles_to_move(self) -> bool {
        untrack(|| self.has_handles())
    }

    /// The handles as they stand: in the chart, or where the reader has just put them. Tracked.
    fn handles(self) -> Vec<[f32; 2]> {
        let shown: Vec<_> = self.chart.with(|chart| handles(chart).into_iter().map(|(_, _, point)| point).collect());
        let held = self.holds_handle();
        self.draft.with(|draft| match draft {
            Some((points, since)) if points.len() == shown.len() && (held || js_sys::Date::now() - since < ECHO) => {
                points.clone()
            }
            _ => shown,
        })
    }

    fn with_plot<T>(self, work: impl FnOnce(&Chart, &Plot) -> T) -> Option<T> {
        let size = self.size.get_untracked();
        self.chart.with_untracked(|chart| chart.as_ref().map(|chart| work(chart, &place(chart, size))))
    }

    /// Where a pointer is, in pixels of the picture.
    fn pixel(self, event: &web_sys::PointerEvent) -> Option<[f64; 2]> {
        let element = event.current_target()?.dyn_into::<web_sys::Element>().ok()?;
        let area = element.get_bounding_client_rect();
        Some([f64::from(event.client_x()) - area.left(), f64::from(event.client_y()) - area.top()])
    }

    /// The number of the handle under a pointer, counted through all marks.
    fn handle_under(self, [px, py]: [f64; 2], event: &web_sys::PointerEvent) -> Option<usize> {
        if !self.handles_to_move() {
            return None;
        }
        let reach = if event.pointer_type() == "touch" { TOUCH_REACH } else { REACH };
        self.with_plot(|chart, plot| {
            let (mark, index) = handle_at(chart, plot, (px, py), reach)?;
            let count = |mark: &Mark| if let Mark::Handles { points, .. } = mark { points.len() } else { 0 };
            Some(chart.marks[..mark].iter().map(count).sum::<usize>() + index)
        })?
    }

    // ---- the pointer

    pub fn down(self, event: &web_sys::PointerEvent) {
        let Some(pixel) = self.pixel(event).filter(|_| event.button() == 0 && event.is_primary()) else { return };
        self.point_at(pixel, event);
        let Some(held) = self.take(pixel, event) else { return };
        let target = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        if target.is_some_and(|element| element.set_pointer_capture(event.pointer_id()).is_err()) {
            leptos::logging::log!("the pointer cannot be held; a drag ends at the edge of the figure");
        }
        if held.counts() {
            self.on_hold.run(true);
        }
        let (paints, draws) = (matches!(held, Held::Brush(_)), matches!(held, Held::Pen(_)));
        self.held.set_value(Some(held));
        if draws {
            self.draw(pixel);
        } else if paints {
            self.paint(pixel);
        }
    }

    /// What a press takes hold of.
    fn take(self, pixel: [f64; 2], event: &web_sys::PointerEvent) -> Option<Held> {
        if untrack(|| self.guesses()) {
            return self.at(pixel).map(Held::Pen);
        }
        if let Some(index) = self.handle_under(pixel, event) {
            self.chosen.set(index);
            let [x, y] = untrack(|| self.handles()).get(index).copied()?;
            let (px, py) = self.with_plot(|_, plot| plot.to_pixel(f64::from(x), f64::from(y)))?;
            return Some(Held::Handle { index, grab: [pixel[0] - px, pixel[1] - py] });
        }
        if self.edits.with_untracked(Option::is_none) || self.handles_to_move() {
            return None;
        }
        let (heights, range) = self.chart.with_untracked(painted)?;
        let tallest = heights.iter().copied().filter(|height| height.is_finite()).fold(0.0, f32::max);
        // Where nothing stands yet, the height of the axis is 1.
        let plot = self.with_plot(|_, plot| *plot)?;
        let axis = self.with_plot(|chart, _| chart.y.max)?;
        let tallest = if tallest > 0.0 { f64::from(tallest) } else { axis.max(f64::MIN_POSITIVE) };
        let heights = heights.iter().map(|height| (f64::from(*height) / tallest).clamp(0.0, 1.0)).collect();
        let begun = event.pointer_type() != "touch";
        Some(Held::Brush(Stroke { plot, range, tallest, heights, from: pixel, begun }))
    }

    pub fn moved(self, event: &web_sys::PointerEvent) {
        let Some(pixel) = self.pixel(event) else { return };
        if self.held.with_value(|held| matches!(held, Some(Held::Pen(_)))) {
            return self.draw(pixel);
        }
        match self.held.with_value(|held| held.as_ref().map(Held::handle)) {
            Some(Some((index, [dx, dy]))) => {
                let to = self.with_plot(|_, plot| plot.from_pixel(pixel[0] - dx, pixel[1] - dy));
                if let Some((x, y)) = to {
                    self.cursor.set(Some(Cursor::Handle(index)));
                    self.move_handle(index, [x, y]);
                }
            }
            Some(None) => self.paint(pixel),
            None => self.point_at(pixel, event),
        }
    }

    fn point_at(self, pixel: [f64; 2], event: &web_sys::PointerEvent) {
        let cursor = match self.handle_under(pixel, event) {
            Some(index) => Some(Cursor::Handle(index)),
            None => self.with_plot(|_, plot| {
                let (x, y) = plot.from_pixel(pixel[0], pixel[1]);
                Cursor::At([x, y])
            }),
        };
        if self.cursor.get_untracked() != cursor {
            self.cursor.set(cursor);
        }
    }

    pub fn left(self) {
        if !self.holds() {
            self.cursor.set(None);
        }
    }

    /// Ends a drag; told once, though a release has several events.
    pub fn release(self) {
        let Some(held) = self.held.try_update_value(Option::take).flatten() else { return };
        if let Some((_, since)) = self.draft.write().as_mut() {
            *since = js_sys::Date::now();
        }
        if held.counts() {
            self.flush();
            self.on_hold.run(false);
        }
    }

    /// Paints from where the pointer was to where it is, so that a quick stroke leaves no gaps.
    fn paint(self, to: [f64; 2]) {
        let mut begins = false;
        let text = self.held.try_update_value(|held| {
            let Some(Held::Brush(stroke)) = held else { return None };
            if !stroke.begun {
                let [across, along] = [(to[0] - stroke.from[0]).abs(), (to[1] - stroke.from[1]).abs()];
                if across < SIDEWAYS || across < along {
                    return None;
                }
                (stroke.begun, begins) = (true, true);
            }
            stroke.paint(to);
            Some(stroke.text())
        });
        if begins {
            self.on_hold.run(true);
        }
        if let Some(text) = text.flatten() {
            self.cursor.set(None);
            self.send(text);
        }
    }

    /// A pixel in the chart's own numbers, held within its axes.
    fn at(self, [px, py]: [f64; 2]) -> Option<[f32; 2]> {
        self.with_plot(|_, plot| {
            let (x, y) = plot.from_pixel(px.clamp(plot.left, plot.right), py.clamp(plot.top, plot.bottom));
            [x as f32, y as f32]
        })
    }

    fn draw(self, pixel: [f64; 2]) {
        let (Some(pen), Some(to)) = (self.pen, self.at(pixel)) else { return };
        let from = self.held.try_update_value(|held| match held {
            Some(Held::Pen(last)) => Some(std::mem::replace(last, to)),
            _ => None,
        });
        if let Some(from) = from.flatten() {
            self.cursor.set(None);
            let anew = from == to && pen.guess.with_untracked(|guess| guess.as_ref().is_none_or(Guess::is_flat));
            pen.on_stroke.run((from, to, anew));
        }
    }

    // ---- edits

    fn move_handle(self, index: usize, [x, y]: [f64; 2]) {
        let mut points = untrack(|| self.handles());
        let Some(point) = points.get_mut(index) else { return };
        *point = [x as f32, y as f32];
        let text: Vec<String> = points.iter().map(|[x, y]| format!("{x:.3},{y:.3}")).collect();
        self.draft.set(Some((points, js_sys::Date::now())));
        self.send(text.join(";"));
    }

    /// At most one edit a picture of the screen: the last.
    fn send(self, text: String) {
        let waits = self.pending.with_value(Option::is_some);
        self.pending.set_value(Some(text));
        if !waits {
            request_animation_frame(move || self.flush());
        }
    }

    fn flush(self) {
        let Some(text) = self.pending.try_update_value(Option::take).flatten() else { return };
        if let Some(key) = self.edits.get_untracked() {
            self.on_edit.run((key, text));
        }
    }

    // ---- the keys

    pub fn focused(self) {
        // A press has a place of its own.
        if self.cursor.get_untracked().is_none() && self.handles_to_move() {
            self.choose(self.chosen.get_untracked());
        }
    }

    pub fn escape(self) {
        self.cursor.set(None);
        self.spoken.set(String::new());
    }

    pub fn key(self, event: &web_sys::KeyboardEvent) {
        let key = event.key();
        let moves = self.handles_to_move();
        // With Ctrl a handle moves in fine steps; all else with it is the browser's.
        let fine = event.ctrl_key() && moves && key.starts_with("Arrow");
        if event.ctrl_key() != fine || event.alt_key() || event.meta_key() {
            return;
        }
        let done = if key == "Escape" {
            // Only if there is something to leave: otherwise it ends a full screen or closes a sheet.
            let reads = self.cursor.get_untracked().is_some();
            self.escape();
            reads
        } else if untrack(|| self.guesses()) {
            self.guess_key(&key)
        } else if moves {
            let parts = match (fine, event.shift_key()) {
                (true, _) => 500.0,
                (false, true) => 10.0,
                (false, false) => 50.0,
            };
            self.handle_key(&key, parts)
        } else {
            self.reading_key(&key)
        };
        if done {
            event.prevent_default();
            event.stop_propagation();
        }
    }

    fn choose(self, index: usize) {
        self.chosen.set(index);
        self.cursor.set(Some(Cursor::Handle(index)));
        self.speak();
    }

    fn speak(self) {
        let said = untrack(|| self.said()).map(|said| said.spoken()).unwrap_or_default();
        self.spoken.set(said);
    }

    /// Moves the chosen handle by one of so many parts of the axis; N and P choose.
    fn handle_key(self, key: &str, parts: f64) -> bool {
        let points = untrack(|| self.handles());
        let chosen = self.chosen.get_untracked().min(points.len().saturating_sub(1));
        let Some(&[x, y]) = points.get(chosen) else { return false };
        let [across, along] = match key {
            "ArrowLeft" => [-1.0, 0.0],
            "ArrowRight" => [1.0, 0.0],
            "ArrowUp" => [0.0, -1.0],
            "ArrowDown" => [0.0, 1.0],
            "n" | "N" | "p" | "P" => {
                let step = if key.eq_ignore_ascii_case("n") { 1 } else { points.len() - 1 };
                self.choose((chosen + step) % points.len());
                return true;
            }
            _ => return false,
        };
        // In pixels, where a step is as long on a logarithmic axis as on any other.
        let to = self.with_plot(|_, plot| {
            let (px, py) = plot.to_pixel(f64::from(x), f64::from(y));
            let (wide, high) = ((plot.right - plot.left) / parts, (plot.bottom - plot.top) / parts);
            plot.from_pixel(px + across * wide, py + along * high)
        });
        if let Some((x, y)) = to {
            self.move_handle(chosen, [x, y]);
            self.choose(chosen);
        }
        true
    }

    /// Left and right choose a place, up and down draw the curve there.
    fn guess_key(self, key: &str) -> bool {
        let Some(pen) = self.pen else { return false };
        let Some((min, max)) = self.with_plot(|chart, _| (chart.x.min, chart.x.max)) else { return false };
        let step = (max - min) / GUESS_PLACES;
        let now = match self.cursor.get_untracked() {
            Some(Cursor::At([x, _])) => x,
            _ => min,
        };
        let (across, up) = match key {
            "ArrowLeft" => (-step, 0.0),
            "ArrowRight" => (step, 0.0),
            "ArrowUp" => (0.0, -1.0),
            "ArrowDown" => (0.0, 1.0),
            _ => return false,
        };
        // On the grid of places, wherever a pointer left the cursor.
        let x = (min + ((now - min) / step).round() * step + across).clamp(min, max);
        let height = |x: f64| pen.guess.with_untracked(|guess| guess.as_ref().and_then(|guess| guess.at(x as f32)));
        let Some(mut y) = height(x).map(f64::from) else { return false };
        if up != 0.0 {
            let moved = self.with_plot(|_, plot| {
                let (px, py) = plot.to_pixel(x, y);
                let far = (plot.bottom - plot.top) / 20.0;
                plot.from_pixel(px, (py + up * far).clamp(plot.top, plot.bottom)).1
            });
            y = moved.unwrap_or(y);
            // Its neighbors stay where they are, or the stroke would pull the whole curve along.
            for beside in [x - step, x + step].into_iter().filter(|beside| (min..=max).contains(beside)) {
                if let Some(level) = height(beside) {
                    pen.on_stroke.run(([beside as f32, level], [beside as f32, level], false));
                }
            }
            pen.on_stroke.run(([x as f32, y as f32], [x as f32, y as f32], false));
        }
        self.cursor.set(Some(Cursor::At([x, y])));
        self.speak();
        true
    }

    /// Steps from value to value; up and down from row to row of a heat map.
    fn reading_key(self, key: &str) -> bool {
        let Some((stops, rows)) = self.with_plot(|chart, _| (stops(chart), rows(chart))) else { return false };
        let Some(last) = stops.len().checked_sub(1) else { return false };
        let now = self.cursor.get_untracked().and_then(|cursor| match cursor {
            Cursor::At(at) => Some(at),
            Cursor::Handle(_) => None,
        });
        let index = now.map(|[x, _]| {
            let near = |a: &usize, b: &usize| (stops[*a] - x).abs().total_cmp(&(stops[*b] - x).abs());
            (0..stops.len()).min_by(near).unwrap_or(0)
        });
        let row = now.and_then(|[_, y]| {
            let near = |a: &usize, b: &usize| (rows[*a] - y).abs().total_cmp(&(rows[*b] - y).abs());
            (0..rows.len()).min_by(near)
        });
        let mut row = row.unwrap_or(rows.len() / 2);
        let to = match key {
            // The first key enters at the end from which it comes.
            "ArrowLeft" => index.map_or(last, |index| index.saturating_sub(1)),
            "ArrowRight" => index.map_or(0, |index| (index + 1).min(last)),
            "Home" => 0,
            "End" => last,
            "ArrowUp" | "ArrowDown" if !rows.is_empty() => {
                row = if key == "ArrowUp" { (row + 1).min(rows.len() - 1) } else { row.saturating_sub(1) };
                index.unwrap_or(0)
            }
            _ => return false,
        };
        let y = rows.get(row).copied().or(now.map(|[_, y]| y)).unwrap_or(f64::NAN);
        self.cursor.set(Some(Cursor::At([stops[to], y])));
        self.speak();
        true
    }

    // ---- what is read

    /// What stands at the cursor, and the handle that the keys would move. Tracked.
    pub fn said(self) -> Option<Said> {
        let (size, cursor) = (self.size.get(), self.cursor.get());
        let movable = self.has_handles();
        let points = if movable { self.handles() } else { Vec::new() };
        let chosen = self.chosen.get();
        self.chart.with(|chart| {
            let plot = place(chart.as_ref()?, size);
            let marked = handles(chart);
            let mut said = match cursor {
                Some(Cursor::Handle(index)) => {
                    handle_said(chart.as_ref()?, &plot, marked.get(index)?, points.get(index)?)
                }
                Some(Cursor::At(at)) => place_said(chart.as_ref()?, &plot, at),
                None => None,
            };
            // A single handle needs no mark to be found.
            if let (Some((_, ink, _)), Some([x, y])) = (marked.get(chosen), points.get(chosen))
                && (points.len() > 1 || matches!(cursor, Some(Cursor::Handle(_))))
            {
                let (px, py) = plot.to_pixel(f64::from(*x), f64::from(*y));
                // The drawing too keeps a handle within the plot.
                let (x, y) = (px.clamp(plot.left, plot.right), py.clamp(plot.top, plot.bottom));
                said.get_or_insert_default().shown.push(Shown::Handle { ink: *ink, x, y });
            }
            said
        })
    }
}

impl Held {
    fn handle(&self) -> Option<(usize, [f64; 2])> {
        match self {
            Self::Handle { index, grab } => Some((*index, *grab)),
            Self::Brush(_) | Self::Pen(_) => None,
        }
    }

    /// Whether it is more than a finger that may yet scroll.
    fn counts(&self) -> bool {
        match self {
            Self::Handle { .. } | Self::Pen(_) => true,
            Self::Brush(stroke) => stroke.begun,
        }
    }
}

impl Stroke {
    fn paint(&mut self, to: [f64; 2]) {
        let Some(last) = self.heights.len().checked_sub(1) else { return };
        let [(from_bar, from_height), (to_bar, to_height)] = [self.from, to].map(|[px, py]| {
            let (x, y) = self.plot.from_pixel(px, py);
            let share = (x - f64::from(self.range[0])) / f64::from(self.range[1] - self.range[0]);
            // Saturates: left of the bars is the first.
            (((share * (last + 1) as f64) as usize).min(last), (y / self.tallest).max(0.0))
        });
        for bar in from_bar.min(to_bar)..=from_bar.max(to_bar) {
            let way = from_bar.abs_diff(to_bar);
            let share = if way == 0 { 1.0 } else { bar.abs_diff(from_bar) as f64 / way as f64 };
            self.heights[bar] = from_height + share * (to_height - from_height);
        }
        self.from = to;
    }

    /// The heights as a link says them, the tallest 1.
    fn text(&self) -> String {
        let tallest = self.heights.iter().copied().fold(1.0, f64::max);
        let short = |height: &f64| {
            let text = format!("{:.3}", height / tallest);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        self.heights.iter().map(short).collect::<Vec<_>>().join(",")
    }
}

impl Said {
    fn spoken(&self) -> String {
        let place = [self.place.0.as_str(), self.place.1.as_str()].join(" ");
        let items = self.items.iter().map(|item| format!("{} {}", item.name, item.text));
        std::iter::once(place.trim().to_owned()).chain(items).collect::<Vec<_>>().join(", ")
    }
}

/// All handles of a chart in their order: name, role, place.
fn handles(chart: &Option<Chart>) -> Vec<(String, Ink, [f32; 2])> {
    let mut all = Vec::new();
    for mark in chart.iter().flat_map(|chart| &chart.marks) {
        if let Mark::Handles { name, ink, first, points } = mark {
            let named = |index: usize| match points.len() {
                1 => name.clone(),
                _ => format!("{name} {}", first + index),
            };
            all.extend(points.iter().enumerate().map(|(index, point)| (named(index), *ink, *point)));
        }
    }
    all
}

/// What a brush begins with: the heights of the truth over the bars, where it is shown; the bars are but draws from it.
fn painted(chart: &Option<Chart>) -> Option<(Vec<f32>, [f32; 2])> {
    let (mut heights, [from, to]) = bars(chart)?;
    let truth = chart.iter().flat_map(|chart| &chart.marks).find_map(|mark| match mark {
        Mark::Line { ink: Ink::Truth, points, .. } if !points.is_empty() => Some(points),
        _ => None,
    });
    if let (Some(truth), count) = (truth, heights.len()) {
        let ends = [truth[0][0], truth[truth.len() - 1][0]];
        for (bar, height) in heights.iter_mut().enumerate() {
            let center = from + (bar as f32 + 0.5) * (to - from) / count as f32;
            *height = height_at(truth, center.clamp(ends[0], ends[1])).unwrap_or(*height);
        }
    }
    Some((heights, [from, to]))
}

/// The bars that can be painted, the first of the chart, and what they span.
fn bars(chart: &Option<Chart>) -> Option<(Vec<f32>, [f32; 2])> {
    chart.iter().flat_map(|chart| &chart.marks).find_map(|mark| match mark {
        Mark::Bars { heights, from, to, .. } => Some((heights.clone(), [*from, *to])),
        _ => None,
    })
}

/// The middles of the rows of the topmost heat map.
fn rows(chart: &Chart) -> Vec<f64> {
    let rows = chart.marks.iter().rev().find_map(|mark| match mark {
        Mark::Heat { rows, y: [from, to], .. } => {
            let (from, step) = (f64::from(*from), f64::from(to - from) / (*rows).max(1) as f64);
            Some((0..*rows).map(|row| from + (row as f64 + 0.5) * step).collect())
        }
        _ => None,
    });
    rows.unwrap_or_default()
}

fn handle_said(
    chart: &Chart,
    plot: &Plot,
    (name, ink, _): &(String, Ink, [f32; 2]),
    &[x, y]: &[f32; 2],
) -> Option<Said> {
    let item = |axis: &str, otherwise: &str, value: f32| Item {
        ink: None,
        name: if axis.is_empty() { otherwise.to_owned() } else { axis.to_owned() },
        text: number(f64::from(value), 3),
    };
    let mut items = vec![item(&chart.x.name, "x", x)];
    items[0].ink = Some(*ink);
    // Between rows with names of their own a height means nothing.
    if chart.y.ticks.is_empty() {
        items.push(item(&chart.y.name, "y", y));
    }
    let (at, _) = plot.to_pixel(f64::from(x), f64::from(y));
    Some(Said { place: (name.clone(), String::new()), items, shown: Vec::new(), at })
}

/// What a chart says at a place: the cell of a heat map, or every series at the nearest value.
fn place_said(chart: &Chart, plot: &Plot, [x, y]: [f64; 2]) -> Option<Said> {
    let named = |name: &str, otherwise: &str| if name.is_empty() { otherwise.to_owned() } else { name.to_owned() };
    if let Some((column, row, value)) = cell(chart, x, y) {
        let heat = chart.marks.iter().rev().find(|mark| matches!(mark, Mark::Heat { .. }))?;
        let items = vec![
            Item { ink: None, name: named(&chart.y.name, "row"), text: row },
            Item { ink: None, name: named(heat.name(), "value"), text: value },
        ];
        let shown = cell_frame(heat, plot, [x, y]).into_iter().collect();
        return Some(Said { place: (named(&chart.x.name, "column"), column), items, shown, at: plot.to_pixel(x, y).0 });
    }
    // On a plane nothing is a function of x.
    if chart.plane {
        return None;
    }
    let pixel = |value: f64| plot.to_pixel(value, chart.y.min).0;
    let far = |stop: &f64| (pixel(*stop) - pixel(x)).abs();
    let nearest = stops(chart).into_iter().min_by(|a, b| far(a).total_cmp(&far(b)))?;
    let readings = readout(chart, nearest);
    let mut shown = vec![Shown::Line { x: pixel(nearest), top: plot.top, bottom: plot.bottom }];
    for reading in &readings {
        let (x, y) = plot.to_pixel(reading.x, reading.y);
        if (plot.top..=plot.bottom).contains(&y) {
            shown.push(Shown::Dot { ink: reading.ink, x, y });
        }
    }
    let items = readings.into_iter().map(|reading| Item {
        ink: Some(reading.ink),
        name: named(&reading.name, &chart.y.name),
        text: reading.text,
    });
    let place = (named(&chart.x.name, "x"), axis_text(chart, nearest));
    Some(Said { place, items: items.collect(), shown, at: pixel(nearest) })
}

/// A value of x in the axis' own words, where it has any.
fn axis_text(chart: &Chart, value: f64) -> String {
    let near = (chart.x.max - chart.x.min).abs() * 1e-6;
    let word = chart.x.ticks.iter().find(|(tick, _)| (tick - value).abs() <= near);
    word.map_or_else(|| number(value, 3), |(_, text)| text.clone())
}

/// The outline of the cell at a place.
fn cell_frame(heat: &Mark, plot: &Plot, at: [f64; 2]) -> Option<Shown> {
    let Mark::Heat { rows, columns, x, y, .. } = heat else { return None };
    let ends = |[from, to]: [f32; 2], count: usize, value: f64| {
        let (from, step) = (f64::from(from), f64::from(to - from) / count.max(1) as f64);
        let index = ((value - from) / step).floor();
        (from + index * step, from + (index + 1.0) * step)
    };
    let ((left, right), (low, high)) = (ends(*x, *columns, at[0]), ends(*y, *rows, at[1]));
    let (a, b) = (plot.to_pixel(left, low), plot.to_pixel(right, high));
    Some(Shown::Cell { x: a.0.min(b.0), y: a.1.min(b.1), width: (a.0 - b.0).abs(), height: (a.1 - b.1).abs() })
}
