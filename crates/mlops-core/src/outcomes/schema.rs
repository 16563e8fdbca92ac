//! The tables of the store, and how it is opened.
//!
//! The store can be rebuilt from the log and the files of labels, except for predictions whose log
//! files are gone. Not for its content: see [`super::store`].

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};

use crate::ledger::read_only;
use crate::platform::disk::{Disk, DiskStep};
use crate::{Error, Result};

/// SQLite's `user_version`. A store of another version is made again.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE logs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, end INTEGER NOT NULL, tail TEXT NOT NULL,
    strange INTEGER NOT NULL, without_key INTEGER NOT NULL) STRICT;
CREATE TABLE releases (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE predictions (
    id INTEGER PRIMARY KEY, log INTEGER NOT NULL, byte INTEGER NOT NULL, at INTEGER NOT NULL,
    release INTEGER NOT NULL, probability REAL NOT NULL, positive INTEGER NOT NULL, key TEXT,
    ids TEXT, label INTEGER, delay INTEGER, written INTEGER, line INTEGER) STRICT;
CREATE TABLE dropped (
    log INTEGER NOT NULL, at INTEGER NOT NULL, key TEXT NOT NULL, probability REAL NOT NULL,
    written INTEGER NOT NULL, line INTEGER NOT NULL) STRICT;
CREATE INDEX dropped_by_time ON dropped (at);
CREATE INDEX predictions_by_key ON predictions (key) WHERE key IS NOT NULL;
CREATE INDEX predictions_labelled ON predictions
    (release, at, probability, positive, label, delay) WHERE label IS NOT NULL;
CREATE TABLE days (
    release INTEGER NOT NULL, day INTEGER NOT NULL, predicted INTEGER NOT NULL,
    labelled INTEGER NOT NULL, stale INTEGER NOT NULL, PRIMARY KEY (release, day))
    STRICT, WITHOUT ROWID;
CREATE TABLE windows (
    release INTEGER NOT NULL, start INTEGER NOT NULL, realised TEXT NOT NULL,
    PRIMARY KEY (release, start)) STRICT, WITHOUT ROWID;
CREATE TABLE label_files (
    id INTEGER PRIMARY KEY, location TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL, inode INTEGER NOT NULL, content TEXT NOT NULL,
    rows INTEGER NOT NULL, whole INTEGER NOT NULL, again INTEGER NOT NULL,
    unreadable INTEGER NOT NULL, doubled INTEGER NOT NULL, without_key INTEGER NOT NULL) STRICT;
CREATE TABLE labels (
    seq INTEGER PRIMARY KEY, key TEXT NOT NULL, time INTEGER NOT NULL, known INTEGER NOT NULL,
    positive INTEGER NOT NULL, file INTEGER NOT NULL, changed INTEGER NOT NULL,
    matched INTEGER NOT NULL) STRICT;
CREATE INDEX labels_by_key ON labels (key);
CREATE INDEX labels_unknown ON labels (seq) WHERE matched = 0;
CREATE INDEX labels_changed ON labels (seq) WHERE changed = 1;
";

/// Opens the store at `path`, or makes an empty one: also in the place of one of another version, or
/// with other `settings`, whose keys would not be the present ones.
pub(super) fn open(path: &Path, disk: &Disk, settings: &str) -> Result<Connection> {
    if let Some(folder) = path.parent() {
        disk.create_folder(folder)?;
    }
    disk.create_shared(path)?;
    let fail = |e: rusqlite::Error| failed(path, &e);
    let db = Connection::open(path).map_err(fail)?;
    db.busy_timeout(Duration::from_secs(10)).map_err(fail)?;
    // A commit that a power cut takes is read again: places and rows are in the same commit.
    let set = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536;
               PRAGMA secure_delete = ON;";
    db.execute_batch(set).map_err(fail)?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fail)?;
    let as_before = version == VERSION && {
        let sql = "SELECT value FROM meta WHERE key = 'settings'";
        let before: Option<String> =
            db.query_row(sql, [], |row| row.get(0)).optional().map_err(fail)?;
        before.as_deref() == Some(settings)
    };
    if !as_before {
        let names = "SELECT name FROM sqlite_master WHERE type = 'table'";
        let names = db.prepare(names).and_then(|mut statement| {
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        });
        let mut script = "BEGIN IMMEDIATE;".to_owned();
        for name in names.map_err(fail)? {
            script.extend(["DROP TABLE \"", &name, "\";"]);
        }
        script += TABLES;
        script.extend(["PRAGMA user_version = ", &VERSION.to_string(), ";"]);
        disk.announce(DiskStep::Commit, path)?;
        let made = db.execute_batch(&script).and_then(|()| {
            db.execute("INSERT INTO meta VALUES ('settings', ?1)", [settings])?;
            db.execute_batch("COMMIT")
        });
        made.map_err(fail)?;
    }
    Ok(db)
}

/// Opens the store at `path` to read; `None` if there is none with `settings`.
pub(super) fn open_to_read(path: &Path, settings: &str) -> Result<Option<Connection>> {
    if !path.try_exists().map_err(|e| Error::io("read", path, e))? {
        return Ok(None);
    }
    let fail = |e: rusqlite::Error| failed(path, &e);
    let db = read_only::open(path).map_err(fail)?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fail)?;
    if version != VERSION {
        return Ok(None);
    }
    let sql = "SELECT value FROM meta WHERE key = 'settings'";
    let found: Option<String> = db.query_row(sql, [], |row| row.get(0)).optional().map_err(fail)?;
    Ok(Some(db).filter(|_| found.as_deref() == Some(settings)))
}

/// The error for what SQLite says about the store at `path`.
pub(super) fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{
        DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase,
    };
    let place = path.display();
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => Error::conflict(format!(
            "{place}, where predictions are joined with labels, is damaged ({error}): restore it from \
             a backup, or remove it; the next run makes it again from the log of predictions and the \
             files of labels that are still there"
        )),
        Some(DatabaseBusy | DatabaseLocked) => {
            Error::locked(format!("another program keeps {place} locked: try again"))
        }
        Some(DiskFull) => Error::backend(
            "SQLite",
            format!("the disk of {place} is full: free some space and run again; nothing is lost"),
        ),
        _ => Error::backend("SQLite", format!("{place}: {error}")),
    }
}
