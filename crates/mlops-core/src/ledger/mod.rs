//! The record of what was ingested, trained, scored and deployed, from which text files are
//! derived. One SQLite file in WAL mode.
//!
//! Contract: a commit is seen whole or not at all; the same content is never ingested twice; a data
//! set version has one record. Every commit is announced to the [`Disk`], like every write of a
//! file. Not for the text files that people read: see [`projections`].

mod alerts;
mod approvals;
mod asked;
mod copies;
mod datasets;
mod decisions;
mod deployments;
mod discarded;
mod expectations;
mod findings;
pub mod forgotten;
mod holdouts;
mod identity;
mod landed;
pub(crate) mod lost;
mod migrate;
mod models;
mod paged;
pub mod projections;
pub(crate) mod read_only;
mod runs;
mod segments;
mod thin;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, params};

pub use alerts::{AlertState, Attempt, Queued, Queueing};
pub use approvals::{Approval, ApprovalState};
pub use datasets::{DatasetRecord, FileRecord, FileStatus, TestSet};
pub use decisions::{Challenger, DecisionLine, DecisionRecord, Headline};
pub use deployments::{Action, Deployment, Removed};
pub use discarded::Discarded;
pub use expectations::{Arrival, SourceState};
pub use findings::{FindingFilter, FindingRecord, Observed};
pub use forgotten::{
    Erasure, ErasureCounts, ErasureRecord, HoldoutAfter, LandedAfter, Redaction, Traces,
};
pub use holdouts::{Drawn, HoldoutRecord};
pub use landed::Landed;
pub use models::{Counts, ModelRecord, ThresholdCounts};
pub use paged::{DecisionSummary, MissingCells, PAGE_SIZE, Paged, RunSummary, RunsWanted};
pub use runs::{Intent, RunEnd, RunRecord};
pub use segments::Segment;

use crate::ids::RunId;
use crate::platform::disk::{Disk, DiskStep};
use crate::{Error, Result};

/// Version of the tables, in SQLite's `user_version`; [`migrate`] handles older ones.
const FORMAT_VERSION: i64 = 5;
/// SQLite's `application_id`: "MLOP".
const APPLICATION_ID: i64 = 0x4d4c_4f50;

/// The tables of the present format. Additions must be made in [`migrate`] too; new columns come
/// last, where `ALTER TABLE` puts them.
const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, step TEXT NOT NULL, started TEXT NOT NULL,
    ended TEXT, seconds REAL, outcome TEXT, detail TEXT, tool_version TEXT NOT NULL,
    host TEXT NOT NULL) STRICT;
CREATE INDEX runs_by_step ON runs (step);
CREATE INDEX runs_by_run ON runs (run_id);
CREATE INDEX runs_by_outcome ON runs (outcome);
CREATE TABLE intents (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, payload TEXT NOT NULL) STRICT;
CREATE TABLE datasets (
    version INTEGER PRIMARY KEY, run_id TEXT NOT NULL, location TEXT NOT NULL,
    sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, rows INTEGER NOT NULL,
    new_rows INTEGER NOT NULL, quarantined INTEGER NOT NULL, columns TEXT NOT NULL,
    recorded TEXT NOT NULL, base INTEGER, stamp TEXT) STRICT;
CREATE TABLE segments (
    dataset INTEGER NOT NULL, place INTEGER NOT NULL, sha256 TEXT NOT NULL,
    location TEXT NOT NULL, batch INTEGER NOT NULL, replaces TEXT, first_row INTEGER NOT NULL,
    rows INTEGER NOT NULL, PRIMARY KEY (dataset, place)) STRICT;
CREATE INDEX segments_by_sha256 ON segments (sha256);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, name TEXT NOT NULL, location TEXT NOT NULL,
    size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, inode INTEGER NOT NULL, sha256 TEXT,
    status TEXT NOT NULL, reason TEXT, same_as TEXT, replaces TEXT, dataset INTEGER,
    counts TEXT NOT NULL, recorded_ns INTEGER NOT NULL) STRICT;
