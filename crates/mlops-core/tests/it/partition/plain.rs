//! Ingestion written down once more, as plainly as possible, over the csv crate.

use std::collections::HashSet;

use mlops_core::config::Ingestion;
use mlops_core::schema::{Role, Schema};

/// What came of a file.
pub(super) struct Plain {
    pub(super) output: Vec<u8>,
    /// Kept, duplicates, quarantined.
    pub(super) counts: [u64; 3],
}

pub(super) fn ingest(schema: &Schema, options: &Ingestion, input: &[u8]) -> Plain {
    let mut plain = Plain { output: schema.header(), counts: [0; 3] };
    let input = input.strip_prefix("\u{feff}".as_bytes()).unwrap_or(input);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(input);
    let mut header: Option<Vec<String>> = None;
    let mut negative = schema.negative_label().map(str::to_owned);
    let mut seen = HashSet::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).unwrap() {
        let place = |at: &csv::Position| usize::try_from(at.byte()).unwrap();
        let start = record.position().map(place).unwrap();
        let bytes = &input[start..place(reader.position())];
        // The csv crate lets a record begin with the empty lines before it.
        let length = bytes.iter().skip_while(|b| **b == b'\n').count();
        let cells: Vec<&str> = record.iter().map(str::trim).collect();
        let blank = record.len() == 1 && record[0].trim_matches([' ', '\t', '\r']).is_empty();
        if blank {
            continue;
        }
        let Some(names) = &header else {
            header = Some(cells.into_iter().map(str::to_owned).collect());
            continue;
        };
        let row = if cells.len() == names.len() && length <= options.max_line_bytes {
            canonical(schema, options, names, &cells, &mut negative)
        } else {
            None
        };
        match row {
            None => plain.counts[2] += 1,
            Some(row) if seen.insert(row.clone()) => {
                plain.counts[0] += 1;
                plain.output.extend_from_slice(row.as_bytes());
            }
            Some(_) => plain.counts[1] += 1,
        }
    }
    plain
}

fn canonical(
    schema: &Schema,
    options: &Ingestion,
    names: &[String],
    cells: &[&str],
    negative: &mut Option<String>,
) -> Option<String> {
    let mut row = Vec::new();
    for column in schema.columns() {
        let cell = cells[names.iter().position(|n| *n == column.name)?];
        let missing = cell.is_empty() || options.missing_values.iter().any(|m| m == cell);
        row.push(match column.role {
            Role::Categorical | Role::Numeric if missing => String::new(),
            Role::Id | Role::Categorical => quote(cell),
            Role::Numeric => number(cell)?,
            Role::Target => {
                let positive = schema.positive_label();
                if cell.is_empty() {
                    return None;
                }
                if same(cell, positive) {
                    quote(positive)
                } else {
                    let known = negative.get_or_insert_with(|| cell.to_owned());
                    if !same(cell, known) {
                        return None;
                    }
                    quote(known)
                }
            }
        });
    }
    Some(row.join(",") + "\n")
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
            (g.len() == 3 || (i == 0 && (1..=3).contains(&g.len())))
                && g.chars().all(|c| c.is_ascii_digit())
        });
        if !fits {
            return None;
        }
        text = text.replace(',', "");
    }
    if !text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c)) {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.to_string());
    }
    let value: f64 = text.parse().ok()?;
    if !value.is_finite() {
        return None;
    }
    let whole = format!("{value:.0}");
    if value.abs() <= 9_007_199_254_740_992.0 && whole.parse() == Ok(value) {
        return Some(if whole == "-0" { "0".to_owned() } else { whole });
    }
    Some(format!("{value:?}"))
}
