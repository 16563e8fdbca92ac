//! How often the intervals of a score hold the true value: the tables of `docs/intervals.md`.
//!
//! The coverage of the closed forms of counts is summed exactly; the percentile bootstrap, which
//! they replaced, and the intervals of the ROC AUC are simulated, on request only. Not for
//! differences of scores: see the tests beside `evaluation::metrics::difference`.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use mlops_core::evaluation::metrics::interval::{auc_interval, f1_interval, wilson};
use mlops_core::evaluation::metrics::{ConfusionMatrix, Interval, Ranking};
use rand_distr::{Binomial, Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

const ROWS: [u64; 5] = [30, 50, 100, 200, 500];
const PREVALENCES: [f64; 4] = [0.1, 0.3, 0.5, 0.8];
/// Recall and false positive rate, from nearly perfect to nearly useless.
const MODELS: [(f64, f64); 5] = [(0.99, 0.01), (0.95, 0.03), (0.8, 0.2), (0.5, 0.1), (0.55, 0.45)];

/// Chances of tp, fp, fn and tn.
pub(super) type Chances = [f64; 4];

pub(super) fn populations() -> Vec<Chances> {
    let of = |prevalence: f64, (recall, fpr): (f64, f64)| {
        let others = 1.0 - prevalence;
        [prevalence * recall, others * fpr, prevalence * (1.0 - recall), others * (1.0 - fpr)]
    };
    PREVALENCES.iter().flat_map(|p| MODELS.map(|model| of(*p, model))).collect()
}

/// The chances of 0 to n successes.
fn binomial(n: u64, chance: f64) -> Vec<f64> {
    let mut logarithm = n as f64 * (-chance).ln_1p();
    let odds = (chance / (1.0 - chance)).ln();
    let mut chances = Vec::new();
    for k in 0..=n {
        chances.push(logarithm.exp());
        logarithm += odds + ((n - k) as f64 / (k + 1) as f64).ln();
    }
    chances
}

fn holds(interval: Interval, truth: f64) -> bool {
    interval.low <= truth && truth <= interval.high
}

/// The exact coverage of the interval of a share `part / (part + rest)` of `n` rows, where part and
/// rest have these chances.
fn exact(n: u64, part: f64, rest: f64, covers: impl Fn(u64, u64) -> bool) -> f64 {
    let whole = if part + rest < 1.0 { binomial(n, part + rest) } else { Vec::new() };
    let mut total = 0.0;
    for m in 0..=n {
        let chance = whole.get(usize::try_from(m).unwrap()).copied();
        // Every row takes part where both together are certain.
        let chance = chance.unwrap_or(f64::from(u8::from(m == n)));
        let parts = binomial(m, part / (part + rest));
        let held = (0..=m).zip(parts).filter(|(k, _)| covers(*k, m)).map(|(_, chance)| chance);
        total += chance * held.sum::<f64>();
    }
    total
}

/// Coverage of Wilson's interval of F1, accuracy, precision and recall.
fn of_counts(n: u64, [tp, fp, fn_, tn]: Chances) -> [f64; 4] {
    let f1 = 2.0 * tp / (2.0 * tp + fp + fn_);
    let by_f1 = |k: u64, m: u64| {
        let matrix = ConfusionMatrix { tp: k, fp: m - k, fn_: 0, tn: n - m };
        holds(f1_interval(&matrix), f1)
    };
    let share = |part: f64, rest: f64| {
        exact(n, part, rest, |k, m| holds(wilson(k, m), part / (part + rest)))
    };
    [exact(n, tp, fp + fn_, by_f1), share(tp + tn, fp + fn_), share(tp, fp), share(tp, fn_)]
}

pub(super) fn mean_and_worst(shares: &[f64]) -> (f64, f64) {
    let worst = shares.iter().copied().fold(1.0, f64::min);
    (shares.iter().sum::<f64>() / shares.len() as f64, worst)
}

#[test]
fn counts_are_covered_as_often_as_promised() {
    for n in ROWS {
        let all: Vec<[f64; 4]> = populations().into_iter().map(|p| of_counts(n, p)).collect();
        for (score, name) in ["F1", "accuracy", "precision", "recall"].iter().enumerate() {
            let shares: Vec<f64> = all.iter().map(|of| of[score]).collect();
            let (mean, worst) = mean_and_worst(&shares);
            println!("n = {n}: {name} {mean:.3}, worst {worst:.3}");
            assert!((0.94..=0.98).contains(&mean), "n = {n}: {name} {mean}");
            assert!(worst > 0.83, "n = {n}: {name} {worst}");
        }
    }
}

/// Draws a confusion matrix of `n` rows.
pub(super) fn draw(n: u64, chances: Chances, random: &mut Xoshiro256PlusPlus) -> ConfusionMatrix {
    let (mut rows, mut left) = (n, 1.0_f64);
    let [tp, fp, fn_, tn] = chances.map(|chance| {
        let share = if chance < left { chance / left } else { 1.0 };
        let drawn = Binomial::new(rows, share).unwrap().sample(random);
        rows -= drawn;
        left -= chance;
        drawn
    });
    // What rounding left over belongs to the last.
    ConfusionMatrix { tp, fp, fn_, tn: tn + rows }
}

/// The ends of the percentile interval of the F1 that stood here before: 1,000 resamples.
fn bootstrap(matrix: &ConfusionMatrix, random: &mut Xoshiro256PlusPlus) -> (f64, f64) {
    let n = matrix.n() as f64;
    let chances = [matrix.tp, matrix.fp, matrix.fn_, matrix.tn].map(|count| count as f64 / n);
    let mut scores: Vec<f64> = (0..1_000).map(|_| draw(matrix.n(), chances, random).f1()).collect();
    scores.sort_unstable_by(f64::total_cmp);
    (scores[25], scores[974])
}

/// Positives and negatives whose scores are normal, of standard deviation `spread` for positives
/// and 1 for negatives, so far apart that the area is `area`; the coverage of its interval.
fn of_area(rows: (u64, u64), shift: f64, spread: f64, area: f64, sets: u32) -> f64 {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(rows.0 * 1_000 + rows.1);
    let mut held = 0;
    for _ in 0..sets {
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        let positives = (0..rows.0).map(|_| (true, shift + spread * normal())).collect::<Vec<_>>();
        let negatives = (0..rows.1).map(|_| (false, normal())).collect::<Vec<_>>();
        let (labels, scores): (Vec<bool>, Vec<f64>) =
            positives.into_iter().chain(negatives).unzip();
        let found = Ranking::new(&labels, &scores).unwrap().roc_auc().unwrap();
        held += u32::from(holds(auc_interval(found, rows.0, rows.1), area));
    }
    f64::from(held) / f64::from(sets)
}

/// Quantiles of the standard normal distribution: `scipy.stats.norm.ppf`.
const AREAS: [(f64, f64); 4] = [
    (0.6, 0.253_347_103_135_799_7),
    (0.75, 0.674_489_750_196_081_7),
    (0.9, 1.281_551_565_544_600_4),
    (0.98, 2.053_748_910_631_823),
];

fn areas(n: u64, sets: u32) -> Vec<f64> {
    let mut shares = Vec::new();
    for (area, quantile) in AREAS {
        for share in [2, 5] {
            for spread in [1.0_f64, 1.6] {
                let shift = quantile * spread.hypot(1.0);
                shares.push(of_area((n / share, n - n / share), shift, spread, area, sets));
            }
        }
    }
    shares
}

#[test]
fn areas_are_covered_about_as_often_as_promised() {
    for n in [30, 100] {
        let (mean, worst) = mean_and_worst(&areas(n, 400));
        assert!((0.93..=0.98).contains(&mean) && worst > 0.85, "n = {n}: {mean}, worst {worst}");
    }
}

/// Prints the tables of the documentation.
#[test]
#[ignore = "prints the tables of docs/intervals.md, for minutes"]
fn tables() {
    let row = |n: u64, columns: &[Vec<f64>]| {
        let cells: Vec<String> = columns
            .iter()
            .map(|shares| mean_and_worst(shares))
            .map(|(mean, worst)| format!("{mean:.3}, {worst:.3}"))
            .collect();
        println!("| {n} | {} |", cells.join(" | "));
    };
    println!("| rows | F1, bootstrap | F1 | accuracy | precision | recall | ROC AUC |");
    println!("|---|---|---|---|---|---|---|");
    for n in ROWS {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(n);
        let old: Vec<f64> = populations()
            .into_iter()
            .map(|chances| {
                let [tp, fp, fn_, _] = chances;
                let truth = 2.0 * tp / (2.0 * tp + fp + fn_);
                let held = (0..2_000).filter(|_| {
                    let (low, high) = bootstrap(&draw(n, chances, &mut random), &mut random);
                    low <= truth && truth <= high
                });
                held.count() as f64 / 2_000.0
            })
            .collect();
        let exact: Vec<[f64; 4]> = populations().into_iter().map(|p| of_counts(n, p)).collect();
        let mut columns = vec![old];
        columns.extend((0..4).map(|score| exact.iter().map(|of| of[score]).collect()));
        columns.push(areas(n, 5_000));
        row(n, &columns);
    }
}
