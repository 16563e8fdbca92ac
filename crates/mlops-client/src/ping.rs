//! Pings a dead man's switch, which raises the alarm when pings stop, so that it also notices a
//! machine that is off. No ping is waited for, and a failed one fails nothing.
//!
//! A ping is a GET of the configured address, or a POST with a text; the signal is appended to the
//! path, as healthchecks.io and similar services expect. The address is a secret that is in no log
//! and no error.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::blocking::Client;
use reqwest::header::CONTENT_TYPE;

use crate::transport::{self, reason};

/// The meaning of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// A run begins its work.
    Start,
    /// The run succeeded.
    Success,
    /// The run ended without an exit status of its own: it was cut off or panicked.
    Fail,
    /// The run ended with this exit status.
    Exit(u8),
}

/// An order for the pinging thread.
enum Order {
    /// Send a ping, possibly with a text.
    Ping(Signal, Option<String>),
    /// Reply when all earlier orders are done.
    Report(Sender<()>),
}

/// Sends pings in order from a thread of its own.
#[derive(Debug)]
pub struct Pings {
    /// `None` without an address.
    orders: Option<Sender<Order>>,
    timeout: Duration,
}

impl Pings {
    /// Pings `url` with `timeout` for each ping; without an address all methods do nothing.
    pub fn new(url: Option<&str>, timeout: Duration) -> Self {
        let orders = url.and_then(|url| {
            let url = Url::parse(url)
                .inspect_err(|e| tracing::warn!("no pings: the address is not valid: {e}"))
                .ok()?;
            let (sender, orders) = channel();
            std::thread::Builder::new()
                .name("ping".to_owned())
                .spawn(move || work(&url, timeout, &orders))
                .inspect_err(|e| tracing::warn!("no pings: cannot start a thread: {e}"))
                .ok()?;
            Some(sender)
        });
        Self { orders, timeout }
    }

    /// Sends a ping immediately without waiting for it.
    pub fn send(&self, signal: Signal) {
        self.order(Order::Ping(signal, None));
    }

    /// Sends a ping with a short text for people who look at the switch, without waiting for it.
    pub fn send_with(&self, signal: Signal, text: String) {
        self.order(Order::Ping(signal, Some(text)));
    }

    /// Waits for pending pings before the process ends, for at most two time-outs.
    pub fn finish(&self) {
        let (sender, done) = channel();
        if self.order(Order::Report(sender)) {
            // It was tried; whether it succeeded does not matter.
            let _ = done.recv_timeout(2 * self.timeout);
        }
    }

    fn order(&self, order: Order) -> bool {
        self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok())
    }
}

/// The body of the thread. It answers a `Report` even if no client can be created.
fn work(url: &Url, timeout: Duration, orders: &Receiver<Order>) {
    let mut client = None;
    for order in orders {
        match order {
            Order::Ping(signal, text) => {
                let begun = Instant::now();
                let result = match &client {
                    Some(client) => ping(client, url, signal, text),
                    None => make_client(url, timeout)
                        .and_then(|made| ping(client.insert(made), url, signal, text)),
                };
                let took = begun.elapsed();
                match result {
                    Ok(()) => tracing::debug!(?signal, ?took, "pinged"),
                    Err(reason) => tracing::warn!(?signal, ?took, "the ping failed: {reason}"),
                }
            }
            Order::Report(sender) => {
                // If the receiver is gone, nothing is lost.
                let _ = sender.send(());
            }
        }
    }
}

/// A client for `url`.
fn make_client(url: &Url, timeout: Duration) -> Result<Client, String> {
    transport::client(url, timeout).build().map_err(reason)
}

fn ping(client: &Client, url: &Url, signal: Signal, text: Option<String>) -> Result<(), String> {
    let address = address(url, signal);
    let request = match text {
        None => client.get(address),
        Some(text) => {
            client.post(address).header(CONTENT_TYPE, "text/plain; charset=utf-8").body(text)
        }
    };
    let response = request.send();
    response
        .and_then(reqwest::blocking::Response::error_for_status)
        .map_err(|e| if e.is_timeout() { "no answer in time".to_owned() } else { reason(e) })?;
    Ok(())
}

/// The address for a signal; a query stays at its end.
fn address(url: &Url, signal: Signal) -> Url {
    let last = match signal {
        Signal::Success => return url.clone(),
        Signal::Start => "start".to_owned(),
        Signal::Fail => "fail".to_owned(),
        Signal::Exit(status) => status.to_string(),
    };
    beneath(url, &last)
}

/// The address with one more part at the end of its path.
pub(crate) fn beneath(url: &Url, last: &str) -> Url {
    let mut url = url.clone();
    // An http address always has a path.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(last);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_goes_before_the_query() {
        let at = |url: &str, signal| address(&Url::parse(url).unwrap(), signal).to_string();
        assert_eq!(at("https://p.example/key", Signal::Start), "https://p.example/key/start");
        assert_eq!(at("https://p.example/key/", Signal::Fail), "https://p.example/key/fail");
        assert_eq!(
            at("https://p.example/key?a=1", Signal::Exit(75)),
            "https://p.example/key/75?a=1"
        );
        assert_eq!(at("https://p.example/key?a=1", Signal::Success), "https://p.example/key?a=1");
        assert_eq!(at("http://p.example", Signal::Start), "http://p.example/start");
    }
}
