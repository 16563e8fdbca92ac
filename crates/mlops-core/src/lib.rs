//! The nouns and the work of the toolset.

pub mod error;
pub mod metrics;
pub mod profile;

pub use error::{Error, ErrorKind, Result};
