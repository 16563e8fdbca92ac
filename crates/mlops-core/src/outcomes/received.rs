//! Batches of labels that were sent: a SQLite file to which the service adds one row for each batch, however many
//! come.
//!
//! A batch is acknowledged after its commit. A join reads what came after the number that it read last, so that it takes
//! as long as what is new. Not for reading what a batch says: see `stage::received`; not for joining: see [`super::store`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::ledger::read_only;
use crate::platform::digest::Digest;
use crate::platform::disk::{Disk, DiskStep};
use crate::table::quote::{push_text, records};
use crate::{Error, Result};

/// SQLite's `user_version`.
const VERSION: i64 = 1;

/// A number is never used again, so that those who read up to one miss nothing.
const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE, came INTEGER NOT NULL,
    csv BLOB NOT NULL) STRICT;
INSERT INTO meta VALUES ('identity', lower(hex(randomblob(16))));
";

/// The file, open.
#[derive(Debug)]
pub struct Received {
    db: Connection,
    path: PathBuf,
    disk: Disk,
}

/// A batch that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number; a later one is larger.
    pub id: u64,
    /// When it came, in milliseconds since 1970.
    pub came: i64,
    /// Its rows as CSV with a header, in canonical spelling.
    pub csv: Vec<u8>,
}

impl Received {
    /// Opens the file at `path` to write, or makes an empty one.
    ///
    /// # Errors
    /// `Io` if it may not be written; `Conflict` if it is damaged or of a later version.
    pub fn open(path: &Path, disk: &Disk) -> Result<Self> {
        if let Some(folder) = path.parent() {
            disk.create_folder(folder)?;
        }
        disk.create_shared(path)?;
        let fail = |e: rusqlite::Error| failed(path, &e);
        let db = Connection::open(path).map_err(fail)?;
        db.busy_timeout(Duration::from_secs(10)).map_err(fail)?;
        // What is acknowledged is on disk, whatever happens to the power.
        let set =
            "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;";
        db.execute_batch(set).map_err(fail)?;
        let received = Self { db, path: path.to_owned(), disk: disk.clone() };
        if received.version()? == 0 {
            disk.announce(DiskStep::Commit, path)?;
            received.query(|db| {
                db.execute_batch("BEGIN IMMEDIATE")?;
                // Another service may have been here meanwhile.
                if db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? == 0 {
                    db.execute_batch(TABLES)?;
                    db.execute_batch(&format!("PRAGMA user_version = {VERSION}"))?;
                }
                db.execute_batch("COMMIT")
            })?;
        }
        Ok(received)
    }

