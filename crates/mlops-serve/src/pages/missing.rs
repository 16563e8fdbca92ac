//! Missing data over time, on `/runs`: a column in each row, a run in each column.
//!
//! Not for the missing cells of one file: see `ingestions`.

use maud::{Markup, html};
use mlops_core::stage::views::missing::{Missing, MissingColumn};
use mlops_core::text;

use super::parts::{empty, label};
use super::values::{minutes, none, percent};
use super::visit::Visit;

/// The most columns that are shown unless all are asked for.
const MOST: usize = 15;

/// The table, or that there is nothing to show.
pub(crate) fn over_time(visit: &Visit, missing: &Missing) -> Markup {
    if missing.columns.is_empty() {
        return empty("No run on record has taken rows whose missing cells were counted.", None);
    }
    let all = visit.query.get("missing") == Some("all");
    let has_any =
        |column: &&MissingColumn| column.shares.iter().flatten().any(|share| *share > 0.0);
    let some = missing.columns.iter().filter(has_any).count();
    let shown = if all { missing.columns.len() } else { some.min(MOST) };
    let total = missing.columns.len();
    let found = match some {
        0 => format!("No cell is missing in any of {}.", text::plural(total as u64, "column")),
        1 => format!("1 of {} has missing cells.", text::plural(total as u64, "column")),
        n => format!(
            "{} of {} have missing cells.",
            text::count(n as u64),
            text::plural(total as u64, "column")
        ),
    };
    html! {
        p {
            "The share of missing cells in the rows that each run kept, newest run first. "
            (found)
        }
        @if shown > 0 {
            div.scroll role="group" aria-label="Missing cells" tabindex="0" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Column" }
                            @for run in &missing.runs {
                                th scope="col" class="n" {
                                    a href=(visit.below("/runs", run.run_id.as_str())) { time datetime=(run.recorded) { (minutes(&run.recorded)) } }
                                    br; span.small { (text::plural(run.rows, "row")) }
                                }
                            }
                        }
                    }
                    tbody { @for column in &missing.columns[..shown] { (row(missing, column)) } }
                }
            }
        }
        @if shown < total && !all {
            p { a href=(visit.with("missing", "all")) { "All " (text::count(total as u64)) " columns" } }
        }
    }
}

fn row(missing: &Missing, column: &MissingColumn) -> Markup {
    html! {
        tr {
            th scope="row" data-name="Column" { div { (label(&column.column)) } }
            @for (share, run) in column.shares.iter().zip(&missing.runs) {
                td class="n" data-name=(minutes(&run.recorded)) { div { (share.map_or_else(none, percent)) } }
            }
        }
    }
}
