//! What the cells of a column are: numbers, dates or texts, how many differ, how many are missing; and what all
//! columns together say about the spelling of numbers, dates and gaps.
//!
//! Not for what becomes of a column: see `columns`.

use std::collections::BTreeSet;

use mlops_core::config::{Ingestion, NumberFormat};
use mlops_core::csv::number::Number;
use mlops_core::table::date;

use crate::sample::{Column, Sample};

/// From which share of cells on a column is what they are; the others go to the quarantine.
pub(crate) const MOSTLY: f64 = 0.95;
/// How many different texts of a column are looked at when the spelling of numbers is sought.
const SPELLINGS: usize = 2_000;
/// Spellings of numbers, the default first.
const NUMBERS: [NumberFormat; 6] = [
    NumberFormat { decimal: '.', thousands: Some(',') },
    NumberFormat { decimal: ',', thousands: Some('.') },
    NumberFormat { decimal: '.', thousands: Some(' ') },
    NumberFormat { decimal: ',', thousands: Some(' ') },
    NumberFormat { decimal: '.', thousands: Some('\'') },
    NumberFormat { decimal: ',', thousands: Some('\'') },
];
/// Spellings of dates besides ISO 8601. Where two of them fit all cells, the first one is proposed.
const DATES: [&str; 19] = [
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d-%b-%Y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d-%m-%y",
    "%d-%b-%y",
];
/// Words for a missing value, in lower case, that are not among the defaults.
const GAPS: [&str; 20] = [
    "-",
    "--",
    "---",
    ".",
    "..",
    "*",
    "unknown",
    "missing",
    "none",
    "n.a.",
    "nil",
    "(null)",
    "n/d",
    "nd",
    "not available",
    "unbekannt",
    "k.a.",
    "keine angabe",
    "#value!",
    "#div/0!",
];

/// How numbers, dates and gaps are spelt in all columns.
#[derive(Debug, Clone)]
pub(crate) struct Spelling {
    /// The spelling of numbers.
    pub(crate) numbers: NumberFormat,
    /// The pattern of dates that are not ISO 8601.
    pub(crate) date: Option<&'static str>,
    /// Another pattern that fits as well.
    pub(crate) rival: Option<&'static str>,
    /// All spellings of a missing value.
    pub(crate) missing: Vec<String>,
    /// Those that are not among the defaults.
    pub(crate) more_missing: Vec<String>,
}

impl Spelling {
    /// What the columns of `sample` say together.
    pub(crate) fn of(sample: &Sample) -> Self {
        let mut missing = Ingestion::default().missing_values;
        let columns = &sample.columns;
        let fits = |numbers: NumberFormat| {
            columns.iter().filter(|column| is_number(column, numbers, &missing)).count()
        };
        let mut best = (NUMBERS[0], fits(NUMBERS[0]));
        for numbers in NUMBERS.into_iter().skip(1) {
            let found = fits(numbers);
            if found > best.1 {
                best = (numbers, found);
            }
        }
        let numbers = best.0;
        let mut more = BTreeSet::new();
        for column in columns {
            more.extend(gaps(column, numbers, &missing));
        }
        let more_missing: Vec<String> = more.into_iter().collect();
        missing.extend(more_missing.iter().cloned());
        let texts: Vec<&Column> = columns
            .iter()
            .filter(|column| {
                !is_number(column, numbers, &missing) && !is_date(column, None, &missing)
            })
            .filter(|column| looks_like_dates(column, &missing))
            .collect();
        let mut patterns: Vec<(&str, usize)> = DATES
            .iter()
            .map(|pattern| {
                let fit = |column: &&&Column| is_date(column, Some(pattern), &missing);
                (*pattern, texts.iter().filter(fit).count())
            })
            .filter(|(_, fit)| *fit > 0)
            .collect();
        // Stable, so that of equals the first one stays first.
        patterns.sort_by_key(|(_, fit)| std::cmp::Reverse(*fit));
        let date = patterns.first().map(|(pattern, _)| *pattern);
        let rival = patterns.get(1).filter(|second| second.1 == patterns[0].1).map(|(p, _)| *p);
        Self { numbers, date, rival, missing, more_missing }
    }

    /// Whether `cell` is missing.
    pub(crate) fn is_gap(&self, cell: &str) -> bool {
        self.missing.iter().any(|gap| gap == cell)
    }
}

/// A column in figures.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// The number of cells.
    pub(crate) cells: usize,
    /// How many of them are missing.
    pub(crate) missing: usize,
    /// The different texts that are not missing, by how many cells have them.
    pub(crate) texts: Vec<(String, usize)>,
    /// Each cell as a number; NaN for one that is none. Empty if the column has no numbers.
    pub(crate) numbers: Vec<f64>,
    /// Each cell as a day; NaN for one that is none. Empty if the column has no dates.
    pub(crate) days: Vec<f64>,
    /// Cells that are neither missing nor what the others are.
    pub(crate) odd: usize,
    /// All numbers are integers.
    pub(crate) whole: bool,
    /// Each number is the one before plus the same amount.
    pub(crate) counts: bool,
}

