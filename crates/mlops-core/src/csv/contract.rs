//! Checks good rows against the contract of their source, on the threads that parse them.
//!
//! Rules about a whole file, such as its number of rows, are in `dataset::agreement`; what a contract may
//! contain is in `config::contract`.

use std::collections::HashSet;

use regex_lite::Regex;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::canonical_cells::CanonicalCells;
use super::quarantine::{ErrorType, Rejected, Sign};
use super::row_hash::{Extent, Row};
use crate::config::contract::{Bound, ColumnContract, Contract, Severity};
use crate::table::schema::{Role, Schema};
use crate::text;

/// The rules of a contract for single rows.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<Rule>,
    /// The columns without equal values, each with its rule.
    unique: Vec<(usize, usize)>,
}

/// A rule for a column.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The number of the column in the schema, from 0.
    pub column: usize,
    /// The name of the column.
    pub name: String,
    /// What the contract says: "must be at least 0".
    pub words: String,
    /// What becomes of a row that breaks it.
    pub severity: Severity,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Required,
    LeastNumber(f64),
    MostNumber(f64),
    LeastText(Vec<u8>),
    MostText(Vec<u8>),
    OneOfNumbers(Vec<f64>),
    OneOfTexts(HashSet<Vec<u8>>),
    Pattern(Regex),
    /// Known only when all rows are seen in order.
    Unique,
}

/// What the rows of a piece break.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    /// For each rule that a row breaks, the rows and the first of them; in order of the rules.
    pub(crate) counts: Vec<Breakage>,
    /// Rows that go to the quarantine, in their order: the number of each, of its rule, and how it breaks it.
    pub(crate) aside: Vec<(usize, usize, String)>,
}

/// How often a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breakage {
    /// The number of the rule.
    pub(crate) rule: usize,
    /// The number of rows.
    pub(crate) rows: u64,
    /// The line of the first of them, from 0 in its piece.
    pub(crate) line: u32,
    /// How it breaks the rule.
    pub(crate) how: String,
}

impl Rules {
    /// The rules of `contract` for single rows; `None` if it has none.
    pub fn of(contract: &Contract, schema: &Schema) -> Option<Self> {
        let mut rules = Vec::new();
        let mut unique = Vec::new();
        for column in &contract.columns {
            let numeric = schema.columns().get(column.index).map(|c| c.role) == Some(Role::Numeric);
            for (test, words) in tests(column, numeric) {
                if matches!(test, Test::Unique) {
                    unique.push((column.index, rules.len()));
                }
                let (column, name, severity) = (column.index, column.name.clone(), column.severity);
                rules.push(Rule { column, name, words, severity, test });
            }
        }
        (!rules.is_empty()).then_some(Self { rules, unique })
    }

    /// Rule number `at`.
    pub fn rule(&self, at: usize) -> Option<&Rule> {
        self.rules.get(at)
    }

    /// The numbers of the rules that a column have no equal values, in the order of [`Rules::tokens`].
    pub(crate) fn unique(&self) -> impl Iterator<Item = usize> {
        self.unique.iter().map(|(_, rule)| *rule)
    }

    /// Holds `rows`, whose bytes `bytes` has, against the rules.
    pub(crate) fn look_at<'a>(&self, rows: &[Row], bytes: impl Fn(Extent) -> &'a [u8]) -> Broken {
        let mut broken = Broken::default();
        let mut cells = CanonicalCells::default();
        for (at, row) in rows.iter().enumerate() {
            let text = bytes(row.extent);
            cells.look_at(text);
            let mut worst: Option<(Severity, usize, String)> = None;
            for (number, rule) in self.rules.iter().enumerate() {
                let value = cells.value(text, rule.column);
                if rule.test.passes(&value) {
                    continue;
                }
                let how = how(&value);
                broken.note(number, 1, row.line, &how);
                if worst.as_ref().is_none_or(|(severity, ..)| rule.severity > *severity) {
                    worst = Some((rule.severity, number, how));
                }
            }
            if let Some((Severity::Quarantine, number, how)) = worst {
                broken.aside.push((at, number, how));
            }
        }
        broken
    }

    /// For each row one token per unique column: equal for equal values, 0 where there is none.
    pub(crate) fn tokens<'a>(&self, rows: &[Row], bytes: impl Fn(Extent) -> &'a [u8]) -> Vec<u128> {
        let mut tokens = Vec::new();
        if self.unique.is_empty() {
            return tokens;
        }
        let mut cells = CanonicalCells::default();
        for row in rows {
            let text = bytes(row.extent);
            cells.look_at(text);
            for (column, _) in &self.unique {
                let value = cells.value(text, *column);
                let token = |value: &[u8]| xxh3_128_with_seed(value, *column as u64).max(1);
                tokens.push(if value.is_empty() { 0 } else { token(&value) });
            }
        }
        tokens
    }

    /// The rejection of a row for breaking `rule`.
    pub(crate) fn rejection(
        &self,
        rule: usize,
        how: &str,
        row: &Row,
        (position, record): (u64, &[u8]),
    ) -> Rejected {
        let rule = self.rules.get(rule);
        Rejected {
            line: u64::from(row.line),
            lines: row.lines,
            position,
            column: rule.map(|rule| (rule.column + 1, rule.name.clone())),
            error: ErrorType::Contract,
            record: record.to_vec(),
            message: rule.map_or_else(String::new, |rule| {
                format!("{how}, and by the contract {}", rule.words)
            }),
            sign: Sign::Nothing,
        }
    }
}

