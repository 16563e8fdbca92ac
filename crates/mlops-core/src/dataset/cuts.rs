//! The bytes of a file of rows that are left out when it is copied: those of duplicates.
//!
//! Not for finding these: see [`super::equal_rows`].

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::equal_rows::Duplicate;
use super::task::{Output, not_as_counted};
use crate::{Error, Result};

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 18;

/// A file that another task wrote: its path, how many bytes it must have, and their checksum.
pub(crate) type Written<'a> = (&'a Path, u64, u64);

/// Writes to `path` where the bytes of `duplicates` are, as pairs of start and length, for rows of `bytes` bytes in all
/// whose lengths are in the file `lengths`; returns the size and the checksum of the file.
pub(crate) fn write(
    path: &Path,
    lengths: Written<'_>,
    bytes: u64,
    duplicates: &[Duplicate],
) -> Result<(u64, u64)> {
    let (lengths, size, checksum) = lengths;
    let failed = |e| Error::io("read", lengths, e);
    let mut file = File::open(lengths).map_err(failed)?;
    let mut list = Pairs { output: Output::create(path)?, last: (0, 0), bytes: 0 };
    let mut next = duplicates.iter().map(|duplicate| u64::from(duplicate.row)).peekable();
    let (mut row, mut at) = (0_u64, 0_u64);
    let (mut block, mut seen) = (Vec::with_capacity(BLOCK), Xxh3::new());
    loop {
        block.clear();
        let read = file.by_ref().take(BLOCK as u64).read_to_end(&mut block).map_err(failed)?;
        seen.update(&block);
        for length in block.as_chunks().0 {
            let length = u64::from(u32::from_le_bytes(*length));
            if next.next_if_eq(&row).is_some() {
                list.push(at, length)?;
            }
            at += length;
            row += 1;
        }
        if read < BLOCK {
            break;
        }
    }
    if (row * 4, at, seen.digest()) != (size, bytes, checksum) {
        return Err(not_as_counted(lengths));
    }
    list.put()?;
    Ok((list.bytes, list.output.finish()?))
}

/// Pairs of start and length on their way to a file; those that join become one.
struct Pairs {
    output: Output,
    last: (u64, u64),
    bytes: u64,
}

impl Pairs {
    fn push(&mut self, start: u64, length: u64) -> Result<()> {
        if self.last.0 + self.last.1 == start {
            self.last.1 += length;
            return Ok(());
        }
        self.put()?;
        self.last = (start, length);
        Ok(())
    }

    fn put(&mut self) -> Result<()> {
        let (start, length) = self.last;
        if length == 0 {
            return Ok(());
        }
        self.bytes += 16;
        self.output.append([start.to_le_bytes(), length.to_le_bytes()].as_flattened())
    }
}

/// Passes the file of rows to `append`, without what the file of `cuts` names.
pub(crate) fn append(
    rows: Written<'_>,
    cuts: Option<Written<'_>>,
    append: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (path, bytes, checksum) = rows;
    let failed = |e| Error::io("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let mut cuts = cuts.map(Cuts::open).transpose()?;
    let mut cut = cuts.as_mut().map_or(Ok(None), Cuts::next)?;
    let (mut block, mut kept) = (vec![0; BLOCK], Vec::with_capacity(BLOCK));
    // Where the block begins, and up to where rows were passed or left out.
    let (mut first, mut at, mut seen) = (0, 0, Xxh3::new());
    loop {
        let read = file.read(&mut block).map_err(failed)?;
        if read == 0 {
            break;
        }
        let until = first + read as u64;
        seen.update(&block[..read]);
        kept.clear();
        while at < until {
            let place = |at: u64| usize::try_from(at - first).unwrap_or(read);
            match cut {
                Some((start, _)) if start < at => return Err(not_as_counted(path)),
                Some((start, length)) if start < until => {
                    kept.extend_from_slice(&block[place(at)..place(start)]);
                    at = start + length;
                    cut = cuts.as_mut().map_or(Ok(None), Cuts::next)?;
                }
                _ => {
                    kept.extend_from_slice(&block[place(at)..read]);
                    at = until;
                }
            }
        }
        append(&kept)?;
        first = until;
    }
    if (first, at, seen.digest()) != (bytes, bytes, checksum) || cut.is_some() {
        return Err(not_as_counted(path));
    }
    cuts.map_or(Ok(()), Cuts::check)
}

/// The pairs in a file.
struct Cuts<'a> {
    written: Written<'a>,
    file: BufReader<File>,
    bytes: u64,
    seen: Xxh3,
}

