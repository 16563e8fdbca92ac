//! Predicts the rows of CSV files by the app: sends them block by block and combines the answers.
//!
//! Memory: one block, and the first [`KEPT`] rows of the answers. Rows are cleaned as in ingestion,
//! so that a file is sent as it is understood; rows that cannot be read are not sent but counted.
//! Not for predicting: the app does that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use mlops_core::csv::reader::RowReader;
use mlops_core::platform::digest::Digest;
use mlops_core::table::schema::{Role, Schema};
use mlops_core::text;
use mlops_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::{Api, Call, PREDICTION};
use crate::data::Data;

/// The number of rows stored with their predictions; all are counted.
pub const KEPT: usize = 100_000;
/// Bytes of a block: enough for the overhead of a call not to matter. An app with a smaller limit
/// gets smaller blocks.
const BLOCK_BYTES: usize = 1 << 18;
/// The status of an answer to a block that is too large.
const TOO_LARGE: u16 = 413;
/// The number of bad rows, as found by the app, that an error names.
const FAULTS: usize = 3;
/// The lists in an answer with one entry per row.
const LISTS: [&str; 2] = ["predictions", "probabilities"];

/// The app's predictions for the rows of files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Predictions {
    /// The files.
    pub files: Vec<DataFile>,
    /// The number of rows predicted.
    pub rows: u64,
    /// The number of rows by predicted label.
    pub labels: BTreeMap<String, u64>,
    /// The first rows, in order.
    pub kept: Kept,
    /// The releases that answered; several if one was promoted meanwhile.
    #[serde(skip)]
    pub releases: BTreeSet<String>,
}

/// A file whose rows were sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataFile {
    /// The file name.
    pub name: String,
    /// The digest of its content.
    pub sha256: Digest,
    /// The number of rows in it.
    pub rows: u64,
    /// The number of rows that cannot be read and were not sent.
    pub rejected: u64,
    /// The first of those, with line and reason.
    pub examples: Vec<String>,
}

/// Predictions row by row, stored by column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The id columns, joined by spaces; the number of the row if there are none.
    pub ids: Vec<String>,
    /// The predicted label.
    pub predictions: Vec<String>,
    /// The probability of the positive label.
    pub probabilities: Vec<f64>,
}

/// Sends the rows of `data` and collects the answers. The call stands for all blocks and ends at
/// the first one that fails. An error is returned only if a file cannot be read.
pub fn predict(api: &Api, data: &Data) -> Result<(Call, Predictions)> {
    let Data { schema, options, files, max_body } = data;
    let mut sender = Sender::new(api, schema, BLOCK_BYTES.min(*max_body));
    for path in *files {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let reader = RowReader::prediction(schema, options);
        sender.name.clone_from(&name);
        sender.sent = 0;
        let reading = reader.rows(path, |row| if sender.push(row) { Ok(()) } else { Err(stop()) });
        if !sender.failed() {
            sender.flush();
        }
        if sender.failed() {
            break;
        }
        let reading = reading?;
        sender.predictions.files.push(DataFile {
            name,
            sha256: reading.digest,
            rows: reading.rows_read,
            rejected: reading.rejected,
            examples: reading.examples,
        });
    }
    match sender.call {
        Some(call) => Ok((call, sender.predictions)),
        None => Err(no_rows(files, &sender.predictions)),
    }
}

/// Ends the reading of a file; this error is never shown.
fn stop() -> Error {
    Error::data("a call failed")
}

fn no_rows(files: &[PathBuf], read: &Predictions) -> Error {
    let names = text::names(files.iter().map(|path| path.to_string_lossy()));
    let mut message = format!("no row to predict in {names}");
    let examples = read.files.iter().flat_map(|file| &file.examples);
    for example in examples.take(text::MOST_NAMES) {
        message.push_str("\n  - ");
        message.push_str(example);
    }
    Error::data(message)
}

/// The block being filled, and the results of earlier ones.
struct Sender<'a> {
    api: &'a Api,
    header: Vec<u8>,
    ids: usize,
    /// The current file, and the number of its rows sent so far.
    name: String,
    sent: u64,
    /// Rows not yet sent, and the end of each of them.
    block: Vec<u8>,
    ends: Vec<usize>,
    /// Maximum size of a block in bytes.
    limit: usize,
    call: Option<Call>,
    predictions: Predictions,
}

impl<'a> Sender<'a> {
    fn new(api: &'a Api, schema: &Schema, limit: usize) -> Self {
        Self {
            api,
            header: schema.header(),
            ids: schema.count(Role::Id),
            name: String::new(),
            sent: 0,
            block: Vec::new(),
            ends: Vec::new(),
            limit,
            call: None,
            predictions: Predictions::default(),
        }
    }

