//! Estimated scores against NannyML's and numpy's (`tests/golden/make_estimates.py`), and by simulation: how often
//! their intervals have the score that the labels give, and how often they are refused. `docs/estimates.md`
//! has the tables.
//!
//! Counts are reduced; in full with `MLOPS_SOAK=1`. Not for single functions: their tests stand beside them.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeMap;

use mlops_core::drift::{Reference, SampleBuilder, support};
use mlops_core::evaluation::answered::Answered;
use mlops_core::evaluation::estimate::{Estimate, Expected};
use mlops_core::evaluation::metrics::{Evaluation, Interval};
use mlops_core::evaluation::refusal::Refusal;
use mlops_core::model::fit::{LogisticRegression, PackedBlocks, Scaler};
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    threshold: f64,
    labels: Vec<u8>,
    p: Vec<f64>,
    answered: Vec<f64>,
    intercept: f64,
    slope: f64,
    covariance: [[f64; 2]; 2],
    scores: BTreeMap<String, [f64; 3]>,
}

fn scores(estimate: &Estimate) -> [(&'static str, Expected); 4] {
    let Estimate { f1, precision, recall, roc_auc, .. } = *estimate;
    [("f1", f1), ("precision", precision), ("recall", recall), ("roc_auc", roc_auc)]
}

fn answered(probabilities: impl IntoIterator<Item = f64>, threshold: f64) -> Answered {
    let mut answered = Answered::new(threshold);
    probabilities.into_iter().for_each(|p| answered.add(p));
    answered
}

#[test]
fn estimates_are_those_of_nannyml_and_numpy() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/estimates.json")).unwrap();
    for case in golden.cases {
        let labels: Vec<bool> = case.labels.iter().map(|label| *label == 1).collect();
        let tested = Evaluation::of(&labels, &case.p, case.threshold).unwrap();
        let calibration = tested.calibration.as_ref().unwrap();
        let near = |found: f64, expected: f64, within: f64, what: &str| {
            let difference = (found - expected).abs();
            assert!(difference < within, "{}: {what} {found} rather than {expected}", case.name);
        };
        near(calibration.intercept.unwrap(), case.intercept, 1e-9, "intercept");
        near(calibration.slope.unwrap(), case.slope, 1e-9, "slope");
        let found = calibration.covariance.unwrap();
        for (found, expected) in found.iter().flatten().zip(case.covariance.iter().flatten()) {
            near(*found, *expected, 1e-9, "covariance");
        }
        let estimate =
            Estimate::of(&answered(case.answered.iter().copied(), case.threshold), &tested)
                .unwrap();
        assert_eq!(estimate.rows, case.answered.len() as u64);
        for (name, Expected { value, interval }) in scores(&estimate) {
            let [expected, low, high] = case.scores[name];
            near(value, expected, 1e-9, name);
            // Their derivatives are differences.
            near(interval.low, low, 1e-6, name);
            near(interval.high, high, 1e-6, name);
        }
    }
}

const FEATURES: usize = 3;
/// Log-odds of the label: the intercept, then a coefficient for each feature.
type Concept = [f64; 1 + FEATURES];
const CONCEPT: Concept = [-0.8, 1.2, -0.7, 0.5];

/// How the features differ from standard normal ones.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    mean: [f64; FEATURES],
    deviation: [f64; FEATURES],
}

const SAME: Inputs = Inputs { mean: [0.0; FEATURES], deviation: [1.0; FEATURES] };

struct Rows {
    features: Vec<[f64; FEATURES]>,
    labels: Vec<bool>,
}

fn rows(n: usize, inputs: Inputs, concept: Concept, random: &mut Xoshiro256PlusPlus) -> Rows {
    let mut rows = Rows { features: Vec::new(), labels: Vec::new() };
    for _ in 0..n {
        let mut log_odds = concept[0];
        let features = std::array::from_fn(|j| {
            let drawn: f64 = StandardNormal.sample(random);
            let value = inputs.mean[j] + inputs.deviation[j] * drawn;
            log_odds += concept[1 + j] * value;
            value
        });
        let chance: f64 = StandardUniform.sample(random);
        rows.features.push(features);
        rows.labels.push(chance < 1.0 / (1.0 + (-log_odds).exp()));
    }
    rows
}

