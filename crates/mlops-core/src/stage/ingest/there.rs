//! An ingestion whose rows are read by a distributed engine: what it is given, and what it cannot do yet.
//!
//! Not for the reading: see [`crate::dataset::elsewhere`].

use std::path::PathBuf;
use std::sync::Arc;

use super::anew::Changes;
use super::waiting::Waiting;
use crate::csv::formats::{self, Opened};
use crate::dataset::builder::Ingest;
use crate::dataset::elsewhere::not_there_yet;
use crate::ledger::DatasetRecord;
use crate::platform::engine::Engine;
use crate::platform::files;
use crate::run::context::Context;
use crate::table::schema::Schema;
use crate::{Error, Result};

/// Has `engine` read the files that are `waiting`, and compare their rows with those of `previous`.
pub(super) fn begin(
    context: &Context,
    engine: &Arc<dyn Engine>,
    ingest: &mut Ingest<'_>,
    (schema, previous): (&Schema, Option<&DatasetRecord>),
    (waiting, changes): (&[Waiting], &Changes),
) -> Result<()> {
    let config = &context.config;
    let mut missing = not_there_yet(config);
    if schema.negative_label().is_none() {
        missing
            .push("a negative label that is learned: name it (\"schema.negative_label\")".into());
    }
    if ingest.forgets() {
        missing.push("rows of people who were erased".to_owned());
    }
    if !changes.is_empty() {
        missing.push("files that changed after they were taken".to_owned());
    }
    if previous.is_some_and(|previous| previous.content != previous.sha256) {
        missing.push("a data set that is kept as Parquet only (\"output.csv\": false)".to_owned());
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for waiting in waiting.iter().filter(|waiting| waiting.twin.is_none()) {
        let path = &waiting.candidate.path;
        let options = config.reading_at(path);
        let columns = options.columns.theirs(schema);
        let opened = files::open(path).ok();
        let opened = opened.map(|(file, _)| formats::recognise(path, file, options, &columns, 1));
        if matches!(opened, Some(Ok(Opened::Text(_) | Opened::Rows(_)))) {
            let name = crate::text::name(&waiting.candidate.name).into_owned();
            missing.push(format!("files that are not comma-separated UTF-8 text, such as {name}"));
            break;
        }
        paths.push(path.clone());
    }
    if !missing.is_empty() {
        let what =
            missing.into_iter().map(|what| format!("a cluster does not do this yet: {what}"));
        let mut problems: Vec<String> = what.collect();
        problems.push("remove \"engine\" to do it on one machine; nothing was changed".to_owned());
        return Err(Error::config(config.file.display().to_string(), problems));
    }
    let folder = context.disk.temporary_folder(&config.output_folder)?;
    let earlier = previous.map(|previous| (previous.location.as_path(), previous.rows));
    ingest.read_elsewhere(Arc::clone(engine), (&context.disk, folder), &paths, earlier)
}
