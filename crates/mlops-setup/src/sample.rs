//! A sample of the rows of one or more files, by column: all rows of small ones, rows at even distances of
//! large ones. Memory is bounded.
//!
//! Not for what the cells mean: see `check`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use mlops_core::config::{Ingestion, NumberFormat};
use mlops_core::csv::chunk::{CHUNK_BYTES, ChunkReader};
use mlops_core::csv::clean::{FormatChanges, bare};
use mlops_core::csv::record::{Next, Shape, next};
use mlops_core::csv::{formats, header, number::Number};
use mlops_core::{Error, Result};

/// Most rows of a sample.
const ROWS: usize = 1 << 16;
/// Most bytes of the different texts in it.
const BYTES: usize = 1 << 27;
/// So many different headers are kept.
const HEADERS: usize = 8;
/// From which share of rows on that are not UTF-8 a file is taken for one of another encoding.
const FOREIGN: f64 = 0.02;
/// The encoding that is tried where text is not UTF-8.
pub(crate) const LATIN: &str = "windows-1252";

/// The sampled cells of a column.
#[derive(Debug, Clone, Default)]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// The different texts.
    pub levels: Vec<String>,
    /// For each row, which of them it has.
    pub codes: Vec<u32>,
    /// In how many files it is not there.
    pub absent: usize,
    /// The header has the name more than once.
    pub twice: bool,
    known: HashMap<String, u32>,
}

impl Column {
    /// A column of these cells.
    pub fn of<'c>(name: &str, cells: impl IntoIterator<Item = &'c str>) -> Self {
        let mut column = Self { name: name.to_owned(), ..Self::default() };
        cells.into_iter().for_each(|cell| _ = column.push(cell));
        column
    }

    /// Appends a cell; returns how many bytes are new.
    fn push(&mut self, cell: &str) -> usize {
        if let Some(code) = self.known.get(cell) {
            self.codes.push(*code);
            return 0;
        }
        let code = u32::try_from(self.levels.len()).unwrap_or(u32::MAX);
        self.known.insert(cell.to_owned(), code);
        self.levels.push(cell.to_owned());
        self.codes.push(code);
        cell.len()
    }

    /// Forgets every second row.
    fn halve(&mut self) {
        let old = std::mem::take(self);
        let kept = old.codes.iter().step_by(2).map(|code| old.levels[*code as usize].as_str());
        *self = Self::of(&old.name, kept);
        (self.absent, self.twice) = (old.absent, old.twice);
    }

    /// How many rows have each text.
    pub(crate) fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.levels.len()];
        self.codes.iter().for_each(|code| counts[*code as usize] += 1);
        counts
    }
}

/// What was read of the files.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The columns of the first file.
    pub columns: Vec<Column>,
    /// Readable rows of all files.
    pub rows: u64,
    /// One of so many rows is in the sample.
    pub every: u64,
    /// Records that cannot be split into the columns of their header.
    pub bad: u64,
    /// Names of columns that only later files have.
    pub only_later: Vec<String>,
    /// For the first files with a header of their own: which file, and its names.
    pub headers: Vec<(usize, Vec<String>)>,
    /// The files have no header; the columns were named here.
    pub headerless: bool,
    /// The encoding, if it is not recognised by itself.
    pub encoding: Option<&'static str>,
    bytes: usize,
    files: usize,
}

impl Sample {
    /// Reads all `files`.
    pub fn of(files: &[PathBuf]) -> Result<Self> {
        let mut options = Ingestion::default();
        let mut encoding = None;
        let first = match Self::read(files, &options, &[]) {
            // A reader that translates puts such a sign for what is not UTF-8.
            Ok(Read::Sample(sample))
                if sample.columns.iter().any(|column| column.name.contains('\u{fffd}')) =>
            {
                Read::NotUtf8(Error::data("the header is not UTF-8: save it as UTF-8"))
            }
            Ok(read) => read,
            Err(error) if error.kind_is_schema() => Read::NotUtf8(error),
            Err(error) => return Err(error),
        };
        let read = match first {
            Read::NotUtf8(error) => {
                options.format.encoding = Some(LATIN.to_owned());
                encoding = Some(LATIN);
                match Self::read(files, &options, &[]) {
                    Ok(Read::Sample(sample)) => sample,
                    _ => return Err(error),
                }
            }
            Read::Sample(sample) => sample,
        };
        let mut sample = if read.names_are_cells() {
            options.format.header = Some(false);
            options.format.names =
                (1..=read.columns.len()).map(|i| format!("column_{i}")).collect();
            match Self::read(files, &options, &[])? {
                Read::Sample(sample) => Self { headerless: true, ..sample },
                Read::NotUtf8(error) => return Err(error),
            }
        } else {
            read
        };
        sample.encoding = encoding;
        Ok(sample)
    }

    /// Reads the file at `path` as `options` say. Where it begins is recognised by these `columns`, as in an
    /// ingestion.
    pub fn read_as(path: &Path, options: &Ingestion, columns: &[String]) -> Result<Self> {
        match Self::read(&[path.to_owned()], options, columns)? {
            Read::Sample(sample) => Ok(sample),
            Read::NotUtf8(error) => Err(error),
        }
    }

