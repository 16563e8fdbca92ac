//! `/predictions`: looks predictions up by an id, and rows of a data set by theirs, and shows the reasons for one.
//!
//! Read from the log of predictions, the newest part first and only so much of it for each request. Not for writing it:
//! see `crate::prediction_log`.

use axum::response::Response;
use maud::{Markup, html};
use mlops_core::config::PredictionLog;
use mlops_core::ids::ReleaseId;
use mlops_core::model::Model;
use mlops_core::platform::clock::rfc3339;
use mlops_core::prediction_log::lookup::{self, Found, Place};
use mlops_core::prediction_log::{Feature, Line};
use mlops_core::table::Table;
use mlops_core::table::schema::Role;
use mlops_report::format;
use serde::Serialize;

use super::parts::{Mood, badge, card, code, empty, facts, label};
use super::query::encoded;
use super::reasons::Reasons;
use super::rows;
use super::table::{numbers, table, texts};
use super::values::{count, minutes, none};
use super::view::{View, answer, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::live::Loaded;
use crate::problem::Problem;
use crate::state::State;

/// The most predictions that are listed.
const MOST: usize = 50;
/// The most bytes of the log that are searched for a request.
const BUDGET: u64 = 256 << 20;

/// What was found.
#[derive(Serialize)]
pub(crate) struct Page {
    /// The service keeps a log of predictions.
    is_kept: bool,
    /// Its lines have the features of their rows.
    with_features: bool,
    /// The id columns.
    id_columns: Vec<String>,
    /// The id that was looked up.
    id: String,
    /// The predictions, newest first.
    found: Vec<Logged>,
    /// Bytes of the log that were searched.
    searched: u64,
    /// Where the search goes on, if it did not reach the beginning of the log.
    older: Option<String>,
    /// The one whose reasons are shown: the newest, or the one that was asked for.
    shown: Option<Shown>,
    /// Rows of a data set, if they were looked up.
    rows: Option<rows::Found>,
}

/// A logged prediction.
#[derive(Serialize)]
struct Logged {
    /// Its place in the log.
    place: String,
    recorded: String,
    request_id: String,
    row: u64,
    inference_id: Option<String>,
    ids: Vec<(String, String)>,
    release: ReleaseId,
    prediction: String,
    probability: f64,
}

/// A prediction with its reasons.
#[derive(Serialize)]
struct Shown {
    place: String,
    /// The values of the row, where they are known.
    features: Vec<(String, String)>,
    /// Where the values come from.
    source: Option<&'static str>,
    reasons: Option<Reasons>,
    /// Why there are no reasons, or what is to be known of them.
    note: Option<String>,
}

/// Answers `GET /predictions`.
pub(crate) async fn predictions(call: Call) -> Result<Response, Problem> {
    let loaded = call.app.live.get();
    answer(call, move |app, visit| {
        let log = app.service().config.service.prediction_log.clone();
        let id = visit.query.get("id").unwrap_or_default().to_owned();
        let id_columns = loaded.as_ref().map_or_else(Vec::new, |loaded| {
            loaded.model.schema.names(Role::Id).map(str::to_owned).collect()
        });
        let mut page = Page {
            is_kept: log.is_some(),
            with_features: log.as_ref().is_some_and(|log| log.features),
            id_columns,
            id,
            found: Vec::new(),
            searched: 0,
            older: None,
            shown: None,
            rows: rows::find(app, loaded.as_deref(), visit)?,
        };
        if let Some(log) = log.filter(|_| !page.id.is_empty()) {
            page.search(app, loaded.as_deref(), &log, visit)?;
        }
        Ok(page)
    })
    .await
}

impl Page {
    fn search(
        &mut self,
        app: &State,
        loaded: Option<&Loaded>,
        log: &PredictionLog,
        visit: &Visit,
    ) -> Result<(), Problem> {
        let place = |name: &str| visit.query.get(name).and_then(|text| text.parse::<Place>().ok());
        let found = lookup::find(&log.folder, &self.id, place("from").as_ref(), MOST, BUDGET);
        let Found { lines, searched, older } = found.map_err(trouble)?;
        let chosen = visit.query.get("at").unwrap_or_default();
        let at = lines.iter().position(|(place, _)| place.to_string() == chosen).unwrap_or(0);
        if let Some((place, line)) = lines.get(at) {
            self.shown = Some(Shown::of(app, loaded, place, line));
        }
        self.searched = searched;
        self.older = older.map(|place| place.to_string());
        self.found = lines
            .into_iter()
            .map(|(place, line)| Logged {
                place: place.to_string(),
                recorded: rfc3339(line.recorded),
                request_id: line.request_id,
                row: line.row,
                inference_id: line.inference_id,
                ids: line.ids,
                release: line.release,
                prediction: line.prediction,
                probability: line.probability,
            })
            .collect();
        Ok(())
    }
}

impl Shown {
    fn of(app: &State, loaded: Option<&Loaded>, place: &Place, line: &Line) -> Self {
        let features: Vec<(String, String)> =
            line.features.as_ref().map_or_else(Vec::new, |features| {
                let spelt = |value: &Feature| match value {
                    Feature::Missing => String::new(),
                    Feature::Number(number) => mlops_core::text::number(*number),
                    Feature::Text(text) => text.clone(),
                };
                features.iter().map(|(name, value)| (name.clone(), spelt(value))).collect()
            });
        let mut shown = Self {
            place: place.to_string(),
            source: (!features.is_empty()).then_some("the log of predictions"),
            features,
            reasons: None,
            note: None,
        };
        let other;
        let model: &Model = if let Some(loaded) = loaded.filter(|l| l.id == line.release) {
            &loaded.model
        } else {
            let Ok(release) = app.context.sound_and_trusted(&line.release) else {
                shown.note = Some(format!(
                    "The release {} that answered is not here any more, so that the reasons cannot be computed.",
                    line.release
                ));
                return shown;
            };
            other = release.model;
            &other
        };
        let mut row = Table::new(&model.schema);
        if line.push_to(&model.schema, &mut row) {
            let value = |column: &str| {
                let known = shown.features.iter().find(|(name, _)| name == column);
                known.map(|(_, value)| value.clone()).unwrap_or_default()
            };
            let reasons = Reasons::of(model, &app.service().config.reasons, &row, value);
            shown.reasons = reasons;
        } else {
            shown.note = Some(
                "The log has no features of this row, so that the reasons cannot be computed. Set \
                 \"service.prediction_log_features\" to true to keep them from now on."
                    .to_owned(),
            );
        }
        shown
    }
}

impl View for Page {
    fn title(&self) -> String {
        "Predictions".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        html! {
            (card("look-up", "Look up a prediction", &self.form(visit)))
            @if let Some(shown) = &self.shown {
                @if let Some(logged) = self.found.iter().find(|logged| logged.place == shown.place) {
                    (card("prediction", "Prediction", &one(visit, logged, shown)))
                }
            }
            @if !self.id.is_empty() && self.is_kept {
                (card("found", "Found", &self.list(visit)))
            }
            @if !self.id_columns.is_empty() {
                (rows::form(visit, &self.id_columns, self.rows.as_ref()))
            }
            @if let Some(rows) = &self.rows { (rows.shown(visit)) }
        }
    }
}

impl Page {
    fn form(&self, visit: &Visit) -> Markup {
        let columns = self.id_columns.iter().map(|name| format!("\"{name}\""));
        let what = mlops_core::text::names(columns);
        html! {
            @if self.is_kept {
                p {
                    "By the id of a request, the caller's own id for it"
                    @if !self.id_columns.is_empty() { ", or the value of the id column " (label(&what)) }
                    "."
                }
                form.ask method="get" action=(visit.link("/predictions")) {
                    div {
                        label for="id" { "Id" }
                        input #id type="search" name="id" value=(self.id) required size="32" autocomplete="off" spellcheck="false";
                    }
                    button type="submit" { "Look up" }
                }
            } @else {
                (empty("The service keeps no log of predictions. Set \"service.prediction_log_path\" to a folder, and \
                        \"service.prediction_log_features\" to true for the reasons of past predictions.", None))
            }
        }
    }

    fn list(&self, visit: &Visit) -> Markup {
        let columns = [
            texts("When"),
            texts("Prediction"),
            numbers("Probability"),
            texts("Ids"),
            texts("Request"),
            numbers("Row"),
            texts("Release"),
        ];
        let rows = self.found.iter().map(|logged| {
            let is_shown = self.shown.as_ref().is_some_and(|shown| shown.place == logged.place);
            vec![
                html! {
                    a href=(visit.with("at", &logged.place)) aria-current=[is_shown.then_some("true")] {
                        time datetime=(logged.recorded) { (minutes(&logged.recorded)) }
                    }
                },
                label(&logged.prediction),
                html! { (format::percent(logged.probability)) },
                html! { @for (name, value) in &logged.ids { div { (label(name)) ": " (label(value)) } } },
                html! {
                    (code(&logged.request_id))
                    @if let Some(own) = &logged.inference_id { div { "caller's: " (label(own)) } }
                },
                count(logged.row),
                html! { a href=(visit.below("/releases", logged.release.as_str())) { code { (logged.release) } } },
            ]
        });
        let megabytes = self.searched.div_ceil(1 << 20);
        html! {
            @if self.found.is_empty() {
                p.empty { "There is no prediction with this id in the part of the log that was searched." }
            } @else {
                (table("Predictions found", &columns, rows))
            }
            p.small {
                "Searched: " (count(megabytes)) " MiB of the log"
                @if self.older.is_none() { ", to its beginning." } @else { "." }
            }
            @if let Some(older) = &self.older {
                p { a href={ (visit.link("/predictions")) "?id=" (encoded(&self.id)) "&from=" (encoded(older)) } { "Search older predictions" } }
            }
        }
    }
}

fn one(visit: &Visit, logged: &Logged, shown: &Shown) -> Markup {
    let known = [
        ("Prediction", badge(Mood::Neutral, &mlops_core::text::name(&logged.prediction))),
        (
            "Probability",
            html! { (format::percent(logged.probability)) " " span.range { (format!("{:.6}", logged.probability)) } },
        ),
        ("When", html! { time datetime=(logged.recorded) { (minutes(&logged.recorded)) } }),
        (
            "Release",
            html! { a href=(visit.below("/releases", logged.release.as_str())) { code { (logged.release) } } },
        ),
        ("Request", code(&logged.request_id)),
        ("Row", count(logged.row)),
    ];
    html! {
        (facts(&known))
        @if let Some(note) = &shown.note { p.small { (label(note)) } }
        @if let Some(reasons) = &shown.reasons {
            (reasons.shown())
        } @else if shown.note.is_none() {
            p.small { "There are no reasons: a number of this row is not finite." }
        }
        @if let Some(source) = shown.source { p.small { "The values are from " (source) "." } }
        @if shown.features.is_empty() && shown.reasons.is_none() { (none()) }
    }
}
