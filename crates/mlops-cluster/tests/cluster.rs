//! Real clusters of processes on this machine: the same data set as on one machine, whatever the number of executors
//! and partitions, and when processes are killed; and the same model and score.
//!
//! Not for what tasks do: core's tests have that, with thousands of random files.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::stage::{ingest, score, train};
use mlops_core::{Config, Context};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mlops-cluster");
const HEADER: &str =
    "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n";

/// Ports that nobody has, below those that are given to anybody.
fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + u16::try_from(std::process::id() % 5_000).unwrap() * 2;
    loop {
        let port = start + NEXT.fetch_add(2, Ordering::Relaxed);
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 1) {
            return port;
        }
    }
}

/// A scheduler and executors, which end with the test.
struct Cluster {
    folder: tempfile::TempDir,
    scheduler: Child,
    executors: Vec<Child>,
    port: u16,
}

impl Cluster {
    fn of(executors: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = port();
        let scheduler = start(folder.path(), "scheduler", &["--port", &port.to_string()]);
        let mut cluster = Self { folder, scheduler, executors: Vec::new(), port };
        cluster.await_port(port);
        (0..executors).for_each(|_| cluster.add_executor());
        cluster
    }

    fn add_executor(&mut self) {
        let (own, scheduler) = (port(), format!("127.0.0.1:{}", self.port));
        let name = format!("executor{}", self.executors.len());
        let work = self.folder.path().join(&name);
        fs::create_dir(&work).unwrap();
        let own_port = own.to_string();
        let arguments = ["--port", &own_port, "--scheduler", &scheduler, "--cores", "1"];
        let folder = ["--folder", work.to_str().unwrap()];
        let arguments = [&arguments[..], &folder[..]].concat();
        self.executors.push(start_as(self.folder.path(), "executor", &name, &arguments));
        self.await_port(own);
    }

    fn await_port(&self, port: u16) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_mins(1), "nobody listens: {}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the services said.
    fn logs(&self) -> String {
        let entries = fs::read_dir(self.folder.path()).unwrap().flatten();
        let logs = entries.filter(|e| e.path().extension().is_some_and(|e| e == "log"));
        logs.map(|log| fs::read_to_string(log.path()).unwrap()).collect()
    }

