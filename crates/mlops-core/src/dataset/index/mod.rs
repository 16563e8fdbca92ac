//! The rows seen, stored beside the data set (`finaldata4.rows` beside `finaldata4.csv`), so that
//! the next ingestion need not read all rows again.
//!
//! It consists of immutable parts: tables, as they were in memory ([`table`]), and sorted runs of
//! later rows ([`run`]). An ingestion of few rows looks them up in the parts on disk, reads only
//! the pages that it needs, and adds a run of its own; the other parts stay in their files, which
//! the newest index names. A new run absorbs older ones that are not much larger, so that there are
//! few. An ingestion of many rows reads everything and writes new tables.
//!
//! It is derived data: written after the data set is recorded, never waited for, and rebuilt from
//! the data set if it is missing, damaged, of another version or of another data set. It therefore
//! needs no recovery, and removing it costs nothing but time. Every page has a checksum, and so has
//! the list of parts, which is at the end and has the SHA-256 of the data set. Hashes are keyed;
//! the key is in the file, since whoever can read it can read the data set too.
//!
//! Numbers are little-endian. Not for finding duplicates: see [`super::dedup`].

mod page;
mod run;
mod table;
pub(crate) mod trouble;

use crate::dataset::index::trouble::Trouble;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use crate::platform::digest::Digest;
use crate::platform::disk::{Disk, NewFile, parent_of};
use crate::platform::sha256_state::Sha256State;
use crate::{Error, Result};

use super::dedup::{LINE, SeenRows};
use super::rows::Resume;
use crate::csv::row_hash::RowHasher;
use page::{PAGE, PageWriter, Pages};
use run::{RunKeys, RunWriter};

const MAGIC: [u8; 8] = *b"mlopsrow";
/// The first bytes: a magic number and the version, which changes whenever the layout or the way
/// rows are hashed does.
const START: [u8; 16] = *b"mlopsrow\x03\0\0\0\0\0\0\0";
/// Maximum size of the list of parts in bytes.
const MOST_BYTES: u64 = 1 << 16;
/// Bytes after the list: its checksum, its length, and the magic number again.
const END: usize = 32;
/// At this many parts, a new run absorbs all others.
const MANY_PARTS: usize = 32;

/// The rows of a data set, to be stored for the next ingestion.
#[derive(Debug)]
pub struct Index {
    /// The key of the hashes.
    pub(crate) hasher: RowHasher,
    /// The number of rows.
    pub(crate) rows: u64,
    /// Saved hash states, so that the data set need not be hashed again.
    pub(crate) resume: Resume,
    /// The hashes.
    pub(crate) body: Body,
}

/// Where the hashes of an index are.
#[derive(Debug)]
pub(crate) enum Body {
    /// In memory.
    Seen(SeenRows),
    /// In a new file and in older ones.
    Parts(NewFile, Vec<Part>),
    /// Lost: writing them failed.
    Failed(Error),
}

/// Consecutive pages of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The name of the file; empty for the file that contains this list.
    file: String,
    kind: PartKind,
    offset: u64,
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartKind {
    Table { slots: usize, used: usize },
    Run { keys: u64 },
}

impl PartKind {
    fn pages(self) -> u64 {
        match self {
            Self::Table { slots, .. } => table::pages_of(slots),
            Self::Run { keys } => run::pages_of(keys),
        }
    }
}

/// The path of the index of the data set `data`.
pub fn path_of(data: &Path) -> PathBuf {
    data.with_extension("rows")
}

/// Removes index files beside the data set `data` that its own index does not need.
pub fn tidy(disk: &Disk, data: &Path) -> Result<()> {
    let own = path_of(data);
    let name_of = |path: &Path| path.file_name().unwrap_or_default().to_owned();
    let mut needed = BTreeSet::from([name_of(&own)]);
    let head = File::open(&own).ok().and_then(|file| Head::read(&file));
    needed.extend(head.iter().flat_map(|h| &h.parts).map(|part| part.file.clone().into()));
    let folder = parent_of(&own);
    let entries = fs::read_dir(folder).map_err(|e| Error::io("list", folder, e))?;
    for entry in entries {
        let path = entry.map_err(|e| Error::io("list", folder, e))?.path();
        let name = name_of(&path);
        let version = name.to_str().and_then(|name| name.strip_prefix("finaldata"));
        let version = version.and_then(|name| name.strip_suffix(".rows"));
        let named = version.is_some_and(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()));
        if named && !needed.contains(&name) && is_ours(&path) {
            disk.remove(&path)?;
        }
    }
    Ok(())
}

