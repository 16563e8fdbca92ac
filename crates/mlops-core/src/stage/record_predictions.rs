//! `diagnostics --output --record`: the predictions of a file in the log of predictions, as if a
//! service had answered them, under the id of the run and their lines.
//!
//! Each run is one file, whatever its size; the service never writes to it. Not for the form of a line:
//! see [`crate::prediction_log`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::PredictionLog as Settings;
use crate::ids::ReleaseId;
use crate::model::Model;
use crate::platform::disk::NewFile;
use crate::prediction_log::files::{self, RECORDER};
use crate::prediction_log::line::{Head, labels_as_json};
use crate::prediction_log::{Answer, LineWriter, Request};
use crate::release::Release;
use crate::run::context::Context;
use crate::table::{Table, TextColumn};
use crate::{Error, Result};

/// What all lines of a run have in common.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OfRun {
    release: ReleaseId,
    at: String,
    run: String,
    /// Lines have features.
    features: bool,
}

impl OfRun {
    /// A writer of its lines, which are about predictions of `model`.
    pub(super) fn writer(&self, model: &Model) -> LineWriter {
        let (labels, _) = labels_as_json([true, false].map(|class| model.label(class)));
        LineWriter::new(&self.release, &model.schema, labels)
    }

    /// No lines yet.
    pub(super) fn lines<'a>(&self, writer: &'a LineWriter) -> LogLines<'a> {
        let request = Request { at: &self.at, id: &self.run, inference_id: None };
        LogLines { head: writer.head(request), features: self.features, bytes: Vec::new() }
    }
}

/// Lines for the log.
pub(super) struct LogLines<'a> {
    head: Head<'a>,
    features: bool,
    pub(super) bytes: Vec<u8>,
}

impl LogLines<'_> {
    /// Adds row `i` of these columns.
    pub(super) fn add(&mut self, answer: Answer, i: usize, ids: &[TextColumn], features: &Table) {
        let features = self.features.then_some(features);
        self.head.line(&mut self.bytes, answer, i, ids, features);
    }
}

/// The log to which predictions are added.
pub(super) struct PredictionLog {
    settings: Settings,
    writer: LineWriter,
    pub(super) of_run: OfRun,
}

impl PredictionLog {
    /// The log for predictions of `release`.
    pub(super) fn of(context: &Context, release: &Release) -> Result<Self> {
        let Some(settings) = context.config.service.prediction_log.clone() else {
            return Err(Error::missing(
                "there is no log of predictions: set \"service.prediction_log_path\" to the folder in \
                 which --record shall write",
            ));
        };
        let of_run = OfRun {
            release: release.id.clone(),
            at: context.now(),
            run: context.run.as_str().to_owned(),
            features: settings.features,
        };
        Ok(Self { settings, writer: of_run.writer(&release.model), of_run })
    }

    /// Whether lines have features.
    pub(super) fn has_features(&self) -> bool {
        self.of_run.features
    }

    /// Begins a file of it.
    pub(super) fn begin(&self, context: &Context) -> Result<Recording<'_>> {
        let name = files::name(RECORDER, context.clock.now());
        let path = self.settings.folder.join(name);
        let file = context.disk.new_file(&path)?;
        let lines = self.of_run.lines(&self.writer);
        Ok(Recording { settings: &self.settings, file, path, lines, any: false })
    }
}

/// A file of the log, which appears when it is published.
pub(super) struct Recording<'a> {
    settings: &'a Settings,
    file: NewFile,
    path: PathBuf,
    /// Those that are not written yet.
    pub(super) lines: LogLines<'a>,
    any: bool,
}

impl Recording<'_> {
    /// Writes what was added.
    pub(super) fn flush(&mut self) -> Result<()> {
        let mut lines = std::mem::take(&mut self.lines.bytes);
        self.append(&lines)?;
        lines.clear();
        self.lines.bytes = lines;
        Ok(())
    }

    /// Writes lines that were made elsewhere.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<()> {
        self.any |= !lines.is_empty();
        self.file.write_all(lines)
    }

    /// Gives the file its name, unless it is empty, and removes the oldest ones of earlier runs.
    pub(super) fn publish(self, context: &Context) -> Result<Option<PathBuf>> {
        if !self.any {
            return Ok(None);
        }
        self.file.publish(false)?;
        let settings = self.settings;
        let ours = files::list(&settings.folder)?;
        let ours: Vec<_> = ours.iter().filter(|file| file.instance == RECORDER).collect();
        for file in &ours[..ours.len().saturating_sub(settings.keep_files)] {
            context.disk.remove(&file.path)?;
        }
        Ok(Some(self.path))
    }
}
