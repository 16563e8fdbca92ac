//! `fullprocess`, up to the live model: is there new data, did the live model drift, is it time to
//! retrain, may the new model go live?
//!
//! Order: ingest, draw the hold-out, judge, train, compare, promote, record. A run that is killed
//! in between is taken up by the next one: what is recorded is not done again. Not for what
//! follows a decision (diagnostics, reports, calls): see the runtime crate.

use std::path::Path;
use std::time::Duration;

use crate::context::{Context, Rehearsal, Report, Workspace};
use crate::dataset::RowReader;
use crate::decision::{DataSeen, Decision, Live, Outcome, Retrained, StepTime};
use crate::drift::{
    DataDrift, Deployed, ModelDrift, Reference, Sample, SampleBuilder, data_drift, model_drift,
};
use crate::gate::{GateVerdict, gate};
use crate::ids::DatasetVersion;
use crate::ingest::discover;
use crate::ledger::{Action, DatasetRecord, DecisionRecord, Ledger, projections};
use crate::metrics::{ConfusionMatrix, classify};
use crate::model::{Model, Predictor, artifact};
use crate::store::{ARTIFACT, Release, SCORE, parse};
use crate::testdata::TestFiles;
use crate::{Error, Result};

use super::deploy::{self, Candidate};
use super::ingest::{self, Ingestion};
use super::score::{self, Score, read_artifact};
use super::{holdout, train};

/// The name under which its work is recorded.
pub const STEP: &str = "fullprocess";
/// How much longer than one settling time a run waits for files that keep changing.
const SETTLE_ROUNDS: u32 = 5;

/// What the user may ask for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Decide and retrain although nothing is new or nothing drifted.
    pub force: bool,
    /// Stop after the verdict on drift, and write nothing.
    pub dry_run: bool,
}

/// Decides and acts.
pub fn run(context: &Context, workspace: &mut Workspace, options: Options) -> Result<Decision> {
    if !options.dry_run {
        return Run::new(context, workspace, options).decide();
    }
    rehearse(context, options)
}

/// Says what [`run`] would decide, up to the verdict on drift. Takes no lock, changes nothing.
pub fn rehearse(context: &Context, options: Options) -> Result<Decision> {
    let options = Options { dry_run: true, ..options };
    let mut rehearsal = Rehearsal::of(context)?;
    let Rehearsal { context, workspace, .. } = &mut rehearsal;
    Run::new(context, workspace, options).decide()
}

/// One run at work.
struct Run<'a> {
    context: &'a Context,
    workspace: &'a mut Workspace,
    options: Options,
    decision: Decision,
}

impl<'a> Run<'a> {
    fn new(context: &'a Context, workspace: &'a mut Workspace, options: Options) -> Self {
        let decision = Decision {
            format_version: 1,
            run_id: context.run.to_string(),
            recorded: context.now(),
            tool_version: context.tool_version.clone(),
            forced: options.force,
            dry_run: options.dry_run,
            ..Decision::default()
        };
        Self { context, workspace, options, decision }
    }

