//! The requirements for the rows of a source: the section `contract` of an entry of `sources` or of the
//! input folder.
//!
//! Rows are checked against it in `csv::contract`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Config;
use super::section::Section;
use crate::table::schema::{Role, Schema};

/// What the rows of a source must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// Rules for single columns, in the order of the schema.
    pub columns: Vec<ColumnContract>,
    /// Rules for the number of rows of an object.
    pub rows: Option<RowsContract>,
    /// Rules for the number of rows of all new objects of a run together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_rows: Option<RowsContract>,
    /// What becomes of an object with columns that the schema does not have.
    pub new_columns: Shape,
    /// What becomes of an object without some columns of the schema.
    pub missing_columns: Shape,
    /// What becomes of a cell that is not of its column's type.
    pub type_changes: Shape,
}

/// The rules for a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnContract {
    /// Its name in the schema.
    pub name: String,
    /// Its number in the schema, from 0.
    pub index: usize,
    /// A value must be there.
    pub required: bool,
    /// No value may occur twice in an object, but for rows that are equal as a whole.
    pub unique: bool,
    /// The least value.
    pub min: Option<Bound>,
    /// The greatest value.
    pub max: Option<Bound>,
    /// The only values.
    pub allowed: Option<Vec<Bound>>,
    /// The regular expression that a value matches as a whole.
    pub pattern: Option<String>,
    /// The share of rows of an object that may lack a value.
    pub max_missing_share: Option<f64>,
    /// What becomes of what breaks these rules.
    pub severity: Severity,
}

/// A value to compare with: by size for a number, by the order of characters for a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bound {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "\"{}\"", crate::text::name(text)),
        }
    }
}

/// The rules for the number of rows of an object, or of a batch of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowsContract {
    /// The least number.
    pub min: Option<u64>,
    /// The greatest number.
    pub max: Option<u64>,
    /// The least share of the median of earlier ones; its inverse is the greatest.
    pub versus_median: Option<f64>,
    /// What becomes of one that breaks these rules.
    pub severity: Severity,
}

/// What becomes of what breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is taken, counted and told.
    Warn,
    /// A row goes to the quarantine; an object that breaks a rule as a whole is refused.
    Quarantine,
    /// The whole object is refused.
    Abort,
}

/// What becomes of an object whose columns or types are not those of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// It is ingested as far as the schema goes, with a warning.
    Evolve,
    /// It is refused.
    Freeze,
    /// Rows with such a cell go to the quarantine.
    DiscardRow,
    /// Such cells are left out, or missing.
    DiscardValue,
}

impl Config {
    /// The contract for the file at `path`.
    pub fn contract_at(&self, path: &Path) -> Option<&Contract> {
        match self.source_at(path) {
            Some((source, _)) => source.contract.as_ref(),
            None => self.contract.as_ref(),
        }
    }

    /// The contracts by the names of their sources; that of the input folder comes first.
    pub fn contracts(&self) -> impl Iterator<Item = (&str, &Contract)> {
        let input = self.contract.iter().map(|contract| (super::INPUT, contract));
        input.chain(
            self.sources
                .iter()
                .filter_map(|source| Some((source.name.as_str(), source.contract.as_ref()?))),
        )
    }
}

const SEVERITIES: [(&str, Severity); 3] =
    [("warn", Severity::Warn), ("quarantine", Severity::Quarantine), ("abort", Severity::Abort)];

/// Reads the section under `contract` of `parent`; `None` if there is none.
pub(super) fn contract(parent: &mut Section, schema: &Schema) -> Option<Contract> {
    let given = parent.has("contract");
    let mut section = parent.section("contract");
    if !given {
        return None;
    }
    let severity = section.choice("severity", &SEVERITIES, Severity::Quarantine);
    let mut columns = Vec::new();
    for (name, section) in section.named("columns") {
        match schema.columns().iter().position(|column| column.name == name) {
            Some(index) => columns.push(column(section, schema, index, severity)),
            None => section.problem_here("names a column that is not in \"schema\""),
        }
    }
    columns.sort_by_key(|column| column.index);
    let contract = Contract {
        columns,
        rows: section.has("rows").then(|| rows(section.section("rows"), severity)),
        batch_rows: section
            .has("batch_rows")
            .then(|| rows(section.section("batch_rows"), severity)),
        new_columns: shape(&mut section, "new_columns", Shape::DiscardValue),
        missing_columns: shape(&mut section, "missing_columns", Shape::Freeze),
        type_changes: shape(&mut section, "type_changes", Shape::DiscardRow),
    };
    section.finish();
    Some(contract)
}

