//! A model as a file of the Open Neural Network Exchange (ONNX), which most runtimes load.
//!
//! Not for other forms: see `sql` and `pmml`.

pub mod classic;
pub mod core;
mod graph;
mod proto;
