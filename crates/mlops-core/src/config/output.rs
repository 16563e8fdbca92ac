//! The section `output`: the forms in which a data set is written.
//!
//! Not for writing it: see `stage::ingest::publish` and `stage::deliver`.

use serde::{Deserialize, Serialize};

use super::output_table::{self, OutputTable};
use super::section::Section;
use crate::ids::Form;
use crate::table::schema::Schema;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Whether data sets are CSV files.
    pub csv: bool,
    /// Whether they are Parquet files, besides or instead.
    pub parquet: bool,
    /// The table of a database into which each data set is written, too.
    pub table: Option<OutputTable>,
}

impl Default for Output {
    fn default() -> Self {
        Self { csv: true, parquet: false, table: None }
    }
}

impl Output {
    /// The form that the toolset itself reads.
    pub fn form(&self) -> Form {
        if self.csv { Form::Csv } else { Form::Parquet }
    }
}

/// Reads the section.
pub(super) fn output(mut section: Section, schema: &Schema) -> Output {
    let csv = section.boolean("csv", true);
    let parquet = section.flag_or_none("parquet").unwrap_or(false);
    if !csv && !parquet {
        section.problem(
            "csv",
            "is false, so that data sets would not be written in any form: set \"output.parquet\" to true \
             as well, or leave this key out",
        );
    }
    let table = output_table::table(&mut section, schema);
    section.finish();
    Output { csv: csv || !parquet, parquet, table }
}
