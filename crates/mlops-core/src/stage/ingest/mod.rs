//! `ingestion`: new files of the input folder become the next version of the data set.
//!
//! Order of writes: data set under a temporary name, intent in the ledger, final names, commit,
//! text files. Not for reading a file: see [`crate::dataset::builder`].

mod anew;
mod batches;
pub(crate) mod columnar;
mod earlier_changes;
pub mod identity;
pub(crate) mod latest;
mod loss;
pub(crate) mod part;
pub(crate) mod publish;
mod record_changes;
pub(super) mod repeats;
pub mod replay;
pub mod report;
mod there;
pub(crate) mod waiting;

use crate::csv::formats;
use crate::run::attention::Remark;
use crate::stage::ingest::identity::{
    MEANING_KEY, NEGATIVE_KEY, SCHEMA_KEY, SETTINGS_KEY, schema, settings,
};
use crate::stage::ingest::waiting::{
    Waiting, copy_record, named, now_ns, record, refused_with, still_failing,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::sources::Role;
use crate::config::{Config, InputFolder, OnChange};
use crate::dataset::builder::{Earlier, Ingest};
use crate::dataset::discover::{self, SourceFile, Stamp};
use crate::dataset::resources::Resources;
use crate::ids::{DatasetVersion, FindingKind};
use crate::ledger::{DatasetRecord, FileRecord, FileStatus, Segment};
use crate::platform::digest::Digest;
use crate::platform::files;
use crate::platform::location::Location;
use crate::run::context::{Context, Workspace};
use crate::table::schema::Schema;
use crate::{Error, Result, text};

use anew::{Anew, Changes, gone, say_what_stays};
use part::Part;
pub(super) use publish::{New, publish, publish_built};
pub use report::Ingested;

/// Files whose records are looked up together.
const TOGETHER: usize = 1024;

/// The user's options.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Read files again that failed before.
    pub retry: bool,
    /// Make a new version from all source files that still exist, under the present schema.
    pub rebuild: bool,
    /// Rebuild even if that loses files of the data set.
    pub partial: bool,
    /// Leave files that changed more recently than this to the next run.
    pub settle: Duration,
}

/// Ingests what is new in `folder`.
pub fn run(
    context: &Context,
    workspace: &mut Workspace,
    folder: InputFolder<'_>,
    options: Options,
) -> Result<Ingested> {
    let mut report = ingest(context, workspace, folder, options)?;
    report.has_delivered(super::deliver::run(context, workspace)?);
    report.bound();
    Ok(report)
}

