//! Decides for each parsed row whether it is kept, dropped as a duplicate or quarantined, and
//! counts.
//!
//! While the rows seen fit into the memory limit, the outcome of a row is known at once. Otherwise
//! rows go through temporary files ([`super::spill`]) and duplicates are found at the end. In both
//! cases the first of equal rows is kept, in file order, and the bytes of the data set are the
//! same. Not for reading files: see [`super`].

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::config::{Ingestion, OnChange};
use crate::platform::digest::Digest;
use crate::platform::disk::Disk;
use crate::table::schema::Schema;
use crate::{Error, Result};

use super::dedup::{BATCH, RowOutcome, SeenRows, bytes_for};
use super::discover::Stamp;
use super::elsewhere::RowsRead;
use super::index::{Body, Index, Opened};
use super::rows::{Content, Original};
use super::spill::{Late, Span, Spill};
use super::writer::{DatasetWriter, Files};
use crate::csv::chunk::{CHUNK_BYTES, ChunkReader};
use crate::csv::clean::Labels;
use crate::csv::formats;
use crate::csv::header::{Layout, Purpose};
use crate::csv::parallel::{self, Made};
use crate::csv::parse::RowParser;
use crate::csv::pipeline::Piece;
use crate::csv::quarantine::{self, Rejected};
use crate::csv::row_hash::{Extent, Row, RowHasher};
use crate::dataset::counts::{Audit, FileCounts};
use crate::dataset::resources::Resources;

/// Memory of a process besides the rows seen: program, ledger, blocks being written.
const FIXED_BYTES: usize = 12 << 20;
/// Memory of a parsing thread, including the pieces in its queues.
const THREAD_BYTES: usize = 3 << 20;

/// An index is read whole and rewritten if new rows are at least this share of its rows: that is
/// cheaper than looking each of them up.
const MANY: u64 = 8;

/// A data set that a new one starts with.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// Its file.
    pub path: &'a Path,
    /// The digest of the file.
    pub sha256: Digest,
    /// The digest of its rows as CSV.
    pub content: Digest,
    /// The metadata of the file when it was recorded, if known.
    pub stamp: Option<Stamp>,
}

impl<'a> Earlier<'a> {
    /// The CSV file at `path`, which has `digest`.
    pub fn text(path: &'a Path, digest: Digest) -> Self {
        Self { path, sha256: digest, content: digest, stamp: None }
    }
}

/// How many threads may parse within the memory of `resources`, at most half of which is for threads.
pub(crate) fn threads(resources: Resources) -> usize {
    resources.threads.clamp(1, (resources.memory / 2 / THREAD_BYTES).max(1))
}

/// The destination of parsed rows.
pub(crate) struct RowSink<'a> {
    schema: &'a Schema,
    options: &'a Ingestion,
    disk: Disk,
    data: PathBuf,
    hasher: RowHasher,
    writer: DatasetWriter,
    expected_rows: usize,
    /// Memory limit for the rows seen, in bytes.
    memory: usize,
    /// Equal rows are all kept, so that none need be remembered.
    all: bool,
    seen: Option<SeenRows>,
    spill: Option<Spill>,
    /// Outcomes of the current rows.
    outcomes: Vec<RowOutcome>,
    /// The files so far, by the numbers of their kept rows.
    spans: Vec<Span>,
    kept: u64,
    /// The current rows are known to be distinct: those of a data set.
    distinct: bool,
    pub(crate) rows_read: u64,
    /// Line and reason of the first rejected row of the current file.
    pub(crate) first_rejected: Option<(u64, String)>,
}

impl<'a> RowSink<'a> {
    pub(crate) fn start(
        (schema, options): (&'a Schema, &'a Ingestion),
        disk: &Disk,
        (data, quarantine): (&Path, &Path),
        hasher: RowHasher,
        resources: Resources,
    ) -> Result<Self> {
        let besides = FIXED_BYTES + THREAD_BYTES * resources.threads;
        let memory = resources.memory.saturating_sub(besides);
        // Which of equal rows stays is then decided at the end.
        let all = options.keeps_equal_rows(schema) || options.on_change == OnChange::Latest;
        let fits = bytes_for(resources.expected_rows) <= memory;
        let seen = !all && fits;
        Ok(Self {
            schema,
            options,
            disk: disk.clone(),
            data: data.to_owned(),
            hasher,
            expected_rows: resources.expected_rows,
            writer: DatasetWriter::start(disk, data, &schema.header(), quarantine)?,
            memory,
            all,
            seen: seen.then(|| SeenRows::expecting(resources.expected_rows)).transpose()?,
            spill: (!all && !fits).then(|| Spill::new(disk, data, memory, None)),
            outcomes: Vec::new(),
            spans: Vec::new(),
            kept: 0,
            distinct: false,
            rows_read: 0,
            first_rejected: None,
        })
    }

