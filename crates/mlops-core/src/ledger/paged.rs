//! Records page by page, newest first, for display: no query here reads more than a page of details, however
//! many records there are.
//!
//! Not for stages, which need all records of a kind or one.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Deployment, FileRecord, Ledger, datasets, deployments, from_text};
use crate::Result;
use crate::ids::{DatasetVersion, DecisionOutcome, ReleaseId, RunId, RunOutcome, Step};

/// The number of records on a page.
pub const PAGE_SIZE: u64 = 50;
/// The most bytes of an error that a page of runs shows.
const ERROR_BYTES: u32 = 2000;

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Paged<T> {
    /// What is on the page, the newest first.
    pub items: Vec<T>,
    /// Its number, from 1.
    pub page: u64,
    /// The number of items on a full page.
    pub size: u64,
    /// The number of items on all pages.
    pub total: u64,
}

impl<T> Paged<T> {
    /// The number of pages, at least 1.
    pub fn pages(&self) -> u64 {
        self.total.div_ceil(self.size.max(1)).max(1)
    }

    /// No items, as of a ledger that does not exist yet.
    pub fn empty() -> Self {
        Self { items: Vec::new(), page: 1, size: PAGE_SIZE, total: 0 }
    }

    /// The same page with each item made into another.
    pub fn map<U>(self, item: impl FnMut(T) -> U) -> Paged<U> {
        let Self { items, page, size, total } = self;
        Paged { items: items.into_iter().map(item).collect(), page, size, total }
    }
}

/// A run without its report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunSummary {
    /// The id of the run.
    pub run_id: RunId,
    /// The step.
    pub step: Step,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// When it ended; `None` while it works, or if it was killed.
    pub ended: Option<String>,
    /// Its duration in seconds.
    pub seconds: Option<f64>,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// The beginning of its error, if it failed.
    pub error: Option<String>,
    /// Version of the program.
    pub tool_version: String,
    /// The machine.
    pub host: String,
}

/// A decision without its details.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DecisionSummary {
    /// The run that made it.
    pub run_id: RunId,
    /// When it was recorded, RFC 3339, UTC.
    pub recorded: String,
    /// The outcome.
    pub outcome: DecisionOutcome,
    /// The reason for it; `None` if the details were thinned out.
    pub reason: Option<String>,
    /// The data set that it was made on.
    pub dataset: DatasetVersion,
    /// The number of new rows.
    pub new_rows: Option<u64>,
    /// F1 of the live release on the new rows.
    pub f1: Option<f64>,
    /// The live release that was judged.
    pub release: Option<ReleaseId>,
}

/// The missing cells of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingCells {
    /// The run that read it.
    pub run_id: RunId,
    /// The data set that its rows went to first.
    pub dataset: DatasetVersion,
    /// When it was recorded, in nanoseconds since 1970.
    pub recorded_ns: i64,
    /// Rows that were kept.
    pub rows: u64,
    /// Missing cells among them by column, in schema order.
    pub missing: Vec<u64>,
}

/// The part of a file's counts that says so.
#[derive(Default, Deserialize)]
#[serde(default)]
struct KeptCells {
    rows_kept: u64,
    missing: Vec<u64>,
}

/// Which runs are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunsWanted {
    /// Only those of this step.
    pub step: Option<Step>,
    /// Only those that failed.
    pub failed: bool,
}

impl Ledger {
    /// Page `page` of the deployments and rollbacks, and when the one after its first was recorded.
    pub fn deployments_paged(&self, page: u64) -> Result<(Paged<Deployment>, Option<String>)> {
        self.query(|db| {
            let total = count(db, "SELECT COUNT(*) FROM deployments")?;
            let sql = format!(
                "SELECT {} FROM deployments ORDER BY id DESC LIMIT ?1 OFFSET ?2",
                deployments::DEPLOYMENT
            );
            let mut statement = db.prepare(&sql)?;
            let [limit, offset] = window(page);
            let rows = statement.query_map([limit, offset], deployments::deployment)?;
            let items = rows.collect::<rusqlite::Result<_>>()?;
            let sql = "SELECT recorded FROM deployments ORDER BY id DESC LIMIT 1 OFFSET ?1";
            let after = match offset {
                0 => None,
                offset => db.query_row(sql, [offset - 1], |row| row.get(0)).optional()?,
            };
            Ok((paged(items, page, total), after))
        })
    }

