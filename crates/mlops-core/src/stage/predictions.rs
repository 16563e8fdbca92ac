//! The CSV file of `diagnostics --output`: one line per record, with its ids, the prediction, the
//! points of a scorecard, its line in the file, and why it cannot be read.
//!
//! Not for predicting: see [`super::diagnose`].

use std::path::Path;

use super::output::Output;
use crate::config::Config;
use crate::csv::reader::{Fault, RowReader};
use crate::model::{Model, Predictor, Scorecard};
use crate::platform::disk::NewFile;
use crate::run::context::Context;
use crate::table::TextColumn;
use crate::table::schema::Role;
use crate::{Error, Result};

/// How the header ends: without and with a scorecard, and in earlier versions.
const ENDINGS: [&str; 3] = [
    "prediction,probability,line,reason",
    "prediction,probability,points,line,reason",
    "prediction,probability",
];
/// Bytes read at a time to count lines.
const PIECE: usize = 1 << 20;

/// Refuses a path that would do damage.
pub(super) fn check(config: &Config, path: &Path, data: &Path) -> Result<()> {
    let output = Output { path, kind: "file of predictions", endings: &ENDINGS };
    output.check(config, &[data]).map(drop)
}

/// A file that appears when it is published.
pub(super) struct PredictionFile {
    file: NewFile,
    scorecard: Option<Scorecard>,
}

/// What is said of rows.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// One per row; NaN without a prediction.
    pub(super) probabilities: Vec<f64>,
    /// One per row, if the model has a scorecard.
    pub(super) points: Vec<Option<i64>>,
}

impl Answers {
    fn of(&self, row: usize) -> Said<'static> {
        Said::Row(self.probabilities[row], self.points.get(row).copied().flatten())
    }
}

/// The content of a line besides the ids.
enum Said<'a> {
    /// The probability, NaN without a prediction, and the points.
    Row(f64, Option<i64>),
    Unreadable(&'a Fault),
}

/// Writes lines about rows and records of one model.
struct Lines<'a> {
    model: &'a Model,
    predictor: Predictor<'a>,
    with_points: bool,
}

impl PredictionFile {
    /// A file with a header.
    pub(super) fn create(context: &Context, model: &Model, path: &Path) -> Result<Self> {
        let mut file = context.disk.new_file(path)?;
        let scorecard = Scorecard::of(model);
        let ending = ENDINGS[usize::from(scorecard.is_some())];
        let names = model.schema.names(Role::Id).chain(ending.split(','));
        file.write_all(&csv_lines(|writer| writer.write_record(names))?)?;
        Ok(Self { file, scorecard })
    }

    fn lines<'a>(&self, model: &'a Model) -> Lines<'a> {
        let with_points = self.scorecard.is_some();
        Lines { model, predictor: Predictor::new(model), with_points }
    }

    /// Appends rows that are on `lines`.
    pub(super) fn append(
        &mut self,
        model: &Model,
        ids: &[TextColumn],
        answers: &Answers,
        lines: impl Iterator<Item = u64>,
    ) -> Result<()> {
        let to = self.lines(model);
        let bytes = csv_lines(|writer| {
            for (i, line) in (0..answers.probabilities.len()).zip(lines) {
                to.record(writer, (ids, i), line, &answers.of(i))?;
            }
            Ok(())
        })?;
        self.file.write_all(&bytes)
    }

    /// Reads `path` record by record: for files in which not every line is a good row.
    pub(super) fn fill(&mut self, model: &Model, reader: &RowReader, path: &Path) -> Result<()> {
        let to = self.lines(model);
        let mut answers = Answers::default();
        reader.with_chunk_bytes(PIECE).lines_at(path, |table, _, faults, lines| {
            to.predictor.probabilities(table, &mut answers.probabilities);
            if let Some(scorecard) = &self.scorecard {
                answers.points = scorecard.points(&model.encoder, table);
            }
            let bytes = csv_lines(|writer| {
                let mut faults = faults.iter().peekable();
                for (i, line) in lines.iter().enumerate() {
                    while let Some(fault) = faults.next_if(|fault| fault.line < *line) {
                        to.unreadable(writer, fault)?;
                    }
                    to.record(writer, (&table.ids, i), *line, &answers.of(i))?;
                }
                faults.try_for_each(|fault| to.unreadable(writer, fault))
            })?;
            self.file.write_all(&bytes)
        })?;
        Ok(())
    }

    /// Gives the file its name.
    pub(super) fn publish(self) -> Result<()> {
        self.file.publish(true)
    }
}

type Writer = csv::Writer<Vec<u8>>;

impl Lines<'_> {
    fn unreadable(&self, writer: &mut Writer, fault: &Fault) -> Result<(), csv::Error> {
        self.record(writer, (&[], 0), fault.line, &Said::Unreadable(fault))
    }

    fn record(
        &self,
        writer: &mut Writer,
        (ids, i): (&[TextColumn], usize),
        line: u64,
        said: &Said<'_>,
    ) -> Result<(), csv::Error> {
        for id in 0..self.model.schema.count(Role::Id) {
            let id = ids.get(id).filter(|id| i < id.len());
            writer.write_field(id.map_or("", |id| id.get(i)))?;
        }
        match said {
            Said::Row(probability, _) if !probability.is_nan() => {
                writer.write_field(self.model.label(self.predictor.positive(*probability)))?;
                writer.write_field(format!("{probability:?}"))?;
            }
            _ => {
                writer.write_field("")?;
                writer.write_field("")?;
            }
        }
        if self.with_points {
            let points = match said {
                Said::Row(probability, points) => points.filter(|_| !probability.is_nan()),
                Said::Unreadable(_) => None,
            };
            writer.write_field(points.map_or_else(String::new, |points| points.to_string()))?;
        }
        writer.write_field(line.to_string())?;
        match said {
            Said::Row(probability, _) if probability.is_nan() => {
                writer.write_field("a value is missing, and the model fills none")?;
            }
            Said::Row(..) => writer.write_field("")?,
            Said::Unreadable(Fault { column, message, .. }) if column.is_empty() => {
                writer.write_field(message)?;
            }
            Said::Unreadable(Fault { column, message, .. }) => {
                writer.write_field(format!("{column}: {message}"))?;
            }
        }
        writer.write_record(None::<&[u8]>)
    }
}

fn csv_lines(write: impl FnOnce(&mut Writer) -> Result<(), csv::Error>) -> Result<Vec<u8>> {
    let failed = |e: csv::Error| Error::backend("csv", e);
    let mut writer = csv::Writer::from_writer(Vec::new());
    write(&mut writer).map_err(failed)?;
    writer.into_inner().map_err(|e| failed(csv::Error::from(e.into_error())))
}
