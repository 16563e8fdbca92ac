//! Parquet files: the wanted columns, row group by row group, several of these at a time.
//!
//! A nested column has a path as its name, `address.city`; one that is repeated within a row cannot become
//! cells. Not for writing.

use std::path::Path;
use std::sync::Arc;

use mlops_core::csv::formats::{Batch, Place, is_our_own};
use mlops_core::{Error, Result};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray, Int96};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

mod runs;
pub(crate) mod texts;

use crate::apart;
use crate::decoder::Decoder;
use crate::file::Window;
use crate::lanes::{Lanes, Parts};
use crate::recognise::{OwnedWish, Wish};
use crate::typed::{self, Meaning, Speller, Unit};
use crate::{rows, spell};
use texts::Texts;

/// The rows of a file.
pub(crate) struct Table {
    reader: Arc<SerializedFileReader<Window>>,
    place: String,
    columns: Vec<Column>,
    names: Vec<String>,
    extra: Vec<String>,
    speller: Speller,
    max_bytes: usize,
    /// The rows of the present row group that were read, and those that are left.
    read: u64,
    left: u64,
    part: Option<Arc<str>>,
    /// Rows to decode next.
    rows: usize,
}

/// The rows of a file whose row groups are decoded by others.
pub(crate) struct Groups {
    names: Vec<String>,
    extra: Vec<String>,
    lanes: Lanes<usize>,
}

/// A column of the file.
struct Column {
    leaf: usize,
    kind: Kind,
    /// The level at which a cell has a value.
    defined: i16,
    levels: Vec<i16>,
    values: Option<Values>,
    /// The next value.
    next: usize,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain(Meaning),
    Unsigned,
    Half,
    Uuid,
}

/// The reader of a column of a row group, and the values that were decoded.
enum Values {
    Bool(Decoded<parquet::data_type::BoolType>),
    Int32(Decoded<parquet::data_type::Int32Type>),
    Int64(Decoded<parquet::data_type::Int64Type>),
    Int96(Decoded<parquet::data_type::Int96Type>),
    Float(Decoded<parquet::data_type::FloatType>),
    Double(Decoded<parquet::data_type::DoubleType>),
    Bytes(Decoded<parquet::data_type::ByteArrayType>),
    Texts(Texts),
    Fixed(Decoded<parquet::data_type::FixedLenByteArrayType>),
}

struct Decoded<T: DataType> {
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
}

impl<T: DataType> Decoded<T> {
    fn of(reader: ColumnReaderImpl<T>) -> Self {
        Self { reader, values: Vec::new() }
    }

    fn decode(&mut self, rows: usize, levels: &mut Vec<i16>) -> ParquetResult<usize> {
        self.values.clear();
        levels.clear();
        let mut read = 0;
        while read < rows {
            let more =
                self.reader.read_records(rows - read, Some(levels), None, &mut self.values)?;
            if more.0 == 0 {
                break;
            }
            read += more.0;
        }
        Ok(read)
    }
}

impl Values {
    fn of(reader: ColumnReader) -> Self {
        match reader {
            ColumnReader::BoolColumnReader(reader) => Self::Bool(Decoded::of(reader)),
            ColumnReader::Int32ColumnReader(reader) => Self::Int32(Decoded::of(reader)),
            ColumnReader::Int64ColumnReader(reader) => Self::Int64(Decoded::of(reader)),
            ColumnReader::Int96ColumnReader(reader) => Self::Int96(Decoded::of(reader)),
            ColumnReader::FloatColumnReader(reader) => Self::Float(Decoded::of(reader)),
            ColumnReader::DoubleColumnReader(reader) => Self::Double(Decoded::of(reader)),
            ColumnReader::ByteArrayColumnReader(reader) => Self::Bytes(Decoded::of(reader)),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => Self::Fixed(Decoded::of(reader)),
        }
    }

