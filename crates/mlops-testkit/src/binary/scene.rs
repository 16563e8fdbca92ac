//! A workspace of a hundred rows with the default schema, brought by core to a given stage.
//!
//! Not for expectations.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlops_core::Result;
use mlops_core::config::Config;
use mlops_core::ids::Step;
use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::run::context::{Context, Report, Workspace};
use mlops_core::stage::{deploy, diagnose, ingest, rollback, score, train};

use crate::folder::Folder;
pub use crate::scene::HEADER;

const CONFIG: &str = r#"{
    "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
    "output_model_path": "model", "prod_deployment_path": "live"
}"#;

/// A folder that vanishes with the test.
pub struct Scene(Folder);

impl Deref for Scene {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

impl Scene {
    /// An empty folder.
    pub fn empty() -> Self {
        Self(Folder::on_disk())
    }

    /// An empty folder in memory, where a sync costs nothing.
    pub fn in_memory() -> Self {
        Self(Folder::in_memory())
    }

    /// Two CSV files and test rows, nothing done yet.
    pub fn new() -> Self {
        let scene = Self::empty();
        scene.file("config.json", CONFIG);
        scene.file("in/a.csv", rows(0..60));
        scene.file("in/b.csv", rows(50..80));
        scene.file("test/test.csv", rows(100..140));
        scene
    }

    /// As after `ingestion`.
    pub fn ingested() -> Self {
        let scene = Self::new();
        scene.ingest();
        scene
    }

    /// What `ingestion` does.
    pub fn ingest(&self) {
        let options = ingest::Options::default();
        self.step(|context, w| ingest::run(context, w, context.config.input(), options));
    }

    /// As after `training`.
    pub fn trained() -> Self {
        let scene = Self::ingested();
        scene.step(train::run);
        scene
    }

    /// As after `scoring`.
    pub fn scored() -> Self {
        let scene = Self::trained();
        scene.step(score::run);
        scene
    }

    /// As after `deployment`.
    pub fn deployed() -> Self {
        let scene = Self::scored();
        scene.step(|context, w| {
            // Otherwise each scene has a secret of its own, and draws other hold-outs.
            w.ledger.fix_holdout_key(42)?;
            deploy::run(context, w, Step::Deployment, "a test asks")
        });
        scene
    }

    /// What `ingestion`, `training` and `scoring` do.
    pub fn again(&self) {
        self.ingest();
        self.step(train::run);
        self.step(score::run);
    }

    /// What `deployment rollback` does.
    pub fn roll_back(&self) {
        self.step(|context, w| rollback::run(context, w, None, "a test asks"));
    }

    /// The same, and then a second release of the same data.
    pub fn deployed_twice() -> Self {
        let scene = Self::deployed();
        let config = scene.read("config.json").replacen('{', r#"{"training": {"C": 0.01},"#, 1);
        scene.file("config.json", config);
        scene.step(train::run);
        scene.step(score::run);
        scene.step(|context, w| deploy::run(context, w, Step::Deployment, "a stronger penalty"));
        scene
    }

    /// As after `diagnostics`, with the predictions for the test rows in `risk.csv`.
    pub fn diagnosed() -> Self {
        let scene = Self::deployed();
        let [data, output] = ["test/test.csv", "risk.csv"].map(|name| Some(scene.path(name)));
        let options = diagnose::Options { data, output, ..Default::default() };
        scene.step(|context, w| {
            context.step(w, Step::Diagnostics, |w| diagnose::run(context, w, &options))
        });
        scene
    }

    /// Names, headers and cells as nobody would want them, brought to a live release.
    pub fn hostile() -> Self {
        let scene = Self::in_memory();
        let odd = "odd\u{1b}[31m\u{202e}\u{200b}name";
        let columns: Vec<String> = (0..300).map(|n| format!("{odd}{n}{}", "x".repeat(n))).collect();
        let config = serde_json::json!({
            "input_folder_path": "in", "source_folder_path": "source", "output_folder_path": "out",
            "test_data_path": "test", "output_model_path": "model", "prod_deployment_path": "live",
            "ingestion": {"settle_seconds": 0}, "holdout": {"min_rows": 20},
            "apicalls": {"url": "http://127.0.0.1:9"},
            "schema": {"id": ["id\u{1b}"], "numeric": columns, "categorical": ["c\tc"], "target": "y"},
        });
        scene.file("config.json", config.to_string());
        let header =
            format!("\u{feff}\u{feff}id\u{1b},{},c\tc,extra\u{7},\u{200b},y\n", columns.join(","));
        let rows = |letter: &str, range: std::ops::Range<usize>| {
            let mut text = header.clone();
            for i in range {
                let cells: Vec<String> =
                    (0..300).map(|n| ((i * 31 + n * 17) % 23).to_string()).collect();
                let level = format!("level\u{1b}]0;{}\u{9b}{}", i % 40, "é".repeat(200));
                let label = u8::from((i * 31) % 23 > 11) ^ u8::from(i % 9 == 0);
                text += &format!("{letter}\u{1b}[2J{i},{},{level},e,z,{label}\n", cells.join(","));
            }
            text
        };
        for (name, letter, range) in [
            ("in/line\nend \u{1b}[31mred.csv", "a", 0..150),
            ("in/\u{202e}\u{feff}back.csv", "a", 100..190),
            ("test/te\u{1b}st\n.csv", "t", 0..80),
            ("source/new\r\n\u{9b}2J.csv", "s", 0..60),
        ] {
            scene.file(name, rows(letter, range));
        }
        for folder in ["in", "source", "test"] {
            for i in 0..15 {
                let long = format!("{i}\n\u{1b}{}", "\u{7}".repeat(200));
                scene.file(&format!("{folder}/{long}.txt"), "");
            }
        }
        for i in 0..60 {
            let long = format!("{i}\n\u{1b}{}", "\u{7}".repeat(200));
            scene.file(
                &format!("in/{long}.csv"),
                format!("wrong\u{1b}[2J,{}\n1,2\n", "w,".repeat(3000)),
            );
            scene.file(&format!("source/{long}.csv"), "a;b\u{200b}\r1;2\r");
        }
        scene.file("in/cells.csv", rows("b", 0..20).replace(",3,", ",no\u{1b}number,"));
        scene.ingest();
        scene.step(train::run);
        scene.step(score::run);
        scene.step(|context, w| {
            let leave = deploy::Leave { accept: true, ..deploy::Leave::default() };
            deploy::with(context, w, Step::Deployment, "a \u{1b}[31mreason\n", leave)
        });
        scene
    }

    fn step<R: Report>(&self, work: impl FnOnce(&Context, &mut Workspace) -> Result<R>) {
        let config = Config::load(&self.path("config.json")).unwrap();
        let clock = Arc::new(SystemClock::default());
        let context = Context::new(config, clock, Disk::default(), "test");
        let _alone = alone();
        let mut workspace = context.open("test").unwrap();
        context
            .step(&mut workspace, Step::Deployment, |workspace| work(&context, workspace))
            .unwrap();
    }
}

/// Held while this process has a workspace under lock, and while it starts a program: one started
/// meanwhile would inherit the lock for a moment.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rows with a header; more activity, less exit, with exceptions.
pub fn rows(range: std::ops::Range<u32>) -> String {
    let mut text = HEADER.to_owned();
    for i in range {
        let (month, year) = (i * 37 % 101, i * 53 % 997);
        let exited = u32::from(month < 50) ^ u32::from(i % 7 == 0);
        text += &format!("c{i},{month},{year},{},{exited}\n", i % 40 + 1);
    }
    text
}
