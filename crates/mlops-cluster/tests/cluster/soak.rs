//! Faults at work, one after the other: processes that are killed or hang, at every stage, and a full disk. After each
//! the answer is that of one machine, or a clear error in bounded time, after which the next run gives that answer.
//!
//! A few of them by default, 200 with `MLOPS_SOAK=1`, as many as `MLOPS_SOAK_RUNS` says otherwise. Not for faults between
//! hosts: see [`super::hosts`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use crate::process::rows;
use crate::services::Cluster;
use crate::workspace::{Workspace, files, said, trained_alone};

const EXECUTORS: usize = 3;
/// Beyond the deadline of 40 s, what an error may take.
const BOUND: Duration = Duration::from_secs(40 + 60 + 15);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    KillOne,
    KillAll,
    KillScheduler,
    KillDriver,
    HangOne,
    FullDisk,
}

/// What is at work when the fault comes: a verb, and how many files of a name are under way.
type Moment = (&'static str, &'static str, usize);

const MOMENTS: [Moment; 12] = [
    ("ingestion", ".rows", 1),
    ("ingestion", ".hashes", 7),
    ("ingestion", ".lengths", 12),
    ("ingestion", "equal-", 1),
    ("ingestion", ".cuts", 2),
    ("training", "stretch-", 1),
    ("training", "part-", 1),
    ("training", "pass-", 1),
    ("training", "pass-", 5),
    ("fullprocess", ".rows", 2),
    ("fullprocess", "pass-", 2),
    ("fullprocess", "answers-", 1),
];
const FAULTS: [Fault; 6] = [
    Fault::KillOne,
    Fault::KillDriver,
    Fault::HangOne,
    Fault::KillAll,
    Fault::KillScheduler,
    Fault::FullDisk,
];

fn number_of_runs() -> usize {
    let asked = std::env::var("MLOPS_SOAK_RUNS").ok().and_then(|runs| runs.parse().ok());
    asked.unwrap_or(if std::env::var_os("MLOPS_SOAK").is_some() { 200 } else { 6 })
}

fn signal(process: &Child, name: &str) {
    Command::new("kill").args(["-s", name, &process.id().to_string()]).status().unwrap();
}

/// A small disk, on which an executor keeps what it passes on; none where it may not be mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=4k", "none"];
        let mounted = Command::new("mount").args(options).arg(folder.path()).output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// The undisturbed answers.
struct Expected {
    files: Vec<(String, String)>,
    outputs: Vec<(String, Vec<u8>)>,
    trained: Workspace,
    model: [Vec<u8>; 3],
    decided: Workspace,
}

impl Expected {
    fn new() -> Self {
        let files = files(4, 1_000, 41);
        let alone = Workspace::with(&files, "");
        alone.ingest_alone();
        let (trained, model) = trained_alone(&files);
        let decided = Workspace::with(&[("a.csv".to_owned(), rows(1_200, 1, false))], "");
        decided.fix_the_key();
        decided.process_alone("fullprocess");
        Self { files, outputs: alone.outputs(), trained, model, decided }
    }

    /// Panics unless `workspace` has the answer to `verb`.
    fn check(&self, verb: &str, workspace: &Workspace, when: &str) {
        match verb {
            "ingestion" => assert!(workspace.outputs() == self.outputs, "{when}: another data set"),
            "training" => assert!(workspace.model() == self.model, "{when}: another model"),
            _ => {
                assert!(workspace.model() == self.decided.model(), "{when}: another model");
                assert_eq!(workspace.live(), self.decided.live(), "{when}");
                assert!(workspace.outputs() == self.decided.outputs(), "{when}: another data set");
            }
        }
        assert_eq!(workspace.under_way(), Vec::<String>::new(), "{when}");
    }
}

fn is_done(output: &Output) -> bool {
    matches!(output.status.code(), Some(0 | 3))
}

