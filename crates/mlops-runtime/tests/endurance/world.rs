//! A workspace in a world whose time stands still, the two programs run in it, and what must be
//! equal after any history: every file to the byte and every record. Run ids are all that differ
//! between two runs, and read as RUN.
//!
//! Not for what happens to the runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use mlops_core::Result;
use mlops_core::config::Config;
use mlops_core::ids::{RunId, Step};
use mlops_core::ledger::{DatasetRecord, DecisionRecord, FileRecord, Ledger};
use mlops_core::platform::clock::Clock;
use mlops_core::platform::digest::Digest;
use mlops_core::platform::disk::Disk;
use mlops_core::release::Pointer;
use mlops_core::run::context::{Context, Report};
use mlops_core::stage::{decide, forget};
use mlops_runtime::{first_run, fullprocess};

use mlops_testkit::binary::scene::{HEADER, Scene, alone, rows};

/// Nobody listens at the address, whatever runs on this machine.
const CONFIG: &str = r#"{
    "input_folder_path": "in", "source_folder_path": "source", "output_folder_path": "out",
    "test_data_path": "test", "output_model_path": "model", "prod_deployment_path": "live",
    "apicalls": {"url": "http://127.0.0.1:9"}, "service": {"prediction_log_path": "log"}
}"#;

/// A clock that stands still in 2033: every file is older than its record, as in everyday life.
struct Still;

const NOW: i64 = 2_000_000_000;

impl Clock for Still {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(NOW, 0).unwrap()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) {}
}

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// `first_run` on fresh files.
    FirstRun,
    /// `fullprocess` on new rows that contradict the live model: it promotes another.
    FullProcess,
    /// `ingestion --forget --everywhere` of somebody who is in all that both wrote.
    Forget,
}

/// Who is erased: a word that nothing else contains.
const PERSON: &str = "Person-of-Interest";

impl Program {
    pub(crate) const ALL: [Self; 3] = [Self::FirstRun, Self::FullProcess, Self::Forget];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FirstRun => "first_run",
            Self::FullProcess => "fullprocess",
            Self::Forget => "forget",
        }
    }

    /// A workspace in which there is work for it.
    pub(crate) fn scene(self) -> Scene {
        let scene = Scene::in_memory();
        self.fill(scene.root());
        scene
    }

    /// Makes `folder` a workspace in which there is work for it.
    pub(crate) fn fill(self, folder: &Path) {
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        // Good rows, a bad one and a malformed one of the person, in each folder.
        let theirs = |n: u32| match self {
            Self::Forget => {
                let good = (0..9).map(|i| format!("{PERSON},{i}{n},7,3,1\n"));
                good.collect::<String>() + &format!("{PERSON},x,2,3,0\n\"{PERSON}\",1,2\n")
            }
            _ => String::new(),
        };
        file("config.json", CONFIG);
        file("in/a.csv", &(rows(0..60) + &theirs(1)));
        file("in/b.csv", &(rows(59..80) + "broken,row\n"));
        file("test/test.csv", &(rows(100..140) + &theirs(2)));
        if self != Self::FirstRun {
            Self::FirstRun.run(folder, Disk::default()).unwrap();
            file("source/c.csv", &(turned(0..150) + &theirs(3)));
            file("source/d.csv", &(turned(148..200) + "x,1,,\n"));
        }
        if self == Self::Forget {
            Self::FullProcess.run(folder, Disk::default()).unwrap();
            let line = format!("{{\"recorded\":\"2033\",\"corporation\":\"{PERSON}\"}}\n");
            file("log/predictions-20330101T000000000000Z.jsonl", &line);
            assert!(mentions(folder).len() > 4, "{:?}", mentions(folder));
        }
    }

    /// One run in `folder`: what it says.
    pub(crate) fn run(self, folder: &Path, disk: Disk) -> Result<String> {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let _alone = alone();
        let config = Config::load(&folder.join("config.json"))?;
        let mut context = Context::new(config, Arc::new(Still), disk, "test");
        let run = std::process::id() * 1000 + RUNS.fetch_add(1, Ordering::Relaxed);
        context.run = RunId::new(Still.now(), run.into());
        let context = &context;
        let mut workspace = context.open(self.name())?;
        // Otherwise each world has a secret of its own, and draws other hold-outs.
        if workspace.ledger.known_holdout_key()?.is_none() {
            workspace.ledger.fix_holdout_key(42)?;
        }
        match self {
            Self::FirstRun => context
                .step(&mut workspace, Step::FirstRun, |workspace| {
                    first_run::run(context, workspace, false)
                })
                .map(told),
            Self::FullProcess => context
                .step(&mut workspace, Step::FullProcess, |workspace| {
                    // Few rows: the challenger does not always beat the constant answer.
                    let options = decide::Options { accept: true, ..Default::default() };
                    fullprocess::run(context, workspace, options)
                })
                .map(told),
            Self::Forget => {
                let request = forget::Request {
                    people: vec![PERSON.to_owned()],
                    who: "a test".to_owned(),
                    why: "it must be".to_owned(),
                    everywhere: true,
                    ..forget::Request::default()
                };
                context
                    .step(&mut workspace, Step::Forget, |workspace| {
                        forget::run(context, workspace, &request)
                    })
                    .map(told)
            }
        }
    }
}