/// Whether a file starts like an index of any version, or is empty.
fn is_ours(path: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    let regular = fs::symlink_metadata(path).is_ok_and(|m| m.is_file());
    let file = if regular { File::open(path).ok() } else { None };
    file.is_some_and(|f| f.read_exact_at(&mut start, 0).is_ok() && start == MAGIC)
}

impl Index {
    /// Writes the index of the data set `data`, which has `digest`, without publishing it.
    pub fn write(self, disk: &Disk, data: &Path, digest: Digest) -> Result<NewFile> {
        self.write_seeded(disk, data, digest, RowHasher::random().0)
    }

    fn write_seeded(self, disk: &Disk, data: &Path, digest: Digest, seed: u64) -> Result<NewFile> {
        let Self { hasher, rows, resume, body } = self;
        let (mut file, parts) = match body {
            Body::Failed(error) => return Err(error),
            Body::Parts(file, parts) => {
                let name = path_of(data);
                let name = name.file_name().unwrap_or_default().to_string_lossy();
                (file.named(&name), parts)
            }
            Body::Seen(set) => {
                let mut file = start(disk, data)?;
                let (mut parts, mut offset) = (Vec::new(), START.len() as u64);
                for (seed, (slots, used)) in (seed..=u64::MAX).step_by(1 << 32).zip(set.tables()) {
                    let mut pages = PageWriter::new(seed);
                    table::write(slots, &mut pages, &mut file)?;
                    let kind = PartKind::Table { slots: slots.len(), used };
                    parts.push(Part { file: String::new(), kind, offset, seed });
                    offset += pages.count * PAGE as u64;
                }
                (file, parts)
            }
        };
        let head = Head { digest: *digest.bytes(), hasher, rows, resume, parts };
        file.write_all(&head.bytes())?;
        Ok(file)
    }
}

/// Starts the file for the index of the data set `data`, up to the first part.
fn start(disk: &Disk, data: &Path) -> Result<NewFile> {
    let mut file = disk.new_file(&path_of(data))?;
    file.write_all(&START)?;
    Ok(file)
}

/// A run being added to a known index.
#[derive(Debug)]
pub(crate) struct Addition {
    file: NewFile,
    seed: u64,
    run: RunWriter,
    parts: Vec<Part>,
    added: u64,
}

impl Addition {
    /// Starts a run of about `rows` rows besides those of `known`, for a data set near `data`.
    pub(crate) fn start(
        disk: &Disk,
        data: &Path,
        known: Option<&Opened>,
        rows: u64,
    ) -> std::result::Result<Self, Trouble> {
        Self::seeded(disk, data, known, rows, RowHasher::random().0)
    }

    fn seeded(
        disk: &Disk,
        data: &Path,
        known: Option<&Opened>,
        rows: u64,
        seed: u64,
    ) -> std::result::Result<Self, Trouble> {
        let mut parts: Vec<(Part, Pages)> = known.map(|k| k.parts.clone()).unwrap_or_default();
        let mut size = rows;
        let mut older = Vec::new();
        let all = parts.len() >= MANY_PARTS;
        while let Some((part, pages)) = parts.last()
            && let PartKind::Run { keys } = part.kind
            && (all || keys / 2 <= size)
        {
            size += keys;
            older.push(pages.clone());
            parts.pop();
        }
        let run = RunWriter::new(seed, older)?;
        let own = known.map(|k| k.name.as_str()).unwrap_or_default();
        let parts = parts.into_iter().map(|(mut part, _)| {
            if part.file.is_empty() {
                own.clone_into(&mut part.file);
            }
            part
        });
        Ok(Self { file: start(disk, data)?, seed, run, parts: parts.collect(), added: 0 })
    }

    /// Adds a row; hashes must come in ascending order.
    pub(crate) fn push(&mut self, hash: u128) -> std::result::Result<(), Trouble> {
        self.added += 1;
        self.run.push(hash, &mut self.file)
    }

