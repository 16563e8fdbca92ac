//! The keys by which outcomes and predictions are joined: of a line of the log, and of a row of labels.
//!
//! Joining is in `stage::outcomes`; which label wins is decided in [`super::store`].

use serde_json::json;

use crate::config::{Config, Ingestion, JoinBy};
use crate::csv::cell_reader::CANONICAL;
use crate::csv::forgotten::Forgotten;
use crate::csv::number::Number;
use crate::csv::reader::RowReader;
use crate::prediction_log::Line;
use crate::table::schema::{Schema, SchemaFields};
use crate::table::{Table, date};

/// What labels are joined by.
pub(crate) struct Keys {
    pub(crate) by: JoinBy,
    /// The id columns that identify a row, with their numbers in the schema.
    ids: Vec<(String, usize)>,
    /// The columns of the key in files of labels.
    pub(crate) columns: Vec<String>,
    /// The column with the time.
    pub(crate) time: Option<String>,
    /// The positive label.
    pub(crate) positive: String,
}

impl Keys {
    pub(crate) fn of(config: &Config) -> Self {
        let number = |name: &str| config.schema.columns().iter().position(|c| c.name == name);
        let ids = config.identifying();
        let ids: Vec<(String, usize)> =
            ids.filter_map(|name| Some((name.to_owned(), number(name)?))).collect();
        let by = config.labels_by();
        let columns = match by {
            JoinBy::Ids => ids.iter().map(|(name, _)| name.clone()).collect(),
            JoinBy::Request => ["request_id", "row"].map(str::to_owned).to_vec(),
            JoinBy::Inference => ["inference_id", "row"].map(str::to_owned).to_vec(),
        };
        let positive = config.schema.positive_label().to_owned();
        Self { by, ids, columns, time: config.labels.time.clone(), positive }
    }

    /// All that the keys and values in the store depend on.
    pub(crate) fn settings(&self, config: &Config) -> String {
        let ids: Vec<&String> = self.ids.iter().map(|(name, _)| name).collect();
        let schema = &config.schema;
        let labels = (schema.positive_label(), schema.target());
        json!([self.by, ids, self.columns, self.time, labels]).to_string()
    }

    /// The schema of files of labels.
    pub(crate) fn schema(&self, schema: &Schema) -> Schema {
        let mut id = self.columns.clone();
        id.extend(self.time.iter().filter(|time| !self.columns.contains(time)).cloned());
        Schema::new(SchemaFields {
            id: &id,
            target: schema.target(),
            positive_label: schema.positive_label(),
            negative_label: schema.negative_label(),
            ..SchemaFields::default()
        })
    }

    /// A reader of such files.
    pub(crate) fn reader<'a>(&self, schema: &'a Schema, options: &'a Ingestion) -> RowReader<'a> {
        let reader = match self.by {
            JoinBy::Ids => RowReader::labelled(schema, options),
            // The number of the row may be missing.
            JoinBy::Request | JoinBy::Inference => RowReader::evaluation(schema, options),
        };
        reader.with_ids().without_hashes().without_digest()
    }

    /// The key of a logged prediction, and its ids if the key does not have them.
    pub(crate) fn of_line(&self, line: &Line) -> (Option<String>, Option<String>) {
        let ids = self.ids.iter().map(|(name, _)| line.id(name).unwrap_or_default());
        let ids = key(&ids.collect::<Vec<_>>());
        let row = line.row.to_string();
        match self.by {
            JoinBy::Ids => (ids, None),
            JoinBy::Request => (key(&[&line.request_id, &row]), ids),
            JoinBy::Inference => {
                (line.inference_id.as_deref().and_then(|id| key(&[id, &row])), ids)
            }
        }
    }

    /// The key of row `i` of a file of labels. A request of one row needs no number for it.
    pub(crate) fn of_row(&self, table: &Table, i: usize) -> Option<String> {
        let texts = (0..self.columns.len()).map(|c| {
            let column = &table.ids[c];
            if i < column.len() { column.get(i) } else { "" }
        });
        let mut texts: Vec<&str> = texts.collect();
        if self.by != JoinBy::Ids && texts.first().is_none_or(|id| id.is_empty()) {
            return None;
        }
        // However it is spelt: programs write 1.0 where other rows have no number.
        let row = self.row_number(table, i).map(|row| row.to_string());
        if let (Some(row), Some(text)) = (&row, texts.get_mut(1)) {
            *text = row;
        }
        key(&texts)
    }

    /// The number of the predicted row in its request that row `i` of a file of labels names, by default 0; `None`
    /// if labels are joined by ids, or if it is not a number of a row.
    fn row_number(&self, table: &Table, i: usize) -> Option<u64> {
        let column = table.ids.get(1).filter(|_| self.by != JoinBy::Ids)?;
        match if i < column.len() { column.get(i) } else { "" } {
            "" => Some(0),
            text => match Number::read(text, CANONICAL)? {
                Number::Integer(number) => u64::try_from(number).ok(),
                Number::Float(_) => None,
            },
        }
    }

    /// Whether row `i` of a file of labels names a row that no request can have.
    pub(crate) fn has_no_row(&self, table: &Table, i: usize) -> bool {
        self.by != JoinBy::Ids && self.row_number(table, i).is_none()
    }

    /// The time of row `i` of a file of labels, if it has one.
    pub(crate) fn time_of(&self, table: &Table, i: usize) -> Option<i64> {
        let name = self.time.as_ref()?;
        let own = self.columns.iter().position(|column| column == name);
        let column = table.ids.get(own.unwrap_or(self.columns.len()))?;
        let text = if i < column.len() { column.get(i).trim() } else { "" };
        let days = date::read(text, None)?;
        // A date without a time stands for the whole day.
        let whole_day = text.len() <= "2026-11-30".len();
        #[expect(clippy::cast_possible_truncation, reason = "years of four digits")]
        let seconds = (days * 86_400.0).round() as i64;
        Some(seconds * 1000 + if whole_day { 86_399_999 } else { 999 })
    }

    /// Whether these texts of the id columns are those of an erased person.
    pub(crate) fn is_forgotten(&self, people: &Forgotten, ids: &[String]) -> bool {
        people.has_values(|at| {
            let place = self.ids.iter().position(|(_, number)| *number == at)?;
            ids.get(place).map(String::as_str)
        })
    }

    /// The same for a row of a file with the columns `names`.
    pub(crate) fn is_row_of(&self, people: &Forgotten, names: &[String], row: &[String]) -> bool {
        people.has_values(|at| {
            let (name, _) = self.ids.iter().find(|(_, number)| *number == at)?;
            let place = names.iter().position(|column| column == name)?;
            row.get(place).map(String::as_str)
        })
    }

    /// The same for ids as the store has them.
    pub(crate) fn has_forgotten(&self, people: Option<&Forgotten>, ids: Option<&String>) -> bool {
        let (Some(people), Some(ids)) = (people, ids) else { return false };
        let ids = serde_json::from_str::<Vec<String>>(ids).unwrap_or_default();
        self.is_forgotten(people, &ids)
    }
}

/// A key of these texts; `None` if all are empty.
fn key(texts: &[&str]) -> Option<String> {
    (!texts.iter().all(|text| text.is_empty())).then(|| json!(texts).to_string())
}
