//! What the doctor says of workspaces in good and bad order. Not for the command line: see `first_run`.

#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use mlops_core::Config;
use mlops_core::ids::Step;
use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::platform::lock::Lock;
use mlops_core::run::attention::Attention;
use mlops_core::run::context::{Context, Report as _};
use mlops_core::stage::{deploy, ingest, score, train};
use mlops_setup::doctor::{self, Examined, State};

struct Scene(tempfile::TempDir);

impl Scene {
    /// A workspace with rows; its service is at `port`.
    fn new(port: u16) -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        let config = format!(
            r#"{{"input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
            "output_model_path": "model", "prod_deployment_path": "live",
            "schema": {{"id": [], "numeric": ["x"], "target": "y", "positive_label": "1"}},
            "apicalls": {{"url": "http://127.0.0.1:{port}"}}}}"#
        );
        scene.file("config.json", &config);
        let row = |i: usize| {
            let x = (i % 200) as f64 + 0.25 * (i / 200) as f64;
            format!("{x},{}", u8::from(i % 200 + i % 7 > 100))
        };
        let rows = |range: std::ops::Range<usize>| {
            ["x,y".to_owned()].into_iter().chain(range.map(row)).collect::<Vec<_>>().join("\n")
        };
        scene.file("in/a.csv", &rows(0..200));
        scene.file("test/b.csv", &rows(200..400));
        scene
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn context(&self) -> Context {
        let config = Config::load(&self.path().join("config.json")).unwrap();
        Context::new(config, Arc::new(SystemClock::default()), Disk::default(), "0.0.7")
    }

    fn deployed(self) -> Self {
        let context = self.context();
        let mut workspace = context.open("test").unwrap();
        let options = ingest::Options::default();
        context
            .step(&mut workspace, Step::Ingestion, |w| {
                ingest::run(&context, w, context.config.input(), options)
            })
            .unwrap();
        context.step(&mut workspace, Step::Training, |w| train::run(&context, w)).unwrap();
        context.step(&mut workspace, Step::Scoring, |w| score::run(&context, w)).unwrap();
        context
            .step(&mut workspace, Step::Deployment, |w| {
                deploy::run(&context, w, Step::Deployment, "test")
            })
            .unwrap();
        self
    }

    fn examined(&self) -> Examined {
        doctor::within(&self.context(), &self.path().join("etc")).unwrap()
    }
}

fn found<'e>(examined: &'e Examined, what: &str) -> (State, &'e str) {
    let looked = examined.looked.iter().find(|looked| looked.what == what).unwrap();
    (looked.state, &looked.found)
}

/// A port where nothing listens.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_workspace_in_order_is_ok_in_every_line() {
    let scene = Scene::new(free()).deployed();
    let config = scene.path().join("config.json").canonicalize().unwrap();
    scene.file(
        "etc/cron.d/mlops",
        &format!("*/10 * * * * me fullprocess --config {}\n", config.display()),
    );
    let files = || {
        let mut all = Vec::new();
        for folder in ["", "out", "model", "models", "in"] {
            let entries = std::fs::read_dir(scene.path().join(folder)).unwrap();
            all.extend(entries.map(|entry| entry.unwrap().path()));
        }
        all.retain(|path| {
            !path.to_string_lossy().ends_with("-shm") && !path.to_string_lossy().ends_with("-wal")
        });
        all.sort();
        all
    };
    let before = files();
    let examined = scene.examined();
    for what in ["versions", "folders", "clock", "lock", "ledger", "live", "service", "cron"] {
        assert_eq!(found(&examined, what).0, State::Ok, "{examined}");
    }
    assert!(found(&examined, "live").1.contains("complete and unchanged"), "{examined}");
    assert!(found(&examined, "ledger").1.contains("1 data set, 1 deployment"), "{examined}");
    assert_eq!(files(), before);
}

#[test]
fn a_new_workspace_needs_attention_and_says_what_to_do() {
    let scene = Scene::new(free());
    let examined = scene.examined();
    for (what, state, part) in [
        ("ledger", State::Ok, "none yet"),
        ("live", State::Attention, "run first_run"),
        ("service", State::Ok, "start it with app"),
        ("cron", State::Attention, "make cron-install"),
    ] {
        let (is, said) = found(&examined, what);
        assert!(is == state && said.contains(part), "{what}: {examined}");
    }
    assert_eq!(examined.attention(), Attention::Person);
    assert!(!scene.path().join("out").exists());
}

#[test]
fn what_is_wrong_is_told() {
    let scene = Scene::new(free()).deployed();
    let model = scene.path().join("live/trainedmodel.bin");
    let mut permissions = std::fs::metadata(&model).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(&model, permissions).unwrap();
    std::fs::write(&model, "damaged").unwrap();
    let examined = scene.examined();
    assert_eq!(found(&examined, "live").0, State::Wrong, "{examined}");
    assert_eq!(examined.attention(), Attention::Failed);

    scene.file(
        "out/ledger.sqlite",
        "this is not a ledger, but a text that is longer than the head of one is",
    );
    assert_eq!(found(&scene.examined(), "ledger").0, State::Wrong);
    std::fs::remove_dir_all(scene.path().join("in")).unwrap();
    let examined = scene.examined();
    let (state, said) = found(&examined, "folders");
    assert!(state == State::Wrong && said.contains("input_folder_path"), "{examined}");
    assert_eq!(examined.to_string().lines().count(), 1 + examined.looked.len());
}

#[test]
fn a_run_that_works_is_named_and_not_disturbed() {
    let scene = Scene::new(free());
    let lock = scene.path().join("out/run.lock");
    let held = Lock::acquire(&Disk::default(), &lock, "training (pid 7)").unwrap();
    let (state, said) = (scene.examined().looked, "training (pid 7)");
    assert!(
        state.iter().any(|looked| looked.what == "lock" && looked.found.contains(said)),
        "{state:?}"
    );
    drop(held);
    assert_eq!(found(&scene.examined(), "lock"), (State::Ok, "free"));
}

#[test]
fn a_service_is_asked_whether_it_is_ready() {
    for (answer, state) in [
        ("HTTP/1.1 200 OK\r\n\r\n", State::Ok),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", State::Attention),
        ("SSH-2.0-other\r\n", State::Attention),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scene = Scene::new(listener.local_addr().unwrap().port());
        let serve = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 256];
            let bytes = stream.read(&mut asked).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..bytes]).into_owned()
        });
        let examined = scene.examined();
        assert_eq!(found(&examined, "service").0, state, "{examined}");
        assert!(serve.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
    }
}
