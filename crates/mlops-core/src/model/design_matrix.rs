//! Training rows as they are read from a file, and the encoding learned from them.
//!
//! Rows are stored raw and packed: missing values stay missing, and a category is a number in the
//! order of first appearance. The encoding is known only after the last row; the file is read once.
//! Not for applying it: see [`EncodedRows`] for a fit and [`super::Predictor`] for predictions.

use std::collections::HashMap;
use std::path::Path;

use crate::config::{Against, DateParts, Shapes, Training};
use crate::model::fit::{Blocks, PackedBlocks, constant};
use crate::platform::disk::Disk;
use crate::platform::exact_sum::ExactSum;
use crate::platform::simd::{Work, widest};
use crate::table::schema::{Role, Schema};
use crate::table::{Table, date};
use crate::text;
use crate::{Error, Result};

use super::dates::{AgeAt, DateFeature};
use super::encoded_rows::EncodedRows;
use super::encoder::{CategoricalFeature, Encoder, NumericFeature, empty_columns};
use super::ranks::{ColumnRange, medians};
use super::shapes::Source;
use super::totals::totals;
use crate::config::choices::MissingPolicy;
use crate::config::choices::Pooling;

/// A batch of rows, prepared by the thread that parsed them.
#[derive(Debug, Default)]
pub struct TrainingBatch {
    /// Numeric columns, then categories as indices into `levels`; NaN is missing.
    columns: Vec<Vec<f64>>,
    labels: Vec<bool>,
    /// For each categorical column its values by first appearance, with their counts.
    levels: Vec<Vec<(String, u64)>>,
    missing_cells: Vec<u64>,
    missing_rows: u64,
    dropped: u64,
    known: Vec<KnownRange>,
}

/// The range of the values of a numeric column.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownRange {
    pub(super) lowest: f64,
    pub(super) highest: f64,
    pub(super) whole: bool,
}

impl KnownRange {
    const NOTHING: Self = Self { lowest: f64::INFINITY, highest: f64::NEG_INFINITY, whole: true };

    fn of(values: &[f64]) -> Self {
        widest(RangeOf(values))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            lowest: self.lowest.min(other.lowest),
            highest: self.highest.max(other.highest),
            whole: self.whole && other.whole,
        }
    }
}

/// The range of values.
struct RangeOf<'a>(&'a [f64]);

impl Work for RangeOf<'_> {
    type Output = KnownRange;

    #[inline(always)]
    fn run(self) -> KnownRange {
        /// Adding and subtracting this rounds to an integer.
        const ROUND: f64 = 6_755_399_441_055_744.0;
        const LANES: usize = 8;
        let (mut lowest, mut highest) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        let mut odd = [0_u64; LANES];
        let mut look = |lane: usize, v: f64| {
            // Numbers beyond 2^51 count as fractional, which costs time but no precision.
            let rest = ((v + ROUND) - ROUND).to_bits() ^ v.to_bits();
            odd[lane] |= if v.is_nan() { 0 } else { rest };
            lowest[lane] = if v < lowest[lane] { v } else { lowest[lane] };
            highest[lane] = if v > highest[lane] { v } else { highest[lane] };
        };
        let (chunks, rest) = self.0.as_chunks::<LANES>();
        for chunk in chunks {
            for (lane, v) in chunk.iter().enumerate() {
                look(lane, *v);
            }
        }
        for v in rest {
            look(0, *v);
        }
        KnownRange {
            lowest: lowest.into_iter().fold(f64::INFINITY, f64::min),
            highest: highest.into_iter().fold(f64::NEG_INFINITY, f64::max),
            whole: odd == [0; LANES],
        }
    }
}

