//! Exports of releases of all kinds of models, against our own predictions and in the programs that read them.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![expect(clippy::print_stdout, reason = "deviations, for those who ask")]

mod card;
mod formula;
mod readers;
mod scenes;
