//! A model as a sum that any tool can compute: an intercept and, for each column, what its value adds to
//! the log-odds.
//!
//! Each form of export is written from it. [`Formula::of`] checks it on the golden rows of the release
//! first, so that no form can be written of a formula that predicts something else. Not for fast
//! predictions: see `mlops_core::model::Predictor`.

use mlops_core::evaluation::metrics::classify;
use mlops_core::model::{
    AgeAt, CategoricalFeature, DateFeature, Golden, Holds, Model, NumericFeature, Shape, Spline,
};
use mlops_core::table::date::month_and_weekday;
use mlops_core::table::schema::Role;
use mlops_core::{Error, Result};

/// The largest difference of a golden probability that rounding explains.
const TOLERANCE: f64 = 1e-12;

/// Everything that a prediction takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    /// Columns that identify a row; they add nothing.
    pub ids: Vec<String>,
    /// Columns of numbers, then of dates, as days since 1970.
    pub numbers: Vec<String>,
    /// How many of `numbers` are dates.
    pub dates: usize,
    /// Columns of texts.
    pub texts: Vec<String>,
    /// Spellings of a missing text, besides the empty one.
    pub missing: Vec<String>,
    /// The log-odds that every row starts with.
    pub intercept: f64,
    /// What the columns add.
    pub terms: Vec<Term>,
    /// A row whose probability is above it is predicted positive.
    pub threshold: f64,
    /// The positive and the negative label.
    pub labels: [String; 2],
}

/// A standardised number with its coefficient: `weight * ((x - mean) / scale)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaled {
    /// The coefficient.
    pub weight: f64,
    /// The mean of the training rows.
    pub mean: f64,
    /// Their standard deviation.
    pub scale: f64,
}

/// What one column adds to the log-odds. Columns are indices into [`Formula::numbers`] or
/// [`Formula::texts`]; without a `fill` or `missing` there is no prediction for a missing value.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// A number as it is.
    Line {
        /// The column of numbers.
        column: usize,
        /// Replaces a missing value.
        fill: Option<f64>,
        /// Its part.
        scaled: Scaled,
    },
    /// The terms of a natural cubic spline.
    Spline {
        /// The column of numbers.
        column: usize,
        /// Replaces a missing value.
        fill: Option<f64>,
        /// The curve.
        spline: Spline,
        /// One for each term.
        scaled: Vec<Scaled>,
    },
    /// A constant for each bin.
    Bins {
        /// The column of numbers.
        column: usize,
        /// Bin `i` holds the numbers above edge `i - 1` and up to edge `i`.
        edges: Vec<f64>,
        /// What each bin adds: one more than there are edges.
        adds: Vec<f64>,
        /// What a missing value adds.
        missing: Option<f64>,
    },
    /// A constant for each text.
    Texts {
        /// The column of texts.
        column: usize,
        /// The known texts with what each adds.
        adds: Vec<(String, f64)>,
        /// What any other text adds.
        other: f64,
        /// What a missing value adds.
        missing: Option<f64>,
    },
    /// The days from a date to another one, or to a fixed day.
    Age {
        /// The column of dates, as an index into [`Formula::numbers`].
        column: usize,
        /// Replaces a missing date.
        fill: Option<f64>,
        /// Until when.
        until: Until,
        /// Its part.
        scaled: Scaled,
    },
    /// A constant for each month, and one for each day of the week.
    Calendar {
        /// The column of dates, as an index into [`Formula::numbers`].
        column: usize,
        /// Replaces a missing date.
        fill: Option<f64>,
        /// From January, if months count.
        months: Option<Vec<f64>>,
        /// From Monday, if days of the week count.
        weekdays: Option<Vec<f64>>,
    },
}

/// When an age is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Until {
    /// At a fixed day, in days since 1970.
    Day(f64),
    /// At the date in another column, or at `fill` where that is missing.
    Column {
        /// The other column of dates, as an index into [`Formula::numbers`].
        column: usize,
        /// Replaces a missing date.
        fill: Option<f64>,
    },
}

impl Scaled {
    /// What the number `x` adds.
    pub fn of(self, x: f64) -> f64 {
        self.weight * ((x - self.mean) / self.scale)
    }
}

