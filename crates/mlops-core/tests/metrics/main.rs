//! Metrics and profiles against other people's numbers and against their definitions.

mod golden;
mod properties;
