//! The section `ingestion`: how arriving files are read.
//!
//! Not for how a cell is cleaned: see `csv::clean`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::choices::RecordChanges;
use super::columns::Columns;
use super::format::{self, Format};
use super::section::Section;
use crate::table::date;
use crate::table::schema::{Role, Schema};
use crate::text;
use crate::{Error, Result};

/// How arriving files are read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ingestion {
    /// Share of bad rows above which a whole file is refused.
    pub max_rejected_share: f64,
    /// Spellings of a missing value in feature columns and of a missing label. This list alone says which
    /// cells count as missing: `csv::parse` applies it to files, `csv::cell_reader` to requests.
    pub missing_values: Vec<String>,
    /// The number format.
    pub numbers: NumberFormat,
    /// How dates are spelt besides ISO 8601, in the signs of `strftime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_pattern: Option<String>,
    /// Longest record in bytes; a longer one goes to the quarantine.
    pub max_line_bytes: usize,
    /// `fullprocess` skips files that changed less than this many seconds ago.
    pub settle_seconds: f64,
    /// How a row that equals an earlier one is treated; see [`Ingestion::keeps_equal_rows`].
    pub duplicates: Option<Duplicates>,
    /// How rows that change are treated.
    pub on_change: OnChange,
    /// The columns that identify what a row is about, of whose rows the newest stays; empty for the id columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// The column that tells which of them is the newest; without it the last one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_by: Option<String>,
    /// What is recorded of the changes that cleaning makes. No cell depends on it.
    #[serde(skip)]
    pub record_changes: RecordChanges,
    /// The format of the files.
    #[serde(default, skip_serializing_if = "Format::is_default")]
    pub format: Format,
    /// The names of columns in the files.
    #[serde(default, skip_serializing_if = "Columns::is_empty")]
    pub columns: Columns,
}

/// How a row that equals an earlier one is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// It is the same row again and is dropped.
    Drop,
    /// It is another row with the same values, and is kept.
    Keep,
}

/// How rows that change are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// Its new rows replace its old ones in the next version of the data set.
    #[default]
    Supersede,
    /// Its new content is added as if it were another file.
    Append,
    /// The same, and of all rows with the same key the newest stays, whatever files they are in.
    Latest,
}

/// Which rows replace each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// The columns that are the same.
    pub key: Vec<String>,
    /// The column that tells which row is newer; without it the later one is.
    pub order_by: Option<String>,
}

/// The number format of arriving files. Our own files always have a decimal point and no thousands
/// separator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberFormat {
    /// `ingestion.decimal`: a point or a comma.
    pub decimal: char,
    /// `ingestion.thousands`: a comma, a point, a space or an apostrophe.
    pub thousands: Option<char>,
}

impl NumberFormat {
    /// Whether `c` is the thousands separator. A space may be a no-break space, an apostrophe the
    /// typographic one.
    pub fn is_thousands(self, c: char) -> bool {
        match self.thousands {
            Some(' ') => matches!(c, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}'),
            Some('\'') => matches!(c, '\'' | '\u{2019}'),
            thousands => thousands == Some(c),
        }
    }
}

impl Default for NumberFormat {
    fn default() -> Self {
        Self { decimal: '.', thousands: Some(',') }
    }
}

impl Default for Ingestion {
    fn default() -> Self {
        let missing = [
            "", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "n/a", "<NA>", "#N/A", "na", "?",
        ];
        Self {
            max_rejected_share: 0.05,
            missing_values: missing.map(str::to_owned).to_vec(),
            numbers: NumberFormat::default(),
            date_pattern: None,
            max_line_bytes: 1 << 20,
            settle_seconds: 2.0,
            duplicates: None,
            on_change: OnChange::default(),
            key: Vec::new(),
            order_by: None,
            record_changes: RecordChanges::default(),
            format: Format::default(),
            columns: Columns::default(),
        }
    }
}

impl Ingestion {
    /// The settings that decide what a cell or a row means, as comparable text: rows read under one
    /// set are not mixed with rows read under another.
    pub fn meaning(&self, schema: &Schema) -> Result<String> {
        let mut value = serde_json::to_value(self).map_err(|e| Error::backend("JSON", e))?;
        if let Value::Object(keys) = &mut value {
            for key in
                ["max_rejected_share", "max_line_bytes", "settle_seconds", "format", "columns"]
            {
                keys.remove(key);
            }
            if self.on_change == OnChange::Latest {
                keys.insert("key".to_owned(), self.key_columns(schema).into());
            } else {
                keys.remove("on_change");
            }
            let duplicates = if self.keeps_equal_rows(schema) { "keep" } else { "drop" };
            keys.insert("duplicates".to_owned(), duplicates.into());
        }
        Ok(value.to_string())
    }