fn ingest(
    context: &Context,
    workspace: &mut Workspace,
    folder: InputFolder<'_>,
    options: Options,
) -> Result<Ingested> {
    let config = &context.config;
    super::elsewhere::refuse_alone(context, "ingestion")?;
    let mut listing = discover::input(config, folder)?;
    let last = workspace.ledger.latest_dataset()?;
    if last.is_none() {
        super::adopt::refuse_silent_takeover(context)?;
    }
    check_schema(context, workspace, last.is_some(), options)?;
    let settings = settings(context);
    // A file may have been refused because of the configuration: if that changed, read it again.
    let before = workspace.ledger.meta(SETTINGS_KEY)?;
    let retry = options.retry || before.is_some_and(|before| before != settings);
    let options = Options { retry, ..options };

    let sources: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    let mut report = Ingested::of(folder.path, &sources, last.as_ref());
    if let Some(last) = last.as_ref().filter(|_| !options.rebuild) {
        let again = super::restore_dataset::run(context, workspace, last)?;
        report.warnings.extend(again.map(|note| Remark::new(FindingKind::Data, note)));
    }
    let mut landed = super::land::run(context, workspace, Role::Train)?;
    listing.candidates.append(&mut landed.files);
    // Scoring and training find these where they were put.
    let mut tests = super::land::run(context, workspace, Role::Test)?;
    for of in [&mut landed, &mut tests] {
        listing.ignored.append(&mut of.ignored);
        report.warnings.append(&mut of.warnings);
        report.failures.append(&mut of.failures);
    }
    report.ignored = listing.ignored;
    let candidates = if options.rebuild {
        known_sources(context, workspace, listing.candidates)?
    } else {
        listing.candidates
    };
    let there: HashSet<PathBuf> = candidates.iter().map(|c| c.path.clone()).collect();
    let candidates = settled(context, candidates, options.settle, &mut report);
    let held = match &last {
        Some(last) => workspace.ledger.segments(last.version)?,
        None => Vec::new(),
    };
    let mut meta = vec![(SETTINGS_KEY, settings)];
    let contents: BTreeSet<Digest> = held.iter().map(|s| s.sha256).collect();
    let mut waiting = sift(context, workspace, candidates, &contents, options, &mut report)?;
    batches::hold_back(config, &mut waiting, &mut report);
    let gone = gone(context, workspace, folder.path, (&held, &there), &landed, &mut report)?;
    let news = gone.is_some();
    meta.extend(gone);
    let found = Found { last, held, contents, options, news, meta };
    loop {
        // A batch that breaks its contract is left out, and the others are read again.
        let mut attempt = report.clone();
        let broken = take(context, workspace, &found, &waiting, &mut attempt)?;
        if broken.is_empty() {
            return Ok(attempt);
        }
        for batch in broken {
            batch.refuse(attempt.files.as_slice(), &mut waiting, &mut report);
        }
    }
}

