//! The program `scoring` from outside: options, streams, exit codes, files. Not for how a figure is computed.

use mlops_testkit::binary::Binary;
use mlops_testkit::binary::golden::{Transcript, config_with};
use mlops_testkit::binary::scene::{HEADER, Scene};

const SCORING: Binary = Binary { name: "scoring", path: env!("CARGO_BIN_EXE_scoring") };

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    SCORING.explains_itself();
    SCORING.refuses_wrong_usage();
}

#[test]
fn it_gives_way_to_another_run() {
    SCORING.gives_way(&Scene::trained());
}

#[test]
fn it_prints_text_or_json_or_nothing() {
    SCORING.speaks(Scene::trained);
}

#[test]
fn it_finds_its_configuration_from_anywhere() {
    SCORING.finds_its_configuration(Scene::trained);
}

#[test]
fn without_a_model_it_says_what_to_run_first() {
    SCORING.fails(&Scene::ingested(), "run `training` first");
}

#[test]
fn the_bare_score_is_the_one_in_json() {
    let scene = Scene::trained();
    let report = SCORING.run(scene.root(), &["--json"]).ends_with(0).json();
    let bare: f64 = scene.read("model/latestscore.txt").trim().parse().unwrap_or(f64::NAN);
    assert_eq!(report["f1"].as_f64(), Some(bare), "{report:#}");
    assert!(scene.path("model/score.json").is_file());
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_standard_output_is_no_crash() {
    SCORING.bears_a_broken_standard_output(Scene::trained);
}

#[test]
fn common_mistakes_are_reported_in_these_words() {
    let mut told = Transcript::default();
    told.run("There is no model", SCORING, &Scene::ingested(), &[]);
    let scene = Scene::trained();
    scene.file("test/test.csv", HEADER);
    told.run("The test data have no row", SCORING, &scene, &[]);
    let scene = Scene::trained();
    scene.file("config.json", config_with("").replace("\"test\"", "\"tests\""));
    told.run("There is no folder of test data", SCORING, &scene, &[]);
    let scene = Scene::trained();
    scene.file("model/trainedmodel.bin", "this is not a model");
    told.run("The model is damaged", SCORING, &scene, &[]);
    told.compare("scoring-mistakes");
}

#[test]
fn hostile_content_never_breaks_the_output() {
    SCORING.survives_hostile_content(&Scene::hostile(), &[]);
}