/// The probabilities of a model fitted to some rows, for others.
fn fitted(training: &Rows) -> impl Fn(&Rows) -> Vec<f64> {
    let mut blocks = PackedBlocks::new(FEATURES);
    for (features, label) in training.features.iter().zip(&training.labels) {
        blocks.push_row(features, *label).unwrap();
    }
    let scaler = Scaler::fit(&blocks, &[true; FEATURES], 1).unwrap();
    let model = LogisticRegression { threads: 1, ..LogisticRegression::default() };
    let line = model.fit(&blocks, &scaler).unwrap();
    move |rows| {
        let log_odds = |features: &[f64; FEATURES]| {
            let terms = (0..FEATURES).map(|j| (features[j] - scaler.mean[j]) / scaler.scale[j]);
            line.intercept + terms.zip(&line.coefficients).map(|(x, c)| x * c).sum::<f64>()
        };
        rows.features.iter().map(|row| 1.0 / (1.0 + (-log_odds(row)).exp())).collect()
    }
}

/// The estimate as a stage makes it: refused if a column or the probabilities left the reference.
fn estimate(
    training: &Rows,
    tested: &Evaluation,
    asked: &Rows,
    probabilities: &[f64],
) -> Result<Estimate, Refusal> {
    let sample = |name: &str, values: &mut dyn Iterator<Item = f64>| {
        let mut sample = SampleBuilder::of_numbers(name, 1);
        values.for_each(|value| sample.add_number(value));
        sample.finish()
    };
    for j in 0..FEATURES {
        let of = |rows: &Rows| sample("x", &mut rows.features.iter().map(|row| row[j]));
        support::within(&Reference::of(&of(training)), &of(asked))?;
    }
    let reference = Reference::of_probabilities(&tested.deciles);
    let new = sample("probability", &mut probabilities.iter().copied());
    support::within(&reference, &new)?;
    Estimate::of(&answered(probabilities.iter().copied(), tested.threshold), tested)
}

#[derive(Debug, Default)]
struct Tally {
    draws: u32,
    refused: u32,
    held: [u32; 4],
    width: f64,
    moved: f64,
}

impl Tally {
    fn share(&self, of: u32) -> f64 {
        f64::from(of) / f64::from(self.draws - self.refused)
    }
}

/// Training rows, test rows, asked rows; how the asked ones differ; by which concept the test rows are labelled.
fn simulate(
    draws: u32,
    seed: u64,
    (n, tests, m): (usize, usize, usize),
    inputs: Inputs,
    of_tests: Concept,
) -> Tally {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut tally = Tally { draws, ..Tally::default() };
    for _ in 0..draws {
        let training = rows(n, SAME, CONCEPT, &mut random);
        let model = fitted(&training);
        let test = rows(tests, SAME, of_tests, &mut random);
        let tested = Evaluation::of(&test.labels, &model(&test), 0.5).unwrap();
        let asked = rows(m, inputs, CONCEPT, &mut random);
        let probabilities = model(&asked);
        let Ok(estimate) = estimate(&training, &tested, &asked, &probabilities) else {
            tally.refused += 1;
            continue;
        };
        let truth = Evaluation::of(&asked.labels, &probabilities, 0.5).unwrap();
        let realised = [truth.f1, truth.precision, truth.recall, truth.roc_auc.unwrap()];
        for ((held, (_, score)), realised) in
            tally.held.iter_mut().zip(scores(&estimate)).zip(realised)
        {
            let Interval { low, high, .. } = score.interval;
            *held += u32::from(low <= realised && realised <= high);
        }
        tally.width += estimate.f1.interval.high - estimate.f1.interval.low;
        tally.moved += truth.f1 - tested.f1;
    }
    tally
}

#[expect(clippy::disallowed_methods, reason = "a switch for long tests, not configuration")]
fn soak() -> bool {
    std::env::var("MLOPS_SOAK").is_ok_and(|v| v == "1")
}

