//! Exports of releases of all kinds of models, against our own predictions and in the programs that read them.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod formula;
mod readers;
mod scenes;
