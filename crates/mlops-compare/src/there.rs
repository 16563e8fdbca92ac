//! A comparison whose rows a distributed engine reads and joins, with the same result as on one machine.
//!
//! 1. A task reads a stretch of one of the files, and writes its rows into parts, by the hash of their key.
//!    Stretches that do not join are read again from where the one before ended.
//! 2. A task for each part joins the rows of all stretches in it, in the order of their files, and writes the
//!    joined rows of the part in that order.
//! 3. This process adds up what was found, and merges the joined rows by their numbers.
//!
//! Not for files that cannot be read in stretches, nor for joining the rows of a part: see [`crate::partition`].

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use mlops_core::config::{Config, NumberFormat};
use mlops_core::csv::formats::is_our_own;
use mlops_core::csv::ranges::{Stretch, StretchReader};
use mlops_core::csv::record::Shape;
use mlops_core::csv::row_hash::RowHasher;
use mlops_core::platform::digest::Digest;
use mlops_core::platform::disk::Disk;
use mlops_core::platform::engine::Engine;
use mlops_core::stage::elsewhere::{ConfigText, absolute, answer, next};
use mlops_core::{Error, Result};

use crate::cell::{Kind, Spelling};
use crate::columns::{Columns, Fields};
use crate::difference::Tolerance;
use crate::examples::{EXAMPLES, Examples};
use crate::findings::Findings;
use crate::join::Plan;
use crate::output::JoinedFile;
use crate::partition::{Divided, PARTITIONS, Partitioned, Parts, Runs, merge};
use crate::rows::{RowMaker, Rows};
use crate::source::{Reading, Side, Source, other_decimal};
use crate::spool::Spool;

/// How the texts of these tasks begin.
pub const PREFIX: &str = "compare:";

/// The engine of a comparison, and what its tasks are told.
#[derive(Clone, Copy)]
pub struct There<'a> {
    /// The engine.
    pub engine: &'a Arc<dyn Engine>,
    /// The configuration, which has the schema.
    pub config: &'a Config,
    /// The way to write to the folder that all machines see.
    pub disk: &'a Disk,
}

/// What is asked of whoever carries it out.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Digest(PathBuf),
    Divide(Divide),
    Join(JoinPart),
}

/// What all tasks of a comparison have in common; in a file of its own.
#[derive(Debug, Serialize, Deserialize)]
struct Terms {
    config: ConfigText,
    on: Vec<String>,
    compared: Vec<String>,
    keyed: bool,
    kinds: Vec<Kind>,
    tolerance: Tolerance,
    key: u64,
    parts: usize,
    /// Left, right.
    sides: [SideThere; 2],
}

/// One of the two files.
#[derive(Debug, Serialize, Deserialize)]
struct SideThere {
    path: PathBuf,
    recorded: bool,
    fields: Fields,
}

/// Divides the rows of a stretch into parts.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Divide {
    terms: PathBuf,
    side: usize,
    stretch: Stretch,
    output: PathBuf,
}

/// What a stretch has; lines are counted from its first one, which is 0.
#[derive(Debug, Serialize, Deserialize)]
struct DividedStretch {
    began: u64,
    ended: u64,
    lines: u64,
    rows: u64,
    unreadable: u64,
    /// The first records that cannot be read.
    examples: Vec<(u64, String)>,
    other_decimal: Option<(u64, String)>,
}

/// Joins the rows of a part.
#[derive(Debug, Serialize, Deserialize)]
struct JoinPart {
    terms: PathBuf,
    /// The file with the list of stretches of either file: left, right.
    stretches: PathBuf,
    part: usize,
    /// The file for the joined rows, if they are wanted.
    output: Option<PathBuf>,
}

/// What a part has.
#[derive(Debug, Serialize, Deserialize)]
struct JoinedPart {
    findings: Findings,
    /// The numbers of its rows in the left and the right file.
    rows: [u64; 2],
    /// Runs of joined rows in the file: of the left file, of the right one.
    runs: [Vec<usize>; 2],
}

