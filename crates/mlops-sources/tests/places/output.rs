//! The table into which data sets are delivered, in SQLite and, where it is installed, in PostgreSQL: what
//! rows become, whose table it is, and that a fault anywhere loses and doubles nothing. Not for reading
//! tables.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mlops_core::ids::{Severity, Step};
use mlops_core::platform::disk::Disk;
use mlops_core::run::attention::Attention;
use mlops_core::run::context::Report as _;
use mlops_core::stage::ingest::report::Ingested;
use mlops_core::stage::{adopt, decide};
use mlops_core::{ErrorKind, Result};
use mlops_sources::Everywhere;
use mlops_testkit::postgres::{PASSWORD, Postgres};
use mlops_testkit::proxy::{Proxy, Trouble};
use mlops_testkit::{Dead, Fault, HEADER, Scene, repetitions, sample_rows};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::postgres::started;

/// A workspace with a table, and a way to ask the database behind the program's back.
pub(crate) struct World<'a> {
    pub(crate) scene: Scene,
    server: Option<&'a Postgres>,
    pub(crate) table: Value,
}

impl<'a> World<'a> {
    pub(crate) fn new(server: Option<&'a Postgres>, mode: &str) -> Self {
        Self::with(server, mode, &json!({}), &json!({}))
    }

    fn with(server: Option<&'a Postgres>, mode: &str, own: &Value, keys: &Value) -> Self {
        let uri = server.map_or("sqlite:clients.db".to_owned(), Postgres::uri);
        let mut table = json!({"uri": uri, "table": "clients", "mode": mode, "timeout": "5s"});
        for (key, value) in own.as_object().unwrap() {
            table[key] = value.clone();
        }
        let mut scene = Scene::new();
        scene.places = Arc::new(Everywhere::with(&[("PGPASSWORD", PASSWORD)]));
        let mut world = Self { scene, server, table: table.clone() };
        world.configure(&table, keys);
        if server.is_some() {
            world.execute("DROP TABLE IF EXISTS clients, mlops_deliveries, \"Odd \"\"t\"");
        }
        world
    }

    pub(crate) fn configure(&mut self, table: &Value, keys: &Value) {
        let mut keys = keys.clone();
        keys["output"]["table"] = table.clone();
        self.table = table.clone();
        self.scene.configure(&keys);
    }

    fn execute(&self, sql: &str) {
        match self.server {
            Some(server) => drop(server.sql(sql)),
            None => self.file().execute_batch(sql).unwrap(),
        }
    }

    fn file(&self) -> Connection {
        Connection::open(self.scene.path("clients.db")).unwrap()
    }

