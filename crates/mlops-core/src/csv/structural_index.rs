//! Where the cells of a chunk end, and where its next odd byte is.
//!
//! A loop over the bytes of cells of varying length costs a mispredicted branch a cell, which would be
//! most of the time of parsing. Here sixty-four bytes are looked at at once, without branches: a bit each
//! says what they are, and the places of the bits become a list. A cell is then two numbers of it. Plain
//! arithmetic that compilers turn into vector code.
//!
//! Invariant: the list is exactly that of all commas and line ends, those in quotes too; quotes are odd.
//! Not for how a cell must be spelt: see [`super::spelling`].

#![expect(
    clippy::inline_always,
    clippy::needless_bitwise_bool,
    reason = "see `simd`; and no branch in what becomes vector code"
)]

use crate::platform::simd::{Classes, Work, classify, widest};

/// Bytes in one look.
const BLOCK: usize = 64;
/// A longer chunk has a line of that length, and is not worth a list several times its size: no row of
/// it is given.
const LONGEST: usize = 1 << 22;
/// Places are written so many at a time; those that are too many are written over by the next ones.
const AT_ONCE: usize = 8;

/// What is known of the bytes of a chunk; its memory is used from chunk to chunk.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// Where cells end; behind `count`, anything.
    ends: Vec<u32>,
    count: usize,
    /// How many ends stand before the row at hand.
    passed: usize,
    /// For each 64 bytes: a bit for each that ends a cell, and for each that is odd; the first one is
    /// lowest.
    bits: Vec<[u64; 2]>,
    /// The place of the first odd byte from the row at hand on.
    next_odd: usize,
}

/// Whether a byte may stand in a cell that needs no quotes.
#[inline(always)]
pub(crate) fn is_plain(byte: u8) -> bool {
    (byte.wrapping_sub(b' ') <= b'~' - b' ') & (byte != b'"') & (byte != b',')
}

#[inline(always)]
fn is_end(byte: u8) -> bool {
    (byte == b',') | (byte == b'\n') | (byte == b'\r')
}

impl Marks {
    /// Looks at `chunk`; what was known of another one is forgotten.
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

    /// The ends of the `width` cells that begin with the row at `at`, if there are so many and all
    /// their bytes are plain. Rows are asked for in their order.
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

    /// The ends of the cells of the rows from `at` on, `most` at most, that have `width` cells each,
    /// all their bytes plain, and end in a bare newline. That no other cell of them ends a line is
    /// still to be seen.
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

    /// Says that so many of the ends that were given last were taken.
    #[inline(always)]
    pub(crate) fn pass(&mut self, ends: usize) {
        self.passed += ends;
    }

    /// The place of the first odd byte from `at` on.
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
/// Bytes that end a cell have one of the first flags, odd ones one of the others, plain ones none.
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

/// Makes a list of the places of bits; returns how many there are.
struct Places<'a> {
    bits: &'a [[u64; 2]],
    /// Is long enough for all.
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

/// What [`classify`] says of one block, on every processor.
fn look(block: &[u8; BLOCK]) -> [u64; 2] {
    [bits(block, is_end), bits(block, |b| !is_plain(b) & !is_end(b))]
}

/// A bit for each byte that `is` is true of.
#[inline(always)]
fn bits(bytes: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u64 {
    /// Brings the lowest bits of eight bytes together in the highest byte, in order: no two of the
    /// partial products meet, so that nothing is carried.
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

    fn check(marks: &mut Marks, chunk: &[u8]) {
        marks.look_at(chunk);
        let (ends, odd) = plainly(chunk);
        assert_eq!(marks.ends[..marks.count], ends);
        // Whichever way this processor takes, the one of all others says the same.
        for (block, bits) in chunk.as_chunks().0.iter().zip(&marks.bits) {
            assert_eq!(look(block), *bits);
        }
        for at in 0..=chunk.len() {
            let expected = odd[at..].iter().position(|odd| *odd).map_or(usize::MAX, |i| at + i);
            assert_eq!(marks.odd_from(at), expected, "from {at}");
        }
    }

    #[test]
    fn every_byte_in_every_place_is_marked_for_what_it_is() {
        let mut marks = Marks::default();
        check(&mut marks, b"");
        for byte in 0..=u8::MAX {
            for place in (0..BLOCK).chain([BLOCK + 9, 2 * BLOCK]) {
                for other in [b'7', b',', b'"'] {
                    let mut chunk = vec![other; 2 * BLOCK + 1];
                    chunk[place] = byte;
                    check(&mut marks, &chunk);
                }
            }
        }
    }

    #[test]
    fn rows_are_given_while_their_bytes_are_plain() {
        let mut marks = Marks::default();
        let long = "x".repeat(150);
        let chunk = format!("a,1\nb,\"2\"\n{long},3\nlast,4\nshort\n");
        marks.look_at(chunk.as_bytes());
        assert_eq!(marks.row(0, 2), Some(&[1, 3][..]));
        assert_eq!(marks.row(0, 2), Some(&[1, 3][..]), "nothing was taken");
        marks.pass(2);
        assert_eq!(marks.row(4, 2), None, "a quote");
        assert_eq!(marks.row(10, 2), Some(&[160, 162][..]));
        // Whoever reads a row in another way simply goes on behind it.
        assert_eq!(marks.row(163, 2), Some(&[167, 169][..]));
        marks.pass(2);
        assert_eq!(marks.row(170, 1), Some(&[175][..]));
        assert_eq!(marks.row(170, 2), None, "there are not so many cells");
        let too_long = [b"a,1\n".repeat(3), vec![b'x'; LONGEST]].concat();
        marks.look_at(&too_long);
        assert_eq!(marks.row(0, 2), None);
        assert!(marks.rows(&too_long, 0, 2, 9).is_empty());
        // The memory is used again: what is left of a longer chunk must not be seen.
        marks.look_at(b"a,b");
        assert_eq!(marks.row(0, 2), None);
        assert_eq!(marks.row(0, 1), Some(&[1][..]));
    }
}
