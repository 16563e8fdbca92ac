//! PostgreSQL: what rows become, and that a cursor loses and doubles nothing while others write.
//! Not for the server's own settings.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mlops_core::source::{Fetched, Seen, Source};
use mlops_testkit::Random;
use mlops_testkit::postgres::{PASSWORD, Postgres};
use mlops_testkit::proxy::{Proxy, Trouble};
use serde_json::{Value, json};

use super::open;

/// A server, if there is one.
pub(crate) fn started() -> Option<Postgres> {
    Postgres::start()
}

fn with(uri: &str, more: &Value, environment: &[(&str, &str)]) -> Box<dyn Source> {
    let mut entry = json!({"uri": uri, "table": "t", "mode": "snapshot", "timeout": "20s"});
    for (key, value) in more.as_object().unwrap() {
        entry[key] = value.clone();
    }
    if more.get("query").is_some() {
        entry.as_object_mut().unwrap().remove("table");
    }
    open(Path::new("/"), &entry, environment).unwrap()
}

fn place(server: &Postgres, more: &Value) -> Box<dyn Source> {
    with(&server.uri(), more, &[("PGPASSWORD", PASSWORD)])
}

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
    let text = match place.list(&Seen::default()) {
        Err(error) => error.to_string(),
        Ok(objects) => place.fetch(&objects[0], &mut Vec::new()).unwrap_err().to_string(),
    };
    assert!(!text.contains(PASSWORD) && !text.contains("SECRET"), "{text}");
    text
}

#[test]
fn types_are_exact_pages_complete_and_errors_helpful() {
    let Some(server) = started() else { return };
    server.sql(
        "CREATE TABLE \"odd \"\"t\"\"; DROP TABLE x\" (
           id int8 PRIMARY KEY, b bool, n numeric, f float8, g float4, t timestamptz, u timestamp,
           d date, \"select,\" text, y bytea, c char(5), j jsonb, i interval);
         INSERT INTO \"odd \"\"t\"\"; DROP TABLE x\" VALUES
           (9223372036854775807, true, 123456789012345678901234567890.1230, 0.1, 0.1,
            '2025-03-01 12:00:00.123456+02', '2025-03-01 12:00:00', '2025-03-01', 'a,\"b\"',
            '\\x00ff', 'ab', '{\"k\": 1}', '1 day 2 hours'),
           (-1, false, 'NaN', 1e300, 'infinity', 'infinity', NULL, NULL, '', NULL, NULL, NULL, NULL),
           (0, NULL, NULL, -0.30000000000000004, NULL, NULL, NULL, NULL, E'line\\nend', NULL, NULL, NULL, NULL);",
    );
    let (text, _) =
        extract(&*place(&server, &json!({"table": "odd \"t\"; DROP TABLE x"})), &Seen::default());
    assert_eq!(
        text.unwrap(),
        "id,b,n,f,g,t,u,d,\"select,\",y,c,j,i\n\
         -1,false,NaN,1e+300,Infinity,infinity,,,,,,,\n\
         0,,,-0.30000000000000004,,,,,\"line\nend\",,,,\n\
         9223372036854775807,true,123456789012345678901234567890.1230,0.1,0.1,\
         2025-03-01T10:00:00.123456+00:00,2025-03-01T12:00:00,2025-03-01,\"a,\"\"b\"\"\",\
         \\x00ff,ab,\"{\"\"k\"\": 1}\",P1DT2H\n"
    );

    // More than two pages, by keys of two columns, in a schema, in the file's order.
    server.sql(
        "CREATE SCHEMA s; CREATE TABLE s.t (a text, b int, x int, PRIMARY KEY (a, b));
         INSERT INTO s.t SELECT 'k' || n % 10, n, n FROM generate_series(1, 250001) n;
         CREATE VIEW v AS SELECT * FROM s.t",
    );
    for more in [
        json!({"table": "s.t"}),
        json!({"table": "v", "key": ["b"]}),
        json!({"query": "SELECT * FROM s.t -- all\n;", "key": ["a", "b"]}),
    ] {
        let (text, _) = extract(&*place(&server, &more), &Seen::default());
        let text = text.unwrap();
        let sum: u64 = text
            .lines()
            .skip(1)
            .map(|l| l.rsplit(',').next().unwrap().parse::<u64>().unwrap())
            .sum();
        assert!(text.lines().count() == 250_002 && sum == 250_001 * 250_002 / 2, "{more}");
    }

    server.sql(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, k int);
                INSERT INTO t VALUES (1, now(), 7), (2, NULL, 7)",
    );
    for (more, part) in [
        (json!({"table": "none"}), "does not exist: check \"table\" or \"query\""),
        (json!({"table": "v"}), "the table v has no primary key: name the columns"),
        (json!({"query": "SELECT * FROM t"}), "the query has no primary key"),
        (json!({"query": "SELECT * FROM t", "key": "k"}), "several rows with the same k"),
        (json!({"key": "at"}), "rows with no value in one of at"),
        (json!({"mode": "cursor", "cursor": {"column": "at"}}), "rows with no value"),
        (json!({"mode": "cursor", "cursor": {"column": "k", "lag": "1h"}}), "\"lag\" as a number"),
        (json!({"key": "nokey"}), "the table t has no column nokey: it has id, at, k"),
        (json!({"query": "DELETE FROM t RETURNING id", "key": "id"}), "syntax error"),
        (json!({"query": "SELECT 1 AS id) AS q; DROP TABLE t; --", "key": "id"}), "syntax error"),
        (
            json!({"query": "WITH d AS (DELETE FROM t RETURNING id) SELECT * FROM d", "key": "id"}),
            "",
        ),
        (
            json!({"query": "SELECT id, pg_sleep(5)::text FROM t", "key": "id", "timeout": "1s"}),
            "statement timeout: an index",
        ),
    ] {
        let text = error(&*place(&server, &more));
        assert!(text.contains(part), "{more}: {text}");
    }
    assert_eq!(server.sql("SELECT count(*) FROM t"), "2\n");

    // Secrets.
    let uri = server.uri();
    let text = error(&*with(&uri, &json!({}), &[("PGPASSWORD", "SECRET")]));
    assert!(
        text.contains("password authentication failed") && text.contains("PGPASSWORD"),
        "{text}"
    );
    let text = error(&*with(&uri, &json!({}), &[]));
    assert!(text.contains("set PGPASSWORD"), "{text}");
    let file = server.password_file().display().to_string();
    with(&uri, &json!({}), &[("PGPASSFILE", &file)]).list(&Seen::default()).unwrap();
    let inside = uri.replace("me@", "me:pass%3Aword@");
    with(&inside, &json!({}), &[]).list(&Seen::default()).unwrap();
    let text = error(&*with(
        &(uri.clone() + "?sslmode=verify-full"),
        &json!({}),
        &[("PGPASSWORD", PASSWORD)],
    ));
    assert!(text.contains("TLS") && text.contains("sslmode=disable"), "{text}");
    let text = error(&*with(
        &uri.replace("/postgres", "/nothing"),
        &json!({}),
        &[("PGPASSWORD", PASSWORD)],
    ));
    assert!(text.contains("nothing") && text.contains("check the name of the database"), "{text}");
    let text = error(&*with("postgres://me:SECRET@127.0.0.1:1/x", &json!({}), &[]));
    assert!(text.contains("postgres://me@127.0.0.1:1/x: "), "{text}");

    // A connection that breaks, at any place, gives nothing.
    let proxy = Proxy::before(([127, 0, 0, 1], server.port()).into());
    let through = uri.replace(&server.port().to_string(), &proxy.address().port().to_string());
    let place = with(&through, &json!({"table": "s.t"}), &[("PGPASSWORD", PASSWORD)]);
    for after in [100, 2_000, 100_000, 3_000_000] {
        proxy.always(Trouble::None);
        let object = place.list(&Seen::default()).unwrap().remove(0);
        proxy.always(Trouble::Cut(after));
        let fetched = place.fetch(&object, &mut Vec::new());
        assert!(fetched.is_err(), "cut after {after}: {fetched:?}");
    }
    // Whoever takes the call and says nothing is given up.
    proxy.always(Trouble::Silence);
    let text = error(&*with(&through, &json!({"timeout": "1s"}), &[("PGPASSWORD", PASSWORD)]));
    assert!(text.contains("does not answer within 1s"), "{text}");
}

