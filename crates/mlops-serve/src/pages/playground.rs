//! `/playground`: a form with a field for each column of the live model, its prediction and the reasons for it.
//!
//! Nothing is recorded: what is tried here is in no log of predictions and in no metric of them. Not for
//! predictions that somebody acts on: see `crate::predict`.

use std::collections::HashMap;

use axum::response::Response;
use maud::{Markup, html};
use mlops_core::ids::ReleaseId;
use mlops_core::ledger::Ledger;
use mlops_core::model::{Explainer, Reference};
use mlops_core::profile::{ColumnProfile, ColumnSummary};
use mlops_core::stage::diagnose;
use mlops_core::table::date::spell;
use mlops_report::format;
use serde::Serialize;

use super::parts::{Mood, badge, card, empty, facts, label};
use super::predicted::{Fault, Prediction};
use super::query::Query;
use super::threshold::NOTHING_LIVE;
use super::view::{View, answer, rendered};
use super::visit::Visit;
use crate::body;
use crate::call::Call;
use crate::columns::Slot;
use crate::live::Loaded;
use crate::predict::reading::Decimal;
use crate::problem::Problem;
use crate::state::State;

/// The most bytes of the form.
pub(crate) const LARGEST: usize = 1 << 20;
/// What the name of a field begins with; the name of the column follows.
const FIELD: &str = "column.";
/// The most categories that are offered for a column.
const MOST_LEVELS: usize = 200;

/// What was tried.
#[derive(Default, Serialize)]
pub(crate) struct Page {
    /// None if no release is live.
    release: Option<ReleaseId>,
    threshold: Option<f64>,
    fields: Vec<Field>,
    /// What is wrong with the values, by column.
    faults: Vec<Fault>,
    /// None before the form was sent, and with faults.
    prediction: Option<Prediction>,
}

/// A column with its value.
#[derive(Serialize)]
struct Field {
    column: String,
    kind: Kind,
    /// What the form has; a typical value at first.
    value: String,
    /// The range of the training rows, or what a row is compared with.
    hint: String,
    /// The categories seen in training, as far as they are listed.
    levels: Vec<String>,
    /// The value may be missing.
    optional: bool,
}

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Number,
    Date,
    Category,
}

/// Answers `GET /playground`.
pub(crate) async fn form(call: Call) -> Result<Response, Problem> {
    let loaded = call.app.live.get();
    answer(call, move |app, visit| {
        Ok(match &loaded {
            Some(loaded) => Page::of(app, loaded, &visit.query),
            None => Page::default(),
        })
    })
    .await
}

/// Answers `POST /playground`.
pub(crate) async fn play(Call { app, request, max_body, .. }: Call) -> Result<Response, Problem> {
    let loaded = app.live.get().ok_or_else(Problem::no_model)?;
    let (headers, visit) = (request.headers().clone(), Visit::of(&request, &app.service()));
    let form = body::form(request, &app, max_body).await?;
    let place = body::disk(&app).await?;
    let work = move || {
        let _place = place;
        let mut page = Page::of(&app, &loaded, &form);
        page.predict(&app, &loaded);
        rendered(&headers, &visit, &page)
    };
    body::work(true, work).await
}

impl Page {
    fn of(app: &State, loaded: &Loaded, sent: &Query) -> Self {
        let asked: HashMap<&str, &str> = sent
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(FIELD)?, value)))
            .collect();
        let ranges = ranges(app, loaded);
        let explainer = Explainer::new(&loaded.model);
        let references: HashMap<&str, Reference> = (0..explainer.columns())
            .map(|column| (explainer.name(column), explainer.reference(column)))
            .collect();
        let fields = loaded.columns.features().map(|(name, slot)| {
            let reference = references.get(name).copied().unwrap_or(Reference::AverageLevel);
            let mut field = Field::of(loaded, name, slot, reference, ranges.get(name));
            if !asked.is_empty() {
                field.value =
                    asked.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
            }
            field
        });
        Self {
            release: Some(loaded.id.clone()),
            threshold: Some(loaded.model.training.threshold),
            fields: fields.collect(),
            faults: Vec::new(),
            prediction: None,
        }
    }

    /// Predicts the row in the fields.
    fn predict(&mut self, app: &State, loaded: &Loaded) {
        let fields = self.fields.iter();
        let texts: Vec<(&str, &str)> =
            fields.map(|field| (field.column.as_str(), field.value.as_str())).collect();
        match Prediction::of(app, loaded, Decimal::default(), &texts) {
            Ok(prediction) => self.prediction = Some(prediction),
            Err(faults) => self.faults = faults,
        }
    }
}

/// The statistics of the newest diagnostics of the live release, by column.
fn ranges(app: &State, loaded: &Loaded) -> HashMap<String, ColumnProfile> {
    let config = &app.context.config;
    let found = Ledger::open_to_read(&config.ledger_path())
        .ok()
        .flatten()
        .and_then(|ledger| diagnose::newest(config, &ledger, &loaded.id).ok().flatten());
    let columns = found.map(|found| found.columns).unwrap_or_default();
    columns.into_iter().map(|column| (column.name.clone(), column)).collect()
}

