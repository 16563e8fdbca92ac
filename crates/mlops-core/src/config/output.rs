//! The section `output`: the forms in which a data set is written.
//!
//! Not for writing it: see `stage::ingest::publish`.

use serde::{Deserialize, Serialize};

use super::section::Section;
use crate::ids::Form;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Whether data sets are CSV files.
    pub csv: bool,
    /// Whether they are Parquet files, besides or instead.
    pub parquet: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self { csv: true, parquet: false }
    }
}

impl Output {
    /// The form that the toolset itself reads.
    pub fn form(self) -> Form {
        if self.csv { Form::Csv } else { Form::Parquet }
    }

    /// Whether a Parquet file stands beside each data set.
    pub fn has_table_beside(self) -> bool {
        self.csv && self.parquet
    }
}

/// Reads the section.
pub(super) fn output(mut section: Section) -> Output {
    let csv = section.boolean("csv", true);
    let parquet = section.flag_or_none("parquet").unwrap_or(false);
    if !csv && !parquet {
        section.problem(
            "csv",
            "is false, so that data sets would not be written in any form: set \"output.parquet\" to true \
             as well, or leave this key out",
        );
    }
    section.finish();
    Output { csv: csv || !parquet, parquet }
}