    fn failed(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.error.is_some())
    }

    /// Adds a row, after sending the block if it is full; returns false once a call failed.
    fn push(&mut self, row: &[u8]) -> bool {
        if self.header.len() + self.block.len() + row.len() > self.limit {
            self.flush();
        }
        self.block.extend_from_slice(row);
        self.ends.push(self.block.len());
        !self.failed()
    }

    /// Sends the rows of the block, if there are any.
    fn flush(&mut self) {
        let (block, ends) = (std::mem::take(&mut self.block), std::mem::take(&mut self.ends));
        let mut first = 0;
        while first < ends.len() && !self.failed() {
            let start = if first == 0 { 0 } else { ends[first - 1] };
            let room = self.limit.saturating_sub(self.header.len());
            let fitting = ends[first..].partition_point(|end| end - start <= room).max(1);
            let last = first + fitting;
            let rows = [self.header.as_slice(), &block[start..ends[last - 1]]].concat();
            let call = self.api.post_csv(PREDICTION, &rows);
            if call.status == Some(TOO_LARGE) && fitting > 1 {
                // This app accepts less at a time.
                self.limit = rows.len() / 2;
                continue;
            }
            self.answered(call, &rows, fitting as u64);
            first = last;
        }
        (self.block, self.ends) = (block, ends);
        self.block.clear();
        self.ends.clear();
    }

    /// Processes the answer to `count` rows, which follow their header in `rows`.
    fn answered(&mut self, mut call: Call, rows: &[u8], count: u64) {
        if call.error.is_none() {
            call.error = self.take(&mut call, rows, count).err();
        }
        let reached = call.reached();
        if let Some(error) = call.error.as_mut().filter(|_| reached) {
            let (first, last) = (text::count(self.sent + 1), text::count(self.sent + count));
            *error = format!("{error} (rows {first} to {last} of {})", self.name);
            for fault in faults(&call.answer, self.sent) {
                error.push_str("; ");
                error.push_str(&fault);
            }
        }
        self.call = Some(match self.call.take() {
            Some(before) => together(before, call),
            None => call,
        });
        self.sent += count;
    }

    /// Appends the lists of an answer to the others; returns what is wrong with it, if anything.
    fn take(&mut self, call: &mut Call, rows: &[u8], count: u64) -> Result<(), String> {
        let Value::Object(answer) = &mut call.answer else {
            return Err("the answer is not an object: is this the app?".to_owned());
        };
        let [labels, probabilities] = LISTS.map(|name| match answer.shift_remove(name) {
            Some(Value::Array(list)) if list.len() as u64 == count => Ok(list),
            Some(Value::Array(list)) => {
                let rows = text::plural(count, "row");
                Err(format!(
                    "\"{name}\" has {} for {rows}",
                    text::plural(list.len() as u64, "value")
                ))
            }
            _ => Err(format!("the answer has no list \"{name}\": is this the app?")),
        });
        let (labels, probabilities) = (labels?, probabilities?);
        let probabilities: Option<Vec<f64>> = probabilities.iter().map(Value::as_f64).collect();
        let probabilities = probabilities.ok_or("a probability is not a number")?;
        let predictions = &mut self.predictions;
        let room = KEPT.saturating_sub(predictions.kept.predictions.len());
        predictions.kept.ids.extend(ids(rows, self.ids, predictions.rows).take(room));
        predictions.kept.probabilities.extend(probabilities.into_iter().take(room));
        for (i, label) in labels.into_iter().enumerate() {
            let label = match label {
                Value::String(label) => crate::call::plain(&label),
                other => other.to_string(),
            };
            if i < room {
                predictions.kept.predictions.push(label.clone());
            }
            *predictions.labels.entry(label).or_default() += 1;
        }
        predictions.rows += count;
        predictions.releases.extend(call.release.clone());
        Ok(())
    }
}

/// The first bad rows according to the app, by their number in the file; `before` were sent before.
fn faults(answer: &Value, before: u64) -> Vec<String> {
    let errors = answer.get("errors").and_then(Value::as_array).into_iter().flatten();
    let sentence = |fault: &Value| {
        let row = text::count(before + 1 + fault.get("row")?.as_u64()?);
        let reason = crate::call::plain(fault.get("reason")?.as_str()?);
        Some(match fault.get("column").and_then(Value::as_str) {
            Some(column) => format!("row {row}, column {column:?}: {reason}"),
            None => format!("row {row}: {reason}"),
        })
    };
    errors.take(FAULTS).filter_map(sentence).collect()
}

/// The ids of `rows`, which start with a header and follow `before` others.
fn ids(rows: &[u8], columns: usize, before: u64) -> impl Iterator<Item = String> {
    let rows = csv::ReaderBuilder::new().flexible(true).from_reader(rows);
    rows.into_records().zip(before + 1..).map(move |(row, number)| {
        let row = row.unwrap_or_default();
        let id: Vec<&str> = row.iter().take(columns).filter(|cell| !cell.is_empty()).collect();
        if id.is_empty() { format!("row {number}") } else { crate::call::plain(&id.join(" ")) }
    })
}

/// Combines the calls of two blocks: attempts and times are added, and so are counts in the
/// answers.
fn together(before: Call, now: Call) -> Call {
    let answer = match now.error {
        Some(_) => now.answer,
        None => sum(before.answer, now.answer),
    };
    Call {
        attempts: before.attempts + now.attempts,
        seconds: before.seconds + now.seconds,
        answer,
        ..now
    }
}

/// The later answer, with the integers of both added.
fn sum(before: Value, now: Value) -> Value {
    match (before, now) {
        (Value::Number(a), Value::Number(b)) => match (a.as_u64(), b.as_u64()) {
            (Some(a), Some(b)) => Value::from(a.saturating_add(b)),
            _ => Value::Number(b),
        },
        (Value::Object(mut a), Value::Object(b)) => {
            let merged: Map<String, Value> = b
                .into_iter()
                .map(|(key, value)| {
                    let value = sum(a.shift_remove(&key).unwrap_or_default(), value);
                    (key, value)
                })
                .collect();
            // Members that only the first block's answer has are kept.
            merged.into_iter().chain(a).collect::<Map<_, _>>().into()
        }
        (_, now) => now,
    }
}
