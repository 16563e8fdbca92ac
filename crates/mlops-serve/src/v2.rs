//! The Open Inference Protocol v2: one tensor per column, or one matrix of all numbers.
//!
//! Answers are the tensors `prediction` and `probability`, with a scorecard also `points`. Tensors are JSON; the binary extension
//! is neither supported nor announced. Not for a row's values: see `predict::rows`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::RequestExt as _;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use mlops_core::text;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::body::{self, Format};
use crate::call::Call;
use crate::columns::Slot;
use crate::live::Loaded;
use crate::predict::answer::{Part, Script};
use crate::predict::column::{Elements, Kind};
use crate::predict::explain::{self, Field, Written};
use crate::predict::json::unsound;
use crate::predict::rows::Rows;
use crate::predict::{Wishes, of_rows, record, room_for};
use crate::problem::Problem;
use crate::state::State as Shared;

/// Tensor types whose elements are numbers.
pub(crate) const NUMBERS: [&str; 11] = [
    "FP64", "FP32", "FP16", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16",
    "UINT8",
];

/// The model that a path names.
#[derive(Debug, Deserialize)]
struct Named {
    model: String,
    version: Option<String>,
}

/// Answers `GET /v2`.
pub(crate) fn server(_: &Call) -> Response {
    let value = json!({ "name": "mlops", "version": env!("CARGO_PKG_VERSION"), "extensions": [] });
    body::typed(value.to_string(), "application/json")
}

/// Answers `GET /v2/health/live`.
pub(crate) fn live(_: &Call) -> Response {
    body::typed(json!({ "live": true }).to_string(), "application/json")
}

/// Answers `GET /v2/health/ready`.
pub(crate) fn server_ready(Call { app, .. }: &Call) -> Response {
    readiness(app.ready())
}

/// Answers `GET /v2/models/{model}/ready`.
pub(crate) async fn model_ready(call: Call) -> Result<Response, Problem> {
    let Call { app, mut request, .. } = call;
    let named = Named::of(&mut request).await?;
    named.check_name(&app)?;
    if let Some(loaded) = app.live.get() {
        named.check_version(&loaded)?;
    }
    Ok(readiness(app.ready()))
}

fn readiness(ready: bool) -> Response {
    let mut response = body::typed(json!({ "ready": ready }).to_string(), "application/json");
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

impl Named {
    async fn of(request: &mut Request) -> Result<Self, Problem> {
        let Path(named) = request
            .extract_parts()
            .await
            .map_err(|e: PathRejection| Problem::new(e.status(), "the path cannot be read"))?;
        Ok(named)
    }

    fn check_name(&self, app: &Shared) -> Result<(), Problem> {
        let service = app.service();
        let name = &service.model_name;
        if self.model == *name {
            return Ok(());
        }
        Err(Problem::new(StatusCode::NOT_FOUND, format!("there is one model here, {name:?}")))
    }

    fn check_version(&self, loaded: &Loaded) -> Result<(), Problem> {
        match &self.version {
            Some(version) if version != loaded.id.as_str() => Err(Problem::new(
                StatusCode::NOT_FOUND,
                format!("the version that is served is {:?}", loaded.id.as_str()),
            )),
            _ => Ok(()),
        }
    }

    /// The release that the path names.
    fn find(&self, app: &Shared) -> Result<Arc<Loaded>, Problem> {
        self.check_name(app)?;
        let loaded = app.live.get().ok_or_else(Problem::no_model)?;
        self.check_version(&loaded)?;
        Ok(loaded)
    }
}

/// Answers `GET /v2/models/{model}`.
pub(crate) async fn metadata(call: Call) -> Result<Response, Problem> {
    let Call { app, mut request, .. } = call;
    let named = Named::of(&mut request).await?;
    let loaded = named.find(&app)?;
    let inputs: Vec<Value> = loaded
        .columns
        .features()
        .map(|(name, slot)| {
            let kind = if matches!(slot, Slot::Numeric { .. }) { "FP64" } else { "BYTES" };
            json!({ "name": name, "datatype": kind, "shape": [-1] })
        })
        .collect();
    let outputs: Vec<Value> = Answered::of(&loaded)
        .map(|output| json!({ "name": output.name(), "datatype": output.kind(&loaded), "shape": [-1] }))
        .collect();
    let value = json!({
        "name": named.model, "versions": [loaded.id], "platform": "mlops_logistic_regression",
        "inputs": inputs, "outputs": outputs,
    });
    Ok(body::json(value.to_string().into_bytes(), &loaded))
}

fn label_type(loaded: &Loaded) -> &'static str {
    if loaded.numeric_labels { "INT64" } else { "BYTES" }
}

/// An output of every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Prediction,
    Probability,
    /// Of a scorecard.
    Points,
}

