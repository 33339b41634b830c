//! Columns of numbers from a table that the reader pasted or dropped.
//!
//! Any delimiter, header or not, missing cells. What cannot be used is said in a sentence.

use super::error::LabError;

/// Largest file that is read.
pub const MOST_BYTES: usize = 5 << 20;
/// Rows that are kept; a lab that fits them live has no use for more.
pub const MOST_ROWS: usize = 200_000;

/// A column whose cells are mostly numbers; a missing or unreadable cell is `NaN`.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub values: Vec<f64>,
}

/// Every column of numbers in the table, in its order.
///
/// # Errors
///
/// When the file is empty, too large, not text, or has no column of numbers.
pub fn read_columns(bytes: &[u8]) -> Result<Vec<Column>, LabError> {
    if bytes.len() > MOST_BYTES {
        let size = bytes.len() as f64 / f64::from(1 << 20);
        return Err(LabError::data(format!("The file has {size:.1} MB; 5 MB is the most. Leave out rows or columns.")));
    }
    if bytes.contains(&0) {
        return Err(LabError::data("The file is not text. Save the table as CSV and drop that."));
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Err(LabError::data("The file is empty. One number a line is enough."));
    }
    let delimiter = delimiter(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut rows: Vec<Vec<String>> = Vec::new();
    for record in reader.records().take(MOST_ROWS + 1) {
        let record = record.expect("text is UTF-8, and its rows may differ in length");
        let cells: Vec<String> = match delimiter {
            // Several spaces are one gap.
            b' ' => record.iter().filter(|cell| !cell.is_empty()).map(str::to_owned).collect(),
            _ => record.iter().map(str::to_owned).collect(),
        };
        if cells.iter().any(|cell| !cell.is_empty()) {
            rows.push(cells);
        }
    }
    // A cell that is missing names nothing.
    let names = |first: &str, second: &str| !first.is_empty() && number(first).is_none() && number(second).is_some();
    let named = rows.len() > 1 && rows[0].iter().zip(&rows[1]).any(|(first, second)| names(first, second));
    let header = if named { rows.remove(0) } else { Vec::new() };
    let numbers = |row: &Vec<String>| row.iter().map(|cell| number(cell).unwrap_or(f64::NAN)).collect();
    let rows: Vec<Vec<f64>> = rows.iter().take(MOST_ROWS).map(numbers).collect();
    // Counted before a column is made: one long row has more columns than all rows could fill.
    let mut counts: Vec<usize> = Vec::new();
    for row in &rows {
        counts.resize(counts.len().max(row.len()), 0);
        for (count, value) in counts.iter_mut().zip(row) {
            *count += usize::from(value.is_finite());
        }
    }
    let column = |index: usize| {
        let name = header.get(index).filter(|name| !name.is_empty()).cloned();
        let name = name.unwrap_or_else(|| format!("column {}", index + 1));
        Column { name, values: rows.iter().map(|row| row.get(index).copied().unwrap_or(f64::NAN)).collect() }
    };
    let columns: Vec<Column> = (0..counts.len()).filter(|&index| counts[index] * 2 > rows.len()).map(column).collect();
    if columns.is_empty() {
        return Err(LabError::data("No column of the table is mostly numbers. Drop a table with at least one."));
    }
    Ok(columns)
}

/// The delimiter that stands in each of the first lines; the comma last, for it may stand in numbers.
fn delimiter(text: &str) -> u8 {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(20).collect();
    let agreed = |delimiter: &u8| lines.iter().all(|line| line.as_bytes().contains(delimiter));
    let found = [b'\t', b';', b'|', b','].into_iter().find(agreed);
    found.unwrap_or(if lines.iter().all(|line| line.trim().contains(' ')) { b' ' } else { b',' })
}

/// A cell as a number; a decimal comma is understood where it can be nothing else.
fn number(cell: &str) -> Option<f64> {
    let cell = cell.trim().trim_matches('"');
    let plain = cell.parse::<f64>().ok();
    let comma = || cell.matches(',').count() == 1 && !cell.contains('.');
    let value = plain.or_else(|| comma().then(|| cell.replace(',', ".").parse().ok()).flatten())?;
    value.is_finite().then_some(value)
}
