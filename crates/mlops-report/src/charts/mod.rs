//! One module per chart; each is a plain borrowed struct that can paint itself.
//!
//! A chart draws "not enough data" instead of failing if its numbers are insufficient. Not for
//! making files: see `picture`.

mod by_threshold;
mod calibration;
mod coefficients;
mod confusion;
mod distributions;
mod gain;
mod histogram;
mod precision_recall;
mod roc;
mod scorecard;
mod thresholds;
mod trend;
mod waterfall;

pub use by_threshold::{ByThreshold, Figure};
pub use calibration::Calibration;
pub use coefficients::Coefficients;
pub(crate) use coefficients::weightiest;
pub use confusion::Confusion;
pub use distributions::Distributions;
pub use gain::Gain;
pub use histogram::Histogram;
pub use precision_recall::PrecisionRecall;
pub use roc::Roc;
pub use scorecard::Scorecard;
pub use thresholds::Thresholds;
pub use trend::Trend;
pub use waterfall::{Step, Waterfall};
