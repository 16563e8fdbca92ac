//! Whether a cell is canonical, and the value of short canonical numbers.
//!
//! A short number fits into one machine word, whose bytes are checked together; a loop handles the
//! rarer cases and agrees with it. Not for the meaning of other spellings: see [`super::clean`].

#![expect(clippy::inline_always, reason = "see `simd`")]

use super::clean::Labels;
use super::record::Shape;
use crate::csv::structural_index::{StructuralIndex, is_plain};
use crate::table::quote::needs_quotes;

/// A double holds every integer with this many digits; longer ones take the slow path.
const DIGITS: usize = 15;
/// The number of digits that fit into a word.
const WORD: usize = 8;
const EACH: u64 = 0x0101_0101_0101_0101;

/// A cell of plain bytes (see [`crate::csv::structural_index`]), by its position in the chunk.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// The chunk.
    pub chunk: &'a [u8],
    /// Where it starts there.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

impl<'a> Cell<'a> {
    /// Its length in bytes.
    #[inline(always)]
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether it has none.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.end == self.start
    }

    /// Its bytes.
    #[inline(always)]
    pub fn bytes(self) -> &'a [u8] {
        &self.chunk[self.start..self.end]
    }

    /// Whether it is a canonical number or empty.
    #[inline(always)]
    pub fn is_number(self) -> bool {
        self.is_empty() || self.short_digits().is_some() || is_number(self.bytes())
    }

    /// Whether it is a canonical text or empty.
    #[inline(always)]
    pub fn is_text(self) -> bool {
        let is_blank = |at: usize| self.chunk[at] == b' ';
        self.is_empty() || !(is_blank(self.start) | is_blank(self.end - 1))
    }

    /// The value of a canonical integer of up to eight digits, NaN for an empty cell. `None` for
    /// any other spelling, which the caller must parse.
    #[inline(always)]
    pub(crate) fn short_number(self) -> Option<f64> {
        if self.is_empty() {
            return Some(f64::NAN);
        }
        // Adds neighbouring digits, ten times the first to the second.
        let digits = self.short_digits()?;
        let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
        Some(((fours * 10_000 + (fours >> 32)) & 0xffff_ffff) as f64)
    }

    /// One to eight digits without a leading zero, one per byte, the last one highest, padded with
    /// zeros.
    #[inline(always)]
    fn short_digits(self) -> Option<u64> {
        let length = self.len();
        let word = u64::from_le_bytes(*self.chunk.get(self.start..)?.first_chunk()?);
        // For an empty cell the shift would exceed the width of the word.
        let unused = u32::try_from(8 * WORD.checked_sub(length)?).ok()?;
        let digits = (word ^ (EACH * 0x30)).checked_shl(unused)?;
        // A byte over 9 or over 127 sets its bit; its carry may set the next one, which is harmless
        // then.
        let wrong = (digits.wrapping_add(EACH * (0x80 - 10)) | digits) & (EACH * 0x80);
        let leading_zero = length > 1 && word & 0xff == u64::from(b'0');
        (wrong == 0 && !leading_zero).then_some(digits)
    }
}

/// A row that is spelt canonically.
#[derive(Debug, Clone, Copy)]
pub struct CanonicalRow {
    /// Where its line end starts.
    pub end: usize,
    /// Where the next row starts.
    pub next: usize,
}

/// What the cells of a file must be for a row to be canonical.
pub trait Canonical {
    /// Whether the cell in the field of this number, from 0, is spelt canonically. Must be
    /// `#[inline(always)]`: see [`Work`](crate::platform::simd::Work). A closure would not be inlined.
    fn is_canonical(&mut self, field: usize, cell: Cell) -> bool;
}

