//! The same chart as a table, for whoever cannot see the picture or wants the numbers.

use super::{Axis, Chart, Mark};

/// A table whose cells are texts for reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// A cell before it is known who reads it.
#[derive(Clone, Debug)]
enum Cell {
    Empty,
    Text(String),
    Number(f64),
}

type Cells = (Vec<String>, Vec<Vec<Cell>>);

/// The numbers of a chart to three digits.
pub fn table(chart: &Chart) -> Table {
    let (head, rows) = cells(chart);
    let read = |cell: Cell| match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text,
        Cell::Number(value) => number(value, 3),
    };
    Table { head, rows: rows.into_iter().map(|row| row.into_iter().map(read).collect()).collect() }
}

/// The numbers of a chart in full, as comma-separated values for a program.
pub fn csv(chart: &Chart) -> String {
    let (head, rows) = cells(chart);
    let write = |cell: Cell| match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text,
        Cell::Number(value) => shortest(value),
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = std::iter::once(head);
    for record in head.chain(rows.into_iter().map(|row| row.into_iter().map(write).collect())) {
        writer.write_record(&record).expect("a vector takes every record, and all are equally long");
    }
    let bytes = writer.into_inner().expect("a vector can be flushed");
    String::from_utf8(bytes).expect("only texts were written")
}

/// Every value came as an `f32`, whose own shortest form is the honest one.
fn shortest(value: f64) -> String {
    let narrow = value as f32;
    if f64::from(narrow) == value { narrow.to_string() } else { value.to_string() }
}

fn cells(chart: &Chart) -> Cells {
    let aside = |mark: &&Mark| matches!(mark, Mark::Level { .. } | Mark::Moment { .. } | Mark::Key { .. });
    let series = chart.marks.iter().filter(|mark| !aside(mark)).count();
    match chart.marks.iter().find(|mark| matches!(mark, Mark::Heat { .. })) {
        Some(heat) if series == 1 => matrix(chart, heat),
        Some(_) => list(chart),
        None if chart.plane => list(chart),
        None => by_x(chart),
    }
}

/// One row for each x, one column for each series.
fn by_x(chart: &Chart) -> Cells {
    let mut head = vec![named(&chart.x.name, "x")];
    let mut columns: Vec<Vec<(f32, Cell)>> = Vec::new();
    let mut levels = Vec::new();
    for mark in &chart.marks {
        let name = named(mark.name(), &chart.y.name);
        let of = |points: &[[f32; 2]]| points.iter().map(|&[x, y]| (x, finite(y))).collect::<Vec<_>>();
        match mark {
            Mark::Line { points, .. }
            | Mark::Stems { points, .. }
            | Mark::Dots { points, .. }
            | Mark::Handles { points, .. } => {
                head.push(name);
                columns.push(of(points));
            }
            Mark::Bars { .. } => {
                head.push(name);
                columns.push(of(&bar_centers(mark)));
            }
            Mark::Band { points, .. } => {
                head.extend([format!("{name}, low"), format!("{name}, high")]);
                columns.push(points.iter().map(|&[x, low, _]| (x, finite(low))).collect());
                columns.push(points.iter().map(|&[x, _, high]| (x, finite(high))).collect());
            }
            Mark::Moment { x, .. } => {
                head.push(name);
                columns.push(vec![(*x, Cell::Number(f64::from(*x)))]);
            }
            Mark::Level { y, .. } => levels.push((name, *y)),
            Mark::Heat { .. } | Mark::Key { .. } => {}
        }
    }
    head.extend(levels.iter().map(|(name, _)| name.clone()));
    for column in &mut columns {
        column.retain(|(x, _)| x.is_finite());
        column.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    }
    let mut heads: Vec<_> = columns.into_iter().map(|column| column.into_iter().peekable()).collect();
    let mut rows = Vec::new();
    while let Some(x) = heads.iter_mut().filter_map(|column| column.peek().map(|(x, _)| *x)).min_by(f32::total_cmp) {
        let mut row = vec![at(&chart.x, f64::from(x))];
        for column in &mut heads {
            row.push(column.next_if(|(there, _)| *there == x).map_or(Cell::Empty, |(_, cell)| cell));
        }
        row.extend(levels.iter().map(|(_, y)| finite(*y)));
        rows.push(row);
    }
    if rows.is_empty() && !levels.is_empty() {
        let blank = std::iter::repeat_n(Cell::Empty, head.len() - levels.len());
        rows.push(blank.chain(levels.iter().map(|(_, y)| finite(*y))).collect());
    }
    (head, rows)
}

