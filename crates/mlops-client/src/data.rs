//! The rows to be predicted, and their format.
//!
//! Not for sending them: see [`crate::predictions`].

use std::path::PathBuf;

use mlops_core::config::Ingestion;
use mlops_core::table::schema::Schema;

/// The rows to predict.
#[derive(Debug, Clone)]
pub struct Data<'a> {
    /// The columns of the files.
    pub schema: &'a Schema,
    /// How the files are read.
    pub options: &'a Ingestion,
    /// The files; empty for no predictions.
    pub files: &'a [PathBuf],
    /// The largest request body that the app is known to accept, in bytes.
    pub max_body: usize,
}