impl<'a> Cuts<'a> {
    fn open(written: Written<'a>) -> Result<Self> {
        let file = File::open(written.0).map_err(|e| Error::io("read", written.0, e))?;
        Ok(Self { written, file: BufReader::new(file), bytes: 0, seen: Xxh3::new() })
    }

    /// The next pair; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, u64)>> {
        let (path, bytes, _) = self.written;
        if self.bytes >= bytes {
            return Ok(None);
        }
        let mut pair = [0; 16];
        self.file.read_exact(&mut pair).map_err(|e| Error::io("read", path, e))?;
        self.seen.update(&pair);
        self.bytes += 16;
        let [start, length] = *pair.as_chunks().0 else { return Err(not_as_counted(path)) };
        Ok(Some((u64::from_le_bytes(start), u64::from_le_bytes(length))))
    }

    /// Refuses what was read unless it is what was written.
    fn check(self) -> Result<()> {
        let (path, bytes, checksum) = self.written;
        let whole = self.bytes == bytes && self.seen.digest() == checksum;
        if whole { Ok(()) } else { Err(not_as_counted(path)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::disk::Disk;
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn any_rows_are_left_out_also_across_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let [rows_path, lengths, cuts] = ["rows", "lengths", "cuts"].map(|n| folder.path().join(n));
        let disk = Disk::default();
        for (count, longest, kept) in [
            (1, 9, 0),
            (5, 3, 2),
            (40_000, 50, 2),
            (40_000, 50, 997),
            (9, 3 * BLOCK, 2),
            (70_000, 20, 0),
        ] {
            let row = |n: usize| vec![u8::try_from(n % 251).unwrap(); 1 + n * 7919 % longest];
            let text: Vec<u8> = (0..count).flat_map(row).collect();
            let short = |n: usize| u32::try_from(row(n).len()).unwrap().to_le_bytes();
            let all: Vec<u8> = (0..count).flat_map(short).collect();
            disk.write(&rows_path, &text).unwrap();
            disk.write(&lengths, &all).unwrap();
            let stays = |n: usize| kept > 0 && (n / 3).is_multiple_of(kept);
            let expected: Vec<u8> = (0..count).filter(|n| stays(*n)).flat_map(row).collect();
            let out = (0..count).filter(|n| !stays(*n));
            let out = out.map(|n| Duplicate { row: u32::try_from(n).unwrap(), within: false });
            let (out, bytes) = (out.collect::<Vec<_>>(), text.len() as u64);
            let of = |all: &[u8]| (all.len() as u64, xxh3_64(all));
            let (size, checksum) = of(&all);
            let lengths = (lengths.as_path(), size, checksum);
            let (listed, sum) = write(&cuts, lengths, bytes, &out).unwrap();
            let (rows, cut) =
                ((rows_path.as_path(), bytes, of(&text).1), (cuts.as_path(), listed, sum));
            let mut found = Vec::new();
            let mut collect = |bytes: &[u8]| {
                found.extend_from_slice(bytes);
                Ok(())
            };
            append(rows, Some(cut), &mut collect).unwrap();
            assert!(found == expected, "{count} {longest} {kept}");
            found.clear();
            let mut collect = |bytes: &[u8]| {
                found.extend_from_slice(bytes);
                Ok(())
            };
            append(rows, None, &mut collect).unwrap();
            assert!(found == text, "{count} {longest} {kept}");

            // Whatever is not as it was written.
            let mut ignore = |_: &[u8]| Ok(());
            for wrong in [(rows.0, bytes + 1, rows.2), (rows.0, bytes, rows.2 ^ 1)] {
                assert!(append(wrong, Some(cut), &mut ignore).is_err());
                assert!(append(wrong, None, &mut ignore).is_err());
            }
            assert!(append(rows, Some((cut.0, listed, sum ^ 1)), &mut ignore).is_err());
            for wrong in [(lengths.0, size + 4, checksum), (lengths.0, size, checksum ^ 1)] {
                assert!(write(&cuts, wrong, bytes, &out).is_err());
            }
            assert!(write(&cuts, lengths, bytes + 1, &out).is_err());
        }
    }
}
