//! Training rows, packed: in memory, and beyond a limit in a temporary file.
//!
//! Rows arrive column by column, in batches of any size; here they are cut into blocks of
//! [`BLOCK_ROWS`], each of which becomes a run of bytes (a frame). A fit from disk gives the same
//! bits as one from memory. NaN is a missing value. Rows can also be kept in files, and read from there by several
//! machines. Not for the meaning of columns, nor for one-hot encoding: see `model`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::{BLOCK_ROWS, Block, Blocks};
use super::column::{pack, skip, unpack};
use super::part::{self, OpenPart, Part};
use super::question::Holders;
use crate::error::{Error, Result};
use crate::platform::disk::Disk;
use crate::platform::scratch::Scratch;

/// Frames are stored in segments of about this size, so that nothing large is ever moved.
const SEGMENT_BYTES: usize = 1 << 20;
/// Labels of a block, one bit each.
const LABEL_BYTES: usize = BLOCK_ROWS / 8;

/// Rows for a fit; every value can be restored bit for bit.
#[derive(Debug)]
pub struct PackedBlocks {
    columns: usize,
    rows: u64,
    positives: u64,
    /// The end of each frame, as an offset from the first byte of the first frame.
    ends: Vec<u64>,
    /// Consecutive frames, and the offset of the first of them.
    segments: Vec<(u64, Vec<u8>)>,
    /// The last block, which is being filled.
    open: Block,
    limit: Option<MemoryLimit>,
    /// The frames before those of the segments, once the limit was reached.
    file: Option<Scratch>,
    /// The files that have the frames instead.
    parts: Vec<OpenPart>,
    /// Who makes the passes over these files.
    holders: Option<Arc<dyn Holders>>,
}

/// The number of bytes in memory beyond which frames go to a file, and its folder.
#[derive(Debug)]
struct MemoryLimit {
    bytes: usize,
    disk: Disk,
    folder: PathBuf,
}

/// A block of packed columns, which are read in order.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    rows: usize,
    labels: &'a [u8],
    rest: &'a [u8],
}

impl PackedBlocks {
    /// Starts without rows of `columns` values.
    pub fn new(columns: usize) -> Self {
        Self {
            columns,
            rows: 0,
            positives: 0,
            ends: Vec::new(),
            segments: Vec::new(),
            open: Block::new(columns),
            limit: None,
            file: None,
            parts: Vec::new(),
            holders: None,
        }
    }

    /// The rows in `parts`, one after the other.
    ///
    /// # Errors
    /// If the last part cannot be read. Others are opened when they are needed.
    pub(crate) fn of_parts(columns: usize, positives: u64, parts: &[Part]) -> Result<Self> {
        let mut rows = Self { positives, ..Self::new(columns) };
        for part in parts {
            #[expect(clippy::cast_possible_truncation, reason = "blocks are counted in a usize")]
            let first = (rows.rows / BLOCK_ROWS as u64) as usize;
            rows.rows += part.rows;
            rows.parts.push(OpenPart::new(part.clone(), columns, first));
        }
        if let Some(last) = rows.parts.last() {
            rows.open = last.last()?;
        }
        Ok(rows)
    }

    /// Has `holders` make the passes over these rows.
    #[must_use]
    pub(crate) fn held_by(self, holders: Arc<dyn Holders>) -> Self {
        Self { holders: Some(holders), ..self }
    }

    /// Writes the rows to a new file at `path`, for [`PackedBlocks::of_parts`].
    ///
    /// # Errors
    /// If the file cannot be written, or a temporary file cannot be read.
    pub(crate) fn write_part(&self, disk: &Disk, path: &Path) -> Result<Part> {
        let mut file = disk.new_file(path)?;
        let (mut bytes, mut buffer) = (Vec::with_capacity(SEGMENT_BYTES), Vec::new());
        let (mut ends, mut written) = (Vec::new(), 0);
        for index in 0..self.full_blocks() {
            let frame = self.frame_bytes(index, &mut buffer)?;
            bytes.extend_from_slice(frame);
            written += frame.len() as u64;
            ends.push(written);
            if bytes.len() >= SEGMENT_BYTES {
                file.write_all(&bytes)?;
                bytes.clear();
            }
        }
        let last = Some(&self.open).filter(|open| open.rows() > 0);
        bytes.extend(part::tail(self.columns, self.rows, &ends, last));
        file.write_all(&bytes)?;
        file.publish(true)?;
        Ok(Part { path: path.to_owned(), rows: self.rows })
    }

