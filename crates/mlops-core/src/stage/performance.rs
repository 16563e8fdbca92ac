//! How well the releases did, over time: scores on held-out rows, of the live model on new rows, and later by labels;
//! with the decisions that were made.
//!
//! Read from the ledger and the scores of sealed releases; nothing is computed anew, and nothing is written. Not
//! for drawing it.

use chrono::{DateTime, NaiveDate};
use serde::Serialize;

use crate::Result;
use crate::evaluation::metrics::interval::{f1_interval, wilson};
use crate::evaluation::metrics::{ConfusionMatrix, Evaluation, Interval, Metric};
use crate::ids::{DatasetVersion, DecisionOutcome, ReleaseId, RunId};
use crate::ledger::{Action, Deployment, Ledger, PAGE_SIZE, Paged};
use crate::outcomes::Realised;
use crate::release::{SCORE, Store, parse};
use crate::run::asked::AskedWindow;

use super::outcomes;
use super::score::Score;

/// The metrics that are shown over time.
pub const METRICS: [Metric; 5] =
    [Metric::F1, Metric::Precision, Metric::Recall, Metric::Accuracy, Metric::RocAuc];
/// The most scores of releases that are read from their folders at a time.
const MOST_RELEASES: usize = 100;
/// The most windows of what was asked of releases.
const MOST_WINDOWS: u32 = 200;

/// Scores over a period, and its decisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Performance {
    /// The metric of the scores.
    pub metric: Metric,
    /// The scores, oldest first.
    pub points: Vec<Point>,
    /// The changes of the live release, oldest first.
    pub releases: Vec<Change>,
    /// The decisions.
    pub decisions: Paged<Decided>,
}

impl Performance {
    /// Nothing, as of a ledger that does not exist yet.
    pub fn empty(metric: Metric) -> Self {
        Self { metric, points: Vec::new(), releases: Vec::new(), decisions: Paged::empty() }
    }
}

/// What a score is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A release on the held-out rows of its time.
    HoldOut,
    /// A new model that did not go live, on the held-out rows.
    Challenger,
    /// The live release on the labelled rows that came after its training.
    NewRows,
    /// The live release on served rows, estimated from its probabilities.
    Estimated,
    /// The live release on served rows, by the labels that came later.
    Realised,
}

impl Basis {
    /// All of them, in the order of legends.
    pub const ALL: [Self; 5] =
        [Self::HoldOut, Self::NewRows, Self::Realised, Self::Estimated, Self::Challenger];

    /// What it is, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::HoldOut => "release on its hold-out",
            Self::Challenger => "refused model on the hold-out",
            Self::NewRows => "live model on new rows",
            Self::Estimated => "estimated, without labels",
            Self::Realised => "realised, by late labels",
        }
    }
}

/// A score at a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// When it was recorded, RFC 3339, UTC.
    pub at: String,
    /// What it is based on.
    pub basis: Basis,
    /// The release, if it was one.
    pub release: Option<ReleaseId>,
    /// The value of the metric.
    pub value: f64,
    /// Its interval, if there is one.
    pub interval: Option<Interval>,
    /// The number of rows that it is based on, if known.
    pub rows: Option<u64>,
    /// The share of the rows that have labels, of realised scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
}

/// A change of the live release.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// When, RFC 3339, UTC.
    pub at: String,
    /// How.
    pub action: Action,
    /// What is live since.
    pub release: ReleaseId,
    /// Why.
    pub reason: String,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decided {
    /// When, RFC 3339, UTC.
    pub at: String,
    /// The run that made it.
    pub run_id: RunId,
    /// The outcome.
    pub outcome: DecisionOutcome,
    /// Why; `None` if that was removed with the details by an earlier version.
    pub reason: Option<String>,
    /// The data set that it was made on.
    pub dataset: DatasetVersion,
    /// The release that was judged.
    pub release: Option<ReleaseId>,
    /// F1 of that release on the new rows.
    pub f1: Option<f64>,
    /// The details are on record: `fullprocess --explain RUN` shows them.
    pub detailed: bool,
}

