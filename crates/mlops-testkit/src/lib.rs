//! What the tests of all crates set their scenes with: workspaces, faults, random numbers.
//!
//! Only tests depend on it (`rooms` in mlops-core checks that): it panics where something goes wrong,
//! and writes plain files. Not for expectations: those stand in the tests.

#![allow(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a panic is how a test reports")]
#![allow(clippy::format_push_string, reason = "short before fast")]

pub mod fault;
pub mod random;
pub mod scene;
pub mod soak;

pub use fault::{Dead, Fault};
pub use random::Random;
pub use scene::{Entry, HEADER, Scene, Snapshot, folder, sample_rows};
pub use soak::{repetitions, variable};