impl Field {
    fn of(
        loaded: &Loaded,
        name: &str,
        slot: Slot,
        reference: Reference,
        known: Option<&ColumnProfile>,
    ) -> Self {
        let is_date = matches!(slot, Slot::Date { .. });
        let spelt = |value: f64| if is_date { spell(value) } else { short(value) };
        let range = known.and_then(|column| match &column.summary {
            ColumnSummary::Numeric(s) => Some((s.min?, s.max?)),
            _ => None,
        });
        let median = known.and_then(|column| column.summary.numeric()?.median);
        let (kind, value, hint, optional) = match slot {
            Slot::Numeric { fills, .. } | Slot::Date { fills, .. } => {
                let typical = match reference {
                    Reference::Mean(mean) if !is_date => Some(mean),
                    _ => median,
                };
                let hint = match range {
                    Some((low, high)) => format!("{} to {}", spelt(low), spelt(high)),
                    None => typical.map_or_else(String::new, |x| format!("typically {}", spelt(x))),
                };
                let kind = if is_date { Kind::Date } else { Kind::Number };
                (kind, median.or(typical).map_or_else(String::new, spelt), hint, fills)
            }
            Slot::Categorical { fills, index } => {
                let levels = &loaded.model.encoder.categorical[index];
                let most = match reference {
                    Reference::Level(level) => Some(level.to_owned()),
                    _ => levels.levels.first().cloned(),
                };
                let all = levels.levels.len() + levels.pooled.len();
                (
                    Kind::Category,
                    most.unwrap_or_default(),
                    format!("{} known", mlops_core::text::plural(all as u64, "value")),
                    fills,
                )
            }
            Slot::Id(_) | Slot::Target => (Kind::Category, String::new(), String::new(), true),
        };
        let levels = match slot {
            Slot::Categorical { index, .. } => {
                let feature = &loaded.model.encoder.categorical[index];
                feature.levels.iter().chain(&feature.pooled).take(MOST_LEVELS).cloned().collect()
            }
            _ => Vec::new(),
        };
        Self { column: name.to_owned(), kind, value, hint, levels, optional }
    }
}

/// A number with six digits that count, as somebody would type it.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let places = (5.0 - value.abs().log10().floor()).clamp(0.0, 12.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 12")]
    let places = places as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

impl View for Page {
    fn title(&self) -> String {
        "Playground".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        if self.release.is_none() {
            return card("row", "A row to try", &empty(NOTHING_LIVE, Some("first_run")));
        }
        html! {
            @if let Some(prediction) = &self.prediction {
                (card("prediction", "Prediction", &self.predicted(prediction)))
            }
            @if !self.faults.is_empty() {
                (card("faults", "These values cannot be predicted", &self.wrong()))
            }
            (card("row", "A row to try", &self.form(visit)))
        }
    }
}

impl Page {
    fn predicted(&self, prediction: &Prediction) -> Markup {
        let mood = if prediction.positive { Mood::Warning } else { Mood::Neutral };
        let known = [
            ("Prediction", badge(mood, &mlops_core::text::name(&prediction.label))),
            (
                "Probability",
                html! { (format::percent(prediction.probability)) " " span.range { (format!("{:.6}", prediction.probability)) } },
            ),
            ("Threshold", html! { (self.threshold.map_or_else(String::new, format::plain)) }),
            ("Release", html! { @if let Some(release) = &self.release { code { (release) } } }),
        ];
        html! {
            (facts(&known))
            @if let Some(points) = prediction.points { p { "Scorecard: " strong { (points) } " points." } }
            @if prediction.unknown_categories > 0 {
                p.small { "A category that training has not seen counts as none of the known ones." }
            }
            @if let Some(reasons) = &prediction.reasons { (reasons.shown()) }
        }
    }

    fn wrong(&self) -> Markup {
        html! {
            ul {
                @for fault in &self.faults {
                    li {
                        @if let Some(column) = &fault.column { strong { (label(column)) } ": " }
                        (label(&fault.reason))
                    }
                }
            }
        }
    }

    fn form(&self, visit: &Visit) -> Markup {
        html! {
            p {
                "The fields have typical values at first. An empty field is a missing value. What you try is not recorded \
                anywhere."
            }
            form method="post" action=(visit.link("/playground")) {
                div.fields {
                    @for (k, field) in self.fields.iter().enumerate() { (self.field(k, field)) }
                }
                button type="submit" { "Predict" }
            }
        }
    }

    fn field(&self, k: usize, field: &Field) -> Markup {
        let (id, name) = (format!("f{k}"), format!("{FIELD}{}", field.column));
        let list = (!field.levels.is_empty()).then(|| format!("l{k}"));
        let is_wrong = self.faults.iter().any(|f| f.column.as_ref() == Some(&field.column));
        let mode = if field.kind == Kind::Number { "decimal" } else { "text" };
        let hint = match (field.kind, field.optional) {
            (_, false) => format!("{}; must not be empty", field.hint),
            (Kind::Date, true) => format!("date, {}", field.hint),
            _ => field.hint.clone(),
        };
        html! {
            div {
                label for=(id) { (label(&field.column)) }
                input id=(id) name=(name) value=(field.value) inputmode=(mode) list=[list.as_ref()]
                    autocomplete="off" spellcheck="false" aria-describedby={ (id) "-h" }
                    aria-invalid=[is_wrong.then_some("true")];
                @if let Some(list) = &list {
                    datalist id=(list) { @for level in &field.levels { option value=(level); } }
                }
                span.small id={ (id) "-h" } { (label(&hint)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_typed_as_people_do() {
        for (value, text) in [
            (41.0, "41"),
            (0.1 + 0.2, "0.3"),
            (1_234.567_891, "1234.57"),
            (-0.000_123_456_789, "-0.000123457"),
            (1e12, "1000000000000"),
            (0.0, "0"),
            (f64::NAN, "0"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
