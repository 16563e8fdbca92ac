//! The repository's own rules, which no compiler knows: sizes, headers, owners.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Names that only one place may use: the crate that wraps them can then be replaced there.
const OWNERS: &[(&str, &str)] = &[
    // The choices of a configuration are part of the artifact.
    ("bincode::", "crates/mlops-core/src/model/ crates/mlops-core/src/config/choices.rs"),
    ("smartcore::", "crates/mlops-core/src/model/fit/lbfgs.rs"),
    ("memmap2::", "crates/mlops-core/src/platform/huge_vec.rs"),
    (
        "rusqlite::",
        "crates/mlops-core/src/ledger/ crates/mlops-core/src/outcomes/ \
         crates/mlops-sources/src/sqlite.rs \
         crates/mlops-sources/src/destination/sqlite.rs",
    ),
    ("ring::digest", "crates/mlops-core/src/platform/digest.rs"),
    ("plotters", "crates/mlops-report/"),
    ("reqwest", "crates/mlops-client/ crates/mlops-sources/src/web/"),
    ("lettre::", "crates/mlops-client/src/alerts/smtp.rs"),
    (
        "rustls",
        "crates/mlops-client/ crates/mlops-sources/src/tls.rs crates/mlops-serve/src/tls.rs \
         crates/mlops-serve/src/stream.rs",
    ),
    ("axum::", "crates/mlops-serve/"),
    ("hyper::", "crates/mlops-serve/ crates/mlops-testkit/src/s3.rs"),
    (
        "tokio::",
        "crates/mlops-serve/ crates/mlops-sources/ crates/mlops-cluster/ crates/mlops-testkit/src/s3.rs",
    ),
    ("datafusion::", "crates/mlops-cluster/"),
    ("ballista_", "crates/mlops-cluster/"),
    ("object_store", "crates/mlops-sources/src/store.rs"),
    (
        "tokio_postgres",
        "crates/mlops-sources/src/postgres.rs crates/mlops-sources/src/server.rs \
         crates/mlops-sources/src/destination/postgres.rs crates/mlops-sources/src/tls.rs",
    ),
    ("serde_norway", "crates/mlops-odcs/src/yaml.rs"),
    ("prost", "crates/mlops-export/src/onnx/"),
    ("println!", "crates/mlops-runtime/src/console.rs"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Path from the root, and content, of every source file under `folder`.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found.sort();
    found
}

fn all() -> Vec<(String, String)> {
    [sources("crates"), sources("bins")].concat()
}

#[test]
fn files_open_with_their_purpose_and_stay_readable() {
    let mut wrong = Vec::new();
    for (path, text) in all() {
        if !text.starts_with("//! ") {
            wrong.push(format!("{path} does not say what it is for"));
        }
        let lines = text.lines().count();
        if lines > 600 {
            wrong.push(format!("{path} has {lines} lines: split it"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn wrapped_crates_are_named_by_their_owner_only() {
    let mut wrong = Vec::new();
    for (path, text) in all() {
        for (name, owner) in OWNERS {
            let production =
                path.contains("/src/") && !owner.split(' ').any(|owner| path.starts_with(owner));
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().lines();
            let mut code = code.filter(|line| !line.trim_start().starts_with("//"));
            if production && code.any(|line| line.contains(name)) {
                wrong.push(format!("{path} names {name}, which belongs to {owner}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn two_files_are_not_safe_code() {
    let word = concat!("uns", "afe ");
    let platform = "crates/mlops-core/src/platform";
    let mut places: Vec<(String, [usize; 2])> = Vec::new();
    for (path, text) in all() {
        if text.contains(word) {
            let blocks = text.matches(&format!("{word}{{")).count();
            places.push((path, [blocks, text.matches("// SAFETY: ").count()]));
        }
    }
    places.sort();
    let expected = [("heap", 1), ("simd", 3)];
    let expected = expected.map(|(file, n)| (format!("{platform}/{file}.rs"), [n, n]));
    assert_eq!(places, expected);
}

#[test]
fn no_test_is_ignored_without_a_reason_and_nothing_is_left_for_later() {
    let marks = ["#[ignore]", "todo!(", "unimplemented!(", "dbg!(", concat!("FIX", "ME")];
    let this = "crates/mlops-core/tests/tidy.rs";
    let mut wrong = Vec::new();
    for (path, text) in all().into_iter().filter(|(path, _)| path != this) {
        wrong.extend(marks.iter().filter(|m| text.contains(**m)).map(|m| format!("{path}: {m}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_configuration_key_and_binary_is_documented() {
    let keys = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let config = sources("crates/mlops-core/src/config");
    let production = config.iter().map(|(_, text)| text.split("#[cfg(test)]").next().unwrap());
    let production = production.collect::<String>();
    let methods = [
        "text(",
        "texts(",
        "label(",
        "required(",
        "number(",
        "integer(",
        "choice(",
        "limit(",
        "section(",
    ];
    for method in methods {
        for (at, _) in production.match_indices(&format!(".{method}")) {
            let rest = production[at + method.len() + 1..].trim_start();
            if let Some(key) = rest.strip_prefix('"').and_then(|r| r.split('"').next()) {
                assert!(keys.contains(key), "docs/configuration.md does not explain \"{key}\"");
            }
        }
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for entry in fs::read_dir(root().join("bins")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(readme.contains(&format!("| `{name}` |")), "README.md does not list {name}");
    }
}

/// `first_run --show` has the defaults that the page has, where the page spells them as JSON.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test sets the scene with a plain file")]
fn shown_defaults_are_those_of_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let folders =
        ["input_folder_path", "output_folder_path", "test_data_path", "output_model_path"];
    let mut keys: serde_json::Map<_, _> =
        folders.iter().map(|key| ((*key).to_owned(), (*key).into())).collect();
    keys.insert("prod_deployment_path".to_owned(), "live".into());
    fs::write(&path, serde_json::to_string(&keys).unwrap()).unwrap();
    let (_, settings) = mlops_core::config::Config::settings(&path).unwrap();
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut compared = 0;
    for line in page.lines() {
        let mut cells = line.split(" | ");
        let key = cells.next().and_then(|cell| cell.strip_prefix("| `")?.strip_suffix('`'));
        let spelt = cells.next().and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'));
        let (Some(key), Some(spelt)) = (key, spelt) else { continue };
        let Some(setting) = settings.iter().find(|setting| setting.key == key) else { continue };
        let Ok(expected) = serde_json::from_str::<serde_json::Value>(spelt) else { continue };
        let same = match (expected.as_f64(), setting.value.as_f64()) {
            (Some(expected), Some(shown)) => (expected - shown).abs() < f64::EPSILON,
            _ => expected == setting.value,
        };
        assert!(same, "{key} is {spelt} on the page, and shown as {}", setting.value);
        compared += 1;
    }
    assert!(compared > 80, "{compared}");
}

/// Every `section.key` in `text` between quotes or back-ticks.
fn keys_named(text: &str, sections: &BTreeSet<&str>) -> Vec<String> {
    let quoted = |c: char| matches!(c, '`' | '"' | '\\');
    let mut named = Vec::new();
    for section in sections {
        let start = format!("{section}.");
        for (at, _) in text.match_indices(&start) {
            let rest = &text[at + start.len()..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.'));
            let (key, after) = rest.split_at(end.unwrap_or(rest.len()));
            let file = matches!(key, "rs" | "py" | "json");
            if text[..at].ends_with(quoted) && after.starts_with(quoted) && !file {
                named.push(format!("{section}.{key}"));
            }
        }
    }
    named
}

#[test]
fn keys_that_pages_and_messages_name_exist() {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let first = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    // Other tables of the page are about entries of lists and objects.
    let table = page.lines().skip_while(|line| !line.starts_with('|'));
    let table = table.take_while(|line| line.starts_with('|'));
    let keys: BTreeSet<String> = table.filter_map(first).collect();
    let sections: BTreeSet<&str> =
        keys.iter().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    assert!(sections.contains("ingestion") && sections.len() > 10, "{sections:?}");

    let config = sources("crates/mlops-core/src/config");
    let read = |key: &String| {
        let literal = format!("\"{}\"", key.rsplit('.').next().unwrap());
        config.iter().any(|(_, text)| text.contains(&literal))
    };
    let mut wrong: Vec<String> =
        keys.iter().filter(|key| !read(key)).map(|key| format!("nothing reads {key}")).collect();

    let pages =
        ["", "docs"].into_iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let pages = pages.map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let pages = pages.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()));
    for (path, text) in pages.chain(all()) {
        // Tests ask for mistakes.
        let text = text.split("#[cfg(test)]").next().unwrap();
        let known = |named: &String| {
            let within = format!("{named}.");
            keys.contains(named) || keys.iter().any(|key| key.starts_with(&within))
        };
        let unknown = keys_named(text, &sections).into_iter().filter(|named| !known(named));
        if !path.contains("/tests/") {
            wrong.extend(unknown.map(|key| format!("{path} names {key}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
