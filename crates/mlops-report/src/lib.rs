//! Charts as SVG and PNG, and the HTML report.
//!
//! Only [`stage`] touches files; everything else returns strings and bytes. Not for statistics:
//! `mlops-core` computes the numbers.
//!
//! | module | content |
//! |---|---|
//! | [`stage`] | `reporting`: writes the pictures and the page of a workspace |
//! | [`report`] | the data of a report |
//! | [`html`] | the report as one self-contained page |
//! | [`charts`] | one module per chart |
//! | [`pictures`](mod@pictures) | all pictures of a report |
//! | [`picture`] | renders a chart as SVG text or PNG bytes |
//! | [`format`](mod@format) | numbers for people |
//! | [`palette`] | the colours of pages as a style sheet |
//! | [`theme`] | colours and sizes, for light and dark mode |
//! | [`font`] | the typeface: measuring and eliding text |
//!
//! Private: `document` and `sections` (what a report says, before it is laid out), `canvas` (plotters in design
//! units), `plot` (plotters' charts with two axes), `axes` (frames, names, legends), `scale` (axes between round
//! numbers), `raster` and `anti_aliasing` (the pixels of a PNG).

mod anti_aliasing;
mod axes;
mod canvas;
pub mod charts;
mod document;
mod drawing;
mod escape;
pub mod font;
pub mod format;
pub mod html;
pub mod palette;
pub mod pdf;
pub mod picture;
pub mod pictures;
mod plot;
mod raster;
pub mod report;
mod scale;
mod sections;
pub mod stage;
pub mod theme;

pub use canvas::{Align, Canvas, Text};
pub use html::render;
pub use picture::{Chart, png, svg, svg_of_width};
pub use pictures::{Picture, pictures};
pub use report::{
    AtThreshold, Coefficient, ColumnRow, Curves, Finding, IngestedFile, Judged, Model, Part, Past,
    PointsScale, Previous, Reason, Report, Score, Severity, Standing,
};
