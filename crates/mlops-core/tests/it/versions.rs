//! What counts as new, and what a new version of the data set keeps of the old one.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use mlops_core::ids::{DatasetVersion, Step};
use mlops_core::ledger::FileStatus;
use mlops_core::stage::ingest;
use mlops_testkit::{HEADER, Scene};
use serde_json::json;

use crate::ingestion::{record, status};

const REBUILD: ingest::Options = ingest::Options {
    retry: false,
    rebuild: true,
    partial: false,
    settle: std::time::Duration::ZERO,
};

#[test]
fn copies_renames_and_new_times_are_not_new() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.rows("in/b.csv", "b,1,2,3,0\n");
    fs::copy(scene.path("in/b.csv"), scene.path("in/b2.csv")).unwrap();
    let first = scene.ingest().unwrap();
    assert_eq!(first.version, Some(DatasetVersion(2)));
    assert_eq!(record(&first, "b2.csv").same_as.as_deref(), Some("b.csv"));
    fs::rename(scene.path("in/a.csv"), scene.path("in/renamed.csv")).unwrap();
    fs::copy(scene.path("in/b.csv"), scene.path("in/copy.csv")).unwrap();
    let touched = fs::File::options().write(true).open(scene.path("in/b.csv")).unwrap();
    touched.set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
    let report = scene.ingest().unwrap();
    assert!(report.files.iter().all(|f| f.status == FileStatus::Copy), "{:?}", status(&report));
    assert_eq!((report.files.len(), report.new_version), (3, false));
    assert!(scene.ingest().unwrap().files.is_empty());
}

#[test]
fn a_changed_file_counts_and_keeps_its_old_rows_where_that_is_asked_for() {
    let scene = Scene::with(&json!({"ingestion": {"on_change": "append"}}));
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    let old = record(&scene.ingest().unwrap(), "a.csv").sha256;
    scene.rows("in/a.csv", "a,1,2,3,1\nb,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    assert_eq!(record(&report, "a.csv").replaces, old);
    assert_eq!((report.version, report.rows, report.new_rows), (Some(DatasetVersion(2)), 2, 1));
    assert_eq!(record(&report, "a.csv").counts.duplicates_across, 1);
    assert_eq!(scene.read("out/finaldata2.csv"), format!("{HEADER}a,1,2,3,1\nb,1,2,3,0\n"));
    assert_eq!(scene.read("out/finaldata1.csv"), format!("{HEADER}a,1,2,3,1\n"));
}

#[test]
fn a_change_of_the_same_size_and_time_is_seen_while_the_record_is_fresh() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let scene = Scene::at(i64::try_from(now).unwrap() - 20, &json!({}));
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    let modified = fs::metadata(scene.path("in/a.csv")).unwrap().modified().unwrap();
    scene.ingest().unwrap();
    scene.rows("in/a.csv", "a,1,2,3,0\n");
    let file = fs::File::options().write(true).open(scene.path("in/a.csv")).unwrap();
    file.set_modified(modified).unwrap();
    assert_eq!(scene.ingest().unwrap().version, Some(DatasetVersion(2)));
}

#[test]
fn a_changed_schema_is_refused_until_a_rebuild() {
    let scene = Scene::new();
    let header = HEADER.replace("exited", "region,exited");
    scene.file("in/a.csv", format!("{header}a,1,2,3,north,1\nb,4,5,6,south,0\n"));
    scene.file("in/b.csv", format!("{header}c,4,5,6,south,0\n"));
    scene.ingest().unwrap();
    let schema = json!({"schema": {"id": ["corporation"], "numeric": ["lastmonth_activity"],
        "categorical": ["region"], "target": "exited"}});
    scene.configure(&schema);
    let error = scene.ingest().unwrap_err().to_string();
    assert!(error.contains("--rebuild"), "{error}");
    let rebuilt = scene.ingest_with(REBUILD).unwrap();
    assert_eq!((rebuilt.version, rebuilt.rows), (Some(DatasetVersion(4)), 3));
    let expected = "corporation,lastmonth_activity,region,exited\na,1,north,1\nb,4,south,0\n\
                    c,4,south,0\n";
    assert_eq!(scene.read("out/finaldata4.csv"), expected);
    assert!(scene.ingest().unwrap().files.is_empty());
    assert!(scene.path("out/finaldata2.csv").is_file());
}

