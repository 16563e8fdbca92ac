//! Random fits of every awkward kind, each held against its optimum in twice the digits.
//!
//! A thousand with every run of the tests, ten thousand with `MLOPS_SOAK=1`. Not for large data or
//! known answers: see `fit.rs`.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use mlops_core::config::choices::{ClassWeight, Solver};
use mlops_core::model::fit::{Blocks, Fitted, LogisticRegression, PackedBlocks, Scaler};

struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2.0_f64.powi(-53)
    }

    fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.bits() % n as u64).unwrap()
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// A problem: rows of columns, labels, which columns are scaled, and how to fit.
struct Problem {
    columns: Vec<Vec<f64>>,
    labels: Vec<bool>,
    numeric: Vec<bool>,
    model: LogisticRegression,
}

fn problem(seed: u64) -> Problem {
    let mut random = Random(seed);
    let r = &mut random;
    let more = r.uniform().powi(3) * 300.0;
    let rows = 2 + (1..=300).filter(|k| f64::from(*k) <= more).count();
    let features = 1 + r.below(6);
    let mut columns: Vec<Vec<f64>> = Vec::new();
    let mut numeric = Vec::new();
    for j in 0..features {
        let kind = r.below(9);
        let size = 10.0_f64.powf(if r.below(3) == 0 { r.within(-140.0, 140.0) } else { 0.0 });
        let offset = if r.below(4) == 0 { r.within(-1e6, 1e6) } else { 0.0 };
        let other = columns.get(r.below(j.max(1))).cloned();
        let column = |r: &mut Random| -> Vec<f64> {
            match (kind, other) {
                (0, _) => (0..rows).map(|_| r.below(2) as f64).collect(),
                (1, Some(other)) => other,
                (2, Some(other)) => other.iter().map(|x| 3.0 * x - 1.0).collect(),
                (3, Some(other)) => {
                    let noise = 10.0_f64.powf(r.within(-12.0, -1.0));
                    other.iter().map(|x| x * (1.0 + noise * r.normal())).collect()
                }
                (4, _) => vec![r.normal(); rows],
                (5, _) => (0..rows).map(|i| f64::from(u8::from(i == 0))).collect(),
                (6, _) => (0..rows).map(|_| (3.0 * r.normal()).exp()).collect(),
                (7, _) => (0..rows).map(|_| (4.0 * r.normal()).round()).collect(),
                _ => (0..rows).map(|_| r.normal()).collect(),
            }
        };
        let column = column(r);
        // Only zeros and ones go unscaled, as categories do.
        numeric.push(kind != 0 && kind != 5 || r.below(2) == 0);
        let plain = matches!(kind, 0..=5);
        columns.push(column.iter().map(|x| if plain { *x } else { (x + offset) * size }).collect());
    }
    let direction: Vec<f64> = (0..features).map(|_| r.normal()).collect();
    let sizes: Vec<f64> = columns
        .iter()
        .map(|c| c.iter().fold(0.0_f64, |m, x| m.max((x - c[0]).abs())).max(f64::MIN_POSITIVE))
        .collect();
    let noise = [0.0, 1e-3, 0.3, 3.0][r.below(4)];
    let cut = r.within(-0.5, 0.5);
    let score = |i: usize, r: &mut Random| {
        let terms = columns.iter().zip(&sizes).zip(&direction);
        terms.map(|((c, size), d)| d * ((c[i] - c[0]) / size)).sum::<f64>() + noise * r.normal()
    };
    let mut labels: Vec<bool> = match r.below(4) {
        0 => vec![false; rows],
        1 => (0..rows).map(|_| r.below(2) == 0).collect(),
        _ => (0..rows).map(|i| score(i, r) > cut).collect(),
    };
    // Both classes, if need be with a single row.
    let at = r.below(rows);
    if labels.iter().all(|label| *label == labels[0]) {
        labels[at] = !labels[at];
    }
    let model = LogisticRegression {
        c: 10.0_f64.powf(r.within(-10.0, 10.0)),
        class_weight: [ClassWeight::None, ClassWeight::Balanced][usize::from(r.below(4) == 0)],
        solver: [Solver::Auto, Solver::Newton, Solver::Newton, Solver::Newton][r.below(4)],
        threads: 1,
        ..LogisticRegression::default()
    };
    Problem { columns, labels, numeric, model }
}

