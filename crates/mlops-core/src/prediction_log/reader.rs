//! Reads the lines of a file of the log, from any place on, in bounded memory.
//!
//! A last line without its end may still be in the making: it is left to the next reading. A line
//! that is not understood is counted and skipped. Not for what is done with lines.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::files::{self, list};
use super::line::Line;
use crate::platform::digest::Digest;
use crate::{Error, Result};

/// The longest line that is read; the service accepts no body that makes a longer one by default.
const LONGEST: u64 = 16 << 20;
/// Bytes by which a file is recognised.
const TAIL: u64 = 4096;
/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// What is wanted of each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The prediction and the ids. Features are skipped, which is several times as fast.
    Predictions,
    /// The features too.
    Features,
}

/// What was read of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Where the next reading goes on: the end of the last whole line.
    pub end: u64,
    /// The number of lines that were understood.
    pub lines: u64,
    /// The number of lines that were not.
    pub strange: u64,
}

/// Passes each line of the file at `path` from byte `from` on, with what was read before it: its
/// `end` is where the line begins. `from` must be the beginning of a line. `None` if the file is gone, as rotation removes files.
///
/// # Errors
/// `Io` if the file cannot be read, and those of `visit`.
pub fn read(
    path: &Path,
    from: u64,
    want: Want,
    mut visit: impl FnMut(&Reading, Line) -> Result<()>,
) -> Result<Option<Reading>> {
    let failed = |e| Error::io("read", path, e);
    let file = match files::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mut file = BufReader::with_capacity(PIECE, file);
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut reading = Reading { end: from, ..Reading::default() };
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bytes = file.by_ref().take(LONGEST).read_until(b'\n', &mut line).map_err(failed)?;
        let whole = line.last() == Some(&b'\n');
        if !whole {
            if (bytes as u64) < LONGEST {
                return Ok(Some(reading));
            }
            bytes += match skip_line(&mut file).map_err(failed)? {
                Some(more) => more,
                None => return Ok(Some(reading)),
            };
        }
        let text = line.strip_suffix(b"\n").unwrap_or_default();
        match Line::read(text, want == Want::Features).filter(|_| whole) {
            Some(line) => {
                visit(&reading, line)?;
                reading.lines += 1;
            }
            // The end of a torn line alone says nothing.
            None if text.is_empty() && whole => {}
            None => reading.strange += 1,
        }
        reading.end += bytes as u64;
    }
}

/// Skips the rest of a line; returns its length, or `None` if it has no end.
fn skip_line(file: &mut impl std::io::BufRead) -> std::io::Result<Option<usize>> {
    let mut skipped = 0;
    loop {
        let piece = file.fill_buf()?;
        if piece.is_empty() {
            return Ok(None);
        }
        let end = memchr::memchr(b'\n', piece);
        let used = end.map_or(piece.len(), |at| at + 1);
        skipped += used;
        file.consume(used);
        if end.is_some() {
            return Ok(Some(skipped));
        }
    }
}

/// Passes each line of all files of the log in `folder`, file by file, the oldest file first.
///
/// # Errors
/// `Io` if a file cannot be read, and those of `visit`.
pub fn each(
    folder: &Path,
    want: Want,
    mut visit: impl FnMut(Line) -> Result<()>,
) -> Result<Reading> {
    let mut all = Reading::default();
    for file in list(folder)? {
        if let Some(one) = read(&file.path, 0, want, |_, line| visit(line))? {
            all.end += one.end;
            all.lines += one.lines;
            all.strange += one.strange;
        }
    }
    Ok(all)
}

/// The line of the file at `path` that begins at byte `at`; `None` if the file is gone, or has no
/// line of ours there any more.
///
/// # Errors
/// `Io` if the file cannot be read.
pub fn line_at(path: &Path, at: u64, want: Want) -> Result<Option<Line>> {
    let failed = |e| Error::io("read", path, e);
    let mut file = match files::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    file.seek(SeekFrom::Start(at)).map_err(failed)?;
    let mut line = Vec::new();
    BufReader::new(file).take(LONGEST).read_until(b'\n', &mut line).map_err(failed)?;
    let text = line.strip_suffix(b"\n").unwrap_or_default();
    Ok(Line::read(text, want == Want::Features))
}

/// A digest of what stands before byte `end` of the file at `path`, by which a file is recognised
/// that was only continued since; `None` if the file is gone or shorter.
///
/// # Errors
/// `Io` if the file cannot be read.
pub fn tail(path: &Path, end: u64) -> Result<Option<Digest>> {
    let failed = |e| Error::io("read", path, e);
    let mut file = match files::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let from = end.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(end - from).read_to_end(&mut bytes).map_err(failed)?;
    Ok((bytes.len() as u64 == end - from).then(|| Digest::of(&bytes)))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use std::fs;

    use super::*;

    fn line(request: &str) -> String {
        format!(
            "{{\"recorded\":\"2026-11-30T01:02:03.004Z\",\"request_id\":\"{request}\",\"row\":0,\
             \"model_version\":\"r-1-0123456789ab\",\"prediction\":1,\"probability\":0.5}}\n"
        )
    }

    fn requests(path: &Path, from: u64) -> (Vec<(u64, String)>, Reading) {
        let mut found = Vec::new();
        let reading = read(path, from, Want::Features, |before, line| {
            found.push((before.end, line.request_id));
            Ok(())
        });
        (found, reading.unwrap().unwrap())
    }

    #[test]
    fn torn_and_foreign_lines_take_no_other_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions-20260101T000000000000Z.jsonl");
        let n = line("a").len() as u64;
        let text =
            format!("{}{{\"recorded\":\"20\n{}\nhello\n{}", line("a"), line("b"), &line("c")[..30]);
        fs::write(&path, &text).unwrap();
        let (found, reading) = requests(&path, 0);
        let second = n + 16;
        assert_eq!(found, [(0, "a".to_owned()), (second, "b".to_owned())]);
        let end = second + n + 1 + 6;
        assert_eq!(reading, Reading { end, lines: 2, strange: 2 });
        // The writer ends the torn line and goes on.
        fs::write(&path, format!("{text}\n{}", line("d"))).unwrap();
        let (found, reading) = requests(&path, end);
        assert_eq!(found, [(end + 31, "d".to_owned())]);
        assert_eq!((reading.lines, reading.strange), (1, 1));
        let found = line_at(&path, end + 31, Want::Predictions).unwrap().unwrap();
        assert_eq!((found.request_id.as_str(), found.prediction.as_str()), ("d", "1"));
        assert_eq!(line_at(&path, end, Want::Predictions).unwrap(), None);
        let gone = folder.path().join("none");
        assert!(read(&gone, 0, Want::Features, |_, _| Ok(())).unwrap().is_none());
        assert_eq!(line_at(&gone, 0, Want::Features).unwrap(), None);
        assert_eq!(each(folder.path(), Want::Features, |_| Ok(())).unwrap().lines, 3);
    }

    #[test]
    fn a_line_longer_than_memory_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        let long = "x".repeat(usize::try_from(LONGEST).unwrap() * 2);
        fs::write(&path, format!("{}{long}\n{}", line("a"), line("b"))).unwrap();
        let (found, reading) = requests(&path, 0);
        assert_eq!(found.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((reading.lines, reading.strange), (2, 1));
        assert_eq!(reading.end, fs::metadata(&path).unwrap().len());
        fs::write(&path, format!("{}{long}", line("a"))).unwrap();
        assert_eq!(requests(&path, 0).1.end, line("a").len() as u64);
    }
}
