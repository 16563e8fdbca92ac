//! Joins predictions with labels that arrived later, and computes the realised scores: how good the
//! live model is on the rows that it was really asked to predict.
//!
//! The rule of the join: a label belongs to the predictions with its key. A label with a time belongs
//! to those made up to that time. Of several labels the one with the latest time wins, and at equal
//! times the one that was read last. The result therefore depends neither on the order of the files
//! nor on whether predictions or labels arrive first.
//!
//! Not for reading the log: see [`crate::prediction_log`]; not for the files of labels and the order
//! of writes: see `stage::outcomes`.

pub mod calendar;
pub mod counts;
pub mod erase;
pub mod figures;
mod join;
pub(crate) mod keys;
mod known;
mod passed;
mod people;
pub mod received;
mod schema;
pub mod store;
mod windows;

pub use figures::{Delay, LabelCounts, LogCounts, OfRelease, OfWindow, Outcomes, Realised};
pub use known::KnownLabels;
pub use passed::{Pending, WrittenRow};
pub use store::{LabelFile, LogPlace, NewLabel, NewPrediction, Store};