impl Answered {
    /// Those of the model, in the order of answers.
    fn of(loaded: &Loaded) -> impl Iterator<Item = Self> + use<> {
        let points = loaded.scorecard.is_some().then_some(Self::Points);
        [Self::Prediction, Self::Probability].into_iter().chain(points)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Prediction => "prediction",
            Self::Probability => "probability",
            Self::Points => "points",
        }
    }

    /// The type of its tensor.
    fn kind(self, loaded: &Loaded) -> &'static str {
        match self {
            Self::Prediction => label_type(loaded),
            Self::Probability => "FP64",
            Self::Points => "INT64",
        }
    }
}

/// The body of an inference request.
#[derive(Debug, Deserialize)]
struct Inference<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    inputs: Vec<Tensor<'a>>,
    #[serde(borrow, default)]
    outputs: Vec<Output<'a>>,
    parameters: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct Tensor<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    shape: Vec<u64>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    /// The elements, in row-major order; `None` if they come in the binary extension.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Answers `POST /v2/models/{model}/infer`.
pub(crate) async fn infer(call: Call) -> Result<Response, Problem> {
    let Call { app, id, mut request, max_body } = call;
    let named = Named::of(&mut request).await?;
    let loaded = named.find(&app)?;
    if request.headers().contains_key("inference-header-content-length") {
        return Err(Problem::malformed(BINARY));
    }
    let body = body::read(request, &app, max_body).await?;
    if body.format == Format::Csv {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json")
            .with(header::ACCEPT, "application/json"));
    }
    body::work(body.large, move || {
        let mut body = body;
        let bytes = std::mem::take(&mut body.bytes);
        let asked: Inference = serde_json::from_slice(&bytes).map_err(|e| {
            let text = String::from_utf8_lossy(&bytes);
            Problem::malformed(if e.is_data() {
                format!("the body is not a request for inference: {e}")
            } else {
                unsound(&text, &e)
            })
        })?;
        let outputs = asked_outputs(&asked, &loaded)?;
        let explain = asked.parameters.as_ref().and_then(|parameters| parameters.get(explain::KEY));
        let explain = explain::of_json(explain)?;
        let wishes = Wishes::of(&app, explain);
        let mut predicted = of_rows(&loaded, &body, wishes, |rows| fill(&asked.inputs, rows))?;
        room_for(&app, &mut body.share, &predicted)?;
        let id = id.or_callers(asked.id.as_deref());
        record(&app, &loaded, &id, &predicted, body.large)?;
        let explained =
            predicted.contributions.take().map(|found| found.with(&app.service().config.reasons));
        let points = std::mem::take(&mut predicted.points);
        let rows = (predicted.probabilities.len(), points);
        let parts = answer(&asked, &outputs, &named, &loaded, rows, explained.as_ref());
        drop(asked);
        drop(bytes);
        let script = Script::new(&loaded, predicted.probabilities, parts, body.share);
        Ok(body::json(script.explained(explained).body(), &loaded))
    })
    .await
}

/// What to do if tensors do not come as JSON.
const BINARY: &str = "tensors must come as JSON: turn the binary extension off (in tritonclient, \
                      binary_data=False)";

/// The outputs that a request asks for, or all.
fn asked_outputs(asked: &Inference, loaded: &Loaded) -> Result<Vec<Answered>, Problem> {
    let mut found = Vec::new();
    for Output { name } in &asked.outputs {
        let Some(output) = Answered::of(loaded).find(|output| output.name() == name) else {
            let known: Vec<String> =
                Answered::of(loaded).map(|known| format!("{:?}", known.name())).collect();
            let detail = format!("there is no output {name:?}: ask for {}", known.join(", "));
            return Err(Problem::malformed(detail));
        };
        if found.contains(&output) {
            return Err(Problem::malformed(format!("the output {name:?} is asked for twice")));
        }
        found.push(output);
    }
    Ok(if found.is_empty() { Answered::of(loaded).collect() } else { found })
}

/// Puts tensors into rows.
fn fill(tensors: &[Tensor], rows: &mut Rows) -> Result<(), Problem> {
    if let [matrix] = tensors
        && matrix.shape.len() == 2
        && rows.loaded.columns.find(&matrix.name, 0).is_none()
    {
        return fill_matrix(matrix, rows);
    }
    let length = tensors.first().map_or(0, |t| t.shape.first().copied().unwrap_or_default());
    let mut columns: Vec<(usize, Column)> = Vec::new();
    for tensor in tensors {
        let column = Column::of(tensor)?;
        let Tensor { name, shape, .. } = tensor;
        if !matches!(shape[..], [_] | [_, 1]) {
            let detail = format!("tensor {name:?} of a column must have the shape [n] or [n, 1]");
            return Err(Problem::malformed(detail));
        }
        if shape[0] != length {
            let rows = text::plural(shape[0], "row");
            let detail = format!("tensor {name:?} has {rows}, another has {length}");
            return Err(Problem::malformed(detail));
        }
        match rows.loaded.columns.find(name, columns.len()) {
            Some(c) if columns.iter().any(|(other, _)| *other == c) => {
                return Err(Problem::malformed(format!("tensor {name:?} is there twice")));
            }
            Some(c) => columns.push((c, column)),
            None => rows.notes.ignore(name, length),
        }
    }
    for _ in 0..length {
        for (c, column) in &mut columns {
            column.put(rows, *c)?;
        }
        rows.end();
    }
    Ok(())
}

