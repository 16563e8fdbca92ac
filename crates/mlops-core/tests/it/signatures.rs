//! Releases that are signed: what a signature proves, and that nothing else goes live where one is asked for. Not
//! for the service: its tests have that.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mlops_core::ids::{DecisionOutcome, ReleaseId};
use mlops_core::platform::digest::Digest;
use mlops_core::stage::sign;
use mlops_core::stage::verify::{self, Verified, Which};
use mlops_testkit::{Scene, sample_rows};
use serde_json::{Value, json};

use crate::decision::{decide, live as with_live, turned};
use crate::rollback::{live, refused, roll_back};

const KEYS: &str = r#"{"key_file": "keys/a", "trusted": ["keys/a.pub"]}"#;

fn signing(scene: &Scene, section: &str) {
    let section: Value = serde_json::from_str(section).unwrap();
    scene.configure(&json!({"signing": section}));
}

/// A pair of keys in `keys/`.
fn keygen(scene: &Scene, name: &str) {
    let file = scene.path(&format!("keys/{name}"));
    sign::keygen(&scene.context().unwrap(), Some(&file)).unwrap();
}

/// A live release, and two pairs of keys, which nothing names.
fn unsigned() -> (Scene, ReleaseId) {
    let scene = Scene::new();
    scene.rows("in/1.csv", &sample_rows(40, 1));
    scene.rows("test/testdata.csv", &sample_rows(40, 99));
    scene.everything().unwrap();
    keygen(&scene, "a");
    keygen(&scene, "b");
    let id = live(&scene);
    (scene, id)
}

fn sign_with(scene: &Scene, id: &ReleaseId, key: &str) -> bool {
    let file = scene.path(&format!("keys/{key}"));
    sign::run(&scene.context().unwrap(), Some(id), Some(&file)).unwrap().new
}

/// What `deployment verify --trusted KEY` says.
fn by(scene: &Scene, key: &str) -> Verified {
    let file = scene.path(&format!("keys/{key}.pub"));
    verify::run(&scene.context().unwrap(), &Which::Live, &[file]).unwrap()
}

fn distrust(found: &Verified) -> &str {
    assert!(!found.sound && found.to_string().contains("NOT TRUSTED"), "{found}");
    found.releases[0].untrusted.as_deref().unwrap()
}

