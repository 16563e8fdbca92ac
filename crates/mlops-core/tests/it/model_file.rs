//! `trainedmodel.bin` in hostile hands: a clean error or a sound model, never a panic, never more
//! memory than a model needs; and files of earlier versions load for ever.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use mlops_core::config::Window;
use mlops_core::model::card::Card;
use mlops_core::model::{Golden, Model, artifact};
use mlops_core::platform::digest::Digest;
use mlops_core::table::Table;
use mlops_testkit::{Random, Scene, repetitions, variable};
use serde_json::{Value, json};

/// Magic, format version, length; then the checksum, then the payload.
const LENGTH: std::ops::Range<usize> = 12..20;
const CHECKSUM: std::ops::Range<usize> = 20..52;

/// A model with every kind of part but those that only a version 3 has.
fn scene() -> Scene {
    trained(&json!({}))
}

/// A model with everything that is chosen by cross-validation.
fn tuned() -> Scene {
    trained(&json!({"threshold": {"maximize": "f1"}, "C": "cv", "class_weight": "balanced",
        "window": {"half_life": 40}}))
}

/// A model with splines and bins, of some of the rows.
fn shaped() -> Scene {
    trained(&json!({"splines": {"x": {}}, "bins": {"z": {}, "size": {}}, "window": {"rows": 110}}))
}

/// A model with every part that version 3 has but a scorecard, which takes no dates.
fn complete() -> Scene {
    let scene = Scene::with(&json!({"schema": {"id": ["who"], "numeric": ["x", "y", "z"],
        "date": ["since"], "categorical": ["colour", "size"], "target": "left",
        "positive_label": "yes"}, "training": {"threshold": {"maximize": "f1"}, "C": "cv",
        "class_weight": "balanced", "window": {"half_life": 150}, "splines": {"x": {}},
        "bins": {"y": {}, "size": {}}, "dates": {"since": {"month": true}}}}));
    let mut random = Random(8);
    let mut text = String::from("who,x,y,z,since,colour,size,left\n");
    for i in 0..400 {
        let (x, y) = (random.below(1000), random.below(40));
        let colour = random.pick(&["red", "green", "blue, light", ""]);
        let size = random.pick(&["S", "M", "L", "XL"]);
        let z = if random.one_in(9) { "NA".to_owned() } else { format!("{}.25", random.below(50)) };
        let odds = if x > 500 { 0.7 } else { 0.2 } + if size == "S" { 0.2 } else { 0.0 };
        let left = if random.unit() < odds { "yes" } else { "no" };
        let since = format!("2023-{:02}-{:02}", 1 + random.below(12), 1 + random.below(28));
        text += &format!("w{i},{x},{y},{z},{since},\"{colour}\",{size},{left}\n");
    }
    scene.file("in/a.csv", &text);
    let few: String = text.lines().take(20).map(|line| format!("{line}\n")).collect();
    scene.file("test/testdata.csv", few);
    scene.ingest().unwrap();
    scene.train().unwrap();
    scene
}

