//! Whether a client may send another request now. How requests are counted is in `rate`.

use axum::http::{HeaderMap, HeaderValue, header};
use mlops_core::config::Counted;

use crate::client::Client;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::state::{Settings, State};

/// Counts a request from `client` with `headers`.
///
/// # Errors
/// 429 if the client has used up what it may ask.
pub(crate) fn admit(
    app: &State,
    settings: &Settings,
    client: Client,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let Some(limit) = &settings.rate_limit else { return Ok(()) };
    let token = (limit.by == Counted::Token).then(|| settings.tokens.known(headers)).flatten();
    let now = app.context.clock.elapsed();
    let asked = match token {
        Some(token) => app.rates.ask(token.bytes(), limit, now),
        None => app.rates.ask(&client.network(), limit, now),
    };
    asked.map_err(|wait| {
        let detail = "more requests than service.rate_limit allows to one client: slow down";
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Problem::refused(Refusal::RateLimit, detail)
            .with_value(header::RETRY_AFTER, HeaderValue::from(seconds))
    })
}
