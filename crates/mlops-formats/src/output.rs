//! Writes a data set as Parquet, with dictionaries and statistics, compressed with snappy so that all readers
//! of Parquet accept it.
//!
//! Every cell is read back as it is spelt in the data set. A numeric column is of doubles if all its cells
//! are the shortest spellings of doubles, otherwise of 64-bit integers if all of them are that, otherwise of
//! strings. This is certain only after the last row; most columns are what they seem at the beginning, and
//! for the others the file is started again.
//!
//! Files are read in [`crate::parquet`]; names and the order of writes are in core's
//! `stage::ingest::publish`.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use mlops_core::csv::chunk::{CHUNK_BYTES, ChunkReader};
use mlops_core::csv::formats::{DataSet, TableFile};
use mlops_core::csv::record::Shape;
use mlops_core::csv::spelling;
use mlops_core::table::number;
use mlops_core::table::schema::{Role, Schema};
use mlops_core::{Error, Result};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use crate::typed::Speller;

/// The most rows of a row group, and the most bytes that it takes in memory.
const ROWS: usize = 1 << 20;
const BYTES: usize = 48 << 20;
/// What a text takes in memory besides its bytes.
const BYTES_OF_TEXT: usize = size_of::<ByteArray>();

/// What a file of ours says of its origin.
pub(crate) const CREATOR: &str = "mlops";

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Double,
    Integer,
    Text,
}

impl Kind {
    /// The type of a column of this one, of which a cell has no place in it.
    fn next(self, cell: &[u8]) -> Self {
        if self == Self::Double && integer(cell).is_some() { Self::Integer } else { Self::Text }
    }

    /// The value of a number, if it is read back with this spelling.
    fn fits(self, cell: &[u8]) -> bool {
        match self {
            Self::Double => double(cell).is_some(),
            Self::Integer => integer(cell).is_some(),
            Self::Text => true,
        }
    }
}

/// The double of which `cell` is the spelling.
fn double(cell: &[u8]) -> Option<f64> {
    let value = number(cell);
    // Up to 15 digits every canonical spelling is the shortest one.
    if spelling::is_number(cell) {
        return Some(value);
    }
    let mut spelt = Vec::with_capacity(32);
    Speller { decimal: '.' }.double(value, &mut spelt);
    (spelt == cell).then_some(value)
}

/// The integer of which `cell` is the spelling.
fn integer(cell: &[u8]) -> Option<i64> {
    let value = std::str::from_utf8(cell).ok()?.parse::<i64>().ok()?;
    (itoa::Buffer::new().format(value).as_bytes() == cell).then_some(value)
}

/// The cells of a column in a row group.
enum Cells {
    Doubles(Vec<f64>),
    Integers(Vec<i64>),
    Texts(Vec<ByteArray>),
}

/// A column in a row group.
struct Column {
    cells: Cells,
    /// For each row whether it has a cell.
    levels: Vec<i16>,
}

impl Column {
    fn new(kind: Kind) -> Self {
        let cells = match kind {
            Kind::Double => Cells::Doubles(Vec::new()),
            Kind::Integer => Cells::Integers(Vec::new()),
            Kind::Text => Cells::Texts(Vec::new()),
        };
        Self { cells, levels: Vec::new() }
    }

    /// Appends a cell of `chunk`; returns the memory that it takes, or `None` if it has no place in
    /// this column.
    fn push(&mut self, chunk: &Bytes, cell: &Cell) -> Option<usize> {
        let bytes = &chunk[cell.start..cell.end];
        if bytes.is_empty() {
            self.levels.push(0);
            return Some(size_of::<i16>());
        }
        let taken = match &mut self.cells {
            Cells::Doubles(cells) => {
                cells.push(double(bytes)?);
                size_of::<f64>()
            }
            Cells::Integers(cells) => {
                cells.push(integer(bytes)?);
                size_of::<i64>()
            }
            Cells::Texts(cells) => {
                cells.push(if cell.escaped {
                    let text = String::from_utf8_lossy(bytes).replace("\"\"", "\"");
                    ByteArray::from(text.into_bytes())
                } else {
                    ByteArray::from(chunk.slice(cell.start..cell.end))
                });
                BYTES_OF_TEXT + bytes.len()
            }
        };
        self.levels.push(1);
        Some(taken + size_of::<i16>())
    }

