//! `/`: in thirty seconds, is it healthy, what is live and why, what changed last, what must be done.
//!
//! Not for the records themselves: see `mlops_core::stage::views::start`.

use axum::response::Response;
use maud::{Markup, html};
use mlops_core::ids::{ReleaseId, Severity};
use mlops_core::stage::views::live::LiveRelease;
use mlops_core::stage::views::start::{self, Start, State};
use mlops_core::stage::views::to_do::ToDo;
use serde::Serialize;

use super::parts::{Mood, badge, card, command, empty, facts, finding, label};
use super::values::{score, time, with_interval};
use super::view::{View, answer, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::problem::Problem;
use crate::state::State as Shared;

/// The start page: the records, and what this service knows of itself.
#[derive(Serialize)]
struct StartPage {
    /// The worst of all that was looked at.
    state: State,
    service: Service,
    #[serde(flatten)]
    start: Start,
}

/// How the service is.
#[derive(Serialize)]
struct Service {
    state: State,
    words: String,
    /// The release that it answers with.
    model_version: Option<String>,
}

/// Answers `GET /`.
pub(crate) async fn start(call: Call) -> Result<Response, Problem> {
    answer(call, |app, _| {
        let start = start::read(&app.context).map_err(trouble)?;
        let service = service(app);
        let of_checks = start.checks.iter().map(|check| check.state);
        let of_work = start.to_do.iter().map(|one| match Mood::of(one.attention) {
            Mood::Bad => State::Bad,
            _ => State::Warning,
        });
        let state = of_checks.chain(of_work).chain([service.state]).max().unwrap_or(State::Unknown);
        Ok(StartPage { state, service, start })
    })
    .await
}

fn service(app: &Shared) -> Service {
    let loaded = app.live.get();
    let model_version = loaded.as_ref().map(|loaded| loaded.id.to_string());
    let trouble = app.live.trouble();
    let (state, words) = if *app.stopping.borrow() {
        (State::Warning, "It is stopping and completes the requests in progress".to_owned())
    } else if app.live.stalled(&app.context) {
        (
            State::Bad,
            "A disk may hang: the live release has not been looked at for seconds".to_owned(),
        )
    } else {
        match (&model_version, trouble.as_ref()) {
            (Some(id), None) => (State::Good, format!("It answers with {id}")),
            (Some(id), Some(t)) => {
                (State::Bad, format!("It still answers with {id}, since {}", t.public))
            }
            (None, Some(t)) if t.release.is_some() => {
                (State::Bad, format!("It gives no predictions, since {}", t.public))
            }
            (None, _) => {
                (State::Unknown, "It gives no predictions, since no release is live".to_owned())
            }
        }
    };
    Service { state, words, model_version }
}

impl View for StartPage {
    fn title(&self) -> String {
        "Start".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        html! {
            (self.verdict())
            (card("to-do", "What needs you", &self.needs_you(visit)))
            div.beside {
                (card("live", "What is live", &self.live(visit)))
                (card("changes", "What changed last", &self.changes(visit)))
            }
        }
    }
}

impl StartPage {
    fn verdict(&self) -> Markup {
        let urgent =
            self.start.to_do.iter().filter(|one| Mood::of(one.attention) == Mood::Bad).count();
        let words = match (self.state, urgent) {
            (State::Good, _) => "All is well.".to_owned(),
            (State::Unknown, _) => "There is little on record yet.".to_owned(),
            (State::Warning, _) => match self.warnings() {
                0 => "It works, but something should be looked at.".to_owned(),
                1 => "It works, but one finding should be looked at.".to_owned(),
                n => format!("It works, but {n} findings should be looked at."),
            },
            (State::Bad, 0) => "Something is wrong: see the list below.".to_owned(),
            (State::Bad, 1) => "One thing needs you.".to_owned(),
            (State::Bad, n) => format!("{n} things need you."),
        };
        let checks =
            self.start.checks.iter().map(|c| (c.name, c.state, c.words.as_str(), c.at.as_deref()));
        let service = ("Service", self.service.state, self.service.words.as_str(), None);
        html! {
            section class={ "card state " (mood(self.state).class()) } aria-labelledby="health-h" {
                h2 #health-h { "Is it healthy?" }
                p.lead { (words) }
                ul.checks {
                    @for (name, state, words, at) in [service].into_iter().chain(checks) {
                        li {
                            (badge(mood(state), word(state)))
                            div { strong { (name) } " " (label(words)) @if let Some(at) = at { " " span.small { "(" (time(at)) ")" } } }
                        }
                    }
                }
            }
        }
    }

    /// How many open findings should be known and need nobody at once.
    fn warnings(&self) -> u64 {
        let open = self.start.open_findings.iter();
        open.filter(|one| one.severity == Severity::Warning).map(|one| one.count).sum()
    }

    fn needs_you(&self, visit: &Visit) -> Markup {
        let known = match self.warnings() {
            0 => None,
            1 => Some("One open finding should be known".to_owned()),
            n => Some(format!("{n} open findings should be known")),
        };
        html! {
            (to_do(visit, &self.start.to_do))
            @if let Some(words) = known {
                p { a href=(visit.link("/findings?state=open")) { (words) } ", though nobody is needed at once." }
            }
        }
    }

    fn live(&self, visit: &Visit) -> Markup {
        let Some(live) = &self.start.live else {
            return empty(
                "No release is live. This ingests the files, trains, tests and deploys a first model:",
                Some("first_run"),
            );
        };
        html! {
            p.lead { a href=(visit.below("/releases", live.release.as_str())) { code { (live.release) } } }
            (why(visit, live))
            (facts(&figures(live)))
        }
    }

    fn changes(&self, visit: &Visit) -> Markup {
        if self.start.changes.is_empty() {
            return empty("Nothing is on record yet.", None);
        }
        html! {
            ol.events {
                @for change in &self.start.changes {
                    li { (time(&change.at)) a href=(visit.link(&change.page)) { (label(&change.words)) } }
                }
            }
        }
    }
}

/// Since when and why `live` is live.
fn why(visit: &Visit, live: &LiveRelease) -> Markup {
    html! {
        @match (&live.since, &live.reason) {
            (Some(since), Some(reason)) => {
                p { "Live since " (time(since)) @if let Some(step) = live.step { ", by " code { (step) } } ": " (label(reason)) @if !reason.ends_with('.') { "." } }
            }
            _ => p { "When and why it went live is not on record: somebody may have moved the pointer." },
        }
        @if !live.reasons.is_empty() {
            details {
                summary { "Why, in full" }
                ul { @for reason in &live.reasons { li { (label(reason)) } } }
            }
        }
        @if let (true, Some(run)) = (live.decided, &live.run_id) {
            p { a href=(visit.below("/decisions", run.as_str())) { "The decision that made it live" } }
        }
    }
}

fn figures(live: &LiveRelease) -> Vec<(&'static str, Markup)> {
    let mut all = Vec::new();
    if let Some(s) = &live.score {
        all.push(("F1, with 95 % interval", with_interval(Some(s.f1), Some(&s.f1_interval))));
        all.push(("Best constant answer", score(Some(s.constant_f1))));
        all.push(("Precision", score(Some(s.precision))));
        all.push(("Recall", score(Some(s.recall))));
        all.push(("ROC AUC", score(s.roc_auc)));
        all.push(("Test rows", super::values::count(s.rows)));
    }
    all.extend(live.dataset.map(|version| ("Trained on data set", html! { (version) })));
    all
}

fn to_do(visit: &Visit, all: &[ToDo]) -> Markup {
    if all.is_empty() {
        return html! { p { "Nothing. No finding on record waits for a person." } };
    }
    html! {
        @for one in all {
            @let mood = Mood::of(one.attention);
            @let word = if mood == Mood::Bad { "Act:" } else { "Look at:" };
            @let more = html! {
                @if one.since.is_some() || one.page.is_some() {
                    p.small {
                        @if let Some(since) = &one.since { "On record since " (time(since)) ". " }
                        @if let Some(page) = &one.page { a href=(visit.link(page)) { "More about it" } }
                    }
                }
            };
            (finding(mood, word, &one.text, &more, one.command.as_deref()))
            @if let Some(release) = &one.challenger { (by_token(visit, release)) }
        }
    }
}

/// How a program decides on a challenger.
fn by_token(visit: &Visit, release: &ReleaseId) -> Markup {
    let path = visit.below("/approvals", release.as_str());
    let line = format!(
        "curl http://localhost:8000{path} -H 'Authorization: Bearer …' -H 'Content-Type: application/json' \
         -d '{{\"decision\": \"approve\", \"reason\": \"…\"}}'"
    );
    html! {
        details {
            summary { "Or over HTTP, with a token of the scope " code { "approve" } }
            p.small { "The decision may be " code { "reject" } " too. The record has the name of the token." }
            (command(&line))
        }
    }
}

fn mood(state: State) -> Mood {
    match state {
        State::Good => Mood::Good,
        State::Unknown => Mood::Neutral,
        State::Warning => Mood::Warning,
        State::Bad => Mood::Bad,
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Good => "good",
        State::Unknown => "unknown",
        State::Warning => "look",
        State::Bad => "act",
    }
}
