//! The program `ingestion` from outside: options, streams, exit codes, files. Not for what happens inside a CSV file.

#[path = "../../../crates/mlops-runtime/tests/binary/mod.rs"]
mod binary;

use binary::Binary;
use binary::scene::Scene;

const INGESTION: Binary = Binary { name: "ingestion", path: env!("CARGO_BIN_EXE_ingestion") };

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    INGESTION.explains_itself();
    INGESTION.refuses_wrong_usage();
}

#[test]
fn it_gives_way_to_another_run() {
    INGESTION.gives_way(&Scene::new());
}

#[test]
fn it_speaks_to_people_to_programs_or_not_at_all() {
    INGESTION.speaks(Scene::new);
}

#[test]
fn it_finds_its_configuration_from_anywhere() {
    INGESTION.finds_its_configuration(Scene::new);
}

#[test]
fn a_missing_folder_and_an_empty_one_are_not_the_same() {
    let scene = Scene::new();
    std::fs::remove_dir_all(scene.path("in")).unwrap();
    INGESTION.fails(&scene, "there is no folder");
    std::fs::create_dir(scene.path("in")).unwrap();
    let empty = INGESTION.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(empty.stdout.contains("No CSV file in"), "{empty:#?}");
}

#[test]
fn files_become_a_version_and_a_second_run_changes_nothing() {
    let scene = Scene::new();
    let first = INGESTION.run(scene.root(), &["--json"]).ends_with(0).json();
    assert_eq!((&first["rows"], &first["new_version"]), (&80.into(), &true.into()));
    assert_eq!(scene.read("out/finaldata2.csv").lines().count(), 81);
    assert!(scene.read("out/ingestedfiles.txt").contains("a.csv"));
    let before = scene.snapshot();
    let second = INGESTION.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(second.stdout.contains("Nothing new"), "{second:#?}");
    assert!(before == scene.snapshot());
}

#[test]
fn a_bad_file_ends_with_1_once_and_the_others_go_in() {
    let scene = Scene::new();
    scene.file("in/c.csv", "corporation;exited\nx;1\n");
    let first = INGESTION.run(scene.root(), &[] as &[&str]).ends_with(1);
    assert!(first.stdout.contains("FAILED") && first.stdout.contains("80 rows"), "{first:#?}");
    let again = INGESTION.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(again.stderr.contains("c.csv failed before"), "{again:#?}");
    let retried = INGESTION.run(scene.root(), &["--retry", "--json"]);
    assert_eq!(retried.json()["files"][0]["name"], "c.csv");
    let rebuilt = INGESTION.run(scene.root(), &["--rebuild", "--json"]).json();
    assert_eq!((&rebuilt["rows"], &rebuilt["version"]), (&80.into(), &4.into()), "{rebuilt:#}");
}

#[test]
fn it_keeps_its_countenance_whatever_stands_in_files() {
    INGESTION.keeps_its_countenance(&Scene::hostile(), &["--retry"]);
}
