//! `/releases`: which release was live from when to when, and why.
//!
//! Not for one release: see `release`.

use axum::response::Response;
use maud::{Markup, html};
use mlops_core::ledger::Action;
use mlops_core::stage::history::Entry;
use mlops_core::stage::views::releases::{self, Releases};

use super::parts::{Mood, badge, card, command, empty, sentence};
use super::table::{numbers, pages, table, texts};
use super::values::{score, time};
use super::view::{View, answer, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::problem::Problem;

/// Answers `GET /releases`.
pub(crate) async fn releases(call: Call) -> Result<Response, Problem> {
    answer(call, |app, visit| releases::read(&app.context, visit.page()).map_err(trouble)).await
}

impl View for Releases {
    fn title(&self) -> String {
        "Releases".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        let columns = [
            texts("Release"),
            texts("Live from"),
            texts("Until"),
            numbers("F1"),
            texts("By"),
            texts("Why"),
        ];
        let rows = self.periods.items.iter().map(|period| row(visit, period));
        let history = html! {
            @if self.periods.total == 0 {
                (empty("Nothing was deployed yet. This makes a first release live:", Some("first_run")))
            } @else {
                (table("History of releases", &columns, rows))
                (pages(visit, "the history", &self.periods))
            }
        };
        let commands = html! {
            p { "The same in a terminal:" }
            (command("deployment history"))
            p { "To make the release before the live one live again:" }
            (command("deployment rollback"))
        };
        html! {
            (card("history", "History", &history))
            (card("commands", "What you can do", &commands))
        }
    }
}

fn row(visit: &Visit, period: &Entry) -> Vec<Markup> {
    let by = match period.action {
        Action::Rollback => "rollback",
        Action::Deploy => period.step.as_str(),
    };
    vec![
        html! {
            a href=(visit.below("/releases", period.release.as_str())) { code { (period.release) } }
            @if period.live { " " (badge(Mood::Good, "live")) }
            @if period.rolled_back { " " (badge(Mood::Warning, "rolled back")) }
            @if period.removed.is_some() { " " (badge(Mood::Neutral, "removed")) }
        },
        time(&period.from),
        html! {
            @match &period.until {
                Some(until) => (time(until)),
                None if period.live => "now",
                None => "not on record",
            }
        },
        score(period.f1),
        html! { a href=(visit.below("/runs", period.run_id.as_str())) { (by) } },
        sentence(&period.reason),
    ]
}
