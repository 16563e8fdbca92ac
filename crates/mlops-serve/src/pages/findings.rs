//! `/findings`: what was found when, whether it is over, and the command line that does something about it.
//!
//! Not for findings of one report: see `release` and `runs`.

use axum::response::Response;
use maud::{Markup, html};
use mlops_core::ids::Severity;
use mlops_core::ledger::FindingFilter;
use mlops_core::stage::views::findings::{self, Findings, Found};
use mlops_core::text;

use super::parts::{Mood, badge, card, code, command, empty, sentence};
use super::table::{table, texts};
use super::values::time;
use super::view::{View, answer, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::problem::Problem;

/// Answers `GET /findings`.
pub(crate) async fn findings(call: Call) -> Result<Response, Problem> {
    answer(call, |app, visit| {
        let open = match visit.query.get("state") {
            None | Some("all") => None,
            Some("open") => Some(true),
            Some("over") => Some(false),
            Some(_) => return Err(Problem::malformed("\"state\" is open, over or all")),
        };
        let severity = visit.query.get("severity").map(str::parse::<Severity>).transpose();
        let severity = severity
            .map_err(|_| Problem::malformed("\"severity\" is warning, person or failed"))?;
        let before = visit.query.get("before").and_then(|before| before.parse().ok());
        let filter = FindingFilter { open, severity, before, ..FindingFilter::default() };
        findings::read(&app.context, &filter).map_err(trouble)
    })
    .await
}

impl View for Findings {
    fn title(&self) -> String {
        "Findings".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        let columns =
            [texts("Found"), texts("How urgent"), texts("About"), texts("By"), texts("What")];
        let rows = self.items.iter().map(|found| row(visit, found));
        let states = [("all", None), ("open", Some(true)), ("over", Some(false))];
        let list = html! {
            form.ask method="get" action=(visit.link("/findings")) {
                div {
                    label for="state" { "State" }
                    select #state name="state" {
                        @for (name, open) in states { option value=(name) selected[self.open == open] { (name) } }
                    }
                }
                div {
                    label for="severity" { "At least" }
                    select #severity name="severity" {
                        option value="" { "anything" }
                        @for severity in Severity::ALL {
                            option value=(severity) selected[self.severity == Some(*severity)] { (words(*severity).1) }
                        }
                    }
                }
                button type="submit" { "Show" }
            }
            @if self.items.is_empty() {
                (empty("No such finding is on record.", None))
            } @else {
                (table("Findings", &columns, rows))
                @if let Some(next) = self.next {
                    nav.pages aria-label="Pages of the findings" {
                        span { (text::count(self.total - self.items.len() as u64)) " older" }
                        a rel="next" href=(visit.with("before", &next.to_string())) { "Older" }
                    }
                }
            }
        };
        card("findings", "What was found", &list)
    }
}

fn row(visit: &Visit, found: &Found) -> Vec<Markup> {
    let one = &found.finding;
    let (mood, word) = words(one.severity);
    vec![
        html! {
            (time(&one.first_seen)) br;
            @match &one.ended {
                Some(ended) => span.small { "over since " (time(ended)) },
                None => span.small { "still there at " (time(&one.last_seen)) },
            }
        },
        html! { (badge(if one.ended.is_some() { Mood::Neutral } else { mood }, word)) },
        html! { (one.kind.as_str().replace('_', " ")) @if !one.subject.is_empty() { ": " (code(&one.subject)) } },
        html! { a href=(visit.below("/runs", one.last_run.as_str())) { (one.step) } },
        html! {
            (sentence(&one.text))
            @if let (None, Some(line)) = (&one.ended, found.command) { (command(line)) }
        },
    ]
}

fn words(severity: Severity) -> (Mood, &'static str) {
    match severity {
        Severity::Warning => (Mood::Warning, "should be known"),
        Severity::Person => (Mood::Bad, "needs a person"),
        Severity::Failed => (Mood::Bad, "failed"),
    }
}
