//! New rows on top of many: an index of the rows spares reading them again. It is derived: without
//! it, with a damaged one or with another data set's, the result is the same.

use std::fs;
use std::path::Path;

use mlops_core::Result;
use mlops_core::config::Ingestion;
use mlops_core::csv::outcome::FileOutcome;
use mlops_core::dataset::builder::{Earlier, Ingest};
use mlops_core::dataset::counts::FileCounts;
use mlops_core::dataset::discover::SourceFile;
use mlops_core::dataset::index::path_of;
use mlops_core::dataset::resources::Resources;
use mlops_core::platform::digest::Digest;
use mlops_core::platform::disk::Disk;
use mlops_core::table::schema::{Schema, SchemaFields};
use mlops_testkit::{Dead, Fault, HEADER, Random, Scene, folder, repetitions};

fn schema() -> Schema {
    let numbers = ["lastmonth_activity", "lastyear_activity", "number_of_employees"];
    let numbers = numbers.map(str::to_owned);
    Schema::new(SchemaFields {
        id: &["corporation".to_owned()],
        numeric: &numbers,
        target: "exited",
        positive_label: "1",
        negative_label: Some("0"),
        ..SchemaFields::default()
    })
}

/// `rows` rows, of which about half are among any other `rows` rows.
fn text(random: &mut Random, rows: usize) -> String {
    (0..rows).fold(HEADER.to_owned(), |text, _| {
        let n = random.below(rows * 2);
        text + &format!("c{n},{},{n},,{}\n", n % 7, n % 2)
    })
}

/// Rows to expect: with many, an index is read whole; with none, rows are looked up in it.
const EXPECTED: [usize; 2] = [4000, 0];

/// Takes the files after the data set `previous`; its bytes, the counts, and its index beside it.
fn ingest(
    dir: &Path,
    previous: Option<&str>,
    files: &[&str],
) -> Result<(Vec<u8>, Vec<FileCounts>)> {
    let found = EXPECTED.map(|expected| ingest_to(dir, previous, files, expected, "new.csv"));
    let [one, other] = found.map(|found| found.map_err(|e| e.to_string()));
    assert!(one == other, "looked up or loaded, it is not the same");
    ingest_to(dir, previous, files, EXPECTED[0], "new.csv")
}

/// The same, `expected_rows` being given, to the file `to`.
fn ingest_to(
    dir: &Path,
    previous: Option<&str>,
    files: &[&str],
    expected_rows: usize,
    to: &str,
) -> Result<(Vec<u8>, Vec<FileCounts>)> {
    let (schema, options, disk) = (schema(), Ingestion::default(), Disk::default());
    let (data, quarantine) = (dir.join(to), dir.join("quarantine.csv"));
    let means = Resources { threads: 2, expected_rows, ..Resources::default() };
    let mut ingest = Ingest::start(&schema, &options, &disk, &data, &quarantine, means)?;
    if let Some(previous) = previous {
        let sound = if previous.starts_with("step") { previous } else { "sound.csv" };
        let digest = Digest::of_file(&dir.join(sound))?;
        ingest.carry_over(Earlier::text(&dir.join(previous), digest))?;
    }
    let mut counts = Vec::new();
    for name in files {
        let candidate = SourceFile { name: (*name).to_owned(), path: dir.join(name) };
        let read = ingest.file(&candidate, &mut (), &mut |_, _| {})?;
        // Of a file that is refused, duplicates are not counted to the end.
        if let FileOutcome::Taken = read.outcome {
            counts.push(read.counts);
        }
    }
    let built = ingest.finish()?;
    built.settle(counts.iter_mut());
    let digest = built.data.2;
    built.data.0.publish(true)?;
    built.index.unwrap().write(&disk, &data, digest)?.publish_unsynced()?;
    Ok((fs::read(&data).unwrap(), counts))
}

/// A folder with a data set `sound.csv`, its index, and more files.
fn scene() -> tempfile::TempDir {
    let dir = folder();
    let mut random = Random(9);
    for name in ["a.csv", "b.csv", "c.csv"] {
        fs::write(dir.path().join(name), text(&mut random, 3000)).unwrap();
    }
    let bad = text(&mut random, 300).replace(",,1", ",,2");
    fs::write(dir.path().join("bad.csv"), bad).unwrap();
    ingest(dir.path(), None, &["a.csv"]).unwrap();
    for (from, to) in [("new.csv", "sound.csv"), ("new.rows", "sound.rows")] {
        fs::rename(dir.path().join(from), dir.path().join(to)).unwrap();
    }
    dir
}