    /// The section of a configuration that names it.
    fn engine(&self, partitions: usize, range_mib: f64) -> String {
        format!(
            r#","engine": {{"kind": "ballista", "scheduler": "127.0.0.1:{}", "partitions": {partitions},
               "range_mib": {range_mib}, "deadline_seconds": 120}}"#,
            self.port
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.executors.iter_mut().chain([&mut self.scheduler]) {
            // It may have ended.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn start(folder: &Path, verb: &str, arguments: &[&str]) -> Child {
    start_as(folder, verb, verb, arguments)
}

fn start_as(folder: &Path, verb: &str, name: &str, arguments: &[&str]) -> Child {
    let log = fs::File::create(folder.join(format!("{name}.log"))).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg(verb).args(arguments).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// A workspace in a folder of its own.
struct Workspace(tempfile::TempDir);

impl Workspace {
    fn with(files: &[(String, String)], engine: &str) -> Self {
        let workspace = Self(tempfile::tempdir().unwrap());
        fs::create_dir(workspace.path("in")).unwrap();
        for (name, text) in files {
            fs::write(workspace.path("in").join(name), text).unwrap();
        }
        workspace.configure(engine);
        workspace
    }

    fn configure(&self, engine: &str) {
        let config = format!(
            r#"{{"input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
               "output_model_path": "model", "prod_deployment_path": "live",
               "ingestion": {{"max_rejected_share": 0.5}}{engine}}}"#
        );
        fs::write(self.path("config.json"), config).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn context(&self) -> Context {
        let config = Config::load(&self.path("config.json")).unwrap();
        Context::new(config, Arc::new(SystemClock::default()), Disk::default(), "test")
    }

    /// Trains in this process, as `training` does.
    fn train_alone(&self) {
        let context = self.context();
        train::run(&context, &mut context.open("test").unwrap()).unwrap();
    }

    /// Scores in this process, as `scoring` does.
    fn score_alone(&self) -> String {
        let context = self.context();
        score::run(&context, &mut context.open("test").unwrap()).unwrap();
        self.score()
    }

    /// What scoring wrote, which is removed.
    fn score(&self) -> String {
        let path = self.path("model/score.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(path).unwrap();
        text
    }

    /// Ingests in this process, as `ingestion` does.
    fn ingest_alone(&self) {
        let context = self.context();
        let mut workspace = context.open("test").unwrap();
        let options = ingest::Options::default();
        ingest::run(&context, &mut workspace, context.config.input(), options).unwrap();
    }

    fn start(&self, verb: &str) -> Child {
        let mut command = Command::new(PROGRAM);
        command.arg(verb).arg("--config").arg(self.path("config.json"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn ingest(&self) -> Output {
        self.start("ingestion").wait_with_output().unwrap()
    }

    fn train(&self) -> Output {
        self.start("training").wait_with_output().unwrap()
    }

    /// The files of the model, of which the release is made.
    fn model(&self) -> [Vec<u8>; 3] {
        let read = |name: &str| fs::read(self.path("model").join(name)).unwrap();
        ["trainedmodel.bin", "model.json", "golden.json"].map(read)
    }

    /// The files of a training under way, and its folder.
    fn under_way(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("out")).unwrap().flatten();
        let hidden = entries.filter(|e| e.file_name().to_string_lossy().starts_with('.'));
        let within = |folder: fs::DirEntry| {
            let files = fs::read_dir(folder.path()).into_iter().flatten().flatten();
            files.chain([folder]).collect::<Vec<_>>()
        };
        hidden.flat_map(within).map(|e| e.file_name().into_string().unwrap()).collect()
    }

    /// Waits until a training under way has so many files whose names begin with `start`.
    fn await_files(&self, start: &str, count: usize, cluster: &Cluster) {
        let begun = Instant::now();
        let there = || self.under_way().iter().filter(|name| name.starts_with(start)).count();
        while there() < count {
            assert!(begun.elapsed() < Duration::from_mins(2), "{}", cluster.logs());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Data sets, quarantines and lists of files, by name.
    fn outputs(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.path("out")).unwrap().flatten();
        let names = entries.map(|e| e.file_name().into_string().unwrap());
        let wanted = ["finaldata", "quarantine", "ingestedfiles"];
        let mut names: Vec<String> =
            names.filter(|name| wanted.iter().any(|start| name.starts_with(start))).collect();
        names.retain(|name| Path::new(name).extension().is_none_or(|kind| kind != "index"));
        names.sort();
        let read = |name: String| {
            let bytes = fs::read(self.path("out").join(&name)).unwrap();
            (name, bytes)
        };
        names.into_iter().map(read).collect()
    }
}

/// Files with equal rows within and across them, quotes, line ends in quotes, and bad rows.
fn files(count: usize, rows: usize, seed: u64) -> Vec<(String, String)> {
    let mut state = seed;
    let mut below = |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut files = Vec::new();
    for file in 0..count {
        let mut text = HEADER.to_owned();
        for _ in 0..rows {
            let id = below(rows as u64 * 2);
            let name = match below(20) {
                0 => format!("\"of\n{id}\""),
                1 => format!(" c{id} "),
                2 => format!("\"c, \"\"{id}\"\"\""),
                _ => format!("c{id}"),
            };
            let cell = if below(40) == 0 { "x".to_owned() } else { (id % 97).to_string() };
            writeln!(text, "{name},{cell},{},{},{}", id % 1_013, id % 31, id % 2).unwrap();
        }
        files.push((format!("{file}.csv"), text));
    }
    files
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn one_two_and_three_executors_make_the_data_set_of_one_machine() {
    let files = files(5, 400, 7);
    let alone = Workspace::with(&files, "");
    alone.ingest_alone();
    let expected = alone.outputs();
    assert!(expected.iter().any(|(name, _)| name == "quarantine5.csv"), "there are bad rows");
    let mut cluster = Cluster::of(0);
    for (executors, partitions, range_mib) in [(1, 1, 1024.0), (2, 7, 0.002), (3, 64, 0.001)] {
        while cluster.executors.len() < executors {
            cluster.add_executor();
        }
        let spread = Workspace::with(&files, &cluster.engine(partitions, range_mib));
        let output = spread.ingest();
        assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
        assert!(spread.outputs() == expected, "{executors} executors: other bytes");
        // More files on top of the data set, and nothing to do after that.
        for workspace in [&alone, &spread] {
            fs::write(workspace.path("in/later.csv"), &self::files(1, 300, 8)[0].1).unwrap();
        }
        if executors == 1 {
            alone.ingest_alone();
        }
        let output = spread.ingest();
        assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
        assert!(spread.outputs() == alone.outputs(), "{executors} executors: other bytes");
        let output = spread.ingest();
        assert!(said(&output).contains("Nothing"), "{}", said(&output));
    }
}

#[test]
fn an_executor_that_is_killed_at_work_changes_nothing() {
    let files = files(6, 1_500, 3);
    let alone = Workspace::with(&files, "");
    alone.ingest_alone();
    for after in [400, 1_500, 3_000] {
        let mut cluster = Cluster::of(3);
        let spread = Workspace::with(&files, &cluster.engine(24, 0.004));
        let mut driver = spread.start("ingestion");
        std::thread::sleep(Duration::from_millis(after));
        let at_work = driver.try_wait().unwrap().is_none();
        cluster.executors[1].kill().unwrap();
        let output = driver.wait_with_output().unwrap();
        assert!(at_work || after > 400, "the work was done before anybody was killed");
        // Answers are where they were made until the driver has them: if they are lost at that moment, Ballista ends
        // the query. Nothing was changed then, and the next run does it.
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(1), "{}\n{}", said(&output), cluster.logs());
            assert!(said(&output).contains("Nothing was changed"), "{}", said(&output));
            assert!(!spread.path("out/finaldata6.csv").try_exists().unwrap());
            let again = spread.ingest();
            assert!(again.status.success(), "{}\n{}", said(&again), cluster.logs());
        }
        assert!(spread.outputs() == alone.outputs(), "killed after {after} ms: other bytes");
    }
}

#[test]
fn a_scheduler_that_is_lost_is_an_error_in_bounded_time_and_the_next_run_goes_on() {
    let files = files(6, 1_500, 4);
    let mut cluster = Cluster::of(1);
    let spread = Workspace::with(&files, &cluster.engine(24, 0.004));
    let driver = spread.start("ingestion");
    std::thread::sleep(Duration::from_millis(700));
    cluster.scheduler.kill().unwrap();
    cluster.scheduler.wait().unwrap();
    let begun = Instant::now();
    let output = driver.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    // How far the driver had come decides what it met first; what it says of itself is the same.
    let address = format!("127.0.0.1:{}", cluster.port);
    let [away, lost] = ["the scheduler at {} cannot be reached", "the cluster of {} gave up"]
        .map(|words| words.replace("{}", &address));
    let told = said(&output);
    assert!(told.contains(&away) || told.contains(&lost), "{told}");
    assert!(!spread.path("out/finaldata6.csv").exists());

    // Nobody at all: at once.
    let begun = Instant::now();
    let output = spread.ingest();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("cannot be reached"), "{}", said(&output));

    let cluster = Cluster::of(1);
    spread.configure(&cluster.engine(4, 0.05));
    let output = spread.ingest();
    assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
    let alone = Workspace::with(&files, "");
    alone.ingest_alone();
    assert!(spread.outputs() == alone.outputs(), "other bytes");
}

#[test]
fn without_executors_the_work_ends_with_an_error_in_bounded_time() {
    let cluster = Cluster::of(0);
    let spread = Workspace::with(&files(1, 50, 1), &cluster.engine(2, 1.0));
    let text = fs::read_to_string(spread.path("config.json")).unwrap();
    let text = text.replace("\"deadline_seconds\": 120", "\"deadline_seconds\": 25");
    fs::write(spread.path("config.json"), text).unwrap();
    let begun = Instant::now();
    let output = spread.ingest();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("error: "), "{}", said(&output));
    assert!(!spread.path("out/finaldata1.csv").exists());
}

/// A workspace with `files` and some of their rows as a test file, and the model that one machine trains on it.
fn trained_alone(files: &[(String, String)]) -> (Workspace, [Vec<u8>; 3]) {
    let workspace = Workspace::with(files, "");
    workspace.ingest_alone();
    let plain = |line: &&str| line.starts_with('c') && line.split(',').count() == 5;
    let rows: String = files[0].1.split_inclusive('\n').filter(plain).skip(1).take(40).collect();
    fs::create_dir_all(workspace.path("test")).unwrap();
    fs::write(workspace.path("test/some.csv"), HEADER.to_owned() + &rows).unwrap();
    workspace.train_alone();
    let model = workspace.model();
    fs::remove_dir_all(workspace.path("model")).unwrap();
    (workspace, model)
}

#[test]
fn any_number_of_executors_trains_and_scores_as_one_machine() {
    let (workspace, expected) = trained_alone(&files(3, 4_000, 11));
    let mut cluster = Cluster::of(0);
    for (executors, partitions, range_mib) in
        [(1, 1, 1024.0), (2, 7, 0.02), (3, 64, 0.005), (7, 16, 0.01)]
    {
        while cluster.executors.len() < executors {
            cluster.add_executor();
        }
        workspace.configure(&cluster.engine(partitions, range_mib));
        let output = workspace.train();
        assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
        assert!(said(&output).contains("test rows"), "{}", said(&output));
        assert!(workspace.model() == expected, "{executors} executors: another model");
        let output = workspace.start("scoring").wait_with_output().unwrap();
        assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
        let scored = workspace.score();
        workspace.configure("");
        assert_eq!(scored, workspace.score_alone(), "{executors} executors");
        assert_eq!(workspace.under_way(), Vec::<String>::new());
        fs::remove_dir_all(workspace.path("model")).unwrap();
    }
}

#[test]
fn an_executor_that_is_killed_or_hangs_while_it_trains_changes_nothing() {
    let (workspace, expected) = trained_alone(&files(3, 4_000, 12));
    let moments = [("stretch-", 1), ("part-", 1), ("pass-", 1), ("pass-", 4)];
    let moments = moments.map(|moment| (moment, "KILL")).into_iter();
    for ((start, count), signal) in moments.chain([(("pass-", 2), "STOP")]) {
        let cluster = Cluster::of(3);
        workspace.configure(&cluster.engine(12, 0.02).replace(": 120", ": 60"));
        let mut driver = workspace.start("training");
        workspace.await_files(start, count, &cluster);
        let at_work = driver.try_wait().unwrap().is_none();
        let process = cluster.executors[1].id().to_string();
        Command::new("kill").args(["-s", signal, &process]).status().unwrap();
        let begun = Instant::now();
        let output = driver.wait_with_output().unwrap();
        assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
        assert!(at_work, "the work was done before anybody was killed: {}", said(&output));
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(1), "{}\n{}", said(&output), cluster.logs());
            assert!(said(&output).contains("Nothing was changed"), "{}", said(&output));
            assert!(!workspace.path("model").try_exists().unwrap());
            let again = workspace.train();
            assert!(again.status.success(), "{}\n{}", said(&again), cluster.logs());
        }
        assert!(workspace.model() == expected, "{signal} after {count} {start}: another model");
        assert_eq!(workspace.under_way(), Vec::<String>::new());
        fs::remove_dir_all(workspace.path("model")).unwrap();
    }
}