    /// When `release` went live, the oldest first.
    pub fn deployments_of(&self, release: &ReleaseId) -> Result<Vec<Deployment>> {
        self.query(|db| {
            let sql = format!(
                "SELECT {} FROM (SELECT * FROM deployments WHERE release = ?1 ORDER BY id DESC LIMIT ?2)
                 ORDER BY id",
                deployments::DEPLOYMENT
            );
            let mut statement = db.prepare(&sql)?;
            let found = params![release.as_str(), super::signed(PAGE_SIZE)];
            statement.query_map(found, deployments::deployment)?.collect()
        })
    }

    /// Page `page` of the decisions; without `all` only those about new data.
    pub fn decisions_paged(&self, all: bool, page: u64) -> Result<Paged<DecisionSummary>> {
        let nothing = if all { "" } else { DecisionOutcome::NothingNew.as_str() };
        self.query(|db| {
            let sql = "SELECT COUNT(*) FROM decisions WHERE outcome <> ?1";
            let total = db.query_row(sql, [nothing], |row| row.get(0)).map(super::unsigned)?;
            let sql = "SELECT run_id, recorded, outcome,
                    CASE WHEN json_valid(decision) THEN json_extract(decision, '$.reason') END, dataset,
                    CASE WHEN json_valid(decision) THEN json_extract(decision, '$.data.new_rows') END,
                    f1, release
                FROM decisions WHERE id IN
                    (SELECT id FROM decisions WHERE outcome <> ?1 ORDER BY id DESC LIMIT ?2 OFFSET ?3)
                ORDER BY id DESC";
            let mut statement = db.prepare(sql)?;
            let [limit, offset] = window(page);
            let rows = statement.query_map(params![nothing, limit, offset], |row| {
                let release: Option<String> = row.get(7)?;
                Ok(DecisionSummary {
                    run_id: row.get(0)?,
                    recorded: row.get(1)?,
                    outcome: from_text(2, &row.get::<_, String>(2)?)?,
                    reason: row.get(3)?,
                    dataset: DatasetVersion(row.get(4)?),
                    new_rows: row.get::<_, Option<i64>>(5)?.map(super::unsigned),
                    f1: row.get(6)?,
                    release: release.map(|text| from_text(7, &text)).transpose()?,
                })
            })?;
            Ok(paged(rows.collect::<rusqlite::Result<_>>()?, page, total))
        })
    }

    /// Page `page` of the files that were seen.
    pub fn files_paged(&self, page: u64) -> Result<Paged<FileRecord>> {
        self.query(|db| {
            let total = count(db, "SELECT COUNT(*) FROM files")?;
            let sql = format!(
                "SELECT {} FROM files ORDER BY id DESC LIMIT ?1 OFFSET ?2",
                datasets::FILE_COLUMNS
            );
            let mut statement = db.prepare(&sql)?;
            let rows = statement.query_map(window(page), datasets::file)?;
            Ok(paged(rows.collect::<rusqlite::Result<_>>()?, page, total))
        })
    }

    /// The missing cells of the newest `most` files whose rows are in a data set, newest first.
    pub fn missing_cells(&self, most: u32) -> Result<Vec<MissingCells>> {
        self.query(|db| {
            let sql = "SELECT run_id, dataset, recorded_ns, counts FROM files
                       WHERE dataset IS NOT NULL ORDER BY id DESC LIMIT ?1";
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([most], |row| {
                // What another version wrote may lack some of this.
                let counts: KeptCells =
                    serde_json::from_str(&row.get::<_, String>(3)?).unwrap_or_default();
                Ok(MissingCells {
                    run_id: row.get(0)?,
                    dataset: DatasetVersion(row.get(1)?),
                    recorded_ns: row.get(2)?,
                    rows: counts.rows_kept,
                    missing: counts.missing,
                })
            })?;
            rows.collect()
        })
    }

