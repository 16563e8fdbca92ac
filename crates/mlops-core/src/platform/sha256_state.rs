//! SHA-256 whose state can be saved and resumed: a file that grew is hashed from its old end, not
//! from its start.
//!
//! On processors with SHA instructions, `sha2` computes it and exposes its state. Elsewhere `sha2`
//! is slow, so this file has its own code: FIPS 180-4, eight blocks at a time. Their message
//! schedules are independent, so that the compiler computes them side by side in vector registers;
//! the rounds follow one after the other. Compiled for the processor at hand (see
//! `crate::platform::simd`), it reaches about four fifths of the speed of `ring`, whose state
//! cannot be resumed. Not for data that is hashed once: see [`crate::platform::digest::Hasher`].

use sha2::block_api::compress256;

use crate::platform::digest::{Digest, is_instruction};
use crate::platform::simd::{Work, widest};

/// Bytes of a block.
const BLOCK: usize = 64;
/// Blocks whose message schedules are computed together.
const LANES: usize = 8;
const GROUP: usize = BLOCK * LANES;
/// Bytes of a saved state without its tail.
const HEAD: usize = 40;

const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// The digest of bytes that arrive in pieces, possibly over several runs.
#[derive(Debug, Clone)]
pub struct Sha256State {
    state: [u32; 8],
    /// Bytes after the last whole group of blocks.
    tail: Vec<u8>,
    length: u64,
}

impl Default for Sha256State {
    fn default() -> Self {
        Self { state: START, tail: Vec::new(), length: 0 }
    }
}

impl Sha256State {
    /// Bytes added so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Adds the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if !self.tail.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(GROUP - self.tail.len()));
            self.tail.extend_from_slice(now);
            bytes = later;
            if self.tail.len() < GROUP {
                return;
            }
            compress(&mut self.state, &self.tail);
            self.tail.clear();
        }
        let (groups, rest) = bytes.split_at(bytes.len() / GROUP * GROUP);
        compress(&mut self.state, groups);
        self.tail.extend_from_slice(rest);
    }

    /// The digest of everything added.
    pub fn finish(mut self) -> Digest {
        let mut last = std::mem::take(&mut self.tail);
        last.push(0x80);
        last.resize((last.len() + 8).next_multiple_of(BLOCK) - 8, 0);
        last.extend_from_slice(&(self.length * 8).to_be_bytes());
        compress(&mut self.state, &last);
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        Digest(bytes)
    }

    /// The state for [`Sha256State::resume`]: at most 552 bytes.
    pub fn save_state(&self) -> Vec<u8> {
        let words = self.state.iter().flat_map(|word| word.to_be_bytes());
        words.chain(self.length.to_be_bytes()).chain(self.tail.iter().copied()).collect()
    }

    /// Restores a saved state; `None` if `bytes` cannot be one.
    pub fn resume(bytes: &[u8]) -> Option<Self> {
        let (head, tail) = bytes.split_at_checked(HEAD)?;
        let mut state = START;
        for (word, bytes) in state.iter_mut().zip(head.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        let length = u64::from_be_bytes(*head.last_chunk()?);
        // SHA-256 counts bits in 64 bits.
        let countable = length <= u64::MAX / 8;
        let whole = length % GROUP as u64 == tail.len() as u64;
        (countable && whole).then(|| Self { state, tail: tail.to_vec(), length })
    }
}

/// Compresses whole blocks into the state.
fn compress(state: &mut [u32; 8], blocks: &[u8]) {
    if is_instruction() {
        compress256(state, blocks.as_chunks().0);
    } else {
        widest(Compress { state, blocks });
    }
}

struct Compress<'a> {
    state: &'a mut [u32; 8],
    blocks: &'a [u8],
}

impl Work for Compress<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "see `simd`")]
    fn run(self) {
        compress_any(self.state, self.blocks);
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "to be compiled once more for each set of features")]
fn compress_any(state: &mut [u32; 8], blocks: &[u8]) {
    let mut words = [[0; LANES]; 64];
    for group in blocks.chunks(GROUP) {
        schedule(group, &mut words);
        for lane in 0..group.len() / BLOCK {
            rounds(state, &words, lane);
        }
    }
}