#[test]
fn a_foreign_data_set_in_the_way_is_spared() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.rows("in/b.csv", "b,1,2,3,0\n");
    scene.file("out/finaldata2.csv", "theirs");
    let before = scene.snapshot();
    let error = scene.ingest().unwrap_err().to_string();
    assert!(error.contains("finaldata2.csv is in the way"), "{error}");
    assert_eq!(scene.snapshot(), before);
    fs::remove_file(scene.path("out/finaldata2.csv")).unwrap();
    symlink("nowhere", scene.path("out/finaldata2.csv")).unwrap();
    let error = scene.ingest().unwrap_err().to_string();
    assert!(error.contains("finaldata2.csv"), "{error}");
    fs::remove_file(scene.path("out/finaldata2.csv")).unwrap();
    assert_eq!(scene.ingest().unwrap().version, Some(DatasetVersion(2)));
}

#[test]
fn versions_count_contents_and_stay_for_ever() {
    let scene = Scene::new();
    scene.rows("in/dataset1.csv", "a,1,2,3,1\nb,1,2,3,0\n");
    scene.rows("in/dataset2.csv", "b,1,2,3,0\nc,1,2,3,0\nbad\n".repeat(10).as_str());
    scene.configure(&json!({"ingestion": {"max_rejected_share": 0.5}}));
    assert_eq!(scene.ingest().unwrap().version, Some(DatasetVersion(2)));
    let first = scene.read("out/finaldata2.csv");
    assert_eq!(first, format!("{HEADER}a,1,2,3,1\nb,1,2,3,0\nc,1,2,3,0\n"));
    let done = scene.snapshot();
    let again = scene.ingest().unwrap();
    assert!(again.files.is_empty() && again.unchanged == 2 && !again.new_version);
    assert_eq!(scene.snapshot(), done, "a second run changes nothing");
    scene.rows("in/dataset3.csv", "d,1,2,3,0\n");
    scene.rows("in/dataset4.csv", "a,1,2,3,1\n");
    let report = scene.ingest().unwrap();
    assert_eq!((report.version, report.rows), (Some(DatasetVersion(4)), 4));
    assert_eq!(scene.read("out/finaldata4.csv"), format!("{first}d,1,2,3,0\n"));
    assert_eq!(scene.read("out/finaldata2.csv"), first);
    let names = "dataset1.csv\ndataset2.csv\ndataset3.csv\ndataset4.csv\n";
    assert_eq!(scene.read("out/ingestedfiles.txt"), names);
}

#[test]
fn practice_and_source_count_together() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\nb,1,2,3,0\n");
    scene.ingest().unwrap();
    scene.rows("source/a.csv", "b,1,2,3,0\nc,1,2,3,0\n");
    let report = scene.ingest_from("source", ingest::Options::default()).unwrap();
    assert_eq!((report.version, report.new_rows), (Some(DatasetVersion(2)), 1));
    assert_eq!(record(&report, "a.csv").counts.duplicates_across, 1);
    assert_eq!(record(&report, "a.csv").replaces, None);
}

