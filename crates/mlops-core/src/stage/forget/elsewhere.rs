//! What still has rows of the people once they are gone from the data set: earlier versions, releases, logs of
//! predictions, tables. All of it is listed, and what is ours is removed by `--everywhere`.
//!
//! Not for files of sources: see [`super::sources`].

use std::fs::{File, TryLockError};
use std::path::Path;

use super::data::InData;
use super::ours::inside;
use super::people::People;
use super::report::{Left, What};
use super::sources::each_line;
use crate::config::OutputMode;
use crate::ids::{DatasetVersion, Form, ReleaseId};
use crate::ledger::{Ledger, Redaction};
use crate::model::golden::Golden;
use crate::platform::digest::Digest;
use crate::platform::files;
use crate::release::{GOLDEN, Pointer};
use crate::run::context::Context;
use crate::run::redact;
use crate::table::schema::{Role, Schema};
use crate::text::mention;
use crate::{Result, text};

/// What is elsewhere.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// Everything, with its names.
    pub(super) left: Vec<Left>,
    /// Earlier versions among it.
    pub(super) datasets: Vec<DatasetVersion>,
    /// Releases that are not live among it.
    pub(super) releases: Vec<ReleaseId>,
    /// The live release, if it is among it.
    pub(super) live: Option<ReleaseId>,
    /// The changes that take it out of other files.
    pub(super) redactions: Vec<Redaction>,
}

impl Elsewhere {
    /// Finds it; `found` is what the newest version has, and learns what earlier ones have.
    pub(super) fn of(
        context: &Context,
        ledger: &Ledger,
        schema: &Schema,
        people: &People,
        found: &mut InData,
    ) -> Result<Self> {
        let mut elsewhere = Self::default();
        elsewhere.versions(context, ledger, schema, people, found)?;
        elsewhere.releases(context, found)?;
        elsewhere.logs(context, schema, people)?;
        let config = &context.config;
        let table = config.output.table.as_ref().filter(|t| t.mode == OutputMode::Append);
        if let Some(table) = table.filter(|_| !elsewhere.datasets.is_empty()) {
            elsewhere.left.push(Left::of(What::Table, &text::name(&table.table), 0));
        }
        let cron = config.base.join("fullprocess.log");
        if files::read(&cron)
            .is_ok_and(|text| mention::mentions(&String::from_utf8_lossy(&text), &people.values))
        {
            elsewhere.left.push(Left::of(What::CronLog, &cron.display().to_string(), 0));
        }
        Ok(elsewhere)
    }

    fn versions(
        &mut self,
        context: &Context,
        ledger: &Ledger,
        schema: &Schema,
        people: &People,
        found: &mut InData,
    ) -> Result<()> {
        let newest = ledger.latest_dataset()?.map(|last| last.version);
        for dataset in ledger.datasets()?.into_iter().filter(|d| d.location.is_file()) {
            let rows = if Some(dataset.version) == newest {
                Some(found.rows())
            } else {
                // One that cannot be read with the present schema may have them.
                found.look(context, schema, &dataset.location, people).ok()
            };
            if rows != Some(0) {
                self.left.push(Left::of(What::OldVersion, &dataset.name(), rows.unwrap_or(0)));
                self.datasets.push(dataset.version);
                self.remove(context, &dataset.location, dataset.sha256);
                let table = dataset.location.with_file_name(dataset.version.name(Form::Parquet));
                let digest = ledger.meta(&dataset.version.table_key())?;
                if let Some(digest) = digest.and_then(|digest| digest.parse().ok()) {
                    self.remove(context, &table, digest);
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, context: &Context, path: &Path, before: Digest) {
        let location = context.location(path);
        self.redactions.push(Redaction { location, before, after: None, cuts: Vec::new() });
    }

    fn releases(&mut self, context: &Context, found: &InData) -> Result<()> {
        let store = context.store();
        let live = match store.pointer() {
            Ok(Pointer::Release(id)) => Some(id),
            _ => None,
        };
        let has = |path: &Path| {
            let text = files::read(path).unwrap_or_default();
            let golden: Option<Golden> = serde_json::from_slice(&text).ok();
            golden.is_some_and(|golden| golden.rows.iter().any(|row| found.has(row)))
        };
        for id in store.releases()?.into_iter().filter(|id| has(&store.folder(id).join(GOLDEN))) {
            let is_live = live.as_ref() == Some(&id);
            let what = if is_live { What::LiveRelease } else { What::Release };
            self.left.push(Left::of(what, id.as_str(), 0));
            if is_live { self.live = Some(id) } else { self.releases.push(id) }
        }
        let candidate = context.config.output_model.join(GOLDEN);
        if has(&candidate) {
            self.left.push(Left::of(What::Candidate, &candidate.display().to_string(), 0));
            self.remove(context, &candidate, Digest::of_file(&candidate)?);
        }
        Ok(())
    }

    fn logs(&mut self, context: &Context, schema: &Schema, people: &People) -> Result<()> {
        let Some(log) = &context.config.service.prediction_log else { return Ok(()) };
        for path in inside(&log.folder, "jsonl") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with("predictions-") {
                continue;
            }
            let mut cuts: Vec<(u64, u64)> = Vec::new();
            each_line(&path, |start, line| {
                if is_theirs(line, schema, people) {
                    // With its end, which is one byte in this log.
                    cuts.push((start, start + line.len() as u64 + 1));
                }
            })?;
            if cuts.is_empty() {
                continue;
            }
            let in_use = File::open(&path)
                .is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
            let what = if in_use { What::PredictionLogInUse } else { What::PredictionLog };
            self.left.push(Left::of(what, &name, cuts.len() as u64));
            if !in_use {
                let (location, before) = (context.location(&path), Digest::of_file(&path)?);
                let (after, _) = redact::without(&path, &cuts)?;
                self.redactions.push(Redaction { location, before, after: Some(after), cuts });
            }
        }
        Ok(())
    }
}

/// Whether a line of the log of predictions is about one of the people.
fn is_theirs(line: &[u8], schema: &Schema, people: &People) -> bool {
    let Ok(line) = serde_json::from_slice::<serde_json::Value>(line) else {
        return people.forgotten.may_have(line);
    };
    people.forgotten.has_values(|at| {
        let column = schema.columns().get(at)?;
        let within = match column.role {
            Role::Id => &line,
            _ => line.get("features")?,
        };
        within.get(&column.name).and_then(serde_json::Value::as_str)
    })
}