fn trained(training: &Value) -> Scene {
    let scene = Scene::with(&json!({"training": training, "schema": {"id": ["who"],
        "numeric": ["x", "y", "z"], "categorical": ["colour", "size"], "target": "left",
        "positive_label": "yes"}}));
    let mut random = Random(5);
    let mut text = String::from("who,x,y,z,colour,size,left\n");
    for i in 0..120 {
        let x = random.below(1000);
        let colour = random.pick(&["red", "green", "blue, light", ""]);
        let size = random.pick(&["S", "M", "L", "XL"]);
        let yes = random.unit() < if x > 500 { 0.8 } else { 0.3 };
        let z = if random.one_in(9) { "NA".to_owned() } else { format!("{}.25", random.below(50)) };
        let left = if yes { "yes" } else { "no" };
        text += &format!("w{i},{x},{},{z},\"{colour}\",{size},{left}\n", random.below(7));
    }
    scene.file("in/a.csv", &text);
    scene.file(
        "test/testdata.csv",
        text.lines().take(20).map(|l| format!("{l}\n")).collect::<String>(),
    );
    scene.ingest().unwrap();
    scene.train().unwrap();
    scene
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Makes length and checksum right again, so that the payload itself is read.
fn seal(bytes: &mut [u8]) {
    let length = (bytes.len() - CHECKSUM.end) as u64;
    bytes[LENGTH].copy_from_slice(&length.to_le_bytes());
    seal_checksum(bytes);
}

fn seal_checksum(bytes: &mut [u8]) {
    let signed = [&bytes[..CHECKSUM.start], &bytes[CHECKSUM.end..]].concat();
    bytes[CHECKSUM].copy_from_slice(Digest::of(&signed).bytes());
}

/// Damages a file; says whether it was sealed again.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) -> bool {
    match random.below(12) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => bytes.extend((0..=random.below(100)).map(|i| u8::try_from(i).unwrap())),
        2 => {
            let length = random.next() >> random.below(64);
            bytes[LENGTH].copy_from_slice(&length.to_le_bytes());
            if random.one_in(2) {
                seal_checksum(bytes);
            }
        }
        3 => {
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        4 => {
            let at = random.below(CHECKSUM.start);
            bytes[at] ^= 1 << random.below(8);
            seal_checksum(bytes);
        }
        kind => {
            damage_payload(random, bytes, kind);
            seal(bytes);
            return true;
        }
    }
    false
}

fn damage_payload(random: &mut Random, bytes: &mut Vec<u8>, kind: usize) {
    for _ in 0..=random.below(4) {
        let at = CHECKSUM.end + random.below(bytes.len() - CHECKSUM.end);
        match kind {
            5 | 6 => bytes[at] ^= 1 << random.below(8),
            // Where a length stands, these bytes announce one of 2, 4, 8 or 16 bytes.
            7 | 8 => bytes[at] = random.pick(&[0, 1, 250, 251, 252, 253, 254, 255]),
            9 => drop(bytes.drain(at..(at + 1 + random.below(9)).min(bytes.len() - 1))),
            10 => {
                let more = random.next().to_le_bytes();
                drop(bytes.splice(at..at, more));
            }
            _ => {
                let end = (at + 8).min(bytes.len());
                let value = random.pick(&[f64::NAN, f64::INFINITY, -1.0, 0.0, 1e308]).to_le_bytes();
                bytes[at..end].copy_from_slice(&value[..end - at]);
            }
        }
        if bytes.len() <= CHECKSUM.end + 16 {
            return;
        }
    }
}

/// Uses every part of a model, as the stages do.
fn is_sound(model: &Model) {
    let bytes = artifact::encode(model).unwrap();
    let again = artifact::decode(&bytes, "again").unwrap();
    assert_eq!(again, *model);
    let digest = Digest::of(&bytes);
    assert_eq!(Card::of(model, digest).features.len(), model.fitted.coefficients.len());
    let golden = Golden::of(model, digest, &Table::new(&model.schema));
    // Forged numbers may overflow; then a probability is none, which is no match.
    let _ = golden.verify(model, digest, "again");
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs itself again, in a process whose memory nobody else uses.
#[test]
fn corrupted_files_are_clean_errors_in_bounded_memory() {
    if variable("MLOPS_ALONE").is_some() {
        return corrupted_files();
    }
    let name = "model_file::corrupted_files_are_clean_errors_in_bounded_memory";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("MLOPS_ALONE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let report = text.lines().find(|l| l.contains(" files: ")).expect("it ran");
    println!("{report}");
}

#[expect(clippy::print_stdout, reason = "the figures of a soak")]
fn corrupted_files() {
    let all = [scene(), tuned(), shaped()].map(|scene| {
        let good = fs::read(scene.path("model/trainedmodel.bin")).unwrap();
        let original = artifact::decode(&good, "good").unwrap();
        (good, original)
    });
    let before = peak_kib();
    let (mut errors, mut equal, mut other) = (0, 0, 0);
    let count = repetitions(5_000, 100_000);
    for seed in 0..count {
        let mut random = Random(seed);
        let (good, original) = &all[usize::try_from(seed % 3).unwrap()];
        let mut bytes = good.clone();
        let sealed = damage(&mut random, &mut bytes);
        match artifact::decode(&bytes, "the/file.bin") {
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with("the/file.bin: "), "seed {seed}: {text}");
                errors += 1;
            }
            Ok(model) if model == *original => {
                assert!(sealed || bytes == *good, "seed {seed}: the damage goes unnoticed");
                equal += 1;
            }
            Ok(model) => {
                assert!(sealed, "seed {seed}: a damaged file is taken for a model");
                is_sound(&model);
                other += 1;
            }
        }
    }
    let grown = peak_kib() - before;
    assert!(grown < 64 << 10, "memory grew by {grown} KiB");
    println!("{count} files: {errors} errors, {equal} equal, {other} other models; {grown} KiB");
}

