//! Records of files seen, data sets made of them, and test data.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::forgotten::{Erasure, erase};
use super::segments::insert_segments;
use super::{Ledger, Segment, from_json, from_text, set_meta, signed, to_json, unsigned};
use crate::Result;
use crate::dataset::counts::FileCounts;
use crate::dataset::discover::Stamp;
use crate::ids::{DatasetVersion, Form, RunId, spelt};
use crate::platform::digest::Digest;
use crate::platform::location::Location;

spelt! {
    /// The outcome for a file.
    pub enum FileStatus {
        /// Its rows are in a data set.
        Ingested = "ingested",
        /// Its rows are in a data set, by way of the data set of earlier scripts.
        Adopted = "adopted",
        /// It has no data rows.
        NoRows = "no_rows",
        /// Its content is recorded under another name or time.
        Copy = "copy",
        /// It was refused.
        Failed = "failed",
        /// It changed while it was read and waits for the next run.
        Changing = "changing",
    }
}

impl FileStatus {
    /// Whether the file's rows are in a data set.
    pub fn is_in(self) -> bool {
        matches!(self, Self::Ingested | Self::Adopted)
    }
}

/// What was recorded about a file at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileRecord {
    /// The file name.
    pub name: String,
    /// The location.
    pub location: Location,
    /// Size, time and inode.
    pub stamp: Stamp,
    /// The digest of the content; `None` if it could not be read.
    pub sha256: Option<Digest>,
    /// The outcome.
    pub status: FileStatus,
    /// The reason, if the outcome needs one.
    pub reason: Option<String>,
    /// The name under which the same content is known.
    pub same_as: Option<String>,
    /// The earlier content at the same path.
    pub replaces: Option<Digest>,
    /// The data set that its rows went to.
    pub dataset: Option<DatasetVersion>,
    /// The counts.
    pub counts: FileCounts,
    /// When it was recorded, in nanoseconds since 1970.
    pub recorded_ns: i64,
}

impl FileRecord {
    /// Whether it was refused because it could not be read at all: it then has no digest, and only
    /// reading it again can tell whether that has changed.
    pub fn is_unreadable(&self) -> bool {
        self.status == FileStatus::Failed && self.sha256.is_none()
    }
}

/// A data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DatasetRecord {
    /// The N of `finaldata{N}.csv` or `finaldata{N}.parquet`.
    pub version: DatasetVersion,
    /// The run that made it.
    pub run_id: RunId,
    /// Its path, in the folder of the ledger.
    pub location: PathBuf,
    /// The digest of the file.
    pub sha256: Digest,
    /// The digest of its rows as CSV, which is the same for the same rows in any form; for a CSV file that of
    /// the file.
    pub content: Digest,
    /// Size in bytes.
    pub bytes: u64,
    /// Number of rows.
    pub rows: u64,
    /// Number of rows that the previous version did not have; they are the last ones.
    pub new_rows: u64,
    /// Number of rows in the quarantine file.
    pub quarantined: u64,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// When it was recorded, RFC 3339, UTC.
    pub recorded: String,
    /// The version whose rows, all of them unchanged, this one starts with; `None` if it was built
    /// anew.
    pub base: Option<DatasetVersion>,
    /// The metadata of the file when it was written; `None` in older records.
    pub stamp: Option<Stamp>,
}

impl DatasetRecord {
    /// The form of its file.
    pub fn form(&self) -> Form {
        form_of(&self.location)
    }

    /// The name of its file.
    pub fn name(&self) -> String {
        self.version.name(self.form())
    }
}

fn form_of(path: &Path) -> Form {
    if path.extension().is_some_and(|end| end == "parquet") { Form::Parquet } else { Form::Csv }
}

/// A version of the test data: files with their digests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestSet {
    /// The number of the version, from 1.
    pub version: u32,
    /// Name and SHA-256 of each file, sorted by name.
    pub files: Vec<(String, Digest)>,
    /// When it was recorded, RFC 3339, UTC.
    pub recorded: String,
}

