//! Properties that hold for any labels, scores and columns, checked against slow definitions.

use mlops_core::evaluation::metrics::{ConfusionMatrix, Ranking};
use mlops_core::profile::{CategoricalProfile, NumericProfile, NumericSummary};
use proptest::collection::vec;
use proptest::prelude::*;

/// Labels with scores that tie often, and may be negative.
fn scored() -> impl Strategy<Value = Vec<(bool, f64)>> {
    let score = prop_oneof![(-5..=5).prop_map(|i| f64::from(i) / 5.0), -1.0..1.0_f64];
    vec((any::<bool>(), score), 1..60)
}

fn ranking(rows: &[(bool, f64)]) -> Ranking {
    let (labels, scores): (Vec<bool>, Vec<f64>) = rows.iter().copied().unzip();
    Ranking::new(&labels, &scores).expect("the scores are finite")
}

/// The share of pairs of a positive and a negative in the right order, ties counting half.
fn auc_by_pairs(rows: &[(bool, f64)]) -> Option<f64> {
    let of = |class| rows.iter().filter(move |r| r.0 == class).map(|r| r.1);
    let pairs = of(true).count() * of(false).count();
    let wins: f64 = of(true)
        .flat_map(|p| of(false).map(move |n| f64::from(u8::from(p > n) + u8::from(p >= n)) / 2.0))
        .sum();
    (pairs > 0).then(|| wins / pairs as f64)
}

