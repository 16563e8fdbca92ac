//! What was asked of releases, window by window: how it compares with the rows that they were trained on.
//!
//! Read from the ledger; nothing is computed anew. Not for reading the log of predictions: see
//! [`crate::stage::asked`]; not for rows with labels: see [`crate::stage::drifted`].

use chrono::{Days, NaiveDate};
use serde::Serialize;

use crate::Result;
use crate::drift::ColumnDrift;
use crate::ids::ReleaseId;
use crate::ledger::{Ledger, Paged};
use crate::run::asked::{Against, AskedWindow};
use crate::stage::{asked, drifted};

/// The windows that are listed.
const MOST: u32 = 12;
/// The columns that are named for each.
const NAMED: usize = 5;

/// What was asked: the newest windows, and the columns of one of them.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Asked {
    /// The newest windows of all releases, newest first.
    pub windows: Vec<Window>,
    /// The one that was asked for.
    pub shown: Option<Shown>,
}

/// A window of time in which a release answered.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Window {
    /// The release.
    pub release: ReleaseId,
    /// Its first day, in UTC.
    pub from: NaiveDate,
    /// Its last day.
    pub last: NaiveDate,
    /// The number of rows that were answered.
    pub rows: u64,
    /// The number of these predicted positive.
    pub positive: u64,
    /// What the rows are compared with.
    pub against: Against,
    /// Number of columns that drifted.
    pub drifted: u64,
    /// Number of all columns.
    pub total: u64,
    /// The first of those that drifted.
    pub named: Vec<String>,
}

/// The comparison of a window, column by column.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Shown {
    /// The window.
    #[serde(flatten)]
    pub window: Window,
    /// Upper bound on the probability of any alarm without drift.
    pub alpha: f64,
    /// Number of rows that they are compared with.
    pub reference_rows: u64,
    /// Number of rows that were compared: of very many a sample.
    pub compared_rows: u64,
    /// The columns whose name contains what was looked for: those that drifted first, then by the p-value of
    /// their test.
    pub columns: Paged<ColumnDrift>,
}

/// The newest windows.
///
/// # Errors
/// If the ledger cannot be read.
pub fn newest(ledger: &Ledger) -> Result<Asked> {
    let history = asked::history(ledger, MOST)?;
    let windows = history.iter().rev().map(|(release, window)| summary(release, window)).collect();
    Ok(Asked { windows, shown: None })
}

/// The window of `release` that begins on `from`, beside the newest ones: page `page` of its columns whose name
/// contains `wanted`. `None` if there is no such window.
///
/// # Errors
/// If the ledger cannot be read.
pub fn of(
    ledger: &Ledger,
    (release, from): (&ReleaseId, NaiveDate),
    wanted: &str,
    page: u64,
) -> Result<Option<Asked>> {
    let Some(window) = asked::window(ledger, release, from)? else { return Ok(None) };
    let summary = summary(release, &window);
    let drift = window.drift;
    let shown = Shown {
        window: summary,
        alpha: drift.alpha,
        reference_rows: drift.reference_rows,
        compared_rows: drift.new_rows,
        columns: drifted::ranked(drift.columns, wanted, page.max(1)),
    };
    Ok(Some(Asked { shown: Some(shown), ..newest(ledger)? }))
}

fn summary(release: &ReleaseId, window: &AskedWindow) -> Window {
    Window {
        release: release.clone(),
        from: window.from,
        last: window.until.checked_sub_days(Days::new(1)).unwrap_or(window.until),
        rows: window.rows,
        positive: window.positive,
        against: window.against,
        drifted: window.drifted().count() as u64,
        total: window.drift.columns.len() as u64,
        named: window.drifted().take(NAMED).map(str::to_owned).collect(),
    }
}
