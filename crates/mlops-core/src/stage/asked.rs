//! The rows that the live release was asked to predict, from the log of predictions: for each window of time the
//! scores to expect until labels arrive, and whether the rows still have the distribution of the reference.
//!
//! If the log holds features, every column is compared with the training rows. Otherwise only the predicted
//! probabilities are compared, with those of the test rows. Both use the tests of data drift. Not for scores with
//! labels (see `stage::outcomes`), and not for deciding: nothing here stops or starts a promotion.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::config::Period;
use crate::csv::reader::RowReader;
use crate::drift::{ModelDrift, Reference, SampleBuilder, data_drift, support};
use crate::evaluation::answered::Answered;
use crate::evaluation::estimate::Estimate;
use crate::evaluation::refusal::Refusal;
use crate::ids::ReleaseId;
use crate::ledger::Ledger;
use crate::model::Model;
use crate::outcomes::calendar;
use crate::prediction_log::files::{self, LogFile};
use crate::prediction_log::reader::{self, Want};
use crate::release::{Release, SCORE, parse};
use crate::run::asked::{Against, Asked, AskedWindow, Outlook};
use crate::run::context::{Context, Workspace};
use crate::run::decision::Decision;
use crate::table::Table;

use super::new_rows::RowRanges;
use super::score::Score;

/// The most windows that are looked at; older ones are in the ledger.
const WINDOWS: u32 = 12;
/// Recorded windows that are looked at again: rows may be logged while one ends.
const GROWING: usize = 2;
/// The most rows of a window of which features are compared.
const COMPARED: usize = 20_000;
/// Rows that are added to a sample at a time.
const BATCH: usize = 1_024;
/// The least share of a window's rows that must have features for these to be compared.
const WITH_FEATURES: f64 = 0.5;

/// The reference of a release, as the ledger keeps it.
#[derive(Serialize, Deserialize)]
struct KeptReference {
    release: ReleaseId,
    reference: Reference,
}

/// Looks at the log and records what it says; `None` without a log, or if it has no row of `live`. `judged` is the
/// verdict of this run on the live model, if there is one.
///
/// # Errors
/// `Io` if the log or the training rows cannot be read; those of the ledger.
pub fn run(
    context: &Context,
    workspace: &mut Workspace,
    live: &Release,
    judged: Option<&ModelDrift>,
) -> Result<Option<Asked>> {
    let config = &context.config;
    let Some(log) = &config.service.prediction_log else { return Ok(None) };
    let tested: Score = parse(&live.folder.join(SCORE))?;
    let want = if log.features { Want::Features } else { Want::Predictions };
    let window = match config.labels.window {
        Period::Auto => Period::Week,
        chosen => chosen,
    };
    let mut spans = Spans::new(&live.model, window, config.training.seed);
    // Others were recorded when the configuration had another window.
    let is_ours = |found: &AskedWindow| span(window, found.from) == (found.from, found.until);
    let mut recorded = newest(&workspace.ledger, &live.id)?;
    recorded.retain(is_ours);
    // Of what is on record only the newest spans may still grow.
    spans.floor = recorded.iter().rev().nth(GROWING - 1).map_or(NaiveDate::MIN, |span| span.from);
    let mut strange = 0;
    for file in since(&log.folder, spans.floor)? {
        let read = reader::read(&file.path, 0, want, |_, line| {
            if line.release == live.id {
                spans.add(&line.recorded, line.probability, |table| {
                    line.push_to(&live.model.schema, table)
                });
            }
            Ok(())
        })?;
        strange += read.map_or(0, |read| read.strange);
    }
    let of_training = if spans.each.values().any(Span::has_features) {
        reference(context, workspace, live)?
    } else {
        None
    };
    let judge = Judge {
        of_training,
        of_tests: Reference::of_probabilities(&tested.evaluation.deciles),
        tested: &tested,
        drifted: drifted(&workspace.ledger, &live.id, judged)?,
        alpha: config.drift.alpha,
    };
    let windows: Vec<AskedWindow> = spans
        .each
        .into_iter()
        .map(|((from, until), span)| judge.window(from, until, span))
        .collect::<Result<_>>()?;
    let now = context.now();
    workspace.ledger.record_asked(&live.id, windows.iter().map(row), &now)?;
    let mut windows = newest(&workspace.ledger, &live.id)?;
    windows.retain(is_ours);
    if windows.is_empty() {
        return Ok(None);
    }
    let tested_f1 = tested.evaluation.f1;
    Ok(Some(Asked { release: live.id.clone(), tested_f1, windows, strange }))
}

