//! From files as they arrive to one cumulative, canonical, duplicate-free data set.
//!
//! | step | file | what it guarantees |
//! |---|---|---|
//! | find | [`discover`] | sorted, repeatable; what is passed over is named |
//! | read | `chunk` | each byte is read once; a piece ends where a record ends |
//! | map | [`layout`] | every column of the schema has its field, or the file is refused |
//! | parse | `parse`, `record`, `clean` | each record is a canonical row or a rejection |
//! | de-duplicate | [`dedup`] | the first of equal rows stays, in file order |
//! | keep | `rows`, [`quarantine`] | rows read = kept + duplicates + quarantined |
//!
//! This file joins the steps for one file at a time: a file counts whole or not at all.
//! Not for the ledger, versions or publishing: see `stage::ingest`.

pub(crate) mod chunk;
pub mod clean;
pub mod dedup;
pub mod discover;
pub mod layout;
pub(crate) mod parse;
pub mod quarantine;
pub(crate) mod record;
pub(crate) mod rows;

use std::fs::File;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::Ingestion;
use crate::digest::Digest;
use crate::durable::{Disk, NewFile};
use crate::schema::Schema;
use crate::{Error, ErrorKind, Result};

use chunk::{CHUNK_BYTES, ChunkReader};
use clean::{FormatChanges, Labels};
use dedup::{Fate, RowHasher, SeenRows};
use discover::{Candidate, Stamp};
use layout::{Layout, Purpose};
use parse::{Parsed, RowParser};
use quarantine::Rejections;
use rows::RowFile;

/// What was found in one file. `rows_read = rows_kept + duplicates + quarantined`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileCounts {
    /// Records after the header; blank lines are not records.
    pub rows_read: u64,
    /// Rows that are new.
    pub rows_kept: u64,
    /// Rows equal to an earlier one of the same file.
    pub duplicates_within: u64,
    /// Rows equal to one of an earlier file.
    pub duplicates_across: u64,
    /// Rows rejected.
    pub quarantined: u64,
    /// The same by reason.
    pub rejections: Rejections,
    /// Formatting changes by kind.
    pub changes: FormatChanges,
    /// Missing cells by column of the schema, in its order.
    pub missing: Vec<u64>,
    /// Lines without a record.
    pub blank_lines: u64,
    /// Columns that the schema does not name, dropped.
    pub extra_columns: Vec<String>,
    /// Whether columns were put into the schema's order.
    pub reordered: bool,
}

impl FileCounts {
    /// Duplicates of both kinds.
    pub fn duplicates(&self) -> u64 {
        self.duplicates_within + self.duplicates_across
    }
}

/// How the reading of one file ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Its rows are in.
    Taken,
    /// No data rows: nothing to take.
    NoRows,
    /// Nothing of it was taken, for this reason.
    Failed(String),
    /// It changed while it was read; nothing of it was taken.
    Changing,
}

/// One file, read to its end.
#[derive(Debug, Clone)]
pub struct FileRead {
    /// How it ended.
    pub outcome: Outcome,
    /// What was found, as far as it was read.
    pub counts: FileCounts,
    /// Its identity; absent when it could not be read to the end.
    pub digest: Option<Digest>,
    /// Size, time and number when it was opened; absent when it could not be.
    pub stamp: Option<Stamp>,
}

/// Sees the fate of every physical line of the rows; for tests and audits.
pub trait Audit {
    /// `lines` physical lines from `line` (from 1) met `fate`.
    fn row(&mut self, line: u64, lines: u32, fate: Fate);
}

impl Audit for () {
    fn row(&mut self, _: u64, _: u32, _: Fate) {}
}

/// Told of progress: bytes read of all files so far, rows read so far.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// The data set being built: earlier rows, new rows, rejected rows.
pub struct Ingest<'a> {
    schema: &'a Schema,
    options: &'a Ingestion,
    disk: &'a Disk,
    labels: Labels,
    hasher: RowHasher,
    seen: SeenRows,
    output: RowFile,
    quarantine: Option<RowFile>,
    quarantine_path: &'a Path,
    chunk_bytes: usize,
    parsed: Parsed,
    chunk: Vec<u8>,
    bytes_read: u64,
    rows_read: u64,
    /// Line and reason of the first row of the present file that was rejected.
    first_rejected: Option<(u64, String)>,
}

/// The finished parts, ready to be published.
#[derive(Debug)]
pub struct Built {
    /// The data set, its length and its identity.
    pub data: (NewFile, u64, Digest),
    /// The same of the rejected rows, if there are any.
    pub quarantine: Option<(NewFile, u64, Digest)>,
    /// The negative label, once it is known.
    pub negative_label: Option<String>,
}

