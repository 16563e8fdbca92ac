//! Finds duplicates through temporary files, when the rows seen do not fit into memory or when most
//! are known by an index only.
//!
//! 1. Each row gets a number, in file order. Its hash and its number, 16 bytes, go to one of 64
//!    partitions, chosen by the hash, so that equal rows are in the same one. The row itself goes to
//!    the candidates, unless it is in the data set already.
//! 2. At the end, one partition after the other is read and sorted. Of equal rows the one with the
//!    lowest number is the first, unless the index knows the row: then all are duplicates.
//! 3. The candidates are read once more, and those that are not duplicates are kept.
//!
//! Memory: the rows of one partition, and one bit per candidate; small data stays in memory and
//! makes no file. The rows of a refused file stay in the temporary files and are skipped by their
//! numbers. The result is that of [`super::dedup`] alone. Hashes come in order, so that the new
//! part of the index is written at the same time. Not for deciding when to spill: see
//! [`crate::dataset::sink`].

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::mem::replace;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use crate::platform::disk::Disk;
use crate::{Error, Result};

use super::dedup::UNUSED;
use super::index::{Addition, Body, Opened};
use super::writer::DatasetWriter;
use crate::dataset::index::trouble::Trouble;

const PARTITION_BITS: u32 = 6;
const PARTITIONS: usize = 1 << PARTITION_BITS;
/// Numbers of the writer's temporary files: the candidates, then the partitions.
const CANDIDATES: usize = 0;
const ENTRY: usize = 16;
/// Entries of a partition are written in blocks of this many bytes: the buffers of all partitions fit
/// into the processor's cache.
const ENTRIES_BYTES: usize = 1 << 14;
/// Candidates are written, and entries are read, in blocks of about this many bytes.
const BLOCK_BYTES: usize = 1 << 18;
/// The low bits of an entry, which the key does not use, are the number of its row.
const NUMBER: u128 = UNUSED;
/// The number of a data set row whose position does not matter.
const BASE: u64 = 0;
/// The least memory given to a partition.
const LEAST_MEMORY: usize = 1 << 20;
/// Rows per query to an index.
const ASKED: usize = 1 << 15;

/// The rows of one file, by their numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// The number of its first row.
    pub(crate) start: u64,
    /// The file was refused; none of its rows is kept.
    pub(crate) dropped: bool,
}

/// Duplicates of one file that were found at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Late {
    pub(crate) within: u64,
    pub(crate) across: u64,
}

/// Rows of which it is not yet known whether they are new.
#[derive(Debug)]
pub(crate) struct Spill {
    disk: Disk,
    /// The path of the future data set, beside which the temporary files are.
    place: PathBuf,
    /// Memory for one partition, in bytes.
    memory: usize,
    /// Unwritten entries of each partition, and whether some were written before.
    entries: Vec<(Vec<u8>, bool)>,
    /// Unwritten candidates: their lengths, their bytes.
    lengths: Vec<u8>,
    rows: Vec<u8>,
    /// Rows with a lower number are in the data set already.
    first_candidate: u64,
    next: u64,
    /// The index that knows the rows of the data set that have no entries.
    known: Option<Opened>,
}

/// The result of looking through all partitions.
struct Found {
    late: Vec<Late>,
    /// One bit per candidate: whether it is a duplicate.
    out: Vec<u64>,
    /// The hashes of all rows that are kept, and their number.
    index: (Body, u64),
}

impl Spill {
    /// Starts with the rows of `known` only. `place` is the path of the future data set.
    pub(crate) fn new(disk: &Disk, place: &Path, memory: usize, known: Option<Opened>) -> Self {
        Self {
            disk: disk.clone(),
            place: place.to_owned(),
            memory: memory.max(LEAST_MEMORY),
            entries: vec![(Vec::new(), false); PARTITIONS],
            lengths: Vec::new(),
            rows: Vec::new(),
            first_candidate: BASE + 1,
            next: BASE + 1,
            known,
        }
    }

    /// The number of the next row.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The number of rows.
    pub(crate) fn count(&self) -> u64 {
        self.next - (BASE + 1)
    }

    /// Remembers a row that is in the data set.
    pub(crate) fn known(&mut self, hash: u128, writer: &mut DatasetWriter) -> Result<()> {
        self.first_candidate = self.next + 1;
        self.remember(hash, self.next, writer)?;
        self.next += 1;
        Ok(())
    }

    /// Remembers a row that the index should have known; its position does not matter.
    pub(crate) fn base(&mut self, hash: u128, writer: &mut DatasetWriter) -> Result<()> {
        self.remember(hash, BASE, writer)
    }

    /// Adds a row that may be a duplicate.
    pub(crate) fn candidate(
        &mut self,
        hash: u128,
        row: &[u8],
        writer: &mut DatasetWriter,
    ) -> Result<()> {
        // A row is shorter than a chunk, which is far below 4 GiB.
        let length = u32::try_from(row.len()).unwrap_or(u32::MAX);
        self.lengths.extend_from_slice(&length.to_le_bytes());
        self.rows.extend_from_slice(row);
        if self.rows.len() >= BLOCK_BYTES {
            self.write_block(writer)?;
        }
        self.remember(hash, self.next, writer)?;
        self.next += 1;
        Ok(())
    }

