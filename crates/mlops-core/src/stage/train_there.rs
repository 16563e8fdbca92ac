//! Training on the rows that a distributed engine reads and sums, to the bit as on one machine.
//!
//! 1. A task reads a stretch of the data set, leaves test rows out, and writes the others packed.
//! 2. A task puts rows of stretches together into a part of whole blocks.
//! 3. Each pass of a fit is a question: tasks answer it for some units of blocks each, and the solver, which is that
//!    of one machine, merges units in order.
//!
//! Answers are kept in a folder of its own in the output folder until the model is there. A training that was cut
//! off does at most one pass again. Not for the fit: see [`super::train`]; not for packing: see
//! `model::shared_rows`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::config::choices::Solver;
use crate::config::{Config, Window};
use crate::csv::parse::Parsed;
use crate::csv::ranges::Stretch;
use crate::dataset::discover::Stamp;
use crate::dataset::task::{ConfigText, absolute, next, with_end};
use crate::evaluation::entity::Identity;
use crate::evaluation::later_dates::DatedRows;
use crate::ledger::DatasetRecord;
use crate::model::fit::{Holders, Part, Question};
use crate::model::shared_rows::{self, StretchRows};
use crate::model::{Encoder, TrainingRows, golden};
use crate::platform::digest::Digest;
use crate::platform::disk::Disk;
use crate::platform::engine::Engine;
use crate::platform::files;
use crate::run::context::Context;
use crate::table::Table;
use crate::table::schema::Schema;
use crate::{Error, ErrorKind, Result};

use super::excluded_rows::HeldOut;
use super::training_tasks::{
    Pass, ReadRows, RowsRead, Task, no_header, not_json, open, parser, read_json, text, wanted,
    without_line_limit,
};

/// How the names of folders of trainings under way begin.
const FOLDER: &str = ".training-";

fn write_json(disk: &Disk, path: &Path, value: &impl Serialize) -> Result<()> {
    disk.write_if_changed(path, &serde_json::to_vec(value).map_err(not_json)?)
}

/// An error for a data set that is not the recorded one.
pub(super) fn changed(dataset: &DatasetRecord) -> Error {
    Error::conflict(format!(
        "{} is not what the ledger recorded: it was changed or damaged. Restore it, or run \
         `ingestion --rebuild`",
        dataset.location.display()
    ))
}

/// What a cluster does not do yet of what `config` asks for, in words.
fn not_there_yet(config: &Config, schema: &Schema, dataset: &DatasetRecord) -> Vec<String> {
    let training = &config.training;
    let mut found = Vec::new();
    if training.search_c {
        found.push("a penalty from a cross-validation: give a number (\"training.C\")");
    }
    if training.threshold_rule.is_chosen() {
        found.push("a threshold from a cross-validation: give a number (\"training.threshold\")");
    }
    if training.solver == Solver::Lbfgs {
        found.push("the solver \"lbfgs\": leave it to us (\"training.solver\")");
    }
    if training.window.is_some_and(|window| window != Window::All) {
        found.push("a part of the rows, or weights by age: take all (\"training.window\")");
    }
    if !config.shapes.bins.is_empty() {
        found.push("bins: leave the columns as they are, or take splines (\"training.bins\")");
    }
    if Identity::of(&config.holdout, schema) == Identity::LookAlikes {
        found.push("rows without an identity: name the columns that have it (\"schema.id\")");
    }
    if DatedRows::of(&config.holdout, schema).is_some() {
        found.push("dates that are compared with the time of their rows (\"holdout.time\")");
    }
    if dataset.content != dataset.sha256 {
        found.push("a data set that is kept as Parquet only (\"output.csv\": false)");
    }
    found.into_iter().map(str::to_owned).collect()
}

/// Refuses to train on a cluster what it cannot train yet, before anything is read.
pub(super) fn check(context: &Context, schema: &Schema, dataset: &DatasetRecord) -> Result<()> {
    if context.engine.is_none() {
        return Ok(());
    }
    refuse(&context.config, not_there_yet(&context.config, schema, dataset))
}

