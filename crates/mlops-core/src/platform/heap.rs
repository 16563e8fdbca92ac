//! How a program that runs for months gives memory back.
//!
//! Not for what is allocated, nor for limits: those are the callers'.

/// Blocks of at least this size come from the system and go back to it at once; each thread keeps about as much for
/// smaller ones, since to ask the system for each costs time. With 4 MiB here a body of 3 MiB took 1.5 times the CPU
/// time that it takes with 8 MiB, and more than 8 MiB gain nothing: 4.25 ms with 8, 4.0 with 16 and with 32. After
/// the bombs of `bins/app/tests/abuse.rs` the highest memory was 129, 151, 181, and 250 MiB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 8 << 20;

/// From now on, each large block goes back to the system when it is freed.
///
/// By itself glibc raises the size from which it does so to that of the largest block freed, up to 32 MiB, and each
/// thread then keeps blocks of up to that size: a service that unpacked bodies of 16 MiB on several threads was left
/// with 204 MiB. Other C libraries have no such rule, and nothing is done there.
pub fn give_large_blocks_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt(3)` takes two numbers, keeps no pointer, locks what it changes, and ignores what it does
        // not know.
        #[expect(unsafe_code, reason = "any two numbers may be passed, at any time")]
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
        }
    }
}
