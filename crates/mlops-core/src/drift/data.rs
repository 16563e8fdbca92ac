//! Data drift: feature by feature, are the new rows distributed like the training rows?
//!
//! One test decides for each column, the same for numbers and categories: the chi-square test of
//! [`super::cells`] on quantile bins or categories, with missing values as a cell. It keeps its
//! level with ties, skew and gaps. PSI, the Jensen-Shannon distance and Kolmogorov-Smirnov are
//! reported too and decide nothing.
//!
//! Levels are family-wise (Bonferroni): with k columns each is tested at alpha / k, so that rows
//! without drift raise any alarm with a probability of at most alpha, whatever k and the dependence
//! between columns. Thresholds follow from this level and both sample sizes. The usual PSI bands
//! (0.1 and 0.25) are reported for information: with 100 rows PSI exceeds 0.1 by chance almost
//! always, with 100,000 rows it stays below for real shifts. `docs/drift.md` has measured false
//! alarms and power. Not for labels or scores: see [`super::rules`].

use serde::{Deserialize, Serialize};

use super::cells::{CellCounts, Comparison, Statistic, compare};
use super::reference::{ColumnReference, Reference};
use super::{Sample, kolmogorov};
use crate::text;
use crate::{Error, Result};

/// The usual bands of a PSI, which disregard sample sizes. For information: no verdict depends on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PsiBand {
    /// PSI below 0.1.
    Stable,
    /// PSI from 0.1 to 0.25.
    Moderate,
    /// PSI of 0.25 and more.
    Large,
}

impl PsiBand {
    fn of(psi: f64) -> Self {
        match psi {
            psi if psi < 0.1 => Self::Stable,
            psi if psi < 0.25 => Self::Moderate,
            _ => Self::Large,
        }
    }
}

/// The verdict on one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnDrift {
    /// The column's name.
    pub column: String,
    /// The column drifted: its p-value is below `level`.
    pub drifted: bool,
    /// The level at which it is tested: alpha divided by the number of columns.
    pub level: f64,
    /// Share of missing values among the training rows, 0 to 1.
    pub missing_reference: f64,
    /// Share of missing values among the new rows, 0 to 1.
    pub missing_new: f64,
    /// The deciding test, PSI and the Jensen-Shannon distance.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Kolmogorov-Smirnov's D of a numeric column, without missing values. For information.
    pub kolmogorov_smirnov: Option<Statistic>,
    /// The band of the PSI, for information. Older records call it `folklore`.
    #[serde(alias = "folklore")]
    pub psi_band: Option<PsiBand>,
    /// Both samples value by value, missing values last; none in older records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
    /// The verdict as a sentence.
    pub explanation: String,
}

/// A value or range of values with its rows in both samples: `["up to 3", 120, 31]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, u64, u64)", into = "(String, u64, u64)")]
pub struct Cell {
    /// The label for people.
    pub label: String,
    /// Number of reference rows.
    pub reference: u64,
    /// Number of new rows.
    pub new: u64,
}

impl From<(String, u64, u64)> for Cell {
    fn from((label, reference, new): (String, u64, u64)) -> Self {
        Self { label, reference, new }
    }
}

impl From<Cell> for (String, u64, u64) {
    fn from(cell: Cell) -> Self {
        (cell.label, cell.reference, cell.new)
    }
}

/// The most cells of a column that a record keeps; the rarest are joined to one.
const KEPT_CELLS: usize = 24;
/// The most characters of a label in a record.
const LABEL: usize = 80;

