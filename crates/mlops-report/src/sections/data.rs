//! Class balance, the statistics of the columns, and the most frequent values of categories.
//!
//! Not for problems with them: see `findings`.

use mlops_core::text;

use crate::document::{Block, Cell, Table, cells, name, paragraph, small};
use crate::format;
use crate::report::{ColumnRow, Report};

/// The section.
pub(super) fn section(report: &Report) -> Vec<Block> {
    let mut blocks = balance(report);
    if report.columns.is_empty() {
        blocks.push(paragraph("This report has no column statistics."));
        return blocks;
    }
    let mut table = Table::new(
        "Column statistics",
        &[
            ("Column", false),
            ("Kind", false),
            ("Distribution", false),
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
            bars(column),
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
    blocks.push(Block::Heading("Columns".to_owned()));
    blocks.push(Block::Table(table));
    blocks.push(small(
        "Distribution: numbers from the smallest to the largest in parts of equal width, or each value \
         where there are few; categories from the most frequent one on, at most ten.",
    ));
    blocks.extend(frequent(report));
    blocks
}

/// How many rows of each class there are.
fn balance(report: &Report) -> Vec<Block> {
    let mut table = Table::new(
        "Class balance",
        &[
            ("Rows", false),
            ("Number", true),
            ("Positive", true),
            ("Negative", true),
            ("Share of positives", true),
        ],
    );
    let (model, score) = (&report.model, &report.score);
    let test = (score.n > 0).then_some(score.positives);
    for (rows, n, positives) in
        [("training rows", model.rows, model.positives), ("test rows", score.n, test)]
    {
        let Some(positives) = positives else { continue };
        table.row(cells![
            rows,
            format::count(n),
            format::count(positives),
            format::count(n.saturating_sub(positives)),
            format::percent(positives as f64 / n as f64),
        ]);
    }
    if table.rows.is_empty() {
        return Vec::new();
    }
    vec![
        Block::Heading("Class balance".to_owned()),
        paragraph(format!(
            "Positive is “{}”, negative “{}”.",
            report.positive_label, report.negative_label
        )),
        Block::Table(table),
    ]
}

fn bars(column: &ColumnRow) -> Cell {
    let most = column.histogram.iter().max().copied().unwrap_or(0);
    if most == 0 || column.histogram.len() < 2 {
        return Cell::from("");
    }
    let heights = column.histogram.iter().map(|n| *n as f64 / most as f64).collect();
    let counts: Vec<String> = column.histogram.iter().map(|n| format::count(*n)).collect();
    Cell::Bars(
        heights,
        format!("Distribution of {}: {}", text::name(&column.name), counts.join("; ")),
    )
}

/// The most frequent values of each category.
fn frequent(report: &Report) -> Vec<Block> {
    let mut table = Table::new(
        "Most frequent values",
        &[("Column", false), ("Value", false), ("Rows", true), ("Share", true)],
    );
    for column in &report.columns {
        for (value, count) in &column.top {
            table.row(cells![
                name(&column.name),
                name(value),
                format::count(*count),
                format::percent(*count as f64 / column.count as f64),
            ]);
        }
    }
    if table.rows.is_empty() {
        return Vec::new();
    }
    vec![
        Block::Heading("Most frequent values of categories".to_owned()),
        paragraph("Shares are of the values that are there; at most ten values of each column."),
        Block::Table(table),
    ]
}
