//! Reads the records of a stretch of a plain file, so that several machines can read one file.
//!
//! A stretch may begin in the middle of a record, and a line end in quotes looks like the end of a record. The
//! reader of a stretch therefore assumes that the next line end ends a record, and reports where it began and
//! ended. Stretches that join without a gap were read correctly: the first began where the header ended, and a
//! stretch that begins with a record ends with one. If two do not join, the later one is read again from where
//! the earlier ended. Nothing is guessed. Parsing rows is in [`super::parse`].

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::chunk::{CHUNK_BYTES, ChunkReader};
use super::record::{self, Field, Next, Shape};
use crate::{Error, Result};

/// A stretch of a file: the records that begin in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Its first byte.
    pub from: u64,
    /// The byte after it.
    pub until: u64,
    /// A record begins at its first byte.
    pub exact: bool,
}

impl Stretch {
    /// The stretches of a file of `size` bytes whose records begin at `first`, of about `bytes` bytes each.
    pub fn all(first: u64, size: u64, bytes: u64) -> Vec<Self> {
        let (mut from, mut all) = (first, Vec::new());
        loop {
            let until = from.saturating_add(bytes.max(1));
            let last = until >= size;
            let exact = all.is_empty();
            all.push(Self { from, until: if last { u64::MAX } else { until }, exact });
            if last {
                return all;
            }
            from = until;
        }
    }
}

/// Reads a stretch in chunks of whole records.
pub struct StretchReader {
    reader: ChunkReader<File>,
    began: u64,
    at: u64,
    until: u64,
    fields: Vec<Field>,
}

impl StretchReader {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path, stretch: Stretch) -> Result<Self> {
        let failed = |e| Error::io("read", path, e);
        let mut file = File::open(path).map_err(failed)?;
        let began = match stretch {
            Stretch { from, exact: true, .. } => from,
            Stretch { from, .. } => after_line_end(&mut file, from).map_err(failed)?,
        };
        file.seek(SeekFrom::Start(began)).map_err(failed)?;
        let reader = ChunkReader::new(file, path, CHUNK_BYTES).without_digest();
        Ok(Self { reader, began, at: began, until: stretch.until, fields: Vec::new() })
    }

    /// Where the first record began.
    pub fn began(&self) -> u64 {
        self.began
    }

    /// Where the last record ended.
    pub fn ended(&self) -> u64 {
        self.at
    }

    /// The number of physical lines of all records, which are of `shape`; nothing is left to read then.
    pub(crate) fn count_lines(&mut self, shape: Shape) -> Result<u64> {
        let (mut chunk, mut fields, mut count) = (Vec::new(), Vec::new(), 0);
        while self.next(&mut chunk, shape)?.is_some() {
            let mut at = 0;
            while at < chunk.len() {
                let (end, lines) = match record::next(&chunk, at, shape, &mut fields) {
                    Next::Blank(end) => (end, 1),
                    Next::Record { end, lines, .. } => (end, lines),
                };
                count += u64::from(lines);
                at = end;
            }
        }
        Ok(count)
    }

    /// Fills `chunk` with the next records of `shape`; returns the offset in the file of the first, or `None`
    /// after the last.
    ///
    /// # Errors
    /// If it cannot be read, or is no file of rows.
    pub fn next(&mut self, chunk: &mut Vec<u8>, shape: Shape) -> Result<Option<u64>> {
        if self.at >= self.until || self.reader.next_chunk(chunk, shape)?.is_none() {
            return Ok(None);
        }
        let first = self.at;
        let room = usize::try_from(self.until - first).unwrap_or(usize::MAX);
        if chunk.len() > room {
            let mut end = 0;
            while end < room {
                end = match record::next(chunk, end, shape, &mut self.fields) {
                    Next::Blank(end) | Next::Record { end, .. } => end,
                };
            }
            chunk.truncate(end);
        }
        self.at += chunk.len() as u64;
        Ok(Some(first))
    }
}

/// The place after the first line end from the byte before `from` on; the end of the file if there is none.
fn after_line_end(file: &mut File, from: u64) -> std::io::Result<u64> {
    let mut at = from.saturating_sub(1);
    file.seek(SeekFrom::Start(at))?;
    let mut block = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut block)?;
        if let Some(found) = memchr::memchr(b'\n', &block[..read]) {
            return Ok(at + found as u64 + 1);
        }
        at += read as u64;
        if read == 0 {
            return Ok(at);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { width: 2, max_bytes: 64 };

    /// The records of a stretch, where it began and where it ended.
    fn read(path: &Path, stretch: Stretch) -> (Vec<Vec<u8>>, u64, u64) {
        let mut reader = StretchReader::open(path, stretch).unwrap();
        let (mut records, mut chunk, mut fields) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(first) = reader.next(&mut chunk, SHAPE).unwrap() {
            assert!(first < stretch.until);
            let mut at = 0;
            while at < chunk.len() {
                let (Next::Blank(end) | Next::Record { end, .. }) =
                    record::next(&chunk, at, SHAPE, &mut fields);
                records.push(chunk[at..end].to_vec());
                at = end;
            }
        }
        (records, reader.began(), reader.ended())
    }

    #[test]
    fn stretches_that_join_have_the_records_of_the_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let texts = [
            "1,2\n3,4\n5,6",
            "1,\"a\nb\"\n\n2,\"\n\n\n\"\r\n3,4\n",
            "\"open,1\n2,3\n4,\"x\n5,6\n\"7\",8\n",
            "1,2\r3,4\r5,\"\r\"\r6,7\r",
            "a,\"1\n2,3\n4,5\n6,7\n8,9\n0,1\n2,3\n4,5\n6,7\n8,9\n0,1\n2,3\n4,5\n6,7\n8,9\n0,1\"\n1,2\n",
            "",
        ];
        let (mut joined, mut again) = (0, 0);
        for text in texts {
            std::fs::write(&path, text).unwrap();
            let length = text.len() as u64;
            let all = Stretch { from: 0, until: u64::MAX, exact: true };
            let (whole, _, end) = read(&path, all);
            assert_eq!(end, length);
            for step in 1..=length.max(1) {
                let (mut found, mut expected, mut from) = (Vec::new(), 0, 0);
                while from < length.max(1) {
                    let until = if from + step >= length { u64::MAX } else { from + step };
                    let stretch = Stretch { from, until, exact: from == 0 };
                    let (mut records, began, mut ended) = read(&path, stretch);
                    if began == expected {
                        joined += 1;
                    } else {
                        again += 1;
                        let exact = Stretch { from: expected, until, exact: true };
                        (records, _, ended) = read(&path, exact);
                    }
                    found.extend(records);
                    (expected, from) = (ended, from + step);
                }
                assert_eq!((&found, expected), (&whole, length), "{text:?} in steps of {step}");
            }
        }
        assert!(joined > 100 && again > 50, "{joined} {again}");
    }
}
