//! The rows whose predictions are asked for, and how they are spelt.
//!
//! Not for sending them: see [`crate::predictions`].

use std::path::PathBuf;

use mlops_core::config::Ingestion;
use mlops_core::table::schema::Schema;

/// The rows to predict.
#[derive(Debug, Clone)]
pub struct Data<'a> {
    /// Their columns.
    pub schema: &'a Schema,
    /// How files are read.
    pub options: &'a Ingestion,
    /// The files; none to make no prediction.
    pub files: &'a [PathBuf],
    /// The largest body that the app is known to take, in bytes.
    pub max_body: usize,
}
