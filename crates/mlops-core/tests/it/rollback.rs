//! The life of releases: their history, and the way back from one. Not for making them: see
//! `release`; not for damaged ones: see `tampering`.

use std::fs;

use mlops_core::ids::{ReleaseId, Step};
use mlops_core::ledger::{Action, Intent};
use mlops_core::platform::disk::Disk;
use mlops_core::release::Pointer;
use mlops_core::stage::history::{self, History};
use mlops_core::stage::rollback::{self, RolledBack};
use mlops_core::stage::verify::{self, Verified, Which};
use mlops_core::{Result, stage};
use mlops_testkit::{Dead, Fault, Scene, sample_rows};

/// A workspace in which `n` releases went live one after the other, the last one still is.
pub(crate) fn lived(n: u64) -> (Scene, Vec<ReleaseId>) {
    let scene = Scene::new();
    scene.rows("test/testdata.csv", &sample_rows(40, 99));
    let releases = (1..=n).map(|i| next(&scene, i)).collect();
    (scene, releases)
}

/// One more release, on more data.
fn next(scene: &Scene, i: u64) -> ReleaseId {
    scene.rows(&format!("in/{i}.csv"), &sample_rows(40, i));
    scene.everything().unwrap();
    live(scene)
}

pub(crate) fn live(scene: &Scene) -> ReleaseId {
    scene.context().unwrap().store().live().unwrap().unwrap()
}

pub(crate) fn roll_back(scene: &Scene, to: Option<&ReleaseId>) -> Result<RolledBack> {
    scene.step(Step::Rollback, |context, workspace| {
        rollback::run(context, workspace, to, "too many alarms")
    })
}

fn history(scene: &Scene) -> History {
    history::run(&scene.context().unwrap()).unwrap()
}

pub(crate) fn verified(scene: &Scene, which: &Which) -> Verified {
    verify::run(&scene.context().unwrap(), which, &[]).unwrap()
}

