//! Rereads the files whose rows are in a new data set, to find the cells that cleaning changed.
//!
//! The kept rows of a file are in the data set in the order of the file, and each is the first of its
//! kind. A row of the file was therefore kept exactly if it equals the next row of the data set. Only files
//! whose changes are to be recorded are read twice, so that an ingestion without that setting pays
//! nothing. Changes within a row are found in `csv::cell_changes` and recorded in
//! `stage::ingest::record_changes`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::counts::not_as_recorded;
use super::discover::SourceFile;
use crate::config::Config;
use crate::csv::cell_changes::{CellChange, Cells};
use crate::csv::checks::Checks;
use crate::csv::chunk::{CHUNK_BYTES, ChunkReader};
use crate::csv::clean::Labels;
use crate::csv::formats::{self, ChangedCell};
use crate::csv::header::{Layout, Purpose};
use crate::csv::parallel::{self, Made};
use crate::csv::parse::RowParser;
use crate::csv::pipeline::{Piece, Worker};
use crate::csv::record::{self, Field, Next, Shape};
use crate::csv::row_hash::RowHasher;
use crate::platform::digest::Digest;
use crate::table::schema::Schema;
use crate::{Error, Result, text};

/// A data set with the files that its rows came from.
pub(crate) struct ReadAgain<'a> {
    config: &'a Config,
    schema: &'a Schema,
    now: DateTime<Utc>,
    threads: usize,
    kept: Kept,
}

/// A content whose rows come next in the data set.
pub(crate) struct Content<'a> {
    /// Its file.
    pub(crate) file: &'a SourceFile,
    /// Its digest.
    pub(crate) sha256: Digest,
    /// The number of its rows that were kept.
    pub(crate) rows: u64,
    /// Rows, by part and line, that were given up.
    pub(crate) left_out: &'a BTreeSet<(String, u64)>,
}

/// Rows of an earlier data set.
pub(crate) struct Stretch<'a> {
    /// Its file.
    pub(crate) path: &'a Path,
    /// Its digest.
    pub(crate) sha256: Digest,
    /// The number of the first row, from 0.
    pub(crate) first: u64,
    /// The number of rows there.
    pub(crate) rows: u64,
    /// The number of these that were kept.
    pub(crate) kept: u64,
}

impl<'a> ReadAgain<'a> {
    /// Begins with the rows of the data set `data`, which errors call `place`, after the first `rows`,
    /// which take `bytes`, of a version that it starts with.
    pub(crate) fn start(
        config: &'a Config,
        schema: &'a Schema,
        now: DateTime<Utc>,
        (data, place): (File, &Path),
        base: Option<(u64, u64)>,
    ) -> Result<Self> {
        let threads = if config.limits.threads < 2 { 0 } else { config.limits.threads };
        let kept = Kept::start(data, place, schema.width(), base)?;
        Ok(Self { config, schema, now, threads, kept })
    }

    /// Passes over the rows of a content of which nobody wants the changes.
    pub(crate) fn pass_over(&mut self, rows: u64) -> Result<()> {
        for _ in 0..rows {
            if self.kept.next()?.is_none() {
                return Err(not_as_recorded(&self.kept.place));
            }
            self.kept.pass();
        }
        Ok(())
    }

    /// Tells each changed cell of the kept rows of a content, in their order.
    pub(crate) fn file(
        &mut self,
        content: &Content,
        mut tell: impl FnMut(&ChangedCell) -> Result<()>,
    ) -> Result<()> {
        let Self { config, schema, now, threads, kept } = self;
        let SourceFile { path, name } = content.file;
        let unlike = || {
            Error::data(format!(
                "{} changed while it was read a second time, as \"ingestion.record_changes\" asks for: \
                 run again; nothing was changed",
                text::name(name)
            ))
        };
        let options = config.reading_at(path);
        let (opened, _) = formats::open(path, options, &options.columns.theirs(schema), 1)?;
        let mut reader = ChunkReader::of(opened, path, CHUNK_BYTES);
        let Some(header) = reader.header()? else { return Err(unlike()) };
        let place = path.display().to_string();
        let purpose = Purpose::of_rows(config.contract_at(path));
        let layout = Layout::of(&header, &options.columns, schema, purpose, &place)?;
        let labels = Labels::of(schema);
        let parser = RowParser::new(schema, layout, options, labels, RowHasher(0))
            .checking(Checks::at(path, config, schema, *now))
            .without_hashes();
        let work = Worker {
            state: || (),
            make: |(): &mut (),
                   parser: &mut RowParser,
                   piece: &mut Piece<Made<Vec<CellChange>>>| {
                let Piece { chunk, offset, made: Made { parsed, besides }, .. } = piece;
                // Text has offsets; what a decoder makes of other formats has none.
                let cells = if offset.is_some() { Cells::Texts } else { Cells::Contents };
                parser.parse(chunk, offset.unwrap_or(0), parsed);
                parser.cell_changes(chunk, cells, parsed, besides);
            },
        };
        let (mut line, mut rows) = (header.lines + 1, 0);
        parallel::run_with(&mut reader, parser, *threads, &work, |piece| {
            let part = piece.place.as_ref().and_then(|place| place.part.as_deref());
            let mut changes = piece.made.besides.iter().peekable();
            for (at, row) in piece.made.parsed.rows.iter().enumerate() {
                let number = piece.number(line, u64::from(row.line));
                let is_left_out = !content.left_out.is_empty()
                    && content.left_out.contains(&(part.unwrap_or_default().to_owned(), number));
                let is_kept = !is_left_out
                    && rows < content.rows
                    && kept.next()?.is_some_and(|next| next == bytes(piece, at));
                while let Some(change) = changes.next_if(|change| change.row == at) {
                    if !is_kept {
                        continue;
                    }
                    tell(&ChangedCell {
                        row: kept.passed + 1,
                        file: name,
                        part,
                        line: number,
                        column: schema.columns().get(change.column).map_or("", |c| &c.name),
                        from: &String::from_utf8_lossy(&change.from),
                        to: &String::from_utf8_lossy(&change.to),
                        kinds: change.kinds,
                    })?;
                }
                if is_kept {
                    rows += 1;
                    kept.pass();
                }
            }
            line += u64::from(piece.made.parsed.lines);
            Ok(())
        })?;
        if rows == content.rows && reader.digest()? == content.sha256 {
            return Ok(());
        }
        Err(unlike())
    }

