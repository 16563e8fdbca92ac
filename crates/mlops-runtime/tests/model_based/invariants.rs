//! What must hold after a run, however it ended: read from files and from the ledger, as a stranger
//! would.
//!
//! Not for releases: see [`super::releases`].

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mlops_core::platform::digest::Digest;

use crate::model::{Rows, State};
use crate::operation::Program;
use crate::program::{End, Task};
use crate::records::{Dataset, Records, Segment};
use crate::releases;
use crate::world::World;

pub(crate) type Held = Result<(), String>;

/// Fails with a sentence unless `condition` holds.
pub(crate) fn ensure(condition: bool, what: impl FnOnce() -> String) -> Held {
    if condition { Ok(()) } else { Err(what()) }
}

/// Checks all that must hold after `task`, and remembers what it saw.
pub(crate) fn hold(world: &mut World, task: &Task, end: &End) -> Held {
    let records = Records::read(&world.root.join("out/ledger.sqlite"))?;
    erasures_are_remembered(world, &records, task);
    datasets_are_as_recorded(world, &records)?;
    releases::are_sound(world, &records, task, end)?;
    nobody_else_was_cut_off(world, &records, end)?;
    if *end == End::Done && task.program != Program::DryRun {
        nothing_is_left_over(world, &records)?;
        nobody_erased_is_left(world)?;
    }
    let state = state_after(world, &records, task, end)?;
    rows_are_those_of_the_model(world, &records, &state)?;
    files_are_counted(world, &records)?;
    holdouts_are_for_ever(world, &records)?;
    models_learn_from_the_rest(world, &records)?;
    decisions_judge_what_is_new(world, &records)?;
    data_sets_are_kept(world, &records, task, end)?;
    releases::are_kept(world, &records)?;
    world.model.state = state;
    let news = |new: usize, old: usize| (new - old.min(new)) as u64;
    let old = &world.memory.records;
    world.counts.datasets += news(records.datasets.len(), old.datasets.len());
    world.counts.holdouts += news(records.holdouts.len(), old.holdouts.len());
    world.counts.deployments += news(records.deployments.len(), old.deployments.len());
    world.memory.records = records;
    Ok(())
}

/// Once an erasure is on record the person's rows are nowhere, also not in what was seen of hold-outs
/// whose files are there.
fn erasures_are_remembered(world: &mut World, records: &Records, task: &Task) {
    let new = records.erasures > world.memory.records.erasures;
    let Some(person) = task.release.as_ref().filter(|_| new) else { return };
    world.counts.erasures += 1;
    world.model.forgotten.insert(person.clone());
    let memory = &mut world.memory;
    for holdout in &records.holdouts {
        if memory.away.contains(&holdout.name) {
            memory.spared.insert(holdout.name.clone());
        } else if let Some(rows) = memory.holdouts.get_mut(&holdout.version) {
            rows.retain(|row, _| row[0] != *person);
        }
    }
}

/// No file but those of people mentions anybody who was erased, the ledger included.
fn nobody_erased_is_left(world: &World) -> Held {
    if world.model.forgotten.is_empty() {
        return Ok(());
    }
    let of_people = ["in", "source", "away", "test/own.csv"].map(|place| world.root.join(place));
    for path in crate::world::listed(&world.root).into_keys() {
        let name = path.file_name().unwrap().to_string_lossy();
        let theirs = of_people.iter().any(|place| path.starts_with(place));
        if theirs || path.is_symlink() || world.memory.spared.contains(&*name) {
            continue;
        }
        let bytes = fs::read(&path).map_err(|e| e.to_string())?;
        for person in &world.model.forgotten {
            let there = bytes.windows(person.len()).any(|part| part == person.as_bytes());
            ensure(!there, || format!("{} has {person}, who was erased", path.display()))?;
        }
    }
    Ok(())
}

/// Every data set that is on record has the bytes that were recorded.
fn datasets_are_as_recorded(world: &mut World, records: &Records) -> Held {
    for dataset in &records.datasets {
        let path = world.dataset(dataset.version);
        if path.is_file() {
            world.memory.deleted.remove(&dataset.version);
            let digest = Digest::of_file(&path).map_err(|e| e.to_string())?.to_string();
            ensure(digest == dataset.sha256, || {
                format!("{} is not as it was recorded", path.display())
            })?;
        } else {
            let gone = world.memory.deleted.contains(&dataset.version)
                || records.was_removed("dataset", &dataset.version.to_string());
            ensure(gone, || format!("{} is on record and not there", path.display()))?;
        }
    }
    Ok(())
}