const DATASET: &str = "version, run_id, location, sha256, bytes, rows, new_rows, quarantined,
    columns, recorded, base, stamp,
    (SELECT value FROM meta WHERE key = 'content ' || version)";

/// Matches files whose rows are in a data set, by this record or by that of a copy.
pub(super) const COUNTS: &str = "status IN ('ingested', 'adopted', 'copy')";

pub(super) const FILE_COLUMNS: &str =
    "name, location, size, modified_ns, inode, sha256, status, reason,
    same_as, replaces, dataset, counts, recorded_ns";

impl Ledger {
    /// Records files, and the data set made of them with its new segments, in one commit that also
    /// ends `intent`; with an erasure, if that is what made it.
    #[expect(clippy::too_many_arguments, reason = "the parts of one commit")]
    pub fn commit_ingestion(
        &mut self,
        run_id: &RunId,
        files: &[FileRecord],
        dataset: Option<(&DatasetRecord, &[Segment])>,
        superseded: &[Digest],
        recounted: &[(Digest, FileCounts)],
        meta: &[(&str, String)],
        intent: Option<i64>,
        erasure: Option<&Erasure>,
    ) -> Result<()> {
        self.transaction(|db| {
            if let Some((d, segments)) = dataset {
                let sql = "INSERT INTO datasets (version, run_id, location, sha256, bytes, rows, new_rows,
                         quarantined, columns, recorded, base, stamp)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
                db.execute(
                    sql,
                    params![
                        d.version.0,
                        d.run_id,
                        d.name(),
                        d.sha256.to_string(),
                        signed(d.bytes),
                        signed(d.rows),
                        signed(d.new_rows),
                        signed(d.quarantined),
                        to_json(&d.columns)?,
                        d.recorded,
                        d.base.map(|base| base.0),
                        d.stamp.map(|stamp| to_json(&stamp)).transpose()?,
                    ],
                )?;
                insert_segments(db, d.version, segments)?;
                if d.content != d.sha256 {
                    set_meta(db, &d.version.content_key(), &d.content.to_string())?;
                }
            }
            for digest in superseded {
                Self::supersede(db, *digest)?;
            }
            for file in files {
                insert_file(db, run_id, file)?;
                if let Some(digest) = file.sha256.filter(|_| file.status == FileStatus::Ingested) {
                    Self::forget_discarded(db, digest)?;
                }
            }
            for (digest, counts) in recounted {
                Self::recount(db, *digest, counts)?;
            }
            for (key, value) in meta {
                set_meta(db, key, value)?;
            }
            if let Some(id) = intent {
                db.execute("DELETE FROM intents WHERE id = ?1", [id])?;
            }
            erasure.map_or(Ok(()), |erasure| erase(db, erasure))
        })
    }

    /// Records, within a transaction, that the rows of content `digest` were replaced by those of
    /// its successor.
    fn supersede(db: &Connection, digest: Digest) -> rusqlite::Result<()> {
        let sql = "UPDATE files SET counts = json_set(counts,
                 '$.superseded', coalesce(json_extract(counts, '$.superseded'), 0)
                     + json_extract(counts, '$.rows_kept'), '$.rows_kept', 0)
             WHERE sha256 = ?1 AND status IN ('ingested', 'adopted')";
        db.execute(sql, [digest.to_string()]).map(drop)
    }

    /// Updates the metadata of files whose content did not change: a new time alone is not worth a
    /// record.
    pub fn restamp(&mut self, records: &[FileRecord]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.transaction(|db| {
            let sql = "UPDATE files SET size = ?2, modified_ns = ?3, inode = ?4, recorded_ns = ?5
                 WHERE id = (SELECT max(id) FROM files WHERE location = ?1)";
            let mut statement = db.prepare(sql)?;
            for FileRecord { location, stamp, recorded_ns, .. } in records {
                let inode = stamp.inode.cast_signed();
                let size = signed(stamp.size);
                let place = location.as_str();
                statement.execute(params![place, size, stamp.modified_ns, inode, recorded_ns])?;
            }
            Ok(())
        })
    }

    /// Stores a note with the record of each of these contents of `version`.
    pub fn note_files(&mut self, version: DatasetVersion, notes: &[(Digest, &str)]) -> Result<()> {
        self.transaction(|db| {
            let sql = "UPDATE files SET reason = ?3 WHERE sha256 = ?1 AND dataset = ?2
                 AND status = 'ingested'";
            let mut statement = db.prepare(sql)?;
            for (digest, note) in notes {
                statement.execute(params![digest.to_string(), version.0, note])?;
            }
            Ok(())
        })
    }

    /// The number of rows of all files so far, by outcome.
    pub fn row_totals(&self) -> Result<[(&'static str, u64); 3]> {
        self.query(|db| {
            let sql = "SELECT coalesce(sum(json_extract(counts, '$.rows_kept')), 0),
                 coalesce(sum(json_extract(counts, '$.duplicates_within')), 0)
                     + coalesce(sum(json_extract(counts, '$.duplicates_across')), 0),
                 coalesce(sum(json_extract(counts, '$.quarantined')), 0) FROM files";
            db.query_row(sql, [], |row| {
                let rows = |column| row.get(column).map(unsigned);
                Ok([("kept", rows(0)?), ("duplicate", rows(1)?), ("quarantined", rows(2)?)])
            })
        })
    }

    /// When rows last arrived, in nanoseconds since 1970; a content counts when it was first taken.
    pub fn newest_data_ns(&self) -> Result<Option<i64>> {
        self.query(|db| {
            let sql = "SELECT max(taken) FROM (SELECT min(recorded_ns) AS taken FROM files
                 WHERE status IN ('ingested', 'adopted') GROUP BY sha256)";
            db.query_row(sql, [], |row| row.get(0))
        })
    }

    /// The newest record of the file at each of `locations`, where there is one.
    pub fn files_at(&self, locations: &[Location]) -> Result<Vec<Option<FileRecord>>> {
        self.query(|db| {
            let sql = format!(
                "SELECT {FILE_COLUMNS} FROM files WHERE location = ?1 ORDER BY id DESC LIMIT 1"
            );
            let mut statement = db.prepare(&sql)?;
            let mut newest = |at: &Location| statement.query_row([at.as_str()], file).optional();
            locations.iter().map(&mut newest).collect()
        })
    }

    /// The first record of this content, apart from copies.
    pub fn content(&self, digest: Digest) -> Result<Option<FileRecord>> {
        self.query(|db| {
            let sql = format!(
                "SELECT {FILE_COLUMNS} FROM files WHERE sha256 = ?1 AND status <> 'copy'
                 ORDER BY status = 'failed', id LIMIT 1"
            );
            db.query_row(&sql, [digest.to_string()], file).optional()
        })
    }

    /// The content that counts for the file at `location`: the last one that was taken, unless a header
    /// alone, which says that there are no rows any more, came after it.
    pub fn counted_at(&self, location: &Location) -> Result<Option<Digest>> {
        self.query(|db| {
            let sql = format!(
                "SELECT CASE WHEN {COUNTS} THEN sha256 END FROM files
                 WHERE location = ?1 AND ({COUNTS} OR status = 'no_rows') ORDER BY id DESC LIMIT 1"
            );
            let found: Option<Option<String>> =
                db.query_row(&sql, [location.as_str()], |row| row.get(0)).optional()?;
            found.flatten().map(|text| from_text(0, &text)).transpose()
        })
    }

    /// The files, existing or not, for which content `digest` counts.
    pub fn holders(&self, digest: Digest) -> Result<Vec<Location>> {
        self.query(|db| {
            let sql = format!(
                "SELECT DISTINCT location FROM files f WHERE sha256 = ?1 AND {COUNTS}
                 AND NOT EXISTS (SELECT 1 FROM files later WHERE later.location = f.location
                     AND later.id > f.id AND later.sha256 <> ?1
                     AND (later.{COUNTS} OR later.status = 'no_rows'))
                 ORDER BY id"
            );
            let mut statement = db.prepare(&sql)?;
            let found = statement.query_map([digest.to_string()], |row| row.get(0))?;
            found.map(|text| text.map(Location::kept)).collect()
        })
    }

    /// Whether a file of `size` bytes was ever recorded; only then can a file be a copy.
    pub fn size_is_known(&self, size: u64) -> Result<bool> {
        self.query(|db| {
            let sql = "SELECT EXISTS (SELECT 1 FROM files WHERE size = ?1 AND sha256 IS NOT NULL)";
            db.query_row(sql, [signed(size)], |row| row.get(0))
        })
    }

    /// All file records, oldest first.
    pub fn files(&self) -> Result<Vec<FileRecord>> {
        self.query(|db| {
            let sql = format!("SELECT {FILE_COLUMNS} FROM files ORDER BY id");
            let mut statement = db.prepare(&sql)?;
            statement.query_map([], file)?.collect()
        })
    }

    /// The records of files whose rows went to data sets after `version`, oldest first.
    pub fn files_after(&self, version: DatasetVersion) -> Result<Vec<FileRecord>> {
        self.query(|db| {
            let sql = format!("SELECT {FILE_COLUMNS} FROM files WHERE dataset > ?1 ORDER BY id");
            let mut statement = db.prepare(&sql)?;
            statement.query_map([version.0], file)?.collect()
        })
    }

    /// Names and outcomes of all files, oldest first; far less than [`Ledger::files`] reads.
    pub fn names_of_files(&self) -> Result<Vec<(String, FileStatus)>> {
        self.query(|db| {
            let mut statement = db.prepare("SELECT name, status FROM files ORDER BY id")?;
            let rows = statement
                .query_map([], |row| Ok((row.get(0)?, from_text(1, &row.get::<_, String>(1)?)?)))?;
            rows.collect()
        })
    }

    /// All data sets, oldest first.
    pub fn datasets(&self) -> Result<Vec<DatasetRecord>> {
        self.query(|db| {
            let sql = format!("SELECT {DATASET} FROM datasets ORDER BY version");
            let mut statement = db.prepare(&sql)?;
            statement.query_map([], |row| dataset(&self.folder(), row))?.collect()
        })
    }

    /// The newest `limit` data sets, the newest first.
    pub fn newest_datasets(&self, limit: usize) -> Result<Vec<DatasetRecord>> {
        self.query(|db| {
            let sql = format!("SELECT {DATASET} FROM datasets ORDER BY version DESC LIMIT ?1");
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = db.prepare(&sql)?;
            statement.query_map([limit], |row| dataset(&self.folder(), row))?.collect()
        })
    }

    /// The newest data set.
    pub fn latest_dataset(&self) -> Result<Option<DatasetRecord>> {
        self.query(|db| {
            let sql = format!("SELECT {DATASET} FROM datasets ORDER BY version DESC LIMIT 1");
            db.query_row(&sql, [], |row| dataset(&self.folder(), row)).optional()
        })
    }

    /// The form of data set `version`; CSV if it is unknown.
    pub fn form_of(&self, version: DatasetVersion) -> Result<Form> {
        Ok(self.dataset(version)?.map_or_else(Form::default, |dataset| dataset.form()))
    }

    /// Data set `version`.
    pub fn dataset(&self, version: DatasetVersion) -> Result<Option<DatasetRecord>> {
        self.query(|db| {
            let sql = format!("SELECT {DATASET} FROM datasets WHERE version = ?1");
            db.query_row(&sql, [version.0], |row| dataset(&self.folder(), row)).optional()
        })
    }

    /// Records `files` as the current test data, unless they are already.
    pub fn register_test_set(
        &mut self,
        run_id: &RunId,
        files: &[(String, Digest)],
        now: &str,
    ) -> Result<()> {
        let last = self.test_sets()?.pop();
        if files.is_empty() || last.as_ref().is_some_and(|set| set.files == files) {
            return Ok(());
        }
        let version = last.map_or(1, |set| set.version + 1);
        self.transaction(|db| {
            db.execute(
                "INSERT INTO test_sets VALUES (?1, ?2, ?3, ?4)",
                params![version, run_id, to_json(&files)?, now],
            )
            .map(drop)
        })
    }

    /// All versions of the test data, oldest first.
    pub fn test_sets(&self) -> Result<Vec<TestSet>> {
        self.query(|db| {
            let sql = "SELECT version, files, recorded FROM test_sets ORDER BY version";
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(TestSet {
                    version: row.get(0)?,
                    files: from_json(1, &row.get::<_, String>(1)?)?,
                    recorded: row.get(2)?,
                })
            })?;
            rows.collect()
        })
    }
}

