//! Resolves host names with the system's resolver.
//!
//! reqwest's own resolver panics if the system refuses it a thread; this one then resolves on the
//! calling thread. Not for connecting: see [`crate::transport`].

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Asks the system, on a thread of its own if it can get one, since resolving may take long.
#[derive(Debug)]
pub(crate) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let answer = Arc::new(Mutex::new(Answer::default()));
        let asked = Arc::clone(&answer);
        let host = name.as_str().to_owned();
        let ask = move || {
            // A scheme's own port takes the place of this one.
            let found = (host.as_str(), 0).to_socket_addrs().map(Iterator::collect);
            let mut answer = asked.lock().unwrap_or_else(PoisonError::into_inner);
            answer.found = Some(found);
            if let Some(waiting) = answer.waiting.take() {
                waiting.wake();
            }
        };
        if thread::Builder::new().name("resolver".to_owned()).spawn(ask.clone()).is_err() {
            ask();
        }
        Box::pin(Asked(answer))
    }
}

/// What is known of a name so far.
#[derive(Default)]
struct Answer {
    found: Option<io::Result<Vec<SocketAddr>>>,
    waiting: Option<Waker>,
}

/// A question that was put.
struct Asked(Arc<Mutex<Answer>>);

impl Future for Asked {
    type Output = Result<Addrs, Box<dyn std::error::Error + Send + Sync>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match answer.found.take() {
            Some(Ok(found)) => Poll::Ready(Ok(Box::new(found.into_iter()))),
            Some(Err(error)) => Poll::Ready(Err(error.into())),
            None => {
                answer.waiting = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
