//! The prediction for a row of texts that is on a page, with its reasons; it is recorded nowhere.
//!
//! Not for predictions that somebody acts on: see `crate::predict`.

use maud::{Markup, html};
use mlops_core::evaluation::metrics::classify;
use mlops_core::model::Predictor;
use mlops_core::table::Table;
use mlops_report::format;
use serde::Serialize;

use super::parts::{Mood, badge, facts, label};
use super::reasons::Reasons;
use crate::live::Loaded;
use crate::predict::reading::Decimal;
use crate::predict::rows::{Notes, Rows, Wants};
use crate::predict::with_table;
use crate::state::State;

/// What is wrong with a row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fault {
    pub(crate) column: Option<String>,
    pub(crate) reason: String,
}

/// What the live model says of a row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Prediction {
    pub(crate) label: String,
    pub(crate) positive: bool,
    pub(crate) probability: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) points: Option<i64>,
    pub(crate) unknown_categories: u64,
    pub(crate) reasons: Option<Reasons>,
}

impl Prediction {
    /// The prediction for a row with these texts by column, whose numbers are spelt as `decimal` says, as a request with
    /// the same texts would get it.
    pub(crate) fn of(
        app: &State,
        loaded: &Loaded,
        decimal: Decimal,
        texts: &[(&str, &str)],
    ) -> Result<Self, Vec<Fault>> {
        let mut notes = Notes::default();
        let mut found = None;
        let reasons = &app.service().config.reasons;
        with_table(loaded, 0, |table| {
            let mut take = |table: &Table, _: &mut Notes| {
                let predictor = Predictor::new(&loaded.model);
                let mut probabilities = Vec::new();
                let (_, unknown_categories) = predictor.probabilities(table, &mut probabilities);
                let Some(probability) = probabilities.first().copied().filter(|p| p.is_finite())
                else {
                    return;
                };
                let positive = classify(probability, loaded.model.training.threshold);
                let points = loaded.scorecard.as_ref().and_then(|card| {
                    card.points(&loaded.model.encoder, table).into_iter().next().flatten()
                });
                let value = |column: &str| {
                    let known = texts.iter().find(|(name, _)| *name == column);
                    known.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
                };
                found = Some(Self {
                    label: loaded.model.label(positive).to_owned(),
                    positive,
                    probability,
                    points,
                    unknown_categories,
                    reasons: Reasons::of(&loaded.model, reasons, table, value),
                });
            };
            let cells = &loaded.readings.get(decimal).cells;
            let mut rows =
                Rows::new((loaded, cells), table, &mut notes, Wants::Features, &mut take);
            for (place, (column, text)) in texts.iter().enumerate() {
                if let Some(column) = rows.find(column, place) {
                    rows.text(column, text);
                }
            }
            rows.end();
            rows.flush();
        });
        let faults = notes.faults.first.into_iter();
        let mut faults: Vec<Fault> =
            faults.map(|f| Fault { column: f.column, reason: f.reason }).collect();
        if found.is_none() && faults.is_empty() {
            let reason =
                "the values are too large for this model: the score is not a number".to_owned();
            faults.push(Fault { column: None, reason });
        }
        found.filter(|_| faults.is_empty()).ok_or(faults)
    }
}

/// The prediction for a row, and the reasons for it; `more` is said besides.
pub(crate) fn shown(prediction: &Prediction, more: Vec<(&str, Markup)>) -> Markup {
    let mut known = vec![
        ("Prediction", badge(Mood::Neutral, &mlops_core::text::name(&prediction.label))),
        (
            "Probability",
            html! {
                (format::percent(prediction.probability)) " "
                span.range { (format!("{:.6}", prediction.probability)) }
            },
        ),
    ];
    known.extend(prediction.points.map(|points| ("Points", html! { (points) })));
    known.extend(more);
    html! {
        (facts(&known))
        @if let Some(reasons) = &prediction.reasons { (reasons.shown()) }
    }
}

/// Why there is no prediction.
pub(crate) fn refused(faults: &[Fault]) -> Markup {
    html! {
        div.finding.bad {
            p { strong { "This row cannot be predicted:" } }
            ul {
                @for fault in faults {
                    li { @if let Some(column) = &fault.column { (label(column)) ": " } (label(&fault.reason)) }
                }
            }
        }
    }
}
