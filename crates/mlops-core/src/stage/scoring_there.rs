//! Predictions for test rows that a distributed engine reads, in the order of their files.
//!
//! A task reads a stretch of a file as any program here does, predicts its rows, and writes the answers to a file,
//! which this process appends in order. Not for which files are tested, nor for figures: see [`super::tested`].

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{Config, Ingestion};
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
use crate::model::fit::Numbers;
use crate::model::{Model, artifact};
use crate::platform::digest::Digest;
use crate::platform::disk::Disk;
use crate::platform::engine::Engine;
use crate::platform::files;
use crate::platform::temporary::TemporaryFolder;
use crate::run::context::Context;
use crate::table::{Table, TextColumn};
use crate::{Error, Result};

use super::test_answers::{Answers, Look};
use super::training_tasks::{no_header, not_json, open, without_line_limit};

/// How the texts of these tasks begin.
pub(crate) const PREFIX: &str = "scoring:";

/// What is asked of whoever carries it out.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Digest(PathBuf),
    Predict(Box<Predict>),
}

/// Predicts the rows of a stretch of a test file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Predict {
    config: ConfigText,
    model: PathBuf,
    /// Entities are looked at.
    grouped: bool,
    path: PathBuf,
    stretch: Stretch,
    output: PathBuf,
}

/// What a stretch has; its answers are in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Predicted {
    began: u64,
    ended: u64,
    lines: u64,
    rows: usize,
    rejected: u64,
    left_out: u64,
    unanswered: u64,
    /// What its records say about the whole file, with lines of the stretch, counted from 0.
    signs: Signs,
}

/// Carries out a task whose text began with [`PREFIX`].
pub(crate) fn carry_out(text: &str) -> Result<String> {
    match serde_json::from_str(text).map_err(not_json)? {
        Task::Digest(path) => answer(Digest::of_file(&path)),
        Task::Predict(task) => answer(task.carry_out()),
    }
}

fn task_text(task: &Task) -> Result<String> {
    serde_json::to_string(task).map(|task| format!("{PREFIX}{task}")).map_err(not_json)
}

impl Predict {
    fn carry_out(&self) -> Result<Predicted> {
        let path = &self.path;
        let config = without_line_limit(self.config.parse()?);
        let place = self.model.display().to_string();
        let bytes = files::read(&self.model).map_err(|e| Error::io("read", &self.model, e))?;
        let model = artifact::decode(&bytes, &place)?;
        let models = [&model];
        let look = Look::there(&config, &models, &model, self.grouped);
        let header = open(path)?.header()?.ok_or_else(|| no_header(path))?;
        let options = options_at(&config, path);
        let (schema, place) = (&model.schema, path.display().to_string());
        let layout = Layout::of(&header, &options.columns, schema, Purpose::Labelled, &place)?;
        let parser = RowParser::new(schema, layout, options, Labels::of(schema), RowHasher(0));
        let parser = if is_our_own(path) { parser.of_our_own() } else { parser };
        let mut parser = parser.without_hashes();
        let wanted = Wanted { ids: look.needs_ids(), hashes: false, numbers: None };
        let mut reader = StretchReader::open(path, self.stretch)?;
        let (mut chunk, mut parsed) = (Vec::new(), Parsed::default());
        let (mut table, mut answers) = (Table::new(schema), Answers::default());
        let mut all = Written::default();
        let [mut lines, mut rejected, mut left_out, mut unanswered] = [0; 4];
        let mut signs = Signs::default();
        while let Some(first) = reader.next(&mut chunk, parser.shape())? {
            parser.values(&chunk, first, wanted, &mut parsed, &mut table);
            signs.note(&parsed, |line| lines + line);
            rejected += parsed.rejected.len() as u64;
            lines += u64::from(parsed.lines);
            answers.fill(&look, &mut table, |_, _| {});
            left_out += answers.left_out;
            unanswered += answers.unanswered;
            all.append(&answers);
        }
        let bytes = serde_json::to_vec(&all).map_err(not_json)?;
        let mut file = Disk::for_task().new_file(&self.output)?;
        file.write_all(&bytes)?;
        file.publish_unsynced()?;
        let (began, ended, rows) = (reader.began(), reader.ended(), all.labels.len());
        Ok(Predicted { began, ended, lines, rows, rejected, left_out, unanswered, signs })
    }
}

/// How the file at `path` is read.
fn options_at<'a>(config: &'a Config, path: &Path) -> &'a Ingestion {
    config.source_at(path).map_or(&config.ingestion, |(source, _)| &source.reading)
}

/// The answers of a stretch, as they are written to a file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Written {
    labels: Vec<bool>,
    probabilities: Numbers,
    /// 16 bytes each, as two numbers.
    entities: Vec<(u64, u64)>,
    slices: Vec<Vec<String>>,
}

impl Written {
    fn append(&mut self, answers: &Answers) {
        self.labels.extend_from_slice(&answers.labels);
        for list in &answers.probabilities {
            self.probabilities.0.extend_from_slice(list);
        }
        #[expect(clippy::cast_possible_truncation, reason = "bits are bits")]
        let halves = |hash: &u128| ((hash >> 64) as u64, *hash as u64);
        self.entities.extend(answers.entities.iter().map(halves));
        self.slices.resize_with(answers.slices.len().max(self.slices.len()), Vec::new);
        for (all, values) in self.slices.iter_mut().zip(&answers.slices) {
            all.extend(values.iter().map(str::to_owned));
        }
    }

