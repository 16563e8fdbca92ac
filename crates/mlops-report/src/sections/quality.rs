//! The section on quality: every score with its interval beside the constant answer's, and charts.
//!
//! Not for computing scores, except the few that follow from the base rate alone: those of constant
//! answers.

use mlops_core::evaluation::metrics::{ConfusionMatrix, Decile, Evaluation, Interval, Metric};
use mlops_core::text;

use super::{slices, verdict};
use crate::document::{Block, Table, cells, paragraph, small, strong};
use crate::format;
use crate::report::{Report, Score};

/// The section.
pub(super) fn section(report: &Report) -> Vec<Block> {
    let score = &report.score;
    if score.n == 0 {
        return vec![paragraph("The model was not scored, so its quality is unknown.")];
    }
    let positive = &report.positive_label;
    let tested = format!(
        "Tested on {} {}, {} of them “{positive}”. A row is predicted “{positive}” if its probability is \
         above {}. {}",
        format::count(score.n),
        verdict::unit(report),
        format::count(score.positives),
        format::plain(score.threshold),
        score.held_out
    );
    let mut constant = "The constant answer is the best one that does not look at the row: always \
                        “positive” for F1, precision and recall, the more frequent class for accuracy, \
                        the share of positives as the probability for the others."
        .to_owned();
    if let Some(note) = &score.interval_note {
        constant = format!("{constant} Intervals: {}.", note.trim_end_matches('.'));
    }
    let mut blocks = vec![paragraph(tested), Block::Table(scores(score)), small(constant)];
    blocks.push(Block::Heading("Confusion matrix".to_owned()));
    blocks.push(Block::Table(counts(report)));
    if let Some(evaluation) = &score.evaluation {
        blocks.push(Block::Heading("Ranking and calibration".to_owned()));
        blocks.extend(further(evaluation));
    }
    blocks.extend(calibration(report));
    if let Some(evaluation) = &score.evaluation {
        blocks.extend(deciles(&evaluation.deciles));
    }
    blocks.extend(thresholds(report));
    blocks.extend(slices::table(&report.slices));
    blocks.push(Block::Figures(vec![
        "confusionmatrix",
        "score_distribution",
        "roc",
        "precision_recall",
        "gain",
        "thresholds",
        "calibration",
    ]));
    blocks
}

/// The figures that follow those of [`scores`]; nothing for a record that lacks them.
fn further(e: &Evaluation) -> Vec<Block> {
    let top = e.top_decile.as_ref();
    let calibration = e.calibration.as_ref();
    let constant = |metric: Metric| {
        metric.of_constant(e.positives, e.n.saturating_sub(e.positives)).unwrap_or(f64::NAN)
    };
    let rows: [Row<'_>; 10] = [
        (
            "Specificity",
            e.specificity,
            e.specificity_interval,
            f64::NAN,
            "share of the negatives that are predicted negative",
        ),
        (
            "Balanced accuracy",
            e.balanced_accuracy,
            e.balanced_accuracy_interval,
            constant(Metric::BalancedAccuracy),
            "mean of recall and specificity",
        ),
        (
            "MCC",
            e.mcc,
            e.mcc_interval,
            constant(Metric::Mcc),
            "Matthews correlation of labels and predictions, from −1 to 1",
        ),
        ("Gini", e.gini, e.gini_interval, constant(Metric::Gini), "2 × ROC AUC − 1"),
        (
            "KS",
            e.ks,
            e.ks_interval,
            constant(Metric::Ks),
            "largest distance between the distributions of both classes’ probabilities",
        ),
        (
            "Top decile, precision",
            top.map(|t| t.precision),
            top.map(|t| t.precision_interval),
            constant(Metric::TopPrecision),
            "share of positives among the tenth of the rows with the highest probabilities",
        ),
        (
            "Top decile, lift",
            top.map(|t| t.lift),
            top.map(|t| t.lift_interval),
            constant(Metric::Lift),
            "the same, as a multiple of the share among all rows",
        ),
        (
            "Calibration slope",
            calibration.and_then(|c| c.slope),
            calibration.and_then(|c| c.slope_interval),
            f64::NAN,
            "1 is perfect; below 1 the probabilities are too extreme",
        ),
        (
            "Calibration intercept",
            calibration.and_then(|c| c.intercept),
            calibration.and_then(|c| c.intercept_interval),
            f64::NAN,
            "0 is perfect",
        ),
        (
            "Spiegelhalter’s z",
            calibration.and_then(|c| c.spiegelhalter_z),
            None,
            f64::NAN,
            "within ±1.96 for a calibrated model, 95 times in 100",
        ),
    ];
    let mut table = Table::new("Further scores", &HEADINGS);
    for row in rows.into_iter().filter(|(_, value, ..)| value.is_some()) {
        put(&mut table, row);
    }
    let mut blocks = Vec::new();
    if e.mcc.is_some() {
        blocks.push(Block::Table(table));
    }
    if let Some(why) = calibration.and_then(|c| c.unfitted) {
        blocks
            .push(small(format!("Calibration slope and intercept are unknown: {}.", why.words())));
    }
    blocks
}

