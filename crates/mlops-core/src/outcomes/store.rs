//! The store of predictions and labels: a SQLite file beside the ledger, to which each run adds only
//! what is new.
//!
//! Rows are added between [`Store::begin`] and [`Store::commit`], together with the place up to which
//! their file was read, so that a kill neither loses nor doubles a row. The store holds ids, times and
//! probabilities; features stay in the log, and the store keeps the place where they are. Not for
//! scores: see `windows`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::join::{self, ALWAYS, Label};
use super::{calendar, schema};
use crate::Result;
use crate::ids::ReleaseId;
use crate::platform::digest::Digest;
use crate::platform::disk::{Disk, DiskStep};

/// An open store.
#[derive(Debug)]
pub struct Store {
    pub(super) db: Connection,
    path: PathBuf,
    disk: Disk,
    /// The numbers of releases.
    releases: HashMap<ReleaseId, i64>,
    /// Rows that were dropped with their file had been passed on to be trained on, and some of them may
    /// come back.
    has_dropped: bool,
    /// What the open transaction adds to days, by release and day.
    days: HashMap<(i64, i64), Added>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Added {
    predicted: i64,
    labelled: i64,
}

/// How far a file of the log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPlace {
    /// The number of the file.
    pub id: i64,
    /// The end of what was read.
    pub end: u64,
    /// The digest of what stands before it, see [`crate::prediction_log::reader::tail`].
    pub tail: Digest,
    /// Lines that were not understood.
    pub strange: u64,
    /// Predictions without a key.
    pub without_key: u64,
}

/// A prediction of the log.
#[derive(Debug, Clone)]
pub struct NewPrediction<'a> {
    /// The number of its file.
    pub log: i64,
    /// The place of its line in the file.
    pub byte: u64,
    /// When it was made, in milliseconds since 1970.
    pub at: i64,
    /// The release that made it.
    pub release: &'a ReleaseId,
    /// The probability of the positive class.
    pub probability: f64,
    /// It is the positive class.
    pub positive: bool,
    /// What labels are joined by, if the line has it.
    pub key: Option<String>,
    /// The texts of its id columns as JSON, if the key does not have them.
    pub ids: Option<String>,
}

/// How far a file of labels was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFile {
    /// The number of the file; 0 for a new one.
    pub id: i64,
    /// Its location, as records have it.
    pub location: String,
    /// Its size, time of change and inode when it was read.
    pub stamp: (u64, i64, u64),
    /// The digest of its bytes.
    pub content: String,
    /// The number of its good rows that are in the store.
    pub rows: u64,
    /// All of them are.
    pub whole: bool,
    /// The file was read before with another content, of which it is no continuation.
    pub again: bool,
    /// Rows that could not be read.
    pub unreadable: u64,
    /// Rows that said what was known already.
    pub doubled: u64,
    /// Rows without a key.
    pub without_key: u64,
    /// They are the batches that were sent, one after the other, of which the last one counts.
    pub is_sent: bool,
}

/// A label of a file.
#[derive(Debug, Clone)]
pub struct NewLabel {
    /// What it is joined by.
    pub key: String,
    /// The time until which predictions have it, in milliseconds since 1970; `None` for all.
    pub time: Option<i64>,
    /// When its file came.
    pub known: i64,
    /// The positive label.
    pub positive: bool,
}

impl Store {
    /// Opens the store at `path`, or makes an empty one. One that was made with other `settings` is
    /// made again.
    ///
    /// # Errors
    /// `Conflict` if it is damaged.
    pub fn open(path: &Path, disk: &Disk, settings: &str) -> Result<Self> {
        let db = schema::open(path, disk, settings)?;
        let (path, disk) = (path.to_owned(), disk.clone());
        let (releases, days) = (HashMap::new(), HashMap::new());
        let mut store = Self { db, path, disk, releases, has_dropped: false, days };
        store.has_dropped = store.query(|db| {
            db.query_row("SELECT EXISTS (SELECT 1 FROM dropped)", [], |row| row.get(0))
        })?;
        Ok(store)
    }

    /// Opens the store at `path` to read; `None` if there is none, or if it was made with other `settings`.
    ///
    /// # Errors
    /// `Conflict` if it is damaged.
    pub fn open_to_read(path: &Path, settings: &str) -> Result<Option<Self>> {
        let Some(db) = schema::open_to_read(path, settings)? else { return Ok(None) };
        let (path, disk) = (path.to_owned(), Disk::default());
        let (releases, days) = (HashMap::new(), HashMap::new());
        Ok(Some(Self { db, path, disk, releases, has_dropped: false, days }))
    }

