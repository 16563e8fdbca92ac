//! A sorted run: the keys of rows, 88 bits each, ascending, in full pages.
//!
//! Keys are hashes and therefore evenly distributed: the position of one is known to a few pages,
//! and two or three reads find it. Runs are merged while they are written. A run never changes. Not
//! for deciding when runs are merged: see [`super`].

use super::super::dedup::UNUSED;
use super::page::{BODY, PageReader, PageWriter, Pages, pages_between};
use crate::Result;
use crate::dataset::index::trouble::Trouble;
use crate::platform::disk::NewFile;

const KEY: usize = 11;
/// Keys in a full page, after their number.
const KEYS: usize = (BODY - 2) / KEY;

/// The number of pages for `keys` keys.
pub(crate) fn pages_of(keys: u64) -> u64 {
    keys.div_ceil(KEYS as u64)
}

/// Writes a run.
#[derive(Debug)]
pub(crate) struct RunWriter {
    pages: PageWriter,
    page: Vec<u8>,
    /// The number of keys so far.
    pub(crate) keys: u64,
    /// Older runs that are merged into this one.
    older: Vec<RunKeys>,
}

impl RunWriter {
    /// Starts a run into which the runs `older` are merged.
    pub(crate) fn new(
        seed: u64,
        older: impl IntoIterator<Item = Pages>,
    ) -> std::result::Result<Self, Trouble> {
        let older = older.into_iter().map(RunKeys::new).collect::<Option<_>>();
        let older = older.ok_or(Trouble::Damaged)?;
        Ok(Self { pages: PageWriter::new(seed), page: Vec::new(), keys: 0, older })
    }

    /// Appends the key of a row; hashes must come in ascending order.
    pub(crate) fn push(
        &mut self,
        hash: u128,
        out: &mut NewFile,
    ) -> std::result::Result<(), Trouble> {
        self.merge(Some(hash), out)?;
        Ok(self.put(hash, out)?)
    }

    /// Writes the rest.
    pub(crate) fn finish(&mut self, out: &mut NewFile) -> std::result::Result<(), Trouble> {
        self.merge(None, out)?;
        if !self.page.is_empty() {
            self.end_page(out)?;
        }
        Ok(self.pages.flush(out)?)
    }

    /// Appends the keys of older runs that are below `limit`.
    fn merge(
        &mut self,
        limit: Option<u128>,
        out: &mut NewFile,
    ) -> std::result::Result<(), Trouble> {
        loop {
            let keys = self.older.iter_mut().filter(|keys| keys.next.is_some());
            let Some(keys) = keys.min_by_key(|keys| keys.next) else { return Ok(()) };
            let Some(key) = keys.next.filter(|key| limit.is_none_or(|limit| *key < limit)) else {
                return Ok(());
            };
            keys.advance().ok_or(Trouble::Damaged)?;
            self.put(key, out)?;
        }
    }

    fn put(&mut self, hash: u128, out: &mut NewFile) -> Result<()> {
        self.page.extend_from_slice(&hash.to_be_bytes()[..KEY]);
        self.keys += 1;
        if self.page.len() == KEYS * KEY { self.end_page(out) } else { Ok(()) }
    }

    fn end_page(&mut self, out: &mut NewFile) -> Result<()> {
        let keys = &self.page;
        let count = u16::try_from(keys.len() / KEY).unwrap_or(u16::MAX);
        self.pages.push(out, |page| {
            page[..2].copy_from_slice(&count.to_le_bytes());
            page[2..2 + keys.len()].copy_from_slice(keys);
        })?;
        self.page.clear();
        Ok(())
    }
}

/// Key `i` of a page, as a hash whose unused bits are zero.
fn key(body: &[u8], i: usize) -> Option<u128> {
    let mut bytes = [0; 16];
    bytes[..KEY].copy_from_slice(body.get(2 + i * KEY..2 + (i + 1) * KEY)?);
    Some(u128::from_be_bytes(bytes))
}

fn count(body: &[u8]) -> Option<usize> {
    let count = usize::from(u16::from_le_bytes(*body.first_chunk()?));
    (1..=KEYS).contains(&count).then_some(count)
}

/// Iterates over the keys of a run.
#[derive(Debug)]
pub(crate) struct RunKeys {
    reader: PageReader,
    page: u64,
    at: usize,
    /// The next key; `None` after the last.
    pub(crate) next: Option<u128>,
}

impl RunKeys {
    /// `None` if the run is damaged.
    pub(crate) fn new(pages: Pages) -> Option<Self> {
        let reader = PageReader::all(pages);
        let mut keys = Self { reader, page: 0, at: 0, next: None };
        keys.read()?;
        Some(keys)
    }

    /// Advances to the next key; `None` if the run is damaged.
    pub(crate) fn advance(&mut self) -> Option<()> {
        self.at += 1;
        self.read()
    }

    fn read(&mut self) -> Option<()> {
        if self.page == self.reader.count() {
            self.next = None;
            return Some(());
        }
        let body = self.reader.body(self.page)?;
        if self.at < count(body)? {
            self.next = Some(key(body, self.at)?);
            return Some(());
        }
        (self.page, self.at) = (self.page + 1, 0);
        self.read()
    }
}

/// Sets `hits` for each of the ascending `hashes` that is in the run; `None` if a page is damaged.
pub(crate) fn find(pages: Pages, hashes: &[u128], hits: &mut [bool]) -> Option<()> {
    let mut reader = PageReader::for_hashes(pages, hashes);
    // Pages before this one are done.
    let mut begin = 0;
    let mut guess = 0;
    for (hash, hit) in hashes.iter().zip(hits) {
        let wanted = hash & !UNUSED;
        let mut above = reader.count();
        while begin < above {
            guess = guess.clamp(begin, above - 1);
            let body = reader.body(guess)?;
            let keys = count(body)?;
            let (first, last) = (key(body, 0)?, key(body, keys - 1)?);
            if wanted < first {
                above = guess;
                guess = guess.saturating_sub(pages_between(wanted, first, reader.count()));
            } else if wanted > last {
                begin = guess + 1;
                guess += pages_between(last, wanted, reader.count());
            } else {
                *hit |= search(body, keys, wanted)?;
                break;
            }
        }
    }
    Some(())
}

/// Whether a page contains a key.
fn search(body: &[u8], keys: usize, wanted: u128) -> Option<bool> {
    let (mut low, mut high) = (0, keys);
    while low < high {
        let middle = usize::midpoint(low, high);
        match key(body, middle)?.cmp(&wanted) {
            std::cmp::Ordering::Equal => return Some(true),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    Some(false)
}
