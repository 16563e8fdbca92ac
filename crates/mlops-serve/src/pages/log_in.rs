//! The form for a token, and the cookie that keeps it in a browser.
//!
//! The cookie has the tokens themselves: nothing is kept here, so that a restart logs nobody out, and revoking a token
//! ends the log-in. Scripts cannot read it, and no other site can make a browser send it. Not for which
//! token allows what: see `access`.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use maud::{Markup, html};

use super::query::encoded;
use super::view::page;
use super::visit::{Visit, wants_html};
use super::{layout, parts};
use crate::access::{COOKIE, of_cookie};
use crate::body;
use crate::call::Call;
use crate::client::{Client, Peer};
use crate::problem::Problem;
use crate::refusal::Refusal;

/// The most bytes of a form.
pub(crate) const LARGEST_FORM: usize = 8 << 10;
/// The most tokens that a browser keeps: one for each scope, and those before.
const MOST_TOKENS: usize = 4;
/// The scheme under which a proxy was asked.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Answers `GET /login`.
pub(crate) fn form(call: &Call) -> Response {
    let visit = Visit::of(&call.request, &call.app.service());
    let next = visit.query.get("next").unwrap_or("/").to_owned();
    page(whole(&visit, "Log in", &asked(&visit, &next, None)))
}

/// Answers `POST /login`: keeps the token, if it is known, and goes to the page that was asked for.
pub(crate) async fn log_in(Call { app, id, request, max_body }: Call) -> Result<Response, Problem> {
    let settings = app.settings.load_full();
    let visit = Visit::of(&request, &settings);
    let headers = request.headers().clone();
    let client = Client::of(Peer::of(&request), &headers, &settings);
    let form = body::form(request, &app, max_body).await?;
    let next = form.get("next").unwrap_or("/");
    let token = form.get("token").unwrap_or_default();
    if !settings.tokens.is_empty() && !settings.tokens.knows(token) {
        let problem = Problem::refused(Refusal::UnknownToken, "this token is not known here");
        if !wants_html(&headers, "") {
            return Err(problem.with(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""));
        }
        app.refusals.tell(Refusal::UnknownToken, client, Some(id.as_str()));
        let mut response =
            page(whole(&visit, "Log in", &asked(&visit, next, Some(&problem.detail))));
        *response.status_mut() = problem.status;
        return Ok(response);
    }
    // A second token adds its scope to that of the first.
    let mut kept = vec![token.to_owned()];
    let before = of_cookie(&headers).into_iter().filter(|t| t != token && settings.tokens.knows(t));
    kept.extend(before.take(MOST_TOKENS - 1));
    let value: Vec<String> = kept.iter().map(|token| encoded(token)).collect();
    let mut response = gone_to(&format!("{}{}", visit.root, inside(next)));
    keep(&mut response, &visit, &headers, &value.join("."), "");
    Ok(response)
}

/// Answers `POST /logout`.
pub(crate) fn log_out(call: &Call) -> Response {
    let visit = Visit::of(&call.request, &call.app.service());
    let mut response = gone_to(&visit.link("/login"));
    keep(&mut response, &visit, call.request.headers(), "", "; Max-Age=0");
    response
}

/// The page for a browser whose request ended with `problem`; with the form if only a token is missing.
pub(crate) fn refused(visit: &Visit, problem: &Problem, request_id: &str) -> String {
    match problem.status {
        StatusCode::UNAUTHORIZED => whole(visit, "Log in", &asked(visit, &visit.here(), None)),
        StatusCode::FORBIDDEN if visit.guarded => {
            let form = asked(visit, &visit.here(), Some(&problem.detail));
            whole(visit, "This token does not allow that", &form)
        }
        status => {
            let title = match status {
                StatusCode::NOT_FOUND => "There is no such page",
                StatusCode::SERVICE_UNAVAILABLE => "Not at the moment",
                _ => "This did not work",
            };
            let words = html! {
                p { (problem.detail) }
                p.small { "The log names this request as " code { (request_id) } "." }
                p { a href=(visit.link("/")) { "To the start page" } }
            };
            layout::page(
                visit,
                title,
                &parts::card("problem", status.canonical_reason().unwrap_or("Error"), &words),
            )
            .into_string()
        }
    }
}

fn whole(visit: &Visit, title: &str, main: &Markup) -> String {
    layout::bare(visit, title, main).into_string()
}

fn asked(visit: &Visit, next: &str, trouble: Option<&str>) -> Markup {
    html! {
        section.card {
            @if visit.guarded {
                @if let Some(trouble) = trouble {
                    div.finding.bad role="alert" { p { (trouble) "." } }
                }
                form method="post" action=(visit.link("/login")) {
                    input type="hidden" name="next" value=(inside(next));
                    p {
                        label for="token" { "Token with the scope “read”" }
                        input #token type="password" name="token" autocomplete="current-password" required size="40";
                    }
                    p { button type="submit" { "Log in" } }
                }
                p.small {
                    "The browser keeps the token until it is closed or you log out. Programs send it as "
                    code { "Authorization: Bearer …" } " instead."
                }
                p.small {
                    "If you came here by a link on another site and are logged in already, "
                    a href=(visit.link(&inside(next))) { "open the page again" } "."
                }
            } @else {
                p { "This service asks for no token." }
                p { a href=(visit.link("/")) { "To the start page" } }
            }
        }
    }
}

/// A path of this service, whatever a form or an address named.
fn inside(next: &str) -> String {
    let ours = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if ours { next.to_owned() } else { "/".to_owned() }
}

fn gone_to(place: &str) -> Response {
    let mut response = page(String::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, place);
    response
}

/// Sets the cookie to `value`, for this service only.
fn keep(response: &mut Response, visit: &Visit, headers: &HeaderMap, value: &str, more: &str) {
    let path = if visit.root.is_empty() { "/" } else { &visit.root };
    let tls = visit.tls
        || headers
            .get(FORWARDED_PROTO)
            .is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    let secure = if tls { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path={path}; HttpOnly; SameSite=Strict{secure}{more}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_to_pages_of_this_service_only() {
        for (next, expected) in [
            ("/runs?page=2", "/runs?page=2"),
            ("//evil.example/", "/"),
            ("https://evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("/a\r\nSet-Cookie: b", "/"),
            ("", "/"),
        ] {
            assert_eq!(inside(next), expected, "{next}");
        }
    }
}
