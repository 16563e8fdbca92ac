//! Tables of Arrow (`.arrow`, Feather version 2): files and streams, batch by batch, only the wanted columns.
//!
//! A column within a structure has a path as its name, `address.city`; lists and the like cannot become cells.
//! Message descriptions are parsed by a library; buffers are read here, so that a batch of any size is
//! streamed without being held in memory. Not for writing.

mod batch;
mod column;
mod layout;
mod messages;
mod stored;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use mlops_core::csv::formats::{Batch, Place};
use mlops_core::{Error, Result};
use polars_arrow_format::ipc::planus::ReadAsRoot;
use polars_arrow_format::ipc::{DictionaryBatchRef, MessageHeaderRef, MessageRef};

use self::batch::Columns;
use self::column::Dictionary;
use self::layout::Layout;
use self::messages::{Message, Messages};
use self::stored::damaged;
use crate::decoder::Decoder;
use crate::file::Window;
use crate::recognise::Wish;
use crate::rows;
use crate::typed::Speller;

/// Bytes of the cells of all dictionaries together.
const MOST_OF_DICTIONARIES: usize = 1 << 26;

/// The rows of a file.
pub(crate) struct Table {
    place: String,
    messages: Messages,
    layout: Layout,
    chosen: Vec<usize>,
    dictionaries: HashMap<i64, Arc<Dictionary>>,
    speller: Speller,
    max_bytes: usize,
    /// The present batch, which of all it is, and how many rows of it were read.
    columns: Columns,
    batches: u64,
    read: u64,
    part: Option<Arc<str>>,
    /// Rows to decode next.
    rows: usize,
}

impl Table {
    /// The rows of the file in `window`.
    pub(crate) fn of(wish: Wish, window: &Window) -> Result<Self> {
        let place = wish.path.display().to_string();
        let (messages, layout) = Messages::of(window).map_err(|e| failed(wish, e))?;
        let name = |at: usize| layout.fields[at].name.clone();
        let cells: Vec<String> = layout.cells().map(name).collect();
        let others = (0..layout.fields.len()).filter(|at| layout.fields[*at].kind.is_none());
        wish.check(&cells, &others.map(name).collect::<Vec<_>>())?;
        let find = |name: &String| layout.cells().find(|at| layout.fields[*at].name == *name);
        let found: Option<Vec<usize>> = wish.columns.iter().map(find).collect();
        // The error for a missing column lists all columns.
        let chosen = found.unwrap_or_else(|| layout.cells().collect());
        Ok(Self {
            place,
            messages,
            layout,
            chosen,
            dictionaries: HashMap::new(),
            speller: Speller { decimal: wish.options.numbers.decimal },
            max_bytes: wish.options.max_line_bytes,
            columns: Columns { columns: Vec::new(), rows: 0 },
            batches: 0,
            read: 0,
            part: None,
            rows: rows::FIRST,
        })
    }

    /// Opens the next batch that has rows.
    fn open(&mut self) -> io::Result<bool> {
        while self.read == self.columns.rows {
            let Some(Message { bytes, body, .. }) = self.messages.next()? else { return Ok(false) };
            let broken = |e: polars_arrow_format::ipc::planus::Error| damaged(&e.to_string());
            let message = MessageRef::read_as_root(&bytes).map_err(broken)?;
            match message.header().map_err(broken)? {
                Some(MessageHeaderRef::DictionaryBatch(batch)) => {
                    self.add_dictionary(&batch, &body)?;
                }
                Some(MessageHeaderRef::RecordBatch(batch)) => {
                    let (layout, chosen) = (&self.layout, &self.chosen);
                    self.columns = batch::open(layout, chosen, &self.dictionaries, &batch, &body)?;
                    let is_stored = self.columns.columns.iter().any(column::Column::is_stored);
                    if self.columns.rows > 0 && !is_stored {
                        return Err(damaged("none of its columns has values"));
                    }
                    self.read = 0;
                    self.part = Some(format!("batch {}", self.batches).into());
                    self.batches += 1;
                }
                _ => return Err(damaged("it has something other than rows in it")),
            }
        }
        Ok(true)
    }

