//! The fit kernel against scikit-learn, against itself, and against data made to break it.
//!
//! The goldens come from `golden/make_fit.py`, which generates the same rows as `generate` here.

use mlops_core::config::choices::{ClassWeight, Solver};
use mlops_core::model::fit::{
    Block, Blocks, Fitted, HalfLife, LogisticRegression, PackedBlocks, Scaler, Weighted,
};
use mlops_core::platform::disk::Disk;
use mlops_core::{ErrorKind, Result};

/// As in `make_fit.py`.
struct SplitMix64(u64);

impl SplitMix64 {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 * 2.0_f64.powi(-53)
    }
}

type Rows = Vec<(Vec<f64>, bool)>;

/// As in `make_fit.py`; also the plain sum of all values.
fn generate(seed: u64, rows: usize, features: usize) -> (Rows, f64) {
    let mut random = SplitMix64(seed);
    let mut checksum = 0.0;
    let mut all = Rows::new();
    for _ in 0..rows {
        let (mut score, mut before, mut row) = (0.0, 0.5, Vec::new());
        for j in 0..features {
            let mut u = random.uniform();
            if j % 3 == 2 {
                u = 0.9 * before + 0.1 * u;
            }
            before = u;
            let value = if j % 5 == 4 { (u * 1000.0).floor() } else { u * (j + 1) as f64 };
            checksum += value;
            row.push(value);
            let sign = if j % 2 == 0 { 1.0 } else { -1.0 };
            score += sign * (u - 0.5) * 3.0 / (1.0 + j as f64);
        }
        score += (random.uniform() - 0.5) * 2.0;
        all.push((row, score > 0.3));
    }
    (all, checksum)
}

fn blocks_of(rows: &Rows) -> PackedBlocks {
    let mut blocks = PackedBlocks::new(rows[0].0.len());
    for (row, positive) in rows {
        blocks.push_row(row, *positive).expect("rows of one width");
    }
    blocks
}

fn scaled(blocks: &PackedBlocks) -> Scaler {
    Scaler::fit(blocks, &vec![true; blocks.features()], 1).expect("finite rows")
}

fn newton() -> LogisticRegression {
    LogisticRegression { solver: Solver::Newton, threads: 1, ..LogisticRegression::default() }
}

fn fit(model: &LogisticRegression, rows: &Rows) -> Fitted {
    let blocks = blocks_of(rows);
    model.fit(&blocks, &scaled(&blocks)).expect("an optimum")
}

fn furthest(a: &Fitted, coefficients: &[f64], intercept: f64) -> f64 {
    assert_eq!(a.coefficients.len(), coefficients.len());
    let pairs = a.coefficients.iter().zip(coefficients);
    pairs.map(|(a, b)| (a - b).abs()).fold((a.intercept - intercept).abs(), f64::max)
}

fn bits(fitted: &Fitted) -> Vec<u64> {
    let all =
        fitted.coefficients.iter().chain([&fitted.intercept, &fitted.loss, &fitted.gradient_norm]);
    all.map(|value| value.to_bits()).collect()
}

#[derive(serde::Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    seed: u64,
    rows: usize,
    features: usize,
    c: f64,
    class_weight: ClassWeight,
    checksum: f64,
    positives: u64,
    mean: Vec<f64>,
    scale: Vec<f64>,
    coefficients: Vec<f64>,
    intercept: f64,
}

