//! Reads a file of rows as typed batches: our own data sets, test files, files to predict.
//!
//! Rows are cleaned exactly as in ingestion, so that a test file may be as untidy as any other.
//! Reading, parsing and the caller's work run in parallel, see `csv::pipeline`; the result is the
//! same for any number of threads. Not for writing: see [`crate::dataset`].

use std::collections::HashSet;
use std::fs::Metadata;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{Columns, Config, Ingestion, NumberFormat};
use crate::csv::chunk::{CHUNK_BYTES, ChunkReader};
use crate::csv::clean::Labels;
use crate::csv::evidence::Signs;
use crate::csv::formats::{self, Opened, Place, Wants, is_our_own};
use crate::csv::header::{Layout, Purpose};
use crate::csv::number::missing_numbers;
use crate::csv::numbering::Numbering;
use crate::csv::parallel::{self, Made};
use crate::csv::parse::{Parsed, RowParser};
use crate::csv::pipeline::{Piece, Worker};
use crate::csv::quarantine::Rejected;
use crate::csv::row_hash::{Row, RowHasher};
use crate::csv::values::Wanted;
use crate::platform::digest::Digest;
use crate::table::Table;
use crate::table::schema::{Role, Schema};
use crate::{Result, text};

/// Reads the rows of a file; the methods set what is read and how.
#[derive(Debug, Clone, Copy)]
pub struct RowReader<'a> {
    schema: &'a Schema,
    options: &'a Ingestion,
    purpose: Purpose,
    hasher: RowHasher,
    wanted: Wanted,
    digest: bool,
    threads: usize,
    chunk_bytes: usize,
    sources: Option<&'a Config>,
}

/// What is known about a file after reading it, besides its good rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The digest of the file's bytes; that of an empty file if it was not asked for.
    pub digest: Digest,
    /// The number of records in the file.
    pub rows_read: u64,
    /// The number of records that were rejected.
    pub rejected: u64,
    /// Descriptions of the first rejected records, with their lines.
    pub examples: Vec<String>,
    /// Columns that are not in the schema.
    pub extra_columns: Vec<String>,
    /// The physical line after the header, counted from 1.
    #[serde(skip)]
    pub first_line: u64,
    /// The number of physical lines after the header.
    #[serde(skip)]
    pub lines: u64,
}

/// A record that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The record's index, counted from 0 over good and bad ones.
    pub row: u64,
    /// The physical line on which it begins, counted from 1.
    pub line: u64,
    /// The column at fault; empty if it is not a single one.
    pub column: String,
    /// A description of the fault.
    pub message: String,
}

/// A set of row identities. They are hashes under a random key already and are not hashed again.
pub type RowSet = HashSet<u128, BuildHasherDefault<Taken>>;

/// A hasher that takes some of the bits of a row's identity.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Row identities use `write_u128`; this serves anything else.
        self.0 = bytes.iter().fold(self.0, |hash, b| hash.rotate_left(8) ^ u64::from(*b));
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of the bits are plenty")]
    fn write_u128(&mut self, identity: u128) {
        self.0 = identity as u64;
    }
}

/// How many rejected rows a [`Reading`] describes at most.
const EXAMPLES: usize = 5;

impl<'a> RowReader<'a> {
    /// Reads labelled rows of `schema`. Hashes of two readers can be compared only if one is a copy
    /// of the other.
    pub fn labelled(schema: &'a Schema, options: &'a Ingestion) -> Self {
        Self {
            schema,
            options,
            purpose: Purpose::Labelled,
            hasher: RowHasher::random(),
            wanted: Wanted { ids: false, hashes: true, numbers: None },
            digest: true,
            threads: 1,
            chunk_bytes: CHUNK_BYTES,
            sources: None,
        }
    }

    /// Reads rows to predict; ids are optional and labels are ignored.
    pub fn prediction(schema: &'a Schema, options: &'a Ingestion) -> Self {
        Self { purpose: Purpose::Prediction, ..Self::labelled(schema, options) }
    }

    /// Reads labelled rows for scoring; ids are optional.
    pub fn evaluation(schema: &'a Schema, options: &'a Ingestion) -> Self {
        Self { purpose: Purpose::Evaluation, ..Self::labelled(schema, options) }
    }

