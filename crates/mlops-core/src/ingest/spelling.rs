//! Whether a cell is spelt canonically, eight bytes in one look.
//!
//! A byte-wise loop over cells of varying length costs a mispredicted branch a cell, which is most
//! of the time of parsing. Here eight bytes are one number: marks of bytes with a property are
//! computed for all of them at once, and the first mark is where the cell ends. Plain arithmetic,
//! the same on every processor. Near the end of the buffer and for rarer cells a loop takes over;
//! both say the same. Not for what other spellings mean: see [`super::clean`].

/// Every byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = EACH * 0x80;

/// Where a canonical number (or nothing) that starts at `at` ends. Up to 15 digits, which a
/// double holds exactly; rarer numbers take the careful path.
#[inline]
pub(crate) fn number_end(bytes: &[u8], at: usize) -> Option<usize> {
    let Some(word) = word_at(bytes, at) else { return slow_number_end(bytes, at) };
    let digits = leading(!digit_marks(word) & HIGH_BITS);
    match word.checked_shr(8 * digits).map(|rest| rest & 0xff) {
        // Zero, or no leading zero; then the end of the cell.
        Some(0x2c | 0x0a | 0x0d) if digits <= 1 || word & 0xff != 0x30 => {
            Some(at + digits as usize)
        }
        _ => slow_number_end(bytes, at),
    }
}

/// The whole number of up to seven digits, or NaN for nothing, in the canonical cell that starts at
/// `at`, and where the cell ends. `None` tells nothing: the rarer spellings need another look.
#[inline]
pub(crate) fn short_number(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let word = word_at(bytes, at)?;
    let digits = leading(!digit_marks(word) & HIGH_BITS);
    let end = word.checked_shr(8 * digits)? & 0xff;
    if !matches!(end, 0x2c | 0x0a | 0x0d) || (digits > 1 && word & 0xff == 0x30) {
        return None;
    }
    if digits == 0 {
        return Some((f64::NAN, at));
    }
    // The digits move to the end of the word; in front of them come zeros.
    let tens = (word ^ (EACH * 0x30)) << (64 - 8 * digits);
    let pairs = (tens * 10 + (tens >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let value = (fours * 10_000 + (fours >> 32)) & 0xffff_ffff;
    Some((value as f64, at + digits as usize))
}

/// Where a canonical text (or nothing) that starts at `at` ends: printable ASCII, no quotes, no
/// blank at either end.
#[inline]
pub(crate) fn text_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    while let Some(word) = word_at(bytes, end) {
        let marks = special_marks(word);
        end += leading(marks) as usize;
        if marks != 0 {
            break;
        }
    }
    while bytes.get(end).is_some_and(|b| is_plain(*b)) {
        end += 1;
    }
    let blank_at_an_end = end > at && (bytes[at] == b' ' || bytes[end - 1] == b' ');
    (matches!(bytes.get(end)?, b',' | b'\n' | b'\r') && !blank_at_an_end).then_some(end)
}

/// Whether `bytes` start with `label` as a whole cell.
#[inline]
pub(crate) fn is_cell(bytes: &[u8], label: &[u8]) -> bool {
    // Labels are a byte or two: a call to compare them would cost more than this loop.
    let starts = bytes.len() > label.len() && bytes.iter().zip(label).all(|(a, b)| a == b);
    starts && matches!(bytes[label.len()], b',' | b'\n' | b'\r')
}

/// Eight bytes with the first one lowest.
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*word))
}

/// How many bytes stand before the first mark; 8 without one.
fn leading(marks: u64) -> u32 {
    marks.trailing_zeros() / 8
}

/// The high bit of each byte that is a digit, exactly: no carry leaves a byte.
fn digit_marks(word: u64) -> u64 {
    let low = word & !HIGH_BITS;
    let from_0 = low + EACH * (0x80 - 0x30);
    let above_9 = low + EACH * (0x80 - 0x3a);
    from_0 & !above_9 & !word & HIGH_BITS
}

/// The high bit of each byte that is not [`is_plain`], exactly.
fn special_marks(word: u64) -> u64 {
    let low = word & !HIGH_BITS;
    let from_blank = low + EACH * (0x80 - 0x20);
    let delete = low + EACH;
    // Zero where the byte equals; adding 0x7f then leaves the high bit clear.
    let no_comma = (low ^ (EACH * 0x2c)) + EACH * 0x7f;
    let no_quote = (low ^ (EACH * 0x22)) + EACH * 0x7f;
    (word | !from_blank | delete | !no_comma | !no_quote) & HIGH_BITS
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'"')
}

