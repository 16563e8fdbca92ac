//! The threshold that a rule chooses from cross-validated predictions: the exact optimum over all
//! thresholds, with an interval.
//!
//! Only the order of the predicted probabilities matters, so that one pass from the highest to the
//! lowest sees every way to divide the rows by a threshold. The threshold is put in the middle between
//! the two neighbouring probabilities. Its interval has the percentiles of the thresholds that the
//! same rule chooses on resamples; whole entities are drawn with replacement (Efron 1979; Davison
//! and Hinkley, Bootstrap Methods and their Application, 1997, 3.8). Not for predicting: see
//! [`super::metrics::threshold`]; not for the folds: see [`super::folds`].

use std::fmt;

use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::metrics::bootstrap::percentile_interval;
use super::metrics::{ConfusionMatrix, Interval};
use crate::config::choices::{Aim, ThresholdRule};
use crate::platform::threads::together;
use crate::{Error, Result, text};

/// The most and the fewest resamples; in between they are as many as visit about [`VISITS`] rows.
const RESAMPLES: (usize, usize) = (1_000, 200);
const VISITS: usize = 50_000_000;
/// The nominal coverage of the interval.
const LEVEL: f64 = 0.95;
/// Rows of the table: steps of 5 % of the rows that are predicted positive.
const STEPS: u64 = 20;

/// A chosen threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cutoff {
    /// The rule that chose it.
    pub rule: ThresholdRule,
    /// The threshold.
    pub threshold: f64,
    /// The interval of the threshold over resamples of the entities; `None` if fewer than half of
    /// them could meet the rule.
    pub interval: Option<Interval>,
    /// The number of resamples.
    pub resamples: u64,
    /// The number of them in which no threshold met the rule.
    pub unmet: u64,
    /// The figure that the rule is about, see [`figure`].
    pub value: f64,
    /// The cross-validated predictions at the threshold, counted.
    pub counts: ConfusionMatrix,
    /// The number of folds.
    pub folds: u64,
    /// Each fold was tested on rows that are later than those it was trained on.
    pub forward: bool,
    /// Number of entities among the predicted rows.
    pub entities: u64,
    /// What other thresholds give, from the highest to the lowest.
    pub table: Vec<CutoffPoint>,
}

/// A threshold and what it gives on the cross-validated predictions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CutoffPoint {
    /// The threshold.
    pub threshold: f64,
    /// The figure that the rule is about.
    pub value: f64,
    /// The counted predictions.
    pub counts: ConfusionMatrix,
}

/// The name of the figure that `rule` is about.
pub fn figure_name(rule: ThresholdRule) -> &'static str {
    match rule {
        ThresholdRule::Maximize(aim) => aim.name(),
        ThresholdRule::MinRecall(_) => "recall",
        ThresholdRule::MinPrecision(_) => "precision",
        ThresholdRule::Cost { .. } => "cost per row",
        ThresholdRule::Given | ThresholdRule::Prior | ThresholdRule::Top(_) => {
            "share predicted positive"
        }
    }
}

/// The figure that `rule` is about: the metric, the recall, the precision, the mean cost of a row,
/// or the share of rows that are predicted positive.
pub fn figure(rule: ThresholdRule, counts: &ConfusionMatrix) -> f64 {
    match rule {
        ThresholdRule::Maximize(aim) => metric(aim, counts),
        ThresholdRule::MinRecall(_) => counts.recall(),
        ThresholdRule::MinPrecision(_) => counts.precision(),
        ThresholdRule::Cost { false_positive, false_negative } => {
            cost(counts, false_positive, false_negative) / counts.n().max(1) as f64
        }
        ThresholdRule::Given | ThresholdRule::Prior | ThresholdRule::Top(_) => {
            (counts.tp + counts.fp) as f64 / counts.n().max(1) as f64
        }
    }
}

/// What `rule` asks for, in words.
pub fn words(rule: ThresholdRule) -> String {
    match rule {
        ThresholdRule::Given => "as configured".to_owned(),
        ThresholdRule::Prior => "the share of positive training rows".to_owned(),
        ThresholdRule::Maximize(aim) => format!("the highest {}", aim.name().replace('_', " ")),
        ThresholdRule::MinRecall(least) => {
            format!("a recall of at least {least}, with as few rows predicted positive as possible")
        }
        ThresholdRule::MinPrecision(least) => {
            format!("a precision of at least {least}, with as many positives found as possible")
        }
        ThresholdRule::Cost { false_positive, false_negative } => format!(
            "the lowest cost, at {false_positive} for a false positive and {false_negative} for a \
             false negative"
        ),
        ThresholdRule::Top(share) => {
            format!("the rows with the highest probabilities, at most {} % of all", 100.0 * share)
        }
    }
}