/// A number in two parts (Dekker 1971).
#[derive(Clone, Copy, Default)]
struct Two(f64, f64);

impl Two {
    fn plus(self, other: Self) -> Self {
        let sum = self.0 + other.0;
        let part = sum - self.0;
        let error = (self.0 - (sum - part)) + (other.0 - part);
        let low = error + self.1 + other.1;
        let high = sum + low;
        Self(high, low - (high - sum))
    }

    fn times(self, other: Self) -> Self {
        let product = self.0 * other.0;
        let error = self.0.mul_add(other.0, -product) + (self.0 * other.1 + self.1 * other.0);
        let high = product + error;
        Self(high, error - (high - product))
    }

    fn of(value: f64) -> Self {
        Self(value, 0.0)
    }

    /// exp of -700 to 0: 2^-10 of it by Taylor's series, squared ten times.
    fn exp(self) -> Self {
        let x = self.times(Self::of(1.0 / 1024.0));
        let (mut sum, mut term) = (Self::of(1.0), Self::of(1.0));
        for k in 1..26 {
            term = term.times(x);
            let k = f64::from(k);
            let quotient = term.0 / k;
            term = Self(quotient, (quotient.mul_add(-k, term.0) + term.1) / k);
            sum = sum.plus(term);
        }
        (0..10).fold(sum, |power, _| power.times(power))
    }

    fn over(self, other: Self) -> Self {
        let quotient = self.0 / other.0;
        let rest = self.plus(other.times(Self::of(-quotient)));
        Self(quotient, rest.0 / other.0)
    }
}

/// What is left of the gradient at the claimed optimum, beside what one unit in the last place of the
/// log-odds makes of it.
struct Left {
    gradient: Vec<f64>,
    rounding: Vec<f64>,
    hessian: Vec<Vec<f64>>,
    weights: f64,
}

fn left(problem: &Problem, scaler: &Scaler, fitted: &Fitted) -> Left {
    let n = problem.labels.len() as f64;
    let positives = problem.labels.iter().filter(|label| **label).count() as f64;
    let weights = match problem.model.class_weight {
        ClassWeight::None => [1.0, 1.0],
        ClassWeight::Balanced => [n / (2.0 * (n - positives)), n / (2.0 * positives)],
    };
    let size = problem.columns.len() + 1;
    let mut gradient: Vec<Two> = fitted
        .coefficients
        .iter()
        .map(|w| Two::of(*w).over(Two::of(problem.model.c)))
        .chain([Two::default()])
        .collect();
    let mut rounding: Vec<f64> = gradient.iter().map(|g| g.0.abs() * f64::EPSILON).collect();
    let mut hessian = vec![vec![0.0; size]; size];
    for (j, row) in hessian.iter_mut().enumerate().take(size - 1) {
        row[j] = 1.0 / problem.model.c;
    }
    for (i, label) in problem.labels.iter().enumerate() {
        let mut x: Vec<f64> = problem
            .columns
            .iter()
            .enumerate()
            .map(|(j, c)| (c[i] - scaler.mean[j]) * (1.0 / scaler.scale[j]))
            .collect();
        x.push(1.0);
        let beta = fitted.coefficients.iter().chain([&fitted.intercept]);
        let mut z = Two::default();
        let mut largest = 0.0;
        for (x, w) in x.iter().zip(beta) {
            z = z.plus(Two::of(*x).times(Two::of(*w)));
            largest += (x * w).abs();
        }
        let weight = weights[usize::from(*label)];
        let away = if *label { z } else { Two(-z.0, -z.1) };
        // The chance of the other label.
        let small = if away.0 > 0.0 { Two(-away.0, -away.1) } else { away };
        let small = if small.0 < -700.0 { Two::of(-700.0) } else { small }.exp();
        let sum = small.plus(Two::of(1.0));
        let wrong = if away.0 > 0.0 { small.over(sum) } else { Two::of(1.0).over(sum) };
        let residual = wrong.times(Two::of(if *label { -weight } else { weight }));
        let curvature = weight * small.0 / (sum.0 * sum.0);
        for (j, value) in x.iter().enumerate() {
            gradient[j] = gradient[j].plus(residual.times(Two::of(*value)));
            rounding[j] += f64::EPSILON * value.abs() * (residual.0.abs() + curvature * largest);
            for (sum, other) in hessian[j].iter_mut().zip(&x) {
                *sum += curvature * value * other;
            }
        }
    }
    let gradient = gradient.into_iter().map(|g| g.0 + g.1).collect();
    let weights = weights[0] * (n - positives) + weights[1] * positives;
    Left { gradient, rounding, hessian, weights }
}

