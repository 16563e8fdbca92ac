//! The environment of a stage: configuration, time, disk and run id; and the workspace that it
//! works in, locked and recovered.
//!
//! Not for the stages themselves: see `stage`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::Config;
use crate::config::choices::RecordChanges;
use crate::ids::{FindingKind, RunId, RunOutcome, Step};
use crate::ledger::{Ledger, Observed, RunEnd, RunRecord, lost};
use crate::platform::clock::{Clock, rfc3339};
use crate::platform::digest::Digest;
use crate::platform::disk::Disk;
use crate::platform::engine::Engine;
use crate::platform::location::Location;
use crate::platform::lock::Lock;
use crate::platform::temporary::TemporaryFolder;
use crate::release::{Held, Pointer, Store};
use crate::run::attention::{self, Attention, Fact, Finding};
use crate::run::digests::Digests;
use crate::run::lineage::{Events, Job, Lineage, Stage};
use crate::source::{OnlyFolders, Places};
use crate::{Error, Result, text};

/// The environment of one run.
#[derive(Clone)]
pub struct Context {
    /// The checked configuration.
    pub config: Config,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The only way to write.
    pub disk: Disk,
    /// The id of this run.
    pub run: RunId,
    /// The machine's name, for records.
    pub host: String,
    /// The program's version, for records.
    pub tool_version: String,
    /// Called with the progress of a long step: bytes done and total, and rows so far.
    pub progress: Arc<dyn Fn(u64, u64, u64) + Send + Sync>,
    /// Called with the name of each step as it begins, for a watchdog.
    pub step_begins: Arc<dyn Fn(Step) + Send + Sync>,
    /// The OpenLineage events of this run.
    pub events: Events,
    /// Digests of files computed in this run.
    pub digests: Arc<Digests>,
    /// The places from which this program can fetch rows.
    pub places: Arc<dyn Places>,
    /// The distributed engine, if this program has one.
    pub engine: Option<Arc<dyn Engine>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("run", &self.run).finish_non_exhaustive()
    }
}

/// The report of a step: for people (`Display`), for programs (`Serialize`) and for the record.
pub trait Report: Serialize + std::fmt::Display {
    /// Whether anything changed; otherwise the record says "nothing to do".
    fn changed(&self) -> bool {
        true
    }

    /// What somebody who does not read the report should know. `Display` does not repeat it.
    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }

    /// What this step found itself, for the history of findings.
    fn discovered(&self) -> Vec<Finding> {
        self.findings()
    }

    /// Whether the work was done but needs a person, which has an exit code of its own.
    fn attention(&self) -> Attention {
        attention::most(&self.findings())
    }

    /// Facts for logs and pings.
    fn facts(&self) -> Vec<Fact> {
        Vec::new()
    }

    /// What was read and written.
    fn lineage(&self, _: &Config) -> Lineage {
        Lineage::default()
    }

    /// What the record of the run keeps of it: at most `longest` items of each list. The key
    /// `left_out` then says how many each list lacks.
    fn record(&self, longest: usize) -> serde_json::Result<Value> {
        let mut value = serde_json::to_value(self)?;
        let left_out = shorten(&mut value, longest);
        say_left_out(&mut value, &left_out);
        Ok(value)
    }
}

/// A workspace, locked and recovered.
#[derive(Debug)]
pub struct Workspace {
    /// The records.
    pub ledger: Ledger,
    /// What an interrupted run left behind, and what was done about it.
    pub recovered: Vec<String>,
    _lock: Lock,
}

/// A copy of the records in temporary folders, for a dry run: existing files are read in place, and
/// everything written goes to the copy.
#[derive(Debug)]
pub struct Rehearsal {
    /// The same environment with other folders.
    pub context: Context,
    /// The copied workspace.
    pub workspace: Workspace,
    _folder: TemporaryFolder,
}

impl Rehearsal {
    /// A copy of the workspace in its present state. Needs neither its lock nor write access to it.
    pub fn of(context: &Context) -> Result<Self> {
        let config = &context.config;
        let ledger = Ledger::open_to_read(&config.ledger_path())?;
        if let Some(mark) = ledger.as_ref().map(Ledger::known_mark).transpose()?.flatten() {
            context.disk.mark_temporaries(&mark);
        }
        let folder = Self::folder(context)?;
        let mut scratch = context.clone();
        scratch.config.output_folder = folder.path().join("data");
        scratch.config.output_model = folder.path().join("model");
        // A table of a database is no part of the copy.
        scratch.config.output.table = None;
        scratch.config.ingestion.record_changes = RecordChanges::Off;
        scratch.config.lineage.folder = None;
        scratch.config.lineage.url = None;
        let (disk, config) = (&scratch.disk, &scratch.config);
        let lock = Lock::acquire(disk, &config.lock_path(), "a dry run")?;
        if let Some(ledger) = ledger {
            ledger.copy_to(&config.ledger_path())?;
            for dataset in ledger.datasets()? {
                let location = &dataset.location;
                if location.is_file() {
                    let location = std::path::absolute(location)
                        .map_err(|e| Error::io("resolve", location, e))?;
                    disk.link(&location, &config.output_folder.join(dataset.name()))?;
                }
            }
        }
        let mut ledger = Ledger::open(&config.ledger_path(), disk)?;
        disk.mark_temporaries(&ledger.mark(&config.base)?);
        // A rehearsal must not complete what an interrupted run intended.
        for (id, _) in ledger.intents()? {
            ledger.withdraw(id)?;
        }
        let workspace = Workspace { ledger, recovered: Vec::new(), _lock: lock };
        Ok(Self { context: scratch, workspace, _folder: folder })
    }

