//! Inner loops compiled for the widest vectors that the processor at hand has.
//!
//! A program for any x86-64 may use vectors of two doubles; nearly every machine has vectors of
//! four, many of eight. Work given to [`widest`] is compiled for each, and the choice is made at run
//! time. No fused multiplication is allowed in any of them and sums are written lane by lane, so that
//! **all give the same bits**: a model does not tell on which machine it was trained.
//!
//! Calling a function that needs more than every processor has is `unsafe`, and that is all that is
//! so here. Not for what the loops compute.

/// Work that is compiled several times.
///
/// `run` must be `#[inline(always)]`, as must be the functions that it calls in its loops: what is
/// not inlined is compiled for the common processor only. That is slow, and never wrong.
pub(crate) trait Work {
    /// What comes of it.
    type Output;
    /// Does it.
    fn run(self) -> Self::Output;
}

/// Runs `work` in its widest version.
#[inline]
pub(crate) fn widest<W: Work>(work: W) -> W::Output {
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