    /// Copies the data set `earlier`, relying on its index instead of looking at its rows. Returns
    /// the key of the row hashes; `None`, with nothing done, if there is no usable index.
    pub(crate) fn copy(&mut self, earlier: Earlier) -> Result<Option<RowHasher>> {
        let Earlier { path, sha256, content: digest, stamp } = earlier;
        let Some(index) = Opened::of(path, digest) else { return Ok(None) };
        if !self.all && !index.knows_all_rows() {
            return Ok(None);
        }
        let source = if digest == sha256 {
            File::open(path).ok().map(Content::File)
        } else {
            formats::text_of_our_own(path, self.schema).ok().map(Content::Decoded)
        };
        // Reading the rows will say what is wrong with it.
        let Some(source) = source else { return Ok(None) };
        // The copy proceeds while the index is read, and is undone if that fails.
        self.next_file(true)?;
        let resume = Some(index.resume.clone());
        let original = Original { path: path.to_owned(), digest, stamp, resume };
        self.writer.copy(source, original)?;
        let (hasher, rows) = (index.hasher, index.rows);
        let new = (self.expected_rows as u64).saturating_sub(rows);
        let fits = self.seen.is_some() && index.memory() <= self.memory;
        if self.all {
            // The rows are not compared.
        } else if fits && new >= rows / MANY {
            let Some(seen) = index.load() else {
                self.forget_file()?;
                return Ok(None);
            };
            self.seen = Some(seen);
        } else {
            self.seen = None;
            let spill = Spill::new(&self.disk, &self.data, self.memory, Some(index));
            self.spans = vec![Span { start: spill.next(), dropped: false }];
            self.spill = Some(spill);
        }
        self.kept += rows;
        self.hasher = hasher;
        Ok(Some(hasher))
    }

    /// Starts another file; its rows are taken without comparison if they are `distinct`.
    pub(crate) fn next_file(&mut self, distinct: bool) -> Result<()> {
        self.distinct = distinct;
        self.first_rejected = None;
        self.spans.push(Span { start: self.next(), dropped: false });
        if let Some(seen) = &mut self.seen {
            seen.next_file();
        }
        self.writer.mark()
    }

    /// Discards the rows of the current file.
    pub(crate) fn forget_file(&mut self) -> Result<()> {
        if let Some(seen) = &mut self.seen {
            seen.forget_file();
            self.kept = self.spans.pop().map_or(0, |span| span.start);
        } else if self.all {
            self.kept = self.spans.pop().map_or(0, |span| span.start);
        } else if let Some(span) = self.spans.last_mut() {
            span.dropped = true;
        }
        self.writer.cut_back()
    }

