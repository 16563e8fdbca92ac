//! The decoder contract, for files in formats other than comma-separated UTF-8.
//!
//! A decoder turns a file into CSV text, which the parser reads like any other CSV text, so that a
//! table gives the same data set in every format. The decoders themselves are in a crate of their own
//! and are installed by the program that links them.

use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::config::{Compression, Ingestion, Kind};
use crate::platform::digest::Digest;
use crate::platform::files;
use crate::table::Table;
use crate::table::schema::Schema;
use crate::{Error, Result};

use super::change_kind::ChangeKinds;
use super::quarantine::ErrorType;
use super::record::Malformed;

/// Opens files of all formats that a program knows.
pub trait Formats: Send + Sync {
    /// Recognises the format of `file`, by its content, then by its name, unless `options` name it.
    ///
    /// `columns` are the names that the rows' columns have in the file, as far as anybody wants them. The
    /// position of `file` must be 0 if it is returned. A file whose format is in doubt is an
    /// [`ErrorKind::Schema`](crate::ErrorKind::Schema). Up to `threads` threads decode what can be decoded
    /// in parts; the rows are the same.
    fn open(
        &self,
        path: &Path,
        file: File,
        options: &Ingestion,
        columns: &[String],
        threads: usize,
    ) -> Result<Opened>;

    /// Opens a data set of our own that is Parquet; its batches have values, and text only where a cell is
    /// not what a row of ours has.
    fn open_values(&self, path: &Path, file: File, wants: Wants) -> Result<Opened>;

    /// Whether a folder's file of this name is taken: its ending is that of a known format.
    fn takes(&self, name: &str) -> bool;

    /// About how many bytes of the file at `path` a row takes; `None` if its text shows it.
    fn row_bytes(&self, path: &Path) -> Option<u64>;

    /// Writes the rows of a data set of our own as Parquet to `out`. The same rows give the same bytes, and
    /// are read back with the same cells.
    fn write_table(&self, data: DataSet, out: &mut dyn TableFile) -> Result<()>;

    /// Begins a Parquet file of changed cells in `out`.
    fn write_changes<'w>(
        &self,
        out: &'w mut (dyn Write + Send),
    ) -> Result<Box<dyn ChangesWriter + 'w>>;
}

/// A file of changed cells that is being written. Memory is bounded.
pub trait ChangesWriter {
    /// Appends a line for each kind of change of a cell.
    fn push(&mut self, cell: &ChangedCell) -> Result<()>;

    /// Writes what is left.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// The columns of a file of changed cells, in order.
pub const CHANGES: [&str; 8] = ["row", "file", "part", "line", "column", "from", "to", "kind"];

/// A cell that cleaning changed.
#[derive(Debug, Clone, Copy)]
pub struct ChangedCell<'a> {
    /// The number of its row in the data set, from 1.
    pub row: u64,
    /// The name of the file that it came from.
    pub file: &'a str,
    /// The part of the file, if it has parts.
    pub part: Option<&'a str>,
    /// The line or row in the file or its part.
    pub line: u64,
    /// The column of the schema.
    pub column: &'a str,
    /// What it was.
    pub from: &'a str,
    /// What it is; empty if it is missing.
    pub to: &'a str,
    /// How it was changed.
    pub kinds: ChangeKinds,
}

/// A data set of our own.
pub struct DataSet<'a> {
    /// Its text, CSV in canonical spelling, at the beginning.
    pub file: File,
    /// What errors call it.
    pub place: &'a Path,
    /// Its columns.
    pub schema: &'a Schema,
}

/// A file that is written from its beginning to its end.
pub trait TableFile: Write + Send {
    /// Forgets what was written so far.
    fn restart(&mut self) -> std::io::Result<()>;
}

/// What is wanted of a data set of our own whose batches have values.
#[derive(Debug, Clone)]
pub struct Wants {
    /// Its columns, with both labels.
    pub schema: Schema,
    /// The texts of ids.
    pub ids: bool,
    /// Of the features only these numeric columns, from the first to before the second, and no label; all
    /// columns if it is `None`.
    pub numbers: Option<(usize, usize)>,
    /// Texts that stand for a missing value in a categorical column.
    pub missing: Vec<String>,
    /// The digest of the file.
    pub digest: bool,
    /// Threads that decode it.
    pub threads: usize,
}

/// A file that was opened, and how its rows are read.
pub enum Opened {
    /// Comma-separated UTF-8: the file itself.
    File(File),
    /// Comma-separated UTF-8 once it is unpacked or translated.
    Text(Box<dyn Text>),
    /// Rows of another kind.
    Rows(Box<dyn Rows>),
}

/// CSV text that is made of a file. A physical line of the text is one of the file.
pub trait Text: Read + Send {
    /// The digest of the file's bytes; called once, after the last of them.
    fn digest(&mut self) -> Result<Digest>;

