//! Writes a data set as Parquet: with dictionaries and statistics, packed by snappy, so that all readers of
//! Parquet take it.
//!
//! Not for reading: see [`crate::parquet`]; not for names and order of writes: see core's
//! `stage::ingest::publish`.

use std::io::Write;
use std::sync::Arc;

use mlops_core::csv::chunk::CHUNK_BYTES;
use mlops_core::csv::formats::DataSet;
use mlops_core::csv::reader::RowReader;
use mlops_core::table::Table;
use mlops_core::table::schema::{Role, Schema};
use mlops_core::{Error, Result};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

/// Rows of a row group, unless it would have more cells than this.
const ROWS: usize = 1 << 18;
const CELLS: usize = 1 << 23;

/// The cells of a column in a row group.
enum Cells {
    Numbers(Vec<f64>),
    Texts(Vec<ByteArray>),
}

/// A column in a row group.
struct Column {
    cells: Cells,
    /// For each row whether it has a cell.
    levels: Vec<i16>,
}

impl Column {
    fn number(&mut self, value: f64) {
        self.levels.push(i16::from(!value.is_nan()));
        if let Cells::Numbers(cells) = &mut self.cells
            && !value.is_nan()
        {
            cells.push(value);
        }
    }

    fn text(&mut self, value: &str) {
        self.levels.push(i16::from(!value.is_empty()));
        if let Cells::Texts(cells) = &mut self.cells
            && !value.is_empty()
        {
            cells.push(value.into());
        }
    }

    fn write(&mut self, writer: &mut ColumnWriter) -> ParquetResult<()> {
        let levels = Some(self.levels.as_slice());
        match (&mut self.cells, writer) {
            (Cells::Numbers(cells), ColumnWriter::DoubleColumnWriter(writer)) => {
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

/// Writes the rows of `data` to `out`.
pub(crate) fn write(data: DataSet, out: &mut (dyn Write + Send)) -> Result<()> {
    let DataSet { file, place, schema, options, labels } = data;
    let failed = |e: ParquetError| Error::backend("parquet", e);
    let form = Arc::new(form(schema).map_err(failed)?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by("mlops".to_owned())
        .build();
    let mut writer = SerializedFileWriter::new(out, form, Arc::new(properties)).map_err(failed)?;
    let mut columns: Vec<Column> = schema
        .columns()
        .iter()
        .map(|column| Column {
            cells: match column.role {
                Role::Numeric => Cells::Numbers(Vec::new()),
                _ => Cells::Texts(Vec::new()),
            },
            levels: Vec::new(),
        })
        .collect();
    let most = (CELLS / schema.width().max(1)).clamp(1000, ROWS);
    let verbatim = options.verbatim();
    let reader = RowReader::labelled(schema, &verbatim).without_hashes().with_ids();
    let mut rows = 0;
    reader.stream(file, place, CHUNK_BYTES, |table, _, _| {
        push(table, schema, labels, &mut columns);
        rows += table.len();
        if rows >= most {
            rows = 0;
            write_group(&mut writer, &mut columns).map_err(failed)?;
        }
        Ok(())
    })?;
    if rows > 0 {
        write_group(&mut writer, &mut columns).map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    Ok(())
}

fn push(table: &Table, schema: &Schema, labels: [&str; 2], columns: &mut [Column]) {
    let (mut ids, mut numeric, mut categorical) =
        (table.ids.iter(), table.numeric.iter(), table.categorical.iter());
    for (column, out) in schema.columns().iter().zip(columns) {
        match column.role {
            Role::Numeric => {
                numeric.next().into_iter().flatten().for_each(|value| out.number(*value));
            }
            Role::Id | Role::Categorical => {
                let texts = if column.role == Role::Id { ids.next() } else { categorical.next() };
                texts
                    .into_iter()
                    .flat_map(mlops_core::table::TextColumn::iter)
                    .for_each(|text| out.text(text));
            }
            Role::Target => {
                table.labels.iter().for_each(|label| out.text(labels[usize::from(*label)]));
            }
        }
    }
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

/// The columns in the file: numbers are doubles, everything else is a text.
fn form(schema: &Schema) -> ParquetResult<Type> {
    let column = |name: &str, role: Role| {
        let physical = if role == Role::Numeric { Physical::DOUBLE } else { Physical::BYTE_ARRAY };
        let text = (role != Role::Numeric).then_some(LogicalType::String);
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(text)
            .build()
            .map(Arc::new)
    };
    let columns = schema.columns().iter().map(|c| column(&c.name, c.role));
    let columns = columns.collect::<ParquetResult<Vec<_>>>()?;
    Type::group_type_builder("dataset").with_fields(columns).build()
}