    fn decide(mut self) -> Result<Decision> {
        let live = self.live()?;
        let trained = self.trained_version(live.as_ref())?;
        let decided = self.workspace.ledger.decision(None)?.map(|d| d.dataset).max(trained);
        let decided = decided.unwrap_or_default();
        let ingestion = self.ingest()?;
        let dataset = self.workspace.ledger.latest_dataset()?;
        self.decision.data = data_seen(&self.workspace.ledger, &ingestion, decided)?;
        let Some(dataset) = dataset else {
            return Ok(self.end(Outcome::NothingNew, "there is no data yet"));
        };
        if dataset.version <= decided && !self.options.force {
            let reason = format!("no data came after {}", decided.file_name());
            return Ok(self.end(Outcome::NothingNew, &reason));
        }

        let drawn = self.workspace.ledger.latest_holdout()?.map(|h| h.version);
        let holdout_from = drawn.or(trained).unwrap_or_default();
        if !self.options.dry_run && holdout_from < dataset.version {
            let known = self.rows_up_to(holdout_from, &dataset)?;
            let schema = ingest::schema(self.context, self.workspace)?;
            self.timed("holdout", |run| {
                holdout::draw(run.context, run.workspace, &schema, &dataset, known)
            })?;
        }
        let drawn = self.workspace.ledger.latest_holdout()?;
        self.decision.holdout = drawn.filter(|holdout| holdout.version > decided);

        if let Some(live) = &live {
            let known = self.rows_up_to(trained.unwrap_or_default(), &dataset)?;
            if known == 0 {
                self.decision.data.warnings.push(no_known_rows(live, trained.is_some()));
            }
            let (drift, data_drift) =
                self.timed("drift", |run| run.drift(live, &dataset, known))?;
            self.decision.drift = Some(drift);
            self.decision.data_drift = data_drift;
        }
        let drifted = self.decision.drift.as_ref().and_then(|d| d.drifted);
        let retrain = self.options.force || live.is_none() || drifted == Some(true);
        if self.options.dry_run || !retrain {
            let (outcome, reason) = match (&self.decision.drift, drifted) {
                (None, _) => (Outcome::DryRun, "there is no live model yet".to_owned()),
                (Some(d), Some(true)) => (Outcome::DryRun, d.reason.clone()),
                (Some(d), Some(false)) => (Outcome::NoDrift, d.reason.clone()),
                (Some(d), None) => (Outcome::Undecided, d.reason.clone()),
            };
            return self.record(outcome, reason, &dataset);
        }
        self.retrain(live.as_ref(), &dataset)
    }

    /// Trains, compares and promotes or refuses.
    fn retrain(mut self, live: Option<&Release>, dataset: &DatasetRecord) -> Result<Decision> {
        let trained = self.step("training", train::run)?;
        let score = self.step("scoring", score::run)?;
        self.decision.retrained = Some(Retrained {
            artifact: trained.sha256,
            rows: trained.data.rows,
            held_out: trained.data.held_out,
            f1: score.evaluation.f1,
            f1_interval: score.evaluation.f1_interval,
            constant_f1: score.evaluation.constant.f1,
            test_rows: score.evaluation.n,
        });
        let path = self.context.config.output_model.join(ARTIFACT);
        let challenger = artifact::decode(&read_artifact(&path)?, &path.display().to_string())?;
        let verdict = match live {
            Some(live) if live.model.schema.digest() == challenger.schema.digest() => {
                let recorded = self.trained_version(Some(live))?.is_some();
                Some(self.timed("gate", |run| run.gate(&live.model, &challenger, recorded))?)
            }
            _ => None,
        };
        let reason = match &verdict {
            // The outcome says the first word of the verdict already.
            Some(verdict) => {
                let reasons = verdict.reasons.join("; ");
                let rest = reasons.split_once(": ").map(|(_, rest)| rest.to_owned());
                rest.unwrap_or(reasons)
            }
            None if live.is_some() => {
                "the columns changed: the models cannot be compared".to_owned()
            }
            None => "the first release".to_owned(),
        };
        let mut candidate = Candidate::read(self.context)?;
        let blessed = verdict.as_ref().is_none_or(|v| v.blessed);
        if let Some(verdict) = &verdict {
            candidate = candidate.judged(blessed, &verdict.reasons);
        }
        self.decision.gate = verdict;
        if !blessed {
            candidate.seal(self.context, &self.workspace.ledger)?;
            return self.record(Outcome::Refused, reason, dataset);
        }
        let is_live = live.is_some_and(|live| live.id == candidate.id);
        let rolled_back = self.workspace.ledger.was_rolled_back(candidate.id.as_str())?;
        if let Some(rollback) = rolled_back.filter(|_| !is_live) {
            let reason = format!(
                "{} was rolled back at {} ({}); it does not go live again by itself",
                candidate.id, rollback.recorded, rollback.reason
            );
            return self.record(Outcome::Refused, reason, dataset);
        }
        self.promote(candidate, reason, dataset)
    }

