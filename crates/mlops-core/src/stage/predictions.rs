//! The CSV file of `diagnostics --output`: one line per record, with its ids, the prediction, the
//! points of a scorecard, what moved the prediction if that was asked for, its line in the file, and why
//! it cannot be read.
//!
//! Not for predicting: see [`super::diagnose`].

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::output::Output;
use super::record_predictions::{LogLines, PredictionLog, Recording};
use crate::config::{Config, Reasons};
use crate::csv::reader::{Fault, RowReader};
use crate::dataset::task::append_file;
use crate::model::{Explainer, Explanations, Model, Predictor, Scorecard};
use crate::platform::disk::NewFile;
use crate::prediction_log::Answer;
use crate::run::context::Context;
use crate::table::schema::Role;
use crate::table::{Table, TextColumn};
use crate::{Error, Result};

/// How the header ends, in this version, with explanations, and in earlier ones.
const ENDINGS: [&str; 4] = [
    "prediction,probability,line,reason",
    "prediction,probability,points,line,reason",
    "other_contributions,line,reason",
    "prediction,probability",
];
/// Bytes read at a time to count lines.
const PIECE: usize = 1 << 20;

/// Refuses a path that would do damage.
pub(super) fn check(config: &Config, path: &Path, data: &Path) -> Result<()> {
    let output = Output { path, kind: "file of predictions", endings: &ENDINGS };
    output.check(config, &[data]).map(drop)
}

/// What is said about a row.
pub(super) struct Answerer<'a> {
    model: &'a Model,
    predictor: Predictor<'a>,
    explainer: Explainer<'a>,
    scorecard: Option<Scorecard>,
    /// The number of contributions to name for each row; 0 without explanations.
    explain: usize,
    reasons: &'a Reasons,
}

/// The answers for the rows of a batch.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) ids: Vec<TextColumn>,
    /// Probabilities; NaN without a prediction.
    pub(super) probabilities: Vec<f64>,
    explanations: Explanations,
    /// The features, if they are logged.
    features: Table,
    /// The points of a scorecard; none without one.
    points: Vec<Option<i64>>,
}

impl Answers {
    /// Takes the ids of the rows of `table`, which gets the memory of earlier ones.
    pub(super) fn take_ids(&mut self, table: &mut Table) {
        std::mem::swap(&mut self.ids, &mut table.ids);
        table.ids.resize_with(self.ids.len(), TextColumn::default);
    }

    /// Takes the features of the rows of `table`, which gets the memory of earlier ones.
    pub(super) fn take_features(&mut self, table: &mut Table) {
        std::mem::swap(&mut self.features.numeric, &mut table.numeric);
        std::mem::swap(&mut self.features.categorical, &mut table.categorical);
        table.numeric.resize_with(self.features.numeric.len(), Vec::new);
        table.categorical.resize_with(self.features.categorical.len(), TextColumn::default);
    }
}

impl<'a> Answerer<'a> {
    /// Answers with the probabilities of `model`, and for each row the `explain` largest contributions.
    pub(super) fn new(model: &'a Model, explain: usize, reasons: &'a Reasons) -> Self {
        let explainer = Explainer::new(model);
        let explain = explain.min(explainer.columns());
        let (predictor, scorecard) = (Predictor::new(model), Scorecard::of(model));
        Self { model, predictor, explainer, scorecard, explain, reasons }
    }

    /// Explains the rows of `table`, if that was asked for, and adds up their points.
    pub(super) fn explain(&self, table: &Table, answers: &mut Answers) {
        if let Some(scorecard) = &self.scorecard {
            answers.points = scorecard.points(&self.model.encoder, table);
        }
        if self.explain > 0 {
            self.explainer.explain(table, self.explain, &mut answers.explanations);
        }
    }

