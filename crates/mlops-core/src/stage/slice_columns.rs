//! The columns of `schema.slice` in the tables of a model: where their values are.
//!
//! Not for scores: see [`crate::evaluation::slices`].

use crate::evaluation::entity::Place;
use crate::evaluation::slices::Slices;
use crate::table::schema::Schema;
use crate::table::{Table, TextColumn};
use crate::text;

/// The columns by whose values scores are given too.
#[derive(Debug, Clone, Default)]
pub(super) struct SliceColumns {
    columns: Vec<(String, Place)>,
    /// Those that the model does not have.
    unknown: Vec<String>,
}

impl SliceColumns {
    /// The columns `names` of `schema`.
    pub(super) fn of(names: &[String], schema: &Schema) -> Self {
        let mut found = Self::default();
        for name in names {
            match Place::of(schema, name) {
                Some(place) => found.columns.push((name.clone(), place)),
                None => found.unknown.push(name.clone()),
            }
        }
        found
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Whether rows must be read with their ids.
    pub(super) fn need_ids(&self) -> bool {
        self.columns.iter().any(|(_, place)| matches!(place, Place::Id(_)))
    }

    /// No rows yet.
    pub(super) fn empty(&self) -> Slices {
        Slices::of(self.columns.iter().map(|(name, _)| name.as_str()))
    }

    /// A note on columns that the model does not have.
    pub(super) fn note(&self) -> Option<String> {
        let names = text::names(self.unknown.iter().map(|name| format!("\"{name}\"")));
        (!self.unknown.is_empty()).then(|| {
            format!(
                "there are no scores by {names} of \"schema.slice\": the model was trained without such \
                 columns, so that they are not read from its test data"
            )
        })
    }

    /// The values of each column in the rows `kept` of `table`.
    pub(super) fn values(&self, table: &Table, kept: &[usize]) -> Vec<TextColumn> {
        let column = |(_, place): &(String, Place)| {
            let mut values = TextColumn::default();
            for row in kept {
                match place.text(table, *row) {
                    Some(text) => values.push(text),
                    None => values.push(&number(place.number(table, *row))),
                }
            }
            values
        };
        self.columns.iter().map(column).collect()
    }
}

/// A number as people read it; empty for a missing one.
fn number(value: Option<f64>) -> String {
    value.filter(|value| !value.is_nan()).map_or_else(String::new, |value| value.to_string())
}
