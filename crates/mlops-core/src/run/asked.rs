//! Records of the requests to a release, window by window, and of what a challenger would have answered.
//!
//! Not for making them: see `stage::asked` and `stage::replay`.

use std::fmt;

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::drift::DataDrift;
use crate::evaluation::estimate::{Estimate, Expected};
use crate::evaluation::metrics::interval::LEVEL;
use crate::evaluation::metrics::{Interval, PairedCounts};
use crate::evaluation::refusal::Refusal;
use crate::ids::{FindingKind, ReleaseId};
use crate::run::attention::Finding;
use crate::text;

/// What the log says of the live release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Asked {
    /// The release.
    pub release: ReleaseId,
    /// Its F1 on its test rows, to compare with.
    pub tested_f1: f64,
    /// The newest spans of time in which it answered, oldest first.
    pub windows: Vec<AskedWindow>,
    /// The number of lines of the log that are not understood.
    pub strange: u64,
}

/// What was asked in a span of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AskedWindow {
    /// Its first day, in UTC.
    pub from: NaiveDate,
    /// The day after its last.
    pub until: NaiveDate,
    /// The number of rows that were answered.
    pub rows: u64,
    /// The number of these predicted positive.
    pub positive: u64,
    /// The scores to expect, or why none are.
    pub outlook: Outlook,
    /// The sentence for people, if none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What the rows are compared with.
    pub against: Against,
    /// The comparison, column by column.
    pub drift: DataDrift,
}

/// The scores to expect of a span of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// The scores.
    Estimated(Box<Estimate>),
    /// Why none can be trusted.
    Refused(Refusal),
}

/// What the rows that are asked are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The columns of the training rows.
    TrainingRows,
    /// The probabilities of the test rows, as there are no features or no training rows any more.
    TestProbabilities,
}

/// What a challenger would have answered for the rows that the live release was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Replay {
    /// The number of rows that both answered.
    pub rows: u64,
    /// The number of these that the challenger answers positive and the live release answered negative.
    pub to_positive: u64,
    /// The number of these that the challenger answers negative and the live release answered positive.
    pub to_negative: u64,
    /// The challenger's mean probability less that of the live release.
    pub mean_difference: f64,
    /// The mean size of the difference of their probabilities.
    pub mean_distance: f64,
    /// The number of rows that the challenger gives no answer for.
    pub unanswered: u64,
    /// The number of logged rows whose features are not in the log.
    pub without_features: u64,
    /// The scores of both on those of the rows whose labels are known by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled: Option<Labelled>,
}

/// Live release and challenger on logged rows whose labels are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Labelled {
    /// The number of these rows.
    pub rows: u64,
    /// F1 of the live release.
    pub champion_f1: f64,
    /// F1 of the challenger.
    pub challenger_f1: f64,
    /// The challenger's F1 less that of the live release.
    pub difference: f64,
    /// The paired interval of the difference.
    pub interval: Interval,
    /// The challenger may have been trained on these rows, which favours it.
    pub trained_on: bool,
}

impl Labelled {
    /// The scores that follow from `counts`, with an interval that depends on the seed; `None` without rows.
    pub fn of(counts: &PairedCounts, seed: u64, trained_on: bool) -> Option<Self> {
        (counts.n() > 0).then(|| Self {
            rows: counts.n(),
            champion_f1: counts.champion().f1(),
            challenger_f1: counts.challenger().f1(),
            difference: counts.difference(),
            interval: counts.interval(LEVEL, RESAMPLES, seed),
            trained_on,
        })
    }
}

/// Resamples of the paired interval.
const RESAMPLES: usize = 5_000;

impl Replay {
    /// The share of the rows that change sides.
    pub fn changed(&self) -> f64 {
        (self.to_positive + self.to_negative) as f64 / self.rows.max(1) as f64
    }
}

/// The window that tells most of the present: the newest, unless it just began and the one before has an
/// estimate.
pub fn headline(windows: &[AskedWindow]) -> Option<&AskedWindow> {
    let (newest, before) = windows.split_last()?;
    let young = matches!(newest.outlook, Outlook::Refused(Refusal::FewAnswered { .. }));
    let full = before.last().filter(|window| young && window.outlook.estimate().is_some());
    Some(full.unwrap_or(newest))
}

