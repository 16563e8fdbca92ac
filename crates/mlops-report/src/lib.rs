//! Everything that draws: charts as SVG and PNG, and the HTML report.
//!
//! Only [`stage`] touches files; everything else returns strings and bytes. Not for statistics: the
//! numbers come ready-made from `mlops-core`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`stage`] | `reporting`: a workspace becomes pictures and a page |
//! | [`report`] | the plain data that a report is made of |
//! | [`html`] | the report as one self-contained page |
//! | [`charts`] | one module per picture |
//! | [`pictures`](mod@pictures) | every picture of a report, as files to be |
//! | [`picture`] | a chart turned into SVG text or PNG bytes |
//! | [`format`](mod@format) | numbers as people read them |
//! | [`theme`] | colours and sizes, light and dark |
//! | [`font`] | the one typeface: measuring and eliding text |
//!
//! Inside: `canvas` (plotters in design units), `plot` (plotters' charts of two axes), `axes`
//! (frames, names, legends), `raster` and `coverage` (the pixels behind PNG).

mod axes;
mod canvas;
pub mod charts;
mod coverage;
mod escape;
pub mod font;
pub mod format;
pub mod html;
pub mod picture;
pub mod pictures;
mod plot;
mod raster;
pub mod report;
pub mod stage;
pub mod theme;

pub use canvas::{Align, Canvas, Text};
pub use html::{page, render};
pub use picture::{Chart, png, svg};
pub use pictures::{Picture, pictures};
pub use report::{
    Coefficient, ColumnRow, Curves, Finding, IngestedFile, Model, Reason, Report, Score, Severity,
};
