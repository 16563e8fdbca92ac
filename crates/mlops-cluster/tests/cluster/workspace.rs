//! A folder with a configuration and files, and the programs that work in it, in this process or on a cluster. Not for
//! expectations.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::stage::{ingest, score, train};
use mlops_core::{Config, Context};
use mlops_testkit::s3::KEYS;

use crate::services::{Cluster, PROGRAM};

const HEADER: &str =
    "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n";

/// A workspace in a folder of its own.
pub(crate) struct Workspace(pub(crate) tempfile::TempDir);

impl Workspace {
    pub(crate) fn with(files: &[(String, String)], engine: &str) -> Self {
        let workspace = Self(tempfile::tempdir().unwrap());
        fs::create_dir(workspace.path("in")).unwrap();
        for (name, text) in files {
            fs::write(workspace.path("in").join(name), text).unwrap();
        }
        workspace.configure(engine);
        workspace
    }

    pub(crate) fn configure(&self, engine: &str) {
        let config = format!(
            r#"{{"input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
               "output_model_path": "model", "prod_deployment_path": "live",
               "ingestion": {{"max_rejected_share": 0.5}}{engine}}}"#
        );
        fs::write(self.path("config.json"), config).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn context(&self) -> Context {
        let config = Config::load(&self.path("config.json")).unwrap();
        Context::new(
            config,
            Arc::new(SystemClock::default()),
            Disk::default(),
            env!("CARGO_PKG_VERSION"),
        )
    }

    /// Trains in this process, as `training` does.
    pub(crate) fn train_alone(&self) {
        let context = self.context();
        train::run(&context, &mut context.open("test").unwrap()).unwrap();
    }

    /// Scores in this process, as `scoring` does.
    pub(crate) fn score_alone(&self) -> String {
        let context = self.context();
        score::run(&context, &mut context.open("test").unwrap()).unwrap();
        self.score()
    }

    /// What scoring wrote, which is removed.
    pub(crate) fn score(&self) -> String {
        let path = self.path("model/score.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(path).unwrap();
        text
    }

    /// Ingests in this process, as `ingestion` does.
    pub(crate) fn ingest_alone(&self) {
        let context = self.context();
        let mut workspace = context.open("test").unwrap();
        let options = ingest::Options::default();
        ingest::run(&context, &mut workspace, context.config.input(), options).unwrap();
    }

    pub(crate) fn start(&self, verb: &str) -> Child {
        self.start_with(verb, &[])
    }

    pub(crate) fn start_with(&self, verb: &str, arguments: &[&str]) -> Child {
        let mut command = Command::new(PROGRAM);
        command.arg(verb).arg("--config").arg(self.path("config.json")).args(arguments);
        command.envs(KEYS);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    pub(crate) fn ingest(&self) -> Output {
        self.start("ingestion").wait_with_output().unwrap()
    }

    pub(crate) fn train(&self) -> Output {
        self.start("training").wait_with_output().unwrap()
    }

    /// The files of the model, of which the release is made.
    pub(crate) fn model(&self) -> [Vec<u8>; 3] {
        let read = |name: &str| fs::read(self.path("model").join(name)).unwrap();
        ["trainedmodel.bin", "model.json", "golden.json"].map(read)
    }

    /// The files of a training under way, and its folder.
    pub(crate) fn under_way(&self) -> Vec<String> {
        // Before the first run there is no such folder.
        let entries = fs::read_dir(self.path("out")).into_iter().flatten().flatten();
        let hidden = entries.filter(|e| e.file_name().to_string_lossy().starts_with('.'));
        let within = |folder: fs::DirEntry| {
            let files = fs::read_dir(folder.path()).into_iter().flatten().flatten();
            files.chain([folder]).collect::<Vec<_>>()
        };
        hidden.flat_map(within).map(|e| e.file_name().into_string().unwrap()).collect()
    }

    /// Waits until work under way has so many files whose names have `part` in them.
    pub(crate) fn await_files(&self, part: &str, count: usize, cluster: &Cluster) {
        assert!(self.have_come(part, count), "{}", cluster.logs());
    }

    /// The same, where nobody has logs.
    pub(crate) fn await_some(&self, part: &str, count: usize) {
        assert!(self.have_come(part, count), "no {part} in two minutes");
    }

    fn have_come(&self, part: &str, count: usize) -> bool {
        let begun = Instant::now();
        let there = || self.under_way().iter().filter(|name| name.contains(part)).count();
        while there() < count {
            if begun.elapsed() > Duration::from_mins(2) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Data sets, quarantines and lists of files, by name.
    pub(crate) fn outputs(&self) -> Vec<(String, Vec<u8>)> {
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
pub(crate) fn files(count: usize, rows: usize, seed: u64) -> Vec<(String, String)> {
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

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A workspace with `files` and some of their rows as a test file, and the model that one machine trains on it.
pub(crate) fn trained_alone(files: &[(String, String)]) -> (Workspace, [Vec<u8>; 3]) {
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
