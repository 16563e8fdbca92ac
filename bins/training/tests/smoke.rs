//! The program `training` from outside: options, streams, exit codes, files. Not for what a fit finds.

use std::path::Path;

use mlops_testkit::binary::Binary;
use mlops_testkit::binary::golden::{Transcript, config_with};
use mlops_testkit::binary::scene::{HEADER, Scene};

const TRAINING: Binary = Binary { name: "training", path: env!("CARGO_BIN_EXE_training") };

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    TRAINING.explains_itself();
    TRAINING.refuses_wrong_usage();
}

#[test]
fn it_gives_way_to_another_run() {
    TRAINING.gives_way(&Scene::ingested());
}

#[test]
fn it_prints_text_or_json_or_nothing() {
    TRAINING.speaks(Scene::ingested);
}

#[test]
fn it_finds_its_configuration_from_anywhere() {
    TRAINING.finds_its_configuration(Scene::ingested);
}

#[test]
fn without_data_it_says_what_to_run_first() {
    TRAINING.fails(&Scene::new(), "run `ingestion` first");
}

#[test]
fn the_same_data_give_the_same_files_and_the_same_figures_in_json() {
    let scene = Scene::ingested();
    let report = TRAINING.run(scene.root(), &["--json"]).ends_with(0).json();
    assert_eq!(report["card"]["coefficients"].as_array().map(Vec::len), Some(3), "{report:#}");
    let before = scene.files();
    for file in ["model/trainedmodel.bin", "model/model.json", "model/golden.json"] {
        assert!(before.contains_key(Path::new(file)), "{file}");
    }
    TRAINING.run(scene.root(), &["--quiet"]).ends_with(0);
    assert!(before == scene.files());
}

#[test]
fn common_mistakes_are_reported_in_these_words() {
    let mut told = Transcript::default();
    told.run("There is no data set", TRAINING, &Scene::new(), &[]);
    let scene = Scene::ingested();
    scene.file("config.json", config_with(", \"schema\": {\"id\": [\"corporation\"], \"numeric\": [\"age\"], \"target\": \"exited\"}"));
    told.run("The columns changed since", TRAINING, &scene, &[]);
    let scene = Scene::new();
    let one_class = scene
        .read("in/a.csv")
        .lines()
        .filter(|l| !l.ends_with(",1"))
        .fold(String::new(), |t, l| t + l + "\n");
    scene.file("in/a.csv", one_class);
    scene.file("in/b.csv", HEADER);
    scene.ingest();
    told.run("All rows have the same label", TRAINING, &scene, &[]);
    let scene = Scene::ingested();
    scene.file("out/finaldata2.csv", "corporation,oh\n");
    told.run("The data set was changed by hand", TRAINING, &scene, &[]);
    told.compare("training-mistakes");
}

#[test]
fn hostile_content_never_breaks_the_output() {
    TRAINING.survives_hostile_content(&Scene::hostile(), &[]);
}
