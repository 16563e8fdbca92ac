//! Joins labels that arrived later to logged predictions, and scores the predictions.
//!
//! Each run reads the new lines of the log and the new rows of the files of labels. Order of writes:
//! pieces of both into the store, each with the position up to which it was read; the scores of windows
//! that changed; a summary in the ledger, from which everything else reads them. After a kill between two
//! of these, the next run continues. The rule of the join and the scores are in [`crate::outcomes`].

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;

use super::ingest::identity;
use super::labelled;
use crate::config::sources::{RECEIVED, Role};
use crate::config::{InputFolder, JoinBy};
use crate::csv::forgotten::Forgotten;
use crate::dataset::counts::own_fault;
use crate::dataset::discover::{self, SourceFile, Stamp};
use crate::ids::FindingKind;
use crate::ledger::Ledger;
use crate::outcomes::keys::Keys;
use crate::outcomes::received::Received;
use crate::outcomes::{LabelFile, LogPlace, NewLabel, NewPrediction, Outcomes, Store, erase};
use crate::platform::digest::{Digest, Hasher};
use crate::platform::files;
use crate::prediction_log::reader::{read, tail};
use crate::prediction_log::{LogFile, Want, files::list};
use crate::run::attention::{Fact, Finding};
use crate::run::context::{Context, Report, Workspace};
use crate::table::Table;
use crate::table::schema::Schema;
use crate::{Error, ErrorKind, Result, text};

/// Where the ledger has the view of the last join.
const KEPT: &str = "outcomes";
/// Bytes of a batch that are read at a time.
const CHUNK: usize = 64 << 10;
/// Rows of a commit.
const PIECE: u64 = 50_000;

/// Which sources of labels are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All: what is new there is fetched first.
    Fetch,
    /// Files of this machine, and what was fetched before.
    Here,
}

/// The report of a join.
#[derive(Debug, Clone, Serialize)]
pub struct Joined {
    /// The scores of all releases, and counts.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// Predictions that were new in the log.
    pub new_predictions: u64,
    /// Rows that were new in files of labels.
    pub new_labels: u64,
    /// Predictions and labels of erased people that were removed.
    pub erased: u64,
    /// Rows that were passed on to be trained on, or whose label was corrected there.
    pub training_rows: u64,
    /// What went wrong, by source or file.
    pub failures: Vec<String>,
    /// Rows of labels that could not be read, by file that was read now, each with an example.
    pub unreadable: Vec<String>,
}

impl Report for Joined {
    fn changed(&self) -> bool {
        self.new_predictions + self.new_labels + self.erased + self.training_rows > 0
    }

    fn findings(&self) -> Vec<Finding> {
        let failed =
            |text: &String| Finding::person(FindingKind::SourceFailed, format!("labels: {text}"));
        let remark = |text| Finding::warning(FindingKind::Data, text);
        let failures = self.failures.iter().map(failed);
        let remarks = self.unreadable.iter().cloned().chain(self.outcomes.remarks());
        failures.chain(remarks.map(remark)).collect()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![
            Fact::new("predictions", self.outcomes.log.predictions),
            Fact::new("labels", self.outcomes.labels.kept),
        ]
    }
}

