//! Foundations: files that survive a crash, clocks, digests, vector code.
//!
//! | noun | file |
//! |---|---|
//! | [`disk::Disk`] | `disk`: atomic and durable writes, with a hook for fault injection |
//! | [`scratch::Scratch`] | `scratch`: data that do not fit into memory, in files without a name |
//! | [`parted::Parted`] | `parted`: entries in parts of one file, which other processes read |
//! | [`lock::Lock`] | `lock`: one process at a time in a folder |
//! | [`temporary::TemporaryFolder`] | `temporary`: names of temporary files and folders, and which
//! workspace owns them |
//! | leftovers of killed runs | `sweep`: removed by a later run of the same workspace |
//! | [`files`] | opening regular files only, links followed |
//! | [`location::Location`] | where a file is, relative to its workspace |
//! | [`lines`] | lines for a reader that may stall |
//! | [`clock::Clock`] | `clock`: the time, which tests control |
//! | [`digest::Digest`] | `digest`, `sha256_state`: SHA-256 in one go, and continued from a saved
//! state |
//! | [`threads`] | work on several threads, or on one if the system gives no more |
//! | [`engine::Engine`] | `engine`: what a cluster does for us |
//! | memory that is given back | `heap` |
//! | arithmetic | `simd`, `math`, `exact_sum`, `huge_vec` |
//!
//! Not for code that knows rows, models or releases.

pub mod clock;
pub mod digest;
pub mod disk;
pub mod engine;
pub(crate) mod exact_sum;
pub mod files;
pub(crate) mod hashed_file;
pub mod heap;
pub mod huge_vec;
pub mod lines;
pub mod location;
pub mod lock;
pub(crate) mod math;
pub mod parted;
pub mod scratch;
pub mod sha256_state;
pub mod signature;
pub mod simd;
pub(crate) mod sweep;
pub mod temporary;
pub mod threads;
