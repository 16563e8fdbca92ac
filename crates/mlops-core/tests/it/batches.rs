//! Batches, all new files of a source in one run, that break the contract of their source. Not for single
//! files: see `contract`.

use std::fs;

use mlops_core::ledger::FileStatus;
use mlops_core::run::attention::Attention;
use mlops_core::run::context::Report;
use mlops_core::stage::ingest::Options;
use mlops_core::stage::ingest::report::Ingested;
use mlops_testkit::scene::Scene;
use serde_json::{Value, json};

fn scene(rules: &Value) -> Scene {
    Scene::with(&json!({"contract": {"batch_rows": rules}}))
}

fn rows(scene: &Scene, name: &str, count: u32) {
    let row = |i| format!("{name}{i},1,2,3,{}\n", i % 2);
    scene.rows(&format!("in/{name}.csv"), &(0..count).map(row).collect::<String>());
}

/// Number of rows in the data set, and what somebody has to know.
fn outcome(report: &Ingested) -> (u64, Attention, usize, usize) {
    (report.rows, report.attention(), report.failures.len(), report.refused.len())
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    for severity in ["quarantine", "abort"] {
        let scene = scene(&json!({"min": 10, "severity": severity}));
        rows(&scene, "a", 4);
        rows(&scene, "b", 5);
        let report = scene.ingest().unwrap();
        assert_eq!(outcome(&report), (0, Attention::Failed, 1, 0));
        assert_eq!(
            report.failures[0],
            "the batch of 2 new files of source input breaks its contract: it has 9 rows, and at least 10 \
             are expected. Nothing of it was taken; it is looked at again when one of its files changes, \
             another one comes, or \"contract\" changes"
        );
        assert!(report.files.iter().all(|file| file.status == FileStatus::Failed));
        assert!(!scene.path("out/finaldata1.csv").exists());
        // Nothing is read again while nothing has changed.
        let records = scene.ledger().files().unwrap().len();
        let report = scene.ingest().unwrap();
        assert_eq!(outcome(&report), (0, Attention::Fine, 0, 2), "{report}");
        assert_eq!((report.changed(), scene.ledger().files().unwrap().len()), (false, records));
        // Another file makes it another batch.
        rows(&scene, "c", 1);
        let report = scene.ingest().unwrap();
        assert_eq!(outcome(&report), (10, Attention::Fine, 0, 0), "{report}");
        let version = report.version.unwrap().0;
        assert_eq!(version, 3, "one for each file");
        let data = scene.read("out/finaldata3.csv");
        let ids: Vec<&str> = data.lines().skip(1).map(|row| &row[..1]).collect();
        assert_eq!(ids, ["a", "a", "a", "a", "b", "b", "b", "b", "b", "c"], "in order");
    }
}

#[test]
fn a_batch_that_changes_or_shrinks_is_looked_at_again() {
    let scene = scene(&json!({"max": 10}));
    rows(&scene, "a", 6);
    rows(&scene, "b", 7);
    assert_eq!(outcome(&scene.ingest().unwrap()), (0, Attention::Failed, 1, 0));
    // A file that only got another time is the same.
    rows(&scene, "a", 6);
    let report = scene.ingest().unwrap();
    assert_eq!((report.rows, report.attention(), report.failures.len()), (0, Attention::Fine, 0));
    rows(&scene, "b", 8);
    assert_eq!(outcome(&scene.ingest().unwrap()), (0, Attention::Failed, 1, 0), "still too many");
    fs::remove_file(scene.path("in/b.csv")).unwrap();
    assert_eq!(outcome(&scene.ingest().unwrap()), (6, Attention::Fine, 0, 0));
    // Another contract is a reason, too.
    rows(&scene, "c", 11);
    assert_eq!(scene.ingest().unwrap().rows, 6);
    scene.configure(&json!({"contract": {"batch_rows": {"max": 11}}}));
    assert_eq!(outcome(&scene.ingest().unwrap()), (17, Attention::Fine, 0, 0));
}

