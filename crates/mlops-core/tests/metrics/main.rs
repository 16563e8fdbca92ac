//! Metrics and profiles against other people's numbers and against their definitions.

mod clients;
mod coverage;
mod coverage_of_ranks;
mod cross_validation;
mod cutoff;
mod estimates;
mod figures;
mod golden;
mod properties;
