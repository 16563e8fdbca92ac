//! Finding duplicates when the rows seen do not fit into memory: through temporary files.
//!
//! 1. Each row gets a number, in file order. Its hash and its number, 16 bytes, go to one of 64
//!    partitions, chosen by the hash: equal rows meet in the same one. The row itself goes to the
//!    candidates, unless it is in the data set already.
//! 2. At the end, one partition after the other is read. It holds its rows in order, so that a set
//!    of the rows seen in it alone tells the first from its duplicates.
//! 3. The candidates are read once more, and those that are no duplicates are kept.
//!
//! Memory: the set of one partition, and a bit a candidate. A file that turns out bad leaves its
//! rows where they are; its numbers are passed over. The result is the same as that of
//! [`super::dedup`] alone. Not for deciding when memory is short: see [`super::keep`].

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::mem::replace;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

use super::dedup::{Fate, SeenRows, bytes_for};
use super::writer::Writer;

const PARTITIONS: usize = 64;
/// Temporary files of the writer: the candidates, then the partitions.
const CANDIDATES: usize = 0;
const ENTRY: usize = 16;
/// Entries of a partition are written so many bytes at a time.
const ENTRIES_BYTES: usize = 1 << 14;
/// Candidates are written about so many bytes at a time.
const BLOCK_BYTES: usize = 1 << 18;
/// The low bits of an entry's second half are the number of its row.
const NUMBER: u64 = (1 << 40) - 1;
/// One partition is never given less memory than this.
const LEAST_MEMORY: usize = 1 << 20;

/// The rows of one file, by their numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// The number of its first row.
    pub(crate) start: u64,
    /// Whether nothing of the file is taken.
    pub(crate) dropped: bool,
}

/// Duplicates of one file that were found at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Late {
    pub(crate) within: u64,
    pub(crate) across: u64,
}

/// Rows of which it is not known yet whether they are new.
#[derive(Debug)]
pub(crate) struct Spill {
    /// Where the temporary files are, for messages.
    place: PathBuf,
    /// Memory for the set of one partition, in bytes.
    memory: usize,
    entries: Vec<Vec<u8>>,
    /// Candidates not written yet: their lengths, their bytes.
    lengths: Vec<u8>,
    rows: Vec<u8>,
    /// Rows with a lower number are in the data set already.
    first_candidate: u64,
    next: u64,
}

impl Spill {
    /// No rows yet. `place` is where the data set will be.
    pub(crate) fn new(place: &Path, memory: usize) -> Self {
        Self {
            place: place.to_owned(),
            memory: memory.max(LEAST_MEMORY),
            entries: vec![Vec::new(); PARTITIONS],
            lengths: Vec::new(),
            rows: Vec::new(),
            first_candidate: 0,
            next: 0,
        }
    }

    /// The number of the next row.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Remembers a row that is in the data set.
    pub(crate) fn known(&mut self, hash: u128, writer: &mut Writer) -> Result<()> {
        self.first_candidate = self.next + 1;
        self.remember(hash, writer)
    }

    /// Takes a row that may be a duplicate.
    pub(crate) fn candidate(&mut self, hash: u128, row: &[u8], writer: &mut Writer) -> Result<()> {
        // A row is shorter than a chunk, which is far below 4 GiB.
        let length = u32::try_from(row.len()).unwrap_or(u32::MAX);
        self.lengths.extend_from_slice(&length.to_le_bytes());
        self.rows.extend_from_slice(row);
        if self.rows.len() >= BLOCK_BYTES {
            self.write_block(writer)?;
        }
        self.remember(hash, writer)
    }

    fn remember(&mut self, hash: u128, writer: &mut Writer) -> Result<()> {
        let (high, low) = ((hash >> 64) as u64, low_half(hash));
        let partition = usize::from(low.to_le_bytes()[0]) % PARTITIONS;
        let entries = &mut self.entries[partition];
        entries.extend_from_slice(&high.to_le_bytes());
        entries.extend_from_slice(&(low & !NUMBER | self.next).to_le_bytes());
        self.next += 1;
        if entries.len() >= ENTRIES_BYTES {
            let full = replace(entries, Vec::with_capacity(ENTRIES_BYTES));
            writer.temporary(1 + partition, full)?;
        }
        Ok(())
    }

    /// A block: the number of its rows, the number of its bytes, the lengths, the bytes.
    fn write_block(&mut self, writer: &mut Writer) -> Result<()> {
        let count = (self.lengths.len() / 4) as u64;
        let mut block = Vec::with_capacity(16 + self.lengths.len() + self.rows.len());
        block.extend_from_slice(&count.to_le_bytes());
        block.extend_from_slice(&(self.rows.len() as u64).to_le_bytes());
        block.append(&mut self.lengths);
        block.append(&mut self.rows);
        writer.temporary(CANDIDATES, block)
    }