impl Term {
    /// Whether there is no prediction for a row that misses the value of the column.
    pub fn needs_a_value(&self) -> bool {
        match self {
            Self::Line { fill, .. }
            | Self::Spline { fill, .. }
            | Self::Age { fill, .. }
            | Self::Calendar { fill, .. } => fill.is_none(),
            Self::Bins { missing, .. } | Self::Texts { missing, .. } => missing.is_none(),
        }
    }
}

impl Formula {
    /// The formula of `model`, which gives the probabilities in `golden`.
    ///
    /// # Errors
    /// `Artifact` if it does not, naming `place`.
    pub fn of(model: &Model, golden: &Golden, place: &str) -> Result<Self> {
        let mut builder = Builder { model, next: 0, terms: Vec::new() };
        let encoder = &model.encoder;
        for (column, feature) in encoder.numeric.iter().enumerate() {
            builder.number(column, feature);
        }
        for at in 0..encoder.dates.len() {
            builder.date(encoder.numeric.len(), &encoder.dates, at);
        }
        for (column, feature) in encoder.categorical.iter().enumerate() {
            builder.text(column, feature);
        }
        let owned = |role| model.schema.names(role).map(str::to_owned).collect();
        let formula = Self {
            ids: owned(Role::Id),
            numbers: model.schema.numbers().map(str::to_owned).collect(),
            dates: encoder.dates.len(),
            texts: owned(Role::Categorical),
            missing: model.missing_values.iter().filter(|text| !text.is_empty()).cloned().collect(),
            intercept: model.fitted.intercept,
            terms: builder.terms,
            threshold: model.training.threshold,
            labels: [true, false].map(|positive| model.label(positive).to_owned()),
        };
        for (at, row) in golden.rows.iter().enumerate() {
            let numbers: Vec<f64> = row.numeric.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
            let found = formula.probability(&numbers, &row.categorical);
            let same = match (found, row.probability) {
                (None, None) => true,
                (Some(found), Some(known)) => (found - known).abs() <= TOLERANCE,
                _ => false,
            };
            if !same {
                let message = format!(
                    "golden row {at} has the probability {:?}, and an export of the model would give \
                     {found:?}: nothing is exported. Please report this",
                    row.probability
                );
                return Err(Error::artifact(place, message));
            }
        }
        Ok(formula)
    }

    /// The probability of the positive label for one row of numbers (NaN is missing) and texts (empty
    /// is missing); `None` if there is no prediction.
    pub fn probability(&self, numbers: &[f64], texts: &[String]) -> Option<f64> {
        let filled = |column: usize, fill: Option<f64>| {
            numbers.get(column).copied().filter(|x| !x.is_nan()).or(fill)
        };
        let mut log_odds = self.intercept;
        for term in &self.terms {
            log_odds += match term {
                Term::Line { column, fill, scaled } => scaled.of(filled(*column, *fill)?),
                Term::Spline { column, fill, spline, scaled } => {
                    let x = filled(*column, *fill)?;
                    scaled.iter().enumerate().map(|(j, scaled)| scaled.of(spline.term(j, x))).sum()
                }
                Term::Bins { column, edges, adds, missing } => match filled(*column, None) {
                    Some(x) => *adds.get(edges.partition_point(|edge| *edge < x))?,
                    None => (*missing)?,
                },
                Term::Texts { column, adds, other, missing } => {
                    let text = texts.get(*column)?;
                    match adds.iter().find(|(known, _)| known == text) {
                        _ if text.is_empty() => (*missing)?,
                        Some((_, add)) => *add,
                        None => *other,
                    }
                }
                Term::Age { column, fill, until, scaled } => {
                    let until = match until {
                        Until::Day(day) => *day,
                        Until::Column { column, fill } => filled(*column, *fill)?,
                    };
                    scaled.of(until - filled(*column, *fill)?)
                }
                Term::Calendar { column, fill, months, weekdays } => {
                    let (month, weekday) = month_and_weekday(filled(*column, *fill)?)?;
                    let of = |adds: &Option<Vec<f64>>, at: usize| {
                        adds.as_ref().and_then(|adds| adds.get(at)).copied().unwrap_or(0.0)
                    };
                    of(months, month) + of(weekdays, weekday)
                }
            };
        }
        let probability = 1.0 / (1.0 + (-log_odds).exp());
        (!probability.is_nan()).then_some(probability)
    }

