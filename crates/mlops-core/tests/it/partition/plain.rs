//! Ingestion written down once more, as plainly as possible, over the csv crate.

use std::collections::HashSet;

use mlops_core::config::Ingestion;
use mlops_core::table::date::{read, spell};
use mlops_core::table::schema::{Role, Schema};

/// What came of a file.
pub(super) struct Plain {
    pub(super) output: Vec<u8>,
    /// Kept, duplicates, quarantined.
    pub(super) counts: [u64; 3],
    /// Whether nothing of it is taken.
    pub(super) refused: bool,
}

/// A row up to its label, and the label as it stands there.
type Row = (String, String);

pub(super) fn ingest(schema: &Schema, options: &Ingestion, input: &[u8]) -> Plain {
    let input = input.strip_prefix("\u{feff}".as_bytes()).unwrap_or(input);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
    let mut header: Option<Vec<String>> = None;
    let mut rows: Vec<Option<Row>> = Vec::new();
    let mut other_decimal = false;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).unwrap() {
        let place = |at: &csv::Position| usize::try_from(at.byte()).unwrap();
        let start = record.position().map(place).unwrap();
        let mut end = place(reader.position());
        // The csv crate leaves half a CR LF to the next record, and lets one begin with the empty lines
        // before it.
        if input[..end].ends_with(b"\r") && input[end..].starts_with(b"\n") {
            end += 1;
        }
        let length = input[start..end].iter().skip_while(|b| b"\r\n".contains(b)).count();
        let cells: Vec<&str> = record.iter().map(trim).collect();
        let blank = record.len() == 1 && record[0].trim_matches([' ', '\t', '\r']).is_empty();
        if blank {
            continue;
        }
        let Some(names) = &header else {
            header = Some(cells.into_iter().map(str::to_owned).collect());
            continue;
        };
        let fits = cells.len() == names.len() && length <= options.max_line_bytes;
        let row = fits.then(|| canonical(schema, options, names, &cells, &mut other_decimal));
        rows.push(row.flatten());
    }
    let positive = schema.positive_label();
    let others = rows.iter().flatten().map(|row| row.1.as_str()).filter(|l| !same(l, positive));
    let others: Vec<&str> = others.collect();
    let negative = match schema.negative_label() {
        Some(label) => label,
        // Shorter ones first, then those of small letters.
        None => others
            .iter()
            .min_by(|a, b| a.chars().count().cmp(&b.chars().count()).then(b.cmp(a)))
            .copied()
            .unwrap_or_default(),
    };
    let third = others.iter().any(|label| !same(label, negative));
    let mut plain = Plain {
        output: schema.header(),
        counts: [0; 3],
        refused: other_decimal || (third && schema.negative_label().is_none()),
    };
    if plain.refused {
        return plain;
    }
    let mut seen = HashSet::new();
    for row in &rows {
        let label = row.as_ref().and_then(|(_, label)| {
            [positive, negative].into_iter().find(|known| same(label, known))
        });
        let row =
            row.as_ref().zip(label).map(|((row, _), label)| format!("{row}{}\n", quote(label)));
        match row {
            None => plain.counts[2] += 1,
            Some(row) if seen.insert(row.clone()) || options.keeps_equal_rows(schema) => {
                plain.counts[0] += 1;
                plain.output.extend_from_slice(row.as_bytes());
            }
            Some(_) => plain.counts[1] += 1,
        }
    }
    plain
}

/// Without blanks and the characters without width that our files have.
fn trim(cell: &str) -> &str {
    cell.trim_matches(|c: char| c.is_whitespace() || "\u{feff}\u{200b}".contains(c))
}

fn canonical(
    schema: &Schema,
    options: &Ingestion,
    names: &[String],
    cells: &[&str],
    other_decimal: &mut bool,
) -> Option<Row> {
    let spelt = |cell: &str| {
        if options.numbers.decimal == ',' { swapped(cell) } else { cell.to_owned() }
    };
    let coded = |cell: &str| {
        options
            .missing_values
            .iter()
            .any(|m| number(&spelt(m)).is_some_and(|m| number(&spelt(cell)) == Some(m)))
    };
    let cell = |name: &String| Some(cells[names.iter().position(|n| n == name)?]);
    // Wherever it stands in the row.
    for column in schema.columns().iter().filter(|column| column.role == Role::Numeric) {
        let cell = spelt(cell(&column.name)?);
        *other_decimal |= number(&cell).is_none() && is_decimal_comma(&cell);
    }
    let mut row = String::new();
    for column in schema.columns() {
        let cell = cell(&column.name)?;
        let missing = cell.is_empty() || options.missing_values.iter().any(|m| m == cell);
        row += &match column.role {
            Role::Categorical | Role::Numeric | Role::Date if missing => String::new(),
            Role::Numeric if coded(cell) => String::new(),
            Role::Id | Role::Categorical => quote(cell),
            Role::Numeric => number(&spelt(cell))?,
            Role::Date => spell(read(cell, None)?),
            Role::Target => {
                let known = schema.negative_label().is_some_and(|n| same(cell, n));
                if cell.is_empty() || (missing && !known && !same(cell, schema.positive_label())) {
                    return None;
                }
                // The last column.
                return Some((row, cell.to_owned()));
            }
        };
        row.push(',');
    }
    None
}

/// Commas for points, and points for commas.
fn swapped(cell: &str) -> String {
    let swap = |c| match c {
        '.' => ',',
        ',' => '.',
        c => c,
    };
    cell.chars().map(swap).collect()
}

/// Whether a text that is no number is one with a decimal comma: those that our files have.
fn is_decimal_comma(cell: &str) -> bool {
    let Some((whole, fraction)) = cell.split_once(',') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits(fraction) && digits(&whole.replace(['.', '-'], ""))
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase() || (number(a).is_some() && number(a) == number(b))
}

fn quote(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn number(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    if let Some(rest) = text.strip_prefix(['+', '-']).or(Some(&text)).filter(|t| t.contains(',')) {
        let whole = rest.split('.').next()?;
        let groups: Vec<&str> = whole.split(',').collect();
        let fits = groups.iter().enumerate().all(|(i, g)| {
            let first = i == 0 && (1..=3).contains(&g.len()) && !g.starts_with('0');
            (first || (i > 0 && g.len() == 3)) && g.chars().all(|c| c.is_ascii_digit())
        });
        if !fits || rest[whole.len()..].contains(',') {
            return None;
        }
        text = text.replace(',', "");
    }
    if !text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c)) {
        return None;
    }
    if let Some(whole) = whole(&text) {
        return Some(whole);
    }
    let value: f64 = text.parse().ok()?;
    if !value.is_finite() {
        return None;
    }
    let whole = format!("{value:.0}");
    let range = -9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0;
    if range.contains(&value) && whole.parse() == Ok(value) {
        return Some(if whole == "-0" { "0".to_owned() } else { whole });
    }
    Some(format!("{value:?}"))
}

/// The digits of a whole number of 64 bits, signed or not: its decimal point is moved by hand.
fn whole(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (mut digits, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole.to_owned(), fraction),
        None => (mantissa.to_owned(), ""),
    };
    let mut fraction = fraction.to_owned();
    for _ in 0..exponent.parse::<usize>().ok().filter(|e| *e < 40)? {
        digits.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
    }
    let whole = fraction.bytes().all(|b| b == b'0').then(|| digits.parse::<i128>().ok())??;
    let fits = u64::try_from(whole).is_ok() || i64::try_from(whole).is_ok();
    fits.then(|| whole.to_string())
}
