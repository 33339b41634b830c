//! Draws a chart, in the grammar of the design: one axis below, hair lines, names on the lines, no legend.
//!
//! Pure: the same chart and size give the same text. It decides order, width and place; what a role looks like is
//! said by the style sheet through classes.

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, Drawable, PathElement, PointCollection, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{IntoFont, TextStyle};

use super::label::{self, Anchor, Form, Room, Series, Spot};
use super::pen::{self, Class, Kind, Pen, SHARES, fine, width};
use super::place::{radii, tick_text, ticks};
use super::table::bar_centers;
use super::{Chart, Ink, Mark};

pub use super::pen::css_class;
pub use super::place::{Plot, Size, place};
pub use super::read::{Reading, cell, handle_at, readout, stops};

type Point = (f64, f64);

/// The picture for the page. Without a name of its own: the panel around it carries one.
pub fn svg(chart: &Chart, size: Size) -> String {
    let mut out = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {} {}\" role=\"img\" aria-hidden=\"true\">",
        size.width, size.height
    );
    draw(chart, size, &mut out);
    out.push_str("</svg>");
    out
}

/// The picture as a file of its own, with its title and the colors of the light theme.
pub fn standalone(chart: &Chart, title: &str, size: Size) -> String {
    const HEAD: f64 = 28.0;
    const EDGE: f64 = 12.0;
    let mut name = String::new();
    pen::escape(title, &mut name);
    let (across, whole) = (size.width + 2.0 * EDGE, size.height + HEAD + 2.0 * EDGE);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" width=\"{across}\" height=\"{whole}\" viewBox=\"-{EDGE} -{EDGE} {across} {whole}\" role=\"img\">\
         <title>{name}</title><style>{}</style><text class=\"title\" x=\"0\" y=\"14\">{name}</text>\
         <svg y=\"{HEAD}\" width=\"{}\" height=\"{}\" overflow=\"visible\">",
        pen::STANDALONE,
        size.width,
        size.height
    );
    draw(chart, size, &mut out);
    out.push_str("</svg></svg>");
    out
}

/// What is drawn first is covered by what comes later.
fn rank(mark: &Mark) -> u8 {
    match mark {
        Mark::Heat { .. } => 0,
        Mark::Bars { .. } => 1,
        Mark::Band { .. } => 2,
        Mark::Level { .. } => 3,
        Mark::Line { ink, .. } | Mark::Stems { ink, .. } | Mark::Dots { ink, .. } => match ink {
            Ink::Data => 4,
            Ink::Muted => 5,
            Ink::Baseline2 => 6,
            Ink::Baseline => 7,
            Ink::Truth => 8,
            Ink::Guess => 9,
            Ink::Method => 10,
        },
        Mark::Moment { .. } => 11,
        Mark::Handles { .. } | Mark::Key { .. } => 12,
    }
}

fn draw(chart: &Chart, size: Size, out: &mut String) {
    let plot = place(chart, size);
    let reach = [plot.left, plot.top - 6.0, size.width, plot.bottom - 1.0];
    let mut sheet = Sheet {
        chart,
        plot,
        area: Pen::new(out, size.width, size.height).into_drawing_area(),
        room: Room::new(size.width, size.height, reach),
        names: Vec::new(),
    };
    let mut marks: Vec<(usize, &Mark)> = chart.marks.iter().enumerate().collect();
    marks.sort_by_key(|(_, mark)| rank(mark));
    if chart.plane {
        sheet.plane();
    } else {
        sheet.axes(size);
    }
    for &(index, mark) in &marks {
        sheet.mark(index, mark);
    }
    sheet.handle_squares();
    sheet.level_names();
    sheet.series_names();
    for &(_, mark) in &marks {
        sheet.handles(mark);
    }
    sheet.area.present().expect("closing a string's last element cannot fail");
}

struct Sheet<'a, 'b> {
    chart: &'a Chart,
    plot: Plot,
    area: DrawingArea<Pen<'b>, Shift>,
    room: Room,
    /// Series that wait for their names, in the order of drawing.
    names: Vec<(&'a str, Ink, Series)>,
}

impl<'a, 'b> Sheet<'a, 'b> {
    fn shape<E>(&self, shape: &E)
    where
        for<'e> &'e E: PointCollection<'e, (i32, i32)>,
        E: Drawable<Pen<'b>>,
    {
        self.area.draw(shape).expect("writing into a string cannot fail");
    }

