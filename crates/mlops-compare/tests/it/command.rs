//! `diagnostics compare` as a stage: names of files and versions, what is reported, what is refused.
//! Not for which rows belong together: see `join`. Not for the report's words: the binary's own
//! test reads them.

use std::fs;

use mlops_compare::Tolerance;
use mlops_compare::command::{self, Compared, Options, Rule};
use mlops_core::Result;
use mlops_core::run::attention::Attention;
use mlops_core::run::context::Report;
use mlops_testkit::{HEADER, Scene};
use serde_json::json;

/// `diagnostics compare` with these options; relative names are of the scene's folder.
fn look(scene: &Scene, left: &str, right: &str, more: Options) -> Result<Compared> {
    let named = |name: &str| {
        let path = scene.path(name);
        if path.is_file() { path.display().to_string() } else { name.to_owned() }
    };
    let options = Options { left: named(left), right: named(right), ..more };
    command::run(&scene.context()?, &options)
}

fn on(names: &[&str]) -> Options {
    Options { on: names.iter().map(|n| (*n).to_owned()).collect(), ..Options::default() }
}

fn merged(compared: &Compared) -> [u64; 3] {
    let found = &compared.comparison;
    [found.both, found.left_only, found.right_only]
}

#[test]
fn versions_of_the_data_set_are_compared_by_number_and_by_name() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,1,1,1\nb,2,2,2,0\nc,3,3,3,1\n");
    scene.ingest().unwrap();
    scene.rows("in/b.csv", "c,3,3,3,1\nd,4,,4,0\n");
    scene.ingest().unwrap();
    let before = scene.snapshot();
    let ledger = scene.read_bytes("out/ledger.sqlite");
    for (left, right) in
        [("1", "2"), ("finaldata1.csv", "2"), ("out/finaldata1.csv", "out/finaldata2.csv")]
    {
        let found = look(&scene, left, right, Options::default()).unwrap();
        assert_eq!(merged(&found), [3, 0, 1], "{left} {right}");
        assert_eq!(found.comparison.right_only_examples, [["d", "4", "", "4", "0"]]);
        assert_eq!(
            (found.left.version.map(|v| v.0), found.right.version.map(|v| v.0)),
            (Some(1), Some(2))
        );
        assert!(found.attention() == Attention::Fine && !found.comparison.equal);
    }
    assert!(before == scene.snapshot(), "a comparison changed something");
    assert!(ledger == scene.read_bytes("out/ledger.sqlite"), "a comparison is not recorded");
    let error = look(&scene, "1", "7", Options::default()).unwrap_err().to_string();
    assert!(error.contains("no file 7") && error.contains("the data sets are: 1, 2"), "{error}");
    // The digest tells that a version is not what was recorded.
    fs::write(scene.path("out/finaldata1.csv"), HEADER.to_owned() + "a,1,1,1,1\n").unwrap();
    let damaged = look(&scene, "1", "2", Options::default()).unwrap();
    assert_eq!(damaged.attention(), Attention::Failed);
    assert!(damaged.warnings[0].contains("finaldata1.csv is not what the ledger recorded"));
    fs::remove_file(scene.path("out/finaldata1.csv")).unwrap();
    let error = look(&scene, "1", "2", Options::default()).unwrap_err().to_string();
    assert!(error.contains("its file is gone: restore it"), "{error}");
}

/// The structure of the reference files: 17 and 19 rows, 10 of them the same; 26 corporations, all
/// of them in another file with other figures.
#[test]
fn rows_are_counted_as_an_outer_join_with_an_indicator_counts_them() {
    let scene = Scene::new();
    let rows = |range: std::ops::Range<u32>, factor: u32| -> String {
        range.map(|i| format!("c{i},{},{},{},{}\n", i * factor, 7 * i, i % 9, i % 2)).collect()
    };
    scene.rows("one.csv", &rows(0..17, 3));
    scene.rows("two.csv", &rows(7..26, 3));
    scene.rows("practice.csv", &rows(0..26, 3));
    scene.rows("source.csv", &rows(0..26, 5));
    for (left, right, options, expected) in [
        ("one.csv", "two.csv", Options::default(), [10, 7, 9]),
        ("one.csv", "two.csv", on(&["corporation"]), [10, 7, 9]),
        ("practice.csv", "source.csv", on(&["corporation"]), [26, 0, 0]),
    ] {
        let found = look(&scene, left, right, options).unwrap();
        assert_eq!(merged(&found), expected, "{left} {right}");
        let differing = if left == "practice.csv" { 25 } else { 0 };
        assert_eq!(found.comparison.differences.rows, differing);
    }
}

#[test]
fn a_comparison_waits_for_nobody() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,1,1,1\nb,2,2,2,0\n");
    scene.ingest().unwrap();
    let _held = scene.context().unwrap().open("another run").unwrap();
    let found = look(&scene, "1", "1", Options::default()).unwrap();
    assert!(found.comparison.equal);
}

