//! Did the world move away from the live model? Two questions, answered apart.
//!
//! *Model drift* ([`rules`]): does the live release still predict as well as on its own test set?
//! Four rules, all evaluated and reported, one of which decides whether to retrain.
//! *Data drift*: are the new rows still distributed as the rows that it was trained on, feature by
//! feature? It needs no labels, informs, and never decides alone.
//!
//! Not for the choice of the rows, nor for what follows from a verdict: the stage does both.

pub mod rules;

pub use rules::{Deployed, Limit, ModelDrift, Rule, RuleVerdict, model_drift};