/// The row that starts at `at`, if it has the shape and all its cells are of plain bytes and
/// canonical. Steps from cell to cell; the row is then passed in `index`, which have looked at `chunk`.
#[inline(always)]
pub fn canonical_row(
    index: &mut StructuralIndex,
    chunk: &[u8],
    at: usize,
    shape: Shape,
    mut cells: impl Canonical,
) -> Option<CanonicalRow> {
    let (mut start, mut end) = (at, at);
    for (field, cell_end) in index.row(at, shape.width)?.iter().enumerate() {
        end = *cell_end as usize;
        let separated = (chunk[end] == b',') == (field + 1 < shape.width);
        if !cells.is_canonical(field, Cell { chunk, start, end }) || !separated {
            return None;
        }
        start = end + 1;
    }
    // A single empty cell is a blank line; the slow path knows.
    if end == at || end - at > shape.max_bytes.saturating_sub(2) {
        return None;
    }
    index.pass(shape.width);
    let both = chunk[end] == b'\r' && chunk.get(end + 1) == Some(&b'\n');
    Some(CanonicalRow { end, next: end + 1 + usize::from(both) })
}

/// The labels as unquoted cells of a canonical row. Labels that need quotes are left out: a label
/// with a comma, unquoted, would be two cells.
#[derive(Debug, Clone, Default)]
pub struct BareLabels {
    positive: Option<Vec<u8>>,
    negative: Option<Vec<u8>>,
    /// Both labels, if each is a single byte, as in most data.
    bytes: Option<(u8, u8)>,
}

impl BareLabels {
    /// Those of `labels`.
    pub fn of(labels: &Labels) -> Self {
        let bare = |label: &String| label.as_bytes().to_vec();
        let positive = Some(&labels.positive).filter(|l| !needs_quotes(l)).map(bare);
        let negative = labels.negative.as_ref().filter(|l| !needs_quotes(l)).map(bare);
        let bytes = match (positive.as_deref(), negative.as_deref()) {
            (Some([positive]), Some([negative])) => Some((*positive, *negative)),
            _ => None,
        };
        Self { positive, negative, bytes }
    }

    /// Whether the cell, which must not end the chunk, is a label, and whether it is the positive
    /// one.
    #[inline(always)]
    pub fn find(&self, cell: Cell) -> (bool, bool) {
        if let Some((positive, negative)) = self.bytes {
            // Branch-free in the label.
            let byte = cell.chunk[cell.start];
            let (is_positive, is_negative) = (byte == positive, byte == negative);
            return ((is_positive | is_negative) & (cell.len() == 1), is_positive);
        }
        let bytes = cell.bytes();
        let is_positive = self.positive.as_deref() == Some(bytes);
        (is_positive || self.negative.as_deref() == Some(bytes), is_positive)
    }
}

/// Whether `cell` is a canonical text or empty: printable ASCII without quotes, commas, or spaces
/// at either end.
pub fn is_text(cell: &[u8]) -> bool {
    let blank_at_an_end = cell.first() == Some(&b' ') || cell.last() == Some(&b' ');
    !blank_at_an_end && cell.iter().all(|b| is_plain(*b))
}

/// Whether `cell` is a canonical number or empty.
pub fn is_number(cell: &[u8]) -> bool {
    let unsigned = cell.strip_prefix(b"-").unwrap_or(cell);
    let negative = unsigned.len() < cell.len();
    let digits = unsigned.iter().take_while(|b| b.is_ascii_digit()).count();
    let leading_zero = unsigned.first() == Some(&b'0');
    if digits > DIGITS || (leading_zero && digits > 1) || (digits == 0 && negative) {
        return false;
    }
    if digits == unsigned.len() {
        // The canonical spelling of "-0" is "0".
        return !(negative && leading_zero);
    }
    let Some(fraction) = unsigned[digits..].strip_prefix(b".") else { return false };
    digits > 0
        && digits + fraction.len() <= DIGITS
        && fraction.iter().all(u8::is_ascii_digit)
        && fraction.last().is_some_and(|b| *b != b'0')
        // Below 1e-4 the shortest spelling has an exponent.
        && (!leading_zero || fraction.iter().take(4).any(|b| *b != b'0'))
}

#[cfg(test)]
mod tests {
    use super::super::clean::Number;
    use super::*;

