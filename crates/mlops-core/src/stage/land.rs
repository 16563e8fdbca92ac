//! Objects of `sources` become files of the landing folder, which are ingested from there.
//!
//! An object is fetched whole or not at all, and again only if its version differs. Its bytes stay
//! in the landing folder, since a rebuild or a correction reads them again. A source that cannot be
//! reached stops no other. Not for taking rows: see `ingest`; for what a distributed engine fetches:
//! `land_there`.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::config::Source;
use crate::config::sources::{Mode, Role};
use crate::dataset::counts::own_fault;
use crate::dataset::discover::{self, Ignored, Listing, SourceFile};
use crate::ids::FindingKind;
use crate::ledger::Landed;
use crate::platform::digest::{Digest, Hasher};
use crate::platform::disk::NewFile;
use crate::platform::engine::Engine;
use crate::platform::threads;
use crate::run::attention::Remark;
use crate::run::context::{Context, Workspace};
use crate::source::{Around, Fetched, Object};
use crate::{Error, Result, text};

use super::land_there::{self as there, FetchedThere};

/// Objects recorded by one commit.
const TOGETHER: usize = 512;
/// Objects fetched at the same time.
const AT_ONCE: usize = 8;
/// After this many failures in a row the rest of a source is left to the next run: it is the place that
/// fails, and each object costs the time of all its attempts.
const IN_A_ROW: usize = 8;

/// What the sources have.
#[derive(Debug, Default)]
pub(super) struct Landing {
    /// Files to ingest, by source, then by name.
    pub(super) files: Vec<SourceFile>,
    /// Files that are not taken.
    pub(super) ignored: Vec<Ignored>,
    /// What went wrong, by source or object.
    pub(super) failures: Vec<Remark>,
    /// What somebody should know.
    pub(super) warnings: Vec<Remark>,
    /// Files whose objects are not at their place any more, of the sources that could be asked.
    pub(super) removed: HashSet<PathBuf>,
    /// The names of the sources that could be asked.
    pub(super) asked: HashSet<String>,
}

/// Fetches what is new in the sources whose rows are for `role`.
pub(super) fn run(context: &Context, workspace: &mut Workspace, role: Role) -> Result<Landing> {
    let mut landing = Landing::default();
    for source in context.config.sources.iter().filter(|source| source.role == role) {
        if !source.is_fetched() {
            if context.config.is_ours(source) && !context.config.folder_of(source).is_dir() {
                // No prediction has a label yet.
                continue;
            }
            match discover::matching(&context.config, source) {
                Ok(listing) => {
                    landing
                        .warnings
                        .extend(nothing_matches(source, &listing).map(|why| nothing(source, &why)));
                    landing.files.extend(listing.candidates);
                    landing.ignored.extend(listing.ignored);
                }
                Err(error) => landing.failures.push(failed(source, &error)),
            }
            continue;
        }
        if let Err(error) = fetch_new(context, workspace, source, &mut landing)? {
            landing.failures.push(failed(source, &error));
        }
        let landed = workspace.ledger.landed(&source.name)?;
        let paths = landed.iter().map(|one| one.location.path(&context.config.base));
        let mut files: Vec<SourceFile> =
            paths.map(|path| SourceFile::at(&context.config, path)).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        landing.files.extend(files);
    }
    Ok(landing)
}

fn failed(source: &Source, error: &Error) -> Remark {
    let words = text::bounded(format!("source \"{}\": {}", source.name, own_fault(error)));
    Remark::on(FindingKind::SourceFailed, &source.name, words)
}

/// What is said of a source of which nothing is read.
fn nothing(source: &Source, why: &str) -> Remark {
    let words = text::bounded(format!("source \"{}\": {why}", source.name));
    Remark::on(FindingKind::Data, &source.name, words)
}

