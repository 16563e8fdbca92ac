//! What the parser makes of a chunk of records: rows, rejections, and what was counted on the way.
//!
//! Not for making it: see [`super::parse`].

use super::aside::Rows;
use super::checks::Looked;
use super::clean::FormatChanges;
use super::quarantine::Rejected;
use super::record::Shape;
use super::row_hash::{Extent, Row};

/// Where a record was that is left out without a trace, in physical lines of its chunk, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) line: u64,
    pub(crate) lines: u32,
}

/// What a chunk became; reused from chunk to chunk.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) rows: Vec<Row>,
    pub(crate) rejected: Vec<Rejected>,
    /// Records of people who were erased, which are in neither.
    pub(crate) gone: Vec<Gone>,
    pub(crate) changes: FormatChanges,
    /// Missing cells by column of the schema.
    pub(crate) missing: Vec<u64>,
    pub(crate) blank_lines: u64,
    /// The number of physical lines in the chunk.
    pub(crate) lines: u32,
    /// The negative label, if this chunk taught it. If another one was known already, the chunk
    /// must be parsed again; if this one was, the result is the same.
    pub(crate) learned: Option<String>,
    /// The best spelling of the negative label in the chunk, while it is being learned.
    pub(crate) better: Option<String>,
    /// What was seen in good rows, if it is asked for.
    pub(crate) looked: Looked,
    /// Rows that are not in the chunk as they should be.
    pub(super) side: Vec<u8>,
}

impl Parsed {
    /// The bytes at `extent`, of rows that came from `chunk`.
    pub(crate) fn bytes<'a>(&'a self, chunk: &'a [u8], extent: Extent) -> &'a [u8] {
        extent.of(chunk, &self.side)
    }

    /// The rows, of records in `chunk`, for code that sets some aside.
    pub(crate) fn view<'a>(&'a mut self, chunk: &'a [u8], offset: u64, shape: Shape) -> Rows<'a> {
        let Self { rows: good, rejected, missing, side, .. } = self;
        Rows { chunk, offset, side, shape, good, rejected, missing }
    }

    pub(crate) fn clear(&mut self, width: usize) {
        self.rows.clear();
        self.rejected.clear();
        self.gone.clear();
        self.side.clear();
        self.missing.clear();
        self.missing.resize(width, 0);
        self.changes = FormatChanges::default();
        self.blank_lines = 0;
        self.lines = 0;
        self.learned = None;
        self.better = None;
        self.looked = Looked::default();
    }
}
