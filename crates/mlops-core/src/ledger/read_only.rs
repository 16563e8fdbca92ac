//! Opens files of SQLite to read only, also on read-only file systems and for users who may not write beside them.
//!
//! Not for what is in them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// Opens the file at `path`, which exists, to read.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // SQLite puts two files beside the ledger even to read it. Who may only read leaves them there.
    let flags = if ["-wal", "-shm"].iter().any(|end| beside(path, end).try_exists().unwrap_or(true))
    {
        only
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
    };
    let open = |name: &Path, flags, set: &str| {
        let connection = Connection::open_with_flags(name, flags)?;
        connection.execute_batch("PRAGMA query_only = ON")?;
        connection.busy_timeout(Duration::from_secs(2))?;
        connection.execute_batch(set)?;
        // The file is looked at here, where another way can still be tried.
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?;
        Ok(connection)
    };
    // On a read-only file system SQLite cannot take the locks that it reads under.
    open(path, flags, "").or_else(|e: rusqlite::Error| {
        let (uri, set) = without_locks(path);
        open(&uri, only | OpenFlags::SQLITE_OPEN_URI, set).map_err(|_| e)
    })
}

/// The file of SQLite's own beside the ledger whose name ends with `end`.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The URI and the settings with which SQLite reads, without locks, a file that nobody changes.
/// "immutable" alone would miss the last commits of a killed program, which are still in the
/// write-ahead log.
fn without_locks(path: &Path) -> (PathBuf, &'static str) {
    use std::fmt::Write as _;
    let logged = std::fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            // Writing to a String cannot fail.
            byte => drop(write!(uri, "%{byte:02X}")),
        }
    }
    let (how, set) = if logged {
        // With exclusive access, SQLite keeps the index of the log in memory.
        ("vfs=unix-none", "PRAGMA locking_mode = EXCLUSIVE;")
    } else {
        ("immutable=1", "")
    };
    uri.push_str("?mode=ro&");
    uri.push_str(how);
    (PathBuf::from(uri), set)
}
