//! Builds one cumulative, canonical, duplicate-free data set from arriving files.
//!
//! Processes one file at a time: pieces are read and parsed ([`crate::csv`]), each row is kept,
//! dropped as a duplicate or quarantined (`sink`), and a file counts whole or not at all. Not for
//! the ledger, versions or publishing: see [`crate::stage::ingest`].

use crate::dataset::resources::Resources;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::config::{Config, INPUT, Ingestion};
use crate::platform::digest::Digest;
use crate::platform::disk::{Disk, NewFile};
use crate::platform::engine::Engine;
use crate::platform::files;
use crate::platform::temporary::TemporaryFolder;
use crate::table::schema::Schema;
use crate::{Result, text};

use crate::csv::checks::Checks;
use crate::csv::chunk::ChunkReader;
use crate::csv::clean::Labels;
use crate::csv::evidence::{Signs, unnamed_labels};
use crate::csv::forgotten::Forgotten;
use crate::csv::formats;
use crate::csv::header::{Layout, Purpose};
use crate::csv::outcome::FileOutcome;
use crate::csv::parallel::Made;
use crate::csv::parse::RowParser;
use crate::csv::pipeline::{Piece, Stopped};
use crate::csv::record;
use crate::csv::row_hash::RowHasher;
use crate::dataset::agreement::Agreement;
use crate::dataset::counts::unreadable;
use crate::dataset::counts::{Audit, FileCounts, FileRead};
use crate::dataset::counts::{judge, not_as_recorded, own_fault};
use crate::dataset::discover::{SourceFile, Stamp};
use crate::dataset::elsewhere::{Elsewhere, FileThere, Meaning, StretchThere};
use crate::dataset::index::Index;
use crate::dataset::rows::RowFile;
pub use crate::dataset::sink::Earlier;
use crate::dataset::sink::RowSink;
use crate::dataset::spill::Late;

/// Receives progress: bytes and rows read so far, of all files.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// The data set being built: earlier rows, new rows, rejected rows.
pub struct Ingest<'a> {
    schema: &'a Schema,
    options: &'a Ingestion,
    labels: Labels,
    hasher: RowHasher,
    resources: Resources,
    keep: RowSink<'a>,
    /// What single cells of the current file say about the whole file.
    signs: Signs,
    /// The negative label is learned, from all files of this run together.
    teaching: bool,
    /// The number of files carried over.
    carried: usize,
    bytes_read: u64,
    /// Digests of contents that are in the data set already.
    known: BTreeSet<Digest>,
    /// How files of sources are read, and the present day; others are read with `options`.
    sources: Option<(&'a Config, DateTime<Utc>)>,
    /// The median number of rows of earlier files, by source.
    typical_rows: BTreeMap<String, u64>,
    /// Rows of the current file, by part and line, that were given up.
    left_out: BTreeSet<(String, u64)>,
    /// The people whose rows are left out.
    forgotten: Option<Arc<Forgotten>>,
    /// The rows of the files, if an engine reads them.
    there: Option<Elsewhere>,
}

/// The finished parts, ready to be published.
#[derive(Debug)]
pub struct Built {
    /// The data set with its length and digest.
    pub data: (NewFile, u64, Digest),
    /// The metadata of its file.
    pub stamp: Stamp,
    /// The quarantine with its length and digest, if any row was rejected.
    pub quarantine: Option<(NewFile, u64, Digest)>,
    /// The negative label, if it is known.
    pub negative_label: Option<String>,
    /// The rows seen, for the next ingestion.
    pub index: Option<Index>,
    /// For each file that was taken, the duplicates found only at the end.
    late: Vec<Late>,
}

impl Built {
    /// A data set whose rows, of which `negative_label` is a label, were taken from an earlier one.
    pub(crate) fn of_rows(mut file: RowFile, negative_label: Option<String>) -> Result<Self> {
        let stamp = file.stamp()?;
        let data = file.finish()?;
        let (quarantine, index, late) = (None, None, Vec::new());
        Ok(Self { data, stamp, quarantine, negative_label, index, late })
    }

    /// The same data set with other rows.
    pub(crate) fn with_rows(self, mut file: RowFile) -> Result<Self> {
        let stamp = file.stamp()?;
        let data = file.finish()?;
        Ok(Self { data, stamp, index: None, late: Vec::new(), ..self })
    }

