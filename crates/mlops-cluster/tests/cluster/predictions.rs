//! Predictions row by row that a cluster makes: the file and the log of one machine. Not for statistics: see
//! [`super::process`].

use std::fs;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use mlops_core::stage::diagnose::{self, Options};
use serde_json::Value;

use crate::process::rows;
use crate::services::Cluster;
use crate::workspace::{Workspace, files, said};

const LOG: &str = r#","service": {"prediction_log_path": "log", "prediction_log_features": true}"#;

/// A live model, and a file with line ends in quotes and records that cannot be read.
fn live() -> Workspace {
    let workspace = Workspace::with(&[("a.csv".to_owned(), rows(900, 1, false))], LOG);
    workspace.process_alone("first_run");
    fs::create_dir(workspace.path("log")).unwrap();
    fs::write(workspace.path("new.csv"), &files(1, 2_500, 51)[0].1).unwrap();
    workspace
}

/// Counts and statistics, the file of predictions, and the lines of the log without times and the id of the run. All
/// files go.
fn written(workspace: &Workspace) -> [String; 3] {
    let take = |name: &str| {
        let path = workspace.path(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(path).unwrap();
        text
    };
    let diagnostics: Value = serde_json::from_str(&take("model/diagnostics.json")).unwrap();
    let of = |key: &str| diagnostics[key].to_string();
    let mut lines = String::new();
    for entry in fs::read_dir(workspace.path("log")).unwrap().flatten() {
        for line in fs::read_to_string(entry.path()).unwrap().lines() {
            let mut line: Value = serde_json::from_str(line).unwrap();
            (line["recorded"], line["request_id"]) = (Value::Null, Value::Null);
            lines += &format!("{line}\n");
        }
        fs::remove_file(entry.path()).unwrap();
    }
    [of("predictions") + &of("columns") + &of("reference"), take("risk.csv"), lines]
}

fn alone(workspace: &Workspace) -> [String; 3] {
    let context = workspace.context();
    let options = Options {
        data: Some(workspace.path("new.csv")),
        output: Some(workspace.path("risk.csv")),
        explain: 2,
        record: true,
        ..Options::default()
    };
    diagnose::run(&context, &mut context.open("test").unwrap(), &options).unwrap();
    written(workspace)
}

fn start(workspace: &Workspace) -> Child {
    let [data, output] =
        ["new.csv", "risk.csv"].map(|name| workspace.path(name).display().to_string());
    let arguments = ["--data", &data, "--output", &output, "--explain", "2", "--record"];
    workspace.start_with("diagnostics", &arguments)
}

fn is_done(output: &Output) -> bool {
    matches!(output.status.code(), Some(0 | 3))
}

#[test]
fn one_and_three_executors_predict_row_by_row_as_one_machine() {
    let workspace = live();
    let expected = alone(&workspace);
    assert!(expected[1].contains("contribution_2") && expected[1].contains("is not a number"));
    assert!(expected[2].lines().count() > 2_000, "{}", expected[2].lines().count());
    let mut cluster = Cluster::of(0);
    for (executors, partitions, range_mib) in [(1, 1, 1024.0), (3, 16, 0.003)] {
        while cluster.executors.len() < executors {
            cluster.add_executor();
        }
        workspace.configure(&(cluster.engine(partitions, range_mib) + LOG));
        let output = start(&workspace).wait_with_output().unwrap();
        assert!(is_done(&output), "{}\n{}", said(&output), cluster.logs());
        assert!(written(&workspace) == expected, "{executors} executors: other predictions");
    }
    assert_eq!(workspace.under_way(), Vec::<String>::new());
}

#[test]
fn an_executor_that_is_killed_while_rows_are_predicted_changes_nothing() {
    let workspace = live();
    let expected = alone(&workspace);
    for (name, count) in [("counts-", 1), ("counts-", 20)] {
        let cluster = Cluster::of(3);
        let engine = cluster.engine(12, 0.003).replace(": 120", ": 60");
        workspace.configure(&(engine + LOG));
        let mut driver = start(&workspace);
        workspace.await_files(name, count, &cluster);
        let at_work = driver.try_wait().unwrap().is_none();
        let process = cluster.executors[1].id().to_string();
        Command::new("kill").args(["-s", "KILL", &process]).status().unwrap();
        let begun = Instant::now();
        let mut output = driver.wait_with_output().unwrap();
        assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
        assert!(at_work, "the work was done before anybody was killed: {}", said(&output));
        if !is_done(&output) {
            assert_eq!(output.status.code(), Some(1), "{}\n{}", said(&output), cluster.logs());
            assert!(said(&output).contains("This step changed nothing"), "{}", said(&output));
            assert!(!workspace.path("risk.csv").try_exists().unwrap());
            output = start(&workspace).wait_with_output().unwrap();
            assert!(is_done(&output), "{}\n{}", said(&output), cluster.logs());
        }
        assert!(written(&workspace) == expected, "killed after {count} {name}: other predictions");
    }
}
