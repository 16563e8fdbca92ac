//! Checks a whole file against the contract of its source: rules that need all its rows.
//!
//! Not for single rows: see `csv::contract`.

use std::collections::HashMap;

use super::counts::FileCounts;
use super::rule_broken::RuleBroken;
use crate::config::contract::{Contract, RowsContract, Severity, Shape};
use crate::csv::aside::Aside;
use crate::csv::checks::{Checks, Looked};
use crate::csv::contract::Rules;
use crate::csv::parallel::Made;
use crate::csv::pipeline::Piece;
use crate::csv::quarantine::ErrorType;
use crate::csv::record;
use crate::table::schema::Schema;
use crate::text;

/// A contract while a file is held against it.
#[derive(Debug)]
pub(crate) struct Agreement<'a> {
    contract: &'a Contract,
    rules: Option<Rules>,
    /// How often each rule is broken.
    broken: Vec<(usize, RuleBroken)>,
    /// For each value of a unique column the hash of the row that has it.
    seen: HashMap<u128, u128>,
    /// The most values that may be remembered.
    most: usize,
    /// Columns of the schema that the file lacks.
    absent: Vec<usize>,
    /// Numbers that are none and count as missing.
    forgiven: u64,
    /// There were too many values to remember.
    overflowed: bool,
}

/// Bytes of a remembered value.
const SEEN_BYTES: usize = 48;

impl<'a> Agreement<'a> {
    /// Begins a file that lacks the columns `absent`; `memory` bytes may be used to remember values.
    pub(crate) fn new(
        contract: &'a Contract,
        checks: Option<&Checks>,
        memory: usize,
        absent: Vec<usize>,
    ) -> Self {
        Self {
            contract,
            rules: checks.and_then(|checks| checks.rules.clone()),
            broken: Vec::new(),
            seen: HashMap::new(),
            most: memory / SEEN_BYTES,
            absent,
            forgiven: 0,
            overflowed: false,
        }
    }

    /// Notes what was seen in a piece, whose first line is `line`; sets rows aside whose values are not unique.
    pub(crate) fn note(&mut self, piece: &mut Piece<Made<()>>, shape: record::Shape, line: u64) {
        let looked = std::mem::take(&mut piece.made.parsed.looked);
        let Looked { broken, tokens, forgiven, .. } = looked;
        self.forgiven += forgiven;
        let Some(rules) = self.rules.take() else { return };
        for breakage in broken {
            let line = piece.number(line, u64::from(breakage.line));
            self.count(&rules, breakage.rule, breakage.rows, line, breakage.how);
        }
        let aside = self.sift(&rules, &tokens, piece, line);
        let offset = piece.offset.unwrap_or(0);
        piece.made.parsed.view(&piece.chunk, offset, shape).set_aside(&rules, &aside);
        self.rules = Some(rules);
    }

    /// Rows of a piece that have a value of an earlier row, unless they are equal as a whole.
    fn sift(
        &mut self,
        rules: &Rules,
        tokens: &[u128],
        piece: &Piece<Made<()>>,
        first: u64,
    ) -> Vec<Aside> {
        let unique: Vec<usize> = rules.unique().collect();
        let mut aside = Vec::new();
        if unique.is_empty() || self.overflowed {
            return aside;
        }
        for (at, tokens) in tokens.chunks_exact(unique.len()).enumerate() {
            let row = &piece.made.parsed.rows[at];
            let mut worst: Option<(Severity, usize)> = None;
            for (token, rule) in tokens.iter().zip(&unique).filter(|(token, _)| **token != 0) {
                if *self.seen.entry(*token).or_insert(row.hash) == row.hash {
                    continue;
                }
                let line = piece.number(first, u64::from(row.line));
                self.count(rules, *rule, 1, line, "an earlier row has its value".to_owned());
                let severity = rules.rule(*rule).map_or(Severity::Warn, |rule| rule.severity);
                if worst.is_none_or(|(worst, _)| severity > worst) {
                    worst = Some((severity, *rule));
                }
            }
            if let Some((Severity::Quarantine, rule)) = worst {
                aside.push(Aside { row: at, rule, how: "an earlier row has its value".to_owned() });
            }
        }
        if self.seen.len() > self.most {
            self.overflowed = true;
            self.seen = HashMap::new();
        }
        aside
    }

    fn count(&mut self, rules: &Rules, at: usize, rows: u64, line: u64, how: String) {
        if let Some((_, broken)) = self.broken.iter_mut().find(|(rule, _)| *rule == at) {
            broken.rows += rows;
        } else if let Some(rule) = rules.rule(at) {
            let broken = RuleBroken {
                column: Some(rule.name.clone()),
                rule: rule.words.clone(),
                rows,
                first: Some((line, how)),
                severity: rule.severity,
                batch: None,
            };
            self.broken.push((at, broken));
        }
    }

