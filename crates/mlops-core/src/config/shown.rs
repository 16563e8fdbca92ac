//! Every key with its effective value and where that comes from, for people who want to see what a
//! configuration amounts to. Values that may be secret are masked.
//!
//! The keys are those that the code asks for, so that none can be missing. Not for reading: see [`super`].

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Config;
use super::section::Problems;
use super::sources::without_secrets;
use crate::table::schema::Role;
use crate::{Error, Result};

/// A key with the value that counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Its path: `schema.target`, `sources[0].uri`.
    pub key: String,
    /// The value; null if there is none, or if it follows from other things.
    pub value: Value,
    /// Where the value is from.
    pub from: Origin,
}

/// Where a value is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The configuration file.
    File,
    /// The file does not have the key.
    Default,
}

/// What stands for the part of a value that may be a secret.
const MASK: &str = "…";
/// Keys of addresses that are secrets from their path on, since whoever knows them may send there.
const SECRET_ADDRESSES: [&str; 2] = ["monitoring.ping_url", "alerts.sinks[].url"];
/// Keys of programs, whose arguments may be secrets.
const PROGRAMS: [&str; 2] = ["sources[].command", "alerts.sinks[].command"];

/// Defaults that no schema has, as JSON: of values with a form of their own, and of lists.
const DEFAULTS: [(&str, &str); 13] = [
    ("alerts.give_up_after", "\"72h\""),
    ("decide.wait_for", "[]"),
    ("decide.wait_limit", "\"6h\""),
    ("engine.scheduler", "\"127.0.0.1:27050\""),
    ("output.parquet", "false"),
    ("schema.reasons", "{}"),
    ("service.cors_origins", "[]"),
    ("service.data_folders", "[]"),
    ("service.host_names", "[]"),
    ("service.proxies", "[]"),
    ("service.root_path", "\"\""),
    ("training.C", "1.0"),
    ("training.window", "\"all\""),
];

/// What a key stands for that the file does not have.
fn default(key: &str, kind: &Value) -> Value {
    let known = DEFAULTS.iter().find(|(known, _)| *known == key);
    let known = known.and_then(|(_, value)| serde_json::from_str(value).ok());
    known.unwrap_or_else(|| kind["default"].clone())
}

impl Config {
    /// Reads and checks the file at `path`, and says every key of it and every default.
    pub fn settings(path: &Path) -> Result<(Self, Vec<Setting>)> {
        let map = Self::object(&Self::text_at(path)?, path)?;
        let problems = Problems::default();
        let config = Self::read(map.clone(), path, &problems);
        if !problems.is_empty() {
            return Err(Error::config(path.display().to_string(), problems.found()));
        }
        let (file, resolved) = (Value::Object(map), config.resolved());
        let mut settings = Vec::new();
        for (key, kind) in problems.asked() {
            // Sections are shown by their keys; null is a key of which only the presence matters.
            let sections = ["section", "sections", "named"];
            if kind.is_null() || sections.contains(&kind["type"].as_str().unwrap_or_default()) {
                continue;
            }
            let mut found = Vec::new();
            find(&file, &key, "", &mut found);
            let known = resolved.get(&key);
            for (name, value) in &found {
                let value = known.unwrap_or(value);
                let value = masked(&key, value);
                settings.push(Setting { key: name.clone(), value, from: Origin::File });
            }
            // What an entry of a list lacks is the same for all entries.
            if found.is_empty() && !key.contains("[]") {
                let value = known.cloned().unwrap_or_else(|| default(&key, &kind));
                settings.push(Setting { key, value, from: Origin::Default });
            }
        }
        Ok((config, settings))
    }

