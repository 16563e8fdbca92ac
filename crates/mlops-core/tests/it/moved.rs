//! Workspaces that were copied, moved, restored from a backup, or stand beside others.

use std::fs;
use std::os::unix::fs::symlink;

use mlops_core::platform::disk::Disk;
use mlops_core::platform::lock::Lock;
use mlops_core::release::NOT_BLESSED;
use mlops_core::run::context::Rehearsal;
use mlops_core::stage::{self, ingest};
use mlops_testkit::folder::copy;
use mlops_testkit::{Scene, sample_rows};
use serde_json::json;

fn scene() -> Scene {
    let scene = Scene::with(&json!({"retention": {"keep_releases": 2, "keep_datasets": 2}}));
    scene.rows("in/a.csv", &sample_rows(40, 1));
    scene.rows("in/b.csv", &sample_rows(40, 2));
    scene.rows("test/t.csv", &sample_rows(60, 90));
    scene.everything().unwrap();
    scene
}

#[test]
fn a_copy_lives_on_and_touches_nothing_of_the_original() {
    let original = scene();
    let before = original.snapshot();
    let moved = Scene::new();
    copy(original.root(), moved.root());
    let ledger = moved.ledger();
    for dataset in ledger.datasets().unwrap() {
        assert!(dataset.location.starts_with(moved.root()), "{}", dataset.location.display());
    }
    assert!(ledger.files().unwrap().iter().all(|f| f.location.as_str().starts_with("in/")));
    drop(ledger);
    for i in 3..7 {
        moved.rows(&format!("in/{i}.csv"), &sample_rows(30, i));
        moved.everything().unwrap();
    }
    assert!(!moved.path("out/finaldata2.csv").is_file(), "retention has worked");
    assert!(original.snapshot() == before);
    // The source files are known as they were.
    assert_eq!(moved.ingest().unwrap().unchanged, 6);
}