#[test]
fn differing_cells_are_shown_by_column() {
    let scene = Scene::new();
    scene.rows("old.csv", "a,1,100,1,1\nb,2,,2,0\nc,NA,3,3,1\n");
    let header =
        "exited,corporation,lastyear_activity,lastmonth_activity,number_of_employees,note\n";
    scene.file("new.csv", header.to_owned() + "1,a,101,1.0,01,x\n0,b,,2,5,\n0,d,1,1,1,\n");
    let found = look(&scene, "old.csv", "new.csv", on(&["corporation"])).unwrap();
    assert_eq!(merged(&found), [2, 1, 1]);
    let comparison = &found.comparison;
    assert!(comparison.columns.reordered && !comparison.equal);
    assert_eq!(comparison.columns.right_only, ["note"]);
    let value = serde_json::to_value(&found).unwrap();
    assert_eq!(value["differences"]["rows"], 2);
    assert_eq!(
        value["differences"]["columns"][1],
        json!({"column": "lastyear_activity", "cells": 1, "tolerated": 0, "largest_distance": 1.0,
            "examples": [{"key": ["a"], "left": "100", "right": "101"}]})
    );
    assert_eq!(value["differences"]["columns"][0]["cells"], 0);
    let tolerance = Tolerance { abs: 0.0, rel: 0.01 };
    let more = Options { tolerance, ..on(&["corporation"]) };
    let found = look(&scene, "old.csv", "new.csv", more).unwrap();
    assert_eq!(found.comparison.differences.rows, 1);
    let negative = Tolerance { abs: -1.0, rel: f64::NAN };
    let more = Options { tolerance: negative, ..on(&["corporation"]) };
    let error = look(&scene, "old.csv", "new.csv", more).unwrap_err().to_string();
    assert!(error.contains("--abs-tol must be") && error.contains("--rel-tol must be"), "{error}");
    let error = look(&scene, "old.csv", "new.csv", on(&["company"])).unwrap_err().to_string();
    assert!(error.contains("no column \"company\"") && error.contains("corporation"), "{error}");
}

#[test]
fn repeated_keys_are_reported_and_never_paired() {
    let scene = Scene::new();
    scene.file("l.csv", "k,v\na,1\na,2\nb,3\nc,4\n");
    scene.file("r.csv", "k,v\na,2\na,1\nb,3\nd,5\nd,5\n");
    let output = scene.path("joined.csv");
    let more = Options { output: Some(output.clone()), ..on(&["k"]) };
    let found = look(&scene, "l.csv", "r.csv", more.clone()).unwrap();
    assert_eq!(merged(&found), [1, 1, 2]);
    let repeated = &found.comparison.repeated;
    assert_eq!((repeated.keys, repeated.rows), ([1, 2], [2, 4]));
    assert_eq!((repeated.unpaired_keys, repeated.unpaired_rows), (1, [2, 2]));
    assert!(repeated.unpaired_equal, "the same rows in another order");
    assert_eq!(
        scene.read("joined.csv"),
        "k,v_left,v_right,_rows,_merge\na,1,,2:2,both\na,2,,2:2,both\nb,3,3,1:1,both\n\
         c,4,,1:0,left_only\na,,2,2:2,both\na,,1,2:2,both\nd,,5,0:2,right_only\n\
         d,,5,0:2,right_only\n"
    );
    // A file is equal to itself, whatever it is compared on.
    assert!(look(&scene, "r.csv", "r.csv", on(&["k"])).unwrap().comparison.equal);
    for (rule, holds) in
        [(Rule::OneToOne, false), (Rule::OneToMany, false), (Rule::ManyToOne, false)]
    {
        fs::remove_file(&output).ok();
        let ruled = Options { validate: Some(rule), ..more.clone() };
        let found = look(&scene, "l.csv", "r.csv", ruled).unwrap();
        assert_eq!(found.validation.as_ref().unwrap().holds, holds);
        assert!(
            found.attention() == Attention::Failed && found.output.is_none() && !output.is_file()
        );
    }
    scene.file("once.csv", "k,v\na,2\nb,3\n");
    let ruled = Options { validate: Some(Rule::ManyToOne), ..more };
    let found = look(&scene, "l.csv", "once.csv", ruled).unwrap();
    assert!(found.validation.unwrap().holds && output.is_file());
}

#[test]
fn no_output_does_harm() {
    let scene = Scene::new();
    scene.rows("in/a.csv", "a,1,1,1,1\nb,2,2,2,0\n");
    scene.rows("b.csv", "a,1,1,1,1\n");
    scene.file("mine.csv", "k,v\n1,2\n");
    std::os::unix::fs::symlink("b.csv", scene.path("link.csv")).unwrap();
    let before = scene.snapshot();
    for (output, part) in [
        ("b.csv", "is one of the files that are read"),
        ("link.csv", "is one of the files that are read"),
        ("in/joined.csv", "\"input_folder_path\" and would be read as data"),
        ("test/joined.csv", "\"test_data_path\" and would be read as data"),
        ("mine.csv", "is already there and is not a comparison"),
        ("in", "is a folder"),
    ] {
        let more = Options { output: Some(scene.path(output)), ..Options::default() };
        let error = look(&scene, "in/a.csv", "b.csv", more).unwrap_err().to_string();
        assert!(error.contains(part), "{output}: {error}");
    }
    assert!(before == scene.snapshot());
    let more = Options { output: Some(scene.path("new/joined.csv")), ..Options::default() };
    let expected = HEADER.trim_end().to_owned() + ",_merge\na,1,1,1,1,both\nb,2,2,2,0,left_only\n";
    for _ in 0..2 {
        let found = look(&scene, "in/a.csv", "b.csv", more.clone()).unwrap();
        assert_eq!(found.output.unwrap().rows, 2);
        assert_eq!(scene.read("new/joined.csv"), expected, "one of ours is replaced");
    }
    let error = look(
        &scene,
        "new/joined.csv",
        "new/joined.csv",
        Options { output: Some(scene.path("again.csv")), ..Options::default() },
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("two columns \"_merge\""), "{error}");
}

