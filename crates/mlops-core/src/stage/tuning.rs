//! What training chooses by cross-validation: the penalty and the threshold.
//!
//! Both on the training rows alone; no test row has a part in them. Not for the folds, the fits and the
//! rules themselves: see `evaluation::folds`, `model::fit` and `evaluation::cutoff`.

use crate::config::Training;
use crate::config::choices::ThresholdRule;
use crate::evaluation::cutoff::{Cutoff, Validation};
use crate::evaluation::folds::{FoldRows, Folds};
use crate::model::Tuned;
use crate::model::fit::{Blocks, CrossValidation, GRID, LogisticRegression, PenaltyGrid};
use crate::{Error, Result, text};

/// Bytes that a row takes for folds, predictions and resamples.
const ROW_BYTES: u64 = 64;

/// The rows, and how they are fitted.
pub(super) struct Tuning<'a> {
    pub(super) estimator: &'a LogisticRegression,
    pub(super) blocks: &'a dyn Blocks,
    /// For each feature, whether it is scaled.
    pub(super) numeric: &'a [bool],
    /// The threshold is chosen on this many of the newest rows.
    pub(super) newest: u64,
    /// The memory of the whole training, in bytes.
    pub(super) memory: usize,
}

impl Tuning<'_> {
    /// Chooses what `training` leaves open, and puts it there.
    pub(super) fn tune(&self, training: &mut Training, rows: &FoldRows) -> Result<Tuned> {
        let mut tuned = Tuned::default();
        if training.threshold_rule == ThresholdRule::Prior {
            let [negatives, positives] = self.blocks.class_totals();
            training.threshold = positives / (negatives + positives);
        }
        if !training.cross_validates() {
            return Ok(tuned);
        }
        self.check_memory()?;
        let folds = Folds::of(rows, usize::try_from(training.folds).unwrap_or(usize::MAX))?;
        let Self { estimator, blocks, numeric, .. } = *self;
        let fixed = [training.c.unwrap_or(f64::INFINITY)];
        let cs = if training.search_c { &GRID[..] } else { &fixed[..] };
        let fits = CrossValidation { estimator, blocks, numeric, folds: &folds }.fit(cs)?;
        let mut chosen = 0;
        if training.search_c {
            let grid = PenaltyGrid::of(cs, &fits.log_losses()?);
            if let Some(grid) = grid {
                training.c = Some(grid.chosen);
                chosen = grid.place().unwrap_or_default();
                tuned.grid = Some(grid);
            }
        }
        if training.threshold_rule.is_chosen() {
            let mut probabilities = fits.probabilities(chosen)?;
            let newest = usize::try_from(self.newest).unwrap_or(usize::MAX);
            let older = probabilities.len().saturating_sub(newest);
            probabilities[..older].fill(f64::NAN);
            let validation = Validation {
                entities: folds.entities(),
                folds: folds.len() as u64,
                forward: folds.go_forward(),
            };
            let (rule, seed) = (training.threshold_rule, training.seed);
            let (labels, threads) = (&rows.labels, estimator.threads);
            let cutoff = Cutoff::choose(rule, labels, &probabilities, validation, seed, threads)?;
            training.threshold = cutoff.threshold;
            tuned.cutoff = Some(cutoff);
        }
        Ok(tuned)
    }

    fn check_memory(&self) -> Result<()> {
        let needed = self.blocks.rows().saturating_mul(ROW_BYTES);
        if needed <= self.memory as u64 / 4 {
            return Ok(());
        }
        Err(Error::data(format!(
            "a cross-validation of {} takes {} MiB: raise \"limits.memory_mib\" to {}, or set numbers \
             for \"training.threshold\" and \"training.C\"",
            text::plural(self.blocks.rows(), "row"),
            text::count(needed >> 20),
            text::count(((4 * needed) >> 20) + 1)
        )))
    }
}