    fn add_dictionary(&mut self, batch: &DictionaryBatchRef, body: &Window) -> io::Result<()> {
        let broken = |e: polars_arrow_format::ipc::planus::Error| damaged(&e.to_string());
        let id = batch.id().map_err(broken)?;
        let is_wanted = |at: &usize| {
            let kind = self.layout.fields[*at].kind;
            matches!(kind, Some(layout::Kind::Index(_, of)) if of == id)
        };
        let Some(values) = self.layout.dictionaries.get(&id) else { return Ok(()) };
        if !self.chosen.iter().any(is_wanted) {
            return Ok(());
        }
        let data = batch.data().map_err(broken)?;
        let data = data.ok_or_else(|| damaged("a dictionary has no values"))?;
        let mut of = batch::open(values, &[0], &self.dictionaries, &data, body)?;
        let mut dictionary = match self.dictionaries.remove(&id) {
            Some(earlier) if batch.is_delta().map_err(broken)? => Arc::unwrap_or_clone(earlier),
            _ => Dictionary::default(),
        };
        let others: usize =
            self.dictionaries.values().map(|d| d.text.len() + 8 * d.ends.len()).sum();
        for _ in 0..of.rows {
            for column in &mut of.columns {
                column.push(self.speller, self.max_bytes, &mut dictionary.text)?;
            }
            dictionary.ends.push(dictionary.text.len());
            if others + dictionary.text.len() + 8 * dictionary.ends.len() > MOST_OF_DICTIONARIES {
                return Err(damaged(
                    "its dictionaries take too much memory: write these columns as texts",
                ));
            }
        }
        self.dictionaries.insert(id, Arc::new(dictionary));
        Ok(())
    }

    fn fill(&mut self, batch: &mut Batch) -> io::Result<bool> {
        if !self.open()? {
            return Ok(false);
        }
        let left = self.columns.rows - self.read;
        let rows = usize::try_from(left).unwrap_or(usize::MAX).min(self.rows);
        batch.place = Place::rows(self.part.clone(), self.read + 1);
        let (columns, speller, most) = (&mut self.columns.columns, self.speller, self.max_bytes);
        let cell = |at: usize, _, text: &mut Vec<u8>| columns[at].push(speller, most, text);
        self.rows = rows::fill(batch, rows, self.chosen.len(), most, cell)?;
        self.read += rows as u64;
        Ok(true)
    }
}

/// About how many bytes of the file in `window` a row takes.
pub(crate) fn row_bytes(window: &Window) -> Option<u64> {
    let (mut messages, _) = Messages::of(window).ok()?;
    // What comes before the first batch is no part of a row.
    while let Some(Message { bytes, body, .. }) = messages.next().ok()? {
        let header = MessageRef::read_as_root(&bytes).ok()?.header().ok()?;
        if let Some(MessageHeaderRef::RecordBatch(batch)) = header {
            let rows = u64::try_from(batch.length().ok()?).ok()?;
            return (bytes.len() as u64 + body.len()).checked_div(rows);
        }
    }
    None
}

fn failed(wish: Wish, error: io::Error) -> Error {
    if error.raw_os_error().is_some() { wish.failed(error) } else { wish.schema(&words(&error)) }
}

fn words(error: &io::Error) -> String {
    format!(
        "this table of Arrow cannot be read: {error}: write it again, or save it as Parquet or CSV"
    )
}

impl Decoder for Table {
    fn header(&mut self) -> Result<Option<Vec<String>>> {
        Ok(Some(self.chosen.iter().map(|at| self.layout.fields[*at].name.clone()).collect()))
    }

    fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        self.fill(batch).map_err(|e| match e.raw_os_error() {
            Some(_) => Error::io("read", std::path::Path::new(&self.place), e),
            None => Error::schema(self.place.as_str(), words(&e)),
        })
    }

    fn extra(&self) -> Vec<String> {
        let fields = &self.layout.fields;
        let mut holds_cells = vec![false; fields.len()];
        for at in self.layout.cells().flat_map(|at| self.layout.lineage(at)) {
            holds_cells[at] = true;
        }
        let extra = fields.iter().enumerate().filter(|(at, field)| {
            // Of a list its own name, not those of what it has in it.
            let is_whole = field.parent.is_none_or(|parent| holds_cells[parent]);
            let is_column = field.kind.is_some() || (is_whole && !holds_cells[*at]);
            is_column && !self.chosen.contains(at)
        });
        extra.map(|(_, field)| field.name.clone()).collect()
    }
}
