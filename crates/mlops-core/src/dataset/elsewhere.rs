//! Rows that a distributed engine reads, compares and writes, and what this process makes of its answers.
//!
//! 1. Each file is cut into stretches. A task parses one as any program here does, writes the canonical rows and
//!    a hash of each, and answers with counts and rejected records.
//! 2. Stretches of a file that do not join are read again from where the one before ended.
//! 3. The engine finds equal hashes, and a task for each stretch writes the rows that are the first of theirs.
//! 4. This process appends them in order: files, stretches and rows have the order that they have on one
//!    machine, whatever the number of tasks.
//!
//! Not for which files are taken: see [`super::builder`].

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::discover::Stamp;
use super::spill::Late;
use super::task::{ConfigText, absolute, answer, append_file, next, not_as_counted, with_end};
use crate::config::Config;
use crate::csv::checks::Checks;
use crate::csv::chunk::{CHUNK_BYTES, ChunkReader};
use crate::csv::clean::{FormatChanges, Labels};
use crate::csv::header::{Layout, Purpose};
use crate::csv::parse::{Parsed, RowParser};
use crate::csv::quarantine::Rejected;
use crate::csv::ranges::{Stretch, StretchReader};
use crate::csv::row_hash::RowHasher;
use crate::platform::digest::Digest;
use crate::platform::disk::{Disk, NewFile};
use crate::platform::engine::{Engine, OpenHashes, Position};
use crate::platform::files;
use crate::platform::temporary::TemporaryFolder;
use crate::table::schema::Schema;
use crate::{Error, Result};

/// How the texts of these tasks begin.
pub(crate) const PREFIX: &str = "rows:";

/// A row that equals an earlier one.
#[derive(Debug, Clone, Copy)]
pub struct Duplicate {
    /// The row.
    pub position: Position,
    /// The first of its kind is in the same file.
    pub within: bool,
}

/// What the executor is asked to do.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Read(Box<ReadRows>),
    Digest(PathBuf),
    Keep(KeepRows),
}

/// Parses the rows of a stretch.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ReadRows {
    config: ConfigText,
    negative_label: Option<String>,
    now: DateTime<Utc>,
    key: u64,
    path: PathBuf,
    /// It is a data set of our own, whose rows are known to be good and are not written again.
    ours: bool,
    stretch: Stretch,
    first: Position,
    /// Where the rows and the hashes go: the start of the names of their files.
    output: PathBuf,
}

/// What a stretch has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RowsRead {
    began: u64,
    ended: u64,
    pub(crate) rows: u64,
    pub(crate) lines: u64,
    pub(crate) blank_lines: u64,
    pub(crate) changes: FormatChanges,
    pub(crate) missing: Vec<u64>,
    pub(crate) newest: Option<NaiveDate>,
    /// With lines of the stretch, counted from 0.
    pub(crate) rejected: Vec<Rejected>,
}

/// Writes the rows of a stretch that are no duplicates.
#[derive(Debug, Serialize, Deserialize)]
struct KeepRows {
    first: Position,
    output: PathBuf,
}

/// The rows of a stretch that are kept.
#[derive(Debug, Serialize, Deserialize)]
struct RowsKept {
    rows: u64,
    bytes: u64,
    within: u64,
    across: u64,
    /// All are kept, so that their file is the one that was read.
    all: bool,
}

/// Carries out a task whose text began with [`PREFIX`].
pub(crate) fn carry_out(
    text: &str,
    duplicates: &[Duplicate],
    open: OpenHashes<'_>,
) -> Result<String> {
    let wrong = |e| Error::backend("serde_json", e);
    match serde_json::from_str(text).map_err(wrong)? {
        Task::Read(task) => answer(task.carry_out(open)),
        Task::Digest(path) => answer(Digest::of_file(&path)),
        Task::Keep(task) => answer(task.carry_out(duplicates)),
    }
}