/// The files of the stretches of one file, in order, each with the number of its rows.
type Stretches = Vec<(PathBuf, u64)>;

/// Carries out a task whose text began with [`PREFIX`].
///
/// # Errors
/// If it may succeed another time or on another machine.
pub fn carry_out(text: &str) -> Result<String> {
    match serde_json::from_str(text).map_err(not_json)? {
        Task::Digest(path) => answer(Digest::of_file(&path)),
        Task::Divide(task) => answer(task.carry_out()),
        Task::Join(task) => answer(task.carry_out()),
    }
}

fn not_json(error: serde_json::Error) -> Error {
    Error::backend("serde_json", error)
}

fn text(task: &Task) -> Result<String> {
    serde_json::to_string(task).map(|task| format!("{PREFIX}{task}")).map_err(not_json)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(|e| Error::io("read", path, e))?;
    serde_json::from_slice(&bytes).map_err(not_json)
}

impl Divide {
    fn carry_out(&self) -> Result<DividedStretch> {
        let terms: Terms = read_json(&self.terms)?;
        let config = terms.config.parse()?;
        let SideThere { path, recorded, fields } = &terms.sides[self.side];
        let own = *recorded || is_our_own(path);
        let numbers = if own { NumberFormat::default() } else { config.ingestion.numbers };
        let spelling = Spelling::new(&config.schema, &config.ingestion).with_numbers(numbers);
        let max_bytes = if *recorded { usize::MAX } else { config.ingestion.max_line_bytes };
        let shape = Shape { width: fields.kinds.len(), max_bytes };
        let mut maker = RowMaker::new(&spelling, fields, RowHasher(terms.key), shape);
        let mut reader = StretchReader::open(path, self.stretch)?;
        let mut parts = Parts::create_there(&self.output, terms.parts)?;
        let (mut chunk, mut rows) = (Vec::new(), Rows::default());
        let (mut lines, mut unreadable, mut examples) = (0, 0, Vec::new());
        let mut other_decimal = None;
        while reader.next(&mut chunk, shape)?.is_some() {
            maker.make(&chunk, &mut rows);
            if let Some((at, words)) = rows.other_decimal.take() {
                other_decimal.get_or_insert((lines + at, words));
            }
            unreadable += rows.unreadable.len() as u64;
            let more = rows.unreadable.drain(..).map(|(at, words)| (lines + at, words));
            examples.extend(more.take(EXAMPLES - examples.len()));
            parts.add(&chunk, &rows)?;
            lines += rows.lines;
        }
        let (began, ended, rows) = (reader.began(), reader.ended(), parts.rows);
        parts.publish()?;
        Ok(DividedStretch { began, ended, lines, rows, unreadable, examples, other_decimal })
    }
}

impl JoinPart {
    fn carry_out(&self) -> Result<JoinedPart> {
        let terms: Terms = read_json(&self.terms)?;
        let config = terms.config.parse()?;
        let [left, right]: [Stretches; 2] = read_json(&self.stretches)?;
        let Terms { on, compared, keyed, kinds, tolerance, key, .. } = terms;
        let (left_only, right_only) = (Vec::new(), Vec::new());
        let reordered = false;
        let columns = Columns { on, compared, left_only, right_only, reordered, keyed, kinds };
        let plan = Plan { columns: &columns, tolerance, hasher: RowHasher(key) };
        let open = |stretches: &Stretches| Divided::open(stretches, self.part);
        let (left, right) = (open(&left)?, open(&right)?);
        let rows = [&left, &right].map(|divided| divided.rows_of(self.part) as u64);
        // As many tasks as an executor has cores share its memory.
        let mut all = Partitioned { plan, left, right, memory: config.limits.memory / 4 };
        let mut findings = Findings::new(columns.compared.len());
        let create = |path: &PathBuf| Spool::create_there(path, 0).map(Runs::new);
        let mut runs = self.output.as_ref().map(create).transpose()?;
        all.join_part(self.part, &mut findings, runs.as_mut())?;
        let runs = match runs {
            Some(Runs { spool, left, right }) => {
                spool.publish()?;
                [left, right]
            }
            None => Default::default(),
        };
        Ok(JoinedPart { findings, rows, runs })
    }
}