#[cold]
fn slow_number_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut i = at;
    let negative = bytes.get(i) == Some(&b'-');
    i += usize::from(negative);
    let first = i;
    while bytes.get(i).is_some_and(u8::is_ascii_digit) {
        i += 1;
    }
    let digits = i - first;
    let leading_zero = bytes.get(first) == Some(&b'0');
    if digits > 15 || (leading_zero && digits > 1) || (digits == 0 && negative) {
        return None;
    }
    if digits > 0 && bytes.get(i) == Some(&b'.') {
        let fraction = i + 1;
        i = fraction;
        while bytes.get(i).is_some_and(u8::is_ascii_digit) {
            i += 1;
        }
        let places = i - fraction;
        let canonical = places > 0
            && digits + places <= 15
            && bytes[i - 1] != b'0'
            // Below 1e-4 the shortest spelling has an exponent.
            && (!leading_zero || bytes[fraction..i].iter().take(4).any(|b| *b != b'0'));
        return canonical.then_some(i);
    }
    // "-0" is "0".
    if negative && leading_zero { None } else { Some(i) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All cells of up to three bytes that matter, then longer ones, at every distance from the
    /// end of the buffer.
    fn cells() -> Vec<Vec<u8>> {
        let letters = b"019.-+ ,\"\na\r\t~\x1f\x7f\x80\xac\xb0\xff";
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
        let digits = ["123456789012345", "1234567890123456", "0", "00"];
        cells.extend(long.iter().chain(&texts).chain(&digits).map(|t| t.as_bytes().to_vec()));
        cells
    }

    fn slow_text_end(bytes: &[u8]) -> Option<usize> {
        let end = bytes.iter().position(|b| !is_plain(*b))?;
        let text = &bytes[..end];
        let blank = text.starts_with(b" ") || text.ends_with(b" ");
        (matches!(bytes[end], b',' | b'\n' | b'\r') && !blank).then_some(end)
    }

    #[test]
    fn eight_bytes_at_once_say_what_one_at_a_time_says() {
        for cell in cells() {
            for rest in ["", ",", "\n", "\r\n", ",1,2,3,4\n", "\nabcdefghijk", " ,1234567890"] {
                let bytes = [cell.as_slice(), rest.as_bytes()].concat();
                let shown = String::from_utf8_lossy(&bytes);
                let number = slow_number_end(&bytes, 0);
                let ends = |end: &usize| matches!(bytes.get(*end), Some(b',' | b'\n' | b'\r'));
                // What does not end its cell is refused by whoever asks, here or there.
                assert_eq!(number_end(&bytes, 0).filter(ends), number.filter(ends), "{shown:?}");
                assert_eq!(text_end(&bytes, 0), slow_text_end(&bytes), "{shown:?}");
            }
        }
    }

    #[test]
    fn short_numbers_are_those_that_a_slow_look_finds() {
        let mut found = 0;
        for cell in cells() {
            for rest in ["", ",", "\n", "\r\n", ",1,2,3,4\n", "\nabcdefghijk", " ,1234567890"] {
                let bytes = [cell.as_slice(), rest.as_bytes()].concat();
                let Some((value, end)) = short_number(&bytes, 0) else { continue };
                assert_eq!(slow_number_end(&bytes, 0), Some(end));
                let text = std::str::from_utf8(&bytes[..end]).unwrap();
                let expected = text.parse().unwrap_or(f64::NAN);
                assert_eq!(value.to_bits(), expected.to_bits(), "{text:?}");
                found += 1;
            }
        }
        assert!(found > 20, "{found}");
        for n in (0..10_000_000_u32).step_by(7) {
            let bytes = format!("{n},12345678").into_bytes();
            assert_eq!(
                short_number(&bytes, 0).map(|(v, _)| v.to_bits()),
                Some(f64::from(n).to_bits())
            );
        }
    }

    #[test]
    fn marks_are_exact_for_every_byte_beside_every_other() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let word =
                    u64::from_le_bytes([first, second, first, second, second, first, 0, 255]);
                for (at, byte) in word.to_le_bytes().into_iter().enumerate() {
                    let mark = |marks: u64| marks.to_le_bytes()[at] == 0x80;
                    assert_eq!(mark(digit_marks(word)), byte.is_ascii_digit(), "{word:x} {at}");
                    assert_eq!(mark(special_marks(word)), !is_plain(byte), "{word:x} {at}");
                }
            }
        }
    }
}
