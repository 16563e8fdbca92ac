//! The standard errors of a model's features, for the quantities that the report shows.
//!
//! The covariance that they come from is in `fit`.

use super::encoder::Encoder;
use super::fit::Covariance;

/// The standard error of each feature: of its coefficient, or of the difference between a category and the most
/// frequent one of its column (the first one of a part of a date). `None` where the data do not determine it, for the
/// category that is compared with, and where it is not known which one is the most frequent.
pub(crate) fn standard_errors(encoder: &Encoder, covariance: &Covariance) -> Vec<Option<f64>> {
    let mut errors = Vec::new();
    let own = |j: usize| covariance.standard_error(&[(j, 1.0)]);
    let between = |j: usize, base: usize| {
        (j != base).then(|| covariance.standard_error(&[(j, 1.0), (base, -1.0)])).flatten()
    };
    let mut ranges = encoder.features_of_columns().into_iter().map(|(_, range)| range);
    for (_, range) in encoder.numeric.iter().zip(&mut ranges) {
        errors.extend(range.map(own));
    }
    for (column, range) in encoder.dates.iter().zip(&mut ranges) {
        let ages = column.width() - column.categories().map(|(_, width)| width).sum::<usize>();
        errors.extend((range.start..range.start + ages).map(own));
        for (at, width) in column.categories() {
            let first = range.start + at;
            errors.extend((first..first + width).map(|j| between(j, first)));
        }
    }
    for (column, range) in encoder.categorical.iter().zip(ranges) {
        let start = range.start;
        match (&column.bins, column.fill) {
            (Some(_), _) => errors.extend(range.map(own)),
            (None, Some(fill)) => errors.extend(range.map(|j| between(j, start + fill as usize))),
            (None, None) => errors.extend(range.map(|_| None)),
        }
    }
    errors
}
