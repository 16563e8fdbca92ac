//! The same table in every place: one data set, and the same rows in the quarantine for the same reasons.
//! mlops-formats has the same test for file formats.

use std::fmt::Write as _;
use std::sync::Arc;

use mlops_sources::Everywhere;
use mlops_testkit::postgres::PASSWORD;
use mlops_testkit::s3::{KEYS, Server};
use mlops_testkit::{Random, Scene, repetitions};
use serde_json::{Value, json};

use super::postgres::started;
use super::stores::{Maker, Store};
use super::web;

/// The columns of the schema, and the key by which databases order the rows.
const COLUMNS: [&str; 6] = [
    "corporation",
    "lastmonth_activity",
    "lastyear_activity",
    "number_of_employees",
    "exited",
    "n",
];

/// Rows, of which some cannot be used and some are there twice; a cell without text is missing.
fn rows(count: u64) -> Vec<[Option<String>; 5]> {
    let mut random = Random(7);
    let mut rows: Vec<[Option<String>; 5]> = Vec::new();
    for i in 0..usize::try_from(count).unwrap() {
        if i > 0 && random.one_in(20) {
            rows.push(rows[random.below(i)].clone());
            continue;
        }
        let mut row = [
            format!("c{i}"),
            random.below(100).to_string(),
            format!("{}.{}", random.below(1000), 1 + random.below(9)),
            (random.below(50) + 1).to_string(),
            random.below(2).to_string(),
        ]
        .map(Some);
        let change = |text: &str| Some(text.to_owned());
        match random.below(60) {
            0 => row[1] = change("many"),
            1 => row[2] = change("12;5, \"perhaps\""),
            2 => row[4] = None,
            3 => row[4] = change("maybe so"),
            4..=6 => row[1 + random.below(3)] = None,
            7 => row[0] = change(&format!("Müller, \"Söhne\" & Co'; {i}|x\\")),
            8 => row[0] = change(&format!("two\nlines {i}")),
            9 => row[1] = change(" 007 "),
            10 => row[3] = change("NA"),
            11 => row[3] = change("12,345"),
            12 => row[0] = None,
            _ => {}
        }
        rows.push(row);
    }
    rows
}

fn csv(rows: &[[Option<String>; 5]]) -> String {
    let mut text = COLUMNS.join(",") + "\n";
    for (n, row) in rows.iter().enumerate() {
        for cell in row {
            let cell = cell.as_deref().unwrap_or_default();
            let _ = if cell.contains([',', '"', '\n']) {
                write!(text, "\"{}\",", cell.replace('"', "\"\""))
            } else {
                write!(text, "{cell},")
            };
        }
        let _ = writeln!(text, "{n}");
    }
    text
}

/// A table of texts with these rows.
fn sql(rows: &[[Option<String>; 5]]) -> String {
    let columns = COLUMNS[..5].iter().map(|name| format!("{name} text, ")).collect::<Vec<_>>();
    let mut sql = format!("BEGIN; CREATE TABLE t ({}n int PRIMARY KEY);", columns.concat());
    for (n, row) in rows.iter().enumerate() {
        let cells = row.iter().map(|cell| match cell {
            Some(cell) => format!("'{}'", cell.replace('\'', "''")),
            None => "NULL".to_owned(),
        });
        let _ = write!(sql, "INSERT INTO t VALUES ({}, {n});", cells.collect::<Vec<_>>().join(","));
    }
    sql + "COMMIT;"
}

/// The data set that the source `entry` gives, and of each quarantined row its column, kind and reason.
fn ingested(
    entry: &Value,
    secrets: &[(&str, &str)],
    prepare: impl FnOnce(&Scene),
) -> (String, Vec<String>) {
    mlops_formats::install();
    let mut entry = entry.clone();
    entry["name"] = "far".into();
    let mut scene = Scene::with(&json!({
        "sources": [entry], "ingestion": {"max_rejected_share": 1.0},
    }));
    scene.places = Arc::new(Everywhere::with(secrets));
    prepare(&scene);
    let report = scene.ingest().unwrap();
    assert_eq!(report.failures, [""; 0], "{entry}");
    let quarantine = scene.read(report.quarantine.as_deref().unwrap());
    let mut reader = csv::Reader::from_reader(quarantine.as_bytes());
    let reasons = reader.records().map(|record| {
        let record = record.unwrap();
        // From the column on: places have units of their own.
        record.iter().skip(4).take(3).collect::<Vec<_>>().join("|")
    });
    let reasons = reasons.collect();
    (scene.read(&report.data.unwrap()), reasons)
}

#[test]
fn one_table_gives_one_data_set_from_all_places() {
    let rows = rows(repetitions(3_000, 200_000));
    let text = csv(&rows);
    let folder = json!({"uri": "exchange"});
    let put = |scene: &Scene| scene.file("exchange/t.csv", &text);
    let plain = ingested(&folder, &[], put);
    assert!(plain.0.lines().count() > rows.len() / 2 && plain.1.len() > rows.len() / 40);
    let agree = |place: &str, found: &(String, Vec<String>)| {
        assert_eq!(found.1, plain.1, "{place}");
        assert!(found.0 == plain.0, "{place} gives other rows");
    };

    let program = json!({"command": ["cat", "exchange/t.csv"], "mode": "snapshot"});
    agree("a program", &ingested(&program, &[], put));
    let site = web::site_with(text.as_bytes());
    let page = json!({"uri": format!("http://{site}/t.csv"), "allow_hosts": ["127.0.0.1"]});
    agree("a web server", &ingested(&page, &[], |_| ()));
    let server = Server::start();
    server.put("t.csv", text.as_bytes());
    agree("S3", &ingested(&server.entry(), &KEYS, |_| ()));
    for maker in [Maker::Google, Maker::Azure] {
        if let Some(store) = Store::start(maker) {
            mlops_testkit::conformance::Ground::put(&store, "t.csv", text.as_bytes());
            let (entry, secrets) = store.entry();
            agree(&format!("{maker:?}"), &ingested(&entry, &secrets, |_| ()));
        }
    }
    let table = json!({"uri": "sqlite:lite.db", "table": "t", "key": ["n"], "mode": "snapshot"});
    let prepared = |scene: &Scene| {
        let lite = rusqlite::Connection::open(scene.path("lite.db")).unwrap();
        lite.execute_batch(&sql(&rows)).unwrap();
    };
    agree("SQLite", &ingested(&table, &[], prepared));
    if let Some(postgres) = started() {
        postgres.sql(&sql(&rows));
        let table = json!({
            "uri": postgres.uri(), "table": "t", "key": ["n"], "mode": "snapshot",
        });
        agree("PostgreSQL", &ingested(&table, &[("PGPASSWORD", PASSWORD)], |_| ()));
    }
}
