//! The rows seen, kept beside the data set (`finaldata4.rows` beside `finaldata4.csv`), so that the
//! next ingestion need not read all rows again to know them.
//!
//! It is derived: written after the data set is recorded, never waited for, and made again from the
//! data set when it is missing, damaged, of another version or of another data set. So it needs no
//! recovery, and removing it costs nothing but time. It names the SHA-256 of its data set and ends
//! with a checksum of itself. Its hashes are keyed; the key stands in it, for whoever may read the
//! data set could see its rows anyway.
//!
//! A head, its checksum, the tables of the set, the checksum of all. Of 64 slots of a table, a bit each
//! says which are in use; those follow, without the file that brought them: 7 bytes each. Numbers have
//! their lowest byte first. Not for finding duplicates: see [`super::dedup`].

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::digest::{Digest, Resumable};
use crate::durable::{Disk, NewFile};
use crate::{Error, Result};

use super::dedup::{LINE, RowHasher, SeenRows, TAG_BYTES, entry_of, tag_of};
use super::rows::Resume;
use super::slots::Slots;

const MAGIC: [u8; 8] = *b"mlopsrow";
/// Changes with the layout, and with the hash of a row.
const VERSION: u64 = 2;
/// Bytes that are read or written at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// A set has hardly more tables than this; more mean that the file is not ours.
const MOST_TABLES: u64 = 64;
/// No state of a digest takes more bytes.
const MOST_STATE: u64 = 1 << 10;
/// Slots that share a number of bits.
const GROUP: usize = 64;
const GROUP_BYTES: usize = 8 + GROUP * TAG_BYTES;

/// The rows of a data set, to be compared with new ones.
#[derive(Debug)]
pub struct Index {
    /// What the rows were hashed with.
    pub(crate) hasher: RowHasher,
    /// Their hashes.
    pub(crate) seen: SeenRows,
    /// How many there are.
    pub(crate) rows: u64,
    /// What spares hashing the data set again.
    pub(crate) resume: Resume,
}

/// An index that was opened and is of the right data set, but not read yet.
pub(crate) struct Opened {
    source: Checked<BufReader<File>>,
    hasher: RowHasher,
    rows: u64,
    /// See [`Index`].
    pub(crate) resume: Resume,
    /// Slots and rows of each table.
    tables: Vec<(usize, usize)>,
}

/// Where the index of the data set `data` is.
pub fn path_of(data: &Path) -> PathBuf {
    data.with_extension("rows")
}

impl Index {
    /// Whether it knows the rows, and not only the bytes, of its data set: where equal rows are all
    /// kept, nobody remembers them.
    pub(crate) fn knows_all_rows(&self) -> bool {
        self.seen.tables().map(|(_, used)| used as u64).sum::<u64>() >= self.rows
    }

    /// Writes the index of the data set `data`, which has `digest`; not published yet.
    pub fn write(&self, disk: &Disk, data: &Path, digest: Digest) -> Result<NewFile> {
        let mut out = disk.new_file(&path_of(data))?;
        let mut block = MAGIC.to_vec();
        let mut push = |number: u64| block.extend_from_slice(&number.to_le_bytes());
        let tables = self.seen.tables();
        [VERSION, self.hasher.0, self.rows, tables.len() as u64].into_iter().for_each(&mut push);
        for (slots, used) in tables {
            push(slots.len() as u64);
            push(used as u64);
        }
        block.extend_from_slice(digest.bytes());
        let state = self.resume.digest.put_away();
        block.extend_from_slice(&(state.len() as u64).to_le_bytes());
        block.extend_from_slice(&state);
        block.extend_from_slice(&self.resume.checksum.to_le_bytes());
        // The head is relied on before all is read.
        let mut checksum = Xxh3::new();
        checksum.update(&block);
        block.extend_from_slice(&checksum.digest128().to_le_bytes());
        let mut checksum = Xxh3::new();
        let mut put = |block: &mut Vec<u8>| {
            checksum.update(block);
            out.write_all(block)?;
            block.clear();
            Ok::<_, Error>(())
        };
        block.reserve(BLOCK_BYTES);
        for (slots, _) in self.seen.tables() {
            for first in (0..slots.len()).step_by(GROUP) {
                push_group(slots, first, &mut block);
                if block.len() + GROUP_BYTES > BLOCK_BYTES {
                    put(&mut block)?;
                }
            }
        }
        put(&mut block)?;
        out.write_all(&checksum.digest128().to_le_bytes())?;
        Ok(out)
    }
}

