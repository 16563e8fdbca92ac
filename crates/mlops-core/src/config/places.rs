//! Checks which of the configured folders may coincide or be nested.
//!
//! Paths are compared with links resolved, so that two names of one folder are recognised. Not for
//! the content of folders: see `release` and `run::context`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::section::Section;
use super::{Config, sources};
use crate::platform::location::plain;

/// Reports all pairs of folders that would damage each other.
pub(super) fn check(config: &Config, root: &Section) {
    let read = [
        ("input_folder_path", &config.input_folder),
        ("source_folder_path", &config.source_folder),
        ("test_data_path", &config.test_data),
    ];
    let written = [
        ("output_folder_path", &config.output_folder, "our own output would be read as input"),
        ("output_model_path", &config.output_model, "our own files would be read as input"),
        ("models_path", &config.models, "releases would lie among the input"),
    ];
    for (key, folder) in read {
        for (other, place, why) in written {
            if same(folder, place) {
                root.problem(key, &format!("must not be \"{other}\": {why}"));
            }
        }
    }
    for (key, folder) in &read[..2] {
        let alone = *key == "input_folder_path" || !same(&config.input_folder, folder);
        if alone && same(folder, &config.test_data) {
            root.problem(
                "test_data_path",
                &format!("must not be \"{key}\": rows for testing would be trained on"),
            );
        }
    }
    check_sources(config, root);
    check_output(config, root);
    if let Some(file) = &config.signing.key_file
        && [&config.models, &config.deployment]
            .iter()
            .any(|folder| real(parent(file)).starts_with(real(folder)))
    {
        let message = "must not lie among the releases: who copies these would copy the key";
        root.problem("signing.key_file", message);
    }
    let pointer = real_entry(&config.deployment);
    let all = read.into_iter().chain(written.map(|(key, folder, _)| (key, folder)));
    for (key, folder) in all {
        let folder = real(folder);
        if folder == pointer {
            root.problem(
                key,
                "must not be \"prod_deployment_path\": that becomes a link to a release",
            );
        } else if folder.starts_with(&pointer) {
            root.problem(
                key,
                "must not lie in \"prod_deployment_path\": that becomes a link to a release",
            );
        }
    }
    if real(parent(&config.file)).starts_with(&pointer) {
        root.problem(
            "prod_deployment_path",
            "must not hold this file: it becomes a link to a release",
        );
    }
}

/// Reports sources whose folder is, or whose pattern reaches into, a folder of another purpose.
fn check_sources(config: &Config, root: &Section) {
    let fixed = [
        ("input_folder_path", &config.input_folder),
        ("source_folder_path", &config.source_folder),
        ("test_data_path", &config.test_data),
        ("output_folder_path", &config.output_folder),
        ("output_model_path", &config.output_model),
        ("models_path", &config.models),
    ];
    for (at, source) in config.sources.iter().enumerate() {
        let sources::Place::Folder(folder) = &source.place else { continue };
        let deep = source.pattern.as_deref().is_some_and(|pattern| pattern.contains('/'));
        let others = config.sources.iter().enumerate().filter(|(other, _)| *other != at);
        let others = others.filter_map(|(_, other)| match &other.place {
            sources::Place::Folder(folder) => {
                Some((format!("sources\": {:?}, \"uri", other.name), folder))
            }
            _ => None,
        });
        let fixed = fixed.iter().map(|(key, folder)| ((*key).to_owned(), *folder));
        for (key, other) in fixed.chain(others) {
            let key_of = format!("sources[{at}].uri");
            if same(folder, other) {
                let why = "each file would be taken twice, or for another purpose than its own";
                root.problem(&key_of, &format!("must not be the folder of \"{key}\": {why}"));
            } else if deep && real(other).starts_with(real(folder)) {
                let why = "the pattern looks into it: name a folder beside it, or a pattern without a slash";
                root.problem(&key_of, &format!("must not contain the folder of \"{key}\": {why}"));
            }
        }
    }
}

/// Reports a table that would be written into a file of another purpose, or that a source reads.
fn check_output(config: &Config, root: &Section) {
    let Some(table) = &config.output.table else { return };
    let key = "output.table.uri";
    if let Some(file) = table.file(&config.base) {
        let (real_file, ledger) = (real(&file), real(&config.ledger_path()));
        let beside = |path: &Path| path.file_name().and_then(|n| n.to_str().map(str::to_owned));
        let name = beside(&real_file).unwrap_or_default();
        let own =
            ["finaldata", "quarantine", "changes", "ledger.sqlite", "run.lock", "ingestedfiles"];
        if same(&file, &config.ledger_path()) {
            root.problem(key, &format!("must not be the ledger, {}", ledger.display()));
        } else if parent(&real_file) == parent(&ledger)
            && own.iter().any(|own| name.starts_with(own))
        {
            root.problem(key, "must not have the name of one of our own files");
        }
        for (other, folder) in
            [("models_path", &config.models), ("prod_deployment_path", &config.deployment)]
        {
            if real_file.starts_with(real(folder)) {
                let message = format!("must not lie in \"{other}\": releases never change");
                root.problem(key, &message);
            }
        }
    }
    for source in &config.sources {
        let sources::Place::Address(uri) = &source.place else { continue };
        let name = source.access.table.as_deref();
        if sources::without_secrets(uri) == table.address() && name == Some(&table.table) {
            let message = format!(
                "and its table are those of the source \"{}\": name another table",
                source.name
            );
            root.problem(key, &message);
        }
    }
}

