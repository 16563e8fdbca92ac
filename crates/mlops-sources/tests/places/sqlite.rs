//! SQLite: what rows become, and what a cursor brings. Not for how the file is locked.

use mlops_core::source::{Fetched, Seen, Source};
use mlops_testkit::Folder;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::open;

fn folder(sql: &str) -> (Folder, Connection) {
    let folder = Folder::in_memory();
    let database = Connection::open(folder.path("crm.db")).unwrap();
    database.execute_batch(sql).unwrap();
    (folder, database)
}

fn place(folder: &Folder, more: &Value) -> Box<dyn Source> {
    let mut entry = json!({"uri": "sqlite:crm.db", "table": "t", "mode": "snapshot"});
    for (key, value) in more.as_object().unwrap() {
        entry[key] = value.clone();
    }
    if more.get("query").is_some() {
        entry.as_object_mut().unwrap().remove("table");
    }
    open(folder.root(), &entry, &[]).unwrap()
}

/// One run: the text of the extract, if there is one, and what is seen after it.
fn extract(place: &dyn Source, seen: &Seen) -> (Option<String>, Seen) {
    let object = place.list(seen).unwrap().remove(0);
    let mut bytes = Vec::new();
    match place.fetch(&object, &mut bytes).unwrap() {
        Fetched::Whole { cursor } => {
            let seen = Seen { cursor, extracts: seen.extracts + 1 };
            (Some(String::from_utf8(bytes).unwrap()), seen)
        }
        Fetched::Empty => (None, seen.clone()),
        Fetched::Changed => panic!("a table changed"),
    }
}

fn error(place: &dyn Source) -> String {
    match place.list(&Seen::default()) {
        Err(error) => error.to_string(),
        Ok(objects) => place.fetch(&objects[0], &mut Vec::new()).unwrap_err().to_string(),
    }
}

#[test]
fn types_are_exact_and_odd_names_are_quoted() {
    let (folder, _database) = folder(
        "CREATE TABLE \"odd \"\"table\"\"; DROP TABLE x\" (id INTEGER PRIMARY KEY, \"a,b\" TEXT, \"select\" REAL, z BLOB);
         INSERT INTO \"odd \"\"table\"\"; DROP TABLE x\" VALUES
           (1, 'x,\"y\"', 0.1, x'00ff'), (2, NULL, 1e300, NULL), (9007199254740993, '', -5.0, NULL),
           (9223372036854775807, 'line
end', 1e21, NULL);",
    );
    let place = place(&folder, &json!({"table": "odd \"table\"; DROP TABLE x"}));
    let (text, _) = extract(&*place, &Seen::default());
    assert_eq!(
        text.unwrap(),
        "id,\"a,b\",select,z\n1,\"x,\"\"y\"\"\",0.1,00ff\n2,,1e300,\n9007199254740993,,-5.0,\n\
         9223372036854775807,\"line\nend\",1e21,\n"
    );
}

#[test]
fn large_tables_come_whole_whatever_their_key() {
    let rows = 250_001;
    let numbers =
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})");
    for table in [
        "CREATE TABLE t (i INTEGER PRIMARY KEY, x TEXT)",
        "CREATE TABLE t (i TEXT PRIMARY KEY, x TEXT) WITHOUT ROWID",
        "CREATE TABLE t (i INT, x TEXT)",
        "CREATE TABLE t (i INT, x TEXT, PRIMARY KEY (x, i))",
    ] {
        let (folder, database) = folder(table);
        database.execute_batch(&format!("INSERT INTO t {numbers} SELECT i, i % 7 FROM n")).unwrap();
        let (text, _) = extract(&*place(&folder, &json!({})), &Seen::default());
        let text = text.unwrap();
        let mut ids: Vec<u32> =
            text.lines().skip(1).map(|l| l.split(',').next().unwrap().parse().unwrap()).collect();
        ids.sort_unstable();
        assert!(ids == (1..=rows).collect::<Vec<_>>(), "{table}: {} rows", ids.len());
    }
}

