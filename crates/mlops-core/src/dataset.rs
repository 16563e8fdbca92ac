//! Reading a file of rows as typed batches: our own data sets, test files, files to predict.
//!
//! Rows go through the same cleaning as in ingestion, so that a test file may be spelt as badly
//! as any other. Not for writing: see `ingest`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::Ingestion;
use crate::digest::Digest;
use crate::ingest::chunk::{CHUNK_BYTES, ChunkReader};
use crate::ingest::clean::Labels;
use crate::ingest::dedup::RowHasher;
use crate::ingest::layout::{Layout, Purpose};
use crate::ingest::parse::{Parsed, RowParser};
use crate::ingest::quarantine::Rejected;
use crate::schema::Schema;
use crate::table::Table;
use crate::{Error, Result};

/// How to read a file.
#[derive(Debug, Clone, Copy)]
pub struct RowReader<'a> {
    schema: &'a Schema,
    options: &'a Ingestion,
    purpose: Purpose,
    hasher: RowHasher,
    with_ids: bool,
}

/// What came of a file besides its good rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Identity of the file's bytes.
    pub digest: Digest,
    /// Records in the file.
    pub rows_read: u64,
    /// Records that could not be used.
    pub rejected: u64,
    /// The first of them, in words, with their lines.
    pub examples: Vec<String>,
    /// Columns that the schema does not name.
    pub extra_columns: Vec<String>,
}

/// A record that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which record, counted from 0; good ones and bad ones count.
    pub row: u64,
    /// The physical line on which it begins, counted from 1.
    pub line: u64,
    /// The column at fault; empty where no single one is.
    pub column: String,
    /// What is wrong, in words.
    pub message: String,
}

/// How many rejected rows a [`Reading`] describes.
const EXAMPLES: usize = 5;

impl<'a> RowReader<'a> {
    /// Reads labelled rows of `schema`. Hashes of two readers cannot be compared, unless one is
    /// a copy of the other.
    pub fn labelled(schema: &'a Schema, options: &'a Ingestion) -> Self {
        let hasher = RowHasher::random();
        Self { schema, options, purpose: Purpose::Labelled, hasher, with_ids: false }
    }

    /// Reads rows to predict; ids are optional, labels are passed over.
    pub fn prediction(schema: &'a Schema, options: &'a Ingestion) -> Self {
        Self { purpose: Purpose::Prediction, ..Self::labelled(schema, options) }
    }

    /// Reads labelled rows whose ids are optional: to score them and nothing else.
    pub fn evaluation(schema: &'a Schema, options: &'a Ingestion) -> Self {
        Self { purpose: Purpose::Evaluation, ..Self::labelled(schema, options) }
    }

    /// The same reader, which keeps ids too.
    #[must_use]
    pub fn with_ids(mut self) -> Self {
        self.with_ids = true;
        self
    }

    /// The same reader, whose hashes are the same in every run that uses `key`.
    #[must_use]
    pub fn keyed(mut self, key: u64) -> Self {
        self.hasher = RowHasher(key);
        self
    }

    /// Hands the rows of `path` to `visit`, a batch at a time, in order.
    pub fn read(
        &self,
        path: &Path,
        mut visit: impl FnMut(&Table) -> Result<()>,
    ) -> Result<Reading> {
        let mut batch = Table::new(self.schema);
        self.parse(path, |chunk, parsed| {
            self.fill(&mut batch, chunk, parsed);
            visit(&batch)
        })
    }

