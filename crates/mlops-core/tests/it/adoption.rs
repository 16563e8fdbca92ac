//! What ten scripts left behind, taken over without touching it. Not for our own files.

use std::fs;

use mlops_core::Result;
use mlops_core::ids::Step;
use mlops_core::ledger::FileStatus;
use mlops_core::platform::disk::Disk;
use mlops_core::run::context::{Context, Workspace};
use mlops_core::stage::ingest;
use mlops_core::stage::ingest::report::Ingested;
use mlops_core::stage::{adopt, deploy};
use mlops_testkit::{Dead, Fault, HEADER, Scene, sample_rows};
use serde_json::json;

/// A folder in which scripts worked: `a` and `c` ingested, `gone` too and deleted since.
fn theirs() -> Scene {
    let scene = Scene::with(&json!({"source_folder_path": "source"}));
    let (a, c, gone) = (sample_rows(20, 1), sample_rows(15, 2), sample_rows(10, 3));
    scene.rows("in/a.csv", &a);
    scene.rows("in/new.csv", &sample_rows(5, 4));
    // Two more rows came after the scripts had read it.
    scene.rows("source/c.csv", &(c.clone() + &sample_rows(2, 5)));
    scene.rows("test/testdata.csv", &sample_rows(30, 9));
    scene.rows("out/finaldata.csv", &(a + &c + &gone));
    // Without a newline at its end, as scripts write it.
    scene.file("out/ingestedfiles.txt", "a.csv\nc.csv\ngone.csv");
    scene
}

fn adopt(scene: &Scene) -> Result<Ingested> {
    scene.step(Step::AdoptData, adopt::run)
}

fn statuses(scene: &Scene) -> Vec<(String, FileStatus, Option<u32>)> {
    let files = scene.ledger().files().unwrap().into_iter();
    files.map(|f| (f.name, f.status, f.dataset.map(|d| d.0))).collect()
}

#[test]
fn a_data_set_of_scripts_becomes_the_first_version() {
    let scene = theirs();
    let (data, list) = (scene.read("out/finaldata.csv"), scene.read("out/ingestedfiles.txt"));
    let adopted = adopt(&scene).unwrap();
    assert_eq!((adopted.version.unwrap().0, adopted.rows), (1, 45));
    let text = crate::texts(&adopted.warnings);
    assert!(text.contains("2 of its rows are not in finaldata.csv"), "{text}");
    assert!(text.contains("1 file not there any more (gone.csv)"), "{text}");
    let expected = [
        ("finaldata.csv".to_owned(), FileStatus::Adopted, Some(1)),
        ("a.csv".to_owned(), FileStatus::Adopted, Some(1)),
    ];
    assert_eq!(statuses(&scene), expected);
    assert_eq!(scene.read("out/finaldata.csv"), data);
    assert_eq!(scene.read("out/finaldata1.csv"), data);
    assert_eq!(scene.read("out/ingestedfiles.txt"), list);

    let before = scene.snapshot();
    let again = adopt(&scene).unwrap();
    assert!(again.files.is_empty() && again.unchanged == 1 && again.version.unwrap().0 == 1);
    assert_eq!(scene.snapshot(), before);

    // What was ingested does not count again; what is new does.
    let next = scene.ingest().unwrap();
    assert_eq!((next.version.unwrap().0, next.new_rows, next.unchanged), (2, 5, 1));
    let next = scene.ingest_from("source", ingest::Options::default()).unwrap();
    assert_eq!((next.version.unwrap().0, next.new_rows), (3, 2));
    assert_eq!(next.files[0].counts.duplicates_across, 15);
    assert_eq!(scene.read("out/finaldata.csv"), data);
    assert_eq!(scene.read("out/ingestedfiles.txt"), list + "\nnew.csv\n");
    assert!(!scene.ingest().unwrap().new_version);
    scene.train().unwrap();
    scene.score().unwrap();
    // Of so few rows no model learns more than a constant answer: a person takes it all the same.
    let refused = scene.deploy().unwrap_err().to_string();
    assert!(refused.contains("does not beat a constant answer"), "{refused}");
    let leave = deploy::Leave { accept: true, ..deploy::Leave::default() };
    let accept =
        |c: &Context, w: &mut Workspace| deploy::with(c, w, Step::Deployment, "mine", leave);
    scene.step(Step::Deployment, accept).unwrap();
    assert!(scene.read("production_deployment/ingestedfiles.txt").contains("gone.csv"));
}

#[test]
fn the_first_ingestion_does_not_pass_over_what_scripts_left() {
    for gone in ["ingestedfiles.txt", "finaldata.csv", ""] {
        let scene = theirs();
        if !gone.is_empty() {
            fs::remove_file(scene.path("out").join(gone)).unwrap();
        }
        let before = scene.snapshot();
        let error = scene.ingest().unwrap_err().to_string();
        assert!(error.contains("Run `ingestion --adopt`"), "{error}");
        assert_eq!(scene.snapshot(), before, "their list is not overwritten");
    }
}