    /// The keys that differ from `then`, which an earlier [`Ingestion::meaning`] wrote, each with
    /// its old and its new value.
    pub fn changes(&self, schema: &Schema, then: &str) -> Result<Vec<String>> {
        // The order of spellings does not matter.
        let read = |text: &str| -> Result<Value> {
            let mut value: Value = serde_json::from_str(text)
                .map_err(|e| Error::backend("the record of the settings of \"ingestion\"", e))?;
            if let Some(Value::Array(spellings)) = value.get_mut("missing_values") {
                spellings.sort_by_key(Value::to_string);
                spellings.dedup();
            }
            Ok(value)
        };
        let (then, now) = (read(then)?, read(&self.meaning(schema)?)?);
        let mut changes = Vec::new();
        for key in [
            "missing_values",
            "decimal",
            "thousands",
            "date_pattern",
            "duplicates",
            "on_change",
            "key",
            "order_by",
        ] {
            let of = |all: &Value| {
                let section = if all["numbers"].get(key).is_some() { &all["numbers"] } else { all };
                text::visible(&section[key].to_string()).into_owned()
            };
            let (old, new) = (of(&then), of(&now));
            if then != now && old != new {
                changes.push(format!("\"ingestion.{key}\" is {new} now and was {old}"));
            }
        }
        Ok(changes)
    }

    /// The columns that identify what a row is about.
    pub(super) fn key_columns(&self, schema: &Schema) -> Vec<String> {
        match &self.key[..] {
            [] => schema.names(Role::Id).map(str::to_owned).collect(),
            key => key.to_vec(),
        }
    }

    /// Which rows replace each other, if any do.
    pub(super) fn latest(&self, schema: &Schema) -> Option<Latest> {
        (self.on_change == OnChange::Latest)
            .then(|| Latest { key: self.key_columns(schema), order_by: self.order_by.clone() })
    }

    /// Whether equal rows are all kept. Without an id column nothing says that equal rows are the
    /// same one, so they are kept unless `duplicates` says otherwise.
    pub fn keeps_equal_rows(&self, schema: &Schema) -> bool {
        match self.duplicates {
            Some(duplicates) => duplicates == Duplicates::Keep,
            None => schema.count(Role::Id) == 0,
        }
    }

    /// The same options without the limit on record length: for rows that were accepted already,
    /// whose canonical spelling may be longer than the one that was measured.
    #[must_use]
    pub fn without_line_limit(&self) -> Self {
        Self { max_line_bytes: usize::MAX, ..self.clone() }
    }

    /// The options for reading our own data sets, regardless of those for arriving files.
    #[must_use]
    pub fn verbatim(&self) -> Self {
        Self {
            max_rejected_share: 0.0,
            missing_values: Vec::new(),
            numbers: NumberFormat::default(),
            date_pattern: None,
            max_line_bytes: usize::MAX,
            format: Format::default(),
            columns: Columns::default(),
            ..self.clone()
        }
    }
}

/// Reads the section; the columns `kept` are beside the ids of `schema` and identify nothing.
pub(super) fn ingestion(mut section: Section, schema: &Schema, kept: &[String]) -> Ingestion {
    let default = Ingestion::default();
    let max_line = section.integer(
        "max_line_bytes",
        &(64..=1 << 24),
        u64::try_from(default.max_line_bytes).unwrap_or(u64::MAX),
    );
    let mut ingestion = Ingestion {
        max_rejected_share: section.number(
            "max_rejected_share",
            &(0.0..=1.0),
            default.max_rejected_share,
        ),
        // Cells are trimmed before they are compared.
        missing_values: section.texts("missing_values").map_or(default.missing_values, |texts| {
            texts.iter().map(|text| text.trim().to_owned()).collect()
        }),
        numbers: numbers(&mut section),
        date_pattern: date_pattern(&mut section),
        max_line_bytes: usize::try_from(max_line).unwrap_or(usize::MAX),
        settle_seconds: section.number("settle_seconds", &(0.0..=3600.0), default.settle_seconds),
        duplicates: section.choice(
            "duplicates",
            &[("drop", Some(Duplicates::Drop)), ("keep", Some(Duplicates::Keep))],
            default.duplicates,
        ),
        on_change: section.choice(
            "on_change",
            &[
                ("supersede", OnChange::Supersede),
                ("append", OnChange::Append),
                ("latest", OnChange::Latest),
            ],
            default.on_change,
        ),
        key: section.texts_or_one("key").unwrap_or_default(),
        order_by: section.text("order_by"),
        record_changes: section.choice(
            "record_changes",
            &[
                ("off", RecordChanges::Off),
                ("counts", RecordChanges::Counts),
                ("sample", RecordChanges::Sample),
                ("all", RecordChanges::All),
            ],
            default.record_changes,
        ),
        format: format::format(section.section("format")),
        columns: default.columns,
    };
    check_latest(&mut section, &ingestion, schema);
    section.finish();
    if ingestion.on_change == OnChange::Latest && ingestion.key.is_empty() {
        let ids = ingestion.key_columns(schema);
        ingestion.key = ids.into_iter().filter(|name| !kept.contains(name)).collect();
    }
    ingestion
}

