//! `Sha256State`, cut and put away anywhere, against the digest that `ring` computes of the whole.
//!
//! The first three bytes say how; the others are hashed, several times over, so that groups of
//! blocks fill up. Where the processor has instructions for SHA-256, these are what is held against
//! `ring`, and the vector code is left to the test beside it. How to run it: see `fuzz/README.md`.
//! Not for files.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mlops_core::platform::digest::Digest;
use mlops_core::platform::sha256_state::Sha256State;

fuzz_target!(|input: &[u8]| {
    if let Some(sum) = Sha256State::resume(input) {
        assert_eq!(sum.save_state(), input);
        sum.finish();
    }
    let Some(([piece, every, times], bytes)) = input.split_first_chunk() else { return };
    let bytes = bytes.repeat(1 + usize::from(times % 32));
    let piece = 1 + 5 * usize::from(*piece);
    let mut sum = Sha256State::default();
    for (i, piece) in bytes.chunks(piece).enumerate() {
        sum.update(piece);
        if i.is_multiple_of(1 + usize::from(*every)) {
            sum = Sha256State::resume(&sum.save_state()).expect("what was put away");
        }
    }
    assert_eq!(sum.length(), bytes.len() as u64);
    assert_eq!(sum.finish(), Digest::of(&bytes));
});