    /// One text per row.
    pub(crate) fn ask(&self, sql: &str) -> Vec<String> {
        if let Some(server) = self.server {
            return server.sql(sql).lines().map(str::to_owned).collect();
        }
        let file = self.file();
        let mut statement = file.prepare(sql).unwrap();
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cells: Vec<String> = (0..width)
                .map(|at| match row.get_ref_unwrap(at) {
                    rusqlite::types::ValueRef::Null => String::new(),
                    rusqlite::types::ValueRef::Integer(n) => n.to_string(),
                    rusqlite::types::ValueRef::Real(n) => n.to_string(),
                    other => other.as_str().unwrap().to_owned(),
                })
                .collect();
            Ok(cells.join("|"))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// The rows of the table that `condition` selects, as those of a data set, sorted.
    pub(crate) fn rows(&self, condition: &str) -> Vec<String> {
        let columns = HEADER.trim_end();
        let mut rows: Vec<String> =
            self.ask(&format!("SELECT {columns} FROM clients WHERE {condition}"));
        rows.iter_mut().for_each(|row| *row = row.replace('|', ","));
        rows.sort();
        rows
    }

    /// The rows of `finaldata{version}.csv`, sorted.
    pub(crate) fn data(&self, version: u32) -> Vec<String> {
        let text = self.scene.read(&format!("out/finaldata{version}.csv"));
        let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        rows.sort();
        rows
    }

    pub(crate) fn latest(&self) -> u32 {
        self.scene.ledger().latest_dataset().unwrap().unwrap().version.0
    }

    fn ingest(&self) -> Ingested {
        let report = patiently(|| self.scene.ingest()).unwrap();
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        report
    }

    /// `ingestion`, after which the table has the newest version.
    pub(crate) fn delivers(&self) -> Ingested {
        let report = self.ingest();
        assert_eq!(report.behind, None);
        report
    }

    pub(crate) fn behind(&self) -> String {
        let report = self.ingest();
        assert_eq!(report.attention(), Attention::Person);
        assert!(report.delivered.is_empty());
        let why = report.behind.unwrap();
        assert!(!why.contains(PASSWORD), "{why}");
        why
    }
}

/// A program that another test starts at the same time holds our locks until it is itself.
fn patiently<T>(work: impl Fn() -> Result<T>) -> Result<T> {
    for _ in 0..100 {
        match work() {
            Err(error) if matches!(error.kind(), ErrorKind::Locked(_)) => {
                thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
    work()
}

/// Both databases, or SQLite alone.
pub(crate) fn everywhere(test: impl Fn(Option<&Postgres>)) {
    test(None);
    if let Some(server) = &started() {
        test(Some(server));
    }
}

#[test]
fn each_version_of_the_table_is_that_data_set() {
    everywhere(|server| {
        let world = World::new(server, "append");
        world.scene.rows("in/a.csv", &sample_rows(30, 1));
        let first = world.delivers();
        assert!(first.to_string().contains("Written into the table of the database: version 1"));
        assert_eq!(world.rows("version = 1"), world.data(1));
        world.scene.rows("in/b.csv", &sample_rows(30, 2));
        world.scene.rows("in/c.csv", &sample_rows(30, 3));
        world.delivers();
        assert_eq!(world.latest(), 3);
        assert_eq!(world.rows("version = 3"), world.data(3));
        assert_eq!(world.rows("version = 1"), world.data(1));
        // A corrected file: its old rows are not in the new version.
        world.scene.rows("in/a.csv", &sample_rows(20, 4));
        world.delivers();
        let latest = world.latest();
        assert_eq!(world.rows(&format!("version = {latest}")), world.data(latest));
        assert_eq!(world.ask("SELECT count(*) FROM clients"), ["200"]);
        assert_eq!(
            world.ask("SELECT version, rows FROM mlops_deliveries ORDER BY version"),
            ["1|30", "3|90", &format!("{latest}|80")]
        );
        // Without news nobody is asked: the rows that somebody deleted stay away.
        world.execute("DELETE FROM clients WHERE version = 1");
        let before = world.scene.snapshot();
        assert!(world.delivers().delivered.is_empty());
        assert!(before == world.scene.snapshot());
    });
}

#[test]
fn a_replaced_table_has_the_newest_rows_and_readers_see_old_or_new() {
    everywhere(|server| {
        let world = World::new(server, "replace");
        world.scene.rows("in/a.csv", &sample_rows(50, 1));
        world.delivers();
        assert_eq!(world.rows("1 = 1"), world.data(1));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = Vec::new();
                while !done.load(Ordering::SeqCst) || seen.len() < 3 {
                    // SQLite may say that it is busy; it never shows a half.
                    let sql = "SELECT count(*) FROM clients";
                    if let Some(server) = server {
                        seen.push(server.sql(sql));
                        continue;
                    }
                    let count = world.file().query_row(sql, [], |row| row.get::<_, i64>(0));
                    seen.extend(count.map(|count| count.to_string()));
                }
                seen
            });
            let reports: Vec<Ingested> = (2..6)
                .map(|n| {
                    world.scene.rows(&format!("in/b{n}.csv"), &sample_rows(50, n));
                    world.ingest()
                })
                .collect();
            done.store(true, Ordering::SeqCst);
            assert!(reports.iter().all(|report| report.behind.is_none()), "{reports:?}");
            for count in reader.join().unwrap() {
                assert!(["50", "100", "150", "200", "250"].contains(&count.trim()), "{count}");
            }
        });
        assert_eq!(world.rows("1 = 1"), world.data(world.latest()));
        assert_eq!(world.ask("SELECT count(*) FROM mlops_deliveries"), ["1"]);
    });
}

