//! SIGHUP: reads configuration, tokens and certificate again, reopens the log of predictions, and
//! checks the live release.
//!
//! Settings that cannot change at run time are reported and take effect at the next start. Not for
//! promotions, which are followed automatically: see `live`.

use std::sync::{Arc, Mutex, PoisonError};

use mlops_core::config::Config;
use mlops_core::{Error, Result};

use crate::state::{App, Settings};

/// Reads configuration and tokens again.
pub type Reload = Box<dyn FnMut() -> Result<Settings> + Send>;

/// Runs when the service is told to reload.
#[derive(Clone)]
pub(crate) struct Reloader(Arc<Mutex<Reload>>);

impl Reloader {
    pub(crate) fn new(reload: Reload) -> Self {
        Self(Arc::new(Mutex::new(reload)))
    }

    /// Reloads; an error changes nothing. Blocks.
    pub(crate) fn run(&self, app: &App) {
        let read = (self.0.lock().unwrap_or_else(PoisonError::into_inner))();
        match read.and_then(|new| taken(app, new)) {
            Ok(waiting) => {
                tracing::info!("configuration and tokens were read again");
                for key in waiting {
                    tracing::warn!("\"{key}\" has changed: it counts from the next start on");
                }
            }
            Err(error) => {
                tracing::error!("reading again failed, so that nothing was changed: {error}");
            }
        }
        if let (Some(identity), Some(files)) = (&app.identity, &app.service().tls) {
            identity.renew(files, app.context.clock.now().timestamp());
        }
        if let Some(log) = &app.predictions {
            log.reopen();
        }
        app.live.forget_trouble();
    }
}

/// Applies `new` settings; returns the changed keys that take effect only at the next start.
fn taken(app: &App, new: Settings) -> Result<Vec<&'static str>> {
    let old = app.settings.load();
    if !old.tokens.is_empty() && new.tokens.is_empty() {
        // A file that is just being written looks like this too.
        let problem = "no token is left: give one, or start anew to serve without any".to_owned();
        return Err(Error::config("tokens", vec![problem]));
    }
    let waiting = waiting(&old.config, &new.config);
    app.settings.store(Arc::new(new));
    Ok(waiting)
}

/// Keys whose values are used only at startup.
fn waiting(old: &Config, new: &Config) -> Vec<&'static str> {
    let (was, is) = (&old.service, &new.service);
    let keys = [
        ("service.host", was.host != is.host),
        ("service.port", was.port != is.port),
        ("service.max_connections", was.max_connections != is.max_connections),
        ("service.max_in_flight", was.max_in_flight != is.max_in_flight),
        ("service.tls", was.tls.is_some() != is.tls.is_some()),
        ("service.prediction_log_…", was.prediction_log != is.prediction_log),
        ("prod_deployment_path", old.deployment != new.deployment),
        ("signing.trusted", old.signing.trusted != new.signing.trusted),
        ("models_path", old.models != new.models),
        ("output_folder_path", old.output_folder != new.output_folder),
    ];
    keys.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}
