//! Standard errors of coefficients: against statsmodels and, with a penalty, numpy.
//!
//! Goldens come from `golden/make_standard_errors.py`. Not for the coefficients: see `fit.rs`.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use mlops_core::config::choices::ClassWeight;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlops_core::model::fit::{Block, Blocks, Covariance, LogisticRegression, PackedBlocks, Scaler};

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    seed: u64,
    rows: usize,
    features: usize,
    c: Option<f64>,
    errors: Vec<Option<f64>>,
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

fn covariance(rows: &Rows, numeric: &[bool], model: &LogisticRegression) -> Option<Covariance> {
    let mut blocks = PackedBlocks::new(rows[0].0.len());
    for (row, positive) in rows {
        blocks.push_row(row, *positive).unwrap();
    }
    let scaler = Scaler::fit(&blocks, numeric, 1).unwrap();
    let fitted = model.fit(&blocks, &scaler).unwrap();
    model.covariance(&blocks, &scaler, &fitted).unwrap()
}

#[test]
fn they_are_those_of_statsmodels_and_numpy() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("golden/standard_errors.json")).unwrap();
    for Case { name, seed, rows, features, c, errors } in cases {
        let mut rows = generate(seed, rows, features);
        let model =
            LogisticRegression { c: c.unwrap_or(f64::INFINITY), ..LogisticRegression::default() };
        let mut numeric = vec![true; features];
        let found: Vec<Option<f64>> = if name == "repeats" {
            numeric.extend([true, false, false, false]);
            for (i, (row, _)) in rows.iter_mut().enumerate() {
                row.push(row[0]);
                row.extend((0..3).map(|level| f64::from(u8::from(i % 3 == level))));
            }
            let found = covariance(&rows, &numeric, &model).unwrap();
            // A level by itself is not determined, since all of them together are the intercept.
            assert_eq!(found.standard_error(&[(features + 1, 1.0)]), None);
            let own = (0..=features).map(|j| found.standard_error(&[(j, 1.0)]));
            let base = features + 1;
            let levels =
                [1, 2].map(|level| found.standard_error(&[(base + level, 1.0), (base, -1.0)]));
            own.chain(levels).collect()
        } else {
            let found = covariance(&rows, &numeric, &model).unwrap();
            (0..=features).map(|j| found.standard_error(&[(j, 1.0)])).collect()
        };
        assert_eq!(found.len(), errors.len(), "{name}");
        for (j, pair) in found.iter().zip(&errors).enumerate() {
            match pair {
                (Some(found), Some(truth)) => {
                    assert!((found - truth).abs() < 1e-8, "{name} {j}: {found} instead of {truth}");
                }
                (found, truth) => assert_eq!(found, truth, "{name} {j}"),
            }
        }
    }
}

#[test]
fn weighted_rows_have_none() {
    let rows = generate(21, 400, 4);
    let model =
        LogisticRegression { class_weight: ClassWeight::Balanced, ..LogisticRegression::default() };
    assert!(covariance(&rows, &[true; 4], &model).is_none());
}

/// Counts how many blocks are read.
struct Counted<'a>(&'a PackedBlocks, AtomicUsize);

impl Blocks for Counted<'_> {
    fn features(&self) -> usize {
        self.0.features()
    }

    fn rows(&self) -> u64 {
        self.0.rows()
    }

    fn positives(&self) -> u64 {
        self.0.positives()
    }

    fn blocks(&self) -> usize {
        self.0.blocks()
    }

    fn read(&self, index: usize, into: &mut Block) -> mlops_core::Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read(index, into)
    }
}

/// The widths have rules of their own for when a fit computes second derivatives.
#[test]
fn a_fit_gives_them_without_another_pass() {
    for (features, rows, c) in
        [(3, 60_000, 1.0), (20, 60_000, 1.0), (40, 30_000, 0.01), (5, 200, 1.0)]
    {
        let mut blocks = PackedBlocks::new(features);
        for (row, positive) in generate(7, rows, features) {
            blocks.push_row(&row, positive).unwrap();
        }
        let scaler = Scaler::fit(&blocks, &vec![true; features], 1).unwrap();
        let counted = || Counted(&blocks, AtomicUsize::new(0));
        let model = LogisticRegression { c, threads: 1, ..LogisticRegression::default() };
        let (alone, with) = (counted(), counted());
        let plain = model.fit(&alone, &scaler).unwrap();
        let (fitted, found) = model.fit_with_covariance(&with, &scaler).unwrap();
        let reads = [alone.1.into_inner(), with.1.into_inner()];
        assert!(reads[1] <= reads[0], "{features} features: {reads:?} blocks were read");
        for (a, b) in fitted.coefficients.iter().zip(&plain.coefficients) {
            assert!((a - b).abs() < 1e-9, "{features} features: {a} and {b}");
        }
        let exact = model.covariance(&blocks, &scaler, &fitted).unwrap().unwrap();
        let found = found.unwrap();
        for j in 0..=features {
            let [ours, exact] = [&found, &exact].map(|of| of.standard_error(&[(j, 1.0)]).unwrap());
            assert!((ours / exact - 1.0).abs() < 1e-7, "{features}, {j}: {ours} and {exact}");
        }
    }
}
