//! The record of predictions, one JSON line per row, so that labels can be joined to them when they
//! are known: by id, or by request id and row.
//!
//! It has only what was answered. A thread of its own writes it, through [`Lines`], so that no
//! request waits long for it. Not for its files: see [`files`]. Not for the form of a line: see
//! [`mlops_core::prediction_log`].

mod files;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mlops_core::Result;
use mlops_core::config::PredictionLog as Settings;
use mlops_core::evaluation::metrics::classify;
use mlops_core::platform::lines::Lines;
use mlops_core::prediction_log::{Answer, Request};
use mlops_core::run::context::Context;

use crate::live::Loaded;
use crate::predict::answer::Predicted;
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
    features: bool,
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
        Ok(Self { lines, reopen, features: settings.features })
    }

    /// Whether lines have the features of their rows.
    pub(crate) fn wants_features(&self) -> bool {
        self.features
    }

    /// Queues a line for each row of `predicted`; those of a `large` request may wait for room.
    pub(crate) fn note(
        &self,
        request: Request<'_>,
        loaded: &Loaded,
        predicted: &Predicted,
        large: bool,
    ) {
        let head = loaded.log.head(request);
        let threshold = loaded.model.training.threshold;
        let patience = if large { PATIENCE } else { Duration::ZERO };
        let mut out = Vec::with_capacity(PIECE.min(predicted.probabilities.len() * 200) + 512);
        for (i, probability) in predicted.probabilities.iter().enumerate() {
            let positive = classify(*probability, threshold);
            let answer = Answer { row: i as u64, positive, probability: *probability };
            head.line(&mut out, answer, i, &predicted.ids, predicted.features.as_ref());
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
