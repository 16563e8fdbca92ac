//! Several folders as sources: each with its own pattern, names and number format, one data set.

use std::fs;

use mlops_core::stage::ingest::Options;
use mlops_testkit::{HEADER, Scene, sample_rows};
use serde_json::json;

use crate::ingestion::record;

#[test]
fn folders_with_patterns_names_and_formats_of_their_own_make_one_data_set() {
    let scene = Scene::with(&json!({"sources": [
        {"name": "branches", "uri": "branches", "pattern": "**/*.csv",
         "columns": {"cust_id": "corporation", "left": "exited"}},
        {"name": "german", "uri": "german", "format": {"decimal": ","}}
    ]}));
    scene.rows("in/a.csv", "a,1.5,2,3,1\n");
    let theirs = "left,cust_id,lastmonth_activity,lastyear_activity,number_of_employees\n";
    scene.file("branches/2024/north/b.csv", format!("{theirs}0,b,1,2,3\nx,bad,1,2,3\n"));
    scene.file("branches/c.csv", format!("{theirs}1,c,1,2,3\n"));
    scene.file("branches/2024/notes.txt", "no rows");
    scene.file("branches/2024/.hidden.csv", "no rows");
    scene.file("german/d.csv", HEADER.to_owned() + "d,\"1,5\",2,3,0\n");
    scene.file("german/deeper/e.csv", "not looked into without a pattern");
    let options = Options::default();
    scene.configure(&json!({"ingestion": {"max_rejected_share": 0.6}, "sources": [
        {"name": "branches", "uri": "branches", "pattern": "**/*.csv",
         "columns": {"cust_id": "corporation", "left": "exited"}},
        {"name": "german", "uri": "german", "format": {"decimal": ","}}
    ]}));
    let report = scene.ingest_with(options).unwrap();
    assert_eq!(report.failures, [""; 0]);
    let names: Vec<_> = report.files.iter().map(|f| f.name.as_str()).collect();
    let expected = ["a.csv", "branches/2024/north/b.csv", "branches/c.csv", "german/d.csv"];
    assert_eq!(names, expected);
    assert_eq!(
        scene.read("out/finaldata4.csv"),
        format!("{HEADER}a,1.5,2,3,1\nb,1,2,3,0\nc,1,2,3,1\nd,1.5,2,3,0\n")
    );
    let quarantine = scene.read("out/quarantine4.csv");
    assert!(quarantine.contains("\nbranches/2024/north/b.csv,3,"), "{quarantine}");

    // Nothing is new; a corrected file replaces its rows; a rebuild reads each as its source has it.
    let again = scene.ingest().unwrap();
    assert!(again.files.is_empty() && !again.new_version, "{again:?}");
    scene.file("german/d.csv", HEADER.to_owned() + "d,\"2,5\",2,3,0\n");
    let corrected = scene.ingest().unwrap();
    assert_eq!((corrected.superseded, corrected.new_rows), (1, 1), "{corrected:?}");
    let version = corrected.version.unwrap().file_name();
    let now = scene.read(&format!("out/{version}"));
    assert!(now.ends_with("d,2.5,2,3,0\n"), "{now}");
    let rebuilt = scene.ingest_with(Options { rebuild: true, ..options }).unwrap();
    let version = rebuilt.version.unwrap().file_name();
    let mut lines: Vec<_> = now.lines().map(str::to_owned).collect();
    let mut others: Vec<_> =
        scene.read(&format!("out/{version}")).lines().map(str::to_owned).collect();
    lines.sort();
    others.sort();
    assert_eq!(lines, others);
}

#[test]
fn a_file_that_vanished_from_a_source_is_told_once_and_keeps_its_rows() {
    let scene = Scene::with(&json!({"sources": [
        {"name": "deep", "uri": "deep", "pattern": "**/*.csv"}
    ]}));
    scene.rows("deep/x/a.csv", "a,1,2,3,1\n");
    scene.rows("deep/b.csv", "b,1,2,3,0\n");
    scene.ingest().unwrap();
    fs::remove_file(scene.path("deep/x/a.csv")).unwrap();
    let report = scene.ingest().unwrap();
    let said = crate::texts(&report.warnings);
    assert!(said.contains("a file is not there any more: deep/x/a.csv"), "{said}");
    assert_eq!(report.rows, 2);
    assert_eq!(scene.ingest().unwrap().warnings, [""; 0]);
}