#[test]
fn a_training_whose_scheduler_is_lost_goes_on_with_another() {
    let (workspace, expected) = trained_alone(&files(3, 4_000, 13));
    let mut cluster = Cluster::of(1);
    workspace.configure(&cluster.engine(4, 0.05));
    let driver = workspace.start("training");
    workspace.await_files("pass-", 1, &cluster);
    cluster.scheduler.kill().unwrap();
    cluster.scheduler.wait().unwrap();
    let begun = Instant::now();
    let output = driver.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(!workspace.path("model").exists());
    let kept = workspace.under_way();
    assert!(kept.iter().any(|name| name.starts_with("pass-")), "what was done is kept: {kept:?}");

    let cluster = Cluster::of(2);
    workspace.configure(&cluster.engine(4, 0.05));
    let output = workspace.train();
    assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
    assert!(workspace.model() == expected, "another model");
    assert_eq!(workspace.under_way(), Vec::<String>::new());
}

#[test]
fn a_training_without_executors_and_one_that_is_not_built_end_with_an_error() {
    let (workspace, expected) = trained_alone(&files(1, 500, 14));
    let cluster = Cluster::of(0);
    let engine = cluster.engine(2, 1.0).replace(": 120", ": 25");
    workspace.configure(&engine);
    let begun = Instant::now();
    let output = workspace.train();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("error: "), "{}", said(&output));

    workspace.configure(&(engine + r#","training": {"C": "cv"}"#));
    let output = workspace.train();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("\"training.C\""), "{}", said(&output));
    assert!(!workspace.path("model").exists());
    // The same workspace goes on alone.
    workspace.configure("");
    workspace.train_alone();
    assert!(workspace.model() == expected, "another model");

    workspace.configure(&cluster.engine(2, 1.0).replace(": 120", ": 25"));
    let begun = Instant::now();
    let output = workspace.start("scoring").wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(!workspace.path("model/score.json").exists());
}

#[test]
fn addresses_that_others_can_reach_and_configurations_without_a_cluster_are_refused() {
    for verb in ["scheduler", "executor"] {
        let output = Command::new(PROGRAM).args([verb, "--bind", "0.0.0.0"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("--any-address"), "{}", said(&output));
    }
    let local = Workspace::with(&files(1, 5, 1), "");
    let output = local.ingest();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("\"engine.kind\" is \"local\""), "{}", said(&output));
}