/// Fetches the objects of a source whose version is not recorded. The inner error is that of the source.
fn fetch_new(
    context: &Context,
    workspace: &mut Workspace,
    source: &Source,
    landing: &mut Landing,
) -> Result<Result<()>> {
    let known = workspace.ledger.landed(&source.name)?;
    let seen = match &source.mode {
        Mode::Cursor(_) => workspace.ledger.seen(&source.name)?,
        Mode::Files | Mode::Snapshot => crate::source::Seen::default(),
    };
    let around = Around { base: &context.config.base, clock: &context.clock };
    let opened = context.places.open(source, &around);
    let listed = opened.and_then(|place| Ok((place.list(&seen)?, place)));
    let (objects, place) = match listed {
        Ok(listed) => listed,
        Err(error) => return Ok(Err(error)),
    };
    let known: HashMap<&str, &Landed> =
        known.iter().map(|one| (one.object.as_str(), one)).collect();
    landing.asked.insert(source.name.clone());
    // An extract of a database is no object that could be removed there.
    if source.mode == Mode::Files {
        landing.removed.extend(removed(context, &objects, &known));
    }
    let (mut wanted, mut taken, all) = (Vec::new(), 0, objects.len());
    for object in objects {
        if !takes(source, &object.name, &mut landing.ignored) {
            continue;
        }
        taken += 1;
        let here = known.get(object.name.as_str()).copied();
        if !is_here(&context.config.base, here, &object) {
            wanted.push(object);
        }
    }
    if taken == 0 && known.is_empty() {
        landing.warnings.extend(nothing_taken(source, all).map(|why| nothing(source, &why)));
    }
    if wanted.is_empty() {
        return Ok(Ok(()));
    }
    let folder = crate::config::sources::landing(&context.config.output_folder, &source.name);
    context.disk.create_folder(&folder)?;
    let in_a_row = AtomicUsize::new(0);
    let mut untried = 0;
    let earlier = landing.failures.len();
    for objects in wanted.chunks(TOGETHER) {
        let here = |object: &Object| {
            if in_a_row.load(Ordering::Relaxed) >= IN_A_ROW {
                return None;
            }
            let known = known.get(object.name.as_str()).copied();
            let outcome = fetch(context, &folder, object, &*place, source, known);
            match outcome {
                Err(_) => _ = in_a_row.fetch_add(1, Ordering::Relaxed),
                Ok(_) => in_a_row.store(0, Ordering::Relaxed),
            }
            Some(outcome)
        };
        let spread = |object: &Object| place.has_ranges(object);
        let fetched = match &context.engine {
            Some(engine) if objects.iter().all(spread) => {
                fetch_there(context, engine, (source, &folder), objects, &known)?
            }
            _ => fetch_all(objects, here),
        };
        let mut arrived = Vec::new();
        for (object, outcome) in objects.iter().zip(fetched) {
            match outcome {
                Some(Ok(Arrival::Landed(landed))) => arrived.push(landed),
                Some(Ok(Arrival::Nothing)) => {}
                Some(Ok(Arrival::Changed)) => {
                    let object = format!("{}/{}", source.name, text::name(&object.name));
                    let words = format!(
                        "{object} changed or vanished while it was fetched: it is left to the next run"
                    );
                    landing.warnings.push(Remark::on(FindingKind::UnfinishedFile, object, words));
                }
                Some(Err(Trouble::Ours(error))) => return Err(error),
                Some(Err(Trouble::Theirs(error))) => {
                    let (name, words) = (text::name(&object.name), own_fault(&error));
                    let object = format!("{}/{name}", source.name);
                    let words = text::bounded(format!("{object}: {words}"));
                    landing.failures.push(Remark::on(FindingKind::SourceFailed, object, words));
                }
                None => untried += 1,
            }
        }
        if !arrived.is_empty() {
            context.disk.sync_filesystem(&folder)?;
            let run = context.run.as_str();
            workspace.ledger.record_landed(run, &arrived, &context.now())?;
        }
    }
    if untried > 0 {
        // First, since a long list is cut.
        landing.failures.insert(earlier, left_to_the_next_run(source, untried));
    }
    Ok(Ok(()))
}

