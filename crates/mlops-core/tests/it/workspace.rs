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

/// The header of the default schema.
pub(crate) const HEADER: &str =
    "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n";

/// A folder with `config.json`, `in/`, `test/`, and what the stages make of them.
pub(crate) struct Scene {
    dir: TempDir,
    clock: Arc<SteppingClock>,
    /// What the stages write through.
    pub(crate) disk: Disk,
}

/// What stands at a path: a file's bytes, a link's target, or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    File(Vec<u8>),
    Link(PathBuf),
    Folder,
}

/// Everything below a folder, by relative path.
pub(crate) type Snapshot = BTreeMap<PathBuf, Entry>;

impl Scene {
    /// A workspace with the five keys alone.
    pub(crate) fn new() -> Self {
        Self::with(&json!({}))
    }

    /// A workspace whose configuration has the keys of `more` as well.
    pub(crate) fn with(more: &Value) -> Self {
        // In 2033: every file of the test is older than its record, as in everyday life.
        Self::at(2_000_000_000, more)
    }

    /// A workspace whose clock starts `seconds` after 1970.
    pub(crate) fn at(seconds: i64, more: &Value) -> Self {
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
    pub(crate) fn configure(&self, more: &Value) {
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
    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A path of the workspace.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file as a user would.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes rows of the default schema.
    pub(crate) fn rows(&self, name: &str, rows: &str) {
        self.file(name, HEADER.to_owned() + rows);
    }

    /// The content of a file.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The bytes of a file.
    pub(crate) fn read_bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The content of a JSON file.
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The outside world of one run.
    pub(crate) fn context(&self) -> Result<Context> {
        let config = Config::load(&self.path("config.json"))?;
        Ok(Context::new(config, self.clock.clone(), self.disk.clone(), "test"))
    }

    /// One recorded step, as a binary runs it.
    pub(crate) fn step<R: Report>(
        &self,
        step: Step,
        work: impl FnOnce(&Context, &mut Workspace) -> Result<R>,
    ) -> Result<R> {
        let context = self.context()?;
        let mut workspace = context.open(step)?;
        context.step(&mut workspace, step, |workspace| work(&context, workspace))
    }

    /// `ingestion` with options.
    pub(crate) fn ingest_with(&self, options: Options) -> Result<Ingested> {
        self.ingest_from("in", options)
    }

    /// `ingestion` of another folder.
    pub(crate) fn ingest_from(&self, folder: &str, options: Options) -> Result<Ingested> {
        self.step(Step::Ingestion, |context, workspace| {
            let folder = InputFolder { path: &self.path(folder), ..context.config.input() };
            ingest::run(context, workspace, folder, options)
        })
    }

    /// `ingestion`.
    pub(crate) fn ingest(&self) -> Result<Ingested> {
        self.ingest_with(Options::default())
    }

    /// `training`.
    pub(crate) fn train(&self) -> Result<Trained> {
        self.step(Step::Training, train::run)
    }

    /// `scoring`.
    pub(crate) fn score(&self) -> Result<Score> {
        self.step(Step::Scoring, score::run)
    }

    /// `deployment`.
    pub(crate) fn deploy(&self) -> Result<Deployed> {
        self.step(Step::Deployment, |context, workspace| {
            deploy::run(context, workspace, Step::Deployment, "asked for")
        })
    }

    /// The four steps in order, up to the first that fails.
    pub(crate) fn everything(&self) -> Result<()> {
        self.ingest()?;
        self.train()?;
        self.score()?;
        self.deploy()?;
        Ok(())
    }

    /// What the ledger holds.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::open(&self.path("out/ledger.sqlite"), &Disk::default()).unwrap()
    }

    /// All bytes of the workspace, but for the ledger and the lock.
    pub(crate) fn snapshot(&self) -> Snapshot {
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
pub(crate) fn folder() -> TempDir {
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

/// `full` repetitions in a soak, `quick` ones otherwise.
pub(crate) fn repetitions(quick: u64, full: u64) -> u64 {
    if variable("MLOPS_SOAK").is_some_and(|v| v == "1") { full } else { quick }
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "the scene asks on behalf of all tests")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Rows of the default schema from a known logistic model, the same for the same seed.
pub(crate) fn sample_rows(rows: u64, seed: u64) -> String {
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

/// SplitMix64: small, seeded, the same for ever.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[expect(clippy::cast_possible_truncation, reason = "below n")]
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