    /// The hashes, and the number of rows added.
    pub(crate) fn finish(mut self) -> std::result::Result<(Body, u64), Trouble> {
        self.run.finish(&mut self.file)?;
        if self.run.keys > 0 {
            let kind = PartKind::Run { keys: self.run.keys };
            self.parts.push(Part {
                file: String::new(),
                kind,
                offset: START.len() as u64,
                seed: self.seed,
            });
        }
        Ok((Body::Parts(self.file, self.parts), self.added))
    }
}

/// An open index of the right data set; its parts are not read yet.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The name of its file.
    name: String,
    /// See [`Index::hasher`].
    pub(crate) hasher: RowHasher,
    /// See [`Index::rows`].
    pub(crate) rows: u64,
    /// See [`Index::resume`].
    pub(crate) resume: Resume,
    parts: Vec<(Part, Pages)>,
}

impl Opened {
    /// Opens the index of the data set `data`; `None` if there is none for `digest`.
    pub(crate) fn of(data: &Path, digest: Digest) -> Option<Self> {
        let path = path_of(data);
        let file = Arc::new(File::open(&path).ok()?);
        let head = Head::read(&file)?;
        let same = head.digest == *digest.bytes() && head.resume.digest.clone().finish() == digest;
        if !same {
            return None;
        }
        let mut files = BTreeMap::from([(String::new(), file)]);
        let mut parts = Vec::new();
        for part in head.parts {
            if !files.contains_key(&part.file) {
                let file = File::open(parent_of(&path).join(&part.file)).ok()?;
                has_start(&file).then(|| files.insert(part.file.clone(), Arc::new(file)))?;
            }
            let file = Arc::clone(files.get(&part.file)?);
            let (offset, count, seed) = (part.offset, part.kind.pages(), part.seed);
            parts.push((part, Pages { file, offset, count, seed }));
        }
        let name = path.file_name()?.to_str()?.to_owned();
        let Head { hasher, rows, resume, .. } = head;
        Some(Self { name, hasher, rows, resume, parts })
    }

    /// Whether it knows the rows of its data set, and not only the sums of its bytes: if equal rows
    /// are all kept, no row is remembered.
    pub(crate) fn knows_all_rows(&self) -> bool {
        let known = self.parts.iter().map(|(part, _)| match part.kind {
            PartKind::Table { used, .. } => used as u64,
            PartKind::Run { keys } => keys,
        });
        known.fold(0, u64::saturating_add) >= self.rows
    }

    /// The memory that its rows would take, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let bytes = self.parts.iter().map(|(part, _)| match part.kind {
            PartKind::Table { slots, .. } => slots.saturating_mul(8),
            PartKind::Run { keys } => {
                super::dedup::bytes_for(usize::try_from(keys).unwrap_or(usize::MAX))
            }
        });
        bytes.fold(0, usize::saturating_add)
    }

    /// Reads all rows; `None` if the index is damaged.
    pub(crate) fn load(self) -> Option<SeenRows> {
        let (mut tables, mut runs, mut keys_of_runs) = (Vec::new(), Vec::new(), 0_u64);
        for (part, pages) in self.parts {
            match part.kind {
                PartKind::Table { slots, used } => {
                    tables.push((table::load(pages, slots, used)?, used));
                }
                PartKind::Run { keys } => {
                    keys_of_runs = keys_of_runs.checked_add(keys)?;
                    runs.push((pages, keys));
                }
            }
        }
        let mut seen = SeenRows::of(tables);
        if keys_of_runs > 0 || seen.is_empty() {
            seen.grow(usize::try_from(keys_of_runs).ok()?).ok()?;
        }
        for (pages, expected) in runs {
            let (mut keys, mut found) = (RunKeys::new(pages)?, 0);
            while let Some(hash) = keys.next {
                seen.insert(hash).ok()?;
                found += 1;
                keys.advance()?;
            }
            if found != expected {
                return None;
            }
        }
        Some(seen)
    }

    /// Which of `hashes`, in ascending order, are known; `None` if a page that matters is damaged.
    pub(crate) fn find(&self, hashes: &[u128]) -> Option<Vec<bool>> {
        let mut hits = vec![false; hashes.len()];
        for (part, pages) in &self.parts {
            let pages = pages.clone();
            match part.kind {
                PartKind::Table { slots, .. } => table::find(pages, slots, hashes, &mut hits)?,
                PartKind::Run { .. } => run::find(pages, hashes, &mut hits)?,
            }
        }
        Some(hits)
    }
}

