//! The JSON Schema of the configuration as a report. Not for making it: see `mlops_core::config`.

use std::fmt;

use mlops_core::run::context::Report;
use serde::Serialize;
use serde_json::Value;

/// The schema, which is the same for people and for programs.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Schema(pub(crate) Value);

impl Report for Schema {
    fn changed(&self) -> bool {
        false
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:#}", self.0)
    }
}