    /// Deploys; the decision is recorded in the same commit.
    fn promote(
        mut self,
        candidate: Candidate,
        reason: String,
        dataset: &DatasetRecord,
    ) -> Result<Decision> {
        self.decision.release = Some(candidate.id.clone());
        self.decision.outcome = Outcome::Promoted;
        self.decision.reason.clone_from(&reason);
        let record = record_of(&self.decision, dataset);
        // Not timed: the record of the decision is written in the middle of it.
        let context = self.context;
        let deployed = context.step(self.workspace, "deployment", |workspace| {
            deploy::decided(context, workspace, candidate, &reason, record)
        })?;
        if !deployed.promoted {
            return self.record(Outcome::Promoted, reason, dataset);
        }
        let Self { workspace, decision, .. } = self;
        projections::write(&workspace.ledger, &context.disk, &context.config.output_folder)?;
        Ok(decision)
    }

    /// The live release, verified; one that is damaged stops the run unless it is forced.
    fn live(&mut self) -> Result<Option<Release>> {
        let store = self.context.store();
        let Some(id) = store.live()? else { return Ok(None) };
        match store.verify(&id) {
            Ok(release) => {
                let f1 = score::f1_of(&release.folder);
                let dataset = release.manifest.dataset;
                self.decision.live = Some(Live { release: id, dataset, f1 });
                Ok(Some(release))
            }
            Err(_) if self.options.force => Ok(None),
            Err(e) => Err(Error::artifact(
                store.folder(&id).display().to_string(),
                format!(
                    "the live release is damaged ({e}): go back with `deployment rollback`, or \
                     train a new one with `fullprocess --force`"
                ),
            )),
        }
    }

    /// The data set that the live model was trained on, if these records have it: the number alone
    /// does not tell, since records that were begun afresh count from the start.
    fn trained_version(&self, live: Option<&Release>) -> Result<Option<DatasetVersion>> {
        let Some(live) = live else { return Ok(None) };
        let record = self.workspace.ledger.dataset(live.manifest.dataset)?;
        Ok(record.filter(|d| d.sha256 == live.model.data.sha256).map(|d| d.version))
    }

    /// How many rows of `dataset` were in `version` already: they are its first ones, unless a
    /// data set in between was made afresh.
    fn rows_up_to(&self, version: DatasetVersion, dataset: &DatasetRecord) -> Result<u64> {
        let mut rows = 0;
        for record in self.workspace.ledger.datasets()? {
            if record.version > dataset.version {
                break;
            }
            if record.version <= version {
                rows = record.rows;
            } else if record.new_rows == record.rows {
                rows = 0;
            }
        }
        Ok(rows)
    }

    fn ingest(&mut self) -> Result<Ingestion> {
        let settle = Duration::from_secs_f64(self.context.config.ingestion.settle_seconds);
        let folder = self.context.config.source_folder.clone();
        self.wait_for(&folder, settle)?;
        let options = ingest::Options { settle, ..ingest::Options::default() };
        self.step("ingestion", |context, workspace| {
            ingest::run(context, workspace, &folder, "source_folder_path", options)
        })
    }

    /// Waits, within a bound, until no file of `folder` changed just now.
    fn wait_for(&self, folder: &Path, settle: Duration) -> Result<()> {
        for _ in 0..SETTLE_ROUNDS {
            let files = discover::list(folder, "source_folder_path")?.candidates;
            let changing =
                |c: &discover::Candidate| ingest::changed_within(self.context, &c.path, settle);
            if settle.is_zero() || !files.iter().any(changing) {
                break;
            }
            self.context.clock.sleep(settle);
        }
        Ok(())
    }

