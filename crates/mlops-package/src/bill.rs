//! The software bill of materials, in CycloneDX 1.5: every crate that is built in, from `cargo tree`, `cargo metadata`
//! and `Cargo.lock`, compared with what cargo said that it built. Not for the texts of licences.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::process::Command;

use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A crate that is built in.
pub(crate) struct Crate {
    /// What cargo calls it.
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// An expression of SPDX.
    pub(crate) licence: Option<String>,
    /// The folder of its sources.
    pub(crate) folder: std::path::PathBuf,
    about: Option<String>,
    repository: Option<String>,
    /// SHA-256 of the package in the registry; none for our own.
    checksum: Option<String>,
    uses: Vec<(String, String)>,
}

impl Crate {
    /// Whether it is one of this workspace.
    pub(crate) fn is_ours(&self) -> bool {
        self.checksum.is_none()
    }

    fn url(&self) -> String {
        url(&self.name, &self.version)
    }
}

fn url(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

fn cargo(arguments: &[&str]) -> Result<String> {
    #[expect(clippy::disallowed_methods, reason = "cargo says which cargo runs this")]
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let told = Command::new(program).args(arguments).output()?;
    if !told.status.success() {
        return Err(String::from_utf8_lossy(&told.stderr).into());
    }
    Ok(String::from_utf8(told.stdout)?)
}

/// What `mlops` for `target` has built in, by name and version: not what only the build uses, such as procedural macros.
pub(crate) fn crates(target: &str) -> Result<Vec<Crate>> {
    let tree = ["tree", "--locked", "--package", "mlops", "--edges", "normal,no-proc-macro"];
    let tree =
        cargo(&[&tree[..], &["--target", target, "--prefix", "none", "--format", "{p}"]].concat())?;
    let built: BTreeSet<(String, String)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?.to_owned(), words.next()?.trim_start_matches('v').to_owned()))
        })
        .collect();
    let metadata = ["metadata", "--locked", "--format-version", "1", "--filter-platform", target];
    let metadata: Value = serde_json::from_str(&cargo(&metadata)?)?;
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let checksums = checksums(&std::fs::read_to_string(format!("{root}/Cargo.lock"))?);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let key = |package: &Value| Some((text(&package["name"])?, text(&package["version"])?));
    let packages = list(&metadata["packages"]);
    let names: BTreeMap<String, (String, String)> =
        packages.iter().filter_map(|p| Some((text(&p["id"])?, key(p)?))).collect();
    let mut uses: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = |dep: &&Value| list(&dep["dep_kinds"]).iter().any(|k| k["kind"].is_null());
        let of = list(&node["deps"]);
        let of = of.iter().filter(normal).filter_map(|dep| names.get(dep["pkg"].as_str()?));
        let of = of.filter(|other| built.contains(*other)).cloned().collect();
        uses.insert(text(&node["id"]).unwrap_or_default(), of);
    }
    let mut crates: Vec<Crate> = packages
        .iter()
        .filter_map(|package| {
            let (name, version) = key(package).filter(|key| built.contains(key))?;
            let manifest = text(&package["manifest_path"])?;
            Some(Crate {
                checksum: checksums.get(&(name.clone(), version.clone())).cloned(),
                licence: text(&package["license"]).map(|l| l.replace('/', " OR ")),
                about: text(&package["description"])
                    .map(|t| t.split_whitespace().collect::<Vec<_>>().join(" ")),
                repository: text(&package["repository"]).filter(|url| url.starts_with("https://")),
                folder: std::path::Path::new(&manifest).parent()?.to_owned(),
                uses: uses.remove(package["id"].as_str()?)?,
                id: text(&package["id"])?,
                name,
                version,
            })
        })
        .collect();
    crates.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    if crates.len() != built.len() {
        return Err(
            format!("{} crates are built in, {} are known", built.len(), crates.len()).into()
        );
    }
    Ok(crates)
}

/// Fails unless `crates` are just those of which `messages` say that they were built for `target`: one JSON document in
/// a line, as `cargo build --message-format json --target` prints them. What runs during the build (macros, build
/// scripts) is built for the machine itself, into another folder.
pub(crate) fn compare(crates: &[Crate], messages: &str, target: &str) -> Result<()> {
    let mut built = BTreeSet::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line)?;
        let place = format!("/{target}/release/");
        let mut files =
            message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if message["reason"] == "compiler-artifact" && files.any(|file| file.contains(&place)) {
            built.extend(message["package_id"].as_str().map(str::to_owned));
        }
    }
    let listed: BTreeSet<String> = crates.iter().map(|one| one.id.clone()).collect();
    if built == listed {
        return Ok(());
    }
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
        a.difference(b).cloned().collect::<Vec<_>>().join(", ")
    };
    let (more, less) = (only(&built, &listed), only(&listed, &built));
    Err(format!("the bill is not of this build; only built: [{more}]; only listed: [{less}]")
        .into())
}

/// The checksums in a `Cargo.lock`.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |part: &str, key: &str| {
        let start = format!("\n{key} = \"");
        let (_, rest) = part.split_once(&start)?;
        Some(rest.split('"').next()?.to_owned())
    };
    let parts = lock.split("[[package]]");
    parts
        .filter_map(|part| {
            Some(((value(part, "name")?, value(part, "version")?), value(part, "checksum")?))
        })
        .collect()
}

