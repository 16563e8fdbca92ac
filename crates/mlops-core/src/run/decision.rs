//! A decision of `fullprocess`: every input, number, threshold and verdict, as data and in words.
//!
//! Not for making it: see `stage::decide`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::INPUT;
use crate::drift::{DataDrift, ModelDrift};
use crate::evaluation::gate::GateVerdict;
use crate::evaluation::metrics::Interval;
use crate::evaluation::window::WindowChoice;
use crate::expect::Breach;
use crate::ids::{
    DatasetVersion, DecisionOutcome, FindingKind, Form, ReleaseId, RunId, Severity, Step,
};
use crate::ledger::HoldoutRecord;
use crate::platform::digest::Digest;
use crate::run::asked::{AskedWindow, Replay};
use crate::run::attention::{self, Finding, Remark};
use crate::run::context::Report;
use crate::text;

/// The content of `decisions/<run-id>.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decision {
    /// Version of this file's format.
    pub format_version: u32,
    /// The id of the run.
    pub run_id: RunId,
    /// When it began, RFC 3339, UTC.
    pub recorded: String,
    /// Version of the program.
    pub tool_version: String,
    /// `--force` was given.
    pub forced: bool,
    /// `--dry-run` was given.
    pub dry_run: bool,
    /// The outcome.
    pub outcome: DecisionOutcome,
    /// The reason for the outcome.
    pub reason: String,
    /// The data that the run saw.
    pub data: DataSeen,
    /// The hold-out drawn from the new rows.
    pub holdout: Option<HoldoutRecord>,
    /// The release that was live when the run began.
    pub live: Option<Live>,
    /// The verdict on the live model.
    pub drift: Option<ModelDrift>,
    /// New rows against the training rows, column by column; for information only.
    pub data_drift: Option<DataDrift>,
    /// The windows of the training rows that were compared for the new model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowChoice>,
    /// What the live release was asked for, by the log of predictions; for information only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Box<AskedWindow>>,
    /// What the new model would have answered to that; for information only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// The new model.
    pub retrained: Option<Retrained>,
    /// The comparison of champion and challenger.
    pub gate: Option<GateVerdict>,
    /// The release that was promoted.
    pub release: Option<ReleaseId>,
    /// The release that was made live again because none was.
    #[serde(default)]
    pub restored: Option<ReleaseId>,
    /// The number of rows of people who were erased since the live model was trained, and which it may have seen:
    /// the reason to train a new one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub erased: u64,
    /// The release that passed the gate and waits for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<ReleaseId>,
    /// What needs a person.
    #[serde(default)]
    pub concerns: Vec<Concern>,
    /// The duration of each step.
    pub steps: Vec<StepTime>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Something that needs a person, since no run can repair it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Concern {
    /// The live model does worse on new rows than a constant answer, and no better model was found.
    BelowConstant {
        /// The model's F1 on them.
        f1: f64,
        /// The best constant answer's F1 on them.
        constant_f1: f64,
        /// The number of these rows.
        rows: u64,
        /// The model is the one that this run promoted, on the new rows of its test.
        newer: bool,
    },
    /// The live model drifted, and the new one was refused.
    NoBetterModel {
        /// The finding of drift.
        drift: String,
        /// Why the new one was refused.
        why: String,
    },
    /// No release is live.
    NothingLive {
        /// Why none could be made live.
        why: String,
    },
    /// All new rows are of one class, which chance does not explain, so that nothing can be
    /// decided.
    OneClass {
        /// The number of these rows.
        rows: u64,
        /// They are of the positive class.
        positive: bool,
        /// The share of that class in the test data of the live release.
        usual: f64,
    },
    /// The live model gives no prediction for most of the new rows.
    Unanswered {
        /// The number of rows without a prediction.
        rows: u64,
        /// The number of new rows.
        of: u64,
    },
    /// Files that were refused in earlier runs are still there.
    RefusedData {
        /// Each file with the reason; only some if there are many.
        files: Vec<Remark>,
    },
    /// New rows are overdue.
    OverdueData {
        /// When the last rows came, RFC 3339, UTC.
        since: String,
        /// Their age in hours.
        hours: u64,
        /// `monitoring.max_data_age_hours`.
        limit: u64,
        /// The folder in which they are expected.
        folder: String,
    },
    /// Data of a source are overdue; reported once.
    Overdue {
        /// The name of the source; `input` for the input folder.
        source: String,
        /// The promises that were not kept.
        breaches: Vec<Breach>,
    },
    /// The live model may have been trained on rows of people who were erased, and the new one was refused.
    ErasedPeople {
        /// The number of these rows.
        rows: u64,
        /// Why the new one was refused.
        why: String,
    },
    /// A challenger waits for approval; reported once.
    WaitsForApproval {
        /// Its release.
        release: ReleaseId,
        /// Its F1 on the test data.
        f1: f64,
        /// Until when, RFC 3339, UTC.
        until: String,
    },
    /// The table of "output.table" does not have the newest data set.
    TableBehind {
        /// Why, and what follows.
        why: String,
    },
}

