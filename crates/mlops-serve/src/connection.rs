//! A single connection: limits on heads, bodies and its end, with the router behind them.
//!
//! Not for the number of connections: see `server`.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tower_service::Service as _;

use crate::budget::LARGE;
use crate::linger::Unread;
use crate::prefix;
use crate::slow_reader::Guarded;
use crate::state::App;

/// Maximum size of a request head in bytes.
const MAX_HEAD: usize = 64 << 10;

/// The future that answers a request.
type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Serves `stream`, which releases its `place` among the connections when it is closed.
pub(crate) fn connection(
    app: &App,
    router: &Router,
    stream: TcpStream,
    place: OwnedSemaphorePermit,
) -> http1::Connection<TokioIo<Guarded>, Adapted> {
    // Answers are written whole, so that waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    let settings = app.service();
    builder.timer(TokioTimer::new()).header_read_timeout(settings.header_timeout);
    // A client that has closed its sending side still gets its answer.
    builder.max_buf_size(MAX_HEAD).half_close(true);
    let unread = Unread::default();
    let stream = Guarded::new(stream, place, settings.body_timeout, unread.clone());
    let service = Adapted { app: App::clone(app), router: router.clone(), unread };
    builder.serve_connection(TokioIo::new(stream), service)
}

/// The router, adapted to the bodies and addresses of connections.
pub(crate) struct Adapted {
    app: App,
    router: Router,
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
