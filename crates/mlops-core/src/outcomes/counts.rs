//! What labels say that were sent and are not joined yet: how many are new, change what is known, or have no
//! prediction.
//!
//! Counted against the store, and against what waits to be joined: labels that were sent before, and the newest lines of
//! the log. Nothing is written. Not for the counts of all labels: see [`super::figures`].

use std::collections::{HashMap, HashSet};

use rusqlite::OptionalExtension as _;
use serde::Serialize;

use super::join::{self, ALWAYS, Label};
use super::store::Store;
use crate::Result;

/// What became of the labels of a batch; each is counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// The first ones of their predictions.
    pub new: u64,
    /// They say something else than what was known of their predictions.
    pub changed: u64,
    /// They say what was known.
    pub unchanged: u64,
    /// No prediction belongs to them yet.
    pub unknown: u64,
    /// They say what an earlier row of the same batch says.
    pub doubled: u64,
}

/// A label as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sent {
    /// What it is joined by.
    pub key: String,
    /// The time until which predictions have it, in milliseconds since 1970; `None` for all.
    pub time: Option<i64>,
    /// The positive label.
    pub positive: bool,
}

/// What is known of the keys of a batch.
#[derive(Debug)]
pub struct Counter<'a> {
    store: Option<&'a Store>,
    wanted: HashSet<&'a str>,
    labels: HashMap<&'a str, Vec<Label>>,
    /// When the first prediction was made that waits.
    predicted: HashMap<&'a str, i64>,
    seq: i64,
}

impl<'a> Counter<'a> {
    /// What `store` knows of the keys of `batch`.
    pub fn new(store: Option<&'a Store>, batch: &'a [Sent]) -> Self {
        let wanted = batch.iter().map(|sent| sent.key.as_str()).collect();
        // Later than any in the store.
        let seq = i64::MAX / 2;
        Self { store, wanted, labels: HashMap::new(), predicted: HashMap::new(), seq }
    }

    /// A prediction waits that was made at `at`, in milliseconds since 1970.
    pub fn predicted(&mut self, key: &str, at: i64) {
        if let Some(key) = self.wanted.get(key) {
            let first = self.predicted.entry(key).or_insert(at);
            *first = at.min(*first);
        }
    }

    /// A label waits; in the order in which they came.
    pub fn waits(&mut self, sent: &Sent) {
        if let Some(key) = self.wanted.get(sent.key.as_str()) {
            self.seq += 1;
            let label = label(sent, self.seq);
            self.labels.entry(key).or_default().push(label);
        }
    }

    /// The counts of `batch`, which is that of [`Self::new`].
    ///
    /// # Errors
    /// `Conflict` if the store is damaged.
    pub fn count(mut self, batch: &'a [Sent]) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut rows = HashSet::new();
        for sent in batch {
            if !rows.insert(sent) {
                counts.doubled += 1;
                continue;
            }
            let mut labels = match self.store {
                Some(store) => store.labels(&sent.key)?,
                None => Vec::new(),
            };
            labels.extend(self.labels.get(sent.key.as_str()).into_iter().flatten());
            let time = sent.time.unwrap_or(ALWAYS);
            let first = self.predicted.get(sent.key.as_str()).copied();
            let first = first.into_iter().chain(self.first_in_store(&sent.key)?).min();
            if first.is_none_or(|at| at > time) {
                counts.unknown += 1;
            } else if join::is_known(&labels, time, sent.positive) {
                counts.unchanged += 1;
            } else if labels.is_empty() {
                counts.new += 1;
            } else {
                counts.changed += 1;
            }
            self.waits(sent);
        }
        Ok(counts)
    }

    /// When the first prediction of `key` was made that is joined.
    fn first_in_store(&self, key: &str) -> Result<Option<i64>> {
        let Some(store) = self.store else { return Ok(None) };
        store.query(|db| {
            let sql = "SELECT min(at) FROM predictions WHERE key = ?1";
            let found = db.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?;
            Ok(found.flatten())
        })
    }
}

fn label(sent: &Sent, seq: i64) -> Label {
    Label { time: sent.time.unwrap_or(ALWAYS), known: 0, seq, positive: sent.positive }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(key: &str, time: Option<i64>, positive: bool) -> Sent {
        Sent { key: key.to_owned(), time, positive }
    }

    #[test]
    fn each_label_is_counted_once_against_what_was_known_before_it() {
        let batch = [
            sent("a", None, true),
            sent("a", None, true),
            sent("a", None, false),
            sent("b", None, true),
            sent("b", None, false),
            sent("nobody", None, true),
            sent("late", Some(5), true),
        ];
        let mut counter = Counter::new(None, &batch);
        for (key, at) in [("a", 3), ("b", 9), ("late", 6), ("other", 1)] {
            counter.predicted(key, at);
        }
        counter.waits(&sent("b", None, true));
        let counts = counter.count(&batch).unwrap();
        let expected = Counts { new: 1, changed: 2, unchanged: 1, unknown: 2, doubled: 1 };
        assert_eq!(counts, expected);
        // A label of an earlier time changes nothing if it says what was known of that time.
        let batch = [sent("a", Some(5), true), sent("a", Some(9), false)];
        let mut counter = Counter::new(None, &batch);
        counter.predicted("a", 1);
        for label in &batch {
            counter.waits(label);
        }
        assert_eq!(counter.count(&batch).unwrap(), Counts { unchanged: 2, ..Counts::default() });
    }
}