/// The rows of [`rows`] with other labels.
fn turned(range: Range<u32>) -> String {
    let turn = |line: &str| match line.strip_suffix(",1") {
        Some(rest) => format!("t{rest},0\n"),
        None => format!("t{},1\n", line.strip_suffix(",0").unwrap()),
    };
    HEADER.to_owned() + &rows(range).lines().skip(1).map(turn).collect::<String>()
}

/// The files of a workspace that are not the user's in which the person is, the ledger among them.
pub(crate) fn mentions(folder: &Path) -> Vec<PathBuf> {
    let of_user = ["in", "source", "test/test.csv"].map(|place| folder.join(place));
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() || of_user.contains(&path) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                if bytes.windows(PERSON.len()).any(|part| part == PERSON.as_bytes()) {
                    found.push(path);
                }
            }
        }
    }
    found
}

/// Where a workspace stands: each file and link, and what the ledger holds besides the runs.
#[derive(Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    records: Vec<String>,
}

impl State {
    pub(crate) fn of(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(folder, folder, &mut files);
        let ledger = ledger(folder);
        let unstamped = |mut data: DatasetRecord| {
            data.stamp = None;
            data
        };
        let datasets = ledger.datasets().map(|all| all.into_iter().map(unstamped).collect());
        let mut records = lines::<DatasetRecord>(&datasets);
        let stampless = |mut file: FileRecord| {
            (file.stamp.modified_ns, file.stamp.inode) = (0, 0);
            file
        };
        let sources = ledger.files().map(|files| files.into_iter().map(stampless).collect());
        records.extend(lines::<FileRecord>(&sources));
        records.extend(lines(&ledger.test_sets()));
        // A training that was made again is recorded again.
        records.extend(lines(&ledger.models()).into_iter().collect::<BTreeSet<_>>());
        records.extend(lines(&ledger.deployments()));
        let stepless = |mut decision: DecisionRecord| {
            decision.decision = without("steps", &decision.decision);
            decision
        };
        let decisions = ledger.decisions().map(|all| all.into_iter().map(stepless).collect());
        records.extend(lines::<DecisionRecord>(&decisions));
        records.push(format!("{:?}", ledger.latest_holdout()));
        records.push(format!("{:?}", ledger.intents()));
        let records = records.into_iter().map(|record| anonymous(&record, folder)).collect();
        Self { files, records }
    }

    /// Panics with the first difference.
    pub(crate) fn must_be(&self, expected: &Self, what: &str) {
        for (path, bytes) in &expected.files {
            let found = self.files.get(path);
            if found != Some(bytes) {
                let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
                let (found, expected) = (found.map(text).unwrap_or_default(), text(bytes));
                let line = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
                panic!("{what}: {} differs: {line:?}", path.display());
            }
        }
        let more: Vec<_> = self.files.keys().filter(|p| !expected.files.contains_key(*p)).collect();
        assert!(more.is_empty(), "{what}: litter {more:?}");
        for (found, expected) in self.records.iter().zip(&expected.records) {
            assert!(found == expected, "{what}: {found}\nrather than\n{expected}");
        }
        assert_eq!(self.records.len(), expected.records.len(), "{what}");
    }
}

