//! Did the world move away from the live model? Two questions, answered apart.
//!
//! *Model drift*: does the live release still predict as well as on its own test set? Six rules,
//! all evaluated and reported, one of which decides whether to retrain.
//!
//! *Data drift*: are the new rows still distributed as the rows that it was trained on, feature by
//! feature? It needs no labels, informs, and never decides alone.
//!
//! | noun | file |
//! |---|---|
//! | [`ModelDrift`] | `rules`: the six rules on the F1 |
//! | [`DataDrift`] | `data`: the verdict on all columns |
//! | [`Sample`] | `sample`: the features of some rows, in bounded memory |
//! | [`Reference`] | `reference`: what a model remembers of its training rows |
//! | both samples | `beside`: a column of both, in the cells that are compared |
//! | [`Comparison`] | `cells`: the deciding test of a column, PSI and Jensen-Shannon |
//! | D | `kolmogorov`: Kolmogorov-Smirnov, exact and on bins |
//! | tails | `distribution`: chi-square, Kolmogorov, hypergeometric |
//!
//! Not for the choice of the rows, nor for what follows from a verdict: the stage does both.

mod beside;
pub mod cells;
pub mod data;
mod distribution;
pub mod kolmogorov;
pub mod reference;
pub mod rules;
pub mod sample;

pub use cells::Comparison;
pub use data::{ColumnDrift, DataDrift, data_drift};
pub use reference::Reference;
pub use rules::{DeployedScore, Limit, ModelDrift, Past, RuleVerdict, model_drift};
pub use sample::{Sample, SampleBuilder};
