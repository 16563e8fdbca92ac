//! How often a run that promotes a model opens files and decodes models: as often as ARCHITECTURE says,
//! and no more. Not for what the run decides.
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use mlops_core::config::Config;
use mlops_core::ids::{DecisionOutcome, Step};
use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::run::context::Context;
use mlops_core::stage::decide;
use mlops_runtime::{first_run, fullprocess};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context as Layered, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

const CONFIG: &str = r#"{
    "input_folder_path": "in", "source_folder_path": "source", "output_folder_path": "out",
    "test_data_path": "test", "output_model_path": "model", "prod_deployment_path": "live",
    "ingestion": {"settle_seconds": 0}, "apicalls": {"url": "http://127.0.0.1:9"}
}"#;

/// What was opened and decoded, with how often.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, u32>>>);

impl Counts {
    fn take(&self) -> BTreeMap<String, u32> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The last two parts of the path in an event, behind its message.
#[derive(Default)]
struct Said {
    message: String,
    path: String,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            "path" | "place" => {
                let text = text.trim_matches('"').to_owned();
                let parts: Vec<&str> = text.rsplit('/').take(2).collect();
                self.path = parts.into_iter().rev().collect::<Vec<_>>().join("/");
            }
            _ => {}
        }
    }
}

impl Layer<Registry> for Counts {
    fn on_event(&self, event: &tracing::Event<'_>, _: Layered<'_, Registry>) {
        if *event.metadata().level() == tracing::Level::TRACE {
            let mut said = Said::default();
            event.record(&mut said);
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(format!("{} {}", said.message, said.path)).or_default() += 1;
        }
    }
}

fn rows(prefix: &str, range: std::ops::Range<u32>, positive: impl Fn(u32) -> bool) -> String {
    let line = |i: u32| {
        let (a, b, c) = (i % 90, i * 7 % 400, i % 13 + 1);
        format!("{prefix}{i},{a},{b},{c},{}\n", u8::from(positive(a)))
    };
    let header = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n";
    header.to_owned() + &range.map(line).collect::<String>()
}

fn context(folder: &Path) -> Context {
    let config = Config::load(&folder.join("config.json")).unwrap();
    Context::new(config, Arc::new(SystemClock::default()), Disk::default(), "test")
}

#[test]
fn a_run_that_promotes_reads_nothing_more_often_than_it_is_used() {
    let counts = Counts::default();
    tracing::subscriber::set_global_default(Registry::default().with(counts.clone())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["in", "source", "test"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("config.json"), CONFIG).unwrap();
    fs::write(at("in/a.csv"), rows("a", 0..300, |a| a < 40)).unwrap();
    fs::write(at("test/test.csv"), rows("t", 400..600, |a| a < 40)).unwrap();
    // The test file of a day ago.
    let past = SystemTime::now() - Duration::from_hours(24);
    File::options().write(true).open(at("test/test.csv")).unwrap().set_modified(past).unwrap();

    let context_of_first = context(folder.path());
    let mut workspace = context_of_first.open(Step::FirstRun).unwrap();
    first_run::run(&context_of_first, &mut workspace, false).unwrap();
    drop(workspace);
    let first = counts.take();
    let of = |counts: &BTreeMap<String, u32>, what: &str, name: &str| -> u32 {
        let wanted = |key: &str| key.starts_with(what) && key.ends_with(name);
        counts.iter().filter(|(key, _)| wanted(key)).map(|(_, n)| n).sum()
    };
    assert_eq!(of(&first, "decoded", "trainedmodel.bin"), 2, "made, and from disk: {first:#?}");
    assert_eq!(of(&first, "opened", "out/finaldata1.csv"), 2, "fit, diagnostics: {first:#?}");

    fs::write(at("source/c.csv"), rows("s", 0..400, |a| a >= 40)).unwrap();
    let context = context(folder.path());
    let mut workspace = context.open(Step::FullProcess).unwrap();
    let before = context.store().live().unwrap().unwrap();
    let options = decide::Options { accept: true, ..decide::Options::default() };
    let report = fullprocess::run(&context, &mut workspace, options).unwrap();
    assert_eq!(report.decision.outcome, DecisionOutcome::Promoted, "{}", report.decision);
    let counts = counts.take();
    let champion = format!("{before}/trainedmodel.bin");
    let decoded = of(&counts, "decoded", "trainedmodel.bin");
    assert_eq!(of(&counts, "decoded", &champion), 1, "the old model, once: {counts:#?}");
    assert_eq!(decoded, 3, "the new one twice, made and from disk: {counts:#?}");
    assert_eq!(of(&counts, "opened", &champion), 1, "{counts:#?}");
    for (name, uses) in [
        // Draw: the rows on offer, those that the live model knows, and writing; verdict; fit;
        // diagnostics with the statistics of the report.
        ("out/finaldata2.csv", 6),
        // Ingestion, which goes on from it; the gate, for what the champion was trained on.
        ("out/finaldata1.csv", 2),
        // Identity; draw and fit, which leave its entities out; gate: who is in it.
        ("test/test.csv", 4),
        // Score; gate: who is in it, and both models; rows for the app.
        ("test/testdata_new2.csv", 3),
        ("source/c.csv", 2),
    ] {
        assert_eq!(of(&counts, "opened", name), uses, "{name}: {counts:#?}");
    }
}
