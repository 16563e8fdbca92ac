//! Which column is likely the label, and which of its two values is likely the one to find.
//!
//! Not for the other columns: see `columns`.

use mlops_core::csv::number::Number;
use mlops_core::{Error, Result, text};
use serde::Serialize;

use crate::facts::Facts;

/// Words in names of label columns.
const WORDS: &[&str] = &[
    "target",
    "label",
    "class",
    "outcome",
    "churn",
    "exited",
    "attrition",
    "surviv",
    "default",
    "deny",
    "denied",
    "approv",
    "spam",
    "fraud",
    "purchase",
    "convert",
    "subscri",
    "respon",
    "creditab",
    "diagnos",
    "income",
    "status",
    "died",
    "death",
    "cancel",
    "edible",
    "poison",
    "risk",
    "kündig",
    "storn",
    "abwander",
    "ausfall",
    "résili",
    "baja",
];
/// Whole names of label columns.
const NAMES: &[&str] = &["y", "left", "type", "event", "result", "bad", "good_bad"];
/// Values that are to be found, in lower case.
const FOUND: &[&str] = &[
    "yes",
    "y",
    "true",
    "t",
    "positive",
    "pos",
    "bad",
    "malignant",
    "spam",
    "fraud",
    "churn",
    "churned",
    "left",
    "exited",
    "died",
    "dead",
    "default",
    "attrited customer",
    "poisonous",
    ">50k",
    "50000+",
    "p",
    "failed",
    "abnormal",
    "sick",
    "ja",
    "oui",
    "si",
    "sí",
    "sim",
];
/// Values that mark the other rows.
const OTHER: &[&str] = &[
    "no", "n", "false", "f", "negative", "neg", "good", "benign", "ham", "stayed", "alive",
    "edible", "<=50k", "normal", "healthy", "nein", "non", "não",
];
/// Why a value is the one to find whose words say so.
const READS: &str = "it reads as the one to find";
/// The largest share of rows with a third value that are left to the quarantine.
const STRAY: f64 = 0.02;
/// How many values of a column a message shows.
const SHOWN: usize = 6;

/// The label.
#[derive(Debug, Clone, Serialize)]
pub struct Target {
    /// The column.
    pub column: String,
    /// The value of the rows to find.
    pub positive: String,
    /// The other value.
    pub negative: String,
    /// Third values, which are so few that their rows go to the quarantine.
    pub stray: Vec<String>,
    /// How many of the rows that were looked at are positive, and how many have a label.
    pub positives: (usize, usize),
    /// Why this column.
    pub why: String,
    /// Why this value.
    pub why_positive: String,
    /// Other columns that could be it, the likeliest first.
    pub others: Vec<String>,
}

/// What somebody said about the label.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) column: Option<&'a str>,
    pub(crate) positive: Option<&'a str>,
}

/// The values of a column, spellings of one label together: the most frequent spelling and how many rows.
fn values(facts: &Facts) -> Vec<(String, usize)> {
    let mut values: Vec<(String, String, usize)> = Vec::new();
    // More are not needed to see that it is no label.
    for (text, count) in facts.texts.iter().take(64) {
        let key = same(text);
        match values.iter_mut().find(|(known, ..)| *known == key) {
            Some(known) => known.2 += count,
            None => values.push((key, text.clone(), *count)),
        }
    }
    values.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
    values.into_iter().map(|(_, text, count)| (text, count)).collect()
}

/// The same for spellings of the same label.
pub(crate) fn same(label: &str) -> String {
    Number::parse(label).map_or_else(|| label.to_lowercase(), |n| format!("{:?}", n.value()))
}

