//! Cross-validated fits, penalties and thresholds against scikit-learn and numpy: the goldens come from
//! `tests/golden/make_cross_validation.py`.

use std::sync::atomic::{AtomicUsize, Ordering};

use mlops_core::Result;
use mlops_core::config::choices::{ClassWeight, ThresholdRule};
use mlops_core::evaluation::cutoff::{Cutoff, Validation};
use mlops_core::evaluation::folds::Folds;
use mlops_core::model::fit::{
    Block, Blocks, CrossValidation, GRID, LogisticRegression, PackedBlocks, PenaltyGrid, Scaler,
};
use serde::Deserialize;

const FOLDS: usize = 5;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// Rows that are made as the script makes them.
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    checksum: f64,
    /// Rows that are stored.
    #[serde(default)]
    x: Vec<Vec<f64>>,
    #[serde(default)]
    y: Vec<bool>,
    rows: usize,
    features: usize,
    class_weight: ClassWeight,
    scaled: bool,
    losses: Vec<Vec<f64>>,
    means: Vec<f64>,
    standard_errors: Vec<f64>,
    best: f64,
    chosen: f64,
    probabilities: Vec<f64>,
    thresholds: Vec<Choice>,
}

impl Case {
    fn rows(&self) -> (PackedBlocks, Vec<bool>) {
        if self.x.is_empty() {
            let (blocks, labels, checksum) = generate(self.seed, self.rows, self.features);
            assert_eq!(checksum.to_bits(), self.checksum.to_bits(), "{}: other data", self.name);
            return (blocks, labels);
        }
        let mut blocks = PackedBlocks::new(self.features);
        for (row, positive) in self.x.iter().zip(&self.y) {
            blocks.push_row(row, *positive).expect("rows of one width");
        }
        (blocks, self.y.clone())
    }
}

#[derive(Deserialize)]
struct Choice {
    rule: ThresholdRule,
    threshold: f64,
    value: f64,
    counts: [u64; 4],
}

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

/// As in `make_fit.py`; also the plain sum of all values.
fn generate(seed: u64, rows: usize, features: usize) -> (PackedBlocks, Vec<bool>, f64) {
    let mut random = SplitMix64(seed);
    let (mut checksum, mut labels) = (0.0, Vec::new());
    let mut blocks = PackedBlocks::new(features);
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
        blocks.push_row(&row, score > 0.3).expect("rows of one width");
        labels.push(score > 0.3);
    }
    (blocks, labels, checksum)
}

