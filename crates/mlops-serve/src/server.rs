//! Listens, limits connections, follows the live release, and drains when it is told to stop.
//!
//! Not for one connection: see `connection`. Not for single requests: see `middleware`.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper_util::server::graceful::GracefulShutdown;
use mlops_core::ids::FindingKind;
use mlops_core::platform::heap;
use mlops_core::platform::lines::Lines;
use mlops_core::run::attention::Finding;
use mlops_core::run::context::{Context, Report};
use mlops_core::{Error, Result};
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Semaphore, watch};

use crate::access::Tokens;
use crate::body;
use crate::client::{Client, Peer};
use crate::connection::{Accepted, connection};
use crate::last::Last;
use crate::linger::Unread;
use crate::live::{Live, POLL, STALLED};
use crate::metrics::{Failed, Metrics};
use crate::notify::Manager;
use crate::prediction_log::PredictionLog;
use crate::rate::Rates;
use crate::refusal::Refusal;
use crate::refusals::Refusals;
use crate::reload::{Reload, Reloader};
use crate::renewal::{Renew, Renewal};
use crate::router::{labels, router};
use crate::signals;
use crate::state::{AccessLog, App, Settings, State};
use crate::tls::Identity;

/// Connections over the limit that get an answer at a time; further ones are closed silently.
const REFUSALS: usize = 64;
/// File descriptors besides those of connections: refusals, files, logs, the ledger.
const SPARE: u64 = 256;

/// The command line's additions to the configuration.
#[derive(Default)]
pub struct Options {
    /// Overrides `service.host`.
    pub host: Option<IpAddr>,
    /// Overrides `service.port`.
    pub port: Option<u16>,
    /// Other machines may call without a token.
    pub insecure: bool,
    /// The tokens.
    pub tokens: Tokens,
    /// Where access log lines go.
    pub access_log: Option<Arc<Lines>>,
    /// These lines are JSON.
    pub json_log: bool,
    /// Reads configuration and tokens again when the service is told to reload.
    pub reload: Option<Reload>,
    /// Renews diagnostics and reports after labels and decisions; without it, the next run does.
    pub renew: Option<Renew>,
}

/// The report of the service when it has ended.
#[derive(Debug, Clone, Serialize)]
pub struct Served {
    /// The address on which it listened.
    pub address: String,
    /// The number of requests answered.
    pub requests: u64,
    /// How long it served, in seconds.
    pub seconds: f64,
    /// All requests in flight were completed.
    pub drained: bool,
}

impl Report for Served {
    fn findings(&self) -> Vec<Finding> {
        let cut_off = "some requests were still at work after service.drain_seconds, or when the \
                       service was told a second time to stop, and were cut off";
        let cut_off = || Finding::failed(FindingKind::ServiceDegraded, cut_off);
        if self.drained { Vec::new() } else { vec![cut_off()] }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, requests, seconds, .. } = self;
        let requests = mlops_core::text::plural(*requests, "request");
        writeln!(f, "Answered {requests} at {address} in {seconds:.0} s")
    }
}

/// Serves until the process is told to stop, by Ctrl-C or SIGTERM; told a second time, it does not
/// wait for requests in progress. SIGHUP reloads the configuration.
///
/// # Errors
/// `Config` for an address that others can reach without tokens; `Io` if it cannot listen.
pub fn run(context: &Context, options: Options) -> Result<Served> {
    allow_descriptors(context.config.service.max_connections);
    heap::give_large_blocks_back();
    // If no thread can be had, tokio would panic.
    let thread = std::thread::Builder::new().spawn(|| {});
    thread.map_err(|_| Error::backend("tokio", mlops_core::platform::threads::NONE))?;
    // For large bodies, each of which takes memory besides its size, and for those that wait.
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let blocking = body::DISK + 8 + 2 * processors;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().thread_name("serve").max_blocking_threads(blocking).build();
    let runtime = runtime.map_err(|e| Error::backend("tokio", e))?;
    let served = runtime.block_on(async {
        let (stop, reload) = (signals::stop()?, signals::reload()?);
        let server = Server::bind(context, options).await?;
        server.reload_on(reload);
        let manager = server.keep_telling(Manager::of_environment());
        let stop = tokio::sync::Mutex::new(stop);
        // The first time and the second.
        let told = async || {
            let _ = stop.lock().await.recv().await;
        };
        let first = async {
            told().await;
            manager.stopping();
        };
        server.serve_until(first, told()).await
    });
    // Work that outlived its request must not outlive the service.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

/// Raises the limit of open files as far as allowed, and warns if that is too little.
fn allow_descriptors(connections: usize) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some() && limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!("the limit of open files stays as it is: {error}");
        }
    }
    let have = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let need = connections as u64 + SPARE;
    if have < need {
        tracing::warn!(
            "only {have} files may be open at a time, service.max_connections needs {need}: raise \
             the limit (LimitNOFILE, ulimit -n)"
        );
    }
}

