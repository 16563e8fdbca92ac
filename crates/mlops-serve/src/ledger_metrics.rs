//! The ledger's figures in `/metrics`, read at most every few seconds, or when another release is live, and
//! with a time limit: a disk that hangs must not block the other metrics.
//!
//! Not for their content: see `mlops_core::stage::prometheus`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mlops_core::ids::ReleaseId;
use mlops_core::ledger::Ledger;
use mlops_core::run::context::Context;
use mlops_core::stage::prometheus::Figures as Read;

use crate::live::Live;

/// The maximum age of the figures.
const AGE: Duration = Duration::from_secs(5);
/// How long to wait for them.
const PATIENCE: Duration = Duration::from_secs(1);

/// The figures last read.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    last: Mutex<Option<Reading>>,
    busy: AtomicBool,
}

/// Figures, when they were read, and the release that was live then.
#[derive(Debug, Clone)]
struct Reading {
    at: Duration,
    live: Option<ReleaseId>,
    text: String,
}

impl Figures {
    /// The figures as text.
    pub(crate) async fn text(self: &Arc<Self>, context: &Context, live: &Live) -> String {
        let now = context.clock.elapsed();
        let loaded = live.get();
        let id = loaded.as_ref().map(|loaded| loaded.id.clone());
        // Those of the release before are not for the one that the other metrics name.
        let fresh =
            self.last().is_some_and(|last| now.saturating_sub(last.at) < AGE && last.live == id);
        if !fresh && !self.busy.swap(true, Ordering::AcqRel) {
            let (ours, context) = (Arc::clone(self), context.clone());
            let score = loaded.and_then(|loaded| {
                loaded.score.as_ref().map(|score| (loaded.id.clone(), score.evaluation.f1))
            });
            let reading = tokio::task::spawn_blocking(move || {
                let text = read(&context.config.ledger_path(), score).unwrap_or_else(|error| {
                    tracing::warn!("the ledger cannot be read for /metrics: {error}");
                    String::new()
                });
                let mut last = ours.last.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some(Reading { at: context.clock.elapsed(), live: id, text });
                drop(last);
                ours.busy.store(false, Ordering::Release);
            });
            let _ = tokio::time::timeout(PATIENCE, reading).await;
        }
        self.last().map(|last| last.text).unwrap_or_default()
    }

    fn last(&self) -> Option<Reading> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(ledger: &Path, live: Option<(ReleaseId, f64)>) -> mlops_core::Result<String> {
    let Some(ledger) = Ledger::open_to_read(ledger)? else {
        return Ok(String::new());
    };
    Ok(Read::read(&ledger, live)?.prometheus())
}
