//! A table of the rows seen, as it was in memory: its slots, seven bytes each, in pages.
//!
//! HugeVec stand in the order of the hashes. To ask for rows in that order, pages are read from the
//! first to the last, and only those that are wanted. A table never changes.
//! Not for rows that came later: see [`super::run`].

use super::super::dedup::{KEPT_BYTES, LINE, entry_of, home, kept_of, kept_of_row};
use super::page::{BODY, PageReader, PageWriter, Pages};
use crate::Result;
use crate::platform::disk::NewFile;
use crate::platform::huge_vec::HugeVec;

/// HugeVec of a page: whole lines.
const SLOTS: usize = BODY / KEPT_BYTES;
const _: () = assert!(SLOTS.is_multiple_of(LINE));
const MASK: u64 = u64::MAX >> 8;

/// Pages that `slots` slots take.
pub(crate) fn pages_of(slots: usize) -> u64 {
    slots.div_ceil(SLOTS) as u64
}

/// Appends a table.
pub(crate) fn write(slots: &HugeVec, pages: &mut PageWriter, out: &mut NewFile) -> Result<()> {
    for first in (0..slots.len()).step_by(SLOTS) {
        pages.push(out, |page| {
            for (i, at) in (first..slots.len().min(first + SLOTS)).enumerate() {
                // One byte more, which the next slot or the checksum takes.
                let kept = kept_of(slots.get(at)).to_le_bytes();
                page[i * KEPT_BYTES..i * KEPT_BYTES + 8].copy_from_slice(&kept);
            }
        })?;
    }
    pages.flush(out)
}

/// What is kept in slot `i` of a page.
fn kept(body: &[u8], i: usize) -> u64 {
    let start = i * KEPT_BYTES;
    if let Some(bytes) = body.get(start..start + 8).and_then(|bytes| bytes.first_chunk()) {
        return u64::from_le_bytes(*bytes) & MASK;
    }
    let mut bytes = [0; 8];
    let last = body.get(start..start + KEPT_BYTES).unwrap_or(&[0; KEPT_BYTES]);
    bytes[..KEPT_BYTES].copy_from_slice(last);
    u64::from_le_bytes(bytes)
}

/// Reads a table into memory, of which `used` slots are in use; nothing when it is damaged.
pub(crate) fn load(pages: Pages, slots: usize, used: usize) -> Option<HugeVec> {
    let count = pages.count;
    let mut reader = PageReader::all(pages);
    let mut table = HugeVec::zeroed(slots).ok()?;
    let mut found = 0;
    for number in 0..count {
        let body = reader.body(number)?;
        let first = usize::try_from(number).ok()? * SLOTS;
        for (i, at) in (first..slots.min(first + SLOTS)).enumerate() {
            let kept = kept(body, i);
            if kept != 0 {
                table.set(at, entry_of(kept));
                found += 1;
            }
        }
    }
    (found == used).then_some(table)
}

/// Sets `hits` where the row of the same place among `hashes`, which rise, is in the table of
/// `slots` slots; nothing when a page is damaged.
pub(crate) fn find(pages: Pages, slots: usize, hashes: &[u128], hits: &mut [bool]) -> Option<()> {
    let mut reader = PageReader::for_hashes(pages, hashes);
    for (hash, hit) in hashes.iter().zip(hits) {
        let (home, wanted) = (home(*hash, slots), kept_of_row(*hash));
        let (mut line, first) = (home / LINE * LINE, home % LINE);
        // Not round more than once, should the table be full against all expectation.
        let found = 'search: {
            for _ in 0..slots / LINE {
                let body = reader.body((line / SLOTS) as u64)?;
                for i in first..first + LINE {
                    match kept(body, line % SLOTS + i % LINE) {
                        0 => break 'search false,
                        kept if kept == wanted => break 'search true,
                        _ => {}
                    }
                }
                line = if line + LINE < slots { line + LINE } else { 0 };
            }
            false
        };
        *hit |= found;
    }
    Some(())
}
