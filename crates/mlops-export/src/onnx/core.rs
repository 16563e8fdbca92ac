//! A model as an ONNX graph of core operators, in doubles.
//!
//! One input for each column, with one value for each row: numbers and dates (as days since 1970) as
//! doubles, NaN where missing; texts as they are in a data set, empty where missing. Outputs: `log_odds`,
//! `probability` (NaN where there is no prediction) and `label`. Not for the operators of classic machine
//! learning: see `classic`.

use super::graph::{Builder, integer};
use super::proto::elements;
use crate::formula::{Formula, Scaled, Term, Until};

/// The bytes of the file.
pub fn file(formula: &Formula, release: &str, about: &str, facts: Vec<(&str, String)>) -> Vec<u8> {
    let names = formula.numbers.iter().chain(&formula.texts).cloned();
    let outputs = outputs(formula);
    let mut graph = Core { builder: Builder::new(names.chain(outputs.clone())), formula };
    for name in &formula.numbers {
        graph.builder.input(name, elements::DOUBLE, None);
    }
    for name in &formula.texts {
        graph.builder.input(name, elements::STRING, None);
    }
    let mut sum = graph.lines();
    for term in &formula.terms {
        if let Some(added) = graph.term(term) {
            sum = graph.builder.step("Add", &[&sum, &added]);
        }
    }
    let probability = graph.probability(&sum);
    let without = graph.missing(&probability);
    let Core { mut builder, .. } = graph;
    let threshold = builder.number(formula.threshold);
    let is_positive = builder.step("Greater", &[&probability, &threshold]);
    let [positive, negative] =
        [0, 1].map(|which| builder.texts([formula.labels[which].as_str()], &[]));
    let label = builder.step("Where", &[&is_positive, &positive, &negative]);
    // Without a prediction there is no label.
    let nothing = builder.texts([""], &[]);
    let label = builder.step("Where", &[&without, &nothing, &label]);
    builder.output(&outputs[0], &sum, elements::DOUBLE, None);
    builder.output(&outputs[1], &probability, elements::DOUBLE, None);
    builder.output(&outputs[2], &label, elements::STRING, None);
    builder.finish(release, about, facts)
}

/// The names of the outputs.
pub fn outputs(formula: &Formula) -> [String; 3] {
    ["log_odds", "probability", "label"].map(|name| formula.free_name(name))
}

struct Core<'a> {
    builder: Builder,
    formula: &'a Formula,
}

