//! The path prefix that a proxy adds to all endpoints, whether it strips it or not.
//!
//! Not for endpoints themselves: see `router`.

use axum::extract::Request;
use axum::http::HeaderName;
use axum::http::uri::{PathAndQuery, Uri};
use mlops_core::config::is_root_path;

use crate::client::Peer;
use crate::state::Settings;

/// The prefix that a proxy has stripped.
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Strips `root` from the path of `request`, if it is there.
pub(crate) fn strip(request: &mut Request, root: &str) {
    if root.is_empty() {
        return;
    }
    let uri = request.uri();
    let Some(rest) = uri.path_and_query().and_then(|p| p.as_str().strip_prefix(root)) else {
        return;
    };
    let rest = match rest.as_bytes().first() {
        Some(b'/') => rest.to_owned(),
        None | Some(b'?') => format!("/{rest}"),
        Some(_) => return,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(rest).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

/// The prefix of endpoints as the client that has sent `request` sees them.
pub(crate) fn of(request: &Request, settings: &Settings) -> String {
    let proxy = Peer::of(request).may_speak_for_others(settings);
    let said = request.headers().get(FORWARDED_PREFIX).filter(|_| proxy);
    let said = said.and_then(|v| v.to_str().ok());
    let said = said.map(|text| text.trim_end_matches('/')).filter(|text| is_root_path(text));
    said.unwrap_or(&settings.root_path).to_owned()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn the_prefix_is_taken_off_where_it_is() {
        for (uri, expected) in [
            ("/a/b/prediction?x=1", "/prediction?x=1"),
            ("/a/b", "/"),
            ("/a/b?x", "/?x"),
            ("/a/bc", "/a/bc"),
            ("/prediction", "/prediction"),
            ("/a/b/a/b/", "/a/b/"),
        ] {
            let mut request = Request::builder().uri(uri).body(Body::empty()).unwrap();
            strip(&mut request, "/a/b");
            assert_eq!(request.uri().to_string(), expected, "{uri}");
        }
    }
}
