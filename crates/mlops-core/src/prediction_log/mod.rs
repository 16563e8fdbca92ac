//! The log of predictions: the form of its lines, the names of its files, and how they are read.
//!
//! The service writes a line for each row that it answers, and `diagnostics --record` one for each
//! row that it writes, so that labels can be joined to them when they are known. Both use this one
//! definition. Not for the queue and the rotation of the service, which are its own.

pub mod files;
pub mod line;
pub mod lookup;
pub mod reader;

pub use files::LogFile;
pub use line::{Answer, Feature, Line, LineWriter, Request};
pub use reader::{Reading, Want};