    fn decode(&mut self, rows: usize, levels: &mut Vec<i16>) -> ParquetResult<usize> {
        match self {
            Self::Bool(column) => column.decode(rows, levels),
            Self::Int32(column) => column.decode(rows, levels),
            Self::Int64(column) => column.decode(rows, levels),
            Self::Int96(column) => column.decode(rows, levels),
            Self::Float(column) => column.decode(rows, levels),
            Self::Double(column) => column.decode(rows, levels),
            Self::Bytes(column) => column.decode(rows, levels),
            Self::Texts(column) => column.decode(rows).map(|()| rows),
            Self::Fixed(column) => column.decode(rows, levels),
        }
    }

    fn pass_over(&mut self, rows: usize) -> ParquetResult<usize> {
        match self {
            Self::Bool(column) => column.reader.skip_records(rows),
            Self::Int32(column) => column.reader.skip_records(rows),
            Self::Int64(column) => column.reader.skip_records(rows),
            Self::Int96(column) => column.reader.skip_records(rows),
            Self::Float(column) => column.reader.skip_records(rows),
            Self::Double(column) => column.reader.skip_records(rows),
            Self::Bytes(column) => column.reader.skip_records(rows),
            Self::Texts(column) => column.pass_over(rows).map(|()| rows),
            Self::Fixed(column) => column.reader.skip_records(rows),
        }
    }

    /// Appends value `i` as a cell; `None` if there is none.
    fn push(&self, i: usize, kind: Kind, speller: Speller, out: &mut Vec<u8>) -> Option<()> {
        let meaning = match kind {
            Kind::Plain(meaning) => meaning,
            _ => Meaning::Integer,
        };
        match self {
            Self::Bool(column) => {
                out.extend_from_slice(if *column.values.get(i)? { b"true" } else { b"false" });
            }
            Self::Int32(column) => {
                let value = *column.values.get(i)?;
                let unsigned = i128::from(value.cast_unsigned());
                let value = if kind == Kind::Unsigned { unsigned } else { value.into() };
                speller.integer(value, meaning, out);
            }
            Self::Int64(column) => {
                let value = *column.values.get(i)?;
                let unsigned = i128::from(value.cast_unsigned());
                let value = if kind == Kind::Unsigned { unsigned } else { value.into() };
                speller.integer(value, meaning, out);
            }
            Self::Int96(column) => timestamp(column.values.get(i)?, speller, out),
            Self::Float(column) => speller.single(*column.values.get(i)?, out),
            Self::Double(column) => speller.double(*column.values.get(i)?, out),
            Self::Bytes(column) => {
                bytes(ByteArray::data(column.values.get(i)?), kind, speller, out);
            }
            Self::Texts(column) => bytes(column.cell(i)?, kind, speller, out),
            Self::Fixed(column) => {
                let value: &FixedLenByteArray = column.values.get(i)?;
                bytes(ByteArray::data(value), kind, speller, out);
            }
        }
        Some(())
    }
}

fn bytes(value: &[u8], kind: Kind, speller: Speller, out: &mut Vec<u8>) {
    match kind {
        Kind::Plain(meaning @ Meaning::Decimal(_)) => match big_endian(value) {
            Some(value) => speller.integer(value, meaning, out),
            None => out.extend_from_slice(typed::TOO_MANY_DIGITS),
        },
        Kind::Half if value.len() == 2 => {
            let value = half::f16::from_le_bytes([value[0], value[1]]);
            speller.single(value.to_f32(), out);
        }
        Kind::Uuid if value.len() == 16 => typed::push_uuid(value, out),
        _ => spell::push_cell(value, out),
    }
}

/// The two's complement in these bytes, if it has at most 128 bits.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|b| *b >= 0x80);
    let filler = if negative { 0xff } else { 0 };
    let (head, tail) = bytes.split_at(bytes.len().saturating_sub(16));
    let mut whole = [filler; 16];
    whole[16 - tail.len()..].copy_from_slice(tail);
    let same_sign = (whole[0] >= 0x80) == negative;
    (same_sign && head.iter().all(|b| *b == filler)).then(|| i128::from_be_bytes(whole))
}

/// The days since 4713 BC on which 1970 began.
const EPOCH: i64 = 2_440_588;

