//! Formats JSON for people: names and values aligned, lists of similar items as tables.
//!
//! Not for programs. Any answer can be shown, since the meaning of values does not matter.

use std::fmt::Write as _;

use mlops_core::text;
use serde_json::{Map, Value};

use crate::call::plain;

/// A list of scalars up to this length is put on one line.
const LINE: usize = 80;
/// A table wider than this is transposed if that makes it narrower.
const WIDE: usize = 120;

/// `value` as lines, indented by two spaces per level; empty for null.
pub fn of(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Null => {}
        Value::Object(map) => object(map, 1, &mut out),
        Value::Array(list) => array(list, 1, &mut out),
        value => line(1, &cell(value), &mut out),
    }
    out
}

fn line(depth: usize, text: &str, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}{text}", "  ".repeat(depth));
}

/// Indents aligned lines.
fn lines(depth: usize, aligned: &str, out: &mut String) {
    for text in aligned.lines() {
        line(depth - 1, text, out);
    }
}

fn object(map: &Map<String, Value>, depth: usize, out: &mut String) {
    let pairs: Vec<Vec<String>> =
        map.iter().filter_map(|(name, value)| Some(vec![plain(name), short(value)?])).collect();
    lines(depth, &text::list(&pairs), out);
    for (name, value) in map.iter().filter(|(_, value)| short(value).is_none()) {
        line(depth, &plain(name), out);
        match value {
            Value::Object(map) => object(map, depth + 1, out),
            Value::Array(list) => array(list, depth + 1, out),
            value => line(depth + 1, &cell(value), out),
        }
    }
}

fn array(list: &[Value], depth: usize, out: &mut String) {
    if let Some(rows) = table(list) {
        let upright = text::list(&rows);
        let width = upright.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        let narrower = rows.len() < rows.first().map_or(0, Vec::len);
        let turned = (width > WIDE && narrower).then(|| text::list(&turned(&rows)));
        return lines(depth, &turned.unwrap_or(upright), out);
    }
    for value in list {
        match value {
            Value::Object(map) => {
                line(depth, "-", out);
                object(map, depth + 1, out);
            }
            Value::Array(list) if short(value).is_none() => {
                line(depth, "-", out);
                array(list, depth + 1, out);
            }
            value => line(depth, &short(value).unwrap_or_default(), out),
        }
    }
}

/// Objects with scalar members only, as rows under the names of the members.
fn table(list: &[Value]) -> Option<Vec<Vec<String>>> {
    let objects: Option<Vec<&Map<String, Value>>> = list.iter().map(Value::as_object).collect();
    let objects = objects.filter(|objects| !objects.is_empty())?;
    let mut names: Vec<&String> = Vec::new();
    for object in &objects {
        names.extend(object.keys().filter(|name| !names.contains(name)).collect::<Vec<_>>());
    }
    let mut rows = vec![names.iter().map(|name| plain(name)).collect()];
    for object in &objects {
        let row: Option<Vec<String>> =
            names.iter().map(|name| object.get(*name).map_or(Some(String::new()), short)).collect();
        rows.push(row?);
    }
    Some(rows)
}

/// Transposes rows that have the same length.
fn turned(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let width = rows.first().map_or(0, Vec::len);
    (0..width).map(|column| rows.iter().map(|row| row[column].clone()).collect()).collect()
}

/// A value that fits on a line.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::Object(map) if map.is_empty() => Some("-".to_owned()),
        Value::Array(list) if list.iter().all(|v| !v.is_object() && !v.is_array()) => {
            let text = list.iter().map(cell).collect::<Vec<_>>().join(", ");
            let text = if text.is_empty() { "-".to_owned() } else { text };
            Some(text).filter(|text| text.chars().count() <= LINE)
        }
        Value::Object(_) | Value::Array(_) => None,
        value => Some(cell(value)),
    }
}

/// A scalar; a fractional number gets four decimals, or four significant digits if it is small.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => plain(text),
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            let text = match number.abs() {
                size if size > 0.0 && size < 1e-3 || size >= 1e9 => return format!("{number:.3e}"),
                _ => format!("{number:.4}"),
            };
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_aligned_and_like_things_become_tables() {
        let value = json!({
            "f1": 0.8125, "note": null, "labels": ["0", "1"], "übermaß": "é\u{1b}[31m\nx",
            "columns": [{"name": "age", "mean": 40.5}, {"name": "country", "top": ["at", "de"]}],
            "matrix": {"tp": 3, "inner": [[1, 2], [3]]},
        });
        let expected = "  f1       0.8125
  note     -
  labels   0, 1
  übermaß  é [31m x
  columns
    name     mean  top
    age      40.5
    country        at, de
  matrix
    tp  3
    inner
      1, 2
      3
";
        assert_eq!(of(&value), expected);
        assert_eq!(of(&Value::Null), "");
        assert_eq!(of(&json!("ready")), "  ready\n");
        assert_eq!(of(&json!({"a": [], "b": {}})), "  a  -\n  b  -\n");
    }

    #[test]
    fn numbers_are_short_and_wide_tables_turned() {
        for (number, text) in [
            (json!(0.762_557_077), "0.7626"),
            (json!(1010.0), "1010"),
            (json!(-0.5), "-0.5"),
            (json!(0.0), "0"),
            (json!(1.5e-9), "1.500e-9"),
            (json!(6.02e23), "6.020e23"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            assert_eq!(cell(&number), text);
        }
        let wide: Map<String, Value> =
            (0..20).map(|i| (format!("statistic_{i}"), json!(i))).collect();
        let shown = of(&json!([wide]));
        assert_eq!(shown.lines().count(), 20, "{shown}");
        assert!(shown.starts_with("  statistic_0   0\n"), "{shown}");
    }
}