    fn path(&self, class: Class, points: &[Point]) {
        self.shape(&PathElement::new(
            points.iter().map(|&(x, y)| (fine(x), fine(y))).collect::<Vec<_>>(),
            class.style(false),
        ));
    }

    fn rectangle(&self, class: Class, [left, top, right, bottom]: [f64; 4]) {
        self.shape(&Rectangle::new([(fine(left), fine(top)), (fine(right), fine(bottom))], class.style(true)));
    }

    fn circle(&self, class: Class, (x, y): Point, radius: f64) {
        self.shape(&Circle::new((fine(x), fine(y)), fine(radius), class.style(true)));
    }

    fn text(&self, class: Class, text: &str, x: f64, y: f64, anchor: Anchor) {
        let across = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let color = class.color();
        let style =
            TextStyle::from(("sans-serif", pen::TEXT).into_font()).color(&color).pos(Pos::new(across, VPos::Bottom));
        self.area.draw_text(text, &style, (fine(x), fine(y))).expect("writing into a string cannot fail");
    }

    fn spot(&self, class: Class, spot: &Spot) {
        if let Some(guide) = &spot.guide {
            self.path(Class::plain(Kind::Guide), guide);
        }
        self.text(class, &spot.text, spot.x, spot.y, spot.anchor);
    }

    fn axes(&mut self, size: Size) {
        let (chart, Plot { left, top, right, bottom, .. }) = (self.chart, self.plot);
        let heat = chart.marks.iter().find(|mark| matches!(mark, Mark::Heat { .. }));
        let (across, along) = (ticks(&chart.x, 5), ticks(&chart.y, 5));
        if heat.is_none() {
            for (value, _) in &along {
                let y = self.plot.to_pixel(0.0, *value).1;
                self.path(Class::plain(Kind::Grid), &[(left, y), (right, y)]);
            }
        }
        // Cells with names of their own need no line to be counted on.
        if heat.is_none() || chart.x.ticks.is_empty() {
            let axis = Class::plain(Kind::Axis);
            self.path(axis, &[(left, bottom), (right, bottom)]);
            for (value, _) in &across {
                let x = self.plot.to_pixel(*value, 0.0).0;
                self.path(axis, &[(x, bottom), (x, bottom + 4.0)]);
            }
        }
        let tick = Class::plain(Kind::Tick);
        let across: Vec<_> = across
            .iter()
            .map(|(value, text)| (self.plot.to_pixel(*value, 0.0).0, width(text, false) + 5.0, text))
            .collect();
        for (x, _, text) in apart(&across) {
            self.text(tick, text, *x, bottom + 16.0, Anchor::Middle);
        }
        let along: Vec<_> = along.iter().map(|(value, text)| (self.plot.to_pixel(0.0, *value).1, 12.0, text)).collect();
        for (y, _, text) in apart(&along) {
            self.text(tick, text, left - 6.0, y + 4.0, Anchor::End);
        }
        let unit = Class::plain(Kind::Unit);
        if !chart.x.name.is_empty() {
            self.text(unit, &chart.x.name, right, bottom + 32.0, Anchor::End);
        }
        if !chart.y.name.is_empty() {
            self.text(unit, &chart.y.name, 0.0, 9.0, Anchor::Start);
        }
        if let Some(Mark::Heat { name, signed, .. }) = heat {
            let words = chart.marks.iter().filter_map(|mark| match mark {
                Mark::Key { name, value } => Some((name.as_str(), (value * 10.0).round() as u8)),
                _ => None,
            });
            match words.collect::<Vec<_>>() {
                words if words.is_empty() => self.key(name, *signed, size, top),
                words => self.words(&words, size, top),
            }
        }
    }

    /// What steps of the scale mean, right of y's name, as many of them as there is room for.
    fn words(&self, words: &[(&str, u8)], size: Size, top: f64) {
        const SIDE: f64 = 8.0;
        let taken = if self.chart.y.name.is_empty() { 0.0 } else { width(&self.chart.y.name, false) + 16.0 };
        let mut right = size.width - 6.0;
        for &(word, step) in words.iter().rev() {
            let left = right - width(word, false) - SIDE - 5.0;
            if left < taken {
                return;
            }
            self.text(Class::plain(Kind::Unit), word, right, 9.0, Anchor::End);
            self.rectangle(Class::new(Kind::Cell, step.min(SHARES - 1)), [left, top - 18.5, left + SIDE, top - 10.5]);
            right = left - 12.0;
        }
    }