impl ReadRows {
    fn carry_out(&self, open: OpenHashes<'_>) -> Result<RowsRead> {
        let Self { path, ours, stretch, now, .. } = self;
        let config = self.config.parse()?;
        let schema = match &self.negative_label {
            Some(label) => config.schema.clone().with_negative_label(label),
            None => config.schema.clone(),
        };
        let verbatim = config.ingestion.verbatim();
        let options = if *ours { &verbatim } else { config.reading_at(path) };
        let checks = if *ours { None } else { Checks::at(path, &config, &schema, *now) };
        let place = path.display().to_string();
        let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
        let header = ChunkReader::new(file, path, CHUNK_BYTES).without_digest().header()?;
        let Some(header) = header else { return Ok(RowsRead::default()) };
        let purpose = Purpose::Labelled;
        let layout = Layout::of(&header, &options.columns, &schema, purpose, &place)?;
        let labels = Labels::of(&schema);
        let parser = RowParser::new(&schema, layout, options, labels, RowHasher(self.key));
        let mut parser = parser.checking(checks);

        let mut reader = StretchReader::open(path, *stretch)?;
        let mut hashes = open(&with_end(&self.output, ".hashes"))?;
        let mut rows = (!ours).then(|| Output::create(&with_end(&self.output, ".rows")));
        let mut rows = rows.take().transpose()?;
        let mut lengths = (!ours).then(|| Output::create(&with_end(&self.output, ".lengths")));
        let mut lengths = lengths.take().transpose()?;
        let mut read = RowsRead { missing: vec![0; schema.width()], ..RowsRead::default() };
        let (mut chunk, mut parsed) = (Vec::new(), Parsed::default());
        while let Some(first) = reader.next(&mut chunk, parser.shape())? {
            parser.parse(&chunk, first, &mut parsed);
            for row in &parsed.rows {
                let at = self.first.row(read.rows).ok_or_else(|| too_many_rows(path))?;
                hashes.add(row.hash, at)?;
                read.rows += 1;
                let bytes = parsed.bytes(&chunk, row.extent);
                if let (Some(rows), Some(lengths)) = (&mut rows, &mut lengths) {
                    rows.append(bytes)?;
                    // A row is shorter than a chunk, which is far below 4 GiB.
                    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    lengths.append(&length.to_le_bytes())?;
                }
            }
            for mut rejected in parsed.rejected.drain(..) {
                rejected.line += read.lines;
                read.rejected.push(rejected);
            }
            read.lines += u64::from(parsed.lines);
            read.blank_lines += parsed.blank_lines;
            read.changes.add(&parsed.changes);
            read.newest = read.newest.max(parsed.looked.newest);
            read.missing.iter_mut().zip(&parsed.missing).for_each(|(sum, n)| *sum += n);
        }
        (read.began, read.ended) = (reader.began(), reader.ended());
        [rows, lengths].into_iter().flatten().try_for_each(Output::finish)?;
        hashes.finish()?;
        Ok(read)
    }
}

fn too_many_rows(path: &Path) -> Error {
    Error::config(
        path.display().to_string(),
        vec!["a stretch has too many rows: lower \"engine.range_mib\"".to_owned()],
    )
}

