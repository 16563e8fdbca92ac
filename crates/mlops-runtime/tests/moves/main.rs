//! The built programs in workspaces that were moved, copied, mounted elsewhere, restored, shared,
//! damaged by hand, only to be read, or short of threads. What each step computes is not checked
//! here: core's own tests do that.
//!
//! Needs all programs beside the one that runs these tests: `cargo test --workspace` builds them.
//! What a machine does not allow (mounts, other users) is said to be ignored.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

mod accidents;
mod lives;
mod looking;
mod place;
mod shared;
mod short_of_threads;