    /// Opens the file at `path` to read; `None` if there is none, or nothing was ever kept in it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_to_read(path: &Path) -> Result<Option<Self>> {
        if !path.try_exists().map_err(|e| Error::io("read", path, e))? {
            return Ok(None);
        }
        let db = read_only::open(path).map_err(|e| failed(path, &e))?;
        let received = Self { db, path: path.to_owned(), disk: Disk::default() };
        Ok((received.version()? != 0).then_some(received))
    }

    fn version(&self) -> Result<i64> {
        match self.query(|db| db.query_row("PRAGMA user_version", [], |row| row.get(0)))? {
            found @ (0 | VERSION) => Ok(found),
            found => Err(Error::conflict(format!(
                "{} has format version {found}, this program knows version {VERSION}: use the program that \
                 wrote it",
                self.path.display()
            ))),
        }
    }

    fn query<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.db).map_err(|e| failed(&self.path, &e))
    }

    /// What tells this file from another one at the same place.
    pub fn identity(&self) -> Result<String> {
        self.query(|db| {
            db.query_row("SELECT value FROM meta WHERE key = 'identity'", [], |row| row.get(0))
        })
    }

    /// Whether the batch of this digest is kept.
    pub fn has(&self, digest: &Digest) -> Result<bool> {
        self.query(|db| {
            let sql = "SELECT EXISTS (SELECT 1 FROM batches WHERE digest = ?1)";
            db.query_row(sql, [digest.to_string()], |row| row.get(0))
        })
    }

    /// Keeps a batch durably; returns whether it was there before. `came` is in milliseconds since 1970.
    ///
    /// # Errors
    /// Those of the disk; nothing is kept then.
    pub fn keep(&self, digest: &Digest, came: i64, csv: &[u8]) -> Result<bool> {
        if self.has(digest)? {
            return Ok(true);
        }
        self.disk.announce(DiskStep::Commit, &self.path)?;
        let sql =
            "INSERT INTO batches (digest, came, csv) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        let new = self.query(|db| db.execute(sql, params![digest.to_string(), came, csv]))?;
        Ok(new == 0)
    }

    /// The first batch after the number `id`; 0 is before all of them.
    pub fn after(&self, id: u64) -> Result<Option<Kept>> {
        let id = i64::try_from(id).unwrap_or(i64::MAX);
        self.query(|db| {
            let sql = "SELECT id, came, csv FROM batches WHERE id > ?1 ORDER BY id LIMIT 1";
            let kept = |row: &Row| {
                let id = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
                Ok(Kept { id, came: row.get(1)?, csv: row.get(2)? })
            };
            db.prepare_cached(sql)?.query_row([id], kept).optional()
        })
    }

    /// How many rows there are of which `is_theirs`, given the names of the columns and the texts of a row, says so.
    pub fn count(&self, is_theirs: impl Fn(&[String], &[String]) -> bool) -> Result<u64> {
        let (mut last, mut found) = (0, 0);
        while let Some(batch) = self.after(last)? {
            last = batch.id;
            let mut rows = records(&batch.csv);
            let Some((_, names)) = rows.next() else { continue };
            found += rows.filter(|(_, row)| is_theirs(&names, row)).count() as u64;
        }
        Ok(found)
    }

    /// Removes these rows, and batches that have no others; the id of a batch is that of what it has then. `mark`
    /// tells for whom this was done last, if it was done.
    ///
    /// # Errors
    /// Those of the disk; all or nothing is removed.
    pub fn purge(
        &self,
        mark: &str,
        is_theirs: impl Fn(&[String], &[String]) -> bool,
    ) -> Result<u64> {
        let sql = "SELECT value FROM meta WHERE key = 'purged'";
        let before: Option<String> =
            self.query(|db| db.query_row(sql, [], |row| row.get(0)).optional())?;
        if before.as_deref() == Some(mark) {
            return Ok(0);
        }
        self.query(|db| db.execute_batch("BEGIN IMMEDIATE"))?;
        let gone = self.without(mark, is_theirs);
        if gone.is_err() {
            // What made it fail is told.
            let _ = self.db.execute_batch("ROLLBACK");
        }
        gone
    }

    fn without(&self, mark: &str, is_theirs: impl Fn(&[String], &[String]) -> bool) -> Result<u64> {
        let (mut last, mut gone) = (0, 0);
        while let Some(batch) = self.after(last)? {
            last = batch.id;
            let mut rows = records(&batch.csv);
            let Some((head, names)) = rows.next() else { continue };
            let (mut kept, mut theirs) = (head.to_vec(), 0);
            for (raw, row) in rows {
                if is_theirs(&names, &row) {
                    theirs += 1;
                } else {
                    kept.extend_from_slice(raw);
                }
            }
            if theirs == 0 {
                continue;
            }
            gone += theirs;
            let id = i64::try_from(batch.id).unwrap_or(i64::MAX);
            self.query(|db| {
                let digest = Digest::of(&kept).to_string();
                let sql = "UPDATE OR IGNORE batches SET digest = ?2, csv = ?3 WHERE id = ?1";
                // What is left of it may be another batch.
                let is_empty = kept.len() == head.len();
                if is_empty || db.execute(sql, params![id, digest, kept])? == 0 {
                    db.execute("DELETE FROM batches WHERE id = ?1", [id])?;
                }
                Ok(())
            })?;
        }
        self.query(|db| {
            let sql = "INSERT INTO meta VALUES ('purged', ?1)
                       ON CONFLICT (key) DO UPDATE SET value = ?1";
            db.execute(sql, [mark]).map(drop)
        })?;
        self.disk.announce(DiskStep::Commit, &self.path)?;
        self.query(|db| db.execute_batch("COMMIT"))?;
        Ok(gone)
    }
}

