//! The nouns and the work of the toolset.

pub mod clock;
pub mod config;
pub mod digest;
pub mod durable;
pub mod error;
pub mod fit;
pub mod ids;
pub mod ingest;
pub mod metrics;
pub mod model;
pub mod schema;

pub use error::{Error, ErrorKind, Result};