#[test]
fn cells_are_exact_and_names_may_be_odd() {
    everywhere(|server| {
        let schema = json!({"schema": {"id": ["i\"d"], "numeric": ["select", "b,c"],
            "categorical": ["Größe"], "target": "left", "positive_label": "yes"}});
        let world = World::with(
            server,
            "append",
            &json!({"table": "Odd \"t", "version_column": "the version"}),
            &schema,
        );
        world.scene.file(
            "in/a.csv",
            "\"i\"\"d\",select,\"b,c\",Größe,left\n\
             \"a,\"\"b\",9007199254740993,0.1,back\\slash,yes\n\
             x\ty,-9223372036854775808,1e300,\\N,no\n\
             007,,-0.5,,yes\n\
             \\.,1200,1e-300,ü,no\n",
        );
        world.delivers();
        let sql = "SELECT \"i\"\"d\", \"select\", \"b,c\", \"Größe\", \"left\" FROM \"Odd \"\"t\" \
                   WHERE \"the version\" = 1 ORDER BY \"left\", \"i\"\"d\"";
        let rows = world.ask(sql);
        let big = |row: &str, number: f64| {
            let cell = row.split('|').nth(2).unwrap().parse::<f64>().unwrap();
            assert!(cell.to_bits() == number.to_bits(), "{row}");
        };
        let mut rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        rows.sort_unstable();
        assert_eq!(rows[0], "007||-0.5||yes");
        assert!(rows[1].starts_with("\\.|1200|") && rows[1].ends_with("|ü|no"), "{rows:?}");
        assert_eq!(rows[2], "a,\"b|9007199254740993|0.1|back\\slash|yes");
        assert!(rows[3].starts_with("x\ty|-9223372036854775808|"), "{rows:?}");
        assert!(rows[3].ends_with("|\\N|no"), "{rows:?}");
        big(rows[1], 1e-300);
        big(rows[3], 1e300);
        let missing =
            "SELECT count(*) FROM \"Odd \"\"t\" WHERE \"select\" IS NULL AND \"Größe\" IS NULL";
        assert_eq!(world.ask(missing), ["1"]);
    });
}

#[test]
fn a_database_that_is_down_delays_the_table_alone() {
    everywhere(|server| {
        let mut world = World::new(server, "append");
        let right = world.table.clone();
        let mut wrong = right.clone();
        wrong["uri"] = match server {
            Some(_) => "postgres://me@127.0.0.1:1/postgres".into(),
            None => "sqlite:nowhere/clients.db".into(),
        };
        world.scene.rows("in/a.csv", &sample_rows(20, 1));
        world.delivers();
        world.configure(&wrong, &json!({}));
        world.scene.rows("in/b.csv", &sample_rows(20, 2));
        let why = world.behind();
        assert!(why.contains("does not have finaldata2.csv yet"), "{why}");
        assert_eq!(world.data(2).len(), 40, "the data set is whole");
        world.scene.rows("in/c.csv", &sample_rows(20, 3));
        world.behind();
        // Also a run without news says so, and brings what is missing as soon as it can.
        world.behind();
        world.configure(&right, &json!({}));
        let caught_up = world.delivers();
        assert!(!caught_up.new_version && caught_up.changed());
        assert_eq!(caught_up.delivered.iter().map(|v| v.0).collect::<Vec<_>>(), [2, 3]);
        for version in 1..4 {
            assert_eq!(world.rows(&format!("version = {version}")), world.data(version));
        }
        assert!(world.delivers().delivered.is_empty());
    });
}

#[test]
fn a_decision_says_that_the_table_is_behind_and_a_dry_run_leaves_it_alone() {
    let mut world = World::new(None, "replace");
    world.scene.rows("in/a.csv", &sample_rows(200, 1));
    world.scene.rows("test/t.csv", &sample_rows(200, 9));
    patiently(|| world.scene.everything()).unwrap();
    world.scene.rows("in/b.csv", &sample_rows(200, 2));
    let context = world.scene.context().unwrap();
    let options = decide::Options { dry_run: true, ..Default::default() };
    decide::rehearse(&context, options).unwrap();
    assert_eq!(world.ask("SELECT count(*) FROM clients"), ["200"]);
    let mut table = world.table.clone();
    table["uri"] = "sqlite:nowhere/clients.db".into();
    world.configure(&table, &json!({}));
    let decision = patiently(|| {
        world.scene.step(Step::FullProcess, |context, workspace| {
            decide::run(context, workspace, decide::Options::default())
        })
    });
    let findings = decision.unwrap().findings();
    let behind = findings.iter().find(|finding| finding.severity == Severity::Person).unwrap();
    assert!(behind.text.contains("the table \"clients\" does not have finaldata2.csv yet"));
}