    /// The scale of a heat map, right of y's name, as much of it as there is room for.
    fn key(&self, name: &str, signed: bool, size: Size, top: f64) {
        const STEP: f64 = 8.0;
        let (first, steps, low) = if signed { (SHARES, 9, "−1") } else { (0, SHARES, "0") };
        let mut left = size.width - 6.0 - width("1", false) - 5.0 - f64::from(steps) * STEP;
        let taken = if self.chart.y.name.is_empty() { 0.0 } else { width(&self.chart.y.name, false) + 16.0 };
        if left - 5.0 - width(low, false) < taken {
            return;
        }
        let unit = Class::plain(Kind::Unit);
        for step in 0..steps {
            let x = left + f64::from(step) * STEP;
            self.rectangle(Class::new(Kind::Cell, first + step), [x, top - 18.5, x + STEP - 0.6, top - 10.5]);
        }
        self.text(unit, "1", size.width - 6.0, 9.0, Anchor::End);
        left -= 5.0;
        self.text(unit, low, left, 9.0, Anchor::End);
        left -= width(low, false) + 8.0;
        if left - width(name, false) >= taken {
            self.text(unit, name, left, 9.0, Anchor::End);
        }
    }

    fn plane(&mut self) {
        let (chart, plot) = (self.chart, self.plot);
        let (origin_x, origin_y) = plot.to_pixel(0.0, 0.0);
        let grid = Class::plain(Kind::Grid);
        let circles = radii(&plot);
        for radius in &circles {
            let reach = (plot.to_pixel(*radius, 0.0).0 - origin_x).abs();
            self.shape(&Circle::new((fine(origin_x), fine(origin_y)), fine(reach), grid.style(false)));
        }
        let axis = Class::plain(Kind::Axis);
        let (across, along) =
            ((plot.left..=plot.right).contains(&origin_x), (plot.top..=plot.bottom).contains(&origin_y));
        if along {
            self.path(axis, &[(plot.left, origin_y), (plot.right, origin_y)]);
        }
        if across {
            self.path(axis, &[(origin_x, plot.top), (origin_x, plot.bottom)]);
        }
        let (name_x, name_y) = (if across { origin_x } else { plot.left }, if along { origin_y } else { plot.bottom });
        let unit = Class::plain(Kind::Unit);
        let mut written = vec![(unit, chart.x.name.clone(), plot.right - 2.0, name_y - 6.0, Anchor::End)];
        written.push((unit, chart.y.name.clone(), name_x + 6.0, plot.top + 9.0, Anchor::Start));
        if let Some(radius) = circles.last() {
            let y = plot.to_pixel(0.0, -radius).1;
            written.push((Class::plain(Kind::Tick), tick_text(*radius, false), name_x + 6.0, y - 5.0, Anchor::Start));
        }
        for (class, text, x, y, anchor) in written.into_iter().filter(|(_, text, ..)| !text.is_empty()) {
            self.text(class, &text, x, y, anchor);
            let left = if anchor == Anchor::End { x - width(&text, false) } else { x };
            self.room.fill([left, y - 9.0, left + width(&text, false), y + 2.0], label::TEXT);
        }
    }

