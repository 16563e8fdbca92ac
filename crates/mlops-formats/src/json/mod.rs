//! JSON: an object on each line, or an array of objects.
//!
//! Names of columns are paths, `address.city`; an absent member is a missing value, like `null`. Not for the
//! grammar: see [`scan`].

mod array;
mod columns;
mod lines;
mod paths;
mod scan;

pub(crate) use array::Array;
pub(crate) use lines::Lines;

use scan::{Problem, Scanner};

/// Whether a text that begins with `head` has a JSON object on each line, or is one value; `None` if it
/// is no JSON.
pub(crate) fn recognise(head: &[u8], whole: bool) -> Option<Shape> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let start = head.iter().position(|b| !b.is_ascii_whitespace())?;
    let head = &head[start..];
    match head[0] {
        b'[' => {
            let inner = head[1..].iter().find(|b| !b.is_ascii_whitespace());
            let rows = matches!(inner, Some(b'{' | b']'));
            // Rows that are arrays or texts are none, which is said where they are read.
            let others = matches!(inner, Some(b'[' | b'"')) && {
                let read = Scanner::of(head, true).skip();
                matches!(read, Ok(())) || (matches!(read, Err(Problem::End)) && !whole)
            };
            (rows || others).then_some(Shape::Value)
        }
        b'{' => {
            let line = memchr::memchr(b'\n', head);
            let first = &head[..line.unwrap_or(head.len())];
            let mut scanner = Scanner::of(first, false);
            match scanner.skip() {
                Ok(()) if scanner.is_at_end() => Some(Shape::Lines),
                // Objects one behind the other.
                Ok(()) => matches!(
                    (scanner.takes(b','), scanner.peek()),
                    (_, Ok(b'{')) | (Ok(true), Err(Problem::End))
                )
                .then_some(Shape::Value),
                // The object goes on behind the line, or behind what was looked at.
                Err(Problem::End) if line.is_none() && !whole => Some(Shape::Lines),
                Err(_) => {
                    let read = Scanner::of(head, true).skip();
                    if matches!(read, Ok(()) | Err(Problem::End)) {
                        return Some(Shape::Value);
                    }
                    // A name and a colon are no header of columns: a line is at fault.
                    let mut scanner = Scanner::of(first, false);
                    let named = scanner.expect(b'{', "").and_then(|()| scanner.key());
                    named.is_ok().then_some(Shape::Lines)
                }
            }
        }
        _ => None,
    }
}

/// The members of the object at the beginning of `bytes` that are arrays of objects.
fn arrays(bytes: &[u8]) -> Vec<String> {
    let mut scanner = Scanner::of(bytes, true);
    let mut found = Vec::new();
    let mut next = || -> Result<bool, Problem> {
        if !scanner.takes(b'{')? && !scanner.takes(b',')? {
            return Ok(false);
        }
        let key = scanner.key()?;
        scanner.peek()?;
        let value = &bytes[scanner.at..];
        let inner = value.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
        if inner.is_some_and(|inner| inner.starts_with(b"{")) {
            found.push(String::from_utf8_lossy(&bytes[key.start..key.end]).into_owned());
        }
        scanner.skip()?;
        Ok(true)
    };
    while next() == Ok(true) {}
    found
}

/// What is said of a text whose rows are not at the top, but in an array of the object in `bytes`.
fn not_at_the_top(bytes: &[u8]) -> String {
    let found = arrays(bytes);
    let which = match &found[..] {
        [] => String::new(),
        found => format!(", such as {}", mlops_core::text::names(found)),
    };
    format!(
        "its rows are not an array at the top: name the path of the array of rows in \"format.records\"{which}"
    )
}

/// The two forms of JSON files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An object on each line.
    Lines,
    /// One value.
    Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_from_text() {
        let shape = |head: &str| recognise(head.as_bytes(), true);
        assert_eq!(shape("{\"a\":1}\n{\"a\":2}\n"), Some(Shape::Lines));
        assert_eq!(shape("{\"a\":1}"), Some(Shape::Lines));
        assert_eq!(shape("\n [ {\"a\":1}]"), Some(Shape::Value));
        assert_eq!(shape("{\n \"rows\": [\n {\"a\": 1}\n]}"), Some(Shape::Value));
        assert_eq!(shape("{\"a\":1},\n{\"a\":2}\n"), Some(Shape::Value));
        assert_eq!(shape("{\n\"a\":1\n}\n{\n\"a\":2\n}"), Some(Shape::Value));
        assert_eq!(shape("[[\"a\"],[1]]"), Some(Shape::Value));
        assert_eq!(shape("{\"a\":NaN}\n{\"a\":2}\n"), Some(Shape::Lines));
        assert_eq!(shape("{\"a\":1,}\n{\"a\":2,}\n"), Some(Shape::Lines));
        assert_eq!(shape("[\"id\",\n1,2\n"), None);
        assert_eq!(shape("{\"id\"},age\n1,2\n"), None);
        assert_eq!(shape("{id},age\n1,2\n"), None);
        assert_eq!(shape("[id],age\n1,2\n"), None);
        assert_eq!(shape("id,age\n1,2\n"), None);
        assert_eq!(recognise(b"{\"a\": \"long", false), Some(Shape::Lines));
    }
}
