//! `fullprocess`, up to the live model: is there new data, did the live model drift, should a new
//! model be trained, may it be promoted?
//!
//! Order: ingest, draw the hold-out, judge, train, compare, promote, record. If a run is killed,
//! the next one continues: what is recorded is not done again. Not for what follows a decision
//! (diagnostics, reports, calls): see the runtime crate.

pub mod contest;
mod judge;
mod live;
mod propose;
mod restore_release;
mod supply;
mod wait;

use std::cmp::Ordering;
use std::time::Duration;

use crate::drift::ModelDrift;
use crate::evaluation::gate::{Beside, GateVerdict};
use crate::evaluation::metrics::ConstantBaseline;
use crate::evaluation::reasons::{GateReason, Reasons, Ruling};
use crate::ids::{DatasetVersion, DecisionOutcome, FindingKind, RunId, Step};
use crate::ledger::{Challenger, DatasetRecord, DecisionRecord, Headline, Ledger, projections};
use crate::model::Model;
use crate::release::Release;
use crate::run::attention::Remark;
use crate::run::context::{Context, Rehearsal, Report, Workspace};
use crate::run::decision::{Concern, Decision, Retrained, StepTime};
use crate::table::schema::Schema;
use crate::{Error, Result, text};

use super::deploy::{self, Candidate};
use super::ingest::{self, report::Ingested};
use super::new_rows::{self, RowRanges};
use super::score::{self, Score, Scoring};
use super::window::Asked;
use super::{holdout, restore_holdout, train};

/// The user's options.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Decide and retrain even if nothing is new or nothing drifted.
    pub force: bool,
    /// Stop after the verdict on drift, and write nothing.
    pub dry_run: bool,
    /// Promote a model that does no better than the best constant answer.
    pub accept: bool,
}

/// A decision, with the release and the score that led to it.
#[derive(Debug)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// The release that is live now, as read from disk; `None` if there is none or it is damaged.
    pub live: Option<Release>,
    /// The score of the new model.
    pub scoring: Option<Scoring>,
}

/// Decides and acts.
pub fn run(context: &Context, workspace: &mut Workspace, options: Options) -> Result<Decision> {
    decided(context, workspace, options).map(|decided| decided.decision)
}

/// Like [`run`]; also returns the live release and the new score.
pub fn decided(context: &Context, workspace: &mut Workspace, options: Options) -> Result<Decided> {
    if !options.dry_run {
        return DecisionRun::new(context, workspace, options).act();
    }
    let decision = rehearse(context, options)?;
    Ok(Decided { decision, live: None, scoring: None })
}

/// Returns what [`run`] would decide, up to the verdict on drift. Takes no lock, changes nothing.
pub fn rehearse(context: &Context, options: Options) -> Result<Decision> {
    let options = Options { dry_run: true, ..options };
    let mut rehearsal = Rehearsal::of(context)?;
    let Rehearsal { context, workspace, .. } = &mut rehearsal;
    DecisionRun::new(context, workspace, options).act().map(|decided| decided.decision)
}

/// The results of a run: the release that goes live, and the score of the new model.
type News = (Option<Release>, Option<Scoring>);

/// A run in progress.
struct DecisionRun<'a> {
    context: &'a Context,
    workspace: &'a mut Workspace,
    options: Options,
    decision: Decision,
}

impl<'a> DecisionRun<'a> {
    fn new(context: &'a Context, workspace: &'a mut Workspace, options: Options) -> Self {
        let decision = Decision {
            format_version: 1,
            run_id: context.run.clone(),
            recorded: context.now(),
            tool_version: context.tool_version.clone(),
            forced: options.force,
            dry_run: options.dry_run,
            ..Decision::default()
        };
        Self { context, workspace, options, decision }
    }