/// The cells of a column as a record keeps them; the last one has the missing values.
fn kept(cells: &[CellCounts]) -> Vec<Cell> {
    let mut order: Vec<usize> = (0..cells.len()).collect();
    let mut others = None;
    if let Some(more) = cells.len().checked_sub(KEPT_CELLS).filter(|more| *more > 0) {
        let missing = order.pop();
        let sizes = cells.iter().fold((1, 1), |sum, c| (sum.0 + c.reference, sum.1 + c.new));
        let share = |k: &usize| {
            let CellCounts { reference, new, .. } = &cells[*k];
            (*reference as f64 / sizes.0 as f64).max(*new as f64 / sizes.1 as f64)
        };
        order.sort_by(|a, b| share(b).total_cmp(&share(a)).then(a.cmp(b)));
        let rare = order.split_off(KEPT_CELLS - 2);
        order.sort_unstable();
        let label = format!("{} other values", text::count(more as u64 + 1));
        let sum = |of: fn(&CellCounts) -> u64| rare.iter().map(|k| of(&cells[*k])).sum();
        others = Some(Cell { label, reference: sum(|c| c.reference), new: sum(|c| c.new) });
        order.extend(missing);
    }
    let cell = |k: &usize| {
        let CellCounts { label, reference, new } = &cells[*k];
        let label = match label.char_indices().nth(LABEL) {
            Some((end, _)) => format!("{}…", &label[..end]),
            None => label.clone(),
        };
        Cell { label, reference: *reference, new: *new }
    };
    let mut kept: Vec<Cell> = order.iter().map(cell).collect();
    if let Some(others) = others {
        kept.insert(kept.len() - 1, others);
    }
    kept
}

/// The verdict on all columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataDrift {
    /// At least one column drifted.
    pub data_drift: bool,
    /// Upper bound on the probability of any alarm without drift.
    pub alpha: f64,
    /// Number of training rows in the comparison.
    pub reference_rows: u64,
    /// Number of new rows in the comparison.
    pub new_rows: u64,
    /// All columns, in the order of the reference.
    pub columns: Vec<ColumnDrift>,
}

/// Compares new rows with the training rows at the family-wise level `alpha` (usually 0.05).
///
/// # Errors
/// `Data` if alpha is not strictly between 0 and 1, or the new rows lack a column.
pub fn data_drift(reference: &Reference, new: &Sample, alpha: f64) -> Result<DataDrift> {
    if !(alpha > 0.0 && alpha < 1.0) {
        return Err(Error::data(format!(
            "the level of the drift test is {alpha}: it must lie between 0 and 1"
        )));
    }
    let level = alpha / reference.columns.len().max(1) as f64;
    let new_rows = new.rows() as u64;
    let columns: Vec<ColumnDrift> = reference
        .columns
        .iter()
        .map(|column| column_drift(column, new, level))
        .collect::<Result<_>>()?;
    Ok(DataDrift {
        data_drift: columns.iter().any(|column| column.drifted),
        alpha,
        reference_rows: reference.columns.first().map_or(0, ColumnReference::rows),
        new_rows,
        columns,
    })
}

impl DataDrift {
    /// Replaces Kolmogorov-Smirnov's D on bins by the exact one, if the training rows are
    /// available. No verdict changes.
    #[must_use]
    pub fn with_exact_kolmogorov_smirnov(mut self, training: &Sample, new: &Sample) -> Self {
        for column in &mut self.columns {
            let numbers = |sample: &'_ Sample| sample.numbers(&column.column).map(<[f64]>::to_vec);
            if let (Some(a), Some(b)) = (numbers(training), numbers(new)) {
                column.kolmogorov_smirnov = kolmogorov::exact(&a, &b, column.level);
            }
        }
        self
    }
}

fn column_drift(column: &ColumnReference, new: &Sample, level: f64) -> Result<ColumnDrift> {
    let beside = column.beside(new).ok_or_else(|| {
        Error::data(format!(
            "the model was trained on the column \"{}\", which the new rows do not have in the \
             same kind: compare rows of the model's own schema",
            column.name
        ))
    })?;
    let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
    let cells = kept(&beside.cells);
    let comparison = compare(beside.cells, level);
    let mut drift = ColumnDrift {
        column: column.name.clone(),
        drifted: comparison.p_value < level,
        level,
        missing_reference: share(column.missing, column.rows()),
        missing_new: share(beside.missing, new.rows() as u64),
        psi_band: comparison.psi.map(|psi| PsiBand::of(psi.value)),
        kolmogorov_smirnov: beside.bins.and_then(|bins| kolmogorov::binned(&bins, level)),
        comparison,
        cells,
        explanation: String::new(),
    };
    drift.explanation = drift.explain(column.rows(), new.rows() as u64);
    Ok(drift)
}