fn parent(path: &Path) -> &Path {
    crate::platform::disk::parent_of(path)
}

/// Whether two paths mean one folder.
fn same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    real(one) == real(other) || identity(one).is_some_and(|id| Some(id) == identity(other))
}

/// The path with links resolved as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = plain(path);
    for there in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), path.strip_prefix(there)) {
            // Joining the empty path would add a slash.
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path
}

/// Like [`real`], but does not follow the last component if it is a link.
fn real_entry(path: &Path) -> PathBuf {
    let path = plain(path);
    match path.file_name() {
        Some(name) => real(parent(&path)).join(name),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The problems of a configuration with these folders, in `base`.
    fn problems(base: &Path, changes: &[(&str, &str)]) -> String {
        let mut keys = serde_json::json!({
            "input_folder_path": "in", "source_folder_path": "source", "output_folder_path": "out",
            "test_data_path": "test", "output_model_path": "model", "models_path": "models",
            "prod_deployment_path": "live"
        });
        for (key, value) in changes {
            keys[*key] = (*value).into();
        }
        match Config::parse(&keys.to_string(), &base.join("config.json")) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn no_pair_that_does_harm_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let path = |key: &str| match key {
            "input_folder_path" => "in",
            "source_folder_path" => "source",
            "output_folder_path" => "out",
            "test_data_path" => "test",
            "output_model_path" => "model",
            "models_path" => "models",
            _ => "live",
        };
        let refused = [
            ("input_folder_path", "output_folder_path"),
            ("input_folder_path", "test_data_path"),
            ("input_folder_path", "output_model_path"),
            ("input_folder_path", "models_path"),
            ("source_folder_path", "output_folder_path"),
            ("source_folder_path", "test_data_path"),
            ("source_folder_path", "models_path"),
            ("test_data_path", "output_folder_path"),
            ("test_data_path", "output_model_path"),
            ("test_data_path", "models_path"),
            ("prod_deployment_path", "input_folder_path"),
            ("prod_deployment_path", "source_folder_path"),
            ("prod_deployment_path", "test_data_path"),
            ("prod_deployment_path", "output_folder_path"),
            ("prod_deployment_path", "output_model_path"),
            ("prod_deployment_path", "models_path"),
        ];
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        for (one, other) in refused {
            let said = problems(dir.path(), &[(one, path(other))]);
            assert!(said.contains("must not be"), "{one} as {other}: {said}");
            // The pointer is a link itself, which is not followed.
            let spelt = ["real/", "./link/", "in/../real", "link/../real", "link/../in/../link"];
            let followed =
                if one == "prod_deployment_path" { &[0, 2, 3][..] } else { &[0, 1, 2, 3, 4] };
            for spelt in followed.iter().map(|at| spelt[*at]) {
                let said = problems(dir.path(), &[(one, "real"), (other, spelt)]);
                assert!(said.contains("must not be"), "{one} and {other} as {spelt}: {said}");
            }
        }
        for key in ["output_folder_path", "input_folder_path", "models_path"] {
            let said = problems(dir.path(), &[(key, "live/below")]);
            assert!(said.contains("must not lie in"), "{key}: {said}");
        }
        let said = problems(dir.path(), &[("prod_deployment_path", ".")]);
        assert!(said.contains("must not"), "{said}");
    }

    #[test]
    fn a_source_has_a_folder_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let said = |sources: serde_json::Value| {
            let mut keys = serde_json::json!({
                "input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
                "output_model_path": "model", "prod_deployment_path": "live"
            });
            keys["sources"] = sources;
            Config::parse(&keys.to_string(), &dir.path().join("config.json"))
                .map_or_else(|error| error.to_string(), |_| String::new())
        };
        let one = |uri: &str, pattern: &str| {
            said(serde_json::json!([{"name": "a", "uri": uri, "pattern": pattern}]))
        };
        for same in ["in", "./out/", "test", "model", "models"] {
            assert!(one(same, "*.csv").contains("must not be the folder of"), "{same}");
        }
        assert!(
            one(".", "**/*.csv").contains("must not contain the folder of \"output_folder_path\"")
        );
        assert_eq!(one(".", "*.csv"), "");
        assert_eq!(one("in/deeper", "**/*.csv"), "");
        let twice =
            said(serde_json::json!([{"name": "a", "uri": "x"}, {"name": "b", "uri": "./x"}]));
        assert!(twice.contains("must not be the folder of \"sources\": \"b\""), "{twice}");
    }

    #[test]
    fn what_does_no_harm_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        for fine in [
            [("source_folder_path", "in"), ("models_path", "model")],
            [("output_model_path", "out"), ("test_data_path", "in/test")],
            [("prod_deployment_path", "models/live"), ("input_folder_path", "out/in")],
        ] {
            assert_eq!(problems(dir.path(), &fine), "", "{fine:?}");
        }
        // Once there is a release, the pointer is a link to it.
        std::fs::create_dir_all(dir.path().join("models/r-1")).unwrap();
        std::os::unix::fs::symlink("models/r-1", dir.path().join("live")).unwrap();
        assert_eq!(problems(dir.path(), &[]), "");
    }
}
