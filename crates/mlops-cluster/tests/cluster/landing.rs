//! Objects of an S3 server that executors fetch: the same files and data set as on one machine. Not for servers that
//! fail: the tests of `mlops-sources` have that.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use mlops_core::Context;
use mlops_core::stage::ingest;
use mlops_sources::Everywhere;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

use crate::services::{Cluster, S3_KEYS};
use crate::workspace::{Workspace, files, said};

/// Runs servers.
static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

/// An S3 server in this process, with the bucket `bucket`, whose objects are files.
struct Server {
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Server {
    fn with(objects: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let exports = folder.path().join("bucket/exports");
        fs::create_dir_all(&exports).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        let [(_, id), (_, secret)] = S3_KEYS;
        service.set_auth(SimpleAuth::from_single(id, secret));
        let service = service.build();
        let listener = RUNTIME.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        RUNTIME.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                let socket = hyper_util::rt::TokioIo::new(socket);
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(async move {
                    // A client that is killed breaks its connection off.
                    let _ = http.serve_connection(socket, service).await;
                });
            }
        });
        let server = Self { folder, address };
        for (name, text) in objects {
            server.put(name, text);
        }
        server
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join("bucket/exports").join(name), text).unwrap();
    }

    fn section(&self) -> String {
        format!(
            r#","sources": [{{"name": "far", "uri": "s3://bucket/exports/", "endpoint": "http://{}",
               "region": "us-east-1", "path_style": true, "timeout": "20s"}}]"#,
            self.address
        )
    }
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
        let places = Arc::new(Everywhere::with(&S3_KEYS));
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
        let server = Server::with(&objects);
        let alone = Workspace::with(&[], &server.section());
        let engine = cluster.engine(partitions, range_mib) + &server.section();
        let spread = Workspace::with(&[], &engine);
        let mut seen = Vec::new();
        for more in [&[][..], &later] {
            for (name, text) in more {
                server.put(name, text);
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
    let server = Server::with(&files(1, 50, 63));
    let mut cluster = Cluster::of(0);
    cluster.keys = false;
    cluster.add_executor();
    let spread = Workspace::with(&[], &(cluster.engine(2, 1.0) + &server.section()));
    let output = spread.ingest();
    assert_eq!(output.status.code(), Some(1), "{}\n{}", said(&output), cluster.logs());
    let words = "far/0.csv: an executor: there are no credentials";
    assert!(said(&output).contains(words), "{}", said(&output));
    assert_eq!(spread.landed(), []);
}

#[test]
fn an_executor_that_is_killed_while_objects_are_fetched_changes_nothing() {
    let server = Server::with(&files(3, 40_000, 64));
    let alone = Workspace::with(&[], &server.section());
    alone.land_alone();
    let cluster = Cluster::of(3);
    let engine = cluster.engine(12, 0.05).replace(": 120", ": 60");
    let spread = Workspace::with(&[], &(engine + &server.section()));
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
