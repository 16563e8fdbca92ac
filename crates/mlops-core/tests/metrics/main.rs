//! Metrics and profiles against other people's numbers and against their definitions.

mod coverage;
mod cross_validation;
mod cutoff;
mod golden;
mod properties;
