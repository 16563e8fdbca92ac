//! What becomes of a column that is not the label: an id, a feature of one kind or another, or left out, and why.
//!
//! Not for the label: see `target`.

use std::collections::HashSet;

use mlops_core::evaluation::leak::{Leak, Sign};
use mlops_core::text;
use serde::Serialize;

use crate::facts::Facts;
use crate::sample::Column;

/// A column with a larger share of missing cells says too little.
const MOSTLY_MISSING: f64 = 0.95;
/// Rows that a category needs on average.
const ROWS_PER_LEVEL: usize = 20;
/// So many categories are taken of any column that repeats its values, and at most so many.
const LEVELS: (usize, usize) = (12, 200);
/// Integers with so many different values may be codes.
const CODES: std::ops::RangeInclusive<usize> = 3..=12;
/// How many standard deviations shares of positives must be off any rise or fall for numbers to be codes.
const OFF_ORDER: f64 = 4.0;
/// From which share of different values on a column called like an id is one.
const IDENTIFYING: f64 = 0.5;

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// It identifies a row.
    Id,
    /// A feature: a number.
    Numeric,
    /// A feature: a date or time.
    Date,
    /// A feature: one of a few texts or codes.
    Categorical,
    /// The label.
    Target,
    /// Nothing.
    LeftOut,
}

impl Use {
    /// Its name for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Numeric => "numeric",
            Self::Date => "date",
            Self::Categorical => "categorical",
            Self::Target => "label",
            Self::LeftOut => "left out",
        }
    }

    /// Whether a model sees it.
    pub fn is_feature(self) -> bool {
        matches!(self, Self::Numeric | Self::Date | Self::Categorical)
    }
}

/// What is proposed for a column.
#[derive(Debug, Clone, Serialize)]
pub struct Proposed {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub to_be: Use,
    /// Why.
    pub why: String,
    /// The column gives the label away.
    pub leak: bool,
    /// What it would be if it did not.
    #[serde(skip)]
    pub(crate) otherwise: Use,
    /// How many different values it has in the rows that were looked at.
    pub different: usize,
    /// The share of missing cells.
    pub missing: f64,
    /// Some of its values.
    pub examples: Vec<String>,
}

/// What is proposed for `column` by what its cells are, without a look at the label.
pub(crate) fn by_itself(column: &Column, facts: &Facts, files: usize) -> (Use, String) {
    let left_out = |why: &str| (Use::LeftOut, why.to_owned());
    let different = facts.texts.len();
    let share = facts.distinct_share();
    let lower = column.name.to_lowercase();
    if column.twice {
        return left_out("the header has its name more than once");
    }
    if column.absent > 0 {
        return (Use::LeftOut, format!("not in {} of {files} files", column.absent));
    }
    match (different, facts.missing) {
        (0, _) => return left_out("it is empty in every row"),
        (1, 0) => {
            let only = text::name(&facts.texts[0].0).into_owned();
            return (Use::LeftOut, format!("it is \"{only}\" in every row"));
        }
        (1, _) => {
            let only = text::name(&facts.texts[0].0).into_owned();
            return (Use::LeftOut, format!("it is \"{only}\" or empty"));
        }
        _ => {}
    }
    if facts.missing_share() >= MOSTLY_MISSING {
        return (
            Use::LeftOut,
            format!("it is empty in {:.1} % of the rows", 100.0 * facts.missing_share()),
        );
    }
    let id = is_called_id(&column.name);
    let n = text::count(different as u64);
    if !facts.numbers.is_empty() {
        let index = lower.starts_with("unnamed") || is_unnamed(&lower);
        let index = index
            || ["rownames", "rowname", "row", "index", "x", "rownum", "obs"]
                .contains(&lower.as_str());
        if facts.counts && (index || !id) {
            return left_out("it only counts the rows");
        }
        if id && facts.whole && share >= IDENTIFYING {
            return (Use::Id, format!("it is called so, and has {n} different values"));
        }
        let whole = if facts.whole { "whole numbers" } else { "numbers" };
        return (Use::Numeric, format!("{n} different {whole}"));
    }
    if !facts.days.is_empty() {
        return (Use::Date, format!("{n} different dates"));
    }
    let cells = facts.cells - facts.missing;
    let blanks = |text: &str| text.trim().contains(char::is_whitespace);
    let words = facts.texts.iter().filter(|(text, _)| blanks(text)).count();
    let mostly_words = 2 * words > different;
    if share >= IDENTIFYING && different > LEVELS.0 {
        if id {
            return (Use::Id, format!("it is called so, and has {n} different values"));
        }
        if share >= 0.95 && !mostly_words {
            return (Use::Id, "it has another value in almost every row".to_owned());
        }
        let kind = if mostly_words { "free text: " } else { "" };
        let of = text::plural(cells as u64, "row");
        return (
            Use::LeftOut,
            format!("{kind}{n} different texts in {of}, too many for categories"),
        );
    }
    if different > LEVELS.0.max((cells / ROWS_PER_LEVEL).min(LEVELS.1)) {
        let of = text::plural(cells as u64, "row");
        return (Use::LeftOut, format!("{n} different texts in {of}, too many for categories"));
    }
    (Use::Categorical, format!("{n} different texts"))
}

