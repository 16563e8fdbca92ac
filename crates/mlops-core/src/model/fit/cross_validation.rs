//! Fits by fold, and what they predict for the rows that they were not trained on.
//!
//! Rows are not copied: a fold reads the blocks of all rows and skips those of others, so that
//! memory and temporary files stay what one fit needs. Each fold has a scaler of its own, while the
//! encoding (values for missing cells, categories) is that of all rows, which have no labels in it.
//! Not for the choice of the folds: see `evaluation::folds`; not for the final model.

use super::block::{BLOCK_ROWS, Block, Blocks, Weighed, read_checked};
use super::newton::Newton;
use super::path::{self, optima};
use super::reduce::{Pass, reduce};
use super::scaler::Scaler;
use super::weighted::weigh;
use super::{LogisticRegression, check_classes, threads_within, with_matrix};
use crate::error::{Error, Result};
use crate::evaluation::folds::Folds;
use crate::platform::math::logistic;

/// A cross-validation of one estimator, whose `c` and `solver` do not matter.
#[derive(Clone, Copy)]
pub struct CrossValidation<'a> {
    /// How each fold is fitted.
    pub estimator: &'a LogisticRegression,
    /// All rows, in the order of the folds.
    pub blocks: &'a dyn Blocks,
    /// For each feature, whether it is scaled.
    pub numeric: &'a [bool],
    /// The folds.
    pub folds: &'a Folds,
}

/// The fits of all folds.
pub struct FoldFits<'a> {
    of: CrossValidation<'a>,
    fits: Vec<FoldFit>,
}

/// The fits of one fold.
struct FoldFit {
    scaler: Scaler,
    /// For each C coefficients and intercept, corrected for the prior.
    betas: Vec<Vec<f64>>,
}

impl<'a> CrossValidation<'a> {
    /// Fits all folds for each of `cs`, which must ascend; infinity is no penalty.
    ///
    /// # Errors
    /// `Data` if there are other rows than in the folds; any error of a fit.
    pub fn fit(self, cs: &[f64]) -> Result<FoldFits<'a>> {
        let Self { estimator, blocks, numeric, folds } = self;
        if folds.rows() as u64 != blocks.rows() {
            return Err(Error::data(format!(
                "the folds have {} rows and the training data {}: run the training again",
                folds.rows(),
                blocks.rows()
            )));
        }
        let mut fits = Vec::with_capacity(folds.len());
        let mut before: Option<Vec<Vec<f64>>> = None;
        for fold in 0..folds.len() {
            let threads = threads_within(estimator.threads, blocks.features(), estimator.memory);
            let rows = RowsOfFold::new(blocks, folds, fold, true).weighed(threads)?;
            check_classes(&rows)?;
            let scaler = Scaler::fit(&rows, numeric, threads)?;
            let newton = Newton {
                blocks: &rows,
                scaler: &scaler,
                weights: estimator.row_weights(&rows),
                c: 1.0,
                tol: path::TOLERANCE,
                max_iter: estimator.max_iter,
                threads,
                matrix: cs.iter().any(|c| c.is_infinite())
                    || with_matrix(blocks.features(), estimator.memory),
                keep_hessian: false,
            };
            // The folds have most of their rows in common, and so nearly their optima.
            let mut betas = optima(&newton, cs, before.as_deref())?;
            before = Some(betas.clone());
            let shift = estimator.prior_shift(&rows);
            for beta in &mut betas {
                if let Some(intercept) = beta.last_mut() {
                    *intercept += shift;
                }
            }
            fits.push(FoldFit { scaler, betas });
        }
        Ok(FoldFits { of: self, fits })
    }

    fn tested(&self, fold: usize) -> RowsOfFold<'a> {
        RowsOfFold::new(self.blocks, self.folds, fold, false)
    }
}

