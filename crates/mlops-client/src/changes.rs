//! Describes the differences between two rounds of answers.
//!
//! Not for judging them: a change is neither good nor bad here.

use std::collections::HashMap;
use std::fmt::Write as _;

use mlops_core::text;
use serde_json::Value;

use crate::call::{Call, PREDICTION, plain};
use crate::predictions::Predictions;
use crate::readable::cell;

/// Changed values named per call; the others are counted.
const NAMED: usize = 8;
/// The members by which items of a list are named.
const NAMES: [&str; 2] = ["name", "step"];
/// The number of characters shown of a value.
const SHOWN: usize = 60;

/// The parts of a round that are compared.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// The app's address.
    pub url: &'a str,
    /// The release that answered, if there was only one.
    pub release: &'a Option<String>,
    /// The calls with their answers.
    pub calls: &'a [Call],
    /// The combined predictions.
    pub predictions: &'a Option<Predictions>,
}

/// The differences in `now`, one line each; empty if there are none.
pub fn between(before: Answers, now: Answers) -> Vec<String> {
    let mut changes = Vec::new();
    if before.url != now.url {
        changes.push(format!("another address: {} → {}", before.url, now.url));
    }
    if before.release != now.release {
        let name =
            |release: &Option<String>| release.clone().unwrap_or_else(|| "unknown".to_owned());
        changes.push(format!("release: {} → {}", name(before.release), name(now.release)));
    }
    for call in now.calls {
        match before.calls.iter().find(|other| other.path == call.path) {
            Some(other) => {
                of_status(other, call, &mut changes);
                // Counts for different rows are not comparable.
                if call.path != PREDICTION || same_rows(before, now) {
                    let releases = [before.release, now.release].map(|r| r.as_deref());
                    of_answer(other, call, releases, &mut changes);
                }
            }
            None => changes.push(format!("{}: called for the first time", call.path)),
        }
    }
    for call in before.calls.iter().filter(|c| now.calls.iter().all(|n| n.path != c.path)) {
        changes.push(format!("{}: not called this time", call.path));
    }
    match (&before.predictions, &now.predictions) {
        (Some(old), Some(new)) if same_rows(before, now) => of_predictions(old, new, &mut changes),
        (Some(old), Some(new)) => {
            let [old, new] = [old, new].map(named);
            changes.push(format!("/prediction: other rows than last time, {old} → {new}"));
        }
        (Some(_), None) => changes.push("no predictions this time".to_owned()),
        (None, Some(_)) => changes.push("predictions, which were not there before".to_owned()),
        (None, None) => {}
    }
    changes
}

/// Whether both rounds predicted the same rows.
fn same_rows(before: Answers, now: Answers) -> bool {
    let identity = |returns: Answers| -> Vec<_> {
        let files = returns.predictions.iter().flat_map(|predictions| &predictions.files);
        files.map(|file| (file.sha256, file.rows, file.rejected)).collect()
    };
    identity(before) == identity(now)
}

fn of_status(before: &Call, now: &Call, changes: &mut Vec<String>) {
    let failed = [before, now].map(|call| call.error.as_deref());
    if before.status != now.status || failed[0] != failed[1] {
        let status =
            |call: &Call| call.status.map_or("no answer".to_owned(), |status| status.to_string());
        let why = failed[1].map_or(String::new(), |error| format!(" ({error})"));
        changes.push(format!("{}: {} → {}{why}", now.path, status(before), status(now)));
    }
}

/// `releases` are those of before and now; changes from one to the other were reported already.
fn of_answer(before: &Call, now: &Call, releases: [Option<&str>; 2], changes: &mut Vec<String>) {
    if before.error.is_some() || now.error.is_some() {
        return;
    }
    let (old, new) = (leaves(&before.answer), leaves(&now.answer));
    let known: HashMap<&str, &Value> = old.iter().map(|(p, v)| (p.as_str(), *v)).collect();
    let places: HashMap<&str, &Value> = new.iter().map(|(p, v)| (p.as_str(), *v)).collect();
    let mut different: Vec<String> = Vec::new();
    for (place, value) in &new {
        match known.get(place.as_str()) {
            Some(old) if old == value => {}
            Some(old) if old.is_string() && [old.as_str(), value.as_str()] == releases => {}
            Some(old) => {
                let [was, is] = [*old, *value].map(short);
                let alike = was == is;
                different.push(if alike {
                    format!("{place} {old} → {value}")
                } else {
                    format!("{place} {was} → {is}")
                });
            }
            None => different.push(format!("{place} is new: {}", short(value))),
        }
    }
    let gone = old.iter().filter(|(place, _)| !places.contains_key(place.as_str()));
    different
        .extend(gone.map(|(place, value)| format!("{place} is no longer there: {}", short(value))));
    let more = different.len().saturating_sub(NAMED);
    different.truncate(NAMED);
    changes.extend(different.into_iter().map(|change| format!("{}: {change}", now.path)));
    if more > 0 {
        let more = text::plural(more as u64, "other value");
        changes.push(format!("{}: {more} changed", now.path));
    }
}

/// The files with their numbers of rows.
fn named(predictions: &Predictions) -> String {
    let names = text::names(predictions.files.iter().map(|file| &file.name));
    format!("{names} ({})", text::plural(predictions.rows, "row"))
}

fn of_predictions(before: &Predictions, now: &Predictions, changes: &mut Vec<String>) {
    let labels = before.kept.predictions.iter().zip(&now.kept.predictions);
    let labels = labels.filter(|(before, now)| before != now).count();
    let moved = before.kept.probabilities.iter().zip(&now.kept.probabilities);
    let moved = moved.map(|(before, now)| (before - now).abs()).fold(0.0_f64, f64::max);
    if labels > 0 || moved > 0.0 || before.labels != now.labels {
        changes.push(format!(
            "/prediction: {} of {} changed, probabilities by up to {moved:.4}",
            text::count(labels as u64),
            text::plural(now.kept.predictions.len() as u64, "prediction")
        ));
    }
}

/// Every scalar value of an answer with its path, such as `columns.age.mean`, in order.
fn leaves(value: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    collect(value, &mut String::new(), &mut found);
    found
}

fn collect<'a>(value: &'a Value, place: &mut String, found: &mut Vec<(String, &'a Value)>) {
    let length = place.len();
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                if length > 0 {
                    place.push('.');
                }
                place.push_str(&plain(name));
                collect(value, place, found);
                place.truncate(length);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (i, value) in list.iter().enumerate() {
                // Items with a name keep their path when others are inserted before them.
                let name = NAMES.iter().find_map(|name| value.get(name)?.as_str());
                // Writing to a String cannot fail.
                let _ = match name {
                    Some(name) => write!(place, ".{}", plain(name)),
                    None => write!(place, "[{i}]"),
                };
                collect(value, place, found);
                place.truncate(length);
            }
        }
        // The whole answer, and it is empty.
        _ if place.is_empty() => {}
        value => found.push((place.clone(), value)),
    }
}

/// The value, shortened.
fn short(value: &Value) -> String {
    let text = cell(value);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