CREATE INDEX files_by_location ON files (location);
CREATE INDEX files_by_sha256 ON files (sha256);
CREATE INDEX files_by_size ON files (size);
CREATE TABLE test_sets (
    version INTEGER PRIMARY KEY, run_id TEXT NOT NULL, files TEXT NOT NULL,
    recorded TEXT NOT NULL) STRICT;
CREATE TABLE holdouts (
    version INTEGER PRIMARY KEY, run_id TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL,
    rows INTEGER NOT NULL, positives INTEGER NOT NULL, drawn_from INTEGER NOT NULL,
    recorded TEXT NOT NULL, known_rows INTEGER NOT NULL DEFAULT 0, identity TEXT, members BLOB,
    start TEXT) STRICT;
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, dataset INTEGER NOT NULL,
    outcome TEXT NOT NULL, f1 REAL, decision TEXT NOT NULL, recorded TEXT NOT NULL,
    release TEXT, matrix TEXT, headline TEXT) STRICT;
CREATE INDEX decisions_by_run ON decisions (run_id);
CREATE INDEX decisions_by_outcome ON decisions (outcome);
CREATE TABLE models (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, artifact TEXT NOT NULL,
    dataset INTEGER NOT NULL, rows INTEGER NOT NULL, recorded TEXT NOT NULL) STRICT;
CREATE TABLE scores (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, artifact TEXT NOT NULL, f1 REAL NOT NULL,
    score TEXT NOT NULL, recorded TEXT NOT NULL, thresholds TEXT) STRICT;
CREATE INDEX scores_by_artifact ON scores (artifact);
CREATE TABLE deployments (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, step TEXT NOT NULL, action TEXT NOT NULL,
    release TEXT NOT NULL, previous TEXT, f1 REAL, dataset INTEGER NOT NULL,
    reason TEXT NOT NULL, recorded TEXT NOT NULL) STRICT;
CREATE INDEX deployments_by_release ON deployments (release);
CREATE INDEX deployments_by_previous ON deployments (previous);
CREATE TABLE removed (
    kind TEXT NOT NULL, name TEXT NOT NULL, run_id TEXT NOT NULL, recorded TEXT NOT NULL,
    PRIMARY KEY (kind, name)) STRICT;
CREATE TABLE landed (
    source TEXT NOT NULL, object TEXT NOT NULL, version TEXT, location TEXT NOT NULL,
    sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, cursor TEXT, run_id TEXT NOT NULL,
    recorded TEXT NOT NULL, PRIMARY KEY (source, object)) STRICT;
CREATE TABLE expectations (
    source TEXT PRIMARY KEY, looked INTEGER NOT NULL, arrived INTEGER, newest TEXT,
    next_due INTEGER, level TEXT, since INTEGER, told_by TEXT) STRICT;
CREATE TABLE discarded (
    sha256 TEXT NOT NULL, part TEXT NOT NULL, line INTEGER NOT NULL, who TEXT NOT NULL,
    why TEXT NOT NULL, run_id TEXT NOT NULL, recorded TEXT NOT NULL,
    PRIMARY KEY (sha256, part, line)) STRICT;
CREATE TABLE tombstones (
    columns TEXT NOT NULL, hash TEXT NOT NULL, run_id TEXT NOT NULL,
    PRIMARY KEY (columns, hash)) STRICT;
CREATE TABLE erasures (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, recorded TEXT NOT NULL, who TEXT NOT NULL,
    why TEXT NOT NULL, counts TEXT NOT NULL) STRICT;
CREATE TABLE findings (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, severity TEXT NOT NULL,
    text TEXT NOT NULL, step TEXT NOT NULL, first_run TEXT NOT NULL, last_run TEXT NOT NULL,
    first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, ended TEXT) STRICT;
CREATE UNIQUE INDEX open_findings ON findings (kind, subject) WHERE ended IS NULL;
CREATE TABLE asked (
    release TEXT NOT NULL, first_day TEXT NOT NULL, end_day TEXT NOT NULL, rows INTEGER NOT NULL,
    record TEXT NOT NULL, recorded TEXT NOT NULL,
    PRIMARY KEY (release, first_day, end_day)) STRICT;