    fn mark(&mut self, index: usize, mark: &'a Mark) {
        let bit = label::bit(index);
        match mark {
            Mark::Line { name, ink, points } => {
                let runs = runs(&self.plot, points);
                let kind = if *ink != Ink::Method && restless(&self.plot, &runs) { Kind::Thin } else { Kind::Line };
                for run in &runs {
                    self.path(Class::inked(kind, *ink), run);
                    self.room.line(run, bit);
                }
                self.wait(name, *ink, bit, runs.concat(), Form::Line);
            }
            Mark::Bars { name, ink, heights, .. } => self.bars(name, *ink, mark, heights.len(), bit),
            Mark::Stems { name, ink, points } => {
                let inside = self.inside(points);
                let base = self.base();
                for &(x, y) in &inside {
                    self.path(Class::inked(Kind::Stem, *ink), &[(x, base), (x, y)]);
                    self.room.line(&[(x, base), (x, y)], bit);
                }
                for &at in &inside {
                    self.circle(Class::inked(Kind::Tip, *ink), at, 3.5);
                }
                self.wait(name, *ink, bit, inside, Form::Points);
            }
            Mark::Dots { name, ink, points } => {
                let inside = self.inside(points);
                let radius = if inside.len() > 80 { 2.0 } else { 2.8 };
                for &(x, y) in &inside {
                    self.circle(Class::inked(Kind::Dot, *ink), (x, y), radius);
                    self.room.fill([x - radius, y - radius, x + radius, y + radius], bit);
                }
                self.wait(name, *ink, bit, inside, Form::Points);
            }
            Mark::Band { name, ink, points } => self.band(name, *ink, points, bit),
            Mark::Heat { .. } => self.heat(mark),
            Mark::Level { y, .. } => {
                let Plot { left, top, right, bottom, .. } = self.plot;
                let y = self.plot.to_pixel(0.0, f64::from(*y)).1;
                if y >= top && y <= bottom {
                    self.path(Class::plain(Kind::Guide), &[(left, y), (right, y)]);
                    self.room.line(&[(left, y), (right, y)], label::FILL);
                }
            }
            Mark::Moment { name, x } => {
                let Plot { left, top, right, bottom, .. } = self.plot;
                let x = self.plot.to_pixel(f64::from(*x), 0.0).0;
                if x >= left && x <= right {
                    let line = [(x, top - 6.0), (x, bottom)];
                    self.path(Class::plain(if name == "now" { Kind::Now } else { Kind::Event }), &line);
                    self.room.line(&line, label::THREAD);
                }
            }
            Mark::Handles { .. } | Mark::Key { .. } => {}
        }
    }

    /// Points of a series that can be seen, in pixels.
    fn inside(&self, points: &[[f32; 2]]) -> Vec<Point> {
        let pixels = points.iter().map(|&[x, y]| self.plot.to_pixel(f64::from(x), f64::from(y)));
        pixels.filter(|&pixel| self.plot.contains(pixel)).collect()
    }

    /// Where columns stand on: zero, if it can be seen.
    fn base(&self) -> f64 {
        let zero = self.plot.to_pixel(0.0, 0.0).1;
        if zero.is_finite() { zero.clamp(self.plot.top, self.plot.bottom) } else { self.plot.bottom }
    }

    fn wait(&mut self, name: &'a str, ink: Ink, bit: u32, mut path: Vec<Point>, form: Form) {
        if !name.is_empty() && !path.is_empty() {
            let (stride, last) = (path.len().div_ceil(256), path.len() - 1);
            let end = path[last];
            let mut index = 0;
            path.retain(|_| {
                index += 1;
                (index - 1) % stride == 0
            });
            path.push(end);
            self.names.push((name, ink, Series { bit, path, form }));
        }
    }

    fn bars(&mut self, name: &'a str, ink: Ink, mark: &Mark, count: usize, bit: u32) {
        let Mark::Bars { from, to, .. } = mark else { return };
        // Bars over the same places stand beside each other.
        let same = |other: &&Mark| matches!(other, Mark::Bars { from: f, to: t, heights, .. } if f == from && t == to && heights.len() == count);
        let beside = self.chart.marks.iter().filter(same).count().max(1);
        let place = self.chart.marks.iter().filter(same).position(|other| std::ptr::eq(other, mark)).unwrap_or(0);
        let Plot { left, top, right, bottom, .. } = self.plot;
        let base = self.base();
        let (start, end) = (self.plot.to_pixel(f64::from(*from), 0.0).0, self.plot.to_pixel(f64::from(*to), 0.0).0);
        let slot = (end - start) / count.max(1) as f64;
        let gap = slot.abs() * if slot.abs() < 12.0 { 0.17 } else { 0.25 };
        let wide = (slot - gap.copysign(slot)) / beside as f64;
        let mut tops = Vec::new();
        for (index, [_, height]) in bar_centers(mark).into_iter().enumerate() {
            let y = self.plot.to_pixel(0.0, f64::from(height)).1;
            if y.is_nan() {
                continue;
            }
            let x = start + slot * index as f64 + gap.copysign(slot) / 2.0 + wide * place as f64;
            let y = y.clamp(top, bottom);
            let frame = [x.min(x + wide).max(left), y.min(base), x.max(x + wide).min(right), y.max(base)];
            tops.push(((frame[0] + frame[2]) / 2.0, y));
            if frame[2] > frame[0] && frame[3] - frame[1] >= 0.05 {
                self.rectangle(Class::inked(Kind::Bar, ink), frame);
                self.room.fill(frame, if ink == Ink::Data { label::FILL } else { bit });
            }
        }
        self.wait(name, ink, bit, tops, Form::Points);
    }

