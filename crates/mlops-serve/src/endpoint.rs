//! The definition of an endpoint: its path and methods, and for each method the scope, the maximum
//! body size, the handler and the description.
//!
//! Not for the endpoints themselves: see `endpoints`.

use axum::http::Method;
use mlops_core::config::Service;

use crate::access::Scope;
use crate::call::{Answering, Call};
use crate::openapi::operation::Operation as Described;
use crate::pages::log_in::LARGEST_FORM;
use crate::problem::Dialect;

/// An endpoint.
pub(crate) struct Endpoint {
    /// The path in the router's syntax, with parameters in braces.
    pub(crate) path: &'static str,
    /// The error format.
    pub(crate) dialect: Dialect,
    /// Its operations.
    pub(crate) operations: &'static [Operation],
}

/// An operation: a method of an endpoint.
pub(crate) struct Operation {
    pub(crate) verb: Verb,
    pub(crate) scope: Scope,
    /// The maximum size of a body in bytes; `None` if none is read.
    pub(crate) max_body: Option<fn(&Service) -> usize>,
    pub(crate) handler: fn(Call) -> Answering,
    pub(crate) describe: fn() -> Described,
}

/// The methods of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Also answers HEAD, without the body.
    Get,
    Post,
}

impl Verb {
    /// The name in OpenAPI.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
        }
    }

    fn is(self, method: &Method) -> bool {
        match self {
            Self::Get => matches!(*method, Method::GET | Method::HEAD),
            Self::Post => *method == Method::POST,
        }
    }
}

impl Operation {
    /// An operation that reads only the endpoint and requires `scope`.
    pub(crate) const fn get(
        scope: Scope,
        handler: fn(Call) -> Answering,
        describe: fn() -> Described,
    ) -> Self {
        Self { verb: Verb::Get, scope, max_body: None, handler, describe }
    }

    /// An operation that takes a small form of a page and requires `scope`.
    pub(crate) const fn form(
        scope: Scope,
        handler: fn(Call) -> Answering,
        describe: fn() -> Described,
    ) -> Self {
        let max_body: Option<fn(&Service) -> usize> = Some(|_| LARGEST_FORM);
        Self { verb: Verb::Post, scope, max_body, handler, describe }
    }

    /// An operation that takes labels and requires the scope for them.
    pub(crate) const fn labels(
        handler: fn(Call) -> Answering,
        describe: fn() -> Described,
    ) -> Self {
        Self { scope: Scope::Labels, ..Self::post(handler, describe) }
    }

    /// An operation that takes rows and requires the scope for predictions.
    pub(crate) const fn post(handler: fn(Call) -> Answering, describe: fn() -> Described) -> Self {
        let max_body: Option<fn(&Service) -> usize> = Some(|service| service.max_body_bytes);
        Self { verb: Verb::Post, scope: Scope::Predict, max_body, handler, describe }
    }
}

impl Endpoint {
    pub(crate) const fn new(
        path: &'static str,
        dialect: Dialect,
        operations: &'static [Operation],
    ) -> Self {
        Self { path, dialect, operations }
    }

    /// The operation for `method`.
    pub(crate) fn operation(&self, method: &Method) -> Option<&'static Operation> {
        self.operations.iter().find(|operation| operation.verb.is(method))
    }

    /// The scope that `method` requires, even if the endpoint does not have it.
    pub(crate) fn scope(&self, method: &Method) -> Scope {
        match (self.operation(method), self.operation(&Method::GET)) {
            (Some(operation), _) => operation.scope,
            _ if *method == Method::POST => Scope::Predict,
            _ if self.operations.is_empty() => Scope::Open,
            (None, Some(operation)) => operation.scope,
            (None, None) => Scope::Read,
        }
    }

    /// Its methods, for the header `Allow`.
    pub(crate) fn allow(&self) -> String {
        let names = self.operations.iter().map(|operation| match operation.verb {
            Verb::Get => "GET, HEAD, ",
            Verb::Post => "POST, ",
        });
        names.collect::<String>() + "OPTIONS"
    }

    /// The names of the path parameters.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}
