//! Learns the splines and bins of named columns from the packed rows.
//!
//! Only training rows are looked at: knots and edges are values at quantiles of theirs, and weights of
//! evidence are counts of their labels. Not for the rules by which bins are merged: see `bins`.

use super::bins::{Bins, Counts};
use super::encoder::{CategoricalFeature, Encoder, Shape};
use super::ranks::{Asked, ColumnRange, values_at};
use super::spline::Spline;
use crate::Result;
use crate::config::choices::{Frequency, MissingPolicy, Pooling};
use crate::config::{Binning, Shapes};
use crate::model::fit::{BLOCK_ROWS, Blocks, PackedBlocks};

/// The training rows, numeric columns first.
pub(super) struct Source<'a> {
    /// The rows; NaN is a missing value, and a category is a code.
    pub(super) rows: &'a PackedBlocks,
    /// Count and range of the numeric columns.
    pub(super) known: &'a [ColumnRange],
    /// The values of categorical columns with their counts, in the order of their codes.
    pub(super) levels: &'a [&'a [(String, u64)]],
    pub(super) threads: usize,
    /// For finding quantiles, in bytes.
    pub(super) memory: usize,
}

/// The rows of a column by class: between edges or by code, and those without a value.
struct Tally {
    column: usize,
    rule: Binning,
    edges: Option<Vec<f64>>,
    counts: Vec<Counts>,
    missing: Counts,
}

impl Source<'_> {
    /// Gives the columns that `shapes` names their splines and bins. A numeric column with too few
    /// different values for a spline stays a line.
    ///
    /// # Errors
    /// If a temporary file of rows cannot be read.
    pub(super) fn shape(&self, encoder: &mut Encoder, shapes: &Shapes) -> Result<()> {
        let mut tallies = Vec::new();
        let tally = |column, rule: &Binning, edges, counts| Tally {
            column,
            rule: *rule,
            edges,
            counts: vec![Counts::default(); counts],
            missing: Counts::default(),
        };
        for (j, mut values) in self.quantiles(encoder, shapes)? {
            let feature = &mut encoder.numeric[j];
            if let Some(rule) = shapes.bins.get(&feature.name) {
                values.dedup();
                // Nothing is above the largest value.
                values.retain(|edge| *edge < self.known[j].highest);
                let counts = values.len() + 1;
                tallies.push(tally(j, rule, Some(values), counts));
            } else if let Some(spline) = Spline::through(values) {
                feature.shape = Shape::Spline(spline);
            }
        }
        let numbers = encoder.numeric.len() + encoder.dates.len();
        for (j, feature) in encoder.categorical.iter().enumerate() {
            if let Some(rule) = shapes.bins.get(&feature.name) {
                tallies.push(tally(numbers + j, rule, None, self.levels[j].len()));
            }
        }
        self.count(&mut tallies)?;
        let imputes = matches!(encoder.missing, MissingPolicy::Median | MissingPolicy::Mean);
        for Tally { column, rule, edges, counts, missing } in tallies {
            let missing = imputes.then_some(missing);
            if let Some(edges) = edges {
                let feature = &mut encoder.numeric[column];
                feature.shape = Shape::Bins(Bins::of_numbers(&edges, &counts, missing, rule));
                feature.fill = None;
            } else {
                let (feature, levels) =
                    (&mut encoder.categorical[column - numbers], self.levels[column - numbers]);
                *feature = of_levels(&feature.name, levels, &counts, missing, rule);
            }
        }
        Ok(())
    }

    /// The values at the quantiles where knots and edges may be, for the columns that need some.
    fn quantiles(&self, encoder: &Encoder, shapes: &Shapes) -> Result<Vec<(usize, Vec<f64>)>> {
        let ranks = |(j, name): (usize, &String)| {
            let count = Some(self.known[j].count).filter(|count| *count > 0)?;
            let knots = shapes.splines.get(name).map(|knots| Spline::ranks(*knots, count));
            let edges = shapes.bins.get(name).map(|_| Bins::ranks(count));
            Some((j, knots.or(edges)?))
        };
        let names = encoder.numeric.iter().map(|feature| &feature.name);
        let asked: Vec<Asked> = names.enumerate().filter_map(ranks).collect();
        let found = values_at(self.rows, self.known, &asked, self.threads, self.memory)?;
        Ok(asked.into_iter().map(|(j, _)| j).zip(found).collect())
    }

    /// Counts all rows, whose columns are in ascending order.
    fn count(&self, tallies: &mut [Tally]) -> Result<()> {
        let wanted: Vec<usize> = tallies.iter().map(|tally| tally.column).collect();
        let (mut labels, mut buffer) = ([0.0; BLOCK_ROWS], Vec::new());
        for index in 0..self.rows.blocks() {
            self.rows.labels(index, &mut buffer, &mut labels)?;
            let mut next = tallies.iter_mut();
            self.rows.columns(index, &wanted, &mut buffer, |_, values| {
                if let Some(tally) = next.next() {
                    tally.add(values, &labels);
                }
            })?;
        }
        Ok(())
    }
}

impl Tally {
    fn add(&mut self, values: &[f64], labels: &[f64]) {
        for (value, label) in values.iter().zip(labels) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a place in the list"
            )]
            let at = match &self.edges {
                Some(edges) => edges.partition_point(|edge| edge < value),
                None => *value as usize,
            };
            let there = self.counts.get_mut(at).filter(|_| !value.is_nan());
            there.unwrap_or(&mut self.missing).add(*label > 0.5);
        }
    }
}

/// A categorical column with bins. Levels that are rarer than a bin may be share one level.
fn of_levels(
    name: &str,
    levels: &[(String, u64)],
    counts: &[Counts],
    missing: Option<Counts>,
    rule: Binning,
) -> CategoricalFeature {
    let rare = Some(Frequency::Share(rule.min_share));
    let pooling = Pooling { max_levels: None, min_frequency: rare };
    let mut feature = CategoricalFeature::learn(name, levels, None, pooling);
    let mut by_level = vec![Counts::default(); feature.count()];
    for ((text, _), counts) in levels.iter().zip(counts) {
        if let Some(sum) = feature.level(text).and_then(|level| by_level.get_mut(level)) {
            *sum = sum.and(*counts);
        }
    }
    feature.bins = Some(Bins::of_levels(&by_level, missing, rule));
    feature
}
