//! Scheduler, executors and driver on hosts of their own, with bad lines between them: the same data set and model as
//! on one machine, also when a host is cut off. Where network namespaces are not permitted, the test says so and
//! ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::services::PROGRAM;
use crate::workspace::{Workspace, files, said, trained_alone};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts.sh");

/// Network namespaces, which end with the test as do the services in them.
struct Hosts {
    prefix: String,
    folder: tempfile::TempDir,
    services: Vec<Child>,
}

impl Hosts {
    /// The hosts with their services; why not, if that is not permitted here.
    fn start() -> Result<Self, String> {
        let check = Command::new(SCRIPT).arg("check").output().unwrap();
        if !check.status.success() {
            return Err(said(&check));
        }
        let folder = tempfile::tempdir().unwrap();
        let prefix = format!("mlops{}", std::process::id());
        let mut hosts = Self { prefix, folder, services: Vec::new() };
        let up = hosts.script("up");
        assert!(up.status.success(), "{}", said(&up));
        let scheduler = ["scheduler", "--bind", "10.77.0.1"].map(str::to_owned);
        hosts.serve("scheduler", &scheduler, "10.77.0.1/27050");
        for number in 1..=3 {
            let (name, address) = (format!("executor{number}"), format!("10.77.0.{}", number + 1));
            let work = hosts.folder.path().join(&name);
            fs::create_dir(&work).unwrap();
            let work = work.to_str().unwrap();
            let arguments = [
                "executor",
                "--scheduler",
                "10.77.0.1:27050",
                "--bind",
                &address,
                "--cores",
                "1",
                "--folder",
                work,
            ];
            hosts.serve(&name, &arguments.map(str::to_owned), &format!("{address}/27051"));
        }
        Ok(hosts)
    }

    fn script(&self, verb: &str) -> Output {
        Command::new(SCRIPT).args([verb, &self.prefix]).arg(self.folder.path()).output().unwrap()
    }

    fn on(&self, host: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}-{host}", self.prefix)]).stdin(Stdio::null());
        command
    }

    /// Starts a service and waits until the driver's host reaches it.
    fn serve(&mut self, host: &str, arguments: &[String], place: &str) {
        let log = fs::File::create(self.folder.path().join(format!("{host}.log"))).unwrap();
        let mut command = self.on(host);
        command.arg(PROGRAM).args(arguments).stdout(log.try_clone().unwrap()).stderr(log);
        self.services.push(command.spawn().unwrap());
        let begun = Instant::now();
        let knock = format!("exec 3<> /dev/tcp/{place}");
        let answers =
            || self.on("driver").args(["timeout", "5", "bash", "-c", &knock]).output().unwrap();
        while !answers().status.success() {
            assert!(begun.elapsed() < Duration::from_mins(2), "{host}: {}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn logs(&self) -> String {
        let entries = fs::read_dir(self.folder.path()).unwrap().flatten();
        let logs = entries.filter(|e| e.path().extension().is_some_and(|e| e == "log"));
        logs.map(|log| fs::read_to_string(log.path()).unwrap()).collect()
    }

    /// The driver's program at work.
    fn drive(&self, verb: &str, config: &Path) -> Child {
        let mut command = self.on("driver");
        command.arg(PROGRAM).arg(verb).arg("--config").arg(config);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn done(&self, verb: &str, config: &Path) -> Output {
        self.drive(verb, config).wait_with_output().unwrap()
    }

    /// Cuts a host off, or connects it again.
    fn set_link(&self, host: &str, state: &str) {
        let name = format!("{}-{host}", self.prefix);
        let done = Command::new("ip").args(["-n", &name, "link", "set", "eth0", state]).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for process in &mut self.services {
            // It may have ended.
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = self.script("down");
    }
}

fn engine(partitions: usize, range_mib: f64) -> String {
    format!(
        r#","engine": {{"kind": "ballista", "scheduler": "10.77.0.1:27050", "partitions": {partitions},
           "range_mib": {range_mib}, "deadline_seconds": 120}}"#
    )
}

#[test]
fn hosts_of_their_own_with_bad_lines_make_the_data_set_and_model_of_one_machine() {
    let hosts = match Hosts::start() {
        Ok(hosts) => hosts,
        Err(why) => {
            eprintln!("not tested: {}", why.trim());
            return;
        }
    };
    let files = files(4, 800, 31);
    let alone = Workspace::with(&files, "");
    alone.ingest_alone();
    let ingested = |spread: &Workspace, output: Output| {
        assert!(output.status.success(), "{}\n{}", said(&output), hosts.logs());
        assert!(spread.outputs() == alone.outputs(), "other bytes");
        assert_eq!(spread.under_way(), Vec::<String>::new());
    };
    let spread = Workspace::with(&files, &engine(6, 0.01));
    ingested(&spread, hosts.done("ingestion", &spread.path("config.json")));

    let (workspace, expected) = trained_alone(&files);
    workspace.configure(&engine(6, 0.02));
    let config: PathBuf = workspace.path("config.json");
    let train = |output: Output| {
        assert!(output.status.success(), "{}\n{}", said(&output), hosts.logs());
        assert!(workspace.model() == expected, "another model");
        assert_eq!(workspace.under_way(), Vec::<String>::new());
        fs::remove_dir_all(workspace.path("model")).unwrap();
    };
    train(hosts.done("training", &config));

    // A host that is cut off: what it had is done by the others, or the next run does it.
    let cut_off = |driver: Child| {
        hosts.set_link("executor2", "down");
        let begun = Instant::now();
        let output = driver.wait_with_output().unwrap();
        assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        }
        output
    };
    let driver = hosts.drive("training", &config);
    workspace.await_some("pass-", 1);
    let output = cut_off(driver);
    if output.status.success() {
        train(output);
    } else {
        assert!(!workspace.path("model").exists());
        train(hosts.done("training", &config));
    }
    hosts.set_link("executor2", "up");
    train(hosts.done("training", &config));

    // The same while equal rows are sought.
    let spread = Workspace::with(&files, &engine(6, 0.01));
    let config = spread.path("config.json");
    let driver = hosts.drive("ingestion", &config);
    spread.await_some("equal-", 1);
    let output = cut_off(driver);
    if output.status.success() {
        ingested(&spread, output);
    } else {
        assert!(!spread.path("out/finaldata4.csv").exists());
        ingested(&spread, hosts.done("ingestion", &config));
    }
    hosts.set_link("executor2", "up");
}
