//! Finds the ends of cells and the bytes that need special treatment, 64 bytes at a time.
//!
//! A loop over the bytes of cells of varying length costs a mispredicted branch per cell, which
//! would be most of the time of parsing. Here 64 bytes are classified at once without branches: one
//! bit per byte says what it is, and the positions of set bits become a list, two entries of which
//! delimit a cell. The code is plain arithmetic that compilers vectorise.
//!
//! Invariant: the list has exactly all commas and line ends, also those in quotes; quotes are odd
//! bytes.
//! Not for how a cell must be spelt: see [`super::spelling`].

#![expect(
    clippy::inline_always,
    clippy::needless_bitwise_bool,
    reason = "see `simd`; and no branch in what becomes vector code"
)]

use crate::platform::simd::{Classes, Work, classify, widest};

/// Bytes classified at a time.
const BLOCK: usize = 64;
/// A longer chunk contains a line of that length. Its index would take several times its size, so
/// that none is built and no fast path applies.
const LONGEST: usize = 1 << 22;
/// Positions are written in groups of this size; surplus entries are overwritten by the next group.
const AT_ONCE: usize = 8;

/// The structural index of a chunk; its memory is reused from chunk to chunk.
#[derive(Debug, Clone, Default)]
pub struct StructuralIndex {
    /// Ends of cells; entries from `count` on are garbage.
    ends: Vec<u32>,
    count: usize,
    /// The number of ends before the current row.
    passed: usize,
    /// Two words for each 64 bytes: the bytes that end a cell, and the odd ones; the first byte is
    /// the lowest bit.
    bits: Vec<[u64; 2]>,
    /// The position of the first odd byte from the current row on.
    next_odd: usize,
}

/// Whether a byte may be in a cell that needs no quotes.
#[inline(always)]
pub(crate) fn is_plain(byte: u8) -> bool {
    (byte.wrapping_sub(b' ') <= b'~' - b' ') & (byte != b'"') & (byte != b',')
}

#[inline(always)]
fn is_end(byte: u8) -> bool {
    (byte == b',') | (byte == b'\n') | (byte == b'\r')
}

impl StructuralIndex {
    /// Builds the index of `chunk`, replacing that of an earlier one.
    pub fn look_at(&mut self, chunk: &[u8]) {
        (self.count, self.passed, self.next_odd) = (0, 0, 0);
        self.bits.clear();
        if chunk.len() > LONGEST {
            return;
        }
        // Fresh memory is not touched before it is written.
        if self.ends.len() < chunk.len() + BLOCK {
            self.ends = vec![0; (chunk.len() + BLOCK).next_power_of_two()];
        }
        let (blocks, rest) = chunk.as_chunks();
        let mut last = [b'a'; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        for blocks in [blocks, &[last]] {
            if !classify(blocks, &CLASSES, FLAGS, &mut self.bits) {
                self.bits.extend(blocks.iter().map(look));
            }
        }
        self.count = widest(Places { bits: &self.bits, places: &mut self.ends });
        self.next_odd = self.odd_from(0);
    }

    /// The ends of the `width` cells of the row at `at`, if there are so many and all their bytes
    /// are plain. Rows must be asked for in order.
    #[inline(always)]
    pub(crate) fn row(&mut self, at: usize, width: usize) -> Option<&[u32]> {
        while self.ends[..self.count].get(self.passed).is_some_and(|end| (*end as usize) < at) {
            self.passed += 1;
        }
        let (from, to) = (self.passed, self.passed + width);
        let last = *self.ends[..self.count].get(to - 1)?;
        if self.next_odd < at {
            self.next_odd = self.odd_from(at);
        }
        (self.next_odd >= last as usize).then(|| &self.ends[from..to])
    }

    /// The cell ends of at most `most` rows from `at` on, each of which has `width` cells of plain
    /// bytes and ends in a bare newline. The caller must check that no other cell of them ends a
    /// line.
    #[inline(always)]
    pub(crate) fn rows(&mut self, chunk: &[u8], at: usize, width: usize, most: usize) -> &[u32] {
        if self.row(at, width).is_none() {
            return &[];
        }
        let ends = &self.ends[self.passed..self.count];
        let good = |row: &&[u32]| {
            let last = row[width - 1] as usize;
            last < self.next_odd && chunk[last] == b'\n'
        };
        let rows = ends.chunks_exact(width).take(most).take_while(good).count();
        &ends[..rows * width]
    }

    /// Skips `ends` of the cell ends that were returned last.
    #[inline(always)]
    pub(crate) fn pass(&mut self, ends: usize) {
        self.passed += ends;
    }

    /// The position of the first odd byte from `at` on.
    fn odd_from(&self, at: usize) -> usize {
        let first = at / BLOCK;
        let Some(rest) = self.bits.get(first..) else { return usize::MAX };
        let mut before = !0 << (at % BLOCK);
        for (i, [_, odd]) in rest.iter().enumerate() {
            let bits = odd & before;
            if bits != 0 {
                return (first + i) * BLOCK + bits.trailing_zeros() as usize;
            }
            before = !0;
        }
        usize::MAX
    }
}

const FLAGS: [u8; 2] = [0b11, 0b1111_1100];
/// Bytes that end a cell have one of the first flags, odd bytes one of the others, plain bytes
/// none.
const CLASSES: Classes = {
    const LINE_END: u8 = 1 << 0;
    const COMMA: u8 = 1 << 1;
    const QUOTE: u8 = 1 << 2;
    const DELETE: u8 = 1 << 3;
    const CONTROL_0: u8 = 1 << 4;
    const CONTROL_1: u8 = 1 << 5;
    const HIGH: u8 = 1 << 6;
    let mut low = [CONTROL_0 | CONTROL_1 | HIGH; 16];
    (low[0x0a], low[0x0d]) = (LINE_END | CONTROL_1 | HIGH, LINE_END | CONTROL_1 | HIGH);
    low[0x0c] |= COMMA;
    low[0x02] |= QUOTE;
    low[0x0f] |= DELETE;
    let mut high = [HIGH; 16];
    (high[0], high[1], high[2], high[3]) = (LINE_END | CONTROL_0, CONTROL_1, COMMA | QUOTE, 0);
    (high[4], high[5], high[6], high[7]) = (0, 0, 0, DELETE);
    Classes { low, high }
};

/// Lists the positions of set bits; returns how many there are.
struct Places<'a> {
    bits: &'a [[u64; 2]],
    /// Must be long enough for all positions.
    places: &'a mut [u32],
}

