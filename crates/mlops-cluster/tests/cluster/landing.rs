//! Objects of an S3 server that executors fetch: the same files and data set as on one machine. Not for servers that
//! fail: the tests of `mlops-sources` have that.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlops_core::Context;
use mlops_core::stage::ingest;
use mlops_sources::Everywhere;
use mlops_testkit::s3::{KEYS, Server};

use crate::services::Cluster;
use crate::workspace::{Workspace, files, said};

fn serving(objects: &[(String, String)]) -> Server {
    let server = Server::start();
    for (name, text) in objects {
        server.put(name, text.as_bytes());
    }
    server
}

/// The part of a configuration that names its objects as a source.
fn section(server: &Server) -> String {
    format!(r#","sources": [{}]"#, server.entry_named("far"))
}

impl Workspace {
    fn landing(&self) -> PathBuf {
        self.path("out/landing/far")
    }

    /// What was fetched, by name.
    fn landed(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.landing()).unwrap().flatten();
        let read = |entry: fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        };
        let mut all: Vec<_> = entries.map(read).collect();
        all.sort();
        all
    }

    /// Fetches and ingests in this process.
    fn land_alone(&self) {
        let places = Arc::new(Everywhere::with(&KEYS));
        let context = Context { places, ..self.context() };
        let mut workspace = context.open("test").unwrap();
        let options = ingest::Options::default();
        let report = ingest::run(&context, &mut workspace, context.config.input(), options);
        assert_eq!(report.unwrap().failures, Vec::<mlops_core::run::attention::Remark>::new());
    }
}

fn assert_same(spread: &Workspace, alone: &Workspace, when: &str) {
    assert!(spread.landed() == alone.landed(), "{when}: other files");
    assert!(spread.outputs() == alone.outputs(), "{when}: other bytes");
}

#[test]
fn one_and_three_executors_fetch_and_ingest_objects_as_one_machine() {
    let (objects, later) = (files(4, 500, 61), files(6, 300, 62).split_off(4));
    let mut cluster = Cluster::of(0);
    for (executors, partitions, range_mib) in [(1, 1, 1024.0), (3, 16, 0.003)] {
        while cluster.executors.len() < executors {
            cluster.add_executor();
        }
        let server = serving(&objects);
        let alone = Workspace::with(&[], &section(&server));
        let engine = cluster.engine(partitions, range_mib) + &section(&server);
        let spread = Workspace::with(&[], &engine);
        let mut seen = Vec::new();
        for more in [&[][..], &later] {
            for (name, text) in more {
                server.put(name, text.as_bytes());
            }
            alone.land_alone();
            let output = spread.ingest();
            assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
            assert_same(&spread, &alone, &format!("{executors} executors"));
            seen.push(spread.landed().len());
        }
        assert_eq!(seen, [4, 6]);
        let output = spread.ingest();
        assert!(said(&output).contains("Nothing"), "{}", said(&output));
    }
}

#[test]
fn an_executor_without_credentials_says_so_and_the_driver_fetches_nothing_itself() {
    let server = serving(&files(1, 50, 63));
    let mut cluster = Cluster::of(0);
    cluster.keys = false;
    cluster.add_executor();
    let spread = Workspace::with(&[], &(cluster.engine(2, 1.0) + &section(&server)));
    let output = spread.ingest();
    assert_eq!(output.status.code(), Some(1), "{}\n{}", said(&output), cluster.logs());
    let words = "far/0.csv: an executor: there are no credentials";
    assert!(said(&output).contains(words), "{}", said(&output));
    assert_eq!(spread.landed(), []);
}

#[test]
fn an_executor_that_is_killed_while_objects_are_fetched_changes_nothing() {
    let server = serving(&files(3, 40_000, 64));
    let alone = Workspace::with(&[], &section(&server));
    alone.land_alone();
    let cluster = Cluster::of(3);
    let engine = cluster.engine(12, 0.05).replace(": 120", ": 60");
    let spread = Workspace::with(&[], &(engine + &section(&server)));
    let mut driver = spread.start("ingestion");
    let begun = Instant::now();
    // Files that are being fetched have no name yet.
    let unnamed = |entry: fs::DirEntry| {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        hidden && entry.metadata().is_ok_and(|metadata| metadata.len() > 0)
    };
    let is_fetched = || fs::read_dir(spread.landing()).into_iter().flatten().flatten().any(unnamed);
    while !is_fetched() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{}", cluster.logs());
        std::thread::sleep(Duration::from_millis(2));
    }
    let at_work = driver.try_wait().unwrap().is_none();
    let process = cluster.executors[1].id().to_string();
    Command::new("kill").args(["-s", "KILL", &process]).status().unwrap();
    let output: Output = driver.wait_with_output().unwrap();
    assert!(at_work && begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
    if !output.status.success() {
        assert_eq!(output.status.code(), Some(1), "{}\n{}", said(&output), cluster.logs());
        assert!(said(&output).contains("This step changed nothing"), "{}", said(&output));
        let again = spread.ingest();
        assert!(again.status.success(), "{}\n{}", said(&again), cluster.logs());
    }
    assert_same(&spread, &alone, "killed");
}
