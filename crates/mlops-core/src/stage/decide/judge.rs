//! The live model on the rows that no decision was made on yet: does it still predict as well, and do
//! the rows still look like those that it was trained on?
//!
//! Not for what follows from the answers: see [`super`].

use crate::Result;
use crate::context::{Context, Workspace};
use crate::dataset::RowReader;
use crate::drift::{
    DataDrift, Deployed, ModelDrift, Past, Reference, Sample, SampleBuilder, data_drift,
    model_drift,
};
use crate::ledger::{Action, DatasetRecord};
use crate::metrics::ConfusionMatrix;
use crate::model::{Model, Predictor};
use crate::store::{Release, SCORE, parse};

use super::super::fresh::Rows;
use super::super::score::Score;

/// Judges `live` on the rows `new` of `dataset`; `trained` are those that it learned from, where that
/// can be told.
pub(super) fn judge(
    context: &Context,
    workspace: &Workspace,
    live: &Release,
    dataset: &DatasetRecord,
    new: &Rows,
    trained: Option<&Rows>,
) -> Result<(ModelDrift, Option<DataDrift>)> {
    let config = &context.config;
    let nothing = Rows::default();
    let trained = trained.unwrap_or(&nothing);
    let Seen { matrix, before, new } = seen(context, &live.model, dataset, new, trained)?;
    let score: Score = parse(&live.folder.join(SCORE))?;
    let deployed =
        Deployed { f1: score.evaluation.f1, matrix: Some(score.evaluation.confusion_matrix) };
    let history = history(workspace)?;
    let batches = workspace.ledger.judged_batches(live.id.as_str())?;
    let past = Past { deployed: &deployed, history: &history, batches };
    let drift = config.drift;
    let model = model_drift(&past, &matrix, drift.rule, drift.min_rows, config.training.seed);
    let data = if before.rows() == 0 || new.rows() == 0 || model.drifted.is_none() {
        None
    } else {
        let verdict = data_drift(&Reference::of(&before), &new, drift.alpha)?;
        Some(verdict.with_exact_kolmogorov_smirnov(&before, &new))
    };
    Ok((model, data))
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

/// The rows to judge, and those to hold them against.
struct Seen {
    /// The model's hits and misses on the new ones.
    matrix: ConfusionMatrix,
    before: Sample,
    new: Sample,
}

/// Reads `dataset` once.
fn seen(
    context: &Context,
    model: &Model,
    dataset: &DatasetRecord,
    new: &Rows,
    trained: &Rows,
) -> Result<Seen> {
    let config = &context.config;
    let options = config.ingestion.without_line_limit();
    let reader = RowReader::labelled(&model.schema, &options)
        .on_threads(config.limits.threads)
        .without_hashes()
        .without_digest();
    let predictor = Predictor::new(model);
    let mut matrix = ConfusionMatrix::default();
    let mut of_before = SampleBuilder::new(&model.schema, config.training.seed);
    let mut of_new = SampleBuilder::new(&model.schema, config.training.seed);
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