    /// The result for a file with these counts, of which `typical` is the median number of rows of earlier ones:
    /// all broken rules, and why the file is refused, if it is.
    pub(crate) fn conclude(
        mut self,
        schema: &Schema,
        counts: &mut FileCounts,
        typical: Option<u64>,
    ) -> Option<String> {
        self.broken.sort_by_key(|(rule, _)| *rule);
        let mut broken: Vec<RuleBroken> =
            self.broken.iter().map(|(_, broken)| broken.clone()).collect();
        for index in &self.absent {
            if let Some(missing) = counts.missing.get_mut(*index) {
                *missing = counts.rows_read - counts.quarantined - counts.forgotten;
            }
        }
        self.shares(counts, &mut broken);
        if let Some(rows) = &self.contract.rows {
            broken.extend(row_numbers(rows, counts.rows_read, typical, "files"));
        }
        self.shapes(schema, counts, &mut broken);
        let whole = |broken: &&RuleBroken| match broken.severity {
            Severity::Abort => true,
            Severity::Quarantine => broken.rows == 0,
            Severity::Warn => false,
        };
        let reasons: Vec<String> = broken.iter().filter(whole).map(ToString::to_string).collect();
        counts.contract = broken;
        if self.overflowed {
            return Some(format!(
                "it has more than {} values in columns that its contract calls unique, which is more than \
                 \"limits.memory_mib\" lets be remembered: raise it, or leave out \"unique\"",
                text::count(self.most as u64)
            ));
        }
        (!reasons.is_empty()).then(|| {
            format!(
                "it breaks its contract: {}. Nothing of the file was taken: correct it, or change \"contract\"",
                text::bounded(reasons.join("; "))
            )
        })
    }

    fn shares(&self, counts: &FileCounts, broken: &mut Vec<RuleBroken>) {
        let good = counts.rows_read - counts.quarantined - counts.forgotten;
        for column in &self.contract.columns {
            let Some(limit) = column.max_missing_share else { continue };
            let missing = counts.missing.get(column.index).copied().unwrap_or(0);
            let share = missing as f64 / good.max(1) as f64;
            if share > limit {
                let rule = format!(
                    "{:.1} % of its values are missing, and at most {:.1} % may be",
                    100.0 * share,
                    100.0 * limit
                );
                broken.push(RuleBroken {
                    column: Some(column.name.clone()),
                    ..of_the_file(rule, column.severity)
                });
            }
        }
    }

    fn shapes(&self, schema: &Schema, counts: &FileCounts, broken: &mut Vec<RuleBroken>) {
        let severity = |shape| match shape {
            Shape::Evolve => Some(Severity::Warn),
            Shape::Freeze => Some(Severity::Abort),
            Shape::DiscardRow | Shape::DiscardValue => None,
        };
        let Contract { new_columns, missing_columns, type_changes, .. } = self.contract;
        if let Some(severity) = severity(*new_columns)
            && !counts.extra_columns.is_empty()
        {
            let names = text::names(&counts.extra_columns);
            let rule = format!("it has columns that are not in \"schema\": {names}");
            broken.push(of_the_file(rule, severity));
        }
        if let Some(severity) = severity(*missing_columns)
            && !self.absent.is_empty()
        {
            let names = self.absent.iter().filter_map(|at| Some(&schema.columns().get(*at)?.name));
            let rule = format!("it lacks columns: {}", text::names(names));
            broken.push(of_the_file(rule, severity));
        }
        let casts = counts.rejections.get(&ErrorType::Cast).copied().unwrap_or(0);
        let (cells, rule) = match type_changes {
            Shape::Freeze => (casts, "it has rows with a value of another type than their column"),
            _ => (
                self.forgiven,
                "it has values of another type than their column, which count as missing",
            ),
        };
        if let Some(severity) = severity(*type_changes)
            && cells > 0
        {
            broken.push(of_the_file(format!("{rule}: {}", text::count(cells)), severity));
        }
    }
}

fn of_the_file(rule: String, severity: Severity) -> RuleBroken {
    RuleBroken { column: None, rule, rows: 0, first: None, severity, batch: None }
}

/// The rules for a number of rows that `rows` break; `typical` is the median of earlier ones, which are
/// `called` so.
pub(crate) fn row_numbers(
    rules: &RowsContract,
    rows: u64,
    typical: Option<u64>,
    called: &str,
) -> Vec<RuleBroken> {
    let mut broken = Vec::new();
    let mut note = |words: String| {
        let rule = format!("it has {}, and {words}", text::plural(rows, "row"));
        broken.push(of_the_file(rule, rules.severity));
    };
    if let Some(min) = rules.min.filter(|min| rows < *min) {
        note(format!("at least {} are expected", text::count(min)));
    }
    if let Some(max) = rules.max.filter(|max| rows > *max) {
        note(format!("at most {} are expected", text::count(max)));
    }
    if let (Some(share), Some(median)) = (rules.versus_median, typical) {
        let (least, most) = (median as f64 * share, median as f64 / share);
        if (rows as f64) < least || rows as f64 > most {
            note(format!(
                "the median of earlier {called} is {}, of which {share} to {} times are allowed",
                text::count(median),
                text::number(1.0 / share)
            ));
        }
    }
    broken
}
