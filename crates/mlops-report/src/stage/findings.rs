//! Findings about the model and its figures that a manager should read.
//!
//! Not for files and columns: `files` and `columns` report what they find themselves.

use mlops_core::Result;
use mlops_core::evaluation::metrics::probability::CalibrationTest;
use mlops_core::ids::{self, FindingKind};
use mlops_core::run::asked::{AskedWindow, headline};
use mlops_core::run::context::{Context, Workspace};
use mlops_core::stage::{asked, decide};
use mlops_core::text;

use super::subject::Subject;
use crate::format;
use crate::report::{Finding, Score, note, serious, warning};

/// A coefficient of a standardised feature above this changes the odds from one in a thousand to a
/// thousand to one within one standard deviation.
const LARGE: f64 = 15.0;
/// With fewer rows per feature, coefficients are guesses (a rule of thumb for regression).
const ROWS_FOR_EACH: u64 = 10;
/// With a smaller share of the rarer class, the classes are unbalanced.
const RARE: f64 = 0.05;

/// Findings about the fit and its data.
pub(super) fn of_model(
    workspace: &Workspace,
    subject: &Subject,
    warnings: &mut Vec<Finding>,
) -> Result<()> {
    let (model, card) = (&subject.model, &subject.card);
    let data = &model.data;
    if let Some(newest) = workspace.ledger.latest_dataset()?
        && newest.version > data.version
    {
        let what = if subject.release.is_some() { "live release" } else { "candidate" };
        let more = newest.rows.saturating_sub(data.rows + data.dropped + data.held_out);
        let more =
            if more > 0 { format!(" ({})", text::plural(more, "more row")) } else { String::new() };
        warnings.push(warning(format!(
            "The {what} was trained on {}; {}{more} is newer and was not used for training yet.",
            data.version.name(workspace.ledger.form_of(data.version)?),
            newest.name()
        )));
    }
    let leaks = card.leaks.iter().map(|leak| serious(format!("{leak}.")).of(FindingKind::Leak));
    warnings.extend(leaks);
    let told = |name: &str| card.leaks.iter().any(|leak| leak.has(name));
    let features = card.features.iter().zip(&card.coefficients);
    let mut large = features
        .filter(|(name, value)| value.abs() > LARGE && !told(name))
        .map(|(name, value)| {
            format!(
                "The coefficient of \"{}\" is {}: the feature may give the label away, or it \
                 separates the classes so cleanly that only the penalty keeps it finite.",
                text::name(name),
                format::number(*value)
            )
        })
        .collect();
    text::few(&mut large, |more| {
        format!("The coefficients of {} are as large.", text::plural(more, "more feature"))
    });
    warnings.extend(large.into_iter().map(|words| serious(words).of(FindingKind::Leak)));
    let features = card.features.len() as u64;
    if data.rows < ROWS_FOR_EACH * features {
        warnings.push(warning(format!(
            "The model has {} but was trained on only {}: fewer than {ROWS_FOR_EACH} per feature.",
            text::plural(features, "feature"),
            text::plural(data.rows, "row")
        )).of(FindingKind::FewRows));
    }
    let share = data.positives as f64 / data.rows.max(1) as f64;
    if share.min(1.0 - share) < RARE {
        warnings.push(
            warning(format!(
                "The classes are unbalanced: {} of the {} trained on are positive. Accuracy is \
             misleading here; consider \"training.class_weight\".",
                format::percent(share),
                text::plural(data.rows, "row")
            ))
            .of(FindingKind::UnbalancedClasses),
        );
    }
    if let Some(reason) = &model.fitted.fallback {
        warnings.push(note(format!("The Newton solver was used instead of L-BFGS: {reason}.")));
    }
    Ok(())
}

/// The p-value below which probabilities are reported as miscalibrated, and the mean difference
/// from the observed frequencies below which it does not matter.
const CALIBRATION: (f64, f64) = (0.01, 0.02);

/// Findings about calibration: predicted probabilities against observed frequencies.
pub(super) fn of_calibration(test: Option<CalibrationTest>, warnings: &mut Vec<Finding>) {
    let Some(test) = test else { return };
    let (alpha, matters) = CALIBRATION;
    if test.p_value < alpha && test.gap >= matters {
        warnings.push(
            warning(format!(
                "The predicted probabilities are off by {:.2} on average: in {} of test rows \
             the share of positives differs from the prediction (Hosmer-Lemeshow {:.1}, p {}). The \
             ranking of the rows may still be correct, but do not rely on the probabilities.",
                test.gap,
                text::plural(test.groups as u64, "group"),
                test.statistic,
                text::p_value(test.p_value)
            ))
            .of(FindingKind::Calibration),
        );
    }
}

