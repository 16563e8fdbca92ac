//! One module per chart; each is a plain borrowed struct that can paint itself.
//!
//! A chart draws "not enough data" instead of failing if its numbers are insufficient. Not for
//! making files: see `picture`.

mod calibration;
mod coefficients;
mod confusion;
mod gain;
mod histogram;
mod precision_recall;
mod roc;
mod scorecard;
mod thresholds;

pub use calibration::Calibration;
pub use coefficients::Coefficients;
pub(crate) use coefficients::weightiest;
pub use confusion::Confusion;
pub use gain::Gain;
pub use histogram::Histogram;
pub use precision_recall::PrecisionRecall;
pub use roc::Roc;
pub use scorecard::Scorecard;
pub use thresholds::Thresholds;
