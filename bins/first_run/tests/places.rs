//! `first_run --init` with the address of a bucket or a database: to a live model, without a secret in the
//! configuration, or to one message and nothing else. Not for files and folders: see `smoke`; not for how the
//! places are read: see mlops-sources.

#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::net::TcpListener;
use std::path::Path;

use mlops_testkit::binary::scene::Scene;
use mlops_testkit::binary::{Binary, Output, ended};
use mlops_testkit::postgres::{self, Postgres};
use mlops_testkit::s3::{KEYS, Server};
use rusqlite::Connection;
use serde_json::{Value, json};

const FIRST_RUN: Binary = Binary { name: "first_run", path: env!("CARGO_BIN_EXE_first_run") };

/// What no file and no message may have.
const SECRETS: [&str; 3] = [KEYS[1].1, postgres::PASSWORD, "hunter2"];

/// Months, plan and label of a customer; the label follows from the other two.
fn customer(i: usize) -> (usize, &'static str, &'static str) {
    let (months, plan) = (i * 7 % 60, i % 3);
    let left = months + 20 * plan + i * 13 % 40 > 60;
    (months, ["basic", "plus", "gold"][plan], if left { "yes" } else { "no" })
}

fn csv(range: std::ops::Range<usize>) -> String {
    let row = |i| {
        let (months, plan, churn) = customer(i);
        format!("C{i},{months},{plan},{churn}\n")
    };
    "customer_id,months,plan,churn\n".to_owned() + &range.map(row).collect::<String>()
}

/// The statements that make the table of customers and an empty one.
fn sql() -> String {
    let row = |i| {
        let (months, plan, churn) = customer(i);
        format!("('C{i}', {months}, '{plan}', '{churn}')")
    };
    let rows: Vec<String> = (0..400).map(row).collect();
    let columns = "(customer_id text PRIMARY KEY, months integer, plan text, churn text)";
    format!(
        "CREATE TABLE customers {columns}; CREATE TABLE nobody {columns}; INSERT INTO customers VALUES {};",
        rows.join(",")
    )
}

/// Runs with these variables in the environment and no others of the places.
fn run(scene: &Scene, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = FIRST_RUN.command(scene.root(), arguments);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("AWS_") || text.starts_with("PG") {
            command.env_remove(name);
        }
    }
    ended(command.envs(environment.iter().copied()))
}

/// The environment in which the server is reached.
fn of_bucket(address: &str) -> Vec<(&str, &str)> {
    [KEYS.as_slice(), &[("AWS_ENDPOINT_URL", address), ("AWS_REGION", "us-east-1")]].concat()
}

fn table(arguments: &'static [&'static str]) -> impl Fn(&str) -> Vec<String> {
    move |uri| [&["--init", uri], arguments].concat().into_iter().map(str::to_owned).collect()
}

/// No secret is in what was said, nor in any file that a person reads.
fn keeps_secrets(scene: &Scene, said: &Output) {
    for secret in SECRETS {
        assert!(!said.stdout.contains(secret) && !said.stderr.contains(secret), "{said:#?}");
        for (path, bytes) in scene.files() {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.contains(secret), "{secret} in {}", path.display());
        }
    }
}

/// A model goes live from what `--init` was given, and a run without it finds nothing to do.
fn goes_live(scene: &Scene, arguments: &[String], environment: &[(&str, &str)]) -> Value {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let first = run(scene, &arguments, environment).ends_with(0);
    for part in [": 400 rows", "Wrote work/config.json", "4  Deployed", "   Live: r-"] {
        assert_eq!(first.stdout.matches(part).count(), 1, "{part} in {first:#?}");
    }
    assert!(scene.path("work/live/trainedmodel.bin").is_file());
    keeps_secrets(scene, &first);
    let next = run(scene, &["--config", "work/config.json"], environment).ends_with(0);
    assert!(next.stdout.contains("Nothing to do"), "{next:#?}");
    keeps_secrets(scene, &next);
    let config = scene.json("work/config.json");
    assert_eq!(config["schema"]["id"], json!(["customer_id"]), "{config:#}");
    assert_eq!(config["schema"]["target"], "churn", "{config:#}");
    config
}

