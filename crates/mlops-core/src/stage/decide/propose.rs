//! Lets a challenger that passed the gate wait for a person, if `gate.mode` is "manual".
//!
//! Order of writes: sealed release, then one commit with the decision and the waiting challenger. What the
//! person does is in `stage::approve`.

use chrono::Duration;

use crate::Result;
use crate::config::GateMode;
use crate::ids::{DecisionOutcome, ReleaseId};
use crate::ledger::{Approval, ApprovalState, DatasetRecord, projections};
use crate::platform::clock::rfc3339;
use crate::run::decision::{Concern, Decision};
use crate::stage::deploy::Candidate;

use super::{DecisionRun, record_of};

impl DecisionRun<'_> {
    /// Whether a person has to approve the challenger. Who gave `--accept` is one, and what is live needs none.
    pub(super) fn waits_for_approval(&self, is_live: bool) -> bool {
        self.context.config.gate.mode == GateMode::Manual && !self.options.accept && !is_live
    }

    /// Closes challengers that nobody approved in time.
    pub(super) fn expire_approvals(&mut self) -> Result<()> {
        if !self.options.dry_run {
            self.workspace.ledger.expire_approvals(&self.decision.recorded)?;
        }
        Ok(())
    }

    /// Why no release is live, by the newest decision.
    pub(super) fn why_nothing_is_live(&self) -> Result<String> {
        let newest = self.newest()?;
        let waits = newest.as_ref().and_then(|d| d.waits.as_ref()).map(waits);
        let refused = newest.filter(|d| d.outcome == DecisionOutcome::Refused);
        let why = refused.map(|d| d.reason).or(waits);
        Ok(why.unwrap_or_else(|| "no release is sound".to_owned()))
    }

    /// Seals the challenger and lets it wait.
    pub(super) fn propose(
        mut self,
        candidate: Candidate,
        reason: String,
        dataset: &DatasetRecord,
    ) -> Result<Decision> {
        let context = self.context;
        let (id, f1) = (candidate.id.clone(), candidate.score.evaluation.f1);
        candidate.seal(context, &self.workspace.ledger)?;
        let days = i64::try_from(context.config.gate.approval_days).unwrap_or(i64::MAX);
        let days = Duration::try_days(days).unwrap_or_default();
        let waiting = self.workspace.ledger.waiting_approval()?;
        // The same model again is the same challenger, which was told and waits since then.
        let known = waiting.filter(|waiting| waiting.release == id);
        let expires = match &known {
            Some(known) => known.expires.clone(),
            None => rfc3339(context.clock.now() + days),
        };
        self.decision.outcome = DecisionOutcome::Waits;
        self.decision.reason.clone_from(&reason);
        self.decision.waits = Some(id.clone());
        if known.is_none() {
            let (release, until) = (id.clone(), expires.clone());
            self.decision.concerns.push(Concern::WaitsForApproval { release, f1, until });
        }
        let approval = Approval {
            release: id,
            run_id: context.run.clone(),
            dataset: dataset.version,
            champion: self.decision.live.as_ref().map(|live| live.release.clone()),
            f1,
            reason,
            recorded: context.now(),
            expires,
            state: ApprovalState::Waiting,
            closed: None,
            who: None,
            why: None,
        };
        let Self { decision, workspace, .. } = self;
        workspace.ledger.record_waiting(&record_of(&decision, dataset)?, &approval)?;
        projections::write(&workspace.ledger, &context.disk, &context.config.output_folder)?;
        Ok(decision)
    }
}

/// Why no release is live while `release` waits.
fn waits(release: &ReleaseId) -> String {
    format!("{release} waits for approval (see `deployment pending`)")
}
