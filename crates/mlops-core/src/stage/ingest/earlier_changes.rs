//! The changed cells of rows that are taken from the last data set, because their files are gone or are not
//! read again. They come from the files of changes of that data set.
//!
//! A file of changes has the rows that its version added, in order; those of a version and of all
//! versions that it is based on are read one after the other. Such files are written in
//! [`super::record_changes`].

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::Result;
use crate::csv::chunk::{CHUNK_BYTES, ChunkReader};
use crate::csv::formats::{self, CHANGES};
use crate::csv::record::{self, Field, Next, Shape};
use crate::ids::DatasetVersion;
use crate::ledger::{DatasetRecord, Ledger};
use crate::platform::digest::Digest;
use crate::run::context::Context;

/// A changed cell of the last data set.
pub(super) struct Earlier {
    row: u64,
    pub(super) file: String,
    pub(super) part: String,
    pub(super) line: u64,
    pub(super) column: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) kind: String,
}

/// The changed cells of the last data set, in the order of its rows.
pub(super) struct EarlierChanges<'a> {
    context: &'a Context,
    /// The files that are still to be read, each with the number of the last row of its version.
    files: VecDeque<(u64, Option<PathBuf>)>,
    reader: Option<ChunkReader<std::fs::File>>,
    /// Lines that were read, and where the next one begins.
    text: Vec<u8>,
    at: usize,
    next: Option<Earlier>,
    /// Up to which row changes are known, or known to be unknown.
    until: u64,
    /// Whether the changes of the rows up to there are known.
    known: bool,
}

impl<'a> EarlierChanges<'a> {
    /// Those of `last`.
    pub(super) fn of(context: &'a Context, ledger: &Ledger, last: &DatasetRecord) -> Result<Self> {
        let mut files = VecDeque::new();
        let mut version = Some(last.version);
        while let Some(record) =
            version.map(|version| ledger.dataset(version)).transpose()?.flatten()
        {
            files.push_front((record.rows, file(context, ledger, record.version)?));
            version = record.base;
        }
        Ok(Self {
            context,
            files,
            reader: None,
            text: Vec::new(),
            at: 0,
            next: None,
            until: 0,
            known: true,
        })
    }

    /// The changed cells of `row`, from 1; the rows that are asked for ascend. `None` if nobody recorded
    /// them.
    pub(super) fn of_row(&mut self, row: u64) -> Result<Option<Vec<Earlier>>> {
        while self.until < row {
            let Some((until, path)) = self.files.pop_front() else { return Ok(None) };
            (self.until, self.known) = (until, path.is_some());
            (self.next, self.at, self.reader) = (None, 0, None);
            self.text.clear();
            if let Some(path) = path.filter(|_| until >= row) {
                let columns = CHANGES.map(str::to_owned);
                let options = self.context.config.ingestion.verbatim();
                let (opened, _) = formats::open(&path, &options, &columns, 1)?;
                let mut reader = ChunkReader::of(opened, &path, CHUNK_BYTES);
                reader.header()?;
                self.reader = Some(reader);
            }
        }
        if !self.known {
            return Ok(None);
        }
        let mut changes = Vec::new();
        while let Some(change) = self.peek()? {
            if change.row > row {
                break;
            }
            let change = self.next.take();
            changes.extend(change.filter(|change| change.row == row));
        }
        Ok(Some(changes))
    }

    fn peek(&mut self) -> Result<Option<&Earlier>> {
        if self.next.is_none()
            && let Some(reader) = &mut self.reader
        {
            let shape = Shape { width: CHANGES.len(), max_bytes: usize::MAX };
            if self.at == self.text.len() {
                self.at = 0;
                if reader.next_chunk(&mut self.text, shape)?.is_none() {
                    self.text.clear();
                    self.reader = None;
                    return Ok(None);
                }
            }
            let mut fields = Vec::new();
            let end = match record::next(&self.text, self.at, shape, &mut fields) {
                Next::Record { end, .. } | Next::Blank(end) => end,
            };
            self.next = earlier(&self.text, &fields);
            self.at = end;
        }
        Ok(self.next.as_ref())
    }
}

/// The file of changes of a version, if there is one and it is the recorded one.
fn file(context: &Context, ledger: &Ledger, version: DatasetVersion) -> Result<Option<PathBuf>> {
    let path = context.config.output_folder.join(version.changes_name());
    let Some(digest) = ledger.meta(&version.changes_key())? else { return Ok(None) };
    let sound = path.is_file() && Digest::of_file(&path)?.to_string() == digest;
    Ok(sound.then_some(path))
}

fn earlier(text: &[u8], fields: &[Field]) -> Option<Earlier> {
    let cell = |at: usize| -> Option<String> {
        let field = fields.get(at)?;
        let cell = String::from_utf8_lossy(&text[field.start..field.end]);
        Some(if field.escaped { cell.replace("\"\"", "\"") } else { cell.into_owned() })
    };
    Some(Earlier {
        row: cell(0)?.parse().ok()?,
        file: cell(1)?,
        part: cell(2)?,
        line: cell(3)?.parse().ok()?,
        column: cell(4)?,
        from: cell(5)?,
        to: cell(6)?,
        kind: cell(7)?,
    })
}