fn shape(section: &mut Section, key: &'static str, default: Shape) -> Shape {
    let shapes = [
        ("evolve", Shape::Evolve),
        ("freeze", Shape::Freeze),
        ("discard_row", Shape::DiscardRow),
        ("discard_value", Shape::DiscardValue),
    ];
    section.choice(key, &shapes, default)
}

fn rows(mut section: Section, severity: Severity) -> RowsContract {
    let rows = RowsContract {
        min: section.limit("min", &(0..=1 << 50), None),
        max: section.limit("max", &(0..=1 << 50), None),
        versus_median: section.number_or_null("versus_median", &(0.001..=1.0), None),
        severity: section.choice("severity", &SEVERITIES, severity),
    };
    section.finish();
    rows
}

fn column(
    mut section: Section,
    schema: &Schema,
    index: usize,
    severity: Severity,
) -> ColumnContract {
    let column = &schema.columns()[index];
    let numeric = column.role == Role::Numeric;
    let bound = |section: &Section, key: &str, value: Value| match value {
        Value::Number(number) if numeric => number.as_f64().map(Bound::Number),
        Value::String(text) if !numeric => Some(Bound::Text(text)),
        other => {
            let kind = if numeric { "a number" } else { "a text" };
            section.problem(key, &format!("must be {kind}, as the column is, not {other}"));
            None
        }
    };
    let min = section.value("min").and_then(|value| bound(&section, "min", value));
    let max = section.value("max").and_then(|value| bound(&section, "max", value));
    let allowed = section.value("allowed").and_then(|value| match value {
        Value::Array(values) => {
            Some(values.into_iter().filter_map(|value| bound(&section, "allowed", value)).collect())
        }
        other => {
            section.problem("allowed", &format!("must be a list of values, not {other}"));
            None
        }
    });
    let pattern = section.text("pattern");
    if let Some(Err(why)) = pattern.as_deref().map(regex_lite::Regex::new) {
        section.problem("pattern", &format!("is not a regular expression: {why}"));
    }
    let contract = ColumnContract {
        name: column.name.clone(),
        index,
        required: section.boolean("required", false),
        unique: section.boolean("unique", false),
        min,
        max,
        allowed,
        pattern,
        max_missing_share: section.number_or_null("max_missing_share", &(0.0..=1.0), None),
        severity: section.choice("severity", &SEVERITIES, severity),
    };
    section.finish();
    contract
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;

    fn parse(contract: &str) -> Result<Contract> {
        let text = format!(
            r#"{{"input_folder_path":"in","output_folder_path":"out","test_data_path":"test",
            "output_model_path":"m","prod_deployment_path":"p","contract":{contract}}}"#
        );
        Config::parse(&text, Path::new("config.json")).map(|config| config.contract.unwrap())
    }

    #[test]
    fn rules_are_read_with_their_severity() {
        let contract = parse(
            r#"{"severity":"abort","new_columns":"freeze","rows":{"min":3,"versus_median":0.5},
                "batch_rows":{"max":9,"severity":"warn"},
                "columns":{"number_of_employees":{"min":0,"max":100,"required":true,"severity":"warn"},
                           "corporation":{"unique":true,"pattern":"[a-z]+","allowed":["a","b"]}}}"#,
        )
        .unwrap();
        assert_eq!(contract.new_columns, Shape::Freeze);
        assert_eq!(contract.missing_columns, Shape::Freeze, "as without a contract");
        assert_eq!(contract.rows.as_ref().unwrap().severity, Severity::Abort);
        let batch = contract.batch_rows.as_ref().unwrap();
        assert_eq!((batch.max, batch.severity), (Some(9), Severity::Warn));
        let [corporation, employees] = contract.columns.as_slice() else { panic!("{contract:?}") };
        assert!(corporation.unique && corporation.severity == Severity::Abort);
        assert_eq!(employees.max, Some(Bound::Number(100.0)));
        assert_eq!(employees.severity, Severity::Warn);
    }

    #[test]
    fn all_problems_are_told_together() {
        let error = parse(
            r#"{"columns":{"number_of_employees":{"min":"x","requird":true},"age":{"min":1},
                "corporation":{"pattern":"(","min":3}},"rows":{"versus_median":0},"new_columns":"drop"}"#,
        )
        .unwrap_err()
        .to_string();
        for part in [
            "\"contract.columns.number_of_employees.min\" must be a number, as the column is, not \"x\"",
            "did you mean \"contract.columns.number_of_employees.required\"?",
            "\"contract.columns.age\" names a column that is not in \"schema\"",
            "\"contract.columns.corporation.pattern\" is not a regular expression",
            "\"contract.columns.corporation.min\" must be a text",
            "\"contract.rows.versus_median\" must be a number from 0.001 to 1",
            "\"contract.new_columns\" must be one of",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}