    fn band(&mut self, name: &'a str, ink: Ink, points: &[[f32; 3]], bit: u32) {
        let Plot { left, top, right, bottom, .. } = self.plot;
        let mut above = Vec::new();
        let pixels: Vec<Option<(f64, f64, f64)>> = points
            .iter()
            .map(|&[x, low, high]| {
                let (px, high) = self.plot.to_pixel(f64::from(x), f64::from(high));
                let low = self.plot.to_pixel(f64::from(x), f64::from(low)).1;
                let seen = px >= left - 0.05 && px <= right + 0.05 && !low.is_nan() && !high.is_nan();
                seen.then(|| (px, low.clamp(top, bottom), high.clamp(top, bottom)))
            })
            .collect();
        for run in pixels.split(Option::is_none) {
            let run: Vec<_> = run.iter().flatten().copied().collect();
            if run.len() < 2 {
                continue;
            }
            let there = run.iter().map(|&(x, _, high)| (x, high));
            let back = run.iter().rev().map(|&(x, low, _)| (x, low));
            let outline: Vec<_> = there.clone().chain(back).map(|(x, y)| (fine(x), fine(y))).collect();
            self.shape(&Polygon::new(outline, Class::inked(Kind::Area, ink).style(true)));
            for pair in run.windows(2) {
                let [(x, low, high), (to, ..)] = [pair[0], pair[1]];
                self.room.fill([x.min(to), low.min(high), x.max(to), low.max(high)], label::FILL);
            }
            above.extend(there);
        }
        self.wait(name, ink, bit, above, Form::Wash);
    }

    fn heat(&mut self, mark: &Mark) {
        /// Below this side a gap would eat the cell.
        const ROOMY: f64 = 6.0;
        const GAP: f64 = 0.6;
        let Mark::Heat { signed, rows, columns, x, y, values, .. } = mark else { return };
        let Plot { left, top, right, bottom, .. } = self.plot;
        let (from_x, from_y) = self.plot.to_pixel(f64::from(x[0]), f64::from(y[0]));
        let (to_x, to_y) = self.plot.to_pixel(f64::from(x[1]), f64::from(y[1]));
        let (wide, high) = ((to_x - from_x) / (*columns).max(1) as f64, (to_y - from_y) / (*rows).max(1) as f64);
        if !(wide.is_finite() && high.is_finite()) {
            return;
        }
        let gap = if wide.abs() >= ROOMY && high.abs() >= ROOMY { GAP } else { 0.0 };
        let (kind, edge) =
            if gap > 0.0 { (Kind::Cell, fine as fn(f64) -> i32) } else { (Kind::Pixel, whole as fn(f64) -> i32) };
        let across: Vec<i32> =
            (0..=*columns).map(|column| edge((from_x + wide * column as f64).clamp(left, right))).collect();
        let along: Vec<i32> = (0..=*rows).map(|row| edge((from_y + high * row as f64).clamp(top, bottom))).collect();
        let gap = fine(gap);
        let (first, last) = if *signed { (SHARES, SHARES + 8) } else { (0, SHARES - 1) };
        let step = |value: &f32| {
            let step = if *signed { value * 4.0 + 4.0 } else { value * 10.0 };
            if value.is_finite() { first + step.round().clamp(0.0, f32::from(last - first)) as u8 } else { u8::MAX }
        };
        let steps: Vec<u8> = values.iter().take(rows * columns).map(step).collect();
        let mut cells: Vec<Vec<[(i32, i32); 2]>> = vec![Vec::new(); usize::from(last - first) + 1];
        for (row, steps) in steps.chunks((*columns).max(1)).enumerate() {
            let (low, high) = (along[row].min(along[row + 1]), along[row].max(along[row + 1]));
            let mut column = 0;
            while column < steps.len() {
                let start = column;
                let step = steps[start];
                column += 1;
                while gap == 0 && column < steps.len() && steps[column] == step {
                    column += 1;
                }
                let (start, end) = (across[start].min(across[column]), across[start].max(across[column]));
                if step != u8::MAX && end - start > gap && high - low > gap {
                    cells[usize::from(step - first)].push([(start, low), (end - gap, high - gap)]);
                }
            }
        }
        for (step, cells) in (first..=last).zip(cells) {
            let style = Class::new(kind, step).style(true);
            for cell in cells {
                self.shape(&Rectangle::new(cell, style));
            }
        }
    }