CREATE TABLE alerts (
    rule TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, finding INTEGER NOT NULL,
    severity TEXT NOT NULL, told TEXT NOT NULL, open INTEGER NOT NULL,
    PRIMARY KEY (rule, kind, subject)) STRICT;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, message_id TEXT NOT NULL, rule TEXT NOT NULL, sink TEXT NOT NULL,
    payload TEXT NOT NULL, created TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT, ended TEXT, sent INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE approvals (
    id INTEGER PRIMARY KEY, release TEXT NOT NULL, run_id TEXT NOT NULL,
    dataset INTEGER NOT NULL, champion TEXT, f1 REAL NOT NULL, reason TEXT NOT NULL,
    recorded TEXT NOT NULL, expires TEXT NOT NULL, state TEXT NOT NULL, closed TEXT, who TEXT,
    why TEXT) STRICT;
";

/// An open ledger.
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
    disk: Disk,
}

/// How long to wait for another program that locks the ledger.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

impl Ledger {
    /// Opens the ledger at `path`, or creates an empty one.
    pub fn open(path: &Path, disk: &Disk) -> Result<Self> {
        if let Some(folder) = path.parent() {
            disk.create_folder(folder)?;
        }
        // SQLite itself would create a file that a group cannot write to.
        disk.create_shared(path)?;
        let ledger = |e: rusqlite::Error| failed(path, &e);
        let connection = Connection::open(path).map_err(ledger)?;
        Self { connection, path: path.to_owned(), disk: disk.clone() }.prepared()
    }

    /// Opens the ledger at `path` read-only; `None` if there is none yet, an error if it was lost.
    pub fn open_to_read(path: &Path) -> Result<Option<Self>> {
        let begun = match fs::metadata(path) {
            Ok(found) => !found.is_file() || found.len() > 0,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            Err(e) => return Err(Error::io("read", path, e)),
        };
        if !begun {
            lost::refuse_to_read(path)?;
            return Ok(None);
        }
        let fail = |e: rusqlite::Error| failed(path, &e);
        let connection = read_only::open(path).map_err(fail)?;
        let version = format(&connection).map_err(fail)?;
        let connection = match version {
            FORMAT_VERSION | 0 => {
                copies::forget(path);
                connection
            }
            // As the next command that writes would leave it.
            migrate::OLDEST..FORMAT_VERSION => copies::of(path, &connection).map_err(fail)?,
            other => return Err(unknown_format(path, other)),
        };
        Ok(Some(Self { connection, path: path.to_owned(), disk: Disk::default() }))
    }

    /// A ledger in memory, for tests and examples.
    pub fn in_memory() -> Result<Self> {
        let path = PathBuf::from(":memory:");
        let connection = Connection::open_in_memory().map_err(|e| failed(&path, &e))?;
        Self { connection, path, disk: Disk::default() }.prepared()
    }

    fn prepared(self) -> Result<Self> {
        let fail = |e: rusqlite::Error| failed(&self.path, &e);
        let db = &self.connection;
        db.busy_timeout(PATIENCE).map_err(fail)?;
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").map_err(fail)?;
        match format(db).map_err(fail)? {
            FORMAT_VERSION => {}
            migrate::OLDEST..FORMAT_VERSION => {
                db.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
                migrate::migrate(db).map_err(fail)?;
                self.disk.announce(DiskStep::Commit, &self.path)?;
                db.execute_batch("COMMIT").map_err(fail)?;
            }
            0 => {
                let script = format!(
                    "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID}; \
                     PRAGMA user_version = {FORMAT_VERSION}; COMMIT;"
                );
                self.disk.announce(DiskStep::Commit, &self.path)?;
                db.execute_batch(&script).map_err(fail)?;
            }
            other => return Err(unknown_format(&self.path, other)),
        }
        Ok(self)
    }

    /// The folder of the ledger, which also contains the data sets.
    fn folder(&self) -> PathBuf {
        crate::platform::disk::parent_of(&self.path).to_owned()
    }

    /// Writes a copy of the present state to the new file `path`.
    pub fn copy_to(&self, path: &Path) -> Result<()> {
        self.query(|db| {
            // SQLite takes the copy for a change.
            db.execute_batch("PRAGMA query_only = OFF")?;
            db.execute("VACUUM INTO ?1", [path.to_string_lossy()]).map(drop)
        })
    }

