//! Models that were trained and scored, releases that went live.

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Ledger, from_text, signed, unsigned};
use crate::Result;
use crate::digest::Digest;
use crate::ids::DatasetVersion;

/// A model that was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// SHA-256 of its file.
    pub artifact: Digest,
    /// The data set that it was trained on.
    pub dataset: DatasetVersion,
    /// Rows that it learned from.
    pub rows: u64,
    /// RFC 3339, UTC.
    pub recorded: String,
}

/// A release that went live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The run that did it.
    pub run_id: String,
    /// The step that did it: `deployment`, `first_run`…
    pub step: String,
    /// The release.
    pub release: String,
    /// Its F1 on the test data of its time.
    pub f1: Option<f64>,
    /// The data set that it was trained on.
    pub dataset: DatasetVersion,
    /// Why.
    pub reason: String,
    /// RFC 3339, UTC.
    pub recorded: String,
}

impl Ledger {
    /// Records a model.
    pub fn record_model(&mut self, run_id: &str, model: &ModelRecord) -> Result<()> {
        self.transaction(|db| {
            db.execute(
                "INSERT INTO models (run_id, artifact, dataset, rows, recorded)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    run_id,
                    model.artifact.to_string(),
                    model.dataset.0,
                    signed(model.rows),
                    model.recorded
                ],
            )
            .map(drop)
        })
    }

    /// All models, oldest first.
    pub fn models(&self) -> Result<Vec<ModelRecord>> {
        self.query(|db| {
            let sql = "SELECT artifact, dataset, rows, recorded FROM models ORDER BY id";
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(ModelRecord {
                    artifact: from_text(0, &row.get::<_, String>(0)?)?,
                    dataset: DatasetVersion(row.get(1)?),
                    rows: unsigned(row.get(2)?),
                    recorded: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Records a score: its F1 and its whole `score.json`.
    pub fn record_score(
        &mut self,
        run_id: &str,
        artifact: Digest,
        f1: f64,
        score: &str,
        now: &str,
    ) -> Result<()> {
        self.transaction(|db| {
            db.execute(
                "INSERT INTO scores (run_id, artifact, f1, score, recorded)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![run_id, artifact.to_string(), f1, score, now],
            )
            .map(drop)
        })
    }

    /// Records that a release went live, which ends `intent`.
    pub fn record_deployment(&mut self, deployment: &Deployment, intent: i64) -> Result<()> {
        self.transaction(|db| {
            db.execute(
                "INSERT INTO deployments (run_id, step, release, f1, dataset, reason, recorded)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    deployment.run_id,
                    deployment.step,
                    deployment.release,
                    deployment.f1,
                    deployment.dataset.0,
                    deployment.reason,
                    deployment.recorded
                ],
            )?;
            db.execute("DELETE FROM intents WHERE id = ?1", [intent]).map(drop)
        })
    }

    /// All deployments, oldest first.
    pub fn deployments(&self) -> Result<Vec<Deployment>> {
        self.query(|db| {
            let sql = format!("SELECT {DEPLOYMENT} FROM deployments ORDER BY id");
            let mut statement = db.prepare(&sql)?;
            statement.query_map([], deployment)?.collect()
        })
    }

    /// The newest deployment.
    pub fn latest_deployment(&self) -> Result<Option<Deployment>> {
        self.query(|db| {
            let sql = format!("SELECT {DEPLOYMENT} FROM deployments ORDER BY id DESC LIMIT 1");
            db.query_row(&sql, [], deployment).optional()
        })
    }
}

const DEPLOYMENT: &str = "run_id, step, release, f1, dataset, reason, recorded";

fn deployment(row: &Row) -> rusqlite::Result<Deployment> {
    Ok(Deployment {
        run_id: row.get(0)?,
        step: row.get(1)?,
        release: row.get(2)?,
        f1: row.get(3)?,
        dataset: DatasetVersion(row.get(4)?),
        reason: row.get(5)?,
        recorded: row.get(6)?,
    })
}
