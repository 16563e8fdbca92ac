//! Test fixtures shared by all crates: workspaces, faults, random numbers.
//!
//! Only tests depend on it (`rooms` in mlops-core checks that): it panics where something goes wrong,
//! and writes plain files. Not for expectations: those stand in the tests.

#![allow(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a panic is how a test reports")]
#![allow(clippy::format_push_string, reason = "short before fast")]
#![allow(
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    clippy::should_implement_trait,
    reason = "tests call these as they read"
)]

pub mod app;
pub mod binary;
pub mod conformance;
pub mod dashboard;
pub mod fault;
pub mod folder;
pub mod lacking;
pub mod place;
pub mod postgres;
pub mod proxy;
pub mod random;
pub mod reference;
#[cfg(feature = "s3")]
pub mod s3;
pub mod scene;
pub mod soak;

pub use fault::{Dead, Fault};
pub use folder::{Entry, Folder, Snapshot, folder};
pub use lacking::not_run;
pub use place::Memory;
pub use random::Random;
pub use scene::{HEADER, Scene, sample_rows};
pub use soak::{repetitions, variable};