    /// Corrects the counts of the files that were taken, in order: when memory was short, they
    /// count late duplicates as kept.
    pub fn settle<'c>(&self, counts: impl Iterator<Item = &'c mut FileCounts>) {
        for (counts, late) in counts.zip(&self.late) {
            counts.rows_kept -= late.within + late.across;
            counts.duplicates_within += late.within;
            counts.duplicates_across += late.across;
        }
    }
}

impl<'a> Ingest<'a> {
    /// Starts a data set that will be published in the folders of `data` and `quarantine`.
    pub fn start(
        schema: &'a Schema,
        options: &'a Ingestion,
        disk: &Disk,
        data: &Path,
        quarantine: &Path,
        resources: Resources,
    ) -> Result<Self> {
        let hasher = RowHasher::random();
        let resources =
            Resources { threads: crate::dataset::sink::threads(resources), ..resources };
        let keep = RowSink::start((schema, options), disk, (data, quarantine), hasher, resources)?;
        let labels = Labels::of(schema);
        let signs = Signs::default();
        Ok(Self {
            schema,
            options,
            labels,
            hasher,
            resources,
            keep,
            signs,
            teaching: false,
            carried: 0,
            bytes_read: 0,
            known: BTreeSet::new(),
            sources: None,
            typical_rows: BTreeMap::new(),
            left_out: BTreeSet::new(),
            forgotten: None,
            there: None,
        })
    }

    /// Reads files that come from one of the configured sources as that source has it, `now`.
    pub fn of_sources(&mut self, config: &'a Config, now: DateTime<Utc>) {
        self.sources = Some((config, now));
    }

    /// Has an engine read the files at `paths`, and compare their rows with those of `earlier`, which has so many
    /// rows; its tasks write into `folder`.
    pub(crate) fn read_elsewhere(
        &mut self,
        engine: Arc<dyn Engine>,
        (disk, folder): (&Disk, TemporaryFolder),
        paths: &[PathBuf],
        earlier: Option<(&Path, u64)>,
    ) -> Result<()> {
        let Some((config, now)) = self.sources else { return Ok(()) };
        let meaning = Meaning { config, schema: self.schema, now, key: self.hasher.0 };
        self.keep.decide_elsewhere();
        self.there =
            Some(Elsewhere::read(engine, (disk.clone(), folder), &meaning, paths, earlier)?);
        Ok(())
    }

    /// Copies the data set `earlier`, whose `rows` an engine has looked at.
    pub(crate) fn carry_over_unread(&mut self, earlier: Earlier, rows: u64) -> Result<()> {
        self.carried += 1;
        self.keep.copy_text(earlier, rows)
    }

    /// Leaves out the rows of people who were erased, and counts them.
    pub fn forget(&mut self, forgotten: Option<Arc<Forgotten>>) {
        self.forgotten = forgotten;
    }

    /// Whether rows of people who were erased would be left out.
    pub(crate) fn forgets(&self) -> bool {
        self.forgotten.is_some()
    }

    /// Compares the number of rows with the median `typical` of earlier files, by source, where a contract
    /// asks for it.
    pub fn compare_rows(&mut self, typical: BTreeMap<String, u64>) {
        self.typical_rows = typical;
    }

    fn typical_rows(&self, path: &Path) -> Option<u64> {
        let (config, _) = self.sources?;
        let source = config.source_at(path).map_or(INPUT, |(source, _)| source.name.as_str());
        self.typical_rows.get(source).copied()
    }

    /// Copies the rows of the previous data set, which must have its digest, and remembers them. The
    /// rows are canonical, so that changed options do not affect them.
    pub fn carry_over(&mut self, earlier: Earlier) -> Result<()> {
        let Earlier { path, sha256: digest, .. } = earlier;
        if let Some(hasher) = self.keep.copy(earlier)? {
            self.hasher = hasher;
            self.carried += 1;
            return Ok(());
        }
        let verbatim = self.options.verbatim();
        self.keep.next_file(true)?;
        let read = self.read(path, "", &verbatim, &mut (), &mut |_, _| {})?;
        self.carried += 1;
        self.bytes_read = 0;
        self.keep.rows_read = 0;
        if read.digest == Some(digest) && read.counts.rows_read == read.counts.rows_kept {
            return Ok(());
        }
        Err(not_as_recorded(path))
    }

    /// Declares that there is no earlier data: if no negative label is configured, the only other
    /// label of all files becomes it.
    pub fn is_first(&mut self) {
        self.teaching = self.labels.learning;
    }

    /// From now on a file with content `digest` is skipped: its rows are in the data set.
    pub fn know(&mut self, digest: Digest) {
        self.known.insert(digest);
    }