/// What an ingestion found before it reads any file.
struct Found {
    last: Option<DatasetRecord>,
    held: Vec<Segment>,
    /// The contents of `held`.
    contents: BTreeSet<Digest>,
    options: Options,
    /// There is something to record even if no file is read.
    news: bool,
    meta: Vec<(&'static str, String)>,
}

/// Makes a new version with the files that are `waiting`, unless some of them break the contract of their
/// source together: then these batches are returned, and nothing was written.
fn take(
    context: &Context,
    workspace: &mut Workspace,
    found: &Found,
    waiting: &[Waiting],
    report: &mut Ingested,
) -> Result<Vec<batches::Broken>> {
    let Found { last, held, contents, options, news, meta } = found;
    let config = &context.config;
    let mut changes = Changes::none();
    let readings = config.sources.iter().map(|source| &source.reading);
    let mut readings = readings.chain([&config.ingestion]);
    if readings.any(|reading| reading.on_change == OnChange::Supersede) && !options.rebuild {
        say_what_stays(workspace, held, report)?;
        changes = Changes::of(context, workspace, held, waiting, &report.files)?;
    }
    if waiting.is_empty() && changes.is_empty() && !options.rebuild {
        if *news || !report.files.is_empty() {
            record_files(context, workspace, report, meta)?;
        }
        return Ok(Vec::new());
    }

    let anew = options.rebuild || !changes.is_empty();
    let schema = if anew { config.schema.clone() } else { schema(context, workspace)? };
    let previous = last.as_ref().filter(|_| !anew);
    let total: u64 = waiting.iter().filter(|w| w.twin.is_none()).map(|w| w.size).sum();
    let expected = last.as_ref().map_or(0, |d| d.rows)
        + total / average_row_bytes(waiting.first().map(|w| w.candidate.path.as_path()));
    let mut ingest = start(context, &schema, expected, last.is_none())?;
    ingest.forget(workspace.ledger.forgotten(&schema)?);
    ingest.compare_rows(typical_rows(context, workspace)?);
    let mut parts = Vec::new();
    let mut superseded = Vec::new();
    if let Some(engine) = &context.engine {
        there::begin(context, engine, &mut ingest, (&schema, previous), (waiting, &changes))?;
    }
    if let Some(previous) = previous {
        let earlier = Earlier {
            path: &previous.location,
            sha256: previous.sha256,
            content: previous.content,
            stamp: previous.stamp,
        };
        match context.engine {
            Some(_) => ingest.carry_over_unread(earlier, previous.rows)?,
            None => ingest.carry_over(earlier)?,
        }
        for digest in contents {
            ingest.know(*digest);
        }
    } else if let (Some(last), false) = (last, options.rebuild) {
        let mut anew = Anew { context, workspace, last, total, waiting };
        superseded = anew.build(&mut ingest, held, &changes, &mut parts, report)?;
    }
    for (at, waiting) in waiting.iter().enumerate() {
        if changes.read_in_place(at) {
            continue;
        }
        if let Some(copy) = twin_record(context, waiting, &report.files) {
            report.files.push(copy);
            continue;
        }
        let progress = &mut |bytes, rows| (context.progress)(bytes, total, rows);
        let read = ingest.file(&waiting.candidate, &mut (), progress)?;
        let record = record(context, workspace, waiting, read, report)?;
        report.files.push(record);
        parts.extend(Part::of_last(config, &report.files));
        if let Some(digest) = parts.last().map(|part| part.sha256) {
            ingest.know(digest);
        }
    }
    if options.rebuild && !options.partial {
        loss::refuse(context, workspace, held, report)?;
    }
    if !options.rebuild {
        let broken = batches::judge(config, workspace, waiting, &mut parts, report)?;
        if !broken.is_empty() {
            return Ok(broken);
        }
    }
    let taken = report.files.iter().filter(|f| f.status == FileStatus::Ingested).count();
    let emptied = options.rebuild && loss::says_there_are_none(context, workspace, held, report)?;
    if taken == 0 && superseded.is_empty() && !emptied {
        record_files(context, workspace, report, meta)?;
        return Ok(Vec::new());
    }
    let left = held.iter().filter(|segment| superseded.contains(&segment.sha256));
    report.superseded = left.map(|segment| segment.rows).sum();
    let version = DatasetVersion::after(last.as_ref().map(|last| last.version), taken);
    let new = New { version, base: previous, parts, superseded, erasure: None };
    publish(context, workspace, ingest, new, meta.clone(), report)?;
    repeats::warn(context, workspace, report)?;
    let old = super::retain::datasets(context, workspace);
    report.removed = old.datasets;
    report.warnings.extend(old.warnings);
    Ok(Vec::new())
}

/// Records the outcomes of files that lead to no new version.
fn record_files(
    context: &Context,
    workspace: &mut Workspace,
    report: &Ingested,
    meta: &[(&str, String)],
) -> Result<()> {
    let run = &context.run;
    workspace.ledger.commit_ingestion(run, &report.files, None, &[], &[], meta, None, None)
}

/// Starts a data set of about `rows` rows; the `first` one teaches the negative label.
pub(in crate::stage) fn start<'a>(
    context: &'a Context,
    schema: &'a Schema,
    rows: u64,
    first: bool,
) -> Result<Ingest<'a>> {
    let config = &context.config;
    let data = config.output_folder.join("finaldata.csv");
    let quarantine = config.output_folder.join("quarantine.csv");
    let means = Resources {
        threads: config.limits.threads,
        memory: config.limits.memory,
        expected_rows: usize::try_from(rows).unwrap_or(usize::MAX),
        ..Resources::default()
    };
    let mut ingest =
        Ingest::start(schema, &config.ingestion, &context.disk, &data, &quarantine, means)?;
    ingest.of_sources(config, context.clock.now());
    if first {
        ingest.is_first();
    }
    Ok(ingest)
}

/// The median number of rows of the files of each source whose contract compares with it.
fn typical_rows(context: &Context, workspace: &Workspace) -> Result<BTreeMap<String, u64>> {
    let mut typical = BTreeMap::new();
    for (source, contract) in context.config.contracts() {
        if contract.rows.as_ref().is_some_and(|rows| rows.versus_median.is_some()) {
            let mut rows = workspace.ledger.rows_of_files(source)?;
            rows.sort_unstable();
            // Of fewer files nothing is typical.
            if rows.len() >= 3 {
                typical.insert(source.to_owned(), rows[rows.len() / 2]);
            }
        }
    }
    Ok(typical)
}

