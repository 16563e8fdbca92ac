//! What all requests share. Not for anything of a single request.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};
use mlops_core::config::{Config, Service};
use mlops_core::platform::lines::Lines;
use mlops_core::run::context::Context;
use tokio::sync::Semaphore;

use crate::access::Tokens;
use crate::budget::Budget;
use crate::figures::Figures;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::prediction_log::PredictionLog;

/// The state of the service; cheap to clone.
pub(crate) type App = Arc<State>;

/// See [`App`].
pub(crate) struct State {
    /// The world as it was at the start.
    pub(crate) context: Context,
    /// What can change while it runs.
    pub(crate) settings: ArcSwap<Settings>,
    /// Whether only names of this machine are served, as nobody is asked for a token.
    pub(crate) local: bool,
    pub(crate) live: Live,
    pub(crate) metrics: Metrics,
    pub(crate) figures: Arc<Figures>,
    /// Requests that may still start.
    pub(crate) in_flight: Arc<Semaphore>,
    /// Requests that may still wait for a disk.
    pub(crate) disk: Arc<Semaphore>,
    /// Memory for bodies.
    pub(crate) budget: Arc<Budget>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) predictions: Option<PredictionLog>,
    /// Whether the service was told to stop.
    pub(crate) stopping: AtomicBool,
    /// The start of every request id that is made here.
    pub(crate) id_prefix: String,
}

/// The configuration and the tokens, as they were read last.
#[derive(Debug)]
pub struct Settings {
    /// The whole configuration, of which the section `service` counts here.
    pub config: Config,
    /// Who may ask for what.
    pub tokens: Tokens,
}

impl Deref for Settings {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.config.service
    }
}

/// Lines on requests.
pub(crate) struct AccessLog {
    pub(crate) lines: Arc<Lines>,
    pub(crate) json: bool,
}

impl State {
    /// Whether predictions are answered.
    pub(crate) fn ready(&self) -> bool {
        self.live.get().is_some() && !self.stopping.load(Ordering::Relaxed)
    }

    /// What the configuration says about the service.
    pub(crate) fn service(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }
}
