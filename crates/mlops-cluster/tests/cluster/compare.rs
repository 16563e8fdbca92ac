//! Files that a cluster compares: the figures, the words and the joined rows of one machine. Not for which rows belong
//! together: the tests of `mlops-compare` have that.

use std::fs;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use mlops_compare::Tolerance;
use mlops_compare::command::{self, Options};

use crate::services::Cluster;
use crate::workspace::{Workspace, files, said};

/// What is compared with what, and how.
struct Case {
    arguments: Vec<String>,
    options: Options,
    output: String,
}

/// Two files, or versions of the data set, by some column, by two with a tolerance, and by whole rows.
fn cases(workspace: &Workspace) -> Vec<Case> {
    let path = |name: &str| workspace.path(name).display().to_string();
    let output = path("joined.csv");
    let case = |left: &str, right: &str, on: &[&str], abs: f64| {
        let mut arguments = vec![left.to_owned(), right.to_owned()];
        if !on.is_empty() {
            arguments.extend(["--on".to_owned(), on.join(",")]);
            arguments.extend(["--abs-tol".to_owned(), abs.to_string()]);
        }
        arguments.extend(["--output".to_owned(), output.clone()]);
        let options = Options {
            left: left.to_owned(),
            right: right.to_owned(),
            on: on.iter().map(|name| (*name).to_owned()).collect(),
            tolerance: Tolerance { abs, rel: 0.0 },
            output: Some(output.clone().into()),
            ..Options::default()
        };
        Case { arguments, options, output: output.clone() }
    };
    let (left, right) = (path("in/0.csv"), path("in/1.csv"));
    vec![
        case(&left, &right, &[], 0.0),
        case(&left, &right, &["corporation"], 0.0),
        case(&right, "2", &["exited", "corporation"], 2.0),
        case("2", &left, &[], 0.0),
    ]
}

impl Case {
    /// What this process says, as text and as JSON, and the joined rows.
    fn alone(&self, workspace: &Workspace) -> [String; 3] {
        let context = workspace.context();
        assert!(context.engine.is_none());
        let found = command::run(&context, &self.options).unwrap();
        let json = serde_json::to_string_pretty(&found).unwrap();
        [found.to_string(), json, self.rows()]
    }

    fn rows(&self) -> String {
        let rows = fs::read_to_string(&self.output).unwrap();
        fs::remove_file(&self.output).unwrap();
        rows
    }

    fn start(&self, workspace: &Workspace, json: bool) -> Child {
        let mut arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        if json {
            arguments.push("--json");
        }
        workspace.start_with("compare", &arguments)
    }

    /// Fails unless what the cluster said and wrote is what one machine does.
    fn check(&self, output: &Output, json: bool, expected: &[String; 3], when: &str) {
        // A record that cannot be read is a failure there as here.
        assert!(matches!(output.status.code(), Some(0 | 1)), "{when}: {}", said(output));
        let told = String::from_utf8_lossy(&output.stdout);
        if json {
            assert_eq!(told.trim_end(), expected[1], "{when}");
        } else {
            assert_eq!(told.trim_end(), expected[0].trim_end(), "{when}");
        }
        assert!(self.rows() == expected[2], "{when}: other rows");
    }
}

/// Files that share rows, and the first data set.
fn prepared() -> Workspace {
    let mut all = files(2, 1_200, 41);
    let shared: String = all[0].1.split_inclusive('\n').skip(1).take(700).collect();
    all[1].1 += &shared;
    let workspace = Workspace::with(&all, "");
    workspace.ingest_alone();
    workspace
}

#[test]
fn one_and_three_executors_compare_as_one_machine() {
    let workspace = prepared();
    let cases = cases(&workspace);
    let expected: Vec<_> = cases.iter().map(|case| case.alone(&workspace)).collect();
    assert!(expected.iter().all(|[_, _, rows]| rows.contains("both") && rows.contains("_only")));
    assert!(expected[1][1].contains("\"unpaired_keys\""), "{}", expected[1][1]);
    let mut cluster = Cluster::of(0);
    for (executors, partitions, range_mib) in [(1, 1, 1024.0), (3, 16, 0.004)] {
        while cluster.executors.len() < executors {
            cluster.add_executor();
        }
        workspace.configure(&cluster.engine(partitions, range_mib));
        for (number, (case, expected)) in cases.iter().zip(&expected).enumerate() {
            let json = number % 2 == 0;
            let output = case.start(&workspace, json).wait_with_output().unwrap();
            let when = format!("{executors} executors, case {number}\n{}", cluster.logs());
            case.check(&output, json, expected, &when);
        }
    }
    assert_eq!(workspace.under_way(), Vec::<String>::new());
}

#[test]
fn an_executor_that_is_killed_while_files_are_compared_changes_nothing() {
    let workspace = prepared();
    let case = &cases(&workspace)[1];
    let expected = case.alone(&workspace);
    for (start, count) in [("left-", 1), ("right-", 8), ("joined-", 1)] {
        let cluster = Cluster::of(3);
        workspace.configure(&cluster.engine(12, 0.003).replace(": 120", ": 60"));
        let mut driver = case.start(&workspace, false);
        workspace.await_files(start, count, &cluster);
        let at_work = driver.try_wait().unwrap().is_none();
        let process = cluster.executors[1].id().to_string();
        Command::new("kill").args(["-s", "KILL", &process]).status().unwrap();
        let begun = Instant::now();
        let mut output = driver.wait_with_output().unwrap();
        assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
        assert!(at_work, "the work was done before anybody was killed: {}", said(&output));
        if said(&output).contains("This step changed nothing") {
            assert_eq!(output.status.code(), Some(1), "{}\n{}", said(&output), cluster.logs());
            assert!(!workspace.path("joined.csv").try_exists().unwrap());
            output = case.start(&workspace, false).wait_with_output().unwrap();
        }
        let when = format!("killed after {count} {start}\n{}", cluster.logs());
        case.check(&output, false, &expected, &when);
        assert_eq!(workspace.under_way(), Vec::<String>::new());
    }
}

#[test]
fn the_options_of_diagnostics_are_those_for_one_machine() {
    let read =
        |path: &str| fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (here, there) = (read("src/main.rs"), read("../../bins/diagnostics/src/main.rs"));
    let fields = |text: &str, start: &str| {
        let body = text.split_once(start).unwrap().1.split_once("\n}").unwrap().0;
        body.split("\n\n").map(|field| field.trim().to_owned()).collect::<Vec<_>>()
    };
    let mut mine = fields(&here, "\nstruct Diagnostics {");
    let mut theirs = fields(&there, "\nstruct Diagnose {");
    mine.retain(|field| !field.contains("common: mlops_runtime::Common"));
    theirs.retain(|field| !field.contains("measure: u32"));
    assert!(mine.len() > 4);
    assert_eq!(mine, theirs);
}