impl KeepRows {
    fn carry_out(&self, duplicates: &[Duplicate]) -> Result<RowsKept> {
        let rows_path = with_end(&self.output, ".rows");
        let lengths_path = with_end(&self.output, ".lengths");
        let failed = |path: &Path, e| Error::io("read", path, e);
        let bytes = std::fs::metadata(&rows_path).map_err(|e| failed(&rows_path, e))?.len();
        let lengths = std::fs::read(&lengths_path).map_err(|e| failed(&lengths_path, e))?;
        let rows = lengths.len() as u64 / 4;
        let mut out: Vec<Duplicate> = duplicates.to_vec();
        out.sort_unstable_by_key(|duplicate| duplicate.position);
        out.dedup_by_key(|duplicate| duplicate.position);
        let mine =
            |d: &Duplicate| d.position.range() == self.first.range() && d.position.within() < rows;
        if out.len() != duplicates.len() || !out.iter().all(mine) {
            return Err(Error::backend("ballista", "duplicates of another stretch were reported"));
        }
        let within = out.iter().filter(|duplicate| duplicate.within).count() as u64;
        let across = out.len() as u64 - within;
        if out.is_empty() {
            return Ok(RowsKept { rows, bytes, within, across, all: true });
        }
        let mut kept = Output::create(&with_end(&self.output, ".kept"))?;
        let (mut text, mut row, mut written) = (Vec::new(), Vec::new(), 0);
        let file = File::open(&rows_path).map_err(|e| failed(&rows_path, e))?;
        let mut file = std::io::BufReader::with_capacity(1 << 18, file);
        let mut out = out.iter().map(|duplicate| duplicate.position.within()).peekable();
        for (number, length) in (0..).zip(lengths.as_chunks::<4>().0) {
            row.resize(u32::from_le_bytes(*length) as usize, 0);
            file.read_exact(&mut row).map_err(|e| failed(&rows_path, e))?;
            if out.next_if_eq(&number).is_none() {
                text.extend_from_slice(&row);
            }
            if text.len() > 1 << 18 {
                written += text.len() as u64;
                kept.append(&text)?;
                text.clear();
            }
        }
        written += text.len() as u64;
        kept.append(&text)?;
        kept.finish()?;
        Ok(RowsKept { rows: rows - within - across, bytes: written, within, across, all: false })
    }
}

/// A file that a task writes. If the task is carried out twice, both write the same.
struct Output {
    file: NewFile,
    buffer: Vec<u8>,
}

impl Output {
    fn create(path: &Path) -> Result<Self> {
        Ok(Self { file: Disk::for_task().new_file(path)?, buffer: Vec::new() })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() > 1 << 18 {
            self.file.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.file.write_all(&self.buffer)?;
        self.file.publish_unsynced()
    }
}

/// The rows of the files of one ingestion, as an engine reads them.
pub(crate) struct Elsewhere {
    engine: Arc<dyn Engine>,
    /// Where the tasks write.
    folder: TemporaryFolder,
    files: HashMap<PathBuf, FileThere>,
    /// The names of the files of hashes of the data set that comes first.
    earlier: Vec<PathBuf>,
    /// The stretches of each file that was taken, in order.
    taken: Vec<Vec<StretchThere>>,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct FileThere {
    /// Its metadata before that.
    pub(crate) stamp: Stamp,
    /// Its digest and what its stretches have, or why it is refused.
    pub(crate) read: Result<(Digest, Vec<StretchThere>), String>,
}

/// A stretch that was read.
#[derive(Debug, Clone)]
pub(crate) struct StretchThere {
    pub(crate) read: RowsRead,
    task: ReadRows,
}

/// What the rows of an ingestion mean.
pub(crate) struct Meaning<'a> {
    pub(crate) config: &'a Config,
    pub(crate) schema: &'a Schema,
    pub(crate) now: DateTime<Utc>,
    pub(crate) key: u64,
}

impl Elsewhere {
    /// Has `files` read, and of the data set `earlier` the hashes of its `rows`.
    pub(crate) fn read(
        engine: Arc<dyn Engine>,
        folder: TemporaryFolder,
        meaning: &Meaning<'_>,
        files: &[PathBuf],
        earlier: Option<(&Path, u64)>,
    ) -> Result<Self> {
        let mut there =
            Self { engine, folder, files: HashMap::new(), earlier: Vec::new(), taken: Vec::new() };
        let mut asked: Vec<(PathBuf, Stamp, Vec<ReadRows>)> = Vec::new();
        if let Some((path, _)) = earlier
            && let Some((stamp, tasks)) = there.tasks(meaning, (0, path, true))?
        {
            asked.push((path.to_owned(), stamp, tasks));
        }
        for (number, path) in (1..).zip(files) {
            // What cannot be read now is named when its turn comes.
            if let Some((stamp, tasks)) = there.tasks(meaning, (number, path, false))? {
                asked.push((path.clone(), stamp, tasks));
            }
        }
        let mut texts = Vec::new();
        for (path, _, tasks) in &asked {
            texts.push(text(&Task::Digest(absolute(path)?))?);
            for task in tasks {
                texts.push(text(&Task::Read(Box::new(task.clone())))?);
            }
        }
        let answers = there.engine.run(texts)?;
        let mut answers = answers.iter().map(String::as_str);
        for (path, stamp, tasks) in asked {
            let digest: Result<Digest, String> = next(&mut answers)?;
            let mut read = Vec::new();
            for task in tasks {
                read.push((next(&mut answers)?, task));
            }
            let joined = there.joined(read)?;
            let read = digest.and_then(|digest| joined.map(|joined| (digest, joined)));
            there.files.insert(path, FileThere { stamp, read });
        }
        if let Some((path, rows)) = earlier {
            there.note_earlier(path, rows)?;
        }
        Ok(there)
    }

