//! The features of at most [`SAMPLE_ROWS`] rows, on which drift is measured.
//!
//! Of more rows a uniform sample of whole rows is kept (Vitter's reservoir, algorithm R, seeded).
//! Memory is therefore bounded, a test of the sample is as valid as one of all rows, and it still
//! detects a shift of a fiftieth of a standard deviation; anything less would be significant but
//! irrelevant. Not for storing: see [`super::reference`].

use std::collections::HashMap;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::model::dates::age;
use crate::model::{AgeAt, DateFeature, Encoder};
use crate::table::Table;
use crate::table::schema::{Role, Schema};

/// The maximum number of rows in a [`Sample`].
pub const SAMPLE_ROWS: usize = 100_000;

/// Feature columns of a sample of rows.
#[derive(Debug, Clone)]
pub struct Sample {
    pub(super) rows: usize,
    pub(super) numeric: Vec<NumericSample>,
    pub(super) categorical: Vec<CategoricalSample>,
    /// The columns of dates, and of which of them the ages are the last numeric columns.
    dates: Vec<DateFeature>,
    ages: Vec<usize>,
}

/// Numbers of a column; NaN is missing.
#[derive(Debug, Clone)]
pub(super) struct NumericSample {
    pub(super) name: String,
    pub(super) values: Vec<f64>,
}

/// Texts of a column, as indices of its levels; the first level is the missing value.
#[derive(Debug, Clone)]
pub(super) struct CategoricalSample {
    pub(super) name: String,
    pub(super) levels: Vec<String>,
    codes: Vec<u32>,
    index: HashMap<String, u32>,
}

/// Draws a [`Sample`] from batches.
#[derive(Debug)]
pub struct SampleBuilder {
    sample: Sample,
    most: usize,
    seen: u64,
    random: Xoshiro256PlusPlus,
}

impl SampleBuilder {
    /// Starts without rows of `schema`. Beyond [`SAMPLE_ROWS`], the seed and the order of rows
    /// determine which are kept.
    pub fn new(schema: &Schema, seed: u64) -> Self {
        Self::with_most(schema, seed, SAMPLE_ROWS)
    }

