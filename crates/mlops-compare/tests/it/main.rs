//! The comparison from outside: what it says of two files, whatever they are and however it reads them.
//!
//! Figures that take long are cut down here and run in full with `MLOPS_SOAK=1`. Not for single
//! functions: their tests stand beside them.

#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::format_collect, reason = "short before fast")]

/// Names of files and versions, what is reported, what is refused.
mod command;
/// Which rows belong together.
mod join;
/// Figures that others computed.
mod reference;
/// The same by an engine.
mod there;
