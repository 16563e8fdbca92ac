//! Packed rows, scaler, fit and predictions against the same formulas, one value after the other.
//!
//! The first four bytes say how many features there are, how often the rows are repeated, and what
//! is to be fitted; the others are rows, a byte for each value and one for the label. So that a fit
//! ends soon, values are moderate. How to run it: see `fuzz/README.md`. Not for values that are not
//! finite: tests cover them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mlops_core::ErrorKind;
use mlops_core::config::{NumberFormat, Training};
use mlops_core::platform::digest::Digest;
use mlops_core::model::fit::{BLOCK_ROWS, Block, Blocks, Fitted, LogisticRegression, PackedBlocks, Scaler};
use mlops_core::config::choices::{ClassWeight, Solver};
use mlops_core::ids::DatasetVersion;
use mlops_core::model::{Encoder, Model, NumericFeature, Predictor, TrainingData};
use mlops_core::config::choices::MissingPolicy;
use mlops_core::table::schema::{SchemaFields, Schema};
use mlops_core::table::Table;

const MOST_ROWS: usize = 2_000;
/// What a step of one feature is worth; some are no sum of powers of two, some leave 32 bits.
const UNITS: [f64; 6] = [1.0, 0.25, 1.0 / 3.0, 1_000.0, 1e-3, 123_456_789.0];
const PENALTIES: [f64; 4] = [1.0, 0.01, 0.3, 30.0];

fuzz_target!(|input: &[u8]| {
    let Some((setting, bytes)) = input.split_first_chunk::<4>() else { return };
    let [features, times, kind, units] = setting.map(usize::from);
    let features = 1 + features % 10;
    let unit = |j: usize| UNITS[(units + j) % UNITS.len()];
    let row = |bytes: &[u8]| -> Vec<f64> {
        let steps = bytes[..features].iter().map(|byte| f64::from(byte.cast_signed()));
        steps.enumerate().map(|(j, step)| step * unit(j)).collect()
    };
    let once: Vec<_> = bytes
        .chunks_exact(features + 1)
        .map(|bytes| (row(bytes), bytes[features] % 2 == 1))
        .collect();
    let length = (once.len() * (1 + times % 16)).min(MOST_ROWS);
    let rows: Vec<_> = once.into_iter().cycle().take(length).collect();

    let mut blocks = PackedBlocks::new(features);
    for (row, positive) in &rows {
        blocks.push_row(row, *positive).expect("a row of this width");
    }
    come_back(&blocks, &rows);
    if rows.is_empty() {
        return;
    }
    let scaler = Scaler::fit(&blocks, &vec![true; features], 1).expect("finite values");
    is_standard(&scaler, &rows);
    let model = LogisticRegression {
        c: PENALTIES[kind / 2 % PENALTIES.len()],
        class_weight: [ClassWeight::None, ClassWeight::Balanced][kind % 2],
        // The other one panics and is caught, which would end this.
        solver: Solver::Newton,
        threads: 1,
        ..LogisticRegression::default()
    };
    match model.fit(&blocks, &scaler) {
        Ok(fitted) => {
            is_optimum(&model, &scaler, &fitted, &rows);
            predicts(scaler, fitted, &rows);
        }
        Err(error) => {
            let positives = rows.iter().filter(|row| row.1).count();
            let one_class = positives == 0 || positives == rows.len();
            assert!(one_class && matches!(error.kind(), ErrorKind::Data(_)), "{error}");
        }
    }
});

/// Every value is read as it was pushed.
fn come_back(blocks: &PackedBlocks, rows: &[(Vec<f64>, bool)]) {
    assert_eq!(blocks.rows(), rows.len() as u64);
    let mut block = Block::new(blocks.features());
    for (index, rows) in rows.chunks(BLOCK_ROWS).enumerate() {
        blocks.read(index, &mut block).expect("a block");
        assert_eq!(block.rows(), rows.len());
        for (i, (row, positive)) in rows.iter().enumerate() {
            assert_eq!(block.labels()[i] > 0.5, *positive);
            for (j, value) in row.iter().enumerate() {
                assert_eq!(block.column(j)[i].to_bits(), value.to_bits(), "row {i}, feature {j}");
            }
        }
    }
}