/// A run that was not killed has an end on record.
fn nobody_else_was_cut_off(world: &World, records: &Records, end: &End) -> Held {
    let known: BTreeSet<&String> = world.memory.records.cut_off.iter().collect();
    let new: Vec<&String> = records.cut_off.iter().filter(|run| !known.contains(run)).collect();
    ensure(new.is_empty() || *end == End::Killed, || {
        format!("a run that was not killed has no end on record: {new:?}")
    })
}

fn nothing_is_left_over(world: &World, records: &Records) -> Held {
    ensure(records.intents.is_empty(), || format!("intents are left: {:?}", records.intents))?;
    let temporary =
        |path: &Path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(".mlops-"));
    let left: Vec<_> = crate::world::listed(&world.root)
        .into_keys()
        .filter(|path| path.ancestors().any(temporary))
        .filter(|path| !path.to_string_lossy().contains("lock"))
        .collect();
    ensure(left.is_empty(), || format!("temporary files are left: {left:?}"))
}

/// What the files count with now, by what the run committed; and whether it could fail as it did.
fn state_after(world: &World, records: &Records, task: &Task, end: &End) -> Result<State, String> {
    let (program, model) = (task.program, &world.model);
    let old = &world.memory.records;
    let version = |records: &Records| records.newest().map_or(0, |d| d.version);
    let committed = records.files.len() != old.files.len() || version(records) != version(old);
    let folder = world.folder_of(program);
    if let End::Failed(why) = end {
        ensure(excused(world, task, why), || format!("{program:?} failed: {why}"))?;
    }
    if program.rebuilds() {
        let after = model.rebuilt(folder);
        let lost = model.lost_by_rebuild(folder);
        // Of files without rows an empty data set is built only where it had rows of theirs.
        if !committed || (after.contents.is_empty() && version(records) == version(old)) {
            return Ok(model.state.clone());
        }
        if program == Program::Rebuild {
            let (_, may) = model.expected(&after);
            let alone =
                State { contents: lost, doubts: model.state.doubts.clone(), ..State::default() };
            let (rows, _) = model.expected(&alone);
            let gone = rows.keys().find(|row| !may.contains_key(*row));
            ensure(gone.is_none(), || format!("a rebuild lost {gone:?} without --partial"))?;
        }
        ensure(version(records) > version(old), || "a rebuild made no version".to_owned())?;
        return Ok(after);
    }
    if program == Program::Forget {
        return Ok(model.state.clone());
    }
    if !program.ingests() {
        ensure(!committed, || format!("{program:?} ingested something"))?;
        return Ok(model.state.clone());
    }
    let after = model.ingested(folder);
    // first_run that fullprocess has taken over from does not look at files.
    let looked = committed || (*end == End::Done && program != Program::FirstRun);
    if !looked {
        return Ok(model.state.clone());
    }
    let (before, now) = (&model.state.contents, &after.contents);
    let grew = version(records) > version(old);
    ensure(before == now || grew, || {
        format!("files changed, and there is no version after {}", version(old))
    })?;
    ensure(before != now || !grew, || {
        let taken = records.files.iter().skip(old.files.len());
        let taken: Vec<String> = taken.map(|f| format!("{} {}", f.name, f.status)).collect();
        format!("nothing changed, and there is a version {}: {taken:?}", version(records))
    })?;
    Ok(after)
}

/// Whether `program` may fail with `why`: what it needs is not there.
fn excused(world: &World, task: &Task, why: &str) -> bool {
    let (program, model, memory) = (task.program, &world.model, &world.memory);
    let records = &memory.records;
    let newest = records.newest().map_or(0, |d| d.version);
    if memory.deleted.contains(&newest) {
        let sources = model.state.contents.iter().all(|id| model.is_there(*id));
        let remade = sources && model.state.doubts.is_empty();
        if !(program.ingests() && remade) && why.contains("finaldata") {
            return true;
        }
    }
    let nothing = records.datasets.is_empty();
    let emptied = model.ingested(world.folder_of(program)).contents.is_empty()
        || model.state.contents.is_empty();
    if emptied && why.contains("has no rows to train on") {
        return true;
    }
    match program {
        Program::Ingestion
        | Program::FullProcess
        | Program::FullProcessForced
        | Program::RebuildPartial
        | Program::Forget
        | Program::DryRun => false,
        Program::Rebuild => {
            why.contains("--partial") && !model.lost_by_rebuild(world.folder_of(program)).is_empty()
        }
        Program::FirstRun => nothing && why.contains("file"),
        Program::Training => nothing && why.contains("run `ingestion`"),
        Program::Scoring | Program::Deployment | Program::DeploymentAgain => {
            why.contains("run `training`")
                || why.contains("run `scoring`")
                || why.contains("run `scoring` first")
                || why.contains("test")
                || why.contains("was rolled back")
        }
        Program::Diagnostics => why.contains("deploy"),
        Program::Rollback | Program::RollbackTo => {
            why.contains("no way back")
                || why.contains("is live already")
                || why.contains("as \"retention\" says")
        }
    }
}