    pub(super) fn query<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        work(&self.db).map_err(|e| schema::failed(&self.path, &e))
    }

    /// Begins a transaction.
    pub fn begin(&mut self) -> Result<()> {
        self.query(|db| db.execute_batch("BEGIN IMMEDIATE"))
    }

    /// Commits it.
    pub fn commit(&mut self) -> Result<()> {
        let days = std::mem::take(&mut self.days);
        self.query(|db| {
            let sql = "INSERT INTO days VALUES (?1, ?2, ?3, ?4, 1) ON CONFLICT (release, day)
                       DO UPDATE SET predicted = predicted + ?3, labelled = labelled + ?4, stale = 1";
            let mut statement = db.prepare_cached(sql)?;
            for ((release, day), added) in &days {
                statement.execute(params![release, day, added.predicted, added.labelled])?;
            }
            Ok(())
        })?;
        self.disk.announce(DiskStep::Commit, &self.path)?;
        self.query(|db| db.execute_batch("COMMIT"))
    }

    /// Takes back what came since the transaction began.
    pub fn rollback(&mut self) -> Result<()> {
        self.days.clear();
        self.releases.clear();
        if self.db.is_autocommit() {
            return Ok(());
        }
        self.query(|db| db.execute_batch("ROLLBACK"))
    }

    /// How far the file of the log called `name` was read.
    pub fn log(&self, name: &str) -> Result<Option<LogPlace>> {
        self.query(|db| {
            let sql = "SELECT id, end, tail, strange, without_key FROM logs WHERE name = ?1";
            let place = |row: &Row| {
                Ok(LogPlace {
                    id: row.get(0)?,
                    end: unsigned(row.get(1)?),
                    tail: digest(&row.get::<_, String>(2)?),
                    strange: unsigned(row.get(3)?),
                    without_key: unsigned(row.get(4)?),
                })
            };
            db.prepare_cached(sql)?.query_row([name], place).optional()
        })
    }

    /// The number of a file of the log that is new, in an open transaction.
    pub fn new_log(&mut self, name: &str) -> Result<i64> {
        self.query(|db| {
            let sql = "INSERT INTO logs (name, end, tail, strange, without_key)
                       VALUES (?1, 0, ?2, 0, 0)";
            db.execute(sql, params![name, Digest::of(b"").to_string()])?;
            Ok(db.last_insert_rowid())
        })
    }

    /// Records how far a file of the log was read, in an open transaction.
    pub fn set_log(&mut self, place: &LogPlace) -> Result<()> {
        self.query(|db| {
            let sql = "UPDATE logs SET end = ?2, tail = ?3, strange = ?4, without_key = ?5
                       WHERE id = ?1";
            let LogPlace { id, end, tail, strange, without_key } = place;
            let counts = [*end, *strange, *without_key].map(signed);
            let [end, strange, without_key] = counts;
            db.execute(sql, params![id, end, tail.to_string(), strange, without_key]).map(drop)
        })
    }

    /// Forgets what came from a file of the log whose content is another one now, in an open
    /// transaction.
    pub fn drop_log(&mut self, log: i64) -> Result<()> {
        let gone = self.query(|db| {
            let sql = "SELECT release, at, label FROM predictions WHERE log = ?1";
            let of = |row: &Row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<i64>>(2)?));
            let mut days: HashMap<(i64, i64), Added> = HashMap::new();
            for row in db.prepare(sql)?.query_map([log], of)? {
                let (release, at, label) = row?;
                let day = days.entry((release, calendar::day_of(at))).or_default();
                day.predicted -= 1;
                day.labelled -= i64::from(label.is_some());
            }
            let sql = "INSERT INTO dropped SELECT log, at, coalesce(key, ''), probability, written, line
                       FROM predictions WHERE log = ?1 AND written IS NOT NULL AND line IS NOT NULL";
            db.execute(sql, [log])?;
            db.execute("DELETE FROM predictions WHERE log = ?1", [log])?;
            Ok(days)
        })?;
        self.has_dropped = true;
        for (day, added) in gone {
            let sum = self.days.entry(day).or_default();
            sum.predicted += added.predicted;
            sum.labelled += added.labelled;
        }
        Ok(())
    }

    /// Records that a file of the log was read to its end, in an open transaction: what was dropped and
    /// did not come back is gone.
    pub fn end_log(&mut self, log: i64) -> Result<()> {
        if !self.has_dropped {
            return Ok(());
        }
        self.query(|db| db.execute("DELETE FROM dropped WHERE log = ?1", [log]).map(drop))
    }

    /// Where a prediction was passed on before its file was read again.
    fn passed_before(&self, new: &NewPrediction) -> Result<(Option<i64>, Option<i64>)> {
        if !self.has_dropped {
            return Ok((None, None));
        }
        self.query(|db| {
            let sql = "SELECT rowid, written, line FROM dropped
                       WHERE at = ?1 AND log = ?2 AND key = ?3 AND probability = ?4 LIMIT 1";
            let key = new.key.as_deref().unwrap_or_default();
            let values = params![new.at, new.log, key, new.probability];
            let found: Option<(i64, i64, i64)> = db
                .prepare_cached(sql)?
                .query_row(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((row, written, line)) = found else { return Ok((None, None)) };
            db.execute("DELETE FROM dropped WHERE rowid = ?1", [row])?;
            Ok((Some(written), Some(line)))
        })
    }

    fn release(&mut self, id: &ReleaseId) -> Result<i64> {
        if let Some(number) = self.releases.get(id) {
            return Ok(*number);
        }
        let number = self.query(|db| {
            db.execute("INSERT OR IGNORE INTO releases (name) VALUES (?1)", [id.as_str()])?;
            let sql = "SELECT id FROM releases WHERE name = ?1";
            db.query_row(sql, [id.as_str()], |row| row.get(0))
        })?;
        self.releases.insert(id.clone(), number);
        Ok(number)
    }

    /// Adds a prediction, with the label that it has if there is one, in an open transaction.
    pub fn predict(&mut self, new: &NewPrediction) -> Result<()> {
        let release = self.release(new.release)?;
        let labels = match &new.key {
            Some(key) => self.labels(key)?,
            None => Vec::new(),
        };
        let (label, delay) = joined(&labels, new.at);
        let (written, line) = self.passed_before(new)?;
        self.query(|db| {
            let sql = "INSERT INTO predictions (log, byte, at, release, probability, positive, key,
                       ids, label, delay, written, line)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
            db.prepare_cached(sql)?.execute(params![
                new.log,
                signed(new.byte),
                new.at,
                release,
                new.probability,
                new.positive,
                new.key,
                new.ids,
                label,
                delay,
                written,
                line
            ])?;
            if label.is_some() {
                let sql = "UPDATE labels SET matched = 1
                           WHERE key = ?1 AND time >= ?2 AND matched = 0";
                db.prepare_cached(sql)?.execute(params![new.key, new.at])?;
            }
            Ok(())
        })?;
        let day = self.days.entry((release, calendar::day_of(new.at))).or_default();
        day.predicted += 1;
        day.labelled += i64::from(label.is_some());
        Ok(())
    }

    /// All labels of a key.
    pub(super) fn labels(&self, key: &str) -> Result<Vec<Label>> {
        self.query(|db| {
            let sql = "SELECT time, known, seq, positive FROM labels WHERE key = ?1";
            let label = |row: &Row| {
                Ok(Label {
                    time: row.get(0)?,
                    known: row.get(1)?,
                    seq: row.get(2)?,
                    positive: row.get(3)?,
                })
            };
            db.prepare_cached(sql)?.query_map([key], label)?.collect()
        })
    }

    /// How far the file of labels at `location` was read.
    pub fn label_file(&self, location: &str) -> Result<Option<LabelFile>> {
        self.query(|db| {
            let sql =
                "SELECT id, size, modified_ns, inode, content, rows, whole, again, unreadable,
                       doubled, without_key FROM label_files WHERE location = ?1";
            let file = |row: &Row| {
                Ok(LabelFile {
                    id: row.get(0)?,
                    location: location.to_owned(),
                    stamp: (
                        unsigned(row.get(1)?),
                        row.get(2)?,
                        row.get::<_, i64>(3)?.cast_unsigned(),
                    ),
                    content: row.get(4)?,
                    rows: unsigned(row.get(5)?),
                    whole: row.get(6)?,
                    again: row.get(7)?,
                    unreadable: unsigned(row.get(8)?),
                    doubled: unsigned(row.get(9)?),
                    without_key: unsigned(row.get(10)?),
                    is_sent: false,
                })
            };
            db.prepare_cached(sql)?.query_row([location], file).optional()
        })
    }

    /// Records how far a file of labels was read, in an open transaction; a new one gets its number.
    pub fn set_label_file(&mut self, file: &mut LabelFile) -> Result<()> {
        let id = self.query(|db| {
            let sql = "INSERT INTO label_files (location, size, modified_ns, inode, content, rows,
                       whole, again, unreadable, doubled, without_key)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                       ON CONFLICT (location) DO UPDATE SET size = ?2, modified_ns = ?3, inode = ?4,
                       content = ?5, rows = ?6, whole = ?7, again = ?8, unreadable = ?9,
                       doubled = ?10, without_key = ?11 RETURNING id";
            let (size, modified, inode) = file.stamp;
            let values = params![
                file.location,
                signed(size),
                modified,
                inode.cast_signed(),
                file.content,
                signed(file.rows),
                file.whole,
                file.again,
                signed(file.unreadable),
                signed(file.doubled),
                signed(file.without_key)
            ];
            db.prepare_cached(sql)?.query_row(values, |row| row.get(0))
        })?;
        file.id = id;
        Ok(())
    }

    /// Adds a label of `file`, and gives it to the predictions of its key, in an open transaction.
    pub fn label(&mut self, file: &mut LabelFile, new: &NewLabel) -> Result<()> {
        let time = new.time.unwrap_or(ALWAYS);
        // Of batches the last one counts, whatever file said something else in between.
        let of_file = (!file.is_sent).then_some(file.id);
        let own: Option<bool> = self.query(|db| {
            let sql = "SELECT positive FROM labels
                       WHERE key = ?1 AND (?2 IS NULL OR file = ?2) AND time = ?3
                       ORDER BY seq DESC LIMIT 1";
            db.prepare_cached(sql)?
                .query_row(params![new.key, of_file, time], |row| row.get(0))
                .optional()
        })?;
        if own == Some(new.positive) {
            // In a file that is read again, this is the row that is known.
            file.doubled += u64::from(!file.again);
            return Ok(());
        }
        let mut labels = self.labels(&new.key)?;
        let before = join::newest(&labels).map(|label| label.positive);
        let changed = before.is_some_and(|before| before != new.positive);
        file.doubled += u64::from(before == Some(new.positive));
        let seq = self.query(|db| {
            let sql = "INSERT INTO labels (key, time, known, positive, file, changed, matched)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)";
            let values = params![new.key, time, new.known, new.positive, file.id, changed];
            db.prepare_cached(sql)?.execute(values)?;
            Ok(db.last_insert_rowid())
        })?;
        labels.push(Label { time, known: new.known, seq, positive: new.positive });
        self.rejoin(&new.key, &labels, seq)
    }

    /// Gives the predictions of `key` the labels that they have now; `new` is the last one.
    fn rejoin(&mut self, key: &str, labels: &[Label], new: i64) -> Result<()> {
        let (days, matched) = self.query(|db| {
            let sql = "SELECT id, at, release, label, delay FROM predictions WHERE key = ?1";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([key])?;
            let (mut updates, mut days, mut matched) = (Vec::new(), Vec::new(), false);
            while let Some(row) = rows.next()? {
                let (id, at, release): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let before: (Option<bool>, Option<i64>) = (row.get(3)?, row.get(4)?);
                matched |= labels.iter().any(|label| label.seq == new && label.time >= at);
                let now = joined(labels, at);
                if now != before {
                    updates.push((id, now));
                    days.push((release, calendar::day_of(at), before.0.is_none()));
                }
            }
            let sql = "UPDATE predictions SET label = ?2, delay = ?3 WHERE id = ?1";
            let mut statement = db.prepare_cached(sql)?;
            for (id, (label, delay)) in updates {
                statement.execute(params![id, label, delay])?;
            }
            Ok((days, matched))
        })?;
        for (release, day, first) in days {
            self.days.entry((release, day)).or_default().labelled += i64::from(first);
        }
        if matched {
            self.query(|db| {
                let sql = "UPDATE labels SET matched = 1 WHERE seq = ?1";
                db.prepare_cached(sql)?.execute([new]).map(drop)
            })?;
        }
        Ok(())
    }

    /// Takes a prediction that is removed out of its day, in an open transaction.
    pub(super) fn leave(&mut self, release: i64, day: i64, is_labelled: bool) {
        let added = self.days.entry((release, day)).or_default();
        added.predicted -= 1;
        added.labelled -= i64::from(is_labelled);
    }

    pub(super) fn meta(&self, key: &str) -> Result<Option<String>> {
        self.query(|db| {
            let sql = "SELECT value FROM meta WHERE key = ?1";
            db.query_row(sql, [key], |row| row.get(0)).optional()
        })
    }

    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<()> {
        self.query(|db| {
            let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
            db.execute(sql, [key, value]).map(drop)
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if !self.db.is_autocommit() {
            // What was not committed is read again.
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }
}

/// The label and the delay, in milliseconds, of a prediction that was made at `at`.
fn joined(labels: &[Label], at: i64) -> (Option<bool>, Option<i64>) {
    let label = join::of(labels, at).map(|label| label.positive);
    let delays = labels.iter().filter(|label| label.time >= at);
    (label, delays.filter_map(|label| join::delay(label, at)).min())
}

fn digest(text: &str) -> Digest {
    // Whatever else stands there is no file's.
    text.parse().unwrap_or_else(|_: String| Digest::of(text.as_bytes()))
}

pub(super) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
