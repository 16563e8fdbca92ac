//! Diagnostics by tasks that an engine spreads: the same predictions and statistics as without one, to the byte.
//!
//! Not for a real engine: `mlops-cluster` has its own tests.

use std::fs;
use std::path::PathBuf;

use mlops_core::ids::Step;
use mlops_core::stage::diagnose::{self, Options};
use mlops_testkit::{Random, Scene, repetitions};
use serde_json::{Value, json};

use crate::engine::Restless;
use crate::engine_scoring::{messy, more, spread, trained};

/// What is found, and written, but for times and what earlier runs left; and the bars of histograms, which are not written.
fn diagnosed(scene: &Scene, data: Option<PathBuf>) -> Result<(Value, Vec<Vec<u64>>), String> {
    diagnosed_with(scene, &Options { data, identify: true, ..Options::default() })
}

fn diagnosed_with(scene: &Scene, options: &Options) -> Result<(Value, Vec<Vec<u64>>), String> {
    let found = scene
        .step(Step::Diagnostics, |context, workspace| diagnose::run(context, workspace, options));
    let found = found.map_err(|e| e.to_string())?;
    let bars = found.columns.iter().filter_map(|column| column.summary.numeric());
    let bars = bars.map(|numbers| numbers.histogram.clone()).collect();
    let mut written = scene.json("model/diagnostics.json");
    written["content"] = json!(found.content);
    for key in ["recorded", "timings", "logged", "asked"] {
        written.as_object_mut().unwrap().remove(key);
    }
    Ok((written, bars))
}

#[test]
fn random_files_have_the_same_statistics_and_predictions_in_stretches_of_any_size() {
    for seed in 0..repetitions(5, 300) {
        let mut random = Random(seed);
        let missing = if random.one_in(2) { "drop" } else { "median" };
        let more = more(&json!({ "training": { "missing": missing } }));
        let test = messy(&mut random, 200, 100_000);
        let mut scene = trained(&more, &[test], &mut random);
        scene.score().unwrap();
        scene.deploy().unwrap();
        let rows = random.below(500);
        scene.file("other.csv", messy(&mut random, rows, 60));
        let other = Some(scene.path("other.csv"));
        let expected = [None, other.clone()].map(|data| diagnosed(&scene, data).unwrap());
        assert!(expected[1].0["predictions"]["rejected"].as_u64() > Some(0) || rows < 99);
        for _ in 0..2 {
            let range_bytes = [40, 300, 5_000, 1 << 30][random.below(4)];
            spread(&mut scene, &more, Restless::new(range_bytes, 3, seed));
            let found = [None, other.clone()].map(|data| diagnosed(&scene, data).unwrap());
            assert_eq!(found, expected, "seed {seed}, {range_bytes} bytes");
        }
    }
}

/// The same with predictions row by row, their file, and the lines of the log without times and ids of runs.
fn row_by_row(scene: &Scene, data: Option<PathBuf>, explain: usize, record: bool) -> [String; 3] {
    let output = Some(scene.path("predictions.csv"));
    let options = Options { data, output, explain, record, ..Options::default() };
    let found = diagnosed_with(scene, &options).unwrap();
    let mut lines = String::new();
    for entry in fs::read_dir(scene.path("log")).unwrap().flatten() {
        lines += &fs::read_to_string(entry.path()).unwrap();
        fs::remove_file(entry.path()).unwrap();
    }
    let without = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        (line["recorded"], line["request_id"]) = (Value::Null, Value::Null);
        format!("{line}\n")
    };
    let lines = lines.lines().map(without).collect();
    [format!("{found:?}"), scene.read("predictions.csv"), lines]
}

#[test]
fn predictions_row_by_row_are_those_of_one_machine_with_their_lines() {
    let (mut refused, mut plain, mut logged) = (0, 0, 0);
    for seed in 0..repetitions(6, 300) {
        let mut random = Random(seed);
        let missing = if random.one_in(2) { "drop" } else { "median" };
        let features = random.one_in(2);
        let mut more = more(&json!({
            "training": { "missing": missing },
            "service": { "prediction_log_path": "log", "prediction_log_features": features },
        }));
        if random.one_in(2) {
            more["schema"]["reasons"] = json!({ "x": "its x, or \"x\"", "n": { "raises": "n" } });
        }
        if random.one_in(2) {
            more["training"]["bins"] = json!({ "x": {}, "n": {}, "color": {} });
            more["training"]["scorecard"] = json!({});
        }
        let test = messy(&mut random, 200, 100_000);
        let mut scene = trained(&more, &[test], &mut random);
        fs::create_dir(scene.path("log")).unwrap();
        scene.score().unwrap();
        scene.deploy().unwrap();
        let rows = random.below(500);
        let other = messy(&mut random, rows, 60);
        // Each line is a row.
        let good_line = |line: &&str| !line.contains("oops") && line.contains(',');
        let good = other.replace("\"a, b\"", "blue").replace("\"of\n", "").replace("\",", ",");
        let good: String = good.split_inclusive('\n').filter(good_line).collect();
        scene.file("other.csv", other);
        scene.file("good.csv", good);
        let files = [None, Some(scene.path("other.csv")), Some(scene.path("good.csv"))];
        let (explain, record) = (random.below(4), random.one_in(2));
        let all =
            |scene: &Scene| files.clone().map(|data| row_by_row(scene, data, explain, record));
        let expected = all(&scene);
        for _ in 0..2 {
            let range_bytes = [40, 300, 5_000, 1 << 30][random.below(4)];
            spread(&mut scene, &more, Restless::new(range_bytes, 3, seed));
            for (found, expected) in all(&scene).iter().flatten().zip(expected.iter().flatten()) {
                let differ = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
                assert!(found == expected, "seed {seed}, {range_bytes} bytes: {differ:?}");
            }
        }
        refused += expected[1][1].matches("oops").count();
        plain += usize::from(expected[2][1].lines().count() > 1);
        logged += expected[1][2].lines().count();
    }
    assert!(refused > 20 && plain > 1 && logged > 20, "{refused} {plain} {logged}");
}

#[test]
fn what_cannot_be_read_in_stretches_or_at_all_is_as_on_one_machine() {
    let mut random = Random(6);
    let more = more(&json!({}));
    let test = messy(&mut random, 200, 100_000);
    let decimal = test.clone() + "c1,\"3,5\",1,red,1\n" + &messy(&mut random, 50, 9)[16..];
    for (name, bytes) in [
        ("empty.csv", Vec::new()),
        ("header.csv", b"who,x,n,color,y\n".to_vec()),
        ("other.csv", b"who,x,y\na,1,0\n".to_vec()),
        ("decimal.csv", decimal.into_bytes()),
        (
            "utf16.csv",
            format!("\u{feff}{test}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
    ] {
        let mut scene = trained(&more, std::slice::from_ref(&test), &mut random);
        scene.score().unwrap();
        scene.deploy().unwrap();
        scene.file(name, bytes);
        let data = Some(scene.path(name));
        let expected = diagnosed(&scene, data.clone());
        spread(&mut scene, &more, Restless::new(300, 3, 1));
        assert_eq!(diagnosed(&scene, data), expected, "{name}");
    }
}
