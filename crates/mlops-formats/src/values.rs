//! The columns of one of our own data sets as values, without converting them to text: what `training`,
//! `scoring` and `diagnostics` read.
//!
//! A cell that none of our rows can have, such as an unknown label, is left to the parser: from the batch with
//! that cell on, the rest of its row group is read as text. Not for files of others: see [`crate::parquet`].

use std::sync::Arc;

use mlops_core::Result;
use mlops_core::csv::formats::{Batch, Place, Wants};
use mlops_core::table::date::canonical;
use mlops_core::table::schema::Role;
use mlops_core::table::{Table, TextColumn, number};
use parquet::basic::{LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{DataType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use crate::apart;
use crate::decoder::Decoder;
use crate::file::Window;
use crate::lanes::{Lanes, Parts};
use crate::output::CREATOR;
use crate::parquet::texts::{self, Texts};
use crate::parquet::{self as rows, damaged};
use crate::recognise::OwnedWish;
use crate::rows::ROWS;

/// The rows of a data set of our own, whose row groups are decoded by others.
pub(crate) struct Groups {
    names: Vec<String>,
    lanes: Lanes<usize>,
}

/// What decodes its row groups.
struct Values {
    file: Arc<File>,
    /// The columns of the row group that is open, of which those are missing that nobody wants.
    columns: Vec<Option<Column>>,
    group: usize,
    /// The rows of it that were read, and those that are left.
    read: u64,
    left: u64,
}

/// What they share.
struct File {
    wish: OwnedWish,
    wants: Wants,
    window: Window,
    reader: SerializedFileReader<Window>,
}

/// A column of the row group that is open.
enum Column {
    Doubles(Cells<DoubleType>),
    Integers(Cells<Int64Type>),
    Texts(Texts),
}

/// The reader of a column, and the cells of a batch.
struct Cells<T: DataType> {
    reader: ColumnReaderImpl<T>,
    /// Those that are not missing.
    values: Vec<T::T>,
    /// For each row whether it has one.
    levels: Vec<i16>,
}

impl<T: DataType> Cells<T> {
    fn of(reader: ColumnReaderImpl<T>) -> Self {
        Self { reader, values: Vec::new(), levels: Vec::new() }
    }

    fn decode(&mut self, rows: usize) -> ParquetResult<()> {
        self.values.clear();
        self.levels.clear();
        let mut read = 0;
        while read < rows {
            let (more, ..) = self.reader.read_records(
                rows - read,
                Some(&mut self.levels),
                None,
                &mut self.values,
            )?;
            if more == 0 {
                return Err(ParquetError::EOF("a column has fewer values than rows".to_owned()));
            }
            read += more;
        }
        let there = self.levels.iter().filter(|level| **level > 0).count();
        if self.levels.len() == rows && there == self.values.len() {
            Ok(())
        } else {
            Err(ParquetError::General("a column has not one value for each row".to_owned()))
        }
    }

    /// The cell of each row, `None` where it is missing.
    fn each(&self) -> impl Iterator<Item = Option<&T::T>> {
        let mut values = self.values.iter();
        self.levels.iter().map(move |level| if *level > 0 { values.next() } else { None })
    }
}

impl Column {
    fn of(reader: ColumnReader) -> Option<Self> {
        Some(match reader {
            ColumnReader::DoubleColumnReader(reader) => Self::Doubles(Cells::of(reader)),
            ColumnReader::Int64ColumnReader(reader) => Self::Integers(Cells::of(reader)),
            _ => return None,
        })
    }

    fn decode(&mut self, rows: usize) -> ParquetResult<()> {
        match self {
            Self::Doubles(cells) => cells.decode(rows),
            Self::Integers(cells) => cells.decode(rows),
            Self::Texts(cells) => cells.decode(rows),
        }
    }

    /// Replaces `into` by the numbers, NaN where one is missing; `None` if one is not as ours are.
    fn numbers(&mut self, into: &mut Vec<f64>) -> Option<()> {
        match self {
            Self::Doubles(cells) if cells.values.len() == cells.levels.len() => {
                std::mem::swap(into, &mut cells.values);
            }
            Self::Doubles(cells) => {
                into.extend(cells.each().map(|cell| cell.copied().unwrap_or(f64::NAN)));
                return cells.values.iter().all(|value| value.is_finite()).then_some(());
            }
            Self::Integers(cells) => {
                into.extend(cells.each().map(|cell| cell.map_or(f64::NAN, |cell| *cell as f64)));
            }
            Self::Texts(cells) => {
                into.extend(cells.each().map(|cell| cell.map_or(f64::NAN, number)));
                let numbers = into.iter().filter(|value| !value.is_nan()).count();
                return (numbers == cells.each().flatten().count()).then_some(());
            }
        }
        into.iter().all(|value| value.is_finite() || value.is_nan()).then_some(())
    }

    /// Appends the days of dates; `None` if one is not spelt as ours are.
    fn dates(&self, into: &mut Vec<f64>, missing: &[String]) -> Option<()> {
        let Self::Texts(cells) = self else { return None };
        for cell in cells.each() {
            let text = cell.unwrap_or_default();
            if !text.is_empty() && missing.iter().any(|missing| missing.as_bytes() == text) {
                return None;
            }
            into.push(canonical(text)?);
        }
        Some(())
    }

    /// Appends the texts, of which `missing` ones are empty; `None` if one is not as ours are.
    fn texts(&self, into: &mut TextColumn, missing: &[String]) -> Option<()> {
        let Self::Texts(cells) = self else { return None };
        for cell in cells.each() {
            let text = cell.map_or(Some(""), |cell| std::str::from_utf8(cell).ok())?;
            into.push(if missing.iter().any(|missing| missing == text) { "" } else { text });
        }
        Some(())
    }

    /// Appends the labels, true for the positive one; `None` if one is unknown.
    fn labels(&self, into: &mut Vec<bool>, [positive, negative]: [&str; 2]) -> Option<()> {
        let Self::Texts(cells) = self else { return None };
        let label = |text: &[u8]| match text {
            text if text == positive.as_bytes() => Some(true),
            text if text == negative.as_bytes() => Some(false),
            _ => None,
        };
        for label in cells.map(label) {
            into.push(label?);
        }
        Some(())
    }

    /// The number of rows without a cell.
    fn missing(&self) -> u64 {
        let missing = |levels: &[i16]| levels.iter().filter(|level| **level == 0).count();
        let missing = match self {
            Self::Doubles(cells) => missing(&cells.levels),
            Self::Integers(cells) => missing(&cells.levels),
            Self::Texts(cells) => cells.each().filter(Option::is_none).count(),
        };
        missing as u64
    }
}

/// Opens the file in `window`, of which a library may give up on what it announces.
pub(crate) fn open(wish: OwnedWish, wants: Wants, window: Window) -> Result<Box<dyn Decoder>> {
    let names = wants.schema.columns().iter().map(|column| column.name.clone()).collect();
    let (path, threads) = (wish.get().path.to_owned(), wish.get().threads);
    let file = apart::once(&path, move || File::of(wish, wants, window))?;
    if !file.is_ours() {
        return Ok(Box::new(rows::open(file.wish, file.window)?));
    }
    let groups = rows::groups(&file.reader).map_err(|e| file.damaged(&e))?;
    let file = Arc::new(file);
    let mut lanes = Lanes::start(&path, threads.min(groups.len()), || Values {
        file: Arc::clone(&file),
        columns: Vec::new(),
        group: 0,
        read: 0,
        left: 0,
    })?;
    for group in groups {
        lanes.give(group);
    }
    Ok(Box::new(Groups { names, lanes }))
}

impl File {
    fn of(wish: OwnedWish, wants: Wants, window: Window) -> Result<Self> {
        let place = wish.get().path.display().to_string();
        let reader = SerializedFileReader::new(window.clone()).map_err(|e| damaged(&place, &e))?;
        Ok(Self { wish, wants, window, reader })
    }

    fn damaged(&self, error: &ParquetError) -> mlops_core::Error {
        damaged(&self.wish.get().path.display().to_string(), error)
    }

    /// Whether the columns and the types are those that we write.
    fn is_ours(&self) -> bool {
        let metadata = self.reader.metadata().file_metadata();
        let found = metadata.schema_descr().columns();
        let wanted = self.wants.schema.columns();
        let is_text = |column: &ColumnDescriptor| {
            column.physical_type() == Physical::BYTE_ARRAY
                && column.logical_type_ref() == Some(&LogicalType::String)
        };
        let is_number = |column: &ColumnDescriptor| {
            column.logical_type_ref().is_none()
                && matches!(column.physical_type(), Physical::DOUBLE | Physical::INT64)
        };
        let fits = |(column, ours): (&ColumnDescriptor, &mlops_core::table::schema::Column)| {
            let single = column.max_def_level() == 1 && column.max_rep_level() == 0;
            let named = column.path().parts() == [ours.name.as_str()];
            single && named && (is_text(column) || ours.role == Role::Numeric && is_number(column))
        };
        metadata.created_by() == Some(CREATOR)
            && found.len() == wanted.len()
            && found.iter().map(AsRef::as_ref).zip(wanted).all(fits)
    }

    /// Which columns are read: those that are wanted, and ids of which it is not recorded how many there
    /// are.
    fn is_read(&self, role: Role, numeric: usize, at: usize, group: &RowGroupMetaData) -> bool {
        match (role, self.wants.numbers) {
            (role, Some((first, end))) if role.is_number() => (first..end).contains(&numeric),
            (_, Some(_)) => false,
            (Role::Id, None) => self.wants.ids || missing_in(group, at).is_none(),
            (_, None) => true,
        }
    }
}

impl Values {
    /// Opens a row group.
    fn open(&mut self, number: usize) -> ParquetResult<()> {
        let File { reader, wants, .. } = &*self.file;
        let group = reader.get_row_group(number)?;
        self.group = number;
        self.left = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
        self.read = 0;
        let mut columns = Vec::new();
        let mut numeric = 0;
        for (at, column) in wants.schema.columns().iter().enumerate() {
            let chunk = group.metadata().column(at);
            columns.push(if !self.file.is_read(column.role, numeric, at, group.metadata()) {
                None
            } else if chunk.column_type() == Physical::BYTE_ARRAY && texts::are_known(chunk) {
                Some(Column::Texts(Texts::of(group.get_column_page_reader(at)?, 1)))
            } else {
                Column::of(group.get_column_reader(at)?)
            });
            numeric += usize::from(column.role.is_number());
        }
        self.columns = columns;
        Ok(())
    }

    /// The next rows; `None` if a cell is not as ours are.
    fn table(&mut self, rows: usize) -> ParquetResult<Option<Table>> {
        let Self { file, columns, group, read, .. } = self;
        let File { wants, reader, .. } = &**file;
        let schema = &wants.schema;
        let labels = [schema.positive_label(), schema.negative_label().unwrap_or_default()];
        let mut table = Table::new(schema);
        let (mut id, mut numeric, mut categorical) = (0, 0, 0);
        for (at, column) in schema.columns().iter().enumerate() {
            let mut found = columns[at].as_mut();
            if let Some(cells) = &mut found {
                cells.decode(rows)?;
            }
            let good = match (column.role, found) {
                (Role::Id, Some(cells)) => {
                    let missing = cells.missing();
                    table.count_ids(id, rows as u64, missing);
                    if wants.ids { cells.texts(&mut table.ids[id], &[]) } else { Some(()) }
                }
                (Role::Id, None) => {
                    // Those of the whole row group are counted with its first rows.
                    let group = reader.metadata().row_group(*group);
                    if let (0, Some(missing)) = (*read, missing_in(group, at)) {
                        let all = u64::try_from(group.num_rows()).unwrap_or(0);
                        table.count_ids(id, all, missing.min(all));
                    }
                    Some(())
                }
                (Role::Numeric, Some(cells)) => cells.numbers(&mut table.numeric[numeric]),
                (Role::Date, Some(cells)) => {
                    cells.dates(&mut table.numeric[numeric], &wants.missing)
                }
                (Role::Categorical, Some(cells)) => {
                    cells.texts(&mut table.categorical[categorical], &wants.missing)
                }
                (Role::Target, Some(cells)) => cells.labels(&mut table.labels, labels),
                (_, None) => Some(()),
            };
            if good.is_none() {
                return Ok(None);
            }
            match column.role {
                Role::Id => id += 1,
                Role::Numeric | Role::Date => numeric += 1,
                Role::Categorical => categorical += 1,
                Role::Target => {}
            }
        }
        table.end_rows(rows);
        Ok(Some(table))
    }

    /// Fills an empty batch with the next rows; returns false if a cell is not as ours are.
    fn fill(&mut self, batch: &mut Batch) -> ParquetResult<bool> {
        let rows = usize::try_from(self.left).unwrap_or(usize::MAX).min(ROWS);
        let Some(table) = self.table(rows)? else { return Ok(false) };
        let part = format!("row group {}", self.group);
        batch.place = Place::rows(Some(part.into()), self.read + 1);
        batch.values = Some(Box::new(table));
        self.read += rows as u64;
        self.left -= rows as u64;
        Ok(true)
    }
}

impl Parts for Values {
    type Part = usize;

    fn decode(&mut self, group: usize, tell: &mut dyn FnMut(Batch) -> bool) -> Result<()> {
        self.open(group).map_err(|e| self.file.damaged(&e))?;
        loop {
            let mut batch = Batch::default();
            if self.left == 0 {
                return Ok(());
            }
            if !self.fill(&mut batch).map_err(|e| self.file.damaged(&e))? {
                break;
            }
            if !tell(batch) {
                return Ok(());
            }
        }
        // From here on the parser judges the row group.
        let mut texts = rows::Table::of(self.file.wish.get(), self.file.window.clone())?;
        texts.enter(group, self.read)?;
        loop {
            let mut batch = Batch::default();
            if !texts.next(&mut batch)? || !tell(batch) {
                return Ok(());
            }
        }
    }
}

/// How many cells of a column of a row group are missing, if that is recorded.
fn missing_in(group: &RowGroupMetaData, column: usize) -> Option<u64> {
    group
        .column(column)
        .statistics()
        .and_then(parquet::file::statistics::Statistics::null_count_opt)
}

impl Decoder for Groups {
    fn header(&mut self) -> Result<Option<Vec<String>>> {
        Ok(Some(self.names.clone()))
    }

    fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        self.lanes.take(batch)
    }
}
