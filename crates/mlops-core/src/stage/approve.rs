//! `deployment approve`, `reject`, `pending`: challengers that passed the gate and wait for a person.
//!
//! Order of writes: verification from disk, intent, pointer swap, commit, as in every promotion. Not for making
//! challengers wait: see `decide`.

use std::fmt;

use serde::Serialize;

use super::decide::contest;
use super::retain::{self, Retained};
use crate::evaluation::gate::GateVerdict;
use crate::ids::{ReleaseId, ReleasePrefix, Severity, Step};
use crate::ledger::{Action, Approval, ApprovalState, Deployment, Ledger, projections};
use crate::platform::clock::rfc3339;
use crate::release::Release;
use crate::run::attention::{self, Finding};
use crate::run::context::{Context, Report, Workspace};
use crate::{Error, Result, text};

/// How many challengers `pending` shows that do not wait any more.
const SHOWN: u32 = 10;

/// The report of `deployment approve`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Approved {
    /// The release that is live.
    pub release: ReleaseId,
    /// The release that was live before.
    pub previous: Option<ReleaseId>,
    /// The path of the pointer.
    pub pointer: String,
    /// Who approved it.
    pub who: String,
    /// The reason.
    pub reason: String,
    /// The comparison that was made again, since another release is live than when it was made.
    pub judged_again: Option<GateVerdict>,
    /// Old releases and data sets that were removed by the rules of "retention".
    pub removed: Retained,
    /// The release, as read from disk.
    #[serde(skip)]
    pub verified: Release,
}

impl Report for Approved {
    fn findings(&self) -> Vec<Finding> {
        attention::findings(&self.removed.warnings, Severity::Warning).collect()
    }
}

/// The report of `deployment reject`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Rejected {
    /// The release.
    pub release: ReleaseId,
    /// Who rejected it.
    pub who: String,
    /// The reason.
    pub reason: String,
}

impl Report for Rejected {}

/// The report of `deployment pending`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Pending {
    /// The challengers that wait, then those that did last; newest first.
    pub challengers: Vec<Approval>,
    /// The release that is live now.
    pub live: Option<ReleaseId>,
}

impl Report for Pending {
    fn changed(&self) -> bool {
        false
    }
}

/// The challengers that wait, and the last ones that did.
pub fn pending(context: &Context) -> Result<Pending> {
    let ledger = Ledger::open_to_read(&context.config.ledger_path())?;
    let mut challengers =
        ledger.map_or_else(|| Ok(Vec::new()), |ledger| ledger.approvals(SHOWN))?;
    let now = context.now();
    for challenger in &mut challengers {
        if challenger.state == ApprovalState::Waiting && challenger.expires <= now {
            challenger.state = ApprovalState::Expired;
        }
    }
    Ok(Pending { challengers, live: context.store().live()? })
}

/// Makes a challenger live that waits, as `who` decided for `reason`.
pub fn approve(
    context: &Context,
    workspace: &mut Workspace,
    which: &ReleasePrefix,
    (who, reason): (&str, &str),
) -> Result<Approved> {
    let waiting = waiting(context, workspace, which)?;
    let id = waiting.release.clone();
    refuse_stale(context, workspace, &waiting)?;
    let _held = context.hold_releases()?;
    let store = context.store();
    let previous = store.live()?;
    let release = context.sound_and_trusted(&id)?;
    let judged_again = if previous == waiting.champion || previous.as_ref() == Some(&id) {
        None
    } else {
        judge_again(context, workspace, previous.as_ref(), &release)?
    };
    let deployment = Deployment {
        run_id: context.run.clone(),
        step: Step::Approve,
        action: Action::Deploy,
        release: id.clone(),
        previous: previous.clone(),
        f1: Some(waiting.f1),
        dataset: release.manifest.dataset,
        reason: reason.to_owned(),
        recorded: context.now(),
        decision: None,
        who: Some(who.to_owned()),
    };
    if previous.as_ref() == Some(&id) {
        let (at, state) = (context.now(), ApprovalState::Approved);
        workspace.ledger.close_approval(&id, state, &at, Some(who), reason)?;
    } else {
        if store.clear(&id, None)? {
            context.sign_again(&id)?;
        }
        super::deploy::promote(context, workspace, &id, &deployment)?;
    }
    let removed = retain::run(context, workspace, &id, None);
    projections::write(&workspace.ledger, &context.disk, &context.config.output_folder)?;
    Ok(Approved {
        previous: previous.filter(|previous| *previous != id),
        pointer: context.config.deployment.display().to_string(),
        who: who.to_owned(),
        reason: reason.to_owned(),
        judged_again,
        removed,
        verified: release,
        release: id,
    })
}

/// Closes a challenger that waits, as `who` decided for `reason`.
pub fn reject(
    context: &Context,
    workspace: &mut Workspace,
    which: &ReleasePrefix,
    (who, reason): (&str, &str),
) -> Result<Rejected> {
    let waiting = waiting(context, workspace, which)?;
    let (id, at) = (waiting.release, context.now());
    workspace.ledger.close_approval(&id, ApprovalState::Rejected, &at, Some(who), reason)?;
    Ok(Rejected { release: id, who: who.to_owned(), reason: reason.to_owned() })
}

