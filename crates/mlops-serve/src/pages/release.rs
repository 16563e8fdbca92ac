//! `/releases/{release}`: one release with its scores, model and data; `/compare`: what differs between two.
//!
//! Not for the history: see `releases`.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use mlops_core::ids::ReleaseId;
use mlops_core::model::card::Card;
use mlops_core::run::context::Context;
use mlops_core::stage::score::Score;
use mlops_core::stage::views::release::{self, Comparison, Data, Difference, ReleaseView, Value};
use mlops_core::text;
use serde::Serialize;

use super::parts::{Mood, badge, card, code, command, digest, empty, facts, label, sentence};
use super::table::{numbers, table, texts};
use super::values::{count, none, percent, score, time, with_interval};
use super::view::{View, answer, named, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::problem::Problem;

/// The most features that a page lists; the JSON has all.
const MOST_FEATURES: usize = 200;

/// Answers `GET /releases/{release}`.
pub(crate) async fn release(mut call: Call) -> Result<Response, Problem> {
    let id: String = named(&mut call).await?;
    answer(call, move |app, _| found(&app.context, &id)).await
}

fn found(context: &Context, id: &str) -> Result<ReleaseView, Problem> {
    let missing =
        || Problem::new(StatusCode::NOT_FOUND, "there is no release of this id on record");
    let id: ReleaseId = id.parse().map_err(|_| missing())?;
    release::read(context, &id).map_err(trouble)?.ok_or_else(missing)
}

impl View for ReleaseView {
    fn title(&self) -> String {
        format!("Release {}", self.release)
    }

    fn main(&self, visit: &Visit) -> Markup {
        let gone = html! { (empty("The files of this release are not there any more.", None)) };
        html! {
            (card("life", "When it was live", &life(self, visit)))
            @match &self.score {
                Some(score) => (card("score", "Scores on its test data", &figures(score))),
                None => (card("score", "Scores on its test data", &gone)),
            }
            @if let Some(of) = &self.card { (card("model", "The model", &model(of))) }
            @if let Some(data) = &self.data { (card("lineage", "Where its data came from", &lineage(visit, data))) }
            @if !self.files.is_empty() {
                @let rows = self.files.iter().map(|(name, sha)| vec![code(name), digest(&sha.to_string())]);
                (card("files", "Its files", &table("Files", &[texts("File"), texts("SHA-256")], rows)))
            }
        }
    }
}

fn life(this: &ReleaseView, visit: &Visit) -> Markup {
    let rows = this.deployments.iter().map(|d| {
        vec![
            time(&d.recorded),
            html! { a href=(visit.below("/runs", d.run_id.as_str())) { (d.step) } },
            sentence(&d.reason),
        ]
    });
    let other = this.deployments.first().and_then(|d| d.previous.as_ref());
    html! {
        p {
            @if this.live { (badge(Mood::Good, "live")) " " } @else { (badge(Mood::Neutral, "not live")) " " }
            @match this.blessed {
                Some(true) => (badge(Mood::Good, "passed the gate")),
                Some(false) => (badge(Mood::Warning, "refused by the gate")),
                None => (badge(Mood::Neutral, "not judged by the gate")),
            }
            @if let Some(removed) = &this.removed { " Its files were removed on purpose at " (time(removed)) "." }
        }
        (table("When it went live", &[texts("Went live"), texts("By"), texts("Why")], rows))
        form.ask method="get" action=(visit.link("/compare")) {
            input type="hidden" name="b" value=(this.release);
            div {
                label for="a" { "Compare with release" }
                input #a name="a" required size="24" value=[other];
            }
            button type="submit" { "Compare" }
        }
        @if this.live {
            p { "Check it from disk: digests, model, known predictions." }
            (command("deployment verify"))
        } @else if this.removed.is_none() {
            p { "Make it live again:" }
            (command(&format!("deployment rollback {} --reason TEXT", this.release)))
        }
    }
}

fn figures(s: &Score) -> Markup {
    let e = &s.evaluation;
    let row = |name: &str, value: Option<f64>, interval| {
        vec![
            html! { (name) },
            score(value),
            match interval {
                Some(mlops_core::evaluation::metrics::Interval { low, high, .. }) => {
                    html! { (format!("{low:.4} to {high:.4}")) }
                }
                None => none(),
            },
        ]
    };
    let rows = [
        row("F1", Some(e.f1), Some(e.f1_interval)),
        row("F1 of the best constant answer", Some(e.constant.f1), None),
        row("Precision", Some(e.precision), e.precision_interval),
        row("Recall", Some(e.recall), e.recall_interval),
        row("Specificity", e.specificity, e.specificity_interval),
        row("Accuracy", Some(e.accuracy), Some(e.accuracy_interval)),
        row("ROC AUC", e.roc_auc, e.roc_auc_interval),
        row("Average precision", e.pr_auc, None),
        row("MCC", e.mcc, e.mcc_interval),
        row("Brier score", Some(e.brier), None),
        row("Log loss", Some(e.log_loss), None),
    ];
    let files = s.test_files.iter().map(|(name, sha)| vec![code(name), digest(&sha.to_string())]);
    html! {
        (facts(&[
            ("F1, with 95 % interval", with_interval(Some(e.f1), Some(&e.f1_interval))),
            ("Test rows", count(e.n)),
            ("Positives among them", html! { (text::count(e.positives)) " (" (percent(e.positives as f64 / e.n.max(1) as f64)) ")" }),
            ("Threshold", score(Some(e.threshold))),
        ]))
        @if let Some(note) = &e.note { p { (label(note)) "." } }
        (table("Scores", &[texts("Figure"), numbers("Value"), numbers("95 % interval")], rows))
        details { summary { "Test files" } (table("Test files", &[texts("File"), texts("SHA-256")], files)) }
    }
}

fn model(of: &Card) -> Markup {
    let data = &of.training_data;
    let mut features: Vec<(usize, &String)> = of.features.iter().enumerate().collect();
    let weight = |k: usize| of.coefficients.get(k).copied().unwrap_or(0.0);
    features.sort_by(|a, b| weight(b.0).abs().total_cmp(&weight(a.0).abs()));
    let left = features.len().saturating_sub(MOST_FEATURES);
    let rows = features.iter().take(MOST_FEATURES).map(|(k, name)| {
        let odds = of.odds.get(*k).copied().flatten();
        vec![
            code(name),
            html! { (format!("{:+.4}", weight(*k))) },
            odds.map_or_else(none, |odds| html! { "×" (text::number(odds)) }),
        ]
    });
    html! {
        (facts(&[
            ("Trained on", html! { "data set " (data.version) }),
            ("Training rows", count(data.rows)),
            ("Positives among them", count(data.positives)),
            ("Held out for testing", count(data.held_out)),
            ("Solver", html! { (of.solver) ", " (of.iterations) " steps" }),
            ("Intercept", html! { (format!("{:+.4}", of.intercept)) }),
            ("Artifact", digest(&of.artifact.to_string())),
        ]))
        (table(
            "Coefficients",
            &[texts("Feature"), numbers("Coefficient"), numbers("Odds of the positive label")],
            rows,
        ))
        @if left > 0 { p.small { "And " (text::count(left as u64)) " more with smaller coefficients, which the JSON has." } }
    }
}

fn lineage(visit: &Visit, data: &Data) -> Markup {
    let rows = data
        .parts
        .iter()
        .map(|part| vec![code(&part.location), count(part.rows), digest(&part.sha256.to_string())]);
    html! {
        (facts(&[
            ("Data set", html! { (data.version) }),
            ("Rows", count(data.rows)),
            ("Made", time(&data.recorded)),
            ("By run", html! { a href=(visit.below("/runs", data.run_id.as_str())) { (data.run_id) } }),
            ("SHA-256", digest(&data.sha256.to_string())),
        ]))
        @if let Some(removed) = &data.removed { p { "Its file was removed on purpose at " (time(removed)) "." } }
        (table("Files of the data set", &[texts("File"), numbers("Rows"), texts("SHA-256")], rows))
        @if data.left_out > 0 { p.small { "And " (text::plural(data.left_out, "more file")) "." } }
    }
}

/// Two releases, side by side.
#[derive(Serialize)]
struct Compared {
    /// Only what differs is shown.
    only_differences: bool,
    #[serde(flatten)]
    comparison: Comparison,
}

/// Answers `GET /compare`.
pub(crate) async fn compare(call: Call) -> Result<Response, Problem> {
    answer(call, |app, visit| {
        let asked = |name: &str| {
            let detail = "name two releases: /compare?a=RELEASE&b=RELEASE";
            let id = visit.query.get(name).ok_or_else(|| Problem::malformed(detail))?;
            found(&app.context, id)
        };
        let (a, b) = (asked("a")?, asked("b")?);
        let only_differences = visit.query.get("all").is_none();
        let mut comparison = release::compare(&a, &b);
        if only_differences {
            let Comparison { data, scores, settings, coefficients, .. } = &mut comparison;
            for list in [data, scores, settings, coefficients] {
                list.retain(|one| one.differs);
            }
        }
        Ok(Compared { only_differences, comparison })
    })
    .await
}

impl View for Compared {
    fn title(&self) -> String {
        "Two releases".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        let c = &self.comparison;
        let link = |id: &ReleaseId| html! { a href=(visit.below("/releases", id.as_str())) { code { (id) } } };
        let head = html! {
            (facts(&[("First", link(&c.a)), ("Second", link(&c.b))]))
            form.ask method="get" action=(visit.link("/compare")) {
                input type="hidden" name="a" value=(c.a);
                input type="hidden" name="b" value=(c.b);
                @if self.only_differences { input type="hidden" name="all" value="1"; }
                button type="submit" { @if self.only_differences { "Show what is the same too" } @else { "Show only differences" } }
            }
        };
        let note = if c.same_test_data {
            "Both were scored on the same test rows."
        } else {
            "They were scored on different test rows, so that chance and the rows explain a part of the difference."
        };
        let scores = html! { p { (note) } (side_by_side("Scores", &c.scores)) };
        html! {
            (card("which", "Which", &head))
            (card("scores", "Scores", &scores))
            (card("data", "Data", &side_by_side("Data", &c.data)))
            (card("settings", "Settings of the training", &side_by_side("Settings", &c.settings)))
            (card("coefficients", "Coefficients of standardised features", &side_by_side("Coefficients", &c.coefficients)))
        }
    }
}

fn side_by_side(name: &str, all: &[Difference]) -> Markup {
    if all.is_empty() {
        return html! { p { "No difference." } };
    }
    let shown = |value: &Option<Value>| match value {
        Some(Value::Number(x)) => html! { (format!("{x:.4}")) },
        Some(Value::Text(words)) if words.len() == 64 => digest(words),
        Some(Value::Text(words)) => label(&text::name(words)),
        None => none(),
    };
    let rows = all.iter().take(MOST_FEATURES).map(|one| {
        let change = match (&one.a, &one.b) {
            (Some(Value::Number(a)), Some(Value::Number(b))) => {
                html! { (format!("{:+.4}", b - a)) }
            }
            _ if one.differs => html! { "differs" },
            _ => html! { "same" },
        };
        vec![label(&text::name(&one.name)), shown(&one.a), shown(&one.b), change]
    });
    let columns = [texts("What"), numbers("First"), numbers("Second"), numbers("Change")];
    html! {
        (table(name, &columns, rows))
        @if all.len() > MOST_FEATURES { p.small { "And more, which the JSON has." } }
    }
}
