//! `POST /prediction`: turns the bytes of a request into a table of features, and that into an
//! answer.
//!
//! | step | file |
//! |---|---|
//! | JSON to rows | `json`, and `scan` for plain ones, of which `shape` reads those that look alike; `column` if it is sent column by column |
//! | CSV to rows | `csv`, and `file` for a named file |
//! | a row into the table, or its faults | `rows`, `faults` |
//! | number formats | `reading` |
//! | what moved a prediction | `explain`; `names` has what does not depend on the row |
//! | probabilities to an answer | `answer` |
//!
//! Synchronous, on the thread that read the body unless it is large.

pub(crate) mod answer;
pub(crate) mod column;
pub(crate) mod csv;
pub(crate) mod explain;
pub(crate) mod faults;
pub(crate) mod file;
pub(crate) mod json;
pub(crate) mod names;
pub(crate) mod reading;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod shape;

use std::cell::RefCell;
use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use mlops_core::platform::clock::rfc3339;
use mlops_core::prediction_log::Request;
use mlops_core::table::Table;

use crate::body::{self, Body, Format};
use crate::budget::{LARGE, Share};
use crate::call::Call;
use crate::limits::room_for_explanations;
use crate::live::Loaded;
use crate::prediction_log::PredictionLog;
use crate::problem::Problem;
use crate::request_id::RequestId;
use crate::state::{App, State as Shared};
use answer::Predicted;
use explain::Contributions;
use rows::{Notes, Rows, Wants};

/// What an answer is to have besides predictions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes {
    /// The ids of the rows, for the log.
    pub(crate) ids: bool,
    /// The features of the rows, for the log.
    pub(crate) features: bool,
    /// The number of contributions to name for each row.
    pub(crate) explain: usize,
}

impl Wishes {
    /// What the log wants, and `explain` contributions for each row.
    pub(crate) fn of(app: &Shared, explain: usize) -> Self {
        let log = app.predictions.as_ref();
        Self {
            ids: log.is_some(),
            features: log.is_some_and(PredictionLog::wants_features),
            explain,
        }
    }
}

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
    let wishes = Wishes::of(&app, explain::of_query(request.uri())?);
    let body = body::read(request, &app, max_body).await?;
    let shared = App::clone(&app);
    let step = body::work(body.large, move || {
        let mut body = body;
        match prediction(&loaded, &body, wishes)? {
            Outcome::Predicted(predicted) => {
                body.bytes = Bytes::new();
                room_for(&shared, &mut body.share, &predicted)?;
                record(&shared, &loaded, &id, &predicted, body.large)?;
                let answer = predicted.json(&loaded, &shared.service().config.reasons, body.share);
                Ok(Step::Done(body::json(answer, &loaded)))
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
                let (file, path, mut share) = file::open(&app, &name)?;
                let source = csv::Source::file(file, &path, &loaded);
                let predicted = of_csv(source, &loaded, wishes)?;
                room_for(&app, &mut share, &predicted)?;
                record(&app, &loaded, &id, &predicted, true)?;
                let answer = predicted.json(&loaded, &app.service().config.reasons, share);
                drop(body);
                Ok(body::json(answer, &loaded))
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

#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and a box would cost every request an allocation"
)]
enum Outcome {
    Predicted(Predicted),
    File(json::FileName),
}

fn prediction(loaded: &Loaded, body: &Body, wishes: Wishes) -> Result<Outcome, Problem> {
    match body.format {
        Format::Csv => {
            of_csv(csv::Source::body(body, loaded)?, loaded, wishes).map(Outcome::Predicted)
        }
        Format::Json => {
            let mut file = None;
            let predicted = of_rows(loaded, body, wishes, |rows| {
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
    wishes: Wishes,
    fill: impl FnOnce(&mut Rows) -> Result<(), Problem>,
) -> Result<Predicted, Problem> {
    let (mut predicted, mut notes) = (Predicted::default(), Notes::default());
    with_table(loaded, body.size, |table| {
        let mut take = |table: &Table, notes: &mut Notes| {
            predicted.append(loaded, table, notes, wishes);
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
    wishes: Wishes,
) -> Result<Predicted, Problem> {
    let (mut predicted, mut notes) = (Predicted::default(), Notes::default());
    csv::read(source, loaded, Wants::Features, &mut notes, |table, notes| {
        predicted.append(loaded, table, notes, wishes);
    })?;
    predicted.sound(notes)
}

impl Predicted {
    /// Adds the notes on the rows, or fails if they cannot be predicted.
    fn sound(mut self, notes: Notes) -> Result<Self, Problem> {
        if notes.faults.count > 0 {
            return Err(Problem::rows(notes.faults));
        }
        self.contributions.as_ref().map_or(Ok(()), Contributions::check)?;
        self.notes = notes;
        Ok(self)
    }
}

/// Reserves memory for the explanations of `predicted`, which are held until they are sent, and for
/// features that are kept for the log.
pub(crate) fn room_for(
    app: &Shared,
    share: &mut Share,
    predicted: &Predicted,
) -> Result<(), Problem> {
    let bytes = predicted.contributions.as_ref().map_or(0, Contributions::bytes)
        + predicted.features.as_ref().map_or(0, Table::feature_bytes);
    if bytes == 0 { Ok(()) } else { room_for_explanations(app, share, bytes) }
}

/// Counts and logs predictions that will be answered; `large` ones may wait briefly for the log.
///
/// # Errors
/// If labels could never be joined with them.
pub(crate) fn record(
    app: &Shared,
    loaded: &Loaded,
    id: &RequestId,
    predicted: &Predicted,
    large: bool,
) -> Result<(), Problem> {
    if app.predictions.is_some() {
        id.check(app.context.config.labels.by)?;
    }
    loaded.counts.add(&predicted.probabilities, loaded.model.training.threshold);
    if let Some(log) = &app.predictions {
        let at = rfc3339(app.context.clock.now());
        let request = Request { at: &at, id: id.as_str(), inference_id: id.callers() };
        log.note(request, loaded, predicted, large);
    }
    Ok(())
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