    /// Copies `rows` rows, from number `first` on, of the earlier data set at `path`, which must
    /// have `digest`: in place of a file that no longer exists.
    pub fn stretch(
        &mut self,
        path: &Path,
        digest: Digest,
        (first, rows): (u64, u64),
    ) -> Result<FileCounts> {
        self.keep.next_file(false)?;
        let mut counts =
            FileCounts { missing: vec![0; self.schema.width()], ..FileCounts::default() };
        let verbatim = self.options.verbatim();
        let theirs = verbatim.columns.theirs(self.schema);
        let (opened, _) = formats::open(path, &verbatim, &theirs, self.resources.threads)?;
        let mut reader = ChunkReader::of(opened, path, self.resources.chunk_bytes.max(1));
        let Some(header) = reader.header()? else { return Err(not_as_recorded(path)) };
        let place = path.display().to_string();
        let layout =
            Layout::of(&header, &verbatim.columns, self.schema, Purpose::Labelled, &place)?;
        let labels = self.labels.clone();
        let parser = RowParser::new(self.schema, layout, &verbatim, labels, self.hasher);
        let mut number = 0;
        self.labels =
            crate::csv::parallel::run(&mut reader, parser, self.resources.threads, |piece| {
                let there = piece.made.parsed.rows.len() as u64;
                let within = |row: u64| {
                    usize::try_from(row.saturating_sub(number).min(there)).unwrap_or(usize::MAX)
                };
                let (from, to) = (within(first), within(first + rows));
                number += there;
                if from < to {
                    piece.made.parsed.rows.truncate(to);
                    piece.made.parsed.rows.drain(..from);
                    self.keep.take(piece, 1, "", &mut counts, &mut ())?;
                }
                Ok(())
            })?;
        if reader.digest()? == digest && counts.rows_read == rows {
            return Ok(counts);
        }
        Err(not_as_recorded(path))
    }

    /// Reads one file; either all its good rows are added or none.
    pub fn file(
        &mut self,
        candidate: &SourceFile,
        audit: &mut impl Audit,
        progress: Progress,
    ) -> Result<FileRead> {
        self.one(candidate, audit, progress, true)
    }

    /// Like [`Ingest::file`], without the rows of some parts and lines, which are counted as discarded.
    pub fn file_without(
        &mut self,
        candidate: &SourceFile,
        left_out: BTreeSet<(String, u64)>,
        progress: Progress,
    ) -> Result<FileRead> {
        self.left_out = left_out;
        let read = self.one(candidate, &mut (), progress, true);
        self.left_out = BTreeSet::new();
        read
    }

    /// Reads one file without adding its rows; the counts say which would be new.
    pub fn look(&mut self, candidate: &SourceFile, audit: &mut impl Audit) -> Result<FileRead> {
        self.one(candidate, audit, &mut |_, _| {}, false)
    }

    fn one(
        &mut self,
        candidate: &SourceFile,
        audit: &mut impl Audit,
        progress: Progress,
        take: bool,
    ) -> Result<FileRead> {
        self.keep.next_file(false)?;
        let labels = self.labels.clone();

        let SourceFile { name, path } = candidate;
        let options = self.sources.map_or(self.options, |(config, _)| config.reading_at(path));
        let before = (self.bytes_read, self.keep.rows_read);
        let mut read = self.read(path, name, options, audit, progress)?;
        if let (FileOutcome::Taken, Some(better)) = (&read.outcome, self.signs.better.take()) {
            // The spelling of the label must not depend on which row came first.
            self.keep.forget_file()?;
            self.keep.next_file(false)?;
            (self.bytes_read, self.keep.rows_read) = before;
            audit.again();
            self.labels = Labels { negative: Some(better), learning: false, ..labels.clone() };
            read = self.read(path, name, options, audit, progress)?;
        }
        if let FileOutcome::Taken = read.outcome {
            read.outcome = self.judge(path, options, &labels, &read.counts);
        }
        if matches!(read.outcome, FileOutcome::Taken)
            && read.digest.is_some_and(|digest| self.known.contains(&digest))
        {
            read.outcome = FileOutcome::Known;
        }
        if !take || !matches!(read.outcome, FileOutcome::Taken) {
            self.keep.forget_file()?;
            self.labels = labels;
        } else if let Some(there) = &mut self.there {
            there.take(path);
        }
        Ok(read)
    }

