//! Statistics of columns whose parts were counted apart, as by several machines: a file of counts for each part, and
//! the summary of a column from those of all parts, in little memory.
//!
//! A file has the different values of each column with their counts, ascending, so that those of all parts can be
//! merged as they are read. Not for who counts what: see `stage::diagnose_there`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::categorical::Top;
use super::columns::{ColumnProfile, ColumnSummary, ColumnsProfile, Counts, in_schema_order};
use super::summary::{Runs, summary_of};
use crate::platform::disk::Disk;
use crate::table::schema::Schema;
use crate::{Error, Result};

/// The memory in which the counts of all parts of a column are read.
const ROOM: usize = 32 << 20;
/// The least and the most that is read of a part at once.
const LEAST: usize = 1 << 12;
const MOST: usize = 1 << 18;
/// How much of a file is collected before it is written.
const BLOCK: usize = 1 << 18;

/// The columns of a part, but for the counts in its file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PartOfColumns {
    /// How many ids are there and missing, by column.
    ids: Vec<(u64, u64)>,
    sections: Vec<Section>,
}

/// Where in a file the counts of a column are.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Section {
    from: u64,
    until: u64,
    missing: u64,
    texts: bool,
}

/// The summary of a column as it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    summary: ColumnSummary,
    histogram: Vec<u64>,
}

/// A part of the columns of a file, with its file of counts.
pub(crate) type PartThere = (PathBuf, PartOfColumns);

/// Writes the counts of a part to `path`.
pub(crate) fn write(counted: ColumnsProfile, path: &Path) -> Result<PartOfColumns> {
    let (ids, columns) = counted.into_counts();
    let mut file = Disk::for_task().new_file(path)?;
    let (mut sections, mut block, mut at) = (Vec::new(), Vec::new(), 0_u64);
    for column in columns {
        let from = at;
        let mut add = |key: &[u8], count: u64| {
            block.extend_from_slice(key);
            block.extend_from_slice(&count.to_le_bytes());
            at += key.len() as u64 + 8;
            if block.len() < BLOCK {
                return Ok(());
            }
            file.write_all(&block)?;
            block.clear();
            Ok::<_, Error>(())
        };
        let (missing, texts) = match column {
            Counts::Numbers((missing, runs)) => {
                for (value, count) in runs {
                    add(&value.to_le_bytes(), count)?;
                }
                (missing, false)
            }
            Counts::Texts((missing, counts)) => {
                for (text, count) in counts {
                    let length = (text.len() as u64).to_le_bytes();
                    add(&[&length, text.as_bytes()].concat(), count)?;
                }
                (missing, true)
            }
        };
        sections.push(Section { from, until: at, missing, texts });
    }
    file.write_all(&block)?;
    file.publish_unsynced()?;
    Ok(PartOfColumns { ids, sections })
}

/// The number of columns that were counted, which [`summary`] takes one by one.
pub(crate) fn columns(parts: &[PartThere]) -> usize {
    parts.first().map_or(0, |(_, part)| part.sections.len())
}

/// The summary of column `column` of all `parts`.
pub(crate) fn summary(parts: &[PartThere], column: usize) -> Result<Sent> {
    let sections: Vec<(&Path, Section)> =
        parts.iter().map(|(path, part)| (path.as_path(), part.sections[column])).collect();
    let missing = sections.iter().map(|(_, section)| section.missing).sum();
    if sections.iter().any(|(_, section)| section.texts) {
        let mut top = Top::default();
        merged(&sections, |text: &String, count| top.add(text, count))?;
        let summary = ColumnSummary::Categorical(top.finish(missing));
        return Ok(Sent { summary, histogram: Vec::new() });
    }
    let mut summary = summary_of(&Merged(&sections), missing)?;
    let histogram = std::mem::take(&mut summary.histogram);
    Ok(Sent { summary: ColumnSummary::Numeric(summary), histogram })
}