/// The words of up to eight blocks, with the round constants added.
#[inline(always)]
#[expect(clippy::inline_always, reason = "see `compress_any`")]
fn schedule(group: &[u8], words: &mut [[u32; LANES]; 64]) {
    for (lane, block) in group.chunks_exact(BLOCK).enumerate() {
        for (row, word) in words.iter_mut().zip(block.as_chunks().0) {
            row[lane % LANES] = u32::from_be_bytes(*word);
        }
    }
    for t in 16..64 {
        let (two, seven, fifteen, sixteen) =
            (words[t - 2], words[t - 7], words[t - 15], words[t - 16]);
        let mut row = [0; LANES];
        for lane in 0..LANES {
            let (a, b) = (fifteen[lane], two[lane]);
            let small0 = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
            let small1 = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
            row[lane] =
                small1.wrapping_add(seven[lane]).wrapping_add(small0).wrapping_add(sixteen[lane]);
        }
        words[t] = row;
    }
    for (row, k) in words.iter_mut().zip(K) {
        for word in row {
            *word = word.wrapping_add(k);
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "see `compress_any`")]
#[expect(clippy::many_single_char_names, reason = "the standard's names")]
fn rounds(state: &mut [u32; 8], words: &[[u32; LANES]; 64], lane: usize) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    // The majority of a, b, c is (a^b & b^c) ^ b, and a^b is the next round's b^c.
    let mut differ = b ^ c;
    macro_rules! round {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $t:expr) => {
            let big1 = $e.rotate_right(6) ^ $e.rotate_right(11) ^ $e.rotate_right(25);
            let choice = ($e & $f) ^ (!$e & $g);
            let sum = $h.wrapping_add(words[$t][lane]).wrapping_add(choice).wrapping_add(big1);
            $d = $d.wrapping_add(sum);
            let now = $a ^ $b;
            let big0 = $a.rotate_right(2) ^ $a.rotate_right(13) ^ $a.rotate_right(22);
            $h = sum.wrapping_add((now & differ) ^ $b).wrapping_add(big0);
            differ = now;
        };
    }
    for t in (0..64).step_by(8) {
        round!(a b c d e f g h, t);
        round!(h a b c d e f g, t + 1);
        round!(g h a b c d e f, t + 2);
        round!(f g h a b c d e, t + 3);
        round!(e f g h a b c d, t + 4);
        round!(d e f g h a b c, t + 5);
        round!(c d e f g h a b, t + 6);
        round!(b c d e f g h a, t + 7);
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.wrapping_add(add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Vec<u8> {
        let mut x = 1_u32;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            x.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn it_is_sha_256_for_every_length_and_every_cut() {
        let all = bytes(1300);
        for length in 0..all.len() {
            let text = &all[..length];
            let mut sum = Sha256State::default();
            let cut = length * 7 % 13 * length / 13;
            sum.update(&text[..cut]);
            let mut again = Sha256State::resume(&sum.save_state()).unwrap();
            assert_eq!(again.length(), cut as u64);
            again.update(&text[cut..]);
            assert_eq!(again.finish(), Digest::of(text), "{length} bytes, cut at {cut}");
            assert_eq!(sum.finish(), Digest::of(&text[..cut]), "{cut} bytes");
        }
        let large = bytes(1 << 20);
        let mut sum = Sha256State::default();
        large.chunks(4097).for_each(|part| sum.update(part));
        assert_eq!(sum.finish(), Digest::of(&large));
    }

    #[test]
    fn every_processor_gets_the_same() {
        let blocks = bytes(GROUP * 3 + BLOCK * 5);
        let (mut any, mut wide, mut found) = (START, START, START);
        compress_any(&mut any, &blocks);
        widest(Compress { state: &mut wide, blocks: &blocks });
        compress(&mut found, &blocks);
        assert_eq!([any, wide], [found, found]);
    }

    #[test]
    fn what_cannot_have_been_put_away_is_not_taken_up() {
        let mut sum = Sha256State::default();
        sum.update(&bytes(700));
        let away = sum.save_state();
        assert!(Sha256State::resume(&away).is_some());
        assert!(Sha256State::resume(&away[..away.len() - 1]).is_none());
        assert!(Sha256State::resume(&away[..20]).is_none());
        let mut too_long = away;
        too_long[HEAD - 8] = 0x20;
        assert!(Sha256State::resume(&too_long).is_none(), "more bits than can be counted");
    }
}
