//! Compares champion and challenger on the same test rows, the newest hold-out first.
//!
//! Not for the rule that decides: see [`crate::evaluation::gate`].

use crate::Result;
use crate::evaluation::gate::{GateVerdict, Terms, gate};
use crate::evaluation::metrics::{ConfusionMatrix, classify};
use crate::model::Model;
use crate::release::Release;
use crate::run::context::{Context, Workspace};
use crate::run::test_files::TestFiles;
use crate::text;

use super::super::score::compare_tests;

/// The result of a contest.
#[derive(Debug)]
pub struct Contest {
    /// The verdict.
    pub verdict: GateVerdict,
    /// Predictions of the challenger for the newest test rows only.
    pub newest: ConfusionMatrix,
}

/// Compares the challenger with the champion. If the champion's training data are not `recorded`,
/// or cannot be read any more, they are unknown: test rows among them favour the champion, so that
/// a challenger which passes nevertheless has really passed.
pub fn contest(
    context: &Context,
    workspace: &Workspace,
    models: [&Model; 2],
    recorded: bool,
    accept: bool,
) -> Result<Contest> {
    let config = &context.config;
    let holdouts = workspace.ledger.holdouts()?;
    let tests = TestFiles::find(context, &holdouts)?;
    let compare = |held: &[&Model]| compare_tests(context, workspace, &models, held, &tests);
    let mut unchecked = None;
    let compared = match compare(if recorded { &models } else { &models[1..] }) {
        Err(e) if recorded => {
            unchecked = Some(format!(
                "which test rows the champion was trained on could not be checked, and they favour it \
                 ({e})"
            ));
            compare(&models[1..])?
        }
        compared => compared?,
    };
    let compared = compared.said(context, workspace)?;
    let predicted = |of: usize| -> Vec<bool> {
        let threshold = models[of].training.threshold;
        compared.probabilities[of].iter().map(|p| classify(*p, threshold)).collect()
    };
    let (champion, challenger) = (predicted(0), predicted(1));
    let terms = Terms { min_improvement: config.gate.min_improvement, accept };
    let mut verdict = gate(&compared.labels, &champion, &challenger, terms, config.training.seed)?;
    verdict.reasons.extend(compared.notes.iter().cloned());
    verdict.reasons.extend(unchecked);
    for (n, why) in [
        (compared.rejected, "could not be read"),
        (compared.left_out, "were left out, since one of the models was trained on them"),
        (
            compared.unanswered,
            "were left out, since one of the models gives no prediction for them",
        ),
    ] {
        let rows = text::plural(n, "test row");
        verdict.reasons.extend((n > 0).then(|| format!("{rows} {why}")));
    }
    let newest = compared.labels.iter().copied().zip(challenger).take(compared.newest.unwrap_or(0));
    Ok(Contest { verdict, newest: ConfusionMatrix::from_pairs(newest) })
}

/// Compares `challenger` with a live release that these records do not know, if their columns are
/// the same.
pub fn with_unknown(
    context: &Context,
    workspace: &Workspace,
    live: &Release,
    challenger: &Model,
    accept: bool,
) -> Result<Option<GateVerdict>> {
    if live.model.schema.digest() != challenger.schema.digest() {
        return Ok(None);
    }
    let models = [&live.model, challenger];
    Ok(Some(contest(context, workspace, models, false, accept)?.verdict))
}
