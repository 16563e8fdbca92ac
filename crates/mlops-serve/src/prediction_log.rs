//! The record of predictions, one JSON line per row, so that labels can be joined to them when they
//! are known: by id, or by request id and row.
//!
//! It has only what was answered. A thread of its own writes it, through [`Lines`], so that no
//! request waits long for it. Not for its files: see [`files`]. Not for the features: the caller
//! has those.

mod files;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mlops_core::Result;
use mlops_core::config::PredictionLog as Settings;
use mlops_core::evaluation::metrics::classify;
use mlops_core::platform::lines::Lines;
use mlops_core::run::context::Context;
use mlops_core::table::schema::Role;
use serde_json::Value;

use crate::live::Loaded;
use crate::predict::answer::Predicted;
use crate::request_id::RequestId;
use files::Files;

/// Bytes that may be queued for writing: about 80,000 rows.
const ROOM: usize = 16 << 20;
/// Bytes queued at a time.
const PIECE: usize = 64 << 10;
/// How long a piece of a large request waits for room.
const PATIENCE: Duration = Duration::from_millis(100);

/// The log while the service runs.
pub(crate) struct PredictionLog {
    lines: Lines,
    reopen: Arc<AtomicBool>,
}

impl PredictionLog {
    /// Opens the log. Its file is created with the first line.
    ///
    /// # Errors
    /// `Io` if the folder cannot be written to.
    pub(crate) fn start(context: &Context, settings: &Settings) -> Result<Self> {
        let mut files = Files::open(context, settings)?;
        let reopen = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&reopen);
        let lines = Lines::start("prediction log", ROOM, move |lines| {
            if asked.swap(false, Ordering::Relaxed) {
                files.close();
            }
            files.write(lines)
        });
        Ok(Self { lines, reopen })
    }

    /// Queues a line for each row of `predicted`, answered at time `at`; those of a `large` request
    /// may wait for room.
    pub(crate) fn note(
        &self,
        at: &str,
        loaded: &Loaded,
        id: &RequestId,
        predicted: &Predicted,
        large: bool,
    ) {
        let names: Vec<String> =
            loaded.model.schema.names(Role::Id).map(|name| Value::from(name).to_string()).collect();
        let request = Value::from(id.as_str()).to_string();
        let patience = if large { PATIENCE } else { Duration::ZERO };
        let mut out = Vec::with_capacity(PIECE.min(predicted.probabilities.len() * 200) + 512);
        for (row, probability) in predicted.probabilities.iter().enumerate() {
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
            for (name, column) in names.iter().zip(&predicted.ids) {
                let text = if row < column.len() { column.get(row) } else { "" };
                let _ = write!(out, ",{name}:{}", Value::from(text));
            }
            out.extend_from_slice(b"}\n");
            if out.len() >= PIECE {
                self.lines.push_within(&out, patience);
                out.clear();
            }
        }
        self.lines.push_within(&out, patience);
    }

    /// Reopens the file at the next line: it may have been moved.
    pub(crate) fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }

    /// The number of rows missing from the log.
    pub(crate) fn lost(&self) -> u64 {
        self.lines.lost()
    }
}
