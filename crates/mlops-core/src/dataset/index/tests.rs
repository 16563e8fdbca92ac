//! Tests of the index: its format, damage to it, and its answers compared with a plain set of rows.

#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use xxhash_rust::xxh3::Xxh3;

use super::super::dedup::{RowOutcome, UNUSED};
use super::*;

const HASHER: RowHasher = RowHasher(0x0123_4567_89ab_cdef);
const SEED: u64 = 77;

fn hash(n: u64) -> u128 {
    HASHER.hash(format!("c{n},{},{}\n", n * 7919, n % 2).as_bytes())
}

/// The bytes of a data set, as far as an index is concerned: its digest and what takes it up.
fn data_of(rows: u64) -> (Digest, Resume) {
    let text = format!("the rows 0 to {rows}");
    let (mut digest, mut checksum) = (Sha256State::default(), Xxh3::new());
    digest.update(text.as_bytes());
    checksum.update(text.as_bytes());
    let resume = Resume { digest, checksum: Some(checksum.digest128()) };
    (Digest::of(text.as_bytes()), resume)
}

/// An index of 300 rows of one file, one row of another one was taken back.
fn write_table(data: &Path) -> Digest {
    let mut seen = SeenRows::expecting(0).unwrap();
    seen.next_file();
    seen.insert(hash(1000)).unwrap();
    seen.forget_file();
    for n in 0..300 {
        assert_eq!(seen.insert(hash(n)).unwrap(), RowOutcome::Kept);
    }
    let (digest, resume) = data_of(300);
    let index = Index { hasher: HASHER, rows: 300, resume, body: Body::Seen(seen) };
    let file = index.write_seeded(&Disk::default(), data, digest, SEED).unwrap();
    file.publish_unsynced().unwrap();
    digest
}

/// Adds the rows of a range to what is `known`.
fn write_run(data: &Path, known: Option<&Opened>, rows: impl Iterator<Item = u64>) -> Digest {
    let mut hashes: Vec<u128> = rows.map(hash).collect();
    hashes.sort_unstable();
    let expected = hashes.len() as u64;
    let disk = Disk::default();
    let mut addition = Addition::seeded(&disk, data, known, expected, SEED + 9).unwrap();
    for hash in &hashes {
        addition.push(*hash).unwrap();
    }
    let (body, added) = addition.finish().unwrap();
    assert_eq!(added, expected);
    let rows = known.map_or(0, |known| known.rows) + added;
    let (digest, resume) = data_of(rows);
    let index = Index { hasher: HASHER, rows, resume, body };
    index.write(&disk, data, digest).unwrap().publish_unsynced().unwrap();
    digest
}

/// Which of the rows of a range are known; nothing if that cannot be told.
fn known(index: &Opened, rows: std::ops::Range<u64>) -> Option<BTreeSet<u64>> {
    let mut asked: Vec<(u128, u64)> = rows.map(|n| (hash(n) & !UNUSED, n)).collect();
    asked.sort_unstable();
    let hashes: Vec<u128> = asked.iter().map(|(hash, _)| *hash).collect();
    let hits = index.find(&hashes)?;
    Some(asked.iter().zip(hits).filter(|(_, hit)| *hit).map(|((_, n), _)| *n).collect())
}

/// Kept for ever: a program that cannot read them must not take them for its own.
const TABLE: &[u8] = include_bytes!("../../../tests/fixtures/index_v3.rows");
const RUN: &[u8] = include_bytes!("../../../tests/fixtures/index_v3_run.rows");
const OLD: &[u8] = include_bytes!("../../../tests/fixtures/index_v2.rows");

#[test]
fn the_samples_of_this_version_are_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["finaldata1.csv", "finaldata2.csv"].map(|n| folder.path().join(n));
    let digest = write_table(&first);
    assert!(fs::read(path_of(&first)).unwrap() == TABLE, "the format is another one");
    let opened = Opened::of(&first, digest).unwrap();
    assert_eq!((opened.rows, opened.hasher.0), (300, HASHER.0));
    assert_eq!(known(&opened, 0..1100).unwrap(), (0..300).collect());
    let other = write_run(&second, Some(&opened), 300..400);
    assert!(fs::read(path_of(&second)).unwrap() == RUN, "the format is another one");
    let second = Opened::of(&second, other).unwrap();
    assert_eq!(second.rows, 400);
    assert_eq!(known(&second, 0..1100).unwrap(), (0..400).collect());
    let mut seen = second.load().unwrap();
    seen.next_file();
    for n in 0..600 {
        let expected = if n < 400 { RowOutcome::DuplicateAcross } else { RowOutcome::Kept };
        assert_eq!(seen.insert(hash(n)).unwrap(), expected, "{n}");
    }
    assert!(Opened::of(&first, Digest::of(b"other")).is_none());
    fs::write(path_of(&first), OLD).unwrap();
    assert!(Opened::of(&first, digest).is_none(), "of an older version");
}