impl fmt::Display for Cutoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4}", self.threshold)?;
        match &self.interval {
            Some(i) => write!(f, " (95 % interval {:.4} to {:.4})", i.low, i.high)?,
            None => f.write_str(" (no interval: most resamples could not meet the rule)")?,
        }
        write!(f, ", chosen for {}: ", words(self.rule))?;
        // Precision and recall follow anyway.
        if !matches!(self.rule, ThresholdRule::MinRecall(_) | ThresholdRule::MinPrecision(_)) {
            write!(f, "{} {:.4}, ", figure_name(self.rule), self.value)?;
        }
        write!(
            f,
            "precision {:.4}, recall {:.4} on {} predicted by cross-validation ({} folds{})",
            self.counts.precision(),
            self.counts.recall(),
            text::plural(self.counts.n(), "training row"),
            self.folds,
            if self.forward { ", forward in time" } else { "" }
        )
    }
}

fn metric(aim: Aim, counts: &ConfusionMatrix) -> f64 {
    match aim {
        Aim::F1 => counts.f1(),
        Aim::Accuracy => counts.accuracy(),
        Aim::BalancedAccuracy => counts.balanced_accuracy(),
        Aim::Mcc => counts.mcc(),
        Aim::Youden => counts.recall() + counts.specificity() - 1.0,
    }
}

fn cost(counts: &ConfusionMatrix, false_positive: f64, false_negative: f64) -> f64 {
    counts.fp as f64 * false_positive + counts.fn_ as f64 * false_negative
}

/// What `rule` wants as large as possible; `None` if these counts do not meet it. Of equal ones the
/// highest threshold is taken.
fn worth(rule: ThresholdRule, counts: &ConfusionMatrix) -> Option<(f64, f64)> {
    let positive = counts.tp + counts.fp;
    match rule {
        ThresholdRule::Maximize(aim) => Some((metric(aim, counts), 0.0)),
        ThresholdRule::MinRecall(least) => (counts.positives() > 0 && counts.recall() >= least)
            .then_some((-(positive as f64), 0.0)),
        ThresholdRule::MinPrecision(least) => (positive > 0 && counts.precision() >= least)
            .then_some((counts.tp as f64, -(counts.fp as f64))),
        ThresholdRule::Cost { false_positive, false_negative } => {
            Some((-cost(counts, false_positive, false_negative), 0.0))
        }
        ThresholdRule::Top(share) => {
            // 7 % of 100 rows are 7, although 0.07 * 100 is more in doubles.
            let most = share * counts.n() as f64 * (1.0 + 1e-12);
            (positive > 0 && positive as f64 <= most).then_some((positive as f64, 0.0))
        }
        ThresholdRule::Given | ThresholdRule::Prior => None,
    }
}

/// Predicted rows from the highest probability to the lowest.
#[derive(Debug)]
struct Ordered {
    /// Twice the entity of each row, plus 1 for a positive.
    rows: Vec<u32>,
    /// The different probabilities, descending, each with the end of its rows in `rows`.
    values: Vec<(f64, u32)>,
    entities: usize,
}

impl Ordered {
    fn of(labels: &[bool], probabilities: &[f64], entities: &[u32]) -> Result<Self> {
        let all = labels.len();
        if probabilities.len() != all || entities.len() != all || all >= u32::MAX as usize / 2 {
            return Err(Error::data(format!(
                "{all} labels, {} predictions and {} entities: give one of each for each row",
                probabilities.len(),
                entities.len()
            )));
        }
        let predicted = |row: &u32| !probabilities[*row as usize].is_nan();
        let mut order: Vec<u32> = (0..).take(all).filter(predicted).collect();
        let value = |row: &u32| probabilities[*row as usize];
        // The row breaks ties only for the order in memory.
        order.sort_unstable_by(|a, b| value(b).total_cmp(&value(a)).then(a.cmp(b)));
        let mut values: Vec<(f64, u32)> = Vec::new();
        for (at, row) in (1..).zip(&order) {
            match values.last_mut() {
                Some((last, end)) if last.to_bits() == value(row).to_bits() => *end = at,
                _ => values.push((value(row), at)),
            }
        }
        let highest = order.iter().map(|row| entities[*row as usize] as usize + 1).max();
        for row in &mut order {
            let at = *row as usize;
            *row = 2 * entities[at] + u32::from(labels[at]);
        }
        Ok(Self { rows: order, values, entities: highest.unwrap_or(0) })
    }

