//! `ingestion sources`: what each source has, what the next run would read, and when its data are due; one
//! of its objects, read on trial. Nothing is changed and nothing is recorded.
//!
//! Not for fetching in earnest: see `land`.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use chrono::SecondsFormat;
use serde::Serialize;

use crate::config::Source;
use crate::config::sources::Mode;
use crate::csv::fits;
use crate::csv::formats::{self, Opened};
use crate::csv::outcome::FileOutcome;
use crate::dataset::builder::Ingest;
use crate::dataset::counts::{FileCounts, own_fault};
use crate::dataset::discover::{self, SourceFile, Stamp};
use crate::dataset::resources::Resources;
use crate::ids::FindingKind;
use crate::ledger::Ledger;
use crate::platform::files;
use crate::run::attention::Finding;
use crate::run::context::{Context, Report};
use crate::source::{Around, Fetched, Object, Seen};
use crate::stage::due::DueState;
use crate::stage::{land, overdue};
use crate::{Error, Result, text};

/// What the sources have.
#[derive(Debug, Serialize)]
pub struct Sources {
    /// One entry for each, in the order of the configuration; the input folders first.
    pub sources: Vec<Listed>,
}

/// What a source has.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Where it is, without secrets.
    pub place: String,
    /// Why it cannot be reached; `None` if it can.
    pub error: Option<String>,
    /// The number of objects that are taken by their names.
    pub objects: u64,
    /// The time of the newest change among them, if it is known.
    pub newest: Option<String>,
    /// What to look at if there are none.
    pub nothing: Option<String>,
    /// The number of objects that the next run would read.
    pub wanted: u64,
    /// The names of the first of them.
    pub to_read: Vec<String>,
    /// What is wrong with the columns of its newest file here: of a place that was never fetched from, none
    /// is.
    pub columns: Option<String>,
    /// When its data are due, if anything is expected of it.
    pub due: Option<DueState>,
}

impl Listed {
    /// Notes that the next run would read `name`.
    fn wants(&mut self, name: impl FnOnce() -> String) {
        self.wanted += 1;
        if self.to_read.len() < text::MOST_NAMES {
            self.to_read.push(name());
        }
    }
}

impl Report for Sources {
    fn changed(&self) -> bool {
        false
    }

    fn findings(&self) -> Vec<Finding> {
        let said = |one: &Listed, why: &String| format!("source \"{}\": {why}", one.name);
        let findings = self.sources.iter().flat_map(|one| {
            let failed = one.error.iter().map(|why| {
                Finding::failed(FindingKind::SourceFailed, said(one, why)).about([&one.name])
            });
            let looks = one.nothing.iter().chain(&one.columns);
            let looks = looks
                .map(|why| Finding::warning(FindingKind::Data, said(one, why)).about([&one.name]));
            failed.chain(looks).collect::<Vec<_>>()
        });
        findings.collect()
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = ["source", "place", "reachable", "objects", "newest", "to read", "due"];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        for one in &self.sources {
            let there = one.error.is_none();
            let number = |n| if there { text::count(n) } else { "–".to_owned() };
            rows.push(vec![
                one.name.clone(),
                text::one_line(&one.place),
                if there { "yes" } else { "no" }.to_owned(),
                number(one.objects),
                one.newest.clone().unwrap_or_else(|| "–".to_owned()),
                number(one.wanted),
                one.due.as_ref().map_or_else(|| "–".to_owned(), DueState::in_brief),
            ]);
        }
        f.write_str(&text::table(&rows))?;
        for one in self.sources.iter().filter(|one| one.wanted > 0) {
            let more = one.wanted - one.to_read.len() as u64;
            writeln!(f, "{}: would read {}", one.name, text::names_of_more(&one.to_read, more))?;
        }
        for one in &self.sources {
            if let Some(due) = &one.due {
                write!(f, "{}: {due}", one.name)?;
            }
        }
        Ok(())
    }
}

/// Asks every source what it has.
pub fn list(context: &Context) -> Result<Sources> {
    let ledger = ledger(context)?;
    let config = &context.config;
    let mut folders = vec![("input", config.input())];
    if config.source_folder != config.input_folder {
        folders.push(("source", config.source()));
    }
    let mut sources = Vec::new();
    for (name, folder) in folders {
        let mut one = unasked(name, folder.path.display().to_string());
        match discover::input(config, folder) {
            Ok(listing) => {
                count(context, &ledger, &listing.candidates, &mut one)?;
                one.columns = columns(context, newest(&listing.candidates).map(|file| &*file.path));
            }
            Err(error) => one.error = Some(own_fault(&error)),
        }
        sources.push(one);
    }
    for source in &config.sources {
        sources.push(asked(context, &ledger, source)?);
    }
    let now = context.clock.now();
    let standings = overdue::standings(context, &ledger)?;
    for ((name, expectation), standing) in config.expectations().zip(&standings) {
        if let Some(one) = sources.iter_mut().find(|one| one.name == name) {
            one.due = Some(DueState::of(standing, expectation, now));
        }
    }
    Ok(Sources { sources })
}

