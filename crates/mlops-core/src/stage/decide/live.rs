//! The live release at the start of a run, and what the records have about it.
//!
//! Not for making one live again: see [`super::restore_release`].

use crate::Result;
use crate::ids::{DatasetVersion, DecisionOutcome, FindingKind};
use crate::model::Model;
use crate::release::Release;
use crate::run::asked::headline;
use crate::run::attention::Remark;
use crate::run::decision::Live;

use super::super::{asked, replay, score, verify};
use super::DecisionRun;

impl DecisionRun<'_> {
    /// The live release, verified; a damaged one stops the run unless it is forced. If none is
    /// live, the one that was last is made live again.
    pub(super) fn live(&mut self) -> Result<Option<Release>> {
        let Some(id) = self.context.store().live()? else { return self.restore() };
        match verify::live(self.context, &self.workspace.ledger, &id) {
            Ok(release) => Ok(Some(self.note_live(release))),
            Err(_) if self.options.force => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn note_live(&mut self, release: Release) -> Release {
        let f1 = score::f1_of(&release.folder);
        let dataset = release.manifest.dataset;
        // What is said of a data set is not worth failing for.
        let form = self.workspace.ledger.form_of(dataset).unwrap_or_default();
        self.decision.live = Some(Live { release: release.id.clone(), dataset, form, f1 });
        release
    }

    /// Notes the requests to the live release. A log that cannot be read causes a warning and stops nothing.
    pub(super) fn note_asked(&mut self, live: Option<&Release>) {
        let Some(live) = live else { return };
        match asked::run(self.context, self.workspace, live, self.decision.drift.as_ref()) {
            Ok(found) => {
                let window = found.as_ref().and_then(|asked| headline(&asked.windows));
                self.decision.asked = window.cloned().map(Box::new);
            }
            Err(e) => {
                let words = format!("what is asked is unknown: {e}");
                self.decision.data.warnings.push(Remark::new(FindingKind::Upkeep, words));
            }
        }
    }

    /// Notes what `challenger` would have answered to that.
    pub(super) fn note_replay(&mut self, live: &Release, challenger: &Model) {
        match replay::run(self.context, live, challenger) {
            Ok(found) => self.decision.replay = found,
            Err(e) => {
                let words = format!("nothing was replayed: {e}");
                self.decision.data.warnings.push(Remark::new(FindingKind::Upkeep, words));
            }
        }
    }

    /// The data set that the live model was trained on, if it is in these records: its number is
    /// not enough, since records that were begun anew count from the start.
    pub(super) fn trained_version(&self, live: Option<&Release>) -> Result<Option<DatasetVersion>> {
        let Some(live) = live else { return Ok(None) };
        let record = self.workspace.ledger.dataset(live.manifest.dataset)?;
        Ok(record.filter(|d| d.content == live.model.data.sha256).map(|d| d.version))
    }

    /// Whether no release is live although one was, and none can be made live again because the
    /// releases are gone. False after a run that found this and refused the model that it trained,
    /// since the next run would only repeat that.
    pub(super) fn is_lost(&self, live: Option<&Release>) -> Result<bool> {
        let ledger = &self.workspace.ledger;
        if live.is_some() || ledger.latest_deployment()?.is_none() {
            return Ok(false);
        }
        let newest = ledger.decision(None)?;
        let ended = |outcome| matches!(outcome, DecisionOutcome::Refused | DecisionOutcome::Waits);
        Ok(newest.is_none_or(|d| d.release.is_some() || !ended(d.outcome)))
    }
}

/// The note for a live model whose training rows cannot be told from new ones.
pub(super) fn no_known_rows(live: &Release) -> String {
    format!(
        "the rows that {} was trained on cannot be told from the others, since its {} is not in \
         these records, which were lost, moved or begun anew. All rows count as new, so that its \
         F1 on them may be too high",
        live.id,
        live.manifest.dataset.file_name()
    )
}
