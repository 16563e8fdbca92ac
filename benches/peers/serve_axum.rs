//! The least that axum costs: a program that answers `GET /hello` and nothing else, on the port that it is given.
//!
//! A peer of `benches/serve.py`. It is an example of mlops-serve, so that both are built of the same versions:
//! `cargo build --release -p mlops-serve --example serve_axum`.

use std::error::Error;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("usage: serve_axum PORT")?.parse::<u16>()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let router = Router::new().route("/hello", get(|| async { "Hello, world!" }));
    axum::serve(listener, router).await?;
    Ok(())
}
