//! The section on quality: every score with its interval beside the constant answer's, and charts.
//!
//! Not for computing scores, except the few that follow from the base rate alone: those of constant
//! answers.

use maud::{Markup, html};
use mlops_core::evaluation::metrics::Interval;

use super::table::{Table, cells};
use super::{figures, slices, verdict};
use crate::font::clean;
use crate::format;
use crate::pictures::Picture;
use crate::report::{Report, Score};

/// Renders the section.
pub(super) fn section(report: &Report, pictures: &[Picture]) -> Markup {
    let score = &report.score;
    if score.n == 0 {
        return html! { p { "The model was not scored, so its quality is unknown." } };
    }
    let positive = clean(&report.positive_label);
    let drawn = ["confusionmatrix", "score_distribution", "roc", "precision_recall", "calibration"];
    html! {
        p {
            "Tested on " (format::count(score.n)) " " (verdict::unit(report)) ", "
            (format::count(score.positives)) " of them “" (positive)
            "”. A row is predicted “" (positive) "” if its probability is above "
            (format::plain(score.threshold)) ". " (clean(&score.held_out))
        }
        (scores(score))
        p.small {
            "The constant answer is the best one that does not look at the row: always “positive” for \
             F1, precision and recall, the more frequent class for accuracy, the share of positives \
             as the probability for the others."
            @if let Some(note) = &score.interval_note {
                " Intervals: " (clean(note.trim_end_matches('.'))) "."
            }
        }
        (slices::table(&report.slices))
        (figures(pictures, &drawn))
    }
}

/// Name, value, interval, the constant answer's value, explanation.
type Row<'a> = (&'a str, Option<f64>, Option<Interval>, f64, &'a str);

fn scores(score: &Score) -> Table {
    let mut table = Table::new(
        "Scores",
        &[
            ("Score", false),
            ("Model", true),
            ("Interval", true),
            ("Constant", true),
            ("Meaning", false),
        ],
    );
    let base = if score.n == 0 { f64::NAN } else { score.positives as f64 / score.n as f64 };
    let entropy =
        -[base, 1.0 - base].map(|p| if p > 0.0 { p * p.ln() } else { 0.0 }).iter().sum::<f64>();
    let entropy = if base.is_finite() { entropy } else { f64::NAN };
    let recall = if score.positives == 0 { f64::NAN } else { 1.0 };
    let rows: [Row<'_>; 8] = [
        (
            "F1",
            Some(score.f1),
            score.f1_interval,
            score.constant_f1,
            "harmonic mean of precision and recall, higher is better",
        ),
        (
            "Precision",
            Some(score.precision),
            score.precision_interval,
            base,
            "share of the positive predictions that are correct",
        ),
        (
            "Recall",
            Some(score.recall),
            score.recall_interval,
            recall,
            "share of the positives that are found",
        ),
        (
            "Accuracy",
            Some(score.accuracy),
            score.accuracy_interval,
            score.constant_accuracy,
            "share of correct predictions",
        ),
        (
            "ROC AUC",
            score.roc_auc,
            score.roc_auc_interval,
            0.5,
            "probability that a positive scores above a negative",
        ),
        ("Average precision", score.pr_auc, None, base, "precision over all thresholds"),
        (
            "Log loss",
            score.log_loss,
            None,
            entropy,
            "mean negative log-likelihood, lower is better",
        ),
        (
            "Brier score",
            score.brier,
            None,
            base * (1.0 - base),
            "mean squared error of the probability, lower is better",
        ),
    ];
    for (name, value, interval, constant, text) in rows {
        let interval = interval.map_or_else(
            || format::NONE.to_owned(),
            |i| format!("{} to {}", format::score(i.low), format::score(i.high)),
        );
        let value = html! { strong { (three(value.unwrap_or(f64::NAN))) } };
        table.row(cells![name, value, interval, three(constant), text]);
    }
    table
}

fn three(x: f64) -> String {
    if x.is_finite() { format!("{x:.3}") } else { format::NONE.to_owned() }
}