    fn act(mut self) -> Result<Decided> {
        let live = self.live()?;
        let mut made = (None, None);
        let decision = self.decide(live.as_ref(), &mut made)?;
        let (promoted, scoring) = made;
        Ok(Decided { decision, live: promoted.or(live), scoring })
    }

    /// Stores the release that goes live and the score of the new model in `made`.
    fn decide(mut self, live: Option<&Release>, made: &mut News) -> Result<Decision> {
        self.expire_approvals()?;
        let trained = self.trained_version(live)?;
        let ledger = &self.workspace.ledger;
        let judged = ledger.judged()?.max(trained).unwrap_or_default();
        let looked = ledger.decision(None)?.map(|d| d.dataset).max(trained).unwrap_or_default();
        let ingestion = self.ingest()?;
        let dataset = self.workspace.ledger.latest_dataset()?;
        let data = self.data_seen(&ingestion, judged, looked)?;
        let earlier = std::mem::replace(&mut self.decision.data, data).warnings;
        self.decision.data.warnings.splice(0..0, earlier);
        let standings = self.look_at_the_supply(&ingestion)?;
        let Some(dataset) = dataset else {
            return Ok(self.end(DecisionOutcome::NothingNew, "there is no data yet"));
        };
        let force = self.options.force;
        let lost = self.is_lost(live)?;
        if lost {
            self.decision.data.warnings.push(Remark::new(
                FindingKind::Model,
                "no release is live and no earlier one exists any more: a new model is trained",
            ));
        }
        let erased = self.is_of_erased_people(trained)?;
        if dataset.version <= looked && !force && !lost && !erased {
            let known = self.workspace.ledger.dataset(looked)?;
            let name = known.map_or_else(|| looked.file_name(), |known| known.name());
            let waiting = judged < dataset.version && live.is_some();
            let more = if waiting { "; rows that were not decided on wait for more" } else { "" };
            // What came earlier is in the records of earlier runs.
            let data = &mut self.decision.data;
            (data.new_rows, data.files) = (0, Vec::new());
            return self.nothing_new(live, &format!("there are no data after {name}{more}"));
        }
        if let Some(reason) = self.waits(&standings)?.filter(|_| !force && !lost && !erased) {
            return match live {
                Some(_) => self.nothing_new(live, &reason),
                None => Ok(self.end(DecisionOutcome::NothingNew, &reason)),
            };
        }
        self.waits_no_more()?;
        let schema = ingest::identity::schema(self.context, self.workspace)?;
        let (new, note) = self.after(&schema, &dataset, judged)?;
        self.decision.data.new_rows = new.len();
        let note = note.map(|note| Remark::new(FindingKind::Data, note));
        self.decision.data.warnings.extend(note);
        let same_columns = live.is_none_or(|live| live.model.schema.digest() == schema.digest());
        if new.len() == 0 && live.is_some() && same_columns && !force && !erased {
            let reason = format!("no row of {} is new", dataset.name());
            return self.nothing_new(live, &reason);
        }
        let trained_rows = match live.zip(trained) {
            Some((live, version)) => {
                Some(new_rows::trained_on(self.workspace, &live.model, &dataset, version)?)
            }
            None => None,
        };
        let known = trained_rows.as_ref();
        self.draw_holdout(&schema, &dataset, trained, known, judged)?;

        match live {
            Some(_) if !same_columns => {
                self.decision.data.warnings.push(Remark::new(
                    FindingKind::Model,
                    "the columns changed, so that the live model cannot be judged on these rows",
                ));
            }
            Some(live) => {
                if trained.is_none() {
                    let words = live::no_known_rows(live);
                    self.decision.data.warnings.push(Remark::new(FindingKind::Model, words));
                }
                let judged = self.timed(Step::Drift, |run| {
                    judge::judge(run.context, run.workspace, live, &dataset, &new, known)
                })?;
                self.decision.drift = Some(judged.model);
                self.decision.data_drift = judged.data;
                self.decision.concerns.extend(judged.concerns);
            }
            None => {}
        }
        self.note_asked(live);
        let drift = self.decision.drift.as_ref();
        let asked = drift.is_none_or(ModelDrift::asks_for_a_challenger);
        if self.options.dry_run || !(force || asked || erased) {
            let (outcome, reason) = match drift {
                None if live.is_some() => {
                    (DecisionOutcome::DryRun, "the columns changed".to_owned())
                }
                None => (DecisionOutcome::DryRun, "there is no live model yet".to_owned()),
                Some(d) if asked => (DecisionOutcome::DryRun, d.reason.clone()),
                Some(d) if d.drifted.is_none() => (DecisionOutcome::Undecided, d.reason.clone()),
                Some(d) => (DecisionOutcome::NoDrift, d.reason.clone()),
            };
            if let (DecisionOutcome::Undecided, Some(live)) = (outcome, live) {
                self.keep_concerns(live)?;
            }
            return self.record(outcome, reason, &dataset);
        }
        self.retrain(live, &dataset, made)
    }

