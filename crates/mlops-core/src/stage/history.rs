//! `deployment history`: which release was live when, who decided it, and why.
//!
//! Reads the ledger and the pointer; takes no lock and writes nothing. Not for checking releases:
//! see [`super::verify`].

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::ids::{DatasetVersion, ReleaseId, ReleasePrefix, RunId, Step};
use crate::ledger::{Action, Deployment, Intent, Ledger};
use crate::release::Pointer;
use crate::run::context::{Context, Report};
use crate::text;
use crate::{Error, Result};

/// All deployments and rollbacks.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct History {
    /// The entries, newest first.
    pub entries: Vec<Entry>,
    /// Differences between the record and the disk.
    pub notes: Vec<String>,
}

/// A period in which one release was live.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// The release.
    pub release: ReleaseId,
    /// How it went live.
    pub action: Action,
    /// When it went live, RFC 3339, UTC.
    pub from: String,
    /// When it was replaced; `None` for the last one.
    pub until: Option<String>,
    /// The pointer names it now.
    pub live: bool,
    /// Its F1 on the test data of its time.
    pub f1: Option<f64>,
    /// The data set that it was trained on.
    pub dataset: DatasetVersion,
    /// The run that made it live.
    pub run_id: RunId,
    /// The step of that run.
    pub step: Step,
    /// The reason.
    pub reason: String,
    /// When it was removed on purpose, if it was.
    pub removed: Option<String>,
    /// It was rolled back and not redeployed since.
    pub rolled_back: bool,
}

impl Entry {
    /// The period that began with `deployment` and ended when another release went live.
    pub(crate) fn of(
        ledger: &Ledger,
        deployment: Deployment,
        until: Option<String>,
        live: bool,
    ) -> Result<Self> {
        Ok(Self {
            live,
            removed: ledger.release_removed(&deployment.release)?,
            rolled_back: ledger.was_rolled_back(&deployment.release)?.is_some(),
            until,
            from: deployment.recorded,
            release: deployment.release,
            action: deployment.action,
            f1: deployment.f1,
            dataset: deployment.dataset,
            run_id: deployment.run_id,
            step: deployment.step,
            reason: deployment.reason,
        })
    }
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
        let newest = until.is_none();
        let named = matches!(&pointer, Pointer::Release(id) if *id == deployment.release);
        let ended = until.replace(deployment.recorded.clone());
        history.entries.push(Entry::of(&ledger, deployment, ended, newest && named)?);
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
            Some(format!("{place} points to {}, which is not a release of ours", target.display()))
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
            let head = ["live from", "until", "release", "F1", "by", ""];
            let mut rows = vec![head.map(str::to_owned).to_vec()];
            for entry in &self.entries {
                let until = match &entry.until {
                    Some(until) => minutes(until),
                    None if entry.live => "now".to_owned(),
                    None => "?".to_owned(),
                };
                let mark = match (&entry.removed, entry.rolled_back) {
                    (Some(_), _) => "(removed)",
                    (None, true) => "(rolled back)",
                    (None, false) => "",
                };
                let by = match entry.action {
                    Action::Rollback => "rollback",
                    Action::Deploy => entry.step.as_str(),
                };
                rows.push(vec![
                    minutes(&entry.from),
                    until,
                    entry.release.to_string(),
                    entry.f1.map_or_else(|| "-".to_owned(), |f1| format!("{f1:.4}")),
                    by.to_owned(),
                    mark.to_owned(),
                ]);
            }
            let table = text::list(&rows);
            let mut lines = table.lines();
            lines.next().map_or(Ok(()), |head| writeln!(f, "{head}"))?;
            for (line, entry) in lines.zip(&self.entries) {
                writeln!(f, "{line}")?;
                for line in wrapped(&text::visible(&entry.reason), WIDTH - 6) {
                    writeln!(f, "      {line}")?;
                }
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

/// A time to the minute, in UTC.
fn minutes(time: &str) -> String {
    match (time.get(..10), time.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time}"),
        _ => time.to_owned(),
    }
}

/// The width of a terminal in characters.
const WIDTH: usize = 100;

/// `text` in lines of at most `width` characters, broken at spaces if possible.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        while !word.is_empty() {
            let line = lines.last().map_or(0, |line| line.chars().count());
            let room = if line == 0 { width } else { width.saturating_sub(line + 1) };
            if word.len() > room && line > 0 {
                lines.push(String::new());
                continue;
            }
            let rest = word.split_off(word.len().min(room));
            if let Some(last) = lines.last_mut() {
                last.push_str(if line == 0 { "" } else { " " });
                last.extend(word);
            }
            word = rest;
        }
    }
    lines
}

/// The one release whose id begins with `prefix`, among those that exist or were live.
pub fn find(context: &Context, prefix: &ReleasePrefix) -> Result<ReleaseId> {
    let mut ids: BTreeSet<ReleaseId> = context.store().releases()?.into_iter().collect();
    if let Some(ledger) = Ledger::open_to_read(&context.config.ledger_path())? {
        ids.extend(ledger.deployments()?.iter().map(|d| d.release.clone()));
    }
    let found: Vec<&ReleaseId> = ids.iter().filter(|id| prefix.is_of(id)).collect();
    // A complete id is accepted as it is; its problems are reported where it is used.
    match (found.as_slice(), prefix.to_string().parse()) {
        (_, Ok(id)) => Ok(id),
        ([one], _) => Ok((*one).clone()),
        ([], _) => Err(Error::missing(format!(
            "there is no release whose name begins with {prefix}: see `deployment history`"
        ))),
        (several, _) => Err(Error::missing(format!(
            "{} releases begin with {prefix}: {}. Name one of them",
            several.len(),
            text::names(several.iter().map(|id| id.as_str()))
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_history_is_wider_than_a_terminal() {
        let entry = |reason: &str, step: Step| Entry {
            release: "r-123456-0123456789ab".parse().unwrap(),
            action: Action::Deploy,
            from: "2033-05-18T03:33:20.000Z".to_owned(),
            until: Some("2033-05-18T03:33:21.000Z".to_owned()),
            live: false,
            f1: Some(0.5),
            dataset: DatasetVersion(123_456),
            run_id: RunId::named("20330518T033320000Z-1"),
            step,
            reason: reason.to_owned(),
            removed: None,
            rolled_back: true,
        };
        let words = "the challenger was better by far ".repeat(9);
        let entries =
            vec![entry(&words, Step::FullProcess), entry(&"x".repeat(300), Step::Deployment)];
        let history = History { entries, notes: Vec::new() }.to_string();
        assert!(history.lines().all(|line| line.chars().count() <= 100), "{history}");
        assert_eq!(history.matches("challenger").count(), 9, "{history}");
        assert_eq!(history.matches('x').count(), 300, "{history}");
    }
}