/// Refuses to read the data set with another meaning than it was ingested with.
pub(super) fn check_meaning(context: &Context, workspace: &Workspace) -> Result<()> {
    let has_data = workspace.ledger.latest_dataset()?.is_some();
    check_schema(context, workspace, has_data, Options::default())
}

/// Refuses to mix rows of two schemas.
fn check_schema(
    context: &Context,
    workspace: &Workspace,
    has_data: bool,
    options: Options,
) -> Result<()> {
    let digest = context.config.schema.digest().to_string();
    let negative = context.config.schema.negative_label();
    let recorded = workspace.ledger.meta(SCHEMA_KEY)?;
    let learned = workspace.ledger.meta(NEGATIVE_KEY)?;
    let same = recorded.is_none_or(|d| d == digest)
        && (negative.is_none() || learned.as_deref().is_none_or(|l| Some(l) == negative));
    if !has_data || options.rebuild {
        return Ok(());
    }
    let Config { ingestion, schema, .. } = &context.config;
    let meant = workspace.ledger.meta(MEANING_KEY)?;
    let changes = meant.map(|meant| ingestion.changes(schema, &meant)).transpose()?;
    let changes = changes.unwrap_or_default();
    if same && !changes.is_empty() {
        return Err(Error::config(
            context.config.file.display().to_string(),
            vec![format!(
                "settings that define cells or equal rows have changed since the data were \
                 ingested: {}. Change them back, or run `ingestion --rebuild` to read all source \
                 files again",
                changes.join("; ")
            )],
        ));
    }
    if same {
        return Ok(());
    }
    Err(Error::config(
        context.config.file.display().to_string(),
        vec![
            "\"schema\" differs from the one that the data were ingested with: change it back, or \
             run `ingestion --rebuild` to make a new version of the data set from the source files \
             that still exist"
                .to_owned(),
        ],
    ))
}

/// All source files that were ever taken and still exist, then those of the folder.
fn known_sources(
    context: &Context,
    workspace: &Workspace,
    found: Vec<SourceFile>,
) -> Result<Vec<SourceFile>> {
    let mut sources = Vec::new();
    let mut files = workspace.ledger.files()?;
    if context.config.latest().is_some() {
        // The newest rows stay: a file stands where a content of it was taken last.
        let taken = files.iter().enumerate().filter(|(_, file)| file.status.is_in());
        let last: HashMap<Location, usize> =
            taken.map(|(at, file)| (file.location.clone(), at)).collect();
        let end = files.len();
        files.sort_by_key(|file| last.get(&file.location).copied().unwrap_or(end));
    }
    for file in files {
        let path = file.location.path(&context.config.base);
        if path.is_file() {
            sources.push(SourceFile::at(&context.config, path));
        }
    }
    sources.extend(found);
    let mut seen = BTreeSet::new();
    sources.retain(|c| seen.insert(context.location(&c.path)));
    Ok(sources)
}

/// Those files that have not just changed, with their stamps; others may still be being written, but
/// for those that were fetched whole.
fn settled(
    context: &Context,
    candidates: Vec<SourceFile>,
    settle: Duration,
    report: &mut Ingested,
) -> Vec<(SourceFile, Option<Stamp>)> {
    let mut settled = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        // What was fetched is whole.
        let source = context.config.source_at(&candidate.path);
        let settle = match source {
            Some((source, _)) if source.is_fetched() => Duration::ZERO,
            _ => settle,
        };
        // A file that is gone or unreadable is read anyway, so that it is recorded as failed.
        let stamp = fs::metadata(&candidate.path).ok().map(|m| Stamp::of(&m));
        let fetched =
            context.config.source_at(&candidate.path).is_some_and(|(s, _)| s.is_fetched());
        if !fetched && stamp.is_some_and(|stamp| is_younger(context, stamp, settle)) {
            let name = text::name(&candidate.name);
            let words = format!("{name} changed less than {settle:?} ago: the next run takes it");
            let kind = FindingKind::UnfinishedFile;
            report.warnings.push(Remark::on(kind, &candidate.name, words));
        } else {
            settled.push((candidate, stamp));
        }
    }
    settled
}