    /// The names of all columns.
    fn header(&self) -> Vec<String> {
        let mut names: Vec<String> = self.model.schema.names(Role::Id).map(str::to_owned).collect();
        let mut add = |name: &str| names.push(name.to_owned());
        add("prediction");
        add("probability");
        if self.scorecard.is_some() {
            add("points");
        }
        if self.explain > 0 {
            add("log_odds");
            add("reference_log_odds");
            for place in 1..=self.explain {
                add(&format!("column_{place}"));
                add(&format!("contribution_{place}"));
                if !self.reasons.is_empty() {
                    add(&format!("text_{place}"));
                }
            }
            add("other_contributions");
        }
        add("line");
        add("reason");
        names
    }

    /// The number of fields between the probability and the line.
    fn explained_fields(&self) -> usize {
        let each = if self.reasons.is_empty() { 2 } else { 3 };
        let explained = if self.explain > 0 { 3 + each * self.explain } else { 0 };
        explained + usize::from(self.scorecard.is_some())
    }

    /// The header as a line.
    fn header_line(&self) -> Result<Vec<u8>> {
        csv_lines(|writer| writer.write_record(self.header()))
    }

    /// The rows, which are on `lines`, and the records that cannot be read, by their lines.
    pub(super) fn lines(
        &self,
        answers: &Answers,
        lines: impl Iterator<Item = u64>,
        faults: &[Fault],
    ) -> Result<Vec<u8>> {
        csv_lines(|writer| {
            let mut faults = faults.iter().peekable();
            for (i, line) in (0..answers.probabilities.len()).zip(lines) {
                while let Some(fault) = faults.next_if(|fault| fault.line < line) {
                    self.unreadable(writer, fault)?;
                }
                self.row(writer, answers, i, line)?;
            }
            faults.try_for_each(|fault| self.unreadable(writer, fault))
        })
    }

    /// Adds the rows that are on `lines` and have a prediction to `log`.
    pub(super) fn record_rows(
        &self,
        answers: &Answers,
        lines: impl Iterator<Item = u64>,
        log: &mut LogLines<'_>,
    ) {
        let rows = answers.probabilities.iter().zip(lines).enumerate();
        for (i, (probability, row)) in rows.filter(|(_, (p, _))| !p.is_nan()) {
            let positive = self.predictor.positive(*probability);
            let answer = Answer { row, positive, probability: *probability };
            log.add(answer, i, &answers.ids, &answers.features);
        }
    }

    /// Writes the line of row `i`.
    fn row(&self, writer: &mut Writer, answers: &Answers, i: usize, line: u64) -> Written {
        let probability = answers.probabilities[i];
        let answered = !probability.is_nan();
        let why = if answered { "" } else { "a value is missing, and the model fills none" };
        let prediction = answered.then_some(probability);
        self.record(writer, i, prediction, answers, (line, why))
    }

    /// Writes the line of a record that cannot be read.
    fn unreadable(&self, writer: &mut Writer, fault: &Fault) -> Written {
        let Fault { column, message, line, .. } = fault;
        let why = if column.is_empty() { message.clone() } else { format!("{column}: {message}") };
        self.record(writer, 0, None, &Answers::default(), (*line, &why))
    }

    fn record(
        &self,
        writer: &mut Writer,
        i: usize,
        probability: Option<f64>,
        answers: &Answers,
        (line, why): (u64, &str),
    ) -> Written {
        for id in 0..self.model.schema.count(Role::Id) {
            let id = answers.ids.get(id).filter(|id| i < id.len());
            writer.write_field(id.map_or("", |id| id.get(i)))?;
        }
        if let Some(probability) = probability {
            writer.write_field(self.model.label(self.predictor.positive(probability)))?;
            writer.write_field(format!("{probability:?}"))?;
            if self.scorecard.is_some() {
                let points = answers.points.get(i).copied().flatten();
                writer.write_field(points.map_or_else(String::new, |n| n.to_string()))?;
            }
            if self.explain > 0 {
                self.explanation(writer, &answers.explanations, i)?;
            }
        } else {
            for _ in 0..2 + self.explained_fields() {
                writer.write_field("")?;
            }
        }
        writer.write_field(line.to_string())?;
        writer.write_field(why)?;
        writer.write_record(None::<&[u8]>)
    }

