//! The rules of reading files, one test each: headers, spellings, labels, what fails and how loud.
//! Not for what counts as new: see `versions`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use mlops_core::csv::reader::RowReader;
use mlops_core::ids::DatasetVersion;
use mlops_core::ledger::{FileRecord, FileStatus};
use mlops_core::stage::ingest;
use mlops_core::stage::ingest::report::Ingested;
use mlops_testkit::{HEADER, Scene, sample_rows};
use serde_json::json;

const RETRY: ingest::Options = ingest::Options {
    retry: true,
    rebuild: false,
    partial: false,
    settle: std::time::Duration::ZERO,
};

pub(crate) fn status(report: &Ingested) -> Vec<(&str, FileStatus)> {
    report.files.iter().map(|f| (f.name.as_str(), f.status)).collect()
}

pub(crate) fn record<'a>(report: &'a Ingested, name: &str) -> &'a FileRecord {
    report.files.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("{name} is reported"))
}

pub(crate) fn reason<'a>(report: &'a Ingested, name: &str) -> &'a str {
    record(report, name).reason.as_deref().unwrap_or_default()
}

#[test]
fn columns_are_mapped_by_trimmed_name_and_extra_ones_are_reported() {
    let scene = Scene::new();
    let header = " exited ,\"note\",number_of_employees,\" corporation\",lastyear_activity,\
                  lastmonth_activity\n";
    scene.file("in/a.csv", format!("{header}1,x,3,abc,2,1\n"));
    let report = scene.ingest().unwrap();
    assert_eq!(scene.read("out/finaldata1.csv"), format!("{HEADER}abc,1,2,3,1\n"));
    let counts = &record(&report, "a.csv").counts;
    assert_eq!(
        (counts.extra_columns.as_slice(), counts.reordered),
        (&["note".to_owned()][..], true)
    );
    assert!(report.to_string().contains("columns passed over: note"), "{report}");
}

