//! A request that has passed the middleware, as its handler gets it.
//!
//! Not for what is checked on the way: see `middleware`.

use std::future::Future;
use std::pin::Pin;

use axum::extract::Request;
use axum::response::Response;

use crate::problem::Problem;
use crate::request_id::RequestId;
use crate::state::App;

/// A request, and what its handler may use.
pub(crate) struct Call {
    pub(crate) app: App,
    pub(crate) id: RequestId,
    pub(crate) request: Request,
    /// How many bytes its body may have.
    pub(crate) max_body: usize,
}

/// What a handler is going to answer.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;