    fn remember(&mut self, hash: u128, number: u64, writer: &mut DatasetWriter) -> Result<()> {
        let partition = usize::from(hash.to_be_bytes()[0]) * PARTITIONS / 256;
        let most = (self.memory / 8 / PARTITIONS).min(ENTRIES_BYTES) / ENTRY * ENTRY;
        let (entries, written) = &mut self.entries[partition];
        entries.extend_from_slice(&(hash & !NUMBER | u128::from(number)).to_le_bytes());
        if entries.len() >= most {
            *written = true;
            let full = replace(entries, Vec::with_capacity(most));
            writer.temporary(1 + partition, full)?;
        }
        Ok(())
    }

    /// Writes a block: the number of its rows, the number of its bytes, the lengths, the bytes.
    fn write_block(&mut self, writer: &mut DatasetWriter) -> Result<()> {
        let count = (self.lengths.len() / 4) as u64;
        let mut block = Vec::with_capacity(16 + self.lengths.len() + self.rows.len());
        block.extend_from_slice(&count.to_le_bytes());
        block.extend_from_slice(&(self.rows.len() as u64).to_le_bytes());
        block.append(&mut self.lengths);
        block.append(&mut self.rows);
        writer.temporary(CANDIDATES, block)
    }

    /// Writes the candidates that are not duplicates to the data set. `spans` are all files, in
    /// order; returns the duplicates of each, the hashes of all rows, and their number. If the
    /// index is damaged, `read_base` must call [`Spill::base`] for each row that it should have
    /// known.
    pub(crate) fn resolve(
        mut self,
        spans: &[Span],
        writer: &mut DatasetWriter,
        read_base: impl FnOnce(&mut Self, &mut DatasetWriter) -> Result<()>,
    ) -> Result<(Vec<Late>, Body, u64)> {
        let mut found = self.find(spans, writer)?;
        if found.is_none() {
            self.known = None;
            read_base(&mut self, writer)?;
            found = self.find(spans, writer)?;
        }
        // Without an index none can be damaged.
        let Some(Found { late, out, index: (body, rows) }) = found else {
            return Err(self.failed(ErrorKind::InvalidData.into()));
        };
        self.write_block(writer)?;
        self.keep(&out, spans, writer)?;
        Ok((late, body, rows))
    }

    /// Looks through all partitions; `None` if the index turns out to be damaged.
    fn find(&self, spans: &[Span], writer: &mut DatasetWriter) -> Result<Option<Found>> {
        let candidates = usize::try_from(self.next - self.first_candidate).unwrap_or(usize::MAX);
        let known = self.known.as_ref();
        let mut addition = match Addition::start(&self.disk, &self.place, known, candidates as u64)
        {
            Err(Trouble::Damaged) => return Ok(None),
            Err(Trouble::Disk(error)) => Err(error),
            Ok(addition) => Ok(addition),
        };
        let mut late = vec![Late::default(); spans.len()];
        let mut out = vec![0_u64; candidates.div_ceil(64)];
        let written = |partition: usize| self.entries[partition].1;
        let files = (0..PARTITIONS).map(|p| written(p).then(|| writer.reopen(1 + p)).transpose());
        let files: Vec<Option<File>> = files.collect::<Result<_>>()?;
        // The next entries are sorted while the previous ones are processed.
        let settled = thread::scope(|scope| {
            let (sorted, parts) = sync_channel(1);
            let (give_back, used) = channel();
            let sort = move || {
                for (partition, file) in files.into_iter().enumerate() {
                    if let Err(error) = self.sort(partition, file, spans, &used, &sorted) {
                        // If the receiver is gone, it has an error of its own.
                        let _ = sorted.send(Err(error));
                        break;
                    }
                }
            };
            let name = "mlops-sort".to_owned();
            let thread = thread::Builder::new().name(name).spawn_scoped(scope, sort);
            thread.map_err(|e| Error::io("start a thread to sort rows for", &self.place, e))?;
            for buffer in [Vec::new(), Vec::new()] {
                // The receiver stops when it has no more to sort.
                let _ = give_back.send(buffer);
            }
            for entries in parts {
                let entries = entries?;
                if self.settle(&entries, spans, &mut late, &mut out, &mut addition).is_none() {
                    return Ok(None);
                }
                let _ = give_back.send(entries);
            }
            Ok::<_, Error>(Some(()))
        })?;
        if settled.is_none() {
            return Ok(None);
        }
        let index = match addition.map(Addition::finish) {
            Ok(Err(Trouble::Damaged)) => return Ok(None),
            Ok(Ok((body, added))) => (body, known.map_or(0, |known| known.rows) + added),
            Err(error) | Ok(Err(Trouble::Disk(error))) => (Body::Failed(error), 0),
        };
        Ok(Some(Found { late, out, index }))
    }

