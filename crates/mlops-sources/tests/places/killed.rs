//! A run over a bucket, databases and a folder that delivers into a table gets a SIGKILL at any of its steps: the
//! next one leaves what an undisturbed one leaves. Not for errors of the disk: see `together`.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mlops_core::config::Config;
use mlops_core::ids::Step;
use mlops_core::platform::clock::SteppingClock;
use mlops_core::platform::disk::{Disk, DiskStep, Probe};
use mlops_core::run::context::Context;
use mlops_core::stage::ingest::{self, Options};
use mlops_testkit::postgres::Postgres;
use mlops_testkit::{Fault, HEADER, Scene, repetitions};
use serde_json::json;

use super::together::{World, data};

/// What the second process does: the step at which it stops, and a workspace.
const TASK: &str = "MLOPS_TEST_TASK";
const STOPPED: &str = "stopped at the step";

/// Stops before a step, to be killed there.
struct Stop {
    at: usize,
    count: AtomicUsize,
}

impl Probe for Stop {
    fn before(&self, _: DiskStep, _: &Path) -> io::Result<()> {
        if self.count.fetch_add(1, Ordering::SeqCst) == self.at {
            let mut out = io::stdout();
            writeln!(out, "{STOPPED}").and_then(|()| out.flush())?;
            loop {
                thread::park();
            }
        }
        Ok(())
    }
}

#[test]
#[ignore = "the second process of another test"]
fn second_process() {
    let Ok(task) = std::env::var(TASK) else { return };
    let (at, folder) = task.split_once(' ').unwrap();
    let stop = Arc::new(Stop { at: at.parse().unwrap(), count: AtomicUsize::new(0) });
    let config = Config::load(&Path::new(folder).join("config.json")).unwrap();
    let clock = Arc::new(SteppingClock::starting_at(2_000_000_000));
    let context = Context::new(config, clock, Disk::observed(stop), "test");
    let context = Context { places: World::everywhere(), ..context };
    let mut workspace = context.open(Step::Ingestion).unwrap();
    let ended = context.step(&mut workspace, Step::Ingestion, |workspace| {
        ingest::run(&context, workspace, context.config.input(), Options::default())
    });
    panic!("it ran to its end: {ended:?}");
}

/// Starts a run that is killed before step `at`.
fn kill(at: usize, folder: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::second_process", "--ignored", "--nocapture"])
        .env(TASK, format!("{at} {}", folder.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let stopped = lines.any(|line| line.unwrap().contains(STOPPED));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(stopped, "there is no step {at}");
}

#[test]
fn killed_at_any_step_of_a_run_over_all_places_into_a_table_the_next_run_makes_it_whole() {
    let world = World::start();
    let uri = world.postgres.as_ref().map_or("sqlite:delivered.db".to_owned(), Postgres::uri);
    let table = json!({"uri": uri, "table": "delivered", "mode": "append", "timeout": "5s"});
    let begin = || {
        if let Some(postgres) = &world.postgres {
            postgres.sql("DROP TABLE IF EXISTS delivered, mlops_deliveries");
        }
        let scene = world.scene(&json!({"output": {"table": table}}));
        world.begin(&scene);
        scene
    };
    // The rows of a version, sorted.
    let delivered = |scene: &Scene, version: u32| -> Vec<String> {
        let columns = HEADER.trim_end().replace(',', " || ',' || ");
        let sql = format!("SELECT {columns} FROM delivered WHERE version = {version}");
        let mut rows: Vec<String> = if let Some(postgres) = &world.postgres {
            postgres.sql(&sql).lines().map(str::to_owned).collect()
        } else {
            let file = rusqlite::Connection::open(scene.path("delivered.db")).unwrap();
            let mut statement = file.prepare(&sql).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        rows.sort();
        rows
    };
    let mut scene = begin();
    let counter = Fault::never();
    scene.disk = counter.disk();
    scene.ingest().unwrap();
    let steps = counter.steps();
    assert!(steps.len() > 30, "{} steps are too few to be all", steps.len());
    let whole = world.whole();
    let stride = usize::try_from(repetitions(7, 1)).unwrap();
    for at in (0..steps.len()).step_by(stride) {
        let what = format!("killed at step {at} of {}: {:?}", steps.len(), steps[at]);
        let scene = begin();
        kill(at, scene.root());
        let mut report = scene.ingest().unwrap();
        // The database may notice a little later that whoever held a lock is gone.
        for _ in 0..50 {
            if report.behind.is_none() {
                break;
            }
            thread::sleep(Duration::from_millis(200));
            report = scene.ingest().unwrap();
        }
        assert!(report.failures.is_empty(), "{what}: {:?}", report.failures);
        assert_eq!(report.behind, None, "{what}");
        assert!(data(&scene) == whole, "{what}");
        let version = scene.ledger().latest_dataset().unwrap().unwrap().version;
        assert!(delivered(&scene, version.0) == whole, "{what}: in the table");
        let before = scene.snapshot();
        assert!(scene.ingest().unwrap().delivered.is_empty(), "{what}");
        assert!(before == scene.snapshot(), "{what}: a run without news changed something");
        assert!(delivered(&scene, version.0) == whole, "{what}: in the table, again");
    }
}
