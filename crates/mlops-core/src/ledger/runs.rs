//! Records of runs, and of what an interrupted run was about to do.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{Deployment, Ledger, Observed, Redaction, Removed, from_json, from_text, to_json};
use crate::Result;
use crate::ids::{DatasetVersion, ReleaseId, RunId, RunOutcome, Step};
use crate::platform::digest::Digest;

/// One step of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunRecord {
    /// The id of the run.
    pub run_id: RunId,
    /// The step: `ingestion`, `training`…
    pub step: Step,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// When it ended, if it did.
    pub ended: Option<String>,
    /// The duration in seconds.
    pub seconds: Option<f64>,
    /// The outcome, if the step ended.
    pub outcome: Option<RunOutcome>,
    /// The step's report, or the error.
    pub detail: Option<String>,
    /// Version of the program.
    pub tool_version: String,
    /// The machine.
    pub host: String,
}

impl RunRecord {
    /// The step's report; `None` after a failure, or if this program cannot read it.
    pub fn report<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        let done = self.outcome.is_some_and(|outcome| outcome != RunOutcome::Failed);
        self.detail.as_deref().filter(|_| done).and_then(|text| serde_json::from_str(text).ok())
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy)]
pub struct RunEnd<'a> {
    /// When it ended, RFC 3339, UTC.
    pub at: &'a str,
    /// The duration in seconds.
    pub seconds: f64,
    /// The outcome.
    pub outcome: RunOutcome,
    /// The step's report, or the error.
    pub detail: &'a str,
    /// What it found.
    pub findings: &'a [Observed],
}

/// A planned change of files, recorded before it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Intent {
    /// Publishing a data set and its quarantine.
    PublishDataset {
        /// Its version.
        version: DatasetVersion,
        /// SHA-256 of the data set.
        data: Digest,
        /// SHA-256 of the quarantine, if there is one.
        quarantine: Option<Digest>,
        /// SHA-256 of the data set as Parquet, if it is written.
        #[serde(default)]
        table: Option<Digest>,
        /// SHA-256 of the changed cells, if they are written.
        #[serde(default)]
        changes: Option<Digest>,
    },
    /// Publishing a hold-out.
    PublishHoldout {
        /// The file name in the test folder.
        name: String,
        /// SHA-256 of the file.
        sha256: Digest,
    },
    /// Promoting a release; contains the record of the promotion.
    Promote(Box<Deployment>),
    /// Removing releases and data sets; contains the record of the removal.
    Remove(Removed),
    /// Taking what files have of a person out of them. It is always completed.
    Erase {
        /// The files.
        files: Vec<Redaction>,
    },
}