/// A report and its findings.
#[expect(clippy::needless_pass_by_value, reason = "results are mapped by it")]
fn told(report: impl Report) -> String {
    let findings = report.findings().into_iter().map(|finding| finding.text + "\n");
    report.to_string() + &findings.collect::<String>()
}

fn lines<T: std::fmt::Debug>(records: &Result<Vec<T>>) -> Vec<String> {
    records.as_ref().unwrap().iter().map(|record| format!("{record:?}")).collect()
}

fn ledger(folder: &Path) -> Ledger {
    Ledger::open(&folder.join("out/ledger.sqlite"), &Disk::default()).unwrap()
}

fn collect(root: &Path, folder: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let inside = PathBuf::from(anonymous(&path.display().to_string(), root));
        if path.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            all.insert(inside, target.into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            collect(root, &path, all);
        } else if !name.starts_with("ledger.sqlite") && name != "run.lock" {
            let bytes = fs::read(&path).unwrap();
            let bytes = match String::from_utf8(bytes) {
                Ok(text) => {
                    let text = anonymous(&text, root);
                    let inside = inside.to_string_lossy();
                    let timed = match &*inside {
                        "WORKSPACE/model/diagnostics.json" => Some("timings"),
                        "WORKSPACE/out/decisions/RUN.json" => Some("steps"),
                        _ => None,
                    };
                    timed.map_or(text.clone(), |key| without(key, &text)).into_bytes()
                }
                // Its pages are packed and tell of times and runs, as the page beside it does.
                Err(pdf) if name == "report.pdf" => {
                    let bytes = pdf.as_bytes();
                    assert!(
                        bytes.starts_with(b"%PDF-") && bytes.ends_with(b"%%EOF"),
                        "a whole PDF"
                    );
                    b"a PDF".to_vec()
                }
                Err(picture) => picture.into_bytes(),
            };
            all.insert(inside, bytes);
        }
    }
}

/// A record without the list of steps and how long they took, some of which were an earlier run's.
fn without(key: &str, text: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
    assert!(value.as_object_mut().unwrap().remove(key).is_some(), "{value:#}");
    serde_json::to_string_pretty(&value).unwrap()
}

/// `text` without what may differ: where the workspace is, and the names of runs.
fn anonymous(text: &str, folder: &Path) -> String {
    let text = text.replace(&folder.display().to_string(), "WORKSPACE");
    let run = RunId::new(Still.now(), 0).to_string();
    let mut parts = text.split(run.trim_end_matches('0'));
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str("RUN");
        clean.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    clean
}

/// Fills `to` with what is in `from`, times and links included: a workspace whose records name
/// `to` can so be put back.
pub(crate) fn copy(from: &Path, to: &Path) {
    let _alone = alone();
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(status.unwrap().success(), "cp -a {} {}", from.display(), to.display());
}

/// The live release.
pub(crate) fn live(folder: &Path) -> Pointer {
    context(folder).store().pointer().unwrap()
}

fn context(folder: &Path) -> Context {
    let config = Config::load(&folder.join("config.json")).unwrap();
    Context::new(config, Arc::new(Still), Disk::default(), "test")
}

/// Panics unless a reader can rely on what it sees, as it must at any moment: what is live is
/// whole, and no data set that is on record differs from its record.
pub(crate) fn must_be_sound(folder: &Path, what: &str) {
    match live(folder) {
        Pointer::Vacant => {}
        Pointer::Release(id) => drop(context(folder).store().verify(&id).unwrap()),
        other => panic!("{what}: the pointer is {other:?}"),
    }
    if folder.join("out/ledger.sqlite").is_file() {
        let ledger = ledger(folder);
        // Versions that had people who were erased since are removed.
        let erased = !ledger.erasures().unwrap().is_empty();
        let datasets = ledger.datasets().unwrap();
        let newest = datasets.last().map(|dataset| dataset.version);
        for dataset in datasets {
            let path: &Path = dataset.location.as_ref();
            if erased && Some(dataset.version) != newest && !path.exists() {
                continue;
            }
            let digest = Digest::of_file(dataset.location.as_ref()).unwrap();
            assert_eq!(digest, dataset.sha256, "{what}: {}", dataset.location.display());
        }
    }
}
