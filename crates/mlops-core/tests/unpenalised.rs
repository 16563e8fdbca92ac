//! Fits without a penalty: against statsmodels and scikit-learn, and on rows that have no optimum.
//!
//! Goldens come from `golden/make_unpenalised.py`. Not for fits with a penalty: see `fit.rs`.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use mlops_core::ErrorKind;
use mlops_core::model::fit::{Blocks, Fitted, LogisticRegression, PackedBlocks, Scaler};

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    seed: u64,
    rows: usize,
    features: usize,
    beta: Vec<f64>,
}

struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 * 2.0_f64.powi(-53)
    }

    fn below(&mut self, n: u32) -> usize {
        let u = self.uniform() * f64::from(n);
        (1..=n).filter(|k| f64::from(*k) <= u).count()
    }
}

type Rows = Vec<(Vec<f64>, bool)>;

/// As in `make_fit.py`.
fn generate(seed: u64, rows: usize, features: usize) -> Rows {
    let mut random = Random(seed);
    let mut row = || {
        let (mut score, mut before, mut row) = (0.0, 0.5, Vec::new());
        for j in 0..features {
            let mut u = random.uniform();
            if j % 3 == 2 {
                u = 0.9 * before + 0.1 * u;
            }
            before = u;
            row.push(if j % 5 == 4 { (u * 1000.0).floor() } else { u * (j + 1) as f64 });
            let sign = if j % 2 == 0 { 1.0 } else { -1.0 };
            score += sign * (u - 0.5) * 3.0 / (1.0 + j as f64);
        }
        score += (random.uniform() - 0.5) * 2.0;
        (row, score > 0.3)
    };
    (0..rows).map(|_| row()).collect()
}

fn fit(rows: &Rows, numeric: &[bool]) -> mlops_core::Result<Fitted> {
    let mut blocks = PackedBlocks::new(rows[0].0.len());
    for (row, positive) in rows {
        blocks.push_row(row, *positive).unwrap();
    }
    let scaler = Scaler::fit(&blocks, numeric, 1)?;
    let model = LogisticRegression { c: f64::INFINITY, ..LogisticRegression::default() };
    let fitted = model.fit(&blocks, &scaler)?;
    assert_eq!(fitted.rows, blocks.rows());
    Ok(fitted)
}

#[test]
fn coefficients_are_those_of_statsmodels_and_scikit_learn() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/unpenalised.json")).unwrap();
    for case in cases {
        let mut rows = generate(case.seed, case.rows, case.features);
        let mut numeric = vec![true; case.features];
        if case.name.ends_with("repeats") {
            numeric.extend([true, true, false, false, false]);
            for (i, (row, _)) in rows.iter_mut().enumerate() {
                let more = [row[0], row[0] + row[1]];
                row.extend(more);
                row.extend((0..3).map(|level| f64::from(u8::from(i % 3 == level))));
            }
        }
        let fitted = fit(&rows, &numeric).unwrap();
        let found = fitted.coefficients.iter().chain([&fitted.intercept]);
        for (found, truth) in found.zip(&case.beta) {
            assert!((found - truth).abs() < 1e-8, "{}: {found} instead of {truth}", case.name);
        }
    }
}

fn refusal(rows: &Rows) -> String {
    let error = fit(rows, &vec![true; rows[0].0.len()]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Data(_)), "{error}");
    error.to_string()
}

#[test]
fn separable_rows_are_refused() {
    let two = vec![(vec![1.0], false), (vec![2.0], true)];
    assert!(refusal(&two).contains("all rows are separated perfectly by feature 0"));
    let mut many = generate(31, 20_000, 4);
    for (row, label) in &mut many {
        *label = row[1] - 0.3 * row[3] > 0.4;
    }
    let message = refusal(&many);
    assert!(message.contains("all rows are separated perfectly"), "{message}");
    assert!(message.contains("\"training.C\"") && message.len() < 500, "{message}");
}

#[test]
fn partly_separable_rows_are_refused_too() {
    // One level of a category has only positives; the others overlap.
    let mut rows = generate(32, 5_000, 3);
    for (i, (row, label)) in rows.iter_mut().enumerate() {
        row.push(f64::from(u8::from(i % 50 == 0)));
        *label |= i % 50 == 0;
    }
    let message = refusal(&rows);
    assert!(message.contains("some rows are separated perfectly by feature 3"), "{message}");
    // Touching classes: equal on the border, apart elsewhere (Albert and Anderson 1984).
    let touching: Rows = [(1.0, false), (2.0, false), (3.0, false), (3.0, true), (4.0, true)]
        .into_iter()
        .map(|(x, label)| (vec![x], label))
        .collect();
    assert!(refusal(&touching).contains("some rows are separated perfectly"));
}

#[test]
fn one_row_on_the_wrong_side_is_enough_for_an_optimum() {
    for wrong in [1e-3, 1.0, 40.0] {
        let mut rows: Rows = (0..400).map(|i| (vec![f64::from(i)], i >= 200)).collect();
        // Between the classes, by so much on the wrong side.
        rows.push((vec![199.0 - wrong], true));
        let fitted = fit(&rows, &[true]).unwrap();
        assert!(fitted.gradient_norm <= 1e-12 && fitted.coefficients[0] > 3.0, "{fitted:?}");
    }
}

/// Of small random problems every one either has an optimum or a direction that shows it has none;
/// whether it has is known from all the lines through two rows.
#[test]
fn small_problems_are_classified_correctly() {
    let mut random = Random(5);
    let (mut refused, mut fitted) = (0, 0);
    for _ in 0..3_000 {
        let n = 4 + random.below(8);
        let rows: Rows = (0..n)
            .map(|_| {
                let mut coordinate = || (random.uniform() * 5.0).floor();
                (vec![coordinate(), coordinate()], random.uniform() < 0.5)
            })
            .collect();
        if rows.iter().all(|row| row.1) || rows.iter().all(|row| !row.1) {
            continue;
        }
        let found = fit(&rows, &[true, true]);
        match found {
            Ok(_) => fitted += 1,
            Err(ref error) => {
                assert!(error.to_string().contains("separated perfectly"), "{rows:?}: {error}");
                refused += 1;
            }
        }
        assert_eq!(found.is_err(), separable(&rows), "{rows:?}");
    }
    assert!(refused > 100 && fitted > 100, "{refused} refused, {fitted} fitted");
}

/// Whether a line has no row on the wrong side and not all rows on it. If there is one, there is one
/// through two different rows, or one that is parallel to a coordinate or to such a line.
fn separable(rows: &Rows) -> bool {
    let mut normals = vec![[1.0, 0.0], [0.0, 1.0]];
    for (a, _) in rows {
        for (b, _) in rows {
            normals.push([b[1] - a[1], a[0] - b[0]]);
            normals.push([b[0] - a[0], b[1] - a[1]]);
        }
    }
    normals.retain(|normal| normal.iter().any(|v| v.abs() > 0.0));
    normals.iter().any(|normal| {
        [1.0, -1.0].iter().any(|sign| {
            let side = |row: &Vec<f64>| sign * (normal[0] * row[0] + normal[1] * row[1]);
            let of = |label: bool| rows.iter().filter(move |r| r.1 == label).map(|r| side(&r.0));
            let lowest = of(true).fold(f64::INFINITY, f64::min);
            let highest = of(false).fold(f64::NEG_INFINITY, f64::max);
            let moves = of(true).chain(of(false)).any(|s| s > lowest || s < highest);
            highest < lowest || highest <= lowest && moves
        })
    })
}