impl Core<'_> {
    /// The intercept with the parts of all plain numbers, computed as one matrix, since a model may have
    /// hundreds.
    fn lines(&mut self) -> String {
        let lines = self.formula.terms.iter().filter_map(|term| match term {
            Term::Line { column, fill, scaled } => {
                Some((*column, fill.unwrap_or(f64::NAN), *scaled))
            }
            _ => None,
        });
        let lines: Vec<(usize, f64, Scaled)> = lines.collect();
        let intercept = self.builder.number(self.formula.intercept);
        if lines.is_empty() {
            return self.spread(&intercept);
        }
        let axis = self.builder.integers(&[1]);
        let columns: Vec<String> = lines
            .iter()
            .map(|(column, _, _)| {
                self.builder.step("Unsqueeze", &[&self.formula.numbers[*column], &axis])
            })
            .collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let matrix = self.builder.step_with("Concat", &columns, vec![integer("axis", 1)]);
        let width = lines.len();
        let of = |f: &dyn Fn(&(usize, f64, Scaled)) -> f64| lines.iter().map(f).collect::<Vec<_>>();
        let fill = self.builder.numbers(&of(&|line| line.1), &[1, width]);
        let mean = self.builder.numbers(&of(&|line| line.2.mean), &[1, width]);
        let scale = self.builder.numbers(&of(&|line| line.2.scale), &[1, width]);
        let weight = self.builder.numbers(&of(&|line| line.2.weight), &[width]);
        let missing = self.missing(&matrix);
        let filled = self.builder.step("Where", &[&missing, &fill, &matrix]);
        let centred = self.builder.step("Sub", &[&filled, &mean]);
        let standardised = self.builder.step("Div", &[&centred, &scale]);
        let sum = self.builder.step("MatMul", &[&standardised, &weight]);
        self.builder.step("Add", &[&sum, &intercept])
    }

    /// The logistic function, written out since `Sigmoid` takes no doubles in tract.
    fn probability(&mut self, log_odds: &str) -> String {
        let negative = self.builder.step("Neg", &[log_odds]);
        let odds_against = self.builder.step("Exp", &[&negative]);
        let one = self.builder.number(1.0);
        let all = self.builder.step("Add", &[&odds_against, &one]);
        self.builder.step("Div", &[&one, &all])
    }

    /// Where `numbers` are NaN, which alone does not equal itself. `IsNaN` takes no doubles in tract.
    fn missing(&mut self, numbers: &str) -> String {
        let present = self.builder.step("Equal", &[numbers, numbers]);
        self.builder.step("Not", &[&present])
    }

    /// `number` for each row.
    fn spread(&mut self, number: &str) -> String {
        let first = self.formula.numbers.first().or(self.formula.texts.first());
        let shape = self.builder.step("Shape", &[first.map_or("", String::as_str)]);
        self.builder.step("Expand", &[number, &shape])
    }

    /// What a column adds, but for plain numbers.
    fn term(&mut self, term: &Term) -> Option<String> {
        Some(match term {
            Term::Line { .. } => return None,
            Term::Spline { column, fill, spline, scaled } => {
                let x = self.filled(*column, *fill);
                let mut sum: Option<String> = None;
                for (j, of) in scaled.iter().enumerate() {
                    let curve = self.curve(spline.knots(), j, &x);
                    let part = self.scaled(*of, &curve);
                    sum = Some(match sum {
                        None => part,
                        Some(sum) => self.builder.step("Add", &[&sum, &part]),
                    });
                }
                sum?
            }
            Term::Bins { column, edges, adds, missing } => {
                self.bins(*column, edges, adds, *missing)
            }
            Term::Texts { column, adds, other, missing } => {
                self.texts(*column, adds, *other, *missing)
            }
            Term::Age { column, fill, until, scaled } => {
                let from = self.filled(*column, *fill);
                let until = match until {
                    Until::Day(day) => self.builder.number(*day),
                    Until::Column { column, fill } => self.filled(*column, *fill),
                };
                let age = self.builder.step("Sub", &[&until, &from]);
                self.scaled(*scaled, &age)
            }
            Term::Calendar { column, fill, months, weekdays } => {
                let days = self.filled(*column, *fill);
                // NaN where the date is missing, else 0.
                let mut sum = self.builder.step("Sub", &[&days, &days]);
                let days = self.builder.step("Floor", &[&days]);
                if let Some(adds) = months {
                    let month = self.month(&days);
                    let part = self.chosen(&month, adds);
                    sum = self.builder.step("Add", &[&sum, &part]);
                }
                if let Some(adds) = weekdays {
                    let weekday = self.weekday(&days);
                    let part = self.chosen(&weekday, adds);
                    sum = self.builder.step("Add", &[&sum, &part]);
                }
                sum
            }
        })
    }

    fn filled(&mut self, column: usize, fill: Option<f64>) -> String {
        let name = &self.formula.numbers[column];
        let Some(fill) = fill else { return name.clone() };
        let fill = self.builder.number(fill);
        let name = name.clone();
        let missing = self.missing(&name);
        self.builder.step("Where", &[&missing, &fill, &name])
    }

    fn with(&mut self, operator: &str, x: &str, y: f64) -> String {
        let y = self.builder.number(y);
        self.builder.step(operator, &[x, &y])
    }

    fn scaled(&mut self, of: Scaled, x: &str) -> String {
        let centred = self.with("Sub", x, of.mean);
        let standardised = self.with("Div", &centred, of.scale);
        self.with("Mul", &standardised, of.weight)
    }

    /// Term `j` of the spline through `knots`, as `Spline::term` computes it.
    fn curve(&mut self, knots: &[f64], j: usize, x: &str) -> String {
        let [first, .., before, last] = knots else { return x.to_owned() };
        if j == 0 {
            return x.to_owned();
        }
        let unit = |value: f64| (value - first) / (last - first);
        let (knot, before) = (unit(knots[j - 1]), unit(*before));
        let u = self.with("Sub", x, *first);
        let u = self.with("Div", &u, last - first);
        let mut cube = |of: f64| {
            let v = self.with("Sub", &u, of);
            let v = self.with("Max", &v, 0.0);
            let square = self.builder.step("Mul", &[&v, &v]);
            let cube = self.builder.step("Mul", &[&square, &v]);
            self.with("Div", &cube, 1.0 - of)
        };
        let (one, other) = (cube(knot), cube(before));
        let within = self.builder.step("Sub", &[&one, &other]);
        let beyond = self.with("Mul", &u, 3.0);
        let beyond = self.with("Sub", &beyond, knot);
        let beyond = self.with("Sub", &beyond, before);
        let beyond = self.with("Sub", &beyond, 1.0);
        let beyond = self.with("Mul", &beyond, before - knot);
        let is_beyond = self.with("GreaterOrEqual", &u, 1.0);
        let curve = self.builder.step("Where", &[&is_beyond, &beyond, &within]);
        // The maximum of NaN and 0 is not the same everywhere.
        let missing = self.missing(&u);
        self.builder.step("Where", &[&missing, &u, &curve])
    }

    fn bins(&mut self, column: usize, edges: &[f64], adds: &[f64], missing: Option<f64>) -> String {
        let name = self.formula.numbers[column].clone();
        let axis = self.builder.integers(&[1]);
        let x = self.builder.step("Unsqueeze", &[&name, &axis]);
        let width = adds.len();
        let lower: Vec<f64> =
            std::iter::once(f64::NEG_INFINITY).chain(edges.iter().copied()).collect();
        let upper: Vec<f64> = edges.iter().copied().chain([f64::INFINITY]).collect();
        let lower = self.builder.numbers(&lower, &[1, width]);
        let upper = self.builder.numbers(&upper, &[1, width]);
        let above = self.builder.step("Greater", &[&x, &lower]);
        let within = self.builder.step("LessOrEqual", &[&x, &upper]);
        let bin = self.builder.step("And", &[&above, &within]);
        let bin = self.doubles(&bin);
        let adds = self.builder.numbers(adds, &[width]);
        let added = self.builder.step("MatMul", &[&bin, &adds]);
        let missing = self.builder.number(missing.unwrap_or(f64::NAN));
        let is_missing = self.missing(&name);
        self.builder.step("Where", &[&is_missing, &missing, &added])
    }

    fn texts(
        &mut self,
        column: usize,
        adds: &[(String, f64)],
        other: f64,
        missing: Option<f64>,
    ) -> String {
        let name = self.formula.texts[column].clone();
        let axis = self.builder.integers(&[1]);
        let x = self.builder.step("Unsqueeze", &[&name, &axis]);
        let width = adds.len();
        let known = self.builder.texts(adds.iter().map(|(text, _)| text.as_str()), &[1, width]);
        let is_known = self.builder.step("Equal", &[&x, &known]);
        let is_known = self.doubles(&is_known);
        let weights: Vec<f64> = adds.iter().map(|(_, add)| add - other).collect();
        let weights = self.builder.numbers(&weights, &[width]);
        let added = self.builder.step("MatMul", &[&is_known, &weights]);
        let added = self.with("Add", &added, other);
        let spellings: Vec<&str> =
            self.formula.missing.iter().map(String::as_str).chain([""]).collect();
        let width = spellings.len();
        let spellings = self.builder.texts(spellings, &[1, width]);
        let is_missing = self.builder.step("Equal", &[&x, &spellings]);
        let is_missing = self.doubles(&is_missing);
        let ones = self.builder.numbers(&vec![1.0; width], &[width]);
        let is_missing = self.builder.step("MatMul", &[&is_missing, &ones]);
        let is_missing = self.with("Greater", &is_missing, 0.5);
        let missing = self.builder.number(missing.unwrap_or(f64::NAN));
        self.builder.step("Where", &[&is_missing, &missing, &added])
    }

    fn doubles(&mut self, of: &str) -> String {
        let to = integer("to", i64::from(elements::DOUBLE));
        self.builder.step_with("Cast", &[of], vec![to])
    }

    /// The element of `adds` that `at` counts to, for each row.
    fn chosen(&mut self, at: &str, adds: &[f64]) -> String {
        let axis = self.builder.integers(&[1]);
        let at = self.builder.step("Unsqueeze", &[at, &axis]);
        let width = adds.len();
        let places: Vec<f64> = (0..width).map(|place| place as f64).collect();
        let places = self.builder.numbers(&places, &[1, width]);
        let chosen = self.builder.step("Equal", &[&at, &places]);
        let chosen = self.doubles(&chosen);
        let adds = self.builder.numbers(adds, &[width]);
        self.builder.step("MatMul", &[&chosen, &adds])
    }

    /// `floor(x / y)`.
    fn quotient(&mut self, x: &str, y: f64) -> String {
        let quotient = self.with("Div", x, y);
        self.builder.step("Floor", &[&quotient])
    }

    /// From 0 for Monday; the first of January 1970 was a Thursday.
    fn weekday(&mut self, days: &str) -> String {
        let days = self.with("Add", days, 3.0);
        let weeks = self.quotient(&days, 7.0);
        let weeks = self.with("Mul", &weeks, 7.0);
        self.builder.step("Sub", &[&days, &weeks])
    }

    /// From 0 for January, by `civil_from_days` of Howard Hinnant's "chrono-Compatible Low-Level Date
    /// Algorithms", whose integer divisions are floors here.
    fn month(&mut self, days: &str) -> String {
        let z = self.with("Add", days, 719_468.0);
        let era = self.quotient(&z, 146_097.0);
        let era = self.with("Mul", &era, 146_097.0);
        let day = self.builder.step("Sub", &[&z, &era]);
        let mut year = day.clone();
        for (operator, length) in [("Sub", 1_460.0), ("Add", 36_524.0), ("Sub", 146_096.0)] {
            let leap = self.quotient(&day, length);
            year = self.builder.step(operator, &[&year, &leap]);
        }
        let year = self.quotient(&year, 365.0);
        let mut begin = self.with("Mul", &year, 365.0);
        for (operator, length) in [("Add", 4.0), ("Sub", 100.0)] {
            let leap = self.quotient(&year, length);
            begin = self.builder.step(operator, &[&begin, &leap]);
        }
        let day = self.builder.step("Sub", &[&day, &begin]);
        let day = self.with("Mul", &day, 5.0);
        let day = self.with("Add", &day, 2.0);
        // From 0 for March, as years begin there.
        let month = self.quotient(&day, 153.0);
        let late = self.with("GreaterOrEqual", &month, 10.0);
        let next_year = self.with("Sub", &month, 10.0);
        let this_year = self.with("Add", &month, 2.0);
        self.builder.step("Where", &[&late, &next_year, &this_year])
    }
}
