//! The environment and the results of a use case: its context, its test files, its decision.
//!
//! Not for the use cases themselves: see [`crate::stage`].

pub mod asked;
pub mod attention;
pub mod context;
pub mod decision;
pub mod digests;
pub mod lineage;
mod recovery;
pub(crate) mod redact;
pub mod test_files;
pub mod trust;