/// Mean and standard deviation, in two passes.
fn is_standard(scaler: &Scaler, rows: &[(Vec<f64>, bool)]) {
    let n = rows.len() as f64;
    for j in 0..scaler.mean.len() {
        let values = || rows.iter().map(|(row, _)| row[j]);
        let largest = values().fold(0.0, |largest: f64, v| largest.max(v.abs()));
        let mean = values().sum::<f64>() / n;
        let spread = (values().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let constant = values().all(|v| v.to_bits() == rows[0].0[j].to_bits());
        let spread = if constant { 1.0 } else { spread };
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * largest;
        assert!(near(scaler.mean[j], mean), "mean {} instead of {mean}", scaler.mean[j]);
        assert!(near(scaler.scale[j], spread), "scale {} instead of {spread}", scaler.scale[j]);
    }
}

/// The log-odds of a row, and its standardised values.
fn log_odds(scaler: &Scaler, fitted: &Fitted, row: &[f64]) -> (f64, Vec<f64>) {
    let mut values = row.to_vec();
    scaler.transform(&mut values);
    let terms = fitted.coefficients.iter().zip(&values).map(|(weight, x)| weight * x);
    (fitted.intercept + terms.sum::<f64>(), values)
}

/// The gradient that is claimed is the gradient, and it is nearly nothing.
fn is_optimum(
    model: &LogisticRegression,
    scaler: &Scaler,
    fitted: &Fitted,
    rows: &[(Vec<f64>, bool)],
) {
    let (n, positives) = (rows.len() as f64, rows.iter().filter(|row| row.1).count() as f64);
    let weights = match model.class_weight {
        ClassWeight::None => [1.0, 1.0],
        ClassWeight::Balanced => [n / (2.0 * (n - positives)), n / (2.0 * positives)],
    };
    let penalised = fitted.coefficients.iter().map(|weight| weight * weight).sum::<f64>();
    let mut loss = penalised / (2.0 * model.c);
    let mut gradient: Vec<f64> = fitted.coefficients.iter().map(|w| w / model.c).collect();
    gradient.push(0.0);
    let (mut largest, mut steepest) = (0.0_f64, 0.0_f64);
    for (row, positive) in rows {
        let (z, values) = log_odds(scaler, fitted, row);
        let weight = weights[usize::from(*positive)];
        let away = if *positive { -z } else { z };
        loss += weight * (away.max(0.0) + (-away.abs()).exp().ln_1p());
        let wrong = 1.0 / (1.0 + (-away).exp());
        let residual = weight * if *positive { -wrong } else { wrong };
        for (sum, x) in gradient.iter_mut().zip(values.iter().chain([&1.0])) {
            *sum += residual * x;
            largest = largest.max(x.abs());
        }
        steepest = steepest.max(z.abs());
    }
    let norm = gradient.iter().fold(0.0_f64, |norm, slope| norm.max(slope.abs())) / n;
    let rounding = 1e-13 * largest * (1.0 + steepest);
    assert!((norm - fitted.gradient_norm).abs() <= rounding, "{norm:e} of {fitted:?}");
    assert!(norm <= 1e-9, "{norm:e} of {fitted:?}");
    assert!((loss - fitted.loss).abs() <= 1e-12 * (1.0 + loss), "{loss} of {fitted:?}");
}

/// The probabilities of all rows, one in seven of which has a missing value.
fn predicts(scaler: Scaler, fitted: Fitted, rows: &[(Vec<f64>, bool)]) {
    let names: Vec<String> = (0..scaler.mean.len()).map(|j| format!("x{j}")).collect();
    let numeric = names.iter().map(|name| NumericFeature::line(name.clone(), Some(2.0)));
    let model = Model {
        tuned: mlops_core::model::Tuned::default(),
        schema: Schema::new(SchemaFields { numeric: &names, target: "left", positive_label: "1", ..SchemaFields::default() }),
        missing_values: Vec::new(),
        numbers: NumberFormat::default(),
        date_pattern: None,
        window: None,
        encoder: Encoder {
            missing: MissingPolicy::Median,
            numeric: numeric.collect(),
            dates: Vec::new(),
            categorical: Vec::new(),
        },
        scaler,
        fitted,
        training: Training::default(),
        scale: None,
        data: TrainingData {
            version: DatasetVersion(1),
            sha256: Digest::of(b""),
            rows: 1,
            positives: 1,
            dropped: 0,
            held_out: 0,
            test_files: Vec::new(),
        },
    };
    let missing = |i: usize, j: usize| i % 7 == 3 && j == i % names.len();
    let mut table = Table::new(&model.schema);
    for (i, (row, _)) in rows.iter().enumerate() {
        let cells: Vec<_> =
            row.iter().enumerate().map(|(j, v)| (!missing(i, j)).then_some(*v)).collect();
        table.push_values(&cells, &[]);
    }
    let mut found = Vec::new();
    Predictor::new(&model).probabilities(&table, &mut found);
    assert_eq!(found.len(), rows.len());
    for (i, ((row, _), found)) in rows.iter().zip(found).enumerate() {
        let filled: Vec<f64> =
            row.iter().enumerate().map(|(j, v)| if missing(i, j) { 2.0 } else { *v }).collect();
        let (z, values) = log_odds(&model.scaler, &model.fitted, &filled);
        let terms = model.fitted.coefficients.iter().zip(&values);
        let size: f64 = terms.map(|(weight, x)| (weight * x).abs()).sum();
        // It is never less than the least that is worth telling.
        let expected = 1.0 / (1.0 + (-z.max(-700.0)).exp());
        // A probability moves by its own share of what the log-odds move.
        let rounding = 1e-14 * (1.0 + size + model.fitted.intercept.abs());
        assert!((found - expected).abs() <= rounding * expected, "{found} instead of {expected}");
    }
}
