//! Chosen thresholds against brute force over all of them.

use mlops_core::config::choices::{Aim, ThresholdRule};
use mlops_core::evaluation::cutoff::{Cutoff, Validation, figure};
use mlops_core::evaluation::metrics::{ConfusionMatrix, classify};
use proptest::prelude::*;

fn rules() -> impl Strategy<Value = ThresholdRule> {
    let share = 0.05..1.0_f64;
    prop_oneof![
        proptest::sample::select(Aim::ALL.to_vec()).prop_map(ThresholdRule::Maximize),
        share.clone().prop_map(ThresholdRule::MinRecall),
        share.clone().prop_map(ThresholdRule::MinPrecision),
        share.prop_map(ThresholdRule::Top),
        (1..20_u8, 1..20_u8).prop_map(|(a, b)| ThresholdRule::Cost {
            false_positive: f64::from(a),
            false_negative: f64::from(b)
        }),
    ]
}

/// Rows with few different probabilities, so that many are equal; some have none.
fn rows() -> impl Strategy<Value = Vec<(bool, f64, u32)>> {
    let value = prop_oneof![
        9 => (0..=40_u8).prop_map(|v| f64::from(v) / 40.0),
        1 => Just(f64::NAN),
    ];
    proptest::collection::vec((any::<bool>(), value, 0..25_u32), 1..80)
}

fn choose(rule: ThresholdRule, rows: &[(bool, f64, u32)], threads: usize) -> Option<Cutoff> {
    let labels: Vec<bool> = rows.iter().map(|row| row.0).collect();
    let probabilities: Vec<f64> = rows.iter().map(|row| row.1).collect();
    let entities: Vec<u32> = rows.iter().map(|row| row.2).collect();
    let validation = Validation { entities: &entities, folds: 5, forward: false };
    Cutoff::choose(rule, &labels, &probabilities, validation, 7, threads).ok()
}

fn counted(rows: &[(bool, f64, u32)], threshold: f64) -> ConfusionMatrix {
    let predicted = rows.iter().filter(|row| !row.1.is_nan());
    ConfusionMatrix::from_pairs(predicted.map(|row| (row.0, classify(row.1, threshold))))
}

/// What a rule wants to be large, as its words have it; `None` where it is not met.
fn wanted(rule: ThresholdRule, counts: &ConfusionMatrix) -> Option<f64> {
    let predicted = (counts.tp + counts.fp) as f64;
    match rule {
        ThresholdRule::Maximize(_) => Some(figure(rule, counts)),
        ThresholdRule::MinRecall(least) => {
            (counts.positives() > 0 && counts.recall() >= least).then_some(-predicted)
        }
        ThresholdRule::MinPrecision(least) => (predicted > 0.0 && counts.precision() >= least)
            .then_some(counts.recall() * 1e6 - counts.fp as f64),
        ThresholdRule::Cost { .. } => Some(-figure(rule, counts)),
        ThresholdRule::Top(share) => {
            let most = (share * counts.n() as f64 + 1e-9).floor();
            (predicted > 0.0 && predicted <= most).then_some(predicted)
        }
        ThresholdRule::Given | ThresholdRule::Prior => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_choice_is_the_optimum_over_all_predicted_values(rule in rules(), rows in rows()) {
        let every = rows.iter().map(|row| row.1).filter(|p| !p.is_nan()).chain([0.0, 1.0]);
        let best = every.filter_map(|t| wanted(rule, &counted(&rows, t))).reduce(f64::max);
        match (choose(rule, &rows, 1), best) {
            (Some(found), Some(best)) => {
                let counts = counted(&rows, found.threshold);
                prop_assert_eq!(counts, found.counts);
                prop_assert_eq!(wanted(rule, &counts).map(f64::to_bits), Some(best.to_bits()));
                prop_assert_eq!(figure(rule, &counts).to_bits(), found.value.to_bits());
                for point in &found.table {
                    prop_assert_eq!(counted(&rows, point.threshold), point.counts);
                    prop_assert_eq!(figure(rule, &point.counts).to_bits(), point.value.to_bits());
                }
                prop_assert!(found.table.is_sorted_by(|a, b| a.threshold > b.threshold));
                if let Some(interval) = found.interval {
                    prop_assert!(0.0 <= interval.low && interval.low <= interval.high);
                    prop_assert!(interval.high <= 1.0);
                }
            }
            (None, None) => {}
            (found, best) => prop_assert!(false, "{found:?} {best:?}"),
        }
    }

    #[test]
    fn threads_and_the_order_of_the_rows_change_nothing(rule in rules(), rows in rows()) {
        let one = choose(rule, &rows, 1);
        prop_assert_eq!(&one, &choose(rule, &rows, 3));
        let backwards: Vec<_> = rows.iter().rev().copied().collect();
        prop_assert_eq!(one, choose(rule, &backwards, 2));
    }
}

/// Eight equal rows a client instead of one: the interval is that of the clients.
#[test]
fn rows_that_repeat_their_entity_add_nothing_to_what_is_known() {
    let width = |copies: u32| {
        let row = |i: u32| {
            let noise = f64::from(i * 7_919 % 1_000) / 1_000.0;
            let p = 0.05 + 0.9 * f64::from(i * 104_729 % 997) / 997.0;
            (noise < p, p, i)
        };
        let rows: Vec<_> = (0..400).flat_map(|i| vec![row(i); copies as usize]).collect();
        let rule = ThresholdRule::Cost { false_positive: 1.0, false_negative: 3.0 };
        let found = choose(rule, &rows, 2).unwrap();
        let interval = found.interval.unwrap();
        assert!(interval.low <= found.threshold && found.threshold <= interval.high, "{found:?}");
        assert_eq!((found.entities, found.unmet, found.resamples), (400, 0, 1_000));
        (interval.high - interval.low, found.threshold)
    };
    let ((one, at), (eight, again)) = (width(1), width(8));
    assert!((one - eight).abs() < 1e-12 && (at - again).abs() < 1e-12, "{one} {eight}");
}

#[test]
fn what_cannot_be_met_is_an_error_with_the_best_there_is() {
    let labels = [false, true, false, true, false];
    let validation = Validation { entities: &[0, 1, 2, 3, 4], folds: 5, forward: false };
    let error = |rule, p: &[f64; 5]| {
        Cutoff::choose(rule, &labels, p, validation, 1, 1).unwrap_err().to_string()
    };
    let p = [0.9, 0.8, 0.5, 0.4, 0.3];
    let text = error(ThresholdRule::MinPrecision(0.9), &p);
    for part in ["\"min_precision\" 0.9", "highest precision is 0.5000", "0.650000", "2 rows"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = error(ThresholdRule::Top(0.3), &[0.5; 5]);
    assert!(text.contains("lowest share predicted positive is 1.0000"), "{text}");
    let text = error(ThresholdRule::MinRecall(0.9), &[0.9, 0.8, 0.5, 0.0, 0.3]);
    assert!(text.contains("highest recall is 0.5000"), "{text}");
    let text = error(ThresholdRule::MinRecall(0.9), &[0.0; 5]);
    assert!(text.contains("all are 0"), "{text}");
}