fn refuse(config: &Config, missing: Vec<String>) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let what = missing.into_iter().map(|what| format!("a cluster does not do this yet: {what}"));
    let mut problems: Vec<String> = what.collect();
    problems.push("or run `training` to do it on one machine; nothing was changed".to_owned());
    Err(Error::config(config.file.display().to_string(), problems))
}

/// A training on an engine.
#[derive(Clone)]
pub(super) struct There {
    engine: Arc<dyn Engine>,
    disk: Disk,
    folder: PathBuf,
    parts: Vec<Part>,
}

impl std::fmt::Debug for There {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("There").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Rows that an engine read.
pub(super) struct RowsThere {
    pub(super) rows: TrainingRows,
    pub(super) golden_rows: Table,
    pub(super) held_out: u64,
    pub(super) there: There,
}

/// Has `engine` read and pack the training rows of `dataset`, unless an earlier training that was cut off has them.
pub(super) fn read(
    context: &Context,
    engine: &Arc<dyn Engine>,
    dataset: &DatasetRecord,
    schema: &Schema,
    (held, in_order): (&HeldOut, bool),
) -> Result<RowsThere> {
    let config = &context.config;
    if in_order {
        refuse(config, vec!["test rows that are told by their place or number".to_owned()])?;
    }
    let held_text = serde_json::to_vec(held.told()).map_err(not_json)?;
    // All that decides what is written below; where the cluster is does not.
    let Config { ingestion, training, shapes, .. } = config;
    let key = (
        &context.tool_version,
        format!("{schema:?} {ingestion:?} {training:?} {shapes:?}"),
        dataset.sha256,
        Digest::of(&held_text),
    );
    let key = Digest::of(&serde_json::to_vec(&key).map_err(not_json)?);
    let folder = absolute(&config.output_folder)?.join(format!("{FOLDER}{}", key.short()));
    let mut there =
        There { engine: Arc::clone(engine), disk: context.disk.clone(), folder, parts: Vec::new() };
    let whole = there.is_whole();
    remove_folders(context, whole.then_some(there.folder.as_path()))?;
    there.disk.create_folder(&there.folder)?;
    there.disk.write_if_changed(&there.path("held_out.json"), &held_text)?;
    let stretches = there.stretches(config, schema, dataset)?;
    let sum = |of: fn(&RowsRead) -> u64| stretches.iter().map(of).sum::<u64>();
    let (rejected, held_out) = (sum(|read| read.rejected), sum(|read| read.held_out));
    if rejected > 0 {
        return Err(changed(dataset));
    }
    let stretches: Vec<StretchRows> = stretches.into_iter().map(|read| read.rows).collect();
    let rows = TrainingRows::new(schema, &config.training).shaped(&config.shapes).within(
        config.limits.memory / 2,
        &context.disk,
        &config.output_folder,
    );
    let rows = there.pack(config, rows, &stretches)?;
    write_json(&there.disk, &there.path("rows.json"), &rows.shared(&there.parts, None))?;
    let golden_rows = golden_rows(config, schema, dataset, held)?;
    Ok(RowsThere { rows, golden_rows, held_out, there })
}

impl There {
    /// Whether all files are there of which an earlier training says that they are.
    fn is_whole(&self) -> bool {
        let there = |part: &Part| part.path.is_file();
        let (parts, stretches) = (self.path("parts.json"), self.path("stretches.json"));
        if parts.is_file() {
            return read_json::<Vec<Part>>(&parts).is_ok_and(|parts| parts.iter().all(there));
        }
        let all = |read: Vec<RowsRead>| read.iter().all(|read| there(&read.rows.part));
        !stretches.is_file() || read_json(&stretches).is_ok_and(all)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What the stretches of the data set have, in order.
    fn stretches(
        &self,
        config: &Config,
        schema: &Schema,
        dataset: &DatasetRecord,
    ) -> Result<Vec<RowsRead>> {
        let known = self.path("stretches.json");
        if known.is_file() {
            return read_json(&known);
        }
        let path = absolute(&dataset.location)?;
        let mut head = open(&path)?;
        head.header()?.ok_or_else(|| no_header(&path))?;
        let stamp = || {
            let found = fs::metadata(&path).map_err(|e| Error::io("read", &path, e))?;
            Ok::<_, Error>(Stamp::of(&found))
        };
        let before = stamp()?;
        let stretches = Stretch::all(head.offset(), before.size, self.engine.range_bytes());
        let mut tasks: Vec<ReadRows> = Vec::new();
        for stretch in stretches {
            tasks.push(ReadRows {
                config: ConfigText::of(config)?,
                negative_label: schema.negative_label().map(str::to_owned),
                dataset: path.clone(),
                held_out: self.path("held_out.json"),
                stretch,
                output: self.path(&format!("stretch-{}", tasks.len())),
            });
        }
        let mut texts = vec![text(&Task::Digest(path.clone()))?];
        for task in &tasks {
            texts.push(text(&Task::Read(Box::new(task.clone())))?);
        }
        let answers = self.engine.run(texts)?;
        let mut answers = answers.iter().map(String::as_str);
        let digest: Digest = done(&mut answers)?;
        if digest != dataset.sha256 {
            return Err(changed(dataset));
        }
        let mut joined: Vec<RowsRead> = Vec::new();
        for mut task in tasks {
            let read: std::result::Result<RowsRead, String> = next(&mut answers)?;
            let expected = joined.last().map_or(task.stretch.from, |last| last.ended);
            // Where a stretch begins within quotes, it is read again from where the one before ended.
            let joins = read.as_ref().is_ok_and(|read| read.began == expected);
            if joins || joined.is_empty() {
                joined.push(read.map_err(Error::data)?);
                continue;
            }
            task.stretch = Stretch { from: expected, exact: true, ..task.stretch };
            // Whoever is late with the stretch as it was asked for first must not replace this one.
            task.output = with_end(&task.output, "-again");
            let answers = self.engine.run(vec![text(&Task::Read(Box::new(task)))?])?;
            joined.push(done(&mut answers.iter().map(String::as_str))?);
        }
        if stamp()? != before {
            return Err(changed(dataset));
        }
        write_json(&self.disk, &known, &joined)?;
        Ok(joined)
    }

    /// Has the rows of all stretches put into parts.
    fn pack(
        &mut self,
        config: &Config,
        mut rows: TrainingRows,
        stretches: &[StretchRows],
    ) -> Result<TrainingRows> {
        let known = self.path("parts.json");
        let orders =
            shared_rows::parts(&mut rows, stretches, self.engine.partitions(), &self.folder);
        if known.is_file() {
            self.parts = read_json(&known)?;
        } else {
            let config = ConfigText::of(config)?;
            let order = |order| text(&Task::Part(Box::new(order), config.clone()));
            let orders = orders.into_iter().map(order).collect::<Result<Vec<_>>>()?;
            if !orders.is_empty() {
                let answers = self.engine.run(orders)?;
                let mut answers = answers.iter().map(String::as_str);
                while answers.len() > 0 {
                    self.parts.push(done(&mut answers)?);
                }
            }
            write_json(&self.disk, &known, &self.parts)?;
        }
        for stretch in stretches {
            self.disk.remove(&stretch.part.path)?;
        }
        rows.in_parts(stretches, &self.parts, Arc::new(self.clone()))
    }

    /// Tells the others how the rows are encoded.
    pub(super) fn encode(&self, rows: &TrainingRows, encoder: &Encoder) -> Result<()> {
        let shared = rows.shared(&self.parts, Some(encoder));
        write_json(&self.disk, &self.path("encoded.json"), &shared)
    }

    /// Where what was made of the answers to `question` is kept.
    fn kept(&self, question: &Question) -> Result<PathBuf> {
        let digest = Digest::of(&serde_json::to_vec(question).map_err(not_json)?);
        Ok(self.path(&format!("pass-{digest}")))
    }
}

/// The next answer, where it must be good.
fn done<'a, T: Deserialize<'a>>(answers: &mut impl Iterator<Item = &'a str>) -> Result<T> {
    next(answers)?.map_err(Error::data)
}

impl Holders for There {
    fn pieces(&self) -> usize {
        self.engine.partitions().max(1)
    }

