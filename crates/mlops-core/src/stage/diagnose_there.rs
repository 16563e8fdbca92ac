//! Predictions and statistics of a file of which a distributed engine reads the rows, to the bit as on one machine.
//!
//! 1. If predictions are wanted row by row, a task counts the lines of a stretch, so that each stretch knows on which
//!    line it begins.
//! 2. A task reads a stretch, predicts its rows, and counts the different values of each column into a file; the
//!    predictions row by row go into another one.
//! 3. A task for each column merges the counts of all stretches into its summary.
//!
//! This process adds up numbers of rows, and joins the files of predictions. Not for files that cannot be read in
//! stretches: see [`super::diagnose`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::prediction_counts::{BatchResult, PredictionCounts};
use super::predictions::LinesThere;
use super::predictions_there::{RowByRow, StretchLines};
use super::record_predictions::OfRun;
use super::training_tasks::{no_header, not_json, open, read_json};
use crate::config::Config;
use crate::csv::clean::Labels;
use crate::csv::evidence::Signs;
use crate::csv::formats::{self, Opened, is_our_own};
use crate::csv::header::{Layout, Purpose};
use crate::csv::parse::{Parsed, RowParser};
use crate::csv::ranges::{Stretch, StretchReader};
use crate::csv::row_hash::RowHasher;
use crate::csv::values::Wanted;
use crate::dataset::discover::Stamp;
use crate::dataset::task::{ConfigText, absolute, answer, next, with_end};
use crate::model::{Model, Predictor, artifact};
use crate::platform::digest::Digest;
use crate::platform::engine::Engine;
use crate::platform::files;
use crate::profile::ColumnProfile;
use crate::profile::spread::{self, PartOfColumns, PartThere, Sent};
use crate::run::context::Context;
use crate::table::Table;
use crate::{Error, Result};

/// How the texts of these tasks begin.
pub(crate) const PREFIX: &str = "diagnostics:";

/// What is asked of whoever carries it out.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Digest(PathBuf),
    Lines(Box<Look>),
    Look(Box<Look>),
    /// The summary of a column, by the list of all parts.
    Column(PathBuf, usize),
}

/// Predicts the rows of a stretch, and counts the values of its columns.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Look {
    config: ConfigText,
    model: PathBuf,
    path: PathBuf,
    /// The rows have labels; otherwise they are only predicted.
    labelled: bool,
    stretch: Stretch,
    output: PathBuf,
    /// What is wanted of each row, if it is wanted.
    rows: Option<RowByRow>,
}

/// Where a stretch is, and how many lines it has.
#[derive(Debug, Serialize, Deserialize)]
struct Counted {
    began: u64,
    ended: u64,
    lines: u64,
}

/// What a stretch has, beside the counts in its file.
#[derive(Debug, Serialize, Deserialize)]
struct Looked {
    began: u64,
    ended: u64,
    lines: u64,
    counts: PredictionCounts,
    columns: PartOfColumns,
    signs: Signs,
    rows: Option<LinesThere>,
}

/// Carries out a task whose text began with [`PREFIX`].
pub(crate) fn carry_out(text: &str) -> Result<String> {
    match serde_json::from_str(text).map_err(not_json)? {
        Task::Digest(path) => answer(Digest::of_file(&path)),
        Task::Lines(task) => answer(task.count_lines()),
        Task::Look(task) => answer(task.carry_out()),
        Task::Column(parts, column) => {
            let parts: Vec<PartThere> = read_json(&parts)?;
            answer(spread::summary(&parts, column))
        }
    }
}

fn task_text(task: &Task) -> Result<String> {
    serde_json::to_string(task).map(|task| format!("{PREFIX}{task}")).map_err(not_json)
}

impl Look {
    fn model(&self) -> Result<Model> {
        let bytes = files::read(&self.model).map_err(|e| Error::io("read", &self.model, e))?;
        artifact::decode(&bytes, &self.model.display().to_string())
    }

    fn parser<'a>(&self, config: &'a Config, model: &'a Model) -> Result<RowParser<'a>> {
        let path = &self.path;
        let (schema, options) = (&model.schema, &config.ingestion);
        let header = open(path)?.header()?.ok_or_else(|| no_header(path))?;
        let purpose = if self.labelled { Purpose::Labelled } else { Purpose::Prediction };
        let place = path.display().to_string();
        let layout = Layout::of(&header, &options.columns, schema, purpose, &place)?;
        let parser = RowParser::new(schema, layout, options, Labels::of(schema), RowHasher(0));
        let parser = if is_our_own(path) { parser.of_our_own() } else { parser };
        Ok(parser.without_hashes())
    }

