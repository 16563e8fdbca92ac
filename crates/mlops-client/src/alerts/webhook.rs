//! Delivers an alert as a POST to an address, in the form that its receiver expects.
//!
//! Not for pings of runs: see [`crate::ping`].

use std::time::Duration;

use mlops_core::config::alerts::WebhookFormat;
use mlops_core::stage::alert::{Message, Said};
use reqwest::Url;
use reqwest::blocking::Response;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::json;

use crate::ping::beneath;
use crate::transport::{self, reason};

pub(super) fn post(
    url: &str,
    format: WebhookFormat,
    authorization: Option<&str>,
    message: &Message,
    timeout: Duration,
) -> Result<(), String> {
    // The address may be a secret, so that no error repeats it.
    let url = Url::parse(url).map_err(|error| format!("the address is not valid: {error}"))?;
    let (url, kind, body) = match format {
        WebhookFormat::Json => (url, "application/json", json(message)?),
        WebhookFormat::Slack => (url, "application/json", slack(message)),
        WebhookFormat::Healthchecks => {
            (signal(&url, message), "text/plain; charset=utf-8", message.words())
        }
    };
    let client = transport::client(&url, timeout).build().map_err(reason)?;
    let mut request = client.post(url).header(CONTENT_TYPE, kind).body(body);
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    let late = |error: reqwest::Error| {
        if error.is_timeout() { "no answer in time".to_owned() } else { reason(error) }
    };
    request.send().and_then(Response::error_for_status).map(drop).map_err(late)
}

fn json(message: &Message) -> Result<String, String> {
    serde_json::to_string(message).map_err(|error| error.to_string())
}

/// The form of Slack's incoming webhooks, which Mattermost and Rocket.Chat take too.
fn slack(message: &Message) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mark = match message.status {
        Said::Firing => ":rotating_light:",
        Said::Resolved => ":white_check_mark:",
        Said::Test => ":wave:",
    };
    let (title, text) = (escaped(&message.title()), escaped(&message.text));
    let since = format!("since {}, rule \"{}\"", message.since, escaped(&message.rule));
    json!({ "text": format!("{mark} *{title}*\n{text}\n_{since}_") }).to_string()
}

/// A check is up when nothing that was told is open any more.
fn signal(url: &Url, message: &Message) -> Url {
    match message.status {
        Said::Firing => beneath(url, "fail"),
        Said::Resolved if message.others == 0 => url.clone(),
        Said::Resolved | Said::Test => beneath(url, "log"),
    }
}
