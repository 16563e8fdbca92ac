//! Ingestion by tasks that an engine spreads: the same data set, quarantine and counts as without one, whatever the
//! size of the tasks, their order, and however often each is carried out.
//!
//! Not for a real engine: `mlops-cluster` has its own tests, with processes that are killed.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mlops_core::Result;
use mlops_core::ledger::FileStatus;
use mlops_core::platform::engine::Engine;
use mlops_core::source::{OnlyFolders, Places};
use mlops_core::stage::elsewhere::carry_out;
use mlops_core::stage::ingest::report::Ingested;
use mlops_testkit::{HEADER, Random, Scene, repetitions, sample_rows};
use serde_json::{Value, json};

/// Carries out tasks in this process, in random order and some of them twice, or once more before later ones.
pub(crate) struct Restless {
    range_bytes: u64,
    partitions: usize,
    seed: u64,
    carried_out: AtomicU64,
    places: Arc<dyn Places>,
    /// All tasks so far.
    earlier: Mutex<Vec<String>>,
}

impl Restless {
    pub(crate) fn new(range_bytes: u64, partitions: usize, seed: u64) -> Self {
        let (carried_out, places) = (AtomicU64::new(0), Arc::new(OnlyFolders));
        Self { range_bytes, partitions, seed, carried_out, places, earlier: Mutex::default() }
    }

    /// The same, which reaches `places`.
    pub(crate) fn reaching(self, places: Arc<dyn Places>) -> Self {
        Self { places, ..self }
    }
}