#[test]
fn both_solvers_agree_with_scikit_learn_and_with_each_other() {
    let golden: Golden = serde_json::from_str(include_str!("golden/fit.json")).unwrap();
    assert_eq!(golden.cases.len(), 6);
    for case in golden.cases {
        let name = &case.name;
        let (rows, checksum) = generate(case.seed, case.rows, case.features);
        assert_eq!(checksum.to_bits(), case.checksum.to_bits(), "{name}: other data");
        let blocks = blocks_of(&rows);
        assert_eq!(blocks.positives(), case.positives, "{name}");
        let scaler = scaled(&blocks);
        for j in 0..case.features {
            assert!((scaler.mean[j] - case.mean[j]).abs() <= 1e-14 * case.mean[j], "{name} {j}");
            assert!((scaler.scale[j] - case.scale[j]).abs() <= 1e-14 * case.scale[j], "{name} {j}");
        }
        let by = |solver| {
            let class_weight = case.class_weight;
            let model = LogisticRegression { c: case.c, class_weight, solver, ..newton() };
            model.fit(&blocks, &scaler).unwrap()
        };
        let (newton, lbfgs, auto) = (by(Solver::Newton), by(Solver::Lbfgs), by(Solver::Auto));
        for fitted in [&newton, &lbfgs, &auto] {
            let off = furthest(fitted, &case.coefficients, case.intercept);
            assert!(off < 1e-8, "{name}, {:?}: off by {off:.1e}", fitted.solver);
            assert!(fitted.gradient_norm <= 1e-12, "{name}: {}", fitted.gradient_norm);
            assert_eq!(fitted.fallback, None, "{name}");
        }
        let apart = furthest(&newton, &lbfgs.coefficients, lbfgs.intercept);
        assert!(apart < 1e-9, "{name}: solvers are {apart:.1e} apart");
        assert_eq!((newton.solver, lbfgs.solver), (Solver::Newton, Solver::Lbfgs), "{name}");
        assert_eq!(auto.solver, Solver::Newton, "{name}");
    }
}

/// The gradient (intercept last, divided by the number of rows), by the book.
fn naive_gradient(rows: &Rows, scaler: &Scaler, fitted: &Fitted, c: f64) -> Vec<f64> {
    let n = rows.len() as f64;
    let mut gradient: Vec<f64> = fitted.coefficients.iter().map(|w| w / c / n).collect();
    gradient.push(0.0);
    for (row, positive) in rows {
        let mut x = row.clone();
        scaler.transform(&mut x);
        let z: f64 =
            x.iter().zip(&fitted.coefficients).map(|(x, w)| x * w).sum::<f64>() + fitted.intercept;
        let residual = 1.0 / (1.0 + (-z).exp()) - f64::from(*positive);
        for (slope, x) in gradient.iter_mut().zip(x.iter().chain(&[1.0])) {
            *slope += residual * x / n;
        }
    }
    gradient
}

