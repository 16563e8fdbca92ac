//! How much information the test rows give about each figure if several of them belong to one entity.
//!
//! Each figure has the influence of a row on it: how far the row moves the figure, up to a factor.
//! Not for the design effect itself: see [`super::clusters`]; not for calibration, which knows its own.

use super::ConfusionMatrix;
use super::clusters::{Clusters, Sampling};
use super::ranking::Ranked;
use super::threshold::classify;

/// One for each figure with an interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Samplings {
    pub(super) f1: Sampling,
    pub(super) accuracy: Sampling,
    pub(super) precision: Sampling,
    pub(super) recall: Sampling,
    pub(super) specificity: Sampling,
    pub(super) balanced: Sampling,
    pub(super) mcc: Sampling,
    pub(super) prevalence: Sampling,
    pub(super) area: Sampling,
    pub(super) ks: Sampling,
    pub(super) top_precision: Sampling,
    pub(super) lift: Sampling,
}

impl Samplings {
    /// Independent rows.
    pub(super) const ROWS: Self = Self {
        f1: Sampling::ROWS,
        accuracy: Sampling::ROWS,
        precision: Sampling::ROWS,
        recall: Sampling::ROWS,
        specificity: Sampling::ROWS,
        balanced: Sampling::ROWS,
        mcc: Sampling::ROWS,
        prevalence: Sampling::ROWS,
        area: Sampling::ROWS,
        ks: Sampling::ROWS,
        top_precision: Sampling::ROWS,
        lift: Sampling::ROWS,
    };

    /// Rows with entities, of which `matrix` counts the predictions at `threshold`.
    pub(super) fn of(
        clusters: &Clusters,
        labels: &[bool],
        probabilities: &[f64],
        threshold: f64,
        matrix: &ConfusionMatrix,
        ranked: Option<&Ranked>,
    ) -> Self {
        let guess = |i: usize| classify(probabilities[i], threshold);
        let share = |value: f64, counts: &dyn Fn(usize) -> bool, hit: &dyn Fn(usize) -> bool| {
            clusters.sampling(|i| counts(i).then(|| f64::from(u8::from(hit(i))) - value))
        };
        let label = |i: usize| labels[i];
        let right = |i: usize| labels[i] == guess(i);
        let all = |_: usize| true;
        let both = |i: usize| labels[i] && guess(i);
        let any = |i: usize| labels[i] || guess(i);
        let jaccard = matrix.f1() / (2.0 - matrix.f1());
        let mut new = Self {
            f1: share(jaccard, &any, &both),
            accuracy: share(matrix.accuracy(), &all, &right),
            precision: share(matrix.precision(), &guess, &label),
            recall: share(matrix.recall(), &label, &right),
            specificity: share(matrix.specificity(), &|i| !labels[i], &right),
            balanced: rates(clusters, labels, &guess, matrix),
            mcc: of_mcc(clusters, labels, &guess, matrix),
            prevalence: share(matrix.prevalence(), &all, &label),
            ..Self::ROWS
        };
        if let Some(Ranked { roc_auc, ks, deciles, .. }) = ranked {
            let reached = |i: usize| probabilities[i] >= ks.score;
            new.ks = rates(clusters, labels, &reached, &ks.matrix);
            let influence = area_influence(labels, probabilities, *roc_auc);
            new.area = clusters.sampling(|i| Some(influence[i]));
            if let Some(top) = deciles.first() {
                let first = |i: usize| probabilities[i] >= top.lowest;
                let p = top.positives / top.rows as f64;
                let others = (matrix.n() - top.rows) as f64;
                let q = (matrix.positives() as f64 - top.positives) / others;
                new.top_precision = share(p, &first, &label);
                // Of the logarithm of p / q.
                let rows = top.rows as f64;
                new.lift = clusters.sampling(|i| {
                    let (share, count) = if first(i) { (p, rows) } else { (q, others) };
                    let miss = f64::from(u8::from(labels[i])) - share;
                    let sign = if first(i) { 1.0 } else { -1.0 };
                    Some(if share > 0.0 { sign * miss / (share * count) } else { 0.0 })
                });
            }
        }
        new
    }
}

/// For the mean or the difference of the two rates of right answers: a row moves that of its class.
fn rates(
    clusters: &Clusters,
    labels: &[bool],
    guess: &dyn Fn(usize) -> bool,
    matrix: &ConfusionMatrix,
) -> Sampling {
    let (recall, specificity) = (matrix.recall(), matrix.specificity());
    let (positives, negatives) = (matrix.positives() as f64, matrix.negatives() as f64);
    clusters.sampling(|i| {
        let right = f64::from(u8::from(guess(i) == labels[i]));
        let (rate, rows) = if labels[i] { (recall, positives) } else { (specificity, negatives) };
        Some((right - rate) / rows)
    })
}

/// For the Matthews correlation, which is Pearson's of label and prediction: with both standardised
/// to u and v, a row moves it by u v - r (u^2 + v^2) / 2.
fn of_mcc(
    clusters: &Clusters,
    labels: &[bool],
    guess: &dyn Fn(usize) -> bool,
    matrix: &ConfusionMatrix,
) -> Sampling {
    let r = matrix.mcc();
    let label = matrix.prevalence();
    let predicted = (matrix.tp + matrix.fp) as f64 / matrix.n().max(1) as f64;
    let standard = |one: bool, mean: f64| {
        let spread = (mean * (1.0 - mean)).sqrt();
        if spread > 0.0 { (f64::from(u8::from(one)) - mean) / spread } else { 0.0 }
    };
    clusters.sampling(|i| {
        let (u, v) = (standard(labels[i], label), standard(guess(i), predicted));
        Some(u * v - r * (u * u + v * v) / 2.0)
    })
}

/// For the area: the share of the other class that a row is ranked correctly against, less the area,
/// by the number of rows of its class (DeLong, DeLong and Clarke-Pearson, 1988).
fn area_influence(labels: &[bool], probabilities: &[f64], auc: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let positives = labels.iter().filter(|label| **label).count() as f64;
    let negatives = labels.len() as f64 - positives;
    let mut influence = vec![0.0; labels.len()];
    let (mut p_below, mut n_below) = (0.0, 0.0);
    for group in order.chunk_by(|a, b| probabilities[*a] >= probabilities[*b]) {
        let p_here = group.iter().filter(|i| labels[**i]).count() as f64;
        let n_here = group.len() as f64 - p_here;
        let of_positive = ((n_below + n_here / 2.0) / negatives - auc) / positives;
        let p_above = positives - p_below - p_here;
        let of_negative = ((p_above + p_here / 2.0) / positives - auc) / negatives;
        for i in group {
            influence[*i] = if labels[*i] { of_positive } else { of_negative };
        }
        p_below += p_here;
        n_below += n_here;
    }
    influence
}
