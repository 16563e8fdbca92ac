//! The Open Inference Protocol v2: one tensor for each column, or one matrix of all numbers.
//!
//! Answers are the tensors `prediction` and `probability`. Tensors come as JSON; the binary
//! extension is not spoken, and nothing here says that it is. Not for a row's values: see
//! `predict::rows`.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::{Value, json};

use crate::around::RequestId;
use crate::body::{self, Format};
use crate::columns::Slot;
use crate::live::Loaded;
use crate::predict::answer::{Predicted, push_labels, push_numbers};
use crate::predict::of_rows;
use crate::predict::rows::Rows;
use crate::problem::Problem;
use crate::router::ready;
use crate::state::{App, State as Shared};

/// Types of tensors whose elements are numbers.
const NUMBERS: [&str; 11] = [
    "FP64", "FP32", "FP16", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16",
    "UINT8",
];

/// What an address names.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    model: String,
    version: Option<String>,
}

/// Answers `GET /v2`.
pub(crate) async fn server() -> Response {
    let value = json!({ "name": "mlops", "version": env!("CARGO_PKG_VERSION"), "extensions": [] });
    body::typed(value.to_string(), "application/json")
}

/// Answers `GET /v2/health/live`.
pub(crate) async fn live() -> Response {
    body::typed(json!({ "live": true }).to_string(), "application/json")
}

/// Answers `GET /v2/health/ready`.
pub(crate) async fn server_ready(State(app): State<App>) -> Response {
    readiness(ready(&app))
}

/// Answers `GET /v2/models/{model}/ready`.
pub(crate) async fn model_ready(
    State(app): State<App>,
    Path(named): Path<Named>,
) -> Result<Response, Problem> {
    named.check_name(&app)?;
    if let Some(loaded) = app.live.get() {
        named.check_version(&loaded)?;
    }
    Ok(readiness(ready(&app)))
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
    fn check_name(&self, app: &Shared) -> Result<(), Problem> {
        let name = &app.service().model_name;
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

    /// The release that the address names.
    fn find(&self, app: &Shared) -> Result<Arc<Loaded>, Problem> {
        self.check_name(app)?;
        let loaded = app.live.get().ok_or_else(Problem::no_model)?;
        self.check_version(&loaded)?;
        Ok(loaded)
    }
}

/// Answers `GET /v2/models/{model}`.
pub(crate) async fn metadata(
    State(app): State<App>,
    Path(named): Path<Named>,
) -> Result<Response, Problem> {
    let loaded = named.find(&app)?;
    let inputs: Vec<Value> = loaded
        .columns
        .features()
        .map(|(name, slot)| {
            let kind = if matches!(slot, Slot::Numeric { .. }) { "FP64" } else { "BYTES" };
            json!({ "name": name, "datatype": kind, "shape": [-1] })
        })
        .collect();
    let outputs = json!([
        { "name": "prediction", "datatype": label_type(&loaded), "shape": [-1] },
        { "name": "probability", "datatype": "FP64", "shape": [-1] },
    ]);
    let value = json!({
        "name": named.model, "versions": [loaded.id], "platform": "mlops_logistic_regression",
        "inputs": inputs, "outputs": outputs,
    });
    Ok(body::json(value.to_string().into_bytes(), &loaded))
}

fn label_type(loaded: &Loaded) -> &'static str {
    if loaded.numeric_labels { "INT64" } else { "BYTES" }
}

/// The body of a request for inference.
#[derive(Debug, Deserialize)]
struct Inference {
    id: Option<String>,
    inputs: Vec<Tensor>,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Debug, Deserialize)]
struct Output {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<u64>,
    datatype: String,
    data: Elements,
}

/// Elements of a tensor, in row-major order.
#[derive(Debug, Default)]
struct Elements(Vec<Element>);

#[derive(Debug, Clone)]
enum Element {
    Null,
    Number(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut elements = Self::default();
        deserializer.deserialize_seq(Flat(&mut elements.0))?;
        Ok(elements)
    }
}

/// Flattens arrays of arrays.
struct Flat<'e>(&'e mut Vec<Element>);

impl<'de> serde::de::DeserializeSeed<'de> for Flat<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Flat<'_> {
    fn push(self, element: Element) {
        self.0.push(element);
    }
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Flat(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.push(Element::Number(value as f64));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.push(Element::Number(value as f64));
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.push(Element::Number(value));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.push(Element::Text(text.to_owned()));
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.push(Element::Text(value.to_string()));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.push(Element::Null);
        Ok(())
    }
}

/// Answers `POST /v2/models/{model}/infer`.
pub(crate) async fn infer(
    State(app): State<App>,
    Path(named): Path<Named>,
    request: Request,
) -> Result<Response, Problem> {
    let loaded = named.find(&app)?;
    let id = RequestId::of(&request);
    if request.headers().contains_key("inference-header-content-length") {
        return Err(Problem::malformed(
            "tensors must come as JSON: turn the binary extension off (in tritonclient, \
             binary_data=False)",
        ));
    }
    let body = body::read(request, app.service()).await?;
    if body.format == Format::Csv {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json")
            .with(header::ACCEPT, "application/json"));
    }
    body::work(body.large(), move || {
        let asked: Inference = serde_json::from_slice(&body.bytes).map_err(|e| {
            Problem::malformed(format!("the body is no request for inference: {e}"))
        })?;
        let unknown = |o: &&Output| !["prediction", "probability"].contains(&o.name.as_str());
        if let Some(output) = asked.outputs.iter().find(unknown) {
            let name = &output.name;
            let detail =
                format!("there is no output {name:?}: ask for \"prediction\", \"probability\"");
            return Err(Problem::malformed(detail));
        }
        let predicted =
            of_rows(&app, &loaded, &id, body.bytes.len(), |rows| fill(&asked.inputs, rows))?;
        Ok(body::json(answer(&asked, &named, &loaded, &predicted), &loaded))
    })
    .await
}

