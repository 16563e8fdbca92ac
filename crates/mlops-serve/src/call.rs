//! A request that has passed the middleware, as its handler receives it.
//!
//! Not for the checks before that: see `middleware`.

use std::future::{Future, ready};
use std::pin::Pin;

use axum::extract::Request;
use axum::response::Response;

use crate::problem::Problem;
use crate::request_id::RequestId;
use crate::state::App;

/// A request, with the state that its handler uses.
pub(crate) struct Call {
    pub(crate) app: App,
    pub(crate) id: RequestId,
    pub(crate) request: Request,
    /// The maximum size of its body in bytes.
    pub(crate) max_body: usize,
}

/// The future of a handler's answer.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// An answer that is ready immediately.
pub(crate) fn at_once(answer: Result<Response, Problem>) -> Answering {
    Box::pin(ready(answer))
}
