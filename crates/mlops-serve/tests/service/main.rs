//! The service from outside, over real sockets: what it answers, refuses, survives and never does.
//!
//! Figures that take long are cut down here and run in full with `MLOPS_SOAK=1`. Not for single
//! functions: their tests stand beside them.

#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::format_push_string, reason = "short before fast")]

/// What an attacker who may ask tries next.
mod abuse;
/// Who may ask: tokens, scopes, addresses that others reach.
mod access;
/// Rows of JSON that look alike, and those that suddenly do not.
mod alike;
/// `/prediction` and `/scoring`: every form of rows, every way to break them.
mod answers;
/// The pages of the dashboard in a browser.
mod browser;
/// Clients one by one: limits, proxies, and what is told of those refused.
mod clients;
/// Values that JSON spells in one way and files in several: coded missing values, categories.
mod coded;
/// The description of the service against the service.
mod description;
/// A disk that hangs.
mod disk;
/// Which columns moved a prediction, in every protocol.
mod explain;
/// Files that a request names: which are read, and that no other is.
mod files;
/// Requests that no client of ours sends: from foreign pages, with numbers beyond all numbers.
mod foreign;
/// One batch of rows in every wire format against the batch path, to the bit.
mod formats;
/// A client that was generated from the description.
mod generated;
/// A small client that sees every byte.
mod http;
/// Limits of size, number and time; draining; the logs.
mod manners;
/// The pages of the dashboard.
mod pages;
/// The log of predictions: what is in it, what it outlives, what it leaves alone.
mod prediction_log;
/// Transcripts of the protocols' own clients, replayed.
mod protocols;
/// What is on record, told and never touched.
mod records;
/// Requests that are refused while their bodies still come.
mod refusals;
/// Promotions and rollbacks under load, and releases that are broken.
mod reload;
/// The scene: a workspace, and the service over it.
mod scene;
/// Requests that two readers could read in two ways.
mod smuggling;
/// The spelling of numbers in every protocol.
mod spelling;
/// The certificate: what is presented, renewed, refused.
mod tls;
/// The pages about the model: performance, drift, threshold, predictions, playground.
mod watch;
/// Labels and decisions that are sent: kept before they are acknowledged, with a token of their own.
mod writing;