#[test]
fn other_sources_and_files_that_are_refused_alone_do_not_count() {
    let scene = Scene::with(&json!({
        "sources": [{"name": "crm", "uri": "crm", "contract": {"batch_rows": {"min": 5}}}],
    }));
    fs::create_dir(scene.path("crm")).unwrap();
    rows(&scene, "a", 2);
    scene.rows("crm/k.csv", "k1,1,2,3,0\nk2,1,2,3,1\nk3,1,2,3,1\n");
    scene.rows("crm/l.csv", "l1,1,2,3,0\nl2,x,2,3,1\nl3,y,2,3,1\n");
    // Of l.csv too many rows are bad, and k.csv alone has too few.
    let report = scene.ingest().unwrap();
    assert_eq!((report.rows, report.failures.len()), (2, 2), "{report}");
    let words = crate::texts(&report.failures);
    assert!(words.contains("batch of 1 new file of source crm"), "{words}");
    assert!(words.contains("l.csv was refused"), "{words}");
    let broken = |name: &str| {
        let files = scene.ledger().files().unwrap();
        let file = files.into_iter().rfind(|file| file.name.ends_with(name)).unwrap();
        (file.status, file.counts.contract.iter().filter(|rule| rule.batch.is_some()).count())
    };
    assert_eq!(broken("k.csv"), (FileStatus::Failed, 1));
    assert_eq!(broken("l.csv"), (FileStatus::Failed, 0));
    // A corrected file of the input folder is none of the source's news.
    rows(&scene, "a", 3);
    assert_eq!(scene.ingest().unwrap().rows, 3);
    scene.rows("crm/l.csv", "l1,1,2,3,0\nl2,1,2,3,1\n");
    assert_eq!(outcome(&scene.ingest().unwrap()), (8, Attention::Fine, 0, 0));
    assert_eq!(broken("k.csv"), (FileStatus::Ingested, 0));
}

#[test]
fn a_correction_counts_and_its_old_rows_stay() {
    let scene = scene(&json!({"min": 3}));
    rows(&scene, "a", 5);
    assert_eq!(scene.ingest().unwrap().rows, 5);
    rows(&scene, "a", 1);
    let report = scene.ingest().unwrap();
    assert_eq!((report.rows, report.attention()), (5, Attention::Failed));
    assert!(report.warnings.iter().any(|words| words.contains("stay in the data set")), "{report}");
    rows(&scene, "b", 2);
    let report = scene.ingest().unwrap();
    assert_eq!((report.rows, report.superseded), (3, 5), "{report}");
    // A rebuild has no new files.
    let rebuild = Options { rebuild: true, ..Options::default() };
    scene.configure(&json!({"contract": {"batch_rows": {"min": 100}}}));
    assert_eq!(scene.ingest_with(rebuild).unwrap().rows, 3);
}

#[test]
fn copies_within_a_batch_go_with_it() {
    let scene = scene(&json!({"min": 3}));
    rows(&scene, "a", 2);
    fs::copy(scene.path("in/a.csv"), scene.path("in/aa.csv")).unwrap();
    assert_eq!(outcome(&scene.ingest().unwrap()), (0, Attention::Failed, 1, 0));
    assert_eq!(scene.ingest().unwrap().refused.len(), 2);
    rows(&scene, "b", 1);
    let report = scene.ingest().unwrap();
    assert_eq!((report.rows, report.failures.len()), (3, 0), "{report}");
    assert_eq!(report.files.iter().filter(|file| file.status == FileStatus::Copy).count(), 1);
}

#[test]
fn the_median_is_that_of_batches_and_a_warning_is_told() {
    let scene = scene(&json!({"versus_median": 0.5, "severity": "warn"}));
    for (run, files) in [["a", "b"], ["c", "d"], ["e", "f"]].iter().enumerate() {
        for name in files {
            rows(&scene, name, 5);
        }
        let report = scene.ingest().unwrap();
        assert_eq!((report.rows, report.warnings.len()), (10 * (run as u64 + 1), 0));
    }
    // A file as large as each of the others is half a batch.
    rows(&scene, "g", 5);
    assert_eq!(scene.ingest().unwrap().warnings, [""; 0]);
    rows(&scene, "h", 4);
    let report = scene.ingest().unwrap();
    assert_eq!((report.rows, report.attention()), (39, Attention::Fine));
    assert_eq!(
        report.warnings,
        [
            "the batch of 1 new file of source input breaks its contract: it has 4 rows, and the median of \
             earlier batches is 10, of which 0.5 to 2 times are allowed"
        ]
    );
    let file = scene.ledger().files().unwrap().pop().unwrap();
    assert_eq!((file.status, file.counts.contract.len()), (FileStatus::Ingested, 1));
}
