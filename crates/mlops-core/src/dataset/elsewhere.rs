//! Rows that a distributed engine reads, compares and writes, and what this process makes of its answers.
//!
//! 1. Each file is cut into stretches. A task parses one as any program here does, writes the canonical rows, their
//!    lengths and their hashes, and answers with counts and rejected records.
//! 2. Stretches of a file that do not join are read again from where the one before ended.
//! 3. Tasks find equal hashes, as [`super::equal_rows`] says. If there are any, a task for each stretch writes where the
//!    bytes of its duplicates are.
//! 4. This process appends the others in order: files, stretches and rows have the order that they have on one
//!    machine, whatever the number of tasks.
//!
//! Not for which files are taken: see [`super::builder`].

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::cuts;
use super::discover::Stamp;
use super::equal_rows::{self, Compared, EqualFound, FindEqual, HashWriter};
use super::spill::Late;
use super::task::{ConfigText, Output, absolute, answer, next, not_as_counted, with_end};
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
use crate::platform::disk::Disk;
use crate::platform::engine::Engine;
use crate::platform::files;
use crate::platform::temporary::TemporaryFolder;
use crate::table::schema::Schema;
use crate::{Error, Result};

/// How the texts of these tasks begin.
pub(crate) const PREFIX: &str = "rows:";

/// What the executor is asked to do.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Read(Box<ReadRows>),
    Digest(PathBuf),
    FindEqual(FindEqual),
    Cut(CutRows),
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
    /// How many parts its hashes have.
    parts: usize,
    /// Where the rows and the hashes go: the start of the names of their files.
    output: PathBuf,
}

/// What a stretch has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RowsRead {
    began: u64,
    ended: u64,
    pub(crate) rows: u64,
    /// Of its canonical rows.
    bytes: u64,
    /// Of the files of its rows and their lengths.
    checksums: [u64; 2],
    pub(crate) lines: u64,
    pub(crate) blank_lines: u64,
    pub(crate) changes: FormatChanges,
    pub(crate) missing: Vec<u64>,
    pub(crate) newest: Option<NaiveDate>,
    /// With lines of the stretch, counted from 0.
    pub(crate) rejected: Vec<Rejected>,
}

/// Writes where the duplicates of a stretch are among its rows.
#[derive(Debug, Serialize, Deserialize)]
struct CutRows {
    /// The start of the names of the files of the stretch, and of those that say what is equal.
    output: PathBuf,
    equal: PathBuf,
    parts: usize,
    /// The number of the stretch among all that were compared.
    number: usize,
    rows: u64,
    bytes: u64,
    /// Of the file of the lengths of its rows.
    checksum: u64,
}

/// What is left out of the rows of a stretch.
#[derive(Debug, Default, Serialize, Deserialize)]
struct RowsCut {
    within: u64,
    across: u64,
    /// The size and the checksum of the file that says where they are.
    file: (u64, u64),
}

/// Carries out a task whose text began with [`PREFIX`].
pub(crate) fn carry_out(text: &str) -> Result<String> {
    let wrong = |e| Error::backend("serde_json", e);
    match serde_json::from_str(text).map_err(wrong)? {
        Task::Read(task) => answer(task.carry_out()),
        Task::Digest(path) => answer(Digest::of_file(&path)),
        Task::FindEqual(task) => answer(task.carry_out()),
        Task::Cut(task) => answer(task.carry_out()),
    }
}