#[test]
fn under_drift_of_the_inputs_the_interval_has_the_score_of_the_labels() {
    let up = Inputs { mean: [0.7, -0.4, 0.0], ..SAME };
    let down = Inputs { mean: [-0.6, 0.3, 0.5], deviation: [0.9, 1.0, 0.8] };
    let cases = [
        ("no drift", SAME, (4_000, 1_000, 1_000)),
        ("towards positives", up, (4_000, 1_000, 1_000)),
        ("towards negatives, narrower", down, (4_000, 1_000, 1_000)),
        ("towards positives", up, (4_000, 1_000, 300)),
        ("towards negatives, narrower", down, (20_000, 5_000, 5_000)),
    ];
    let draws = if soak() { 2_000 } else { 60 };
    let mut of_all = [0_u32; 4];
    let mut accepted = 0;
    for (i, (name, inputs, sizes)) in (0..).zip(cases) {
        if sizes.0 > 4_000 && !soak() {
            continue;
        }
        let tally = simulate(draws, 100 + i, sizes, inputs, CONCEPT);
        let held = tally.held.map(|held| tally.share(held));
        let text = held.map(|share| format!("{share:.3}")).join(" | ");
        let (n, tests, m) = sizes;
        let of_each = f64::from(tally.draws - tally.refused);
        println!(
            "| {name} | {n} | {tests} | {m} | {:+.3} | ±{:.3} | {text} | {:.3} |",
            tally.moved / of_each,
            tally.width / of_each / 2.0,
            f64::from(tally.refused) / f64::from(draws)
        );
        if soak() {
            // With 2,000 draws the standard error of a share is 0.005.
            assert!(held.iter().all(|share| (0.93..=0.97).contains(share)), "{name}: {held:?}");
        }
        assert!(f64::from(tally.refused) < 0.15 * f64::from(draws), "{name}: {tally:?}");
        for (all, held) in of_all.iter_mut().zip(tally.held) {
            *all += held;
        }
        accepted += tally.draws - tally.refused;
    }
    let shares = of_all.map(|held| f64::from(held) / f64::from(accepted));
    let bounds = if soak() { 0.93..=0.97 } else { 0.915..=0.985 };
    assert!(shares.iter().all(|share| bounds.contains(share)), "{shares:?} of {accepted}");
}

#[test]
fn a_broken_calibration_is_refused() {
    let with = |j: usize, value: f64| {
        let mut concept = CONCEPT;
        concept[j] = value;
        concept
    };
    let cases = [
        ("all log-odds up by 0.5", with(0, -0.3)),
        ("all log-odds down by 0.5", with(0, -1.3)),
        ("all effects at 60 %", [-0.8, 0.72, -0.42, 0.3]),
        ("all effects at 150 %", [-0.8, 1.8, -1.05, 0.75]),
        ("the first effect gone", with(1, 0.0)),
        ("the second effect reversed", with(2, 0.7)),
    ];
    let draws = if soak() { 1_000 } else { 15 };
    for (i, (name, concept)) in (0..).zip(cases) {
        let tally = simulate(draws, 200 + i, (4_000, 1_000, 400), SAME, concept);
        let share = f64::from(tally.refused) / f64::from(draws);
        println!("| {name} | {share:.3} |");
        // Of 15 draws one may be missed.
        assert!(share >= if soak() { 0.95 } else { 0.9 }, "{name}: {share}");
    }
}

#[test]
fn inputs_that_left_the_reference_are_refused() {
    let far = [
        ("the first feature by two deviations", Inputs { mean: [2.0, 0.0, 0.0], ..SAME }),
        ("the third feature by two deviations", Inputs { mean: [0.0, 0.0, 2.0], ..SAME }),
        ("the first feature ten times as wide", Inputs { deviation: [10.0, 1.0, 1.0], ..SAME }),
        ("the second feature is a constant", Inputs { deviation: [1.0, 0.01, 1.0], ..SAME }),
    ];
    let draws = if soak() { 200 } else { 3 };
    for (i, (name, inputs)) in (0..).zip(far) {
        let tally = simulate(draws, 300 + i, (4_000, 1_000, 400), inputs, CONCEPT);
        println!("| {name} | {:.3} |", f64::from(tally.refused) / f64::from(draws));
        assert_eq!(tally.refused, draws, "{name}");
    }
}
