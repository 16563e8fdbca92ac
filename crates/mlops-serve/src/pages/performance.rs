//! `/performance`: how well the releases did, over time, with every decision.
//!
//! Not for the numbers: see `mlops_core::stage::performance`; nor for one decision: see `decisions`.

use axum::response::Response;
use maud::{Markup, html};
use mlops_core::evaluation::metrics::Metric;
use mlops_core::ledger::Ledger;
use mlops_core::stage::performance::{self, Decided, METRICS, Performance, Point};
use mlops_report::charts::Trend;

use super::charts::wide_chart;
use super::decisions::outcome;
use super::parts::{card, empty, label};
use super::table::{numbers, pages, table, texts};
use super::values::{count, none, percent, score, time, with_interval};
use super::view::{View, answer, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::problem::Problem;
use crate::state::State;

/// The ledger to read, if there is one.
pub(super) fn ledger(app: &State) -> Result<Option<Ledger>, Problem> {
    Ledger::open_to_read(&app.context.config.ledger_path()).map_err(trouble)
}

/// Answers `GET /performance`.
pub(crate) async fn performance(call: Call) -> Result<Response, Problem> {
    answer(call, |app, visit| {
        let asked = visit.query.get("metric").unwrap_or_default();
        let metric = METRICS.into_iter().find(|metric| metric.name() == asked);
        let metric = metric.unwrap_or(Metric::F1);
        match ledger(app)? {
            Some(ledger) => {
                performance::of(&ledger, app.context.store(), metric, visit.page()).map_err(trouble)
            }
            None => Ok(Performance::empty(metric)),
        }
    })
    .await
}

const CAPTION: &str = "The blue line is the score of the live release on the rows that were held out when it was \
    trained, with its interval as a band; a dashed line is where another release went live (orange: a rollback). Points \
    are scores of the live release on rows that came later. The triangles below are decisions: blue if a new release was \
    promoted, orange if a new model was refused, grey if nothing changed.";

impl View for Performance {
    fn title(&self) -> String {
        "Performance over time".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        let metrics = html! {
            form.ask method="get" action=(visit.link("/performance")) {
                div {
                    label for="metric" { "Metric" }
                    select #metric name="metric" {
                        @for metric in METRICS {
                            option value=(metric.name()) selected[metric == self.metric] { (metric.words()) }
                        }
                    }
                }
                button type="submit" { "Show" }
            }
        };
        let columns = [
            texts("When"),
            texts("What"),
            numbers("Value"),
            numbers("Rows"),
            numbers("With labels"),
            texts("Release"),
        ];
        let rows = self.points.iter().rev().map(|point| point_row(visit, point));
        let scores = html! {
            (metrics)
            @if self.points.is_empty() {
                (empty("No release has a score yet. This makes a first one:", Some("first_run")))
            } @else {
                (wide_chart(&Trend { performance: self }, CAPTION, &table("List of scores", &columns, rows)))
            }
        };
        let columns = [
            texts("When"),
            texts("Outcome"),
            texts("Why"),
            numbers("F1 on new rows"),
            numbers("Data set"),
            texts("Explanation"),
        ];
        let rows = self.decisions.items.iter().map(|decided| decided_row(visit, decided));
        let decisions = html! {
            @if self.decisions.total == 0 {
                (empty("No decision was made yet. This decides whether a new model is needed:", Some("fullprocess")))
            } @else {
                (table("List of decisions", &columns, rows))
                (pages(visit, "decisions", &self.decisions))
            }
        };
        html! {
            (card("scores", "Scores", &scores))
            (card("decisions", "Decisions", &decisions))
        }
    }
}

fn point_row(visit: &Visit, point: &Point) -> Vec<Markup> {
    vec![
        time(&point.at),
        html! { (point.basis.words()) },
        with_interval(Some(point.value), point.interval.as_ref()),
        point.rows.map_or_else(none, count),
        point.coverage.map_or_else(none, percent),
        html! {
            @if let Some(release) = &point.release {
                a href=(visit.below("/releases", release.as_str())) { code { (release) } }
            } @else { (none()) }
        },
    ]
}

fn decided_row(visit: &Visit, decided: &Decided) -> Vec<Markup> {
    vec![
        time(&decided.at),
        outcome(decided.outcome),
        decided.reason.as_deref().map_or_else(none, label),
        score(decided.f1),
        html! { "finaldata" (decided.dataset) },
        html! {
            @if decided.detailed {
                a href=(visit.below("/decisions", decided.run_id.as_str())) {
                    "Explanation" span.unseen { " of " (decided.run_id) }
                }
            } @else { "removed by age" }
        },
    ]
}