    /// Like [`SampleBuilder::new`], keeping at most `most` rows.
    pub(crate) fn with_most(schema: &Schema, seed: u64, most: usize) -> Self {
        let numeric = schema.names(Role::Numeric);
        let categorical = schema.names(Role::Categorical);
        let sample = Sample {
            rows: 0,
            numeric: numeric
                .map(|name| NumericSample { name: name.to_owned(), values: Vec::new() })
                .collect(),
            categorical: categorical.map(CategoricalSample::new).collect(),
            dates: Vec::new(),
            ages: Vec::new(),
        };
        Self { sample, most, seen: 0, random: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    /// Starts without values of a single numeric column, for [`SampleBuilder::add_number`].
    pub fn of_numbers(name: &str, seed: u64) -> Self {
        let column = NumericSample { name: name.to_owned(), values: Vec::new() };
        let sample = Sample {
            rows: 0,
            numeric: vec![column],
            categorical: Vec::new(),
            dates: Vec::new(),
            ages: Vec::new(),
        };
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { sample, most: SAMPLE_ROWS, seen: 0, random }
    }

    /// Adds a row with this value in its only column.
    pub fn add_number(&mut self, value: f64) {
        if let Some(place) = self.place()
            && let Some(column) = self.sample.numeric.first_mut()
        {
            put(&mut column.values, place.at(), value);
        }
    }

    /// Adds a column for each age that `encoder` takes against another column of the row. Dates
    /// themselves, and ages against a fixed day, are not compared: those of newer rows are newer.
    #[must_use]
    pub fn with_ages(mut self, encoder: &Encoder) -> Self {
        for (at, date) in encoder.dates.iter().enumerate() {
            if matches!(date.reference, AgeAt::Column(_)) {
                let name = format!("{} (age in days)", date.name);
                self.sample.numeric.push(NumericSample { name, values: Vec::new() });
                self.sample.ages.push(at);
            }
        }
        // A missing date is compared as such.
        let strict = encoder.dates.iter().map(|date| DateFeature { fill: None, ..date.clone() });
        self.sample.dates = strict.collect();
        self
    }

    /// Adds the rows of `table` for which `keep` returns true.
    pub fn add(&mut self, table: &Table, keep: impl Fn(usize) -> bool) {
        for i in (0..table.len()).filter(|i| keep(*i)) {
            if let Some(place) = self.place() {
                self.sample.set(place.at(), table, i);
            }
        }
    }

    /// Where the next row goes; `None` if it is not kept.
    fn place(&mut self) -> Option<Place> {
        self.seen += 1;
        if self.sample.rows < self.most {
            self.sample.rows += 1;
            return Some(Place::End);
        }
        let at = self.below(self.seen);
        (at < self.most).then_some(Place::Instead(at))
    }

    /// The number of rows added, kept or not.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The sample of all rows added.
    pub fn finish(self) -> Sample {
        self.sample
    }

    /// A practically uniform random number below `end`.
    fn below(&mut self, end: u64) -> usize {
        let product = u128::from(self.random.next_u64()) * u128::from(end);
        usize::try_from(product >> 64).unwrap_or(usize::MAX)
    }
}

/// Where a row of a sample goes.
#[derive(Clone, Copy)]
enum Place {
    /// Behind the others.
    End,
    /// In the place of this one.
    Instead(usize),
}

impl Place {
    fn at(self) -> Option<usize> {
        match self {
            Self::End => None,
            Self::Instead(at) => Some(at),
        }
    }
}

impl Sample {
    /// The number of rows kept.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The numbers of a numeric column, NaN being missing; `None` if there is no such column.
    pub fn numbers(&self, column: &str) -> Option<&[f64]> {
        self.numeric.iter().find(|c| c.name == column).map(|c| c.values.as_slice())
    }

    /// Writes row `i` of the table to position `at`, or appends it.
    fn set(&mut self, at: Option<usize>, table: &Table, i: usize) {
        let plain = self.numeric.len() - self.ages.len();
        for (mine, column) in self.numeric[..plain].iter_mut().zip(&table.numeric) {
            put(&mut mine.values, at, column[i]);
        }
        for (mine, date) in self.numeric[plain..].iter_mut().zip(&self.ages) {
            let days = |column: usize| table.numeric[plain + column][i];
            put(&mut mine.values, at, age(&self.dates, *date, days).unwrap_or(f64::NAN));
        }
        for (mine, column) in self.categorical.iter_mut().zip(&table.categorical) {
            let code = mine.code(column.get(i));
            put(&mut mine.codes, at, code);
        }
    }
}

fn put<T>(values: &mut Vec<T>, at: Option<usize>, value: T) {
    match at {
        Some(at) => values[at] = value,
        None => values.push(value),
    }
}

impl CategoricalSample {
    fn new(name: &str) -> Self {
        let index = HashMap::from([(String::new(), 0)]);
        Self { name: name.to_owned(), levels: vec![String::new()], codes: Vec::new(), index }
    }

    fn code(&mut self, text: &str) -> u32 {
        if let Some(code) = self.index.get(text) {
            return *code;
        }
        let code = u32::try_from(self.levels.len()).unwrap_or(u32::MAX);
        self.levels.push(text.to_owned());
        self.index.insert(text.to_owned(), code);
        code
    }

    /// The number of rows by level, in the order of `levels`.
    pub(super) fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.levels.len()];
        for code in &self.codes {
            counts[*code as usize] += 1;
        }
        counts
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::table::schema::SchemaFields;

    /// Rows of a number "x" and a text "c"; the shorter list is filled up with missing values.
    pub(in crate::drift) fn sample(numbers: &[f64], texts: &[&str]) -> Sample {
        let schema = schema();
        let mut table = Table::new(&schema);
        for i in 0..numbers.len().max(texts.len()) {
            let number = numbers.get(i).copied().filter(|x| !x.is_nan());
            let text = (*texts.get(i).unwrap_or(&"")).to_owned();
            table.push_values(&[number], &[text]);
        }
        let mut builder = SampleBuilder::new(&schema, 1);
        builder.add(&table, |_| true);
        builder.finish()
    }

    fn schema() -> Schema {
        Schema::new(SchemaFields {
            numeric: &["x".to_owned()],
            categorical: &["c".to_owned()],
            target: "t",
            positive_label: "1",
            ..SchemaFields::default()
        })
    }

    fn table(rows: std::ops::Range<u32>) -> Table {
        let mut table = Table::new(&schema());
        for i in rows {
            let text = if i % 4 == 0 { String::new() } else { format!("l{}", i % 4) };
            table.push_values(&[Some(f64::from(i)).filter(|_| i % 5 > 0)], &[text]);
        }
        table
    }

    #[test]
    fn few_rows_are_kept_as_they_come() {
        let mut builder = SampleBuilder::new(&schema(), 1);
        builder.add(&table(0..7), |i| i != 1);
        let sample = builder.finish();
        assert_eq!(sample.rows(), 6);
        assert!(sample.numeric[0].values[0].is_nan());
        assert_eq!(sample.numeric[0].values[1..4], [2.0, 3.0, 4.0]);
        let c = &sample.categorical[0];
        assert_eq!(c.levels, ["", "l2", "l3", "l1"]);
        assert_eq!(c.counts(), [2, 2, 1, 1]);
    }

    #[test]
    fn many_rows_are_sampled_evenly_whatever_the_batches() {
        let draw = |batch: usize| {
            let mut builder = SampleBuilder::with_most(&schema(), 7, 500);
            for start in (0..10_000).step_by(batch) {
                builder.add(&table(start..start + u32::try_from(batch).unwrap()), |_| true);
            }
            assert_eq!(builder.seen(), 10_000);
            builder.finish()
        };
        let sample = draw(100);
        assert_eq!(sample.rows(), 500);
        let values = sample.numbers("x").unwrap();
        assert_eq!(values.len(), 500);
        let early = values.iter().filter(|x| **x < 5_000.0).count();
        assert!((150..250).contains(&early), "{early} of about 400 numbers");
        let bits = |s: &Sample| s.numeric[0].values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&sample), bits(&draw(2_500)));
    }
}