impl TrainingBatch {
    /// Fills the batch from `table`; under the policy `drop` only with rows without missing values.
    /// Returns the places of these rows if others were left out.
    pub fn fill(&mut self, table: &mut Table, missing: MissingPolicy) -> Option<Vec<usize>> {
        let (numeric, rows) = (table.numeric.len(), table.len());
        self.columns.resize_with(numeric + table.categorical.len(), Vec::new);
        for (mine, column) in self.columns.iter_mut().zip(&mut table.numeric) {
            std::mem::swap(mine, column);
        }
        std::mem::swap(&mut self.labels, &mut table.labels);
        self.levels.clear();
        for (codes, texts) in self.columns[numeric..].iter_mut().zip(&table.categorical) {
            let mut levels = Levels::default();
            codes.clear();
            codes.extend(texts.iter().map(|text| levels.code(text)));
            self.levels.push(levels.found);
        }
        self.missing_cells.clear();
        let gaps =
            |column: &Vec<f64>| -> u64 { column.iter().map(|v| u64::from(v.is_nan())).sum() };
        self.missing_cells.extend(self.columns.iter().map(gaps));
        (self.missing_rows, self.dropped) = (0, 0);
        let mut kept = None;
        if self.missing_cells.iter().any(|n| *n > 0) {
            let mut whole = vec![true; rows];
            let columns = self.columns.iter().zip(&self.missing_cells);
            for (column, _) in columns.filter(|(_, missing)| **missing > 0) {
                whole.iter_mut().zip(column).for_each(|(whole, v)| *whole &= !v.is_nan());
            }
            let complete = whole.iter().filter(|whole| **whole).count();
            self.missing_rows = (rows - complete) as u64;
            if missing == MissingPolicy::Drop {
                self.dropped = self.missing_rows;
                let complete: Vec<usize> = (0..rows).filter(|i| whole[*i]).collect();
                for column in &mut self.columns {
                    pick(column, &complete);
                }
                pick(&mut self.labels, &complete);
                kept = Some(complete);
            }
        }
        self.known.clear();
        self.known.extend(self.columns[..numeric].iter().map(|column| KnownRange::of(column)));
        kept
    }
}

/// Keeps the values at the ascending indices `kept`.
fn pick<T: Copy>(values: &mut Vec<T>, kept: &[usize]) {
    for (to, from) in kept.iter().enumerate() {
        values[to] = values[*from];
    }
    values.truncate(kept.len());
}

/// The values of a categorical column, by first appearance, with their counts.
#[derive(Debug, Default)]
pub(super) struct Levels {
    pub(super) found: Vec<(String, u64)>,
    places: HashMap<String, usize>,
}

impl Levels {
    /// The index of `text`; NaN for a missing value.
    fn code(&mut self, text: &str) -> f64 {
        if text.is_empty() {
            return f64::NAN;
        }
        self.add(text, 1) as f64
    }

    /// Counts `text`; returns its index.
    #[expect(clippy::single_match_else, reason = "the place is found or made")]
    pub(super) fn add(&mut self, text: &str, count: u64) -> usize {
        let place = match self.places.get(text) {
            Some(place) => *place,
            None => {
                self.places.insert(text.to_owned(), self.found.len());
                self.found.push((text.to_owned(), 0));
                self.found.len() - 1
            }
        };
        self.found[place].1 += count;
        place
    }
}

/// Training rows, collected batch by batch.
#[derive(Debug)]
pub struct TrainingRows {
    /// The columns of numbers, dates last, and the categorical ones.
    names: (Vec<String>, Vec<String>),
    /// How many of the former are dates.
    dates: usize,
    missing: MissingPolicy,
    pooling: Pooling,
    shapes: Shapes,
    pub(super) rows: PackedBlocks,
    pub(super) known: Vec<KnownRange>,
    pub(super) levels: Vec<Levels>,
    pub(super) missing_rows: u64,
    pub(super) missing_cells: Vec<u64>,
    pub(super) dropped: u64,
    /// Memory for learning the encoding, in bytes.
    memory: usize,
}

impl TrainingRows {
    /// Starts without rows of `schema`.
    pub fn new(schema: &Schema, training: &Training) -> Self {
        let numeric: Vec<String> = schema.numbers().map(str::to_owned).collect();
        let categorical = super::owned(schema, Role::Categorical);
        let columns = numeric.len() + categorical.len();
        Self {
            missing: training.missing,
            pooling: training.pooling,
            dates: schema.count(Role::Date),
            shapes: Shapes::default(),
            rows: PackedBlocks::new(columns),
            known: vec![KnownRange::NOTHING; numeric.len()],
            levels: categorical.iter().map(|_| Levels::default()).collect(),
            missing_rows: 0,
            missing_cells: vec![0; columns],
            dropped: 0,
            memory: usize::MAX,
            names: (numeric, categorical),
        }
    }

    /// Learns `shapes` for the columns that they name.
    #[must_use]
    pub fn shaped(mut self, shapes: &Shapes) -> Self {
        self.shapes = shapes.clone();
        self
    }

    /// Keeps about `bytes` in memory and writes the rest to a file in `folder`.
    #[must_use]
    pub fn within(mut self, bytes: usize, disk: &Disk, folder: &Path) -> Self {
        self.memory = bytes / 4;
        self.rows = self.rows.within(bytes, disk, folder.to_owned());
        self
    }