/// The label among `columns`, which are names with their facts.
pub(crate) fn choose(columns: &[(&str, &Facts)], asked: Asked<'_>) -> Result<Target> {
    let ranked = ranked(columns);
    let (at, why) = match asked.column {
        Some(name) => (place(columns, name)?, "it was named".to_owned()),
        None => match ranked.first() {
            Some((at, _, why)) => (*at, why.clone()),
            None => return Err(no_label(columns)),
        },
    };
    let (column, facts) = columns[at];
    let mut values = values(facts);
    let all: usize = values.iter().map(|(_, count)| count).sum();
    if values.len() < 2 {
        return Err(Error::data(match values.first() {
            Some((only, rows)) => format!(
                "\"{}\" cannot be the label: all {} rows have the value \"{}\", so that there is nothing to tell \
                 apart. Name another column with --target, or add rows of the other class",
                text::name(column),
                text::count(*rows as u64),
                text::name(only)
            ),
            None => format!(
                "\"{}\" cannot be the label: it is empty in all rows. Name another column with --target",
                text::name(column)
            ),
        }));
    }
    let others: usize = values.iter().skip(2).map(|(_, count)| count).sum();
    if others as f64 > STRAY * all as f64 {
        return Err(too_many(columns, column, &values, &ranked));
    }
    let stray = values.drain(2..).map(|(text, _)| text).collect();
    let (positive, why_positive) = match asked.positive {
        Some(wanted) => {
            let found = values.iter().position(|(value, _)| same(value) == same(wanted));
            let found = found.ok_or_else(|| {
                Error::data(format!(
                    "\"{}\" has no value \"{}\": its values are \"{}\" and \"{}\"; name one of them with --positive",
                    text::name(column),
                    text::name(wanted),
                    text::name(&values[0].0),
                    text::name(&values[1].0)
                ))
            })?;
            (found, "it was named".to_owned())
        }
        None => positive(&values),
    };
    let others = ranked.iter().filter(|(other, ..)| *other != at);
    Ok(Target {
        column: column.to_owned(),
        positives: (values[positive].1, values[0].1 + values[1].1),
        positive: values[positive].0.clone(),
        negative: values[1 - positive].0.clone(),
        stray,
        why,
        why_positive,
        others: others.map(|(other, ..)| columns[*other].0.to_owned()).collect(),
    })
}

