//! The section on quality: every score with its interval beside the constant answer's, and charts.
//!
//! Not for computing scores, except the few that follow from the base rate alone: those of constant
//! answers.

use mlops_core::evaluation::metrics::Interval;

use crate::format;
use crate::pictures::Picture;
use crate::report::{Report, Score};

use super::table::Table;
use super::{figures, verdict};
use crate::escape::escape;

/// Renders the section.
pub(super) fn section(report: &Report, pictures: &[Picture]) -> String {
    let score = &report.score;
    if score.n == 0 {
        return "<p>The model was not scored, so its quality is unknown.</p>\n".to_owned();
    }
    let mut html = format!(
        "<p>Tested on {} {}, {} of them “{}”. A row is predicted “{}” if its probability is above {}. {}</p>\n",
        format::count(score.n),
        verdict::unit(report),
        format::count(score.positives),
        escape(&report.positive_label),
        escape(&report.positive_label),
        format::plain(score.threshold),
        escape(&score.held_out)
    );
    html.push_str(&scores(score));
    let note = score.interval_note.as_deref().map_or_else(String::new, |note| {
        format!(" Intervals: {}.", escape(note.trim_end_matches('.')))
    });
    html.push_str(&format!(
        "<p class=\"small\">The constant answer is the best one that does not look at the row: always \
         “positive” for F1, precision and recall, the more frequent class for accuracy, the share of \
         positives as the probability for the others.{note}</p>\n"
    ));
    html.push_str(&figures(
        pictures,
        &["confusionmatrix", "score_distribution", "roc", "precision_recall", "calibration"],
    ));
    html
}

/// Name, value, interval, the constant answer's value, explanation.
type Row<'a> = (&'a str, Option<f64>, Option<Interval>, f64, &'a str);

fn scores(score: &Score) -> String {
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
        table.row(vec![
            name.to_owned(),
            format!("<strong>{}</strong>", three(value.unwrap_or(f64::NAN))),
            interval,
            three(constant),
            text.to_owned(),
        ]);
    }
    table.html()
}

fn three(x: f64) -> String {
    if x.is_finite() { format!("{x:.3}") } else { format::NONE.to_owned() }
}
