//! The data that should come: repeated, refused, overdue. What is said of them, how often, and how
//! short.

use std::fs::{self, File};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mlops_core::ids::{DecisionOutcome, Step};
use mlops_core::ledger::FileStatus;
use mlops_core::platform::clock::SteppingClock;
use mlops_core::run::attention::Attention;
use mlops_core::run::context::Report;
use mlops_core::run::decision::{Concern, Decision};
use mlops_core::stage::decide;
use mlops_core::stage::ingest;
use mlops_core::stage::ingest::report::Ingested;
use mlops_testkit::{Scene, sample_rows};
use serde_json::json;

/// `n` good rows whose ids begin with `id`.
fn good(id: &str, n: u32) -> String {
    (0..n).map(|i| format!("{id}{i},{},2,3,{}\n", i % 50, i % 2)).collect()
}

fn only(report: &Ingested) -> &str {
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    &report.warnings[0]
}

#[test]
fn a_file_that_repeats_others_or_itself_is_a_warning_with_examples() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &good("a", 40));
    scene.rows("in/b.csv", &good("b", 40));
    assert!(scene.ingest().unwrap().warnings.is_empty());
    // Of 50 rows, 4 stand in b.csv and 2 in the file itself.
    let rows = good("c", 44);
    let repeated = "b7,7,2,3,1\nb3,3,2,3,1\nb9,9,2,3,1\nb0,0,2,3,0\nc5,5,2,3,1\nc6,6,2,3,0\n";
    scene.rows("in/c.csv", &(rows + repeated));
    let report = scene.ingest().unwrap();
    let counts = &report.files[0].counts;
    assert_eq!((counts.duplicates_within, counts.duplicates_across), (2, 4));
    let said = only(&report).to_owned();
    for part in [
        "c.csv has 50 rows of which 6 (12.0 %) were dropped as duplicates",
        "line 50 (corporation = c5) repeats line 7",
        "line 51 (corporation = c6) repeats line 8",
        "(corporation = b0) repeats a row of b.csv",
        "sent twice",
        "\"ingestion.duplicates\"",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(report.attention(), Attention::Fine);
    // It is kept where the report looks, and said once.
    let record = scene.ledger().files().unwrap().pop().unwrap();
    assert_eq!((record.status, record.reason.as_deref()), (FileStatus::Ingested, Some(&*said)));
    assert!(scene.ingest().unwrap().warnings.is_empty());
}

#[test]
fn a_decision_tells_what_an_ingestion_before_it_found_and_tells_it_once() {
    let scene = crate::decision::live(&json!({}));
    // An ingestion by hand, or a run that was killed before it decided.
    let rows = sample_rows(200, 7);
    scene.rows("source/b.csv", &(rows.clone() + &rows));
    let report = scene.ingest_from("source", ingest::Options::default()).unwrap();
    let said = only(&report).to_owned();
    let decision = crate::decision::decide(&scene);
    assert!(
        decision.data.warnings.iter().any(|w| *w == said.as_str()),
        "{:?}",
        decision.data.warnings
    );
    let decision = crate::decision::decide(&scene);
    assert_eq!((decision.outcome, decision.data.warnings.len()), (DecisionOutcome::NothingNew, 0));
    // In one run it is one warning.
    let rows = sample_rows(100, 8);
    scene.rows("source/c.csv", &(rows.clone() + &rows));
    let decision = crate::decision::decide(&scene);
    assert_eq!(decision.data.warnings.len(), 1, "{:?}", decision.data.warnings);
}

