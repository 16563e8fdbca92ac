//! A file to compare: opens it, reads its header, and delivers its rows in order.
//!
//! Pieces are parsed on several threads by core's pipeline. A file may be read more than once, and
//! must be the same each time. Not for using the rows: see [`crate::join`].

use std::fs::File;
use std::path::Path;

use mlops_core::config::{Ingestion, NumberFormat};
use mlops_core::csv::chunk::{CHUNK_BYTES, ChunkReader};
use mlops_core::csv::clean::FormatChanges;
use mlops_core::csv::formats::{self, Opened, is_our_own};
use mlops_core::csv::header;
use mlops_core::csv::pipeline::{self, Piece, Worker};
use mlops_core::csv::record::Shape;
use mlops_core::csv::row_hash::RowHasher;
use mlops_core::dataset::discover::Stamp;
use mlops_core::platform::digest::Digest;
use mlops_core::platform::files;
use mlops_core::{Error, Result, text};

use crate::cell::Spelling;
use crate::columns::Fields;
use crate::examples::Examples;
use crate::rows::{RowMaker, Rows};

/// One of the two files.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Its path.
    pub path: &'a Path,
    /// It is a data set of ours, whose rows may have any length and whose digest is computed.
    pub recorded: bool,
}

/// A file whose header was read.
pub(crate) struct Source {
    reader: ChunkReader<File>,
    /// The header.
    pub(crate) names: Vec<String>,
    /// The number of the line after the header.
    line: u64,
    stamp: Stamp,
    /// It can be read again.
    pub(crate) regular: bool,
    max_bytes: usize,
    /// It is a data set of ours.
    recorded: bool,
    /// Its records are those of the file, byte for byte.
    plain: bool,
}

/// What is known of a file after reading it to its end.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// The digest of its bytes, for a data set of ours.
    pub(crate) digest: Option<Digest>,
    /// The number of rows that were compared.
    pub(crate) rows: u64,
    /// The number of records that cannot be read, and descriptions of the first ones.
    pub(crate) unreadable: u64,
    pub(crate) examples: Examples<String>,
}

/// How rows are made.
#[derive(Clone, Copy)]
pub(crate) struct Making<'a> {
    pub(crate) options: &'a Ingestion,
    pub(crate) spelling: &'a Spelling<'a>,
    pub(crate) hasher: RowHasher,
    pub(crate) threads: usize,
}

impl Source {
    /// Opens a file and reads its header.
    pub(crate) fn open(side: Side, options: &Ingestion) -> Result<Self> {
        let failed = |e| Error::io("read", side.path, e);
        let place = side.path.display().to_string();
        let (opened, metadata) = if side.recorded || is_our_own(side.path) {
            formats::open_our_own(side.path, &[], 1)?
        } else {
            let (file, metadata) = files::open(side.path).map_err(failed)?;
            (Opened::File(file), metadata)
        };
        let plain = matches!(opened, Opened::File(_));
        let mut reader = ChunkReader::of(opened, side.path, CHUNK_BYTES);
        if !side.recorded {
            reader = reader.without_digest();
        }
        let header = reader.header()?.ok_or_else(|| {
            Error::schema(&place, "the file is empty: its first line must name the columns")
        })?;
        let mut ignored = FormatChanges::default();
        let names = header::names(&header.bytes, &header.fields, &place, &mut ignored)?;
        if let [only] = &names[..]
            && let Some(separator) = [';', '\t', '|'].into_iter().find(|c| only.contains(*c))
        {
            // As one column, whole lines would be compared instead of their cells.
            let shown =
                if separator == '\t' { "tabs".to_owned() } else { format!("\"{separator}\"") };
            return Err(Error::schema(
                &place,
                format!(
                    "it seems to be separated by {shown}, but only comma-separated files can be compared: \
                     save it with commas, or compare versions of the data set; its first line is {}",
                    text::name(only)
                ),
            ));
        }
        Ok(Self {
            reader,
            names,
            line: header.lines + 1,
            stamp: Stamp::of(&metadata),
            regular: metadata.is_file(),
            recorded: side.recorded,
            plain,
            max_bytes: if side.recorded { usize::MAX } else { options.max_line_bytes },
        })
    }

