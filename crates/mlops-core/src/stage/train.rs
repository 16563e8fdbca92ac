//! `training`: fits a model to the newest data set without any test rows.
//!
//! Not for judging the model: see [`super::score`].

use std::fmt;

use serde::Serialize;

use crate::config::Config;
use crate::config::choices::MissingPolicy;
use crate::csv::reader::RowReader;
use crate::evaluation::folds::{FoldKeys, FoldRows, NOT_NEWEST};
use crate::evaluation::later_dates::{DatedRows, LaterDates};
use crate::evaluation::leak::Leak;
use crate::evaluation::window::WindowChoice;
use crate::ids::DatasetVersion;
use crate::ledger::{DatasetRecord, ModelRecord, projections};
use crate::model::card::Card;
use crate::model::fit::{Blocks, CrossCheck, LogisticRegression, Scaler, Weighted, threads_within};
use crate::model::standard_errors::standard_errors;
use crate::model::{
    Golden, Model, TrainingBatch, TrainingData, TrainingRows, artifact, check_width, golden,
};
use crate::platform::digest::Digest;
use crate::release::{ARTIFACT, CARD, GOLDEN, pretty};
use crate::run::context::{Context, Report, Workspace};
use crate::run::lineage::{Dataset, Lineage};
use crate::run::test_files::TestFiles;
use crate::table::Table;
use crate::table::schema::Schema;
use crate::text;
use crate::{Error, ErrorKind, Result};

use super::excluded_rows::{self, HeldOut, LeftOutRows};
use super::new_rows::RowRanges;
use super::train_there::{self, RowsThere, There, changed};
use super::training_notes;
use super::tuning::Tuning;
use super::window::{self, Asked, Part, Plan, Tests, Trial};

/// The report of `training`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Trained {
    /// The path of the model file.
    pub artifact: String,
    /// SHA-256 of the model file.
    pub sha256: Digest,
    /// The data set it was trained on.
    pub version: DatasetVersion,
    /// The name of its file.
    #[serde(skip)]
    pub dataset: String,
    /// Numbers of training rows, of positives, of rows dropped for missing values, and held out.
    pub data: TrainingData,
    /// The readable card.
    pub card: Card,
    /// The windows of the training rows that were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_choice: Option<WindowChoice>,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// The model itself.
    #[serde(skip)]
    pub made: Made,
}

