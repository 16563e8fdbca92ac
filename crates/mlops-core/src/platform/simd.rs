//! Inner loops compiled for the widest vectors that the processor has.
//!
//! A program for any x86-64 processor may use vectors of two doubles; nearly every machine has
//! vectors of four, and many have vectors of eight. Work given to [`widest`] is compiled for each
//! width, and the choice is made at run time. Fused multiplication is not used and sums are written
//! lane by lane, so that **all widths give the same bits**: a model is the same whichever machine
//! trained it.
//!
//! [`classify`] computes one bit per byte, which compilers do not vectorise by themselves.
//!
//! The only `unsafe` code calls functions compiled for instructions that not every processor has.
//! Not for what the loops compute.

/// Work that is compiled several times.
///
/// `run` and the functions that it calls in its loops must be `#[inline(always)]`: a function that
/// is not inlined is compiled for the baseline processor only, which is slow but correct.
pub trait Work {
    /// The result.
    type Output;
    /// Does the work.
    fn run(self) -> Self::Output;
}

/// Runs `work` in its widest version.
#[inline]
pub fn widest<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        let four = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2");
        let eight = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if four && eight {
            // SAFETY: a function with target features may be called where the processor has them,
            // and it was asked in the lines above. It has no other requirement: its body is safe.
            #[expect(unsafe_code, reason = "the processor was asked")]
            return unsafe { eight_wide(work) };
        }
        if four {
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "the processor was asked")]
            return unsafe { four_wide(work) };
        }
    }
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,avx512f,avx512dq,avx512vl")]
fn eight_wide<W: Work>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn four_wide<W: Work>(work: W) -> W::Output {
    work.run()
}

/// Classes of bytes as flags: a byte has the flags that are set in both tables, for its low and its
/// high half.
pub(crate) struct Classes {
    /// Flags by the low half of a byte.
    pub(crate) low: [u8; 16],
    /// Flags by the high half of a byte.
    pub(crate) high: [u8; 16],
}

/// Appends two words for each of `blocks`, with one bit per byte, the first byte lowest: the bytes
/// that have one of the flags `first`, and those that have one of `second`. Returns false, and does
/// nothing, if the processor lacks the instructions.
pub(crate) fn classify(
    blocks: &[[u8; 64]],
    classes: &Classes,
    flags: [u8; 2],
    out: &mut Vec<[u64; 2]>,
) -> bool {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was asked in the line above, and there is no other requirement: the
        // body is safe.
        #[expect(unsafe_code, reason = "the processor was asked")]
        unsafe {
            classify_on_x86(blocks, classes, flags, out);
        }
        return true;
    }
    let _ = (blocks, classes, flags, out);
    false
}

/// Langdale and Lemire, "Parsing gigabytes of JSON per second" (2019), section 3.1.2: a shuffle looks
/// up 32 halves of bytes at once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn classify_on_x86(
    blocks: &[[u8; 64]],
    classes: &Classes,
    flags: [u8; 2],
    out: &mut Vec<[u64; 2]>,
) {
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_set_epi64x,
        _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
    };

    let four = |words: &[[u8; 8]], [a, b, c, d]: [usize; 4]| -> __m256i {
        let word = |i: usize| i64::from_le_bytes(words[i]);
        _mm256_set_epi64x(word(d), word(c), word(b), word(a))
    };
    let low = four(classes.low.as_chunks().0, [0, 1, 0, 1]);
    let high = four(classes.high.as_chunks().0, [0, 1, 0, 1]);
    let (half, zero) = (_mm256_set1_epi8(15), _mm256_setzero_si256());
    let (first, second) =
        (_mm256_set1_epi8(flags[0].cast_signed()), _mm256_set1_epi8(flags[1].cast_signed()));
    // Plain loops and closures only: a call into the standard library would not be compiled for
    // this processor.
    out.reserve(blocks.len());
    for block in blocks {
        let words = block.as_chunks().0;
        let kinds = |at: [usize; 4]| {
            let bytes = four(words, at);
            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
            let lower = _mm256_and_si256(bytes, half);
            _mm256_and_si256(_mm256_shuffle_epi8(low, lower), _mm256_shuffle_epi8(high, upper))
        };
        let has = |kinds: __m256i, flags: __m256i| {
            let none = _mm256_cmpeq_epi8(_mm256_and_si256(kinds, flags), zero);
            u64::from(!_mm256_movemask_epi8(none).cast_unsigned())
        };
        let (front, back) = (kinds([0, 1, 2, 3]), kinds([4, 5, 6, 7]));
        out.push([
            has(front, first) | has(back, first) << 32,
            has(front, second) | has(back, second) << 32,
        ]);
    }
}