    /// Whether the live model, which was trained on the version `trained`, may have seen rows of people who were
    /// erased since. A new model is then trained, whatever else is found.
    fn is_of_erased_people(&mut self, trained: Option<DatasetVersion>) -> Result<bool> {
        let Some(trained) = trained else { return Ok(false) };
        let erasures = self.workspace.ledger.erasures()?;
        let seen: Vec<_> = erasures.iter().filter(|e| e.counts.was_seen_by(trained)).collect();
        let Some(last) = seen.last() else { return Ok(false) };
        let rows = seen.iter().map(|erasure| erasure.counts.rows).sum();
        let words = format!(
            "the live model may have been trained on {} of people who were erased since ({}, last in the run \
             {}): a new model is trained",
            text::plural(rows, "row"),
            text::plural(seen.len() as u64, "erasure"),
            last.run_id
        );
        self.decision.data.warnings.push(Remark::new(FindingKind::ErasedPeople, words));
        self.decision.erased = rows;
        Ok(true)
    }

    /// Draws a hold-out from the rows that no earlier draw was offered.
    fn draw_holdout(
        &mut self,
        schema: &Schema,
        dataset: &DatasetRecord,
        trained: Option<DatasetVersion>,
        known: Option<&RowRanges>,
        judged: DatasetVersion,
    ) -> Result<()> {
        let drawn = self.workspace.ledger.latest_holdout()?.map(|h| h.version);
        let offered = drawn.or(trained).unwrap_or_default();
        if !self.options.dry_run && offered < dataset.version {
            let (new, _) = self.after(schema, dataset, offered)?;
            self.timed(Step::Holdout, |run| {
                holdout::draw(run.context, run.workspace, schema, dataset, &new, known)
            })?;
        }
        let drawn = self.workspace.ledger.latest_holdout()?;
        self.decision.holdout = drawn.filter(|holdout| holdout.version > judged);
        Ok(())
    }

    /// The rows of `dataset` that came after `version`.
    fn after(
        &self,
        schema: &Schema,
        dataset: &DatasetRecord,
        version: DatasetVersion,
    ) -> Result<(RowRanges, Option<String>)> {
        new_rows::after(self.context, self.workspace, schema, dataset, version)
    }

    /// Ends a run without new data. Concerns about the live release persist, and that none is live
    /// is never "nothing to do".
    fn nothing_new(mut self, live: Option<&Release>, reason: &str) -> Result<Decision> {
        self.note_asked(live);
        if let Some(live) = live {
            self.keep_concerns(live)?;
        } else {
            let why = self.why_nothing_is_live()?;
            self.decision.concerns.push(Concern::NothingLive { why });
        }
        Ok(self.end(DecisionOutcome::NothingNew, reason))
    }

    /// The newest decision, if its details are still recorded.
    fn newest(&self) -> Result<Option<Decision>> {
        let newest = self.workspace.ledger.decision(None)?;
        Ok(newest.and_then(|d| serde_json::from_str(&d.decision).ok()))
    }

