//! From files as they arrive to one cumulative, canonical, duplicate-free data set.
//!
//! | step | file | what it guarantees |
//! |---|---|---|
//! | find | [`discover`] | sorted, repeatable; what is passed over is named |
//! | map | [`layout`] | every column of the schema has its field, or the file is refused |
//! | read | `chunk` | each byte is read once; a piece ends where a record ends |
//! | spread | `pipeline` | pieces are parsed at the same time and come back in file order |
//! | parse | `parse`, `spelling`, `record`, `clean` | each record is a canonical row or a rejection |
//! | de-duplicate | [`dedup`], `slots` | the first of equal rows stays, in file order |
//! | keep | `writer`, `rows`, [`quarantine`] | bytes reach the disk in the order of the rows |
//! | count | [`outcome`] | rows read = kept + duplicates + quarantined |
//!
//! This file joins the steps for one file at a time: a file counts whole or not at all.
//! Not for the ledger, versions or publishing: see `stage::ingest`.

pub(crate) mod chunk;
pub mod clean;
pub mod dedup;
pub mod discover;
pub mod layout;
pub mod outcome;
pub(crate) mod parse;
pub(crate) mod pipeline;
pub mod quarantine;
pub(crate) mod record;
pub(crate) mod rows;
pub(crate) mod slots;
pub(crate) mod spelling;
pub(crate) mod values;
pub(crate) mod writer;

use std::fs::File;
use std::path::Path;

use crate::config::Ingestion;
use crate::digest::Digest;
use crate::durable::{Disk, NewFile};
use crate::schema::Schema;
use crate::{Error, Result};

use chunk::{CHUNK_BYTES, ChunkReader};
use clean::Labels;
use dedup::{Fate, RowHasher, SeenRows};
use discover::{Candidate, Stamp};
use layout::{Layout, Purpose};
pub(crate) use outcome::unreadable;
pub use outcome::{Audit, FileCounts, FileRead, Outcome};
use outcome::{judge, own_fault};
use parse::{RowParser, Run};
use pipeline::{Piece, Stopped};
use rows::RowFile;
use writer::Writer;

/// Told of progress: bytes read of all files so far, rows read so far.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// The data set being built: earlier rows, new rows, rejected rows.
pub struct Ingest<'a> {
    schema: &'a Schema,
    options: &'a Ingestion,
    labels: Labels,
    hasher: RowHasher,
    chunk_bytes: usize,
    threads: usize,
    keep: Keep,
    bytes_read: u64,
}

/// Where parsed rows end up.
struct Keep {
    seen: SeenRows,
    writer: Writer,
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
        disk: &Disk,
        data: &Path,
        quarantine: &Path,
        expected_rows: usize,
    ) -> Result<Self> {
        Ok(Self {
            schema,
            options,
            labels: Labels {
                positive: schema.positive_label().to_owned(),
                negative: schema.negative_label().map(str::to_owned),
            },
            hasher: RowHasher::random(),
            chunk_bytes: CHUNK_BYTES,
            threads: 1,
            keep: Keep {
                seen: SeenRows::expecting(expected_rows)?,
                writer: Writer::start(disk, data, &schema.header(), quarantine)?,
                rows_read: 0,
                first_rejected: None,
            },
            bytes_read: 0,
        })
    }

    /// Parses on `threads` threads instead of one; the result is the same.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
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
        self.keep.rows_read = 0;
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
        self.keep.seen.next_file();
        self.keep.first_rejected = None;
        self.keep.writer.mark()?;
        let labels = self.labels.clone();

        let mut read = self.read(path, name, options, audit, progress)?;
        if let Outcome::Taken = read.outcome {
            let first = self.keep.first_rejected.as_ref();
            read.outcome = judge(&read.counts, first, options.max_rejected_share);
        }
        if !take || !matches!(read.outcome, Outcome::Taken) {
            self.keep.seen.forget_file();
            self.keep.writer.cut_back()?;
            self.labels = labels;
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
        let parser = RowParser::new(self.schema, layout, options, self.labels.clone(), self.hasher);
        let mut line = header.lines + 1;
        let taken = pipeline::run(
            reader,
            parser,
            self.threads,
            |_, _, (): &mut ()| {},
            |piece| {
                self.keep.take(piece, line, name, counts, audit)?;
                line += u64::from(piece.parsed.lines);
                self.bytes_read += piece.chunk.len() as u64;
                progress(self.bytes_read, self.keep.rows_read);
                Ok(())
            },
        );
        match taken {
            Ok(labels) => self.labels = labels,
            Err(Stopped::Reading(e)) => return Ok(Outcome::Failed(own_fault(&e))),
            Err(Stopped::Taking(e)) => return Err(e),
        }
        Ok(if counts.rows_read == 0 { Outcome::NoRows } else { Outcome::Taken })
    }

    /// The finished files.
    pub fn finish(self) -> Result<Built> {
        let files = self.keep.writer.finish()?;
        Ok(Built {
            data: files.data.finish()?,
            quarantine: files.quarantine.map(RowFile::finish).transpose()?,
            negative_label: self.labels.negative,
        })
    }
}

impl Keep {
    /// De-duplicates and keeps the rows of a piece whose first line is `line`.
    fn take(
        &mut self,
        piece: &Piece<()>,
        line: u64,
        name: &str,
        counts: &mut FileCounts,
        audit: &mut impl Audit,
    ) -> Result<()> {
        let parsed = &piece.parsed;
        // Rows to keep that stand one behind the other are copied at once.
        let mut run = Run::default();
        for batch in parsed.rows.chunks(dedup::BATCH) {
            self.seen.warm(batch);
            for row in batch {
                let fate = self.seen.insert(row.hash)?;
                match fate {
                    Fate::Kept => {
                        counts.rows_kept += 1;
                        if !run.extend(row) {
                            self.writer.rows(piece.bytes(run))?;
                            run = Run::of(row);
                        }
                    }
                    Fate::DuplicateWithin => counts.duplicates_within += 1,
                    Fate::DuplicateAcross => counts.duplicates_across += 1,
                    Fate::Quarantined => {}
                }
                audit.row(line + u64::from(row.line), row.lines, fate);
            }
        }
        self.writer.rows(piece.bytes(run))?;
        for rejected in &parsed.rejected {
            let mut rejected = rejected.clone();
            rejected.line += line;
            audit.row(rejected.line, rejected.lines, Fate::Quarantined);
            *counts.rejections.entry(rejected.error).or_default() += 1;
            self.first_rejected.get_or_insert_with(|| (rejected.line, rejected.in_words()));
            let text = quarantine::line(name, &rejected).map_err(|e| Error::backend("csv", e))?;
            self.writer.rejected(text)?;
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
}
