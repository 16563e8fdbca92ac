//! Tables that scroll horizontally on a narrow screen.
//!
//! The first ten rows are visible, more can be unfolded, and the rest is counted. Not for their
//! content.

use maud::{Markup, Render, html};
use mlops_core::text::{MOST_NAMES, count};

use crate::font::clean;

/// Maximum number of rows on a page; the files of the step have all of them.
const MOST: usize = 100;

/// A table under construction.
pub(super) struct Table {
    name: String,
    columns: Vec<(&'static str, bool)>,
    rows: Vec<Vec<Markup>>,
    total: Option<Vec<Markup>>,
}

/// The cells of a row, as markup of what they hold.
macro_rules! cells {
    ($($cell:expr),* $(,)?) => { vec![$(maud::Render::render(&$cell)),*] };
}
pub(super) use cells;

impl Table {
    /// A table with the accessible name `name`; each column has a heading and a flag for numbers.
    pub(super) fn new(name: &str, columns: &[(&'static str, bool)]) -> Self {
        Self { name: clean(name), columns: columns.to_vec(), rows: Vec::new(), total: None }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<Markup>) {
        self.rows.push(cells);
    }

    /// Sets the last row, with totals.
    pub(super) fn total(&mut self, cells: Vec<Markup>) {
        self.total = Some(cells);
    }

    fn cells(&self, cells: &[Markup]) -> Markup {
        html! {
            tr {
                @for (k, (cell, (_, number))) in cells.iter().zip(&self.columns).enumerate() {
                    @if k == 0 { th scope="row" { (cell) } }
                    @else { td class=[number.then_some("n")] { (cell) } }
                }
            }
        }
    }

    fn part(&self, name: &str, rows: &[Vec<Markup>], total: Option<&Vec<Markup>>) -> Markup {
        html! {
            div.scroll role="region" aria-label=(name) tabindex="0" {
                table {
                    thead {
                        tr {
                            @for (name, number) in &self.columns {
                                th scope="col" class=[number.then_some("n")] { (name) }
                            }
                        }
                    }
                    tbody { @for row in rows { (self.cells(row)) } }
                    @if let Some(row) = total { tfoot { (self.cells(row)) } }
                }
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
            (self.part(name, first, self.total.as_ref()))
            @if !rest.is_empty() {
                details {
                    summary {
                        "And " (count(rest.len() as u64)) " more"
                        @if left > 0 { ", of which the last " (count(left as u64)) " are left out" }
                    }
                    (self.part(&format!("{name}, continued"), shown, None))
                }
            }
        }
    }
}
