//! Rows that look alike: with an id they are the same row again, without one they are different
//! things. It must not matter in how many steps, with how much memory and with which index.

use mlops_core::stage::ingest;
use mlops_testkit::{Random, Scene};
use serde_json::{Value, json};

fn without_id(more: &Value) -> Scene {
    let mut keys = json!({"schema": {"numeric": ["age"], "categorical": ["sex"], "target": "y"}});
    for (key, value) in more.as_object().unwrap() {
        keys[key] = value.clone();
    }
    Scene::with(&keys)
}

/// Rows of which many are alike.
fn people(seed: u64, rows: usize) -> String {
    let mut random = Random(seed);
    let row = |_| {
        let (age, sex) = (20 + random.below(20), ["f", "m"][random.below(2)]);
        format!("{age},{sex},{}\n", random.below(2))
    };
    "age,sex,y\n".to_owned() + &(0..rows).map(row).collect::<String>()
}

#[test]
fn without_an_id_every_row_is_kept_in_one_step_or_many_or_rebuilt() {
    let all: Vec<String> = (0..4).map(|seed| people(seed, 400)).collect();
    let bodies = all.iter().map(|text| text.split_once('\n').unwrap().1);
    let expected = "age,sex,y\n".to_owned() + &bodies.collect::<String>();

    let once = without_id(&json!({}));
    for (n, text) in all.iter().enumerate() {
        once.file(&format!("in/{n}.csv"), text);
    }
    let report = once.ingest().unwrap();
    assert_eq!((report.rows, report.files[3].counts.duplicates()), (1600, 0));
    assert!(once.read("out/finaldata4.csv") == expected);
    assert_eq!(once.train().unwrap().data.rows, 1600);

    let steps = without_id(&json!({}));
    for (n, text) in all.iter().enumerate() {
        steps.file(&format!("in/{n}.csv"), text);
        assert_eq!(steps.ingest().unwrap().rows, 400 * (n as u64 + 1));
    }
    assert!(steps.read("out/finaldata4.csv") == expected);
    let rebuild = ingest::Options { rebuild: true, ..ingest::Options::default() };
    assert_eq!(steps.ingest_with(rebuild).unwrap().rows, 1600);
    assert!(steps.read("out/finaldata8.csv") == expected);

    let short = without_id(&json!({"limits": {"memory_mib": 32}}));
    for (n, text) in all.iter().enumerate() {
        short.file(&format!("in/{n}.csv"), text);
    }
    assert_eq!(short.ingest().unwrap().rows, 1600);
    assert!(short.read("out/finaldata4.csv") == expected);
}

#[test]
fn the_configuration_may_say_otherwise() {
    let text = people(1, 400);
    let distinct: std::collections::BTreeSet<&str> = text.lines().skip(1).collect();
    let dropping = without_id(&json!({"ingestion": {"duplicates": "drop"}}));
    dropping.file("in/a.csv", &text);
    let report = dropping.ingest().unwrap();
    assert_eq!(report.rows, distinct.len() as u64);
    assert_eq!(report.files[0].counts.duplicates_within, 400 - report.rows);

    let keeping = Scene::with(&json!({"ingestion": {"duplicates": "keep"}}));
    keeping.rows("in/a.csv", "a,1,2,3,1\na,1,2,3,1\n");
    keeping.ingest().unwrap();
    keeping.rows("in/b.csv", "a,1,2,3,1\nb,1,2,3,1\n");
    assert_eq!(keeping.ingest().unwrap().rows, 4);
}

#[test]
fn a_test_file_that_was_cut_from_the_training_data_takes_its_rows_and_look_alikes_take_none() {
    // Rows that nearly all differ: 60 of them are test data, and 20 more are not from here.
    let scene = without_id(&json!({"schema": {"numeric": ["x", "z"], "target": "y"}}));
    let mut random = Random(3);
    let mut rows = |n: usize| -> Vec<String> {
        let mut cell = || random.below(5000);
        (0..n).map(|i| format!("{},{},{}\n", cell(), cell(), i % 2)).collect()
    };
    let (all, other) = (rows(600), rows(20));
    scene.file("in/a.csv", "x,z,y\n".to_owned() + &all.concat());
    scene.ingest().unwrap();
    assert_eq!(scene.train().unwrap().data.rows, 600);
    scene.file("test/t.csv", "x,z,y\n".to_owned() + &all[100..160].concat() + &other.concat());
    // The model that was trained before knows 60 of them.
    let score = scene.score().unwrap();
    assert_eq!((score.evaluation.n, score.left_out), (20, 60));
    let trained = scene.train().unwrap();
    assert_eq!((trained.data.rows, trained.data.held_out), (540, 60));
    let said = trained.notes.join("\n");
    assert!(said.contains("60 of the 80 rows of t.csv equal training rows"), "{said}");
    assert_eq!(scene.score().unwrap().evaluation.n, 80);

    // Rows of few kinds always look alike.
    let scene = without_id(&json!({}));
    scene.file("in/a.csv", people(1, 400));
    scene.file("test/t.csv", people(2, 100));
    scene.ingest().unwrap();
    let trained = scene.train().unwrap();
    assert_eq!((trained.data.rows, trained.data.held_out), (400, 0), "{:?}", trained.notes);
}

#[test]
fn a_refused_file_leaves_nothing_among_rows_that_are_all_kept() {
    let scene = without_id(&json!({}));
    scene.file("in/a.csv", people(1, 50));
    scene.file("in/b.csv", people(2, 50).replace(",f,", ",f,x,"));
    scene.file("in/c.csv", people(3, 50));
    let report = scene.ingest().unwrap();
    assert_eq!((report.rows, report.new_failures), (100, true));
    let body = |seed| people(seed, 50).split_once('\n').unwrap().1.to_owned();
    assert_eq!(scene.read("out/finaldata2.csv"), format!("age,sex,y\n{}{}", body(1), body(3)));
}
