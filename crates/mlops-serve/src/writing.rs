//! What the endpoints that write share: who asks, a run of their own, and the words of what can fail.
//!
//! Not for what they write: see `labels` and `approvals`.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::StatusCode;
use mlops_core::ids::RunId;
use mlops_core::run::context::Context;
use mlops_core::{Error, ErrorKind};

use crate::access::{Scope, Tokens};
use crate::problem::Problem;
use crate::refusal::Refusal;

/// The name of the token with which `request` came.
pub(crate) fn holder(tokens: &Tokens, request: &Request, scope: Scope) -> Result<String, Problem> {
    let name = tokens.holder(request.headers(), scope).map(str::to_owned);
    // Only if the tokens were read again just now.
    name.ok_or_else(|| Problem::refused(Refusal::UnknownToken, "this token is not known any more"))
}

/// The environment of a run that begins now.
pub(crate) fn run(context: &Context) -> Context {
    let run = RunId::unique(context.clock.now(), std::process::id());
    Context { run, digests: std::sync::Arc::default(), ..context.clone() }
}

pub(crate) fn not_there(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, detail)
}

pub(crate) fn conflict(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::CONFLICT, detail)
}

/// The answer to what the disk or another run did not allow.
pub(crate) fn failed(error: &Error) -> Problem {
    match error.kind() {
        ErrorKind::Locked(_) => Problem::busy(
            "another run works on the workspace at this moment, and nothing was changed: try again",
        ),
        _ if is_read_only(error) => Problem::new(
            StatusCode::FORBIDDEN,
            "this service may only read its workspace, and nothing was changed: ask one whose user may \
             write there, or use the command line",
        ),
        _ => Problem::internal(error.to_string()),
    }
}

/// Whether the disk or the rights of the user do not allow to write.
fn is_read_only(error: &Error) -> bool {
    let read_only = |e: &std::io::Error| e.kind() == std::io::ErrorKind::ReadOnlyFilesystem;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if one.downcast_ref::<std::io::Error>().is_some_and(read_only) {
            return true;
        }
        cause = one.source();
    }
    error.is_about_permission()
}
