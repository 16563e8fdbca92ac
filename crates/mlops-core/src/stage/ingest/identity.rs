//! The meaning of a data set's rows: schema, negative label and cleaning settings, as the ledger
//! stores them.
//!
//! Rows with different meanings are never mixed in one data set. Not for reading the configuration:
//! see [`crate::config`].

use crate::Result;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::platform::digest::Digest;
use crate::run::context::{Context, Workspace};
use crate::table::schema::Schema;

/// The key under which the ledger stores what was learned about the schema.
pub(crate) const SCHEMA_KEY: &str = "schema";

pub(crate) const NEGATIVE_KEY: &str = "negative_label";

/// The key of the settings that determine the meaning of a cell.
pub(crate) const MEANING_KEY: &str = "ingestion_meaning";

/// The key of the settings under which files were last examined.
pub(crate) const SETTINGS_KEY: &str = "ingestion_settings";

/// The schema of the workspace: the configured one, with the negative label that its data taught.
pub fn schema(context: &Context, workspace: &Workspace) -> Result<Schema> {
    schema_of(context, &workspace.ledger)
}

/// The same by the records alone.
pub(crate) fn schema_of(context: &Context, ledger: &Ledger) -> Result<Schema> {
    let schema = context.config.schema.clone();
    match (schema.negative_label(), ledger.meta(NEGATIVE_KEY)?) {
        (None, Some(label)) => Ok(schema.with_negative_label(&label)),
        _ => Ok(schema),
    }
}

/// The settings that decide whether a file is refused, as comparable text.
pub(crate) fn settings(context: &Context) -> String {
    let Config { schema, ingestion, sources, .. } = &context.config;
    let mut text = serde_json::json!([schema.digest(), schema.negative_label(), ingestion]);
    if let (Some(list), false) = (text.as_array_mut(), sources.is_empty()) {
        list.extend(sources.iter().map(|s| serde_json::json!([s.name, s.reading])));
    }
    let contracts: Vec<_> = context.config.contracts().collect();
    if let (Some(list), false) = (text.as_array_mut(), contracts.is_empty()) {
        list.push(serde_json::json!(contracts));
    }
    Digest::of(text.to_string().as_bytes()).to_string()
}