#[test]
fn a_newest_data_set_that_is_gone_is_made_again_or_the_way_out_is_named() {
    let scene = scene();
    scene.rows("in/c.csv", &sample_rows(40, 3));
    scene.ingest().unwrap();
    let newest = scene.ledger().latest_dataset().unwrap().unwrap();
    let bytes = fs::read(&newest.location).unwrap();
    fs::remove_file(&newest.location).unwrap();
    // A source that lies elsewhere now is found by its content.
    fs::rename(scene.path("in/a.csv"), scene.path("in/renamed.csv")).unwrap();
    let report = scene.ingest().unwrap();
    assert!(report.warnings.iter().any(|w| w.contains("byte for byte")), "{report}");
    assert!(fs::read(&newest.location).unwrap() == bytes);

    fs::remove_file(&newest.location).unwrap();
    fs::remove_file(scene.path("in/b.csv")).unwrap();
    let error = scene.ingest().unwrap_err().to_string();
    for part in ["in/b.csv", "--rebuild", "cannot be made again"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(!newest.location.is_file());
}

#[test]
fn a_ledger_that_is_lost_is_said_and_nothing_is_mixed() {
    for empty in [false, true] {
        let scene = scene();
        let ledger = scene.path("out/ledger.sqlite");
        fs::remove_file(&ledger).unwrap();
        if empty {
            fs::write(&ledger, "").unwrap();
        }
        let before = scene.snapshot();
        let error = scene.ingest().unwrap_err().to_string();
        let state = if empty { "is empty" } else { "is not there" };
        assert!(error.contains(state) && error.contains("Restore it"), "{error}");
        // Who only reads must not say that nothing was ever deployed or rejected.
        let context = scene.context().unwrap();
        for error in [
            stage::history::run(&context).map(drop).unwrap_err(),
            stage::sources::list(&context).map(drop).unwrap_err(),
            stage::approve::pending(&context).map(drop).unwrap_err(),
            Rehearsal::of(&context).map(drop).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(error.contains(state) && error.contains("Restore it"), "{error}");
        }
        assert!(scene.snapshot() == before);
    }
}

#[test]
fn a_lock_that_is_a_link_harms_nobody() {
    let scene = scene();
    fs::remove_file(scene.path("out/run.lock")).unwrap();
    scene.file("thesis.txt", "years of work");
    symlink("../thesis.txt", scene.path("out/run.lock")).unwrap();
    assert!(scene.ingest().unwrap_err().to_string().contains("is a link"));
    assert_eq!(scene.read("thesis.txt"), "years of work");
}

#[test]
fn neighbours_remove_no_release_that_another_one_names_or_keeps() {
    let parent = Scene::new();
    let workspace = |name: &str, models: Option<&str>| {
        let mut config = json!({
            "input_folder_path": format!("{name}/in"), "output_folder_path": format!("{name}/out"),
            "test_data_path": "test", "output_model_path": format!("{name}/model"),
            "prod_deployment_path": format!("live-{name}"),
            "retention": {"keep_releases": 1}
        });
        if let Some(models) = models {
            config["models_path"] = models.into();
        }
        parent.file("config.json", config.to_string());
    };
    parent.rows("test/t.csv", &sample_rows(60, 90));
    // The same data in both: the releases have the same names.
    let grow = |name: &str, i: u64| {
        parent.rows(&format!("{name}/in/{i}.csv"), &sample_rows(40, i));
        let context = parent.context().unwrap();
        let folder = context.config.input_folder.clone();
        let folder = folder.strip_prefix(parent.root()).unwrap().to_str().unwrap().to_owned();
        parent.ingest_from(&folder, ingest::Options::default())?;
        parent.train()?;
        parent.score()?;
        parent.deploy().map(|deployed| deployed.release)
    };
    workspace("a", Some("models"));
    let first = grow("a", 1).unwrap();
    // A new workspace does not take the folder of another one for its default.
    workspace("b", None);
    let error = grow("b", 1).unwrap_err().to_string();
    assert!(error.contains("models_path") && error.contains("live-a"), "{error}");
    // Whoever names it shares it.
    workspace("b", Some("models"));
    assert_eq!(grow("b", 1).unwrap(), first);
    workspace("a", Some("models"));
    for i in 2..6 {
        grow("a", i).unwrap();
    }
    assert!(parent.path("models").join(first.as_str()).is_dir(), "b's live release is gone");
    workspace("b", None);
    let context = parent.context().unwrap();
    assert_eq!(context.store().live_release().unwrap().id, first);
    drop(context.open("goes on with its default").unwrap());
}

#[test]
fn a_refused_release_that_goes_live_does_not_say_so() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(80, 1));
    scene.rows("test/t.csv", &sample_rows(60, 90));
    scene.ingest().unwrap();
    scene.train().unwrap();
    scene.score().unwrap();
    let context = scene.context().unwrap();
    let candidate = mlops_core::stage::deploy::Candidate::read(&context).unwrap();
    let id = candidate.id.clone();
    let folder = context.store().folder(&id);
    candidate
        .judged(false, &vec!["refused: worse".to_owned()].into())
        .seal(&context, &scene.ledger())
        .unwrap();
    assert!(folder.join(NOT_BLESSED).is_file());
    scene.deploy().unwrap();
    assert!(!folder.join(NOT_BLESSED).exists());
    assert_eq!(context.store().live_release().unwrap().id, id);
}

#[test]
fn a_file_at_work_outlives_the_start_of_another_run() {
    let scene = scene();
    let mut at_work = Disk::default().new_file(&scene.path("out/joined.csv")).unwrap();
    at_work.write_all(b"a,_merge\n").unwrap();
    scene.file("out/.mlops-abandoned.tmp", "half");
    scene.ingest().unwrap();
    assert!(!scene.path("out/.mlops-abandoned.tmp").exists());
    at_work.publish(false).unwrap();
    assert_eq!(scene.read("out/joined.csv"), "a,_merge\n");
    Lock::acquire(&Disk::default(), &scene.path("out/run.lock"), "free").unwrap();
}

#[test]
fn rows_read_by_the_rules_of_an_earlier_version_are_mentioned_once() {
    let scene = scene();
    let ledger = rusqlite::Connection::open(scene.path("out/ledger.sqlite")).unwrap();
    // Versions before this one kept no rules.
    let gone = ledger.execute("DELETE FROM meta WHERE key = 'ingestion_meaning'", []).unwrap();
    assert_eq!(gone, 1);
    drop(ledger);
    let said = |name: &str, seed| {
        scene.rows(&format!("in/{name}.csv"), &sample_rows(40, seed));
        scene.ingest().unwrap().warnings.iter().filter(|w| w.contains("earlier version")).count()
    };
    assert_eq!([said("c", 3), said("d", 4)], [1, 0]);
}
