//! What training chose by cross-validation: the threshold with its alternatives, and the penalty with
//! the values that were tried.
//!
//! Not for the choice: see `mlops_core::evaluation::cutoff`.

use maud::{Markup, html};
use mlops_core::evaluation::cutoff::{Cutoff, figure_name, words};
use mlops_core::model::fit::PenaltyGrid;

use super::table::{Table, cells};
use crate::format;
use crate::report::Report;

/// Renders what there is; nothing if the configuration set all of it.
pub(super) fn section(report: &Report) -> Markup {
    let model = &report.model;
    html! {
        @if let Some(shift) = model.prior_shift {
            p.small {
                "The classes were weighted as if both were equally frequent. "
                (format::number(shift)) " was added to the intercept, so that probabilities hold for \
                 rows as frequent as they are."
            }
        }
        @if let Some(cutoff) = &model.cutoff { (threshold(cutoff)) }
        @if let Some(grid) = &model.grid { (penalty(grid)) }
    }
}

fn threshold(cutoff: &Cutoff) -> Markup {
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
    html! {
        h3 { "The threshold" }
        p {
            (format::plain(cutoff.threshold)) " was chosen for " (words(cutoff.rule)) ". On "
            (format::counted(cutoff.counts.n(), "training row", "training rows"))
            ", each predicted by a model that was not fitted on it or its entity, it gives "
            (figure_name(cutoff.rule)) " " (format::number(cutoff.value)) ", precision "
            (format::percent(cutoff.counts.precision())) " and recall "
            (format::percent(cutoff.counts.recall())) ". "
            @match &cutoff.interval {
                Some(interval) => {
                    "With other clients of the same kind, the choice would lie between "
                    (format::plain(interval.low)) " and " (format::plain(interval.high))
                    " in 95 % of cases (" (format::count(cutoff.resamples)) " resamples)."
                }
                None => "Most resamples could not meet this demand at any threshold, so that it may \
                         fail on new rows.",
            }
        }
        (table)
    }
}

fn penalty(grid: &PenaltyGrid) -> Markup {
    let mut table =
        Table::new("Penalties", &[("C", true), ("Log loss", true), ("Standard error", true)]);
    for point in &grid.points {
        table.row(cells![
            format::plain(point.c),
            format::number(point.log_loss),
            format::number(point.standard_error),
        ]);
    }
    html! {
        h3 { "The penalty" }
        p {
            "C = " (format::plain(grid.chosen)) " is the strongest penalty whose cross-validated log \
             loss is within one standard error of the lowest, that of C = " (format::plain(grid.best))
            " (" (format::count(grid.folds)) " folds)."
        }
        (table)
    }
}