/// Adds a record to a CSV text of ours.
pub fn push_row<'a>(texts: impl IntoIterator<Item = &'a str>, csv: &mut Vec<u8>) {
    for (i, text) in texts.into_iter().enumerate() {
        csv.extend((i > 0).then_some(b','));
        push_text(text, csv);
    }
    csv.push(b'\n');
}

fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase,
        PermissionDenied, ReadOnly,
    };
    let place = path.display();
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => Error::conflict(format!(
            "{place}, where labels are that were sent, is damaged ({error}): restore it from a backup"
        )),
        Some(DatabaseBusy | DatabaseLocked) => {
            Error::locked(format!("another program keeps {place} locked: try again"))
        }
        Some(ReadOnly | CannotOpen | PermissionDenied) => {
            Error::io("write", path, std::io::ErrorKind::PermissionDenied.into())
        }
        Some(DiskFull) => Error::backend(
            "SQLite",
            format!("the disk of {place} is full: free some space and try again"),
        ),
        _ => Error::backend("SQLite", format!("{place}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(rows: &[[&str; 2]]) -> Vec<u8> {
        let mut csv = Vec::new();
        push_row(["id", "left"], &mut csv);
        for row in rows {
            push_row(row.iter().copied(), &mut csv);
        }
        csv
    }

    #[test]
    fn a_batch_is_kept_once_and_read_in_the_order_of_coming() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("received.sqlite");
        assert!(Received::open_to_read(&path).unwrap().is_none());
        let received = Received::open(&path, &Disk::default()).unwrap();
        let batches = [csv(&[["b", "1"]]), csv(&[["a", "0"]])];
        for batch in batches.iter().chain(&batches) {
            received.keep(&Digest::of(batch), 7, batch).unwrap();
        }
        let read = Received::open_to_read(&path).unwrap().unwrap();
        assert_eq!(read.identity().unwrap(), received.identity().unwrap());
        let first = read.after(0).unwrap().unwrap();
        let second = read.after(first.id).unwrap().unwrap();
        assert_eq!([first.csv, second.csv], batches);
        assert_eq!((second.came, read.after(second.id).unwrap()), (7, None));
        assert!(read.keep(&Digest::of(b"x"), 7, b"x").is_err(), "it is open to read");
    }

    #[test]
    fn the_rows_of_a_person_leave_every_batch_and_no_byte_of_them_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("received.sqlite");
        let received = Received::open(&path, &Disk::default()).unwrap();
        let both = csv(&[["Person-of-Interest", "1"], ["a", "0"]]);
        for batch in [&both, &csv(&[["Person-of-Interest", "0"]]), &csv(&[["a", "0"]])] {
            received.keep(&Digest::of(batch), 7, batch).unwrap();
        }
        let theirs = |_: &[String], row: &[String]| row[0] == "Person-of-Interest";
        assert_eq!(received.count(theirs).unwrap(), 2);
        assert_eq!(received.purge("1", theirs).unwrap(), 2);
        assert_eq!((received.count(theirs).unwrap(), received.purge("1", theirs).unwrap()), (0, 0));
        // What was left of the first batch is the third one.
        let last = received.after(0).unwrap().unwrap();
        assert_eq!((last.csv.as_slice(), last.id), (&*csv(&[["a", "0"]]), 3));
        // A number is never used again.
        received.keep(&Digest::of(&both), 8, &both).unwrap();
        assert_eq!(received.after(3).unwrap().unwrap().id, 4);
        received.purge("2", theirs).unwrap();
        drop(received);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|part| part == b"Person"));
        }
    }
}