    fn read(files: &[PathBuf], options: &Ingestion, columns: &[String]) -> Result<Read> {
        let mut sample = Self { every: 1, ..Self::default() };
        for path in files {
            if let Some(error) = sample.take(path, options, columns)? {
                return Ok(Read::NotUtf8(error));
            }
        }
        if sample.columns.is_empty() {
            return Err(Error::missing(
                "there are no rows in these files: the first line must name the columns",
            ));
        }
        Ok(Read::Sample(sample))
    }

    /// Takes the rows of the file at `path`; returns an error that another encoding may cure.
    fn take(
        &mut self,
        path: &Path,
        options: &Ingestion,
        columns: &[String],
    ) -> Result<Option<Error>> {
        let place = path.display().to_string();
        let (opened, _) = formats::open(path, options, columns, 1)?;
        let mut reader = ChunkReader::of(opened, path, CHUNK_BYTES).without_digest();
        let Some(first) = reader.header()? else { return Ok(None) };
        let mut ignored = FormatChanges::default();
        let names = match header::names(&first.bytes, &first.fields, &place, &mut ignored) {
            Ok(names) => names,
            Err(error) => return Ok(Some(error)),
        };
        let at = self.places(&names);
        let shape = Shape { width: names.len(), max_bytes: options.max_line_bytes };
        let (mut chunk, mut fields) = (Vec::new(), Vec::new());
        let (before, mut foreign) = (self.rows, 0_u64);
        while reader.next_chunk(&mut chunk, shape)?.is_some() {
            let mut here = 0;
            while here < chunk.len() {
                let problem = match next(&chunk, here, shape, &mut fields) {
                    Next::Blank(end) => {
                        here = end;
                        continue;
                    }
                    Next::Record { end, problem, .. } => {
                        here = end;
                        problem
                    }
                };
                if problem.is_some() || fields.len() != names.len() {
                    self.bad += 1;
                    continue;
                }
                self.rows += 1;
                if !(self.rows - 1).is_multiple_of(self.every) {
                    continue;
                }
                let texts =
                    fields.iter().map(|field| std::str::from_utf8(&chunk[field.start..field.end]));
                let Ok(texts) = texts.collect::<std::result::Result<Vec<_>, _>>() else {
                    foreign += 1;
                    self.bad += 1;
                    self.rows -= 1;
                    continue;
                };
                for (column, at) in self.columns.iter_mut().zip(&at) {
                    let found = at.and_then(|at| Some((fields.get(at)?, texts.get(at)?)));
                    let cell = found
                        .map(|(field, text)| bare(text, field.quoted, field.escaped, &mut ignored));
                    self.bytes += column.push(&cell.unwrap_or_default());
                }
                let kept = self.columns.first().map_or(0, |column| column.codes.len());
                if kept > ROWS || (self.bytes > BYTES && kept > 1) {
                    self.columns.iter_mut().for_each(Column::halve);
                    self.every *= 2;
                    let levels = self.columns.iter().flat_map(|column| &column.levels);
                    self.bytes = levels.map(String::len).sum();
                }
            }
        }
        // A few such rows are bad ones; many are another encoding.
        let of_file = self.rows - before + foreign;
        let another = foreign as f64 > FOREIGN * of_file as f64;
        Ok(another.then(|| Error::schema(&place, "it is not UTF-8: save it as UTF-8")))
    }

    /// For each column of the sample, where a file with these names has it.
    fn places(&mut self, names: &[String]) -> Vec<Option<usize>> {
        if self.headers.len() < HEADERS && !self.headers.iter().any(|(_, known)| known == names) {
            self.headers.push((self.files, names.to_vec()));
        }
        self.files += 1;
        if self.columns.is_empty() {
            for name in names {
                let twice = names.iter().filter(|other| *other == name).count() > 1;
                self.columns.push(Column { name: name.clone(), twice, ..Column::default() });
            }
            return (0..names.len()).map(Some).collect();
        }
        for name in names {
            let known = self.columns.iter().any(|column| column.name == *name);
            if !known && !self.only_later.contains(name) {
                self.only_later.push(name.clone());
            }
        }
        let mut places = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            let place = names.iter().position(|name| *name == column.name);
            column.absent += usize::from(place.is_none());
            places.push(place);
        }
        places
    }

    /// The number of sampled rows.
    pub fn looked_at(&self) -> usize {
        self.columns.first().map_or(0, |column| column.codes.len())
    }

    /// Whether what should be names looks like the cells of a row: numbers only, or texts that half of the columns
    /// have among their cells.
    fn names_are_cells(&self) -> bool {
        let repeated = self.columns.iter().filter(|column| column.known.contains_key(&column.name));
        if self.columns.len() > 1 && 2 * repeated.count() >= self.columns.len() {
            return true;
        }
        let number = |name: &str| Number::read(name, NumberFormat::default()).is_some();
        let names = || self.columns.iter().map(|column| column.name.as_str());
        self.columns.len() > 1
            && names().any(number)
            && names().all(|name| number(name) || name.starts_with("column ") || name == "?")
    }
}

/// What came of reading.
enum Read {
    Sample(Sample),
    /// Some text is not UTF-8.
    NotUtf8(Error),
}

/// Asks an error for its kind.
trait Kind {
    fn kind_is_schema(&self) -> bool;
}

impl Kind for Error {
    fn kind_is_schema(&self) -> bool {
        matches!(self.kind(), mlops_core::ErrorKind::Schema { .. })
    }
}