/// Puts tensors into rows.
fn fill(tensors: &[Tensor], rows: &mut Rows) -> Result<(), Problem> {
    for tensor in tensors {
        check(tensor)?;
    }
    if let [matrix] = tensors
        && matrix.shape.len() == 2
        && rows.loaded.columns.find(&matrix.name, 0).is_none()
    {
        return fill_matrix(matrix, rows);
    }
    let length = tensors.first().map_or(0, |t| t.data.0.len());
    let mut columns = Vec::new();
    for tensor in tensors {
        let Tensor { name, shape, data, .. } = tensor;
        if !matches!(shape[..], [_] | [_, 1]) {
            let detail = format!("tensor {name:?} of a column must have the shape [n] or [n, 1]");
            return Err(Problem::malformed(detail));
        }
        if data.0.len() != length {
            let detail = format!("tensor {name:?} has {} rows, another has {length}", data.0.len());
            return Err(Problem::malformed(detail));
        }
        match rows.loaded.columns.find(name, columns.len()) {
            Some(c) if columns.iter().any(|(other, _)| *other == c) => {
                return Err(Problem::malformed(format!("tensor {name:?} is there twice")));
            }
            Some(c) => columns.push((c, &data.0)),
            None => rows.notes.ignore(name, length as u64),
        }
    }
    for i in 0..length {
        for (c, elements) in &columns {
            put(rows, *c, &elements[i]);
        }
        rows.end();
    }
    Ok(())
}

/// A matrix whose columns are all features, in their order.
fn fill_matrix(matrix: &Tensor, rows: &mut Rows) -> Result<(), Problem> {
    let columns = &rows.loaded.columns;
    let feature = |c: &usize| !matches!(columns.slot(*c), Slot::Id(_) | Slot::Target);
    let features: Vec<usize> = (0..columns.len()).filter(feature).collect();
    if matrix.shape[1] != features.len() as u64 {
        let detail = format!(
            "matrix {:?} has {} columns, the model has {} features",
            matrix.name,
            matrix.shape[1],
            features.len()
        );
        return Err(Problem::malformed(detail));
    }
    for row in matrix.data.0.chunks_exact(features.len().max(1)) {
        for (c, element) in features.iter().zip(row) {
            put(rows, *c, element);
        }
        rows.end();
    }
    Ok(())
}

/// That a tensor is what it says of itself.
fn check(tensor: &Tensor) -> Result<(), Problem> {
    let Tensor { name, shape, datatype, data } = tensor;
    let size = shape.iter().try_fold(1_u64, |size, n| size.checked_mul(*n));
    if shape.is_empty() || size != Some(data.0.len() as u64) {
        let n = data.0.len();
        let detail = format!("tensor {name:?} has {n} elements, which is not the shape {shape:?}");
        return Err(Problem::malformed(detail));
    }
    let fits: fn(&Element) -> bool = match datatype.as_str() {
        "BYTES" | "BOOL" => |e| !matches!(e, Element::Number(_)),
        kind if NUMBERS.contains(&kind) => |e| !matches!(e, Element::Text(_)),
        _ => {
            let detail = format!("tensor {name:?} has the unknown datatype {datatype:?}");
            return Err(Problem::malformed(detail));
        }
    };
    if data.0.iter().all(fits) {
        return Ok(());
    }
    Err(Problem::malformed(format!("tensor {name:?} has an element that is not of {datatype}")))
}

fn put(rows: &mut Rows, c: usize, element: &Element) {
    match element {
        Element::Null => rows.null(c),
        Element::Number(value) => rows.number(c, *value),
        Element::Text(text) => rows.text(c, text),
    }
}

/// The tensors that were asked for; both, where none was.
fn answer(asked: &Inference, named: &Named, loaded: &Loaded, predicted: &Predicted) -> Vec<u8> {
    let n = predicted.probabilities.len();
    let mut head = json!({ "model_name": named.model, "model_version": loaded.id });
    if let Some(id) = &asked.id {
        head["id"] = json!(id);
    }
    let mut out = head.to_string().into_bytes();
    out.pop();
    out.extend_from_slice(b",\"outputs\":[");
    let default = ["prediction".to_owned(), "probability".to_owned()].map(|name| Output { name });
    let outputs = if asked.outputs.is_empty() { &default[..] } else { &asked.outputs };
    for (i, Output { name }) in outputs.iter().enumerate() {
        let labels = name == "prediction";
        let kind = if labels { label_type(loaded) } else { "FP64" };
        let comma = if i > 0 { "," } else { "" };
        let tensor = format!(
            "{comma}{{\"name\":\"{name}\",\"datatype\":\"{kind}\",\"shape\":[{n}],\"data\":["
        );
        out.extend_from_slice(tensor.as_bytes());
        if labels {
            push_labels(&mut out, loaded, &predicted.probabilities);
        } else {
            push_numbers(&mut out, &predicted.probabilities);
        }
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"]}");
    out
}