impl Ledger {
    /// Records that `record`'s step began; returns the record's number.
    pub fn begin_run(&mut self, record: &RunRecord) -> Result<i64> {
        self.transaction(|db| {
            db.execute(
                "INSERT INTO runs (run_id, step, started, tool_version, host)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    record.run_id,
                    record.step.as_str(),
                    record.started,
                    record.tool_version,
                    record.host
                ],
            )?;
            Ok(db.last_insert_rowid())
        })
    }

    /// Records how step number `id` ended, and what it found.
    pub fn end_run(&mut self, id: i64, end: &RunEnd<'_>) -> Result<()> {
        let RunEnd { at, seconds, outcome, detail, findings } = end;
        self.transaction(|db| {
            super::findings::record(db, id, at, findings, *outcome != RunOutcome::Failed)?;
            db.execute(
                "UPDATE runs SET ended = ?2, seconds = ?3, outcome = ?4, detail = ?5
                 WHERE id = ?1",
                params![id, at, seconds, outcome.as_str(), detail],
            )
            .map(drop)
        })
    }

    /// Whether the run of `step` before `present` succeeded; true if there was none.
    pub fn previous_run_completed(&self, step: Step, present: &RunId) -> Result<bool> {
        self.query(|db| {
            let outcome: Option<Option<RunOutcome>> = db
                .query_row(
                    "SELECT outcome FROM runs WHERE step = ?1 AND run_id <> ?2
                     ORDER BY id DESC LIMIT 1",
                    params![step.as_str(), present],
                    |row| outcome(row.get(0)?),
                )
                .optional()?;
            Ok(outcome.is_none_or(|o| o.is_some_and(|o| o != RunOutcome::Failed)))
        })
    }

    /// When `step` last ended without failure, RFC 3339, UTC.
    pub fn last_success(&self, step: Step) -> Result<Option<String>> {
        self.query(|db| {
            db.query_row(
                "SELECT ended FROM runs WHERE step = ?1 AND ended IS NOT NULL
                 AND outcome <> ?2 ORDER BY id DESC LIMIT 1",
                params![step.as_str(), RunOutcome::Failed.as_str()],
                |row| row.get(0),
            )
            .optional()
        })
    }

    /// The report, as JSON, of the newest run of `step` that did not fail and that was about `release`.
    pub fn report_on(&self, step: Step, release: &ReleaseId) -> Result<Option<String>> {
        self.query(|db| {
            db.query_row(
                "SELECT detail FROM runs WHERE step = ?1 AND outcome <> ?2
                 AND CASE WHEN json_valid(detail) THEN json_extract(detail, '$.release') END = ?3
                 ORDER BY id DESC LIMIT 1",
                params![step.as_str(), RunOutcome::Failed.as_str(), release.as_str()],
                |row| row.get(0),
            )
            .optional()
        })
    }

    /// The last `limit` ended runs of `step`, oldest first.
    pub fn runs(&self, step: Step, limit: u32) -> Result<Vec<RunRecord>> {
        self.query(|db| {
            let mut statement = db.prepare(
                "SELECT run_id, step, started, ended, seconds, outcome, detail, tool_version, host
                 FROM runs WHERE step = ?1 AND ended IS NOT NULL ORDER BY id DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(params![step.as_str(), limit], |row| {
                Ok(RunRecord {
                    run_id: row.get(0)?,
                    step,
                    started: row.get(2)?,
                    ended: row.get(3)?,
                    seconds: row.get(4)?,
                    outcome: outcome(row.get(5)?)?,
                    detail: row.get(6)?,
                    tool_version: row.get(7)?,
                    host: row.get(8)?,
                })
            })?;
            let mut records: Vec<RunRecord> = rows.collect::<rusqlite::Result<_>>()?;
            records.reverse();
            Ok(records)
        })
    }

    /// The report of the last ended run of `step`, of whose lists the record has the first items;
    /// `None` if that failed or this program cannot read the report, since another version wrote it.
    pub fn last_report<T: serde::de::DeserializeOwned>(&self, step: Step) -> Result<Option<T>> {
        Ok(self.runs(step, 1)?.last().and_then(RunRecord::report))
    }

    /// Records an intent; returns its number.
    pub fn intend(&mut self, run_id: &RunId, intent: &Intent) -> Result<i64> {
        self.transaction(|db| {
            db.execute(
                "INSERT INTO intents (run_id, payload) VALUES (?1, ?2)",
                params![run_id, to_json(intent)?],
            )?;
            Ok(db.last_insert_rowid())
        })
    }

    /// Intents of interrupted runs, oldest first.
    pub fn intents(&self) -> Result<Vec<(i64, Intent)>> {
        self.query(|db| {
            let mut statement = db.prepare("SELECT id, payload FROM intents ORDER BY id")?;
            let rows = statement
                .query_map([], |row| Ok((row.get(0)?, from_json(1, &row.get::<_, String>(1)?)?)))?;
            rows.collect()
        })
    }

    /// Removes an intent that was undone.
    pub fn withdraw(&mut self, intent: i64) -> Result<()> {
        self.transaction(|db| db.execute("DELETE FROM intents WHERE id = ?1", [intent]).map(drop))
    }
}

/// The outcome in column 5 of a run, or alone.
fn outcome(text: Option<String>) -> rusqlite::Result<Option<RunOutcome>> {
    text.map(|text| from_text(5, &text)).transpose()
}