/// A matrix whose columns are all features, in order.
fn fill_matrix(matrix: &Tensor, rows: &mut Rows) -> Result<(), Problem> {
    let columns = &rows.loaded.columns;
    let feature = |c: &usize| !matches!(columns.slot(*c), Slot::Id(_) | Slot::Target);
    let features: Vec<usize> = (0..columns.len()).filter(feature).collect();
    let mut elements = Column::of(matrix)?;
    if matrix.shape[1] != features.len() as u64 {
        let detail = format!(
            "matrix {:?} has {}, the model has {}",
            matrix.name,
            text::plural(matrix.shape[1], "column"),
            text::plural(features.len() as u64, "feature")
        );
        return Err(Problem::malformed(detail));
    }
    for _ in 0..matrix.shape[0] {
        for c in &features {
            elements.put(rows, *c)?;
        }
        rows.end();
    }
    Ok(())
}

/// The elements of a tensor that matches its declaration.
struct Column<'a> {
    tensor: &'a Tensor<'a>,
    elements: Elements<'a>,
    /// The kind that its elements must not have.
    never: Kind,
}

impl<'a> Column<'a> {
    fn of(tensor: &'a Tensor) -> Result<Self, Problem> {
        let Tensor { name, shape, datatype, data } = tensor;
        let Some(data) = data else {
            let detail = format!("tensor {name:?} has no \"data\"; {BINARY}");
            return Err(Problem::malformed(detail));
        };
        let elements = Elements::flat(data.get());
        let n = elements.clone().count() as u64;
        let size = shape.iter().try_fold(1_u64, |size, n| size.checked_mul(*n));
        if shape.is_empty() || size != Some(n) {
            let detail =
                format!("tensor {name:?} has {n} elements, which is not the shape {shape:?}");
            return Err(Problem::malformed(detail));
        }
        let never = match datatype.as_ref() {
            "BYTES" | "BOOL" => Kind::Number,
            kind if NUMBERS.contains(&kind) => Kind::Text,
            _ => {
                let detail = format!("tensor {name:?} has the unknown datatype {datatype:?}");
                return Err(Problem::malformed(detail));
            }
        };
        Ok(Self { tensor, elements, never })
    }

    /// Puts its next element into column `c` of the current row.
    fn put(&mut self, rows: &mut Rows, c: usize) -> Result<(), Problem> {
        let Some(element) = self.elements.next() else { return Ok(()) };
        let kind = element.kind();
        if kind == self.never || kind == Kind::Misfit {
            let Tensor { name, datatype, .. } = self.tensor;
            let detail = format!("tensor {name:?} has an element that is not of {datatype}");
            return Err(Problem::malformed(detail));
        }
        element.put(rows, c).map_err(Problem::malformed)
    }
}

/// The requested tensors, and those of explanations.
fn answer(
    asked: &Inference,
    outputs: &[Answered],
    named: &Named,
    loaded: &Loaded,
    (rows, mut points): (usize, Vec<Option<i64>>),
    explained: Option<&Written>,
) -> Vec<Part> {
    let mut head = json!({ "model_name": named.model, "model_version": loaded.id });
    if let Some(id) = &asked.id {
        head["id"] = json!(id);
    }
    let mut tensors: Vec<(&str, &str, String, Part)> = Vec::new();
    for output in outputs {
        let part = match output {
            Answered::Prediction => Part::Labels,
            Answered::Probability => Part::Numbers,
            Answered::Points => Part::Points(std::mem::take(&mut points)),
        };
        tensors.push((output.name(), output.kind(loaded), rows.to_string(), part));
    }
    if let Some(explained) = explained {
        head["parameters"] = json!({ "reference_log_odds": loaded.explained.reference().log_odds });
        let each = format!("{rows},{}", explained.each());
        for (name, kind, field) in [
            ("log_odds", "FP64", Field::LogOdds),
            ("contribution_column", "BYTES", Field::Column),
            ("contribution", "FP64", Field::Contribution),
            ("contribution_reason", "BYTES", Field::Reason),
            ("other_contributions", "FP64", Field::Others),
        ] {
            let shape = match field {
                Field::LogOdds | Field::Others => rows.to_string(),
                Field::Reason if !explained.has_reasons() => continue,
                _ => each.clone(),
            };
            tensors.push((name, kind, shape, Part::Explanations(field)));
        }
    }
    let mut text = head.to_string().into_bytes();
    text.pop();
    text.extend_from_slice(b",\"outputs\":[");
    let mut parts = Vec::new();
    for (i, (name, kind, shape, part)) in tensors.into_iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let tensor = format!(
            "{comma}{{\"name\":\"{name}\",\"datatype\":\"{kind}\",\"shape\":[{shape}],\"data\":["
        );
        text.extend_from_slice(tensor.as_bytes());
        parts.extend([Part::Text(std::mem::take(&mut text)), part]);
        text.extend_from_slice(b"]}");
    }
    text.extend_from_slice(b"]}");
    parts.push(Part::Text(text));
    parts
}
