//! Records of decisions.
//!
//! Not for the hold-outs that they are based on: see [`super::holdouts`].

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Ledger, from_json, from_text, to_json};
use crate::Result;
use crate::evaluation::metrics::{ConfusionMatrix, Interval};
use crate::ids::{DatasetVersion, DecisionOutcome, ReleaseId, RunId};

/// A decision as the ledger stores it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DecisionRecord {
    /// The run that made it.
    pub run_id: RunId,
    /// The data set that it was made on.
    pub dataset: DatasetVersion,
    /// `no_drift`, `undecided`, `refused`, `promoted`…
    pub outcome: DecisionOutcome,
    /// F1 of the live release on the new rows, if it was decided.
    pub f1: Option<f64>,
    /// The counts behind it.
    pub matrix: Option<ConfusionMatrix>,
    /// The live release that was judged.
    pub release: Option<ReleaseId>,
    /// The whole decision, as JSON.
    pub decision: String,
    /// When it was recorded, RFC 3339, UTC.
    pub recorded: String,
    /// What a list of decisions shows of it; it stays when the details are removed.
    #[serde(default)]
    pub headline: Option<Headline>,
}

/// What a list of decisions shows of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Headline {
    /// The reason for the outcome.
    pub reason: String,
    /// The new model, if one was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenger: Option<Challenger>,
}

/// The score of a model that was trained to replace the live one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Challenger {
    /// F1 on the newest test data.
    pub f1: f64,
    /// The interval of that F1.
    pub interval: Interval,
    /// Number of rows that it was scored on.
    pub rows: u64,
}

/// A decision in a list, without its details.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionLine {
    /// The record; its `decision` is empty.
    pub record: DecisionRecord,
    /// The details are on record.
    pub detailed: bool,
}

/// The outcome of decisions that do not count as judgements.
const UNDECIDED: &str = DecisionOutcome::Undecided.as_str();

impl Ledger {
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

    /// The last `limit` decisions that still have their details, the newest first.
    pub fn recent_decisions(&self, limit: u32) -> Result<Vec<DecisionRecord>> {
        self.query(|db| {
            let sql = format!(
                "SELECT {DECISION} FROM decisions WHERE decision <> '' ORDER BY id DESC LIMIT ?1"
            );
            let mut statement = db.prepare(&sql)?;
            statement.query_map([limit], decision)?.collect()
        })
    }

