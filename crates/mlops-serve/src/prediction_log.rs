//! The record of predictions, one JSON line for each row, so that labels can be joined to them on
//! the day on which they are known: by id, or by request id and row.
//!
//! Appended to by a thread of its own, through [`Lines`]: no request waits for it. A file that
//! grew too long is followed by a new one, and the oldest go. Beside core's `durable` and the log
//! of a run the only code that opens a file for writing: a log is there after a crash without ever
//! having been published. Not for the features: they are the caller's to keep.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mlops_core::clock::{Clock, rfc3339};
use mlops_core::config::PredictionLog as Settings;
use mlops_core::context::Context;
use mlops_core::durable::Disk;
use mlops_core::metrics::classify;
use mlops_core::schema::Role;
use mlops_core::table::Table;
use mlops_core::{Error, Result};
use serde_json::Value;

use crate::around::RequestId;
use crate::lines::Lines;
use crate::live::Loaded;
use crate::state::State;

/// The log while the service runs.
pub(crate) struct PredictionLog {
    lines: Lines,
}

impl PredictionLog {
    /// Opens the log, in a file of its own for this start.
    ///
    /// # Errors
    /// `Io` when the folder cannot be written.
    pub(crate) fn start(context: &Context, settings: &Settings) -> Result<Self> {
        context.disk.create_folder(&settings.folder)?;
        let mut files = Files {
            settings: settings.clone(),
            clock: std::sync::Arc::clone(&context.clock),
            disk: context.disk.clone(),
            file: None,
            written: 0,
        };
        files.rotate().map_err(|e| Error::io("write in", &settings.folder, e))?;
        Ok(Self { lines: Lines::start("prediction log", ROOM, files) })
    }

    /// Leaves a line for each row of `table`; `probabilities` are all so far of the request, those
    /// of `table` from `first` on.
    pub(crate) fn note(
        &self,
        app: &State,
        loaded: &Loaded,
        id: &RequestId,
        table: &Table,
        probabilities: &[f64],
        first: usize,
    ) {
        let at = rfc3339(app.context.clock.now());
        let names: Vec<String> =
            loaded.model.schema.names(Role::Id).map(|name| Value::from(name).to_string()).collect();
        let request = Value::from(id.as_str()).to_string();
        let mut out = Vec::with_capacity(PIECE.min(table.len() * 200) + 512);
        for (i, probability) in probabilities[first..].iter().enumerate() {
            let row = first + i;
            let positive = classify(*probability, loaded.model.training.threshold);
            let label = &loaded.labels[usize::from(!positive)];
            // Writing to a vector cannot fail.
            let _ = write!(
                out,
                "{{\"recorded\":\"{at}\",\"request_id\":{request},\"row\":{row},\
                 \"model_version\":\"{}\",\"prediction\":{label},\"probability\":{}",
                loaded.id,
                zmij::Buffer::new().format(*probability)
            );
            for (name, column) in names.iter().zip(&table.ids) {
                let text = if i < column.len() { column.get(i) } else { "" };
                let _ = write!(out, ",{name}:{}", Value::from(text));
            }
            out.extend_from_slice(b"}\n");
            if out.len() >= PIECE {
                self.lines.push(&out);
                out.clear();
            }
        }
        self.lines.push(&out);
    }

    /// Rows that are not in the log.
    pub(crate) fn lost(&self) -> u64 {
        self.lines.lost()
    }
}

/// The files, of which the newest is written to.
struct Files {
    settings: Settings,
    clock: std::sync::Arc<dyn Clock>,
    disk: Disk,
    file: Option<File>,
    written: u64,
}

/// Bytes that may wait to be written: some 80,000 rows.
const ROOM: usize = 16 << 20;
/// Bytes that are left at a time.
const PIECE: usize = 64 << 10;
const PREFIX: &str = "predictions-";
const SUFFIX: &str = ".jsonl";

impl Files {
    /// Starts a new file and removes the oldest.
    #[expect(clippy::disallowed_methods, reason = "this module owns the log of predictions")]
    fn rotate(&mut self) -> io::Result<()> {
        let stamp = self.clock.now().format("%Y%m%dT%H%M%S%6fZ");
        let path = self.settings.folder.join(format!("{PREFIX}{stamp}{SUFFIX}"));
        self.file = Some(File::options().append(true).create(true).open(path)?);
        self.written = 0;
        let mut names = logs(&self.settings.folder)?;
        let surplus = names.len().saturating_sub(self.settings.keep_files);
        for name in names.drain(..surplus) {
            self.disk.remove(&name).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// Our files in `folder`, the oldest first: their names hold the time.
fn logs(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

impl Write for Files {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    /// Whole lines, of which each file takes as many as it has room for, one at least.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.settings.max_bytes.saturating_sub(self.written);
            let room = usize::try_from(room).unwrap_or(usize::MAX).min(rest.len());
            let end = |from: &[u8]| from.iter().rposition(|b| *b == b'\n').map(|n| n + 1);
            let fits = if room == rest.len() { Some(room) } else { end(&rest[..room]) };
            let cut = match fits {
                Some(cut) => cut,
                None if self.written > 0 => {
                    self.rotate()?;
                    continue;
                }
                None => rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |n| n + 1),
            };
            if let Some(file) = &mut self.file {
                file.write_all(&rest[..cut])?;
            }
            self.written += cut as u64;
            rest = &rest[cut..];
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
