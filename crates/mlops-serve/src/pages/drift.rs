//! `/drift`: the training rows of the live release beside the newest rows, column by column.
//!
//! Not for the tests: see `mlops_core::drift`; not for the order of the columns: see `mlops_core::stage::drifted`.

use axum::response::Response;
use maud::{Markup, html};
use mlops_core::drift::{ColumnDrift, cells::Statistic};
use mlops_core::ids::RunId;
use mlops_core::ledger::Paged;
use mlops_core::stage::drifted::{self, Drifted};
use mlops_core::stage::views::asked::{self as views, Asked};
use mlops_core::text;
use mlops_report::charts::Distributions;
use serde::Serialize;

use super::asked;
use super::charts::chart;
use super::parts::{Mood, badge, card, command, empty, facts, label};
use super::performance::ledger;
use super::table::{numbers, pages, table, texts};
use super::values::{count, none, percent, time};
use super::view::{View, answer, missing, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::problem::Problem;

/// What was compared, if anything was.
#[derive(Serialize)]
pub(crate) struct Page {
    compared: Option<Drifted>,
    /// What was asked of releases.
    asked: Asked,
}

/// Answers `GET /drift`.
pub(crate) async fn drift(call: Call) -> Result<Response, Problem> {
    let live = call.app.live.get().map(|loaded| loaded.id.clone());
    answer(call, move |app, visit| {
        let Some(ledger) = ledger(app)? else {
            return Ok(Page { compared: None, asked: Asked::default() });
        };
        let run = visit.query.get("run").map(RunId::named);
        let wanted = visit.query.get("column").unwrap_or_default();
        if let Some(window) = asked::wanted(visit, live.clone())? {
            let found = views::of(&ledger, (&window.0, window.1), wanted, visit.page());
            let asked = found.map_err(trouble)?.ok_or_else(|| {
                missing("nothing is on record of what was asked of that release from that day on")
            })?;
            return Ok(Page { compared: None, asked });
        }
        let found = drifted::of(&ledger, run.as_ref(), wanted, visit.page());
        let compared = found.map_err(|error| match error.kind() {
            mlops_core::ErrorKind::Missing(_) => missing(error.to_string()),
            _ => trouble(error),
        })?;
        Ok(Page { compared, asked: views::newest(&ledger).map_err(trouble)? })
    })
    .await
}

impl View for Page {
    fn title(&self) -> String {
        match &self.asked.shown {
            Some(_) => "Drift of what is asked".to_owned(),
            None => "Drift by column".to_owned(),
        }
    }

    fn main(&self, visit: &Visit) -> Markup {
        let asked = asked::card(visit, &self.asked);
        if let Some(shown) = &self.asked.shown {
            let fields = [
                ("release", shown.window.release.to_string()),
                ("asked", shown.window.from.to_string()),
            ];
            return html! {
                (card("verdict", "Verdict", &asked::verdict(visit, shown)))
                (columns(visit, &shown.columns, &fields))
                (asked)
            };
        }
        let Some(drifted) = &self.compared else {
            let none = "No new rows have been compared with the training rows yet. This compares them as soon as \
                        new files arrive:";
            return html! {
                (card("columns", "Columns", &empty(none, Some("fullprocess"))))
                (asked)
            };
        };
        let run = visit.query.get("run").map(|run| ("run", run.to_owned()));
        let fields: Vec<_> = run.into_iter().collect();
        html! {
            (card("verdict", "Verdict", &verdict(visit, drifted)))
            (asked)
            (columns(visit, &drifted.columns, &fields))
        }
    }
}

/// A list of columns with a form to find one, and a card for each of a page; `fields` are those of the address that
/// stay.
fn columns(visit: &Visit, paged: &Paged<ColumnDrift>, fields: &[(&str, String)]) -> Markup {
    let wanted = visit.query.get("column").unwrap_or_default();
    let names = |column: &ColumnDrift| column.column.clone();
    let columns = [
        texts("Column"),
        texts("Verdict"),
        numbers("Chi-square"),
        numbers("Limit"),
        numbers("p-value"),
        numbers("PSI"),
        numbers("Missing before"),
        numbers("Missing now"),
    ];
    let rows = paged.items.iter().enumerate().map(|(k, column)| row(k, column));
    let list = html! {
        form.ask method="get" action=(visit.link("/drift")) {
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            div {
                label for="column" { "Column, or part of its name" }
                input #column type="search" name="column" value=(wanted);
            }
            button type="submit" { "Find" }
        }
        @if paged.items.is_empty() {
            p.empty { "No column has this in its name." }
        } @else {
            (table("Columns, those that matter most first", &columns, rows))
            (pages(visit, "columns", paged))
        }
    };
    html! {
        (card("columns", "Columns", &list))
        @for (k, column) in paged.items.iter().enumerate() {
            section.card id={ "c" (k) } aria-labelledby={ "c" (k) "-h" } {
                h2 id={ "c" (k) "-h" } { (label(&names(column))) " " (badge_of(column)) }
                (details(column))
            }
        }
    }
}

fn verdict(visit: &Visit, drifted: &Drifted) -> Markup {
    let known = [
        ("Compared", time(&drifted.recorded)),
        ("Training rows", count(drifted.reference_rows)),
        ("New rows", count(drifted.new_rows)),
        (
            "Release",
            match &drifted.release {
                Some(id) => {
                    html! { a href=(visit.below("/releases", id.as_str())) { code { (id) } } }
                }
                None => none(),
            },
        ),
        ("Data set", html! { "finaldata" (drifted.dataset) }),
        (
            "Decision",
            html! {
                a href=(visit.below("/decisions", drifted.run_id.as_str())) {
                    (drifted.outcome.as_str().replace('_', " "))
                }
            },
        ),
    ];
    html! {
        p.lead {
            @if drifted.drifted == 0 {
                "None of " (count(drifted.total)) " columns drifted: chance explains every difference."
            } @else {
                (count(drifted.drifted)) " of " (count(drifted.total)) " columns drifted: their new rows are distributed \
                otherwise than the rows that the live release was trained on."
            }
        }
        (facts(&known))
        p.small {
            "All columns together raise an alarm without drift with a probability of at most " (percent(drifted.alpha))
            ". Drift of columns alone never changes the live release: scores decide."
        }
        p { "The same in a terminal:" }
        (command(&format!("fullprocess --explain {}", drifted.run_id)))
    }
}

fn badge_of(column: &ColumnDrift) -> Markup {
    if column.drifted { badge(Mood::Warning, "drifted") } else { badge(Mood::Good, "no drift") }
}

/// A statistic with three digits that count.
fn number(value: f64) -> Markup {
    html! { (mlops_report::format::number(value)) }
}

fn p_value(column: &ColumnDrift) -> Markup {
    html! { (text::p_value_at(column.comparison.p_value, column.level)) }
}

fn row(k: usize, column: &ColumnDrift) -> Vec<Markup> {
    let test = column.comparison.chi_square.map(|test| test.statistic);
    let value = |of: fn(Statistic) -> f64| test.map_or_else(none, |test| number(of(test)));
    vec![
        html! { a href={ "#c" (k) } { (label(&column.column)) } },
        badge_of(column),
        value(|test| test.value),
        value(|test| test.threshold),
        p_value(column),
        column.comparison.psi.map_or_else(none, |psi| number(psi.value)),
        percent(column.missing_reference),
        percent(column.missing_new),
    ]
}

fn details(column: &ColumnDrift) -> Markup {
    let against = |statistic: Option<Statistic>| match statistic {
        Some(s) => html! { (number(s.value)) " " span.range { "limit " (number(s.threshold)) } },
        None => none(),
    };
    let test = column.comparison.chi_square;
    let known = [
        (
            "Chi-square test",
            html! {
                (against(test.map(|test| test.statistic)))
                @if let Some(test) = test { " " span.range { "df " (test.degrees_of_freedom) } }
            },
        ),
        (
            "p-value, against level",
            html! {
                (p_value(column)) " " span.range { "level " (text::level(column.level)) }
            },
        ),
        (
            "Rare values (Fisher)",
            match column.comparison.rare {
                Some(rare) => html! {
                    (count(rare.reference)) " before, " (count(rare.new)) " now "
                    span.range { "p " (text::p_value(rare.p_value)) }
                },
                None => none(),
            },
        ),
        (
            "Missing",
            html! { (percent(column.missing_reference)) " before, " (percent(column.missing_new)) " now" },
        ),
        ("PSI", against(column.comparison.psi)),
        ("Jensen-Shannon distance", against(column.comparison.jensen_shannon)),
        ("Kolmogorov-Smirnov D", against(column.kolmogorov_smirnov)),
    ];
    let totals = column.cells.iter().fold((0, 0), |sum, c| (sum.0 + c.reference, sum.1 + c.new));
    let share = |n: u64, all: u64| percent(n as f64 / all.max(1) as f64);
    let heads = [
        texts("Value"),
        numbers("Training rows"),
        numbers("Share of training"),
        numbers("New rows"),
        numbers("Share of new"),
    ];
    let rows = column.cells.iter().map(|cell| {
        vec![
            label(&cell.label),
            count(cell.reference),
            share(cell.reference, totals.0),
            count(cell.new),
            share(cell.new, totals.1),
        ]
    });
    let caption = if column.cells.is_empty() {
        "This decision was recorded by an earlier version, which kept no distributions."
    } else {
        "Numbers are in ranges that hold about as many training rows each; missing values are counted too."
    };
    html! {
        p.small { (label(&column.explanation)) "." }
        (facts(&known))
        (chart(&Distributions { column }, caption, &table("Both distributions", &heads, rows)))
    }
}