impl<'a> Ingest<'a> {
    /// Starts a data set that will be published near `data` and `quarantine`, with room for about
    /// `expected_rows` rows.
    pub fn start(
        schema: &'a Schema,
        options: &'a Ingestion,
        disk: &'a Disk,
        data: &Path,
        quarantine: &'a Path,
        expected_rows: usize,
    ) -> Result<Self> {
        Ok(Self {
            schema,
            options,
            disk,
            labels: Labels {
                positive: schema.positive_label().to_owned(),
                negative: schema.negative_label().map(str::to_owned),
            },
            hasher: RowHasher::random(),
            seen: SeenRows::expecting(expected_rows),
            output: RowFile::create(disk, data, &schema.header())?,
            quarantine: None,
            quarantine_path: quarantine,
            chunk_bytes: CHUNK_BYTES,
            parsed: Parsed::default(),
            chunk: Vec::new(),
            bytes_read: 0,
            rows_read: 0,
            first_rejected: None,
        })
    }

    /// Reads pieces of `bytes` instead of the default; the result is the same.
    #[must_use]
    pub fn with_chunk_bytes(mut self, bytes: usize) -> Self {
        self.chunk_bytes = bytes.max(1);
        self
    }

    /// Copies the rows of the previous data set, which must have `digest`, and remembers them.
    /// They are canonical: options that were changed since do not touch them.
    pub fn carry_over(&mut self, path: &Path, digest: Digest) -> Result<()> {
        let verbatim = Ingestion {
            max_rejected_share: 0.0,
            missing_values: Vec::new(),
            max_line_bytes: usize::MAX,
            ..self.options.clone()
        };
        let read = self.file_at(path, "", &verbatim, &mut (), &mut |_, _| {}, true)?;
        self.bytes_read = 0;
        self.rows_read = 0;
        if read.digest == Some(digest) && read.counts.rows_read == read.counts.rows_kept {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "{} is not what the ledger recorded: it was changed or damaged. Restore it, or run \
             `ingestion --rebuild` to make a new version from the source files",
            path.display()
        )))
    }

    /// Reads one file; its rows are in whole, or not at all.
    pub fn file(
        &mut self,
        candidate: &Candidate,
        audit: &mut impl Audit,
        progress: Progress,
    ) -> Result<FileRead> {
        self.file_at(&candidate.path, &candidate.name, self.options, audit, progress, true)
    }

    /// Reads one file and takes nothing of it; the counts say what would be new.
    pub fn look(&mut self, candidate: &Candidate) -> Result<FileRead> {
        let Candidate { name, path } = candidate;
        self.file_at(path, name, self.options, &mut (), &mut |_, _| {}, false)
    }

    fn file_at(
        &mut self,
        path: &Path,
        name: &str,
        options: &Ingestion,
        audit: &mut impl Audit,
        progress: Progress,
        take: bool,
    ) -> Result<FileRead> {
        self.seen.next_file();
        self.first_rejected = None;
        let labels = self.labels.clone();
        let mark = self.output.mark()?;
        let quarantine_mark = self.quarantine.as_mut().map(RowFile::mark).transpose()?;

        let mut read = self.read(path, name, options, audit, progress)?;
        if let Outcome::Taken = read.outcome {
            read.outcome =
                judge(&read.counts, self.first_rejected.as_ref(), options.max_rejected_share);
        }
        if !take || !matches!(read.outcome, Outcome::Taken) {
            self.seen.forget_file();
            self.labels = labels;
            self.output.cut_back(mark)?;
            match (&mut self.quarantine, quarantine_mark) {
                (Some(quarantine), Some(mark)) => quarantine.cut_back(mark)?,
                (quarantine, _) => *quarantine = None,
            }
        }
        Ok(read)
    }

    /// Reads a file to its end. An error that is the file's own fault becomes its outcome; one
    /// that concerns our output is returned.
    fn read(
        &mut self,
        path: &Path,
        name: &str,
        options: &Ingestion,
        audit: &mut impl Audit,
        progress: Progress,
    ) -> Result<FileRead> {
        let mut read = FileRead {
            outcome: Outcome::Taken,
            counts: FileCounts { missing: vec![0; self.schema.width()], ..FileCounts::default() },
            digest: None,
            stamp: None,
        };
        let opened = File::open(path).and_then(|f| f.metadata().map(|m| (f, Stamp::of(&m))));
        let (file, stamp) = match opened {
            Ok(opened) => opened,
            Err(e) => {
                read.outcome = Outcome::Failed(unreadable(&e));
                return Ok(read);
            }
        };
        read.stamp = Some(stamp);
        let mut reader = ChunkReader::new(file, path, self.chunk_bytes);
        let counts = &mut read.counts;
        let outcome = self.rows(&mut reader, name, path, options, counts, audit, progress)?;
        read.digest = Some(reader.digest());
        let now = std::fs::metadata(path).map(|m| Stamp::of(&m));
        read.outcome = match (now, outcome) {
            (Ok(now), outcome) if now == stamp => outcome,
            _ => Outcome::Changing,
        };
        if let Outcome::Failed(_) | Outcome::Changing = read.outcome {
            // Not read to its end, perhaps; the digest would be of a part.
            read.digest = None;
        }
        Ok(read)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one file, for one caller")]
    fn rows(
        &mut self,
        reader: &mut ChunkReader<File>,
        name: &str,
        path: &Path,
        options: &Ingestion,
        counts: &mut FileCounts,
        audit: &mut impl Audit,
        progress: Progress,
    ) -> Result<Outcome> {
        let place = path.display().to_string();
        let header = match reader.header() {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(Outcome::NoRows),
            Err(e) => return Ok(Outcome::Failed(own_fault(&e))),
        };
        let mapped =
            Layout::of(&header.bytes, &header.fields, self.schema, Purpose::Labelled, &place);
        let layout = match mapped {
            Ok(layout) => layout,
            Err(e) => return Ok(Outcome::Failed(own_fault(&e))),
        };
        counts.extra_columns.clone_from(&layout.extra);
        counts.reordered = layout.reordered();
        counts.changes.byte_order_mark += u64::from(header.byte_order_mark);
        let mut parser =
            RowParser::new(self.schema, layout, options, self.labels.clone(), self.hasher);
        let mut chunk = std::mem::take(&mut self.chunk);
        let mut line = header.lines + 1;
        let outcome = loop {
            match reader.next_chunk(&mut chunk, parser.shape()) {
                Ok(Some(offset)) => {
                    parser.parse(&chunk, offset, &mut self.parsed);
                    self.take(&chunk, line, name, counts, audit)?;
                    line += u64::from(self.parsed.lines);
                    self.bytes_read += chunk.len() as u64;
                    progress(self.bytes_read, self.rows_read);
                }
                Ok(None) if counts.rows_read == 0 => break Outcome::NoRows,
                Ok(None) => break Outcome::Taken,
                Err(e) => break Outcome::Failed(own_fault(&e)),
            }
        };
        self.chunk = chunk;
        self.labels = parser.labels;
        Ok(outcome)
    }

    /// De-duplicates and keeps the rows of a parsed chunk whose first line is `line`.
    fn take(
        &mut self,
        chunk: &[u8],
        line: u64,
        name: &str,
        counts: &mut FileCounts,
        audit: &mut impl Audit,
    ) -> Result<()> {
        let parsed = &self.parsed;
        for row in &parsed.rows {
            let fate = self.seen.insert(row.hash);
            match fate {
                Fate::Kept => {
                    counts.rows_kept += 1;
                    self.output.append(parsed.bytes(chunk, row))?;
                }
                Fate::DuplicateWithin => counts.duplicates_within += 1,
                Fate::DuplicateAcross => counts.duplicates_across += 1,
                Fate::Quarantined => {}
            }
            audit.row(line + u64::from(row.line), row.lines, fate);
        }
        for rejected in &parsed.rejected {
            let mut rejected = rejected.clone();
            rejected.line += line;
            audit.row(rejected.line, rejected.lines, Fate::Quarantined);
            *counts.rejections.entry(rejected.error).or_default() += 1;
            self.first_rejected.get_or_insert_with(|| (rejected.line, rejected.in_words()));
            let text = quarantine::line(name, &rejected).map_err(|e| Error::backend("csv", e))?;
            if self.quarantine.is_none() {
                let file = RowFile::create(self.disk, self.quarantine_path, quarantine::HEADER)?;
                self.quarantine = Some(file);
            }
            if let Some(quarantine) = &mut self.quarantine {
                quarantine.append(&text)?;
            }
        }
        let read = (parsed.rows.len() + parsed.rejected.len()) as u64;
        counts.rows_read += read;
        counts.quarantined += parsed.rejected.len() as u64;
        counts.blank_lines += parsed.blank_lines;
        counts.changes.add(&parsed.changes);
        counts.missing.iter_mut().zip(&parsed.missing).for_each(|(sum, n)| *sum += n);
        self.rows_read += read;
        Ok(())
    }

    /// The finished files.
    pub fn finish(self) -> Result<Built> {
        Ok(Built {
            data: self.output.finish()?,
            quarantine: self.quarantine.map(RowFile::finish).transpose()?,
            negative_label: self.labels.negative,
        })
    }
}

