//! Numbers, tables and untrusted text, formatted for people at a terminal.
//!
//! Text that came from a file or a folder goes through [`visible`] before it is printed, and a list
//! goes through [`names`], so that a message stays short whatever the input holds. [`of_path`] is the
//! one spelling of a path that [`to_path`] reads back. Not for files that programs read, except for
//! those paths.

pub mod mention;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// How many names a list shows; the rest are only counted.
pub const MOST_NAMES: usize = 10;
/// Longest name in a list, and longest untrusted text in a message, in bytes.
const NAME_BYTES: usize = 100;
const WORDS_BYTES: usize = 300;
/// Longest message, in bytes.
const MESSAGE_BYTES: usize = 1800;

/// An error with its causes on one line, each said once; libraries often say little themselves.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let more = source.to_string();
        if !text.contains(&more) {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {more}");
        }
        cause = source.source();
    }
    text
}

/// `n` with thousands separators: `12,345`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `n` with its noun: `1 file`, `2 files`.
pub fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// The verb for `n` things in the past: `was` or `were`.
pub fn were(n: u64) -> &'static str {
    if n == 1 { "was" } else { "were" }
}

/// The text with a capital letter, unless it begins with a name, such as that of a file.
pub fn capitalised(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or("").trim_end_matches([',', ';', ':']);
    match text.split_at_checked(1) {
        Some((letter, rest)) if first.bytes().all(|b| b.is_ascii_lowercase()) => {
            letter.to_ascii_uppercase() + rest
        }
        _ => text.to_owned(),
    }
}

/// A length of time in the largest unit that is not coarse: `90 minutes`, `36 hours`, `3 days`.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..180 => plural(seconds, "second"),
        180..10_800 => plural(seconds / 60, "minute"),
        10_800..259_200 => plural(seconds / 3600, "hour"),
        _ => plural(seconds / 86_400, "day"),
    }
}

/// Makes untrusted text safe to print: escapes control characters, unusual spaces and zero-width
/// characters, and cuts long text.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, WORDS_BYTES)
}

/// An untrusted name for a message: like [`visible`], but cut shorter.
pub fn name(text: &str) -> Cow<'_, str> {
    escaped(text, NAME_BYTES)
}

/// Untrusted text on one line, uncut.
pub fn one_line(text: &str) -> String {
    escaped(text, usize::MAX).into_owned()
}

/// A path for a message: on one line, backslashes unescaped.
pub fn printed(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}

/// Our own text of several lines, for a terminal or a line-based file: foreign characters left in
/// it are made visible.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\n' && is_active(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_active(c) { push_escape(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Like [`printable`] for a JSON document; its values do not change.
pub fn printable_json(document: &str) -> Cow<'_, str> {
    if !document.chars().any(|c| c != '\n' && is_active(c)) {
        return Cow::Borrowed(document);
    }
    let mut out = String::with_capacity(document.len());
    for c in document.chars() {
        if c != '\n' && is_active(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Cuts a list of messages to the first ten; `rest` words the count of the others.
pub fn few<T>(messages: &mut Vec<T>, rest: impl FnOnce(u64) -> T) {
    let more = messages.len().saturating_sub(MOST_NAMES) as u64;
    if more > 0 {
        messages.truncate(MOST_NAMES);
        messages.push(rest(more));
    }
}

/// At most ten of `names` and the count of the rest: `a, b and 12 more`.
pub fn names<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> String {
    names_of_more(names, 0)
}

/// The same for `names` that are the first ones of a longer list, of which `left_out` are not there.
pub fn names_of_more<N: AsRef<str>>(names: impl IntoIterator<Item = N>, left_out: u64) -> String {
    let mut names = names.into_iter();
    let shown: Vec<String> = names
        .by_ref()
        .take(MOST_NAMES)
        .map(|name| escaped(name.as_ref(), NAME_BYTES).into_owned())
        .collect();
    match names.count() as u64 + left_out {
        0 => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), count(more)),
    }
}

/// The first ten of `names` and the number of the others, for records.
pub fn examples(names: &[String]) -> (Vec<String>, u64) {
    let shown = names.iter().take(MOST_NAMES).map(|name| escaped(name, NAME_BYTES).into_owned());
    (shown.collect(), names.len().saturating_sub(MOST_NAMES) as u64)
}

