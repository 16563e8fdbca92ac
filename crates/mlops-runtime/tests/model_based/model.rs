//! What the product promises about files and rows, as a model of a few sets.
//!
//! A file counts with the last content of it that could be taken, by its name. A content stays until
//! the last file that counts with it and is there gets another one: so a file that was removed keeps
//! its rows, and one that was renamed takes them along. A data set is what the contents that are in
//! consist of: each row once where rows have ids, as often as it occurs where they have none. Not for
//! what is on record: see [`super::invariants`].

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
    /// People who were erased: of their rows none is in.
    pub(crate) forgotten: BTreeSet<String>,
    /// What lies where.
    pub(crate) disk: BTreeMap<Place, Id>,
    /// What was on record at the end of the last ingestion.
    pub(crate) state: State,
}

/// What an ingestion leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The contents that are in.
    pub(crate) contents: BTreeSet<Id>,
    /// The content with which each name counts.
    pub(crate) claims: BTreeMap<Place, Id>,
    /// Files that any ingestion ever saw.
    pub(crate) known: BTreeSet<Place>,
    /// Rows of a content that may be missing: the file is gone, and they had been dropped as
    /// duplicates of rows that have left since.
    pub(crate) doubts: BTreeMap<Id, BTreeSet<Row>>,
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

    /// Whether content `id` is a header alone, which says that there are no rows any more.
    fn is_header_only(&self, id: Id) -> bool {
        matches!(self.contents[id].worth, Worth::HeaderOnly)
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
        let mut after = self.state.clone();
        let mut left = BTreeSet::new();
        for (place, id) in self.disk.iter().filter(|(place, _)| place.starts_with(folder)) {
            after.known.insert(place.clone());
            if self.has_rows(*id) {
                let old = after.claims.insert(place.clone(), *id);
                left.extend(old.filter(|old| old != id && !self.appends));
                after.contents.insert(*id);
            } else if self.is_header_only(*id) && !self.appends {
                left.extend(after.claims.remove(place));
            }
        }
        for (place, id) in &after.claims {
            if self.disk.contains_key(place) {
                left.remove(id);
            }
        }
        after.contents.retain(|id| !left.contains(id));
        self.doubt(&mut after);
        after
    }

    /// Notes which rows may be missing in `after`.
    fn doubt(&self, after: &mut State) {
        let lost = self.state.contents.difference(&after.contents);
        let lost: BTreeSet<&Row> = lost.flat_map(|id| self.rows(*id)).collect();
        if !lost.is_empty() {
            // All is read again that is there.
            after.doubts.retain(|id, _| !self.is_there(*id));
            if self.with_ids {
                for id in after.contents.iter().filter(|id| !self.is_there(**id)) {
                    let rows = self.rows(*id).iter().filter(|row| lost.contains(row)).cloned();
                    after.doubts.entry(*id).or_default().extend(rows);
                }
            }
        }
        let State { contents, doubts, .. } = after;
        doubts.retain(|id, rows| contents.contains(id) && !rows.is_empty());
    }

    /// What a rebuild leaves: everything that lies in `folder` or was ever seen.
    pub(crate) fn rebuilt(&self, folder: &str) -> State {
        let State { claims, known, .. } = self.state.clone();
        let mut after = State { claims, known, ..State::default() };
        for (place, id) in &self.disk {
            if !place.starts_with(folder) && !after.known.contains(place) {
                continue;
            }
            after.known.insert(place.clone());
            if self.has_rows(*id) {
                after.claims.insert(place.clone(), *id);
                after.contents.insert(*id);
            } else if self.is_header_only(*id) && !self.appends {
                after.claims.remove(place);
            }
        }
        after
    }

    /// The contents that a rebuild of `folder` would lose. One whose file has another content now is
    /// not lost, unless old contents are to stay.
    pub(crate) fn lost_by_rebuild(&self, folder: &str) -> BTreeSet<Id> {
        let after = self.rebuilt(folder);
        let replaced = |id: &Id| {
            let changed = |(place, old): (&Place, &Id)| {
                old == id
                    && self
                        .disk
                        .get(place)
                        .is_some_and(|now| self.has_rows(*now) || self.is_header_only(*now))
                    && after.known.contains(place)
            };
            !self.appends && self.state.claims.iter().any(changed)
        };
        self.state
            .contents
            .difference(&after.contents)
            .copied()
            .filter(|id| !replaced(id))
            .collect()
    }

    /// The rows that a data set must have and those that it may have.
    pub(crate) fn expected(&self, state: &State) -> (Rows, Rows) {
        let (mut must, mut may) = (Rows::new(), Rows::new());
        let add = |rows: &mut Rows, row: &Row| {
            let times = rows.entry(row.clone()).or_default();
            *times = if self.with_ids { 1 } else { *times + 1 };
        };
        for id in &state.contents {
            let doubts = state.doubts.get(id);
            let there = |row: &&Row| !self.with_ids || !self.forgotten.contains(&row[0]);
            for row in self.rows(*id).iter().filter(there) {
                add(&mut may, row);
                if doubts.is_none_or(|doubts| !doubts.contains(row)) {
                    add(&mut must, row);
                }
            }
        }
        (must, may)
    }

    /// The rows of these contents.
    pub(crate) fn rows_of(&self, contents: impl Iterator<Item = Id>) -> Rows {
        let mut rows = Rows::new();
        for row in contents.flat_map(|id| self.rows(id)) {
            *rows.entry(row.clone()).or_default() += 1;
        }
        rows
    }

    /// Rows that were read in content `id`, and those of them that cannot be taken.
    pub(crate) fn counted(&self, id: Id) -> Option<(u64, u64)> {
        match &self.contents[id].worth {
            Worth::Rows(rows, bad) => Some((rows.len() as u64 + bad, *bad)),
            Worth::HeaderOnly | Worth::Refused => None,
        }
    }
}