fn timestamp(value: &Int96, speller: Speller, out: &mut Vec<u8>) {
    let [low, high, day] = *value.data() else { return };
    let nanos = i64::from(low) | (i64::from(high) << 32);
    let days = i64::from(day) - EPOCH;
    let at = |unit: Unit, time: i64| {
        let time = days.checked_mul(86_400 * unit.per_second())?.checked_add(time)?;
        Some((time, Meaning::Timestamp(unit, false)))
    };
    // Only microseconds reach farther than from 1677 to 2262.
    if let Some((time, meaning)) = at(Unit::Nano, nanos).or_else(|| at(Unit::Micro, nanos / 1000)) {
        speller.integer(time.into(), meaning, out);
    }
}

fn unit(unit: TimeUnit) -> Unit {
    match unit {
        TimeUnit::MILLIS => Unit::Milli,
        TimeUnit::MICROS => Unit::Micro,
        TimeUnit::NANOS => Unit::Nano,
    }
}

fn kind(column: &ColumnDescriptor) -> Kind {
    let plain = Kind::Plain;
    match column.logical_type_ref() {
        Some(LogicalType::Decimal(decimal)) => return plain(Meaning::Decimal(decimal.scale)),
        Some(LogicalType::Date) => return plain(Meaning::Date),
        Some(LogicalType::Time(time)) => return plain(Meaning::Time(unit(time.unit))),
        Some(LogicalType::Timestamp(time)) => {
            return plain(Meaning::Timestamp(unit(time.unit), time.is_adjusted_to_u_t_c));
        }
        Some(LogicalType::Integer(integer)) if !integer.is_signed => return Kind::Unsigned,
        Some(LogicalType::Float16) => return Kind::Half,
        Some(LogicalType::Uuid) => return Kind::Uuid,
        _ => {}
    }
    match column.converted_type() {
        ConvertedType::DECIMAL => plain(Meaning::Decimal(column.type_scale())),
        ConvertedType::DATE => plain(Meaning::Date),
        ConvertedType::TIME_MILLIS => plain(Meaning::Time(Unit::Milli)),
        ConvertedType::TIME_MICROS => plain(Meaning::Time(Unit::Micro)),
        ConvertedType::TIMESTAMP_MILLIS => plain(Meaning::Timestamp(Unit::Milli, true)),
        ConvertedType::TIMESTAMP_MICROS => plain(Meaning::Timestamp(Unit::Micro, true)),
        ConvertedType::UINT_8
        | ConvertedType::UINT_16
        | ConvertedType::UINT_32
        | ConvertedType::UINT_64 => Kind::Unsigned,
        _ => plain(Meaning::Integer),
    }
}

impl Table {
    /// The rows of the file in `window`.
    pub(crate) fn of(wish: Wish, window: Window) -> Result<Self> {
        let place = wish.path.display().to_string();
        let reader = SerializedFileReader::new(window).map_err(|e| damaged(&place, &e))?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let mut columns = Vec::new();
        let mut names = Vec::new();
        let leaves: Vec<_> = schema.columns().iter().enumerate().collect();
        let name = |column: &ColumnDescriptor| column.path().parts().join(".");
        let single = |column: &ColumnDescriptor| column.max_rep_level() == 0;
        let find = |wanted: &String| {
            leaves.iter().find(|(_, column)| name(column) == *wanted && single(column))
        };
        let (cells, others): (Vec<_>, Vec<_>) = leaves.iter().partition(|leaf| single(leaf.1));
        let names_of = |leaves: &[&(usize, &Arc<ColumnDescriptor>)]| {
            leaves.iter().map(|leaf| name(leaf.1)).collect::<Vec<_>>()
        };
        wish.check(&names_of(&cells), &names_of(&others))?;
        let found: Option<Vec<_>> = match wish.columns {
            [] => None,
            columns => columns.iter().map(find).collect(),
        };
        // The error for a missing column lists all columns, as does a request for all.
        let chosen = found.unwrap_or_else(|| leaves.iter().filter(|l| single(l.1)).collect());
        for (leaf, column) in chosen {
            names.push(name(column));
            columns.push(Column {
                leaf: *leaf,
                kind: kind(column),
                defined: column.max_def_level(),
                levels: Vec::new(),
                values: None,
                next: 0,
            });
        }
        let mut extra: Vec<String> = leaves
            .iter()
            .filter(|(leaf, _)| !columns.iter().any(|column| column.leaf == *leaf))
            .map(|(_, column)| name(column))
            .collect();
        extra.dedup();
        Ok(Self {
            reader: Arc::new(reader),
            place,
            columns,
            names,
            extra,
            speller: Speller { decimal: wish.options.numbers.decimal },
            max_bytes: wish.options.max_line_bytes,
            read: 0,
            left: 0,
            part: None,
            rows: rows::FIRST,
        })
    }

