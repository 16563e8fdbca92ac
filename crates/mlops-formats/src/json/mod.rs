//! JSON: an object on each line, or an array of objects.
//!
//! Names of columns are paths, `address.city`; an absent member is a missing value, like `null`. Not for the
//! grammar: see [`scan`].

mod array;
mod columns;
mod lines;
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
            matches!(inner, Some(b'{' | b']')).then_some(Shape::Value)
        }
        b'{' => {
            let line = memchr::memchr(b'\n', head);
            let first = &head[..line.unwrap_or(head.len())];
            let mut scanner = Scanner::of(first, false);
            match scanner.skip() {
                Ok(()) if scanner.is_at_end() => Some(Shape::Lines),
                Ok(()) => None,
                // The object goes on behind the line, or behind what was looked at.
                Err(Problem::End) if line.is_none() && !whole => Some(Shape::Lines),
                Err(_) => {
                    let mut scanner = Scanner::of(head, true);
                    matches!(scanner.skip(), Ok(()) | Err(Problem::End)).then_some(Shape::Value)
                }
            }
        }
        _ => None,
    }
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
        assert_eq!(shape("{id},age\n1,2\n"), None);
        assert_eq!(shape("[id],age\n1,2\n"), None);
        assert_eq!(shape("id,age\n1,2\n"), None);
        assert_eq!(recognise(b"{\"a\": \"long", false), Some(Shape::Lines));
    }
}
