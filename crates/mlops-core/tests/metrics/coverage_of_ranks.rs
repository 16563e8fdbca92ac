//! How often the intervals of balanced accuracy, MCC, KS, lift, top decile and calibration hold the
//! true value: the second table of `docs/intervals.md`.
//!
//! All are simulated; fewer test sets are drawn unless `MLOPS_SOAK` is set. Not for counts and areas:
//! see `coverage`.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use mlops_core::evaluation::metrics::clusters::Sampling;
use mlops_core::evaluation::metrics::interval::{balanced_interval, mcc_interval};
use mlops_core::evaluation::metrics::{ConfusionMatrix, Evaluation, Interval};
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::coverage::{draw, mean_and_worst, populations};

fn holds(interval: Option<Interval>, truth: f64) -> Option<bool> {
    interval.map(|i| i.low <= truth && truth <= i.high)
}

/// The share of the known answers that are true.
fn share(answers: impl Iterator<Item = Option<bool>>) -> f64 {
    let known: Vec<bool> = answers.flatten().collect();
    known.iter().filter(|held| **held).count() as f64 / known.len().max(1) as f64
}

/// Balanced accuracy and MCC of the populations of counts.
fn of_counts(n: u64, sets: u32) -> [Vec<f64>; 2] {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(n);
    let mut found = [Vec::new(), Vec::new()];
    for chances in populations() {
        let many = chances.map(|chance| chance * 1e15);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 1e15")]
        let [tp, fp, fn_, tn] = many.map(|count| count as u64);
        let truth = ConfusionMatrix { tn, fp, fn_, tp };
        let drawn: Vec<_> = (0..sets).map(|_| draw(n, chances, &mut random)).collect();
        let balanced = |m| holds(balanced_interval(m, Sampling::ROWS), truth.balanced_accuracy());
        found[0].push(share(drawn.iter().map(balanced)));
        found[1]
            .push(share(drawn.iter().map(|m| holds(mcc_interval(m, Sampling::ROWS), truth.mcc()))));
    }
    found
}

/// The standard normal distribution function, by Simpson's rule.
fn normal(x: f64) -> f64 {
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let (parts, end) = (400, x.abs().min(9.0));
    let step = end / f64::from(parts);
    let sum: f64 = (0..=parts)
        .map(|k| {
            let weight = if k == 0 || k == parts { 1.0 } else { f64::from(2 + 2 * (k % 2)) };
            weight * density(f64::from(k) * step)
        })
        .sum();
    0.5 + x.signum() * sum * step / 3.0
}

/// Positives are normal around `shift` with deviation `spread`, negatives around 0 with 1.
#[derive(Clone, Copy)]
struct Normals {
    prevalence: f64,
    shift: f64,
    spread: f64,
}

impl Normals {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for prevalence in [0.2, 0.5] {
            for shift in [0.5, 1.0, 2.0, 3.0] {
                all.extend([1.0, 1.6].map(|spread| Self { prevalence, shift, spread }));
            }
        }
        all
    }

    /// Shares of positives and negatives above a score.
    fn above(&self, score: f64) -> (f64, f64) {
        (1.0 - normal((score - self.shift) / self.spread), 1.0 - normal(score))
    }

    /// KS, and the precision of the top tenth.
    fn truth(&self) -> (f64, f64) {
        let scores = (-600..900).map(|k| f64::from(k) / 100.0);
        let ks = scores.map(|s| self.above(s)).map(|(t, f)| (t - f).abs()).fold(0.0, f64::max);
        let of_all = |(t, f): (f64, f64)| self.prevalence * t + (1.0 - self.prevalence) * f;
        let (mut low, mut high) = (-9.0_f64, 15.0_f64);
        for _ in 0..60 {
            let middle = low.midpoint(high);
            if of_all(self.above(middle)) > 0.1 { low = middle } else { high = middle }
        }
        (ks, self.prevalence * self.above(low).0 / 0.1)
    }

    fn draw(&self, n: usize, random: &mut Xoshiro256PlusPlus) -> Evaluation {
        let mut labels = Vec::with_capacity(n);
        let mut p = Vec::with_capacity(n);
        for _ in 0..n {
            let chance: f64 = StandardUniform.sample(random);
            let noise: f64 = StandardNormal.sample(random);
            let label = chance < self.prevalence;
            let score = if label { self.shift + self.spread * noise } else { noise };
            labels.push(label);
            // Any rising function of the score ranks alike.
            p.push(1.0 / (1.0 + (-score / 4.0).exp()));
        }
        Evaluation::of(&labels, &p, 0.5).unwrap()
    }
}

