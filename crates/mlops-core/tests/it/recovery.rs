//! A disk that fails once, at every step there is: the run says so, what is visible is sound, and
//! the next run ends where an undisturbed one does.

use std::collections::BTreeSet;

use mlops_core::platform::digest::Digest;
use mlops_core::platform::disk::{Disk, DiskStep};
use mlops_core::release::Pointer;
use mlops_testkit::{Entry, Fault, Scene, Snapshot, repetitions, sample_rows};
use serde_json::json;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A workspace in which nothing ran yet.
fn fresh() -> Scene {
    let scene = Scene::with(&json!({"ingestion": {"max_rejected_share": 0.5}}));
    scene.rows("in/a.csv", &(sample_rows(40, 1) + "bad\n"));
    scene.rows("in/b.csv", &(sample_rows(10, 1) + &sample_rows(20, 2)));
    scene.file("in/broken.csv", "no,columns\n1,2\n");
    scene.rows("test/testdata.csv", &sample_rows(30, 3));
    scene
}

/// A workspace with a live release, and more to ingest.
fn lived_in() -> Scene {
    let scene = fresh();
    scene.everything().unwrap();
    scene.rows("in/c.csv", &(sample_rows(25, 4) + "worse,1\n"));
    scene
}

/// Where a workspace ended: its files, and what the ledger holds besides times and runs.
#[derive(Debug, PartialEq)]
struct State {
    files: Snapshot,
    datasets: Vec<String>,
    sources: BTreeSet<String>,
    test_sets: Vec<String>,
    models: BTreeSet<String>,
    deployments: Vec<String>,
    intents: usize,
}

fn state(scene: &Scene) -> State {
    let ledger = scene.ledger();
    let datasets = ledger.datasets().unwrap();
    let sources = ledger.files().unwrap();
    let deployments = ledger.deployments().unwrap();
    State {
        files: scene.snapshot(),
        datasets: datasets
            .iter()
            .map(|d| {
                format!(
                    "{} {} {} {} {} {} {:?}",
                    d.version, d.sha256, d.bytes, d.rows, d.new_rows, d.quarantined, d.columns
                )
            })
            .collect(),
        sources: sources
            .iter()
            .map(|f| {
                format!("{} {:?} {:?} {:?} {:?}", f.name, f.status, f.sha256, f.dataset, f.counts)
            })
            .collect(),
        test_sets: ledger.test_sets().unwrap().iter().map(|t| format!("{:?}", t.files)).collect(),
        models: ledger
            .models()
            .unwrap()
            .iter()
            .map(|m| format!("{} {} {}", m.artifact, m.dataset, m.rows))
            .collect(),
        deployments: deployments
            .iter()
            .map(|d| format!("{} {:?} {} {} {}", d.release, d.f1, d.dataset, d.step, d.reason))
            .collect(),
        intents: ledger.intents().unwrap().len(),
    }
}

/// What a reader may rely on at any moment, also right after a failure.
fn is_sound(scene: &Scene) {
    let context = scene.context().unwrap();
    match context.store().pointer().unwrap() {
        Pointer::Vacant => {}
        Pointer::Release(id) => drop(context.store().verify(&id).unwrap()),
        other => panic!("the pointer is {other:?}"),
    }
    if scene.path("out/ledger.sqlite").is_file() {
        for dataset in scene.ledger().datasets().unwrap() {
            let digest = Digest::of_file(dataset.location.as_ref()).unwrap();
            assert_eq!(digest, dataset.sha256, "{}", dataset.location.display());
        }
    }
}

/// The four steps, then the same undisturbed, which must end as `expected`.
fn strikes(mut scene: Scene, faults: &[std::sync::Arc<Fault>], what: &str, expected: &State) {
    for fault in faults {
        scene.disk = fault.disk();
        if let Err(error) = scene.everything() {
            let text = error.to_string();
            let place = scene.root().display().to_string();
            assert!(text.contains(&place), "{what}: {text:?} names no place");
        }
        is_sound(&scene);
    }
    scene.disk = Disk::default();
    scene.everything().unwrap_or_else(|e| panic!("{what}: the next run fails: {e}"));
    let found = state(&scene);
    let litter: Vec<_> =
        found.files.keys().filter(|p| p.to_string_lossy().contains(".mlops-")).collect();
    assert!(litter.is_empty(), "{what}: {litter:?}");
    for (path, entry) in &expected.files {
        assert!(found.files.get(path) == Some(entry), "{what}: {} differs", path.display());
    }
    assert!(found == *expected, "{what}: {found:#?}\nrather than\n{expected:#?}");
}

fn sweep(make: fn() -> Scene) {
    let mut scene = make();
    let counter = Fault::never();
    scene.disk = counter.disk();
    scene.everything().unwrap();
    let steps = counter.steps();
    assert!(steps.len() > 60, "{} steps are too few to be all", steps.len());
    scene.disk = Disk::default();
    scene.everything().unwrap();
    let expected = state(&scene);
    assert_eq!(expected.intents, 0);
    for (at, (step, path)) in steps.iter().enumerate() {
        let path = path.strip_prefix(scene.root()).unwrap_or(path).display();
        let thorough = repetitions(0, 1) == 1;
        for code in [EIO, ENOSPC] {
            let what = format!("error {code} at step {at} ({step:?} {path})");
            if thorough || (code == EIO) == at.is_multiple_of(2) {
                strikes(make(), &[Fault::error(at, code)], &what, &expected);
            }
        }
        // The run that puts things in order fails as well, early on.
        let what = format!("two errors, the first at step {at} ({step:?} {path})");
        let second = Fault::error(at * 7 % 12, EIO);
        if thorough || at % 5 == 0 {
            strikes(make(), &[Fault::error(at, EIO), second], &what, &expected);
        }
    }
}

#[test]
fn a_fault_at_any_step_of_a_first_run_is_put_in_order() {
    sweep(fresh);
}

#[test]
fn a_fault_at_any_step_of_an_update_is_put_in_order() {
    sweep(lived_in);
}

#[test]
fn the_writes_of_an_update_come_in_the_promised_order() {
    let mut scene = lived_in();
    let counter = Fault::never();
    scene.disk = counter.disk();
    scene.everything().unwrap();
    let steps = counter.steps();
    let place = |step: DiskStep, end: &str| {
        let found = steps.iter().position(|(s, p)| *s == step && p.ends_with(end));
        found.unwrap_or_else(|| panic!("no {step:?} of {end}"))
    };
    let data = place(DiskStep::Rename, "finaldata3.csv");
    let is = |at: usize, step: DiskStep| steps[at].0 == step;
    assert!(
        is(data - 1, DiskStep::SyncFile) && is(data - 2, DiskStep::Commit),
        "intent, sync, rename"
    );
    assert!(
        is(data + 1, DiskStep::SyncFolder) && place(DiskStep::Rename, "quarantine3.csv") > data
    );
    let listed = place(DiskStep::Rename, "ingestedfiles.txt");
    assert!(steps[data..listed].iter().any(|(s, _)| *s == DiskStep::Commit), "commit, then texts");
    let swap = place(DiskStep::SwapLink, "production_deployment");
    assert!(steps[swap..].iter().any(|(s, _)| *s == DiskStep::Commit), "swap, then commit");
    let sealed = steps
        .iter()
        .rposition(|(s, p)| *s == DiskStep::Rename && p.starts_with(scene.path("models")));
    assert!(sealed.unwrap() < swap, "sealed, then swapped");
    let link = Entry::Link(format!("models/{}", scene.deploy().unwrap().release).into());
    assert_eq!(scene.snapshot()[std::path::Path::new("production_deployment")], link);
}