impl Concern {
    /// Whether it concerns the live model and therefore lasts until that is replaced; other
    /// concerns are checked in every run.
    pub fn is_on_the_model(&self) -> bool {
        !matches!(
            self,
            Self::RefusedData { .. }
                | Self::OverdueData { .. }
                | Self::Overdue { .. }
                | Self::ErasedPeople { .. }
                | Self::WaitsForApproval { .. }
                | Self::TableBehind { .. }
        )
    }
}

fn joined(remarks: &[Remark]) -> String {
    remarks.iter().map(|remark| &*remark.text).collect::<Vec<_>>().join("; ")
}

impl Concern {
    fn as_finding(&self) -> Finding {
        let (kind, subjects) = match self {
            Self::BelowConstant { .. } => (FindingKind::BelowConstant, Vec::new()),
            Self::NoBetterModel { .. } => (FindingKind::DriftWithoutBetterModel, Vec::new()),
            Self::NothingLive { .. } => (FindingKind::NothingLive, Vec::new()),
            Self::OneClass { .. } => (FindingKind::OneClass, Vec::new()),
            Self::Unanswered { .. } => (FindingKind::UnansweredRows, Vec::new()),
            Self::RefusedData { files } => {
                let kind = files.first().map_or(FindingKind::RefusedFile, |file| file.kind);
                let one = files.iter().all(|file| file.kind == kind);
                let named = files.iter().map(|file| file.subject.clone());
                let kind = if one { kind } else { FindingKind::RefusedFile };
                (kind, named.filter(|name| !name.is_empty()).collect())
            }
            Self::OverdueData { .. } => (FindingKind::DataOverdue, Vec::new()),
            Self::Overdue { source, .. } => (FindingKind::SourceOverdue, vec![source.clone()]),
            Self::ErasedPeople { .. } => (FindingKind::ErasedPeople, Vec::new()),
            Self::WaitsForApproval { release, .. } => {
                (FindingKind::WaitsForApproval, vec![release.to_string()])
            }
            Self::TableBehind { .. } => (FindingKind::TableBehind, Vec::new()),
        };
        Finding::person(kind, self.to_string()).about(subjects)
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowConstant { f1, constant_f1, rows, newer } => write!(
                f,
                "the {} a constant answer: F1 {f1:.4} on {}, where the best constant answer has \
                 {constant_f1:.4}. Look at the labels and features of the newest files, or take the \
                 model down",
                if *newer {
                    "model that is live now does no better than"
                } else {
                    "live model does worse than"
                },
                text::plural(*rows, if *newer { "test row" } else { "new row" })
            ),
            Self::NoBetterModel { drift, why } => {
                write!(f, "the live model drifted, and no better one was found. {drift}. {why}")
            }
            Self::NothingLive { why } => write!(
                f,
                "no release is live: {why}. Add more data, or run `fullprocess --force`, with \
                 --accept to promote a model that does no better than a constant answer"
            ),
            Self::OneClass { rows, positive, usual } => write!(
                f,
                "all {} are of the {} class, which was {:.0} % of the test data of the live model: \
                 nothing can be decided on them. Look at the labels of the newest files",
                text::plural(*rows, "new row"),
                if *positive { "positive" } else { "negative" },
                100.0 * usual
            ),
            Self::Unanswered { rows, of } => write!(
                f,
                "the live model gives no prediction for {} of {}, since values that it needs are \
                 missing; it is judged on the others only. Look at the empty cells of the newest \
                 files",
                text::count(*rows),
                text::plural(*of, "new row")
            ),
            Self::RefusedData { files } => write!(
                f,
                "refused files are waiting to be corrected or moved away: {}",
                text::bounded(joined(files))
            ),
            Self::OverdueData { since, hours, limit, folder } => write!(
                f,
                "new data are overdue: the last rows came at {since}, {} ago, and \
                 \"monitoring.max_data_age_hours\" allows {limit}. Check what writes into {folder}",
                text::plural(*hours, "hour")
            ),
            Self::ErasedPeople { rows, why } => write!(
                f,
                "the live model may have been trained on {} of people who were erased, and the new one was \
                 refused: {why}. The next run tries again; `deployment` makes the refused one live as it is",
                text::plural(*rows, "row")
            ),
            Self::WaitsForApproval { release, f1, until } => write!(
                f,
                "{release} passed the gate, has F1 {f1:.4} on the test data and waits for approval until {until}: \
                 `deployment approve {release} --reason \"…\"` makes it live, `deployment reject` gives it \
                 up, `deployment pending` shows it"
            ),
            Self::TableBehind { why } => f.write_str(why),
            Self::Overdue { source, breaches } => {
                let why: Vec<String> = breaches.iter().map(ToString::to_string).collect();
                let why = why.join("; ");
                if source == INPUT {
                    write!(f, "the input folder is overdue: {why}. Check what writes into it")
                } else {
                    write!(
                        f,
                        "source \"{}\" is overdue: {why}. Check what delivers it",
                        text::name(source)
                    )
                }
            }
        }
    }
}