#[test]
fn no_damage_is_taken_for_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["finaldata1.csv", "finaldata2.csv"].map(|n| folder.path().join(n));
    let (one, two) = (data_of(300).0, data_of(400).0);
    let loaded = |data: &Path, digest| Opened::of(data, digest).and_then(Opened::load);
    for (data, digest, sample, rows) in [(&first, one, TABLE, 300), (&second, two, RUN, 400)] {
        fs::write(path_of(&first), TABLE).unwrap();
        fs::write(path_of(data), sample).unwrap();
        assert!(loaded(data, digest).is_some());
        for at in 0..sample.len() {
            // All bytes of the ends, and a part of the pages.
            if at % 41 != 0 && (64..sample.len() - 600).contains(&at) {
                continue;
            }
            let mut damaged = sample.to_vec();
            damaged[at] ^= 1 << (at % 8);
            fs::write(path_of(data), damaged).unwrap();
            assert!(loaded(data, digest).is_none(), "a bit of byte {at}");
            // Whoever only asks is told nothing, or the truth.
            let told = Opened::of(data, digest).and_then(|index| known(&index, 290..310));
            let truth = (290..310).filter(|n| *n < rows).collect();
            assert!(told.is_none_or(|told| told == truth), "asked, a bit of byte {at}");
            fs::write(path_of(data), &sample[..at]).unwrap();
            assert!(loaded(data, digest).is_none(), "cut to {at} bytes");
        }
    }
    // What the second one names is gone, or another one.
    fs::write(path_of(&second), RUN).unwrap();
    for other in [RUN, OLD, b""] {
        fs::write(path_of(&first), other).unwrap();
        assert!(loaded(&second, two).is_none());
    }
    fs::remove_file(path_of(&first)).unwrap();
    assert!(loaded(&second, two).is_none());
}

#[test]
fn only_files_that_no_index_names_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let opened = Opened::of(&at("finaldata1.csv"), write_table(&at("finaldata1.csv"))).unwrap();
    write_run(&at("finaldata2.csv"), Some(&opened), 300..400);
    write_run(&at("finaldata3.csv"), Some(&opened), 300..410);
    fs::write(at("finaldata4.rows"), "somebody's own").unwrap();
    fs::copy(at("finaldata2.rows"), at("finaldata.rows")).unwrap();
    fs::copy(at("finaldata2.rows"), at("finaldata2 copy.rows")).unwrap();
    tidy(&Disk::default(), &at("finaldata3.csv")).unwrap();
    let names = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name());
    let names: BTreeSet<_> = names.map(|n| n.into_string().unwrap()).collect();
    let expected = ["finaldata.rows", "finaldata1.rows", "finaldata2 copy.rows"];
    let expected = expected.into_iter().chain(["finaldata3.rows", "finaldata4.rows"]);
    assert_eq!(names, expected.map(str::to_owned).collect());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Steps of any size, each on the index of the one before: it knows exactly the rows added.
    #[test]
    fn it_knows_what_a_plain_set_knows(
        table in any::<bool>(),
        steps in prop::collection::vec((0_u64..3, 1_u64..1500), 1..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let at = |n: usize| folder.path().join(format!("finaldata{n}.csv"));
        let mut rows = if table { 300 } else { 0 };
        let mut digest = if table { write_table(&at(0)) } else { write_run(&at(0), None, 0..0) };
        let mut files = 0;
        for (n, (scale, size)) in steps.into_iter().enumerate() {
            // Small steps are the most frequent ones.
            let more = size >> (5 * scale);
            let opened = Opened::of(&at(n), digest).unwrap();
            digest = write_run(&at(n + 1), Some(&opened), rows..rows + more);
            rows += more;
            tidy(&Disk::default(), &at(n + 1)).unwrap();
            let opened = Opened::of(&at(n + 1), digest).unwrap();
            prop_assert_eq!(opened.rows, rows);
            let asked = rows.saturating_sub(2 * more + 100)..rows + 100;
            let truth = (asked.start..rows).collect();
            prop_assert_eq!(known(&opened, asked).unwrap(), truth);
            files = fs::read_dir(folder.path()).unwrap().count();
        }
        prop_assert!(files <= 15, "{} files", files);
        let opened = Opened::of(&at_last(folder.path()), digest).unwrap();
        prop_assert_eq!(known(&opened, 0..rows + 50).unwrap(), (0..rows).collect());
        let mut seen = opened.load().unwrap();
        seen.next_file();
        for n in 0..rows + 50 {
            let expected = if n < rows { RowOutcome::DuplicateAcross } else { RowOutcome::Kept };
            prop_assert_eq!(seen.insert(hash(n)).unwrap(), expected);
        }
    }
}

/// The data set of the newest index in a folder.
fn at_last(folder: &Path) -> PathBuf {
    let number = |path: &Path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        name.trim_start_matches("finaldata").parse::<u32>().unwrap()
    };
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.max_by_key(|path| number(path)).unwrap().with_extension("csv")
}