/// That the place failed too often for the rest of its objects.
fn left_to_the_next_run(source: &Source, untried: u64) -> Remark {
    let words = format!(
        "source \"{}\": after {IN_A_ROW} failures in a row {} not tried: the next run \
         fetches them",
        source.name,
        if untried == 1 {
            "one more object was".to_owned()
        } else {
            format!("{} more objects were", text::count(untried))
        }
    );
    Remark::on(FindingKind::SourceFailed, &source.name, words)
}

/// The files whose objects are not listed any more, under no name.
fn removed(context: &Context, objects: &[Object], known: &HashMap<&str, &Landed>) -> Vec<PathBuf> {
    let listed: HashSet<&str> = objects.iter().map(|object| object.name.as_str()).collect();
    let (there, removed): (Vec<&Landed>, Vec<&Landed>) =
        known.values().partition(|one| listed.contains(one.object.as_str()));
    // One that has another name now is still there.
    let contents: HashSet<Digest> = there.iter().map(|one| one.sha256).collect();
    let removed = removed.iter().filter(|one| !contents.contains(&one.sha256));
    removed.map(|one| one.location.path(&context.config.base)).collect()
}

/// Whether the object was fetched in this version.
pub(super) fn is_here(base: &Path, known: Option<&Landed>, object: &Object) -> bool {
    known.is_some_and(|one| {
        one.version.is_some() && one.version == object.version && one.location.path(base).is_file()
    })
}

/// Whether an object of this name is taken.
pub(super) fn takes(source: &Source, name: &str, ignored: &mut Vec<Ignored>) -> bool {
    let wanted = source.pattern.as_deref().is_none_or(|pattern| discover::matches(pattern, name));
    if !wanted || source.mode != Mode::Files {
        return wanted;
    }
    let reason = discover::reason_by_name(name, &source.reading);
    if let Some(reason) = reason {
        let name = format!("{}/{name}", source.name);
        ignored.push(Ignored { name, reason: reason.to_owned() });
    }
    reason.is_none()
}

/// The same for a folder, in which there may be no files yet, but not only others.
pub(super) fn nothing_matches(source: &Source, listing: &Listing) -> Option<String> {
    let is_wrong = listing.candidates.is_empty() && listing.ignored.is_empty();
    if is_wrong && listing.unmatched > 0 { nothing_taken(source, listing.unmatched) } else { None }
}

/// What to look at if none of the `all` objects at a place is taken, where that is no ordinary state.
pub(super) fn nothing_taken(source: &Source, all: usize) -> Option<String> {
    match (&source.mode, all, &source.pattern) {
        (Mode::Files, 0, _) => {
            let place = &source.place;
            Some(format!(
                "there are no objects at {place}: check the address, which names a prefix"
            ))
        }
        (Mode::Files, all, Some(pattern)) => Some(format!(
            "the pattern \"{}\" takes none of the objects there ({}): check it, and the endings of the names",
            text::visible(pattern),
            text::count(all as u64)
        )),
        (Mode::Files, all, None) => Some(format!(
            "none of the objects there ({}) has an ending of a known format: set \"format.kind\"",
            text::count(all as u64)
        )),
        (Mode::Cursor(_) | Mode::Snapshot, ..) => None,
    }
}

/// What became of an object.
enum Arrival {
    Landed(Landed),
    /// An extract without rows.
    Nothing,
    Changed,
}

/// Whose trouble it is: that of the workspace's disk ends the run.
enum Trouble {
    Ours(Error),
    Theirs(Error),
}

