//! What all decoders share: a text that is read piece by piece, and the rows of a whole file.
//!
//! Not for any one format.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlops_core::csv::chunk::CHUNK_BYTES;
use mlops_core::csv::formats::{Batch, Rows};
use mlops_core::platform::digest::Digest;
use mlops_core::{Error, Result};

use crate::file::Sum;

/// A longer line or record is refused: this is no file of rows.
pub(crate) const LONGEST: usize = 1 << 26;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The rows of a file, or of one part of it.
pub(crate) trait Decoder: Send {
    /// The names of the columns; `None` if there are no rows and no names.
    fn header(&mut self) -> Result<Option<Vec<String>>>;

    /// Fills an empty batch with the next rows; returns false after the last.
    fn next(&mut self, batch: &mut Batch) -> Result<bool>;

    /// Columns that the batches lack; asked after the last one.
    fn extra(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The rows of a whole file.
pub(crate) struct Whole {
    pub(crate) decoder: Box<dyn Decoder>,
    pub(crate) sum: Sum,
}

impl Rows for Whole {
    fn header(&mut self) -> Result<Option<Vec<String>>> {
        self.decoder.header()
    }

    fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        self.decoder.next(batch)
    }

    fn digest(&mut self) -> Result<Digest> {
        self.sum.finish()
    }

    fn extra(&self) -> Vec<String> {
        self.decoder.extra()
    }
}

/// A text of which a window is in memory.
pub(crate) struct Text {
    input: Box<dyn Read + Send>,
    path: PathBuf,
    part: Option<Arc<str>>,
    buffer: Vec<u8>,
    at: usize,
    whole: bool,
    /// Where the front is in the file; `None` if the text is not the file's bytes.
    offset: Option<u64>,
}

impl Text {
    /// The text that `input` gives, of `path` or its part; `exact` if these are the bytes of the file.
    pub(crate) fn of(
        input: Box<dyn Read + Send>,
        path: &Path,
        part: Option<Arc<str>>,
        exact: bool,
    ) -> Self {
        let offset = exact.then_some(0);
        Self { input, path: path.to_owned(), part, buffer: Vec::new(), at: 0, whole: false, offset }
    }

    /// The window.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Whether the window has no bytes.
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.buffer.len()
    }

    /// Whether the window reaches to the end.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The part of the file that this is.
    pub(crate) fn part(&self) -> Option<Arc<str>> {
        self.part.clone()
    }

    /// Where the window begins in the file.
    pub(crate) fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// Moves the end of the window on; returns false if it was at the end.
    pub(crate) fn more(&mut self) -> Result<bool> {
        if self.whole {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let start = self.buffer.len();
        if start > LONGEST {
            return Err(self.schema(&format!(
                "no record ends within {LONGEST} bytes: this is not a file of rows"
            )));
        }
        self.buffer.reserve(CHUNK_BYTES);
        let read = self.input.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut self.buffer);
        let read = read.map_err(|e| Error::io("read", &self.path, e))?;
        self.whole = read < CHUNK_BYTES;
        Ok(read > 0)
    }

    /// Moves the front of the window on.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.at += bytes;
        self.offset = self.offset.map(|offset| offset + bytes as u64);
    }

    /// Moves the front of the window on and hands over the bytes before it.
    pub(crate) fn take(&mut self, bytes: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(self.at + bytes);
        let mut taken = std::mem::replace(&mut self.buffer, rest);
        taken.drain(..self.at);
        self.at = 0;
        self.offset = self.offset.map(|offset| offset + bytes as u64);
        taken
    }

    /// Skips byte-order marks at the front.
    pub(crate) fn skip_marks(&mut self) -> Result<()> {
        loop {
            while self.bytes().len() < BYTE_ORDER_MARK.len() && self.more()? {}
            if !self.bytes().starts_with(BYTE_ORDER_MARK) {
                return Ok(());
            }
            self.consume(BYTE_ORDER_MARK.len());
        }
    }

    /// The length of the line at the front with its end, CR alone being one; `None` at the end of the text.
    pub(crate) fn line(&mut self) -> Result<Option<usize>> {
        let mut from = 0;
        loop {
            let bytes = self.bytes();
            let end = memchr::memchr2(b'\n', b'\r', &bytes[from..]).map(|n| from + n);
            match end.map(|end| (end, bytes[end], bytes.get(end + 1))) {
                Some((end, b'\r', Some(b'\n'))) => return Ok(Some(end + 2)),
                Some((end, b'\r', None)) if !self.whole => from = end,
                Some((end, ..)) => return Ok(Some(end + 1)),
                None if self.whole => {
                    return Ok(Some(bytes.len()).filter(|length| *length > 0));
                }
                None => from = bytes.len(),
            }
            self.more()?;
        }
    }

    /// An error about the columns or the form of this text.
    pub(crate) fn schema(&self, message: &str) -> Error {
        Error::schema(self.path.display().to_string(), message)
    }
}
