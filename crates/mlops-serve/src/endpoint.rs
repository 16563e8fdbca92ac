//! What is to be known of an address: its path, the methods that it takes, and for each of them who may
//! ask, how large a body may be, who answers, and how it is described.
//!
//! Not for the addresses that there are: see `addresses`.

use axum::http::Method;
use mlops_core::config::Service;

use crate::access::Scope;
use crate::call::{Answering, Call};
use crate::openapi::operation::Operation as Described;
use crate::problem::Dialect;

/// An address.
pub(crate) struct Endpoint {
    /// As the router spells it, with parameters in braces.
    pub(crate) path: &'static str,
    /// How it speaks of errors.
    pub(crate) dialect: Dialect,
    /// What can be asked there.
    pub(crate) operations: &'static [Operation],
}

/// A method of an address.
pub(crate) struct Operation {
    pub(crate) verb: Verb,
    pub(crate) scope: Scope,
    /// The most bytes that a body may have; nothing where none is read.
    pub(crate) max_body: Option<fn(&Service) -> usize>,
    pub(crate) handler: fn(Call) -> Answering,
    pub(crate) describe: fn() -> Described,
}

/// The methods that an operation can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// HEAD is answered likewise, without the body.
    Get,
    Post,
}

impl Verb {
    /// As OpenAPI spells it.
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
    /// Reads nothing but the address, and answers whoever may `scope`.
    pub(crate) const fn get(
        scope: Scope,
        handler: fn(Call) -> Answering,
        describe: fn() -> Described,
    ) -> Self {
        Self { verb: Verb::Get, scope, max_body: None, handler, describe }
    }

    /// Takes rows, from whoever may predict.
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

    /// What `method` asks for.
    pub(crate) fn operation(&self, method: &Method) -> Option<&'static Operation> {
        self.operations.iter().find(|operation| operation.verb.is(method))
    }

    /// What a request with `method` needs, whether the address takes it or not.
    pub(crate) fn scope(&self, method: &Method) -> Scope {
        match self.operation(method).or_else(|| self.operation(&Method::GET)) {
            _ if *method == Method::POST => Scope::Predict,
            _ if self.operations.is_empty() => Scope::Open,
            Some(operation) => operation.scope,
            None => Scope::Read,
        }
    }

    /// The methods that it takes, for the header `Allow`.
    pub(crate) fn allow(&self) -> String {
        let names = self.operations.iter().map(|operation| match operation.verb {
            Verb::Get => "GET, HEAD, ",
            Verb::Post => "POST, ",
        });
        names.collect::<String>() + "OPTIONS"
    }

    /// The names of the parts of the path that may be anything.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}
