//! `/decisions`: what `fullprocess` decided when; `/decisions/{run}`: one decision with its explanation.
//!
//! Not for how it is made: see docs/decisions.md.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use mlops_core::ids::DecisionOutcome;
use mlops_core::ledger::DecisionSummary;
use mlops_core::run::decision::Decision;
use mlops_core::stage::views::decisions::{self, Decisions, Explained};

use super::parts::{Mood, badge, card, command, empty, facts, label, sentence};
use super::query::encoded;
use super::table::{numbers, pages, table, texts};
use super::values::{count, none, score, seconds, time, with_interval};
use super::view::{View, answer, named, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::problem::Problem;

/// Answers `GET /decisions`.
pub(crate) async fn decisions(call: Call) -> Result<Response, Problem> {
    answer(call, |app, visit| {
        let all = visit.query.get("all").is_some();
        decisions::read(&app.context, all, visit.page()).map_err(trouble)
    })
    .await
}

/// Answers `GET /decisions/{run}`.
pub(crate) async fn decision(mut call: Call) -> Result<Response, Problem> {
    let id: String = named(&mut call).await?;
    answer(call, move |app, _| {
        let found = decisions::one(&app.context, &id).map_err(trouble)?;
        let missing = "there is no decision of a run of this id on record";
        found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, missing))
    })
    .await
}

impl View for Decisions {
    fn title(&self) -> String {
        "Decisions".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        let columns = [
            texts("When"),
            texts("Outcome"),
            texts("Why"),
            numbers("New rows"),
            numbers("F1 on them"),
            texts("Live then"),
        ];
        let rows = self.decisions.items.iter().map(|line| row(visit, line));
        let list = html! {
            form.ask method="get" action=(visit.link("/decisions")) {
                div { label { input type="checkbox" name="all" value="1" checked[self.all]; " with runs that found nothing new" } }
                button type="submit" { "Show" }
            }
            @if self.decisions.total == 0 {
                (empty("No decision is on record yet. This looks for new data and decides:", Some("fullprocess")))
            } @else {
                (table("Decisions", &columns, rows))
                (pages(visit, "the decisions", &self.decisions))
            }
        };
        card("decisions", "What was decided", &list)
    }
}

fn row(visit: &Visit, line: &DecisionSummary) -> Vec<Markup> {
    vec![
        html! { a href=(visit.below("/decisions", line.run_id.as_str())) { (time(&line.recorded)) } },
        outcome(line.outcome),
        line.reason.as_deref().map_or_else(none, sentence),
        line.new_rows.map_or_else(none, count),
        score(line.f1),
        match &line.release {
            Some(release) => {
                html! { a href=(visit.below("/releases", release.as_str())) { code { (release) } } }
            }
            None => none(),
        },
    ]
}

/// How an outcome is shown.
pub(super) fn outcome(outcome: DecisionOutcome) -> Markup {
    let (mood, word) = match outcome {
        DecisionOutcome::NothingNew => (Mood::Neutral, "nothing new"),
        DecisionOutcome::NoDrift => (Mood::Good, "the live model stays"),
        DecisionOutcome::Undecided => (Mood::Neutral, "undecided"),
        DecisionOutcome::Refused => (Mood::Warning, "new model refused"),
        DecisionOutcome::Promoted => (Mood::Good, "new model promoted"),
        DecisionOutcome::DryRun => (Mood::Neutral, "dry run"),
        DecisionOutcome::Waits => (Mood::Warning, "new model waits for approval"),
    };
    badge(mood, word)
}

impl View for Explained {
    fn title(&self) -> String {
        format!("Decision of {}", super::values::minutes(&self.line.recorded))
    }

    fn main(&self, visit: &Visit) -> Markup {
        let line = &self.line;
        let summary = html! {
            p.lead { (outcome(line.outcome)) @if let Some(reason) = &line.reason { " " (sentence(reason)) } }
            (facts(&[
                ("Run", html! { a href=(visit.below("/runs", line.run_id.as_str())) { (line.run_id) } }),
                ("Data set", html! { (line.dataset) }),
                ("New rows", line.new_rows.map_or_else(none, count)),
                ("F1 of the live model on them", score(line.f1)),
                ("Live then", line.release.as_ref().map_or_else(none, |release| {
                    html! { a href=(visit.below("/releases", release.as_str())) { (release) } }
                })),
                ("Promoted", promoted(visit, self.decision.as_deref())),
            ]))
            @if self.decision.as_ref().is_some_and(|decision| decision.data_drift.is_some()) {
                p { a href={ (visit.link("/drift")) "?run=" (encoded(line.run_id.as_str())) } { "Drift of this decision, column by column" } }
            }
        };
        let sentences = html! {
            @if self.explanation.is_empty() {
                (empty("The details of this decision were thinned out to save space.", None))
            }
            ul.sentences { @for sentence in &self.explanation { li class=[sentence.starts_with("  ").then_some("more")] { (label(sentence.trim())) } } }
            p { "The same in a terminal:" }
            (command(&format!("fullprocess --explain {}", line.run_id)))
        };
        html! {
            (card("summary", "Outcome", &summary))
            (card("explanation", "Explanation", &sentences))
            @if let Some(decision) = &self.decision { (figures(decision)) }
        }
    }
}

/// The release that a decision made live.
fn promoted(visit: &Visit, decision: Option<&Decision>) -> Markup {
    match decision.and_then(|decision| decision.release.as_ref()) {
        Some(id) => html! { a href=(visit.below("/releases", id.as_str())) { (id) } },
        None => none(),
    }
}

/// The figures behind the verdicts.
fn figures(decision: &Decision) -> Markup {
    let gate = decision.gate.as_ref().map(|gate| {
        let compared = gate.compared();
        html! {
            (facts(&[
                ("Verdict", if gate.blessed { badge(Mood::Good, "may go live") } else { badge(Mood::Warning, "refused") }),
                ("Metric", html! { (compared.metric.words()) }),
                ("Champion", score(Some(compared.champion))),
                ("Challenger", score(Some(compared.challenger))),
                ("Difference, with 95 % interval", with_interval(Some(gate.difference), Some(&gate.interval))),
                ("Rows of both", count(gate.n)),
            ]))
            ul { @for reason in gate.reasons.sentences() { li { (label(&reason)) } } }
        }
    });
    let rules = decision.drift.as_ref().map(|drift| {
        let rows = drift.verdicts.iter().map(|verdict| {
            let word = match verdict.drifted {
                Some(true) => badge(Mood::Warning, "drift"),
                Some(false) => badge(Mood::Good, "no drift"),
                None => badge(Mood::Neutral, "not evaluated"),
            };
            let decides = verdict.rule == drift.decided_by;
            vec![
                html! { (verdict.rule.name()) @if decides { " " (badge(Mood::Neutral, "decided")) } },
                word,
                label(verdict.explanation.trim_end_matches(',')),
            ]
        });
        table("Rules of drift", &[texts("Rule"), texts("Verdict"), texts("With these numbers")], rows)
    });
    let steps = decision
        .steps
        .iter()
        .map(|step| vec![html! { (step.step) }, html! { (seconds(step.seconds)) }]);
    html! {
        @if let Some(gate) = gate { (card("gate", "Champion against challenger", &gate)) }
        @if let Some(rules) = rules { (card("drift", "Drift of the model, by every rule", &rules)) }
        @if !decision.steps.is_empty() {
            (card("steps", "How long the steps took", &table("Steps", &[texts("Step"), numbers("Time")], steps)))
        }
    }
}