    /// The live model on the rows after the first `known`, those it was trained on.
    fn drift(
        &self,
        live: &Release,
        dataset: &DatasetRecord,
        known: u64,
    ) -> Result<(ModelDrift, Option<DataDrift>)> {
        let config = &self.context.config;
        let NewRows { matrix, before, new } = new_rows(self.context, &live.model, dataset, known)?;
        let score: Score = parse(&live.folder.join(SCORE))?;
        let deployed =
            Deployed { f1: score.evaluation.f1, matrix: Some(score.evaluation.confusion_matrix) };
        let drift = config.drift;
        let seed = config.training.seed;
        let history = self.history()?;
        let model = model_drift(&history, &deployed, &matrix, drift.rule, drift.min_rows, seed);
        let data = if before.rows() == 0 || new.rows() == 0 {
            None
        } else {
            let verdict = data_drift(&Reference::of(&before), &new, drift.alpha)?;
            Some(verdict.with_exact_kolmogorov_smirnov(&before, &new))
        };
        Ok((model, data))
    }

    /// F1 of decided batches and of promotions, oldest first.
    fn history(&self) -> Result<Vec<f64>> {
        let ledger = &self.workspace.ledger;
        let batches = ledger.decisions()?.into_iter().filter(|d| d.outcome != "undecided");
        let mut scores: Vec<(String, f64)> =
            batches.filter_map(|d| Some((d.recorded, d.f1?))).collect();
        let promotions = ledger.deployments()?.into_iter().filter(|d| d.action == Action::Deploy);
        scores.extend(promotions.filter_map(|d| Some((d.recorded, d.f1?))));
        scores.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(scores.into_iter().map(|(_, f1)| f1).collect())
    }

    /// Champion against challenger on the newest hold-out. What a champion was trained on that is
    /// not `recorded` is unknown: test rows that it knows favour it, so that a challenger which
    /// passes all the same has passed.
    fn gate(&self, champion: &Model, challenger: &Model, recorded: bool) -> Result<GateVerdict> {
        let config = &self.context.config;
        let tests = TestFiles::find(&config.test_data)?;
        let models = [champion, challenger];
        let held = if recorded { &models[..] } else { &models[1..] };
        let compared = score::compare_tests(self.context, self.workspace, &models, held, &tests)?;
        let predicted = |probabilities: &[f64], model: &Model| -> Vec<bool> {
            probabilities.iter().map(|p| classify(*p, model.training.threshold)).collect()
        };
        gate(
            &compared.labels,
            &predicted(&compared.probabilities[0], champion),
            &predicted(&compared.probabilities[1], challenger),
            config.gate.min_improvement,
            config.training.seed,
        )
    }

    /// Runs a stage as a recorded step, and notes how long it took.
    fn step<R: Report>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&Context, &mut Workspace) -> Result<R>,
    ) -> Result<R> {
        self.timed(name, |run| {
            run.context.step(run.workspace, name, |workspace| work(run.context, workspace))
        })
    }

    fn timed<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let begun = self.context.clock.elapsed();
        let result = work(self);
        let seconds = self.context.clock.elapsed().saturating_sub(begun).as_secs_f64();
        self.decision.steps.push(StepTime { step: name.to_owned(), seconds });
        result
    }

    fn end(mut self, outcome: Outcome, reason: &str) -> Decision {
        self.decision.outcome = outcome;
        reason.clone_into(&mut self.decision.reason);
        self.decision
    }

    /// Keeps the decision in the ledger and beside the data.
    fn record(
        mut self,
        outcome: Outcome,
        reason: String,
        dataset: &DatasetRecord,
    ) -> Result<Decision> {
        let Self { context, options, .. } = self;
        self.decision.outcome = outcome;
        self.decision.reason = reason;
        let Self { decision, workspace, .. } = self;
        if options.dry_run {
            return Ok(decision);
        }
        workspace.ledger.record_decision(&record_of(&decision, dataset))?;
        projections::write(&workspace.ledger, &context.disk, &context.config.output_folder)?;
        Ok(decision)
    }
}