    /// Repeats what the newest decision found wrong with the live release, as no later one answered it.
    fn keep_concerns(&mut self, live: &Release) -> Result<()> {
        let Some(newest) = self.newest()? else { return Ok(()) };
        let judged = newest.live.as_ref().map(|live| &live.release);
        let of = newest.release.as_ref().or(judged).cloned();
        let concerns = &mut self.decision.concerns;
        if of.as_ref() == Some(&live.id) {
            let lasting = newest.concerns.into_iter().filter(Concern::is_on_the_model);
            let new: Vec<Concern> = lasting.filter(|concern| !concerns.contains(concern)).collect();
            concerns.extend(new);
        } else if newest.live.is_some_and(|judged| judged.release == live.id) {
            // It was replaced for what was found then, and somebody went back to it.
            let drift = newest.drift.as_ref().filter(|drift| drift.below_constant);
            concerns.extend(drift.map(below_constant));
        }
        Ok(())
    }

    /// Trains, compares and promotes or refuses.
    fn retrain(
        mut self,
        live: Option<&Release>,
        dataset: &DatasetRecord,
        made: &mut News,
    ) -> Result<Decision> {
        let lost = self.is_lost(live)?;
        let again = restore_holdout::run(self.context, self.workspace, lost)?;
        let again = again.map(|note| Remark::new(FindingKind::Data, note));
        self.decision.data.warnings.extend(again);
        let asked = Asked::by(&self.context.config, &self.decision);
        let trained =
            self.step(Step::Training, |context, workspace| train::of(context, workspace, &asked))?;
        self.decision.window.clone_from(&trained.window_choice);
        let challenger = &trained.made.model;
        let scoring = self.step(Step::Scoring, |context, workspace| {
            score::of(context, workspace, challenger, trained.sha256)
        })?;
        let score = &scoring.score;
        self.decision.retrained = Some(Retrained {
            artifact: trained.sha256,
            rows: trained.data.rows,
            held_out: trained.data.held_out,
            f1: score.evaluation.f1,
            f1_interval: score.evaluation.f1_interval,
            constant_f1: score.evaluation.constant.f1,
            test_rows: score.evaluation.n,
            notes: score.notes.clone(),
            untold: Vec::new(),
        });
        let verdict = match live {
            Some(live) if live.model.schema.digest() == challenger.schema.digest() => {
                self.note_replay(live, challenger);
                let recorded = self.trained_version(Some(live))?.is_some();
                Some(self.timed(Step::Gate, |run| run.gate(&live.model, challenger, recorded))?)
            }
            _ => None,
        };
        let mut candidate = Candidate::of(&trained, &scoring);
        let (blessed, reasons) = match &verdict {
            Some(verdict) => (verdict.blessed, verdict.reasons.clone()),
            None => self.ungated(live.is_some(), score),
        };
        candidate = candidate.judged(blessed, &reasons);
        self.decision.gate = verdict;
        made.1 = Some(scoring);
        let reason = reasons.without_ruling();
        let told = |note: &String| reasons.all.contains(&GateReason::TestData(note.clone()));
        self.note_untold(|note| !told(note));
        if !blessed {
            candidate.seal(self.context, &self.workspace.ledger)?;
            self.worry(live.is_some(), &reason);
            return self.record(DecisionOutcome::Refused, reason, dataset);
        }
        let is_live = live.is_some_and(|live| live.id == candidate.id);
        let rolled_back = self.workspace.ledger.was_rolled_back(&candidate.id)?;
        if let Some(rollback) = rolled_back.filter(|_| !is_live) {
            let reason = format!(
                "{} was rolled back at {} ({}); it does not go live again automatically",
                candidate.id, rollback.recorded, rollback.reason
            );
            self.worry(live.is_some(), &reason);
            self.note_untold(|_| true);
            return self.record(DecisionOutcome::Refused, reason, dataset);
        }
        if self.waits_for_approval(is_live) {
            return self.propose(candidate, reason, dataset);
        }
        self.promote(candidate, reason, dataset, live, made)
    }

