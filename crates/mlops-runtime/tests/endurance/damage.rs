//! What people, other programs and old disks do to a workspace, found by the next `fullprocess`:
//! it changes nothing that it should not, says what and where, and the way out that it names is
//! one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlops_core::Error;
use mlops_core::config::Config;
use mlops_core::ids;
use mlops_core::platform::clock::SteppingClock;
use mlops_core::platform::disk::{Disk, DiskStep, Probe};
use mlops_core::release::Pointer;
use mlops_core::run::context::Context;
use mlops_core::stage::decide;
use mlops_core::stage::rollback;

use crate::world::{Program, State, live};
use mlops_testkit::binary::scene::{Scene, alone};

const FULLPROCESS: Program = Program::FullProcess;

fn run(scene: &Scene) -> mlops_core::Result<String> {
    FULLPROCESS.run(scene.root(), Disk::default())
}

/// Two releases, the newer one live.
fn promoted() -> Scene {
    let scene = FULLPROCESS.scene();
    run(&scene).unwrap();
    scene
}

/// The error of a run, with its cause; nothing but logs and records may change by it.
fn fails(scene: &Scene) -> String {
    let error: Error = run(scene).unwrap_err();
    let cause = std::error::Error::source(&error).map_or(String::new(), |e| format!(": {e}"));
    format!("{error}{cause}")
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
}

fn live_folder(scene: &Scene) -> PathBuf {
    match live(scene.root()) {
        Pointer::Release(id) => scene.path("models").join(id.as_str()),
        other => panic!("{other:?}"),
    }
}

/// The way out that the errors name.
fn rolls_back(scene: &Scene) {
    let config = Config::load(&scene.path("config.json")).unwrap();
    let clock = Arc::new(SteppingClock::starting_at(2_000_000_100));
    let context = Context::new(config, clock, Disk::default(), "test");
    let _alone = alone();
    let mut workspace = context.open("deployment").unwrap();
    rollback::run(&context, &mut workspace, None, "the live one is damaged").unwrap();
    drop(workspace);
    drop(context.store().verify(&context.store().live().unwrap().unwrap()).unwrap());
}

/// The other way out.
fn is_replaced_by_force(scene: &Scene) {
    let config = Config::load(&scene.path("config.json")).unwrap();
    let clock = Arc::new(SteppingClock::starting_at(2_000_000_100));
    let context = Context::new(config, clock, Disk::default(), "test");
    let _alone = alone();
    let mut workspace = context.open("fullprocess").unwrap();
    let options = decide::Options { force: true, ..decide::Options::default() };
    decide::run(&context, &mut workspace, options).unwrap();
    drop(context.store().verify(&context.store().live().unwrap().unwrap()).unwrap());
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 3]).unwrap();
}

#[test]
fn a_damaged_live_release_stops_the_run_and_both_ways_out_are_ways_out() {
    let harms: [fn(&Path); 4] = [
        |folder| flip(&folder.join("trainedmodel.bin")),
        |folder| cut(&folder.join("trainedmodel.bin")),
        |folder| fs::remove_file(folder.join("score.json")).unwrap(),
        |folder| fs::remove_dir_all(folder).unwrap(),
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        for way_out in [rolls_back, is_replaced_by_force] {
            let scene = promoted();
            let folder = live_folder(&scene);
            harm(&folder);
            let before = State::of(scene.root());
            let text = fails(&scene);
            let place = folder.display().to_string();
            says(&text, &[&place, "damaged", "`deployment rollback`", "`fullprocess --force`"]);
            State::of(scene.root()).must_be(&before, &format!("harm {number}"));
            way_out(&scene);
        }
    }
}

