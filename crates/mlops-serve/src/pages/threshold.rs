//! `/threshold`: what other thresholds would change, and the line of configuration that asks for one.
//!
//! Not for the counts: see `mlops_core::stage::thresholds`.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use mlops_core::config::choices::ThresholdRule;
use mlops_core::evaluation::cutoff;
use mlops_core::ids::ReleaseId;
use mlops_core::stage::thresholds::{self, At, Costs, Thresholds};
use mlops_report::AtThreshold;
use mlops_report::charts::{ByThreshold, Figure, Thresholds as Scores};
use mlops_report::format;
use serde::Serialize;
use serde_json::{Value, json};

use super::charts::chart;
use super::parts::{card, command, empty, facts};
use super::performance::ledger;
use super::table::{numbers, table, texts};
use super::values::{count, none, percent, score, time};
use super::view::{View, answer, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::problem::Problem;

/// Figures by threshold of the live release.
#[derive(Serialize)]
pub(crate) struct Page {
    #[serde(flatten)]
    live: Option<InUse>,
    costs: Costs,
    /// None if the score has no counts at other thresholds.
    figures: Option<Thresholds>,
    /// What to put into `config.json`, by what it asks for.
    configuration: Vec<Line>,
}

/// The threshold of the live release.
#[derive(Serialize)]
struct InUse {
    release: ReleaseId,
    /// How it was chosen.
    rule: ThresholdRule,
    threshold: f64,
}

/// A line of configuration.
#[derive(Serialize)]
struct Line {
    what: String,
    line: Value,
}

/// What a page says without a release.
pub(super) const NOTHING_LIVE: &str = "No release is live. This makes a first one:";

/// A cost in the query; `default` if none is there.
fn cost(visit: &Visit, name: &str, default: f64) -> Result<f64, Problem> {
    let Some(text) = visit.query.get(name) else { return Ok(default) };
    let cost = text.replace(',', ".").parse().ok().filter(|c: &f64| c.is_finite() && *c >= 0.0);
    cost.ok_or_else(|| {
        let detail = format!("{name} must be a number of at least 0, such as 5 or 0.25");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

/// Answers `GET /threshold`.
pub(crate) async fn threshold(call: Call) -> Result<Response, Problem> {
    let loaded = call.app.live.get();
    answer(call, move |app, visit| {
        let Some(loaded) = &loaded else {
            let costs = Costs { false_positive: 1.0, false_negative: 1.0 };
            return Ok(Page { live: None, costs, figures: None, configuration: Vec::new() });
        };
        let (model, in_use) = (&loaded.model, loaded.model.training.threshold);
        let rule = model.training.threshold_rule;
        let defaults = match rule {
            ThresholdRule::Cost { false_positive, false_negative } => (false_positive, false_negative),
            _ => (1.0, 1.0),
        };
        let costs = Costs {
            false_positive: cost(visit, "false_positive", defaults.0)?,
            false_negative: cost(visit, "false_negative", defaults.1)?,
        };
        let asked = match visit.query.get("threshold") {
            Some(_) => Some(cost(visit, "threshold", 0.5)?.min(1.0)),
            None => None,
        };
        let figures = match ledger(app)? {
            Some(ledger) => thresholds::of(&ledger, loaded.sha256, in_use, costs, asked).map_err(trouble)?,
            None => None,
        };
        let mut configuration = Vec::new();
        if let Some(figures) = &figures {
            if costs.false_positive > 0.0 && costs.false_negative > 0.0 {
                let rule = json!({ "false_positive": short(costs.false_positive), "false_negative": short(costs.false_negative) });
                configuration.push(Line {
                    what: "The lowest cost, chosen anew in each training from other rows than these".to_owned(),
                    line: json!({ "threshold": { "cost": rule } }),
                });
            }
            let mut fixed = |what: &str, at: &At| {
                configuration.push(Line {
                    what: format!("{what}: {}", format::number(at.threshold)),
                    line: json!({ "threshold": rounded(at.threshold) }),
                });
            };
            if let Some(asked) = &figures.asked {
                fixed("The recorded threshold nearest to the one you asked for", asked);
            }
            fixed("The threshold that costs least on these rows", &figures.cheapest);
            fixed("The threshold with the highest F1 on these rows", &figures.highest_f1);
        }
        let live = Some(InUse { release: loaded.id.clone(), rule, threshold: in_use });
        Ok(Page { live, costs, figures, configuration })
    })
    .await
}

/// Six digits are as many as somebody wants to paste.
fn rounded(threshold: f64) -> f64 {
    format!("{threshold:.6}").parse().unwrap_or(threshold)
}

/// A number as somebody would write it: `5`, not `5.0`.
fn short(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
    if value.fract() == 0.0 && value < 1e15 { json!(value as i64) } else { json!(value) }
}

impl View for Page {
    fn title(&self) -> String {
        "Threshold".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        let Some(live) = &self.live else {
            return card("figures", "Figures", &empty(NOTHING_LIVE, Some("first_run")));
        };
        let Some(figures) = &self.figures else {
            let why = "The live release was scored by an earlier version, which recorded no counts at other thresholds. \
                       The next training records them; so does scoring it again:";
            return card("figures", "Figures", &empty(why, Some("scoring")));
        };
        let known = [
            ("In use", html! { (format::plain(live.threshold)) }),
            ("Chosen", html! { (cutoff::words(live.rule)) }),
            ("Test rows", count(figures.rows)),
            (
                "Positives",
                html! { (count(figures.positives)) " " span.range { (percent(figures.positives as f64 / figures.rows.max(1) as f64)) } },
            ),
            ("Scored", time(&figures.scored)),
            (
                "Release",
                html! { a href=(visit.below("/releases", live.release.as_str())) { code { (live.release) } } },
            ),
        ];
        let ask = html! {
            p {
                "A row whose probability is above the threshold is predicted positive. Say what a wrong prediction costs, in \
                any unit: only the ratio matters."
            }
            form.ask method="get" action=(visit.link("/threshold")) {
                @for (name, text, value) in [
                    ("false_positive", "Cost of a false positive", Some(self.costs.false_positive)),
                    ("false_negative", "Cost of a false negative", Some(self.costs.false_negative)),
                    ("threshold", "Threshold to look at (optional)", figures.asked.map(|at| rounded(at.threshold))),
                ] {
                    div {
                        label for=(name) { (text) }
                        input id=(name) name=(name) inputmode="decimal" size="9" value=[value];
                    }
                }
                button type="submit" { "Compute" }
            }
            (facts(&known))
            (compared(figures))
            p.small {
                "Positive: the share of the rows that are predicted positive. FP and FN: false positives and false negatives. Lift: how \
                many times as frequent positives are among those rows as among all."
            }
        };
        let lines = html! {
            p {
                "To change the threshold, put one of these lines into config.json and train again. A number is taken as it is; it \
                was found on the test rows, where it therefore looks a little better than it is. A rule is chosen by \
                cross-validation of the training rows, so that the test stays honest."
            }
            @for line in &self.configuration {
                p.small { (line.what) }
                pre.command.paste tabindex="0" aria-label="Configuration" {
                    code { "\"training\": " (line.line.to_string()) }
                }
            }
            (command("training"))
        };
        html! {
            (card("ask", "Costs", &ask))
            (card("configuration", "The line to paste", &lines))
            (card("curves", "By threshold", &curves(live.threshold, self.costs, figures)))
            (card("table", "Table", &by_threshold(figures.table.iter().map(|at| (None, at)))))
        }
    }
}

/// The thresholds that somebody wants to compare.
fn compared(figures: &Thresholds) -> Markup {
    let named = [
        Some((Some("In use"), &figures.in_use)),
        figures.asked.as_ref().map(|at| (Some("Asked for"), at)),
        Some((Some("Lowest cost"), &figures.cheapest)),
        Some((Some("Highest F1"), &figures.highest_f1)),
    ];
    by_threshold(named.into_iter().flatten())
}

fn by_threshold<'a>(rows: impl Iterator<Item = (Option<&'static str>, &'a At)>) -> Markup {
    let mut rows = rows.peekable();
    let is_named = rows.peek().is_some_and(|row| row.0.is_some());
    let mut columns = vec![
        numbers("Threshold"),
        numbers("Positive"),
        numbers("Precision"),
        numbers("Recall"),
        numbers("F1"),
        numbers("Lift"),
        numbers("FP"),
        numbers("FN"),
        numbers("Cost"),
        numbers("Per row"),
    ];
    if is_named {
        columns.insert(0, texts("What"));
    }
    let cells = rows.map(|(name, at)| {
        let mut cells = vec![
            html! { (format::number(at.threshold)) },
            percent(at.predicted_positive),
            score(at.precision),
            score(Some(at.recall)),
            score(Some(at.f1)),
            at.lift.map_or_else(none, |lift| html! { (format::number(lift)) }),
            count(at.counts.fp),
            count(at.counts.fn_),
            html! { (format::plain(at.cost)) },
            html! { (format::number(at.cost_per_row)) },
        ];
        if let Some(name) = name {
            cells.insert(0, html! { (name) });
        }
        cells
    });
    let name = if is_named { "Thresholds compared" } else { "Figures by threshold" };
    table(name, &columns, cells.collect::<Vec<_>>())
}

fn curves(threshold: f64, costs: Costs, figures: &Thresholds) -> Markup {
    let points: Vec<AtThreshold> = figures
        .curve
        .iter()
        .map(|at| AtThreshold { threshold: at.threshold, matrix: at.counts })
        .collect();
    let (points, n) = (points.as_slice(), figures.rows);
    let Costs { false_positive, false_negative } = costs;
    let cost = ByThreshold {
        figure: Figure::Cost { false_positive, false_negative },
        points,
        threshold,
        n,
    };
    let lift = ByThreshold { figure: Figure::Lift, ..cost };
    // Of several hundred thresholds, every few are enough to read.
    let step = figures.curve.len().div_ceil(60).max(1);
    let of = |name: &'static str, value: fn(&At) -> Option<f64>| {
        let rows = figures.curve.iter().step_by(step).map(move |at| {
            vec![
                html! { (format::number(at.threshold)) },
                value(at).map_or_else(none, |v| html! { (format::number(v)) }),
            ]
        });
        table(name, &[numbers("Threshold"), numbers(name)], rows)
    };
    let scores = {
        let rows = figures.curve.iter().step_by(step).map(|at| {
            vec![
                html! { (format::number(at.threshold)) },
                score(Some(at.f1)),
                score(at.precision),
                score(Some(at.recall)),
            ]
        });
        table(
            "Scores",
            &[numbers("Threshold"), numbers("F1"), numbers("Precision"), numbers("Recall")],
            rows,
        )
    };
    html! {
        div.charts {
            (chart(&cost, "What false positives and false negatives cost together, per row.", &of("Cost per row", |at| Some(at.cost_per_row))))
            (chart(&Scores { points, threshold, n }, "A higher threshold finds fewer positives, and more of those that it finds are right.", &scores))
            (chart(&lift, "How many times as frequent positives are among the rows predicted positive as among all rows.", &of("Lift", |at| at.lift)))
        }
    }
}
