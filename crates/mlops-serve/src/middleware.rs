//! Processing common to all requests: id, tokens, limits on number and time, errors in the
//! protocol's format, compression, metrics, access log.
//!
//! One layer instead of one for each of these, so that a request pays for only one. Not for the
//! content of requests: see the handlers.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use mlops_core::platform::clock::rfc3339;

use crate::access::{Came, Scope};
use crate::budget::LARGE;
use crate::call::Call;
use crate::client::{Client, Peer};
use crate::endpoint::Endpoint;
use crate::pages::visit::{Visit, wants_html};
use crate::pages::{log_in, view};
use crate::problem::{Dialect, Problem};
use crate::refusal::Refusal;
use crate::request_id::{REQUEST_ID, RequestId};
use crate::state::{App, Settings, State};
use crate::{admission, body, cors, encoding, origin};

/// An endpoint, as the middleware sees it.
pub(crate) struct Place {
    endpoint: &'static Endpoint,
    /// The index of the endpoint in the metrics.
    index: usize,
    /// Its methods.
    allow: Option<HeaderValue>,
}

/// What must be remembered of a request until it is answered.
struct Asked {
    id: RequestId,
    method: Method,
    uri: Uri,
    origin: Option<HeaderValue>,
    gzip: bool,
    client: Client,
    /// For a browser that asks for a page.
    visit: Option<Box<Visit>>,
    settings: Arc<Settings>,
    begun: Instant,
}

impl Place {
    /// `endpoint`, with `index` in the metrics.
    pub(crate) fn new(endpoint: &'static Endpoint, index: usize) -> Self {
        let allow = (!endpoint.operations.is_empty())
            .then(|| HeaderValue::from_str(&endpoint.allow()).ok())
            .flatten();
        Self { endpoint, index, allow }
    }

    /// Passes `request` to its handler.
    pub(crate) async fn answer(&self, app: App, request: Request) -> Response {
        let begun = Instant::now();
        let _in_flight = app.metrics.begin();
        let settings = app.settings.load_full();
        let headers = request.headers();
        let page = self.endpoint.dialect == Dialect::Page || self.allow.is_none();
        let page = page && wants_html(headers, request.uri().query().unwrap_or_default());
        let asked = Asked {
            visit: page.then(|| Box::new(Visit::of(&request, &settings))),
            id: RequestId::of(headers, &app.id_prefix),
            method: request.method().clone(),
            uri: request.uri().clone(),
            origin: headers.get(header::ORIGIN).filter(|_| cors::configured(&settings)).cloned(),
            gzip: *request.method() != Method::HEAD && encoding::accepted(headers),
            client: Client::of(Peer::of(&request), headers, &settings),
            begun,
            settings,
        };
        let response = match self.pass(&app, &asked, request).await {
            Ok(response) => response,
            Err(problem) => {
                if let Some(why) = problem.refusal {
                    app.refusals.tell(why, asked.client, Some(asked.id.as_str()));
                }
                self.refuse(&problem, &asked)
            }
        };
        self.finish(&app, asked, response).await
    }