#[test]
fn few_repeated_rows_and_a_whole_file_that_is_known_are_no_warning() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &good("a", 100));
    scene.rows("in/b.csv", &(good("b", 96) + &good("a", 4)));
    assert!(scene.ingest().unwrap().warnings.is_empty(), "4 of 100 are a few");
    fs::copy(scene.path("in/a.csv"), scene.path("in/again.csv")).unwrap();
    let report = scene.ingest().unwrap();
    assert_eq!(report.files[0].status, FileStatus::Copy);
    assert!(report.warnings.is_empty() && !report.new_version, "{report:?}");
    // The same rows in another order are another content without a row of its own.
    let turned: String = good("a", 100).lines().rev().map(|line| line.to_owned() + "\n").collect();
    scene.rows("in/turned.csv", &turned);
    let report = scene.ingest().unwrap();
    let said = only(&report);
    assert!(said.contains("100 rows of which 100 (100.0 %)"), "{said}");
    assert!(said.contains("line 101 (corporation = a0) repeats a row of a.csv"), "{said}");
}

#[test]
fn repeated_rows_are_no_news_where_all_are_kept() {
    let scene = Scene::with(&json!({"ingestion": {"duplicates": "keep"}}));
    scene.rows("in/a.csv", &(good("a", 20) + &good("a", 20)));
    let report = scene.ingest().unwrap();
    assert!(report.rows == 40 && report.warnings.is_empty(), "{report:?}");
}