#[test]
fn the_events_of_lineage_name_the_table() {
    everywhere(|server| {
        let keys = json!({"lineage": {"folder": "lineage"}});
        let world = World::with(server, "replace", &json!({}), &keys);
        world.scene.rows("in/a.csv", &sample_rows(20, 1));
        world.delivers();
        let outputs = || -> Vec<Value> {
            let files = mlops_testkit::folder::files(&world.scene.path("lineage"));
            let newest = files.into_iter().max_by_key(|(path, _)| path.clone()).unwrap().1;
            let text = String::from_utf8(newest).unwrap();
            let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let whole = events.filter(|event| event["eventType"] == "COMPLETE");
            whole.flat_map(|event| event["outputs"].as_array().unwrap().clone()).collect()
        };
        let [file, table] = &outputs()[..] else { panic!("{:?}", outputs()) };
        assert_eq!(file["namespace"], "file");
        let (namespace, name) =
            (table["namespace"].as_str().unwrap(), table["name"].as_str().unwrap());
        if server.is_some() {
            let host = namespace.strip_prefix("postgres://");
            assert!(host.is_some_and(|host| !host.contains('@')), "{namespace}");
            assert!(name.ends_with(".public.clients"), "{name}");
        } else {
            let path = world.scene.path("clients.db");
            assert_eq!((namespace, name), ("sqlite", &*format!("{}/clients", path.display())));
        }
        assert_eq!(table["outputFacets"]["outputStatistics"]["rowCount"], 20);
        let from = &table["facets"]["columnLineage"]["fields"]["exited"]["inputFields"][0];
        assert!(from["name"].as_str().unwrap().ends_with("in/a.csv"), "{table:#}");
        assert!(world.delivers().delivered.is_empty() && outputs().is_empty());
    });
}

#[test]
fn tables_of_others_are_left_alone() {
    everywhere(|server| {
        let world = World::new(server, "replace");
        world.execute("CREATE TABLE clients (precious TEXT)");
        world.execute("INSERT INTO clients VALUES ('x')");
        world.scene.rows("in/a.csv", &sample_rows(20, 1));
        assert!(world.behind().contains("rows that are not from here"));
        assert_eq!(world.ask("SELECT precious FROM clients"), ["x"]);
        // Once it is empty it is ours, with its own columns and types.
        world.execute("DELETE FROM clients");
        world.delivers();
        assert_eq!(world.rows("precious IS NULL"), world.data(1));
        // Another workspace with the same table.
        let mut other = Scene::new();
        other.places = world.scene.places.clone();
        let mut table = world.table.clone();
        if server.is_none() {
            table["uri"] = format!("sqlite:{}", world.scene.path("clients.db").display()).into();
        }
        other.configure(&json!({"output": {"table": table}}));
        other.rows("in/a.csv", &sample_rows(20, 2));
        let why = patiently(|| other.ingest()).unwrap().behind.unwrap();
        assert!(why.contains("another workspace writes into it"), "{why}");
        assert_eq!(world.rows("1 = 1"), world.data(1));
        // A view is no table.
        world.execute("DROP TABLE clients");
        world.execute("CREATE VIEW clients AS SELECT 1 AS x");
        world.scene.rows("in/b.csv", &sample_rows(20, 3));
        assert!(world.behind().contains("is not a table"));
        world.execute("DROP VIEW clients");
        world.delivers();
        assert_eq!(world.rows("1 = 1"), world.data(2), "a table that was dropped is made again");
    });
}

