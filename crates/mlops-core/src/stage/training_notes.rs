//! Remarks of a training about its model: constant columns, large coefficients, splines and bins that
//! differ from what was configured, dates that hardly are dates.
//!
//! Remarks about rows that are left out are in [`super::excluded_rows`].

use crate::config::Shapes;
use crate::evaluation::leak::Leak;
use crate::model::{Encoder, Model, Shape};
use crate::table::date;
use crate::text;

/// What stands out in a model, whose columns `constants` have a single value.
pub(super) fn of_model(model: &Model, constants: &[String], leaks: &[Leak]) -> Vec<String> {
    let (mut notes, data) = (Vec::new(), &model.data);
    if data.dropped > data.rows {
        notes.push(format!(
            "most rows were left out for a missing value, {} of {}: with \"median\" or \"mean\", \
             \"training.missing\" fills such cells instead",
            text::count(data.dropped),
            text::plural(data.rows + data.dropped, "row")
        ));
    }
    if !constants.is_empty() {
        let one = constants.len() == 1;
        notes.push(format!(
            "{} {} constant in the training rows and therefore without effect",
            text::names(constants.iter().map(|name| format!("\"{name}\""))),
            if one { "is" } else { "are" }
        ));
    }
    let coefficients = model.features().into_iter().zip(&model.fitted.coefficients);
    let coefficients = coefficients.filter(|(name, _)| !leaks.iter().any(|leak| leak.has(name)));
    let largest = coefficients.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    if let Some((name, size)) = largest.filter(|(_, size)| size.abs() > 15.0) {
        notes.push(format!(
            "the coefficient of \"{}\" is {size:.1}: it may give the label away (separable data), so \
             that only the penalty \"training.C\" keeps it finite",
            text::visible(&name)
        ));
    }
    if model.tuned.prior_shift.abs() > 0.0 {
        notes.push(format!(
            "the classes were weighted as if both were equally frequent; {:+.4} was added to the \
             intercept, so that probabilities hold for rows of which {:.1} % are positive. The threshold \
             is {:.4}",
            model.tuned.prior_shift,
            100.0 * data.positives as f64 / data.rows.max(1) as f64,
            model.training.threshold
        ));
    }
    if let Some(reason) = &model.fitted.fallback {
        notes.push(format!("the Newton solver was used: {reason}"));
    }
    notes
}

/// What became of the columns with splines and bins, where it is not what was asked for.
pub(super) fn of_shapes(encoder: &Encoder, shapes: &Shapes) -> Vec<String> {
    let mut notes = Vec::new();
    for feature in &encoder.numeric {
        let name = text::visible(&feature.name);
        match (shapes.splines.get(&feature.name), &feature.shape) {
            (Some(_), Shape::Line) => notes.push(format!(
                "\"{name}\" has too few different values at its quantiles for a spline, and stays a \
                 straight line: consider \"training.bins\" for it"
            )),
            (Some(asked), Shape::Spline(spline)) if spline.knots().len() < *asked => {
                notes.push(format!(
                    "the spline of \"{name}\" has {} knots instead of {asked}, since many of its \
                     values are equal",
                    spline.knots().len()
                ));
            }
            _ => {}
        }
    }
    let numbers = encoder.numeric.iter().filter_map(|f| match &f.shape {
        Shape::Bins(bins) => Some((&f.name, bins)),
        Shape::Line | Shape::Spline(_) => None,
    });
    let levels = encoder.categorical.iter().filter_map(|f| Some((&f.name, f.bins.as_ref()?)));
    for (name, _) in numbers.chain(levels).filter(|(_, bins)| bins.bins.len() < 2) {
        notes.push(format!(
            "\"{}\" has a single bin: no bins of it are large enough and differ in their share of \
             positives, so that only missing values can have an effect",
            text::visible(name)
        ));
    }
    notes
}

/// Columns of dates that have features, each with a date that hardly is one.
pub(super) fn of_dates(encoder: &Encoder, unlikely: &[(String, f64)]) -> Vec<String> {
    let used = |name: &String| encoder.dates.iter().any(|f| f.name == *name && f.width() > 0);
    let unlikely = unlikely.iter().filter(|(name, _)| used(name));
    unlikely
        .map(|(name, days)| {
            let spelt = date::spell(*days);
            format!(
                "\"{}\" has the date {spelt}, from which ages of centuries follow, beside which all others look the \
                 same: if it stands for an unknown date, add its spelling to \
                 \"ingestion.missing_values\" and run `ingestion --rebuild`",
                text::visible(name)
            )
        })
        .collect()
}