/// A service that is listening.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: App,
    reloader: Option<Reloader>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server at {}", self.address)
    }
}

impl Server {
    /// Listens, and loads the live release. Without one it listens nevertheless and waits for it.
    ///
    /// # Errors
    /// As for [`run`].
    pub async fn bind(context: &Context, options: Options) -> Result<Self> {
        let service = &context.config.service;
        let host = options.host.unwrap_or(service.host);
        let address = SocketAddr::new(host, options.port.unwrap_or(service.port));
        if !host.is_loopback() && options.tokens.is_empty() && !options.insecure {
            let problem = format!(
                "{host} can be reached by others: give tokens (MLOPS_READ_TOKEN, \
                 MLOPS_PREDICT_TOKEN or --tokens-file), or say --insecure"
            );
            return Err(Error::config("service.host", vec![problem]));
        }
        let now = context.clock.now().timestamp();
        let identity = service.tls.as_ref().map(|files| Identity::open(files, now)).transpose()?;
        let failed = |e| {
            Error::backend(
                "the network",
                format!("cannot listen at {address}: {e}; choose another with --port"),
            )
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let log = options.access_log.map(|lines| AccessLog { lines, json: options.json_log });
        let told = log.as_ref().map(|log| (Arc::clone(&log.lines), log.json));
        let refusals = Refusals::new(Arc::clone(&context.clock), told);
        let predictions = service.prediction_log.as_ref();
        let predictions = predictions.map(|log| PredictionLog::start(context, log)).transpose()?;
        let connections = Arc::new(Semaphore::new(service.max_connections));
        let app = Arc::new(State {
            predictions,
            live: Live::default(),
            metrics: Metrics::new(labels()),
            figures: Arc::default(),
            description: Last::default(),
            settings: ArcSwap::from_pointee(Settings {
                config: context.config.clone(),
                tokens: options.tokens,
            }),
            local: !options.insecure,
            in_flight: Arc::new(Semaphore::new(service.max_in_flight)),
            disk: Arc::new(Semaphore::new(body::DISK)),
            budget: Arc::default(),
            access_log: log,
            receiving: std::sync::Mutex::default(),
            renewal: options.renew.and_then(|renew| Renewal::start(context, renew)),
            connections: (connections, service.max_connections),
            rates: Rates::default(),
            refusals,
            identity,
            stopping: watch::channel(false).0,
            id_prefix: format!("{:x}-", context.clock.now().timestamp_micros()),
            context: context.clone(),
        });
        // A disk that hangs must not prevent the service from reporting that.
        let _ = tokio::time::timeout(STALLED, follow(&app)).await;
        let server = Self { listener, address, app, reloader: options.reload.map(Reloader::new) };
        tracing::info!("listening on {}", server.url());
        Ok(server)
    }

    /// The address for clients.
    fn url(&self) -> String {
        let scheme = if self.app.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Tells the manager that the service is ready, and from time to time that it is alive.
    fn keep_telling(&self, manager: Manager) -> Arc<Manager> {
        manager.ready(&self.url());
        let manager = Arc::new(manager);
        if let Some(period) = manager.period() {
            let manager = Arc::clone(&manager);
            // Also during a drain, which may take longer than the watchdog's patience.
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(period).await;
                    manager.alive();
                }
            });
        }
        manager
    }

    /// Reloads configuration and tokens whenever `told` receives a signal.
    fn reload_on(&self, mut told: UnboundedReceiver<()>) {
        let (app, reloader) = (App::clone(&self.app), self.reloader.clone());
        tokio::spawn(async move {
            while told.recv().await.is_some() {
                let (app, reloader) = (App::clone(&app), reloader.clone());
                let reload = move || {
                    if let Some(reloader) = reloader {
                        reloader.run(&app);
                    }
                };
                let _ = tokio::task::spawn_blocking(reload).await;
            }
        });
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` ends, then drains.
    ///
    /// # Errors
    /// None at present; a failed connection concerns only its client.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<Served> {
        let never = std::future::pending::<()>();
        self.serve_until(stop, never).await
    }

    /// Serves until `stop` ends, then drains until `at_once` ends.
    async fn serve_until(
        self,
        stop: impl Future<Output = ()>,
        at_once: impl Future<Output = ()>,
    ) -> Result<Served> {
        let url = self.url();
        let Self { listener, app, .. } = self;
        let begun = app.context.clock.elapsed();
        let router = router(&app);
        let refusals = Arc::new(Semaphore::new(REFUSALS));
        let graceful = GracefulShutdown::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break,
            };
            let (socket, peer) = match accepted {
                Ok((socket, peer)) => (socket, Peer(peer.ip())),
                Err(error) => {
                    // Usually out of file descriptors; connections that end release some.
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            if let Ok(place) = Arc::clone(&app.connections.0).try_acquire_owned() {
                let accepted = Accepted { socket, place };
                let (app, router, watcher) = (App::clone(&app), router.clone(), graceful.watcher());
                tokio::spawn(async move {
                    let (limit, unread) = (app.service().body_timeout, Unread::default());
                    // A broken connection is noticed by its client, and counted here.
                    let failed = match accepted.secured(&app, limit, unread.clone()).await {
                        Ok(stream) => {
                            let connection = connection(&app, &router, stream, peer, unread);
                            watcher.watch(connection).await.err().map(|e| Failed::of(&e))
                        }
                        Err(failed) => Some(failed),
                    };
                    if let Some(failed) = failed {
                        count(&app, failed, peer);
                    }
                });
                continue;
            }
            app.metrics.connection_failed(Failed::Refused);
            if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
                let (app, accepted) = (App::clone(&app), Accepted { socket, place });
                tokio::spawn(async move { refuse(&app, accepted).await });
            }
        }
        drop(listener);
        app.stopping.send_replace(true);
        tracing::info!(
            "stopping: no new connections are accepted; requests in progress are completed"
        );
        let drained = tokio::select! {
            drained = tokio::time::timeout(app.service().drain, graceful.shutdown()) => drained.is_ok(),
            () = at_once => false,
        };
        let seconds = app.context.clock.elapsed().saturating_sub(begun).as_secs_f64();
        let requests = app.metrics.requests();
        Ok(Served { address: url, requests, seconds, drained })
    }
}

/// Counts a connection that ended without an answer, and tells of one that was no HTTP.
fn count(app: &State, failed: Failed, peer: Peer) {
    app.metrics.connection_failed(failed);
    let why = match failed {
        Failed::Malformed => Refusal::Malformed,
        Failed::Handshake => Refusal::Handshake,
        Failed::Refused | Failed::TimedOut | Failed::Broken => return,
    };
    app.refusals.tell(why, Client::from(peer), None);
}

/// Tells a connection over the limit to come back, and closes it.
async fn refuse(app: &App, accepted: Accepted) {
    // The request was not read, so that the answer has the fields of all protocols.
    const DETAIL: &str = r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"as many connections as service.max_connections are open: try again","error":"as many connections as service.max_connections are open: try again","error_code":"TEMPORARILY_UNAVAILABLE","message":"as many connections as service.max_connections are open: try again"}"#;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
         content-type: application/problem+json\r\ncontent-length: {}\r\n\r\n{DETAIL}",
        DETAIL.len()
    );
    let limit = Duration::from_secs(2);
    let unread = Unread::default();
    // What the client has sent or still sends is discarded after the answer.
    unread.set(u64::MAX);
    let written = tokio::time::timeout(limit, async {
        if let Ok(mut stream) = accepted.secured(app, limit, unread).await {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
        }
        Ok::<_, std::io::Error>(())
    });
    // The client has gone.
    let _ = written.await;
}

/// Follows the pointer to the live release as long as the service runs; returns after the first
/// check.
async fn follow(app: &App) {
    let app = Arc::downgrade(app);
    let (looked, first) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name("follow".to_owned()).spawn(move || {
        let mut looked = Some(looked);
        while let Some(app) = app.upgrade() {
            app.live.refresh(&app.context, &app.metrics);
            app.refusals.follow();
            if let (Some(identity), Some(files)) = (&app.identity, &app.service().tls) {
                identity.follow(files, app.context.clock.now().timestamp());
            }
            drop(app);
            if let Some(looked) = looked.take() {
                // The receiver may be gone.
                let _ = looked.send(());
            }
            std::thread::sleep(POLL);
        }
    });
    match spawned {
        Ok(_) => drop(first.await),
        Err(error) => tracing::error!("promotions will not be followed: {error}"),
    }
}