#[test]
fn a_new_column_a_new_mode_and_an_older_ledger_are_followed() {
    everywhere(|server| {
        let mut world = World::new(server, "append");
        let table = world.table.clone();
        world.scene.rows("in/a.csv", &sample_rows(20, 1));
        world.delivers();
        let old = fs::read(world.scene.path("out/ledger.sqlite")).unwrap();
        world.scene.rows("in/b.csv", &sample_rows(20, 2));
        world.delivers();
        // The ledger is restored from a backup, and the next version 2 is another one.
        for name in ["out/ledger.sqlite-wal", "out/ledger.sqlite-shm", "out/finaldata2.csv"] {
            let _ = fs::remove_file(world.scene.path(name));
        }
        fs::write(world.scene.path("out/ledger.sqlite"), old).unwrap();
        fs::remove_file(world.scene.path("in/b.csv")).unwrap();
        world.scene.rows("in/c.csv", &sample_rows(10, 3));
        world.delivers();
        assert_eq!(world.rows("version = 2"), world.data(2));
        assert_eq!(world.data(2).len(), 30);
        // Another mode: the table has the newest rows alone.
        let mut replace = table.clone();
        replace["mode"] = "replace".into();
        world.configure(&replace, &json!({}));
        world.delivers();
        assert_eq!(world.rows("1 = 1"), world.data(2));
        // Another schema: the table gets the column.
        let schema = json!({"schema": {"id": ["corporation"], "numeric": ["lastmonth_activity"],
            "categorical": ["segment"], "target": "exited"}});
        world.configure(&replace, &schema);
        for name in ["in/a.csv", "in/c.csv"] {
            let head = "corporation,lastmonth_activity,segment,exited";
            world.scene.file(name, format!("{head}\n{name},1,big,1\ny,2,small,0\n"));
        }
        let options = mlops_core::stage::ingest::Options { rebuild: true, ..Default::default() };
        let report = patiently(|| world.scene.ingest_with(options)).unwrap();
        assert_eq!(report.behind, None);
        assert_eq!(
            world.ask("SELECT DISTINCT segment FROM clients ORDER BY segment"),
            ["big", "small"]
        );
    });
}

#[test]
fn a_fault_at_any_step_loses_and_doubles_nothing() {
    everywhere(|server| {
        let begin = |mode: &str| {
            let world = World::new(server, mode);
            world.scene.rows("in/a.csv", &sample_rows(20, 1));
            world.delivers();
            world.scene.rows("in/b.csv", &sample_rows(20, 2));
            world
        };
        let mut world = begin("append");
        let counter = Fault::never();
        world.scene.disk = counter.disk();
        world.delivers();
        let steps = counter.steps();
        let stride = usize::try_from(repetitions(2, 1)).unwrap();
        for mode in ["append", "replace"] {
            for at in (0..steps.len()).step_by(stride) {
                for dead in [true, false] {
                    let what = format!("{mode}, step {at}, dead {dead}: {:?}", steps[at]);
                    let mut world = begin(mode);
                    world.scene.disk =
                        if dead { Dead::from(at) } else { Fault::error(at, 5).disk() };
                    let _ = world.scene.ingest();
                    world.scene.disk = Disk::default();
                    let whole = |world: &World<'_>| {
                        let there = if mode == "append" { "version = 2" } else { "1 = 1" };
                        assert_eq!(world.rows(there), world.data(2), "{what}");
                        if mode == "append" {
                            assert_eq!(world.rows("version = 1"), world.data(1), "{what}");
                        }
                    };
                    world.delivers();
                    whole(&world);
                    let before = world.scene.snapshot();
                    assert!(world.delivers().delivered.is_empty(), "{what}");
                    whole(&world);
                    assert!(before == world.scene.snapshot(), "{what}");
                }
            }
        }
    });
}

