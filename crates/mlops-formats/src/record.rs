//! The grammar of a record in any dialect of CSV: where it ends and which fields it has.
//!
//! The rules are those of core's `csv::record`, with another separator, quote and escape: a malformed
//! record takes exactly one physical line with it. Not for what to do with a record: see
//! [`crate::dialect`].

use mlops_core::config::{Format, Quote};
use mlops_core::csv::record::{Malformed, line_end};

/// How fields are separated and enclosed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    pub(crate) quote: Option<u8>,
    pub(crate) escape: Option<u8>,
    pub(crate) comment: Option<u8>,
}

impl Dialect {
    /// Comma-separated, with double quotes.
    pub(crate) const PLAIN: Self =
        Self { delimiter: b',', quote: Some(b'"'), escape: None, comment: None };

    /// The same with what is configured.
    pub(crate) fn with(self, format: &Format) -> Self {
        let byte = |c: Option<char>| c.and_then(|c| u8::try_from(c).ok());
        Self {
            delimiter: byte(format.delimiter).unwrap_or(self.delimiter),
            quote: match format.quote {
                None => self.quote,
                Some(Quote::Double) => Some(b'"'),
                Some(Quote::Single) => Some(b'\''),
                Some(Quote::None) => None,
            },
            escape: byte(format.escape).or(self.escape),
            comment: byte(format.comment).or(self.comment),
        }
    }

    fn is_blank(self, b: u8) -> bool {
        (b == b' ' || b == b'\t') && b != self.delimiter
    }
}

/// A field, as a range of the buffer; of a quoted one, its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) quoted: bool,
}

/// What stands at a place of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The buffer ends before the record does.
    NeedMore,
    /// A line of blanks or a comment, up to this place.
    Skipped(usize),
    /// A record up to this place.
    Record(usize),
    /// A line that is no record, up to this place.
    Malformed(usize, Malformed),
}

/// How long a record may be, and how many fields it has if that is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) width: Option<usize>,
    pub(crate) max_bytes: usize,
}

/// Reads what begins at `at`; `last` says that no bytes follow the buffer. Of a single column a blank
/// line is a record.
pub(crate) fn next(
    buffer: &[u8],
    at: usize,
    last: bool,
    dialect: Dialect,
    limits: Limits,
    fields: &mut Vec<Field>,
) -> Next {
    let line = || {
        let end = memchr2(&buffer[at..]).map_or(buffer.len(), |n| at + n);
        line_end(buffer, end, last).map(|length| end + length)
    };
    if dialect.comment.is_some_and(|c| buffer.get(at) == Some(&c)) {
        return line().map_or(Next::NeedMore, Next::Skipped);
    }
    if limits.width != Some(1) {
        let blanks = buffer[at..].iter().take_while(|b| dialect.is_blank(**b)).count();
        match buffer.get(at + blanks) {
            Some(b'\n' | b'\r') => return line().map_or(Next::NeedMore, Next::Skipped),
            None if last && blanks > 0 => return Next::Skipped(buffer.len()),
            _ => {}
        }
    }
    let problem = match split(buffer, at, last, dialect, limits.max_bytes, fields) {
        Split::NeedMore => return Next::NeedMore,
        Split::BadQuote(field) => Malformed::Quote(field),
        Split::Done { end, spanning } => {
            let width = limits.width.unwrap_or(fields.len());
            match spanning {
                _ if fields.len() == width && end - at <= limits.max_bytes => {
                    return Next::Record(end);
                }
                Some(field) => Malformed::Quote(field),
                None if end - at > limits.max_bytes => Malformed::TooLong,
                None if fields.len() < width => Malformed::TooFew(fields.len()),
                None => Malformed::TooMany(fields.len()),
            }
        }
    };
    line().map_or(Next::NeedMore, |end| Next::Malformed(end, problem))
}

fn memchr2(bytes: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', b'\r', bytes)
}

enum Split {
    /// A record up to `end`; `spanning` is the first field that contains a line end.
    Done {
        end: usize,
        spanning: Option<usize>,
    },
    /// The quote of this field is not closed; if an earlier field spans lines, that one.
    BadQuote(usize),
    NeedMore,
}

fn split(
    buffer: &[u8],
    at: usize,
    last: bool,
    dialect: Dialect,
    max_bytes: usize,
    fields: &mut Vec<Field>,
) -> Split {
    fields.clear();
    let Dialect { delimiter, quote, escape, .. } = dialect;
    let (mut i, mut spanning) = (at, None);
    loop {
        let start = i;
        if let Some(quote) = quote
            && buffer.get(i) == Some(&quote)
        {
            i += 1;
            let end = loop {
                let Some(b) = buffer.get(i) else {
                    return if last || buffer.len() - at > max_bytes {
                        Split::BadQuote(spanning.unwrap_or(fields.len()))
                    } else {
                        Split::NeedMore
                    };
                };
                if i - at > max_bytes {
                    return Split::BadQuote(spanning.unwrap_or(fields.len()));
                }
                match *b {
                    b if Some(b) == escape && b != quote => {
                        let line_end = matches!(buffer.get(i + 1), Some(b'\n' | b'\r'));
                        i += if line_end { 1 } else { 2 };
                    }
                    b if b == quote => match buffer.get(i + 1) {
                        Some(next) if *next == quote => i += 2,
                        None if !last => return Split::NeedMore,
                        _ => break i,
                    },
                    b'\n' | b'\r' => {
                        spanning = spanning.or(Some(fields.len()));
                        i += 1;
                    }
                    _ => i += 1,
                }
            };
            i = end + 1;
            while buffer.get(i).is_some_and(|b| dialect.is_blank(*b)) {
                i += 1;
            }
            match buffer.get(i) {
                Some(b) if *b == delimiter || matches!(b, b'\n' | b'\r') => {}
                None if last => {}
                None => return Split::NeedMore,
                Some(_) => return Split::BadQuote(spanning.unwrap_or(fields.len())),
            }
            fields.push(Field { start: start + 1, end, quoted: true });
        } else {
            let found = memchr::memchr3(delimiter, b'\n', b'\r', &buffer[i..]);
            let Some(n) = found.or(last.then_some(buffer.len() - i)) else {
                return Split::NeedMore;
            };
            i += n;
            fields.push(Field { start, end: i, quoted: false });
        }
        if buffer.get(i) == Some(&delimiter) {
            i += 1;
            continue;
        }
        return match line_end(buffer, i, last) {
            Some(length) => Split::Done { end: i + length, spanning },
            None => Split::NeedMore,
        };
    }
}

/// The content of a field: of a quoted one without its escapes.
pub(crate) fn content(buffer: &[u8], field: Field, dialect: Dialect) -> std::borrow::Cow<'_, [u8]> {
    let raw = &buffer[field.start..field.end];
    let Some(quote) = dialect.quote.filter(|_| field.quoted) else { return raw.into() };
    let escape = dialect.escape.filter(|e| *e != quote);
    if !raw.contains(&quote) && escape.is_none_or(|e| !raw.contains(&e)) {
        return raw.into();
    }
    let mut text = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(b) = bytes.next() {
        let follows = bytes.peek().copied();
        let escaped = (b == quote && follows == Some(quote))
            || (Some(b) == escape
                && follows
                    .is_some_and(|c| c == quote || Some(c) == escape || c == dialect.delimiter));
        if escaped {
            text.extend(bytes.next());
        } else {
            text.push(b);
        }
    }
    text.into()
}
