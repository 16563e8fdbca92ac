//! The grammar of a CSV record: where it ends, which fields it has, what is wrong with it.
//!
//! The rules are the csv crate's (a quote opens a field only as its first byte, `""` is a quote,
//! a line end inside quotes belongs to the field; LF, CRLF and CR alone end a record) with one
//! addition: *a malformed record takes exactly one physical line with it*. An unclosed quote
//! therefore costs one row and not the rest of the file. Not for the meaning of fields: see
//! [`super::clean`].

use memchr::{memchr, memchr2, memchr3, memrchr2};

use crate::text;

/// Why a record cannot be split into the columns of its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer fields than the header.
    TooFew(usize),
    /// More fields than the header.
    TooMany(usize),
    /// An unclosed quote, or text after a closing quote, in this field (from 0).
    Quote(usize),
    /// Longer than allowed.
    TooLong,
}

/// A field, as a range of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Start and end of the content, without the quotes of a quoted field.
    pub start: usize,
    /// See `start`.
    pub end: usize,
    /// The field is quoted.
    pub quoted: bool,
    /// It contains `""`, which stands for one quote.
    pub escaped: bool,
}

/// The result of [`scan`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// A record that ends before `end` (the start of the next one) and spans `lines` physical
    /// lines.
    Record { end: usize, lines: u32, problem: Option<Malformed> },
    /// The buffer ends before the record does.
    NeedMore,
}

/// The expected shape of a file's records.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Number of fields.
    pub width: usize,
    /// Maximum length of a record in bytes.
    pub max_bytes: usize,
}

impl Malformed {
    /// The problem in words, for a record that should have `shape`.
    pub fn in_words(self, shape: Shape) -> String {
        match self {
            Self::TooFew(found) | Self::TooMany(found) => {
                let columns = text::plural(shape.width as u64, "column");
                format!("expected {columns}, found {found}")
            }
            Self::Quote(_) => "a quote is not closed on its line, or text follows it".to_owned(),
            Self::TooLong => format!("longer than {} bytes", shape.max_bytes),
        }
    }
}

/// What stands at a place of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A blank line, up to this place.
    Blank(usize),
    /// A record.
    Record {
        /// The start of the next one.
        end: usize,
        /// Physical lines that it takes.
        lines: u32,
        /// What is wrong with it.
        problem: Option<Malformed>,
    },
}

/// Reads the record that starts at `at` in a chunk of whole records, or the blank line; its fields
/// replace those in `fields`. Of a single column, a blank line is a record.
pub fn next(chunk: &[u8], at: usize, shape: Shape, fields: &mut Vec<Field>) -> Next {
    if shape.width > 1
        && let Some(length) = blank_line(&chunk[at..], true)
    {
        return Next::Blank(at + length);
    }
    match scan(chunk, at, true, shape, fields) {
        Scan::Record { end, lines, problem } => Next::Record { end, lines, problem },
        // A chunk ends with a record, so that the scan never asks for more.
        Scan::NeedMore => {
            Next::Record { end: chunk.len(), lines: 1, problem: Some(Malformed::Quote(0)) }
        }
    }
}

/// The length, line end included, of a line of nothing but blanks at the start of `bytes`.
#[expect(clippy::match_same_arms, reason = "a line feed, and a carriage return alone")]
pub(crate) fn blank_line(bytes: &[u8], last: bool) -> Option<usize> {
    let blanks = bytes.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    match (bytes.get(blanks), bytes.get(blanks + 1)) {
        (Some(b'\n'), _) => Some(blanks + 1),
        (Some(b'\r'), Some(b'\n')) => Some(blanks + 2),
        (Some(b'\r'), Some(_)) => Some(blanks + 1),
        (Some(b'\r'), None) if last => Some(blanks + 1),
        (None, _) if last && blanks > 0 => Some(blanks),
        _ => None,
    }
}

/// Reads the record that starts at `at` and stores its fields in `fields`.
///
/// `last` says that no bytes follow the buffer, so that its end also ends the record.
pub(crate) fn scan(
    buffer: &[u8],
    at: usize,
    last: bool,
    shape: Shape,
    fields: &mut Vec<Field>,
) -> Scan {
    let problem = match split(buffer, at, last, shape, fields) {
        Split::NeedMore => return Scan::NeedMore,
        Split::Done { end, lines, .. }
            if fields.len() == shape.width && end - at <= shape.max_bytes =>
        {
            return Scan::Record { end, lines, problem: None };
        }
        // Bytes after the first line must not change the verdict on it: with other chunk boundaries
        // they might not be in the buffer.
        Split::Done { spanning: Some(field), .. } | Split::BadQuote(field) => {
            Malformed::Quote(field)
        }
        Split::Done { end, .. } if end - at > shape.max_bytes => Malformed::TooLong,
        Split::Done { .. } if fields.len() < shape.width => Malformed::TooFew(fields.len()),
        Split::Done { .. } => Malformed::TooMany(fields.len()),
    };
    let place = memchr2(b'\n', b'\r', &buffer[at..]).map_or(buffer.len(), |n| at + n);
    match line_end(buffer, place, last) {
        Some(length) => Scan::Record { end: place + length, lines: 1, problem: Some(problem) },
        None => Scan::NeedMore,
    }
}

