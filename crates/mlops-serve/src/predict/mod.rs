//! `POST /prediction`: turns the bytes of a request into a table of features, and that into an
//! answer.
//!
//! | step | file |
//! |---|---|
//! | JSON to rows | `json`; `column` if it is sent column by column |
//! | CSV to rows | `csv`, and `file` for a named file |
//! | a row into the table, or its faults | `rows`, `faults` |
//! | number formats | `reading` |
//! | probabilities to an answer | `answer` |
//!
//! Synchronous, on the thread that read the body unless it is large.

pub(crate) mod answer;
pub(crate) mod column;
pub(crate) mod csv;
pub(crate) mod faults;
pub(crate) mod file;
pub(crate) mod json;
pub(crate) mod reading;
pub(crate) mod rows;

use std::cell::RefCell;
use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use mlops_core::platform::clock::rfc3339;
use mlops_core::table::Table;

use crate::body::{self, Body, Format};
use crate::budget::LARGE;
use crate::call::Call;
use crate::live::Loaded;
use crate::problem::Problem;
use crate::request_id::RequestId;
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
            Failure::Inside(error) => Self::internal(error.to_string()),
        }
    }
}

/// Answers `POST /prediction`.
pub(crate) async fn predict(call: Call) -> Result<Response, Problem> {
    let Call { app, id, request, max_body } = call;
    let loaded = app.live.get().ok_or_else(Problem::no_model)?;
    let body = body::read(request, &app, max_body).await?;
    let shared = App::clone(&app);
    let step = body::work(body.large, move || {
        let mut body = body;
        match prediction(&shared, &loaded, &body)? {
            Outcome::Predicted(predicted) => {
                body.bytes = Bytes::new();
                record(&shared, &loaded, &id, &predicted, body.large);
                Ok(Step::Done(body::json(predicted.json(&loaded, body.share), &loaded)))
            }
            Outcome::File(name) => Ok(Step::File(name, loaded, id, body)),
        }
    });
    match step.await? {
        Step::Done(response) => Ok(response),
        Step::File(name, loaded, id, body) => {
            let place = body::disk(&app).await?;
            body::work(true, move || {
                let _place = place;
                let (file, path, share) = file::open(&app, &name)?;
                let source = csv::Source::file(file, &path, &loaded);
                let predicted = of_csv(source, &loaded, app.predictions.is_some())?;
                record(&app, &loaded, &id, &predicted, true);
                let answer = body::json(predicted.json(&loaded, share), &loaded);
                drop(body);
                Ok(answer)
            })
            .await
        }
    }
}

/// The result of the first part of a request.
enum Step {
    Done(Response),
    /// A file is to be read, which may wait for a disk; the request keeps its place.
    File(json::FileName, Arc<Loaded>, RequestId, Body),
}

enum Outcome {
    Predicted(Predicted),
    File(json::FileName),
}

fn prediction(app: &Shared, loaded: &Loaded, body: &Body) -> Result<Outcome, Problem> {
    let keep_ids = app.predictions.is_some();
    match body.format {
        Format::Csv => {
            of_csv(csv::Source::body(body, loaded)?, loaded, keep_ids).map(Outcome::Predicted)
        }
        Format::Json => {
            let mut file = None;
            let predicted = of_rows(loaded, body, keep_ids, |rows| {
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

/// Predicts the rows that `fill` takes from `body`.
pub(crate) fn of_rows(
    loaded: &Loaded,
    body: &Body,
    keep_ids: bool,
    fill: impl FnOnce(&mut Rows) -> Result<(), Problem>,
) -> Result<Predicted, Problem> {
    let (mut predicted, mut notes) = (Predicted::default(), Notes::default());
    with_table(loaded, body.size, |table| {
        let mut take = |table: &Table, notes: &mut Notes| {
            predicted.append(loaded, table, notes, keep_ids);
        };
        let cells = &loaded.readings.get(body.decimal).cells;
        let mut rows = Rows::new((loaded, cells), table, &mut notes, Wants::Features, &mut take);
        fill(&mut rows)?;
        rows.flush();
        Ok::<_, Problem>(())
    })?;
    predicted.sound(notes)
}

/// Predicts CSV rows, a batch at a time.
pub(crate) fn of_csv(
    source: csv::Source<'_, impl std::io::Read>,
    loaded: &Loaded,
    keep_ids: bool,
) -> Result<Predicted, Problem> {
    let (mut predicted, mut notes) = (Predicted::default(), Notes::default());
    csv::read(source, loaded, Wants::Features, &mut notes, |table, notes| {
        predicted.append(loaded, table, notes, keep_ids);
    })?;
    predicted.sound(notes)
}

impl Predicted {
    /// Adds the notes on the rows, or fails if they cannot be predicted.
    fn sound(mut self, notes: Notes) -> Result<Self, Problem> {
        if notes.faults.count > 0 {
            return Err(Problem::rows(notes.faults));
        }
        self.notes = notes;
        Ok(self)
    }
}

/// Counts and logs predictions that will be answered; `large` ones may wait briefly for the log.
pub(crate) fn record(
    app: &Shared,
    loaded: &Loaded,
    id: &RequestId,
    predicted: &Predicted,
    large: bool,
) {
    loaded.counts.add(&predicted.probabilities, loaded.model.training.threshold);
    if let Some(log) = &app.predictions {
        log.note(&rfc3339(app.context.clock.now()), loaded, id, predicted, large);
    }
}

/// Lends an empty table with the columns of `loaded` whose memory is reused; `bytes` is the size of
/// the input, and large memory is released.
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
    let numbers = model.encoder.numeric.len() + model.encoder.dates.len();
    let fits = table.numeric.len() == numbers
        && table.categorical.len() == model.encoder.categorical.len()
        && table.ids.len() == model.schema.count(mlops_core::table::schema::Role::Id);
    if fits {
        table.clear();
    } else {
        table = Table::new(&model.schema);
    }
    let result = work(&mut table);
    if bytes <= LARGE {
        TABLE.set(table);
    }
    result
}
