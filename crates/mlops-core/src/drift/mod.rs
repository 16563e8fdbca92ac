//! Has the world moved away from the live model? Two separate questions.
//!
//! *Model drift*: does the live release still predict as well as on its own test set? Six rules,
//! all evaluated and reported, one of which decides whether to retrain.
//!
//! *Data drift*: are the new rows still distributed like the training rows, feature by feature? It
//! needs no labels, is reported for information, and never decides alone.
//!
//! | noun | file |
//! |---|---|
//! | [`ModelDrift`] | `rules`: the six rules on the F1 |
//! | [`DataDrift`] | `data`: the verdict on all columns |
//! | [`Sample`] | `sample`: the features of some rows, in bounded memory |
//! | [`Reference`] | `reference`: the distribution of a model's training rows |
//! | where rows lie | `support`: whether the reference has rows there, too |
//! | both samples | `beside`: a column of both, in the cells of the test |
//! | [`Comparison`] | `cells`: the deciding test of a column, PSI and Jensen-Shannon |
//! | D | `kolmogorov`: Kolmogorov-Smirnov, exact and on bins |
//! | tails | `distribution`: chi-square, Kolmogorov, hypergeometric |
//!
//! Not for the choice of the rows, nor for acting on a verdict: the stage does both.

mod binning;
pub mod cells;
pub mod data;
mod distribution;
pub mod kolmogorov;
pub mod reference;
pub mod rules;
pub mod sample;
pub mod support;

pub use cells::Comparison;
pub use data::{Cell, ColumnDrift, DataDrift, data_drift};
pub use reference::Reference;
pub use rules::{DeployedScore, Limit, ModelDrift, Past, RuleVerdict, model_drift};
pub use sample::{Sample, SampleBuilder};