/// The length of the line end at `at`: LF, CR LF, CR, or 0 at the end of the file. `None` if it
/// depends on bytes that are not in the buffer.
pub fn line_end(buffer: &[u8], at: usize, last: bool) -> Option<usize> {
    match (buffer.get(at), buffer.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => Some(2),
        (Some(b'\r'), None) | (None, _) if !last => None,
        (None, _) => Some(0),
        _ => Some(1),
    }
}

/// The number of line ends in `bytes`.
pub fn line_ends(bytes: &[u8]) -> u64 {
    let ends = memchr::memchr2_iter(b'\n', b'\r', bytes);
    let second = |at: usize| bytes[at] == b'\n' && at > 0 && bytes[at - 1] == b'\r';
    ends.filter(|at| !second(*at)).count() as u64
}

/// The fields of the first record and its end, whatever its width: for headers.
pub(crate) fn scan_header(buffer: &[u8], last: bool, fields: &mut Vec<Field>) -> Option<usize> {
    let shape = Shape { width: 0, max_bytes: usize::MAX };
    match split(buffer, 0, last, shape, fields) {
        Split::Done { end, .. } => Some(end),
        Split::BadQuote(_) | Split::NeedMore => None,
    }
}

enum Split {
    /// A record up to `end`; `spanning` is the first field that contains a newline.
    Done {
        end: usize,
        lines: u32,
        spanning: Option<usize>,
    },
    /// The quote of this field is not closed; if an earlier field spans lines, that one.
    BadQuote(usize),
    NeedMore,
}

fn split(buffer: &[u8], at: usize, last: bool, shape: Shape, fields: &mut Vec<Field>) -> Split {
    fields.clear();
    let bad = |spanning: Option<usize>, fields: &[Field]| {
        Split::BadQuote(spanning.unwrap_or(fields.len()))
    };
    let (mut i, mut lines, mut spanning) = (at, 1, None);
    loop {
        let start = i;
        if buffer.get(i) == Some(&b'"') {
            let mut escaped = false;
            i += 1;
            loop {
                match memchr3(b'"', b'\n', b'\r', &buffer[i..]) {
                    // An open quote is searched for its end only as far as a record may reach.
                    Some(n) if i + n - at > shape.max_bytes => return bad(spanning, fields),
                    Some(n) if buffer[i + n] != b'"' => {
                        // CR LF is one line end.
                        let second = buffer[i + n] == b'\n' && buffer[i + n - 1] == b'\r';
                        lines += u32::from(!second);
                        spanning = spanning.or(Some(fields.len()));
                        i += n + 1;
                    }
                    Some(n) => match buffer.get(i + n + 1) {
                        Some(b'"') => {
                            escaped = true;
                            i += n + 2;
                        }
                        None if !last => return Split::NeedMore,
                        _ => {
                            i += n;
                            break;
                        }
                    },
                    None if last || buffer.len() - at > shape.max_bytes => {
                        return bad(spanning, fields);
                    }
                    None => return Split::NeedMore,
                }
            }
            let end = i;
            i += 1;
            while matches!(buffer.get(i), Some(b' ' | b'\t')) {
                i += 1;
            }
            match buffer.get(i) {
                Some(b',' | b'\n' | b'\r') => {}
                None if last => {}
                None => return Split::NeedMore,
                Some(_) => return bad(spanning, fields),
            }
            fields.push(Field { start: start + 1, end, quoted: true, escaped });
        } else {
            let found = memchr3(b',', b'\n', b'\r', &buffer[i..]);
            let Some(n) = found.or(last.then_some(buffer.len() - i)) else {
                return Split::NeedMore;
            };
            i += n;
            fields.push(Field { start, end: i, quoted: false, escaped: false });
        }
        if buffer.get(i) == Some(&b',') {
            i += 1;
            continue;
        }
        return match line_end(buffer, i, last) {
            Some(length) => Split::Done { end: i + length, lines, spanning },
            None => Split::NeedMore,
        };
    }
}