#[test]
fn a_model_survives_its_file() {
    for (scene, version) in [(scene(), 2), (tuned(), 3)] {
        let bytes = fs::read(scene.path("model/trainedmodel.bin")).unwrap();
        assert_eq!(bytes[8], version);
        let model = artifact::decode(&bytes, "a").unwrap();
        assert_eq!(artifact::encode(&model).unwrap(), bytes);
        is_sound(&model);
        let golden: Golden = serde_json::from_str(&scene.read("model/golden.json")).unwrap();
        golden.verify(&model, Digest::of(&bytes), "a").unwrap();
    }
}

#[test]
fn a_foreign_or_huge_file_says_what_it_is() {
    let text = |bytes: &[u8]| artifact::decode(bytes, "m.bin").unwrap_err().to_string();
    assert!(text(b"").contains("cut off"));
    assert!(text(&[0x80; 100]).contains("not one of our models"));
    let good = fs::read(fixture("artifact_v1.bin")).unwrap();
    let mut newer = good.clone();
    newer[8] = 99;
    assert!(text(&newer).contains("format version 99"));
    let mut huge = good;
    huge.resize(80 << 20, 0);
    seal(&mut huge);
    assert!(text(&huge).contains("damaged"));
}

/// Each format version, kept for ever: a program that cannot read one any more must say so in its
/// change log, and in the error. A new version needs a sample of its own beside these.
#[test]
fn a_file_of_version_one_two_and_three_loads() {
    if variable("MLOPS_MAKE_FIXTURE").is_some() {
        let scene = complete();
        fs::copy(scene.path("model/trainedmodel.bin"), fixture("artifact_v3.bin")).unwrap();
        fs::copy(scene.path("model/golden.json"), fixture("artifact_v3.golden.json")).unwrap();
    }
    let first =
        ["x", "y", "z", "colour=blue, light", "colour=green", "colour=red", "size=L", "size=M"];
    // The second version can pool rare levels.
    let second =
        ["x", "y", "colour=green", "colour=red", "colour=(infrequent)", "size=L", "size=XL"];
    // The third has splines, dates and bins.
    let third = ["x (spline 1)", "x (spline 2)", "x (spline 3)", "y (woe)", "z"];
    for (version, features) in [(1, &first[..]), (2, &second[..]), (3, &third[..])] {
        let name = format!("artifact_v{version}.bin");
        let bytes = fs::read(fixture(&name)).unwrap();
        assert_eq!(bytes[8], version, "the version that it is named after");
        let model = artifact::decode(&bytes, &name).unwrap();
        let golden = fixture(&format!("artifact_v{version}.golden.json"));
        let golden: Golden = serde_json::from_str(&fs::read_to_string(golden).unwrap()).unwrap();
        golden.verify(&model, Digest::of(&bytes), &name).unwrap();
        assert!(golden.rows.len() > 10);
        assert_eq!(model.features()[..features.len()], *features);
        assert_eq!((model.label(true), model.label(false)), ("yes", "no"));
        let again = artifact::encode(&model).unwrap();
        assert_eq!(artifact::decode(&again, "again").unwrap(), model);
        if version >= 2 {
            assert!(again == bytes, "the versions that we write");
        }
        if version == 3 {
            let tuned = &model.tuned;
            assert!(tuned.cutoff.is_some() && tuned.grid.is_some() && tuned.prior_shift != 0.0);
            assert_eq!(model.window.as_ref().unwrap().window, Window::HalfLife(150));
            assert!(model.encoder.dates[0].month);
            assert!(model.encoder.categorical.iter().any(|feature| feature.bins.is_some()));
        }
    }
}