impl Engine for Restless {
    fn run(&self, tasks: Vec<String>) -> Result<Vec<String>> {
        let mut random = Random(self.seed ^ self.carried_out.load(Ordering::Relaxed));
        let mut earlier = self.earlier.lock().unwrap();
        for _ in 0..4.min(earlier.len()) {
            // Its folder may be gone; nobody waits for the answer.
            let _ = carry_out(&earlier[random.below(earlier.len())], &*self.places);
        }
        earlier.extend_from_slice(&tasks);
        drop(earlier);
        let mut order: Vec<usize> = (0..tasks.len()).collect();
        let again: Vec<usize> = order.iter().copied().filter(|_| random.one_in(3)).collect();
        order.extend(again);
        for at in (1..order.len()).rev() {
            order.swap(at, random.below(at + 1));
        }
        let mut answers: Vec<Option<String>> = vec![None; tasks.len()];
        for at in order {
            self.carried_out.fetch_add(1, Ordering::Relaxed);
            let answer = carry_out(&tasks[at], &*self.places)?;
            let before = answers[at].replace(answer.clone());
            assert!(before.is_none_or(|before| before == answer), "a task has one answer");
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn range_bytes(&self) -> u64 {
        self.range_bytes
    }

    fn partitions(&self) -> usize {
        self.partitions
    }
}

const BALLISTA: &str = "ballista";

/// The same workspace alone and with an engine.
pub(crate) fn twins(more: &Value, range_bytes: u64, seed: u64) -> (Scene, Scene) {
    let alone = Scene::with(more);
    let mut config = more.clone();
    config["engine"] = json!({ "kind": BALLISTA });
    let mut spread = Scene::with(&config);
    spread.engine = Some(Arc::new(Restless::new(range_bytes, 3, seed)));
    (alone, spread)
}

/// What is recorded of each file, without times. Which good rows of a refused file are duplicates is not known if those
/// are found when all files were read, as they are on one machine with little memory: there they are counted as kept.
pub(crate) fn records(report: &Ingested) -> Value {
    let of = |file: &mlops_core::ledger::FileRecord| {
        let mut counts = file.counts.clone();
        if file.status == FileStatus::Failed {
            counts.rows_kept += counts.duplicates();
            (counts.duplicates_within, counts.duplicates_across) = (0, 0);
        }
        json!([file.name, file.status, file.reason, file.sha256, file.same_as, counts])
    };
    report.files.iter().map(of).collect()
}

/// The files of the two workspaces that tell what was ingested, by name.
pub(crate) fn outputs(scene: &Scene) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(scene.path("out")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let wanted = ["finaldata", "quarantine", "ingestedfiles"];
        if wanted.iter().any(|start| name.starts_with(start)) && !name.ends_with("index") {
            let bytes = fs::read(scene.path("out").join(&name)).unwrap();
            found.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        }
        assert!(!found.last().is_some_and(|(name, _)| name.starts_with('.')));
    }
    found.sort();
    found
}

/// A file with every nuisance that there is: quotes, line ends in quotes, blanks, bad cells, equal rows.
pub(crate) fn messy(random: &mut Random) -> String {
    let ends = ["\n", "\n", "\n", "\r\n", "\r"];
    let mut text = HEADER.to_owned();
    for _ in 0..random.below(90) {
        let cell = |random: &mut Random| match random.below(14) {
            0 => "\"a\nb\"".to_owned(),
            1 => format!(" {} ", random.below(30)),
            2 => format!("\"{}\"", random.below(9)),
            3 => "\"".to_owned(),
            4 => "x".to_owned(),
            5 => String::new(),
            6 => "\"1,\r\n,1,2,3,4\n\n\"".to_owned(),
            _ => format!("{}", random.below(4)),
        };
        let id = match random.below(9) {
            0 => "\"c\n\n1\"".to_owned(),
            1 => "\"a \"\"b\"\"\"".to_owned(),
            2 => "é".to_owned(),
            n => format!("c{}", n % 4),
        };
        let mut cells = vec![id];
        let good = !random.one_in(4);
        for _ in 0..3 {
            cells.push(if good { format!("{}", random.below(3)) } else { cell(random) });
        }
        cells.push(random.pick(&["0", "1", "1.0", "0", "1"]).to_owned());
        if random.one_in(30) {
            cells.pop();
        }
        text += &cells.join(",");
        text += random.pick(&ends);
        if random.one_in(15) {
            text += random.pick(&["\n", "  \n", "\n\n\n"]);
        }
    }
    text
}

#[test]
fn random_files_become_the_same_data_set_in_stretches_of_any_size() {
    let mut seen = HashSet::new();
    for seed in 0..repetitions(12, 2_000) {
        let mut random = Random(seed);
        let range_bytes = [60, 150, 300, 700, 5_000, 1 << 30][random.below(6)];
        let more = json!({ "ingestion": { "max_rejected_share": 0.6 } });
        let (alone, spread) = twins(&more, range_bytes, seed);
        for round in 0..2 {
            for file in 0..=random.below(3) {
                let (name, text) = (format!("in/{round}{file}.csv"), messy(&mut random));
                alone.file(&name, &text);
                spread.file(&name, &text);
            }
            let (expected, found) = (alone.ingest().unwrap(), spread.ingest().unwrap());
            assert_eq!(records(&found), records(&expected), "seed {seed}");
            assert_eq!((found.rows, found.new_rows), (expected.rows, expected.new_rows));
            assert_eq!(outputs(&spread), outputs(&alone), "seed {seed}, {range_bytes} bytes");
            for file in &expected.files {
                let counts = &file.counts;
                for (what, n) in [
                    ("within", counts.duplicates_within),
                    ("across", counts.duplicates_across),
                    ("quarantined", counts.quarantined),
                    ("kept", counts.rows_kept),
                    ("blank", counts.blank_lines),
                    ("refused", u64::from(file.reason.is_some())),
                ] {
                    if n > 0 {
                        seen.insert(what);
                    }
                }
            }
        }
    }
    assert_eq!(seen.len(), 6, "the files must have all of it: {seen:?}");
}

#[test]
fn a_task_that_is_carried_out_late_changes_nothing() {
    /// Whoever got the first tasks awakes before each of the later ones, and carries them out once more.
    struct Late(Restless, Mutex<Vec<String>>);
    impl Engine for Late {
        fn run(&self, tasks: Vec<String>) -> Result<Vec<String>> {
            let mut first = self.1.lock().unwrap();
            for task in first.iter() {
                carry_out(task, &OnlyFolders)?;
            }
            if first.is_empty() {
                first.clone_from(&tasks);
            }
            drop(first);
            self.0.run(tasks)
        }
        fn range_bytes(&self) -> u64 {
            self.0.range_bytes
        }
        fn partitions(&self) -> usize {
            self.0.partitions
        }
    }
    for seed in 0..repetitions(12, 300) {
        let mut random = Random(seed);
        let more = json!({ "ingestion": { "max_rejected_share": 0.9 } });
        let (alone, mut spread) = twins(&more, 1, seed);
        let restless = Restless::new([60, 150][random.below(2)], 3, seed);
        spread.engine = Some(Arc::new(Late(restless, Mutex::default())));
        for name in ["in/a.csv", "in/b.csv"] {
            let text = messy(&mut random);
            alone.file(name, &text);
            spread.file(name, &text);
        }
        let (expected, found) = (alone.ingest().unwrap(), spread.ingest().unwrap());
        assert_eq!(records(&found), records(&expected), "seed {seed}");
        assert_eq!(outputs(&spread), outputs(&alone), "seed {seed}");
    }
}

#[test]
fn data_sets_can_grow_alone_and_spread_in_turns() {
    let (alone, mut spread) = twins(&json!({}), 500, 5);
    let engine = spread.engine.clone();
    for round in 0..4 {
        let rows = sample_rows(300, round) + &sample_rows(100, 0);
        alone.rows(&format!("in/{round}.csv"), &rows);
        spread.rows(&format!("in/{round}.csv"), &rows);
        let with_engine = round % 2 == 1;
        spread.engine = engine.clone().filter(|_| with_engine);
        spread.configure(&if with_engine {
            json!({ "engine": { "kind": BALLISTA } })
        } else {
            json!({})
        });
        let (expected, found) = (alone.ingest().unwrap(), spread.ingest().unwrap());
        assert_eq!(records(&found), records(&expected));
        assert_eq!(outputs(&spread), outputs(&alone));
    }
    let (expected, found) = (alone.train().unwrap(), spread.engine.is_some());
    assert!(expected.data.rows > 1_000 && found);
}

#[test]
fn a_program_for_one_machine_says_how_to_get_the_other_and_changes_nothing() {
    let scene = Scene::with(&json!({ "engine": { "kind": BALLISTA } }));
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    let words = scene.ingest().unwrap_err().to_string();
    assert!(words.contains("`mlops-cluster ingestion`"), "{words}");
    assert!(words.contains("docs/growing.md"), "{words}");
    assert!(!scene.path("out/finaldata1.csv").exists());
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (more, named) in [
        (json!({ "ingestion": { "duplicates": "keep" } }), "equal rows"),
        (json!({ "ingestion": { "on_change": "latest" } }), "replace each other"),
        (json!({ "ingestion": { "record_changes": "counts" } }), "changed cells"),
        (json!({ "ingestion": { "format": { "delimiter": ";" } } }), "a format that is named"),
        (json!({ "contract": { "rows": { "min": 1 } } }), "contracts"),
        (
            json!({ "schema": { "id": ["corporation"], "target": "exited",
                "numeric": ["lastmonth_activity"], "positive_label": "yes" } }),
            "negative label",
        ),
    ] {
        let (_, spread) = twins(&more, 100, 1);
        spread.rows("in/a.csv", "a,1,2,3,1\nb,1,2,3,0\n");
        let problem = spread.ingest().unwrap_err().to_string();
        assert!(problem.contains(named), "{named}: {problem}");
        assert!(!spread.path("out/finaldata1.csv").exists());
    }
    // A file that changed.
    let (_, spread) = twins(&json!({}), 100, 1);
    spread.rows("in/a.csv", "a,1,2,3,1\nb,1,2,3,0\n");
    spread.ingest().unwrap();
    spread.rows("in/a.csv", "a,1,2,4,1\nb,1,2,3,0\nc,1,2,3,0\n");
    let problem = spread.ingest().unwrap_err().to_string();
    assert!(problem.contains("files that changed"), "{problem}");
}

#[test]
fn a_file_that_changes_between_two_looks_is_left_to_the_next_run() {
    /// Appends a row to a file when the first tasks are done.
    struct Changing(Restless, PathBuf, AtomicU64);
    impl Engine for Changing {
        fn run(&self, tasks: Vec<String>) -> Result<Vec<String>> {
            let answers = self.0.run(tasks);
            if self.2.fetch_add(1, Ordering::Relaxed) == 0 {
                let text = fs::read_to_string(&self.1).unwrap();
                fs::write(&self.1, text + "late,1,2,3,1\n").unwrap();
            }
            answers
        }
        fn range_bytes(&self) -> u64 {
            self.0.range_bytes
        }
        fn partitions(&self) -> usize {
            1
        }
    }
    let (_, mut spread) = twins(&json!({}), 1 << 20, 1);
    spread.rows("in/a.csv", "a,1,2,3,1\n");
    spread.rows("in/b.csv", "b,1,2,3,0\n");
    let restless = Restless::new(1 << 20, 3, 1);
    let engine = Changing(restless, spread.path("in/b.csv"), AtomicU64::new(0));
    spread.engine = Some(Arc::new(engine));
    spread.ingest().unwrap();
    assert_eq!(spread.read("out/finaldata1.csv"), format!("{HEADER}a,1,2,3,1\n"));
    spread.ingest().unwrap();
    let all = fs::read_dir(spread.path("out")).unwrap().flatten();
    let newest = all.filter(|e| e.file_name().to_string_lossy().starts_with("finaldata")).count();
    assert_eq!(newest, 2);
    assert!(spread.read("out/finaldata2.csv").ends_with("late,1,2,3,1\n"));
}