    fn write(&mut self, writer: &mut ColumnWriter) -> ParquetResult<()> {
        let levels = Some(self.levels.as_slice());
        match (&mut self.cells, writer) {
            (Cells::Doubles(cells), ColumnWriter::DoubleColumnWriter(writer)) => {
                writer.write_batch(cells, levels, None)?;
                cells.clear();
            }
            (Cells::Integers(cells), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(cells, levels, None)?;
                cells.clear();
            }
            (Cells::Texts(cells), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                writer.write_batch(cells, levels, None)?;
                cells.clear();
            }
            _ => return Err(ParquetError::General("a column has another type".to_owned())),
        }
        self.levels.clear();
        Ok(())
    }
}

/// Where the value of a cell is in its chunk, without quotes.
struct Cell {
    start: usize,
    end: usize,
    /// Quotes in it are doubled.
    escaped: bool,
    /// The byte after it and its quotes: a comma or a line end.
    next: usize,
}

impl Cell {
    /// The cell of a canonical row that starts at `at`.
    fn at(chunk: &[u8], at: usize) -> Self {
        if chunk.get(at) != Some(&b'"') {
            let end = memchr::memchr2(b',', b'\n', &chunk[at..]).map_or(chunk.len(), |n| at + n);
            return Self { start: at, end, escaped: false, next: end };
        }
        let (start, mut escaped) = (at + 1, false);
        let mut end = start;
        while let Some(quote) = memchr::memchr(b'"', &chunk[end..]) {
            end += quote;
            if chunk.get(end + 1) != Some(&b'"') {
                return Self { start, end, escaped, next: end + 1 };
            }
            escaped = true;
            end += 2;
        }
        Self { start, end: chunk.len(), escaped, next: chunk.len() }
    }
}

/// The rows of a data set, piece by piece.
struct Rows<'a> {
    reader: ChunkReader<&'a File>,
    place: &'a Path,
    width: usize,
}

impl<'a> Rows<'a> {
    /// All rows of `file`.
    fn of(mut file: &'a File, place: &'a Path, schema: &Schema) -> Result<Self> {
        file.seek(SeekFrom::Start(0)).map_err(|e| Error::io("read", place, e))?;
        let mut reader = ChunkReader::new(file, place, CHUNK_BYTES).without_digest();
        reader.header()?;
        Ok(Self { reader, place, width: schema.width() })
    }

    /// Whole rows; `None` after the last.
    fn next(&mut self) -> Result<Option<Bytes>> {
        let mut chunk = Vec::new();
        let shape = Shape { width: self.width, max_bytes: usize::MAX };
        let more = self.reader.next_chunk(&mut chunk, shape)?.is_some();
        Ok(more.then(|| Bytes::from(chunk)))
    }

    /// Passes the cells of `chunk` with the numbers of their columns; returns the number of rows.
    fn cells(&self, chunk: &[u8], mut take: impl FnMut(usize, &Cell)) -> Result<usize> {
        let (mut at, mut rows) = (0, 0);
        while at < chunk.len() {
            for column in 0..self.width {
                let cell = Cell::at(chunk, at);
                let end = if column + 1 == self.width { b'\n' } else { b',' };
                if chunk.get(cell.next) != Some(&end) {
                    return Err(unlike(self.place));
                }
                take(column, &cell);
                at = cell.next + 1;
            }
            rows += 1;
        }
        Ok(rows)
    }
}

/// Rows that were written by this program a moment ago are not as it writes them.
fn unlike(place: &Path) -> Error {
    Error::data(format!(
        "{}: what was just written is read back otherwise: the disk is unreliable; nothing was changed",
        place.display()
    ))
}