    /// Goes on with the next part of the file after the end of one, such as a member of an archive;
    /// returns false after the last. Each part has a header of its own.
    fn next_part(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// The name of the present part; `None` if the file has no parts.
    fn part(&self) -> Option<Arc<str>> {
        None
    }

    /// The names of the columns, if the text has no header of its own.
    fn names(&self) -> Option<Vec<String>> {
        None
    }
}

/// Rows that are made of a file.
pub trait Rows: Send {
    /// The names of the columns that the batches have; `None` if the file has no rows and no names.
    fn header(&mut self) -> Result<Option<Vec<String>>>;

    /// Fills `batch` with the next rows, at least one; returns false after the last. About
    /// [`CHUNK_BYTES`](super::chunk::CHUNK_BYTES) bytes are a good size.
    fn next(&mut self, batch: &mut Batch) -> Result<bool>;

    /// The digest of the file's bytes; called once, after the last batch.
    fn digest(&mut self) -> Result<Digest>;

    /// Columns of the file that the batches lack; called after the last batch.
    fn extra(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Whole rows as CSV records, each with its line end.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records: separated by commas, quoted by double quotes where necessary, with `\n` at the end.
    pub text: Vec<u8>,
    /// Where they are in the file.
    pub place: Place,
    /// What they are there; without bytes they stand for themselves.
    pub source: Source,
    /// Those that cannot be read, in order.
    pub refused: Vec<Refused>,
    /// The rows as values, in place of their text; only of a reader that was opened for them.
    pub values: Option<Box<Table>>,
}

/// What the records of a batch are in their file, for the quarantine.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Bytes of the file, as text.
    pub bytes: Vec<u8>,
    /// For each line of the batch, and for the one after the last, where in `bytes` it begins; empty
    /// if each byte of the batch stands for the one at its place.
    pub starts: Vec<u32>,
    /// Offset in the file of the first byte, if its bytes are those of the file.
    pub offset: Option<u64>,
}

impl Source {
    /// The record that takes `lines` lines from `line` on and is `text` bytes of the batch.
    pub(crate) fn range(&self, line: u64, lines: u32, text: Range<usize>) -> Option<Range<usize>> {
        let range = if self.starts.is_empty() {
            text
        } else {
            let line = usize::try_from(line).ok()?;
            let end = self.starts.get(line + lines as usize)?;
            *self.starts.get(line)? as usize..*end as usize
        };
        (range.start <= range.end && range.end <= self.bytes.len()).then_some(range)
    }
}

/// A record that has no meaning as a row. In the text of its batch it is one line that has a field too
/// many, so that the parser rejects it and counts it in its place.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Its line in the text, from 0.
    pub line: u32,
    /// The reason.
    pub why: Why,
}

/// Why a record has no meaning as a row.
#[derive(Debug, Clone)]
pub enum Why {
    /// It cannot be split into fields.
    Malformed(Malformed),
    /// Another reason, of this kind and in these words.
    Other(ErrorType, String),
}

/// Where the lines of a piece of CSV text come from in a file of another format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The part of the file, such as a sheet, a row group or a member; `None` if it has no parts.
    pub part: Option<Arc<str>>,
    /// The number of the first line or row in its part, from 1.
    pub first: u64,
    /// For each line of the text, how many lines or rows after the first it begins in the file; empty if
    /// line n of the text is simply line n there.
    pub offsets: Vec<u32>,
}

impl Place {
    /// The place of rows that are numbered one after the other, the first as `first`.
    pub fn rows(part: Option<Arc<str>>, first: u64) -> Self {
        Self { part, first, offsets: Vec::new() }
    }

    /// The number in the file, from 1, of the line or row that `line` of the text is, counted from 0.
    pub fn number(&self, line: u64) -> u64 {
        let offset = usize::try_from(line).ok().and_then(|line| self.offsets.get(line));
        self.first + offset.map_or(line, |offset| u64::from(*offset))
    }

    /// The name of a file with the part, for messages and records: `book.xlsx#Clients`.
    pub fn name(&self, file: &str) -> String {
        match &self.part {
            Some(part) => format!("{file}#{part}"),
            None => file.to_owned(),
        }
    }
}

static FORMATS: OnceLock<&'static dyn Formats> = OnceLock::new();

/// Lets this program read `formats`, too. The first call counts.
///
/// One for the whole process, as decoders have no state and code that reads rows should not have to
/// know who knows formats.
pub fn install(formats: &'static dyn Formats) {
    let _ = FORMATS.set(formats);
}

/// Opens the regular file at `path` as what it is, to be decoded on up to `threads` threads.
pub fn open(
    path: &Path,
    options: &Ingestion,
    columns: &[String],
    threads: usize,
) -> Result<(Opened, Metadata)> {
    let (file, metadata) = files::open(path).map_err(|e| Error::io("read", path, e))?;
    Ok((recognise(path, file, options, columns, threads)?, metadata))
}

/// Takes `file`, which was opened at `path`, as what it is.
pub fn recognise(
    path: &Path,
    file: File,
    options: &Ingestion,
    columns: &[String],
    threads: usize,
) -> Result<Opened> {
    match FORMATS.get() {
        Some(formats) if is_our_text(path) && !options.format.is_default() => {
            formats.open(path, file, &options.verbatim(), columns, threads)
        }
        Some(formats) => formats.open(path, file, options, columns, threads),
        None if is_our_table(path) => Err(Error::data(format!(
            "{}: this program was built without Parquet and cannot read it: use one that has it",
            path.display()
        ))),
        None => Ok(Opened::File(file)),
    }
}