    /// Tells for each kept row of an earlier data set its number there and in the new one, from 1.
    pub(crate) fn stretch(
        &mut self,
        from: &Stretch,
        mut tell: impl FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        let verbatim = self.config.ingestion.verbatim();
        let theirs = verbatim.columns.theirs(self.schema);
        let (opened, _) = formats::open(from.path, &verbatim, &theirs, 1)?;
        let mut reader = ChunkReader::of(opened, from.path, CHUNK_BYTES);
        let Some(header) = reader.header()? else { return Err(not_as_recorded(from.path)) };
        let place = from.path.display().to_string();
        let columns = &verbatim.columns;
        let layout = Layout::of(&header, columns, self.schema, Purpose::Labelled, &place)?;
        let labels = Labels::of(self.schema);
        let parser = RowParser::new(self.schema, layout, &verbatim, labels, RowHasher(0));
        let (mut number, mut rows) = (0, 0);
        let (last, kept) = (from.first + from.rows, &mut self.kept);
        parallel::run(&mut reader, parser.without_hashes(), self.threads, |piece| {
            for at in 0..piece.made.parsed.rows.len() {
                number += 1;
                let within = number > from.first && number <= last && rows < from.kept;
                if within && kept.next()?.is_some_and(|next| next == bytes(piece, at)) {
                    rows += 1;
                    tell(number, kept.passed + 1)?;
                    kept.pass();
                }
            }
            Ok(())
        })?;
        if rows == from.kept && reader.digest()? == from.sha256 {
            return Ok(());
        }
        Err(not_as_recorded(from.path))
    }
}

/// The bytes of a row of a piece.
fn bytes<M>(piece: &Piece<Made<M>>, row: usize) -> &[u8] {
    piece.made.parsed.rows.get(row).map_or(&[], |row| piece.bytes(row.extent))
}

/// The rows of the new data set, one after the other.
struct Kept {
    reader: ChunkReader<File>,
    place: PathBuf,
    shape: Shape,
    chunk: Vec<u8>,
    fields: Vec<Field>,
    /// Where the next row is in the chunk, once it was looked for.
    at: usize,
    end: Option<usize>,
    /// The number of rows before it.
    passed: u64,
}

impl Kept {
    fn start(mut data: File, place: &Path, width: usize, base: Option<(u64, u64)>) -> Result<Self> {
        if let Some((_, bytes)) = base {
            data.seek(SeekFrom::Start(bytes)).map_err(|e| Error::io("read", place, e))?;
        }
        let mut reader = ChunkReader::new(data, place, CHUNK_BYTES).without_digest();
        if base.is_none() {
            reader.header()?;
        }
        Ok(Self {
            reader,
            place: place.to_owned(),
            shape: Shape { width, max_bytes: usize::MAX },
            chunk: Vec::new(),
            fields: Vec::new(),
            at: 0,
            end: None,
            passed: base.map_or(0, |(rows, _)| rows),
        })
    }

    /// The next row with its line end; `None` after the last.
    fn next(&mut self) -> Result<Option<&[u8]>> {
        let end = if let Some(end) = self.end {
            end
        } else {
            if self.at == self.chunk.len() {
                self.at = 0;
                if self.reader.next_chunk(&mut self.chunk, self.shape)?.is_none() {
                    self.chunk.clear();
                    return Ok(None);
                }
            }
            match record::next(&self.chunk, self.at, self.shape, &mut self.fields) {
                Next::Record { end, .. } | Next::Blank(end) => *self.end.insert(end),
            }
        };
        Ok(Some(&self.chunk[self.at..end]))
    }

    /// Passes that row.
    fn pass(&mut self) {
        if let Some(end) = self.end.take() {
            self.at = end;
            self.passed += 1;
        }
    }
}