impl FoldFits<'_> {
    /// For each C the mean log loss, in nats, of each fold's test rows; by their weights, if they have any.
    ///
    /// # Errors
    /// Any error of the source.
    pub fn log_losses(&self) -> Result<Vec<Vec<f64>>> {
        let mut by_fold = Vec::new();
        for (fold, fit) in self.fits.iter().enumerate() {
            let rows = self.of.tested(fold).weighed(self.threads())?;
            let pass = LogLoss(fit);
            let sums = reduce(&rows, 1, self.threads(), &pass)?;
            let all = rows.weighed.map_or(rows.rows as f64, |w| w.by_class.iter().sum());
            by_fold.push((sums, all));
        }
        let of = |c: usize| by_fold.iter().map(|(sums, rows)| sums[c] / rows).collect();
        Ok((0..self.fits.first().map_or(0, |fit| fit.betas.len())).map(of).collect())
    }

    /// The log loss of each row by the fold that is tested on it, for the C at place `at`; NaN for rows on
    /// which none is.
    ///
    /// # Errors
    /// Any error of the source.
    pub fn row_losses(&self, at: usize) -> Result<Vec<f64>> {
        self.by_row(at, row_loss)
    }

    /// The probability of the positive class for each row by the fold that is tested on it, for the
    /// C at place `at`; NaN for rows on which none is.
    ///
    /// # Errors
    /// Any error of the source.
    pub fn probabilities(&self, at: usize) -> Result<Vec<f64>> {
        self.by_row(at, |z, _| logistic(z))
    }

    /// What `of` makes of log-odds and label of each row that is tested.
    fn by_row(&self, at: usize, of: fn(f64, f64) -> f64) -> Result<Vec<f64>> {
        let mut all = vec![f64::NAN; self.of.folds.rows()];
        for (fold, fit) in self.fits.iter().enumerate() {
            let rows = self.of.tested(fold);
            let pass = ByRow { fit, at, of };
            let predicted = reduce(&rows, 1, self.threads(), &pass)?;
            let tested = (0..all.len()).filter(|row| self.of.folds.tests(fold, *row));
            for (row, value) in tested.zip(predicted) {
                all[row] = value;
            }
        }
        Ok(all)
    }

    fn threads(&self) -> usize {
        let estimator = self.of.estimator;
        threads_within(estimator.threads, self.of.blocks.features(), estimator.memory)
    }
}

/// The rows of all blocks that a fold is trained on, or tested on.
struct RowsOfFold<'a> {
    source: &'a dyn Blocks,
    folds: &'a Folds,
    fold: usize,
    trained: bool,
    /// The blocks with any such row, and how many they have.
    kept: Vec<(usize, u64)>,
    rows: u64,
    weighed: Option<Weighed>,
}

impl<'a> RowsOfFold<'a> {
    fn new(source: &'a dyn Blocks, folds: &'a Folds, fold: usize, trained: bool) -> Self {
        let kept = Vec::new();
        let mut found = Self { source, folds, fold, trained, kept, rows: 0, weighed: None };
        for index in 0..source.blocks() {
            let rows = found.places(index).count() as u64;
            if rows > 0 {
                found.kept.push((index, rows));
                found.rows += rows;
            }
        }
        found
    }

    /// With the sums of the weights, if the source has any.
    fn weighed(mut self, threads: usize) -> Result<Self> {
        if self.source.weighed().is_some() {
            self.weighed = Some(weigh(&self, threads)?);
        }
        Ok(self)
    }

    /// The places of its rows in block `index` of the source.
    fn places(&self, index: usize) -> impl Iterator<Item = usize> {
        let first = index * BLOCK_ROWS;
        let here = first..(first + BLOCK_ROWS).min(self.folds.rows());
        let wanted = move |row: &usize| {
            let Self { folds, fold, .. } = self;
            if self.trained { folds.trains(*fold, *row) } else { folds.tests(*fold, *row) }
        };
        here.filter(wanted).map(move |row| row - first)
    }
}

