//! The lines of `diagnostics --output` about one stretch of a file, as a task of a distributed engine writes them.
//!
//! Not for what is in a line, nor for the whole file: see [`super::predictions`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::predictions::{Answerer, Answers, LinesThere};
use super::record_predictions::{LogLines, OfRun};
use crate::Result;
use crate::config::Reasons;
use crate::csv::parse::{Parsed, RowParser};
use crate::csv::reader::faults;
use crate::dataset::task::with_end;
use crate::model::Model;
use crate::platform::disk::{Disk, NewFile};
use crate::prediction_log::LineWriter;
use crate::table::Table;

/// What is wanted of each row of a stretch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RowByRow {
    /// The line of the file on which the stretch begins.
    pub(super) first_line: u64,
    /// The number of contributions to name.
    pub(super) explain: usize,
    /// What all lines of the log of predictions have in common, if they are wanted.
    pub(super) log: Option<OfRun>,
    /// The file for the lines; that for the log has the same name with an ending.
    pub(super) output: PathBuf,
}

/// The lines of a stretch, while they are written.
pub(super) struct StretchLines<'a> {
    answerer: Answerer<'a>,
    answers: Answers,
    lines: Lines,
    log: Option<(LogLines<'a>, Lines)>,
    /// The line on which the next piece begins.
    line: u64,
}

impl RowByRow {
    /// Begins the files; lines of the log are made by `writer`, if they are wanted.
    pub(super) fn begin<'a>(
        &self,
        model: &'a Model,
        reasons: &'a Reasons,
        writer: Option<&'a LineWriter>,
    ) -> Result<StretchLines<'a>> {
        let log = match (&self.log, writer) {
            (Some(log), Some(writer)) => {
                Some((log.lines(writer), Lines::create(with_end(&self.output, ".log"))?))
            }
            _ => None,
        };
        Ok(StretchLines {
            answerer: Answerer::new(model, self.explain, reasons),
            answers: Answers::default(),
            lines: Lines::create(self.output.clone())?,
            log,
            line: self.first_line,
        })
    }
}

impl StretchLines<'_> {
    /// Adds the rows of `chunk`, whose first byte is at `offset`: `parsed` and `table` are what was read of it, and
    /// `probabilities` the predictions. Their memory may be exchanged for that of earlier ones.
    pub(super) fn add(
        &mut self,
        (chunk, offset): (&[u8], u64),
        parser: &mut RowParser<'_>,
        (parsed, table): (&mut Parsed, &mut Table),
        probabilities: &mut Vec<f64>,
    ) -> Result<()> {
        let Self { answerer, answers, lines, log, line } = self;
        answerer.explain(table, answers);
        if log.is_some() {
            answers.take_features(table);
        }
        answers.take_ids(table);
        std::mem::swap(&mut answers.probabilities, probabilities);
        let rows = answers.probabilities.len() as u64;
        let (mut numbers, mut refused): (Vec<u64>, _) = ((*line..*line + rows).collect(), vec![]);
        // Reading values does not note the lines of rows, which are only needed where some line is no good row.
        if !parsed.rejected.is_empty() || rows != u64::from(parsed.lines) {
            parser.parse(chunk, offset, parsed);
            numbers = parsed.rows.iter().map(|row| *line + u64::from(row.line)).collect();
            refused = faults(parsed, 0, |at| *line + at);
        }
        *line += u64::from(parsed.lines);
        if let Some((log, file)) = log {
            answerer.record_rows(answers, numbers.iter().copied(), log);
            file.append(&log.bytes)?;
            log.bytes.clear();
        }
        lines.append(&answerer.lines(answers, numbers.into_iter(), &refused)?)
    }

    /// Gives the files their names.
    pub(super) fn finish(self) -> Result<LinesThere> {
        let log = self.log.map(|(_, lines)| lines.finish()).transpose()?;
        Ok(LinesThere { lines: self.lines.finish()?, log })
    }
}

/// A file of lines. If its task is carried out twice, both write the same.
struct Lines {
    path: PathBuf,
    file: NewFile,
    bytes: u64,
}

impl Lines {
    fn create(path: PathBuf) -> Result<Self> {
        Ok(Self { file: Disk::for_task().new_file(&path)?, path, bytes: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn finish(self) -> Result<(PathBuf, u64)> {
        self.file.publish_unsynced()?;
        Ok((self.path, self.bytes))
    }
}
