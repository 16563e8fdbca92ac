//! Decides whether a test file was cut from the training data, if rows have no ids: rows of the file that
//! equal training rows may be the same rows, or different ones with equal values.
//!
//! One equal row proves nothing, but their number does. A row from elsewhere equals a training row as
//! often as one training row equals another; if more rows of a file do than chance explains, the file was
//! cut from the training data. Rows are left out in [`super::excluded_rows`].

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::path::Path;

use crate::Result;
use crate::csv::reader::{RowReader, Taken};
use crate::evaluation::entity::{Identity, Members};
use crate::run::context::Context;
use crate::run::test_files::TestFile;
use crate::table::schema::Schema;
use crate::text;

use super::new_rows::RowRanges;

/// The chance below which equal rows are no accident.
const NO_ACCIDENT: f64 = 0.001;
/// Kinds of rows that are counted: enough to know the share of look-alikes within a hundredth.
const KINDS: usize = 1 << 17;

/// What a test file and the training rows have in common.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Overlap {
    /// Rows of the test file.
    rows: u64,
    /// Those that equal a training row, each of which counts for one.
    found: u64,
    /// The share that would do so by chance.
    by_chance: f64,
    /// Which they are.
    pub(crate) members: Members,
}

impl Overlap {
    /// Whether chance does not explain it.
    pub(crate) fn is_no_accident(&self) -> bool {
        let (share, chance) = (self.found as f64 / self.rows.max(1) as f64, self.by_chance);
        let part = |of: f64, by: f64| if of > 0.0 { of * (of / by).ln() } else { 0.0 };
        // Chernoff's bound of the binomial tail.
        let exponent = part(share, chance) + part(1.0 - share, 1.0 - chance);
        share > chance && self.rows as f64 * exponent > -NO_ACCIDENT.ln()
    }

    /// What there is to say of the file `name`.
    pub(crate) fn note(&self, name: &str) -> Option<String> {
        if self.found == 0 {
            return None;
        }
        let name = text::name(name);
        Some(if self.is_no_accident() {
            format!(
                "{} of the {} of {name} {}, where chance explains {:.0}: as many training rows are \
                 left out",
                text::count(self.found),
                text::plural(self.rows, "row"),
                if self.found == 1 { "equals a training row" } else { "equal training rows" },
                self.by_chance * self.rows as f64
            )
        } else {
            format!(
                "the rows have no id, and no more of them look like one of {name} than chance explains: \
                 they stay in the training data"
            )
        })
    }
}

/// How often each kind of row comes; of very many kinds, a random part is counted.
#[derive(Default)]
struct Kinds {
    rows: HashMap<u128, u32, BuildHasherDefault<Taken>>,
    mask: u64,
}

impl Kinds {
    fn add(&mut self, row: u128) {
        // The low bits choose the place in the map.
        let counted = |row: u128, mask: u64| (row >> 64) as u64 & mask == 0;
        if !counted(row, self.mask) {
            return;
        }
        let times = self.rows.entry(row).or_default();
        *times = times.saturating_add(1);
        while self.rows.len() > KINDS {
            self.mask = self.mask << 1 | 1;
            self.rows.retain(|row, _| counted(*row, self.mask));
        }
    }

    /// The share of rows that equal another one, never quite none or all.
    fn share(&self) -> f64 {
        let all: f64 = self.rows.values().map(|times| f64::from(*times)).sum();
        let alone = self.rows.values().filter(|times| **times == 1).count() as f64;
        (all - alone + 1.0) / (all + 2.0)
    }
}

/// What each of `files` has in common with the rows `trained` of the data set at `path`, or with all.
pub(crate) fn overlaps(
    context: &Context,
    schema: &Schema,
    key: u64,
    files: &[&TestFile],
    path: &Path,
    trained: Option<&RowRanges>,
) -> Result<Vec<Overlap>> {
    let Some(entities) = Identity::LookAlikes.hasher(schema, key) else { return Ok(Vec::new()) };
    let options = context.config.ingestion.without_line_limit();
    let config = &context.config;
    let reader = RowReader::entities(schema, &options, config.limits.threads).of_sources(config);
    let mut hashes = Vec::new();
    let mut tests = Vec::new();
    let mut wanted: HashMap<u128, u32, BuildHasherDefault<Taken>> = HashMap::default();
    for file in files {
        let mut members = Members::default();
        reader.read(&file.path, |table| {
            entities.of(table, &mut hashes);
            for hash in &hashes {
                members.add(*hash);
                wanted.insert(*hash, 0);
            }
            Ok(())
        })?;
        tests.push(members);
    }
    let mut kinds = Kinds::default();
    let mut next = 0;
    reader.read(path, |table| {
        entities.of(table, &mut hashes);
        for hash in &hashes {
            let row = next;
            next += 1;
            if trained.is_some_and(|rows| !rows.has(row)) {
                continue;
            }
            kinds.add(*hash);
            if let Some(times) = wanted.get_mut(hash) {
                *times = times.saturating_add(1);
            }
        }
        Ok(())
    })?;
    let by_chance = kinds.share();
    let overlap = |mut members: Members| {
        let sum = |members: &Members| members.0.values().map(|times| u64::from(*times)).sum();
        let rows = sum(&members);
        for (row, times) in &mut members.0 {
            *times = (*times).min(wanted.get(row).copied().unwrap_or(0));
        }
        members.0.retain(|_, times| *times > 0);
        Overlap { rows, found: sum(&members), by_chance, members }
    };
    Ok(tests.into_iter().map(overlap).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(rows: u64, found: u64, by_chance: f64) -> Overlap {
        Overlap { rows, found, by_chance, members: Members::default() }
    }

    #[test]
    fn what_chance_explains_is_an_accident() {
        assert!(overlap(100, 100, 0.01).is_no_accident());
        assert!(overlap(100, 60, 0.3).is_no_accident());
        assert!(!overlap(100, 40, 0.3).is_no_accident());
        assert!(!overlap(100, 100, 0.998).is_no_accident());
        assert!(!overlap(0, 0, 0.5).is_no_accident());
        assert!(overlap(100, 0, 0.01).note("t.csv").is_none());
        let said = overlap(100, 100, 0.01).note("t.csv").unwrap();
        assert!(said.starts_with("100 of the 100 rows of t.csv equal"), "{said}");
        let said = overlap(100, 100, 0.998).note("t.csv").unwrap();
        assert!(said.contains("than chance explains"), "{said}");
    }

    #[test]
    fn the_share_of_look_alikes_is_the_same_among_few_kinds_and_very_many() {
        let mut kinds = Kinds::default();
        let hash = |i: u64| xxhash_rust::xxh3::xxh3_128(&i.to_le_bytes());
        // A quarter of the kinds come twice: two fifths of the rows.
        for i in 0..400_000 {
            kinds.add(hash(i));
            if i % 4 == 0 {
                kinds.add(hash(i));
            }
        }
        assert!(kinds.rows.len() <= KINDS && kinds.mask > 0);
        assert!((kinds.share() - 0.4).abs() < 0.01, "{}", kinds.share());
    }
}