    /// The same table, to be read by somebody else.
    fn another(&self) -> Self {
        let columns = self.columns.iter().map(|Column { leaf, kind, defined, .. }| Column {
            leaf: *leaf,
            kind: *kind,
            defined: *defined,
            levels: Vec::new(),
            values: None,
            next: 0,
        });
        Self {
            reader: Arc::clone(&self.reader),
            place: self.place.clone(),
            columns: columns.collect(),
            names: self.names.clone(),
            extra: Vec::new(),
            part: None,
            ..*self
        }
    }

    /// Goes to a row of a row group, both counted from 0.
    pub(crate) fn enter(&mut self, group: usize, row: u64) -> Result<()> {
        self.open(group).and_then(|()| self.pass_over(row)).map_err(|e| damaged(&self.place, &e))
    }

    /// Fills an empty batch with the next rows of the row group; returns false after the last.
    pub(crate) fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        self.fill(batch).map_err(|e| damaged(&self.place, &e))?;
        Ok(true)
    }

    fn pass_over(&mut self, rows: u64) -> ParquetResult<()> {
        if rows == 0 {
            return Ok(());
        }
        let count = usize::try_from(rows).unwrap_or(usize::MAX);
        for values in self.columns.iter_mut().filter_map(|column| column.values.as_mut()) {
            values.pass_over(count)?;
        }
        self.read += rows;
        self.left = self.left.saturating_sub(rows);
        Ok(())
    }

    fn open(&mut self, number: usize) -> ParquetResult<()> {
        let group = self.reader.get_row_group(number)?;
        self.left = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
        self.read = 0;
        self.part = Some(format!("row group {number}").into());
        for column in &mut self.columns {
            let chunk = group.metadata().column(column.leaf);
            column.values =
                Some(if chunk.column_type() == Physical::BYTE_ARRAY && texts::are_known(chunk) {
                    let pages = group.get_column_page_reader(column.leaf)?;
                    Values::Texts(Texts::of(pages, column.defined))
                } else {
                    Values::of(group.get_column_reader(column.leaf)?)
                });
        }
        Ok(())
    }

    fn fill(&mut self, batch: &mut Batch) -> ParquetResult<()> {
        let rows = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.rows);
        for column in &mut self.columns {
            column.next = 0;
            let Some(values) = &mut column.values else { continue };
            let read = values.decode(rows, &mut column.levels)?;
            let leveled = column.defined > 0 && !matches!(values, Values::Texts(_));
            if read < rows || (leveled && column.levels.len() != rows) {
                return Err(ParquetError::EOF("a column has fewer values than rows".to_owned()));
            }
        }
        batch.place = Place::rows(self.part.clone(), self.read + 1);
        let (columns, speller) = (&mut self.columns, self.speller);
        let cell = |column: usize, row: usize, text: &mut Vec<u8>| -> ParquetResult<()> {
            let column: &mut Column = &mut columns[column];
            if let Some(Values::Texts(texts)) = &column.values {
                match column.kind {
                    Kind::Plain(Meaning::Integer) => texts.push(row, text),
                    kind => {
                        if let Some(value) = texts.cell(row) {
                            bytes(value, kind, speller, text);
                        }
                    }
                }
                return Ok(());
            }
            let missing = column.defined > 0 && column.levels[row] < column.defined;
            let Some(values) = column.values.as_ref().filter(|_| !missing) else {
                return Ok(());
            };
            values.push(column.next, column.kind, speller, text).ok_or_else(|| {
                ParquetError::EOF("a column has fewer values than rows".to_owned())
            })?;
            column.next += 1;
            Ok(())
        };
        self.rows = rows::fill(batch, rows, self.names.len(), self.max_bytes, cell)?;
        self.read += rows as u64;
        self.left -= rows as u64;
        Ok(())
    }
}

