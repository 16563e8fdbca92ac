//! The program `reporting` from outside: options, streams, exit codes, files. Not for how a picture looks.

use std::path::Path;

use mlops_testkit::binary::Binary;
use mlops_testkit::binary::golden::{self, Transcript, text_of_page};
use mlops_testkit::binary::scene::Scene;

const REPORTING: Binary = Binary { name: "reporting", path: env!("CARGO_BIN_EXE_reporting") };

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    REPORTING.explains_itself();
    REPORTING.refuses_wrong_usage();
}

#[test]
fn it_gives_way_to_another_run() {
    REPORTING.gives_way(&Scene::deployed());
}

#[test]
fn it_prints_text_or_json_or_nothing() {
    REPORTING.speaks(Scene::deployed);
}

#[test]
fn it_finds_its_configuration_from_anywhere() {
    REPORTING.finds_its_configuration(Scene::deployed);
}

#[test]
fn without_a_model_it_says_what_to_run_first() {
    REPORTING.fails(&Scene::ingested(), "run `training` first");
}

#[test]
fn the_page_and_every_picture_are_there_and_nothing_else() {
    let scene = Scene::deployed();
    let before = scene.files();
    REPORTING.run(scene.root(), &["--quiet"]).ends_with(0);
    let mut after = scene.files();
    assert!(after.remove(Path::new("model/report.html")).is_some_and(|b| b.len() > 10_000));
    assert!(after.remove(Path::new("model/report.pdf")).is_some_and(|b| b.starts_with(b"%PDF-")));
    for name in [
        "confusionmatrix",
        "roc",
        "precision_recall",
        "gain",
        "thresholds",
        "calibration",
        "coefficients",
        "trend",
        "score_distribution",
    ] {
        let png = after.remove(Path::new(&format!("model/{name}.png"))).unwrap_or_default();
        assert!(png.starts_with(b"\x89PNG"), "{name}");
        let svg = after.remove(Path::new(&format!("model/{name}.svg"))).unwrap_or_default();
        assert!(svg.starts_with(b"<svg") || svg.starts_with(b"<?xml"), "{name}");
    }
    assert!(before == after);
}

#[test]
fn the_page_says_which_rows_a_small_test_rests_on() {
    let scene = Scene::deployed();
    REPORTING.run(scene.root(), &["--quiet"]).ends_with(0);
    let page = scene.read("model/report.html");
    assert!(page.contains("a test needs 100 rows and 10 of each class"), "{page}");
    // What the score's file says, the page says: one rule, one meaning.
    let score = scene.read("model/score.json");
    let score: serde_json::Value = serde_json::from_str(&score).unwrap();
    let poor = page.contains("Always giving the same answer would do as well or better");
    assert_eq!(score["beats_constant"], serde_json::json!(!poor), "{score:#}");
}

#[test]
fn mistakes_and_the_page_are_told_in_these_words() {
    let mut told = Transcript::default();
    told.run("There is no model", REPORTING, &Scene::ingested(), &[]);
    told.compare("reporting-mistakes");
    let scene = Scene::deployed();
    REPORTING.run(scene.root(), &["--quiet"]).ends_with(0);
    let page = text_of_page(&scene.read("model/report.html"));
    golden::compare("reporting-page", &golden::stable(&page, scene.root()));
}

#[test]
fn hostile_content_never_breaks_the_output() {
    REPORTING.survives_hostile_content(&Scene::hostile(), &[]);
}