#[test]
fn with_an_index_or_without_the_result_is_the_same() {
    let dir = scene();
    let dir = dir.path();
    let files = ["b.csv", "bad.csv", "c.csv"];
    let index = path_of(&dir.join("sound.csv"));
    let with = ingest(dir, Some("sound.csv"), &files).unwrap();
    assert!(with.1[0].duplicates_across > 100 && with.1[0].duplicates_within > 100);
    // A second step, on the index that the first one wrote.
    fs::copy(dir.join("new.rows"), dir.join("second.rows")).unwrap();
    let bytes = fs::read(&index).unwrap();
    fs::remove_file(&index).unwrap();
    assert!(ingest(dir, Some("sound.csv"), &files).unwrap() == with, "without an index");
    for at in [0, 8, 16, 24, 32, 40, 48, 60, 90, 5000, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        fs::write(&index, damaged).unwrap();
        assert!(ingest(dir, Some("sound.csv"), &files).unwrap() == with, "damaged at {at}");
    }
    for length in [0, 7, 50, 4000, bytes.len() - 1] {
        fs::write(&index, &bytes[..length]).unwrap();
        assert!(ingest(dir, Some("sound.csv"), &files).unwrap() == with, "cut at {length}");
    }
    fs::copy(dir.join("second.rows"), &index).unwrap();
    assert!(ingest(dir, Some("sound.csv"), &files).unwrap() == with, "of another data set");
}

#[test]
fn steps_on_steps_end_where_one_step_does() {
    let dir = scene();
    let dir = dir.path();
    let whole = ingest(dir, None, &["a.csv", "b.csv", "bad.csv", "c.csv"]).unwrap().0;
    // Of every combination of ways, down to steps of one row.
    for ways in 0..8 {
        let expected = |step: usize| EXPECTED[ways >> step & 1];
        let step = |from: &str, file: &[&str], n: usize| {
            let to = format!("step{n}.csv");
            ingest_to(dir, Some(from), file, expected(n), &to).unwrap()
        };
        step("sound.csv", &["b.csv"], 0);
        // Its rows are all known, though the index alone knows them.
        let counts = step("step0.csv", &["a.csv", "bad.csv"], 1).1;
        assert_eq!(counts[0].rows_kept, 0);
        assert_eq!(counts[0].duplicates_across, counts[0].rows_read);
        assert!(step("step1.csv", &["c.csv"], 2).0 == whole, "ways {ways}");
    }
}

/// Whatever is wrong with an index, and whenever that is noticed, the result is the same.
#[test]
fn damage_to_a_page_that_is_looked_up_costs_only_time() {
    let dir = scene();
    let dir = dir.path();
    let files = ["b.csv", "c.csv"];
    let expected = ingest(dir, Some("sound.csv"), &files).unwrap();
    let index = path_of(&dir.join("sound.csv"));
    let bytes = fs::read(&index).unwrap();
    for at in (16..bytes.len()).step_by(3000) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        fs::write(&index, damaged).unwrap();
        let found = ingest_to(dir, Some("sound.csv"), &files, 0, "new.csv").unwrap();
        assert!(found == expected, "damaged at {at}");
        // The index that was made again knows all rows.
        fs::copy(dir.join("new.csv"), dir.join("step0.csv")).unwrap();
        fs::copy(dir.join("new.rows"), dir.join("step0.rows")).unwrap();
        fs::write(&index, &bytes).unwrap();
        let all = ["a.csv", "b.csv", "c.csv"];
        let known = ingest_to(dir, Some("step0.csv"), &all, 0, "step1.csv").unwrap();
        assert!(known.0 == expected.0, "after damage at {at}");
    }
}

#[test]
fn a_damaged_data_set_is_noticed_though_its_index_is_sound() {
    let dir = scene();
    let dir = dir.path();
    let sound = fs::read(dir.join("sound.csv")).unwrap();
    fs::copy(dir.join("sound.rows"), dir.join("other.rows")).unwrap();
    for at in [0, HEADER.len(), sound.len() / 2, sound.len() - 1] {
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        fs::write(dir.join("other.csv"), damaged).unwrap();
        let error = ingest(dir, Some("other.csv"), &["b.csv"]).map(drop).unwrap_err().to_string();
        assert!(error.contains("other.csv is not what the ledger recorded"), "{at}: {error}");
        assert!(!dir.join("new.csv").is_file(), "{at}");
    }
    fs::write(dir.join("other.csv"), &sound[..sound.len() / 2]).unwrap();
    let error = ingest(dir, Some("other.csv"), &["b.csv"]).map(drop).unwrap_err().to_string();
    assert!(error.contains("other.csv is not what the ledger recorded"), "{error}");
}

