//! JSON as people read it: names and values aligned, lists of like things as tables.
//!
//! Not for programs, and not knowing what the values mean: any answer can be shown.

use std::fmt::Write as _;

use mlops_core::text;
use serde_json::{Map, Value};

use crate::api::plain;

/// A list of plain values up to this long stands on one line.
const LINE: usize = 80;

/// `value` in lines, indented by two blanks; nothing for null.
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
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{}{text}", "  ".repeat(depth));
}

/// Lines that were aligned for the first depth.
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
        return lines(depth, &text::list(&rows), out);
    }
    for value in list {
        match value {
            Value::Object(map) => {
                line(depth, "-", out);
                object(map, depth + 1, out);
            }
            Value::Array(list) => {
                line(depth, "-", out);
                array(list, depth + 1, out);
            }
            value => line(depth, &cell(value), out),
        }
    }
}

/// Objects with plain values only, as rows under the names of their members.
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

/// A value that has room on a line.
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

/// A plain value.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => plain(text),
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
      -
        1
        2
      -
        3
";
        assert_eq!(of(&value), expected);
        assert_eq!(of(&Value::Null), "");
        assert_eq!(of(&json!("ready")), "  ready\n");
        assert_eq!(of(&json!({"a": [], "b": {}})), "  a  -\n  b  -\n");
    }
}