/// Whether a column without a name was given this one.
fn is_unnamed(lower: &str) -> bool {
    lower.strip_prefix("column ").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether the name says that the column identifies something.
fn is_called_id(name: &str) -> bool {
    let lower = name.to_lowercase();
    let whole = [
        "id",
        "key",
        "uuid",
        "guid",
        "customer",
        "client",
        "corporation",
        "account",
        "msisdn",
        "phone number",
        "email",
        "iban",
    ];
    let ends =
        ["_id", "-id", " id", ".id", "_key", "uuid", "_no", "_nr", "number", "_code_customer"];
    // customerID, PassengerId, but not "paid".
    let camel = ["ID", "Id"].iter().any(|end| {
        name.strip_suffix(end).and_then(|rest| rest.chars().last()).is_some_and(char::is_lowercase)
    });
    whole.contains(&lower.as_str())
        || camel
        || lower.starts_with("id_")
        || ends.iter().any(|end| lower.ends_with(end))
}

/// Whether a column of numbers has codes: a few whole numbers, with which the share of positives neither rises nor falls.
pub(crate) fn codes(facts: &Facts, labels: &[Option<bool>]) -> Option<String> {
    if !facts.whole || facts.numbers.is_empty() || !CODES.contains(&facts.texts.len()) {
        return None;
    }
    let mut levels: Vec<(f64, f64, f64)> = Vec::new();
    for (value, label) in facts.numbers.iter().zip(labels) {
        let Some(label) = label.filter(|_| !value.is_nan()) else { continue };
        let known = levels.iter().position(|level| level.0.total_cmp(value).is_eq());
        let at = known.unwrap_or(levels.len());
        if known.is_none() {
            levels.push((*value, 0.0, 0.0));
        }
        levels[at].1 += 1.0;
        levels[at].2 += f64::from(u8::from(label));
    }
    let (rows, positives) =
        levels.iter().fold((0.0, 0.0), |sum, level| (sum.0 + level.1, sum.1 + level.2));
    if levels.len() < *CODES.start() || levels.iter().any(|level| level.0 < 0.0) {
        return None;
    }
    let share = positives / rows;
    let variance = share * (1.0 - share);
    // Chi-squared of the differences between the shares, and of those that a rise or a fall explains.
    levels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let squared = |groups: &[(f64, f64)]| -> f64 {
        groups.iter().map(|(n, found)| (found - n * share).powi(2) / (n * variance)).sum()
    };
    let mut groups: Vec<(f64, f64)> = levels.iter().map(|(_, n, found)| (*n, *found)).collect();
    let all = squared(&groups);
    let rising = squared(&pooled(&groups));
    groups.reverse();
    let rest = (all - rising.max(squared(&pooled(&groups)))).max(0.0);
    let freedom = (levels.len() - 2) as f64;
    // Wilson and Hilferty's normal approximation.
    let ninth = 2.0 / (9.0 * freedom);
    let deviations = ((rest / freedom).cbrt() - (1.0 - ninth)) / ninth.sqrt();
    let used = levels.iter().all(|level| level.1 >= 5.0);
    (used && deviations > OFF_ORDER).then(|| {
        format!(
            "{} whole numbers that look like codes: the share of positives neither rises nor falls with them",
            levels.len()
        )
    })
}

/// Groups of rows and positives, neighbours joined until the shares of positives rise.
fn pooled(groups: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut pooled: Vec<(f64, f64)> = Vec::new();
    for group in groups {
        let mut group = *group;
        while let Some(last) = pooled.pop_if(|last| last.1 * group.0 >= group.1 * last.0) {
            group = (group.0 + last.0, group.1 + last.1);
        }
        pooled.push(group);
    }
    pooled
}

/// What gives the label away in a column that would be a feature.
pub(crate) fn leak(
    column: &Column,
    facts: &Facts,
    to_be: Use,
    labels: &[Option<bool>],
) -> Option<String> {
    let known: Vec<bool> = labels.iter().flatten().copied().collect();
    let kept = |values: &[f64]| -> Vec<f64> {
        let pairs = values.iter().zip(labels).filter(|(_, label)| label.is_some());
        pairs.map(|(value, _)| *value).collect()
    };
    let found = if to_be == Use::Categorical {
        let there: HashSet<&str> = facts.texts.iter().map(|(text, _)| text.as_str()).collect();
        let gap: Vec<bool> =
            column.levels.iter().map(|text| !there.contains(text.as_str())).collect();
        let code = |code: &u32| if gap[*code as usize] { f64::NAN } else { f64::from(*code) };
        let codes: Vec<f64> = column.codes.iter().map(code).collect();
        Leak::of_categories(&column.name, &known, &kept(&codes))
    } else {
        let values = if facts.days.is_empty() { &facts.numbers } else { &facts.days };
        Leak::of_numbers(&column.name, &known, &kept(values))
    }?;
    // Not rounded up to 1.
    let area = (found.roc_auc.unwrap_or(f64::NAN) * 1e4).floor() / 1e4;
    let what = match found.sign {
        Sign::Gaps => "whether it is missing",
        _ => "it alone",
    };
    Some(format!(
        "it may give the label away: {what} has a ROC AUC of {area:.4}, so it may only be known after the outcome"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(share: impl Fn(usize) -> usize) -> Option<String> {
        let mut facts = Facts {
            cells: 6_000,
            missing: 0,
            texts: (0..6).map(|code| (code.to_string(), 1_000)).collect(),
            numbers: Vec::new(),
            days: Vec::new(),
            odd: 0,
            whole: true,
            counts: false,
        };
        let mut labels = Vec::new();
        for i in 0..6_000 {
            facts.numbers.push((i % 6) as f64);
            labels.push(Some(i / 6 % 100 < share(i % 6)));
        }
        codes(&facts, &labels)
    }

    #[test]
    fn numbers_are_codes_only_where_positives_follow_no_order() {
        assert!(coded(|code| [10, 60, 20, 50, 10, 70][code]).is_some());
        // Rising, in whatever steps; falling; flat.
        for shares in [[1, 2, 50, 90, 91, 91], [90, 50, 49, 20, 5, 5], [30; 6]] {
            assert_eq!(coded(|code| shares[code]), None, "{shares:?}");
        }
    }

    #[test]
    fn names_of_ids_are_told_from_others() {
        for name in
            ["ID", "id", "customerID", "PassengerId", "client_id", "id_customer", "phone number"]
        {
            assert!(is_called_id(name), "{name}");
        }
        for name in ["paid", "bid", "Idaho", "age", "GRID", "valid", "humid"] {
            assert!(!is_called_id(name), "{name}");
        }
    }
}