#[test]
fn damaged_data_behind_our_back_is_noticed() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\nb,1,2,3,0\n");
    scene.ingest().unwrap();
    scene.rows("out/finaldata1.csv", "a,1,2,3,1\n");
    scene.rows("in/b.csv", "c,1,2,3,1\n");
    let before = scene.snapshot();
    let error = scene.ingest().unwrap_err().to_string();
    assert!(error.contains("finaldata1.csv is not what the ledger recorded"), "{error}");
    assert_eq!(scene.snapshot(), before);
    let error = scene.train().unwrap_err().to_string();
    assert!(error.contains("finaldata1.csv is not what the ledger recorded"), "{error}");
    let rebuilt = scene.ingest_with(REBUILD).unwrap();
    assert_eq!((rebuilt.version, rebuilt.rows), (Some(DatasetVersion(3)), 3));
    fs::remove_file(scene.path("out/finaldata3.csv")).unwrap();
    scene.rows("in/c.csv", "d,1,2,3,1\n");
    // One that is gone, and whose sources are all there, is made again.
    let report = scene.ingest().unwrap();
    assert_eq!((report.version, report.rows), (Some(DatasetVersion(4)), 4));
    assert!(report.warnings[0].contains("finaldata3.csv was gone"), "{:?}", report.warnings);
}

#[test]
fn later_options_do_not_change_rows_already_ingested() {
    let scene = Scene::with(&json!({"ingestion": {"missing_values": ["?"]}}));
    let long = "x".repeat(80);
    scene.rows("in/a.csv", &format!("{long},5,2,3,1\nb,,2,3,0\nb,-9,2,3,0\n"));
    scene.ingest().unwrap();
    // Another meaning of cells would be a mixture: it needs a rebuild.
    scene.configure(&json!({"ingestion": {"missing_values": ["-9"]}}));
    scene.rows("in/b.csv", "c,-9,2,3,1\n");
    let error = scene.ingest().unwrap_err().to_string();
    let named = "\"ingestion.missing_values\" is [\"-9\"] now and was [\"?\"]";
    assert!(error.contains("--rebuild") && error.contains(named), "{error}");
    scene.rows("in/b.csv", "c,?,2,3,1\n");
    scene.configure(&json!({"ingestion": {"missing_values": ["?"], "max_line_bytes": 64}}));
    let report = scene.ingest().unwrap();
    let expected = format!("{HEADER}{long},5,2,3,1\nb,,2,3,0\nb,-9,2,3,0\nc,,2,3,1\n");
    assert_eq!(scene.read("out/finaldata2.csv"), expected);
    assert_eq!(report.rows, 4);
    assert_eq!(scene.train().unwrap().data.rows, 4, "the longest row is trained on as well");
}

#[test]
fn a_file_that_changes_under_our_eyes_waits_and_its_twin_does_not() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,2,3,1\nb,1,2,3,0\n");
    scene.rows("in/b.csv", "a,1,2,3,1\nb,1,2,3,0\n");
    scene.rows("in/c.csv", "c,1,2,3,0\n");
    let path = scene.path("in/a.csv");
    let once = std::sync::Once::new();
    let report = scene.step(Step::Ingestion, |context, workspace| {
        let mut context = context.clone();
        context.progress = std::sync::Arc::new(move |_, _, _| {
            once.call_once(|| fs::write(&path, format!("{HEADER}d,1,2,3,0\n")).unwrap());
        });
        let options = ingest::Options::default();
        ingest::run(&context, workspace, context.config.input(), options)
    });
    let report = report.unwrap();
    let (changing, taken) = (FileStatus::Changing, FileStatus::Ingested);
    assert_eq!(status(&report), [("a.csv", changing), ("b.csv", taken), ("c.csv", taken)]);
    assert!(!report.new_failures, "to wait is not a failure");
    let first = format!("{HEADER}a,1,2,3,1\nb,1,2,3,0\nc,1,2,3,0\n");
    assert_eq!(scene.read("out/finaldata2.csv"), first);
    assert_eq!(scene.ingest().unwrap().version, Some(DatasetVersion(3)));
    assert_eq!(scene.read("out/finaldata3.csv"), first + "d,1,2,3,0\n");
    assert!(scene.ingest().unwrap().files.is_empty());
}