/// Appends the slots from `first` on that share their bits.
fn push_group(slots: &Slots, first: usize, block: &mut Vec<u8>) {
    let bits = block.len();
    let mut used = 0_u64;
    block.extend_from_slice(&[0; 8]);
    for (bit, at) in (first..slots.len().min(first + GROUP)).enumerate() {
        let entry = slots.get(at);
        if entry != 0 {
            used |= 1 << bit;
            block.extend_from_slice(&tag_of(entry));
        }
    }
    block[bits..bits + 8].copy_from_slice(&used.to_le_bytes());
}

impl Opened {
    /// Opens the index of the data set `data`; nothing when there is none for `digest`, or when
    /// it takes more than `memory` bytes.
    pub(crate) fn of(data: &Path, digest: Digest, memory: usize) -> Option<Self> {
        let file = BufReader::with_capacity(BLOCK_BYTES, File::open(path_of(data)).ok()?);
        let mut source = Checked { source: file, checksum: Xxh3::new() };
        let ours = source.array::<8>()? == MAGIC && source.number()? == VERSION;
        if !ours {
            return None;
        }
        let (key, rows) = (source.number()?, source.number()?);
        let count = source.number().filter(|n| *n <= MOST_TABLES)?;
        let mut tables = Vec::new();
        for _ in 0..count {
            let size = |number: u64| usize::try_from(number).ok();
            tables.push((size(source.number()?)?, size(source.number()?)?));
        }
        let slots = tables.iter().try_fold(0_usize, |sum, (slots, _)| sum.checked_add(*slots))?;
        let fits = slots.checked_mul(8)? <= memory
            // Lines are whole, and a search ends somewhere.
            && tables.iter().all(|(slots, used)| slots % LINE == 0 && used < slots)
            && source.array::<32>()? == *digest.bytes();
        let mut state = vec![0; usize::try_from(source.number()?.min(MOST_STATE)).ok()?];
        source.fill(&mut state)?;
        let checksum = u128::from_le_bytes(source.array()?);
        let resume = Resume { digest: Resumable::take_up(&state)?, checksum };
        let expected = source.checksum.digest128();
        let sound = source.array::<16>()? == expected.to_le_bytes();
        let same = resume.digest.clone().finish() == digest;
        let index = Self { source, hasher: RowHasher(key), rows, resume, tables };
        (fits && sound && same).then_some(index)
    }

    /// Reads it; nothing when it is damaged.
    pub(crate) fn load(mut self) -> Option<Index> {
        let mut tables = Vec::new();
        let mut block = Vec::with_capacity(BLOCK_BYTES + GROUP_BYTES);
        for (length, used) in std::mem::take(&mut self.tables) {
            let mut slots = Slots::zeroed(length).ok()?;
            let (mut found, mut first) = (0, 0);
            while first < slots.len() {
                let groups = (slots.len() - first).div_ceil(GROUP);
                // No more than what is left of this table, whatever its groups hold.
                let least = 8 * groups + TAG_BYTES * (used - found);
                self.source.top_up(&mut block, least.min(BLOCK_BYTES))?;
                let mut rest = block.as_slice();
                while first < slots.len()
                    && let Some(more) = pop_group(&mut rest, first, &mut slots)
                {
                    found += more;
                    first += GROUP;
                }
                let taken = block.len() - rest.len();
                if taken == 0 || found > used {
                    return None;
                }
                block.drain(..taken);
            }
            if found != used || !block.is_empty() {
                return None;
            }
            tables.push((slots, used));
        }
        let seen = SeenRows::of(tables);
        let expected = self.source.checksum.digest128();
        let sound = self.source.array::<16>()? == expected.to_le_bytes();
        let Self { hasher, rows, resume, .. } = self;
        sound.then_some(Index { hasher, seen, rows, resume })
    }
}

