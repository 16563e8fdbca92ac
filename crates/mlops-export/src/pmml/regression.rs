//! A `RegressionModel`, whose derived fields are the features.
//!
//! Features are standardised in derived fields rather than folded into coefficients, so that numbers far
//! from 0 lose no digits. Not for dates, which PMML counts in another way: they are days since 1970, as
//! numbers.

use std::fmt::Write as _;

use mlops_core::release::Release;

use super::{apply, constant, dictionary, escaped, file, mining, quoted};
use crate::formula::{Formula, Scaled, Term, Until};

/// The document.
pub fn document(formula: &Formula, release: &Release) -> String {
    let mut document =
        Document { formula, fields: String::new(), predictors: String::new(), names: Vec::new() };
    for term in &formula.terms {
        document.term(term);
    }
    let target = quoted(release.model.schema.target());
    let [positive, negative] = [0, 1].map(|which| quoted(&formula.labels[which]));
    let [probability, predicted] =
        ["probability", "predicted"].map(|name| quoted(&formula.free_name(name)));
    let label = format!(
        "    <DataField name={target} optype=\"categorical\" dataType=\"string\"><Value \
         value={positive}/><Value value={negative}/></DataField>\n"
    );
    let predicted_label = document.label(&probability);
    let Document { fields, predictors, .. } = document;
    // An empty list of transformations is not valid.
    let transformations = if fields.is_empty() {
        String::new()
    } else {
        format!("    <LocalTransformations>\n{fields}    </LocalTransformations>\n")
    };
    let model = format!(
        "  <RegressionModel modelName={name} functionName=\"classification\" \
         normalizationMethod=\"logit\">\n\
         \x20   <MiningSchema>\n{mining}\
         \x20     <MiningField name={target} usageType=\"target\"/>\n\
         \x20   </MiningSchema>\n\
         \x20   <Output>\n\
         \x20     <OutputField name={probability} optype=\"continuous\" dataType=\"double\" \
         feature=\"probability\" value={positive}/>\n\
         \x20     <OutputField name={predicted} optype=\"categorical\" dataType=\"string\" \
         feature=\"transformedValue\">{predicted_label}</OutputField>\n\
         \x20   </Output>\n\
         {transformations}\
         \x20   <RegressionTable targetCategory={positive} intercept=\"{intercept:?}\">\n{predictors}\
         \x20   </RegressionTable>\n\
         \x20   <RegressionTable targetCategory={negative} intercept=\"0\"/>\n\
         \x20 </RegressionModel>\n",
        mining = mining(formula),
        name = quoted(release.id.as_str()),
        intercept = formula.intercept,
    );
    file(release, &(dictionary(formula) + &label), &model)
}

struct Document<'a> {
    formula: &'a Formula,
    fields: String,
    predictors: String,
    /// The names of the derived fields.
    names: Vec<String>,
}

impl Document<'_> {
    /// Adds a field that `expression` computes, with a coefficient.
    fn predictor(&mut self, column: &str, expression: &str, coefficient: f64) {
        let name = quoted(&format!("{column} (feature {})", self.names.len() + 1));
        let _ = writeln!(
            self.fields,
            "      <DerivedField name={name} optype=\"continuous\" dataType=\"double\">{expression}\
             </DerivedField>"
        );
        let _ = writeln!(
            self.predictors,
            "      <NumericPredictor name={name} coefficient=\"{coefficient:?}\"/>"
        );
        self.names.push(name);
    }

    /// The label of a row. Without a prediction some readers do not define the field `probability`,
    /// which therefore is not asked for where a feature is missing.
    fn label(&self, probability: &str) -> String {
        let formula = self.formula;
        let field = format!("<FieldRef field={probability}/>");
        let positive = apply("greaterThan", &[&field, &constant(formula.threshold)]);
        let [yes, no] = [0, 1].map(|which| {
            format!("<Constant dataType=\"string\">{}</Constant>", escaped(&formula.labels[which]))
        });
        let label = apply("if", &[&positive, &yes, &no]);
        if !formula.terms.iter().any(Term::needs_a_value) {
            return label;
        }
        let there = |name: &String| apply("isNotMissing", &[&format!("<FieldRef field={name}/>")]);
        let there: Vec<String> = self.names.iter().map(there).collect();
        let all = match there.as_slice() {
            [one] => one.clone(),
            _ => apply("and", &there.iter().map(String::as_str).collect::<Vec<_>>()),
        };
        apply("if", &[&all, &label])
    }

    fn number(&self, column: usize, fill: Option<f64>) -> String {
        let name = &self.formula.numbers[column];
        let field = format!("<FieldRef field={}/>", quoted(name));
        let Some(fill) = fill else { return field };
        let missing = apply("isMissing", &[&field]);
        apply("if", &[&missing, &constant(fill), &field])
    }

    fn scaled(&mut self, column: &str, of: Scaled, x: &str) {
        let centred = apply("-", &[x, &constant(of.mean)]);
        let standardised = apply("/", &[&centred, &constant(of.scale)]);
        self.predictor(column, &standardised, of.weight);
    }

    fn term(&mut self, term: &Term) {
        let formula = self.formula;
        match term {
            Term::Line { column, fill, scaled } => {
                let x = self.number(*column, *fill);
                self.scaled(&formula.numbers[*column], *scaled, &x);
            }
            Term::Spline { column, fill, spline, scaled } => {
                let x = self.number(*column, *fill);
                for (j, of) in scaled.iter().enumerate() {
                    let curve = curve(spline.knots(), j, &x);
                    self.scaled(&formula.numbers[*column], *of, &curve);
                }
            }
            Term::Bins { column, edges, adds, missing } => {
                let x = self.number(*column, None);
                let mut expression = constant(adds.last().copied().unwrap_or_default());
                for (edge, add) in edges.iter().zip(adds).rev() {
                    let within = apply("lessOrEqual", &[&x, &constant(*edge)]);
                    expression = apply("if", &[&within, &constant(*add), &expression]);
                }
                let expression = or_missing(&x, *missing, &expression);
                self.predictor(&formula.numbers[*column], &expression, 1.0);
            }
            Term::Texts { column, adds, other, missing } => {
                let name = &formula.texts[*column];
                let field = format!("<FieldRef field={}/>", quoted(name));
                let mut table = format!(
                    "<MapValues outputColumn=\"add\" dataType=\"double\" defaultValue=\"{other:?}\">\
                     <FieldColumnPair field={} column=\"text\"/><InlineTable>",
                    quoted(name)
                );
                for (text, add) in adds {
                    let _ = write!(
                        table,
                        "<row><text>{}</text><add>{add:?}</add></row>",
                        escaped(text)
                    );
                }
                table.push_str("</InlineTable></MapValues>");
                let expression = or_missing(&field, *missing, &table);
                self.predictor(name, &expression, 1.0);
            }
            Term::Age { column, fill, until, scaled } => {
                let until = match until {
                    Until::Day(day) => constant(*day),
                    Until::Column { column, fill } => self.number(*column, *fill),
                };
                let age = apply("-", &[&until, &self.number(*column, *fill)]);
                self.scaled(&formula.numbers[*column], *scaled, &age);
            }
            Term::Calendar { column, fill, months, weekdays } => {
                let days = apply("floor", &[&self.number(*column, *fill)]);
                let name = &formula.numbers[*column];
                if let Some(adds) = months {
                    self.predictor(name, &chosen(&month(&days), adds), 1.0);
                }
                if let Some(adds) = weekdays {
                    self.predictor(name, &chosen(&weekday(&days), adds), 1.0);
                }
                if fill.is_none() && months.is_none() && weekdays.is_none() {
                    // A missing date forbids a prediction even if only its age counts.
                    self.predictor(name, &days, 0.0);
                }
            }
        }
    }
}