    /// The counts at a threshold above all probabilities, if entity e is there `weights[e]` times.
    fn nothing_predicted(&self, weights: &[u32]) -> ConfusionMatrix {
        let mut counts = [0_u64; 2];
        for row in &self.rows {
            counts[(row & 1) as usize] += u64::from(weights[(row >> 1) as usize]);
        }
        ConfusionMatrix { tn: counts[0], fn_: counts[1], ..ConfusionMatrix::default() }
    }

    /// Passes each way to divide the rows to `see`, from the highest threshold to the lowest, with the
    /// place of the lowest probability above the threshold (`None` above all).
    fn each(&self, weights: &[u32], mut see: impl FnMut(Option<usize>, &ConfusionMatrix)) {
        let mut counts = self.nothing_predicted(weights);
        see(None, &counts);
        let mut start = 0;
        for (place, (value, end)) in self.values.iter().enumerate() {
            let mut more = [0_u64; 2];
            for row in &self.rows[start..*end as usize] {
                more[(row & 1) as usize] += u64::from(weights[(row >> 1) as usize]);
            }
            start = *end as usize;
            let [fp, tp] = more;
            counts.fp += fp;
            counts.tn -= fp;
            counts.tp += tp;
            counts.fn_ -= tp;
            // No threshold is below 0.
            if fp + tp > 0 && *value > 0.0 {
                see(Some(place), &counts);
            }
        }
    }

    /// The best threshold by `rule`; `None` if none meets it.
    fn best(&self, rule: ThresholdRule, weights: &[u32]) -> Option<(f64, ConfusionMatrix)> {
        let mut best: Option<((f64, f64), ConfusionMatrix)> = None;
        // The probabilities around the best threshold; the lower one comes with the next division.
        let (mut above, mut below) = (None, None);
        let mut open = false;
        self.each(weights, |place, counts| {
            if open {
                (below, open) = (place, false);
            }
            let Some(worth) = worth(rule, counts) else { return };
            if best.is_none_or(|(other, _)| worth > other) {
                best = Some((worth, *counts));
                (above, below, open) = (place, None, true);
            }
        });
        let value = |place: usize| self.values[place].0;
        let high = above.map_or(1.0, value);
        // Below all that can be predicted positive are only probabilities of 0, or none.
        let low = below.map_or(0.0, value);
        best.map(|(_, counts)| (between(low, high), counts))
    }

    /// The thresholds at which about this many twentieths of the rows are predicted positive.
    fn table(&self, rule: ThresholdRule) -> Vec<CutoffPoint> {
        let mut found: Vec<(Option<usize>, ConfusionMatrix)> = Vec::new();
        let mut last = 0;
        self.each(&vec![1; self.entities], |place, counts| {
            let step = (counts.tp + counts.fp) * STEPS / counts.n().max(1);
            if step > last {
                last = step;
                found.push((place, *counts));
            }
        });
        let point = |(place, counts): (Option<usize>, ConfusionMatrix)| {
            let value = |place: usize| self.values.get(place).map(|(value, _)| *value);
            let high = place.and_then(value).unwrap_or(1.0);
            let low = place.and_then(|place| value(place + 1)).unwrap_or(0.0);
            CutoffPoint { threshold: between(low, high), value: figure(rule, &counts), counts }
        };
        found.into_iter().map(point).collect()
    }
}

/// The middle, at least `low` and always below `high` unless both are the same.
fn between(low: f64, high: f64) -> f64 {
    let middle = low.midpoint(high);
    if middle < high { middle } else { low }
}

/// What the cross-validation that made the predictions was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validation<'a> {
    /// The entity of each row, numbered from 0.
    pub entities: &'a [u32],
    /// The number of folds.
    pub folds: u64,
    /// Each fold was tested on rows that are later than those it was trained on.
    pub forward: bool,
}

