//! A `Scorecard` with reason codes: for models whose columns all have bins or categories.
//!
//! With `training.scorecard` its score is the points that the service answers, whole numbers included;
//! without, it is the log-odds. Reasons are the columns that make the positive label more likely than the
//! reference of an explanation does, the one that adds most first. Not for probabilities from points,
//! which are rounded: see [`super::regression`].

use std::fmt::Write as _;

use mlops_core::config::Scale;
use mlops_core::model::Explainer;
use mlops_core::release::Release;

use super::{apply, constant, dictionary, escaped, file, mining, quoted};
use crate::formula::{Formula, Term};

/// How many reasons a reader is asked for.
const REASONS: usize = 4;

/// The document; `None` if a column of the model has neither bins nor categories.
pub fn document(formula: &Formula, release: &Release) -> Option<String> {
    let scale = release.model.scale;
    let explainer = Explainer::new(&release.model);
    let mut characteristics = String::new();
    for (at, term) in formula.terms.iter().enumerate() {
        let reference = unit(scale, explainer.reference_part(at));
        let attributes = match term {
            Term::Bins { column, edges, adds, missing } => {
                of_bins(scale, &formula.numbers[*column], edges, adds, *missing)
            }
            Term::Texts { column, adds, other, missing } => {
                of_texts(scale, &formula.texts[*column], adds, *other, *missing)
            }
            Term::Line { .. } | Term::Spline { .. } | Term::Age { .. } | Term::Calendar { .. } => {
                return None;
            }
        };
        let name = quoted(explainer.name(at));
        let _ = write!(
            characteristics,
            "      <Characteristic name={name} reasonCode={name} baselineScore=\"{reference:?}\">\n\
             {attributes}      </Characteristic>\n"
        );
    }
    let base = scale.map_or(formula.intercept, |scale| {
        (scale.offset() + scale.factor() * formula.intercept).round()
    });
    let target = quoted(release.model.schema.target());
    let model = format!(
        "  <Scorecard modelName={name} functionName=\"regression\" initialScore=\"{base:?}\" \
         useReasonCodes=\"true\" reasonCodeAlgorithm=\"{algorithm}\" baselineMethod=\"other\">\n\
         \x20   <MiningSchema>\n{mining}\
         \x20     <MiningField name={target} usageType=\"target\"/>\n\
         \x20   </MiningSchema>\n\
         \x20   <Output>\n{output}\x20   </Output>\n\
         \x20   <Characteristics>\n{characteristics}\x20   </Characteristics>\n\
         \x20 </Scorecard>\n",
        name = quoted(release.id.as_str()),
        algorithm = if unit(scale, 1.0) > 0.0 { "pointsAbove" } else { "pointsBelow" },
        mining = mining(formula),
        output = output(formula, scale),
    );
    let score =
        format!("    <DataField name={target} optype=\"continuous\" dataType=\"double\"/>\n");
    Some(file(release, &(dictionary(formula) + &score), &model))
}

/// Log-odds as what the document counts in: points before rounding, or log-odds.
fn unit(scale: Option<Scale>, log_odds: f64) -> f64 {
    scale.map_or(log_odds, |scale| scale.factor() * log_odds)
}

/// The score, its reasons and, where the score is not rounded, the probability.
fn output(formula: &Formula, scale: Option<Scale>) -> String {
    let score = if scale.is_some() { "points" } else { "log_odds" };
    let score = quoted(&formula.free_name(score));
    let mut fields = format!(
        "      <OutputField name={score} optype=\"continuous\" dataType=\"double\" \
         feature=\"predictedValue\"/>\n"
    );
    if scale.is_none() {
        let field = format!("<FieldRef field={score}/>");
        let negative = apply("-", &[&constant(0.0), &field]);
        let odds = apply("+", &[&constant(1.0), &apply("exp", &[&negative])]);
        let _ = writeln!(
            fields,
            "      <OutputField name={} optype=\"continuous\" dataType=\"double\" \
             feature=\"transformedValue\">{}</OutputField>",
            quoted(&formula.free_name("probability")),
            apply("/", &[&constant(1.0), &odds])
        );
    }
    for rank in 1..=REASONS.min(formula.terms.len()) {
        let _ = writeln!(
            fields,
            "      <OutputField name={} optype=\"categorical\" dataType=\"string\" \
             feature=\"reasonCode\" rank=\"{rank}\"/>",
            quoted(&formula.free_name(&format!("reason_{rank}")))
        );
    }
    fields
}

fn attribute(scale: Option<Scale>, add: f64, predicate: &str) -> String {
    let score = if scale.is_some() { unit(scale, add).round() } else { add };
    format!("        <Attribute partialScore=\"{score:?}\">{predicate}</Attribute>\n")
}

fn predicate(name: &str, operator: &str, value: Option<f64>) -> String {
    let value = value.map_or_else(String::new, |value| format!(" value=\"{value:?}\""));
    format!("<SimplePredicate field={} operator=\"{operator}\"{value}/>", quoted(name))
}

fn of_bins(
    scale: Option<Scale>,
    name: &str,
    edges: &[f64],
    adds: &[f64],
    missing: Option<f64>,
) -> String {
    let mut attributes = String::new();
    for (bin, add) in adds.iter().enumerate() {
        let above = bin.checked_sub(1).and_then(|at| edges.get(at));
        let above = above.map(|edge| predicate(name, "greaterThan", Some(*edge)));
        let up_to = edges.get(bin).map(|edge| predicate(name, "lessOrEqual", Some(*edge)));
        let within = match (above, up_to) {
            (None, None) => predicate(name, "isNotMissing", None),
            (Some(one), None) | (None, Some(one)) => one,
            (Some(above), Some(up_to)) => format!(
                "<CompoundPredicate booleanOperator=\"and\">{above}{up_to}</CompoundPredicate>"
            ),
        };
        attributes += &attribute(scale, *add, &within);
    }
    attributes + &of_missing(scale, name, missing)
}

/// Texts that add the same share an attribute.
fn of_texts(
    scale: Option<Scale>,
    name: &str,
    adds: &[(String, f64)],
    other: f64,
    missing: Option<f64>,
) -> String {
    // A text that is known to be missing comes before the others, among which it would be unknown.
    let mut attributes = of_missing(scale, name, missing);
    let mut groups: Vec<(f64, Vec<&str>)> = Vec::new();
    for (text, add) in adds {
        match groups.iter_mut().find(|(of, _)| of.to_bits() == add.to_bits()) {
            Some((_, texts)) => texts.push(text),
            None => groups.push((*add, vec![text])),
        }
    }
    for (add, texts) in &groups {
        let spelt = texts.iter().map(|text| array_element(text)).collect::<Vec<_>>().join(" ");
        let among = format!(
            "<SimpleSetPredicate field={} booleanOperator=\"isIn\"><Array type=\"string\" \
             n=\"{}\">{}</Array></SimpleSetPredicate>",
            quoted(name),
            texts.len(),
            escaped(&spelt)
        );
        attributes += &attribute(scale, *add, &among);
    }
    attributes + &attribute(scale, other, &predicate(name, "isNotMissing", None))
}

fn of_missing(scale: Option<Scale>, name: &str, missing: Option<f64>) -> String {
    missing
        .map_or_else(String::new, |add| attribute(scale, add, &predicate(name, "isMissing", None)))
}

/// A text as an element of an array, whose elements blanks separate.
fn array_element(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}
