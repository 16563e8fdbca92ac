//! The part of `/drift` about requests to releases: the windows, and the verdict on one of them.
//!
//! Not for the columns: see `drift`; not for what is read: see `mlops_core::stage::views::asked`.

use chrono::NaiveDate;
use maud::{Markup, html};
use mlops_core::ids::ReleaseId;
use mlops_core::run::asked::Against;
use mlops_core::stage::views::asked::{Asked, Shown, Window};

use super::parts::{self, Mood, badge, command, empty, facts, label};
use super::query::encoded;
use super::table::{numbers, table, texts};
use super::values::{count, percent};
use super::view::missing;
use super::visit::Visit;
use crate::problem::Problem;

/// The window that the address asks for, if it asks for one.
pub(super) fn wanted(
    visit: &Visit,
    live: Option<ReleaseId>,
) -> Result<Option<(ReleaseId, NaiveDate)>, Problem> {
    let Some(day) = visit.query.get("asked") else { return Ok(None) };
    let day = day.parse();
    let day = day.map_err(|_| Problem::malformed("\"asked\" is not a day such as 2024-03-31"))?;
    let release = match visit.query.get("release") {
        Some(named) => named.parse().ok(),
        None => live,
    };
    Ok(Some((release.ok_or_else(|| missing("there is no such release"))?, day)))
}

/// The newest windows.
pub(super) fn card(visit: &Visit, asked: &Asked) -> Markup {
    if asked.windows.is_empty() {
        let none = "No requests to the live release are on record. If \"service.prediction_log_path\" is set, \
                    each run of this compares the requested rows with the training rows:";
        return parts::card("asked", "What is asked", &empty(none, Some("fullprocess")));
    }
    let columns = [
        texts("From"),
        texts("To"),
        numbers("Rows"),
        numbers("Predicted positive"),
        texts("Verdict"),
        texts("Columns"),
        texts("Release"),
    ];
    let rows = asked.windows.iter().map(|window| {
        let link = format!(
            "{}?asked={}&release={}",
            visit.link("/drift"),
            window.from,
            encoded(window.release.as_str())
        );
        let is_shown = asked.shown.as_ref().is_some_and(|shown| {
            (&shown.window.release, shown.window.from) == (&window.release, window.from)
        });
        vec![
            html! { a href=(link) aria-current=[is_shown.then_some("true")] { time { (window.from) } } },
            html! { time { (window.last) } },
            count(window.rows),
            percent(window.positive as f64 / window.rows.max(1) as f64),
            verdict_of(window),
            named(window),
            html! { a href=(visit.below("/releases", window.release.as_str())) { code { (window.release) } } },
        ]
    });
    let content = html! {
        p {
            "The rows that were asked need no label, so that they show first that something changed. \
             Each run of " code { "fullprocess" } " compares those of the newest windows, from the log of predictions."
        }
        (table("What was asked of releases, newest first", &columns, rows))
    };
    parts::card("asked", "What is asked", &content)
}

fn verdict_of(window: &Window) -> Markup {
    if window.drifted == 0 {
        badge(Mood::Good, "no drift")
    } else {
        badge(Mood::Warning, "drifted")
    }
}

fn named(window: &Window) -> Markup {
    let more = window.drifted.saturating_sub(window.named.len() as u64);
    html! {
        (count(window.drifted)) " of " (count(window.total))
        @for (k, name) in window.named.iter().enumerate() {
            @if k == 0 { ": " } @else { ", " }
            (label(name))
        }
        @if more > 0 { " and " (count(more)) " more" }
    }
}

/// The verdict on a window.
pub(super) fn verdict(visit: &Visit, shown: &Shown) -> Markup {
    let window = &shown.window;
    let (what, reference) = match window.against {
        Against::TrainingRows => ("columns", "rows that it was trained on"),
        Against::TestProbabilities => {
            ("sets of probabilities", "probabilities of the rows that it was tested on")
        }
    };
    let known = [
        ("From", html! { time { (window.from) } }),
        ("To", html! { time { (window.last) } }),
        ("Rows asked", count(window.rows)),
        ("Of these compared", count(shown.compared_rows)),
        ("Rows of the reference", count(shown.reference_rows)),
        (
            "Release",
            html! { a href=(visit.below("/releases", window.release.as_str())) { code { (window.release) } } },
        ),
    ];
    html! {
        p.lead {
            @if window.drifted == 0 {
                "None of " (count(window.total)) " " (what) " drifted: what was asked is distributed as the " (reference) "."
            } @else {
                (count(window.drifted)) " of " (count(window.total)) " " (what) " drifted: what was asked is distributed \
                otherwise than the " (reference) "."
            }
        }
        (facts(&known))
        p.small {
            "All columns together raise an alarm without drift with a probability of at most " (percent(shown.alpha))
            ". What is asked never changes the live release: scores on rows with labels decide."
            @if window.against == Against::TestProbabilities {
                " With \"service.prediction_log_features\" the log has the columns too, and each is compared."
            }
        }
        p { a href=(visit.link("/drift")) { "New rows with labels" } }
        p { "The same in a terminal:" }
        (command("diagnostics"))
    }
}
