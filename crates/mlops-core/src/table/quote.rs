//! How a text cell is written in CSV: in quotes only where it must be.
//!
//! Reads back only what it wrote. Not for reading others' quotes: see [`crate::csv::record`].

/// Whether a text cell must stand in quotes.
pub fn needs_quotes(text: &str) -> bool {
    text.bytes().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r'))
}

/// Writes a text cell, quoted only where CSV needs it.
pub fn push_text(text: &str, out: &mut Vec<u8>) {
    if needs_quotes(text) {
        out.push(b'"');
        for byte in text.bytes() {
            if byte == b'"' {
                out.push(b'"');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}
/// The records of a CSV text that was written here, each with its bytes and its texts.
pub fn records(csv: &[u8]) -> impl Iterator<Item = (&[u8], Vec<String>)> {
    let mut rest = csv;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (mut texts, mut text, mut quoted, mut end) =
            (Vec::new(), Vec::new(), false, rest.len());
        for (i, byte) in rest.iter().enumerate() {
            match byte {
                b'"' => {
                    // The second of two quotes within a text is a quote.
                    if !quoted && i > 0 && rest[i - 1] == b'"' {
                        text.push(b'"');
                    }
                    quoted = !quoted;
                }
                b',' if !quoted => texts.push(std::mem::take(&mut text)),
                b'\n' if !quoted => {
                    end = i + 1;
                    break;
                }
                byte => text.push(*byte),
            }
        }
        texts.push(text);
        let (raw, after) = rest.split_at(end);
        rest = after;
        let texts = texts.into_iter().map(|t| String::from_utf8_lossy(&t).into_owned());
        Some((raw, texts.collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_as_they_were_written() {
        let written = [["a,\"b\"\"\n", "1"], ["", "0"], ["\"", "x"], ["\"\"", ""], ["é", "\n"]];
        let mut text = Vec::new();
        for [a, b] in [["id", "left"]].iter().chain(&written) {
            push_text(a, &mut text);
            text.push(b',');
            push_text(b, &mut text);
            text.push(b'\n');
        }
        let found: Vec<_> = records(&text).collect();
        assert_eq!(found.len(), 6);
        for ((_, row), expected) in found.iter().skip(1).zip(written) {
            assert_eq!(*row, expected);
        }
        let together: Vec<u8> = found.iter().flat_map(|(raw, _)| raw.to_vec()).collect();
        assert_eq!(together, text);
    }
}