/// The four counts with their standard names, and what they are.
fn counts(report: &Report) -> Table {
    let mut table = Table::new(
        "Confusion matrix",
        &[("Count", false), ("Rows", true), ("Share of the class", true), ("Meaning", false)],
    );
    let m = report.score.confusion;
    let (positive, negative) = (&report.positive_label, &report.negative_label);
    let share =
        |part: u64, rest: u64| format::percent(part as f64 / part.saturating_add(rest) as f64);
    for (name, n, rest, predicted, actual) in [
        ("True positives", m.tp, m.fn_, positive, positive),
        ("False negatives", m.fn_, m.tp, negative, positive),
        ("False positives", m.fp, m.tn, positive, negative),
        ("True negatives", m.tn, m.fp, negative, negative),
    ] {
        let verb = if predicted == actual { "and are" } else { "but are" };
        table.row(cells![
            name,
            format::count(n),
            share(n, rest),
            format!("predicted “{predicted}”, {verb} “{actual}”"),
        ]);
    }
    table
}

/// The test of Hosmer and Lemeshow, in words.
fn calibration(report: &Report) -> Option<Block> {
    let test = report.calibration?;
    let verdict = if test.p_value < 0.01 {
        "the predicted probabilities differ from the observed shares by more than chance explains"
    } else {
        "the difference between predicted probabilities and observed shares can be chance"
    };
    Some(paragraph(format!(
        "Calibration test (Hosmer-Lemeshow): statistic {} with {}, p-value {}: {verdict}. They are {} \
         apart on average.",
        format::number(test.statistic),
        format::counted(test.groups as u64, "group", "groups"),
        text::p_value(test.p_value),
        format::score(test.gap),
    )))
}

/// What other thresholds would give on the test rows.
fn thresholds(report: &Report) -> Vec<Block> {
    let points = &report.curves.thresholds;
    let used = report.score.threshold;
    // About twenty of them, and the one in use.
    let step = (points.len() / 20).max(1);
    let mut shown: Vec<(f64, ConfusionMatrix)> =
        points.iter().step_by(step).map(|at| (at.threshold, at.matrix)).collect();
    if shown.is_empty() {
        return Vec::new();
    }
    shown.retain(|(at, _)| (at - used).abs() > 1e-9);
    shown.push((used, report.score.confusion));
    shown.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut table = Table::new(
        "Thresholds on the test rows",
        &[
            ("Threshold", false),
            ("Predicted positive", true),
            ("True positives", true),
            ("False positives", true),
            ("False negatives", true),
            ("Precision", true),
            ("Recall", true),
            ("F1", true),
        ],
    );
    for (at, m) in shown {
        let precision =
            if m.tp + m.fp > 0 { format::percent(m.precision()) } else { format::NONE.to_owned() };
        let in_use = (at - used).abs() <= 1e-9;
        table.row(cells![
            format!("{}{}", format::plain(at), if in_use { ", in use" } else { "" }),
            format::percent(m.tp.saturating_add(m.fp) as f64 / report.score.n as f64),
            format::count(m.tp),
            format::count(m.fp),
            format::count(m.fn_),
            precision,
            format::percent(m.recall()),
            format::score(m.f1()),
        ]);
    }
    vec![
        Block::Heading("Other thresholds".to_owned()),
        paragraph(
            "What another threshold would have given on the test rows. Choosing one by this table makes \
             the figures look better than they are: \"training.threshold\" chooses on training rows.",
        ),
        Block::Table(table),
    ]
}

/// The tenths of the rows by probability.
fn deciles(deciles: &[Decile]) -> Vec<Block> {
    if deciles.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(
        "Deciles",
        &[
            ("Decile", false),
            ("Probabilities", true),
            ("Rows", true),
            ("Positives", true),
            ("Share", true),
            ("Lift", true),
            ("Cumulative gain", true),
        ],
    );
    for (k, decile) in deciles.iter().enumerate() {
        let whole = (decile.positives - decile.positives.round()).abs() < 1e-9;
        let positives = if whole {
            format!("{:.0}", decile.positives)
        } else {
            format!("{:.1}", decile.positives)
        };
        table.row(cells![
            format!("{}", k + 1),
            format!("{:.4} to {:.4}", decile.lowest, decile.highest),
            format::count(decile.rows),
            positives,
            format::percent(decile.positives / decile.rows as f64),
            format!("{:.2}", decile.lift),
            format::percent(decile.gain),
        ]);
    }
    let told = "The rows by probability, the highest first, in tenths. Of rows with equal probabilities \
                at a border, each tenth has its share.";
    vec![
        Block::Heading("Lift and gain by deciles".to_owned()),
        paragraph(told),
        Block::Table(table),
    ]
}

/// Name, value, interval, the constant answer's value, explanation.
type Row<'a> = (&'a str, Option<f64>, Option<Interval>, f64, &'a str);

fn scores(score: &Score) -> Table {
    let mut table = Table::new("Scores", &HEADINGS);
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
    for row in rows {
        put(&mut table, row);
    }
    table
}

/// The columns of a table of scores.
const HEADINGS: [(&str, bool); 5] =
    [("Score", false), ("Model", true), ("Interval", true), ("Constant", true), ("Meaning", false)];

fn put(table: &mut Table, (name, value, interval, constant, text): Row<'_>) {
    let interval = interval.map_or_else(
        || format::NONE.to_owned(),
        |i| format!("{} to {}", format::score(i.low), format::score(i.high)),
    );
    let value = strong(three(value.unwrap_or(f64::NAN)));
    table.row(cells![name, value, interval, three(constant), text]);
}

fn three(x: f64) -> String {
    // A minus sign, as all numbers of the page have it.
    if x.is_finite() { format!("{x:.3}").replace('-', "−") } else { format::NONE.to_owned() }
}