    /// De-duplicates and keeps the rows of a piece whose first line is `line`.
    pub(crate) fn take(
        &mut self,
        piece: &Piece<Made<()>>,
        line: u64,
        name: &str,
        counts: &mut FileCounts,
        audit: &mut impl Audit,
    ) -> Result<()> {
        let parsed = &piece.made.parsed;
        // Rows to keep that stand one behind the other are copied at once.
        let mut run = Extent::default();
        for batch in parsed.rows.chunks(BATCH) {
            if !self.has_room(batch.len())? {
                self.writer.rows(piece.bytes(std::mem::take(&mut run)))?;
                self.spill_over()?;
            }
            self.settle(batch, piece)?;
            for (row, outcome) in batch.iter().zip(&self.outcomes) {
                let outcome = *outcome;
                match outcome {
                    RowOutcome::Kept => {
                        counts.rows_kept += 1;
                        let here = self.spill.is_none() || self.distinct;
                        if here && !run.extend(row.extent) {
                            self.writer.rows(piece.bytes(run))?;
                            run = row.extent;
                        }
                    }
                    RowOutcome::DuplicateWithin => counts.duplicates_within += 1,
                    RowOutcome::DuplicateAcross => counts.duplicates_across += 1,
                    RowOutcome::Quarantined => {}
                }
                audit.row(piece.number(line, u64::from(row.line)), row.lines, outcome);
            }
        }
        self.writer.rows(piece.bytes(run))?;
        for rejected in &parsed.rejected {
            let mut rejected = rejected.clone();
            rejected.line = piece.number(line, rejected.line);
            audit.row(rejected.line, rejected.lines, RowOutcome::Quarantined);
            let name = piece.place.as_ref().map_or(Cow::Borrowed(name), |p| p.name(name).into());
            let at = piece.offset.or(piece.source.offset).map(|_| rejected.position);
            self.reject(&rejected, &name, at, counts)?;
        }
        let plain = piece.place.is_none() && piece.offset.is_some();
        for gone in &parsed.gone {
            audit.forgotten(piece.number(line, gone.line), gone.lines, plain);
        }
        counts.forgotten += parsed.gone.len() as u64;
        let read = (parsed.rows.len() + parsed.rejected.len() + parsed.gone.len()) as u64;
        counts.rows_read += read;
        counts.quarantined += parsed.rejected.len() as u64;
        counts.blank_lines += parsed.blank_lines;
        counts.changes.add(&parsed.changes);
        counts.newest = counts.newest.max(parsed.looked.newest);
        counts.missing.iter_mut().zip(&parsed.missing).for_each(|(sum, n)| *sum += n);
        self.rows_read += read;
        Ok(())
    }

    /// Counts and writes a rejected record, whose line is that of the file.
    fn reject(
        &mut self,
        rejected: &Rejected,
        name: &str,
        at: Option<u64>,
        counts: &mut FileCounts,
    ) -> Result<()> {
        *counts.rejections.entry(rejected.error).or_default() += 1;
        self.first_rejected.get_or_insert_with(|| (rejected.line, rejected.in_words()));
        let text = quarantine::line(name, at, rejected).map_err(|e| Error::backend("csv", e))?;
        self.writer.rejected(text)
    }

    /// Which of equal rows stays is decided elsewhere, where the rows are, too.
    pub(crate) fn decide_elsewhere(&mut self) {
        (self.all, self.seen, self.spill) = (true, None, None);
    }

    /// Copies the rows of the data set `earlier`, of which there are `rows`.
    pub(crate) fn copy_text(&mut self, earlier: Earlier, rows: u64) -> Result<()> {
        let Earlier { path, sha256: digest, .. } = earlier;
        let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
        self.next_file(true)?;
        let original = Original { path: path.to_owned(), digest, stamp: None, resume: None };
        self.writer.copy(Content::File(file), original)?;
        self.kept += rows;
        Ok(())
    }

    /// Counts the rows of a stretch whose first line is `line`, and writes those that were rejected. The
    /// others are where they were read.
    pub(crate) fn take_stretch(
        &mut self,
        read: &RowsRead,
        line: u64,
        name: &str,
        counts: &mut FileCounts,
    ) -> Result<()> {
        for rejected in &read.rejected {
            let mut rejected = rejected.clone();
            rejected.line += line;
            self.reject(&rejected, name, Some(rejected.position), counts)?;
        }
        let all = read.rows + read.rejected.len() as u64;
        counts.rows_read += all;
        counts.rows_kept += read.rows;
        counts.quarantined += read.rejected.len() as u64;
        counts.blank_lines += read.blank_lines;
        counts.changes.add(&read.changes);
        counts.newest = counts.newest.max(read.newest);
        counts.missing.iter_mut().zip(&read.missing).for_each(|(sum, n)| *sum += n);
        self.kept += read.rows;
        self.rows_read += all;
        Ok(())
    }

    /// Appends rows that were decided on elsewhere.
    pub(crate) fn append(&mut self, rows: &[u8]) -> Result<()> {
        self.writer.rows(rows)
    }

