//! Records of models that were trained and scored.
//!
//! Not for what went live: see `deployments`.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{Ledger, from_text, signed, to_json, unsigned};
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

/// What a scored model predicts at other thresholds, on the rows that it was scored on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdCounts {
    /// Number of positives.
    pub positives: u64,
    /// Number of negatives.
    pub negatives: u64,
    /// By descending threshold.
    pub at: Vec<Counts>,
}

/// A threshold with the rows above it: itself, true positives, false positives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Counts(pub f64, pub u64, pub u64);

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

    /// Records a score: its F1, its whole `score.json`, and the counts at other thresholds.
    pub fn record_score(
        &mut self,
        run_id: &RunId,
        artifact: Digest,
        (f1, score): (f64, &str),
        thresholds: &ThresholdCounts,
        now: &str,
    ) -> Result<()> {
        self.transaction(|db| {
            db.execute(
                "INSERT INTO scores (run_id, artifact, f1, score, recorded, thresholds)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![run_id, artifact.to_string(), f1, score, now, to_json(thresholds)?],
            )
            .map(drop)
        })
    }

    /// The counts at other thresholds of the newest score of `artifact`, and when it was recorded; `None` if
    /// it was scored by an earlier version, or never.
    pub fn threshold_counts(&self, artifact: Digest) -> Result<Option<(ThresholdCounts, String)>> {
        let found: Option<(String, String)> = self.query(|db| {
            let sql = "SELECT thresholds, recorded FROM scores
                       WHERE artifact = ?1 AND thresholds IS NOT NULL ORDER BY id DESC LIMIT 1";
            db.query_row(sql, [artifact.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })?;
        let Some((text, recorded)) = found else { return Ok(None) };
        let counts = serde_json::from_str(&text).map_err(|e| self.damaged("thresholds", &e))?;
        Ok(Some((counts, recorded)))
    }
}