#[test]
fn a_plain_gradient_vanishes_at_the_optimum_whatever_the_size_of_the_last_block() {
    // Over 16 features the last steps use an older Hessian; sizes around a block's 256 rows.
    for (rows, features) in [(2, 1), (255, 4), (256, 5), (257, 17), (513, 40), (1000, 7)] {
        let (mut rows, _) = generate(9, rows, features);
        rows[0].1 = true;
        rows[1].1 = false;
        let blocks = blocks_of(&rows);
        let scaler = scaled(&blocks);
        let fitted = newton().fit(&blocks, &scaler).unwrap();
        for slope in naive_gradient(&rows, &scaler, &fitted, 1.0) {
            assert!(slope.abs() < 1e-12, "{} x {features}: {slope:.1e}", rows.len());
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // Many units of reduction, the last one short, and a sampled start.
    let (rows, _) = generate(4, 140_123, 3);
    let blocks = blocks_of(&rows);
    let with = |threads| {
        let scaler = Scaler::fit(&blocks, &[true; 3], threads).unwrap();
        let fitted = LogisticRegression { threads, ..newton() }.fit(&blocks, &scaler).unwrap();
        (scaler, bits(&fitted), fitted)
    };
    let (scaler, one, fitted) = with(1);
    for threads in [2, 3, 7] {
        assert_eq!(with(threads).0, scaler, "{threads} threads");
        assert_eq!(with(threads).1, one, "{threads} threads");
    }
    for slope in naive_gradient(&rows, &scaler, &fitted, 1.0) {
        assert!(slope.abs() < 2e-12, "{slope:.1e}");
    }
}

#[test]
fn separable_data_have_an_optimum_with_finite_c() {
    let rows: Rows = (0..300).map(|i| (vec![f64::from(i)], i >= 150)).collect();
    for c in [1e-3, 1.0, 1e4, 1e8] {
        let alone = fit(&LogisticRegression { c, ..newton() }, &rows);
        assert!(alone.coefficients[0] > 0.0 && alone.gradient_norm < 1e-11, "{alone:?}");
        let lbfgs = fit(&LogisticRegression { c, solver: Solver::Lbfgs, ..newton() }, &rows);
        let apart = furthest(&alone, &lbfgs.coefficients, lbfgs.intercept);
        assert!(apart < 1e-9 * (1.0 + alone.coefficients[0]), "C = {c}: {apart:.1e} apart");
    }
}

#[test]
fn a_constant_feature_gets_coefficient_0() {
    let (mut rows, _) = generate(5, 700, 3);
    for (row, _) in &mut rows {
        row.push(0.1);
    }
    for solver in [Solver::Newton, Solver::Lbfgs] {
        let fitted = fit(&LogisticRegression { solver, ..newton() }, &rows);
        assert!(fitted.coefficients[3].abs() <= 0.0, "{fitted:?}");
    }
}

#[test]
fn an_outlier_does_not_stop_the_line_search() {
    let (mut rows, _) = generate(6, 1000, 3);
    rows[17].0[1] = 1e6;
    rows[400].0[2] = -1e6;
    for c in [1.0, 1e6] {
        let model = LogisticRegression { c, ..newton() };
        let blocks = blocks_of(&rows);
        let scaler = scaled(&blocks);
        let fitted = model.fit(&blocks, &scaler).unwrap();
        for slope in naive_gradient(&rows, &scaler, &fitted, c) {
            assert!(slope.abs() < 1e-11, "C = {c}: {slope:.1e}");
        }
        // Without scaling margins reach 1e6, and full Newton steps overshoot.
        let unscaled = Scaler::identity(3);
        let fitted = model.fit(&blocks, &unscaled).unwrap();
        for slope in naive_gradient(&rows, &unscaled, &fitted, c) {
            assert!(slope.abs() < 1e-9, "unscaled, C = {c}: {slope:.1e}");
        }
    }
}

#[test]
fn full_steps_that_overshoot_are_halved() {
    // Nearly all positives are in one rare category. Where the start puts every row at the small
    // overall rate, a full step sends the category's logit to some hundreds, and the next ones
    // further: the curvature is gone there.
    let rows: Rows =
        (0..3000).map(|i| (vec![f64::from(u8::from(i < 10))], i < 8 || i == 2000)).collect();
    let blocks = blocks_of(&rows);
    let unscaled = Scaler::identity(1);
    let c = 1e6;
    let fitted = LogisticRegression { c, ..newton() }.fit(&blocks, &unscaled).unwrap();
    for slope in naive_gradient(&rows, &unscaled, &fitted, c) {
        assert!(slope.abs() < 1e-12, "{slope:.1e}");
    }
    // Without penalty: the log-odds of the category (8 of 10) and of the others (1 of 2990).
    let others = (1.0_f64 / 2989.0).ln();
    assert!((fitted.intercept - others).abs() < 1e-3, "{fitted:?}");
    assert!((fitted.coefficients[0] + others - 4.0_f64.ln()).abs() < 1e-3, "{fitted:?}");
}

#[test]
fn repeated_features_share_their_coefficient() {
    let (mut rows, _) = generate(7, 500, 2);
    for (row, _) in &mut rows {
        row.push(row[0]);
    }
    let fitted = fit(&LogisticRegression { c: 1e9, ..newton() }, &rows);
    let (a, b) = (fitted.coefficients[0], fitted.coefficients[2]);
    assert!((a - b).abs() < 1e-6, "{a} and {b}");
}

#[test]
fn a_sample_without_positives_and_sorted_labels_are_no_obstacle() {
    let (mut rows, _) = generate(10, 70_000, 2);
    for (i, (_, positive)) in rows.iter_mut().enumerate() {
        *positive = (300..303).contains(&i);
    }
    let rare = fit(&newton(), &rows);
    assert!(rare.intercept < -9.0 && rare.gradient_norm <= 1e-12, "{rare:?}");

    let (mut rows, _) = generate(11, 70_000, 2);
    let mixed = fit(&newton(), &rows);
    rows.sort_by_key(|(_, positive)| *positive);
    let sorted = fit(&newton(), &rows);
    let apart = furthest(&mixed, &sorted.coefficients, sorted.intercept);
    assert!(apart < 1e-10, "{apart:.1e} apart");
}

#[test]
fn extreme_penalties_converge_with_both_solvers() {
    let (rows, _) = generate(12, 300, 12);
    for c in [1e-12, 1e-6, 1e6, 1e12] {
        let alone = fit(&LogisticRegression { c, ..newton() }, &rows);
        let polished = fit(&LogisticRegression { c, solver: Solver::Lbfgs, ..newton() }, &rows);
        let apart = furthest(&alone, &polished.coefficients, polished.intercept);
        assert!(apart < 1e-8, "C = {c}: {apart:.1e} apart, {:?}", polished.fallback);
    }
}

#[test]
fn a_test_below_rounding_is_met_as_far_as_rounding_allows() {
    let (rows, _) = generate(13, 3000, 6);
    let fitted = fit(&LogisticRegression { tol: 1e-300, ..newton() }, &rows);
    assert!(fitted.gradient_norm < 1e-15, "{fitted:?}");
}

#[test]
fn a_row_counts_as_often_as_its_weight_says() {
    // 100 positives among 400: balanced weights are 2 and 2/3, that is 3 to 1.
    let (mut rows, _) = generate(14, 400, 3);
    for (i, (_, positive)) in rows.iter_mut().enumerate() {
        *positive = i % 4 == 0;
    }
    let blocks = blocks_of(&rows);
    let scaler = scaled(&blocks);
    let balanced = LogisticRegression { class_weight: ClassWeight::Balanced, ..newton() };
    let weighted = balanced.fit(&blocks, &scaler).unwrap();
    let mut repeated = rows.clone();
    repeated.extend(rows.iter().filter(|(_, positive)| *positive).cloned());
    repeated.extend(rows.iter().filter(|(_, positive)| *positive).cloned());
    // The repeated rows sum to 3/2 of the weights, so that the penalty counts 3/2 as much.
    let model = LogisticRegression { c: 2.0 / 3.0, ..newton() };
    let copied = model.fit(&blocks_of(&repeated), &scaler).unwrap();
    let apart = furthest(&weighted, &copied.coefficients, copied.intercept);
    assert!(apart < 1e-10, "{apart:.1e} apart");
    assert!((weighted.loss * 1.5 - copied.loss).abs() < 1e-9 * copied.loss);
}

#[test]
fn numbers_that_are_not_finite_are_refused_by_name_and_place() {
    for solver in [Solver::Newton, Solver::Lbfgs] {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let (mut rows, _) = generate(8, 300, 3);
            rows[258].0[1] = bad;
            let blocks = blocks_of(&rows);
            let error = Scaler::fit(&blocks, &[true; 3], 1).unwrap_err();
            assert!(error.to_string().contains("feature 1 "), "{error}");
            let model = LogisticRegression { solver, ..newton() };
            let error = model.fit(&blocks, &Scaler::identity(3)).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Data(_)), "{error}");
            let message = error.to_string();
            assert!(message.contains("feature 1 ") && message.contains("row 258 "), "{message}");
        }
    }
}

