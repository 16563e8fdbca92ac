//! The order of the rooms: each module uses only those above it, and no two files use each other, but
//! for a module that shares its types with the files of its own folder.
//!
//! Reads the sources as text: `crate::`, `super::` and paths into own submodules, in code outside
//! tests. A `pub use` is a sign on a door, not a use. Not for sizes, headers and owners: see `tidy`.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms of core; each uses only those that stand before it.
const ROOMS: &[&str] = &[
    "text",
    "error",
    "platform",
    "ids",
    "table",
    "expect",
    "config",
    "destination",
    "source",
    "prediction_log",
    "csv",
    "dataset",
    "evaluation",
    "model",
    "drift",
    "profile",
    "release",
    "ledger",
    "outcomes",
    "run",
    "stage",
];

/// Crates whose files form no circles.
const CRATES: &[&str] = &[
    "mlops-core",
    "mlops-cluster",
    "mlops-compare",
    "mlops-client",
    "mlops-export",
    "mlops-formats",
    "mlops-odcs",
    "mlops-report",
    "mlops-runtime",
    "mlops-serve",
    "mlops-setup",
    "mlops-sources",
];

/// A module's path within its crate; empty for `lib.rs`.
type Module = Vec<String>;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// What each module of a crate uses of the others.
fn uses(name: &str) -> BTreeMap<Module, BTreeSet<Module>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src");
    let mut texts = BTreeMap::new();
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap().with_extension("");
        let mut module: Module =
            inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if module.last().is_some_and(|last| last == "mod" || last == "lib") {
            module.pop();
        }
        texts.insert(module, fs::read_to_string(path).unwrap());
    }
    let modules: BTreeSet<Module> = texts.keys().cloned().collect();
    let used = |(module, text): (&Module, &String)| {
        let mut used: BTreeSet<Module> =
            paths(&code(text)).iter().filter_map(|path| target(path, module, &modules)).collect();
        used.remove(module);
        (module.clone(), used)
    };
    texts.iter().map(used).collect()
}

/// The text without tests, comments and re-exports.
fn code(text: &str) -> String {
    let production = text.split("#[cfg(test)]").next().unwrap();
    let lines = production.lines().map(|line| line.split("//").next().unwrap());
    let mut code = String::new();
    let mut reexport = false;
    for line in lines {
        let start = line.trim_start();
        reexport |= start.starts_with("pub use ") || start.starts_with("pub(crate) use ");
        if !reexport {
            code.push_str(line);
            code.push('\n');
        }
        reexport &= !line.trim_end().ends_with(';');
    }
    code
}

/// Every path of more than one segment, those in braces one by one.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let bytes = code.as_bytes();
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut at = 0;
    while at < bytes.len() {
        if word(bytes[at]) && (at == 0 || !word(bytes[at - 1]) && bytes[at - 1] != b':') {
            path(code, &mut at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found.retain(|path| path.len() > 1);
    found
}

/// Reads one path or tree of paths that begins at `at` and goes below `before`.
fn path(code: &str, at: &mut usize, before: &[String], found: &mut Vec<Vec<String>>) {
    let mut path = before.to_vec();
    loop {
        let rest = &code[*at..];
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let length = length.unwrap_or(rest.len());
        path.push(rest[..length].to_owned());
        *at += length;
        if !code[*at..].starts_with("::") {
            return found.push(path);
        }
        *at += 2;
        if code[*at..].starts_with('{') {
            break;
        }
        if !code[*at..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return found.push(path);
        }
    }
    *at += 1;
    loop {
        let rest = &code[*at..];
        *at += rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',').len();
        match code[*at..].chars().next() {
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self::path(code, at, &path, found),
            Some('}') => return *at += 1,
            Some(c) => *at += c.len_utf8(),
            None => return,
        }
    }
}

/// The module that `path`, written in `module`, leads to.
fn target(path: &[String], module: &Module, modules: &BTreeSet<Module>) -> Option<Module> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let (mut full, rest) = match path[0].as_str() {
        "crate" => (Vec::new(), &path[1..]),
        "self" => (module.clone(), &path[1..]),
        "super" => (module[..module.len().checked_sub(ups)?].to_vec(), &path[ups..]),
        _ => (module.clone(), path),
    };
    for part in rest {
        full.push(part.clone());
        if !modules.contains(&full) {
            full.pop();
            break;
        }
    }
    let relative = !matches!(path[0].as_str(), "crate" | "self" | "super");
    (!(relative && full == *module) && modules.contains(&full)).then_some(full)
}

#[test]
fn rooms_use_only_those_above_them() {
    let place = |module: &Module| {
        let room = module.first()?;
        let place = ROOMS.iter().position(|name| name == room);
        Some(place.unwrap_or_else(|| panic!("give \"{room}\" a place among the rooms")))
    };
    let mut wrong = Vec::new();
    for (module, used) in uses("mlops-core") {
        for other in used.iter().filter(|other| place(other) > place(&module)) {
            if !module.is_empty() {
                wrong.push(format!("{} uses {}", module.join("::"), other.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_use_each_other() {
    for name in CRATES {
        let mut left = uses(name);
        left.remove(&Vec::new());
        for (module, used) in &mut left {
            used.retain(|other| !module.starts_with(other));
        }
        // What nobody uses, or what uses nobody that is left, is in no circle.
        loop {
            let before = left.len();
            let users: BTreeSet<Module> = left.values().flatten().cloned().collect();
            let names: BTreeSet<Module> = left.keys().cloned().collect();
            left.retain(|module, used| users.contains(module) && !used.is_disjoint(&names));
            if left.len() == before {
                break;
            }
        }
        let circle: Vec<_> = left.keys().map(|module| module.join("::")).collect();
        assert!(
            circle.is_empty(),
            "files of {name} that use each other, or stand between such: {circle:#?}"
        );
    }
}

#[test]
fn programs_are_built_without_the_testkit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut read = 0;
    for folder in ["crates", "bins"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path().join("Cargo.toml");
            let text = fs::read_to_string(&path).unwrap();
            let production = text.split("[dev-dependencies]").next().unwrap();
            let dependencies = production.split_once("[dependencies]").map_or("", |(_, rest)| rest);
            assert!(!dependencies.contains("mlops-testkit"), "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 10, "{read} manifests");
}

#[test]
fn uses_are_found_as_they_are_written() {
    let modules: BTreeSet<Module> = [vec![], vec!["a"], vec!["a", "b"], vec!["c"], vec!["c", "d"]]
        .into_iter()
        .map(|module: Vec<&str>| module.into_iter().map(str::to_owned).collect())
        .collect();
    let of = |text: &str| -> Vec<String> {
        let module = vec!["a".to_owned()];
        let all = paths(&code(text));
        all.iter().filter_map(|p| target(p, &module, &modules)).map(|m| m.join("::")).collect()
    };
    assert_eq!(of("use crate::{c::{self, d::X}, a::Y};"), ["c", "c::d", "a"]);
    assert_eq!(of("let x = super::c::d::f(b::g()); // crate::c"), ["c::d", "a::b"]);
    assert_eq!(of("pub use b::{\n    X,\n};\nuse std::fs;"), [""; 0]);
}