/// The files of the log that may have lines from `day` on: all but those that were followed by another of the same
/// writer before it.
fn since(folder: &Path, day: NaiveDate) -> Result<Vec<LogFile>> {
    let files = files::list(folder)?;
    let began = |file: &LogFile| files::began(&file.name).unwrap_or(NaiveDate::MAX);
    let next = |i: usize| files[i + 1..].iter().find(|file| file.instance == files[i].instance);
    let wanted = (0..files.len()).filter(|i| next(*i).is_none_or(|next| began(next) >= day));
    Ok(wanted.map(|i| files[i].clone()).collect())
}

/// What the ledger keeps of a window: first day, day after the last, rows, and all as JSON.
fn row(window: &AskedWindow) -> (NaiveDate, NaiveDate, u64, String) {
    let record = serde_json::to_string(window).unwrap_or_default();
    (window.from, window.until, window.rows, record)
}

/// The newest `most` windows of all releases on record, oldest first.
pub fn history(ledger: &Ledger, most: u32) -> Result<Vec<(ReleaseId, AskedWindow)>> {
    let rows = ledger.asked(None, most)?;
    // What another version wrote may lack some of this.
    let read = |(release, record): (ReleaseId, String)| {
        Some((release, serde_json::from_str(&record).ok()?))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// The window of `release` on record that begins on `from`.
pub fn window(
    ledger: &Ledger,
    release: &ReleaseId,
    from: NaiveDate,
) -> Result<Option<AskedWindow>> {
    let record = ledger.asked_from(release, from)?;
    Ok(record.and_then(|record| serde_json::from_str(&record).ok()))
}

/// The newest windows of `release` on record, oldest first.
pub fn newest(ledger: &Ledger, release: &ReleaseId) -> Result<Vec<AskedWindow>> {
    let rows = ledger.asked(Some(release), WINDOWS)?;
    Ok(rows.into_iter().filter_map(|(_, record)| serde_json::from_str(&record).ok()).collect())
}

/// The drift that was found in `release` on the newest rows with labels: by this run, or by the newest decision.
fn drifted(
    ledger: &Ledger,
    release: &ReleaseId,
    judged: Option<&ModelDrift>,
) -> Result<Option<Refusal>> {
    let refusal = |drift: &ModelDrift| {
        let (f1, deployed) = (drift.new_f1, drift.deployed_f1);
        (drift.drifted == Some(true)).then_some(Refusal::ModelDrifted { f1, deployed })
    };
    if let Some(judged) = judged.filter(|judged| judged.drifted.is_some()) {
        return Ok(refusal(judged));
    }
    let Some(newest) = ledger.decision(None)? else { return Ok(None) };
    let decision: Option<Decision> = serde_json::from_str(&newest.decision).ok();
    let of = decision.filter(|d| d.live.as_ref().is_some_and(|live| live.release == *release));
    Ok(of.and_then(|decision| decision.drift).as_ref().and_then(refusal))
}

/// The distribution of the rows that `live` was trained on; `None` if they are not known any more. It is computed
/// once for each release.
fn reference(
    context: &Context,
    workspace: &mut Workspace,
    live: &Release,
) -> Result<Option<Reference>> {
    if let Some(KeptReference { release, reference }) = workspace.ledger.training_reference()?
        && release == live.id
        && reference.consistent().is_ok()
    {
        return Ok(Some(reference));
    }
    let ledger = &workspace.ledger;
    let trained = ledger.dataset(live.manifest.dataset)?;
    let Some(trained) = trained.filter(|d| d.content == live.model.data.sha256) else {
        return Ok(None);
    };
    let Some(dataset) = ledger.latest_dataset()?.filter(|d| d.location.as_path().is_file()) else {
        return Ok(None);
    };
    let rows = RowRanges::of(&ledger.segments(dataset.version)?, |s| s.batch <= trained.version);
    let options = context.config.ingestion.without_line_limit();
    let reader = RowReader::labelled(&live.model.schema, &options)
        .on_threads(context.config.limits.threads)
        .without_hashes()
        .without_digest();
    let seed = context.config.training.seed;
    let mut sample = SampleBuilder::new(&live.model.schema, seed).with_ages(&live.model.encoder);
    let mut next = 0_u64;
    reader.read(dataset.location.as_path(), |table| {
        let first = next;
        next += table.len() as u64;
        sample.add(table, |i| rows.has(first + i as u64));
        Ok(())
    })?;
    if sample.seen() == 0 {
        return Ok(None);
    }
    let kept =
        KeptReference { release: live.id.clone(), reference: Reference::of(&sample.finish()) };
    workspace.ledger.keep_training_reference(&kept)?;
    Ok(Some(kept.reference))
}

/// The rows of the log by span of time.
struct Spans<'a> {
    model: &'a Model,
    window: Period,
    seed: u64,
    each: BTreeMap<(NaiveDate, NaiveDate), Span>,
    /// Rows before this day are of spans that were dropped.
    floor: NaiveDate,
}

/// The rows of a span of time.
struct Span {
    answered: Answered,
    probabilities: SampleBuilder,
    features: SampleBuilder,
    /// Rows that wait to be added to the features.
    batch: Table,
}

impl<'a> Spans<'a> {
    fn new(model: &'a Model, window: Period, seed: u64) -> Self {
        Self { model, window, seed, each: BTreeMap::new(), floor: NaiveDate::MIN }
    }

    /// Adds a row; `push` appends its features to a table, if it has any.
    fn add(&mut self, at: &DateTime<Utc>, probability: f64, push: impl FnOnce(&mut Table) -> bool) {
        let (from, until) = span(self.window, at.date_naive());
        if from < self.floor {
            return;
        }
        let Self { model, seed, .. } = *self;
        let span = self.each.entry((from, until)).or_insert_with(|| Span::new(model, seed));
        span.answered.add(probability);
        span.probabilities.add_number(probability);
        if push(&mut span.batch) && span.batch.len() >= BATCH {
            span.flush();
        }
        if self.each.len() > WINDOWS as usize
            && let Some(((_, until), _)) = self.each.pop_first()
        {
            self.floor = until;
        }
    }
}

impl Span {
    fn new(model: &Model, seed: u64) -> Self {
        Self {
            answered: Answered::new(model.training.threshold),
            probabilities: SampleBuilder::of_numbers(crate::drift::reference::PROBABILITY, seed),
            features: SampleBuilder::with_most(&model.schema, seed, COMPARED)
                .with_ages(&model.encoder),
            batch: Table::new(&model.schema),
        }
    }

    fn flush(&mut self) {
        self.features.add(&self.batch, |_| true);
        self.batch.clear();
    }

    /// Whether enough of its rows have features to compare these.
    fn has_features(&self) -> bool {
        let with = self.features.seen() + self.batch.len() as u64;
        with > 0 && with as f64 >= WITH_FEATURES * self.answered.rows() as f64
    }
}

/// The first day of the span that `day` is in, and the day after its last.
fn span(window: Period, day: NaiveDate) -> (NaiveDate, NaiveDate) {
    let (first, end) = calendar::around(window, calendar::number(day));
    (calendar::date(first), calendar::date(end))
}

/// What windows are judged by.
struct Judge<'a> {
    of_training: Option<Reference>,
    of_tests: Reference,
    tested: &'a Score,
    drifted: Option<Refusal>,
    alpha: f64,
}

