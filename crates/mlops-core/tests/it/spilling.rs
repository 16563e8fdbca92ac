//! Ingestion under a memory limit: the same data set, the same counts, through temporary files;
//! whether memory is short from the start or only after some rows.

use std::fs;
use std::path::Path;

use mlops_core::Result;
use mlops_core::config::Ingestion;
use mlops_core::csv::outcome::FileOutcome;
use mlops_core::dataset::builder::{Earlier, Ingest};
use mlops_core::dataset::counts::FileCounts;
use mlops_core::dataset::discover::SourceFile;
use mlops_core::dataset::resources::Resources;
use mlops_core::platform::digest::Digest;
use mlops_core::platform::disk::{Disk, DiskStep};
use mlops_core::table::schema::{Schema, SchemaFields};
use mlops_testkit::{Fault, HEADER, Random, folder, repetitions};

/// What a run of ingestion without any row takes: below it, everything is spilled.
const NOTHING: usize = 15 << 20;

/// The data set and the counts of each file; and how many files were created on the way.
fn ingest(
    dir: &Path,
    previous: Option<&[u8]>,
    means: Resources,
) -> (Vec<u8>, Vec<FileCounts>, usize) {
    let watched = Fault::never();
    let (data, counts) = attempt(dir, &watched.disk(), previous, means).unwrap();
    let created = watched.steps().iter().filter(|(step, _)| *step == DiskStep::CreateFile).count();
    (data, counts, created)
}

/// The same on a disk that may fail.
fn attempt(
    dir: &Path,
    disk: &Disk,
    previous: Option<&[u8]>,
    means: Resources,
) -> Result<(Vec<u8>, Vec<FileCounts>)> {
    let names = ["corporation"].map(str::to_owned);
    let numbers = ["lastmonth_activity", "lastyear_activity", "number_of_employees"];
    let schema = Schema::new(SchemaFields {
        id: &names,
        numeric: &numbers.map(str::to_owned),
        target: "exited",
        positive_label: "1",
        ..SchemaFields::default()
    });
    let options = Ingestion::default();
    let (data, quarantine) = (dir.join("finaldata.csv"), dir.join("quarantine.csv"));
    let mut ingest = Ingest::start(&schema, &options, disk, &data, &quarantine, means)?;
    if let Some(bytes) = previous {
        fs::write(dir.join("previous.csv"), bytes).unwrap();
        ingest.carry_over(Earlier::text(&dir.join("previous.csv"), Digest::of(bytes)))?;
    }
    let mut all = Vec::new();
    for name in ["a.csv", "b.csv", "bad.csv", "c.csv"] {
        let candidate = SourceFile { name: name.to_owned(), path: dir.join(name) };
        let read = ingest.file(&candidate, &mut (), &mut |_, _| {})?;
        match read.outcome {
            FileOutcome::Taken => all.push(read.counts),
            FileOutcome::Failed(_) => assert_eq!(name, "bad.csv"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let built = ingest.finish()?;
    built.settle(all.iter_mut());
    built.data.0.publish(true)?;
    Ok((fs::read(&data).unwrap(), all))
}

/// Four files with duplicates within and across, one of which has too many bad rows.
fn scene(dir: &Path, random: &mut Random) {
    for name in ["a.csv", "b.csv", "bad.csv", "c.csv"] {
        let mut text = HEADER.to_owned();
        for _ in 0..4000 {
            let (id, month) = (random.below(6000), random.below(4));
            let name_of =
                if id % 9 == 0 { format!("\"two\nlines {id}\"") } else { format!("x{id}") };
            let label = if name == "bad.csv" && random.one_in(9) { 7 } else { id % 2 };
            text += &format!("{name_of},{month},,{},{label}\n", id % 3);
        }
        fs::write(dir.join(name), text).unwrap();
    }
}

#[test]
fn a_memory_limit_changes_no_byte_and_no_count() {
    let dir = folder();
    let mut random = Random(5);
    scene(dir.path(), &mut random);
    let expected_rows = 4000;
    for threads in [1, 2, 3, 7] {
        let free = Resources { threads, expected_rows, ..Resources::default() };
        let (data, counts, created) = ingest(dir.path(), None, free);
        assert!(counts.iter().all(|c| c.duplicates_within > 100), "{counts:?}");
        assert!(counts[1..].iter().all(|c| c.duplicates_across > 100), "{counts:?}");
        assert_eq!(created, 2, "the data set and the quarantine");
        let again = ingest(dir.path(), Some(&data), free);
        assert_eq!(again.0, data, "all rows are known");
        // From the start; after a whole table; after two.
        for memory in [0, NOTHING + 45_000, NOTHING + 90_000] {
            let short = Resources { threads: 1, memory, ..free };
            let (bytes, late, created) = ingest(dir.path(), None, short);
            assert!(created > 20, "{memory}: temporary files, not {created}");
            assert_eq!(late, counts, "{memory}");
            assert!(bytes == data, "{memory}: other rows");
            let (bytes, late, created) = ingest(dir.path(), Some(&data), short);
            assert!(created > 20, "{memory}: temporary files, not {created}");
            assert_eq!((bytes, late), (again.0.clone(), again.1.clone()), "{memory}");
        }
    }
}

#[test]
fn a_fault_at_any_step_of_spilling_is_told_and_leaves_nothing() {
    let dir = folder();
    scene(dir.path(), &mut Random(6));
    let sources = || fs::read_dir(dir.path()).unwrap().count();
    let before = sources();
    // From the start; and after a whole table, when rows are read again.
    for memory in [0, NOTHING + 45_000] {
        let short = Resources { threads: 2, memory, expected_rows: 4000, ..Resources::default() };
        let watched = Fault::never();
        let expected = attempt(dir.path(), &watched.disk(), None, short).unwrap();
        let steps = watched.steps();
        assert!(steps.len() > 100, "{} steps are too few to be all", steps.len());
        let (mut told, step_size) = (0, usize::try_from(repetitions(3, 1)).unwrap());
        for (at, (step, path)) in steps.iter().enumerate().step_by(step_size) {
            fs::remove_file(dir.path().join("finaldata.csv")).unwrap();
            for code in [5, 28] {
                let disk = Fault::error(at, code).disk();
                let what = format!("error {code} at step {at} ({step:?} {})", path.display());
                match attempt(dir.path(), &disk, None, short) {
                    Err(error) => {
                        told += 1;
                        let error = error.to_string();
                        assert!(error.contains(&*dir.path().to_string_lossy()), "{what}: {error}");
                    }
                    // That of the index, which is written beside the others, costs only the index.
                    Ok(found) => assert!(found == expected, "{what}"),
                }
                // What was renamed before the last step failed is whole.
                let made = dir.path().join("finaldata.csv");
                assert!(!made.exists() || fs::read(&made).unwrap() == expected.0, "{what}");
                let _ = fs::remove_file(made);
                assert_eq!(sources(), before, "{what}: something is left");
            }
            assert!(attempt(dir.path(), &Disk::default(), None, short).unwrap() == expected);
        }
        // Threads may take their steps in another order than in the watched run, so that a fault meets
        // a step of the index, which is not told. It is one of the few.
        let tried = 2 * steps.len().div_ceil(step_size);
        assert!(told > tried * 3 / 4, "{told} of {tried}");
        fs::remove_file(dir.path().join("finaldata.csv")).unwrap();
    }
}