#[test]
fn one_class_no_rows_and_impossible_parameters_are_refused() {
    let mut blocks = PackedBlocks::new(1);
    let refused = |model: &LogisticRegression, blocks: &PackedBlocks| {
        model.fit(blocks, &Scaler::identity(1)).unwrap_err().to_string()
    };
    assert!(refused(&newton(), &blocks).contains("no rows"));
    assert!(Scaler::fit(&blocks, &[true], 1).is_err());
    blocks.push_row(&[1.0], true).unwrap();
    assert!(refused(&newton(), &blocks).contains("all 1 training rows are positive"));
    blocks.push_row(&[2.0], false).unwrap();
    assert!(newton().fit(&blocks, &Scaler::identity(1)).is_ok());
    for c in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
        assert!(refused(&LogisticRegression { c, ..newton() }, &blocks).contains("c is"));
    }
    let both = LogisticRegression { tol: f64::NAN, max_iter: 0, ..newton() };
    let message = refused(&both, &blocks);
    assert!(message.contains("tol is NaN") && message.contains("max_iter is 0"), "{message}");
}

#[test]
fn a_fit_that_ends_early_is_an_error_with_its_numbers() {
    let blocks = blocks_of(&generate(2, 600, 30).0);
    let model = LogisticRegression { max_iter: 1, ..newton() };
    let error = model.fit(&blocks, &scaled(&blocks)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotConverged(_)), "{error}");
    assert!(error.to_string().contains("after 1 Newton steps"), "{error}");
}

