//! Releases that are damaged, gone or not what they say: noticed, never made live, and no obstacle
//! on the way back. Not for sound ones: see `rollback`.

use std::fs;

use mlops_core::ids::ReleaseId;
use mlops_core::run::context::Report as _;
use mlops_core::stage::verify::{self, Which};
use mlops_testkit::Scene;

use crate::rollback::{damage, lived, refused, roll_back, verified};

#[test]
fn a_damaged_or_missing_release_can_be_rolled_back() {
    for missing in [false, true] {
        let (scene, ids) = lived(2);
        let folder = format!("models/{}", ids[1]);
        if missing {
            fs::rename(scene.path(&folder), scene.path("elsewhere")).unwrap();
        } else {
            damage(&scene, &format!("{folder}/trainedmodel.bin"));
        }
        let found = verified(&scene, &Which::Live);
        assert!(!found.sound && found.releases[0].live, "{found}");
        assert!(found.to_string().contains("deployment rollback"), "{found}");
        assert!(verified(&scene, &Which::One(ids[0].clone())).sound);
        let back = roll_back(&scene, None).unwrap();
        assert_eq!((&back.release, back.from.as_ref()), (&ids[0], Some(&ids[1])));
        assert!(verified(&scene, &Which::Live).sound);
    }
}

#[test]
fn a_release_that_was_tampered_with_is_refused() {
    for file in ["trainedmodel.bin", "golden.json", "score.json", "latestscore.txt"] {
        let (scene, ids) = lived(2);
        damage(&scene, &format!("models/{}/{file}", ids[0]));
        let error = refused(&scene, Some(&ids[0]));
        assert!(error.contains(file), "{error}");
        let error = refused(&scene, None);
        assert!(error.contains("no earlier one is sound") && error.contains(file), "{error}");
        let all = verified(&scene, &Which::All);
        let problems: Vec<_> =
            all.releases.iter().map(|r| (&r.release, r.problem.is_some())).collect();
        assert_eq!(problems, [(&ids[0], true), (&ids[1], false)]);
    }
}

#[test]
fn a_release_whose_manifest_fits_a_strange_model_is_refused() {
    let (scene, ids) = lived(3);
    let (a, b) =
        (scene.path(&format!("models/{}", ids[0])), scene.path(&format!("models/{}", ids[1])));
    let manifest = scene.read(&format!("models/{}/manifest.json", ids[0]));
    for entry in fs::read_dir(&b).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, a.join(from.file_name().unwrap())).unwrap();
    }
    assert!(refused(&scene, Some(&ids[0])).contains("its manifest is that of"));
    let borrowed = scene.read(&format!("models/{}/manifest.json", ids[1]));
    let renamed = borrowed.replace(ids[1].as_str(), ids[0].as_str());
    scene.file(&format!("models/{}/manifest.json", ids[0]), &renamed);
    assert!(refused(&scene, Some(&ids[0])).contains("was changed after it was sealed"));
    let without = manifest.replace("\"score.json\"", "\"other.json\"");
    scene.file(&format!("models/{}/manifest.json", ids[0]), without);
    assert!(refused(&scene, Some(&ids[0])).contains("does not list score.json"));
    // The sound one in between is where the way back leads.
    assert_eq!(roll_back(&scene, None).unwrap().release, ids[1]);
}

#[test]
fn an_earlier_release_that_is_damaged_is_passed_over() {
    let (scene, ids) = lived(3);
    damage(&scene, &format!("models/{}/model.json", ids[1]));
    let back = roll_back(&scene, None).unwrap();
    assert_eq!(back.release, ids[0]);
    assert!(back.skipped[0].contains(ids[1].as_str()));
    assert!(back.findings()[0].text.contains("passed over"), "{:?}", back.findings());
}

#[test]
fn checks_need_something_to_check() {
    let scene = Scene::new();
    for which in [Which::Live, Which::All] {
        let error = verify::run(&scene.context().unwrap(), &which, &[]).unwrap_err().to_string();
        assert!(error.contains("run `deployment` first"), "{error}");
    }
    let (scene, ids) = lived(1);
    let unknown: ReleaseId = "r-9-0123456789ab".parse().unwrap();
    assert!(!verified(&scene, &Which::One(unknown)).sound);
    let found = verified(&scene, &Which::All);
    assert!(found.sound && found.releases.len() == 1 && found.releases[0].release == ids[0]);
    assert_eq!(found.releases[0].files, 6);
}

#[test]
fn a_pipe_in_the_place_of_a_model_or_its_score_is_named_and_not_waited_for() {
    use mlops_core::ids::Step;
    use mlops_core::stage;
    let (scene, _) = lived(1);
    let replace = |name: &str| {
        let path = scene.path(name);
        fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    };
    replace("model/score.json");
    scene.step(Step::Scoring, stage::score::run).unwrap();
    assert!(scene.read("model/score.json").contains("\"f1\""), "it was written again");
    replace("model/trainedmodel.bin");
    let error = scene.step(Step::Scoring, stage::score::run).unwrap_err();
    assert!(error.to_string().contains("trainedmodel.bin"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("a named pipe"), "{cause}");
}
