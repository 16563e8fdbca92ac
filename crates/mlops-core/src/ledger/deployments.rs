//! Records of releases that went live or were rolled back, and of files removed on purpose.
//!
//! Not for the content of a release: see [`crate::release`].

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::approvals::approved;
use super::decisions::insert_decision;
use super::{DecisionRecord, Ledger, from_text};
use crate::Result;
use crate::ids::{DatasetVersion, ReleaseId, RunId, Step, spelt};

spelt! {
    /// How a release went live.
    pub enum Action {
        /// As the newest model.
        Deploy = "deploy",
        /// By rolling back another release.
        Rollback = "rollback",
    }
}

/// A release that went live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deployment {
    /// The run that deployed it.
    pub run_id: RunId,
    /// The step that deployed it: `deployment`, `first_run`…
    pub step: Step,
    /// How it went live.
    pub action: Action,
    /// The release.
    pub release: ReleaseId,
    /// The release that was live before.
    pub previous: Option<ReleaseId>,
    /// Its F1 on the test data of its time.
    pub f1: Option<f64>,
    /// The data set that it was trained on.
    pub dataset: DatasetVersion,
    /// The reason.
    pub reason: String,
    /// When it was recorded, RFC 3339, UTC.
    pub recorded: String,
    /// The decision behind it, recorded in the same commit. It is not stored here: see
    /// [`Ledger::decision`].
    #[serde(default)]
    pub decision: Option<DecisionRecord>,
    /// Who approved it. It is not stored here: see [`Ledger::approvals`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}

/// Releases and data sets that were removed to save space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Removed {
    /// The run that removed them.
    pub run_id: RunId,
    /// The releases.
    pub releases: Vec<ReleaseId>,
    /// The data sets.
    pub datasets: Vec<DatasetVersion>,
    /// When it was recorded, RFC 3339, UTC.
    pub recorded: String,
}

pub(super) const DEPLOYMENT: &str =
    "run_id, step, action, release, previous, f1, dataset, reason, recorded";

impl Ledger {
    /// Records that a release went live, and ends `intent`. A release that was removed and made
    /// again counts as existing.
    pub fn record_deployment(&mut self, deployment: &Deployment, intent: i64) -> Result<()> {
        self.transaction(|db| {
            let sql = format!(
                "INSERT INTO deployments ({DEPLOYMENT})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
            );
            db.execute(
                &sql,
                params![
                    deployment.run_id,
                    deployment.step.as_str(),
                    deployment.action.as_str(),
                    deployment.release.as_str(),
                    deployment.previous.as_ref().map(ReleaseId::as_str),
                    deployment.f1,
                    deployment.dataset.0,
                    deployment.reason,
                    deployment.recorded
                ],
            )?;
            if let Some(decision) = &deployment.decision {
                insert_decision(db, decision)?;
            }
            let Deployment { release, recorded, who, reason, .. } = deployment;
            approved(db, release, recorded, who.as_deref(), reason)?;
            let sql = "DELETE FROM removed WHERE kind = 'release' AND name = ?1";
            db.execute(sql, [deployment.release.as_str()])?;
            db.execute("DELETE FROM intents WHERE id = ?1", [intent]).map(drop)
        })
    }

    /// All deployments and rollbacks, oldest first.
    pub fn deployments(&self) -> Result<Vec<Deployment>> {
        self.query(|db| {
            let sql = format!("SELECT {DEPLOYMENT} FROM deployments ORDER BY id");
            let mut statement = db.prepare(&sql)?;
            statement.query_map([], deployment)?.collect()
        })
    }

    /// The deployments and rollbacks recorded from `from` and before `until`, and the last one before
    /// `from`; oldest first.
    pub fn deployments_between(
        &self,
        from: Option<&str>,
        until: Option<&str>,
    ) -> Result<Vec<Deployment>> {
        self.query(|db| {
            let sql = format!(
                "SELECT {DEPLOYMENT} FROM deployments WHERE (?2 IS NULL OR recorded < ?2)
                 AND (?1 IS NULL OR recorded >= ?1
                      OR id = (SELECT max(id) FROM deployments WHERE recorded < ?1)) ORDER BY id"
            );
            let mut statement = db.prepare(&sql)?;
            statement.query_map([from, until], deployment)?.collect()
        })
    }