    /// Reads labelled rows to find their entities: with ids, and without the hashes of rows and the
    /// digest of the file, which nobody asks for then.
    pub(crate) fn entities(schema: &'a Schema, options: &'a Ingestion, threads: usize) -> Self {
        let reader = Self::labelled(schema, options).on_threads(threads);
        reader.without_hashes().without_digest().with_ids()
    }

    /// Keeps the ids too.
    #[must_use]
    pub fn with_ids(mut self) -> Self {
        self.wanted.ids = true;
        self
    }

    /// Leaves out the hashes of rows.
    #[must_use]
    pub fn without_hashes(mut self) -> Self {
        self.wanted.hashes = false;
        self
    }

    /// Leaves out the digest of the file.
    #[must_use]
    pub fn without_digest(mut self) -> Self {
        self.digest = false;
        self
    }

    /// Reads nothing but the numeric columns `columns` again, of a file of which no row was rejected;
    /// the other columns of a batch may be shorter than it.
    #[must_use]
    pub(crate) fn again(mut self, columns: &Range<usize>) -> Self {
        let numbers = Some((columns.start, columns.end));
        self.wanted = Wanted { ids: false, hashes: false, numbers };
        self.without_digest()
    }

    /// Makes the hashes of rows the same in every run that uses `key`.
    #[must_use]
    pub fn keyed(mut self, key: u64) -> Self {
        self.hasher = RowHasher(key);
        self
    }

    /// Uses `threads` threads instead of one; the result is the same.
    #[must_use]
    pub fn on_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Uses other options; the hashes of rows stay the same.
    #[must_use]
    pub fn reading(mut self, options: &'a Ingestion) -> Self {
        self.options = options;
        self
    }

    /// Reads files that come from one of the configured sources as that source has it.
    #[must_use]
    pub fn of_sources(mut self, config: &'a Config) -> Self {
        self.sources = Some(config);
        self
    }

