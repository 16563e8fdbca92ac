//! Column statistics: counts, missing cells, location, spread, frequent values.
//!
//! Two accumulators, [`NumericProfile`] and [`CategoricalProfile`], take cells one by one or in
//! blocks, can be merged, and end in a summary. The summary depends to the bit on the cells alone,
//! not on their order or division into parts. Names and definitions are those of pandas
//! (`describe`, `mode`, `std` with ddof 1, linear quantiles). Not for comparing columns.

mod categorical;
mod columns;
mod numeric;
pub(crate) mod spread;
mod summary;

pub use categorical::{CategoricalProfile, CategoricalSummary, TOP};
pub use columns::{ColumnProfile, ColumnSummary, ColumnsProfile, profile_file};
pub use numeric::NumericProfile;
pub use summary::{BARS, MODES, NumericSummary};

/// The share of missing cells in percent; 0 without cells.
fn percent(missing: u64, present: u64) -> f64 {
    let cells = missing + present;
    if cells == 0 { 0.0 } else { 100.0 * missing as f64 / cells as f64 }
}
