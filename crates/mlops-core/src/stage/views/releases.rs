//! The history of releases, page by page: which was live from when to when, and why.
//!
//! Not for the whole history in a terminal: see `stage::history`.

use serde::Serialize;

use crate::Result;
use crate::ids::ReleaseId;
use crate::ledger::{Ledger, Paged};
use crate::run::context::Context;
use crate::stage::history::Entry;

/// A page of the history.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Releases {
    /// The release that the pointer names now.
    pub live: Option<ReleaseId>,
    /// The periods in which a release was live.
    #[serde(flatten)]
    pub periods: Paged<Entry>,
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
        let live = newest && k == 0 && live.as_ref() == Some(&deployment.release);
        let ended = until.replace(deployment.recorded.clone());
        periods.push(Entry::of(&ledger, deployment, ended, live)?);
    }
    let Paged { page, size, total, .. } = deployments;
    Ok(Releases { live, periods: Paged { items: periods, page, size, total } })
}