/// Sets the slots from `first` on that share their bits, if `rest` has all of them; how many there are.
fn pop_group(rest: &mut &[u8], first: usize, slots: &mut Slots) -> Option<usize> {
    let (bits, tags) = rest.split_first_chunk()?;
    let mut bits = u64::from_le_bytes(*bits);
    let used = bits.count_ones() as usize;
    let (tags, after) = tags.split_at_checked(TAG_BYTES * used)?;
    for tag in tags.as_chunks().0 {
        let at = first + bits.trailing_zeros() as usize;
        if at >= slots.len() {
            return None;
        }
        slots.set(at, entry_of(*tag));
        bits &= bits - 1;
    }
    *rest = after;
    Some(used)
}

/// A source whose bytes are added up as they pass.
struct Checked<R> {
    source: R,
    checksum: Xxh3,
}

impl<R: Read> Checked<R> {
    /// Reads behind what `block` holds until it has `length` bytes.
    fn top_up(&mut self, block: &mut Vec<u8>, length: usize) -> Option<()> {
        let held = block.len();
        block.resize(length.max(held), 0);
        self.fill(&mut block[held..])
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Option<()> {
        self.source.read_exact(bytes).ok()?;
        self.checksum.update(bytes);
        Some(())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes).map(|()| bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use std::fs;

    use super::super::dedup::Fate;
    use super::*;

    const DATA: &str = "id,x,y\n";

    fn row(n: usize) -> String {
        format!("c{n},{},{}\n", n * 7919, n % 2)
    }

    /// The index of a data set of 300 rows, one of which was taken back.
    fn index() -> (Index, Digest) {
        let hasher = RowHasher(0x0123_4567_89ab_cdef);
        let (mut seen, mut data) = (SeenRows::expecting(0).unwrap(), DATA.to_owned());
        seen.next_file();
        seen.insert(hasher.hash(row(1000).as_bytes())).unwrap();
        seen.forget_file();
        for n in 0..300 {
            assert_eq!(seen.insert(hasher.hash(row(n).as_bytes())).unwrap(), Fate::Kept);
            data += &row(n);
        }
        let (mut digest, mut checksum) = (Resumable::default(), Xxh3::new());
        digest.update(data.as_bytes());
        checksum.update(data.as_bytes());
        let resume = Resume { digest, checksum: checksum.digest128() };
        (Index { hasher, seen, rows: 300, resume }, Digest::of(data.as_bytes()))
    }

    /// Kept for ever: a program that cannot read it must not take it for its own.
    const SAMPLE: &[u8] = include_bytes!("../../tests/fixtures/index_v2.rows");

    #[test]
    fn the_sample_of_this_version_is_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("finaldata1.csv");
        let (index, digest) = index();
        index.write(&Disk::default(), &data, digest).unwrap().publish_unsynced().unwrap();
        assert!(fs::read(path_of(&data)).unwrap() == SAMPLE, "the format is another one");

        let opened = Opened::of(&data, digest, 1 << 20).unwrap();
        assert_eq!(opened.resume.digest.length(), index.resume.digest.length());
        let mut found = opened.load().unwrap();
        assert_eq!((found.rows, found.hasher.0), (300, index.hasher.0));
        found.seen.next_file();
        for n in 0..600 {
            let fate = found.seen.insert(found.hasher.hash(row(n).as_bytes())).unwrap();
            assert_eq!(fate, if n < 300 { Fate::DuplicateAcross } else { Fate::Kept }, "{n}");
        }
        assert!(Opened::of(&data, digest, 1 << 10).is_none(), "too large for the memory");
        assert!(Opened::of(&data, Digest::of(b"other"), 1 << 20).is_none());
    }

    #[test]
    fn no_damage_is_taken_for_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("finaldata1.csv");
        let (_, digest) = index();
        let read = |bytes: &[u8]| {
            fs::write(path_of(&data), bytes).unwrap();
            Opened::of(&data, digest, 1 << 20).and_then(Opened::load)
        };
        assert!(read(SAMPLE).is_some());
        for at in 0..SAMPLE.len() {
            let mut damaged = SAMPLE.to_vec();
            damaged[at] ^= 1 << (at % 8);
            assert!(read(&damaged).is_none(), "a bit of byte {at}");
            assert!(read(&SAMPLE[..at]).is_none(), "cut to {at} bytes");
        }
    }
}