    fn ask(
        &self,
        question: &Question,
        units: usize,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let encoded = self.path("encoded.json");
        let rows = if encoded.is_file() { encoded } else { self.path("rows.json") };
        let tasks = self.pieces().min(units);
        let ranges = (0..tasks).map(|task| units * task / tasks..units * (task + 1) / tasks);
        let pass = |units| {
            let (rows, question) = (rows.clone(), question.clone());
            text(&Task::Pass(Box::new(Pass { rows, question, units })))
        };
        let texts = ranges.clone().map(pass).collect::<Result<Vec<_>>>()?;
        if texts.is_empty() {
            return Ok(());
        }
        let wrong = || Error::backend("ballista", "an executor answered for other rows");
        let answers = self.engine.run(texts)?;
        let mut answers = answers.iter().map(String::as_str);
        for range in ranges {
            let answer: String = done(&mut answers)?;
            let bytes = STANDARD.decode(answer).map_err(|_| wrong())?;
            let mut rest = bytes.as_slice();
            for _ in range {
                let (length, after) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
                let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
                let (sums, after) = after.split_at_checked(length).ok_or_else(wrong)?;
                take(sums)?;
                rest = after;
            }
            if !rest.is_empty() {
                return Err(wrong());
            }
        }
        Ok(())
    }