/// Where the column `name` is, in whatever case it is written.
fn place(columns: &[(&str, &Facts)], name: &str) -> Result<usize> {
    let exact = columns.iter().position(|(known, _)| *known == name);
    let alike = || columns.iter().position(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
    exact.or_else(alike).ok_or_else(|| {
        Error::data(format!(
            "there is no column \"{}\"; the columns are {}",
            text::name(name),
            text::names(columns.iter().map(|(known, _)| known))
        ))
    })
}

/// Whether a column has two values, but for a few strays.
fn is_label(facts: &Facts) -> bool {
    let values = if facts.texts.len() < 64 { values(facts) } else { Vec::new() };
    let rows = |values: &[(String, usize)]| values.iter().map(|(_, rows)| *rows).sum::<usize>();
    // A column with a rare second value has two; one with a rare third value may have three.
    (2..=5).contains(&values.len())
        && rows(&values[2..]) as f64 <= STRAY * rows(&values) as f64
        && (values.len() == 2 || values[1].1 > 10 * values[2].1)
}

/// The columns with two values, the likeliest label first: which, how likely, why.
fn ranked(columns: &[(&str, &Facts)]) -> Vec<(usize, u32, String)> {
    let last = columns.len().saturating_sub(1);
    let two: Vec<usize> = (0..columns.len()).filter(|at| is_label(columns[*at].1)).collect();
    let mut ranked: Vec<(usize, u32, String)> = Vec::new();
    for at in &two {
        let (name, facts) = columns[*at];
        let lower = name.to_lowercase();
        let mut likely = 0;
        let mut why = Vec::new();
        if NAMES.contains(&lower.as_str()) || WORDS.contains(&lower.as_str()) {
            likely += 10;
            why.push("labels are often called so".to_owned());
        } else if WORDS.iter().any(|word| lower.contains(word)) {
            likely += 6;
            why.push("its name sounds like a label".to_owned());
        }
        if *at == last {
            likely += 4;
            why.push("it is the last column".to_owned());
        } else if *at == 0 {
            likely += 2;
            why.push("it is the first column".to_owned());
        }
        let two = values(facts);
        if matches!(positive(&two[..2]), (_, why) if why == READS) {
            likely += 2;
        } else if two[..2].iter().any(|(text, _)| {
            text.contains([',', '.'])
                && Number::parse(&text.replace(',', ".")).is_some_and(|n| n.value().fract() != 0.0)
        }) {
            // A measurement with two values.
            likely = 0;
        }
        // Rows without a label cannot be learned from.
        if facts.missing_share() > 0.2 {
            likely /= 2;
        }
        if two.len() == 1 {
            why = vec!["it is the only column with two values".to_owned()];
        } else if why.is_empty() {
            why.push("it has two values".to_owned());
        }
        ranked.push((*at, likely, why.join(" and ")));
    }
    // Of equally likely ones the later column.
    ranked.sort_by_key(|(at, likely, _)| std::cmp::Reverse((*likely, *at)));
    ranked
}

/// Which of two values, the more frequent one first, is to be found, and why.
fn positive(values: &[(String, usize)]) -> (usize, String) {
    if let [Some(one), Some(other)] = [0, 1].map(|at: usize| Number::parse(&values[at].0)) {
        let (one, other) = (one.value(), other.value());
        // 0 and 1, or -1 and 1. Codes such as 1 and 2 have no such order.
        if one.min(other) <= 0.0 {
            return (usize::from(other > one), "it is the larger number".to_owned());
        }
        return (1, "it is the rarer one".to_owned());
    }
    let lower = [0, 1].map(|at: usize| values[at].0.to_lowercase());
    let known = |words: &[&str], at: usize| {
        let key = same(&lower[at]);
        words.iter().any(|word| same(word) == key)
    };
    let yes = [0, 1].map(|at| u8::from(known(FOUND, at)) + u8::from(known(OTHER, 1 - at)));
    if yes[0] != yes[1] {
        let at = usize::from(yes[1] > yes[0]);
        return (at, READS.to_owned());
    }
    // "not spam", "no-churn", "unpaid": the other one without the word.
    for at in [0, 1] {
        let (one, other) = (&lower[at], &lower[1 - at]);
        if other.len() > one.len()
            && other.ends_with(one.as_str())
            && ["not", "non", "no", "un"].iter().any(|word| other.starts_with(word))
        {
            return (at, "the other value is its opposite".to_owned());
        }
    }
    (1, "it is the rarer one".to_owned())
}

fn shown(values: &[(String, usize)]) -> String {
    let one = |(value, count): &(String, usize)| {
        format!("{} ({})", text::name(value), text::count(*count as u64))
    };
    let mut all: Vec<String> = values.iter().take(SHOWN).map(one).collect();
    if values.len() > SHOWN {
        all.push("…".to_owned());
    }
    all.join(", ")
}

/// The asked-for column has more than two values.
fn too_many(
    columns: &[(&str, &Facts)],
    column: &str,
    values: &[(String, usize)],
    ranked: &[(usize, u32, String)],
) -> Error {
    let count = match values.len() {
        n @ 0..60 => n.to_string(),
        _ => "many".to_owned(),
    };
    let two: Vec<&str> = ranked.iter().map(|(at, ..)| columns[*at].0).collect();
    let instead = if two.is_empty() {
        "No column of these data has two values".to_owned()
    } else {
        format!("Columns with two values: {}", text::names(&two))
    };
    Error::data(format!(
        "\"{}\" has {count} values: {}. A label has two. {instead}. To tell one of these values from all others, add a \
         column to the data that says yes for it and no for the rest, and name that column with --target",
        text::name(column),
        shown(values)
    ))
}

/// No column has two values.
fn no_label(columns: &[(&str, &Facts)]) -> Error {
    let mut few: Vec<_> = columns
        .iter()
        .filter(|(_, facts)| (3..=12).contains(&facts.texts.len()))
        .map(|(name, facts)| (*name, values(facts)))
        .collect();
    few.sort_by_key(|(_, values)| values.len());
    let mut nearest = few.first().map_or_else(String::new, |(name, values)| {
        format!(" \"{}\" has {}: {}.", text::name(name), values.len(), shown(values))
    });
    let sounds = |name: &str| {
        let lower = name.to_lowercase();
        NAMES.contains(&lower.as_str()) || WORDS.iter().any(|word| lower.contains(word))
    };
    let only = columns.iter().find(|(name, facts)| sounds(name) && facts.texts.len() == 1);
    if let Some((name, facts)) = only {
        let value = text::name(&facts.texts[0].0);
        nearest = format!(" \"{}\" is \"{value}\" in every row.", text::name(name));
    }
    Error::data(format!(
        "there is no label: no column has two values, such as yes and no.{nearest} Add a column that says yes for the \
         rows to find and no for the others"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_to_find_follows_from_its_words_or_from_its_rarity() {
        let of = |one: &str, other: &str| {
            let values = [(one.to_owned(), 70), (other.to_owned(), 30)];
            values[positive(&values).0].0.clone()
        };
        for (one, other, found) in [
            ("0", "1", "1"),
            ("1", "0", "1"),
            ("No", "Yes", "Yes"),
            ("yes", "no", "yes"),
            ("good", "bad", "bad"),
            ("benign", "malignant", "malignant"),
            ("1", "2", "2"),
            ("e", "p", "p"),
            ("not spam", "spam", "spam"),
            ("active", "inactive", "inactive"),
            ("female", "male", "male"),
            ("FALSE", "TRUE", "TRUE"),
            ("0.0", "1.0", "1.0"),
        ] {
            assert_eq!(of(one, other), found, "{one} {other}");
        }
    }
}