fn furthest(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn grids_predictions_and_thresholds_are_those_of_scikit_learn_and_numpy() {
    let golden: Golden =
        serde_json::from_str(include_str!("../golden/cross_validation.json")).unwrap();
    assert_eq!(golden.cases.len(), 4);
    for case in golden.cases {
        let name = &case.name;
        let (blocks, labels) = case.rows();
        let of_row: Vec<_> = (0..case.rows).map(|i| i % FOLDS).collect();
        let folds = Folds::predefined(&of_row, &labels);
        let class_weight = case.class_weight;
        let estimator = LogisticRegression { class_weight, ..LogisticRegression::default() };
        let numeric = vec![case.scaled; case.features];
        let validation = CrossValidation {
            estimator: &estimator,
            blocks: &blocks,
            numeric: &numeric,
            folds: &folds,
        };
        let fits = validation.fit(&GRID).unwrap();
        let losses = fits.log_losses().unwrap();
        for (c, (ours, theirs)) in losses.iter().zip(&case.losses).enumerate() {
            let off = furthest(ours, theirs);
            assert!(off < 1e-9, "{name}: off by {off:.1e} at C {}", GRID[c]);
        }
        let grid = PenaltyGrid::of(&GRID, &losses).unwrap();
        let of = |get: fn(&mlops_core::model::fit::GridPoint) -> f64| {
            grid.points.iter().map(get).collect::<Vec<_>>()
        };
        assert!(furthest(&of(|p| p.log_loss), &case.means) < 1e-9, "{name}");
        assert!(furthest(&of(|p| p.standard_error), &case.standard_errors) < 1e-9, "{name}");
        assert!((grid.best - case.best).abs() < 1e-12, "{name}: {grid:?}");
        assert!((grid.chosen - case.chosen).abs() < 1e-12, "{name}: {grid:?}");
        let predicted = fits.probabilities(grid.place().unwrap()).unwrap();
        let off = furthest(&predicted, &case.probabilities);
        assert!(off < 1e-9, "{name}: predictions are off by {off:.1e}");

        // The same probabilities to the last bit, since the rows' order must be the same.
        let entities: Vec<u32> = (0..).take(case.rows).collect();
        let validation = Validation { entities: &entities, folds: 5, forward: false };
        for theirs in &case.thresholds {
            let rule = theirs.rule;
            let ours =
                Cutoff::choose(rule, &labels, &case.probabilities, validation, 1, 2).unwrap();
            let off = (ours.threshold - theirs.threshold).abs();
            assert!(off < 1e-12, "{name}, {rule:?}: off by {off:.1e}");
            assert!((ours.value - theirs.value).abs() < 1e-12, "{name}, {rule:?}: {}", ours.value);
            let counts = [ours.counts.tn, ours.counts.fp, ours.counts.fn_, ours.counts.tp];
            assert_eq!(counts, theirs.counts, "{name}, {rule:?}");
        }
    }
}

/// A path of warm starts ends where fits of their own do, and one penalty gives what it gives in a
/// grid, whatever the number of threads.
#[test]
fn a_grid_is_its_single_fits_for_any_number_of_threads() {
    let (blocks, labels, _) = generate(5, 20_000, 6);
    let of_row: Vec<_> = (0..20_000).map(|i| i / 7 % 4).collect();
    let folds = Folds::predefined(&of_row, &labels);
    let by = |threads: usize, cs: &[f64]| {
        let estimator = LogisticRegression { threads, ..LogisticRegression::default() };
        let numeric = vec![true; blocks.features()];
        let validation = CrossValidation {
            estimator: &estimator,
            blocks: &blocks,
            numeric: &numeric,
            folds: &folds,
        };
        let fits = validation.fit(cs).unwrap();
        (fits.log_losses().unwrap(), fits.probabilities(cs.len() - 1).unwrap())
    };
    let (losses, last) = by(1, &GRID);
    assert_eq!((losses.clone(), last.clone()), by(3, &GRID));
    for (c, losses) in GRID.iter().zip(&losses) {
        let (alone, _) = by(2, &[*c]);
        assert!(furthest(&alone[0], losses) < 1e-9, "C {c}: {:.1e}", furthest(&alone[0], losses));
    }
    let (_, alone) = by(2, &[1e4]);
    assert!(furthest(&alone, &last) < 1e-9);
    let (without, _) = by(1, &[f64::INFINITY]);
    assert!(furthest(&without[0], &losses[8]) < 1e-4);
}

/// Without room for a Hessian each penalty is a fit of its own, by conjugate gradients.
#[test]
fn little_memory_gives_the_same_grid() {
    let (blocks, labels, _) = generate(6, 900, 7);
    let of_row: Vec<_> = (0..900).map(|i| i % 3).collect();
    let folds = Folds::predefined(&of_row, &labels);
    let losses = |memory: usize, class_weight| {
        let threads = 1;
        let default = LogisticRegression::default();
        let estimator = LogisticRegression { threads, memory, class_weight, ..default };
        let numeric = vec![true; blocks.features()];
        let validation = CrossValidation {
            estimator: &estimator,
            blocks: &blocks,
            numeric: &numeric,
            folds: &folds,
        };
        validation.fit(&[0.01, 1.0, 100.0]).unwrap().log_losses().unwrap()
    };
    for class_weight in [ClassWeight::None, ClassWeight::Balanced] {
        let (with, without) = (losses(usize::MAX, class_weight), losses(1, class_weight));
        for (with, without) in with.iter().zip(&without) {
            let off = furthest(with, without);
            assert!(off < 1e-8, "{class_weight:?}: {off:.1e}");
        }
    }
}

/// Counts how often blocks are read.
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

    fn read(&self, index: usize, into: &mut Block) -> Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read(index, into)
    }
}

/// The price of a searched penalty, in times that the rows are read.
#[test]
fn a_grid_costs_at_most_fifteen_fits() {
    let mut most = 0.0_f64;
    for (rows, features) in [(400, 3), (5_000, 8), (60_000, 4)] {
        let (blocks, labels, _) = generate(9, rows, features);
        let counted = Counted(&blocks, AtomicUsize::new(0));
        let estimator = LogisticRegression { threads: 1, ..LogisticRegression::default() };
        let numeric = vec![true; features];
        let scaler = Scaler::fit(&counted, &numeric, 1).unwrap();
        estimator.fit(&counted, &scaler).unwrap();
        let one = counted.1.swap(0, Ordering::Relaxed);
        let of_row: Vec<_> = (0..rows).map(|i| i % FOLDS).collect();
        let folds = Folds::predefined(&of_row, &labels);
        let validation = CrossValidation {
            estimator: &estimator,
            blocks: &counted,
            numeric: &numeric,
            folds: &folds,
        };
        let fits = validation.fit(&GRID).unwrap();
        fits.log_losses().unwrap();
        let grid = counted.1.load(Ordering::Relaxed);
        println!("{rows} rows: a fit reads {one} blocks, a grid {grid}");
        most = most.max((one + grid) as f64 / one as f64);
    }
    assert!(most <= 15.0, "{most}");
}

#[test]
fn folds_of_other_rows_are_refused() {
    let (blocks, _, _) = generate(1, 50, 2);
    let folds = Folds::predefined(&[0, 1, 0, 1], &[true, true, false, false]);
    let estimator = LogisticRegression::default();
    let validation = CrossValidation {
        estimator: &estimator,
        blocks: &blocks,
        numeric: &[true, true],
        folds: &folds,
    };
    let error = validation.fit(&[1.0]).err().unwrap().to_string();
    assert!(error.contains("4 rows") && error.contains("50"), "{error}");
}