/// Findings about newer rows, from the newest decision on this release.
pub(super) fn of_drift(
    workspace: &Workspace,
    subject: &Subject,
    warnings: &mut Vec<Finding>,
) -> Result<()> {
    if workspace.ledger.decision(None)?.is_none() {
        return Ok(());
    }
    // The record of another version of this program may differ.
    let Ok(decision) = decide::explain(&workspace.ledger, None) else { return Ok(()) };
    let judged = decision.live.as_ref().map(|live| &live.release);
    if judged.is_none() || judged != subject.release.as_ref() {
        return Ok(());
    }
    for concern in &decision.concerns {
        warnings.push(serious(format!("A person is needed: {concern}.")));
    }
    if let Some(drift) = decision.drift.filter(|drift| drift.drifted == Some(true)) {
        warnings
            .push(warning(format!("The model has drifted on the newest rows: {}.", drift.reason)));
    }
    if let Some(data) = decision.data_drift {
        let drifted = data.columns.iter().filter(|column| column.drifted);
        let names: Vec<&str> = drifted.map(|column| column.column.as_str()).collect();
        if !names.is_empty() {
            warnings.push(warning(format!(
                "The newest rows differ from those before in {} of {}: {}.",
                names.len(),
                text::plural(data.columns.len() as u64, "column"),
                text::names(&names)
            )));
        }
    }
    Ok(())
}

/// What stands on record and the report does not look at itself: all that needs a person, and drift of what is asked.
/// A page that said "nothing" while the dashboard lists something would be believed.
pub(super) fn on_record(
    context: &Context,
    workspace: &Workspace,
    subject: &Subject,
    warnings: &mut Vec<Finding>,
) -> Result<()> {
    let ledger = &workspace.ledger;
    let asked = match &subject.release {
        Some(release) => asked::newest(ledger, release)?,
        None => Vec::new(),
    };
    let mut found: Vec<Finding> = headline(&asked)
        .into_iter()
        .flat_map(AskedWindow::as_findings)
        .map(|one| warning(as_sentence(&one.text)).of(one.kind).about(one.subjects))
        .collect();
    text::few(&mut found, |more| {
        let words = text::plural(more, "more column");
        warning(format!("What is asked differs in {words} too.")).of(FindingKind::AskedDrift)
    });
    warnings.extend(found);
    let standing = ledger.standing_findings(&context.run)?;
    let mut found = Vec::new();
    for one in standing.iter().filter(|one| one.severity != ids::Severity::Warning) {
        let told =
            |warning: &Finding| warning.text.to_lowercase().contains(&one.text.to_lowercase());
        if !warnings.iter().any(told) {
            found.push(serious(as_sentence(&one.text)).of(one.kind));
        }
    }
    text::few(&mut found, |more| {
        let (number, verb) = (text::count(more), if more == 1 { "needs" } else { "need" });
        serious(format!("{number} more on record {verb} a person: see /findings of the dashboard."))
    });
    warnings.extend(found);
    Ok(())
}

/// The text of a finding as a sentence of its own.
fn as_sentence(text: &str) -> String {
    let text = text::capitalised(text);
    if text.ends_with(['.', '!', '?']) { text } else { text + "." }
}

/// Findings about the score.
pub(super) fn of_score(score: &Score, warnings: &mut Vec<Finding>) {
    let few = mlops_core::evaluation::metrics::bootstrap::too_few(&score.confusion);
    if let Some(few) = few {
        let rows = text::plural(score.n, "test row");
        let one = if score.confusion.one_class() { ", all of one class" } else { "" };
        let words = format!("{rows}{one}: {few} how good the model is.");
        warnings.push(warning(words).of(FindingKind::FewRows));
    }
    if !score.beats_constant {
        warnings.push(
            serious(format!(
                "The model does not beat the best constant answer: F1 {:.4} against {:.4}.",
                score.f1, score.constant_f1
            ))
            .of(FindingKind::BelowConstant),
        );
    } else if !score.beyond_chance && few.is_none() {
        warnings.push(warning(format!(
            "The model is ahead of the best constant answer (F1 {:.4} against {:.4}), but \
             chance alone could explain the lead.",
            score.f1, score.constant_f1
        )));
    }
}