    /// `name`, with lines below where a column has that name.
    pub fn free_name(&self, name: &str) -> String {
        let mut name = name.to_owned();
        while self.numbers.contains(&name) || self.texts.contains(&name) {
            name.push('_');
        }
        name
    }

    /// Whether a row with this probability is predicted positive.
    pub fn positive(&self, probability: f64) -> bool {
        classify(probability, self.threshold)
    }
}

/// Walks through the features of a model in the order of the coefficients.
struct Builder<'a> {
    model: &'a Model,
    next: usize,
    terms: Vec<Term>,
}

impl Builder<'_> {
    fn scaled(&mut self) -> Scaled {
        let Model { scaler, fitted, .. } = self.model;
        let j = self.next;
        self.next += 1;
        Scaled { weight: fitted.coefficients[j], mean: scaler.mean[j], scale: scaler.scale[j] }
    }

    fn number(&mut self, column: usize, feature: &NumericFeature) {
        let fill = feature.fill;
        let term = match &feature.shape {
            Shape::Line => Term::Line { column, fill, scaled: self.scaled() },
            Shape::Spline(spline) => {
                let scaled = (0..spline.width()).map(|_| self.scaled()).collect();
                Term::Spline { column, fill, spline: spline.clone(), scaled }
            }
            Shape::Bins(bins) => {
                let scaled = self.scaled();
                let edges = match &bins.holds {
                    Holds::Up(edges) => edges.clone(),
                    Holds::Levels(_) => Vec::new(),
                };
                let adds = bins.bins.iter().map(|bin| scaled.of(bin.woe)).collect();
                Term::Bins {
                    column,
                    edges,
                    adds,
                    missing: bins.missing.map(|bin| scaled.of(bin.woe)),
                }
            }
        };
        self.terms.push(term);
    }

    /// The terms of column `at` of dates, of which the first is column `first` of numbers.
    fn date(&mut self, first: usize, columns: &[DateFeature], at: usize) {
        let feature = &columns[at];
        let (column, fill) = (first + at, feature.fill);
        let until = match feature.reference {
            AgeAt::Nothing => None,
            AgeAt::Day(day) => Some(Until::Day(day)),
            AgeAt::Column(other) => {
                let other = other as usize;
                let fill = columns.get(other).and_then(|column| column.fill);
                Some(Until::Column { column: first + other, fill })
            }
        };
        if let Some(until) = until {
            let scaled = self.scaled();
            self.terms.push(Term::Age { column, fill, until, scaled });
        }
        let mut adds = |wanted: bool, count: usize| {
            wanted.then(|| (0..count).map(|_| self.scaled().weight).collect::<Vec<_>>())
        };
        let (months, weekdays) = (adds(feature.month, 12), adds(feature.weekday, 7));
        self.terms.push(Term::Calendar { column, fill, months, weekdays });
    }

    fn text(&mut self, column: usize, feature: &CategoricalFeature) {
        let term = if let Some(bins) = &feature.bins {
            let scaled = self.scaled();
            let of = |level: Option<usize>| scaled.of(feature.woe(level));
            let known = feature.levels.iter().chain(&feature.pooled);
            let adds = known.map(|text| (text.clone(), of(feature.level(text)))).collect();
            let missing = bins.missing.map(|bin| scaled.of(bin.woe));
            Term::Texts { column, adds, other: of(None), missing }
        } else {
            let weights: Vec<f64> = (0..feature.count()).map(|_| self.scaled().weight).collect();
            let of = |level: usize| weights.get(level).copied().unwrap_or_default();
            let known = feature.levels.iter().chain(&feature.pooled);
            let adds = known.map(|text| {
                let level = feature.level(text).map_or(0.0, of);
                (text.clone(), level)
            });
            let adds = adds.collect();
            let missing = feature.fill.map(|level| of(level as usize));
            Term::Texts { column, adds, other: 0.0, missing }
        };
        self.terms.push(term);
    }
}
