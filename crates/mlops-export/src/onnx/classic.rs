//! A model as an ONNX graph of the operators of classic machine learning: imputer, scaler, one-hot encoder
//! and linear classifier.
//!
//! These have only floats, so that probabilities hold to about six digits. Inputs as in `core`, but numbers
//! as floats; outputs `label`, and `probabilities` of the negative and the positive label. Not for splines,
//! bins and dates, which these operators do not have: [`file()`] names the columns that need `core`.

use super::graph::{Builder, float, floats, integer, text, texts};
use super::proto::elements;
use crate::formula::{Formula, Scaled, Term};

/// The columns that cannot be written in this form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsuited {
    /// Their names.
    pub columns: Vec<String>,
}

/// The bytes of the file.
///
/// # Errors
/// [`Unsuited`], naming columns whose features are no plain numbers and categories, or that forbid a
/// prediction where they are missing.
pub fn file(
    formula: &Formula,
    release: &str,
    about: &str,
    facts: Vec<(&str, String)>,
) -> Result<Vec<u8>, Unsuited> {
    let columns = unsuited(formula);
    if !columns.is_empty() {
        return Err(Unsuited { columns });
    }
    let outputs = ["label", "probabilities"].map(|name| formula.free_name(name));
    let names = formula.numbers.iter().chain(&formula.texts).cloned();
    let mut builder = Builder::new(names.chain(outputs.clone()));
    for name in &formula.numbers {
        builder.input(name, elements::FLOAT, None);
    }
    for name in &formula.texts {
        builder.input(name, elements::STRING, None);
    }
    let axis = builder.integers(&[1]);
    let (mut parts, mut weights) = (Vec::new(), Vec::new());
    let lines = formula.terms.iter().filter_map(|term| match term {
        Term::Line { column, fill: Some(fill), scaled } => Some((*column, *fill, *scaled)),
        _ => None,
    });
    let lines: Vec<(usize, f64, Scaled)> = lines.collect();
    if !lines.is_empty() {
        let matrix: Vec<String> = lines
            .iter()
            .map(|(column, _, _)| builder.step("Unsqueeze", &[&formula.numbers[*column], &axis]))
            .collect();
        let matrix: Vec<&str> = matrix.iter().map(String::as_str).collect();
        let matrix = builder.step_with("Concat", &matrix, vec![integer("axis", 1)]);
        let fill = floats("imputed_value_floats", lines.iter().map(|line| line.1));
        let missing = float("replaced_value_float", f32::NAN);
        let [filled] = builder.classic("Imputer", &[&matrix], vec![fill, missing]);
        let offset = floats("offset", lines.iter().map(|line| line.2.mean));
        let scale = floats("scale", lines.iter().map(|line| 1.0 / line.2.scale));
        let [standardised] = builder.classic("Scaler", &[&filled], vec![offset, scale]);
        parts.push(standardised);
        weights.extend(lines.iter().map(|line| line.2.weight));
    }
    for term in &formula.terms {
        let Term::Texts { column, adds, missing: Some(missing), .. } = term else { continue };
        let name = &formula.texts[*column];
        let spellings = || formula.missing.iter().map(String::as_str).chain([""]);
        let known = || adds.iter().map(|(text, _)| text.as_str()).chain(spellings());
        let x = builder.step("Unsqueeze", &[name, &axis]);
        let categories = texts("cats_strings", known());
        let [one_hot] =
            builder.classic("OneHotEncoder", &[&x], vec![categories, integer("zeros", 1)]);
        // One value for each row and column of texts has an axis too many.
        let flat = builder.integers(&[-1, i64::try_from(known().count()).unwrap_or(i64::MAX)]);
        parts.push(builder.step("Reshape", &[&one_hot, &flat]));
        weights.extend(adds.iter().map(|(_, add)| *add));
        weights.extend(spellings().map(|_| *missing));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let features = builder.step_with("Concat", &parts, vec![integer("axis", 1)]);
    let negated = weights.iter().map(|weight| -weight);
    let [positive, negative] = &formula.labels;
    let [_, probabilities] = builder.classic(
        "LinearClassifier",
        &[&features],
        vec![
            floats("coefficients", negated.chain(weights.iter().copied())),
            floats("intercepts", [-formula.intercept, formula.intercept]),
            texts("classlabels_strings", [negative.as_str(), positive.as_str()]),
            text("post_transform", "LOGISTIC"),
        ],
    );
    // The classifier's own label is the likelier one, whatever the threshold.
    let second = builder.integers(&[1]);
    let column = builder.step_with("Gather", &[&probabilities, &second], vec![integer("axis", 1)]);
    let column = builder.step("Squeeze", &[&column, &axis]);
    #[expect(clippy::cast_possible_truncation, reason = "probabilities are floats here")]
    let threshold = builder.float(formula.threshold as f32);
    let is_positive = builder.step("Greater", &[&column, &threshold]);
    let positive = builder.texts([positive.as_str()], &[]);
    let negative = builder.texts([negative.as_str()], &[]);
    let label = builder.step("Where", &[&is_positive, &positive, &negative]);
    builder.output(&outputs[0], &label, elements::STRING, None);
    builder.output(&outputs[1], &probabilities, elements::FLOAT, Some(2));
    Ok(builder.finish(release, about, facts))
}

fn unsuited(formula: &Formula) -> Vec<String> {
    let name = |term: &Term| match term {
        Term::Line { fill: Some(_), .. } => None,
        Term::Texts { missing: Some(_), other, .. } if other.abs() < f64::MIN_POSITIVE => None,
        Term::Texts { column, .. } => formula.texts.get(*column).cloned(),
        Term::Line { column, .. }
        | Term::Spline { column, .. }
        | Term::Bins { column, .. }
        | Term::Age { column, .. }
        | Term::Calendar { column, .. } => formula.numbers.get(*column).cloned(),
    };
    let mut names: Vec<String> = formula.terms.iter().filter_map(name).collect();
    names.dedup();
    names
}