    fn full_blocks(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "blocks are counted in a usize")]
        if self.parts.is_empty() {
            self.ends.len()
        } else {
            (self.rows / BLOCK_ROWS as u64) as usize
        }
    }

    /// Keeps no more than about `bytes` in memory; the rest goes to a temporary file in `folder`.
    #[must_use]
    pub fn within(mut self, bytes: usize, disk: &Disk, folder: PathBuf) -> Self {
        self.limit = Some(MemoryLimit { bytes, disk: disk.clone(), folder });
        self
    }

    /// Appends a row.
    ///
    /// # Errors
    /// If `row` has another number of values than the others, or a temporary file cannot be
    /// written. Values are not checked here; a fit rejects those that are not finite.
    pub fn push_row(&mut self, row: &[f64], positive: bool) -> Result<()> {
        let columns: Vec<&[f64]> = row.iter().map(std::slice::from_ref).collect();
        self.push_columns(&columns, &[positive])
    }

    /// Appends rows column by column; each column must have as many values as there are labels.
    ///
    /// # Errors
    /// As [`PackedBlocks::push_row`].
    pub fn push_columns(&mut self, columns: &[&[f64]], positive: &[bool]) -> Result<()> {
        let rows = positive.len();
        if columns.len() != self.columns || columns.iter().any(|c| c.len() != rows) {
            return Err(Error::data(format!(
                "row {} of the training data has {} values instead of {}; encode every row with \
                 the same schema",
                self.rows,
                columns.len(),
                self.columns
            )));
        }
        let mut done = 0;
        while done < rows {
            let at = self.open.rows();
            let now = (BLOCK_ROWS - at).min(rows - done);
            for (j, column) in columns.iter().enumerate() {
                self.open.column_mut(j)[at..at + now].copy_from_slice(&column[done..done + now]);
            }
            for (to, &from) in
                self.open.labels_mut()[at..].iter_mut().zip(&positive[done..done + now])
            {
                *to = f64::from(from);
            }
            self.open.set_rows(at + now);
            done += now;
            if at + now == BLOCK_ROWS {
                self.seal()?;
            }
        }
        self.rows += rows as u64;
        self.positives += positive.iter().filter(|positive| **positive).count() as u64;
        Ok(())
    }

    /// Turns the full open block into a frame.
    fn seal(&mut self) -> Result<()> {
        let end = self.ends.last().copied().unwrap_or(0);
        if self.segments.last().is_none_or(|(_, bytes)| bytes.len() >= SEGMENT_BYTES) {
            self.make_room()?;
            // With room for the last frame.
            let room = SEGMENT_BYTES + self.largest_frame();
            self.segments.push((end, Vec::with_capacity(room)));
        }
        let Some((_, bytes)) = self.segments.last_mut() else { return Ok(()) };
        let before = bytes.len();
        let mut labels = [0_u8; LABEL_BYTES];
        for (i, label) in self.open.labels().iter().enumerate() {
            labels[i / 8] |= u8::from(*label > 0.5) << (i % 8);
        }
        bytes.extend_from_slice(&labels);
        for j in 0..self.columns {
            pack(self.open.column(j), bytes);
        }
        self.ends.push(end + (bytes.len() - before) as u64);
        self.open.set_rows(0);
        Ok(())
    }

    fn largest_frame(&self) -> usize {
        LABEL_BYTES + self.columns * (1 + 8 * BLOCK_ROWS)
    }

    /// Moves all segments to the file if one more would exceed the limit.
    fn make_room(&mut self) -> Result<()> {
        let next = SEGMENT_BYTES + self.largest_frame();
        let held = self.segments.iter().map(|(_, bytes)| bytes.capacity()).sum::<usize>();
        let Some(limit) = self.limit.as_ref().filter(|limit| held + next > limit.bytes) else {
            return Ok(());
        };
        if self.segments.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(limit.disk.scratch(&limit.folder)?),
        };
        for (_, bytes) in self.segments.drain(..) {
            file.append(&bytes)?;
        }
        Ok(())
    }

    /// Whether some of the rows are in a file.
    pub fn spilled(&self) -> bool {
        self.file.is_some()
    }

    /// The frame of full block `index`; `buffer` receives it if it is on disk.
    pub(crate) fn frame<'a>(&'a self, index: usize, buffer: &'a mut Vec<u8>) -> Result<Frame<'a>> {
        let bytes = self.frame_bytes(index, buffer)?;
        let (labels, rest) = bytes.split_at_checked(LABEL_BYTES).ok_or_else(damaged)?;
        Ok(Frame { rows: BLOCK_ROWS, labels, rest })
    }

    fn frame_bytes<'a>(&'a self, index: usize, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        if !self.parts.is_empty() {
            let after = self.parts.partition_point(|part| part.first <= index);
            let part = after.checked_sub(1).and_then(|at| self.parts.get(at));
            let part = part.filter(|_| index < self.full_blocks());
            let part = part.ok_or_else(|| self.no_block(index))?;
            part.frame(index - part.first, buffer)?;
            return Ok(buffer);
        }
        let (start, end) = match (index.checked_sub(1), self.ends.get(index)) {
            (None, Some(end)) => (0, *end),
            (Some(before), Some(end)) => (self.ends[before], *end),
            (_, None) => return Err(self.no_block(index)),
        };
        #[expect(clippy::cast_possible_truncation, reason = "a frame is in memory")]
        let length = (end - start) as usize;
        let segment = self.segments.partition_point(|(first, _)| *first <= start);
        Ok(match (segment.checked_sub(1), &self.file) {
            (None, Some(file)) => {
                buffer.resize(length, 0);
                file.read_at(start, buffer)?;
                buffer.as_slice()
            }
            (segment, _) => {
                let (first, bytes) = &self.segments[segment.unwrap_or(0)];
                #[expect(clippy::cast_possible_truncation, reason = "within a segment")]
                let at = (start - first) as usize;
                &bytes[at..at + length]
            }
        })
    }

    /// Passes some of the columns of block `index` to `take` without unpacking the others; `buffer`
    /// is as for [`PackedBlocks::frame`].
    pub(crate) fn columns(
        &self,
        index: usize,
        wanted: &[usize],
        buffer: &mut Vec<u8>,
        mut take: impl FnMut(usize, &[f64]),
    ) -> Result<()> {
        if let Some(last) = self.last(index) {
            for j in wanted {
                take(*j, last.column(*j));
            }
            return Ok(());
        }
        let mut frame = self.frame(index, buffer)?;
        let (mut values, mut next) = ([0.0; BLOCK_ROWS], 0);
        for &j in wanted {
            frame.skip(j - next)?;
            frame.column(&mut values, f64::NAN)?;
            take(j, &values);
            next = j + 1;
        }
        Ok(())
    }

    /// Reads the labels of block `index`; `buffer` is as for [`PackedBlocks::frame`].
    pub(crate) fn labels(
        &self,
        index: usize,
        buffer: &mut Vec<u8>,
        into: &mut [f64],
    ) -> Result<()> {
        match self.last(index) {
            Some(last) => into[..last.rows()].copy_from_slice(last.labels()),
            None => self.frame(index, buffer)?.labels(into),
        }
        Ok(())
    }

    /// The last, partial block, if `index` is its index.
    pub(crate) fn last(&self, index: usize) -> Option<&Block> {
        (index == self.full_blocks() && self.open.rows() > 0).then_some(&self.open)
    }

    fn no_block(&self, index: usize) -> Error {
        Error::data(format!(
            "there is no block {index} among {} blocks of training data",
            self.blocks()
        ))
    }
}

