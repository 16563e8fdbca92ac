//! The prediction service: HTTP access to the live release.
//!
//! | noun | file |
//! |---|---|
//! | [`Server`] | `server`: listens, limits connections, drains; `connection`: one of them, and `linger`: its end |
//! | `endpoints` | every endpoint, defined once: who may call it, its handler, its description |
//! | `router` | the endpoints as a function of the state |
//! | `middleware` | what every request passes: identity, tokens, limits, metrics, log |
//! | `Live` | `live`: the release that is served; verified before it is swapped in |
//! | `predict` | from the bytes of a request to a table of features, and to an answer |
//! | `pages` | the dashboard: pages for people, each with its JSON at the same path |
//! | `recorded` | records about the live release; nothing is computed or written |
//! | `Renewal` | `renewal`: what follows from what was written, by `labels` and `approvals`; `writing` is what these share |
//! | `Identity` | `tls`: the certificate, reread when its files change; `stream`: a connection with or without TLS |
//! | `Client` | `client`: who sent a request, also behind proxies; `admission` and `rate`: how many requests each may send; `refusals`: who was refused, and why |
//! | `Budget` | `budget`: the memory that all bodies share; `limits`: how much one may take |
//! | `Settings` | `state`, read again by `reload` |
//! | `Problem` | `problem`: every error that a client can see |
//!
//! The core stays synchronous and does not depend on this. A handler takes the live release once,
//! at its start, and uses that one to its end, so that no answer mixes two models.
//! Not for the command line: see `bins/app`. Not for training: see `mlops_core::stage`.

mod access;
mod admission;
mod approvals;
mod body;
mod budget;
mod call;
mod client;
mod columns;
mod connection;
mod cors;
mod encoding;
mod endpoint;
mod endpoints;
mod health;
mod invocations;
mod labels;
mod last;
mod ledger_metrics;
mod limits;
mod linger;
mod live;
mod metrics;
mod middleware;
mod notify;
mod openapi;
mod origin;
mod pages;
mod predict;
mod prediction_log;
mod prefix;
mod problem;
mod rate;
mod recorded;
mod refusal;
mod refusals;
mod reload;
mod renewal;
mod request_id;
mod router;
mod scoring;
mod server;
mod signals;
mod slow_reader;
mod state;
mod stream;
mod tls;
mod v2;
mod writing;

pub use access::Tokens;
pub use reload::Reload;
pub use renewal::Renew;
pub use server::{Options, Served, Server, run};
pub use state::Settings;