/// Turns one bit of a file.
pub(crate) fn damage(scene: &Scene, file: &str) {
    let mut bytes = fs::read(scene.path(file)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    scene.file(file, bytes);
}

pub(crate) fn refused(scene: &Scene, to: Option<&ReleaseId>) -> String {
    let (before, deployments) = (scene.snapshot(), scene.ledger().deployments().unwrap());
    let error = roll_back(scene, to).unwrap_err().to_string();
    assert_eq!(scene.snapshot(), before, "a refusal changes nothing: {error}");
    assert_eq!(scene.ledger().deployments().unwrap(), deployments);
    assert!(scene.ledger().intents().unwrap().is_empty());
    error
}

#[test]
fn history_tells_who_and_when_and_why() {
    let scene = Scene::new();
    assert!(history(&scene).to_string().contains("Nothing was deployed yet"));
    let (scene, ids) = lived(2);
    let back = roll_back(&scene, None).unwrap();
    assert_eq!((&back.release, back.from.as_ref()), (&ids[0], Some(&ids[1])));
    let found = history(&scene);
    let told: Vec<_> = found
        .entries
        .iter()
        .map(|e| (e.release.as_str(), e.action, e.live, e.rolled_back, e.dataset.0))
        .collect();
    let expected = [
        (ids[0].as_str(), Action::Rollback, true, false, 1),
        (ids[1].as_str(), Action::Deploy, false, true, 2),
        (ids[0].as_str(), Action::Deploy, false, false, 1),
    ];
    assert_eq!(told, expected);
    let [now, second, first] = &found.entries[..] else { panic!("{found}") };
    assert_eq!(first.until.as_ref(), Some(&second.from));
    assert_eq!(second.until.as_ref(), Some(&now.from));
    assert_eq!(now.until, None);
    assert!(first.from < second.from && second.from < now.from);
    assert_eq!(now.f1.map(f64::to_bits), first.f1.map(f64::to_bits));
    assert!(now.f1.is_some() && now.reason == "too many alarms" && second.reason == "asked for");
    assert_eq!(now.step, Step::Rollback);
    assert!(found.notes.is_empty());
    let text = found.to_string();
    assert!(text.contains("now") && text.contains("(rolled back)"), "{text}");
    // Looking changes nothing, also while a run holds the lock.
    let before = scene.snapshot();
    let context = scene.context().unwrap();
    let held = context.open("other").unwrap();
    assert_eq!(history(&scene).entries.len(), 3);
    assert!(verified(&scene, &Which::Live).sound);
    drop(held);
    assert_eq!(scene.snapshot(), before);
}

#[test]
fn history_says_when_the_pointer_was_moved_by_hand() {
    let (scene, ids) = lived(2);
    let pointer = scene.path("production_deployment");
    fs::remove_file(&pointer).unwrap();
    assert!(history(&scene).notes[0].contains("nothing at"));
    std::os::unix::fs::symlink(format!("models/{}", ids[0]), &pointer).unwrap();
    let found = history(&scene);
    assert!(found.notes[0].contains("somebody moved it"), "{found}");
    assert!(found.entries.iter().all(|e| !e.live));
}

#[test]
fn repeated_rollbacks_go_further_back_and_never_to_an_abandoned_release() {
    let (scene, ids) = lived(3);
    assert_eq!(roll_back(&scene, None).unwrap().release, ids[1]);
    assert_eq!(roll_back(&scene, None).unwrap().release, ids[0]);
    let error = refused(&scene, None);
    assert!(error.contains("no way back") && error.contains("--to"), "{error}");
    // By name everything is possible, and makes it an ordinary release again.
    let forward = roll_back(&scene, Some(&ids[2])).unwrap();
    assert_eq!((forward.release, live(&scene)), (ids[2].clone(), ids[2].clone()));
    assert_eq!(scene.ledger().was_rolled_back(&ids[2]).unwrap(), None);
    let error = refused(&scene, Some(&ids[2]));
    assert!(error.contains("live already"), "{error}");
    let unknown: ReleaseId = "r-9-0123456789ab".parse().unwrap();
    let error = refused(&scene, Some(&unknown));
    assert!(error.contains("is not in") && error.contains("deployment history"), "{error}");
}

#[test]
fn a_rolled_back_release_is_not_promoted_again_by_itself() {
    let (scene, ids) = lived(2);
    roll_back(&scene, None).unwrap();
    let record = scene.ledger().was_rolled_back(&ids[1]).unwrap().unwrap();
    assert_eq!(
        (record.release.as_str(), record.reason.as_str()),
        (ids[0].as_str(), "too many alarms")
    );
    let again = |scene: &Scene| {
        scene.train()?;
        scene.score()?;
        scene.deploy()
    };
    // The same data give the same model, and that is the one that was rolled back.
    let error = again(&scene).unwrap_err().to_string();
    assert!(error.contains("was rolled back") && error.contains("--again"), "{error}");
    assert_eq!(live(&scene), ids[0]);
    let deployed = scene
        .step(Step::Deployment, |context, workspace| {
            let leave = stage::deploy::Leave { again: true, ..stage::deploy::Leave::default() };
            let reason = "it was right after all";
            stage::deploy::with(context, workspace, Step::Deployment, reason, leave)
        })
        .unwrap();
    assert!(deployed.promoted && deployed.release == ids[1]);
    assert_eq!(scene.ledger().was_rolled_back(&ids[1]).unwrap(), None);
    assert!(!again(&scene).unwrap().promoted, "live already");
    let newer = next(&scene, 3);
    assert!(!ids.contains(&newer));
}

#[test]
fn without_a_pointer_the_record_shows_the_way_back() {
    let (scene, ids) = lived(2);
    fs::remove_file(scene.path("production_deployment")).unwrap();
    assert_eq!(roll_back(&scene, None).unwrap().release, ids[0]);
    fs::remove_file(scene.path("production_deployment")).unwrap();
    assert_eq!(roll_back(&scene, Some(&ids[1])).unwrap().release, ids[1]);
    let (scene, _) = lived(0);
    let error = roll_back(&scene, None).unwrap_err().to_string();
    assert!(error.contains("nothing was deployed yet"), "{error}");
}

#[test]
fn a_rollback_that_dies_at_any_step_is_completed_or_undone() {
    let (mut scene, ids) = lived(2);
    let counter = Fault::never();
    scene.disk = counter.disk();
    roll_back(&scene, None).unwrap();
    let expected = (scene.snapshot(), told(&scene));
    let steps = counter.steps().len();
    assert!(steps > 5, "{steps} steps are too few to be all");
    for damaged in [false, true] {
        let mut outcomes = [0; 2];
        for at in 0..steps {
            let (mut scene, same) = lived(2);
            assert_eq!(same, ids);
            if damaged {
                damage(&scene, &format!("models/{}/trainedmodel.bin", ids[1]));
            }
            scene.disk = Dead::from(at);
            assert!(roll_back(&scene, None).is_err(), "step {at}");
            let swapped = match scene.context().unwrap().store().pointer().unwrap() {
                Pointer::Release(id) => id == ids[0],
                other => panic!("step {at}: the pointer is {other:?}"),
            };
            scene.disk = Disk::default();
            drop(scene.context().unwrap().open("any").unwrap());
            let ledger = scene.ledger();
            assert!(ledger.intents().unwrap().is_empty(), "step {at}");
            assert_eq!(live(&scene) == ids[0], swapped, "step {at}");
            let recorded = ledger.deployments().unwrap().len() == 3;
            assert_eq!(recorded, swapped, "step {at}: the record follows the pointer");
            assert_eq!(ledger.was_rolled_back(&ids[1]).unwrap().is_some(), swapped);
            outcomes[usize::from(swapped)] += 1;
            if !swapped {
                roll_back(&scene, None).unwrap();
            }
            assert_eq!(told(&scene), expected.1, "step {at}");
            if !damaged {
                assert!(scene.snapshot() == expected.0, "step {at}");
            }
        }
        assert!(outcomes[0] > 0 && outcomes[1] > 0, "{outcomes:?}");
    }
}

/// What the ledger tells of releases, times and runs aside.
fn told(scene: &Scene) -> Vec<String> {
    let deployments = scene.ledger().deployments().unwrap().into_iter();
    deployments
        .map(|d| {
            let (how, from) =
                (d.action.as_str(), d.previous.map(|id| id.to_string()).unwrap_or_default());
            format!("{how} {} from {from}, {:?}, {}", d.release, d.f1, d.reason)
        })
        .collect()
}

#[test]
fn a_promotion_is_recorded_even_if_the_release_was_damaged_meanwhile() {
    let between = (0..).find_map(|at| {
        let (mut scene, _) = lived(1);
        scene.rows("in/2.csv", &sample_rows(40, 2));
        scene.ingest().unwrap();
        scene.train().unwrap();
        scene.score().unwrap();
        scene.disk = Dead::from(at);
        assert!(scene.deploy().is_err(), "no step between swap and commit");
        scene.disk = Disk::default();
        match scene.ledger().intents().unwrap().pop() {
            Some((_, Intent::Promote(d))) if d.release == live(&scene) => Some((scene, d.release)),
            _ => None,
        }
    });
    let (scene, promoted) = between.unwrap();
    damage(&scene, &format!("models/{promoted}/trainedmodel.bin"));
    let workspace = scene.context().unwrap().open("any").unwrap();
    assert!(workspace.recovered.iter().any(|n| n.contains("completed")));
    assert_eq!(workspace.ledger.latest_deployment().unwrap().unwrap().release, promoted);
    drop(workspace);
    roll_back(&scene, None).unwrap();
    assert!(verified(&scene, &Which::Live).sound);
}
