//! Cells as the fields of a CSV record.
//!
//! Not for their meaning: the parser reads these texts as those of any CSV file.

/// Appends `cell` as a field, in quotes where it needs them.
pub(crate) fn push_cell(cell: &[u8], out: &mut Vec<u8>) {
    if is_plain(cell) {
        out.extend_from_slice(cell);
    } else {
        push_quoted(cell, out);
    }
}

/// Whether `cell` needs no quotes.
pub(crate) fn is_plain(cell: &[u8]) -> bool {
    !cell.iter().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r'))
}

/// Appends `cell` as a field in quotes.
pub(crate) fn push_quoted(cell: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for b in cell {
        if *b == b'"' {
            out.push(b'"');
        }
        out.push(*b);
    }
    out.push(b'"');
}

/// Appends a number, spelt with a decimal point, with the separator that the file's numbers are
/// configured to have.
pub(crate) fn push_number(number: &[u8], decimal: char, out: &mut Vec<u8>) {
    let point = if decimal == '.' { None } else { number.iter().position(|b| *b == b'.') };
    let Some(point) = point else {
        out.extend_from_slice(number);
        return;
    };
    out.push(b'"');
    out.extend_from_slice(&number[..point]);
    out.push(b',');
    out.extend_from_slice(&number[point + 1..]);
    out.push(b'"');
}

/// Appends the line of a record that cannot be read: one field too many, so that the parser rejects it
/// whatever it contains.
pub(crate) fn push_refused(width: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + width.max(1), b',');
    out.push(b'\n');
}