/// A heat map as it is seen, from its top row down.
fn matrix(chart: &Chart, heat: &Mark) -> Cells {
    let Mark::Heat { name, rows, columns, x, y, values, .. } = heat else { return Cells::default() };
    let corner = if chart.y.name.is_empty() { name.clone() } else { chart.y.name.clone() };
    let text = |cell: Cell| match cell {
        Cell::Text(text) => text,
        Cell::Number(value) => number(value, 3),
        Cell::Empty => String::new(),
    };
    let head = std::iter::once(corner)
        .chain((0..*columns).map(|column| text(at_cell(&chart.x, *x, column, *columns))))
        .collect();
    let mut order: Vec<usize> = (0..*rows).collect();
    if f64::from(y[1] - y[0]) * (chart.y.max - chart.y.min) >= 0.0 {
        order.reverse();
    }
    let line = |row: usize| {
        let shares = (0..*columns)
            .map(move |column| values.get(row * columns + column).map_or(Cell::Empty, |value| finite(*value)));
        std::iter::once(at_cell(&chart.y, *y, row, *rows)).chain(shares).collect()
    };
    (head, order.into_iter().map(line).collect())
}

/// One row for each point, when there is no x that the series share.
fn list(chart: &Chart) -> Cells {
    let heats = chart.marks.iter().any(|mark| matches!(mark, Mark::Heat { .. }));
    let mut head = vec!["series".to_owned(), named(&chart.x.name, "x"), named(&chart.y.name, "y")];
    if heats {
        head.push("value".to_owned());
    }
    let mut rows = Vec::new();
    let mut add = |name: String, x: Cell, y: Cell, value: Cell| {
        let mut row = vec![Cell::Text(name), x, y];
        if heats {
            row.push(value);
        }
        rows.push(row);
    };
    for mark in &chart.marks {
        let name = mark.name().to_owned();
        match mark {
            Mark::Handles { points, first, .. } => {
                for (index, &[x, y]) in points.iter().enumerate() {
                    add(format!("{name} {}", first + index), finite(x), finite(y), Cell::Empty);
                }
            }
            Mark::Line { points, .. } | Mark::Stems { points, .. } | Mark::Dots { points, .. } => {
                for &[x, y] in points {
                    add(name.clone(), finite(x), finite(y), Cell::Empty);
                }
            }
            Mark::Bars { .. } => {
                for [x, y] in bar_centers(mark) {
                    add(name.clone(), finite(x), finite(y), Cell::Empty);
                }
            }
            Mark::Band { points, .. } => {
                for &[x, low, high] in points {
                    add(format!("{name}, low"), finite(x), finite(low), Cell::Empty);
                    add(format!("{name}, high"), finite(x), finite(high), Cell::Empty);
                }
            }
            Mark::Level { y, .. } => add(name, Cell::Empty, finite(*y), Cell::Empty),
            Mark::Moment { x, .. } => add(name, finite(*x), Cell::Empty, Cell::Empty),
            Mark::Key { value, .. } => add(name, Cell::Empty, Cell::Empty, finite(*value)),
            Mark::Heat { rows, columns, x, y, values, .. } => {
                for (index, value) in values.iter().enumerate().take(rows * columns) {
                    let (row, column) = (index / columns, index % columns);
                    add(
                        name.clone(),
                        at_cell(&chart.x, *x, column, *columns),
                        at_cell(&chart.y, *y, row, *rows),
                        finite(*value),
                    );
                }
            }
        }
    }
    (head, rows)
}

