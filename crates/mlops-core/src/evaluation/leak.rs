//! Columns that give the label away: one that alone ranks the training rows almost perfectly, or whose
//! gaps do, or a date that lies after the time of its row.
//!
//! Such a column is often filled in after the outcome is known, so that the model does well on every
//! test and fails in use. It may also just be a very good column: a person must decide. Not for reading
//! rows: see `model::TrainingRows`.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::metrics::Ranking;
use crate::text;

/// A column is reported from this area under the ROC curve.
pub const GIVES_AWAY: f64 = 0.99;
/// The fewest rows of either class for an area to mean anything here.
const MIN_OF_CLASS: usize = 10;
/// Numbers are ranked first in a sample of about so many rows, with about so many of either class: an area
/// of [`GIVES_AWAY`] is then estimated to 0.01, so that one below [`UNSUSPICIOUS`] says that there is none.
const SAMPLE: f64 = 4_000.0;
const SAMPLE_OF_CLASS: f64 = 200.0;
const UNSUSPICIOUS: f64 = 0.95;

/// A column that gives the label away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// Its name.
    pub column: String,
    /// What gives the label away.
    pub sign: Sign,
    /// Area under the ROC curve of this sign alone, in the direction that fits: 0.99 to 1; `None` for a
    /// date, which is judged by its place in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roc_auc: Option<f64>,
    /// The number of training rows that were looked at.
    pub rows: u64,
    /// In how many of them the date lies after the time of the row; `None` for other signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later: Option<u64>,
}

/// What gives a label away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The order of its numbers.
    Numbers,
    /// The share of positives of each category.
    Categories,
    /// Whether a value is missing.
    Gaps,
    /// A date after the time of the row, `holdout.time`.
    LaterDates,
}

impl Leak {
    /// Whether `feature` is one of those that the column becomes: `column`, `column=level`.
    pub fn has(&self, feature: &str) -> bool {
        let rest = feature.strip_prefix(&self.column);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['=', ' ']))
    }

    /// What gives the label away in the numbers of `column`; NaN is a missing one.
    pub fn of_numbers(column: &str, labels: &[bool], values: &[f64]) -> Option<Self> {
        let there = values.iter().filter(|value| !value.is_nan()).count();
        let kept = labels.iter().zip(values).filter(|(label, value)| **label && !value.is_nan());
        let gaps = gaps(labels, there, kept.count());
        found(column, Sign::Gaps, gaps, labels.len()).or_else(|| {
            let area = |share: f64| {
                let (labels, values) = chosen(labels, values, share);
                ranked(&labels, &values)
            };
            let minority = positives(labels).min(labels.len() - positives(labels)) as f64;
            let share = (SAMPLE / labels.len() as f64).max(SAMPLE_OF_CLASS / minority);
            if share < 0.5 && area(share).is_some_and(|area| area < UNSUSPICIOUS) {
                return None;
            }
            found(column, Sign::Numbers, area(1.0), there)
        })
    }

    /// What gives the label away in the categories of `column`, which are numbers; NaN is a missing one.
    ///
    /// Each half of the rows is ranked by the shares of positives in the other one, so that categories of
    /// few rows, such as names, do not confirm themselves.
    pub fn of_categories(column: &str, labels: &[bool], codes: &[f64]) -> Option<Self> {
        let there = labels.iter().zip(codes).filter(|(_, code)| !code.is_nan());
        let rows: Vec<(bool, u64)> = there.map(|(label, code)| (*label, code.to_bits())).collect();
        let kept: Vec<bool> = rows.iter().map(|row| row.0).collect();
        let gaps = gaps(labels, kept.len(), positives(&kept));
        let base = positives(&kept) as f64 / kept.len().max(1) as f64;
        let areas = [false, true].map(|half| {
            let mut counts: HashMap<u64, (f64, f64)> = HashMap::new();
            let others = rows.iter().enumerate().filter(|(i, _)| is_first(*i) != half);
            for (_, (label, code)) in others {
                let (positives, all) = counts.entry(*code).or_default();
                *positives += f64::from(u8::from(*label));
                *all += 1.0;
            }
            let share = |code: &u64| {
                let (positives, all) = counts.get(code).copied().unwrap_or_default();
                (positives + base) / (all + 1.0)
            };
            let half = rows.iter().enumerate().filter(|(i, _)| is_first(*i) == half);
            let (labels, shares): (Vec<bool>, Vec<f64>) =
                half.map(|(_, (label, code))| (*label, share(code))).unzip();
            ranked(&labels, &shares)
        });
        let both = areas[0].zip(areas[1]).map(|(a, b)| f64::midpoint(a, b));
        found(column, Sign::Gaps, gaps, labels.len())
            .or_else(|| found(column, Sign::Categories, both, kept.len()))
    }
}