#[test]
fn lists_of_other_kinds_and_none_at_all_are_fine() {
    for list in [None, Some("['in/a.csv', 'source/c.csv']\n"), Some("")] {
        let scene = theirs();
        fs::remove_file(scene.path("out/ingestedfiles.txt")).unwrap();
        if let Some(list) = list {
            scene.file("out/ingestedfiles.txt", list);
        }
        assert_eq!(adopt(&scene).unwrap().rows, 45);
        let known = list.is_some_and(|l| l.contains("a.csv"));
        assert_eq!(statuses(&scene).len(), 1 + usize::from(known));
        if let Some(list) = list.filter(|l| !l.is_empty()) {
            assert_eq!(scene.read("out/ingestedfiles.txt"), list);
        }
        let next = scene.ingest().unwrap();
        assert_eq!(next.new_rows, 5, "rows never count twice");
    }
}

#[test]
fn bad_rows_of_theirs_are_quarantined_and_their_sources_looked_at_again() {
    let scene = theirs();
    let (a, data) = (scene.read("in/a.csv"), scene.read("out/finaldata.csv"));
    scene.file("in/a.csv", a + "x,1,2,3,maybe\n");
    scene.file("out/finaldata.csv", data + "x,1,2,3,maybe\n");
    let adopted = adopt(&scene).unwrap();
    assert_eq!((adopted.rows, adopted.files.len()), (45, 1));
    assert!(scene.read("out/quarantine1.csv").contains("maybe"));
    assert_eq!(scene.ledger().datasets().unwrap()[0].quarantined, 1);
    let next = scene.ingest().unwrap();
    assert_eq!(next.files[0].counts.quarantined, 1, "no bad row passes unseen");
    assert_eq!(next.new_rows, 5);
}

#[test]
fn what_cannot_be_adopted_says_why() {
    let refused = |scene: &Scene, part: &str| {
        let before = scene.snapshot();
        let error = adopt(scene).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert_eq!(scene.snapshot(), before, "{error}");
    };
    let scene = theirs();
    fs::remove_file(scene.path("out/finaldata.csv")).unwrap();
    refused(&scene, "nothing to adopt");
    scene.file("out/finaldata.csv", HEADER);
    refused(&scene, "no data rows");
    scene.file("out/finaldata.csv", "other,columns\n1,2\n");
    refused(&scene, "finaldata.csv");
    scene.file("out/finaldata.csv", HEADER.to_owned() + "x,1,2,3,maybe\ny,1,2,3,1\n");
    refused(&scene, "max_rejected_share");
    let scene = theirs();
    scene.file("out/finaldata1.csv", "theirs too");
    refused(&scene, "in the way");
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(20, 1));
    scene.ingest().unwrap();
    scene.rows("out/finaldata.csv", &sample_rows(20, 1));
    refused(&scene, "has a data set of its own");
    assert!(!scene.ingest().unwrap().new_version, "an own workspace goes on as before");
}

#[test]
fn an_adoption_that_dies_at_any_step_is_made_again() {
    let mut scene = theirs();
    let counter = Fault::never();
    scene.disk = counter.disk();
    adopt(&scene).unwrap();
    let expected = (scene.snapshot(), statuses(&scene));
    for at in 0..counter.steps().len() {
        let mut scene = theirs();
        let (data, list) = (scene.read("out/finaldata.csv"), scene.read("out/ingestedfiles.txt"));
        scene.disk = Dead::from(at);
        let _ = adopt(&scene);
        assert_eq!(
            (scene.read("out/finaldata.csv"), scene.read("out/ingestedfiles.txt")),
            (data, list)
        );
        scene.disk = Disk::default();
        adopt(&scene).unwrap();
        assert!((scene.snapshot(), statuses(&scene)) == expected, "step {at}");
    }
}

#[test]
fn a_deployment_of_scripts_is_in_one_place_at_every_step() {
    let ready = || {
        let scene = Scene::with(&json!({"models_path": "elsewhere/models"}));
        scene.file("production_deployment/trainedmodel.pkl", "a pickle, never read");
        scene.file("production_deployment/latestscore.txt", "0.57");
        scene
    };
    let run = |scene: &Scene| scene.step(Step::AdoptFolder, |context, _| deploy::adopt(context));
    let places = ["production_deployment", "elsewhere/models/foreign-1"];
    let mut scene = ready();
    let counter = Fault::never();
    scene.disk = counter.disk();
    run(&scene).unwrap();
    let expected = scene.snapshot();
    for at in 0..counter.steps().len() {
        let mut scene = ready();
        scene.disk = Dead::from(at);
        let _ = run(&scene);
        scene.disk = Disk::default();
        let there = places.map(|place| scene.path(place).join("trainedmodel.pkl").is_file());
        assert!(there[0] != there[1], "step {at}: {there:?}");
        if there[0] {
            run(&scene).unwrap();
        } else {
            drop(scene.context().unwrap().open("any").unwrap());
        }
        assert!(scene.snapshot() == expected, "step {at}");
        assert_eq!(scene.read("elsewhere/models/foreign-1/latestscore.txt"), "0.57");
    }
}
