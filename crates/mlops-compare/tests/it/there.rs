//! Comparisons by tasks that an engine spreads: the same figures, examples and joined rows as without one, to the byte,
//! whatever the size of the tasks, their order, and however often each is carried out.
//!
//! Not for a real engine: `mlops-cluster` has its own tests, with processes that are killed.

use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mlops_compare::Tolerance;
use mlops_compare::command::{self, Options};
use mlops_compare::there::{PREFIX, carry_out};
use mlops_core::Result;
use mlops_core::platform::engine::Engine;
use mlops_core::run::context::Report;
use mlops_testkit::{Random, Scene, repetitions};
use serde_json::json;

/// Carries out tasks in this process, in random order and some of them twice, or once more before later ones.
struct Restless {
    range_bytes: u64,
    seed: u64,
    carried_out: AtomicU64,
    /// All tasks so far.
    earlier: Mutex<Vec<String>>,
}

impl Engine for Restless {
    fn run(&self, tasks: Vec<String>) -> Result<Vec<String>> {
        let mut random = Random(self.seed ^ self.carried_out.load(Ordering::Relaxed));
        let mut earlier = self.earlier.lock().unwrap();
        for _ in 0..4.min(earlier.len()) {
            // Its folder may be gone; nobody waits for the answer.
            let task = &earlier[random.below(earlier.len())];
            let _ = carry_out(task.strip_prefix(PREFIX).unwrap());
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
            let answer = carry_out(tasks[at].strip_prefix(PREFIX).unwrap())?;
            let before = answers[at].replace(answer.clone());
            assert!(before.is_none_or(|before| before == answer), "a task has one answer");
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn range_bytes(&self) -> u64 {
        self.range_bytes
    }

    fn partitions(&self) -> usize {
        3
    }
}

const SCHEMA: &str = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited";

/// Rows of a file whose columns are in one of two orders, with cells that are spelt in several ways, line ends in quotes,
/// repeated keys, empty lines, and records that cannot be read.
fn messy(random: &mut Random, rows: usize, variety: usize, turned: bool) -> String {
    let mut text =
        if turned { "exited,note,corporation,lastmonth_activity\n" } else { SCHEMA }.to_owned();
    if !turned {
        text += ",note\n";
    }
    for _ in 0..rows {
        let id = random.below(variety);
        let name = match id % 5 {
            0 => format!("\"of\n\n{id}\""),
            1 => format!(" c{id} "),
            2 => format!("\"c, \"\"{id}\"\"\""),
            _ => format!("c{id}"),
        };
        let month = match random.below(12) {
            0 => "NA".to_owned(),
            1 => "x".to_owned(),
            2 => format!("{}.50", id % 13),
            _ => format!("{}", id % 13 + random.below(2)),
        };
        let note = random.pick(&["", "1.0", "1", "007", "\"a\nb\"", "1.7e308", "-1.7e308"]);
        let exited = random.pick(&["1", "0", "YES"]);
        if turned {
            writeln!(text, "{exited},{note},{name},{month}").unwrap();
        } else {
            writeln!(text, "{name},{month},{},{},{exited},{note}", id % 3, id % 7).unwrap();
        }
        match random.below(40) {
            0 => text += "\n",
            1 => text += "too,few\n",
            _ => {}
        }
    }
    text
}

/// What is found, said and written, or why it is refused.
fn looked(scene: &Scene, options: &Options) -> (String, String) {
    let output = options.output.as_ref().unwrap();
    fs::remove_file(output).ok();
    let found = match command::run(&scene.context().unwrap(), options) {
        Ok(found) => format!("{found}\n{}\n{:?}", json!(found), found.findings()),
        Err(error) => error.to_string(),
    };
    (found, fs::read_to_string(output).unwrap_or_default())
}

fn with_engine(scene: &mut Scene, range_bytes: u64, seed: u64) {
    let carried_out = AtomicU64::new(0);
    scene.configure(&json!({ "engine": { "kind": "ballista" } }));
    scene.engine =
        Some(Arc::new(Restless { range_bytes, seed, carried_out, earlier: Mutex::default() }));
}

#[test]
fn random_files_are_joined_as_on_one_machine_in_stretches_of_any_size() {
    let (mut both, mut unpaired) = (0, 0);
    for seed in 0..repetitions(20, 1_000) {
        let mut random = Random(seed);
        let mut scene = Scene::new();
        let variety = [10, 60, 3_000][random.below(3)];
        let mut options = Options { output: Some(scene.path("joined.csv")), ..Options::default() };
        for side in ["left", "right"] {
            let (rows, turned) = (random.below(400), random.one_in(3));
            scene.file(side, messy(&mut random, rows, variety, turned));
        }
        // Many rows in common.
        if random.one_in(3) {
            scene.file("right", scene.read("left"));
        }
        (options.left, options.right) =
            (scene.path("left").display().to_string(), scene.path("right").display().to_string());
        let on: &[&str] =
            [&[][..], &["corporation"], &["exited", "corporation", "note"]][random.below(3)];
        options.on = on.iter().map(|name| (*name).to_owned()).collect();
        if !on.is_empty() && random.one_in(2) {
            options.tolerance = Tolerance { abs: 0.5, rel: 0.1 };
        }
        let expected = looked(&scene, &options);
        for _ in 0..2 {
            let range_bytes = [40, 300, 5_000, 1 << 30][random.below(4)];
            with_engine(&mut scene, range_bytes, seed);
            let found = looked(&scene, &options);
            let differ = found.0.lines().zip(expected.0.lines()).find(|(a, b)| a != b);
            assert!(
                found.0 == expected.0,
                "seed {seed}, {range_bytes} bytes, on {on:?}: {differ:#?}"
            );
            assert!(
                found.1 == expected.1,
                "seed {seed}, {range_bytes} bytes, on {on:?}: other rows"
            );
        }
        both += expected.1.matches("both").count();
        unpaired += usize::from(!expected.0.contains("\"unpaired_keys\":0"));
    }
    assert!(both > 500 && unpaired > 2, "{both} {unpaired}");
}

#[test]
fn versions_of_the_data_set_are_checked_against_their_records_as_on_one_machine() {
    let mut scene = Scene::new();
    scene.rows("in/a.csv", &mlops_testkit::sample_rows(80, 1));
    scene.ingest().unwrap();
    scene.rows("in/b.csv", &mlops_testkit::sample_rows(80, 2));
    scene.ingest().unwrap();
    let output = Some(scene.path("joined.csv"));
    let of = |left: &str, right: &str| Options {
        left: left.to_owned(),
        right: right.to_owned(),
        output: output.clone(),
        ..Options::default()
    };
    for damage in [false, true] {
        if damage {
            let text = scene.read("out/finaldata1.csv").replacen(",1,", ",2,", 1);
            scene.file("out/finaldata1.csv", text);
        }
        scene.configure(&json!({}));
        scene.engine = None;
        let all = |scene: &Scene| {
            [of("1", "2"), of("2", "1"), of("7", "1")].map(|options| looked(scene, &options))
        };
        let expected = all(&scene);
        assert_eq!(expected[0].0.contains("is not what the ledger recorded"), damage);
        with_engine(&mut scene, 200, 5);
        assert_eq!(all(&scene), expected, "damaged: {damage}");
    }
}

#[test]
fn what_is_refused_is_refused_in_the_same_words() {
    let mut random = Random(7);
    let good = messy(&mut random, 100, 60, false);
    let header = good.split_inclusive('\n').next().unwrap();
    let decimal =
        format!("{good}c1,\"3,5\",1,1,1,\n{}", &messy(&mut random, 50, 9, false)[header.len()..]);
    let cases: [(&str, Vec<u8>); 7] = [
        ("empty", Vec::new()),
        ("header", header.into()),
        ("twice", b"corporation,corporation\na,b\n".to_vec()),
        ("other", b"alpha,beta\na,b\n".to_vec()),
        ("decimal", decimal.into_bytes()),
        ("utf16", good.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("merged", good.replacen("note", "_merge", 1).into_bytes()),
    ];
    let mut refused = 0;
    for (name, bytes) in cases {
        let mut scene = Scene::new();
        scene.file("good", &good);
        scene.file(name, bytes);
        let path = |name: &str| scene.path(name).display().to_string();
        let output = Some(scene.path("joined.csv"));
        let mut all = Vec::new();
        for (left, right) in [(name, "good"), ("good", name), (name, name)] {
            for on in [vec![], vec!["corporation".to_owned()]] {
                let (left, right) = (path(left), path(right));
                all.push(Options { left, right, on, output: output.clone(), ..Options::default() });
            }
        }
        let look =
            |scene: &Scene| all.iter().map(|options| looked(scene, options)).collect::<Vec<_>>();
        let expected = look(&scene);
        with_engine(&mut scene, 300, 3);
        assert_eq!(look(&scene), expected, "{name}");
        refused += expected.iter().filter(|(_, rows)| rows.is_empty()).count();
    }
    assert!(refused > 20, "{refused}");
}
