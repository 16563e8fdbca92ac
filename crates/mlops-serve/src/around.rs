//! What every request passes on its way in and out: an id, tokens, limits of number and time,
//! errors in the words of the protocol, packing, metrics, the log.
//!
//! One function instead of a layer for each: a request then pays for one. Not for what a request
//! asks: that is the handlers'.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use mlops_core::platform::clock::rfc3339;
use tower_service::Service as _;

use crate::endpoint::{ENDPOINTS, Scope, index};
use crate::problem::{Dialect, Problem};
use crate::state::{App, Settings, State as Shared};
use crate::{cors, encoding, origin, prefix};

/// The header of a request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a client.
const LONGEST_ID: usize = 128;

/// The name of a request, the client's own or one made here.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The id that `request` was given on its way in.
    pub(crate) fn of(request: &Request) -> Self {
        let known = request.extensions().get::<Self>();
        known.cloned().unwrap_or(Self(HeaderValue::from_static("-")))
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("-")
    }

    fn new(request: &Request, app: &Shared) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let sound = |id: &&HeaderValue| {
            let bytes = id.as_bytes();
            (1..=LONGEST_ID).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        if let Some(id) = request.headers().get(REQUEST_ID).filter(sound) {
            return Self(id.clone());
        }
        let text = format!("{}{:x}", app.id_prefix, COUNT.fetch_add(1, Ordering::Relaxed));
        Self(
            HeaderValue::from_maybe_shared(Bytes::from(text))
                .unwrap_or(HeaderValue::from_static("-")),
        )
    }
}

/// What of a request is still needed when it is answered.
struct Asked {
    id: RequestId,
    method: Method,
    uri: Uri,
    endpoint: usize,
    origin: Option<HeaderValue>,
    gzip: bool,
    settings: Arc<Settings>,
    begun: Instant,
}

