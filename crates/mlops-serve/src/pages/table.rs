//! Tables: on a phone each row becomes a block with the names of its columns, and long ones have pages.
//!
//! Not for their content.

use maud::{Markup, html};
use mlops_core::ledger::Paged;
use mlops_core::text;

use super::visit::Visit;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    name: &'static str,
    number: bool,
}

/// A column of texts.
pub(crate) const fn texts(name: &'static str) -> Column {
    Column { name, number: false }
}

/// A column of numbers, aligned at their ends.
pub(crate) const fn numbers(name: &'static str) -> Column {
    Column { name, number: true }
}

/// A table called `name`, with the first cell of each row as its heading.
pub(crate) fn table(
    name: &str,
    columns: &[Column],
    rows: impl IntoIterator<Item = Vec<Markup>>,
) -> Markup {
    html! {
        div.scroll role="group" aria-label=(name) tabindex="0" {
            table {
                thead {
                    tr {
                        @for column in columns {
                            th scope="col" class=[column.number.then_some("n")] { (column.name) }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (k, (cell, column)) in row.iter().zip(columns).enumerate() {
                                @if k == 0 {
                                    th scope="row" class=[column.number.then_some("n")] data-name=(column.name) { div { (cell) } }
                                } @else {
                                    td class=[column.number.then_some("n")] data-name=(column.name) { div { (cell) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The links to the other pages of a table called `what`.
pub(crate) fn pages<T>(visit: &Visit, what: &str, paged: &Paged<T>) -> Markup {
    let (page, last) = (paged.page, paged.pages());
    let first_item = (page - 1) * paged.size + 1;
    let shown = paged.items.len() as u64;
    let to = |page: u64| visit.with("page", &page.to_string());
    html! {
        @if last > 1 {
            nav.pages aria-label={ "Pages of " (what) } {
                @if page > 1 {
                    a href=(to(1)) { "First" }
                    a rel="prev" href=(to((page - 1).min(last))) { "Newer" }
                }
                span {
                    @if shown > 0 {
                        (text::count(first_item)) "–" (text::count(first_item + shown - 1)) " of " (text::count(paged.total))
                    } @else {
                        "There are only " (text::count(last)) " pages"
                    }
                }
                @if page < last {
                    a rel="next" href=(to(page + 1)) { "Older" }
                    a href=(to(last)) { "Last" }
                }
            }
        }
    }
}
