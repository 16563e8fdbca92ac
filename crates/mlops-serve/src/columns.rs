//! Finds the place for the value of a named column.
//!
//! Not for the values: see `predict::rows`.

use mlops_core::model::Model;
use mlops_core::table::schema::Role;

/// The place of a column's values in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// An id.
    Id(usize),
    /// A number; `fills` says whether the model imputes a missing one, or has a bin for it.
    Numeric { index: usize, fills: bool },
    /// A date, whose number of days stands among the numbers; likewise.
    Date { index: usize, fills: bool },
    /// A category; likewise.
    Categorical { index: usize, fills: bool },
    /// The label.
    Target,
}

/// The columns of a model, searchable by name.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    /// In schema order.
    list: Vec<(String, Slot)>,
    /// Their names as JSON has them.
    quoted: Vec<String>,
    /// Indices of `list`, sorted by name.
    sorted: Vec<usize>,
}

impl Columns {
    pub(crate) fn of(model: &Model) -> Self {
        let (mut ids, mut numeric, mut categorical) = (0, 0, 0);
        let slot = |role| match role {
            Role::Id => {
                ids += 1;
                Slot::Id(ids - 1)
            }
            Role::Numeric => {
                numeric += 1;
                let fills = model.encoder.numeric[numeric - 1].takes_missing();
                Slot::Numeric { index: numeric - 1, fills }
            }
            Role::Date => {
                numeric += 1;
                let at = numeric - 1 - model.encoder.numeric.len();
                let fills = model.encoder.dates[at].fill.is_some();
                Slot::Date { index: numeric - 1, fills }
            }
            Role::Categorical => {
                categorical += 1;
                let fills = model.encoder.categorical[categorical - 1].takes_missing();
                Slot::Categorical { index: categorical - 1, fills }
            }
            Role::Target => Slot::Target,
        };
        let columns = model.schema.columns();
        let slots: Vec<Slot> = columns.iter().map(|c| c.role).map(slot).collect();
        let list: Vec<_> = columns.iter().map(|c| c.name.clone()).zip(slots).collect();
        let mut sorted: Vec<usize> = (0..list.len()).collect();
        sorted.sort_by(|a, b| list[*a].0.cmp(&list[*b].0));
        let quoted =
            list.iter().map(|(name, _)| serde_json::Value::from(name.as_str()).to_string());
        Self { quoted: quoted.collect(), list, sorted }
    }

    /// Number of columns.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The name of column `c`.
    pub(crate) fn name(&self, c: usize) -> &str {
        &self.list[c].0
    }

    /// The name of column `c` as JSON has it, in quotation marks.
    pub(crate) fn quoted(&self, c: usize) -> &str {
        &self.quoted[c]
    }

    /// The place of column `c`.
    pub(crate) fn slot(&self, c: usize) -> Slot {
        self.list[c].1
    }

    /// All columns, in schema order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Slot)> {
        self.list.iter().map(|(name, slot)| (name.as_str(), *slot))
    }

    /// The features, in schema order.
    pub(crate) fn features(&self) -> impl Iterator<Item = (&str, Slot)> {
        self.iter().filter(|(_, s)| !matches!(s, Slot::Id(_) | Slot::Target))
    }

    /// The column with the name `name`; column `guess` is tried first.
    pub(crate) fn find(&self, name: &str, guess: usize) -> Option<usize> {
        if self.list.get(guess).is_some_and(|(n, _)| n == name) {
            return Some(guess);
        }
        let found = self.sorted.binary_search_by(|c| self.list[*c].0.as_str().cmp(name));
        found.ok().map(|at| self.sorted[at])
    }
}