fn ledger(context: &Context) -> Result<Ledger> {
    Ledger::open_to_read(&context.config.ledger_path())?.map_or_else(Ledger::in_memory, Ok)
}

fn unasked(name: &str, place: String) -> Listed {
    Listed {
        name: name.to_owned(),
        place,
        error: None,
        objects: 0,
        nothing: None,
        newest: None,
        wanted: 0,
        to_read: Vec::new(),
        columns: None,
        due: None,
    }
}

fn asked(context: &Context, ledger: &Ledger, source: &Source) -> Result<Listed> {
    let mut one = unasked(&source.name, source.place.to_string());
    if !source.is_fetched() {
        match discover::matching(&context.config, source) {
            Ok(listing) => {
                count(context, ledger, &listing.candidates, &mut one)?;
                one.nothing = land::nothing_matches(source, &listing);
                one.columns = columns(context, newest(&listing.candidates).map(|file| &*file.path));
            }
            Err(error) => one.error = Some(own_fault(&error)),
        }
        return Ok(one);
    }
    let (objects, all) = match objects(context, ledger, source) {
        Ok(objects) => objects,
        Err(error) => {
            one.error = Some(own_fault(&error));
            return Ok(one);
        }
    };
    if objects.is_empty() {
        one.nothing = land::nothing_taken(source, all);
    }
    let known = ledger.landed(&source.name)?;
    let copies = known.iter().rev().map(|one| one.location.path(&context.config.base));
    let copy = copies.into_iter().find(|path| path.is_file());
    one.columns = columns(context, copy.as_deref());
    let known: HashMap<_, _> = known.iter().map(|one| (one.object.as_str(), one)).collect();
    for object in &objects {
        one.objects += 1;
        let here = known.get(object.name.as_str()).copied();
        if !land::is_here(&context.config.base, here, object) {
            one.wants(|| format!("{}/{}", source.name, object.name));
        }
    }
    let newest = objects.iter().filter_map(|object| object.modified).max();
    one.newest = newest.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
    Ok(one)
}

/// What is wrong with the columns of the file at `path`, as the next run would find too.
fn columns(context: &Context, path: Option<&Path>) -> Option<String> {
    let (config, path) = (&context.config, path?);
    let fault =
        fits::fault(path, config.reading_at(path), &config.schema, config.contract_at(path));
    let why = fault.unwrap_or_else(|error| Some(own_fault(&error)))?;
    Some(format!("{}: {why}", text::printed(path)))
}

/// The file that was changed last.
fn newest(files: &[SourceFile]) -> Option<&SourceFile> {
    let age = |file: &&SourceFile| {
        std::fs::metadata(&file.path).ok().map(|found| Stamp::of(&found).modified_ns)
    };
    files.iter().max_by_key(age)
}

/// The objects that are taken by their names, and how many there are.
fn objects(context: &Context, ledger: &Ledger, source: &Source) -> Result<(Vec<Object>, usize)> {
    let seen = match &source.mode {
        Mode::Cursor(_) => ledger.seen(&source.name)?,
        Mode::Files | Mode::Snapshot => Seen::default(),
    };
    let around = Around { base: &context.config.base, clock: &context.clock };
    let mut objects = context.places.open(source, &around)?.list(&seen)?;
    let all = objects.len();
    objects.retain(|object| land::takes(source, &object.name, &mut Vec::new()));
    Ok((objects, all))
}

/// Counts files of a folder; those are read whose record is not that of the present file.
fn count(context: &Context, ledger: &Ledger, found: &[SourceFile], one: &mut Listed) -> Result<()> {
    let locations: Vec<_> = found.iter().map(|file| context.location(&file.path)).collect();
    let records = ledger.files_at(&locations)?;
    let mut newest = None;
    for (file, record) in found.iter().zip(records) {
        let stamp = std::fs::metadata(&file.path).ok().map(|found| Stamp::of(&found));
        one.objects += 1;
        if record.is_none_or(|record| Some(record.stamp) != stamp) {
            one.wants(|| file.name.clone());
        }
        newest = newest.max(stamp.map(|stamp| stamp.modified()));
    }
    one.newest = newest.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
    Ok(())
}

/// What an object of a source has, as ingestion reads it.
#[derive(Debug, Serialize)]
pub struct Tried {
    /// The object's name, after that of the source.
    pub object: String,
    /// Its bytes.
    pub bytes: u64,
    /// What kind of file it is.
    pub format: &'static str,
    /// The counts of its rows.
    pub counts: FileCounts,
    /// Why it would be refused as a whole.
    pub refused: Option<String>,
}

impl Report for Tried {
    fn changed(&self) -> bool {
        false
    }

