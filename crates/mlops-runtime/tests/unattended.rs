//! Unattended runs as whole processes: their log files, pings, time limits and exit statuses.
//!
//! The runs are second processes of this test's own program, told by the environment what to do:
//! a watchdog ends its process, and a panic is the end of one.
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use clap::Parser;
use mlops_core::ids::{FindingKind, Step};
use mlops_core::run::attention::{Fact, Finding};
use mlops_core::run::context::Report;
use mlops_runtime::Common;
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

/// What the second process does.
const TASK: &str = "MLOPS_TEST_TASK";

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Done {
    person: bool,
}

impl Report for Done {
    fn findings(&self) -> Vec<Finding> {
        if self.person {
            vec![Finding::person(FindingKind::Data, "look at the labels")]
        } else {
            Vec::new()
        }
    }

    fn facts(&self) -> Vec<Fact> {
        vec![Fact::new("f1", 0.5)]
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "all is done")
    }
}

/// The second process.
#[test]
#[ignore = "the second process of other tests"]
fn second_process() {
    let Ok(task) = std::env::var(TASK) else { return };
    let (task, arguments) = task.split_once(' ').unwrap();
    let common = Arguments::parse_from(["test"].into_iter().chain(arguments.split(' '))).common;
    let status = mlops_runtime::run_unattended(Step::FullProcess, &common, |_, _, watchdog| {
        watchdog.stage("training");
        let worker = std::thread::spawn(|| tracing::info!(target: "mlops", "from another\nthread"));
        worker.join().unwrap();
        match task {
            "fail" => return Err(mlops_core::Error::data("only one class")),
            "panic" => panic!("at the disco"),
            "hang" => std::thread::sleep(Duration::from_mins(10)),
            _ => {}
        }
        Ok(Done { person: task == "person" })
    });
    // The harness would make the same of all failures.
    let known = [0, 1, 2, 3, 75].into_iter().find(|known| ExitCode::from(*known) == status);
    std::process::exit(i32::from(known.unwrap()));
}

/// A workspace, and a server that is pinged.
struct Scene {
    root: TempDir,
    pings: Receiver<String>,
}

impl Scene {
    fn new(limits: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/key", listener.local_addr().unwrap());
        let (sender, pings) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut request = String::new();
                while stream.read_line(&mut request).unwrap_or(0) > 2 {}
                let length = request.lines().find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
                });
                let mut body = vec![0; length.unwrap_or(0)];
                std::io::Read::read_exact(&mut stream, &mut body).unwrap();
                let path = request.split(' ').nth(1).unwrap_or_default();
                let body = String::from_utf8(body).unwrap();
                let _ = sender.send([path, &body].join(" ").trim().replace('\n', "|"));
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                stream.get_mut().write_all(answer).unwrap();
            }
        });
        let scene = Self { root: tempfile::tempdir().unwrap(), pings };
        let config = format!(
            r#"{{"input_folder_path":"in","output_folder_path":"out","test_data_path":"test",
            "output_model_path":"m","prod_deployment_path":"p",
            "monitoring":{{"ping_url":"{url}"}},"limits":{limits}}}"#
        );
        fs::write(scene.at("config.json"), config).unwrap();
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self, task: &str, arguments: &str) -> Command {
        let config = self.at("config.json");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "second_process", "--ignored", "--nocapture"])
            .env(TASK, format!("{task} {arguments} --config {}", config.display()));
        command
    }

    fn run(&self, task: &str, arguments: &str) -> Output {
        self.command(task, arguments).output().unwrap()
    }

    fn pinged(&self) -> Vec<String> {
        self.pings.try_iter().collect()
    }

    /// The lines of the only log, all of which must name the run.
    fn log(&self) -> Vec<String> {
        let logs: Vec<_> = fs::read_dir(self.at("out/logs")).unwrap().collect();
        assert_eq!(logs.len(), 1, "{logs:?}");
        let path = logs[0].as_ref().unwrap().path();
        let run = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let stamps = [format!("{run} "), format!("{{\"run\":\"{run}\",")];
        for line in text.lines() {
            assert!(stamps.iter().any(|stamp| line.starts_with(stamp)), "{line}");
        }
        text.lines().map(str::to_owned).collect()
    }
}

fn has(lines: &[String], part: &str) {
    assert!(lines.iter().any(|line| line.contains(part)), "no {part:?} in {lines:#?}");
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_good_run_pings_start_and_success_and_names_itself_on_every_line() {
    let scene = Scene::new("{}");
    let output = scene.run("work", "--log-format text");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("all is done"));
    assert_eq!(stderr(&output), "");
    assert_eq!(scene.pinged(), ["/key/start", "/key"]);
    let log = scene.log();
    for part in ["started step=\"fullprocess\"", "stage=\"training\"", "from another", "thread"] {
        has(&log, part);
    }
    has(&log, "ended status=0 changed=true");
}

