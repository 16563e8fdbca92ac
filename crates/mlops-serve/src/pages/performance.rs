//! `/performance`: how well the releases did, over time, with every decision; `/performance/{run}`: one decision and its
//! explanation.
//!
//! Not for the numbers: see `mlops_core::stage::performance`.

use axum::response::Response;
use maud::{Markup, html};
use mlops_core::evaluation::metrics::Metric;
use mlops_core::ids::{DecisionOutcome, RunId};
use mlops_core::ledger::Ledger;
use mlops_core::run::decision::{Concern, Decision};
use mlops_core::stage::decide;
use mlops_core::stage::performance::{self, Decided, METRICS, Performance, Point};
use mlops_report::charts::Trend;
use mlops_report::font::clean;
use serde::Serialize;

use super::charts::wide_chart;
use super::parts::{Mood, badge, card, code, command, empty, facts, label};
use super::table::{numbers, pages, table, texts};
use super::values::{count, none, percent, score, time, with_interval};
use super::view::{View, answer, missing, named, trouble};
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

/// How an outcome is shown.
fn outcome(outcome: DecisionOutcome) -> Markup {
    let mood = match outcome {
        DecisionOutcome::Promoted => Mood::Good,
        DecisionOutcome::Refused => Mood::Warning,
        _ => Mood::Neutral,
    };
    badge(mood, &outcome.as_str().replace('_', " "))
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
                a href=(visit.below("/performance", decided.run_id.as_str())) {
                    "Explanation" span.unseen { " of " (decided.run_id) }
                }
            } @else { "removed by age" }
        },
    ]
}

/// A decision with all its numbers, without folders.
#[derive(Serialize)]
#[serde(transparent)]
struct Explained(Decision);

/// Answers `GET /performance/{run}`.
pub(crate) async fn decision(mut call: Call) -> Result<Response, Problem> {
    let run: String = named(&mut call).await?;
    answer(call, move |app, _| {
        let ledger = ledger(app)?.ok_or_else(|| missing("nothing is on record yet"))?;
        let mut decision =
            decide::explain(&ledger, Some(&RunId::named(&run))).map_err(|error| {
                match error.kind() {
                    mlops_core::ErrorKind::Missing(_) => missing(error.to_string()),
                    _ => trouble(error),
                }
            })?;
        let bare = |folder: &mut String| {
            let name = folder.rsplit('/').find(|part| !part.is_empty()).unwrap_or("").to_owned();
            *folder = name;
        };
        bare(&mut decision.data.folder);
        for concern in &mut decision.concerns {
            if let Concern::OverdueData { folder, .. } = concern {
                bare(folder);
            }
        }
        Ok(Explained(decision))
    })
    .await
}

impl View for Explained {
    fn title(&self) -> String {
        format!("Decision of {}", super::values::minutes(&self.0.recorded))
    }

    fn main(&self, visit: &Visit) -> Markup {
        let decision = &self.0;
        let release = |release: Option<&mlops_core::ids::ReleaseId>| match release {
            Some(id) => html! { a href=(visit.below("/releases", id.as_str())) { code { (id) } } },
            None => none(),
        };
        let run = decision.run_id.as_str();
        let known = [
            ("Outcome", outcome(decision.outcome)),
            ("Live before", release(decision.live.as_ref().map(|live| &live.release))),
            ("Promoted", release(decision.release.as_ref())),
            ("F1 on new rows", score(decision.drift.as_ref().map(|drift| drift.new_f1))),
            ("New rows", count(decision.data.new_rows)),
            ("Run", html! { a href=(visit.below("/runs", run)) { (code(run)) } }),
        ];
        let summary = html! {
            p.lead { (label(&decision.reason)) }
            (facts(&known))
            @if decision.data_drift.is_some() {
                p { a href={ (visit.link("/drift")) "?run=" (super::query::encoded(run)) } { "Drift of this decision, column by column" } }
            }
        };
        let words = html! {
            pre.record tabindex="0" { @for line in decision.to_string().lines() { (clean(line)) "\n" } }
            p { "The same in a terminal:" }
            (command(&format!("fullprocess --explain {run}")))
        };
        html! {
            (card("decision", "What was decided", &summary))
            (card("explanation", "Explanation", &words))
        }
    }
}