/// Lets `request` pass to its handler.
pub(crate) async fn around(app: App, router: Router, mut request: Request) -> Response {
    let begun = Instant::now();
    let settings = app.settings.load_full();
    let id = RequestId::new(&request, &app);
    prefix::strip(&mut request, &settings.root_path);
    let endpoint = index(request.uri().path());
    let headers = request.headers();
    let asked = Asked {
        method: request.method().clone(),
        uri: request.uri().clone(),
        endpoint,
        origin: headers.get(header::ORIGIN).filter(|_| cors::configured(&settings)).cloned(),
        gzip: encoding::accepted(headers),
        id: id.clone(),
        begun,
        settings,
    };
    request.extensions_mut().insert(id);
    let result = pass(&app, &asked.settings, endpoint, request, router).await;
    let mut response = match result {
        Ok(response) => response,
        Err(problem) => axum::response::IntoResponse::into_response(problem),
    };
    let mut problem = response.extensions_mut().remove::<Problem>();
    let json = |v: &HeaderValue| v.as_bytes().ends_with(b"json");
    if problem.is_none()
        && response.status().is_client_error()
        && !response.headers().get(header::CONTENT_TYPE).is_some_and(json)
    {
        // The framework's own words, on a part of the address that is no text, for example.
        problem = Some(Problem::new(response.status(), "the address cannot be read"));
    }
    if let Some(problem) = problem {
        if let Some(cause) = &problem.cause {
            tracing::error!(request_id = asked.id.as_str(), "a request failed: {cause}");
        }
        problem.fill(&mut response, Dialect::of(asked.uri.path()), asked.id.as_str());
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let allow = HeaderValue::from_static(ENDPOINTS[endpoint].allow);
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    finish(&app, asked, response).await
}

/// Through tokens and limits to the handler.
async fn pass(
    app: &App,
    settings: &Settings,
    endpoint: usize,
    request: Request,
    mut router: Router,
) -> Result<Response, Problem> {
    origin::check(app, settings, &request)?;
    if *request.method() == Method::OPTIONS
        && let Some(response) = options(endpoint)
    {
        return Ok(response);
    }
    let scope = ENDPOINTS[endpoint].scope(request.method());
    settings.tokens.check(request.headers(), scope)?;
    // Whether the service lives must be seen most of all when it has more to do than it can. A
    // request with a body takes its place when the body is there.
    let _permit = match (scope, request.method()) {
        (Scope::Open, _) | (_, &Method::POST) => None,
        _ => Some(crate::body::place(app)?),
    };
    let limit = settings.request_timeout;
    let answer = tokio::time::timeout(limit, router.call(request)).await;
    answer.map(|Ok(response)| response).map_err(|_| {
        let detail = format!("no answer within {} s: send less at a time", limit.as_secs());
        Problem::new(StatusCode::GATEWAY_TIMEOUT, detail)
    })
}

/// The methods of an address that there is.
fn options(endpoint: usize) -> Option<Response> {
    let allow = ENDPOINTS[endpoint].allow;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    (!allow.is_empty()).then_some(response)
}

/// Headers, packing, metrics and the line in the log.
async fn finish(app: &Shared, asked: Asked, mut response: Response) -> Response {
    let size = response.body().size_hint();
    if asked.gzip && size.exact().is_none_or(|n| n >= encoding::WORTH as u64) {
        response = packed(response).await;
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, asked.id.0.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(origin) = &asked.origin {
        cors::allow(&asked.settings, origin, &asked.method, headers);
    }
    let time = asked.begun.elapsed();
    app.metrics.request(asked.endpoint, response.status().as_u16(), time);
    log(app, &asked, &response, time);
    response
}

async fn packed(response: Response) -> Response {
    let (mut parts, mut body) = response.into_parts();
    parts.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let size = body.size_hint();
    let (packed, source) = if size.exact().is_some_and(|n| n <= crate::body::INLINE as u64) {
        let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
            return Response::from_parts(parts, Body::empty());
        };
        let mut packer = encoding::Packer::default();
        packer.add(&bytes);
        (packer.finish(), None)
    } else {
        // Piece by piece, as it is made.
        let runtime = tokio::runtime::Handle::current();
        let work = move || {
            let mut packer = encoding::Packer::default();
            while let Some(Ok(frame)) = runtime.block_on(body.frame()) {
                packer.add(&frame.into_data().unwrap_or_default());
            }
            (packer.finish(), Some(body))
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_default()
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::new(Packed { bytes: packed.into(), _source: source }))
}

/// A packed answer, which counts as long as it is sent as the one that it was made of.
struct Packed {
    bytes: Bytes,
    _source: Option<Body>,
}

impl HttpBody for Packed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

/// Leaves a line on the request: of the address the path alone, as what follows may be private.
fn log(app: &Shared, asked: &Asked, response: &Response, time: Duration) {
    let Some(log) = &app.access_log else { return };
    let (id, method) = (asked.id.as_str(), asked.method.as_str());
    let (status, bytes) = (response.status().as_u16(), response.body().size_hint().lower());
    let (at, us) = (rfc3339(app.context.clock.now()), time.as_micros());
    let model = response.headers().get(crate::body::MODEL_VERSION);
    let model = model.and_then(|v| v.to_str().ok()).unwrap_or("-");
    let mut line = Vec::with_capacity(200);
    // Writing to a vector cannot fail.
    let _ = if log.json {
        let [path, id, method] = [asked.uri.path(), id, method].map(serde_json::Value::from);
        writeln!(
            line,
            "{{\"timestamp\":\"{at}\",\"request_id\":{id},\"method\":{method},\"path\":{path},\
             \"status\":{status},\"bytes\":{bytes},\"us\":{us},\"model_version\":\"{model}\"}}"
        )
    } else {
        writeln!(line, "{at} {id} {method} {} {status} {bytes} B {us} us {model}", asked.uri.path())
    };
    log.lines.push(&line);
}