/// One message of one line with all `parts` and exit code 1, and the folder is as it was.
fn is_refused(scene: &Scene, arguments: &[&str], environment: &[(&str, &str)], parts: &[&str]) {
    let before = scene.snapshot();
    let refused = run(scene, arguments, environment).ends_with(1);
    let said = &refused.stderr;
    assert!(refused.stdout.is_empty(), "{refused:#?}");
    assert!(said.starts_with("error: ") && said.len() < 700, "{refused:#?}");
    assert_eq!(said.lines().count(), 1, "{refused:#?}");
    for part in parts {
        assert!(said.contains(part), "{part} in {refused:#?}");
    }
    assert!(scene.snapshot() == before, "{arguments:?} left something");
    keeps_secrets(scene, &refused);
    let json = [arguments, &["--json"]].concat();
    let json = run(scene, &json, environment).ends_with(1).json();
    assert!(json["error"]["message"].as_str().unwrap().contains(parts[0]), "{json:#}");
}

/// An address where nobody answers.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn from_a_bucket_to_a_live_model() {
    let (scene, server) = (Scene::empty(), Server::start());
    server.put("2024/a.csv", csv(0..150).as_bytes());
    server.put("2024/b.csv", csv(150..400).as_bytes());
    server.put("readme.md", b"not rows");
    let endpoint = format!("http://{}", server.address);
    let environment = of_bucket(&endpoint);
    let asked = table(&["--yes", "--config", "work/config.json"])("s3://bucket/exports/");
    let config = goes_live(&scene, &asked, &environment);
    let source = &config["sources"][0];
    assert_eq!(source["uri"], "s3://bucket/exports/");
    assert_eq!(source.as_object().unwrap().len(), 2, "{config:#}");
    // What comes later is taken by the same configuration.
    server.put("2025/c.csv", csv(400..600).as_bytes());
    let next = run(&scene, &["--config", "work/config.json"], &environment).ends_with(0);
    assert!(next.stdout.contains("   Live: r-"), "{next:#?}");
}

#[test]
fn from_one_object_of_a_bucket_to_a_live_model() {
    let (scene, server) = (Scene::empty(), Server::start());
    let text = csv(0..400).replace(',', ";");
    server.put("customers.csv", text.as_bytes());
    server.put("orders.csv", b"order;customer\n1;C1\n");
    let endpoint = format!("http://{}", server.address);
    let asked =
        table(&["--yes", "--config", "work/config.json"])("s3://bucket/exports/customers.csv");
    let config = goes_live(&scene, &asked, &of_bucket(&endpoint));
    assert_eq!(config["sources"][0]["uri"], "s3://bucket/exports/customers.csv");
}