/// About how many bytes of the file at `path` a row takes, if its text does not show it.
pub fn row_bytes(path: &Path) -> Option<u64> {
    FORMATS.get()?.row_bytes(path)
}

/// Opens a data set of our own, which is CSV in canonical spelling or the same cells as Parquet.
/// `columns` are wanted; all, if there are none.
pub fn open_our_own(path: &Path, columns: &[String], threads: usize) -> Result<(Opened, Metadata)> {
    let (file, metadata) = files::open(path).map_err(|e| Error::io("read", path, e))?;
    let mut options = Ingestion::default().verbatim();
    if is_our_table(path) {
        // Whatever damage makes it look like.
        options.format.kind = Some(Kind::Parquet);
        options.format.compression = Some(Compression::None);
    }
    Ok((recognise(path, file, &options, columns, threads)?, metadata))
}

/// Opens a data set of our own for its values; `None` if its file has no typed columns.
pub fn open_values(path: &Path, wants: Wants) -> Result<Option<(Opened, Metadata)>> {
    let Some(formats) = FORMATS.get().filter(|_| is_our_table(path)) else { return Ok(None) };
    let (file, metadata) = files::open(path).map_err(|e| Error::io("read", path, e))?;
    Ok(Some((formats.open_values(path, file, wants)?, metadata)))
}

/// The text of the data set of our own at `path`, whose columns are those of `schema`: its header, then its
/// rows in canonical spelling.
pub fn text_of_our_own(path: &Path, schema: &Schema) -> Result<Box<dyn Read + Send>> {
    let columns: Vec<String> = schema.columns().iter().map(|column| column.name.clone()).collect();
    Ok(match open_our_own(path, &columns, 1)?.0 {
        Opened::File(file) => Box::new(file),
        Opened::Text(text) => Box::new(text),
        Opened::Rows(mut rows) => {
            if rows.header()?.is_some_and(|names| names != columns) {
                let message = "its columns are not those of the data set";
                return Err(Error::schema(path.display().to_string(), message));
            }
            Box::new(Spelt { rows, batch: Batch::default(), text: schema.header(), at: 0 })
        }
    })
}

/// Rows as text, with a header before them.
struct Spelt {
    rows: Box<dyn Rows>,
    batch: Batch,
    text: Vec<u8>,
    at: usize,
}

impl Read for Spelt {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.text.len() {
            self.batch.text.clear();
            if !self.rows.next(&mut self.batch).map_err(std::io::Error::other)? {
                return Ok(0);
            }
            std::mem::swap(&mut self.text, &mut self.batch.text);
            self.at = 0;
        }
        let more = buffer.len().min(self.text.len() - self.at);
        buffer[..more].copy_from_slice(&self.text[self.at..self.at + more]);
        self.at += more;
        Ok(more)
    }
}

/// Refuses to begin what would end with a Parquet file if this program does not know Parquet.
pub fn check_that_tables_are_known() -> Result<()> {
    match FORMATS.get() {
        Some(_) => Ok(()),
        None => Err(Error::data(
            "this program was built without Parquet: set \"output.csv\" to true and \"output.parquet\" to \
             false, or use a program that has it",
        )),
    }
}

/// Writes the rows of `data` as Parquet to `out`, if this program knows Parquet.
pub fn write_table(data: DataSet, out: &mut dyn TableFile) -> Result<()> {
    check_that_tables_are_known()?;
    FORMATS.get().map_or(Ok(()), |formats| formats.write_table(data, out))
}

/// Begins a Parquet file of changed cells in `out`, if this program knows Parquet.
pub(crate) fn write_changes<'w>(
    out: &'w mut (dyn Write + Send),
) -> Result<Box<dyn ChangesWriter + 'w>> {
    match FORMATS.get() {
        Some(formats) => formats.write_changes(out),
        None => Err(Error::data(
            "this program cannot write Parquet: set \"ingestion.record_changes\" to \"sample\"",
        )),
    }
}

/// Whether the file has the name of one of our own data sets or hold-outs, whose numbers are
/// canonical whatever format is configured for arriving files.
pub fn is_our_own(path: &Path) -> bool {
    is_our_text(path) || is_our_table(path)
}

fn is_our_text(path: &Path) -> bool {
    has_name(path, &["finaldata", "testdata_new"], ".csv")
}

fn is_our_table(path: &Path) -> bool {
    has_name(path, &["finaldata"], ".parquet")
}

fn has_name(path: &Path, starts: &[&str], end: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(end) && starts.iter().any(|start| name.starts_with(start))
}

/// Whether a file of this name may hold rows.
pub fn takes(name: &str) -> bool {
    let csv = Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    csv || FORMATS.get().is_some_and(|formats| formats.takes(name))
}
