//! Names that the columns of the schema have in a source: `columns` of an entry of `sources`.
//!
//! Not for finding them in a header: see `csv::header`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::table::schema::Schema;

/// For each name in the source, the name in the schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns(pub BTreeMap<String, String>);

impl Columns {
    /// Whether all names are those of the schema.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name in the schema of the source's column `theirs`.
    pub fn ours<'a>(&'a self, theirs: &'a str) -> &'a str {
        self.0.get(theirs).map_or(theirs, String::as_str)
    }

    /// The names in the source of the schema's columns, in the schema's order.
    pub fn theirs(&self, schema: &Schema) -> Vec<String> {
        let theirs = |ours: &str| {
            let found = self.0.iter().find(|(_, name)| *name == ours);
            found.map_or(ours, |(theirs, _)| theirs).to_owned()
        };
        schema.columns().iter().map(|column| theirs(&column.name)).collect()
    }
}