#[test]
fn a_bucket_that_gives_no_rows_is_refused_in_one_message() {
    let (scene, server) = (Scene::empty(), Server::start());
    let endpoint = format!("http://{}", server.address);
    let here = of_bucket(&endpoint);
    let silent = format!("http://{}", nobody());
    let nowhere = of_bucket(&silent);
    let wrong = [("AWS_SECRET_ACCESS_KEY", "hunter2")];
    let wrong = [here.as_slice(), &wrong].concat();
    let bucket = ["--init", "s3://bucket/exports/", "--yes"];
    let empty = ["s3://bucket/exports/ has no", "(0 objects in all)"];
    is_refused(&scene, &bucket, &here, &empty);
    server.put("readme.md", b"not rows");
    is_refused(&scene, &bucket, &here, &["has no file of rows", "(1 object in all)"]);
    server.put("a.csv", b"");
    is_refused(&scene, &bucket, &here, &["s3://bucket/exports/"]);
    server.put("a.csv", csv(0..0).as_bytes());
    is_refused(&scene, &bucket, &here, &["s3://bucket/exports/", "no row below it"]);
    server.put("a.parquet", b"PAR1 and then nothing that is Parquet");
    std::fs::remove_file(server.path("a.csv")).unwrap();
    is_refused(&scene, &bucket, &here, &["s3://bucket/exports/: a.parquet"]);
    std::fs::remove_file(server.path("a.parquet")).unwrap();
    server.put("a.csv", csv(0..400).as_bytes());
    server.put("deep/a.csv", b"order,article\n1,2\n");
    let mixed = run(&scene, &bucket, &here).ends_with(1).stderr;
    for part in ["- deep/a.csv has order, article", "--init s3://bucket/exports/FILE"] {
        assert!(mixed.contains(part), "{part} in {mixed}");
    }
    std::fs::remove_file(server.path("deep/a.csv")).unwrap();
    let labelled = [bucket.as_slice(), &["--target", "churned"]].concat();
    is_refused(&scene, &labelled, &here, &["there is no column \"churned\"", "months, plan"]);
    let tabled = [bucket.as_slice(), &["--table", "customers"]].concat();
    is_refused(&scene, &tabled, &here, &["--table is for a database"]);
    is_refused(&scene, &bucket, &nowhere, &["s3://bucket/exports/: nobody answers"]);
    is_refused(
        &scene,
        &bucket,
        &wrong,
        &["s3://bucket/exports/: the server refuses the secret key"],
    );
    is_refused(&scene, &bucket, &[], &["s3://bucket/exports/: ", "AWS_"]);
    let none = ["--init", "s3://nothing/", "--yes"];
    is_refused(&scene, &none, &here, &["there is no bucket \"nothing\""]);
    let keyed = ["--init", "s3://me:hunter2@bucket/exports/", "--yes"];
    is_refused(&scene, &keyed, &here, &["has a secret (a password)", "environment"]);
    is_refused(
        &scene,
        &["--init", "ftp://host/a.csv"],
        &here,
        &["ftp://host/a.csv is not a place"],
    );
}

/// The address of a database is relative to the configuration, that on the command line to where the program runs.
#[test]
fn from_a_table_of_sqlite_to_a_live_model() {
    for uri in ["sqlite:crm.db", "sqlite://crm.db"] {
        let scene = Scene::empty();
        let database = Connection::open(scene.path("crm.db")).unwrap();
        database.execute_batch(&sql()).unwrap();
        let asked = table(&["--table", "customers", "--yes", "--config", "work/config.json"])(uri);
        let config = goes_live(&scene, &asked, &[]);
        let named = config["sources"][0]["uri"].as_str().unwrap();
        let path = Path::new(named.strip_prefix("sqlite:").unwrap());
        assert_eq!(path.canonicalize().unwrap(), scene.path("crm.db").canonicalize().unwrap());
        assert_eq!(config["sources"][0]["table"], "customers");
    }
    // Beside the configuration, it moves with it.
    let scene = Scene::empty();
    Connection::open(scene.path("crm.db")).unwrap().execute_batch(&sql()).unwrap();
    let asked = ["--init", "sqlite:crm.db", "--table", "customers", "--no-run"];
    run(&scene, &asked, &[]).ends_with(0);
    assert_eq!(scene.json("config.json")["sources"][0]["uri"], "sqlite:crm.db");
}

