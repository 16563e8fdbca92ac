//! The nouns and the work of the toolset.

pub mod clock;
pub mod config;
pub mod context;
pub mod dataset;
pub mod digest;
pub mod drift;
pub mod durable;
pub mod error;
pub mod fit;
pub mod gate;
pub mod ids;
pub mod ingest;
pub mod ledger;
pub mod metrics;
pub mod model;
pub mod profile;
pub mod schema;
pub mod split;
pub mod stage;
pub mod store;
pub mod table;
pub mod testdata;
pub mod text;

pub use error::{Error, ErrorKind, Result};