impl ReadRows {
    fn carry_out(&self) -> Result<RowsRead> {
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
        let mut hashes = HashWriter::create(&self.output, self.parts)?;
        let mut rows = (!ours).then(|| Output::create(&with_end(&self.output, ".rows")));
        let mut rows = rows.take().transpose()?;
        let mut lengths = (!ours).then(|| Output::create(&with_end(&self.output, ".lengths")));
        let mut lengths = lengths.take().transpose()?;
        let mut read = RowsRead { missing: vec![0; schema.width()], ..RowsRead::default() };
        let (mut chunk, mut parsed) = (Vec::new(), Parsed::default());
        while let Some(first) = reader.next(&mut chunk, parser.shape())? {
            parser.parse(&chunk, first, &mut parsed);
            for row in &parsed.rows {
                if !hashes.push(row.hash)? {
                    return Err(too_many_rows(path));
                }
                read.rows += 1;
                let bytes = parsed.bytes(&chunk, row.extent);
                read.bytes += bytes.len() as u64;
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
        for (output, checksum) in [rows, lengths].into_iter().zip(&mut read.checksums) {
            *checksum = output.map_or(Ok(0), Output::finish)?;
        }
        hashes.publish()?;
        Ok(read)
    }
}

fn too_many_rows(path: &Path) -> Error {
    Error::config(
        path.display().to_string(),
        vec!["a stretch has too many rows: lower \"engine.range_mib\"".to_owned()],
    )
}

impl CutRows {
    fn carry_out(&self) -> Result<RowsCut> {
        let Self { output, equal, parts, number, rows, bytes, checksum } = self;
        let duplicates = equal_rows::of_stretch(equal, *parts, *number, *rows)?;
        let within = duplicates.iter().filter(|duplicate| duplicate.within).count() as u64;
        let across = duplicates.len() as u64 - within;
        if duplicates.is_empty() {
            return Ok(RowsCut::default());
        }
        let [lengths, cut] = [".lengths", ".cuts"].map(|end| with_end(output, end));
        let lengths = (lengths.as_path(), 4 * rows, *checksum);
        let file = cuts::write(&cut, lengths, *bytes, &duplicates)?;
        Ok(RowsCut { within, across, file })
    }
}

/// The rows of the files of one ingestion, as an engine reads them.
pub(crate) struct Elsewhere {
    engine: Arc<dyn Engine>,
    disk: Disk,
    /// Where the tasks write.
    folder: TemporaryFolder,
    /// How many stretches have been named.
    stretches: usize,
    /// The number of parts of hashes, and the memory of a task for one.
    parts: usize,
    memory: usize,
    files: HashMap<PathBuf, FileThere>,
    /// The stretches of the data set that comes first.
    earlier: Vec<StretchThere>,
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
        (disk, folder): (Disk, TemporaryFolder),
        meaning: &Meaning<'_>,
        files: &[PathBuf],
        earlier: Option<(&Path, u64)>,
    ) -> Result<Self> {
        let mut there = Self {
            engine,
            disk,
            folder,
            stretches: 0,
            parts: 1,
            // As many tasks as an executor has cores share its memory.
            memory: meaning.config.limits.memory / 4,
            files: HashMap::new(),
            earlier: Vec::new(),
            taken: Vec::new(),
        };
        let mut asked: Vec<(PathBuf, Stamp, Vec<ReadRows>)> = Vec::new();
        if let Some((path, _)) = earlier
            && let Some((stamp, tasks)) = there.tasks(meaning, path, true)?
        {
            asked.push((path.to_owned(), stamp, tasks));
        }
        for path in files {
            // What cannot be read now is named when its turn comes.
            if let Some((stamp, tasks)) = there.tasks(meaning, path, false)? {
                asked.push((path.clone(), stamp, tasks));
            }
        }
        let bytes = asked.iter().map(|(_, stamp, _)| stamp.size).sum();
        there.parts = equal_rows::parts_for(bytes, there.engine.range_bytes(), there.memory);
        for task in asked.iter_mut().flat_map(|(.., tasks)| tasks) {
            task.parts = there.parts;
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
        &mut self,
        meaning: &Meaning<'_>,
        path: &Path,
        ours: bool,
    ) -> Result<Option<(Stamp, Vec<ReadRows>)>> {
        let Ok((file, metadata)) = files::open(path) else { return Ok(None) };
        let stamp = Stamp::of(&metadata);
        let mut head = ChunkReader::new(file, path, CHUNK_BYTES).without_digest();
        if !matches!(head.header(), Ok(Some(_))) {
            return Ok(None);
        }
        let (folder, path) = (absolute(self.folder.path())?, absolute(path)?);
        let mut tasks = Vec::new();
        for stretch in Stretch::all(head.offset(), stamp.size, self.engine.range_bytes()) {
            tasks.push(ReadRows {
                config: ConfigText::of(meaning.config)?,
                negative_label: meaning.schema.negative_label().map(str::to_owned),
                now: meaning.now,
                key: meaning.key,
                path: path.clone(),
                ours,
                stretch,
                parts: 1,
                output: folder.join(self.stretches.to_string()),
            });
            self.stretches += 1;
        }
        Ok(Some((stamp, tasks)))
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
                // Whoever is late with the stretch as it was asked for first must not replace this one.
                task.output = with_end(&task.output, "-again");
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
        self.earlier = stretches;
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
        if self.taken.iter().all(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let equal = absolute(&self.folder.path().join("equal"))?;
        let duplicates = self.find_equal(&equal)?;
        let cuts = if duplicates > 0 { self.cut(&equal)? } else { Vec::new() };
        let (mut cuts, mut found, mut late) = (cuts.into_iter(), 0, Vec::new());
        for file in &self.taken {
            let mut of_file = Late::default();
            for StretchThere { read, task } in file {
                let [path, out] = [".rows", ".cuts"].map(|end| with_end(&task.output, end));
                let rows = (path.as_path(), read.bytes, read.checksums[0]);
                let cut = cuts.next().filter(|cut| cut.within + cut.across > 0).unwrap_or_default();
                of_file.within += cut.within;
                of_file.across += cut.across;
                let (size, checksum) = cut.file;
                let out = (size > 0).then_some((out.as_path(), size, checksum));
                cuts::append(rows, out, &mut append)?;
            }
            found += of_file.within + of_file.across;
            late.push(of_file);
        }
        if found != duplicates {
            return Err(not_as_counted(&equal));
        }
        Ok(late)
    }

    /// Has equal rows found, and written to files whose names begin with `equal`; returns the number of duplicates.
    fn find_equal(&self, equal: &Path) -> Result<u64> {
        let mut compared = Vec::new();
        let mut rows = 0;
        for (file, stretches) in [&self.earlier].into_iter().chain(&self.taken).enumerate() {
            for StretchThere { read, task } in stretches {
                compared.push(Compared { output: task.output.clone(), file });
                rows += read.rows;
            }
        }
        let stretches = absolute(&self.folder.path().join("stretches.json"))?;
        let list = serde_json::to_vec(&compared).map_err(|e| Error::backend("serde_json", e))?;
        let mut file = self.disk.new_file(&stretches)?;
        file.write_all(&list)?;
        file.publish_unsynced()?;
        let task = |part| {
            let (stretches, output) = (stretches.clone(), equal.to_owned());
            text(&Task::FindEqual(FindEqual { stretches, part, memory: self.memory, output }))
        };
        let answers = self.engine.run((0..self.parts).map(task).collect::<Result<_>>()?)?;
        let mut answers = answers.iter().map(String::as_str);
        let (mut counted, mut duplicates) = (0, 0);
        for _ in 0..self.parts {
            let found: EqualFound = next(&mut answers)?.map_err(Error::data)?;
            counted += found.rows;
            duplicates += found.duplicates;
        }
        if counted == rows { Ok(duplicates) } else { Err(not_as_counted(&stretches)) }
    }

    /// Has written, for each stretch that was taken, where its duplicates are.
    fn cut(&self, equal: &Path) -> Result<Vec<RowsCut>> {
        let taken = self.taken.iter().flatten();
        let texts =
            (self.earlier.len()..).zip(taken).map(|(number, StretchThere { read, task })| {
                text(&Task::Cut(CutRows {
                    output: task.output.clone(),
                    equal: equal.to_owned(),
                    parts: self.parts,
                    number,
                    rows: read.rows,
                    bytes: read.bytes,
                    checksum: read.checksums[1],
                }))
            });
        let texts = texts.collect::<Result<Vec<_>>>()?;
        let count = texts.len();
        let answers = self.engine.run(texts)?;
        let mut answers = answers.iter().map(String::as_str);
        (0..count).map(|_| next(&mut answers)?.map_err(Error::data)).collect()
    }
}

fn text(task: &Task) -> Result<String> {
    let task = serde_json::to_string(task).map_err(|e| Error::backend("serde_json", e))?;
    Ok(format!("{PREFIX}{task}"))
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