/// The newest data set has the rows that the model says, and what went before is in it.
fn rows_are_those_of_the_model(world: &mut World, records: &Records, state: &State) -> Held {
    for dataset in &records.datasets {
        let path = world.dataset(dataset.version);
        if world.memory.datasets.contains_key(&dataset.version) || !path.is_file() {
            continue;
        }
        let rows = read_rows(&path)?;
        let count: u64 = rows.values().sum();
        ensure(count == dataset.rows, || {
            format!("{} has {count} rows, on record are {}", path.display(), dataset.rows)
        })?;
        is_made_of_its_parts(world, records, dataset)?;
        world.memory.datasets.insert(dataset.version, rows);
    }
    let Some(newest) = records.newest() else { return Ok(()) };
    let Some(rows) = world.memory.datasets.get(&newest.version) else { return Ok(()) };
    let (least, most) = world.model.expected(state);
    let name = format!("finaldata{}.csv", newest.version);
    for (row, times) in &least {
        let found = rows.get(row).copied().unwrap_or(0);
        ensure(found >= *times, || {
            format!("{name} has {} {found} times, it must have it {times} times", row.join(","))
        })?;
    }
    for (row, times) in rows {
        let most = most.get(row).copied().unwrap_or(0);
        ensure(*times <= most, || {
            format!("{name} has {} {times} times, at most {most} are right", row.join(","))
        })?;
    }
    Ok(())
}

/// Segments follow each other and are all; the bytes of a base stand first; N counts the contents.
fn is_made_of_its_parts(world: &World, records: &Records, dataset: &Dataset) -> Held {
    let version = dataset.version;
    let mut next = 0;
    let mut contents = BTreeSet::new();
    for segment in records.segments_of(version) {
        ensure(segment.first_row == next, || format!("a gap in the segments of {version}"))?;
        next += segment.rows;
        ensure(contents.insert(&segment.sha256), || {
            format!("data set {version} has content {} twice", segment.sha256)
        })?;
    }
    ensure(next == dataset.rows, || {
        format!("the segments of {version} have {next} rows, it has {}", dataset.rows)
    })?;
    let before = records.datasets.iter().rev().find(|d| d.version < version);
    let taken = records
        .files
        .iter()
        .filter(|f| f.run == dataset.run && f.status == "ingested" && f.dataset == Some(version));
    let expected = before.map_or(0, |d| d.version) as usize + taken.count().max(1);
    ensure(version as usize == expected, || {
        format!("the data set after {before:?} is {version} rather than {expected}")
    })?;
    if let Some(base) = dataset.base {
        let (base, path) = (world.dataset(base), world.dataset(version));
        if let (Ok(base), Ok(all)) = (fs::read(&base), fs::read(&path)) {
            ensure(all.starts_with(&base), || format!("{version} does not start with its base"))?;
        }
        let old = records.datasets.iter().find(|d| Some(d.version) == dataset.base);
        let sum = old.map_or(0, |d| d.rows) + dataset.new_rows;
        ensure(sum == dataset.rows, || format!("old and new rows of {version} are {sum}"))?;
    }
    let quarantine = world.root.join(format!("out/quarantine{version}.csv"));
    let rejected = if quarantine.is_file() { read_rows(&quarantine)?.values().sum() } else { 0 };
    ensure(rejected == dataset.quarantined, || {
        format!("quarantine{version}.csv has {rejected} rows, on record {}", dataset.quarantined)
    })
}

/// read = kept + duplicates + quarantined + superseded + forgotten, and as many as the model knows.
fn files_are_counted(world: &World, records: &Records) -> Held {
    for file in records.files.iter().filter(|f| f.status == "ingested") {
        let count = |key: &str| file.counts[key].as_u64().unwrap_or(0);
        let read = count("rows_read");
        let sum = ["rows_kept", "duplicates_within", "duplicates_across", "quarantined"];
        let sum =
            sum.into_iter().map(count).sum::<u64>() + count("superseded") + count("forgotten");
        ensure(read == sum, || format!("{}: {read} rows read, {sum} accounted for", file.name))?;
        let known = file.sha256.as_ref().and_then(|sha256| world.model.by_digest(sha256));
        let counted = (read, count("quarantined"));
        ensure(known.is_some_and(|id| world.model.counted(id) == Some(counted)), || {
            format!("{}: rows read and quarantined are {counted:?}, not what it has", file.name)
        })?;
    }
    Ok(())
}