#[test]
fn a_missing_or_repeated_column_fails_that_file_alone() {
    let scene = Scene::new();
    scene.file("in/a.csv", "corporation,lastmonth_activity,lastyear_activity,exited\na,1,2,1\n");
    scene.file("in/b.csv", HEADER.replace('\n', ", exited\n") + "b,1,2,3,1,1\n");
    scene.rows("in/c.csv", "c,1,2,3,0\n");
    scene.file("in/d.csv", "d,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    assert!(reason(&report, "d.csv").contains("is its first line a header?"));
    assert!(!reason(&report, "a.csv").contains('?'));
    assert!(reason(&report, "a.csv").contains("no column \"number_of_employees\""));
    assert!(reason(&report, "b.csv").contains("\"exited\" twice"));
    assert_eq!(scene.read("out/finaldata1.csv"), format!("{HEADER}c,1,2,3,0\n"));
    assert!(report.new_failures && report.new_version);
    assert_eq!(scene.read("out/ingestedfiles.txt"), "c.csv\n");
}

#[test]
fn byte_order_mark_line_ends_and_a_cut_last_line_are_no_obstacle() {
    let scene = Scene::new();
    let text = format!("\u{feff}{HEADER}a,1,2,3,1\nb,1,2,3,0").replace('\n', "\r\n");
    scene.file("in/a.csv", text);
    let report = scene.ingest().unwrap();
    assert_eq!(scene.read("out/finaldata1.csv"), format!("{HEADER}a,1,2,3,1\nb,1,2,3,0\n"));
    let changes = record(&report, "a.csv").counts.changes;
    assert_eq!((changes.byte_order_mark, changes.crlf), (1, 1));
}

#[test]
fn spellings_become_canonical_and_are_counted() {
    let scene = Scene::new();
    scene.rows(
        "in/a.csv",
        " a ,007,\"1,234\",1.0,1.0\n\"b\",NA,null,None,0\nNA,,NaN,2.50,00\n007,1,2,3,1\n",
    );
    let report = scene.ingest().unwrap();
    let expected = "a,7,1234,1,1\nb,,,,0\nNA,,,2.5,0\n007,1,2,3,1\n";
    assert_eq!(scene.read("out/finaldata1.csv"), format!("{HEADER}{expected}"));
    let counts = &record(&report, "a.csv").counts;
    assert_eq!(counts.missing, [0, 2, 2, 1, 0]);
    let kinds: BTreeMap<_, _> = counts.changes.by_kind().into_iter().filter(|k| k.1 > 0).collect();
    let expected = [
        ("trimmed", 1),
        ("unquoted", 1),
        ("leading_zero", 1),
        ("thousands_separator", 1),
        ("decimal_to_integer", 1),
        ("number_format", 1),
        ("label_case", 2),
    ];
    // `"1,234"` needs its quotes only as long as it has its comma.
    assert_eq!(kinds, expected.into_iter().collect());
}

#[test]
fn files_without_rows_are_recorded_and_do_not_count() {
    let scene = Scene::new();
    scene.file("in/empty.csv", "");
    scene.file("in/blank.csv", "\n \r\n\n");
    scene.file("in/header.csv", HEADER);
    let report = scene.ingest().unwrap();
    assert!(report.files.iter().all(|f| f.status == FileStatus::NoRows), "{:?}", status(&report));
    assert!(!report.new_version && !report.new_failures && report.version.is_none());
    assert!(!scene.path("out/finaldata1.csv").is_file());
    scene.rows("in/rows.csv", "a,1,2,3,1\n");
    assert_eq!(scene.ingest().unwrap().version, Some(DatasetVersion(1)));
}

#[test]
fn an_empty_folder_is_nothing_to_do_and_a_missing_one_is_an_error() {
    let scene = Scene::new();
    let report = scene.ingest().unwrap();
    assert!(report.files.is_empty() && report.to_string().contains("No data file"));
    let error = scene.ingest_from("nowhere", ingest::Options::default()).unwrap_err().to_string();
    assert!(error.contains("nowhere") && error.contains("input_folder_path"), "{error}");
}

#[test]
fn an_unreadable_file_fails_alone_and_only_once_loudly() {
    let scene = Scene::new();
    symlink("gone", scene.path("in/a.csv")).unwrap();
    fs::create_dir(scene.path("in/b.csv")).unwrap();
    scene.rows("in/c.csv", "c,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    assert!(reason(&report, "a.csv").contains("cannot read it"));
    assert_eq!(report.ignored[0].name, "b.csv");
    assert!(report.new_failures && report.new_version);
    let again = scene.ingest().unwrap();
    assert!(!again.new_failures && again.refused.len() == 1, "{again:?}");
    assert!(again.files.is_empty(), "out of reach as before: nothing is built or recorded");
    fs::remove_file(scene.path("in/a.csv")).unwrap();
    scene.rows("in/a.csv", "a,1,2,3,0\n");
    assert_eq!(scene.ingest().unwrap().version, Some(DatasetVersion(2)));
}

#[test]
fn folders_and_files_may_be_links() {
    let scene = Scene::new();
    scene.rows("elsewhere/x.csv", "a,1,2,3,1\n");
    scene.rows("store/y", "b,1,2,3,0\n");
    symlink(scene.path("store/y"), scene.path("elsewhere/y.csv")).unwrap();
    fs::remove_dir(scene.path("in")).unwrap();
    symlink("elsewhere", scene.path("in")).unwrap();
    assert_eq!(scene.ingest().unwrap().version, Some(DatasetVersion(2)));
}

#[test]
fn too_many_bad_rows_fail_the_file_whole() {
    let scene = Scene::with(&json!({"ingestion": {"max_rejected_share": 0.25}}));
    scene.rows("in/a.csv", "a,1,2,3,1\nb,1,2,3,0\nc,1,2,3,0\nbad\n");
    scene.rows("in/b.csv", "d,1,2,3,1\ne,1,2,3,0\nbad\nf,x,2,3,0\nbad\n");
    scene.rows("in/c.csv", "d,1,2,3,1\n");
    let report = scene.ingest().unwrap();
    let refused = reason(&report, "b.csv");
    assert!(refused.contains("3 of 5 rows are bad (1 CAST, 2 MISSING COLUMNS)"), "{refused}");
    assert!(refused.contains("the first is line 4: expected 5 columns, found 1"), "{refused}");
    assert_eq!(report.version, Some(DatasetVersion(2)));
    // Nothing of b.csv stayed: d is new in c.csv, and the quarantine knows a.csv alone.
    assert_eq!(record(&report, "c.csv").counts.rows_kept, 1);
    let quarantine = scene.read("out/quarantine2.csv");
    assert_eq!(quarantine.lines().count(), 2);
    let line = format!("a.csv,5,{},2,lastmonth_activity,MISSING COLUMNS,bad,", HEADER.len() + 31);
    assert!(quarantine.contains(&line), "{quarantine}");
}

#[test]
fn a_failed_file_is_loud_once_then_a_warning_until_it_changes_or_is_retried() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "bad\n");
    let first = scene.ingest().unwrap();
    assert!(first.new_failures && !first.new_version);
    let second = scene.ingest().unwrap();
    assert!(!second.new_failures && second.files.is_empty());
    assert!(second.refused[0].contains("failed before"), "{:?}", second.refused);
    // A copy of the failure is the same failure.
    fs::copy(scene.path("in/a.csv"), scene.path("in/b.csv")).unwrap();
    let copied = scene.ingest().unwrap();
    assert!(!copied.new_failures && copied.refused.len() == 2, "{copied:?}");
    fs::remove_file(scene.path("in/b.csv")).unwrap();
    let retried = scene.ingest_with(RETRY).unwrap();
    assert!(!retried.new_failures && record(&retried, "a.csv").status == FileStatus::Failed);
    assert!(scene.ingest().unwrap().files.is_empty());
    // The limit is raised: what was refused under the old one deserves another look.
    scene.configure(&json!({"ingestion": {"max_rejected_share": 1.0}}));
    let raised = scene.ingest().unwrap();
    assert_eq!(record(&raised, "a.csv").status, FileStatus::Ingested);
    assert_eq!(raised.version, Some(DatasetVersion(1)));
    assert!(scene.ingest_with(RETRY).unwrap().files.is_empty());
}