impl Blocks for RowsOfFold<'_> {
    fn features(&self) -> usize {
        self.source.features()
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn positives(&self) -> u64 {
        // Those of test rows nobody asks for.
        if self.trained { self.folds.positives(self.fold) } else { 0 }
    }

    fn weighed(&self) -> Option<Weighed> {
        self.weighed
    }

    fn name(&self, j: usize) -> String {
        self.source.name(j)
    }

    fn blocks(&self) -> usize {
        self.kept.len()
    }

    fn rows_in(&self, index: usize) -> u64 {
        self.kept.get(index).map_or(0, |(_, rows)| *rows)
    }

    fn read(&self, index: usize, into: &mut Block) -> Result<()> {
        let Some((index, _)) = self.kept.get(index) else {
            return Err(Error::data(format!("there is no block {index} in fold {}", self.fold)));
        };
        read_checked(self.source, *index, into)?;
        into.keep(&self.places(*index).collect::<Vec<_>>());
        Ok(())
    }
}

impl FoldFit {
    /// Writes the log-odds of the rows of `block` for the C at place `at` to `margins`.
    fn margins(&self, at: usize, block: &Block, margins: &mut Vec<f64>) {
        let beta = &self.betas[at];
        let features = block.features();
        margins.clear();
        margins.resize(block.rows(), beta[features]);
        for (j, weight) in beta[..features].iter().enumerate() {
            let (mean, scale) = (self.scaler.mean[j], self.scaler.scale[j]);
            for (z, x) in margins.iter_mut().zip(block.column(j)) {
                *z += weight * ((x - mean) / scale);
            }
        }
    }
}

/// Sums the log loss, for each C.
struct LogLoss<'a>(&'a FoldFit);

impl Pass for LogLoss<'_> {
    type Sums = Vec<f64>;
    type Scratch = Vec<f64>;

    fn zero(&self) -> Vec<f64> {
        vec![0.0; self.0.betas.len()]
    }

    fn scratch(&self) -> Vec<f64> {
        Vec::new()
    }

    fn add(
        &self,
        _: usize,
        block: &Block,
        margins: &mut Vec<f64>,
        sums: &mut Vec<f64>,
    ) -> Result<()> {
        for (at, sum) in sums.iter_mut().enumerate() {
            self.0.margins(at, block, margins);
            let losses = margins.iter().zip(block.labels()).map(|(z, label)| row_loss(*z, *label));
            match block.weights() {
                None => losses.for_each(|loss| *sum += loss),
                Some(weights) => losses.zip(weights).for_each(|(loss, w)| *sum += w * loss),
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut Vec<f64>, following: Vec<f64>) {
        into.iter_mut().zip(following).for_each(|(sum, more)| *sum += more);
    }
}

/// The log loss of a row at log-odds `z`.
fn row_loss(z: f64, label: f64) -> f64 {
    let wrong = if label > 0.5 { -z } else { z };
    wrong.max(0.0) + (-wrong.abs()).exp().ln_1p()
}

/// Lists something of the rows, in order.
struct ByRow<'a> {
    fit: &'a FoldFit,
    at: usize,
    of: fn(f64, f64) -> f64,
}

impl Pass for ByRow<'_> {
    type Sums = Vec<f64>;
    type Scratch = Vec<f64>;

    fn zero(&self) -> Vec<f64> {
        Vec::new()
    }

    fn scratch(&self) -> Vec<f64> {
        Vec::new()
    }

    fn add(
        &self,
        _: usize,
        block: &Block,
        margins: &mut Vec<f64>,
        sums: &mut Vec<f64>,
    ) -> Result<()> {
        self.fit.margins(self.at, block, margins);
        sums.extend(margins.iter().zip(block.labels()).map(|(z, label)| (self.of)(*z, *label)));
        Ok(())
    }

    fn merge(&self, into: &mut Vec<f64>, mut following: Vec<f64>) {
        into.append(&mut following);
    }
}