impl Facts {
    /// Those of `column`.
    pub(crate) fn of(column: &Column, spelling: &Spelling) -> Self {
        let counts = column.counts();
        let cells = column.codes.len();
        let mut texts: Vec<(String, usize)> = column
            .levels
            .iter()
            .zip(&counts)
            .filter(|(text, count)| **count > 0 && !spelling.is_gap(text))
            .map(|(text, count)| (text.clone(), *count))
            .collect();
        let there: usize = texts.iter().map(|(_, count)| count).sum();
        texts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let mut facts = Self {
            cells,
            missing: cells - there,
            texts,
            numbers: Vec::new(),
            days: Vec::new(),
            odd: 0,
            whole: false,
            counts: false,
        };
        let values = |read: &dyn Fn(&str) -> Option<f64>| -> Vec<f64> {
            let of = |text: &String| {
                if spelling.is_gap(text) { f64::NAN } else { read(text).unwrap_or(f64::NAN) }
            };
            let by_code: Vec<f64> = column.levels.iter().map(of).collect();
            column.codes.iter().map(|code| by_code[*code as usize]).collect()
        };
        let good = |values: &[f64]| values.iter().filter(|value| !value.is_nan()).count();
        if is_number(column, spelling.numbers, &spelling.missing) {
            let read = |text: &str| Number::read(text, spelling.numbers).map(Number::value);
            facts.numbers = values(&read);
            facts.odd = there - good(&facts.numbers);
            let mut there = facts.numbers.iter().filter(|value| !value.is_nan());
            facts.whole = there.all(|value| value.fract() == 0.0);
            facts.counts = facts.whole && counts_up(&facts.numbers);
        } else if is_date(column, spelling.date, &spelling.missing) {
            facts.days = values(&|text| date::read(text, spelling.date));
            facts.odd = there - good(&facts.days);
        }
        facts
    }

    /// Of the cells that are there, how many differ.
    pub(crate) fn distinct_share(&self) -> f64 {
        self.texts.len() as f64 / (self.cells - self.missing).max(1) as f64
    }

    /// The share of missing cells.
    pub(crate) fn missing_share(&self) -> f64 {
        self.missing as f64 / self.cells.max(1) as f64
    }
}

/// Whether each number is the one before plus the same amount, but for a few at the borders of files.
fn counts_up(numbers: &[f64]) -> bool {
    let steps: Vec<f64> = numbers.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let Some(first) = steps.first().copied().filter(|step| *step > 0.0) else { return false };
    let same = steps.iter().filter(|step| (**step - first).abs() < 0.5).count();
    steps.len() >= 9 && same as f64 >= 0.99 * steps.len() as f64
}

/// The share of cells that are not missing for which `good` holds, of a bounded number of texts.
fn share(column: &Column, missing: &[String], good: impl Fn(&str) -> bool) -> f64 {
    let counts = column.counts();
    let (mut fit, mut all) = (0, 0);
    let there = column.levels.iter().zip(&counts);
    let there = there.filter(|(text, n)| **n > 0 && !missing.iter().any(|gap| gap == *text));
    for (text, count) in there.take(SPELLINGS) {
        all += count;
        fit += if good(text) { *count } else { 0 };
    }
    if all == 0 { 0.0 } else { f64::from(u32::try_from(fit).unwrap_or(u32::MAX)) / all as f64 }
}

fn is_number(column: &Column, numbers: NumberFormat, missing: &[String]) -> bool {
    share(column, missing, |text| Number::read(text, numbers).is_some()) >= MOSTLY
}

fn is_date(column: &Column, pattern: Option<&str>, missing: &[String]) -> bool {
    share(column, missing, |text| date::read(text, pattern).is_some()) >= MOSTLY
}

fn looks_like_dates(column: &Column, missing: &[String]) -> bool {
    let dated = |text: &str| {
        (6..=32).contains(&text.len())
            && text.contains(['.', '/', '-'])
            && text.bytes().filter(u8::is_ascii_digit).count() >= 4
    };
    share(column, missing, dated) >= MOSTLY
}

/// Spellings of a missing value in a column that has numbers otherwise.
fn gaps(column: &Column, numbers: NumberFormat, missing: &[String]) -> Vec<String> {
    let number = |text: &str| Number::read(text, numbers).is_some();
    let known = |text: &str| GAPS.contains(&text.to_lowercase().as_str());
    let numeric = share(column, missing, number);
    if numeric < 0.5 || share(column, missing, |text| number(text) || known(text)) < MOSTLY {
        return Vec::new();
    }
    column.levels.iter().filter(|text| known(text) && !missing.contains(text)).cloned().collect()
}
