//! What stays and what goes when releases and data sets grow old. Not for the way back itself:
//! see `rollback`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use mlops_core::ids;
use mlops_core::ids::ReleaseId;
use mlops_core::platform::digest::Digest;
use mlops_core::platform::disk::{Disk, DiskStep, Probe};
use mlops_core::run::context::Report as _;
use mlops_core::stage::rollback;
use mlops_core::stage::verify::{self, Which};
use mlops_testkit::{Dead, Fault, Random, Scene, repetitions, sample_rows};
use serde_json::json;

fn scene(keep_releases: Option<u64>, keep_datasets: Option<u64>) -> Scene {
    let limits = json!({"keep_releases": keep_releases, "keep_datasets": keep_datasets});
    let scene = Scene::with(&json!({"retention": limits}));
    scene.rows("test/testdata.csv", &sample_rows(40, 99));
    scene
}

/// More data, up to a release.
fn grow(scene: &Scene, i: u64) {
    // The last row is bad, so that each version has a quarantine.
    scene.rows(&format!("in/{i}.csv"), &(sample_rows(30, i) + "bad\n"));
    scene.everything().unwrap();
}

fn present(scene: &Scene) -> BTreeSet<ReleaseId> {
    scene.context().unwrap().store().releases().unwrap().into_iter().collect()
}

fn data_files(scene: &Scene) -> Vec<u32> {
    let datasets = scene.ledger().datasets().unwrap();
    let there = datasets.iter().filter(|d| fs::exists(&d.location).unwrap());
    there.map(|d| d.version.0).collect()
}

/// What must hold after every promotion.
fn is_kept(scene: &Scene) {
    let context = scene.context().unwrap();
    let (ledger, store) = (scene.ledger(), context.store());
    let deployments = ledger.deployments().unwrap();
    let live = store.live_release().unwrap().id;
    if let Some(previous) = &deployments.last().unwrap().previous {
        store.verify(previous).unwrap();
    }
    let present = present(scene);
    if let Some(back) = ledger.earlier_releases(&live).unwrap().first() {
        assert!(present.contains(back), "the way back leads to {back}");
    }
    for deployment in &deployments {
        let id: ReleaseId = deployment.release.clone();
        let removed = ledger.release_removed(&id).unwrap().is_some();
        assert_eq!(!removed, present.contains(&id), "{id}: the mark and the disk agree");
    }
    let datasets = ledger.datasets().unwrap();
    for (age, dataset) in datasets.iter().rev().enumerate() {
        let there = fs::exists(&dataset.location).unwrap();
        let removed = ledger.dataset_removed(dataset.version).unwrap().is_some();
        assert_eq!(!removed, there, "{}: the mark and the disk agree", dataset.version);
        assert!(there || age > 1, "the newest two stay");
        if there {
            assert_eq!(Digest::of_file(dataset.location.as_ref()).unwrap(), dataset.sha256);
        }
        let quarantine = scene.path("out").join(dataset.version.quarantine_name());
        assert_eq!(fs::exists(quarantine).unwrap(), dataset.quarantined > 0);
    }
    let foreign: ReleaseId = FOREIGN.parse().unwrap();
    for id in present.iter().filter(|id| **id != foreign) {
        let trained_on = store.manifest(id).unwrap().dataset;
        assert!(data_files(scene).contains(&trained_on.0), "{id} needs its data set");
    }
    assert!(ledger.intents().unwrap().is_empty());
}

/// A release that this workspace did not make.
const FOREIGN: &str = "r-1-0123456789ab";

#[test]
fn random_histories_keep_what_they_must() {
    for seed in 0..repetitions(6, 100) {
        let mut random = Random(seed);
        let limits = [None, Some(1), Some(2), Some(3), Some(5)];
        let (releases, datasets) = (random.pick(&limits), random.pick(&limits));
        let scene = scene(releases, datasets);
        scene.file(&format!("models/{FOREIGN}/trainedmodel.bin"), "theirs");
        scene.file("models/foreign-1/trainedmodel.sav", "theirs");
        scene.file("models/notes.txt", "mine");
        scene.file("out/finaldata0.csv", "mine");
        let mut strange = 0;
        for i in 0..12 {
            match random.below(6) {
                // Another model of the same data.
                0 if i > 0 => {
                    strange += 1;
                    let limits = json!({"keep_releases": releases, "keep_datasets": datasets});
                    let c = 1.0 + f64::from(strange);
                    scene.configure(&json!({"retention": limits, "training": {"C": c}}));
                    scene.train().unwrap();
                    scene.score().unwrap();
                    scene.deploy().unwrap();
                    is_kept(&scene);
                }
                1 | 2 if i > 0 => {
                    let back = scene.step(ids::Step::Rollback, |context, workspace| {
                        rollback::run(context, workspace, None, "random")
                    });
                    if let Err(error) = back {
                        assert!(error.to_string().contains("no other release"), "{error}");
                    }
                }
                // Data that no model is made of yet.
                3 if i > 0 => {
                    scene.rows(&format!("in/x{i}.csv"), &sample_rows(5, 1000 + i));
                    scene.ingest().unwrap();
                }
                _ => {
                    grow(&scene, i + 1);
                    is_kept(&scene);
                }
            }
            let context = scene.context().unwrap();
            if context.store().live().unwrap().is_some() {
                assert!(verify::run(&context, &Which::Live, &[]).unwrap().sound);
            }
        }
        if let Some(n) = releases {
            // The way back may lead far behind releases that were rolled back.
            let most = usize::try_from(n).unwrap().max(2) + 2;
            assert!(present(&scene).len() <= most, "seed {seed}: {:?}", present(&scene));
        }
        assert_eq!(scene.read(&format!("models/{FOREIGN}/trainedmodel.bin")), "theirs");
        assert_eq!(scene.read("models/foreign-1/trainedmodel.sav"), "theirs");
        assert_eq!(scene.read("models/notes.txt"), "mine");
        assert_eq!(scene.read("out/finaldata0.csv"), "mine");
    }
}

