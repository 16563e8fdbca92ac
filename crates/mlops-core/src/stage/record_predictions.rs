//! `diagnostics --output --record`: the predictions of a file in the log of predictions, as if a
//! service had answered them, under the id of the run and their lines.
//!
//! Each run is one file, whatever its size; the service never writes to it. Not for the form of a line:
//! see [`crate::prediction_log`].

use std::path::PathBuf;

use crate::config::PredictionLog as Settings;
use crate::platform::disk::NewFile;
use crate::prediction_log::files::{self, RECORDER};
use crate::prediction_log::line::{Head, labels_as_json};
use crate::prediction_log::{Answer, LineWriter, Request};
use crate::release::Release;
use crate::run::context::Context;
use crate::table::{Table, TextColumn};
use crate::{Error, Result};

/// The log to which predictions are added.
pub(super) struct PredictionLog {
    settings: Settings,
    writer: LineWriter,
    at: String,
    run: String,
    /// Lines have features.
    pub(super) features: bool,
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
        let (labels, _) = labels_as_json([true, false].map(|class| release.model.label(class)));
        Ok(Self {
            writer: LineWriter::new(&release.id, &release.model.schema, labels),
            at: context.now(),
            run: context.run.as_str().to_owned(),
            features: settings.features,
            settings,
        })
    }

    /// Begins a file of it.
    pub(super) fn begin(&self, context: &Context) -> Result<Recording<'_>> {
        let name = files::name(RECORDER, context.clock.now());
        let path = self.settings.folder.join(name);
        let file = context.disk.new_file(&path)?;
        let request = Request { at: &self.at, id: &self.run, inference_id: None };
        let head = self.writer.head(request);
        Ok(Recording { log: self, head, file, path, lines: Vec::new(), any: false })
    }
}

/// A file of the log, which appears when it is published.
pub(super) struct Recording<'a> {
    log: &'a PredictionLog,
    head: Head<'a>,
    file: NewFile,
    path: PathBuf,
    lines: Vec<u8>,
    any: bool,
}

impl Recording<'_> {
    /// Adds row `i` of these columns.
    pub(super) fn add(&mut self, answer: Answer, i: usize, ids: &[TextColumn], features: &Table) {
        let features = self.log.features.then_some(features);
        self.head.line(&mut self.lines, answer, i, ids, features);
    }

    /// Writes what was added.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.any |= !self.lines.is_empty();
        self.file.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    /// Gives the file its name, unless it is empty, and removes the oldest ones of earlier runs.
    pub(super) fn publish(self, context: &Context) -> Result<Option<PathBuf>> {
        if !self.any {
            return Ok(None);
        }
        self.file.publish(false)?;
        let settings = &self.log.settings;
        let ours = files::list(&settings.folder)?;
        let ours: Vec<_> = ours.iter().filter(|file| file.instance == RECORDER).collect();
        for file in &ours[..ours.len().saturating_sub(settings.keep_files)] {
            context.disk.remove(&file.path)?;
        }
        Ok(Some(self.path))
    }
}
