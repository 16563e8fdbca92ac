//! Records of models that were trained and scored.
//!
//! Not for what went live: see `deployments`.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{Ledger, from_text, signed, unsigned};
use crate::Result;
use crate::ids::{DatasetVersion, RunId};
use crate::platform::digest::Digest;

/// A trained model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelRecord {
    /// SHA-256 of the model file.
    pub artifact: Digest,
    /// The data set that it was trained on.
    pub dataset: DatasetVersion,
    /// Number of training rows.
    pub rows: u64,
    /// When it was recorded, RFC 3339, UTC.
    pub recorded: String,
}

impl Ledger {
    /// Records a model.
    pub fn record_model(&mut self, run_id: &RunId, model: &ModelRecord) -> Result<()> {
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
        run_id: &RunId,
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
}