/// Whether row `i` is in the first half of the rows, which follows no pattern that files have.
fn is_first(i: usize) -> bool {
    spread(i) >> 63 == 1
}

/// A number for row `i`, of which those of any stretch of rows lie evenly over all numbers.
fn spread(i: usize) -> u64 {
    (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn positives(labels: &[bool]) -> usize {
    labels.iter().filter(|label| **label).count()
}

/// Whether there are enough rows of both classes.
fn enough(labels: &[bool]) -> bool {
    let positives = positives(labels);
    positives.min(labels.len() - positives) >= MIN_OF_CLASS
}

/// The area of `values`, in the direction that fits.
fn ranked(labels: &[bool], values: &[f64]) -> Option<f64> {
    let area = Some(labels)
        .filter(|labels| enough(labels))
        .and_then(|labels| Ranking::new(labels, values).ok()?.roc_auc())?;
    Some(area.max(1.0 - area))
}

/// About this `share` of the rows that have a value, chosen as evenly as by [`is_first`].
fn chosen(labels: &[bool], values: &[f64], share: f64) -> (Vec<bool>, Vec<f64>) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let end = (share * u64::MAX as f64) as u64;
    let rows = labels.iter().zip(values).enumerate();
    rows.filter(|(i, (_, value))| spread(*i) <= end && !value.is_nan())
        .map(|(_, (label, value))| (*label, *value))
        .unzip()
}

/// The area of the gaps alone: those rows of `labels` that are not among the `there` ones, of which
/// `kept_positives` are positive. It is one half and half the difference of the shares of both classes with
/// a gap.
fn gaps(labels: &[bool], there: usize, kept_positives: usize) -> Option<f64> {
    if there == labels.len() || !enough(labels) {
        return None;
    }
    let all = positives(labels);
    let share = |there: usize, of: usize| there as f64 / of as f64;
    let of_positives = share(kept_positives, all);
    let of_negatives = share(there - kept_positives, labels.len() - all);
    Some(0.5 + (of_positives - of_negatives).abs() / 2.0)
}

fn found(column: &str, sign: Sign, area: Option<f64>, rows: usize) -> Option<Leak> {
    let roc_auc = area.filter(|area| *area >= GIVES_AWAY)?;
    Some(Leak {
        column: column.to_owned(),
        sign,
        roc_auc: Some(roc_auc),
        rows: rows as u64,
        later: None,
    })
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = text::name(&self.column);
        let rows = text::plural(self.rows, "training row");
        // Not rounded up to 1.
        let area = (self.roc_auc.unwrap_or(f64::NAN) * 1e4).floor() / 1e4;
        match self.sign {
            Sign::Numbers | Sign::Categories => write!(
                f,
                "\"{name}\" may give the label away: alone it has a ROC AUC of {area:.4} on {rows}"
            )?,
            Sign::Gaps => write!(
                f,
                "\"{name}\" may give the label away: whether it is missing alone has a ROC AUC of \
                 {area:.4} on {rows}"
            )?,
            Sign::LaterDates => {
                let later = self.later.unwrap_or(0);
                let share = (1e3 * later as f64 / self.rows.max(1) as f64).floor() / 10.0;
                write!(
                    f,
                    "\"{name}\" may give the label away: it is a date after \"holdout.time\" in {} of \
                     {rows} that have both ({share:.1} %)",
                    text::count(later)
                )?;
            }
        }
        f.write_str(
            "; if its values are only known after the outcome, take the column out of \"schema\", since \
             the model will fail where it is used",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(n: usize) -> Vec<bool> {
        (0..n).map(|i| i % 3 == 0).collect()
    }

    #[test]
    fn numbers_that_rank_the_label_are_told_of_in_either_direction() {
        let labels = labels(300);
        let value =
            |i: usize, sign: f64| sign * (f64::from(u8::from(labels[i])) * 500.0 + i as f64);
        for sign in [1.0, -1.0] {
            let values: Vec<f64> = (0..300).map(|i| value(i, sign)).collect();
            let leak = Leak::of_numbers("x", &labels, &values).unwrap();
            assert_eq!((leak.sign, leak.rows), (Sign::Numbers, 300));
            assert!((leak.roc_auc.unwrap() - 1.0).abs() < 1e-15);
        }
        // One pair in a hundred is enough to fall short of 0.99 or not.
        let area = |wrong: usize| {
            let labels: Vec<bool> = (0..200).map(|i| i >= 100).collect();
            let values: Vec<f64> = (0..200)
                .map(|i| if (100..100 + wrong).contains(&i) { -1.0 } else { i as f64 })
                .collect();
            Leak::of_numbers("x", &labels, &values).and_then(|leak| leak.roc_auc)
        };
        assert!(area(1).is_some_and(|area| (area - 0.99).abs() < 1e-12));
        assert_eq!(area(2), None);
        assert_eq!(Leak::of_numbers("x", &labels[..20], &[1.0; 20]), None);
    }

    #[test]
    fn of_many_rows_a_sample_clears_most_columns_and_all_judge_the_others() {
        // One in a hundred is positive; a value is wrong, or not there, for some.
        let labels: Vec<bool> = (0..60_000).map(|i| i % 100 == 7).collect();
        let column = |wrong: usize| -> Vec<f64> {
            let value = |(i, label): (usize, &bool)| match i % 10_000 {
                11 => f64::NAN,
                at if at < wrong => 0.5 + at as f64,
                at => at as f64 + if *label { 20_000.0 } else { 0.0 },
            };
            labels.iter().enumerate().map(value).collect()
        };
        let leak = Leak::of_numbers("x", &labels, &column(0)).unwrap();
        assert_eq!((leak.sign, leak.roc_auc, leak.rows), (Sign::Numbers, Some(1.0), 59_994));
        assert_eq!(Leak::of_numbers("x", &labels, &column(10_000)), None);
        // 0.95 to 0.99: only all rows tell.
        let nearly = column(300);
        let area =
            ranked(&labels, &nearly.iter().map(|v| v.max(-1.0)).collect::<Vec<_>>()).unwrap();
        assert!((UNSUSPICIOUS..GIVES_AWAY).contains(&area), "{area}");
        assert_eq!(Leak::of_numbers("x", &labels, &nearly), None);
    }

    #[test]
    fn categories_are_judged_by_the_other_half() {
        let labels = labels(600);
        let code = |i: usize| if labels[i] { (i % 4) as f64 } else { 10.0 + (i % 5) as f64 };
        let codes: Vec<f64> = (0..600).map(code).collect();
        let leak = Leak::of_categories("g", &labels, &codes).unwrap();
        assert_eq!((leak.sign, leak.rows), (Sign::Categories, 600));
        // A name for each row says nothing of another.
        let names: Vec<f64> = (0..600).map(f64::from).collect();
        assert_eq!(Leak::of_categories("g", &labels, &names), None);
        // A category that is almost as good is only that.
        let mixed: Vec<f64> = (0..600).map(|i| if i % 5 == 0 { 99.0 } else { code(i) }).collect();
        assert_eq!(Leak::of_categories("g", &labels, &mixed), None);
    }

    #[test]
    fn gaps_where_the_label_is_one_class_are_told_of() {
        let labels = labels(300);
        let values: Vec<f64> =
            (0..300).map(|i| if labels[i] { (i * 7 % 13) as f64 } else { f64::NAN }).collect();
        for leak in
            [Leak::of_numbers("x", &labels, &values), Leak::of_categories("x", &labels, &values)]
        {
            let leak = leak.unwrap();
            assert_eq!((leak.sign, leak.rows), (Sign::Gaps, 300));
            assert!(
                leak.to_string().contains("whether it is missing alone has a ROC AUC of 1.0000")
            );
        }
        let some: Vec<f64> = (0..300).map(|i| if i % 2 == 0 { f64::NAN } else { 1.0 }).collect();
        assert_eq!(Leak::of_numbers("x", &labels, &some), None);
        assert_eq!(Leak::of_numbers("x", &labels, &[f64::NAN; 300]), None);
        assert_eq!(Leak::of_numbers("x", &[], &[]), None);
    }

    #[test]
    fn an_area_is_never_rounded_up_to_one() {
        let leak = found("x", Sign::Numbers, Some(0.999_99), 9_000).unwrap();
        assert!(
            leak.to_string().contains("ROC AUC of 0.9999 on 9,000 training rows; if"),
            "{leak}"
        );
    }
}