/// A source that announces more than it has.
struct Shrunk(PackedBlocks);

impl Blocks for Shrunk {
    fn features(&self) -> usize {
        self.0.features()
    }
    fn rows(&self) -> u64 {
        self.0.rows() + 1
    }
    fn positives(&self) -> u64 {
        self.0.positives()
    }
    fn blocks(&self) -> usize {
        self.0.blocks()
    }
    fn read(&self, index: usize, into: &mut Block) -> Result<()> {
        self.0.read(index, into)
    }
}

#[test]
fn a_source_that_shrinks_is_an_error() {
    let blocks = Shrunk(blocks_of(&generate(2, 600, 3).0));
    for solver in [Solver::Newton, Solver::Lbfgs] {
        let model = LogisticRegression { solver, ..newton() };
        let error = model.fit(&blocks, &Scaler::identity(3)).unwrap_err();
        assert!(error.to_string().contains("source changed"), "{error}");
    }
}

#[test]
fn moments_are_exact_far_from_zero_and_categories_stay_unscaled() {
    let mut blocks = PackedBlocks::new(5);
    for i in 0..100_000 {
        let bit = f64::from(i % 2);
        let row = [1e9 + bit, 1e12 + bit, 1e6 + bit / 1024.0 + 0.1, bit, 3e9];
        blocks.push_row(&row, i % 3 == 0).unwrap();
    }
    let scaler = Scaler::fit(&blocks, &[true, true, true, false, true], 0).unwrap();
    assert_eq!(scaler.mean[..2], [1e9 + 0.5, 1e12 + 0.5]);
    assert_eq!(scaler.scale[..2], [0.5, 0.5]);
    // 0.1 is not exact beside 1e6: the two values met are 1/1024 apart within 1e-10.
    assert!((scaler.scale[2] * 2048.0 - 1.0).abs() < 1e-6, "{}", scaler.scale[2]);
    assert_eq!((scaler.mean[3], scaler.scale[3]), (0.0, 1.0));
    assert_eq!((scaler.mean[4], scaler.scale[4]), (3e9, 1.0));

    // Large sums that cancel must not take the small ones in between with them.
    let mut blocks = PackedBlocks::new(1);
    for i in 0..2560 {
        let value = if i < 256 {
            1e15
        } else if i < 2304 {
            0.3
        } else {
            -1e15
        };
        blocks.push_row(&[value], true).unwrap();
    }
    let mean = Scaler::fit(&blocks, &[true], 0).unwrap().mean[0];
    assert!((mean - 0.24).abs() < 1e-12, "{mean}");
}

#[test]
fn without_a_matrix_the_optimum_is_the_same() {
    let (wide, _) = generate(16, 300, 40);
    let (long, _) = generate(17, 3_000, 5);
    for rows in [wide, long] {
        for (c, class_weight) in
            [(0.01, ClassWeight::None), (1.0, ClassWeight::Balanced), (1e4, ClassWeight::None)]
        {
            let with = fit(&LogisticRegression { c, class_weight, ..newton() }, &rows);
            let without =
                fit(&LogisticRegression { c, class_weight, memory: 1, ..newton() }, &rows);
            let apart = furthest(&with, &without.coefficients, without.intercept);
            assert!(apart < 1e-9 * (1.0 + c.sqrt()), "C = {c}: {apart:.1e} apart");
            assert!(without.gradient_norm <= 1e-12, "{without:?}");
        }
    }
}

#[test]
fn the_size_of_the_numbers_makes_no_difference_to_the_scaling() {
    let (rows, _) = generate(18, 700, 1);
    let plain = scaled(&blocks_of(&rows));
    for power in [-1_020, -700, -540, 400, 520, 1_020] {
        let unit = 2.0_f64.powi(power);
        let moved: Rows = rows.iter().map(|(row, y)| (vec![row[0] * unit], *y)).collect();
        let found = scaled(&blocks_of(&moved));
        // The plain sums round alike in every unit, until they overflow and are made exactly.
        assert!((found.mean[0] / unit / plain.mean[0] - 1.0).abs() < 1e-14, "{power}");
        assert!((found.scale[0] / unit / plain.scale[0] - 1.0).abs() < 1e-14, "{power}");
    }
    let extreme = |values: [f64; 2]| {
        let rows: Rows = (0..600).map(|i| (vec![values[i % 2]], i % 3 == 0)).collect();
        Scaler::fit(&blocks_of(&rows), &[true], 1)
    };
    let large = extreme([1.7e308, 1.6e308]).unwrap();
    assert!((large.mean[0] / 1.65e308 - 1.0).abs() < 1e-15, "{large:?}");
    assert!((large.scale[0] / 5e306 - 1.0).abs() < 1e-12, "{large:?}");
    for values in [[f64::MAX, -f64::MAX], [0.0, 1e-320]] {
        let message = extreme(values).unwrap_err().to_string();
        assert!(message.contains("too extreme to standardise"), "{message}");
    }
}