#[test]
fn a_damaged_ledger_is_never_written_over_and_the_way_out_leads_on() {
    // Its head, its middle, its end.
    let harms: [fn(&mut Vec<u8>); 3] = [
        |bytes| bytes[..20].fill(b'x'),
        |bytes| bytes[8192..].fill(0xa5),
        |bytes| bytes.truncate(20_000),
    ];
    for harm in harms {
        let scene = promoted();
        let path = scene.path("out/ledger.sqlite");
        let _ = fs::remove_file(scene.path("out/ledger.sqlite-wal"));
        let _ = fs::remove_file(scene.path("out/ledger.sqlite-shm"));
        let mut bytes = fs::read(&path).unwrap();
        harm(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let text = fails(&scene);
        says(
            &text,
            &[&path.display().to_string(), "is damaged", "backup", "move the output folder"],
        );
        assert!(fs::read(&path).unwrap() == bytes, "the ledger was written");
        let old = live(scene.root());
        fs::rename(scene.path("out"), scene.path("out.damaged")).unwrap();
        let text = run(&scene).unwrap();
        says(&text, &["200 new rows", "not in these records"]);
        assert_eq!(live(scene.root()), old, "it does as well as ever");
    }
}

#[test]
fn a_missing_ledger_beside_its_data_is_not_begun_afresh() {
    let scene = promoted();
    fs::remove_file(scene.path("out/ledger.sqlite")).unwrap();
    says(&fails(&scene), &["out", "move the folder"]);
}

/// Removes a file when the first step of a run that changes something below `place` begins.
struct Vanish {
    file: PathBuf,
    before: PathBuf,
}

impl Probe for Vanish {
    fn before(&self, step: DiskStep, path: &Path) -> io::Result<()> {
        if step == DiskStep::CreateFile && path.starts_with(&self.before) {
            let _ = fs::remove_file(&self.file);
        }
        Ok(())
    }
}

#[test]
fn a_file_that_vanishes_while_it_is_read_is_left_to_the_next_run() {
    let scene = FULLPROCESS.scene();
    let file = scene.path("source/d.csv");
    let bytes = fs::read(&file).unwrap();
    let vanish = Vanish { file: file.clone(), before: scene.path("out") };
    let text = FULLPROCESS.run(scene.root(), Disk::observed(Arc::new(vanish))).unwrap();
    says(&text, &["d.csv"]);
    fs::write(&file, bytes).unwrap();
    says(&run(&scene).unwrap(), &["50 new rows from d.csv"]);
    let calm = promoted();
    let data = |scene: &Scene| scene.read("out/finaldata4.csv").lines().count();
    assert_eq!(data(&scene), data(&calm));
}

#[test]
fn a_foreign_data_set_in_the_way_is_spared_until_somebody_moves_it() {
    let scene = FULLPROCESS.scene();
    let path = scene.path("out/finaldata4.csv");
    fs::write(&path, "theirs").unwrap();
    let before = State::of(scene.root());
    says(&fails(&scene), &[&path.display().to_string(), "in the way", "Move it"]);
    State::of(scene.root()).must_be(&before, "a foreign file");
    fs::rename(&path, scene.path("out/theirs.csv")).unwrap();
    says(&run(&scene).unwrap(), &["now finaldata4.csv"]);
}

#[test]
fn a_clock_that_was_set_back_loses_no_decision() {
    let scene = promoted();
    let newest = State::of(scene.root());
    let earlier = |seconds| {
        let config = Config::load(&scene.path("config.json")).unwrap();
        let clock = Arc::new(SteppingClock::starting_at(seconds));
        let context = Context::new(config, clock, Disk::default(), "test");
        let _alone = alone();
        let mut workspace = context.open("fullprocess").unwrap();
        let step = context.step(&mut workspace, ids::Step::FullProcess, |workspace| {
            decide::run(&context, workspace, decide::Options::default())
        });
        step.unwrap()
    };
    // In 2001, before all files and records.
    let decision = earlier(1_000_000_000);
    says(&decision.to_string(), &["Nothing to do"]);
    State::of(scene.root()).must_be(&newest, "nothing new");
    let rows = fs::read_to_string(scene.path("in/a.csv")).unwrap().replace("\nc", "\nz");
    fs::write(scene.path("source/e.csv"), rows).unwrap();
    let decision = earlier(1_000_000_000);
    says(&decision.to_string(), &["60 new rows from e.csv"]);
    says(&earlier(999_999_000).to_string(), &["Nothing to do"]);
    says(&run(&scene).unwrap(), &["Nothing to do"]);
}
