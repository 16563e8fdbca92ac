//! Settings as they are shown, and the check of a configuration, on small files made by hand. Not for the
//! command line: see `first_run`.

#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlops_core::Config;
use mlops_core::config::{Origin, Setting};
use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::run::context::{Context, Report};
use mlops_setup::check::{self, Checked, Problem};
use serde_json::{Value, json};

const FOLDERS: &str = r#""input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
    "output_model_path": "model", "prod_deployment_path": "live""#;

/// A folder with a configuration and files.
fn scene(rest: &str, files: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
    mlops_formats::install();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, format!("{{{FOLDERS}{rest}}}")).unwrap();
    for (name, bytes) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    (folder, path)
}

fn shown(rest: &str) -> Vec<Setting> {
    let (_folder, path) = scene(rest, &[]);
    Config::settings(&path).unwrap().1
}

fn value<'s>(settings: &'s [Setting], key: &str) -> (&'s Value, Origin) {
    let found: Vec<&Setting> = settings.iter().filter(|s| s.key == key).collect();
    assert_eq!(found.len(), 1, "{key} in {settings:#?}");
    (&found[0].value, found[0].from)
}

#[test]
fn each_key_is_shown_once_with_its_origin() {
    let settings = shown(
        r#", "schema": {"numeric": ["a.b", "b"], "target": "y", "id": ["k"]}, "drift": {"min_rows": 30},
           "training": {"C": null, "splines": {"a.b": {"knots": 5}, "b": {}}}"#,
    );
    assert_eq!(value(&settings, "drift.min_rows"), (&json!(30), Origin::File));
    assert_eq!(value(&settings, "drift.alpha"), (&json!(0.05), Origin::Default));
    assert_eq!(value(&settings, "drift.rule"), (&json!("raw"), Origin::Default));
    assert_eq!(value(&settings, "training.C"), (&Value::Null, Origin::File));
    assert_eq!(value(&settings, "training.splines.a.b.knots"), (&json!(5), Origin::File));
    assert_eq!(value(&settings, "training.splines.b.knots"), (&json!(4), Origin::Default));
    assert_eq!(value(&settings, "ingestion.duplicates"), (&json!("drop"), Origin::Default));
    assert_eq!(value(&settings, "holdout.group"), (&json!(["k"]), Origin::Default));
    let (models, from) = value(&settings, "models_path");
    let models = Path::new(models.as_str().unwrap());
    assert!(models.is_absolute() && models.ends_with("models") && from == Origin::Default);
    let (input, from) = value(&settings, "input_folder_path");
    assert!(Path::new(input.as_str().unwrap()).is_absolute() && from == Origin::File);
}

#[test]
fn secrets_are_masked_and_the_rest_is_not() {
    let settings = shown(
        r#", "monitoring": {"ping_url": "https://hc.example/7f-secret"},
           "sources": [
             {"name": "a", "mode": "snapshot", "command": ["fetch", "--password", "secret"]},
             {"name": "b", "uri": "s3://bucket/path/"}],
           "alerts": {"sinks": [
             {"name": "w", "type": "webhook", "url": "https://hooks.example/T0/secret"},
             {"name": "x", "type": "exec", "command": ["tell", "secret"]}],
             "rules": [{"name": "r", "to": ["w", "x"]}]}"#,
    );
    let all = serde_json::to_string(&settings).unwrap();
    assert!(!all.contains("secret"), "{all}");
    for (key, expected) in [
        ("monitoring.ping_url", json!("https://hc.example/…")),
        ("sources[0].command", json!(["fetch", "…", "…"])),
        ("sources[1].uri", json!("s3://bucket/path/")),
        ("alerts.sinks[0].url", json!("https://hooks.example/…")),
        ("alerts.sinks[1].command", json!(["tell", "…"])),
        ("alerts.rules[0].to", json!(["w", "x"])),
    ] {
        assert_eq!(value(&settings, key), (&expected, Origin::File), "{key}");
    }
}

fn checked(schema: &str, files: &[(&str, &[u8])]) -> Checked {
    checked_with(&format!(", \"schema\": {schema}"), files)
}

fn checked_with(keys: &str, files: &[(&str, &[u8])]) -> Checked {
    let (_folder, path) = scene(keys, files);
    let config = Config::load(&path).unwrap();
    let context = Context::new(config, Arc::new(SystemClock::default()), Disk::default(), "test");
    check::run(&context).unwrap()
}