/// A model as read back from its file, and the files.
#[derive(Debug, Clone)]
pub struct Made {
    /// The model, read back from the bytes of its file.
    pub model: Model,
    /// The files in the output folder.
    pub(super) files: [(&'static str, Vec<u8>); 3],
}

impl Report for Trained {
    fn lineage(&self, config: &Config) -> Lineage {
        let data = config.output_folder.join(&self.dataset).display().to_string();
        let input = Dataset { path: data, table: true, ..Dataset::default() };
        let model = Dataset {
            path: self.artifact.clone(),
            sha256: Some(self.sha256),
            ..Dataset::default()
        };
        Lineage { inputs: vec![input], outputs: vec![model] }
    }
}

/// Trains on the newest data set and writes the model, its card and its golden predictions.
pub fn run(context: &Context, workspace: &mut Workspace) -> Result<Trained> {
    of(context, workspace, &Asked::by_hand(&context.config))
}

/// Like [`run`], on the rows that are `asked` for.
pub(super) fn of(context: &Context, workspace: &mut Workspace, asked: &Asked) -> Result<Trained> {
    train_there::settle(context, trained(context, workspace, asked))
}

fn trained(context: &Context, workspace: &mut Workspace, asked: &Asked) -> Result<Trained> {
    let config = &context.config;
    let dataset = newest(workspace)?;
    let schema = crate::stage::ingest::identity::schema(context, workspace)?;
    if schema.digest() != config.schema.digest() || !same_columns(&dataset, &schema) {
        return Err(Error::schema(
            dataset.location.display().to_string(),
            "the data set was ingested with another \"schema\" than the configuration has now: \
             change it back, or run `ingestion --rebuild`",
        ));
    }
    super::ingest::check_meaning(context, workspace)?;
    train_there::check(context, &schema, &dataset)?;
    let holdouts = workspace.ledger.holdouts()?;
    let tests = TestFiles::find(context, &holdouts)?;
    let held = excluded_rows::held_out(context, workspace, &schema, &dataset, &tests)?;
    let mut notes = held.0.notes.clone();
    notes.extend(TestFiles::passed_over(&TestFiles::links_to_nothing(config)?));
    let plan = window::plan(context, workspace, &schema, &dataset, asked)?;
    let (learnt, choice) = best(context, &dataset, &schema, held, plan, &mut notes)?;
    let Learnt {
        model, golden_rows, constants, unlikely_dates, check, standard_errors, leaks, ..
    } = learnt;

    let bytes = artifact::encode(&model)?;
    let sha256 = Digest::of(&bytes);
    let place = config.output_model.join(ARTIFACT).display().to_string();
    notes.extend(leaks.iter().map(ToString::to_string));
    notes.extend(training_notes::of_model(&model, &constants, &leaks));
    notes.extend(training_notes::of_shapes(&model.encoder, &config.shapes));
    notes.extend(training_notes::of_dates(&model.encoder, &unlikely_dates));
    let window_choice = choice.clone();
    let card = Card::of(&model, sha256);
    let card = Card { cross_check: check, standard_errors, leaks, window_choice, ..card };
    let golden = Golden::of(&model, sha256, &golden_rows);
    let folder = &config.output_model;
    let made = Made {
        model: artifact::decode(&bytes, &place)?,
        files: [(GOLDEN, pretty(&golden)?), (CARD, pretty(&card)?), (ARTIFACT, bytes)],
    };
    let files: Vec<(&str, &[u8])> =
        made.files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    context.disk.write_changed(folder, &files)?;
    workspace.ledger.record_model(
        &context.run,
        &ModelRecord {
            artifact: sha256,
            dataset: dataset.version,
            rows: model.data.rows,
            recorded: context.now(),
        },
    )?;
    projections::write(&workspace.ledger, &context.disk, &config.output_folder)?;
    Ok(Trained {
        artifact: place,
        sha256,
        version: dataset.version,
        dataset: dataset.name(),
        data: model.data,
        card,
        window_choice: choice,
        notes,
        made,
    })
}

/// The newest data set, or an error that says what to do if there is none.
fn newest(workspace: &Workspace) -> Result<DatasetRecord> {
    if let Some(newest) = workspace.ledger.latest_dataset()? {
        return Ok(newest);
    }
    let seen = workspace.ledger.files()?;
    Err(Error::missing(match seen.len() {
        0 => "there is no ingested data yet: run `ingestion` first".to_owned(),
        _ => format!(
            "there is no ingested data yet: none of the files so far had rows to take ({}). Put one \
             with rows into the input folder and run `ingestion`, which says what is wrong with these",
            text::names(seen.iter().map(|file| &file.name))
        ),
    }))
}

fn same_columns(dataset: &DatasetRecord, schema: &Schema) -> bool {
    dataset.columns.iter().eq(schema.columns().iter().map(|c| &c.name))
}

/// What assigns rows to folds, if anything is chosen by cross-validation.
fn fold_keys(config: &Config, schema: &Schema, part: &Part) -> Result<Option<FoldKeys>> {
    if !config.training.cross_validates() && part.newest.is_none() {
        return Ok(None);
    }
    FoldKeys::of(&config.holdout, schema, config.training.seed).map(Some).ok_or_else(|| {
        let problem = "\"holdout.group\" or \"holdout.time\" names a column that the schema lacks: \
                       rows cannot be divided for a cross-validation";
        Error::config(config.file.display().to_string(), vec![problem.to_owned()])
    })
}

/// Fits what is planned; of several windows the best, with the comparison.
fn best(
    context: &Context,
    dataset: &DatasetRecord,
    schema: &Schema,
    (held, in_order): (HeldOut, LeftOutRows),
    plan: Plan,
    notes: &mut Vec<String>,
) -> Result<(Learnt, Option<WindowChoice>)> {
    let Plan { first, other, notes: more } = plan;
    notes.extend(more);
    let of = |part: &Part| {
        let in_order = in_order.clone().within(part.rows.as_ref());
        fit(context, dataset, schema.clone(), (&held, in_order), part)
    };
    let learnt = of(&first)?;
    let Some(other) = other else { return Ok((learnt, None)) };
    let tests = match &learnt.tests {
        Some(Ok(tests)) => tests,
        Some(Err(why)) => {
            notes.push(format!("windows of the training rows could not be compared: {why}"));
            return Ok((learnt, None));
        }
        None => return Ok((learnt, None)),
    };
    let another = match of(&other) {
        Ok(another) => Some(another),
        Err(e) if matches!(e.kind(), ErrorKind::Data(_) | ErrorKind::NotConverged(_)) => {
            notes.push(format!("no model could be fitted to the {}: {e}", other.window));
            None
        }
        Err(e) => return Err(e),
    };
    let others = another.as_ref().and_then(|another| another.tests.as_ref());
    let choice = tests.compared(others.and_then(|tests| tests.as_ref().ok()));
    let chosen = choice.as_ref().map(WindowChoice::chosen);
    Ok(match another {
        Some(another) if chosen == Some(other.window) => (another, choice),
        _ => (learnt, choice),
    })
}

/// The training rows of a data set.
struct ReadRows {
    rows: TrainingRows,
    golden_rows: Table,
    fold_rows: FoldRows,
    /// Columns of dates after the time of their rows.
    later_dates: Vec<Leak>,
    /// The number of rows left out as test rows, and of those that are not in the window.
    left_out: (u64, u64),
    /// The engine that read them, if one did.
    there: Option<There>,
}

/// One pass over the data set, which packs its rows.
fn read(
    context: &Context,
    dataset: &DatasetRecord,
    schema: &Schema,
    (held, mut in_order): (&HeldOut, LeftOutRows),
    part: &Part,
) -> Result<ReadRows> {
    if let Some(engine) = &context.engine {
        let left_out = (held, !in_order.is_empty());
        let RowsThere { rows, golden_rows, held_out, there } =
            train_there::read(context, engine, dataset, schema, left_out)?;
        let (fold_rows, later_dates) = (FoldRows::default(), Vec::new());
        let (left_out, there) = ((held_out, 0), Some(there));
        return Ok(ReadRows { rows, golden_rows, fold_rows, later_dates, left_out, there });
    }
    let config = &context.config;
    let training = &config.training;
    let keys = fold_keys(config, schema, part)?;
    let path = dataset.location.as_path();
    let options = config.ingestion.without_line_limit();
    let mut reader =
        RowReader::labelled(schema, &options).on_threads(config.limits.threads).without_hashes();
    // Rows to leave out by position or number are found one batch after the other.
    let ordered = !in_order.is_empty() || part.newest.is_some();
    let dated = DatedRows::of(&config.holdout, schema);
    if ordered || !held.is_empty() || keys.is_some() || dated.is_some() {
        reader = reader.with_ids();
    }
    let newest = part.newest.as_ref();
    let (missing, dated) = (training.missing, dated.as_ref());
    let taking = Taking { held, missing, keys: keys.as_ref(), newest, dated };

    // Half of the memory is for the rows; buffers and counters need far less than the rest.
    let mut rows = TrainingRows::new(schema, training).shaped(&config.shapes).within(
        config.limits.memory / 2,
        &context.disk,
        &config.output_folder,
    );
    let mut golden_rows = Table::new(schema);
    let mut fold_rows = FoldRows::default();
    let mut later_dates = LaterDates::default();
    let (mut held_out, mut outside) = (0, 0);
    let reading = reader.each(
        path,
        || (),
        |(), table, made: &mut Parsed| {
            if ordered {
                std::mem::swap(&mut made.rows, table);
            } else {
                made.fill(table, &[], taking);
            }
        },
        |made| {
            if ordered {
                let left_out = made.fill_in_order(&mut in_order, taking);
                held_out += left_out.0;
                outside += left_out.1;
            }
            held_out += made.held_out;
            if golden_rows.is_empty() {
                std::mem::swap(&mut golden_rows, &mut made.first);
            }
            fold_rows.append(&mut made.fold_rows);
            later_dates.append(&made.later_dates);
            rows.push(&mut made.batch)
        },
    );
    let (reading, _) = reading?;
    if reading.digest != dataset.sha256 || reading.rejected > 0 {
        return Err(changed(dataset));
    }
    if held_out + outside == reading.rows_read {
        return Err(nothing_left(dataset, part, held_out, 0));
    }
    let later_dates = dated.map_or_else(Vec::new, |dated| dated.leaks(&later_dates));
    let left_out = (held_out, outside);
    Ok(ReadRows { rows, golden_rows, fold_rows, later_dates, left_out, there: None })
}

/// Reads the rows, learns their encoding, chooses what is to be chosen, and fits.
fn fit(
    context: &Context,
    dataset: &DatasetRecord,
    schema: Schema,
    left_out: (&HeldOut, LeftOutRows),
    part: &Part,
) -> Result<Learnt> {
    let config = &context.config;
    let mut training = config.training;
    let test_files = left_out.0.digests.clone();
    let ReadRows { rows, golden_rows, fold_rows, later_dates, left_out, there } =
        read(context, dataset, &schema, left_out, part)?;
    let (held_out, outside) = left_out;
    let encoder = rows.encoder(config.limits.threads)?;
    check_width(&encoder, config.limits.memory)?;
    let dropped = rows.dropped();
    if rows.rows() == 0 {
        return Err(nothing_left(dataset, part, held_out, dropped));
    }
    if let Some(there) = there {
        there.encode(&rows, &encoder)?;
    }
    let plain = rows.encoded(&encoder);
    let memory = config.limits.memory / 4;
    let threads = threads_within(config.limits.threads, plain.features(), memory);
    let numeric = encoder.is_numeric();
    let mut estimator = LogisticRegression {
        class_weight: training.class_weight,
        solver: training.solver,
        threads,
        memory,
        ..LogisticRegression::default()
    };
    let (c, folds) = (training.c.unwrap_or(f64::INFINITY), training.folds);
    let trial = Trial { estimator: &estimator, blocks: &plain, numeric: &numeric, c, folds };
    let tests = trial.run(&fold_rows, part)?;
    let found = tests.as_ref().and_then(|tests| tests.as_ref().ok()?.half_life());
    let half_life = part.half_life().or(found);
    let weighted = half_life.map(|half_life| Weighted::new(&plain, half_life, threads));
    let weighted = weighted.transpose()?;
    let blocks: &dyn Blocks = weighted.as_ref().map_or(&plain, |weighted| weighted);
    let scaler = Scaler::fit(blocks, &numeric, threads)?;
    let tuning = Tuning {
        estimator: &estimator,
        blocks,
        numeric: &numeric,
        // Older rows, of less than a quarter of the weight, say too little about those that come.
        newest: half_life.map_or(u64::MAX, |half_life| half_life.0.saturating_mul(2)),
        memory: config.limits.memory,
    };
    let mut tuned = tuning.tune(&mut training, &fold_rows)?;
    drop(fold_rows);
    estimator.c = training.c.unwrap_or(f64::INFINITY);
    let (mut fitted, covariance) = estimator.fit_with_covariance(blocks, &scaler)?;
    let check = estimator.cross_check(blocks, &scaler, &fitted)?;
    let mut leaks = rows.leaks()?;
    leaks.extend(later_dates);
    tuned.prior_shift = estimator.prior_shift(blocks);
    fitted.intercept += tuned.prior_shift;
    let constants = rows.constants().into_iter().map(str::to_owned).collect();
    let unlikely_dates =
        rows.unlikely_dates().into_iter().map(|(name, date)| (name.to_owned(), date));
    let unlikely_dates = unlikely_dates.collect();
    let data = TrainingData {
        version: dataset.version,
        sha256: dataset.content,
        rows: blocks.rows(),
        positives: blocks.positives(),
        dropped,
        held_out,
        test_files,
    };
    let window = part.trained(half_life, blocks, outside);
    training.window = window.as_ref().map(|window| window.window);
    let model = Model {
        schema,
        missing_values: config.ingestion.missing_values.clone(),
        numbers: config.ingestion.numbers,
        date_pattern: config.ingestion.date_pattern.clone(),
        encoder,
        scaler,
        fitted,
        training,
        tuned,
        scale: config.shapes.scorecard,
        window,
        data,
    };
    let standard_errors =
        covariance.map_or_else(Vec::new, |found| standard_errors(&model.encoder, &found));
    Ok(Learnt {
        model,
        golden_rows,
        constants,
        unlikely_dates,
        check,
        standard_errors,
        leaks,
        tests,
    })
}

/// What was learned from the rows.
struct Learnt {
    model: Model,
    golden_rows: Table,
    /// Columns in which all rows have the same value.
    constants: Vec<String>,
    /// Columns of dates, each with one that hardly is a date.
    unlikely_dates: Vec<(String, f64)>,
    check: Option<CrossCheck>,
    /// Of the features, as the card has them.
    standard_errors: Vec<Option<f64>>,
    /// Columns that give the label away.
    leaks: Vec<Leak>,
    /// The test of its window on the newest rows, or why there could be none.
    tests: Option<Result<Tests, String>>,
}

/// A batch of rows, processed on the thread that parsed it.
#[derive(Default)]
struct Parsed {
    batch: TrainingBatch,
    held_out: u64,
    /// Its first rows, for golden predictions.
    first: Table,
    /// All its rows, if some must be left out on another thread.
    rows: Table,
    /// What the folds must know of its training rows.
    fold_rows: FoldRows,
    /// The dates of its training rows beside their time.
    later_dates: LaterDates,
}

/// Which rows of a batch are taken, and how.
#[derive(Clone, Copy)]
struct Taking<'a> {
    held: &'a HeldOut,
    missing: MissingPolicy,
    /// For folds, if there are any.
    keys: Option<&'a FoldKeys>,
    /// The rows on which windows are compared.
    newest: Option<&'a RowRanges>,
    /// The dates to compare with the time of their rows, if there are any.
    dated: Option<&'a DatedRows>,
}

impl Parsed {
    /// Takes the training rows of a batch that was kept whole; returns how many test rows `in_order` left
    /// out, and how many rows that are not in the window.
    fn fill_in_order(&mut self, in_order: &mut LeftOutRows, taking: Taking) -> (u64, u64) {
        let mut table = std::mem::take(&mut self.rows);
        let all = table.len();
        let (places, outside) = in_order.leave_out(&mut table);
        let left_out = (all - table.len()) as u64;
        self.fill(&mut table, &places, taking);
        self.rows = table;
        (left_out - outside, outside)
    }

