//! A bucket, two databases and a folder together, with a disk that fails or dies at every step: nothing
//! is lost, nothing doubled, nothing half. Not for a single place.

use std::sync::Arc;

use mlops_core::platform::disk::Disk;
use mlops_sources::Everywhere;
use mlops_testkit::postgres::{PASSWORD, Postgres};
use mlops_testkit::proxy::{Proxy, Trouble};
use mlops_testkit::s3::{KEYS, Server};
use mlops_testkit::{Dead, Fault, HEADER, Scene, repetitions, sample_rows};
use serde_json::{Value, json};

use super::postgres::started;

const COLUMNS: &str = "corporation text PRIMARY KEY, lastmonth_activity int, lastyear_activity int, \
                       number_of_employees int, exited int, at timestamp";

/// Rows of the sample as SQL, with times that grow.
fn inserts(rows: u64, seed: u64, day: u64) -> String {
    let rows = sample_rows(rows, seed);
    let values: Vec<String> = rows
        .lines()
        .enumerate()
        .map(|(n, line)| {
            let (id, rest) = line.split_once(',').unwrap();
            format!("('{id}', {rest}, '2025-01-{day:02} 10:00:{n:02}')")
        })
        .collect();
    format!("INSERT INTO t VALUES {};", values.join(", "))
}

fn expected(parts: &[(u64, u64)]) -> Vec<String> {
    let rows = parts.iter().map(|(rows, seed)| sample_rows(*rows, *seed));
    let mut rows: Vec<String> =
        rows.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    rows.sort();
    rows
}

/// The rows of the newest data set, sorted.
pub(super) fn data(scene: &Scene) -> Vec<String> {
    let dataset = scene.ledger().latest_dataset().unwrap().unwrap();
    let text = scene.read(&format!("out/{}", dataset.version.file_name()));
    let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    rows
}

fn csv(rows: u64, seed: u64) -> Vec<u8> {
    (HEADER.to_owned() + &sample_rows(rows, seed)).into_bytes()
}

/// All places.
pub(super) struct World {
    server: Server,
    pub(super) postgres: Option<Postgres>,
}

impl World {
    pub(super) fn start() -> Self {
        Self { server: Server::start(), postgres: started() }
    }

    /// What the programs find in their environment.
    pub(super) fn everywhere() -> Arc<Everywhere> {
        Arc::new(Everywhere::with(&[KEYS[0], KEYS[1], ("PGPASSWORD", PASSWORD)]))
    }

    /// A workspace that reads from all of them, with `keys` besides.
    pub(super) fn scene(&self, keys: &Value) -> Scene {
        let mut sources = vec![
            json!({"name": "bucket", "uri": "s3://bucket/exports/",
                "endpoint": format!("http://{}", self.server.address), "region": "us-east-1",
                "path_style": true}),
            json!({"name": "lite", "uri": "sqlite:lite.db", "table": "t",
                "cursor": {"column": "at", "lag": "1d"}}),
            json!({"name": "folder", "uri": "exchange"}),
        ];
        if let Some(postgres) = &self.postgres {
            sources.push(json!({"name": "crm", "uri": postgres.uri(), "table": "t",
                "cursor": {"column": "at", "lag": "1d"}}));
        }
        let mut keys = keys.clone();
        keys["sources"] = sources.into();
        let mut scene = Scene::with(&keys);
        scene.places = Self::everywhere();
        scene
    }

