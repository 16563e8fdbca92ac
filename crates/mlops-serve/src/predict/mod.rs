//! `POST /prediction`: the bytes of a request become a table of features, and that an answer.
//!
//! | step | file |
//! |---|---|
//! | JSON to rows | `json` |
//! | CSV to rows | `csv`, and `file` for a file that is named |
//! | a row into the table, or its faults | `rows`, `faults` |
//! | probabilities to an answer | `answer` |
//!
//! Synchronous, on the thread that read the body, unless it is large.

pub(crate) mod answer;
pub(crate) mod csv;
pub(crate) mod faults;
pub(crate) mod file;
pub(crate) mod json;
pub(crate) mod rows;

use std::cell::RefCell;

use axum::extract::{Request, State};
use axum::response::Response;
use mlops_core::model::Predictor;
use mlops_core::table::Table;

use crate::around::RequestId;
use crate::body::{self, Body, Format};
use crate::live::Loaded;
use crate::problem::Problem;
use crate::state::{App, State as Shared};
use answer::Predicted;
use rows::{Notes, Rows, Wants};

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// For the client.
    Problem(Problem),
    /// For the log.
    Inside(mlops_core::Error),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Problem(problem) => problem,
            Failure::Inside(error) => {
                tracing::error!("a request failed: {error}");
                Self::internal()
            }
        }
    }
}

/// Answers `POST /prediction`.
pub(crate) async fn predict(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let loaded = app.live.get().ok_or_else(Problem::no_model)?;
    let id = RequestId::of(&request);
    let body = body::read(request, app.service()).await?;
    let large = body.large();
    let shared = App::clone(&app);
    body::work(large, move || {
        let outcome = prediction(&shared, &loaded, &body, &id)?;
        let predicted = match outcome {
            Outcome::Predicted(predicted) => predicted,
            Outcome::File(name) => {
                return Ok(Step::File(name, loaded, id));
            }
        };
        Ok(Step::Done(body::json(predicted.json(&loaded), &loaded)))
    })
    .await?
    .finish(app)
    .await
}

/// How far a request came.
enum Step {
    Done(Response),
    /// A file is to be read, which may wait for a disk.
    File(json::FileName, std::sync::Arc<Loaded>, RequestId),
}

impl Step {
    async fn finish(self, app: App) -> Result<Response, Problem> {
        match self {
            Self::Done(response) => Ok(response),
            Self::File(name, loaded, id) => {
                body::work(true, move || {
                    let file = file::open(&app.context.config, &name)?;
                    let predicted = of_csv(&app, &loaded, file, csv::CHUNK, &id)?;
                    Ok(body::json(predicted.json(&loaded), &loaded))
                })
                .await
            }
        }
    }
}

enum Outcome {
    Predicted(Predicted),
    File(json::FileName),
}

fn prediction(
    app: &Shared,
    loaded: &Loaded,
    body: &Body,
    id: &RequestId,
) -> Result<Outcome, Problem> {
    match body.format {
        Format::Csv => {
            let chunk = (body.bytes.len() + 1).min(csv::CHUNK);
            of_csv(app, loaded, body.bytes.as_ref(), chunk, id).map(Outcome::Predicted)
        }
        Format::Json => {
            let mut file = None;
            let predicted = of_rows(app, loaded, id, body.bytes.len(), |rows| {
                file = json::read(&body.bytes, rows).map_err(Problem::malformed)?.file;
                Ok(())
            })?;
            Ok(match file {
                Some(name) => Outcome::File(name),
                None => Outcome::Predicted(predicted),
            })
        }
    }
}

/// Predicts the rows that `fill` puts in.
pub(crate) fn of_rows(
    app: &Shared,
    loaded: &Loaded,
    id: &RequestId,
    bytes: usize,
    fill: impl FnOnce(&mut Rows) -> Result<(), Problem>,
) -> Result<Predicted, Problem> {
    let mut predicted = Predicted::default();
    with_table(loaded, bytes, |table| {
        let notes = &mut predicted.notes;
        fill(&mut Rows::new(loaded, table, notes, Wants::Features))?;
        if notes.faults.count > 0 {
            return Err(Problem::rows(std::mem::take(&mut notes.faults)));
        }
        append(app, loaded, table, &mut predicted, id);
        Ok(())
    })?;
    count(loaded, &predicted);
    Ok(predicted)
}

/// Predicts rows of CSV, a batch at a time.
pub(crate) fn of_csv(
    app: &Shared,
    loaded: &Loaded,
    input: impl std::io::Read,
    chunk: usize,
    id: &RequestId,
) -> Result<Predicted, Problem> {
    let mut predicted = Predicted::default();
    let mut notes = Notes::default();
    csv::read(input, chunk, loaded, Wants::Features, &mut notes, |table, _| {
        append(app, loaded, table, &mut predicted, id);
    })?;
    notes.unknown_categories = predicted.notes.unknown_categories;
    if notes.faults.count > 0 {
        return Err(Problem::rows(notes.faults));
    }
    predicted.notes = notes;
    count(loaded, &predicted);
    Ok(predicted)
}

/// Predicts the rows of `table`, which follow those that were predicted before.
fn append(app: &Shared, loaded: &Loaded, table: &Table, out: &mut Predicted, id: &RequestId) {
    let predictions = Predictor::new(&loaded.model).predict(table);
    out.notes.unknown_categories += predictions.unknown_categories;
    let first = out.probabilities.len();
    // A row that the model does not answer was a fault before it came here.
    out.probabilities.extend(predictions.rows.iter().flatten().map(|p| p.probability));
    if let Some(log) = &app.predictions {
        log.note(app, loaded, id, table, &out.probabilities, first);
    }
}

fn count(loaded: &Loaded, predicted: &Predicted) {
    loaded.counts.add(&predicted.probabilities, loaded.model.training.threshold);
}

/// Lends a table with the columns of `loaded`, empty, whose memory is used again and again; `bytes`
/// is the size of what will be put in, and large memory is given back.
pub(crate) fn with_table<T>(
    loaded: &Loaded,
    bytes: usize,
    work: impl FnOnce(&mut Table) -> T,
) -> T {
    thread_local! {
        static TABLE: RefCell<Table> = RefCell::new(Table::default());
    }
    let mut table = TABLE.take();
    let model = &loaded.model;
    let fits = table.numeric.len() == model.encoder.numeric.len()
        && table.categorical.len() == model.encoder.categorical.len()
        && table.ids.len() == model.schema.count(mlops_core::schema::Role::Id);
    if fits {
        table.clear();
    } else {
        table = Table::new(&model.schema);
    }
    let result = work(&mut table);
    if bytes <= body::INLINE {
        TABLE.set(table);
    }
    result
}