/// All columns of `parts`, of which `counted` were summarised.
pub(crate) fn profiles(
    parts: &[PartThere],
    counted: Vec<Sent>,
    schema: &Schema,
) -> Vec<ColumnProfile> {
    let mut ids: Vec<(u64, u64)> = Vec::new();
    for (_, part) in parts {
        ids.resize(part.ids.len(), (0, 0));
        for ((count, missing), (there, gaps)) in ids.iter_mut().zip(&part.ids) {
            *count += there;
            *missing += gaps;
        }
    }
    let counted = counted.into_iter().map(|Sent { mut summary, histogram }| {
        if let ColumnSummary::Numeric(numbers) = &mut summary {
            numbers.histogram = histogram;
        }
        summary
    });
    in_schema_order(ids, counted, schema)
}

/// The counts of a column of numbers in several files.
struct Merged<'a>(&'a [(&'a Path, Section)]);

impl Runs for Merged<'_> {
    type Error = Error;

    fn each(&self, mut take: impl FnMut(f64, u64)) -> Result<()> {
        merged(self.0, |value: &Number, count| take(value.0, count))
    }
}

/// Passes the values of all `sections` to `take` in ascending order, each once with its count in all of them.
fn merged<V: Value>(sections: &[(&Path, Section)], mut take: impl FnMut(&V, u64)) -> Result<()> {
    let room = (ROOM / sections.len().max(1)).clamp(LEAST, MOST);
    let mut cursors = Vec::new();
    let mut next = BinaryHeap::new();
    for (path, section) in sections {
        let mut cursor = Cursor {
            path,
            at: section.from,
            until: section.until,
            block: Vec::new(),
            used: 0,
            room,
        };
        if let Some((value, count)) = cursor.next()? {
            next.push(Reverse((Ordered::<V>(value), cursors.len(), count)));
            cursors.push(cursor);
        }
    }
    let mut run: Option<(V, u64)> = None;
    while let Some(Reverse((Ordered(value), of, count))) = next.pop() {
        match &mut run {
            Some((known, sum)) if known.order(&value).is_eq() => *sum += count,
            _ => {
                if let Some((known, sum)) = run.replace((value, count)) {
                    take(&known, sum);
                }
            }
        }
        if let Some((value, count)) = cursors[of].next()? {
            next.push(Reverse((Ordered(value), of, count)));
        }
    }
    if let Some((known, sum)) = run {
        take(&known, sum);
    }
    Ok(())
}

/// A value of a column in a file of counts.
trait Value: Sized {
    /// Its place among others.
    fn order(&self, other: &Self) -> std::cmp::Ordering;

    /// The value at the start of `bytes`, and how many of them it takes; `None` if that are not all of its bytes.
    fn read(bytes: &[u8]) -> Option<(Self, usize)>;
}

/// A number, which is neither NaN nor -0.
struct Number(f64);

impl Value for Number {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }

    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        Some((Self(f64::from_le_bytes(*bytes.first_chunk()?)), 8))
    }
}

impl Value for String {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.cmp(other)
    }

    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let text = rest.get(..length)?;
        Some((Self::from_utf8_lossy(text).into_owned(), 8 + length))
    }
}

/// A value in a heap.
struct Ordered<V>(V);

impl<V: Value> PartialEq for Ordered<V> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<V: Value> Eq for Ordered<V> {}

impl<V: Value> PartialOrd for Ordered<V> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<V: Value> Ord for Ordered<V> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.order(&other.0)
    }
}

/// A place in a section of a file, which is opened whenever more of it is read: there may be more parts than files
/// that a process may have open.
struct Cursor<'a> {
    path: &'a Path,
    /// What follows the block.
    at: u64,
    until: u64,
    block: Vec<u8>,
    used: usize,
    room: usize,
}

