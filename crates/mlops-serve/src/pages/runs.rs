//! `/runs`: when what ran, for how long, and how it ended; `/runs/{run}`: one of them with all its steps.
//!
//! Not for what a run decided: see `decisions`.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use mlops_core::ids::{RunOutcome, Step};
use mlops_core::ledger::{RunSummary, RunsWanted};
use mlops_core::stage::views::runs::{self, Run, Runs};

use super::missing::over_time;
use super::parts::{Mood, badge, card, code, command, empty, facts, label};
use super::table::{numbers, pages, table, texts};
use super::values::{none, seconds, time, time_or_none};
use super::view::{View, answer, named, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::problem::Problem;

/// Answers `GET /runs`.
pub(crate) async fn runs(call: Call) -> Result<Response, Problem> {
    answer(call, |app, visit| {
        let step = visit.query.get("step").map(str::parse::<Step>).transpose();
        let step = step.map_err(|_| Problem::malformed("there is no step of that name"))?;
        let wanted = RunsWanted { step, failed: visit.query.get("failed").is_some() };
        runs::read(&app.context, wanted, visit.page()).map_err(trouble)
    })
    .await
}

/// Answers `GET /runs/{run}`.
pub(crate) async fn run(mut call: Call) -> Result<Response, Problem> {
    let id: String = named(&mut call).await?;
    answer(call, move |app, _| {
        let found = runs::one(&app.context, &id).map_err(trouble)?;
        found.ok_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, "there is no run of this id on record")
        })
    })
    .await
}

impl View for Runs {
    fn title(&self) -> String {
        "Runs".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        let columns = [
            texts("Began"),
            texts("Step"),
            texts("Ended with"),
            numbers("Time"),
            texts("Version"),
            texts("Machine"),
        ];
        let rows = self.runs.items.iter().map(|run| row(visit, run));
        let list = html! {
            form.ask method="get" action=(visit.link("/runs")) {
                div {
                    label for="step" { "Step" }
                    select #step name="step" {
                        option value="" { "all" }
                        @for step in Step::ALL {
                            option value=(step) selected[self.step == Some(*step)] { (step) }
                        }
                    }
                }
                div {
                    label { input type="checkbox" name="failed" value="1" checked[self.failed]; " only those that failed" }
                }
                button type="submit" { "Show" }
            }
            @if self.runs.total == 0 {
                (empty("No such run is on record.", None))
            } @else {
                (table("Runs", &columns, rows))
                (pages(visit, "the runs", &self.runs))
            }
        };
        html! {
            (card("runs", "What ran", &list))
            @if self.runs.page == 1 {
                (card("missing", "Missing data over time", &over_time(visit, &self.missing)))
            }
        }
    }
}

fn row(visit: &Visit, run: &RunSummary) -> Vec<Markup> {
    vec![
        html! { a href=(visit.below("/runs", run.run_id.as_str())) { (time(&run.started)) } },
        html! { (run.step) },
        outcome(run),
        duration(run),
        label(&run.tool_version),
        label(&run.host),
    ]
}

fn duration(run: &RunSummary) -> Markup {
    run.seconds.map_or_else(none, |s| html! { (seconds(s)) })
}

fn outcome(run: &RunSummary) -> Markup {
    match run.outcome {
        Some(RunOutcome::Done) => badge(Mood::Good, "done"),
        Some(RunOutcome::NothingToDo) => badge(Mood::Neutral, "nothing to do"),
        Some(RunOutcome::Failed) => badge(Mood::Bad, "failed"),
        None => badge(Mood::Warning, "not ended"),
    }
}

impl View for Run {
    fn title(&self) -> String {
        format!("Run {}", self.run_id)
    }

    fn main(&self, visit: &Visit) -> Markup {
        let decision = html! {
            p { "This run made a decision." }
            p { a href=(visit.below("/decisions", self.run_id.as_str())) { "Its inputs, figures and reasons" } }
            (command(&format!("fullprocess --explain {}", self.run_id)))
        };
        html! {
            @if self.decided { (card("decision", "Decision", &decision)) }
            @for (k, step) in self.steps.iter().enumerate() {
                @let run = &step.run;
                @let content = html! {
                    (facts(&[
                        ("Ended with", outcome(run)),
                        ("Began", time(&run.started)),
                        ("Ended", time_or_none(run.ended.as_deref())),
                        ("Time", duration(run)),
                        ("Version", label(&run.tool_version)),
                        ("Machine", label(&run.host)),
                    ]))
                    @if let Some(error) = &run.error { div.finding.bad { p { strong { "Error: " } (label(error)) } } }
                    @if let Some(report) = &step.report {
                        details {
                            summary { "The report as it was recorded" }
                            pre.record tabindex="0" aria-label="Report" { (label_of_lines(&format!("{report:#}"))) }
                        }
                    }
                };
                (card(&format!("step-{k}"), run.step.as_str(), &content))
            }
            p.small { "Its id is " (code(self.run_id.as_str())) "." }
        }
    }
}

/// A text of several lines, each of which is safe to show.
fn label_of_lines(text: &str) -> Markup {
    html! { (mlops_core::text::printable(text)) }
}