impl Outlook {
    /// The scores, if there are any.
    pub fn estimate(&self) -> Option<&Estimate> {
        match self {
            Self::Estimated(estimate) => Some(estimate),
            Self::Refused(_) => None,
        }
    }
}

impl AskedWindow {
    /// Each column that drifted, as a finding.
    pub fn as_findings(&self) -> impl Iterator<Item = Finding> {
        let rows = match self.against {
            Against::TrainingRows => "the rows",
            Against::TestProbabilities => "the probabilities of the rows",
        };
        let said = format!("{rows} that were asked from {} on", self.from);
        let drifted = self.drift.columns.iter().filter(|column| column.drifted);
        drifted.map(move |column| {
            let words = format!("{said}: {}", column.explanation);
            Finding::warning(FindingKind::AskedDrift, words).about([&column.column])
        })
    }

    /// The columns that drifted.
    pub fn drifted(&self) -> impl Iterator<Item = &str> {
        self.drift.columns.iter().filter(|column| column.drifted).map(|c| c.column.as_str())
    }
}

impl fmt::Display for AskedWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, rows, positive, outlook, against, drift, .. } = self;
        let last = self.until - Days::new(1);
        let percent = 100.0 * *positive as f64 / (*rows).max(1) as f64;
        let days = if last == *from { from.to_string() } else { format!("{from} to {last}") };
        writeln!(f, "{days}: {}, {percent:.1} % predicted positive", text::plural(*rows, "row"))?;
        match outlook {
            Outlook::Estimated(estimate) => {
                let score = |name: &str, Expected { value, interval }: Expected| {
                    format!("{name} {value:.3} ({:.3} to {:.3})", interval.low, interval.high)
                };
                let scores = [
                    score("F1", estimate.f1),
                    score("precision", estimate.precision),
                    score("recall", estimate.recall),
                    score("ROC AUC", estimate.roc_auc),
                ];
                writeln!(f, "  expected: {}", scores.join(", "))?;
            }
            Outlook::Refused(why) => writeln!(f, "  no scores are estimated: {why}")?,
        }
        let (compared, reference) = match against {
            Against::TrainingRows => ("columns", "training rows"),
            Against::TestProbabilities => ("the probabilities", "test rows"),
        };
        let names: Vec<&str> = self.drifted().collect();
        match (against, names.is_empty()) {
            (Against::TrainingRows, false) => {
                writeln!(
                    f,
                    "  {} {compared} drifted against the {reference}: {}",
                    names.len(),
                    text::names(&names)
                )
            }
            (Against::TrainingRows, true) => writeln!(
                f,
                "  none of {} {compared} drifted against the {reference}",
                drift.columns.len()
            ),
            (Against::TestProbabilities, drifted) => writeln!(
                f,
                "  {compared} {} against those of the {reference}",
                if drifted { "did not drift" } else { "drifted" }
            ),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Rows that {} was asked for, and the scores to expect of it until labels come (F1 on its test \
             rows: {:.3}):",
            self.release, self.tested_f1
        )?;
        self.windows.iter().rev().try_for_each(|window| window.fmt(f))?;
        if self.strange > 0 {
            writeln!(f, "{} of the log cannot be understood", text::plural(self.strange, "line"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Replay of {} of the prediction log: the challenger agrees with {:.1} % of the answers; {} would turn \
             positive and {} negative; probabilities differ by {:.3} on average ({:+.3} in the mean)",
            text::plural(self.rows, "row"),
            100.0 * (1.0 - self.changed()),
            text::count(self.to_positive),
            text::count(self.to_negative),
            self.mean_distance,
            self.mean_difference
        )?;
        for (rows, what) in [
            (self.unanswered, "without an answer of the challenger"),
            (self.without_features, "without features in the log"),
        ] {
            if rows > 0 {
                write!(f, "; {} {what}", text::count(rows))?;
            }
        }
        f.write_str(".\n")?;
        let Some(known) = &self.labelled else { return Ok(()) };
        writeln!(
            f,
            "  The labels of {} of them are known: F1 of the live release {:.4}, of the challenger {:.4}; difference \
             {:+.4} ({:+.3} to {:+.3}){}.",
            text::count(known.rows),
            known.champion_f1,
            known.challenger_f1,
            known.difference,
            known.interval.low,
            known.interval.high,
            if known.trained_on {
                ". The challenger may have been trained on these rows, which favours it"
            } else {
                ""
            }
        )
    }
}
