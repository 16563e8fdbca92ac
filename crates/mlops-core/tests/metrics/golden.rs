//! Golden numbers of scikit-learn and pandas, made by `tests/golden/make_metrics.py`.

use mlops_core::evaluation::metrics::probability::{calibration_curve, score_histogram};
use mlops_core::evaluation::metrics::{ConfusionMatrix, Evaluation, Ranking};
use mlops_core::profile::{CategoricalProfile, NumericProfile};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Golden {
    metrics: Vec<MetricCase>,
    numeric: Vec<NumericCase>,
    categorical: Vec<CategoricalCase>,
}

#[derive(Deserialize)]
struct MetricCase {
    name: String,
    labels: Vec<bool>,
    p: Vec<f64>,
    confusion: [u64; 4],
    f1: f64,
    accuracy: f64,
    precision: f64,
    recall: f64,
    roc_auc: Option<f64>,
    average_precision: Option<f64>,
    log_loss: f64,
    brier: f64,
    roc: Vec<[f64; 2]>,
    pr: Vec<[f64; 2]>,
    calibration: Option<Vec<[f64; 2]>>,
    histogram: [Vec<u64>; 2],
}

#[derive(Deserialize)]
struct NumericCase {
    name: String,
    values: Vec<Option<f64>>,
    count: u64,
    missing: u64,
    missing_percent: f64,
    mean: Option<f64>,
    median: Option<f64>,
    modes: Vec<f64>,
    mode_count: u64,
    mode_frequency: u64,
    std_ddof1: Option<f64>,
    min: Option<f64>,
    q25: Option<f64>,
    q75: Option<f64>,
    max: Option<f64>,
    distinct: u64,
}

#[derive(Deserialize)]
struct CategoricalCase {
    name: String,
    values: Vec<Option<String>>,
    count: u64,
    missing: u64,
    missing_percent: f64,
    distinct: u64,
    top: Vec<(String, u64)>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/metrics.json")).expect("the golden file is valid")
}

/// Equal to 1e-12, relative for numbers above 1.
#[track_caller]
fn assert_close(ours: f64, theirs: f64, what: &str) {
    let difference = (ours - theirs).abs();
    assert!(difference <= TOLERANCE * theirs.abs().max(1.0), "{what}: {ours}, not {theirs}");
}

#[track_caller]
fn assert_both(ours: Option<f64>, theirs: Option<f64>, what: &str) {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => assert_close(ours, theirs, what),
        _ => assert_eq!(ours, theirs, "{what}"),
    }
}

#[track_caller]
fn assert_curve(ours: &[[f64; 2]], theirs: &[[f64; 2]], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "points of {what}");
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert_close(ours[0], theirs[0], &format!("{what}, x of point {at}"));
        assert_close(ours[1], theirs[1], &format!("{what}, y of point {at}"));
    }
}

#[test]
fn scores_agree_with_scikit_learn() {
    for case in golden().metrics {
        let name = &case.name;
        let ours = Evaluation::of(&case.labels, &case.p, 0.5).unwrap();
        let [tn, fp, fn_, tp] = case.confusion;
        assert_eq!(ours.confusion_matrix, ConfusionMatrix { tn, fp, fn_, tp }, "{name}");
        assert_close(ours.f1, case.f1, &format!("{name}: f1"));
        assert_close(ours.accuracy, case.accuracy, &format!("{name}: accuracy"));
        assert_close(ours.precision, case.precision, &format!("{name}: precision"));
        assert_close(ours.recall, case.recall, &format!("{name}: recall"));
        assert_both(ours.roc_auc, case.roc_auc, &format!("{name}: roc_auc"));
        assert_both(ours.pr_auc, case.average_precision, &format!("{name}: pr_auc"));
        assert_close(ours.log_loss, case.log_loss, &format!("{name}: log_loss"));
        assert_close(ours.brier, case.brier, &format!("{name}: brier"));
        assert!(ours.f1_interval.low < ours.f1_interval.high, "{name}");
        assert_eq!(ours.note.is_some(), case.labels.len() < 30, "{name}");
    }
}

#[test]
fn curves_agree_with_scikit_learn() {
    for case in golden().metrics {
        let name = &case.name;
        let ranking = Ranking::new(&case.labels, &case.p).unwrap();
        let roc: Vec<_> = ranking.roc_curve(10_000).iter().map(|p| [p.fpr, p.tpr]).collect();
        assert_curve(&roc, &case.roc, &format!("{name}: ROC"));
        let pr = ranking.precision_recall_curve(10_000);
        let pr: Vec<_> = pr.iter().map(|p| [p.recall, p.precision]).collect();
        assert_curve(&pr, &case.pr, &format!("{name}: PR"));
        if let Some(theirs) = case.calibration {
            let bins = calibration_curve(&case.labels, &case.p, 10).unwrap();
            let ours: Vec<_> =
                bins.iter().map(|b| [b.mean_predicted, b.fraction_of_positives]).collect();
            assert_curve(&ours, &theirs, &format!("{name}: calibration"));
        }
        let histogram = score_histogram(&case.labels, &case.p, 10).unwrap();
        assert_eq!([histogram.negative, histogram.positive], case.histogram, "{name}");
    }
}

#[test]
fn numeric_profiles_agree_with_pandas() {
    for case in golden().numeric {
        let name = &case.name;
        let mut profile = NumericProfile::new();
        for cell in &case.values {
            profile.push(*cell);
        }
        let ours = profile.finish();
        assert_eq!(
            (ours.count, ours.missing, ours.distinct, ours.mode_count, ours.mode_frequency),
            (case.count, case.missing, case.distinct, case.mode_count, case.mode_frequency),
            "{name}"
        );
        assert_close(ours.missing_percent, case.missing_percent, name);
        assert_both(ours.mean, case.mean, &format!("{name}: mean"));
        assert_both(ours.median, case.median, &format!("{name}: median"));
        assert_both(ours.std_ddof1, case.std_ddof1, &format!("{name}: std"));
        assert_both(ours.min, case.min, &format!("{name}: min"));
        assert_both(ours.q25, case.q25, &format!("{name}: q25"));
        assert_both(ours.q75, case.q75, &format!("{name}: q75"));
        assert_both(ours.max, case.max, &format!("{name}: max"));
        assert_eq!(ours.modes.len(), case.modes.len(), "{name}");
        for (ours, theirs) in ours.modes.iter().zip(&case.modes) {
            assert_eq!(ours.to_bits(), theirs.to_bits(), "{name}: mode");
        }
    }
}

#[test]
fn categorical_profiles_agree_with_pandas() {
    for case in golden().categorical {
        let name = &case.name;
        let mut profile = CategoricalProfile::new();
        profile.extend(case.values.iter().map(Option::as_deref));
        let ours = profile.finish();
        assert_eq!(
            (ours.count, ours.missing, ours.distinct),
            (case.count, case.missing, case.distinct),
            "{name}"
        );
        assert_close(ours.missing_percent, case.missing_percent, name);
        assert_eq!(ours.top, case.top, "{name}");
    }
}