/// Rows whose matrix is four times what may stay in memory: read from a file, to the last bit.
#[test]
fn a_fit_from_a_file_is_that_from_memory() {
    let (rows, columns) = (120_000, 12);
    let limit = rows * columns * 8 / 4;
    let dir = tempfile::tempdir().unwrap();
    let mut held = PackedBlocks::new(columns);
    let mut limited =
        PackedBlocks::new(columns).within(limit, &Disk::default(), dir.path().to_owned());
    let mut state = 1_u64;
    for _ in 0..rows {
        let row: Vec<f64> = (0..columns)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 11) as f64 / (1_u64 << 53) as f64
            })
            .collect();
        let positive = row[0] + 0.3 * row[1] > 0.6 + 0.5 * row[2];
        held.push_row(&row, positive).unwrap();
        limited.push_row(&row, positive).unwrap();
    }
    assert!(limited.spilled() && !held.spilled());
    let fit = |blocks: &PackedBlocks, threads| {
        let scaler = Scaler::fit(blocks, &vec![true; columns], threads).unwrap();
        let fitted = LogisticRegression { threads, ..newton() }.fit(blocks, &scaler).unwrap();
        (scaler, fitted)
    };
    let expected = fit(&held, 1);
    for threads in [1, 2, 3, 7] {
        assert_eq!(fit(&limited, threads), expected, "{threads} threads");
    }
}

#[derive(serde::Deserialize)]
struct WeightedCase {
    seed: u64,
    rows: usize,
    features: usize,
    half_life: u64,
    c: Option<f64>,
    balanced: bool,
    effective_rows: f64,
    mean: Vec<f64>,
    scale: Vec<f64>,
    beta: Vec<f64>,
}

/// The goldens come from `golden/make_weighted.py`.
#[test]
fn rows_with_weights_are_scaled_and_fitted_as_by_scikit_learn() {
    let cases: Vec<WeightedCase> =
        serde_json::from_str(include_str!("golden/weighted.json")).unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let (rows, _) = generate(case.seed, case.rows, case.features);
        let plain = blocks_of(&rows);
        let blocks = Weighted::new(&plain, HalfLife(case.half_life), 2).unwrap();
        let effective = blocks.weighed().unwrap().effective_rows();
        assert!((effective / case.effective_rows - 1.0).abs() < 1e-12);
        let mut found = Vec::new();
        for (threads, memory) in [(1, usize::MAX), (3, usize::MAX), (2, 0)] {
            let scaler = Scaler::fit(&blocks, &vec![true; case.features], threads).unwrap();
            // Without memory there are no matrices, but without a penalty there must be.
            let (c, balanced) = (case.c.unwrap_or(f64::INFINITY), case.balanced);
            let class_weight = if balanced { ClassWeight::Balanced } else { ClassWeight::None };
            let estimator =
                LogisticRegression { c, class_weight, threads, memory, ..Default::default() };
            let fitted = estimator.fit(&blocks, &scaler).unwrap();
            let mut beta = fitted.coefficients;
            beta.push(fitted.intercept);
            for (ours, theirs) in
                [(&scaler.mean, &case.mean), (&scaler.scale, &case.scale), (&beta, &case.beta)]
            {
                for (ours, theirs) in ours.iter().zip(theirs) {
                    let bound = 1e-9 * theirs.abs().max(1.0);
                    assert!((ours - theirs).abs() < bound, "seed {}: {ours} {theirs}", case.seed);
                }
            }
            found.push((scaler, beta));
        }
        assert_eq!(found[0], found[1], "threads change nothing");
    }
}
