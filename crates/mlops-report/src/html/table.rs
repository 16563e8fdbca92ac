//! Tables that scroll horizontally on a narrow screen.
//!
//! The first ten rows are visible and more can be unfolded. Not for their content.

use maud::{Markup, Render, html};
use mlops_core::text::{MOST_NAMES, count};

use super::line;
use crate::document::{Cell, Table};
use crate::font::clean;

/// Maximum number of rows on a page; the files of the step have all of them.
const MOST: usize = 1_000;

fn cell(cell: &Cell) -> Markup {
    match cell {
        Cell::Line(text) => line(text),
        Cell::List(items) if items.is_empty() => html! {},
        Cell::List(items) => html! { ul.bare { @for item in items { li { (clean(item)) } } } },
        Cell::Bars(heights, alt) => bars(heights, alt),
    }
}

/// A histogram of the size of a word.
fn bars(heights: &[f64], alt: &str) -> Markup {
    const STEP: f64 = 5.0;
    const TALL: f64 = 22.0;
    let width = STEP * heights.len() as f64;
    html! {
        svg.bars viewBox=(format!("0 0 {width} {TALL}")) width=(width) height=(TALL) role="img"
            aria-label=(clean(alt)) {
            @for (k, height) in heights.iter().enumerate() {
                @let tall = (height * TALL).clamp(if *height > 0.0 { 1.0 } else { 0.0 }, TALL);
                rect x=(format!("{}", STEP * k as f64)) y=(format!("{:.1}", TALL - tall))
                    width="4" height=(format!("{tall:.1}")) {}
            }
        }
    }
}

fn row(table: &Table, cells: &[Cell]) -> Markup {
    html! {
        tr {
            @for (k, (content, (_, number))) in cells.iter().zip(&table.columns).enumerate() {
                @if k == 0 { th scope="row" { (cell(content)) } }
                @else { td class=[number.then_some("n")] { (cell(content)) } }
            }
        }
    }
}

fn part(table: &Table, name: &str, rows: &[Vec<Cell>], total: Option<&Vec<Cell>>) -> Markup {
    html! {
        div.scroll role="region" aria-label=(name) tabindex="0" {
            table {
                thead {
                    tr {
                        @for (name, number) in &table.columns {
                            th scope="col" class=[number.then_some("n")] { (name) }
                        }
                    }
                }
                tbody { @for cells in rows { (row(table, cells)) } }
                @if let Some(cells) = total { tfoot { (row(table, cells)) } }
            }
        }
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        let (name, rows) = (&self.name, &self.rows);
        let (first, rest) = rows.split_at(rows.len().min(MOST_NAMES));
        let shown = &rest[..rest.len().min(MOST - MOST_NAMES)];
        let left = rest.len() - shown.len();
        html! {
            (part(self, name, first, self.total.as_ref()))
            @if !rest.is_empty() {
                details {
                    summary {
                        "And " (count(rest.len() as u64)) " more"
                        @if left > 0 { ", of which the last " (count(left as u64)) " are left out" }
                    }
                    (part(self, &format!("{name}, continued"), shown, None))
                }
            }
        }
    }
}
