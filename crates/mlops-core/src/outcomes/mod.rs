//! Predictions joined with labels that came later, and the scores that follow: how good the live
//! model is on what it was really asked.
//!
//! The rule of the join: a label belongs to the predictions of its key. One with a time belongs to
//! those that were made until then; of several the one with the latest time wins, and of equal
//! times the one that was read last. So neither the order in which files come nor that in which
//! predictions and labels come matters.
//!
//! Not for reading the log: see [`crate::prediction_log`]; not for the files of labels and the order
//! of writes: see `stage::outcomes`.

pub mod calendar;
pub mod figures;
mod join;
mod known;
mod passed;
mod schema;
pub mod store;
mod windows;

pub use figures::{Delay, LabelCounts, LogCounts, OfRelease, OfWindow, Outcomes, Realised};
pub use known::KnownLabels;
pub use passed::{Pending, WrittenRow};
pub use store::{LabelFile, LogPlace, NewLabel, NewPrediction, Store};