#[test]
fn the_oldest_go_first_and_the_report_says_so() {
    let scene = scene(Some(3), Some(2));
    for i in 1..=4 {
        grow(&scene, i);
    }
    let deployments = scene.ledger().deployments().unwrap();
    let first: ReleaseId = deployments[0].release.clone();
    assert!(!present(&scene).contains(&first) && present(&scene).len() == 3);
    assert_eq!(data_files(&scene), [2, 3, 4], "three releases need three data sets");
    scene.rows("in/5.csv", &sample_rows(30, 5));
    scene.ingest().unwrap();
    scene.train().unwrap();
    scene.score().unwrap();
    let deployed = scene.deploy().unwrap();
    assert_eq!(deployed.removed.releases, [deployments[1].release.clone()]);
    assert_eq!(deployed.removed.datasets.len(), 1);
    let text = deployed.to_string();
    assert!(text.contains("1 old release, 1 old data set"), "{text}");
    // Nothing is left to do, and nothing is done.
    let before = scene.snapshot();
    assert!(!scene.deploy().unwrap().removed.changed());
    assert_eq!(scene.snapshot(), before);
    // A release that is gone says why.
    let error = scene
        .step(ids::Step::Rollback, |context, workspace| {
            rollback::run(context, workspace, Some(&first), "x")
        })
        .unwrap_err();
    assert!(error.to_string().contains("was removed at"), "{error}");
    let history = mlops_core::stage::history::run(&scene.context().unwrap()).unwrap();
    assert!(history.entries.last().unwrap().removed.is_some());
    assert!(history.to_string().contains("(removed)"));
}

#[test]
fn the_default_keeps_ten_releases_with_their_data() {
    let scene = Scene::new();
    scene.rows("test/testdata.csv", &sample_rows(40, 99));
    for i in 1..=12 {
        scene.rows(&format!("in/{i}.csv"), &sample_rows(10, i));
        scene.everything().unwrap();
    }
    assert_eq!(present(&scene).len(), 10);
    assert_eq!(data_files(&scene), (3..=12).collect::<Vec<_>>(), "each release needs its own");
}

#[test]
fn ingestions_without_a_release_keep_the_newest_five_data_sets() {
    let scene = Scene::new();
    scene.rows("test/testdata.csv", &sample_rows(40, 99));
    for i in 1..=3 {
        scene.rows(&format!("in/{i}.csv"), &sample_rows(10, i));
        if i == 2 {
            scene.everything().unwrap();
        } else {
            scene.ingest().unwrap();
        }
    }
    for i in 4..=9 {
        scene.rows(&format!("in/{i}.csv"), &sample_rows(10, i));
        let report = scene.ingest().unwrap();
        assert_eq!(report.removed.is_empty(), i < 6 || i == 7, "{report}");
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    }
    assert_eq!(data_files(&scene), [2, 5, 6, 7, 8, 9], "the release needs its own");
}

#[test]
fn a_run_that_dies_at_any_step_of_an_ingestion_with_a_removal_is_completed() {
    let ready = || {
        let scene = scene(None, Some(2));
        for i in 1..=3 {
            scene.rows(&format!("in/{i}.csv"), &sample_rows(30, i));
            scene.ingest().unwrap();
        }
        scene.rows("in/4.csv", &sample_rows(30, 4));
        scene
    };
    let mut scene = ready();
    let counter = Fault::never();
    scene.disk = counter.disk();
    assert_eq!(scene.ingest().unwrap().removed.len(), 1);
    let steps = counter.steps();
    // A run without news removes nothing by itself; the next one with news does.
    let last = |mut scene: Scene| {
        scene.disk = Disk::default();
        scene.ingest().unwrap();
        scene.rows("in/5.csv", &sample_rows(30, 5));
        scene.ingest().unwrap();
        scene
    };
    let expected = last(scene).snapshot();
    assert!(
        steps.iter().any(|(step, path)| {
            *step == DiskStep::Remove && path.ends_with("out/finaldata2.csv")
        })
    );
    for (at, step) in steps.iter().enumerate() {
        let mut scene = ready();
        scene.disk = Dead::from(at);
        let _ = scene.ingest();
        let scene = last(scene);
        assert_eq!(data_files(&scene), [4, 5], "step {at}");
        assert!(scene.ledger().intents().unwrap().is_empty(), "step {at}");
        let mut found = scene.snapshot();
        // Recovery takes the lock of the releases, and leaves their folder.
        found.remove(Path::new("models"));
        assert!(found == expected, "step {at}: {step:?}");
    }
}