/// What an engine found.
pub(crate) struct Joined {
    pub(crate) findings: Findings,
    /// Left, right.
    pub(crate) readings: [Reading; 2],
    pub(crate) file: Option<JoinedFile>,
}

/// Has the engine join two files, both of which can be read in stretches. `create` begins the file for the joined rows,
/// if they are wanted.
pub(crate) fn join(
    there: There<'_>,
    plan: Plan<'_>,
    sources: [(&Source, Side<'_>, &Fields); 2],
    create: impl FnOnce() -> Result<Option<JoinedFile>>,
) -> Result<Joined> {
    let There { engine, config, disk } = there;
    disk.create_folder(&config.output_folder)?;
    let folder = disk.temporary_folder(&config.output_folder)?;
    let shared = absolute(folder.path())?;
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = shared.join(name);
        let mut file = disk.new_file(&path)?;
        file.write_all(bytes)?;
        file.publish_unsynced()?;
        Ok(path)
    };
    let bytes: u64 = sources.iter().map(|(source, ..)| source.size()).sum();
    let parts = bytes.div_ceil(engine.range_bytes().max(1)).clamp(1, PARTITIONS as u64);
    let parts = usize::try_from(parts.next_power_of_two()).unwrap_or(PARTITIONS);
    let side = |(_, side, fields): &(&Source, Side<'_>, &Fields)| -> Result<_> {
        let path = absolute(side.path)?;
        Ok(SideThere { path, recorded: side.recorded, fields: (*fields).clone() })
    };
    let terms = Terms {
        config: ConfigText::of(config)?,
        on: plan.columns.on.clone(),
        compared: plan.columns.compared.clone(),
        keyed: plan.columns.keyed,
        kinds: plan.columns.kinds.clone(),
        tolerance: plan.tolerance,
        key: plan.hasher.0,
        parts,
        sides: [side(&sources[0])?, side(&sources[1])?],
    };
    let terms_path = write("terms.json", &serde_json::to_vec(&terms).map_err(not_json)?)?;

    let (readings, stretches) = divide(engine, &terms, (&terms_path, &shared), sources)?;
    let mut file = create()?;
    let list = write("stretches.json", &serde_json::to_vec(&stretches).map_err(not_json)?)?;
    let output = |part| shared.join(format!("joined-{part}"));
    let wanted = file.is_some();
    let task = |part| JoinPart {
        terms: terms_path.clone(),
        stretches: list.clone(),
        part,
        output: wanted.then(|| output(part)),
    };
    let texts = (0..parts).map(|part| text(&Task::Join(task(part))));
    let answers = engine.run(texts.collect::<Result<_>>()?)?;
    let mut answers = answers.iter().map(String::as_str);
    let mut findings = Findings::new(plan.columns.compared.len());
    let (mut rows, mut spools, mut runs) = ([0; 2], Vec::new(), [Vec::new(), Vec::new()]);
    for part in 0..parts {
        let joined: JoinedPart = next(&mut answers)?.map_err(Error::data)?;
        findings.add(joined.findings);
        rows.iter_mut().zip(joined.rows).for_each(|(sum, rows)| *sum += rows);
        if wanted {
            let count = joined.runs.iter().map(Vec::len).sum();
            spools.push(Spool::open(&output(part), 0..count)?);
            for (all, runs) in runs.iter_mut().zip(joined.runs) {
                all.extend(runs.into_iter().map(|run| (part, run)));
            }
        }
    }
    if rows != [readings[0].rows, readings[1].rows] {
        return Err(Error::remote(
            "the parts of the files do not have the rows that the cluster counted: the folder that all machines share \
             is unreliable. Nothing was changed",
        ));
    }
    if let Some(file) = &mut file {
        let [left, right] = runs;
        merge(&mut spools, left.into_iter(), file)?;
        merge(&mut spools, right.into_iter(), file)?;
    }
    Ok(Joined { findings, readings, file })
}

/// Has the rows of both files divided into parts.
fn divide(
    engine: &Arc<dyn Engine>,
    terms: &Terms,
    (terms_path, shared): (&Path, &Path),
    sources: [(&Source, Side<'_>, &Fields); 2],
) -> Result<([Reading; 2], [Stretches; 2])> {
    let mut texts = Vec::new();
    let mut tasks = <[Vec<Divide>; 2]>::default();
    for (side, (source, ..)) in sources.iter().enumerate() {
        if terms.sides[side].recorded {
            texts.push(text(&Task::Digest(terms.sides[side].path.clone()))?);
        }
        let stretches = Stretch::all(source.offset(), source.size(), engine.range_bytes());
        for (number, stretch) in stretches.into_iter().enumerate() {
            let output = shared.join(format!("{}-{number}", ["left", "right"][side]));
            let task = Divide { terms: terms_path.to_owned(), side, stretch, output };
            texts.push(text(&Task::Divide(task.clone()))?);
            tasks[side].push(task);
        }
    }
    let answers = engine.run(texts)?;
    let mut answers = answers.iter().map(String::as_str);
    let mut found = Vec::new();
    for (side, tasks) in terms.sides.iter().zip(&tasks) {
        let digest = side.recorded.then(|| next::<Digest>(&mut answers));
        let digest = digest.transpose()?.transpose().map_err(Error::data)?;
        let stretches = tasks.iter().map(|_| next::<DividedStretch>(&mut answers));
        found.push((digest, stretches.collect::<Result<Vec<_>>>()?));
    }
    // On one machine the right file is read first, so that its faults are the first to be told.
    let (mut readings, mut lists) = (Vec::new(), <[Stretches; 2]>::default());
    while let Some((digest, answers)) = found.pop() {
        let side = found.len();
        let (source, Side { path, .. }, _) = sources[side];
        let examples = Examples::default();
        let mut reading = Reading { digest, rows: 0, unreadable: 0, examples };
        let (mut expected, mut line) = (source.offset(), source.line());
        for (number, (mut task, mut stretch)) in tasks[side].drain(..).zip(answers).enumerate() {
            // Where a stretch begins within quotes, it is read again from where the one before ended.
            if number > 0 && !stretch.as_ref().is_ok_and(|stretch| stretch.began == expected) {
                task.stretch = Stretch { from: expected, exact: true, ..task.stretch };
                task.output.as_mut_os_string().push("-again");
                let answers = engine.run(vec![text(&Task::Divide(task.clone()))?])?;
                stretch = next(&mut answers.iter().map(String::as_str))?;
            }
            let stretch =
                stretch.map_err(|words| Error::schema(path.display().to_string(), words))?;
            if let Some((at, words)) = &stretch.other_decimal {
                return Err(other_decimal(path, line + at, words));
            }
            for (number, (at, words)) in (reading.unreadable..).zip(stretch.examples) {
                reading.examples.offer(number, || format!("line {}: {words}", line + at));
            }
            reading.unreadable += stretch.unreadable;
            reading.rows += stretch.rows;
            lists[side].push((task.output, stretch.rows));
            (expected, line) = (stretch.ended, line + stretch.lines);
        }
        source.unchanged(path)?;
        readings.insert(0, reading);
    }
    let [left, right] = <[Reading; 2]>::try_from(readings)
        .map_err(|_| Error::backend("ballista", "two files are compared"))?;
    Ok(([left, right], lists))
}