    fn count_lines(&self) -> Result<Counted> {
        let (config, model) = (self.config.parse()?, self.model()?);
        let shape = self.parser(&config, &model)?.shape();
        let mut reader = StretchReader::open(&self.path, self.stretch)?;
        let lines = reader.count_lines(shape)?;
        Ok(Counted { began: reader.began(), ended: reader.ended(), lines })
    }

    fn carry_out(&self) -> Result<Looked> {
        let (config, model) = (self.config.parse()?, self.model()?);
        let mut parser = self.parser(&config, &model)?;
        let wanted = Wanted { ids: self.rows.is_some(), hashes: false, numbers: None };
        let predictor = Predictor::new(&model);
        let mut result = BatchResult::new(&model, usize::MAX);
        let log = self.rows.as_ref().and_then(|rows| rows.log.as_ref());
        let log = log.map(|log| log.writer(&model));
        let create = |rows: &RowByRow| rows.begin(&model, &config.reasons, log.as_ref());
        let mut written = self.rows.as_ref().map(create).transpose()?;
        let mut reader = StretchReader::open(&self.path, self.stretch)?;
        let (mut chunk, mut parsed) = (Vec::new(), Parsed::default());
        let (mut table, mut lines, mut signs) = (Table::new(&model.schema), 0, Signs::default());
        let (mut rows, mut rejected) = (0, 0);
        while let Some(first) = reader.next(&mut chunk, parser.shape())? {
            parser.values(&chunk, first, wanted, &mut parsed, &mut table);
            signs.note(&parsed, |line| lines + line);
            rejected += parsed.rejected.len() as u64;
            rows += (table.len() + parsed.rejected.len()) as u64;
            lines += u64::from(parsed.lines);
            result.add(&predictor, &table);
            if let Some(written) = &mut written {
                let read = (&mut parsed, &mut table);
                written.add((&chunk, first), &mut parser, read, &mut result.probabilities)?;
            }
        }
        let BatchResult { mut counts, profile, .. } = result;
        (counts.rows, counts.rejected) = (rows, rejected);
        let columns = spread::write(profile, &self.output)?;
        let rows = written.map(StretchLines::finish).transpose()?;
        let (began, ended) = (reader.began(), reader.ended());
        Ok(Looked { began, ended, lines, counts, columns, signs, rows })
    }
}

/// What was found in a file.
pub(super) struct Found {
    pub(super) counts: PredictionCounts,
    pub(super) columns: Vec<ColumnProfile>,
    /// That of an empty file unless it was asked for.
    pub(super) digest: Digest,
}

/// Whether `engine` can read the file at `path`: comma-separated UTF-8 text with a header, labels being known.
pub(super) fn can_read(config: &Config, model: &Model, path: &Path) -> bool {
    let Ok((file, _)) = files::open(path) else { return false };
    let options = &config.ingestion;
    let columns = options.columns.theirs(&model.schema);
    model.schema.negative_label().is_some()
        && matches!(formats::recognise(path, file, options, &columns, 1), Ok(Opened::File(_)))
        && open(path).is_ok_and(|mut head| matches!(head.header(), Ok(Some(_))))
}

/// Predictions row by row.
pub(super) struct RowsThere<'a> {
    /// The number of contributions to name.
    pub(super) explain: usize,
    /// What all lines of the log of predictions have in common, if they are wanted.
    pub(super) log: Option<OfRun>,
    /// Takes the lines of each stretch, in order.
    pub(super) take: TakeLines<'a>,
}

type TakeLines<'a> = Box<dyn FnMut(&LinesThere) -> Result<()> + 'a>;