/// Whether the file changed less than `settle` ago. A time in the future does not count: a clock
/// was set back, and waiting for it could take for ever.
pub fn changed_within(context: &Context, path: &Path, settle: Duration) -> bool {
    fs::metadata(path).is_ok_and(|found| is_younger(context, Stamp::of(&found), settle))
}

fn is_younger(context: &Context, stamp: Stamp, settle: Duration) -> bool {
    let age = now_ns(context).saturating_sub(stamp.modified_ns).unsigned_abs();
    !settle.is_zero() && u128::from(age) < settle.as_nanos()
}

/// Separates files that must be read from those whose content is known.
fn sift(
    context: &Context,
    workspace: &mut Workspace,
    candidates: Vec<(SourceFile, Option<Stamp>)>,
    held: &BTreeSet<Digest>,
    options: Options,
    report: &mut Ingested,
) -> Result<Vec<Waiting>> {
    let mut sizes: HashMap<u64, u32> = HashMap::new();
    for (_, stamp) in &candidates {
        *sizes.entry(stamp.map_or(0, |s| s.size)).or_default() += 1;
    }
    let mut digests = BTreeSet::new();
    let mut waiting = Vec::new();
    let mut touched = Vec::new();
    let now = now_ns(context);
    let locations: Vec<Location> =
        candidates.iter().map(|(c, _)| context.location(&c.path)).collect();
    let mut known = Vec::new().into_iter();
    for (at, (candidate, stamp)) in candidates.into_iter().enumerate() {
        if at % TOGETHER == 0 {
            let next = &locations[at..locations.len().min(at + TOGETHER)];
            known = workspace.ledger.files_at(next)?.into_iter();
        }
        let before: Option<FileRecord> = known.next().flatten();
        if let Some(before) = &before
            && before.is_unreadable()
            && let Err(error) = files::open(&candidate.path)
        {
            // It is still unreadable, which is no reason to build a data set.
            report.unchanged += 1;
            report.refused.push(still_unreadable(&candidate.name, &error));
            continue;
        }
        let size = stamp.map_or(0, |s| s.size);
        let digest = || -> Result<Option<Digest>> {
            let may_be_copy =
                sizes[&size] > 1 || (!options.rebuild && workspace.ledger.size_is_known(size)?);
            Ok(may_be_copy.then(|| Digest::of_file(&candidate.path).ok()).flatten())
        };
        let mut looked_up = None;
        if let (Some(before), Some(stamp), false) = (&before, stamp, options.rebuild)
            && before.stamp == stamp
            && !must_look_again(before, options)
        {
            // Soon after a change, metadata prove nothing; the content does.
            let settled = stamp.is_settled(before.recorded_ns);
            let unchanged = settled || {
                looked_up = digest()?;
                looked_up.is_some() && looked_up == before.sha256
            };
            if let Some(batch) = refused_with(before).filter(|_| unchanged) {
                // Whether to read it again depends on the other files of its batch.
                waiting.push(Waiting::refused(candidate, before.clone(), batch, &mut digests));
                continue;
            }
            if unchanged {
                if !settled && stamp.is_settled(now) {
                    // From now on the stamp is proof enough.
                    touched.push(FileRecord { recorded_ns: now, ..before.clone() });
                }
                report.unchanged += 1;
                if before.status == FileStatus::Failed {
                    report.refused.push(still_failing(&context.config, before));
                }
                continue;
            }
        }
        let mut twin = None;
        let digest = if looked_up.is_some() { looked_up } else { digest()? };
        if let (Some(digest), Some(stamp)) = (digest, stamp) {
            let known = if options.rebuild { None } else { workspace.ledger.content(digest)? };
            // A replaced content is new again when it comes back.
            let known =
                known.filter(|k| k.status != FileStatus::Ingested || held.contains(&digest));
            let same = before.as_ref().filter(|b| b.sha256 == Some(digest));
            // A file that had rows and has none now must be read, however well it is known.
            let had_rows = || -> Result<bool> {
                let location = context.location(&candidate.path);
                Ok(workspace.ledger.counted_at(&location)?.is_some_and(|d| held.contains(&d)))
            };
            match known {
                Some(known) if known.status == FileStatus::NoRows && had_rows()? => {}
                Some(known) if refused_with(&known).is_some() => {}
                Some(known) if known.status == FileStatus::Failed && !options.retry => {
                    let record = copy_record(context, &candidate, stamp, digest, &known);
                    report.refused.push(still_failing(&context.config, &record));
                    match same.filter(|before| before.status == FileStatus::Failed) {
                        Some(_) => touched.push(record),
                        None => report.files.push(record),
                    }
                    continue;
                }
                // A new time alone does not cause another record.
                Some(known)
                    if same.is_some_and(|b| {
                        matches!(b.status, FileStatus::Copy | FileStatus::NoRows)
                    }) =>
                {
                    touched.push(copy_record(context, &candidate, stamp, digest, &known));
                    report.unchanged += 1;
                    continue;
                }
                Some(known) if known.status != FileStatus::Failed => {
                    report.files.push(copy_record(context, &candidate, stamp, digest, &known));
                    continue;
                }
                _ => {}
            }
            twin = Some((digest, stamp)).filter(|_| !digests.insert(digest));
        }
        waiting.push(Waiting { candidate, size, before, twin, refused_with: None });
    }
    workspace.ledger.restamp(&touched)?;
    Ok(waiting)
}

