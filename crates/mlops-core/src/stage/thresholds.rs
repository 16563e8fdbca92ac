//! What other thresholds would change: scores, lift and cost on the rows that the live release was scored on.
//!
//! Computed from counts that scoring recorded, so that no row is read. Not for choosing the threshold of a model:
//! training does that, from other rows (`evaluation::cutoff`).

use serde::Serialize;

use crate::Result;
use crate::evaluation::metrics::ConfusionMatrix;
use crate::ledger::{Counts, Ledger, ThresholdCounts};
use crate::platform::digest::Digest;

/// The number of steps of the table: each has 5 % more of the rows predicted positive.
const STEPS: u64 = 20;

/// What wrong predictions cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Costs {
    /// The cost of a negative that is predicted positive.
    pub false_positive: f64,
    /// The cost of a positive that is predicted negative.
    pub false_negative: f64,
}

/// Figures by threshold.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Thresholds {
    /// When the rows were scored, RFC 3339, UTC.
    pub scored: String,
    /// Number of rows.
    pub rows: u64,
    /// Number of positives.
    pub positives: u64,
    /// The costs.
    pub costs: Costs,
    /// The threshold in use.
    pub in_use: At,
    /// The one that costs least; of equal ones the highest.
    pub cheapest: At,
    /// The one with the highest F1; of equal ones the highest.
    pub highest_f1: At,
    /// The recorded one that is nearest to what was asked for.
    pub asked: Option<At>,
    /// About every twentieth of the rows, by descending threshold.
    pub table: Vec<At>,
    /// All recorded thresholds, ascending.
    pub curve: Vec<At>,
}

/// A threshold and what it gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct At {
    /// The threshold: rows with a higher probability are predicted positive.
    pub threshold: f64,
    /// The counts.
    pub counts: ConfusionMatrix,
    /// Share of the rows that are predicted positive.
    pub predicted_positive: f64,
    /// F1.
    pub f1: f64,
    /// Precision; `None` if nothing is predicted positive.
    pub precision: Option<f64>,
    /// Recall.
    pub recall: f64,
    /// Precision over the share of positives; `None` if nothing is predicted positive.
    pub lift: Option<f64>,
    /// What wrong predictions cost, in total.
    pub cost: f64,
    /// The same per row.
    pub cost_per_row: f64,
}

impl At {
    fn of(threshold: f64, counts: ConfusionMatrix, costs: Costs) -> Self {
        let m = &counts;
        let (n, found) = (m.n().max(1) as f64, m.tp + m.fp);
        let precision = (found > 0).then(|| m.precision());
        let cost = costs.false_positive * m.fp as f64 + costs.false_negative * m.fn_ as f64;
        Self {
            threshold,
            predicted_positive: found as f64 / n,
            f1: m.f1(),
            precision,
            recall: m.recall(),
            lift: precision.map(|precision| precision / m.prevalence()),
            cost,
            cost_per_row: cost / n,
            counts,
        }
    }
}

/// The figures of the model with the file `artifact` and the threshold `in_use`, also at `asked`; `None` if its
/// score has no counts at other thresholds.
pub fn of(
    ledger: &Ledger,
    artifact: Digest,
    in_use: f64,
    costs: Costs,
    asked: Option<f64>,
) -> Result<Option<Thresholds>> {
    let Some((counts, scored)) = ledger.threshold_counts(artifact)? else { return Ok(None) };
    Ok(figures(&counts, scored, in_use, costs, asked))
}