    /// Keeps the notes on the test data that the reason of the decision leaves out.
    fn note_untold(&mut self, is_untold: impl Fn(&String) -> bool) {
        if let Some(new) = &mut self.decision.retrained {
            new.untold = new.notes.iter().filter(|note| is_untold(note)).cloned().collect();
        }
    }

    /// The verdict on a model without one to compare with.
    fn ungated(&self, replaces: bool, score: &Score) -> (bool, Reasons) {
        let accepted = self.options.accept;
        let beside = Beside::of(self.context.config.gate.metric, &score.evaluation);
        let blessed = beside.beats || accepted;
        let alone = beside.alone(!replaces, accepted);
        let notes = score.notes.iter().cloned().map(GateReason::TestData);
        let all = std::iter::once(alone).chain(notes).collect();
        (blessed, Reasons { ruling: Some(Ruling::of(blessed)), all })
    }

    /// Notes what needs a person after a model was refused.
    fn worry(&mut self, is_live: bool, why: &str) {
        let why = why.to_owned();
        let concern = match &self.decision.drift {
            _ if !is_live => Some(Concern::NothingLive { why }),
            _ if self.decision.erased > 0 => {
                Some(Concern::ErasedPeople { rows: self.decision.erased, why })
            }
            Some(drift) if drift.below_constant => Some(below_constant(drift)),
            Some(drift) if drift.is_serious() => {
                Some(Concern::NoBetterModel { drift: drift.reason.clone(), why })
            }
            _ => None,
        };
        self.decision.concerns.extend(concern);
    }

    /// Deploys; the decision is recorded in the same commit.
    fn promote(
        mut self,
        candidate: Candidate,
        reason: String,
        dataset: &DatasetRecord,
        live: Option<&Release>,
        made: &mut News,
    ) -> Result<Decision> {
        self.decision.release = Some(candidate.id.clone());
        self.decision.outcome = DecisionOutcome::Promoted;
        self.decision.reason.clone_from(&reason);
        let record = record_of(&self.decision, dataset)?;
        // Not timed, since the decision is recorded in the middle of it.
        let context = self.context;
        let deployed = context.step(self.workspace, Step::Deployment, |workspace| {
            deploy::decided(context, workspace, candidate, &reason, record, live.map(|l| &l.id))
        })?;
        made.0 = Some(deployed.verified);
        if !deployed.promoted {
            return self.record(DecisionOutcome::Promoted, reason, dataset);
        }
        let Self { workspace, decision, .. } = self;
        projections::write(&workspace.ledger, &context.disk, &context.config.output_folder)?;
        Ok(decision)
    }

    fn ingest(&mut self) -> Result<Ingested> {
        let settle = Duration::from_secs_f64(self.context.config.ingestion.settle_seconds);
        let context = self.context;
        let folder = context.config.source();
        self.wait_for(folder, settle)?;
        let options = ingest::Options { settle, ..ingest::Options::default() };
        self.step(Step::Ingestion, |context, workspace| {
            ingest::run(context, workspace, folder, options)
        })
    }

