//! What training chose by cross-validation: the threshold with its alternatives, and the penalty with
//! the values that were tried.
//!
//! Not for the choice: see `mlops_core::evaluation::cutoff`.

use mlops_core::evaluation::cutoff::{Cutoff, figure_name, words};
use mlops_core::model::fit::PenaltyGrid;

use crate::document::{Block, Table, cells, paragraph, small};
use crate::format;
use crate::report::Report;

/// What there is; nothing if the configuration set all of it.
pub(super) fn section(report: &Report) -> Vec<Block> {
    let model = &report.model;
    let mut blocks = Vec::new();
    if let Some(shift) = model.prior_shift {
        blocks.push(small(format!(
            "The classes were weighted as if both were equally frequent. {} was added to the \
             intercept, so that probabilities hold for rows as frequent as they are.",
            format::number(shift)
        )));
    }
    blocks.extend(model.cutoff.iter().flat_map(threshold));
    blocks.extend(model.grid.iter().flat_map(penalty));
    blocks
}

fn threshold(cutoff: &Cutoff) -> Vec<Block> {
    let mut table = Table::new(
        "Thresholds",
        &[
            ("Threshold", true),
            ("Predicted positive", true),
            ("Precision", true),
            ("Recall", true),
            (figure_name(cutoff.rule), true),
        ],
    );
    for point in &cutoff.table {
        let counts = &point.counts;
        let share = (counts.tp + counts.fp) as f64 / counts.n().max(1) as f64;
        table.row(cells![
            format::plain(point.threshold),
            format::percent(share),
            format::percent(counts.precision()),
            format::percent(counts.recall()),
            format::number(point.value),
        ]);
    }
    let among = match &cutoff.interval {
        Some(interval) => format!(
            "With other clients of the same kind, the choice would lie between {} and {} in 95 % of \
             cases ({} resamples).",
            format::plain(interval.low),
            format::plain(interval.high),
            format::count(cutoff.resamples)
        ),
        None => {
            "Most resamples could not meet this demand at any threshold, so that it may fail on \
                 new rows."
                .to_owned()
        }
    };
    let told = format!(
        "{} was chosen for {}. On {}, each predicted by a model that was not fitted on it or its \
         entity, it gives {} {}, precision {} and recall {}. {among}",
        format::plain(cutoff.threshold),
        words(cutoff.rule),
        format::counted(cutoff.counts.n(), "training row", "training rows"),
        figure_name(cutoff.rule),
        format::number(cutoff.value),
        format::percent(cutoff.counts.precision()),
        format::percent(cutoff.counts.recall()),
    );
    vec![Block::Heading("The threshold".to_owned()), paragraph(told), Block::Table(table)]
}

fn penalty(grid: &PenaltyGrid) -> Vec<Block> {
    let mut table =
        Table::new("Penalties", &[("C", true), ("Log loss", true), ("Standard error", true)]);
    for point in &grid.points {
        table.row(cells![
            format::plain(point.c),
            format::number(point.log_loss),
            format::number(point.standard_error),
        ]);
    }
    let told = format!(
        "C = {} is the strongest penalty whose cross-validated log loss is within one standard error of \
         the lowest, that of C = {} ({} folds).",
        format::plain(grid.chosen),
        format::plain(grid.best),
        format::count(grid.folds)
    );
    vec![Block::Heading("The penalty".to_owned()), paragraph(told), Block::Table(table)]
}