    /// Hands the rows that `input` spells to `visit`, a batch at a time, in order, together with
    /// the number of the batch's first record and the records in it that cannot be used.
    ///
    /// `input` is read in pieces of `chunk_bytes`; errors call it `place`.
    pub fn stream(
        &self,
        input: impl Read,
        place: &Path,
        chunk_bytes: usize,
        mut visit: impl FnMut(&Table, u64, Vec<Fault>) -> Result<()>,
    ) -> Result<Reading> {
        let mut batch = Table::new(self.schema);
        let mut first = 0;
        let reader = ChunkReader::new(input, place, chunk_bytes);
        self.records(reader, place, |chunk, parsed, line| {
            self.fill(&mut batch, chunk, parsed);
            let faults = parsed.rejected.iter().enumerate().map(|(before, rejected)| {
                let good = parsed.rows.partition_point(|row| u64::from(row.line) < rejected.line);
                Fault {
                    row: first + (before + good) as u64,
                    line: line + rejected.line,
                    column: rejected.column.as_ref().map(|c| c.1.clone()).unwrap_or_default(),
                    message: rejected.message.clone(),
                }
            });
            let faults = faults.collect();
            let result = visit(&batch, first, faults);
            first += (parsed.rows.len() + parsed.rejected.len()) as u64;
            result
        })
    }

    /// The good rows of a parsed chunk.
    fn fill(&self, batch: &mut Table, chunk: &[u8], parsed: &Parsed) {
        batch.clear();
        for row in &parsed.rows {
            let bytes = parsed.bytes(chunk, row);
            batch.push_canonical(bytes, self.schema, row.hash, self.with_ids);
        }
    }

    /// Hands each row of `path` to `visit` in canonical spelling, newline included, in order.
    pub fn rows(&self, path: &Path, mut visit: impl FnMut(&[u8]) -> Result<()>) -> Result<Reading> {
        self.parse(path, |chunk, parsed| {
            parsed.rows.iter().try_for_each(|row| visit(parsed.bytes(chunk, row)))
        })
    }

    fn parse(
        &self,
        path: &Path,
        mut visit: impl FnMut(&[u8], &Parsed) -> Result<()>,
    ) -> Result<Reading> {
        let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
        let reader = ChunkReader::new(file, path, CHUNK_BYTES);
        self.records(reader, path, |chunk, parsed, _| visit(chunk, parsed))
    }

    /// Parses what `reader` reads, a chunk at a time; `visit` also gets the chunk's first line.
    fn records(
        &self,
        mut reader: ChunkReader<impl Read>,
        path: &Path,
        mut visit: impl FnMut(&[u8], &Parsed, u64) -> Result<()>,
    ) -> Result<Reading> {
        let place = path.display().to_string();
        let mut reading = Reading {
            digest: Digest::of(b""),
            rows_read: 0,
            rejected: 0,
            examples: Vec::new(),
            extra_columns: Vec::new(),
        };
        if let Some(header) = reader.header()? {
            let layout =
                Layout::of(&header.bytes, &header.fields, self.schema, self.purpose, &place)?;
            reading.extra_columns.clone_from(&layout.extra);
            let labels = Labels {
                positive: self.schema.positive_label().to_owned(),
                negative: self.schema.negative_label().map(str::to_owned),
            };
            let mut parser = RowParser::new(self.schema, layout, self.options, labels, self.hasher);
            let (mut chunk, mut parsed) = (Vec::new(), Parsed::default());
            let mut line = header.lines + 1;
            while let Some(offset) = reader.next_chunk(&mut chunk, parser.shape())? {
                parser.parse(&chunk, offset, &mut parsed);
                reading.note(&parsed.rejected, line);
                reading.rows_read += (parsed.rows.len() + parsed.rejected.len()) as u64;
                visit(&chunk, &parsed, line)?;
                line += u64::from(parsed.lines);
            }
        }
        reading.digest = reader.digest();
        Ok(reading)
    }
}

impl Reading {
    fn note(&mut self, rejected: &[Rejected], first_line: u64) {
        self.rejected += rejected.len() as u64;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(rejected.iter().take(room).map(|r| {
            let column = r.column.as_ref().map(|(_, name)| name.as_str()).unwrap_or_default();
            let place = format!("line {}", first_line + r.line);
            if column.is_empty() {
                format!("{place}: {}", r.message)
            } else {
                format!("{place}, column \"{column}\": {}", r.message)
            }
        }));
    }
}
