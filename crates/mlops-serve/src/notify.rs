//! Notifies systemd: ready, reloading, stopping, and that the service is still alive.
//!
//! Datagrams to the socket that the environment names, as `sd_notify(3)` describes; without one,
//! nothing. Not for clients: see `health`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The manager that started the service, if it wants to be told.
#[derive(Debug, Default)]
pub(crate) struct Manager {
    socket: Option<UnixDatagram>,
    /// How long it waits for a sign of life.
    patience: Option<Duration>,
}

impl Manager {
    /// The manager that the environment names.
    pub(crate) fn of_environment() -> Self {
        let value = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let meant = value("WATCHDOG_PID").is_none_or(|pid| {
            pid.to_str().and_then(|pid| pid.parse().ok()) == Some(std::process::id())
        });
        let patience = value("WATCHDOG_USEC").filter(|_| meant);
        let patience = patience.and_then(|text: OsString| text.to_str()?.parse().ok());
        let patience = patience.filter(|n| *n > 0).map(Duration::from_micros);
        let Some(name) = value("NOTIFY_SOCKET") else { return Self::default() };
        match connect(&name) {
            Ok(socket) => Self { socket: Some(socket), patience },
            Err(error) => {
                tracing::warn!("systemd cannot be told that the service is ready: {error}");
                Self::default()
            }
        }
    }

    /// How often it is to be told that the service is alive.
    pub(crate) fn period(&self) -> Option<Duration> {
        // As the manual recommends.
        self.patience.map(|patience| patience / 2)
    }

    /// The service answers at `address`.
    pub(crate) fn ready(&self, address: &str) {
        self.tell(&format!("READY=1\nSTATUS=answers at {address}"));
    }

    /// The service is alive.
    pub(crate) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// The service takes no more connections.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=completes requests in progress");
    }

    fn tell(&self, message: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::debug!("systemd was not told: {error}");
        }
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not stop the service.
    socket.set_nonblocking(true)?;
    match name.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            use std::os::unix::net::SocketAddr;
            socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
        }
        #[cfg(not(target_os = "linux"))]
        Some(_) => return Err(io::ErrorKind::Unsupported.into()),
        None => socket.connect(name)?,
    }
    Ok(socket)
}