/// The view of the last join; `None` if there was none, or if another version recorded it.
///
/// # Errors
/// If the ledger cannot be read.
pub fn newest(ledger: &Ledger) -> Result<Option<Outcomes>> {
    Ok(ledger.meta(KEPT)?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Reads what is new in the log and in files of labels, and records the scores.
///
/// # Errors
/// `Missing` if there is no log of predictions; those of the store and of the disk. A file of labels
/// that cannot be read is a failure in the report, and stops no other.
pub fn run(context: &Context, workspace: &mut Workspace, reach: Reach) -> Result<Joined> {
    let config = &context.config;
    let Some(log) = &config.service.prediction_log else {
        return Err(Error::missing(
            "predictions are not logged: set \"service.prediction_log_path\"; labels are joined to \
             what is logged there",
        ));
    };
    let keys = Keys::of(config);
    let erased = erase::erase(config, &context.disk, &workspace.ledger)?.total();
    let forgotten = workspace.ledger.forgotten(&config.schema)?;
    let mut store = Store::open(&config.outcomes_path(), &context.disk, &keys.settings(config))?;
    let mut new_predictions = 0;
    for file in list(&log.folder)? {
        new_predictions += read_log(&mut store, &file, &keys, forgotten.as_deref())?;
    }
    let schema = identity::schema(context, workspace)?;
    let of_labels = keys.schema(&schema);
    let (files, mut failures) = label_files(context, workspace, reach)?;
    let (mut new_labels, mut unreadable) = (0, Vec::new());
    for file in files {
        match read_labels(context, &mut store, &file, (&keys, &of_labels), forgotten.as_deref()) {
            Ok((rows, rejected)) => {
                new_labels += rows;
                unreadable.extend(rejected.map(|told| {
                    text::bounded(format!("labels: {}: {told}", text::name(&file.name)))
                }));
            }
            Err(error) => {
                store.rollback()?;
                // A fault of the file stops no other; one of the disk or the store stops the run.
                match error.kind() {
                    ErrorKind::Schema { .. } | ErrorKind::Data(_) => {}
                    ErrorKind::Io { path, .. } if *path == file.path => {}
                    _ => return Err(error),
                }
                let (name, why) = (text::name(&file.name), own_fault(&error));
                failures.push(text::bounded(format!("{name}: {why}")));
            }
        }
    }
    match read_received(context, &mut store, (&keys, &of_labels), forgotten.as_deref()) {
        Ok(rows) => new_labels += rows,
        Err(error) => {
            store.rollback()?;
            return Err(error);
        }
    }
    let mut training_rows = 0;
    if config.labels.train {
        let found = labelled::run(context, &schema, &mut store, &log.folder)?;
        training_rows = found.rows;
        failures.extend(found.trouble());
    }
    let outcomes = store.outcomes(config.labels.window, keys.by, &context.now())?;
    keep(&mut workspace.ledger, &outcomes)?;
    Ok(Joined {
        outcomes,
        new_predictions,
        new_labels,
        erased,
        training_rows,
        failures,
        unreadable,
    })
}

/// The store of predictions and labels.
pub(super) fn open(context: &Context) -> Result<Store> {
    let config = &context.config;
    Store::open(&config.outcomes_path(), &context.disk, &Keys::of(config).settings(config))
}

/// Records the view, unless it says nothing else than the last one.
fn keep(ledger: &mut Ledger, outcomes: &Outcomes) -> Result<()> {
    if let Some(before) = newest(ledger)?
        && (Outcomes { recorded: outcomes.recorded.clone(), ..before }) == *outcomes
    {
        return Ok(());
    }
    ledger.keep(KEPT, Some(outcomes))
}

/// Reads what is new in a file of the log; returns the number of predictions.
fn read_log(
    store: &mut Store,
    file: &LogFile,
    keys: &Keys,
    forgotten: Option<&Forgotten>,
) -> Result<u64> {
    let path = &file.path;
    let empty = |id| LogPlace { id, end: 0, tail: Digest::of(b""), strange: 0, without_key: 0 };
    store.begin()?;
    let mut fresh = true;
    let mut place = match store.log(&file.name)? {
        None => empty(store.new_log(&file.name)?),
        Some(place) => match tail(path, place.end)? {
            Some(tail) if tail == place.tail => {
                fresh = false;
                place
            }
            // What is gone stays in the store: rotation removes files.
            None if !path.is_file() => {
                store.rollback()?;
                return Ok(0);
            }
            // Lines were cut from it, or it is another file: all of it is read again.
            _ => {
                store.drop_log(place.id)?;
                empty(place.id)
            }
        },
    };
    let (before, from, mut pending, mut new) = (place, place.end, 0, 0);
    let reading = read(path, from, Want::Predictions, |so_far, line| {
        if pending == PIECE {
            let Some(tail) = tail(path, so_far.end)? else {
                return Err(Error::conflict(format!("{} became shorter", path.display())));
            };
            let strange = before.strange + so_far.strange;
            let now = LogPlace { end: so_far.end, tail, strange, ..place };
            store.set_log(&now)?;
            store.commit()?;
            store.begin()?;
            pending = 0;
        }
        let (key, ids) = keys.of_line(&line);
        let known = if keys.by == JoinBy::Ids { key.as_ref() } else { ids.as_ref() };
        if keys.has_forgotten(forgotten, known) {
            return Ok(());
        }
        place.without_key += u64::from(key.is_none());
        (pending, new) = (pending + 1, new + 1);
        store.predict(&NewPrediction {
            log: place.id,
            byte: so_far.end,
            at: line.recorded.timestamp_millis(),
            release: &line.release,
            probability: line.probability,
            positive: line.prediction == keys.positive,
            key,
            ids,
        })
    })?;
    let tail = match &reading {
        Some(reading) => tail(path, reading.end)?,
        None => None,
    };
    let (Some(reading), Some(tail)) = (reading, tail) else {
        // It was rotated away meanwhile.
        store.rollback()?;
        return Ok(0);
    };
    if reading.end == from && !fresh {
        store.rollback()?;
        return Ok(0);
    }
    let strange = before.strange + reading.strange;
    store.set_log(&LogPlace { end: reading.end, tail, strange, ..place })?;
    store.end_log(place.id)?;
    store.commit()?;
    Ok(new)
}

/// The files of labels, in the order in which they came.
fn label_files(
    context: &Context,
    workspace: &mut Workspace,
    reach: Reach,
) -> Result<(Vec<SourceFile>, Vec<String>)> {
    let config = &context.config;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    if reach == Reach::Fetch {
        let landing = super::land::run(context, workspace, Role::Labels)?;
        found.extend(landing.files);
        failures.extend(landing.failures.into_iter().map(|remark| remark.text));
    } else {
        for source in config.sources.iter().filter(|source| source.role == Role::Labels) {
            if source.is_fetched() {
                for landed in workspace.ledger.landed(&source.name)? {
                    found.push(SourceFile::at(config, landed.location.path(&config.base)));
                }
            } else if !config.is_ours(source) || config.folder_of(source).is_dir() {
                match discover::matching(config, source) {
                    Ok(listing) => found.extend(listing.candidates),
                    Err(error) => failures.push(format!("source \"{}\": {error}", source.name)),
                }
            }
        }
    }
    if let Some(path) = &config.labels.path {
        if path.is_dir() {
            found.extend(discover::list(InputFolder { path, key: "labels.path" })?.candidates);
        } else if path.is_file() {
            found.push(SourceFile::at(config, path.clone()));
        } else {
            failures.push(format!(
                "there is no {}: put a file of labels or a folder of them there, or change \
                 \"labels.path\"",
                path.display()
            ));
        }
    }
    found.sort_by_cached_key(|file| {
        let modified = fs::metadata(&file.path).map(|found| Stamp::of(&found).modified_ns);
        (modified.unwrap_or(i64::MAX), file.name.clone())
    });
    found.dedup_by(|one, other| one.path == other.path);
    Ok((found, failures))
}

/// Reads what is new in a file of labels; returns the number of rows, and what is to be said of rows that cannot be
/// read.
fn read_labels(
    context: &Context,
    store: &mut Store,
    file: &SourceFile,
    (keys, schema): (&Keys, &Schema),
    forgotten: Option<&Forgotten>,
) -> Result<(u64, Option<String>)> {
    let (config, path) = (&context.config, &file.path);
    let failed = |e| Error::io("read", path, e);
    let stamp = Stamp::of(&fs::metadata(path).map_err(failed)?);
    let location = context.location(path).as_str().to_owned();
    let known = store.label_file(&location)?;
    let now = context.clock.now().timestamp_nanos_opt().unwrap_or(i64::MAX);
    let seen = (stamp.size, stamp.modified_ns, stamp.inode);
    if known.as_ref().is_some_and(|known| known.whole && known.stamp == seen) {
        return Ok((0, None));
    }
    let (identity, goes_on) = contents(path, known.as_ref()).map_err(failed)?;
    let mut progress = LabelFile {
        id: 0,
        location,
        // A change within the same moment would not show: the file is looked at again.
        stamp: if stamp.is_settled(now) { seen } else { (stamp.size, 0, 0) },
        content: identity.to_string(),
        rows: 0,
        whole: false,
        again: known.is_some(),
        unreadable: 0,
        doubled: 0,
        without_key: 0,
        is_sent: false,
    };
    if let Some(known) = known {
        (progress.id, progress.doubled) = (known.id, known.doubled);
        if goes_on {
            progress.again = known.again && !known.whole;
            (progress.rows, progress.without_key) = (known.rows, known.without_key);
        }
    }
    let (mut index, mut pending) = (0, 0);
    let came = stamp.modified().timestamp_millis();
    let reader = keys.reader(schema, &config.ingestion);
    let reader = reader.of_sources(config).on_threads(config.limits.threads);
    store.begin()?;
    store.set_label_file(&mut progress)?;
    let first = progress.rows;
    let reading = reader.read(path, |table| {
        for i in 0..table.len() {
            index += 1;
            if index <= first {
                continue;
            }
            progress.rows = index;
            take_label(store, &mut progress, (keys, forgotten), (table, i), came)?;
            pending += 1;
            if pending == PIECE {
                store.set_label_file(&mut progress)?;
                store.commit()?;
                store.begin()?;
                pending = 0;
            }
        }
        Ok(())
    })?;
    progress.unreadable = reading.rejected;
    (progress.whole, progress.rows) = (true, index);
    store.set_label_file(&mut progress)?;
    store.commit()?;
    let told = reading.examples.first().map(|example| {
        format!(
            "{} cannot be read, such as this one: {example}. Correct the file, and it is read again",
            text::plural(reading.rejected, "row")
        )
    });
    Ok((index.saturating_sub(first), told))
}

/// Reads the batches of labels that were sent since the last join; returns the number of rows.
fn read_received(
    context: &Context,
    store: &mut Store,
    (keys, schema): (&Keys, &Schema),
    forgotten: Option<&Forgotten>,
) -> Result<u64> {
    let config = &context.config;
    let Some(source) = config.sources.iter().find(|source| source.name == RECEIVED) else {
        return Ok(0);
    };
    let path = config.received_path();
    let Some(received) = Received::open_to_read(&path)? else { return Ok(0) };
    let location = context.location(&path).as_str().to_owned();
    let identity = received.identity()?;
    let known = store.label_file(&location)?;
    let mut progress = LabelFile {
        id: 0,
        location,
        stamp: (0, 0, 0),
        content: identity.clone(),
        rows: 0,
        whole: true,
        again: known.is_some(),
        unreadable: 0,
        doubled: 0,
        without_key: 0,
        is_sent: true,
    };
    // Another file at this place is read from its beginning.
    if let Some(known) = known.filter(|known| known.content == identity) {
        progress = LabelFile { is_sent: true, ..known };
    }
    let reader = keys.reader(schema, &source.reading);
    let (mut new, mut pending) = (0, 0);
    while let Some(batch) = received.after(progress.rows)? {
        if pending == 0 {
            store.begin()?;
            store.set_label_file(&mut progress)?;
        }
        let reading = reader.stream(&*batch.csv, &path, CHUNK, |table, _, unread| {
            progress.unreadable += unread.len() as u64;
            for i in 0..table.len() {
                (new, pending) = (new + 1, pending + 1);
                take_label(store, &mut progress, (keys, forgotten), (table, i), batch.came)?;
            }
            Ok(())
        });
        match reading.map_err(|e| (matches!(e.kind(), ErrorKind::Schema { .. }), e)) {
            Ok(_) => {}
            // It was sent when other columns told whose label it is.
            Err((true, _)) => progress.unreadable += 1,
            Err((false, error)) => return Err(error),
        }
        progress.rows = batch.id;
        pending += 1;
        if pending >= PIECE {
            store.set_label_file(&mut progress)?;
            store.commit()?;
            pending = 0;
        }
    }
    if pending > 0 {
        store.set_label_file(&mut progress)?;
        store.commit()?;
    }
    Ok(new)
}

/// Records the label of row `i` of a table, which came at the time `came`, unless the row has no key or
/// is of somebody who was erased.
fn take_label(
    store: &mut Store,
    progress: &mut LabelFile,
    (keys, forgotten): (&Keys, Option<&Forgotten>),
    (table, i): (&Table, usize),
    came: i64,
) -> Result<()> {
    let key = keys.of_row(table, i);
    let ids = key.as_ref().filter(|_| keys.by == JoinBy::Ids);
    if keys.has_forgotten(forgotten, ids) {
        return Ok(());
    }
    let Some(key) = key else {
        progress.without_key += 1;
        return Ok(());
    };
    let (time, positive) = (keys.time_of(table, i), table.labels[i]);
    store.label(progress, &NewLabel { key, time, known: came, positive })
}

/// The digest of a file, and whether it only continues what is `known`, so that the rows that were
/// read stand in it as before.
fn contents(path: &Path, known: Option<&LabelFile>) -> std::io::Result<(Digest, bool)> {
    let (mut file, metadata) = files::open(path)?;
    let before = known.map(|known| known.stamp.0).filter(|size| *size <= metadata.len());
    let mut hasher = Hasher::default();
    let mut goes_on = false;
    if let (Some(size), Some(known)) = (before, known) {
        let last = hash_of(&mut file, Some(size), &mut hasher)?;
        let same = hasher.clone().finish().to_string() == known.content;
        goes_on = same && (size == metadata.len() || last == Some(b'\n'));
    }
    hash_of(&mut file, None, &mut hasher)?;
    Ok((hasher.finish(), goes_on))
}

/// Hashes `bytes` bytes of a file, or all; returns the last one.
fn hash_of(
    file: &mut fs::File,
    bytes: Option<u64>,
    hasher: &mut Hasher,
) -> std::io::Result<Option<u8>> {
    let mut file = file.take(bytes.unwrap_or(u64::MAX));
    let (mut buffer, mut last) = (vec![0; 1 << 18], None);
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(last);
        }
        hasher.update(&buffer[..n]);
        last = Some(buffer[n - 1]);
    }
}

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "New: {} in the log, {} in files of labels",
            text::plural(self.new_predictions, "prediction"),
            text::plural(self.new_labels, "row")
        )?;
        if self.training_rows > 0 {
            let rows = text::plural(self.training_rows, "row");
            writeln!(f, "{rows} with labels added to the training data")?;
        }
        write!(f, "{}", self.outcomes)
    }
}
