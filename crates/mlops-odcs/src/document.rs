//! The document that says what the configuration does: an object for each source, a property for each
//! column, a quality rule for each rule of a contract. Not for reading documents: see `facts`.

use std::fmt;

use mlops_core::config::contract::{Bound, ColumnContract, RowsContract, Severity, Shape};
use mlops_core::config::{Config, Contract, INPUT};
use mlops_core::platform::digest::Digest;
use mlops_core::run::context::{Context, Report};
use mlops_core::table::schema::{Column, Role};
use mlops_core::{Error, Result, text};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::yaml;

/// The version of the standard.
const STANDARD: &str = "v3.1.0";

/// The configured contracts as a document.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Exported(pub(crate) Value);

impl Report for Exported {
    fn changed(&self) -> bool {
        false
    }
}

impl fmt::Display for Exported {
    /// As YAML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&yaml::written(&self.0)?)
    }
}

/// The contracts of all sources, or of the one called `source`.
pub fn export(context: &Context, source: Option<&str>) -> Result<Exported> {
    let config = &context.config;
    let objects: Vec<Value> =
        sources(config, source)?.into_iter().map(|one| one.object()).collect();
    let columns = config.schema.digest().to_string();
    let version = Digest::of(Value::Array(objects.clone()).to_string().as_bytes()).to_string();
    Ok(Exported(json!({
        "apiVersion": STANDARD,
        "kind": "DataContract",
        // The same as long as the columns are, while the version changes with every rule.
        "id": format!("mlops-{}", &columns[..12]),
        "version": version[..12],
        "status": "active",
        "description": {"purpose": format!("Rows from which \"{}\" is learned", config.schema.target())},
        "schema": objects,
    })))
}

/// A source with its contract.
pub(crate) struct Described<'a> {
    /// Its name; `input` for the input folder.
    pub(crate) name: &'a str,
    pub(crate) contract: Option<&'a Contract>,
    config: &'a Config,
}

/// All sources, or the one called `wanted`; the input folder comes first.
pub(crate) fn sources<'a>(config: &'a Config, wanted: Option<&str>) -> Result<Vec<Described<'a>>> {
    let input = (INPUT, config.contract.as_ref());
    let others = config.sources.iter().map(|s| (s.name.as_str(), s.contract.as_ref()));
    let all = [input].into_iter().chain(others);
    let all: Vec<_> = all.map(|(name, contract)| Described { name, contract, config }).collect();
    let Some(wanted) = wanted else { return Ok(all) };
    let names: Vec<&str> = all.iter().map(|one| one.name).collect();
    let unknown = mlops_core::stage::sources::unknown(wanted, &names);
    let found: Vec<_> = all.into_iter().filter(|one| one.name == wanted).collect();
    if found.is_empty() { Err(unknown) } else { Ok(found) }
}

impl Described<'_> {
    /// The object of the document.
    pub(crate) fn object(&self) -> Value {
        let mut object = Map::new();
        object.insert("name".to_owned(), self.name.into());
        object.insert("logicalType".to_owned(), "object".into());
        let columns = self.config.schema.columns();
        let is_key = |column: &Column| {
            column.role == Role::Id && !self.config.only_slices.contains(&column.name)
        };
        let properties = columns.iter().enumerate().map(|(at, column)| {
            let rules = self.contract.and_then(|c| c.columns.iter().find(|rule| rule.index == at));
            self.property(column, rules, is_key(column).then_some(at + 1))
        });
        object.insert("properties".to_owned(), properties.collect());
        if let Some(rows) = self.contract.and_then(|contract| contract.rows.as_ref()) {
            let quality = row_count(rows);
            if !quality.is_empty() {
                object.insert("quality".to_owned(), quality.into());
            }
        }
        let own = self.contract.map(custom).unwrap_or_default();
        if !own.is_empty() {
            object.insert("customProperties".to_owned(), own.into());
        }
        Value::Object(object)
    }

    fn property(
        &self,
        column: &Column,
        rules: Option<&ColumnContract>,
        key: Option<usize>,
    ) -> Value {
        let mut property = Map::new();
        let mut put = |key: &str, value: Value| property.insert(key.to_owned(), value);
        put("name", column.name.as_str().into());
        let theirs = self.config.sources.iter().find(|source| source.name == self.name);
        let theirs = theirs.and_then(|source| {
            let mut names = source.reading.columns.0.iter();
            names.find(|(_, ours)| **ours == column.name).map(|(theirs, _)| theirs)
        });
        if let Some(theirs) = theirs {
            put("physicalName", theirs.as_str().into());
        }
        let logical = match column.role {
            Role::Numeric => "number",
            Role::Date => "date",
            Role::Id | Role::Categorical | Role::Target => "string",
        };
        put("logicalType", logical.into());
        if let Some(at) = key {
            put("primaryKey", true.into());
            put("primaryKeyPosition", at.into());
        }
        // A row without a label is never taken.
        let required = column.role == Role::Target || rules.is_some_and(|rules| rules.required);
        put("required", required.into());
        put("unique", rules.is_some_and(|rules| rules.unique).into());
        let quality = rules.map(quality).unwrap_or_default();
        if !quality.is_empty() {
            put("quality", quality.into());
        }
        Value::Object(property)
    }
}