impl Judge<'_> {
    fn window(&self, from: NaiveDate, until: NaiveDate, mut span: Span) -> Result<AskedWindow> {
        let with_features = span.has_features();
        span.flush();
        let Span { answered, probabilities, features, .. } = span;
        let probabilities = probabilities.finish();
        let columns = self.of_training.as_ref().filter(|_| with_features);
        let columns = columns.map(|reference| (reference, features.finish()));
        let (against, drift) = if let Some((reference, sample)) = &columns {
            (Against::TrainingRows, data_drift(reference, sample, self.alpha)?)
        } else {
            let drift = data_drift(&self.of_tests, &probabilities, self.alpha)?;
            (Against::TestProbabilities, drift)
        };
        let estimate = || {
            self.drifted.clone().map_or(Ok(()), Err)?;
            let estimate = Estimate::of(&answered, &self.tested.evaluation)?;
            if let Some((reference, sample)) = &columns {
                support::within(reference, sample)?;
            }
            support::within(&self.of_tests, &probabilities)?;
            Ok(estimate)
        };
        let outlook = match estimate() {
            Ok(estimate) => Outlook::Estimated(Box::new(estimate)),
            Err(why) => Outlook::Refused(why),
        };
        let refused = match &outlook {
            Outlook::Refused(why) => Some(why.to_string()),
            Outlook::Estimated(_) => None,
        };
        let (rows, positive) = (answered.rows(), answered.positive());
        Ok(AskedWindow { from, until, rows, positive, outlook, refused, against, drift })
    }
}
