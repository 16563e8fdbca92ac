//! `POST /scoring`: scores labelled rows on the live release without recording the result.
//!
//! Not for the score of the release itself: see `recorded`.

use axum::http::StatusCode;
use axum::response::Response;
use mlops_core::evaluation::metrics::Evaluation;
use mlops_core::table::Table;
use serde_json::json;

use crate::body::{self, Body, Format};
use crate::call::Call;
use crate::live::Loaded;
use crate::predict::answer::Predicted;
use crate::predict::rows::{Notes, Rows, Wants};
use crate::predict::{Wishes, csv, file, json, with_table};
use crate::problem::Problem;
use crate::state::State as Shared;

/// Answers `POST /scoring`.
pub(crate) async fn score(call: Call) -> Result<Response, Problem> {
    let Call { app, request, max_body, .. } = call;
    let loaded = app.live.get().ok_or_else(Problem::no_model)?;
    let body = body::read(request, &app, max_body).await?;
    // Sorting takes time.
    body::work(true, move || {
        let mut body = body;
        let scored = read(&app, &loaded, &mut body)?;
        body.bytes = axum::body::Bytes::new();
        let training = loaded.model.training;
        if scored.labels.is_empty() {
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "there is no row to score"));
        }
        let probabilities = &scored.predicted.probabilities;
        let evaluation = Evaluation::of(&scored.labels, probabilities, training.threshold);
        let evaluation = evaluation.map_err(|e| Problem::internal(e.to_string()))?;
        let mut value =
            serde_json::to_value(&evaluation).map_err(|e| Problem::internal(e.to_string()))?;
        value["model_version"] = json!(loaded.id);
        let columns = loaded.columns.iter().zip(&scored.notes.imputed).filter(|(_, n)| **n > 0);
        value["imputed"] = columns.map(|((name, _), n)| (name.to_owned(), json!(n))).collect();
        value["unknown_categories"] = json!(scored.notes.unknown_categories);
        value["ignored"] = json!(scored.notes.ignored);
        Ok(body::json(value.to_string().into_bytes(), &loaded))
    })
    .await
}

#[derive(Default)]
struct Scored {
    labels: Vec<bool>,
    predicted: Predicted,
    notes: Notes,
}

impl Scored {
    fn append(&mut self, loaded: &Loaded, table: &Table, notes: &mut Notes) {
        self.predicted.append(loaded, table, notes, Wishes::default());
        self.labels.extend_from_slice(&table.labels);
    }
}

fn read(app: &Shared, loaded: &Loaded, sent: &mut Body) -> Result<Scored, Problem> {
    let mut scored = Scored::default();
    let mut notes = Notes::default();
    let mut named = None;
    if sent.format == Format::Json {
        with_table(loaded, sent.bytes.len(), |table| {
            let mut take = |table: &Table, notes: &mut Notes| scored.append(loaded, table, notes);
            let cells = &loaded.readings.get(sent.decimal).cells;
            let mut rows = Rows::new((loaded, cells), table, &mut notes, Wants::Labels, &mut take);
            named = json::read(&sent.bytes, &mut rows).map_err(Problem::malformed)?.file;
            rows.flush();
            Ok::<_, Problem>(())
        })?;
    }
    let append = |table: &Table, notes: &mut Notes| scored.append(loaded, table, notes);
    match (&named, sent.format) {
        (Some(name), _) => {
            notes = Notes::default();
            let _place = body::disk_now(app)?;
            let (file, path, share) = file::open(app, name)?;
            let source = csv::Source::file(file, &path, loaded);
            csv::read(source, loaded, Wants::Labels, &mut notes, append)?;
            sent.share = share;
        }
        (None, Format::Csv) => {
            let source = csv::Source::body(sent, loaded)?;
            csv::read(source, loaded, Wants::Labels, &mut notes, append)?;
        }
        (None, Format::Json) => {}
    }
    if notes.faults.count > 0 {
        return Err(Problem::rows(notes.faults));
    }
    scored.notes = notes;
    Ok(scored)
}
