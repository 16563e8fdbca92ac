//! Rows of a data set on `/predictions`: looked up by their ids, with what the live model says of them and why.
//!
//! Not for searching the data set: see `mlops_core::stage::look_up`.

use maud::{Markup, html};
use mlops_core::ids::{DatasetVersion, ReleaseId};
use mlops_core::stage::look_up;
use serde::Serialize;

use super::parts::{card, empty, label};
use super::predicted::{self, Fault, Prediction};
use super::query::encoded;
use super::values::count;
use super::view::trouble;
use super::visit::Visit;
use crate::live::Loaded;
use crate::predict::reading::Decimal;
use crate::problem::Problem;
use crate::state::State;

/// What the name of a field begins with; the name of the id column follows.
const FIELD: &str = "row.";

/// What was looked up.
#[derive(Serialize)]
pub(crate) struct Found {
    /// The ids that were asked for, by column.
    ids: Vec<(String, String)>,
    /// The data set that was searched; none if it is not there any more.
    dataset: Option<DatasetVersion>,
    /// The name of its file.
    file: Option<String>,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Where the search goes on, if it did not reach the end.
    next: Option<u64>,
    /// The number of the row that is shown, from 0, with its prediction.
    shown: Option<Shown>,
}

#[derive(Serialize)]
struct Shown {
    row: usize,
    /// The live release, which predicts it.
    release: ReleaseId,
    prediction: Option<Prediction>,
    /// Why there is none.
    faults: Vec<Fault>,
}

/// What the query asks for; `None` if it names no row.
pub(crate) fn find(
    app: &State,
    loaded: Option<&Loaded>,
    visit: &Visit,
) -> Result<Option<Found>, Problem> {
    let asked = visit.query.iter().filter_map(|(name, value)| {
        let column = name.strip_prefix(FIELD)?;
        let value = value.trim();
        (!value.is_empty()).then(|| (column.to_owned(), value.to_owned()))
    });
    let ids: Vec<(String, String)> = asked.collect();
    if ids.is_empty() {
        return Ok(None);
    }
    let known = |column: &str| {
        loaded.is_some_and(|loaded| {
            loaded.model.schema.columns().iter().any(|known| known.name == column)
        })
    };
    if let Some((column, _)) = ids.iter().find(|(column, _)| !known(column)) {
        let column = mlops_core::text::name(column);
        return Err(Problem::malformed(format!("the live model knows no column \"{column}\"")));
    }
    let number = |name: &str| visit.query.get(name).and_then(|text| text.parse::<u64>().ok());
    let version = number("data").and_then(|n| u32::try_from(n).ok()).map(DatasetVersion);
    let found = look_up::find(&app.context, version, &ids, number("rows_from").unwrap_or(0));
    let Some(found) = found.map_err(trouble)? else {
        let columns = Vec::new();
        let (dataset, file) = (version, None);
        return Ok(Some(Found {
            ids,
            dataset,
            file,
            columns,
            rows: Vec::new(),
            next: None,
            shown: None,
        }));
    };
    let row = number("nth").and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let shown = found.rows.get(row).zip(loaded).map(|(cells, loaded)| {
        let texts: Vec<(&str, &str)> = found
            .columns
            .iter()
            .zip(cells)
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .filter(|(name, _)| *name != loaded.model.schema.target())
            .collect();
        // A data set has numbers with a decimal point, whatever its files had.
        let (prediction, faults) = match Prediction::of(app, loaded, Decimal::Point, &texts) {
            Ok(prediction) => (Some(prediction), Vec::new()),
            Err(faults) => (None, faults),
        };
        Shown { row, release: loaded.id.clone(), prediction, faults }
    });
    Ok(Some(Found {
        ids,
        dataset: Some(found.dataset),
        file: Some(found.file),
        columns: found.columns,
        rows: found.rows,
        next: found.next,
        shown,
    }))
}

