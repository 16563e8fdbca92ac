//! Makes a release live again after the pointer was removed.
//!
//! Not for going back from a live release: see `stage::rollback`.

use crate::Result;
use crate::ids::FindingKind;
use crate::ledger::{Action, Deployment};
use crate::release::Release;
use crate::run::attention::Remark;

use super::super::deploy;
use super::DecisionRun;

impl DecisionRun<'_> {
    /// Makes the last live release live again that is sound and was not rolled back.
    pub(super) fn restore(&mut self) -> Result<Option<Release>> {
        let mut tried = Vec::new();
        for deployment in self.workspace.ledger.deployments()?.into_iter().rev() {
            if tried.contains(&deployment.release) {
                continue;
            }
            tried.push(deployment.release.clone());
            let id = deployment.release.clone();
            let ledger = &self.workspace.ledger;
            if ledger.was_rolled_back(&id)?.is_some() {
                continue;
            }
            let Ok(release) = self.context.sound_and_trusted(&id) else { continue };
            let pointer = self.context.config.deployment.display();
            let what = if self.options.dry_run { "would be" } else { "was" };
            let words = format!(
                "nothing was live at {pointer}; {id}, which was live last, {what} made live again"
            );
            self.decision.data.warnings.push(Remark::on(FindingKind::Model, id.as_str(), words));
            if !self.options.dry_run {
                let again = Deployment {
                    run_id: self.context.run.clone(),
                    action: Action::Deploy,
                    reason: "nothing was live, and this release was so last".to_owned(),
                    recorded: self.context.now(),
                    previous: None,
                    decision: None,
                    who: None,
                    ..deployment
                };
                deploy::promote(self.context, self.workspace, &id, &again)?;
                self.decision.restored = Some(id);
            }
            return Ok(Some(self.note_live(release)));
        }
        Ok(None)
    }
}
