//! Copies of ledgers of older formats, migrated in memory for those who only read, each made once and used until the
//! ledger changes.
//!
//! Not for how formats differ: see [`super::migrate`].

use std::collections::VecDeque;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{migrate, read_only};
use crate::dataset::discover::Stamp;

/// Ledgers of which a copy is kept. A process has one, or a few.
const MOST: usize = 4;

/// The beginning of a write-ahead log, which another one has otherwise.
const LOG_HEAD: usize = 32;

static KEPT: Mutex<VecDeque<Copy>> = Mutex::new(VecDeque::new());
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// What shows that a ledger has changed: the stamps of the file and of its log, and the beginning of the log.
type State = (Option<Stamp>, Option<Stamp>, Vec<u8>);

struct Copy {
    path: PathBuf,
    state: State,
    name: String,
    /// The copy is there as long as somebody has it open.
    _open: Connection,
}

/// The ledger `old` at `path` in the present format.
pub(super) fn of(path: &Path, old: &Connection) -> rusqlite::Result<Connection> {
    let state = state(path);
    // Who asks meanwhile waits for the copy instead of making another.
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(copy) = kept.iter().find(|copy| copy.path == path && copy.state == state) {
        return to_read(&copy.name);
    }
    kept.retain(|copy| copy.path != path);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("file:/ledger-{}-{number}?vfs=memdb", std::process::id());
    let copy = open(&name)?;
    migrate::copy(old, &copy)?;
    let connection = to_read(&name)?;
    if kept.len() == MOST {
        kept.pop_front();
    }
    kept.push_back(Copy { path: path.to_owned(), state, name, _open: copy });
    Ok(connection)
}

/// The ledger at `path` needs no copy any more.
pub(super) fn forget(path: &Path) {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).retain(|copy| copy.path != path);
}

fn open(name: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(name, flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    Ok(connection)
}

fn to_read(name: &str) -> rusqlite::Result<Connection> {
    let connection = open(name)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

fn state(path: &Path) -> State {
    let stamp = |path: &Path| fs::metadata(path).ok().map(|found| Stamp::of(&found));
    let log = read_only::beside(path, "-wal");
    let mut head = Vec::new();
    if let Ok(file) = fs::File::open(&log) {
        // What cannot be read is another state at most.
        let _ = file.take(LOG_HEAD as u64).read_to_end(&mut head);
    }
    (stamp(path), stamp(&log), head)
}

/// The name of the copy of the ledger at `path`.
#[cfg(test)]
pub(super) fn name(path: &Path) -> Option<String> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.iter().find(|copy| copy.path == path).map(|copy| copy.name.clone())
}