/// The document.
pub(crate) fn document(crates: &[Crate], target: &str, time: &str) -> String {
    let component = |one: &Crate| {
        let mut value = json!({
            "type": "library", "bom-ref": one.url(), "name": one.name, "version": one.version,
            "purl": one.url(),
        });
        if let Some(about) = &one.about {
            value["description"] = json!(about);
        }
        if let Some(licence) = &one.licence {
            value["licenses"] = json!([{ "expression": licence }]);
        }
        if let Some(checksum) = &one.checksum {
            value["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        if let Some(repository) = &one.repository {
            value["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
        }
        value
    };
    let (roots, others): (Vec<&Crate>, Vec<&Crate>) =
        crates.iter().partition(|one| one.name == "mlops");
    let root = roots.first().map(|root| {
        let mut root = component(root);
        root["type"] = json!("application");
        root["properties"] = json!([{ "name": "cargo:target", "value": target }]);
        root
    });
    let uses = crates.iter().map(|one| {
        let on: BTreeSet<String> =
            one.uses.iter().map(|(name, version)| url(name, version)).collect();
        json!({ "ref": one.url(), "dependsOn": on })
    });
    let document = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": { "timestamp": time, "component": root },
        "components": others.into_iter().map(component).collect::<Vec<_>>(),
        "dependencies": uses.collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "x86_64-unknown-linux-gnu";

    /// Against the schema of CycloneDX, by its own library.
    const VALIDATE: &str = r"
import sys
try:
    from cyclonedx.exception import MissingOptionalDependencyException
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
except ImportError as lacking:
    sys.exit('missing: %s' % lacking)
try:
    validator = JsonStrictValidator(SchemaVersion.V1_5)
    error = validator.validate_str(open(sys.argv[1], encoding='utf-8').read())
except MissingOptionalDependencyException as lacking:
    sys.exit('missing: %s' % lacking)
sys.exit(str(error) if error else 0)
";

    fn text(value: &Value) -> String {
        value.as_str().unwrap().to_owned()
    }

    #[test]
    fn the_bill_names_each_crate_once_with_licence_and_digest() {
        let crates = crates(TARGET).unwrap();
        let bill: Value =
            serde_json::from_str(&document(&crates, TARGET, "2026-11-30T00:00:00Z")).unwrap();
        assert_eq!(
            (&bill["bomFormat"], &bill["specVersion"]),
            (&json!("CycloneDX"), &json!("1.5"))
        );
        let components = bill["components"].as_array().unwrap();
        let mut known: BTreeSet<String> = components.iter().map(|c| text(&c["bom-ref"])).collect();
        assert_eq!(known.len(), components.len());
        known.insert(text(&bill["metadata"]["component"]["bom-ref"]));
        assert_eq!(known.len(), crates.len());
        for name in ["mlops-core", "rusqlite", "serde"] {
            assert!(components.iter().any(|c| c["name"] == name), "{name}");
        }
        // Of the build, and of tests.
        for name in ["serde_derive", "syn", "cc", "proptest", "clap_mangen"] {
            assert!(components.iter().all(|c| c["name"] != name), "{name}");
        }
        let mut used = BTreeSet::new();
        for dependency in bill["dependencies"].as_array().unwrap() {
            assert!(known.contains(&text(&dependency["ref"])));
            used.extend(dependency["dependsOn"].as_array().unwrap().iter().map(text));
        }
        assert!(used.is_subset(&known));
        // All but the program itself are there since something uses them.
        assert_eq!(used.len(), components.len(), "{:?}", known.difference(&used));
        for component in components.iter().filter(|c| !text(&c["name"]).starts_with("mlops")) {
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
            let digest = &component["hashes"][0]["content"];
            assert_eq!(digest.as_str().map(str::len), Some(64), "{component}");
        }
    }

    #[test]
    fn the_schema_of_cyclonedx_accepts_it() {
        let folder = tempfile::tempdir().unwrap();
        let crates = crates(TARGET).unwrap();
        let bill = document(&crates, TARGET, "2026-11-30T00:00:00Z");
        crate::keep(folder.path(), "bill.json", &bill).unwrap();
        crate::keep(folder.path(), "wrong.json", &bill.replace("\"library\"", "\"book\"")).unwrap();
        let python = mlops_testkit::variable("PYTHON").unwrap_or_else(|| "python3".to_owned());
        let validate = |name: &str| {
            Command::new(&python).args(["-c", VALIDATE]).arg(folder.path().join(name)).output()
        };
        let Ok(told) = validate("bill.json") else { return mlops_testkit::not_run("no Python") };
        let said = String::from_utf8_lossy(&told.stderr);
        if said.starts_with("missing") {
            return mlops_testkit::not_run("no cyclonedx-python-lib[json-validation]");
        }
        assert!(told.status.success(), "{said}");
        assert!(!validate("wrong.json").unwrap().status.success());
    }

    #[test]
    fn a_bill_of_another_build_is_refused() {
        let crates = crates(TARGET).unwrap();
        let line = |id: &str, folder: &str| {
            let file = format!("/x/target/{folder}/deps/lib.rlib");
            json!({ "reason": "compiler-artifact", "package_id": id, "filenames": [file] })
                .to_string()
        };
        let own = format!("{TARGET}/release");
        let mut lines: Vec<String> = crates.iter().map(|one| line(&one.id, &own)).collect();
        // A macro, built for the machine itself.
        lines.push(line("registry+x#syn@3.0.0", "release"));
        compare(&crates, &lines.join("\n"), TARGET).unwrap();
        let more = lines.iter().cloned().chain([line("registry+x#evil@1.0.0", &own)]);
        let said = compare(&crates, &more.collect::<Vec<_>>().join("\n"), TARGET).unwrap_err();
        assert!(said.to_string().contains("only built: [registry+x#evil@1.0.0]"), "{said}");
        let said = compare(&crates, &lines[1..].join("\n"), TARGET).unwrap_err();
        assert!(said.to_string().contains(&format!("only listed: [{}]", crates[0].id)), "{said}");
    }
}