/// KS, precision and lift of the top decile.
fn of_ranks(n: usize, sets: u32) -> [Vec<f64>; 3] {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(n as u64);
    let mut found = [const { Vec::new() }; 3];
    for population in Normals::all() {
        let (ks, precision) = population.truth();
        let drawn: Vec<_> = (0..sets).map(|_| population.draw(n, &mut random)).collect();
        let top = |e: &Evaluation| e.top_decile;
        found[0].push(share(drawn.iter().map(|e| holds(e.ks_interval, ks))));
        let held = |e: &Evaluation| holds(top(e).map(|t| t.precision_interval), precision);
        found[1].push(share(drawn.iter().map(held)));
        let lift = precision / population.prevalence;
        let held = |e: &Evaluation| holds(top(e).map(|t| t.lift_interval), lift);
        found[2].push(share(drawn.iter().map(held)));
    }
    found
}

/// Calibration intercept and slope of models whose log-odds are x where they should be a + b x, and
/// how often Spiegelhalter's test finds nothing in 0.05 of the calibrated ones.
fn of_calibration(n: usize, sets: u32) -> [Vec<f64>; 3] {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(n as u64);
    let mut found = [const { Vec::new() }; 3];
    let odds = |x: f64| 1.0 / (1.0 + (-x).exp());
    for (a, b) in [(0.0, 1.0), (-0.5, 0.7), (0.5, 1.3)] {
        for (mean, spread) in [(0.0, 1.0), (-1.5, 1.0), (-1.0, 2.0)] {
            let drawn: Vec<_> = (0..sets)
                .map(|_| {
                    let mut row = || {
                        let noise: f64 = StandardNormal.sample(&mut random);
                        let chance: f64 = StandardUniform.sample(&mut random);
                        let x = mean + spread * noise;
                        (chance < odds(a + b * x), odds(x))
                    };
                    let (labels, p): (Vec<bool>, Vec<f64>) = (0..n).map(|_| row()).unzip();
                    Evaluation::of(&labels, &p, 0.5).unwrap().calibration.unwrap()
                })
                .collect();
            found[0].push(share(drawn.iter().map(|c| holds(c.intercept_interval, a))));
            found[1].push(share(drawn.iter().map(|c| holds(c.slope_interval, b))));
            if (a, b) == (0.0, 1.0) {
                found[2].push(share(drawn.iter().map(|c| c.spiegelhalter_p.map(|p| p >= 0.05))));
            }
        }
    }
    found
}

const NAMES: [&str; 8] = [
    "balanced accuracy",
    "MCC",
    "KS",
    "top precision",
    "lift",
    "calibration intercept",
    "calibration slope",
    "Spiegelhalter",
];

#[expect(clippy::cast_possible_truncation, reason = "hundreds")]
fn all(n: u64, sets: u32) -> Vec<(f64, f64)> {
    let rows = n as usize;
    let mut shares: Vec<Vec<f64>> = of_counts(n, sets).to_vec();
    shares.extend(of_ranks(rows, sets));
    shares.extend(of_calibration(rows, sets));
    shares.iter().map(|shares| mean_and_worst(shares)).collect()
}

#[test]
fn ranks_and_calibration_are_covered_about_as_often_as_promised() {
    let sets = if std::env::var_os("MLOPS_SOAK").is_some() { 4_000 } else { 300 };
    for n in [100, 500] {
        for (name, (mean, worst)) in NAMES.iter().zip(all(n, sets)) {
            println!("n = {n}: {name} {mean:.3}, worst {worst:.3}");
            assert!((0.92..=0.985).contains(&mean), "n = {n}: {name} {mean}");
            // Wilson's interval of ten rows misses shares of 0.98 when one row of them is wrong.
            let least = if *name == "top precision" { 0.75 } else { 0.85 };
            assert!(worst > least, "n = {n}: {name} {worst}");
        }
    }
}

/// Prints the second table of the documentation.
#[test]
#[ignore = "prints the second table of docs/intervals.md"]
fn tables_of_ranks() {
    println!("| rows | {} |", NAMES.join(" | "));
    for n in [30, 50, 100, 200, 500] {
        let cells: Vec<String> =
            all(n, 4_000).iter().map(|(mean, worst)| format!("{mean:.3}, {worst:.3}")).collect();
        println!("| {n} | {} |", cells.join(" | "));
    }
}