/// One fault; returns whether the run that met it gave its answer all the same, or `None` if it was over before.
fn strike(
    cluster: &mut Cluster,
    expected: &Expected,
    (verb, files, count): Moment,
    fault: Fault,
    victim: usize,
) -> Option<bool> {
    let when = format!("{fault:?} of {victim} at {count} {files} of {verb}");
    let fresh;
    let workspace = match verb {
        "training" => &expected.trained,
        "ingestion" => {
            fresh = Workspace::with(&expected.files, "");
            &fresh
        }
        _ => {
            fresh = Workspace::with(&[("a.csv".to_owned(), rows(1_200, 1, false))], "");
            fresh.fix_the_key();
            &fresh
        }
    };
    let engine = |cluster: &Cluster| cluster.engine(9, 0.008).replace(": 120", ": 40");
    workspace.configure(&engine(cluster));
    let mut small = None;
    if fault == Fault::FullDisk {
        small = Some(SmallDisk::new()?);
        cluster.executors[0].kill().unwrap();
        cluster.executors[0].wait().unwrap();
        cluster.replace_executor(0, small.as_ref().map(SmallDisk::path));
    }
    let mut driver = workspace.start(verb);
    let begun = Instant::now();
    let there =
        || workspace.under_way().iter().filter(|name| name.contains(files)).count() >= count;
    while !there() && driver.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < BOUND, "{when}: {}", cluster.logs());
        std::thread::sleep(Duration::from_millis(2));
    }
    let met = driver.try_wait().unwrap().is_none();
    match fault {
        Fault::KillOne => signal(&cluster.executors[victim], "KILL"),
        Fault::KillAll => cluster.executors.iter().for_each(|executor| signal(executor, "KILL")),
        Fault::KillScheduler => signal(&cluster.scheduler, "KILL"),
        Fault::KillDriver => signal(&driver, "KILL"),
        Fault::HangOne => signal(&cluster.executors[victim], "STOP"),
        Fault::FullDisk => {}
    }
    let struck = Instant::now();
    let output = driver.wait_with_output().unwrap();
    assert!(struck.elapsed() < BOUND, "{when}: {:?}", struck.elapsed());
    let done = is_done(&output);
    if !done && fault != Fault::KillDriver {
        assert_eq!(output.status.code(), Some(1), "{when}: {}\n{}", said(&output), cluster.logs());
        assert!(said(&output).contains("error: "), "{when}: {}", said(&output));
    }
    // Whoever was hurt is replaced.
    if fault == Fault::KillScheduler {
        *cluster = Cluster::of(EXECUTORS);
    }
    for at in 0..EXECUTORS {
        let is_small = fault == Fault::FullDisk && at == 0;
        let hangs = fault == Fault::HangOne && at == victim;
        if is_small || hangs || cluster.executors[at].try_wait().unwrap().is_some() {
            cluster.executors[at].kill().unwrap();
            cluster.executors[at].wait().unwrap();
            cluster.replace_executor(at, None);
        }
    }
    drop(small);
    if !done {
        workspace.configure(&engine(cluster));
        let again = workspace.start(verb).wait_with_output().unwrap();
        assert!(is_done(&again), "{when}, again: {}\n{}", said(&again), cluster.logs());
    }
    expected.check(verb, workspace, &when);
    if verb == "training" {
        fs::remove_dir_all(workspace.path("model")).unwrap();
    }
    met.then_some(done)
}

#[test]
fn after_any_fault_the_answers_are_those_of_one_machine() {
    let expected = Expected::new();
    let mut cluster = Cluster::of(EXECUTORS);
    // Of each fault: how many met a run at work, and how many of these runs gave their answer all the same.
    let mut counts: BTreeMap<Fault, [usize; 2]> = BTreeMap::new();
    let (mut at, mut met) = (0, 0);
    while met < number_of_runs() && at < 3 * number_of_runs() {
        let fault = FAULTS[at % FAULTS.len()];
        let moment = MOMENTS[(at / FAULTS.len() * 5 + at) % MOMENTS.len()];
        if let Some(done) = strike(&mut cluster, &expected, moment, fault, at % EXECUTORS) {
            met += 1;
            let of = counts.entry(fault).or_default();
            of[0] += 1;
            of[1] += usize::from(done);
        }
        at += 1;
        eprintln!("{met} faults met a run: {counts:?}");
    }
    assert!(met >= number_of_runs(), "{met} of {} faults met a run at work", number_of_runs());
}
