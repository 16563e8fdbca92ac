//! What training chose from the data besides the coefficients: the threshold, the penalty, and the
//! correction of probabilities for weighted classes.
//!
//! Also its form in the model file. Not for choosing: see `evaluation::cutoff` and `model::fit`.

use bincode::{Decode, Encode};

use crate::config::Training;
use crate::config::choices::ThresholdRule;
use crate::evaluation::cutoff::{Cutoff, CutoffPoint};
use crate::evaluation::metrics::{ConfusionMatrix, Interval, Method};
use crate::model::fit::{GridPoint, PenaltyGrid};

/// What training chose from the data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tuned {
    /// How much was added to the intercept of a fit with weighted classes, so that its probabilities
    /// hold for the rows as they are; 0 without weights, and in models of earlier versions.
    pub prior_shift: f64,
    /// How the threshold was chosen, if a rule chose it.
    pub cutoff: Option<Cutoff>,
    /// How the penalty was chosen, if it was searched.
    pub grid: Option<PenaltyGrid>,
}

/// [`Tuned`] in plain types, and the rule of the threshold. The default is what a file of an earlier
/// version implies.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode)]
pub(super) struct StoredTuned {
    prior_shift: f64,
    rule: ThresholdRule,
    cutoff: Option<StoredCutoff>,
    grid: Option<StoredGrid>,
}

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
struct StoredCutoff {
    /// Low, high, level.
    interval: Option<[f64; 3]>,
    resamples: u64,
    unmet: u64,
    value: f64,
    counts: StoredCounts,
    folds: u64,
    forward: bool,
    entities: u64,
    /// Threshold, value and counts.
    table: Vec<(f64, f64, StoredCounts)>,
}

/// In the order tn, fp, fn, tp.
type StoredCounts = [u64; 4];

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
struct StoredGrid {
    /// C, mean log loss and standard error.
    points: Vec<[f64; 3]>,
    best: f64,
    chosen: f64,
    folds: u64,
}

impl StoredTuned {
    pub(super) fn of(tuned: &Tuned, training: &Training) -> Self {
        let grid = tuned.grid.as_ref().map(|grid| StoredGrid {
            points: grid.points.iter().map(|p| [p.c, p.log_loss, p.standard_error]).collect(),
            best: grid.best,
            chosen: grid.chosen,
            folds: grid.folds,
        });
        let cutoff = tuned.cutoff.as_ref().map(|cutoff| StoredCutoff {
            interval: cutoff.interval.map(|i| [i.low, i.high, i.level]),
            resamples: cutoff.resamples,
            unmet: cutoff.unmet,
            value: cutoff.value,
            counts: stored(&cutoff.counts),
            folds: cutoff.folds,
            forward: cutoff.forward,
            entities: cutoff.entities,
            table: cutoff.table.iter().map(|p| (p.threshold, p.value, stored(&p.counts))).collect(),
        });
        Self { prior_shift: tuned.prior_shift, rule: training.threshold_rule, cutoff, grid }
    }

    /// Restores what was stored, and completes `training`, whose threshold and C are those chosen.
    pub(super) fn restored(self, training: &mut Training) -> Tuned {
        training.threshold_rule = self.rule;
        training.search_c = self.grid.is_some();
        let grid = self.grid.map(|grid| PenaltyGrid {
            points: grid
                .points
                .into_iter()
                .map(|[c, log_loss, standard_error]| GridPoint { c, log_loss, standard_error })
                .collect(),
            best: grid.best,
            chosen: grid.chosen,
            folds: grid.folds,
        });
        let method = Method::Bootstrap;
        let cutoff = self.cutoff.map(|cutoff| Cutoff {
            rule: self.rule,
            threshold: training.threshold,
            interval: cutoff.interval.map(|[low, high, level]| Interval {
                low,
                high,
                level,
                method,
            }),
            resamples: cutoff.resamples,
            unmet: cutoff.unmet,
            value: cutoff.value,
            counts: counted(cutoff.counts),
            folds: cutoff.folds,
            forward: cutoff.forward,
            entities: cutoff.entities,
            table: cutoff
                .table
                .into_iter()
                .map(|(threshold, value, counts)| CutoffPoint {
                    threshold,
                    value,
                    counts: counted(counts),
                })
                .collect(),
        });
        Tuned { prior_shift: self.prior_shift, cutoff, grid }
    }

    /// Whether all numbers are finite, as those of every training are.
    pub(super) fn is_finite(&self) -> bool {
        let rule = match self.rule {
            ThresholdRule::Given | ThresholdRule::Prior | ThresholdRule::Maximize(_) => [0.0; 2],
            ThresholdRule::MinRecall(x)
            | ThresholdRule::MinPrecision(x)
            | ThresholdRule::Top(x) => [x; 2],
            ThresholdRule::Cost { false_positive, false_negative } => {
                [false_positive, false_negative]
            }
        };
        let cutoff = self.cutoff.iter().flat_map(|cutoff| {
            let table = cutoff.table.iter().flat_map(|(threshold, value, _)| [*threshold, *value]);
            cutoff.interval.into_iter().flatten().chain([cutoff.value]).chain(table)
        });
        let grid = self
            .grid
            .iter()
            .flat_map(|grid| grid.points.iter().flatten().copied().chain([grid.best, grid.chosen]));
        rule.into_iter().chain(cutoff).chain(grid).chain([self.prior_shift]).all(f64::is_finite)
    }
}

fn stored(counts: &ConfusionMatrix) -> StoredCounts {
    [counts.tn, counts.fp, counts.fn_, counts.tp]
}

fn counted([tn, fp, fn_, tp]: StoredCounts) -> ConfusionMatrix {
    ConfusionMatrix { tn, fp, fn_, tp }
}