    /// A temporary folder where the next run would find it if this one is killed; elsewhere if
    /// necessary.
    fn folder(context: &Context) -> Result<TemporaryFolder> {
        let config = &context.config;
        let near = [&config.output_folder, crate::platform::disk::parent_of(&config.deployment)];
        let near = near.into_iter().filter(|folder| folder.is_dir());
        let mut made = near.filter_map(|folder| context.disk.temporary_folder(folder).ok());
        if let Some(folder) = made.next() {
            return Ok(folder);
        }
        let elsewhere = std::env::temp_dir();
        context.disk.remove_temporaries(&elsewhere)?;
        context.disk.temporary_folder(&elsewhere)
    }
}

impl Context {
    /// A context without progress reports.
    pub fn new(config: Config, clock: Arc<dyn Clock>, disk: Disk, tool_version: &str) -> Self {
        let run = RunId::unique(clock.now(), std::process::id());
        Self {
            config,
            clock,
            disk,
            run,
            host: host_name(),
            tool_version: tool_version.to_owned(),
            progress: Arc::new(|_, _, _| {}),
            step_begins: Arc::new(|_| {}),
            events: Events::default(),
            digests: Arc::default(),
            places: Arc::new(OnlyFolders),
            engine: None,
        }
    }

    /// The current time in the format of records.
    pub fn now(&self) -> String {
        rfc3339(self.clock.now())
    }

    /// The digest of the file at `path`, which is read at most once per run for it.
    pub fn digest_of(&self, path: &Path) -> Result<Digest> {
        self.digests.of(path, self.clock.now().timestamp_nanos_opt().unwrap_or(i64::MIN))
    }

    /// The location of `path` in the form of records.
    pub fn location(&self, path: &Path) -> Location {
        Location::of(&self.config.base, path)
    }

    /// The store of releases that the configuration names.
    pub fn store(&self) -> Store<'_> {
        Store::new(&self.config.models, &self.config.deployment, &self.disk)
    }

    /// Locks the folders that other workspaces may use too.
    pub(crate) fn hold_releases(&self) -> Result<Held> {
        self.store().hold(&*self.clock)
    }

    /// Locks the workspace for `holder`, usually a [`Step`], opens its ledger, and completes or undoes what an
    /// interrupted run left.
    pub fn open(&self, holder: impl std::fmt::Display) -> Result<Workspace> {
        let holder = format!("{holder} (pid {}, since {})", std::process::id(), self.now());
        // The lock file shows that a run worked here before.
        let known = fs::symlink_metadata(self.config.lock_path()).is_ok();
        let lock = Lock::acquire(&self.disk, &self.config.lock_path(), &holder)?;
        if known {
            lost::refuse(&self.config.ledger_path())?;
        }
        let mut ledger = Ledger::open(&self.config.ledger_path(), &self.disk)?;
        self.disk.mark_temporaries(&ledger.mark(&self.config.base)?);
        self.refuse_foreign_releases(&ledger)?;
        let mut workspace = Workspace { ledger, recovered: Vec::new(), _lock: lock };
        self.recover(&mut workspace)?;
        Ok(workspace)
    }

    /// By default a folder of releases belongs to one workspace. One that has deployed there goes
    /// on: releases that another one names or keeps are never removed.
    fn refuse_foreign_releases(&self, ledger: &Ledger) -> Result<()> {
        let config = &self.config;
        let store = self.store();
        let new = config.models_by_default
            && ledger.latest_deployment()?.is_none()
            && matches!(store.pointer(), Ok(Pointer::Vacant));
        if !new {
            return Ok(());
        }
        let (_, Some(other)) = store.of_others()? else { return Ok(()) };
        let problem = format!(
            "\"models_path\" is not set, and {}, which it is by default, belongs to the workspace \
             whose live release is at {}: set it to a folder of this workspace's own",
            config.models.display(),
            other.display()
        );
        Err(Error::config(config.file.display().to_string(), vec![problem]))
    }

    /// Runs `work` as one recorded step.
    pub fn step<R: Report>(
        &self,
        workspace: &mut Workspace,
        step: Step,
        work: impl FnOnce(&mut Workspace) -> Result<R>,
    ) -> Result<R> {
        (self.step_begins)(step);
        tracing::info!(step = step.as_str(), "begins");
        let begun = self.clock.elapsed();
        let record = RunRecord {
            run_id: self.run.clone(),
            step,
            started: self.now(),
            ended: None,
            seconds: None,
            outcome: None,
            detail: None,
            tool_version: self.tool_version.clone(),
            host: self.host.clone(),
        };
        let id = workspace.ledger.begin_run(&record)?;
        self.tell(step, Stage::Begins);
        let result = work(workspace).and_then(|report| Ok((detail(&report)?, report)));
        let (outcome, detail, findings) = match &result {
            Ok((detail, report)) => {
                let changed = report.changed();
                let outcome = if changed { RunOutcome::Done } else { RunOutcome::NothingToDo };
                (outcome, detail.clone(), observed(&report.discovered()))
            }
            Err(error) => {
                let why = error.to_string();
                (RunOutcome::Failed, why.clone(), failed(step, &why))
            }
        };
        let seconds = self.clock.elapsed().saturating_sub(begun).as_secs_f64();
        let (at, findings) = (self.now(), &findings);
        let end = RunEnd { at: &at, seconds, outcome, detail: &detail, findings };
        let ended = workspace.ledger.end_run(id, &end);
        match &result {
            Ok((_, report)) if self.config.lineage.is_wanted() => {
                self.tell(step, Stage::Ends(&report.lineage(&self.config)));
            }
            Ok(_) => {}
            Err(error) => self.tell(step, Stage::Fails(&error.to_string())),
        }
        // The step's own error is the one to report.
        match (result, ended) {
            (Ok((_, report)), Ok(())) => Ok(report),
            (Ok(_), Err(e)) | (Err(e), _) => Err(e),
        }
    }
}

