//! The router: the table of endpoints behind the middleware.
//!
//! axum finds the endpoint, and each route knows its own, so that there is no second lookup. Not for
//! the addresses: see `endpoints`.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use tower_service::Service;

use crate::endpoints::{UNKNOWN, all};
use crate::middleware::Place;
use crate::state::App;

/// The router over all endpoints.
pub(crate) fn router(app: &App) -> Router {
    let mut router = Router::new();
    let service = |index, endpoint| {
        let place = Arc::new(Place::new(endpoint, index));
        Passage { app: App::clone(app), place }
    };
    let mut last = 0;
    for (index, endpoint) in all().enumerate() {
        router = router.route_service(endpoint.path, service(index, endpoint));
        last = index + 1;
    }
    router.fallback_service(service(last, &UNKNOWN))
}

/// The names of all endpoints for metrics, by index.
pub(crate) fn labels() -> Vec<&'static str> {
    all().chain([&UNKNOWN]).map(|endpoint| endpoint.path).collect()
}

/// Puts the middleware in front of the handlers of an endpoint.
#[derive(Clone)]
struct Passage {
    app: App,
    place: Arc<Place>,
}

impl Service<Request> for Passage {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { app, place } = self.clone();
        Box::pin(async move { Ok(place.answer(app, request).await) })
    }
}
