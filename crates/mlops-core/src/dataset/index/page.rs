//! Pages of 4 KiB, each with a checksum that also tells which page of which part it is.
//!
//! A page is checked whenever it is read, so that damage is noticed in what is used and only there.
//! Not for what stands in a page: see [`super::table`] and [`super::run`].

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Result;
use crate::platform::disk::NewFile;

/// Bytes of a page.
pub(crate) const PAGE: usize = 1 << 12;
/// Those of them that are not its checksum.
pub(crate) const BODY: usize = PAGE - 8;
/// Pages that are read at once where most of them are wanted.
const MANY: u64 = 64;
/// Bytes that are written at once.
const BLOCK_BYTES: usize = 1 << 19;

fn checksum(body: &[u8], seed: u64, number: u64) -> [u8; 8] {
    xxh3_64_with_seed(body, seed.wrapping_add(number)).to_le_bytes()
}

/// Pages on their way to a file, one behind the other.
#[derive(Debug)]
pub(crate) struct PageWriter {
    seed: u64,
    /// How many there are.
    pub(crate) count: u64,
    block: Vec<u8>,
}

impl PageWriter {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, count: 0, block: Vec::with_capacity(BLOCK_BYTES) }
    }

    /// Appends the page that `fill` makes of zeros; it may touch the checksum's bytes.
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

    /// Hands everything over.
    pub(crate) fn flush(&mut self, out: &mut NewFile) -> Result<()> {
        out.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }
}

/// About how many of `pages` pages lie between two hashes: one at least.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a guess")]
pub(crate) fn pages_between(low: u128, high: u128, pages: u64) -> u64 {
    let share = (high.saturating_sub(low) >> 64) as f64 / u64::MAX as f64;
    (share * pages as f64).round().max(1.0) as u64
}

/// The pages of one part.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) file: Arc<File>,
    /// Where the first one begins.
    pub(crate) offset: u64,
    pub(crate) count: u64,
    pub(crate) seed: u64,
}

/// Reads pages, some more than the wanted one at a time when most will be wanted.
#[derive(Debug)]
pub(crate) struct PageReader {
    pages: Pages,
    ahead: u64,
    window: Vec<u8>,
    first: u64,
}

impl PageReader {
    /// For all pages.
    pub(crate) fn all(pages: Pages) -> Self {
        Self { pages, ahead: MANY, window: Vec::new(), first: 0 }
    }

    /// For the pages where `hashes`, which rise, may be.
    pub(crate) fn for_hashes(pages: Pages, hashes: &[u128]) -> Self {
        let last = hashes.last().copied().unwrap_or_default();
        let span = pages_between(hashes.first().copied().unwrap_or_default(), last, pages.count);
        let many = span / 4 <= hashes.len() as u64;
        Self { pages, ahead: if many { MANY } else { 1 }, window: Vec::new(), first: 0 }
    }

    pub(crate) fn count(&self) -> u64 {
        self.pages.count
    }

    /// What stands in page `number`; nothing when it is not sound, or there is none.
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