    /// How the file at `path` is read.
    fn options_at(&self, path: &Path) -> &'a Ingestion {
        let source = self.sources.and_then(|config| config.source_at(path));
        source.map_or(self.options, |(source, _)| &source.reading)
    }

    /// Reads pieces of `bytes` bytes instead of the default size; the result is the same.
    #[must_use]
    pub fn with_chunk_bytes(mut self, bytes: usize) -> Self {
        self.chunk_bytes = bytes.max(1);
        self
    }

    /// Passes the rows of `path` to `visit` in order, a batch at a time.
    ///
    /// Cells may be spelt in several ways, and a record that cannot be used is counted and named:
    ///
    /// ```
    /// use mlops_core::config::Ingestion;
    /// use mlops_core::csv::reader::RowReader;
    /// use mlops_core::table::schema::SchemaFields;
    /// use mlops_core::{Error, Schema};
    ///
    /// # fn main() -> mlops_core::Result<()> {
    /// let numeric = ["age".to_owned()];
    /// let fields = SchemaFields { numeric: &numeric, target: "left", positive_label: "1", ..SchemaFields::default() };
    /// let (schema, options) = (Schema::new(fields), Ingestion::default());
    /// let folder = tempfile::tempdir().expect("a scratch folder");
    /// let path = folder.path().join("clients.csv");
    /// std::fs::write(&path, "age,left\n 042,1\n\"1,300\",0\nold,1\n")
    ///     .map_err(|e| Error::io("write", &path, e))?;
    /// let mut ages = Vec::new();
    /// let reading = RowReader::labelled(&schema, &options).read(&path, |table| {
    ///     ages.extend_from_slice(&table.numeric[0]);
    ///     Ok(())
    /// })?;
    /// assert_eq!((ages, reading.rejected), (vec![42.0, 1300.0], 1));
    /// assert!(reading.examples[0].contains("line 4"), "{:?}", reading.examples);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read(
        &self,
        path: &Path,
        mut visit: impl FnMut(&Table) -> Result<()>,
    ) -> Result<Reading> {
        let swap = |(): &mut (), table: &mut Table, made: &mut Table| std::mem::swap(table, made);
        let (reading, _) = self.each(path, || (), swap, |table| visit(table))?;
        Ok(reading)
    }

    /// Passes the rows of `path` to `work` on several threads, a batch at a time, and its results
    /// to `take` on this thread, in file order.
    ///
    /// Each thread has its own state, which starts as `state()`. `work` may modify its batch; its output
    /// buffer still holds an earlier batch and must be cleared. The states are returned in no
    /// particular order.
    pub fn each<S: Send, M: Default + Send>(
        &self,
        path: &Path,
        state: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, &mut Table, &mut M) + Sync,
        mut take: impl FnMut(&mut M) -> Result<()>,
    ) -> Result<(Reading, Vec<S>)> {
        let (opened, metadata) = match self.open_values(path)? {
            Some(opened) => opened,
            None => self.open(path)?,
        };
        let plain = matches!(opened, Opened::File(_));
        let mut reader = ChunkReader::of(opened, path, self.chunk_bytes);
        if !self.digest {
            reader = reader.without_digest();
        }
        let mut reading = Reading::default();
        let Some((parser, mut line)) = self.parser(&mut reader, path, &mut reading)? else {
            reading.digest = reader.digest()?;
            return Ok((reading, Vec::new()));
        };
        let one_piece = plain && metadata.len() <= self.chunk_bytes as u64;
        reading.first_line = line;
        // Until the negative label is known, a piece may have to be processed twice.
        let workers = match self.threads {
            _ if one_piece || parser.labels.negative.is_none() => 0,
            1 => 0,
            // Hashing in software keeps one processor busy.
            threads if self.digest && !crate::platform::digest::is_instruction() => threads - 1,
            threads => threads,
        };
        let wanted = self.wanted;
        let schema = self.schema;
        let work = Worker {
            state: || (state(), Table::new(schema)),
            make: |(state, table): &mut (S, Table),
                   parser: &mut RowParser,
                   piece: &mut Piece<Made<(u64, M)>>| {
                let Piece { chunk, offset, source, refused, values, made, .. } = piece;
                let Made { parsed, besides: (rows, made) } = made;
                if let Some(values) = values.take() {
                    *table = *values;
                    parsed.clear(schema.width());
                    parsed.lines = u32::try_from(table.len()).unwrap_or(u32::MAX);
                    *rows = table.len() as u64;
                    return work(state, table, made);
                }
                // The buffer may hold a table of another schema.
                if !table.is_of(schema) {
                    *table = Table::new(schema);
                }
                parser.values(chunk, offset.unwrap_or(0), wanted, parsed, table);
                parser.amend(parsed, source, refused);
                *rows = table.len() as u64;
                work(state, table, made);
            },
        };
        let mut signs = Signs::default();
        let read = parallel::run_with(&mut reader, parser, workers, &work, |piece| {
            let number = |at| piece.number(line, at);
            signs.note(&piece.made.parsed, number);
            signs.check(path)?;
            reading.note(piece.place.as_ref(), &piece.made.parsed.rejected, number);
            let Made { parsed, besides: (rows, made) } = &mut piece.made;
            reading.rows_read += *rows + parsed.rejected.len() as u64;
            line += u64::from(parsed.lines);
            take(made)
        });
        let (_, states) = read?;
        reading.lines = line - reading.first_line;
        reading.digest = reader.digest()?;
        Ok((reading, states.into_iter().map(|(state, _)| state).collect()))
    }

    /// Passes the rows in `input` to `visit` in order, a batch at a time, together with the index
    /// of the batch's first record and the rejected records of the batch.
    ///
    /// `input` is read on this thread in pieces of `chunk_bytes`; error messages name it `place`.
    pub fn stream(
        &self,
        input: impl Read,
        place: &Path,
        chunk_bytes: usize,
        mut visit: impl FnMut(&Table, u64, Vec<Fault>) -> Result<()>,
    ) -> Result<Reading> {
        let reader = ChunkReader::new(input, place, chunk_bytes);
        self.batches(reader, place, |table, first, faults, _, _| visit(table, first, faults))
    }

    /// Like [`Self::stream`], but also passes the line of each good row.
    pub fn lines(
        &self,
        input: impl Read,
        place: &Path,
        chunk_bytes: usize,
        visit: impl FnMut(&Table, u64, Vec<Fault>, &[u64]) -> Result<()>,
    ) -> Result<Reading> {
        self.lines_of(ChunkReader::new(input, place, chunk_bytes), place, visit)
    }

    /// The same for the rows of a file of any format.
    pub fn lines_at(
        &self,
        path: &Path,
        visit: impl FnMut(&Table, u64, Vec<Fault>, &[u64]) -> Result<()>,
    ) -> Result<Reading> {
        self.lines_of(ChunkReader::of(self.open(path)?.0, path, self.chunk_bytes), path, visit)
    }

    fn lines_of(
        &self,
        reader: ChunkReader<impl Read>,
        place: &Path,
        mut visit: impl FnMut(&Table, u64, Vec<Fault>, &[u64]) -> Result<()>,
    ) -> Result<Reading> {
        self.batches(reader, place, |table, first, faults, rows, number| {
            let lines: Vec<u64> = rows.iter().map(|row| number(u64::from(row.line))).collect();
            visit(table, first, faults, &lines)
        })
    }

    /// Passes batches to `visit`, with their rows and the numbers that their lines have in the file.
    fn batches(
        &self,
        reader: ChunkReader<impl Read>,
        place: &Path,
        mut visit: impl FnMut(&Table, u64, Vec<Fault>, &[Row], &dyn Fn(u64) -> u64) -> Result<()>,
    ) -> Result<Reading> {
        let mut reader = reader.without_digest();
        let mut reading = Reading::default();
        let Some((mut parser, mut line)) = self.parser(&mut reader, place, &mut reading)? else {
            return Ok(reading);
        };
        let (mut chunk, mut parsed) = (Vec::new(), Parsed::default());
        let mut batch = Table::new(self.schema);
        let (mut first, mut numbering) = (0, Numbering::default());
        while let Some(position) = reader.next_chunk(&mut chunk, parser.shape())? {
            parser.parse(&chunk, position.offset.unwrap_or(0), &mut parsed);
            parser.amend(&mut parsed, &position.source, &position.refused);
            batch.clear();
            for row in &parsed.rows {
                let bytes = parsed.bytes(&chunk, row.extent);
                let hash = Some(row.hash).filter(|_| self.wanted.hashes);
                batch.push_canonical(bytes, self.schema, hash, self.wanted.ids);
            }
            let place = position.place.as_ref();
            let number = numbering.next(place, line, u64::from(parsed.lines));
            let faults = faults(&parsed, first, &number);
            let of_part = |at| place.map_or(line + at, |place| place.number(at));
            reading.note(place, &parsed.rejected, of_part);
            let records = (parsed.rows.len() + parsed.rejected.len()) as u64;
            reading.rows_read += records;
            visit(&batch, first, faults, &parsed.rows, &number)?;
            first += records;
            line += u64::from(parsed.lines);
        }
        Ok(reading)
    }

    /// Passes each row of `path` to `visit` in canonical spelling, newline included, in order.
    pub fn rows(&self, path: &Path, mut visit: impl FnMut(&[u8]) -> Result<()>) -> Result<Reading> {
        self.rows_of(ChunkReader::of(self.open(path)?.0, path, self.chunk_bytes), path, &mut visit)
    }

    /// The same for `input`, which error messages call `path`.
    pub(crate) fn rows_in(
        &self,
        input: impl Read + Send,
        path: &Path,
        mut visit: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Reading> {
        self.rows_of(ChunkReader::new(input, path, self.chunk_bytes), path, &mut visit)
    }

    fn rows_of(
        &self,
        mut reader: ChunkReader<impl Read + Send>,
        path: &Path,
        visit: &mut impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Reading> {
        let (mut reading, mut signs) = (Reading::default(), Signs::default());
        if let Some((parser, mut line)) = self.parser(&mut reader, path, &mut reading)? {
            parallel::run(&mut reader, parser, self.threads, |piece| {
                let parsed = &piece.made.parsed;
                let number = |at| piece.number(line, at);
                signs.note(parsed, number);
                signs.check(path)?;
                reading.note(piece.place.as_ref(), &parsed.rejected, number);
                reading.rows_read += (parsed.rows.len() + parsed.rejected.len()) as u64;
                line += u64::from(parsed.lines);
                parsed.rows.iter().try_for_each(|row| visit(piece.bytes(row.extent)))
            })?;
        }
        reading.digest = reader.digest()?;
        Ok(reading)
    }

    /// Opens a data set of our own for its values, if it has them and nothing else is asked for.
    fn open_values(&self, path: &Path) -> Result<Option<(Opened, Metadata)>> {
        let Self { schema, wanted, digest, .. } = *self;
        let options = self.options_at(path);
        // Spellings of missing numbers are found in texts, as are the identities of rows.
        let plain = missing_numbers(&options.missing_values, NumberFormat::default()).is_empty();
        let both_labels = schema.negative_label().is_some();
        if wanted.hashes || !plain || !both_labels || self.purpose != Purpose::Labelled {
            return Ok(None);
        }
        let wants = Wants {
            schema: schema.clone(),
            ids: wanted.ids,
            numbers: wanted.numbers,
            missing: options.missing_values.clone(),
            digest,
            threads: self.threads,
        };
        formats::open_values(path, wants)
    }

    /// Opens a file of any format.
    fn open(&self, path: &Path) -> Result<(Opened, Metadata)> {
        let options = self.options_at(path);
        if is_our_own(path) {
            let columns = Columns::default().theirs(self.schema);
            return formats::open_our_own(path, &columns, self.threads);
        }
        let mut columns = options.columns.theirs(self.schema);
        if self.purpose == Purpose::Prediction {
            // The header is recognised by these columns, and rows to predict seldom have a label.
            let ours = self.schema.columns().iter();
            let target = ours.zip(&columns).find(|(column, _)| column.role == Role::Target);
            let target = target.map(|(_, theirs)| theirs.clone());
            columns.retain(|theirs| Some(theirs) != target.as_ref());
        }
        formats::open(path, options, &columns, self.threads)
    }

    /// A parser for what follows the header, and the line on which that begins; `None` if all lines
    /// are blank.
    fn parser(
        &self,
        reader: &mut ChunkReader<impl Read>,
        path: &Path,
        reading: &mut Reading,
    ) -> Result<Option<(RowParser<'a>, u64)>> {
        let Some(header) = reader.header()? else { return Ok(None) };
        let place = path.display().to_string();
        let options = self.options_at(path);
        let layout = Layout::of(&header, &options.columns, self.schema, self.purpose, &place)?;
        reading.extra_columns.clone_from(&layout.extra);
        let labels = Labels::of(self.schema);
        let parser = RowParser::new(self.schema, layout, options, labels, self.hasher);
        let parser = if is_our_own(path) { parser.of_our_own() } else { parser };
        let parser = if self.wanted.hashes { parser } else { parser.without_hashes() };
        Ok(Some((parser, header.lines + 1)))
    }
}

/// The rejected records of a piece whose first record has the number `first`, and whose lines have these numbers.
pub(crate) fn faults(parsed: &Parsed, first: u64, number: impl Fn(u64) -> u64) -> Vec<Fault> {
    let fault = |(before, rejected): (usize, &Rejected)| {
        let good = parsed.rows.partition_point(|row| u64::from(row.line) < rejected.line);
        Fault {
            row: first + (before + good) as u64,
            line: number(rejected.line),
            column: rejected.column.as_ref().map(|c| c.1.clone()).unwrap_or_default(),
            message: rejected.message.clone(),
        }
    };
    parsed.rejected.iter().enumerate().map(fault).collect()
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            digest: Digest::of(b""),
            rows_read: 0,
            rejected: 0,
            examples: Vec::new(),
            extra_columns: Vec::new(),
            first_line: 0,
            lines: 0,
        }
    }
}

impl Reading {
    /// Whether each line is exactly one good row.
    pub fn is_plain(&self) -> bool {
        self.rejected == 0 && self.lines == self.rows_read
    }

    /// Notes the rejected records of a piece; `number` is the line in the file of one of its lines.
    fn note(&mut self, place: Option<&Place>, rejected: &[Rejected], number: impl Fn(u64) -> u64) {
        self.rejected += rejected.len() as u64;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(rejected.iter().take(room).map(|r| {
            let column = r.column.as_ref().map(|(_, name)| name.as_str()).unwrap_or_default();
            let line = format!("line {}", number(r.line));
            let place = match place.and_then(|place| place.part.as_deref()) {
                Some(part) => format!("{}, {line}", text::visible(part)),
                None => line,
            };
            if column.is_empty() {
                format!("{place}: {}", r.message)
            } else {
                format!("{place}, column \"{}\": {}", text::name(column), r.message)
            }
        }));
    }
}