    /// All cells of up to three bytes that matter, then longer ones.
    fn cells() -> Vec<Vec<u8>> {
        let letters = b"0195.-+ \"ae\t~\x1f\x7f\x80\xac\xb0\xff";
        let mut cells = vec![Vec::new()];
        for length in 0..3 {
            let shorter: Vec<Vec<u8>> =
                cells.iter().filter(|c| c.len() == length).cloned().collect();
            for cell in shorter {
                cells.extend(letters.iter().map(|b| [cell.as_slice(), &[*b]].concat()));
            }
        }
        let long = ["1234567", "12345678", "123456789", "0234567", "-12", "1.5", "1.50", "0.00001"];
        let texts = ["abcdefg", "abcdefgh", "abcdefghi", "abcdefg ", "a b", "abcdefghijklmnop q"];
        let digits =
            ["123456789012345", "1234567890123456", "0", "00", "123456789012.345", "0.0001"];
        cells.extend(long.iter().chain(&texts).chain(&digits).map(|t| t.as_bytes().to_vec()));
        cells
    }

    /// The cell as part of several chunks, if its bytes are plain.
    fn in_chunks(cell: &[u8], mut check: impl FnMut(Cell)) {
        for (before, rest) in [("", ","), ("", "\n"), (",", "\r\n"), ("5,", ",1,23456789\n")] {
            let chunk = [before.as_bytes(), cell, rest.as_bytes()].concat();
            let start = before.len();
            if cell.iter().all(|b| is_plain(*b)) {
                check(Cell { chunk: &chunk, start, end: start + cell.len() });
            }
        }
    }

    #[test]
    fn a_word_at_once_says_what_a_loop_says() {
        let (mut numbers, mut texts) = (0, 0);
        for bytes in cells() {
            in_chunks(&bytes, |cell| {
                assert_eq!(cell.bytes(), bytes);
                assert_eq!(cell.is_number(), is_number(&bytes), "{cell:?}");
                assert_eq!(cell.is_text(), is_text(&bytes), "{cell:?}");
                numbers += usize::from(is_number(&bytes));
                texts += usize::from(is_text(&bytes));
            });
        }
        assert!(numbers > 100 && texts > 1_000, "{numbers} {texts}");
    }

    #[test]
    fn labels_are_found_whole_however_long_they_are() {
        for (positive, negative) in [("1", "0"), ("yes", "no"), ("y", "none"), ("a,b", "c")] {
            let labels = BareLabels::of(&Labels::known(positive, negative));
            for bytes in ["", "1", "0", "2", "10", "yes", "no", "none", "y", "n", "c", "a"] {
                let is_positive = bytes == positive && positive != "a,b";
                in_chunks(bytes.as_bytes(), |cell| {
                    let (is_label, positive) = labels.find(cell);
                    assert_eq!(is_label, is_positive || bytes == negative, "{bytes:?}");
                    assert!(!is_label || positive == is_positive, "{bytes:?}");
                });
            }
        }
        let one = BareLabels::of(&Labels { negative: None, ..Labels::known("1", "") });
        in_chunks(b"1", |cell| assert_eq!(one.find(cell), (true, true)));
        in_chunks(b"0", |cell| assert!(!one.find(cell).0));
    }

    #[test]
    fn a_canonical_number_is_one_that_is_written_as_it_was_read() {
        for cell in cells().into_iter().filter(|cell| !cell.is_empty() && cell.len() <= DIGITS) {
            let Ok(text) = std::str::from_utf8(&cell) else { continue };
            let mut written = Vec::new();
            // Blanks and plus signs are cleaned away before.
            if let Some(number) = Number::parse(text) {
                number.push(&mut written);
            }
            assert_eq!(is_number(&cell), written == cell, "{text:?}");
        }
    }

    #[test]
    fn short_numbers_are_those_that_others_read() {
        let mut found = 0;
        let mut check = |cell: Cell| {
            let Some(value) = cell.short_number() else { return };
            assert!(is_number(cell.bytes()), "{cell:?}");
            let text = std::str::from_utf8(cell.bytes()).unwrap();
            let expected = text.parse().unwrap_or(f64::NAN);
            assert_eq!(value.to_bits(), expected.to_bits(), "{text:?}");
            found += 1;
        };
        for cell in cells() {
            in_chunks(&cell, &mut check);
        }
        for n in (0..100_000_000_u32).step_by(997) {
            in_chunks(n.to_string().as_bytes(), &mut check);
        }
        assert!(found > 100_000, "{found}");
    }
}