#[test]
fn thousands_of_similar_files_are_reported_as_ten_and_a_count() {
    let scene = Scene::new();
    scene.rows("in/good.csv", &good("g", 9));
    for i in 0..300 {
        scene.file(&format!("in/bad{i:03}.csv"), format!("no,header,of,ours\n{i}\n"));
        scene.file(&format!("in/note{i:03}.txt"), "");
        scene.rows(&format!("in/more{i:03}.csv"), &(good("g", 1) + &format!("m{i},1,2,3,0\n")));
    }
    let report = scene.ingest().unwrap();
    assert!(report.new_failures);
    for list in [&report.failures, &report.warnings] {
        assert_eq!(list.len(), 11, "{list:?}");
        assert!(list[10].contains("290 more"), "{}", list[10]);
        assert!(list.iter().all(|line| line.len() < 2048));
    }
    assert_eq!((report.ignored.len(), report.ignored_files), (10, 300));
    let text = report.to_string();
    assert!(text.lines().count() < 40, "{text}");
    for part in ["and 591 more", "Passed over 290 more", "FAILED"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(scene.ledger().files().unwrap().len(), 601, "the records have each");
    let again = scene.ingest().unwrap();
    assert!(again.refused.len() == 11 && again.refused[10].contains("290 more"), "{again:?}");
    assert!(serde_json::to_string(&again).unwrap().len() < 20_000, "the record of a run is short");
}

fn touch(scene: &Scene, name: &str, seconds: u64) {
    let file = File::options().append(true).open(scene.path(name)).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

#[test]
fn a_touched_file_is_not_recorded_again_and_again() {
    let scene = Scene::new();
    scene.rows("in/bad.csv", "bad\n");
    scene.rows("in/good.csv", &good("g", 9));
    scene.ingest().unwrap();
    let records = || scene.ledger().files().unwrap().len();
    assert_eq!(records(), 2);
    for time in 1..6 {
        touch(&scene, "in/bad.csv", 1_000_000_000 + time);
        let report = scene.ingest().unwrap();
        assert!(!report.new_failures && report.files.is_empty(), "{report:?}");
        assert!(report.refused[0].starts_with("bad.csv failed before"), "{report:?}");
        assert_eq!(records(), 2, "touched {time} times");
    }
    // That a file which is in was touched is recorded once.
    for time in 1..6 {
        touch(&scene, "in/good.csv", 1_000_000_000 + time);
        let report = scene.ingest().unwrap();
        assert!(!report.new_version && report.rows == 9, "{report:?}");
        assert_eq!(records(), 3, "touched {time} times");
    }
    // What is really new is taken, and a retry looks again.
    scene.rows("in/bad.csv", &good("b", 3));
    assert_eq!(scene.ingest().unwrap().rows, 12);
    scene.rows("in/bad.csv", "bad\n");
    assert!(!scene.ingest().unwrap().new_failures, "this refusal is known");
    let retried =
        scene.ingest_with(ingest::Options { retry: true, ..ingest::Options::default() }).unwrap();
    assert!(!retried.new_failures && retried.files[0].status == FileStatus::Failed);
}

/// A decision at `hours` after the start of the scene's time.
fn decide_after(scene: &Scene, hours: i64) -> Decision {
    let mut context = scene.context().unwrap();
    context.clock = Arc::new(SteppingClock::starting_at(2_000_000_000 + hours * 3600));
    let mut workspace = context.open("fullprocess").unwrap();
    let options = decide::Options::default();
    context
        .step(&mut workspace, Step::FullProcess, |workspace| {
            decide::run(&context, workspace, options)
        })
        .unwrap()
}

#[test]
fn overdue_data_need_a_person_until_rows_come() {
    let scene = Scene::with(&json!({
        "source_folder_path": "source", "monitoring": {"max_data_age_hours": 24},
        "drift": {"min_rows": 100}
    }));
    scene.rows("in/a.csv", &sample_rows(300, 1));
    scene.rows("test/testdata.csv", &sample_rows(120, 2));
    scene.everything().unwrap();
    fs::create_dir(scene.path("source")).unwrap();
    let decision = decide_after(&scene, 20);
    assert_eq!(
        (decision.outcome, decision.attention()),
        (DecisionOutcome::NothingNew, Attention::Fine)
    );
    let decision = decide_after(&scene, 49);
    assert_eq!(decision.attention(), Attention::Person, "{decision}");
    let [Concern::OverdueData { hours, limit, .. }] = decision.concerns.as_slice() else {
        panic!("{:?}", decision.concerns);
    };
    assert!((48..50).contains(hours) && *limit == 24, "{hours}");
    let said = decision.findings()[0].text.clone();
    assert!(said.contains("new data are overdue") && said.contains("source"), "{said}");
    let figures = mlops_core::stage::prometheus::Figures::read(&scene.ledger(), None).unwrap();
    let text = figures.prometheus();
    for part in [
        "mlops_newest_data_timestamp_seconds 20000000",
        "mlops_ingest_rows_total{outcome=\"kept\"} 300\n",
        "mlops_ingest_rows_total{outcome=\"quarantined\"} 0\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // A rebuild brings no rows.
    scene.ingest_with(ingest::Options { rebuild: true, ..ingest::Options::default() }).unwrap();
    assert_eq!(decide_after(&scene, 49).attention(), Attention::Person);
    scene.rows("source/b.csv", &sample_rows(40, 3));
    let decision = decide_after(&scene, 50);
    assert!(decision.concerns.is_empty(), "{:?}", decision.concerns);
    assert_eq!(decide_after(&scene, 60).attention(), Attention::Fine, "nothing lingers");
}

#[test]
fn a_refused_file_fails_a_run_and_then_needs_a_person_as_long_as_it_is_there() {
    let scene = Scene::with(&json!({"source_folder_path": "source"}));
    scene.rows("in/a.csv", &sample_rows(300, 1));
    scene.rows("test/testdata.csv", &sample_rows(120, 2));
    scene.everything().unwrap();
    scene.file("source/bad.csv", "not,the,columns\n1,2,3\n");
    let first = decide_after(&scene, 1);
    assert_eq!(first.attention(), Attention::Failed);
    assert!(first.findings()[0].text.starts_with("bad.csv was refused: the header has no column"));
    for hours in 2..4 {
        let later = decide_after(&scene, hours);
        assert_eq!(later.attention(), Attention::Person, "{later}");
        assert_eq!(later.findings().len(), 1);
        assert!(later.findings()[0].text.contains("bad.csv failed before"), "{later}");
    }
    fs::remove_file(scene.path("source/bad.csv")).unwrap();
    assert_eq!(decide_after(&scene, 5).attention(), Attention::Fine);
}
