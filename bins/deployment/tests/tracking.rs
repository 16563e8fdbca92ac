//! `deployment export --mlflow-tracking` against a real tracking server where MLflow is installed, and
//! against one that refuses. Not for the model folder: see `mlops-export`.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mlops_testkit::app::{App, Reply, reply};
use mlops_testkit::binary::Binary;
use mlops_testkit::binary::scene::Scene;
use mlops_testkit::{not_run, variable};
use serde_json::{Value, json};

const DEPLOYMENT: Binary = Binary { name: "deployment", path: env!("CARGO_BIN_EXE_deployment") };

/// A tracking server with a database and a folder of its own, killed when dropped.
struct Server {
    process: Child,
    uri: String,
    python: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its workers are in its process group.
        let group = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.process.wait();
    }
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the log of another program is a plain file")]
    fn start(scene: &Scene) -> Option<Self> {
        use std::os::unix::process::CommandExt as _;

        let python = variable("PYTHON").unwrap_or_else(|| "python3".to_owned());
        let there = Command::new(&python)
            .args(["-c", "import mlflow.server, onnxruntime, flask"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !there {
            not_run("no tracking server of MLflow");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = scene.root().join("mlflow-server");
        std::fs::create_dir(&folder).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let store = format!("sqlite:///{}", folder.join("store.db").display());
        let process = Command::new(&python)
            .args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"])
            .args(["--port", &port.to_string(), "--backend-store-uri", &store])
            .arg("--artifacts-destination")
            .arg(folder.join("artifacts"))
            .current_dir(&folder)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let server = Self { process, uri: format!("http://127.0.0.1:{port}"), python };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_mins(5), "no server: {}", log());
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(server)
    }

    /// What MLflow's own client finds.
    fn found(&self) -> Value {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tracking.py");
        let told = Command::new(&self.python)
            .args([script, &self.uri])
            .env("MLFLOW_TRACKING_URI", &self.uri)
            .output()
            .unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        assert!(told.status.success(), "{out}{err}");
        serde_json::from_str(out.lines().last().unwrap()).unwrap()
    }
}

fn export(scene: &Scene, uri: &str, more: &[&str]) -> mlops_testkit::binary::Output {
    let mut arguments = vec!["export", "--mlflow-tracking", uri];
    arguments.extend(more);
    DEPLOYMENT.run(scene.root(), &arguments)
}

#[test]
fn a_release_is_a_run_and_a_version_of_a_model_that_others_load() {
    let scene = Scene::deployed();
    let Some(server) = Server::start(&scene) else { return };
    let more = ["--registered-model", "leavers", "--alias", "champion", "--json"];
    let output = export(&scene, &server.uri, &more).ends_with(0);
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    let release = told["release"].as_str().unwrap();
    let score = scene.read("model/score.json");
    let score: Value = serde_json::from_str(&score).unwrap();

    let found = server.found();
    assert_eq!(found["runs"], 1, "{found}");
    assert_eq!(found["run"], told["tracked"]["run"], "{found}");
    assert_eq!((&found["status"], &found["name"]), (&json!("FINISHED"), &json!(release)));
    assert_eq!(found["metrics"]["f1"], score["f1"], "{found}");
    assert_eq!(found["metrics"]["f1_interval.low"], score["f1_interval"]["low"], "{found}");
    assert_eq!(found["params"]["C"], "1.0", "{found}");
    assert_eq!(found["params"]["solver"], "auto", "{found}");
    assert_eq!(found["tags"]["mlops.release"], release, "{found}");
    assert_eq!(found["champion"], "1", "{found}");
    assert_eq!(found["predicted"], 3, "{found}");

    // Again: the same run and version. An interrupted run is completed.
    let output = export(&scene, &server.uri, &more).ends_with(0);
    let again: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(again["tracked"]["known"], true, "{again}");
    assert_eq!(again["tracked"]["run"], told["tracked"]["run"]);
    let found = server.found();
    assert_eq!((&found["runs"], &found["versions"]), (&json!(1), &json!(1)), "{found}");
}

#[test]
fn a_killed_recording_is_completed_by_the_next_one() {
    let scene = Scene::deployed();
    let (experiment, run) = (json!({"experiment": {"experiment_id": "7"}}), "run-1");
    let info = move |status: &str| {
        json!({"info": {"run_id": run, "status": status,
            "artifact_uri": "mlflow-artifacts:/7/run-1/artifacts"}})
    };
    let server = App::start(move |request, _| {
        let path = request.path.split('?').next().unwrap();
        let body = match path.trim_start_matches("/base/api/2.0/mlflow/") {
            "experiments/get-by-name" => experiment.clone(),
            "runs/search" => json!({"runs": [info("RUNNING")]}),
            _ => json!({}),
        };
        reply("200 OK", "", &body)
    });
    export(&scene, &format!("{}/base", server.url), &[]).ends_with(0);
    let asked = server.lines();
    assert!(!asked.iter().any(|line| line.contains("runs/create")), "{asked:?}");
    let puts: Vec<&String> = asked.iter().filter(|line| line.starts_with("PUT")).collect();
    let place = "PUT /base/api/2.0/mlflow-artifacts/artifacts/7/run-1/artifacts/model/";
    assert!(puts.len() == 7 && puts.iter().all(|line| line.starts_with(place)), "{puts:?}");
    assert_eq!(asked.last().unwrap(), "POST /base/api/2.0/mlflow/runs/update");
}

#[test]
fn what_a_server_refuses_is_told_with_what_to_do() {
    let scene = Scene::deployed();
    let answering =
        |status: &'static str, body: Value| App::start(move |_, _| reply(status, "", &body));
    let denied = answering("401 Unauthorized", json!({"message": "who are you?"}));
    let other = answering("200 OK", json!({"hello": "world"}));
    let long = "x".repeat(50_000);
    let broken = answering("500 Internal Server Error", json!({ "message": long }));
    let silent = App::start(|_, _| Reply::Close);
    let direct = App::start(|request, _| {
        let run = json!({"info": {"run_id": "1", "artifact_uri": "s3://bucket/7"}});
        let body = json!({"experiment": {"experiment_id": "7"}, "run": run});
        reply("200 OK", "", if request.path.contains("search") { &Value::Null } else { &body })
    });
    for (uri, words) in [
        (denied.url.as_str(), "MLFLOW_TRACKING_TOKEN"),
        (&other.url, "is the address that of a tracking server?"),
        (&broken.url, "500 Internal Server Error"),
        (&silent.url, "the same command completes it"),
        (&direct.url, "--serve-artifacts"),
    ] {
        let output = export(&scene, uri, &[]).ends_with(1);
        assert!(output.stderr.contains(words), "{}", output.stderr);
        assert!(output.stderr.len() < 2_000, "{}", output.stderr.len());
    }
    for (uri, words) in [
        ("file:///tmp/x", "http://host:5000"),
        ("nonsense", "http://host:5000"),
        ("http://me:secret@127.0.0.1:1", "MLFLOW_TRACKING_PASSWORD"),
    ] {
        let output = export(&scene, uri, &[]).ends_with(2);
        assert!(output.stderr.contains(words), "{}", output.stderr);
        assert!(!output.stderr.contains("secret"), "{}", output.stderr);
    }
}