/// The data that a run saw.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DataSeen {
    /// The input folder.
    pub folder: String,
    /// The newest data set decided before.
    pub decided: DatasetVersion,
    /// The newest data set now.
    pub version: Option<DatasetVersion>,
    /// The form of its file.
    #[serde(default, skip_serializing_if = "Form::is_csv")]
    pub form: Form,
    /// The number of its rows.
    pub rows: u64,
    /// Files that were ingested after `decided`.
    pub files: Vec<String>,
    /// The number of their new rows.
    pub new_rows: u64,
    /// The number of rows that this run's corrections of files took out of the data set.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub superseded: u64,
    /// The number of their rejected rows.
    pub quarantined: u64,
    /// The number of their duplicates, which were dropped.
    pub duplicates: u64,
    /// Warnings of ingestion.
    pub warnings: Vec<Remark>,
    /// Files that were refused in this run, with reasons.
    #[serde(default)]
    pub failures: Vec<Remark>,
    /// A file failed that had not failed before.
    pub new_failures: bool,
}

/// The release that was live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Live {
    /// Its id.
    pub release: ReleaseId,
    /// The data set that it was trained on.
    pub dataset: DatasetVersion,
    /// The form of that.
    #[serde(default, skip_serializing_if = "Form::is_csv")]
    pub form: Form,
    /// Its F1 on the test data of its time.
    pub f1: Option<f64>,
}

/// The model that was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Retrained {
    /// SHA-256 of the model file.
    pub artifact: Digest,
    /// Number of training rows.
    pub rows: u64,
    /// Number of rows held out for testing.
    pub held_out: u64,
    /// F1 on the newest test data.
    pub f1: f64,
    /// The interval of that F1.
    pub f1_interval: Interval,
    /// F1 of the best constant answer on the same rows.
    pub constant_f1: f64,
    /// Number of rows that it was scored on.
    pub test_rows: u64,
    /// Which test data these are, if the newest were too few or are gone.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Those of these notes that the reason of the decision does not contain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<String>,
}

/// The duration of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepTime {
    /// The name of the step.
    pub step: Step,
    /// The duration in seconds.
    pub seconds: f64,
}

impl Report for Decision {
    fn changed(&self) -> bool {
        self.outcome != DecisionOutcome::NothingNew || self.restored.is_some()
    }

    fn findings(&self) -> Vec<Finding> {
        attention::findings(&self.data.failures, Severity::Failed)
            .chain(attention::findings(&self.data.warnings, Severity::Warning))
            .chain(self.concerns.iter().map(Concern::as_finding))
            .collect()
    }
}

impl Decision {
    /// Writes the sentence on the data.
    fn write_data(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = &self.data;
        match (data.version, data.new_rows) {
            (None, _) => writeln!(f, "Data: none in {} yet.", data.folder),
            (Some(version), 0) => {
                match data.superseded {
                    0 => write!(
                        f,
                        "Data: {}, nothing new in {}",
                        version.name(data.form),
                        data.folder
                    )?,
                    rows => write!(
                        f,
                        "Data: {}; {} of earlier contents left, as their files changed",
                        version.name(data.form),
                        text::plural(rows, "row")
                    )?,
                }
                writeln!(f, ".")
            }
            (Some(version), new) => writeln!(
                f,
                "Data: {} from {}; {} dropped, {} quarantined; now {}.",
                text::plural(new, "new row"),
                text::names(&data.files),
                text::plural(data.duplicates, "duplicate"),
                text::count(data.quarantined),
                version.name(data.form)
            ),
        }
    }

    /// The drift of a model that stays live, of its data, and of what it is asked.
    pub fn drifts(&self) -> Vec<Finding> {
        if self.outcome == DecisionOutcome::Promoted {
            return Vec::new();
        }
        let model = self.drift.as_ref().filter(|drift| drift.drifted == Some(true));
        let model = model.map(|drift| Finding::warning(FindingKind::ModelDrift, &drift.reason));
        let data = self.data_drift.iter().flat_map(|data| &data.columns).filter(|c| c.drifted);
        let data = data.map(|column| {
            Finding::warning(FindingKind::DataDrift, &column.explanation).about([&column.column])
        });
        model
            .into_iter()
            .chain(data)
            .chain(self.asked.iter().flat_map(|w| w.as_findings()))
            .collect()
    }