#[test]
fn a_failed_run_pings_its_status_and_json_is_json_throughout() {
    let scene = Scene::new("{}");
    let output = scene.run("fail", "--log-format json -v");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(scene.pinged(), ["/key/start", "/key/1 only one class"]);
    let log = scene.log();
    let lines = |text: &str| text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let told: Vec<Value> = lines(&stderr(&output));
    let kept: Vec<Value> = lines(&log.join("\n"));
    let error = |v: &Value| v["level"] == "ERROR" && v["fields"]["message"] == "only one class";
    for values in [&told, &kept] {
        assert!(values.iter().any(error), "{values:#?}");
        assert!(values.iter().all(|v| v["run"].as_str().is_some_and(|run| run.contains("Z-"))));
    }

    let scene = Scene::new("{}");
    let output = scene.run("fail", "--quiet");
    assert_eq!(stderr(&output), "error: only one class\n");
    has(&scene.log(), "only one class");
}

#[test]
fn a_person_who_is_needed_is_told_by_status_ping_log_figures_and_standard_error() {
    let scene = Scene::new("{}");
    let config = fs::read_to_string(scene.at("config.json")).unwrap();
    let more = r#""monitoring":{"metrics_textfile":"figures/mlops.prom","#;
    fs::write(scene.at("config.json"), config.replace(r#""monitoring":{"#, more)).unwrap();
    let output = scene.run("person", "--quiet");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(stderr(&output), "attention: look at the labels\n");
    assert_eq!(scene.pinged(), ["/key/start", "/key/3 look at the labels|f1: 0.5"]);
    let log = scene.log();
    for part in ["a person is needed: look at the labels", "fact=\"f1\"", "all is done"] {
        has(&log, part);
    }
    let figures = fs::read_to_string(scene.at("figures/mlops.prom")).unwrap();
    for part in [
        "mlops_last_exit_status{step=\"fullprocess\"} 3",
        "mlops_last_success_timestamp_seconds{step=\"fullprocess\"} ",
    ] {
        assert!(figures.contains(part), "{part} in {figures}");
    }
}

#[test]
fn a_panic_pings_fail_and_is_in_the_log() {
    let scene = Scene::new("{}");
    let output = scene.run("panic", "--quiet");
    assert_eq!(output.status.code(), Some(101), "{output:?}");
    assert_eq!(scene.pinged(), ["/key/start", "/key/fail"]);
    has(&scene.log(), "at the disco");
}

#[test]
fn a_stage_that_hangs_ends_the_run_and_the_next_one_goes_on() {
    let scene = Scene::new(r#"{"stage_seconds":1}"#);
    let begun = Instant::now();
    let output = scene.run("hang", "--quiet");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(scene.pinged(), ["/key/start", "/key/fail"]);
    let said = "the stage training took longer than 1 s (limits.stage_seconds)";
    assert!(stderr(&output).contains(said), "{output:?}");
    has(&scene.log(), said);
    // The lock is free.
    let output = scene.run("work", "--quiet");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_run_that_finds_another_at_work_stays_silent() {
    let scene = Scene::new("{}");
    let mut first = scene.command("hang", "--quiet");
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ping = scene.pings.recv_timeout(Duration::from_mins(1)).unwrap();
    assert_eq!(ping, "/key/start");
    let output = scene.run("work", "--quiet");
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    assert_eq!(scene.pinged(), [""; 0]);
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_log_file_that_cannot_be_made_does_not_stop_the_run() {
    let scene = Scene::new("{}");
    fs::create_dir(scene.at("out")).unwrap();
    fs::write(scene.at("out/logs"), "not a folder").unwrap();
    let output = scene.run("work", "--log-format text");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stderr(&output).contains("this run has no log file"), "{output:?}");
    assert_eq!(scene.pinged(), ["/key/start", "/key"]);
}

#[test]
fn a_wrong_configuration_is_status_2_in_the_form_that_was_asked_for() {
    let scene = Scene::new("{}");
    fs::write(scene.at("config.json"), "{}").unwrap();
    let output = scene.run("work", "--log-format json");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let line: Value = serde_json::from_str(stderr(&output).trim()).unwrap();
    assert_eq!((&line["run"], &line["level"]), (&Value::from("-"), &Value::from("ERROR")));
    assert!(!scene.at("out").is_dir());
}

#[test]
fn alerts_follow_the_run_and_a_sink_that_hangs_changes_nothing() {
    let scene = Scene::new(
        r#"{},"alerts":{"sinks":[
            {"name":"hangs","type":"exec","command":["sleep","600"],"timeout_seconds":1},
            {"name":"file","type":"exec","command":["sh","-c","cat >> told"]}],
            "rules":[{"name":"all","to":["hangs","file"]}]}"#,
    );
    let output = scene.run("person", "--quiet");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    has(&scene.log(), "an alert did not arrive: sink \"hangs\": \"sleep\" did not end within 1 s");
    assert_eq!(scene.pinged().len(), 2);
    let told = || -> Vec<(String, String, String)> {
        let text = fs::read_to_string(scene.at("told")).unwrap();
        let told = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        told.map(|v| (text(&v["status"]), text(&v["kind"]), text(&v["text"]))).collect()
    };
    let of = |status: &str, kind: &str, text: &str| {
        (status.to_owned(), kind.to_owned(), text.to_owned())
    };
    let labels = |status| of(status, "data", "look at the labels");
    assert_eq!(told(), [labels("firing")]);
    assert_eq!(scene.run("work", "--quiet").status.code(), Some(0));
    assert_eq!(told(), [labels("firing"), labels("resolved")]);
    assert_eq!(scene.run("fail", "--quiet").status.code(), Some(1));
    assert_eq!(told()[2], of("firing", "run_failed", "only one class"));
}