    /// Checks tokens and limits, then calls the handler.
    async fn pass(&self, app: &App, asked: &Asked, request: Request) -> Result<Response, Problem> {
        let settings = &*asked.settings;
        origin::check(app, settings, &request)?;
        if asked.method == Method::OPTIONS
            && let Some(allow) = &self.allow
        {
            let mut response = StatusCode::NO_CONTENT.into_response();
            response.headers_mut().insert(header::ALLOW, allow.clone());
            return Ok(response);
        }
        let scope = match asked.method {
            Method::OPTIONS => Scope::Open,
            _ => self.endpoint.scope(&asked.method),
        };
        // A log-in is open, and guesses at tokens.
        if scope != Scope::Open || asked.method == Method::POST {
            admission::admit(app, settings, asked.client, request.headers())?;
        }
        let came = settings.tokens.check(request.headers(), scope)?;
        if came == Came::Cookie
            && asked.method == Method::POST
            && !origin::is_own_page(&request, settings)
        {
            let detail = "with the log-in of a browser only pages of this service may ask for that";
            return Err(Problem::refused(Refusal::Origin, detail));
        }
        let operation = self.endpoint.operation(&asked.method).ok_or_else(|| self.nothing())?;
        // Health checks must work above all when the service is overloaded. A request with a body
        // takes its place once the body has arrived.
        let at_once = scope != Scope::Open && operation.max_body.is_none();
        let _permit = at_once.then(|| body::place(app)).transpose()?;
        let limit = settings.request_timeout;
        let call = Call {
            app: App::clone(app),
            id: asked.id.clone(),
            request,
            max_body: operation.max_body.map_or(0, |of| of(settings)),
        };
        let answer = tokio::time::timeout(limit, (operation.handler)(call)).await;
        answer.unwrap_or_else(|_| {
            let detail = format!("no answer within {} s: send less at a time", limit.as_secs());
            Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, detail))
        })
    }

    /// The error for a method that the endpoint does not have, or for an unknown path.
    fn nothing(&self) -> Problem {
        if self.allow.is_none() {
            let detail = "there is no such endpoint: /openapi.json lists those that there are";
            return Problem::new(StatusCode::NOT_FOUND, detail);
        }
        let detail =
            "this endpoint does not take this method: the header \"Allow\" has those it takes";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    }

    /// `problem` in the endpoint's format.
    fn refuse(&self, problem: &Problem, asked: &Asked) -> Response {
        if let Some(cause) = &problem.cause {
            tracing::error!(request_id = asked.id.as_str(), "a request failed: {cause}");
        }
        let dialect = match self.allow {
            Some(_) => self.endpoint.dialect,
            None => Dialect::near(asked.uri.path()),
        };
        let id = asked.id.as_str();
        let mut response = match &asked.visit {
            Some(visit) => {
                let mut response = view::page(log_in::refused(visit, problem, id));
                problem.mark(&mut response);
                response
            }
            None => problem.response(dialect, id),
        };
        if problem.status == StatusCode::METHOD_NOT_ALLOWED
            && let Some(allow) = &self.allow
        {
            response.headers_mut().insert(header::ALLOW, allow.clone());
        }
        response
    }

    /// Adds headers, compresses, counts, and writes the access log.
    async fn finish(&self, app: &State, asked: Asked, mut response: Response) -> Response {
        let size = response.body().size_hint();
        if asked.gzip && size.exact().is_none_or(|n| n >= encoding::WORTH as u64) {
            response = packed(response).await;
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, asked.id.header());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let Some(origin) = &asked.origin {
            cors::allow(&asked.settings, origin, &asked.method, headers);
        }
        let time = asked.begun.elapsed();
        app.metrics.request(self.index, response.status().as_u16(), time);
        log(app, &asked, &response, time);
        response
    }
}

async fn packed(response: Response) -> Response {
    let (mut parts, mut body) = response.into_parts();
    parts.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let size = body.size_hint();
    let (packed, source) = if size.exact().is_some_and(|n| n <= LARGE as u64) {
        let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
            return Response::from_parts(parts, Body::empty());
        };
        let mut packer = encoding::Packer::default();
        packer.add(&bytes);
        (packer.finish(), None)
    } else {
        // Compressed piece by piece as it is produced.
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

/// A compressed answer; its memory is accounted for until it is sent.
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

/// Writes the access log line; of the URL only the path, since the query may be private.
fn log(app: &State, asked: &Asked, response: &Response, time: Duration) {
    let Some(log) = &app.access_log else { return };
    let (id, method) = (asked.id.as_str(), asked.method.as_str());
    let sent = if asked.method == Method::HEAD { 0 } else { response.body().size_hint().lower() };
    let (status, bytes) = (response.status().as_u16(), sent);
    let (at, us) = (rfc3339(app.context.clock.now()), time.as_micros());
    let model = response.headers().get(body::MODEL_VERSION);
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
