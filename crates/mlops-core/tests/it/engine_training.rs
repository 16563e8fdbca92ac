//! Training by tasks that an engine spreads: the same model, card and golden rows as without one, to the byte, whatever
//! the size of the tasks, their order, and however often each is carried out.
//!
//! Not for a real engine: `mlops-cluster` has its own tests, with processes that are killed.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mlops_core::platform::disk::Disk;
use mlops_core::platform::engine::Engine;
use mlops_core::stage::train::Trained;
use mlops_core::{Error, ErrorKind, Result};
use mlops_testkit::{Dead, HEADER, Random, Scene, repetitions, sample_rows};
use serde_json::{Value, json};

use crate::engine::Restless;

const SCHEMA: &str = r#"{ "id": ["who"], "numeric": ["x", "n", "flat"], "categorical": ["color", "size"],
    "date": ["since"], "target": "y", "positive_label": "1", "negative_label": "0" }"#;

/// Rows of that schema with gaps, levels that are rare, and ids with line ends and quotes.
fn rows(random: &mut Random, rows: usize, from: usize) -> String {
    let mut text = "who,x,n,flat,color,size,since,y\n".to_owned();
    for i in from..from + rows {
        let who = match random.below(12) {
            0 => format!("\"of\n{i}\""),
            1 => format!("\"c, \"\"{i}\"\"\""),
            _ => format!("c{i}"),
        };
        let x = random.unit() * 20.0 - 10.0;
        let n = random.below(9);
        let gap = |random: &mut Random, cell: String| {
            if random.one_in(9) { String::new() } else { cell }
        };
        let color = match random.below(30) {
            0 => format!("rare{}", random.below(5)),
            n => ["red", "green", "blue", "\"a, b\""][n % 4].to_owned(),
        };
        let y = u8::from(random.unit() < 1.0 / (1.0 + (0.4 * x - 0.3 * n as f64 + 1.0).exp()));
        let (x, n) = (gap(random, format!("{x:.3}")), gap(random, n.to_string()));
        let (color, size) = (gap(random, color), random.pick(&["S", "M", "L"]));
        let since = gap(random, format!("20{:02}-0{}-1{}", i % 25, 1 + i % 9, i % 7));
        writeln!(text, "{who},{x},{n},1,{color},{size},{since},{y}").unwrap();
    }
    text
}

/// All that a training leaves, without times and places.
fn left(scene: &Scene, trained: &Trained) -> (Vec<Vec<u8>>, Value) {
    let mut report = serde_json::to_value(trained).unwrap();
    report.as_object_mut().unwrap().remove("artifact");
    let read = |name: &str| fs::read(scene.path("model").join(name)).unwrap();
    let files = ["trainedmodel.bin", "model.json", "golden.json"].map(read).to_vec();
    let hidden = fs::read_dir(scene.path("out")).unwrap().flatten();
    let hidden = hidden.filter(|e| e.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0, "nothing is left of the work");
    (files, report)
}

/// A workspace that has ingested `files` alone, with `test` as a test file.
fn ingested(more: &Value, files: &[String], test: &str) -> Scene {
    let scene = Scene::with(more);
    for (at, text) in files.iter().enumerate() {
        scene.file(&format!("in/{at}.csv"), text);
    }
    if !test.is_empty() {
        scene.file("test/some.csv", test);
    }
    scene.ingest().unwrap();
    scene
}

fn spread(scene: &mut Scene, more: &Value, engine: impl Engine + 'static) {
    let mut config = more.clone();
    config["engine"] = json!({ "kind": "ballista" });
    scene.configure(&config);
    scene.engine = Some(Arc::new(engine));
}

#[test]
fn random_rows_give_the_same_model_in_stretches_of_any_size() {
    for seed in 0..repetitions(6, 300) {
        let mut random = Random(seed);
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let more = [
            json!({ "schema": schema }),
            json!({ "schema": schema, "training": { "missing": "mean" } }),
            json!({ "schema": schema, "training": { "missing": "drop", "C": 0.5, "class_weight": "balanced" } }),
            json!({ "schema": schema, "training": { "C": 3, "threshold": "prior", "splines": { "x": { "knots": 4 } } } }),
        ];
        let more = more[usize::try_from(seed).unwrap() % 4].clone();
        let mut from = 0;
        let mut file = |random: &mut Random| {
            let n = 200 + random.below(900);
            from += n;
            rows(random, n, from - n)
        };
        let files: Vec<String> = (0..3).map(|_| file(&mut random)).collect();
        let test = random.one_in(2).then(|| {
            let mut lines = files[1].split_inclusive('\n');
            lines
                .by_ref()
                .take(60)
                .filter(|line| line.matches(',').count() == 7 && line.matches('"').count() % 2 == 0)
                .collect::<String>()
        });
        let test = test.unwrap_or_default();
        let mut scene = ingested(&more, &files, &test);
        let trained = scene.train().unwrap();
        let expected = left(&scene, &trained);
        assert!(test.is_empty() || trained.data.held_out > 20, "seed {seed}");
        for _ in 0..2 {
            let range_bytes = [500, 3_000, 20_000, 1 << 30][random.below(4)];
            let partitions = [1, 2, 3, 7, 64][random.below(5)];
            fs::remove_dir_all(scene.path("model")).unwrap();
            spread(&mut scene, &more, Restless::new(range_bytes, partitions, seed));
            let trained = scene.train().unwrap();
            assert!(left(&scene, &trained) == expected, "seed {seed}: {range_bytes}, {partitions}");
        }
    }
}