/// The quality rules of a column.
fn quality(rules: &ColumnContract) -> Vec<Value> {
    let severity = severity(rules.severity);
    let none = |metric: &str, arguments: Value| {
        let mut rule = json!({"type": "library", "metric": metric});
        if !arguments.is_null() {
            rule["arguments"] = arguments;
        }
        rule["mustBe"] = 0.into();
        rule["severity"] = severity.into();
        rule
    };
    let mut found = Vec::new();
    if rules.required {
        found.push(none("missingValues", Value::Null));
    }
    if rules.unique {
        found.push(none("duplicateValues", Value::Null));
    }
    let mut range = Map::new();
    for (key, bound) in [("minimum", &rules.min), ("maximum", &rules.max)] {
        if let Some(bound) = bound {
            range.insert(key.to_owned(), value(bound));
        }
    }
    if !range.is_empty() {
        found.push(none("invalidValues", range.into()));
    }
    if let Some(allowed) = &rules.allowed {
        let allowed: Vec<Value> = allowed.iter().map(value).collect();
        found.push(none("invalidValues", json!({"validValues": allowed})));
    }
    if let Some(pattern) = &rules.pattern {
        found.push(none("invalidValues", json!({"pattern": pattern})));
    }
    if let Some(share) = rules.max_missing_share {
        found.push(json!({"type": "library", "metric": "missingValues", "unit": "percent",
            "mustBeLessOrEqualTo": percent(share), "severity": severity}));
    }
    found
}

/// A share in percent: 7 rather than 7.000000000000001.
fn percent(share: f64) -> f64 {
    (share * 1e11).round() / 1e9
}

/// The quality rules of a whole object.
fn row_count(rows: &RowsContract) -> Vec<Value> {
    let bounds = [("mustBeGreaterOrEqualTo", rows.min), ("mustBeLessOrEqualTo", rows.max)];
    let rule = |(operator, bound): (&str, Option<u64>)| {
        let mut rule = json!({"type": "library", "metric": "rowCount"});
        rule[operator] = bound?.into();
        rule["severity"] = severity(rows.severity).into();
        Some(rule)
    };
    bounds.into_iter().filter_map(rule).collect()
}

/// What the standard has no words for; defaults are left out.
fn custom(contract: &Contract) -> Vec<Value> {
    let property = |name: &str, value: Value| json!({"property": name, "value": value});
    let mut found = Vec::new();
    if let Some(rows) = &contract.rows
        && let Some(share) = rows.versus_median
    {
        found.push(property("rowsVersusMedian", share.into()));
        found.push(property("rowsVersusMedianSeverity", severity(rows.severity).into()));
    }
    if let Some(rows) = &contract.batch_rows {
        let bounds = [
            ("batchRowsMin", rows.min.map(Value::from)),
            ("batchRowsMax", rows.max.map(Value::from)),
            ("batchRowsVersusMedian", rows.versus_median.map(Value::from)),
        ];
        found.extend(bounds.into_iter().filter_map(|(name, bound)| Some(property(name, bound?))));
        found.push(property("batchRowsSeverity", severity(rows.severity).into()));
    }
    for (name, shape, default) in [
        ("newColumns", contract.new_columns, Shape::DiscardValue),
        ("missingColumns", contract.missing_columns, Shape::Freeze),
        ("typeChanges", contract.type_changes, Shape::DiscardRow),
    ] {
        if shape != default {
            found.push(property(name, json!(shape)));
        }
    }
    found
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Warn => "warn",
        Severity::Quarantine => "quarantine",
        Severity::Abort => "abort",
    }
}

fn value(bound: &Bound) -> Value {
    match bound {
        // 18 rather than 18.0.
        Bound::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            serde_json::from_str(&format!("{number:.0}")).unwrap_or_else(|_| json!(number))
        }
        Bound::Number(number) => json!(number),
        Bound::Text(text) => text.as_str().into(),
    }
}

/// An error about a document that has no objects.
pub(crate) fn no_contract(place: &str) -> Error {
    Error::data(text::bounded(format!(
        "{place} is not a data contract: it must have \"kind\": DataContract, \"apiVersion\": v3.… and a list \
         \"schema\""
    )))
}
