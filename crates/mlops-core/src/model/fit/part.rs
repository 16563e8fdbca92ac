//! Packed rows in a file of their own, which several machines can read.
//!
//! Full blocks as frames, then the rows of the last one as they are, then where each frame ends. Readers open a
//! part when they need it. Not for the frames: see [`super::packed`].

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::block::{BLOCK_ROWS, Block};
use crate::error::{Error, Result};

/// The last bytes of such a file, with the version of the format.
const MAGIC: u64 = u64::from_le_bytes(*b"MLPACK01");
/// Bytes of the numbers at the end.
const FOOTER: usize = 5 * 8;

/// Rows in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The path of the file.
    pub path: PathBuf,
    /// The number of its rows; a multiple of [`BLOCK_ROWS`] but in the last part.
    pub rows: u64,
}

/// A part that is opened when it is needed.
#[derive(Debug)]
pub(super) struct OpenPart {
    part: Part,
    columns: usize,
    /// The index of its first block among those of all parts.
    pub(super) first: usize,
    opened: OnceLock<Opened>,
}

#[derive(Debug)]
struct Opened {
    file: File,
    ends: Vec<u64>,
}

/// What follows the frames: the rows of the last block, where each frame ends, and the numbers at the end.
pub(super) fn tail(columns: usize, rows: u64, ends: &[u64], last: Option<&Block>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(last) = last {
        for values in [last.labels()].into_iter().chain((0..columns).map(|j| last.column(j))) {
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }
    bytes.extend(ends.iter().flat_map(|end| end.to_le_bytes()));
    let check = xxh3_64(&bytes);
    for number in [columns as u64, rows, bytes.len() as u64, check, MAGIC] {
        bytes.extend(number.to_le_bytes());
    }
    bytes
}

impl OpenPart {
    pub(super) fn new(part: Part, columns: usize, first: usize) -> Self {
        Self { part, columns, first, opened: OnceLock::new() }
    }

    /// Reads the frame of its full block `index` into `buffer`.
    pub(super) fn frame(&self, index: usize, buffer: &mut Vec<u8>) -> Result<()> {
        let opened = if let Some(opened) = self.opened.get() {
            opened
        } else {
            let opened = self.open()?.0;
            self.opened.get_or_init(|| opened)
        };
        let start = index.checked_sub(1).map_or(0, |before| opened.ends[before]);
        let length = opened.ends.get(index).and_then(|end| end.checked_sub(start));
        let length = length.and_then(|length| usize::try_from(length).ok());
        buffer.resize(length.ok_or_else(|| self.damaged())?, 0);
        let read = opened.file.read_exact_at(buffer, start);
        read.map_err(|e| Error::io("read", &self.part.path, e))
    }

    /// Its rows after the full blocks.
    pub(super) fn last(&self) -> Result<Block> {
        Ok(self.open()?.1)
    }

    fn open(&self) -> Result<(Opened, Block)> {
        let Self { part: Part { path, rows }, columns, .. } = self;
        let failed = |e| Error::io("read", path, e);
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let at = size.checked_sub(FOOTER as u64).ok_or_else(|| self.damaged())?;
        let mut footer = [0; FOOTER];
        file.read_exact_at(&mut footer, at).map_err(failed)?;
        let mut found = numbers(&footer);
        let mut next = || found.next().unwrap_or_default();
        let (width, held, length, check, magic) = (next(), next(), next(), next(), next());
        let over = usize::try_from(rows % BLOCK_ROWS as u64).unwrap_or_default();
        let full = rows / BLOCK_ROWS as u64;
        let wanted = (over * (1 + columns)) as u64 * 8 + full * 8;
        let good = magic == MAGIC && width == *columns as u64 && held == *rows && length == wanted;
        let room = usize::try_from(length).ok().filter(|_| good && length <= at);
        let mut bytes = vec![0; room.ok_or_else(|| self.damaged())?];
        file.read_exact_at(&mut bytes, at - length).map_err(failed)?;
        if xxh3_64(&bytes) != check {
            return Err(self.damaged());
        }
        let (last, ends) = bytes.split_at(over * (1 + columns) * 8);
        let ends = numbers(ends).collect();
        let mut values = numbers(last).map(f64::from_bits);
        let mut block = Block::new(*columns);
        block.labels_mut()[..over].fill_with(|| values.next().unwrap_or_default());
        for j in 0..*columns {
            block.column_mut(j)[..over].fill_with(|| values.next().unwrap_or_default());
        }
        block.set_rows(over);
        Ok((Opened { file, ends }, block))
    }

    fn damaged(&self) -> Error {
        damaged(&self.part.path)
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes))
}

fn damaged(path: &Path) -> Error {
    Error::backend(
        "packed rows",
        format!("{} does not have the rows that were written there", path.display()),
    )
}