/// Writes the rows of `data` to `out`.
pub(crate) fn write(data: DataSet, out: &mut dyn TableFile) -> Result<()> {
    let DataSet { file, place, schema } = data;
    let numeric = |role| if role == Role::Numeric { Kind::Double } else { Kind::Text };
    let mut kinds: Vec<Kind> = schema.columns().iter().map(|c| numeric(c.role)).collect();
    if write_as(&kinds, Rows::of(&file, place, schema)?, schema, out)? {
        return Ok(());
    }
    while widen(&mut kinds, Rows::of(&file, place, schema)?)? {}
    out.restart().map_err(|e| Error::io("write", place, e))?;
    if write_as(&kinds, Rows::of(&file, place, schema)?, schema, out)? {
        Ok(())
    } else {
        Err(unlike(place))
    }
}

/// Gives columns with cells that have no place in them another type; returns whether one has to be
/// looked at again, since earlier cells were seen as those of another type.
fn widen(kinds: &mut [Kind], mut rows: Rows) -> Result<bool> {
    let before = kinds.to_vec();
    while let Some(chunk) = rows.next()? {
        rows.cells(&chunk, |column, cell| {
            let (kind, bytes) = (&mut kinds[column], &chunk[cell.start..cell.end]);
            if *kind != Kind::Text && !bytes.is_empty() && !kind.fits(bytes) {
                *kind = kind.next(bytes);
            }
        })?;
    }
    Ok(kinds.iter().zip(before).any(|(now, before)| *now != before && *now == Kind::Integer))
}

/// Writes the rows with these types of their columns; returns false if a cell has no place in its own.
fn write_as(
    kinds: &[Kind],
    mut rows: Rows,
    schema: &Schema,
    out: &mut dyn TableFile,
) -> Result<bool> {
    let place = rows.place;
    let failed = |e| unwritten(e, place);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(CREATOR.to_owned())
        .build();
    let form = Arc::new(form(schema, kinds).map_err(failed)?);
    let mut writer = SerializedFileWriter::new(out, form, Arc::new(properties)).map_err(failed)?;
    let mut columns: Vec<Column> = kinds.iter().map(|kind| Column::new(*kind)).collect();
    let (mut in_group, mut bytes) = (0, 0);
    while let Some(chunk) = rows.next()? {
        let mut all = true;
        in_group +=
            rows.cells(&chunk, |column, cell| match columns[column].push(&chunk, cell) {
                Some(more) => bytes += more,
                None => all = false,
            })?;
        if !all {
            return Ok(false);
        }
        if in_group >= ROWS || bytes >= BYTES {
            write_group(&mut writer, &mut columns).map_err(failed)?;
            (in_group, bytes) = (0, 0);
        }
    }
    if in_group > 0 {
        write_group(&mut writer, &mut columns).map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    Ok(true)
}

fn write_group<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    columns: &mut [Column],
) -> ParquetResult<()> {
    let mut group = writer.next_row_group()?;
    for column in columns {
        let Some(mut out) = group.next_column()? else { break };
        column.write(out.untyped())?;
        out.close()?;
    }
    group.close()?;
    Ok(())
}

/// The columns in the file.
fn form(schema: &Schema, kinds: &[Kind]) -> ParquetResult<Type> {
    let column = |name: &str, kind: Kind| {
        let physical = match kind {
            Kind::Double => Physical::DOUBLE,
            Kind::Integer => Physical::INT64,
            Kind::Text => Physical::BYTE_ARRAY,
        };
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type((kind == Kind::Text).then_some(LogicalType::String))
            .build()
            .map(Arc::new)
    };
    let columns = schema.columns().iter().zip(kinds).map(|(c, kind)| column(&c.name, *kind));
    let columns = columns.collect::<ParquetResult<Vec<_>>>()?;
    Type::group_type_builder("dataset").with_fields(columns).build()
}

/// The error of writing, as the writer of the bytes returned it.
fn unwritten(error: ParquetError, place: &Path) -> Error {
    let ParquetError::External(inner) = error else { return Error::backend("parquet", error) };
    let inner = match inner.downcast::<std::io::Error>() {
        Ok(inner) => *inner,
        Err(other) => return Error::backend("parquet", other),
    };
    match inner.downcast::<Error>() {
        Ok(own) => own,
        Err(inner) => Error::io("write", place, inner),
    }
}