/// A hold-out has its rows, once and for ever, and its file stays as it is.
fn holdouts_are_for_ever(world: &mut World, records: &Records) -> Held {
    let lost: Vec<&u32> = world
        .memory
        .holdouts
        .keys()
        .filter(|v| !records.holdouts.iter().any(|h| h.version == **v))
        .collect();
    ensure(lost.is_empty(), || format!("hold-outs are not on record any more: {lost:?}"))?;
    let erasing = records.intents.iter().any(|intent| intent["kind"] == "erase");
    for holdout in &records.holdouts {
        let path = world.root.join("test").join(&holdout.name);
        // Until an erasure is complete, the file still has what the record has no more.
        if erasing || world.memory.away.contains(&holdout.name) {
            continue;
        }
        let digest = Digest::of_file(&path).map_err(|e| e.to_string())?.to_string();
        ensure(digest == holdout.sha256, || format!("{} is not as it was drawn", holdout.name))?;
        if world.memory.holdouts.contains_key(&holdout.version) {
            continue;
        }
        let rows = read_rows(&path)?;
        ensure(rows.values().sum::<u64>() == holdout.rows, || {
            format!("{} has not {} rows", holdout.name, holdout.rows)
        })?;
        is_drawn_from_new_rows(world, records, holdout.version, &rows)?;
        world.memory.holdouts.insert(holdout.version, rows);
    }
    Ok(())
}

/// Nothing is drawn that an earlier draw was offered, but for entities of earlier hold-outs.
fn is_drawn_from_new_rows(world: &World, records: &Records, version: u32, rows: &Rows) -> Held {
    let Some(all) = world.memory.datasets.get(&version) else { return Ok(()) };
    let alien = rows.iter().find(|(row, n)| all.get(*row).is_none_or(|there| there < *n));
    ensure(alien.is_none(), || format!("the hold-out of {version} has {alien:?}, no data"))?;
    let last = records.holdouts.iter().rev().find(|h| h.version < version);
    let Some(last) = last.filter(|h| world.dataset(h.version).is_file()) else { return Ok(()) };
    let Some(new) = new_at_most(world, records, last.version, version) else { return Ok(()) };
    let held: BTreeSet<&str> = entities(world);
    for (row, times) in rows {
        if world.maker.id(row).is_some_and(|id| held.contains(id)) {
            continue;
        }
        ensure(*times <= new.get(row).copied().unwrap_or(0), || {
            format!("{} was offered to the draw of {} already", row.join(","), last.version)
        })?;
    }
    Ok(())
}

/// How often each row of data set `now` can have come after `before`, if both were seen.
///
/// Where rows have no ids, one that left and one that came may look alike: they are the same row if it
/// left a file that was corrected and came with a correction, and else two.
fn new_at_most(world: &World, records: &Records, before: u32, now: u32) -> Option<Rows> {
    let datasets = &world.memory.datasets;
    let (earlier, later) = (datasets.get(&before)?, datasets.get(&now)?);
    let without = |rows: &Rows, others: &Rows| -> Rows {
        let left = |(row, n): (&Vec<String>, &u64)| {
            (row.clone(), n.saturating_sub(others.get(row).copied().unwrap_or(0)))
        };
        rows.iter().map(left).collect()
    };
    if world.has_ids() {
        return Some(without(later, earlier));
    }
    let came = records.segments_of(now).into_iter().filter(|s| s.batch > before);
    let (corrected, added): (Vec<_>, Vec<_>) = came.partition(|s| s.replaces.is_some());
    let replaced = records.predecessors(&corrected);
    let old = records.segments_of(before).into_iter();
    let old: Vec<_> = old.filter(|s| replaced.contains(&s.sha256)).collect();
    let rows = |segments: &[&Segment]| {
        let contents = segments.iter().filter_map(|s| world.model.by_digest(&s.sha256));
        world.model.rows_of(contents)
    };
    let mut new = without(&rows(&corrected), &rows(&old));
    for (row, n) in rows(&added) {
        *new.entry(row).or_default() += n;
    }
    Some(new)
}

