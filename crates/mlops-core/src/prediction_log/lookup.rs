//! Finds the lines of the log that have an id, the newest first, in bounded work.
//!
//! Files are searched from their end in pieces; only lines in which the text of the id occurs are read. Not for
//! reading all lines: see [`super::reader`].

use std::fmt;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::str::FromStr;

use memchr::{memmem, memrchr};
use serde_json::Value;

use super::files::{self, LogFile, list};
use super::line::Line;
use crate::{Error, Result};

/// Bytes searched at a time; a longer line is passed over.
const PIECE: u64 = 4 << 20;

/// A place in the log: a file, and the number of bytes before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of the file.
    pub file: String,
    /// The byte.
    pub byte: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.byte)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parts = text.rsplit_once(':').and_then(|(file, byte)| Some((file, byte.parse().ok()?)));
        let (file, byte) = parts.ok_or_else(|| format!("{text:?} is not a place in the log"))?;
        Ok(Self { file: file.to_owned(), byte })
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The lines with their places, newest first.
    pub lines: Vec<(Place, Line)>,
    /// The bytes that were searched.
    pub searched: u64,
    /// Where the search goes on, if it ended before the beginning of the log.
    pub older: Option<Place>,
}

/// Finds up to `most` lines whose request, caller's own id or id column is `id`, among the last `budget` bytes before
/// `from`, or of the whole log in `folder`.
///
/// # Errors
/// `Io` if a file cannot be read.
pub fn find(
    folder: &Path,
    id: &str,
    from: Option<&Place>,
    most: usize,
    budget: u64,
) -> Result<Found> {
    let mut files = list(folder)?;
    if let Some(place) = from {
        match files.iter().position(|file| file.name == place.file) {
            Some(at) => files.truncate(at + 1),
            // It was rotated away, and everything older with it.
            None => files.clear(),
        }
    }
    let mut found = Found::default();
    let wanted = Wanted { id, needle: Value::from(id).to_string() };
    for (k, file) in files.iter().rev().enumerate() {
        let end = from.filter(|_| k == 0).map(|place| place.byte);
        if let Some(older) = wanted.search(file, end, most, budget, &mut found)? {
            found.older = Some(Place { file: file.name.clone(), byte: older });
            break;
        }
    }
    Ok(found)
}

/// What is looked for.
struct Wanted<'a> {
    id: &'a str,
    /// As it is written in a line.
    needle: String,
}