#[test]
fn a_configuration_put_right_takes_the_files_that_it_had_refused() {
    let schema = |target: &str| json!({"schema": {"numeric": ["age"], "target": target}});
    let scene = Scene::with(&schema("churn"));
    scene.file("in/a.csv", "age,churned\n3,1\n4,0\n");
    assert!(reason(&scene.ingest().unwrap(), "a.csv").starts_with("the header has no column"));
    assert!(scene.ingest().unwrap().files.is_empty());
    scene.configure(&schema("churned"));
    assert_eq!(scene.ingest().unwrap().rows, 2);
    assert!(scene.ingest().unwrap().files.is_empty());
}

#[test]
fn equal_files_that_fail_in_one_run_are_both_failures() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "bad\n");
    scene.rows("in/b.csv", "bad\n");
    let report = scene.ingest().unwrap();
    let failed = FileStatus::Failed;
    assert_eq!(status(&report), [("a.csv", failed), ("b.csv", failed)]);
    fs::remove_file(scene.path("in/a.csv")).unwrap();
    let later = scene.ingest().unwrap();
    assert!(later.refused.iter().any(|w| w.contains("b.csv")), "{later:?}");
    scene.configure(&json!({"ingestion": {"max_rejected_share": 1.0}}));
    assert_eq!(scene.ingest().unwrap().version, Some(DatasetVersion(1)));
}

