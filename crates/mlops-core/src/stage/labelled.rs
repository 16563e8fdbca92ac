//! `labels.train`: predicted rows with labels become files of training rows, which ingestion takes
//! like those of any other source.
//!
//! A row is written once, into `labelled/labelled-{n}.csv` of the output folder. A label that changes
//! afterwards is corrected in that file, and ingestion then replaces its rows. Each file is written
//! before the store knows: a kill between the two makes the next run write the same file again. Not
//! for joining: see [`super::outcomes`].

use std::collections::BTreeMap;
use std::path::Path;

use crate::outcomes::Store;
use crate::platform::files;
use crate::prediction_log::reader::line_at;
use crate::prediction_log::{Feature, Line, Want};
use crate::run::context::Context;
use crate::table::quote::push_text;
use crate::table::schema::{Role, Schema};
use crate::{Error, Result, text};

/// Rows of a file, at most.
const ROWS: usize = 100_000;

/// What was passed on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Passed {
    /// Rows that were written or corrected.
    pub(super) rows: u64,
    /// Rows whose features are not in the log, or not any more.
    lost: u64,
    /// Nobody has said yet how the negative label is spelt.
    unspelt: bool,
}

impl Passed {
    /// What to do about what could not be passed on.
    pub(super) fn trouble(&self) -> Option<String> {
        if self.unspelt {
            return Some(
                "predictions with labels cannot be trained on before it is known how the negative \
                 label is spelt: set \"schema.negative_label\""
                    .to_owned(),
            );
        }
        (self.lost > 0).then(|| {
            format!(
                "{} with a label cannot be trained on, since the log has no features of {}, or has \
                 them no more: keep more of it with \"service.prediction_log_keep_files\"",
                text::plural(self.lost, "prediction"),
                if self.lost == 1 { "it" } else { "them" }
            )
        })
    }
}

/// Writes what is new and corrects what changed.
pub(super) fn run(
    context: &Context,
    schema: &Schema,
    store: &mut Store,
    log: &Path,
) -> Result<Passed> {
    let folder = context.config.labelled_folder();
    let mut passed = Passed::default();
    let Some(negative) = schema.negative_label() else {
        return Ok(Passed { unspelt: true, ..passed });
    };
    let cell = |positive: bool| {
        let mut cell = vec![b','];
        push_text(if positive { schema.positive_label() } else { negative }, &mut cell);
        cell
    };
    store.prepare_to_pass()?;
    for (number, rows) in store.corrections()? {
        let path = folder.join(name(number));
        let bytes = files::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let mut lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
        let mut corrected = BTreeMap::new();
        for (_, line, positive) in &rows {
            let at = usize::try_from(*line).unwrap_or(usize::MAX);
            let kept = lines.get(at).and_then(|line| line.strip_suffix(&cell(!positive)[..]));
            if let Some(kept) = kept {
                corrected.insert(at, [kept, &cell(*positive)[..]].concat());
            }
            passed.rows += 1;
        }
        for (at, line) in &corrected {
            lines[*at] = line;
        }
        context.disk.write(&path, &lines.join(&b'\n'))?;
        store.passed(number, &rows, &[])?;
    }
    loop {
        let pending = store.pending(ROWS)?;
        if pending.is_empty() {
            return Ok(passed);
        }
        let (mut out, mut rows, mut lost) = (schema.header(), Vec::new(), Vec::new());
        for one in &pending {
            let line = line_at(&log.join(&one.log), one.byte, Want::Features)?;
            if line.is_some_and(|line| push_row(&mut out, schema, &line)) {
                out.extend_from_slice(&cell(one.positive));
                out.push(b'\n');
                rows.push((one.id, rows.len() as u64 + 1, one.positive));
            } else {
                lost.push(one.id);
            }
        }
        let number = store.next_file()?;
        if !rows.is_empty() {
            context.disk.write(&folder.join(name(number)), &out)?;
        }
        store.passed(number, &rows, &lost)?;
        passed.rows += rows.len() as u64;
        passed.lost += lost.len() as u64;
    }
}

fn name(number: i64) -> String {
    format!("labelled-{number:06}.csv")
}

/// Appends the cells of a row without its label; false, and nothing, if the line has not all of them.
fn push_row(out: &mut Vec<u8>, schema: &Schema, line: &Line) -> bool {
    let Some(features) = &line.features else { return false };
    let before = out.len();
    let columns = schema.columns().iter().filter(|column| column.role != Role::Target);
    for (i, column) in columns.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if column.role == Role::Id {
            push_text(line.id(&column.name).unwrap_or_default(), out);
            continue;
        }
        match features.iter().find(|(name, _)| *name == column.name) {
            Some((_, Feature::Missing)) => {}
            Some((_, Feature::Number(value))) if column.role == Role::Numeric => {
                out.extend_from_slice(spelt(*value).as_bytes());
            }
            Some((_, Feature::Text(text))) if column.role != Role::Numeric => push_text(text, out),
            _ => {
                out.truncate(before);
                return false;
            }
        }
    }
    true
}

/// A number as our own files have it: whole ones without a point.
fn spelt(value: f64) -> String {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(value);
    text.strip_suffix(".0").unwrap_or(text).to_owned()
}
