//! A scheduler and executors, each a process, which end with the test. Not for what they work on.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use mlops_testkit::s3::KEYS;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_mlops-cluster");

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
pub(crate) struct Cluster {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) scheduler: Child,
    pub(crate) executors: Vec<Child>,
    pub(crate) port: u16,
    /// Executors that are started from now on have the credentials.
    pub(crate) keys: bool,
}

impl Cluster {
    pub(crate) fn of(executors: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = port();
        let arguments = ["--port", &port.to_string()];
        let scheduler = start(folder.path(), "scheduler", "scheduler", &arguments, true);
        let mut cluster = Self { folder, scheduler, executors: Vec::new(), port, keys: true };
        cluster.await_port(port);
        (0..executors).for_each(|_| cluster.add_executor());
        cluster
    }

    pub(crate) fn add_executor(&mut self) {
        let executor = self.executor(self.executors.len(), None);
        self.executors.push(executor);
    }

    /// Starts another executor in the place of one that has ended.
    pub(crate) fn replace_executor(&mut self, at: usize, folder: Option<&Path>) {
        self.executors[at] = self.executor(at, folder);
    }

    /// An executor, which keeps what it passes on in `folder` or one of its own.
    fn executor(&self, number: usize, folder: Option<&Path>) -> Child {
        let (own, scheduler) = (port(), format!("127.0.0.1:{}", self.port));
        let name = format!("executor{number}-{own}");
        let work = folder.map_or_else(|| self.folder.path().join(&name), Path::to_owned);
        fs::create_dir_all(&work).unwrap();
        let own_port = own.to_string();
        let arguments = ["--port", &own_port, "--scheduler", &scheduler, "--cores", "1"];
        let folder = ["--folder", work.to_str().unwrap()];
        let arguments = [&arguments[..], &folder[..]].concat();
        let child = start(self.folder.path(), "executor", &name, &arguments, self.keys);
        self.await_port(own);
        child
    }

    fn await_port(&self, port: u16) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_mins(1), "nobody listens: {}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the services said.
    pub(crate) fn logs(&self) -> String {
        let entries = fs::read_dir(self.folder.path()).unwrap().flatten();
        let logs = entries.filter(|e| e.path().extension().is_some_and(|e| e == "log"));
        logs.map(|log| fs::read_to_string(log.path()).unwrap()).collect()
    }

    /// The section of a configuration that names it.
    pub(crate) fn engine(&self, partitions: usize, range_mib: f64) -> String {
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

fn start(folder: &Path, verb: &str, name: &str, arguments: &[&str], keys: bool) -> Child {
    let log = fs::File::create(folder.join(format!("{name}.log"))).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg(verb).args(arguments).stdin(Stdio::null());
    command.envs(KEYS.into_iter().filter(|_| keys));
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}
