//! The answers of models for batches of test rows, together with the entities of these rows and the values
//! of the columns by which scores are broken down.
//!
//! Which rows are tested is decided in [`super::tested`].

use std::path::Path;

use crate::config::Config;
use crate::evaluation::entity::{Entities, Identity};
use crate::model::{Model, Predictor};
use crate::run::context::Context;
use crate::table::{Table, TextColumn};

use super::slice_columns::SliceColumns;

/// What is looked at in test rows besides the labels.
pub(super) struct Look<'a> {
    /// The models that predict them.
    pub(super) models: &'a [&'a Model],
    /// What tells their entities, if that matters.
    grouped: Option<Entities>,
    /// Rows have ids that are not looked at, since the test data are too large.
    unlooked: bool,
    /// The columns by whose values scores are given too.
    pub(super) columns: SliceColumns,
}

impl<'a> Look<'a> {
    /// What the configuration asks for, of the test data in `paths`; all models have the schema of `first`.
    pub(super) fn of<'p>(
        context: &Context,
        models: &'a [&'a Model],
        first: &Model,
        paths: impl Iterator<Item = &'p Path>,
    ) -> Self {
        let columns = SliceColumns::of(&context.config.slices, &first.schema);
        let (grouped, unlooked) = entities_in(context, first, paths);
        Self { models, grouped, unlooked, columns }
    }

    /// The same on another machine, which is told whether entities are looked at.
    pub(super) fn there(
        config: &Config,
        models: &'a [&'a Model],
        first: &Model,
        grouped: bool,
    ) -> Self {
        let columns = SliceColumns::of(&config.slices, &first.schema);
        let identity = Identity::of(&config.holdout, &first.schema);
        let grouped = grouped.then(|| identity.hasher(&first.schema, config.training.seed));
        Self { models, grouped: grouped.flatten(), unlooked: false, columns }
    }

    /// Whether entities are looked at.
    pub(super) fn is_grouped(&self) -> bool {
        self.grouped.is_some()
    }

    /// What follows for intervals if ids are not looked at.
    pub(super) fn note(&self) -> Option<String> {
        self.unlooked.then(|| {
            format!(
                "the test data have more than {} MiB, so that rows with the same id count as independent in \
                 all intervals, which are too narrow if there are many; name what identifies an entity in \
                 \"holdout.group\", and intervals allow for it",
                LOOKED_AT >> 20
            )
        })
    }

    /// Whether rows must be read with their ids.
    pub(super) fn needs_ids(&self) -> bool {
        self.grouped.is_some() || self.columns.need_ids()
    }
}

/// In larger test data, rows count as independent unless the configuration names their entities: to
/// sort a million rows by their ids takes several times as long as to score them.
const LOOKED_AT: u64 = 8 << 20;

/// What tells the entities of the test rows in `paths`; `None` if every row stands for itself, or
/// they are not looked at, which is the second part.
fn entities_in<'a>(
    context: &Context,
    model: &Model,
    paths: impl Iterator<Item = &'a Path>,
) -> (Option<Entities>, bool) {
    let config = &context.config;
    let identity = Identity::of(&config.holdout, &model.schema);
    if !matches!(identity, Identity::Columns(_)) {
        return (None, false);
    }
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let looked_at = config.holdout.group.is_some() || paths.map(size).sum::<u64>() <= LOOKED_AT;
    // Only equality counts, for which any key will do.
    let entities = || identity.hasher(&model.schema, config.training.seed);
    if looked_at { (entities(), false) } else { (None, true) }
}

/// Predictions of several models for the rows of a batch.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) labels: Vec<bool>,
    pub(super) probabilities: Vec<Vec<f64>>,
    pub(super) entities: Vec<u128>,
    pub(super) left_out: u64,
    pub(super) unanswered: u64,
    /// The values of the columns of slices.
    pub(super) slices: Vec<TextColumn>,
}

impl Answers {
    /// Answers for `table`, of which the rows that `leaks` marks are left out.
    pub(super) fn fill(
        &mut self,
        look: &Look<'_>,
        table: &mut Table,
        leaks: impl Fn(&Table, &mut [bool]),
    ) {
        let Look { models, grouped, columns, .. } = look;
        let rows = table.len();
        let mut out = vec![false; rows];
        leaks(table, &mut out);
        table.retain(|i| !out[i]);
        self.left_out = (rows - table.len()) as u64;
        self.probabilities.resize_with(models.len(), Vec::new);
        for (model, probabilities) in models.iter().zip(&mut self.probabilities) {
            Predictor::new(model).probabilities(table, probabilities);
        }
        self.labels.clone_from(&table.labels);
        self.entities.clear();
        if let Some(grouped) = grouped {
            grouped.of(table, &mut self.entities);
        }
        let lists = &mut self.probabilities;
        self.unanswered = 0;
        let mut kept = None;
        if lists.iter().any(|list| list.iter().any(|p| p.is_nan())) {
            let answered = |i: &usize| lists.iter().all(|list| !list[*i].is_nan());
            let answered: Vec<usize> = (0..table.len()).filter(answered).collect();
            self.unanswered = (table.len() - answered.len()) as u64;
            self.labels = answered.iter().map(|i| table.labels[*i]).collect();
            if grouped.is_some() {
                self.entities = answered.iter().map(|i| self.entities[*i]).collect();
            }
            for list in lists {
                *list = answered.iter().map(|i| list[*i]).collect();
            }
            kept = Some(answered);
        }
        if !columns.is_empty() {
            let kept = kept.unwrap_or_else(|| (0..table.len()).collect());
            self.slices = columns.values(table, &kept);
        }
    }
}
