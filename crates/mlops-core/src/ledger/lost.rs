//! Recognises a ledger that was lost: it is gone or empty, but the data sets that it describes are still beside it.
//!
//! Not for one that is damaged: SQLite says so when it is opened.

use std::fs;
use std::path::Path;

use crate::platform::disk::parent_of;
use crate::{Error, Result, text};

/// Like [`refuse`], for those who only read. Without the lock file beside the ledger, no run has worked here yet, and
/// the data sets are those of other programs.
pub(super) fn refuse_to_read(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path.with_file_name("run.lock")).is_ok() {
        refuse(path)
    } else {
        Ok(())
    }
}

/// Refuses to go on if there are data sets beside the ledger at `path`, but not the ledger itself: to start a new
/// one would forget them, and to read none would say that nothing ever happened.
pub(crate) fn refuse(path: &Path) -> Result<()> {
    let state = match fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => "is not there",
        Ok(metadata) if metadata.is_file() && metadata.len() == 0 => "is empty",
        _ => return Ok(()),
    };
    let folder = parent_of(path);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let numbered = |name: &str| {
        let rest = name.strip_prefix("finaldata");
        let number = rest
            .and_then(|rest| rest.strip_suffix(".csv").or_else(|| rest.strip_suffix(".parquet")));
        number.is_some_and(|n| n.parse::<u32>().is_ok())
    };
    let names = entries.filter_map(|e| e.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| numbered(name)).collect();
    names.sort();
    if names.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "{} holds data sets ({}), but the ledger {}, which describes them, {state}. Restore it from a \
         backup; or, to start anew from the source files, move the folder to another name and run \
         again. Nothing was changed",
        folder.display(),
        text::names(&names),
        path.display()
    )))
}