impl Frame<'_> {
    /// Reads the labels.
    pub(crate) fn labels(&self, into: &mut [f64]) {
        for (to, byte) in into.as_chunks_mut::<8>().0.iter_mut().zip(self.labels) {
            for (bit, to) in to.iter_mut().enumerate() {
                *to = f64::from(byte >> bit & 1);
            }
        }
    }

    /// Reads the next column, with `fill` for missing values unless `fill` is NaN.
    pub(crate) fn column(&mut self, into: &mut [f64], fill: f64) -> Result<()> {
        self.rest = unpack(self.rest, &mut into[..self.rows], fill).ok_or_else(damaged)?;
        Ok(())
    }

    /// Skips the next `columns`.
    fn skip(&mut self, columns: usize) -> Result<()> {
        for _ in 0..columns {
            self.rest = skip(self.rest, self.rows).ok_or_else(damaged)?;
        }
        Ok(())
    }
}

fn damaged() -> Error {
    Error::data("the temporary file of training rows was damaged: run the training again")
}

impl Blocks for PackedBlocks {
    fn features(&self) -> usize {
        self.columns
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn positives(&self) -> u64 {
        self.positives
    }

    fn blocks(&self) -> usize {
        self.full_blocks() + usize::from(self.open.rows() > 0)
    }

    fn holders(&self) -> Option<&dyn Holders> {
        self.holders.as_deref()
    }

    fn read(&self, index: usize, into: &mut Block) -> Result<()> {
        if let Some(last) = self.last(index) {
            into.clone_from(last);
            return Ok(());
        }
        let mut buffer = std::mem::take(into.bytes_mut());
        let mut frame = self.frame(index, &mut buffer)?;
        frame.labels(into.labels_mut());
        for j in 0..self.columns {
            frame.column(into.column_mut(j), f64::NAN)?;
        }
        into.set_rows(BLOCK_ROWS);
        *into.bytes_mut() = buffer;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(i: u32) -> [f64; 4] {
        let gap = if i.is_multiple_of(5) { f64::NAN } else { f64::from(i % 7) };
        [f64::from(i) - 300.0, f64::from(i) / 7.0, -0.0, gap]
    }

    fn check(source: &PackedBlocks, rows: u32) {
        assert_eq!(source.rows(), u64::from(rows));
        assert_eq!(source.positives(), u64::from(rows.div_ceil(3)));
        assert_eq!(source.blocks(), (rows as usize).div_ceil(BLOCK_ROWS));
        let mut block = Block::new(4);
        for i in 0..rows {
            let at = i as usize % BLOCK_ROWS;
            if at == 0 {
                source.read(i as usize / BLOCK_ROWS, &mut block).unwrap();
            }
            for (j, value) in row(i).iter().enumerate() {
                assert_eq!(block.column(j)[at].to_bits(), value.to_bits(), "row {i}");
            }
            assert_eq!(block.labels()[at] > 0.5, i % 3 == 0);
        }
        assert!(source.read(source.blocks(), &mut block).is_err());
    }

    #[test]
    fn every_value_comes_back_bit_for_bit_around_block_borders() {
        for rows in [1_u32, 255, 256, 257, 600] {
            let mut source = PackedBlocks::new(4);
            for i in 0..rows {
                source.push_row(&row(i), i % 3 == 0).unwrap();
            }
            check(&source, rows);
        }
    }

    #[test]
    fn batches_of_any_size_and_a_limit_make_no_difference() {
        let dir = tempfile::tempdir().unwrap();
        let limited = |bytes: usize| {
            PackedBlocks::new(4).within(bytes, &Disk::default(), dir.path().to_owned())
        };
        for (mut source, rows, spills) in [
            (PackedBlocks::new(4), 1_000, false),
            (limited(1), 300_000, true),
            (limited(3 << 20), 300_000, true),
            (limited(1 << 30), 300_000, false),
        ] {
            let mut next = 0;
            for size in (0..).map(|n| n * 37 % 1_000) {
                let batch: Vec<u32> = (next..rows.min(next + size)).collect();
                let column = |j: usize| batch.iter().map(|i| row(*i)[j]).collect::<Vec<_>>();
                let columns: Vec<Vec<f64>> = (0..4).map(column).collect();
                let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
                let labels: Vec<bool> = batch.iter().map(|i| i % 3 == 0).collect();
                source.push_columns(&columns, &labels).unwrap();
                next += u32::try_from(batch.len()).unwrap();
                if next == rows {
                    break;
                }
            }
            assert_eq!(source.spilled(), spills);
            check(&source, rows);
        }
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "the file has no name");
    }

    #[test]
    fn rows_in_files_are_the_same_and_a_damaged_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        for (rows, cut) in [(0, 0_u32), (200, 0), (256, 0), (700, 512), (768, 256), (1_025, 1_024)]
        {
            let mut parts = Vec::new();
            for (name, range) in [("a", 0..cut), ("b", cut..rows)] {
                let mut source = PackedBlocks::new(4);
                for i in range {
                    source.push_row(&row(i), i % 3 == 0).unwrap();
                }
                let path = dir.path().join(format!("{rows}{name}"));
                let part = source.write_part(&disk, &path).unwrap();
                parts.extend(Some(part).filter(|part| part.rows > 0));
            }
            let all = PackedBlocks::of_parts(4, u64::from(rows.div_ceil(3)), &parts).unwrap();
            check(&all, rows);
            // Once more, from files.
            let part = all.write_part(&disk, &dir.path().join("again")).unwrap();
            check(&PackedBlocks::of_parts(4, all.positives(), &[part]).unwrap(), rows);
        }
        let path = dir.path().join("again");
        let whole = std::fs::read(&path).unwrap();
        let open = |bytes: &[u8], rows| {
            disk.write(&path, bytes).unwrap();
            PackedBlocks::of_parts(4, 0, &[Part { path: path.clone(), rows }])
        };
        assert!(open(&whole, 1_025).is_ok() && open(&whole, 1_024).is_err());
        assert!(open(&whole[..whole.len() - 1], 1_025).is_err());
        assert!(open(&[], 1_025).is_err());
        let mut other = whole.clone();
        let at = other.len() - 50;
        other[at] ^= 1;
        assert!(open(&other, 1_025).is_err());
    }

    #[test]
    fn a_row_of_another_width_is_refused() {
        let message = PackedBlocks::new(2).push_row(&[1.0], true).unwrap_err().to_string();
        assert!(message.contains("1 values instead of 2"), "{message}");
    }
}