/// The record of a file with the same content as another in this run. If that one failed or changed
/// while being read, there is none: the file itself is read, so that no content is lost.
fn twin_record(context: &Context, waiting: &Waiting, read: &[FileRecord]) -> Option<FileRecord> {
    let (digest, stamp) = waiting.twin?;
    let taken = |f: &&FileRecord| f.status.is_in() || f.status == FileStatus::NoRows;
    let twin = read.iter().filter(taken).find(|f| f.sha256 == Some(digest))?;
    Some(copy_record(context, &waiting.candidate, stamp, digest, twin))
}

/// Whether to read an unchanged file again because its failure may have had external causes.
fn must_look_again(before: &FileRecord, options: Options) -> bool {
    match before.status {
        FileStatus::Changing => true,
        FileStatus::Failed => options.retry || before.is_unreadable(),
        _ => false,
    }
}

fn still_unreadable(name: &str, error: &std::io::Error) -> Remark {
    let reason = crate::dataset::counts::unreadable(error);
    let words = named(name, &format!("failed before and still does: {reason}"));
    Remark::on(FindingKind::RefusedFile, name, words)
}

/// Estimates the row size from the start of the first file, to size the set of seen rows.
fn average_row_bytes(path: Option<&Path>) -> u64 {
    use std::io::Read;
    if let Some(bytes) = path.and_then(formats::row_bytes) {
        return bytes.max(1);
    }
    let mut start = Vec::new();
    if let Some((file, _)) = path.and_then(|p| files::open(p).ok()) {
        // If the estimate fails, the set grows as needed.
        let _ = file.take(1 << 16).read_to_end(&mut start);
    }
    let lines = memchr::memchr_iter(b'\n', &start).count();
    (start.len() / lines.max(1)).max(8) as u64
}
