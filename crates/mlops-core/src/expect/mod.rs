//! When data of a source are due, and whether they are overdue: facts about times, without a clock.
//!
//! What has arrived, and notifying people, is in `stage::overdue`.

mod schedule;
mod standing;

pub use schedule::{DaysOff, Due, Schedule};
pub use standing::{Breach, Clocks, Expectation, Level, Standing};