/// The end of the last complete record in `buffer`, for cutting a file into chunks.
///
/// Only lines near a quote are parsed: elsewhere a line end always ends a record.
pub(crate) fn last_record_end(buffer: &[u8], shape: Shape, fields: &mut Vec<Field>) -> usize {
    let mut at = 0;
    while let Some(quote) = memchr(b'"', &buffer[at..]) {
        let before = &buffer[at..at + quote];
        let start = at + memrchr2(b'\n', b'\r', before).map_or(0, |n| n + 1);
        match scan(buffer, start, false, shape, fields) {
            Scan::Record { end, .. } => at = end,
            Scan::NeedMore => return start,
        }
    }
    // A CR at the end may be half of a CR LF.
    let rest = &buffer[at..];
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    at + memrchr2(b'\n', b'\r', rest).map_or(0, |n| n + 1)
}

/// The record's bytes without the line end.
pub(crate) fn without_line_end(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { width: 2, max_bytes: 64 };

    fn all(text: &str) -> Vec<(String, u32, Option<Malformed>)> {
        let (mut at, mut fields, mut out) = (0, Vec::new(), Vec::new());
        while at < text.len() {
            match scan(text.as_bytes(), at, true, SHAPE, &mut fields) {
                Scan::Record { end, lines, problem } => {
                    out.push((text[at..end].to_owned(), lines, problem));
                    at = end;
                }
                Scan::NeedMore => panic!("the buffer is the whole file"),
            }
        }
        out
    }

    #[test]
    fn quotes_newlines_and_line_ends() {
        let records = all("a,b\r\n\"x,\n\"\"y\",2\n\"c\" ,d");
        assert_eq!(
            records,
            [
                ("a,b\r\n".to_owned(), 1, None),
                ("\"x,\n\"\"y\",2\n".to_owned(), 2, None),
                ("\"c\" ,d".to_owned(), 1, None)
            ]
        );
    }

    #[test]
    fn carriage_returns_alone_end_records_too() {
        let records = all("a,b\r\"x,\r\"\"y\r\nz\",2\r\n\"c\",d\r\re,\"f\r\n");
        assert_eq!(
            records,
            [
                ("a,b\r".to_owned(), 1, None),
                ("\"x,\r\"\"y\r\nz\",2\r\n".to_owned(), 3, None),
                ("\"c\",d\r".to_owned(), 1, None),
                ("\r".to_owned(), 1, Some(Malformed::TooFew(1))),
                ("e,\"f\r\n".to_owned(), 1, Some(Malformed::Quote(1))),
            ]
        );
        assert_eq!(line_ends(b"a\r\nb\rc\n\n\r"), 5);
    }

    #[test]
    fn a_malformed_record_takes_one_line_only() {
        let records = all("\"open,1\nb,2\nc,\"x\"y\nd,4,5\ne\n");
        let lines: Vec<_> = records.iter().map(|(text, _, p)| (text.as_str(), *p)).collect();
        assert_eq!(
            lines,
            [
                // The quote meets the one of line 3, where text follows it: not a field.
                ("\"open,1\n", Some(Malformed::Quote(0))),
                ("b,2\n", None),
                ("c,\"x\"y\n", Some(Malformed::Quote(1))),
                ("d,4,5\n", Some(Malformed::TooMany(3))),
                ("e\n", Some(Malformed::TooFew(1))),
            ]
        );
    }

    #[test]
    fn an_over_long_record_is_cut_to_its_line() {
        let long = format!("{},1\nb,2\n", "x".repeat(80));
        let records = all(&long);
        assert_eq!(records[0].2, Some(Malformed::TooLong));
        assert_eq!(records[1], ("b,2\n".to_owned(), 1, None));
        let open = format!("\"{}\nb,2\n", "x\n".repeat(50));
        assert_eq!(all(&open)[0].0, "\"x\n");
    }

    #[test]
    fn the_cut_never_splits_a_record() {
        cuts_at_record_ends("a,1\n\"b\nb\",2\nc,\"3\"\r\n\"d\"\"\nd\",4\ne,5\n");
        cuts_at_record_ends("a,1\r\"b\rb\",2\r\nc,\"3\"\r\"d\"\"\r\nd\",4\r\n\ne,5\r\n");
    }

    fn cuts_at_record_ends(text: &str) {
        let (mut ends, mut at, mut fields) = (vec![0], 0, Vec::new());
        while let Scan::Record { end, .. } = scan(text.as_bytes(), at, true, SHAPE, &mut fields) {
            ends.push(end);
            at = end;
            if at == text.len() {
                break;
            }
        }
        for n in 0..=text.len() {
            let cut = last_record_end(&text.as_bytes()[..n], SHAPE, &mut fields);
            assert!(ends.contains(&cut), "cut {cut} of a prefix of {n} bytes");
            assert!(n < text.len() || cut == n, "a whole file has no carry");
        }
    }
}