/// Precision at every distinct threshold, weighted by the recall gained there.
fn average_precision_by_thresholds(rows: &[(bool, f64)]) -> Option<f64> {
    let positives = rows.iter().filter(|r| r.0).count();
    if positives == 0 || positives == rows.len() {
        return None;
    }
    let mut thresholds: Vec<f64> = rows.iter().map(|r| r.1 + 0.0).collect();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup_by_key(|t| t.to_bits());
    let (mut before, mut sum) = (0.0, 0.0);
    for threshold in thresholds {
        let reached: Vec<bool> = rows.iter().filter(|r| r.1 >= threshold).map(|r| r.0).collect();
        let tp = reached.iter().filter(|label| **label).count() as f64;
        let recall = tp / positives as f64;
        sum += (recall - before) * tp / reached.len() as f64;
        before = recall;
    }
    Some(sum)
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * b.abs().max(1.0),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// Columns of all sorts: small integers, integers far out, floats, missing cells.
fn column() -> impl Strategy<Value = Vec<Option<f64>>> {
    let cell = prop_oneof![
        4 => (-20..20).prop_map(|i| Some(f64::from(i))),
        2 => (1_000_000_000..1_000_000_003).prop_map(|i| Some(f64::from(i))),
        2 => (-3_000_000..3_000_000).prop_map(|i| Some(f64::from(i))),
        2 => (-1e6..1e6_f64).prop_map(Some),
        1 => Just(None),
        1 => Just(Some(-0.0)),
    ];
    vec(cell, 0..120)
}

fn profile(cells: &[Option<f64>]) -> NumericProfile {
    let mut profile = NumericProfile::new();
    for cell in cells {
        profile.push(*cell);
    }
    profile
}

fn sorted(cells: &[Option<f64>]) -> Vec<f64> {
    let mut values: Vec<f64> = cells.iter().flatten().map(|v| v + 0.0).collect();
    values.sort_by(f64::total_cmp);
    values
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= at < len")]
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let at = q * (sorted.len().checked_sub(1)?) as f64;
    let (low, high) = (sorted[at as usize], sorted[at.ceil() as usize]);
    Some(low + (high - low) * at.fract())
}

proptest! {
    #[test]
    fn auc_is_the_share_of_pairs_in_order(rows in scored()) {
        prop_assert!(close(ranking(&rows).roc_auc(), auc_by_pairs(&rows)));
    }

    #[test]
    fn auc_is_the_area_under_the_curve(rows in scored()) {
        let ranking = ranking(&rows);
        let curve = ranking.roc_curve(usize::MAX);
        let area: f64 = curve
            .windows(2)
            .map(|w| (w[1].fpr - w[0].fpr) * f64::midpoint(w[1].tpr, w[0].tpr))
            .sum();
        prop_assert!(close(ranking.roc_auc(), (!curve.is_empty()).then_some(area)));
    }

    #[test]
    fn average_precision_is_its_definition(rows in scored()) {
        prop_assert!(
            close(ranking(&rows).average_precision(), average_precision_by_thresholds(&rows))
        );
    }

    #[test]
    fn rankings_do_not_depend_on_the_order_of_rows(rows in scored(), seed in any::<usize>()) {
        let mut other = rows.clone();
        other.rotate_left(seed % rows.len());
        other.reverse();
        let (one, two) = (ranking(&rows), ranking(&other));
        prop_assert_eq!(one.roc_auc(), two.roc_auc());
        prop_assert_eq!(one.average_precision(), two.average_precision());
        prop_assert_eq!(one.roc_curve(9), two.roc_curve(9));
        prop_assert_eq!(one.precision_recall_curve(9), two.precision_recall_curve(9));
    }

    #[test]
    fn thinned_curves_are_part_of_the_full_ones(rows in scored(), max in 2_usize..40) {
        let ranking = ranking(&rows);
        let (full, thin) = (ranking.roc_curve(usize::MAX), ranking.roc_curve(max));
        prop_assert!(thin.len() <= max);
        prop_assert!(thin.iter().all(|point| full.contains(point)));
        prop_assert_eq!((thin.first(), thin.last()), (full.first(), full.last()));
    }

    #[test]
    fn confusion_identities(pairs in vec(any::<(bool, bool)>(), 0..80), cut in any::<usize>()) {
        let (labels, predicted): (Vec<bool>, Vec<bool>) = pairs.iter().copied().unzip();
        let whole = ConfusionMatrix::from_predictions(&labels, &predicted).unwrap();
        let (left, right) = pairs.split_at(cut % (pairs.len() + 1));
        let parts = [left, right].map(|part| ConfusionMatrix::from_pairs(part.iter().copied()));
        prop_assert_eq!(parts[0] + parts[1], whole);
        prop_assert_eq!(whole.n(), pairs.len() as u64);
        prop_assert_eq!(whole.positives(), labels.iter().filter(|l| **l).count() as u64);
        let (p, r) = (whole.precision(), whole.recall());
        let harmonic = if p + r > 0.0 { 2.0 * p * r / (p + r) } else { 0.0 };
        prop_assert!((whole.f1() - harmonic).abs() < 1e-12);
        let right = pairs.iter().filter(|(label, guess)| label == guess).count();
        prop_assert!((whole.accuracy() * pairs.len() as f64 - right as f64).abs() < 1e-9);
    }

    #[test]
    fn profiles_agree_with_a_sorted_copy(cells in column()) {
        let values = sorted(&cells);
        let ours = profile(&cells).finish();
        prop_assert_eq!(ours.count, values.len() as u64);
        prop_assert_eq!(ours.missing, (cells.len() - values.len()) as u64);
        prop_assert!(close(ours.min, values.first().copied()));
        prop_assert!(close(ours.max, values.last().copied()));
        for (q, ours) in [(0.25, ours.q25), (0.5, ours.median), (0.75, ours.q75)] {
            prop_assert!(close(ours, quantile(&values, q)));
        }
        let frequency = |v: f64| values.iter().filter(|w| w.to_bits() == v.to_bits()).count();
        let most = values.iter().map(|v| frequency(*v)).max().unwrap_or(0);
        let mut modes = values.clone();
        modes.dedup_by_key(|v| v.to_bits());
        prop_assert_eq!(ours.distinct, modes.len() as u64);
        modes.retain(|v| frequency(*v) == most);
        prop_assert_eq!(ours.mode_frequency, most as u64);
        prop_assert_eq!(ours.mode_count, modes.len() as u64);
        modes.truncate(100);
        prop_assert_eq!(ours.modes, modes);
    }

    #[test]
    fn a_profile_of_parts_is_the_profile_of_the_whole(
        cells in column(),
        cuts in (any::<usize>(), any::<usize>()),
    ) {
        let whole: NumericSummary = profile(&cells).finish();
        let cut = cuts.0 % (cells.len() + 1);
        let (left, right) = cells.split_at(cut);
        let (middle, right) = right.split_at(cuts.1 % (right.len() + 1));
        let mut merged = profile(right);
        merged.merge(profile(left));
        merged.merge(profile(middle));
        prop_assert_eq!(merged.finish(), whole);
    }

    #[test]
    fn integers_far_from_zero_keep_their_spread(offsets in vec(0_i64..1000, 2..200)) {
        // n^2 times the variance is a whole number: n * sum of squares - square of the sum.
        let n = i64::try_from(offsets.len()).unwrap();
        let (sum, squares) = offsets.iter().fold((0, 0), |(s, q), x| (s + x, q + x * x));
        let expected = ((n * squares - sum * sum) as f64 / (n * (n - 1)) as f64).sqrt();
        let mut profile = NumericProfile::new();
        profile.extend(&offsets.iter().map(|x| 1e12 + *x as f64).collect::<Vec<_>>());
        let std = profile.finish().std_ddof1.unwrap();
        prop_assert!((std - expected).abs() <= 1e-14 * expected, "{} {}", std, expected);
    }

    #[test]
    fn categorical_parts_merge_to_the_whole(
        cells in vec(proptest::option::of("[a-e]{1,2}"), 0..80),
        cut in any::<usize>(),
    ) {
        let of = |part: &[Option<String>]| {
            let mut profile = CategoricalProfile::new();
            profile.extend(part.iter().map(Option::as_deref));
            profile
        };
        let (left, right) = cells.split_at(cut % (cells.len() + 1));
        let mut merged = of(left);
        merged.merge(of(right));
        prop_assert_eq!(merged.finish(), of(&cells).finish());
    }
}