    /// Page `page` of the runs that `wanted` names.
    pub fn runs_paged(&self, wanted: RunsWanted, page: u64) -> Result<Paged<RunSummary>> {
        let step = wanted.step.map(Step::as_str);
        // One of the two conditions at most, so that an index or the order of the records serves.
        let which = match (wanted.step, wanted.failed) {
            (None, false) => "?1 IS NULL",
            (Some(_), false) => "step = ?1",
            (None, true) => "outcome = 'failed' AND ?1 IS NULL",
            (Some(_), true) => "step = ?1 AND outcome = 'failed'",
        };
        self.query(|db| {
            let sql = format!("SELECT COUNT(*) FROM runs WHERE {which}");
            let total = db.query_row(&sql, [step], |row| row.get(0)).map(super::unsigned)?;
            // Of the records before the page only the numbers are read.
            let sql = format!(
                "SELECT {RUN} FROM runs WHERE id IN
                     (SELECT id FROM runs WHERE {which} ORDER BY id DESC LIMIT ?3 OFFSET ?4)
                 ORDER BY id DESC"
            );
            let mut statement = db.prepare(&sql)?;
            let [limit, offset] = window(page);
            let rows = statement.query_map(params![step, ERROR_BYTES, limit, offset], run)?;
            Ok(paged(rows.collect::<rusqlite::Result<_>>()?, page, total))
        })
    }

    /// The steps of run `run_id` in the order in which they began, with their reports.
    pub fn steps_of(&self, run_id: &RunId) -> Result<Vec<(RunSummary, Option<String>)>> {
        self.query(|db| {
            let sql = format!("SELECT {RUN}, detail FROM runs WHERE run_id = ?1 ORDER BY id");
            let mut statement = db.prepare(&sql)?;
            let rows = statement
                .query_map(params![run_id, ERROR_BYTES], |row| Ok((run(row)?, row.get(9)?)))?;
            rows.collect()
        })
    }

    /// The newest run of each step.
    pub fn newest_runs(&self) -> Result<Vec<RunSummary>> {
        self.query(|db| {
            let sql = format!(
                "SELECT {RUN} FROM runs WHERE ?1 IS NULL
                     AND id IN (SELECT MAX(id) FROM runs GROUP BY step)
                 ORDER BY id DESC"
            );
            let mut statement = db.prepare(&sql)?;
            statement.query_map(params![Option::<&str>::None, ERROR_BYTES], run)?.collect()
        })
    }

    /// When the last `limit` runs of `step` began, the newest first.
    pub fn starts(&self, step: Step, limit: u32) -> Result<Vec<String>> {
        self.query(|db| {
            let sql = "SELECT started FROM runs WHERE step = ?1 ORDER BY id DESC LIMIT ?2";
            let mut statement = db.prepare(sql)?;
            statement.query_map(params![step.as_str(), limit], |row| row.get(0))?.collect()
        })
    }
}

const RUN: &str = "run_id, step, started, ended, seconds, outcome,
    CASE WHEN outcome = 'failed' THEN substr(detail, 1, ?2) END, tool_version, host";

fn run(row: &Row) -> rusqlite::Result<RunSummary> {
    let outcome: Option<String> = row.get(5)?;
    Ok(RunSummary {
        run_id: row.get(0)?,
        step: from_text(1, &row.get::<_, String>(1)?)?,
        started: row.get(2)?,
        ended: row.get(3)?,
        seconds: row.get(4)?,
        outcome: outcome.map(|text| from_text(5, &text)).transpose()?,
        error: row.get(6)?,
        tool_version: row.get(7)?,
        host: row.get(8)?,
    })
}

fn count(db: &Connection, sql: &str) -> rusqlite::Result<u64> {
    db.query_row(sql, [], |row| row.get(0)).map(super::unsigned)
}

/// The limit and the offset of page `page`.
fn window(page: u64) -> [i64; 2] {
    let before = page.saturating_sub(1).saturating_mul(PAGE_SIZE);
    [super::signed(PAGE_SIZE), super::signed(before)]
}

fn paged<T>(items: Vec<T>, page: u64, total: u64) -> Paged<T> {
    Paged { items, page: page.max(1), size: PAGE_SIZE, total }
}
