//! Files that were corrected, renamed, copied or moved away: the data set is what a fresh
//! ingestion of what they hold now gives.

use std::collections::BTreeSet;
use std::fs;

use mlops_core::ids::DatasetVersion;
use mlops_core::ledger::FileStatus;
use mlops_core::stage::ingest;
use mlops_testkit::{HEADER, Random, Scene};
use serde_json::json;

use crate::ingestion::record;

fn newest(scene: &Scene, version: Option<DatasetVersion>) -> String {
    version.map_or_else(String::new, |v| scene.read(&format!("out/{}", v.file_name())))
}

fn rows(seed: usize) -> String {
    (0..8).map(|n| format!("c{},{},2,3,{}\n", (seed * 5 + n) % 40, seed % 3, n % 2)).collect()
}

#[test]
fn corrected_rows_take_the_place_of_the_wrong_ones() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\nb,1,2,3,1\n");
    scene.rows("in/b.csv", "c,1,2,3,0\nb,1,2,3,1\n");
    scene.ingest().unwrap();
    // b, which the second file has too, comes back with it.
    scene.rows("in/a.csv", "a,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    assert_eq!(report.superseded, 2);
    assert_eq!(
        newest(&scene, report.version),
        format!("{HEADER}a,1,2,3,0\nc,1,2,3,0\nb,1,2,3,1\n")
    );
    let files = scene.ledger().files().unwrap();
    let old = &files[0].counts;
    assert_eq!((old.rows_read, old.rows_kept, old.superseded), (2, 0, 2));
    assert_eq!(record(&report, "a.csv").replaces, files[0].sha256);
    let segments = scene.ledger().segments(report.version.unwrap()).unwrap();
    let parts: Vec<_> = segments.iter().map(|s| (s.batch.0, s.first_row, s.rows)).collect();
    assert_eq!(parts, [(3, 0, 1), (2, 1, 2)]);
    assert_eq!(segments[0].replaces, files[0].sha256);
    // An earlier content comes back.
    scene.rows("in/a.csv", "a,1,2,3,1\nb,1,2,3,1\n");
    let report = scene.ingest().unwrap();
    assert_eq!(
        newest(&scene, report.version),
        format!("{HEADER}a,1,2,3,1\nb,1,2,3,1\nc,1,2,3,0\n")
    );
    assert!(scene.ingest().unwrap().files.is_empty());
}

#[test]
fn a_correction_that_takes_most_rows_away_is_told() {
    let scene = Scene::new();
    let many: String = (0..30).map(|n| format!("a{n},1,2,3,{}\n", n % 2)).collect();
    scene.rows("in/a.csv", &many);
    scene.ingest().unwrap();
    // Half of the rows is a correction like others.
    let lines: Vec<&str> = many.lines().collect();
    scene.rows("in/a.csv", &(lines[..15].join("\n") + "\n"));
    assert!(scene.ingest().unwrap().warnings.is_empty());
    for rows in [7, 0] {
        scene.rows("in/a.csv", &many);
        scene.ingest().unwrap();
        scene.rows(
            "in/a.csv",
            &lines[..rows].iter().map(|line| format!("{line}\n")).collect::<String>(),
        );
        let report = scene.ingest().unwrap();
        assert_eq!((report.rows, report.superseded), (rows as u64, 30));
        let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
        let words = warning.to_string();
        let now = if rows == 0 { "none".to_owned() } else { format!("only {rows}") };
        assert!(words.contains(&format!("gave 30 rows, the new one {now}.")), "{words}");
        assert!(scene.ingest().unwrap().warnings.is_empty());
    }
}