impl Broken {
    /// Counts rows that break a rule.
    pub(crate) fn note(&mut self, rule: usize, rows: u64, line: u32, how: &str) {
        match self.counts.iter_mut().find(|count| count.rule == rule) {
            Some(count) => count.rows += rows,
            None => self.counts.push(Breakage { rule, rows, line, how: how.to_owned() }),
        }
    }
}

fn tests(column: &ColumnContract, numeric: bool) -> Vec<(Test, String)> {
    let mut tests = Vec::new();
    if column.required {
        tests.push((Test::Required, "a value is required".to_owned()));
    }
    if let Some(min) = &column.min {
        let test = match min {
            Bound::Number(number) => Test::LeastNumber(*number),
            Bound::Text(text) => Test::LeastText(text.clone().into_bytes()),
        };
        tests.push((test, format!("it must be at least {min}")));
    }
    if let Some(max) = &column.max {
        let test = match max {
            Bound::Number(number) => Test::MostNumber(*number),
            Bound::Text(text) => Test::MostText(text.clone().into_bytes()),
        };
        tests.push((test, format!("it must be at most {max}")));
    }
    if let Some(allowed) = &column.allowed {
        let numbers = allowed.iter().filter_map(|bound| match bound {
            Bound::Number(number) => Some(*number),
            Bound::Text(_) => None,
        });
        let spelt = allowed.iter().filter_map(|bound| match bound {
            Bound::Number(_) => None,
            Bound::Text(text) => Some(text.clone().into_bytes()),
        });
        let test = if numeric {
            Test::OneOfNumbers(numbers.collect())
        } else {
            Test::OneOfTexts(spelt.collect())
        };
        let names = text::names(allowed.iter().map(ToString::to_string));
        tests.push((test, format!("it must be one of {names}")));
    }
    if let Some(pattern) = &column.pattern
        && let Ok(regex) = Regex::new(&format!("^(?:{pattern})$"))
    {
        let words = format!("it must match {}", text::name(pattern));
        tests.push((Test::Pattern(regex), words));
    }
    if column.unique {
        tests.push((Test::Unique, "it must be unique".to_owned()));
    }
    tests
}

impl Test {
    /// Whether a value passes; a missing one passes all tests but that for being there.
    fn passes(&self, value: &[u8]) -> bool {
        if value.is_empty() {
            return !matches!(self, Self::Required);
        }
        let text = || std::str::from_utf8(value).unwrap_or_default();
        let number = || text().parse::<f64>().ok();
        match self {
            Self::Required | Self::Unique => true,
            Self::LeastNumber(least) => number().is_some_and(|number| number >= *least),
            Self::MostNumber(most) => number().is_some_and(|number| number <= *most),
            Self::LeastText(least) => value >= least.as_slice(),
            Self::MostText(most) => value <= most.as_slice(),
            Self::OneOfNumbers(all) => {
                number().is_some_and(|number| all.iter().any(|one| one.total_cmp(&number).is_eq()))
            }
            Self::OneOfTexts(all) => all.contains(value),
            Self::Pattern(regex) => regex.is_match(text()),
        }
    }
}

/// What a cell is, for a reason.
fn how(value: &[u8]) -> String {
    if value.is_empty() {
        "it is missing".to_owned()
    } else {
        format!("it is \"{}\"", text::visible(&String::from_utf8_lossy(value)))
    }
}
