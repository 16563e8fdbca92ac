//! The use cases, one per file: they read their inputs, decide, and write.
//!
//! A stage takes a [`Context`](crate::run::context::Context), a locked
//! [`Workspace`](crate::run::context::Workspace) and its options, and returns a typed report. It
//! prints nothing. Not for command lines: see the runtime crate.

pub mod adopt;
pub mod alert;
pub mod approve;
pub mod asked;
pub mod decide;
mod deliver;
pub mod deploy;
pub mod diagnose;
mod diagnose_there;
pub mod drifted;
pub mod due;
pub mod elsewhere;
mod excluded_rows;
pub mod forget;
pub mod history;
pub mod holdout;
pub mod ingest;
mod labelled;
mod land;
mod land_there;
mod look_alikes;
pub mod look_up;
mod new_rows;
pub mod outcomes;
pub mod output;
pub mod overdue;
pub mod performance;
mod prediction_counts;
mod predictions;
mod predictions_there;
pub mod prometheus;
pub mod quarantine;
pub mod received;
mod record_predictions;
pub mod replay;
mod restore_dataset;
pub mod restore_holdout;
pub mod retain;
pub mod rollback;
pub mod score;
mod scored;
mod scoring_there;
pub mod sign;
mod slice_columns;
pub mod sources;
mod test_answers;
pub mod tested;
pub mod thresholds;
mod timings;
pub mod train;
mod train_there;
mod training_notes;
mod training_tasks;
mod tuning;
pub mod verify;
pub mod views;
mod window;