/// Whether a file starts like an index of this version.
fn has_start(file: &File) -> bool {
    let mut start = [0; START.len()];
    file.read_exact_at(&mut start, 0).is_ok() && start == START
}

/// The list of parts and what it says about the index.
struct Head {
    /// The digest of the data set.
    digest: [u8; 32],
    hasher: RowHasher,
    rows: u64,
    resume: Resume,
    parts: Vec<Part>,
}

impl Head {
    /// The bytes at the end of the file.
    fn bytes(&self) -> Vec<u8> {
        let mut out = self.digest.to_vec();
        let push = |out: &mut Vec<u8>, number: u64| {
            out.extend_from_slice(&number.to_le_bytes());
        };
        push(&mut out, self.hasher.0);
        push(&mut out, self.rows);
        let push_bytes = |out: &mut Vec<u8>, bytes: &[u8]| {
            push(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        };
        push_bytes(&mut out, &self.resume.digest.save_state());
        let checksum = self.resume.checksum.map(u128::to_le_bytes);
        push_bytes(&mut out, checksum.as_ref().map_or(&[], |bytes| bytes.as_slice()));
        for part in &self.parts {
            push_bytes(&mut out, part.file.as_bytes());
            let (kind, slots, used) = match part.kind {
                PartKind::Table { slots, used } => (0, slots as u64, used as u64),
                PartKind::Run { keys } => (1, 0, keys),
            };
            for number in [kind, slots, used, part.offset, part.seed] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        let length = out.len() as u64;
        out.extend_from_slice(&xxh3_128(&out).to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&MAGIC);
        out
    }

    /// `None` if it is missing or damaged.
    fn read(file: &File) -> Option<Self> {
        let size = file.metadata().ok()?.len();
        let mut end = [0; END];
        let ended = size.checked_sub(END as u64)?;
        file.read_exact_at(&mut end, ended).ok()?;
        let (sum, rest) = end.split_at(16);
        let (length, mark) = rest.split_at(8);
        let length = u64::from_le_bytes(*length.first_chunk()?);
        if !has_start(file) || mark != MAGIC || length > MOST_BYTES {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        let offset = ended.checked_sub(length).filter(|offset| *offset >= START.len() as u64)?;
        file.read_exact_at(&mut bytes, offset).ok()?;
        if xxh3_128(&bytes).to_le_bytes() != sum {
            return None;
        }
        let mut rest = Rest(&bytes);
        let digest = *rest.take(32)?.first_chunk()?;
        let hasher = RowHasher(rest.number()?);
        let rows = rest.number()?;
        let state = Sha256State::resume(rest.bytes()?)?;
        let checksum = rest.bytes()?.first_chunk().map(|bytes| u128::from_le_bytes(*bytes));
        let resume = Resume { digest: state, checksum };
        let mut parts = Vec::new();
        while !rest.0.is_empty() {
            let file = std::str::from_utf8(rest.bytes()?).ok()?.to_owned();
            let (kind, slots, used) = (rest.number()?, rest.number()?, rest.number()?);
            let (offset, seed) = (rest.number()?, rest.number()?);
            let slots = usize::try_from(slots).ok()?;
            let kind = match kind {
                0 => PartKind::Table { slots, used: usize::try_from(used).ok()? },
                1 => PartKind::Run { keys: used },
                _ => return None,
            };
            let sound = match kind {
                // Cache lines must be whole and at least one slot free, or a search would not end.
                PartKind::Table { slots, used } => slots % LINE == 0 && used < slots,
                PartKind::Run { keys } => keys > 0,
            };
            if !sound || file.contains('/') {
                return None;
            }
            parts.push(Part { file, kind, offset, seed });
        }
        Some(Self { digest, hasher, rows, resume, parts })
    }
}

/// The unread rest of a buffer.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests;
