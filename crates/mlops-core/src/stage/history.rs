//! `deployment history`: what was live from when to when, who decided it and why.
//!
//! Reads the ledger and looks at the pointer; takes no lock and writes nothing.
//! Not for whether a release is sound: see [`super::verify`].

use std::fmt;

use serde::Serialize;

use crate::Result;
use crate::context::{Context, Report};
use crate::ids::DatasetVersion;
use crate::ledger::{Action, Intent, Ledger};
use crate::store::Pointer;
use crate::text;

/// All deployments and rollbacks.
#[derive(Debug, Clone, Serialize)]
pub struct History {
    /// The newest first.
    pub entries: Vec<Entry>,
    /// Where the record and the disk differ.
    pub notes: Vec<String>,
}

/// A time in which one release was live.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The release.
    pub release: String,
    /// How it went live.
    pub action: Action,
    /// From when it was live: RFC 3339, UTC.
    pub from: String,
    /// Until when; nothing for the last one.
    pub until: Option<String>,
    /// Whether the pointer names it now.
    pub live: bool,
    /// Its F1 on the test data of its time.
    pub f1: Option<f64>,
    /// The data set that it was trained on.
    pub dataset: DatasetVersion,
    /// The run that made it live.
    pub run_id: String,
    /// The step of that run.
    pub step: String,
    /// Why.
    pub reason: String,
    /// When it was removed on purpose, if it was.
    pub removed: Option<String>,
    /// Whether it was rolled back and not made live since.
    pub rolled_back: bool,
}

impl Report for History {
    fn changed(&self) -> bool {
        false
    }
}

/// Reads the history.
pub fn run(context: &Context) -> Result<History> {
    let mut history = History { entries: Vec::new(), notes: Vec::new() };
    let Some(ledger) = Ledger::open_to_read(&context.config.ledger_path())? else {
        return Ok(history);
    };
    let pointer = context.store().pointer()?;
    let mut until = None;
    for deployment in ledger.deployments()?.into_iter().rev() {
        let removed = match deployment.release.parse() {
            Ok(id) => ledger.release_removed(&id)?,
            Err(_) => None,
        };
        let newest = until.is_none();
        let named = matches!(&pointer, Pointer::Release(id) if id.as_str() == deployment.release);
        history.entries.push(Entry {
            live: newest && named,
            rolled_back: ledger.was_rolled_back(&deployment.release)?.is_some(),
            removed,
            from: deployment.recorded.clone(),
            until: until.replace(deployment.recorded),
            release: deployment.release,
            action: deployment.action,
            f1: deployment.f1,
            dataset: deployment.dataset,
            run_id: deployment.run_id,
            step: deployment.step,
            reason: deployment.reason,
        });
    }
    let under_way = ledger.intents()?.iter().any(|(_, i)| matches!(i, Intent::Promote(_)));
    let live = history.entries.first().is_none_or(|e| e.live);
    let place = context.config.deployment.display();
    history.notes.extend(match (under_way, live, pointer) {
        (true, ..) => Some("a promotion is under way, or was interrupted".to_owned()),
        (_, true, _) => None,
        (_, _, Pointer::Vacant) => Some(format!("there is nothing at {place} now")),
        (_, _, Pointer::Release(id)) => Some(format!(
            "{place} points to {id}, which is not what was recorded last: somebody moved it"
        )),
        (_, _, Pointer::Foreign(target)) => {
            Some(format!("{place} points to {}, which is no release of ours", target.display()))
        }
        (_, _, Pointer::Occupied) => Some(format!("{place} is not a pointer any more")),
    });
    Ok(history)
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.entries.is_empty() {
            writeln!(f, "Nothing was deployed yet.")?;
        } else {
            let head = ["live from", "until", "release", "data", "F1", "by", "why"];
            let mut rows = vec![head.map(str::to_owned).to_vec()];
            for entry in &self.entries {
                let until = match &entry.until {
                    Some(until) => seconds(until),
                    None if entry.live => "now".to_owned(),
                    None => "?".to_owned(),
                };
                let mark = match (&entry.removed, entry.rolled_back) {
                    (Some(_), _) => " (removed)",
                    (None, true) => " (rolled back)",
                    (None, false) => "",
                };
                rows.push(vec![
                    seconds(&entry.from),
                    until,
                    format!("{}{mark}", entry.release),
                    entry.dataset.to_string(),
                    entry.f1.map_or_else(|| "-".to_owned(), |f1| format!("{f1:.4}")),
                    format!("{} {}", entry.step, entry.run_id),
                    entry.reason.clone(),
                ]);
            }
            f.write_str(&text::list(&rows))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

/// A time without its fraction.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}
