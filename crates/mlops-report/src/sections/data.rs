//! The statistics of the columns, one row per column.
//!
//! Not for problems with them: see `findings`.

use crate::document::{Block, Table, cells, name, paragraph};
use crate::format;
use crate::report::Report;

/// The section.
pub(super) fn section(report: &Report) -> Vec<Block> {
    if report.columns.is_empty() {
        return vec![paragraph("This report has no column statistics.")];
    }
    let mut table = Table::new(
        "Column statistics",
        &[
            ("Column", false),
            ("Kind", false),
            ("Values", true),
            ("Missing", true),
            ("Distinct", true),
            ("Mean", true),
            ("Median", true),
            ("Std", true),
            ("Min", true),
            ("Max", true),
        ],
    );
    for column in &report.columns {
        let optional = |x: Option<f64>| x.map_or_else(|| format::NONE.to_owned(), format::plain);
        table.row(cells![
            name(&column.name),
            column.kind.clone(),
            format::count(column.count),
            format::percent(column.missing_percent / 100.0),
            column.distinct.map_or_else(|| format::NONE.to_owned(), format::count),
            optional(column.mean),
            optional(column.median),
            optional(column.std),
            optional(column.min),
            optional(column.max),
        ]);
    }
    vec![Block::Table(table)]
}
