//! What explanations of a release have in common: the names of its columns, and the reference row.
//!
//! Not for the explanations of rows: see `super::explain`.

use mlops_core::model::{Explainer, Model, ReferenceRow};
use serde_json::Value;

/// The names of a model's columns and its reference row, as JSON.
#[derive(Debug)]
pub(crate) struct Explained {
    columns: Vec<(String, String)>,
    reference: ReferenceRow,
}

impl Explained {
    pub(crate) fn of(model: &Model) -> Self {
        let explainer = Explainer::new(model);
        let names = (0..explainer.columns()).map(|column| explainer.name(column).to_owned());
        let json = |name: String| (Value::from(name.as_str()).to_string(), name);
        Self { columns: names.map(json).collect(), reference: explainer.reference_row() }
    }

    /// The row that others are compared with.
    pub(crate) fn reference(&self) -> &ReferenceRow {
        &self.reference
    }

    /// The columns in the order of contributions: each name as JSON, and as it is.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &(String, String)> {
        self.columns.iter()
    }

    /// The name of `column` as JSON, and as it is.
    pub(crate) fn column(&self, column: usize) -> &(String, String) {
        &self.columns[column]
    }
}