#[test]
fn many_units_and_steps_on_a_sample_give_the_same_model() {
    let files =
        [sample_rows(40_000, 1), sample_rows(5_000, 2)].map(|rows| HEADER.to_owned() + &rows);
    let none = json!({});
    for more in [none.clone(), json!({ "training": { "C": null } })] {
        let mut scene = ingested(&more, &files, "");
        let trained = scene.train().unwrap();
        let expected = left(&scene, &trained);
        for partitions in [2, 5] {
            fs::remove_dir_all(scene.path("model")).unwrap();
            spread(&mut scene, &more, Restless::new(100_000, partitions, 9));
            let trained = scene.train().unwrap();
            assert!(left(&scene, &trained) == expected, "{partitions} partitions");
        }
    }
}

/// Counts its calls, and is lost at one of them.
struct Lost {
    inner: Restless,
    calls: Arc<AtomicU64>,
    /// It is lost at this call, before or after the work is done.
    at: u64,
    done: bool,
}

impl Engine for Lost {
    fn run(&self, tasks: Vec<String>) -> Result<Vec<String>> {
        let lost = self.calls.fetch_add(1, Ordering::Relaxed) == self.at;
        let error = || Error::remote("the scheduler is lost");
        if lost && !self.done {
            return Err(error());
        }
        let answers = self.inner.run(tasks)?;
        if lost { Err(error()) } else { Ok(answers) }
    }

    fn range_bytes(&self) -> u64 {
        self.inner.range_bytes()
    }

    fn partitions(&self) -> usize {
        self.inner.partitions()
    }
}

#[test]
fn a_training_whose_scheduler_is_lost_does_one_pass_again() {
    let more = json!({ "schema": serde_json::from_str::<Value>(SCHEMA).unwrap() });
    let files = [rows(&mut Random(4), 2_000, 0)];
    let mut scene = ingested(&more, &files, "");
    let trained = scene.train().unwrap();
    let expected = left(&scene, &trained);
    let engine = |at, done| {
        let calls = Arc::new(AtomicU64::new(0));
        (Lost { inner: Restless::new(50_000, 3, 4), calls: Arc::clone(&calls), at, done }, calls)
    };
    let (undisturbed, calls) = engine(u64::MAX, true);
    spread(&mut scene, &more, undisturbed);
    scene.train().unwrap();
    // Quotes make some stretches be read again, each by a call of its own.
    let all = calls.load(Ordering::Relaxed);
    let reading = all - passes(&scene, &more);
    assert!(reading > 0 && all > reading + 8, "{reading} of {all}");
    for at in 0..all {
        let done = at % 2 == 0;
        fs::remove_dir_all(scene.path("model")).unwrap();
        let (lost, before) = engine(at, done);
        spread(&mut scene, &more, lost);
        let error = scene.train().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Remote(_)), "{error}");
        assert!(!scene.path("model/trainedmodel.bin").exists());
        let (again, after) = engine(u64::MAX, true);
        spread(&mut scene, &more, again);
        let trained = scene.train().unwrap();
        assert!(left(&scene, &trained) == expected, "lost at call {at}");
        let calls = before.load(Ordering::Relaxed) + after.load(Ordering::Relaxed);
        // Reading is one piece of work, whose calls are all made again.
        assert!(calls <= all + reading, "lost at call {at}: {calls} calls for {all}");
        assert!(at < reading || calls == all + 1, "lost at call {at}: {calls} calls for {all}");
    }
}

/// The number of calls for passes and for packing: all but those that read.
fn passes(scene: &Scene, more: &Value) -> u64 {
    // In one stretch all is read by one call.
    let mut scene = ingested(more, &[scene.read("in/0.csv")], "");
    let calls = Arc::new(AtomicU64::new(0));
    let inner = Restless::new(1 << 30, 3, 4);
    let counting = Lost { inner, calls: Arc::clone(&calls), at: u64::MAX, done: true };
    spread(&mut scene, more, counting);
    scene.train().unwrap();
    calls.load(Ordering::Relaxed) - 1
}

