//! A scratch workspace: a temporary folder with a configuration, in which stages are run as the
//! binaries run them. Not for expectations: those stand in the other modules.

use std::fs;
use std::ops::Deref;
use std::sync::Arc;

use mlops_core::Result;
use mlops_core::config::{Config, InputFolder};
use mlops_core::ids::Step;
use mlops_core::ledger::Ledger;
use mlops_core::platform::clock::SteppingClock;
use mlops_core::platform::disk::Disk;
use mlops_core::platform::engine::Engine;
use mlops_core::run::context::{Context, Report, Workspace};
use mlops_core::source::{OnlyFolders, Places};
use mlops_core::stage::deploy::{self, Deployed};
use mlops_core::stage::ingest::report::Ingested;
use mlops_core::stage::ingest::{self, Options};
use mlops_core::stage::score::{self, Score};
use mlops_core::stage::train::{self, Trained};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::random::Random;

/// The header of the default schema.
pub const HEADER: &str =
    "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n";

/// A folder with `config.json`, `in/`, `test/`, and what the stages make of them.
pub struct Scene {
    folder: Folder,
    clock: Arc<SteppingClock>,
    /// What the stages write through.
    pub disk: Disk,
    /// The places from which they fetch.
    pub places: Arc<dyn Places>,
    /// The distributed engine on which they work, if they do not work alone.
    pub engine: Option<Arc<dyn Engine>>,
}

impl Deref for Scene {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

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
        let folder = Folder::in_memory();
        let clock = Arc::new(SteppingClock::starting_at(seconds));
        let (disk, places) = (Disk::default(), Arc::new(OnlyFolders));
        let scene = Self { folder, clock, disk, places, engine: None };
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

    /// Writes rows of the default schema.
    pub fn rows(&self, name: &str, rows: &str) {
        self.file(name, HEADER.to_owned() + rows);
    }

    /// The outside world of one run.
    pub fn context(&self) -> Result<Context> {
        let config = Config::load(&self.path("config.json"))?;
        let context = Context::new(config, self.clock.clone(), self.disk.clone(), "test");
        Ok(Context { places: self.places.clone(), engine: self.engine.clone(), ..context })
    }

    /// One recorded step, as a binary runs it.
    pub fn step<R: Report>(
        &self,
        step: Step,
        work: impl FnOnce(&Context, &mut Workspace) -> Result<R>,
    ) -> Result<R> {
        let context = self.context()?;
        let mut workspace = context.open(step)?;
        // A key of its own would let every workspace draw other rows.
        if workspace.ledger.known_holdout_key()?.is_none() {
            workspace.ledger.fix_holdout_key(42)?;
        }
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

    /// Opens the scene's ledger.
    pub fn ledger(&self) -> Ledger {
        Ledger::open(&self.path("out/ledger.sqlite"), &Disk::default()).unwrap()
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