    fn recall(&self, question: &Question) -> Result<Option<Vec<u8>>> {
        let path = self.kept(question)?;
        match files::read(&path) {
            Ok(total) => Ok(Some(total)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    fn keep(&self, question: &Question, total: &[u8]) -> Result<()> {
        self.disk.write(&self.kept(question)?, total)
    }
}

/// The first rows that are not left out, of the first chunk that has any, as on one machine.
fn golden_rows(
    config: &Config,
    schema: &Schema,
    dataset: &DatasetRecord,
    held: &HeldOut,
) -> Result<Table> {
    let path = dataset.location.as_path();
    let config = without_line_limit(config.clone());
    let mut reader = open(path)?;
    let header = reader.header()?.ok_or_else(|| no_header(path))?;
    let mut parser = parser(&config, schema, &header, path)?;
    let (mut chunk, mut parsed, mut table) = (Vec::new(), Parsed::default(), Table::new(schema));
    while let Some(at) = reader.next_chunk(&mut chunk, parser.shape())? {
        let first = at.offset.unwrap_or(0);
        parser.values(&chunk, first, wanted(held), &mut parsed, &mut table);
        held.leave_out(&mut table);
        if !table.is_empty() {
            return Ok(table.first_rows(golden::ROWS));
        }
    }
    Ok(Table::new(schema))
}

/// Removes what a training on an engine kept, if the model is there or the data do not allow one.
pub(super) fn settle<T>(context: &Context, outcome: Result<T>) -> Result<T> {
    let over = match &outcome {
        Ok(_) => true,
        Err(e) => matches!(e.kind(), ErrorKind::Data(_) | ErrorKind::NotConverged(_)),
    };
    if context.engine.is_some() && over {
        remove_folders(context, None)?;
    }
    outcome
}

/// Removes the folders of trainings under way but `kept`.
fn remove_folders(context: &Context, kept: Option<&Path>) -> Result<()> {
    let folder = absolute(&context.config.output_folder)?;
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("list", &folder, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("list", &folder, e))?;
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(FOLDER));
        if ours && kept.is_none_or(|kept| kept != entry.path()) {
            context.disk.remove(&entry.path())?;
        }
    }
    Ok(())
}