    /// Compares champion and challenger. A new model that is promoted although it does not beat a
    /// constant answer is noted, also if it fails only on the newest rows and older test rows hide
    /// that.
    fn gate(
        &mut self,
        champion: &Model,
        challenger: &Model,
        recorded: bool,
    ) -> Result<GateVerdict> {
        let accept = self.options.accept;
        let held = contest::contest(
            self.context,
            self.workspace,
            [champion, challenger],
            recorded,
            accept,
        )?;
        let contest::Contest { verdict, newest } = held;
        let constant = ConstantBaseline::of(newest.positives(), newest.negatives());
        let below = self.decision.drift.as_ref().is_some_and(|drift| drift.below_constant);
        let enough = newest.n() >= self.context.config.drift.min_rows && !newest.one_class();
        let failed = if !verdict.blessed {
            None
        } else if verdict.loses_to_constant() && !accept {
            Some((verdict.challenger_f1, verdict.constant_f1, verdict.n))
        } else if below && enough && constant.met_by(newest.f1()) != Ordering::Greater {
            Some((newest.f1(), constant.f1, newest.n()))
        } else {
            None
        };
        self.decision.concerns.extend(failed.map(|(f1, constant_f1, rows)| {
            Concern::BelowConstant { f1, constant_f1, rows, newer: true }
        }));
        Ok(verdict)
    }

    /// Runs a stage as a recorded step and notes its duration.
    fn step<R: Report>(
        &mut self,
        step: Step,
        work: impl FnOnce(&Context, &mut Workspace) -> Result<R>,
    ) -> Result<R> {
        self.timed(step, |run| {
            run.context.step(run.workspace, step, |workspace| work(run.context, workspace))
        })
    }

    fn timed<T>(&mut self, step: Step, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let begun = self.context.clock.elapsed();
        let result = work(self);
        let seconds = self.context.clock.elapsed().saturating_sub(begun).as_secs_f64();
        self.decision.steps.push(StepTime { step, seconds });
        result
    }

    fn end(mut self, outcome: DecisionOutcome, reason: &str) -> Decision {
        self.decision.outcome = outcome;
        reason.clone_into(&mut self.decision.reason);
        self.decision
    }

    /// Stores the decision in the ledger and beside the data.
    fn record(
        mut self,
        outcome: DecisionOutcome,
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
        workspace.ledger.record_decision(&record_of(&decision, dataset)?)?;
        projections::write(&workspace.ledger, &context.disk, &context.config.output_folder)?;
        Ok(decision)
    }
}

/// That the live model does worse than a constant answer.
fn below_constant(drift: &ModelDrift) -> Concern {
    let ModelDrift { new_f1: f1, constant_f1, n: rows, .. } = *drift;
    Concern::BelowConstant { f1, constant_f1, rows, newer: false }
}

/// The decision in the form of the ledger.
fn record_of(decision: &Decision, dataset: &DatasetRecord) -> Result<DecisionRecord> {
    let drift = decision.drift.as_ref().filter(|d| d.drifted.is_some());
    Ok(DecisionRecord {
        run_id: decision.run_id.clone(),
        dataset: dataset.version,
        outcome: decision.outcome,
        f1: drift.map(|d| d.new_f1),
        matrix: drift.and_then(|d| d.matrix),
        release: decision.live.as_ref().map(|live| live.release.clone()),
        decision: serde_json::to_string(decision).map_err(|e| Error::backend("JSON", e))?,
        recorded: decision.recorded.clone(),
        headline: Some(Headline {
            reason: decision.reason.clone(),
            challenger: decision.retrained.as_ref().map(|new| Challenger {
                f1: new.f1,
                interval: new.f1_interval,
                rows: new.test_rows,
            }),
        }),
    })
}

/// The decision that a run recorded, or the newest one.
pub fn explain(ledger: &Ledger, run: Option<&RunId>) -> Result<Decision> {
    let record = ledger.decision(run)?.ok_or_else(|| {
        Error::missing(match run {
            Some(run) => {
                format!("there is no decision of run {run}: `--explain` alone shows the newest")
            }
            None => "no decision was made yet: run `fullprocess` first".to_owned(),
        })
    })?;
    if record.decision.is_empty() {
        return Err(Error::missing(format!(
            "the details of the decision of {} ({}) were removed, as \"retention.keep_days\" says",
            record.recorded, record.outcome
        )));
    }
    serde_json::from_str(&record.decision).map_err(|e| Error::backend("decision record", e))
}
