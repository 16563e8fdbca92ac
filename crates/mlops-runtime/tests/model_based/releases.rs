//! What must hold of releases and of the pointer to the live one.
//!
//! Not for data sets: see [`super::invariants`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mlops_core::platform::digest::Digest;
use serde_json::Value;

use crate::invariants::{Held, ensure};
use crate::operation::Program;
use crate::program::{End, Task};
use crate::records::Records;
use crate::world::World;

/// The releases that are there, with their manifests.
pub(crate) fn all(world: &World) -> Result<BTreeMap<String, Value>, String> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(world.root.join("models")) else { return Ok(found) };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("r-") {
            found.insert(name, manifest(&path)?);
        }
    }
    Ok(found)
}

/// The manifest of the release in `folder`, all of whose files are as it says.
fn manifest(folder: &Path) -> Result<Value, String> {
    let place = folder.display();
    let text = fs::read(folder.join("manifest.json")).map_err(|e| format!("{place}: {e}"))?;
    let manifest: Value = serde_json::from_slice(&text).map_err(|e| format!("{place}: {e}"))?;
    let files = manifest["files"].as_object().ok_or_else(|| format!("{place} lists no files"))?;
    for name in ["trainedmodel.bin", "model.json", "golden.json", "score.json", "latestscore.txt"] {
        ensure(files.contains_key(name), || format!("{place} has no {name}"))?;
    }
    for (name, digest) in files {
        let found = Digest::of_file(&folder.join(name)).map_err(|e| e.to_string())?;
        ensure(*digest == found.to_string(), || format!("{place}/{name} is damaged"))?;
    }
    Ok(manifest)
}

/// The release that is live; nothing where there is no pointer.
fn live(world: &World) -> Result<Option<String>, String> {
    let pointer = world.root.join("live");
    let Ok(target) = fs::read_link(&pointer) else {
        ensure(pointer.symlink_metadata().is_err(), || "the pointer is not a link".to_owned())?;
        return Ok(None);
    };
    ensure(target.is_relative(), || format!("the pointer is {}", target.display()))?;
    let inside = target.strip_prefix("models").map_err(|e| format!("{}: {e}", target.display()))?;
    Ok(Some(inside.to_string_lossy().into_owned()))
}

/// At any moment: what is live is a whole release, and the ledger says the same as the pointer.
pub(crate) fn are_sound(world: &mut World, records: &Records, task: &Task, end: &End) -> Held {
    let releases = all(world)?;
    let live = live(world)?;
    let last = records.deployments.last();
    let recorded = last.map(|d| d.release.as_str());
    let promised = records.intents.iter().filter(|i| i["kind"] == "promote");
    let promised: Vec<&str> = promised.filter_map(|i| i["release"].as_str()).collect();
    let news = records.deployments.len() > world.memory.records.deployments.len();
    if news && live.is_some() {
        world.memory.pointer_removed = false;
    }
    if let Some(id) = &live {
        ensure(releases.contains_key(id), || format!("{id} is live and not there"))?;
        let known = recorded == Some(id) || promised.contains(&id.as_str());
        ensure(known, || format!("{id} is live, on record is {recorded:?}"))?;
        let refused = world.root.join("live/NOT_BLESSED").is_file();
        ensure(!refused || *end == End::Killed, || format!("{id} is live and NOT_BLESSED"))?;
    } else {
        let vacant = last.is_none() || world.memory.pointer_removed;
        ensure(vacant, || format!("nothing is live, on record is {recorded:?}"))?;
    }
    if *end == End::Done && promised.is_empty() && recorded == live.as_deref() {
        let text = fs::read_to_string(world.root.join("live/latestscore.txt"));
        let f1 = text.ok().and_then(|text| text.trim().parse::<f64>().ok());
        let same = match (f1, last.and_then(|d| d.f1)) {
            (Some(a), Some(b)) => a.to_bits() == b.to_bits(),
            (None, None) => true,
            _ => false,
        };
        ensure(same, || format!("latestscore.txt has {f1:?}, the record of {recorded:?} not"))?;
    }
    rolled_back_stay_so(world, records, task, live.as_deref())?;
    if *end == End::Done
        && matches!(task.program, Program::FullProcess | Program::FullProcessForced)
        && let Some(live) = live
    {
        reports_are_of(world, &live)?;
    }
    Ok(())
}

/// A release that was rolled back is not live unless somebody asked for it by name.
fn rolled_back_stay_so(
    world: &mut World,
    records: &Records,
    task: &Task,
    live: Option<&str>,
) -> Held {
    let asked = matches!(task.program, Program::DeploymentAgain | Program::RollbackTo);
    let known = world.memory.records.deployments.len();
    for deployment in records.deployments.iter().skip(known) {
        let back = world.memory.rolled_back.contains(&deployment.release);
        // A killed run's promotion may be completed by the next one.
        let completed = world.memory.asked.contains(&deployment.release);
        ensure(!back || asked || completed, || {
            format!("{} was rolled back and is live again by itself", deployment.release)
        })?;
        world.memory.rolled_back.remove(&deployment.release);
        if deployment.action == "rollback" {
            world.counts.rollbacks += 1;
            let left = deployment.previous.clone().filter(|id| *id != deployment.release);
            world.memory.rolled_back.extend(left);
        }
    }
    world.memory.asked.clear();
    if asked {
        let promised = records.intents.iter().filter(|i| i["kind"] == "promote");
        let names = promised.filter_map(|i| i["release"].as_str().map(str::to_owned));
        world.memory.asked = names.collect();
    }
    let back = live.filter(|id| {
        world.memory.rolled_back.contains(*id)
            && !world.memory.asked.iter().any(|asked| asked == id)
    });
    ensure(back.is_none(), || format!("{back:?} was rolled back and is live"))
}

/// Diagnostics and page are those of what is live.
fn reports_are_of(world: &World, live: &str) -> Held {
    let text = fs::read(world.root.join("model/diagnostics.json")).map_err(|e| e.to_string())?;
    let diagnostics: Value = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    ensure(diagnostics["release"] == live, || {
        format!("diagnostics are of {}, {live} is live", diagnostics["release"])
    })?;
    let page = fs::read_to_string(world.root.join("model/report.html"));
    let title = format!("live release {live}</title>");
    ensure(page.is_ok_and(|page| page.contains(&title)), || format!("the page is not of {live}"))
}

/// Retention keeps the last releases that were live.
pub(crate) fn are_kept(world: &World, records: &Records) -> Held {
    let newest = usize::try_from(world.memory.keep_releases.max(2)).unwrap();
    let lived = records.lived();
    for (i, id) in lived.iter().enumerate() {
        let there = world.root.join("models").join(id).is_dir();
        // An erasure removes releases that may have rows of the person, however new they are.
        let may_go = i >= newest || records.erasures > 0;
        ensure(there || (may_go && records.was_removed("release", id)), || {
            format!("{id} is not there, and {i} releases were live after it")
        })?;
    }
    Ok(())
}
