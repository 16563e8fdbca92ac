//! Opens files that users name. Only regular files are data: opening a named pipe would wait for
//! its writer, and a device may have no end.
//!
//! Not for writing: see [`crate::platform::disk`].

use std::fs::{self, File, FileType, Metadata};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Opens the regular file at `path`, following links, without ever blocking.
pub fn open(path: &Path) -> Result<(File, Metadata)> {
    // Checked before opening: opening a device can have side effects.
    regular(&fs::metadata(path)?)?;
    let file = open_at_once(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;
    tracing::trace!(path = %path.display(), "opened");
    Ok((file, metadata))
}

/// The content of the regular file at `path`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let (mut file, metadata) = open(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether `path` is a link behind which there is nothing, or which leads back to itself.
pub fn leads_nowhere(path: &Path) -> bool {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    is_link
        && fs::metadata(path).is_err_and(|e| {
            #[cfg(unix)]
            let circle = e.raw_os_error() == Some(libc::ELOOP);
            #[cfg(not(unix))]
            let circle = false;
            circle || matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        })
}

/// Whether both paths lead to the same file, which is there.
pub fn same_file(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| path.canonicalize().ok();
    canonical(one).is_some_and(|one| Some(one) == canonical(other))
}

/// Names the kind of a file that is no regular file; `None` for a regular file.
pub fn other_than_data(kind: FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a named pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    match (kind.is_file(), kind.is_dir()) {
        (true, _) => None,
        (_, true) => Some("a folder"),
        _ => Some("no regular file"),
    }
}

fn regular(metadata: &Metadata) -> Result<()> {
    match other_than_data(metadata.file_type()) {
        None => Ok(()),
        Some(what) => {
            let kind =
                if metadata.is_dir() { ErrorKind::IsADirectory } else { ErrorKind::InvalidInput };
            Err(Error::new(kind, format!("it is {what}: only regular files are read")))
        }
    }
}

#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "opened to read only")]
fn open_at_once(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // Non-blocking, in case a pipe has taken the file's place meanwhile.
    File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

#[cfg(not(unix))]
fn open_at_once(path: &Path) -> Result<File> {
    File::open(path)
}

#[cfg(all(test, unix))]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn pipes_devices_sockets_and_folders_are_named_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("a.csv"), "x").unwrap();
        symlink(at("a.csv"), at("link.csv")).unwrap();
        assert_eq!(read(&at("link.csv")).unwrap(), b"x");
        let made = std::process::Command::new("mkfifo").arg(at("pipe.csv")).status().unwrap();
        assert!(made.success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket.csv")).unwrap();
        symlink("/dev/zero", at("zero.csv")).unwrap();
        fs::create_dir(at("folder.csv")).unwrap();
        for (name, what) in [
            ("pipe.csv", "a named pipe"),
            ("socket.csv", "a socket"),
            ("zero.csv", "a device"),
            ("folder.csv", "a folder"),
        ] {
            let error = open(&at(name)).unwrap_err().to_string();
            assert!(error.contains(what), "{name}: {error}");
        }
        assert_eq!(open(&at("none.csv")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