    /// The newest deployment or rollback.
    pub fn latest_deployment(&self) -> Result<Option<Deployment>> {
        self.query(|db| {
            let sql = format!("SELECT {DEPLOYMENT} FROM deployments ORDER BY id DESC LIMIT 1");
            db.query_row(&sql, [], deployment).optional()
        })
    }

    /// The rollback that took `release` out of service, unless it was redeployed since. A
    /// rolled-back release is only redeployed on explicit request.
    pub fn was_rolled_back(&self, release: &ReleaseId) -> Result<Option<Deployment>> {
        let newest = self.query(|db| {
            let sql = format!(
                "SELECT {DEPLOYMENT} FROM deployments
                 WHERE release = ?1 OR (action = 'rollback' AND previous = ?1)
                 ORDER BY id DESC LIMIT 1"
            );
            db.query_row(&sql, [release.as_str()], deployment).optional()
        })?;
        Ok(newest.filter(|d| d.release != *release))
    }

    /// The releases that a rollback from `present` may return to: those that were live before it,
    /// the last one first, without those that were rolled back or removed.
    pub fn earlier_releases(&self, present: &ReleaseId) -> Result<Vec<ReleaseId>> {
        let all = self.deployments()?;
        let before = all.iter().rposition(|d| d.release == *present).unwrap_or(all.len());
        // If the records were begun anew, the release that was live then is known only as the first
        // one's predecessor.
        let oldest = all.first().and_then(|d| d.previous.as_ref());
        let releases = all[..before].iter().rev().map(|d| &d.release).chain(oldest);
        let mut found: Vec<ReleaseId> = Vec::new();
        for id in releases {
            let passed_over = id == present
                || found.contains(id)
                || self.was_rolled_back(id)?.is_some()
                || self.release_removed(id)?.is_some();
            if !passed_over {
                found.push(id.clone());
            }
        }
        Ok(found)
    }

    /// Records what was removed, and ends `intent`.
    pub fn record_removal(&mut self, removed: &Removed, intent: i64) -> Result<()> {
        let releases = removed.releases.iter().map(|id| ("release", id.to_string()));
        let datasets = removed.datasets.iter().map(|version| ("dataset", version.to_string()));
        let names: Vec<_> = releases.chain(datasets).collect();
        self.transaction(|db| {
            for (kind, name) in names {
                db.execute(
                    "INSERT OR REPLACE INTO removed VALUES (?1, ?2, ?3, ?4)",
                    params![kind, name, removed.run_id, removed.recorded],
                )?;
            }
            db.execute("DELETE FROM intents WHERE id = ?1", [intent]).map(drop)
        })
    }

    /// When release `id` was removed on purpose; `None` if it was not.
    pub fn release_removed(&self, id: &ReleaseId) -> Result<Option<String>> {
        self.removed("release", id.as_str())
    }

    /// When data set `version` was removed on purpose; `None` if it was not.
    pub fn dataset_removed(&self, version: DatasetVersion) -> Result<Option<String>> {
        self.removed("dataset", &version.to_string())
    }

    fn removed(&self, kind: &str, name: &str) -> Result<Option<String>> {
        self.query(|db| {
            let sql = "SELECT recorded FROM removed WHERE kind = ?1 AND name = ?2";
            db.query_row(sql, [kind, name], |row| row.get(0)).optional()
        })
    }
}

pub(super) fn deployment(row: &Row) -> rusqlite::Result<Deployment> {
    let previous: Option<String> = row.get(4)?;
    Ok(Deployment {
        run_id: row.get(0)?,
        step: from_text(1, &row.get::<_, String>(1)?)?,
        action: from_text(2, &row.get::<_, String>(2)?)?,
        release: from_text(3, &row.get::<_, String>(3)?)?,
        previous: previous.map(|text| from_text(4, &text)).transpose()?,
        f1: row.get(5)?,
        dataset: DatasetVersion(row.get(6)?),
        reason: row.get(7)?,
        recorded: row.get(8)?,
        decision: None,
        who: None,
    })
}
