//! A request for a page, as the page sees it.
//!
//! Not for the checks before: see `middleware`.

use axum::extract::Request;
use axum::http::{HeaderMap, header};

use super::query::{Query, encoded};
use crate::prefix;
use crate::state::Settings;

/// A request for a page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visit {
    /// What stands before the path of every link.
    pub(crate) root: String,
    /// The path without the prefix.
    pub(crate) path: String,
    /// The fields of the address.
    pub(crate) query: Query,
    /// Pages need a token, so that there is something to log out of.
    pub(crate) guarded: bool,
    /// The service itself answers by TLS.
    pub(crate) tls: bool,
}

impl Visit {
    /// The visit that `request` is.
    pub(crate) fn of(request: &Request, settings: &Settings) -> Self {
        let uri = request.uri();
        Self {
            root: prefix::of(request, settings),
            path: uri.path().to_owned(),
            query: Query::of(uri.query().unwrap_or_default()),
            guarded: !settings.tokens.is_empty(),
            tls: settings.tls.is_some(),
        }
    }

    /// The address of `path`, which begins with a slash.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    /// The address of the page below `path` of the thing called `name`.
    pub(crate) fn below(&self, path: &str, name: &str) -> String {
        format!("{}{path}/{}", self.root, encoded(name))
    }

    /// The address of this page with `value` for the field `name`.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        format!("{}{}?{}", self.root, self.path, self.query.with(name, value))
    }

    /// This page's address, to return to.
    pub(crate) fn here(&self) -> String {
        let query: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{mark}{}", self.path, query.join("&"))
    }

    /// The number of the page of a table, from 1.
    pub(crate) fn page(&self) -> u64 {
        let asked = self.query.get("page").and_then(|page| page.parse().ok());
        asked.unwrap_or(1).clamp(1, 1 << 40)
    }
}

/// Whether the client with `headers` asks for HTML: a browser does, a program that takes anything gets JSON.
/// `format=json` or `format=html` in the address decides it for both.
pub(crate) fn wants_html(headers: &HeaderMap, query: &str) -> bool {
    for pair in query.split('&') {
        match pair {
            "format=json" => return false,
            "format=html" => return true,
            _ => {}
        }
    }
    let (mut html, mut json) = (0.0_f32, 0.0_f32);
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
    for item in values.flat_map(|v| v.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let weight = parts.find_map(|p| p.strip_prefix("q=")).and_then(|q| q.parse().ok());
        let weight: f32 = weight.unwrap_or(1.0);
        if kind.eq_ignore_ascii_case("text/html") {
            html = html.max(weight);
        } else if kind.eq_ignore_ascii_case("application/json") {
            json = json.max(weight);
        }
    }
    html > 0.0 && html >= json
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn browsers_get_html_and_programs_json() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, query, expected) in [
            (browser, "", true),
            (browser, "page=2&format=json", false),
            ("*/*", "", false),
            ("*/*", "format=html", true),
            ("application/json", "", false),
            ("application/json, text/html;q=0.5", "", false),
            ("text/html;q=0", "", false),
            ("text/plain", "", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wants_html(&headers, query), expected, "{accept} {query}");
        }
        assert!(!wants_html(&HeaderMap::new(), ""));
    }

    #[test]
    fn links_keep_the_prefix_and_the_other_fields() {
        let visit = Visit {
            root: "/models/churn".to_owned(),
            path: "/runs".to_owned(),
            query: Query::of("step=training&page=3"),
            guarded: false,
            tls: false,
        };
        assert_eq!(visit.with("page", "4"), "/models/churn/runs?step=training&page=4");
        assert_eq!(visit.below("/releases", "r-1/x"), "/models/churn/releases/r-1%2Fx");
        assert_eq!(visit.here(), "/runs?step=training&page=3");
        assert_eq!(visit.page(), 3);
        for text in ["page=0", "page=-1", "page=x", "page=", ""] {
            assert_eq!(Visit { query: Query::of(text), ..visit.clone() }.page(), 1, "{text}");
        }
    }
}
