//! Small whole numbers in runs: repeated ones and packed ones by turns, as Parquet stores levels and the places
//! of values in a dictionary.
//!
//! The layout is the "run length encoding / bit-packing hybrid" of Parquet's specification. No byte is trusted.
//! Not for values: see [`super::texts`].

use bytes::Bytes;

/// The widest number, in bits.
const WIDEST: u8 = 32;

/// The numbers of a page that were not read yet.
pub(super) struct Runs {
    data: Bytes,
    /// The next byte behind the present run.
    at: usize,
    /// Bits of a number.
    width: u8,
    run: Run,
}

enum Run {
    /// A number, and how often it is still to come.
    Repeated(u32, usize),
    /// Packed numbers: the place of the next bit, and how many are still to come.
    Packed(usize, usize),
}

impl Runs {
    /// The numbers of `width` bits in `data`; `None` if there are none so wide.
    pub(super) fn of(data: Bytes, width: u8) -> Option<Self> {
        (width <= WIDEST).then_some(Self { data, at: 0, width, run: Run::Repeated(0, 0) })
    }

    /// Reads as many numbers as `out` has room for; `None` if there are fewer.
    pub(super) fn fill(&mut self, mut out: &mut [u32]) -> Option<()> {
        while !out.is_empty() {
            let read = match &mut self.run {
                Run::Repeated(_, 0) | Run::Packed(_, 0) => {
                    self.run = self.next_run()?;
                    0
                }
                Run::Repeated(number, left) => {
                    let read = out.len().min(*left);
                    out[..read].fill(*number);
                    *left -= read;
                    read
                }
                Run::Packed(bit, left) => {
                    let read = out.len().min(*left);
                    unpack(&self.data, *bit, self.width, &mut out[..read])?;
                    *bit += read * usize::from(self.width);
                    *left -= read;
                    read
                }
            };
            out = &mut out[read..];
        }
        Some(())
    }

    fn next_run(&mut self) -> Option<Run> {
        let head = self.variable()?;
        let count = usize::try_from(head >> 1).ok()?;
        if head & 1 == 0 {
            let bytes = usize::from(self.width).div_ceil(8);
            let stored = self.data.get(self.at..self.at + bytes)?;
            self.at += bytes;
            let number = stored.iter().rev().fold(0, |number, b| (number << 8) | u32::from(*b));
            return Some(Run::Repeated(number, count));
        }
        // Groups of eight numbers, of which the last may be cut off with the data.
        let numbers = count.checked_mul(8)?;
        let bytes = count.checked_mul(self.width.into())?;
        let start = self.at;
        self.at = start.checked_add(bytes)?.min(self.data.len());
        let whole = match usize::from(self.width) {
            0 => numbers,
            width => numbers.min((self.at - start) * 8 / width),
        };
        (whole > 0 || count == 0).then_some(Run::Packed(start * 8, whole))
    }

    /// A number of variable length, seven bits in each byte.
    fn variable(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let b = *self.data.get(self.at)?;
            self.at += 1;
            number |= u64::from(b & 0x7f) << shift;
            if b & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// Reads numbers of `width` bits from the place `bit` on.
#[expect(clippy::cast_possible_truncation, reason = "the mask leaves at most 32 bits")]
fn unpack(data: &[u8], bit: usize, width: u8, out: &mut [u32]) -> Option<()> {
    let (mask, width) = ((1_u64 << width) - 1, usize::from(width));
    let mut bit = bit;
    for number in out {
        let rest = data.get(bit / 8..)?;
        let word = rest.first_chunk().map_or_else(
            || {
                let mut word = [0; 8];
                word[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(word)
            },
            |word| u64::from_le_bytes(*word),
        );
        *number = (word >> (bit % 8) & mask) as u32;
        bit += width;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8], width: u8, numbers: usize) -> Option<Vec<u32>> {
        let mut out = vec![9; numbers];
        let mut runs = Runs::of(Bytes::copy_from_slice(data), width)?;
        // In pieces, as batches have them.
        out.chunks_mut(3).try_for_each(|piece| runs.fill(piece))?;
        Some(out)
    }

    #[test]
    fn the_examples_of_the_specification_are_read() {
        // The numbers 0 to 7 of three bits.
        assert_eq!(read(&[3, 0x88, 0xc6, 0xfa], 3, 8), Some((0..8).collect()));
        // Ten times 4, then the eight packed ones.
        let both = [&[20, 4][..], &[3, 0x88, 0xc6, 0xfa]].concat();
        assert_eq!(read(&both, 3, 18), Some([vec![4; 10], (0..8).collect()].concat()));
        assert_eq!(read(&[200, 1, 1], 1, 100), Some(vec![1; 100]), "a head of two bytes");
        assert_eq!(read(&[2, 0x12, 0x34, 0x56, 0x78], 32, 1), Some(vec![0x7856_3412]));
        assert_eq!(read(&[16], 0, 8), Some(vec![0; 8]), "numbers without bits");
    }

    #[test]
    fn what_is_cut_off_is_no_number() {
        assert_eq!(read(&[], 3, 1), None);
        assert_eq!(read(&[3, 0x88, 0xc6], 3, 6), None, "the sixth number ends in the third byte");
        assert_eq!(read(&[3, 0x88, 0xc6], 3, 5), Some((0..5).collect()));
        assert_eq!(read(&[20], 3, 1), None);
        assert_eq!(read(&[0xff; 12], 3, 1), None);
        assert!(Runs::of(Bytes::new(), 33).is_none());
        assert_eq!(read(&[0, 1, 0, 2, 2, 3], 3, 1), Some(vec![3]), "empty runs are passed over");
    }
}