#[test]
fn a_cursor_brings_what_is_new_and_what_was_committed_late() {
    let (folder, database) = folder(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT NOT NULL);
         INSERT INTO t VALUES (1, '2025-01-01 00:00:00'), (2, '2025-01-02 00:00:00')",
    );
    let place = place(
        &folder,
        &json!({
            "mode": "cursor", "cursor": {"column": "at", "lag": "12h"},
        }),
    );
    let (first, seen) = extract(&*place, &Seen::default());
    assert_eq!(first.unwrap().lines().count(), 3);
    assert_eq!(extract(&*place, &seen), (None, seen.clone()), "nothing is new");
    // Later, but with an earlier time.
    database.execute_batch("INSERT INTO t VALUES (3, '2025-01-01 18:00:00')").unwrap();
    let (late, seen) = extract(&*place, &seen);
    assert_eq!(late.unwrap(), "id,at\n3,2025-01-01 18:00:00\n2,2025-01-02 00:00:00\n");
    assert_eq!(extract(&*place, &seen).0, None);
    database.execute_batch("INSERT INTO t VALUES (4, '2025-01-03 00:00:00')").unwrap();
    let (new, seen) = extract(&*place, &seen);
    assert_eq!(new.unwrap().lines().count(), 4);
    let (again, seen) = extract(&*place, &seen);
    assert_eq!(again, None);
    // A change is a row to be read, too.
    database.execute_batch("UPDATE t SET at = '2025-01-04 00:00:00' WHERE id = 1").unwrap();
    assert!(extract(&*place, &seen).0.unwrap().contains("1,2025-01-04"));
}

#[test]
fn a_cursor_of_numbers_begins_where_it_is_told() {
    let (folder, database) = folder(
        "CREATE TABLE t (id INTEGER PRIMARY KEY);
        INSERT INTO t VALUES (1), (5), (10)",
    );
    let place = place(
        &folder,
        &json!({
            "mode": "cursor", "cursor": {"column": "id", "lag": 3, "start": "5"},
        }),
    );
    let (first, seen) = extract(&*place, &Seen::default());
    assert_eq!(first.unwrap(), "id\n5\n10\n");
    database.execute_batch("INSERT INTO t VALUES (6), (8), (11)").unwrap();
    assert_eq!(extract(&*place, &seen).0.unwrap(), "id\n8\n10\n11\n");
}

#[test]
fn errors_say_what_to_do() {
    let (folder, _database) = folder(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT, k INT);
         INSERT INTO t VALUES (1, '2025-01-01', 7), (2, NULL, 7), (3, '2025-01-02', 8);
         CREATE TABLE numbers (id INTEGER PRIMARY KEY); INSERT INTO numbers VALUES (1)",
    );
    for (entry, part) in [
        (json!({"uri": "sqlite:no.db"}), "there is no file"),
        (json!({"table": "u"}), "no such table"),
        (json!({"query": "SELECT * FROM t"}), "name the columns that identify a row in \"key\""),
        (json!({"query": "SELECT * FROM t", "key": "k"}), "several rows with the same k"),
        (json!({"key": "at"}), "rows with no value in one of at"),
        (json!({"key": "nokey"}), "the table t has no column nokey: it has id, at, k"),
        (json!({"mode": "cursor", "cursor": {"column": "at"}}), "rows with no value"),
        (
            json!({"table": "numbers", "mode": "cursor", "cursor": {"column": "id", "lag": "1h"}}),
            "write its \"lag\" as a number",
        ),
        (json!({"query": "DELETE FROM t", "key": "id"}), "syntax error"),
        (json!({"query": "SELECT * FROM t) AS q; DELETE FROM t; --", "key": "id"}), ""),
    ] {
        let text = error(&*place(&folder, &entry));
        assert!(text.contains(part), "{entry}: {text}");
    }
    let database = Connection::open(folder.path("crm.db")).unwrap();
    let left: u32 = database.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 3);
}

#[test]
fn a_view_that_never_ends_is_ended() {
    let (folder, database) = folder(
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);
         CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
           SELECT max(i) AS id FROM n;
         CREATE VIEW slow AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
           SELECT i AS id FROM n WHERE i = 1 OR i = -1",
    );
    for table in ["endless", "slow"] {
        for cursor in [false, true] {
            let mut entry = json!({"table": table, "key": "id", "timeout": "1s"});
            if cursor {
                entry["mode"] = "cursor".into();
                entry["cursor"] = json!({"column": "id"});
            }
            let text = error(&*place(&folder, &entry));
            assert!(text.contains("statement timeout") && text.contains(table), "{text}");
            assert!(text.contains("raise \"timeout\" of the source"), "{text}");
        }
    }
    // What is quick is not ended, however often it is asked.
    let quick = place(&folder, &json!({"timeout": "1s"}));
    assert_eq!(extract(&*quick, &Seen::default()).0.unwrap(), "id\n1\n");
    drop(database);
}
