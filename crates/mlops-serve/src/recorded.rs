//! `GET /scoring`, `/summarystats`, `/diagnostics`: records about the live release.
//!
//! Read from the release, `diagnostics.json` and the ledger; nothing is computed or written. JSON, or a table for
//! requests that accept `text/plain`.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use mlops_core::evaluation::metrics::Interval;
use mlops_core::ids::ReleaseId;
use mlops_core::ledger::{Deployment, Ledger};
use mlops_core::profile::ColumnProfile;
use mlops_core::run::context::LeftOut;
use mlops_core::stage::diagnose::{self, Diagnostics, columns_table};
use mlops_core::text;
use serde::Serialize;
use serde_json::{Value, json};

use crate::body;
use crate::call::Call;
use crate::live::Loaded;
use crate::pages::view::trouble;
use crate::problem::Problem;
use crate::state::State as Shared;

/// Answers `GET /scoring`.
pub(crate) async fn scoring(call: Call) -> Result<Response, Problem> {
    answer(call, |app, loaded| {
        let score = loaded.score.as_ref().ok_or_else(|| {
            missing("the live release has no readable score: run `scoring` and `deployment`")
        })?;
        let deployment = deployment(app, loaded)?;
        let mut value =
            serde_json::to_value(score).map_err(|e| Problem::internal(e.to_string()))?;
        value["model_version"] = json!(loaded.id);
        value["deployment"] = deployment.as_ref().map_or(Value::Null, |d| {
            json!({
                "recorded": d.recorded, "action": d.action, "step": d.step, "run_id": d.run_id,
                "reason": d.reason, "dataset": d.dataset,
            })
        });
        let e = &score.evaluation;
        let mut words = format!("Release {}\n", loaded.id);
        let shown = |v: f64| format!("{v:.4}");
        let range = |i: Option<Interval>| {
            i.map_or_else(String::new, |i| format!("{:.4} to {:.4}", i.low, i.high))
        };
        let rows = [
            ["F1", &shown(e.f1), &range(Some(e.f1_interval))],
            ["best constant answer", &shown(e.constant.f1), ""],
            ["precision", &shown(e.precision), &range(e.precision_interval)],
            ["recall", &shown(e.recall), &range(e.recall_interval)],
            ["accuracy", &shown(e.accuracy), &range(Some(e.accuracy_interval))],
            ["rows", &text::count(e.n), ""],
        ];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        words += &text::list(&rows);
        if let Some(d) = &deployment {
            let _ = writeln!(words, "Live since {} ({}): {}", d.recorded, d.step, d.reason);
        }
        Ok((value.to_string(), words))
    })
    .await
}

/// Answers `GET /summarystats`.
pub(crate) async fn summary(call: Call) -> Result<Response, Problem> {
    answer(call, |app, loaded| {
        let found = diagnostics(app, loaded)?;
        let head = format!("Release {} on {}, {}\n", loaded.id, found.data, found.recorded);
        let words = head + &columns_table(&found.columns);
        let value = Summary {
            model_version: &loaded.id,
            recorded: found.recorded,
            data: found.data,
            rows: found.predictions.rows,
            columns: found.columns,
            left_out: found.left_out,
        };
        Ok((text_of(&value)?, words))
    })
    .await
}

/// The statistics of the columns, as they are answered.
#[derive(Serialize)]
struct Summary<'a> {
    model_version: &'a ReleaseId,
    recorded: String,
    data: String,
    rows: u64,
    columns: Vec<ColumnProfile>,
    #[serde(skip_serializing_if = "LeftOut::is_empty")]
    left_out: LeftOut,
}

/// Answers `GET /diagnostics`.
pub(crate) async fn diagnose(call: Call) -> Result<Response, Problem> {
    answer(call, |app, loaded| {
        let found = diagnostics(app, loaded)?;
        let words = found.to_string();
        Ok((text_of(&Examined { found, model_version: &loaded.id })?, words))
    })
    .await
}

/// Diagnostics, as they are answered.
#[derive(Serialize)]
struct Examined<'a> {
    #[serde(flatten)]
    found: Diagnostics,
    model_version: &'a ReleaseId,
}

/// `answer` as JSON. Of thousands of columns a tree of values would take several times the memory.
fn text_of(answer: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(answer).map_err(|e| Problem::internal(e.to_string()))
}

/// Looks it up in the background, and answers in the format that `request` accepts.
async fn answer(
    Call { app, request, .. }: Call,
    find: impl FnOnce(&Shared, &Loaded) -> Result<(String, String), Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let plain = wants_text(request.headers());
    let loaded = app.live.get().ok_or_else(Problem::no_model)?;
    let (ours, place) = (Arc::clone(&loaded), body::disk(&app).await?);
    let work = move || {
        let _place = place;
        find(&app, &ours)
    };
    let (json, words) = body::work(true, work).await?;
    let mut response = if plain {
        body::typed(words, "text/plain; charset=utf-8")
    } else {
        body::typed(json, "application/json")
    };
    let headers = response.headers_mut();
    headers.insert(body::MODEL_VERSION, loaded.version.clone());
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// Whether `text/plain` is accepted, and JSON is not preferred.
fn wants_text(headers: &HeaderMap) -> bool {
    let weight = |kind: &str| {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
        let items = values.flat_map(|v| v.split(','));
        let weights = items.filter_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let this = parts.next()?.eq_ignore_ascii_case(kind);
            let q = parts.find_map(|p| p.strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok());
            this.then_some(q.unwrap_or(1.0))
        });
        weights.fold(0.0, f32::max)
    };
    let plain = weight("text/plain");
    plain > 0.0 && plain >= weight("application/json")
}

fn missing(detail: &'static str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, detail)
}

fn ledger(app: &Shared) -> Result<Ledger, Problem> {
    let config = &app.context.config;
    let opened = Ledger::open_to_read(&config.ledger_path()).map_err(trouble)?;
    opened.ok_or_else(|| missing("nothing is on record yet: run `diagnostics` first"))
}

/// How the live release was deployed.
fn deployment(app: &Shared, loaded: &Loaded) -> Result<Option<Deployment>, Problem> {
    let all = ledger(app)?.deployments().map_err(trouble)?;
    Ok(all.into_iter().rev().find(|d| d.release == loaded.id))
}

/// The newest diagnostics of the live release, without paths.
fn diagnostics(app: &Shared, loaded: &Loaded) -> Result<Diagnostics, Problem> {
    let (config, ledger) = (&app.context.config, ledger(app)?);
    let found = diagnose::newest(config, &ledger, &loaded.id).map_err(trouble)?;
    let mut found = found.ok_or_else(|| {
        missing("there are no diagnostics of the live release: run `diagnostics`")
    })?;
    found.data = file_name(&found.data);
    found.output = found.output.as_deref().map(file_name);
    Ok(found)
}

/// The last component of a path.
fn file_name(path: &str) -> String {
    Path::new(path).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_for_those_who_prefer_it() {
        for (accept, expected) in [
            ("text/plain", true),
            ("text/plain, */*;q=0.1", true),
            ("application/json, text/plain, */*", true),
            ("application/json, text/plain;q=0.9", false),
            ("*/*", false),
            ("text/html", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wants_text(&headers), expected, "{accept}");
        }
    }
}