/// `expression`, or what a missing value adds: without that, a missing result.
fn or_missing(field: &str, missing: Option<f64>, expression: &str) -> String {
    let is_there = apply("isNotMissing", &[field]);
    if let Some(add) = missing {
        return apply("if", &[&is_there, expression, &constant(add)]);
    }
    apply("if", &[&is_there, expression])
}

/// The element of `adds` that `at` counts to.
fn chosen(at: &str, adds: &[f64]) -> String {
    let mut expression = constant(adds.last().copied().unwrap_or_default());
    for (place, add) in adds.iter().enumerate().rev().skip(1) {
        let here = apply("equal", &[at, &constant(place as f64)]);
        expression = apply("if", &[&here, &constant(*add), &expression]);
    }
    expression
}

fn quotient(x: &str, y: f64) -> String {
    apply("floor", &[&apply("/", &[x, &constant(y)])])
}

/// From 0 for Monday; the first of January 1970 was a Thursday.
fn weekday(days: &str) -> String {
    let days = apply("+", &[days, &constant(3.0)]);
    apply("-", &[&days, &apply("*", &[&quotient(&days, 7.0), &constant(7.0)])])
}

/// From 0 for January; the same steps as those of `onnx::core`.
fn month(days: &str) -> String {
    let z = apply("+", &[days, &constant(719_468.0)]);
    let era = apply("*", &[&quotient(&z, 146_097.0), &constant(146_097.0)]);
    let day = apply("-", &[&z, &era]);
    let year = apply("-", &[&day, &quotient(&day, 1_460.0)]);
    let year = apply("+", &[&year, &quotient(&day, 36_524.0)]);
    let year = quotient(&apply("-", &[&year, &quotient(&day, 146_096.0)]), 365.0);
    let begin = apply("+", &[&apply("*", &[&year, &constant(365.0)]), &quotient(&year, 4.0)]);
    let begin = apply("-", &[&begin, &quotient(&year, 100.0)]);
    let day = apply("*", &[&apply("-", &[&day, &begin]), &constant(5.0)]);
    let month = quotient(&apply("+", &[&day, &constant(2.0)]), 153.0);
    let late = apply("greaterOrEqual", &[&month, &constant(10.0)]);
    let next_year = apply("-", &[&month, &constant(10.0)]);
    let this_year = apply("+", &[&month, &constant(2.0)]);
    apply("if", &[&late, &next_year, &this_year])
}

/// Term `j` of the spline through `knots`, as `Spline::term` computes it.
fn curve(knots: &[f64], j: usize, x: &str) -> String {
    let [first, .., before, last] = knots else { return x.to_owned() };
    if j == 0 {
        return x.to_owned();
    }
    let unit = |value: f64| (value - first) / (last - first);
    let (knot, before) = (unit(knots[j - 1]), unit(*before));
    let u = apply("/", &[&apply("-", &[x, &constant(*first)]), &constant(last - first)]);
    let cube = |of: f64| {
        let v = apply("-", &[&u, &constant(of)]);
        let above = apply("max", &[&v, &constant(0.0)]);
        apply("/", &[&apply("*", &[&apply("*", &[&above, &above]), &above]), &constant(1.0 - of)])
    };
    let within = apply("-", &[&cube(knot), &cube(before)]);
    let beyond = apply("*", &[&constant(3.0), &u]);
    let beyond = apply("-", &[&beyond, &constant(knot)]);
    let beyond = apply("-", &[&beyond, &constant(before)]);
    let beyond = apply("*", &[&constant(before - knot), &apply("-", &[&beyond, &constant(1.0)])]);
    let is_beyond = apply("greaterOrEqual", &[&u, &constant(1.0)]);
    apply("if", &[&is_beyond, &beyond, &within])
}
