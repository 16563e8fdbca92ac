//! How good predictions are, and which rows they are tested on.
//!
//! [`metrics`] scores predictions with intervals, [`slices`] those of parts of the rows, [`gate`]
//! compares challenger and champion, [`leak`] and [`later_dates`] find columns that give the label away,
//! [`split`], [`entity`] and [`moment`] decide which rows are held out of training, [`folds`] how the
//! others are divided for cross-validation, and [`cutoff`] chooses a threshold from its predictions.
//! [`estimate`] has the expected scores of rows without labels ([`answered`]), or the [`refusal`] to give any.
//! Not for the records of hold-outs: see [`crate::ledger`].

pub mod answered;
pub mod cutoff;
pub mod entity;
pub mod estimate;
pub mod folds;
pub mod gate;
pub mod later_dates;
pub mod leak;
pub mod metrics;
pub mod moment;
pub mod reasons;
pub mod refusal;
pub mod slices;
pub mod split;
pub mod window;
