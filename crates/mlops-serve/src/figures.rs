//! The figures of the ledger in `/metrics`, read at most every few seconds and never waited for long:
//! a disk that hangs must not keep anybody from the rest.
//!
//! Not for what they are: see `mlops_core::stage::figures`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mlops_core::ledger::Ledger;
use mlops_core::stage::figures::Figures as Read;

use crate::state::App;

/// How old they may be.
const AGE: Duration = Duration::from_secs(5);
/// How long they are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was read last, and when.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    last: Mutex<Option<(Duration, String)>>,
    busy: AtomicBool,
}

/// The figures as text.
pub(crate) async fn text(app: &App) -> String {
    let now = app.context.clock.elapsed();
    let last = || app.figures.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let fresh = last().is_some_and(|(at, _)| now.saturating_sub(at) < AGE);
    if !fresh && !app.figures.busy.swap(true, Ordering::AcqRel) {
        let ours = App::clone(app);
        let reading = tokio::task::spawn_blocking(move || {
            let text = read(&ours).unwrap_or_else(|error| {
                tracing::warn!("the ledger cannot be read for /metrics: {error}");
                String::new()
            });
            let mut last = ours.figures.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some((ours.context.clock.elapsed(), text));
            drop(last);
            ours.figures.busy.store(false, Ordering::Release);
        });
        let _ = tokio::time::timeout(PATIENCE, reading).await;
    }
    last().map(|(_, text)| text).unwrap_or_default()
}

fn read(app: &App) -> mlops_core::Result<String> {
    let Some(ledger) = Ledger::open_to_read(&app.context.config.ledger_path())? else {
        return Ok(String::new());
    };
    let live = app.live.get().and_then(|loaded| {
        loaded.score.as_ref().map(|score| (loaded.id.clone(), score.evaluation.f1))
    });
    Ok(Read::read(&ledger, live)?.prometheus())
}