#[test]
fn writers_that_commit_late_lose_nothing_and_double_nothing() {
    let Some(server) = started() else { return };
    server.sql(
        "CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());
                CREATE INDEX ON t (at, id)",
    );
    let place = place(&server, &json!({"mode": "cursor", "cursor": {"column": "at", "lag": "5s"}}));
    let (next, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let transactions = 10_000;
    let mut got: BTreeMap<u64, u64> = BTreeMap::new();
    let mut take = |text: Option<String>| {
        for line in text.iter().flat_map(|text| text.lines().skip(1)) {
            let id = line.split(',').next().unwrap().parse().unwrap();
            *got.entry(id).or_default() += 1;
        }
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (server, next) = (&server, &next);
                scope.spawn(move || {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        let uri = server.uri().replace("me@", "me:pass%3Aword@");
                        let (client, connection) =
                            tokio_postgres::connect(&uri, tokio_postgres::NoTls).await.unwrap();
                        tokio::spawn(connection);
                        let mut random = Random(writer);
                        loop {
                            let id = next.fetch_add(1, Ordering::SeqCst);
                            if id >= transactions {
                                break;
                            }
                            // The time is taken, and the commit comes later, some much later.
                            client
                                .batch_execute(&format!("BEGIN; INSERT INTO t VALUES ({id})"))
                                .await
                                .unwrap();
                            let pause =
                                if random.one_in(100) { 300 } else { random.below(2) as u64 };
                            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
                            client.batch_execute("COMMIT").await.unwrap();
                        }
                    });
                })
            })
            .collect();
        let (place, done) = (&place, &done);
        let reader = scope.spawn(move || {
            let (mut seen, mut texts) = (Seen::default(), Vec::new());
            while !done.load(Ordering::SeqCst) {
                let (text, now) = extract(&**place, &seen);
                seen = now;
                texts.push(text);
            }
            let (text, seen) = extract(&**place, &seen);
            texts.push(text);
            let (again, _) = extract(&**place, &seen);
            assert!(again.is_none(), "nothing is new");
            texts
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::SeqCst);
        let texts = reader.join().unwrap();
        assert!(texts.len() > 10, "{} extracts", texts.len());
        texts.into_iter().for_each(&mut take);
    });
    let lost: Vec<u64> = (0..transactions).filter(|id| !got.contains_key(id)).collect();
    assert!(lost.is_empty(), "{} lost: {:?}", lost.len(), &lost[..lost.len().min(10)]);
    // What is read again is exactly the same row, which the row index recognises.
    assert!(got.values().any(|times| *times > 1), "the extracts do not overlap");
}
