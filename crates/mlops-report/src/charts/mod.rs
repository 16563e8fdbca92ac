//! One module per picture; each is a plain borrowed struct that knows how to paint itself.
//!
//! Every one of them draws "not enough data" instead of failing when its numbers say nothing.
//! Not for turning them into files: see `picture`.

mod calibration;
mod coefficients;
mod confusion;
mod histogram;
mod precision_recall;
mod roc;

pub use calibration::Calibration;
pub use coefficients::Coefficients;
pub(crate) use coefficients::weightiest;
pub use confusion::Confusion;
pub use histogram::Histogram;
pub use precision_recall::PrecisionRecall;
pub use roc::Roc;
