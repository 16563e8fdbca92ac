//! The fields of an address or of a form: names and values, decoded.
//!
//! Not for what they mean.

use std::fmt::Write as _;

/// Fields in the order in which they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// The fields in `text`, as `application/x-www-form-urlencoded`.
    pub(crate) fn of(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self(decoded.collect())
    }

    /// The first value of the field `name`, if it is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty())
    }

    /// All fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same fields with `name` set to `value`, as they are written in an address.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let others = self.iter().filter(|(known, value)| *known != name && !value.is_empty());
        let mut text = String::new();
        for (name, value) in others.chain([(name, value)]) {
            let end = if text.is_empty() { "" } else { "&" };
            // Writing to a String cannot fail.
            let _ = write!(text, "{end}{}={}", encoded(name), encoded(value));
        }
        text
    }
}

/// `text` with all but letters and digits escaped, for one part of a path, a query or a cookie.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            b'-' | b'_' => out.push(char::from(byte)),
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// The text behind escapes; what is not UTF-8 is replaced.
pub(crate) fn decoded(text: &str) -> String {
    let (mut out, mut bytes) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        match byte {
            b'+' => out.push(b' '),
            b'%' => match (digit(ahead.next()), digit(ahead.next())) {
                (Some(high), Some(low)) => {
                    out.push(u8::try_from(16 * high + low).unwrap_or(b'?'));
                    bytes = ahead;
                }
                _ => out.push(b'%'),
            },
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_written_back() {
        let query = Query::of("file=a+b%26c.csv&page=2&empty=&page=3&odd%&%zz=%4");
        assert_eq!(query.get("file"), Some("a b&c.csv"));
        assert_eq!(query.get("page"), Some("2"));
        assert_eq!((query.get("empty"), query.get("none")), (None, None));
        assert_eq!(query.get("%zz"), Some("%4"));
        let next = Query::of("file=a+b%26c.csv&page=2&empty=").with("page", "7");
        assert_eq!(next, "file=a%20b%26c%2Ecsv&page=7");
        for text in ["", "ä+b", "100 %", "<script>", "a=b&c"] {
            assert_eq!(decoded(&encoded(text)), text);
        }
        assert_eq!(decoded("%ff"), "\u{fffd}");
    }
}
