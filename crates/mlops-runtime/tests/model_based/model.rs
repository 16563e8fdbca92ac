//! What the product promises about files and rows, as a model of a few sets.
//!
//! A file counts with the last content of it that could be taken. One that was removed keeps
//! counting, unless its content is there under another name: then it was renamed. A data set is what
//! the contents that count consist of: each row once where rows have ids, as often as it occurs
//! where they have none. Not for what is on record: see [`super::invariants`].

use std::collections::{BTreeMap, BTreeSet};

use mlops_core::platform::digest::Digest;

use crate::content::{Content, Row, Worth};

/// The number of a content.
pub(crate) type Id = usize;
/// Where a file is, from the workspace on.
pub(crate) type Place = String;
/// Rows with the number of their occurrences.
pub(crate) type Rows = BTreeMap<Row, u64>;

/// All that is known of source files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    with_ids: bool,
    /// `ingestion.on_change` is `append`.
    appends: bool,
    contents: Vec<Content>,
    digests: Vec<String>,
    /// What lies where.
    pub(crate) disk: BTreeMap<Place, Id>,
    /// What was on record at the end of the last ingestion.
    pub(crate) state: State,
}

/// What an ingestion leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The content with which each file counts.
    pub(crate) counts: BTreeMap<Place, Id>,
    /// Contents that stay although their file has another one now.
    pub(crate) appended: BTreeSet<Id>,
    /// Files that any ingestion ever saw.
    pub(crate) known: BTreeSet<Place>,
    /// Rows of a content that may be missing: the file is gone, and they had been dropped as
    /// duplicates of rows that have left since.
    pub(crate) doubts: BTreeMap<Id, BTreeSet<Row>>,
}

impl State {
    /// The contents that count.
    pub(crate) fn contents(&self) -> BTreeSet<Id> {
        self.counts.values().chain(&self.appended).copied().collect()
    }
}

impl Model {
    pub(crate) fn new(with_ids: bool, appends: bool) -> Self {
        Self { with_ids, appends, ..Self::default() }
    }

    /// The number of a content.
    pub(crate) fn number(&mut self, content: Content) -> Id {
        let known = self.contents.iter().position(|known| known.text == content.text);
        known.unwrap_or_else(|| {
            self.digests.push(Digest::of(content.text.as_bytes()).to_string());
            self.contents.push(content);
            self.contents.len() - 1
        })
    }

    pub(crate) fn content(&self, id: Id) -> &Content {
        &self.contents[id]
    }

    pub(crate) fn how_many(&self) -> usize {
        self.contents.len()
    }

    /// The content with this SHA-256.
    pub(crate) fn by_digest(&self, sha256: &str) -> Option<Id> {
        self.digests.iter().position(|digest| digest == sha256)
    }

    fn has_rows(&self, id: Id) -> bool {
        matches!(self.contents[id].worth, Worth::Rows(..))
    }

    fn rows(&self, id: Id) -> &[Row] {
        match &self.contents[id].worth {
            Worth::Rows(rows, _) => rows,
            Worth::HeaderOnly | Worth::Refused => &[],
        }
    }

    /// Whether content `id` lies anywhere.
    pub(crate) fn is_there(&self, id: Id) -> bool {
        self.disk.values().any(|other| *other == id)
    }

    /// What an ingestion of `folder` leaves.
    pub(crate) fn ingested(&self, folder: &str) -> State {
        let before = &self.state;
        let mut after = before.clone();
        let inside = |place: &&Place| place.starts_with(folder);
        for (place, id) in self.disk.iter().filter(|(place, _)| inside(place)) {
            after.known.insert(place.clone());
            if self.has_rows(*id) {
                let old = after.counts.insert(place.clone(), *id);
                after.appended.extend(old.filter(|old| self.appends && old != id));
            }
        }
        // What is gone and lies elsewhere was renamed.
        let there: BTreeSet<Id> = after
            .counts
            .iter()
            .filter(|(p, _)| self.disk.contains_key(*p))
            .map(|(_, id)| *id)
            .collect();
        after.counts.retain(|place, id| self.disk.contains_key(place) || !there.contains(id));
        self.doubt(before, &mut after);
        after
    }

    /// Notes which rows may be missing in `after`.
    fn doubt(&self, before: &State, after: &mut State) {
        let (old, new) = (before.contents(), after.contents());
        let left: BTreeSet<&Row> = old.difference(&new).flat_map(|id| self.rows(*id)).collect();
        let anew = old.difference(&new).next().is_some();
        if anew {
            after.doubts.retain(|id, _| !self.is_there(*id));
        }
        for id in new.iter().filter(|id| !self.is_there(**id)) {
            // Of two files with one content one is gone and the other changed: renamed, or not?
            let twins = before.counts.iter().filter(|(_, other)| *other == id);
            let (gone, there): (Vec<_>, Vec<_>) =
                twins.partition(|(place, _)| !self.disk.contains_key(*place));
            if !gone.is_empty() && !there.is_empty() {
                after.doubts.entry(*id).or_default().extend(self.rows(*id).iter().cloned());
            } else if anew && self.with_ids {
                let dropped = self.rows(*id).iter().filter(|row| left.contains(row)).cloned();
                let dropped: Vec<Row> = dropped.collect();
                after.doubts.entry(*id).or_default().extend(dropped);
            }
        }
        after.doubts.retain(|id, rows| new.contains(id) && !rows.is_empty());
    }

    /// What a rebuild leaves: everything that lies in `folder` or was ever seen.
    pub(crate) fn rebuilt(&self, folder: &str) -> State {
        let mut after = State { known: self.state.known.clone(), ..State::default() };
        for (place, id) in &self.disk {
            if !place.starts_with(folder) && !after.known.contains(place) {
                continue;
            }
            after.known.insert(place.clone());
            if self.has_rows(*id) {
                after.counts.insert(place.clone(), *id);
            }
        }
        after
    }

    /// The contents of which a rebuild of `folder` would lose rows.
    pub(crate) fn lost_by_rebuild(&self, folder: &str) -> BTreeSet<Id> {
        let after = self.rebuilt(folder);
        let contents = after.contents();
        let lost = |(place, id): &(&Place, &Id)| {
            !contents.contains(id) && !after.counts.contains_key(*place)
        };
        let mut ids: BTreeSet<Id> =
            self.state.counts.iter().filter(lost).map(|(_, id)| *id).collect();
        ids.extend(self.state.appended.difference(&contents));
        ids
    }

    /// The rows that a data set must have and those that it may have.
    pub(crate) fn expected(&self, state: &State) -> (Rows, Rows) {
        let (mut must, mut may) = (Rows::new(), Rows::new());
        let add = |rows: &mut Rows, row: &Row| {
            let times = rows.entry(row.clone()).or_default();
            *times = if self.with_ids { 1 } else { *times + 1 };
        };
        for id in state.contents() {
            let doubts = state.doubts.get(&id);
            for row in self.rows(id) {
                add(&mut may, row);
                if doubts.is_none_or(|doubts| !doubts.contains(row)) {
                    add(&mut must, row);
                }
            }
        }
        (must, may)
    }

    /// Rows that were read in content `id`, and those of them that cannot be taken.
    pub(crate) fn counted(&self, id: Id) -> Option<(u64, u64)> {
        match &self.contents[id].worth {
            Worth::Rows(rows, bad) => Some((rows.len() as u64 + bad, *bad)),
            Worth::HeaderOnly | Worth::Refused => None,
        }
    }
}
