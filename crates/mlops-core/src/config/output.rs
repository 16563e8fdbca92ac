//! The section `output`: the forms in which a data set is written.
//!
//! Not for writing it: see `stage::ingest::publish` and `stage::deliver`.

use serde::{Deserialize, Serialize};

use super::output_table::{self, OutputTable};
use super::section::Section;
use crate::table::schema::Schema;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Whether a Parquet file stands beside each data set.
    pub parquet: bool,
    /// The table of a database into which each data set is written, too.
    pub table: Option<OutputTable>,
}

/// Reads the section.
pub(super) fn output(mut section: Section, schema: &Schema) -> Output {
    let parquet = section.flag_or_none("parquet").unwrap_or(false);
    let table = output_table::table(&mut section, schema);
    section.finish();
    Output { parquet, table }
}
