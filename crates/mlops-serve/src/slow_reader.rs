//! A connection whose client must read its answer within a time limit.
//!
//! A client that stops reading would otherwise hold its connection, and the answer, for ever. If a
//! request was answered before it was read, the connection outlives its close for a while: see
//! `linger`. Not for clients that send too slowly: the limits on head and body handle them.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use crate::linger::{Unread, linger};

/// The number of bytes that must be taken within the time limit.
const STEP: usize = 64 << 10;

/// A stream with a time limit for each [`STEP`] that its other side takes.
pub(crate) struct Guarded {
    /// The stream and its place among the connections; `None` once it lingers.
    open: Option<(TcpStream, OwnedSemaphorePermit)>,
    unread: Unread,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    /// The timer is running.
    waiting: bool,
    /// Bytes taken since the timer started.
    taken: usize,
}

impl Guarded {
    pub(crate) fn new(
        stream: TcpStream,
        place: OwnedSemaphorePermit,
        limit: Duration,
        unread: Unread,
    ) -> Self {
        let timer = Box::pin(tokio::time::sleep(limit));
        Self { open: Some((stream, place)), unread, limit, timer, waiting: false, taken: 0 }
    }

    /// Whether the client begins as HTTP does, and not as TLS; waits until it begins.
    pub(crate) async fn speaks_http(&self) -> bool {
        let Some((stream, _)) = &self.open else { return false };
        let mut first = [0];
        matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_alphabetic()
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let stream = self.open.as_mut().map(|(stream, _)| Pin::new(stream));
        stream.ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Applies the time limit to the result of an attempt to write.
    fn watch(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.taken += written.as_ref().copied().unwrap_or_default();
            if self.taken >= STEP {
                (self.waiting, self.taken) = (false, 0);
            }
            return Poll::Ready(written);
        }
        if !self.waiting {
            (self.waiting, self.taken) = (true, 0);
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write_vectored(context, pieces);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.open.as_ref().is_some_and(|(stream, _)| stream.is_write_vectored())
    }

    /// Called when everything was taken.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.stream()?.poll_flush(context));
        (self.waiting, self.taken) = (false, 0);
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = ready!(self.stream()?.poll_shutdown(context));
        let more = |stream: &TcpStream| stream.try_read(&mut [0; 4096]).is_ok_and(|n| n > 0);
        let coming = self.unread.bytes() > 0 || self.open.as_ref().is_some_and(|(s, _)| more(s));
        if coming && let Some((stream, place)) = self.open.take() {
            let limit = self.limit;
            tokio::spawn(async move {
                linger(stream, limit).await;
                drop(place);
            });
        }
        Poll::Ready(shut)
    }
}
