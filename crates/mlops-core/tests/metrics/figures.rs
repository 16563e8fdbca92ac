//! Golden figures of scikit-learn, scipy and statsmodels, made by `tests/golden/make_figures.py`.
//!
//! Also that records of earlier versions stay readable. Not for how often intervals hold the truth:
//! see `coverage`.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use mlops_core::evaluation::metrics::{Decile, Evaluation, Interval};
use serde::Deserialize;

/// Estimates of a regression by two implementations differ in the last digits.
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    labels: Vec<bool>,
    p: Vec<f64>,
    specificity: f64,
    specificity_interval: [f64; 2],
    balanced_accuracy: f64,
    balanced_accuracy_interval: [f64; 2],
    mcc: f64,
    mcc_interval: [f64; 2],
    prevalence: f64,
    prevalence_interval: [f64; 2],
    gini: f64,
    ks: f64,
    ks_interval: [f64; 2],
    deciles: Vec<Decile>,
    top_precision_interval: [f64; 2],
    lift_interval: Option<[f64; 2]>,
    intercept: f64,
    intercept_interval: [f64; 2],
    slope: f64,
    slope_interval: [f64; 2],
    spiegelhalter_z: f64,
    spiegelhalter_p: f64,
}

fn cases() -> Vec<Case> {
    let golden: Golden = serde_json::from_str(include_str!("../golden/figures.json")).unwrap();
    golden.cases
}

#[track_caller]
fn close(ours: f64, theirs: f64, what: &str) {
    let off = (ours - theirs).abs();
    assert!(off <= TOLERANCE * theirs.abs().max(1.0), "{what}: {ours}, not {theirs}");
}

#[track_caller]
fn ends(ours: Option<Interval>, theirs: [f64; 2], what: &str) {
    let ours = ours.unwrap_or_else(|| panic!("no interval of {what}"));
    close(ours.low, theirs[0], &format!("{what}, low"));
    close(ours.high, theirs[1], &format!("{what}, high"));
}

#[test]
fn figures_agree_with_others() {
    for case in cases() {
        let e = Evaluation::of(&case.labels, &case.p, 0.5).unwrap();
        let name = |what: &str| format!("{}: {what}", case.name);
        for (what, ours, theirs) in [
            ("specificity", e.specificity, case.specificity),
            ("balanced accuracy", e.balanced_accuracy, case.balanced_accuracy),
            ("mcc", e.mcc, case.mcc),
            ("prevalence", e.prevalence, case.prevalence),
            ("gini", e.gini, case.gini),
            ("ks", e.ks, case.ks),
        ] {
            close(ours.unwrap(), theirs, &name(what));
        }
        for (what, ours, theirs) in [
            ("specificity", e.specificity_interval, case.specificity_interval),
            ("balanced", e.balanced_accuracy_interval, case.balanced_accuracy_interval),
            ("mcc", e.mcc_interval, case.mcc_interval),
            ("prevalence", e.prevalence_interval, case.prevalence_interval),
            ("ks", e.ks_interval, case.ks_interval),
        ] {
            ends(ours, theirs, &name(what));
        }
        let (gini, auc) = (e.gini_interval.unwrap(), e.roc_auc_interval.unwrap());
        ends(Some(gini), [2.0 * auc.low - 1.0, 2.0 * auc.high - 1.0], "gini");
        assert_eq!(e.deciles.len(), 10);
        for (k, (ours, theirs)) in e.deciles.iter().zip(&case.deciles).enumerate() {
            assert_eq!(ours.rows, theirs.rows, "{}: decile {k}", case.name);
            close(ours.positives, theirs.positives, &name("positives"));
            close(ours.highest, theirs.highest, &name("highest"));
            close(ours.lowest, theirs.lowest, &name("lowest"));
            close(ours.lift, theirs.lift, &name("lift"));
            close(ours.gain, theirs.gain, &name("gain"));
        }
        let top = e.top_decile.unwrap();
        ends(Some(top.precision_interval), case.top_precision_interval, &name("top precision"));
        if let Some(theirs) = case.lift_interval {
            ends(Some(top.lift_interval), theirs, &name("lift"));
        }
        assert!(top.lift_interval.low < top.lift && top.lift < top.lift_interval.high);
        let c = e.calibration.unwrap();
        close(c.intercept.unwrap(), case.intercept, &name("intercept"));
        ends(c.intercept_interval, case.intercept_interval, &name("intercept"));
        close(c.slope.unwrap(), case.slope, &name("slope"));
        ends(c.slope_interval, case.slope_interval, &name("slope"));
        close(c.spiegelhalter_z.unwrap(), case.spiegelhalter_z, &name("z"));
        let p = c.spiegelhalter_p.unwrap();
        close(p / case.spiegelhalter_p, 1.0, &name("p"));
    }
}

#[test]
fn figures_do_not_depend_on_the_order_of_rows() {
    for case in cases() {
        let mut rows: Vec<(bool, f64)> =
            case.labels.iter().copied().zip(case.p.iter().copied()).collect();
        let of = |rows: &[(bool, f64)]| {
            let (labels, p): (Vec<bool>, Vec<f64>) = rows.iter().copied().unzip();
            Evaluation::of(&labels, &p, 0.5).unwrap()
        };
        let first = of(&rows);
        rows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)));
        let second = of(&rows);
        assert_eq!((&first.deciles, first.ks), (&second.deciles, second.ks), "{}", case.name);
        assert_eq!(first.top_decile, second.top_decile);
        close(
            first.calibration.unwrap().slope.unwrap(),
            second.calibration.unwrap().slope.unwrap(),
            &case.name,
        );
    }
}

/// What this version adds to a score is missing in earlier records, which can still be read.
#[test]
fn a_record_of_an_earlier_version_is_readable() {
    let case = &cases()[0];
    let new = Evaluation::of(&case.labels, &case.p, 0.5).unwrap();
    let mut json = serde_json::to_value(&new).unwrap();
    let record = json.as_object_mut().unwrap();
    for key in [
        "specificity",
        "balanced_accuracy",
        "mcc",
        "prevalence",
        "gini",
        "ks",
        "top_decile",
        "deciles",
        "calibration",
    ] {
        assert!(record.remove(key).is_some(), "{key}");
        record.remove(&format!("{key}_interval"));
    }
    let old: Evaluation = serde_json::from_value(json).unwrap();
    assert_eq!((old.mcc, old.ks_interval, old.deciles.len()), (None, None, 0));
    assert_eq!((old.f1_interval, old.n, old.pr_auc), (new.f1_interval, new.n, new.pr_auc));
}
