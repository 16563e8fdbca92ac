//! The section `schema`: the columns of the data, and what belongs to single columns.
//!
//! Not for how a column is used: see [`crate::table::schema`].

use std::collections::BTreeMap;

use super::choices::Pooling;
use super::reasons::{self, Reasons};
use super::section::Section;
use crate::table::schema::{Schema, SchemaFields};
use crate::text;

/// The content of the section.
pub(super) struct SchemaSection {
    pub(super) schema: Schema,
    pub(super) pooling: Pooling,
    pub(super) reasons: Reasons,
    /// Columns by whose values scores are given too.
    pub(super) slices: Vec<String>,
    /// Those of them that are there for nothing else. They are kept as ids are, but identify nothing.
    pub(super) kept: Vec<String>,
}

/// Reads the section.
pub(super) fn schema(mut section: Section) -> SchemaSection {
    let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let named = ["id", "numeric", "date", "categorical", "target"].map(|key| section.has(key));
    let (id, numeric) = (section.texts("id"), section.texts("numeric"));
    let date = section.texts("date").unwrap_or_default();
    let categorical = section.texts("categorical").unwrap_or_default();
    let target = section.text("target");
    // Naming any column replaces the whole default, which describes other data.
    let own = named.contains(&true);
    let id = id.unwrap_or_else(|| if own { Vec::new() } else { list(&["corporation"]) });
    let numeric = numeric.unwrap_or_else(|| {
        let default = ["lastmonth_activity", "lastyear_activity", "number_of_employees"];
        if own { Vec::new() } else { list(&default) }
    });
    if own && target.is_none() {
        section.problem("target", "is missing: name the label column");
    }
    let target = target.unwrap_or_else(|| "exited".to_owned());
    if numeric.is_empty() && date.is_empty() && categorical.is_empty() {
        section.problem("numeric", "and \"schema.categorical\" are empty: name a feature column");
    }
    let target_only = std::slice::from_ref(&target);
    let lists: [(&str, &[String]); 5] = [
        ("id", &id),
        ("numeric", &numeric),
        ("date", &date),
        ("categorical", &categorical),
        ("target", target_only),
    ];
    let mut seen = BTreeMap::new();
    for (key, name) in lists.iter().flat_map(|(key, names)| names.iter().map(move |n| (*key, n))) {
        let shown = text::name(name);
        if name.trim() != name || name.is_empty() {
            section.problem(key, &format!("has the column name \"{shown}\": trim it"));
        }
        match seen.insert(name, key) {
            Some(other) if other == key => {
                section.problem(key, &format!("names the column \"{shown}\" twice"));
            }
            Some(other) => section.problem(
                key,
                &format!("names the column \"{shown}\", which \"schema.{other}\" names too"),
            ),
            None => {}
        }
    }
    let positive = section.label("positive_label").unwrap_or_else(|| "1".to_owned());
    let negative = section.label("negative_label");
    if negative.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(&positive)) {
        section.problem("negative_label", "must differ from \"schema.positive_label\"");
    }
    let pooling = Pooling {
        max_levels: section.limit("max_levels", &(1..=1_000_000_000), None),
        min_frequency: section.frequency("min_frequency"),
    };
    let features: Vec<&String> = numeric.iter().chain(&date).chain(&categorical).collect();
    let reasons = reasons::reasons(&mut section, &features);
    let slices = section.texts("slice").unwrap_or_default();
    for (at, name) in slices.iter().enumerate() {
        let shown = text::name(name);
        if name.trim() != name || name.is_empty() || *name == target {
            let message =
                format!("names the column \"{shown}\": name columns other than the target");
            section.problem("slice", &message);
        }
        if slices[..at].contains(name) {
            section.problem("slice", &format!("names the column \"{shown}\" twice"));
        }
    }
    let known = |name: &&String| id.contains(name) || features.contains(name) || **name == target;
    let kept: Vec<String> = slices.iter().filter(|name| !known(name)).cloned().collect();
    if !kept.is_empty() && id.is_empty() {
        section.problem(
            "slice",
            "names columns that are no features, which needs \"schema.id\": only with an id can rows be told \
             apart without them",
        );
    }
    section.finish();
    let schema = Schema::new(SchemaFields {
        id: &[id, kept.clone()].concat(),
        numeric: &numeric,
        date: &date,
        categorical: &categorical,
        target: &target,
        positive_label: &positive,
        negative_label: negative.as_deref(),
    });
    SchemaSection { schema, pooling, reasons, slices, kept }
}