#[test]
fn a_source_that_is_not_there_stops_no_other() {
    let scene = Scene::with(&json!({"sources": [
        {"name": "gone", "uri": "nowhere"}, {"name": "there", "uri": "there"},
        {"name": "far", "uri": "s3://bucket/path/"}
    ]}));
    scene.rows("in/a.csv", "a,1,2,3,1\n");
    scene.rows("there/b.csv", "b,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    assert_eq!(report.rows, 2);
    let said = crate::texts(&report.failures);
    assert!(said.contains("source \"gone\"") && said.contains("source \"far\""), "{said}");
    assert_eq!(record(&report, "there/b.csv").counts.rows_kept, 1);
}

#[test]
fn rows_of_a_source_for_testing_are_scored_and_never_trained_on() {
    let keys = json!({"sources": [{"name": "exam", "uri": "exam", "role": "test",
        "columns": {"cust_id": "corporation"}}]});
    let scene = Scene::with(&keys);
    let (train, test) = (sample_rows(400, 1), sample_rows(200, 2));
    scene.rows("in/a.csv", &(train + &test));
    let header = HEADER.replace("corporation", "cust_id");
    scene.file("exam/rows.csv", header + &test);
    fs::remove_dir(scene.path("test")).unwrap();
    let report = scene.ingest().unwrap();
    assert_eq!(report.files.len(), 1, "rows for testing are no rows of the data set");
    let trained = scene.train().unwrap();
    assert!(trained.card.rows <= 400, "{}", trained.card.rows);
    let score = scene.score().unwrap();
    assert!(score.test_files.contains_key("exam/rows.csv"), "{:?}", score.test_files);
    assert_eq!(score.rejected, 0);
}

#[test]
fn problems_of_the_list_are_told_together() {
    let scene = Scene::with(&json!({"sources": [
        {"name": "Bad Name", "uri": "x"},
        {"uri": "y", "patern": "*.csv"},
        {"name": "db", "uri": "postgres://host/db", "mode": "files"},
        {"name": "db", "uri": "sqlite:file.db", "table": "t", "mode": "cursor"},
        {"name": "twice", "uri": "a", "command": ["b"]},
        {"name": "tail", "uri": "c", "cursor": {"column": "x", "lag": "two days"}, "mode": "files"}
    ]}));
    let error = scene.ingest().unwrap_err().to_string();
    for part in [
        "\"sources[0].name\" must consist of",
        "\"sources[1].name\" is missing",
        "\"sources[1].patern\" is not a known key; did you mean \"sources[1].pattern\"?",
        "\"sources[2].table\" or \"query\" is needed",
        "\"sources[2].mode\" must be \"cursor\" or \"snapshot\" for a database",
        "\"sources[3].name\" is \"db\", as that of another source",
        "\"sources[3].cursor\" is missing",
        "\"sources[4].uri\" and \"command\" exclude each other",
        "\"sources[5].cursor.lag\" must be a number and a unit",
    ] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}

/// `ingestion sources` looks at the header of the newest file, so that a name that is wrong is told before
/// a run refuses the file.
#[test]
fn columns_of_a_source_are_checked_when_sources_are_listed() {
    let listed = |columns: serde_json::Value| {
        let scene = Scene::with(&json!({"sources": [
            {"name": "crm", "uri": "crm", "columns": columns}, {"name": "none", "uri": "none"}]}));
        scene.rows("in/near.csv", &sample_rows(5, 1));
        scene.file("crm/a.csv", HEADER.replace("corporation", "cust_id") + "a,1,2,3,1\n");
        fs::create_dir(scene.path("none")).unwrap();
        let listed = mlops_core::stage::sources::list(&scene.context().unwrap()).unwrap();
        let findings = mlops_core::run::context::Report::findings(&listed);
        let texts: Vec<String> = findings.into_iter().map(|finding| finding.text).collect();
        assert_eq!(listed.sources[1].columns.is_some(), !texts.is_empty(), "{texts:?}");
        texts
    };
    assert_eq!(listed(json!({"cust_id": "corporation"})), [""; 0]);
    for (columns, part) in [
        (
            json!({"customer": "corporation"}),
            "\"columns\" names customer, which the file does not have",
        ),
        (json!({}), "the header has no column \"corporation\""),
    ] {
        let texts = listed(columns);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].starts_with("source \"crm\": ") && texts[0].contains(part), "{texts:?}");
        assert!(texts[0].contains("cust_id") && texts[0].contains("a.csv"), "{texts:?}");
    }
}
