//! `deployment rollback`: makes an earlier release live again.
//!
//! Order of writes: verification of the target from disk, intent, pointer swap, commit. Only the
//! pointer moves; the release that is left stays as it is and may be damaged or gone. Not for the
//! candidate in the output folder, which stays.

use std::fmt;

use serde::Serialize;

use crate::ids::{DatasetVersion, FindingKind, ReleaseId, Step};
use crate::ledger::{Action, Deployment, Ledger};
use crate::release::Release;
use crate::run::attention::Finding;
use crate::run::context::{Context, Report, Workspace};
use crate::{Error, Result};

/// The report of `deployment rollback`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RolledBack {
    /// The live release.
    pub release: ReleaseId,
    /// The release that was live before; it will not be promoted again automatically.
    pub from: Option<ReleaseId>,
    /// The path of the pointer.
    pub pointer: String,
    /// The data set that the release was trained on.
    pub dataset: DatasetVersion,
    /// The release's F1.
    pub f1: Option<f64>,
    /// The reason.
    pub reason: String,
    /// Earlier releases that could not be used, with reasons.
    pub skipped: Vec<String>,
}

impl Report for RolledBack {
    fn findings(&self) -> Vec<Finding> {
        let passed = self
            .skipped
            .iter()
            .map(|why| Finding::warning(FindingKind::DamagedRelease, format!("passed over {why}")));
        passed.collect()
    }
}

/// Makes `to` live, or by default the last sound release before the present one.
pub fn run(
    context: &Context,
    workspace: &mut Workspace,
    to: Option<&ReleaseId>,
    reason: &str,
) -> Result<RolledBack> {
    let _held = context.hold_releases()?;
    let store = context.store();
    let pointed = store.live()?;
    let latest = workspace.ledger.latest_deployment()?;
    // Without a pointer, the record has the last live release.
    let from = pointed.clone().or_else(|| latest.map(|d| d.release));
    let mut skipped = Vec::new();
    let target = match to {
        Some(id) if pointed.as_ref() == Some(id) => {
            return Err(Error::conflict(format!("{id} is live already: nothing was changed")));
        }
        Some(id) => named(context, &workspace.ledger, id)?,
        None => found(context, &workspace.ledger, from.as_ref(), &mut skipped)?,
    };
    let f1 = crate::stage::score::f1_of(&target.folder);
    let deployment = Deployment {
        run_id: context.run.clone(),
        step: Step::Rollback,
        action: Action::Rollback,
        release: target.id.clone(),
        previous: from.clone(),
        f1,
        dataset: target.manifest.dataset,
        reason: reason.to_owned(),
        recorded: context.now(),
        decision: None,
        who: None,
    };
    if store.clear(&target.id, None)? {
        context.sign_again(&target.id)?;
    }
    super::deploy::promote(context, workspace, &target.id, &deployment)?;
    Ok(RolledBack {
        from: from.filter(|from| *from != target.id),
        release: target.id,
        pointer: context.config.deployment.display().to_string(),
        dataset: target.manifest.dataset,
        f1,
        reason: reason.to_owned(),
        skipped,
    })
}

/// The requested release, if it is sound.
fn named(context: &Context, ledger: &Ledger, id: &ReleaseId) -> Result<Release> {
    let store = context.store();
    if store.has(id)? {
        return context.sound_and_trusted(id);
    }
    let why = match ledger.release_removed(id)? {
        Some(when) => format!("was removed at {when}, as \"retention\" says"),
        None => format!("is not in {}", context.config.models.display()),
    };
    Err(Error::missing(format!("{id} {why}: see `deployment history` for the others")))
}

/// The last sound release before `from`.
fn found(
    context: &Context,
    ledger: &Ledger,
    from: Option<&ReleaseId>,
    skipped: &mut Vec<String>,
) -> Result<Release> {
    let Some(from) = from else {
        return Err(Error::missing("nothing was deployed yet: there is no way back".to_owned()));
    };
    for id in ledger.earlier_releases(from)? {
        match context.sound_and_trusted(&id) {
            Ok(release) => return Ok(release),
            Err(error) => skipped.push(format!("{id}: {error}")),
        }
    }
    let why = match skipped.as_slice() {
        [] => "no other release was live before it".to_owned(),
        all => format!("no earlier one is sound ({})", all.join("; ")),
    };
    Err(Error::missing(format!(
        "there is no way back from {from}: {why}. Name a release with --to (see `deployment \
         history`), or train and deploy"
    )))
}

impl fmt::Display for RolledBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Live: {} at {}", self.release, self.pointer)?;
        match &self.from {
            Some(from) => writeln!(
                f,
                "Rolled back: {from}; it is not made live again \
                                       automatically"
            ),
            None => Ok(()),
        }
    }
}