#[test]
fn a_correction_that_is_refused_leaves_the_old_rows_and_a_lost_file_gives_its_own() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.rows("in/b.csv", "b,1,2,3,0\n");
    scene.rows("in/c.csv", "c,1,2,3,0\na,1,2,3,1\n");
    scene.ingest().unwrap();
    scene.file("in/a.csv", "nonsense\n1\n");
    let report = scene.ingest().unwrap();
    assert!(report.new_failures && !report.new_version);
    let said = crate::texts(&report.warnings);
    assert!(said.contains("the 1 row of its earlier content stays in the data set"), "{said}");

    fs::remove_file(scene.path("in/c.csv")).unwrap();
    let report = scene.ingest().unwrap();
    assert!(report.warnings.iter().any(|w| w.contains("in/c.csv")), "{:?}", report.warnings);
    assert!(!scene.ingest().unwrap().warnings.iter().any(|w| w.contains("in/c.csv")), "said once");
    scene.rows("in/b.csv", "b,1,2,3,1\n");
    scene.rows("in/a.csv", "a,9,2,3,1\n");
    let report = scene.ingest().unwrap();
    assert_eq!(
        newest(&scene, report.version),
        format!("{HEADER}a,9,2,3,1\nb,1,2,3,1\nc,1,2,3,0\n")
    );
    let said = crate::texts(&report.warnings);
    assert!(said.contains("1 row of files that no longer exist"), "{said}");
    let error = scene
        .ingest_with(ingest::Options { rebuild: true, ..ingest::Options::default() })
        .unwrap_err()
        .to_string();
    assert!(error.contains("in/c.csv") && error.contains("--partial"), "{error}");
    let partial = ingest::Options { rebuild: true, partial: true, ..ingest::Options::default() };
    assert_eq!(scene.ingest_with(partial).unwrap().rows, 2);
}

#[test]
fn names_that_are_not_text_are_names() {
    use std::os::unix::ffi::OsStrExt;
    let scene = Scene::new();
    for (name, row) in [(b"in/\xff.csv", "a,1,2,3,1\n"), (b"in/\xfe.csv", "b,1,2,3,0\n")] {
        let path = scene.root().join(std::ffi::OsStr::from_bytes(name));
        fs::write(path, format!("{HEADER}{row}")).unwrap();
    }
    scene.rows("in/new\nline.csv", "c,1,2,3,0\n");
    assert_eq!(scene.ingest().unwrap().rows, 3);
    assert_eq!(scene.read("out/ingestedfiles.txt"), "\\xfe.csv\n\\xff.csv\nnew\\nline.csv\n");
    assert!(scene.ingest().unwrap().files.is_empty());
    let rebuild = ingest::Options { rebuild: true, ..ingest::Options::default() };
    assert_eq!(scene.ingest_with(rebuild).unwrap().rows, 3);
}

/// Random edits, renames, copies and removals, against the obvious: each known file, in the order
/// in which they came, with its last good content; equal contents and equal rows once.
#[test]
fn whatever_is_done_to_the_files_the_data_set_is_that_of_a_fresh_ingestion() {
    for seed in 0..30 {
        let mut random = Random(seed + 1);
        let keep = seed % 2 == 1;
        let keys = json!({"ingestion": {"duplicates": if keep { "keep" } else { "drop" }}});
        let scene = Scene::with(&keys);
        // Name and content of each file, in the order in which they came; no name for one that is gone.
        let mut known: Vec<(Option<String>, String)> = Vec::new();
        for step in 0..12 {
            let name = format!("f{}.csv", random.below(5));
            let at = known.iter().position(|(n, _)| n.as_ref() == Some(&name));
            // A content is never again that of another file: which of two equal ones comes first
            // is told below.
            let content = rows(1 + usize::try_from(seed).unwrap() * 100 + step);
            match (at, random.below(4)) {
                (Some(at), 0) => {
                    fs::remove_file(scene.path(&format!("in/{name}"))).unwrap();
                    known[at].0 = None;
                }
                (Some(_), 1) => scene.file(&format!("in/{name}"), ["nonsense\n1\n", ""][step % 2]),
                (Some(at), 2) => {
                    // Its next rows are new ones, at the end.
                    scene.file(&format!("in/{name}"), HEADER);
                    known.remove(at);
                }
                (Some(at), _) => {
                    scene.rows(&format!("in/{name}"), &content);
                    known[at].1 = content;
                }
                (None, _) if known.iter().all(|(n, _)| n.is_some()) => {
                    scene.rows(&format!("in/{name}"), &content);
                    known.push((Some(name), content));
                }
                (None, _) => {}
            }
            let report = scene.ingest().unwrap();
            let mut seen = BTreeSet::new();
            let expected: String = known
                .iter()
                .flat_map(|(_, content)| content.lines())
                .filter(|row| keep || seen.insert((*row).to_owned()))
                .map(|row| format!("{row}\n"))
                .collect();
            if report.version.is_some() && known.iter().all(|(n, _)| n.is_some()) {
                let found = newest(&scene, report.version);
                assert_eq!(found, format!("{HEADER}{expected}"), "seed {seed}, step {step}");
            }
        }
        let ledger = scene.ledger();
        let last = ledger.latest_dataset().unwrap().unwrap();
        let segments = ledger.segments(last.version).unwrap();
        assert_eq!(segments.iter().map(|s| s.rows).sum::<u64>(), last.rows, "seed {seed}");
    }
}

