//! Metrics and profiles against other people's numbers and against their definitions.

mod coverage;
mod golden;
mod properties;