/// Refuses a file with too many bad rows.
fn judge(
    counts: &FileCounts,
    first_rejected: Option<&(u64, String)>,
    max_rejected_share: f64,
) -> Outcome {
    let share = counts.quarantined as f64 / counts.rows_read.max(1) as f64;
    if share <= max_rejected_share {
        return Outcome::Taken;
    }
    let reasons: Vec<String> =
        counts.rejections.iter().map(|(error, n)| format!("{n} {}", error.as_str())).collect();
    let first = first_rejected
        .map_or_else(String::new, |(line, words)| format!("; the first is line {line}: {words}"));
    Outcome::Failed(format!(
        "{} of {} rows are bad ({}), {:.1} % where {:.1} % are allowed{first}. Nothing of the file \
         was taken: correct it, or raise \"ingestion.max_rejected_share\"",
        counts.quarantined,
        counts.rows_read,
        reasons.join(", "),
        share * 100.0,
        max_rejected_share * 100.0,
    ))
}

/// Why a file failed that cannot be opened.
pub(crate) fn unreadable(error: &std::io::Error) -> String {
    format!("cannot read it: {error}")
}

/// The reason in words, with the cause; the file is named by whoever reports it.
fn own_fault(error: &Error) -> String {
    if let ErrorKind::Schema { message, .. } = error.kind() {
        return message.clone();
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
