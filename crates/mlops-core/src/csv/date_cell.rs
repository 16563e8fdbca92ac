//! Cells of dates: which are canonical already, how others are spelt then, and why one is no date.
//!
//! Not for the meaning of a spelling: see `table::date`.

use super::clean::FormatChanges;
use super::quarantine::Sign;
use crate::config::Ingestion;
use crate::table::date;
use crate::text;

/// The days since 1970 of a canonical date; NaN for an empty cell, `None` for any other spelling.
#[inline(never)]
pub(crate) fn canonical_date(options: &Ingestion, cell: &[u8]) -> Option<f64> {
    date::canonical(cell)
        .filter(|_| !options.missing_values.iter().any(|m| !m.is_empty() && m.as_bytes() == cell))
}

/// Appends the canonical spelling of a date.
pub(crate) fn push_date(
    value: &str,
    options: &Ingestion,
    out: &mut Vec<u8>,
    changes: &mut FormatChanges,
) -> Result<(), (Sign, String)> {
    let pattern = options.date_pattern.as_deref();
    let days =
        date::read(value, pattern).ok_or_else(|| (Sign::Nothing, no_date(value, pattern)))?;
    let spelt = date::spell(days);
    changes.number_format += u64::from(spelt != value);
    out.extend_from_slice(spelt.as_bytes());
    Ok(())
}

/// The reason why a text is not read as a date.
pub(crate) fn no_date(value: &str, pattern: Option<&str>) -> String {
    let value = text::visible(value);
    match pattern {
        Some(pattern) => format!(
            "\"{value}\" is not a date: neither as 2024-03-31 or 2024-03-31T14:05:00, nor by \
             \"ingestion.date_pattern\", \"{}\"",
            text::visible(pattern)
        ),
        None => format!(
            "\"{value}\" is not a date as 2024-03-31 or 2024-03-31T14:05:00; \
             \"ingestion.date_pattern\" can name another spelling"
        ),
    }
}