#[test]
fn renamed_and_copied_files_stay_what_they_are() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.rows("in/b.csv", "b,1,2,3,0\n");
    scene.ingest().unwrap();
    // Renamed, then corrected: still the same file.
    fs::rename(scene.path("in/a.csv"), scene.path("in/z.csv")).unwrap();
    let report = scene.ingest().unwrap();
    assert!(!report.new_version && report.warnings.is_empty(), "{:?}", report.warnings);
    scene.rows("in/z.csv", "a,9,2,3,1\n");
    let report = scene.ingest().unwrap();
    assert_eq!(newest(&scene, report.version), format!("{HEADER}a,9,2,3,1\nb,1,2,3,0\n"));
    // A copy holds the content when the original changes.
    fs::copy(scene.path("in/b.csv"), scene.path("in/copy.csv")).unwrap();
    scene.ingest().unwrap();
    scene.rows("in/b.csv", "n,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    let found = newest(&scene, report.version);
    assert_eq!(found, format!("{HEADER}a,9,2,3,1\nn,1,2,3,0\nb,1,2,3,0\n"));
    // And when a file becomes a copy of another, its own rows leave.
    fs::copy(scene.path("in/z.csv"), scene.path("in/b.csv")).unwrap();
    let report = scene.ingest().unwrap();
    assert_eq!(record(&report, "b.csv").status, FileStatus::Copy);
    assert_eq!(newest(&scene, report.version), format!("{HEADER}a,9,2,3,1\nb,1,2,3,0\n"));
    assert!(scene.ingest().unwrap().files.is_empty());
}

#[test]
fn two_files_that_swap_names_keep_their_rows() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.rows("in/b.csv", "b,1,2,3,0\na,1,2,3,1\n");
    scene.ingest().unwrap();
    fs::rename(scene.path("in/a.csv"), scene.path("aside")).unwrap();
    fs::rename(scene.path("in/b.csv"), scene.path("in/a.csv")).unwrap();
    fs::rename(scene.path("aside"), scene.path("in/b.csv")).unwrap();
    let report = scene.ingest().unwrap();
    assert!(!report.new_version && report.superseded == 0, "{report}");
    // A file whose name another one takes over, in the same run.
    fs::rename(scene.path("in/a.csv"), scene.path("in/c.csv")).unwrap();
    scene.rows("in/a.csv", "n,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    let found = newest(&scene, report.version);
    assert_eq!(found, format!("{HEADER}a,1,2,3,1\nn,1,2,3,0\nb,1,2,3,0\n"));
}