fn figures(
    counts: &ThresholdCounts,
    scored: String,
    in_use: f64,
    costs: Costs,
    asked: Option<f64>,
) -> Option<Thresholds> {
    let ThresholdCounts { positives, negatives, ref at } = *counts;
    let matrix = |Counts(_, tp, fp): Counts| ConfusionMatrix {
        tp,
        fp,
        fn_: positives.saturating_sub(tp),
        tn: negatives.saturating_sub(fp),
    };
    let mut curve: Vec<At> = at.iter().map(|c| At::of(c.0, matrix(*c), costs)).collect();
    let rows = positives + negatives;
    // The one in use is recorded; of others the nearest that is.
    let near = |threshold: f64| {
        let distance = |point: &At| (point.threshold - threshold).abs();
        curve.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b)))
    };
    let best = |better: fn(&At, &At) -> bool| {
        curve.iter().copied().reduce(|best, next| if better(&next, &best) { next } else { best })
    };
    let cheapest = best(|next, best| next.cost < best.cost)?;
    let highest_f1 = best(|next, best| next.f1 > best.f1)?;
    let mut table: Vec<At> = Vec::new();
    let mut step = 0;
    for point in &curve {
        let found = point.counts.tp + point.counts.fp;
        if found * STEPS >= step * rows {
            table.push(*point);
            step = found * STEPS / rows.max(1) + 1;
        }
    }
    let (in_use, asked) = (near(in_use)?, asked.and_then(near));
    curve.reverse();
    Some(Thresholds {
        scored,
        rows,
        positives,
        costs,
        in_use,
        cheapest,
        highest_f1,
        asked,
        table,
        curve,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::metrics::Ranking;

    fn counts(labels: &[bool], scores: &[f64]) -> ThresholdCounts {
        let ranking = Ranking::new(labels, scores).unwrap();
        let positives = labels.iter().filter(|l| **l).count() as u64;
        let at = ranking.thresholds(1000).into_iter().map(|(t, tp, fp)| Counts(t, tp, fp));
        ThresholdCounts { positives, negatives: labels.len() as u64 - positives, at: at.collect() }
    }

    #[test]
    fn the_cheapest_threshold_is_the_one_that_a_search_of_all_finds() {
        let scores: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 200) / 200.0).collect();
        let labels: Vec<bool> = scores
            .iter()
            .enumerate()
            .map(|(i, s)| *s + f64::from(u32::try_from(i * 7 % 10).unwrap()) / 20.0 > 0.8)
            .collect();
        let ranking = Ranking::new(&labels, &scores).unwrap();
        for (false_positive, false_negative) in [(1.0, 5.0), (1.0, 1.0), (7.0, 1.0), (0.0, 1.0)] {
            let costs = Costs { false_positive, false_negative };
            let found =
                figures(&counts(&labels, &scores), String::new(), 0.5, costs, Some(0.3)).unwrap();
            let cost = |t: f64| {
                let m = ranking.at(t);
                false_positive * m.fp as f64 + false_negative * m.fn_ as f64
            };
            let least = (0..=2000).map(|k| cost(f64::from(k) / 2000.0)).fold(f64::MAX, f64::min);
            assert!((found.cheapest.cost - least).abs() < 1e-9, "{costs:?}: {:?}", found.cheapest);
            assert!((cost(found.cheapest.threshold) - least).abs() < 1e-9);
            let (used, asked) = (found.in_use, found.asked.unwrap());
            assert!((used.threshold - 0.5).abs() < 0.01 && (asked.threshold - 0.3).abs() < 0.01);
            assert_eq!(used.counts, ranking.at(used.threshold));
            assert_eq!(asked.counts, ranking.at(asked.threshold));
            let prevalence = used.counts.prevalence();
            assert!((used.lift.unwrap() * prevalence - used.precision.unwrap()).abs() < 1e-12);
        }
    }

    #[test]
    fn the_table_has_about_a_line_for_each_twentieth_of_the_rows() {
        let scores: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
        let labels: Vec<bool> = (0..1000).map(|i| i % 4 == 0).collect();
        let costs = Costs { false_positive: 1.0, false_negative: 1.0 };
        let found = figures(&counts(&labels, &scores), String::new(), 0.5, costs, None).unwrap();
        assert_eq!(found.table.len(), 21);
        assert!(found.table.is_sorted_by(|a, b| a.threshold > b.threshold));
        assert!(found.curve.is_sorted_by(|a, b| a.threshold < b.threshold));
        assert_eq!(found.table[20].counts.fn_, 0);
        let tied =
            figures(&counts(&labels, &[0.3; 1000]), String::new(), 0.5, costs, None).unwrap();
        assert_eq!((tied.table.len(), tied.curve.len()), (2, 2));
        assert_eq!(tied.in_use.counts.tp, 0);
    }
}
