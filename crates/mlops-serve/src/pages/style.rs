//! The style sheet of all pages and their icon, served by ourselves under addresses that change with them.
//!
//! It begins with the colours of [`mlops_report::palette`]. Not for the layout of pages: see `style.css`.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use maud::{Markup, PreEscaped};
use mlops_core::platform::digest::Digest;
use mlops_report::palette;

use crate::body;
use crate::call::Call;

/// The path of the style sheet.
pub(crate) const SHEET: &str = "/style.css";
/// The path of the icon.
pub(crate) const ICON: &str = "/icon.svg";

const ICON_TEXT: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><rect width=\"32\" height=\"32\" \
    rx=\"7\" fill=\"#005A8E\"/><path d=\"M6 22l6-7 5 4 9-11\" fill=\"none\" stroke=\"#fff\" stroke-width=\"3\" \
    stroke-linecap=\"round\" stroke-linejoin=\"round\"/><circle cx=\"26\" cy=\"8\" r=\"2.6\" fill=\"#FF9550\"/></svg>";

/// The style sheet, and its path with a part that follows from its content.
static PARTS: LazyLock<(String, String)> = LazyLock::new(|| {
    let sheet = sheet();
    let digest = Digest::of(sheet.as_bytes()).to_string();
    let path = format!("{SHEET}?v={}", digest.get(..12).unwrap_or_default());
    (sheet, path)
});

/// The path of the style sheet as pages name it.
pub(super) fn sheet_path() -> &'static str {
    &PARTS.1
}

/// The icon within a page.
pub(super) fn mark() -> Markup {
    PreEscaped(ICON_TEXT.replacen("<svg", "<svg aria-hidden=\"true\" class=\"mark\"", 1))
}

fn sheet() -> String {
    palette::sheet() + include_str!("style.css")
}

/// Answers `GET /style.css`.
pub(crate) fn style(_: &Call) -> Response {
    kept(body::typed(PARTS.0.as_str(), "text/css; charset=utf-8"))
}

/// Answers `GET /icon.svg`.
pub(crate) fn icon(_: &Call) -> Response {
    kept(body::typed(ICON_TEXT, "image/svg+xml"))
}

/// Lets browsers keep what has another address once it is another.
fn kept(mut response: Response) -> Response {
    let day = HeaderValue::from_static("public, max-age=86400");
    response.headers_mut().insert(header::CACHE_CONTROL, day);
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
