//! A table of the rows seen, as it was in memory: its slots, seven bytes each, in pages.
//!
//! Slots are in the order of the hashes. Sorted queries read pages from first to last, and only
//! those needed. A table never changes. Not for rows that came later: see [`super::run`].

use super::super::dedup::{KEPT_BYTES, LINE, entry_of, home, kept_of, kept_of_row};
use super::page::{BODY, PageReader, PageWriter, Pages};
use crate::Result;
use crate::platform::disk::NewFile;
use crate::platform::huge_vec::HugeVec;

/// Slots in a page: whole cache lines.
const SLOTS: usize = BODY / KEPT_BYTES;
const _: () = assert!(SLOTS.is_multiple_of(LINE));
const MASK: u64 = u64::MAX >> 8;

/// The number of pages for `slots` slots.
pub(crate) fn pages_of(slots: usize) -> u64 {
    slots.div_ceil(SLOTS) as u64
}

/// Writes a table.
pub(crate) fn write(slots: &HugeVec, pages: &mut PageWriter, out: &mut NewFile) -> Result<()> {
    for first in (0..slots.len()).step_by(SLOTS) {
        pages.push(out, |page| {
            for (i, at) in (first..slots.len().min(first + SLOTS)).enumerate() {
                // The eighth byte is overwritten by the next slot or the checksum.
                let kept = kept_of(slots.get(at)).to_le_bytes();
                page[i * KEPT_BYTES..i * KEPT_BYTES + 8].copy_from_slice(&kept);
            }
        })?;
    }
    pages.flush(out)
}

/// The content of slot `i` of a page.
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

/// Reads a table into memory, `used` slots of which are in use; `None` if it is damaged.
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

/// Sets `hits` for each of the ascending `hashes` that is in the table of `slots` slots; `None` if
/// a page is damaged.
pub(crate) fn find(pages: Pages, slots: usize, hashes: &[u128], hits: &mut [bool]) -> Option<()> {
    let mut reader = PageReader::for_hashes(pages, hashes);
    for (hash, hit) in hashes.iter().zip(hits) {
        let (home, wanted) = (home(*hash, slots), kept_of_row(*hash));
        let (mut line, first) = (home / LINE * LINE, home % LINE);
        // At most one round, in case the table is full, which it should never be.
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
