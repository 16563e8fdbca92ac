//! What a machine of a distributed engine does for a training: it reads rows, packs them, and sums.
//!
//! Each task is a text; carried out twice, it does the same. Not for who asks, and what becomes of the answers: see
//! [`super::train_there`].

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::csv::chunk::{CHUNK_BYTES, ChunkReader, Header};
use crate::csv::clean::Labels;
use crate::csv::formats::is_our_own;
use crate::csv::header::{Layout, Purpose};
use crate::csv::parse::{Parsed, RowParser};
use crate::csv::ranges::{Stretch, StretchReader};
use crate::csv::row_hash::RowHasher;
use crate::csv::values::Wanted;
use crate::dataset::task::{ConfigText, answer};
use crate::model::fit::Question;
use crate::model::shared_rows::{MakePart, SharedRows, StretchRows};
use crate::model::{TrainingBatch, TrainingRows};
use crate::platform::digest::Digest;
use crate::platform::disk::Disk;
use crate::platform::files;
use crate::table::Table;
use crate::table::schema::Schema;
use crate::{Error, Result};

use super::excluded_rows::{HeldOut, HeldOutText};

/// How the texts of these tasks begin.
pub(crate) const PREFIX: &str = "training:";
/// What is asked of whoever carries it out.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    Read(Box<ReadRows>),
    Digest(PathBuf),
    Part(Box<MakePart>, ConfigText),
    Pass(Box<Pass>),
}

/// Reads the training rows of a stretch of a data set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ReadRows {
    pub(super) config: ConfigText,
    pub(super) negative_label: Option<String>,
    pub(super) dataset: PathBuf,
    pub(super) held_out: PathBuf,
    pub(super) stretch: Stretch,
    pub(super) output: PathBuf,
}

/// What a stretch has.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RowsRead {
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) rejected: u64,
    pub(super) held_out: u64,
    pub(super) rows: StretchRows,
}

/// Answers a question for some units of rows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pass {
    pub(super) rows: PathBuf,
    pub(super) question: Question,
    pub(super) units: Range<usize>,
}

/// Carries out a task whose text began with [`PREFIX`].
pub(crate) fn carry_out(text: &str) -> Result<String> {
    match serde_json::from_str(text).map_err(not_json)? {
        Task::Read(task) => answer(task.carry_out()),
        Task::Digest(path) => answer(Digest::of_file(&path)),
        Task::Part(task, config) => {
            let config = config.parse()?;
            let memory = config.limits.memory / 4;
            answer(task.carry_out(&Disk::for_task(), memory, &config.output_folder))
        }
        Task::Pass(task) => answer(task.carry_out()),
    }
}

pub(super) fn not_json(error: serde_json::Error) -> Error {
    Error::backend("serde_json", error)
}

pub(super) fn text(task: &Task) -> Result<String> {
    serde_json::to_string(task).map(|task| format!("{PREFIX}{task}")).map_err(not_json)
}

/// A parser of the rows of the data set at `path`, as training reads them.
pub(super) fn parser<'a>(
    config: &'a Config,
    schema: &'a Schema,
    header: &Header,
    path: &Path,
) -> Result<RowParser<'a>> {
    let place = path.display().to_string();
    let options = &config.ingestion;
    let layout = Layout::of(header, &options.columns, schema, Purpose::Labelled, &place)?;
    let parser = RowParser::new(schema, layout, options, Labels::of(schema), RowHasher(0));
    let parser = if is_our_own(path) { parser.of_our_own() } else { parser };
    Ok(parser.without_hashes())
}

pub(super) fn open(path: &Path) -> Result<ChunkReader<File>> {
    let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
    Ok(ChunkReader::new(file, path, CHUNK_BYTES).without_digest())
}

pub(super) fn wanted(held: &HeldOut) -> Wanted {
    Wanted { ids: !held.is_empty(), hashes: false, numbers: None }
}

/// The configuration as training reads data sets with it: their lines may be longer than those of other files.
pub(super) fn without_line_limit(mut config: Config) -> Config {
    config.ingestion = config.ingestion.without_line_limit();
    config
}

impl ReadRows {
    fn carry_out(&self) -> Result<RowsRead> {
        let path = &self.dataset;
        let config = without_line_limit(self.config.parse()?);
        let schema = match &self.negative_label {
            Some(label) => config.schema.clone().with_negative_label(label),
            None => config.schema.clone(),
        };
        let held = held_out_at(&self.held_out, &schema)?;
        let header = open(path)?.header()?.ok_or_else(|| no_header(path))?;
        let mut parser = parser(&config, &schema, &header, path)?;
        let mut reader = StretchReader::open(path, self.stretch)?;
        let missing = config.training.missing;
        let mut rows = TrainingRows::new(&schema, &config.training);
        let (mut chunk, mut parsed) = (Vec::new(), Parsed::default());
        let (mut table, mut batch) = (Table::new(&schema), TrainingBatch::default());
        let (mut rejected, mut held_out) = (0, 0);
        while let Some(first) = reader.next(&mut chunk, parser.shape())? {
            parser.values(&chunk, first, wanted(&held), &mut parsed, &mut table);
            rejected += parsed.rejected.len() as u64;
            let all = table.len();
            held.leave_out(&mut table);
            held_out += (all - table.len()) as u64;
            batch.fill(&mut table, missing);
            rows.push(&mut batch)?;
        }
        let rows = rows.write_stretch(&Disk::for_task(), &self.output)?;
        Ok(RowsRead { began: reader.began(), ended: reader.ended(), rejected, held_out, rows })
    }
}

pub(super) fn no_header(path: &Path) -> Error {
    Error::data(format!("{} is empty where a data set has a header", path.display()))
}

/// The rows to leave out that a training wrote to `path`. Tasks of one training share them.
fn held_out_at(path: &Path, schema: &Schema) -> Result<Arc<HeldOut>> {
    static LAST: Mutex<Option<(PathBuf, Arc<HeldOut>)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, held)) = last.as_ref().filter(|(known, _)| known == path) {
        return Ok(Arc::clone(held));
    }
    let text: HeldOutText = read_json(path)?;
    let held = Arc::new(text.read(schema)?);
    *last = Some((path.to_owned(), Arc::clone(&held)));
    Ok(held)
}

impl Pass {
    fn carry_out(&self) -> Result<String> {
        let rows: SharedRows = read_json(&self.rows)?;
        let mut bytes = Vec::new();
        for sums in rows.answer(&self.question, self.units.clone())? {
            bytes.extend((sums.len() as u64).to_le_bytes());
            bytes.extend(sums);
        }
        Ok(STANDARD.encode(bytes))
    }
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = files::read(path).map_err(|e| Error::io("read", path, e))?;
    serde_json::from_slice(&bytes).map_err(not_json)
}
