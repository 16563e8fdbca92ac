//! Under which host names, and from which pages, the service may be called.
//!
//! A malicious web page can make a browser call a service on its user's own machine in two ways: by DNS
//! rebinding (its own host name resolves to that machine; `Host` is then that name) or by submitting a
//! plain form (`Origin` is then the page). What a page may read is in `cors`, tokens are in `access`.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, header};

use crate::client::Peer;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::state::{Settings, State};

/// The host name under which a proxy was called; a plain form cannot set it.
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Refuses unknown host names and pages.
pub(crate) fn check(app: &State, settings: &Settings, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    if headers.get_all(header::HOST).iter().nth(1).is_some() {
        // RFC 9112, 3.2: another one may have looked at the other name.
        let detail = "the request has more than one line \"Host\"";
        return Err(Problem::refused(Refusal::Malformed, detail).with(header::CONNECTION, "close"));
    }
    let authority = request.uri().authority().map(Authority::as_str);
    // A client without a host name is not a browser.
    let host = authority.or_else(|| text(headers, &header::HOST));
    if app.local && settings.tokens.is_empty() && host.is_some_and(|h| !known(h, settings)) {
        let detail = "without tokens this service answers under the names of its own machine \
                      only: ask for localhost, name others in service.host_names, or give tokens";
        return Err(Problem::refused(Refusal::Host, detail));
    }
    if *request.method() == Method::POST
        && let Some(origin) = headers.get(header::ORIGIN)
    {
        let named = settings.cors_origins.iter().any(|o| o.as_bytes() == origin.as_bytes());
        if !(named || is_own_page(request, settings)) {
            let detail = "pages of this origin may not ask here: name it in service.cors_origins";
            return Err(Problem::refused(Refusal::Origin, detail));
        }
    }
    Ok(())
}

/// Whether a page of this service made the browser send `request`.
pub(crate) fn is_own_page(request: &Request, settings: &Settings) -> bool {
    let headers = request.headers();
    let authority = request.uri().authority().map(Authority::as_str);
    let host = authority.or_else(|| text(headers, &header::HOST));
    let origin = text(headers, &header::ORIGIN).unwrap_or_default();
    let page = origin.split_once("://").map(|(_, page)| page);
    let same = |host: Option<&str>| {
        page.zip(host).is_some_and(|(page, host)| page.eq_ignore_ascii_case(host))
    };
    let proxy = Peer::of(request).may_speak_for_others(settings);
    same(host) || same(text(headers, &FORWARDED_HOST).filter(|_| proxy))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Whether `host`, with or without a port, is a name of this machine or of the configuration.
fn known(host: &str, settings: &Settings) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or_default(),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let number = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(number) {
        return false;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if let Ok(address) = name.parse::<IpAddr>() {
        return address.to_canonical().is_loopback() || address == settings.host;
    }
    name.eq_ignore_ascii_case("localhost")
        || settings.host_names.iter().any(|n| n.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mlops_core::config::Config;

    use super::*;
    use crate::access::Tokens;

    #[test]
    fn names_of_this_machine_are_told_from_others() {
        let text = r#"{"input_folder_path":"in","output_folder_path":"out","test_data_path":"t",
            "output_model_path":"m","prod_deployment_path":"p",
            "service":{"host":"192.0.2.7","host_names":["models.example"]}}"#;
        let config = Config::parse(text, Path::new("/w/config.json")).unwrap();
        let settings = Settings { config, tokens: Tokens::default() };
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8000", true),
            ("localhost.:8000", true),
            ("127.0.0.1:8000", true),
            ("127.9.9.9", true),
            ("[::1]:8000", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("192.0.2.7:8000", true),
            ("models.example:8000", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:8000", false),
            ("192.0.2.8", false),
            ("128.0.0.1", false),
            ("[::2]", false),
            ("[::1", false),
            ("[::1].evil.example", false),
            ("127.0.0.1:80@evil.example", false),
            ("localhost:evil.example", false),
            ("", false),
            ("0.0.0.0:8000", false),
        ] {
            assert_eq!(known(host, &settings), expected, "{host}");
        }
    }
}