impl Cursor<'_> {
    fn next<V: Value>(&mut self) -> Result<Option<(V, u64)>> {
        loop {
            let rest = &self.block[self.used..];
            let found = V::read(rest).and_then(|(value, length)| {
                let count = u64::from_le_bytes(*rest.get(length..)?.first_chunk()?);
                Some((value, length, count))
            });
            if let Some((value, length, count)) = found {
                self.used += length + 8;
                return Ok(Some((value, count)));
            }
            if self.at == self.until {
                return if rest.is_empty() { Ok(None) } else { Err(self.cut_off()) };
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        let failed = |e| Error::io("read", self.path, e);
        self.block.drain(..self.used);
        self.used = 0;
        // A long text may not fit into the room.
        let more = self.room.max(self.block.len());
        let more = usize::try_from(self.until - self.at).unwrap_or(usize::MAX).min(more);
        let start = self.block.len();
        self.block.resize(start + more, 0);
        let file = File::open(self.path).map_err(failed)?;
        file.read_exact_at(&mut self.block[start..], self.at).map_err(failed)?;
        self.at += more as u64;
        Ok(())
    }

    fn cut_off(&self) -> Error {
        Error::remote(format!(
            "{} ends in the middle of a count: the folder that all machines share is unreliable",
            self.path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;
    use crate::table::schema::SchemaFields;

    fn schema() -> Schema {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Schema::new(SchemaFields {
            numeric: &names(&["a", "b"]),
            categorical: &names(&["t"]),
            target: "y",
            positive_label: "1",
            ..SchemaFields::default()
        })
    }

    fn profile(rows: &[usize], odd: &[f64]) -> ColumnsProfile {
        let schema = schema();
        let mut table = Table::new(&schema);
        for row in rows {
            let a = odd[*row % odd.len()];
            let text = match row % 7 {
                0 => String::new(),
                n => "long".repeat(n * row % 900) + &(row % 40).to_string(),
            };
            table.push_values(&[Some(a), Some(*row as f64).filter(|_| row % 3 > 0)], &[text]);
        }
        let mut profile = ColumnsProfile::new(&schema, usize::MAX);
        profile.add(&table);
        profile
    }

    #[test]
    fn parts_that_were_counted_apart_have_the_summary_of_the_whole_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let odd = [0.0, -0.0, 0.1, 0.3, 1e300, -1e-300, f64::MAX, 7.0, 7.5, f64::NAN, -3.0];
        let rows: Vec<usize> = (0..3_000).map(|i| i * i * 31 % 2_003).collect();
        let whole = spread(&[&rows], &odd, folder.path());
        let many: Vec<f64> = (0..997).map(|i| f64::from(i) / 3.0).collect();
        for cut in [1, 7, 500, 2_999] {
            let parts: Vec<&[usize]> = rows.chunks(cut).take(700).collect();
            let taken = &rows[..rows.len().min(cut * 700)];
            for odd in [&odd[..], &many] {
                let expected = profile(taken, odd).finished(&schema());
                let found = spread(&parts, odd, folder.path());
                let text = |all: &[ColumnProfile]| serde_json::to_string(all).unwrap();
                assert_eq!(text(&found), text(&expected), "parts of {cut}");
                let bars = |all: &[ColumnProfile]| {
                    let of = |c: &ColumnProfile| c.summary.numeric().map(|n| n.histogram.clone());
                    all.iter().filter_map(of).collect::<Vec<_>>()
                };
                assert_eq!(bars(&found), bars(&expected));
            }
        }
        assert_eq!(whole.len(), 3, "a target without labels is left out");
    }

    fn spread(rows: &[&[usize]], odd: &[f64], folder: &Path) -> Vec<ColumnProfile> {
        let parts: Vec<PartThere> = rows
            .iter()
            .enumerate()
            .map(|(at, rows)| {
                let path = folder.join(at.to_string());
                let part = write(profile(rows, odd), &path).unwrap();
                (path, part)
            })
            .collect();
        let text = serde_json::to_string(&parts).unwrap();
        let parts: Vec<PartThere> = serde_json::from_str(&text).unwrap();
        let sent = (0..columns(&parts)).map(|column| {
            let text = serde_json::to_string(&summary(&parts, column).unwrap()).unwrap();
            serde_json::from_str(&text).unwrap()
        });
        let sent = sent.collect();
        profiles(&parts, sent, &schema())
    }

    #[test]
    fn a_file_that_is_cut_off_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let mut part = write(profile(&[1, 2, 3], &[1.5, 2.5]), &path).unwrap();
        part.sections[0].until -= 3;
        let error = summary(&[(path, part)], 0).unwrap_err().to_string();
        assert!(error.contains("middle of a count"), "{error}");
    }
}