fn insert_file(db: &Connection, run_id: &RunId, file: &FileRecord) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO files (run_id, {FILE_COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
    );
    db.execute(
        &sql,
        params![
            run_id,
            file.name,
            file.location.as_str(),
            signed(file.stamp.size),
            file.stamp.modified_ns,
            // Some file systems use all 64 bits of an inode number; the bit pattern is stored.
            file.stamp.inode.cast_signed(),
            file.sha256.map(|d| d.to_string()),
            file.status.as_str(),
            file.reason,
            file.same_as,
            file.replaces.map(|d| d.to_string()),
            file.dataset.map(|v| v.0),
            to_json(&file.counts)?,
            file.recorded_ns,
        ],
    )
    .map(drop)
}

pub(super) fn file(row: &Row) -> rusqlite::Result<FileRecord> {
    let digest = |column: usize| -> rusqlite::Result<Option<Digest>> {
        let text: Option<String> = row.get(column)?;
        text.map(|t| from_text(column, &t)).transpose()
    };
    Ok(FileRecord {
        name: row.get(0)?,
        location: Location::kept(row.get(1)?),
        stamp: Stamp {
            size: unsigned(row.get(2)?),
            modified_ns: row.get(3)?,
            inode: row.get::<_, i64>(4)?.cast_unsigned(),
        },
        sha256: digest(5)?,
        status: from_text(6, &row.get::<_, String>(6)?)?,
        reason: row.get(7)?,
        same_as: row.get(8)?,
        replaces: digest(9)?,
        dataset: row.get::<_, Option<u32>>(10)?.map(DatasetVersion),
        counts: from_json(11, &row.get::<_, String>(11)?)?,
        recorded_ns: row.get(12)?,
    })
}

fn dataset(folder: &Path, row: &Row) -> rusqlite::Result<DatasetRecord> {
    let version = DatasetVersion(row.get(0)?);
    let form = form_of(Path::new(&row.get::<_, String>(2)?));
    let sha256 = from_text(3, &row.get::<_, String>(3)?)?;
    let content = row.get::<_, Option<String>>(12)?.map(|text| from_text(12, &text)).transpose()?;
    Ok(DatasetRecord {
        version,
        run_id: row.get(1)?,
        // In the present folder of the ledger, which may have been copied or moved.
        location: folder.join(version.name(form)),
        sha256,
        content: content.unwrap_or(sha256),
        bytes: unsigned(row.get(4)?),
        rows: unsigned(row.get(5)?),
        new_rows: unsigned(row.get(6)?),
        quarantined: unsigned(row.get(7)?),
        columns: from_json(8, &row.get::<_, String>(8)?)?,
        recorded: row.get(9)?,
        base: row.get::<_, Option<u32>>(10)?.map(DatasetVersion),
        stamp: row.get::<_, Option<String>>(11)?.map(|text| from_json(11, &text)).transpose()?,
    })
}