#[test]
fn labels_are_learned_once_and_a_third_is_quarantined() {
    let schema =
        json!({"id": ["who"], "numeric": ["x"], "target": "left", "positive_label": "yes"});
    let options = json!({"max_rejected_share": 0.5});
    let scene = Scene::with(&json!({"schema": schema, "ingestion": options}));
    scene.file("in/a.csv", "who,x,left\na,1,Yes\nb,2,No\nc,3,NO\ne,5,\nf,6,yes\n");
    scene.ingest().unwrap();
    assert_eq!(scene.read("out/finaldata1.csv"), "who,x,left\na,1,yes\nb,2,No\nc,3,No\nf,6,yes\n");
    assert!(scene.read("out/quarantine1.csv").contains("the label is missing"));
    scene.file("in/b.csv", "who,x,left\ng,1,perhaps\nh,1,no\n");
    scene.ingest().unwrap();
    assert!(scene.read("out/finaldata2.csv").ends_with("f,6,yes\nh,1,No\n"));
    assert!(scene.read("out/quarantine2.csv").contains("unknown label"));
}

#[test]
fn a_label_learned_from_a_failed_file_is_forgotten() {
    let schema =
        json!({"id": ["who"], "numeric": ["x"], "target": "left", "positive_label": "yes"});
    let scene = Scene::with(&json!({"schema": schema}));
    scene.file("in/a.csv", "who,x,left\na,1,rubbish\nb\n");
    scene.file("in/b.csv", "who,x,left\na,1,no\n");
    scene.ingest().unwrap();
    assert_eq!(scene.read("out/finaldata1.csv"), "who,x,left\na,1,no\n");
}

#[test]
fn labels_may_hold_commas_and_quotes() {
    let schema = json!({"id": ["who"], "numeric": ["x"], "target": "left",
        "positive_label": "yes, surely"});
    let options = json!({"max_rejected_share": 0.5});
    let scene = Scene::with(&json!({"schema": schema, "ingestion": options}));
    let rows = "a,1,\"yes, surely\"\nb,1,\"not \"\"yet\"\"\"\nc,1,yes, surely\nd,1,not \"yet\"\n";
    scene.file("in/a.csv", format!("who,x,left\n{rows}"));
    let report = scene.ingest().unwrap();
    assert_eq!((report.rows, record(&report, "a.csv").counts.quarantined), (3, 1));
    scene.file("in/b.csv", "who,x,left\ne,1,\"yes, surely\"\n");
    let report = scene.ingest().unwrap();
    assert_eq!(report.rows, 4);
    assert!(scene.read("out/finaldata2.csv").ends_with("e,1,\"yes, surely\"\n"));
}

#[test]
fn other_separators_and_encodings_are_named() {
    let scene = Scene::new();
    scene.file("in/a.csv", HEADER.replace(',', ";") + "a;1;2;3;1\n");
    scene.file("in/b.csv", HEADER.replace(',', "\t") + "a\t1\t2\t3\t1\n");
    let wide: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    scene.file("in/c.csv", [b"\xff\xfe".as_slice(), &wide].concat());
    let report = scene.ingest().unwrap();
    for (name, hint) in [("a.csv", "';'"), ("b.csv", "tabs"), ("c.csv", "UTF-16")] {
        assert!(reason(&report, name).contains(hint), "{}", reason(&report, name));
    }
}

/// A program without decoders says so and changes nothing; with them see `mlops-formats`.
#[test]
fn a_program_without_parquet_refuses_to_write_and_to_read_it() {
    let scene = Scene::with(&json!({"output": {"csv": false, "parquet": true}}));
    scene.rows("in/a.csv", &sample_rows(20, 1));
    let said = scene.ingest().unwrap_err().to_string();
    assert!(said.contains("without Parquet") && said.contains("\"output.csv\" to true"), "{said}");
    assert!(
        !scene.path("out/finaldata1.csv").exists() && scene.ledger().datasets().unwrap().is_empty()
    );
    scene.file("finaldata1.parquet", "PAR1");
    let config = scene.context().unwrap().config;
    let reader = RowReader::labelled(&config.schema, &config.ingestion);
    let said = reader.read(&scene.path("finaldata1.parquet"), |_| Ok(())).unwrap_err().to_string();
    assert!(said.contains("without Parquet"), "{said}");
}