    /// Keeps names away from handles, which are drawn after them.
    fn handle_squares(&mut self) {
        for (index, mark) in self.chart.marks.iter().enumerate() {
            let Mark::Handles { ink, points, .. } = mark else { continue };
            let origin = self.plot.to_pixel(0.0, 0.0);
            for at in self.handle_places(points).into_iter().flatten() {
                self.room.fill([at.0 - 4.5, at.1 - 4.5, at.0 + 4.5, at.1 + 4.5], label::bit(index));
                if self.chart.plane {
                    self.path(Class::inked(Kind::Spoke, *ink), &[origin, at]);
                    self.room.line(&[origin, at], label::FILL);
                }
            }
        }
    }

    /// A handle beyond the axes waits at the edge, where it can still be taken.
    fn handle_places(&self, points: &[[f32; 2]]) -> Vec<Option<Point>> {
        let Plot { left, top, right, bottom, .. } = self.plot;
        let pixels = points.iter().map(|&[x, y]| self.plot.to_pixel(f64::from(x), f64::from(y)));
        pixels
            .map(|(x, y)| (!x.is_nan() && !y.is_nan()).then(|| (x.clamp(left, right), y.clamp(top, bottom))))
            .collect()
    }

    fn handles(&mut self, mark: &Mark) {
        let Mark::Handles { ink, points, first, .. } = mark else { return };
        let places = self.handle_places(points);
        let origin = self.plot.to_pixel(0.0, 0.0);
        // A handle alone needs no number.
        let numbered = places.iter().enumerate().filter(|_| places.len() > 1);
        for (index, &(x, y)) in numbered.filter_map(|(index, at)| Some((index, at.as_ref()?))) {
            let outward =
                if self.chart.plane { (y - origin.1).atan2(x - origin.0) } else { -std::f64::consts::FRAC_PI_2 };
            let number = (first + index).to_string();
            let half = width(&number, false) / 2.0;
            const TURNS: [f64; 11] = [0.0, 0.4, -0.4, 0.8, -0.8, 1.2, -1.2, 1.6, -1.6, 2.4, -2.4];
            // Where handles crowd, a number may stand a line farther out.
            let around = [7.0, 18.0].into_iter().flat_map(|away: f64| TURNS.map(|turn| (away, turn)));
            let around = around.map(|(away, turn)| {
                let (sine, cosine) = (outward + turn).sin_cos();
                let far = away + half * cosine.abs() + 5.0 * sine.abs();
                (x + far * cosine, y + far * sine + 4.0, Anchor::Middle)
            });
            let around: Vec<_> = around.collect();
            let bounds =
                std::mem::replace(&mut self.room.bounds, [0.0, 0.0, self.plot.right + 6.0, self.plot.bottom + 6.0]);
            if let Some(spot) = self.room.first(&number, false, &around) {
                self.spot(Class::plain(Kind::Note), &spot);
            }
            self.room.bounds = bounds;
        }
        for at in places.into_iter().flatten() {
            self.circle(Class::inked(Kind::Handle, *ink), at, 5.0);
        }
    }

