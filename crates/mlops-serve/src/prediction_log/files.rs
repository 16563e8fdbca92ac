//! The files of the log of predictions: which one is written to, and which ones are removed.
//!
//! A file is ours if its name and its first line have our format; no other file is ever touched. An
//! instance holds a lock on the file that it writes to. Several instances that share a folder have
//! separate files: those of the second are called `predictions-2-…`. At startup the newest file
//! with room is continued. Besides core's `platform::disk` and the log of a run, this is the only
//! code that opens a file for writing: a log must survive a crash without having been published.
//! Not for the lines: see `super`; not for names: see [`mlops_core::prediction_log::files`].

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlops_core::config::PredictionLog as Settings;
use mlops_core::platform::clock::Clock;
use mlops_core::platform::disk::Disk;
use mlops_core::platform::lines::WholeLines;
use mlops_core::prediction_log::files::{INSTANCES, begins, instance_of, name};
use mlops_core::run::context::Context;
use mlops_core::{Error, Result};

/// The files, one of which is being written to.
pub(super) struct Files {
    settings: Settings,
    clock: Arc<dyn Clock>,
    disk: Disk,
    current: Option<Current>,
    /// The last lines were written successfully.
    sound: bool,
}

struct Current {
    path: PathBuf,
    file: WholeLines<File>,
    size: u64,
}

impl Files {
    pub(super) fn open(context: &Context, settings: &Settings) -> Result<Self> {
        context.disk.create_folder(&settings.folder)?;
        rustix::fs::access(&settings.folder, rustix::fs::Access::WRITE_OK)
            .map_err(|e| Error::io("write in", &settings.folder, e.into()))?;
        Ok(Self {
            settings: settings.clone(),
            clock: Arc::clone(&context.clock),
            disk: context.disk.clone(),
            current: None,
            sound: true,
        })
    }

    /// Closes the current file.
    pub(super) fn close(&mut self) {
        self.current = None;
    }

    /// Writes whole lines, filling each file as far as it has room, but with at least one line;
    /// returns how many were lost.
    pub(super) fn write(&mut self, lines: &[u8]) -> u64 {
        let (mut rest, mut lost, mut cause) = (lines, 0, None);
        while !rest.is_empty() {
            let max = self.settings.max_bytes;
            let first = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |n| n + 1);
            let fits = |c: &Current| c.size == 0 || c.size + first as u64 <= max;
            let current = match self.current.take().filter(fits) {
                Some(current) => Ok(current),
                None => self.next(first as u64),
            };
            let mut current = match current {
                Ok(current) => current,
                Err(e) => {
                    lost += count(rest);
                    cause = Some(e.to_string());
                    break;
                }
            };
            let room = usize::try_from(max.saturating_sub(current.size)).unwrap_or(usize::MAX);
            let cut = cut(rest, room).max(first);
            let written = current.file.write(&rest[..cut]);
            current.size += written.bytes;
            lost += written.lost;
            if written.lost > 0 {
                cause = Some(format!("{} cannot be written", current.path.display()));
            }
            self.current = Some(current);
            rest = &rest[cut..];
        }
        match (cause, self.sound) {
            (Some(cause), true) => tracing::error!("prediction log: lines are lost: {cause}"),
            (None, false) => tracing::info!("prediction log: lines are written again"),
            _ => {}
        }
        self.sound = lost == 0;
        lost
    }

    /// The file to continue, if it has room for `first` bytes, or a new one; removes the oldest
    /// ones.
    fn next(&mut self, first: u64) -> io::Result<Current> {
        let folder = &self.settings.folder;
        for instance in 1..=INSTANCES {
            let own = own(folder, instance)?;
            let (mut newest, mut theirs) = (None, false);
            for path in own.iter().rev() {
                match locked(path)? {
                    Some(file) if newest.is_none() => newest = Some((path, file)),
                    Some(_) => {}
                    None => theirs = true,
                }
            }
            if theirs {
                continue;
            }
            if let Some((path, file)) = newest
                && let Some(current) = resumed(path, file, first, self.settings.max_bytes)?
            {
                return Ok(current);
            }
            let current = self.create(instance)?;
            let surplus = (own.len() + 1).saturating_sub(self.settings.keep_files);
            for path in &own[..surplus.min(own.len())] {
                self.disk.remove(path).map_err(io::Error::other)?;
            }
            return Ok(current);
        }
        Err(io::Error::other(format!("{INSTANCES} instances write in {}", folder.display())))
    }

    /// Creates a new file for `instance`.
    #[expect(clippy::disallowed_methods, reason = "this module owns the log of predictions")]
    fn create(&self, instance: u32) -> io::Result<Current> {
        let mut at = self.clock.now();
        loop {
            let path = self.settings.folder.join(name(instance, at));
            match File::options().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    // If the file system has no locks, other instances cannot be detected.
                    let _ = file.try_lock();
                    return Ok(Current { path, file: WholeLines::new(file), size: 0 });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    at += std::time::Duration::from_micros(1);
                }
                Err(e) => return Err(e),
            }
        }
    }
}

/// The end of the last line of `lines` that ends within `room` bytes; 0 if there is none.
fn cut(lines: &[u8], room: usize) -> usize {
    if lines.len() <= room {
        return lines.len();
    }
    lines[..room].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1)
}

fn count(lines: &[u8]) -> u64 {
    lines.split_inclusive(|b| *b == b'\n').count() as u64
}

/// The files of `instance` in `folder` that contain lines, oldest first: the time is in their
/// names.
fn own(folder: &Path, instance: u32) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let named = name.to_str().and_then(instance_of) == Some(instance);
        if named && entry.file_type().is_ok_and(|t| t.is_file()) && begins(&entry.path()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[expect(clippy::disallowed_methods, reason = "this module owns the log of predictions")]
fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = flags.bits().cast_signed();
    File::options().read(true).append(true).custom_flags(flags).open(path)
}

/// The file at `path`, locked; `None` if another instance is writing to it.
fn locked(path: &Path) -> io::Result<Option<File>> {
    match open(path) {
        Ok(file) => match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            _ => Ok(Some(file)),
        },
        // It belongs to another user.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(e) => Err(e),
    }
}

/// Continues in `file`, if it has room for `first` bytes.
fn resumed(path: &Path, mut file: File, first: u64, max: u64) -> io::Result<Option<Current>> {
    let size = file.metadata()?.len();
    if size > 0 && size + first > max {
        return Ok(None);
    }
    let mut last = [b'\n'];
    if size > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let file = WholeLines::after_torn(file, last != [b'\n']);
    Ok(Some(Current { path: path.to_owned(), file, size }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_their_ends() {
        assert_eq!((cut(b"one\ntwo\n", 8), cut(b"one\ntwo\n", 7), cut(b"one\n", 3)), (8, 4, 0));
    }
}
