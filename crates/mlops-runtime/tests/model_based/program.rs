//! Programs, run in this process or in a second one that is killed.
//!
//! Not for what they may do: see [`super::invariants`].

use std::io::{self, BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use mlops_core::config::Config;
use mlops_core::ids;
use mlops_core::platform::clock::Clock;
use mlops_core::platform::disk::{Disk, DiskStep, Probe};
use mlops_core::run::context::{Context, Report, Workspace};
use mlops_core::stage::{decide, deploy, diagnose, forget, ingest, score, train};
use mlops_core::{Error, Result};
use mlops_runtime::{first_run, fullprocess, renew};

use crate::operation::{Kill, Program};

/// What the second process does.
const TASK: &str = "MLOPS_TEST_TASK";
const STOPPED: &str = "stopped at the step";
const NEVER: usize = usize::MAX;

/// A clock that stands still while a program runs.
struct Still(DateTime<Utc>);

impl Clock for Still {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) {}
}

/// A program to be run.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) program: Program,
    /// Seconds since 1970.
    pub(crate) now: i64,
    /// The release that `rollback --to` names, or the person who is erased.
    pub(crate) release: Option<String>,
    pub(crate) folder: PathBuf,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Failed(String),
    Killed,
}

/// Does something before one step.
struct Strike {
    at: usize,
    count: AtomicUsize,
}

impl Probe for Strike {
    fn before(&self, _: DiskStep, _: &Path) -> io::Result<()> {
        if self.count.fetch_add(1, Ordering::SeqCst) == self.at {
            let mut out = io::stdout();
            writeln!(out, "{STOPPED}")?;
            out.flush()?;
            loop {
                std::thread::park();
            }
        }
        Ok(())
    }
}

impl Task {
    /// Runs it, to its end or until it is killed.
    pub(crate) fn run(&self, kill: Option<Kill>) -> End {
        match kill {
            None => match catch_unwind(AssertUnwindSafe(|| self.perform(Disk::default()))) {
                Ok(Ok(())) => End::Done,
                Ok(Err(error)) => End::Failed(error.to_string()),
                Err(_) => End::Failed("it panicked".to_owned()),
            },
            Some(Kill::Step(at)) => self.killed(at, None),
            Some(Kill::Milliseconds(after)) => self.killed(NEVER, Some(after)),
        }
    }

    /// The same in a second process of this test's own program, which gets a SIGKILL.
    fn killed(&self, at: usize, after: Option<u64>) -> End {
        let number = Program::ALL.iter().position(|program| *program == self.program).unwrap();
        let release = self.release.as_deref().unwrap_or("-");
        let task = format!("{number} {at} {} {release} {}", self.now, self.folder.display());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "program::second_process", "--nocapture"])
            .env(TASK, task)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let Some(after) = after {
            std::thread::sleep(Duration::from_millis(after));
        } else {
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            // Without the line it has ended.
            let _ = lines.any(|line| line.unwrap().contains(STOPPED));
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        match status.code() {
            None => End::Killed,
            Some(0) => End::Done,
            Some(_) => {
                let mut said = String::new();
                child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                End::Failed(said)
            }
        }
    }

    fn perform(&self, disk: Disk) -> Result<()> {
        let config = Config::load(&self.folder.join("config.json"))?;
        let now = DateTime::from_timestamp(self.now, 0).unwrap();
        let context = Context::new(config, Arc::new(Still(now)), disk, "test");
        let context = &context;
        let decide = |force| decide::Options { force, accept: true, dry_run: false };
        match self.program {
            Program::Ingestion => ingest_with(context, ingest::Options::default()),
            Program::Rebuild => {
                ingest_with(context, ingest::Options { rebuild: true, ..Default::default() })
            }
            Program::RebuildPartial => {
                let options =
                    ingest::Options { rebuild: true, partial: true, ..Default::default() };
                ingest_with(context, options)
            }
            Program::Training => step(context, ids::Step::Training, train::run),
            Program::Scoring => step(context, ids::Step::Scoring, score::run),
            Program::Deployment => deploy(context, false),
            Program::DeploymentAgain => deploy(context, true),
            Program::FullProcess => {
                step(context, ids::Step::FullProcess, |c, w| fullprocess::run(c, w, decide(false)))
            }
            Program::FullProcessForced => {
                step(context, ids::Step::FullProcess, |c, w| fullprocess::run(c, w, decide(true)))
            }
            Program::DryRun => decide::rehearse(context, decide::Options::default()).map(drop),
            Program::FirstRun => {
                step(context, ids::Step::FirstRun, |c, w| first_run::run(c, w, true))
            }
            Program::Diagnostics => step(context, ids::Step::Diagnostics, |c, w| {
                diagnose::run(c, w, &diagnose::Options::default())
            }),
            Program::Rollback | Program::RollbackTo => {
                let to = self.release.as_deref().map(|id| id.parse().map_err(Error::missing));
                let to = to.transpose()?;
                step(context, ids::Step::Rollback, |c, w| {
                    renew::roll_back(c, w, to.as_ref(), "it is random")
                })
            }
            Program::Forget => {
                let request = forget::Request {
                    people: self.release.iter().cloned().collect(),
                    who: "a test".to_owned(),
                    why: "it is random".to_owned(),
                    everywhere: true,
                    ..forget::Request::default()
                };
                step(context, ids::Step::Forget, |c, w| forget::run(c, w, &request))
            }
        }
    }
}

fn ingest_with(context: &Context, options: ingest::Options) -> Result<()> {
    step(context, ids::Step::Ingestion, |c, w| ingest::run(c, w, c.config.input(), options))
}

fn deploy(context: &Context, again: bool) -> Result<()> {
    let leave = deploy::Leave { again, accept: true };
    step(context, ids::Step::Deployment, |c, w| {
        deploy::with(c, w, ids::Step::Deployment, "a test asks", leave)
    })
}

fn step<R: Report>(
    context: &Context,
    name: ids::Step,
    work: impl FnOnce(&Context, &mut Workspace) -> Result<R>,
) -> Result<()> {
    let mut workspace = context.open(name)?;
    // Otherwise each workspace has a secret of its own, and no seed would repeat a draw.
    if workspace.ledger.known_holdout_key()?.is_none() {
        workspace.ledger.fix_holdout_key(42)?;
    }
    context.step(&mut workspace, name, |workspace| work(context, workspace)).map(drop)
}

/// The second process: it stops before the step, to be killed there.
#[test]
fn second_process() {
    let Ok(task) = std::env::var(TASK) else { return };
    let mut words = task.splitn(5, ' ');
    let mut word = || words.next().unwrap();
    let program = Program::ALL[word().parse::<usize>().unwrap()];
    let at = word().parse().unwrap();
    let now = word().parse().unwrap();
    let release = Some(word().to_owned()).filter(|release| release != "-");
    let task = Task { program, now, release, folder: word().into() };
    let strike = Arc::new(Strike { at, count: AtomicUsize::new(0) });
    let result = task.perform(Disk::observed(strike));
    if let Err(error) = &result {
        eprintln!("{error}");
    }
    std::process::exit(i32::from(result.is_err()));
}