/// Has `engine` predict and count the rows of the file at `path`; the digest is computed, and rows passed on, if
/// asked for.
pub(super) fn look(
    context: &Context,
    engine: &Arc<dyn Engine>,
    model: &Model,
    (path, labelled): (&Path, bool),
    (with_digest, mut rows): (bool, Option<RowsThere<'_>>),
) -> Result<Found> {
    let disk = &context.disk;
    // A copy of the records has links to the data sets.
    let path = &absolute(path)?;
    let folder = disk.temporary_folder(&context.config.output_folder)?;
    let shared = absolute(folder.path())?;
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = shared.join(name);
        let mut file = disk.new_file(&path)?;
        file.write_all(bytes)?;
        file.publish_unsynced()?;
        Ok(path)
    };
    let model_file = write("model", &artifact::encode(model)?)?;
    let (_, metadata) = files::open(path).map_err(|e| Error::io("read", path, e))?;
    let mut head = open(path)?;
    let header = head.header()?.ok_or_else(|| no_header(path))?;
    let config = ConfigText::of(&context.config)?;
    let stretches = Stretch::all(head.offset(), metadata.len(), engine.range_bytes());
    let tasks = stretches.into_iter().enumerate().map(|(at, stretch)| Look {
        config: config.clone(),
        model: model_file.clone(),
        path: path.clone(),
        labelled,
        stretch,
        output: shared.join(format!("counts-{at}")),
        rows: None,
    });
    let mut tasks: Vec<Look> = tasks.collect();
    if let Some(rows) = &rows {
        number_lines(engine, &mut tasks, rows, (head.offset(), header.lines + 1))?;
    }
    let mut texts = Vec::new();
    for task in &tasks {
        texts.push(task_text(&Task::Look(Box::new(task.clone())))?);
    }
    if with_digest {
        texts.push(task_text(&Task::Digest(path.clone()))?);
    }
    let answers = engine.run(texts)?;
    let mut answers = answers.iter().map(String::as_str);
    let refused = |words| refused(path, words);
    let (mut expected, mut line) = (head.offset(), header.lines + 1);
    let (mut counts, mut signs, mut parts) =
        (PredictionCounts::default(), Signs::default(), Vec::<PartThere>::new());
    for (number, mut task) in tasks.into_iter().enumerate() {
        let mut looked: std::result::Result<Looked, String> = next(&mut answers)?;
        // Where a stretch begins within quotes, it is read again from where the one before ended.
        if number > 0 && !looked.as_ref().is_ok_and(|looked| looked.began == expected) {
            task.stretch = Stretch { from: expected, exact: true, ..task.stretch };
            // Whoever is late with the stretch as it was asked for first must not replace this one.
            task.output = with_end(&task.output, "-again");
            let answers = engine.run(vec![task_text(&Task::Look(Box::new(task.clone())))?])?;
            looked = next(&mut answers.iter().map(String::as_str))?;
        }
        let looked = looked.map_err(refused)?;
        signs.follow(&looked.signs, line);
        signs.check(path)?;
        counts.add(&looked.counts);
        counts.rows += looked.counts.rows;
        counts.rejected += looked.counts.rejected;
        if let (Some(rows), Some(there)) = (&mut rows, &looked.rows) {
            (rows.take)(there)?;
        }
        parts.push((task.output, looked.columns));
        (expected, line) = (looked.ended, line + looked.lines);
    }
    let digest = if with_digest { next(&mut answers)?.map_err(refused)? } else { Digest::of(b"") };
    let (_, now) = files::open(path).map_err(|e| Error::io("read", path, e))?;
    if Stamp::of(&now) != Stamp::of(&metadata) {
        return Err(Error::conflict(format!(
            "{} changed while it was read: run again",
            path.display()
        )));
    }
    let list = write("parts.json", &serde_json::to_vec(&parts).map_err(not_json)?)?;
    let columns = 0..spread::columns(&parts);
    let texts = columns.map(|column| task_text(&Task::Column(list.clone(), column)));
    let answers = engine.run(texts.collect::<Result<_>>()?)?;
    let mut answers = answers.iter().map(String::as_str);
    let mut sent: Vec<Sent> = Vec::new();
    while answers.len() > 0 {
        sent.push(next(&mut answers)?.map_err(Error::data)?);
    }
    let columns = spread::profiles(&parts, sent, &model.schema);
    Ok(Found { counts, columns, digest })
}

fn refused(path: &Path, words: String) -> Error {
    Error::schema(path.display().to_string(), words)
}

/// Has the lines of all stretches counted, the first of which begins at the offset and on the line `first`: each
/// task then knows where it begins, and what is wanted of its rows.
fn number_lines(
    engine: &Arc<dyn Engine>,
    tasks: &mut [Look],
    rows: &RowsThere<'_>,
    first: (u64, u64),
) -> Result<()> {
    let text = |task: &Look| task_text(&Task::Lines(Box::new(task.clone())));
    let answers = engine.run(tasks.iter().map(text).collect::<Result<_>>()?)?;
    let mut answers = answers.iter().map(String::as_str);
    let (mut expected, mut line) = first;
    for (number, task) in tasks.iter_mut().enumerate() {
        let mut counted: std::result::Result<Counted, String> = next(&mut answers)?;
        let joins = counted.as_ref().is_ok_and(|counted| counted.began == expected);
        task.stretch = Stretch { from: expected, exact: true, ..task.stretch };
        if number > 0 && !joins {
            let answers = engine.run(vec![text(task)?])?;
            counted = next(&mut answers.iter().map(String::as_str))?;
        }
        let counted = counted.map_err(|words| refused(&task.path, words))?;
        task.rows = Some(RowByRow {
            first_line: line,
            explain: rows.explain,
            log: rows.log.clone(),
            output: with_end(&task.output, "-rows"),
        });
        (expected, line) = (counted.ended, line + counted.lines);
    }
    Ok(())
}