impl ColumnDrift {
    fn explain(&self, reference: u64, new: u64) -> String {
        let Comparison { p_value, chi_square, rare, largest, .. } = &self.comparison;
        let name = &self.column;
        let mut tests = Vec::new();
        if let Some(test) = chi_square {
            tests.push(format!(
                "chi-square {:.2} with {} of freedom (limit {:.2})",
                test.statistic.value,
                text::plural(test.degrees_of_freedom.into(), "degree"),
                test.statistic.threshold
            ));
        }
        if let Some(test) = rare {
            tests.push(format!(
                "rare values in {} of {reference} rows before and {} of {new} now (Fisher's exact \
                 test, p {})",
                test.reference,
                test.new,
                text::p_value(test.p_value)
            ));
        }
        if tests.is_empty() {
            return format!("\"{name}\": nothing to test in {reference} and {new} rows");
        }
        let outcome = if self.drifted { "drifted" } else { "no drift" };
        let mut text = format!(
            "\"{name}\": {outcome}, p {} against the level {}; {}",
            text::p_value_at(*p_value, self.level),
            text::level(self.level),
            tests.join(", ")
        );
        if let Some(cell) = largest.as_ref().filter(|_| self.drifted) {
            let percent = |part: u64, all: u64| 100.0 * part as f64 / all.max(1) as f64;
            let most = format!(
                "; most of all, {} went from {:.1} % to {:.1} % of the rows",
                cell.label,
                percent(cell.reference, reference),
                percent(cell.new, new)
            );
            text.push_str(&most);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::sample::tests::sample;

    fn rows(count: u32, above: f64, text: &str) -> Sample {
        let numbers: Vec<f64> = (0..count).map(|i| f64::from(i * 37 % 101) + above).collect();
        let texts: Vec<&str> = (0..count).map(|i| if i % 3 == 0 { text } else { "b" }).collect();
        sample(&numbers, &texts)
    }

    #[test]
    fn the_same_rows_have_not_drifted() {
        let reference = Reference::of(&rows(2_000, 0.0, "a"));
        let drift = data_drift(&reference, &rows(700, 0.0, "a"), 0.05).unwrap();
        assert!(!drift.data_drift, "{drift:?}");
        assert_eq!((drift.reference_rows, drift.new_rows, drift.columns.len()), (2_000, 700, 2));
        assert!((drift.columns[0].level - 0.025).abs() < 1e-15);
        let text = &drift.columns[0].explanation;
        assert!(text.starts_with("\"x\": no drift, p "), "{text}");
        assert!(text.contains("against the level 0.025; chi-square"), "{text}");
    }

    #[test]
    fn a_column_that_drifted_is_named_with_what_changed_most() {
        let reference = Reference::of(&rows(2_000, 0.0, "a"));
        let drift = data_drift(&reference, &rows(700, 200.0, "a"), 0.05).unwrap();
        assert_eq!(drift.columns.iter().map(|c| c.drifted).collect::<Vec<_>>(), [true, false]);
        let text = &drift.columns[0].explanation;
        assert!(text.contains("most of all, above "), "{text}");
        assert!(text.ends_with(" to 100.0 % of the rows"), "{text}");
        assert_eq!(drift.columns[0].psi_band, Some(PsiBand::Large));
        let renamed = data_drift(&reference, &rows(700, 0.0, "z"), 0.05).unwrap();
        assert_eq!(renamed.columns.iter().map(|c| c.drifted).collect::<Vec<_>>(), [false, true]);
        let json = serde_json::to_string(&renamed).unwrap();
        assert_eq!(serde_json::from_str::<DataDrift>(&json).unwrap(), renamed);
    }

    #[test]
    fn a_record_keeps_both_distributions_and_bounds_them() {
        let reference = Reference::of(&rows(2_000, 0.0, "a"));
        let drift = data_drift(&reference, &rows(700, 200.0, "a"), 0.05).unwrap();
        for column in &drift.columns {
            let sum = |of: fn(&Cell) -> u64| column.cells.iter().map(of).sum::<u64>();
            assert_eq!((sum(|c| c.reference), sum(|c| c.new)), (2_000, 700));
            assert_eq!(column.cells.last().unwrap().label, "missing");
        }
        let json = serde_json::to_string(&drift.columns[1].cells).unwrap();
        assert_eq!(json, r#"[["a",667,234],["b",1333,466],["missing",0,0]]"#);
        let cell = |i: u64| CellCounts { label: format!("v{i}"), reference: i, new: 100 - i };
        let many: Vec<CellCounts> = (0..=100).map(cell).collect();
        let few = kept(&many);
        assert_eq!((few.len(), few[KEPT_CELLS - 1].label.as_str()), (KEPT_CELLS, "v100"));
        assert_eq!(few[KEPT_CELLS - 2].label, "78 other values");
        assert_eq!(few.iter().map(|c| c.reference).sum::<u64>(), 5_050);
        let long = CellCounts { label: "é".repeat(500), reference: 1, new: 1 };
        assert_eq!(kept(&[long])[0].label.chars().count(), LABEL + 1);
    }

    #[test]
    fn an_old_record_keeps_its_psi_band() {
        let reference = Reference::of(&rows(2_000, 0.0, "a"));
        let drift = data_drift(&reference, &rows(700, 200.0, "a"), 0.05).unwrap();
        let json = serde_json::to_string(&drift).unwrap();
        assert!(json.contains("\"psi_band\":\"large\"") && !json.contains("folklore"), "{json}");
        let old = json.replace("\"psi_band\"", "\"folklore\"");
        assert_eq!(serde_json::from_str::<DataDrift>(&old).unwrap(), drift);
    }

    #[test]
    fn kolmogorov_smirnov_on_bins_is_at_most_the_exact_one() {
        let (training, new) = (rows(2_000, 0.0, "a"), rows(700, 3.0, "a"));
        let binned = data_drift(&Reference::of(&training), &new, 0.05).unwrap();
        let exact = binned.clone().with_exact_kolmogorov_smirnov(&training, &new);
        let d = |drift: &DataDrift| drift.columns[0].kolmogorov_smirnov.unwrap().value;
        assert!(d(&binned) <= d(&exact) + 1e-15 && d(&exact) < d(&binned) + 0.05);
        assert_eq!(exact.columns[1], binned.columns[1]);
    }

    #[test]
    fn hardly_any_rows_are_not_tested() {
        let reference = Reference::of(&rows(2_000, 0.0, "a"));
        for new in [0, 1, 4] {
            let drift = data_drift(&reference, &rows(new, 500.0, "a"), 0.05).unwrap();
            assert!(!drift.data_drift);
            let text = format!("\"x\": nothing to test in 2000 and {new} rows");
            assert_eq!(drift.columns[0].explanation, text);
        }
    }

    #[test]
    fn a_wrong_level_or_schema_is_an_error() {
        let training = rows(50, 0.0, "a");
        let mut reference = Reference::of(&training);
        for alpha in [0.0, 1.0, f64::NAN] {
            assert!(data_drift(&reference, &training, alpha).is_err());
        }
        reference.columns[0].name = "y".to_owned();
        let error = data_drift(&reference, &training, 0.05).unwrap_err().to_string();
        assert!(error.contains("the column \"y\", which the new rows do not have"), "{error}");
    }
}
