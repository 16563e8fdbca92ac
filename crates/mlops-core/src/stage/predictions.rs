//! The CSV file of `diagnostics --output`: one line per record, with its ids, the prediction, its
//! line in the file, and why it cannot be read.
//!
//! Not for predicting: see [`super::diagnose`].

use std::path::Path;

use super::output::Output;
use crate::config::Config;
use crate::csv::reader::{Fault, RowReader};
use crate::model::{Model, Predictor};
use crate::platform::disk::NewFile;
use crate::run::context::Context;
use crate::table::TextColumn;
use crate::table::schema::Role;
use crate::{Error, Result};

/// How the header ends, in this version and in earlier ones.
const ENDINGS: [&str; 2] = ["prediction,probability,line,reason", "prediction,probability"];
/// Bytes read at a time to count lines.
const PIECE: usize = 1 << 20;

/// Refuses a path that would do damage.
pub(super) fn check(config: &Config, path: &Path, data: &Path) -> Result<()> {
    let output = Output { path, kind: "file of predictions", endings: &ENDINGS };
    output.check(config, &[data]).map(drop)
}

/// A file that appears when it is published.
pub(super) struct PredictionFile(NewFile);

/// The content of a line besides the ids.
enum Said<'a> {
    /// The probability; NaN without a prediction.
    Row(f64),
    Unreadable(&'a Fault),
}

impl PredictionFile {
    /// A file with a header.
    pub(super) fn create(context: &Context, model: &Model, path: &Path) -> Result<Self> {
        let mut file = context.disk.new_file(path)?;
        let names = model.schema.names(Role::Id).chain(ENDINGS[0].split(','));
        file.write_all(&csv_lines(|writer| writer.write_record(names))?)?;
        Ok(Self(file))
    }

    /// Appends rows that are on `lines`.
    pub(super) fn append(
        &mut self,
        model: &Model,
        ids: &[TextColumn],
        (predictor, probabilities): (&Predictor, &[f64]),
        lines: impl Iterator<Item = u64>,
    ) -> Result<()> {
        let bytes = csv_lines(|writer| {
            for (i, (probability, line)) in probabilities.iter().zip(lines).enumerate() {
                let said = Said::Row(*probability);
                record(writer, model, predictor, (ids, i), line, &said)?;
            }
            Ok(())
        })?;
        self.0.write_all(&bytes)
    }

    /// Reads `path` record by record: for files in which not every line is a good row.
    pub(super) fn fill(&mut self, model: &Model, reader: &RowReader, path: &Path) -> Result<()> {
        let predictor = Predictor::new(model);
        let mut probabilities = Vec::new();
        reader.with_chunk_bytes(PIECE).lines_at(path, |table, _, faults, lines| {
            predictor.probabilities(table, &mut probabilities);
            let bytes = csv_lines(|writer| {
                let mut faults = faults.iter().peekable();
                for (i, line) in lines.iter().enumerate() {
                    while let Some(fault) = faults.next_if(|fault| fault.line < *line) {
                        unreadable(writer, model, &predictor, fault)?;
                    }
                    let said = Said::Row(probabilities[i]);
                    record(writer, model, &predictor, (&table.ids, i), *line, &said)?;
                }
                faults.try_for_each(|fault| unreadable(writer, model, &predictor, fault))
            })?;
            self.0.write_all(&bytes)
        })?;
        Ok(())
    }

    /// Gives the file its name.
    pub(super) fn publish(self) -> Result<()> {
        self.0.publish(true)
    }
}

type Writer = csv::Writer<Vec<u8>>;

fn unreadable(
    writer: &mut Writer,
    model: &Model,
    predictor: &Predictor,
    fault: &Fault,
) -> Result<(), csv::Error> {
    record(writer, model, predictor, (&[], 0), fault.line, &Said::Unreadable(fault))
}

fn record(
    writer: &mut Writer,
    model: &Model,
    predictor: &Predictor,
    (ids, i): (&[TextColumn], usize),
    line: u64,
    said: &Said<'_>,
) -> Result<(), csv::Error> {
    for id in 0..model.schema.count(Role::Id) {
        let id = ids.get(id).filter(|id| i < id.len());
        writer.write_field(id.map_or("", |id| id.get(i)))?;
    }
    match said {
        Said::Row(probability) if !probability.is_nan() => {
            writer.write_field(model.label(predictor.positive(*probability)))?;
            writer.write_field(format!("{probability:?}"))?;
        }
        _ => {
            writer.write_field("")?;
            writer.write_field("")?;
        }
    }
    writer.write_field(line.to_string())?;
    match said {
        Said::Row(probability) if probability.is_nan() => {
            writer.write_field("a value is missing, and the model fills none")?;
        }
        Said::Row(_) => writer.write_field("")?,
        Said::Unreadable(Fault { column, message, .. }) if column.is_empty() => {
            writer.write_field(message)?;
        }
        Said::Unreadable(Fault { column, message, .. }) => {
            writer.write_field(format!("{column}: {message}"))?;
        }
    }
    writer.write_record(None::<&[u8]>)
}

fn csv_lines(write: impl FnOnce(&mut Writer) -> Result<(), csv::Error>) -> Result<Vec<u8>> {
    let failed = |e: csv::Error| Error::backend("csv", e);
    let mut writer = csv::Writer::from_writer(Vec::new());
    write(&mut writer).map_err(failed)?;
    writer.into_inner().map_err(|e| failed(csv::Error::from(e.into_error())))
}