    fn level_names(&mut self) {
        let chart = self.chart;
        let Plot { left, top, right, bottom, .. } = self.plot;
        for mark in &chart.marks {
            match mark {
                Mark::Level { name, y } => {
                    let y = self.plot.to_pixel(0.0, f64::from(*y)).1;
                    if y >= top && y <= bottom {
                        let between =
                            (1..12).map(|part| (left + (right - left) * f64::from(part) / 12.0, Anchor::Middle));
                        let sides =
                            [(left + 6.0, Anchor::Start), (right - 2.0, Anchor::End)].into_iter().chain(between);
                        let places: Vec<_> =
                            sides.flat_map(|(x, anchor)| [(x, y - 6.0, anchor), (x, y + 14.0, anchor)]).collect();
                        if let Some(spot) = self.room.least(name, false, &places) {
                            self.spot(Class::plain(Kind::Note), &spot);
                        }
                    }
                }
                Mark::Moment { name, x } if name != "now" => {
                    let x = self.plot.to_pixel(f64::from(*x), 0.0).0;
                    if x >= left && x <= right {
                        let heights = (0..).map(|row| top + 12.0 + 16.0 * f64::from(row)).take_while(|y| *y < bottom);
                        let places: Vec<_> =
                            heights.flat_map(|y| [(x + 6.0, y, Anchor::Start), (x - 6.0, y, Anchor::End)]).collect();
                        if let Some(spot) = self.room.least(name, true, &places) {
                            self.spot(Class::inked(Kind::Label, Ink::Method), &spot);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// A single series is what the axis says already; of several, the last drawn matters most and chooses first.
    fn series_names(&mut self) {
        let names = std::mem::take(&mut self.names);
        let alone = names.iter().filter(|(.., series)| series.form != Form::Wash).count() < 2;
        for (name, ink, series) in names.iter().rev().filter(|(.., series)| !alone || series.form == Form::Wash) {
            let bold = !matches!(ink, Ink::Data);
            if let Some(spot) = self.room.name(name, bold, series) {
                self.spot(Class::inked(Kind::Label, *ink), &spot);
            }
        }
    }
}

/// Texts around their places, each with its extent: all of them, or every second, or third, so that none touch.
fn apart<T>(texts: &[(f64, f64, T)]) -> impl Iterator<Item = &(f64, f64, T)> {
    let touch = |stride: &usize| {
        let kept: Vec<_> = texts.iter().step_by(*stride).collect();
        kept.windows(2).any(|pair| (pair[1].0 - pair[0].0).abs() < (pair[0].1 + pair[1].1) / 2.0)
    };
    let stride = (1..=texts.len()).find(|stride| !touch(stride)).unwrap_or(1);
    texts.iter().step_by(stride)
}

/// Whether a line goes up and down so much that it fills an area.
fn restless(plot: &Plot, runs: &[Vec<Point>]) -> bool {
    let travel: f64 = runs.iter().flat_map(|run| run.windows(2)).map(|pair| (pair[1].1 - pair[0].1).abs()).sum();
    travel > 4.0 * (plot.bottom - plot.top)
}

/// The grid, but on whole pixels.
fn whole(pixels: f64) -> i32 {
    fine(pixels.round())
}

/// The visible stretches of a line, in pixels: cut at the edge of the plot and at points that are not finite.
fn runs(plot: &Plot, points: &[[f32; 2]]) -> Vec<Vec<Point>> {
    let mut runs: Vec<Vec<Point>> = Vec::new();
    let mut run: Vec<Point> = Vec::new();
    let mut before: Option<Point> = None;
    for &[x, y] in points {
        let at = plot.to_pixel(f64::from(x), f64::from(y));
        let whole = at.0.is_finite() && at.1.is_finite();
        match before.filter(|_| whole).map(|before| cut(plot, before, at)) {
            Some(Some((from, to))) => {
                if run.last() != Some(&from) {
                    runs.push(std::mem::replace(&mut run, vec![from]));
                }
                run.push(to);
            }
            Some(None) => runs.push(std::mem::take(&mut run)),
            None => {
                runs.push(std::mem::take(&mut run));
                run.extend((whole && plot.contains(at)).then_some(at));
            }
        }
        before = whole.then_some(at);
    }
    runs.push(run);
    runs.retain(|run| !run.is_empty());
    for run in &mut runs {
        // A line of no length still shows its round ends.
        if let [only] = run[..] {
            run.push(only);
        }
    }
    runs
}

/// The part of a segment that lies in the plot (Liang and Barsky).
fn cut(plot: &Plot, from: Point, to: Point) -> Option<(Point, Point)> {
    let (across, along) = (to.0 - from.0, to.1 - from.1);
    let (mut start, mut end) = (0.0, 1.0);
    let sides = [
        (-across, from.0 - plot.left),
        (across, plot.right - from.0),
        (-along, from.1 - plot.top),
        (along, plot.bottom - from.1),
    ];
    for (speed, room) in sides {
        let room = room + 0.05;
        if speed == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if speed < 0.0 {
            start = f64::max(start, room / speed);
        } else {
            end = f64::min(end, room / speed);
        }
    }
    let along_it = |share: f64| (from.0 + share * across, from.1 + share * along);
    (start <= end)
        .then(|| (if start > 0.0 { along_it(start) } else { from }, if end < 1.0 { along_it(end) } else { to }))
}