    /// Values that are not those of the file, or whose default no schema has: paths are absolute.
    fn resolved(&self) -> Map<String, Value> {
        let path = |path: &Path| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            Value::from(crate::text::of_path(&path))
        };
        let names = |role| json!(self.schema.names(role).collect::<Vec<_>>());
        let ids: Vec<&str> = self.identifying().collect();
        let ingestion = &self.ingestion;
        let duplicates = if ingestion.keeps_equal_rows(&self.schema) { "keep" } else { "drop" };
        let group = self.holdout.group.as_ref().map_or_else(|| json!(ids), |group| json!(group));
        let mut all = Map::new();
        for (key, value) in [
            ("input_folder_path", path(&self.input_folder)),
            ("output_folder_path", path(&self.output_folder)),
            ("test_data_path", path(&self.test_data)),
            ("output_model_path", path(&self.output_model)),
            ("prod_deployment_path", path(&self.deployment)),
            ("models_path", path(&self.models)),
            ("source_folder_path", path(&self.source_folder)),
            ("schema.id", json!(ids)),
            ("schema.numeric", names(Role::Numeric)),
            ("schema.date", names(Role::Date)),
            ("schema.categorical", names(Role::Categorical)),
            ("schema.slice", json!(self.slices)),
            ("schema.target", json!(self.schema.target())),
            ("schema.positive_label", json!(self.schema.positive_label())),
            ("schema.negative_label", json!(self.schema.negative_label())),
            ("ingestion.missing_values", json!(ingestion.missing_values)),
            ("ingestion.decimal", json!(ingestion.numbers.decimal)),
            ("ingestion.thousands", json!(ingestion.numbers.thousands)),
            ("ingestion.duplicates", json!(duplicates)),
            ("holdout.group", group),
            ("service.host", json!(self.service.host)),
            ("service.model_name", json!(self.service.model_name)),
            ("apicalls.url", json!(without_secrets(&self.apicalls.url))),
            ("lineage.namespace", json!(self.lineage.namespace)),
            ("limits.threads", json!(self.limits.threads)),
        ] {
            all.insert(key.to_owned(), value);
        }
        let service = &self.service;
        for (key, place) in [
            ("service.prediction_log_path", service.prediction_log.as_ref().map(|log| &log.folder)),
            ("service.tls.certificate", service.tls.as_ref().map(|tls| &tls.certificate)),
            ("service.tls.key", service.tls.as_ref().map(|tls| &tls.key)),
            ("monitoring.metrics_textfile", self.monitoring.metrics_textfile.as_ref()),
            ("lineage.folder", self.lineage.folder.as_ref()),
            ("labels.path", self.labels.path.as_ref()),
        ] {
            if let Some(place) = place {
                all.insert(key.to_owned(), path(place));
            }
        }
        all
    }
}

/// The values of `key` in `value`, each under its name; an entry of a list has its number there.
fn find<'v>(value: &'v Value, key: &str, before: &str, found: &mut Vec<(String, &'v Value)>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let Some(rest) = key.strip_prefix(name.as_str()) else { continue };
        if rest.is_empty() {
            found.push((format!("{before}{name}"), value));
        } else if let Some(rest) = rest.strip_prefix("[].") {
            for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                find(item, rest, &format!("{before}{name}[{at}]."), found);
            }
        } else if let Some(rest) = rest.strip_prefix('.') {
            find(value, rest, &format!("{before}{name}."), found);
        }
    }
}

/// The value of `key` without what may be a secret.
fn masked(key: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if SECRET_ADDRESSES.contains(&key) => {
            let (scheme, rest) = text.split_once("://").unwrap_or_default();
            let host = rest.split('/').next().unwrap_or_default();
            let host = host.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}/{MASK}").into()
        }
        Value::String(text) if text.contains("://") => without_secrets(text).into(),
        Value::Array(words) if PROGRAMS.contains(&key) && words.len() > 1 => {
            let arguments = words[1..].iter().map(|_| MASK.into());
            words[..1].iter().cloned().chain(arguments).collect()
        }
        Value::Array(items) => items.iter().map(|item| masked(key, item)).collect(),
        other => other.clone(),
    }
}