/// The results of `fetch` on all objects, in their order.
fn fetch_all<T: Send>(objects: &[Object], fetch: impl Fn(&Object) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(objects.len()));
    threads::together(AT_ONCE.min(objects.len()) - 1, &|| {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(object) = objects.get(at) else { break };
            let result = fetch(object);
            let mut results = results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            results.push((at, result));
        }
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(at, _): &(usize, T)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn fetch(
    context: &Context,
    folder: &Path,
    object: &Object,
    place: &dyn crate::source::Source,
    source: &Source,
    known: Option<&Landed>,
) -> Result<Arrival, Trouble> {
    let path = folder.join(file_name(&object.name));
    let (to, fetched) = receive(context, &path, object, place, source)?;
    let cursor = match fetched {
        Fetched::Changed => return Ok(Arrival::Changed),
        Fetched::Empty => return Ok(Arrival::Nothing),
        Fetched::Whole { cursor } => cursor,
    };
    let received = Received { file: to.file, sha256: to.hasher.finish(), bytes: to.size, cursor };
    keep(context, (&path, object), source, known, received)
}

/// The bytes of an object, in a file that has no name yet.
struct Received {
    file: NewFile,
    sha256: Digest,
    bytes: u64,
    cursor: Option<String>,
}

/// Gives the file of an object the name `path`, unless the same bytes are there already.
fn keep(
    context: &Context,
    (path, object): (&Path, &Object),
    source: &Source,
    known: Option<&Landed>,
    received: Received,
) -> Result<Arrival, Trouble> {
    let Received { file, sha256, bytes, cursor } = received;
    let landed = Landed {
        source: source.name.clone(),
        object: object.name.clone(),
        version: object.version.clone(),
        location: context.location(path),
        sha256,
        bytes,
        cursor,
    };
    if known == Some(&landed) && same_bytes(&landed, path) {
        return Ok(Arrival::Nothing);
    }
    match known {
        Some(known) if known.sha256 == landed.sha256 && same_bytes(&landed, path) => {}
        // The next run would take a half-written file for the recorded one.
        Some(_) => file.publish(true).map_err(Trouble::Ours)?,
        // Nobody looks at it before it is recorded, which comes after a sync of all.
        None => file.publish_unsynced().map_err(Trouble::Ours)?,
    }
    Ok(Arrival::Landed(landed))
}

/// Has `engine` fetch all `objects`, which have ranges; the results in their order.
fn fetch_there(
    context: &Context,
    engine: &Arc<dyn Engine>,
    (source, folder): (&Source, &Path),
    objects: &[Object],
    known: &HashMap<&str, &Landed>,
) -> Result<Vec<Option<Result<Arrival, Trouble>>>> {
    let limit = source.access.max_bytes;
    let fits = |object: &&Object| object.size.is_some_and(|size| size <= limit);
    let mut wanted = Vec::new();
    for object in objects.iter().filter(fits) {
        let path = folder.join(file_name(&object.name));
        wanted.push((object, context.disk.new_file(&path)?));
    }
    let mut fetched = there::fetch(context, engine, source, wanted)?.into_iter();
    let mut outcome = |object: &Object| {
        if !fits(&object) {
            return Err(Trouble::Theirs(too_large(limit)));
        }
        let (file, sha256) = match fetched.next() {
            Some(FetchedThere::Whole(file, digest)) => (file, digest),
            Some(FetchedThere::Failed(words)) => return Err(Trouble::Theirs(Error::data(words))),
            Some(FetchedThere::Changed) | None => return Ok(Arrival::Changed),
        };
        let bytes = object.size.unwrap_or_default();
        let received = Received { file, sha256, bytes, cursor: None };
        let known = known.get(object.name.as_str()).copied();
        let path = folder.join(file_name(&object.name));
        keep(context, (&path, object), source, known, received)
    };
    Ok(objects.iter().map(|object| Some(outcome(object))).collect())
}

/// Reads an object into a file that has no name yet.
fn receive(
    context: &Context,
    path: &Path,
    object: &Object,
    place: &dyn crate::source::Source,
    source: &Source,
) -> Result<(Bytes, Fetched), Trouble> {
    let file = context.disk.new_file(path).map_err(Trouble::Ours)?;
    let limit = source.access.max_bytes;
    let mut to = Bytes { file, hasher: Hasher::default(), size: 0, limit, failed: None };
    let fetched = place.fetch(object, &mut to);
    match (to.failed.take(), fetched) {
        (Some(failed), _) => Err(failed),
        (None, Ok(fetched)) => Ok((to, fetched)),
        (None, Err(error)) => Err(Trouble::Theirs(error)),
    }
}

/// Reads an object on trial to `path`, which gets its name only if the object is whole.
pub(super) fn fetch_to(
    context: &Context,
    path: &Path,
    object: &Object,
    place: &dyn crate::source::Source,
    source: &Source,
) -> Result<Fetched> {
    let received = receive(context, path, object, place, source);
    let (to, fetched) =
        received.map_err(|(Trouble::Ours(error) | Trouble::Theirs(error))| error)?;
    if matches!(fetched, Fetched::Whole { .. }) {
        to.file.publish_unsynced()?;
    }
    Ok(fetched)
}

/// Whether the file at `path` has the bytes that were fetched, so that it need not be replaced and
/// read again.
fn same_bytes(new: &Landed, path: &Path) -> bool {
    Digest::of_file(path).is_ok_and(|digest| digest == new.sha256)
}

/// The bytes of an object on their way to its file.
struct Bytes {
    file: NewFile,
    hasher: Hasher,
    size: u64,
    limit: u64,
    failed: Option<Trouble>,
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            self.failed = Some(Trouble::Theirs(too_large(self.limit)));
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Err(error) = self.file.write_all(bytes) {
            self.failed = Some(Trouble::Ours(error));
            return Err(io::ErrorKind::Other.into());
        }
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_large(limit: u64) -> Error {
    Error::data(format!(
        "larger than {} MiB: raise \"max_mib\" of the source, or exclude the object by its \"pattern\"",
        limit >> 20
    ))
}

/// The name of the file for an object: its own name, with what cannot stand in a file name as `%XX`.
/// A very long name is cut and made unique by its digest; its ending stays.
pub(super) fn file_name(object: &str) -> PathBuf {
    use std::fmt::Write as _;
    let mut name = String::with_capacity(object.len());
    for (at, c) in object.char_indices() {
        if matches!(c, '/' | '%' | '\\')
            || c.is_control()
            || (at == 0 && matches!(c, '.' | '~' | '#'))
        {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(name, "%{byte:02X}");
            }
        } else {
            name.push(c);
        }
    }
    if name.len() > LONGEST_NAME {
        let digest = Digest::of(object.as_bytes()).to_string();
        let ending: String =
            name.chars().rev().take(16).collect::<Vec<_>>().into_iter().rev().collect();
        let ending = ending.find('.').map_or("", |dot| &ending[dot..]).to_owned();
        let mut cut = LONGEST_NAME / 2;
        while !name.is_char_boundary(cut) {
            cut -= 1;
        }
        name = format!("{}~{}{ending}", &name[..cut], &digest[..16]);
    }
    PathBuf::from(name)
}

/// The longest file name, in bytes, with room for what a temporary name adds.
const LONGEST_NAME: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_has_a_file_name_of_its_own() {
        let name = |object: &str| file_name(object).to_string_lossy().into_owned();
        assert_eq!(name("exports/2025/a b.csv"), "exports%2F2025%2Fa b.csv");
        assert_eq!(name("../../etc/passwd"), "%2E./../etc/passwd".replace('/', "%2F"));
        assert_eq!(name(".hidden"), "%2Ehidden");
        assert_eq!(name("a%2Fb"), "a%252Fb");
        let (long, other) = ("x".repeat(300) + ".csv.gz", "x".repeat(301) + ".csv.gz");
        assert!(name(&long).len() < 255 && name(&long).ends_with(".csv.gz"));
        assert_ne!(name(&long), name(&other));
        assert_ne!(name("a/b"), name("a%2Fb"));
    }
}
