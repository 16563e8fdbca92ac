//! Scores over time: of releases on their test rows, and of live models on the rows that came later.
//!
//! Not for the decisions themselves: `fullprocess --explain` shows them.

use crate::document::{Block, Span, Table, cells, paragraph, strong};
use crate::format;
use crate::report::Report;

/// The section.
pub(super) fn section(report: &Report) -> Vec<Block> {
    if report.history.is_empty() {
        return vec![paragraph("There are no earlier scores on record.")];
    }
    let mut table = Table::new(
        "Scores over time",
        &[
            ("When", false),
            ("What", false),
            ("Release", false),
            ("F1", true),
            ("Interval", true),
            ("Rows", true),
            ("Scored on", false),
        ],
    );
    for past in &report.history {
        let interval = past.interval.map_or_else(
            || format::NONE.to_owned(),
            |i| format!("{} to {}", format::score(i.low), format::score(i.high)),
        );
        table.row(cells![
            Span::Time(past.at.clone()),
            past.what.as_str(),
            Span::Code(past.release.clone()),
            strong(format::score(past.f1)),
            interval,
            past.rows.map_or_else(|| format::NONE.to_owned(), format::count),
            if past.on_new_rows { "rows after its training" } else { "test rows of its time" },
        ]);
    }
    vec![
        paragraph(
            "The newest first. A score on rows that came after training is that of the release which was \
             live then.",
        ),
        Block::Figures(vec!["trend"]),
        Block::Table(table),
    ]
}