#[test]
fn a_release_that_comes_again_is_there_again() {
    let scene = scene(Some(1), None);
    let mut last = None;
    for c in [1.0, 2.0, 3.0, 1.0] {
        let limits = json!({"keep_releases": 1});
        scene.configure(&json!({"retention": limits, "training": {"C": c}}));
        scene.rows("in/1.csv", &sample_rows(40, 1));
        scene.everything().unwrap();
        is_kept(&scene);
        last = scene.ledger().latest_deployment().unwrap();
    }
    let deployments = scene.ledger().deployments().unwrap();
    assert_eq!(last.unwrap().release, deployments[0].release);
}

#[test]
fn a_data_set_that_is_not_the_recorded_file_is_left_alone() {
    let scene = scene(Some(1), Some(1));
    grow(&scene, 1);
    grow(&scene, 2);
    scene.file("out/finaldata1.csv", "somebody's own");
    for i in 3..=5 {
        grow(&scene, i);
    }
    assert_eq!(scene.read("out/finaldata1.csv"), "somebody's own");
    assert!(!scene.path("out/finaldata2.csv").exists());
}

#[test]
fn what_cannot_be_removed_is_a_warning_and_tried_again() {
    let mut scene = scene(Some(1), Some(1));
    for i in 1..=2 {
        grow(&scene, i);
    }
    scene.rows("in/3.csv", &sample_rows(30, 3));
    scene.ingest().unwrap();
    scene.train().unwrap();
    scene.score().unwrap();
    let first = scene.ledger().deployments().unwrap()[0].release.clone();
    scene.disk = Disk::observed(Arc::new(Refuse(first.to_string())));
    let deployed = scene.deploy().unwrap();
    assert!(deployed.promoted && deployed.removed.releases.is_empty());
    assert!(deployed.findings()[0].text.contains("cannot rename to"), "{deployed}");
    assert!(scene.path("models").join(first.as_str()).is_dir());
    scene.disk = Disk::default();
    let again = scene.deploy().unwrap();
    assert!(!again.promoted && again.removed.releases.len() == 1);
    is_kept(&scene);
}

/// Refuses to take one release out of sight.
struct Refuse(String);

impl Probe for Refuse {
    fn before(&self, step: DiskStep, path: &Path) -> io::Result<()> {
        let hidden = path.parent().and_then(Path::file_name).unwrap_or_default();
        let aside = path.ends_with(&self.0) && hidden.to_string_lossy().starts_with(".mlops-");
        if aside && step == DiskStep::Rename {
            Err(io::Error::from_raw_os_error(13))
        } else {
            Ok(())
        }
    }
}

#[test]
fn a_run_that_dies_at_any_step_of_a_removal_is_completed() {
    let ready = || {
        let scene = scene(Some(1), Some(1));
        for i in 1..=3 {
            grow(&scene, i);
        }
        scene.rows("in/4.csv", &sample_rows(30, 4));
        scene.ingest().unwrap();
        scene.train().unwrap();
        scene.score().unwrap();
        scene
    };
    let mut scene = ready();
    let counter = Fault::never();
    scene.disk = counter.disk();
    let deployed = scene.deploy().unwrap();
    assert_eq!((deployed.removed.releases.len(), deployed.removed.datasets.len()), (1, 1));
    let expected = scene.snapshot();
    let steps = counter.steps();
    let swap = steps.iter().position(|(step, _)| *step == DiskStep::SwapLink).unwrap();
    let gone = |(step, path): &(DiskStep, PathBuf)| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        *step == DiskStep::Remove || (*step == DiskStep::Rename && name.starts_with(".mlops-r-"))
    };
    assert!(!steps[..swap].iter().any(gone), "nothing goes before the swap");
    let first = swap + steps[swap..].iter().position(gone).unwrap();
    let commits = steps[swap..first].iter().filter(|(step, _)| *step == DiskStep::Commit).count();
    assert_eq!(commits, 2, "the promotion and the intent come first");
    for at in 0..steps.len() {
        let mut scene = ready();
        scene.disk = Dead::from(at);
        let _ = scene.deploy();
        assert!(
            verify::run(&scene.context().unwrap(), &Which::All, &[]).unwrap().sound,
            "step {at}"
        );
        scene.disk = Disk::default();
        scene.deploy().unwrap();
        is_kept(&scene);
        assert!(scene.snapshot() == expected, "step {at}");
    }
}