#[test]
fn the_private_key_is_its_owners_alone_and_is_never_replaced() {
    let (scene, id) = unsigned();
    let mode = |file: &str| fs::metadata(scene.path(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("keys/a"), 0o600);
    let before = scene.read("keys/a");
    let context = scene.context().unwrap();
    let error =
        |file: &str| sign::keygen(&context, Some(&scene.path(file))).unwrap_err().to_string();
    assert!(error("keys/a").contains("is there already"));
    assert!(error(&format!("models/{id}/key")).contains("lies among the releases"));
    assert!(error("production_deployment/key").contains("lies among the releases"));
    assert_eq!(scene.read("keys/a"), before);
    signing(&scene, r#"{"key_file": "models/key"}"#);
    let error = scene.context().err().unwrap().to_string();
    assert!(error.contains("signing.key_file") && error.contains("among the releases"), "{error}");
    // A key that others may read signs nothing.
    fs::set_permissions(scene.path("keys/a"), fs::Permissions::from_mode(0o644)).unwrap();
    let error = sign::run(&context, None, Some(&scene.path("keys/a"))).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn a_signature_is_beside_the_release_which_stays_as_it_was() {
    let (scene, id) = unsigned();
    let folder = scene.path(&format!("models/{id}"));
    let before = fs::read_dir(&folder).unwrap().count();
    assert!(distrust(&by(&scene, "a")).contains("is not signed"));
    assert!(sign_with(&scene, &id, "a"));
    assert!(!sign_with(&scene, &id, "a"), "once is enough");
    assert!(by(&scene, "a").sound);
    assert!(distrust(&by(&scene, "b")).contains("which is not trusted"));
    // Who changes keys signs with the new one, and both count.
    assert!(sign_with(&scene, &id, "b"));
    assert!(by(&scene, "a").sound && by(&scene, "b").sound);
    assert_eq!(by(&scene, "b").releases[0].signed_by.len(), 2);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), before);
}

#[test]
fn files_that_were_changed_with_their_digests_are_noticed() {
    let (scene, id) = unsigned();
    assert!(sign_with(&scene, &id, "a"));
    // Digests are no secret: whoever may write here can make both fit.
    let (card, manifest) =
        (format!("models/{id}/model.json"), format!("models/{id}/manifest.json"));
    let changed = scene.read(&card).replacen("intercept", "Intercept", 1);
    let old = Digest::of(scene.read(&card).as_bytes()).to_string();
    let new = Digest::of(changed.as_bytes()).to_string();
    let fitting = scene.read(&manifest).replace(&old, &new);
    assert_ne!(fitting, scene.read(&manifest));
    scene.file(&card, changed);
    scene.file(&manifest, fitting);
    let found = verify::run(&scene.context().unwrap(), &Which::Live, &[]).unwrap();
    assert!(found.sound, "without a key this cannot be seen: {found}");
    assert!(found.releases[0].signed_by.is_empty());
    assert!(distrust(&by(&scene, "a")).contains("it was changed"));
}

#[test]
fn where_signatures_are_asked_for_nothing_else_goes_live() {
    let (scene, first) = unsigned();
    signing(&scene, r#"{"trusted": ["keys/a.pub"]}"#);
    scene.rows("in/2.csv", &sample_rows(40, 2));
    scene.ingest().unwrap();
    scene.train().unwrap();
    scene.score().unwrap();
    let error = scene.deploy().unwrap_err().to_string();
    assert!(error.contains("is not signed") && error.contains("`deployment sign r-"), "{error}");
    assert_eq!(live(&scene), first);
    // What is made here is signed here.
    signing(&scene, KEYS);
    let second = scene.deploy().unwrap().release;
    assert_eq!(live(&scene), second);
    assert!(by(&scene, "a").sound);
    // The way back leads to signed releases only.
    let error = refused(&scene, None);
    assert!(
        error.contains("no earlier one is sound") && error.contains("is not signed"),
        "{error}"
    );
    assert!(refused(&scene, Some(&first)).contains("is not signed"));
    assert!(sign_with(&scene, &first, "b"));
    assert!(refused(&scene, Some(&first)).contains("which is not trusted"));
    assert!(sign_with(&scene, &first, "a"));
    assert_eq!(roll_back(&scene, None).unwrap().release, first);
}

#[test]
fn an_unattended_run_signs_what_it_promotes() {
    let scene = with_live(&json!({}));
    keygen(&scene, "a");
    let config = scene.read("config.json").replacen('{', &format!("{{\"signing\": {KEYS},"), 1);
    scene.file("config.json", config);
    scene.rows("source/b.csv", &turned(1200, 3));
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
    let found = by(&scene, "a");
    assert!(found.sound && !found.releases[0].signed_by.is_empty(), "{found}");
}

#[test]
fn signatures_go_with_their_release() {
    let (scene, first) = unsigned();
    scene.configure(&json!({"signing": {"key_file": "keys/a"}, "retention": {"keep_releases": 1}}));
    let file = scene.path(&format!("models/{first}.sig"));
    assert!(sign_with(&scene, &first, "a") && file.is_file());
    for i in 2..5 {
        scene.rows(&format!("in/{i}.csv"), &sample_rows(40, i));
        scene.everything().unwrap();
    }
    assert!(!scene.path(&format!("models/{first}")).exists() && !file.exists());
    let left = fs::read_dir(scene.path("models")).unwrap().map(|e| e.unwrap().file_name());
    let left: Vec<String> = left.map(|name| name.into_string().unwrap()).collect();
    let (releases, signatures): (Vec<_>, Vec<_>) =
        left.iter().filter(|name| name.starts_with("r-")).partition(|name| !name.contains(".sig"));
    assert_eq!(signatures.len(), releases.len());
}