/// The decision as the ledger keeps it.
fn record_of(decision: &Decision, dataset: &DatasetRecord) -> DecisionRecord {
    DecisionRecord {
        run_id: decision.run_id.clone(),
        dataset: dataset.version,
        outcome: decision.outcome.name().to_owned(),
        f1: decision.drift.as_ref().filter(|d| d.drifted.is_some()).map(|d| d.new_f1),
        decision: serde_json::to_string(decision).unwrap_or_default(),
        recorded: decision.recorded.clone(),
    }
}

/// What is to be decided on, for the record: all that came after `decided`, also what an
/// interrupted run or `ingestion` brought in.
fn data_seen(ledger: &Ledger, ingestion: &Ingestion, decided: DatasetVersion) -> Result<DataSeen> {
    let mut files = ledger.files()?;
    files.retain(|file| file.dataset.is_some_and(|version| version > decided));
    let mut datasets = ledger.datasets()?;
    datasets.retain(|dataset| dataset.version > decided);
    Ok(DataSeen {
        folder: ingestion.folder.clone(),
        decided,
        version: ingestion.version,
        rows: ingestion.rows,
        files: files.iter().map(|f| f.name.clone()).collect(),
        new_rows: datasets.iter().map(|d| d.new_rows).sum(),
        quarantined: files.iter().map(|f| f.counts.quarantined).sum(),
        duplicates: files.iter().map(|f| f.counts.duplicates()).sum(),
        warnings: ingestion.warnings.clone(),
        new_failures: ingestion.new_failures,
    })
}

/// What to know when the rows that a live model was trained on cannot be told from new ones.
fn no_known_rows(live: &Release, recorded: bool) -> String {
    let data = live.manifest.dataset.file_name();
    let why = if recorded {
        format!("the data set was made afresh since {data}")
    } else {
        format!("its {data} is not in these records, which were lost, moved or begun afresh")
    };
    format!(
        "the rows that {} was trained on cannot be told from the others, since {why}. All rows \
         count as new, so that its F1 on them may be too good",
        live.id
    )
}

/// The rows that came after those a model was trained on, and those before.
struct NewRows {
    /// The model's hits and misses on the new ones.
    matrix: ConfusionMatrix,
    before: Sample,
    new: Sample,
}

/// Reads `dataset` once; its first `known` rows are not new.
fn new_rows(
    context: &Context,
    model: &Model,
    dataset: &DatasetRecord,
    known: u64,
) -> Result<NewRows> {
    let config = &context.config;
    let options = config.ingestion.without_line_limit();
    let reader = RowReader::labelled(&model.schema, &options)
        .on_threads(config.limits.threads)
        .without_hashes()
        .without_digest();
    let predictor = Predictor::new(model);
    let mut matrix = ConfusionMatrix::default();
    let mut before = SampleBuilder::new(&model.schema, config.training.seed);
    let mut new = SampleBuilder::new(&model.schema, config.training.seed);
    let mut seen = 0_u64;
    reader.read(dataset.location.as_path(), |table| {
        let first = usize::try_from(known.saturating_sub(seen)).unwrap_or(usize::MAX);
        seen += table.len() as u64;
        before.add(table, |i| i < first);
        new.add(table, |i| i >= first);
        if first < table.len() {
            let answers = predictor.predict(table).rows;
            let pairs = (first..table.len())
                .filter_map(|i| answers[i].map(|p| (table.labels[i], p.positive)));
            matrix += ConfusionMatrix::from_pairs(pairs);
        }
        Ok(())
    })?;
    Ok(NewRows { matrix, before: before.finish(), new: new.finish() })
}

/// The decision that a run recorded, or the newest one.
pub fn explain(ledger: &Ledger, run: Option<&str>) -> Result<Decision> {
    let record = ledger.decision(run)?.ok_or_else(|| {
        Error::missing(match run {
            Some(run) => format!("no decision of a run {run}: `--explain` alone shows the newest"),
            None => "no decision was made yet: run `fullprocess` first".to_owned(),
        })
    })?;
    serde_json::from_str(&record.decision).map_err(|e| Error::backend("decision record", e))
}
