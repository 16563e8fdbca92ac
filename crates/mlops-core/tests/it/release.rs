//! Releases and the pointer to the live one: what a user finds there, and what may stand in the
//! way. Not for faults of the disk: see `recovery`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use mlops_core::stage::deploy;
use mlops_testkit::{Scene, sample_rows};
use serde_json::json;

/// A workspace with a scored model.
fn scored() -> Scene {
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(60, 1));
    scene.rows("test/testdata.csv", &sample_rows(40, 2));
    scene.ingest().unwrap();
    scene.train().unwrap();
    scene.score().unwrap();
    scene
}

fn refused(scene: &Scene) -> String {
    let before = scene.snapshot();
    let error = scene.deploy().unwrap_err().to_string();
    assert_eq!(scene.snapshot(), before, "a refusal changes nothing: {error}");
    error
}

#[test]
fn the_pointer_is_relative_and_its_paths_are_flat() {
    let scene = scored();
    let deployed = scene.deploy().unwrap();
    assert!(deployed.promoted && deployed.sealed && deployed.previous.is_none());
    let link = fs::read_link(scene.path("production_deployment")).unwrap();
    assert_eq!(link, Path::new("models").join(deployed.release.as_str()));
    let f1: f64 = scene.read("production_deployment/latestscore.txt").trim().parse().unwrap();
    assert_eq!(f1.to_bits(), deployed.f1.to_bits(), "the text round-trips");
    assert_eq!(scene.read("production_deployment/ingestedfiles.txt"), "a.csv\n");
    for name in ["trainedmodel.bin", "model.json", "score.json"] {
        let live = fs::read(scene.path("production_deployment").join(name)).unwrap();
        assert_eq!(live, fs::read(scene.path("model").join(name)).unwrap(), "{name}");
    }
    assert!(deployed.release.as_str().starts_with("r-1-"));
}

#[test]
fn deploying_twice_is_nothing_to_do() {
    let scene = scored();
    scene.deploy().unwrap();
    let before = scene.snapshot();
    let again = scene.deploy().unwrap();
    assert!(!again.promoted && !again.sealed && again.to_string().contains("Already live"));
    assert_eq!(scene.snapshot(), before);
    // The same model and score made again are the same release.
    scene.train().unwrap();
    scene.score().unwrap();
    assert!(!scene.deploy().unwrap().promoted);
    assert_eq!(scene.ledger().deployments().unwrap().len(), 1);
}

#[test]
fn a_new_model_is_a_new_release_and_the_old_one_stays() {
    let scene = scored();
    let first = scene.deploy().unwrap().release;
    scene.rows("in/b.csv", &sample_rows(60, 3));
    scene.everything().unwrap();
    let deployments = scene.ledger().deployments().unwrap();
    assert_eq!(deployments.len(), 2);
    assert_ne!(deployments[1].release, first);
    assert!(scene.path("models").join(first.as_str()).join("trainedmodel.bin").is_file());
    scene.context().unwrap().store().verify(&first).unwrap();
}

#[test]
fn an_empty_folder_at_the_pointer_is_replaced() {
    for keep in [false, true] {
        let scene = scored();
        fs::create_dir(scene.path("production_deployment")).unwrap();
        if keep {
            scene.file("production_deployment/.gitkeep", "");
        }
        scene.deploy().unwrap();
        assert!(scene.path("production_deployment").is_symlink());
    }
}

#[test]
fn a_real_folder_at_the_pointer_is_spared_until_it_is_adopted() {
    let scene = scored();
    scene.file("production_deployment/trainedmodel.sav", "theirs");
    let error = refused(&scene);
    assert!(error.contains("`deployment adopt`"), "{error}");
    let adopted = deploy::adopt(&scene.context().unwrap()).unwrap();
    assert_eq!(Path::new(&adopted.folder), scene.path("models/foreign-1"));
    assert_eq!(scene.read("models/foreign-1/trainedmodel.sav"), "theirs");
    let error = deploy::adopt(&scene.context().unwrap()).unwrap_err().to_string();
    assert!(error.contains("nothing to adopt"), "{error}");
    scene.deploy().unwrap();
    assert!(scene.path("production_deployment").is_symlink());
}