#[test]
fn only_the_newest_of_large_data_sets_has_an_index() {
    let scene = Scene::new();
    let rows = |from: usize, to: usize| {
        (from..to).fold(HEADER.to_owned(), |text, n| text + &format!("c{n},1,2,3,{}\n", n % 2))
    };
    scene.file("in/a.csv", rows(0, 99_999));
    scene.ingest().unwrap();
    assert!(!scene.path("out/finaldata1.rows").exists(), "not worth a file");
    scene.file("in/b.csv", rows(50_000, 120_000));
    scene.ingest().unwrap();
    assert!(scene.path("out/finaldata2.rows").is_file());
    scene.file("in/c.csv", rows(0, 130_000));
    let third = scene.ingest().unwrap();
    assert_eq!((third.rows, third.new_rows), (130_000, 10_000));
    assert!(!scene.path("out/finaldata2.rows").exists());
    assert!(scene.path("out/finaldata3.rows").is_file());
    assert_eq!(scene.read("out/finaldata3.csv"), rows(0, 130_000));
}

/// The ingestion of a second large file in a fresh workspace, whose disk may fail; then a third one.
/// Returns all data sets, and whether the second one has an index.
fn updates(disk: impl FnOnce() -> Disk, retried: bool) -> (Vec<Vec<u8>>, bool) {
    let mut scene = Scene::new();
    let rows = |from: usize, to: usize| {
        (from..to).fold(HEADER.to_owned(), |text, n| text + &format!("c{n},1,2,3,{}\n", n % 2))
    };
    scene.file("in/a.csv", rows(0, 100_000));
    scene.ingest().unwrap();
    assert!(scene.path("out/finaldata1.rows").is_file(), "worth an index");
    scene.file("in/b.csv", rows(99_990, 100_010));
    scene.disk = disk();
    let done = scene.ingest();
    scene.disk = Disk::default();
    match done {
        Ok(report) => assert_eq!(report.new_rows, 10),
        Err(error) => {
            assert!(retried, "{error}");
            let place = scene.root().display().to_string();
            assert!(error.to_string().contains(&place), "{error}");
            scene.ingest().unwrap();
        }
    }
    let indexed = scene.path("out/finaldata2.rows").is_file();
    scene.file("in/c.csv", rows(100_000, 100_020));
    assert_eq!(scene.ingest().unwrap().new_rows, 10);
    assert!(scene.path("out/finaldata3.rows").is_file(), "made again");
    let names = fs::read_dir(scene.path("out")).unwrap().map(|e| e.unwrap().file_name());
    let litter: Vec<_> = names.filter(|n| n.to_string_lossy().contains(".mlops-")).collect();
    assert!(litter.is_empty(), "{litter:?}");
    let data = (1..=3).map(|n| scene.read_bytes(&format!("out/finaldata{n}.csv"))).collect();
    (data, indexed)
}

#[test]
fn a_fault_at_any_step_around_the_index_costs_time_at_most() {
    let watched = Fault::never();
    let (expected, indexed) = updates(|| watched.disk(), false);
    assert!(indexed);
    // It is written beside the steps of the data set, so that their order differs from run to run;
    // what must hold does not.
    let steps = watched.steps();
    let of_index = |(_, path): &&(_, std::path::PathBuf)| {
        path.extension().is_some_and(|extension| extension == "rows")
    };
    assert!(steps.iter().filter(of_index).count() > 2, "{steps:?}");
    for at in (0..steps.len()).step_by(usize::try_from(repetitions(4, 1)).unwrap()) {
        for code in [5, 28] {
            let (found, _) = updates(|| Fault::error(at, code).disk(), true);
            assert!(found == expected, "error {code} at step {at} of {}", steps.len());
        }
        let (found, _) = updates(|| Dead::from(at), true);
        assert!(found == expected, "dead from step {at} of {} on", steps.len());
    }
}