    /// Takes the training rows of a batch; `places` are theirs in the data set, where it is read in order.
    fn fill(&mut self, table: &mut Table, places: &[u64], taking: Taking) {
        let all = table.len();
        // Entities are known by the ids, which are forgotten next.
        let mut of_folds = taking.keys.map(|keys| keys.rows(table));
        if let Some((rows, newest)) = of_folds.as_mut().zip(taking.newest) {
            let place = |place: &u64| if newest.has(*place) { *place } else { NOT_NEWEST };
            rows.newest = places.iter().map(place).collect();
        }
        let mut days = taking.dated.map(|dated| dated.days(table));
        let out = taking.held.leave_out(table);
        if let Some(days) = days.as_mut().filter(|_| !out.is_empty()) {
            let mut out = out.iter();
            days.retain(|_| out.next() != Some(&true));
        }
        let compared = taking.dated.zip(days).map(|(dated, days)| dated.compare(table, &days));
        self.later_dates = compared.unwrap_or_default();
        self.held_out = (all - table.len()) as u64;
        self.first = table.first_rows(golden::ROWS);
        let complete = self.batch.fill(table, taking.missing);
        self.fold_rows = of_folds.unwrap_or_default();
        if taking.keys.is_some() {
            if !out.is_empty() {
                self.fold_rows.keep(&(0..all).filter(|row| !out[*row]).collect::<Vec<_>>());
            }
            if let Some(complete) = complete {
                self.fold_rows.keep(&complete);
            }
        }
    }
}

fn nothing_left(dataset: &DatasetRecord, part: &Part, held_out: u64, dropped: u64) -> Error {
    if dataset.rows == 0 {
        return Error::data(format!(
            "{} has no rows to train on: its files contain only headers now, or everybody in them was erased. \
             Ingest data first",
            dataset.location.display()
        ));
    }
    let what = if part.rows.is_some() { format!("the {} of ", part.window) } else { String::new() };
    Error::data(format!(
        "no row of {what}{} is left to train on: left out were {} and {dropped} with a missing value (see \"training.missing\"). Ingest more data, or take training rows out of the test \
         data",
        dataset.location.display(),
        text::plural(held_out, "test row")
    ))
}

impl fmt::Display for Trained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data, card, .. } = self;
        let share = 100.0 * data.positives as f64 / data.rows.max(1) as f64;
        writeln!(
            f,
            "Trained on {} of {} ({share:.1} % positive); left out: {}, {} with missing values",
            text::plural(data.rows, "row"),
            self.dataset,
            text::plural(data.held_out, "test row"),
            text::count(data.dropped),
        )?;
        let mut rows = vec![["feature", "coefficient"].map(str::to_owned).to_vec()];
        let mut order: Vec<usize> = (0..card.features.len()).collect();
        order.sort_by(|a, b| card.coefficients[*b].abs().total_cmp(&card.coefficients[*a].abs()));
        for j in order.iter().take(text::MOST_NAMES) {
            let name = text::name(&card.features[*j]).into_owned();
            rows.push(vec![name, format!("{:+.4}", card.coefficients[*j])]);
        }
        f.write_str(&text::table(&rows))?;
        let more = order.len().saturating_sub(text::MOST_NAMES) as u64;
        if more > 0 {
            writeln!(f, "  and {} more in {CARD}", text::count(more))?;
        }
        writeln!(
            f,
            "Solver {}: {} Newton steps, gradient {:.1e}",
            card.solver, card.iterations, card.gradient_norm
        )?;
        if let Some(check) = &card.cross_check {
            writeln!(
                f,
                "Checked by another solver (smartcore's L-BFGS): its coefficients are within {:.0e}",
                check.largest_difference
            )?;
        }
        if let Some(window) = &card.window {
            let left_out = text::plural(window.left_out, "row");
            writeln!(f, "Window: {}; {left_out} of the data set left out", window.window)?;
        }
        if let Some(choice) = &self.window_choice {
            write!(f, "{choice}")?;
        }
        if let Some(grid) = &card.penalty_grid {
            writeln!(f, "C {grid}")?;
        }
        if let Some(cutoff) = &card.threshold_choice {
            writeln!(f, "Threshold {cutoff}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        writeln!(f, "Model: {}", self.artifact)
    }
}