#[test]
fn what_an_earlier_training_left_is_used_only_if_it_is_whole() {
    let more = json!({});
    let files = [HEADER.to_owned() + &sample_rows(3_000, 3)];
    let mut scene = ingested(&more, &files, "");
    let trained = scene.train().unwrap();
    let expected = left(&scene, &trained);
    for removed in ["part-0", "held_out.json", "rows.json", "encoded.json", "stretches.json"] {
        fs::remove_dir_all(scene.path("model")).unwrap();
        let calls = Arc::new(AtomicU64::new(0));
        let inner = Restless::new(9_000, 3, 4);
        spread(&mut scene, &more, Lost { inner, calls: Arc::clone(&calls), at: 5, done: true });
        scene.train().unwrap_err();
        let folders = fs::read_dir(scene.path("out")).unwrap().flatten().map(|e| e.path());
        let hidden = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".training-"))
        };
        let folders: Vec<PathBuf> = folders.filter(hidden).collect();
        assert_eq!(folders.len(), 1);
        fs::remove_file(folders[0].join(removed)).unwrap();
        fs::create_dir(scene.path("out/.training-of-others")).unwrap();
        spread(&mut scene, &more, Restless::new(9_000, 3, 4));
        let trained = scene.train().unwrap();
        assert!(left(&scene, &trained) == expected, "without {removed}");
    }
}

#[test]
fn a_driver_that_ends_at_any_step_leaves_what_the_next_one_completes() {
    let more = json!({});
    let files = [HEADER.to_owned() + &sample_rows(300, 3)];
    let mut scene = ingested(&more, &files, "");
    let trained = scene.train().unwrap();
    let expected = left(&scene, &trained);
    spread(&mut scene, &more, Restless::new(4_000, 3, 4));
    let mut ended = 0;
    for from in (0..).step_by(usize::try_from(10 / repetitions(1, 10)).unwrap()) {
        fs::remove_dir_all(scene.path("model")).unwrap();
        scene.disk = Dead::from(from);
        let first = scene.train();
        scene.disk = Disk::default();
        let trained = scene.train().unwrap();
        assert!(left(&scene, &trained) == expected, "the driver ended before step {from}");
        if first.is_ok() {
            break;
        }
        ended += 1;
    }
    assert!(ended > 8, "{ended}");
}

#[test]
fn a_data_set_that_was_changed_is_not_trained_on() {
    let more = json!({});
    let files = [HEADER.to_owned() + &sample_rows(300, 3)];
    let mut scene = ingested(&more, &files, "");
    let text = scene.read("out/finaldata1.csv");
    for changed in [text.replacen(",1\n", ",0\n", 1), text + "late,1,2,3,oops\n"] {
        scene.file("out/finaldata1.csv", &changed);
        spread(&mut scene, &more, Restless::new(1_000, 3, 4));
        let error = scene.train().unwrap_err().to_string();
        assert!(error.contains("changed or damaged"), "{error}");
        assert!(!scene.path("model").exists());
    }
}

#[test]
fn what_the_data_are_to_blame_for_is_said_as_on_one_machine() {
    let one_class = "a,1,2,3,1\nb,1,2,4,1\nc,2,1,1,1\n".to_owned();
    let apart = (0..60).map(|i| format!("c{i},{i},1,1,{}\n", u8::from(i > 30))).collect();
    for (rows, training) in [(one_class, json!({})), (apart, json!({ "C": null }))] {
        let more = json!({ "training": training });
        let mut scene = ingested(&more, &[HEADER.to_owned() + &rows], "");
        let expected = scene.train().unwrap_err().to_string();
        spread(&mut scene, &more, Restless::new(40, 3, 4));
        assert_eq!(scene.train().unwrap_err().to_string(), expected);
    }
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let schema = |more: Value| {
        let mut schema =
            json!({ "id": ["who"], "numeric": ["x", "n"], "target": "y", "negative_label": "0" });
        for (key, value) in more.as_object().unwrap() {
            schema[key] = value.clone();
        }
        schema
    };
    let dated = schema(json!({ "date": ["since", "at"] }));
    for (more, named) in [
        (json!({ "training": { "C": "cv" } }), "\"training.C\""),
        (json!({ "training": { "threshold": { "maximize": "f1" } } }), "\"training.threshold\""),
        (json!({ "training": { "solver": "lbfgs" } }), "\"training.solver\""),
        (json!({ "training": { "window": { "rows": 100 } } }), "\"training.window\""),
        (json!({ "training": { "bins": { "x": {} } } }), "\"training.bins\""),
        (json!({ "schema": schema(json!({ "id": [] })) }), "\"schema.id\""),
        (json!({ "schema": dated, "holdout": { "time": "at" } }), "\"holdout.time\""),
    ] {
        let mut more = more.clone();
        if more.get("schema").is_none() {
            more["schema"] = schema(json!({}));
        }
        let rows: String = (0..200)
            .map(|i| {
                format!(
                    "c{i},{},{},2020-01-01,2021-01-0{},{}\n",
                    i * 7 % 31,
                    i % 9,
                    1 + i % 9,
                    i * 13 % 5 / 3
                )
            })
            .collect();
        let mut scene = ingested(&more, &["who,x,n,since,at,y\n".to_owned() + &rows], "");
        spread(&mut scene, &more, Restless::new(1_000, 3, 4));
        let error = scene.train().unwrap_err().to_string();
        let said = error.contains(named) && error.contains("a cluster does not do this yet");
        assert!(said, "{named}: {error}");
        assert!(!scene.path("model").exists());
    }
}
