//! The section `output`: the forms in which a data set is written.
//!
//! Not for writing it: see `stage::ingest::publish`.

use serde::{Deserialize, Serialize};

use super::section::Section;

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Whether a Parquet file stands beside each data set.
    pub parquet: bool,
}

/// Reads the section.
pub(super) fn output(mut section: Section) -> Output {
    let parquet = section.flag_or_none("parquet").unwrap_or(false);
    section.finish();
    Output { parquet }
}
