//! Reads one JSON object key by key and collects every problem instead of stopping at the first.
//!
//! Not for what the keys mean: see [`super`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::config::choices::Frequency;

/// Problems found so far and keys asked for, shared by all sections of a file.
#[derive(Default)]
pub(super) struct Problems {
    found: RefCell<Vec<String>>,
    asked: RefCell<BTreeMap<String, Value>>,
}

impl Problems {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// All of them.
    pub(super) fn found(self) -> Vec<String> {
        self.found.into_inner()
    }

    /// The keys that were asked for, by path, with their JSON Schemas; null for those of which only
    /// the presence was asked for.
    pub(super) fn asked(self) -> BTreeMap<String, Value> {
        self.asked.into_inner()
    }
}

/// One object of the file. Keys are taken one by one; those left over are unknown.
pub(super) struct Section<'a> {
    prefix: String,
    map: Map<String, Value>,
    known: BTreeSet<&'static str>,
    problems: &'a Problems,
}

impl<'a> Section<'a> {
    /// The section for the whole file.
    pub(super) fn root(map: Map<String, Value>, problems: &'a Problems) -> Self {
        Self { prefix: String::new(), map, known: BTreeSet::new(), problems }
    }

    /// The object under `key`; an empty one if it is missing.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        self.ask(key, json!({"type": "section"}));
        let map = match self.take(key) {
            None => Map::new(),
            Some(Value::Object(map)) => map,
            Some(other) => {
                self.wrong(key, "an object { … }", &other);
                Map::new()
            }
        };
        let prefix = format!("{}{key}.", self.prefix);
        Self { prefix, map, known: BTreeSet::new(), problems: self.problems }
    }

    /// The objects in the list under `key`; none if it is missing.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Self> {
        self.ask(key, json!({"type": "sections"}));
        let items = match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.wrong(key, "a list of objects [{ … }]", &other);
                Vec::new()
            }
        };
        let mut sections = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            match item {
                Value::Object(map) => sections.push(Self {
                    prefix: format!("{}{key}[{at}].", self.prefix),
                    map,
                    known: BTreeSet::new(),
                    problems: self.problems,
                }),
                other => self.wrong(key, "a list of objects [{ … }]", &other),
            }
        }
        sections
    }

    /// The objects within the object under `key`, by name.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(String, Self)> {
        self.ask(key, json!({"type": "named"}));
        let Some(value) = self.take(key) else { return Vec::new() };
        let Value::Object(map) = value else {
            self.wrong(key, "an object of objects { \"name\": { … } }", &value);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (name, item) in map {
            match item {
                Value::Object(map) => {
                    let prefix = format!("{}{key}.{name}.", self.prefix);
                    let (known, problems) = (BTreeSet::new(), self.problems);
                    sections.push((name, Self { prefix, map, known, problems }));
                }
                other => self.wrong(key, "an object of objects { \"name\": { … } }", &other),
            }
        }
        sections
    }

    /// Any value.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value> {
        self.value_of(key, json!({}))
    }

    /// A value that the caller checks against the JSON Schema `kind`.
    pub(super) fn value_of(&mut self, key: &'static str, kind: Value) -> Option<Value> {
        self.ask(key, kind);
        self.take(key)
    }

    /// A value of one of the `forms`, which are JSON Schemas; the caller checks it.
    pub(super) fn any_of(&mut self, key: &'static str, forms: &[Value]) -> Option<Value> {
        self.ask(key, json!({"anyOf": forms}));
        self.take(key)
    }

    /// The names and texts of the object under `key`.
    pub(super) fn pairs(&mut self, key: &'static str) -> BTreeMap<String, String> {
        self.ask(key, json!({"type": "object", "additionalProperties": {"type": "string"}}));
        let Some(value) = self.take(key) else { return BTreeMap::new() };
        let pairs = value.as_object().and_then(|map| {
            map.iter().map(|(name, v)| Some((name.clone(), v.as_str()?.to_owned()))).collect()
        });
        pairs.unwrap_or_else(|| {
            self.wrong(key, "an object of texts { \"name\": \"text\" }", &value);
            BTreeMap::new()
        })
    }

    /// A Boolean.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        self.ask(key, json!({"type": "boolean", "default": default}));
        let Some(value) = self.take(key) else { return default };
        value.as_bool().unwrap_or_else(|| {
            self.wrong(key, "true or false", &value);
            default
        })
    }

    /// A length of time, such as `90m`.
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.ask(key, json!({"type": "string", "pattern": "^[0-9]+ *[smhdw]$"}));
        let text = self.text(key)?;
        let duration = span(&text);
        if duration.is_none() {
            let expected = "a number and a unit: \"30s\", \"90m\", \"12h\", \"2d\" or \"1w\"";
            self.wrong(key, expected, &Value::String(text));
        }
        duration
    }

    /// Records a problem with `key`.
    pub(super) fn problem(&self, key: &str, message: &str) {
        self.problems.found.borrow_mut().push(format!("\"{}{key}\" {message}", self.prefix));
    }

    /// Records a problem with the section as a whole.
    pub(super) fn problem_here(&self, message: &str) {
        let name = self.prefix.trim_end_matches('.');
        self.problems.found.borrow_mut().push(format!("\"{name}\" {message}"));
    }

    /// Whether the file contains `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.ask(key, Value::Null);
        self.map.get(key).is_some_and(|v| !v.is_null())
    }

    /// Whether the value of `key` is an object.
    pub(super) fn is_object(&self, key: &str) -> bool {
        self.ask(key, Value::Null);
        self.map.get(key).is_some_and(Value::is_object)
    }

    /// Whether the file sets `key` to `null`.
    pub(super) fn is_null(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_null)
    }

    /// Whether the file sets `key` to a number.
    pub(super) fn is_number(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_number)
    }

    /// Remembers what may stand under `key`.
    fn ask(&self, key: &str, kind: Value) {
        let mut path = String::with_capacity(self.prefix.len() + key.len());
        let mut inside = false;
        for c in self.prefix.chars() {
            // The number in a list does not matter.
            if !(inside && c.is_ascii_digit()) {
                path.push(c);
            }
            inside = c == '[' || (inside && c != ']');
        }
        path.push_str(key);
        let mut asked = self.problems.asked.borrow_mut();
        let known = asked.entry(path).or_insert(Value::Null);
        if known.is_null() {
            *known = kind;
        }
    }

    fn wrong(&self, key: &str, expected: &str, found: &Value) {
        self.problem(key, &format!("must be {expected}, not {found}"));
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.insert(key);
        self.map.remove(key).filter(|v| !v.is_null())
    }

    /// A non-empty text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.ask(key, json!({"type": "string", "minLength": 1}));
        match self.take(key)? {
            Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Value::String(_) => {
                self.problem(key, "must not be empty");
                None
            }
            other => {
                self.wrong(key, "a text in quotes", &other);
                None
            }
        }
    }

    /// A text that may consist of blanks.
    pub(super) fn characters(&mut self, key: &'static str) -> Option<String> {
        self.ask(key, json!({"type": "string"}));
        match self.take(key)? {
            Value::String(text) => Some(text),
            other => {
                self.wrong(key, "a text in quotes", &other);
                None
            }
        }
    }

    /// true or false; `None` if the file has neither.
    pub(super) fn flag_or_none(&mut self, key: &'static str) -> Option<bool> {
        self.ask(key, json!({"type": "boolean"}));
        let value = self.take(key)?;
        if value.as_bool().is_none() {
            self.wrong(key, "true or false", &value);
        }
        value.as_bool()
    }

    /// A label: a text, or a number or Boolean in its JSON spelling.
    pub(super) fn label(&mut self, key: &'static str) -> Option<String> {
        self.ask(key, json!({"type": ["string", "number", "boolean"]}));
        if let Some(value @ (Value::Number(_) | Value::Bool(_))) = self.map.get(key).cloned() {
            self.take(key);
            return Some(value.to_string());
        }
        self.text(key)
    }

    /// A required text.
    pub(super) fn required(&mut self, key: &'static str) -> String {
        if !self.has(key) {
            self.problem(key, "is missing: name a folder, relative to this file or absolute");
        }
        self.text(key).unwrap_or_default()
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.ask(key, json!({"type": "array", "items": {"type": "string"}}));
        let value = self.take(key)?;
        let texts = value
            .as_array()
            .and_then(|items| items.iter().map(|v| v.as_str().map(str::to_owned)).collect());
        if texts.is_none() {
            self.wrong(key, "a list of texts", &value);
        }
        texts
    }

    /// A list of texts, or a single text for a list of one.
    pub(super) fn texts_or_one(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.ask(key, json!({"type": ["string", "array"], "items": {"type": "string"}}));
        if self.map.get(key).is_some_and(Value::is_string) {
            return self.text(key).map(|text| vec![text]);
        }
        self.texts(key)
    }

    /// A number within `range`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<f64>,
        default: f64,
    ) -> f64 {
        self.ask(key, json!({"type": "number", "minimum": range.start(), "maximum": range.end(), "default": default}));
        let Some(value) = self.take(key) else { return default };
        value.as_f64().filter(|v| range.contains(v)).unwrap_or_else(|| {
            let expected = format!("a number from {} to {}", range.start(), range.end());
            self.wrong(key, &expected, &value);
            default
        })
    }

    /// A number within `range`, or `null` for `None`.
    pub(super) fn number_or_null(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<f64>,
        default: Option<f64>,
    ) -> Option<f64> {
        self.ask(key, json!({"type": "number", "minimum": range.start(), "maximum": range.end(), "default": default}));
        match self.map.get(key) {
            None => {
                self.known.insert(key);
                default
            }
            Some(Value::Null) => self.take(key).and(None),
            Some(_) => Some(self.number(key, range, *range.start())),
        }
    }

    /// An integer within `range`.
    pub(super) fn integer(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        self.ask(key, json!({"type": "integer", "minimum": range.start(), "maximum": range.end(), "default": default}));
        let Some(value) = self.take(key) else { return default };
        value.as_u64().filter(|v| range.contains(v)).unwrap_or_else(|| {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            self.wrong(key, &expected, &value);
            default
        })
    }

    /// An integer within `range`, or `null` for no limit.
    pub(super) fn limit(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<u64>,
        default: Option<u64>,
    ) -> Option<u64> {
        self.ask(key, json!({"type": "integer", "minimum": range.start(), "maximum": range.end(), "default": default}));
        match self.map.get(key) {
            None => {
                self.known.insert(key);
                default
            }
            Some(Value::Null) => {
                self.known.insert(key);
                self.map.remove(key);
                None
            }
            Some(_) => Some(self.integer(key, range, *range.start())),
        }
    }

    /// A number of rows, or a share of all rows below 1.
    pub(super) fn frequency(&mut self, key: &'static str) -> Option<Frequency> {
        self.ask(key, json!({"type": "number", "exclusiveMinimum": 0}));
        let value = self.take(key)?;
        let rows = value.as_u64().filter(|rows| *rows > 0).map(Frequency::Rows);
        let share = value.as_f64().filter(|share| *share > 0.0 && *share < 1.0);
        let frequency = rows.or(share.map(Frequency::Share));
        if frequency.is_none() {
            self.wrong(key, "a whole number of rows from 1, or a share of them below 1", &value);
        }
        frequency
    }

    /// One of the known words.
    pub(super) fn choice<T>(&mut self, key: &'static str, choices: &[(&str, T)], default: T) -> T
    where
        T: Copy + PartialEq,
    {
        let mut kind = json!({"enum": choices.iter().map(|(name, _)| *name).collect::<Vec<_>>()});
        if let Some((name, _)) = choices.iter().find(|(_, choice)| *choice == default) {
            kind["default"] = (*name).into();
        }
        self.ask(key, kind);
        let Some(value) = self.take(key) else { return default };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| value.as_str() == Some(*name)) {
            return *choice;
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        self.wrong(key, &format!("one of {}", names.join(", ")), &value);
        default
    }

    /// Reports every key that was not taken, with the most similar known one.
    pub(super) fn finish(self) {
        for key in self.map.keys() {
            let nearest = self
                .known
                .iter()
                .map(|known| (strsim::damerau_levenshtein(&key.to_lowercase(), known), known))
                .min();
            let advice = match nearest {
                Some((distance, known)) if distance <= known.len().max(key.len()) / 2 => {
                    format!("did you mean \"{}{known}\"?", self.prefix)
                }
                _ => {
                    let known: Vec<_> = self.known.iter().map(|k| format!("\"{k}\"")).collect();
                    format!("known keys here: {}", known.join(", "))
                }
            };
            self.problem(key, &format!("is not a known key; {advice}"));
        }
    }
}

/// The length of time that `text` spells: a whole number and a unit.
fn span(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    Some(Duration::from_secs(digits.parse::<u64>().ok()?.checked_mul(unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_a_number_and_a_unit() {
        let seconds = |text| span(text).map(|span| span.as_secs());
        assert_eq!(seconds("90m"), Some(5400));
        assert_eq!(seconds("2 d"), Some(172_800));
        assert_eq!(seconds("1w"), Some(604_800));
        for wrong in
            ["", "d", "2", "-1d", "1.5h", "2 days", "99999999999999999999s", "9999999999999999999w"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
