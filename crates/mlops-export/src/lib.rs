//! A release in the forms that other tools read: ONNX, SQL, PMML, a model folder of MLflow, a model card; and what a
//! tracking server keeps of it.
//!
//! Each is written from one [`Formula`], which is checked on the golden rows of the release first. Only
//! `bins/deployment` links this crate. Not for predictions of our own: see `mlops_core::model::Predictor`.

pub mod card;
pub mod formula;
pub mod mlflow;
pub mod onnx;
pub mod pmml;
pub mod record;
pub mod sql;

mod export;

pub use export::{Exported, Form, Options, run};
pub use formula::Formula;
