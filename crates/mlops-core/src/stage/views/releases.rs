//! The history of releases, page by page: which was live from when to when, and why.
//!
//! Not for the whole history in a terminal: see `stage::history`.

use serde::Serialize;

use crate::Result;
use crate::ids::{DatasetVersion, ReleaseId, RunId, Step};
use crate::ledger::{Action, Ledger, Paged};
use crate::run::context::Context;

/// A page of the history.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Releases {
    /// The release that the pointer names now.
    pub live: Option<ReleaseId>,
    /// The periods in which a release was live.
    #[serde(flatten)]
    pub periods: Paged<Period>,
}

/// A period in which one release was live.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Period {
    /// The release.
    pub release: ReleaseId,
    /// How it went live.
    pub action: Action,
    /// When it went live, RFC 3339, UTC.
    pub from: String,
    /// When another one did; `None` for the last.
    pub until: Option<String>,
    /// It is live now.
    pub live: bool,
    /// Its F1 on the test data of its time.
    pub f1: Option<f64>,
    /// The data set that it was trained on.
    pub dataset: DatasetVersion,
    /// The run that made it live.
    pub run_id: RunId,
    /// The step of that run.
    pub step: Step,
    /// Why.
    pub reason: String,
    /// When its files were removed on purpose.
    pub removed: Option<String>,
    /// It was rolled back and not deployed again since.
    pub rolled_back: bool,
}

/// Reads page `page` of the history.
pub fn read(context: &Context, page: u64) -> Result<Releases> {
    let live = context.store().live()?;
    let Some(ledger) = Ledger::open_to_read(&context.config.ledger_path())? else {
        return Ok(Releases { live, periods: Paged::empty() });
    };
    let (deployments, mut until) = ledger.deployments_paged(page)?;
    let newest = until.is_none();
    let mut periods = Vec::new();
    for (k, deployment) in deployments.items.into_iter().enumerate() {
        periods.push(Period {
            live: newest && k == 0 && live.as_ref() == Some(&deployment.release),
            removed: ledger.release_removed(&deployment.release)?,
            rolled_back: ledger.was_rolled_back(&deployment.release)?.is_some(),
            from: deployment.recorded.clone(),
            until: until.replace(deployment.recorded),
            release: deployment.release,
            action: deployment.action,
            f1: deployment.f1,
            dataset: deployment.dataset,
            run_id: deployment.run_id,
            step: deployment.step,
            reason: deployment.reason,
        });
    }
    let Paged { page, size, total, .. } = deployments;
    Ok(Releases { live, periods: Paged { items: periods, page, size, total } })
}
