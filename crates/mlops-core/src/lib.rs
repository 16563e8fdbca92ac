//! The nouns and the work of the toolset.

pub mod error;
pub mod fit;
pub mod metrics;

pub use error::{Error, ErrorKind, Result};
