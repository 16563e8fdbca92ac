//! Writes changed cells as Parquet: a line for each cell and kind of change.
//!
//! Not for finding them: see core's `csv::cell_changes`; not for the data set: see [`crate::output`].

use std::io::Write;
use std::sync::Arc;

use mlops_core::csv::formats::{CHANGES, ChangedCell, ChangesWriter};
use mlops_core::{Error, Result};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

/// Lines and bytes of a row group.
const LINES: usize = 1 << 16;
const BYTES: usize = 1 << 23;

/// The cells of a column in a row group.
enum Cells {
    Numbers(Vec<i64>),
    Texts(Vec<ByteArray>),
    /// Texts that may be missing, and for each line whether it has one.
    Optional(Vec<ByteArray>, Vec<i16>),
}

/// A file that is being written.
pub(crate) struct Changes<'w> {
    writer: SerializedFileWriter<&'w mut (dyn Write + Send)>,
    columns: [Cells; CHANGES.len()],
    lines: usize,
    bytes: usize,
}

impl<'w> Changes<'w> {
    /// Begins a file in `out`.
    pub(crate) fn begin(out: &'w mut (dyn Write + Send)) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by("mlops".to_owned())
            .build();
        let form = form().map(Arc::new).map_err(failed)?;
        let writer = SerializedFileWriter::new(out, form, Arc::new(properties)).map_err(failed)?;
        Ok(Self { writer, columns: CHANGES.map(cells), lines: 0, bytes: 0 })
    }

    fn write_group(&mut self) -> ParquetResult<()> {
        if self.lines == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for cells in &mut self.columns {
            let Some(mut out) = group.next_column()? else { break };
            cells.write(out.untyped())?;
            out.close()?;
        }
        group.close()?;
        (self.lines, self.bytes) = (0, 0);
        Ok(())
    }
}

impl ChangesWriter for Changes<'_> {
    fn push(&mut self, cell: &ChangedCell) -> Result<()> {
        for kind in cell.kinds.iter() {
            let [row, file, part, line, column, from, to, of] = &mut self.columns;
            row.number(cell.row);
            file.text(cell.file);
            part.optional(cell.part);
            line.number(cell.line);
            column.text(cell.column);
            from.text(cell.from);
            to.optional(Some(cell.to).filter(|to| !to.is_empty()));
            of.text(kind.as_str());
            self.lines += 1;
            self.bytes += cell.file.len() + cell.column.len() + cell.from.len() + cell.to.len();
        }
        if self.lines >= LINES || self.bytes >= BYTES {
            self.write_group().map_err(failed)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.write_group().map_err(failed)?;
        self.writer.close().map_err(failed)?;
        Ok(())
    }
}

impl Cells {
    fn number(&mut self, number: u64) {
        if let Self::Numbers(cells) = self {
            cells.push(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    fn text(&mut self, text: &str) {
        if let Self::Texts(cells) = self {
            cells.push(text.into());
        }
    }

    fn optional(&mut self, text: Option<&str>) {
        if let Self::Optional(cells, levels) = self {
            levels.push(i16::from(text.is_some()));
            cells.extend(text.map(ByteArray::from));
        }
    }

    fn write(&mut self, writer: &mut ColumnWriter) -> ParquetResult<()> {
        match (self, writer) {
            (Self::Numbers(cells), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(cells, None, None)?;
                cells.clear();
            }
            (Self::Texts(cells), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                writer.write_batch(cells, None, None)?;
                cells.clear();
            }
            (Self::Optional(cells, levels), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                writer.write_batch(cells, Some(levels), None)?;
                cells.clear();
                levels.clear();
            }
            _ => return Err(ParquetError::General("a column has another type".to_owned())),
        }
        Ok(())
    }
}

fn failed(error: ParquetError) -> Error {
    Error::backend("parquet", error)
}

/// A column without cells.
fn cells(name: &str) -> Cells {
    match name {
        "row" | "line" => Cells::Numbers(Vec::new()),
        "part" | "to" => Cells::Optional(Vec::new(), Vec::new()),
        _ => Cells::Texts(Vec::new()),
    }
}

fn form() -> ParquetResult<Type> {
    let column = |name: &str| {
        let (physical, repetition) = match cells(name) {
            Cells::Numbers(_) => (Physical::INT64, Repetition::REQUIRED),
            Cells::Texts(_) => (Physical::BYTE_ARRAY, Repetition::REQUIRED),
            Cells::Optional(..) => (Physical::BYTE_ARRAY, Repetition::OPTIONAL),
        };
        let text = (physical == Physical::BYTE_ARRAY).then_some(LogicalType::String);
        Type::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_logical_type(text)
            .build()
            .map(Arc::new)
    };
    let columns = CHANGES.into_iter().map(column).collect::<ParquetResult<Vec<_>>>()?;
    Type::group_type_builder("changes").with_fields(columns).build()
}
