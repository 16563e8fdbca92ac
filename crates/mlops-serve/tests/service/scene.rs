//! A workspace with releases, and the service over it on a socket of its own. Not for expectations.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use mlops_core::Result;
use mlops_core::config::Config;
use mlops_core::ids::{ReleaseId, Step};
use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::run::context::{Context, Report, Workspace};
use mlops_core::stage::{deploy, diagnose, ingest, score, train};
use mlops_serve::{Options, Served, Server};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::http::{Answer, Connection};

/// A workspace of clients that leave or stay.
pub(crate) struct Scene {
    dir: TempDir,
}

impl Scene {
    /// Nothing but a configuration, with the keys of `more`.
    pub(crate) fn empty(more: &Value) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let scene = Self { dir };
        let mut config = json!({
            "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
            "output_model_path": "model", "prod_deployment_path": "live",
            "schema": { "id": ["customer"], "numeric": ["age", "balance"], "categorical": ["country"],
                "target": "churned", "positive_label": "yes", "negative_label": "no" },
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        scene.file("config.json", config.to_string());
        scene
    }

    /// One live release.
    pub(crate) fn deployed(more: &Value) -> Self {
        let scene = Self::empty(more);
        scene.file("in/a.csv", rows(300, 1, false));
        scene.file("test/test.csv", rows(200, 2, false));
        scene.release();
        scene
    }

    /// What is in `in` becomes the live release; returns it.
    pub(crate) fn release(&self) -> ReleaseId {
        let options = ingest::Options::default();
        self.step(Step::Ingestion, |c, w| ingest::run(c, w, c.config.input(), options));
        self.step(Step::Training, train::run);
        self.step(Step::Scoring, score::run);
        // Some of these small models do no better than a constant answer, which is no matter here.
        let leave = deploy::Leave { accept: true, ..Default::default() };
        let deploy = |c: &Context, w: &mut Workspace| {
            deploy::with(c, w, Step::Deployment, "a test asks", leave)
        };
        self.step(Step::Deployment, deploy).release
    }

    /// `diagnostics`, with predictions row by row where they are asked for.
    pub(crate) fn diagnose(&self, data: Option<PathBuf>, output: Option<PathBuf>) {
        let options = diagnose::Options { data, output, ..Default::default() };
        self.step(Step::Diagnostics, |context, w| diagnose::run(context, w, &options));
    }

    pub(crate) fn step<R: Report>(
        &self,
        step: Step,
        work: impl FnOnce(&Context, &mut Workspace) -> Result<R>,
    ) -> R {
        let context = self.context();
        let mut workspace = context.open(step).unwrap();
        context.step(&mut workspace, step, |workspace| work(&context, workspace)).unwrap()
    }

    pub(crate) fn context(&self) -> Context {
        let config = Config::load(&self.path("config.json")).unwrap();
        Context::new(config, Arc::new(SystemClock::default()), Disk::default(), "test")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file as a user would.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The service over this workspace.
    pub(crate) fn serve(&self) -> Service {
        self.serve_with(Options::default())
    }

    pub(crate) fn serve_with(&self, options: Options) -> Service {
        Self::serve_in(self.context(), options)
    }

    /// The same in a world of the test's own.
    pub(crate) fn serve_in(context: Context, options: Options) -> Service {
        let options = Options { port: Some(0), ..options };
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::bind(&context, options).await.unwrap();
                tell.send(server.address()).unwrap();
                let stop = async { drop(stopped.await) };
                server.serve(stop).await.unwrap()
            })
        });
        Service { address: told.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }
}

/// A service at work.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Served>>,
}

impl Service {
    /// Asks once, on a connection of its own.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        Connection::open(self.address).send(method, path, headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    /// Posts JSON.
    pub(crate) fn post(&self, path: &str, value: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.ask("POST", path, &headers, value.to_string().as_bytes())
    }

    pub(crate) fn csv(&self, path: &str, text: &str) -> Answer {
        self.ask("POST", path, &[("content-type", "text/csv")], text.as_bytes())
    }

    /// Tells it to stop, without waiting.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Served {
        self.stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A service that failed fails the test that asked it.
            let _ = thread.join();
        }
    }
}

/// A log that a test can read.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The header of [`rows`].
pub(crate) const HEADER: &str = "customer,age,balance,country,churned\n";

/// Rows of a known population, the same for the same seed; `holes` leaves cells out and puts in
/// countries that no other rows have.
pub(crate) fn rows(n: u64, seed: u64, holes: bool) -> String {
    let mut state = seed;
    let mut below = |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut text = HEADER.to_owned();
    for i in 0..n {
        let (age, balance) = (18 + below(60), below(2_000_000) as f64 / 100.0 - 3000.0);
        let country = ["fr", "de", "es"][usize::try_from(below(3)).unwrap()];
        let risk = age * 100 + u64::from(country == "de") * 2000;
        let churned = if below(9000) < risk { "yes" } else { "no" };
        let hole = |n: u64| holes && n == 0;
        let age = if hole(below(10)) { String::new() } else { age.to_string() };
        let balance = if hole(below(10)) { "NA".to_owned() } else { balance.to_string() };
        let country = match (holes, below(20)) {
            (true, 0) => "",
            (true, 1) => "unseen",
            (true, 2) => "\"x, \"\"y\"\"\"",
            _ => country,
        };
        text += &format!("c{seed}x{i},{age},{balance},{country},{churned}\n");
    }
    text
}

/// `full` repetitions in a soak, `quick` ones otherwise.
pub(crate) fn repetitions(quick: u64, full: u64) -> u64 {
    if std::env::var("MLOPS_SOAK").is_ok_and(|v| v == "1") { full } else { quick }
}
