//! The Open Data Contract Standard (ODCS): writes the configured contracts as such a document, and compares
//! such a document with the configuration.
//!
//! Only `bins/ingestion` links this crate. Rows are checked against contracts in
//! `mlops_core::csv::contract`.

mod check;
mod document;
mod facts;
mod yaml;

pub use check::{Checked, Difference, check};
pub use document::{Exported, export};