/// The challenger whose name begins with `which`, if it waits.
fn waiting(
    context: &Context,
    workspace: &mut Workspace,
    which: &ReleasePrefix,
) -> Result<Approval> {
    workspace.ledger.expire_approvals(&rfc3339(context.clock.now()))?;
    let all = workspace.ledger.approvals(1000)?;
    let mut named = all.into_iter().filter(|approval| which.is_of(&approval.release));
    let newest = named.next().ok_or_else(|| {
        Error::missing(format!("no challenger {which} waits: see `deployment pending`"))
    })?;
    if newest.state == ApprovalState::Waiting {
        return Ok(newest);
    }
    let Approval { release, state, closed, who, why, .. } = newest;
    let by = who.map_or(String::new(), |who| format!(" by {}", text::name(&who)));
    Err(Error::conflict(format!(
        "{release} does not wait any more: {state} at {}{by} ({}). See `deployment pending`; `deployment \
         history` has what is live",
        closed.unwrap_or_default(),
        why.unwrap_or_default()
    )))
}

/// Refuses a challenger that is not fresh.
fn refuse_stale(context: &Context, workspace: &mut Workspace, waiting: &Approval) -> Result<()> {
    let ledger = &mut workspace.ledger;
    let id = &waiting.release;
    if let Some(judged) = ledger.judged()?.filter(|judged| *judged > waiting.dataset) {
        let why = format!("{} was decided on since", judged.file_name());
        let state = ApprovalState::Superseded;
        ledger.close_approval(id, state, &context.now(), None, &why)?;
        return Err(Error::conflict(format!(
            "{id} is not made live: {why}, so that it is not the newest any more. The next decision \
             makes another one if it is needed; `fullprocess --force` makes one now"
        )));
    }
    if let Some(erasure) =
        ledger.erasures()?.iter().find(|erasure| erasure.counts.was_seen_by(waiting.dataset))
    {
        return Err(Error::conflict(format!(
            "{id} is not made live: it may have been trained on rows of people who were erased by the \
             run {}. The next `fullprocess` trains a model without them",
            erasure.run_id
        )));
    }
    if let Some(rollback) = ledger.was_rolled_back(id)? {
        return Err(Error::conflict(format!(
            "{id} is not made live: it was rolled back at {} ({})",
            rollback.recorded, rollback.reason
        )));
    }
    Ok(())
}

/// Compares the challenger with the release that is live now, as another one was when it was made; refuses it if it
/// is not better. `None` if they cannot be compared.
fn judge_again(
    context: &Context,
    workspace: &Workspace,
    live: Option<&ReleaseId>,
    challenger: &Release,
) -> Result<Option<GateVerdict>> {
    let Some(live) = live else { return Ok(None) };
    let champion = context.store().verify(live)?;
    if champion.model.schema.digest() != challenger.model.schema.digest() {
        return Ok(None);
    }
    let record = workspace.ledger.dataset(champion.manifest.dataset)?;
    let recorded = record.is_some_and(|d| d.content == champion.model.data.sha256);
    let models = [&champion.model, &challenger.model];
    let verdict = contest::contest(context, workspace, models, recorded, false)?.verdict;
    if verdict.blessed {
        return Ok(Some(verdict));
    }
    Err(Error::conflict(format!(
        "{} is not made live: {live} is live now, not the release that it was compared with, and against \
         it the challenger does not pass the gate: {}. It waits on: `deployment reject` ends that",
        challenger.id,
        verdict.reasons.without_ruling()
    )))
}

impl fmt::Display for Approved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Live: {} at {}", self.release, self.pointer)?;
        if let Some(previous) = &self.previous {
            writeln!(f, "Before: {previous}")?;
        }
        writeln!(f, "Approved by {}: {}", text::name(&self.who), self.reason)?;
        if let Some(verdict) = &self.judged_again {
            let words = verdict.reasons.without_ruling();
            writeln!(f, "Compared again, with the release that was live now: {words}")?;
        }
        self.removed.fmt(f)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} was rejected by {}: {}", self.release, text::name(&self.who), self.reason)
    }
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = |approval: &&Approval| approval.state == ApprovalState::Waiting;
        if !self.challengers.iter().any(|approval| waits(&approval)) {
            writeln!(f, "No challenger waits for approval.")?;
        }
        for approval in self.challengers.iter().filter(waits) {
            let Approval { release, f1, reason, expires, .. } = approval;
            writeln!(f, "{release} waits until {expires}: F1 {f1:.4}; {reason}.")?;
            match (&approval.champion, &self.live) {
                (champion, live) if champion == live => {}
                (_, Some(live)) => writeln!(
                    f,
                    "  {live} is live now, not the release that it was compared with: approving it \
                     compares them again."
                )?,
                (_, None) => {}
            }
            writeln!(f, "  deployment approve {release} --reason \"…\"")?;
            writeln!(f, "  deployment reject {release} --reason \"…\"")?;
        }
        for approval in self.challengers.iter().filter(|approval| !waits(approval)) {
            let Approval { release, state, closed, who, why, .. } = approval;
            let by = who.as_ref().map_or(String::new(), |who| format!(" by {}", text::name(who)));
            let (closed, why) = (closed.as_deref().unwrap_or_default(), why.as_deref());
            writeln!(f, "{release}: {state} at {closed}{by} ({})", why.unwrap_or_default())?;
        }
        Ok(())
    }
}
