//! The state that all requests share.
//!
//! Not for anything of a single request.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};
use mlops_core::config::{Config, Service};
use mlops_core::ids::ReleaseId;
use mlops_core::platform::lines::Lines;
use mlops_core::run::context::Context;
use tokio::sync::{Semaphore, watch};

use crate::access::Tokens;
use crate::budget::Budget;
use crate::last::Last;
use crate::ledger_metrics::Figures;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::prediction_log::PredictionLog;
use crate::rate::Rates;
use crate::refusals::Refusals;
use crate::renewal::Renewal;
use crate::tls::Identity;

/// The shared state; cheap to clone.
pub(crate) type App = Arc<State>;

/// The shared state of the service.
pub(crate) struct State {
    /// The environment at startup.
    pub(crate) context: Context,
    /// What can change while it runs.
    pub(crate) settings: ArcSwap<Settings>,
    /// Only names of this machine are served, since no token is required.
    pub(crate) local: bool,
    pub(crate) live: Live,
    pub(crate) metrics: Metrics,
    pub(crate) figures: Arc<Figures>,
    /// The answer of `/openapi.json`.
    pub(crate) description: Last<DescriptionKey>,
    /// Permits for requests to start.
    pub(crate) in_flight: Arc<Semaphore>,
    /// Permits for requests to wait for a disk.
    pub(crate) disk: Arc<Semaphore>,
    /// Memory for bodies.
    pub(crate) budget: Arc<Budget>,
    /// Held while a batch of labels is kept.
    pub(crate) receiving: Mutex<()>,
    /// What follows from what was written.
    pub(crate) renewal: Option<Renewal>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) predictions: Option<PredictionLog>,
    /// Places for connections, as many as there were at startup.
    pub(crate) connections: (Arc<Semaphore>, usize),
    /// How many requests each client sent recently.
    pub(crate) rates: Rates,
    pub(crate) refusals: Refusals,
    /// The certificate, if the service answers by TLS.
    pub(crate) identity: Option<Identity>,
    /// The service was told to stop.
    pub(crate) stopping: watch::Sender<bool>,
    /// The prefix of generated request ids.
    pub(crate) id_prefix: String,
}

/// The configuration and the tokens as last read.
#[derive(Debug)]
pub struct Settings {
    /// The whole configuration, whose section `service` matters here.
    pub config: Config,
    /// The tokens.
    pub tokens: Tokens,
}

impl Deref for Settings {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.config.service
    }
}

/// What the answer of `/openapi.json` depends on.
#[derive(Debug)]
pub(crate) struct DescriptionKey {
    pub(crate) settings: Arc<Settings>,
    /// The prefix under which it was asked for.
    pub(crate) root: String,
    pub(crate) release: Option<ReleaseId>,
}

impl PartialEq for DescriptionKey {
    fn eq(&self, other: &Self) -> bool {
        // Settings are replaced as a whole when they are read again.
        Arc::ptr_eq(&self.settings, &other.settings)
            && (&self.root, &self.release) == (&other.root, &other.release)
    }
}

/// The access log.
pub(crate) struct AccessLog {
    pub(crate) lines: Arc<Lines>,
    pub(crate) json: bool,
}

impl State {
    /// Whether predictions are possible.
    pub(crate) fn ready(&self) -> bool {
        self.live.get().is_some() && !*self.stopping.borrow()
    }

    /// The number of connections that are open.
    pub(crate) fn open_connections(&self) -> usize {
        self.connections.1.saturating_sub(self.connections.0.available_permits())
    }

    /// The section `service` of the configuration.
    pub(crate) fn service(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }
}
