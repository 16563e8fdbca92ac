//! Compares champion and challenger on the same test rows, the newest hold-out first.
//!
//! Not for the rule that decides: see [`crate::evaluation::gate`].

use crate::Result;
use crate::evaluation::gate::{GateVerdict, Terms, gate};
use crate::evaluation::metrics::{Answers, ConfusionMatrix, classify};
use crate::evaluation::reasons::{Excluded, GateReason};
use crate::model::Model;
use crate::release::Release;
use crate::run::context::{Context, Workspace};
use crate::run::test_files::TestFiles;

use super::super::score::compare_tests;
use super::super::tested::MIN_OF_CLASS;

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
            unchecked = Some(GateReason::Unchecked(e.to_string()));
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
    let terms = Terms {
        metric: config.gate.metric,
        min_improvement: config.gate.min_improvement,
        accept,
        seed: config.training.seed,
        threads: config.limits.threads,
    };
    let clusters = compared.clusters();
    let [of_champion, of_challenger] = [(&champion, 0), (&challenger, 1)]
        .map(|(predicted, of)| Answers { predicted, probabilities: &compared.probabilities[of] });
    let mut verdict = gate(&compared.labels, of_champion, of_challenger, clusters.as_ref(), terms)?;
    let least = (config.holdout.min_rows, MIN_OF_CLASS);
    let (both, labels) = ([of_champion, of_challenger], &compared.labels);
    let slices = compared.slices.contests(labels, both, terms.metric, least)?;
    verdict.hold_to_slices(slices, config.gate.max_slice_drop);
    let reasons = &mut verdict.reasons.all;
    reasons.extend(compared.notes.iter().cloned().map(GateReason::TestData));
    reasons.extend(unchecked);
    for (rows, why) in [
        (compared.rejected, Excluded::Unreadable),
        (compared.left_out, Excluded::TrainedOn),
        (compared.unanswered, Excluded::Unanswered),
    ] {
        reasons.extend((rows > 0).then_some(GateReason::Excluded { rows, why }));
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