/// The form for it; `columns` are the id columns.
pub(crate) fn form(visit: &Visit, columns: &[String], found: Option<&Found>) -> Markup {
    let value = |column: &str| {
        let asked = found.and_then(|found| found.ids.iter().find(|(name, _)| name == column));
        asked.map_or("", |(_, value)| value.as_str())
    };
    let data = visit.query.get("data").unwrap_or_default();
    let content = html! {
        p { "By its ids, in the newest data set or an earlier one that is kept. The live model predicts it now; nothing is recorded." }
        form.ask method="get" action=(visit.link("/predictions")) {
            @for (k, column) in columns.iter().enumerate() {
                div {
                    label for={ "row-" (k) } { (label(column)) }
                    input id={ "row-" (k) } type="search" name={ (FIELD) (column) } value=(value(column)) size="24" autocomplete="off" spellcheck="false";
                }
            }
            div {
                label for="data" { "Data set" }
                input #data type="number" min="0" name="data" value=(data) placeholder="newest" size="8";
            }
            button type="submit" { "Look up" }
        }
    };
    card("look-up-row", "Look up a row of the data", &content)
}

impl Found {
    /// The rows, and the one that is shown with its prediction.
    pub(crate) fn shown(&self, visit: &Visit) -> Markup {
        let Some(file) = &self.file else {
            let what = "There is no such data set any more, or none yet.";
            return card("rows", "Found in the data", &empty(what, None));
        };
        html! {
            @if let Some(shown) = &self.shown { (self.one(visit, shown)) }
            (card("rows", "Found in the data", &self.list(visit, file)))
        }
    }

    fn one(&self, visit: &Visit, shown: &Shown) -> Markup {
        let cells = self.columns.iter().zip(&self.rows[shown.row]);
        let release = html! {
            a href=(visit.below("/releases", shown.release.as_str())) { code { (shown.release) } }
        };
        let content = html! {
            @match &shown.prediction {
                Some(prediction) => (predicted::shown(prediction, vec![("By the live release", release)])),
                None => (predicted::refused(&shown.faults)),
            }
            details {
                summary { "All cells of the row" }
                dl.facts {
                    @for (name, text) in cells {
                        div { dt { (label(name)) } dd { @if text.is_empty() { "missing" } @else { (label(text)) } } }
                    }
                }
            }
        };
        card("row", "Row of the data", &content)
    }

    fn list(&self, visit: &Visit, file: &str) -> Markup {
        let shown = self.shown.as_ref().map(|shown| shown.row);
        let first: Vec<usize> = (0..self.columns.len()).take(6).collect();
        html! {
            @if self.rows.is_empty() {
                p.empty { "No row of " (file) " has these ids" @if self.next.is_some() { " in the part that was searched" } "." }
            } @else {
                div.scroll role="group" aria-label="Rows found" tabindex="0" {
                    table {
                        thead { tr { th scope="col" { "Row" } @for at in &first { th scope="col" { (label(&self.columns[*at])) } } } }
                        tbody {
                            @for (k, row) in self.rows.iter().enumerate() {
                                tr {
                                    th scope="row" data-name="Row" {
                                        div { a href=(visit.with("nth", &k.to_string())) aria-current=[(shown == Some(k)).then_some("true")] { (count(k as u64 + 1)) } }
                                    }
                                    @for at in &first {
                                        td data-name=(self.columns[*at]) { div { (label(row.get(*at).map_or("", String::as_str))) } }
                                    }
                                }
                            }
                        }
                    }
                }
                @if self.columns.len() > first.len() {
                    p.small { "The first " (count(first.len() as u64)) " of " (count(self.columns.len() as u64)) " columns." }
                }
            }
            p.small { "Searched: " (file) "." }
            @if let Some(next) = self.next {
                p { a href={ (visit.link("/predictions")) "?" (self.address(next)) } { "Search on" } }
            }
        }
    }

    /// The query that searches on from byte `next`.
    fn address(&self, next: u64) -> String {
        let ids = self.ids.iter();
        let mut parts: Vec<String> = ids
            .map(|(name, value)| format!("{FIELD}{}={}", encoded(name), encoded(value)))
            .collect();
        parts.extend(self.dataset.map(|DatasetVersion(version)| format!("data={version}")));
        parts.push(format!("rows_from={next}"));
        parts.join("&")
    }
}
