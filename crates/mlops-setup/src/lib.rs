//! What comes before a first run: a configuration that is there is checked against the data and the disk.
//!
//! `sample` reads rows, `check` compares. Not for ingesting or training: see the stages of core.

pub mod check;
pub mod sample;