impl Context {
    /// Emits an OpenLineage event with the state of a step.
    fn tell(&self, step: Step, stage: Stage) {
        if self.config.lineage.is_wanted() {
            let (run, version, host) = (self.run.as_str(), &self.tool_version, &self.host);
            let job = Job { config: &self.config, run, step, version, host };
            self.events.tell(&self.disk, job, stage, &self.now());
        }
    }
}

/// Findings in the form of the history: one for each subject.
fn observed(findings: &[Finding]) -> Vec<Observed> {
    let mut all = Vec::new();
    for Finding { kind, subjects, severity, text } in findings {
        let (none, text) = ([String::new()], text::bounded(text.clone()));
        let subjects = if subjects.is_empty() { &none } else { &subjects[..] };
        all.extend(subjects.iter().map(|subject| Observed {
            kind: *kind,
            subject: text::bounded(subject.clone()),
            severity: *severity,
            text: text.clone(),
        }));
    }
    all
}

/// That a run stopped with an error. Who asked for a single step was told why it failed; what nobody watches goes
/// into the history.
fn failed(step: Step, why: &str) -> Vec<Observed> {
    match step {
        Step::FullProcess => observed(&[Finding::failed(FindingKind::RunFailed, why)]),
        _ => Vec::new(),
    }
}

/// A report in the form of the record.
fn detail(report: &impl Report) -> Result<String> {
    let longest = if report.changed() { 100 } else { 10 };
    let kept = report.record(longest).map_err(|e| Error::backend("JSON", e))?;
    Ok(kept.to_string())
}

/// The number of items that a record lacks, by the name of the list, such as `columns.levels`; one
/// number for all lists of a name.
pub type LeftOut = BTreeMap<String, u64>;

/// Cuts lists of a record to `longest` items, and long texts. Every list keeps items of one type,
/// so that the record can be read back as the report that it was made from.
pub(crate) fn shorten(value: &mut Value, longest: usize) -> LeftOut {
    let mut left_out = LeftOut::new();
    cut(value, longest, "", &mut left_out);
    left_out
}

/// Adds what was left out to a record, if anything was.
pub(crate) fn say_left_out(record: &mut Value, left_out: &LeftOut) {
    if let (Value::Object(map), false) = (record, left_out.is_empty()) {
        map.insert("left_out".to_owned(), json!(left_out));
    }
}

/// Shortens `value`, which is called `name`.
fn cut(value: &mut Value, longest: usize, name: &str, left_out: &mut LeftOut) {
    const LONGEST_TEXT: usize = 2000;
    match value {
        Value::Array(items) => {
            if let more @ 1.. = items.len().saturating_sub(longest) {
                items.truncate(longest);
                *left_out.entry(name.to_owned()).or_default() += more as u64;
            }
            for item in items.iter_mut() {
                cut(item, longest, name, left_out);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                let dot = if name.is_empty() { "" } else { "." };
                cut(item, longest, &format!("{name}{dot}{key}"), left_out);
            }
        }
        Value::String(text) if text.len() > LONGEST_TEXT => {
            text.truncate(text.floor_char_boundary(LONGEST_TEXT));
            text.push('…');
        }
        _ => {}
    }
}

/// The machine's name, or "unknown".
fn host_name() -> String {
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    if name.trim().is_empty() { "unknown".to_owned() } else { name.trim().to_owned() }
}