/// Seconds since 1970 of a recorded time.
pub fn seconds(at: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(at).ok().map(|at| at.timestamp())
}

/// Page `page` of the decisions, with the scores of that time.
pub fn of(ledger: &Ledger, store: Store<'_>, metric: Metric, page: u64) -> Result<Performance> {
    let total = ledger.decision_count()?;
    let page = page.max(1);
    let offset = (page - 1).saturating_mul(PAGE_SIZE);
    let lines = ledger.decision_lines(offset, PAGE_SIZE)?;
    // The newest page goes on to the present, the oldest begins with the first release.
    let until = match offset.checked_sub(1) {
        Some(newer) => ledger.decision_lines(newer, 1)?.pop().map(|line| line.record.recorded),
        None => None,
    };
    let is_oldest = offset.saturating_add(lines.len() as u64) >= total;
    let from = lines.last().filter(|_| !is_oldest).map(|line| line.record.recorded.clone());
    let mut deployments = ledger.deployments_between(from.as_deref(), until.as_deref())?;
    let surplus = deployments.len().saturating_sub(MOST_RELEASES);
    deployments.drain(..surplus);
    let mut points = Vec::new();
    for deployment in &deployments {
        points.extend(held_out(store, deployment, metric));
    }
    for line in &lines {
        let record = &line.record;
        if let Some(matrix) = &record.matrix {
            points.extend(on_new_rows(
                record.recorded.clone(),
                record.release.as_ref(),
                matrix,
                metric,
            ));
        }
        let challenger = record.headline.as_ref().and_then(|headline| headline.challenger.as_ref());
        if let Some(new) = challenger
            && metric == Metric::F1
            && record.outcome != DecisionOutcome::Promoted
        {
            points.push(Point {
                at: record.recorded.clone(),
                basis: Basis::Challenger,
                release: None,
                value: new.f1,
                interval: Some(new.interval),
                rows: Some(new.rows),
                coverage: None,
            });
        }
    }
    let within = |at: &str| {
        from.as_deref().is_none_or(|from| at >= from)
            && until.as_deref().is_none_or(|until| at < until)
    };
    let later = estimated(ledger, metric)?.into_iter().chain(realised(ledger, metric)?);
    points.extend(later.filter(|point| within(&point.at)));
    points.sort_by(|a, b| a.at.cmp(&b.at));
    let releases = deployments.into_iter().map(|d| Change {
        at: d.recorded,
        action: d.action,
        release: d.release,
        reason: d.reason,
    });
    let items = lines.into_iter().map(|line| Decided {
        at: line.record.recorded,
        run_id: line.record.run_id,
        outcome: line.record.outcome,
        reason: line.record.headline.map(|headline| headline.reason).filter(|r| !r.is_empty()),
        dataset: line.record.dataset,
        release: line.record.release,
        f1: line.record.f1,
        detailed: line.detailed,
    });
    let decisions = Paged { items: items.collect(), page, size: PAGE_SIZE, total };
    Ok(Performance { metric, points, releases: releases.collect(), decisions })
}

/// The score of a release on the test data of its time. Of a release that was removed only the F1 is known.
fn held_out(releases: Store<'_>, deployment: &Deployment, metric: Metric) -> Option<Point> {
    let path = releases.folder(&deployment.release).join(SCORE);
    let score = if path.is_file() { parse::<Score>(&path).ok() } else { None };
    let bare = |value| Point {
        at: deployment.recorded.clone(),
        basis: Basis::HoldOut,
        release: Some(deployment.release.clone()),
        value,
        interval: None,
        rows: None,
        coverage: None,
    };
    match score {
        Some(Score { evaluation, .. }) => Some(Point {
            interval: interval(metric, &evaluation),
            rows: Some(evaluation.n),
            ..bare(metric.of(&evaluation)?)
        }),
        None => deployment.f1.filter(|_| metric == Metric::F1).map(bare),
    }
}

