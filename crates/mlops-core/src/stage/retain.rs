//! Removes old releases and data sets by the rules of the section "retention": both after a
//! promotion, data sets also after an ingestion.
//!
//! Order of writes: intent in the ledger, removal, commit. Nothing is removed before the new state
//! is durable, and a failure here is a warning that never undoes a deployment. Not for how files go,
//! see `run::recovery`, nor for foreign folders and anything else that this workspace did not make.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::Result;
use crate::ids::{DatasetVersion, FindingKind, ReleaseId};
use crate::ledger::{Intent, Ledger, Removed};
use crate::release::{ARTIFACT, Store};
use crate::run::attention::Remark;
use crate::run::context::{Context, Workspace};
use crate::text;

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Retained {
    /// Releases.
    pub releases: Vec<ReleaseId>,
    /// Data sets.
    pub datasets: Vec<DatasetVersion>,
    /// What could not be removed, with reasons.
    pub warnings: Vec<Remark>,
}

impl Retained {
    /// Whether anything was removed.
    pub fn changed(&self) -> bool {
        !self.releases.is_empty() || !self.datasets.is_empty()
    }
}

fn failed(words: String) -> Remark {
    Remark::new(FindingKind::Retention, words)
}

/// Removes what need not be kept while `live` is live. The release `sound` was already verified in
/// this run.
pub(super) fn run(
    context: &Context,
    workspace: &mut Workspace,
    live: &ReleaseId,
    sound: Option<&ReleaseId>,
) -> Retained {
    plan(context, &workspace.ledger, live, sound)
        .and_then(|old| remove(context, workspace, old))
        .unwrap_or_else(|e| Retained {
            warnings: vec![failed(format!("old releases were not all removed: {e}"))],
            ..Retained::default()
        })
}

/// Removes data sets that no existing release and no decision needs.
pub(super) fn datasets(context: &Context, workspace: &mut Workspace) -> Retained {
    let present = context.store().releases();
    present
        .and_then(|present| old_datasets(context, &workspace.ledger, &present))
        .and_then(|old| remove(context, workspace, (Vec::new(), old)))
        .unwrap_or_else(|e| Retained {
            warnings: vec![failed(format!("old data sets were not all removed: {e}"))],
            ..Retained::default()
        })
}

fn remove(
    context: &Context,
    workspace: &mut Workspace,
    (releases, datasets): (Vec<ReleaseId>, Vec<DatasetVersion>),
) -> Result<Retained> {
    if releases.is_empty() && datasets.is_empty() {
        return Ok(Retained::default());
    }
    let run = &context.run;
    let removed = Removed { run_id: run.clone(), releases, datasets, recorded: context.now() };
    let intent = workspace.ledger.intend(run, &Intent::Remove(removed.clone()))?;
    let (removed, failures) = context.remove_for_good(&mut workspace.ledger, removed, intent)?;
    let warnings = failures.into_iter().map(failed).collect();
    Ok(Retained { releases: removed.releases, datasets: removed.datasets, warnings })
}

/// The releases and data sets to remove.
fn plan(
    context: &Context,
    ledger: &Ledger,
    live: &ReleaseId,
    sound: Option<&ReleaseId>,
) -> Result<(Vec<ReleaseId>, Vec<DatasetVersion>)> {
    let limits = context.config.retention;
    let store = context.store();
    let present = store.releases()?;
    let kept = match limits.keep_releases {
        None => present.iter().cloned().collect(),
        Some(n) => kept_releases(ledger, &store, &present, (live, sound), n)?,
    };
    // Releases with rows of people who were erased go as soon as they are not live.
    let condemned: BTreeSet<ReleaseId> =
        ledger.erasures()?.into_iter().flat_map(|erasure| erasure.counts.condemned).collect();
    let kept: BTreeSet<ReleaseId> =
        kept.into_iter().filter(|id| id == live || !condemned.contains(id)).collect();
    store.claim(&kept)?;
    let (of_others, _) = store.of_others()?;
    let gone = |id: &&ReleaseId| !kept.contains(id) && !of_others.contains(id);
    let gone = present.iter().filter(gone).cloned().collect();
    Ok((gone, old_datasets(context, ledger, &kept)?))
}

/// The data sets to remove if the releases `kept` stay.
fn old_datasets<'r>(
    context: &Context,
    ledger: &Ledger,
    kept: impl IntoIterator<Item = &'r ReleaseId>,
) -> Result<Vec<DatasetVersion>> {
    let Some(n) = context.config.retention.keep_datasets else { return Ok(Vec::new()) };
    let store = context.store();
    let versions: Vec<DatasetVersion> = ledger.datasets()?.iter().map(|d| d.version).collect();
    let mut needed: BTreeSet<DatasetVersion> = kept
        .into_iter()
        .map(|id| store.manifest(id).map_or_else(|_| id.dataset(), |m| m.dataset))
        .collect();
    // The candidate may be scored again, which requires the rows that it was trained on.
    needed.extend(ledger.models()?.last().map(|m| m.dataset));
    // The next decision needs to know what is new since the last one.
    needed.extend(ledger.decision(None)?.map(|d| d.dataset));
    let newest = usize::try_from(n).unwrap_or(usize::MAX).max(2);
    needed.extend(versions.iter().rev().take(newest));
    let mut old = Vec::new();
    for version in versions {
        if !needed.contains(&version) && ledger.dataset_removed(version)?.is_none() {
            old.push(version);
        }
    }
    Ok(old)
}

/// The releases to keep: the live one, those that a rollback may return to, the last `n` that were
/// live, and any that are not known to belong to this workspace.
fn kept_releases(
    ledger: &Ledger,
    store: &Store,
    present: &[ReleaseId],
    (live, sound): (&ReleaseId, Option<&ReleaseId>),
    n: u64,
) -> Result<BTreeSet<ReleaseId>> {
    let deployments = ledger.deployments()?;
    let mut kept = BTreeSet::from([live.clone()]);
    for id in ledger.earlier_releases(live)? {
        let way_back = sound == Some(&id) || store.verify(&id).is_ok();
        kept.insert(id);
        if way_back {
            break;
        }
    }
    let mut last: Vec<ReleaseId> = Vec::new();
    for deployment in deployments.iter().rev() {
        if !last.contains(&deployment.release) {
            last.push(deployment.release.clone());
        }
    }
    // At least two: the live one and the one before it, even if that was rolled back.
    let newest = usize::try_from(n).unwrap_or(usize::MAX).max(2);
    kept.extend(last.iter().take(newest).cloned());

    kept.extend(ledger.waiting_approval()?.map(|waiting| waiting.release));

    let oldest = kept.iter().map(ReleaseId::dataset).min();
    let models = ledger.models()?;
    for id in present {
        if last.contains(id) {
            continue;
        }
        // Never promoted (refused, or the run died first): expires with releases of the same age.
        let ours = store.manifest(id).is_ok_and(|m| {
            m.files.get(ARTIFACT).is_some_and(|a| models.iter().any(|m| m.artifact == *a))
        });
        if !ours || Some(id.dataset()) >= oldest {
            kept.insert(id.clone());
        }
    }
    Ok(kept)
}

impl fmt::Display for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changed() {
            let old = [
                text::plural(self.releases.len() as u64, "old release"),
                text::plural(self.datasets.len() as u64, "old data set"),
            ];
            writeln!(f, "Removed, as \"retention\" says: {}", old.join(", "))?;
        }
        Ok(())
    }
}
