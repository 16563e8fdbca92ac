//! Iterates over the elements of a JSON array in place, so that columns sent whole are read side by
//! side, row by row, without being copied.
//!
//! Not for the meaning of an element: see `super::json`.

use serde::de::DeserializeSeed as _;

use super::json::Cell;
use super::rows::Rows;

/// The kind of an element, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Number,
    /// A string or a Boolean.
    Text,
    /// An array or object in place of a value.
    Misfit,
}

/// An element with its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    text: &'a str,
}

impl Element<'_> {
    pub(crate) fn kind(self) -> Kind {
        match self.text.as_bytes().first() {
            Some(b'n') => Kind::Null,
            Some(b'"' | b't' | b'f') => Kind::Text,
            Some(b'[' | b'{') | None => Kind::Misfit,
            _ => Kind::Number,
        }
    }

    /// Puts the element into column `c` of the current row.
    pub(crate) fn put(self, rows: &mut Rows, c: usize) -> Result<(), String> {
        match self.kind() {
            Kind::Null => rows.null(c),
            Kind::Misfit => rows.misfit(c, "an array or object"),
            Kind::Number | Kind::Text => {
                let mut json = serde_json::Deserializer::from_str(self.text);
                let put = Cell { rows, c }.deserialize(&mut json);
                put.map_err(|e| format!("the body is not JSON: {e}"))?;
            }
        }
        Ok(())
    }
}

/// Iterates over an array, whose text must have been found to be valid JSON.
#[derive(Debug, Clone)]
pub(crate) struct Elements<'a> {
    text: &'a str,
    at: usize,
    /// Elements of nested arrays count as elements.
    flat: bool,
}

impl<'a> Elements<'a> {
    /// The elements of the array `text`, or the single value that it is. For a nested array with
    /// one element, that one counts.
    pub(crate) fn of(text: &'a str) -> Self {
        let at = usize::from(text.starts_with('['));
        Self { text, at, flat: false }
    }

    /// The elements of the array `text` and of all nested arrays.
    pub(crate) fn flat(text: &'a str) -> Self {
        Self { text, at: 0, flat: true }
    }

    /// The end of the string, array or object that begins at `from`.
    fn end(&self, from: usize) -> usize {
        let bytes = self.text.as_bytes();
        let (mut at, mut depth, mut quoted) = (from, 0_usize, false);
        while at < bytes.len() {
            match bytes[at] {
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                b'[' | b'{' if !quoted => depth += 1,
                b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += 1;
            if depth == 0 && !quoted {
                break;
            }
        }
        at.min(bytes.len())
    }
}

impl<'a> Elements<'a> {
    /// The text of the next element.
    fn text(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let between = |b: u8| match b {
            b',' | b' ' | b'\n' | b'\r' | b'\t' => true,
            b'[' | b']' => self.flat,
            _ => false,
        };
        let from = self.at + bytes[self.at..].iter().position(|b| !between(*b))?;
        self.at = match bytes[from] {
            b']' => return None,
            b'"' | b'[' | b'{' => self.end(from),
            _ => {
                let ends = |b: &u8| matches!(b, b',' | b']' | b' ' | b'\n' | b'\r' | b'\t');
                let length = bytes[from..].iter().position(ends);
                length.map_or(bytes.len(), |n| from + n)
            }
        };
        Some(&self.text[from..self.at])
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let text = self.text()?;
        if text.starts_with('[') {
            let mut inside = Self::of(text);
            if let (Some(one), None) = (inside.text(), inside.text()) {
                return Some(Element { text: one });
            }
        }
        Some(Element { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(elements: Elements<'_>) -> Vec<&str> {
        elements.map(|e| e.text).collect()
    }

    #[test]
    fn elements_are_found_where_they_stand() {
        let text = r#"[1, -2.5e3 ,null,"a,]\"b" , [3],["x"],[4,5],[],{"a":[1]},true]"#;
        let expected = [
            "1",
            "-2.5e3",
            "null",
            r#""a,]\"b""#,
            "3",
            "\"x\"",
            "[4,5]",
            "[]",
            "{\"a\":[1]}",
            "true",
        ];
        assert_eq!(texts(Elements::of(text)), expected);
        assert_eq!(texts(Elements::of("[]")), Vec::<&str>::new());
        assert_eq!(texts(Elements::of("7")), ["7"]);
        assert_eq!(texts(Elements::of("\"a\\\\\"")), ["\"a\\\\\""]);
        assert_eq!(texts(Elements::of("[[[1]]]")), ["[1]"]);
    }

    #[test]
    fn arrays_of_arrays_are_one_list() {
        let text = "[[1,2],[3 , \"[\"],[[]],[null]]";
        assert_eq!(texts(Elements::flat(text)), ["1", "2", "3", "\"[\"", "null"]);
    }

    #[test]
    fn kinds_are_told_by_the_first_byte() {
        use Kind::{Misfit, Null, Number, Text};
        let kinds: Vec<Kind> =
            Elements::of("[1,null,false,\"\",[1,2],{}]").map(Element::kind).collect();
        assert_eq!(kinds, [Number, Null, Text, Text, Misfit, Misfit]);
    }
}