    /// Appends a batch.
    ///
    /// # Errors
    /// If a temporary file cannot be written.
    pub fn push(&mut self, batch: &mut TrainingBatch) -> Result<()> {
        let numeric = self.names.0.len();
        for (j, found) in batch.levels.iter().enumerate() {
            let levels = &mut self.levels[j];
            let mut places = Vec::with_capacity(found.len());
            for (text, count) in found {
                places.push(levels.add(text, *count) as f64);
            }
            for code in batch.columns[numeric + j].iter_mut().filter(|code| !code.is_nan()) {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a place in the list"
                )]
                let place = *code as usize;
                *code = places[place];
            }
        }
        for (known, more) in self.known.iter_mut().zip(&batch.known) {
            *known = known.and(*more);
        }
        for (sum, more) in self.missing_cells.iter_mut().zip(&batch.missing_cells) {
            *sum += more;
        }
        self.missing_rows += batch.missing_rows;
        self.dropped += batch.dropped;
        let columns: Vec<&[f64]> = batch.columns.iter().map(Vec::as_slice).collect();
        self.rows.push_columns(&columns, &batch.labels)
    }

    /// Number of rows left out for a missing value.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Number of training rows.
    pub fn rows(&self) -> u64 {
        self.rows.rows()
    }

    /// The columns in which all rows have the same value.
    pub fn constants(&self) -> Vec<&str> {
        let present = |j: usize| self.missing_cells[j] < self.rows.rows();
        let numeric = self.names.0.iter().zip(&self.known).enumerate();
        let numeric = numeric
            .filter(|(j, (_, known))| present(*j) && constant(known.lowest, known.highest))
            .map(|(_, (name, _))| name.as_str());
        let categorical = self.names.1.iter().zip(&self.levels);
        let categorical = categorical.filter(|(_, levels)| levels.found.len() == 1);
        numeric.chain(categorical.map(|(name, _)| name.as_str())).collect()
    }

    /// The columns of dates in which a date hardly is one, such as 9999-12-31, each with that date in days since 1970.
    pub fn unlikely_dates(&self) -> Vec<(&str, f64)> {
        let first = self.names.0.len() - self.dates;
        let columns = self.names.0.iter().zip(&self.known).skip(first);
        let unlikely = |days: &f64| days.is_finite() && !date::LIKELY.contains(days);
        let of = |known: &KnownRange| [known.highest, known.lowest].into_iter().find(unlikely);
        columns.filter_map(|(name, known)| Some((name.as_str(), of(known)?))).collect()
    }

    /// The encoding learned from the rows.
    ///
    /// # Errors
    /// `Data` for missing values under the policy `reject`, and for a column without any value.
    pub fn encoder(&self, threads: usize) -> Result<Encoder> {
        if self.missing == MissingPolicy::Reject && self.missing_rows > 0 {
            let names = self.names.0.iter().chain(&self.names.1);
            let columns = names
                .zip(&self.missing_cells)
                .filter(|(_, n)| **n > 0)
                .map(|(name, n)| format!("\"{name}\" {n}"));
            let rows = match self.missing_rows {
                1 => "1 row has".to_owned(),
                n => format!("{} rows have", text::count(n)),
            };
            return Err(Error::data(format!(
                "{rows} missing values ({}) and \"training.missing\" is \"reject\": \
                 complete the data, or choose \"median\", \"mean\" or \"drop\"",
                text::names(columns)
            )));
        }
        let imputes = matches!(self.missing, MissingPolicy::Median | MissingPolicy::Mean);
        // Under a policy that drops rows, all of them may be gone.
        let left_out = if self.rows.rows() == 0 { self.dropped } else { 0 };
        let all = if imputes { self.rows.rows() } else { left_out };
        let names = self.names.0.iter().chain(&self.names.1).zip(&self.missing_cells);
        let empty: Vec<&String> = names.filter(|(_, n)| **n == all).map(|(name, _)| name).collect();
        if all > 0 && !empty.is_empty() {
            return Err(empty_columns(&empty));
        }
        let middles = match self.missing {
            MissingPolicy::Drop | MissingPolicy::Reject => vec![None; self.names.0.len()],
            MissingPolicy::Mean => self.means()?,
            MissingPolicy::Median => {
                medians(&self.rows, &self.known_columns(), threads, self.memory)?
            }
        };
        let names = self.names.0.iter().zip(middles);
        let mut numbers = names.map(|(name, fill)| (name.clone(), fill));
        let plain = self.names.0.len() - self.dates;
        let plain = numbers.by_ref().take(plain);
        let numeric = plain.map(|(name, fill)| NumericFeature::line(name, fill)).collect();
        let dates = self.date_features(numbers.collect());
        let missing = &self.missing_cells[self.names.0.len()..];
        let columns = self.names.1.iter().zip(&self.levels).zip(missing);
        let learn = |((name, levels), missing): ((&String, &Levels), &u64)| {
            let missing = imputes.then_some(*missing);
            CategoricalFeature::learn(name, &levels.found, missing, self.pooling)
        };
        let categorical = columns.map(learn).collect();
        let mut encoder = Encoder { missing: self.missing, numeric, dates, categorical };
        if !(self.shapes.splines.is_empty() && self.shapes.bins.is_empty()) {
            let source = Source {
                rows: &self.rows,
                known: &self.known_columns(),
                levels: &self.levels.iter().map(|l| l.found.as_slice()).collect::<Vec<_>>(),
                threads,
                memory: self.memory,
            };
            source.shape(&mut encoder, &self.shapes)?;
        }
        Ok(encoder)
    }

    /// What is made of the columns of dates, which come with the dates that replace missing ones.
    fn date_features(&self, columns: Vec<(String, Option<f64>)>) -> Vec<DateFeature> {
        let first = self.names.0.len() - self.dates;
        let names = &self.names.0[first..];
        let place = |name: &String| names.iter().position(|other| other == name);
        let feature = |(at, (name, fill)): (usize, (String, Option<f64>))| {
            let DateParts { against, month, weekday } =
                self.shapes.dates.get(&name).cloned().unwrap_or_default();
            let reference = match against {
                Against::Nothing => AgeAt::Nothing,
                Against::Day(day) => AgeAt::Day(day),
                Against::Newest => AgeAt::Day(self.known[first + at].highest),
                Against::Column(other) => {
                    let other = place(&other).and_then(|at| u32::try_from(at).ok());
                    other.map_or(AgeAt::Nothing, AgeAt::Column)
                }
            };
            DateFeature { name, fill, reference, month, weekday }
        };
        columns.into_iter().enumerate().map(feature).collect()
    }

    /// The packed rows, the number of numeric columns, the names of all, and the memory for learning.
    pub(super) fn columns(&self) -> (&PackedBlocks, usize, Vec<&str>, usize) {
        let names = self.names.0.iter().chain(&self.names.1).map(String::as_str);
        (&self.rows, self.names.0.len(), names.collect(), self.memory)
    }

    fn known_columns(&self) -> Vec<ColumnRange> {
        let known = self.known.iter().zip(&self.missing_cells);
        known
            .map(|(known, missing)| ColumnRange {
                count: self.rows.rows() - missing,
                lowest: known.lowest,
                highest: known.highest,
                whole: known.whole,
            })
            .collect()
    }

    /// Arithmetic means, rounded once.
    fn means(&self) -> Result<Vec<Option<f64>>> {
        let sums = totals(&self.rows, self.names.0.len())?;
        Ok(sums.into_iter().map(ExactSum::mean).collect())
    }

    /// The rows encoded by `encoder`, which must have been learned from them.
    pub fn encoded<'a>(&'a self, encoder: &'a Encoder) -> EncodedRows<'a> {
        let levels: Vec<_> = self.levels.iter().map(|levels| levels.found.as_slice()).collect();
        EncodedRows::new(&self.rows, encoder, &levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::choices::Frequency;
    use crate::model::fit::{BLOCK_ROWS, Block};
    use crate::table::schema::SchemaFields;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|n| (*n).to_owned()).collect()
    }

    /// The features of a row as the words of the documentation have them.
    fn plain(encoder: &Encoder, x: Option<f64>, g: &str) -> Vec<f64> {
        let feature = &encoder.categorical[0];
        let fill = feature.fill.map_or("", |l| feature.levels[l as usize].as_str());
        let g = if g.is_empty() { fill } else { g };
        let mut features = vec![x.or(encoder.numeric[0].fill).unwrap_or(f64::NAN)];
        features.extend(feature.levels.iter().map(|level| f64::from(u8::from(level == g))));
        features
    }

    #[test]
    fn rows_are_encoded_as_one_by_one_whatever_the_batches() {
        let schema = Schema::new(SchemaFields {
            numeric: &names(&["x"]),
            categorical: &names(&["g"]),
            target: "t",
            positive_label: "1",
            negative_label: Some("0"),
            ..SchemaFields::default()
        });
        let groups = ["violet", "", "red", "blue", "amber"];
        let row = |i: usize| {
            let x = (!i.is_multiple_of(7)).then_some((i * 31 % 1_000) as f64 / 4.0);
            (x, groups[i * 7 % 13 % 5], i.is_multiple_of(3))
        };
        for missing in [MissingPolicy::Median, MissingPolicy::Mean, MissingPolicy::Drop] {
            let training = Training { missing, ..Training::default() };
            let mut rows = TrainingRows::new(&schema, &training);
            let mut batch = TrainingBatch::default();
            let (mut next, total) = (0, 1_500);
            for size in (0..).map(|n| n * 71 % 400) {
                let mut table = Table::new(&schema);
                for (x, g, label) in (next..total.min(next + size)).map(row) {
                    table.push_values(&[x], &[g.to_owned()]);
                    table.labels.push(label);
                }
                next += table.len();
                batch.fill(&mut table, missing);
                rows.push(&mut batch).unwrap();
                if next == total {
                    break;
                }
            }
            let encoder = rows.encoder(2).unwrap();
            assert_eq!(encoder.categorical[0].levels, ["amber", "blue", "red", "violet"]);
            let complete = |i: &usize| row(*i).0.is_some() && !row(*i).1.is_empty();
            let kept: Vec<usize> =
                (0..total).filter(|i| missing != MissingPolicy::Drop || complete(i)).collect();
            assert_eq!(rows.rows(), kept.len() as u64);
            assert_eq!(rows.dropped(), (total - kept.len()) as u64);
            let blocks = rows.encoded(&encoder);
            let mut block = Block::new(blocks.features());
            for (n, i) in kept.into_iter().enumerate() {
                if n % BLOCK_ROWS == 0 {
                    blocks.read(n / BLOCK_ROWS, &mut block).unwrap();
                }
                let (x, g, label) = row(i);
                let found: Vec<f64> =
                    (0..blocks.features()).map(|j| block.column(j)[n % BLOCK_ROWS]).collect();
                assert_eq!(found, plain(&encoder, x, g), "row {i}");
                assert_eq!(block.labels()[n % BLOCK_ROWS] > 0.5, label);
            }
        }
    }

    #[test]
    fn any_number_of_levels_and_rare_ones_share_a_feature() {
        let schema = Schema::new(SchemaFields {
            categorical: &names(&["g"]),
            target: "t",
            positive_label: "1",
            negative_label: Some("0"),
            ..SchemaFields::default()
        });
        let learn = |pooling, missing| {
            let training = Training { missing, pooling, ..Training::default() };
            let mut rows = TrainingRows::new(&schema, &training);
            for from in [0, 400, 1_000] {
                let mut table = Table::new(&schema);
                for i in from..from + 1_000 {
                    table.push_values(&[], &[format!("name{i:05}")]);
                    table.labels.push(i % 2 == 0);
                }
                let mut batch = TrainingBatch::default();
                batch.fill(&mut table, missing);
                rows.push(&mut batch).unwrap();
            }
            let encoder = rows.encoder(1).unwrap();
            let width = encoder.width();
            let blocks = rows.encoded(&encoder);
            let mut block = Block::new(blocks.features());
            let mut ones = 0.0;
            for index in 0..blocks.blocks() {
                blocks.read(index, &mut block).unwrap();
                let last = block.column(width - 1);
                ones += last[..block.rows()].iter().sum::<f64>();
            }
            (width, ones)
        };
        let pooling = Pooling { min_frequency: Some(Frequency::Rows(2)), ..Pooling::default() };
        assert_eq!(learn(Pooling::default(), MissingPolicy::Median), (2_000, 1.0));
        // 400 to 1,399 come twice.
        assert_eq!(learn(pooling, MissingPolicy::Drop), (1_001, 1_000.0));
    }

    #[test]
    fn columns_without_any_value_are_named() {
        let schema = Schema::new(SchemaFields {
            numeric: &names(&["x", "n"]),
            categorical: &names(&["g"]),
            target: "t",
            positive_label: "1",
            negative_label: Some("0"),
            ..SchemaFields::default()
        });
        for missing in [MissingPolicy::Median, MissingPolicy::Mean, MissingPolicy::Drop] {
            let training = Training { missing, ..Training::default() };
            let mut rows = TrainingRows::new(&schema, &training);
            let mut table = Table::new(&schema);
            for i in 0..5 {
                table.push_values(&[Some(f64::from(i)), None], &[String::new()]);
                table.labels.push(i % 2 == 0);
            }
            let mut batch = TrainingBatch::default();
            batch.fill(&mut table, missing);
            rows.push(&mut batch).unwrap();
            let error = rows.encoder(1).unwrap_err().to_string();
            assert!(error.contains("\"n\", \"g\" are empty"), "{error}");
        }
    }
}