/// Who is in a hold-out or among the person's own test rows.
fn entities(world: &World) -> BTreeSet<&str> {
    let memory = &world.memory;
    let rows = memory.holdouts.values().flat_map(Rows::keys).chain(memory.own_tests.keys());
    rows.filter_map(|row| world.maker.id(row)).collect()
}

/// A model learns from all rows but those of hold-outs and test files: where rows have ids, from no
/// row of anybody who is in one.
fn models_learn_from_the_rest(world: &World, records: &Records) -> Held {
    let known = world.memory.records.models.len();
    let held = entities(world);
    for model in records.models.iter().skip(known) {
        let Some(rows) = world.memory.datasets.get(&model.dataset) else { continue };
        let free = |(row, times): (&Vec<String>, &u64)| match world.maker.id(row) {
            Some(id) if held.contains(id) => 0,
            Some(_) => *times,
            None => {
                let drawn: u64 = world.memory.holdouts.values().filter_map(|h| h.get(row)).sum();
                times.saturating_sub(drawn)
            }
        };
        let most: u64 = rows.iter().map(free).sum();
        // Without ids, rows that look like those of the person's own test file are left out where there are more
        // of them than chance explains; some of them are made to.
        let alike = |(row, _): &(&Vec<String>, &u64)| {
            let own = &world.memory.own_tests;
            !world.has_ids() && own.keys().any(|own| own[..own.len() - 1] == row[..row.len() - 1])
        };
        let least = most - rows.iter().filter(alike).map(free).sum::<u64>();
        ensure((least..=most).contains(&model.rows), || {
            format!(
                "a model learnt from {} rows of data set {}, it may learn from {least} to {most}",
                model.rows, model.dataset
            )
        })?;
    }
    Ok(())
}

/// No decision counts rows as new that the last decided data set had.
fn decisions_judge_what_is_new(world: &World, records: &Records) -> Held {
    let known: BTreeSet<&String> = world.memory.records.decisions.iter().map(|d| &d.run).collect();
    for decision in records.decisions.iter().filter(|d| !known.contains(&d.run)) {
        let data = &decision.detail["data"];
        let (Some(decided), Some(new)) = (data["decided"].as_u64(), data["new_rows"].as_u64())
        else {
            continue;
        };
        let decided = u32::try_from(decided).unwrap();
        if !world.dataset(decided).is_file() {
            continue;
        }
        let Some(rows) = new_at_most(world, records, decided, decision.dataset) else { continue };
        let most: u64 = rows.values().sum();
        ensure(new <= most, || {
            format!(
                "a decision on data set {} counts {new} new rows, {most} came after {decided}",
                decision.dataset
            )
        })?;
    }
    Ok(())
}

/// Retention keeps the newest data sets and those that releases need, and not many others.
fn data_sets_are_kept(world: &World, records: &Records, task: &Task, end: &End) -> Held {
    let last = records.newest().map(|dataset| dataset.version);
    let there = |version: u32| {
        // An erasure removes all versions but the one without the person.
        let erased = records.erasures > 0
            && Some(version) != last
            && records.was_removed("dataset", &version.to_string());
        world.dataset(version).is_file() || world.memory.deleted.contains(&version) || erased
    };
    let newest = usize::try_from(world.memory.keep_datasets.max(2)).unwrap();
    for dataset in records.datasets.iter().rev().take(newest) {
        ensure(there(dataset.version), || {
            format!("data set {} is one of the newest and not there", dataset.version)
        })?;
    }
    let releases = releases::all(world)?;
    for (id, manifest) in &releases {
        let version = u32::try_from(manifest["dataset"].as_u64().unwrap_or(0)).unwrap();
        let known = records.datasets.iter().any(|d| d.version == version);
        ensure(!known || there(version), || format!("data set {version} of {id} is not there"))?;
    }
    let made = records.datasets.len() > world.memory.records.datasets.len();
    if made && *end == End::Done && task.program.ingests() {
        let files = records.datasets.iter().filter(|d| world.dataset(d.version).is_file()).count();
        let most = usize::try_from(world.keep_datasets()).unwrap() + releases.len() + 3;
        ensure(files <= most, || format!("{files} data sets are there, {most} may be"))?;
    }
    Ok(())
}

/// The rows of a CSV file with the number of their occurrences.
pub(crate) fn read_rows(path: &Path) -> Result<Rows, String> {
    let failed = |e: csv::Error| format!("{}: {e}", path.display());
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let mut rows = Rows::new();
    for record in reader.records() {
        let row = record.map_err(failed)?.iter().map(str::to_owned).collect();
        *rows.entry(row).or_default() += 1;
    }
    Ok(rows)
}