impl Cutoff {
    /// The threshold that `rule` chooses for n labels and their n predicted probabilities, NaN for
    /// rows without one. `seed` determines the resamples; the number of `threads` changes nothing.
    ///
    /// ```
    /// use mlops_core::config::choices::{Aim, ThresholdRule};
    /// use mlops_core::evaluation::cutoff::{Cutoff, Validation};
    ///
    /// # fn main() -> mlops_core::Result<()> {
    /// let labels = [false, false, true, false, true, true];
    /// let probabilities = [0.1, 0.2, 0.3, 0.5, 0.6, 0.9];
    /// let validation = Validation { entities: &[0, 1, 2, 3, 4, 5], folds: 3, forward: false };
    /// let rule = ThresholdRule::Maximize(Aim::F1);
    /// let found = Cutoff::choose(rule, &labels, &probabilities, validation, 42, 1)?;
    /// // Between 0.2 and 0.3: three positives found, one false alarm.
    /// assert!((found.threshold - 0.25).abs() < 1e-15);
    /// assert!((found.value - 6.0 / 7.0).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Data` if the lengths differ, or no threshold meets the rule; the message has the best one.
    pub fn choose(
        rule: ThresholdRule,
        labels: &[bool],
        probabilities: &[f64],
        validation: Validation,
        seed: u64,
        threads: usize,
    ) -> Result<Self> {
        let ordered = Ordered::of(labels, probabilities, validation.entities)?;
        let once = vec![1; ordered.entities];
        let Some((threshold, counts)) = ordered.best(rule, &once) else {
            return Err(unreachable(rule, &ordered));
        };
        let mut there = vec![false; ordered.entities];
        for row in &ordered.rows {
            there[(row >> 1) as usize] = true;
        }
        let drawn: Vec<u32> =
            (0..).zip(&there).filter(|(_, there)| **there).map(|(entity, _)| entity).collect();
        let resamples = (VISITS / ordered.rows.len().max(1)).clamp(RESAMPLES.1, RESAMPLES.0);
        let chosen = resampled(&ordered, rule, &drawn, resamples, seed, threads);
        let unmet = resamples - chosen.len();
        let interval = (2 * unmet < resamples).then(|| percentile_interval(chosen, LEVEL));
        Ok(Self {
            rule,
            threshold,
            interval,
            resamples: resamples as u64,
            unmet: unmet as u64,
            value: figure(rule, &counts),
            counts,
            folds: validation.folds,
            forward: validation.forward,
            entities: drawn.len() as u64,
            table: ordered.table(rule),
        })
    }
}

/// The thresholds that `rule` chooses on resamples of the entities `drawn`.
fn resampled(
    ordered: &Ordered,
    rule: ThresholdRule,
    drawn: &[u32],
    resamples: usize,
    seed: u64,
    threads: usize,
) -> Vec<f64> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError};

    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![None; resamples]);
    let work = || {
        let mut weights = vec![0_u32; ordered.entities];
        loop {
            let which = next.fetch_add(1, Ordering::Relaxed);
            if which >= resamples {
                break;
            }
            // A generator of its own for each resample, so that threads change nothing.
            let mut random = Xoshiro256PlusPlus::seed_from_u64(
                seed ^ (which as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            );
            weights.fill(0);
            for _ in 0..drawn.len() {
                weights[drawn[random.random_range(0..drawn.len())] as usize] += 1;
            }
            let threshold = ordered.best(rule, &weights).map(|(threshold, _)| threshold);
            found.lock().unwrap_or_else(PoisonError::into_inner)[which] = threshold;
        }
    };
    together(threads.saturating_sub(1), &work);
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.into_iter().flatten().collect()
}

/// Says what is reachable.
fn unreachable(rule: ThresholdRule, ordered: &Ordered) -> Error {
    let rows = ordered.rows.len();
    let mut best = (f64::NEG_INFINITY, None, ConfusionMatrix::default());
    let fewest = matches!(rule, ThresholdRule::Top(_));
    ordered.each(&vec![1; ordered.entities], |place, counts| {
        let size = figure(rule, counts);
        let size = if fewest { -size } else { size };
        if place.is_some() && size > best.0 {
            best = (size, place, *counts);
        }
    });
    let (_, place, counts) = best;
    let Some(place) = place else {
        return Error::data(format!(
            "no threshold can be chosen from {rows} cross-validated predictions: all are 0. Set a \
             number for \"training.threshold\""
        ));
    };
    let low = ordered.values.get(place + 1).map_or(0.0, |(value, _)| *value);
    let threshold = between(low, ordered.values[place].0);
    let wanted = match rule {
        ThresholdRule::MinRecall(least) => format!("\"min_recall\" {least}"),
        ThresholdRule::MinPrecision(least) => format!("\"min_precision\" {least}"),
        ThresholdRule::Top(share) => format!("\"top\" {share}"),
        _ => "the rule".to_owned(),
    };
    Error::data(format!(
        "no threshold meets {wanted} on the {rows} cross-validated predictions of the training rows: \
         the {} {} is {:.4}, at the threshold {threshold:.6} (recall {:.4}, precision {:.4}, {} \
         predicted positive). Ask for less in \"training.threshold\", or give the model better data",
        if fewest { "lowest" } else { "highest" },
        figure_name(rule),
        figure(rule, &counts),
        counts.recall(),
        counts.precision(),
        text::plural(counts.tp + counts.fp, "row"),
    ))
}
