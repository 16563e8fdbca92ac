//! The cells of a canonical row.
//!
//! Not for records as they arrive, which may be malformed: see [`super::record`].

use std::borrow::Cow;
use std::ops::Range;

/// Where the cells of a row are; reused from row to row.
#[derive(Debug, Clone, Default)]
pub(crate) struct CanonicalCells(Vec<Range<usize>>);

impl CanonicalCells {
    /// Finds the cells of `row`, whose newline is left out.
    pub(crate) fn look_at(&mut self, row: &[u8]) {
        self.0.clear();
        let end = row.strip_suffix(b"\n").unwrap_or(row).len();
        let mut start = 0;
        loop {
            let stop = if row.get(start) == Some(&b'"') {
                after_quotes(row, start, end)
            } else {
                memchr::memchr(b',', &row[start..end]).map_or(end, |at| start + at)
            };
            self.0.push(start..stop);
            if stop >= end {
                break;
            }
            start = stop + 1;
        }
    }

    /// Cell `at` as it stands in the row, with its quotes; empty if there is none.
    pub(crate) fn spelt<'a>(&self, row: &'a [u8], at: usize) -> &'a [u8] {
        self.0.get(at).map_or(&[], |range| &row[range.clone()])
    }

    /// The value of cell `at`, without quotes; empty if it is missing.
    pub(crate) fn value<'a>(&self, row: &'a [u8], at: usize) -> Cow<'a, [u8]> {
        let Some(range) = self.0.get(at) else { return Cow::Borrowed(&[]) };
        let cell = &row[range.clone()];
        match cell {
            [b'"', inner @ .., b'"'] if memchr::memchr(b'"', inner).is_none() => {
                Cow::Borrowed(inner)
            }
            [b'"', inner @ .., b'"'] => {
                let mut value = Vec::with_capacity(inner.len());
                let mut bytes = inner.iter();
                while let Some(byte) = bytes.next() {
                    value.push(*byte);
                    if *byte == b'"' {
                        bytes.next();
                    }
                }
                Cow::Owned(value)
            }
            bare => Cow::Borrowed(bare),
        }
    }
}

/// The position after the cell that starts with a quote at `start`.
fn after_quotes(row: &[u8], start: usize, end: usize) -> usize {
    let mut at = start + 1;
    while let Some(quote) = memchr::memchr(b'"', &row[at.min(end)..end]) {
        at += quote + 1;
        if at >= end || row[at] != b'"' {
            return at;
        }
        at += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::quote::push_text;

    proptest! {
        #[test]
        fn cells_come_back_as_they_were_written(cells in prop::collection::vec("[a,\"\n ]{0,4}", 1..5)) {
            let mut row = Vec::new();
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    row.push(b',');
                }
                push_text(cell, &mut row);
            }
            row.push(b'\n');
            let mut found = CanonicalCells::default();
            found.look_at(&row);
            for (at, cell) in cells.iter().enumerate() {
                prop_assert_eq!(&*found.value(&row, at), cell.as_bytes());
            }
            prop_assert!(found.value(&row, cells.len()).is_empty());
        }
    }
}
