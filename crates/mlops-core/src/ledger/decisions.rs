//! Hold-outs that were drawn, and decisions that were made.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Ledger, from_text, set_meta, signed, unsigned};
use crate::Result;
use crate::digest::Digest;
use crate::ids::DatasetVersion;

/// A hold-out that was drawn from new rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldoutRecord {
    /// The data set that its rows are in.
    pub version: DatasetVersion,
    /// Its name in the test folder.
    pub name: String,
    /// Its identity.
    pub sha256: Digest,
    /// Its rows.
    pub rows: u64,
    /// Of them, rows of the positive class.
    pub positives: u64,
    /// New rows that it was drawn from.
    pub drawn_from: u64,
    /// RFC 3339, UTC.
    pub recorded: String,
}

/// A decision as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The run that made it.
    pub run_id: String,
    /// The data set that it was made on.
    pub dataset: DatasetVersion,
    /// `no_drift`, `undecided`, `refused`, `promoted`…
    pub outcome: String,
    /// F1 of the live release on the new rows, where it could be told.
    pub f1: Option<f64>,
    /// The whole decision, as JSON.
    pub decision: String,
    /// RFC 3339, UTC.
    pub recorded: String,
}

/// The key under which rows are drawn into hold-outs, fixed with the first draw.
const HOLDOUT_KEY: &str = "holdout_key";

impl Ledger {
    /// The key of the draw: `seed`, unless an earlier draw fixed another.
    pub fn holdout_key(&self, seed: u64) -> Result<u64> {
        let kept = self.meta(HOLDOUT_KEY)?;
        Ok(kept.and_then(|text| text.parse().ok()).unwrap_or(seed))
    }

    /// Records a hold-out drawn under `key`, which ends `intent`.
    pub fn record_holdout(
        &mut self,
        run_id: &str,
        holdout: &HoldoutRecord,
        key: u64,
        intent: i64,
    ) -> Result<()> {
        self.transaction(|db| {
            db.execute(
                "INSERT INTO holdouts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    holdout.version.0,
                    run_id,
                    holdout.name,
                    holdout.sha256.to_string(),
                    signed(holdout.rows),
                    signed(holdout.positives),
                    signed(holdout.drawn_from),
                    holdout.recorded
                ],
            )?;
            set_meta(db, HOLDOUT_KEY, &key.to_string())?;
            db.execute("DELETE FROM intents WHERE id = ?1", [intent]).map(drop)
        })
    }

    /// The newest hold-out.
    pub fn latest_holdout(&self) -> Result<Option<HoldoutRecord>> {
        self.query(|db| {
            db.query_row(
                "SELECT version, name, sha256, rows, positives, drawn_from, recorded
                 FROM holdouts ORDER BY version DESC LIMIT 1",
                [],
                |row| {
                    Ok(HoldoutRecord {
                        version: DatasetVersion(row.get(0)?),
                        name: row.get(1)?,
                        sha256: from_text(2, &row.get::<_, String>(2)?)?,
                        rows: unsigned(row.get(3)?),
                        positives: unsigned(row.get(4)?),
                        drawn_from: unsigned(row.get(5)?),
                        recorded: row.get(6)?,
                    })
                },
            )
            .optional()
        })
    }

    /// Records a decision.
    pub fn record_decision(&mut self, decision: &DecisionRecord) -> Result<()> {
        self.transaction(|db| insert_decision(db, decision))
    }

    /// All decisions, oldest first.
    pub fn decisions(&self) -> Result<Vec<DecisionRecord>> {
        self.query(|db| {
            let sql = format!("SELECT {DECISION} FROM decisions ORDER BY id");
            let mut statement = db.prepare(&sql)?;
            statement.query_map([], decision)?.collect()
        })
    }

    /// The decision of run `run_id`, or the newest one.
    pub fn decision(&self, run_id: Option<&str>) -> Result<Option<DecisionRecord>> {
        self.query(|db| {
            let sql = format!(
                "SELECT {DECISION} FROM decisions WHERE ?1 IS NULL OR run_id = ?1
                 ORDER BY id DESC LIMIT 1"
            );
            db.query_row(&sql, [run_id], decision).optional()
        })
    }
}

/// Records a decision, inside a transaction.
pub(super) fn insert_decision(db: &Connection, decision: &DecisionRecord) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO decisions (run_id, dataset, outcome, f1, decision, recorded)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            decision.run_id,
            decision.dataset.0,
            decision.outcome,
            decision.f1,
            decision.decision,
            decision.recorded
        ],
    )
    .map(drop)
}

const DECISION: &str = "run_id, dataset, outcome, f1, decision, recorded";

fn decision(row: &Row) -> rusqlite::Result<DecisionRecord> {
    Ok(DecisionRecord {
        run_id: row.get(0)?,
        dataset: DatasetVersion(row.get(1)?),
        outcome: row.get(2)?,
        f1: row.get(3)?,
        decision: row.get(4)?,
        recorded: row.get(5)?,
    })
}