    /// Writes the sentences on drift.
    fn write_drift(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(drift) = &self.drift {
            writeln!(f, "{}.", drift.reason)?;
            if let Some(other) = self.gate.as_ref().and_then(|gate| gate.other) {
                let name = other.metric.words();
                writeln!(f, "  Drift is judged by F1; the gate compares the models by {name}.")?;
            }
            for verdict in drift.verdicts.iter().filter(|v| v.rule != drift.decided_by) {
                let words = verdict.explanation.trim_end_matches(',');
                writeln!(f, "  {}: {words}", verdict.rule.name())?;
            }
        }
        if let Some(data) = &self.data_drift {
            let drifted: Vec<_> = data.columns.iter().filter(|c| c.drifted).collect();
            writeln!(
                f,
                "Data drift: in {} of {} columns, against the training rows, at a family-wise level of {}.",
                drifted.len(),
                data.columns.len(),
                data.alpha
            )?;
            for column in drifted {
                writeln!(f, "  {}", column.explanation)?;
            }
        }
        if let Some(asked) = &self.asked {
            write!(f, "Asked {asked}")?;
        }
        Ok(())
    }

    /// Writes the sentences on champion and challenger.
    fn write_contest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(gate) = &self.gate {
            let compared = gate.compared();
            writeln!(
                f,
                "Gate: {} of the champion {:.4}, of the challenger {:.4} on the same {} rows; difference \
                 {:+.4} ({:+.3} to {:+.3}).",
                compared.metric.words(),
                compared.champion,
                compared.challenger,
                text::count(gate.n),
                gate.difference,
                gate.interval.low,
                gate.interval.high
            )?;
        }
        if let Some(replay) = &self.replay {
            write!(f, "{replay}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dry = if self.dry_run { " (dry run: nothing was written)" } else { "" };
        writeln!(f, "Run {} of {}{dry}", self.run_id, self.recorded)?;
        match &self.live {
            Some(live) => writeln!(
                f,
                "Live when it began: {}, trained on {}{}.",
                live.release,
                live.dataset.name(live.form),
                live.f1.map_or(String::new(), |f1| format!(", F1 {f1:.4} on its test data"))
            )?,
            None => writeln!(f, "No model was live when it began.")?,
        }
        self.write_data(f)?;
        if let Some(holdout) = &self.holdout {
            writeln!(
                f,
                "Hold-out: {} of {} ({} positive) went to {}; no model is trained on them.",
                text::count(holdout.rows),
                text::plural(holdout.drawn_from, "new row"),
                text::count(holdout.positives),
                holdout.name
            )?;
            if holdout.known_rows > 0 {
                writeln!(
                    f,
                    "  {} of them {} of entities whose earlier rows the live model was trained on, which \
                     favours it in the comparison.",
                    text::count(holdout.known_rows),
                    if holdout.known_rows == 1 { "is" } else { "are" }
                )?;
            }
        }
        self.write_drift(f)?;
        if let Some(window) = &self.window {
            write!(f, "{window}")?;
        }
        if let Some(new) = &self.retrained {
            writeln!(
                f,
                "Retrained on {}, {} held out: F1 {:.4} ({:.3} to {:.3}) on {}; best constant answer \
                 {:.4}.",
                text::plural(new.rows, "row"),
                text::count(new.held_out),
                new.f1,
                new.f1_interval.low,
                new.f1_interval.high,
                text::plural(new.test_rows, "test row"),
                new.constant_f1
            )?;
            for note in &new.untold {
                writeln!(f, "  {note}.")?;
            }
        }
        self.write_contest(f)?;
        let forced = if self.forced { " (forced)" } else { "" };
        match self.outcome {
            DecisionOutcome::NothingNew => writeln!(f, "Nothing to do: {}.", self.reason),
            DecisionOutcome::NoDrift => writeln!(f, "Decision: the live model stays.{forced}"),
            DecisionOutcome::Undecided => {
                writeln!(f, "Decision: none yet; these rows count again with the next ones.")
            }
            DecisionOutcome::DryRun => {
                writeln!(f, "Decision: a run would retrain now: {}.", self.reason)
            }
            DecisionOutcome::Refused => {
                writeln!(f, "Decision: the new model is refused: {}.{forced}", self.reason)
            }
            DecisionOutcome::Waits => writeln!(
                f,
                "Decision: {} passed the gate and waits for approval: {}.{forced}",
                self.waits.as_ref().map_or("the new model", ReleaseId::as_str),
                self.reason
            ),
            DecisionOutcome::Promoted => writeln!(
                f,
                "Decision: {} is live now: {}.{forced}",
                self.release.as_ref().map_or("the new model", ReleaseId::as_str),
                self.reason
            ),
        }
    }
}