/// `right` divided by a positive definite matrix, by elimination.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    // To a diagonal of ones, so that columns of every size are alike.
    let root = |(j, row): (usize, &Vec<f64>)| 1.0 / row[j].max(1e-300).sqrt();
    let scale: Vec<f64> = matrix.iter().enumerate().map(root).collect();
    for (j, row) in matrix.iter_mut().enumerate() {
        for (entry, other) in row.iter_mut().zip(&scale) {
            *entry *= scale[j] * other;
        }
        row[j] += 1e-15;
        right[j] *= scale[j];
    }
    for j in 0..right.len() {
        let (above, below) = matrix.split_at_mut(j + 1);
        let (known, unknown) = right.split_at_mut(j + 1);
        for (row, value) in below.iter_mut().zip(unknown) {
            let factor = row[j] / above[j][j];
            for (entry, other) in row.iter_mut().zip(&above[j]).skip(j) {
                *entry -= factor * other;
            }
            *value -= factor * known[j];
        }
    }
    for j in (0..right.len()).rev() {
        let (unknown, known) = right.split_at_mut(j + 1);
        let row = &matrix[j];
        let rest: f64 = row[j + 1..].iter().zip(known).map(|(entry, value)| entry * *value).sum();
        unknown[j] = (unknown[j] - rest) / row[j];
    }
    right.iter().zip(scale).map(|(x, scale)| x * scale).collect()
}

/// Why `seed` did not end at its optimum, if it did not.
fn fault(seed: u64) -> Option<String> {
    let problem = problem(seed);
    let rows = problem.labels.len();
    let mut blocks = PackedBlocks::new(problem.columns.len());
    let columns: Vec<&[f64]> = problem.columns.iter().map(Vec::as_slice).collect();
    blocks.push_columns(&columns, &problem.labels).unwrap();
    let about = || {
        let Problem { model, .. } = &problem;
        format!(
            "seed {seed}: {rows} x {}, {} positive, C {:.1e}, {:?} {:?}",
            blocks.features(),
            blocks.positives(),
            model.c,
            model.solver,
            model.class_weight
        )
    };
    let scaler = match Scaler::fit(&blocks, &problem.numeric, 1) {
        Ok(scaler) => scaler,
        Err(error) => return Some(format!("{}: {error}", about())),
    };
    let fitted = match problem.model.fit(&blocks, &scaler) {
        Ok(fitted) => fitted,
        Err(error) => return Some(format!("{}: {error}", about())),
    };
    let left = left(&problem, &scaler, &fitted);
    let step = solve(left.hessian, left.gradient.clone());
    let decrement: f64 = step.iter().zip(&left.gradient).map(|(s, g)| s * g).sum();
    for (j, (slope, rounding)) in left.gradient.iter().zip(&left.rounding).enumerate() {
        if slope.abs() > 1e-12 * left.weights + 8.0 * rounding {
            return Some(format!(
                "{}: slope {j} is {slope:.1e}, rounding {rounding:.1e}, in {} steps",
                about(),
                fitted.iterations
            ));
        }
    }
    (decrement > 1e-13 * fitted.loss)
        .then(|| format!("{}: {decrement:.1e} from the loss {:.1e}", about(), fitted.loss))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a switch for long tests, not configuration")]
fn every_fit_ends_at_its_optimum() {
    let fits = if std::env::var("MLOPS_SOAK").is_ok() { 10_000 } else { 1_000 };
    let faults: Vec<String> = (0..fits).filter_map(fault).collect();
    assert!(faults.is_empty(), "{} of {fits}:\n{}", faults.len(), faults.join("\n"));
}