    /// The tasks that read the file at `path`; `None` if it has no header, or cannot be read.
    fn tasks(
        &self,
        meaning: &Meaning<'_>,
        (number, path, ours): (usize, &Path, bool),
    ) -> Result<Option<(Stamp, Vec<ReadRows>)>> {
        let Ok((file, metadata)) = files::open(path) else { return Ok(None) };
        let stamp = Stamp::of(&metadata);
        let mut head = ChunkReader::new(file, path, CHUNK_BYTES).without_digest();
        if !matches!(head.header(), Ok(Some(_))) {
            return Ok(None);
        }
        let bytes = self.engine.range_bytes().max(1);
        let (folder, path) = (absolute(self.folder.path())?, absolute(path)?);
        let (mut from, mut tasks) = (head.offset(), Vec::new());
        loop {
            let until = from.saturating_add(bytes);
            let last = until >= stamp.size;
            let Some(first) = Position::of_range(number, tasks.len()) else {
                return Err(too_many_ranges(meaning.config));
            };
            tasks.push(ReadRows {
                config: ConfigText::of(meaning.config)?,
                negative_label: meaning.schema.negative_label().map(str::to_owned),
                now: meaning.now,
                key: meaning.key,
                path: path.clone(),
                ours,
                stretch: Stretch {
                    from,
                    until: if last { u64::MAX } else { until },
                    exact: tasks.is_empty(),
                },
                first,
                output: folder.join(format!("{}", first.range())),
            });
            if last {
                return Ok(Some((stamp, tasks)));
            }
            from = until;
        }
    }

