//! What all requests share. Not for anything of a single request.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mlops_core::config::Service;
use mlops_core::context::Context;
use tokio::sync::Semaphore;

use crate::access::Tokens;
use crate::lines::Lines;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::prediction_log::PredictionLog;

/// The state of the service; cheap to clone.
pub(crate) type App = Arc<State>;

/// See [`App`].
pub(crate) struct State {
    pub(crate) context: Context,
    pub(crate) live: Live,
    pub(crate) metrics: Metrics,
    pub(crate) tokens: Tokens,
    /// Requests that may still start.
    pub(crate) in_flight: Semaphore,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) predictions: Option<PredictionLog>,
    /// Whether the service was told to stop.
    pub(crate) stopping: AtomicBool,
    /// The start of every request id that is made here.
    pub(crate) id_prefix: String,
}

/// Lines on requests.
pub(crate) struct AccessLog {
    pub(crate) lines: Lines,
    pub(crate) json: bool,
}

impl State {
    /// What the configuration says about the service.
    pub(crate) fn service(&self) -> &Service {
        &self.context.config.service
    }
}