impl Wanted<'_> {
    /// Searches `file` from byte `end` backwards; returns where it ended, if that was before its beginning.
    fn search(
        &self,
        file: &LogFile,
        end: Option<u64>,
        most: usize,
        budget: u64,
        found: &mut Found,
    ) -> Result<Option<u64>> {
        let failed = |e| Error::io("read", &file.path, e);
        let mut open = match files::open(&file.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            open => open.map_err(failed)?,
        };
        let length = open.metadata().map_err(failed)?.len();
        let mut end = end.unwrap_or(length).min(length);
        let mut piece = Vec::new();
        while end > 0 {
            if found.lines.len() >= most || found.searched >= budget {
                return Ok(Some(end));
            }
            let start = end.saturating_sub(PIECE);
            open.seek(SeekFrom::Start(start)).map_err(failed)?;
            piece.clear();
            (&mut open).take(end - start).read_to_end(&mut piece).map_err(failed)?;
            found.searched += piece.len() as u64;
            // The line in which the piece begins belongs to the piece before it.
            let first = match memchr::memchr(b'\n', &piece) {
                _ if start == 0 => 0,
                Some(newline) if newline + 1 < piece.len() => newline + 1,
                _ => piece.len(),
            };
            let (place, whole) = (start + first as u64, &piece[first..]);
            if let Some(rest) = self.lines(&file.name, place, whole, most, found) {
                return Ok(Some(rest));
            }
            end = if first < piece.len() { place } else { start };
        }
        Ok(None)
    }

    /// Searches whole lines that begin at byte `at`, the last one first; returns where it ended, if it found enough.
    fn lines(
        &self,
        file: &str,
        at: u64,
        text: &[u8],
        most: usize,
        found: &mut Found,
    ) -> Option<u64> {
        let mut left = text;
        while let Some(hit) = memmem::rfind(left, self.needle.as_bytes()) {
            let begin = memrchr(b'\n', &left[..hit]).map_or(0, |newline| newline + 1);
            let end = memchr::memchr(b'\n', &text[hit..]).map_or(text.len(), |n| hit + n);
            // A last line without its end may still be in the making.
            if end < text.len()
                && let Some(line) = Line::read(&text[begin..end], true).filter(|l| self.is_of(l))
            {
                let place = Place { file: file.to_owned(), byte: at + begin as u64 };
                found.lines.push((place, line));
                if found.lines.len() >= most && at + begin as u64 > 0 {
                    return Some(at + begin as u64);
                }
            }
            left = &left[..begin];
        }
        None
    }

    fn is_of(&self, line: &Line) -> bool {
        line.request_id == self.id
            || line.inference_id.as_deref() == Some(self.id)
            || line.ids.iter().any(|(_, value)| value == self.id)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use std::fs;

    use super::*;

    fn line(request: &str, row: u64, customer: &str) -> String {
        format!(
            "{{\"recorded\":\"2026-11-30T01:02:03.004Z\",\"request_id\":{},\"row\":{row},\"model_version\":\
             \"r-1-0123456789ab\",\"prediction\":\"yes\",\"probability\":0.75,\"inference_id\":\"mine-{row}\",\
             \"customer\":{},\"features\":{{\"age\":41}}}}\n",
            Value::from(request),
            Value::from(customer)
        )
    }

    fn log(files: &[(&str, String)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(format!("predictions-{name}T000000000000Z.jsonl")), text)
                .unwrap();
        }
        folder
    }

    #[test]
    fn the_newest_come_first_and_any_id_finds_them() {
        let many: String = (0..30_000).map(|row| line("r1", row, &format!("c{row}"))).collect();
        let folder = log(&[
            ("20260101", many),
            (
                "20260102",
                line("r2", 0, "c7") + &line("r\"2\n", 1, "<c>\u{1}") + "{\"recorded\":\"torn c7",
            ),
        ]);
        let find = |id: &str| find(folder.path(), id, None, 50, u64::MAX).unwrap();
        let found = find("c7");
        let requests: Vec<&str> = found.lines.iter().map(|(_, l)| l.request_id.as_str()).collect();
        assert_eq!((requests, found.older), (vec!["r2", "r1"], None));
        assert!(found.lines[0].1.features.is_some());
        assert_eq!(find("mine-29999").lines[0].1.row, 29_999);
        assert_eq!(find("r\"2\n").lines.len(), 1);
        assert_eq!(find("<c>\u{1}").lines.len(), 1);
        for nothing in ["c", "c30000", "yes", "age", "customer", "", "torn c7", "c7\",\"x"] {
            assert_eq!(find(nothing).lines, [], "{nothing}");
        }
    }

    #[test]
    fn a_search_ends_and_goes_on_without_missing_or_repeating_any() {
        let many: String = (0..40_000).map(|row| line("same", row, "c")).collect();
        let folder = log(&[("20260101", many.clone()), ("20260102", many)]);
        let (mut rows, mut from, mut rounds) = (Vec::new(), None, 0);
        loop {
            let found = find(folder.path(), "same", from.as_ref(), 7_000, 6 << 20).unwrap();
            assert!(found.searched <= 10 << 20, "{}", found.searched);
            rows.extend(found.lines.iter().map(|(_, line)| line.row));
            rounds += 1;
            match found.older {
                Some(place) => from = Some(place.to_string().parse().unwrap()),
                None => break,
            }
        }
        let expected: Vec<u64> = (0..40_000).rev().chain((0..40_000).rev()).collect();
        assert!(rows == expected && rounds > 10, "{} {rounds}", rows.len());
    }

    #[test]
    fn what_is_gone_or_longer_than_a_piece_is_passed_over() {
        let long = "x".repeat(usize::try_from(PIECE).unwrap() * 2);
        let folder =
            log(&[("20260101", line("a", 0, "c7") + &line("b", 1, &long) + &line("c", 2, "c7"))]);
        let found = find(folder.path(), "c7", None, 50, u64::MAX).unwrap();
        assert_eq!(found.lines.iter().map(|(_, l)| l.row).collect::<Vec<_>>(), [2, 0]);
        let gone = Place { file: "predictions-20200101T000000000000Z.jsonl".to_owned(), byte: 9 };
        assert_eq!(find(folder.path(), "c7", Some(&gone), 50, 9).unwrap(), Found::default());
        assert!("no place".parse::<Place>().is_err());
    }
}
