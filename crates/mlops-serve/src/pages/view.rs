//! What a page shows: one value that is HTML for people and JSON for programs, at the same path.
//!
//! Not for what is in it: see `mlops_core::stage::views`.

use std::sync::Arc;

use axum::RequestExt as _;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use maud::Markup;
use mlops_core::{Error, ErrorKind};
use serde::Serialize;

use super::layout;
use super::visit::{Visit, wants_html};
use crate::body;
use crate::call::Call;
use crate::problem::Problem;
use crate::state::State;

/// What a page shows. As JSON it is the value itself.
pub(crate) trait View: Serialize {
    /// The title: what the page is about, as its heading and in the browser's tab.
    fn title(&self) -> String;

    /// The content below the heading: sections, each a [`card`](super::parts::card).
    fn main(&self, visit: &Visit) -> Markup;
}

/// The policy of every page: nothing but its own style sheet, pictures and forms; no script at all.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Looks a view up on a thread that may block, and answers with it in the form that the client asks for.
pub(crate) async fn answer<V: View>(
    Call { app, request, .. }: Call,
    find: impl FnOnce(&Arc<State>, &Visit) -> Result<V, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let html = wants_html(request.headers(), request.uri().query().unwrap_or_default());
    let visit = Visit::of(&request, &app.service());
    let place = body::disk(&app).await?;
    let work = move || {
        let _place = place;
        let view = find(&app, &visit)?;
        if html {
            return Ok(layout::page(&visit, &view.title(), &view.main(&visit)).into_string());
        }
        serde_json::to_string(&view).map_err(|e| Problem::internal(e.to_string()))
    };
    let text = body::work(true, work).await?;
    Ok(if html { page(text) } else { varying(body::typed(text, "application/json")) })
}

/// `view` in the form that a client with `headers` asks for, as the answer to a form.
pub(crate) fn rendered(
    headers: &HeaderMap,
    visit: &Visit,
    view: &impl View,
) -> Result<Response, Problem> {
    if wants_html(headers, "") {
        return Ok(page(layout::page(visit, &view.title(), &view.main(visit)).into_string()));
    }
    let text = serde_json::to_string(view).map_err(|e| Problem::internal(e.to_string()))?;
    Ok(varying(body::typed(text, "application/json")))
}

/// What is not there.
pub(crate) fn missing(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, detail)
}

/// The part of the path that names what is asked for.
pub(crate) async fn named<T>(call: &mut Call) -> Result<T, Problem>
where
    T: serde::de::DeserializeOwned + Send + 'static,
{
    let path = call.request.extract_parts::<Path<T>>().await;
    path.map(|Path(named)| named)
        .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "there is nothing of that name here"))
}

/// A page as an answer, with the headers that keep it to itself.
pub(crate) fn page(text: String) -> Response {
    let mut response = varying(body::typed(text, "text/html; charset=utf-8"));
    guard(response.headers_mut());
    response
}

/// What a browser is told of every page. With a stricter referrer policy it would hide where a form comes from.
fn guard(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
}

/// Caches must not give one client what another asked for.
fn varying(mut response: Response) -> Response {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept, cookie"));
    response
}

/// The problem that `error`, met while records are read, is for the client.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn trouble(error: Error) -> Problem {
    match error.kind() {
        ErrorKind::Locked(_) => {
            Problem::busy("another program keeps the records locked at the moment: try again")
        }
        // The words for it have paths, which are for the log only.
        ErrorKind::Conflict(_) => {
            let mut problem = Problem::internal(mlops_core::text::causes(&error));
            problem.detail = "the ledger, which has all records, is gone or empty, or the pointer to the live \
                              release leads elsewhere: `deployment history`, run where the workspace is, says what \
                              to do, as does the log of the service under this request id"
                .into();
            problem
        }
        _ => Problem::internal(mlops_core::text::causes(&error)),
    }
}