    /// Runs `work` in one transaction, which is announced and committed, or rolled back.
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let path = &self.path;
        let transaction = self.connection.transaction().map_err(|e| failed(path, &e))?;
        let result = work(&transaction).map_err(|e| failed(path, &e))?;
        self.disk.announce(DiskStep::Commit, path)?;
        transaction.commit().map_err(|e| failed(path, &e))?;
        Ok(result)
    }

    /// Runs `work`, which only reads.
    fn query<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.connection).map_err(|e| failed(&self.path, &e))
    }

    /// An error about a value under `key` that this program did not write.
    fn damaged(&self, key: &str, why: &dyn std::fmt::Display) -> Error {
        Error::conflict(format!(
            "the ledger {} is damaged: what it keeps as {key:?} cannot be read ({why}). Restore it \
             from a backup",
            self.path.display()
        ))
    }

    /// The JSON value stored under `key`.
    pub(crate) fn kept<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(text) = self.meta(key)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|e| self.damaged(key, &e))
    }

    /// Stores `value` as JSON under `key`; `None` removes it.
    pub(crate) fn keep<T: serde::Serialize>(&mut self, key: &str, value: Option<&T>) -> Result<()> {
        self.transaction(|db| match value {
            Some(value) => set_meta(db, key, &to_json(value)?),
            None => db.execute("DELETE FROM meta WHERE key = ?1", [key]).map(drop),
        })
    }

    /// The value stored under `key`.
    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        self.query(|db| {
            db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
                .optional()
        })
    }
}

impl ToSql for RunId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for RunId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::named)
    }
}

fn format(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn unknown_format(path: &Path, version: i64) -> Error {
    Error::conflict(format!(
        "{} has format version {version}, this program knows version {FORMAT_VERSION}: use the \
         program that wrote it",
        path.display()
    ))
}

/// Stores `value` under `key`, inside a transaction.
fn set_meta(db: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
        params![key, value],
    )
    .map(drop)
}

fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{
        DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, SystemIoFailure,
    };
    let place = path.display();
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => Error::conflict(format!(
            "the ledger {place} is damaged ({error}): restore it from a backup, or move the \
             output folder away and run ingestion again; it starts from the source files"
        )),
        Some(DatabaseBusy | DatabaseLocked) => {
            Error::locked(format!("another program keeps the ledger {place} locked: try again"))
        }
        Some(DiskFull) => Error::backend(
            "SQLite",
            format!("the disk of {place} is full: free some space and run again; nothing is lost"),
        ),
        Some(SystemIoFailure) => {
            Error::backend("SQLite", format!("{place}: {error}: is the disk full or damaged?"))
        }
        _ => Error::backend("SQLite", format!("{place}: {error}")),
    }
}

/// Serialises one of our own types, which cannot fail.
fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

/// Reads JSON that [`to_json`] wrote.
fn from_json<T: serde::de::DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
    })
}

/// Reads a digest, or another type with a text form.
fn from_text<T: std::str::FromStr<Err = String>>(column: usize, text: &str) -> rusqlite::Result<T> {
    text.parse().map_err(|e: String| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, e.into())
    })
}

/// SQLite's integers are signed; counts stay far below 2^63.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DatasetVersion, DecisionOutcome};

    #[test]
    fn a_ledger_that_another_program_keeps_locked_is_waited_for_then_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let mut ledger = Ledger::open(&path, &Disk::default()).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let decision = DecisionRecord {
            run_id: RunId::named("run"),
            dataset: DatasetVersion(1),
            outcome: DecisionOutcome::NoDrift,
            f1: None,
            matrix: None,
            release: None,
            decision: "{}".to_owned(),
            recorded: "2033".to_owned(),
            headline: None,
        };
        let error = ledger.record_decision(&decision).unwrap_err();
        assert!(matches!(error.kind(), crate::ErrorKind::Locked(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains("ledger.sqlite locked: try again"), "{text}");
        other.execute_batch("ROLLBACK").unwrap();
        assert!(ledger.decisions().unwrap().is_empty());
        ledger.record_decision(&decision).unwrap();
    }
}
