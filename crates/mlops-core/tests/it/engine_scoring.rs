//! Scoring by tasks that an engine spreads: the same figures, notes and counts as without one, to the byte.
//!
//! Not for a real engine: `mlops-cluster` has its own tests.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use mlops_testkit::{Random, Scene, repetitions};
use serde_json::{Value, json};

use crate::engine::Restless;

/// Rows with ids that come several times, gaps, quotes, blank lines and bad records.
pub(crate) fn messy(random: &mut Random, rows: usize, clients: usize) -> String {
    let mut text = "who,x,n,color,y\n".to_owned();
    for _ in 0..rows {
        let client = random.below(clients);
        let who = if client.is_multiple_of(7) {
            format!("\"of\n{client}\"")
        } else {
            format!(" c{client} ")
        };
        let x = random.unit() * 8.0 - 4.0;
        let cell = match random.below(25) {
            0 => "oops".to_owned(),
            1 => String::new(),
            _ => format!("{x:.2}"),
        };
        let color = random.pick(&["red", "green", "\"a, b\"", ""]);
        let y = u8::from(random.unit() < 1.0 / (1.0 + (-x).exp()));
        writeln!(text, "{who},{cell},{},{color},{y}", random.below(50)).unwrap();
        if random.one_in(20) {
            text += "\n";
        }
    }
    text
}

/// A workspace with a model, whose test files it was not trained on.
pub(crate) fn trained(more: &Value, tests: &[String], random: &mut Random) -> Scene {
    let scene = Scene::with(more);
    scene.file("in/a.csv", messy(random, 900, 100_000));
    for (at, text) in tests.iter().enumerate() {
        scene.file(&format!("test/{at}.csv"), text);
    }
    scene.ingest().unwrap();
    scene.train().unwrap();
    scene
}

pub(crate) fn spread(scene: &mut Scene, more: &Value, engine: Restless) {
    let mut config = more.clone();
    config["engine"] = json!({ "kind": "ballista" });
    scene.configure(&config);
    scene.engine = Some(Arc::new(engine));
}

pub(crate) fn more(extra: &Value) -> Value {
    let schema = json!({ "id": ["who"], "numeric": ["x", "n"], "categorical": ["color"], "target": "y",
        "negative_label": "0", "slice": ["color"] });
    let mut more = json!({ "schema": schema, "ingestion": { "max_rejected_share": 0.5 } });
    for (key, value) in extra.as_object().unwrap() {
        more[key] = value.clone();
    }
    more
}

#[test]
fn random_test_files_give_the_same_score_in_stretches_of_any_size() {
    let (mut clustered, mut unanswered) = (0, 0);
    for seed in 0..repetitions(6, 300) {
        let mut random = Random(seed);
        let missing = if random.one_in(2) { "drop" } else { "median" };
        let more = more(&json!({ "training": { "missing": missing } }));
        let clients = [60, 100_000][random.below(2)];
        let tests: Vec<String> = (0..=random.below(3))
            .map(|_| {
                let rows = 60 + random.below(400);
                messy(&mut random, rows, clients)
            })
            .collect();
        let mut scene = trained(&more, &tests, &mut random);
        let expected = serde_json::to_value(scene.score().unwrap()).unwrap();
        let files = ["score.json", "latestscore.txt"].map(|name| format!("model/{name}"));
        let written = files.clone().map(|name| scene.read(&name));
        assert!(expected["rejected"].as_u64() > Some(0), "seed {seed}");
        unanswered += expected["unanswered"].as_u64().unwrap();
        clustered += u64::from(clients == 60);
        for _ in 0..2 {
            let range_bytes = [40, 300, 5_000, 1 << 30][random.below(4)];
            for file in &files {
                fs::remove_file(scene.path(file)).unwrap();
            }
            spread(&mut scene, &more, Restless::new(range_bytes, 3, seed));
            let found = serde_json::to_value(scene.score().unwrap()).unwrap();
            assert_eq!(found, expected, "seed {seed}, {range_bytes} bytes");
            assert_eq!(files.clone().map(|name| scene.read(&name)), written);
            let hidden = fs::read_dir(scene.path("out")).unwrap().flatten();
            let hidden = hidden.filter(|e| e.file_name().to_string_lossy().starts_with('.'));
            assert_eq!(hidden.count(), 0, "nothing is left of the work");
        }
    }
    assert!(clustered > 0 && unanswered > 0, "{clustered}, {unanswered}");
}

#[test]
fn a_release_has_the_id_that_one_machine_gives() {
    let more = more(&json!({}));
    let released = |engine: Option<Restless>| {
        let mut random = Random(8);
        let test = messy(&mut random, 400, 100_000);
        let mut scene = trained(&more, &[test], &mut random);
        if let Some(engine) = engine {
            fs::remove_dir_all(scene.path("model")).unwrap();
            spread(&mut scene, &more, engine);
            scene.train().unwrap();
        }
        scene.score().unwrap();
        scene.deploy().unwrap().release.to_string()
    };
    let expected = released(None);
    for (range_bytes, partitions) in [(700, 2), (9_000, 5)] {
        assert_eq!(released(Some(Restless::new(range_bytes, partitions, 1))), expected);
    }
}

#[test]
fn a_file_that_is_refused_is_refused_in_the_same_words() {
    let mut random = Random(5);
    let good = messy(&mut random, 200, 100_000);
    let decimal = good.clone() + "c1,\"3,5\",1,red,1\n" + &messy(&mut random, 50, 9)[16..];
    for bad in [decimal, "who,x,color,y\na,1,red,1\n".to_owned()] {
        let more = more(&json!({}));
        let mut scene = trained(&more, std::slice::from_ref(&good), &mut random);
        scene.file("test/0.csv", &bad);
        let expected = scene.score().unwrap_err().to_string();
        spread(&mut scene, &more, Restless::new(300, 3, 1));
        assert_eq!(scene.score().unwrap_err().to_string(), expected);
    }
}

#[test]
fn files_that_cannot_be_read_in_stretches_and_those_that_training_did_not_know_have_the_same_score()
{
    let mut random = Random(6);
    let more = more(&json!({}));
    let test = messy(&mut random, 200, 100_000);
    let later = messy(&mut random, 200, 100_000);
    for (name, text) in [
        ("test/late.csv", later.clone()),
        ("test/0.csv", String::new()),
        ("test/0.csv", later),
        ("test/utf16.csv", "\u{feff}".to_owned() + &test),
    ] {
        let mut scene = trained(&more, std::slice::from_ref(&test), &mut random);
        let utf16 = || text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let bytes = if name.contains("utf16") { utf16() } else { text.into_bytes() };
        fs::write(scene.path(name), bytes).unwrap();
        let alone = |scene: &Scene| {
            let scored = scene.score().map_err(|e| e.to_string());
            (
                scored.map(|scored| serde_json::to_value(scored).unwrap()),
                scene.path("model/score.json").exists(),
            )
        };
        let expected = alone(&scene);
        let _ = fs::remove_file(scene.path("model/score.json"));
        spread(&mut scene, &more, Restless::new(300, 3, 1));
        assert_eq!(alone(&scene), expected, "{name}");
    }
    // Without test data it is said as everywhere.
    let mut scene = trained(&more, &[], &mut random);
    let expected = scene.score().unwrap_err().to_string();
    spread(&mut scene, &more, Restless::new(300, 3, 1));
    assert_eq!(scene.score().unwrap_err().to_string(), expected);
}