    /// Reads stretches again until each begins where the one before it ended.
    fn joined(
        &self,
        read: Vec<(Result<RowsRead, String>, ReadRows)>,
    ) -> Result<Result<Vec<StretchThere>, String>> {
        let mut joined: Vec<StretchThere> = Vec::new();
        for (mut read, mut task) in read {
            let expected = joined.last().map_or(task.stretch.from, |last| last.read.ended);
            if read.as_ref().map_or(true, |read| read.began != expected) && !joined.is_empty() {
                task.stretch = Stretch { from: expected, exact: true, ..task.stretch };
                let answers = self.engine.run(vec![text(&Task::Read(Box::new(task.clone())))?])?;
                read = next(&mut answers.iter().map(String::as_str))?;
            }
            match read {
                Ok(read) => joined.push(StretchThere { read, task }),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(joined))
    }

    fn note_earlier(&mut self, path: &Path, rows: u64) -> Result<()> {
        let Some(FileThere { read: Ok((_, stretches)), .. }) = self.files.remove(path) else {
            return Err(super::counts::not_as_recorded(path));
        };
        let good = |s: &StretchThere| s.read.rejected.is_empty();
        let found: u64 = stretches.iter().map(|stretch| stretch.read.rows).sum();
        if found != rows || !stretches.iter().all(good) {
            return Err(super::counts::not_as_recorded(path));
        }
        self.earlier = stretches.iter().map(|s| with_end(&s.task.output, ".hashes")).collect();
        Ok(())
    }

    /// What is known of the file at `path`.
    pub(crate) fn file(&self, path: &Path) -> Option<&FileThere> {
        self.files.get(path)
    }

    /// The file at `path` is part of the data set, after those that were taken before it.
    pub(crate) fn take(&mut self, path: &Path) {
        if let Some(FileThere { read: Ok((_, stretches)), .. }) = self.files.remove(path) {
            self.taken.push(stretches);
        }
    }

    /// Passes the rows of the files that were taken to `append`, without duplicates; returns how many duplicates
    /// each file has.
    pub(crate) fn finish(self, mut append: impl FnMut(&[u8]) -> Result<()>) -> Result<Vec<Late>> {
        let all = || self.taken.iter().flatten();
        let own = all().map(|stretch| with_end(&stretch.task.output, ".hashes"));
        let hashes: Vec<PathBuf> = self.earlier.iter().cloned().chain(own).collect();
        let keep = |stretch: &StretchThere| {
            let ReadRows { first, output, .. } = &stretch.task;
            let task = Task::Keep(KeepRows { first: *first, output: output.clone() });
            Ok((first.range(), text(&task)?))
        };
        let tasks: Vec<(u64, String)> = all().map(keep).collect::<Result<_>>()?;
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.engine.sift(&hashes, tasks)?;
        let mut answers = answers.iter().map(String::as_str);
        let mut late = Vec::new();
        for file in &self.taken {
            let mut of_file = Late::default();
            for stretch in file {
                let kept: Result<RowsKept, String> = next(&mut answers)?;
                let kept = kept.map_err(Error::data)?;
                let end = if kept.all { ".rows" } else { ".kept" };
                let path = with_end(&stretch.task.output, end);
                if kept.rows + kept.within + kept.across != stretch.read.rows {
                    return Err(not_as_counted(&path));
                }
                append_file(&path, kept.bytes, &mut append)?;
                of_file.within += kept.within;
                of_file.across += kept.across;
            }
            late.push(of_file);
        }
        Ok(late)
    }
}

fn text(task: &Task) -> Result<String> {
    let task = serde_json::to_string(task).map_err(|e| Error::backend("serde_json", e))?;
    Ok(format!("{PREFIX}{task}"))
}

fn too_many_ranges(config: &Config) -> Error {
    Error::config(
        config.file.display().to_string(),
        vec!["the files have too many stretches: raise \"engine.range_mib\"".to_owned()],
    )
}

/// Settings that ask for something that a cluster does not do yet, in words.
pub(crate) fn not_there_yet(config: &Config) -> Vec<String> {
    let readings = config.sources.iter().map(|source| (&source.name, &source.reading));
    let own = "ingestion".to_owned();
    let readings: BTreeMap<_, _> = readings.chain([(&own, &config.ingestion)]).collect();
    let mut found = Vec::new();
    for (name, reading) in readings {
        if reading.keeps_equal_rows(&config.schema) {
            found
                .push(format!("equal rows that are all kept (\"duplicates\" of {name}, or no id)"));
        }
        if !reading.format.is_default() {
            found.push(format!("files of a format that is named (\"format\" of {name})"));
        }
    }
    if config.latest().is_some() {
        found.push("rows that replace each other (\"on_change\": \"latest\")".to_owned());
    }
    if config.contracts().next().is_some() {
        found.push("contracts (\"contract\")".to_owned());
    }
    if config.ingestion.record_changes != crate::config::choices::RecordChanges::Off {
        found.push("records of changed cells (\"ingestion.record_changes\")".to_owned());
    }
    found
}