#[test]
fn a_sqlite_file_that_gives_no_rows_is_refused_in_one_message() {
    let scene = Scene::empty();
    Connection::open(scene.path("crm.db")).unwrap().execute_batch(&sql()).unwrap();
    scene.file(
        "text.db",
        "not a database, but a text that is long enough to have a header".repeat(9),
    );
    let database = ["--init", "sqlite:crm.db", "--yes", "--table"];
    let with = |more: &[&'static str]| [database.as_slice(), more].concat();
    is_refused(&scene, &database[..3], &[], &["sqlite:crm.db is a database: name the table"]);
    is_refused(&scene, &with(&["clients"]), &[], &["no such table: clients", "crm.db"]);
    is_refused(&scene, &with(&["nobody"]), &[], &["sqlite:crm.db has a header, but no row"]);
    let target = with(&["customers", "--target", "churned"]);
    is_refused(&scene, &target, &[], &["there is no column \"churned\"", "months, plan"]);
    for (uri, part) in [
        ("sqlite:none.db", "there is no file none.db"),
        ("sqlite:.", "is not a file"),
        ("sqlite:text.db", "text.db: file is not a database"),
    ] {
        is_refused(&scene, &["--init", uri, "--table", "t", "--yes"], &[], &[part]);
    }
}

#[test]
fn from_a_table_of_postgresql_to_a_live_model() {
    let Some(server) = Postgres::start() else { return };
    server.sql(&sql());
    let (scene, uri) = (Scene::empty(), server.uri());
    let asked = table(&["--table", "customers", "--yes", "--config", "work/config.json"])(&uri);
    let config = goes_live(&scene, &asked, &[("PGPASSWORD", postgres::PASSWORD)]);
    assert_eq!(config["sources"][0]["uri"].as_str(), Some(uri.as_str()));
    assert_eq!(config["sources"][0]["mode"], "snapshot");
}

#[test]
fn from_a_view_of_postgresql_to_a_live_model() {
    let Some(server) = Postgres::start() else { return };
    server.sql(&(sql() + "; CREATE VIEW current AS SELECT * FROM customers"));
    let (scene, uri) = (Scene::empty(), server.uri());
    let asked = table(&[
        "--table",
        "current",
        "--key",
        "customer_id",
        "--yes",
        "--config",
        "work/config.json",
    ])(&uri);
    let config = goes_live(&scene, &asked, &[("PGPASSWORD", postgres::PASSWORD)]);
    assert_eq!(config["sources"][0]["key"], json!(["customer_id"]));
}

#[test]
fn a_postgresql_server_that_gives_no_rows_is_refused_in_one_message() {
    let Some(server) = Postgres::start() else { return };
    server.sql(&(sql() + "CREATE TABLE keyless (a integer, churn text)"));
    let (scene, uri) = (Scene::empty(), server.uri());
    let known = [("PGPASSWORD", postgres::PASSWORD)];
    let with = |table: &'static str| ["--init", &uri, "--yes", "--table", table];
    is_refused(&scene, &with("clients"), &known, &["relation \"clients\" does not exist", &uri]);
    is_refused(&scene, &with("nobody"), &known, &["has a header, but no row", &uri]);
    let said = ["the table keyless has no primary key", "`first_run --init`: --key COLUMN"];
    is_refused(&scene, &with("keyless"), &known, &said);
    let key = [with("keyless").as_slice(), &["--key", "b"]].concat();
    is_refused(&scene, &key, &known, &["has no column b", &uri]);
    let target = [with("customers").as_slice(), &["--target", "churned"]].concat();
    is_refused(&scene, &target, &known, &["there is no column \"churned\"", "months, plan"]);
    let wrong = [("PGPASSWORD", "hunter2")];
    is_refused(
        &scene,
        &with("customers"),
        &wrong,
        &["password authentication failed", "PGPASSWORD"],
    );
    let secret = uri.replace("me@", "me:hunter2@");
    let said = ["has a secret (a password)", "PGPASSWORD", &uri];
    is_refused(&scene, &["--init", &secret, "--table", "customers", "--yes"], &known, &said);
    let silent = format!("postgres://me@{}/postgres", nobody());
    let away = ["--init", &silent, "--table", "customers", "--yes"];
    is_refused(&scene, &away, &known, &["check whether the server is running", &silent]);
}

#[test]
fn a_configuration_that_is_there_is_named_without_the_secret() {
    let scene = Scene::empty();
    scene.file("config.json", "mine");
    for uri in ["postgres://me:hunter2@127.0.0.1/db", "https://host/a.csv?sig=hunter2"] {
        let again = ["--init", uri, "--yes"];
        is_refused(&scene, &again, &[], &["config.json is there already"]);
    }
    assert_eq!(scene.read("config.json"), "mine");
}