/// The middle of each bar and its height.
pub(super) fn bar_centers(mark: &Mark) -> Vec<[f32; 2]> {
    let Mark::Bars { from, to, heights, .. } = mark else { return Vec::new() };
    let width = (to - from) / heights.len().max(1) as f32;
    heights.iter().enumerate().map(|(index, height)| [from + (index as f32 + 0.5) * width, *height]).collect()
}

fn named(name: &str, otherwise: &str) -> String {
    if name.is_empty() { otherwise.to_owned() } else { name.to_owned() }
}

fn finite(value: f32) -> Cell {
    if value.is_finite() { Cell::Number(f64::from(value)) } else { Cell::Empty }
}

/// A place on an axis in the axis' own words, where it has any.
fn at(axis: &Axis, value: f64) -> Cell {
    let near = (axis.max - axis.min).abs() * 1e-6;
    let word = axis.ticks.iter().find(|(tick, _)| (tick - value).abs() <= near);
    word.map_or(Cell::Number(value), |(_, text)| Cell::Text(text.clone()))
}

/// A row or column of a heat map, by the word that stands in it or by its middle.
fn at_cell(axis: &Axis, [from, to]: [f32; 2], index: usize, count: usize) -> Cell {
    let [from, to] = [f64::from(from), f64::from(to)];
    let edge = |index: usize| from + (to - from) * index as f64 / count as f64;
    let (low, high) = (edge(index).min(edge(index + 1)), edge(index).max(edge(index + 1)));
    let word = axis.ticks.iter().find(|(tick, _)| *tick >= low && *tick < high);
    // Halves of an `f32` range are not exact in `f64`; six digits are what was meant.
    let middle = (low + high) / 2.0;
    word.map_or_else(|| Cell::Number(f64::from(middle as f32)), |(_, text)| Cell::Text(text.clone()))
}

/// What the axis calls a cell of a heat map.
pub(super) fn cell_name(axis: &Axis, range: [f32; 2], index: usize, count: usize) -> String {
    match at_cell(axis, range, index, count) {
        Cell::Text(text) => text,
        Cell::Number(value) => number(value, 3),
        Cell::Empty => String::new(),
    }
}

/// A number for reading, to `digits` significant digits. Whole numbers stay whole, thousands have their comma, the
/// minus is a true one, and powers of ten begin beyond five digits: `0.0004`, `12,400`, `1.2 × 10⁻⁶`.
pub fn number(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "–".to_owned();
    }
    let size = value.abs();
    if size.is_infinite() {
        return signed(value, "∞");
    }
    if size == 0.0 {
        return "0".to_owned();
    }
    let decimals = digits.max(1) - 1;
    let rounded = format!("{size:.decimals$e}");
    let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..5).contains(&exponent) {
        let mantissa = if size.fract() == 0.0 && mantissa.contains('.') {
            mantissa.trim_end_matches('0').trim_end_matches('.')
        } else {
            mantissa
        };
        return signed(value, &format!("{mantissa} × 10{}", superscript(exponent)));
    }
    if size.fract() == 0.0 {
        return signed(value, &size.to_string());
    }
    let places = usize::try_from(i32::try_from(decimals).unwrap_or(0) - exponent).unwrap_or(0);
    signed(value, &format!("{size:.places$}"))
}

/// The digits of a number's size with its sign and the commas between thousands.
pub(super) fn signed(value: f64, digits: &str) -> String {
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut text = String::new();
    if value < 0.0 && digits.contains(|digit: char| digit != '0' && digit != '.') {
        text.push('−');
    }
    let grouped = whole.len() > 3 && whole.bytes().all(|digit| digit.is_ascii_digit());
    for (index, digit) in whole.chars().enumerate() {
        if grouped && index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

fn superscript(exponent: i32) -> String {
    let raised = |letter: char| match letter.to_digit(10) {
        Some(digit) => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize],
        None => '⁻',
    };
    exponent.to_string().chars().map(raised).collect()
}