#[test]
fn records_that_cannot_be_read_are_named_and_left_out() {
    let scene = Scene::new();
    scene.file("l.csv", b"k,v\na,1\nb,2,3\nc,\xff\nd,\"4\ne,5\n");
    scene.file("r.csv", "k,v\na,1\n\ne,5\n");
    let found = look(&scene, "l.csv", "r.csv", Options::default()).unwrap();
    assert_eq!(merged(&found), [2, 0, 0]);
    assert!(found.attention() == Attention::Failed && !found.comparison.equal);
    let [left, right] = &found.comparison.unreadable;
    assert_eq!((left.rows, right.rows), (3, 0));
    for (example, part) in left.examples.iter().zip([
        "line 3: expected 2 columns, found 3",
        "line 4: the bytes",
        "line 5: a quote",
    ]) {
        assert!(example.starts_with(part), "{example}");
    }
    scene.file("empty.csv", "\n\n");
    let error = look(&scene, "l.csv", "empty.csv", Options::default()).unwrap_err().to_string();
    assert!(error.contains("empty.csv: the file is empty"), "{error}");
    scene.file("other.csv", "x,y\n1,2\n");
    let error = look(&scene, "l.csv", "other.csv", Options::default()).unwrap_err().to_string();
    assert!(error.contains("no column in common"), "{error}");
}

/// One number with the other decimal separator tells that others are not what they look like.
#[test]
fn a_file_with_the_other_decimal_separator_is_refused() {
    let scene = Scene::new();
    let number = HEADER.trim_end().split(',').nth(1).unwrap().to_owned();
    scene.file("l.csv", format!("k,{number}\na,\"1,500\"\nb,\"0,125\"\n"));
    scene.file("r.csv", format!("k,{number}\na,1500\nb,0.125\n"));
    for (left, right) in [("l.csv", "r.csv"), ("r.csv", "l.csv")] {
        for options in [Options::default(), on(&["k"])] {
            let error = look(&scene, left, right, options).unwrap_err().to_string();
            assert!(error.contains("l.csv: line 3: \"0,125\" has a decimal comma"), "{error}");
            assert!(error.contains("ingestion.decimal"), "{error}");
        }
    }
    // In a column that the schema does not name it is a text as any other.
    scene.file("l.csv", "k,free\na,\"0,125\"\n");
    scene.file("r.csv", "k,free\na,0.125\n");
    assert_eq!(merged(&look(&scene, "l.csv", "r.csv", Options::default()).unwrap()), [0, 1, 1]);
}

#[test]
fn a_file_with_another_separator_is_refused_and_not_compared_as_one_column() {
    let scene = Scene::new();
    for separator in [";", "\t", "|"] {
        for (name, cell) in [("left.csv", "1"), ("right.csv", "1.0")] {
            let text = format!("client,age\nc,{cell}\n").replace(',', separator);
            scene.file(name, text);
        }
        let error = look(&scene, "left.csv", "right.csv", Options::default()).unwrap_err();
        let error = error.to_string();
        for part in ["left.csv", "separated by", "save it with commas"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}

#[test]
fn a_report_on_wide_files_is_short() {
    let scene = Scene::new();
    let wide = |letter: char, last: &str| {
        let names: Vec<String> = (0..20_000).map(|i| format!("{letter}{i}")).collect();
        format!("k,{}\na,{}{last}\n", names.join(","), ",".repeat(19_999))
    };
    scene.file("l.csv", wide('a', "1"));
    scene.file("r.csv", wide('b', "1"));
    let report = look(&scene, "l.csv", "r.csv", on(&["k"])).unwrap().to_string();
    assert!(report.contains("and 19,990 more") && report.len() < 2048, "{report:.4000}");
}

/// A pipe may never end, and nobody may be writing to it: only regular files are read.
#[test]
fn a_pipe_is_named_and_not_opened() {
    let scene = Scene::new();
    scene.file("r.csv", "k,v\na,1\nb,2\n");
    let (reader, _writer) = std::io::pipe().unwrap();
    let left = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    let error = look(&scene, &left, "r.csv", on(&["k"])).unwrap_err();
    let cause = std::error::Error::source(error.kind()).unwrap().to_string();
    assert!(cause.contains("a named pipe: only regular files"), "{error}: {cause}");
}