    /// Sorts the entries of a partition and sends them, in several passes if they are too many;
    /// each pass takes the next higher range of hashes.
    fn sort(
        &self,
        partition: usize,
        mut file: Option<File>,
        spans: &[Span],
        used: &Receiver<Vec<u128>>,
        sorted: &SyncSender<Result<Vec<u128>>>,
    ) -> Result<()> {
        let size = file.as_ref().map(File::metadata).transpose().map_err(|e| self.failed(e))?;
        let bytes = usize::try_from(size.map_or(0, |m| m.len())).unwrap_or(usize::MAX);
        let rows = (self.entries[partition].0.len() + bytes) / ENTRY;
        // Two passes are in memory, one being processed and one waiting; the rest is for unwritten
        // blocks and the bits of candidates.
        let passes = rows.saturating_mul(ENTRY).div_ceil(self.memory / 4).clamp(1, 256);
        for pass in 0..passes {
            let Ok(mut entries) = used.recv() else { break };
            // Hashes are evenly distributed, so that the buffer need not grow, which would double
            // its memory.
            entries.clear();
            entries.reserve_exact(rows / passes + rows / passes / 16 + 64);
            self.read(partition, file.as_mut(), (pass, passes), spans, &mut entries)?;
            entries.sort_unstable();
            if sorted.send(Ok(entries)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Appends the entries of a partition that count and belong to the pass.
    fn read(
        &self,
        partition: usize,
        file: Option<&mut File>,
        (pass, passes): (usize, usize),
        spans: &[Span],
        entries: &mut Vec<u128>,
    ) -> Result<()> {
        let all = passes == 1 && spans.iter().all(|span| !span.dropped);
        let mut take = |bytes: &[u8]| {
            let each = bytes.as_chunks().0.iter().map(|entry| u128::from_le_bytes(*entry));
            entries.extend(each.filter(|entry| {
                let range = usize::from((entry << PARTITION_BITS).to_be_bytes()[0]) * passes / 256;
                let number = number_of(*entry);
                let dropped = || number != BASE && spans[span_of(number, spans)].dropped;
                all || (range == pass && !dropped())
            }));
        };
        if let Some(file) = file {
            file.rewind().map_err(|e| self.failed(e))?;
            let mut block = Vec::with_capacity(BLOCK_BYTES);
            loop {
                let read = file.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block);
                let read = read.map_err(|e| self.failed(e))?;
                take(&block[..read]);
                if read < BLOCK_BYTES {
                    break;
                }
                block.clear();
            }
        }
        take(&self.entries[partition].0);
        Ok(())
    }

    /// Counts and marks the duplicates among `entries`, which are sorted, and adds the others to
    /// the index; `None` if the index is damaged.
    fn settle(
        &self,
        entries: &[u128],
        spans: &[Span],
        late: &mut [Late],
        out: &mut [u64],
        addition: &mut Result<Addition>,
    ) -> Option<()> {
        let mut each = |group: &[u128], known: bool| {
            let hash = group[0] & !NUMBER;
            if group.len() > 1 || known {
                let first = number_of(group[0]);
                let owner = (!known && first != BASE).then(|| span_of(first, spans));
                let duplicates = if known { group } else { &group[1..] };
                for entry in duplicates {
                    let number = number_of(*entry);
                    // Rows of the data set are distinct.
                    let Some(at) = number.checked_sub(self.first_candidate) else { continue };
                    let span = span_of(number, spans);
                    if owner == Some(span) {
                        late[span].within += 1;
                    } else {
                        late[span].across += 1;
                    }
                    let at = usize::try_from(at).unwrap_or(usize::MAX);
                    out[at / 64] |= 1 << (at % 64);
                }
            }
            if !known && let Ok(adding) = addition {
                match adding.push(hash) {
                    Ok(()) => {}
                    Err(Trouble::Damaged) => return None,
                    Err(Trouble::Disk(error)) => *addition = Err(error),
                }
            }
            Some(())
        };
        let mut groups = entries.chunk_by(|a, b| a & !NUMBER == b & !NUMBER);
        let Some(known) = &self.known else {
            return groups.try_for_each(|group| each(group, false));
        };
        loop {
            let asked: Vec<&[u128]> = groups.by_ref().take(ASKED).collect();
            if asked.is_empty() {
                return Some(());
            }
            let hashes: Vec<u128> = asked.iter().map(|group| group[0] & !NUMBER).collect();
            let mut found = asked.into_iter().zip(known.find(&hashes)?);
            found.try_for_each(|(group, known)| each(group, known))?;
        }
    }

    /// Reads the candidates again and writes those that are kept.
    fn keep(&self, out: &[u64], spans: &[Span], writer: &mut DatasetWriter) -> Result<()> {
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

    /// Fills `bytes`; returns false at the end of the input.
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

/// The row number in an entry.
fn number_of(entry: u128) -> u64 {
    (entry & NUMBER) as u64
}

/// The index in `spans` of the file of row `number`.
fn span_of(number: u64, spans: &[Span]) -> usize {
    spans.partition_point(|s| s.start <= number).saturating_sub(1)
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low_half(number: u128) -> u64 {
    number as u64
}