#[test]
fn a_foreign_link_or_file_at_the_pointer_is_spared() {
    let scene = scored();
    fs::create_dir(scene.path("theirs")).unwrap();
    symlink("theirs", scene.path("production_deployment")).unwrap();
    let error = refused(&scene);
    assert!(error.contains("theirs") && error.contains("remove the link"), "{error}");
    fs::remove_file(scene.path("production_deployment")).unwrap();
    scene.file("production_deployment", "a file");
    refused(&scene);
}

#[test]
fn a_damaged_release_is_noticed_and_says_how_to_get_out() {
    let scene = scored();
    let id = scene.deploy().unwrap().release;
    let file = format!("models/{id}/trainedmodel.bin");
    let mut bytes = fs::read(scene.path(&file)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    scene.file(&file, bytes);
    let context = scene.context().unwrap();
    let error = context.store().live_release().unwrap_err().to_string();
    assert!(error.contains("trainedmodel.bin is not the file that was sealed"), "{error}");
    assert!(error.contains("deploy the model again"), "{error}");
    let again = scene.deploy().unwrap();
    assert!(again.sealed && again.release == id);
    context.store().live_release().unwrap();
    assert!(scene.path("models/damaged-1/trainedmodel.bin").is_file(), "kept for a look");
}

#[test]
fn a_score_or_card_of_another_model_is_refused() {
    let scene = scored();
    scene.rows("in/b.csv", &sample_rows(30, 3));
    let card = scene.read("model/model.json");
    scene.ingest().unwrap();
    scene.train().unwrap();
    let error = refused(&scene);
    assert!(error.contains("run `scoring` again"), "{error}");
    scene.score().unwrap();
    scene.file("model/model.json", card);
    let error = refused(&scene);
    assert!(error.contains("belongs to another model"), "{error}");
}

#[test]
fn steps_out_of_order_say_which_comes_first() {
    let scene = Scene::new();
    for (error, advice) in [
        (scene.train().unwrap_err(), "run `ingestion` first"),
        (scene.score().unwrap_err(), "run `training` first"),
        (scene.deploy().unwrap_err(), "run `training` first"),
    ] {
        assert!(error.to_string().contains(advice), "{error}");
    }
    scene.rows("in/a.csv", &sample_rows(60, 1));
    scene.ingest().unwrap();
    scene.train().unwrap();
    let error = refused(&scene);
    assert!(error.contains("run `scoring` first"), "{error}");
}

#[test]
fn a_file_of_the_training_that_is_gone_is_named_with_the_step_that_makes_it() {
    for name in ["golden.json", "model.json"] {
        let scene = scored();
        std::fs::remove_file(scene.path(&format!("model/{name}"))).unwrap();
        let error = refused(&scene);
        assert!(error.contains(name), "{error}");
        assert!(error.contains("run `training` and `scoring` again"), "{error}");
    }
}

#[test]
fn a_score_of_an_older_kind_of_file_is_refused() {
    let scene = scored();
    scene.file("model/score.json", "{\"f1\": 0.5}");
    let error = refused(&scene);
    assert!(error.contains("score.json"), "{error}");
}

#[test]
fn the_bare_score_of_a_release_is_that_of_its_score() {
    let scene = scored();
    let f1 = scene.read("model/latestscore.txt");
    // As after a crash between the two files.
    scene.file("model/latestscore.txt", "0.123\n");
    scene.deploy().unwrap();
    assert_eq!(scene.read("production_deployment/latestscore.txt"), f1);
}

#[test]
fn releases_may_live_beside_the_candidate() {
    let scene = scored();
    let more = json!({"output_model_path": "models", "prod_deployment_path": "live/now/"});
    scene.configure(&json!({"output_model_path": "models", "models_path": "models",
        "prod_deployment_path": more["prod_deployment_path"]}));
    scene.file("models/notes.txt", "mine");
    scene.everything().unwrap();
    let link = fs::read_link(scene.path("live/now")).unwrap();
    assert!(link.starts_with("../models/"), "{}", link.display());
    assert!(scene.path("live/now/trainedmodel.bin").is_file());
    assert_eq!(scene.read("models/notes.txt"), "mine");
}
