//! Signals that tell the service to stop or to reload its configuration.
//!
//! Each comes through a pipe to a thread of its own. Not for the reaction: see `server` and
//! `reload`.

use std::io::Read as _;

use mlops_core::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe::register;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Receives when the process is told to stop, by Ctrl-C or SIGTERM.
pub(crate) fn stop() -> Result<UnboundedReceiver<()>> {
    listen("stop", &[SIGINT, SIGTERM])
}

/// Receives when the process is told to reload its configuration.
pub(crate) fn reload() -> Result<UnboundedReceiver<()>> {
    listen("reload", &[SIGHUP])
}

fn listen(name: &str, signals: &[i32]) -> Result<UnboundedReceiver<()>> {
    let failed = |e| Error::backend("signals", e);
    let (mut reader, writer) = std::io::pipe().map_err(failed)?;
    for signal in signals {
        register(*signal, writer.try_clone().map_err(failed)?).map_err(failed)?;
    }
    let (tell, told) = unbounded_channel();
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // The other end exists as long as the process.
        while reader.read(&mut [0]).is_ok_and(|n| n > 0) && tell.send(()).is_ok() {}
    });
    thread.map_err(|_| Error::backend("signals", mlops_core::platform::threads::NONE))?;
    Ok(told)
}