    /// Whether several processes can read stretches of it.
    pub(crate) fn in_stretches(&self) -> bool {
        self.regular && self.plain
    }

    /// Where its first record begins.
    pub(crate) fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// On which line its first record begins.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Its size in bytes; 0 if it is not a file.
    pub(crate) fn size(&self) -> u64 {
        if self.regular { self.stamp.size } else { 0 }
    }

    /// Opens again a file that was read to its end and had the metadata `first`.
    pub(crate) fn again(side: Side, options: &Ingestion, first: Stamp) -> Result<Self> {
        let mut source = Self::open(side, options)?;
        source.same_as(first, side.path)?;
        // The digest is known.
        source.reader = source.reader.without_digest();
        Ok(source)
    }

    /// Refuses a file whose metadata are not `first`.
    pub(crate) fn same_as(&self, first: Stamp, path: &Path) -> Result<()> {
        if self.stamp == first { Ok(()) } else { Err(changed(path)) }
    }

    /// Refuses a file that was changed since it was opened.
    pub(crate) fn unchanged(&self, path: &Path) -> Result<()> {
        let now = std::fs::metadata(path).map_err(|e| Error::io("read", path, e))?;
        if Stamp::of(&now) == self.stamp { Ok(()) } else { Err(changed(path)) }
    }

    /// Size, time and inode of the file.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Passes all rows to `take`, a piece at a time, with the piece's own bytes.
    pub(crate) fn read(
        mut self,
        path: &Path,
        fields: &Fields,
        making: Making,
        mut take: impl FnMut(&[u8], &Rows) -> Result<()>,
    ) -> Result<Reading> {
        let mut reading =
            Reading { digest: None, rows: 0, unreadable: 0, examples: Examples::default() };
        let own = self.recorded || is_our_own(path);
        let numbers = if own { NumberFormat::default() } else { making.options.numbers };
        let spelling = making.spelling.clone().with_numbers(numbers);
        let shape = Shape { width: fields.kinds.len(), max_bytes: self.max_bytes };
        let work = Worker {
            state: || RowMaker::new(&spelling, fields, making.hasher, shape),
            make: |maker: &mut RowMaker, piece: &mut Piece<Rows>| {
                maker.make(&piece.chunk, &mut piece.made);
            },
        };
        // The thread that joins the rows has as much to do.
        let (mut line, workers) = (self.line, making.threads.saturating_sub(1));
        pipeline::run(&mut self.reader, shape, workers, &work, |piece| {
            let rows = &piece.made;
            if let Some((at, words)) = &rows.other_decimal {
                return Err(other_decimal(path, line + at, words));
            }
            for (at, message) in &rows.unreadable {
                let ordinal = reading.unreadable;
                reading.examples.offer(ordinal, || format!("line {}: {message}", line + at));
                reading.unreadable += 1;
            }
            line += rows.lines;
            take(&piece.chunk, rows)?;
            reading.rows += rows.all.len() as u64;
            Ok(())
        })?;
        if self.regular {
            self.unchanged(path)?;
        }
        reading.digest =
            (self.max_bytes == usize::MAX).then(|| self.reader.digest()).transpose()?;
        Ok(reading)
    }
}

/// Why a file is refused that has a number with the other decimal separator.
pub(crate) fn other_decimal(path: &Path, line: u64, words: &str) -> Error {
    let message = format!(
        "line {line}: {words}. It is not compared, since its other numbers could be misread"
    );
    Error::schema(path.display().to_string(), message)
}

fn changed(path: &Path) -> Error {
    Error::conflict(format!(
        "{} changed while it was compared: run again when nobody writes it",
        path.display()
    ))
}
