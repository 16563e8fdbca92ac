//! Tables that scroll horizontally on a narrow screen.
//!
//! The first ten rows are visible, more can be unfolded, and the rest is counted. Cells must be
//! escaped HTML. Not for their content.

use mlops_core::text::{MOST_NAMES, count};

use crate::escape::escape;

/// Maximum number of rows on a page; the files of the step have all of them.
const MOST: usize = 100;

/// A table under construction.
pub(super) struct Table {
    name: String,
    columns: Vec<(&'static str, bool)>,
    rows: Vec<Vec<String>>,
    total: Option<Vec<String>>,
}

impl Table {
    /// A table with the accessible name `name`; each column has a heading and a flag for numbers.
    pub(super) fn new(name: &str, columns: &[(&'static str, bool)]) -> Self {
        Self { name: escape(name), columns: columns.to_vec(), rows: Vec::new(), total: None }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Sets the last row, with totals.
    pub(super) fn total(&mut self, cells: Vec<String>) {
        self.total = Some(cells);
    }

    fn cells(&self, cells: &[String]) -> String {
        let mut html = "<tr>".to_owned();
        for (k, (cell, (_, number))) in cells.iter().zip(&self.columns).enumerate() {
            let class = if *number { " class=\"n\"" } else { "" };
            html.push_str(&match k {
                0 => format!("<th scope=\"row\">{cell}</th>"),
                _ => format!("<td{class}>{cell}</td>"),
            });
        }
        html.push_str("</tr>\n");
        html
    }

    /// Renders the table.
    pub(super) fn html(&self) -> String {
        let head: String = self
            .columns
            .iter()
            .map(|(name, number)| {
                let class = if *number { " class=\"n\"" } else { "" };
                format!("<th scope=\"col\"{class}>{name}</th>")
            })
            .collect();
        let table = |name: &str, rows: &[Vec<String>], total: Option<&Vec<String>>| {
            let body: String = rows.iter().map(|row| self.cells(row)).collect();
            let foot = total
                .map_or_else(String::new, |row| format!("<tfoot>\n{}</tfoot>\n", self.cells(row)));
            format!(
                "<div class=\"scroll\" role=\"region\" aria-label=\"{name}\" tabindex=\"0\">\n\
                 <table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n{foot}</table>\n\
                 </div>\n"
            )
        };
        let (name, rows) = (&self.name, &self.rows);
        let (first, rest) = rows.split_at(rows.len().min(MOST_NAMES));
        let mut html = table(name, first, self.total.as_ref());
        if !rest.is_empty() {
            let shown = &rest[..rest.len().min(MOST - MOST_NAMES)];
            let left = match rest.len() - shown.len() {
                0 => String::new(),
                n => format!(", of which the last {} are left out", count(n as u64)),
            };
            html.push_str(&format!(
                "<details>\n<summary>And {} more{left}</summary>\n{}</details>\n",
                count(rest.len() as u64),
                table(&format!("{name}, continued"), shown, None)
            ));
        }
        html
    }
}
