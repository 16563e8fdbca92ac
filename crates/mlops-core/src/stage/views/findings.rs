//! Findings with their history: what was found when, and when it was over.
//!
//! Not for what needs a person now: see `to_do`.

use serde::Serialize;

use super::to_do::command_for;
use crate::Result;
use crate::ids::Severity;
use crate::ledger::{FindingFilter, FindingRecord, Ledger, PAGE_SIZE};
use crate::run::context::Context;

/// A page of findings.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Findings {
    /// Only open ones (`true`), only ended ones (`false`), or both.
    pub open: Option<bool>,
    /// Only those that are at least this urgent.
    pub severity: Option<Severity>,
    /// The number of findings on this page and those after it.
    pub total: u64,
    /// What `before` must be for the next page, if there is one.
    pub next: Option<i64>,
    /// The findings, the newest first.
    pub items: Vec<Found>,
}

/// A finding with what one does about it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Found {
    /// The command line that does something about it, or shows more.
    pub command: Option<&'static str>,
    /// The record.
    #[serde(flatten)]
    pub finding: FindingRecord,
}

/// Reads the page of findings that `filter` names.
pub fn read(context: &Context, filter: &FindingFilter) -> Result<Findings> {
    let FindingFilter { open, severity, .. } = *filter;
    let ledger = Ledger::open_to_read(&context.config.ledger_path())?;
    let Some(ledger) = ledger else {
        return Ok(Findings { open, severity, total: 0, next: None, items: Vec::new() });
    };
    let total = ledger.count_findings(filter)?;
    let limit = u32::try_from(PAGE_SIZE).unwrap_or(u32::MAX);
    let items: Vec<Found> = ledger
        .findings(filter, limit)?
        .into_iter()
        .map(|finding| Found { command: command_for(finding.kind), finding })
        .collect();
    let next = items.last().map(|last| last.finding.id).filter(|_| total > items.len() as u64);
    Ok(Findings { open, severity, total, next, items })
}