    fn read(self, counts: &Predicted) -> Answers {
        let column = |values: Vec<String>| {
            let mut column = TextColumn::default();
            for value in &values {
                column.push(value);
            }
            column
        };
        Answers {
            labels: self.labels,
            probabilities: vec![self.probabilities.0],
            entities: self
                .entities
                .iter()
                .map(|(a, b)| u128::from(*a) << 64 | u128::from(*b))
                .collect(),
            left_out: counts.left_out,
            unanswered: counts.unanswered,
            slices: self.slices.into_iter().map(column).collect(),
        }
    }
}

/// Test files that an engine reads.
pub(super) struct There<'a> {
    context: &'a Context,
    engine: &'a Arc<dyn Engine>,
    config: ConfigText,
    folder: TemporaryFolder,
    /// How many stretches have been named: a name comes once, since a task may be carried out late.
    stretches: Cell<usize>,
    grouped: bool,
}

/// What is known of a file after reading it.
pub(super) struct ReadThere {
    pub(super) digest: Digest,
    pub(super) rejected: u64,
}

impl<'a> There<'a> {
    /// The engine of `context`, if it has one, for predictions of `model`.
    pub(super) fn of(context: &'a Context, model: &Model, look: &Look<'_>) -> Result<Option<Self>> {
        let Some(engine) = &context.engine else { return Ok(None) };
        let folder = context.disk.temporary_folder(&context.config.output_folder)?;
        let mut file = context.disk.new_file(&folder.path().join("model"))?;
        file.write_all(&artifact::encode(model)?)?;
        file.publish_unsynced()?;
        let config = ConfigText::of(&context.config)?;
        let (stretches, grouped) = (Cell::default(), look.is_grouped());
        Ok(Some(Self { context, engine, config, folder, stretches, grouped }))
    }

    /// Whether the file at `path` can be read in stretches: comma-separated UTF-8 text with a header. Any other is
    /// read by this process.
    pub(super) fn can_read(&self, path: &Path, model: &Model) -> bool {
        let Ok((file, _)) = files::open(path) else { return false };
        let options = options_at(&self.context.config, path);
        let columns = options.columns.theirs(&model.schema);
        matches!(formats::recognise(path, file, options, &columns, 1), Ok(Opened::File(_)))
            && open(path).is_ok_and(|mut head| matches!(head.header(), Ok(Some(_))))
    }

    /// Passes the answers for the rows of the file at `path` to `take`, in order. The file is one that
    /// [`Self::can_read`].
    pub(super) fn read(&self, path: &Path, mut take: impl FnMut(&Answers)) -> Result<ReadThere> {
        let path = &absolute(path)?;
        let (_, metadata) = files::open(path).map_err(|e| Error::io("read", path, e))?;
        let mut head = open(path)?;
        let header = head.header()?.ok_or_else(|| no_header(path))?;
        let tasks = self.tasks(path, head.offset(), metadata.len())?;
        let mut texts = vec![task_text(&Task::Digest(path.clone()))?];
        for task in &tasks {
            texts.push(task_text(&Task::Predict(Box::new(task.clone())))?);
        }
        let answers = self.engine.run(texts)?;
        let mut answers = answers.iter().map(String::as_str);
        let refused = |words| Error::schema(path.display().to_string(), words);
        let digest: Digest = next(&mut answers)?.map_err(refused)?;
        let (mut expected, mut line, mut rejected) = (head.offset(), header.lines + 1, 0);
        let mut signs = Signs::default();
        for (number, mut task) in tasks.into_iter().enumerate() {
            let mut read: std::result::Result<Predicted, String> = next(&mut answers)?;
            // Where a stretch begins within quotes, it is read again from where the one before ended.
            if number > 0 && !read.as_ref().is_ok_and(|read| read.began == expected) {
                task.stretch = Stretch { from: expected, exact: true, ..task.stretch };
                // Whoever is late with the stretch as it was asked for first must not replace this one.
                task.output = with_end(&task.output, "-again");
                let text = task_text(&Task::Predict(Box::new(task.clone())))?;
                let answers = self.engine.run(vec![text])?;
                read = next(&mut answers.iter().map(String::as_str))?;
            }
            let read = read.map_err(refused)?;
            signs.follow(&read.signs, line);
            signs.check(path)?;
            let bytes =
                files::read(&task.output).map_err(|e| Error::io("read", &task.output, e))?;
            let written: Written = serde_json::from_slice(&bytes).map_err(not_json)?;
            let all = [written.labels.len(), written.probabilities.0.len()];
            if all != [read.rows; 2] {
                return Err(Error::remote(format!(
                    "{} does not have the answers that the cluster counted: the folder that all machines share is \
                     unreliable. Nothing was changed",
                    task.output.display()
                )));
            }
            take(&written.read(&read));
            self.context.disk.remove(&task.output)?;
            (expected, line, rejected) = (read.ended, line + read.lines, rejected + read.rejected);
        }
        let (_, now) = files::open(path).map_err(|e| Error::io("read", path, e))?;
        if Stamp::of(&now) != Stamp::of(&metadata) {
            return Err(Error::conflict(format!(
                "{} changed while it was read: run this again",
                path.display()
            )));
        }
        Ok(ReadThere { digest, rejected })
    }

    fn tasks(&self, path: &Path, first: u64, size: u64) -> Result<Vec<Predict>> {
        let folder = absolute(self.folder.path())?;
        let stretches = Stretch::all(first, size, self.engine.range_bytes());
        let before = self.stretches.get();
        self.stretches.set(before + stretches.len());
        let task = |(at, stretch)| Predict {
            config: self.config.clone(),
            model: folder.join("model"),
            grouped: self.grouped,
            path: path.to_owned(),
            stretch,
            output: folder.join(format!("answers-{at}")),
        };
        Ok((before..).zip(stretches).map(task).collect())
    }
}