#[test]
fn rows_leave_with_the_last_file_that_has_them_wherever_they_were_found_first() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.rows("in/b.csv", "b,1,2,3,0\n");
    scene.ingest().unwrap();
    fs::copy(scene.path("in/a.csv"), scene.path("in/copy.csv")).unwrap();
    scene.ingest().unwrap();
    scene.rows("in/a.csv", "n,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    assert_eq!(report.rows, 3, "{report}");
    scene.rows("in/copy.csv", "m,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    let found = newest(&scene, report.version);
    assert_eq!(found, format!("{HEADER}n,1,2,3,0\nm,1,2,3,0\nb,1,2,3,0\n"));
    // A copy that was removed keeps its rows, whatever becomes of the file that it was made of.
    fs::copy(scene.path("in/b.csv"), scene.path("in/copy2.csv")).unwrap();
    scene.ingest().unwrap();
    scene.rows("in/b.csv", "o,1,2,3,0\n");
    scene.ingest().unwrap();
    fs::remove_file(scene.path("in/copy2.csv")).unwrap();
    scene.ingest().unwrap();
    scene.rows("in/b.csv", "p,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    let found = newest(&scene, report.version);
    assert_eq!(found, format!("{HEADER}n,1,2,3,0\nm,1,2,3,0\np,1,2,3,0\nb,1,2,3,0\n"));
}

#[test]
fn rows_leave_with_a_file_that_has_a_header_alone_and_stay_where_nothing_was_written() {
    let scene = Scene::new();
    for name in ["a", "b", "c"] {
        scene.rows(&format!("in/{name}.csv"), &format!("{name},1,2,3,1\n"));
    }
    scene.ingest().unwrap();
    // The second one is known to have no rows before it is read.
    for (name, left) in [("in/a.csv", 2), ("in/b.csv", 1)] {
        scene.file(name, HEADER);
        let report = scene.ingest().unwrap();
        assert_eq!((report.rows, report.superseded), (left, 1), "{name}: {report}");
        assert!(report.warnings.is_empty(), "{name}: {:?} {report}", report.warnings);
    }
    // Written again, as an export does that has nothing to say: no news.
    let records = scene.ledger().files().unwrap().len();
    for _ in 0..2 {
        fs::remove_file(scene.path("in/a.csv")).unwrap();
        scene.file("in/a.csv", HEADER);
        assert!(!scene.ingest().unwrap().new_version);
    }
    assert_eq!(scene.ledger().files().unwrap().len(), records);

    // Nothing at all may be a write that was cut off: refused once, and its rows stay.
    scene.file("in/zero.csv", "");
    assert!(!scene.ingest().unwrap().new_failures, "it never had any rows");
    for again in [false, true] {
        scene.file("in/c.csv", "");
        let report = scene.ingest().unwrap();
        assert_eq!((report.new_version, report.new_failures), (false, !again), "{report}");
        let said = report.failures.iter().chain(&report.refused).chain(&report.warnings);
        let said = crate::texts(said);
        assert!(said.contains("c.csv") && said.contains("not even a header"), "{said}");
        assert!(again || said.contains("the 1 row of its earlier content stays"), "{said}");
    }
    scene.rows("in/c.csv", "n,1,2,3,1\n");
    let report = scene.ingest().unwrap();
    assert_eq!(newest(&scene, report.version), format!("{HEADER}n,1,2,3,1\n"));
    // The last rows may leave as well, and come back.
    scene.file("in/c.csv", HEADER);
    assert_eq!(scene.ingest().unwrap().rows, 0);
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    let report = scene.ingest().unwrap();
    assert_eq!(newest(&scene, report.version), format!("{HEADER}a,1,2,3,1\n"));
    let rebuild = ingest::Options { rebuild: true, ..ingest::Options::default() };
    assert_eq!(scene.ingest_with(rebuild).unwrap().rows, 1);
}

#[test]
fn a_content_leaves_with_its_last_file_though_another_that_had_it_has_none_any_more() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.rows("in/b.csv", "b,1,2,3,0\n");
    fs::copy(scene.path("in/a.csv"), scene.path("in/copy.csv")).unwrap();
    scene.ingest().unwrap();
    scene.file("in/a.csv", HEADER);
    assert_eq!(scene.ingest().unwrap().rows, 2, "its copy has the row still");
    scene.rows("in/copy.csv", "c,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    assert_eq!(newest(&scene, report.version), format!("{HEADER}c,1,2,3,0\nb,1,2,3,0\n"));
}

#[test]
fn a_refused_file_keeps_no_rows_that_had_left_it_before() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.rows("in/b.csv", "b,1,2,3,0\n");
    fs::copy(scene.path("in/a.csv"), scene.path("in/copy.csv")).unwrap();
    scene.ingest().unwrap();
    scene.file("in/a.csv", HEADER);
    scene.ingest().unwrap();
    // In one run, the file without rows cannot be read, and the last one with them has others.
    scene.file("in/a.csv", "corporation,exited\nx,1\n");
    scene.rows("in/copy.csv", "c,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    assert_eq!(newest(&scene, report.version), format!("{HEADER}c,1,2,3,0\nb,1,2,3,0\n"));
    let said = crate::texts(&report.warnings);
    assert!(!said.contains("earlier content"), "it had none any more: {said}");
}

#[test]
fn where_old_contents_are_to_stay_a_rebuild_without_them_must_be_asked_for() {
    let scene = Scene::with(&json!({"ingestion": {"on_change": "append"}}));
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.ingest().unwrap();
    scene.rows("in/a.csv", "b,1,2,3,1\n");
    assert_eq!(scene.ingest().unwrap().rows, 2);
    let rebuild = ingest::Options { rebuild: true, ..ingest::Options::default() };
    let error = scene.ingest_with(rebuild).unwrap_err().to_string();
    assert!(error.contains("1 row") && error.contains("--partial"), "{error}");
    let partial = ingest::Options { partial: true, ..rebuild };
    assert_eq!(scene.ingest_with(partial).unwrap().rows, 1);
}

#[test]
fn a_file_that_vanished_is_named_once_however_many_of_its_contents_count() {
    let scene = Scene::with(&json!({"ingestion": {"on_change": "append"}}));
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.ingest().unwrap();
    scene.rows("in/a.csv", "b,1,2,3,1\n");
    scene.ingest().unwrap();
    fs::remove_file(scene.path("in/a.csv")).unwrap();
    let said = crate::texts(&scene.ingest().unwrap().warnings);
    let expected = "a file is not there any more: in/a.csv. The 2 rows of the data set that came \
                    from there stay";
    assert_eq!(said, expected);
}

#[test]
fn files_that_swap_folders_keep_their_rows_and_are_corrected_where_they_are_now() {
    let scene = Scene::new();
    let (a, b) = ("a,1,2,3,1\nx,5,2,3,1\n", "b,1,2,3,0\ny,6,2,3,1\n");
    scene.rows("in/a.csv", a);
    scene.rows("in/b.csv", b);
    scene.rows("in/c.csv", "c,1,2,3,0\n");
    assert_eq!(scene.ingest().unwrap().rows, 5);
    scene.rows("in/a.csv", b);
    scene.rows("in/b.csv", a);
    let report = scene.ingest().unwrap();
    assert_eq!((report.rows, report.superseded, report.new_version), (5, 0, false));
    // What stood in a.csv at first stands in b.csv now: it is corrected there.
    scene.rows("in/b.csv", "a,9,2,3,1\n");
    let report = scene.ingest().unwrap();
    let found = newest(&scene, report.version);
    assert_eq!(found, format!("{HEADER}a,9,2,3,1\n{b}c,1,2,3,0\n"));
    // Round again, by three, and one of them corrected on the way.
    scene.rows("in/a.csv", "c,1,2,3,0\n");
    scene.rows("in/c.csv", "a,9,2,3,1\n");
    scene.rows("in/b.csv", "b,2,2,3,0\n");
    let report = scene.ingest().unwrap();
    let rows: BTreeSet<String> =
        newest(&scene, report.version).lines().skip(1).map(str::to_owned).collect();
    let expected = ["a,9,2,3,1", "b,2,2,3,0", "c,1,2,3,0"].map(str::to_owned);
    assert_eq!(rows, BTreeSet::from(expected));
    assert!(scene.ingest().unwrap().files.is_empty());
}

#[test]
fn files_whose_new_content_is_refused_keep_their_rows_and_say_so_each() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.rows("in/b.csv", "b,1,2,3,0\n");
    scene.ingest().unwrap();
    for (name, content) in
        [("a.csv", ""), ("b.csv", ""), ("a.csv", "nonsense\n1\n"), ("b.csv", "nonsense\n1\n")]
    {
        scene.file(&format!("in/{name}"), content);
        let report = scene.ingest().unwrap();
        assert_eq!((report.rows, report.new_version), (2, false), "{name}");
        let said = crate::texts(&report.warnings);
        assert!(said.contains(&format!("{name} changed")) && said.contains("1 row"), "{said}");
    }
    // Renamed, refused, corrected: still the same file.
    fs::rename(scene.path("in/a.csv"), scene.path("in/z.csv")).unwrap();
    scene.rows("in/z.csv", "a,1,2,3,1\n");
    scene.ingest().unwrap();
    scene.file("in/z.csv", "other nonsense\n1\n");
    scene.ingest().unwrap();
    scene.rows("in/z.csv", "a,7,2,3,1\n");
    let report = scene.ingest().unwrap();
    assert_eq!(newest(&scene, report.version), format!("{HEADER}a,7,2,3,1\nb,1,2,3,0\n"));
}

#[test]
fn a_rebuild_of_files_that_have_no_rows_any_more_is_empty_and_of_no_files_changes_nothing() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.ingest().unwrap();
    let rebuild = |partial| {
        let options = ingest::Options { rebuild: true, partial, ..ingest::Options::default() };
        scene.ingest_with(options).unwrap()
    };
    fs::rename(scene.path("in/a.csv"), scene.path("away.csv")).unwrap();
    let report = rebuild(true);
    assert_eq!((report.new_version, report.rows), (false, 1), "{report}");
    scene.file("in/a.csv", HEADER);
    let report = rebuild(false);
    assert_eq!((report.new_version, report.rows), (true, 0), "{report}");
    assert_eq!(newest(&scene, report.version), HEADER);
    assert!(!scene.ingest().unwrap().new_version);
    fs::rename(scene.path("away.csv"), scene.path("in/a.csv")).unwrap();
    assert_eq!(scene.ingest().unwrap().rows, 1);
}
