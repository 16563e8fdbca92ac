//! Contracts in the words of the Open Data Contract Standard (ODCS): the configured ones written as such a
//! document, and such a document held against the configuration.
//!
//! Only `bins/ingestion` links this crate. Not for what becomes of rows that break a contract: see
//! `mlops_core::csv::contract`.

mod check;
mod document;
mod facts;
mod yaml;

pub use check::{Checked, Difference, check};
pub use document::{Exported, export};
