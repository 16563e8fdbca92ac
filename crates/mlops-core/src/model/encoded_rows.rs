//! Training rows for a fit: imputed and encoded block by block, whenever a fit reads them.
//!
//! Not for learning the encoding: see [`super::TrainingRows`].

use super::dates::{self, DateFeature};
use super::encoder::{CategoricalFeature, Encoder, NumericFeature, Shape};
use crate::Result;
use crate::model::fit::{BLOCK_ROWS, Block, Blocks, Holders, PackedBlocks};

/// Packed rows, and the encoding of their columns.
#[derive(Debug)]
pub struct EncodedRows<'a> {
    rows: &'a PackedBlocks,
    encoder: &'a Encoder,
    width: usize,
    categories: Vec<Categories>,
}

/// How the codes of a categorical column become features.
#[derive(Debug)]
enum Categories {
    /// One feature for each level.
    OneHot {
        width: usize,
        /// The level of each code.
        of_code: Vec<usize>,
        /// The level of a missing value.
        fill: usize,
    },
    /// One feature.
    Weights {
        /// The weight of evidence of each code.
        of_code: Vec<f64>,
        missing: f64,
    },
}

impl Categories {
    fn of(feature: &CategoricalFeature, known: &[(String, u64)]) -> Self {
        let levels = known.iter().map(|(text, _)| feature.level(text));
        match &feature.bins {
            None => Self::OneHot {
                width: feature.width(),
                of_code: levels.map(|level| level.unwrap_or(usize::MAX)).collect(),
                fill: feature.fill.map_or(usize::MAX, |level| level as usize),
            },
            Some(bins) => Self::Weights {
                of_code: levels.map(|level| feature.woe(level)).collect(),
                missing: bins.missing_woe(),
            },
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::OneHot { width, .. } => *width,
            Self::Weights { .. } => 1,
        }
    }

    /// Sets the features of the column, from feature `first` on.
    fn spread(&self, codes: &[f64], first: usize, into: &mut Block) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in the list"
        )]
        let place = |code: f64| code as usize;
        match self {
            Self::OneHot { width, of_code, fill } => {
                for level in 0..*width {
                    into.column_mut(first + level)[..codes.len()].fill(0.0);
                }
                for (row, code) in codes.iter().enumerate() {
                    let level = if code.is_nan() {
                        *fill
                    } else {
                        of_code.get(place(*code)).copied().unwrap_or(usize::MAX)
                    };
                    if level < *width {
                        into.column_mut(first + level)[row] = 1.0;
                    }
                }
            }
            Self::Weights { of_code, missing } => {
                for (to, code) in into.column_mut(first).iter_mut().zip(codes) {
                    let known = of_code.get(place(*code)).copied().unwrap_or(0.0);
                    *to = if code.is_nan() { *missing } else { known };
                }
            }
        }
    }
}

impl<'a> EncodedRows<'a> {
    /// The `rows` encoded by `encoder`; `levels` are the values of categorical columns with their
    /// counts, in the order of their codes.
    pub(super) fn new(
        rows: &'a PackedBlocks,
        encoder: &'a Encoder,
        levels: &[&[(String, u64)]],
    ) -> Self {
        let columns = encoder.categorical.iter().zip(levels);
        let categories = columns.map(|(feature, known)| Categories::of(feature, known)).collect();
        Self { rows, encoder, width: encoder.width(), categories }
    }
}

/// Sets the features of a numeric column, from feature `first` on.
fn spread(feature: &NumericFeature, values: &[f64], first: usize, into: &mut Block) {
    for j in 0..feature.width() {
        for (to, value) in into.column_mut(first + j).iter_mut().zip(values) {
            *to = feature.feature(j, *value);
        }
    }
}

/// Sets the features of all columns of dates, from feature `first` on; returns the one after them.
fn spread_dates(
    features: &[DateFeature],
    columns: &[&[f64]],
    mut first: usize,
    into: &mut Block,
) -> usize {
    for (at, feature) in features.iter().enumerate() {
        let (width, ages) = (feature.width(), feature.ages());
        for j in 0..width {
            into.column_mut(first + j)[..columns[at].len()].fill(0.0);
        }
        for (row, days) in columns[at].iter().enumerate() {
            if let Some(age) = dates::age(features, at, |column| columns[column][row]) {
                into.column_mut(first)[row] = age;
            }
            // Not finite where no date replaces a missing one, which a fit refuses.
            let filled = feature.filled(*days);
            if filled.is_nan() && width > ages {
                into.column_mut(first + ages)[row] = filled;
            }
            for one in feature.ones(filled) {
                into.column_mut(first + one)[row] = 1.0;
            }
        }
        first += width;
    }
    first
}

impl Blocks for EncodedRows<'_> {
    fn features(&self) -> usize {
        self.width
    }

    fn rows(&self) -> u64 {
        self.rows.rows()
    }

    fn positives(&self) -> u64 {
        self.rows.positives()
    }

    fn name(&self, j: usize) -> String {
        let names = self.encoder.feature_names();
        names.get(j).map_or_else(String::new, |name| format!("\"{name}\""))
    }

    fn blocks(&self) -> usize {
        self.rows.blocks()
    }

    fn holders(&self) -> Option<&dyn Holders> {
        self.rows.holders()
    }

    fn read(&self, index: usize, into: &mut Block) -> Result<()> {
        let Encoder { numeric, dates, .. } = self.encoder;
        let mut first = 0;
        if let Some(last) = self.rows.last(index) {
            let rows = last.rows();
            into.labels_mut()[..rows].copy_from_slice(last.labels());
            for (j, feature) in numeric.iter().enumerate() {
                spread(feature, last.column(j), first, into);
                first += feature.width();
            }
            let numbers = numeric.len() + dates.len();
            let columns: Vec<&[f64]> =
                (numeric.len()..numbers).map(|column| last.column(column)).collect();
            first = spread_dates(dates, &columns, first, into);
            for (j, categories) in self.categories.iter().enumerate() {
                categories.spread(last.column(numbers + j), first, into);
                first += categories.width();
            }
            into.set_rows(rows);
            return Ok(());
        }
        let mut buffer = std::mem::take(into.bytes_mut());
        let mut frame = self.rows.frame(index, &mut buffer)?;
        frame.labels(into.labels_mut());
        for feature in numeric {
            if feature.shape == Shape::Line {
                frame.column(into.column_mut(first), feature.fill.unwrap_or(f64::NAN))?;
            } else {
                let mut values = [0.0; BLOCK_ROWS];
                frame.column(&mut values, f64::NAN)?;
                spread(feature, &values, first, into);
            }
            first += feature.width();
        }
        if !dates.is_empty() {
            let mut columns = vec![[0.0; BLOCK_ROWS]; dates.len()];
            for column in &mut columns {
                frame.column(column, f64::NAN)?;
            }
            let columns: Vec<&[f64]> = columns.iter().map(<[f64; BLOCK_ROWS]>::as_slice).collect();
            first = spread_dates(dates, &columns, first, into);
        }
        for categories in &self.categories {
            let mut codes = [0.0; BLOCK_ROWS];
            frame.column(&mut codes, f64::NAN)?;
            categories.spread(&codes, first, into);
            first += categories.width();
        }
        into.set_rows(BLOCK_ROWS);
        *into.bytes_mut() = buffer;
        Ok(())
    }
}