fn date_pattern(section: &mut Section) -> Option<String> {
    let pattern = section.text("date_pattern")?;
    if !date::is_pattern(&pattern) {
        section.problem(
            "date_pattern",
            &format!(
                "is {pattern:?}, which does not say day, month and year in the signs of strftime: \
                 \"%d.%m.%Y\" reads 31.03.2024, \"%m/%d/%Y %H:%M\" reads 03/31/2024 14:05"
            ),
        );
    }
    Some(pattern)
}

/// Checks which rows are to replace each other.
fn check_latest(section: &mut Section, ingestion: &Ingestion, schema: &Schema) {
    let named = ingestion.key.iter().map(|name| ("key", name));
    for (key, name) in named.chain(ingestion.order_by.iter().map(|name| ("order_by", name))) {
        let column = schema.columns().iter().find(|column| column.name == *name);
        if column.is_none_or(|column| column.role == Role::Target) {
            section.problem(
                key,
                &format!(
                    "names the column \"{name}\": name columns of \"schema\" other than the target; one \
                     that is not a feature can stand in \"schema.id\""
                ),
            );
        }
        if ingestion.on_change != OnChange::Latest {
            section.problem(key, "has a meaning only where \"ingestion.on_change\" is \"latest\"");
        }
    }
    if ingestion.latest(schema).is_some_and(|latest| latest.key.is_empty()) {
        section.problem(
            "key",
            "is empty, and so is \"schema.id\": name the columns whose rows replace each other",
        );
    }
}

pub(super) fn numbers(section: &mut Section) -> NumberFormat {
    const THOUSANDS: [(&str, Option<char>); 5] =
        [(",", Some(',')), (".", Some('.')), (" ", Some(' ')), ("'", Some('\'')), ("none", None)];
    let decimal = section.choice("decimal", &[(".", '.'), (",", ',')], '.');
    let default = Some(if decimal == ',' { '.' } else { ',' });
    let null = section.is_null("thousands");
    let thousands = section.choice("thousands", &THOUSANDS, if null { None } else { default });
    if thousands == Some(decimal) {
        section.problem(
            "thousands",
            "must differ from \"ingestion.decimal\": name the other separator, or null for none",
        );
    }
    NumberFormat { decimal, thousands }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schema::SchemaFields;

    #[test]
    fn changed_keys_are_named_with_their_values() {
        let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let schema = Schema::new(SchemaFields {
            id: &names(&["id"]),
            numeric: &names(&["x"]),
            target: "y",
            positive_label: "1",
            ..SchemaFields::default()
        });
        let old = Ingestion { missing_values: names(&["NA"]), ..Ingestion::default() };
        let then = old.meaning(&schema).unwrap();
        assert!(old.changes(&schema, &then).unwrap().is_empty());
        // What changes no cell is no change.
        let other = Ingestion { settle_seconds: 9.0, on_change: OnChange::Append, ..old.clone() };
        assert!(
            other.changes(&schema, &then).unwrap().is_empty()
                && other.meaning(&schema).unwrap() == then
        );
        let new = Ingestion {
            missing_values: names(&["NA", "-9"]),
            numbers: NumberFormat { decimal: ',', thousands: None },
            duplicates: Some(Duplicates::Keep),
            ..old
        };
        assert_eq!(
            new.changes(&schema, &then).unwrap(),
            [
                "\"ingestion.missing_values\" is [\"-9\",\"NA\"] now and was [\"NA\"]",
                "\"ingestion.decimal\" is \",\" now and was \".\"",
                "\"ingestion.thousands\" is null now and was \",\"",
                "\"ingestion.duplicates\" is \"keep\" now and was \"drop\"",
            ]
        );
        // The default of equal rows follows from the ids.
        let bare = Schema::new(SchemaFields {
            numeric: &names(&["x"]),
            target: "y",
            positive_label: "1",
            ..SchemaFields::default()
        });
        let changes = Ingestion::default()
            .changes(&bare, &Ingestion::default().meaning(&schema).unwrap())
            .unwrap();
        assert_eq!(changes, ["\"ingestion.duplicates\" is \"keep\" now and was \"drop\""]);
    }
}