impl Parts for Table {
    type Part = usize;

    fn decode(&mut self, group: usize, tell: &mut dyn FnMut(Batch) -> bool) -> Result<()> {
        self.enter(group, 0)?;
        loop {
            let mut batch = Batch::default();
            if !self.next(&mut batch)? || !tell(batch) {
                return Ok(());
            }
        }
    }
}

/// Opens the file in `window`, of which a library may give up on what it announces.
pub(crate) fn open(own: OwnedWish, window: Window) -> Result<Groups> {
    let (path, threads) = (own.get().path.to_owned(), own.get().threads);
    let table = apart::once(&path, move || Table::of(own.get(), window))?;
    let groups = groups(&table.reader).map_err(|e| damaged(&table.place, &e))?;
    let mut lanes = Lanes::start(&path, threads.min(groups.len()), || table.another())?;
    for group in groups {
        lanes.give(group);
    }
    Ok(Groups { names: table.names, extra: table.extra, lanes })
}

/// The numbers of the row groups that have rows. Columns whose place in the file is negative are refused here, as
/// the library panics over them.
pub(crate) fn groups(reader: &SerializedFileReader<Window>) -> ParquetResult<Vec<usize>> {
    let mut groups = Vec::new();
    for (number, group) in reader.metadata().row_groups().iter().enumerate() {
        match group.num_rows() {
            ..0 => {
                let message = "a row group has a negative number of rows";
                return Err(ParquetError::General(message.to_owned()));
            }
            0 => {}
            _ => groups.push(number),
        }
        for column in group.columns() {
            let start =
                column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
            if start < 0 || column.compressed_size() < 0 {
                let message = format!(
                    "row group {number} has a column at a negative place, or of a negative length"
                );
                return Err(ParquetError::General(message));
            }
        }
    }
    Ok(groups)
}

/// About how many bytes of the file in `window` a row takes.
pub(crate) fn row_bytes(window: Window) -> Option<u64> {
    let size = window.len();
    // Metadata may be hostile, so errors are ignored here; reading the file reports them.
    let reader = std::thread::spawn(|| SerializedFileReader::new(window)).join().ok()?.ok()?;
    let rows = u64::try_from(reader.metadata().file_metadata().num_rows()).ok()?;
    size.checked_div(rows)
}

pub(crate) fn damaged(place: &str, error: &ParquetError) -> Error {
    let message = match error {
        ParquetError::NYI(message) => {
            format!("this Parquet file uses an unsupported feature: {message}")
        }
        error if is_our_own(Path::new(place)) => format!(
            "it is not what was recorded: it was changed or damaged ({error}). Restore it, or run \
             `ingestion --rebuild`"
        ),
        error => format!("this Parquet file cannot be read: {error}: write it again"),
    };
    Error::schema(place, message)
}

impl Decoder for Groups {
    fn header(&mut self) -> Result<Option<Vec<String>>> {
        Ok(Some(self.names.clone()))
    }

    fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        self.lanes.take(batch)
    }

    fn extra(&self) -> Vec<String> {
        self.extra.clone()
    }
}

impl Length for Window {
    fn len(&self) -> u64 {
        Self::len(self)
    }
}

impl ChunkReader for Window {
    type T = std::io::BufReader<Self>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let size = self.len().saturating_sub(start);
        Ok(std::io::BufReader::with_capacity(1 << 16, self.part(start, size)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<bytes::Bytes> {
        let mut part = self.part(start, length as u64);
        if part.len() < length as u64 {
            return Err(ParquetError::EOF("the file ends before what it announces".to_owned()));
        }
        let mut bytes = vec![0; length];
        std::io::Read::read_exact(&mut part, &mut bytes)?;
        Ok(bytes.into())
    }
}
