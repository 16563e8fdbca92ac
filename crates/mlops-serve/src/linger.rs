//! The end of a connection whose client may still be sending.
//!
//! If a socket is closed with unread bytes in it, the system resets the connection, and the client
//! loses an answer that it has not read yet. What still arrives is therefore read and discarded for
//! a while, without using memory. Not for connections with an answer to come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// How long a client may be silent before its connection is closed.
const PAUSE: Duration = Duration::from_secs(2);
/// The number of bytes discarded before the connection is closed.
const MOST: usize = 64 << 20;

/// The number of bytes of a request's body that have not been read; `u64::MAX` if the client did
/// not announce a length.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unread(Arc<AtomicU64>);

impl Unread {
    pub(crate) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Discards what arrives on `stream` until the client closes it, for at most `time`, [`MOST`]
/// bytes, or a [`PAUSE`] without data. Our side must have been shut down for writing.
pub(crate) async fn linger(mut stream: TcpStream, time: Duration) {
    let (mut piece, mut all) = (vec![0; 16 << 10], 0);
    let _ = tokio::time::timeout(time, async {
        while all < MOST {
            match tokio::time::timeout(PAUSE, stream.read(&mut piece)).await {
                Ok(Ok(n)) if n > 0 => all += n,
                _ => break,
            }
        }
    })
    .await;
}
