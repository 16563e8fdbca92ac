//! A single connection: limits on heads, bodies and its end, with the router behind them.
//!
//! Not for the number of connections: see `server`.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tower_service::Service as _;

use crate::budget::LARGE;
use crate::client::Peer;
use crate::linger::Unread;
use crate::metrics::Failed;
use crate::prefix;
use crate::slow_reader::Guarded;
use crate::state::App;
use crate::stream::Stream;

/// Maximum size of a request head in bytes.
const MAX_HEAD: usize = 64 << 10;

/// The future that answers a request.
type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// A socket on which a client has connected.
pub(crate) struct Accepted {
    pub(crate) socket: TcpStream,
    /// Its place among the connections, released when it is closed.
    pub(crate) place: OwnedSemaphorePermit,
}

impl Accepted {
    /// The stream behind the handshake of TLS, if there is to be one, with a time limit for each
    /// part that the client reads.
    pub(crate) async fn secured(
        self,
        app: &App,
        limit: Duration,
        unread: Unread,
    ) -> Result<Stream, Failed> {
        // Answers are written whole, so that waiting for more to send would only delay them.
        let _ = self.socket.set_nodelay(true);
        let socket = Guarded::new(self.socket, self.place, limit, unread);
        let Some(identity) = &app.identity else { return Ok(Stream::Plain(socket)) };
        let mut stopping = app.stopping.subscribe();
        let handshake = async {
            if socket.speaks_http().await {
                return tell_of_tls(socket).await;
            }
            let accepted = identity.acceptor().accept(socket).await;
            accepted.map(|stream| Stream::Tls(Box::new(stream))).map_err(|_| Failed::Handshake)
        };
        tokio::select! {
            secured = tokio::time::timeout(app.service().header_timeout, handshake) =>
                secured.unwrap_or(Err(Failed::Handshake)),
            _ = stopping.wait_for(|stopping| *stopping) => Err(Failed::Broken),
        }
    }
}

/// Tells a client that has sent its request in the clear what is wrong.
async fn tell_of_tls(mut socket: Guarded) -> Result<Stream, Failed> {
    const WORDS: &str = "This service answers by TLS only: ask for https://\n";
    let length = WORDS.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n\
         content-length: {length}\r\n\r\n{WORDS}"
    );
    let _ = socket.write_all(answer.as_bytes()).await;
    let _ = socket.shutdown().await;
    Err(Failed::Handshake)
}

/// Serves `stream`.
pub(crate) fn connection(
    app: &App,
    router: &Router,
    stream: Stream,
    peer: Peer,
    unread: Unread,
) -> http1::Connection<TokioIo<Stream>, Adapted> {
    let mut builder = http1::Builder::new();
    let settings = app.service();
    builder.timer(TokioTimer::new()).header_read_timeout(settings.header_timeout);
    // A client that has closed its sending side still gets its answer.
    builder.max_buf_size(MAX_HEAD).half_close(true);
    let service = Adapted { app: App::clone(app), router: router.clone(), peer, unread };
    builder.serve_connection(TokioIo::new(stream), service)
}

/// The router, adapted to the bodies and addresses of connections.
pub(crate) struct Adapted {
    app: App,
    router: Router,
    peer: Peer,
    unread: Unread,
}

impl hyper::service::Service<Request<Incoming>> for Adapted {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let unread = self.unread.clone();
        let mut request = request.map(|body| {
            unread.set(left(&body));
            Body::new(Watched { body, unread: unread.clone() })
        });
        request.extensions_mut().insert(self.peer);
        prefix::strip(&mut request, &self.app.service().root_path);
        let answer = self.router.clone().call(request);
        Box::pin(async move {
            let Ok(mut answer) = answer.await;
            // A body this large is not read just to keep the connection for another request.
            if unread.bytes() > LARGE as u64 {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(answer)
        })
    }
}

/// A body that tracks how much of it is unread.
struct Watched {
    body: Incoming,
    unread: Unread,
}

fn left(body: &Incoming) -> u64 {
    if body.is_end_stream() { 0 } else { body.size_hint().exact().unwrap_or(u64::MAX) }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.unread.set(if frame.is_some() { left(&self.body) } else { 0 });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
