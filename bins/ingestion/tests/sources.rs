//! `ingestion sources` and `ingestion sources test` from outside: what each source has, when its data are due,
//! and what one of its objects would become. Not for fetching in earnest.

use mlops_testkit::binary::Binary;
use mlops_testkit::binary::golden::config_with;
use mlops_testkit::binary::scene::{HEADER, Scene};
use serde_json::Value;

const INGESTION: Binary = Binary { name: "ingestion", path: env!("CARGO_BIN_EXE_ingestion") };

/// A workspace with these `sources`.
fn scene(sources: &str) -> Scene {
    let scene = Scene::new();
    scene.file("config.json", config_with(&format!(", \"sources\": {sources}")));
    scene
}

fn listed(scene: &Scene) -> Value {
    INGESTION.run(scene.root(), &["sources", "--json"]).ends_with(0).json()
}

/// The entry of a source.
fn of<'a>(list: &'a Value, name: &str) -> &'a Value {
    let sources = list["sources"].as_array().expect("a list");
    sources.iter().find(|source| source["name"] == name).expect("a source")
}

const DAILY: &str = r#"[{"name": "branches", "uri": "branches", "columns": {"cust_id": "corporation"},
    "expect": {"schedule": "0 6 * * *", "timezone": "Europe/Berlin", "grace": "90m"}}]"#;

#[test]
fn each_source_says_what_would_be_read_and_when_its_data_are_due() {
    let scene = scene(DAILY);
    let theirs = HEADER.replace("corporation", "cust_id");
    scene.file("branches/x.csv", format!("{theirs}x,1,2,3,1\n"));
    scene.file("branches/y.csv", format!("{theirs}y,1,2,3,0\n"));
    let before = scene.files();
    let list = listed(&scene);
    let source = of(&list, "branches");
    assert_eq!((&source["objects"], &source["wanted"]), (&2.into(), &2.into()));
    assert_eq!(source["to_read"], serde_json::json!(["branches/x.csv", "branches/y.csv"]));
    assert_eq!(
        (&of(&list, "input")["wanted"], &of(&list, "input")["due"]),
        (&2.into(), &Value::Null)
    );
    // Nothing has arrived in the eyes of the ledger.
    assert_eq!(source["due"]["level"], "error");
    assert_eq!(source["due"]["breaches"][0]["breach"], "missing");
    let text = INGESTION.run(scene.root(), &["sources"]).ends_with(0).stdout;
    for part in [
        "branches: overdue since ",
        "06:00 Europe/Berlin plus 90 minutes of grace; no data ever came",
        "computed from: due by \"0 6 * * *\" in Europe/Berlin plus 90 minutes of grace",
        "branches: would read branches/x.csv, branches/y.csv",
        "input: would read a.csv, b.csv",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(before == scene.files(), "it only looks");

    INGESTION.run(scene.root(), &[] as &[&str]).ends_with(0);
    let list = listed(&scene);
    let due = &of(&list, "branches")["due"];
    assert_eq!(
        (&due["level"], &due["since"], &due["breaches"]),
        (&Value::Null, &Value::Null, &Value::Array(vec![]))
    );
    assert!(due["arrived"].is_string() && due["next"].is_string(), "{due}");
    let text = INGESTION.run(scene.root(), &["sources"]).ends_with(0).stdout;
    assert!(text.contains("branches: on time") && !text.contains("would read"), "{text}");
}

#[test]
fn ages_have_a_next_due_time_too() {
    let scene = scene(
        r#"[{"name": "branches", "uri": "branches",
            "expect": {"warn_after": {"count": 12, "period": "hour"}, "error_after": "2d"}}]"#,
    );
    scene.file("branches/x.csv", format!("{HEADER}x,1,2,3,1\n"));
    let due = of(&listed(&scene), "branches")["due"].clone();
    assert_eq!((&due["level"], &due["since"]), (&"error".into(), &Value::Null));
    INGESTION.run(scene.root(), &[] as &[&str]).ends_with(0);
    let due = of(&listed(&scene), "branches")["due"].clone();
    assert_eq!(
        (&due["level"], &due["limits"]),
        (&Value::Null, &serde_json::json!([43200, 172_800]))
    );
    let text = INGESTION.run(scene.root(), &["sources"]).ends_with(0).stdout;
    assert!(
        text.contains("a warning after 12 hours; an error after 48 hours; the last data came"),
        "{text}"
    );
}

#[test]
fn a_source_that_cannot_be_reached_ends_with_1_and_the_others_are_shown() {
    let scene = scene(
        r#"[{"name": "gone", "uri": "nowhere"}, {"name": "lite", "uri": "sqlite:no.db", "table": "t", "mode": "snapshot"},
            {"name": "branches", "uri": "branches"}]"#,
    );
    scene.file("branches/x.csv", format!("{HEADER}x,1,2,3,1\n"));
    let output = INGESTION.run(scene.root(), &["sources"]).ends_with(1);
    assert!(output.stdout.contains("branches: would read branches/x.csv"), "{output:#?}");
    assert!(output.stderr.contains("source \"gone\": there is no folder"), "{output:#?}");
    assert!(output.stderr.contains("source \"lite\": there is no file"), "{output:#?}");
}

#[test]
fn an_object_is_read_on_trial() {
    let scene = scene(&format!("{DAILY}, \"ingestion\": {{\"max_rejected_share\": 0.5}}"));
    let theirs = HEADER.replace("corporation", "cust_id");
    scene.file("branches/x.csv", format!("{theirs}x,1,2,3,1\ny,1,2,3,0\nz,one,2,3,0\n"));
    let before = scene.files();
    let tried = INGESTION.run(scene.root(), &["sources", "test", "branches", "--json"]);
    let tried = tried.ends_with(0).json();
    assert_eq!(tried["object"], "branches/x.csv");
    assert_eq!(
        (&tried["counts"]["rows_kept"], &tried["counts"]["quarantined"]),
        (&2.into(), &1.into())
    );
    assert!(before == scene.files());
}

#[test]
fn trials_that_cannot_be_say_why() {
    let scene = scene(
        r#"[{"name": "branches", "uri": "branches"}, {"name": "broken", "uri": "broken"},
            {"name": "lite", "uri": "sqlite:no.db", "table": "t", "mode": "snapshot"},
            {"name": "empty", "uri": "empty"}, {"name": "program", "command": ["./no"], "mode": "snapshot"}]"#,
    );
    scene.file("broken/x.csv", "corporation;exited\nx;1\n");
    scene.file("empty/.keep", "");
    scene.file("branches/x.csv", format!("{HEADER}x,1,2,3,1\n"));
    let says = |name: &str, part: &str| {
        let output = INGESTION.run(scene.root(), &["sources", "test", name]).ends_with(1);
        assert!(output.stderr.contains(part), "{part} is not in {output:#?}");
    };
    says("branchs", "there is no source \"branchs\"; did you mean \"branches\"?");
    says("zzz", "there is no source \"zzz\": there are");
    says("broken", "would be refused");
    says("lite", "there is no file");
    says("empty", "has nothing to read");
    says("program", "no");
    let output = INGESTION.run(scene.root(), &["sources", "test"]);
    assert_eq!(output.ends_with(2).stdout, "");
}
