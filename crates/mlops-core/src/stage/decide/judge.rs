//! Judges the live model on the rows on which no decision was made yet: does it still predict as
//! well, and are the rows still distributed like its training rows?
//!
//! Not for acting on the verdicts: see [`super`].

use crate::Result;
use crate::csv::reader::RowReader;
use crate::drift::{
    DataDrift, DeployedScore, ModelDrift, Past, Reference, Sample, SampleBuilder, data_drift,
    model_drift,
};
use crate::evaluation::metrics::ConfusionMatrix;
use crate::ledger::{Action, DatasetRecord};
use crate::model::{Model, Predictor};
use crate::release::{Release, SCORE, parse};
use crate::run::context::{Context, Workspace};
use crate::run::decision::Concern;

use super::super::new_rows::RowRanges;
use super::super::score::Score;

/// The probability below which rows of a single class are not explained by chance.
const NO_ACCIDENT: f64 = 0.001;

/// The verdicts.
pub(super) struct Judged {
    /// Model drift.
    pub(super) model: ModelDrift,
    /// Data drift; `None` if nothing is decided.
    pub(super) data: Option<DataDrift>,
    /// What needs a person.
    pub(super) concerns: Vec<Concern>,
}

/// Judges `live` on the rows `new` of `dataset`; `trained` are those that it was trained on, if
/// that can be determined.
pub(super) fn judge(
    context: &Context,
    workspace: &Workspace,
    live: &Release,
    dataset: &DatasetRecord,
    new: &RowRanges,
    trained: Option<&RowRanges>,
) -> Result<Judged> {
    let config = &context.config;
    let nothing = RowRanges::default();
    let trained = trained.unwrap_or(&nothing);
    let rows = new.len();
    let Seen { matrix, before, new } = seen(context, &live.model, dataset, new, trained)?;
    let score: Score = parse(&live.folder.join(SCORE))?;
    let deployed =
        DeployedScore { f1: score.evaluation.f1, matrix: Some(score.evaluation.confusion_matrix) };
    let history = history(workspace)?;
    let batches = workspace.ledger.judged_batches(&live.id)?;
    let past = Past { deployed: &deployed, history: &history, batches };
    let drift = config.drift;
    let model = model_drift(&past, &matrix, drift.rule, drift.min_rows, config.training.seed);
    let data = if before.rows() == 0 || new.rows() == 0 || model.drifted.is_none() {
        None
    } else {
        let verdict = data_drift(&Reference::of(&before), &new, drift.alpha)?;
        Some(verdict.with_exact_kolmogorov_smirnov(&before, &new))
    };
    let own = score.evaluation.confusion_matrix;
    let worries = [one_class(&matrix, &own), unanswered(&matrix, rows)];
    let worries = worries.into_iter().flatten();
    let concerns = worries.filter(|_| rows >= drift.min_rows).collect();
    Ok(Judged { model, data, concerns })
}

/// A concern if all `new` rows are of one class although the `own` test rows make that practically
/// impossible: the labels are then broken, and no later run can decide either.
fn one_class(new: &ConfusionMatrix, own: &ConfusionMatrix) -> Option<Concern> {
    if new.n() == 0 || own.n() == 0 || !new.one_class() {
        return None;
    }
    let positive = new.positives() > 0;
    let of_class = if positive { own.positives() } else { own.negatives() };
    let usual = of_class as f64 / own.n() as f64;
    let accident = usual.powf(new.n() as f64);
    (accident < NO_ACCIDENT).then_some(Concern::OneClass { rows: new.n(), positive, usual })
}

/// A concern if the model gave predictions for less than half of the rows.
fn unanswered(new: &ConfusionMatrix, rows: u64) -> Option<Concern> {
    let missing = rows.saturating_sub(new.n());
    (missing > new.n()).then_some(Concern::Unanswered { rows: missing, of: rows })
}

/// F1 of decided batches and of promotions, oldest first.
fn history(workspace: &Workspace) -> Result<Vec<f64>> {
    let ledger = &workspace.ledger;
    let mut scores = ledger.judged_scores()?;
    let promotions = ledger.deployments()?.into_iter().filter(|d| d.action == Action::Deploy);
    scores.extend(promotions.filter_map(|d| Some((d.recorded, d.f1?))));
    scores.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(scores.into_iter().map(|(_, f1)| f1).collect())
}

/// The rows to judge, and those to compare them with.
struct Seen {
    /// The model's predictions for the new rows.
    matrix: ConfusionMatrix,
    before: Sample,
    new: Sample,
}

/// Reads `dataset` once.
fn seen(
    context: &Context,
    model: &Model,
    dataset: &DatasetRecord,
    new: &RowRanges,
    trained: &RowRanges,
) -> Result<Seen> {
    let config = &context.config;
    let options = config.ingestion.without_line_limit();
    let reader = RowReader::labelled(&model.schema, &options)
        .on_threads(config.limits.threads)
        .without_hashes()
        .without_digest();
    let predictor = Predictor::new(model);
    let mut matrix = ConfusionMatrix::default();
    let sample =
        || SampleBuilder::new(&model.schema, config.training.seed).with_ages(&model.encoder);
    let (mut of_before, mut of_new) = (sample(), sample());
    let mut next = 0_u64;
    reader.read(dataset.location.as_path(), |table| {
        let first = next;
        next += table.len() as u64;
        let is_new = |i: usize| new.has(first + i as u64);
        of_before.add(table, |i| trained.has(first + i as u64) && !is_new(i));
        if new.meets(&(first..next)) {
            of_new.add(table, is_new);
            let answers = predictor.predict(table).rows;
            let pairs = (0..table.len())
                .filter(|i| is_new(*i))
                .filter_map(|i| answers[i].map(|p| (table.labels[i], p.positive)));
            matrix += ConfusionMatrix::from_pairs(pairs);
        }
        Ok(())
    })?;
    Ok(Seen { matrix, before: of_before.finish(), new: of_new.finish() })
}
