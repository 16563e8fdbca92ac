//! Pages of 4 KiB, each with a checksum that covers its part and position too.
//!
//! A page is verified whenever it is read, so that damage is noticed exactly where it matters. Not
//! for the content of a page: see [`super::table`] and [`super::run`].

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Result;
use crate::platform::disk::NewFile;

/// Bytes in a page.
pub(crate) const PAGE: usize = 1 << 12;
/// Bytes in a page without its checksum.
pub(crate) const BODY: usize = PAGE - 8;
/// Pages read at once if most of them are wanted.
const MANY: u64 = 64;
/// Bytes written at once.
const BLOCK_BYTES: usize = 1 << 19;

fn checksum(body: &[u8], seed: u64, number: u64) -> [u8; 8] {
    xxh3_64_with_seed(body, seed.wrapping_add(number)).to_le_bytes()
}

/// Writes consecutive pages to a file.
#[derive(Debug)]
pub(crate) struct PageWriter {
    seed: u64,
    /// The number of pages so far.
    pub(crate) count: u64,
    block: Vec<u8>,
}

impl PageWriter {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, count: 0, block: Vec::with_capacity(BLOCK_BYTES) }
    }

    /// Appends the page that `fill` makes of zeros; it may touch the bytes of the checksum.
    pub(crate) fn push(&mut self, out: &mut NewFile, fill: impl FnOnce(&mut [u8])) -> Result<()> {
        let start = self.block.len();
        self.block.resize(start + PAGE, 0);
        let page = &mut self.block[start..];
        fill(page);
        let (body, sum) = page.split_at_mut(BODY);
        sum.copy_from_slice(&checksum(body, self.seed, self.count));
        self.count += 1;
        if self.block.len() + PAGE > BLOCK_BYTES { self.flush(out) } else { Ok(()) }
    }

    /// Writes buffered pages.
    pub(crate) fn flush(&mut self, out: &mut NewFile) -> Result<()> {
        out.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }
}

/// The approximate number of pages between two hashes, out of `pages`; at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a guess")]
pub(crate) fn pages_between(low: u128, high: u128, pages: u64) -> u64 {
    let share = (high.saturating_sub(low) >> 64) as f64 / u64::MAX as f64;
    (share * pages as f64).round().max(1.0) as u64
}

/// The pages of one part.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) file: Arc<File>,
    /// The offset of the first page.
    pub(crate) offset: u64,
    pub(crate) count: u64,
    pub(crate) seed: u64,
}

/// Reads pages, several at a time if most will be wanted.
#[derive(Debug)]
pub(crate) struct PageReader {
    pages: Pages,
    ahead: u64,
    window: Vec<u8>,
    first: u64,
}

impl PageReader {
    /// For reading all pages.
    pub(crate) fn all(pages: Pages) -> Self {
        Self { pages, ahead: MANY, window: Vec::new(), first: 0 }
    }

    /// For reading the pages that may contain `hashes`, in ascending order.
    pub(crate) fn for_hashes(pages: Pages, hashes: &[u128]) -> Self {
        let last = hashes.last().copied().unwrap_or_default();
        let span = pages_between(hashes.first().copied().unwrap_or_default(), last, pages.count);
        let many = span / 4 <= hashes.len() as u64;
        Self { pages, ahead: if many { MANY } else { 1 }, window: Vec::new(), first: 0 }
    }

    pub(crate) fn count(&self) -> u64 {
        self.pages.count
    }

    /// The content of page `number`; `None` if it is damaged or missing.
    pub(crate) fn body(&mut self, number: u64) -> Option<&[u8]> {
        let held = (self.window.len() / PAGE) as u64;
        if number < self.first || number >= self.first + held {
            let count = self.pages.count.checked_sub(number)?.min(self.ahead);
            self.window.resize(usize::try_from(count).ok()? * PAGE, 0);
            let offset = self.pages.offset.checked_add(number.checked_mul(PAGE as u64)?)?;
            let read = self.pages.file.read_exact_at(&mut self.window, offset);
            let numbered = (number..).zip(self.window.chunks_exact(PAGE));
            let mut pages = numbered.map(|(number, page)| (number, page.split_at(BODY)));
            let sound =
                pages.all(|(number, (body, sum))| checksum(body, self.pages.seed, number) == sum);
            if read.is_err() || !sound || count == 0 {
                self.window.clear();
                return None;
            }
            self.first = number;
        }
        let start = usize::try_from(number - self.first).ok()? * PAGE;
        self.window.get(start..start + BODY)
    }
}