const SCHEMA: &str = r#"{"numeric": ["age"], "categorical": ["land"], "target": "left", "positive_label": "yes", "negative_label": "no"}"#;

#[test]
fn sound_rows_have_no_problem_even_with_a_bad_one_among_many() {
    let mut text = b"land,age,left\n".to_vec();
    for i in 0..100 {
        text.extend_from_slice(
            format!("DE,{i},{}\n", if i % 4 == 0 { "yes" } else { "no" }).as_bytes(),
        );
    }
    text.extend_from_slice(b"DE,1,perhaps\n\xff,1,no\nDE,old,no\nDE,?,no\nDE\n");
    let checked = checked(SCHEMA, &[("in/a.csv", &text)]);
    assert_eq!(checked.problems, []);
    assert_eq!((checked.rows, checked.positives), (103, Some((25, 102))));
    assert!(checked.findings().is_empty());
}

#[test]
fn a_header_below_titles_is_found_as_an_ingestion_finds_it() {
    let row = |i| format!("DE,{i},{}\n", if i % 4 == 0 { "yes" } else { "no" });
    let rows = (0..20).map(row).collect::<Vec<_>>().concat();
    for lead in ["Clients of May\n\n", "Clients of May;;\n"] {
        let text = format!("{lead}land,age,left\n{rows}").replace(',', ";");
        for text in [text.clone(), text.replace(';', ",")] {
            let checked = checked(SCHEMA, &[("in/a.csv", text.as_bytes())]);
            assert_eq!(checked.problems, [], "{text}");
            assert_eq!((checked.rows, checked.positives), (20, Some((5, 20))));
        }
    }
}

#[test]
fn a_time_that_is_none_is_told_with_the_key_that_names_it() {
    for (keys, cells, told) in [
        (r#""holdout": {"time": "land"}"#, ["DE", "FR"], Some("holdout.time")),
        (r#""holdout": {"time": "land"}"#, ["2024-01-01", "2024-01-02 10:00:00+02"], None),
        (
            r#""ingestion": {"on_change": "latest", "key": "id", "order_by": "land"}"#,
            ["31.03.2024", "01.04.2024"],
            Some("ingestion.order_by"),
        ),
        (r#""ingestion": {"on_change": "latest", "order_by": "land"}"#, ["7", "8"], None),
    ] {
        let schema = SCHEMA.replacen('{', r#"{"id": ["id"], "#, 1);
        let [one, other] = cells;
        let text = format!("id,age,land,left\na,1,{one},yes\nb,2,{other},no\nc,2,,no\n");
        let keys = format!(r#", {keys}, "schema": {schema}"#);
        let problems = checked_with(&keys, &[("in/a.csv", text.as_bytes())]).problems;
        let expected = told.map(|key| Problem::Times(key, "land".into(), one.into(), 2, 3));
        assert_eq!(problems, expected.into_iter().collect::<Vec<_>>(), "{keys}");
    }
    let said = Problem::Times("holdout.time", "land".into(), "DE".into(), 2, 3).to_string();
    assert!(said.starts_with("\"land\" (\"holdout.time\") is neither a number nor"), "{said}");
}

#[test]
fn each_kind_of_trouble_is_told() {
    let here = |text: &str| checked(SCHEMA, &[("in/a.csv", text.as_bytes())]).problems;
    assert_eq!(here("age,left\n1,yes\n2,no\n"), [Problem::NoColumn("land".into())]);
    assert_eq!(
        here("age,land,left\nx,DE,yes\n2,DE,no\n"),
        [Problem::Cells("age".into(), "x".into(), 1, 2)]
    );
    assert_eq!(
        here("age,land,left\n1,DE,yes\n2,DE,no\n2,DE,perhaps\n"),
        [Problem::Labels("left".into(), vec!["perhaps".into()])]
    );
    assert_eq!(
        here("age,land,left\n1,DE,no\n2,DE,no\n"),
        [Problem::OneClass("left".into(), "negative".into())]
    );
    assert!(matches!(
        &checked(SCHEMA, &[]).problems[..],
        [Problem::NoFolder("input_folder_path", _), Problem::NoFile]
    ));
    let blocked =
        checked(SCHEMA, &[("in/a.csv", b"age,land,left\n1,DE,yes\n2,DE,no\n"), ("out", b"a file")]);
    assert!(matches!(&blocked.problems[..], [Problem::NotAFolder("output_folder_path", _)]));
    assert!(blocked.findings()[0].text.contains("change \"output_folder_path\""));
}