    /// Writes the candidates that are no duplicates to the data set. `spans` are all files, in
    /// order; returns the duplicates of each.
    pub(crate) fn resolve(mut self, spans: &[Span], writer: &mut Writer) -> Result<Vec<Late>> {
        self.write_block(writer)?;
        for (partition, entries) in std::mem::take(&mut self.entries).into_iter().enumerate() {
            writer.temporary(1 + partition, entries)?;
        }
        let mut late = vec![Late::default(); spans.len()];
        let candidates = usize::try_from(self.next - self.first_candidate).unwrap_or(usize::MAX);
        let mut out = vec![0_u64; candidates.div_ceil(64)];
        for partition in 1..=PARTITIONS {
            let file = writer.reopen(partition)?;
            let bytes = file.metadata().map_err(|e| self.failed(e))?.len();
            let rows = usize::try_from(bytes).unwrap_or(usize::MAX) / ENTRY;
            let passes = bytes_for(rows).div_ceil(self.memory).clamp(1, 256);
            for pass in 0..passes {
                let file = writer.reopen(partition)?;
                self.find(file, rows / passes, (pass, passes), spans, &mut late, &mut out)?;
            }
        }
        self.keep(&out, spans, writer)?;
        Ok(late)
    }

    /// Marks the duplicates of a partition in `out`, a bit a candidate. Of several passes, each
    /// looks at another share of the hashes.
    fn find(
        &self,
        file: File,
        expected: usize,
        (pass, passes): (usize, usize),
        spans: &[Span],
        late: &mut [Late],
        out: &mut [u64],
    ) -> Result<()> {
        let mut seen = SeenRows::expecting(expected + expected / 8)?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut current = None;
        let mut entry = [0; ENTRY];
        while self.fill(&mut reader, &mut entry)? {
            let entry = u128::from_le_bytes(entry);
            let (high, low) = (low_half(entry), (entry >> 64) as u64);
            if usize::from(high.to_le_bytes()[0]) * passes / 256 != pass {
                continue;
            }
            let number = low & NUMBER;
            let span = spans.partition_point(|s| s.start <= number).saturating_sub(1);
            if spans[span].dropped {
                continue;
            }
            if current.replace(span) != Some(span) {
                seen.next_file();
            }
            let hash = u128::from(high) << 64 | u128::from(low & !NUMBER);
            match seen.insert(hash)? {
                Fate::DuplicateWithin => late[span].within += 1,
                Fate::DuplicateAcross => late[span].across += 1,
                Fate::Kept | Fate::Quarantined => continue,
            }
            // Rows of the data set differ from each other, so that this one is a candidate.
            let at = usize::try_from(number - self.first_candidate).unwrap_or(usize::MAX);
            out[at / 64] |= 1 << (at % 64);
        }
        Ok(())
    }

    /// Reads the candidates again and writes those that stay.
    fn keep(&self, out: &[u64], spans: &[Span], writer: &mut Writer) -> Result<()> {
        let mut reader = BufReader::with_capacity(1 << 16, writer.reopen(CANDIDATES)?);
        let mut number = self.first_candidate;
        let (mut head, mut lengths, mut rows) = ([0; 16], Vec::new(), Vec::new());
        while self.fill(&mut reader, &mut head)? {
            let head = u128::from_le_bytes(head);
            let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            lengths.resize(size(low_half(head)) * 4, 0);
            rows.resize(size((head >> 64) as u64), 0);
            if !self.fill(&mut reader, &mut lengths)? || !self.fill(&mut reader, &mut rows)? {
                return Err(self.failed(ErrorKind::UnexpectedEof.into()));
            }
            let (mut start, mut end) = (0, 0);
            for length in lengths.as_chunks().0 {
                let length = u32::from_le_bytes(*length) as usize;
                let at = size(number - self.first_candidate);
                let span = spans.partition_point(|s| s.start <= number).saturating_sub(1);
                if out[at / 64] >> (at % 64) & 1 == 1 || spans[span].dropped {
                    writer.rows(&rows[start..end])?;
                    start = end + length;
                }
                end += length;
                number += 1;
            }
            writer.rows(&rows[start..end])?;
        }
        Ok(())
    }

    /// Fills `bytes`; false when nothing is left.
    fn fill(&self, reader: &mut impl Read, bytes: &mut [u8]) -> Result<bool> {
        match reader.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(self.failed(e)),
        }
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::io("read a temporary file beside", &self.place, error)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low_half(number: u128) -> u64 {
    number as u64
}
