//! Reading a file of rows as typed batches: our own data sets, test files, files to predict.
//!
//! Rows go through the same cleaning as in ingestion, so that a test file may be spelt as badly
//! as any other. Not for writing: see `ingest`.

use std::fs::File;
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
            batch.clear();
            for row in &parsed.rows {
                let bytes = parsed.bytes(chunk, row);
                batch.push_canonical(bytes, self.schema, row.hash, self.with_ids);
            }
            visit(&batch)
        })
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
        let place = path.display().to_string();
        let mut reader = ChunkReader::new(file, path, CHUNK_BYTES);
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
                line += u64::from(parsed.lines);
                visit(&chunk, &parsed)?;
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