#[test]
fn a_server_that_breaks_off_or_falls_silent_is_caught_up_with() {
    let Some(server) = started() else { return };
    let mut world = World::new(Some(&server), "append");
    let right = world.table.clone();
    let proxy = Proxy::before(([127, 0, 0, 1], server.port()).into());
    let mut through = right.clone();
    through["uri"] = format!("postgres://me@{}/postgres", proxy.address()).into();
    through["timeout"] = "1s".into();
    world.configure(&through, &json!({}));
    world.scene.rows("in/a.csv", &sample_rows(2000, 1));
    world.delivers();
    let mut versions = 1;
    // Somewhere in these lie the answers to the login, to each statement, to COPY and to COMMIT.
    let troubles = (0..repetitions(12, 120))
        .map(|n| Trouble::Cut(usize::try_from(n * 1200 / repetitions(12, 120)).unwrap()));
    for trouble in troubles.chain([Trouble::Silence]) {
        proxy.always(trouble);
        versions += 1;
        world
            .scene
            .rows(&format!("in/b{versions}.csv"), &sample_rows(5, 100 + u64::from(versions)));
        let _ = world.ingest();
        proxy.always(Trouble::None);
        world.delivers();
        let all: Vec<String> = (1..=versions).map(|v| format!("{v}|1")).collect();
        let each =
            "SELECT version, count(DISTINCT sha256) FROM mlops_deliveries GROUP BY 1 ORDER BY 1";
        assert_eq!(world.ask(each), all, "{trouble:?}");
        let newest = format!("version = {versions}");
        assert_eq!(world.rows(&newest), world.data(versions), "{trouble:?}");
    }
    // Somebody keeps the table locked.
    world.configure(&right, &json!({}));
    let mut locked = right.clone();
    locked["timeout"] = "1s".into();
    world.configure(&locked, &json!({}));
    thread::scope(|scope| {
        let held = scope.spawn(|| {
            server.sql("BEGIN; LOCK TABLE mlops_deliveries; SELECT pg_sleep(4); COMMIT");
        });
        thread::sleep(Duration::from_millis(500));
        world.scene.rows("in/last.csv", &sample_rows(5, 99));
        let why = world.behind();
        assert!(why.contains("keeps the table locked"), "{why}");
        held.join().unwrap();
    });
    world.delivers();
}

#[test]
fn a_ledger_is_no_database_for_a_table() {
    let world = World::new(None, "append");
    let other = Scene::new();
    other.rows("in/a.csv", &sample_rows(20, 1));
    patiently(|| other.ingest()).unwrap();
    fs::copy(other.path("out/ledger.sqlite"), world.scene.path("clients.db")).unwrap();
    world.scene.rows("in/a.csv", &sample_rows(20, 1));
    assert!(world.behind().contains("is a ledger"));
}

#[test]
fn data_sets_that_are_parquet_files_give_the_same_table() {
    mlops_formats::install();
    everywhere(|server| {
        let forms = json!({"output": {"csv": false, "parquet": true},
            "schema": {"id": ["id"], "numeric": ["n"], "categorical": ["c"], "target": "left"}});
        let mut world = World::with(server, "append", &json!({}), &forms);
        world
            .scene
            .file("in/a.csv", "id,n,c,left\nx,9007199254740993,big,1\ny,,,0\nz,0.1,small,0\n");
        world.delivers();
        assert!(world.scene.path("out/finaldata1.parquet").is_file());
        let rows = ["x|9007199254740993|big|1", "y|||0", "z|0.1|small|0"];
        let sql = "SELECT id, n, c, \"left\" FROM clients WHERE version = 1 ORDER BY id";
        assert_eq!(world.ask(sql), rows);
        // The next version is CSV; of the first one nothing is written again.
        let table = world.table.clone();
        world.configure(&table, &json!({"schema": forms["schema"]}));
        world.scene.file("in/b.csv", "id,n,c,left\nw,1,,1\n");
        let report = world.delivers();
        assert_eq!(report.delivered.iter().map(|v| v.0).collect::<Vec<_>>(), [2]);
        assert_eq!(world.ask(&sql.replace("= 1", "= 2")).len(), 4);
    });
}

#[test]
fn the_data_set_of_earlier_scripts_is_delivered_too() {
    let mut world = World::new(None, "replace");
    world.scene.file("out/finaldata.csv", format!("{HEADER}{}", sample_rows(20, 1)));
    let adopted = |world: &World| world.scene.step(Step::AdoptData, adopt::run).unwrap();
    // A database that cannot be written delays the table alone, and adopting again brings it.
    let (table, mut wrong) = (world.table.clone(), world.table.clone());
    wrong["uri"] = json!("sqlite:no/such/folder/clients.db");
    world.configure(&wrong, &json!({}));
    let behind = adopted(&world);
    assert!(behind.new_version && behind.behind.is_some(), "{behind}");
    world.configure(&table, &json!({}));
    let again = adopted(&world);
    assert_eq!((again.new_version, again.delivered.len(), again.behind), (false, 1, None));
    assert_eq!(world.ask("SELECT count(*), count(DISTINCT corporation) FROM clients"), ["20|20"]);
    assert!(adopted(&world).delivered.is_empty());
}
