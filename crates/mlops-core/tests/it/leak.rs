//! Rows that a model knows tell nothing about it: they are left out of its score, and counted.

use std::fs;

use mlops_testkit::{Scene, sample_rows};
use serde_json::json;

#[test]
fn test_rows_known_at_training_are_held_out_whatever_their_spelling() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &(sample_rows(60, 1) + &sample_rows(5, 9)));
    let spelt = sample_rows(5, 9).lines().map(|l| format!(" {l}.0\r\n")).collect::<String>();
    scene.rows("test/testdata.csv", &(spelt + &sample_rows(40, 2)));
    scene.ingest().unwrap();
    let data = scene.train().unwrap().data;
    assert_eq!((data.rows, data.held_out), (60, 5));
    let score = scene.score().unwrap();
    assert_eq!((score.evaluation.n, score.left_out), (45, 0));
}

#[test]
fn rows_of_a_test_file_added_later_are_left_out_and_counted() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(60, 1));
    scene.rows("test/testdata.csv", &sample_rows(40, 2));
    scene.ingest().unwrap();
    scene.train().unwrap();
    assert_eq!(scene.score().unwrap().left_out, 0);
    // Seven of these rows were trained on; one of them comes twice.
    let known = sample_rows(60, 1).lines().take(7).map(|l| format!("{l}\n")).collect::<String>();
    let first = known.lines().next().unwrap().replace(',', " , ") + "\n";
    scene.rows("test/more.csv", &(known + &first + &sample_rows(20, 3)));
    let score = scene.score().unwrap();
    assert_eq!((score.evaluation.n, score.left_out), (60, 8));
    assert!(score.to_string().contains("8 test rows left out: the model was trained on them"));
    assert_eq!(scene.read("out/test_files.txt"), "more.csv\ntestdata.csv\n");
    // Trained again, the model does not know them.
    assert_eq!(scene.train().unwrap().data.held_out, 7);
    let score = scene.score().unwrap();
    assert_eq!((score.evaluation.n, score.left_out), (68, 0));
    assert_eq!(scene.ledger().test_sets().unwrap().len(), 2);
}

#[test]
fn test_data_that_the_model_knows_entirely_are_an_error() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(60, 1));
    scene.ingest().unwrap();
    scene.train().unwrap();
    fs::copy(scene.path("in/a.csv"), scene.path("test/testdata.csv")).unwrap();
    let error = scene.score().unwrap_err().to_string();
    assert!(error.contains("no row to score") && error.contains("60 trained on"), "{error}");
}

#[test]
fn without_the_data_set_leaks_cannot_be_ruled_out() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(60, 1));
    scene.ingest().unwrap();
    scene.train().unwrap();
    scene.rows("test/testdata.csv", &sample_rows(40, 2));
    scene.rows("out/finaldata1.csv", &sample_rows(59, 1));
    let error = scene.score().unwrap_err().to_string();
    assert!(error.contains("finaldata1.csv"), "{error}");
    fs::remove_file(scene.path("out/finaldata1.csv")).unwrap();
    let error = scene.score().unwrap_err().to_string();
    assert!(error.contains("finaldata1.csv"), "{error}");
}

#[test]
fn the_newest_batch_is_scored_and_every_batch_is_held_out() {
    let scene = Scene::with(&json!({"holdout": {"min_rows": 30}}));
    scene.rows("in/a.csv", &(sample_rows(60, 1) + &sample_rows(3, 2) + &sample_rows(3, 4)));
    scene.rows("test/testdata.csv", &sample_rows(40, 2));
    scene.rows("test/testdata_new3.csv", &sample_rows(35, 4));
    scene.ingest().unwrap();
    assert_eq!(scene.train().unwrap().data.held_out, 6);
    let score = scene.score().unwrap();
    assert_eq!(score.evaluation.n, 35);
    assert_eq!(score.test_files.keys().collect::<Vec<_>>(), ["testdata_new3.csv"]);
}

#[test]
fn a_small_newest_batch_takes_in_older_test_rows_and_says_so() {
    let scene = Scene::with(&json!({"holdout": {"min_rows": 100}}));
    scene.rows("in/a.csv", &sample_rows(60, 1));
    scene.rows("test/testdata.csv", &sample_rows(90, 2));
    scene.rows("test/testdata_new.csv", &sample_rows(40, 5));
    scene.rows("test/testdata_new2.csv", &sample_rows(30, 3));
    let rows = sample_rows(400, 4);
    let positives = rows.lines().filter(|l| l.ends_with(",1")).take(18);
    scene.rows("test/testdata_new3.csv", &positives.map(|l| format!("{l}\n")).collect::<String>());
    scene.ingest().unwrap();
    scene.train().unwrap();
    let score = scene.score().unwrap();
    // The second hold-out does not make a hundred; a name without a number is the user's file.
    assert_eq!(score.evaluation.n, 18 + 30 + 130);
    assert_eq!(score.test_files.len(), 4);
    assert_eq!(
        score.notes[0],
        format!(
            "testdata_new3.csv has 18 rows (18 positive, 0 negative), but a test needs 100 rows and \
             10 of each class: the test also uses testdata_new2.csv, testdata.csv, testdata_new.csv, 178 \
             rows ({} positive, {} negative) together",
            score.evaluation.positives,
            178 - score.evaluation.positives
        )
    );
    assert!(score.to_string().contains("note: testdata_new3.csv has 18 rows"), "{score}");
    // With enough rows of both classes the newest serves alone.
    scene.configure(&json!({"holdout": {"min_rows": 30}}));
    scene.rows("test/testdata_new4.csv", &sample_rows(50, 6));
    scene.train().unwrap();
    let score = scene.score().unwrap();
    assert_eq!((score.evaluation.n, score.notes.len()), (50, 0));
}
