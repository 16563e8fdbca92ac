//! How a text cell is written in CSV: in quotes only where it must be.
//!
//! Not for reading quotes: see [`crate::csv::record`].

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