    /// The runs, times and outcomes of the last `limit` decisions about new data, the newest first.
    pub fn newest_outcomes(&self, limit: usize) -> Result<Vec<((RunId, String), DecisionOutcome)>> {
        self.query(|db| {
            let sql = "SELECT run_id, recorded, outcome FROM decisions WHERE outcome <> ?1
                       ORDER BY id DESC LIMIT ?2";
            let mut statement = db.prepare(sql)?;
            let nothing = DecisionOutcome::NothingNew.as_str();
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![nothing, limit], |row| {
                let outcome = from_text(2, &row.get::<_, String>(2)?)?;
                Ok(((row.get(0)?, row.get(1)?), outcome))
            })?;
            rows.collect()
        })
    }

    /// The decision of run `run_id`, or the newest one.
    pub fn decision(&self, run_id: Option<&RunId>) -> Result<Option<DecisionRecord>> {
        self.query(|db| {
            let (which, run) = match run_id {
                Some(run) => ("WHERE run_id = ?1", rusqlite::params_from_iter(Some(run))),
                None => ("", rusqlite::params_from_iter(None)),
            };
            let sql = format!("SELECT {DECISION} FROM decisions {which} ORDER BY id DESC LIMIT 1");
            db.query_row(&sql, run, decision).optional()
        })
    }

    /// The number of decisions.
    pub fn decision_count(&self) -> Result<u64> {
        self.query(|db| db.query_row("SELECT count(*) FROM decisions", [], |row| row.get(0)))
            .map(super::unsigned)
    }

    /// `limit` decisions after the newest `offset`, newest first, without their details.
    pub fn decision_lines(&self, offset: u64, limit: u64) -> Result<Vec<DecisionLine>> {
        self.query(|db| {
            // Decisions of earlier formats have their headline only among the details.
            let mut statement = db.prepare(
                "SELECT run_id, dataset, outcome, f1, '', recorded, release, matrix,
                    coalesce(headline, CASE WHEN json_valid(decision) THEN json_object(
                        'reason', coalesce(json_extract(decision, '$.reason'), ''),
                        'challenger', CASE
                            WHEN json_extract(decision, '$.retrained.f1') IS NULL THEN NULL
                            ELSE json_object('f1', json_extract(decision, '$.retrained.f1'),
                                'interval', json_extract(decision, '$.retrained.f1_interval'),
                                'rows', json_extract(decision, '$.retrained.test_rows')) END) END),
                    decision <> ''
                 FROM decisions ORDER BY id DESC LIMIT ?2 OFFSET ?1",
            )?;
            let rows = statement.query_map(
                params![super::signed(offset), super::signed(limit)],
                |row| {
                    let mut record = decision(row)?;
                    let headline: Option<String> = row.get(8)?;
                    // What another version wrote may lack something.
                    record.headline = headline.and_then(|text| serde_json::from_str(&text).ok());
                    Ok(DecisionLine { record, detailed: row.get(9)? })
                },
            )?;
            rows.collect()
        })
    }

    /// The newest decision that compared new rows with the training rows, with its details.
    pub fn newest_drift(&self) -> Result<Option<DecisionRecord>> {
        self.query(|db| {
            let sql = format!(
                "SELECT {DECISION} FROM decisions WHERE json_valid(decision)
                 AND json_extract(decision, '$.data_drift') IS NOT NULL ORDER BY id DESC LIMIT 1"
            );
            db.query_row(&sql, [], decision).optional()
        })
    }

    /// The newest data set whose rows were judged; rows of an undecided run count again.
    pub fn judged(&self) -> Result<Option<DatasetVersion>> {
        self.query(|db| {
            let sql = "SELECT MAX(dataset) FROM decisions WHERE outcome <> ?1";
            let newest: Option<u32> = db.query_row(sql, [UNDECIDED], |row| row.get(0))?;
            Ok(newest.map(DatasetVersion))
        })
    }

    /// The times of decisions with the F1 of the live release on their rows, oldest first.
    pub fn judged_scores(&self) -> Result<Vec<(String, f64)>> {
        self.query(|db| {
            let sql = "SELECT recorded, f1 FROM decisions
                       WHERE outcome <> ?1 AND f1 IS NOT NULL ORDER BY id";
            let mut statement = db.prepare(sql)?;
            statement.query_map([UNDECIDED], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// The predictions of `release` for all batches that were decided while it was live.
    pub fn judged_batches(&self, release: &ReleaseId) -> Result<ConfusionMatrix> {
        self.query(|db| {
            let sql = "SELECT matrix FROM decisions
                       WHERE release = ?1 AND outcome <> ?2 AND matrix IS NOT NULL";
            let mut statement = db.prepare(sql)?;
            let matrices = statement.query_map([release.as_str(), UNDECIDED], |row| {
                from_json::<ConfusionMatrix>(0, &row.get::<_, String>(0)?)
            })?;
            matrices.sum()
        })
    }
}

/// Records a decision, inside a transaction. A challenger that waits is older than the data that it is about.
pub(super) fn insert_decision(db: &Connection, decision: &DecisionRecord) -> rusqlite::Result<()> {
    if decision.outcome != DecisionOutcome::Undecided {
        let sql = "UPDATE approvals SET state = 'superseded', closed = ?1,
                   why = 'a newer data set was decided on'
                   WHERE state = 'waiting' AND dataset < ?2";
        db.execute(sql, params![decision.recorded, decision.dataset.0])?;
    }
    let sql = format!(
        "INSERT INTO decisions ({DECISION}, headline) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    );
    db.execute(
        &sql,
        params![
            decision.run_id,
            decision.dataset.0,
            decision.outcome.as_str(),
            decision.f1,
            decision.decision,
            decision.recorded,
            decision.release.as_ref().map(ReleaseId::as_str),
            decision.matrix.as_ref().map(to_json).transpose()?,
            decision.headline.as_ref().map(to_json).transpose()?,
        ],
    )
    .map(drop)
}

const DECISION: &str = "run_id, dataset, outcome, f1, decision, recorded, release, matrix";

fn decision(row: &Row) -> rusqlite::Result<DecisionRecord> {
    let (release, matrix): (Option<String>, Option<String>) = (row.get(6)?, row.get(7)?);
    Ok(DecisionRecord {
        run_id: row.get(0)?,
        dataset: DatasetVersion(row.get(1)?),
        outcome: from_text(2, &row.get::<_, String>(2)?)?,
        f1: row.get(3)?,
        matrix: matrix.map(|text| from_json(7, &text)).transpose()?,
        release: release.map(|text| from_text(6, &text)).transpose()?,
        decision: row.get(4)?,
        recorded: row.get(5)?,
        headline: None,
    })
}
