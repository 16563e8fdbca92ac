//! When data of a source are due, and whether they are overdue: facts about times, without a clock.
//!
//! Not for what has arrived, nor for telling anybody: see `stage::overdue`.

mod schedule;
mod standing;

pub use schedule::{DaysOff, Due, Schedule};
pub use standing::{Breach, Clocks, Expectation, Level, Standing};
