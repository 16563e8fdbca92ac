//! The section `holdout`: which rows are set aside for testing.
//!
//! Not for drawing them: see `stage::holdout`.

use serde::{Deserialize, Serialize};

use super::ingestion::{Ingestion, Latest};
use super::section::Section;
use crate::table::schema::{Role, Schema};

/// How `fullprocess` sets aside rows that no model is trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holdout {
    /// Share of the new entities of each class that is held out.
    pub share: f64,
    /// Smallest number of rows for a test; a smaller hold-out is extended by earlier ones and by
    /// the user's own test rows.
    pub min_rows: u64,
    /// Columns that identify the entity of a row: what users call a group is an entity in the code, see
    /// `evaluation::entity`. `None` means the id columns, an empty list that every row is an entity of
    /// its own.
    pub group: Option<Vec<String>>,
    /// The column with the time of a row; if set, the newest rows are held out.
    pub time: Option<String>,
}

impl Default for Holdout {
    fn default() -> Self {
        Self { share: 0.3, min_rows: 100, group: None, time: None }
    }
}

/// Reads the section; the columns `kept` are beside the ids of `schema` and identify nothing.
pub(super) fn holdout(
    mut section: Section,
    schema: &Schema,
    kept: &[String],
    ingestion: &Ingestion,
) -> Holdout {
    let default = Holdout::default();
    let share = section.number("share", &(0.0..=0.9), default.share);
    let min_rows = section.integer("min_rows", &(0..=1_000_000_000), default.min_rows);
    let group = section.texts_or_one("group");
    let time = section.text("time");
    let named = group.iter().flatten().map(|name| ("group", name));
    for (key, name) in named.chain(time.iter().map(|name| ("time", name))) {
        let column = schema.columns().iter().find(|c| c.name == *name);
        if column.is_none_or(|c| c.role == Role::Target) {
            section.problem(
                key,
                &format!(
                    "names the column \"{name}\": name columns of \"schema\" other than the target; \
                     one that is not a feature can stand in \"schema.id\""
                ),
            );
        }
    }
    let ids = || {
        let ids = schema.names(Role::Id).map(str::to_owned);
        ids.filter(|name| !kept.contains(name)).collect::<Vec<_>>()
    };
    if let Some(Latest { key, .. }) = ingestion.latest(schema) {
        let grouped = group.clone().or_else(|| time.is_none().then(ids));
        let within =
            |group: Vec<String>| !group.is_empty() && group.iter().all(|c| key.contains(c));
        // A key that is itself wrong is told of with its own name.
        let known = |name: &String| {
            schema.columns().iter().any(|c| c.name == *name && c.role != Role::Target)
        };
        if !key.is_empty() && key.iter().all(known) && grouped.is_some_and(|group| !within(group)) {
            let instead = serde_json::json!(key);
            let given =
                if group.is_some() { "must" } else { "stands for the id columns, and must" };
            section.problem(
                "group",
                &format!(
                    "{given} name columns of \"ingestion.key\", since \"ingestion.on_change\" is \
                     \"latest\": a model could otherwise be trained on the newer of two rows and tested on \
                     the older one. Set it to {instead}"
                ),
            );
        }
    }
    section.finish();
    let group = match group {
        None if !kept.is_empty() && time.is_none() => Some(ids()),
        group => group,
    };
    Holdout { share, min_rows, group, time }
}