    /// Whether the file just read may be added; `before` has the labels known before it.
    fn judge(
        &mut self,
        path: &Path,
        options: &Ingestion,
        before: &Labels,
        counts: &FileCounts,
    ) -> FileOutcome {
        if let Some(refusal) = self.signs.refusal() {
            return FileOutcome::Failed(refusal);
        }
        if (before.learning || self.teaching) && self.signs.other_label {
            let learned = before.negative.as_deref();
            let outcome = unnamed_labels(path, self.schema, options, learned);
            return outcome.unwrap_or_else(|error| FileOutcome::Failed(own_fault(&error)));
        }
        self.labels.learning &= self.labels.negative.is_none();
        let first = self.keep.first_rejected.as_ref();
        judge(counts, first, self.options.max_rejected_share)
    }

    /// Reads a file to its end. An error caused by the file becomes its outcome; an error of our
    /// output is returned.
    fn read(
        &mut self,
        path: &Path,
        name: &str,
        options: &Ingestion,
        audit: &mut impl Audit,
        progress: Progress,
    ) -> Result<FileRead> {
        let mut read = FileRead {
            outcome: FileOutcome::Taken,
            counts: FileCounts { missing: vec![0; self.schema.width()], ..FileCounts::default() },
            digest: None,
            stamp: None,
        };
        let theirs = options.columns.theirs(self.schema);
        let opened = files::open(path).map(|(file, metadata)| (file, Stamp::of(&metadata)));
        let (file, stamp) = match opened {
            Ok(opened) => opened,
            Err(e) => {
                read.outcome = FileOutcome::Failed(unreadable(&e));
                return Ok(read);
            }
        };
        read.stamp = Some(stamp);
        let threads = self.resources.threads;
        let opened = match formats::recognise(path, file, options, &theirs, threads) {
            Ok(opened) => opened,
            Err(e) => {
                read.outcome = FileOutcome::Failed(own_fault(&e));
                return Ok(read);
            }
        };
        self.signs = Signs::default();
        let mut reader = ChunkReader::of(opened, path, self.resources.chunk_bytes.max(1));
        let counts = &mut read.counts;
        let outcome = self.rows(&mut reader, name, path, options, counts, audit, progress)?;
        let there = self.there.as_ref().filter(|_| !name.is_empty());
        let digest = match there.and_then(|there| there.file(path)) {
            Some(FileThere { read: Ok((digest, _)), .. }) => Ok(*digest),
            _ => reader.digest(),
        };
        let outcome = match (digest, outcome) {
            (Ok(digest), outcome) => {
                read.digest = Some(digest);
                outcome
            }
            (Err(e), FileOutcome::Taken) => FileOutcome::Failed(own_fault(&e)),
            (Err(_), outcome) => outcome,
        };
        let now = std::fs::metadata(path).map(|m| Stamp::of(&m));
        read.outcome = match (now, outcome) {
            (Ok(now), outcome) if now == stamp => outcome,
            _ => FileOutcome::Changing,
        };
        if let FileOutcome::Failed(_) | FileOutcome::Changing = read.outcome {
            // The file may not have been read to its end, so that the digest would be of a part.
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
    ) -> Result<FileOutcome> {
        let place = path.display().to_string();
        let header = match reader.header() {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(FileOutcome::Empty),
            Err(e) => return Ok(FileOutcome::Failed(own_fault(&e))),
        };
        // The rows of a data set of our own were looked at when they came.
        let (checks, contract) = if name.is_empty() {
            (None, None)
        } else {
            let contract = self.sources.and_then(|(config, _)| config.contract_at(path));
            let checks =
                self.sources.and_then(|(config, now)| Checks::at(path, config, self.schema, now));
            (checks, contract)
        };
        let purpose = Purpose::of_rows(contract);
        let mapped = Layout::of(&header, &options.columns, self.schema, purpose, &place);
        let layout = match mapped {
            Ok(layout) => layout,
            Err(e) => return Ok(FileOutcome::Failed(own_fault(&e))),
        };
        (counts.extra_columns, counts.extra_left_out) = text::examples(&layout.extra);
        counts.reordered = layout.reordered();
        counts.changes.byte_order_mark += header.byte_order_marks;
        counts.changes.invisible += layout.invisible;
        if self.there.is_some() && !name.is_empty() {
            return self.rows_there(path, name, header.lines + 1, counts, progress);
        }
        let mut agreement = contract.map(|contract| {
            let absent = layout.positions.iter().enumerate().filter(|(_, field)| field.is_none());
            let absent = absent.map(|(column, _)| column).collect();
            Agreement::new(contract, checks.as_deref(), self.resources.memory / 4, absent)
        });
        let parser = RowParser::new(self.schema, layout, options, self.labels.clone(), self.hasher)
            .checking(checks)
            .without(self.forgotten.clone().filter(|_| !name.is_empty()));
        let shape = parser.shape();
        let mut line = header.lines + 1;
        let taken = crate::csv::parallel::run(reader, parser, self.resources.threads, |piece| {
            self.signs.note(&piece.made.parsed, |at| piece.number(line, at));
            if let Some(agreement) = &mut agreement {
                agreement.note(piece, shape, line);
            }
            if !self.left_out.is_empty() {
                discard(piece, line, &self.left_out, shape, counts);
            }
            self.keep.take(piece, line, name, counts, audit)?;
            line += u64::from(piece.made.parsed.lines);
            self.bytes_read += piece.chunk.len() as u64;
            progress(self.bytes_read, self.keep.rows_read);
            Ok(())
        });
        match taken {
            Ok(labels) => self.labels = labels,
            Err(Stopped::Reading(e)) => return Ok(FileOutcome::Failed(own_fault(&e))),
            Err(Stopped::Taking(e)) => return Err(e),
        }
        let (more, left_out) = text::examples(&reader.extra());
        counts.extra_columns.extend(more);
        counts.extra_left_out += left_out;
        if let Some(agreement) = agreement {
            let typical = self.typical_rows(path);
            if let Some(reason) = agreement.conclude(self.schema, counts, typical) {
                return Ok(FileOutcome::Failed(reason));
            }
        }
        Ok(if counts.rows_read == 0 { FileOutcome::NoRows } else { FileOutcome::Taken })
    }

    /// Counts the rows of a file that an engine has read, whose first row is in line `line`.
    fn rows_there(
        &mut self,
        path: &Path,
        name: &str,
        mut line: u64,
        counts: &mut FileCounts,
        progress: Progress,
    ) -> Result<FileOutcome> {
        let now = std::fs::metadata(path).map(|m| Stamp::of(&m));
        let file = self.there.as_ref().and_then(|there| there.file(path));
        let Some(FileThere { stamp, read }) = file else { return Ok(FileOutcome::Changing) };
        if !now.is_ok_and(|now| now == *stamp) {
            return Ok(FileOutcome::Changing);
        }
        let stretches = match read {
            Ok((_, stretches)) => stretches,
            Err(reason) => return Ok(FileOutcome::Failed(reason.clone())),
        };
        for StretchThere { read, .. } in stretches {
            self.signs.note_rejected(&read.rejected, |at| line + at);
            self.keep.take_stretch(read, line, name, counts)?;
            line += read.lines;
        }
        self.bytes_read += stamp.size;
        progress(self.bytes_read, self.keep.rows_read);
        Ok(if counts.rows_read == 0 { FileOutcome::NoRows } else { FileOutcome::Taken })
    }

    /// The finished files.
    pub fn finish(mut self) -> Result<Built> {
        let there = self.there.take();
        let found = there.map(|there| there.finish(|rows| self.keep.append(rows))).transpose()?;
        let (mut files, late, index) = self.keep.finish()?;
        let (late, index) = match found {
            // The data set that came first has none.
            Some(found) => ([vec![Late::default(); self.carried], found].concat(), None),
            None => (late, index),
        };
        Ok(Built {
            stamp: files.data.stamp()?,
            data: files.data.finish()?,
            quarantine: files.quarantine.map(RowFile::finish).transpose()?,
            negative_label: self.labels.negative,
            index,
            late: late.into_iter().skip(self.carried).collect(),
        })
    }
}

/// Removes the rows of a piece, whose first line is `first`, that were given up.
fn discard(
    piece: &mut Piece<Made<()>>,
    first: u64,
    left_out: &BTreeSet<(String, u64)>,
    shape: record::Shape,
    counts: &mut FileCounts,
) {
    let Piece { chunk, offset, place, made, .. } = piece;
    let part = place.as_ref().and_then(|place| place.part.as_deref()).unwrap_or_default();
    let is_left_out = |line| {
        let line = place.as_ref().map_or(first + line, |place| place.number(line));
        left_out.contains(&(part.to_owned(), line))
    };
    let gone = made.parsed.view(chunk, offset.unwrap_or(0), shape).leave_out(
        |row, _| is_left_out(u64::from(row.line)),
        |rejected| is_left_out(rejected.line),
    );
    counts.rows_read += gone;
    counts.discarded += gone;
}
