//! `/sources`: when data of each source are due, what is overdue, and how that was computed.
//!
//! No place is asked. Not for what a source has: see `ingestion sources`.

use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use mlops_core::expect::Level;
use mlops_core::platform::clock::rfc3339;
use mlops_core::stage::views::sources::{self, Source, Sources};

use super::parts::{Mood, badge, card, code, command, facts, label};
use super::values::{none, time};
use super::view::{View, answer, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::problem::Problem;

/// Answers `GET /sources`.
pub(crate) async fn sources(call: Call) -> Result<Response, Problem> {
    answer(call, |app, _| sources::read(&app.context).map_err(trouble)).await
}

impl View for Sources {
    fn title(&self) -> String {
        "Sources".to_owned()
    }

    fn main(&self, _: &Visit) -> Markup {
        let ask = html! {
            p { "This page tells what is on record and asks no source. This asks each one what it has, and what the next run would read:" }
            (command("ingestion sources"))
        };
        html! {
            @for (k, source) in self.sources.iter().enumerate() { (one(k, source)) }
            (card("ask", "What the sources have now", &ask))
        }
    }
}

fn one(k: usize, source: &Source) -> Markup {
    let at = |at: Option<DateTime<Utc>>| at.map_or_else(none, |at| time(&rfc3339(at)));
    let due = source.due.as_ref();
    let state = match due.map(|due| due.level) {
        None => badge(Mood::Neutral, "nothing is expected"),
        Some(None) => badge(Mood::Good, "on time"),
        Some(Some(Level::Warn)) => badge(Mood::Warning, "late"),
        Some(Some(Level::Error)) => badge(Mood::Bad, "overdue"),
    };
    let content = html! {
        (facts(&[
            ("How it stands", state),
            ("Overdue since", at(due.and_then(|due| due.since))),
            ("Due next", at(due.and_then(|due| due.next))),
            ("The last data came", at(due.and_then(|due| due.arrived))),
            ("Last looked at by a run", at(source.looked)),
            ("Place", code(&source.place)),
        ]))
        @if source.computed.is_empty() {
            p.small { "Nothing is expected of it, so that it cannot be overdue: see the key “expect” in the configuration." }
        } @else {
            h3 { "How that was computed" }
            ul { @for sentence in &source.computed { li { (label(sentence)) } } }
        }
    };
    let name = if source.name == mlops_core::config::INPUT {
        "The input folder".to_owned()
    } else {
        source.name.clone()
    };
    card(
        &format!("source-{k}"),
        &mlops_report::font::clean(&mlops_core::text::one_line(&name)),
        &content,
    )
}
