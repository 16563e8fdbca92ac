//! Rows sorted once by a model's scores, for many resamples of them.
//!
//! Not for the figures of the rows themselves: see [`super::ranking`], which sorts faster but forgets
//! which row is which.

use super::deciles::{Cutter, Decile};
use super::metric::Metric;
use super::walk::{Furthest, Precisions, Reached, Wins};
use super::{check_probabilities, same_length};
use crate::error::Result;

/// The rows from the highest score to the lowest.
#[derive(Debug, Clone)]
pub(super) struct Sorted {
    /// The row, its label, and whether the next row has a lower score.
    rows: Vec<(usize, bool, bool)>,
}

impl Sorted {
    /// Sorts n labels by their probabilities.
    ///
    /// # Errors
    /// `Data` if there are no rows, the lengths differ, or a probability is NaN or outside [0, 1].
    pub(super) fn new(labels: &[bool], probabilities: &[f64]) -> Result<Self> {
        same_length(labels.len(), probabilities.len())?;
        check_probabilities(labels, probabilities)?;
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
        let next = order.iter().skip(1).map(|row| Some(probabilities[*row])).chain([None]);
        let last = |row: usize, next: Option<f64>| next.is_none_or(|n| n < probabilities[row]);
        let rows = order.iter().zip(next).map(|(row, next)| (*row, labels[*row], last(*row, next)));
        Ok(Self { rows: rows.collect() })
    }

    /// A metric of the order if row i is there `times[i]` times; `None` with one class, of fewer
    /// than ten rows where deciles are needed, and for a metric of another kind.
    pub(super) fn resampled(&self, metric: Metric, times: &[u32]) -> Option<f64> {
        let count = |class: bool| -> u64 {
            let of_class = self.rows.iter().filter(|(_, label, _)| *label == class);
            of_class.map(|(row, ..)| u64::from(times[*row])).sum()
        };
        let (n, p) = (count(false), count(true));
        if n == 0 || p == 0 {
            return None;
        }
        match metric {
            Metric::RocAuc | Metric::Gini => {
                let mut wins = Wins::default();
                self.walk(times, |before, at| wins.add(before, at));
                let area = wins.area(n, p);
                Some(if metric == Metric::Gini { 2.0 * area - 1.0 } else { area })
            }
            Metric::PrAuc => {
                let mut precisions = Precisions::default();
                self.walk(times, |before, at| precisions.add(before, at));
                Some(precisions.sum / p as f64)
            }
            Metric::Ks => {
                let mut furthest = Furthest::default();
                self.walk(times, |_, at| furthest.add(at, n, p));
                Some(furthest.share(n, p))
            }
            Metric::Lift | Metric::TopPrecision => {
                let mut deciles = Cutter::new(n + p, p);
                self.walk(times, |_, at| deciles.add(at.fp + at.tp, at.tp, || 0.0));
                let Decile { lift, positives, rows, .. } = *deciles.finish().first()?;
                Some(if metric == Metric::Lift { lift } else { positives / rows as f64 })
            }
            _ => None,
        }
    }

    /// Calls `step` for each group of equal scores that has rows, with the counts before and after.
    fn walk(&self, times: &[u32], mut step: impl FnMut(Reached, Reached)) {
        let (mut before, mut at) = (Reached::default(), Reached::default());
        for (row, label, last) in &self.rows {
            let count = u64::from(times[*row]);
            if *label {
                at.tp += count;
            } else {
                at.fp += count;
            }
            if *last && at != before {
                step(before, at);
                before = at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Evaluation;
    use super::*;

    #[test]
    fn a_resample_has_the_figures_of_its_rows() {
        let labels: Vec<bool> = (0..60_u32).map(|i| i * i % 7 < 3).collect();
        let p: Vec<f64> = (0..60_u32).map(|i| f64::from(i * 13 % 20) / 20.0).collect();
        let times: Vec<u32> = (0..60).map(|i| i * 5 % 4).collect();
        let chosen = |i: &usize| std::iter::repeat_n(*i, times[*i] as usize);
        let rows: Vec<usize> = (0..60).collect::<Vec<_>>().iter().flat_map(chosen).collect();
        let (y, q): (Vec<bool>, Vec<f64>) = rows.iter().map(|i| (labels[*i], p[*i])).unzip();
        let expected = Evaluation::of(&y, &q, 0.5).unwrap();
        let sorted = Sorted::new(&labels, &p).unwrap();
        for metric in Metric::ALL {
            if let Some(ours) = sorted.resampled(metric, &times) {
                let theirs = metric.of(&expected).unwrap();
                assert!((ours - theirs).abs() < 1e-12, "{metric:?}: {ours} {theirs}");
            } else {
                assert!(metric.of_counts(&expected.confusion_matrix).is_some() || metric.is_loss());
            }
        }
        assert_eq!(sorted.resampled(Metric::RocAuc, &[0; 60]), None);
    }
}