/// One of our own messages, cut in the middle if untrusted text made it too long.
pub fn bounded(message: String) -> String {
    if message.len() <= MESSAGE_BYTES {
        return message;
    }
    let start = message.floor_char_boundary(MESSAGE_BYTES * 2 / 3);
    let end = message.ceil_char_boundary(message.len() - MESSAGE_BYTES / 3);
    format!("{} […] {}", &message[..start], &message[end..])
}

fn escaped(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most && !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for c in text.chars() {
        if out.len() >= most {
            out.push('…');
            break;
        }
        if is_hidden(c) { push_escape(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

fn push_escape(out: &mut String, c: char) {
    match c {
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        // Writing to a String cannot fail.
        c => drop(write!(out, "\\u{{{:x}}}", u32::from(c))),
    }
}

/// Whether the character is invisible or easily mistaken for another.
fn is_hidden(c: char) -> bool {
    is_active(c) || (c.is_whitespace() && c != ' ')
}

/// Whether a terminal would act on the character or show nothing for it.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}')
        || matches!(c,
            // Soft hyphen, direction marks, joiners, BOM, tags.
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// A path as one line of text, which [`to_path`] reads back exactly: hidden characters, bytes that
/// are not UTF-8 and backslashes are escaped.
pub fn of_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                c if is_hidden(c) => push_escape(&mut out, c),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// The path that [`of_path`] wrote as `text`.
pub fn to_path(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        let (length, byte) = unescape(rest);
        bytes.extend_from_slice(&byte);
        rest = &rest[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    path_of_bytes(&bytes)
}

/// The length of the escape at the start of `text` and the bytes that it encodes; a backslash that
/// starts no escape stands for itself.
fn unescape(text: &str) -> (usize, Vec<u8>) {
    let found = match text.as_bytes().get(1) {
        Some(b'\\') => Some((2, vec![b'\\'])),
        Some(b't') => Some((2, vec![b'\t'])),
        Some(b'n') => Some((2, vec![b'\n'])),
        Some(b'r') => Some((2, vec![b'\r'])),
        Some(b'x') => text
            .get(2..4)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .map(|byte| (4, vec![byte])),
        Some(b'u') => text.get(2..).and_then(|rest| {
            let (digits, _) = rest.strip_prefix('{')?.split_once('}')?;
            let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
            Some((digits.len() + 4, c.to_string().into_bytes()))
        }),
        _ => None,
    };
    found.unwrap_or((1, vec![b'\\']))
}

#[cfg(unix)]
fn path_of_bytes(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_of_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::new(&*String::from_utf8_lossy(bytes)))
}

/// `value` with three significant digits, in plain notation where that is short.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        "-".to_owned()
    } else if size >= 1e7 || (size > 0.0 && size < 1e-3) {
        format!("{value:.2e}")
    } else if value.fract() == 0.0 {
        format!("{value}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

/// A p-value as people read it: `0.38`, `0.042`, `<0.001`.
pub fn p_value(p: f64) -> String {
    p_value_from(p, 0.001, 2)
}

/// A p-value beside the level that it is held against. It has as many digits as it takes to see on which side of the
/// level, as [`level`] spells it, it lies.
pub fn p_value_at(p: f64, against: f64) -> String {
    let floor: f64 = format!("1e{}", exponent(against)).parse().unwrap_or(0.0);
    let shown = level(against).parse().unwrap_or(against);
    let tells = |text: &str| text.parse::<f64>().is_ok_and(|said| (said < shown) == (p < against));
    let mut texts = (2..=9).map(|digits| p_value_from(p, floor.min(0.001), digits));
    let fits = |text: &String| text.starts_with('<') || tells(text);
    texts.clone().find(fits).or_else(|| texts.next_back()).unwrap_or_default()
}

/// The level of a test with three significant digits: `0.05`, `0.0167`, `0.0001`.
pub fn level(level: f64) -> String {
    let text = p_value_from(level, 0.0, 3);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `p` with `digits` significant digits, but no fewer than two decimals and, from `floor` down, as being below it.
fn p_value_from(p: f64, floor: f64, digits: i32) -> String {
    if !p.is_finite() {
        return "-".to_owned();
    }
    if p < floor {
        return format!("<{floor}");
    }
    let decimals = (digits - 1 - exponent(p).min(0)).max(2);
    format!("{p:.*}", usize::try_from(decimals).unwrap_or(2))
}

/// The power of ten of the first digit of `x`.
fn exponent(x: f64) -> i32 {
    format!("{x:e}").split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0)
}

/// Space-aligned columns: the first flush left, the others flush right.
pub fn table(rows: &[Vec<String>]) -> String {
    aligned(rows, |c| c == 0)
}

/// Space-aligned columns, all flush left: for words.
pub fn list(rows: &[Vec<String>]) -> String {
    aligned(rows, |_| true)
}

fn aligned(rows: &[Vec<String>], to_the_left: impl Fn(usize) -> bool) -> String {
    // Cells may be untrusted text; a line break in one would break the table.
    let shown = |cell: &String| escaped(cell, usize::MAX).into_owned();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::from(" ");
        for (c, cell) in row.iter().enumerate() {
            let pad = widths[c].saturating_sub(cell.chars().count());
            let blanks = " ".repeat(pad);
            // Writing to a String cannot fail.
            let _ = match (c, to_the_left(c)) {
                (0, _) => write!(line, " {cell}{blanks}"),
                (_, true) => write!(line, "  {cell}{blanks}"),
                (_, false) => write!(line, "  {blanks}{cell}"),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_read_as_people_write_them() {
        for (p, expected) in [
            (1.0, "1.00"),
            (0.999, "1.00"),
            (0.38, "0.38"),
            (0.1, "0.10"),
            (0.0416, "0.042"),
            (0.0042, "0.0042"),
            (0.001, "0.0010"),
            (0.000_999, "<0.001"),
            (1e-300, "<0.001"),
            (0.0, "<0.001"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(p_value(p), expected, "{p}");
        }
        for (at, expected) in
            [(0.05, "0.05"), (0.05 / 3.0, "0.0167"), (1e-4, "0.0001"), (0.025, "0.025"), (1.0, "1")]
        {
            assert_eq!(level(at), expected);
        }
    }

    #[test]
    fn a_p_value_shows_on_which_side_of_its_level_it_lies() {
        let many = 0.05 / 300.0;
        for (p, at, expected) in [
            (1.87e-24, 0.05 / 3.0, "<0.001"),
            (0.6, 0.05 / 3.0, "0.60"),
            (6e-4, 0.05 / 3.0, "<0.001"),
            (0.0495, 0.05, "0.0495"),
            (0.049_999, 0.05, "0.049999"),
            (0.0501, 0.05, "0.050"),
            (4.2e-4, many, "0.00042"),
            (1.2e-4, many, "0.00012"),
            (3e-6, many, "<0.0001"),
            (0.5, 1.0, "0.50"),
        ] {
            assert_eq!(p_value_at(p, at), expected, "{p} at {at}");
        }
        // Whatever the level is, no number contradicts the verdict.
        let mut p = 1e-9;
        while p < 1.0 {
            for at in [0.05, 0.01, 0.05 / 3.0, 0.05 / 7.0, 0.05 / 300.0, 0.05 / 5000.0] {
                let (text, shown) = (p_value_at(p, at), level(at).parse::<f64>().unwrap());
                match text.strip_prefix('<') {
                    Some(floor) => assert!(p < at && floor.parse::<f64>().unwrap() <= shown),
                    None => assert_eq!(text.parse::<f64>().unwrap() < shown, p < at, "{text} {at}"),
                }
            }
            p *= 1.003;
        }
    }

    #[test]
    fn sentences_begin_with_a_capital_and_names_stay_as_they_are() {
        assert_eq!(capitalised("candidate, not deployed"), "Candidate, not deployed");
        assert_eq!(capitalised("live release r-2"), "Live release r-2");
        for kept in ["", ",", "a.csv is gone", "r-2 was refused", "F1", "étage", "Übung"] {
            assert_eq!(capitalised(kept), kept);
        }
    }

    #[test]
    fn numbers_are_short_and_aligned() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!([1, 2].map(|n| plural(n, "row") + " " + were(n)), ["1 row was", "2 rows were"]);
        assert_eq!(count(100), "100");
        assert_eq!(plural(1, "file"), "1 file");
        assert_eq!(number(0.123_456), "0.123");
        assert_eq!(number(12.0), "12");
        assert_eq!(number(1e-9), "1.00e-9");
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["bb".to_owned(), "10".to_owned()]];
        assert_eq!(table(&rows), "  a    1\n  bb  10\n");
        assert_eq!(list(&rows), "  a   1\n  bb  10\n");
        let foreign = [vec!["c=bl\nue".to_owned(), "\u{1b}[31m".to_owned()]];
        assert_eq!(list(&foreign), "  c=bl\\nue  \\u{1b}[31m\n");
    }

    #[test]
    fn what_a_terminal_would_hide_or_obey_is_seen() {
        assert_eq!(visible("plain, größer, 中"), "plain, größer, 中");
        assert_eq!(visible("\u{feff}id\r\n\u{1b}[2J\u{200b}"), r"\u{feff}id\r\n\u{1b}[2J\u{200b}");
        assert_eq!(visible("a\u{a0}b\u{202e}c"), r"a\u{a0}b\u{202e}c");
        let long = visible(&"é\u{0}".repeat(10_000)).into_owned();
        assert!(long.len() < 320 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn a_list_of_any_length_is_short() {
        assert_eq!(names(["a", "b"]), "a, b");
        assert_eq!(names(Vec::<String>::new()), "");
        let many: Vec<String> = (0..16_000).map(|n| format!("column{n}")).collect();
        let text = names(&many);
        assert!(text.starts_with("column0, column1,") && text.ends_with("column9 and 15,990 more"));
        let wide = names(vec!["\u{1}".repeat(5_000); 50]);
        assert!(wide.len() < 1_200, "{}", wide.len());
        let message = bounded("ä".repeat(5_000) + " the end");
        assert!(message.len() < 2_000 && message.ends_with(" the end"), "{}", message.len());
    }

    #[test]
    fn a_report_keeps_its_lines_and_a_document_its_values() {
        assert_eq!(printable("a\nb  größer 5\u{a0}%\n"), "a\nb  größer 5\u{a0}%\n");
        assert_eq!(printable("a\u{1b}[2J\r\n\u{9b}\u{202e}"), "a\\u{1b}[2J\\r\n\\u{9b}\\u{202e}");
        let value = serde_json::json!({ "a\u{7f}": "\u{feff}\u{9b}\n\u{e0041}é中" });
        let document = serde_json::to_string_pretty(&value).unwrap();
        let shown = printable_json(&document);
        assert!(!shown.chars().any(|c| c != '\n' && is_active(c)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        let mut messages: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        few(&mut messages, |more| format!("and {more} more"));
        assert_eq!((messages.len(), messages[10].as_str()), (11, "and 2 more"));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_of_any_bytes_is_one_line_and_comes_back() {
        use std::os::unix::ffi::OsStrExt;
        let pieces: [&[u8]; 12] = [
            b"a",
            b"\\",
            b"\n",
            b"\xff",
            b"\xc3\xa9",
            b"\xc3",
            b"x",
            b"{41}",
            b"u",
            b"/",
            b"\x1b",
            b"\xef\xbb\xbf",
        ];
        let mut texts = std::collections::BTreeMap::new();
        for n in 0..12_usize.pow(4) {
            let bytes: Vec<u8> =
                (0..4).flat_map(|i| pieces[n / 12_usize.pow(i) % 12]).copied().collect();
            let path = Path::new(OsStr::from_bytes(&bytes)).to_owned();
            let text = of_path(&path);
            assert_eq!(to_path(&text).as_os_str().as_bytes(), bytes, "{text}");
            assert!(!text.contains(is_hidden), "{text:?}");
            let before = texts.insert(text, bytes.clone());
            assert!(before.is_none_or(|before| before == bytes));
        }
        assert_eq!(of_path(Path::new("/w/größe 2.csv")), "/w/größe 2.csv");
        assert_eq!(to_path(r"a\qb\"), Path::new(r"a\qb\"));
    }
}
