//! The direct dependencies of the toolset: the versions built in and, on request, the latest ones.
//!
//! The built-in versions come from the lock file at compile time; the latest from `cargo info`,
//! which respects the user's registries and proxies. Only `diagnostics` asks for them, and only on
//! request.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mlops_core::run::context::Context;
use mlops_core::stage::diagnose::Dependency;
use serde::{Deserialize, Serialize};

const LOCK: &str = include_str!("../../../Cargo.lock");
const MANIFEST: &str = include_str!("../../../Cargo.toml");
/// The file in which answers are cached for a day.
const CACHE: &str = "latest_versions.json";
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// The time limits of one answer and of all together.
const LIMITS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(1));

/// The direct dependencies with the versions built in, sorted by name.
pub fn built_in() -> Vec<Dependency> {
    let mut versions: BTreeMap<&str, &str> = BTreeMap::new();
    for package in LOCK.split("[[package]]").skip(1) {
        let field = |key: &str| {
            let line = package.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(" = "));
            line.map(|value| value.trim_matches('"'))
        };
        if let (Some(name), Some(version)) = (field("name"), field("version")) {
            // If the lock file has several versions, the last is the highest.
            versions.insert(name, version);
        }
    }
    let mut names: Vec<&str> = direct_names();
    names.sort_unstable();
    let known = |name: &&str| versions.contains_key(*name) && !name.starts_with("mlops-");
    names
        .into_iter()
        .filter(known)
        .map(|name| Dependency {
            name: name.to_owned(),
            version: versions[name].to_owned(),
            latest: None,
            reason: None,
        })
        .collect()
}

/// Names under `[workspace.dependencies]`, without those for tests.
fn direct_names() -> Vec<&'static str> {
    MANIFEST
        .lines()
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('[') && !line.starts_with("# tests only"))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name.trim()))
        .filter(|name| !name.starts_with('#'))
        .collect()
}

/// Cached answers.
#[derive(Default, Serialize, Deserialize)]
struct Cache {
    /// When they were given, in seconds since 1970.
    asked: i64,
    latest: BTreeMap<String, String>,
}

/// Looks up the latest version of each dependency, within a time limit and at most once a day.
pub fn check_latest(context: &Context, dependencies: &mut [Dependency]) -> mlops_core::Result<()> {
    let path = context.config.output_model.join(CACHE);
    let now = context.clock.now().timestamp();
    let mut cache: Cache = mlops_core::release::parse(&path).unwrap_or_default();
    if !(0..DAY_SECONDS).contains(&(now - cache.asked)) {
        cache = Cache { asked: now, ..Cache::default() };
    }
    let deadline = Instant::now() + LIMITS.1;
    for dependency in dependencies {
        let known = cache.latest.get(&dependency.name).cloned();
        match known.map_or_else(|| latest(&dependency.name, deadline), Ok) {
            Ok(version) => {
                cache.latest.insert(dependency.name.clone(), version.clone());
                dependency.latest = Some(version);
            }
            Err(reason) => dependency.reason = Some(reason),
        }
    }
    context.disk.write(&path, &mlops_core::release::pretty(&cache)?)
}

/// The latest version of `name` according to cargo.
fn latest(name: &str, deadline: Instant) -> Result<String, String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err("no time left to ask".to_owned());
    }
    // Outside the workspace, cargo reports the newest version instead of the locked one.
    let mut child = Command::new("cargo")
        .args(["info", "--quiet", "--color", "never", name])
        .current_dir(std::env::temp_dir().as_path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("cannot start cargo: {e}"))?;
    let stop = Instant::now() + LIMITS.0.min(left);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < stop => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                // It may have ended by itself in the meantime; either way it is gone.
                let _ = child.kill();
                let _ = child.wait();
                return Err("cargo did not answer in time".to_owned());
            }
        }
    };
    let mut text = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut text).map_err(|e| format!("cannot read cargo's answer: {e}"))?;
    }
    let version = text.lines().find_map(|line| line.strip_prefix("version: "));
    match version.and_then(|v| v.split_whitespace().next()) {
        Some(version) if status.success() => stable(version),
        _ => Err("cargo could not tell (offline?)".to_owned()),
    }
}

/// Refuses pre-release versions.
fn stable(version: &str) -> Result<String, String> {
    let bare = version.split('+').next().unwrap_or_default();
    if bare.contains('-') {
        return Err(format!("only a pre-release is newer, {version}"));
    }
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pre_release_is_not_offered() {
        assert_eq!(stable("1.2.3").unwrap(), "1.2.3");
        assert_eq!(stable("1.2.3+zstd-1.5").unwrap(), "1.2.3+zstd-1.5");
        for version in ["0.32.0-alpha.0", "2.0.0-rc.3+b"] {
            let reason = stable(version).unwrap_err();
            assert!(reason.contains("pre-release") && reason.contains(version), "{reason}");
        }
    }

    #[test]
    fn names_the_packages_that_the_user_chose_with_their_versions() {
        let built = built_in();
        for name in ["csv", "serde", "serde_json", "smartcore", "ndarray", "bincode", "chrono"] {
            let found = built.iter().find(|d| d.name == name);
            assert!(found.is_some_and(|d| d.version.contains('.')), "{name}: {found:?}");
        }
        assert!(built.iter().all(|d| d.name != "proptest" && d.name != "mlops-core"));
    }
}