    fn findings(&self) -> Vec<Finding> {
        let refused = self.refused.iter();
        refused
            .map(|why| {
                let words = format!("{} would be refused: {why}", self.object);
                Finding::failed(FindingKind::RefusedFile, words).about([&self.object])
            })
            .collect()
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        let mut rows = vec![
            vec!["object".to_owned(), text::one_line(&self.object)],
            vec!["bytes".to_owned(), text::count(self.bytes)],
            vec!["format".to_owned(), self.format.to_owned()],
            vec!["rows".to_owned(), text::count(counts.rows_read)],
            vec!["to keep".to_owned(), text::count(counts.rows_kept)],
            vec!["duplicates".to_owned(), text::count(counts.duplicates())],
            vec!["quarantined".to_owned(), text::count(counts.quarantined)],
        ];
        if !counts.extra_columns.is_empty() {
            rows.push(vec!["not in the schema".to_owned(), text::names(&counts.extra_columns)]);
        }
        f.write_str(&text::list(&rows))
    }
}

/// Reads the newest object of the source called `name`, in temporary folders.
pub fn test(context: &Context, name: &str) -> Result<Tried> {
    let wanted = |source: &&Source| source.name == name;
    let Some(source) = context.config.sources.iter().find(wanted) else {
        let names: Vec<&str> = context.config.sources.iter().map(|s| s.name.as_str()).collect();
        return Err(unknown(name, &names));
    };
    let elsewhere = std::env::temp_dir();
    context.disk.remove_temporaries(&elsewhere)?;
    let folder = context.disk.temporary_folder(&elsewhere)?;
    let mut scratch = context.clone();
    scratch.config.output_folder = folder.path().join("data");
    let file = if source.is_fetched() {
        fetched(&scratch, &ledger(context)?, source)?
    } else {
        let listing = discover::matching(&context.config, source)?;
        newest(&listing.candidates).cloned()
    };
    let Some(file) = file else {
        return Err(Error::missing(format!("the source \"{name}\" has nothing to read")));
    };
    let config = &scratch.config;
    let (opened, metadata) = formats::open(&file.path, config.reading_at(&file.path), &[], 1)?;
    let format = match opened {
        Opened::File(_) => "comma-separated UTF-8",
        Opened::Text(_) => "text that is unpacked or translated",
        Opened::Rows(_) => "rows of another kind than text",
    };
    let (data, quarantine) =
        (config.output_folder.join("data.csv"), config.output_folder.join("quarantine.csv"));
    let resources = Resources {
        threads: config.limits.threads,
        memory: config.limits.memory,
        ..Resources::default()
    };
    let mut ingest = Ingest::start(
        &config.schema,
        &config.ingestion,
        &context.disk,
        &data,
        &quarantine,
        resources,
    )?;
    ingest.of_sources(config, context.clock.now());
    let read = ingest.look(&file, &mut ())?;
    let refused = match read.outcome {
        FileOutcome::Failed(why) | FileOutcome::Contradicts(why) => Some(why),
        FileOutcome::Empty => Some("it is empty".to_owned()),
        _ => None,
    };
    Ok(Tried { object: file.name, bytes: metadata.len(), format, counts: read.counts, refused })
}

/// An error about a source that is not among those called `names`, with the nearest of them.
pub fn unknown(name: &str, names: &[&str]) -> Error {
    let distance = |known: &&str| strsim::damerau_levenshtein(name, known);
    let nearest = names.iter().min_by_key(|known| distance(known));
    let near = nearest.filter(|known| distance(known) <= known.len().max(name.len()) / 2);
    let name = text::name(name);
    Error::data(match near {
        Some(near) => format!("there is no source \"{name}\"; did you mean \"{near}\"?"),
        None if names.is_empty() => {
            format!("there is no source \"{name}\": \"sources\" is empty")
        }
        None => format!("there is no source \"{name}\": there are {}", text::names(names)),
    })
}

/// The newest object, fetched into the scratch workspace.
fn fetched(scratch: &Context, ledger: &Ledger, source: &Source) -> Result<Option<SourceFile>> {
    let (objects, _) = objects(scratch, ledger, source)?;
    let Some(object) = objects.into_iter().max_by_key(|object| object.modified) else {
        return Ok(None);
    };
    let around = Around { base: &scratch.config.base, clock: &scratch.clock };
    let place = scratch.places.open(source, &around)?;
    // A cursor's place is told by its list where to begin: at the start.
    let object = place
        .list(&Seen::default())?
        .into_iter()
        .find(|one| one.name == object.name)
        .unwrap_or(object);
    let folder = scratch.config.folder_of(source);
    scratch.disk.create_folder(&folder)?;
    let path = folder.join(land::file_name(&object.name));
    let fetched = land::fetch_to(scratch, &path, &object, &*place, source)?;
    match fetched {
        Fetched::Changed => Err(Error::remote("the object changed while it was read: try again")),
        Fetched::Empty => Ok(None),
        Fetched::Whole { .. } => {
            files::open(&path).map_err(|e| Error::io("read", &path, e))?;
            Ok(Some(SourceFile::at(&scratch.config, path)))
        }
    }
}