impl Work for Places<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let (mut count, mut place) = (0, 0);
        for [bits, _] in self.bits {
            let (mut bits, mut to) = (*bits, count);
            count += bits.count_ones() as usize;
            while bits != 0 {
                let Some(next) = self.places[to..].first_chunk_mut::<AT_ONCE>() else { break };
                for next in next {
                    *next = place + bits.trailing_zeros();
                    bits &= bits.wrapping_sub(1);
                }
                to += AT_ONCE;
            }
            place += u64::BITS;
        }
        count
    }
}

/// What [`classify`] gives for one block, on any processor.
fn look(block: &[u8; BLOCK]) -> [u64; 2] {
    [bits(block, is_end), bits(block, |b| !is_plain(b) & !is_end(b))]
}

/// A word with one bit per byte, set if `is` holds for it.
#[inline(always)]
fn bits(bytes: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u64 {
    /// Gathers the lowest bits of eight bytes in the highest byte, in order: no two partial
    /// products overlap, so that nothing carries.
    const TOGETHER: u64 = 0x0102_0408_1020_4080;
    let mut ones = [0; BLOCK];
    for (one, byte) in ones.iter_mut().zip(bytes) {
        *one = u8::from(is(*byte));
    }
    let mut all = 0;
    for (i, eight) in ones.as_chunks().0.iter().enumerate() {
        all |= (u64::from_le_bytes(*eight).wrapping_mul(TOGETHER) >> 56) << (8 * i);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All ends, and for each byte whether it is odd, as a loop over the bytes finds them.
    fn plainly(chunk: &[u8]) -> (Vec<u32>, Vec<bool>) {
        let ends = (0_u32..).zip(chunk).filter(|(_, b)| b",\n\r".contains(b)).map(|(i, _)| i);
        let odd = |b: &u8| !b",\n\r".contains(b) && (!(b' '..=b'~').contains(b) || *b == b'"');
        (ends.collect(), chunk.iter().map(odd).collect())
    }

    fn check(index: &mut StructuralIndex, chunk: &[u8]) {
        index.look_at(chunk);
        let (ends, odd) = plainly(chunk);
        assert_eq!(index.ends[..index.count], ends);
        // Whichever way this processor takes, the one of all others says the same.
        for (block, bits) in chunk.as_chunks().0.iter().zip(&index.bits) {
            assert_eq!(look(block), *bits);
        }
        for at in 0..=chunk.len() {
            let expected = odd[at..].iter().position(|odd| *odd).map_or(usize::MAX, |i| at + i);
            assert_eq!(index.odd_from(at), expected, "from {at}");
        }
    }

    #[test]
    fn every_byte_in_every_place_is_marked_for_what_it_is() {
        let mut index = StructuralIndex::default();
        check(&mut index, b"");
        for byte in 0..=u8::MAX {
            for place in (0..BLOCK).chain([BLOCK + 9, 2 * BLOCK]) {
                for other in [b'7', b',', b'"'] {
                    let mut chunk = vec![other; 2 * BLOCK + 1];
                    chunk[place] = byte;
                    check(&mut index, &chunk);
                }
            }
        }
    }

    #[test]
    fn rows_are_given_while_their_bytes_are_plain() {
        let mut index = StructuralIndex::default();
        let long = "x".repeat(150);
        let chunk = format!("a,1\nb,\"2\"\n{long},3\nlast,4\nshort\n");
        index.look_at(chunk.as_bytes());
        assert_eq!(index.row(0, 2), Some(&[1, 3][..]));
        assert_eq!(index.row(0, 2), Some(&[1, 3][..]), "nothing was taken");
        index.pass(2);
        assert_eq!(index.row(4, 2), None, "a quote");
        assert_eq!(index.row(10, 2), Some(&[160, 162][..]));
        // Code that reads a row in another way simply continues after it.
        assert_eq!(index.row(163, 2), Some(&[167, 169][..]));
        index.pass(2);
        assert_eq!(index.row(170, 1), Some(&[175][..]));
        assert_eq!(index.row(170, 2), None, "there are not so many cells");
        let too_long = [b"a,1\n".repeat(3), vec![b'x'; LONGEST]].concat();
        index.look_at(&too_long);
        assert_eq!(index.row(0, 2), None);
        assert!(index.rows(&too_long, 0, 2, 9).is_empty());
        // The memory is used again: what is left of a longer chunk must not be seen.
        index.look_at(b"a,b");
        assert_eq!(index.row(0, 2), None);
        assert_eq!(index.row(0, 1), Some(&[1][..]));
    }
}