    /// What a first run has taken, and what is new since.
    pub(super) fn begin(&self, scene: &Scene) {
        let lite = |sql: &str| {
            let file = rusqlite::Connection::open(scene.path("lite.db")).unwrap();
            file.execute_batch(sql).unwrap();
        };
        let crm = |sql: &str| drop(self.postgres.as_ref().map(|postgres| postgres.sql(sql)));
        crm(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t ({COLUMNS}); {}", inserts(10, 1, 1)));
        lite(&format!("CREATE TABLE t ({COLUMNS}); {}", inserts(10, 2, 1)));
        self.server.put("a.csv", &csv(10, 3));
        self.server.put("b.csv", &csv(10, 4));
        let _ = std::fs::remove_file(self.server.path("c.csv"));
        scene.file("exchange/x.csv", csv(10, 5));
        let report = scene.ingest().unwrap();
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        crm(&inserts(10, 11, 2));
        lite(&inserts(10, 12, 2));
        self.server.put("b.csv", &csv(12, 13));
        self.server.put("c.csv", &csv(10, 14));
        scene.file("exchange/y.csv", csv(10, 15));
    }

    /// The rows that a data set has after all of it, sorted.
    pub(super) fn whole(&self) -> Vec<String> {
        let mut whole: Vec<(u64, u64)> =
            vec![(10, 2), (10, 3), (10, 5), (10, 12), (12, 13), (10, 14), (10, 15)];
        if self.postgres.is_some() {
            whole.extend([(10, 1), (10, 11)]);
        }
        expected(&whole)
    }
}

#[test]
fn a_fault_at_any_step_of_a_run_over_all_places_loses_and_doubles_nothing() {
    let world = World::start();
    let (make, begin) = (|| world.scene(&json!({})), |scene: &Scene| world.begin(scene));
    let whole = world.whole();

    let mut scene = make();
    begin(&scene);
    let counter = Fault::never();
    scene.disk = counter.disk();
    scene.ingest().unwrap();
    let steps = counter.steps();
    assert!(data(&scene) == whole && steps.len() > 30, "{} steps", steps.len());
    // All of them take two minutes, and are struck with MLOPS_SOAK=1.
    let stride = usize::try_from(repetitions(3, 1)).unwrap();
    for (at, step) in steps.iter().enumerate().step_by(stride) {
        for dead in [true, false] {
            let what = format!("step {at}, dead {dead}: {step:?}");
            let mut scene = make();
            begin(&scene);
            scene.disk = if dead { Dead::from(at) } else { Fault::error(at, 5).disk() };
            let _ = scene.ingest();
            scene.disk = Disk::default();
            let report = scene.ingest().unwrap();
            assert!(report.failures.is_empty(), "{what}: {:?}", report.failures);
            assert!(data(&scene) == whole, "{what}");
            let before = scene.snapshot();
            scene.ingest().unwrap();
            assert!(before == scene.snapshot(), "{what}: a run without news changed something");
        }
    }
}

#[test]
fn a_server_in_trouble_delays_its_own_rows_only() {
    let server = Server::start();
    let proxy = Proxy::before(server.address);
    let mut scene = Scene::with(&json!({"sources": [
        {"name": "bucket", "uri": "s3://bucket/exports/", "region": "us-east-1", "timeout": "2s",
         "endpoint": format!("http://{}", proxy.address()), "path_style": true},
        {"name": "folder", "uri": "exchange"},
    ]}));
    scene.places = Arc::new(Everywhere::with(&KEYS));
    scene.file("exchange/x.csv", csv(10, 1));
    server.put("a.csv", &csv(10, 2));
    server.put("b.csv", &csv(10, 3));
    for trouble in [Trouble::Status(503), Trouble::Cut(50), Trouble::Silence] {
        proxy.always(trouble);
        let report = scene.ingest().unwrap();
        assert!(!report.failures.is_empty(), "{trouble:?}");
        assert_eq!(data(&scene), expected(&[(10, 1)]), "{trouble:?}");
        assert!(!scene.path("out/landing/bucket/a.csv").is_file());
    }
    proxy.next_are(&[Trouble::Status(500), Trouble::Cut(0), Trouble::Status(503)]);
    let report = scene.ingest().unwrap();
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    assert_eq!(data(&scene), expected(&[(10, 1), (10, 2), (10, 3)]));
}

/// `MLOPS_SOAK=1 cargo test --release -p mlops-sources --test places ten_thousand -- --nocapture`
/// prints the figures of docs/performance.md.
#[test]
fn ten_thousand_objects_of_one_listing() {
    let objects = repetitions(300, 10_000);
    let server = Server::start();
    for n in 0..objects {
        server.put(&format!("{n:05}.csv"), &csv(10, n));
    }
    let mut scene = Scene::with(&json!({"sources": [server.entry_named("bucket")]}));
    scene.places = Arc::new(Everywhere::with(&KEYS));
    for what in ["first run", "nothing new"] {
        let begun = std::time::Instant::now();
        let report = scene.ingest().unwrap();
        println!("{objects} objects, {what}: {:.2} s", begun.elapsed().as_secs_f64());
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        assert_eq!(data(&scene).len() as u64, 10 * objects);
    }
}