    /// Determines the outcomes of rows, as far as they can be known now.
    fn settle(&mut self, rows: &[Row], piece: &Piece<Made<()>>) -> Result<()> {
        if let Some(seen) = &mut self.seen {
            seen.insert_all(rows.iter().map(|row| row.hash), &mut self.outcomes);
            self.kept +=
                self.outcomes.iter().filter(|outcome| **outcome == RowOutcome::Kept).count() as u64;
        } else {
            self.outcomes.clear();
            self.outcomes.resize(rows.len(), RowOutcome::Kept);
            let Some(spill) = &mut self.spill else {
                self.kept += rows.len() as u64;
                return Ok(());
            };
            for row in rows {
                if self.distinct {
                    spill.known(row.hash, &mut self.writer)?;
                } else {
                    let bytes = piece.bytes(row.extent);
                    spill.candidate(row.hash, bytes, &mut self.writer)?;
                }
            }
        }
        Ok(())
    }

    fn next(&self) -> u64 {
        self.spill.as_ref().map_or(self.kept, Spill::next)
    }

    /// Whether `rows` more rows fit; makes room for them within the memory limit.
    fn has_room(&mut self, rows: usize) -> Result<bool> {
        match &mut self.seen {
            Some(seen) => seen.make_room(rows, self.memory),
            None => Ok(true),
        }
    }

    /// Switches from memory to temporary files. The set of rows seen does not have whole hashes, so
    /// that the rows kept so far are read again.
    fn spill_over(&mut self) -> Result<()> {
        self.seen = None;
        // The current file keeps its place; row numbers of a spill begin at 1.
        self.spans.iter_mut().for_each(|span| span.start += 1);
        let mut spill = Spill::new(&self.disk, &self.data, self.memory, None);
        self.again().each(&mut self.writer, |hash, writer| spill.known(hash, writer))?;
        if spill.count() != self.kept {
            let place = self.data.display();
            let (found, kept) = (spill.count(), self.kept);
            return Err(Error::data(format!(
                "{place}: of {kept} rows just written, {found} could be read back: the disk is \
                 unreliable; nothing was changed"
            )));
        }
        self.spill = Some(spill);
        Ok(())
    }

    fn again(&self) -> Reread<'a> {
        let Self { schema, options, hasher, .. } = *self;
        Reread { schema, options, hasher, data: self.data.clone() }
    }

    /// Writes everything under temporary names; also returns, for each file that was taken, the
    /// duplicates missing from its counts, and the rows seen if they are to be indexed.
    pub(crate) fn finish(mut self) -> Result<(Files, Vec<Late>, Option<Index>)> {
        let mut late = vec![Late::default(); self.spans.len()];
        let (hasher, rows) = (self.hasher, self.kept);
        let seen = self.seen.take().or_else(|| self.all.then(SeenRows::none));
        let mut known = seen.map(|seen| (Body::Seen(seen), rows));
        if let Some(spill) = self.spill.take() {
            let again = self.again();
            let read_base = |spill: &mut Spill, writer: &mut DatasetWriter| {
                again.each(writer, |hash, writer| spill.base(hash, writer))
            };
            let (found, body, rows) = spill.resolve(&self.spans, &mut self.writer, read_base)?;
            (late, known) = (found, Some((body, rows)));
        }
        let taken = late.into_iter().zip(&self.spans).filter(|(_, span)| !span.dropped);
        let late = taken.map(|(late, _)| late).collect();
        let mut files = self.writer.finish()?;
        let resume = files.data.resume()?;
        let index = known.map(|(body, rows)| Index { hasher, rows, resume, body });
        Ok((files, late, index))
    }
}

/// Reads the rows written so far once more.
struct Reread<'a> {
    schema: &'a Schema,
    options: &'a Ingestion,
    hasher: RowHasher,
    data: PathBuf,
}

impl Reread<'_> {
    /// Passes the hash of each row of the data set so far.
    fn each(
        &self,
        writer: &mut DatasetWriter,
        mut tell: impl FnMut(u128, &mut DatasetWriter) -> Result<()>,
    ) -> Result<()> {
        let Self { schema, options, hasher, data } = self;
        let mut reader = ChunkReader::new(writer.reopen_data()?, data, CHUNK_BYTES);
        let verbatim = options.verbatim();
        if let Some(header) = reader.header()? {
            let place = data.display().to_string();
            let columns = &verbatim.columns;
            let layout = Layout::of(&header, columns, schema, Purpose::Labelled, &place)?;
            let parser = RowParser::new(schema, layout, &verbatim, Labels::of(schema), *hasher);
            parallel::run(&mut reader, parser, 1, |piece| {
                piece.made.parsed.rows.iter().try_for_each(|row| tell(row.hash, writer))
            })?;
        }
        Ok(())
    }
}