    fn explanation(&self, writer: &mut Writer, found: &Explanations, i: usize) -> Written {
        let number = |value: f64| format!("{value:?}");
        writer.write_field(number(found.log_odds(i)))?;
        writer.write_field(number(self.explainer.reference_log_odds()))?;
        for contribution in found.largest(i) {
            let name = self.explainer.name(contribution.column as usize);
            writer.write_field(name)?;
            writer.write_field(number(contribution.value))?;
            if !self.reasons.is_empty() {
                let text = self.reasons.text(name, contribution.value);
                writer.write_field(text.unwrap_or_default())?;
            }
        }
        writer.write_field(number(found.others(i)))
    }
}

/// Files of lines that were written by a task, each with the number of its bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LinesThere {
    pub(super) lines: (PathBuf, u64),
    pub(super) log: Option<(PathBuf, u64)>,
}

/// A file that appears when it is published.
pub(super) struct PredictionFile<'a> {
    file: NewFile,
    /// The same rows for the log of predictions.
    log: Option<Recording<'a>>,
}

impl<'a> PredictionFile<'a> {
    /// A file with a header, whose rows go into `log` too.
    pub(super) fn create(
        context: &Context,
        answerer: &Answerer,
        path: &Path,
        log: Option<&'a PredictionLog>,
    ) -> Result<Self> {
        let mut file = context.disk.new_file(path)?;
        file.write_all(&answerer.header_line()?)?;
        Ok(Self { file, log: log.map(|log| log.begin(context)).transpose()? })
    }

    /// Appends rows that are on `lines`.
    pub(super) fn append(
        &mut self,
        answerer: &Answerer,
        answers: &Answers,
        lines: impl Iterator<Item = u64> + Clone,
    ) -> Result<()> {
        if let Some(log) = &mut self.log {
            answerer.record_rows(answers, lines.clone(), &mut log.lines);
            log.flush()?;
        }
        self.file.write_all(&answerer.lines(answers, lines, &[])?)
    }

    /// Appends the files of lines, and of lines of the log, that a task has written.
    pub(super) fn append_files(&mut self, there: &LinesThere) -> Result<()> {
        let LinesThere { lines: (lines, bytes), log } = there;
        append_file(lines, *bytes, &mut |bytes: &[u8]| self.file.write_all(bytes))?;
        if let (Some(recording), Some((log, bytes))) = (&mut self.log, log) {
            append_file(log, *bytes, &mut |bytes: &[u8]| recording.append(bytes))?;
        }
        Ok(())
    }

    /// Reads `path` record by record: for files in which not every line is a good row.
    pub(super) fn fill(
        &mut self,
        answerer: &Answerer,
        reader: &RowReader,
        path: &Path,
    ) -> Result<()> {
        let mut answers = Answers::default();
        reader.with_chunk_bytes(PIECE).lines_at(path, |table, _, faults, lines| {
            answerer.predictor.probabilities(table, &mut answers.probabilities);
            answerer.explain(table, &mut answers);
            answers.ids.clone_from(&table.ids);
            if let Some(log) = &mut self.log {
                answers.features.numeric.clone_from(&table.numeric);
                answers.features.categorical.clone_from(&table.categorical);
                answerer.record_rows(&answers, lines.iter().copied(), &mut log.lines);
                log.flush()?;
            }
            self.file.write_all(&answerer.lines(&answers, lines.iter().copied(), &faults)?)
        })?;
        Ok(())
    }

    /// Gives the file its name, and then that of the log, whose path is returned.
    pub(super) fn publish(self, context: &Context) -> Result<Option<PathBuf>> {
        self.file.publish(true)?;
        self.log.map_or(Ok(None), |log| log.publish(context))
    }
}

type Writer = csv::Writer<Vec<u8>>;
type Written = Result<(), csv::Error>;

fn csv_lines(write: impl FnOnce(&mut Writer) -> Written) -> Result<Vec<u8>> {
    let failed = |e: csv::Error| Error::backend("csv", e);
    let mut writer = csv::Writer::from_writer(Vec::new());
    write(&mut writer).map_err(failed)?;
    writer.into_inner().map_err(|e| failed(csv::Error::from(e.into_error())))
}
