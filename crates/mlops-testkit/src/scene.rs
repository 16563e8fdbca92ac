//! A scratch workspace: a temporary folder with a configuration, in which stages are run as the
//! binaries run them. Not for expectations: those stand in the other modules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlops_core::Result;
use mlops_core::config::{Config, InputFolder};
use mlops_core::ids::Step;
use mlops_core::ledger::Ledger;
use mlops_core::platform::clock::SteppingClock;
use mlops_core::platform::disk::Disk;
use mlops_core::run::context::{Context, Report, Workspace};
use mlops_core::stage::deploy::{self, Deployed};
use mlops_core::stage::ingest::report::Ingested;
use mlops_core::stage::ingest::{self, Options};
use mlops_core::stage::score::{self, Score};
use mlops_core::stage::train::{self, Trained};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::random::Random;

/// The header of the default schema.
pub const HEADER: &str =
    "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n";

/// A folder with `config.json`, `in/`, `test/`, and what the stages make of them.
pub struct Scene {
    dir: TempDir,
    clock: Arc<SteppingClock>,
    /// What the stages write through.
    pub disk: Disk,
}

/// What stands at a path: a file's bytes, a link's target, or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file with these bytes.
    File(Vec<u8>),
    /// A link to this path.
    Link(PathBuf),
    /// A folder.
    Folder,
}

/// Everything below a folder, by relative path.
pub type Snapshot = BTreeMap<PathBuf, Entry>;

impl Scene {
    /// A workspace with the five keys alone.
    pub fn new() -> Self {
        Self::with(&json!({}))
    }

    /// A workspace whose configuration has the keys of `more` as well.
    pub fn with(more: &Value) -> Self {
        // In 2033: every file of the test is older than its record, as in everyday life.
        Self::at(2_000_000_000, more)
    }

    /// A workspace whose clock starts `seconds` after 1970.
    pub fn at(seconds: i64, more: &Value) -> Self {
        let dir = folder();
        let clock = Arc::new(SteppingClock::starting_at(seconds));
        let scene = Self { dir, clock, disk: Disk::default() };
        scene.configure(more);
        for folder in ["in", "test"] {
            fs::create_dir(scene.path(folder)).unwrap();
        }
        scene
    }

    /// Writes the configuration again, with the keys of `more`.
    pub fn configure(&self, more: &Value) {
        let mut config = json!({
            "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
            "output_model_path": "model", "prod_deployment_path": "production_deployment/",
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        fs::write(self.path("config.json"), config.to_string()).unwrap();
    }

    /// The folder of the workspace.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A path of the workspace.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file as a user would.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes rows of the default schema.
    pub fn rows(&self, name: &str, rows: &str) {
        self.file(name, HEADER.to_owned() + rows);
    }

    /// The content of a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The bytes of a file.
    pub fn read_bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The content of a JSON file.
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The outside world of one run.
    pub fn context(&self) -> Result<Context> {
        let config = Config::load(&self.path("config.json"))?;
        Ok(Context::new(config, self.clock.clone(), self.disk.clone(), "test"))
    }

    /// One recorded step, as a binary runs it.
    pub fn step<R: Report>(
        &self,
        step: Step,
        work: impl FnOnce(&Context, &mut Workspace) -> Result<R>,
    ) -> Result<R> {
        let context = self.context()?;
        let mut workspace = context.open(step)?;
        context.step(&mut workspace, step, |workspace| work(&context, workspace))
    }

    /// `ingestion` with options.
    pub fn ingest_with(&self, options: Options) -> Result<Ingested> {
        self.ingest_from("in", options)
    }

    /// `ingestion` of another folder.
    pub fn ingest_from(&self, folder: &str, options: Options) -> Result<Ingested> {
        self.step(Step::Ingestion, |context, workspace| {
            let folder = InputFolder { path: &self.path(folder), ..context.config.input() };
            ingest::run(context, workspace, folder, options)
        })
    }

    /// `ingestion`.
    pub fn ingest(&self) -> Result<Ingested> {
        self.ingest_with(Options::default())
    }

    /// `training`.
    pub fn train(&self) -> Result<Trained> {
        self.step(Step::Training, train::run)
    }

    /// `scoring`.
    pub fn score(&self) -> Result<Score> {
        self.step(Step::Scoring, score::run)
    }

    /// `deployment`.
    pub fn deploy(&self) -> Result<Deployed> {
        self.step(Step::Deployment, |context, workspace| {
            deploy::run(context, workspace, Step::Deployment, "asked for")
        })
    }

    /// The four steps in order, up to the first that fails.
    pub fn everything(&self) -> Result<()> {
        self.ingest()?;
        self.train()?;
        self.score()?;
        self.deploy()?;
        Ok(())
    }

    /// What the ledger holds.
    pub fn ledger(&self) -> Ledger {
        Ledger::open(&self.path("out/ledger.sqlite"), &Disk::default()).unwrap()
    }

    /// All bytes of the workspace, but for the ledger and the lock.
    pub fn snapshot(&self) -> Snapshot {
        let mut all = Snapshot::new();
        collect(self.dir.path(), self.dir.path(), &mut all);
        all.retain(|path, _| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !name.starts_with("ledger.sqlite") && name != "run.lock"
        });
        all
    }
}

/// A folder in memory, where a sync costs nothing.
pub fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn collect(root: &Path, folder: &Path, all: &mut Snapshot) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        let entry = if kind.is_symlink() {
            Entry::Link(fs::read_link(&path).unwrap())
        } else if kind.is_dir() {
            collect(root, &path, all);
            Entry::Folder
        } else {
            Entry::File(fs::read(&path).unwrap())
        };
        all.insert(path.strip_prefix(root).unwrap().to_owned(), entry);
    }
}

/// Rows of the default schema from a known logistic model, the same for the same seed.
pub fn sample_rows(rows: u64, seed: u64) -> String {
    let mut random = Random(seed);
    let mut text = String::new();
    for i in 0..rows {
        let (a, b, c) = (random.below(100), random.below(1000), random.below(50) + 1);
        let log_odds = 0.05 * (a as f64 - 50.0) - 0.002 * (b as f64 - 500.0);
        let exited = random.unit() < 1.0 / (1.0 + (-log_odds).exp());
        text += &format!("c{seed}x{i},{a},{b},{c},{}\n", u8::from(exited));
    }
    text
}
