//! `fullprocess` whose steps work on an engine: the same decisions, releases, hold-outs and records as without one.
//!
//! Not for a real engine, nor for reports: `mlops-cluster` compares whole workspaces.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use mlops_core::ids::DecisionOutcome;
use mlops_core::platform::engine::Engine;
use mlops_core::run::decision::Decision;
use mlops_core::stage::decide;
use mlops_core::{Error, Result};
use mlops_testkit::{Scene, sample_rows};
use serde_json::{Value, json};

use crate::decision::{decide_with, turned};
use crate::engine::Restless;

/// A workspace whose source folder is apart, with an engine or without.
fn scene(engine: Option<Restless>) -> Scene {
    let mut config = json!({ "source_folder_path": "source", "holdout": { "share": 0.25 } });
    if engine.is_some() {
        config["engine"] = json!({ "kind": "ballista" });
    }
    let mut scene = Scene::with(&config);
    scene.engine = engine.map(|engine| Arc::new(engine) as Arc<dyn Engine>);
    fs::create_dir(scene.path("source")).unwrap();
    scene
}

/// What was decided, but for times, the id of the run and the place of the workspace.
fn told(scene: &Scene, decision: &Decision) -> Value {
    let text = serde_json::to_string(decision).unwrap();
    let text = text.replace(scene.root().to_str().unwrap(), "");
    let mut told: Value = serde_json::from_str(&text).unwrap();
    for key in ["run_id", "recorded", "steps"] {
        told.as_object_mut().unwrap().remove(key);
    }
    without_times(&mut told);
    told
}

fn without_times(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| key != "recorded");
            map.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

/// Data sets, hold-outs, models and releases; records of runs have times.
fn files(scene: &Scene) -> BTreeMap<PathBuf, Vec<u8>> {
    let wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        let kinds = ["finaldata", "quarantine", "testdata", "ingestedfiles"];
        let made =
            ["trainedmodel.bin", "model.json", "golden.json", "score.json", "latestscore.txt"];
        !name.ends_with("index")
            && (kinds.iter().any(|kind| name.starts_with(kind)) || made.contains(&&*name))
    };
    scene
        .snapshot()
        .keys()
        .filter(|path| wanted(path))
        .map(|path| (path.clone(), fs::read(scene.root().join(path)).unwrap()))
        .collect()
}

#[test]
fn every_decision_is_that_of_one_machine() {
    let options = decide::Options::default();
    for range_bytes in [90, 4_000, 1 << 30] {
        let (alone, spread) = (scene(None), scene(Some(Restless::new(range_bytes, 3, 5))));
        let mut outcomes = Vec::new();
        for (name, rows) in [
            ("a", sample_rows(500, 1)),
            ("b", sample_rows(400, 2)),
            ("nothing", String::new()),
            ("c", turned(1_200, 3)),
            ("few", turned(12, 4)),
            ("d", turned(300, 5) + &sample_rows(900, 6)),
        ] {
            let decisions = [&alone, &spread].map(|scene| {
                if !rows.is_empty() {
                    scene.rows(&format!("source/{name}.csv"), &rows);
                }
                let rehearsed =
                    scene.context().and_then(|context| decide::rehearse(&context, options));
                let decided = decide_with(scene, options).unwrap();
                (told(scene, &rehearsed.unwrap()), told(scene, &decided), decided.outcome)
            });
            let [expected, found] = decisions;
            assert_eq!(found, expected, "{name}, {range_bytes} bytes");
            assert!(files(&spread) == files(&alone), "{name}, {range_bytes} bytes: other files");
            outcomes.push(found.2);
        }
        let expected = [DecisionOutcome::Promoted, DecisionOutcome::NothingNew];
        assert!(expected.iter().all(|outcome| outcomes.contains(outcome)), "{outcomes:?}");
        assert!(files(&spread).len() > 12, "{:?}", files(&spread).into_keys());
    }
}

/// An engine that is lost at its task number `.1`.
struct LostAt(Restless, std::sync::atomic::AtomicU64);

impl Engine for LostAt {
    fn run(&self, tasks: Vec<String>) -> Result<Vec<String>> {
        self.count()?;
        self.0.run(tasks)
    }

    fn range_bytes(&self) -> u64 {
        self.0.range_bytes()
    }

    fn partitions(&self) -> usize {
        self.0.partitions()
    }
}

impl LostAt {
    fn count(&self) -> Result<()> {
        let left = self.1.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        if left == 0 { Err(Error::remote("the scheduler is gone".to_owned())) } else { Ok(()) }
    }
}

#[test]
fn a_fullprocess_whose_engine_is_lost_at_any_question_fails_and_the_next_one_goes_on() {
    let options = decide::Options::default();
    let alone = scene(None);
    alone.rows("source/a.csv", &sample_rows(500, 1));
    let expected = decide_with(&alone, options).unwrap();
    let mut lost = 0;
    for at in 0.. {
        let mut spread = scene(Some(Restless::new(700, 3, at)));
        spread.rows("source/a.csv", &sample_rows(500, 1));
        let counted = std::sync::atomic::AtomicU64::new(at);
        spread.engine = Some(Arc::new(LostAt(Restless::new(700, 3, at), counted)));
        let first = decide_with(&spread, options);
        let done = first.is_ok();
        if let Err(error) = first {
            assert!(error.to_string().contains("the scheduler is gone"), "{error}");
            lost += 1;
            spread.engine = Some(Arc::new(Restless::new(700, 3, at)));
            let second = decide_with(&spread, options).unwrap();
            assert_eq!(second.outcome, expected.outcome, "lost at question {at}");
            assert_eq!(second.release, expected.release, "lost at question {at}");
        }
        assert!(files(&spread) == files(&alone), "lost at question {at}: other files");
        if done {
            break;
        }
    }
    assert!(lost > 5, "ingestion, training and scoring ask: {lost}");
}