/// The scores that are expected of what was asked of releases, each at noon of the last day of its window.
fn estimated(ledger: &Ledger, metric: Metric) -> Result<Vec<Point>> {
    let records = ledger.asked(None, MOST_WINDOWS)?;
    let points = records.into_iter().filter_map(|(release, record)| {
        // What another version wrote may lack something.
        let window: AskedWindow = serde_json::from_str(&record).ok()?;
        let estimate = window.outlook.estimate()?;
        let expected = match metric {
            Metric::F1 => estimate.f1,
            Metric::Precision => estimate.precision,
            Metric::Recall => estimate.recall,
            Metric::RocAuc => estimate.roc_auc,
            _ => return None,
        };
        let last = window.until.pred_opt().unwrap_or(window.until);
        Some(Point {
            at: format!("{last}T12:00:00.000Z"),
            basis: Basis::Estimated,
            release: Some(release),
            value: expected.value,
            interval: Some(expected.interval),
            rows: Some(window.rows),
            coverage: None,
        })
    });
    Ok(points.collect())
}

/// The scores by labels that came later, each at noon of the last day of its window.
fn realised(ledger: &Ledger, metric: Metric) -> Result<Vec<Point>> {
    let Some(outcomes) = outcomes::newest(ledger)? else { return Ok(Vec::new()) };
    let points = outcomes.releases.into_iter().flat_map(|of| {
        let release = of.release;
        of.windows.into_iter().filter_map(move |window| {
            let Realised { labelled, coverage, scores, .. } = window.realised;
            let scores = scores?;
            let (value, interval) = match metric {
                Metric::F1 => (scores.f1, Some(scores.f1_interval)),
                Metric::Precision => (scores.precision, Some(scores.precision_interval)),
                Metric::Recall => (scores.recall, Some(scores.recall_interval)),
                Metric::Accuracy => (scores.accuracy, Some(scores.accuracy_interval)),
                Metric::RocAuc => (scores.roc_auc?, scores.roc_auc_interval),
                _ => return None,
            };
            let day = window.end.get(..10)?.parse::<NaiveDate>().ok()?.pred_opt()?;
            Some(Point {
                at: format!("{day}T12:00:00.000Z"),
                basis: Basis::Realised,
                release: Some(release.clone()),
                value,
                interval,
                rows: Some(labelled),
                coverage: Some(coverage),
            })
        })
    });
    Ok(points.collect())
}

/// The interval of `metric` in `evaluation`.
fn interval(metric: Metric, evaluation: &Evaluation) -> Option<Interval> {
    match metric {
        Metric::F1 => Some(evaluation.f1_interval),
        Metric::Accuracy => Some(evaluation.accuracy_interval),
        Metric::Precision => evaluation.precision_interval,
        Metric::Recall => evaluation.recall_interval,
        Metric::RocAuc => evaluation.roc_auc_interval,
        _ => None,
    }
}

/// The score of the live release on the rows that a decision judged it by.
fn on_new_rows(
    at: String,
    release: Option<&ReleaseId>,
    matrix: &ConfusionMatrix,
    metric: Metric,
) -> Option<Point> {
    let m = matrix;
    let interval = match metric {
        Metric::F1 => f1_interval(m),
        Metric::Accuracy => wilson(m.tp + m.tn, m.n()),
        Metric::Precision => wilson(m.tp, m.tp + m.fp),
        Metric::Recall => wilson(m.tp, m.positives()),
        _ => return None,
    };
    // A share of nothing is unknown.
    let known = match metric {
        Metric::Precision => m.tp + m.fp > 0,
        Metric::Recall => m.positives() > 0,
        _ => m.n() > 0,
    };
    let value = metric.of_counts(m).filter(|_| known)?;
    let (basis, rows) = (Basis::NewRows, Some(m.n()));
    let interval = Some(interval);
    Some(Point { at, basis, release: release.cloned(), value, interval, rows, coverage: None })
}
