//! The rows seen, kept beside the data set (`finaldata4.rows` beside `finaldata4.csv`), so that the
//! next ingestion need not read all rows again to know them.
//!
//! It is derived: written after the data set is recorded, never waited for, and made again from the
//! data set when it is missing, damaged, of another version or of another data set. So it needs no
//! recovery, and removing it costs nothing but time. It names the SHA-256 of its data set and ends
//! with a checksum of itself. Its hashes are keyed; the key stands in it, for whoever may read the
//! data set could see its rows anyway. Not for finding duplicates: see [`super::dedup`].

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::Result;
use crate::digest::{Digest, Resumable};
use crate::durable::Disk;

use super::dedup::{RowHasher, SeenRows};
use super::rows::Resume;

const MAGIC: [u8; 8] = *b"mlopsrow";
/// Changes with the layout, and with the hash of a row.
const VERSION: u64 = 1;
/// Bytes that are read and checked at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// A set has hardly more tables than this; more mean that the file is not ours.
const MOST_TABLES: u64 = 64;
/// No state of a digest takes more bytes.
const MOST_STATE: u64 = 1 << 10;

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
    pub(crate) resume: Option<Resume>,
}

/// An index that was opened and is of the right data set, but not read yet.
pub(crate) struct Opened {
    source: Checked<File>,
    hasher: RowHasher,
    rows: u64,
    /// See [`Index`].
    pub(crate) resume: Option<Resume>,
    file: u64,
    /// Bytes and rows of each table.
    tables: Vec<(usize, usize)>,
}

/// Where the index of the data set `data` is.
pub fn path_of(data: &Path) -> PathBuf {
    data.with_extension("rows")
}

impl Index {
    /// Writes the index of the data set `data`, which has `digest`.
    pub fn save(&self, disk: &Disk, data: &Path, digest: Digest) -> Result<()> {
        let mut head = MAGIC.to_vec();
        let (file, tables) = self.seen.parts();
        let mut push = |number: u64| head.extend_from_slice(&number.to_le_bytes());
        [VERSION, self.hasher.0, self.rows, file, tables.len() as u64]
            .into_iter()
            .for_each(&mut push);
        for (bytes, used) in &tables {
            push(bytes.len() as u64);
            push(*used as u64);
        }
        head.extend_from_slice(digest.bytes());
        let resume = self.resume.as_ref();
        let (state, sum) = resume.map_or((Vec::new(), 0), |r| (r.digest.put_away(), r.checksum));
        head.extend_from_slice(&(state.len() as u64).to_le_bytes());
        head.extend_from_slice(&state);
        head.extend_from_slice(&sum.to_le_bytes());
        // The head is relied on before all is read.
        let mut checksum = Xxh3::new();
        checksum.update(&head);
        head.extend_from_slice(&checksum.digest128().to_le_bytes());
        let mut out = disk.new_file(&path_of(data))?;
        let mut checksum = Xxh3::new();
        for bytes in [head.as_slice()].into_iter().chain(tables.into_iter().map(|(bytes, _)| bytes))
        {
            checksum.update(bytes);
            out.write_all(bytes)?;
        }
        out.write_all(&checksum.digest128().to_le_bytes())?;
        out.publish_unsynced()
    }
}

impl Opened {
    /// Opens the index of the data set `data`; nothing when there is none for `digest`, or when
    /// it takes more than `memory` bytes.
    pub(crate) fn of(data: &Path, digest: Digest, memory: usize) -> Option<Self> {
        let mut source = Checked { source: File::open(path_of(data)).ok()?, checksum: Xxh3::new() };
        let ours = source.array::<8>()? == MAGIC && source.number()? == VERSION;
        if !ours {
            return None;
        }
        let (key, rows, file) = (source.number()?, source.number()?, source.number()?);
        let count = source.number().filter(|n| *n <= MOST_TABLES)?;
        let mut tables = Vec::new();
        for _ in 0..count {
            let size = |number: u64| usize::try_from(number).ok();
            tables.push((size(source.number()?)?, size(source.number()?)?));
        }
        let bytes = tables.iter().try_fold(0_usize, |sum, (bytes, _)| sum.checked_add(*bytes))?;
        let fits = bytes <= memory && source.array::<32>()? == *digest.bytes();
        let mut state = vec![0; usize::try_from(source.number()?.min(MOST_STATE)).ok()?];
        source.fill(&mut state)?;
        let checksum = u128::from_le_bytes(source.array()?);
        let resume = Resumable::take_up(&state).map(|digest| Resume { digest, checksum });
        let expected = source.checksum.digest128();
        let sound = source.array::<16>()? == expected.to_le_bytes();
        let same = resume.as_ref().is_none_or(|r| r.digest.clone().finish() == digest);
        let index = Self { source, hasher: RowHasher(key), rows, resume, file, tables };
        (fits && sound && same).then_some(index)
    }

    /// Reads it; nothing when it is damaged.
    pub(crate) fn load(mut self) -> Option<Index> {
        let mut seen = SeenRows::empty(self.file);
        for (bytes, used) in std::mem::take(&mut self.tables) {
            let table = seen.add_table(bytes, used).ok()?;
            for block in table.chunks_mut(BLOCK_BYTES) {
                self.source.fill(block)?;
            }
        }
        let expected = self.source.checksum.digest128();
        let sound = self.source.array::<16>()? == expected.to_le_bytes();
        let Self { hasher, rows, resume, .. } = self;
        sound.then_some(Index { hasher, seen, rows, resume })
    }
}

/// A source whose bytes are added up as they pass.
struct Checked<R> {
    source: R,
    checksum: Xxh3,
}

impl<R: Read> Checked<R> {
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
